"""What our account has free at each venue, what an order would need of it, and where a position would be liquidated.

The inside's own answer, before the venue is asked: from the portfolio's positions, our working orders and our last
known prices (the venue values at mark). Margins of positions are |entry value| / leverage rounded up to 8 decimals,
less what funding took of them; those of orders are computed at the position of now; a venue that remembers how they
came may differ by that.

Free is, as at the venue: isolated, wallet - margins - orders; cross, wallet + unrealized PnL - |qty| x price / leverage
- orders; spot, balance - orders. Where all assets stand behind all positions it is what the whole account leaves of an
asset (`core.account.shared_margin`). Source: venues.md section 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_UP, Decimal
from typing import Any, Literal

import msgspec

from core.account.collateral import AssetPrice, CollateralTerms
from core.account.shared_margin import SharedMargin
from core.events import PositionSide
from core.exact import EIGHT_DECIMALS, MATH, ONE, ZERO
from core.instruments import Instrument
from core.margin import (
    Tiers,
    hedged_liquidation_price,
    known_to,
    largest_notional,
    liquidation_price,
    liquidation_price_at_entry,
    maintenance_margin,
    order_margin,
    order_margin_with_fees,
)
from core.orders import Order, OrderTerms, closes_only
from core.portfolio import Portfolio, Position
from core.venue_rules import ErrorAnswer, VenueRules
from core.working import WorkingOrders

Key = tuple[str, str]


class VenueTerms(msgspec.Struct, frozen=True):
    """How one venue treats our account there."""

    name: str = ""
    """Of the venue's rules, for messages."""
    order_margin: Literal["notional", "notional_and_fees"] = "notional"
    trigger_holds: bool = False
    """Whether an order that waits for its trigger holds what it needs."""
    errors: Mapping[str, ErrorAnswer] = {}
    leverage: Mapping[str, Decimal] = {}
    """By symbol; "" is everyone else, 1 without."""
    tiers: Mapping[str, Tiers] = {}
    """Maintenance brackets by symbol; a symbol without is never liquidated and bound by none."""
    cross: bool = False
    hedged: bool = False
    at_entry: bool = False
    """Whether an isolated position's maintenance margin is valued at its entry (an older rule of Bybit's)."""
    collateral: Mapping[str, CollateralTerms] = {}
    """By asset, what it counts for where all stand behind all positions; empty: each settle asset for its own."""
    prices: Mapping[str, AssetPrice] = {}
    """By asset, for the same."""

    @classmethod
    def of(cls, rules: VenueRules, **account: Any) -> VenueTerms:
        """From a venue's rules, and what our account says of itself."""
        return cls(rules.name, rules.order_margin, rules.trigger_holds, rules.errors, **account)

    def leverage_of(self, symbol: str) -> Decimal:
        return self.leverage.get(symbol, self.leverage.get("", ONE))


UNKNOWN = VenueTerms()


class _Market:
    """What one symbol's orders and positions are measured with."""

    __slots__ = ("instrument", "leverage", "most", "most_float", "terms")

    def __init__(self, instrument: Instrument, terms: VenueTerms) -> None:
        self.instrument = instrument
        self.terms = terms
        self.leverage = terms.leverage_of(instrument.symbol)
        self.most = largest_notional(terms.tiers.get(instrument.symbol, ()), self.leverage)
        """Notional up to which this leverage is allowed; None: without end."""
        self.most_float = float("inf") if self.most is None else float(self.most)


def _no_fee(venue: str, symbol: str) -> Decimal:
    return ZERO


