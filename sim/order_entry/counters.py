"""What a venue counts: orders and request weight per window, and what it does when there are too many (section 5).

Binance counts in fixed windows aligned to their length (UTC): orders that were accepted, less what their first fill
gives back, and the weight of every request. Bybit counts the requests of each kind in the second just past.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

from core.events import Liquidity
from core.notation import interval_ns
from core.venue_rules import DatedLimits, RateLimitRules, Request, RequestCost, VenueRules
from sim.models.rate_limits import NoRateLimits, RateLimitModel, VenueRateLimits
from sim.order_entry.validation import Refusal, refused

SHOWN = {"orders_10s": ("orders", "10s"), "orders_1m": ("orders", "1m"), "orders_1d": ("orders", "1d")}
SHOWN |= {"weight_1m": ("weight", "1m")}
"""Counters of the venue's state to what is counted and its window."""
UNITS = {"s": "SECOND", "m": "MINUTE", "h": "HOUR", "d": "DAY"}
FREE = RequestCost()
UNLIMITED = 2**63 - 1
UNCOUNTED_MAXIMUM = 1000
"""Changes that may wait to be counted, so that they take next to no memory and time."""


class Window:
    """One fixed window: its length, what was counted in the newest one, and how much it may be."""

    __slots__ = ("count", "interval", "length", "limit", "number")

    def __init__(self, interval: str) -> None:
        self.interval = interval
        self.length = interval_ns(interval)
        self.limit = UNLIMITED
        self.number = 0
        self.count = 0

    def at(self, at: int) -> int:
        """The count of the window that holds `at`."""
        return self.count if self.number == at // self.length else 0


class Meter:
    """What is counted in several fixed windows at once; a count is never below 0.

    Counting waits until a limit may be near: `room` more are within all limits in any case, since a window that ends
    and a credit can only make more room.
    """

    __slots__ = ("_uncounted", "room", "windows")

    def __init__(self) -> None:
        self.windows: dict[str, Window] = {}
        self.room = 0
        self._uncounted: list[tuple[int, int]] = []
        """Time and change, in order of time."""

    def add(self, change: int, at: int) -> None:
        """Count `change` in all windows that hold `at`."""
        self._uncounted.append((at, change))
        if change > 0:
            self.room -= change

    def over(self, amount: int, at: int) -> Window | None:
        """The first window that `amount` more would take over its limit; to be asked where there is no room."""
        self.count()
        left = [(window.limit - window.at(at), window) for window in self.windows.values()]
        self.room = min(UNCOUNTED_MAXIMUM, *(room for room, _ in left))
        return next((window for room, window in left if room < amount), None)

    def count(self) -> None:
        """Bring the windows up to date: of each only the newest is of interest."""
        uncounted = self._uncounted
        for window in self.windows.values() if uncounted else ():
            number = uncounted[-1][0] // window.length
            count = window.count if window.number == number else 0
            for _, change in uncounted[bisect_left(uncounted, (number * window.length,)) :]:
                count = max(0, count + change)
            window.number, window.count = number, count
        uncounted.clear()


