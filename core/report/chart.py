"""What a run did over time, as one drawing: equity, drawdown, exposure, and the prices of what was traded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape

import numpy as np

from core.market.price_paths import PricePath
from core.metrics.record import RunRecord
from core.metrics.underwater import drawdown_of
from core.notation import plain
from core.plain_text import iso_second, printable
from core.report.panel import LEFT, WIDTH, Panel, TimeAxis, time_labels
from core.trade import Trade

TRADES_MAX = 400
"""Of one symbol: more marks than this would be a smear."""
EQUITY, DRAWDOWN, EXPOSURE, PRICE = 280, 90, 90, 240
"""Heights."""
GAP = 40
"""Above each panel: its name, and the days of the one before."""
RIGHT = 55
"""Half of what stands below the last moment needs room there."""
MARK = 5
"""Half the width of an entry's mark."""

Draw = Callable[[TimeAxis, float], str]
"""Draws a panel, given where its top is."""


def drawing(record: RunRecord, paths: Sequence[PricePath]) -> str:
    """An SVG element. Same run, same text."""
    if not len(record.curve):
        return "<p>The run has no equity rows: there is nothing to draw.</p>"
    axis = TimeAxis(record.start, max(record.end, int(record.curve.ts[-1])))
    panels: list[tuple[int, Draw]] = [
        (EQUITY, partial(_equity, record)),
        (DRAWDOWN, partial(_drawdown, record)),
        (EXPOSURE, partial(_exposure, record)),
    ]
    for path in paths:
        own = [trade for trade in record.trades if (trade.venue, trade.symbol) == (path.venue, path.symbol)]
        panels.append((PRICE, partial(_price, path, own, record.name_of(path.venue, path.symbol))))
    parts, top = [], GAP
    for height, draw in panels:
        parts += [draw(axis, top), time_labels(axis, top + height + 16)]
        top += height + GAP
    return (
        f'<svg viewBox="0 0 {LEFT + WIDTH + RIGHT} {top}" role="img" aria-label="equity and prices over time">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def _equity(record: RunRecord, axis: TimeAxis, top: float) -> str:
    equity, initial = record.curve.floats("equity"), float(record.initial_equity)
    low, high = min(float(equity.min()), initial), max(float(equity.max()), initial)
    panel = Panel(axis, top, EQUITY, low, high)
    title = f"equity, {escape(printable(record.currency))}"
    return panel.frame(title, _amount(low, high)) + panel.line("equity", record.curve.ts, equity)


def _drawdown(record: RunRecord, axis: TimeAxis, top: float) -> str:
    drawdown = 100 * drawdown_of(record.curve, float(record.initial_equity))
    low = float(drawdown.min())
    panel = Panel(axis, top, DRAWDOWN, low, 0.0)
    return panel.frame("drawdown, %", _amount(low, 0.0)) + panel.area("drawdown", record.curve.ts, drawdown)


def _exposure(record: RunRecord, axis: TimeAxis, top: float) -> str:
    exposure = record.curve.floats("exposure")
    high = float(exposure.max())
    panel = Panel(axis, top, EXPOSURE, 0.0, high)
    title = f"exposure, {escape(printable(record.currency))}"
    return panel.frame(title, _amount(0.0, high)) + panel.area("exposure", record.curve.ts, exposure)


def _price(path: PricePath, trades: Sequence[Trade], name: str, axis: TimeAxis, top: float) -> str:
    prices = [float(p) for trade in trades for p in (trade.entry_price, trade.exit_price) if p is not None]
    low, high = min([*path.lows, *prices]), max([*path.highs, *prices])
    panel = Panel(axis, top, PRICE, low, high)
    marked = trades[:TRADES_MAX]
    title = f"{escape(printable(name))} with {len(trades):,} trades"
    if len(marked) < len(trades):
        title += f", the first {len(marked):,} of them marked"
    band = panel.band("price", np.array(path.ends), np.array(path.lows), np.array(path.highs))
    return panel.frame(title, _amount(low, high)) + band + "".join(_mark(panel, trade) for trade in marked)


def _mark(panel: Panel, trade: Trade) -> str:
    """A triangle at the entry, up for a long, joined to a dot at the exit; green where it earned, red where not."""
    x, y = panel.axis.x(trade.entry_ts), panel.y(float(trade.entry_price))
    tip = -MARK if trade.side == "long" else MARK
    outcome = "open" if trade.exit_ts is None else "win" if trade.pnl > 0 else "loss"
    entry = f'<path d="M{x - MARK:.1f},{y - tip:.1f}h{2 * MARK}l{-MARK},{2 * tip}z"/>'
    way = ""
    if trade.exit_ts is not None and trade.exit_price is not None:
        to_x, to_y = panel.axis.x(trade.exit_ts), panel.y(float(trade.exit_price))
        way = f'<path d="M{x:.1f},{y:.1f}L{to_x:.1f},{to_y:.1f}"/><circle cx="{to_x:.1f}" cy="{to_y:.1f}" r="3"/>'
    return f'<g class="{outcome}"><title>{escape(printable(_words(trade)))}</title>{entry}{way}</g>'


def _words(trade: Trade) -> str:
    """What the browser shows when the pointer rests on a mark."""
    entry = f"{trade.trade_id}, {trade.strategy}: {trade.side} {plain(trade.qty)} at {float(trade.entry_price):.10g}"
    if trade.exit_price is None:
        return f"{entry}, {iso_second(trade.entry_ts)}, open at the end"
    done = f"out at {float(trade.exit_price):.10g} ({trade.exit_reason}), profit {plain(trade.pnl)}"
    return f"{entry}, {iso_second(trade.entry_ts)}, {done}"


def _amount(low: float, high: float) -> Callable[[float], str]:
    """As many digits as tell the levels apart."""
    room = high - low
    digits = 0 if room > 20 or not room else int(max(0.0, 2 - np.floor(np.log10(room))))
    return lambda value: f"{value + 0.0:,.{digits}f}"
