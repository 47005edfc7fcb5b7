"""Orders of one account that meet in the book: what each mode of self-trade prevention does (F14)."""

from __future__ import annotations

from typing import Any

from sim.venue_order import VenueOrder


def meet(matching: Any, taker: VenueOrder, resting: VenueOrder, at: int) -> None:
    """The taker's mode decides; the resting order's events come before the taker's.

    `none`: they trade, both fees are charged, and the print is not fed back to the book. `expire_maker`: the resting
    order ends. `expire_taker`: what is left of the taker ends. `expire_both`. `decrement` (and `transfer`, which
    within one account is the same): both lose the smaller quantity, the smaller order ends, both where they are equal.
    """
    mode = matching.prevention(taker)
    if mode == "none":
        step = matching.markets[taker.terms.symbol].instrument.step
        qty = step * min(matching.may_fill(taker), matching.may_fill(resting))
        if qty <= 0:  # it only reduces, and the walk has closed what it could reduce
            matching.linked.after_match(resting, at)
            return
        cause = ("own", 0, at)
        price = resting.limit
        matching.fill(resting, at, price, qty, "maker", price, "self", cause, None)
        matching.fill(taker, at, price, qty, "taker", price, "self", cause, None)
        if resting.terms.oco is not None:
            matching.linked.has_traded(resting)
        return
    ours, theirs = resting.leaves, taker.leaves
    if mode in ("decrement", "transfer"):
        both = min(ours, theirs)
        matching.prevent(resting, both, at, ends=ours == both)
        matching.prevent(taker, both, at, ends=theirs == both)
        return
    if mode in ("expire_maker", "expire_both"):
        matching.prevent(resting, ours, at, ends=True)
    if mode in ("expire_taker", "expire_both"):
        matching.prevent(taker, theirs, at, ends=True)
