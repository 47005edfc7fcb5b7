"""Who is plugged into whom. The only module that names other rooms, lazily, inside its functions.

`read_plan` reads a config with the help of every room and reports all problems together; `assemble` builds the parts of
a run from a plan; `compose` is both, as an `Engine` that loads its data when it is entered.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from core.config import (
    Config,
    LogSection,
    ReportSection,
    RunSection,
    config_error,
    read_config,
    read_config_text,
    resolved_yaml,
)
from core.errors import AnyclockError, DataError, Problem, UsageError
from core.instruments import Instrument, instrument_from
from core.plan import Key, Plan, StreamPlan, VenuePlan
from core.settings.account_assets import asset_remarks, prices_of
from core.settings.account_checks import account_problems
from core.settings.agreement import Mode
from core.settings.decode import decode
from core.settings.encode import to_plain
from core.settings.scalars import advice, nearest
from core.settings.yaml_nodes import Node

if TYPE_CHECKING:
    from core.engine import Engine
    from sim.models import SimulationConfig

VENUE_KEYS = ("name", "brackets")
LATER_VENUE_KEYS = ("account", "instruments", "simulation")
"""Of an entry of `venues`: what the design lets differ by venue, and runs do not yet."""
UNTRADED = frozenset({"marks", "index", "funding"})
"""Kinds of data that are no market."""
BOOK_MODELS = ("queue", "crossed", "overlay", "trades", "stp")
"""Sections of `simulation` that bars have no use for: nothing rests in a queue there, nobody meets himself."""
NAME_MAX = 48
"""Of a run's name that the names of a band's three runs begin with: 64 are allowed."""
CACHE = ".cache"
"""Folder of market data that was fetched, beside the place the program is started in."""
Progress = Callable[[str, int, int], None]
"""(what, done, total)"""


def compose(config: str | Path | Plan, *, assignments: tuple[str, ...] = (), **parts: Any) -> Engine:
    """An `Engine` for a config file or a plan. `parts` go to `assemble`: mode, journal_path, progress, strategies."""
    from core.engine import Engine

    plan = config if isinstance(config, Plan) else read_plan(config, assignments)
    return Engine(prepare=lambda: assemble(plan, **parts))


# --- reading --------------------------------------------------------------------------------------------------------


def read_plan(
    config: str | Path | Config, assignments: tuple[str, ...] = (), *, mode: Mode | None = None, text: str | None = None
) -> Plan:
    """Read a config with every room's help. Raises ConfigError with all problems; nothing is started."""
    if isinstance(config, Config):
        raise UsageError("read_plan takes a file (or text=), so that problems can name their lines")
    file = str(config)
    if text is None:
        read, problems, root = read_config(config, assignments, mode=mode)
    else:
        read, problems, root = read_config_text(text, file, assignments, mode=mode)
    if read is None:
        raise config_error(file, problems, assignments)
    plan = _Reader(read, root, problems).plan()
    if problems or plan is None:
        raise config_error(file, problems, assignments)
    return plan


