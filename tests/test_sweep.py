"""Several configs or values at once, each a run as it would be alone; and runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import CommandLine, program
from core.command_line.sweep import Variant, variants_of
from core.errors import UsageError
from core.report.run_table import Line, render_runs

CONFIG = """
run: {{name: {name}, seed: 3}}
venue: {{name: binance-usdm}}
account: {{balances: {{USDT: "10000"}}, leverage: 2}}
data:
  - {{symbol: BTCUSDT, kind: bars, interval: 15m, source: {{kind: synthetic, days: 3}}}}
strategies:
  - {{name: ema, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT], params: {{fast: 5, slow: 20}}}}
"""
FAST, SLOW = "strategies[0].params.fast", "strategies[0].params.slow"


@pytest.fixture
def anyclock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(CONFIG.format(name=name))
    return CommandLine(tmp_path, monkeypatch, capsys)


# --- which runs -----------------------------------------------------------------------------------------------------


def test_every_combination_is_a_run_and_the_last_value_changes_fastest() -> None:
    made = variants_of(["a.yaml"], ["run.seed=1"], [f"{FAST}=5,10", f"{SLOW}=20, 40"])
    assert made[1] == Variant("a.yaml", ("run.seed=1", f"{FAST}=5", f"{SLOW}=40"), "fast=5 slow=40")
    assert [one.label for one in made] == ["fast=5 slow=20", "fast=5 slow=40", "fast=10 slow=20", "fast=10 slow=40"]


def test_several_configs_are_named_and_equal_last_words_are_told_apart() -> None:
    assert [one.label for one in variants_of(["x/a.yaml", "b.json"], [], [])] == ["a", "b"]
    (made,) = variants_of(["a.yaml"], [], ["data[0].source.days=3", "data[1].source.days=4"])
    assert made.label == "data[0].source.days=3 data[1].source.days=4"


def test_commas_in_brackets_and_quotes_belong_to_their_value() -> None:
    made = variants_of(["a.yaml"], [], ["strategies[0].symbols=[A, B],[C]", "x={a: 1, b: 2}", "y=\"1,5\",'2,5'"])
    assert [one.sets for one in made] == [
        ("strategies[0].symbols=" + symbols, "x={a: 1, b: 2}", "y=" + y)
        for symbols in ("[A, B]", "[C]")
        for y in ('"1,5"', "'2,5'")
    ]


@pytest.mark.parametrize("text", ["x", "x=", "=1", "x=1,,2", "x=1,"])
def test_values_that_are_no_values_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected path=value,value"):
        variants_of(["a.yaml"], [], [text])


def test_more_than_a_thousand_runs_are_refused() -> None:
    numbers = ",".join(map(str, range(40)))
    with pytest.raises(UsageError, match="more than 1,000 runs"):
        variants_of(["a.yaml"], [], [f"x={numbers}", f"y={numbers}"])


ENDS = """
import os
class Mine:
    warmup = 0
    def __init__(self, how):
        self.how = how
    def generate_signals(self, market_data, position_state):
        if self.how == "raises":
            1 / 0
        if self.how == "leaves":
            os.kill(os.getpid(), 9)
"""
INTERRUPTED = """
import os, signal
class Mine:
    warmup = 0
    heard = False
    def generate_signals(self, market_data, position_state):
        if self.heard:
            return
        ours = signal.signal(signal.SIGINT, self.hear)
        os.kill(os.getppid(), signal.SIGINT)
        while not self.heard:
            pass
        signal.signal(signal.SIGINT, ours)
        signal.raise_signal(signal.SIGINT)
    def hear(self, *_):
        self.heard = True
