"""The engine: one loop, the same in every mode, and the way in and out for a program around it.

    async with Engine.from_config("configs/quickstart.yaml") as engine:
        await engine.run()

No signal handlers, no loop policy, no logging set-up, no globals: several engines may share one event loop. The context
must be entered and left in the same task (anyio's rule). Works on asyncio; Trio is not supported.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from decimal import localcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import msgspec

from core.bus import Bus
from core.errors import InvariantBroken, UsageError
from core.events import Event, RunEnded, RunStarted
from core.exact import MATH
from core.hosting.signals import BadSignal, read_answer
from core.ports import Clock, Inbox
from core.strategy_host import StrategyHost

if TYPE_CHECKING:
    from core.plan import Plan
    from core.run_parts import RunParts

Result = TypeVar("Result")
HOST = "host"
"""Strategy name of wishes that the embedding program brings in by `Engine.signal`."""
STREAM_MAXIMUM = 100_000
"""Events an `events()` iterator may fall behind before it raises."""


class EngineStatus(msgspec.Struct, frozen=True):
    """A cheap look at a run, for the host's own health endpoint."""

    state: str
    """made, running, ended, failed."""
    now: int
    delivered: int
    """Events that came in."""
    dispatched: int
    """Those, and what followed from them."""
    signals: int


@dataclass(frozen=True)
class EngineParts:
    """Finished parts of an engine; `core.compose` makes them from a config."""

    name: str
    bus: Bus
    inbox: Inbox
    clock: Clock
    host: StrategyHost
    symbols: dict[str, tuple[str, str]]
    """Names a wish of the embedding program may use, to (venue, symbol)."""
    hear: Callable[[type[Event]], None]
    """Has this type of market data made into events; what is no market data needs no asking."""
    run: RunParts
    """Portfolio, orders, journal, recorder and so on."""
    tasks: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)
    """Rim tasks, children of the engine's task group."""
    endings: list[Callable[[], None]] = field(default_factory=list)
    """What has something to do when the run is over."""