class _Reader:
    """Hands each raw section to the room it belongs to, and collects what they all say."""

    def __init__(self, config: Config, root: Node, problems: list[Problem]) -> None:
        self.config = config
        self.root = root
        self.problems = problems
        self.warnings: list[str] = []
        self.specs: dict[str, Any] = {}

    def plan(self) -> Plan | None:
        venues = self._venues()
        instruments = self._instruments(venues)
        streams = self._streams(venues, instruments)
        self._strategies(list(venues))
        if self.problems or not instruments:
            return None
        currency = self.config.account.currency or next(iter(instruments.values())).quote
        names = {symbol: (venue, symbol) for venue, symbol in reversed(instruments)}
        names |= {f"{venue}:{symbol}": (venue, symbol) for venue, symbol in instruments}
        wallet = self.config.account.wallet
        for venue in venues.values():
            venue.balances.setdefault(currency, Decimal(0) if wallet is None else wallet)
            for instrument in instruments.values():
                if instrument.venue == venue.name:
                    venue.balances.setdefault(instrument.quote, Decimal(0))
        self._check_money(venues, currency)
        if self.problems:
            return None
        digest, prices = digest_of(self.config), prices_of(self.config.account, venues, instruments, currency)
        plan = Plan(
            self.config, venues, instruments, streams, names, currency, digest, self.warnings, self.specs, prices
        )
        for place, message in account_problems(plan):
            self._say(place, message)
        self.warnings.extend(asset_remarks(plan))
        return plan

    def _say(self, place: str, message: str) -> None:
        line, path = self.root.place(place)
        self.problems.append(Problem(line, path, message))

    def _venues(self) -> dict[str, VenuePlan]:
        from adapters.venues import VENUES, load_rules, unknown_venue
        from sim.models import fee_problems
        from sim.models.refusals import model_problems

        simulation, kinds = self._simulation(), kinds_by_symbol(self.config)
        nodes = {"": self.config.venue} if self.config.venue is not None else dict(self.config.venues or {})
        venues: dict[str, VenuePlan] = {}
        for key, node in nodes.items():
            name_node = node.child("name") if node is not None and isinstance(node.value, dict) else None
            name = name_node.value if name_node is not None else None
            place = f"venues.{key}" if key else "venue"
            self._venue_keys(node, place, LATER_VENUE_KEYS if key else ())
            if not isinstance(name, str):
                self._say(place, f"expected {{name: …}} with one of {', '.join(VENUES)}")
                continue
            if name not in VENUES:
                self._say(f"{place}.name", unknown_venue(name))
                continue
            account = self.config.account
            rules = load_rules(name)
            wrong = list(fee_problems(simulation, rules, self.config.run.start))
            for key, message in (*wrong, *model_problems(simulation, rules, kinds)):
                self._say(f"simulation.{key}", message)
            if wrong:  # told; the rest of the file is checked with the venue's own fees
                simulation = msgspec.structs.replace(simulation, fees=None, symbols={})
            self.warnings.extend(rules.guesses(self.config.run.start))
            balances = dict(account.balances)
            leverage = account.leverage if isinstance(account.leverage, dict) else {"": account.leverage}
            if rules.kind == "spot" and any(value != 1 for value in leverage.values()):
                self._say("account.leverage", f"{name} is a spot venue: leverage is 1 there, leave it out")
            brackets = self._brackets(node, f"{place}.brackets", rules.name)
            venues[key or name] = VenuePlan(key or name, rules, balances, leverage, simulation, brackets)
        return venues

    def _venue_keys(self, node: Node, place: str, later: tuple[str, ...]) -> None:
        """Nothing that stands beside `name` is passed over."""
        for key in node.value if isinstance(node.value, dict) else ():
            if key in later:
                self._say(f"{place}.{key}", f"not offered yet: `{key}` at the top of the file holds for every venue")
            elif key not in VENUE_KEYS:
                known = [*VENUE_KEYS, *later]
                self._say(f"{place}.{key}", f"unknown key, {advice(nearest(key, known), known)}")

    def _brackets(self, node: Node, place: str, venue: str) -> Any:
        """What a venue's entry says about where its brackets come from, opened; None where it says nothing."""
        from adapters.sources import Brackets

        written = node.child("brackets")
        if written is None:
            return None
        source: Brackets | None = decode(written, Brackets, self.problems)
        if source is None:
            return None
        try:
            return source.open(venue=venue, cache=cache_folder(self.config), seed=self.config.run.seed)
        except AnyclockError as error:
            self._say(place, str(error))
            return None

    def _simulation(self) -> SimulationConfig:
        """The section as the simulator reads it; what has no effect is a warning."""
        from sim.models import SimulationConfig, loaded

        node, kinds = self.config.simulation, {entry.kind for entry in self.config.data}
        if node is None:
            return SimulationConfig()
        before = len(self.problems)
        simulation = decode(node, SimulationConfig, self.problems)
        if simulation is None or len(self.problems) > before:
            return simulation or SimulationConfig()
        for name in BOOK_MODELS if kinds <= {"bars", *UNTRADED} else ():
            if getattr(simulation, name) is not None:
                self.warnings.append(f"simulation.{name} has no effect on bars")
        try:
            return loaded(simulation, Path())
        except DataError as error:
            self._say("simulation.latency.file", str(error))
            return simulation

    def _instruments(self, venues: dict[str, VenuePlan]) -> dict[Key, Instrument]:
        from sim.scenarios.market import InstrumentSpec

        specs: dict[str, Any] = {}
        for symbol, node in self.config.instruments.items():
            specs[symbol] = decode(node, InstrumentSpec, self.problems)
        instruments: dict[Key, Instrument] = {}
        start = self.config.run.start
        for at, entry in enumerate(self.config.data):
            venue = venues.get(entry.venue or next(iter(venues), ""))
            if venue is None:
                continue
            key = (venue.name, entry.symbol)
            spec = specs.get(entry.symbol)
            if entry.symbol in specs:
                if spec is not None:
                    instruments[key] = instrument_of(venue, entry.symbol, spec)
                    self.specs[entry.symbol] = spec
                continue
            stored, guessed = venue.rules.instrument_at(entry.symbol, start)
            if stored is None:
                known = ", ".join(venue.rules.instruments) or "none"
                joined = "".join(filter(str.isalnum, entry.symbol.partition(":")[0])).upper()  # BTC/USDT:USDT, btc-usdt
                meant = f"did you mean {joined}? Else add" if joined in venue.rules.instruments else "add"
                self._say(
                    f"data[{at}].symbol",
                    f"the stored rules of {venue.rules.name} do not know {entry.symbol} (known: {known}); {meant} "
                    f'`instruments: {{{entry.symbol}: {{tick: "…", step: "…"}}}}`: the venue tells all of it with '
                    f"`data instruments {venue.rules.name} {entry.symbol}`",
                )
                continue
            if guessed and key not in instruments:
                self.warnings.append(
                    f"{entry.symbol}: the filters of {venue.rules.name} before the first recorded ones are a guess"
                )
            instruments[key] = instrument_of(venue, entry.symbol, stored)
        return instruments

    def _streams(self, venues: dict[str, VenuePlan], instruments: dict[Key, Instrument]) -> list[StreamPlan]:
        from adapters.sources import Source

        streams: list[StreamPlan] = []
        for at, entry in enumerate(self.config.data):
            source: Source | None = decode(entry.source, Source, self.problems)
            venue = venues.get(entry.venue or next(iter(venues), ""))
            if source is None or venue is None or (entry.kind == "bars" and entry.interval is None):
                continue
            interval = entry.interval or 0
            try:
                opened = source.open(
                    venue=venue.name,
                    symbol=entry.symbol,
                    kind=entry.kind,
                    interval_ns=interval,
                    seed=self.config.run.seed,
                    cache=cache_folder(self.config),
                )
            except AnyclockError as error:
                self._say(f"data[{at}].source", str(error))
                continue
            streams.append(StreamPlan((venue.name, entry.symbol), entry.kind, interval, opened))
        for key in instruments:
            kinds = {stream.kind for stream in streams if stream.key == key}
            if kinds and kinds <= UNTRADED:
                said = f"{key[1]} has {' and '.join(sorted(kinds))} alone, which nothing can be traded at"
                self._say("data", f"{said}: give it bars, trades, quotes or depth too")
        return streams

    def _strategies(self, venues: list[str]) -> None:
        """Import every strategy's module now: a name that is wrong is a config problem, not a surprise later."""
        from core.hosting.hearing import problems
        from core.hosting.loading import load_strategy

        kinds = self._kinds(venues)
        for at, entry in enumerate(self.config.strategies):
            try:
                load_strategy(entry.class_path, entry.params)
            except UsageError as error:
                self._say(f"strategies[{at}].class", str(error))
            if all(symbol in kinds for symbol in entry.symbols):  # one that is not is told already
                for key, message in problems(entry, {kinds[symbol][0]: kinds[symbol][1] for symbol in entry.symbols}):
                    self._say(f"strategies[{at}].{key}", message)

    def _kinds(self, venues: list[str]) -> dict[str, tuple[Key, set[str]]]:
        """What `data` has of each symbol, by every name that a strategy may use for it."""
        kinds: dict[Key, set[str]] = {}
        for entry in self.config.data:
            venue = entry.venue or (venues[0] if venues else "")
            kinds.setdefault((venue, entry.symbol), set()).add(entry.kind)
        bare = {key[1]: (key, found) for key, found in reversed(kinds.items())}
        return bare | {f"{key[0]}:{key[1]}": (key, found) for key, found in kinds.items()}

    def _check_money(self, venues: dict[str, VenuePlan], currency: str) -> None:
        if not any(balance > 0 for venue in venues.values() for balance in venue.balances.values()):
            self._say("account", f'the account is empty: give it `balances: {{{currency}: "10000"}}`')


