"""The venue's own ledger: what the exchange believes we have. Written apart from `core.portfolio`, sharing no code.

Linear contracts: one wallet in the settle asset, one-way positions, margin = |entry value| / leverage per position and
price x qty / leverage per working order that would increase it (Bybit adds its open and close fees). Spot: assets
change hands; a working order locks what it would give. Brackets, liquidation, funding and hedge mode arrive with the
account's own issue; a run says so among its assumptions.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_UP, Context, Decimal
from typing import Literal

import msgspec

from core.events import Side
from core.instruments import Instrument
from core.orders import OrderTerms

ZERO = Decimal(0)
CENT = Decimal("0.00000001")
MATH = Context(prec=34)


class VenuePosition(msgspec.Struct):
    """A one-way position as the venue holds it."""

    qty: Decimal = ZERO
    value: Decimal = ZERO
    """Signed entry value: what the position cost."""
    leverage: Decimal = Decimal(1)

    @property
    def entry_price(self) -> Decimal | None:
        return self.value / self.qty if self.qty else None

    @property
    def margin(self) -> Decimal:
        """Isolated initial margin, settle asset."""
        return abs(self.value) / self.leverage


class VenueAccount:
    """Wallet or balances, positions, and what working orders hold back."""

    def __init__(
        self,
        kind: Literal["spot", "linear"],
        balances: dict[str, Decimal],
        *,
        leverage: dict[str, Decimal],
        order_margin: Literal["notional", "notional_and_fees"] = "notional",
    ) -> None:
        self.kind = kind
        self.balances = dict(balances)
        self._given = frozenset(balances)
        self.positions: dict[str, VenuePosition] = {}
        self._leverage = leverage
        self._order_margin = order_margin
        self._held: dict[str, tuple[str, Decimal]] = {}
        self._held_total: dict[str, Decimal] = {}
        self._margin: dict[str, Decimal] = {}
        self._margin_total: dict[str, Decimal] = {}
        self.realized_pnl = ZERO
        self.fees: dict[str, Decimal] = {}

    def open_position(self, instrument: Instrument, qty: Decimal, entry_price: Decimal) -> None:
        """A position from before time begins: no fee, no event."""
        position = self._position(instrument)
        position.qty, position.value = qty, MATH.multiply(qty, entry_price)
        self._reserve_margin(instrument, position)

    # --- what an order needs ----------------------------------------------------------------------------------------

    def need(self, instrument: Instrument, order: OrderTerms, qty: Decimal, price: Decimal) -> tuple[str, Decimal]:
        """Asset and amount the venue wants free for `qty` more of this order at `price`."""
        if self.kind == "spot":
            return (instrument.quote, price * qty) if order.side == "buy" else (instrument.base, qty)
        if order.reduce_only:
            return instrument.quote, ZERO
        position = self.positions.get(instrument.symbol)
        if position is not None and position.qty and (position.qty > 0) != (order.side == "buy"):
            qty = max(ZERO, qty - abs(position.qty))
        leverage = self.leverage(instrument.symbol)
        notional = price * qty
        need = notional / leverage
        if self._order_margin == "notional_and_fees":
            inverse = 1 / leverage
            bankrupt = price * (1 - inverse) if order.side == "buy" else price * (1 + inverse)
            need += notional * instrument.taker + bankrupt * qty * instrument.taker
        return instrument.quote, need

    def hold(self, order_id: str, asset: str, amount: Decimal) -> None:
        """Set aside for a working order; replaces what it held before. Rounded away from us to 8 decimals."""
        self.release(order_id)
        if amount > 0:
            amount = amount.quantize(CENT, ROUND_UP, MATH)
            self._held[order_id] = (asset, amount)
            self._held_total[asset] = self._held_total.get(asset, ZERO) + amount

    def release(self, order_id: str) -> None:
        """Give back what an order held. Harmless where it held nothing."""
        held = self._held.pop(order_id, None)
        if held is not None:
            self._held_total[held[0]] -= held[1]

    # --- what happened ----------------------------------------------------------------------------------------------

    def fill(
        self, instrument: Instrument, side: Side, price: Decimal, qty: Decimal, fee: Decimal, fee_asset: str
    ) -> Decimal:
        """Book a fill; returns the realized PnL (linear)."""
        balances = self.balances
        self.fees[fee_asset] = self.fees.get(fee_asset, ZERO) + fee
        realized = ZERO
        if self.kind == "spot":
            sign = 1 if side == "buy" else -1
            balances[instrument.base] = balances.get(instrument.base, ZERO) + sign * qty
            balances[instrument.quote] = balances.get(instrument.quote, ZERO) - sign * MATH.multiply(price, qty)
        else:
            realized = self._trade(instrument, price, qty if side == "buy" else -qty)
            if realized:
                self.realized_pnl += realized
                balances[instrument.quote] = balances.get(instrument.quote, ZERO) + realized
        balances[fee_asset] = balances.get(fee_asset, ZERO) - fee
        return realized

    def _trade(self, instrument: Instrument, price: Decimal, qty: Decimal) -> Decimal:
        position = self._position(instrument)
        realized = closing = ZERO
        if position.qty and (position.qty < 0) != (qty < 0):
            closing = min(abs(qty), abs(position.qty)).copy_sign(qty)
            gone = (
                position.value
                if closing == -position.qty
                else MATH.divide(MATH.multiply(position.value, -closing), position.qty).quantize(
                    CENT, ROUND_HALF_EVEN, MATH
                )
            )
            realized = -MATH.multiply(price, closing) - gone
            position.qty += closing
            position.value -= gone
        opening = qty - closing
        if opening:
            position.qty += opening
            position.value = MATH.add(position.value, MATH.multiply(price, opening))
        self._reserve_margin(instrument, position)
        return realized

    def _position(self, instrument: Instrument) -> VenuePosition:
        position = self.positions.get(instrument.symbol)
        if position is None:
            position = self.positions[instrument.symbol] = VenuePosition(leverage=self.leverage(instrument.symbol))
        return position

    def _reserve_margin(self, instrument: Instrument, position: VenuePosition) -> None:
        symbol, asset = instrument.symbol, instrument.quote
        after = position.margin if position.qty else ZERO
        held = self._margin_total.get(asset, ZERO) + after
        before = self._margin.get(symbol)
        self._margin_total[asset] = held if before is None else held - before
        self._margin[symbol] = after

    # --- queries ----------------------------------------------------------------------------------------------------

    def leverage(self, symbol: str) -> Decimal:
        return self._leverage.get(symbol, self._leverage.get("", Decimal(1)))

    def position_qty(self, symbol: str) -> Decimal:
        position = self.positions.get(symbol)
        return position.qty if position is not None else ZERO

    def can_pay(self, asset: str, fee: Decimal) -> bool:
        """Whether a fee may be taken in this asset; one that the account was never said to hold is not counted."""
        return asset not in self._given or self.free(asset) >= fee

    def locked(self, asset: str) -> Decimal:
        """What working orders hold of an asset."""
        return self._held_total.get(asset, ZERO)

    def free(self, asset: str) -> Decimal:
        """Balance less what working orders and positions hold."""
        return self.balances.get(asset, ZERO) - self._held_total.get(asset, ZERO) - self._margin_total.get(asset, ZERO)
