"""Target positions and closes: what is under way, what is in the way, what protects."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from core.commands import ProposeCancel, ProposeOrder
from core.events import (
    OrderTriggered,
)
from execution_desk import Desk, X, stop

D = Decimal


def test_a_target_is_the_difference_to_what_is_held() -> None:
    desk = Desk()
    desk.hold("2")
    for wish, side, qty in (({"target": 5}, "buy", 3), ({"target": -1}, "sell", 6), ({"close": True}, "buy", 1)):
        order = desk.order(wish)
        assert (order.side, order.qty) == (side, D(qty))
        desk.fill(order.id)
    assert desk.say({"close": True}) == []
    assert sum(desk.engine.unsent.values()) == 1


def test_a_target_counts_what_is_under_way_towards_it() -> None:
    """3 held, 2 under way: 6 needs 1 more; asked again, nothing; filled in part, still nothing."""
    desk = Desk()
    desk.hold("3")
    resting = desk.order({"side": "buy", "qty": 2, "price": 99})
    last = desk.order({"target": 6})
    assert (last.side, last.qty) == ("buy", D(1))
    assert desk.say({"target": 6}) == []
    desk.fill(resting.id, "0.5", "99")
    assert desk.say({"target": 6}) == []


def test_a_target_cancels_opposite_orders_first() -> None:
    """A resting sell is in the way of a long target: canceled, then the whole difference."""
    desk = Desk()
    resting = desk.order({"side": "sell", "qty": 2, "price": 101})
    first, second = desk.say({"target": 4})
    assert type(first) is ProposeCancel and first.order.id == resting.id
    assert type(second) is ProposeOrder and (second.order.side, second.order.qty) == ("buy", D(4))


def test_a_target_that_is_reached_cancels_whatever_would_leave_it() -> None:
    desk = Desk()
    desk.hold("2")
    ids = [desk.order({"side": side, "qty": 1, "price": at}).id for side, at in (("buy", 99), ("sell", 101))]
    told = desk.say({"target": 2})
    assert [type(e) for e in told] == [ProposeCancel] * 2
    assert [e.order.id for e in told] == ids


@pytest.mark.parametrize("target", ["2.0004", "2.001", "2.04"])
def test_below_the_venues_minimum_a_target_sends_nothing_and_is_counted(target: str) -> None:
    """0.0004 is below the step, 0.001 below min_qty, 0.04 x 100 below min_notional."""
    desk = Desk()
    desk.hold("2")
    assert desk.say({"target": target}) == []
    assert desk.engine.unsent["difference to the target is below the venue's minimum"] == 1


def test_a_target_looks_at_the_strategys_own_book_and_orders() -> None:
    """b holds 5 and has 2 more under way: none of that is a's."""
    desk = Desk()
    desk.hold("5", "b")
    desk.order({"side": "buy", "qty": 2, "price": 99}, strategy="b")
    assert desk.order({"target": 1}).qty == D(1)


def test_a_resting_stop_is_not_under_way_and_close_sends_the_market_order_now() -> None:
    """2 held with a reduce-only stop: the stop stays, and ends by itself when nothing is left to reduce."""
    desk = Desk()
    desk.hold("2")
    desk.order(stop(90))
    order = desk.order({"close": True})
    assert (order.side, order.type, order.qty, order.reduce_only) == ("sell", "market", D(2), True)
    assert desk.say({"close": True}) == [], "the closing order is under way"


def test_a_target_that_is_reached_leaves_the_stop_alone_and_one_that_grows_too() -> None:
    desk = Desk()
    desk.hold("2")
    desk.order(stop(90))
    assert desk.say({"target": 2}) == []
    order = desk.order({"target": 3})
    assert (order.side, order.qty) == ("buy", D(1))


def test_a_stop_that_is_not_reduce_only_is_canceled_before_the_close() -> None:
    """It would open a short position once the book is flat."""
    desk = Desk()
    desk.hold("2")
    resting = desk.order(stop(90, reduce_only=False))
    first, second = desk.say({"close": True})
    assert type(first) is ProposeCancel and first.order.id == resting.id
    assert type(second) is ProposeOrder and (second.order.side, second.order.qty) == ("sell", D(2))


def test_on_spot_the_stop_makes_way_because_it_locks_what_the_close_sells() -> None:
    desk = Desk(msgspec.structs.replace(X, kind="spot"))
    desk.portfolio.balances["v", "XB"] = D(0)
    desk.hold("2")
    resting = desk.order(stop(90))
    assert desk.say({"target": 2}) == []
    first, second = desk.say({"close": True})
    assert type(first) is ProposeCancel and first.order.id == resting.id
    assert type(second) is ProposeOrder and (second.order.qty, second.order.reduce_only) == (D(2), False)


def test_a_stop_that_has_fired_is_under_way() -> None:
    desk = Desk()
    desk.hold("2")
    order = desk.order(stop(90))
    desk.working.on_event(OrderTriggered(0, 0, "v", "X", "net", "a", "fast", order.id, D(90)))
    assert desk.say({"close": True}) == []


def test_what_is_being_canceled_is_not_under_way() -> None:
    """A resting sell of 2 is canceled in the same answer: the close is the whole position."""
    desk = Desk()
    desk.hold("2")
    resting = desk.order({"side": "sell", "qty": 2, "price": 110})
    cancel, close = desk.say({"cancel": True}, {"close": True})
    assert type(cancel) is ProposeCancel and cancel.order.id == resting.id
    assert type(close) is ProposeOrder and (close.order.side, close.order.qty) == ("sell", D(2))


@pytest.mark.parametrize(
    ("target", "canceled", "ordered"),
    [(5, [], None), (4, [2], 1), (3, [2], None), (2, [2, 1], 2), (6, [], 1)],
)
def test_a_target_below_what_is_under_way_cancels_the_newest_first(
    target: int, canceled: list[int], ordered: int | None
) -> None:
    """Buys of 3 and then 2 rest, nothing is held."""
    desk = Desk()
    ids = [desk.order({"side": "buy", "qty": qty, "price": 99}).id for qty in (3, 2)]
    told = desk.say({"target": target})
    assert [e.order.id for e in told if type(e) is ProposeCancel] == [ids[n - 1] for n in canceled]
    assert [e.order.qty for e in told if type(e) is ProposeOrder] == ([] if ordered is None else [D(ordered)])