def kinds_by_symbol(config: Config) -> dict[str, set[str]]:
    """Kinds of data a run asks for of each symbol, at whatever venue."""
    kinds: dict[str, set[str]] = {}
    for entry in config.data:
        kinds.setdefault(entry.symbol, set()).add(entry.kind)
    return kinds


def cache_folder(config: Config | None = None) -> Path:
    """Where fetched market data is kept: as the config says, else the environment, else beside the program's start."""
    chosen = config.run.cache if config is not None else None
    return Path(chosen or os.environ.get("ANYCLOCK_CACHE") or CACHE)


def market_data(root: Path) -> Any:
    """The desk of the cache below `root`: what there is, whether it is whole, and what brings more of it."""
    from adapters.kept.cache_desk import CacheDesk

    return CacheDesk(root)


def digest_of(config: Config) -> str:
    """sha256 of what a run does: where its files go, how they are written and what is told changes no id."""
    run = msgspec.structs.replace(config.run, results=RunSection(config.run.name).results, cache=None)
    plain = msgspec.structs.replace(config, run=run, report=ReportSection(), log=LogSection())
    return hashlib.sha256(f"{resolved_yaml(plain, {})}|{config.run.seed}".encode()).hexdigest()


def instrument_of(venue: VenuePlan, symbol: str, spec: Any) -> Instrument:
    """An `Instrument` from a spec of the config or a dated row of the venue's rules; fees by symbol, model, venue."""
    from sim.models import BARS_PRESET, choose

    model, stored = choose(venue.simulation, symbol, BARS_PRESET).fees, venue.rules.fees
    own, off = getattr(spec, "fees", None), stored.discount_on(model.pay_in)
    fees = model.schedule_of(symbol, spec.quote, stored, own, discount=off)
    return instrument_from(spec, venue=venue.name, symbol=symbol, kind=venue.rules.kind, fees=fees)


