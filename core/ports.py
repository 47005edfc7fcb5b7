"""The doors of the house: what the inside asks of a clock, a feed, a gateway, and what a strategy is.

A mode is a choice of bodies for these doors; nothing inside asks which.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from core.commands import Approved
    from core.events import Event
    from core.tape import Tape


class TimerHandle(Protocol):
    """What `call_at` returns, to be handed to `cancel`."""

    at: int


class Clock(Protocol):
    """The only source of time inside. Timers are events: they come through the inbox like everything else."""

    def now(self) -> int:
        """`ts` of the event in hand, int nanoseconds UTC; stands still until that event is drained."""
        ...

    def call_at(self, ts: int, event: Event) -> TimerHandle:
        """Put `event` into the inbox at `ts`; at once (but after what is due already) where `ts` is past."""
        ...

    def cancel(self, handle: TimerHandle) -> None:
        """Forget a timer. Harmless where it has fired already."""
        ...

    async def sleep_until(self, ts: int) -> None:
        """For tasks at the rim: return when time has reached `ts`. In simulated time the task then holds time.

        Raises RunOver where the run ends, or has ended, before that.
        """
        ...

    def close(self) -> None:
        """The run is over: wakes every sleeper with RunOver."""
        ...

    def waits(self) -> Any:
        """The calling rim task is about to wait for us; returns it. Simulated: it holds time no longer."""
        ...

    def hold(self, task: Any) -> None:
        """A rim task was just woken. Simulated: time stands still until it waits again or ends; live: nothing."""
        ...


class Inbox(Protocol):
    """All that reaches the inside, in order: what the main loop iterates over."""

    def __aiter__(self) -> AsyncIterator[Event]: ...

    def put(self, event: Event) -> None:
        """Add an event that comes from outside the feed and the gateway: a wish of the embedding program."""
        ...

    def close(self) -> None:
        """End the iteration after the event in hand."""
        ...

    def statistics(self) -> InboxStatistics: ...


class InboxStatistics(msgspec.Struct, frozen=True):
    """Counts of an inbox since it was made."""

    delivered: int
    waiting: int
    maximum: int
    conflated: int


class DataFeed(Protocol):
    """Market data. Makes an event only where somebody subscribed."""

    def subscribe(self, venue: str, symbol: str, kind: str) -> None:
        """Ask for a stream (`bars`, `trades`, …) of a symbol. Raises UsageError where no tape or stream has it."""
        ...


class Gateway(Protocol):
    """Takes commands to a venue; what comes of them arrives through the inbox as order events."""

    venue: str

    def on_command(self, command: Approved) -> None:
        """SubmitOrder, CancelOrder, AmendOrder: a plain handler that never waits. Those of other venues are not its."""
        ...


class IdSource(Protocol):
    """Ids of orders and fills, handed in so that a run repeats to the byte."""

    def next(self) -> str:
        """An id never given before: counted under a prefix. At most 36 characters of [A-Za-z0-9-]."""
        ...


class HistorySource(Protocol):
    """Where the past comes from: files, a venue's REST, a synthetic market."""

    async def load(self, progress: Callable[[int, int], None] | None = None) -> Tape:
        """The tape this source was configured for; `progress(done, total)` in rows. Raises DataError, VenueError."""
        ...


class Strategy(Protocol):
    """Any object with this method, plain or `async`. Everything else it may have is optional.

    Optional: `warmup` (int: closed bars needed before the first call), `on_event(event)`, `on_start()`, `on_stop()`.
    """

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        """None, a Signal, a mapping, or a list of those."""
        ...
