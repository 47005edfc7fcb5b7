"""The drawdown limit: the equity is followed with every price, and its fall from its highest value is told.

In floats: what is compared here is never booked. Where one position alone moves the equity, prices between two bounds
change nothing and are passed over with one comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from core.bus import Subscription
from core.equity_mirror import EquityMirror
from core.events import Bar, Event, MarketEvent
from core.portfolio import Portfolio

INFINITE = float("inf")
CALM_MARGIN = 1e-9
"""Fraction of the equity by which prices must miss its peak and the floor to be passed over: floats round at 1e-16."""


class Drawdown:
    """Hears prices and what changes the books, both after the portfolio."""

    def __init__(
        self,
        mirror: EquityMirror,
        portfolio: Portfolio,
        most: Decimal | None,
        reached: Callable[[int, str], None],
    ) -> None:
        """`most`: fraction of the peak; None: it is followed, and never too much. `reached` is told when, and why."""
        self._mirror = mirror
        self._portfolio = portfolio
        self._reached = reached
        self._floor = 1.0 - float(most) if most is not None else -INFINITE
        """The least that is allowed, as a fraction of the peak."""
        self._peak = mirror.equity()
        self._prices: Subscription | None = None
        self._stale = True
        """Whether the books changed since the following was taken of them."""
        self._market: tuple[str, str] = ("", "")
        """(venue, symbol) of the only position, its signed qty, and the equity less qty x price; qty 0: no such one."""
        self._qty = self._rest = 0.0
        self._calm_low, self._calm_high = INFINITE, -INFINITE
        """Between these prices of it the equity is neither at a peak nor at the floor."""

    def hear(self, prices: Subscription) -> None:
        """Our place on the bus for prices: it rests while nothing is held."""
        self._prices = prices

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_bar(self, bar: Bar) -> None:
        """`on_price` where bars alone tell prices: a close between the bounds changes nothing, whosever it is."""
        if not self._calm_low <= bar.close <= self._calm_high:
            self.on_price(bar)

    def on_price(self, event: MarketEvent) -> None:
        """Follow the equity with each new price, once it is a mark."""
        marks = self._portfolio.marks
        if self._stale:
            self._look(marks)
        price = marks.get(self._market, INFINITE)
        if self._calm_low <= price <= self._calm_high:
            return
        equity = self._rest + self._qty * price if self._qty else self._mirror.equity()
        if equity >= self._peak:
            self._peak = equity
        elif equity <= self._peak * self._floor:
            peak = self._peak
            self._reached(event.ts, f"equity {equity:.2f} is {1 - equity / peak:.2%} below its peak {peak:.2f}")
        if self._qty:
            self._find_calm()

    def on_change(self, event: Event) -> None:
        """The books changed: from here on prices matter again."""
        self._stale, self._calm_low = True, INFINITE
        if self._prices is not None:
            self._prices.listen(True)

    # --- what can be passed over ------------------------------------------------------------------------------------

    def _look(self, marks: Mapping[tuple[str, str], float]) -> None:
        """After a change of the books: which price alone can move the equity, if any can."""
        self._stale, self._qty = False, 0.0
        mirror = self._mirror
        mirror.look()
        if len(mirror.held) == 1 and mirror.held[0][0] in marks:
            self._market, self._qty = mirror.held[0]
            self._rest = mirror.rest
        elif not mirror.held and self._prices is not None:
            self._prices.listen(False)

    def _find_calm(self) -> None:
        """How far the price of the only position can go before anything happens."""
        peak, rest, qty = self._peak, self._rest, self._qty
        margin = CALM_MARGIN * (abs(peak) + abs(rest))
        least, most = peak * self._floor + margin, peak - margin
        if least >= most:
            self._calm_low, self._calm_high = INFINITE, -INFINITE
        elif qty > 0:
            self._calm_low, self._calm_high = (least - rest) / qty, (most - rest) / qty
        else:
            self._calm_low, self._calm_high = (most - rest) / qty, (least - rest) / qty
