"""Drawdown and time in the market, on the recorded rows: a row per fill, funding, liquidation and interval."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from core.metrics.record import RunRecord, Undefined
from core.orders import ZERO


class MaxDrawdown:
    """min over rows of equity / highest equity so far - 1. Unit: fraction of the peak, negative or 0.

    The initial equity is the first peak. Source: Magdon-Ismail & Atiya 2004, as empyrical `max_drawdown`.
    """

    name = "max_drawdown"

    def of(self, record: RunRecord) -> float | Undefined:
        if record.initial_equity <= 0:
            return Undefined("the initial equity is not positive")
        drawdown = record.underwater.drawdown
        return float(drawdown.min()) if len(drawdown) else 0.0


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
        held = _held_ns(record)[record.curve.exposure != 0]
        return int(held.sum()) / (record.end - record.start)


class AverageGrossExposure:
    """Time-weighted mean of the gross notional over the whole run. Unit: quote units, rounded to 8 decimals."""

    name = "average_gross_exposure"

    def of(self, record: RunRecord) -> Decimal | Undefined:
        if record.end <= record.start:
            return Undefined("the run has no duration")
        mean = float(np.dot(record.curve.floats("exposure"), _held_ns(record) / (record.end - record.start)))
        return Decimal(f"{mean:.8f}")


class MaxGrossExposure:
    """Largest gross notional of any row. Unit: quote units, exact."""

    name = "max_gross_exposure"

    def of(self, record: RunRecord) -> Decimal:
        most = record.curve.max("exposure")
        return ZERO if most is None else most


def _held_ns(record: RunRecord) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How long each row was the latest one, nanoseconds."""
    ts = record.curve.ts
    if not len(ts):
        return np.empty(0, np.int64)
    return np.diff(ts, append=max(record.end, int(ts[-1])))
