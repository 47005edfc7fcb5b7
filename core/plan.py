"""A plan: a config whose every section has been read by the room it belongs to. Values only; nothing is running yet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from core.config import Config
from core.instruments import Instrument
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
