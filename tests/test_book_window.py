"""The window on our book: what it shows of a small book, read no further than asked, and never later than its call."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest

from core.errors import UsageError
from core.hosting.book_window import BookWindow, opener
from core.market_view import MarketView, SymbolView

BIDS = [(99.5, 2.0), (99.0, 4.0), (98.0, 1.0)]
ASKS = [(100.5, 6.0), (101.0, 1.0)]


class Shelf:
    """A `BookProvider` and `BookReader` of one book that never changes; notes what is asked of it."""

    def __init__(self, bids: Any = BIDS, asks: Any = ASKS) -> None:
        self.sides = {"bid": bids, "ask": asks}
        self.asked: list[Any] = []
        self.now = 5

    def book(self, venue: str, symbol: str, now: int) -> Shelf | None:
        self.asked.append((venue, symbol, now))
        return self if symbol == "X" else None

    def best(self) -> tuple[float, float, float, float]:
        bid, ask = (rows[0] if rows else (math.nan, 0.0) for rows in self.sides.values())
        return (*bid, *ask)

    def levels(self, side: Literal["bid", "ask"], count: int | None) -> np.ndarray:
        self.asked.append((side, count))
        return np.array(self.sides[side][:count], dtype=np.float64).reshape(-1, 2)


def window(shelf: Shelf) -> BookWindow:
    opened = opener(shelf, ("v", "X"), "X", lambda: shelf.now)()
    assert opened is not None
    return opened


def test_the_touch_its_middle_and_its_width() -> None:
    book = window(Shelf())
    assert (book.best_bid, book.best_ask, book.mid, book.spread) == (99.5, 100.5, 100.0, 1.0)
    assert (book["best_bid"], book["mid"], book.now, book.symbol) == (99.5, 100.0, 5, "X")


def test_sides_are_rows_of_price_and_quantity_best_first() -> None:
    book = window(Shelf())
    assert book.bids[:2].tolist() == [[99.5, 2.0], [99.0, 4.0]]
    assert book.asks[0].tolist() == [100.5, 6.0] and book.asks[-1].tolist() == [101.0, 1.0]
    assert book.bids[:, 1].tolist() == [2.0, 4.0, 1.0] and len(book.bids) == 3
    assert [row.tolist() for row in book.asks] == np.asarray(book.asks).tolist() == [list(row) for row in ASKS]


def test_the_imbalance_is_of_the_quantities_of_the_first_levels() -> None:
    """One level: (2 - 6)/8. Two: (6 - 7)/13. All: (7 - 7)/14."""
    book = window(Shelf())
    assert (book.imbalance(), book.imbalance(2), book.imbalance(9)) == (-0.5, -1 / 13, 0.0)


def test_an_empty_side_has_no_price() -> None:
    book = window(Shelf(asks=[]))
    assert (book.best_bid, book.best_ask, book.mid, book.spread) == (99.5, None, None, None)
    assert len(book.asks) == 0 and book.imbalance(3) == 1.0
    assert window(Shelf([], [])).imbalance() == 0.0


def test_all_looks_of_one_moment_are_one_window_and_the_next_moment_has_its_own() -> None:
    shelf = Shelf()
    look = opener(shelf, ("v", "X"), "X", lambda: shelf.now)
    first = look()
    assert look() is first and shelf.asked == [("v", "X", 5)]
    shelf.now = 6
    assert look() is not first and shelf.asked == [("v", "X", 5), ("v", "X", 6)]


def test_no_more_levels_are_read_than_looked_at() -> None:
    shelf = Shelf()
    book = window(shelf)
    assert shelf.asked == [("v", "X", 5)]
    book.bids[:2]
    book.bids[0]  # known already
    book.asks[1, 0]
    assert shelf.asked[1:] == [("bid", 2), ("ask", 2)]


def test_what_was_read_stays_and_what_was_not_cannot_be_read_later() -> None:
    shelf = Shelf()
    book = window(shelf)
    rows = book.bids[:2]
    shelf.now = 6
    assert book.bids[:2].tolist() == rows.tolist() and book.mid == 100.0
    with pytest.raises(UsageError, match="this book of X was of an earlier moment"):
        book.asks[:1]


def test_rows_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        window(Shelf()).bids[:1][0, 0] = 1.0


def test_market_data_has_the_book_of_the_call_and_of_each_symbol_by_name() -> None:
    shelf = Shelf()
    views = {name: SymbolView(name, 5, ()) for name in ("X", "Y")}
    for name, view in views.items():
        view.look_into(opener(shelf, ("v", name), name, lambda: shelf.now))
    market = MarketView(views)
    assert market.book.mid == market["book"].mid == market["X"].book.mid == 100.0
    assert market["X"].top() == (99.5, 2.0, 100.5, 6.0) and market["Y"].top() is None
    with pytest.raises(AttributeError, match="this run has no book of Y: give `data` its depth or its quotes"):
        _ = market["Y"].book


def test_a_dict_has_the_book_in_plain_numbers() -> None:
    view = SymbolView("X", 5, ())
    view.look_into(opener(Shelf(), ("v", "X"), "X", lambda: 5))
    assert view.plain() == {
        "symbol": "X",
        "book": {
            "best_bid": 99.5, "best_ask": 100.5, "mid": 100.0, "spread": 1.0,
            "bids": [list(row) for row in BIDS], "asks": [list(row) for row in ASKS],
        },
    }  # fmt: skip
