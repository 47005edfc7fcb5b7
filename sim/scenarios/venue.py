"""The venue of a scenario: its instruments, the account as it stands when time begins, and the simulated exchange.

What a scenario leaves out is none (`sim.models.NOTHING`), or the venue's own where the page says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import ConfigError, DataError, Problem
from core.events import Event
from core.instruments import Instrument, instrument_from
from core.settings.decode import decode
from core.settings.yaml_nodes import Node
from core.tape import Tape
from core.venue_rules import VenueRules
from sim.bars.bar_cursor import TapeCursor
from sim.bars.bar_market import BarMarket
from sim.books import kernel
from sim.books.books import Books
from sim.exchange import ExecutionSimulator
from sim.markets import over_books
from sim.models import NOTHING, PRESETS, Models, SimulationConfig, choose, fee_problems, loaded
from sim.reference_prices import ReferencePrices, Row
from sim.scenarios.account import account_of, settle
from sim.scenarios.books import ListOrder
from sim.scenarios.format import Scenario
from sim.scenarios.market import InstrumentSpec
from sim.venue_order import VenueOrder


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


def models_of(scenario: Scenario, rules: VenueRules) -> Callable[[str], Models]:
    """The models of a symbol; of "" those without a symbol's own. Raises ConfigError with all that is wrong."""
    if scenario.models is None:
        return lambda symbol: NOTHING
    problems: list[Problem] = []
    config = read_models(scenario.models, problems)
    if config is not None and not problems:
        wrong = fee_problems(config, rules, scenario.start)
        problems.extend(Problem(*scenario.models.place(key), message) for key, message in wrong)
    if config is None or problems:
        raise ConfigError(scenario.file, problems)
    defaults = NOTHING if config.preset is None else PRESETS[config.preset]
    return lambda symbol: choose(config, symbol, defaults)


def venue_of(
    scenario: Scenario,
    rules: VenueRules,
    models: Callable[[str], Models],
    tapes: dict[str, Tape],
    books: dict[str, dict[str, Tape]],
    *,
    local_at: Callable[[str, int], int],
    emit: Callable[[Event, VenueOrder | None], None],
    functions: Any = kernel,
) -> ExecutionSimulator:
    """The exchange with its markets in the order of `instruments`, and the account the scenario begins with.

    The finest data of a symbol make its market: `books` are its tapes of l3, depth, quotes, trades, else `tapes` bars.
    """
    instruments = {
        symbol: instrument_of(scenario.venue, symbol, spec, rules, models(symbol), dated=bool(scenario.start))
        for symbol, spec in scenario.instruments.items()
    }
    account = account_of(scenario, rules, instruments, models(""))
    limits = models("").rate_limits
    in_order = ListOrder(scenario, [symbol for symbol in instruments if books[symbol]], models("").latency.feed_ns)
    cursor = Books(functions, in_order=in_order)
    exchange = ExecutionSimulator(
        scenario.venue, rules, account, local_at=local_at, emit=emit, books=cursor, limits=limits
    )
    for symbol, instrument in instruments.items():
        if books[symbol]:
            exchange.add_market(
                over_books(instrument, models(symbol), exchange.books, exchange.matching, dict(books[symbol]))
            )
        else:
            exchange.add_market(BarMarket(instrument, models(symbol), TapeCursor(tapes[symbol]), exchange.matching))
    own = {symbol: [tapes[symbol], *books[symbol].values()] for symbol in instruments}
    settle(exchange, scenario, {symbol: models(symbol) for symbol in instruments}, own, local_at=local_at, emit=emit)
    exchange.admission.price_of = ReferencePrices(exchange.matching.settlement, price_rows(scenario))
    return exchange


def instrument_of(
    venue: str, symbol: str, spec: InstrumentSpec, rules: VenueRules, models: Models, *, dated: bool
) -> Instrument:
    """One symbol; fees by its own spec, then `models.fees`, then the venue.

    Not `dated`: a file without a date, whose fees are the newest stored ones.
    """
    fees = models.fees.schedule_of(symbol, spec.quote, rules.fees, spec.fees, dated=dated)
    return instrument_from(spec, venue=venue, symbol=symbol, kind=rules.kind, fees=fees)


def price_rows(scenario: Scenario) -> list[Row]:
    """The single prices of the tape that orders are judged by, in absolute time."""
    rows: list[Row] = []
    for row in scenario.tape:
        at = scenario.start + row.at
        if row.reference is not None:
            rows.append((at, "reference", row.symbol, row.reference.price))
        elif row.index is not None:
            rows.append((at, "index", row.symbol, row.index.price))
        elif row.mark is not None and row.mark.price is not None:
            rows.append((at, "mark", row.symbol, row.mark.price))
    return rows
