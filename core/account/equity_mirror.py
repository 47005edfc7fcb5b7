"""The equity in floats, for limits that are followed with every price; never booked, never reported."""

from __future__ import annotations

from core.portfolio import Portfolio


class EquityMirror:
    """The equity as a sum: what no price moves, and quantity x price of what is held."""

    def __init__(self, portfolio: Portfolio, currency: str) -> None:
        self._portfolio = portfolio
        self._currency = currency
        self._version = -1
        """Of the ledger, when the following was taken of it."""
        self.rest = 0.0
        """Cash less the cost of what is held."""
        self.held: list[tuple[tuple[str, str], float]] = []
        """(venue, symbol) and quantity of all that a price moves."""

    def look(self) -> None:
        """Take `rest` and `held` from the ledger, where it has changed."""
        portfolio = self._portfolio
        if self._version != portfolio.version:
            self._version = portfolio.version
            self.rest = float(portfolio.unmoved(self._currency))
            self.held = [(market, float(qty)) for market, qty, _ in portfolio.moved(self._currency)]

    def equity(self) -> float:
        """Cash plus open positions at our last known prices."""
        self.look()
        total, marks = self.rest, self._portfolio.marks
        for market, qty in self.held:
            mark = marks.get(market)
            if mark is not None:
                total += qty * mark
        return total
