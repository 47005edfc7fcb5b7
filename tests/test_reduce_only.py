"""Reduce-only means the strategy's own book: clipped when it is placed, and after every fill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from core.commands import ProposeCancel, ProposeOrder
from core.events import (
    OrderFilled,
)
from execution_desk import Desk, X, stop
from tiny_run import Script, engine_of, flat, plan_of, run_of

D = Decimal


def test_reduce_only_is_clipped_to_the_strategys_own_book() -> None:
    desk = Desk()
    desk.hold("2")
    order = desk.order({"side": "sell", "qty": 5, "reduce_only": True})
    assert (order.qty, order.reduce_only) == (D(2), True)


def test_the_venue_gets_the_flag_only_where_its_net_position_allows() -> None:
    """a long 2, b short 2: the venue's net is 0 and it would refuse a reduce-only sell, so a's has no flag."""
    desk = Desk()
    desk.hold("2", "a")
    desk.hold("-2", "b")
    order = desk.order({"side": "sell", "qty": 5, "reduce_only": True})
    assert (order.qty, order.reduce_only) == (D(2), False)


def test_on_the_wrong_side_reduce_only_has_nothing_to_reduce() -> None:
    desk = Desk()
    desk.hold("2")
    assert "nothing of this strategy's position" in desk.denied({"side": "buy", "qty": 1, "reduce_only": True})


def test_a_reduce_only_order_is_exempt_from_the_minimum_notional() -> None:
    """-4164 of the venue exempts it: 0.03 x 100 is below 5."""
    desk = Desk()
    desk.hold("2")
    assert desk.order({"side": "sell", "qty": "0.03", "reduce_only": True}).qty == D("0.03")


def test_spot_has_no_reduce_only_flag_but_the_clip_is_the_same() -> None:
    desk = Desk(msgspec.structs.replace(X, kind="spot"))
    desk.portfolio.balances["v", "XB"] = D(0)
    desk.hold("2")
    order = desk.order({"side": "sell", "qty": 5, "reduce_only": True})
    assert (order.qty, order.reduce_only) == (D(2), False)


def target_price(qty: int = 2, price: int = 110) -> dict[str, Any]:
    return {"side": "sell", "qty": qty, "price": price, "reduce_only": True}


def test_where_the_venues_net_is_larger_reduce_only_orders_share_the_own_book() -> None:
    """a holds 2, b 5: the venue would fill 2 and 2 of a's, so the second gets what the first leaves."""
    desk = Desk()
    desk.hold("2", "a")
    desk.hold("5", "b")
    first = desk.order(target_price(qty=1))
    second = desk.order(target_price(qty=2, price=111))
    assert (first.qty, second.qty, second.reduce_only) == (D(1), D(1), True)
    assert "nothing of this strategy's position is left" in desk.denied(target_price(price=112))


def test_where_the_venue_guards_the_same_book_it_may_have_them_all() -> None:
    """Alone in the symbol: its own flag clips to the same 2."""
    desk = Desk()
    desk.hold("2")
    assert [desk.order(target_price(price=110 + n)).qty for n in range(3)] == [D(2)] * 3


def test_a_stop_and_a_target_may_each_cover_the_book_and_two_stops_may_not() -> None:
    desk = Desk()
    desk.hold("2", "a")
    desk.hold("5", "b")
    assert [desk.order(wish).qty for wish in (stop(90), target_price())] == [D(2), D(2)]
    assert "nothing of this strategy's position is left" in desk.denied(stop(85))


def test_after_a_fill_what_is_too_much_is_canceled_and_what_is_too_large_is_asked_for_anew() -> None:
    """a: 2 beside b's 5, a stop and a target of 2. 1.5 of the target fill: the stop becomes 0.5, then none."""
    desk = Desk()
    desk.hold("2", "a")
    desk.hold("5", "b")
    protection, goal = desk.order(stop(90, tag="sl")), desk.order(target_price())
    cancel, smaller = desk.fill_and_hear(goal.id, "1.5")
    assert type(cancel) is ProposeCancel and cancel.order.id == protection.id
    assert type(smaller) is ProposeOrder
    assert (smaller.order.type, smaller.order.qty, smaller.order.trigger_price) == ("stop_market", D("0.5"), D(90))
    assert (smaller.order.tag, smaller.order.reduce_only) == ("sl", True)
    (last,) = desk.fill_and_hear(goal.id, "0.5")
    assert type(last) is ProposeCancel and last.order.id == smaller.order.id
    assert desk.fill_and_hear(desk.order({"side": "buy", "qty": 1}).id) == [], "asked for once is enough"


def test_where_the_venue_ends_them_itself_nothing_is_asked_for() -> None:
    """The account holds what the strategy holds: the venue expires the stop when the target has filled."""
    desk = Desk()
    desk.hold("2")
    desk.order(stop(90))
    assert desk.fill_and_hear(desk.order(target_price()).id) == []


def test_a_position_of_another_strategy_takes_the_venues_guard_away() -> None:
    """a's two targets of 2 were guarded while a was alone; b's 5 end that, and the newer one goes."""
    desk = Desk()
    desk.hold("2", "a")
    _, second = desk.order(target_price()), desk.order(target_price(price=111))
    (cancel,) = desk.fill_and_hear(desk.order({"side": "buy", "qty": 5}, strategy="b").id)
    assert type(cancel) is ProposeCancel and cancel.order.id == second.id


async def test_a_stop_and_a_target_of_one_strategy_do_not_turn_its_book_over() -> None:
    """a is long 2 beside b's 5. The target fills at 110, then the price falls through the stop: a ends flat."""
    plan = plan_of({"X": flat("100", "100", "100", "120", "120", "80", "80")}, strategies=("a", "b"))
    a = Script({"side": "buy", "qty": 2}, [target_price(), stop(90)])
    engine = engine_of(plan, a=a, b=Script({"side": "buy", "qty": 5}))
    async with engine:
        run = engine.parts.run
        await engine.run()
    assert {book.strategy: book.qty for book in run.portfolio.books.values()} == {"a": D(0), "b": D(5)}
    assert run.working.illegal == []


async def test_two_strategies_that_net_at_the_venue_close_their_own_books() -> None:
    """a buys 3, b sells 2 (net 1 at the venue); a asks to reduce by 9: its own 3 are sold, and b keeps its -2."""
    plan = plan_of({"X": flat("100", "100", "100", "100", "100")}, strategies=("a", "b"))
    a = Script({"side": "buy", "qty": 3}, None, {"side": "sell", "qty": 9, "reduce_only": True})
    b = Script({"side": "sell", "qty": 2})
    done = await run_of(plan, a=a, b=b)
    assert [(e.strategy, e.side, e.qty) for e in done.of(OrderFilled)] == [
        ("a", "buy", D(3)), ("b", "sell", D(2)), ("a", "sell", D(3)),
    ]  # fmt: skip
    books = {book.strategy: book.qty for book in done.run.portfolio.books.values()}
    assert books == {"a": D(0), "b": D(-2)}
    (exchange,) = done.run.outside.world.exchanges
    assert exchange.account.position_qty("X") == D(-2) == done.run.portfolio.held("binance-usdm", "X")
