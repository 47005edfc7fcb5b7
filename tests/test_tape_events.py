"""Rows as events: what each kind decodes to, in which order several streams are heard, and what is never made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import core.market.tape_events as tape_events
from core.errors import UsageError
from core.events import Bar, BookUpdate, FundingRate, MarketEvent, MarkPrice, QuoteTick, TradeTick
from core.market.tape_events import KINDS, TapeStreams, batches, merged
from core.tape import LAST, SNAPSHOT, Tape
from tick_run import MS, depth, quotes, ticks, trades
from tiny_run import MINUTE, START, VENUE, flat, tape_of

FEED = 5 * MS


def decoded(tape: Tape, start: int = 0) -> list[MarketEvent]:
    return list(chain.from_iterable(batches(tape, FEED, start)))


def at(ms: float) -> tuple[int, int, str, str]:
    """What an event of ours begins with when its row came `ms` after START."""
    return START + round(ms * MS) + FEED, START + round(ms * MS), VENUE, "X"


# --- one kind at a time ---------------------------------------------------------------------------------------------


def test_a_print_is_a_trade_tick_with_the_aggressors_side() -> None:
    rows = [
        {"at": 1, "ts": 3, "price": "100.07", "size": "0.123", "side": "buy", "flags": 0},
        {"at": 2, "ts": 4, "price": "99.3", "size": "2", "side": "sell", "flags": 1},
    ]
    assert decoded(ticks("trades", rows)) == [
        TradeTick(START + 3 * MS + FEED, START + 1 * MS, VENUE, "X", 100.07, 0.123, "buy"),
        TradeTick(START + 4 * MS + FEED, START + 2 * MS, VENUE, "X", 99.3, 2.0, "sell"),
    ]


def test_quotes_marks_and_funding_keep_their_numbers() -> None:
    quote = {"at": 1, "bid_price": "9.99", "bid_size": "1.5", "ask_price": "10.01", "ask_size": "0"}
    assert decoded(ticks("quotes", [quote])) == [QuoteTick(*at(1), 9.99, 1.5, 10.01, 0.0)]
    mark = {"at": 2, "open": "10", "high": "10", "low": "10", "close": "10.02"}
    assert decoded(ticks("marks", [mark])) == [MarkPrice(*at(2), 10.02)]
    assert decoded(ticks("funding", [{"at": 3, "rate": "0.001", "mark": "10"}])) == [FundingRate(*at(3), 0.001)]


def test_a_bar_is_heard_when_its_close_has_travelled_to_us() -> None:
    (bar,) = decoded(tape_of([("1", "4", "0.5", "2", "7")]))
    assert bar == Bar(START + MINUTE + FEED, START + MINUTE, VENUE, "X", MINUTE, 1.0, 4.0, 0.5, 2.0, 7.0)


def test_the_rows_of_one_message_are_one_book_update() -> None:
    tape = depth(
        (1, "bid", "99", "1", SNAPSHOT), (1, "ask", "101", "2", SNAPSHOT), (1, "bid", "98", "3", SNAPSHOT | LAST),
        (2, "ask", "101", "0", LAST), (3, "bid", "99.5", "4", 0),
    )  # fmt: skip
    assert decoded(tape) == [
        BookUpdate(*at(1), ((99.0, 1.0), (98.0, 3.0)), ((101.0, 2.0),), True),
        BookUpdate(*at(2), (), ((101.0, 0.0),), False),
        BookUpdate(*at(3), ((99.5, 4.0),), (), False),  # never ended: whole all the same
    ]


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_a_message_that_a_chunk_cuts_is_put_together(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = depth(*[(n // 3, "bid" if n % 2 else "ask", str(100 + n), "1", LAST if n % 3 == 2 else 0) for n in range(9)])
    whole = decoded(tape)
    monkeypatch.setattr(tape_events, "BATCH", rows)
    assert decoded(tape) == whole
    assert [len(update.bids) + len(update.asks) for update in whole] == [3, 3, 3]


def test_what_builds_the_book_that_a_run_begins_with_is_heard_as_it_begins() -> None:
    """The snapshot is a second older than the run: it is heard at its start, with the venue's own time."""
    tape = depth((1, "bid", "99", "1", SNAPSHOT | LAST), (1500, "bid", "99", "2", LAST))
    start = START + 1001 * MS
    assert [(event.ts, event.ts_venue) for event in decoded(tape, start)] == [
        (start, START + MS), (START + 1500 * MS + FEED, START + 1500 * MS),
    ]  # fmt: skip


# --- several streams ------------------------------------------------------------------------------------------------


