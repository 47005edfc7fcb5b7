"""The doors of the house: what the inside asks of a clock, a feed, a gateway, and what a strategy is.

A mode is a choice of bodies for these doors; nothing inside asks which.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    import numpy as np

    from core.commands import Approved
    from core.events import Event
    from core.margin import DatedTiers
    from core.tape import Rows


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
    """All that reaches the inside, in order: what the main loop iterates over.

    In stretches, each an iterator that is asked for its next event when the one before is drained.
    """

    def __aiter__(self) -> AsyncIterator[Iterator[Event]]: ...

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


class BookProvider(Protocol):
    """Our own books: what the feed has told us by now, unaltered, by receipt time."""

    def book(self, venue: str, symbol: str, now: int) -> BookReader | None:
        """The book of a symbol with every row received at or before `now`; None where nobody keeps one."""
        ...


class BookReader(Protocol):
    """One book at one moment. It is asked only until time moves on."""

    def best(self) -> tuple[float, float, float, float]:
        """Bid, bid quantity, ask, ask quantity; NaN and 0.0 for a side that is empty."""
        ...

    def levels(self, side: Literal["bid", "ask"], count: int | None) -> np.ndarray:
        """At most `count` rows of (price, quantity), float64, best first; None: every level."""
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

    async def load(self, progress: Callable[[int, int], None] | None = None) -> Rows:
        """The tape this source was configured for; `progress(done, total)` in rows. Raises DataError, VenueError."""
        ...


@runtime_checkable
class KeptHistory(Protocol):
    """A source whose rows are fetched once and kept."""

    async def download(self, progress: Callable[[int, int], None] | None = None) -> Downloaded:
        """Fetch what is missing of its range, and keep it. Raises DataError, VenueError; what came before is kept."""
        ...


class Downloaded(msgspec.Struct, frozen=True):
    """What is kept of a range after a download."""

    what: str
    """Venue, symbol, kind."""
    since: int
    until: int
    """The range asked for, int nanoseconds UTC."""
    rows: int
    asked: bool
    """Whether the venue had to be asked; else all of it was kept before."""
    new: int
    """How many of the rows came now: those of the ranges that were asked for."""
    notes: tuple[str, ...]
    """Where the venue's answers end before the range does, what had to be set aside."""


class BracketSource(Protocol):
    """Where the maintenance brackets of a venue's contracts come from, in place of its stored ones."""

    async def load(self, symbols: Sequence[str], *, anew: bool = False) -> ToldBrackets:
        """What the venue told of these contracts: kept answers, and where there are none (`anew`: in any case) its
        answer of now, which is kept. Raises VenueError, UsageError for a key that is not there, DataError.
        """
        ...


class ToldBrackets(msgspec.Struct, frozen=True):
    """Maintenance brackets as a venue told them."""

    tiers: dict[str, list[DatedTiers]]
    """By symbol, oldest first; what is missing could not be asked for."""
    notes: list[str]
    """Why not, and what was found damaged, one sentence each."""


class Strategy(Protocol):
    """Any object with this method, plain or `async`. Everything else it may have is optional.

    Optional: `warmup` (int: closed bars needed before the first call), `on_event(event)`, `on_start()`, `on_stop()`.
    """

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        """None, a Signal, a mapping, or a list of those."""
        ...
