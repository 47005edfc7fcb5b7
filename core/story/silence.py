"""Why a run with orders has no fill: read off its orders and its tapes once it is over.

For each order that came to the venue: did the market reach its price while it worked, what stood ahead of it, was
there a market at all. Grouped by reason, each group with its nearest order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from core.events import OrderTriggered
from core.orders import Order, OrderStatus
from core.plain_text import plain_float
from core.story.fill_words import EXPIRED
from core.tape import DELETE, Column, Rows

if TYPE_CHECKING:
    from core.run_parts import RunParts

ORDERS_MAX = 300
"""Orders looked at, the first ones: each costs a search in the tapes. More of the same would say the same."""
CHUNK_ROWS = 131_072
PRICED = ("trades", "bars", "quotes", "depth", "l3")
"""Which kind of a symbol's data tells where its market was, best first."""
BASIS = {"mark": "marks", "index": "index"}
"""What moves a trigger that does not wait for the last price."""
REASONS_MAX = 5
REFUSED = (OrderStatus.DENIED, OrderStatus.REJECTED)


class Stretch(NamedTuple):
    """An order at work: from when the venue had it to when it ended there, int nanoseconds UTC, and at what price."""

    order: Order
    since: int
    """Since its price is the one it ended with, or its trigger fired."""
    until: int
    waits: bool
    """For its trigger."""
    price: float
    ahead: float | None
    """Quantity ahead of it in its queue then, base units; None where nobody knows."""

    @property
    def rises(self) -> bool:
        """Whether it needs the market to come up to its price."""
        terms = self.order.terms
        if self.waits:
            return (terms.side == "buy") != terms.type.startswith("take_profit")
        return terms.side == "sell"


class Seen(NamedTuple):
    """The market while an order worked."""

    low: float
    high: float
    at_price: float
    """What traded exactly at its price and could have met it, base units; 0 where the data has no prints."""


NOTHING = Seen(0.0, 0.0, 0.0)


def why_silent(parts: RunParts, orders: Sequence[Order]) -> Iterator[str]:
    """One sentence per reason. `orders` are those of a run without a fill; those refused are told elsewhere."""
    yield _ends(orders)
    taken = [order for order in orders if order.status not in REFUSED]
    looked = taken[:ORDERS_MAX]
    late = {order.terms.id for order in looked if _is_late(parts, order)}
    yield from _tried_in_vain([order for order in looked if order.terms.id not in late])
    if late:
        yield f"{_many(len(late), 'order')} reached the venue after the last row of data: nothing trades there"
    at_work = [stretch for order in looked if order.terms.id not in late for stretch in _stretch(parts, order)]
    groups: dict[str, list[tuple[float, Stretch, Seen]]] = {}
    for venue, symbol, basis in dict.fromkeys(map(_market_of, at_work)):
        own = [stretch for stretch in at_work if _market_of(stretch) == (venue, symbol, basis)]
        tapes: dict[str, Rows] = {t.kind: t for t in parts.tapes if (t.venue, t.symbol) == (venue, symbol)}
        yield from _holes(own, tapes)
        kind = next(kind for kind in (basis, *PRICED) if kind in tapes)
        for stretch, seen in zip(own, _seen(tapes[kind], own), strict=True):
            group, distance = _judged(stretch, seen)
            groups.setdefault(group, []).append((distance, stretch, seen or NOTHING))
    for group, found in groups.items():
        yield _sentence(group, found)
    if len(taken) > ORDERS_MAX:
        yield f"only the first {ORDERS_MAX:,} of {len(taken):,} orders that were not refused were looked at for this"


def _ends(orders: Sequence[Order]) -> str:
    ends = Counter(order.status.value for order in orders)
    return "no order was filled; they ended " + ", ".join(f"{status} ({n:,})" for status, n in ends.most_common())


def _tried_in_vain(orders: Sequence[Order]) -> Iterator[str]:
    """Orders that could trade at once only and did not, and those the venue never answered."""
    reasons = Counter(order.reason for order in orders if order.status is OrderStatus.EXPIRED and order.price is None)
    for reason, count in reasons.most_common(REASONS_MAX):
        yield f"{_many(count, 'market order')} expired without a trade ({reason}): {EXPIRED.get(reason, reason)}"
    unanswered = sum(order.status is OrderStatus.SUBMITTED for order in orders)
    if unanswered:
        yield f"{_many(unanswered, 'order')} had no answer of the venue when the run ended"


def _is_late(parts: RunParts, order: Order) -> bool:
    placed = parts.recording.placed.get(order.terms.id)
    return placed is not None and placed.ts_venue is not None and placed.ts_venue >= parts.end


def _stretch(parts: RunParts, order: Order) -> Iterator[Stretch]:
    """The order at work; nothing where it never was, or has neither a limit nor a trigger."""
    placed = parts.recording.placed.get(order.terms.id)
    if placed is None or placed.ts_venue is None:
        return
    until = parts.end if order.closed_at is None else min(order.closed_at, parts.end)
    trigger = order.terms.trigger_price
    waits = trigger is not None and not isinstance(placed, OrderTriggered)
    price = trigger if waits else order.price
    if price is not None:
        ahead = None if isinstance(placed, OrderTriggered) else placed.queue_ahead
        yield Stretch(order, placed.ts_venue, until, waits, float(price), ahead)


def _market_of(stretch: Stretch) -> tuple[str, str, str]:
    """(venue, symbol, kind of data that moves its trigger)."""
    terms = stretch.order.terms
    return terms.venue, terms.symbol, BASIS.get(terms.trigger_by, "") if stretch.waits else ""


