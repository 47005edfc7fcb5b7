"""Several tapes of one kind that follow one another, read as one: the days of a cache, for instance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from adapters.columns import Origin
from adapters.decimals import Column
from core.tape import (
    COLUMNS,
    NARROW,
    SIZES,
    SNAPSHOT,
    Edges,
    Gap,
    Kind,
    Rows,
    Tape,
    gaps_within,
    in_memory,
    is_number,
    tape_hash,
)

CHUNK = 1 << 16
"""Rows read at once where only their digits or their hash are wanted."""
INT64_MAX = 2**63 - 1


class JoinedTape:
    """Parts in order of time, none of them empty, as one tape with the finest scales of all. Parts are cut between
    messages: the rows of one snapshot of a book stand in one of them."""

    def __init__(
        self, parts: Sequence[Rows], *, venue: str, source: str, gaps: Sequence[Gap] = (), notes: Sequence[str] = ()
    ) -> None:
        """`gaps` and `notes` are all there are: those of the parts are not asked for."""
        self.parts = tuple(parts)
        first = self.parts[0]
        self.kind: Kind = first.kind
        self.venue = venue
        self.symbol = first.symbol
        self.price_scale = max(part.price_scale for part in self.parts)
        self.size_scale = max(part.size_scale for part in self.parts)
        self.interval_ns = first.interval_ns
        self.source = source
        self.gaps = tuple(gaps)
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    # --- what it says of itself -------------------------------------------------------------------------------------

    @cached_property
    def tape_id(self) -> str:
        """sha256 over the ids of its parts; a part that was cut is named by its own rows at their smallest scales, so
        that it does not matter what else a file held."""
        head = f"joined|{self.kind}|{self.venue}|{self.symbol}|{self.interval_ns}"
        return hashlib.sha256("|".join([head, *map(_part_id, self.parts)]).encode()).hexdigest()

    @property
    def max_disorder_ns(self) -> int:
        """The most that `ts_venue` falls behind its running maximum, within a part or from one to the next."""
        most, latest = 0, -INT64_MAX
        for part in self.parts:
            # The latest venue time of a part lies behind its last row's by no more than its disorder.
            most = max(most, part.max_disorder_ns, latest - part.edges.first_ts_venue + part.max_disorder_ns)
            latest = max(latest, part.edges.last_ts_venue + part.max_disorder_ns)
        return most

    @property
    def edges(self) -> Edges:
        """Both times of the first and the last row."""
        first, last = self.parts[0].edges, self.parts[-1].edges
        received = max(part.edges.last_ts for part in self.parts)
        return Edges(first.first_ts_venue, first.first_ts, last.last_ts_venue, received)

    @property
    def lowest(self) -> int | None:
        """The lowest price at which something stands or traded, mantissa; None where there is none."""
        found = [(part.lowest, part.price_scale) for part in self.parts]
        return min((low * 10 ** (self.price_scale - scale) for low, scale in found if low is not None), default=None)

    # --- rows -------------------------------------------------------------------------------------------------------

    def chunks(self, rows: int, names: Sequence[str] | None = None) -> Iterator[dict[str, Column]]:
        """The tape from its first row on, `rows` at a time (fewer in the last). Raises DataError."""
        held: dict[str, Column] | None = None
        for columns in self._windows(rows, names):
            if held is not None:
                columns = {name: np.concatenate((held[name], column)) for name, column in columns.items()}
            count = len(next(iter(columns.values())))
            if count >= rows:
                yield {name: column[:rows] for name, column in columns.items()}
            low = rows if count >= rows else 0
            held = {name: column[low:] for name, column in columns.items()} if count > low else None
        if held is not None:
            yield held

    def load(self) -> Tape:
        """All of it in memory."""
        return self._held(list(self._windows(CHUNK, None)), self.gaps)

    def _held(self, windows: list[dict[str, Column]], gaps: tuple[Gap, ...]) -> Tape:
        nothing = {name: np.zeros(0, dtype=np.int8 if name in NARROW else np.int64) for name in COLUMNS[self.kind]}
        columns = {name: np.concatenate([none, *(part[name] for part in windows)]) for name, none in nothing.items()}
        return in_memory(self, columns, gaps)

    def _windows(self, rows: int, names: Sequence[str] | None) -> Iterator[dict[str, Column]]:
        """The windows of each part, at the scales of all. No receipt lies before the end of the part before."""
        floor = -INT64_MAX
        for part in self.parts:
            for columns in part.chunks(rows, names):
                out = {name: self._scaled(part, name, column) for name, column in columns.items()}
                if "ts" in out and part.edges.first_ts < floor:
                    out["ts"] = np.maximum(out["ts"], floor)
                yield out
            floor = max(floor, part.edges.last_ts)

    def _scaled(self, part: Rows, name: str, column: Column) -> Column:
        if not is_number(name):
            return column
        lag = self.size_scale - part.size_scale if name in SIZES else self.price_scale - part.price_scale
        if not lag:
            return column
        most = int(np.abs(column).max(initial=0))
        if most * 10**lag > INT64_MAX:
            raise Origin(part.source).whole(
                f"its {name} {most} x 10^-{part.price_scale} does not fit the unit of the other parts, 10^{lag} finer",
                "numbers of at most 18 digits",
                "read the parts one by one",
            )
        finer: Column = column * 10**lag
        return finer

    # --- parts ------------------------------------------------------------------------------------------------------

    def between(self, start: int | None, end: int | None) -> Rows:
        """A part of the tape, see `Tape.between`."""
        if self.interval_ns:
            return self.load().between(start, end)
        since = -INT64_MAX if start is None else start
        before = [part for part in self.parts if part.edges.last_ts < since]
        kept = [cut for part in self.parts[len(before) :] if len(cut := part.between(start, end))]
        if self.kind in ("depth", "l3"):
            # A snapshot that comes after `start` does not tell what the book was at `start`.
            while before and not (kept and kept[0].edges.first_ts < since and _begins_with_snapshot(kept[0])):
                cut = before.pop().between(start, end)
                if len(cut):
                    kept.insert(0, cut)
        if sum(map(len, kept)) == len(self):
            return self
        gaps = gaps_within(self.gaps, start, end)
        if not kept:
            return self._held([], gaps)
        return JoinedTape(kept, venue=self.venue, source=self.source, gaps=gaps, notes=self.notes)

    def at_venue(self, venue: str) -> JoinedTape:
        """The same rows under another venue name."""
        return JoinedTape(self.parts, venue=venue, source=self.source, gaps=self.gaps, notes=self.notes)


def _begins_with_snapshot(tape: Rows) -> bool:
    return bool(next(tape.chunks(1, ("flags",)))["flags"][0] & SNAPSHOT)


def _part_id(part: Rows) -> str:
    """The id of a part that is a whole file; else that of its rows at their smallest scales."""
    if getattr(part, "is_whole", False):
        return part.tape_id
    spare = {which: _spare_digits(part, which) for which in ("price", "size")}
    scales = {"price_scale": part.price_scale - spare["price"], "size_scale": part.size_scale - spare["size"]}

    def parts_of(name: str) -> Iterator[Column]:
        factor = 10 ** spare["size" if name in SIZES else "price"] if is_number(name) else 1
        return (columns[name] // factor for columns in part.chunks(CHUNK, (name,)))

    return tape_hash(part, parts_of, **scales) if any(spare.values()) else part.tape_id


def _spare_digits(part: Rows, which: str) -> int:
    """How many decimals no number of the part needs."""
    names = [name for name in COLUMNS[part.kind] if is_number(name) and (name in SIZES) == (which == "size")]
    spare = part.size_scale if which == "size" else part.price_scale
    for columns in part.chunks(CHUNK, names) if spare and names else ():
        while spare and any(bool((column % 10**spare).any()) for column in columns.values()):
            spare -= 1
        if not spare:
            break
    return spare
