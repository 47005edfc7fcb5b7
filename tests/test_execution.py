"""From wishes to orders: sizes, targets, reduce-only, changes by tag, deadlines, with numbers from the contract."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.commands import ProposeAmend, ProposeCancel, ProposeOrder
from core.events import (
    AmendRejected,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
    OrderTriggered,
    StrategyFailed,
    TimerFired,
)
from core.execution import ExecutionEngine
from core.ids import CountedIds
from core.instruments import Instrument
from core.orders import OrderTerms
from core.portfolio import Portfolio
from core.signals import read_answer
from core.working import WorkingOrders
from sim.clock import SimClock
from tiny_run import MINUTE, SECOND, START, Script, engine_of, flat, plan_of, run_of

D = Decimal
X = Instrument(
    venue="v", symbol="X", tick=D("0.1"), step=D("0.001"), base="XB", quote="USDT", min_qty=D("0.002"), max_qty=D(50),
    market_max_qty=D(20), min_notional=D(5),
)  # fmt: skip


class Desk:
    """An execution engine over a real ledger; every proposal is taken as submitted and accepted. Last price 100."""

    def __init__(self, instrument: Instrument = X, *, capital: str | None = None, gtd: bool = True) -> None:
        self.told: list[Event] = []
        self.portfolio = Portfolio({("v", "X"): instrument}, {("v", "USDT"): D(1000)}, lambda event: None)
        self.portfolio.marks["v", "X"] = 100.0
        self.working = WorkingOrders()
        self.clock = SimClock(0)
        self.engine = ExecutionEngine(
            instruments={("v", "X"): instrument}, portfolio=self.portfolio, working=self.working,
            ids=CountedIds("t"), publish=self.told.append, sessions={"a": "fast"},
            capital={} if capital is None else {"a": D(capital)}, clock=self.clock,
            native_gtd={"v": 0} if gtd else {},
        )  # fmt: skip

    def say(self, *wishes: Any, strategy: str = "a", ts: int = 0) -> list[Event]:
        """Proposals and denials of one answer, in order."""
        self.told.clear()
        for signal in read_answer(list(wishes), {"X": ("v", "X")}, "X", ts=ts, strategy=strategy):
            self.engine.on_signal(signal)
        return self._take(ts)

    def _take(self, ts: int = 0) -> list[Event]:
        """Every proposal is submitted and accepted."""
        for event in self.told:
            if type(event) is ProposeOrder:
                t = event.order
                keys = (ts, ts, "v", "X", "net", t.strategy, t.session, t.id)
                self.working.on_event(OrderSubmitted(*keys))
                self.working.on_event(OrderAccepted(*keys, "v1", t.trigger_price is not None))
            elif type(event) is OrderDenied:
                self.working.on_event(event)
        return list(self.told)

    def order(self, wish: dict[str, Any], **more: Any) -> OrderTerms:
        """The one order a wish became."""
        (proposed,) = self.say(wish, **more)
        assert type(proposed) is ProposeOrder, proposed
        return proposed.order

    def denied(self, wish: dict[str, Any]) -> str:
        (event,) = self.say(wish)
        assert type(event) is OrderDenied, event
        return event.reason

    def fill(self, order_id: str, qty: str | None = None, price: str = "100") -> None:
        order = self.working.all[order_id]
        t = order.terms
        one = OrderFilled(0, 0, "v", "X", "net", t.strategy, t.session, t.id, "f", t.side, D(price),
                          order.leaves if qty is None else D(qty), "taker", "bar", D(0), "USDT", D(price), D(0), "t", 0,
                          0)  # fmt: skip
        self.working.on_event(one)
        self.portfolio.on_fill(one)

    def fill_and_hear(self, order_id: str, qty: str | None = None) -> list[Event]:
        """What the engine asks for when it hears of a fill."""
        order = self.working.all[order_id]
        one = OrderFilled(0, 0, "v", "X", "net", order.terms.strategy, order.terms.session, order_id, "f",
                          order.terms.side, D(100), order.leaves, "taker", "bar", D(0), "USDT", D(100), D(0), "t", 0,
                          0)  # fmt: skip
        self.fill(order_id, qty)
        self.told.clear()
        self.engine.on_fill(one)
        return self._take()

    def hold(self, qty: str, strategy: str = "a") -> None:
        side = "buy" if D(qty) > 0 else "sell"
        self.fill(self.order({"side": side, "qty": abs(D(qty))}, strategy=strategy).id)


# --- sizes ----------------------------------------------------------------------------------------------------------

# Rows: wish, then type, qty, price. Step 0.001, tick 0.1, last price 100, equity 1000.
SIZES: list[tuple[dict[str, Any], str, str, str | None]] = [
    ({"side": "buy", "qty": 1.23456}, "market", "1.234", None),
    ({"side": "buy", "notional": 250}, "market", "2.5", None),
    ({"side": "buy", "notional": 100, "price": 99}, "limit", "1.010", "99.0"),  # 1.0101…
    ({"side": "buy", "fraction": 0.5}, "market", "5", None),
    ({"side": "sell", "fraction": "0.1", "price": 125}, "limit", "0.8", "125"),
    # A wished price is never made worse than wished: down for a buyer, up for a seller.
    ({"side": "buy", "qty": 1, "price": 99.99}, "limit", "1", "99.9"),
    ({"side": "sell", "qty": 1, "price": 99.91}, "limit", "1", "100.0"),
    ({"side": "sell", "qty": 1, "price": 99.9}, "limit", "1", "99.9"),
]


@pytest.mark.parametrize(("wish", "kind", "qty", "price"), SIZES)
def test_a_wish_is_sized_and_put_on_the_grid(wish: dict[str, Any], kind: str, qty: str, price: str | None) -> None:
    terms = Desk().order(wish)
    assert (terms.type, terms.qty, terms.price) == (kind, D(qty), None if price is None else D(price))
    assert terms.tif == ("gtc" if kind == "limit" else None)


def test_a_fraction_refers_to_the_strategys_capital_where_it_names_one() -> None:
    """0.5 of 300 at 100."""
    assert Desk(capital="300").order({"side": "buy", "fraction": 0.5}).qty == D("1.5")


def test_an_order_carries_its_keys_its_session_and_a_counted_id() -> None:
    desk = Desk()
    first, second = desk.order({"side": "buy", "qty": 1, "tag": "x"}), desk.order({"side": "buy", "qty": 1})
    assert (first.id, second.id) == ("t-1", "t-2")
    assert (first.venue, first.symbol, first.position_side, first.strategy) == ("v", "X", "net", "a")
    assert (first.session, first.tag) == ("fast", "x")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"side": "buy", "qty": "0.0009"}, ["0.0009", "below one step", "0.001"]),
        ({"side": "buy", "qty": "0.001", "price": 9000}, ["0.001", "below the minimum 0.002"]),
        ({"side": "buy", "qty": "50.001", "price": 100}, ["50.001", "above the maximum 50"]),
        ({"side": "buy", "qty": "20.001"}, ["20.001", "market order maximum 20"]),
        ({"side": "buy", "qty": "0.049"}, ["4.9", "below the minimum 5", "at least 0.05"]),
        ({"side": "sell", "qty": "0.049", "price": 102}, ["4.998", "below the minimum 5", "at least 0.0490"]),
        ({"side": "buy", "notional": 10, "price": "0.01"}, ["below one tick", "0.1"]),
        ({"side": "sell", "qty": 1, "reduce_only": True}, ["nothing of this strategy's position is left to reduce"]),
    ],
)
def test_what_the_venue_would_refuse_is_denied_with_the_reason(wish: dict[str, Any], words: list[str]) -> None:
    desk = Desk()
    reason = desk.denied(wish)
    assert all(word in reason for word in words), reason
    assert desk.working.all["t-1"].reason == reason


def test_without_a_price_a_notional_cannot_become_a_quantity() -> None:
    desk = Desk()
    desk.portfolio.marks.clear()
    assert "no price of X is known yet" in desk.denied({"side": "buy", "notional": 100})


# --- targets --------------------------------------------------------------------------------------------------------


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
    assert [e.order.id for e in told] == ids  # type: ignore[attr-defined]


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


def stop(price: int, **more: Any) -> dict[str, Any]:
    """A protective stop of the whole position of 2."""
    return {"side": "sell", "type": "stop_market", "trigger_price": price, "qty": 2, "reduce_only": True, **more}


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


# --- reduce-only ----------------------------------------------------------------------------------------------------


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
    """a holds 2 beside b's 5, with a stop and a target of 2. 1.5 of the target fill: the stop becomes 0.5, then none."""
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
    first, second = desk.order(target_price()), desk.order(target_price(price=111))
    (cancel,) = desk.fill_and_hear(desk.order({"side": "buy", "qty": 5}, strategy="b").id)
    assert type(cancel) is ProposeCancel and cancel.order.id == second.id


