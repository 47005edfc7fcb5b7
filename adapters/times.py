"""Times as files and venues write them, as int64 nanoseconds UTC.

The unit of a number is read off its size (one file may change from milliseconds to microseconds: Binance spot did on
2025-01-01): >= 1e18 nanoseconds, >= 1e15 microseconds, >= 1e12 milliseconds, >= 1e9 seconds. Text is ISO-8601; without
an offset it is UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from adapters.decimals import BadCell, Column, Decimals

_UNITS = (
    # smallest number of this unit, its length in ns, the largest that still fits an int64 of nanoseconds
    (10**18, 1, 2**63 - 1),
    (10**15, 1_000, (2**63 - 1) // 1_000),
    (10**12, 1_000_000, (2**63 - 1) // 1_000_000),
    (10**9, 1_000_000_000, (2**63 - 1) // 1_000_000_000),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(2262, 4, 11, tzinfo=UTC)
"""The last full day that int64 nanoseconds reach."""


def from_numbers(numbers: Decimals) -> Column:
    """Epoch times in s, ms, µs or ns, told apart row by row. Raises BadCell for the first that is no time."""
    factor = 10**numbers.scale
    whole, fraction = np.divmod(numbers.mantissas, factor)
    out = np.zeros(len(whole), dtype=np.int64)
    known = np.zeros(len(whole), dtype=bool)
    for smallest, length, largest in _UNITS:
        mine = ~known & (whole >= smallest)
        if not np.any(mine):
            continue
        late = np.flatnonzero(mine & (whole >= largest))
        if len(late):
            row = int(late[0])
            raise BadCell(row, numbers.text(row), "lies beyond the year 2262")
        # Cannot overflow for rows of this unit: a mantissa of 18 digits leaves at most nine for the fraction.
        part = fraction * length // factor
        out = np.where(mine, whole * length + part, out)
        known |= mine
    early = np.flatnonzero(~known)
    if len(early):
        row = int(early[0])
        raise BadCell(row, numbers.text(row), "is no time in s, ms, us or ns since 1970 (2001 or later)")
    return out


def from_iso(cells: Sequence[str]) -> Column:
    """ISO-8601 texts. Raises BadCell."""
    out = np.empty(len(cells), dtype=np.int64)
    for index, cell in enumerate(cells):
        out[index] = _iso(index, cell)
    return out


def _iso(index: int, cell: str) -> int:
    text, nanos = cell.strip(), 0
    head, dot, tail = text.partition(".")
    if dot:
        # datetime stops at microseconds; the last three of nine digits are added by hand.
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        if len(digits) > 9:
            raise BadCell(index, cell, "has more than nine digits of a second")
        nanos = int(digits.ljust(9, "0")[6:])
        text = f"{head}.{digits.ljust(6, '0')[:6]}{tail[len(digits) :]}"
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        raise BadCell(index, cell, "is no ISO-8601 time such as 2025-05-04T15:33:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if not _EPOCH <= moment < _LAST:
        raise BadCell(index, cell, "lies outside 1970 to 2262")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000 + nanos


def from_datetime64(values: Column) -> Column:
    """A numpy datetime column of any unit. Raises BadCell for NaT and for what int64 nanoseconds do not reach."""
    missing = np.flatnonzero(np.isnat(values))
    if len(missing):
        raise BadCell(int(missing[0]), "NaT", "is no time")
    days = values.astype("datetime64[D]").astype(np.int64)
    late = np.flatnonzero((days < 0) | (days >= (_LAST - _EPOCH).days))
    if len(late):
        row = int(late[0])
        raise BadCell(row, str(values[row]), "lies outside 1970 to 2262")
    return values.astype("datetime64[ns]").astype(np.int64)
