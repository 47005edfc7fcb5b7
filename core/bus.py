"""The bus: one queue, one event at a time, handlers in order of subscription.

1. `publish` appends to a queue; it never runs a handler.
2. Each subscriber of an event's type gets it before the next event starts.
3. A handler is a plain function or a coroutine function; a coroutine is awaited before the next handler.
4. A handler that raises ends the run and the error names the event (a strategy's error is caught by its host).
5. The queue has a named maximum and `statistics()`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, compress, islice
from typing import Any

import msgspec

from core.errors import InvariantBroken
from core.events import Event

Handler = Callable[[Any], None] | Callable[[Any], Awaitable[None]]

QUEUE_MAXIMUM = 100_000
"""Events that one event may be followed by before the run is declared a loop. A guess: a hundred times the largest
burst seen (a cancel-all over every order of a thousand symbols)."""


class BusStatistics(msgspec.Struct, frozen=True):
    """Counts since the bus was made."""

    dispatched: int
    """Of what was published; what arrives from outside is counted where it comes from."""
    waiting: int
    """Published, and not yet followed to its end."""
    maximum: int


class Bus:
    """Carries events from who made them to who asked for their type."""

    __slots__ = ("_awaits", "_dispatched", "_handlers", "_queue", "_routes", "publish")

    def __init__(self) -> None:
        self._queue: list[Event] = []
        self._routes: dict[type[Event], _Route] = {}
        self._handlers = _Handlers()
        """By type, whom to call: those of its route who do not rest."""
        self._awaits = False
        """Whether any handler is a coroutine function."""
        self._dispatched = 0
        self.publish: Callable[[Event], None] = self._queue.append
        """Append an event. It reaches nobody before the event in hand has reached everybody."""

    def subscribe(self, kinds: type[Event] | Iterable[type[Event]], handler: Handler) -> Subscription:
        """Hear every event of exactly these types, after whoever subscribed earlier."""
        self._awaits |= inspect.iscoroutinefunction(handler)
        places = []
        for kind in (kinds,) if isinstance(kinds, type) else kinds:
            route = self._routes.setdefault(kind, _Route(kind))
            places.append((route, len(route.handlers)))
            route.handlers.append(handler)
            route.awake.append(False)
        subscription = Subscription(places, self._handlers)
        subscription.listen(True)
        return subscription

    def hears(self, kind: type[Event]) -> bool:
        """Whether anybody subscribed: an event nobody hears need not be made."""
        return self._handlers[kind] != ()

    async def drain(self, arriving: Iterable[Event] = ()) -> None:
        """Dispatch what waits; then what arrives, one by one, each with all that follows from it."""
        if not self._awaits:
            self._drain_plain(arriving)
            return
        queue = self._queue
        for each in chain([None], arriving):
            if each is not None:
                queue.append(each)
                self._dispatched -= 1  # it is counted where it comes from
            for event in islice(queue, QUEUE_MAXIMUM):
                try:
                    for handler in self._handlers[type(event)]:
                        answer = handler(event)
                        if inspect.isawaitable(answer):
                            await answer
                except Exception as error:
                    error.add_note(f"while handling {event!r}")
                    raise
            self._end_of_queue()

    def _drain_plain(self, arriving: Iterable[Event]) -> None:
        """`drain` where there is nothing to await, which is the rule: most of what arrives is followed by nothing."""
        queue, handlers = self._queue, self._handlers
        if queue:
            self._follow()
        for event in arriving:
            try:
                for handler in handlers[type(event)]:
                    handler(event)
            except Exception as error:
                error.add_note(f"while handling {event!r}")
                raise
            if queue:
                self._follow()

    def _follow(self) -> None:
        """Dispatch what was published, which grows while it is read."""
        handlers = self._handlers
        try:
            for event in islice(self._queue, QUEUE_MAXIMUM):
                for handler in handlers[type(event)]:
                    handler(event)
        except Exception as error:
            error.add_note(f"while handling {event!r}")
            raise
        self._end_of_queue()

    def _end_of_queue(self) -> None:
        """Forget what was dispatched."""
        queue = self._queue
        if len(queue) > QUEUE_MAXIMUM:
            raise InvariantBroken(
                f"one event was followed by too many others (maximum {QUEUE_MAXIMUM}), {len(queue) - QUEUE_MAXIMUM} "
                f"more wait: handlers answer each other without end. The next one: {queue[QUEUE_MAXIMUM]!r}"
            )
        self._dispatched += len(queue)
        queue.clear()

    def statistics(self) -> BusStatistics:
        return BusStatistics(self._dispatched, len(self._queue), QUEUE_MAXIMUM)


class _Handlers(dict[type[Event], tuple[Callable[[Any], Any], ...]]):
    """Types nobody subscribed to are heard by nobody."""

    def __missing__(self, kind: type[Event]) -> tuple[Callable[[Any], Any], ...]:
        return ()


class _Route:
    """Everybody who ever asked for a type, in order, and who of them does not rest."""

    __slots__ = ("awake", "handlers", "kind")

    def __init__(self, kind: type[Event]) -> None:
        self.kind = kind
        self.handlers: list[Callable[[Any], Any]] = []
        self.awake: list[bool] = []


class Subscription:
    """A place in the order of handlers. It can rest: who needs bars only while something is held need not hear all."""

    __slots__ = ("_handlers", "_places", "awake")

    def __init__(self, places: list[tuple[_Route, int]], handlers: _Handlers) -> None:
        self._places = places
        self._handlers = handlers
        self.awake = False

    def listen(self, awake: bool) -> None:
        """Hear events, or rest, from the next event on; the place in the order is kept."""
        if awake is not self.awake:
            self.awake = awake
            for route, place in self._places:
                route.awake[place] = awake
                self._handlers[route.kind] = tuple(compress(route.handlers, route.awake))
