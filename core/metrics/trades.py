"""Statistics of closed round trips. Open trades are in no ratio here; `open_trade_count` says how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from core.exact import EIGHT_DECIMALS, MATH, ZERO
from core.metrics.record import RunRecord, Undefined
from core.trade import Trade

NO_TRADES = Undefined("no trade was closed")


class TradeCount:
    """Round trips that ended. Unit: trades."""

    name = "trade_count"

    def of(self, record: RunRecord) -> int:
        return len(record.closed)


class OpenTradeCount:
    """Positions still open at the end of the run. Unit: trades."""

    name = "open_trade_count"

    def of(self, record: RunRecord) -> int:
        return len(record.trades) - len(record.closed)


class WinRate:
    """Closed trades with pnl > 0 / closed trades; pnl is after fees and funding. Unit: fraction."""

    name = "win_rate"

    def of(self, record: RunRecord) -> float | Undefined:
        rate = win_rate(record.closed)
        return NO_TRADES if rate is None else rate


class ProfitFactor:
    """Sum of positive pnl / |sum of negative pnl| over closed trades, after fees and funding. Unit: none."""

    name = "profit_factor"

    def of(self, record: RunRecord) -> float | Undefined:
        won = total_pnl([trade for trade in record.closed if trade.pnl > 0])
        lost = total_pnl([trade for trade in record.closed if trade.pnl < 0])
        if not record.closed:
            return NO_TRADES
        if not lost:
            return Undefined("no closed trade lost")
        return float(won / -lost)


class Expectancy:
    """Mean pnl of closed trades, after fees and funding. Unit: the currency per trade, rounded to 8 decimals."""

    name = "expectancy"

    def of(self, record: RunRecord) -> Decimal | Undefined:
        if not record.closed:
            return NO_TRADES
        mean = MATH.divide(total_pnl(record.closed), Decimal(len(record.closed)))
        return mean.quantize(EIGHT_DECIMALS, rounding=ROUND_HALF_EVEN, context=MATH)


def win_rate(closed: Sequence[Trade]) -> float | None:
    """Winners / trades; None without trades."""
    return sum(trade.pnl > 0 for trade in closed) / len(closed) if closed else None


def total_pnl(trades: Sequence[Trade]) -> Decimal:
    """Exact sum of pnl, in the currency."""
    with localcontext(MATH):
        return sum((trade.pnl for trade in trades), ZERO)
