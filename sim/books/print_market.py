"""One symbol's market made of prints alone: F9, with F10 and F11 for takers.

Nobody shows what stands at a price. A resting order fills by prints beyond its price, and by a share of those at it
once enough has traded there; a taker pays the last print, half a spread and its own impact, for a share of what prints
next.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from core.instruments import Instrument
from core.tape import Rows
from sim.books.book_market import BookMarket
from sim.books.books import Books
from sim.books.kernel_state import NO_QUEUE, RING
from sim.models import Models
from sim.venue_order import VenueOrder

if TYPE_CHECKING:
    from sim.matching import Matching


class PrintMarket(BookMarket):
    """Matches the working orders of one symbol against its prints."""

    taker_rule = "participation"

    def __init__(
        self, instrument: Instrument, models: Models, books: Books, matching: Matching, tapes: Mapping[str, Rows]
    ) -> None:
        super().__init__(instrument, models, books, matching, tapes)
        self._taken: list[tuple[int, int]] = []
        """(engine time, size) of our takers, who share a window's volume."""

    def crosses(self, order: VenueOrder, at: int, reference: Any = None) -> bool:
        """Whether a limit order would take: compared with what a taker pays before impact, and with our own orders."""
        if order.limit is None:
            return False
        price = self.best_price(order, at)
        return (price is not None and order.sign * (price - order.limit) <= 0) or super().crosses(order, at)

    def best_price(self, order: VenueOrder, at: int) -> Decimal | None:
        """What a taker pays at `at` before impact; None without a print."""
        return self._taker_price(order, 0, at)

    def can_fill_whole(self, order: VenueOrder, at: int, reference: Any = None) -> bool:
        """F2 for FOK: the next window's share holds it, at a price within the limit."""
        wanted = self._wanted(order)
        price = self._taker_price(order, wanted, at)
        inside = price is not None and (order.limit is None or order.sign * (price - order.limit) <= 0)
        return wanted > 0 and inside and self._room(at) >= wanted

    def qty_for_quote(self, order: VenueOrder, quote: Decimal, at: int) -> Decimal:
        """What a market order worth `quote` buys or sells now, on the step; 0 without a print."""
        qty = Decimal(0)
        for _ in range(2):  # first without impact, then with that of the size this gives: never more than `quote`
            price = self._taker_price(order, self._units(qty), at)
            if price is not None:
                qty = self.instrument.floor_qty(quote / price)
        return qty

    def take(self, order: VenueOrder, at: int, reference: Any = None) -> None:
        """Our own orders first where they are better; then the last print's price, at most the window's share."""
        last, reason = self._last(), None
        self._meet_better(order, last, at)
        size = min(self._wanted(order), self._room(at)) if last is not None else 0
        if last is not None and size > 0:
            bound = self._matching.admission.taker_bound(order, self, at)
            filled = order.filled
            reason = self._take_priced(order, last, size, self._half(last), bound, at)
            if order.filled > filled:
                self._taken.append((at, self._units(order.filled - filled)))
        self._matching.rest_taker(order, at, reason)

    def _meet_better(self, order: VenueOrder, last: Decimal | None, at: int) -> None:
        """F14: orders of our own that rest at a better price than a taker would pay are met before."""
        b = self._opposite(order)
        while self._wanted(order) > 0:
            line = self._line(b)
            if not line:
                return
            resting = self._own.orders[line[0]]
            price = self._taker_price(order, 0, at)
            if not self._within(order, resting.limit_mantissa):
                return
            if price is not None and resting.limit is not None and order.sign * (resting.limit - price) > 0:
                return
            self._meet_own(order, b, order.sign * -resting.limit_mantissa, -1, at)

    def _taker_price(self, order: VenueOrder, size: int, at: int) -> Decimal | None:
        """What a taker of `size` would pay now; of 0 without impact."""
        last = self._last()
        return None if last is None else self._price_with_impact(order, last, size, self._half(last), at)

    def _last(self) -> Decimal | None:
        last = int(self._market["last_price"])
        return self.decimal(last) if last else None

    def _half(self, price: Decimal) -> float:
        return self.models.spread.half(float(price), self.instrument.tick_float)

    def _room(self, at: int) -> int:
        """What takers may have of the window that begins now, less what ours took in the last one."""
        window = self.models.trades.window_ms
        self._taken = [(when, size) for when, size in self._taken if when > at - window]
        volume = self._books.volume_between(self.number, at, at + window)
        share = int(Decimal(volume) * self.models.trades.participation)
        return max(0, share // self._step * self._step - sum(size for _, size in self._taken))

    def _ahead(self, order: VenueOrder) -> float | None:
        """A0 of F9: given, or so many medians of the last prints."""
        if self.models.queue.code == NO_QUEUE:
            return 0.0
        given = self.models.trades.ahead_qty
        if given is not None:
            return float(given.scaleb(self.size_scale))
        count = int(min(self._market["prints"], RING))
        median = float(np.median(self._books.state.prints[self.number, :count])) if count else 0.0
        return float(self.models.trades.ahead_medians) * median
