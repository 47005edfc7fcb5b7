"""Several runs in one table: a line for each, with the numbers one looks at first. Same names as in `summary.json`."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from core.plain_text import printable

LABEL = 28
WIDTH = 100


class Column(NamedTuple):
    """One number of each run."""

    heading: str
    key: str
    """Of the summary."""
    times: int
    """What it is multiplied by as it is shown."""
    form: str
    width: int

    def cell(self, summary: dict[str, Any]) -> str:
        """The number at the right; money is exact text in a summary."""
        value = summary[self.key]
        number = Decimal(value) if isinstance(value, str) else value
        return f"{'-' if number is None else self.form.format(number * self.times):>{self.width}}"


COLUMNS = (
    Column("return", "total_return", 100, "{:,.2f} %", 11),
    Column("drawdown", "max_drawdown", 100, "{:,.2f} %", 11),
    Column("sharpe", "sharpe", 1, "{:,.2f}", 8),
    Column("trades", "trade_count", 1, "{:,}", 8),
    Column("win rate", "win_rate", 100, "{:,.2f} %", 10),
    Column("fees", "fees", 1, "{:,.2f}", 10),
    Column("final equity", "final_equity", 1, "{:,.2f}", 14),
)


class Line(NamedTuple):
    """One run: what it is called here, its summary, or what to say where it has none."""

    label: str
    summary: dict[str, Any] | None
    remark: str = ""


def render_runs(lines: Iterable[Line]) -> str:
    """Text for a terminal, at most 100 columns, without a line break at the end. What has no value is shown as `-`."""
    rendered = [" " * LABEL + "".join(f"{column.heading:>{column.width}}" for column in COLUMNS)]
    for label, summary, remark in lines:
        name = printable(label)
        if summary is None:
            rendered.append(f"{name:<{LABEL}}  {printable(remark)}"[:WIDTH])
            continue
        if len(name) >= LABEL:  # the numbers stay in their columns
            rendered.append(name[:WIDTH])
            name = ""
        rendered.append(f"{name:<{LABEL}}" + "".join(column.cell(summary) for column in COLUMNS))
    return "\n".join(rendered)
