"""How far and how long the equity was below its peak, on the recorded rows."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from core.metrics.equity import CHUNK_ROWS, EquityCurve, Floats


class Underwater(msgspec.Struct, frozen=True):
    deepest: float
    """Lowest drawdown of any row, a fraction of the peak: negative or 0."""
    longest_ns: int
    """Longest time from a peak to the row that reaches it again, or to the end; nanoseconds."""


def drawdown_of(curve: EquityCurve, initial_equity: float) -> Floats:
    """Of every row: equity / highest equity so far - 1."""
    return np.concatenate([np.empty(0), *(drawdown for _, _, drawdown in drawdowns(curve, initial_equity))])


def drawdowns(
    curve: EquityCurve, initial_equity: float, chunk_rows: int = CHUNK_ROWS
) -> Iterator[tuple[slice, Floats, Floats]]:
    """A chunk of rows at a time: which, their equity, and equity / highest equity so far - 1.

    The initial equity is the first peak. A drawdown is 0 at a peak and negative below.
    """
    highest = initial_equity
    for rows in curve.chunks(chunk_rows):
        equity = curve.floats("equity", rows)
        peak = np.maximum(np.maximum.accumulate(equity), highest)
        highest = float(peak[-1])
        # Only an initial equity that is not positive leaves a peak one cannot divide by; then nothing is a drawdown.
        yield rows, equity, np.divide(equity, peak, out=np.ones(len(equity)), where=peak > 0) - 1.0


def underwater(curve: EquityCurve, initial_equity: float, start: int, end: int) -> Underwater:
    """The curve as seen from its own peaks. `start` is the time of the initial equity, the first peak."""
    if not len(curve):
        return Underwater(0.0, 0)
    deepest, highest, longest = 0.0, initial_equity, 0
    left_at, row_before = min(start, int(curve.ts[0])), -1
    for rows, equity, drawdown in drawdowns(curve, initial_equity):
        deepest = min(deepest, float(drawdown.min()))
        at_peak = np.flatnonzero(equity >= np.maximum(np.maximum.accumulate(equity), highest))
        highest = max(highest, float(equity.max()))
        if len(at_peak):
            ts = curve.ts[rows][at_peak]
            apart = np.diff(at_peak + rows.start, prepend=row_before) > 1
            longest = max(longest, int(np.diff(ts, prepend=left_at)[apart].max(initial=0)))
            left_at, row_before = int(ts[-1]), rows.start + int(at_peak[-1])
    if row_before < len(curve) - 1:
        longest = max(longest, max(end, int(curve.ts[-1])) - left_at)
    return Underwater(deepest, longest)