async def test_a_stop_and_a_target_of_one_strategy_do_not_turn_its_book_over() -> None:
    """a is long 2 beside b's 5. The target fills at 110, then the price falls through the stop: a ends flat."""
    plan = plan_of({"X": flat("100", "100", "100", "120", "120", "80", "80")}, strategies=("a", "b"))
    a = Script({"side": "buy", "qty": 2}, [target_price(), stop(90)])
    engine = engine_of(plan, a=a, b=Script({"side": "buy", "qty": 5}))
    async with engine:
        run = engine.parts.run
        engine.parts.bus.subscribe(OrderFilled, run.execution.on_fill)
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
    assert exchange.account.position_qty("X") == D(-2) == done.run.portfolio.net["binance-usdm", "X"]


# --- changes --------------------------------------------------------------------------------------------------------


def test_cancel_and_amend_find_an_order_by_tag_or_id() -> None:
    desk = Desk()
    order = desk.order({"side": "buy", "qty": 2, "price": 99, "tag": "entry"})
    for name in ("entry", order.id):
        (amend,) = desk.say({"amend": name, "price": 98.77})
        assert type(amend) is ProposeAmend
        assert (amend.order.id, amend.price, amend.qty, amend.increases) == (order.id, D("98.7"), D(2), False)
    (amend,) = desk.say({"amend": "entry", "qty": "2.5009"})
    assert type(amend) is ProposeAmend
    assert (amend.price, amend.qty, amend.increases) == (D(99), D("2.5"), True)
    (cancel,) = desk.say({"cancel": "entry"})
    assert type(cancel) is ProposeCancel and cancel.order.id == order.id
    assert desk.say({"cancel": "entry"}) == [], "asked for once is enough"


