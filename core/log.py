"""The log of a run: `run.log` in its folder, and the same lines on a terminal. Only the command line sets it up.

The rooms log to `logging.getLogger(__name__)` like any library; a program that embeds the engine sees those records in
its own handlers and nothing of this module.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from core.atomic_file import refused
from core.plain_text import printable

if TYPE_CHECKING:
    from core.command_line.progress import Progress
    from core.engine import Engine

RUN = "core.run"
"""Name of the run's own log lines."""
BUFFERED_MAX = 10_000
"""Records kept until the run's folder exists; loading a year of data by the hour logs some hundred."""


class RunLog:
    """Handlers on the root logger while the context lasts; afterwards logging is as it was."""

    def __init__(self, stream: TextIO, progress: Progress, *, level: str, console: bool) -> None:
        self._level = logging.getLevelName(level.upper())
        self._stream = stream
        self._progress = progress
        self._file = _Buffered(self._say)
        self._handlers: list[logging.Handler] = [self._file]
        if console:
            self._handlers.append(_Console(stream, progress))
        self._level_before = logging.WARNING

    def __enter__(self) -> RunLog:
        root = logging.getLogger()
        self._level_before = root.level
        root.setLevel(self._level)
        for handler in self._handlers:
            handler.setFormatter(_Line("%(asctime)sZ %(levelname)-7s %(name)s  %(message)s"))
            root.addHandler(handler)
        # asyncio tells at debug which selector it uses: nobody's concern.
        logging.getLogger("asyncio").setLevel(logging.WARNING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        root = logging.getLogger()
        root.setLevel(self._level_before)
        logging.getLogger("asyncio").setLevel(logging.NOTSET)
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()

    def open(self, path: Path) -> None:
        """Write everything so far into this file, and from now on every record as it comes.

        Raises DataError where it cannot be made. One that cannot be written any more ends there, and stderr says so.
        """
        self._file.open(path)

    def _say(self, text: str) -> None:
        self._progress.clear()
        with contextlib.suppress(OSError):  # stderr is a file on the same full disk: there is nobody left to tell
            print(text, file=self._stream)

    def follow(self, engine: Engine) -> None:
        """Tell what the bus carries that a person should read; orders only at level debug."""
        from core.events import (
            FeedGap,
            LinkLost,
            LinkRestored,
            OrderDenied,
            OrderRejected,
            RunEnded,
            RunStarted,
            StrategyFailed,
            TradingHalted,
            TradingResumed,
        )

        log = logging.getLogger(RUN)
        bus, run = engine.parts.bus, engine.parts.run
        for tape in run.tapes:
            log.info("tape %s %s %s: %d rows from %s", tape.venue, tape.symbol, tape.kind, len(tape), tape.source)
        bus.subscribe((RunStarted, RunEnded, TradingResumed, LinkRestored), lambda event: log.info("%s", event))
        bus.subscribe((TradingHalted, StrategyFailed, FeedGap, LinkLost), lambda event: log.warning("%s", event))
        if log.isEnabledFor(logging.DEBUG):
            bus.subscribe((OrderDenied, OrderRejected), lambda event: log.debug("%s", event))


class _Line(logging.Formatter):
    """One record, one line: what a foreign name contains is shown, not obeyed. Times are UTC."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))


class _Buffered(logging.Handler):
    """A file that does not exist yet."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self._waiting: list[logging.LogRecord] = []
        self._target: _File | None = None

    def open(self, path: Path) -> None:
        try:
            self._target = _File(path, self._say)
        except OSError as error:
            raise refused(path, error) from error
        self._target.setFormatter(self.formatter)
        for record in self._waiting:
            self._target.emit(record)
        self._waiting.clear()

    def emit(self, record: logging.LogRecord) -> None:
        if self._target is not None:
            self._target.emit(record)
        elif len(self._waiting) < BUFFERED_MAX:
            self._waiting.append(record)

    def close(self) -> None:
        if self._target is not None:
            self._target.close()
        super().close()


class _File(logging.FileHandler):
    """Ends at the first record the disk has no room for, and says so once: a run is not about its log."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        super().__init__(path, encoding="utf-8")
        self._path = path
        self._say = say
        self._ended = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._ended:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._end(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:  # what is still in its buffer meets the full disk again
            self._end(error)

    def _end(self, error: OSError) -> None:
        if not self._ended:
            self._ended = True
            self._say(f"{refused(self._path, error)} (the log ends there)")


class _Console(logging.StreamHandler[Any]):
    """Takes the progress line away before it writes."""

    def __init__(self, stream: TextIO, progress: Progress) -> None:
        super().__init__(stream)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == RUN and record.levelno != logging.WARNING:
            return  # what a run is and how it ended is said by the command line itself
        self._progress.clear()
        super().emit(record)
