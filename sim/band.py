"""The three sets of models of a band: what nobody can know from the data, once against us, as configured, once for us.

A result that holds in all three does not hang on the guess. They are three whole runs, not a proof: more fills can be
worse fills, so the results need not come in order, and the band is the range of all three.

Pessimistic: the queue risk averse; nothing fills beyond what the market showed; half the share of prints and bars, and
twice what is assumed ahead; the path of a bar `worst`; twice the half spread; impact coefficient 1.5; requests and
answers take twice as long. Optimistic: the models of the preset of that name, but the latency as configured: it is your
own measurement and no secret of the market, and without any a run trades at prices that nobody could have met.

Crossings stay `displayed` in the pessimistic run: the other side standing at our price has proven the fill, and it is a
bad one. Without them a maker would be spared exactly the fills that hurt. Recorded latencies stay as measured. Exact
places in an l3 queue are known, so both keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from core.errors import UsageError
from sim.books.book_market import FINEST
from sim.markets import PRESET_OF
from sim.models import OPTIMISTIC_PRESET, PRESETS, Models, SimulationConfig, SymbolModels, choose
from sim.models.bars import BarModel
from sim.models.feed_latency import FeedDerivedLatency
from sim.models.impact import NoImpact, SquareRootImpact
from sim.models.latency import ConstantLatency, LognormalLatency
from sim.models.matching import CrossedModel, PrintModel
from sim.models.queue import L3Queue, NoQueue, RiskAverseQueue
from sim.models.spread import FixedSpread, NoSpread

Key = tuple[str, str]
"""(venue, symbol)"""
Turn = Callable[[Models], dict[str, Any]]
"""The sections of some models that a run of the band has instead."""
Changes = dict[tuple[str, ...], Any]
"""Path below `simulation` to the model that stands there instead."""

IMPACT = Decimal("1.5")
"""F11: published fits of the coefficient lie between 0.5 and 1.5."""
WIDER = 2
"""Times the configured half spread. A guess: a quiet spread doubles in an ordinary busy hour."""
SLOWER = 2
"""Times the configured legs: of a lognormal with sigma 0.3, the preset's, 1 in 100 takes longer (exp(2.33 x 0.3))."""
SHARE = Decimal("0.5")
"""Of the configured share of prints and bars. A guess, as the share itself is."""


def band_of(simulation: SimulationConfig, kinds: Mapping[Key, Collection[str]]) -> dict[str, Changes]:
    """What each run of the band changes of `simulation`, in the order of running. `kinds` of data by (venue, symbol).

    Raises UsageError where the venues' default latencies differ, and so no one `latency` is twice as long for each.
    """
    venues: dict[str, set[str]] = {}
    for (venue, _), of in kinds.items():
        venues.setdefault(venue, set()).update(of)
    presets = {simulation.preset or _preset(of) for of in venues.values()}
    latencies = {msgspec.json.encode(PRESETS[preset].latency) for preset in presets}
    if simulation.latency is None and len(latencies) > 1:
        raise UsageError(
            "the venues of this band have different default latencies, because their data differ: name "
            "`simulation.latency`, so that the pessimistic run can take twice as long"
        )
    defaults = PRESETS[min(presets)]
    latency = choose(simulation, "", defaults).latency
    slower = _slower(latency)
    used = _used(kinds.values())
    pessimistic = _changes(simulation, defaults, _pessimistic, used)
    pessimistic |= {("latency",): slower} if slower != latency else {}
    return {"pessimistic": pessimistic, "default": {}, "optimistic": _changes(simulation, defaults, _optimistic, used)}


def _preset(kinds: Collection[str]) -> str:
    return next((PRESET_OF[kind] for kind in FINEST if kind in kinds), "bars")


