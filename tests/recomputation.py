"""A run's summary computed again, from `fills.csv` and bar prices alone, by the formulas of `docs/metrics.md`.

Written apart from `core/`: exact decimals for money, plain Python for ratios, no import of ours.
"""

from __future__ import annotations

import bisect
import csv
import math
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

WIDE = Context(prec=60)
EIGHT = Decimal("1e-8")
DAY_NS = 86_400_000_000_000
ZERO = Decimal(0)


class Prices(NamedTuple):
    """Closes of one symbol: when they were known (int ns UTC) and what they were."""

    known_at: list[int]
    closes: list[Decimal]

    def at(self, ts: int, *, inclusive: bool) -> Decimal:
        """The latest close known at `ts`; an order event at one nanosecond with a bar comes before it."""
        cut = bisect.bisect_right if inclusive else bisect.bisect_left
        return self.closes[cut(self.known_at, ts) - 1]


class Row(NamedTuple):
    ts: int
    equity: Decimal
    exposure: Decimal


def fills_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def money_of(fills: list[dict[str, str]], prices: dict[str, Prices], initial: Decimal, end: int) -> dict[str, Decimal]:
    """Every exact number of the summary."""
    with localcontext(WIDE):
        trips, realized, open_cost, positions = _round_trips(fills)
        value = sum((_signed(fill) * Decimal(fill["price"]) for fill in fills), ZERO)
        fees = sum((Decimal(fill["fee"]) for fill in fills), ZERO)
        worth = sum((qty * prices[symbol].at(end, inclusive=True) for (_, symbol), qty in positions.items()), ZERO)
        turnover = sum((Decimal(fill["qty"]) * Decimal(fill["price"]) for fill in fills), ZERO)
        slippage = sum((_signed(f) * (Decimal(f["price"]) - Decimal(f["reference"])) for f in fills), ZERO)
        mean = sum(trips, ZERO) / len(trips) if trips else ZERO
        return {
            "final_equity": initial - value - fees + worth,
            "realized_pnl": realized,
            "unrealized_pnl": worth - open_cost,
            "turnover": turnover,
            "fees": fees,
            "slippage": slippage,
            "expectancy": mean.quantize(EIGHT, ROUND_HALF_EVEN),
        }


def counts_of(fills: list[dict[str, str]]) -> dict[str, Any]:
    """Round trips: how many, how many won, what the winners made against what the losers lost."""
    with localcontext(WIDE):
        trips, _, _, positions = _round_trips(fills)
        won, lost = sum((t for t in trips if t > 0), ZERO), sum((t for t in trips if t < 0), ZERO)
        makers = sum((Decimal(f["qty"]) * Decimal(f["price"]) for f in fills if f["liquidity"] == "maker"), ZERO)
        turnover = sum((Decimal(f["qty"]) * Decimal(f["price"]) for f in fills), ZERO)
        return {
            "trade_count": len(trips),
            "open_trade_count": sum(1 for qty in positions.values() if qty),
            "fill_count": len(fills),
            "win_rate": sum(1 for t in trips if t > 0) / len(trips),
            "profit_factor": float(won / -lost),
            "maker_ratio": float(makers / turnover),
        }


