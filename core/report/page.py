"""`report.html`: a run on one page, made of text and one drawing. No script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from math import prod
from operator import attrgetter
from typing import Any

from core.market.price_paths import PricePath
from core.metrics.monthly import Month, monthly_returns
from core.metrics.record import RunRecord
from core.plain_text import printable
from core.report.chart import drawing
from core.report.readable import render_summary

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#8a939e;--line:#0a66c2;--loss:#c0392b;--win:#1e8449}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171a;--line:#6cb2ff;--loss:#ff7b6b;--win:#5fd38a}}
body{margin:2rem auto;max-width:75rem;padding:0 1rem;color:var(--ink);background:var(--paper);font:15px sans-serif}
svg{width:100%;height:auto}text{fill:var(--soft);font-size:12px}pre{overflow-x:auto;font-size:13px}
.axis{stroke:var(--soft);stroke-width:.5;stroke-opacity:.5}.equity{fill:none;stroke:var(--line);stroke-width:1.5}
.drawdown{fill:var(--loss);fill-opacity:.35}.exposure{fill:var(--line);fill-opacity:.3}
.price{fill:var(--soft);stroke:var(--soft);stroke-width:1;stroke-linejoin:round}
.win{fill:var(--win);stroke:var(--win)}.loss{fill:var(--loss);stroke:var(--loss)}
.open{fill:var(--line);stroke:var(--line)}
table{border-collapse:collapse;font-size:13px}td,th{padding:.2rem .6rem;text-align:right}
td.win,td.loss{fill:none;stroke:none}td.win{color:var(--win)}td.loss{color:var(--loss)}
"""


def report_html(record: RunRecord, summary: dict[str, Any], paths: Sequence[PricePath]) -> str:
    """The page. Deterministic: same run, same text."""
    name = escape(printable(summary["run"]))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<meta name="viewport" content="width=device-width">\n<title>{name}</title>\n<style>{STYLE}</style>\n'
        f"</head>\n<body>\n<h1>{name}</h1>\n{drawing(record, paths)}\n{_undrawn(record, paths)}"
        f"{_months(monthly_returns(record))}"
        f"<pre>{escape(render_summary(summary))}</pre>\n</body>\n</html>\n"
    )


def _undrawn(record: RunRecord, paths: Sequence[PricePath]) -> str:
    drawn = {(path.venue, path.symbol) for path in paths}
    others = {record.name_of(*key) for key in {(trade.venue, trade.symbol) for trade in record.trades} - drawn}
    names = escape(printable(", ".join(sorted(others))))
    return f"<p>Not drawn, with fewer trades: {names}.</p>\n" if others else ""


def _months(months: Sequence[Month]) -> str:
    """A row per year; nothing for a run within one month, whose return the summary has."""
    if len(months) < 2:
        return ""
    head = "".join(f"<th>{name}</th>" for name in (*MONTHS, "year"))
    rows = []
    for year, own in groupby(months, attrgetter("year")):
        values: list[float | None] = [None] * len(MONTHS)
        for month in own:
            values[month.month - 1] = month.value
        whole = prod(1 + value for value in values if value is not None) - 1
        rows.append(f"<tr><th>{year}</th>{''.join(map(_cell, (*values, whole)))}</tr>\n")
    return f"<h2>Returns by month, %</h2>\n<table>\n<tr><th></th>{head}</tr>\n{''.join(rows)}</table>\n"


def _cell(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    return f'<td class="{"loss" if value < 0 else "win"}">{value * 100:.2f}</td>'
