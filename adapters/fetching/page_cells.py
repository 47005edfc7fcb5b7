"""Cells of a venue's page to exact columns. What is no number is told with its row and the venue's own field name."""

from __future__ import annotations

from collections.abc import Sequence

from adapters import decimals, times
from adapters.columns import Origin
from adapters.decimals import BadCell, Column, Decimals
from core.errors import DataError


def numbers_of(cells: Sequence[str], name: str, origin: Origin) -> Decimals:
    """Decimal numbers as text. Raises DataError."""
    try:
        return decimals.from_strings(cells)
    except BadCell as cell:
        raise _bad(name, cell, origin) from None


def times_of(cells: Sequence[str] | Sequence[int], name: str, origin: Origin) -> Column:
    """Times in s, ms, us or ns, as text or as numbers, to int64 nanoseconds. Raises DataError."""
    try:
        return times.from_numbers(decimals.from_strings(list(map(str, cells))))
    except BadCell as cell:
        raise _bad(name, cell, origin) from None


def _bad(name: str, cell: BadCell, origin: Origin) -> DataError:
    return origin.error(
        cell.index,
        name,
        f"{cell.text!r} {cell.why}",
        "a value as the venue documents it",
        "report it: the venue sent this",
    )
