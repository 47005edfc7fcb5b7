"""The equity in floats, for limits that are followed with every price; never booked, never reported."""

from __future__ import annotations

from core.portfolio import Portfolio


class EquityMirror:
    """What moves the equity, taken from the ledger when it has changed."""

    def __init__(self, portfolio: Portfolio, currency: str) -> None:
        self._portfolio = portfolio
        self._currency = currency
        self._version = -1
        """Of the ledger, when the following was taken of it."""
        self._cash = 0.0
        self.moved: list[tuple[tuple[str, str], float, float]] = []
        """(venue, symbol), quantity, cost of what a price moves; as of the newest `equity`."""

    def equity(self) -> float:
        """Cash plus open positions at our last known prices."""
        if self._version != self._portfolio.version:
            self._take()
        total, marks = self._cash, self._portfolio.marks
        for market, qty, cost in self.moved:
            mark = marks.get(market)
            if mark is not None:
                total += qty * mark - cost
        return total

    def _take(self) -> None:
        self._version = self._portfolio.version
        self._cash = float(self._portfolio.cash(self._currency))
        self.moved = []
        for market, qty, cost in self._portfolio.moved(self._currency):
            self.moved.append((market, float(qty), float(cost)))
