"""The venue warns before it liquidates: at which mark, whom, and how often."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapters.venues import load_rules
from core.errors import UsageError
from core.events import ACCOUNT_EVENTS, ORDER_EVENTS, MarginCall, PositionLiquidated
from core.margin import Tier, liquidation_price, maintenance_margin, scaled
from tiny_run import IDEAL, MINUTE, START, Finished, Row, Script, flat, plan_of, run_of

D = Decimal
BRACKETS = ", brackets: [{floor: '0', mmr: '0.004', max_leverage: 150}]"
DOWN: list[Row] = [*flat("60000", "60000"), ("60000", "60300", "57000", "58000", "1000"), *flat("58000")]
"""The third bar falls from 60300 at its 20th second to 57000 at its 40th."""


async def fallen(*answers: Any, rows: list[Row] = DOWN, mode: str = "isolated", **given: Any) -> Finished:
    balances = f"{{USDT: '{given.pop('wallet', 10000)}'}}, margin_mode: {mode}"
    names = given.pop("strategies", {"s": Script(*answers)})
    brackets = given.pop("brackets", BRACKETS)
    plan = plan_of({"X": rows}, leverage=20, instrument=brackets, balances=balances, strategies=tuple(names), **given)
    return await run_of(plan, kinds=(*ORDER_EVENTS, *ACCOUNT_EVENTS), **names)


async def test_a_call_comes_where_maintenance_is_four_fifths_of_what_is_left_and_the_strategy_hears_it() -> None:
    """2@60000 20x: 0.005 x 2p = 6000 + 2p - 120000 at p = 114000 / 1.99 = 57286.4322, 3013.5678 below 60300.

    On the way of 3300 in 20 s that is 18.26404751028 s after the top; the liquidation follows at 57228.9157.
    """
    heard: list[Any] = []
    done = await fallen(strategies={"s": Script({"side": "buy", "qty": 2}, on_event=heard.append)})
    (call,), (end,) = done.of(MarginCall), done.of(PositionLiquidated)
    assert call.ts == START + 2 * MINUTE + 38_264_047_510
    assert (call.strategy, call.qty, call.mark.quantize(D("0.001"))) == ("s", D(2), D("57286.432"))
    assert call.liquidation_price.quantize(D("0.00001")) == D("57228.91566")
    # The mark at that nanosecond lies up to 0.0000002 from the exact crossing.
    assert call.ratio == pytest.approx(D("0.8"), abs=D("1e-9"))
    assert call.maintenance == pytest.approx(D("458.2914573"), abs=D("1e-6"))
    assert heard.index(call) < heard.index(end) and call.ts < end.ts


async def test_the_level_of_a_call_may_be_chosen() -> None:
    """At half: 0.008 x 2p = 6000 + 2p - 120000 at p = 114000 / 1.984 = 57459.677."""
    simulation = IDEAL.removesuffix("}") + ", margin: {call_at: '0.5'}}"
    (call,) = (await fallen({"side": "buy", "qty": 2}, simulation=simulation)).of(MarginCall)
    assert call.mark.quantize(D("0.001")) == D("57459.677")
    assert call.ratio == pytest.approx(D("0.5"), abs=D("1e-9"))


async def test_a_level_below_the_maintenance_rate_is_refused() -> None:
    """At 0.4 % of maintenance a call at 0.4 % would come with every opening."""
    simulation = IDEAL.removesuffix("}") + ", margin: {call_at: '0.004'}}"
    with pytest.raises(UsageError, match=r"call_at: 0\.004 is not above 0\.004, the maintenance rate of the first"):
        await fallen({"side": "buy", "qty": 2}, simulation=simulation)


async def test_a_bracket_above_the_level_of_calls_keeps_the_last_one_below() -> None:
    """2@60000 lie in the first bracket; a second of 60 % from 10 million on, with calls at half, changes nothing."""
    simulation = IDEAL.removesuffix("}") + ", margin: {call_at: '0.5'}}"
    far = BRACKETS.removesuffix("]") + ", {floor: '10000000', mmr: '0.6', max_leverage: 1}]"
    (call,) = (await fallen({"side": "buy", "qty": 2}, simulation=simulation, brackets=far)).of(MarginCall)
    assert call.mark.quantize(D("0.001")) == D("57459.677")


async def test_in_cross_margin_the_pool_is_meant() -> None:
    """4@60000 on a wallet of 12000: LP (12000 - 240000) / (0.016 - 4) = 57228.9, and the call at 57286.4 as before.

    maintenance 0.004 x 4 x 57286.4322, and of the wallet 12000 - 4 x 2713.5678 = 1145.7286 are left: 4/5 of that.
    """
    done = await fallen({"side": "buy", "qty": 4}, mode="cross", wallet=12000)
    (call,) = done.of(MarginCall)
    assert call.ts == START + 2 * MINUTE + 38_264_047_510
    assert call.balance == pytest.approx(D("1145.7286432"), abs=D("1e-6"))
    assert len(done.of(PositionLiquidated)) == 1


async def test_every_strategy_with_a_share_is_told_its_own() -> None:
    """a holds 3, b -1: the venue's position is 2, and each hears of what it has in it."""
    names = {"a": Script({"side": "buy", "qty": 3}), "b": Script({"side": "sell", "qty": 1})}
    done = await fallen(strategies=names, wallet=100000)
    assert [(call.strategy, call.qty) for call in done.of(MarginCall)] == [("a", D(3)), ("b", D(-1))]