def band_plans(plan: Plan) -> dict[str, Plan]:
    """Three plans for one that asks for a band: each as an ordinary config of its own would be read.

    Their sources are those of `plan`, so whoever shares what these read shares it among all three. Raises UsageError
    where no one config can say what the pessimistic run assumes.
    """
    from sim.band import band_of

    kinds = {key: plan.kinds_of(key) for key in plan.instruments}
    band = band_of(next(iter(plan.venues.values())).simulation, kinds)
    made = {}
    for name, changes in band.items():
        simulation = to_plain(plan.config.simulation) or {}
        for path, model in changes.items():
            section = simulation
            for key in path[:-1]:
                section = section.setdefault(key, {})
            section[path[-1]] = to_plain(model)
        run = msgspec.structs.replace(plan.config.run, name=f"{plan.config.run.name[:NAME_MAX]}-{name}")
        config = msgspec.structs.replace(plan.config, run=run, fidelity=None)
        text = resolved_yaml(config, {"simulation": simulation} if simulation else {})
        member = read_plan(plan.config.file, text=text)
        made[name] = msgspec.structs.replace(member, streams=plan.streams)
    return made


# --- building -------------------------------------------------------------------------------------------------------


async def assemble(
    plan: Plan,
    *,
    mode: Literal["backtest", "paper"] = "backtest",
    journal_path: Path | Callable[[], Path] | None = None,
    progress: Progress | None = None,
    strategies: dict[str, Any] | None = None,
    time_source: Any = None,
) -> Any:
    """Load the tapes and build the parts of a run. Raises DataError, VenueError, UsageError before anything runs.

    `strategies` hands in finished strategy objects by name, in place of their `class`. `time_source` is paper mode's.
    A `journal_path` that is a function is asked once the data is loaded: a run that cannot start leaves no folder.
    """
    from core.account.told_brackets import told_brackets, with_brackets
    from core.market.coverage import check_grid, cover
    from core.run_parts import build

    if plan.config.fidelity == "band":
        raise UsageError(
            f"{plan.config.file} asks for a band, which is three engines: run it by the command line or by "
            "core.band.run_band, or leave `fidelity` out"
        )
    told = await told_brackets(plan)
    tapes = []
    for stream in plan.streams:
        tapes.append(await stream.source.load(_told(progress, stream.key[1])))
    history, played, start, end, warnings = cover(tapes, plan.config.run)
    check_grid(played, plan.instruments)
    _check_fees(plan, start)
    plan = with_brackets(msgspec.structs.replace(plan, warnings=[*plan.warnings, *warnings]), told, start)
    if mode == "backtest":
        from sim.outside import simulated_outside

        outside = simulated_outside(plan, played, history, start)
    else:
        from live.outside import taped_outside
        from sim.outside import own_books, pushed_venues, said

        venues = partial(pushed_venues, plan, played, history)
        outside = taped_outside(plan, played, start, time_source, venues, said(plan, played))
        outside = replace(outside, books=own_books(played, outside.feed_ns))
    path = journal_path() if callable(journal_path) else journal_path
    return build(plan, outside, played, history, start, end, journal_path=path, strategies=strategies or {})


