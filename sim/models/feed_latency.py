"""Latency read off the market data itself: where it is late, requests and answers are taken to be late too."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

import msgspec

from core.notation import Millis
from sim.models.legs import Legs, Operation

Multiplier = Annotated[Decimal, msgspec.Meta(ge=0, le=1_000)]
FeedLeg = Callable[[int], int]
"""Lf of the newest row received at a time of ours, both int nanoseconds; 0 before the first row."""


class FeedDerivedLatency(msgspec.Struct, frozen=True, tag_field="kind", tag="feed_derived"):
    """multiplier x Lf + offset per leg, never below 0; Lf = receipt - venue time of the newest row received.

    Offsets in milliseconds; cut to int ns. Assumes: requests queue where market data queues. Fails when: the tape has
    no recorded receipts (Lf is 0 then and the offsets are all there is, as with most bars). Source: F1.
    """

    entry_multiplier: Multiplier = Decimal(1)
    response_multiplier: Multiplier = Decimal(1)
    entry_offset_ms: Millis = 0
    response_offset_ms: Millis = 0

    @property
    def feed_ns(self) -> int:
        """Nothing is added to what was recorded."""
        return 0

    def legs(self, rng: random.Random) -> Legs:
        return FeedDerivedLegs(self)

    def sentence(self) -> str:
        return (
            f"latency: {self.entry_multiplier:f} x that of the newest market data + {self.entry_offset_ms / 1e6:g} ms "
            f"to the venue, {self.response_multiplier:f} x + {self.response_offset_ms / 1e6:g} ms back"
        )


class FeedDerivedLegs(Legs):
    """In use once somebody has told it where to read Lf."""

    def __init__(self, model: FeedDerivedLatency) -> None:
        self._model = model
        self._feed_leg: FeedLeg | None = None

    def read_from(self, feed_leg: FeedLeg) -> None:
        """Where Lf comes from."""
        self._feed_leg = feed_leg

    def request_ns(self, operation: Operation, send: int) -> int | None:
        return self._leg(send, self._model.entry_multiplier, self._model.entry_offset_ms)

    def response_ns(self, engine: int) -> int:
        return self._leg(engine, self._model.response_multiplier, self._model.response_offset_ms)

    def _leg(self, at: int, multiplier: Decimal, offset: int) -> int:
        assert self._feed_leg is not None, "the line that uses these legs tells them"
        return max(0, int(multiplier * self._feed_leg(at)) + offset)
