"""The inside of a run, wired: what every mode has in common. Subscriptions here are the order of the house:

journal, orders, portfolio, what a report remembers, strategies. State first, opinion last.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.bus import Bus
from core.commands import COMMANDS, ProposeAmend, ProposeCancel, ProposeOrder
from core.engine import HOST, EngineParts
from core.equity_recorder import EquityRecorder
from core.errors import UsageError
from core.events import (
    ACCOUNT_EVENTS,
    ORDER_EVENTS,
    Bar,
    FundingPaid,
    OrderAccepted,
    OrderFilled,
    PositionChanged,
    PositionLiquidated,
    RunEnded,
    RunStarted,
    Signal,
    StrategyFailed,
    TimerFired,
    TradingHalted,
    TradingResumed,
)
from core.execution import ExecutionEngine
from core.ids import CountedIds
from core.journal import Journal
from core.outside import Outside
from core.plan import Key, Plan
from core.portfolio import Portfolio
from core.ports import Clock
from core.recording import Recording
from core.risk import Limits, RiskEngine
from core.strategy_host import HostedStrategy, StrategyHost, StrategySpec, load_strategy
from core.tape import Tape
from core.working import WorkingOrders

MINUTE_NS = 60_000_000_000
MS_NS = 1_000_000


@dataclass(frozen=True)
class RunParts:
    """Every part of a run that a report or a test may want to look at."""

    plan: Plan
    bus: Bus
    clock: Clock
    outside: Outside
    journal: Journal
    working: WorkingOrders
    execution: ExecutionEngine
    risk: RiskEngine
    portfolio: Portfolio
    recorder: EquityRecorder
    recording: Recording
    host: StrategyHost
    tapes: list[Tape]
    start: int
    end: int
    initial_equity: Decimal


def build(
    plan: Plan,
    outside: Outside,
    tapes: list[Tape],
    history: list[Tape | None],
    start: int,
    end: int,
    *,
    journal_path: Path | None,
    strategies: dict[str, Any],
) -> EngineParts:
    """Make the inside and subscribe everybody, in the order of the house."""
    config = plan.config
    bus = Bus()
    portfolio = _portfolio(plan, bus, tapes)
    working = WorkingOrders()
    hosted = [_host(plan, entry, strategies, portfolio, working) for entry in config.strategies]
    host = StrategyHost(hosted, outside.clock, bus.publish)
    recorder = EquityRecorder(
        portfolio,
        plan.instruments,
        {(tape.venue, tape.symbol): tape for tape in tapes},
        outside.feed_ns,
        currency=plan.currency,
        interval_ns=config.report.equity_interval or max([MINUTE_NS, *(tape.interval_ns for tape in tapes)]),
        start=start,
    )
    parts = RunParts(
        plan,
        bus,
        outside.clock,
        outside,
        Journal(
            journal_path,
            counted=(*ORDER_EVENTS, *ACCOUNT_EVENTS),
            head=_head(plan, tapes),
            snapshot=lambda: {"ts": outside.clock.now(), **portfolio.snapshot(), **working.snapshot()},
        ),
        working,
        _execution(plan, bus, portfolio, working, outside.clock),
        _risk(plan, bus, portfolio, working),
        portfolio,
        recorder,
        Recording(working),
        host,
        tapes,
        start,
        end,
        portfolio.cash(plan.currency) + recorder.deposited,
    )
    _subscribe(parts)
    _streams(parts, history)
    endings = [parts.journal.close]
    return EngineParts(
        config.run.name, bus, outside.inbox, outside.clock, host, plan.names, outside.tasks, endings, parts
    )


def _portfolio(plan: Plan, bus: Bus, tapes: list[Tape]) -> Portfolio:
    balances = {(v.name, asset): total for v in plan.venues.values() for asset, total in v.balances.items()}
    leverage = {k: plan.venues[k[0]].leverage.get(k[1], plan.venues[k[0]].leverage.get("")) for k in plan.instruments}
    portfolio = Portfolio(
        plan.instruments, balances, bus.publish, leverage={k: v for k, v in leverage.items() if v is not None}
    )
    _mark_deposits(plan, portfolio, tapes)
    return portfolio


def _execution(plan: Plan, bus: Bus, portfolio: Portfolio, working: WorkingOrders, clock: Clock) -> ExecutionEngine:
    strategies = plan.config.strategies
    return ExecutionEngine(
        instruments=plan.instruments,
        portfolio=portfolio,
        working=working,
        ids=CountedIds(plan.digest[:8]),
        publish=bus.publish,
        clock=clock,
        sessions={s.name: s.session for s in strategies},
        capital={s.name: s.capital for s in strategies if s.capital is not None},
        # Whose good-till-date orders the venue keeps itself, and how far ahead their date must lie.
        native_gtd={v.name: v.rules.gtd_ahead_ms * MS_NS for v in plan.venues.values() if v.rules.gtd},
    )


def _risk(plan: Plan, bus: Bus, portfolio: Portfolio, working: WorkingOrders) -> RiskEngine:
    return RiskEngine(
        account=_limits(plan.config.risk),
        strategies={HOST: Limits()} | {s.name: _limits(s.risk) for s in plan.config.strategies},
        portfolio=portfolio,
        working=working,
        currency=plan.currency,
        publish=bus.publish,
    )


def _mark_deposits(plan: Plan, portfolio: Portfolio, tapes: list[Tape]) -> None:
    """Base assets held at the start are worth something before the first close: the first open is their price."""
    for tape in tapes:
        instrument = plan.instruments[tape.venue, tape.symbol]
        if instrument.kind == "spot" and tape.kind == "bars" and portfolio.deposits.get((tape.venue, instrument.base)):
            portfolio.marks.setdefault((tape.venue, tape.symbol), float(tape.floats("open", 0, 1)[0]))


def _subscribe(parts: RunParts) -> None:
    bus, journal, host = parts.bus, parts.journal, parts.host
    system = (TimerFired, StrategyFailed, TradingHalted, TradingResumed, RunStarted, RunEnded)
    bus.subscribe((*ORDER_EVENTS, *ACCOUNT_EVENTS), journal.collect)
    bus.subscribe((Signal, *COMMANDS, *system), journal.on_batch)
    bus.subscribe(Signal, parts.execution.on_signal)
    bus.subscribe(ORDER_EVENTS, parts.working.on_event)
    bus.subscribe(TimerFired, parts.execution.on_timer)
    bus.subscribe(ProposeOrder, parts.risk.on_order)
    bus.subscribe(ProposeCancel, parts.risk.on_cancel)
    bus.subscribe(ProposeAmend, parts.risk.on_amend)
    bus.subscribe(COMMANDS, parts.outside.on_command)
    bus.subscribe(Bar, parts.portfolio.on_bar)
    bus.subscribe(OrderFilled, parts.portfolio.on_fill)
    # Knows the new position: reduce-only orders are cut to what is left of it.
    bus.subscribe(OrderFilled, parts.execution.on_fill)
    bus.subscribe(FundingPaid, parts.portfolio.on_funding)
    if parts.plan.config.risk.max_drawdown is not None:
        parts.risk.hear(bus.subscribe(Bar, parts.risk.on_bar))
        bus.subscribe((OrderFilled, FundingPaid, PositionLiquidated), parts.risk.on_fill)
    bus.subscribe((OrderFilled, FundingPaid, PositionLiquidated), parts.recorder.on_change)
    bus.subscribe(OrderFilled, parts.recording.on_fill)
    bus.subscribe(OrderAccepted, parts.recording.on_accepted)
    bus.subscribe((FundingPaid, PositionLiquidated), parts.recording.on_account_event)
    bus.subscribe(Bar, host.bar_handler())
    bus.subscribe(PositionChanged, host.on_position)
    if host.has_listeners:
        bus.subscribe((*ORDER_EVENTS, *ACCOUNT_EVENTS), host.on_own_event)
    bus.subscribe(TimerFired, host.on_timer)
    bus.subscribe(StrategyFailed, parts.risk.on_strategy_failed)
    bus.subscribe(StrategyFailed, parts.execution.on_strategy_failed)
    bus.subscribe(StrategyFailed, host.fail_if_stopped)


def _streams(parts: RunParts, history: list[Tape | None]) -> None:
    """Subscribe to what the strategies trade, and fill their views with what came before."""
    for stream in parts.plan.streams:
        parts.outside.subscribe(*stream.key, stream.kind)
    for tape in history:
        if tape is not None:
            # One large bar more than asked for: the first may be cut by where the history begins.
            large = {h: max(1, (h.spec.interval_ns or 0) // tape.interval_ns) for h in parts.host.strategies}
            needed = max(h.warmup * size + size - 1 for h, size in large.items())
            for bar in tail_bars(tape, needed):
                parts.host.warm_up(bar)


def tail_bars(tape: Tape, count: int) -> list[Bar]:
    """The last `count` bars of a tape, as events."""
    first = max(0, len(tape) - count)
    columns = [tape.floats(name, first).tolist() for name in ("open", "high", "low", "close", "volume")]
    times = tape.columns["ts"][first:].tolist(), tape.columns["ts_venue"][first:].tolist()
    return [
        Bar(ts, at, tape.venue, tape.symbol, tape.interval_ns, *values)
        for ts, at, *values in zip(*times, *columns, strict=True)
    ]


def _host(
    plan: Plan, entry: Any, strategies: dict[str, Any], portfolio: Portfolio, working: WorkingOrders
) -> HostedStrategy:
    symbols: dict[str, Key] = {name: plan.names[name] for name in entry.symbols}
    together = entry.call == "together" or (entry.call is None and len(symbols) > 1)
    spec = StrategySpec(
        name=entry.name,
        symbols=symbols,
        input=entry.input,
        window=entry.window,
        warmup=entry.warmup,
        interval_ns=entry.signal_interval,
        together=together,
        together_ns=entry.together_ms * 1_000_000,
        session=entry.session,
        on_error=entry.on_error,
        currency=plan.currency,
    )
    given = strategies.get(entry.name)
    if given is not None and not callable(getattr(given, "generate_signals", None)):
        raise UsageError(f"strategy {entry.name}: the object handed in has no generate_signals")
    made = given if given is not None else load_strategy(entry.class_path, entry.params)
    return HostedStrategy(made, spec, portfolio, working)


def _limits(section: Any) -> Limits:
    if section is None:
        return Limits()
    return Limits(**{name: getattr(section, name) for name in Limits.__struct_fields__})


def _head(plan: Plan, tapes: list[Tape]) -> dict[str, Any]:
    return {
        "run": plan.config.run.name,
        "seed": plan.config.run.seed,
        "config_sha256": plan.digest,
        "tapes": {f"{tape.venue}/{tape.symbol}/{tape.kind}": tape.tape_id for tape in tapes},
    }
