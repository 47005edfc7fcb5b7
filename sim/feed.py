"""Tapes as market data: what the inside hears (bars at their close), and what the venue walks (bars at their open).

Rows become events in batches and only where somebody subscribed; a batch is decoded at once, so a bar costs its struct
and little else. The venue's cursor reads the same columns and never hands a row to the inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import msgspec
import numpy as np

from core.errors import UsageError
from core.events import Bar
from core.tape import Tape

INF = 2**63 - 1
BATCH = 4096
"""Bars decoded at once: about a megabyte of events, a few milliseconds of work."""
DAY_NS = 86_400_000_000_000


class BarStream:
    """The bars of one tape as events, in receipt order."""

    def __init__(self, tape: Tape, feed_ns: int) -> None:
        self.tape = tape
        self.feed_ns = feed_ns

    def batches(self) -> Iterator[list[Bar]]:
        """Events in lists of at most BATCH."""
        tape = self.tape
        for start in range(0, len(tape), BATCH):
            stop = start + BATCH
            received = tape.columns["ts"][start:stop] + self.feed_ns
            yield list(
                map(
                    Bar,
                    received.tolist(),
                    tape.columns["ts_venue"][start:stop].tolist(),
                    repeat(tape.venue),
                    repeat(tape.symbol),
                    repeat(tape.interval_ns),
                    *(tape.floats(name, start, stop).tolist() for name in ("open", "high", "low", "close", "volume")),
                )
            )


class SimFeed:
    """Every tape of the run: decoded batches for the world to hand on."""

    def __init__(self, tapes: list[Tape], feed_ns: dict[str, int]) -> None:
        self._tapes: dict[tuple[str, str, str], Tape] = {(tape.venue, tape.symbol, tape.kind): tape for tape in tapes}
        self._feed_ns = feed_ns
        self._streams: list[BarStream] = []
        self._batches: Iterator[list[Bar]] = iter(())
        self.batch: list[Bar] = []
        """Decoded events; those before `index` are delivered."""
        self.index = 0
        self.next_ts = INF
        """Receipt time of the next event; INF at the end of all tapes."""

    def subscribe(self, venue: str, symbol: str, kind: str) -> None:
        tape = self._tapes.get((venue, symbol, kind))
        if tape is None:
            have = ", ".join(f"{v} {s} {k}" for v, s, k in self._tapes)
            raise UsageError(f"no tape has {kind} of {symbol} at {venue}; this run has {have}")
        self._streams.append(BarStream(tape, self._feed_ns.get(venue, 0)))

    def start(self) -> None:
        """Decode the first batch."""
        if len(self._streams) == 1:
            self._batches = self._streams[0].batches()
        else:
            self._batches = self._merged()
        self._load()

    def pop(self) -> Bar:
        """The next event."""
        event = self.batch[self.index]
        self.passed(self.index + 1)
        return event

    def passed(self, index: int) -> None:
        """Events of the batch before `index` are delivered; the next batch is decoded when this one is used up."""
        self.index = index
        if index < len(self.batch):
            self.next_ts = self.batch[index].ts
        else:
            self._load()

    def _load(self) -> None:
        self.index = 0
        self.batch = next(self._batches, [])
        self.next_ts = self.batch[0].ts if self.batch else INF

    def _merged(self) -> Iterator[list[Bar]]:
        """Several streams by receipt time; at one nanosecond in the order of the run's symbols."""
        sources = [stream.batches() for stream in self._streams]
        heads: list[list[Bar]] = [next(source, []) for source in sources]
        while any(heads):
            # Everything up to the earliest end of the loaded batches can be put in order now.
            bound = min(head[-1].ts for head in heads if head)
            ready: list[Bar] = []
            for index, head in enumerate(heads):
                if head and head[0].ts <= bound:
                    cut = _first_after(head, bound)
                    ready += head[:cut]
                    heads[index] = head[cut:] or next(sources[index], [])
            ready.sort(key=_received)
            yield ready


def _received(bar: Bar) -> int:
    return bar.ts


def _first_after(bars: list[Bar], bound: int) -> int:
    low, high = 0, len(bars)
    while low < high:
        middle = (low + high) // 2
        if bars[middle].ts <= bound:
            low = middle + 1
        else:
            high = middle
    return low


