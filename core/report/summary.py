"""`summary.json`: one object of numbers, and the same for people to read.

Money is text with exact decimals in `currency`, ratios and times are numbers, a metric without a value is null and its
reason stands under `undefined`. Formulas and units: `docs/metrics.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from typing import Any

import msgspec

from core.exact import MATH, ZERO
from core.metrics.catalogue import METRICS
from core.metrics.pnl_split import PARTS, Split, split_pnl
from core.metrics.record import RunRecord, Undefined
from core.metrics.trades import total_pnl, win_rate
from core.notation import plain
from core.plain_text import iso
from core.trade import Trade

CONVENTION = "annualised over 365 days from daily UTC returns, risk-free rate 0"

DAYS_MIN = 30
"""A guess: with fewer days the standard error of a yearly Sharpe ratio exceeds 3 (sqrt(365 / days))."""

Summary = dict[str, Any]


def build_summary(
    record: RunRecord, *, name: str, assumptions: Sequence[str] = (), warnings: Sequence[str] = ()
) -> Summary:
    """All fields of `summary.json`, in the order in which they are written. No NaN, no infinity."""
    values: Summary = {}
    undefined: dict[str, str] = {}
    for metric in METRICS:
        value = metric.of(record)
        if isinstance(value, Undefined):
            undefined[metric.name] = value.reason
            values[metric.name] = None
        else:
            values[metric.name] = plain(value) if isinstance(value, Decimal) else value
    unrealized = record.curve.last("unrealized")
    return {
        "run": name,
        "start": iso(record.start),
        "start_ns": record.start,
        "end": iso(record.end),
        "end_ns": record.end,
        "currency": record.currency,
        "convention": CONVENTION,
        "initial_equity": plain(record.initial_equity),
        "final_equity": plain(record.final_equity),
        "realized_pnl": plain(record.realized),
        "unrealized_pnl": plain(ZERO if unrealized is None else unrealized),
        "pnl_split": _pnl_split(record),
        **values,
        "order_count": len(record.orders),
        "fill_count": len(record.fills),
        "other_fees": {asset: plain(fee) for asset, fee in sorted(record.totals.other_fees.items())},
        "strategies": _blocks(record.trades, lambda trade: trade.strategy),
        "symbols": _blocks(record.trades, lambda trade: record.name_of(trade.venue, trade.symbol)),
        "undefined": undefined,
        "assumptions": list(assumptions),
        "warnings": [*_warnings(record), *warnings],
    }


def encode_summary(summary: Summary) -> bytes:
    """The bytes of `summary.json`."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"


def _pnl_split(record: RunRecord) -> Summary:
    found = split_pnl(record)
    return {
        "whole": _parts(found.whole),
        "symbols": {name: _parts(found.symbols[name]) for name in sorted(found.symbols)},
        "strategies": {name: _parts(found.strategies[name]) for name in sorted(found.strategies)},
    }


def _parts(split: Split) -> Summary:
    return {name: plain(getattr(split, name)) for name in (*PARTS, "total")}


def _warnings(record: RunRecord) -> list[str]:
    found = []
    days = len(record.daily.values)
    if 2 <= days < DAYS_MIN:
        found.append(f"ratios per year come from {days} daily returns; fewer than {DAYS_MIN} say little")
    for asset, fee in sorted(record.totals.other_fees.items()):
        found.append(f"fees of {plain(fee)} {asset} have no price in this run: no fee, trade or summary counts them")
    if record.unassigned_funding:
        amount = plain(record.unassigned_funding)
        found.append(f"funding of {amount} {record.currency} belongs to no trade; it counts in `funding` alone")
    return found


def _blocks(trades: Sequence[Trade], key_of: Callable[[Trade], str]) -> dict[str, Summary]:
    """Per key: closed trades and their win rate; pnl and fees of open trades count too, as far as they are realized."""
    groups: dict[str, list[Trade]] = {}
    for trade in trades:
        groups.setdefault(key_of(trade), []).append(trade)
    return {key: _block(groups[key]) for key in sorted(groups)}


def _block(trades: Sequence[Trade]) -> Summary:
    closed = [trade for trade in trades if not trade.is_open]
    with localcontext(MATH):
        fees = sum((trade.fees for trade in trades), ZERO)
    return {
        "trade_count": len(closed),
        "pnl": plain(total_pnl(trades)),
        "fees": plain(fees),
        "win_rate": win_rate(closed),
    }