def _check_fees(plan: Plan, start: int) -> None:
    """What only the data could tell: whether a rate is given for the run's first moment. Raises UsageError."""
    from sim.models import fee_problems

    for venue in plan.venues.values():
        for key, message in fee_problems(venue.simulation, venue.rules, start):
            raise UsageError(f"{plan.config.file}: simulation.{key}: {message}")


def tape_time(speed: float | None) -> Any:
    """Paper mode's time over a tape: `speed` times the real one; None jumps to the next due moment."""
    from live.time_source import JumpTime, ScaledTime

    return JumpTime() if speed is None else ScaledTime(speed)


def _told(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(f"loading {what}", done, total)


def check(config: str | Path, assignments: tuple[str, ...] = (), *, mode: Mode | None = None) -> list[str]:
    """Read everything, touch nothing: lines for people about what a run would do. Raises ConfigError."""
    from adapters.files import FileHistory

    plan = read_plan(config, assignments, mode=mode)
    files = [stream.source for stream in plan.streams if isinstance(stream.source, FileHistory)]
    absent = dict.fromkeys(path for source in files for path in source.absent())
    lines = [f"{config}: ok"]
    lines += [f"  {s.key[0]} {s.key[1]} {s.kind}" for s in plan.streams]
    lines += [f"  strategy {s.name}: {s.class_path} on {', '.join(s.symbols)}" for s in plan.config.strategies]
    lines += [f"  fidelity band: {', '.join(band_plans(plan))}"] if plan.config.fidelity == "band" else []
    lines += [f"  note: {warning}" for warning in plan.warnings]
    lines += [f"  note: {path}: there is no such file; a run needs it" for path in absent]
    return lines


def run_scenarios(paths: list[str], *, json: bool, out: Any, err: Any) -> int:
    """The `scenario` verb: run files and folders, print to `out` and `err`, return the exit code. Raises UsageError."""
    from functools import cache

    from adapters.venues import load_rules
    from sim.scenario import run_files
    from sim.scenarios.run import run_one
    from sim.scenarios.venue import read_models

    rules_of = cache(load_rules)
    return run_files(
        paths, json=json, out=out, err=err, run_one=lambda s: run_one(s, rules_of), read_models=read_models
    )
