"""The rows of a scenario's tape: every key of section 5 of the scenario page.

Prices and quantities are exact decimals, times int nanoseconds after the scenario's `start`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from core.events import Side
from core.market.price_filters import NotNegative, Positive
from core.notation import Millis
from sim.scenarios.market import Complaints, Spec, exactly_one

Level = tuple[Positive, NotNegative]
"""[price, quantity]; quantity "0" deletes the level."""


class DepthRow(Spec, frozen=True, kw_only=True):
    """Levels that changed; a snapshot resets what it omits."""

    bids: list[Level] = msgspec.field(default_factory=list)
    asks: list[Level] = msgspec.field(default_factory=list)
    snapshot: bool = False


class QuoteRow(Spec, frozen=True, kw_only=True):
    """Best bid and ask; a side left out is unchanged."""

    bid: Level | None = None
    ask: Level | None = None

    def check(self) -> Complaints:
        if self.bid is None and self.ask is None:
            yield "", "expected `bid: [price, qty]`, `ask: [price, qty]` or both"


class TradeRow(Spec, frozen=True, kw_only=True):
    """A print; `side` is the aggressor's."""

    side: Side
    price: Positive
    qty: Positive
    block: bool = False
    rpi: bool = False
    insurance: bool = False
    """Also marks ADL prints."""


class BarRow(Spec, frozen=True, kw_only=True):
    """A bar; the row's `at` is its open time."""

    interval_ms: Millis
    """Length of the bar, nanoseconds once read."""
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    volume: NotNegative
    """Base units."""

    def check(self) -> Complaints:
        if self.interval_ms <= 0:
            yield "interval_ms", "expected more than 0 ms"
        yield from _range_complaints(self.open, self.high, self.low, self.close)


class MarkRow(Spec, frozen=True, kw_only=True):
    """A mark price: one value, or a bar of them."""

    price: Positive | None = None
    interval_ms: Millis | None = None
    open: Positive | None = None
    high: Positive | None = None
    low: Positive | None = None
    close: Positive | None = None

    def check(self) -> Complaints:
        keys = ("interval_ms", "open", "high", "low", "close")
        given = [key for key in keys if getattr(self, key) is not None]
        if (self.price is not None and given) or (self.price is None and len(given) != len(keys)):
            yield "", "expected `price`, or `interval_ms`, `open`, `high`, `low` and `close`"
            return
        if self.interval_ms is not None and self.interval_ms <= 0:
            yield "interval_ms", "expected more than 0 ms"
        if self.open is not None and self.high is not None and self.low is not None and self.close is not None:
            yield from _range_complaints(self.open, self.high, self.low, self.close)


class PriceRow(Spec, frozen=True, kw_only=True):
    """An index price, or the reference the spot filters use."""

    price: Positive


class FundingRow(Spec, frozen=True, kw_only=True):
    """A settlement: its rate, or the premium it is computed from."""

    rate: Decimal | None = None
    premium: Decimal | None = None
    interest: Decimal | None = None
    """"0.0001" when left out beside `premium`."""
    interval_h: Annotated[int, msgspec.Meta(gt=0)] | None = None
    """The instrument's when left out."""
    mark: Positive | None = None
    """The last mark row's price when left out."""

    def check(self) -> Complaints:
        if (self.rate is None) == (self.premium is None):
            yield "", "expected exactly one of `rate` and `premium`"
        if self.rate is not None:
            for key in ("interest", "interval_h"):
                if getattr(self, key) is not None:
                    yield key, "belongs to `premium`; a given `rate` is applied as it is"


class OrderRow(Spec, frozen=True, kw_only=True):
    """One order of an exact (l3) book."""

    action: Literal["add", "modify", "delete"]
    id: str | int
    """The venue's, often a bare number."""
    side: Side | None = None
    price: Positive | None = None
    qty: NotNegative | None = None

    def check(self) -> Complaints:
        needed = {"add": ("side", "price", "qty"), "modify": ("qty",), "delete": ()}[self.action]
        for key in needed:
            if getattr(self, key) is None:
                yield key, f"missing: `action: {self.action}` needs it"


class AdlRow(Spec, frozen=True, kw_only=True):
    """So much of our position is closed by auto-deleveraging."""

    qty: Positive
    price: Positive


ROW_KINDS = ("depth", "quote", "trade", "bar", "mark", "index", "reference", "funding", "l3", "adl")


class TapeRow(Spec, frozen=True, kw_only=True):
    """One row; exactly one kind is set. Times are nanoseconds after `start`."""

    at: Millis
    """The venue's engine time; a bar's open."""
    symbol: str
    received_at: Millis | None = None
    """`at` + the feed latency when left out."""
    depth: DepthRow | None = None
    quote: QuoteRow | None = None
    trade: TradeRow | None = None
    bar: BarRow | None = None
    mark: MarkRow | None = None
    index: PriceRow | None = None
    reference: PriceRow | None = None
    funding: FundingRow | None = None
    l3: OrderRow | None = None
    adl: AdlRow | None = None

    @property
    def kind(self) -> str:
        """The one key of `ROW_KINDS` that is set."""
        return next(kind for kind in ROW_KINDS if getattr(self, kind) is not None)

    @property
    def row(self) -> Any:
        """What stands under that key."""
        return getattr(self, self.kind)

    def check(self) -> Complaints:
        yield from exactly_one(self, ROW_KINDS)
        if self.received_at is not None and self.received_at < self.at:
            yield "received_at", "is before `at`: a row is not received before it happened"


def _range_complaints(open_: Decimal, high: Decimal, low: Decimal, close: Decimal) -> Complaints:
    if high < max(open_, close, low):
        yield "high", f"{high} is below another price of the bar"
    if low > min(open_, close):
        yield "low", f"{low} is above another price of the bar"
