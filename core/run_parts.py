"""The inside of a run, wired: what every mode has in common. Subscriptions here are the order of the house:

journal, orders, portfolio, what a report remembers, strategies. State first, opinion last.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from core.account.known_fees import KnownFees
from core.account.margin_needs import AccountMargin, VenueTerms
from core.bus import Bus, Handler
from core.commands import (
    COMMANDS,
    AmendOrder,
    CancelOrder,
    ProposeAmend,
    ProposeCancel,
    ProposeOrder,
    SubmitOrder,
)
from core.config import RiskSection, StrategySection
from core.engine import HOST, EngineParts
from core.equity_recorder import EquityRecorder
from core.errors import DataError, UsageError
from core.events import (
    ACCOUNT_EVENTS,
    ORDER_EVENTS,
    Bar,
    Event,
    FundingPaid,
    OrderAccepted,
    OrderAmended,
    OrderFilled,
    OrderTriggered,
    PositionChanged,
    PositionLiquidated,
    QuoteTick,
    RunEnded,
    RunStarted,
    Signal,
    StrategyFailed,
    TimerFired,
    TradeTick,
    TradingHalted,
    TradingResumed,
)
from core.execution import KEPT_EVENTS, ExecutionEngine
from core.hosting.hearing import hearings
from core.hosting.hosted_strategy import HostedStrategy, StrategySpec
from core.hosting.loading import load_strategy
from core.hosting.warm_up import past_events
from core.ids import CountedIds
from core.journal import Journal
from core.market.price_series import Prices
from core.market.tape_events import KIND_OF
from core.moments import MINUTE_NS
from core.outside import Outside
from core.plan import Key, Plan
from core.portfolio import Portfolio
from core.ports import Clock
from core.recording import Recording
from core.risk import Limits, RiskEngine
from core.strategy_host import EVENTS, StrategyHost
from core.tape import Rows
from core.working import WorkingOrders


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
    fees: KnownFees
    recorder: EquityRecorder
    recording: Recording
    host: StrategyHost
    prices: Prices
    heard_kinds: list[str]
    """Kinds of streams that become events in this run."""
    tapes: list[Rows]
    start: int
    end: int
    initial_equity: Decimal


def build(
    plan: Plan,
    outside: Outside,
    tapes: list[Rows],
    history: list[Rows | None],
    start: int,
    end: int,
    *,
    journal_path: Path | None,
    strategies: dict[str, Any],
) -> EngineParts:
    """Make the inside and subscribe everybody, in the order of the house."""
    config = plan.config
    bus = Bus()
    portfolio = _portfolio(plan, bus)
    working = WorkingOrders()
    fees = KnownFees(plan.instruments, outside.clock)
    margin = _margin(plan, portfolio, working, fees, start)
    hosted = [_hosted(plan, entry, strategies, portfolio, working, margin) for entry in config.strategies]
    heard = _heard(plan, hosted)
    prices = Prices(tapes, heard, portfolio.marks, outside.feed_ns)
    _mark_deposits(plan, portfolio, prices)
    risk = _risk(plan, bus, portfolio, working, margin)
    execution = _execution(plan, bus, portfolio, working, outside.clock)
    tops = [prices.on_top, execution.on_price]
    if config.risk.max_drawdown is not None:
        tops.append(risk.drawdown.on_price)
    host = StrategyHost(hosted, outside.clock, bus.publish, books=outside.books, unheard=prices.unheard, on_top=tops)
    recorder = _recorder(plan, outside, tapes, portfolio, prices, start)
    parts = RunParts(
        plan=plan,
        bus=bus,
        clock=outside.clock,
        outside=outside,
        journal=_journal(plan, outside.clock, tapes, portfolio, working, execution, journal_path),
        working=working,
        execution=execution,
        risk=risk,
        portfolio=portfolio,
        fees=fees,
        recorder=recorder,
        recording=Recording(working),
        host=host,
        prices=prices,
        heard_kinds=[kind for kind in EVENTS if any(stream[2] == kind for stream in heard)],
        tapes=tapes,
        start=start,
        end=end,
        initial_equity=portfolio.cash(plan.currency) + recorder.deposited,
    )
    _subscribe(parts)
    for stream in heard:
        outside.subscribe(*stream)
    _warm_up(parts, history)
    return EngineParts(
        name=config.run.name,
        bus=bus,
        inbox=outside.inbox,
        clock=outside.clock,
        host=host,
        symbols=plan.names,
        hear=partial(_hear, parts),
        run=parts,
        tasks=outside.tasks,
        endings=[parts.journal.close],
    )


def _portfolio(plan: Plan, bus: Bus) -> Portfolio:
    balances = {(v.name, asset): total for v in plan.venues.values() for asset, total in v.balances.items()}
    valued = {key: price.symbol for key, price in plan.prices.items() if price.symbol is not None}
    return Portfolio(plan.instruments, balances, bus.publish, plan.rates, valued)


def _journal(
    plan: Plan,
    clock: Clock,
    tapes: list[Rows],
    portfolio: Portfolio,
    working: WorkingOrders,
    execution: ExecutionEngine,
    path: Path | None,
) -> Journal:
    return Journal(
        path,
        counted=(*ORDER_EVENTS, *ACCOUNT_EVENTS),
        head=_head(plan, tapes),
        snapshot=lambda: {"ts": clock.now(), **portfolio.snapshot(), **working.snapshot(), **execution.snapshot()},
    )


def _margin(plan: Plan, portfolio: Portfolio, working: WorkingOrders, fees: KnownFees, start: int) -> AccountMargin:
    account = plan.config.account
    venues = {}
    for name, venue in plan.venues.items():
        linear = [key for key in plan.instruments if key[0] == name and venue.rules.kind == "linear"]
        venues[name] = VenueTerms.of(
            venue.rules,
            leverage=venue.leverage,
            tiers={key[1]: plan.tiers(key, start) for key in linear},
            cross=account.margin_mode == "cross",
            hedged=account.position_mode == "hedge",
            at_entry=plan.maintenance_at_entry(name),
            collateral=plan.collateral(name, start),
            prices=plan.prices_at(name),
        )
    return AccountMargin(portfolio, working, plan.instruments, venues, fees.taker)


def _recorder(
    plan: Plan, outside: Outside, tapes: list[Rows], portfolio: Portfolio, prices: Prices, start: int
) -> EquityRecorder:
    longest = max([MINUTE_NS, *(tape.interval_ns for tape in tapes if tape.kind == "bars")])
    return EquityRecorder(
        portfolio,
        plan.instruments,
        prices.series,
        outside.feed_ns,
        currency=plan.currency,
        interval_ns=plan.config.report.equity_interval or longest,
        start=start,
        sides=("long", "short") if plan.config.account.position_mode == "hedge" else ("net",),
    )


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
        rules={v.name: v.rules for v in plan.venues.values()},
        shared=_shared(plan),
    )


def _shared(plan: Plan) -> frozenset[Key]:
    """Markets in which several strategies trade."""
    traded = Counter(key for entry in plan.config.strategies for key in {plan.names[name] for name in entry.symbols})
    return frozenset(key for key, strategies in traded.items() if strategies > 1)


def _risk(plan: Plan, bus: Bus, portfolio: Portfolio, working: WorkingOrders, margin: AccountMargin) -> RiskEngine:
    return RiskEngine(
        account=_limits(plan.config.risk),
        strategies={HOST: Limits()} | {s.name: _limits(s.risk) for s in plan.config.strategies},
        portfolio=portfolio,
        working=working,
        currency=plan.currency,
        publish=bus.publish,
        margin=margin,
    )


def _mark_deposits(plan: Plan, portfolio: Portfolio, prices: Prices) -> None:
    """Assets that have a symbol's price are worth something before its first close: the first open is their price."""
    valuing = {(venue, instrument.symbol) for (venue, _), instrument in portfolio.valued.items()}
    for key, instrument in plan.instruments.items():
        first = prices.first(key) if instrument.kind == "spot" or key in valuing else None
        if first is not None and portfolio.deposits.get((key[0], instrument.base)):
            portfolio.marks.setdefault(key, first)
    for (venue, asset), instrument in portfolio.valued.items():
        market = (venue, instrument.symbol)
        if instrument.kind == "linear" and portfolio.deposits.get((venue, asset)) and market not in portfolio.marks:
            raise DataError(
                f"what {asset} is worth is said by {instrument.symbol}, of which the run has no bars, trades or "
                f'quotes: give it some, or `account.prices: {{{asset}: "…"}}`'
            )


