"""The instruments and the account of a scenario file: every key of sections 2 and 3 of the scenario page.

Prices and quantities are exact decimals, rates fractions. `check` yields what is wrong between the keys of a mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from core.account.collateral import CollateralRatios
from core.market.price_filters import NotNegative, PercentPrice, Positive, PriceLimit, PriceRange

Complaints = Iterator[tuple[str, str]]
"""(key, message): what `check` yields."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping of the file: immutable, unknown keys refused by the decoder."""


def exactly_one(spec: Spec, kinds: tuple[str, ...]) -> Complaints:
    """A complaint unless exactly one of the keys `kinds` is set."""
    given = [kind for kind in kinds if getattr(spec, kind) is not None]
    if not given:
        yield "", f"expected exactly one of {', '.join(f'`{kind}`' for kind in kinds)}, found none"
    for extra in given[1:]:
        yield extra, f"stands beside `{given[0]}`; expected exactly one, write a row for each"


# --- instruments ----------------------------------------------------------------------------------------------------


class FeeSpec(Spec, frozen=True, kw_only=True):
    """Fees of one symbol, fractions of notional; None is what `models.fees` or the venue says."""

    maker: Decimal | None = None
    taker: Decimal | None = None


class Bracket(Spec, frozen=True, kw_only=True):
    """One maintenance tier, from `floor` (notional, quote units) on."""

    floor: NotNegative
    mmr: Annotated[Decimal, msgspec.Meta(ge=0, le=1)]
    """Maintenance margin rate, fraction of notional."""
    max_leverage: Positive
    cum: NotNegative | None = None
    """Maintenance amount, quote units; derived from the tiers below when left out."""


class InstrumentSpec(Spec, frozen=True, kw_only=True):
    """One symbol. None means: not checked, or the venue's own value."""

    tick: Positive
    step: Positive
    base: str | None = None
    """Asset name; the symbol when left out."""
    quote: str = "USDT"
    price_precision: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Decimals a price may have; those of `tick` when left out."""
    quantity_precision: Annotated[int, msgspec.Meta(ge=0)] | None = None
    min_price: NotNegative | None = None
    max_price: NotNegative | None = None
    min_qty: NotNegative | None = None
    max_qty: NotNegative | None = None
    market_min_qty: NotNegative | None = None
    market_max_qty: NotNegative | None = None
    market_step: NotNegative | None = None
    min_notional: NotNegative | None = None
    max_notional: NotNegative | None = None
    percent_price: PercentPrice | None = None
    price_range: PriceRange | None = None
    price_limit: PriceLimit | None = None
    market_take_bound: NotNegative | None = None
    max_orders: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_trigger_orders: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_amends: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_position: NotNegative | None = None
    fees: FeeSpec | None = None
    brackets: list[Bracket] | None = None
    liquidation_fee: NotNegative = Decimal(0)
    """Fraction of notional, cross margin only."""
    funding_interval_h: Annotated[int, msgspec.Meta(gt=0)] = 8
    funding_cap: Decimal | None = None
    funding_floor: Decimal | None = None

    def check(self) -> Complaints:
        for low, high in (
            ("min_price", "max_price"),
            ("min_qty", "max_qty"),
            ("market_min_qty", "market_max_qty"),
            ("min_notional", "max_notional"),
            ("funding_floor", "funding_cap"),
        ):
            least, most = getattr(self, low), getattr(self, high)
            # A venue writes 0 for "this part is not checked", so a maximum of 0 contradicts nothing.
            if least is not None and most is not None and most < least and (most or low == "funding_floor"):
                yield high, f"{most} is below `{low}` {least}"
        floors = [bracket.floor for bracket in self.brackets or []]
        if self.brackets is not None and (not floors or floors[0] != 0):
            yield "brackets", 'the first tier starts at floor "0"'
        if floors != sorted(set(floors)):
            yield "brackets", "expected floors that rise from tier to tier"


# --- account --------------------------------------------------------------------------------------------------------


class PositionSpec(Spec, frozen=True, kw_only=True):
    """A position opened before time begins: no fee, no event."""

    qty: Decimal
    """Signed, base units. In hedge mode the side is the key's, a short may be written with or without its sign."""
    entry_price: Positive
    leverage: Positive | None = None
    """The account's leverage of the symbol when left out."""
    isolated_margin: NotNegative | None = None
    """Quote units; |qty| x entry / leverage when left out."""


class HeldSpec(Spec, frozen=True, kw_only=True):
    """What a symbol of `account.positions` holds: one position, or in hedge mode `long` and `short`."""

    qty: Decimal | None = None
    entry_price: Positive | None = None
    leverage: Positive | None = None
    isolated_margin: NotNegative | None = None
    long: PositionSpec | None = None
    short: PositionSpec | None = None

    @property
    def hedged(self) -> bool:
        return self.long is not None or self.short is not None

    @property
    def net(self) -> PositionSpec | None:
        """The one-way position; None for a hedged symbol."""
        if self.qty is None or self.entry_price is None:
            return None
        return PositionSpec(
            qty=self.qty,
            entry_price=self.entry_price,
            leverage=self.leverage,
            isolated_margin=self.isolated_margin,
        )

    def check(self) -> Complaints:
        one_way = [
            key for key in ("qty", "entry_price", "leverage", "isolated_margin") if getattr(self, key) is not None
        ]
        if self.hedged:
            for key in one_way:
                yield key, "stands beside `long` or `short`; write it inside of them"
            if self.long is not None and self.long.qty < 0:
                yield "long", f"a long position cannot have qty {self.long.qty}"
            return
        for key in ("qty", "entry_price"):
            if getattr(self, key) is None:
                yield key, "missing: expected a decimal number (or `long` and `short` in hedge mode)"


class AccountSpec(Spec, frozen=True, kw_only=True):
    """What the account holds when time begins."""

    wallet: Decimal | None = None
    """Short for `balances: {<quote>: …}`; on futures the margins of isolated positions are part of it."""
    balances: dict[str, Decimal] = {}
    leverage: Positive | dict[str, Positive] = Decimal(1)
    margin_mode: Literal["isolated", "cross"] = "isolated"
    position_mode: Literal["one_way", "hedge"] = "one_way"
    positions: dict[str, HeldSpec] = {}
    multi_asset: bool = False
    """All assets stand behind all positions, as in a run config; so are the three keys below."""
    currency: str | None = None
    """What the account is counted in then; the quote of the first instrument when left out."""
    prices: dict[str, Positive] = {}
    collateral: dict[str, CollateralRatios] = {}

    def leverage_of(self, symbol: str) -> Decimal:
        """The leverage set for a symbol; 1 for one that a mapping leaves out."""
        if isinstance(self.leverage, dict):
            return self.leverage.get(symbol, Decimal(1))
        return self.leverage

    def check(self) -> Complaints:
        for symbol, held in self.positions.items():
            if self.position_mode == "hedge" and not held.hedged:
                yield "positions", f"hedge mode expects `{symbol}: {{long: …, short: …}}`"
            if self.position_mode == "one_way" and held.hedged:
                yield "positions", f"`{symbol}` has `long` or `short`: that needs position_mode: hedge"
        if self.multi_asset and self.margin_mode == "isolated":
            yield "multi_asset", "needs `margin_mode: cross`"
        for key in ("currency", "prices", "collateral"):
            if getattr(self, key) and not self.multi_asset:
                yield key, "belongs to `multi_asset: true`, which is not set"
