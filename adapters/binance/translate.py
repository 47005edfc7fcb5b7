"""Binance's words to ours: rows of pages to columns with exact numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapters import decimals, times
from adapters.binance.wire import AggTrade, Funding, Kline, Trade
from adapters.columns import FIELDS, Bars, Origin
from adapters.decimals import BadCell, Column, Decimals
from adapters.history_rows import FundingRows, TradeRows
from adapters.ticks import aggressor
from core.errors import DataError


def bars_of(rows: Sequence[Kline], origin: Origin) -> Bars:
    """A page of klines. Raises DataError naming row and field for what is no number."""
    stamps = _times([row.open_time for row in rows], "openTime", origin)
    return Bars(stamps, *(_numbers([getattr(row, name) for row in rows], name, origin) for name in FIELDS[1:]))


def agg_trades_of(rows: Sequence[AggTrade], origin: Origin) -> TradeRows:
    """A page of aggTrades. Raises DataError."""
    return TradeRows(
        _times([row.T for row in rows], "T", origin),
        _numbers([row.p for row in rows], "p", origin),
        _numbers([row.q for row in rows], "q", origin),
        aggressor(np.array([row.m for row in rows], dtype=bool)),
        np.zeros(len(rows), dtype=np.int8),
        np.array([row.a for row in rows], dtype=np.int64),
    )


def trades_of(rows: Sequence[Trade], origin: Origin) -> TradeRows:
    """A page of single trades. Raises DataError."""
    return TradeRows(
        _times([row.time for row in rows], "time", origin),
        _numbers([row.price for row in rows], "price", origin),
        _numbers([row.qty for row in rows], "qty", origin),
        aggressor(np.array([row.isBuyerMaker for row in rows], dtype=bool)),
        np.zeros(len(rows), dtype=np.int8),
        np.array([row.id for row in rows], dtype=np.int64),
    )


def funding_of(rows: Sequence[Funding], origin: Origin) -> FundingRows:
    """A page of funding rates. Raises DataError."""
    return FundingRows(
        _times([row.fundingTime for row in rows], "fundingTime", origin),
        _numbers([row.fundingRate for row in rows], "fundingRate", origin),
        _numbers([row.markPrice or "0" for row in rows], "markPrice", origin),
    )


def _times(numbers: Sequence[int], name: str, origin: Origin) -> Column:
    try:
        return times.from_numbers(Decimals(np.array(numbers, dtype=np.int64), 0))
    except BadCell as cell:
        raise _bad(name, cell, origin) from None


def _numbers(cells: Sequence[str], name: str, origin: Origin) -> Decimals:
    try:
        return decimals.from_strings(cells)
    except BadCell as cell:
        raise _bad(name, cell, origin) from None


def _bad(name: str, cell: BadCell, origin: Origin) -> DataError:
    return origin.error(
        cell.index,
        name,
        f"{cell.text!r} {cell.why}",
        "a value as Binance documents it",
        "report it: the venue sent this",
    )