"""
"""Interrupts the sweep that it is run by, waits until that has handed the signal on, and takes it then."""

# --- running --------------------------------------------------------------------------------------------------------


def test_a_run_of_a_sweep_has_the_events_of_the_same_run_alone(anyclock: CommandLine) -> None:
    swept = program(
        "sweep", "one.yaml", "--vary", f"{FAST}=5,8", "--jobs", "2", "--out", "swept", "--json", cwd=anyclock.folder
    )
    assert (swept.code, swept.err) == (0, "")
    told = json.loads(swept.out)
    assert [one["set"] for one in told] == [[f"{FAST}=5"], [f"{FAST}=8"]]
    for one in told:
        alone = json.loads(anyclock("--config", "one.yaml", "--set", *one["set"], "--json").out)
        assert one["events_sha256"] == alone["events_sha256"] and one["status"] == "complete"
        assert one["final_equity"] == alone["final_equity"]
        assert (anyclock.folder / one["run_folder"]).parent.name == "swept"
    assert told[0]["events_sha256"] != told[1]["events_sha256"]


def test_a_run_that_fails_leaves_the_others_alone_and_gives_its_exit_code(anyclock: CommandLine) -> None:
    anyclock.module("sweep_fails", ENDS)
    sets = ["--set", "strategies[0].class=sweep_fails:Mine", "--set", "strategies[0].params={}"]
    vary = ["--vary", "strategies[0].params.how=raises,leaves,ends"]
    done = program("sweep", "two.yaml", *sets, *vary, cwd=anyclock.folder)
    assert done.code == 1
    first, second, third = done.out.splitlines()[1:4]
    assert first.startswith("how=raises") and "exit code 1, strategy `ema` failed in generate_signals" in first
    assert " ".join(second.split()) == "how=leaves exit code 1, the process was ended by signal 9"
    assert third.split()[:3] == ["how=ends", "0.00", "%"]


def test_an_interrupt_reaches_the_run_under_way_and_the_next_one_never_starts(anyclock: CommandLine) -> None:
    anyclock.module("sweep_interrupted", INTERRUPTED)
    sets = ["--set", "strategies[0].class=sweep_interrupted:Mine", "--set", "strategies[0].params={}"]
    done = program("sweep", "one.yaml", *sets, "--vary", "run.seed=1,2", "--jobs", "1", cwd=anyclock.folder)
    assert (done.code, done.out, done.err) == (130, "", "interrupted\n")
    assert (done.manifest["status"], done.manifest["seed"]) == ("interrupted", 1)


def test_a_problem_of_one_config_is_told_before_any_run_is_started(anyclock: CommandLine) -> None:
    done = anyclock("sweep", "one.yaml", "--vary", "risk.max_leverage=1,many")
    assert done.code == 2 and done.wrote_nothing
    assert "--set risk.max_leverage  expected a decimal number, found many" in done.err
    done = anyclock("sweep", "one.yaml", "two.yaml", "--set", "fidelity=band")
    assert done.code == 2 and "one.yaml asks for a band, which is three runs: run it by itself" in done.err


def test_a_second_config_is_refused_where_one_is_run(anyclock: CommandLine) -> None:
    done = anyclock("--config", "one.yaml", "--config", "two.yaml")
    assert done.code == 2 and "several configs at once: python -m core.run sweep CONFIG CONFIG" in done.err


@pytest.mark.parametrize("jobs", ["0", "-1", "1.5", "many", "1001"])
def test_a_number_of_jobs_is_a_number(jobs: str, anyclock: CommandLine) -> None:
    done = anyclock("sweep", "one.yaml", "--jobs", jobs)
    assert done.code == 2 and "expected a whole number from 1 to 1000" in done.err


# --- side by side ---------------------------------------------------------------------------------------------------

SUMMARY: dict[str, Any] = {
    "total_return": -0.012345, "max_drawdown": -0.5, "sharpe": None, "trade_count": 1234, "win_rate": 0.25,
    "fees": "1234.5678", "final_equity": "9876.54321",
}  # fmt: skip


def test_a_table_has_a_line_a_run_of_at_most_a_hundred_columns() -> None:
    lines = [Line("a", SUMMARY), Line("x" * 40, SUMMARY), Line("b", None, "exit code 1, " + "why " * 50)]
    head, first, name, second, third = render_runs(lines).splitlines()
    assert " ".join(head.split()) == "return drawdown sharpe trades win rate fees final equity"
    assert " ".join(first.split()) == "a -1.23 % -50.00 % - 1,234 25.00 % 1,234.57 9,876.54"
    assert (name, second[28:]) == ("x" * 40, first[28:])
    assert third.startswith("b  ") and {len(head), len(first), len(second), len(third)} == {100}


def test_compare_tells_what_differs_in_configs_and_data(anyclock: CommandLine) -> None:
    """The seed makes the synthetic market, so another one is other data; a longer average is not."""
    for name, *sets in (["base"], ["slow", f"{SLOW}=30"], ["other", "run.seed=4"]):
        assigned = [part for one in sets for part in ("--set", one)]
        assert anyclock("--config", "one.yaml", *assigned, "--out", name).code == 0
    done = anyclock("compare", "base/latest", "slow/latest")
    assert done.code == 0
    assert done.out.splitlines()[-5:] == [
        "configs differ in",
        "  strategies[0].params.slow  20 | 30",
        "",
        "data: the same",
        "order and account events: not the same",
    ]
    assert "configs: the same\n\ndata: the same\norder and account events: the same" in (
        anyclock("compare", "base/latest", "base/latest").out
    )
    other = anyclock("compare", "base/latest", "other/latest").out
    assert "  run.seed  3 | 4" in other
    assert "data differ in\n  binance-usdm BTCUSDT bars  288 rows | 288 rows" in other
    assert anyclock("compare", "nowhere").code == 2
