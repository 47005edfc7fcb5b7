"""Strategies: calling them, reading their answers, and meeting their errors.

The user's object is used as it is: `generate_signals(market_data, position_state)`, plain or `async`. The host builds
what it sees, validates what it returns, and publishes signals. An error of the strategy becomes `StrategyFailed` and
meets the configured policy; nothing of a bad answer is sent.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from core.bar_aggregator import BarAggregator
from core.errors import StrategyError
from core.events import Bar, Event, KeyedEvent, PositionChanged, StrategyFailed, TimerFired
from core.market_view import MarketView, PositionState, SymbolView
from core.portfolio import Portfolio
from core.ports import Clock
from core.signals import BadSignal, read_answer
from core.strategy_fault import FAULTS, is_cancel_of_the_run, moment_of, place_of, text_of
from core.strategy_loading import check_strategy, load_strategy, warmup_of
from core.working import WorkingOrders

Input = Literal["view", "pandas", "dict"]

ANSWER_SECONDS = 30.0
"""Wall time an async strategy may take for one answer. A guess: longer than any sane await, shorter than patience."""
WISHES_MAXIMUM = 10_000
"""Wishes of one strategy at one moment. A guess: ten times a cancel-all over a thousand symbols, and few enough to come
before the bus's own maximum, which cannot tell whose events they are."""


class StrategySpec(msgspec.Struct, frozen=True):
    """How one strategy is to be run."""

    name: str
    symbols: dict[str, tuple[str, str]]
    """The names the strategy uses to (venue, symbol)."""
    input: Input = "view"
    window: int = 500
    """Closed bars shown at most."""
    warmup: int | None = None
    """Bars before the first call; None: the object's own `warmup`, else `window`."""
    interval_ns: int | None = None
    """`signal_interval`: bars the strategy sees; None: the data's own."""
    together: bool = False
    together_ns: int = 1_000_000_000
    session: str = "main"
    on_error: Literal["stop", "halt"] = "stop"
    currency: str = "USDT"


class HostedStrategy:
    """One strategy with everything it sees. Raises UsageError for an object that cannot be called as promised."""

    def __init__(self, strategy: Any, spec: StrategySpec, portfolio: Portfolio, working: WorkingOrders) -> None:
        check_strategy(strategy, spec.name)
        self.spec = spec
        self.object = strategy
        self.name = spec.name
        self.call = strategy.generate_signals
        self.is_async = inspect.iscoroutinefunction(self.call)
        self.on_event = getattr(strategy, "on_event", None)
        warmup = spec.warmup if spec.warmup is not None else warmup_of(strategy, spec.name)
        self.warmup = spec.window if warmup is None else warmup
        window = max(spec.window, self.warmup, 1)
        self.views = {name: SymbolView(name, window) for name in spec.symbols}
        self.names = {key: name for name, key in spec.symbols.items()}
        self.market = MarketView(self.views)
        self.states = PositionState.of_symbols(
            {name: (*key, spec.name) for name, key in spec.symbols.items()}, spec.currency, portfolio, working
        )
        self.first = next(iter(spec.symbols))
        self.state = self.states[self.first]
        self.aggregators = (
            {key: BarAggregator(spec.interval_ns) for key in self.names} if spec.interval_ns is not None else {}
        )
        self.seen = dict.fromkeys(self.names.values(), 0)
        self.started_at: int | None = None
        """When the warm-up was over and the first call was made."""
        self.calls = 0
        self.failed = False
        self.wished = (0, 0)
        """The moment of its newest wishes, and how many it had then."""
        self.waiting: set[str] = set()
        self.waits_for: int | None = None
        """Close of the interval whose bars are coming in (`call: together`)."""
        self.begun = 0
        """Close of the newest interval of which a bar has come."""
        self.timer: Any = None

        self.single = len(self.names) == 1
        self.is_simple = self.single and not self.is_async and not self.aggregators and spec.input == "view"

    def inputs(self, name: str) -> tuple[Any, Any]:
        """`market_data` and `position_state` in the form the strategy asked for."""
        if self.spec.input == "view":
            return self.market, self.states[name]
        form = SymbolView.frame if self.spec.input == "pandas" else SymbolView.plain
        if self.single:
            return form(self.views[name]), self.states[name].plain()
        return {n: form(v) for n, v in self.views.items()}, {n: s.plain() for n, s in self.states.items()}


