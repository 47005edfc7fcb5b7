"""Every metric of the summary, in the order in which it lists them. To add one: a struct in its family, a row here."""

from __future__ import annotations

from core.metrics.drawdown import (
    AverageGrossExposure,
    Exposure,
    MaxDrawdown,
    MaxDrawdownDuration,
    MaxGrossExposure,
)
from core.metrics.execution import Fees, FillRatio, Funding, Latency, MakerRatio, Slippage, Turnover
from core.metrics.record import Metric
from core.metrics.returns import BuyAndHold, Cagr, Calmar, Sharpe, Sortino, TotalReturn, Volatility
from core.metrics.trades import Expectancy, OpenTradeCount, ProfitFactor, TradeCount, WinRate

METRICS: tuple[Metric, ...] = (
    TotalReturn(),
    BuyAndHold(),
    Cagr(),
    Volatility(),
    Sharpe(),
    Sortino(),
    Calmar(),
    MaxDrawdown(),
    MaxDrawdownDuration(),
    WinRate(),
    ProfitFactor(),
    Expectancy(),
    TradeCount(),
    OpenTradeCount(),
    Exposure(),
    AverageGrossExposure(),
    MaxGrossExposure(),
    Turnover(),
    Fees(),
    Funding(),
    Slippage(),
    FillRatio(),
    MakerRatio(),
    Latency("latency_p50_ms", 50),
    Latency("latency_p90_ms", 90),
    Latency("latency_p99_ms", 99),
    Latency("latency_max_ms", 100),
)
