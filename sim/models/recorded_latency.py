"""Latency as it was measured: rows of requests that were really sent, in the config or in a file of their own."""

from __future__ import annotations

import csv
import math
import random
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from core.errors import DataError
from core.notation import NonNegativeMillis
from sim.models.legs import Legs, Operation

Row = tuple[float, float, float]
"""req, exch, resp: sent, at the venue, answered."""
COLUMNS = ("req", "exch", "resp")


class RecordedLatency(msgspec.Struct, frozen=True, tag_field="kind", tag="recorded"):
    """Interpolated from recorded rows `(req, exch, resp)` in milliseconds.

    Entry at t is linear in req between the rows' exch - req; response is linear in exch between the rows' resp - exch;
    truncated to int ns; held flat beyond the ends. A row with exch <= 0 loses the requests up to its neighbours.
    Assumes: your requests would have met the same queues. Source: F1.
    """

    rows: list[Row] | None = None
    file: str | None = None
    """In place of `rows`: a CSV file or a JSON list of them. See `loaded`."""
    feed_ms: NonNegativeMillis = 0

    @property
    def feed_ns(self) -> int:
        return self.feed_ms

    def legs(self, rng: random.Random) -> Legs:
        assert self.rows is not None, "a file is loaded when the config is read"
        return _RecordedLegs([(_ns(req), _ns(exch), _ns(resp)) for req, exch, resp in self.rows])

    def loaded(self, folder: Path) -> RecordedLatency:
        """With the rows of its file, whose path is relative to `folder`. Raises DataError naming file and row."""
        if self.file is None:
            return self
        return msgspec.structs.replace(self, rows=read_rows(folder / self.file))

    def sentence(self) -> str:
        return f"latency: interpolated from {len(self.rows or ())} recorded rows"

    def check(self) -> Any:
        """Rows must be sorted, or interpolation means nothing."""
        if (self.rows is None) == (self.file is None):
            yield "", "expected exactly one of `rows` and `file`"
        elif self.rows is not None and (trouble := _trouble(self.rows)):
            yield "rows", trouble


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file (with or without the heading req,exch,resp) or of a JSON list of lists, in ms.

    Raises DataError naming the file and the row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines: list[Any] = msgspec.json.decode(text) if path.suffix == ".json" else list(csv.reader(text.splitlines()))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    except (UnicodeDecodeError, msgspec.DecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}; expected CSV, or JSON in a file that ends in .json") from None
    if not isinstance(lines, list):
        raise DataError(f"{path}: expected a list of rows [req, exch, resp], found {type(lines).__name__}")
    first = 0
    if path.suffix != ".json" and lines and [str(cell).strip().lower() for cell in lines[0]] == list(COLUMNS):
        first = 1
    rows = [_row(path, number, line) for number, line in enumerate(lines[first:], first + 1) if line != []]
    if trouble := _trouble(rows):
        raise DataError(f"{path}: {trouble}")
    return rows


def _row(path: Path, number: int, line: Any) -> Row:
    try:
        req, exch, resp = (float(cell) for cell in line)
    except (TypeError, ValueError):
        raise DataError(f"{path}: row {number}: expected three numbers req, exch, resp in ms, found {line!r}") from None
    if not (math.isfinite(req) and math.isfinite(exch) and math.isfinite(resp)):
        raise DataError(f"{path}: row {number}: expected finite numbers, found {line!r}")
    return req, exch, resp


def _trouble(rows: list[Row]) -> str | None:
    """What keeps the rows from being interpolated."""
    if not rows:
        return "expected at least one row [req, exch, resp]"
    for number, (req, exch, resp) in enumerate(rows, 1):
        if resp < req or (exch > 0 and not req <= exch <= resp):
            expected = "expected req <= exch <= resp, or exch <= 0 where it was lost"
            return f"{expected}; row {number} is {req:g}, {exch:g}, {resp:g}"
    for number, (before, after) in enumerate(pairwise(rows), 2):
        if before[0] >= after[0]:
            return (
                f"expected rows sorted by request time, each later than the one before; row {number} is at "
                f"{after[0]:g} after {before[0]:g}"
            )
    return None


def _ns(milliseconds: float) -> int:
    return round(milliseconds * 1e6)


class _RecordedLegs(Legs):
    """In whole nanoseconds: floats would cut 17.2625 ms to 17.262499 when the interpolation meets it exactly."""

    def __init__(self, rows: list[tuple[int, int, int]]) -> None:
        self._rows = rows
        self._sent = [row[0] for row in rows]
        # Sent in this order, but requests of several sessions may arrive in another.
        self._answered = sorted((row for row in rows if row[1] > 0), key=itemgetter(1))
        self._engine = [row[1] for row in self._answered]

    def request_ns(self, operation: Operation, send: int) -> int | None:
        low, high = (self._rows[index] for index in _around(self._sent, send))
        if low[1] <= 0 or high[1] <= 0:
            return None
        return _between(send, low[0], high[0], low[1] - low[0], high[1] - high[0])

    def lost_ns(self, send: int) -> int:
        """When the client of a lost request learns of it: the interpolated resp - req."""
        low, high = (self._rows[index] for index in _around(self._sent, send))
        return _between(send, low[0], high[0], low[2] - low[0], high[2] - high[0])

    def response_ns(self, engine: int) -> int:
        if not self._answered:  # every request of the model is lost; one with legs of its own is answered at once
            return 0
        low, high = (self._answered[index] for index in _around(self._engine, engine))
        return _between(engine, low[1], high[1], low[2] - low[1], high[2] - high[1])


def _around(points: list[int], at: int) -> Iterable[int]:
    """Indices of the neighbours of `at`; the same index twice beyond the ends or on a point."""
    index = bisect_left(points, at)
    if index == len(points):
        return index - 1, index - 1
    return (index, index) if not index or points[index] == at else (index - 1, index)


def _between(at: int, x0: int, x1: int, y0: int, y1: int) -> int:
    return y0 if x0 == x1 else y0 + (y1 - y0) * (at - x0) // (x1 - x0)
