"""Monthly returns, as the report's table shows them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.metrics.record import RunRecord
from core.moments import DAY_NS


class Month(NamedTuple):
    """One UTC month of a run, or the part of it that the run covers."""

    year: int
    month: int
    """1 to 12."""
    value: float
    """equity of its last row / equity of the last row before it - 1; the first against the initial equity."""


def monthly_returns(record: RunRecord) -> list[Month]:
    """Oldest first; empty where there are no rows or where the equity was not above zero (see `DailyReturns`)."""
    daily = record.daily
    if daily.broken is not None or not len(daily.closes):
        return []
    first = int(record.curve.ts[0]) // DAY_NS
    months = np.arange(first, first + len(daily.closes)).astype("datetime64[D]").astype("datetime64[M]")
    last_days = np.append(np.flatnonzero(months[1:] != months[:-1]), len(months) - 1)
    closes = daily.closes[last_days]
    before = np.concatenate(([float(record.initial_equity)], closes[:-1]))
    numbers = months[last_days].astype(np.int64)  # months since 1970-01
    return [
        Month(1970 + number // 12, number % 12 + 1, value)
        for number, value in zip(numbers.tolist(), (closes / before - 1.0).tolist(), strict=True)
    ]
