"""What a venue counts: orders and request weight per window, and what it does when there are too many (section 5).

Binance counts in fixed windows aligned to their length (UTC): orders that were accepted, less what their first fill
gives back, and the weight of every request. Bybit counts the requests of each kind in the second just past.
"""

from __future__ import annotations

from collections import deque

from core.events import Liquidity
from core.notation import interval_ns
from core.venue_rules import DatedLimits, RateLimitRules, Request, RequestCost, VenueRules
from sim.models.rate_limits import NoRateLimits, RateLimitModel, VenueRateLimits
from sim.validation import Refusal, refused

SHOWN = {"orders_10s": ("orders", "10s"), "orders_1m": ("orders", "1m"), "orders_1d": ("orders", "1d")}
SHOWN |= {"weight_1m": ("weight", "1m")}
"""Counters of the venue's state to what is counted and its window."""
UNITS = {"s": "SECOND", "m": "MINUTE", "h": "HOUR", "d": "DAY"}
FREE = RequestCost()


class Window:
    """One fixed window: its length, what was counted in the newest one, and how much it may be."""

    __slots__ = ("count", "interval", "length", "limit", "number")

    def __init__(self, interval: str) -> None:
        self.interval = interval
        self.length = interval_ns(interval)
        self.limit: int | None = None
        self.number = 0
        self.count = 0

    def at(self, at: int) -> int:
        """The count of the window that holds `at`."""
        return self.count if self.number == at // self.length else 0

    def add(self, change: int, at: int) -> None:
        """Count in the window that holds `at`; never below 0."""
        number = at // self.length
        if number != self.number:
            self.number, self.count = number, 0
        self.count = max(0, self.count + change)


class Counters:
    """The counters of one account at one venue. Times never go back."""

    def __init__(self, rules: VenueRules, chosen: RateLimitModel) -> None:
        self._venue = rules
        self._rules = rules.rate_limits if rules.rate_limits is not None else RateLimitRules(limits=[])
        self._given = chosen if isinstance(chosen, VenueRateLimits) else VenueRateLimits()
        self._limited = not isinstance(chosen, NoRateLimits)
        self._rolling = self._rules.orders_counted == "rolling"
        maker, taker = self._given.maker_fill_credit, self._given.taker_fill_credit
        self._credit: dict[Liquidity, int] = {
            "maker": self._rules.maker_fill_credit if maker is None else maker,
            "taker": self._rules.taker_fill_credit if taker is None else taker,
        }
        self._windows: dict[str, dict[str, Window]] = {"orders": {}, "weight": {}}
        for what, interval in SHOWN.values():
            self._windows[what][interval] = Window(interval)
        self._recent: dict[tuple[str, str], deque[int]] = {}
        """Rolling: (kind of request, interval) to the times of those that were let in."""
        self._valid_from = self._valid_until = 0

    # --- what happens -----------------------------------------------------------------------------------------------

    def request(self, kind: Request, at: int) -> Refusal | None:
        """A request reaches the venue: its weight counts in any case. A refusal where that is too much."""
        if not self._valid_from <= at < self._valid_until:
            self._follow(at)
        cost = self._rules.costs.get(kind, FREE)
        over = self._weigh(cost.weight, at) if cost.weight else None
        if over is None and cost.orders and self._limited:
            over = self._too_many(kind, cost.orders, at)
            if over is None and self._rolling:
                for window in self._windows["orders"].values():
                    if window.limit is not None:
                        self._recent.setdefault((kind, window.interval), deque()).append(at)
        if over is None:
            return None
        case, window = over
        return refused(self._venue, case, window.limit, _words(window.interval))

    def succeeded(self, kind: Request, at: int) -> None:
        """It did what it asked for: orders are counted now, and a weight that success lowers goes down."""
        cost = self._rules.costs.get(kind, FREE)
        if cost.orders and (kind == "submit" or not self._rolling):
            for window in self._windows["orders"].values():
                window.add(cost.orders, at)
        if cost.on_success:
            valid = [row.weight for row in cost.on_success if row.since <= at]
            if valid:
                self._change("weight", valid[-1] - cost.weight, at)

    def first_fill(self, liquidity: Liquidity, at: int) -> None:
        """An order trades for the first time: what the venue gives back of the current windows, never below 0."""
        if self._credit[liquidity]:
            self._change("orders", -self._credit[liquidity], at)

    # --- queries ----------------------------------------------------------------------------------------------------

    def at(self, at: int) -> dict[str, int]:
        """The counts of the windows that hold `at`, absolute int nanoseconds."""
        return {name: self._windows[what][interval].at(at) for name, (what, interval) in SHOWN.items()}

    # --- inside -----------------------------------------------------------------------------------------------------

    def _follow(self, at: int) -> None:
        """The limits valid at `at`."""
        dated = self._rules.limits_at(at) if self._rules.limits else DatedLimits(0)
        later = [row.since for row in self._rules.limits if row.since > at]
        self._valid_from, self._valid_until = at, min(later, default=2**63 - 1)
        for what, windows in self._windows.items():
            given = getattr(self._given, what)
            limits: dict[str, int] = getattr(dated, what) if given is None else given
            for interval in limits:
                windows.setdefault(interval, Window(interval))
            for interval, window in windows.items():
                window.limit = limits.get(interval)

    def _weigh(self, weight: int, at: int) -> tuple[str, Window] | None:
        over = None
        for window in self._windows["weight"].values():
            if over is None and self._limited and window.limit is not None and window.at(at) + weight > window.limit:
                over = ("request_rate", window)
            window.add(weight, at)
        return over

    def _too_many(self, kind: Request, orders: int, at: int) -> tuple[str, Window] | None:
        """Nothing of a refused order is counted, in no window."""
        for window in self._windows["orders"].values():
            if window.limit is None:
                continue
            count = window.at(at) if not self._rolling else self._just_past(kind, window, at)
            if count + orders > window.limit:
                return "order_rate", window
        return None

    def _just_past(self, kind: Request, window: Window, at: int) -> int:
        recent = self._recent.get((kind, window.interval))
        if recent is None:
            return 0
        while recent and recent[0] <= at - window.length:
            recent.popleft()
        return len(recent)

    def _change(self, what: str, change: int, at: int) -> None:
        for window in self._windows[what].values():
            window.add(change, at)


def _words(interval: str) -> str:
    """An interval as the venue's messages write it: `10 SECOND`."""
    return f"{interval[:-1]} {UNITS.get(interval[-1], interval[-1])}"
