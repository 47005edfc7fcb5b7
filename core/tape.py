"""A tape: market data of one venue, symbol and kind, as columns.

Every number of a tape is an int64 mantissa: value = mantissa x 10^-scale, scales in the tape's head. Times are int64
nanoseconds UTC. Rows are sorted by receipt (`ts`); no row has `ts` before `ts_venue`.

Columns of kind `bars`: `ts_venue` (the bar's close: open time + interval), `ts`, `open`, `high`, `low`, `close`
(price scale), `volume` (size scale, base units). `marks` and `index` are bars without a volume; with an interval of 0
they are single prices, all four columns equal. `trades`: `side` is the aggressor's, 1 buy and -1 sell. `quotes`: best
bid and ask, a size of 0 is a side without a quote. `depth`: one row per level that changed, `size` is what the level
holds then, 0 deletes it; `side` 1 bid, -1 ask. `l3`: one row per order of the book. `funding`: `rate` is a fraction at
the size scale, `mark` a price or 0 where the row does not say. Columns `side`, `action` and `flags` are int8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec
import numpy as np

Column = np.ndarray
Kind = Literal["bars", "trades", "quotes", "depth", "l3", "marks", "index", "funding"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "bars": ("ts_venue", "ts", "open", "high", "low", "close", "volume"),
    "trades": ("ts_venue", "ts", "price", "size", "side", "flags"),
    "quotes": ("ts_venue", "ts", "bid_price", "bid_size", "ask_price", "ask_size"),
    "depth": ("ts_venue", "ts", "price", "size", "side", "flags"),
    "l3": ("ts_venue", "ts", "price", "size", "side", "action", "order_id", "flags"),
    "marks": ("ts_venue", "ts", "open", "high", "low", "close"),
    "index": ("ts_venue", "ts", "open", "high", "low", "close"),
    "funding": ("ts_venue", "ts", "rate", "mark"),
}
"""Columns per kind, in the order in which they are hashed."""
BLOCK, RPI, INSURANCE = 1, 2, 4
"""Bits of `flags` of trades: prints that F4 and F5 leave out, wholly or in part."""
SNAPSHOT, LAST = 1, 2
"""Bits of `flags` of depth and l3: a row of a snapshot (levels it omits are gone), the last row of its message."""
ADD, MODIFY, DELETE = 0, 1, 2
"""Values of `action` of l3."""
NARROW = ("side", "action", "flags")
"""Columns of int8; every other is int64."""
LOWEST = {
    "bars": ("low", None),
    "trades": ("price", "size"),
    "quotes": ("bid_price", "bid_size"),
    "depth": ("price", "size"),
}
"""Where the lowest price of a kind is looked for, and the column that says above 0 that there is one."""
SIZES = ("volume", "size", "bid_size", "ask_size", "rate")
"""Columns at the size scale; other numbers that are no times are at the price scale."""


class Gap(msgspec.Struct, frozen=True):
    """A hole: rows are missing from `since` (inclusive) up to `until` (exclusive), int nanoseconds UTC, venue time."""

    since: int
    until: int
    rows: int
    """Bars: how many of the tape's interval are missing. Trades: how many ids. Depth: recorded rows left out, because
    they change a book nobody knew; 0 where the stream goes on without a snapshot."""


class Edges(msgspec.Struct, frozen=True):
    """Both times of a tape's first and last row, int nanoseconds UTC; all 0 where it has no row."""

    first_ts_venue: int = 0
    first_ts: int = 0
    last_ts_venue: int = 0
    last_ts: int = 0


