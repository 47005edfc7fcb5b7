"""Whether an order is so small that no limit can matter: one sum in floats, where the exact checks are a dozen.

All that is held and under way is added to the order, in every market and none of it netted, at no less than it is
valued at anywhere: its price, the mark or its cost. Where that sum is below the smallest limit, so is whatever the
exact checks would compare with it. Nothing is ever refused here: where the sum is not small enough they decide.
"""

from __future__ import annotations

from decimal import Decimal

from core.account.equity_mirror import EquityMirror
from core.account.margin_needs import AccountMargin
from core.orders import OrderTerms
from core.portfolio import Portfolio
from core.working import WorkingOrders

INFINITE = float("inf")
SAFE = 1.0 + 1e-9
"""Floats round at 1e-16, and a sum of ten thousand orders at 1e-12."""


class Headroom:
    """What the account has under way and holds, against the limits of one order."""

    def __init__(
        self,
        portfolio: Portfolio,
        working: WorkingOrders,
        mirror: EquityMirror,
        currency: str,
        margin: AccountMargin | None,
    ) -> None:
        self._portfolio = portfolio
        self._books = portfolio.books
        self._working = working.open
        self._mirror = mirror
        self._margin = margin
        self._adds_up = all(portfolio.rate(quote, currency) == 1 for quote in portfolio.quotes)
        """Whether notionals in every market are of one currency."""

    def is_ample(self, order: OrderTerms, qty: Decimal, price: Decimal | None, most: float, leverage: float) -> bool:
        """Whether the sum is below `most` (quote units), `leverage` times the equity, and what the venue wants free."""
        market, marks = (order.venue, order.symbol), self._portfolio.marks
        top = marks.get(market)
        if top is None or not self._adds_up:
            return False
        at = price if price is not None else order.trigger_price
        if at is not None:
            top = max(top, float(at))
        gross = float(qty) * top
        for key, orders in self._working.items():
            for other in orders.values():
                if other.terms.id != order.id:
                    known = top if key == market else marks.get(key, INFINITE)
                    at = other.price if other.price is not None else other.terms.trigger_price
                    gross += float(other.leaves + other.hidden) * (known if at is None else max(known, float(at)))
        for book in self._books.values():
            if book.qty:
                key = (book.venue, book.symbol)
                value = abs(float(book.qty)) * (top if key == market else marks.get(key, INFINITE))
                gross += max(value, abs(float(book.cost)))
        gross *= SAFE
        if gross >= most or (leverage != INFINITE and gross >= leverage * self._mirror.equity()):
            return False
        return self._margin is None or self._margin.is_ample(order, gross)
