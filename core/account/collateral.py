"""What an account's assets count for as margin where they stand behind its positions together. Pure formulas, exact.

An asset's equity is its wallet plus the unrealized PnL of the contracts settled in it, in its own units. It counts
price x min over lines of (slope x equity + offset): one line per step of the collateral ratio, since of a large holding
each further unit may count less, and one through zero for what is owed, which counts in full or more. So the value is
concave in the equity, and the line that is lowest is the one that holds.

- Binance multi-assets mode: ratio = 1 - bid buffer, debt = 1 + ask buffer of the asset's index, "account equity = sum
  of min(equity x bid rate, equity x ask rate)"; margins count at the ask rate; liquidation where the maintenance margin
  of all positions reaches the account equity. Source: its FAQ "How to Calculate Margin in Multi-Assets Mode" (page
  c983a926, 2022-07-06), whose printed numbers are in `tests/test_collateral.py`.
- Bybit unified account, cross: ratios by quantity held, debts in full, liquidation where the account maintenance margin
  rate is 100 %. Source: its help page "Understanding Collateral Value Ratios" of 2025-09-18.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, NamedTuple

import msgspec

from core.dated_rows import row_at
from core.exact import MATH, ONE, ZERO
from core.margin import Leg, Tiers, hedged_liquidation_price, scaled, tier_of
from core.notation import Timestamp

NotNegative = Annotated[Decimal, msgspec.Meta(ge=0)]


class RatioStep(msgspec.Struct, frozen=True):
    """From `floor` units of an asset on, each further unit counts `ratio` of its price."""

    floor: NotNegative
    ratio: NotNegative


class CollateralRatios(msgspec.Struct, frozen=True):
    """What an asset counts for, as a file writes it."""

    steps: list[RatioStep]
    """By rising floor, the first at 0; the ratios fall."""
    debt: NotNegative = ONE
    """What a unit that is owed, or bound as margin, takes: a multiple of its price, 1 or more."""

    def check(self) -> Iterator[tuple[str, str]]:
        floors, ratios = [step.floor for step in self.steps], [step.ratio for step in self.steps]
        if not floors or floors[0] != 0 or floors != sorted(set(floors)):
            yield "steps", 'expected steps that begin at floor "0" and rise'
        if ratios != sorted(ratios, reverse=True) or any(ratio > 1 for ratio in ratios):
            yield "steps", "expected ratios of at most 1 that fall from step to step"
        if self.debt < 1:
            yield "debt", f"{self.debt:f} is below 1: what is owed counts at least in full"


class DatedCollateral(CollateralRatios, frozen=True, kw_only=True):
    """What an asset counted for from `since` on."""

    since: Timestamp
    guess: bool = False
    """No source at hand names it."""


class Line(NamedTuple):
    """slope x equity + offset, both sides in units of the asset."""

    slope: Decimal
    offset: Decimal


class CollateralTerms(msgspec.Struct, frozen=True):
    """What an asset counts for, complete."""

    lines: tuple[Line, ...] = (Line(ONE, ZERO),)
    debt: Decimal = ONE


class AssetPrice(msgspec.Struct, frozen=True):
    """Units of the run's currency for one unit of an asset: a constant, or what a symbol of its venue says."""

    times: Decimal = ONE
    """The constant; where a symbol says the price, what one of that symbol's quote units is worth."""
    symbol: str | None = None


def terms_of(ratios: CollateralRatios) -> CollateralTerms:
    """The lines of an asset: each step's meets the one before at its floor."""
    lines = [Line(ratios.debt, ZERO)]
    counted = floor = ratio = ZERO
    for step in ratios.steps:
        counted = MATH.add(counted, MATH.multiply(MATH.subtract(step.floor, floor), ratio))
        floor, ratio = step.floor, step.ratio
        lines.append(Line(ratio, MATH.subtract(counted, MATH.multiply(ratio, floor))))
    return CollateralTerms(tuple(lines), ratios.debt)


def collateral_at(dated: Sequence[DatedCollateral], at: int | None) -> CollateralTerms | None:
    """The terms valid at `at` (int ns UTC; None: the newest), as `row_at` chooses.

    None where the venue does not take the asset.
    """
    return terms_of(row_at(dated, at)) if dated else None


def counted(terms: CollateralTerms, equity: Decimal) -> Decimal:
    """What an asset's equity counts for, in units of the asset; negative where it is owed."""
    return min(MATH.add(MATH.multiply(line.slope, equity), line.offset) for line in terms.lines)


def shared_liquidation_price(
    tiers: Tiers, legs: Sequence[Leg], wallet: Decimal, rest: Decimal, terms: CollateralTerms
) -> Decimal | None:
    """The mark at which the whole account no longer covers its maintenance, if every other price stays; None: nowhere.

    Of the open positions of one symbol. `wallet` is the equity of their settle asset without their unrealized PnL,
    `rest` what all else counts for less all other maintenance; both in units of the settle asset, whose `terms` these
    are. On each line the condition slope x (wallet + PnL) + offset + rest = debt x maintenance is that of positions
    alone, with maintenance divided by the slope; the account ends at the first of them.
    """
    found = []
    for line in terms.lines:
        if line.slope:
            behind = MATH.add(wallet, MATH.divide(MATH.add(line.offset, rest), line.slope))
            price = hedged_liquidation_price(scaled(tiers, MATH.divide(line.slope, terms.debt)), legs, behind)
            if price is not None:
                found.append(price)
    if not found:
        return None
    maintained = sum(abs(qty) * tier_of(tiers, abs(value)).mmr for qty, value in legs)
    falls = sum(qty for qty, _ in legs) > maintained  # a hedge that is nearly even loses as its maintenance rises
    return max(found) if falls else min(found)


# --- what assets are worth ------------------------------------------------------------------------------------------


class PricedSymbol(NamedTuple):
    """A symbol that can tell what its base asset is worth."""

    name: str
    base: str
    quote: str


def asset_prices(
    assets: Iterable[str],
    currency: str,
    symbols: Sequence[PricedSymbol],
    constants: Mapping[str, Decimal],
    dollars: Sequence[str],
) -> dict[str, AssetPrice]:
    """What each asset of a venue is worth in `currency`; one that nobody prices is left out.

    The run's currency is 1. Else the constant that was given; else 1 where both are dollars; else the first symbol of
    the venue whose base it is and whose quote has one of these constant prices.
    """

    def constant(asset: str) -> Decimal | None:
        if asset == currency:
            return ONE
        if asset in constants:
            return constants[asset]
        return ONE if asset in dollars and currency in dollars else None

    found: dict[str, AssetPrice] = {}
    for asset in assets:
        fixed = constant(asset)
        if fixed is not None:
            found[asset] = AssetPrice(fixed)
            continue
        for symbol in symbols:
            rate = constant(symbol.quote) if symbol.base == asset else None
            if rate is not None:
                found[asset] = AssetPrice(rate, symbol.name)
                break
    return found
