"""What the venue wants behind open positions, what is there, and the mark at which that is no longer enough.

It reads the venue's ledger (`sim.account`) and changes nothing. An isolated position has its own margin behind it, one
of a cross wallet the wallet and what the others have not realized; with shared collateral what all assets are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.exact import MATH, ZERO
from core.margin import (
    Tiers,
    bankruptcy_price,
    hedged_liquidation_price,
    liquidation_price_at_entry,
    maintenance_margin,
)
from sim.account import NO_TERMS, VenueAccount
from sim.ledger.venue_position import VenuePosition


class Maintenance:
    """The maintenance margin of one account's positions."""

    def __init__(self, account: VenueAccount) -> None:
        self._account = account

    def tiers(self, symbol: str, *, calls: bool = False) -> Tiers:
        """Maintenance brackets of a symbol; `calls`: those that a margin call is found with."""
        terms = self._account.terms.get(symbol, NO_TERMS)
        return terms.call_tiers if calls else terms.tiers

    def of(self, position: VenuePosition) -> Decimal:
        """Maintenance margin at mark, at entry value where no mark is known (or where the venue's form says so)."""
        tiers = self.tiers(position.instrument.symbol)
        mark = None if self._at_entry else self._account.mark_of(position.instrument.symbol)
        return maintenance_margin(tiers, abs(position.value if mark is None else MATH.multiply(position.qty, mark)))

    def behind(self, position: VenuePosition, *, kept_back: bool) -> Decimal:
        """What stands behind a position besides its own PnL; `kept_back`: and its other side's, less maintenance."""
        account, asset = self._account, position.instrument.quote
        if account.margin_mode == "isolated":
            return position.margin
        if account.collateral is not None and not kept_back:
            worth = account.collateral.worth(account.equities(without=[position]), account.value_of)
            return account.collateral.units(asset, worth)
        balance = account.balances.get(asset, ZERO)
        for other in account.pool(asset):
            symbol = other.instrument.symbol
            if other is not position and not (kept_back and symbol == position.instrument.symbol):
                mark = account.mark_of(symbol)
                balance = MATH.add(balance, ZERO if mark is None else other.unrealized(mark))
                if kept_back:
                    balance = MATH.subtract(balance, self.of(other))
        return balance

    def covered(self, position: VenuePosition) -> tuple[Decimal, Decimal]:
        """Maintenance margin and what is there to cover it: of an isolated position, or of the pool it belongs to."""
        account, asset = self._account, position.instrument.quote
        if account.collateral is not None:
            return self._together(), account.collateral.counts(account.equities(), account.value_of)
        isolated = account.margin_mode == "isolated"
        balance = position.margin if isolated else account.balances[asset]
        kept = ZERO
        for one in [position] if isolated else account.pool(asset):
            mark = account.mark_of(one.instrument.symbol)
            balance = MATH.add(balance, ZERO if mark is None else one.unrealized(mark))
            kept = MATH.add(kept, self.of(one))
        return kept, balance

    def liquidation_price(self, position: VenuePosition, *, calls: bool = False) -> Decimal | None:
        """The mark at which the venue closes the position, if every other mark stays; None where there is none.

        In cross margin that mark moves both sides of a hedged symbol. `calls`: the mark at which it warns of that.
        """
        account, symbol = self._account, position.instrument.symbol
        tiers = self.tiers(symbol, calls=calls)
        if self._at_entry:
            return liquidation_price_at_entry(tiers, position.qty, position.value, position.margin)
        moved = [position]
        if account.margin_mode == "cross":
            moved = [one for one in account.positions.values() if one.qty and one.instrument.symbol == symbol]
        if account.collateral is not None:
            equities, kept = account.equities(without=moved), self._together(without=moved)
            return account.collateral.liquidation_price(moved, tiers, equities, kept, account.value_of)
        legs = [(one.qty, one.value) for one in moved]
        return hedged_liquidation_price(tiers, legs, self.behind(position, kept_back=True))

    def bears(self, position: VenuePosition, mark: Decimal, *, calls: bool = False) -> bool:
        """Whether the venue spares an isolated position, or one alone in its pool, at this mark and so at better ones.

        `calls`: whether it does not even warn.
        """
        if self._at_entry or self._account.collateral is not None:
            return False
        tiers = self.tiers(position.instrument.symbol, calls=calls)
        kept = maintenance_margin(tiers, MATH.multiply(abs(position.qty), mark))
        return MATH.add(self.behind(position, kept_back=True), position.unrealized(mark)) > kept

    def bankruptcy_price(self, position: VenuePosition) -> Decimal:
        """Where closing would cost all that stands behind the position. It is open."""
        return bankruptcy_price(position.qty, position.value, self.behind(position, kept_back=False))

    def _together(self, *, without: Sequence[VenuePosition] = ()) -> Decimal:
        """What all maintenance margins, but for some positions', take from a shared account; the run's currency."""
        shared = self._account.collateral
        assert shared is not None
        kept = ZERO
        for position in self._account.pool(""):
            if position not in without:
                kept = MATH.add(kept, shared.takes(position.instrument.quote, self.of(position)))
        return kept

    @property
    def _at_entry(self) -> bool:
        return self._account.maintenance_at == "entry" and self._account.margin_mode == "isolated"