def _subscribe(parts: RunParts) -> None:
    bus, journal, host = parts.bus, parts.journal, parts.host
    system = (TimerFired, StrategyFailed, TradingHalted, TradingResumed, RunStarted, RunEnded)
    bus.subscribe((*ORDER_EVENTS, *ACCOUNT_EVENTS, SubmitOrder), journal.collect)
    bus.subscribe((Signal, CancelOrder, AmendOrder, *system), journal.on_batch)
    bus.subscribe(Signal, parts.execution.on_signal)
    bus.subscribe(ORDER_EVENTS, parts.working.on_event)
    bus.subscribe(TimerFired, parts.execution.on_timer)
    bus.subscribe(ProposeOrder, parts.risk.on_order)
    bus.subscribe(ProposeCancel, parts.risk.on_cancel)
    bus.subscribe(ProposeAmend, parts.risk.on_amend)
    bus.subscribe(COMMANDS, parts.outside.on_command)
    only_kind = parts.heard_kinds[0] if len(parts.heard_kinds) == 1 else ""
    of_one = only_kind in ("bars", "trades") and len(parts.plan.instruments) == 1
    bus.subscribe(Bar, parts.portfolio.keep_newest if of_one else parts.portfolio.on_bar)
    if "trades" in parts.heard_kinds:
        bus.subscribe(TradeTick, parts.portfolio.keep_newest if of_one else parts.prices.on_trade)
    if "quotes" in parts.heard_kinds:
        bus.subscribe(QuoteTick, parts.prices.on_quote)
    bus.subscribe(OrderFilled, parts.portfolio.on_fill)
    if parts.fees.by_volume:
        bus.subscribe(OrderFilled, parts.fees.on_fill)
    # After the portfolio: reduce-only orders are cut to what is left of the new position.
    parts.execution.hear(
        bus.subscribe(OrderFilled, parts.execution.on_fill),
        bus.subscribe(KEPT_EVENTS, parts.execution.on_order_event),
        bus.subscribe([EVENTS[kind] for kind in parts.heard_kinds if kind != "depth"], parts.execution.on_price),
    )
    bus.subscribe(FundingPaid, parts.portfolio.on_funding)
    bus.subscribe(PositionLiquidated, parts.portfolio.on_liquidation)
    if parts.plan.config.risk.max_drawdown is not None:
        priced = [EVENTS[kind] for kind in parts.heard_kinds if kind != "depth"]
        drawdown = parts.risk.drawdown
        of_kind: dict[str, Handler] = {"bars": drawdown.on_bar, "trades": drawdown.on_trade}
        drawdown.hear(bus.subscribe(priced, of_kind.get(only_kind, drawdown.on_price)))
        bus.subscribe((OrderFilled, FundingPaid, PositionLiquidated), drawdown.on_change)
    bus.subscribe((OrderFilled, FundingPaid, PositionLiquidated), parts.recorder.on_change)
    bus.subscribe(OrderFilled, parts.recording.on_fill)
    parts.recording.hear(bus.subscribe((OrderAccepted, OrderAmended, OrderTriggered), parts.recording.on_placed))
    bus.subscribe((FundingPaid, PositionLiquidated), parts.recording.on_account_event)
    for kind in parts.heard_kinds:
        markets = {stream.key for stream in parts.plan.streams if stream.kind == kind}
        bus.subscribe(EVENTS[kind], host.handler_of(EVENTS[kind], of_one=len(markets) == 1))
    bus.subscribe(PositionChanged, host.on_position)
    if host.has_listeners:
        bus.subscribe((*ORDER_EVENTS, *ACCOUNT_EVENTS), host.on_own_event)
    bus.subscribe(TimerFired, host.timer_handler())
    bus.subscribe(StrategyFailed, parts.risk.on_strategy_failed)
    bus.subscribe(StrategyFailed, parts.execution.on_strategy_failed)
    bus.subscribe(StrategyFailed, host.fail_if_stopped)


