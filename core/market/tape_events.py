"""Rows of a tape as events: one decoder per kind, in batches, and several streams merged in order of receipt.

Whoever plays tapes uses these, so that every mode hears the same events. Prices and sizes are the floats nearest to the
tape's decimals. Index tapes have no event: the venue reads them, nothing inside hears them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import compress, repeat
from operator import attrgetter

import numpy as np

from core.errors import UsageError
from core.events import Bar, BookUpdate, Event, FundingRate, MarketEvent, MarkPrice, QuoteTick, TradeTick
from core.moments import INF
from core.tape import LAST, SNAPSHOT, Column, Rows

BATCH = 4096
"""Rows decoded at once: about a megabyte of events, a few milliseconds of work."""
KINDS = ("trades", "depth", "quotes", "marks", "funding", "bars")
"""Kinds that have events, in the order in which those of one symbol are heard at one nanosecond."""
KIND_OF: dict[type[Event], str] = {
    TradeTick: "trades",
    BookUpdate: "depth",
    QuoteTick: "quotes",
    MarkPrice: "marks",
    FundingRate: "funding",
    Bar: "bars",
}
"""Of which kind of tape an event is a row."""
SIDES = np.array([None, "buy", "sell"], dtype=object)
"""By a row's `side`: 1 is a buy, -1 a sell, counted from the end."""
RECEIVED = attrgetter("ts")

Columns = Mapping[str, Column]
Stream = tuple[str, str, str]
"""(venue, symbol, kind)"""


class TapeStreams:
    """The tapes of a run, and which of them somebody hears: the others never become events."""

    def __init__(self, tapes: Sequence[Rows], feed_ns: Mapping[str, int], start: int = 0) -> None:
        """Tapes in the order of the run's symbols; `feed_ns` per venue. Nothing is heard before `start`."""
        self._tapes: dict[Stream, Rows] = {(tape.venue, tape.symbol, tape.kind): tape for tape in tapes}
        self._feed_ns = feed_ns
        self._start = start
        self._heard: set[Stream] = set()
        self._begun = False
        self.end = max((t.edges.last_ts + feed_ns.get(t.venue, 0) for t in tapes if len(t)), default=start)
        """Receipt time of the last row of all tapes, heard or not: until then the run goes on."""

    def subscribe(self, venue: str, symbol: str, kind: str) -> None:
        """Hear this stream; asked for twice it is heard once.

        Raises UsageError where there is none, or where the tapes are played already.
        """
        if (venue, symbol, kind) not in self._tapes:
            have = ", ".join(f"{v} {s} {k}" for v, s, k in self._tapes)
            raise UsageError(f"no tape has {kind} of {symbol} at {venue}; this run has {have}")
        if kind not in KINDS:
            raise UsageError(f"{kind} of {symbol} is for the venue alone and cannot be heard; {', '.join(KINDS)} can")
        if self._begun and (venue, symbol, kind) not in self._heard:
            raise UsageError(
                f"{kind} of {symbol} can be asked for before time starts only: do it right after the engine is entered"
            )
        self._heard.add((venue, symbol, kind))

    def events(self) -> Iterator[Sequence[MarketEvent]]:
        """What is heard, in lists that are never empty: by receipt time, then symbol, kind and row."""
        self._begun = True
        symbols = list(dict.fromkeys((venue, symbol) for venue, symbol, _ in self._tapes))
        order = sorted(self._heard, key=lambda one: (symbols.index(one[:2]), KINDS.index(one[2])))
        streams = [batches(self._tapes[one], self._feed_ns.get(one[0], 0), self._start) for one in order]
        return filter(None, streams[0]) if len(streams) == 1 else merged(streams)


def batches(tape: Rows, feed_ns: int, start: int = 0) -> Iterator[Sequence[MarketEvent]]:
    """A tape's events in receipt order, in lists. `feed_ns` more than the row's own `ts` pass before we hear it.

    Nothing is heard before `start`: rows that build the book the run begins with are heard then.
    """
    if tape.kind == "depth":
        yield from _book_updates(tape, feed_ns, start)
        return
    decode = DECODERS[tape.kind]
    for columns in tape.chunks(BATCH):
        yield decode(tape, columns, np.maximum(columns["ts"] + feed_ns, start))


def merged(streams: Sequence[Iterator[Sequence[MarketEvent]]]) -> Iterator[Sequence[MarketEvent]]:
    """Several streams as one, by receipt time; at one nanosecond in the order of `streams`, then of their rows."""
    sources = [*streams]
    heads: list[list[MarketEvent]] = [[] for _ in sources]
    over = [not _load(source, head) for source, head in zip(sources, heads, strict=True)]
    while any(heads):
        # The last rows of a batch may go on at the same nanosecond in the next one: they wait for it.
        bound = min((head[-1].ts for head, ended in zip(heads, over, strict=True) if not ended), default=INF)
        ready: list[MarketEvent] = []
        for at, head in enumerate(heads):
            cut = len(head) if bound == INF else bisect_left(head, bound, key=RECEIVED)
            ready += head[:cut]
            heads[at] = head[cut:]
        ready.sort(key=RECEIVED)  # stable: the order of streams stays within one nanosecond
        if ready:
            yield ready
        for at, head in enumerate(heads):
            if not over[at] and head[-1].ts == bound:
                over[at] = not _load(sources[at], head)


