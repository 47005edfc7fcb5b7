"""A schedule of fees for tests that are about something else."""

from __future__ import annotations

from decimal import Decimal

from core.account.tariff import BEGINNING, FeeSchedule, FeeSpan, TierRates


def flat(maker: Decimal, taker: Decimal) -> FeeSchedule:
    """One maker and one taker rate, always."""
    return FeeSchedule((FeeSpan(BEGINNING, (TierRates(maker, taker),)),))
