"""What a fill costs: the venue's fee, in the asset the venue takes it in (venues.md section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any, Protocol

from core.account.tariff import Tariff
from core.events import Liquidity, Side
from core.exact import EIGHT_DECIMALS, MATH, ZERO
from core.instruments import Instrument
from core.venue_rules import VenueRules
from sim.account import VenueAccount
from sim.models import Models


class PricedMarket(Protocol):
    """What is asked of a market. A price is a mantissa, maybe a fraction of one."""

    @property
    def instrument(self) -> Instrument: ...

    @property
    def models(self) -> Models: ...

    def wake(self, at: int) -> None: ...

    def price(self, at: int) -> Any: ...

    def known_before(self, at: int) -> Any: ...

    def decimal(self, mantissa: Any) -> Decimal: ...


class Charges:
    """One venue's fees: their rates as time goes on, and what each fill owes."""

    def __init__(self, rules: VenueRules, account: VenueAccount, markets: Mapping[str, PricedMarket]) -> None:
        """`markets` by symbol: those of the venue, as they come to be."""
        self._rules = rules
        self._account = account
        self._markets = markets
        self._received = rules.fee_in == "received"
        self.tariff = Tariff({})
        account.taker_of = self.tariff.taker

    def fee(
        self, market: PricedMarket, side: Side, notional: Decimal, qty: Decimal, liquidity: Liquidity, at: int
    ) -> tuple[Decimal, str]:
        """Fee of a fill at `at` and its asset, quantized to 8 decimals towards zero; negative is a rebate."""
        instrument, tariff = market.instrument, self.tariff
        if at >= tariff.until:
            tariff.turn(at)
        rates = tariff.now[instrument.symbol]
        rate = rates.full[side][liquidity]
        if tariff.by_volume:
            tariff.traded(notional, at)
        if market.models.fees.pay_in is not None and rate > 0:
            owed = MATH.multiply(notional, rates.discounted[side][liquidity])
            fee, asset = self._in_other_asset(market, owed, at)
            spent = self._spent(instrument, side, notional, qty, asset) if liquidity == "taker" else ZERO
            if self._account.can_pay(asset, fee + spent):
                return fee, asset
        if self._received:
            flips = rate < 0 and liquidity == "maker" and self._rules.rebate_in == "given"
            if (side == "buy") != flips:
                return MATH.multiply(qty, rate).quantize(EIGHT_DECIMALS, ROUND_DOWN, MATH), instrument.base
        return MATH.multiply(notional, rate).quantize(EIGHT_DECIMALS, ROUND_DOWN, MATH), instrument.quote

    def _spent(self, instrument: Instrument, side: Side, notional: Decimal, qty: Decimal, asset: str) -> Decimal:
        """What a taker's fill on spot gives of an asset, which is free until then; what a maker's gives is locked."""
        if not self._received:
            return ZERO
        given, amount = (instrument.quote, notional) if side == "buy" else (instrument.base, qty)
        return amount if given == asset else ZERO

    def _in_other_asset(self, market: PricedMarket, owed: Decimal, at: int) -> tuple[Decimal, str]:
        """What is owed (quote units) in the asset that the config says fees are paid in."""
        paid = market.models.fees
        assert paid.pay_in is not None and paid.pay_price is not None, "FeeModel.check wants both"
        price = self._price_of(paid.pay_in, market, at) or paid.pay_price
        return MATH.divide(owed, price).quantize(EIGHT_DECIMALS, ROUND_DOWN, MATH), paid.pay_in

    def _price_of(self, asset: str, filled: PricedMarket, at: int) -> Decimal | None:
        """What the asset's own market at this venue says it is worth; None where there is none, or no price yet."""
        for market in self._markets.values():
            if market.instrument.base == asset and market.instrument.quote == filled.instrument.quote:
                if market is not filled:  # that one is awake, maybe at the very close of its bar, which it has not left
                    market.wake(at)
                mantissa = market.price(at)
                if mantissa is None:  # in a hole, or before it has moved to the bar of this moment
                    mantissa = market.known_before(at)
                return None if mantissa is None else market.decimal(mantissa)
        return None
