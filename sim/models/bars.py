"""How a bar is walked (F8): the path between its four prices, and what share of its volume is ours."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

Share = Annotated[Decimal, msgspec.Meta(ge=0, le=1)]
PathKind = Literal["adaptive", "fixed_ohlc", "fixed_olhc", "worst"]


class BarModel(msgspec.Struct, frozen=True):
    """The path through a bar and our share of it.

    Path: |H-O| < |O-L| goes O,H,L,C; > goes O,L,H,C; equal: O,L,H,C if C >= O, else O,H,L,C. Vertices at t0, t0 + d/3,
    t0 + 2d/3, t0 + d; price linear in time on each leg; volume spread evenly per unit of path length.
    `worst`: the extreme that hurts the open position comes first. Assumes: a bar has one swing each way. Fails when: it
    has many; fills inside a bar are an estimate, and the summary says so. Source: F8.
    """

    path: PathKind = "adaptive"
    participation: Share = Decimal("0.1")
    """rho: share of the volume traded strictly through a resting order's price that fills our orders there."""
    market_participation: Share = Decimal("0.25")
    """Cap of taker quantity per bar as a share of its volume; 0 means no cap."""
    remainder: Literal["carry", "expire"] = "carry"
    """What is over the cap: carried to the next open, or expired."""

    def sentence(self) -> str:
        cap = f"{self.market_participation:f} of a bar's volume" if self.market_participation else "no cap"
        return (
            f"bars: {self.path} path, resting orders get {self.participation:f} of the volume strictly through their "
            f"price, takers at most {cap} (rest: {self.remainder})"
        )


def path_of(kind: PathKind, o: int, h: int, low: int, c: int, position: int) -> tuple[int, int, int, int]:
    """The four vertices of a bar, as mantissas. `position` is the sign of what we hold (for `worst`)."""
    if kind == "fixed_ohlc":
        high_first = True
    elif kind == "fixed_olhc":
        high_first = False
    elif kind == "worst" and position:
        high_first = position < 0
    else:
        up, down = h - o, o - low
        high_first = up < down or (up == down and c < o)
    return (o, h, low, c) if high_first else (o, low, h, c)
