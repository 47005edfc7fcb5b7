"""The venue of a scenario: its instruments, the account as it stands when time begins, and the simulated exchange.

What a scenario leaves out is none (`sim.models.NOTHING`), or the venue's own where the page says so.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.decode import decode
from core.errors import ConfigError, DataError, Problem
from core.events import Event
from core.instruments import Instrument, decimals_of
from core.tape import Tape
from core.venue_rules import VenueRules
from core.yaml_nodes import Node
from sim.account import VenueAccount
from sim.bar_market import BarMarket
from sim.exchange import ExecutionSimulator
from sim.feed import TapeCursor
from sim.models import NOTHING, PRESETS, Models, SimulationConfig, choose, loaded
from sim.scenario_format import Scenario
from sim.scenario_market import InstrumentSpec
from sim.venue_order import VenueOrder

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


def read_models(node: Node, problems: list[Problem]) -> SimulationConfig | None:
    """The `models:` of a scenario: the `simulation:` of a run config. Files it names are beside the scenario."""
    before = len(problems)
    config = decode(node, SimulationConfig, problems)
    if config is None or len(problems) > before:
        return config
    try:
        return loaded(config, Path(node.file).parent)
    except DataError as error:
        problems.append(Problem(*node.place("latency.file"), str(error)))
        return None


def models_of(scenario: Scenario) -> Callable[[str], Models]:
    """The models of a symbol; of "" those without a symbol's own. Raises ConfigError with all that is wrong."""
    if scenario.models is None:
        return lambda symbol: NOTHING
    problems: list[Problem] = []
    config = read_models(scenario.models, problems)
    if config is None or problems:
        raise ConfigError(scenario.file, problems)
    defaults = NOTHING if config.preset is None else PRESETS[config.preset]
    return lambda symbol: choose(config, symbol, defaults)


def venue_of(
    scenario: Scenario,
    rules: VenueRules,
    models: Callable[[str], Models],
    tapes: dict[str, Tape],
    *,
    local_at: Callable[[str, int], int],
    emit: Callable[[Event, VenueOrder | None], None],
) -> ExecutionSimulator:
    """The exchange with its markets in the order of `instruments`, and the account the scenario begins with."""
    instruments = {
        symbol: instrument_of(scenario.venue, symbol, spec, rules, models(symbol))
        for symbol, spec in scenario.instruments.items()
    }
    account = account_of(scenario, rules, instruments)
    exchange = ExecutionSimulator(scenario.venue, rules, account, local_at=local_at, emit=emit)
    for symbol, instrument in instruments.items():
        exchange.add_market(BarMarket(instrument, models(symbol), TapeCursor(tapes[symbol]), exchange))
    return exchange


def instrument_of(venue: str, symbol: str, spec: InstrumentSpec, rules: VenueRules, models: Models) -> Instrument:
    """One symbol; fees by its own spec, then `models.fees`, then the venue. A filter of 0 is one that is off."""

    def rate(own: Decimal | None, model: Decimal | None, venue_rate: Decimal) -> Decimal:
        return own if own is not None else model if model is not None else venue_rate

    own = spec.fees
    filters: dict[str, Any] = {name: getattr(spec, name) or None for name in FILTERS}
    return Instrument(
        venue=venue,
        symbol=symbol,
        tick=spec.tick,
        step=spec.step,
        base=symbol if spec.base is None else spec.base,
        quote=spec.quote,
        kind=rules.kind,
        price_precision=decimals_of(spec.tick) if spec.price_precision is None else spec.price_precision,
        quantity_precision=decimals_of(spec.step) if spec.quantity_precision is None else spec.quantity_precision,
        maker=rate(own.maker if own else None, models.fees.maker, rules.maker),
        taker=rate(own.taker if own else None, models.fees.taker, rules.taker),
        **filters,
    )


def account_of(scenario: Scenario, rules: VenueRules, instruments: dict[str, Instrument]) -> VenueAccount:
    """Balances, leverage, and the positions opened before time begins."""
    spec = scenario.account
    balances = dict(spec.balances)
    if spec.wallet is not None:
        balances[settle_asset(instruments)] = spec.wallet
    leverage = {symbol: spec.leverage_of(symbol) for symbol in instruments}
    held = {symbol: position.net for symbol, position in spec.positions.items()}
    for symbol, position in held.items():
        if position is not None and position.leverage is not None:
            leverage[symbol] = position.leverage
    account = VenueAccount(rules.kind, balances, leverage=leverage, order_margin=rules.order_margin)
    for symbol, position in held.items():
        if position is not None:
            account.open_position(instruments[symbol], position.qty, position.entry_price)
    return account


def settle_asset(instruments: dict[str, Instrument]) -> str:
    """What `wallet` is counted in: the quote asset of the first instrument."""
    return next((instrument.quote for instrument in instruments.values()), "USDT")
