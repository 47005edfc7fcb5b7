"""The market maker on books short enough to be worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from core.events import OrderFilled
from core.tape import LAST, SNAPSHOT
from strategies.quote_ladder import QuoteLadder
from tick_run import depth, tick_plan, ticks
from tiny_run import run_of


def book(bid: float | None, ask: float | None) -> Any:
    mid = None if bid is None or ask is None else (bid + ask) / 2
    return SimpleNamespace(book=SimpleNamespace(best_bid=bid, best_ask=ask, mid=mid))


def state(qty: float = 0.0, **orders: str) -> Any:
    """Open orders by tag (`bid_0="99"`); a price with `!` is one whose cancel is under way."""
    made = [
        SimpleNamespace(
            tag=tag.replace("_", "-"),
            price=Decimal(price.rstrip("!")),
            pending_cancel=price.endswith("!"),
        )
        for tag, price in orders.items()
    ]
    return SimpleNamespace(qty=qty, open_orders=made)


def ladder(**params: Any) -> QuoteLadder:
    return QuoteLadder(**{"tick": 1.0, "qty": "2", "max_position": 4.0, "half_spread": 5.0, "move": 2.0, **params})


def prices(signals: list[dict[str, Any]]) -> dict[str, float]:
    return {signal["id"]: signal["price"] for signal in signals if "id" in signal}


def test_it_quotes_both_sides_post_only_at_half_the_spread_from_the_middle() -> None:
    """Middle 100, half spread 5 ticks of 1; the second level is 3 ticks further out."""
    signals = ladder(levels=2, gap=3.0).generate_signals(book(99, 101), state())
    assert prices(signals) == {"bid-0": 95, "ask-0": 105, "bid-1": 92, "ask-1": 108}
    assert {(s["side"], s["qty"], s["post_only"]) for s in signals} == {("buy", "2", True), ("sell", "2", True)}


@pytest.mark.parametrize(
    ("qty", "expected"),
    [
        (2.0, {"bid-0": 91, "ask-0": 101}),  # half full: the middle is 100 - 8 / 2
        (-2.0, {"bid-0": 99, "ask-0": 109}),
        (4.0, {"ask-0": 100}),  # full: nothing that adds; 100 - 8 + 5 = 97 would take, so a tick above the bid
        (-4.0, {"bid-0": 100}),
    ],
)  # fmt: skip
def test_it_leans_against_its_position_and_never_crosses(qty: float, expected: dict[str, float]) -> None:
    assert prices(ladder(skew=8.0).generate_signals(book(99, 101), state(qty))) == expected


def test_a_quote_stays_until_its_price_is_two_ticks_off_and_is_then_replaced() -> None:
    """Wanted 95 and 105. A bid of 96 is one tick off and stays; an ask of 107 is canceled and sent anew."""
    signals = ladder().generate_signals(book(99, 101), state(bid_0="96", ask_0="107"))
    assert signals[0] == {"cancel": "ask-0"} and prices(signals) == {"ask-0": 105} and len(signals) == 2


def test_a_quote_whose_cancel_is_under_way_is_not_canceled_again() -> None:
    signals = ladder().generate_signals(book(99, 101), state(bid_0="95", ask_0="107!"))
    assert signals == [{"id": "ask-0", "side": "sell", "price": 105, "qty": "2", "post_only": True}]


def test_a_side_that_is_no_longer_wanted_and_a_book_without_a_side_are_canceled() -> None:
    assert ladder(skew=0.0).generate_signals(book(99, 101), state(4.0, bid_0="95", ask_0="105")) == [
        {"cancel": "bid-0"}
    ]
    assert ladder().generate_signals(book(99, None), state(bid_0="95")) == [{"cancel": True}]


@pytest.mark.parametrize("params", [{"tick": 0}, {"levels": 0}, {"max_position": 0}, {"half_spread": 0}])
def test_a_ladder_that_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="expected tick, max_position"):
        ladder(**params)


async def test_in_a_run_it_earns_the_spread_of_prints_that_go_through_both_quotes() -> None:
    """Book 99.00 and 101.00; quotes at 99.95 and 100.05. A seller at 99 and a buyer at 101 go through 1 each."""
    tape = depth(
        (0, "bid", "99", "50", SNAPSHOT), (0, "ask", "101", "50", SNAPSHOT | LAST), (400, "bid", "98", "1", LAST)
    )
    prints = [(250, "99", "sell"), (350, "101", "buy")]
    rows = [{"at": at, "price": price, "size": "5", "side": side, "flags": 0} for at, price, side in prints]
    plan = tick_plan(tape, ticks("trades", rows), strategy="s, timer: 100ms")
    done = await run_of(plan, s=QuoteLadder(tick=0.01, qty="1", max_position=5.0, skew=0.0))
    fills = [(fill.side, fill.price, fill.qty, fill.liquidity) for fill in done.of(OrderFilled)]
    assert fills == [("buy", Decimal("99.95"), 1, "maker"), ("sell", Decimal("100.05"), 1, "maker")]
