"""The summary for people: aligned, at most 100 columns, no colour unless asked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from core.plain_text import printable

WIDTH = 100
LABEL = 18
VALUE = 26
"""Two pairs of label and value, and the gaps between them, fill less than WIDTH."""
COLUMN = 13
"""Of the six of a split; they and a label fill less than WIDTH."""

HUGE = 10_000
"""Beyond a factor of this the digits say nothing: a few good days, annualised."""

Pair = tuple[str, str]

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def render_summary(summary: dict[str, Any], *, colour: bool = False) -> str:
    """Text for a terminal, without a line break at the end. A metric that has no value is shown as `-`."""
    title = f"{printable(summary['run'])}  {_moment(summary['start'])} to {_moment(summary['end'])} UTC"
    lines = [_heading(title[:WIDTH], colour), ""]
    nothing = _nothing(summary)
    if nothing:
        lines += [*textwrap.wrap(nothing, WIDTH), ""]
    lines += _side_by_side(_results(summary), _trading(summary))
    lines += _split(summary["pnl_split"])
    for heading, key in (("strategy", "strategies"), ("symbol", "symbols")):
        lines += _table(heading, summary[key])
    for heading, key in (("assumptions", "assumptions"), ("warnings", "warnings")):
        if summary[key]:
            lines += ["", _heading(heading, colour), *_bullets(summary[key])]
    return "\n".join(lines)


def _nothing(summary: dict[str, Any]) -> str | None:
    """What to say where there is nothing to measure."""
    if summary["fill_count"]:
        return None
    orders = summary["order_count"]
    if not orders:
        return "No trades: the strategies placed no order."
    return (
        f"No trades: {orders} order{'' if orders == 1 else 's'} but no fill. orders.csv says how each ended; limit "
        "prices the market never went through, or orders that were denied or rejected, are the usual causes."
    )


def _results(summary: dict[str, Any]) -> list[Pair]:
    currency = printable(summary["currency"])
    return [
        ("initial equity", f"{_money(summary['initial_equity'])} {currency}"),
        ("final equity", f"{_money(summary['final_equity'])} {currency}"),
        ("total return", _percent(summary["total_return"])),
        ("buy and hold", _percent(summary.get("buy_and_hold"))),  # summaries of before have none
        ("per year (cagr)", _percent(summary["cagr"])),
        ("volatility", _percent(summary["volatility"])),
        ("sharpe", _ratio(summary["sharpe"])),
        ("sortino", _ratio(summary["sortino"])),
        ("calmar", _ratio(summary["calmar"])),
        ("max drawdown", _percent(summary["max_drawdown"])),
        ("longest drawdown", _span(summary["max_drawdown_duration_s"])),
        ("time in market", _percent(summary["exposure"])),
        ("unrealized pnl", f"{_money(summary['unrealized_pnl'])} {currency}"),
    ]


def _trading(summary: dict[str, Any]) -> list[Pair]:
    latency = [_milliseconds(summary[f"latency_{which}_ms"]) for which in ("p50", "p99")]
    return [
        ("trades", f"{summary['trade_count']:,} closed, {summary['open_trade_count']:,} open"),
        ("orders, fills", f"{summary['order_count']:,}, {summary['fill_count']:,}"),
        ("win rate", _percent(summary["win_rate"])),
        ("profit factor", _ratio(summary["profit_factor"])),
        ("expectancy", _money(summary["expectancy"])),
        ("turnover", _money(summary["turnover"])),
        ("average exposure", _money(summary["average_gross_exposure"])),
        ("fees", _money(summary["fees"])),
        ("funding", _money(summary["funding"])),
        ("slippage", _money(summary["slippage"])),
        ("fill ratio", _percent(summary["fill_ratio"])),
        ("maker ratio", _percent(summary["maker_ratio"])),
        ("latency p50, p99", f"{latency[0]}, {latency[1]}"),
    ]


def _side_by_side(left: Sequence[Pair], right: Sequence[Pair]) -> list[str]:
    rows = zip(left, right, strict=True)
    return [f"  {a:<{LABEL}}{x:>{VALUE}}    {b:<{LABEL}}{y:>{VALUE}}" for (a, x), (b, y) in rows]


def _table(heading: str, blocks: dict[str, dict[str, Any]]) -> list[str]:
    if not blocks:
        return []
    rows = [
        f"  {_short(key):<{LABEL + VALUE}}{block['trade_count']:>10,}{_money(block['pnl']):>16}"
        f"{_money(block['fees']):>14}{_percent(block['win_rate']):>12}"
        for key, block in blocks.items()
    ]
    return ["", f"  {heading:<{LABEL + VALUE}}{'trades':>10}{'pnl':>16}{'fees':>14}{'win rate':>12}", *rows]


def _split(split: dict[str, Any]) -> list[str]:
    """Where the profit came from, per symbol and whole; nothing where nothing was traded."""
    rows = [*split["symbols"].items(), ("whole run", split["whole"])]
    if len(rows) == 1:
        return []
    names = list(split["whole"])
    lines = ["", f"  {'pnl by cause':<{LABEL}}" + "".join(f"{name:>{COLUMN}}" for name in names)]
    for key, row in rows:
        lines.append(f"  {_short(key, LABEL):<{LABEL}}" + "".join(f"{_money(row[name]):>{COLUMN}}" for name in names))
    return lines


def _bullets(texts: Sequence[str]) -> list[str]:
    return [
        line
        for text in texts
        for line in textwrap.wrap(printable(text), WIDTH, initial_indent="  - ", subsequent_indent="    ")
    ]


def _short(name: str, width: int = LABEL + VALUE) -> str:
    name = printable(name)
    room = width - 1
    return name if len(name) <= room else f"{name[: room - 1]}…"


def _moment(text: str) -> str:
    """`2025-05-04T00:00:00.000000000Z` to the second, the way people read it."""
    return text[:19].replace("T", " ")


def _money(text: str | None) -> str:
    if text is None:
        return "-"
    value = Decimal(text)
    return f"{value:,.2f}" if abs(value) >= 1 or value == round(value, 2) else f"{value:,.6f}"


def _percent(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 100:,.2f} %" if value < HUGE else f"> {HUGE * 100:,.0f} %"


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}" if value < HUGE else f"> {HUGE:,.0f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"


def _span(seconds: float) -> str:
    minutes = int(seconds) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if minutes else f"{seconds:.0f} s"


def _heading(text: str, colour: bool) -> str:
    return f"{BOLD}{text}{PLAIN}" if colour else text
