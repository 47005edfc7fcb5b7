"""What differs by mode, as one value: handed to the inside by whoever built it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from core.commands import Approved
from core.ports import BookProvider, Clock, Inbox


@dataclass(frozen=True)
class Outside:
    """What differs by mode: the clock, where events come from, where commands go."""

    clock: Clock
    inbox: Inbox
    subscribe: Callable[[str, str, str], None]
    on_command: Callable[[Approved], None]
    assumptions: list[str]
    feed_ns: dict[str, int]
    """Per venue: from a row's `ts` to when we hear it."""
    tasks: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)
    world: Any = None
    """The simulated world, where there is one: for whoever compares the venue's books with ours."""
    books: BookProvider | None = None
    """Our own books by receipt time; None where no data has any."""
