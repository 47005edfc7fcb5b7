"""From wishes to orders: sizes, changes by tag, deadlines, with numbers from the contract."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.commands import ProposeAmend, ProposeCancel, ProposeOrder
from core.events import (
    AmendRejected,
    OrderCanceled,
    OrderDenied,
    StrategyFailed,
    TimerFired,
)
from execution_desk import Desk
from tiny_run import MINUTE, SECOND, START, Script, flat, plan_of, run_of

D = Decimal


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
        ({"side": "buy", "qty": 1, "price": "0.01"}, ["price 0", "below one tick", "0.1"]),
        ({"side": "buy", "qty": 1, "price": "0.01", "reduce_only": True}, ["price 0", "below one tick"]),
        ({"target": 1, "price": "0.01"}, ["price 0", "below one tick"]),
        (
            {"side": "buy", "qty": 1, "type": "stop_market", "trigger_price": "0.04"},
            ["trigger_price 0", "below one tick"],
        ),
        ({"side": "buy", "qty": 1, "price": 9, "tif": "gtd", "good_till": 0}, ["good_till lies in the past"]),
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


def test_of_an_equity_of_nothing_no_fraction_is_taken() -> None:
    """1000 USDT, 20 held from 100 on: at 49 the equity is -20."""
    desk = Desk()
    desk.hold("20")
    desk.portfolio.marks["v", "X"] = 49.0
    desk.portfolio.version += 1
    assert "equity is -20" in desk.denied({"side": "buy", "fraction": 0.5})


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
    assert [e.order.id for e in desk.say({"cancel": True})] == [ids[0], ids[2]]


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
        ({"price": "0.09"}, ["price 0", "below one tick"]),
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
    assert [(type(e), e.order.id) for e in desk.told] == [(ProposeCancel, mine.id)]


# --- good till date -------------------------------------------------------------------------------------------------

GTD = {"side": "buy", "qty": 1, "price": 99, "tif": "gtd", "good_till": 5_000}


def test_a_venue_with_good_till_dates_gets_the_date() -> None:
    order = Desk().order({**GTD, "good_till": 3600 * SECOND})
    assert (order.tif, order.good_till, order.emulated_deadline) == ("gtd", 3600 * SECOND, None)


def test_a_date_too_near_for_the_venue_is_kept_by_us() -> None:
    """USD-M wants more than 600 s ahead (venues.md section 3): 600 s is too near, an hour is not."""
    desk = Desk(gtd_ahead_ms=600_000)
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
    assert [(type(e), e.ts, e.order.id) for e in desk.told] == [(ProposeCancel, 5_000, order.id)]


@pytest.mark.parametrize("gtd", [True, False])
def test_a_date_that_is_over_is_denied_wherever_it_would_be_kept(gtd: bool) -> None:
    desk = Desk(gtd=gtd)
    (event,) = desk.say({**GTD, "good_till": 7_000}, ts=7_000)
    assert type(event) is OrderDenied and event.reason.startswith("good_till lies in the past")
    assert desk.clock.due > 7_000 * SECOND, "no timer waits for an order that is over"


def test_the_deadline_of_an_order_that_is_over_does_nothing() -> None:
    desk = Desk(gtd=False)
    desk.fill(desk.order(GTD).id)
    desk.told.clear()
    desk.engine.on_timer(desk.clock.pop_timer().event)
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


# --- what a venue has of an order, and what it has not -------------------------------------------------------------

STOP = {"side": "sell", "type": "stop_market", "trigger_price": 90, "qty": 1}


@pytest.mark.parametrize(
    ("wish", "venue", "words"),
    [
        # venues.md section 3: working types, STP modes, pegs, sizes in quote units, slippage tolerance
        (STOP | {"trigger_by": "index"}, "binance-usdm", ["no triggers by the index price", "last, mark"]),
        (STOP | {"trigger_by": "mark"}, "binance-spot", ["no triggers by the mark price", "it has last"]),
        ({"side": "buy", "qty": 1, "stp": "decrement"}, "binance-usdm", ["no self-trade prevention `decrement`"]),
        ({"side": "buy", "qty": 1, "price_match": "queue_20"}, "bybit-linear", ["no `price_match` to level 20"]),
        ({"side": "buy", "qty": 1, "price_match": "queue"}, "bybit-spot", ["`price_match` to level 1", "none"]),
        ({"side": "buy", "quote_qty": 50}, "binance-usdm", ["no size in quote units: say `notional`"]),
        (
            {"side": "buy", "qty": 1, "slippage_tolerance": 5, "slippage_tolerance_type": "ticks"},
            "binance-spot",
            ["no slippage tolerance", "`tif: ioc`"],
        ),
        ({"side": "buy", "quote_qty": 4}, "bybit-spot", ["quote_qty 4 is below the minimum notional 5"]),
    ],
)  # fmt: skip
def test_what_a_venue_has_not_and_nobody_can_keep_is_denied(wish: dict[str, Any], venue: str, words: list[str]) -> None:
    reason = Desk(venue=venue).denied(wish)
    assert all(word in reason for word in words), reason


@pytest.mark.parametrize(
    ("wish", "venue", "terms"),
    [
        (STOP | {"trigger_by": "mark"}, "binance-usdm", {"trigger_by": "mark"}),
        (STOP | {"trigger_by": "index"}, "bybit-linear", {"trigger_by": "index"}),
        ({"side": "buy", "qty": 1, "stp": "decrement"}, "binance-spot", {"stp": "decrement"}),
        ({"side": "buy", "qty": 1, "price_match": "queue_5"}, "bybit-linear", {"type": "limit"}),
        ({"side": "buy", "quote_qty": 50}, "bybit-spot", {"quote_qty": D(50), "qty": D(0)}),
        (
            {"side": "buy", "qty": 1, "slippage_tolerance": 5, "slippage_tolerance_type": "ticks"},
            "bybit-linear",
            {"slippage_tolerance": D(5), "slippage_tolerance_type": "ticks"},
        ),
    ],
)  # fmt: skip
def test_what_it_has_is_asked_of_it_and_nothing_is_emulated(
    wish: dict[str, Any], venue: str, terms: dict[str, Any]
) -> None:
    order = Desk(venue=venue).order(wish)
    assert {name: getattr(order, name) for name in terms} == terms
    assert order.emulated is None


def test_a_price_changes_on_a_futures_venue_by_its_own_amend() -> None:
    """USD-M takes price and quantity of limit orders; what waits for its trigger it does not amend."""
    desk = Desk()
    desk.order({"side": "buy", "qty": 2, "price": 99, "tag": "bid"})
    assert [type(e) for e in desk.say({"amend": "bid", "price": 98})] == [ProposeAmend]
    desk.order(STOP | {"tag": "stop"})
    assert [type(e) for e in desk.say({"amend": "stop", "qty": 2})] == [ProposeCancel]


def test_a_bybit_order_that_waits_is_amended_but_for_its_trigger() -> None:
    desk = Desk(venue="bybit-linear")
    desk.order(STOP | {"tag": "stop"})
    assert [type(e) for e in desk.say({"amend": "stop", "qty": 2})] == [ProposeAmend]
    assert [type(e) for e in desk.say({"amend": "stop", "trigger_price": 91})] == [ProposeCancel]


@pytest.mark.parametrize(
    ("wish", "change", "words"),
    [
        ({"side": "buy", "qty": 1, "price": 99}, {"trigger_price": 95}, "the order does not wait for one"),
        ({"side": "buy", "qty": 1, "price": 99}, {"price": "0.01"}, "below one tick"),
    ],
)
def test_an_amend_that_makes_no_sense_is_refused(wish: dict[str, Any], change: dict[str, Any], words: str) -> None:
    desk = Desk()
    desk.order(wish | {"tag": "x"})
    (event,) = desk.say({"amend": "x", **change})
    assert type(event) is AmendRejected and words in event.message


def test_an_iceberg_that_gets_less_hides_less_first() -> None:
    """10 with 2 shown. To 5: 3 hidden. To 1: nothing, and the part that is shown is amended to 1. To 4: 3 again."""
    desk = Desk()
    order = desk.order({"side": "buy", "qty": 10, "price": 99, "iceberg": 2, "tag": "i"})
    shown = desk.working.all[order.id]
    assert (order.qty, shown.hidden) == (D(2), D(8))
    assert desk.say({"amend": "i", "qty": 5}) == [] and shown.hidden == 3
    (amend,) = desk.say({"amend": "i", "qty": 1})
    assert type(amend) is ProposeAmend and amend.qty == 1 and shown.hidden == 0


def test_the_last_part_of_an_iceberg_is_no_smaller_than_an_order_may_be() -> None:
    """5.01 in parts of 5 would leave 0.01, which is worth 0.99 and no order (at least 5): it is shown at once."""
    desk = Desk()
    assert desk.order({"side": "buy", "qty": "5.01", "price": 99, "iceberg": 5}).qty == D("5.01")
    assert "shows less than one step" in desk.denied({"side": "buy", "qty": 5, "price": 99, "iceberg": "0.0001"})
