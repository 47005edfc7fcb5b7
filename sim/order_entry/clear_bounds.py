"""Bounds of a symbol within which none of its filters refuses an order: one look at most orders instead of seven.

They are made once, of the fields that `sim.order_entry.validation` asks one by one. What is within passes all of those
checks; what is outside may pass them too, and is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from core.events import OrderType, Side
from core.exact import MATH, ZERO
from core.instruments import Instrument
from core.orders import OrderTerms
from core.venue_rules import VenueRules

INFINITE = Decimal("Infinity")
SIDES: tuple[Side, Side] = ("buy", "sell")
Step = tuple[Decimal | None, Decimal | None]
"""A step and where it is counted from; None is no step, and from zero."""


class Grid(NamedTuple):
    """The multiples of `unit` from `low` to `high`."""

    low: Decimal
    high: Decimal
    unit: Decimal


class ClearBounds:
    """The bounds of one symbol. What waits for a trigger or has no size of its own is never within them."""

    def __init__(self, instrument: Instrument, rules: VenueRules) -> None:
        i, anchored = instrument, rules.grid == "from_minimum"
        lots: list[Step] = [(i.qty_unit, None), (i.step, i.min_qty if anchored else None)]
        market_lot = (i.market_step or None, i.market_min_qty if anchored else None)
        ticks: list[Step] = [(i.price_unit, None), (i.tick, i.min_price if anchored else None)]
        self._sizes: dict[OrderType, Grid] = {
            "limit": _grid(lots, [i.min_qty], [i.max_qty]),
            "market": _grid([*lots, market_lot], [i.min_qty, i.market_min_qty], [i.max_qty, i.market_max_qty]),
        }
        self._prices = _grid(ticks, [i.min_price], [i.max_price])
        self.valued = i.min_notional is not None or i.max_notional is not None
        """Whether what an order is worth matters: of one without a limit at the venue's reference price."""
        self._least = ZERO if i.min_notional is None else i.min_notional
        self._most = INFINITE if i.max_notional is None else i.max_notional
        band, one_sided = i.percent_price, rules.percent_price == "one_sided"
        self._band = {} if band is None else {side: band.multipliers(side, one_sided=one_sided) for side in SIDES}
        self.banded = band is not None
        """Whether the reference price decides about every order."""
        self.meets_band = self.banded and "percent_price_market" in rules.errors
        """Whether one without a limit is judged by the best price of the other side."""

    def hold(self, terms: OrderTerms, price: Decimal | None, reference: Decimal | None, best: Decimal | None) -> bool:
        """Whether an order of these terms is within them.

        `price` is its limit, None: it has none. `reference` and `best` where they decide, None: not known.
        """
        sizes = self._sizes.get(terms.type)
        if sizes is None or not sizes.low <= terms.qty <= sizes.high or terms.qty % sizes.unit:
            return False
        if price is not None:
            low, high, tick = self._prices
            if not low <= price <= high or price % tick:
                return False
        if self.banded and reference is not None:
            down, up = self._band[terms.side]
            met = best if price is None else price
            if met is not None and not _between(met, down, up, reference):
                return False
        if not self.valued or terms.reduce_only:
            return True
        valued_at = reference if price is None else price
        return valued_at is None or self._least <= MATH.multiply(valued_at, terms.qty) <= self._most


def _between(price: Decimal, down: Decimal | None, up: Decimal | None, reference: Decimal) -> bool:
    if up is not None and price > MATH.multiply(reference, up):
        return False
    return down is None or price >= MATH.multiply(reference, down)


def _grid(steps: Sequence[Step], least: Sequence[Decimal | None], most: Sequence[Decimal | None]) -> Grid:
    """What is on every step and within every bound; nothing where the steps do not fit into each other."""
    unit = max(step for step, _ in steps if step is not None)
    fits = all(not unit % step and not (origin or ZERO) % step for step, origin in steps if step is not None)
    if not fits:
        return Grid(INFINITE, ZERO, unit)
    low = max((bound for bound in least if bound is not None), default=unit)
    high = min((bound for bound in most if bound is not None), default=INFINITE)
    return Grid(max(low, unit), high, unit)
