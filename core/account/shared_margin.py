"""Several assets behind all positions of our account, as the inside reckons: from the portfolio, at our last known
prices. Written apart from the venue's ledger; the formulas of both are those of `core.account.collateral`.

Money is in the run's currency, except where an asset is named. An asset whose symbol has no price yet counts for
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from core.account.collateral import AssetPrice, CollateralTerms, counted, shared_liquidation_price
from core.exact import MATH, ZERO
from core.instruments import Instrument
from core.margin import Tiers, maintenance_margin
from core.portfolio import Portfolio, Position

Key = tuple[str, str]


class SharedMargin:
    """One venue's account, all its assets taken together. `positions` are all open contracts there."""

    def __init__(
        self,
        portfolio: Portfolio,
        venue: str,
        instruments: Mapping[Key, Instrument],
        terms: Mapping[str, CollateralTerms],
        prices: Mapping[str, AssetPrice],
    ) -> None:
        """`terms` and `prices` by asset; one that lacks either is no collateral."""
        self._portfolio = portfolio
        self._venue = venue
        self._instruments = instruments
        self._terms = {asset: one for asset, one in terms.items() if asset in prices}
        self._prices = prices

    def equity(self, positions: Sequence[Position]) -> Decimal:
        """What all wallets, with what is not realized, count for."""
        total = ZERO
        for asset in self._terms:
            total = MATH.add(total, self._counts(asset, self._held(asset, positions)))
        return total

    def takes(self, asset: str, amount: Decimal) -> Decimal:
        """What a margin of `amount` of a settle asset takes from the account."""
        return MATH.multiply(MATH.multiply(amount, self._prices[asset].times), self._terms[asset].debt)

    def liquidation_price(
        self, whole: Position, positions: Sequence[Position], tiers: Mapping[str, Tiers]
    ) -> Decimal | None:
        """The mark of this position at which the account ends if every other price stays; `tiers` by symbol.

        That mark moves both sides of a hedged symbol.
        """
        legs = [(one.qty, one.cost) for one in positions if one.symbol == whole.symbol]
        others = [one for one in positions if one.symbol != whole.symbol]
        settle = self._settle(whole)
        rest = ZERO
        for asset in self._terms:
            if asset != settle:
                rest = MATH.add(rest, self._counts(asset, self._held(asset, others)))
        for one in others:
            mark = self._portfolio.mark(self._venue, one.symbol)
            notional = abs(one.cost) if mark is None else MATH.multiply(abs(one.qty), mark)
            kept = maintenance_margin(tiers.get(one.symbol, ()), notional)
            rest = MATH.subtract(rest, self.takes(self._settle(one), kept))
        wallet, terms = self._held(settle, others), self._terms[settle]
        rest = MATH.divide(rest, self._prices[settle].times)
        return shared_liquidation_price(tiers.get(whole.symbol, ()), legs, wallet, rest, terms)

    def _held(self, asset: str, positions: Sequence[Position]) -> Decimal:
        """The wallet of an asset, and what positions settled in it have not realized; its own units."""
        held = self._portfolio.wallet(self._venue, asset)
        for whole in positions:
            mark = self._portfolio.mark(self._venue, whole.symbol) if self._settle(whole) == asset else None
            if mark is not None:
                held = MATH.add(held, MATH.subtract(MATH.multiply(whole.qty, mark), whole.cost))
        return held

    def _counts(self, asset: str, held: Decimal) -> Decimal:
        if not held:
            return ZERO
        price = self._prices[asset]
        worth = MATH.multiply(counted(self._terms[asset], held), price.times)
        if price.symbol is None:
            return worth
        mark = self._portfolio.mark(self._venue, price.symbol)
        return ZERO if mark is None else MATH.multiply(worth, mark)

    def _settle(self, whole: Position) -> str:
        return self._instruments[self._venue, whole.symbol].quote
