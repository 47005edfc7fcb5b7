"""Binance's words to ours: kline rows to bars with exact numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapters import decimals, times
from adapters.binance.wire import Kline
from adapters.columns import PRICES, Bars, Origin
from adapters.decimals import BadCell, Decimals
from core.errors import DataError


def bars_of(rows: Sequence[Kline], origin: Origin) -> Bars:
    """A page of klines. Raises DataError naming row and field for what is no number."""
    opened = Decimals(np.array([row[0] for row in rows], dtype=np.int64), 0)
    try:
        stamps = times.from_numbers(opened)
    except BadCell as cell:
        raise _bad("openTime", cell, origin) from None
    numbers = []
    for at, name in enumerate((*PRICES, "volume"), start=1):
        try:
            numbers.append(decimals.from_strings([str(row[at]) for row in rows]))
        except BadCell as cell:
            raise _bad(name, cell, origin) from None
    return Bars(stamps, *numbers)


def _bad(name: str, cell: BadCell, origin: Origin) -> DataError:
    return origin.error(
        cell.index,
        name,
        f"{cell.text!r} {cell.why}",
        "a value as Binance documents it",
        "report it: the venue sent this",
    )