def test_a_tag_names_the_newest_order_that_took_it() -> None:
    desk = Desk()
    desk.order({"side": "buy", "qty": 1, "price": 99, "tag": "x"})
    newer = desk.order({"side": "buy", "qty": 1, "price": 98, "tag": "x"})
    (cancel,) = desk.say({"cancel": "x"})
    assert type(cancel) is ProposeCancel and cancel.order.id == newer.id


def test_cancel_true_means_every_open_order_of_this_strategy_on_the_symbol_oldest_first() -> None:
    desk = Desk()
    ids = [desk.order({"side": "buy", "qty": 1, "price": 99 - i}).id for i in range(3)]
    desk.order({"side": "buy", "qty": 1, "price": 99}, strategy="b")
    desk.fill(ids[1])
    assert [e.order.id for e in desk.say({"cancel": True})] == [ids[0], ids[2]]  # type: ignore[attr-defined]


def test_an_order_can_be_changed_in_the_answer_that_places_it() -> None:
    """The proposal is still on the bus: the cancel follows it."""
    desk = Desk()
    desk.told.clear()
    told = desk.say({"side": "buy", "qty": 1, "price": 99, "tag": "x"}, {"amend": "x", "price": 98}, {"cancel": "x"})
    assert [type(e) for e in told] == [ProposeOrder, ProposeAmend, ProposeCancel]


@pytest.mark.parametrize("wish", [{"cancel": "x"}, {"amend": "x", "price": 1}, {"cancel": "nobody"}])
def test_a_change_to_an_order_that_is_over_or_anothers_sends_nothing_and_is_counted(wish: dict[str, Any]) -> None:
    desk = Desk()
    desk.fill(desk.order({"side": "buy", "qty": 1, "tag": "x"}).id)
    desk.order({"side": "buy", "qty": 1, "price": 99, "tag": "x"}, strategy="b")
    assert desk.say(wish) == []
    assert sum(desk.engine.unsent.values()) == 1


@pytest.mark.parametrize("change", [{"price": 99.05, "qty": "1.0004"}, {"qty": "0.0009"}])
def test_an_amend_to_the_same_or_to_less_than_a_step_sends_nothing_and_is_counted(change: dict[str, Any]) -> None:
    """Nothing left to buy would be a cancel, which is asked for by name."""
    desk = Desk()
    desk.order({"side": "buy", "qty": 1, "price": 99, "tag": "x"})
    assert desk.say({"amend": "x", **change}) == []
    assert sum(desk.engine.unsent.values()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"qty": "50.001"}, ["50.001", "above the maximum 50"]),
        ({"qty": "0.001"}, ["0.001", "below the minimum 0.002"]),
        ({"qty": "0.05", "price": 99}, ["4.95", "below the minimum 5"]),
    ],
)
def test_an_amend_the_venue_would_refuse_is_refused_with_the_reason(change: dict[str, Any], words: list[str]) -> None:
    """The venue's limits are those of a new order."""
    desk = Desk()
    order = desk.order({"side": "buy", "qty": 1, "price": 100, "tag": "x"})
    (event,) = desk.say({"amend": "x", **change})
    assert type(event) is AmendRejected and (event.order_id, event.code) == (order.id, None)
    assert all(word in event.message for word in words), event.message


