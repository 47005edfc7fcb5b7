"""The two strategies in the house, on series short enough to follow by hand."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.events import OrderFilled
from strategies.ema_cross import EmaCross
from strategies.mean_reversion import MeanReversion
from tiny_run import MINUTE, START, flat, plan_of, run_of

D = Decimal


def market(*closes: float) -> Any:
    return SimpleNamespace(close=np.array(closes), bar=SimpleNamespace(close=closes[-1]))


def state(qty: float = 0.0, *orders: Any) -> Any:
    return SimpleNamespace(qty=qty, open_orders=list(orders))


def resting(tag: str, price: str, **flags: bool) -> Any:
    given = {"pending_cancel": False, "pending_amend": False, **flags}
    return SimpleNamespace(tag=tag, price=D(price), **given)


# --- EmaCross -------------------------------------------------------------------------------------------------------


def test_ema_cross_follows_its_averages() -> None:
    """fast 1 has weight 1, slow 3 weight 1/2. Averages: 10|10, then 14|12 buy, 8|10 close, 8|9 nothing, 12|10.5 buy."""
    ema = EmaCross(fast=1, slow=3, qty="0.5")
    assert ema.warmup == 4
    assert ema.generate_signals(market(10, 10, 10, 10), state()) is None
    assert ema.generate_signals(market(14), state()) == {"side": "buy", "qty": "0.5"}
    assert ema.generate_signals(market(8), state(0.5)) == {"close": True}
    assert ema.generate_signals(market(8), state()) is None
    assert ema.generate_signals(market(12), state()) == {"side": "buy", "qty": "0.5"}
    assert ema.generate_signals(market(12), state(0.5)) is None


def test_ema_cross_runs_its_averages_over_the_warm_up_oldest_first() -> None:
    """8, 8, 8, 16: fast 16, slow 8 + (16 - 8)/2 = 12: above, so it buys at the first call."""
    assert EmaCross(fast=1, slow=3).generate_signals(market(8, 8, 8, 16), state()) == {"side": "buy", "qty": "0.01"}


@pytest.mark.parametrize(("fast", "slow"), [(20, 10), (10, 10), (0, 5)])
def test_ema_cross_refuses_averages_that_cannot_cross(fast: int, slow: int) -> None:
    with pytest.raises(TypeError, match="expected 0 < fast < slow"):
        EmaCross(fast=fast, slow=slow)


async def test_ema_cross_in_a_run_buys_and_sells_at_the_next_opens() -> None:
    """The series above: 14 is bar 4, bought at bar 5's open, 8; that close gives the exit, at bar 6's open, 8."""
    rows = flat("10", "10", "10", "10", "14", "8", "8", "12", "13")
    done = await run_of(plan_of({"X": rows}), s=EmaCross(fast=1, slow=3, qty="0.5"))
    assert [((e.ts - START) // MINUTE, e.side, e.price, e.qty) for e in done.of(OrderFilled)] == [
        (5, "buy", D(8), D("0.5")), (6, "sell", D(8), D("0.5")), (8, "buy", D(13), D("0.5")),
    ]  # fmt: skip


# --- MeanReversion --------------------------------------------------------------------------------------------------


def test_mean_reversion_bids_below_the_mean() -> None:
    """10, 12, 10, 12: mean 11, deviation 1; two of them below is 9."""
    answer = MeanReversion(window=4, width=2.0, qty="0.3").generate_signals(market(99, 10, 12, 10, 12), state())
    assert answer == [{"id": "entry", "side": "buy", "price": 9.0, "qty": "0.3", "post_only": True}]


def test_mean_reversion_offers_what_it_holds_at_the_mean_and_withdraws_its_bid() -> None:
    reverter = MeanReversion(window=4)
    answer = reverter.generate_signals(market(10, 12, 10, 12), state(0.3, resting("entry", "9")))
    assert answer == [
        {"cancel": "entry"}, {"id": "exit", "side": "sell", "price": 11.0, "qty": "0.3", "reduce_only": True},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        (resting("entry", "9"), []),
        (resting("entry", "8.9991"), []),  # 0.0009 is less than 0.0002 x 9 = 0.0018
        (resting("entry", "8.99"), [{"amend": "entry", "price": 9.0}]),
        (resting("entry", "5", pending_cancel=True), []),
        (resting("entry", "5", pending_amend=True), []),
    ],
)
def test_mean_reversion_moves_an_order_only_where_its_wish_moved(order: Any, answer: list[Any]) -> None:
    assert MeanReversion(window=4).generate_signals(market(10, 12, 10, 12), state(0.0, order)) == answer


@pytest.mark.parametrize("given", [{"window": 1}, {"width": 0.0}, {"move": -0.1}])
def test_mean_reversion_refuses_what_makes_no_sense(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="expected window >= 2"):
        MeanReversion(**given)


async def test_mean_reversion_in_a_run_buys_its_dip_as_a_maker_and_sells_at_the_mean() -> None:
    """After 100, 104, 100, 104 it bids 102 - 2 = 100, which the jump to 96 passes; the jump up passes its offer.

    It offers at the mean of 100, 104, 104, 96: 101. Each fills at its own price as the bar that passes it opens.
    """
    rows = flat("100", "104", "100", "104", "104", "96", "98", "110")
    done = await run_of(plan_of({"X": rows}), s=MeanReversion(window=4, width=1.0, qty="0.3"))
    assert [((e.ts - START) // MINUTE, e.side, e.price, e.qty, e.liquidity) for e in done.of(OrderFilled)] == [
        (5, "buy", D(100), D("0.3"), "maker"), (7, "sell", D(101), D("0.3"), "maker"),
    ]  # fmt: skip