class AccountMargin:
    """The account as its margin sees it."""

    def __init__(
        self,
        portfolio: Portfolio,
        working: WorkingOrders,
        instruments: Mapping[Key, Instrument],
        venues: Mapping[str, VenueTerms],
        taker_of: Callable[[str, str], Decimal] = _no_fee,
    ) -> None:
        """`venues` by name. One that is not there has leverage 1, and we do not refuse in its name.

        `taker_of`: (venue, symbol) to the taker rate of now, for venues that want fees free.
        """
        self._taker_of = taker_of
        self._portfolio = portfolio
        self._working = working
        self._instruments = instruments
        self._venues = venues
        self._markets = {key: _Market(one, venues.get(key[0], UNKNOWN)) for key, one in instruments.items()}
        self._shared = {
            name: SharedMargin(portfolio, name, instruments, terms.collateral, terms.prices)
            for name, terms in venues.items()
            if terms.collateral
        }
        takers = (tier.taker for one in instruments.values() for span in one.fees.spans for tier in span.tiers)
        self._held_most = 1.01 + 3.0 * float(max(takers, default=ZERO))
        """Of its notional, what an order holds at most: at leverage 1 with the fees of opening and, at twice its price,
        of closing. The hundredth is for what is rounded up."""
        self._margins: dict[Key, tuple[int, Decimal]] = {}
        """By (venue, asset), what isolated positions leave of the wallet, and the portfolio's version it is of."""

    # --- what an order needs ----------------------------------------------------------------------------------------

    def refusal(self, order: OrderTerms, qty: Decimal, price: Decimal) -> str | None:
        """Why the venue would not take `qty` of this order at `price`, and by how much; None where it would.

        For an order that may only reduce there is never a reason.
        """
        if order.venue not in self._venues:
            return None
        market = self._markets[order.venue, order.symbol]
        terms = market.terms
        if (order.position_side != "net") != terms.hedged:
            side = f"position_side is {order.position_side}"
            wanted = "names long or short" if terms.hedged else "has none but net"
            mode = "hedge" if terms.hedged else "one-way"
            return f"{side}, in {mode} mode an order {wanted}{_code(terms, 'position_side')}"
        if order.reduce_only or closes_only(order):
            return None
        return self._beyond_tier(market, order, qty, price) or self._short_of_margin(terms, order, qty, price)

    def is_ample(self, order: OrderTerms, gross: float) -> bool:
        """Whether `refusal` has nothing to say where all that is held, under way and wished for is worth `gross`.

        Quote units, told in floats; positions at no less than their cost: none binds more than its value.
        """
        if order.venue not in self._venues:
            return True
        market = self._markets[order.venue, order.symbol]
        if (order.position_side != "net") is not market.terms.hedged:
            return False
        if market.terms.collateral:
            return False  # orders settled in other assets, at other prices, hold of the same account
        if market.instrument.kind == "spot" and order.side == "sell":
            return False  # it is the base asset that must be there
        if gross >= market.most_float:
            return False
        left = self._before_orders if market.terms.cross else self._portfolio.wallet
        return self._held_most * gross < float(left(order.venue, market.instrument.quote))

    def _beyond_tier(self, market: _Market, order: OrderTerms, qty: Decimal, price: Decimal) -> str | None:
        most = market.most
        if most is None:
            return None
        held = self._portfolio.held(order.venue, order.symbol, order.position_side)
        wanted = sum(self._beside(order), qty)
        after = abs(held + wanted if order.side == "buy" else held - wanted)
        notional = MATH.multiply(after, price)
        if after <= abs(held) or notional <= most:
            return None
        if most == known_to(market.terms.tiers.get(order.symbol, ())):
            return (
                f"position notional would be {notional:f}, the brackets of {market.terms.name} for {order.symbol} are "
                f"known up to {most:f} only: where there are more, give them in `instruments.{order.symbol}.brackets`"
            )
        return (
            f"position notional would be {notional:f}, at {market.leverage:f}x its bracket ends at {most:f}: "
            f"{notional - most:f} too much{_code(market.terms, 'max_position')}"
        )

    def _short_of_margin(self, terms: VenueTerms, order: OrderTerms, qty: Decimal, price: Decimal) -> str | None:
        if order.trigger_price is not None and not terms.trigger_holds:
            return None  # nothing is held before the trigger, and nobody knows what will be free then
        held = self._portfolio.held(order.venue, order.symbol, order.position_side)
        against = held and (held > 0) != (order.side == "buy")
        others = sum((min(leaves, abs(held)) for leaves in self._beside(order)), ZERO) if against else ZERO
        asset, needed = self.need(order, qty, price, others)
        if needed <= 0:
            return None
        free = self.free(order.venue, asset, without=order.id, group=order.oco)
        if needed <= free:
            return None
        return (
            f"needs {_short(needed)} {asset} free, {_short(free)} are: {_short(needed - free)} short"
            f"{_code(terms, 'funds')}"
        )

    def need(self, order: OrderTerms, qty: Decimal, price: Decimal, others: Decimal = ZERO) -> tuple[str, Decimal]:
        """Asset and amount that the venue wants free for `qty` of an order at `price`.

        As much as closes a position needs nothing; of all orders together as much again, with the margin that closing
        frees. `others` is what relies on that already.
        """
        market = self._markets[order.venue, order.symbol]
        instrument, leverage = market.instrument, market.leverage
        if instrument.kind == "spot":
            if order.side == "buy":
                return instrument.quote, MATH.multiply(price, qty)
            return instrument.base, qty
        if order.reduce_only or closes_only(order):
            return instrument.quote, ZERO
        held = self._portfolio.held(order.venue, order.symbol, order.position_side)
        if held and (held > 0) != (order.side == "buy"):
            backed = min(qty, abs(held), MATH.subtract(abs(held) + abs(held), others))
            qty = MATH.subtract(qty, max(ZERO, backed))
        if market.terms.order_margin == "notional":
            return instrument.quote, order_margin(price, qty, leverage)
        buys = order.side == "buy"
        taker = self._taker_of(order.venue, order.symbol)
        return instrument.quote, order_margin_with_fees(price, qty, leverage, taker, buys=buys)

    def _beside(self, order: OrderTerms) -> list[Decimal]:
        """What other orders of its side may trade, each: not of those that only reduce, wait for a trigger, or are
        about to be canceled."""
        return [
            other.leaves
            for other in self._working.open_orders(order.venue, order.symbol)
            if other.terms.id != order.id
            and (other.terms.side, other.terms.position_side) == (order.side, order.position_side)
            and not (other.terms.reduce_only or closes_only(other.terms))
            and not (other.waits_for_trigger or other.pending_cancel)
        ]

    def sides(self, venue: str) -> tuple[PositionSide, ...]:
        """The positions a symbol can have there at one time."""
        return ("long", "short") if self._terms(venue).hedged else ("net",)

    # --- what is there ----------------------------------------------------------------------------------------------

    def free(self, venue: str, asset: str, *, without: str | None = None, group: str | None = None) -> Decimal:
        """What a new order may use of an asset, as the head of this file says. `without`: but for this order, and for
        the others of its one-cancels-the-other `group`."""
        shared = self._shared.get(venue)
        if shared is None:
            return MATH.subtract(self._before_orders(venue, asset), self._held_by_orders(venue, asset, without, group))
        left = shared.equity(self._positions(venue))
        for whole in self._positions(venue):
            left = MATH.subtract(left, shared.takes(self.settle(venue, whole.symbol), self._margin(whole)))
        for settle in dict.fromkeys(i.quote for key, i in self._instruments.items() if key[0] == venue):
            held = self._held_by_orders(venue, settle, without, group)
            left = MATH.subtract(left, shared.takes(settle, held))
        return MATH.divide(left, shared.takes(asset, ONE))

    def used(self, venue: str, asset: str) -> Decimal:
        """Initial margin of the positions settled in an asset, and what working orders hold of it; its own units."""
        total = self._held_by_orders(venue, asset, None)
        for whole in self._positions(venue, asset):
            total = MATH.add(total, self._margin(whole))
        return total

    def _before_orders(self, venue: str, asset: str) -> Decimal:
        portfolio = self._portfolio
        if self._terms(venue).cross:
            free = portfolio.wallet(venue, asset)
            for whole in self._positions(venue, asset):
                free = MATH.subtract(MATH.add(free, self._unrealized(whole)), self._margin(whole))
            return free
        known = self._margins.get((venue, asset))
        if known is None or known[0] != portfolio.version:
            free = portfolio.wallet(venue, asset)
            for whole in self._positions(venue, asset):
                free = MATH.subtract(free, self._margin(whole))
            known = self._margins[venue, asset] = (portfolio.version, free)
        return known[1]

    def settle(self, venue: str, symbol: str) -> str:
        """The asset that a symbol is settled or paid in."""
        return self._instruments[venue, symbol].quote

    def _positions(self, venue: str, asset: str | None = None) -> list[Position]:
        """Open contracts settled in an asset, or (None) in any."""
        instruments = self._instruments
        return [
            whole
            for key, whole in self._portfolio.whole.items()
            if whole.qty
            and key[0] == venue
            and instruments[key[0], key[1]].kind == "linear"
            and asset in (None, instruments[key[0], key[1]].quote)
        ]

    def _margin(self, whole: Position) -> Decimal:
        """Initial margin of a position: in cross at our last known price, else at entry less what funding took."""
        terms = self._terms(whole.venue)
        mark = self._portfolio.mark(whole.venue, whole.symbol) if terms.cross else None
        value = whole.cost if mark is None else MATH.multiply(whole.qty, mark)
        margin = MATH.divide(abs(value), terms.leverage_of(whole.symbol)).quantize(EIGHT_DECIMALS, ROUND_UP, MATH)
        return MATH.subtract(margin, whole.margin_taken)

    def _unrealized(self, whole: Position) -> Decimal:
        mark = self._portfolio.mark(whole.venue, whole.symbol)
        return ZERO if mark is None else MATH.subtract(MATH.multiply(whole.qty, mark), whole.cost)

    def _terms(self, venue: str) -> VenueTerms:
        return self._venues.get(venue, UNKNOWN)

    def _held_by_orders(self, venue: str, asset: str, without: str | None, beside: str | None = None) -> Decimal:
        """What our open orders hold; one whose cancel is under way is gone before anything that we send now comes.

        Of a group of which one alone happens the largest amount counts, and nothing of the group `beside`.
        """
        total, groups = ZERO, dict[str, Decimal]()
        for key in self._working.symbols():
            if key[0] == venue:
                for order in self._working.open_orders(*key):
                    if order.terms.id != without and not order.pending_cancel:
                        held, amount = self._hold(order)
                        if held == asset and order.terms.oco is not None:
                            counted = amount if order.terms.oco == beside else groups.get(order.terms.oco, ZERO)
                            groups[order.terms.oco] = max(counted, amount)
                            amount = max(ZERO, MATH.subtract(amount, counted))
                        if held == asset:
                            total = MATH.add(total, amount)
        return total

    def _hold(self, order: Order) -> tuple[str, Decimal]:
        terms = order.terms
        if order.waits_for_trigger and not self._terms(terms.venue).trigger_holds:
            return "", ZERO
        price = order.price if order.price is not None else terms.trigger_price
        if price is None:
            price = self._portfolio.mark(terms.venue, terms.symbol)
        if price is None:
            return "", ZERO  # a market order before any price is known: nobody can say
        asset, amount = self.need(terms, order.leaves, price)
        return asset, amount.quantize(EIGHT_DECIMALS, ROUND_UP, MATH)

    # --- where a position ends --------------------------------------------------------------------------------------

    def liquidation_price(self, venue: str, symbol: str, position_side: PositionSide = "net") -> Decimal | None:
        """The mark at which the venue closes a position; None without one, or without known brackets.

        Isolated: its margin stands behind it. Cross: the wallet, with what positions of other symbols gain or lose at
        our last known prices less their own maintenance; both sides of a hedged symbol end at one mark.
        """
        whole, terms = self._portfolio.whole.get((venue, symbol, position_side)), self._terms(venue)
        if whole is None or not whole.qty:
            return None
        tiers = terms.tiers.get(symbol, ())
        if not terms.cross:
            found = liquidation_price_at_entry if terms.at_entry else liquidation_price
            return found(tiers, whole.qty, whole.cost, self._margin(whole))
        if venue in self._shared:
            return self._shared[venue].liquidation_price(whole, self._positions(venue), terms.tiers)
        asset = self._instruments[venue, symbol].quote
        balance = self._portfolio.wallet(venue, asset)
        legs = []
        for other in self._positions(venue, asset):
            mark = self._portfolio.mark(venue, other.symbol)
            if other.symbol == symbol:
                legs.append((other.qty, other.cost))
            elif mark is not None:
                notional = MATH.multiply(abs(other.qty), mark)
                kept = maintenance_margin(terms.tiers.get(other.symbol, ()), notional)
                balance = MATH.add(balance, MATH.subtract(self._unrealized(other), kept))
        return hedged_liquidation_price(tiers, legs, balance)


def _code(terms: VenueTerms, case: str) -> str:
    """The venue's own words for it, where we know them."""
    answer = terms.errors.get(case)
    return "" if answer is None else f"; {terms.name} would answer {answer.code} {answer.message}"


def _short(amount: Decimal) -> str:
    """To 8 decimals, without trailing zeros."""
    rounded = amount.quantize(EIGHT_DECIMALS, ROUND_UP, MATH).normalize(MATH)
    return f"{rounded:f}"
