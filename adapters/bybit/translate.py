"""Bybit's words to ours: pages, newest first, to columns with exact numbers, oldest first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapters.bybit.wire import Funding, Kline, PriceKline, Trade
from adapters.columns import PRICES, Bars, Origin
from adapters.decimals import Decimals
from adapters.fetching.history_rows import FundingRows, TradeRows
from adapters.fetching.page_cells import numbers_of, times_of
from core.tape import BLOCK, RPI


def bars_of(rows: Sequence[Kline], origin: Origin) -> Bars:
    """A page of klines. Raises DataError naming row and field for what is no number."""
    return _bars(rows, numbers_of([row.volume for row in rows], "volume", origin), origin)


def price_bars_of(rows: Sequence[PriceKline], origin: Origin) -> Bars:
    """A page of mark or index klines; their volume is 0. Raises DataError."""
    return _bars(rows, Decimals(np.zeros(len(rows), dtype=np.int64), 0), origin)


def _bars(rows: Sequence[Kline] | Sequence[PriceKline], volume: Decimals, origin: Origin) -> Bars:
    numbers = [*(numbers_of([getattr(row, name) for row in rows], name, origin) for name in PRICES), volume]
    return Bars(times_of([row.start for row in rows], "start", origin), *numbers).taken(slice(None, None, -1))


def funding_of(rows: Sequence[Funding], origin: Origin) -> FundingRows:
    """A page of funding rates; Bybit does not say the mark price. Raises DataError."""
    return FundingRows(
        times_of([row.fundingRateTimestamp for row in rows], "fundingRateTimestamp", origin),
        numbers_of([row.fundingRate for row in rows], "fundingRate", origin),
        Decimals(np.zeros(len(rows), dtype=np.int64), 0),
    ).taken(slice(None, None, -1))


def trades_of(rows: Sequence[Trade], origin: Origin) -> TradeRows:
    """A page of trades. Raises DataError."""
    return TradeRows(
        times_of([row.time for row in rows], "time", origin),
        numbers_of([row.price for row in rows], "price", origin),
        numbers_of([row.size for row in rows], "size", origin),
        np.array([1 if row.side == "Buy" else -1 for row in rows], dtype=np.int8),
        np.array([BLOCK * row.isBlockTrade | RPI * row.isRPITrade for row in rows], dtype=np.int8),
        np.array([row.execId.encode() for row in rows], dtype=np.bytes_),
    ).taken(slice(None, None, -1))
