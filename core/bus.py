"""The bus: one queue, one event at a time, handlers in order of subscription.

1. `publish` appends to a queue; it never runs a handler.
2. Each subscriber of an event's type gets it before the next event starts.
3. A handler is a plain function or a coroutine function; a coroutine is awaited before the next handler.
4. A handler that raises ends the run and the error names the event (a strategy's error is caught by its host).
5. The queue has a named maximum and `statistics()`.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from core.errors import InvariantBroken
from core.events import Event

Handler = Callable[[Any], None] | Callable[[Any], Awaitable[None]]

Plain = tuple[Callable[[Any], None], ...]
Mixed = tuple[tuple[Callable[[Any], Any], bool], ...]
"""Handlers, and whether each must be awaited."""

QUEUE_MAXIMUM = 100_000
"""Events that one event may be followed by before the run is declared a loop. A guess: a hundred times the largest
burst seen (a cancel-all over every order of a thousand symbols)."""
TURNS = range(QUEUE_MAXIMUM + 1)


class BusStatistics(msgspec.Struct, frozen=True):
    """Counts since the bus was made."""

    dispatched: int
    waiting: int
    maximum: int


class Bus:
    """Carries events from who made them to who asked for their type."""

    __slots__ = ("_awaited", "_dispatched", "_known", "_plain", "_queue", "_routes", "publish")

    def __init__(self) -> None:
        self._queue: deque[Event] = deque()
        self._routes: dict[type[Event], list[Subscription]] = {}
        self._known: dict[type[Event], dict[tuple[bool, ...], tuple[Plain | None, Mixed]]] = {}
        # What `settle` and `drain` read, per type: handlers to call, or None where one of them must be awaited.
        self._plain = _Routes()
        self._awaited: dict[type[Event], Mixed] = {}
        self._dispatched = 0
        self.publish: Callable[[Event], None] = self._queue.append
        """Append an event. It reaches nobody before the event in hand has reached everybody."""

    def subscribe(self, kinds: type[Event] | Iterable[type[Event]], handler: Handler) -> Subscription:
        """Hear every event of exactly these types, after whoever subscribed earlier."""
        types = (kinds,) if isinstance(kinds, type) else tuple(kinds)
        subscription = Subscription(self, types, handler)
        for kind in types:
            self._routes.setdefault(kind, []).append(subscription)
            self._known[kind] = {}
            self._route(kind)
        return subscription

    def _route(self, kind: type[Event]) -> None:
        """Who hears a type now. The same set of listeners is put together only once."""
        awake = tuple([subscription.awake for subscription in self._routes[kind]])
        route = self._known[kind].get(awake)
        if route is None:
            hearing = [subscription for subscription in self._routes[kind] if subscription.awake]
            mixed = tuple((s.handler, s.awaited) for s in hearing)
            plain = None if any(s.awaited for s in hearing) else tuple(s.handler for s in hearing)
            route = self._known[kind][awake] = (plain, mixed)
        self._plain[kind], self._awaited[kind] = route

    def hears(self, kind: type[Event]) -> bool:
        """Whether anybody subscribed: an event nobody hears need not be made."""
        return self._plain[kind] != ()

    async def drain(self) -> None:
        """Dispatch until the queue is empty, in order."""
        for _ in TURNS:
            if self.settle():
                return
            await self._dispatch_awaited()
        raise self._endless()

    def settle(self) -> bool:
        """Dispatch as far as plain functions go. True: the queue is empty; False: `drain` must await somebody."""
        queue, plain = self._queue, self._plain
        event: Event | None = None
        count = 0
        try:
            for count in TURNS:  # noqa: B007  read below: how many were dispatched
                if not queue:
                    return True
                event = queue.popleft()
                handlers = plain[type(event)]
                if handlers is None:
                    queue.appendleft(event)
                    return False
                for handler in handlers:
                    handler(event)
            raise self._endless()
        except Exception as error:
            error.add_note(f"while handling {event!r}")
            raise
        finally:
            self._dispatched += count

    async def _dispatch_awaited(self) -> None:
        """The next event, which has a coroutine among its handlers."""
        event = self._queue.popleft()
        try:
            for handler, awaited in self._awaited[type(event)]:
                if awaited:
                    await handler(event)
                else:
                    handler(event)
        except Exception as error:
            error.add_note(f"while handling {event!r}")
            raise
        self._dispatched += 1

    def _endless(self) -> InvariantBroken:
        return InvariantBroken(
            f"one event was followed by too many others (maximum {QUEUE_MAXIMUM}), {len(self._queue)} more wait: "
            "handlers answer each other without end"
        )

    def statistics(self) -> BusStatistics:
        return BusStatistics(self._dispatched, len(self._queue), QUEUE_MAXIMUM)


class _Routes(dict[type[Event], Plain | None]):
    """Types nobody subscribed to are heard by nobody."""

    def __missing__(self, kind: type[Event]) -> Plain:
        return ()


class Subscription:
    """A place in the order of handlers. It can rest: who needs bars only while something is held need not hear all."""

    __slots__ = ("_bus", "_kinds", "awaited", "awake", "handler")

    def __init__(self, bus: Bus, kinds: tuple[type[Event], ...], handler: Handler) -> None:
        self._bus = bus
        self._kinds = kinds
        self.handler: Callable[[Any], Any] = handler
        self.awaited = inspect.iscoroutinefunction(handler)
        self.awake = True

    def listen(self, awake: bool) -> None:
        """Hear events, or rest, from the next event on; the place in the order is kept."""
        if awake is not self.awake:
            self.awake = awake
            for kind in self._kinds:
                self._bus._route(kind)
