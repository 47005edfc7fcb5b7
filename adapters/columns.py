"""From bars as somebody wrote them to a tape that can be believed: every check a reader owes, in one place.

A bar's time in a file is its *open* time; the tape keeps its close (`ts_venue`) and its receipt (`ts`, the same until
a run adds its feed latency). Nothing is repaired, sorted, filled or dropped here: what is wrong is refused with the
row that shows it, and what is merely odd (newest first, holes, bars without volume, a changing price grid) becomes a
note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import numpy as np

from adapters.decimals import BadCell, Column, Decimals, joined, reduced
from core.errors import DataError
from core.moments import DAY_NS, HOUR_NS, MINUTE_NS, MS_NS, SECOND_NS
from core.tape import Gap, Tape

WEEK_NS = 7 * DAY_NS
NS_MAX = 2**63 - 1
MONDAY_NS = 4 * DAY_NS
"""1970-01-05, the first Monday: venues start their weeks there."""
PRICES = ("open", "high", "low", "close")
FIELDS = ("time", *PRICES, "volume")
GRID_CHANGE_ODDS = 1e-9
"""A run of rows without the finest decimal is reported when chance would give it less often than this. Guess."""
GRID_CHANGE_ROWS = 30
"""Fewer rows with the finest decimal than this say nothing about a grid (single odd prints do occur). Guess."""


class Origin(NamedTuple):
    """Where rows came from, so that an error can point at one."""

    name: str
    """File name or endpoint, for people."""
    unit: str = "row"
    """`line` in text files, else `row`."""
    first: int = 1
    """Number of the first row in `unit`s."""
    step: int = 1
    """-1 where the rows are read from the file's end."""

    def error(self, index: int, column: str, found: str, expected: str, remedy: str) -> DataError:
        """One sentence: file, row, column, what stands there, what was expected, what to do."""
        place = f"{self.unit} {self.first + self.step * index}, column `{column}`"
        return DataError(f"{self.name}: {place}: {found}; expected {expected}; {remedy}")

    def whole(self, found: str, expected: str, remedy: str) -> DataError:
        """The same for what is wrong with the file as a whole."""
        return DataError(f"{self.name}: {found}; expected {expected}; {remedy}")

    def cell(self, column: str, cell: BadCell) -> DataError:
        """A cell that is no number."""
        return self.error(
            cell.index, column, f"{cell.text!r} {cell.why}", "a decimal number such as 60123.4", "correct the row"
        )


class Bars(msgspec.Struct, frozen=True):
    """Bars as read: columns of equal length, nothing believed yet."""

    times: Column
    """Open times, int64 nanoseconds UTC."""
    open: Decimals
    high: Decimals
    low: Decimals
    close: Decimals
    volume: Decimals
    """Base units."""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def prices(self) -> tuple[Decimals, Decimals, Decimals, Decimals]:
        """open, high, low, close, each at its own scale."""
        return self.open, self.high, self.low, self.close

    def taken(self, keep: Column | slice) -> Bars:
        """The rows that an index, a mask or a slice picks."""
        columns = (Decimals(column.mantissas[keep], column.scale) for column in (*self.prices, self.volume))
        return Bars(self.times[keep], *columns)


def oldest_first(bars: Bars, origin: Origin) -> tuple[Bars, Origin, tuple[str, ...]]:
    """A file that some sites write newest first, read from its end, with a note; any other as it is.

    Two rows in the wrong order are a mistake and no habit.
    """
    if len(bars) < 3 or not np.all(np.diff(bars.times) < 0):
        return bars, origin, ()
    turned = bars.taken(np.arange(len(bars))[::-1])
    return turned, origin._replace(first=origin.first + len(bars) - 1, step=-1), ("newest first, read from the end",)


def bars_joined(parts: Sequence[Bars], origin: Origin) -> Bars:
    """Bars one after the other. Raises DataError where no common scale fits an int64."""
    try:
        return Bars(
            np.concatenate([part.times for part in parts]),
            *(joined([getattr(part, name) for part in parts]) for name in (*PRICES, "volume")),
        )
    except BadCell as cell:
        raise origin.whole(f"the number {cell.text} {cell.why}", "numbers of at most 18 digits", "correct it") from None


