"""One HTML page with the equity curve: an inline drawing, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from core.metrics.equity import EquityCurve, Floats, Ints
from core.metrics.underwater import drawdown_of
from core.report.plain_text import printable
from core.report.readable import render_summary
from core.trade import Trade

POINTS_MAX = 2000
"""A screen is not wider, and a page of this size opens at once."""
TRADES_MAX = 400
"""More marks than this would be a smear."""

WIDTH, EQUITY_HEIGHT, DRAWDOWN_HEIGHT, LEFT, TOP = 1000, 320, 110, 90, 20

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#8a939e;--line:#0a66c2;--loss:#c0392b;--win:#1e8449}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171a;--line:#6cb2ff;--loss:#ff7b6b;--win:#5fd38a}}
body{margin:2rem auto;max-width:70rem;padding:0 1rem;color:var(--ink);background:var(--paper);font:15px sans-serif}
svg{width:100%;height:auto}text{fill:var(--soft);font-size:12px}pre{overflow-x:auto;font-size:13px}
.equity{fill:none;stroke:var(--line);stroke-width:1.5}.drawdown{fill:var(--loss);fill-opacity:.35}
.axis{stroke:var(--soft);stroke-width:.5}.win{fill:var(--win)}.loss{fill:var(--loss)}
"""


def equity_html(curve: EquityCurve, trades: Sequence[Trade], summary: dict[str, Any]) -> str:
    """The page. Deterministic: same run, same text."""
    name = escape(printable(summary["run"]))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<meta name="viewport" content="width=device-width">\n<title>{name}</title>\n<style>{STYLE}</style>\n'
        f"</head>\n<body>\n<h1>{name}</h1>\n{_drawing(curve, trades, summary)}\n"
        f"<pre>{escape(render_summary(summary))}</pre>\n</body>\n</html>\n"
    )


def thinned(ts: Ints, values: Floats, points_max: int = POINTS_MAX) -> tuple[Ints, Floats]:
    """At most `points_max` points that keep every visible peak: lowest and highest of each stretch, in their order."""
    if len(ts) <= points_max:
        return ts, values
    edges = np.linspace(0, len(ts), points_max // 2 + 1).astype(np.int64)
    rows: list[int] = []
    for low, high in pairwise(edges.tolist()):
        part = values[low:high]
        rows += sorted((int(low + part.argmin()), int(low + part.argmax())))
    return ts[rows], values[rows]


def _drawing(curve: EquityCurve, trades: Sequence[Trade], summary: dict[str, Any]) -> str:
    if not len(curve):
        return "<p>The run has no equity rows: there is nothing to draw.</p>"
    start, end = summary["start_ns"], max(summary["end_ns"], int(curve.ts[-1]))
    initial = float(summary["initial_equity"])
    equity = curve.floats("equity")
    drawdown = drawdown_of(curve, initial)
    span = float(max(end - start, 1))
    parts = [_equity_line(curve.ts, equity, start, span, initial, summary["currency"])]
    parts += [_drawdown_area(curve.ts, drawdown, start, span), _time_axis(summary), _marks(trades, start, span)]
    height = TOP + EQUITY_HEIGHT + 30 + DRAWDOWN_HEIGHT + 40
    return (
        f'<svg viewBox="0 0 {LEFT + WIDTH + 10} {height}" role="img" aria-label="equity and drawdown over time">\n'
        + "\n".join(part for part in parts if part)
        + "\n</svg>"
    )


def _equity_line(ts: Ints, equity: Floats, start: int, span: float, initial: float, currency: str) -> str:
    low, high = min(float(equity.min()), initial), max(float(equity.max()), initial)
    room = (high - low) or 1.0
    times, values = thinned(ts, equity)
    points = _points(times, TOP + EQUITY_HEIGHT * (high - values) / room, start, span)
    return (
        _level(TOP, f"{high:,.2f}")
        + _level(TOP + EQUITY_HEIGHT, f"{low:,.2f}")
        + f'<text x="{LEFT}" y="{TOP - 6}">equity, {escape(printable(currency))}</text>'
        + f'<polyline class="equity" points="{points}"/>'
    )


def _drawdown_area(ts: Ints, drawdown: Floats, start: int, span: float) -> str:
    top = TOP + EQUITY_HEIGHT + 30
    deepest = float(drawdown.min())
    times, values = thinned(ts, drawdown)
    points = _points(times, top + DRAWDOWN_HEIGHT * values / (deepest or -1.0), start, span)
    first, last = points.split(" ", 1)[0].split(",")[0], points.rsplit(" ", 1)[-1].split(",")[0]
    return (
        _level(top, "0 %")
        + _level(top + DRAWDOWN_HEIGHT, f"{deepest * 100:.2f} %")
        + f'<text x="{LEFT}" y="{top - 6}">drawdown</text>'
        + f'<polygon class="drawdown" points="{first},{top} {points} {last},{top}"/>'
    )


def _time_axis(summary: dict[str, Any]) -> str:
    y = TOP + EQUITY_HEIGHT + 30 + DRAWDOWN_HEIGHT + 20
    return (
        f'<text x="{LEFT}" y="{y}">{escape(summary["start"][:16])}Z</text>'
        f'<text x="{LEFT + WIDTH}" y="{y}" text-anchor="end">{escape(summary["end"][:16])}Z</text>'
    )


def _marks(trades: Sequence[Trade], start: int, span: float) -> str:
    """A mark under the equity line where each trade ended."""
    exits = [(trade.exit_ts, trade.pnl > 0) for trade in trades if trade.exit_ts is not None]
    if len(exits) > TRADES_MAX:
        return f'<text x="{LEFT + WIDTH}" y="{TOP - 6}" text-anchor="end">{len(exits):,} trades, not marked</text>'
    y = TOP + EQUITY_HEIGHT + 6
    return "".join(
        f'<circle class="{"win" if won else "loss"}" cx="{LEFT + WIDTH * (ts - start) / span:.1f}" cy="{y}" r="2.5"/>'
        for ts, won in exits
    )


def _level(y: float, label: str) -> str:
    return (
        f'<line class="axis" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{label}</text>'
    )


def _points(ts: Ints, y: Floats, start: int, span: float) -> str:
    x = LEFT + WIDTH * ((ts - start) / span)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
