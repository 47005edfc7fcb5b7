"""Strategies: calling them, reading their answers, and meeting their errors.

The user's object is used as it is: `generate_signals(market_data, position_state)`, plain or `async`. The host builds
what it sees, validates what it returns, and publishes signals. An error of the strategy becomes `StrategyFailed` and
meets the configured policy; nothing of a bad answer is sent.

A strategy is called by what it hears (bars, trades, quotes, book updates), or by its timer and by nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any

from core.errors import StrategyError
from core.events import (
    Bar,
    BookUpdate,
    Event,
    KeyedEvent,
    MarketEvent,
    PositionChanged,
    QuoteTick,
    StrategyFailed,
    TimerFired,
    TradeTick,
)
from core.hosting.book_window import opener
from core.hosting.fault import FAULTS, is_cancel_of_the_run, moment_of, place_of, text_of
from core.hosting.hosted_strategy import HostedStrategy
from core.hosting.signals import BadSignal, read_answer
from core.ports import BookProvider, Clock

ANSWER_SECONDS = 30.0
"""Wall time an async strategy may take for one answer. A guess: longer than any sane await, shorter than patience."""
WISHES_MAXIMUM = 10_000
"""Wishes of one strategy at one moment. A guess: ten times a cancel-all over a thousand symbols, and few enough to come
before the bus's own maximum, which cannot tell whose events they are."""
EVENTS: dict[str, type[MarketEvent]] = {"bars": Bar, "trades": TradeTick, "quotes": QuoteTick, "depth": BookUpdate}
"""What a stream consists of, for those that a strategy may hear."""
Key = tuple[str, str]


