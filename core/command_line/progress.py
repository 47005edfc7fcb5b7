"""One line on a terminal that says how far a run is: sim date, share done, events per second, time left, equity.

Drawn beside the event path, never in it: by a task of the command line that looks at the engine a few times a second.
Off a terminal there is nothing to draw on, and nothing is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from core.moments import SECOND_NS

if TYPE_CHECKING:
    from core.engine import Engine

INTERVAL_S = 0.2
"""Five updates a second are as many as one can read."""
ERASE = "\r\x1b[K"


def wants_lines(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream is a terminal that may be drawn on: not with NO_COLOR, not a dumb one."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


class Progress:
    """The line. Every method does nothing where `shown` is false."""

    def __init__(self, stream: TextIO, *, shown: bool) -> None:
        self._stream = stream
        self._shown = shown
        self._drawn = False
        self._last = -INTERVAL_S
        self._what = ""
        """What is being loaded, and below since when: each source has a time left of its own."""
        self._began = 0.0

    def loading(self, what: str, done: int, total: int, unit: str = "rows") -> None:
        """Rows of a source read so far; as often as one likes, drawn at most five times a second."""
        now = time.monotonic()  # tidy: how often a line is drawn changes no result
        if now - self._last >= INTERVAL_S:
            self._last = now
            if what != self._what:
                self._what, self._began = what, now
            share = f"{done / total:4.0%}" if total else ""
            passed = now - self._began
            left = f"  ETA {_span(passed * (total - done) / done)}" if passed and done else ""
            self._draw(f"{what}  {share}  {done:,} {unit}{left}")

    @contextlib.asynccontextmanager
    async def following(self, engine: Engine) -> AsyncIterator[None]:
        """Draw the engine's progress while the body runs; the line is gone afterwards."""
        if not self._shown:
            yield
            return
        task = asyncio.create_task(self._follow(engine), name="progress")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self.clear()

    def clear(self) -> None:
        """Leave the terminal as if no line had been drawn, for a text that stays."""
        if self._drawn:
            self._drawn = False
            self._write(ERASE)

    async def _follow(self, engine: Engine) -> None:
        run = engine.parts.run
        began = before = time.monotonic()  # tidy: events per second on a terminal, no result depends on it
        delivered = engine.status().delivered
        while True:
            await asyncio.sleep(INTERVAL_S)
            now = time.monotonic()  # tidy: events per second on a terminal, no result depends on it
            status = engine.status()
            rate = (status.delivered - delivered) / max(now - before, 1e-9)
            before, delivered = now, status.delivered
            done = min(1.0, max(0.0, (status.now - run.start) / max(run.end - run.start, 1)))
            left = (now - began) * (1 - done) / done if done > 0 else None
            equity = run.portfolio.equity(run.plan.currency)
            self._draw(line(status.now, done, rate, left, f"{equity:,.2f} {run.plan.currency}"))

    def _draw(self, text: str) -> None:
        if self._shown:
            self._drawn = True
            width = shutil.get_terminal_size().columns - 1
            self._write(ERASE + text[:width])

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._shown = False  # the terminal is gone; the run is not about it


def line(now: int, done: float, rate: float, left: float | None, equity: str) -> str:
    """`2025-05-04 12:00   34%  412,000 events/s  ETA 3 s  equity 10,012.30 USDT`"""
    at = datetime.fromtimestamp(now // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M")
    return f"{at}  {done:4.0%}  {rate:,.0f} events/s  ETA {_span(left)}  equity {equity}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes = int(seconds) // 60
    return (
        f"{minutes // 60} h {minutes % 60:02d} min"
        if minutes >= 60
        else (f"{minutes} min {int(seconds) % 60:02d} s" if minutes else f"{seconds:.0f} s")
    )
