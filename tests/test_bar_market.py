"""Whether a limit order would take: F13, against the price a taker pays before impact and not against the mid."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.events import OrderAccepted, OrderCanceled, OrderFilled, OrderRejected
from tiny_run import IDEAL, MINUTE, START, Script, flat, plan_of, run_of

D = Decimal
WIDE = IDEAL.replace("spread: {kind: none}", "spread: {half_bps: '100'}")
"""At 100: a buyer takes at 101, a seller at 99."""
# The market stands at 100 in bars 0 and 1, and in bar 2 goes where no resting order of these tests is reached.
AWAY = {"buy": "110", "sell": "90"}
INSIDE = [("buy", "100.5"), ("sell", "99.5"), ("buy", "100.9"), ("sell", "99.1")]


@pytest.mark.parametrize("venue", ["binance-usdm", "bybit-linear"])
@pytest.mark.parametrize(("side", "price"), INSIDE)
async def test_a_post_only_order_between_mid_and_touch_is_accepted(venue: str, side: str, price: str) -> None:
    plan = plan_of({"X": flat("100", "100", AWAY[side])}, simulation=WIDE, venue=venue)
    done = await run_of(plan, s=Script({"side": side, "qty": 1, "price": price, "post_only": True}))
    assert len(done.of(OrderAccepted)) == 1
    assert done.of(OrderRejected) == done.of(OrderCanceled) == []


@pytest.mark.parametrize(("side", "price"), [("buy", "101"), ("sell", "99")])
async def test_a_post_only_order_at_the_touch_is_refused(side: str, price: str) -> None:
    plan = plan_of({"X": flat("100", "100", AWAY[side])}, simulation=WIDE)
    done = await run_of(plan, s=Script({"side": side, "qty": 1, "price": price, "post_only": True}))
    (refusal,) = done.of(OrderRejected)
    assert refusal.reason == "post_only"


@pytest.mark.parametrize(("side", "price"), INSIDE)
async def test_a_limit_order_between_mid_and_touch_rests_and_fills_as_a_maker_at_its_own_price(
    side: str, price: str
) -> None:
    plan = plan_of({"X": flat("100", "100", "100")}, simulation=WIDE)
    done = await run_of(plan, s=Script({"side": side, "qty": 1, "price": price}))
    assert [(f.liquidity, f.price) for f in done.of(OrderFilled)] == [("maker", D(price))]


@pytest.mark.parametrize(("side", "price"), [("buy", "101"), ("sell", "99")])
async def test_a_limit_order_at_the_touch_takes_at_once(side: str, price: str) -> None:
    plan = plan_of({"X": flat("100", "100", "100")}, simulation=WIDE)
    done = await run_of(plan, s=Script({"side": side, "qty": 1, "price": price}))
    assert [(f.liquidity, f.price, f.ts_venue) for f in done.of(OrderFilled)] == [("taker", D(price), START + MINUTE)]
