"""Daily UTC returns: what every annualised ratio is made of."""

from __future__ import annotations

import msgspec
import numpy as np

from core.metrics.equity import EquityCurve, Floats
from core.moments import DAY_NS

DAYS_PER_YEAR = 365
"""Crypto trades every day of the year."""


class DailyReturns(msgspec.Struct, frozen=True):
    """Returns per UTC day, from the day of the first row to the day of the last."""

    values: Floats
    """close / close of the day before - 1; the first against the initial equity."""
    closes: Floats
    broken: str | None
    """Why the returns cannot be used; None where they can."""


def daily_returns(curve: EquityCurve, initial_equity: float) -> DailyReturns:
    """Returns of each UTC day's last row. A day without rows carries the equity before it.

    A row at midnight belongs to the day that begins. `broken` is set where a return would divide by an equity that is
    zero or negative: from there on nothing is a return any more.
    """
    if not len(curve):
        return DailyReturns(np.empty(0), np.empty(0), None)
    ts = curve.ts
    days = np.arange(ts[0] // DAY_NS, ts[-1] // DAY_NS + 1)
    closes = curve.floats("equity", np.searchsorted(ts, (days + 1) * DAY_NS) - 1)
    before = np.concatenate(([initial_equity], closes[:-1]))
    empty = np.flatnonzero(before <= 0)
    if len(empty):
        at = int(empty[0])
        when = "before the first day" if at == 0 else f"on {np.datetime64(int(days[at - 1]), 'D')}"
        return DailyReturns(np.empty(0), closes, f"equity was zero or negative {when} (UTC)")
    return DailyReturns(closes / before - 1.0, closes, None)
