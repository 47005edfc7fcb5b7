"""Rows of the cache as tapes: cut by the time under which they are kept, put together, made into what a run plays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from adapters.columns import PRICES, Bars, Origin, bars_joined, bars_tape, gaps_of
from adapters.decimals import BadCell, Decimals, joined, reduced
from adapters.marks import funding_tape, price_tape
from adapters.tapes.joined_tape import JoinedTape
from core.tape import COLUMNS, SIZES, Column, Gap, Kind, Rows, Tape, in_memory, is_number

NOTES_MAX = 20
"""Sentences kept of one period's readers."""


def kept_at(tape: Tape) -> Column:
    """The time under which each row is kept: of bars the open time, else the venue's."""
    times: Column = tape.columns["ts_venue"] - tape.interval_ns
    return times


def taken(tape: Tape, since: int, until: int) -> Tape:
    """The rows kept under [since, until)."""
    times = kept_at(tape)
    mask = (times >= since) & (times < until)
    if mask.all():
        return tape
    gaps = [
        Gap(since=max(gap.since, since), until=min(gap.until, until), rows=gap.rows)
        for gap in tape.gaps
        if gap.since < until and gap.until > since
    ]
    return in_memory(tape, {name: column[mask] for name, column in tape.columns.items()}, gaps)


def together(tapes: Sequence[Tape], *, venue: str) -> Tape:
    """Tapes that follow one another as one, at the smallest scales. Raises DataError where no scale fits an int64."""
    first = tapes[0]
    source = "; ".join(dict.fromkeys(tape.source for tape in tapes if tape.source))
    columns = {name: np.concatenate([tape.columns[name] for tape in tapes]) for name in COLUMNS[first.kind]}
    scales = {}
    for which in ("price", "size"):
        names = [name for name in COLUMNS[first.kind] if is_number(name) and (name in SIZES) == (which == "size")]
        numbers = {name: _joined(tapes, name, which, source) for name in names}
        scales[which] = max((number.scale for number in numbers.values()), default=0)
        columns |= {name: number.at_scale(scales[which]) for name, number in numbers.items()}
    if not first.interval_ns:
        columns["ts"] = np.maximum.accumulate(columns["ts"])
    return Tape(
        kind=first.kind,
        venue=venue,
        symbol=first.symbol,
        columns=columns,
        price_scale=scales["price"],
        size_scale=scales["size"],
        interval_ns=first.interval_ns,
        source=source,
        gaps=tuple(gap for tape in tapes for gap in tape.gaps),
        notes=tuple(dict.fromkeys(note for tape in tapes for note in tape.notes))[:NOTES_MAX],
    )


def _joined(tapes: Sequence[Tape], name: str, which: str, source: str) -> Decimals:
    """One column of numbers at its smallest scale."""
    parts = [Decimals(tape.columns[name], getattr(tape, f"{which}_scale")) for tape in tapes]
    try:
        return reduced(joined(parts))
    except BadCell as cell:
        raise Origin(source).cell(name, cell) from None


def played(
    kind: Kind,
    parts: Sequence[Rows],
    *,
    venue: str,
    interval_ns: int,
    origin: Origin,
    max_gap_ns: int | None = None,
    notes: Iterable[str] = (),
) -> Rows:
    """What a run plays: bars and rates checked and in memory, ticks read part by part. Raises DataError."""
    told = tuple(notes)
    symbol = parts[0].symbol
    if kind == "funding":
        tapes = [part.load() for part in parts]
        rate, mark = (
            joined([Decimals(tape.columns[name], scale_of(tape, name)) for tape in tapes]) for name in ("rate", "mark")
        )
        times = np.concatenate([tape.columns["ts_venue"] for tape in tapes])
        return funding_tape(times, rate, mark, venue=venue, symbol=symbol, origin=origin, notes=told)
    if interval_ns:
        bars = bars_joined([bars_of(part) for part in parts], origin)
        if kind == "bars":
            return bars_tape(
                bars,
                venue=venue,
                symbol=symbol,
                interval_ns=interval_ns,
                origin=origin,
                max_gap_ns=max_gap_ns,
                notes=told,
            )
        return price_tape(kind, bars, venue=venue, symbol=symbol, interval_ns=interval_ns, origin=origin, notes=told)
    own = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    gaps = tuple(gap for part in parts for gap in part.gaps)
    tape = JoinedTape(parts, venue=venue, source=origin.name, gaps=gaps, notes=(*told, *own[:NOTES_MAX]))
    return tape.load() if all(isinstance(part, Tape) for part in parts) else tape


def scale_of(tape: Tape, name: str) -> int:
    """Decimals of a column of numbers."""
    return tape.size_scale if name in SIZES else tape.price_scale


def bars_of(part: Rows) -> Bars:
    """Bars, marks or indexes as rows again; at least one. Their id is not checked: what is made of them has its own."""
    (columns,) = part.chunks(len(part))
    volume = columns.get("volume", np.zeros(len(part), dtype=np.int64))
    numbers = {name: Decimals(columns[name], part.price_scale) for name in PRICES}
    return Bars(times=columns["ts_venue"] - part.interval_ns, volume=Decimals(volume, part.size_scale), **numbers)


def with_gaps(tape: Tape) -> Tape:
    """Bars with the holes between their rows listed."""
    return in_memory(tape, tape.columns, gaps_of(kept_at(tape), tape.interval_ns)) if tape.interval_ns else tape
