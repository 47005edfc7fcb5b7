"""What a public dump held, as parts by days: the same for every venue that has dumps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adapters.columns import DAY_NS, Bars
from adapters.day_parts import in_range
from adapters.fetch import Fetched
from adapters.routes import Ask, DumpSpan
from adapters.rows_tape import rows_tape
from core.tape import Tape


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


def within(tape: Tape, span: DumpSpan, *, source: str, notes: tuple[str, ...]) -> Fetched:
    """A tape read from a day's dump, without the rows of other days that stand there now and then.

    Of depth nothing is left out, since a book needs every row: what was made beyond a midnight counts as made at it.
    """
    times = tape.columns["ts_venue"]
    mine = (times >= span.since) & (times < span.until)
    strays = len(tape) - int(np.count_nonzero(mine))
    columns = tape.columns
    if strays and tape.kind == "depth":
        clipped = np.clip(times, span.since, span.until - 1)
        columns = {**columns, "ts_venue": clipped, "ts": np.maximum(columns["ts"], clipped)}
        notes = (*notes, f"{strays} rows of the dump were made beyond its day: they count as made at its midnight")
    elif strays:
        columns = {name: column[mine] for name, column in columns.items()}
        notes = (*notes, f"{strays} rows of other days in the dump are left out")
    kept = Tape(
        kind=tape.kind,
        venue=tape.venue,
        symbol=tape.symbol,
        columns=columns,
        price_scale=tape.price_scale,
        size_scale=tape.size_scale,
        interval_ns=tape.interval_ns,
        source=source,
        gaps=tape.gaps,
        notes=(*notes, *tape.notes),
    )
    return Fetched(kept, span.since, span.until)