class Counters:
    """The counters of one account at one venue. Times never go back."""

    def __init__(self, rules: VenueRules, chosen: RateLimitModel) -> None:
        self._venue = rules
        self._rules = rules.rate_limits if rules.rate_limits is not None else RateLimitRules(limits=[])
        self._given = chosen if isinstance(chosen, VenueRateLimits) else VenueRateLimits()
        self._limited = not isinstance(chosen, NoRateLimits)
        self._costs = self._rules.costs
        self._rolling = self._rules.orders_counted == "rolling"
        maker, taker = self._given.maker_fill_credit, self._given.taker_fill_credit
        self._credit: dict[Liquidity, int] = {
            "maker": self._rules.maker_fill_credit if maker is None else maker,
            "taker": self._rules.taker_fill_credit if taker is None else taker,
        }
        self.gives_back = any(self._credit.values())
        """Whether a first fill is worth telling."""
        self._meters = {"orders": Meter(), "weight": Meter()}
        self._orders, self._weight = self._meters["orders"], self._meters["weight"]
        for what, interval in SHOWN.values():
            self._meters[what].windows[interval] = Window(interval)
        self._recent: dict[tuple[str, str], deque[int]] = {}
        """Rolling: (kind of request, interval) to the times of those that were let in."""
        self._valid_from = self._valid_until = 0

    # --- what happens -----------------------------------------------------------------------------------------------

    def request(self, kind: Request, at: int) -> Refusal | None:
        """A request reaches the venue: its weight counts in any case. A refusal where that is too much."""
        if not self._valid_from <= at < self._valid_until:
            self._follow(at)
        cost = self._costs.get(kind, FREE)
        full = None
        if cost.weight:
            meter = self._weight
            full = meter.over(cost.weight, at) if cost.weight > meter.room else None
            meter.add(cost.weight, at)
            if full is not None:
                return refused(self._venue, "request_rate", full.limit, _words(full.interval))
        if cost.orders and cost.orders > self._orders.room:
            full = self._too_often(kind, cost.orders, at) if self._rolling else self._orders.over(cost.orders, at)
        return None if full is None else refused(self._venue, "order_rate", full.limit, _words(full.interval))

    def succeeded(self, kind: Request, at: int) -> None:
        """It did what it asked for: orders are counted now, and a weight that success lowers goes down."""
        cost = self._costs.get(kind, FREE)
        if cost.orders and (kind == "submit" or not self._rolling):
            self._orders.add(cost.orders, at)
        if cost.on_success:
            valid = [row.weight for row in cost.on_success if row.since <= at]
            if valid:
                self._weight.add(valid[-1] - cost.weight, at)

    def first_fill(self, liquidity: Liquidity, at: int) -> None:
        """An order trades for the first time: what the venue gives back of the current windows, never below 0."""
        if self._credit[liquidity]:
            self._orders.add(-self._credit[liquidity], at)

    # --- queries ----------------------------------------------------------------------------------------------------

    def at(self, at: int) -> dict[str, int]:
        """The counts of the windows that hold `at`, absolute int nanoseconds."""
        for meter in self._meters.values():
            meter.count()
        return {name: self._meters[what].windows[interval].at(at) for name, (what, interval) in SHOWN.items()}

    # --- inside -----------------------------------------------------------------------------------------------------

    def _follow(self, at: int) -> None:
        """The limits valid at `at`."""
        dated = self._rules.limits_at(at) if self._rules.limits else DatedLimits(0)
        later = [row.since for row in self._rules.limits if row.since > at]
        self._valid_from, self._valid_until = at, min(later, default=UNLIMITED)
        for what, meter in self._meters.items():
            meter.count()
            meter.room = 0
            given = getattr(self._given, what)
            limits: dict[str, int] = getattr(dated, what) if given is None else given
            for interval in limits:
                meter.windows.setdefault(interval, Window(interval))
            for interval, window in meter.windows.items():
                window.limit = limits.get(interval, UNLIMITED) if self._limited else UNLIMITED

    def _too_often(self, kind: Request, orders: int, at: int) -> Window | None:
        """The window of the time just past in which there were too many; else this one is let in, and counts."""
        self._orders.count()  # for who asks how many there were; nothing here decides by fixed windows
        limited = [window for window in self._orders.windows.values() if window.limit != UNLIMITED]
        for window in limited:
            if self._just_past(kind, window, at) + orders > window.limit:
                return window
        for window in limited:
            self._recent.setdefault((kind, window.interval), deque()).append(at)
        return None

    def _just_past(self, kind: Request, window: Window, at: int) -> int:
        recent = self._recent.get((kind, window.interval))
        if recent is None:
            return 0
        while recent and recent[0] <= at - window.length:
            recent.popleft()
        return len(recent)


def _words(interval: str) -> str:
    """An interval as the venue's messages write it: `10 SECOND`."""
    return f"{interval[:-1]} {UNITS.get(interval[-1], interval[-1])}"
