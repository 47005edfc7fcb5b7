"""Binance's words to ours: rows of pages to columns with exact numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapters.binance.wire import AggTrade, Funding, Kline, Trade
from adapters.columns import FIELDS, Bars, Origin
from adapters.fetching.history_rows import FundingRows, TradeRows
from adapters.fetching.page_cells import numbers_of, times_of
from adapters.ticks import aggressor


def bars_of(rows: Sequence[Kline], origin: Origin) -> Bars:
    """A page of klines. Raises DataError naming row and field for what is no number."""
    stamps = times_of([row.open_time for row in rows], "openTime", origin)
    return Bars(stamps, *(numbers_of([getattr(row, name) for row in rows], name, origin) for name in FIELDS[1:]))


def agg_trades_of(rows: Sequence[AggTrade], origin: Origin) -> TradeRows:
    """A page of aggTrades. Raises DataError."""
    return TradeRows(
        times_of([row.T for row in rows], "T", origin),
        numbers_of([row.p for row in rows], "p", origin),
        numbers_of([row.q for row in rows], "q", origin),
        aggressor(np.array([row.m for row in rows], dtype=bool)),
        np.zeros(len(rows), dtype=np.int8),
        np.array([row.a for row in rows], dtype=np.int64),
    )


def trades_of(rows: Sequence[Trade], origin: Origin) -> TradeRows:
    """A page of single trades. Raises DataError."""
    return TradeRows(
        times_of([row.time for row in rows], "time", origin),
        numbers_of([row.price for row in rows], "price", origin),
        numbers_of([row.qty for row in rows], "qty", origin),
        aggressor(np.array([row.isBuyerMaker for row in rows], dtype=bool)),
        np.zeros(len(rows), dtype=np.int8),
        np.array([row.id for row in rows], dtype=np.int64),
    )


def funding_of(rows: Sequence[Funding], origin: Origin) -> FundingRows:
    """A page of funding rates. Raises DataError."""
    return FundingRows(
        times_of([row.fundingTime for row in rows], "fundingTime", origin),
        numbers_of([row.fundingRate for row in rows], "fundingRate", origin),
        numbers_of([row.markPrice or "0" for row in rows], "markPrice", origin),
    )