def _heard(plan: Plan, strategies: list[HostedStrategy]) -> list[tuple[str, str, str]]:
    """Streams that become events: what a strategy hears, and bars, which tell prices at little cost."""
    wanted = {(*key, kind) for hosted in strategies for key, one in hosted.hearing.items() for kind in one.streams}
    return [(*s.key, s.kind) for s in plan.streams if s.kind == "bars" or (*s.key, s.kind) in wanted]


def _hear(parts: RunParts, event: type[Event]) -> None:
    """Subscribe every stream of the run whose rows are events of this type; of all other events there is no stream."""
    kind = KIND_OF.get(event)
    streams = [stream for stream in parts.plan.streams if stream.kind == kind]
    if kind is not None and not streams:
        raise UsageError(f"no entry of `data` has {kind}: there will be no {event.__name__}")
    for stream in streams:
        parts.outside.subscribe(*stream.key, stream.kind)


def _warm_up(parts: RunParts, history: list[Rows | None]) -> None:
    """Fill the strategies' views with what came before the run."""
    for tape in history:
        if tape is None:
            continue
        for event in past_events(tape, parts.host.strategies):
            parts.host.warm_up(event)


def _hosted(
    plan: Plan,
    entry: StrategySection,
    strategies: dict[str, Any],
    portfolio: Portfolio,
    working: WorkingOrders,
    margin: AccountMargin,
) -> HostedStrategy:
    symbols: dict[str, Key] = {name: plan.names[name] for name in entry.symbols}
    heard = hearings(entry, {key: plan.kinds_of(key) for key in symbols.values()})
    spec = StrategySpec(
        name=entry.name,
        symbols=symbols,
        input=entry.input,
        window=entry.window,
        warmup=entry.warmup,
        interval_ns=entry.signal_interval,
        hearing={name: heard.by_symbol[key] for name, key in symbols.items()},
        timer_ns=entry.timer,
        together=heard.together,
        together_ns=entry.together_ms * 1_000_000,
        session=entry.session,
        on_error=entry.on_error,
        currency=plan.currency,
    )
    given = strategies.get(entry.name)
    if given is not None and not callable(getattr(given, "generate_signals", None)):
        raise UsageError(f"strategy {entry.name}: the object handed in has no generate_signals")
    made = given if given is not None else load_strategy(entry.class_path, entry.params)
    return HostedStrategy(made, spec, portfolio, working, margin)


def _limits(section: RiskSection | None) -> Limits:
    if section is None:
        return Limits()
    return Limits(**{name: getattr(section, name) for name in Limits.__struct_fields__})


def _head(plan: Plan, tapes: list[Rows]) -> dict[str, Any]:
    return {
        "run": plan.config.run.name,
        "seed": plan.config.run.seed,
        "config_sha256": plan.digest,
        "tapes": {f"{tape.venue}/{tape.symbol}/{tape.kind}": tape.tape_id for tape in tapes},
    }
