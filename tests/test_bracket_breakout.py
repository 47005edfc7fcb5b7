"""The breakout with its bracket, on bars that can be followed by hand."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.events import OrderFilled
from strategies.bracket_breakout import BracketBreakout
from tiny_run import Row, flat, plan_of, run_of

D = Decimal


def market(*closes: float) -> Any:
    return SimpleNamespace(close=np.array(closes), high=np.array(closes) + 1, low=np.array(closes) - 1)


FLAT = SimpleNamespace(qty=0.0, open_orders=[])


@pytest.mark.parametrize(
    ("last", "side"),
    [(12.1, "buy"), (12.0, None), (8.0, None), (7.9, "sell")],  # highs up to 12, lows down to 8
)
def test_it_enters_where_the_close_leaves_the_range_of_the_bars_before(last: float, side: str | None) -> None:
    answer = BracketBreakout(window=3, qty="2").generate_signals(market(99, 10, 11, 9, last), FLAT)
    entry = {"side": side, "qty": "2", "id": "entry", "stop_loss_bps": D(50), "take_profit_bps": D(100)}
    assert answer == (None if side is None else entry)  # the defaults: 0.005 and 0.01


@pytest.mark.parametrize("busy", [SimpleNamespace(qty=1.0, open_orders=[]), SimpleNamespace(qty=0.0, open_orders=[1])])
def test_it_does_nothing_while_it_holds_or_has_orders(busy: Any) -> None:
    assert BracketBreakout(window=3).generate_signals(market(10, 10, 10, 99), busy) is None


@pytest.mark.parametrize("params", [{"window": 1}, {"stop": "0"}, {"target": "1"}])
def test_a_bracket_that_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="expected window >= 2 and fractions"):
        BracketBreakout(**params)


CALM = flat("100", "100", "100")
UP: list[Row] = [*CALM, *flat("101", "101", "105", "105", "105")]
DOWN: list[Row] = [*CALM, *flat("101", "101", "97", "97", "97")]


@pytest.mark.parametrize(
    ("bars", "exit_price"),
    [
        # Bought at 101 when bar 5 opens: stop 101 x 0.98 = 98.98, target 101 x 1.03 = 104.03. The market jumps over it.
        (UP, "105"),
        (DOWN, "97"),
    ],
)
async def test_one_leg_closes_the_position_and_the_other_is_taken_back(bars: list[Row], exit_price: str) -> None:
    plan = plan_of({"X": bars}, tick="0.01")
    done = await run_of(plan, s=BracketBreakout(window=2, stop="0.02", target="0.03", qty="1"))
    fills = [(fill.side, fill.price) for fill in done.of(OrderFilled)]
    assert fills[:2] == [("buy", D(101)), ("sell", D(exit_price))]
    stop, target = [order for order in done.run.working.all.values() if order.terms.tag != "entry"][:2]
    assert (stop.terms.trigger_price, target.terms.trigger_price) == (D("98.98"), D("104.03"))
    assert (stop.filled, target.filled) == ((0, 1) if exit_price == "105" else (1, 0))
    assert not stop.is_open and not target.is_open