class Rows(Protocol):
    """What `Tape` and a tape still on the disk have in common: everything but the columns in memory."""

    kind: Kind
    venue: str
    symbol: str
    price_scale: int
    size_scale: int
    interval_ns: int
    source: str
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]

    @property
    def tape_id(self) -> str: ...

    @property
    def max_disorder_ns(self) -> int:
        """The most that `ts_venue` falls behind its running maximum in receipt order; a part may say its whole's."""
        ...

    @property
    def edges(self) -> Edges: ...

    @property
    def lowest(self) -> int | None:
        """The lowest price at which something stands or traded, mantissa; None where there is none."""
        ...

    def __len__(self) -> int: ...

    def chunks(self, rows: int, names: Sequence[str] | None = None) -> Iterator[dict[str, Column]]:
        """The tape from its first row on, `rows` at a time (fewer in the last); of the columns `names`, else of all."""
        ...

    def between(self, start: int | None, end: int | None) -> Rows:
        """A part of the tape, see `Tape.between`."""
        ...

    def at_venue(self, venue: str) -> Rows:
        """The same rows under another venue name."""
        ...

    def load(self) -> Tape:
        """All of it in memory, for what needs any row at any time: bars, funding."""
        ...


class Tape:
    """Columns and what they mean. Immutable by convention: the arrays are set read-only."""

    __slots__ = (
        "columns",
        "gaps",
        "interval_ns",
        "kind",
        "notes",
        "price_scale",
        "size_scale",
        "source",
        "symbol",
        "tape_id",
        "venue",
    )

    def __init__(
        self,
        *,
        kind: Kind,
        venue: str,
        symbol: str,
        columns: dict[str, Column],
        price_scale: int,
        size_scale: int,
        interval_ns: int = 0,
        source: str,
        gaps: tuple[Gap, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.kind: Kind = kind
        self.venue = venue
        self.symbol = symbol
        self.columns = columns
        self.price_scale = price_scale
        """Prices are mantissa x 10^-price_scale."""
        self.size_scale = size_scale
        self.interval_ns = interval_ns
        """Bars only: length of a bar, nanoseconds."""
        self.source = source
        """Where it came from, for people: a file name or a venue's endpoint."""
        self.gaps = gaps
        self.notes = notes
        """What the reader had to do or noticed: one sentence each, shown in the run's summary."""
        for column in columns.values():
            column.flags.writeable = False
        self.tape_id = self._hash()
        """sha256 over head and columns: same rows, same id, whatever file they came from."""

    def __len__(self) -> int:
        return len(self.columns["ts"])

    def _hash(self) -> str:
        return tape_hash(self, lambda name: [self.columns[name]])

    @property
    def max_disorder_ns(self) -> int:
        """The most that `ts_venue` falls behind its running maximum in receipt order: 0 where both orders agree."""
        return disorder_ns(self.columns["ts_venue"])

    @property
    def edges(self) -> Edges:
        """Both times of the first and the last row."""
        if not len(self):
            return Edges()
        return Edges(*(int(self.columns[name][row]) for row in (0, -1) for name in ("ts_venue", "ts")))

    @property
    def lowest(self) -> int | None:
        """The lowest price at which something stands or traded, mantissa; None where there is none."""
        return lowest_of(self.kind, self.columns)

    def load(self) -> Tape:
        """Itself: it is in memory."""
        return self

    def chunks(self, rows: int, names: Sequence[str] | None = None) -> Iterator[dict[str, Column]]:
        """The tape from its first row on, `rows` at a time (fewer in the last): views, nothing is copied."""
        columns = self.columns if names is None else {name: self.columns[name] for name in names}
        for low in range(0, len(self), rows):
            yield {name: column[low : low + rows] for name, column in columns.items()}

    def between(self, start: int | None, end: int | None) -> Tape:
        """A part of the tape as a tape of its own.

        Bars (of trades, marks, indexes): start <= open time and close <= end. Other rows: start <= ts <= end; of depth
        and l3 also what builds the book at `start`, that is everything since the last snapshot before it.
        """
        low, high = self._bounds(start, end)
        if low == 0 and high == len(self):
            return self
        columns = {name: column[low:high].copy() for name, column in self.columns.items()}
        return in_memory(self, columns, gaps_within(self.gaps, start, end))

    def at_venue(self, venue: str) -> Tape:
        """The same rows under another venue name."""
        return in_memory(self, self.columns, self.gaps, venue=venue)

    def _bounds(self, start: int | None, end: int | None) -> tuple[int, int]:
        by_close = self.interval_ns > 0
        times = self.columns["ts_venue" if by_close else "ts"]
        opens = self.interval_ns if by_close else 0
        low = 0 if start is None else int(np.searchsorted(times, start + opens, side="left"))
        high = len(times) if end is None else int(np.searchsorted(times, end, side="right"))
        if self.kind in ("depth", "l3"):
            low = snapshot_before(self.columns["flags"][:low]) or 0
        return low, high

    def floats(self, name: str, start: int = 0, stop: int | None = None) -> Column:
        """A price or size column as float64: each the float nearest to the exact decimal."""
        scale = self.size_scale if name in SIZES else self.price_scale
        return self.columns[name][start:stop] / 10.0**scale


def in_memory(
    rows: Rows,
    columns: dict[str, Column],
    gaps: Sequence[Gap],
    *,
    venue: str | None = None,
    source: str | None = None,
    notes: Sequence[str] | None = None,
) -> Tape:
    """A tape with these columns and gaps that says of itself what `rows` do; None: that too."""
    return Tape(
        kind=rows.kind,
        venue=rows.venue if venue is None else venue,
        symbol=rows.symbol,
        columns=columns,
        price_scale=rows.price_scale,
        size_scale=rows.size_scale,
        interval_ns=rows.interval_ns,
        source=rows.source if source is None else source,
        gaps=tuple(gaps),
        notes=rows.notes if notes is None else tuple(notes),
    )


def tape_hash(
    tape: Rows,
    parts_of: Callable[[str], Iterable[Column]],
    *,
    price_scale: int | None = None,
    size_scale: int | None = None,
) -> str:
    """sha256 over a tape's head and its columns one after the other, each given in parts from its first row on.

    Scales are given where the columns come at others than the tape's.
    """
    scales = (
        tape.price_scale if price_scale is None else price_scale,
        tape.size_scale if size_scale is None else size_scale,
    )
    digest = hashlib.sha256(
        f"{tape.kind}|{tape.venue}|{tape.symbol}|{tape.interval_ns}|{scales[0]}|{scales[1]}".encode()
    )
    for name in COLUMNS[tape.kind]:
        for part in parts_of(name):
            digest.update(np.ascontiguousarray(part, dtype="<i8").data)
    return digest.hexdigest()


def is_number(name: str) -> bool:
    """Whether a column holds prices, sizes or rates, which have a scale."""
    return name not in ("ts_venue", "ts", "order_id") and name not in NARROW


def is_streamed(tape: Rows) -> bool:
    """Whether a tape is read as time goes on: ticks are; of bars and funding any row may be asked for at any time."""
    return not tape.interval_ns and tape.kind not in ("bars", "funding")


def gaps_within(gaps: Iterable[Gap], start: int | None, end: int | None) -> tuple[Gap, ...]:
    """The holes that touch a range."""
    return tuple(gap for gap in gaps if (start is None or gap.until > start) and (end is None or gap.since < end))


def lowest_of(kind: Kind, columns: Mapping[str, Column]) -> int | None:
    """The lowest price among rows where something stands or traded; None where there is none, or no grid."""
    if kind not in LOWEST:
        return None
    name, size = LOWEST[kind]
    prices = columns[name] if size is None else columns[name][columns[size] > 0]
    return int(prices.min()) if len(prices) else None


def snapshot_before(flags: Column, before: int = 0) -> int | None:
    """The first row of the last snapshot among these rows, `before` being the flags of the row before them."""
    snapshot = flags & SNAPSHOT != 0
    previous = np.concatenate((np.array([before], dtype=flags.dtype), flags[:-1]))[: len(flags)]
    goes_on = (previous & SNAPSHOT != 0) & (previous & LAST == 0)
    firsts = np.flatnonzero(snapshot & ~goes_on)
    return int(firsts[-1]) if len(firsts) else None


def disorder_ns(ts_venue: Column) -> int:
    """The most that a time falls behind the latest before it; 0 for an empty column."""
    return int((np.maximum.accumulate(ts_venue) - ts_venue).max(initial=0))
