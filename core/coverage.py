"""What the data covers of a run: where it is cut, when the run starts and ends, and what must be said about the rest.

A run begins with its first bar even where `run.start` lies earlier: days on which nothing could happen would only
dilute its ratios.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from core.config import RunSection
from core.errors import DataError
from core.instruments import Instrument
from core.report.plain_text import iso
from core.tape import Tape

SECOND_NS = 1_000_000_000
UNITS = (("day", 86_400 * SECOND_NS), ("hour", 3_600 * SECOND_NS), ("minute", 60 * SECOND_NS), ("second", SECOND_NS))


class Coverage(NamedTuple):
    """The tapes of a run, cut to it. `history` and `played` are in the order of the run's tapes."""

    history: list[Tape | None]
    """What lies before the run, for warm-up and models that look back; None without `run.start`."""
    played: list[Tape]
    start: int
    """The later of `run.start` and the first bar's open, int nanoseconds UTC."""
    end: int
    """The last bar's close."""
    warnings: list[str]
    """What the run asked for and the data does not have, one sentence each."""


def cover(tapes: Sequence[Tape], run: RunSection) -> Coverage:
    """Cut each tape to `run.start` and `run.end`. Raises DataError where a tape has no bar between them."""
    history: list[Tape | None] = []
    played = []
    for tape in tapes:
        history.append(tape.between(None, run.start) if run.start is not None else None)
        part = tape.between(run.start, run.end)
        if not len(part):
            raise DataError(
                f"{tape.symbol}: no bar of {tape.source} lies between run.start and run.end; the source holds "
                f"{len(tape)} bars"
            )
        played.append(part)
    start, end = min(map(_first_open, played)), max(map(_last_close, played))
    warnings = [*_run_beyond_data(run, start, end, min(tape.interval_ns for tape in played))]
    for tape in played:
        warnings += _tape_within(tape, start, end)
    return Coverage(history, played, start, end, warnings)


def check_grid(tapes: Sequence[Tape], instruments: Mapping[tuple[str, str], Instrument]) -> None:
    """Raises DataError where a price lies below one tick: on that grid it would be nothing."""
    for tape in tapes:
        tick = instruments[tape.venue, tape.symbol].tick
        lowest = Decimal(int(tape.columns["low"].min())).scaleb(-tape.price_scale)
        if lowest < tick:
            raise DataError(
                f"{tape.symbol}: the tick {tick:f} is coarser than the prices of {tape.source}, which go down to "
                f"{lowest:f}; give `instruments.{tape.symbol}.tick` the price increment of the venue"
            )


def _run_beyond_data(run: RunSection, start: int, end: int, bar_ns: int) -> Iterator[str]:
    """Where the run was meant to be longer than the data, by a bar or more."""
    if run.start is not None and start - run.start >= bar_ns:
        yield f"run.start {_when(run.start)} lies before the first bar {_when(start)}: the run begins there"
    if run.end is not None and run.end - end >= bar_ns:
        yield f"run.end {_when(run.end)} lies after the last bar, which ends {_when(end)}: the run ends there"


def _tape_within(tape: Tape, start: int, end: int) -> Iterator[str]:
    """Where a tape is shorter than the run, by a bar or more, and where it is too short for a trade."""
    late, early = _first_open(tape) - start, end - _last_close(tape)
    if late >= tape.interval_ns:
        began = _when(_first_open(tape))
        yield f"{tape.symbol}: data begins {began}, {_length(late)} after the run does; nothing of it trades before"
    if early >= tape.interval_ns:
        ended = _when(_last_close(tape))
        yield (
            f"{tape.symbol}: data ends {ended}, {_length(early)} before the run does; its last price stands still "
            "after that"
        )
    if len(tape) == 1:
        yield f"{tape.symbol}: the data holds 1 bar: a decision on it has no next bar to meet"


def _first_open(tape: Tape) -> int:
    return int(tape.columns["ts_venue"][0]) - tape.interval_ns


def _last_close(tape: Tape) -> int:
    return int(tape.columns["ts_venue"][-1])


def _when(ts: int) -> str:
    """To the minute, or to the second where it is between two."""
    return f"{iso(ts)[:19].removesuffix(':00')}Z"


def _length(ns: int) -> str:
    """In the largest unit of which there is at least one, cut."""
    for name, unit in UNITS:
        if ns >= unit:
            return f"{ns // unit:,} {name}{'' if ns // unit == 1 else 's'}"
    return f"{ns:,} ns"
