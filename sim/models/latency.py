"""Latency: how long a request takes to the venue, an answer back, and market data to us. All in int nanoseconds.

F1: arrive = max(send + entry, previous arrival on the same session); an answer is heard at max(engine + response,
previous answer on that session). The FIFO is the gateway's; a model only says how long a leg is.
"""

from __future__ import annotations

import math
import random
from typing import Annotated

import msgspec

from core.notation import NonNegativeMillis
from sim.models.feed_latency import FeedDerivedLatency
from sim.models.legs import Legs, Operation
from sim.models.recorded_latency import RecordedLatency


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

    @property
    def shortest_ns(self) -> int:
        """No request arrives sooner than this after it is sent."""
        return min(_medians(self).values())

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


LatencyModel = NoLatency | ConstantLatency | LognormalLatency | RecordedLatency | FeedDerivedLatency


def _medians(model: ConstantLatency | LognormalLatency) -> dict[str, int]:
    entry = model.entry_ms
    return {
        "entry": entry,
        "cancel": entry if model.cancel_ms is None else model.cancel_ms,
        "amend": entry if model.amend_ms is None else model.amend_ms,
    }


class _ConstantLegs(Legs):
    def __init__(self, requests: dict[str, int], response: int) -> None:
        self._requests = requests
        self._response = response

    def request_ns(self, operation: Operation, send: int) -> int | None:
        return self._requests[operation]

    def response_ns(self, engine: int) -> int:
        return self._response


class _LognormalLegs(Legs):
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
