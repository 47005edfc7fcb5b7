"""The models of the simulated exchange: small structs chosen by `kind`, each with its formula and its limits.

`SimulationConfig` is the `simulation:` section of a run and the `models:` of a scenario. What a scenario leaves out is
none; what a run leaves out comes from the preset of its finest data (venues.md section 11).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.venue_rules import VenueRules
from sim.models.bars import BarModel
from sim.models.fees import FeeModel
from sim.models.impact import ImpactModel, NoImpact, SquareRootImpact
from sim.models.latency import ConstantLatency, LatencyModel, LognormalLatency, NoLatency
from sim.models.margin import FundingModel, MarginModel
from sim.models.matching import CrossedModel, OverlayModel, PrintModel, SelfTradeModel, TriggerModel
from sim.models.queue import AnyQueue, NoQueue, PowerQueue
from sim.models.rate_limits import RateLimitModel, VenueRateLimits
from sim.models.recorded_latency import RecordedLatency
from sim.models.spread import FixedSpread, NoSpread, SpreadModel


class SymbolModels(msgspec.Struct, frozen=True):
    """Overrides for one symbol: `simulation.symbols.<SYMBOL>`."""

    spread: SpreadModel | None = None
    impact: ImpactModel | None = None
    bars: BarModel | None = None
    fees: FeeModel | None = None
    queue: AnyQueue | None = None
    crossed: CrossedModel | None = None
    overlay: OverlayModel | None = None
    trades: PrintModel | None = None
    triggers: TriggerModel | None = None
    stp: SelfTradeModel | None = None
    funding: FundingModel | None = None


class SimulationConfig(msgspec.Struct, frozen=True):
    """Every model of the simulator. None: not chosen."""

    preset: Literal["l2", "l1", "trades", "bars", "optimistic"] | None = None
    """None: that of the finest data."""
    latency: LatencyModel | None = None
    spread: SpreadModel | None = None
    impact: ImpactModel | None = None
    bars: BarModel | None = None
    fees: FeeModel | None = None
    symbols: dict[str, SymbolModels] = {}
    queue: AnyQueue | None = None
    crossed: CrossedModel | None = None
    overlay: OverlayModel | None = None
    trades: PrintModel | None = None
    triggers: TriggerModel | None = None
    stp: SelfTradeModel | None = None
    margin: MarginModel | None = None
    funding: FundingModel | None = None
    rate_limits: RateLimitModel | None = None


class Models(msgspec.Struct, frozen=True):
    """The models of one symbol, complete."""

    latency: LatencyModel
    spread: SpreadModel
    impact: ImpactModel
    bars: BarModel
    fees: FeeModel
    queue: AnyQueue = PowerQueue()
    crossed: CrossedModel = CrossedModel()
    overlay: OverlayModel = OverlayModel()
    trades: PrintModel = PrintModel()
    triggers: TriggerModel = TriggerModel()
    stp: SelfTradeModel = SelfTradeModel()
    margin: MarginModel = MarginModel()
    funding: FundingModel = FundingModel()
    rate_limits: RateLimitModel = VenueRateLimits()


NOTHING = Models(NoLatency(), NoSpread(), NoImpact(), BarModel(), FeeModel())
"""What a scenario leaves out."""
BARS_PRESET = Models(
    ConstantLatency(entry_ms=125_000_000, response_ms=125_000_000),
    FixedSpread(half_bps=Decimal("0.5")),
    SquareRootImpact(),
    BarModel(),
    FeeModel(),
)
"""Honest defaults of a run on bars (venues.md section 11)."""
BOOK_PRESET = Models(
    LognormalLatency(entry_ms=5_000_000, response_ms=5_000_000, feed_ms=5_000_000, sigma=0.3),
    FixedSpread(half_bps=Decimal("0.5")),
    SquareRootImpact(),
    BarModel(),
    FeeModel(),
)
"""Honest defaults of a run on books, quotes or prints; spread and impact speak only where there is no depth."""
OPTIMISTIC_PRESET = Models(
    NoLatency(),
    NoSpread(),
    NoImpact(),
    BarModel(participation=Decimal(1), market_participation=Decimal(0)),
    FeeModel(),
    NoQueue(),
    CrossedModel("full", through="full"),
    trades=PrintModel(participation=Decimal(1), ahead_qty=Decimal(0)),
)
"""An upper bound, never the default."""
PRESETS = {
    "l2": BOOK_PRESET,
    "l1": BOOK_PRESET,
    "trades": BOOK_PRESET,
    "bars": BARS_PRESET,
    "optimistic": OPTIMISTIC_PRESET,
}


def choose(config: SimulationConfig, symbol: str, defaults: Models) -> Models:
    """The models of a symbol: its own override, else what the config names, else the defaults."""
    own = config.symbols.get(symbol, SymbolModels())

    def pick(name: str) -> Any:
        return getattr(own, name, None) or getattr(config, name) or getattr(defaults, name)

    return Models(*(pick(name) for name in Models.__struct_fields__))


def fee_problems(config: SimulationConfig, rules: VenueRules, begins: int | None) -> Iterator[tuple[str, str]]:
    """What a venue's stored fees do not know of the models, as (key, message); `begins` in ns, where known."""
    found = {"fees": config.fees, **{f"symbols.{symbol}.fees": own.fees for symbol, own in config.symbols.items()}}
    for place, model in found.items():
        if model is not None:
            for key, message in model.problems(rules.name, rules.fees, begins):
                yield f"{place}.{key}", message


def loaded(config: SimulationConfig, folder: Path) -> SimulationConfig:
    """With what its models read from files, whose paths are relative to `folder`. Raises DataError."""
    if not isinstance(config.latency, RecordedLatency):
        return config
    return msgspec.structs.replace(config, latency=config.latency.loaded(folder))


SAID = {
    "l2": ("latency", "queue", "crossed", "impact", "rate_limits"),
    "l1": ("latency", "queue", "crossed", "impact", "rate_limits"),
    "trades": ("latency", "trades", "spread", "impact", "rate_limits"),
    "bars": ("latency", "bars", "spread", "impact", "rate_limits"),
}
"""Models that decide something, by finest data."""


def assumptions(models: Models, chosen: SimulationConfig, finest: str) -> list[str]:
    """One line per assumption, and whether it was chosen or is a default."""
    lines = []
    for name in SAID[finest]:
        origin = "" if getattr(chosen, name) is not None else " (default)"
        lines.append(f"{getattr(models, name).sentence()}{origin}")
    return lines
