"""The prices a venue judges orders by: marks and indices of its settlements, reference prices of rows of their own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from decimal import Decimal

from sim.ledger.settlement import Settlement
from sim.order_entry.admission import PriceKind

Row = tuple[int, PriceKind, str, Decimal]
"""Engine time, kind, symbol, price."""


class ReferencePrices:
    """Of one venue; called with (kind, symbol, engine time), None where nothing is known at that time."""

    def __init__(self, settlement: Settlement | None, rows: Iterable[Row] = ()) -> None:
        """`rows` in any order: the reference or average price of spot, and what else no settlement knows."""
        self._settlement = settlement
        self._times: dict[tuple[PriceKind, str], list[int]] = {}
        self._prices: dict[tuple[PriceKind, str], list[Decimal]] = {}
        for at, kind, symbol, price in sorted(rows, key=lambda row: row[0]):
            self._times.setdefault((kind, symbol), []).append(at)
            self._prices.setdefault((kind, symbol), []).append(price)

    def __call__(self, kind: PriceKind, symbol: str, at: int) -> Decimal | None:
        settlement = self._settlement
        if settlement is None or kind == "reference":
            number = bisect_right(self._times.get((kind, symbol), ()), at)
            return self._prices[kind, symbol][number - 1] if number else None
        return settlement.mark(symbol, at) if kind == "mark" else settlement.index(symbol, at)
