"""Which stretch of time one file of the cache holds, and arithmetic on ranges of time.

A day of ticks is a file of its own. Bars shorter than a day come in months and everything rarer in years: a year of
minutes in 365 files would take longer to open than to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from core.moments import DAY_NS
from core.tape import Kind

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Span = tuple[int, int]
"""[since, until), int nanoseconds UTC."""


class Period(NamedTuple):
    """A UTC day, month or year."""

    name: str
    """2025-05-04, 2025-05 or 2025."""
    since: int
    until: int


def period_of(kind: Kind, interval_ns: int, at: int) -> Period:
    """The period in which a row of this time is kept: bars by their open time, other rows by the venue's time."""
    day = EPOCH + timedelta(days=at // DAY_NS)
    if kind == "funding" or interval_ns >= DAY_NS:
        return Period(
            f"{day:%Y}", _ns(day.replace(month=1, day=1)), _ns(day.replace(year=day.year + 1, month=1, day=1))
        )
    if interval_ns or kind == "bars":
        first = day.replace(day=1)
        return Period(f"{day:%Y-%m}", _ns(first), _ns((first + timedelta(days=32)).replace(day=1)))
    return Period(f"{day:%Y-%m-%d}", _ns(day), _ns(day) + DAY_NS)


def period_named(name: str, kind: Kind, interval_ns: int) -> Period:
    """The period of a file's name. Raises ValueError where it is no date."""
    first = datetime.fromisoformat(name + "-01-01"[len(name) - 4 :]).replace(tzinfo=UTC)
    return period_of(kind, interval_ns, _ns(first))


def periods(kind: Kind, interval_ns: int, start: int, end: int) -> Iterator[Period]:
    """Every period that [start, end) touches, oldest first."""
    while start < end:
        period = period_of(kind, interval_ns, start)
        yield period
        start = period.until


def _ns(day: datetime) -> int:
    return (day - EPOCH).days * DAY_NS


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time in as few ranges as it takes, ascending."""
    out: list[Span] = []
    for since, until in sorted(spans):
        if since >= until:
            continue
        if out and since <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], until))
        else:
            out.append((since, until))
    return out


def without(span: Span, spans: Iterable[Span]) -> list[Span]:
    """What is left of a range outside of `spans`."""
    left: list[Span] = []
    at, end = span
    for since, until in union(spans):
        if since >= end:
            break
        if since > at:
            left.append((at, since))
        at = max(at, until)
    return [*left, (at, end)] if at < end else left


def within(spans: Iterable[Span], since: int, until: int) -> list[Span]:
    """The parts of ranges that lie in [since, until)."""
    cut = ((max(low, since), min(high, until)) for low, high in spans)
    return [(low, high) for low, high in cut if low < high]
