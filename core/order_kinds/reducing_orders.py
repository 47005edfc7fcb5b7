"""Orders that may only reduce their strategy's own book, and how much of it each may still take away.

A venue's reduce-only flag looks at the account's net position. Where that is larger than the strategy's own book
(another strategy holds the same symbol), and on spot, which has no such flag, the venue would let two orders of one
strategy carry its book through zero. There the sum of such orders is kept within the book: when one is placed, and
after every fill. A stop and a target lie on opposite sides of the price, so each may cover the whole book; what is left
of one when the other has filled is canceled as soon as we hear of that fill. Both could still fill within one round
trip to the venue: that is the price of having a bracket at all.
"""

from __future__ import annotations

from decimal import Decimal

from core.events import OrderType, Side
from core.exact import ZERO
from core.instruments import Instrument
from core.orders import TERMINAL, Order, OrderTerms
from core.portfolio import Portfolio
from core.working import WorkingOrders

STOPS: frozenset[OrderType] = frozenset({"stop_market", "stop_limit"})
"""They act when the price goes against the position; every other order when it goes its way, or at once."""


class ReducingOrders:
    """The open ones of the run, by market. Nothing is published here: `core.execution` acts on what it is told."""

    def __init__(
        self, instruments: dict[tuple[str, str], Instrument], portfolio: Portfolio, working: WorkingOrders
    ) -> None:
        self._instruments = instruments
        self._portfolio = portfolio
        self._working = working
        self._ids: dict[tuple[str, str], dict[str, None]] = {}

    def add(self, terms: OrderTerms) -> None:
        """A reduce-only order was proposed."""
        self._ids.setdefault((terms.venue, terms.symbol), {})[terms.id] = None

    def __contains__(self, terms: OrderTerms) -> bool:
        return terms.id in self._ids.get((terms.venue, terms.symbol), ())

    def room(self, terms: OrderTerms) -> Decimal:
        """How much a new reduce-only order with these terms may ask for: its own book, less what is spoken for."""
        book = self.book(terms)
        if book >= self._net(terms) > 0 and self.venue_flag(terms.venue, terms.symbol, terms.side, ZERO):
            return book  # the venue clips to the same position
        taken = ZERO
        for order in self._open(terms.venue, terms.symbol):
            if _family(order.terms) == _family(terms) and not order.pending_cancel:
                taken += order.leaves
        return max(ZERO, book - taken)

    def venue_flag(self, venue: str, symbol: str, side: Side, qty: Decimal) -> bool:
        """Whether the venue, which sees one net position, would take `qty` with its reduce-only flag."""
        key = (venue, symbol)
        if self._instruments[key].kind != "linear":
            return False
        net = against(side, self._portfolio.held(venue, symbol))
        return net > ZERO and net >= qty

    def excess(self, venue: str, symbol: str) -> list[tuple[Order, Decimal]]:
        """Open orders that ask for more than is left of their book, and how much of each may stay; oldest first."""
        if (venue, symbol) not in self._ids:
            return []
        found, left = [], dict[tuple[str, ...], Decimal]()
        for order in self._open(venue, symbol):
            terms = order.terms
            book = self.book(terms)
            # Where the venue would let it take no more than the book, the venue ends it by itself.
            if order.pending_cancel or (terms.reduce_only and self._net(terms) <= book):
                continue
            family = _family(terms)
            stays = min(order.leaves, left.get(family, book))
            left[family] = left.get(family, book) - stays
            if stays < order.leaves:
                found.append((order, stays))
        return found

    def _open(self, venue: str, symbol: str) -> list[Order]:
        """Those not over yet; the others are forgotten."""
        ids = self._ids.get((venue, symbol), {})
        orders = [self._working.all[order_id] for order_id in ids]
        for order in orders:
            if order.status in TERMINAL:
                del ids[order.terms.id]
        if not ids:
            self._ids.pop((venue, symbol), None)
        return [order for order in orders if order.status not in TERMINAL]

    def book(self, terms: OrderTerms) -> Decimal:
        """What of the strategy's own position an order of this side can take away."""
        book = self._portfolio.position(terms.venue, terms.symbol, terms.strategy, terms.position_side)
        return ZERO if book is None else against(terms.side, self._portfolio.tradable(book))

    def _net(self, terms: OrderTerms) -> Decimal:
        """The same of the account's net position."""
        return against(terms.side, self._portfolio.held(terms.venue, terms.symbol, terms.position_side))


def against(side: Side, held: Decimal) -> Decimal:
    """How much of a signed position an order of this side can take away, never negative."""
    there = held if side == "sell" else -held
    return there if there > ZERO else ZERO


def _family(terms: OrderTerms) -> tuple[str, ...]:
    """Orders that can fill in one move of the price."""
    return terms.strategy, terms.position_side, terms.side, "stop" if terms.type in STOPS else ""
