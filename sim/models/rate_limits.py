"""How many requests and orders a venue takes in a time: its own limits, others, or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from core.notation import interval_ns

Limit = Annotated[int, msgspec.Meta(ge=1)]
Credit = Annotated[int, msgspec.Meta(ge=0)]


class NoRateLimits(msgspec.Struct, frozen=True, tag_field="kind", tag="none"):
    """Everything is taken; the counters count. Fails when: the strategy sends more than a venue would take."""

    def sentence(self) -> str:
        return "rate limits: none, every request is taken"


class VenueRateLimits(msgspec.Struct, frozen=True, tag_field="kind", tag="venue"):
    """The venue's limits of the simulated time; what is given here stands instead of them.

    Assumes: one account and one address, nobody else uses them. Fails when: other programs share them. Source:
    venues.md section 5.
    """

    orders: dict[str, Limit] | None = None
    """Interval (`10s`, `1m`, `1d`) to orders."""
    weight: dict[str, Limit] | None = None
    """Interval to request weight."""
    taker_fill_credit: Credit | None = None
    """What an order's first fill gives back of the order counters, where it is the taker."""
    maker_fill_credit: Credit | None = None

    def check(self) -> Iterator[tuple[str, str]]:
        for name in ("orders", "weight"):
            for interval in getattr(self, name) or {}:
                try:
                    interval_ns(interval)
                except ValueError as error:
                    yield f"{name}.{interval}", str(error)

    def sentence(self) -> str:
        parts = []
        for name in ("orders", "weight"):
            limits = getattr(self, name)
            if limits is not None:
                parts.append(f"{name} {', '.join(f'{limit} per {interval}' for interval, limit in limits.items())}")
        return "rate limits: the venue's" + (f", but {'; '.join(parts)}" if parts else "")


RateLimitModel = VenueRateLimits | NoRateLimits
