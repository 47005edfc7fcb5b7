"""What a public dump held, as parts by days: the same for every venue that has dumps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from adapters.columns import Bars
from adapters.fetching.day_parts import in_range
from adapters.fetching.fetch import Fetched
from adapters.fetching.routes import Ask, DumpSpan
from adapters.fetching.rows_tape import empty_tape, rows_tape
from core.moments import DAY_NS
from core.tape import Tape, gaps_within, in_memory


def bars_by_day(
    bars: Bars, ask: Ask, span: DumpSpan, *, venue: str, source: str, notes: tuple[str, ...]
) -> Iterator[Fetched]:
    """A part for each day of the span, empty ones too. Raises DataError."""
    for day in range(span.since, span.until, DAY_NS):
        tape = rows_tape(
            ask.kind,
            [in_range(bars, day, day + DAY_NS)],
            venue=venue,
            symbol=ask.symbol,
            interval_ns=ask.interval_ns,
            source=source,
            notes=notes,
        )
        yield Fetched(tape, day, day + DAY_NS)


def ticks_by_day(
    tapes: Iterator[Tape], ask: Ask, span: DumpSpan, *, source: str, notes: tuple[str, ...], venue: str
) -> Iterator[Fetched]:
    """A part for each day of the span, empty ones too, from tapes of a day each, oldest first. Raises DataError."""
    left = deque(_days(span))

    def nothing() -> Fetched:
        names: dict[str, Any] = {"venue": venue, "symbol": ask.symbol, "source": source, "notes": notes}
        return Fetched(empty_tape(ask.kind, interval_ns=0, **names), *left.popleft()[1:])

    for tape in tapes:
        day = int(tape.columns["ts_venue"].max()) // DAY_NS
        while left and left[0].since // DAY_NS < day:
            yield nothing()
        if left and left[0].since // DAY_NS == day:
            yield within(tape, left.popleft(), source=source, notes=notes)
        if not left:
            return
    while left:
        yield nothing()


def _days(span: DumpSpan) -> Iterator[DumpSpan]:
    """A span cut at its midnights."""
    since = span.since
    while since < span.until:
        until = min((since // DAY_NS + 1) * DAY_NS, span.until)
        yield DumpSpan("day", since, until)
        since = until


def within(tape: Tape, span: DumpSpan, *, source: str, notes: tuple[str, ...]) -> Fetched:
    """The span's rows of a tape read from a day's dump, without those of other days that stand there now and then.

    Of depth nothing is left out, since a book needs every row: what was made beyond a midnight counts as made at it.
    """
    times, midnight = tape.columns["ts_venue"], span.since // DAY_NS * DAY_NS
    of_day = (times >= midnight) & (times < midnight + DAY_NS)
    strays = len(tape) - int(np.count_nonzero(of_day))
    columns, gaps = tape.columns, tape.gaps
    if strays and tape.kind == "depth":
        clipped = np.clip(times, span.since, span.until - 1)
        columns = {**columns, "ts_venue": clipped, "ts": np.maximum(columns["ts"], clipped)}
        notes = (*notes, f"{strays} rows of the dump were made beyond its day: they count as made at its midnight")
    elif tape.kind != "depth":
        mine = of_day & (times >= span.since) & (times < span.until)
        columns = {name: column[mine] for name, column in columns.items()}
        gaps = gaps_within(gaps, span.since, span.until)
        notes = (*notes, *([f"{strays} rows of other days in the dump are left out"] if strays else []))
    kept = in_memory(tape, columns, gaps, source=source, notes=(*notes, *tape.notes))
    return Fetched(kept, span.since, span.until)