async def test_it_is_told_once_however_often_the_mark_comes_back() -> None:
    """Two falls to 57260 and a rise between: below 57286.4 twice, above 57228.9 always."""
    rows: list[Row] = [*flat("60000", "60000"), ("60000", "60000", "57260", "59000", "1000"),
                       ("59000", "59000", "57260", "59000", "1000")]  # fmt: skip
    done = await fallen({"side": "buy", "qty": 2}, rows=rows)
    assert len(done.of(MarginCall)) == 1
    assert done.of(PositionLiquidated) == []


async def test_a_fill_that_leaves_the_position_there_is_told_again() -> None:
    """2 held at 57260 are called; 0.1 sold there change neither side's share, so it is called again."""
    rows: list[Row] = [*flat("60000", "60000"), ("60000", "60000", "57260", "57260", "1000"), *flat("57260", "57260")]
    done = await fallen({"side": "buy", "qty": 2}, None, {"side": "sell", "qty": "0.1"}, rows=rows)
    assert [call.qty for call in done.of(MarginCall)] == [D(2), D("1.9")]


async def test_in_isolated_margin_a_fill_of_the_other_side_is_no_reason_to_tell_again() -> None:
    """The long of 2 is called at 57286. A short sold at 57260 changes nothing behind it: at 50000 it ends untold."""
    rows: list[Row] = [*flat("60000", "60000"), ("60000", "60000", "57260", "57260", "1000"),
                       *flat("57260", "57260", "50000", "50000")]  # fmt: skip
    long, short = ({"position_side": side} for side in ("long", "short"))
    orders = ({"side": "buy", "qty": 2, **long}, None, {"side": "sell", "qty": "0.1", **short})
    done = await fallen(*orders, rows=rows, mode="isolated, position_mode: hedge")
    assert [call.position_side for call in done.of(MarginCall)] == ["long"]
    assert [(end.position_side, end.qty) for end in done.of(PositionLiquidated)] == [("long", D(2))]


async def test_a_gap_beyond_both_levels_calls_and_liquidates_at_one_nanosecond_in_that_order() -> None:
    done = await fallen({"side": "buy", "qty": 2}, rows=flat("60000", "60000", "50000", "50000"))
    (call,), (end,) = done.of(MarginCall), done.of(PositionLiquidated)
    assert call.ts == end.ts == START + 2 * MINUTE
    assert done.events.index(call) < done.events.index(end)
    assert call.ratio is None  # 6000 - 2 x 10000: nothing is left


def test_scaled_tiers_find_where_the_share_is_reached() -> None:
    """Of brackets with a cum, at the price found maintenance is 0.8 of margin + unrealized PnL."""
    tiers = (Tier(D(0), D("0.004"), D(150), D(0)), Tier(D(100000), D("0.005"), D(100), D(100)))
    price = liquidation_price(scaled(tiers, D("0.8")), D(2), D(120000), D(6000))
    assert price is not None
    left = 6000 + 2 * price - 120000
    assert abs(maintenance_margin(tiers, 2 * price) - D("0.8") * left) < D("1e-20")


def test_both_venues_of_contracts_say_at_which_level_they_warn() -> None:
    assert {name: load_rules(name).margin_call_at for name in ("binance-usdm", "bybit-linear", "binance-spot")} == {
        "binance-usdm": D("0.8"),
        "bybit-linear": D("0.8"),
        "binance-spot": None,
    }
