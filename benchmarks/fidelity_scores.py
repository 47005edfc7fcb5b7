"""How close predicted fates are to real ones, with intervals: resampled orders, 95 %, seeded.

A prediction is what a twin got by the time its real order was filled or canceled. No model here gives a probability:
each says filled or not, so that the share of wrong calls is its Brier score too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SEED = 20260502
RESAMPLES = 2_000


class Fates(NamedTuple):
    """One row per order, the real fates and one model's predictions of them."""

    size: np.ndarray
    real: np.ndarray
    """Filled quantity, in units of `size`."""
    predicted: np.ndarray
    real_after_ms: np.ndarray
    """From arrival to first fill; NaN where there was none."""
    predicted_after_ms: np.ndarray
    """The same of the twin, also where it came later than the real order's end."""

    def taken(self, rows: np.ndarray) -> Fates:
        return Fates(*(column[rows] for column in self))


class Estimate(NamedTuple):
    value: float
    low: float
    high: float

    def text(self, form: str) -> str:
        return f"{self.value:{form}} ({self.low:{form}}..{self.high:{form}})"


class Score(NamedTuple):
    """What one model got right and wrong on one set of orders."""

    missed: int
    """Really filled, at least in part; predicted not at all."""
    invented: int
    """Predicted filled, at least in part; really not at all."""
    right: Estimate
    """Share of orders called rightly: filled (in part) or not."""
    error: Estimate
    """Mean absolute error of the filled fraction of the order."""
    bias: Estimate
    """Mean error of the filled fraction: above 0 too many fills, below 0 too few."""
    same_print: float
    """Of orders filled in both worlds: share first filled in the same millisecond. Above one half the median error of
    the time to fill is 0."""
    late_s: Estimate
    """Mean absolute error of the time to the first fill, of the same orders."""


def score(fates: Fates) -> Score:
    """Counts, and means with intervals. Needs at least one order."""
    wrong_way = (fates.predicted > 0).astype(int) - (fates.real > 0)
    fraction = (fates.predicted - fates.real) / fates.size
    apart = np.abs(fates.predicted_after_ms - fates.real_after_ms) / 1000
    apart = apart[~np.isnan(apart)]
    return Score(
        int((wrong_way < 0).sum()),
        int((wrong_way > 0).sum()),
        interval((wrong_way == 0).astype(float), np.mean),
        interval(np.abs(fraction), np.mean),
        interval(fraction, np.mean),
        float(np.mean(apart == 0)) if len(apart) else float("nan"),
        interval(apart, np.mean),
    )


def interval(values: np.ndarray, statistic: Callable[..., np.ndarray]) -> Estimate:
    """A statistic of the orders' values, and where 95 % of its resamples lie; NaN of nothing."""
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"))
    draws = np.random.default_rng(SEED).integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(statistic(values[draws], axis=1), [2.5, 97.5])
    return Estimate(float(statistic(values)), float(low), float(high))


def closer(ours: Fates, theirs: Fates) -> tuple[Estimate, Estimate]:
    """What `ours` is better by, on the same orders: share called rightly, and mean error of the filled fraction."""
    right = [((fates.predicted > 0) == (fates.real > 0)).astype(float) for fates in (ours, theirs)]
    error = [np.abs(fates.predicted - fates.real) / fates.size for fates in (ours, theirs)]
    return interval(right[0] - right[1], np.mean), interval(error[1] - error[0], np.mean)
