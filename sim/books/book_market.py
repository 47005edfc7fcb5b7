"""One symbol's market made of a book or of quotes: F2 to F7, F11, F12 and F14. Prints alone: `sim.books.print_market`.

The kernel follows the rows (`sim.books.books`); what is written here happens when a request of ours meets the book: a
taker walks it, an order comes to rest at its place in the queue, a trigger begins to wait. All in engine time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

from core.instruments import Instrument, decimals_of
from core.moments import INF
from core.tape import Rows
from sim.books import kernel_levels, kernel_state
from sim.books.book_rows import CODES
from sim.books.books import Books, Effect
from sim.books.order_lines import ROOMS, OrderLines, fitting
from sim.books.self_trade import meet
from sim.books.trailing_day import TrailingDay
from sim.models import Models
from sim.venue_order import Cause, VenueOrder

if TYPE_CHECKING:
    from sim.matching import Matching

CROSSED = {"displayed": kernel_state.DISPLAYED, "full": kernel_state.FULL, "none": kernel_state.NEVER}
FINEST = ("l3", "depth", "quotes", "trades")
"""Kinds of tapes a market can be made of, finest first."""


class BookMarket:
    """Matches the working orders of one symbol against its book, its touch or its prints."""

    carries = False
    """A market order's rest is not carried anywhere: it ends."""
    taker_rule = "walk"
    """The rule of what is paid by a law instead of a level: F2 where the book is used up."""

    def __init__(
        self, instrument: Instrument, models: Models, books: Books, matching: Matching, tapes: Mapping[str, Rows]
    ) -> None:
        """`tapes` by kind; the finest makes the book, prints come from `trades` beside it."""
        self.instrument = instrument
        self.models = models
        self._books = books
        self._matching = matching
        self.finest = next(kind for kind in FINEST if kind in tapes)
        used = [tapes[kind] for kind in dict.fromkeys((self.finest, "trades")) if kind in tapes]
        self.scale = max([decimals_of(instrument.tick), *(tape.price_scale for tape in used)])
        self.size_scale = max([decimals_of(instrument.step), *(tape.size_scale for tape in used)])
        factors = [(t, 10 ** (self.scale - t.price_scale), 10 ** (self.size_scale - t.size_scale)) for t in used]
        self.number = books.add(self, factors)
        self._tape_ids = {
            "book": tapes[self.finest].tape_id[:16],
            "prints": tapes["trades"].tape_id[:16] if "trades" in tapes else "",
        }
        self.orders: list[VenueOrder] = []
        """Working orders in order of arrival."""
        self._own = OrderLines(self, books, self.number)
        self._fired: list[VenueOrder] = []
        self._size_unit = 10.0**self.size_scale
        self._impact = models.impact.memory()
        self._day = TrailingDay(tapes.get("trades"))
        self._set_up()

    def _set_up(self) -> None:
        market, models = self._market, self.models
        self._step = int(self.instrument.step.scaleb(self.size_scale))
        market["step"] = self._step
        market["queue"] = models.queue.code
        market["crossed"] = CROSSED[models.crossed.kind]
        market["through"] = kernel_state.FULL if models.crossed.through == "full" else kernel_state.DISPLAYED
        market["finest"] = CODES[self.finest]
        market["credit_ns"] = models.queue.credit_ms
        market["unit"] = 10.0**-self.size_scale
        market["power"] = models.queue.exponent
        market["participation"] = float(models.trades.participation)
        market["half_life_ns"] = float(models.overlay.refill_half_life_ms or 0)

    @property
    def _market(self) -> Any:
        """The kernel's record of this market."""
        return self._books.state.markets[self.number]

    # --- what matching asks -----------------------------------------------------------------------------------------

    def next_at(self) -> int:
        """The cursor of all books knows when something happens here; this market alone knows of triggers that were
        pulled while another venue settled the books."""
        return self._books.passed if self._fired else INF

    def wake(self, at: int) -> None:
        """The books are settled up to `at` before a request is answered."""

    def data(self, at: int) -> None:
        """The books hand over what happened: `filled`, `fired`."""

    def triggers(self, at: int) -> None:
        """Triggers the data of this moment pulled."""
        if self._fired:
            fired, self._fired = self._fired, []
            for order in fired:
                if order.is_open:
                    self._matching.fire(order, at, self.price(at))

    def price(self, at: int) -> int | None:
        """The last print, else the middle of the touch; mantissa."""
        last = int(self._market["last_price"])
        if last:
            return last
        bid, ask = self.touch("buy"), self.touch("sell")
        return (bid + ask) // 2 if bid is not None and ask is not None else bid if ask is None else ask

    def known_before(self, at: int) -> Fraction | int | None:
        """The last price the venue knows: before the first print the middle of the touch, between ticks too."""
        bid, ask = self.touch("buy"), self.touch("sell")
        if self._market["last_price"] or bid is None or ask is None:
            return self.price(at)
        return Fraction(bid + ask, 2)

    def decimal(self, mantissa: Any) -> Decimal:
        """A mantissa as an exact price."""
        return Decimal(int(mantissa)).scaleb(-self.scale)

    def touch(self, side: str) -> int | None:
        """Best displayed price of the bids (`buy`) or asks (`sell`), mantissa."""
        b = self._book(side)
        count = self._books.counts.item(b)
        return abs(self._books.keys.item(b, count - 1)) if count else None

    def nth_price(self, side: str, n: int) -> Decimal | None:
        """Price of the n-th displayed level of the bids (`buy`) or asks (`sell`), 1 is the best; None if too short."""
        books, b = self._books, self._book(side)
        count = books.counts.item(b)
        return self.decimal(abs(books.keys.item(b, count - n))) if count >= n else None

    def best_price(self, order: VenueOrder, at: int) -> Decimal | None:
        """The best displayed price opposite an order; None where there is none."""
        return self.nth_price("sell" if order.sign > 0 else "buy", 1)

    def crosses(self, order: VenueOrder, at: int, reference: Any = None) -> bool:
        """Whether a limit order would trade now: with what is displayed (F13), or with an order of our own (F14)."""
        if order.limit is None:
            return False
        books, b = self._books, self._opposite(order)
        key, count = -order.sign * order.limit_mantissa, books.counts.item(b)
        if count and books.keys.item(b, count - 1) >= key:
            return True
        line = self._own.resting[order.sign > 0]
        return bool(line) and bool(books.own_keys.item(line[0]) >= key)

    def fired_crosses(self, order: VenueOrder, reference: Any, at: int) -> bool:
        """Whether an order whose trigger was pulled meets the book, as any other."""
        return order.limit is None or self.crosses(order, at)

    def can_fill_whole(self, order: VenueOrder, at: int, reference: Any = None) -> bool:
        """F2 for FOK: the whole quantity is available within the limit and the venue's bound.

        What rests of our own counts as the order's self-trade mode has it: as liquidity, as nothing, or as the end.
        """
        wanted = self._wanted(order)
        bound = self._matching.admission.taker_bound(order, self, at)
        mode = self._matching.prevention(order)
        state, b = self._books.state, self._opposite(order)
        found, i = 0, int(state.books[b]["count"]) - 1
        own = [self._own.orders[slot] for slot in self._line(b)]
        while found < wanted and (i >= 0 or own):
            level = abs(int(state.levels[b, i]["key"])) if i >= 0 else None
            met = own[0].limit_mantissa if own else None
            price: int = min((p for p in (level, met) if p is not None), key=lambda p: order.sign * p)
            if not self._within(order, price) or _beyond(bound, order, self.decimal(price)):
                break
            free = int(kernel_levels.available(self._market, state.levels[b, i], at)) if price == level else 0
            resting = [other for other in own if other.limit_mantissa == price]
            if resting and mode not in ("none", "expire_maker"):
                ahead = float(state.own[self._own.slots[resting[0].terms.id]]["ahead"])
                return 0 < wanted <= found + min(free, int(ahead / self._step + 1e-9) * self._step)
            found += free
            if mode == "none":
                found += sum(self._matching.may_fill(other) * self._step for other in resting)
            own = own[len(resting) :]
            i -= price == level
        return 0 < wanted <= found

    def qty_for_quote(self, order: VenueOrder, quote: Decimal, at: int) -> Decimal:
        """What a market order worth `quote` would buy or sell now; more than there is where the book is too thin."""
        instrument, left, found = self.instrument, quote, Decimal(0)
        price = None if self.price(at) is None else self.decimal(self.price(at))
        for price, _, free in self.levels("sell" if order.sign > 0 else "buy", at):
            part = min(instrument.floor_qty(left / price), instrument.floor_qty(free))
            found, left = found + part, left - part * price
            if part < instrument.floor_qty(free):
                return found
        return found if price is None else found + instrument.floor_qty(left / price)

    def cost_of_whole(self, order: VenueOrder, at: int) -> Decimal:
        """What buying all of an order now would cost, quote units: level by level, what the book lacks at its last."""
        left, cost, price = order.leaves, Decimal(0), Decimal(0)
        for price, _, free in self.levels("sell", at):
            part = min(left, free)
            left, cost = left - part, cost + part * price
            if not left:
                break
        return cost + left * price

    def queue_ahead(self, order: VenueOrder) -> Decimal | None:
        """External quantity ahead of a resting order, base units; None where it does not rest or nobody can know."""
        slot = self._own.slots.get(order.terms.id)
        if slot is None or order.waits_for_trigger:
            return None
        return self._quantity_ahead(self._books.own_ahead.item(slot))

    def ahead_at(self, order: VenueOrder) -> float | None:
        """What `queue_ahead` would say if a limit order came to rest now."""
        ahead = self._ahead(order)
        return None if ahead is None else round(ahead, 6) / self._size_unit

    def levels(self, side: str, at: int) -> Iterator[tuple[Decimal, Decimal, Decimal]]:
        """(price, displayed, available) of the bids (`buy`) or asks (`sell`), best first."""
        state, b = self._books.state, self._book(side)
        for i in range(int(state.books[b]["count"]) - 1, -1, -1):
            displayed = int(state.levels[b, i]["qty"])
            free = displayed - kernel_levels.taken(self._market, state.levels[b, i], at)
            price = self.decimal(abs(int(state.levels[b, i]["key"])))
            yield price, self._qty(displayed), self._quantity_ahead(free) or Decimal(0)

    # --- arrivals ---------------------------------------------------------------------------------------------------

    def place(self, order: VenueOrder, at: int) -> None:
        """A limit order comes to rest at the end of its queue, or a trigger order begins to wait."""
        placed, ahead = INF, 0.0
        if not order.waits_for_trigger:
            known = self._ahead(order)
            ahead = kernel_state.UNKNOWN if known is None else known
            if self.finest == "l3":
                placed = int(self._market["last_row"]) + 1
        self._own.add(order, self._units(order.leaves), placed, ahead)
        self.orders.append(order)

    def shrink(self, order: VenueOrder) -> None:
        """Less quantity, the same place (amend)."""
        self._books.state.own[self._own.slots[order.terms.id]]["leaves"] = self._units(order.leaves)

    def remove(self, order: VenueOrder) -> None:
        """The order is over, or it must be placed anew."""
        if self._own.remove(order):
            self.orders.remove(order)

    def take(self, order: VenueOrder, at: int, reference: Any = None) -> None:
        """F2: a taker consumes what is available, best price first, and meets our own orders at their queue place."""
        bound = self._matching.admission.taker_bound(order, self, at)
        books, b = self._books, self._opposite(order)
        i, reason = books.counts.item(b) - 1, None
        while self._wanted(order) > 0:
            level = books.keys.item(b, i) if i >= 0 else None
            line = self._line(b)
            own = books.own_keys.item(line[0]) if line else None
            if level is None and own is None:
                break
            key = max(key for key in (level, own) if key is not None)
            if not self._within(order, abs(key)):
                break
            if bound is not None and _beyond(bound, order, self.decimal(abs(key))):
                reason = bound[1]
                break
            here = i if key == level else -1
            paid = self._meet_own(order, b, key, here, at) if own == key else self._walk(order, b, here, at, None)
            if not paid:
                break
            i -= here >= 0
        if reason is None:
            reason = self._exhaust(order, b, bound, at)
        self._matching.rest_taker(order, at, reason)

    # --- what the books tell ----------------------------------------------------------------------------------------

    def before_rows(self) -> None:
        """The positions that limit reducing orders, as the venue's ledger has them."""
        for side in ROOMS:
            held = self._matching.account.position_qty(self.instrument.symbol, side)
            self._market[side] = int(held.scaleb(self.size_scale))

    def filled(self, effect: Effect, at: int) -> VenueOrder:
        """A resting order traded: at its own price, as maker. Returns it."""
        self._matching.revealed()
        order = self._own.orders[effect.slot]
        assert order.limit is not None, "only limit orders rest"
        printed = effect.rule != "crossed"
        cause = (self._tape_ids["prints" if printed else "book"], effect.row, at)
        ahead = None if effect.ahead < 0 else effect.ahead * 10.0**-self.size_scale
        self._matching.fill(
            order, at, order.limit, self._qty(effect.size), "maker", order.limit, effect.rule, cause, ahead
        )
        return order

    def after_fill(self, order: VenueOrder, at: int) -> None:
        """What the fills of one row leave void."""
        self._matching.linked.after_match(order, at)

    def fired(self, slot: int) -> None:
        """A print pulled this trigger; it acts after the data of its moment."""
        self._matching.revealed()
        self._fired.append(self._own.orders[slot])

    # --- walking ----------------------------------------------------------------------------------------------------

    def _walk(self, order: VenueOrder, b: int, i: int, at: int, most: float | None) -> bool:
        """Take from one level, at most `most`; False where the taker could not pay for all it could get."""
        state = self._books.state
        free = int(kernel_levels.available(self._market, state.levels[b, i], at))
        if most is not None:
            free = min(free, int(most / self._step + 1e-9) * self._step)
        size = min(self._wanted(order), free)
        if size <= 0:
            return True
        price = self.decimal(abs(int(state.levels[b, i]["key"])))
        paid: int = self._matching.affordable(order, price, size // self._step) * self._step
        if paid > 0:
            kernel_levels.take(self._market, state.levels[b, i], float(paid), at)
            self._matching.fill(order, at, price, self._qty(paid), "taker", price, "walk", self._book_cause(at), None)
        return paid == size

    def _meet_own(self, order: VenueOrder, b: int, key: int, i: int, at: int) -> bool:
        """A price at which orders of our own rest: external quantity ahead of each comes first (F14).

        False as in `_walk`. What the taker had of the external quantity no longer stands ahead of our own.
        """
        state, passed = self._books.state, 0.0
        slots = [slot for slot in self._line(b) if state.own[slot]["key"] == key]
        paid = True

        def walk(most: float | None) -> bool:
            nonlocal passed
            before = order.filled
            complete = self._walk(order, b, i, at, most)
            passed += self._units(order.filled - before)
            return complete

        for slot in slots:
            resting = self._own.orders[slot]
            if self._matching.linked.is_void(resting):
                self._matching.expire(resting, at, "oco")
                continue
            ahead = max(0.0, float(state.own[slot]["ahead"]) - passed)
            paid = walk(ahead) if i >= 0 and ahead > 0 else True
            if not paid or self._wanted(order) <= 0:
                break
            meet(self._matching, order, resting, at)
            if slot in self._own.orders:
                state.own[slot]["leaves"] = self._units(resting.leaves)
        else:
            paid = walk(None) if i >= 0 else True
        for slot in slots:
            if slot in self._own.orders and state.own[slot]["ahead"] > 0:  # what nobody knows stays so (F7)
                state.own[slot]["ahead"] = max(0.0, float(state.own[slot]["ahead"]) - passed)
        return paid

    def _exhaust(self, order: VenueOrder, b: int, bound: tuple[Decimal, str] | None, at: int) -> str | None:
        """F11: the displayed book is used up; what is left pays the square-root law from the worst level on.

        Returns the reason of the venue's bound where the law's price lies beyond it.
        """
        state, wanted = self._books.state, self._wanted(order)
        if self._impact is None or wanted <= 0 or not state.books[b]["count"]:
            return None
        worst = self.decimal(abs(int(state.levels[b, 0]["key"])))
        return self._take_priced(order, worst, wanted, 0.0, bound, at)

    def _take_priced(
        self, order: VenueOrder, reference: Decimal, size: int, half: float, bound: tuple[Decimal, str] | None, at: int
    ) -> str | None:
        """A fill at reference x (1 + side x (half spread + impact)); the reason of the bound it would pass."""
        price = self._price_with_impact(order, reference, size, half, at)
        if order.limit is not None and order.sign * (price - order.limit) > 0:
            return None
        if bound is not None and _beyond(bound, order, price):
            return bound[1]
        paid = self._matching.affordable(order, price, size // self._step) * self._step
        if paid > 0:
            if self._impact is not None:
                self._impact.remember(order.terms.side, float(self._qty(paid)), at)
            cause = self._book_cause(at)
            self._matching.fill(order, at, price, self._qty(paid), "taker", reference, self.taker_rule, cause, None)
        return None

    def _price_with_impact(self, order: VenueOrder, reference: Decimal, size: int, half: float, at: int) -> Decimal:
        cost = half
        if self._impact is not None and size:
            past = partial(self._day.before, at)
            cost += self._impact.cost(order.terms.side, float(self._qty(size)), at, past)
        return self.instrument.price_away(float(reference) * (1.0 + order.sign * cost), order.terms.side)

    # --- small things -----------------------------------------------------------------------------------------------

    def _ahead(self, order: VenueOrder) -> float | None:
        """A of F4 for an order that comes to rest now, size units; None behind the touch of quotes (F7)."""
        if self.models.queue.code == kernel_state.NO_QUEUE:
            return 0.0
        books, b = self._books, 2 * self.number + (order.sign < 0)
        key, i = order.sign * order.limit_mantissa, books.counts.item(b) - 1
        if i < 0 or key > books.keys.item(b, i):
            return 0.0
        if key < books.keys.item(b, i):  # most orders join the best level
            i = bisect_left(range(i), key, key=lambda level: books.keys.item(b, level))
            if books.keys.item(b, i) != key:
                return None if self.finest == "quotes" else 0.0
        return float(books.quantities.item(b, i))

    def _line(self, b: int) -> list[int]:
        """Slots of our orders that rest in a book, in order; not to be changed by who asks."""
        return self._own.resting[b - 2 * self.number]

    def _wanted(self, order: VenueOrder) -> int:
        if not order.is_open:
            return 0
        return int(self._matching.may_fill(order)) * self._step

    def _within(self, order: VenueOrder, price: int) -> bool:
        return order.limit is None or order.sign * (price - order.limit_mantissa) <= 0

    def _book(self, side: str) -> int:
        return 2 * self.number if side == "buy" else 2 * self.number + 1

    def _opposite(self, order: VenueOrder) -> int:
        return 2 * self.number + 1 if order.sign > 0 else 2 * self.number

    def _units(self, qty: Decimal) -> int:
        return fitting(int(qty.scaleb(self.size_scale)))

    def _qty(self, units: int) -> Decimal:
        return Decimal(units).scaleb(-self.size_scale)

    def _quantity_ahead(self, ahead: float | None) -> Decimal | None:
        """Size units as base units; what floats left beyond a millionth of a unit is no quantity."""
        return None if ahead is None or ahead < 0 else Decimal(repr(round(float(ahead), 6))).scaleb(-self.size_scale)

    def _book_cause(self, at: int) -> Cause:
        row = int(self._market["last_row"])
        return self._tape_ids["book"], row, at


def _beyond(bound: tuple[Decimal, str] | None, order: VenueOrder, price: Decimal) -> bool:
    return bound is not None and order.sign * (price - bound[0]) > 0