def _load(source: Iterator[Sequence[MarketEvent]], head: list[MarketEvent]) -> bool:
    """Add the next batch that holds anything; False where the source is over."""
    for batch in source:
        if batch:
            head += batch
            return True
    return False


# --- one decoder per kind -------------------------------------------------------------------------------------------


def _bars(tape: Rows, columns: Columns, received: Column) -> list[MarketEvent]:
    prices = (_floats(columns[name], tape.price_scale) for name in ("open", "high", "low", "close"))
    volume = _floats(columns["volume"], tape.size_scale)
    return list(map(Bar, *_heads(tape, columns, received), repeat(tape.interval_ns), *prices, volume))


def _trades(tape: Rows, columns: Columns, received: Column) -> list[MarketEvent]:
    price, size = _floats(columns["price"], tape.price_scale), _floats(columns["size"], tape.size_scale)
    return list(map(TradeTick, *_heads(tape, columns, received), price, size, SIDES[columns["side"]].tolist()))


def _quotes(tape: Rows, columns: Columns, received: Column) -> list[MarketEvent]:
    bid, ask = (_floats(columns[name], tape.price_scale) for name in ("bid_price", "ask_price"))
    bid_qty, ask_qty = (_floats(columns[name], tape.size_scale) for name in ("bid_size", "ask_size"))
    return list(map(QuoteTick, *_heads(tape, columns, received), bid, bid_qty, ask, ask_qty))


def _marks(tape: Rows, columns: Columns, received: Column) -> list[MarketEvent]:
    return list(map(MarkPrice, *_heads(tape, columns, received), _floats(columns["close"], tape.price_scale)))


def _funding(tape: Rows, columns: Columns, received: Column) -> list[MarketEvent]:
    return list(map(FundingRate, *_heads(tape, columns, received), _floats(columns["rate"], tape.size_scale)))


DECODERS: dict[str, Callable[[Rows, Columns, Column], list[MarketEvent]]] = {
    "bars": _bars,
    "trades": _trades,
    "quotes": _quotes,
    "marks": _marks,
    "funding": _funding,
}


def _book_updates(tape: Rows, feed_ns: int, start: int) -> Iterator[Sequence[MarketEvent]]:
    """One event per message, which may be cut by the end of a chunk; a last one that is never ended is whole too."""
    rest: Columns | None = None
    for chunk in tape.chunks(BATCH):
        columns = chunk if rest is None else {n: np.concatenate((rest[n], c)) for n, c in chunk.items()}
        ends = (np.flatnonzero(columns["flags"] & LAST) + 1).tolist()
        yield _messages(tape, columns, ends, feed_ns, start)
        whole = ends[-1] if ends else 0
        rest = {name: column[whole:] for name, column in columns.items()}
    if rest is not None and len(rest["ts"]):
        yield _messages(tape, rest, [len(rest["ts"])], feed_ns, start)


def _messages(tape: Rows, columns: Columns, ends: list[int], feed_ns: int, start: int) -> list[MarketEvent]:
    levels = list(
        zip(_floats(columns["price"], tape.price_scale), _floats(columns["size"], tape.size_scale), strict=True)
    )
    is_bid, is_ask = (columns["side"] > 0).tolist(), (columns["side"] < 0).tolist()
    received, happened, flags = (columns[name].tolist() for name in ("ts", "ts_venue", "flags"))
    made: list[MarketEvent] = []
    first = 0
    for stop in ends:
        rows = levels[first:stop]
        bids, asks = tuple(compress(rows, is_bid[first:stop])), tuple(compress(rows, is_ask[first:stop]))
        at, venue_at = max(received[stop - 1] + feed_ns, start), happened[stop - 1]
        snapshot = bool(flags[first] & SNAPSHOT)
        made.append(BookUpdate(at, venue_at, tape.venue, tape.symbol, bids, asks, snapshot))
        first = stop
    return made


def _heads(tape: Rows, columns: Columns, received: Column) -> tuple[list[int], list[int], Iterator[str], Iterator[str]]:
    """What every market event begins with: `ts`, `ts_venue`, `venue`, `symbol`.

    Without a feed latency both times are often the same numbers: those are made once.
    """
    ts = received.tolist()
    same = np.array_equal(columns["ts_venue"], received)
    return ts, ts if same else columns["ts_venue"].tolist(), repeat(tape.venue), repeat(tape.symbol)


def _floats(column: Column, scale: int) -> list[float]:
    values: list[float] = (column / 10.0**scale).tolist()
    return values
