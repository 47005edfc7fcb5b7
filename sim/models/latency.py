"""Latency: how long a request takes to the venue, an answer back, and market data to us. All in int nanoseconds.

F1: arrive = max(send + entry, previous arrival on the same session); an answer is heard at max(engine + response,
previous answer on that session). The FIFO is the gateway's; a model only says how long a leg is.
"""

from __future__ import annotations

import math
import random
from typing import Annotated, Any, Literal, Protocol

import msgspec

from core.decode import NonNegativeMillis

Operation = Literal["entry", "cancel", "amend"]


class Legs(Protocol):
    """A latency model in use."""

    def request_ns(self, operation: Operation, send: int) -> int | None:
        """Client to venue; None: the request is lost."""
        ...

    def response_ns(self, engine: int) -> int:
        """Venue to client."""
        ...


class NoLatency(msgspec.Struct, frozen=True, tag_field="kind", tag="none"):
    """All legs 0. Assumes: you sit in the matching engine. Fails when: always; a lower bound for comparisons."""

    @property
    def feed_ns(self) -> int:
        return 0

    def legs(self, rng: random.Random) -> Legs:
        return _ConstantLegs({"entry": 0, "cancel": 0, "amend": 0}, 0)

    def sentence(self) -> str:
        return "latency: none, requests reach the venue at once"


class ConstantLatency(msgspec.Struct, frozen=True, tag_field="kind", tag="constant"):
    """The same delay every time, in milliseconds.

    Assumes: no jitter, no overload. Fails when: the market is fast, which is when venues are slow (recorded rows show
    it). Source: the user's own round-trip measurement.
    """

    entry_ms: NonNegativeMillis = 0
    cancel_ms: NonNegativeMillis | None = None
    amend_ms: NonNegativeMillis | None = None
    response_ms: NonNegativeMillis = 0
    feed_ms: NonNegativeMillis = 0

    @property
    def feed_ns(self) -> int:
        return self.feed_ms

    def legs(self, rng: random.Random) -> Legs:
        return _ConstantLegs(_medians(self), self.response_ms)

    def sentence(self) -> str:
        return (
            f"latency: constant, {self.entry_ms / 1e6:g} ms to the venue, {self.response_ms / 1e6:g} ms back, "
            f"{self.feed_ms / 1e6:g} ms market data"
        )


class LognormalLatency(msgspec.Struct, frozen=True, tag_field="kind", tag="lognormal"):
    """median x exp(sigma x N(0, 1)) per leg, drawn from the run's seed.

    Medians in milliseconds, sigma of the logarithm. Assumes: independent draws. Fails when: delays come in bursts, as
    they do under load. Source: venues.md section 11.
    """

    entry_ms: NonNegativeMillis = 0
    cancel_ms: NonNegativeMillis | None = None
    amend_ms: NonNegativeMillis | None = None
    response_ms: NonNegativeMillis = 0
    feed_ms: NonNegativeMillis = 0
    sigma: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.3

    @property
    def feed_ns(self) -> int:
        return self.feed_ms

    def legs(self, rng: random.Random) -> Legs:
        return _LognormalLegs(_medians(self), self.response_ms, self.sigma, rng)

    def sentence(self) -> str:
        return (
            f"latency: lognormal, medians {self.entry_ms / 1e6:g} ms to the venue, {self.response_ms / 1e6:g} ms back, "
            f"{self.feed_ms / 1e6:g} ms market data, sigma {self.sigma:g}"
        )


class RecordedLatency(msgspec.Struct, frozen=True, tag_field="kind", tag="recorded"):
    """Interpolated from recorded rows `(req, exch, resp)` in milliseconds.

    Entry at t is linear in req between the rows' exch - req; response is linear in exch between the rows' resp - exch;
    truncated to int ns; held flat beyond the ends. A row with exch <= 0 loses the requests up to its neighbours.
    Assumes: your requests would have met the same queues. Source: F1.
    """

    rows: list[tuple[float, float, float]]
    feed_ms: NonNegativeMillis = 0

    @property
    def feed_ns(self) -> int:
        return self.feed_ms

    def legs(self, rng: random.Random) -> Legs:
        return _RecordedLegs([(req * 1e6, exch * 1e6, resp * 1e6) for req, exch, resp in self.rows])

    def sentence(self) -> str:
        return f"latency: interpolated from {len(self.rows)} recorded rows"

    def check(self) -> Any:
        """Rows must be sorted, or interpolation means nothing."""
        if not self.rows:
            yield "rows", "expected at least one row [req, exch, resp]"
        if any(a[0] >= b[0] for a, b in zip(self.rows, self.rows[1:], strict=False)):
            yield "rows", "expected rows sorted by request time, each later than the one before"


LatencyModel = NoLatency | ConstantLatency | LognormalLatency | RecordedLatency


def _medians(model: ConstantLatency | LognormalLatency) -> dict[str, int]:
    entry = model.entry_ms
    return {
        "entry": entry,
        "cancel": entry if model.cancel_ms is None else model.cancel_ms,
        "amend": entry if model.amend_ms is None else model.amend_ms,
    }


class _ConstantLegs:
    def __init__(self, requests: dict[str, int], response: int) -> None:
        self._requests = requests
        self._response = response

    def request_ns(self, operation: Operation, send: int) -> int | None:
        return self._requests[operation]

    def response_ns(self, engine: int) -> int:
        return self._response


class _LognormalLegs:
    def __init__(self, requests: dict[str, int], response: int, sigma: float, rng: random.Random) -> None:
        self._requests = requests
        self._response = response
        self._sigma = sigma
        self._rng = rng

    def request_ns(self, operation: Operation, send: int) -> int | None:
        return self._draw(self._requests[operation])

    def response_ns(self, engine: int) -> int:
        return self._draw(self._response)

    def _draw(self, median: int) -> int:
        return int(median * math.exp(self._sigma * self._rng.gauss(0.0, 1.0)))


class _RecordedLegs:
    def __init__(self, rows: list[tuple[float, float, float]]) -> None:
        self._rows = rows
        self._answered = [row for row in rows if row[1] > 0]

    def request_ns(self, operation: Operation, send: int) -> int | None:
        rows = self._rows
        low, high = _around([row[0] for row in rows], send)
        if rows[low][1] <= 0 or rows[high][1] <= 0:
            return None
        return int(
            _between(send, rows[low][0], rows[high][0], rows[low][1] - rows[low][0], rows[high][1] - rows[high][0])
        )

    def lost_ns(self, send: int) -> int:
        """When the client of a lost request learns of it: the interpolated resp - req."""
        rows = self._rows
        low, high = _around([row[0] for row in rows], send)
        return int(
            _between(send, rows[low][0], rows[high][0], rows[low][2] - rows[low][0], rows[high][2] - rows[high][0])
        )

    def response_ns(self, engine: int) -> int:
        rows = self._answered
        low, high = _around([row[1] for row in rows], engine)
        return int(
            _between(engine, rows[low][1], rows[high][1], rows[low][2] - rows[low][1], rows[high][2] - rows[high][1])
        )


def _around(points: list[float], at: float) -> tuple[int, int]:
    """Indices of the neighbours of `at`; the same index twice beyond the ends or on a point."""
    if at <= points[0]:
        return 0, 0
    for index in range(1, len(points)):
        if at <= points[index]:
            return (index, index) if at == points[index] else (index - 1, index)
    return len(points) - 1, len(points) - 1


def _between(at: float, x0: float, x1: float, y0: float, y1: float) -> float:
    return y0 if x0 == x1 else y0 + (y1 - y0) * (at - x0) / (x1 - x0)
