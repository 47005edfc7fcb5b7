"""A tape: market data of one venue, symbol and kind, as columns.

Every number of a tape is an int64 mantissa: value = mantissa x 10^-scale, scales in the tape's head. Times are int64
nanoseconds UTC. Rows are sorted by receipt (`ts`); no row has `ts` before `ts_venue`.

Columns of kind `bars`: `ts_venue` (the bar's close: open time + interval), `ts`, `open`, `high`, `low`, `close`
(price scale), `volume` (size scale, base units).
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec
import numpy as np

Column = np.ndarray
Kind = Literal["bars", "trades", "quotes", "depth", "l3", "marks", "index", "funding"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "bars": ("ts_venue", "ts", "open", "high", "low", "close", "volume"),
}
"""Columns per kind, in the order in which they are hashed. Other kinds arrive with their readers."""


class Gap(msgspec.Struct, frozen=True):
    """A hole: rows are missing from `since` (inclusive) up to `until` (exclusive), int nanoseconds UTC."""

    since: int
    until: int
    rows: int
    """How many rows of the tape's interval are missing."""


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
        digest = hashlib.sha256(
            f"{self.kind}|{self.venue}|{self.symbol}|{self.interval_ns}|{self.price_scale}|{self.size_scale}".encode()
        )
        for name in COLUMNS[self.kind]:
            digest.update(np.ascontiguousarray(self.columns[name], dtype="<i8").data)
        return digest.hexdigest()

    def between(self, start: int | None, end: int | None) -> Tape:
        """The rows with start <= open time and close <= end (bars), as a tape of its own."""
        closes = self.columns["ts_venue"]
        low = 0 if start is None else int(np.searchsorted(closes, start + self.interval_ns, side="left"))
        high = len(closes) if end is None else int(np.searchsorted(closes, end, side="right"))
        if low == 0 and high == len(closes):
            return self
        return Tape(
            kind=self.kind,
            venue=self.venue,
            symbol=self.symbol,
            columns={name: column[low:high].copy() for name, column in self.columns.items()},
            price_scale=self.price_scale,
            size_scale=self.size_scale,
            interval_ns=self.interval_ns,
            source=self.source,
            gaps=tuple(
                gap for gap in self.gaps if (start is None or gap.until > start) and (end is None or gap.since < end)
            ),
            notes=self.notes,
        )

    def floats(self, name: str, start: int = 0, stop: int | None = None) -> Column:
        """A price or size column as float64: each the float nearest to the exact decimal."""
        scale = self.size_scale if name == "volume" else self.price_scale
        return self.columns[name][start:stop] / 10.0**scale