def _used(kinds: Iterable[Collection[str]]) -> set[str]:
    """Sections that decide something on these data."""
    used = {"impact"}
    for finest in (next((kind for kind in FINEST if kind in of), "bars") for of in kinds):
        used |= {"bars"} if finest == "bars" else {"queue", "crossed"}
        used |= {"trades"} if finest == "trades" else set()
        used |= {"spread"} if finest in ("bars", "trades") else set()
    return used


def _changes(simulation: SimulationConfig, defaults: Models, turn: Turn, used: set[str]) -> Changes:
    """Every section in use that `turn` changes, at the top and wherever a symbol has its own."""
    turned = turn(choose(simulation, "", defaults))
    changes: Changes = {(name,): model for name, model in turned.items() if name in used}
    for symbol, own in simulation.symbols.items():
        named = {name for name in SymbolModels.__struct_fields__ if getattr(own, name) is not None} & used
        turned = turn(choose(simulation, symbol, defaults))
        changes |= {("symbols", symbol, name): model for name, model in turned.items() if name in named}
    return changes


def _pessimistic(models: Models) -> dict[str, Any]:
    bars, prints, impact, spread = models.bars, models.trades, models.impact, models.spread
    square = SquareRootImpact() if isinstance(impact, NoImpact) else impact
    if isinstance(square, SquareRootImpact):
        square = msgspec.structs.replace(square, coefficient=max(square.coefficient, IMPACT))
    fixed = FixedSpread() if isinstance(spread, NoSpread) else spread
    if isinstance(fixed, FixedSpread):
        fixed = msgspec.structs.replace(fixed, half_bps=fixed.half_bps * WIDER)
    known = isinstance(models.queue, L3Queue)
    changed = {
        "queue": models.queue if known else RiskAverseQueue(credit_ms=models.queue.credit_ms),
        "crossed": CrossedModel("displayed" if models.crossed.kind == "full" else models.crossed.kind),
        "impact": square,
        "spread": fixed,
        "bars": msgspec.structs.replace(
            bars,
            path="worst",
            participation=bars.participation * SHARE,
            market_participation=bars.market_participation or BarModel().market_participation,
        ),
        "trades": msgspec.structs.replace(
            prints,
            participation=prints.participation * SHARE,
            ahead_qty=None if prints.ahead_qty is None else 2 * prints.ahead_qty,
            ahead_medians=2 * prints.ahead_medians,
        ),
    }
    return {name: model for name, model in changed.items() if model != getattr(models, name)}


def _optimistic(models: Models) -> dict[str, Any]:
    best = OPTIMISTIC_PRESET
    prints = PrintModel(best.trades.participation, best.trades.ahead_qty, Decimal(0), models.trades.window_ms)
    changed = {
        "queue": models.queue if isinstance(models.queue, L3Queue) else NoQueue(credit_ms=models.queue.credit_ms),
        "crossed": best.crossed,
        "impact": best.impact,
        "spread": best.spread,
        "bars": msgspec.structs.replace(
            models.bars,
            participation=best.bars.participation,
            market_participation=best.bars.market_participation,
        ),
        "trades": prints,
    }
    return {name: model for name, model in changed.items() if model != getattr(models, name)}


def _slower(latency: Any) -> Any:
    """Requests and answers; market data come as they did. What was recorded, or is your own model, stays."""
    if isinstance(latency, ConstantLatency | LognormalLatency):
        return msgspec.structs.replace(
            latency,
            entry_ms=latency.entry_ms * SLOWER,
            cancel_ms=None if latency.cancel_ms is None else latency.cancel_ms * SLOWER,
            amend_ms=None if latency.amend_ms is None else latency.amend_ms * SLOWER,
            response_ms=latency.response_ms * SLOWER,
        )
    if isinstance(latency, FeedDerivedLatency):
        return msgspec.structs.replace(
            latency,
            entry_multiplier=latency.entry_multiplier * SLOWER,
            response_multiplier=latency.response_multiplier * SLOWER,
            entry_offset_ms=latency.entry_offset_ms * SLOWER,
            response_offset_ms=latency.response_offset_ms * SLOWER,
        )
    return latency