def rows_of(
    fills: list[dict[str, str]], prices: dict[str, Prices], initial: Decimal, start: int, end: int, interval_ns: int
) -> list[Row]:
    """The equity curve: a row per fill and one per full interval, each at the prices known then."""
    rows: list[Row] = []
    cash = initial
    held: dict[str, Decimal] = defaultdict(Decimal)
    due = -(-start // interval_ns) * interval_ns

    def row(ts: int, *, inclusive: bool) -> Row:
        values = [qty * prices[symbol].at(ts, inclusive=inclusive) for symbol, qty in held.items() if qty]
        return Row(ts, cash + sum(values, ZERO), sum(map(abs, values), ZERO))

    with localcontext(WIDE):
        for fill in fills:
            ts = int(fill["ts_ns"])
            while due < ts:
                rows.append(row(due, inclusive=True))
                due += interval_ns
            cash -= _signed(fill) * Decimal(fill["price"]) + Decimal(fill["fee"])
            held[fill["symbol"]] += _signed(fill)
            rows.append(row(ts, inclusive=False))
        while due <= end:
            rows.append(row(due, inclusive=True))
            due += interval_ns
        if rows[-1].ts < end:
            rows.append(row(end, inclusive=True))
    return rows


def daily_returns(rows: list[Row], initial: Decimal) -> list[float]:
    """Of each UTC day's last row against the day's before, the first against the initial equity."""
    closes = [float(initial)]
    for one, following in zip(rows, [*rows[1:], None], strict=True):
        if following is None or following.ts // DAY_NS != one.ts // DAY_NS:
            closes.append(float(one.equity))
    return [after / before - 1 for before, after in pairwise(closes)]


def ratios_of(rows: list[Row], initial: Decimal, start: int, end: int) -> dict[str, float]:
    """Every ratio and time of the summary that comes from the curve."""
    returns = daily_returns(rows, initial)
    n, mean = len(returns), math.fsum(returns) / len(returns)
    spread = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (n - 1))
    below = math.sqrt(math.fsum(min(r, 0.0) ** 2 for r in returns) / n)
    drawdown, longest = _underwater(rows, initial, start, end)
    year = (float(rows[-1].equity) / float(initial)) ** (365 / n) - 1
    lasts = [after.ts - before.ts for before, after in pairwise(rows)] + [max(0, end - rows[-1].ts)]
    return {
        "total_return": float(rows[-1].equity) / float(initial) - 1,
        "cagr": year,
        "volatility": spread * math.sqrt(365),
        "sharpe": mean / spread * math.sqrt(365),
        "sortino": mean / below * math.sqrt(365),
        "calmar": year / abs(drawdown),
        "max_drawdown": drawdown,
        "max_drawdown_duration_s": longest / 1e9,
        "exposure": sum(time for one, time in zip(rows, lasts, strict=True) if one.exposure) / (end - start),
    }


def _underwater(rows: list[Row], initial: Decimal, start: int, end: int) -> tuple[float, int]:
    """Deepest fall from a peak, and the longest time from a peak until the equity is back at it, or until the end."""
    peak, since, deepest, longest, is_below = float(initial), min(start, rows[0].ts), 0.0, 0, False
    for row in rows:
        equity = float(row.equity)
        if equity >= peak:
            longest = max(longest, row.ts - since) if is_below else longest
            peak, since, is_below = equity, row.ts, False
        else:
            deepest, is_below = min(deepest, equity / peak - 1), True
    return deepest, max(longest, max(end, rows[-1].ts) - since) if is_below else longest


def _round_trips(
    fills: list[dict[str, str]],
) -> tuple[list[Decimal], Decimal, Decimal, dict[tuple[str, str], Decimal]]:
    """(pnl of each closed trade, realized before fees, cost of what is open, position per (strategy, symbol))."""
    qty: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    cost: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    pnl: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    trips, realized = [], ZERO
    for fill in fills:
        book, price, fee = (fill["strategy"], fill["symbol"]), Decimal(fill["price"]), Decimal(fill["fee"])
        move = _signed(fill)
        held = qty[book]
        closing = min(abs(move), abs(held)) if held * move < 0 else ZERO
        closing_fee = fee
        if closing:
            moved = cost[book]
            if closing < abs(held):
                moved = (cost[book] * closing / abs(held)).quantize(EIGHT, ROUND_HALF_EVEN)
            gross = closing * price * (1 if held > 0 else -1) - moved
            cost[book] -= moved
            realized += gross
            if closing < abs(move):
                closing_fee = (fee * closing / abs(move)).quantize(EIGHT, ROUND_HALF_EVEN)
            pnl[book] += gross
        qty[book] += move
        pnl[book] -= closing_fee
        if closing and closing == abs(held):
            trips.append(pnl[book])
            pnl[book] = closing_fee - fee
        opening = move + (closing if held > 0 else -closing)
        cost[book] += opening * price
    return trips, realized, sum(cost.values(), ZERO), dict(qty)


def _signed(fill: dict[str, str]) -> Decimal:
    return Decimal(fill["qty"]) if fill["side"] == "buy" else -Decimal(fill["qty"])