class Engine:
    """One run. Takes finished parts, or a way to prepare them when it is entered."""

    def __init__(
        self, parts: EngineParts | None = None, *, prepare: Callable[[], Awaitable[EngineParts]] | None = None
    ) -> None:
        self._parts = parts
        self._prepare = prepare
        self._streams: list[EventStream] = []
        self._group: anyio.abc.TaskGroup | None = None
        self._done = asyncio.Event()
        self._closed = False
        self._state = "made"
        self.reason = ""
        """Why the run ended."""

    @property
    def parts(self) -> EngineParts:
        """What this engine is made of. Raises UsageError before it was entered."""
        if self._parts is None:
            raise UsageError("enter the engine first: async with engine: …")
        return self._parts

    @property
    def is_entered(self) -> bool:
        """Whether there are parts to look at; they stay when the engine is left."""
        return self._parts is not None

    @property
    def clock(self) -> Clock:
        return self.parts.clock

    @classmethod
    def from_config(cls, config: str | Path | Plan, **parts: Any) -> Engine:
        """An engine for a config file or a plan; see `core.compose.compose` for the parts that can be handed in."""
        from core.compose import compose

        return compose(config, **parts)

    # --- life -------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Engine:
        if self._parts is None and self._prepare is not None:
            self._parts = await _exactly(self._prepare)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        for task in self.parts.tasks:
            self._group.start_soon(_exactly, task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._group is not None, "left without having been entered"
        self._group.cancel_scope.cancel()
        try:
            return await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            # A group of one is that one error: nobody should have to unwrap it.
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from group.exceptions[0].__cause__
            raise
        finally:
            self._close()

    async def run(self) -> None:
        """Run to the end of the inbox. Raises what ended the run early; the journal is whole in either case."""
        if self._state != "made":
            raise UsageError(f"this engine is {self._state}: an engine runs once, make another one")
        self._state = "running"
        try:
            await _exactly(self._loop)
            self._state = "ended"
        except BaseException:
            self._state = "failed"
            raise
        finally:
            self._close()

    async def _loop(self) -> None:
        bus, inbox, clock, host = self.parts.bus, self.parts.inbox, self.parts.clock, self.parts.host
        bus.publish(RunStarted(clock.now(), self.parts.name))
        host.start(clock.now())
        await bus.drain()
        async for events in inbox:
            await bus.drain(events)
        host.stop(clock.now())
        bus.publish(RunEnded(clock.now(), self.parts.name, self.reason or "end of data"))
        await bus.drain()

    async def start(self) -> None:
        """Run in the background, inside this engine's task group. Errors arrive when the context is left."""
        if self._group is None:
            raise UsageError("enter the engine first: async with engine: await engine.start()")
        self._group.start_soon(self.run)
        await asyncio.sleep(0)

    async def wait(self) -> None:
        """Return when the run is over. A task that waits here holds simulated time no longer."""
        self.clock.waits()
        await self._done.wait()

    async def stop(self, reason: str = "stopped") -> None:
        """End the run after the event in hand, and wait for it. One that has not begun will end before its first."""
        self.reason = reason
        self.parts.inbox.close()
        if self._state != "made":
            await self.wait()

    def _close(self) -> None:
        if self._closed or self._parts is None:
            return
        self._closed = True
        try:
            for ending in self._parts.endings:
                ending()
        finally:
            # Who waits for events or for time must not hang because a file could not be finished.
            for stream in self._streams:
                stream.close()
            self._parts.clock.close()
            self._done.set()

    # --- in and out -------------------------------------------------------------------------------------------------

    async def signal(self, wish: Any) -> None:
        """Bring in a wish: a `Signal` or a mapping as a strategy would return. Raises BadSignal where it is none."""
        if self._state in ("ended", "failed"):
            raise UsageError(f"the run has {self._state}: no signal can be taken")
        symbols = self.parts.symbols
        default = next(iter(symbols)) if len(set(symbols.values())) == 1 else None
        signals = read_answer(wish, symbols, default, ts=self.clock.now(), strategy=HOST)
        if not signals:
            raise BadSignal("expected a wish, got none")
        for one in signals:
            self.parts.inbox.put(one)

    def events(self, *kinds: type[Event]) -> EventStream:
        """Events of these types from now on, as an async iterator; ends with the run.

        Market data comes of every symbol, and is asked for right after the engine is entered: nobody may have wanted it
        before, and a run's tapes are played once. Raises UsageError where the run has none of it, or where it is late.
        """
        for kind in kinds:
            self.parts.hear(kind)
        stream = EventStream(self.clock)
        self.parts.bus.subscribe(kinds, stream.on_event)
        self._streams.append(stream)
        if self._done.is_set():
            stream.close()
        return stream

    def status(self) -> EngineStatus:
        delivered = self.parts.inbox.statistics().delivered
        dispatched = delivered + self.parts.bus.statistics().dispatched
        return EngineStatus(self._state, self.clock.now(), delivered, dispatched, self.parts.host.signals)


async def _exactly(part: Callable[[], Awaitable[Result]]) -> Result:
    """Await a part of a run in the house's decimal context: what the host's says must not reach into it."""
    with localcontext(MATH):
        return await part()


class EventStream:
    """Events out of the engine. In simulated time the reader holds time between two reads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[Event] = deque()
        self._reader: tuple[asyncio.Future[None], Any] | None = None
        self._closed = False

    def on_event(self, event: Event) -> None:
        """A bus handler: keep the event for the reader."""
        if self._closed:
            return
        if len(self._waiting) >= STREAM_MAXIMUM:
            raise InvariantBroken(f"a reader of engine.events() is {STREAM_MAXIMUM} events behind: read or close it")
        self._waiting.append(event)
        if self._reader is not None:
            future, task = self._reader
            self._reader = None
            if not future.done():
                future.set_result(None)
                self._clock.hold(task)

    def close(self) -> None:
        """No more events; what is waiting can still be read."""
        self._closed = True
        if self._reader is not None and not self._reader[0].done():
            self._reader[0].set_result(None)
        self._reader = None

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            task = self._clock.waits()
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._reader = (future, task)
            await future
        return self._waiting.popleft()
