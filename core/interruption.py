"""Ctrl-C and SIGTERM for the command line: the first ends the run after the event in hand, the second at once.

Only the command line installs this; an engine inside another program never touches signals.
"""

from __future__ import annotations

import asyncio
import signal
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.engine import Engine

REASON = "interrupted"


class Interruption:
    """Handlers of SIGINT and SIGTERM while the context lasts; afterwards the ones before are back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._before: dict[int, Any] = {}
        self.happened = False

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
            # A strategy that never returns never lets the loop look: then nothing but this gets us out.
            raise KeyboardInterrupt
        self.happened = True
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        status = "made" if not self._engine.is_entered else self._engine.status().state
        if status == "running":
            self._engine.reason = REASON
            self._engine.parts.inbox.close()
        elif status == "made" and self._task is not None:
            self._task.cancel()  # still loading: there is nothing to end in order