def _holes(stretches: Sequence[Stretch], tapes: dict[str, Rows]) -> Iterator[str]:
    """Holes in the data while orders worked."""
    for kind, tape in tapes.items():
        gaps = [g for g in tape.gaps if any(g.since < s.until and g.until > s.since for s in stretches)]
        if gaps:
            missing = sum(gap.until - gap.since for gap in gaps) / 1e9
            name = f"{tape.symbol} {kind}"
            yield f"{name}: the data has {_many(len(gaps), 'hole')} ({missing:,.0f} s) while orders worked"


# --- the market -----------------------------------------------------------------------------------------------------


def _seen(tape: Rows, stretches: Sequence[Stretch]) -> list[Seen | None]:
    """What the market did during each stretch; None where no row lies in it."""
    lows = np.full(len(stretches), np.inf)
    highs = np.full(len(stretches), -np.inf)
    traded = np.zeros(len(stretches))
    unit, size_unit = 10.0**tape.price_scale, 10.0**tape.size_scale
    for columns in tape.chunks(CHUNK_ROWS):
        times = columns["ts_venue"]
        low, high, sizes = _range(tape.kind, columns)
        if not bool((times[1:] >= times[:-1]).all()):  # a tape is sorted by receipt
            sort = np.argsort(times, kind="stable")
            times, low, high, sizes = times[sort], low[sort], high[sort], None if sizes is None else sizes[sort]
        for at, stretch in enumerate(stretches):
            # At one moment data come before requests: what the order found there did not meet it, what it left did.
            first = int(times.searchsorted(stretch.since, side="right"))
            last = stretch.until + tape.interval_ns - 1 if tape.interval_ns else stretch.until
            stop = int(times.searchsorted(last, side="right"))
            if first >= stop:
                continue
            lows[at] = min(lows[at], low[first:stop].min() / unit)
            highs[at] = max(highs[at], high[first:stop].max() / unit)
            if sizes is not None:  # of a seller's prints above 0, of a buyer's below
                met = -1 if stretch.rises else 1
                same = (low[first:stop] == round(stretch.price * unit)) & (sizes[first:stop] * met > 0)
                traded[at] += abs(sizes[first:stop][same].sum()) / size_unit
    return [
        Seen(float(low), float(high), float(size)) if low <= high else None
        for low, high, size in zip(lows, highs, traded, strict=True)
    ]


def _range(kind: str, columns: dict[str, Column]) -> tuple[Column, Column, Column | None]:
    """(lowest, highest, size) of each row: what could have met a resting order there.

    Sizes of prints are above 0 where the seller was the aggressor, who meets a buyer's order. Of quotes and books a bid
    can meet a seller and an ask a buyer; a row of the other side is put where it is no extreme. A level of a book that
    stood there before and did not change has no row, so it is not seen.
    """
    if kind == "trades":
        return columns["price"], columns["price"], -columns["size"] * columns["side"]
    if "low" in columns:
        return columns["low"], columns["high"], None
    far = np.iinfo(np.int64).max // 4
    if kind == "quotes":
        low = np.where(columns["ask_size"] > 0, columns["ask_price"], far)
        return low, np.where(columns["bid_size"] > 0, columns["bid_price"], -far), None
    there = columns["size"] > 0
    if "action" in columns:
        there &= columns["action"] != DELETE
    low = np.where(there & (columns["side"] < 0), columns["price"], far)
    return low, np.where(there & (columns["side"] > 0), columns["price"], -far), None


# --- what it means --------------------------------------------------------------------------------------------------


def _judged(stretch: Stretch, seen: Seen | None) -> tuple[str, float]:
    """(group, how far the market stayed from the order's price, quote units; below 0: it went beyond)."""
    if seen is None:
        return "nothing", 0.0
    distance = stretch.price - seen.high if stretch.rises else seen.low - stretch.price
    if distance > 0:
        return ("trigger" if stretch.waits else "limit"), distance
    if stretch.waits:
        return "fired", distance
    return ("queued" if stretch.ahead else "touched"), distance


def _sentence(group: str, found: list[tuple[float, Stretch, Seen]]) -> str:
    distance, stretch, seen = min(found, key=lambda one: one[0])
    order, count = stretch.order, len(found)
    what = f"{order.terms.side} at {_number(stretch.price)}, order {order.terms.id}"
    near = f"{_number(distance)} away ({distance / stretch.price * 1e4:.1f} bp)"
    match group:
        case "limit":
            return f"the market never came to {_many(count, 'limit')}: the nearest it was {near} ({what})"
        case "trigger":
            return f"{_many(count, 'trigger')} never fired: the nearest the market was {near} ({what})"
        case "fired":
            return f"the market came to {_many(count, 'trigger')}, and nothing traded ({what})"
        case "queued":
            return (
                f"the market came to {_many(count, 'limit')} with others ahead in the queue: "
                f"{_number(stretch.ahead or 0.0)} when it was placed, {_number(seen.at_price)} traded at that price "
                f"while it worked ({what})"
            )
        case "touched":
            return (
                f"the market came to {_many(count, 'limit')} and gave nothing: it did not go through, had been there "
                f"before the order was, or the share of it was below one step ({what})"
            )
    return f"{_many(count, 'order')} worked while the data has no row ({what})"


def _number(value: float) -> str:
    """Without what a difference of floats leaves behind."""
    return plain_float(round(value, 9)).removesuffix(".0")


def _many(count: int, thing: str) -> str:
    return f"1 {thing}" if count == 1 else f"{count:,} {thing}s"
