"""Ctrl-C and SIGTERM for the command line: the first ends the run after the event in hand, the second at once.

Only the command line installs this; an engine inside another program never touches signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from core.command_line.progress import ERASE
from core.errors import INTERRUPTED

if TYPE_CHECKING:
    from core.engine import Engine

REASON = "interrupted"
STOPPING = {
    "made": "stopping; again to stop at once",
    "running": "stopping after this event; again to stop at once",
}
"""What the first signal is answered with while the data is loaded and while the run goes on."""
OVER = "the run is over, its results are being written; again to stop at once"


class Interruption:
    """Handlers of SIGINT and SIGTERM while the context lasts; afterwards the ones before are back.

    `last_words` writes down that the run was cut off and returns what stderr should say about it. It is called from
    the second signal's handler, wherever the program is then. `simulated`: the inbox is the simulated world's, whose
    `close` only sets flags and may be called from a handler too; it gives the loop a turn once in many events, which
    a slow strategy makes long. A live inbox wakes a task and is closed from the loop.
    """

    def __init__(self, engine: Engine, last_words: Callable[[], str], *, simulated: bool) -> None:
        self._engine = engine
        self._last_words = last_words
        self._simulated = simulated
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._before: dict[int, Any] = {}
        self.happened = False
        """Whether a signal came."""
        self.ended = False
        """Whether it came in time to end anything."""

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.happened:
            self._leave()
        self.happened = True
        state = self._state
        if self._simulated and state == "running":
            self._end()
        else:
            self._loop.call_soon_threadsafe(self._end)
        say_at_once(STOPPING.get(state, OVER))

    def _leave(self) -> None:
        """End the process. An exception would not do: a strategy may catch it, or never give the loop a turn."""
        try:
            say_at_once(self._last_words())
        finally:
            os._exit(INTERRUPTED)

    @property
    def _state(self) -> str:
        return self._engine.status().state if self._engine.is_entered else "made"

    def _end(self) -> None:
        if self._state == "running":
            self.ended = True
            self._engine.reason = REASON
            self._engine.parts.inbox.close()
        elif self._state == "made" and self._task is not None:
            self.ended = True
            self._task.cancel()  # still loading: there is nothing to end in order


def say_at_once(text: str) -> None:
    """One line for stderr from inside a signal handler, where its buffered stream may be in the middle of a write."""
    erase = ERASE if os.isatty(2) else ""
    with contextlib.suppress(OSError):  # nobody is there to be told; what has to be done is done all the same
        os.write(2, f"{erase}{text}\n".encode())
