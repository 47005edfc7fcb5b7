"""Models that the venue or the data of a run cannot follow: each would be passed over without a word."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from core.settings.scalars import advice, nearest
from core.venue_rules import VenueRules
from sim.models import SimulationConfig
from sim.models.queue import L3Queue


def model_problems(
    config: SimulationConfig, rules: VenueRules, kinds: Mapping[str, Collection[str]]
) -> Iterator[tuple[str, str]]:
    """(key below `simulation`, what is wrong). `kinds` are those of the data, by symbol."""
    for symbol in config.symbols:
        if symbol not in kinds:
            yield f"symbols.{symbol}", f"no entry of `data` has this symbol, {advice(nearest(symbol, kinds), kinds)}"
    yield from _self_trades(config, rules)
    yield from _queues(config, kinds)
    if config.margin is not None and config.margin.bybit_liq is not None and rules.maintenance_at != "model":
        said = f"{rules.name} values maintenance at the {rules.maintenance_at}, its rules leave nothing open"
        yield "margin.bybit_liq", f"{said}: leave it out"


def _self_trades(config: SimulationConfig, rules: VenueRules) -> Iterator[tuple[str, str]]:
    found = {"stp": config.stp, **{f"symbols.{symbol}.stp": own.stp for symbol, own in config.symbols.items()}}
    for place, model in found.items():
        if model is not None and model.default is not None and model.default not in rules.stp_modes:
            known = ", ".join(rules.stp_modes)
            yield f"{place}.default", f"{rules.name} has no mode `{model.default}`, expected one of: {known}"


def _queues(config: SimulationConfig, kinds: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """Order ids are followed where the data has them."""
    for symbol, found in kinds.items():
        own = config.symbols[symbol].queue if symbol in config.symbols else None
        if isinstance(own or config.queue, L3Queue) and "l3" not in found:
            place = "queue.kind" if own is None else f"symbols.{symbol}.queue.kind"
            yield (
                place,
                (
                    f"l3_fifo follows order ids, which only `l3` data has; {symbol} has {', '.join(sorted(found))}: "
                    "choose another kind, or leave `queue` out"
                ),
            )
