"""Lows and highs of stretches of time, against a loop over the rows that follows the rule word by word."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.market.extremes import TapeExtremes
from core.market.price_series import LookedUp
from core.result import make_result
from core.tape import Tape
from tick_run import MS, depth, quotes, tick_plan, ticks, trades
from tiny_run import START, VENUE, Script, run_of

MINUTE = 60
TICKS = st.integers(1, 500)
BARS = st.lists(st.tuples(st.booleans(), TICKS, TICKS, TICKS), min_size=1, max_size=12)
PRINTS = st.lists(st.tuples(st.integers(0, 40), TICKS), min_size=1, max_size=20)
MOMENTS = st.lists(st.integers(-2 * MINUTE, 15 * MINUTE), min_size=2, max_size=8).map(sorted)


def tape_of(rows: list[tuple[bool, int, int, int]]) -> Tape:
    """Bars of a minute; the first of a row says whether it is there (the first bar always is)."""
    kept = [(n, *sorted(prices)) for n, (there, *prices) in enumerate(rows) if there or not n]
    closes = np.array([(n + 1) * MINUTE for n, *_ in kept])
    low, close, high = (np.array([row[at] for row in kept]) for at in (1, 2, 3))
    columns = {"ts_venue": closes, "ts": closes, "open": close, "high": high, "low": low, "close": close}
    return Tape(kind="bars", venue="v", symbol="X", columns=columns | {"volume": close}, price_scale=1, size_scale=0,
                interval_ns=MINUTE, source="hand")  # fmt: skip


def by_hand(tape: Tape, since: int, until: int) -> tuple[float, float] | None:
    """Bars that open at or after `since` and close by `until` with low and high; the one it falls in by its close."""
    seen: list[int] = []
    names = ("ts_venue", "low", "high")
    for closed, low, high in zip(*(tape.columns[name].tolist() for name in names), strict=True):
        if since <= closed - MINUTE and closed <= until:
            seen += low, high
    begun = [at for at, closed in enumerate(tape.columns["ts_venue"].tolist()) if closed - MINUTE < since]
    if begun and since <= tape.columns["ts_venue"][begun[-1]] <= until:
        seen.append(int(tape.columns["close"][begun[-1]]))
    return (min(seen) / 10, max(seen) / 10) if seen else None


@settings(max_examples=200)
@given(BARS, MOMENTS)
def test_every_stretch_has_the_low_and_high_of_the_bars_in_it(
    rows: list[tuple[bool, int, int, int]], moments: list[int]
) -> None:
    """Looked up all at once and one by one: both are what the loop finds."""
    tape = tape_of(rows)
    together = TapeExtremes([tape])
    together.look_up("v", "X", moments)
    for since, until in pairwise(moments):
        expected = by_hand(tape, since, until)
        assert together.between("v", "X", since, until) == expected
        assert TapeExtremes([tape]).between("v", "X", since, until) == expected


def test_a_symbol_without_bars_tells_nothing() -> None:
    assert TapeExtremes([tape_of([(True, 1, 2, 3)])]).between("v", "Y", 0, 600) is None


@settings(max_examples=200)
@given(
    PRINTS,
    st.lists(st.integers(-5, 45), min_size=2).map(sorted),
)
def test_every_stretch_has_the_low_and_high_of_the_prints_after_its_beginning_up_to_its_end(
    rows: list[tuple[int, int]], moments: list[int]
) -> None:
    """Receipt order is not the venue's: a print counts by its venue time, wherever it stands in the tape."""
    columns = [
        {"at": at, "ts": 50 + n, "price": price, "size": 1, "side": 1, "flags": 0} for n, (at, price) in enumerate(rows)
    ]
    extremes = TapeExtremes([ticks("trades", columns)])
    times = [START + moment * MS for moment in moments]
    extremes.look_up(VENUE, "X", times)
    for since, until in pairwise(moments):
        within = [price / 100 for at, price in rows if since < at <= until]
        expected = (min(within), max(within)) if within else None
        assert extremes.between(VENUE, "X", START + since * MS, START + until * MS) == expected


def test_the_finest_that_knows_what_traded_tells() -> None:
    """Prints before bars, bars before quotes; of quotes the middle, where both sides stand."""
    prints, touch = trades((1, "100"), (2, "103")), quotes((1, "90", "91"), (2, "0.01", "92.01"))
    hour = (START, START + 60 * MINUTE * 10**9)

    def seen(*tapes: Tape) -> tuple[float, float] | None:
        return TapeExtremes(tapes).between(VENUE, "X", *hour)

    bars = ticks(
        "bars",
        [{"at": 60_000, "open": "95", "high": "96", "low": "94", "close": "95", "volume": "1"}],
        interval_ns=MINUTE * 10**9,
    )
    assert seen(touch, bars, prints) == (100.0, 103.0)
    assert seen(touch, bars) == (94.0, 96.0)
    assert seen(touch) == (46.01, 90.5)  # (0.01 + 92.01) / 2 and (90 + 91) / 2
    one_sided = ticks("quotes", [{"at": 1, "bid_price": "90", "bid_size": "0", "ask_price": "91", "ask_size": "1"}])
    assert seen(one_sided) is None


def test_a_book_tells_by_the_middles_that_somebody_looked_up() -> None:
    book, looked = depth((0, "bid", "1", "1", 3)), LookedUp(3)
    for at, middle in ((10, 100.5), (20, 99.25), (30, 101.125)):
        looked.note(START + at * MS, middle)
    extremes = TapeExtremes([book], {(VENUE, "X"): looked})
    assert extremes.between(VENUE, "X", START + 10 * MS, START + 20 * MS) == (99.25, 99.25)
    assert extremes.between(VENUE, "X", START, START + 99 * MS) == (99.25, 101.125)


async def test_a_trade_on_prints_has_the_excursions_of_the_prints_between_its_fills() -> None:
    """2 bought at 100; then 97 and 106, sold at 103: mae -6, mfe 12. What was printed before and after is not its."""
    rows = ((5, "50"), (10, "100"), (30, "97"), (40, "106"), (50, "103"), (70, "200"))
    script = Script(None, {"side": "buy", "qty": 2}, None, None, {"close": True})
    done = await run_of(tick_plan(trades(*rows, size="1000")), s=script)
    (trade,) = make_result(done.run).record.trades
    assert (str(trade.entry_price), str(trade.exit_price)) == ("100.00", "103.00")
    assert (trade.mae, trade.mfe) == (-6, 12)
