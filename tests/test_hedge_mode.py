"""Hedge mode in whole runs: two positions of a symbol at one time, each with its own book, margin and end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.events import ACCOUNT_EVENTS, ORDER_EVENTS, OrderDenied, OrderFilled, PositionLiquidated
from core.plan import Plan
from core.result import make_result
from tiny_run import Finished, Row, Script, flat, plan_of, run_of

D = Decimal
USDT = ("binance-usdm", "USDT")


def hedged(rows: list[Row], **given: Any) -> Plan:
    balances = f"{{USDT: '{given.pop('wallet', 10000)}'}}, position_mode: hedge"
    return plan_of({"X": rows}, balances=balances, **given)


async def run(plan: Plan, **strategies: Any) -> Finished:
    return await run_of(plan, kinds=(*ORDER_EVENTS, *ACCOUNT_EVENTS), **strategies)


def long(side: str, qty: Any, **more: Any) -> dict[str, Any]:
    return {"side": side, "qty": qty, "position_side": "long", **more}


def short(side: str, qty: Any, **more: Any) -> dict[str, Any]:
    return {"side": side, "qty": qty, "position_side": "short", **more}


def venue_of(done: Finished) -> Any:
    (exchange,) = done.run.outside.world.exchanges
    return exchange.account


def sides(done: Finished) -> dict[str, tuple[Decimal, Decimal]]:
    """(qty, cost) of both positions, which the two ledgers must agree on."""
    found = {side: (done.run.portfolio.whole["binance-usdm", "X", side]) for side in ("long", "short")}
    ours = {side: (whole.qty, whole.cost) for side, whole in found.items()}
    positions = {side: venue_of(done).position("X", side) for side in ours}
    assert ours == {side: (position.qty, position.value) for side, position in positions.items()}
    assert done.run.portfolio.wallet(*USDT) == venue_of(done).balances["USDT"]
    return ours


async def test_a_long_and_a_short_are_held_side_by_side_and_closed_apart() -> None:
    """Long 3@100, short 2@101; 1 long sold at 102 gains 2, 2 short bought at 99 gain 4: wallet 10006, long 2@100."""
    strategy = Script([long("buy", 3)], [short("sell", 2)], [long("sell", 1)], [short("buy", 2)])
    done = await run(hedged(flat("100", "100", "101", "102", "99")), s=strategy)
    assert sides(done) == {"long": (D(2), D(200)), "short": (D(0), D(0))}
    assert done.run.portfolio.balances[USDT] == D(10006)
    result = make_result(done.run)
    # 2 long at 99 against 100: -2. Most was held after the second fill, when 100 was our last price: 3 x 100 + 2 x 100.
    assert result.summary["final_equity"] == "10004.00000000"
    assert D(result.summary["max_gross_exposure"]) == D(500)
    trades = [(t.side, t.qty, t.pnl) for t in result.record.trades]
    assert trades == [("short", D(2), D(4)), ("long", D(3), D(2))]


async def test_a_sale_of_the_long_side_closes_what_is_held_of_it_and_no_more() -> None:
    """5 asked for, 3 are held: 3 are sold, the short of 1 stays, and nothing was opened the other way."""
    strategy = Script([long("buy", 3), short("sell", 1)], [long("sell", 5)])
    done = await run(hedged(flat("100", "100", "100")), s=strategy)
    assert sides(done) == {"long": (D(0), D(0)), "short": (D(-1), D(-100))}
    assert [fill.qty for fill in done.of(OrderFilled, side="sell", position_side="long")] == [D(3)]


async def test_targets_and_closes_speak_of_the_side_they_name() -> None:
    """Long to 3, short to -2; the long to 1; then the short is closed, and 1 long is left."""
    wishes = [
        [{"target": 3, "position_side": "long"}, {"target": -2, "position_side": "short"}],
        {"target": 1, "position_side": "long"},
        {"close": True, "position_side": "short"},
    ]
    done = await run(hedged(flat("100", "100", "100", "100", "100")), s=Script(*wishes))
    assert sides(done) == {"long": (D(1), D(100)), "short": (D(0), D(0))}


async def test_the_state_shows_both_sides_and_their_sum() -> None:
    """Long 3@100, short 2@101 at 102: +6 and -2; 5x bind 60 + 40.4."""
    seen: list[Any] = []

    def look(_: Any, state: Any) -> None:
        seen.append(state.plain())
        seen.append((state.long.qty, state.long.entry_price, state.long.unrealized_pnl))
        seen.append((state["short"].qty, state["short"].entry_price, state["short"].unrealized_pnl))

    strategy = Script([long("buy", 3)], [short("sell", 2)], look, look)
    await run(hedged(flat("100", "100", "101", "102")), s=strategy)
    whole, up, down = seen[-3:]
    assert (up, down) == ((3.0, 100.0, 6.0), (-2.0, 101.0, -2.0))
    assert (whole["qty"], whole["entry_price"], whole["unrealized_pnl"]) == (1.0, None, 4.0)
    assert (whole["margin_used"], whole["free_margin"]) == (100.4, 9899.6)
    assert whole["leverage"] == (3 * 102 + 2 * 102) / 10004


async def test_an_order_without_a_side_is_denied_with_the_venues_code() -> None:
    done = await run(hedged(flat("100", "100")), s=Script({"side": "buy", "qty": 1}))
    (denied,) = done.of(OrderDenied)
    assert denied.reason.startswith("position_side is net, in hedge mode an order names long or short; ")
    assert "-4061" in denied.reason


async def test_a_side_in_one_way_mode_is_denied_with_the_venues_code() -> None:
    done = await run(plan_of({"X": flat("100", "100")}), s=Script(long("buy", 1)))
    (denied,) = done.of(OrderDenied)
    assert "position_side is long, in one-way mode" in denied.reason and "-4061" in denied.reason


async def test_the_long_side_is_liquidated_and_the_short_side_stays() -> None:
    """Long 1@60000 20x: LP = (3000 - 60000) / (0.004 - 1) = 57228.9; the short of 1@60000 gains from the same fall."""
    rows: list[Row] = [*flat("60000", "60000"), ("60000", "60300", "57000", "58000", "1000"), *flat("58000")]
    brackets = ", brackets: [{floor: '0', mmr: '0.004', max_leverage: 150}]"
    plan = hedged(rows, leverage=20, instrument=brackets)
    done = await run(plan, s=Script([long("buy", 1), short("sell", 1)]))
    (event,) = done.of(PositionLiquidated)
    assert (event.position_side, event.side, event.realized_pnl) == ("long", "sell", D(-3000))
    assert sides(done) == {"long": (D(0), D(0)), "short": (D(-1), D(-60000))}
    whole = make_result(done.run).summary["pnl_split"]["whole"]
    assert (D(whole["liquidation"]), D(whole["price"])) == (D(-3000), D(2000))


async def test_two_strategies_share_a_side_and_each_closes_its_own_part_alone() -> None:
    """a holds 3 long, b 1 long; b asks to sell 5: 1 is sold, a keeps its 3."""
    a, b = Script(long("buy", 3)), Script(long("buy", 1), long("sell", 5))
    done = await run(hedged(flat("100", "102", "104"), strategies=("a", "b")), a=a, b=b)
    portfolio = done.run.portfolio
    books = {name: portfolio.position("binance-usdm", "X", name, "long").qty for name in "ab"}
    assert books == {"a": D(3), "b": D(0)}
    assert portfolio.held("binance-usdm", "X", "long") == D(3) == venue_of(done).position_qty("X", "long")