def bars_tape(
    bars: Bars,
    *,
    venue: str,
    symbol: str,
    interval_ns: int,
    origin: Origin,
    max_gap_ns: int | None = None,
    notes: Sequence[str] = (),
) -> Tape:
    """Check everything and make the tape. Raises DataError for the first thing that is wrong."""
    if len(bars) == 0:
        raise origin.whole("holds no bars", "at least one row", "check the path, or fetch the data again")
    check_times(bars.times, interval_ns, origin)
    price_scale = max(column.scale for column in bars.prices)
    prices = {name: _at_scale(getattr(bars, name), price_scale, name, origin) for name in PRICES}
    volume = reduced(bars.volume)
    _check_values(prices, volume, price_scale, origin)
    gaps = gaps_of(bars.times, interval_ns)
    _check_gaps(gaps, max_gap_ns, origin)
    fine = _grid_change("price", prices.values(), price_scale) + _grid_change(
        "volume", [volume.mantissas], volume.scale
    )
    while price_scale > 0 and not any(np.any(column % 10) for column in prices.values()):
        prices, price_scale = {name: column // 10 for name, column in prices.items()}, price_scale - 1
    closes = bars.times + interval_ns
    return Tape(
        kind="bars",
        venue=venue,
        symbol=symbol,
        columns={"ts_venue": closes, "ts": closes, **prices, "volume": volume.mantissas},
        price_scale=price_scale,
        size_scale=volume.scale,
        interval_ns=interval_ns,
        source=origin.name,
        gaps=gaps,
        notes=(*notes, *_gap_notes(gaps), *_silent_notes(volume), *fine),
    )


# --- times ----------------------------------------------------------------------------------------------------------


def grid_origin(interval_ns: int) -> int:
    """A time at which some bar of this length opens: the epoch, for whole weeks a Monday."""
    return MONDAY_NS if interval_ns % WEEK_NS == 0 else 0


def check_times(times: Column, interval_ns: int, origin: Origin) -> None:
    """Ascending, no duplicates, of the interval asked for, on its grid. Raises DataError."""
    if (latest := int(times.max())) > NS_MAX - interval_ns:
        raise origin.error(
            int(np.argmax(times)),
            "time",
            f"{stamp(latest)}: its bar ends after 2262",
            "a time before",
            "correct the row",
        )
    steps = np.diff(times)
    wrong = np.flatnonzero(steps <= 0)
    if len(wrong):
        row = int(wrong[0]) + 1
        if steps[row - 1] == 0:
            raise origin.error(
                row, "time", f"{stamp(times[row])} stands there twice", "each time once", "remove the duplicate"
            )
        raise origin.error(
            row,
            "time",
            f"{stamp(times[row])} comes after {stamp(times[row - 1])}",
            "rows sorted by time, oldest first",
            "sort the file",
        )
    if len(steps) and steps.min() < interval_ns:
        _refuse_short_steps(times, steps, interval_ns, origin)
    off = np.flatnonzero((times - _phase(times, interval_ns)) % interval_ns)
    if len(off):
        row = int(off[0])
        raise origin.error(
            row,
            "time",
            f"{stamp(times[row])} is not on the grid of {span(interval_ns)} bars",
            "open times at full intervals (UTC)",
            "shift or remove the row (are these close times, or local times?)",
        )


def _phase(times: Column, interval_ns: int) -> int:
    """Longer bars than a day have no agreed origin (weeks excepted): their first row sets the grid."""
    if interval_ns > DAY_NS and interval_ns % WEEK_NS:
        return int(times[0])
    return grid_origin(interval_ns)


def check_no_longer(times: Column, interval_ns: int, origin: Origin) -> None:
    """A file whose rows are all further apart than the interval holds other bars. Raises DataError.

    Not for rows that a venue was asked for by their interval: there the same is a market with holes.
    """
    steps = np.diff(times)
    if len(steps) and steps.min() > interval_ns:
        raise _other_interval(steps, interval_ns, origin)


def _other_interval(steps: Column, interval_ns: int, origin: Origin) -> DataError:
    lengths, counts = np.unique(steps, return_counts=True)
    common = int(lengths[np.argmax(counts)])
    return origin.whole(
        f"holds bars of {span(common)} (the most frequent step between rows)",
        f"bars of {span(interval_ns)}, as the config's `interval` says",
        f"set `interval: {span(common)}`, or point `path` to the other file",
    )


def _refuse_short_steps(times: Column, steps: Column, interval_ns: int, origin: Origin) -> None:
    """Steps shorter than the interval: either the whole file has another one, or single rows are astray."""
    lengths, counts = np.unique(steps, return_counts=True)
    if lengths[np.argmax(counts)] < interval_ns:
        raise _other_interval(steps, interval_ns, origin)
    row = int(np.flatnonzero(steps < interval_ns)[0]) + 1
    raise origin.error(
        row,
        "time",
        f"{stamp(times[row])} follows {stamp(times[row - 1])} after {span(int(steps[row - 1]))}",
        f"steps of {span(interval_ns)} or multiples of it",
        "remove the row, or set the `interval` the file has",
    )


def gaps_of(times: Column, interval_ns: int) -> tuple[Gap, ...]:
    """Holes between sorted open times, in open times: from the first bar that is missing to the next that is there."""
    steps = np.diff(times)
    return tuple(
        Gap(
            since=int(times[i]) + interval_ns,
            until=int(times[i + 1]),
            rows=int(steps[i]) // interval_ns - 1,
        )
        for i in np.flatnonzero(steps > interval_ns)
    )


def _check_gaps(gaps: Sequence[Gap], max_gap_ns: int | None, origin: Origin) -> None:
    if max_gap_ns is None or not gaps:
        return
    widest = max(gaps, key=lambda gap: gap.until - gap.since)
    if widest.until - widest.since > max_gap_ns:
        raise origin.whole(
            f"{_gap_text(widest)}",
            f"no hole longer than `max_gap: {span(max_gap_ns)}`",
            f"fetch the missing rows, or accept the hole with `max_gap: {span(widest.until - widest.since)}`",
        )


# --- values ---------------------------------------------------------------------------------------------------------


def _at_scale(column: Decimals, scale: int, name: str, origin: Origin) -> Column:
    try:
        return column.at_scale(scale)
    except BadCell as cell:
        raise origin.cell(name, cell) from None


def _check_values(prices: dict[str, Column], volume: Decimals, scale: int, origin: Origin) -> None:
    """Prices above zero, volume not below, high and low around open and close. Raises DataError for the first row."""
    for name, column in prices.items():
        _refuse(column <= 0, column, scale, name, "is not above zero", "a price above zero", origin)
    _refuse(volume.mantissas < 0, volume.mantissas, volume.scale, "volume", "is negative", "zero or more", origin)
    high, low = prices["high"], prices["low"]
    inverted = np.flatnonzero(high < low)
    if len(inverted):
        row = int(inverted[0])
        raise origin.error(
            row,
            "high",
            f"{Decimals(high, scale).text(row)} is below the low {Decimals(low, scale).text(row)}",
            "high >= low",
            "correct the row (are the columns in another order?)",
        )
    for name in ("open", "close"):
        column = prices[name]
        lowest, highest = Decimals(low, scale), Decimals(high, scale)
        outside = np.flatnonzero((column > high) | (column < low))
        if len(outside):
            row = int(outside[0])
            raise origin.error(
                row,
                name,
                f"{Decimals(column, scale).text(row)} is outside low..high",
                f"a value from {lowest.text(row)} to {highest.text(row)}",
                "correct the row (are the columns in another order?)",
            )


def _refuse(bad: Column, column: Column, scale: int, name: str, found: str, expected: str, origin: Origin) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        row = int(rows[0])
        value = Decimals(column, scale).text(row)
        raise origin.error(row, name, f"{value} {found}", expected, "correct or remove the row")


# --- notes ----------------------------------------------------------------------------------------------------------


def _gap_text(gap: Gap) -> str:
    plural = "bar" if gap.rows == 1 else "bars"
    return f"{gap.rows} {plural} missing from {stamp(gap.since)} to {stamp(gap.until)}"


def _gap_notes(gaps: Sequence[Gap]) -> tuple[str, ...]:
    if not gaps:
        return ()
    rows = sum(gap.rows for gap in gaps)
    holes = "1 hole" if len(gaps) == 1 else f"{len(gaps)} holes, {rows} bars in all"
    widest = max(gaps, key=lambda gap: gap.rows)
    which = "" if len(gaps) == 1 else "the longest: "
    return (f"{holes}, left as found: {which}{_gap_text(widest)}",)


def _silent_notes(volume: Decimals) -> tuple[str, ...]:
    silent = int(np.count_nonzero(volume.mantissas == 0))
    if silent == 0:
        return ()
    return (f"{silent} of {len(volume.mantissas)} bars without volume: nothing can be filled in them",)


def _grid_change(what: str, columns: Iterable[Column], scale: int) -> tuple[str, ...]:
    """A file whose head or tail lacks the decimal that nearly every other row uses may mix two markets."""
    if scale == 0:
        return ()
    fine = np.logical_or.reduce([column % 10 != 0 for column in columns])
    used = np.flatnonzero(fine)
    if len(used) < GRID_CHANGE_ROWS:
        return ()
    head, tail = int(used[0]), len(fine) - 1 - int(used[-1])
    share = len(used) / (len(fine) - head - tail)
    for count, where in ((head, "first"), (tail, "last")):
        if count and (1 - share) ** count < GRID_CHANGE_ODDS:
            return (
                f"the {where} {count} rows need fewer than the {scale} {what} decimals of the others: "
                "the file may mix two markets, or the grid changed",
            )
    return ()


# --- words ----------------------------------------------------------------------------------------------------------


def stamp(ns: int) -> str:
    """A time as people read it: 2025-05-04 15:33:00Z, with a fraction only where there is one."""
    seconds, rest = divmod(int(ns), SECOND_NS)
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"


def span(ns: int) -> str:
    """A length of time as the config writes it: 1m, 4h, 250ms; compound lengths in their largest exact unit."""
    units = (("d", DAY_NS), ("h", HOUR_NS), ("m", MINUTE_NS), ("s", SECOND_NS), ("ms", MS_NS))
    for name, length in units:
        if ns % length == 0:
            return f"{ns // length}{name}"
    return f"{ns}ns"
