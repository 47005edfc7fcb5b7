"""Lows and highs of stretches of time, against a loop over the bars that follows the rule word by word."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.extremes import TapeExtremes
from core.tape import Tape

MINUTE = 60
TICKS = st.integers(1, 500)
BARS = st.lists(st.tuples(st.booleans(), TICKS, TICKS, TICKS), min_size=1, max_size=12)
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
