"""The pages of the documentation as programs: their fenced blocks run in order, in a folder of their own.

`bash` and `python` blocks are executed. A comment on the line above a block says what else it is:

    <!-- file: NAME -->        it is written to that file
    <!-- output -->            what the block before it printed: these lines, in this order; `...` stands for anything
    <!-- exit: N -->           it ends with this exit code
    <!-- illustrative: why --> it is not executed
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md"))]
STANDS_FOR = {"make run": "python -m core.run --mode backtest"}
"""`make run` sets up an environment first; the tests run in one already. test_readme.py holds the Makefile to this."""
BLOCK = re.compile(r"(?:^<!-- (?P<marker>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """One fenced block and the line it begins on."""

    language: str
    text: str
    marker: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, from the top."""
    source = (REPOSITORY / page).read_text(encoding="utf-8")
    for match in BLOCK.finditer(source):
        line = source.count("\n", 0, match.start("text"))
        yield Block(match["language"], match["text"], match["marker"] or "", line)


class Reader:
    """Somebody who does what a page says, in a folder with the repository's configs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed = ""
        shutil.copytree(REPOSITORY / "configs", folder / "configs")
        tools = folder / ".tools"
        tools.mkdir()
        python = tools / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        nowhere = "http://127.0.0.1:9"
        """Nobody listens there: a page that needs the internet fails at once."""
        self.environment = os.environ | {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
        }

    def follow(self, block: Block) -> None:
        """Do what the block says; AssertionError where that is not what it says."""
        word, _, argument = block.marker.partition(":")
        if word == "illustrative":
            assert argument.strip(), f"line {block.line}: an illustrative block says why it is not executed"
        elif word == "file":
            path = self.folder / argument.strip()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif word == "output":
            missing = first_missing(block.text.splitlines(), self.printed.splitlines())
            assert missing is None, f"line {block.line}: expected `{missing}` (in this order) in\n{self.printed}"
        elif block.language == "bash":
            script = "\n".join(STANDS_FOR.get(line, line) for line in block.text.splitlines())
            self._run(["bash", "-e", "-c", script], int(argument or 0), block.line)
        elif block.language == "python":
            self._run(
                [sys.executable, "-W", "error::ResourceWarning", "-c", block.text], int(argument or 0), block.line
            )
        else:
            raise AssertionError(
                f"line {block.line}: a {block.language} block needs a marker: file, output, illustrative"
            )

    def _run(self, command: list[str], code: int, line: int) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        self.printed = done.stdout
        assert done.returncode == code, f"line {line}: exit code {done.returncode}, expected {code}\n{self.printed}"


def first_missing(expected: list[str], printed: list[str]) -> str | None:
    """The first expected line that does not follow the one before it in what was printed. Widths of gaps are layout."""
    rest = (" ".join(line.split()) for line in printed)
    for line in expected:
        if line.strip() in ("", "..."):
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in " ".join(line.split()).split("...")))
        if not any(pattern.fullmatch(candidate) for candidate in rest):
            return line
    return None