class StrategyHost:
    """Hears bars and our own events, calls the strategies, publishes their signals."""

    def __init__(self, strategies: list[HostedStrategy], clock: Clock, publish: Callable[[Event], None]) -> None:
        self.strategies = strategies
        self._clock = clock
        self._publish = publish
        self._routes: dict[tuple[str, str], list[HostedStrategy]] = {}
        for hosted in strategies:
            for key in hosted.names:
                self._routes.setdefault(key, []).append(hosted)
        self._by_name = {hosted.name: hosted for hosted in strategies}
        self.needs_await = any(h.is_async for h in strategies)
        self.failure: StrategyError | None = None
        """The error that ends the run, once a strategy with `on_error: stop` failed."""
        self.signals = 0

    # --- warm-up ----------------------------------------------------------------------------------------------------

    def warm_up(self, bar: Bar) -> None:
        """A bar from before the start: it fills views, and nothing else happens."""
        for hosted in self._routes.get((bar.venue, bar.symbol), ()):
            for shown in self._shown(hosted, bar):
                self._append(hosted, shown)

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def bar_handler(self) -> Callable[[Bar], Any]:
        """What is to hear every `Bar` of the run: the shortest way that the strategies allow."""
        if self.needs_await:
            return self.on_bar_async
        if len(self._routes) == 1 and len(self.strategies) == 1 and self.strategies[0].is_simple:
            return self._simple_handler(self.strategies[0])
        return self.on_bar

    def on_bar(self, bar: Bar) -> None:
        """Show the bar, and call who is due (plain strategies)."""
        for hosted in self._routes.get((bar.venue, bar.symbol), ()):
            for inputs in self._calls(hosted, bar):
                try:
                    self._answer(hosted, bar.ts, hosted.call(*inputs))
                except FAULTS as error:
                    self._fail(hosted, "generate_signals", bar, error)

    def _simple_handler(self, hosted: HostedStrategy) -> Callable[[Bar], None]:
        """`on_bar` for one plain strategy that sees one symbol's own bars as a view: the same without the questions."""
        market, state, call = hosted.market, hosted.state, hosted.call
        view = hosted.views[hosted.first]
        push = view.push

        def on_bar(bar: Bar) -> None:
            if hosted.started_at is None:
                self.on_bar(bar)
                return
            market.bar = view.bar = bar
            push(bar)
            if hosted.failed:
                return
            hosted.calls += 1
            market.now = bar.ts
            try:
                answer = call(market, state)
                if answer is not None:
                    self._answer(hosted, bar.ts, answer)
            except FAULTS as error:
                self._fail(hosted, "generate_signals", bar, error)

        return on_bar

    async def on_bar_async(self, bar: Bar) -> None:
        """The same where at least one strategy is a coroutine function."""
        for hosted in self._routes.get((bar.venue, bar.symbol), ()):
            for inputs in self._calls(hosted, bar):
                await self._call_async(hosted, bar.ts, bar, inputs)

    async def on_timer(self, event: TimerFired) -> None:
        """`together_ms` are over: call without the symbols that did not come."""
        hosted = self._by_name.get(event.owner)
        if hosted is None or event.name != "together" or hosted.waits_for is None:
            return
        for inputs in self._without_missing(hosted, event.ts):
            await self._call_async(hosted, event.ts, event, inputs)

    def on_position(self, event: PositionChanged) -> None:
        """A strategy's own book changed: what it sees of it is refreshed."""
        hosted = self._by_name.get(event.strategy)
        if hosted is not None:
            hosted.states[hosted.names[event.venue, event.symbol]].refresh()

    @property
    def has_listeners(self) -> bool:
        """Whether any strategy has an `on_event`."""
        return any(hosted.on_event is not None for hosted in self.strategies)

    def on_own_event(self, event: KeyedEvent) -> None:
        """An order or account event of a strategy that has an `on_event`."""
        hosted = self._by_name.get(event.strategy)
        if hosted is not None and hosted.on_event is not None and not hosted.failed:
            try:
                name = hosted.names[event.venue, event.symbol]
                self._answer(hosted, event.ts, hosted.on_event(event), name)
            except FAULTS as error:
                self._fail(hosted, "on_event", event, error)

    def start(self, ts: int) -> None:
        """Call `on_start` where a strategy has one."""
        self._each("on_start", ts)

    def stop(self, ts: int) -> None:
        """Call `on_stop` where a strategy has one. What it answers is not sent: the run is over."""
        self._each("on_stop", ts)

    # --- calling ----------------------------------------------------------------------------------------------------

    def _shown(self, hosted: HostedStrategy, bar: Bar) -> list[Bar]:
        aggregators = hosted.aggregators
        return aggregators[bar.venue, bar.symbol].add(bar) if aggregators else [bar]

    @staticmethod
    def _append(hosted: HostedStrategy, bar: Bar) -> str:
        name = hosted.names[bar.venue, bar.symbol]
        view = hosted.views[name]
        view.bar = bar
        view.push(bar)
        hosted.seen[name] += 1
        return name

    def _calls(self, hosted: HostedStrategy, bar: Bar) -> Iterator[tuple[Any, Any]]:
        """Show the bar to the strategy; yields what it is to be called with because of it.

        Lazily: the call that an older interval still waits for comes before the strategy sees anything newer.
        """
        shown = self._shown(hosted, bar) if hosted.aggregators else (bar,)
        if hosted.waits_for is not None and shown and shown[-1].ts_venue > hosted.waits_for:
            yield from self._without_missing(hosted, bar.ts)
        if self._is_due(hosted, shown):
            yield self._inputs(hosted, bar)

    def _without_missing(self, hosted: HostedStrategy, ts: int) -> Iterator[tuple[Any, Any]]:
        """The interval that waits is called without the symbols that did not come."""
        hosted.market.missing = tuple(n for n in hosted.spec.symbols if n not in hosted.waiting)
        self._end_waiting(hosted)
        if not hosted.failed and self._is_warm(hosted):
            yield self._shown_inputs(hosted, hosted.first, ts)

    def _is_due(self, hosted: HostedStrategy, bars: Sequence[Bar]) -> bool:
        """Show the bars to the strategy; True where that is a reason to call it now."""
        for shown in bars:
            name = self._append(hosted, shown)
        if not bars or hosted.failed:
            return False
        # Who has come is noted in the warm-up too: its last interval may be half in when the last symbol gets warm.
        if hosted.spec.together and not hosted.single and not self._all_in(hosted, name, shown):
            return False
        return hosted.started_at is not None or self._is_warm(hosted)

    def _is_warm(self, hosted: HostedStrategy) -> bool:
        return min(hosted.seen.values()) >= hosted.warmup

    def _all_in(self, hosted: HostedStrategy, name: str, bar: Bar) -> bool:
        """`call: together`: True when every symbol's bar of this interval is in."""
        if bar.ts_venue < hosted.begun or (bar.ts_venue == hosted.begun and hosted.waits_for is None):
            return False  # its interval was called without it: one call per interval
        if hosted.waits_for is None:
            hosted.waits_for = hosted.begun = bar.ts_venue
            event = TimerFired(bar.ts + hosted.spec.together_ns, "together", hosted.name)
            hosted.timer = self._clock.call_at(event.ts, event)
        hosted.waiting.add(name)
        if len(hosted.waiting) < len(hosted.spec.symbols):
            return False
        self._end_waiting(hosted)
        hosted.market.missing = ()
        return True

    def _end_waiting(self, hosted: HostedStrategy) -> None:
        hosted.waiting.clear()
        hosted.waits_for = None
        if hosted.timer is not None:
            self._clock.cancel(hosted.timer)
            hosted.timer = None

    def _inputs(self, hosted: HostedStrategy, bar: Bar) -> tuple[Any, Any]:
        name = hosted.first if hosted.spec.together else hosted.names[bar.venue, bar.symbol]
        return self._shown_inputs(hosted, name, bar.ts)

    @staticmethod
    def _shown_inputs(hosted: HostedStrategy, name: str, ts: int) -> tuple[Any, Any]:
        hosted.calls += 1
        if hosted.started_at is None:
            hosted.started_at = ts
        market = hosted.market
        market.now = ts
        if hosted.spec.input == "view":
            view = hosted.views[name]
            if hosted.single:
                market.bar = view.bar
            else:
                market.show(view)
            return market, hosted.states[name]
        return hosted.inputs(name)

    async def _call_async(self, hosted: HostedStrategy, ts: int, event: Event, inputs: tuple[Any, Any]) -> None:
        try:
            answer = hosted.call(*inputs)
            self._answer(hosted, ts, await _in_time(answer) if hosted.is_async else answer)
        except FAULTS as error:
            if is_cancel_of_the_run(error):
                raise
            self._fail(hosted, "generate_signals", event, error)

    def _answer(self, hosted: HostedStrategy, ts: int, answer: Any, symbol: str | None = None) -> None:
        """Publish an answer's signals. `symbol` is meant where it names none; None: the symbol of the call."""
        if answer is None:
            return
        default = (symbol or hosted.market.symbol) if not hosted.spec.together or hosted.single else None
        signals = read_answer(answer, hosted.spec.symbols, default, ts=ts, strategy=hosted.name)
        at, before = hosted.wished
        count = len(signals) + (before if at == ts else 0)
        hosted.wished = (ts, count)
        if count > WISHES_MAXIMUM:
            raise BadSignal(
                f"{count:,} wishes at one moment, at most {WISHES_MAXIMUM:,} are taken: where it answers its own order "
                "events, each answer makes the next event; let it wait for the next bar"
            )
        for signal in signals:
            self.signals += 1
            self._publish(signal)

    def _each(self, method: str, ts: int) -> None:
        for hosted in self.strategies:
            if hosted.failed:
                continue
            try:
                function = getattr(hosted.object, method, None)
                answer = None if function is None else function()
                if method == "on_start":
                    self._answer(hosted, ts, answer)
            except FAULTS as error:
                self._fail(hosted, method, None, error)

    # --- failing ----------------------------------------------------------------------------------------------------

    def _fail(self, hosted: HostedStrategy, method: str, event: Event | None, error: BaseException) -> None:
        what = text_of(error)
        where = place_of(error, hosted.object, method)
        hosted.failed = True
        ts = event.ts if event is not None else self._clock.now()
        if hosted.spec.on_error == "stop":
            self.failure = StrategyError(hosted.name, method, moment_of(event, hosted.calls), where, what)
            self.failure.__cause__ = error
        self._publish(StrategyFailed(ts, hosted.name, method, where, what))

    def fail_if_stopped(self, event: StrategyFailed) -> None:
        """Last to hear StrategyFailed: ends the run where the policy says so."""
        if self.failure is not None:
            raise self.failure


async def _in_time(answer: Awaitable[Any]) -> Any:
    """What an async strategy answers. Raises TimeoutError where it does not."""
    deadline = asyncio.timeout(ANSWER_SECONDS)
    try:
        async with deadline:
            return await answer
    except TimeoutError as error:
        if not deadline.expired():
            raise  # its own
        raise TimeoutError(
            f"no answer for {ANSWER_SECONDS:g} s: nothing else happens while an async strategy is awaited, so it must "
            "not wait for what comes later"
        ) from error


__all__ = ["HostedStrategy", "StrategyHost", "StrategySpec", "load_strategy"]
