"""Order types that not every venue has, in whole runs on bars that stand still, so that they can be followed by hand.

A strategy's n-th answer is given at the close of bar n and meets the open of bar n + 1; there is no latency, spread,
impact or fee.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from core.compose import compose, read_plan
from core.events import OrderCanceled, OrderExpired, OrderFilled, OrderRejected
from core.orders import Order, OrderStatus
from core.result import make_result
from test_parity import EVERY_ORDER
from tiny_run import IDEAL, MINUTE, SECOND, START, Finished, Row, Script, flat, plan_of, run_of

D = Decimal
DAY = 1440 * MINUTE
SLOW = "{latency: {kind: constant, entry_ms: 0, response_ms: 90000}, spread: {kind: none}, impact: {kind: none}}"


def orders(done: Finished, **terms: Any) -> list[Order]:
    """Orders whose terms have these values, oldest first."""
    return [o for o in done.run.working.all.values() if all(getattr(o.terms, k) == v for k, v in terms.items())]


def fills(done: Finished) -> list[tuple[str, Decimal, Decimal]]:
    return [(fill.side, fill.price, fill.qty) for fill in done.of(OrderFilled)]


def held(done: Finished, strategy: str = "s") -> Decimal:
    book = done.run.portfolio.position(done.run.plan.streams[0].key[0], "X", strategy)
    return D(0) if book is None else book.qty


async def played(bars: Sequence[Row], *answers: Any, **plan: Any) -> Finished:
    done = await run_of(plan_of({"X": bars}, **plan), s=Script(*answers))
    assert done.run.working.illegal == []
    return done


# --- brackets -------------------------------------------------------------------------------------------------------

BRACKET = {"side": "buy", "qty": 1, "stop_loss": 98, "take_profit": 104, "id": "e"}


@pytest.mark.parametrize(("after", "leg"), [("105", "target"), ("97", "stop")])
async def test_a_bracket_leaves_by_one_leg_and_the_other_goes(after: str, leg: str) -> None:
    """Bought at 100; the market jumps over a leg: the gap is paid or gained. The venue ends what has no position."""
    done = await played(flat("100", "100", after, after), BRACKET)
    assert fills(done) == [("buy", D(100), D(1)), ("sell", D(after), D(1))]
    (entry,) = orders(done, tag="e")
    (stop,), (target,) = orders(done, tag="e.stop"), orders(done, tag="e.target")
    assert (stop.terms.type, stop.terms.trigger_price) == ("stop_market", D(98))
    assert (target.terms.type, target.terms.trigger_price) == ("take_profit_market", D(104))
    for order in (stop, target):
        assert (order.terms.parent, order.terms.reduce_only, order.terms.qty) == (entry.terms.id, True, D(1))
    assert {o.terms.emulated for o in (entry, stop, target)} == {"bracket"}
    assert {o.terms.tag: o.status for o in (stop, target)} == {
        f"e.{leg}": OrderStatus.FILLED,
        f"e.{'stop' if leg == 'target' else 'target'}": OrderStatus.EXPIRED,
    }


@pytest.mark.parametrize(
    ("wish", "stop", "target"),
    [
        ({"stop_loss_distance": 2, "take_profit_bps": 400}, "98", "104"),  # 100 - 2, 100 x 1.04
        ({"stop_loss_bps": 150, "take_profit_distance": "0.5"}, "98.5", "100.5"),
        ({"side": "sell", "stop_loss_bps": 150, "take_profit_distance": "0.5"}, "101.5", "99.5"),
        ({"stop_loss_bps": 150}, "98.5", None),
        ({"take_profit": 101}, None, "101"),
    ],
)
async def test_legs_may_be_distances_from_what_was_paid_and_one_is_enough(
    wish: dict[str, Any], stop: str | None, target: str | None
) -> None:
    done = await played(flat(*["100"] * 4), {"side": "buy", "qty": 1, **wish})
    legs = {o.terms.type: str(o.terms.trigger_price.normalize()) for o in orders(done, emulated="bracket")[1:]}
    named = {"stop_market": stop, "take_profit_market": target}
    assert legs == {kind: price for kind, price in named.items() if price is not None}


async def test_legs_grow_with_an_entry_that_fills_in_parts() -> None:
    """A bid of 10 at 100; bars at 99 lie below it all along: 0.1 x 30 = 3 of it each."""
    bars = [*flat("101", "101"), *flat("99", "99", volume="30")]
    done = await played(bars, {"side": "buy", "qty": 10, "price": 100, "stop_loss": 90, "take_profit": 110})
    assert fills(done) == [("buy", D(100), D(3))] * 2
    stops = orders(done, type="stop_market")
    assert [(o.qty, o.status) for o in stops] == [(D(3), OrderStatus.CANCELED), (D(6), OrderStatus.PENDING_TRIGGER)]
    assert [o.qty for o in orders(done, type="take_profit_market") if o.is_open] == [D(6)]


async def test_a_target_that_rests_and_fills_in_parts_takes_as_much_off_the_stop() -> None:
    """10 held, an offer at 101: the bar at 102 with 30 of volume gives 3 of it. The stop protects the other 7."""
    bars = [*flat("100", "100"), *flat("102", volume="30"), *flat("95")]
    wish = {"side": "buy", "qty": 10, "stop_loss": 98, "take_profit": 101, "take_profit_type": "limit"}
    done = await played(bars, wish)
    assert fills(done) == [("buy", D(100), D(10)), ("sell", D(101), D(3)), ("sell", D(95), D(7))]
    assert [o.qty for o in orders(done, type="stop_market")] == [D(10), D(7)]
    assert held(done) == 0


async def test_brackets_of_one_book_do_not_take_each_others_part() -> None:
    """Two of 1, one after the other. The first's target fills at 106; at 94 the second's stop closes 1 and no more."""
    first = {"side": "buy", "qty": 1, "stop_loss": 90, "take_profit": 105, "id": "a"}
    second = {"side": "buy", "qty": 1, "stop_loss": 95, "take_profit": 120, "id": "b"}
    done = await played(flat("100", "100", "106", "94", "89"), [first, second])
    assert fills(done)[2:] == [("sell", D(106), D(1)), ("sell", D(94), D(1))]
    (stop,) = orders(done, tag="a.stop")
    assert stop.status is OrderStatus.CANCELED
    assert held(done) == 0


async def test_both_legs_within_the_round_trip_cannot_close_twice() -> None:
    """Answers take 90 s. One bar goes up to 106 and then down to 94, through both legs, before we hear of the first."""
    bars: list[Row] = [*flat(*["100"] * 5), ("100", "106", "94", "95", "1000"), *flat("95", "95", "95")]
    done = await played(bars, BRACKET, simulation=SLOW)
    assert [(side, qty) for side, _, qty in fills(done)] == [("buy", D(1)), ("sell", D(1))]
    assert held(done) == 0


async def test_a_stop_the_market_has_passed_already_closes_at_the_market() -> None:
    """Bought at 100, heard 90 s later, when the market is at 95: the venue refuses a stop at 98, and 1 is sold."""
    done = await played(flat("100", "100", "95", "95", "94", "94", "94"), BRACKET, simulation=SLOW)
    (refused,) = done.of(OrderRejected)
    assert (refused.code, refused.reason) == (-2021, "trigger_fall")
    assert fills(done) == [("buy", D(100), D(1)), ("sell", D(94), D(1))]
    assert [o.terms.type for o in orders(done, tag="e.stop")] == ["stop_market", "market"]


async def test_on_spot_the_target_makes_way_for_a_stop_that_came_too_late() -> None:
    """The same: the offer at 104 locks what is to be sold at the market, so it is taken back first."""
    done = await played(
        flat("100", "100", "95", "95", "94", "94", "94"), BRACKET | {"take_profit_type": "limit"}, simulation=SLOW,
        venue="binance-spot", leverage=None, balances="{USDT: '1000', XB: '1'}",
    )  # fmt: skip
    assert [(side, price) for side, price, _ in fills(done)] == [("buy", D(100)), ("sell", D(94))]
    assert [o.reason for o in orders(done, tag="e.target")] == ["request"]


async def test_an_entry_that_is_canceled_keeps_legs_for_what_it_filled() -> None:
    bars = [*flat("101", "101"), *flat("99", volume="30"), *flat("101", "101", "89")]
    wish = {"side": "buy", "qty": 10, "price": 100, "stop_loss": 90, "id": "e"}
    done = await played(bars, wish, None, None, {"cancel": "e"})
    assert fills(done) == [("buy", D(100), D(3)), ("sell", D(89), D(3))]


async def test_a_leg_that_the_strategy_takes_back_stays_away() -> None:
    """And closing needs no word about the target: what only waits is no way to a target position."""
    done = await played(flat(*["100"] * 3, "97", "97", "97"), BRACKET, {"cancel": "e.stop"}, None, {"close": True})
    assert fills(done) == [("buy", D(100), D(1)), ("sell", D(97), D(1))]
    assert [(o.status, o.reason) for o in orders(done, tag="e.target")] == [(OrderStatus.EXPIRED, "reduce_only")]
    assert len(orders(done, tag="e.stop")) == 1


async def test_a_target_that_rests_is_no_way_out_of_a_close() -> None:
    """It would count as under way to a flat position, and nothing would be sold."""
    done = await played(flat(*["100"] * 5), BRACKET | {"take_profit_type": "limit"}, None, {"close": True})
    assert fills(done) == [("buy", D(100), D(1)), ("sell", D(100), D(1))]


async def test_the_legs_of_a_bracket_can_be_moved() -> None:
    """To where it was bought: 97 would not have reached the old stop at 90."""
    wish = {"side": "buy", "qty": 1, "stop_loss": 90, "take_profit": 104, "id": "e"}
    done = await played(flat("100", "100", "103", "97", "97"), wish, {"amend": "e", "stop_loss": 99})
    assert fills(done) == [("buy", D(100), D(1)), ("sell", D(97), D(1))]
    assert [o.terms.trigger_price for o in orders(done, tag="e.stop")] == [D(90), D(99)]


async def test_on_spot_the_legs_are_a_group_of_the_venue_and_lock_the_balance_once() -> None:
    """Bought 1 of it: two offers of 1 each would need 2."""
    done = await played(
        flat("100", "100", "105", "105"), BRACKET, venue="binance-spot", leverage=None,
        balances="{USDT: '1000', XB: '0'}",
    )  # fmt: skip
    assert [(side, price) for side, price, _ in fills(done)] == [("buy", D(100)), ("sell", D(105))]
    assert done.of(OrderRejected) == []
    (stop,) = orders(done, tag="e.stop")
    assert (stop.reason, stop.terms.oco) == ("oco", orders(done, tag="e")[0].terms.id)


async def test_on_spot_what_a_target_left_is_protected_by_a_new_group() -> None:
    """10 held; half the way to 102 and back lies above the offer at 101, of 60 x 0.1 it gets 3. That ends the stop, and
    nothing acts in its group any more. 90 s later we hear of it and ask for both anew; the other 7 go at 95."""
    bars: list[Row] = [*flat(*["100"] * 4), ("100", "102", "100", "100", "60"), *flat("100", "100", "95", "95", "95")]
    wish = {"side": "buy", "qty": 10, "stop_loss": 98, "take_profit": 101, "take_profit_type": "limit", "id": "e"}
    account = {"leverage": None, "balances": "{USDT: '1000', XB: '0'}"}
    free = SLOW.removesuffix("}") + ", fees: {maker: '0', taker: '0'}}"
    done = await played(bars, wish, venue="binance-spot", simulation=free, **account)
    assert fills(done) == [("buy", D(100), D(10)), ("sell", D(101), D(3)), ("sell", D(95), D(7))]
    stops, targets = orders(done, tag="e.stop"), orders(done, tag="e.target")
    assert [(o.qty, o.reason) for o in stops] == [(D(10), "oco"), (D(7), "")]
    assert [(o.qty, o.reason) for o in targets] == [(D(10), "request"), (D(7), "oco")]
    assert stops[0].terms.oco == targets[0].terms.oco != stops[1].terms.oco == targets[1].terms.oco


EXPIRES = IDEAL.removesuffix("}") + ", bars: {remainder: expire}}"


async def test_a_leg_that_meets_nobody_is_tried_again_less_and_less_often() -> None:
    """The market jumps to 97, through the stop at 98, and nobody trades there for three minutes. The jump pulls the
    stop, which expires, twice; after 1 s a third is refused, its price is passed, and from there on orders go to the
    market: at once, 2, 4, 8, 16 and 32 s after each other, and then a minute."""
    bars = [*flat("100", "100"), *flat("97", "97", "97", volume="0"), *flat("97", "97")]
    done = await played(bars, {"side": "buy", "qty": 1, "stop_loss": 98, "id": "e"}, simulation=EXPIRES)
    stops = orders(done, tag="e.stop")
    jump = START + 2 * MINUTE
    assert [o.created_at - jump for o in stops[1:]] == [s * SECOND for s in (0, 1, 1, 3, 7, 15, 31, 63, 123, 183)]
    assert [o.terms.type for o in stops] == ["stop_market"] * 3 + ["market"] * 8
    assert fills(done)[1:] == [("sell", D(97), D(1))]
    assert held(done) == 0


async def test_a_leg_that_met_somebody_begins_to_wait_anew() -> None:
    """A quarter of 4 is taken where the stop of 2 is pulled. So it is tried at once, twice, before the first second."""
    bars = [*flat("100", "100"), *flat("97", volume="4"), *flat("97", "97")]
    done = await played(bars, {"side": "buy", "qty": 2, "stop_loss": 98, "id": "e"}, simulation=EXPIRES)
    created = [o.created_at - START - 2 * MINUTE for o in orders(done, tag="e.stop")[1:]]
    assert created == [s * SECOND for s in (0, 0, 1, 1, 3, 7, 15, 31, 63)]
    assert fills(done)[1:] == [("sell", D(97), D(1))] * 2


async def test_a_leg_that_waits_keeps_no_other_bracket_waiting() -> None:
    """The stop in X is tried again 63 s after its jump; the entry in Y fills 3 s before and has its stop at once."""
    x = [*flat("100", "100"), *flat("97", volume="0"), *flat("97", "97")]
    plan = plan_of(
        {"X": x, "Y": flat(*["100"] * 5)}, strategies=("x, symbols: [X]", "y, symbols: [Y]"), simulation=EXPIRES
    )
    wish = {"side": "buy", "qty": 1, "stop_loss": 98}
    done = await run_of(plan, x=Script(wish | {"id": "x"}), y=Script(None, None, wish | {"id": "y"}))
    (stop,) = orders(done, tag="y.stop")
    assert stop.created_at == START + 3 * MINUTE
    assert orders(done, tag="x.stop")[-1].created_at == START + 3 * MINUTE + 3 * SECOND


# --- one cancels the other ------------------------------------------------------------------------------------------

STRADDLE = [
    {"side": "buy", "qty": 1, "type": "stop_market", "trigger_price": 102, "oco": "out", "id": "up"},
    {"side": "sell", "qty": 1, "type": "stop_market", "trigger_price": 98, "oco": "out", "id": "down"},
]


async def test_one_cancels_the_other_where_the_venue_has_no_such_groups() -> None:
    done = await played(flat("100", "100", "103", "97"), STRADDLE)
    assert fills(done) == [("buy", D(103), D(1))]
    up, down = orders(done)
    assert (up.terms.emulated, up.terms.oco, up.terms.group) == ("oco", None, down.terms.group)
    (canceled,) = done.of(OrderCanceled)
    assert (canceled.order_id, canceled.reason) == (down.terms.id, "request")


async def test_a_group_is_the_venues_where_it_has_them() -> None:
    offers = [
        {"side": "sell", "qty": 1, "price": 105, "oco": "out"},
        {"side": "sell", "qty": 1, "type": "stop_market", "trigger_price": 95, "oco": "out"},
    ]
    done = await played(
        flat("100", "100", "94", "106"), offers, venue="binance-spot", leverage=None,
        balances="{USDT: '0', XB: '1'}",
    )  # fmt: skip
    assert fills(done) == [("sell", D(94), D(1))]
    (expired,) = done.of(OrderExpired)
    assert (expired.reason, expired.venue_reason) == ("oco", "OCO_TRIGGER")
    assert {o.terms.emulated for o in orders(done)} == {None}


async def test_a_name_that_is_used_again_is_another_group() -> None:
    done = await played(flat("100", "100", "103", "103", "97", "97"), STRADDLE, None, None, STRADDLE[1])
    assert fills(done) == [("buy", D(103), D(1)), ("sell", D(97), D(1))]


# --- icebergs -------------------------------------------------------------------------------------------------------


async def test_an_iceberg_shows_a_part_at_a_time() -> None:
    """A bid of 5 that shows 2: the first part rests and is passed by the bar at 99; the next ones take at 99."""
    wish = {"side": "buy", "qty": 5, "price": 100, "iceberg": 2, "id": "i"}
    done = await played(flat("101", "101", "99"), wish)
    assert fills(done) == [("buy", D(100), D(2)), ("buy", D(99), D(2)), ("buy", D(99), D(1))]
    first, *rest = orders(done, tag="i")
    assert [o.terms.parent for o in (first, *rest)] == [None, first.terms.id, first.terms.id]
    assert {o.terms.emulated for o in (first, *rest)} == {"iceberg"}


async def test_what_an_iceberg_hides_counts_as_under_way_and_goes_with_its_part() -> None:
    """3 are wanted and 5 are under way, 3 of them hidden: the iceberg is canceled whole, and 3 are bought."""
    wish = {"side": "buy", "qty": 5, "price": 100, "iceberg": 2, "id": "i"}
    done = await played(flat("101", "101", "101", "101"), wish, {"target": 5}, {"target": 3})
    assert done.run.execution.unsent["target reached or under way"] == 1
    assert fills(done) == [("buy", D(101), D(3))]
    assert [o.status for o in orders(done, tag="i")] == [OrderStatus.CANCELED]


# --- time in force --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", ["binance-usdm", "bybit-linear"])
@pytest.mark.parametrize("kind", [{"price": 90}, {"type": "stop_market", "trigger_price": 110}])
async def test_a_day_order_ends_at_midnight_utc(venue: str, kind: dict[str, Any]) -> None:
    """The run begins two minutes before: placed a minute before midnight, canceled to the nanosecond."""
    bars = flat(*["100"] * 5)
    wish = {"side": "buy", "qty": 1, "tif": "day", **kind}
    done = await played(bars, wish, venue=venue, start=START + DAY - 2 * MINUTE)
    (canceled,) = done.of(OrderCanceled)
    assert (canceled.ts, canceled.reason) == (START + DAY, "request")
    (order,) = orders(done)
    assert order.terms.emulated == "day"
    assert (order.terms.emulated_deadline, order.terms.good_till) == (START + DAY, None)


async def test_a_date_of_an_order_without_a_limit_is_kept_by_us_everywhere() -> None:
    """USD-M has good-till dates, for limit orders."""
    till = START + 20 * MINUTE
    wish = {"side": "buy", "qty": 1, "type": "stop_market", "trigger_price": 110, "tif": "gtd", "good_till": till}
    done = await played(flat(*["100"] * 25), wish)
    assert [e.ts for e in done.of(OrderCanceled)] == [till]
    assert orders(done)[0].terms.emulated == "gtd"


# --- trailing stops -------------------------------------------------------------------------------------------------

TRAIL = {"side": "sell", "qty": 1, "type": "trailing_stop_market", "reduce_only": True, "id": "t"}
LONG = {"side": "buy", "qty": 1}


async def test_a_trailing_stop_is_the_venues_where_it_has_such_a_one() -> None:
    """Best 110, 5% back is 104.5: the bar at 104 opens beyond."""
    done = await played(flat("100", "100", "110", "104"), LONG, TRAIL | {"trail_bps": 500})
    assert fills(done)[1:] == [("sell", D(104), D(1))]
    (order,) = orders(done, tag="t")
    assert (order.terms.type, order.terms.emulated) == ("trailing_stop_market", None)


async def test_where_it_has_none_a_stop_is_moved_with_the_closes_we_hear() -> None:
    """From 100 by 5: stops at 95, 99 and 105 as the closes are 100, 104, 104.4 (too little), 110; the gap pays 103."""
    bars = flat("100", "100", "104", "104.4", "110", "103")
    done = await played(bars, LONG, TRAIL | {"trail_distance": 5}, venue="bybit-linear")
    assert fills(done)[1:] == [("sell", D(103), D(1))]
    stops = orders(done, tag="t")
    assert [o.terms.trigger_price for o in stops] == [D(95), D(99), D(105)]
    assert {(o.terms.type, o.terms.emulated) for o in stops} == {("stop_market", "trailing")}
    assert [o.terms.parent for o in stops] == [None, stops[0].terms.id, stops[0].terms.id]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"reduce_only": False}, "must be `reduce_only`"), ({"activation_price": 120}, "without activation")],
)
async def test_what_a_moved_stop_cannot_do_is_denied(change: dict[str, Any], words: str) -> None:
    done = await played(flat("100", "100", "100"), LONG, TRAIL | {"trail_distance": 5} | change, venue="bybit-linear")
    (order,) = orders(done, tag="t")
    assert order.status is OrderStatus.DENIED and words in order.reason


# --- close position -------------------------------------------------------------------------------------------------

CLOSE = {"side": "sell", "type": "stop_market", "trigger_price": 95, "close_position": True, "id": "c"}


@pytest.mark.parametrize(
    ("strategies", "emulated", "parts"), [(("s",), None, 1), (("s", "other"), "close_position", 2)]
)
async def test_a_close_position_order_closes_all_that_the_strategy_holds_when_it_acts(
    strategies: tuple[str, ...], emulated: str | None, parts: int
) -> None:
    """1, and 2 more: 3 are sold. With another strategy in the symbol the venue's own would close that one's 4 too."""
    plan = plan_of({"X": flat("100", "100", "100", "100", "94")}, strategies=strategies)
    both = {"s": Script([LONG], CLOSE, {"side": "buy", "qty": 2}), "other": Script({"side": "buy", "qty": 4})}
    done = await run_of(plan, **{name: both[name] for name in strategies})
    assert fills(done)[-1] == ("sell", D(94), D(3))
    assert held(done) == 0 and held(done, "other") == (4 if parts == 2 else 0)
    stops = orders(done, tag="c")
    assert [o.terms.emulated for o in stops] == [emulated] * parts
    assert stops[0].terms.close_position is (emulated is None)
    assert stops[-1].qty == stops[-1].filled == 3


async def test_with_nothing_held_a_close_position_order_is_denied() -> None:
    done = await played(flat("100", "100"), CLOSE)
    assert "nothing of X is held that a sell could close" in orders(done)[0].reason


# --- sizes in quote units -------------------------------------------------------------------------------------------


async def test_a_size_in_quote_units_is_the_venues_to_work_out() -> None:
    """1000 USDT at 80 are 12.5; at the last price we knew, 100, it would have been 10."""
    done = await played(
        flat("100", "80", "80"), {"side": "buy", "quote_qty": 1000}, venue="binance-spot", leverage=None,
        balances="{USDT: '1000', XB: '0'}",
    )  # fmt: skip
    assert fills(done) == [("buy", D(80), D("12.5"))]
    (order,) = orders(done)
    assert (order.terms.qty, order.qty, order.status) == (D(0), D("12.5"), OrderStatus.FILLED)


async def test_a_size_in_quote_units_meets_the_limits() -> None:
    done = await played(
        flat("100", "100", "100"), {"side": "buy", "quote_qty": 1000}, venue="binance-spot", leverage=None,
        balances="{USDT: '1000', XB: '0'}", risk="{max_order_notional: '999'}",
    )  # fmt: skip
    assert "order notional 1000.0000 is above max_order_notional 999" in orders(done)[0].reason


# --- amends that a venue does not have ------------------------------------------------------------------------------


async def test_another_price_on_spot_is_another_order_once_the_cancel_is_heard() -> None:
    """Spot only takes less quantity. A bid of 10 at 100 has 3 (0.1 x 30), then asks for the other 7 at 99.5."""
    bars = [*flat("101", "101"), *flat("99", volume="30"), *flat("101", "101", "99", volume="1000")]
    done = await played(
        bars, {"side": "buy", "qty": 10, "price": 100, "id": "b"}, None, None, {"amend": "b", "price": "99.5"},
        venue="binance-spot", leverage=None, balances="{USDT: '2000', XB: '0'}", simulation=IDEAL,
    )  # fmt: skip
    assert fills(done) == [("buy", D(100), D(3)), ("buy", D("99.5"), D(7))]
    first, second = orders(done, tag="b")
    assert (first.status, second.terms.parent) == (OrderStatus.CANCELED, first.terms.id)
    assert second.terms.emulated == "amend"


async def test_a_cancel_while_an_amend_waits_for_its_cancel_is_the_last_word() -> None:
    done = await played(
        flat(*["101"] * 6), {"side": "buy", "qty": 10, "price": 100, "id": "b"}, None,
        [{"amend": "b", "price": "99.5"}, {"cancel": "b"}],
        venue="binance-spot", leverage=None, balances="{USDT: '2000', XB: '0'}",
    )  # fmt: skip
    assert [o.status for o in orders(done)] == [OrderStatus.CANCELED]


async def test_a_stop_can_be_moved_by_its_tag() -> None:
    """USD-M amends no order that waits: reduce-only, it is replaced in one go."""
    stop = {"side": "sell", "qty": 1, "type": "stop_market", "trigger_price": 90, "reduce_only": True, "id": "t"}
    done = await played(flat("100", "100", "100", "96"), [LONG, stop], {"amend": "t", "trigger_price": 97})
    # In the answer that buys there is nothing to reduce yet.
    assert orders(done, tag="t")[0].status is OrderStatus.DENIED
    done = await played(flat(*["100"] * 3, "96"), LONG, stop, {"amend": "t", "trigger_price": 97})
    assert fills(done)[1:] == [("sell", D(96), D(1))]
    assert [o.terms.trigger_price for o in orders(done, tag="t")] == [D(90), D(97)]


# --- all of them at random ------------------------------------------------------------------------------------------

NONE = {"kind": "constant", "entry": 0, "response": 0, "feed": 0}


async def everything(seed: int, **latency: Any) -> Any:
    """A run with orders of every kind on three venues, over midnight; both ledgers agree when its result is made."""
    plan = read_plan("every.yaml", text=EVERY_ORDER.format(seed=seed, **(NONE | latency)))
    async with compose(plan) as engine:
        await engine.run()
        make_result(engine.parts.run)
        return engine.parts.run


async def test_no_event_of_any_order_is_out_of_place() -> None:
    """Whatever overtakes whatever: answers that take longer than a bar, and requests that do."""
    words: set[str] = set()
    for seed, latency in enumerate([{}, {"response": 90_000}, {"entry": 90_000, "feed": 40}, {"entry": 125}]):
        run = await everything(seed, **latency)
        assert run.working.illegal == []
        words |= {word for order in run.working.all.values() for word in (order.terms.emulated or "").split()}
    assert words == {"bracket", "oco", "iceberg", "trailing", "close_position", "day", "amend"}


@pytest.mark.parametrize("seed", range(3))
async def test_the_legs_of_a_bracket_never_close_more_than_its_entry_opened(seed: int) -> None:
    """Without latency nothing of two legs can be under way at once."""
    run = await everything(seed)
    opened, closed = dict[str, Decimal](), dict[str, Decimal]()
    for order in run.working.all.values():
        terms = order.terms
        root = terms.parent or terms.id
        if "bracket" in (terms.emulated or ""):
            leg = (terms.tag or "").endswith((".stop", ".target"))
            sums = closed if leg else opened
            sums[root] = sums.get(root, D(0)) + order.filled
    assert sum(qty > 0 for qty in closed.values()) > 2
    assert {root: qty for root, qty in closed.items() if qty > opened[root]} == {}