class StrategyHost:
    """Hears market data, timers and our own events, calls the strategies, publishes their signals."""

    def __init__(
        self,
        strategies: list[HostedStrategy],
        clock: Clock,
        publish: Callable[[Event], None],
        *,
        books: BookProvider | None = None,
        unheard: Collection[Key] = (),
        on_top: Sequence[Callable[[QuoteTick], None]] = (),
    ) -> None:
        """`books` are our books, where there are any.

        `unheard` are symbols whose price comes with no event: before a timer's call the top of their book is handed to
        each of `on_top`, so that everybody knows the price that the strategy decides on.
        """
        self.strategies = strategies
        self._clock = clock
        self._publish = publish
        self._unheard = unheard
        self._on_top = on_top
        self._routes: dict[tuple[type[MarketEvent], str, str], list[HostedStrategy]] = {}
        for hosted in strategies:
            for key, hearing in hosted.hearing.items():
                for kind in hearing.streams:
                    self._routes.setdefault((EVENTS[kind], *key), []).append(hosted)
            for name, view in hosted.views.items():
                if books is not None:
                    view.look_into(opener(books, hosted.spec.symbols[name], name, clock.now))
        self._by_name = {hosted.name: hosted for hosted in strategies}
        self._states = {(h.name, *key): h.states[name] for h in strategies for key, name in h.names.items()}
        """What each strategy sees of itself, by its name and (venue, symbol)."""
        self.needs_await = any(h.is_async for h in strategies)
        self.failure: StrategyError | None = None
        """The error that ends the run, once a strategy with `on_error: stop` failed."""
        self.signals = 0

    # --- warm-up ----------------------------------------------------------------------------------------------------

    def warm_up(self, event: MarketEvent) -> None:
        """An event from before the start: it fills views, and nothing else happens."""
        for hosted in self._routes.get((type(event), event.venue, event.symbol), ()):
            for bar in self._shown(hosted, event):
                self._append(hosted, bar)

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def handler_of(self, kind: type[MarketEvent], *, of_one: bool) -> Callable[[Any], Any]:
        """What is to hear every event of this type: the shortest way that the strategies allow.

        `of_one`: the run has such events of one market alone, so that nobody needs to look at whose they are.
        """
        if self.needs_await:
            return self.on_market_async
        if not of_one or len(self._routes) != 1 or len(self.strategies) != 1:
            return self.on_market
        if (kind, *self._only_key()) in self._routes:
            hosted = self.strategies[0]
            if hosted.is_simple and hosted.hearing[self._only_key()].calls:
                return self._simple_handler(hosted, kind)
        return self.on_market

    def _only_key(self) -> Key:
        return next(iter(self.strategies[0].names))

    def on_market(self, event: MarketEvent) -> None:
        """Show the event, and call who is due (plain strategies)."""
        for hosted in self._routes.get((type(event), event.venue, event.symbol), ()):
            for cause, inputs in self._calls(hosted, event):
                try:
                    self._answer(hosted, event.ts, hosted.call(*inputs))
                except FAULTS as error:
                    self._fail(hosted, "generate_signals", cause, error)

    async def on_market_async(self, event: MarketEvent) -> None:
        """The same where at least one strategy is a coroutine function."""
        for hosted in self._routes.get((type(event), event.venue, event.symbol), ()):
            for cause, inputs in self._calls(hosted, event):
                await self._call_async(hosted, event.ts, cause, inputs)

    def _simple_handler(self, hosted: HostedStrategy, kind: type[MarketEvent]) -> Callable[[Any], None]:
        """`on_market` for one plain strategy that sees one stream of one symbol as a view, without the questions."""
        market, state, call = hosted.market, hosted.state, hosted.call
        view = hosted.views[hosted.first]
        is_bar = kind is Bar
        pushes: dict[type[MarketEvent], Callable[[Any], None]] = {
            Bar: view.push,
            TradeTick: view.push_trade,
            QuoteTick: view.push_quote,
        }
        push = pushes.get(kind, _nowhere)

        def on_event(event: Any) -> None:
            if not hosted.running:
                self.on_market(event)
                return
            if is_bar:
                market.bar = view.bar = event
            push(event)
            hosted.calls += 1
            market.event = event
            try:
                answer = call(market, state)
                if answer is not None:
                    self._answer(hosted, event.ts, answer)
            except FAULTS as error:
                self._fail(hosted, "generate_signals", event, error)

        return on_event

    def timer_handler(self) -> Callable[[TimerFired], Any]:
        """What is to hear every `TimerFired`."""
        return self.on_timer_async if self.needs_await else self.on_timer

    def on_timer(self, event: TimerFired) -> None:
        """A strategy's own timer, or `together_ms` are over: call it."""
        hosted = self._by_name.get(event.owner)
        if hosted is not None:
            for inputs in self._timer_calls(hosted, event):
                try:
                    self._answer(hosted, event.ts, hosted.call(*inputs))
                except FAULTS as error:
                    self._fail(hosted, "generate_signals", event, error)

    async def on_timer_async(self, event: TimerFired) -> None:
        """The same where at least one strategy is a coroutine function."""
        hosted = self._by_name.get(event.owner)
        if hosted is not None:
            for inputs in self._timer_calls(hosted, event):
                await self._call_async(hosted, event.ts, event, inputs)

    def on_position(self, event: PositionChanged) -> None:
        """A strategy's own book changed: what it sees of it is refreshed."""
        state = self._states.get((event.strategy, event.venue, event.symbol))
        if state is not None:
            state.refresh()

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
        """Call `on_start` where a strategy has one, and set the timers."""
        self._each("on_start", ts)
        for hosted in self.strategies:
            self._set_timer(hosted, ts)

    def stop(self, ts: int) -> None:
        """Call `on_stop` where a strategy has one. What it answers is not sent: the run is over."""
        self._each("on_stop", ts)

    # --- calling ----------------------------------------------------------------------------------------------------

    def _calls(self, hosted: HostedStrategy, event: MarketEvent) -> Iterator[tuple[MarketEvent, tuple[Any, Any]]]:
        """Show the event to the strategy; yields what it is to be called with because of it, and which event that is.

        Lazily: the call that an older interval still waits for comes before the strategy sees anything newer. Bars that
        a trade completes were over before it: they come first.
        """
        bars = self._shown(hosted, event)
        hearing = hosted.hearing[event.venue, event.symbol]
        if bars:
            if hosted.waits_for is not None and bars[-1].ts_venue > hosted.waits_for:
                for inputs in self._without_missing(hosted, event.ts):
                    yield event, inputs
            if self._is_due(hosted, bars) and "bars" in hearing.calls:
                yield bars[-1], self._inputs(hosted, bars[-1], event.ts)
        if type(event) is not Bar:
            kind = self._push(hosted, event)
            if kind in hearing.calls and not hosted.failed and self._is_warm(hosted):
                yield event, self._inputs(hosted, event, event.ts)

    def _shown(self, hosted: HostedStrategy, event: MarketEvent) -> Sequence[Bar]:
        """The bars that the strategy sees because of this event."""
        if type(event) is TradeTick:
            key = event.venue, event.symbol
            return hosted.aggregators[key].add_trade(event) if hosted.hearing[key].builds_bars else ()
        if type(event) is not Bar:
            return ()
        return hosted.aggregators[event.venue, event.symbol].add(event) if hosted.aggregators else (event,)

    @staticmethod
    def _append(hosted: HostedStrategy, bar: Bar) -> str:
        name = hosted.names[bar.venue, bar.symbol]
        view = hosted.views[name]
        view.bar = bar
        view.push(bar)
        hosted.seen[name] += 1
        return name

    @staticmethod
    def _push(hosted: HostedStrategy, event: MarketEvent) -> str:
        """Show a tick; returns the kind of its stream."""
        view = hosted.views[hosted.names[event.venue, event.symbol]]
        if type(event) is TradeTick:
            if "trades" in view.kinds:
                view.push_trade(event)
            return "trades"
        if type(event) is QuoteTick:
            view.push_quote(event)
            return "quotes"
        return "depth"

    def _timer_calls(self, hosted: HostedStrategy, event: TimerFired) -> Iterator[tuple[Any, Any]]:
        if event.name == "timer":
            self._set_timer(hosted, event.ts)
            if not hosted.failed and self._is_warm(hosted):
                self._tell_tops(hosted, event.ts)
                yield self._shown_inputs(hosted, hosted.first, event.ts, None)
        elif event.name == "together" and hosted.waits_for is not None:
            yield from self._without_missing(hosted, event.ts)

    def _set_timer(self, hosted: HostedStrategy, ts: int) -> None:
        """The next full interval after `ts`, counted from the epoch."""
        interval = hosted.spec.timer_ns
        if interval is not None and not hosted.failed:
            at = ts // interval * interval + interval
            self._clock.call_at(at, TimerFired(at, "timer", hosted.name))

    def _tell_tops(self, hosted: HostedStrategy, ts: int) -> None:
        """What the books say of symbols whose price nobody hears."""
        for key, name in hosted.names.items():
            if key in self._unheard:
                top = hosted.views[name].top()
                if top is not None:
                    quote = QuoteTick(ts, ts, *key, *top)
                    for hear in self._on_top:
                        hear(quote)

    def _without_missing(self, hosted: HostedStrategy, ts: int) -> Iterator[tuple[Any, Any]]:
        """The interval that waits is called without the symbols that did not come."""
        hosted.market.missing = tuple(n for n in hosted.spec.symbols if n not in hosted.waiting)
        self._end_waiting(hosted)
        if not hosted.failed and self._is_warm(hosted):
            yield self._shown_inputs(hosted, hosted.first, ts, None)

    def _is_due(self, hosted: HostedStrategy, bars: Sequence[Bar]) -> bool:
        """Show the bars to the strategy; True where that is a reason to call it now."""
        for shown in bars:
            name = self._append(hosted, shown)
        if hosted.failed:
            return False
        # Who has come is noted in the warm-up too: its last interval may be half in when the last symbol gets warm.
        if hosted.spec.together and not hosted.single and not self._all_in(hosted, name, shown):
            return False
        return hosted.started_at is not None or self._is_warm(hosted)

    def _is_warm(self, hosted: HostedStrategy) -> bool:
        return hosted.started_at is not None or min(hosted.seen.values(), default=0) >= hosted.warmup

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

    def _inputs(self, hosted: HostedStrategy, cause: MarketEvent, ts: int) -> tuple[Any, Any]:
        name = hosted.first if hosted.spec.together else hosted.names[cause.venue, cause.symbol]
        return self._shown_inputs(hosted, name, ts, cause)

    @staticmethod
    def _shown_inputs(hosted: HostedStrategy, name: str, ts: int, cause: MarketEvent | None) -> tuple[Any, Any]:
        hosted.calls += 1
        if hosted.started_at is None:
            hosted.started_at = ts
            hosted.running = True
        market = hosted.market
        market.called_at = ts
        market.event = cause
        view = hosted.views[name]
        if hosted.single:
            market.bar = view.bar
        else:
            market.show(view)
        if hosted.spec.input == "view":
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
        default = None if hosted.speaks_of_all else symbol or hosted.market.symbol
        signals = read_answer(answer, hosted.spec.symbols, default, ts=ts, strategy=hosted.name)
        if ts != hosted.wished_at:
            hosted.wished_at, hosted.wished = ts, 0
        count = len(signals)
        hosted.wished += count
        if hosted.wished > WISHES_MAXIMUM:
            raise BadSignal(
                f"{hosted.wished:,} wishes at one moment, at most {WISHES_MAXIMUM:,} are taken: where it answers its "
                "own order events, each answer makes the next event; let it wait for the next bar"
            )
        self.signals += count
        for signal in signals:
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
        hosted.failed, hosted.running = True, False
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


def _nowhere(event: Any) -> None:
    """Where what is only handed on is kept."""
