"""An order's life: which moves are legal, what each leaves behind, and that their order of arrival does not matter."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from core.errors import InvariantBroken
from core.events import (
    ORDER_EVENTS,
    AmendRejected,
    CancelRejected,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderUnknown,
)
from core.orders import MOVES, OPEN, TERMINAL, Order, OrderStatus, OrderTerms

D = Decimal
S = OrderStatus
KEYS = (5, 5, "v", "X", "net", "s", "main", "o")


def new_order(qty: str = "3", price: str | None = "100", trigger: str | None = None) -> Order:
    terms = OrderTerms(
        id="o", venue="v", symbol="X", position_side="net", strategy="s", session="main", side="buy",
        type="limit" if trigger is None else "stop_limit", qty=D(qty), price=None if price is None else D(price),
        trigger_price=None if trigger is None else D(trigger),
    )  # fmt: skip
    return Order.of(terms, 1)


def fill(qty: str, price: str = "100", leaves: str = "0") -> OrderFilled:
    return OrderFilled(*KEYS, f"f{qty}", "buy", D(price), D(qty), "maker", "bar", D(0), "USDT", D(price), D(leaves),
                       "t", 0, 0)  # fmt: skip


EVENTS: dict[type[OrderEvent], OrderEvent] = {
    OrderDenied: OrderDenied(*KEYS, "no"),
    OrderSubmitted: OrderSubmitted(*KEYS),
    OrderAccepted: OrderAccepted(*KEYS, "v1"),
    OrderRejected: OrderRejected(*KEYS, -2010, "no", "funds"),
    OrderTriggered: OrderTriggered(*KEYS, D(99)),
    OrderFilled: fill("1"),
    OrderAmended: OrderAmended(*KEYS, D(101), D(2)),
    OrderCanceled: OrderCanceled(*KEYS, "request"),
    OrderExpired: OrderExpired(*KEYS, "ioc"),
    CancelRejected: CancelRejected(*KEYS, -2011, "Unknown order sent."),
    AmendRejected: AmendRejected(*KEYS, -2013, "Order does not exist."),
    OrderUnknown: OrderUnknown(*KEYS, "timeout"),
}

# Rows: from, then the events that are legal there and where they lead. Written from venues.md section 3 (states and
# what ends them), with what live adds: answers that are overtaken, and requests that lose a race against the end. An
# amend may also be refused by our own risk engine while the order is on its way.
OVER = {CancelRejected: None, AmendRejected: None}
"""None: stays as it is."""
WORKING = {OrderFilled: S.PARTIAL, OrderCanceled: S.CANCELED, OrderExpired: S.EXPIRED, OrderAmended: None, **OVER}
ENDS = {OrderFilled: S.PARTIAL, OrderCanceled: S.CANCELED, OrderExpired: S.EXPIRED}
TABLE: dict[OrderStatus, dict[type[OrderEvent], OrderStatus | None]] = {
    S.INITIALIZED: {OrderDenied: S.DENIED, OrderSubmitted: S.SUBMITTED},
    S.SUBMITTED: {OrderAccepted: S.ACCEPTED, OrderRejected: S.REJECTED, OrderUnknown: S.UNKNOWN,
                  OrderTriggered: S.ACCEPTED, **ENDS, **OVER},
    S.PENDING_TRIGGER: {OrderTriggered: S.ACCEPTED, OrderCanceled: S.CANCELED, OrderExpired: S.EXPIRED,
                        OrderAmended: None, **OVER},
    S.ACCEPTED: WORKING,
    S.PARTIAL: {**WORKING, OrderAccepted: None},
    S.UNKNOWN: {OrderAccepted: S.ACCEPTED, OrderRejected: S.REJECTED, **ENDS},
    S.FILLED: {**OVER, OrderAccepted: None},
    S.CANCELED: {**OVER, OrderAccepted: None},
    S.EXPIRED: {**OVER, OrderAccepted: None},
    S.EXPIRED_IN_MATCH: {**OVER, OrderAccepted: None},
    S.REJECTED: {**OVER},
    S.DENIED: {},
}  # fmt: skip


def state_of(order: Order) -> tuple[Any, ...]:
    return (order.status, order.qty, order.price, order.filled, order.value, order.prevented, order.reason)


@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("kind", ORDER_EVENTS)
def test_each_move_of_the_table_leads_where_it_says_and_any_other_changes_nothing(
    status: OrderStatus, kind: type[OrderEvent]
) -> None:
    """All 12 states by all 12 events."""
    order = new_order()
    order.status = status
    before = state_of(order)
    legal = order.apply(EVENTS[kind])
    expected = TABLE[status].get(kind, "illegal")
    if expected == "illegal":
        assert not legal
        assert state_of(order) == before
    else:
        assert legal
        assert order.status is (status if expected is None else expected)


def test_no_event_leads_out_of_an_end() -> None:
    """F16: at most one terminal event."""
    assert all(to is start for (start, _), to in MOVES.items() if start in TERMINAL)
    assert set(S) == TERMINAL | OPEN | {S.INITIALIZED}


def test_fills_add_up_and_the_last_one_ends_the_order() -> None:
    """1 @ 100 and 2 @ 103 of 3: value 306, average 102."""
    order = new_order("3")
    for event in (EVENTS[OrderSubmitted], EVENTS[OrderAccepted], fill("1", "100")):
        assert order.apply(event)
    assert (order.status, order.leaves, order.is_open) == (S.PARTIAL, D(2), True)
    assert order.apply(fill("2", "103"))
    assert (order.status, order.filled, order.value, order.average_price) == (S.FILLED, D(3), D(306), D(102))
    assert (order.is_open, order.closed_at, order.leaves) == (False, 5, D(0))


def test_fills_beyond_the_quantity_are_an_invariant_broken_and_change_nothing() -> None:
    order = new_order("3")
    order.status = S.ACCEPTED
    order.apply(fill("2"))
    with pytest.raises(InvariantBroken, match="order o: fills of 4 exceed its quantity 3"):
        order.apply(fill("2"))
    assert (order.filled, order.value, order.status) == (D(2), D(200), S.PARTIAL)


def test_an_order_with_a_trigger_waits_for_it_when_it_is_accepted() -> None:
    order = new_order(trigger="99")
    order.apply(EVENTS[OrderSubmitted])
    order.apply(OrderAccepted(*KEYS, "v1", True))
    assert order.status is S.PENDING_TRIGGER
    assert not order.apply(fill("1")), "nothing fills before the trigger"
    order.apply(EVENTS[OrderTriggered])
    assert order.status is S.ACCEPTED


def test_an_amend_sets_the_new_total_and_price_and_is_pending_no_more() -> None:
    order = new_order("3")
    order.status, order.pending_amend = S.PARTIAL, True
    order.filled = D(1)
    order.apply(EVENTS[OrderAmended])
    assert (order.qty, order.price, order.leaves, order.pending_amend) == (D(2), D(101), D(1), False)


@pytest.mark.parametrize(("flag", "kind"), [("pending_cancel", CancelRejected), ("pending_amend", AmendRejected)])
def test_a_refused_request_is_pending_no_more_and_leaves_the_order_as_it_was(flag: str, kind: type) -> None:
    order = new_order()
    order.status = S.ACCEPTED
    setattr(order, flag, True)
    before = state_of(order)
    assert order.apply(EVENTS[kind])
    assert getattr(order, flag) is False
    assert state_of(order) == before


def test_self_trade_prevention_ends_in_a_state_of_its_own_and_counts_what_was_prevented() -> None:
    """venues.md section 3: orig = filled + prevented + remaining."""
    order = new_order("3")
    order.status = S.ACCEPTED
    order.apply(fill("1"))
    order.apply(OrderExpired(*KEYS, "stp", None, D(2)))
    assert (order.status, order.prevented, order.leaves) == (S.EXPIRED_IN_MATCH, D(2), D(0))


def test_an_order_keeps_when_it_was_first_acknowledged_also_where_it_was_filled_before() -> None:
    """Heard at 5; live, the acknowledgement of an order that is filled already may come at 9."""
    order, late = new_order("1"), new_order("1")
    for event in (EVENTS[OrderSubmitted], EVENTS[OrderAccepted], fill("1")):
        order.apply(event)
    assert (order.accepted_at, order.closed_at) == (5, 5)
    for event in (EVENTS[OrderSubmitted], fill("1"), OrderAccepted(9, *KEYS[1:], "v1")):
        late.apply(event)
    assert (late.status, late.accepted_at, late.closed_at) == (S.FILLED, 9, 5)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (OrderDenied(*KEYS, "too large"), "too large"),
        (OrderRejected(*KEYS, -2019, "Margin is insufficient.", "funds"), "Margin is insufficient. (-2019)"),
        (OrderRejected(*KEYS, None, "the request was lost on its way", "lost"), "lost"),
        (OrderCanceled(*KEYS, "post_only"), "post_only"),
        (OrderExpired(*KEYS, "gtd"), "gtd"),
    ],
)
def test_an_order_that_ends_says_why(event: OrderEvent, reason: str) -> None:
    order = new_order()
    order.status = S.INITIALIZED if isinstance(event, OrderDenied) else S.SUBMITTED
    assert order.apply(event)
    assert order.reason == reason


A, F1, F2 = EVENTS[OrderAccepted], fill("1", "100"), fill("2", "103")
LIVES = {
    "filled in two": (A, F1, F2),
    "filled, and a cancel and an amend that came too late": (
        A, F1, F2, EVENTS[CancelRejected], EVENTS[AmendRejected],
    ),
    "canceled after a part": (A, F1, EVENTS[OrderCanceled]),
    "expired after a part": (A, F1, EVENTS[OrderExpired]),
    "expired in the match": (A, OrderExpired(*KEYS, "stp", None, D(3))),
    "rejected": (EVENTS[OrderRejected],),
    "an answer was missing": (EVENTS[OrderUnknown], A, F1, F2),
}  # fmt: skip
ENDINGS = (OrderCanceled, OrderExpired)
LATE = (CancelRejected, AmendRejected)


def arrives(life: tuple[OrderEvent, ...]) -> bool:
    """Whether live can show us the events in this order.

    The acknowledgement (REST) may come at any place among the rest (user stream). The stream itself keeps its order:
    fills before what ends the order. `OrderUnknown` is our own note that no answer came yet, so it is first. A refusal
    of a cancel or amend says the order is over: it follows the last fill.
    """
    places = {id(event): at for at, event in enumerate(life)}
    fills = [places[id(e)] for e in life if isinstance(e, OrderFilled)]
    last = max(fills, default=-1)
    for event in life:
        at = places[id(event)]
        if isinstance(event, OrderUnknown) and at != 0:
            return False
        if isinstance(event, ENDINGS + LATE) and at < last:
            return False
    return True


@pytest.mark.parametrize("name", LIVES)
def test_every_order_of_arrival_that_live_allows_ends_in_the_same_state(name: str) -> None:
    """Every permutation of one order's life gives the state of the one in which things happened."""
    told, ends = 0, set()
    for life in permutations(LIVES[name]):
        if not arrives(life):
            continue
        order = new_order("3")
        moves = [order.apply(event) for event in (EVENTS[OrderSubmitted], *life)]
        assert all(moves), f"{[type(e).__name__ for e in life]} has an illegal move: {moves}"
        ends.add(state_of(order))
        told += 1
    assert told >= 1 and len(ends) == 1


def test_permutations_cover_what_overtakes_what() -> None:
    """The rule above is no empty one: the acknowledgement is tried at every place."""
    lives = [life for life in permutations(LIVES["filled in two"]) if arrives(life)]
    assert {life.index(A) for life in lives} == {0, 1, 2}
