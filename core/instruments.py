"""What may be traded and on which grid. `Instrument` is the only place that turns floats into orders' numbers.

Prices are rounded onto the tick away from us (a buyer pays more, a seller gets less), sizes down onto the step. A float
that lies within 1e-9 tick of the grid is on it: 60066.00000000001 is 60066.0 and is not rounded up.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from core.account.tariff import FeeSchedule
from core.events import Side
from core.market.price_filters import PercentPrice, PriceLimit, PriceRange

GRID_TOLERANCE = 1e-9
"""Fraction of a tick or step within which a float counts as on the grid."""
FLOAT_ERROR = 2.0**-50
"""What five roundings may put a float off, as a share of itself: above a million ticks it is more than 1e-9 tick."""
FILTERS = (
    "min_price",
    "max_price",
    "min_qty",
    "max_qty",
    "market_min_qty",
    "market_max_qty",
    "market_step",
    "min_notional",
    "max_notional",
)
"""Fields of an `Instrument` that are off where they are 0, as venues write it."""
BOUNDS = (
    "percent_price",
    "price_range",
    "price_limit",
    "market_take_bound",
    "max_orders",
    "max_trigger_orders",
    "max_amends",
    "max_position",
)
"""Fields that hold as they are written."""


class Instrument(msgspec.Struct, frozen=True, dict=True):
    """One symbol of one venue: its grid, its filters, its assets, its fees."""

    venue: str
    symbol: str
    tick: Decimal
    """Price increment, quote units."""
    step: Decimal
    """Quantity increment, base units."""
    base: str
    quote: str
    """Also the settle asset of a linear contract."""
    kind: Literal["spot", "linear"] = "linear"
    price_precision: int = 0
    quantity_precision: int = 0
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    market_min_qty: Decimal | None = None
    market_max_qty: Decimal | None = None
    market_step: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    fees: FeeSchedule = FeeSchedule()
    """What its fills cost, by date."""
    percent_price: PercentPrice | None = None
    """How far from the venue's reference price a limit may be written."""
    price_range: PriceRange | None = None
    """How far from the reference price a taker may trade."""
    price_limit: PriceLimit | None = None
    market_take_bound: Decimal | None = None
    """How far from the mark a market order may trade, fraction."""
    max_orders: int | None = None
    """Open orders of the symbol; None here and below is the venue's own cap."""
    max_trigger_orders: int | None = None
    max_amends: int | None = None
    """Amendments of one order."""
    max_position: Decimal | None = None
    """Base units; open orders that would increase the position count."""

    def __post_init__(self) -> None:
        # Derived once: the fill arithmetic runs on them.
        self.__dict__["tick_float"] = float(self.tick)
        self.__dict__["step_float"] = float(self.step)
        self.__dict__["price_unit"] = Decimal(1).scaleb(-self.price_precision)
        self.__dict__["qty_unit"] = Decimal(1).scaleb(-self.quantity_precision)

    if TYPE_CHECKING:  # to the type checker they are properties: annotated names would be fields of the struct

        @property
        def tick_float(self) -> float: ...

        @property
        def step_float(self) -> float: ...

        @property
        def price_unit(self) -> Decimal:
            """The smallest price with `price_precision` decimals."""

        @property
        def qty_unit(self) -> Decimal: ...

    # --- floats onto the grid ---------------------------------------------------------------------------------------

    def price_away(self, price: float, side: Side) -> Decimal:
        """The tick at or beyond `price` on the side that costs us: up for a buy, down for a sell."""
        ticks = price / self.tick_float
        slack = max(GRID_TOLERANCE, ticks * FLOAT_ERROR)
        return self.tick * (math.ceil(ticks - slack) if side == "buy" else math.floor(ticks + slack))

    def price_nearest(self, price: float) -> Decimal:
        """The nearest tick, half away from zero; for market prices that are already meant to be on the grid."""
        return self.tick * math.floor(price / self.tick_float + 0.5)

    def qty_down(self, qty: float) -> Decimal:
        """The largest multiple of the step that is not above `qty`; what is below a step is lost."""
        return self.step * math.floor(qty / self.step_float + GRID_TOLERANCE)

    # --- decimals onto the grid -------------------------------------------------------------------------------------

    def floor_qty(self, qty: Decimal) -> Decimal:
        """`qty` rounded down onto the step, exactly."""
        return qty // self.step * self.step

    def limit_price(self, price: Decimal, side: Side) -> Decimal:
        """A wished limit price on the grid and never worse than wished: down for a buy, up for a sell."""
        ticks = price // self.tick
        if side == "sell" and ticks * self.tick != price:
            ticks += 1
        return ticks * self.tick


def instrument_from(
    spec: Any, *, venue: str, symbol: str, kind: Literal["spot", "linear"], fees: FeeSchedule
) -> Instrument:
    """One symbol as a config, a scenario or a venue's stored rules write it down, by the names that fields have here.

    What `spec` lacks or leaves out is not limited; decimals left out are those of tick and step.
    """
    limits: dict[str, Any] = {name: getattr(spec, name, None) or None for name in FILTERS}
    limits |= {name: getattr(spec, name, None) for name in BOUNDS}
    price, quantity = getattr(spec, "price_precision", None), getattr(spec, "quantity_precision", None)
    return Instrument(
        venue=venue,
        symbol=symbol,
        tick=spec.tick,
        step=spec.step,
        base=spec.base or symbol,
        quote=spec.quote,
        kind=kind,
        price_precision=decimals_of(spec.tick) if price is None else price,
        quantity_precision=decimals_of(spec.step) if quantity is None else quantity,
        fees=fees,
        **limits,
    )


def decimals_of(unit: Decimal) -> int:
    """How many decimals a tick or step has: 0.10 has one."""
    exponent = unit.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "a tick or step is finite"
    return max(0, -exponent)
