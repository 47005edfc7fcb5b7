"""One symbol's market made of bars: F8 with F10 and F11.

Where our orders meet a bar: takers at their arrival (or carried to an open), resting limits by their share of the path
strictly through their price, stops by the gap rule or at the crossing. What is written here happens at the venue, in
engine time; `sim.matching` decides who may trade, this decides at what price and how much.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Protocol

from core.instruments import Instrument, decimals_of
from core.moments import INF
from sim.bars.bar_cursor import BarRow
from sim.bars.bar_path import BarPath, Exact, Segment
from sim.bars.trailing import Trail, follow, until
from sim.models import Models
from sim.models.bars import path_of
from sim.models.impact import Day
from sim.venue_order import Cause, VenueOrder

if TYPE_CHECKING:
    from sim.matching import Matching

FILL, TRIGGER = 0, 1


class BarCursor(Protocol):
    """Where a market's bars come from: a tape in a backtest, rows pushed by a feed in paper mode."""

    interval_ns: int
    price_scale: int
    size_scale: int
    tape_id: str

    def at(self, ts: int) -> BarRow | None:
        """Move to the bar that contains `ts` and return it, or None in a hole; `next_open` is then the one after."""
        ...

    def next_open(self) -> int:
        """Open time of the next bar, INF where there is none."""
        ...

    def take(self) -> BarRow:
        """The next bar; moves on."""
        ...

    def close_before(self, in_hole: bool) -> int | None:
        """Close of the bar before the current one, or before the hole, mantissa; None without one."""
        ...

    def day_before(self, row: int) -> Day | None:
        """(sigma, volume) of the trailing day strictly before a row; None without a past."""
        ...


