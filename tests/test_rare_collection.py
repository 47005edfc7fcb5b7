"""Who asks the collector of cycles to come seldom, and that it is given back as it was."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from core.command_line.rare_collection import YOUNG_MAXIMUM, collected_seldom
from tests.command_line import SHORT, CommandLine, strategy_set
from tests.tiny_run import Script, flat, plan_of, run_of

WATCH = """
import gc

class Mine:
    warmup = 0

    def generate_signals(self, market_data, position_state):
        raise ValueError(f"the threshold is {gc.get_threshold()[0]}")
"""


@pytest.fixture
def anyclock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)


def test_the_collector_is_as_it_was_after_an_error_too() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="stopped"), collected_seldom():
        assert gc.get_threshold() == (YOUNG_MAXIMUM, *before[1:])
        raise ValueError("stopped")
    assert gc.get_threshold() == before


def test_the_command_line_asks_it_to_come_seldom_for_its_own_run(anyclock: CommandLine) -> None:
    before = gc.get_threshold()
    done = anyclock(*SHORT, *strategy_set(anyclock.module("watches_the_collector", WATCH)))
    assert f"the threshold is {YOUNG_MAXIMUM}" in done.err
    assert gc.get_threshold() == before


async def test_an_engine_in_the_process_of_a_host_leaves_the_collector_alone() -> None:
    seen = Script(lambda market, state: seen.seen.append(gc.get_threshold()))
    await run_of(plan_of({"X": flat("100", "101")}), s=seen)
    assert seen.seen == [gc.get_threshold()]
