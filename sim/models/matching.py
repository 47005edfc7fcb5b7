"""What else decides a fill on books and prints: crossings, overlay, participation, triggers, self-trades."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from core.events import SelfTrade
from core.notation import NonNegativeMillis

Share = Annotated[Decimal, msgspec.Meta(gt=0, le=1)]


class CrossedModel(msgspec.Struct, frozen=True):
    """F6: the opposite best comes to stand at or through an order of ours, and no print explains it.

    `displayed` fills with what is shown there, `full` fills whole, `none` waits for prints. Source: F6.
    """

    kind: Literal["displayed", "full", "none"] = "displayed"
    through: Literal["budget", "full"] = "budget"
    """A print beyond our price: its size is all it can fill (F5), or it fills every order it passes: an upper bound."""

    def sentence(self) -> str:
        beyond = "" if self.through == "budget" else "; a print beyond our price fills everything"
        return f"crossed book: {self.kind}{beyond}"


class OverlayModel(msgspec.Struct, frozen=True):
    """F3: what we took stays taken; with a half-life it comes back, used(t) = used x 2^(-t / half-life)."""

    refill_half_life_ms: NonNegativeMillis | None = None

    def check(self) -> Iterator[tuple[str, str]]:
        if self.refill_half_life_ms == 0:
            yield "refill_half_life_ms", "0 would give back what was taken at once; expected more, or leave it out"


class PrintModel(msgspec.Struct, frozen=True):
    """F9: only prints are known, no book.

    A resting order gets `participation` of the prints at its price once `ahead_qty` (base units; else `ahead_medians`
    times the trailing median print) has traded there; a taker gets that share of the next `window_ms`.
    Assumes: the queue is some prints long. Fails when: the level is thick. Source: F9.
    """

    participation: Share = Decimal("0.1")
    ahead_qty: Annotated[Decimal, msgspec.Meta(ge=0)] | None = None
    ahead_medians: Annotated[Decimal, msgspec.Meta(ge=0)] = Decimal(10)
    window_ms: NonNegativeMillis = 1_000_000_000

    def sentence(self) -> str:
        ahead = f"{self.ahead_medians:f} median prints" if self.ahead_qty is None else f"{self.ahead_qty:f}"
        return f"prints: {self.participation:f} of what trades at our price after {ahead} ahead of us"


class TriggerModel(msgspec.Struct, frozen=True):
    """F12: how long a venue takes from the event that fires a trigger to the order it places."""

    delay_ms: NonNegativeMillis = 0


class SelfTradeModel(msgspec.Struct, frozen=True):
    """F14: the mode of an order that names none; None is the venue's own default."""

    default: SelfTrade | None = None
