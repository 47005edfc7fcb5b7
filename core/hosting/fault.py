"""A strategy's failure in words: which exceptions are its own, what they say, where in the user's file they happened.

Whatever a strategy raises is its failure: `sys.exit()` and a stray CancelledError too, which Python does not count
among `Exception`. Only Ctrl-C (KeyboardInterrupt) is not: it is the user's.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import StrategyError
from core.events import Event
from core.hosting.signals import BadSignal
from core.moments import SECOND_NS

ROUNDS_MAXIMUM = 1000
"""Requests answered at one nanosecond before it is called a loop (zero latency lets a strategy answer itself)."""
FAULTS: tuple[type[BaseException], ...] = (Exception, SystemExit, asyncio.CancelledError)
"""What counts as a strategy's failure where its code is called."""


def is_cancel_of_the_run(error: BaseException) -> bool:
    """Whether it is not the strategy's: somebody cancels the task that the run is in."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def text_of(error: BaseException) -> str:
    """`ValueError: no price`. Never raises, also where the exception's own `__str__` does, and is encodable."""
    kind = type(error).__name__
    try:
        text = str(error)
    except FAULTS as other:
        return f"{kind}: (its __str__ raised {type(other).__name__})"
    told = text if isinstance(error, BadSignal) else f"{kind}: {text}" if text else kind
    return told.encode("utf-8", "backslashreplace").decode()


def place_of(error: BaseException, strategy: Any, method: str) -> str:
    """The deepest line of the user's own file in the traceback: `strategies/breakout.py:41  size = cash / bar.atr`."""
    kind = type(strategy)
    owners = (strategy,) if inspect.ismodule(strategy) else map(inspect.getmodule, kind.__mro__)
    own_files = {getattr(owner, "__file__", None) for owner in owners}
    cause: BaseException | None = error
    while cause is not None:
        for frame in reversed(traceback.extract_tb(cause.__traceback__)):
            if frame.filename in own_files:
                return f"{shown(frame.filename)}:{frame.lineno}  {frame.line or ''}".rstrip()
        cause = cause.__cause__
    name = strategy.__name__ if inspect.ismodule(strategy) else f"{kind.__module__}.{kind.__qualname__}"
    return f"in what {method} of {name} returned" if isinstance(error, BadSignal) else f"in {method} of {name}"


def shown(file: str) -> str:
    """A file's path as short as it can be said from where the program stands."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):  # it lies elsewhere, or the folder we stand in is gone
        return file


def moment_of(event: Event | None, calls: int) -> str:
    """`2024-03-01 12:05:00Z (call 48213, BTCUSDT bar)` for people."""
    if event is None:
        return "start or stop"
    symbol = getattr(event, "symbol", "")
    return f"{_utc(event.ts)} (call {calls:,}, {symbol} {type(event).__name__})".replace("  ", " ")


def endless(strategy: str, ts: int, rounds: int) -> StrategyError:
    """The error of a strategy that answers its own order events without end, at one moment."""
    return StrategyError(
        strategy,
        "on_event",
        _utc(ts),
        f"{rounds} rounds of requests at one nanosecond ({ts})",
        "with zero latency it answers its own order events without end. Give the run a latency, or let it wait",
    )


def _utc(ts: int) -> str:
    return datetime.fromtimestamp(ts // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
