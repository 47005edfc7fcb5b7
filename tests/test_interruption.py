"""Signals: the first is answered and ends the run in order, the second ends the process, and the folder says so.

The strategies raise the signals themselves, so that they come at a known moment and nothing has to wait.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import FILES, SHORT, Finished, program, strategy_set

ANSWER = "stopping after this event; again to stop at once"
ONCE = """
import signal
class Mine:
    warmup = 1
    calls = 0
    def generate_signals(self, market, state):
        Mine.calls += 1
        if Mine.calls == 3:
            signal.raise_signal(signal.SIGTERM)
"""
STUCK = """
import signal
class Mine:
    warmup = 1
    def generate_signals(self, market, state):
        signal.raise_signal(signal.SIGINT)
        while True:
            try:
                signal.raise_signal(signal.SIGTERM)
            except BaseException:
                pass
"""
WHILE_LOADING = """
import signal
import core.compose
async def load(*_, **__):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
core.compose.assemble = load
class Mine:
    def generate_signals(self, market, state):
        pass
"""
WHILE_WRITING = """
import signal
import core.saved_run
def write(*_):
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
core.saved_run.write_result = write
class Mine:
    def generate_signals(self, market, state):
        pass
"""
AFTER_THE_LAST_FILE = """
import signal
import core.report.run_folder as module
point = module._point_latest
def late(run):
    point(run)
    module._point_latest = point
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
module._point_latest = late
class Mine:
    warmup = 1
    def generate_signals(self, market, state):
        pass
"""


def run(tmp_path: Path, text: str, *arguments: str) -> Finished:
    (tmp_path / "mine.py").write_text(text)
    return program(*SHORT, *strategy_set("mine"), *arguments, cwd=tmp_path)


def test_the_first_signal_is_answered_and_the_run_ends_in_order(tmp_path: Path) -> None:
    done = run(tmp_path, ONCE)
    assert done.code == 130
    assert done.err.splitlines()[0] == ANSWER
    assert done.manifest["status"] == "interrupted"
    assert done.manifest["strategies"]["mine"]["calls"] == 3
    assert {path.name for path in done.folder.iterdir()} == FILES


def test_the_second_signal_ends_a_strategy_that_never_returns_and_the_folder_says_interrupted(tmp_path: Path) -> None:
    """Even one that catches every exception."""
    done = run(tmp_path, STUCK)
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines() == [
        ANSWER,
        f"interrupted at once: runs/{done.folder.name}  (marked interrupted)",
    ]
    assert done.manifest["status"] == "interrupted"
    assert done.manifest["error"].startswith("stopped at once by a second signal")
    assert (tmp_path / "runs/latest").resolve() == done.folder.resolve()


def test_a_second_signal_while_loading_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run(tmp_path, WHILE_LOADING)
    assert done.code == 130 and done.wrote_nothing
    assert done.err.splitlines() == [
        "stopping; again to stop at once",
        "interrupted at once: nothing was written",
    ]


@pytest.mark.parametrize(("text", "status"), [(WHILE_WRITING, "interrupted"), (AFTER_THE_LAST_FILE, "complete")])
def test_a_second_signal_while_results_are_written_says_how_far_they_got(
    tmp_path: Path, text: str, status: str
) -> None:
    done = run(tmp_path, text)
    assert done.code == 130
    assert done.err.splitlines() == [
        "the run is over, its results are being written; again to stop at once",
        f"interrupted at once: runs/{done.folder.name}  (marked {status})",
    ]
    assert done.manifest["status"] == status


def test_with_json_an_interrupted_run_is_one_object_too(tmp_path: Path) -> None:
    printed = json.loads(run(tmp_path, ONCE, "--json").out)
    assert (printed["status"], printed["exit_code"]) == ("interrupted", 130)
