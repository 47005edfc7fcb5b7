"""A plan: a config whose every section has been read by the room it belongs to. Values only; nothing is running yet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from core.account.collateral import AssetPrice, CollateralTerms, collateral_at, terms_of
from core.config import Config
from core.instruments import Instrument
from core.margin import Tiers, tiers_at, tiers_of
from core.venue_rules import VenueRules

Key = tuple[str, str]
"""(venue, symbol)"""


class VenuePlan(msgspec.Struct, frozen=True):
    """One venue of a run."""

    name: str
    """The config's name for it: an event's `venue`."""
    rules: VenueRules
    balances: dict[str, Decimal]
    leverage: dict[str, Decimal]
    """By symbol; "" is everyone else."""
    simulation: Any
    """`sim.models.SimulationConfig`."""
    brackets: Any = None
    """An opened `BracketSource`; None: the stored brackets are what the run knows."""


class StreamPlan(msgspec.Struct, frozen=True):
    """One entry of `data:`."""

    key: Key
    kind: str
    interval_ns: int
    source: Any
    """An opened `HistorySource`."""


class Plan(msgspec.Struct, frozen=True):
    """All that compose needs to build an engine."""

    config: Config
    venues: dict[str, VenuePlan]
    instruments: dict[Key, Instrument]
    streams: list[StreamPlan]
    names: dict[str, Key]
    """Every name a strategy may use for a symbol."""
    currency: str
    digest: str
    """sha256 of the resolved config: what ids are counted under."""
    warnings: list[str]
    """For the run's summary, one sentence each. Loading the data adds what it does not cover."""
    specs: dict[str, Any] = {}
    """By symbol, `sim.scenarios.market.InstrumentSpec` where the config has one: brackets, funding bounds."""
    prices: dict[Key, AssetPrice] = {}
    """By (venue, asset): what each asset that a venue holds for us is worth in `currency`; without those nobody prices.
    """

    def tiers(self, key: Key, start: int | None) -> Tiers:
        """Maintenance tiers of a symbol on the day of `start` (ns): the config's own, else the venue's stored ones."""
        spec = self.specs.get(key[1])
        if spec is not None and spec.brackets is not None:
            return tiers_of(spec.brackets)
        return tiers_at(self.venues[key[0]].rules.brackets.get(key[1], []), start)

    @property
    def rates(self) -> dict[str, Decimal]:
        """Constant prices by asset, those of all settle assets among them; the currency's own is 1."""
        return {asset: price.times for (_, asset), price in self.prices.items() if price.symbol is None}

    def prices_at(self, venue: str) -> dict[str, AssetPrice]:
        """`prices` of one venue, by asset."""
        return {asset: price for (name, asset), price in self.prices.items() if name == venue}

    def collateral(self, venue: str, start: int | None) -> dict[str, CollateralTerms]:
        """What assets count for together on the day of `start` (ns): the config's own, else the venue's stored ratios.

        Empty where each settle asset stands for itself.
        """
        account, rules = self.config.account, self.venues[venue].rules.collateral
        if not account.multi_asset or rules is None:
            return {}
        stored = {asset: collateral_at(rows, start) for asset, rows in rules.assets.items()}
        given = {asset: terms_of(ratios) for asset, ratios in (account.collateral or {}).items()}
        return {asset: terms for asset, terms in (stored | given).items() if terms is not None}

    def maintenance_at_entry(self, venue: str) -> bool:
        """Whether maintenance of an isolated position is valued at entry, where the venue leaves that to a model."""
        plan = self.venues[venue]
        margin = plan.simulation.margin
        return margin is not None and margin.maintenance_at(plan.rules.maintenance_at) == "entry"

    def kinds_of(self, key: Key) -> list[str]:
        """Kinds of data the run has of a symbol."""
        return [stream.kind for stream in self.streams if stream.key == key]
