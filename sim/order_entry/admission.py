"""Who may enter: everything a venue asks of a request, an order or an amendment before it meets the market.

First failure wins: rate limits, timestamp, the order's own terms, price limits, open-order counts, position caps,
reduce-only, funds, and then the checks of the engine itself: post-only, fill-or-kill, triggers (venues.md section 2).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, Protocol

import msgspec

from core.events import Side
from core.exact import ZERO
from core.instruments import Instrument
from core.moments import MS_NS
from core.orders import OrderStatus, OrderTerms, closes_only
from core.venue_rules import VenueRules
from sim.account import VenueAccount
from sim.models.rate_limits import RateLimitModel, VenueRateLimits
from sim.open_orders import OpenOrders
from sim.order_entry.clear_bounds import ClearBounds
from sim.order_entry.combinations import Combinations
from sim.order_entry.counters import Counters
from sim.order_entry.price_bounds import around, highest_buy, lowest_sell, tolerated
from sim.order_entry.validation import Known, Refusal, first_failure, refused
from sim.venue_order import VenueOrder

OTHER: dict[Side, Side] = {"buy": "sell", "sell": "buy"}
Stamp = tuple[int, int | None]
"""The time a request claims and how old it may be (None: the venue's window), int nanoseconds."""
PriceKind = Literal["mark", "index", "reference"]
PriceSource = Callable[[PriceKind, str, int], Decimal | None]
"""(kind, symbol, engine time) to the venue's own price of that kind; None where the tape has none."""


class AskedMarket(Protocol):
    """What admission asks of a symbol's market. Prices are mantissas, maybe fractions of one."""

    @property
    def instrument(self) -> Instrument: ...

    @property
    def scale(self) -> int: ...

    def price(self, at: int) -> Any:
        """Last price at `at`; None where there is none."""

    def known_before(self, at: int) -> Any:
        """The last price the venue knew before `at`."""

    def decimal(self, mantissa: Any) -> Decimal: ...

    def nth_price(self, side: str, n: int) -> Decimal | None:
        """Price of the n-th level of the bids (`buy`) or asks (`sell`); None where the book is not so deep."""

    def cost_of_whole(self, order: VenueOrder, at: int) -> Decimal:
        """What buying all of an order now would cost, quote units; 0 where nothing shows a book."""

    def best_price(self, order: VenueOrder, at: int) -> Decimal | None:
        """The best price a taker of this order could have now; None without a market."""

    def crosses(self, order: VenueOrder, at: int) -> bool: ...

    def can_fill_whole(self, order: VenueOrder, at: int) -> bool: ...


class Admission:
    """One venue's door: refuses with the venue's code and words, or lets pass."""

    def __init__(self, rules: VenueRules, account: VenueAccount, limits: RateLimitModel | None = None) -> None:
        self.rules = rules
        self.counters = Counters(rules, limits if limits is not None else VenueRateLimits())
        self.price_of: PriceSource = _unknown
        """The venue's marks, indices and reference prices; whoever has them puts this here."""
        self._account = account
        self._clear: dict[str, ClearBounds] = {}
        """By symbol, once an order has come."""
        self.open = OpenOrders(rules)
        self._combinations = Combinations(rules, hedged=account.hedged)

    # --- requests ---------------------------------------------------------------------------------------------------

    def out_of_time(self, stamp: Stamp, at: int) -> Refusal | None:
        """Refused unless claimed < at + 1 s and at - claimed <= its window (section 1)."""
        claimed, window = stamp
        if claimed >= at + self.rules.clock_ahead_ms * MS_NS:
            return self.refused("timestamp_ahead")
        oldest = self.rules.recv_window_ms * MS_NS if window is None else window
        return self.refused("timestamp") if at - claimed > oldest else None

    def refused(self, case: str, limit: object = None) -> Refusal:
        """The venue's answer in one case."""
        return refused(self.rules, case, limit)

    def absent(self, order: VenueOrder | None, verb: Literal["cancel", "amend"]) -> Refusal:
        """The answer to a request about an order that is not open: never known here, filled, or ended otherwise."""
        if order is None or order.status in (OrderStatus.INITIALIZED, OrderStatus.REJECTED):
            return self.refused(f"unknown_{verb}")
        return self.refused(f"{verb}_of_filled" if order.status is OrderStatus.FILLED else f"{verb}_of_ended")

    # --- new orders -------------------------------------------------------------------------------------------------

    def refusal(self, order: VenueOrder, market: AskedMarket, at: int) -> Refusal | None:
        """The first check that fails. Pegs are worked out before; Bybit's price limit may set `order.limit` anew."""
        terms, instrument = order.terms, market.instrument
        case = self._combinations.wrong(terms, order.client_id, at)
        if case is not None:
            return self.refused(case)
        failure = self._filtered(terms, order.limit, market, at, duplicate=order.client_id in self.open.clients)
        if failure is not None:
            return failure
        if terms.price_match is not None and order.limit is None:
            return self.refused("peg")
        if instrument.price_limit is not None and order.limit is not None:
            failure = self._price_limit(order, order.limit, market, at)
            order.limit = self.clamped(order, order.limit, market, at)
            order.limit_mantissa = int(order.limit.scaleb(market.scale))
        if order.limit is not None or order.waits_for_trigger or instrument.max_position is not None:
            failure = failure or self._caps(order, instrument)
        if failure is not None:
            return failure
        if order.only_reduces:
            case = None if terms.close_position and order.waits_for_trigger else self._reduces(order, market, at)
        else:
            case = self._unaffordable(order, market, at)
        if case is not None:
            return self.refused(case)
        if order.waits_for_trigger:
            return self._trigger_refusal(order, market, at)
        if terms.price is None and terms.tif is None:
            return None
        if order.never_takes and self.rules.post_only_cross == "reject" and market.crosses(order, at):
            return self.refused("post_only")
        if terms.tif == "fok" and self.rules.fok_unfillable == "reject" and not market.can_fill_whole(order, at):
            return self.refused("fok")
        return None

    def affords(self, order: VenueOrder, market: AskedMarket, known: Decimal | None) -> bool:
        """Whether the account has what the order needs; a limit order then holds it."""
        terms, account = order.terms, self._account
        if terms.close_position or (order.waits_for_trigger and not self.rules.trigger_holds):
            return True
        if terms.quote_qty is not None and terms.side == "buy":
            return account.free(market.instrument.quote) >= terms.quote_qty
        price = order.limit if order.limit is not None else known
        if price is None:
            if account.kind != "spot" or terms.side == "buy":
                return True
            price = ZERO  # a sale on spot needs what it sells, whatever the price
        held = ZERO if account.kind == "spot" else account.position_qty(terms.symbol, terms.position_side) * order.sign
        others = sum((min(leaves, -held) for leaves in self.open.beside(order)), ZERO) if held < 0 else ZERO
        asset, amount = account.need(market.instrument, terms, order.leaves, price, others)
        account.holds.give_back(terms.id)  # what it held while it waited, or on its old terms, is its own
        if amount > 0 and account.free(asset, terms.oco) < amount:
            return False
        if order.limit is not None or order.waits_for_trigger:
            account.holds.set_aside(terms.id, asset, amount, terms.oco)
        return True

    def lets_act(self, order: VenueOrder, market: AskedMarket, known: Decimal | None, at: int) -> bool:
        """Whether an order whose trigger was pulled may enter: not beyond what the leverage allows, and affordable."""
        price = order.limit if order.limit is not None else known
        if price is not None and not order.only_reduces and self._too_large(order, market, order.qty, price):
            return False
        return self.affords(order, market, known) and not self._short_of_walk(order, market, at)

    def taker_bound(self, order: VenueOrder, market: AskedMarket, at: int) -> tuple[Decimal, str] | None:
        """The worst price a taker may trade at and the reason it expires with there; None where nothing binds it.

        Set as the order begins to take, and the same for all it takes. A range whose other end has already been passed
        (asks below the lowest price a buyer may pay) leaves nothing: the bound is then the zero no ask is at, or for a
        seller the best bid there is, raised by a tick.
        """
        terms, instrument = order.terms, market.instrument
        if instrument.price_range is None and instrument.market_take_bound is None and terms.slippage_tolerance is None:
            return None
        bounds = [bound for bound in (self._range(order, market, at), self._market_bound(order, market, at)) if bound]
        if terms.slippage_tolerance is not None and terms.slippage_tolerance_type is not None:
            best = market.nth_price(OTHER[terms.side], 1)
            best = self._last(market, at) if best is None else best
            if best is not None:
                kind = terms.slippage_tolerance_type
                far = tolerated(best, terms.side, kind, terms.slippage_tolerance, instrument.tick)
                bounds.append((far, "slippage"))
        if not bounds:
            return None
        return min(bounds, key=lambda bound: order.sign * bound[0])

    # --- amendments -------------------------------------------------------------------------------------------------

    def amend_refusal(
        self, order: VenueOrder, market: AskedMarket, price: Decimal | None, qty: Decimal, at: int
    ) -> Refusal | None:
        """Why the venue would not amend an open order; None where it would (or where that cancels the order)."""
        rules = self.rules
        if not rules.amend_triggers if order.waits_for_trigger else order.limit is None:
            return self.refused("amend_type")
        if (price is None) != (order.limit is None):
            return self.refused("parameter")
        same_price = price is None or self.clamped(order, price, market, at) == order.limit
        if rules.amend == "qty_down":
            if not same_price:
                return self.refused("parameter")
            if qty > order.qty:
                return self.refused("amend_up")
        if same_price and qty == order.qty:
            return self.refused("amend_same")
        most = market.instrument.max_amends if market.instrument.max_amends is not None else rules.max_amends
        if most is not None and self.open.amends(order) >= most:
            return self.refused("max_amends", most)
        if qty <= order.filled + order.prevented:
            return None if rules.amend_below_filled == "cancel" else self.refused("amend_filled")
        terms = msgspec.structs.replace(order.terms, price=price, qty=qty)
        failure = self._filtered(terms, price, market, at, duplicate=False)
        failure = failure if failure is not None else self._price_limit(order, price, market, at)
        if failure is not None or price is None or order.limit is None or order.only_reduces:
            return failure
        grows = qty > order.qty or price > order.limit
        too_large = grows and self._too_large(order, market, qty - order.filled, price)
        return self.refused("max_position") if too_large else None

    def clamped(self, order: VenueOrder, price: Decimal, market: AskedMarket, at: int) -> Decimal:
        """The price a limit order gets: beyond Bybit's price limit it is that limit, where the venue corrects it."""
        if self.rules.price_limit != "clamp":
            return price
        bound = self._allowed(order, market, at)
        return price if bound is None or order.sign * (price - bound) <= 0 else bound

    # --- what the exchange tells ------------------------------------------------------------------------------------

    def amended(self, order: VenueOrder, at: int) -> None:
        """The order was changed."""
        self.open.amended(order)
        self.counters.succeeded("amend", at)

    # --- checks -----------------------------------------------------------------------------------------------------

    def _filtered(
        self, terms: OrderTerms, price: Decimal | None, market: AskedMarket, at: int, *, duplicate: bool
    ) -> Refusal | None:
        """The first filter that an order of these terms fails, with pegs resolved to `price`."""
        instrument = market.instrument
        clear = self._clear.get(instrument.symbol)
        if clear is None:
            clear = self._clear[instrument.symbol] = ClearBounds(instrument, self.rules)
        judged = clear.banded or (clear.valued and price is None)
        reference = self._reference(market, at) if judged else None
        best = market.nth_price(OTHER[terms.side], 1) if clear.meets_band and price is None else None
        if not duplicate and clear.hold(terms, price, reference, best):
            return None
        return first_failure(terms, instrument, self.rules, Known(duplicate, price, reference, best))

    def _price_limit(self, order: VenueOrder, price: Decimal | None, market: AskedMarket, at: int) -> Refusal | None:
        """Beyond Bybit's price limit a spot order is refused."""
        if self.rules.price_limit != "reject":
            return None
        bound = self._allowed(order, market, at) if price is not None else None
        if bound is None or price is None or order.sign * (price - bound) <= 0:
            return None
        return self.refused("price_limit" if order.sign > 0 else "price_limit_low", bound)

    def _allowed(self, order: VenueOrder, market: AskedMarket, at: int) -> Decimal | None:
        """The highest price a buyer, the lowest a seller may name (section 2); None where nothing limits it."""
        limit, instrument = market.instrument.price_limit, market.instrument
        if limit is None:
            return None
        mark, index = self._mark(instrument.symbol, at), self.price_of("index", instrument.symbol, at)
        base = index if self.rules.price_limit_base == "index" and index is not None else mark
        base = self._last(market, at) if base is None else base
        if base is None:
            return None
        index = base if index is None else index
        premium = self._premium(market, base)
        furthest = highest_buy if order.sign > 0 else lowest_sell
        return furthest(limit, base, index, premium, instrument.tick)

    def _caps(self, order: VenueOrder, instrument: Instrument) -> Refusal | None:
        """How many orders may be open, and how large the position may become."""
        case = self.open.too_many(order, instrument)
        if case is not None:
            return self.refused(*case)
        most = instrument.max_position
        if most is None or order.terms.reduce_only or order.terms.close_position:
            return None
        if self.rules.kind == "spot":
            if order.sign < 0:
                return None
            held = self._account.balances.get(instrument.base, ZERO)
        else:
            held = order.sign * self._account.position_qty(instrument.symbol, order.terms.position_side)
        waiting = self.open.leaves(instrument.symbol, order.terms.side, order.terms.position_side)
        return self.refused("max_position", most) if held + waiting + order.leaves > most else None

    def _unaffordable(self, order: VenueOrder, market: AskedMarket, at: int) -> str | None:
        """Whether an order that may open would become too large for the leverage, or for what there is."""
        price = order.limit
        if price is None and self.rules.kind == "spot":
            price = market.best_price(order, at)  # a market order pays the best price at least
        if price is None:
            price = self._last(market, at)
        if price is not None and self._too_large(order, market, order.qty, price):
            return "max_position"
        if order.waits_for_trigger:
            return None
        return "funds" if not self.affords(order, market, price) or self._short_of_walk(order, market, at) else None

    def _too_large(self, order: VenueOrder, market: AskedMarket, qty: Decimal, price: Decimal) -> bool:
        """Whether `qty` of an order and all that rests beside it would be more than the leverage allows, at `price`."""
        if not self._account.is_capped(order.terms.symbol):
            return False
        wanted = sum(self.open.beside(order), qty)
        return self._account.beyond_leverage(market.instrument, order.terms, wanted, price)

    def _short_of_walk(self, order: VenueOrder, market: AskedMarket, at: int) -> bool:
        """Whether a purchase at the market on spot would use up the balance before it is complete: it is refused whole
        (Binance's FAQ on market orders), not cut."""
        terms = order.terms
        if self.rules.kind != "spot" or order.limit is not None or terms.side == "sell" or terms.quote_qty is not None:
            return False
        return self._account.free(market.instrument.quote, terms.oco) < market.cost_of_whole(order, at)

    def _reduces(self, order: VenueOrder, market: AskedMarket, at: int) -> str | None:
        """Whether there is a position to reduce, and whether the orders already there leave it to this one."""
        terms = order.terms
        position = self._account.positions.get((terms.symbol, terms.position_side))
        held = ZERO if position is None else position.qty
        if not held or (held > 0) == (terms.side == "buy"):
            return "reduce_only"
        if "reduce_only_open" not in self.rules.errors or closes_only(terms):
            return None
        others = self.open.leaves(terms.symbol, terms.side, terms.position_side, reducing=False)
        if not others:
            return None
        # What this order takes of the position, the orders behind it would open on the other side.
        opened = min(others, abs(held), max(ZERO, others + min(order.leaves, abs(held)) - abs(held)))
        price = order.limit if order.limit is not None else self._last(market, at)
        if not opened or price is None:
            return None
        needed = opened * price / self._account.leverage(terms.symbol)
        return "reduce_only_open" if self._account.free(market.instrument.quote) < needed else None

    def _trigger_refusal(self, order: VenueOrder, market: AskedMarket, at: int) -> Refusal | None:
        """An order that would wait: funds where the venue holds them, then the side its trigger is on."""
        terms = order.terms
        known = self._last(market, at) if terms.trigger_price is None else terms.trigger_price  # trailing: at any price
        if self.rules.trigger_holds and not self.affords(order, market, known):
            return self.refused("funds")
        if terms.trigger_price is None:
            return None
        if terms.trigger_by == "last":
            before = market.known_before(at)
            passed = before is not None and order.trigger_sign * before >= order.trigger_sign * order.trigger
        else:
            kind: PriceKind = "mark" if terms.trigger_by == "mark" else "index"
            price = self._mark(terms.symbol, at) if kind == "mark" else self.price_of(kind, terms.symbol, at)
            passed = price is not None and order.trigger_sign * (price - terms.trigger_price) >= 0
        return self.refused("trigger" if order.trigger_sign > 0 else "trigger_fall") if passed else None

    # --- prices -----------------------------------------------------------------------------------------------------

    def _range(self, order: VenueOrder, market: AskedMarket, at: int) -> tuple[Decimal, str] | None:
        """Spot's execution rule; not enforced while the symbol has no reference price."""
        allowed = market.instrument.price_range
        reference = self.price_of("reference", market.instrument.symbol, at)
        if allowed is None or reference is None:
            return None
        low, high = reference * allowed.down, reference * allowed.up
        best = market.nth_price(OTHER[order.terms.side], 1)
        if order.sign > 0:
            return (ZERO if best is not None and best < low else high), "price_range"
        return (best + market.instrument.tick if best is not None and best > high else low), "price_range"

    def _market_bound(self, order: VenueOrder, market: AskedMarket, at: int) -> tuple[Decimal, str] | None:
        """How far from the mark a market order of USD-M goes."""
        bound = market.instrument.market_take_bound
        if bound is None or order.limit is not None:
            return None
        mark = self._mark(market.instrument.symbol, at)
        mark = self._last(market, at) if mark is None else mark
        return None if mark is None else (around(mark, order.terms.side, bound), "slippage")

    def _last(self, market: AskedMarket, at: int) -> Decimal | None:
        reference = market.price(at)
        if reference is None:  # a hole in the data: the last price before it
            reference = market.known_before(at)
        return market.decimal(reference) if reference is not None else None

    def _mark(self, symbol: str, at: int) -> Decimal | None:
        mark = self.price_of("mark", symbol, at)
        return self._account.mark_of(symbol) if mark is None else mark

    def _reference(self, market: AskedMarket, at: int) -> Decimal | None:
        """What multipliers and market orders are judged by: the venue's kind of price, the last one without it."""
        kind, symbol = self.rules.filter_price, market.instrument.symbol
        found = self._mark(symbol, at) if kind == "mark" else None
        if kind == "reference":
            found = self.price_of("reference", symbol, at)
        return self._last(market, at) if found is None else found

    def _premium(self, market: AskedMarket, base: Decimal) -> Decimal:
        """Middle of the book less the mark. Assumes the mean of the last 30 s is what it is now; 0 without a book."""
        bid, ask = market.nth_price("buy", 1), market.nth_price("sell", 1)
        return ZERO if bid is None or ask is None else (bid + ask) / 2 - base


def _unknown(kind: PriceKind, symbol: str, at: int) -> Decimal | None:
    """Where nothing but trades and books is known."""
    return None