class BarMarket:
    """Matches the working orders of one symbol against its bars."""

    def __init__(self, instrument: Instrument, models: Models, cursor: BarCursor, matching: Matching) -> None:
        self.instrument = instrument
        self.models = models
        self.cursor = cursor
        self._matching = matching
        self.scale = max(cursor.price_scale, decimals_of(instrument.tick))
        self._factor = 10 ** (self.scale - cursor.price_scale)
        self._unit = 10.0**self.scale
        self._impact = models.impact.memory()
        self._rho = Fraction(models.bars.participation)
        self._step = Fraction(instrument.step)
        cap = Fraction(models.bars.market_participation) / (10**cursor.size_scale * self._step)
        self._cap = (cap.numerator, cap.denominator)
        """Steps takers may have per unit of a bar's volume mantissa; 0 is no cap."""
        self.orders: list[VenueOrder] = []
        """Working orders in order of arrival."""
        self.bar: Any = None
        """The bar that is being walked; None before the first and in a hole."""
        self._path: BarPath | None = None
        self._end = 0
        self._taken = 0
        """Taker quantity of this bar so far, steps."""
        self._claimed: list[tuple[Exact, Exact]] = []
        """Stretches of the path whose share is ours already."""
        self._effects: list[tuple[int, int, int, int, VenueOrder, int, Segment | None]] = []
        self._count = 0

    # --- what matching asks -----------------------------------------------------------------------------------------

    def next_at(self) -> int:
        """Engine time of the next thing that happens here to our orders; INF without orders."""
        if not self.orders:
            return INF
        first = self._effects[0][0] if self._effects else INF
        opens = self.cursor.next_open()
        return first if first < opens else opens

    def wake(self, at: int) -> None:
        """Catch up to `at`: nothing of ours was here, so nothing was missed."""
        if not self.orders and (self.bar is None or not self.bar.open_time <= at < self._end):
            self._begin(self.cursor.at(at))

    def data(self, at: int) -> None:
        """Market data of this moment: a bar that opens, and fills whose time has come."""
        if self.cursor.next_open() <= at:
            self._run(at, TRIGGER)  # what the last bar touched with its very close
            self._begin(self.cursor.take())
            self._open_bar()
        self._run(at, FILL)

    def triggers(self, at: int) -> None:
        """Triggers whose time has come, after the data that caused them."""
        self._run(at, TRIGGER)

    def price(self, at: int) -> Exact | None:
        """The path's price at `at`, mantissa; None in a hole."""
        bar = self.bar
        if bar is None or not bar.open_time <= at < self._end:
            return None
        return bar.open if at == bar.open_time else self._walk().price_at(at)

    def known_before(self, at: int) -> Exact | None:
        """The last price the venue knew before `at`: at an open, the close before it."""
        bar = self.bar
        if bar is None or at == bar.open_time:
            # Asked of the tape: the bar walked last may be long past, with bars in between that nothing of ours met.
            before = self.cursor.close_before(bar is None)
            return None if before is None else before * self._factor
        return self.price(at) if at < self._end else bar.close

    def decimal(self, mantissa: Exact) -> Decimal:
        """A mantissa as a price on the tick."""
        return self.instrument.price_nearest(mantissa / self._unit)

    @property
    def carries(self) -> bool:
        """Whether a market order's rest waits for the next open."""
        return self.models.bars.remainder == "carry"

    def fired_crosses(self, order: VenueOrder, reference: Exact | None, at: int) -> bool:
        """Whether an order whose trigger was pulled trades now: at the trigger's own price (F8), later as any other."""
        if order.limit is None:
            return True
        if reference is None:
            return self.crosses(order, at)
        return order.sign * (reference - order.limit_mantissa) <= 0

    def ahead_at(self, order: VenueOrder) -> None:
        """Bars show no queue."""

    def queue_ahead(self, order: VenueOrder) -> None:
        """Bars show no queue."""

    def shrink(self, order: VenueOrder) -> None:
        """Less quantity, the same place (amend): what is planned along the path stays."""

    def nth_price(self, side: str, n: int) -> Decimal | None:
        """Bars show no levels: a peg has nothing to follow."""
        return None

    def cost_of_whole(self, order: VenueOrder, at: int) -> Decimal:
        """Bars show no levels to add up."""
        return Decimal(0)

    def qty_for_quote(self, order: VenueOrder, quote: Decimal, at: int) -> Decimal:
        """What a market order worth `quote` buys or sells at `at`, or would at the last price before a hole."""
        ref = self.price(at)
        if ref is None:
            ref = self.known_before(at)
        if ref is None:
            return Decimal(0)
        price, qty = ref / self._unit, Decimal(0)
        for _ in range(2):  # first without impact, then with that of the size this gives: never more than `quote`
            qty = self.instrument.floor_qty(quote / self._taker_price(order, price, float(qty), at))
        return qty

    # --- arrivals ---------------------------------------------------------------------------------------------------

    def place(self, order: VenueOrder, at: int) -> None:
        """A limit order comes to rest, or a trigger order begins to wait, at `at`."""
        if order not in self.orders:
            self.orders.append(order)
        inside = self.bar is not None and at < self._end
        order.carried = not inside and self._would_take(order, at)
        if inside:
            self._plan(order, at)

    def remove(self, order: VenueOrder) -> None:
        """The order is over, or it must be planned anew (amend)."""
        order.plan += 1
        if order in self.orders:
            self.orders.remove(order)

    def take(self, order: VenueOrder, at: int, reference: Exact | None = None) -> None:
        """A taker meets the bar at `at`: price reference x (1 + side x (half spread + impact)), away from us."""
        matching, instrument, reason = self._matching, self.instrument, None
        ref = self.price(at) if reference is None else reference
        if ref is None:
            matching.rest_taker(order, at)
            return
        if order.carried and order.terms.quote_qty is not None:
            order.qty = order.filled + self.qty_for_quote(order, order.terms.quote_qty - order.value, at)
            if not order.leaves:  # what is left of its quote units buys no step any more
                matching.expire(order, at, "no_liquidity")
                return
        order.carried = False
        wanted = matching.may_fill(order)
        room = self._room()
        steps = wanted if wanted <= room else room
        if steps < wanted and order.terms.tif == "fok":
            steps = 0
        if steps > 0:
            price = self._taker_price(order, ref / self._unit, steps * instrument.step_float, at)
            bound = matching.admission.taker_bound(order, self, at)
            if bound is not None and order.sign * (price - bound[0]) > 0:
                reason, steps = bound[1], 0
            elif order.limit is not None and order.sign * (price - order.limit) > 0:
                steps = 0
            else:
                steps = matching.affordable(order, price, steps)
        if steps > 0:
            self._taken += steps
            if self._impact is not None:
                self._impact.remember(order.terms.side, steps * instrument.step_float, at)
            qty = instrument.step * steps
            matching.fill(order, at, price, qty, "taker", self.decimal(ref), "bar", self._cause(), None)
            if at == self.bar.open_time and self._path is not None and self.models.bars.path == "worst":
                self._face_anew(at)
        matching.rest_taker(order, at, reason)

    def crosses(self, order: VenueOrder, at: int, reference: Exact | None = None) -> bool:
        """Whether a limit order would take at `at`: compared with the price a taker pays before impact (F13)."""
        if order.limit is None:
            return False
        touch = self.best_price(order, at, reference)
        return touch is not None and order.sign * (touch - order.limit) <= 0

    def _would_take(self, order: VenueOrder, at: int) -> bool:
        """In a hole: whether a limit order that arrives would trade at the last price, and so at the open it waits for.

        One that a bar's very close has let go met that bar already: what is left of it rests.
        """
        if order.limit is None or order.waits_for_trigger or order.triggered or order.never_takes:
            return False
        known = self.known_before(at)
        return known is not None and order.sign * (self._touch(order, known) - order.limit) <= 0

    def best_price(self, order: VenueOrder, at: int, reference: Exact | None = None) -> Decimal | None:
        """What a taker pays at `at` before impact; None in a hole."""
        ref = self.price(at) if reference is None else reference
        return None if ref is None else self._touch(order, ref)

    def _touch(self, order: VenueOrder, ref: Exact) -> Decimal:
        price = ref / self._unit
        half = self.models.spread.half(price, self.instrument.tick_float)
        return self.instrument.price_away(price * (1.0 + order.sign * half), order.terms.side)

    def can_fill_whole(self, order: VenueOrder, at: int, reference: Exact | None = None) -> bool:
        """F2 for FOK: the whole quantity within the cap, at a price within the limit."""
        ref = self.price(at) if reference is None else reference
        if ref is None:
            return False
        wanted = self._matching.may_fill(order)
        if wanted == 0 or wanted > self._room():
            return False
        qty = float(self.instrument.step * wanted)
        price = self._taker_price(order, ref / self._unit, qty, at)
        return order.limit is None or order.sign * (price - order.limit) <= 0

    # --- the bar ----------------------------------------------------------------------------------------------------

    def _begin(self, bar: Any) -> None:
        if bar is not None and self._factor != 1:
            bar = bar.scaled(self._factor)
        self.bar = bar
        self._end = bar.open_time + self.cursor.interval_ns if bar is not None else 0
        self._path = None
        self._taken = 0
        self._claimed = []
        self._effects = []

    def _open_bar(self) -> None:
        """Carried takers meet the open, then what rests is planned along the path."""
        at = self.bar.open_time
        for order in [o for o in self.orders if o.carried]:
            if order.is_open:
                self.take(order, at)
        for order in list(self.orders):
            if not order.carried:
                self._plan(order, at)

    def _walk(self) -> BarPath:
        path = self._path
        if path is None:
            bar = self.bar
            held = self._matching.held_sign(self.instrument.symbol)
            vertices = path_of(self.models.bars.path, bar.open, bar.high, bar.low, bar.close, held)
            path = self._path = BarPath(vertices, bar.open_time, self.cursor.interval_ns)
        return path

    def _face_anew(self, at: int) -> None:
        """A position opened at the very open has its own adverse extreme first, whatever else was planned by then."""
        decided = self._path
        if not self._claimed:  # once a share of the path is given out, it is that path
            self._path = None
            if decided is None or self._walk().prices != decided.prices:
                for order in list(self.orders):
                    if not order.carried:
                        self._plan(order, at)

    def _plan(self, order: VenueOrder, since: int) -> None:
        """When the path, from `since` on, does something to this order."""
        bar = self.bar
        order.plan += 1
        if order.waits_for_trigger:
            if order.terms.trigger_by != "last":
                return  # by mark or index: the venue's own prices pull it
            if order.trail or order.trail_ppm:
                self._plan_trailing(order, since)
                return
            trigger, sign = order.trigger, order.trigger_sign
            extreme = bar.high if sign > 0 else bar.low
            if sign * extreme >= sign * trigger:
                at = self._walk().first_touch(trigger, sign, since)
                if at is not None:
                    self._push(at, TRIGGER, 0, order, None)
            return
        limit = order.limit_mantissa
        extreme = bar.low if order.sign > 0 else bar.high
        if order.sign * extreme < order.sign * limit:
            for segment in self._walk().through(limit, order.sign, since):
                # Best price first, then time: a higher bid, a lower offer.
                self._push(segment.at, FILL, -order.sign * limit, order, segment)

    def _plan_trailing(self, order: VenueOrder, since: int) -> None:
        path, began = self._walk(), order.trail_since
        trail = Trail(order.trigger_sign, order.trigger, order.trail, order.trail_ppm, order.trail_next)
        if began is not None and began >= self.bar.open_time:  # planned anew: it has seen this bar until now
            trail = until(trail._replace(best=order.trail_best), path, began, since)
        order.trail_best, order.trail_since = trail.best, since
        trail, pulled = follow(trail, path, since)
        order.trail_next = trail.best
        if pulled is not None:
            order.trail_level = pulled.price
            self._push(pulled.at, TRIGGER, 0, order, None)

    def _push(self, at: int, phase: int, rank: int, order: VenueOrder, segment: Segment | None) -> None:
        self._count += 1
        heappush(self._effects, (at, phase, rank, self._count, order, order.plan, segment))

    def _run(self, at: int, phase: int) -> None:
        effects = self._effects
        later = []
        while effects and effects[0][0] <= at:
            entry = heappop(effects)
            when, kind, _, _, order, plan, segment = entry
            if plan != order.plan or not order.is_open:
                continue
            if kind != phase:
                later.append(entry)
                continue
            if kind == FILL:
                assert segment is not None
                self._fill_resting(order, segment)
            else:
                self._fire(order, when)
        for entry in later:
            heappush(effects, entry)

    def _fire(self, order: VenueOrder, at: int) -> None:
        """A trigger: the gap rule at the open (reference O), else at the crossing (reference the trigger itself)."""
        crossed = order.trail_level if order.trail or order.trail_ppm else order.trigger
        reference: Exact = self.bar.open if at == self.bar.open_time else crossed
        order.plan += 1
        self._matching.fire(order, at, reference)

    def _fill_resting(self, order: VenueOrder, segment: Segment) -> None:
        wanted = self._matching.may_fill(order)
        steps = self._claim(segment, wanted)
        if steps > 0:
            assert order.limit is not None
            qty = self.instrument.step * steps
            self._matching.fill(order, segment.at, order.limit, qty, "maker", order.limit, "bar", self._cause(), None)
            self._matching.linked.after_match(order, segment.at)

    def _claim(self, segment: Segment, wanted: int) -> int:
        """Steps of the segment's share that own orders have not taken yet; what is taken is gone, in path order."""
        free = _without(segment.begin, segment.end, self._claimed)
        length = sum((b - a for a, b in free), start=0)
        path = self._walk()
        whole = 1 if path.flat else path.length
        per_length = self._rho * self.bar.volume / (10**self.cursor.size_scale * whole * self._step)
        steps = min(wanted, int(length * per_length))
        if steps > 0:
            need: Exact = Fraction(steps) / per_length
            for a, b in free:
                used = min(need, b - a)
                if used > 0:
                    self._claimed.append((a, a + used))
                need -= used
        return steps

    def _room(self) -> int:
        """Steps takers may still have of this bar; INF without a cap."""
        numerator, denominator = self._cap
        room: int = numerator * self.bar.volume // denominator - self._taken if numerator else INF
        return room if room > 0 else 0

    def _taker_price(self, order: VenueOrder, reference: float, qty: float, at: int) -> Decimal:
        instrument, side = self.instrument, order.terms.side
        cost = self.models.spread.half(reference, instrument.tick_float)
        if self._impact is not None:
            cost += self._impact.cost(side, qty, at, self._day)
        return instrument.price_away(reference * (1.0 + order.sign * cost), side)

    def _cause(self) -> Cause:
        return self.cursor.tape_id, self.bar.row, self.bar.open_time

    def _day(self) -> Day | None:
        """The day before the bar in hand; None in a hole."""
        return None if self.bar is None else self.cursor.day_before(self.bar.row)


def _without(begin: Exact, end: Exact, taken: list[tuple[Exact, Exact]]) -> list[tuple[Exact, Exact]]:
    """The parts of [begin, end] that no taken stretch covers, in order."""
    free = [(begin, end)]
    for a, b in taken:
        left = []
        for x, y in free:
            if b <= x or a >= y:
                left.append((x, y))
                continue
            if x < a:
                left.append((x, a))
            if b < y:
                left.append((b, y))
        free = left
    return free
