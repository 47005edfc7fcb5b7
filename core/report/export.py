"""The tables of a run as bytes: trades, orders, fills, equity. Same run, same bytes.

Every time has two columns, `<name>` in ISO-8601 UTC and `<name>_ns` as int nanoseconds. Decimals are exact and plain,
lines end with LF, an empty cell means "none". Names that a spreadsheet would compute are quoted with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from operator import attrgetter
from types import NoneType
from typing import Any

import msgspec
import numpy as np

from core.events import OrderFilled
from core.exact import MATH
from core.metrics.equity import COLUMNS, EquityCurve
from core.metrics.underwater import drawdowns
from core.notation import plain
from core.orders import Order, OrderStatus
from core.plain_text import cell, iso_column, plain_float
from core.report.columns import integers, joined, ratios, times
from core.trade import Trade

CHUNK_ROWS = 16_384
"""Equity rows formatted at once: some 2 MB of text, which stays in the processor's cache."""
PART_ROWS = 4096
"""Rows of the other tables at once: each cell is an object of its own, a whole table of them would be the peak of a
run's memory."""

RATIO_DECIMALS = 12

TRADE_TIMES = frozenset({"entry_ts", "exit_ts"})
FILL_TIMES = frozenset({"ts", "ts_venue", "cause_ts"})
ORDER_TIMES = frozenset({"created_at", "closed_at", "good_till"})
ORDER_STATE = ("created_at", "closed_at", "status", "working_qty", "working_price", "filled", "value", "prevented",
               "reason")  # fmt: skip
ORDER_COMPUTED = ("average_price", "leaves")
ORDER_COLUMNS = (
    "order_id", "created_at", "closed_at", "venue", "symbol", "position_side", "strategy", "session", "tag", "side",
    "type", "qty", "price", "trigger_price", "trigger_by", "tif", "good_till", "post_only", "reduce_only", "stp",
    "quote_qty", "close_position", "price_match", "activation_price", "trail_bps", "trail_distance", "oco", "parent",
    "emulated", "status", "working_qty", "working_price", "filled", "average_price", "value", "leaves", "prevented",
    "reason",
)  # fmt: skip
ORDER_TERMS = tuple(name for name in ORDER_COLUMNS if name not in ORDER_STATE + ORDER_COMPUTED)
EQUITY_HEADER = "ts,ts_ns,equity,cash,unrealized_pnl,exposure,leverage,drawdown\n"

Columns = dict[str, list[Any]]

TO_CELL: dict[type, Callable[[Any], str]] = {
    str: cell,
    Decimal: plain,
    NoneType: lambda _: "",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: plain_float,
    OrderStatus: lambda status: status.value,
}
"""By exact type, so that a new type in a table is a KeyError and not a guess."""


def trades_csv(trades: Sequence[Trade]) -> bytes:
    """`trades.csv`: closed and open round trips, in the order given."""
    return _csv(trades, lambda part: _columns(part, Trade.__struct_fields__), TRADE_TIMES)


def trades_json(trades: Sequence[Trade]) -> bytes:
    """`trades.json`: a list of objects with the columns of `trades.csv`; money is text, so that it stays exact."""
    parts = []
    for part in _parts(trades):
        columns = _with_times(_columns(part, Trade.__struct_fields__), TRADE_TIMES)
        plains = [[plain(value) if type(value) is Decimal else value for value in each] for each in columns.values()]
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*plains, strict=True)]
        listed = msgspec.json.format(msgspec.json.encode(rows), indent=1)
        parts.append(listed.removeprefix(b"[").removesuffix(b"\n]"))
    return b"[" + b",".join(parts) + b"\n]\n" if trades else b"[]\n"


def fills_csv(fills: Sequence[OrderFilled]) -> bytes:
    """`fills.csv`: every field of `OrderFilled`, in the order in which we learned of them."""
    return _csv(fills, lambda part: _columns(part, OrderFilled.__struct_fields__), FILL_TIMES)


def orders_csv(orders: Sequence[Order]) -> bytes:
    """`orders.csv`: each order's terms and how it ended.

    `qty` and `price` are as placed, `working_qty` and `working_price` after amends; `reason` says why it was denied,
    rejected, canceled or expired.
    """
    return _csv(orders, order_columns, ORDER_TIMES)


def order_columns(orders: Sequence[Order]) -> Columns:
    """The columns of `orders.csv` as they are: times as int nanoseconds, money as Decimal."""
    columns = _columns([order.terms for order in orders], ORDER_TERMS, {"order_id": "id"})
    columns |= _columns(orders, ORDER_STATE, {"working_qty": "qty", "working_price": "price"})
    with localcontext(MATH):
        columns |= _columns(orders, ORDER_COMPUTED)
    return {name: columns[name] for name in ORDER_COLUMNS}


def equity_csv(curve: EquityCurve, initial_equity: Decimal) -> Iterator[bytes]:
    """`equity.csv` in chunks.

    `leverage` is exposure / equity (empty where equity is not positive), `drawdown` is equity / highest equity so far
    - 1; both are rounded to 12 decimals.
    """
    yield EQUITY_HEADER.encode()
    for rows, equity, drawdown in drawdowns(curve, float(initial_equity), CHUNK_ROWS):
        exposure = curve.floats("exposure", rows)
        leverage = np.divide(exposure, equity, out=np.full(len(equity), np.nan), where=equity > 0)
        yield joined(
            [
                times(curve.ts[rows]),
                integers(curve.ts[rows]),
                *(integers(getattr(curve, name)[rows], curve.scale) for name in COLUMNS),
                ratios(leverage, RATIO_DECIMALS),
                ratios(drawdown, RATIO_DECIMALS),
            ]
        )


def _columns(things: Sequence[Any], names: Iterable[str], attributes: Mapping[str, str] | None = None) -> Columns:
    """A column per name: that attribute of each thing, or the one `attributes` says instead."""
    read = {name: attrgetter((attributes or {}).get(name, name)) for name in names}
    return {name: list(map(get, things)) for name, get in read.items()}


def _parts(things: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (things[low : low + PART_ROWS] for low in range(0, len(things), PART_ROWS))


def _csv(
    things: Sequence[Any], columns_of: Callable[[Sequence[Any]], Columns], names_of_times: frozenset[str]
) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_with_times(columns_of(()), names_of_times))
    for part in _parts(things):
        wide = _with_times(columns_of(part), names_of_times)
        writer.writerows(zip(*(_cells(column) for column in wide.values()), strict=True))
    return text.getvalue().encode()


def _with_times(columns: Columns, names_of_times: frozenset[str]) -> Columns:
    """The columns with each time as text, and its nanoseconds beside it."""
    wide: Columns = {}
    for name, values in columns.items():
        if name in names_of_times:
            wide[name] = iso_column(values)
            wide[f"{name}_ns"] = values
        else:
            wide[name] = values
    return wide


def _cells(values: list[Any]) -> list[str]:
    kinds = set(map(type, values))
    if kinds == {str}:  # mostly the same few names, over and over
        known = {text: cell(text) for text in set(values)}
        return [known[text] for text in values]
    if kinds == {int}:
        return list(map(str, values))
    return [TO_CELL[type(value)](value) for value in values]
