"""Maker and taker fees: a fraction of notional, in the asset the venue takes it in (venues.md section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Annotated

import msgspec

from core.account.fee_tables import BY_VOLUME, RateRow, VenueFees, laid_over, merged, with_rates
from core.account.tariff import BEGINNING, NOTHING, Commission, FeeSchedule, FeeSpan, Rate, TierRates
from core.moments import HOUR_NS, INF
from core.notation import Timestamp, timestamp_text
from core.settings.scalars import advice, nearest

DISCOUNT = Decimal("0.25")
"""Off with `pay_in` where neither the file nor the venue says how much."""


class DatedFees(msgspec.Struct, frozen=True):
    """Own rates from `since` on, until the next row."""

    since: Timestamp
    maker: Rate
    taker: Rate


class FeeModel(msgspec.Struct, frozen=True):
    """Fee = what is received x rate, quantized to 8 decimals towards zero. Negative rates are rebates.

    The rate is that of the fill's engine time: of `schedule`, else `maker` and `taker`, else the venue's stored rate of
    the tier on that day, promotions included. Assumes: the account keeps its tier; `by_volume` knows the fills of the
    run and `volume_before`. Fails when: the venue looks at balances too. Source: venues.md section 7, the adapters'
    fees.yaml.
    """

    maker: Rate | None = None
    taker: Rate | None = None
    tier: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Name of one of the venue's tiers, or `by_volume`; None is the lowest."""
    volume_before: Annotated[Decimal, msgspec.Meta(ge=0)] | None = None
    """With `by_volume`, what the account traded in the 30 days before the run, quote units; None is nothing."""
    schedule: Annotated[list[DatedFees], msgspec.Meta(min_length=1)] | None = None
    """Own rates by date, oldest first."""
    buyer: Rate = Decimal(0)
    """Standard part beside maker and taker, of a purchase."""
    seller: Rate = Decimal(0)
    tax: Commission | None = None
    special: Commission | None = None
    """Parts of the commission that no discount touches."""
    pay_in: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Asset that fees are paid in instead: (standard x (1 - discount) + tax + special) / price. A rebate stays.

    Where the account is known to hold too little of it, the whole fee is taken as usual, as the venue does. Its price
    is that of its own market in quote units where the run has one that knows a price by then, else `pay_price`.
    """
    discount: Annotated[Decimal, msgspec.Meta(ge=0, le=1)] | None = None
    """Fraction off the standard part where `pay_in` is given; None is the venue's own."""
    pay_price: Annotated[Decimal, msgspec.Meta(gt=0)] | None = None
    """Quote units per unit of `pay_in`."""

    def check(self) -> Iterator[tuple[str, str]]:
        if self.pay_in is not None and self.pay_price is None:
            yield "pay_price", f"missing: expected the price of one {self.pay_in} in quote units"
        if self.pay_in is None and self.pay_price is not None:
            yield "pay_price", "belongs to `pay_in`, the asset it is the price of"
        if self.schedule is not None:
            for key in ("maker", "taker", "tier"):
                if getattr(self, key) is not None:
                    yield key, "stands beside `schedule`, which has the rates of every date: keep one of them"
            for at, (before, row) in enumerate(pairwise(self.schedule), 1):
                if row.since <= before.since:
                    yield f"schedule[{at}].since", "expected a later date than that of the row before"
        if self.volume_before is not None and self.tier != BY_VOLUME:
            yield "volume_before", f"belongs to `tier: {BY_VOLUME}`"
        if self.tier is not None and self.maker is not None and self.taker is not None:
            yield "tier", "has no effect beside `maker` and `taker`: keep one of them"

    def problems(self, venue: str, fees: VenueFees, begins: int | None) -> Iterator[tuple[str, str]]:
        """What the venue's stored fees do not know, as (key, message). `begins`: first moment in ns, where known."""
        known = [*fees.names, BY_VOLUME]
        if self.tier is not None and self.tier not in known:
            yield "tier", f"{venue} has no tier {self.tier!r}, {advice(nearest(self.tier, known), known)}"
        first = self.schedule[0].since if self.schedule else BEGINNING
        if begins is not None and begins < first:
            yield (
                "schedule[0].since",
                f"the run begins {timestamp_text(begins)}, and no rate is given before {timestamp_text(first)}: "
                "let the first row begin no later",
            )

    def schedule_of(
        self,
        symbol: str,
        quote: str,
        fees: VenueFees,
        own: RateRow | None,
        *,
        dated: bool = True,
        discount: Decimal | None = None,
    ) -> FeeSchedule:
        """One symbol's rates by date; `own` are those that the file gives for the symbol itself.

        Not `dated`: the times of the run are no dates. `discount` is the venue's, for a model that has none.
        """
        tier = fees.lowest if self.tier is None else self.tier
        spans: Sequence[FeeSpan] = with_rates(fees.spans(symbol, quote, tier, dated=dated), self)
        for row in self.schedule or ():
            spans = laid_over(spans, row.since, INF, [TierRates(row.maker, row.taker)])
        return FeeSchedule(
            merged(with_rates(spans, own)),
            side=Commission(buyer=self.buyer, seller=self.seller),
            tax=self.tax or NOTHING,
            special=self.special or NOTHING,
            discount=next(one for one in (self.discount, discount, DISCOUNT) if one is not None),
            retiers_at=fees.retiers_at_h * HOUR_NS if tier == BY_VOLUME else None,
            traded_before=self.volume_before or Decimal(0),
        )
