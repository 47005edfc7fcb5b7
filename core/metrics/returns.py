"""Returns and their ratios, annualised over 365 days from daily UTC returns, risk-free rate 0.

Source of the formulas: `empyrical` (`stats.py`), with `annualization=365`; the tests compare with it.
"""

from __future__ import annotations

import math

import numpy as np

from core.metrics.daily import DAYS_PER_YEAR
from core.metrics.equity import Floats
from core.metrics.record import RunRecord, Undefined

FLAT = 1e-14
"""A daily deviation below this is zero: dividing two float64 equities is exact to about 1e-16."""


class TotalReturn:
    """final equity / initial equity - 1. Unit: fraction of the initial equity."""

    name = "total_return"

    def of(self, record: RunRecord) -> float | Undefined:
        if record.initial_equity <= 0:
            return Undefined("the initial equity is not positive")
        return float(record.final_equity) / float(record.initial_equity) - 1.0


class BuyAndHold:
    """Mean over the run's symbols of last price / first price - 1. Unit: fraction.

    What the initial equity would have made in equal parts of each, held from the first price to the last, without costs
    and leverage: what a strategy has to be compared with, not a run of its own. Funding would come on top.
    """

    name = "buy_and_hold"

    def of(self, record: RunRecord) -> float | Undefined:
        changes = record.market_changes
        if not changes:
            return Undefined("no symbol's first price is known")
        return math.fsum(changes.values()) / len(changes)


class Cagr:
    """(final / initial)^(365 / days) - 1, days = number of daily returns. Unit: fraction per year.

    Source: empyrical `annual_return`. Says little about runs of a few days, which it multiplies up.
    """

    name = "cagr"

    def of(self, record: RunRecord) -> float | Undefined:
        returns = _usable(record)
        if isinstance(returns, Undefined):
            return returns
        growth = float(record.daily.closes[-1]) / float(record.initial_equity)
        if growth <= 0:
            return Undefined("the final equity is not positive")
        exponent = math.log(growth) * DAYS_PER_YEAR / len(returns)
        if exponent > 700:  # e^709 is the largest float64
            return Undefined("growth is too large to be annualised")
        return float(growth ** (DAYS_PER_YEAR / len(returns))) - 1.0


class Volatility:
    """std(daily returns, n - 1) x sqrt(365). Unit: fraction per year. Source: empyrical `annual_volatility`."""

    name = "volatility"

    def of(self, record: RunRecord) -> float | Undefined:
        returns = _usable(record)
        if isinstance(returns, Undefined):
            return returns
        return _deviation(returns) * math.sqrt(DAYS_PER_YEAR)


class Sharpe:
    """mean(daily returns) / std(daily returns, n - 1) x sqrt(365). Unit: none.

    Source: Sharpe 1994, as empyrical `sharpe_ratio` with risk-free rate 0.
    """

    name = "sharpe"

    def of(self, record: RunRecord) -> float | Undefined:
        returns = _usable(record)
        if isinstance(returns, Undefined):
            return returns
        deviation = _deviation(returns)
        if deviation == 0:
            return Undefined("the daily returns do not vary")
        return float(returns.mean()) / deviation * math.sqrt(DAYS_PER_YEAR)


class Sortino:
    """mean(daily returns) / sqrt(mean(min(return, 0)^2)) x sqrt(365). Unit: none.

    The mean of squares is over all days, not over the losing ones. Source: empyrical `sortino_ratio`, required
    return 0.
    """

    name = "sortino"

    def of(self, record: RunRecord) -> float | Undefined:
        returns = _usable(record)
        if isinstance(returns, Undefined):
            return returns
        downside = math.sqrt(float(np.square(np.minimum(returns, 0.0)).mean()))
        if downside < FLAT:
            return Undefined("no daily return is negative")
        return float(returns.mean()) / downside * math.sqrt(DAYS_PER_YEAR)


class Calmar:
    """cagr / |max_drawdown|. Unit: none. Source: Young 1991; the drawdown is that of the recorded rows, not of days."""

    name = "calmar"

    def of(self, record: RunRecord) -> float | Undefined:
        cagr = Cagr().of(record)
        if isinstance(cagr, Undefined):
            return cagr
        depth = -record.underwater.deepest
        if depth <= 0:
            return Undefined("the equity never fell below its peak")
        return cagr / depth


def _usable(record: RunRecord) -> Floats | Undefined:
    """The daily returns, or why ratios of them mean nothing."""
    daily = record.daily
    if daily.broken is not None:
        return Undefined(daily.broken)
    if len(daily.values) < 2:
        return Undefined(f"{len(daily.values)} daily return{'' if len(daily.values) == 1 else 's'}; two are needed")
    return daily.values


def _deviation(returns: Floats) -> float:
    deviation = float(returns.std(ddof=1))
    return deviation if deviation >= FLAT else 0.0
