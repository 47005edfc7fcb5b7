"""A plan: a config whose every section has been read by the room it belongs to. Values only; nothing is running yet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

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
    """By symbol, `sim.scenario_market.InstrumentSpec` where the config has one: brackets, funding bounds."""

    def tiers(self, key: Key, start: int | None) -> Tiers:
        """Maintenance tiers of a symbol on the day of `start` (ns): the config's own, else the venue's stored ones."""
        spec = self.specs.get(key[1])
        if spec is not None and spec.brackets is not None:
            return tiers_of(spec.brackets)
        return tiers_at(self.venues[key[0]].rules.brackets.get(key[1], []), start)

    def maintenance_at_entry(self, venue: str) -> bool:
        """Whether maintenance of an isolated position is valued at entry, where the venue leaves that to a model."""
        plan = self.venues[venue]
        margin = plan.simulation.margin
        return plan.rules.maintenance_at == "model" and margin is not None and margin.bybit_liq == "entry"

    def kinds_of(self, key: Key) -> list[str]:
        """Kinds of data the run has of a symbol."""
        return [stream.kind for stream in self.streams if stream.key == key]