def test_such_an_amend_in_the_answer_that_places_the_order_is_counted() -> None:
    desk = Desk()
    (order,) = desk.say({"side": "buy", "qty": 1, "price": 100, "tag": "x"}, {"amend": "x", "qty": 51})
    assert type(order) is ProposeOrder
    assert desk.engine.unsent["amend of an order just placed to what the venue would refuse"] == 1


@pytest.mark.parametrize(("risk", "qty"), [("{max_order_notional: '50'}", "1"), ("{}", "0.0009")])
async def test_changes_of_an_order_that_was_denied_reach_no_venue(risk: str, qty: str) -> None:
    """Denied by a limit or for its size, amended and canceled in the same answer: only the denial is told."""
    order = {"side": "buy", "qty": qty, "price": 99, "tag": "x"}
    plan = plan_of({"X": flat("100", "100", "100")}, risk=risk)
    done = await run_of(plan, s=Script([order, {"amend": "x", "price": 98}, {"cancel": "x"}]))
    assert [type(e) for e in done.events] == [OrderDenied]
    assert done.run.working.illegal == []


def test_a_failed_strategys_orders_are_canceled_and_no_one_elses() -> None:
    desk = Desk()
    mine = desk.order({"side": "buy", "qty": 1, "price": 99})
    desk.order({"side": "buy", "qty": 1, "price": 99}, strategy="b")
    desk.told.clear()
    desk.engine.on_strategy_failed(StrategyFailed(1, "a", "generate_signals", "x.py:1", "boom"))
    assert [(type(e), e.order.id) for e in desk.told] == [(ProposeCancel, mine.id)]  # type: ignore[attr-defined]


# --- good till date -------------------------------------------------------------------------------------------------

GTD = {"side": "buy", "qty": 1, "price": 99, "tif": "gtd", "good_till": 5_000}


def test_a_venue_with_good_till_dates_gets_the_date() -> None:
    order = Desk().order({**GTD, "good_till": 3600 * SECOND})
    assert (order.tif, order.good_till, order.emulated_deadline) == ("gtd", 3600 * SECOND, None)


def test_a_date_too_near_for_the_venue_is_kept_by_us() -> None:
    """USD-M wants more than 600 s ahead (venues.md section 3): 600 s is too near, an hour is not."""
    desk = Desk()
    desk.engine._native_gtd["v"] = 600 * SECOND
    assert desk.order({**GTD, "good_till": 600 * SECOND}).emulated_deadline == 600 * SECOND
    assert desk.order({**GTD, "good_till": 3600 * SECOND}).good_till == 3600 * SECOND


def test_a_venue_without_them_gets_gtc_and_we_cancel_in_time() -> None:
    desk = Desk(gtd=False)
    order = desk.order(GTD)
    assert (order.tif, order.good_till, order.emulated_deadline) == ("gtc", None, 5_000)
    assert desk.clock.due == 5_000
    event = desk.clock.pop_timer().event
    assert isinstance(event, TimerFired)
    desk.told.clear()
    desk.engine.on_timer(event)
    assert [(type(e), e.ts, e.order.id) for e in desk.told] == [(ProposeCancel, 5_000, order.id)]  # type: ignore[attr-defined]


def test_the_deadline_of_an_order_that_is_over_does_nothing() -> None:
    desk = Desk(gtd=False)
    desk.fill(desk.order(GTD).id)
    desk.told.clear()
    desk.engine.on_timer(desk.clock.pop_timer().event)  # type: ignore[arg-type]
    assert desk.told == []


async def test_an_emulated_date_is_kept_to_the_nanosecond_of_our_clock() -> None:
    """Bybit has none: asked for at the first close, canceled 90 s later, 50 ms later at the venue and 70 ms to hear."""
    till = START + MINUTE + 90 * SECOND
    wish = {"side": "buy", "qty": 1, "price": 90, "tif": "gtd", "good_till": till}
    latency = "{latency: {kind: constant, entry_ms: 50, response_ms: 70}, spread: {kind: none}, impact: {kind: none}}"
    plan = plan_of({"X": flat(*["100"] * 5)}, venue="bybit-linear", simulation=latency)
    done = await run_of(plan, s=Script(wish))
    (canceled,) = done.of(OrderCanceled)
    assert (canceled.ts_venue, canceled.ts) == (till + 50_000_000, till + 120_000_000)
