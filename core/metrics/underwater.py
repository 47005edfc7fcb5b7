"""How far and how long the equity was below its peak, on the recorded rows."""

from __future__ import annotations

import msgspec
import numpy as np

from core.metrics.equity import Floats, Ints


class Underwater(msgspec.Struct, frozen=True):
    drawdown: Floats
    """Per row: equity / highest equity so far (the initial one included) - 1; 0 at a peak, negative below."""
    longest_ns: int
    """Longest time from a peak to the row that reaches it again, or to the end; nanoseconds."""


def underwater(ts: Ints, equity: Floats, initial_equity: float, start: int, end: int) -> Underwater:
    """The curve as seen from its own peaks. `start` is the time of the initial equity, the first peak."""
    if not len(ts):
        return Underwater(np.empty(0), 0)
    peak = np.maximum(np.maximum.accumulate(equity), initial_equity)
    # Only an initial equity that is not positive leaves a peak one cannot divide by; then nothing is a drawdown.
    drawdown = np.divide(equity, peak, out=np.ones(len(equity)), where=peak > 0) - 1.0
    at_peak = np.flatnonzero(equity >= peak)
    rows = np.concatenate(([-1], at_peak))
    times = np.concatenate(([min(start, int(ts[0]))], ts[at_peak]))
    lengths = np.diff(times)[np.diff(rows) > 1]
    longest = int(lengths.max()) if len(lengths) else 0
    if rows[-1] < len(ts) - 1:
        longest = max(longest, max(end, int(ts[-1])) - int(times[-1]))
    return Underwater(drawdown, longest)
