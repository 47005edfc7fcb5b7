"""Drawdown and time in the market, on the recorded rows: a row per fill, funding, liquidation and interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from core.exact import ZERO
from core.metrics.record import RunRecord, Undefined


class MaxDrawdown:
    """min over rows of equity / highest equity so far - 1. Unit: fraction of the peak, negative or 0.

    The initial equity is the first peak. Source: Magdon-Ismail & Atiya 2004, as empyrical `max_drawdown`.
    """

    name = "max_drawdown"

    def of(self, record: RunRecord) -> float | Undefined:
        if record.initial_equity <= 0:
            return Undefined("the initial equity is not positive")
        return record.underwater.deepest


class MaxDrawdownDuration:
    """Longest time from a peak until the equity is back at it, or until the end. Unit: seconds."""

    name = "max_drawdown_duration_s"

    def of(self, record: RunRecord) -> float:
        return record.underwater.longest_ns / 1e9


class Exposure:
    """Time with a position / time of the run; a row holds until the next. Unit: fraction of time."""

    name = "exposure"

    def of(self, record: RunRecord) -> float | Undefined:
        if record.end <= record.start:
            return Undefined("the run has no duration")
        held = 0
        for rows, held_ns in _held(record):
            held += int(held_ns[record.curve.exposure[rows] != 0].sum())
        return held / (record.end - record.start)


class AverageGrossExposure:
    """Time-weighted mean of the gross notional over the whole run. Unit: the currency, rounded to 8 decimals."""

    name = "average_gross_exposure"

    def of(self, record: RunRecord) -> Decimal | Undefined:
        if record.end <= record.start:
            return Undefined("the run has no duration")
        span = record.end - record.start
        # Not np.dot: its threads cost more than the sum, and its last digits are the machine's.
        means = ((record.curve.floats("exposure", rows) * (ns / span)).sum() for rows, ns in _held(record))
        return Decimal(f"{math.fsum(means):.8f}")


class MaxGrossExposure:
    """Largest gross notional of any row. Unit: the currency, exact."""

    name = "max_gross_exposure"

    def of(self, record: RunRecord) -> Decimal:
        most = record.curve.max("exposure")
        return ZERO if most is None else most


def _held(record: RunRecord) -> Iterator[tuple[slice, np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    """A chunk of rows at a time: which, and how long each was the latest one, nanoseconds."""
    ts = record.curve.ts
    for rows in record.curve.chunks():
        after = ts[rows.stop] if rows.stop < len(ts) else max(record.end, int(ts[-1]))
        yield rows, np.diff(ts[rows], append=after)
