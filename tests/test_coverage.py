"""What the data does not cover of a run is said in the summary, and a run is never longer than its data."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.compose import compose
from core.config import RunSection
from core.errors import DataError
from core.instruments import Instrument
from core.market.coverage import check_grid, cover
from core.plan import Plan
from core.result import RunResult, make_result
from core.tape import LAST, SNAPSHOT, Gap
from tick_run import depth, quotes, tick_plan, ticks, trades
from tiny_run import IDEAL, MINUTE, START, VENUE, Script, flat, plan_of, tape_of

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def said(*tapes: tuple[str, int, int], start: int | None = None, end: int | None = None) -> list[str]:
    """Warnings of tapes given as (symbol, first bar, number of bars), in minutes after START."""
    made = [tape_of(flat(*["100"] * count), symbol, start=START + first * MINUTE) for symbol, first, count in tapes]
    return cover(made, RunSection("tiny", start=start, end=end)).warnings


async def result_of(plan: Plan, **strategies: Script) -> RunResult:
    async with compose(plan, strategies=strategies) as engine:
        await engine.run()
    return make_result(engine.parts.run)


def test_a_run_within_its_data_has_nothing_to_say() -> None:
    assert said(("X", 0, 10), ("Y", 0, 10)) == []
    assert said(("X", 0, 10), start=START, end=START + 10 * MINUTE) == []
    # Less than a bar is missing.
    assert said(("X", 0, 10), start=START - MINUTE + 1, end=START + 11 * MINUTE - 1) == []


def test_a_run_longer_than_its_data_is_told() -> None:
    assert said(("X", 0, 10), start=START - 3 * DAY, end=START + 12 * DAY) == [
        "run.start 2024-12-29T00:00Z lies before the first bar 2025-01-01T00:00Z: the run begins there",
        "run.end 2025-01-13T00:00Z lies after the last bar, which ends 2025-01-01T00:10Z: the run ends there",
    ]


def test_a_symbol_that_begins_late_or_ends_early_is_told() -> None:
    assert said(("X", 0, 200), ("Y", 60, 80)) == [
        "Y: data begins 2025-01-01T01:00Z, 1 hour after the run does; nothing of it trades before",
        "Y: data ends 2025-01-01T02:20Z, 1 hour before the run does; its last price stands still after that",
    ]
    # Measured against the run: what lies outside it is nobody's loss.
    assert said(("X", 0, 200), ("Y", 60, 80), start=START + 60 * MINUTE, end=START + 140 * MINUTE) == []


def test_a_single_bar_is_told() -> None:
    assert said(("X", 0, 1)) == ["X: the data holds 1 bar: a decision on it has no next bar to meet"]


def test_history_ends_where_the_run_begins_and_both_are_the_tapes_rows() -> None:
    whole = tape_of(flat("1", "2", "3", "4", "5"))
    cut = cover([whole], RunSection("tiny", start=START + 2 * MINUTE, end=START + 4 * MINUTE))
    (history,), (played,) = cut.history, cut.played
    assert history is not None
    assert [tape.columns["close"].tolist() for tape in (history, played)] == [[100, 200], [300, 400]]
    assert (cut.start, cut.end) == (START + 2 * MINUTE, START + 4 * MINUTE)


def test_days_before_the_first_bar_have_no_equity_rows() -> None:
    assert cover([tape_of(flat("1", "2"))], RunSection("tiny", start=START - 3 * DAY)).start == START


async def test_a_run_that_starts_before_its_data_has_the_results_of_one_that_starts_with_it() -> None:
    bars = {"X": flat("100", "101", "102", "103")}
    early, exact = [
        await result_of(plan_of(bars, run=run), s=Script({"side": "buy", "qty": 1}))
        for run in (', start: "2024-12-29T00:00:00Z"', "")
    ]
    assert early.curve.ts[0] == START
    assert (early.curve.ts.tolist(), early.curve.equity.tolist()) == (
        exact.curve.ts.tolist(), exact.curve.equity.tolist(),
    )  # fmt: skip
    assert early.summary["start"] == exact.summary["start"] == "2025-01-01T00:00:00.000000000Z"
    assert "run.start 2024-12-29T00:00Z lies before the first bar" in early.summary["warnings"][0]
    assert not any("run.start" in warning for warning in exact.summary["warnings"])


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        # 4 bought at 100 with 100: at 74 a loss of 104, known at the close of bar 2.
        (("100", "100", "74", "100"), ["equity fell below zero at 2025-01-01T00:03:00Z"]),
        (("100", "100", "75", "100"), []),  # exactly zero
    ],
)
async def test_equity_below_zero_is_told_with_its_moment(prices: tuple[str, ...], told: list[str]) -> None:
    plan = plan_of({"X": flat(*prices)}, simulation=IDEAL, balances="{USDT: '100'}")
    result = await result_of(plan, s=Script({"side": "buy", "qty": 4}))
    warnings = [line for line in result.summary["warnings"] if "below zero" in line]
    assert warnings == [f"{line}: a venue would have liquidated before" for line in told]


@pytest.mark.parametrize(("tick", "is_fine"), [("1000", False), ("99.01", False), ("99", True), ("0.1", True)])
def test_a_price_below_one_tick_is_refused(tick: str, is_fine: bool) -> None:
    tape = tape_of([("100", "101", "99", "100", "5")])
    instrument = Instrument(venue=VENUE, symbol="X", tick=Decimal(tick), step=Decimal("0.001"), base="XB", quote="USDT")
    if is_fine:
        check_grid([tape], {(VENUE, "X"): instrument})
    else:
        with pytest.raises(DataError, match=rf"X: the tick {tick} is coarser than the prices of test, .* down to 99"):
            check_grid([tape], {(VENUE, "X"): instrument})


@pytest.mark.parametrize(("tick", "is_fine"), [("0.0000000000001", True), ("0.00000000000001", False)])
def test_a_tick_on_which_a_price_takes_more_digits_than_a_float_keeps_is_refused(tick: str, is_fine: bool) -> None:
    # 99 and 13 decimals are the 15 digits that every double keeps (IEEE 754); 14 decimals are one too many.
    tape = tape_of([("100", "101", "99", "100", "5")])
    instrument = Instrument(venue=VENUE, symbol="X", tick=Decimal(tick), step=Decimal("0.001"), base="XB", quote="USDT")
    if is_fine:
        check_grid([tape], {(VENUE, "X"): instrument})
    else:
        with pytest.raises(DataError, match=r"is too fine: on it 99.00 of test takes 16 digits, 15 are exact"):
            check_grid([tape], {(VENUE, "X"): instrument})


# --- other kinds than bars ------------------------------------------------------------------------------------------

FUNDING = ticks("funding", [{"at": at, "rate": "0.001", "mark": "0"} for at in (0, 28_800_000)])


def test_a_run_of_ticks_begins_with_the_first_and_ends_with_the_last_that_is_received() -> None:
    cut = cover([trades((7, "1"), (90_000, "2"))], RunSection("tiny"))
    assert (cut.start, cut.end, cut.warnings) == (START + 7_000_000, START + 90_000_000_000, [])


def test_depth_from_before_the_start_stays_with_the_run_and_does_not_lengthen_it() -> None:
    """The snapshot at 1 ms builds the book of a run that starts at 2 s."""
    tape = depth((1, "bid", "1", "1", SNAPSHOT | LAST), (3000, "bid", "1", "2", LAST))
    cut = cover([tape], RunSection("tiny", start=START + 2 * SECOND))
    assert len(cut.played[0]) == 2
    assert (cut.start, cut.end) == (START + 2 * SECOND, START + 3 * SECOND)


def test_funding_and_marks_neither_lengthen_a_run_nor_have_to_lie_in_it() -> None:
    cut = cover([trades((7, "1"), (60_000, "2")), FUNDING], RunSection("tiny", end=START + MINUTE))
    assert (cut.start, cut.end) == (START + 7_000_000, START + MINUTE)
    assert [tape.kind for tape in cut.played] == ["trades", "funding"] and len(cut.history) == 2
    later = cover([trades((100, "1")), FUNDING], RunSection("tiny", start=START + 50_000_000, end=START + SECOND))
    assert [tape.kind for tape in later.played] == ["trades"] and len(later.history) == 1
    assert later.warnings == ["X: no funding of test lie within the run"]


async def test_rates_that_go_on_after_the_last_trade_are_not_charged() -> None:
    """One bought at 100 pays 100 x 0.001 at 30 s; the market ends at 60 s, so nothing is due at 90 s."""
    market = trades((0, "100"), (1_000, "100"), (60_000, "100"), size="100")
    rates = ticks("funding", [{"at": at, "rate": "0.001", "mark": "100"} for at in (30_000, 90_000)])
    result = await result_of(tick_plan(market, rates), s=Script({"side": "buy", "qty": 1}))
    assert Decimal(result.summary["funding"]) == Decimal("-0.1")
    assert result.summary["end_ns"] == START + 60 * SECOND


def test_data_that_nothing_can_be_traded_on_are_refused() -> None:
    with pytest.raises(
        DataError, match="there is nothing to trade on: `data` has no bars, trades, quotes, depth or l3"
    ):
        cover([FUNDING], RunSection("tiny"))
    with pytest.raises(DataError, match=r"X: no row \(trades\) of test lies between run.start and run.end; .* 1 rows"):
        cover([trades((1, "1"))], RunSection("tiny", start=START + SECOND))


def test_gaps_and_late_streams_of_any_kind_are_told() -> None:
    holed = ticks(
        "trades",
        [{"at": at, "price": "1", "size": "1", "side": "buy", "flags": 0} for at in (120_000, 300_000)],
        gaps=(Gap(START + 2 * MINUTE, START + 5 * MINUTE, 7),),
    )
    book = depth((0, "bid", "1", "1", SNAPSHOT | LAST), (500_000, "bid", "1", "2", LAST))
    assert cover([book, holed], RunSection("tiny")).warnings == [
        "X trades: data begins 2025-01-01T00:02Z, 2 minutes after the run does; nothing of it trades before",
        "X trades: data ends 2025-01-01T00:05Z, 3 minutes before the run does; its last price stands still after that",
        "X trades: 1 gap of 3 minutes from 2025-01-01T00:02Z",
    ]


@pytest.mark.parametrize(("price", "is_fine"), [("0.1", True), ("0.09", False)])
def test_ticks_below_the_grid_are_refused_too(price: str, is_fine: bool) -> None:
    instrument = Instrument(
        venue=VENUE, symbol="X", tick=Decimal("0.1"), step=Decimal("0.001"), base="XB", quote="USDT"
    )
    gone = depth((0, "bid", "1", "1", SNAPSHOT | LAST), (1, "bid", "0.01", "0", LAST))  # size 0 is no price
    check_grid([gone, FUNDING], {(VENUE, "X"): instrument})
    if is_fine:
        check_grid([trades((1, price))], {(VENUE, "X"): instrument})
    else:
        with pytest.raises(DataError, match=r"the tick 0\.1 is coarser than the prices of test"):
            check_grid([trades((1, price))], {(VENUE, "X"): instrument})


async def test_what_two_tapes_of_one_recording_say_is_told_once() -> None:
    """Trades and quotes of one file are moved by the same constant: one sentence about it is enough."""
    prints, best = trades((0, "100"), (1, "100")), quotes((0, "99", "101"))
    prints.notes, best.notes = ("moved by 1 ms", "of trades"), ("moved by 1 ms",)
    result = await result_of(tick_plan(prints, best), s=Script())
    told = [line for line in result.summary["warnings"] if line.startswith("X: ")]
    assert told == ["X: moved by 1 ms", "X: of trades"]
