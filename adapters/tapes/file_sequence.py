"""Files that follow one another as one tape: the months of a dump, the days of a recording.

Bars may stand in two files, as they do where somebody fetched the last thirty days twice: the same ones count once,
others are refused. Ticks have no such key, so files of ticks may not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from adapters.columns import PRICES, Bars, Origin, bars_tape, stamp
from adapters.decimals import Decimals, joined
from adapters.kept.cache_rows import NOTES_MAX, bars_of, played
from core.errors import DataError
from core.tape import Rows


class FileRows(NamedTuple):
    """One file, as read."""

    name: str
    rows: Rows

    @property
    def since(self) -> int:
        """Receipt of the first row; of bars the open time of the first."""
        return self.rows.edges.first_ts - self.rows.interval_ns

    @property
    def until(self) -> int:
        """Receipt of the last row; of bars the close time of the last."""
        return self.rows.edges.last_ts


def together(files: Sequence[FileRows], *, max_gap_ns: int | None) -> Rows:
    """The rows of several files of one kind and symbol in order of time. Raises DataError where they contradict."""
    files = sorted((file for file in files if len(file.rows)), key=lambda file: file.since) or files
    kind, interval_ns = files[0].rows.kind, files[0].rows.interval_ns
    parts = _each_bar_once(files) if interval_ns else _apart(files)
    notes = [note for file in files for note in _of_the_file(file.rows)] if kind == "bars" else []
    return played(
        kind,
        parts,
        venue=files[0].rows.venue,
        interval_ns=interval_ns,
        origin=Origin(f"{files[0].name} and {len(files) - 1} more"),
        max_gap_ns=max_gap_ns,
        notes=list(dict.fromkeys(notes))[:NOTES_MAX],
    )


def _apart(files: Sequence[FileRows]) -> list[Rows]:
    for before, after in pairwise(files):
        if after.since < before.until:
            raise Origin(after.name).whole(
                f"begins at {stamp(after.since)}, before {before.name} is over at {stamp(before.until)}",
                "files that follow one another",
                "name the files of each stretch of time once",
            )
    return [file.rows for file in files]


def _each_bar_once(files: Sequence[FileRows]) -> list[Rows]:
    """Of each file what no file before it has; what both have is the same."""
    parts: list[Rows] = [files[0].rows]
    until, latest = files[0].until, files[0]
    for file in files[1:]:
        if file.since < until:
            _check_same(latest, file, file.since, min(until, file.until))
        part = file.rows.between(until, None)
        if len(part):
            parts.append(part)
        if file.until > until:
            until, latest = file.until, file
    return parts


def _check_same(one: FileRows, other: FileRows, since: int, until: int) -> None:
    """Whether two files have the same bars in a range of open times. Raises DataError with the first difference."""
    bars, others = (_opened(bars_of(file.rows), since, until) for file in (one, other))
    astray = np.setxor1d(bars.times, others.times)
    if not len(astray):
        astray = bars.times[~_equal(bars, others)]
    if len(astray):
        raise DataError(
            f"{one.name} and {other.name} both have bars from {stamp(since)} to {stamp(until)}, and first differ at "
            f"{stamp(astray[0])}; expected the same bars; leave one of the files out, or cut it"
        )


def _opened(bars: Bars, since: int, until: int) -> Bars:
    """Those that open in [since, until); where there is a hole it may be none."""
    return bars.taken((bars.times >= since) & (bars.times < until))


def _equal(bars: Bars, others: Bars) -> np.ndarray:
    """Row by row, whether all numbers are the same."""
    same = np.ones(len(bars), dtype=bool)
    for name in (*PRICES, "volume"):
        both: Decimals = joined([getattr(bars, name), getattr(others, name)])
        same &= both.mantissas[: len(bars)] == both.mantissas[len(bars) :]
    return same


def _of_the_file(rows: Rows) -> list[str]:
    """What was noted of a file of bars, without what its rows say of themselves: that is said of all files together."""
    tape = bars_tape(
        bars_of(rows),
        venue=rows.venue,
        symbol=rows.symbol,
        interval_ns=rows.interval_ns,
        origin=Origin(rows.source),
    )
    return [note for note in rows.notes if note not in tape.notes]
