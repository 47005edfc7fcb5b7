"""A band for people: three runs side by side, what each assumes, and what to beware of."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from core.band import BandResult
from core.plain_text import printable

WIDTH = 100
LABEL, VALUE = 20, 20


def render_band(result: BandResult) -> str:
    """Text for a terminal, without a line break at the end. What has no value is shown as `-`."""
    first = result.members[0].summary
    begins, ends = (first[key][:19].replace("T", " ") for key in ("start", "end"))
    lines = [f"{printable(result.run)}  {begins} to {ends} UTC  fidelity: band"[:WIDTH], ""]
    lines.append(_row(f"in {result.currency}", [member.name for member in result.members]))
    lines.append(_row("profit and loss", [_money(result.pnl[member.name]) for member in result.members]))
    for label, key, write in ROWS:
        lines.append(_row(label, [write(member.summary[key]) for member in result.members]))
    if len(result.strategies) > 1:
        for name, each in result.strategies.items():
            label = f"realized, {printable(name)}"
            lines.append(_row(label[: LABEL - 1], [_money(each[member.name]) for member in result.members]))
    lines += ["", "each run alone assumes"]
    for member in result.members:
        lines += _bullets(_own_assumptions(result, member.name), f"{member.name}: ")
    warnings = [*result.warnings, *_common(result)]
    if warnings:
        lines += ["", "warnings", *_bullets(warnings, "")]
    return "\n".join(lines)


def _own_assumptions(result: BandResult, name: str) -> list[str]:
    """Lines that not all three have."""
    return [line for line in result[name].summary["assumptions"] if not _everywhere(result, "assumptions", line)]


def _common(result: BandResult) -> list[str]:
    """Warnings of all three runs; those of one alone are in its own folder."""
    return [line for line in result["default"].summary["warnings"] if _everywhere(result, "warnings", line)]


def _everywhere(result: BandResult, key: str, line: str) -> bool:
    return all(line in member.summary[key] for member in result.members)


def _row(label: str, values: Sequence[str]) -> str:
    return f"  {label:<{LABEL}}" + "".join(f"{value:>{VALUE}}" for value in values)


def _bullets(texts: Sequence[str], lead: str) -> list[str]:
    return [
        line
        for text in texts
        for line in textwrap.wrap(f"{lead}{printable(text)}", WIDTH, initial_indent="  - ", subsequent_indent="    ")
    ]


def _money(text: str | None) -> str:
    return "-" if text is None else f"{Decimal(text):,.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:,.2f} %"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _count(value: int) -> str:
    return f"{value:,}"


ROWS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("final equity", "final_equity", _money),
    ("total return", "total_return", _percent),
    ("max drawdown", "max_drawdown", _percent),
    ("sharpe", "sharpe", _ratio),
    ("trades closed", "trade_count", _count),
    ("win rate", "win_rate", _percent),
    ("orders", "order_count", _count),
    ("fills", "fill_count", _count),
    ("fill ratio", "fill_ratio", _percent),
    ("maker ratio", "maker_ratio", _percent),
    ("turnover", "turnover", _money),
    ("fees", "fees", _money),
    ("slippage", "slippage", _money),
)
"""Label, key of `summary.json`, how it is written."""
