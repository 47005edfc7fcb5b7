"""What the data covers of a run: where it is cut, when the run starts and ends, and what must be said about the rest.

A run begins with its first bar or tick even where `run.start` lies earlier: days on which nothing could happen would
only dilute its ratios. Marks, index and funding belong to what is traded and never make a run longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from core.config import RunSection
from core.errors import DataError
from core.instruments import Instrument, decimals_of
from core.moments import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from core.plain_text import iso_minute
from core.tape import Rows

UNITS = (("day", DAY_NS), ("hour", HOUR_NS), ("minute", MINUTE_NS), ("second", SECOND_NS))
TRADED = ("bars", "trades", "quotes", "depth", "l3")
"""Kinds that a market is made of; a run lasts as long as they do."""
DIGITS_MAX = 15
"""Digits that every float keeps: a strategy is shown prices as floats, and equity is marked at what it was shown."""


class Coverage(NamedTuple):
    """The tapes of a run, cut to it. `history` and `played` are in the order of the run's tapes."""

    history: list[Rows | None]
    """What lies before the run, for warm-up and models that look back; None without `run.start`."""
    played: list[Rows]
    start: int
    """The later of `run.start` and the first bar's open or tick, int nanoseconds UTC."""
    end: int
    """The last bar's close, or the receipt of the last tick."""
    warnings: list[str]
    """What the run asked for and the data does not have, one sentence each."""


def cover(tapes: Sequence[Rows], run: RunSection) -> Coverage:
    """Cut each tape to `run.start` and `run.end`. Raises DataError where nothing tradable lies between them.

    What follows the last bar or tick is no part of the run: rates that go on would be charged on a price that is over.
    """
    traded = [_market_within(tape, run) for tape in tapes if tape.kind in TRADED]
    if not traded:
        raise DataError(f"there is nothing to trade on: `data` has no {', '.join(TRADED[:-1])} or {TRADED[-1]}")
    start, end = min(_first(tape, run.start) for tape in traded), max(map(_last, traded))
    markets = iter(traded)
    history: list[Rows | None] = []
    played: list[Rows] = []
    warnings: list[str] = []
    for tape in tapes:
        part = next(markets) if tape.kind in TRADED else tape.between(run.start, end)
        if len(part):
            history.append(tape.between(None, run.start) if run.start is not None else None)
            played.append(part)
        else:
            warnings.append(f"{tape.symbol}: no {tape.kind} of {tape.source} lie within the run")
    warnings += _run_beyond_data(run, traded, start, end)
    for tape in played:
        warnings += _tape_within(tape, run.start, start, end)
    return Coverage(history, played, start, end, warnings)


def _market_within(tape: Rows, run: RunSection) -> Rows:
    """What of it lies between `run.start` and `run.end`. Raises DataError where nothing does."""
    part = tape.between(run.start, run.end)
    if len(part):
        return part
    rows = "bar" if tape.kind == "bars" else f"row ({tape.kind})"
    raise DataError(
        f"{tape.symbol}: no {rows} of {tape.source} lies between run.start and run.end; the source holds "
        f"{len(tape)} {'bars' if tape.kind == 'bars' else 'rows'}"
    )


def check_grid(tapes: Sequence[Rows], instruments: Mapping[tuple[str, str], Instrument]) -> None:
    """Raises DataError where a price lies below one tick, or takes more digits on the grid than a float has."""
    for tape in tapes:
        instrument = instruments[tape.venue, tape.symbol]
        found = tape.lowest
        if found is None:
            continue
        lowest = Decimal(found).scaleb(-tape.price_scale)
        digits = decimals_of(instrument.tick) + lowest.adjusted() + 1
        if lowest < instrument.tick:
            fault = f"coarser than the prices of {tape.source}, which go down to {lowest:f}"
        elif digits > DIGITS_MAX:
            fault = f"too fine: on it {lowest:f} of {tape.source} takes {digits} digits, {DIGITS_MAX} are exact"
        else:
            continue
        raise DataError(
            f"{tape.symbol}: the tick {instrument.tick:f} is {fault}; give `instruments.{tape.symbol}.tick` the price "
            "increment of the venue"
        )


def _run_beyond_data(run: RunSection, traded: Sequence[Rows], start: int, end: int) -> Iterator[str]:
    """Where the run was meant to be longer than the data, by a bar or more."""
    row = "bar" if all(tape.kind == "bars" for tape in traded) else "row"
    grain = min(map(_grain, traded))
    if run.start is not None and start - run.start >= grain:
        yield f"run.start {iso_minute(run.start)} lies before the first {row} {iso_minute(start)}: the run begins there"
    if run.end is not None and run.end - end >= grain:
        ends = iso_minute(end)
        yield f"run.end {iso_minute(run.end)} lies after the last {row}, which ends {ends}: the run ends there"


def _tape_within(tape: Rows, cut: int | None, start: int, end: int) -> Iterator[str]:
    """Where a tape is shorter than the run, by a bar or more, where it has holes, and where it is hardly there."""
    name = tape.symbol if tape.kind == "bars" else f"{tape.symbol} {tape.kind}"
    trades = tape.kind in TRADED
    late, early = _first(tape, cut) - start, end - _last(tape)
    if late >= _grain(tape):
        began = iso_minute(_first(tape, cut))
        so = "; nothing of it trades before" if trades else ""
        yield f"{name}: data begins {began}, {_length(late)} after the run does{so}"
    if early >= _grain(tape):
        so = "; its last price stands still after that" if trades else ""
        yield f"{name}: data ends {iso_minute(_last(tape))}, {_length(early)} before the run does{so}"
    if tape.gaps and tape.kind != "bars":  # what reads bars tells of theirs
        longest = max(tape.gaps, key=lambda gap: gap.until - gap.since)
        many = "1 gap" if len(tape.gaps) == 1 else f"{len(tape.gaps):,} gaps, the longest"
        yield f"{name}: {many} of {_length(longest.until - longest.since)} from {iso_minute(longest.since)}"
    if len(tape) == 1 and tape.kind == "bars":
        yield f"{name}: the data holds 1 bar: a decision on it has no next bar to meet"


def _first(tape: Rows, cut: int | None) -> int:
    """When a tape begins to tell: the open of its first bar, the receipt of its first tick.

    Depth from before the cut only builds the book that is there at the cut.
    """
    if tape.kind == "bars" or tape.interval_ns:
        return tape.edges.first_ts_venue - tape.interval_ns
    return max(tape.edges.first_ts, cut or 0)


def _last(tape: Rows) -> int:
    return tape.edges.last_ts_venue if tape.kind == "bars" or tape.interval_ns else tape.edges.last_ts


def _grain(tape: Rows) -> int:
    """Less than this is not worth a word: a bar; a minute of ticks; funding comes every few hours."""
    if tape.kind == "funding":
        return 8 * HOUR_NS + MINUTE_NS
    return tape.interval_ns or MINUTE_NS


def _length(ns: int) -> str:
    """In the largest unit of which there is at least one, cut."""
    for name, unit in UNITS:
        if ns >= unit:
            return f"{ns // unit:,} {name}{'' if ns // unit == 1 else 's'}"
    return f"{ns:,} ns"
