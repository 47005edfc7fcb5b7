"""The book rows of a scenario as the tapes a venue walks, and the state of a book in the words of section 8."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np

from core.instruments import decimals_of
from core.tape import ADD, BLOCK, COLUMNS, DELETE, INSURANCE, LAST, MODIFY, RPI, SNAPSHOT, Kind, Tape
from sim.books.book_market import BookMarket
from sim.books.book_rows import CODES
from sim.books.kernel_state import TRADE, Rows
from sim.scenarios.format import Scenario
from sim.scenarios.tape import TapeRow
from sim.scenarios.tape_columns import mantissa, tape_of_columns

KINDS: dict[str, Kind] = {"depth": "depth", "quote": "quotes", "trade": "trades", "l3": "l3"}
"""Keys of a tape row to kinds of tapes."""
SIDES = {"buy": 1, "sell": -1, None: 0}
ACTIONS = {"add": ADD, "modify": MODIFY, "delete": DELETE}
Values = list[tuple[Any, ...]]


def book_tapes(scenario: Scenario, symbol: str, feed_ns: int) -> dict[str, Tape]:
    """The tapes of a symbol by kind; those it has no rows of are left out. Raises DataError for numbers too long."""
    found = {kind: _tape(scenario, symbol, kind, feed_ns) for kind in KINDS.values()}
    return {kind: tape for kind, tape in found.items() if len(tape)}


class ListOrder:
    """Rows of one nanosecond in the order of the file's list, over all symbols; prints before books (F0)."""

    def __init__(self, scenario: Scenario, symbols: list[str], feed_ns: int) -> None:
        """`symbols`: those that have a book or prints, in the order of the markets."""
        numbers = {id(row): number for number, row in enumerate(scenario.tape)}
        self._places: dict[tuple[int, int], list[int]] = {}
        """By market and kind of row: where each row of that tape stands in the list."""
        for market, symbol in enumerate(symbols):
            for kind in KINDS.values():
                *_, values = _values(scenario, symbol, kind, feed_ns)
                self._places[market, CODES[kind]] = [numbers[id(row)] for row, *_ in values]

    def __call__(self, rows: Rows) -> Rows:
        """The same rows: by time, prints first, then as the file lists them."""
        books, places = [], []
        for what, number in zip(rows.what.tolist(), rows.row.tolist(), strict=True):
            kind = (what >> 2) & 3
            books.append(kind != TRADE)
            places.append(self._places[what >> 8, kind][number])
        order = np.lexsort((places, books, rows.at))
        return Rows(*(column.take(order) for column in rows))


def _values(scenario: Scenario, symbol: str, kind: Kind, feed_ns: int) -> tuple[list[Decimal], list[Decimal], Values]:
    """All prices and sizes of a tape, and its rows in order of receipt, each behind the row of the file it is of."""
    key = next(key for key, name in KINDS.items() if name == kind)
    rows = [row for row in scenario.tape if row.symbol == symbol and getattr(row, key) is not None]
    makers = {"depth": _depth, "quotes": _quotes, "trades": _trades, "l3": _orders}
    return makers[kind](sorted(rows, key=lambda row: _received(row, feed_ns)))


def _tape(scenario: Scenario, symbol: str, kind: Kind, feed_ns: int) -> Tape:
    prices, sizes, values = _values(scenario, symbol, kind, feed_ns)
    price_scale = max((decimals_of(price) for price in prices), default=0)
    size_scale = max((decimals_of(size) for size in sizes), default=0)
    columns: dict[str, list[int]] = {name: [] for name in COLUMNS[kind]}
    for row, *fields in values:
        columns["ts_venue"].append(scenario.start + row.at)
        columns["ts"].append(scenario.start + _received(row, feed_ns))
        for name, value in zip(COLUMNS[kind][2:], fields, strict=True):
            scale = price_scale if name.endswith("price") else size_scale if name.endswith("size") else 0
            columns[name].append(mantissa(symbol, row, Decimal(value), scale))
    return tape_of_columns(scenario, symbol, kind, columns, price_scale=price_scale, size_scale=size_scale)


def _received(row: TapeRow, feed_ns: int) -> int:
    return row.at + feed_ns if row.received_at is None else row.received_at


def _depth(rows: list[TapeRow]) -> tuple[list[Decimal], list[Decimal], Values]:
    prices, sizes, values = [], [], []
    for row in rows:
        assert row.depth is not None
        flags = SNAPSHOT if row.depth.snapshot else 0
        levels = [(1, *level) for level in row.depth.bids] + [(-1, *level) for level in row.depth.asks]
        if not levels:  # a snapshot of an empty book, or a message without a change
            levels = [(1, Decimal(1), Decimal(0))]
        for number, (side, price, size) in enumerate(levels):
            prices.append(price)
            sizes.append(size)
            values.append((row, price, size, side, flags | (LAST if number == len(levels) - 1 else 0)))
    return prices, sizes, values


def _trades(rows: list[TapeRow]) -> tuple[list[Decimal], list[Decimal], Values]:
    prices, sizes, values = [], [], []
    for row in rows:
        trade = row.trade
        assert trade is not None
        prices.append(trade.price)
        sizes.append(trade.qty)
        flags = BLOCK * trade.block | RPI * trade.rpi | INSURANCE * trade.insurance
        values.append((row, trade.price, trade.qty, SIDES[trade.side], flags))
    return prices, sizes, values


def _quotes(rows: list[TapeRow]) -> tuple[list[Decimal], list[Decimal], Values]:
    """A side left out is what it was at the venue, in whatever order the rows were received."""
    prices, sizes = [], []
    values: Values = [()] * len(rows)
    bid = ask = (Decimal(0), Decimal(0))
    for number in sorted(range(len(rows)), key=lambda number: rows[number].at):
        quote = rows[number].quote
        assert quote is not None
        bid = bid if quote.bid is None else quote.bid
        ask = ask if quote.ask is None else quote.ask
        prices += [bid[0], ask[0]]
        sizes += [bid[1], ask[1]]
        values[number] = (rows[number], *bid, *ask)
    return prices, sizes, values


def _orders(rows: list[TapeRow]) -> tuple[list[Decimal], list[Decimal], Values]:
    prices, sizes, values = [], [], []
    numbers: dict[str, int] = {}
    for row in rows:
        order = row.l3
        assert order is not None
        number = numbers.setdefault(str(order.id), len(numbers) + 1)
        price, size = order.price or Decimal(0), order.qty or Decimal(0)
        prices.append(price)
        sizes.append(size)
        values.append((row, price, size, SIDES[order.side], ACTIONS[order.action], number, LAST))
    return prices, sizes, values


def books_state(markets: Iterable[Any], at: int) -> dict[str, Any]:
    """Section 8: who is ahead of our orders, what is displayed, and what of it is left for a taker of ours."""
    books: dict[str, Any] = {}
    for market in markets:
        if not isinstance(market, BookMarket):
            continue
        ahead = {order.terms.id: market.queue_ahead(order) for order in market.orders}
        levels = {name: list(market.levels(side, at)) for name, side in (("bids", "buy"), ("asks", "sell"))}
        books[market.instrument.symbol] = {
            "queue_ahead": {order_id: qty for order_id, qty in ahead.items() if qty is not None},
            "displayed": {name: [(price, shown) for price, shown, _ in rows] for name, rows in levels.items()},
            "available": {name: [(price, free) for price, _, free in rows] for name, rows in levels.items()},
        }
    return books
