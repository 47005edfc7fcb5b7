"""What a venue's pages leave open about its account: how it values maintenance, and how exact its funding clock is."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from core.notation import NonNegativeMillis


class MarginModel(msgspec.Struct, frozen=True):
    """Which of Bybit's two descriptions of isolated maintenance margin holds (other venues are not concerned), and when
    a venue warns.

    `mark`: maintenance at mark, LP = (EP x q - margin - ded) / (q x (1 - MMR)) for a long. `entry`: at entry value,
    LP = EP - (margin - MM) / q. Assumes: one form for the whole run. Source: venues.md section 8; the help page of
    2026-05-27 says mark, older ones entry.
    """

    bybit_liq: Literal["mark", "entry"] | None = None
    """None: mark. Where the venue's rules leave nothing open it has no meaning, and a run refuses it."""
    call_at: Annotated[Decimal, msgspec.Meta(gt=0, le=1)] | None = None
    """Maintenance margin over what stands behind a position from which on there is a margin call; None: as the venue's
    stored rules guess (no page we have names its level). In runs; a scenario has no such event.
    """

    def maintenance_at(self, venue: Literal["mark", "model"]) -> Literal["mark", "entry"]:
        """At which price maintenance is valued; `venue` is what its rules say, `model` leaves it to us."""
        return (self.bybit_liq or "mark") if venue == "model" else venue


class FundingModel(msgspec.Struct, frozen=True):
    """When funding of time T is settled: at T + grace, on what is held then, at the mark of T.

    0 is exact: what is opened in the nanosecond T is not charged. Venues settle within seconds of T, so a position
    opened (or closed) in that margin may be charged (or spared). Assumes: the same delay every time. Source: venues.md
    section 8.
    """

    grace_ms: NonNegativeMillis = 0
