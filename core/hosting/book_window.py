"""A window on our book of one symbol at one moment: read as far as a strategy looks, and no further."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from core.errors import UsageError
from core.ports import BookProvider, BookReader

Top = tuple[float, float, float, float]
"""Bid, bid quantity, ask, ask quantity; NaN and 0.0 for a side that is empty."""
Side = Literal["bid", "ask"]
Read = Callable[[int, Side, int | None], np.ndarray]
"""(moment, side, at most so many levels) to rows; raises UsageError once time has moved on."""


def opener(
    books: BookProvider, key: tuple[str, str], symbol: str, clock: Callable[[], int]
) -> Callable[[], BookWindow | None]:
    """A way to look at one symbol's book now; it gives None where the run has no such book.

    Functions rather than attributes hold the provider: nothing that a strategy is handed leads to the tape behind it.
    """
    reader: BookReader | None = None
    shown: BookWindow | None = None

    def open_now() -> BookWindow | None:
        nonlocal reader, shown
        now = clock()
        if shown is None or shown.now != now:  # all who look in one moment look through one window
            reader = books.book(*key, now)
            shown = None if reader is None else BookWindow(symbol, now, reader.best(), read)
        return shown

    def read(at: int, side: Side, count: int | None) -> np.ndarray:
        if clock() != at or reader is None:
            raise UsageError(
                f"this book of {symbol} was of an earlier moment and can be read no more: ask market_data.book "
                "anew in each call, and keep its rows rather than itself"
            )
        rows = reader.levels(side, count)
        rows.flags.writeable = False
        return rows

    return open_now


class BookWindow:
    """What `market_data.book` is. Prices in quote units, quantities in base units, floats.

    What was read stays as it was; levels that were not read in its own call cannot be read later (UsageError): the book
    has moved on by then.
    """

    __slots__ = ("_asks", "_bids", "_read", "best", "now", "symbol")

    def __init__(self, symbol: str, now: int, best: Top, read: Read) -> None:
        self.symbol = symbol
        self.now = now
        """The moment it shows, int nanoseconds UTC: every row received by then."""
        self.best = best
        """Bid, bid quantity, ask, ask quantity; NaN and 0.0 for a side that is empty."""
        self._read = read
        self._bids: BookSide | None = None
        self._asks: BookSide | None = None

    @property
    def bids(self) -> BookSide:
        """Best (highest) first: `bids[:5]` is an array of five rows (price, quantity)."""
        if self._bids is None:
            self._bids = BookSide(self._read, self.now, "bid")
        return self._bids

    @property
    def asks(self) -> BookSide:
        """Best (lowest) first."""
        if self._asks is None:
            self._asks = BookSide(self._read, self.now, "ask")
        return self._asks

    @property
    def best_bid(self) -> float | None:
        """None where there is no bid."""
        price, qty, _, _ = self.best
        return price if qty > 0 else None

    @property
    def best_ask(self) -> float | None:
        _, _, price, qty = self.best
        return price if qty > 0 else None

    @property
    def mid(self) -> float | None:
        """(best bid + best ask) / 2; None where a side is empty."""
        bid, bid_qty, ask, ask_qty = self.best
        return (bid + ask) / 2 if bid_qty > 0 and ask_qty > 0 else None

    @property
    def spread(self) -> float | None:
        """Best ask - best bid, quote units; None where a side is empty."""
        bid, bid_qty, ask, ask_qty = self.best
        return ask - bid if bid_qty > 0 and ask_qty > 0 else None

    def imbalance(self, levels: int = 1) -> float:
        """(B - A) / (B + A) of the quantities of the first `levels` levels: -1 all asks, 1 all bids, 0 where empty."""
        bid, ask = float(self.bids[:levels][:, 1].sum()), float(self.asks[:levels][:, 1].sum())
        return (bid - ask) / (bid + ask) if bid + ask > 0 else 0.0

    def plain(self, levels: int = 20) -> dict[str, Any]:
        """The same as plain floats, for `input: dict`: lists of [price, quantity], at most `levels` a side."""
        names = ("best_bid", "best_ask", "mid", "spread")
        sides = {"bids": self.bids[:levels].tolist(), "asks": self.asks[:levels].tolist()}
        return {**{name: getattr(self, name) for name in names}, **sides}

    def __getitem__(self, name: str) -> Any:
        if name in ("symbol", "now", "best", "bids", "asks", "best_bid", "best_ask", "mid", "spread"):
            return getattr(self, name)
        raise KeyError(f"{name!r}: a book knows bids, asks, best_bid, best_ask, mid, spread, imbalance(levels)")


class BookSide:
    """One side of a book as rows (price, quantity), best first. Slices are arrays; an index is one row."""

    __slots__ = ("_from", "_now", "_rows", "_side", "_whole")

    def __init__(self, read: Read, now: int, side: Side) -> None:
        self._from = read
        self._now = now
        self._side = side
        self._rows: np.ndarray | None = None
        self._whole = False

    def _read(self, count: int | None) -> np.ndarray:
        """At least the first `count` rows, where there are as many."""
        rows = self._rows
        if rows is None or not (self._whole or (count is not None and count <= len(rows))):
            rows = self._rows = self._from(self._now, self._side, count)
            self._whole = count is None or len(rows) < count
        return rows

    def __getitem__(self, at: Any) -> np.ndarray:
        count: int | None = None
        first = at[0] if isinstance(at, tuple) and at else at
        if isinstance(first, int) and first >= 0:
            count = first + 1
        elif isinstance(first, slice) and isinstance(first.stop, int) and first.stop >= 0 and (first.start or 0) >= 0:
            count = first.stop
        rows: np.ndarray = self._read(count)[at]
        return rows

    def __len__(self) -> int:
        return len(self._read(None))

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self._read(None))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._read(None), dtype=dtype)
