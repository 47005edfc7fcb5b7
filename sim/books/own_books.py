"""Our own books: what the feed has told us by now, by receipt time and unaltered. What `market_data.book` reads.

Each is advanced when somebody looks, by the same kernel that keeps the venue's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from core.tape import Rows
from sim.books.book_market import FINEST
from sim.books.book_rows import CODES
from sim.books.books import Books

NAN = float("nan")


class OwnBook:
    """The book of one symbol as we know it."""

    def __init__(self, tape: Rows, feed_ns: int, venues: Books) -> None:
        self._books = Books(venues.kernel, venues.shelf)
        self._books.add(self, [(tape, 1, 1)], received_after=feed_ns)
        self._books.state.markets[0]["finest"] = CODES[tape.kind]
        self._books.state.markets[0]["step"] = 1
        self._price_unit = 10.0**tape.price_scale
        self._size_unit = 10.0**tape.size_scale

    def advance(self, now: int) -> OwnBook:
        """With every row received by `now`."""
        self._books.advance(now)
        return self

    def best(self) -> tuple[float, float, float, float]:
        """Bid, bid quantity, ask, ask quantity; NaN and 0.0 for an empty side."""
        books = self._books
        bids, asks = books.counts.tolist()
        bid = ask = NAN
        bid_qty = ask_qty = 0.0
        if bids:
            bid = books.keys.item(0, bids - 1) / self._price_unit
            bid_qty = books.quantities.item(0, bids - 1) / self._size_unit
        if asks:
            ask = -books.keys.item(1, asks - 1) / self._price_unit
            ask_qty = books.quantities.item(1, asks - 1) / self._size_unit
        return bid, bid_qty, ask, ask_qty

    def levels(self, side: Literal["bid", "ask"], count: int | None) -> np.ndarray:
        """Rows (price, quantity), best first; all of them where `count` is None."""
        b = 0 if side == "bid" else 1
        books = self._books
        have = books.counts.item(b)
        part = slice(0 if count is None else max(0, have - count), have)
        prices = np.abs(books.keys[b, part][::-1]) / self._price_unit
        return np.column_stack((prices, books.quantities[b, part][::-1] / self._size_unit))


class OwnBooks:
    """The books of every symbol that has depth, quotes or l3 rows."""

    def __init__(self, tapes: Sequence[Rows], feed_ns: Mapping[str, int], venues: Books) -> None:
        """`venues` are the books of the venues: ours are kept by the same kernel and read off the same shelf."""
        self._books: dict[tuple[str, str], OwnBook] = {}
        for kind in FINEST[:3]:
            for tape in tapes:
                key = (tape.venue, tape.symbol)
                if tape.kind == kind and key not in self._books:
                    self._books[key] = OwnBook(tape, feed_ns.get(tape.venue, 0), venues)

    def book(self, venue: str, symbol: str, now: int) -> OwnBook | None:
        """The book of a symbol with every row received by `now`; None where no tape has one."""
        book = self._books.get((venue, symbol))
        return None if book is None else book.advance(now)
