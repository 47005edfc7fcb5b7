"""Several assets behind all positions of an account, as the venue reckons: the formulas are those of
`core.account.collateral`.

Money is in units of the run's currency. Prices of assets that follow a symbol are its index, else its mark, at the
moment in hand; before any is known such an asset is no margin for an order, and the account is not liquidated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from core.account.collateral import AssetPrice, CollateralTerms, counted, shared_liquidation_price
from core.exact import MATH, ONE, ZERO
from core.margin import Tiers
from sim.ledger.venue_position import MarkOf, VenuePosition

Prices = Callable[[str, Decimal], Decimal | None]
"""(symbol, how much of its base is held) to what one of it is worth, quote units; None where nobody knows."""


class SharedCollateral:
    """What every asset of an account counts for, and what a margin in it takes."""

    def __init__(self, terms: Mapping[str, CollateralTerms], prices: Mapping[str, AssetPrice]) -> None:
        """By asset. One without terms is no collateral; settle assets have both, and a constant price."""
        self._terms = terms
        self._prices = prices
        self.symbols = [price.symbol for price in prices.values() if price.symbol is not None]
        """Whose prices move what the account is worth."""

    def takes(self, asset: str, amount: Decimal) -> Decimal:
        """What `amount` of a settle asset, owed or bound as margin, takes from the account."""
        return MATH.multiply(MATH.multiply(amount, self._prices[asset].times), self._terms[asset].debt)

    def valued(self, equities: Mapping[str, Decimal]) -> Iterator[tuple[str, Decimal]]:
        """Of what is held or owed: the symbols whose prices decide what it counts for, and how much of each."""
        for asset, equity in equities.items():
            if equity and asset in self._terms:
                symbol = self._prices[asset].symbol
                if symbol is not None:
                    yield symbol, equity

    def counts(self, equities: Mapping[str, Decimal], prices: Prices) -> Decimal:
        """What these equities by asset count for together."""
        total = ZERO
        for asset, equity in equities.items():
            if equity and asset in self._terms:
                price = self._price(asset, equity, prices)
                total = MATH.add(total, MATH.multiply(counted(self._terms[asset], equity), price))
        return total

    def worth(self, equities: Mapping[str, Decimal], prices: Prices) -> Decimal:
        """The same without any ratio: what would be left if all were sold."""
        total = ZERO
        for asset, equity in equities.items():
            if equity and asset in self._terms:
                total = MATH.add(total, MATH.multiply(equity, self._price(asset, equity, prices)))
        return total

    def free(
        self,
        asset: str,
        left: Decimal,
        positions: Iterable[VenuePosition],
        held: Mapping[str, Decimal],
        mark_of: MarkOf,
    ) -> Decimal:
        """How much of a settle asset may be bound: what counts, `left` of all margins and of what orders hold."""
        for position in positions:
            mark = mark_of(position.instrument.symbol)
            margin = position.margin if mark is None else position.margin_at(mark)
            left = MATH.subtract(left, self.takes(position.instrument.quote, margin))
        for name, amount in held.items():
            left = MATH.subtract(left, self.takes(name, amount))
        return MATH.divide(left, self.takes(asset, ONE))

    def liquidation_price(
        self,
        moved: Sequence[VenuePosition],
        tiers: Tiers,
        equities: dict[str, Decimal],
        kept: Decimal,
        prices: Prices,
    ) -> Decimal | None:
        """The mark of the symbol of `moved`, its open positions, at which the account ends if every other price stays.

        `equities` and the maintenance `kept` (run's currency) are those of all else.
        """
        asset = moved[0].instrument.quote
        wallet = equities.pop(asset, ZERO)
        rest = self.units(asset, MATH.subtract(self.counts(equities, prices), kept))
        legs = [(one.qty, one.value) for one in moved]
        return shared_liquidation_price(tiers, legs, wallet, rest, self._terms[asset])

    def units(self, asset: str, worth: Decimal) -> Decimal:
        """So much of the account in units of a settle asset."""
        return MATH.divide(worth, self._prices[asset].times)

    def _price(self, asset: str, equity: Decimal, prices: Prices) -> Decimal:
        price = self._prices[asset]
        if price.symbol is None:
            return price.times
        found = prices(price.symbol, equity)
        return ZERO if found is None else MATH.multiply(found, price.times)
