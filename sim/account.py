"""The venue's own ledger: what the exchange believes we have. Written apart from `core.portfolio`, sharing no code.

Spot: assets change hands; a working order locks what it would give. Linear contracts: one wallet per settle asset,
positions by symbol and side (`net`, or `long` and `short` in hedge mode). An isolated position has a margin of its own:
price x qty / leverage comes in with each opening, closing releases it pro rata. In cross margin the whole wallet stands
behind every position of its asset; with `collateral` all wallets stand behind all positions, and what is free of an
asset is what the account as a whole leaves of it.

What is free: isolated, wallet - margins - orders; cross, wallet + unrealized PnL at mark - |qty| x mark / leverage -
orders. So both venues compute it (Binance `availableBalance`, Bybit's unified `totalAvailableBalance`): in cross a
loss that is not realized yet binds money at once, and a gain frees it. Locked margin is quantized to 8 decimals away
from us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal
from functools import reduce
from typing import Literal

from core.events import PositionSide, Side
from core.exact import EIGHT_DECIMALS, FORCED_CASH, MATH, ZERO
from core.instruments import Instrument
from core.margin import (
    ContractTerms,
    largest_notional,
    order_margin,
    order_margin_with_fees,
)
from core.orders import OrderTerms, closes_only
from sim.ledger.collateral import Prices, SharedCollateral
from sim.ledger.order_holds import OrderHolds
from sim.ledger.venue_position import MarkOf, PositionKey, VenuePosition, locked

NO_TERMS = ContractTerms()
MarginMode = Literal["isolated", "cross"]


class VenueAccount:
    """Wallets or balances, positions, and what working orders hold back."""

    def __init__(
        self,
        kind: Literal["spot", "linear"],
        balances: dict[str, Decimal],
        *,
        leverage: dict[str, Decimal],
        order_margin: Literal["notional", "notional_and_fees"] = "notional",
        margin_mode: MarginMode = "isolated",
        hedged: bool = False,
        terms: Mapping[str, ContractTerms] | None = None,
        maintenance_at: Literal["mark", "entry"] = "mark",
        collateral: SharedCollateral | None = None,
    ) -> None:
        """`leverage` by symbol, "" is everyone else. `terms` by symbol; without them nothing is ever liquidated.

        `collateral` None: each settle asset's wallet stands for itself. It needs cross margin.
        """
        self.kind = kind
        self.balances = dict(balances)
        self._given = frozenset(balances)
        self.margin_mode: MarginMode = margin_mode
        self.collateral = collateral
        self.hedged = hedged
        self.terms = terms or {}
        self.positions: dict[PositionKey, VenuePosition] = {}
        self.taker_of: Callable[[str], Decimal] = lambda symbol: ZERO
        """A symbol's taker rate now, for what orders need; whoever knows the fees puts it here."""
        self.mark_of: MarkOf = lambda symbol: None
        """A symbol's mark price now, for what is valued at mark; whoever knows marks puts it here."""
        self.value_of: Prices = lambda symbol, held: None
        """What a symbol says its base is worth as collateral now; put here likewise."""
        self._leverage = dict(leverage)
        self._order_margin = order_margin
        self.maintenance_at = maintenance_at
        self.holds = OrderHolds(of_groups=kind == "spot")
        self._margin_total: dict[str, Decimal] = {}
        bounds = {name: largest_notional(given.tiers, self.leverage(name)) for name, given in self.terms.items()}
        self._most = {name: most for name, most in bounds.items() if most is not None}
        """Notional up to which the leverage set for a symbol is allowed; those without an end are left out."""
        self.realized_pnl = ZERO
        self.fees: dict[str, Decimal] = {}
        self.funding: dict[str, Decimal] = {}
        """Sum of funding per settle asset; positive was received."""

    def open_position(
        self,
        instrument: Instrument,
        qty: Decimal,
        entry_price: Decimal,
        *,
        position_side: PositionSide = "net",
        isolated_margin: Decimal | None = None,
        leverage: Decimal | None = None,
    ) -> None:
        """A position from before time begins: no fee, no event. Its margin is |qty| x entry / leverage if not given."""
        position = self._position(instrument, position_side)
        if leverage is not None:
            position.leverage = leverage
        position.qty, position.value = qty, MATH.multiply(qty, entry_price)
        margin = locked(abs(position.value), position.leverage) if isolated_margin is None else isolated_margin
        self._set_margin(position, margin)

    # --- settings ---------------------------------------------------------------------------------------------------

    def set_leverage(self, symbol: str, leverage: Decimal) -> str | None:
        """For what is opened from now on; None where it is set, else the case it is refused for.

        `leverage`: beyond the bracket of what is held, or none. `leverage_down`: lower while an isolated position is
        open. Margin that is in a position stays there.
        """
        held = [p for p in self.positions.values() if p.qty and p.instrument.symbol == symbol]
        most = largest_notional(self.terms.get(symbol, NO_TERMS).tiers, leverage)
        if leverage < 1 or (most is not None and any(abs(p.value) >= most for p in held)) or most == 0:
            return "leverage"
        if held and self.margin_mode == "isolated" and leverage < self.leverage(symbol):
            return "leverage_down"
        self._leverage[symbol] = leverage
        self._most.pop(symbol, None)
        if most is not None:
            self._most[symbol] = most
        for position in self.positions.values():
            if position.instrument.symbol == symbol:
                position.leverage = leverage
        return None

    def set_margin_mode(self, mode: MarginMode) -> str | None:
        """None where it is set, else the case: `margin_mode` while anything is held or waits, `isolated_shared`."""
        if mode == "isolated" and self.collateral is not None:
            return "isolated_shared"
        if mode != self.margin_mode and self._in_use:
            return "margin_mode"
        self.margin_mode = mode
        return None

    def set_position_mode(self, *, hedged: bool) -> str | None:
        """None where it is set, else the case: `position_mode` while anything is held or waits."""
        if hedged != self.hedged and self._in_use:
            return "position_mode"
        self.hedged = hedged
        return None

    def set_collateral(self, collateral: SharedCollateral | None) -> str | None:
        """Let all wallets stand behind all positions, or (None) each for itself; None where it is set, else the case.

        `shared_same`, `shared_isolated`, `shared_in_use` while anything is held or waits, `shared_negative`.
        """
        if (collateral is None) == (self.collateral is None):
            return "shared_same"
        if collateral is not None and self.margin_mode == "isolated":
            return "shared_isolated"
        if self._in_use:
            return "shared_in_use"
        if any(total < 0 for total in self.balances.values()):
            return "shared_negative"
        self.collateral = collateral
        return None

    @property
    def _in_use(self) -> bool:
        return self.holds.any or any(position.qty for position in self.positions.values())

    # --- what an order needs ----------------------------------------------------------------------------------------

    def need(
        self, instrument: Instrument, order: OrderTerms, qty: Decimal, price: Decimal, others: Decimal = ZERO
    ) -> tuple[str, Decimal]:
        """Asset and amount the venue wants free for `qty` more of this order at `price`.

        `others`: what its side may trade besides and nothing is held for. A position lets through as much of an order
        as closes it; of all orders together as much again, with the margin that closing frees.
        """
        if self.kind == "spot":
            return (instrument.quote, price * qty) if order.side == "buy" else (instrument.base, qty)
        if order.reduce_only or closes_only(order):
            return instrument.quote, ZERO
        position = self.positions.get((instrument.symbol, order.position_side))
        if position is not None and position.qty and (position.qty > 0) != (order.side == "buy"):
            held = abs(position.qty)
            qty -= max(ZERO, min(qty, held, held + held - others))
            if not qty:
                return instrument.quote, ZERO
        leverage = self.leverage(instrument.symbol)
        if self._order_margin == "notional_and_fees":
            taker, buys = self.taker_of(instrument.symbol), order.side == "buy"
            return instrument.quote, order_margin_with_fees(price, qty, leverage, taker, buys=buys)
        if order.price is None and order.price_match is None:  # a market order, also one that a trigger has let go
            mark = self.mark_of(instrument.symbol)
            price = price if mark is None else mark
        return instrument.quote, order_margin(price, qty, leverage)

    def is_capped(self, symbol: str) -> bool:
        """Whether the leverage that is set allows a symbol's position no more than some notional."""
        return symbol in self._most

    def beyond_leverage(self, instrument: Instrument, order: OrderTerms, qty: Decimal, price: Decimal) -> bool:
        """Whether `qty` more of an order that may open would grow the position into a tier that does not allow the
        leverage that is set."""
        most = self._most.get(instrument.symbol)
        if most is None:
            return False
        held = self.position_qty(instrument.symbol, order.position_side)
        after = abs(held + qty if order.side == "buy" else held - qty)
        return after > abs(held) and MATH.multiply(after, price) > most

    # --- what happened ----------------------------------------------------------------------------------------------

    def fill(
        self,
        instrument: Instrument,
        side: Side,
        price: Decimal,
        qty: Decimal,
        fee: Decimal,
        fee_asset: str,
        position_side: PositionSide = "net",
    ) -> Decimal:
        """Book a fill; returns the realized PnL (linear)."""
        balances = self.balances
        self.fees[fee_asset] = self.fees.get(fee_asset, ZERO) + fee
        realized = ZERO
        if self.kind == "spot":
            sign = 1 if side == "buy" else -1
            value = MATH.multiply(price, sign * qty)
            balances[instrument.base] = MATH.add(balances.get(instrument.base, ZERO), sign * qty)
            balances[instrument.quote] = MATH.subtract(balances.get(instrument.quote, ZERO), value)
        else:
            realized = self._trade(self._position(instrument, position_side), price, qty if side == "buy" else -qty)
            if realized:
                self._realize(instrument.quote, realized)
        balances[fee_asset] = MATH.subtract(balances.get(fee_asset, ZERO), fee)
        return realized

    def force_close(self, position: VenuePosition, price: Decimal, parts: Sequence[Decimal], fee: Decimal) -> Decimal:
        """The venue closes these parts (signed against the position) at `price`; returns the realized PnL.

        The cash each part moves is price x qty on a grid of 1e-16, so that closing at a bankruptcy price that has no
        end as a decimal loses the margin to the last digit.
        """
        asset = position.instrument.quote
        values = [MATH.multiply(price, part).quantize(FORCED_CASH, ROUND_HALF_EVEN, MATH) for part in parts]
        realized = self._close(position, reduce(MATH.add, parts), reduce(MATH.add, values))
        self._realize(asset, realized)
        if fee:
            self.fees[asset] = self.fees.get(asset, ZERO) + fee
            self.balances[asset] = MATH.subtract(self.balances[asset], fee)
        return realized

    def fund(self, position: VenuePosition, amount: Decimal) -> Decimal:
        """Funding changes the wallet; what is not free of it comes out of an isolated margin. Returns that part."""
        asset = position.instrument.quote
        self.balances[asset] = MATH.add(self.balances.get(asset, ZERO), amount)
        self.funding[asset] = MATH.add(self.funding.get(asset, ZERO), amount)
        if self.margin_mode == "cross" or amount >= 0:
            return ZERO
        taken = max(ZERO, min(-amount, -self.free(asset), position.margin))
        self._set_margin(position, position.margin - taken)
        return taken

    def floor_wallet(self, asset: str) -> Decimal:
        """After a liquidation a wallet is never below 0; returns what the venue's insurance bears.

        Where wallets stand together what all of them are worth is never below 0, and one alone may be.
        """
        held = self.balances.get(asset, ZERO)
        missing = -held
        if self.collateral is not None:
            worth = self.collateral.worth(self.equities(), self.value_of)
            missing = self.collateral.units(asset, -worth).quantize(FORCED_CASH, ROUND_UP, MATH)
        if missing <= 0:
            return ZERO
        self.balances[asset] = MATH.add(held, missing)
        return missing

    def _realize(self, asset: str, realized: Decimal) -> None:
        self.realized_pnl = MATH.add(self.realized_pnl, realized)
        self.balances[asset] = MATH.add(self.balances.get(asset, ZERO), realized)

    def _trade(self, position: VenuePosition, price: Decimal, qty: Decimal) -> Decimal:
        """A signed fill of a position: what closes, then what opens. Returns what it realized."""
        if not position.qty:
            position.qty, position.value = qty, MATH.multiply(price, qty)
            self._set_margin(position, locked(abs(position.value), position.leverage))
            return ZERO
        realized = closing = ZERO
        if position.qty.is_signed() != qty.is_signed():
            closing = min(abs(qty), abs(position.qty)).copy_sign(qty)
            realized = self._close(position, closing, MATH.multiply(price, closing))
        opening = qty - closing
        if opening:
            value = MATH.multiply(price, opening)
            position.qty += opening
            position.value = MATH.add(position.value, value)
            self._set_margin(position, position.margin + locked(abs(value), position.leverage))
        return realized

    def _close(self, position: VenuePosition, closing: Decimal, value: Decimal) -> Decimal:
        """`closing` is signed against the position; `value` is what it trades for, signed alike."""
        if closing == -position.qty:
            gone, released = position.value, position.margin
        else:
            gone = _part(position.value, closing, position.qty).quantize(EIGHT_DECIMALS, ROUND_HALF_EVEN, MATH)
            released = _part(position.margin, closing, position.qty).quantize(EIGHT_DECIMALS, ROUND_DOWN, MATH)
        position.qty += closing
        position.value = MATH.subtract(position.value, gone)
        self._set_margin(position, position.margin - released)
        return MATH.subtract(MATH.minus(value), gone)

    def _position(self, instrument: Instrument, side: PositionSide) -> VenuePosition:
        key = (instrument.symbol, side)
        position = self.positions.get(key)
        if position is None:
            position = self.positions[key] = VenuePosition(instrument, side, self.leverage(instrument.symbol))
        return position

    def _set_margin(self, position: VenuePosition, margin: Decimal) -> None:
        asset = position.instrument.quote
        self._margin_total[asset] = self._margin_total.get(asset, ZERO) - position.margin + margin
        position.margin = margin

    # --- queries ----------------------------------------------------------------------------------------------------

    def leverage(self, symbol: str) -> Decimal:
        return self._leverage.get(symbol, self._leverage.get("", Decimal(1)))

    def position(self, symbol: str, position_side: PositionSide = "net") -> VenuePosition | None:
        return self.positions.get((symbol, position_side))

    def position_qty(self, symbol: str, position_side: PositionSide = "net") -> Decimal:
        """Signed quantity; `net` of a hedged symbol is the sum of its two sides."""
        position = self.positions.get((symbol, position_side))
        if position is not None:
            return position.qty
        if self.hedged and position_side == "net":
            return self.position_qty(symbol, "long") + self.position_qty(symbol, "short")
        return ZERO

    def can_pay(self, asset: str, fee: Decimal) -> bool:
        """Whether a fee may be taken in this asset; one that the account was never said to hold is not counted."""
        if self.collateral is not None:
            return asset not in self._given or self.balances[asset] >= fee
        return asset not in self._given or self.free(asset) >= fee

    def free(self, asset: str, group: str | None = None) -> Decimal:
        """What a new order may use, as the head of this file says; one of a group also what the group holds."""
        if self.collateral is not None:
            left = self.collateral.counts(self.equities(), self.value_of)
            return self.collateral.free(asset, left, self.pool(asset), self.holds.totals, self.mark_of)
        free = self.balances.get(asset, ZERO) - self.holds.of(asset) + self.holds.of_group(group, asset)
        if self.margin_mode == "isolated":
            return free - self._margin_total.get(asset, ZERO)
        for position in self.pool(asset):
            mark = self.mark_of(position.instrument.symbol)
            if mark is None:
                free -= position.margin
            else:
                free += position.unrealized(mark) - position.margin_at(mark)
        return free

    def equities(self, *, without: Sequence[VenuePosition] = ()) -> dict[str, Decimal]:
        """By asset: the wallet and what positions settled in it have not realized, but for some of them."""
        found = dict(self.balances)
        for position in self.positions.values():
            mark = self.mark_of(position.instrument.symbol) if position.qty and position not in without else None
            if mark is not None:
                asset = position.instrument.quote
                found[asset] = MATH.add(found.get(asset, ZERO), position.unrealized(mark))
        return found

    def pool(self, asset: str) -> list[VenuePosition]:
        """Open positions behind which an asset stands, in the order in which they were first opened."""
        together = self.collateral is not None
        return [p for p in self.positions.values() if p.qty and (together or p.instrument.quote == asset)]


def _part(whole: Decimal, closing: Decimal, qty: Decimal) -> Decimal:
    """The share of `whole` that closing `closing` of `qty` takes; the two have opposite signs."""
    return MATH.divide(MATH.multiply(whole, -closing), qty)
