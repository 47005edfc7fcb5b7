"""A venue that never was: the same rows each time it is asked, day by day, and a list of what it was asked for.

As a program it downloads into a cache, and can kill itself at any line of the code that keeps rows:

    python tests/fake_fetcher.py ROOT KIND DAYS [KILL_AT_LINE]

Without arguments it reads such words from its input, a line a download, and answers with the exit code of each.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from adapters.columns import Bars, Origin, bars_tape
from adapters.decimals import Decimals
from adapters.fetching.fetch import Fetched, Progress
from adapters.fetching.rows_tape import empty_tape
from adapters.kept.fetched_history import FetchedHistory
from core.errors import VenueError
from core.moments import DAY_NS
from core.tape import Kind, Rows, Tape
from core.venue_rules import DatedInstrument

MINUTE = 60_000_000_000
MAY_4 = 1746316800_000000000
"""2025-05-04T00:00:00Z."""
HOLE = (MAY_4 + 600 * MINUTE, MAY_4 + 607 * MINUTE)
"""Bars the venue does not have."""
TRADES_A_DAY = 400


class FakeFetcher:
    """See `adapters.fetching.fetch.Fetcher`."""

    venue = "fake"
    market = "linear"
    kinds: tuple[Kind, ...] = ("bars", "trades", "funding")

    def __init__(
        self, now: int = MAY_4 + 400 * DAY_NS, *, fails_after: int | None = None, name: str = "fake-linear"
    ) -> None:
        self.name = name
        self.asked: list[tuple[int, int]] = []
        """[since, until) of every question."""
        self.parts = 0
        self._now = now
        self._fails_after = fails_after
        """Parts after which the venue is gone."""
        self.before_part: Callable[[int], None] = lambda number: None
        """Called before each part with how many came before it."""
        self.known: dict[str, DatedInstrument] = {}

    def check(self, kind: Kind, symbol: str, interval_ns: int) -> None:
        """Every kind there is, of every symbol."""

    async def now(self) -> int:
        return self._now

    async def instruments(self) -> dict[str, DatedInstrument]:
        return self.known

    async def fetch(
        self, kind: Kind, symbol: str, interval_ns: int, start: int, end: int, progress: Progress | None = None
    ) -> AsyncGenerator[Fetched]:
        self.asked.append((start, end))
        end = min(end, self._now)
        while start < end:
            until = min(end, (start // DAY_NS + 1) * DAY_NS)
            if self._fails_after is not None and self.parts >= self._fails_after:
                raise VenueError("the fake venue is gone; ask again")
            self.before_part(self.parts)
            self.parts += 1
            await asyncio.sleep(0)
            yield Fetched(rows_of(kind, symbol, interval_ns, start, until), start, until)
            start = until


def rows_of(kind: Kind, symbol: str, interval_ns: int, since: int, until: int) -> Tape:
    """What the venue has in [since, until), within one day."""
    day = since // DAY_NS
    rng = np.random.default_rng(day)
    if kind == "bars":
        times = day * DAY_NS + np.arange(DAY_NS // interval_ns) * interval_ns
        close = 60_000 + rng.integers(-500, 500, len(times))
        volume = rng.integers(1, 9_000, len(times))
        keep = (times >= since) & (times < until) & ~((times >= HOLE[0]) & (times < HOLE[1]))
        if not keep.any():
            return empty_tape(kind, venue="fake", symbol=symbol, interval_ns=interval_ns, source="fake")
        price = Decimals(close[keep], 1)
        bars = Bars(times[keep], price, price, price, price, Decimals(volume[keep], 3))
        return bars_tape(bars, venue="fake", symbol=symbol, interval_ns=interval_ns, origin=Origin("fake"))
    # Every tenth day has one decimal less: days are kept at scales of their own.
    coarse = 10 if day % 10 == 0 else 1
    at = np.sort(day * DAY_NS + rng.integers(0, DAY_NS, TRADES_A_DAY))
    price, size = rng.integers(5_900, 6_100, TRADES_A_DAY) * 10 * coarse + 10, rng.integers(1, 99, TRADES_A_DAY)
    side = rng.choice(np.array([-1, 1], dtype=np.int8), TRADES_A_DAY)
    keep = (at >= since) & (at < until)
    if not keep.any():
        return empty_tape(kind, venue="fake", symbol=symbol, interval_ns=0, source="fake")
    columns = {"ts_venue": at, "ts": at.copy(), "price": price // coarse // 10, "size": size, "side": side}
    columns = {name: column[keep] for name, column in columns.items()}
    columns["flags"] = np.zeros(len(columns["ts"]), dtype=np.int8)
    return Tape(
        kind="trades", venue="fake", symbol=symbol, columns=columns, price_scale=1, size_scale=2, source="fake",
    )  # fmt: skip


def history(
    root: Path | None, kind: Kind, start: int, end: int | None, fetcher: FakeFetcher | None = None
) -> FetchedHistory:
    """The door that a config's source opens."""
    interval_ns = MINUTE if kind == "bars" else 0
    return FetchedHistory(
        fetcher or FakeFetcher(), kind=kind, symbol="X", interval_ns=interval_ns, start=start, end=end, cache=root
    )


def loaded(root: Path | None, kind: Kind, start: int, end: int | None, fetcher: FakeFetcher | None = None) -> Rows:
    """The tape of a range."""
    return asyncio.run(history(root, kind, start, end, fetcher).load())


def rows_in(tape: Rows) -> list[tuple[int, ...]]:
    """Every row as numbers, whatever scale it is kept at."""
    columns = tape.load().columns
    return list(zip(*(column.tolist() for column in columns.values()), strict=True))


# --- as a program ---------------------------------------------------------------------------------------------------

LINES = {"count": 0}


def kill_at(line: int) -> None:
    """Count lines of the code that keeps rows, in all threads, and die at this one as if by kill -9."""

    def within(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            LINES["count"] += 1
            if LINES["count"] == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return within

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = Path(frame.f_code.co_filename)
        watched = name.parent.name == "adapters" and name.name.startswith(("cache", "tape_file", "fetched_history"))
        return within if watched else None

    sys.settrace(trace)
    threading.settrace(trace)


def main(root: str, kind: Any, days: str, line: str = "0") -> None:
    fetcher = FakeFetcher()
    kill_at(int(line))
    tape = loaded(Path(root), kind, MAY_4 + 300 * MINUTE, MAY_4 + int(days) * DAY_NS, fetcher)
    sys.settrace(None)
    print(tape.tape_id, LINES["count"], fetcher.asked)


def serve() -> None:
    """Each download in a process of its own, forked from this one: what takes long is to start the interpreter."""
    import pyarrow.parquet  # noqa: F401  # once for all of them

    for words in sys.stdin:
        child = os.fork()
        if not child:
            main(*words.split())
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
    else:
        serve()
