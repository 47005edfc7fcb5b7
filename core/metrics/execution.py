"""What trading cost and how well orders did."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

import msgspec

from core.exact import MATH, ZERO
from core.metrics.record import RunRecord, Undefined
from core.orders import Order, OrderStatus

UNSENT = frozenset({OrderStatus.INITIALIZED, OrderStatus.DENIED})
"""Orders in these states never left the house."""

Prices = dict[tuple[str, str], Decimal]


class Turnover:
    """Sum of price x qty over all fills. Unit: the currency, exact."""

    name = "turnover"

    def of(self, record: RunRecord) -> Decimal:
        return record.totals.turnover


class Fees:
    """Sum of fees, rebates subtracted. Unit: the currency, exact.

    A fee in the base asset counts at the fill's price, one in a third asset at the last price known of it; where none
    is it is listed under `other_fees` instead.
    """

    name = "fees"

    def of(self, record: RunRecord) -> Decimal:
        return record.totals.fees


class Funding:
    """Sum of funding payments; negative was paid by us. Unit: the currency, exact."""

    name = "funding"

    def of(self, record: RunRecord) -> Decimal:
        return record.funding


class Slippage:
    """Sum of side x (price - reference) x qty over fills, side +1 for buys. Unit: the currency, exact.

    Positive is a cost. The reference is the market's price before spread and impact, so a maker's fills count 0.
    Source: implementation shortfall (Perold 1988) from the moment of the match; delay before it is not in here.
    """

    name = "slippage"

    def of(self, record: RunRecord) -> Decimal:
        return record.totals.slippage


class FillRatio:
    """Filled / submitted notional, over all orders that reached the gateway (rejected ones too). Unit: fraction.

    Both sides of an order count at the same price: its average fill, else its limit, else its trigger, else the mean
    fill of the run on that symbol.
    """

    name = "fill_ratio"

    def of(self, record: RunRecord) -> float | Undefined:
        sent = [order for order in record.orders if order.status not in UNSENT]
        if not sent:
            return Undefined("no order was submitted")
        if not any(order.filled for order in sent):
            return 0.0
        with localcontext(MATH):
            return _fill_ratio(sent, record)


class MakerRatio:
    """Notional of maker fills / notional of all fills. Unit: fraction."""

    name = "maker_ratio"

    def of(self, record: RunRecord) -> float | Undefined:
        if not record.totals.turnover:
            return Undefined("nothing was filled")
        return float(record.totals.maker_turnover / record.totals.turnover)


class Latency(msgspec.Struct, frozen=True):
    """Time from submitted to accepted, as we see both. Unit: milliseconds.

    Percentiles by nearest rank: the smallest observation that at least that share of all does not exceed.
    """

    name: str
    percent: int
    """1 to 100; 100 is the largest."""

    def of(self, record: RunRecord) -> float | Undefined:
        ordered = sorted(record.latencies_ns)
        if not ordered:
            return Undefined("no order was accepted")
        rank = -(-len(ordered) * self.percent // 100)
        return ordered[rank - 1] / 1e6


def _fill_ratio(sent: Sequence[Order], record: RunRecord) -> float | Undefined:
    whole = filled = submitted = ZERO
    means: Prices | None = None
    for order in sent:
        rate = record.rate_of(order.terms.venue, order.terms.symbol)
        value = order.value * rate
        if order.filled == order.qty:  # at its average price, what it asked for is what it got
            whole += value
            continue
        price = order.average_price
        if price is None:
            price = order.price if order.price is not None else order.terms.trigger_price
        if price is None:
            means = _mean_prices(sent) if means is None else means
            price = means.get((order.terms.venue, order.terms.symbol))
        if price is None:
            return Undefined(f"order {order.terms.id} has no price, and {order.terms.symbol} was never filled")
        filled += value
        submitted += price * order.qty * rate
    if not whole + submitted:
        return Undefined("every order was priced at 0")
    return float((whole + filled) / (whole + submitted))


def _mean_prices(sent: Sequence[Order]) -> Prices:
    """Mean fill price per (venue, symbol), weighted by quantity."""
    values: Prices = {}
    sizes: Prices = {}
    for order in sent:
        if order.filled:
            key = (order.terms.venue, order.terms.symbol)
            values[key] = values.get(key, ZERO) + order.value
            sizes[key] = sizes.get(key, ZERO) + order.filled
    return {key: value / sizes[key] for key, value in values.items()}
