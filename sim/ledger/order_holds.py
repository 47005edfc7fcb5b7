"""What working orders hold back of the venue's ledger: by order, and in all by asset."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

from core.exact import EIGHT_DECIMALS, MATH, ZERO


class OrderHolds:
    """Amounts set aside for working orders, each rounded away from us to 8 decimals."""

    def __init__(self, *, of_groups: bool) -> None:
        """`of_groups`: of a one-cancels-the-other group the largest amount is held, once (spot)."""
        self._of_groups = of_groups
        self._by_order: dict[str, tuple[str, Decimal, str | None]] = {}
        """Asset, amount, and the group of which one order alone can use it."""
        self.totals: dict[str, Decimal] = {}
        """By asset."""

    def set_aside(self, order_id: str, asset: str, amount: Decimal, group: str | None = None) -> None:
        """For a working order; replaces what it held before."""
        if order_id in self._by_order:
            self.give_back(order_id)
        if amount > ZERO:
            amount = amount.quantize(EIGHT_DECIMALS, ROUND_UP, MATH)
            added = amount if group is None else self._beyond_group(amount, group, asset)
            self.totals[asset] = self.totals.get(asset, ZERO) + added
            self._by_order[order_id] = (asset, amount, group)

    def give_back(self, order_id: str) -> None:
        """What an order held. Harmless where it held nothing."""
        held = self._by_order.pop(order_id, None)
        if held is not None:
            asset, amount, group = held
            self.totals[asset] -= amount if group is None else self._beyond_group(amount, group, asset)

    # --- queries ----------------------------------------------------------------------------------------------------

    @property
    def any(self) -> bool:
        """Whether any order holds anything."""
        return bool(self._by_order)

    def of(self, asset: str) -> Decimal:
        """What working orders hold of an asset."""
        return self.totals.get(asset, ZERO)

    def of_group(self, group: str | None, asset: str) -> Decimal:
        """What the orders of a group hold of an asset together; nothing where there is no group, or no spot."""
        if group is None or not self._of_groups:
            return ZERO
        return max(
            (amount for name, amount, of in self._by_order.values() if (name, of) == (asset, group)), default=ZERO
        )

    def _beyond_group(self, amount: Decimal, group: str, asset: str) -> Decimal:
        """What an order's amount adds to what the others of its group hold together."""
        return amount - min(amount, self.of_group(group, asset))
