"""The program as a user starts it: in a process of its own, or (faster) by its entry function in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.run import main

REPOSITORY = Path(__file__).resolve().parent.parent
SHORT = ("--set", "data[0].source.days=2")
"""The quickstart, shortened to two days of synthetic minutes."""
FILES = frozenset(
    {
        "config.yaml",
        "manifest.json",
        "summary.json",
        "trades.csv",
        "trades.json",
        "orders.csv",
        "fills.csv",
        "equity.csv",
        "report.html",
        "journal.msgpack",
        "run.log",
    }
)
"""What a run leaves: design section 9."""


class Finished(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str
    cwd: Path

    @property
    def folder(self) -> Path:
        """The only run folder below the working directory."""
        (folder,) = [path for path in (self.cwd / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
        return folder

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "manifest.json").read_text()))

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "summary.json").read_text()))

    @property
    def wrote_nothing(self) -> bool:
        return not (self.cwd / "runs").exists()


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, with the repository importable."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "PYTHONHASHSEED")}
    return kept | {"PYTHONPATH": str(REPOSITORY)} | changes


def program(*arguments: str, cwd: Path, **changes: str) -> Finished:
    """`python -m core.run ARGUMENTS` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "core.run", *arguments],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Finished(done.returncode, done.stdout, done.stderr, cwd)


class CommandLine:
    """The same in this process, from a folder of its own; modules written there are importable and forgotten."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))

    def __call__(self, *arguments: str) -> Finished:
        self._capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as error:  # argparse ends so
            code = int(error.code or 0)
        out, err = self._capsys.readouterr()
        return Finished(code, out, err, self.folder)

    def module(self, name: str, text: str) -> str:
        """Write a strategy module; returns its name, which no other test may use."""
        (self.folder / f"{name}.py").write_text(text)
        self._monkeypatch.delitem(sys.modules, name, raising=False)
        return name


def strategy_set(module: str, **more: str) -> list[str]:
    """`--set` arguments that put `MODULE:Mine` in place of the quickstart's strategy."""
    sets = {"class": f"{module}:Mine", "name": "mine", "params": "{}", **more}
    return [part for key, value in sets.items() for part in ("--set", f"strategies[0].{key}={value}")]