class BarRow(msgspec.Struct, frozen=True, gc=False):
    """One bar as the venue walks it: int mantissas."""

    row: int
    open_time: int
    open: int
    high: int
    low: int
    close: int
    volume: int

    def scaled(self, factor: int) -> BarRow:
        """The same prices in a finer unit."""
        return BarRow(
            self.row,
            self.open_time,
            self.open * factor,
            self.high * factor,
            self.low * factor,
            self.close * factor,
            self.volume,
        )


class TapeCursor:
    """A venue's way through a tape of bars, by engine time. Rows are read as plain ints."""

    def __init__(self, tape: Tape, history: Tape | None = None) -> None:
        """`history` is what lies before the tape at the same source: `day_before` looks back into it, nobody else.

        A row's number, and so a fill's cause, counts within the tape itself.
        """
        self.interval_ns = tape.interval_ns
        self.price_scale = tape.price_scale
        self.size_scale = tape.size_scale
        self.tape_id = tape.tape_id[:16]
        """First 16 of the tape's hash: what a fill names as its cause."""
        columns = tape.columns
        self._opens = columns["ts_venue"] - tape.interval_ns
        self._prices = tuple(columns[name] for name in ("open", "high", "low", "close", "volume"))
        self._closes = columns["close"]
        self._count = len(tape)
        self._next = 0
        self._history = history
        self._past: tuple[np.ndarray, np.ndarray, int] | None = None

    def at(self, ts: int) -> BarRow | None:
        row = self._next
        if row >= self._count or self._opens.item(row) != ts:
            row = self._row_at(ts)
        self._next = row + 1
        if row < 0 or ts >= self._open_of(row) + self.interval_ns:
            return None
        return self._read(row)

    def next_open(self) -> int:
        return self._open_of(self._next) if self._next < self._count else INF

    def take(self) -> BarRow:
        self._next += 1
        return self._read(self._next - 1)

    def close_before(self, in_hole: bool) -> int | None:
        """Close of the bar before the current one, or before the hole we stand in, mantissa; None at the first."""
        row = self._next - (1 if in_hole else 2)
        return int(self._closes[row]) if row >= 0 else None

    def day_before(self, row: int) -> tuple[float, float] | None:
        """Realised volatility and volume of the 24 h before a row's open, scaled up where less than a day is known.

        sigma = sqrt(sum of squared log returns), volume in base units. None with fewer than two bars before the row.
        """
        bars = max(1, DAY_NS // self.interval_ns)
        if self._past is None:
            self._past = self._sums(bars)
        squares, volumes, before = self._past
        row += before
        first = max(0, row - bars)
        if row - first < 2:
            return None
        whole = bars / (row - first)
        # The first return that is known of is unknown itself and counts as 0.
        return (
            float(((squares[row] - squares[first]) * whole) ** 0.5),
            float((volumes[row] - volumes[first]) * whole),
        )

    def _sums(self, bars: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Running sums of squared returns and of volume, and how many rows of the history come first in them."""
        closes, volumes, before = self._closes, self._prices[4], 0
        if self._history is not None:
            # One row more than a day: the first return of the day needs the close before it.
            closes_before = self._history.columns["close"][-(bars + 1) :]
            before = len(closes_before)
            closes = np.concatenate((closes_before, closes))
            volumes = np.concatenate((self._history.columns["volume"][-(bars + 1) :], volumes))
        logs = np.log(closes.astype(np.float64))
        returns = np.diff(logs, prepend=logs[:1])
        sizes = volumes / 10.0**self.size_scale
        return (
            np.concatenate(([0.0], np.cumsum(returns * returns))),
            np.concatenate(([0.0], np.cumsum(sizes))),
            before,
        )

    def _row_at(self, ts: int) -> int:
        """The last row that opens at or before `ts`; usually the next one or the one after a few regular steps."""
        count = self._count
        guess = self._next
        if guess < count:
            guess = min(count - 1, max(0, guess + (ts - self._open_of(guess)) // self.interval_ns))
            if self._open_of(guess) <= ts and (guess + 1 == count or ts < self._open_of(guess + 1)):
                return guess
        return int(np.searchsorted(self._opens, ts, side="right")) - 1

    def _open_of(self, row: int) -> int:
        return self._opens.item(row)  # type: ignore[no-any-return]  # int64: always an int

    def _read(self, row: int) -> BarRow:
        o, high, low, close, volume = self._prices
        opens = self._opens.item(row)
        return BarRow(row, opens, o.item(row), high.item(row), low.item(row), close.item(row), volume.item(row))
