"""What the venue wants free before it takes an order, by hand: contracts, one-way, isolated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.events import OrderFilled, OrderRejected, Side
from core.instruments import Instrument
from core.orders import OrderTerms
from sim.account import VenueAccount
from tiny_run import Script, flat, plan_of, run_of

D = Decimal
LINEAR = Instrument(venue="v", symbol="X", tick=D("0.1"), step=D("0.001"), base="XB", quote="USDT")


def order(side: Side, qty: str) -> OrderTerms:
    return OrderTerms("o", "v", "X", "net", "s", "main", side, "market", D(qty))


@pytest.mark.parametrize(
    ("held", "side", "qty", "needed"),
    [
        ("2", "sell", "2", "0"),
        ("2", "sell", "1.5", "0"),
        ("2", "sell", "3", "20"),  # 1 opens: 100 / 5
        ("-2", "buy", "2", "0"),
        ("-2", "buy", "2.5", "10"),
        ("2", "buy", "2", "40"),
        ("0", "sell", "2", "40"),
    ],
)
def test_only_what_goes_beyond_the_opposite_position_needs_margin(held: str, side: Side, qty: str, needed: str) -> None:
    account = VenueAccount("linear", {"USDT": D(1000)}, leverage={"": D(5)})
    account.open_position(LINEAR, D(held), D(100))
    assert account.need(LINEAR, order(side, qty), D(qty), D(100)) == ("USDT", D(needed))


async def test_a_position_can_be_closed_with_no_free_margin() -> None:
    """100 USDT at leverage 1 hold 1 @ 100: nothing is free, and a sale of 1 needs nothing."""
    answers: list[Any] = [{"side": "buy", "qty": 1}, {"side": "sell", "qty": 1}]
    plan = plan_of({"X": flat("100", "100", "100", "100")}, balances="{USDT: '100'}", leverage=1)
    done = await run_of(plan, s=Script(*answers))
    assert [(fill.side, fill.qty) for fill in done.of(OrderFilled)] == [("buy", D(1)), ("sell", D(1))]
    assert done.of(OrderRejected) == []
