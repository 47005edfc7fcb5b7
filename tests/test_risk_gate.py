"""What passes the gate without a check, and what is for nobody: orders that never left, orders that only reduce."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.commands import AmendOrder, CancelOrder, ProposeAmend, ProposeCancel, ProposeOrder
from core.events import Bar, OrderDenied
from core.orders import Order, OrderTerms
from core.portfolio import Portfolio
from core.risk import Limits, RiskEngine
from test_risk import INSTRUMENTS, Desk

D = Decimal


def terms_of(order_id: str, side: Any, qty: str, **more: Any) -> OrderTerms:
    return OrderTerms(order_id, "v", "X", "net", "a", "main", side, "market", D(qty), **more)


def asked(desk: Desk, order_id: str, side: Any, qty: str, **more: Any) -> str | None:
    """None where the order passed (it is under way then), else why not."""
    terms = msgspec.structs.replace(terms_of(order_id, side, qty), **more)
    desk.working.add(Order.of(terms, 0))
    desk.told.clear()
    desk.risk.on_order(ProposeOrder(0, terms))
    denied = [event for event in desk.told if type(event) is OrderDenied]
    for event in denied:
        desk.working.on_event(event)
    return str(denied[0].reason) if denied else None


def heard(desk: Desk, *, delivered: bool) -> OrderTerms:
    """An order of 10 that the limit of 5 denies; `delivered`: the orders have heard of it already."""
    terms = terms_of("big", "buy", "0.1")
    desk.working.add(Order.of(terms, 0))
    desk.risk.on_order(ProposeOrder(0, terms))
    (denied,) = desk.told
    assert type(denied) is OrderDenied
    if delivered:
        desk.working.on_event(denied)
    desk.told.clear()
    return terms


@pytest.mark.parametrize("delivered", [False, True])
def test_a_change_of_an_order_that_was_denied_here_is_for_nobody(delivered: bool) -> None:
    """A strategy may cancel or amend in the answer that placed it, when the refusal is still on its way."""
    desk = Desk(Limits(max_order_notional=D(5)))
    terms = heard(desk, delivered=delivered)
    desk.risk.on_cancel(ProposeCancel(0, terms))
    desk.risk.on_amend(ProposeAmend(0, terms, None, D("0.05"), False))
    assert desk.told == []


def test_a_change_of_an_order_that_was_denied_elsewhere_is_for_nobody() -> None:
    """The execution engine denies too: such an order never came by here, and only its status tells."""
    desk = Desk()
    terms = terms_of("odd", "buy", "1")
    desk.working.add(Order.of(terms, 0))
    desk.working.on_event(OrderDenied(0, None, "v", "X", "net", "a", "main", "odd", "below one step"))
    desk.risk.on_cancel(ProposeCancel(0, terms))
    assert desk.told == []


def test_changes_of_an_order_that_left_pass() -> None:
    desk = Desk()
    assert desk.propose("buy", "1", "90") is None
    desk.accept(1)
    desk.told.clear()
    desk.risk.on_amend(ProposeAmend(0, desk.order(1).terms, D(90), D("0.5"), False))
    desk.risk.on_cancel(ProposeCancel(0, desk.order(1).terms))
    assert [type(event) for event in desk.told] == [AmendOrder, CancelOrder]


@pytest.mark.parametrize(
    ("flag", "passes"), [({"reduce_only": True}, True), ({"close_position": True}, True), ({}, False)]
)
def test_what_the_venue_cuts_to_the_position_passes_a_halt_whatever_is_under_way(
    flag: dict[str, bool], passes: bool
) -> None:
    """1 is held and a sale of 1 is under way: a second sale of 1 would turn it, unless the venue sees to that."""
    desk = Desk()
    desk.hold("1")
    assert desk.propose("sell", "1") is None
    desk.risk.halt(0, "a", "by hand")
    terms = msgspec.structs.replace(terms_of("more", "sell", "1"), **flag)
    desk.working.add(Order.of(terms, 0))
    desk.told.clear()
    desk.risk.on_order(ProposeOrder(0, terms))
    assert any(type(event) is OrderDenied for event in desk.told) is not passes


@pytest.mark.parametrize(
    ("price", "qty", "passes"),
    [("90", "0.5", True), ("90", "1", True), ("90", "1.5", False), ("91", "0.5", False), ("89", "1", False)],
)
def test_an_amend_passes_a_halt_where_it_shrinks_the_order_at_its_price(price: str, qty: str, passes: bool) -> None:
    desk = Desk()
    assert desk.propose("buy", "1", "90") is None
    desk.accept(1)
    desk.risk.halt(0, "a", "by hand")
    assert (desk.amend(1, price=price, qty=qty) is None) is passes
    assert desk.risk.denied == (0 if passes else 1)


@pytest.mark.parametrize(("most", "passes"), [("0.92", True), ("0.9", True), ("0.89", False)])
def test_what_is_held_counts_at_the_last_price_and_what_it_becomes_at_the_orders_own(most: str, passes: bool) -> None:
    """5 held at a last price of 100 are 500; with 5 more at 90 they are 10 x 90 = 900, on an equity of 1000."""
    desk = Desk(Limits(max_leverage=D(most)))
    desk.hold("5")
    reason = desk.propose("buy", "5", "90")
    assert reason is None if passes else "gross exposure would be 900" in str(reason)


# --- hedge mode -----------------------------------------------------------------------------------------------------

LONG, SHORT = {"position_side": "long"}, {"position_side": "short"}


def test_in_hedge_mode_a_positions_limit_counts_what_is_under_way_on_its_own_side() -> None:
    """At 100: two shorts of 1 under way are nothing to the long; its third of 1 would make it 300."""
    desk = Desk(Limits(max_position_notional=D(250)))
    assert asked(desk, "s1", "sell", "1", **SHORT) is None
    assert asked(desk, "s2", "sell", "1", **SHORT) is None
    assert asked(desk, "l1", "buy", "1", **LONG) is None
    assert asked(desk, "l2", "buy", "1", **LONG) is None
    assert "position notional would be 300.0, above max_position_notional 250 by 50.0" in str(
        asked(desk, "l3", "buy", "1", **LONG)
    )


def test_in_hedge_mode_leverage_counts_what_still_opens_on_the_other_side_and_not_what_closes() -> None:
    """Equity 1000, at 100: 2000 of shorts under way and a long of 2500 are 4500; a buy that closes a short is nothing.

    A long of 15 is 1500 beside the 2000.
    """
    desk = Desk(Limits(max_leverage=D(4)))
    assert asked(desk, "s1", "sell", "20", **SHORT) is None
    desk.working.add(Order.of(msgspec.structs.replace(terms_of("s2", "buy", "7"), **SHORT), 0))
    assert "gross exposure would be 4500" in str(asked(desk, "l1", "buy", "25", **LONG))
    assert asked(desk, "l2", "buy", "15", **LONG) is None


# --- several currencies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "passes"), [("1.1", True), ("1.09", False)])
def test_leverage_counts_in_the_runs_currency(most: str, passes: bool) -> None:
    """A dollar is half a EUR: 1000 are 500, 10 of Y under way at 100 are 500, and 1 of X is 50: 550, 1.1 times 500."""
    desk = Desk()
    portfolio = Portfolio(INSTRUMENTS, {("v", "USDT"): D(1000)}, lambda event: None, {"USDT": D("0.5"), "EUR": D(1)})
    desk.portfolio = portfolio
    desk.risk = RiskEngine(
        account=Limits(max_leverage=D(most)), strategies={"a": Limits()}, portfolio=portfolio, working=desk.working,
        currency="EUR", publish=desk.told.append,
    )  # fmt: skip
    for symbol in "XY":
        portfolio.on_bar(Bar(0, 0, "v", symbol, 60, 100.0, 100.0, 100.0, 100.0, 1.0))
    other = msgspec.structs.replace(terms_of("y", "buy", "10"), symbol="Y")
    desk.working.add(Order.of(other, 0))
    reason = asked(desk, "x", "buy", "1")
    assert reason is None if passes else "gross exposure would be 550" in str(reason)
