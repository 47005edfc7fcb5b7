"""A band: three whole runs of one config, side by side; each alone gives the same events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from command_line import FILES, REPOSITORY, SHORT, CommandLine, strategy_set
from core.band import BandResult, Member, decode_band, encode_band, plans_of_band, run_band, side_by_side
from core.compose import compose, read_plan
from core.errors import ConfigError, UsageError
from core.plan import Plan
from core.report.band_text import render_band
from core.tape import LAST, SNAPSHOT, Rows
from sim.backtester import Backtester
from sim.band import band_of
from sim.models import SimulationConfig, SymbolModels
from sim.models.bars import BarModel
from sim.models.impact import NoImpact, SquareRootImpact
from sim.models.latency import ConstantLatency
from sim.models.matching import CrossedModel
from sim.models.queue import L3Queue, NoQueue, PowerQueue, RiskAverseQueue
from sim.models.recorded_latency import RecordedLatency
from sim.models.spread import FixedSpread, NoSpread
from tick_run import depth, tick_plan, ticks
from tiny_run import Script, flat, plan_of

NAMES = ["pessimistic", "default", "optimistic"]
BAR = ("100", "104", "99", "103", "900")
"""Path 100, 99, 104, 103: below 99.5 for 1.0 of its length of 7."""
BARS = "{latency: {kind: none}, spread: {kind: none}, impact: {kind: none}, fees: {maker: '0', taker: '0'}}"
QUEUED = (
    "{latency: {kind: constant, entry_ms: 4, response_ms: 3}, impact: {kind: none}, queue: {kind: power, n: 1}, "
    "fees: {maker: '0', taker: '0'}, rate_limits: {kind: none}}"
)
BAND = "fidelity: band\n"


def band(plan: Plan, strategies: Callable[[], Any]) -> BandResult:
    return asyncio.run(run_band(plan, strategies=lambda: {"s": strategies()}))


def on_bars() -> Plan:
    return plan_of({"X": [*flat("100"), BAR]}, simulation=BARS, more=BAND)


def on_a_book() -> Plan:
    """5 at our bid when we come (14 ms; 18 ms where latency is doubled); then 2 come behind us, 2 are canceled, and 4
    are sold at our price."""
    book = depth(
        (0, "bid", "99.90", "5", SNAPSHOT), (0, "ask", "100.00", "5", SNAPSHOT | LAST),
        (30, "bid", "99.90", "7", LAST), (40, "bid", "99.90", "5", LAST),
    )  # fmt: skip
    rows = [(10, "100.00", "1", "buy"), (50, "99.90", "4", "sell"), (90, "100.00", "0.1", "buy")]
    tape = ticks("trades", [{"at": a, "price": p, "size": q, "side": s, "flags": 0} for a, p, q, s in rows])
    return tick_plan(book, tape, strategy="s, hears: [trades]", simulation=QUEUED, more=BAND)


def dip() -> Script:
    return Script({"side": "buy", "qty": 20, "price": "99.5"})


def join() -> Script:
    return Script({"side": "buy", "qty": 2, "price": "99.90"})


def filled_alone(plan: Plan, strategy: Callable[[], Any]) -> tuple[Decimal, str]:
    """What one member fills when it is run by itself, and its digest."""

    async def run() -> tuple[Decimal, str]:
        async with compose(plan, strategies={"s": strategy()}) as engine:
            await engine.run()
            parts = engine.parts.run
            return sum((fill.qty for fill in parts.recording.fills), Decimal(0)), parts.journal.events_sha256

    return asyncio.run(run())


# --- the three runs -------------------------------------------------------------------------------------------------


def test_on_bars_a_resting_order_gets_half_the_share_the_share_or_all_of_it() -> None:
    """900 x 1.0 / 7 = 128.57 traded through the price: 0.05 of it is 6.428, 0.1 is 12.857, all of it fills 20."""
    plans = plans_of_band(on_bars())
    assert list(plans) == NAMES
    assert [filled_alone(plan, dip)[0] for plan in plans.values()] == [Decimal(n) for n in ("6.428", "12.857", "20")]


def test_on_a_book_a_queue_is_risk_averse_as_configured_or_absent() -> None:
    """Risk averse: 5 are ahead, 4 are sold: nothing. Power 1: 2/7 of the cancels are behind us, so 5 - 5/7 x 2 = 3.571
    are ahead and 4 - 3.571 = 0.428 are ours. Without a queue: 2, all we wanted."""
    plans = plans_of_band(on_a_book())
    assert [filled_alone(plan, join)[0] for plan in plans.values()] == [Decimal(n) for n in ("0", "0.428", "2")]


@pytest.mark.parametrize(("plan", "strategy"), [(on_bars, dip), (on_a_book, join)], ids=["bars", "book"])
def test_each_run_alone_gives_the_same_events_as_in_the_band(
    plan: Callable[[], Plan], strategy: Callable[[], Any]
) -> None:
    result = band(plan(), strategy)
    alone = {name: filled_alone(own, strategy)[1] for name, own in plans_of_band(plan()).items()}
    assert {member.name: member.events_sha256 for member in result.members} == alone
    assert len(set(alone.values())) == 3


def test_every_run_has_a_strategy_of_its_own_and_the_tape_is_read_once() -> None:
    plan, made, read = on_bars(), [], []

    class Counted:
        """A source that counts how often it is read."""

        def __init__(self, source: Any) -> None:
            self._source = source

        async def load(self, progress: Any = None) -> Rows:
            read.append(1)
            return await self._source.load(progress)

    streams = [msgspec.structs.replace(stream, source=Counted(stream.source)) for stream in plan.streams]

    def strategy() -> Script:
        made.append(dip())
        return made[-1]

    band(msgspec.structs.replace(plan, streams=streams), strategy)
    assert len(read) == 1
    assert [len(script.calls) for script in made] == [2, 2, 2]


def test_the_profits_are_those_of_three_accounts_and_of_no_shadow() -> None:
    """Bought at 99.5 and marked at the close of 103: 3.5 a piece, 6.428, 12.857 and 20 of them."""
    result = band(on_bars(), dip)
    assert {name: Decimal(value) for name, value in result.pnl.items()} == {
        "pessimistic": Decimal("22.498"), "default": Decimal("44.9995"), "optimistic": Decimal("70"),
    }  # fmt: skip


def test_an_engine_refuses_a_config_that_asks_for_three() -> None:
    with pytest.raises(UsageError, match="asks for a band"):
        Backtester(on_bars(), strategies={"s": dip()}).run()


def test_a_config_that_asks_for_no_band_is_refused_as_one() -> None:
    with pytest.raises(UsageError, match="asks for no band"):
        plans_of_band(plan_of({"X": flat("100", "101")}))


def test_another_word_for_fidelity_is_a_problem_of_the_config() -> None:
    with pytest.raises(ConfigError, match="fidelity"):
        plan_of({"X": flat("100", "101")}, more="fidelity: bands\n")


# --- what each assumes ----------------------------------------------------------------------------------------------


def changes(simulation: SimulationConfig, *kinds: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """(pessimistic, optimistic) for one symbol with these kinds of data; the default run changes nothing."""
    band = band_of(simulation, {("v", "X"): kinds})
    assert list(band) == NAMES
    assert band["default"] == {}
    return band["pessimistic"], band["optimistic"]


def test_on_a_book_queue_crossing_impact_and_latency_differ_and_nothing_that_a_book_has_no_use_for() -> None:
    latency = ConstantLatency(entry_ms=10, response_ms=20, feed_ms=7)
    worse, better = changes(SimulationConfig(latency=latency, queue=PowerQueue(n=3, credit_ms=5)), "depth", "trades")
    assert worse == {
        ("queue",): RiskAverseQueue(credit_ms=5),
        ("impact",): SquareRootImpact(coefficient=Decimal("1.5")),
        ("latency",): ConstantLatency(entry_ms=20, response_ms=40, feed_ms=7),
    }
    assert better == {
        ("queue",): NoQueue(credit_ms=5),
        ("crossed",): CrossedModel("full", through="full"),
        ("impact",): NoImpact(),
    }


def test_on_bars_path_share_spread_and_impact_differ() -> None:
    simulation = SimulationConfig(
        latency=ConstantLatency(), spread=FixedSpread(half_bps=Decimal(2)), bars=BarModel(participation=Decimal("0.2"))
    )
    worse, better = changes(simulation, "bars")
    assert worse == {
        ("bars",): BarModel(path="worst", participation=Decimal("0.1")),
        ("spread",): FixedSpread(half_bps=Decimal(4)),
        ("impact",): SquareRootImpact(coefficient=Decimal("1.5")),
    }
    assert better == {
        ("bars",): BarModel(participation=Decimal(1), market_participation=Decimal(0)),
        ("spread",): NoSpread(),
        ("impact",): NoImpact(),
    }


def test_what_is_known_exactly_stays_in_all_three() -> None:
    measured = RecordedLatency(rows=[(0.0, 3.0, 8.0)])
    worse, better = changes(SimulationConfig(latency=measured, queue=L3Queue()), "l3")
    assert not {("queue",), ("latency",)} & (worse.keys() | better.keys())


def test_a_symbol_with_models_of_its_own_is_turned_as_well() -> None:
    simulation = SimulationConfig(symbols={"X": SymbolModels(queue=PowerQueue(n=1))})
    worse, better = changes(simulation, "depth")
    assert worse["symbols", "X", "queue"] == RiskAverseQueue()
    assert better["symbols", "X", "queue"] == NoQueue()
    assert ("symbols", "X", "impact") not in worse


def test_venues_with_different_default_latencies_have_to_name_one() -> None:
    kinds = {("a", "X"): ["bars"], ("b", "Y"): ["depth"]}
    with pytest.raises(UsageError, match=r"name `simulation\.latency`"):
        band_of(SimulationConfig(), kinds)
    assert ("latency",) in band_of(SimulationConfig(latency=ConstantLatency(entry_ms=1)), kinds)["pessimistic"]


# --- what is said ---------------------------------------------------------------------------------------------------


def compared(*finals: str, strategies: dict[str, list[str]] | None = None) -> BandResult:
    """Three runs that began with 100 and ended with these; `strategies` have a realized pnl in each."""
    names = list(strategies or {"s": []})
    plan = plan_of({"X": flat("100", "101")}, strategies=names)
    members = []
    for at, (name, final) in enumerate(zip(NAMES, finals, strict=True)):
        blocks = {who: {"pnl": pnl[at]} for who, pnl in (strategies or {}).items()}
        members.append(Member(name, {"initial_equity": "100", "final_equity": final, "strategies": blocks}, "0"))
    return side_by_side(plan, members)


def test_a_result_whose_sign_the_guess_decides_is_flagged() -> None:
    (warning,) = compared("99", "101", "102").warnings
    assert warning.startswith("the sign of the result hangs on what the data cannot tell: -1.00 USDT pessimistic")


@pytest.mark.parametrize("finals", [("101", "102", "103"), ("97", "98", "99"), ("100", "101", "102")])
def test_a_result_with_one_sign_is_not_flagged(finals: tuple[str, str, str]) -> None:
    assert compared(*finals).warnings == []


def test_a_strategy_that_changes_sign_is_flagged_where_the_whole_does_not() -> None:
    result = compared("101", "102", "103", strategies={"a": ["-2", "1", "1"], "b": ["3", "1", "2"]})
    (warning,) = result.warnings
    assert warning.startswith("strategy a changes sign inside the band: realized -2.00 USDT pessimistic")


def test_a_band_that_is_not_in_order_says_so() -> None:
    first, second = compared("103", "105", "101").warnings
    assert "more fills were worse fills" in first
    assert "the default run lies outside" in second


def test_a_band_is_read_back_as_it_was_written() -> None:
    result = band(on_bars(), dip)
    assert decode_band(encode_band(result)) == result
    assert "  profit and loss                    22.50               45.00               70.00" in render_band(result)


# --- the command line -----------------------------------------------------------------------------------------------


@pytest.fixture
def anyclock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


BANDED = (*SHORT, "--set", "fidelity=band")


def test_a_band_leaves_one_folder_with_three_whole_runs_whose_configs_run_alone_to_the_same_events(
    anyclock: CommandLine,
) -> None:
    done = anyclock(*BANDED)
    assert (done.code, done.err) == (0, "")
    runs = done.manifest["runs"]
    assert (list(runs), done.manifest["status"]) == (NAMES, "complete")
    for name, folder in runs.items():
        inside = done.folder / folder
        assert {path.name for path in inside.iterdir()} == FILES
        again = anyclock("--config", str(inside / "config.yaml"), "--out", f"alone/{name}")
        assert again.code == 0
        alone = manifest(anyclock.folder / "alone" / name / "latest")
        assert alone["events_sha256"] == manifest(inside)["events_sha256"] == done.manifest["events_sha256"][name]


def test_the_three_stand_side_by_side_as_text_as_json_and_in_a_report(anyclock: CommandLine) -> None:
    done = anyclock(*BANDED)
    lines = done.out.splitlines()
    assert lines[0] == "quickstart  2024-01-01 00:00:00 to 2024-01-03 00:00:00 UTC  fidelity: band"
    assert lines[2].split() == ["in", "USDT", *NAMES]
    assert lines[-1] == f"band folder: runs/{done.folder.name}"
    shown = anyclock("report", "latest").out
    assert shown == done.out
    written = json.loads((done.folder / "band.json").read_text())
    assert json.loads(anyclock("report", "latest", "--json").out) == written
    printed = json.loads(anyclock(*BANDED, "--json", "--out", "other").out)
    assert printed["pnl"] == written["pnl"]
    assert (printed["status"], printed["exit_code"]) == ("complete", 0)
    assert printed["band_folder"].startswith("other/quickstart-")


def test_an_order_of_a_band_is_asked_for_in_one_of_its_runs(anyclock: CommandLine) -> None:
    folder = anyclock(*BANDED).folder
    refused = anyclock("explain", "latest", "1")
    assert refused.code == 2
    assert "name one of" in refused.err
    inside = manifest(folder)["runs"]["pessimistic"]
    assert "in the end:" in anyclock("explain", f"runs/{folder.name}/{inside}", "1").out


def test_a_strategy_that_fails_ends_the_band_and_its_folder_says_so(anyclock: CommandLine) -> None:
    text = "class Mine:\n    warmup = 1\n    def generate_signals(self, m, p):\n        raise ValueError('no')\n"
    module = anyclock.module("fails_in_a_band", text)
    done = anyclock(*BANDED, *strategy_set(module))
    assert done.code == 1
    assert done.out == ""
    assert done.manifest["status"] == "incomplete"
    assert done.manifest["error"] == "the pessimistic run is incomplete"
    assert list(done.manifest["runs"]) == ["pessimistic"]


def test_data_that_cannot_be_loaded_leave_no_folder(anyclock: CommandLine) -> None:
    (anyclock.folder / "bad.csv").write_text("time,open,high,low,close,volume\n1704067200000,1,nan,1,1,1\n")
    quickstart = (REPOSITORY / "configs/quickstart.yaml").read_text()
    config = quickstart.replace("{kind: synthetic, days: 30}", "{kind: file, path: bad.csv}") + BAND
    (anyclock.folder / "bad.yaml").write_text(config)
    done = anyclock("--config", "bad.yaml")
    assert done.code == 3
    assert "nan" in done.err
    assert list((anyclock.folder / "runs").iterdir()) == []


def test_the_members_of_a_band_are_ordinary_configs() -> None:
    plans = plans_of_band(on_a_book()).values()
    assert [plan.config.run.name for plan in plans] == ["tiny-pessimistic", "tiny-default", "tiny-optimistic"]
    assert [plan.config.fidelity for plan in plans] == [None, None, None]


def test_check_names_the_three_runs(anyclock: CommandLine) -> None:
    (anyclock.folder / "band.yaml").write_text((REPOSITORY / "configs/quickstart.yaml").read_text() + BAND)
    assert "  fidelity band: pessimistic, default, optimistic" in anyclock("check", "band.yaml").out.splitlines()


def test_a_plan_is_read_from_the_text_its_run_folder_keeps(anyclock: CommandLine) -> None:
    done = anyclock(*BANDED)
    inside = done.folder / done.manifest["runs"]["optimistic"]
    plan = read_plan(inside / "config.yaml")
    assert plan.digest == manifest(inside)["config_sha256"]
