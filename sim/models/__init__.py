"""The models of the simulated exchange: small structs chosen by `kind`, each with its formula and its limits.

`SimulationConfig` is the `simulation:` section of a run and the `models:` of a scenario. What a scenario leaves out is
none; what a run leaves out comes from the preset of its finest data (venues.md section 11).
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.yaml_nodes import Node
from sim.models.bars import BarModel
from sim.models.fees import FeeModel
from sim.models.impact import ImpactModel, NoImpact, SquareRootImpact
from sim.models.latency import ConstantLatency, LatencyModel, NoLatency, RecordedLatency
from sim.models.spread import FixedSpread, NoSpread, SpreadModel


class SymbolModels(msgspec.Struct, frozen=True):
    """Overrides for one symbol: `simulation.symbols.<SYMBOL>`."""

    spread: SpreadModel | None = None
    impact: ImpactModel | None = None
    bars: BarModel | None = None
    fees: FeeModel | None = None


class SimulationConfig(msgspec.Struct, frozen=True):
    """Every model of the simulator. None: not chosen."""

    preset: Literal["bars", "optimistic"] | None = None
    latency: LatencyModel | None = None
    spread: SpreadModel | None = None
    impact: ImpactModel | None = None
    bars: BarModel | None = None
    fees: FeeModel | None = None
    symbols: dict[str, SymbolModels] = {}
    queue: Node | None = None
    """For books; read by the fill contract's book rules."""
    crossed: Node | None = None
    overlay: Node | None = None
    trades: Node | None = None
    triggers: Node | None = None
    stp: Node | None = None
    margin: Node | None = None
    funding: Node | None = None
    rate_limits: Node | None = None


BOOK_SECTIONS = ("queue", "crossed", "overlay", "trades", "triggers", "stp", "margin", "funding", "rate_limits")
"""Sections that say nothing about bars; they stay unread until the rules they belong to exist."""


class Models(msgspec.Struct, frozen=True):
    """The models of one symbol, complete."""

    latency: LatencyModel
    spread: SpreadModel
    impact: ImpactModel
    bars: BarModel
    fees: FeeModel


NOTHING = Models(NoLatency(), NoSpread(), NoImpact(), BarModel(), FeeModel())
"""What a scenario leaves out."""
BARS_PRESET = Models(
    ConstantLatency(entry_ms=125_000_000, response_ms=125_000_000),
    FixedSpread(half_bps=Decimal("0.5")),
    SquareRootImpact(),
    BarModel(),
    FeeModel(),
)
"""Honest defaults of a run on bars (design section 8, venues.md section 11)."""
OPTIMISTIC_PRESET = Models(
    NoLatency(), NoSpread(), NoImpact(), BarModel(participation=Decimal(1), market_participation=Decimal(0)), FeeModel()
)
"""An upper bound, never the default."""
PRESETS = {"bars": BARS_PRESET, "optimistic": OPTIMISTIC_PRESET}


def choose(config: SimulationConfig, symbol: str, defaults: Models) -> Models:
    """The models of a symbol: its own override, else what the config names, else the defaults."""
    own = config.symbols.get(symbol, SymbolModels())

    def pick(name: str) -> Any:
        return getattr(own, name, None) or getattr(config, name) or getattr(defaults, name)

    return Models(*(pick(name) for name in ("latency", "spread", "impact", "bars", "fees")))


def loaded(config: SimulationConfig, folder: Path) -> SimulationConfig:
    """With what its models read from files, whose paths are relative to `folder`. Raises DataError."""
    if not isinstance(config.latency, RecordedLatency):
        return config
    return msgspec.structs.replace(config, latency=config.latency.loaded(folder))


def assumptions(models: Models, chosen: SimulationConfig) -> list[str]:
    """One line per assumption, and whether it was chosen or is a default."""
    lines = []
    for name in ("latency", "bars", "spread", "impact"):
        origin = "" if getattr(chosen, name) is not None else " (default)"
        lines.append(f"{getattr(models, name).sentence()}{origin}")
    return lines
