"""The drawdown limit: the equity is followed with every price, and its fall from its highest value is told.

In floats: what is compared here is never booked. Where one position alone moves the equity, prices between two bounds
change nothing and are passed over with one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from core.account.equity_mirror import EquityMirror
from core.bus import Subscription
from core.events import Bar, Event, MarketEvent, TradeTick
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
        self._market: tuple[str, str] = ("", "")
        """(venue, symbol) of the only position."""
        self._calm_low, self._calm_high = INFINITE, -INFINITE
        """Between these prices of it the equity is neither at a peak nor at the floor; none are, where there is no such
        position."""

    def hear(self, prices: Subscription) -> None:
        """Our place on the bus for prices: it rests while nothing is held."""
        self._prices = prices

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_bar(self, bar: Bar) -> None:
        """`on_price` where bars alone tell prices: a close between the bounds changes nothing, whosever it is."""
        if not self._calm_low <= bar.close <= self._calm_high:
            self.on_price(bar)

    def on_trade(self, tick: TradeTick) -> None:
        """The same where trades alone do."""
        if not self._calm_low <= tick.price <= self._calm_high:
            self.on_price(tick)

    def on_price(self, event: MarketEvent) -> None:
        """Follow the equity with each new price, once it is a mark."""
        if self._calm_low <= self._portfolio.marks.get(self._market, INFINITE) <= self._calm_high:
            return
        equity = self._mirror.equity()
        if equity >= self._peak:
            self._peak = equity
        elif equity <= self._peak * self._floor:
            peak = self._peak
            self._reached(event.ts, f"equity {equity:.2f} is {1 - equity / peak:.2%} below its peak {peak:.2f}")
        self._find_calm()
        if not self._mirror.held and self._prices is not None:
            self._prices.listen(False)

    def on_change(self, event: Event) -> None:
        """The books changed: from here on other prices matter, or none."""
        mirror = self._mirror
        mirror.look()
        self._find_calm()
        if self._prices is not None:
            self._prices.listen(bool(mirror.held) or not self._peak * self._floor < mirror.rest < self._peak)

    # --- what can be passed over ------------------------------------------------------------------------------------

    def _find_calm(self) -> None:
        """Which price alone moves the equity, if one does, and how far it can go before anything happens."""
        self._calm_low, self._calm_high = INFINITE, -INFINITE
        peak, rest, held = self._peak, self._mirror.rest, self._mirror.held
        if len(held) != 1 or held[0][0] not in self._portfolio.marks:
            return
        self._market, qty = held[0]
        margin = CALM_MARGIN * (abs(peak) + abs(rest))
        least, most = peak * self._floor + margin, peak - margin
        if least >= most:
            return
        if qty > 0:
            self._calm_low, self._calm_high = (least - rest) / qty, (most - rest) / qty
        else:
            self._calm_low, self._calm_high = (most - rest) / qty, (least - rest) / qty