def heard(tapes: list[Tape], *streams: tuple[str, str]) -> list[MarketEvent]:
    feed = TapeStreams(tapes, {})
    for symbol, kind in streams:
        feed.subscribe(VENUE, symbol, kind)
    return list(chain.from_iterable(feed.events()))


def test_at_one_nanosecond_symbols_come_first_then_kinds_then_rows() -> None:
    """Everything at START + 60 s: Y was named first in the data, so all of Y comes before X."""
    minute = 60_000
    tapes = [
        tape_of(flat("1"), "Y"), trades((minute, "1"), (minute, "2"), symbol="Y"), tape_of(flat("1"), "X"),
        ticks("funding", [{"at": minute, "rate": "0.001", "mark": "1"}]), quotes((minute, "1", "2")),
        depth((minute, "bid", "1", "1", LAST)), trades((minute, "3")),
        ticks("marks", [{"at": minute, "open": "1", "high": "1", "low": "1", "close": "1"}]),
    ]  # fmt: skip
    streams = [(tape.symbol, tape.kind) for tape in tapes]
    told = [(event.symbol, type(event).__name__) for event in heard(tapes, *reversed(streams))]
    assert told == [
        ("Y", "TradeTick"), ("Y", "TradeTick"), ("Y", "Bar"), ("X", "TradeTick"), ("X", "BookUpdate"),
        ("X", "QuoteTick"), ("X", "MarkPrice"), ("X", "FundingRate"), ("X", "Bar"),
    ]  # fmt: skip


@given(st.lists(st.lists(st.integers(0, 6), max_size=12).map(sorted), min_size=2, max_size=4), st.integers(1, 3))
def test_merging_is_sorting_by_receipt_then_stream_then_row(times: list[list[int]], size: int) -> None:
    """However the streams are cut into batches, empty ones among them, and however many rows share a nanosecond."""

    def events(number: int) -> list[MarketEvent]:
        return [MarkPrice(ts, row, "v", str(number), 0.0) for row, ts in enumerate(times[number])]

    def stream(number: int) -> Iterator[list[MarketEvent]]:
        rows = events(number)
        for first in range(0, len(rows), size):
            yield rows[first : first + size]
            yield []

    everything = [event for number in range(len(times)) for event in events(number)]
    expected = sorted(everything, key=lambda event: (event.ts, int(event.symbol), event.ts_venue))
    lists = list(merged([stream(number) for number in range(len(times))]))
    assert list(chain.from_iterable(lists)) == expected
    assert all(lists)


def test_a_stream_nobody_asked_for_never_becomes_events(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any) -> list[MarketEvent]:
        raise AssertionError("a print nobody hears was decoded")

    monkeypatch.setitem(tape_events.DECODERS, "trades", explode)
    tapes = [trades((1, "1"), (2, "2")), quotes((1, "1", "2"))]
    assert [type(event) for event in heard(tapes, ("X", "quotes"))] == [QuoteTick]
    with pytest.raises(AssertionError, match="nobody hears"):
        heard(tapes, ("X", "trades"))


def test_a_stream_that_two_ask_for_is_heard_once() -> None:
    assert len(heard([trades((1, "1"))], ("X", "trades"), ("X", "trades"))) == 1


def test_what_no_tape_has_and_what_only_the_venue_reads_is_refused() -> None:
    index = ticks("index", [{"at": 1, "open": "1", "high": "1", "low": "1", "close": "1"}])
    feed = TapeStreams([trades((1, "1")), index], {})
    with pytest.raises(UsageError, match=f"no tape has quotes of X at {VENUE}; this run has {VENUE} X trades"):
        feed.subscribe(VENUE, "X", "quotes")
    with pytest.raises(UsageError, match="index of X is for the venue alone and cannot be heard"):
        feed.subscribe(VENUE, "X", "index")


def test_a_run_lasts_to_the_last_row_of_all_tapes_heard_or_not() -> None:
    feed = TapeStreams([trades((1, "1")), quotes((9, "1", "2"))], {VENUE: FEED})
    feed.subscribe(VENUE, "X", "trades")
    assert feed.end == START + 9 * MS + FEED


def test_every_kind_of_tape_has_a_decoder_or_is_the_venues() -> None:
    assert {*tape_events.DECODERS, "depth"} == set(KINDS)


def test_long_tapes_leave_in_batches_that_are_as_small_as_promised() -> None:
    count = 10_000
    tape = trades(*[(n, "100") for n in range(count)])
    sizes = [len(batch) for batch in batches(tape, 0)]
    assert max(sizes) <= tape_events.BATCH < count and sum(sizes) == count
    assert np.all(np.diff([event.ts for event in decoded(tape)]) > 0)
