"""Whatever the pages, the parts are the rows asked for: each once, in order, without a hole between the parts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.binance.rest import BinanceRest
from adapters.bybit.rest import BybitRest
from adapters.fetching.fetch import Fetched
from adapters.fetching.routes import Ask, fetched_parts
from adapters.fetching.rows_tape import rows_tape
from core.moments import DAY_NS
from core.tape import Kind
from loopback import Loopback

MS = 1_000_000
MINUTE_MS = 60_000
BEGIN = 1746316800_000
"""2025-05-04T00:00:00Z, milliseconds."""


class Direct:
    """Reads of the loopback venue without a socket between."""

    def __init__(self, venue: Loopback) -> None:
        self.venue = venue

    async def get_json(self, url: str, params: Any = None, *, weight: int = 1) -> Any:
        replied = self.venue.reply(urlsplit(url).path, {key: str(value) for key, value in (params or {}).items()})
        assert replied is not None and replied.status == 200 and replied.text is not None
        return json.loads(replied.text)


def fetched(
    venue: Loopback, kind: Kind, rest: Callable[[Any], Any], interval_ns: int, start: int, end: int
) -> list[Fetched]:
    ask = Ask(kind, "BTCUSDT", interval_ns)

    def tape_of(parts: Any) -> Any:
        return rows_tape(kind, parts, venue="x", symbol="BTCUSDT", interval_ns=interval_ns, source="test")

    async def read() -> list[Fetched]:
        async with aclosing(fetched_parts(ask, None, rest(Direct(venue)), tape_of, start, end, end)) as parts:
            return [part async for part in parts]

    return asyncio.run(read())


def check(parts: list[Fetched], start: int, end: int, interval_ns: int, opened: list[int]) -> None:
    """Contiguous from start to end, no part across a midnight, exactly the rows expected (by open or venue time)."""
    assert parts[0].since == start and parts[-1].until == end
    assert all(one.until == other.since for one, other in pairwise(parts))
    assert all(part.since // DAY_NS == (part.until - 1) // DAY_NS for part in parts)
    times = np.concatenate([part.tape.columns["ts_venue"] for part in parts]) - interval_ns
    assert times.tolist() == opened
    for part in parts:
        mine = part.tape.columns["ts_venue"] - interval_ns
        assert (mine >= part.since).all() and (mine < part.until).all()


minutes = st.sets(st.integers(0, 4000), max_size=300)
"""Which minutes of nearly three days the venue has."""
bounds = st.tuples(st.integers(0, 4000), st.integers(1, 2000))
"""First minute asked for, and how many."""


@settings(max_examples=60)
@given(minutes, bounds, st.integers(1, 1500))
def test_binance_bars_are_whole_whatever_the_length_of_a_page(
    have: set[int], range_: tuple[int, int], page: int
) -> None:
    """Ascending pages of any length over any holes."""
    venue = Loopback(now_ms=BEGIN + 10**9)
    venue.page_max = page
    venue.rows["/fapi/v1/klines"] = [
        [BEGIN + i * MINUTE_MS, "1", "2", "1", "2", "3", 0, "0", 1, "0", "0", "0"] for i in sorted(have)
    ]
    first, count = range_
    start, end = ((BEGIN + i * MINUTE_MS) * MS for i in (first, first + count))
    parts = fetched(
        venue,
        "bars",
        lambda reader: BinanceRest(reader, "usdm", "http://x", single_trades=False),
        MINUTE_MS * MS,
        start,
        end,
    )
    check(
        parts,
        start,
        end,
        MINUTE_MS * MS,
        [(BEGIN + i * MINUTE_MS) * MS for i in sorted(have) if first <= i < first + count],
    )


@settings(max_examples=60)
@given(minutes, bounds, st.integers(1, 1000))
def test_bybit_bars_are_whole_whatever_the_length_of_a_page(have: set[int], range_: tuple[int, int], page: int) -> None:
    """Newest-first pages of any length over any holes."""
    venue = Loopback(now_ms=BEGIN + 10**9)
    venue.page_max = page
    venue.rows["/v5/market/kline"] = [[str(BEGIN + i * MINUTE_MS), "1", "2", "1", "2", "3", "0"] for i in sorted(have)]
    first, count = range_
    start, end = ((BEGIN + i * MINUTE_MS) * MS for i in (first, first + count))
    parts = fetched(venue, "bars", lambda reader: BybitRest(reader, "linear", "http://x"), MINUTE_MS * MS, start, end)
    check(
        parts,
        start,
        end,
        MINUTE_MS * MS,
        [(BEGIN + i * MINUTE_MS) * MS for i in sorted(have) if first <= i < first + count],
    )


@settings(max_examples=80)
@given(
    st.lists(st.integers(0, 172_800), max_size=300),
    st.tuples(st.integers(0, 172_800), st.integers(1, 172_800)),
    st.integers(1, 50),
    st.integers(0, MS - 1),
)
def test_binance_trades_of_any_pages(seconds: list[int], range_: tuple[int, int], page: int, odd_ns: int) -> None:
    """Trades that share a moment, pages of any length, ranges that begin between two milliseconds."""
    stamps = [BEGIN + second * 1000 for second in sorted(seconds)]
    venue = Loopback(now_ms=BEGIN + 10**9)
    venue.page_max = page
    venue.rows["/api/v3/aggTrades"] = [{"a": i, "p": "1", "q": "1", "T": at, "m": False} for i, at in enumerate(stamps)]
    start = (BEGIN + range_[0] * 1000) * MS + odd_ns
    end = start + range_[1] * 1000 * MS
    parts = fetched(
        venue, "trades", lambda reader: BinanceRest(reader, "spot", "http://x", single_trades=False), 0, start, end
    )
    check(parts, start, end, 0, [at * MS for at in stamps if start <= at * MS < end])
    assert all(part.tape.gaps == () and not any("twice" in note for note in part.tape.notes) for part in parts)


@settings(max_examples=60)
@given(
    st.sets(st.integers(0, 2000), max_size=400),
    st.tuples(st.integers(0, 1000), st.integers(1, 1500)),
    st.integers(1, 200),
)
def test_bybit_rates_are_whole_whatever_the_length_of_a_page(
    hours: set[int], range_: tuple[int, int], page: int
) -> None:
    """Rates an hour or many apart, newest first, pages of any length; a window holds up to 1,600 hours of them."""
    stamps = [BEGIN + hour * 3_600_000 for hour in sorted(hours)]
    venue = Loopback(now_ms=BEGIN + 10**10)
    venue.page_max = page
    venue.rows["/v5/market/funding/history"] = [
        {"fundingRate": "0.0001", "fundingRateTimestamp": str(at)} for at in stamps
    ]
    start, end = ((BEGIN + hour * 3_600_000) * MS for hour in (range_[0], range_[0] + range_[1]))
    parts = fetched(venue, "funding", lambda reader: BybitRest(reader, "linear", "http://x"), 0, start, end)
    check(parts, start, end, 0, [at * MS for at in stamps if start <= at * MS < end])
