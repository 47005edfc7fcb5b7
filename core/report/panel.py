"""Parts of a drawing: panels one above another that share their time axis. SVG text, no script."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from core.metrics.equity import Floats, Ints
from core.moments import SECOND_NS

WIDTH, LEFT = 1000, 90
"""Of a panel, and of the room for the labels beside it."""
POINTS_MAX = 2000
"""A screen is not wider, and a page of this size opens at once."""
LEVELS = 4
"""Labelled levels of a panel, about."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
TICK_SECONDS = (1, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY)
"""What may lie between two labels of the time axis; behind them come months."""
TICKS_MAX = 8


class TimeAxis(NamedTuple):
    """From left to right, int nanoseconds UTC."""

    start: int
    end: int

    def x(self, ts: Any) -> Any:
        """Of one moment or of an array of them."""
        return LEFT + WIDTH * ((ts - self.start) / max(self.end - self.start, 1))

    def ticks(self) -> list[tuple[int, str]]:
        """At most `TICKS_MAX` round moments, and what to write below them."""
        seconds = (self.end - self.start) / 1e9
        step = next((step for step in TICK_SECONDS if seconds <= step * TICKS_MAX), None)
        if step is None:
            return self._months()
        unit = step * SECOND_NS
        form = "D" if step >= DAY else "m" if step >= MINUTE else "s"
        moments = range(-(-self.start // unit) * unit, self.end + 1, unit)
        return [(at, str(np.datetime64(at, "ns").astype(f"M8[{form}]")).replace("T", " ")) for at in moments]

    def _months(self) -> list[tuple[int, str]]:
        first, last = (np.datetime64(at, "ns").astype("M8[M]") for at in (self.start - 1, self.end))
        step = -(-int((last - first).astype(np.int64)) // TICKS_MAX)
        months = np.arange(first + 1, last + 1, step)
        return [(int(month.astype("M8[ns]").astype(np.int64)), str(month)) for month in months]


class Panel(NamedTuple):
    """A box with a scale of its own. What is drawn into it is text, to be joined."""

    axis: TimeAxis
    top: float
    height: float
    low: float
    high: float

    def y(self, value: Any) -> Any:
        return self.top + self.height * (self.high - value) / ((self.high - self.low) or 1.0)

    def frame(self, title: str, label: Callable[[float], str]) -> str:
        """Its name and its levels, the days below. `title` is safe in HTML."""
        parts = [f'<text x="{LEFT}" y="{self.top - 6}">{title}</text>']
        for level in round_levels(self.low, self.high):
            y = f"{self.y(level):.1f}"
            parts.append(
                f'<line class="axis" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}"/>'
                f'<text x="{LEFT - 6}" y="{y}" dy="4" text-anchor="end">{label(level)}</text>'
            )
        return "".join(parts)

    def line(self, style: str, ts: Ints, values: Floats) -> str:
        return f'<polyline class="{style}" points="{self._points(*thinned(ts, values))}"/>'

    def area(self, style: str, ts: Ints, values: Floats) -> str:
        """Between the values and zero."""
        times, heights = thinned(ts, values)
        zero, first, last = self.y(0.0), self.axis.x(times[0]), self.axis.x(times[-1])
        points = self._points(times, heights)
        return f'<polygon class="{style}" points="{first:.1f},{zero:.1f} {points} {last:.1f},{zero:.1f}"/>'

    def band(self, style: str, ts: Ints, lows: Floats, highs: Floats) -> str:
        """Between the lows and the highs."""
        return f'<polygon class="{style}" points="{self._points(ts, highs)} {self._points(ts[::-1], lows[::-1])}"/>'

    def _points(self, ts: Ints, values: Floats) -> str:
        pairs = zip(self.axis.x(ts).tolist(), self.y(values).tolist(), strict=True)
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


def time_labels(axis: TimeAxis, y: float) -> str:
    return "".join(
        f'<text x="{axis.x(at):.1f}" y="{y}" text-anchor="middle">{text}</text>' for at, text in axis.ticks()
    )


def round_levels(low: float, high: float) -> list[float]:
    """About `LEVELS` numbers from low to high that are easy to read: steps of 1, 2 or 5 times a power of ten."""
    if not low < high:
        return [low]
    power = 10.0 ** np.floor(np.log10((high - low) / LEVELS))
    step = float(next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= LEVELS))
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [number * step for number in range(first, last + 1)]


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
