"""A disk that takes no more: one sentence, exit code 3, and a folder that says that the run failed.

A limit on the size of one file (the operating system answers "File too large") stands for the full disk: it needs no
rights and hits journal, results and log alike.
"""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import SHORT, Finished, environment
from core.command_line.progress import Progress
from core.errors import DataError
from core.log import RunLog

resource = pytest.importorskip("resource", reason="this system has no limits on a file's size")
LONG = ("--set", "data[0].source.days=30")
"""The quickstart over a month: its journal has some hundred kB, its equity.csv more."""


def limited(tmp_path: Path, size: int, *arguments: str) -> Finished:
    """The program where no file may grow beyond `size` bytes."""
    start = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        "from core.run import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", start, *arguments],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return Finished(done.returncode, done.stdout, done.stderr, tmp_path)


@pytest.mark.parametrize(
    ("size", "arguments", "file"),
    [
        (8_192, LONG, "journal.msgpack"),  # while the run goes on
        (60_000, SHORT, "equity.csv"),  # when it is over
    ],
)
def test_a_file_that_cannot_be_written_is_one_sentence_and_exit_code_3(
    tmp_path: Path, size: int, arguments: tuple[str, ...], file: str
) -> None:
    done = limited(tmp_path, size, *arguments)
    assert (done.code, done.out) == (3, "")
    first, *rest = done.err.splitlines()
    assert first == (
        f"cannot write {done.folder.resolve() / file}: File too large; make room there or choose another folder with "
        "--out"
    )
    assert rest[-1].endswith(f"runs/{done.folder.name}") or rest[-1].endswith(
        f"runs/{done.folder.name}  (marked failed)"
    )
    assert "Traceback" not in done.err and "bug of ours" not in done.err and "Logging error" not in done.err
    assert done.manifest["status"] == "failed"
    assert done.manifest["error"].startswith(f"cannot write runs/{done.folder.name}/{file}: File too large")


def test_where_not_even_the_manifest_finds_room_no_folder_is_left(tmp_path: Path) -> None:
    done = limited(tmp_path, 100, *SHORT)
    assert done.code == 3
    assert "manifest.json: File too large" in done.err and len(done.err.splitlines()) == 1
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_disk_behind_stdout_or_stderr_is_exit_code_3(tmp_path: Path, stream: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    arguments = SHORT if stream == "stdout" else ("--config", "nope.yaml")
    with open("/dev/full", "w") as full:
        out, err = (full, subprocess.PIPE) if stream == "stdout" else (subprocess.PIPE, full)
        done = subprocess.run(
            [sys.executable, "-m", "core.run", *arguments],
            cwd=tmp_path, env=environment(), stdout=out, stderr=err, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 3
    if stream == "stdout":
        assert done.stderr == ("cannot write all of the output: No space left on device; make room and run again\n")


def test_a_log_without_room_ends_and_says_so_once(tmp_path: Path) -> None:
    """`/dev/full` answers every write as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "run.log").symlink_to("/dev/full")
    said = io.StringIO()
    with RunLog(said, Progress(said, shown=False), level="info", console=False) as log:
        log.open(tmp_path / "run.log")
        for number in range(3):
            logging.getLogger("mine").info("line %d", number)
    (line,) = said.getvalue().splitlines()
    assert line.startswith(f"cannot write {tmp_path}/run.log: No space left on device")
    assert line.endswith("(the log ends there)")


def test_a_log_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    said = io.StringIO()
    with (
        RunLog(said, Progress(said, shown=False), level="info", console=False) as log,
        pytest.raises(DataError, match=r"cannot write .*gone/run\.log: No such file"),
    ):
        log.open(tmp_path / "gone" / "run.log")
