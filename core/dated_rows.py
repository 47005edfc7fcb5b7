"""Rows of what a venue publishes, each valid from a date on: filters, limits, brackets, ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Dated(Protocol):
    """A row that says since when it holds, int nanoseconds UTC."""

    @property
    def since(self) -> int: ...


Row = TypeVar("Row", bound=Dated)


def row_at(rows: Sequence[Row], at: int | None) -> Row:
    """The row that holds at `at` (int ns UTC): the newest of before, else the oldest known, which is then a guess.

    None is a time without a date: the newest. `rows` are given oldest first. Raises IndexError where there are none.
    """
    begun = [row for row in rows if at is None or row.since <= at]
    return begun[-1] if begun else rows[0]
