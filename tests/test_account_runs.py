"""Leveraged runs: what the venue does to a position by itself is heard, booked and reported, in every mode alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.compose import compose, read_plan
from core.events import ACCOUNT_EVENTS, ORDER_EVENTS, OrderExpired, PositionLiquidated
from core.parity import compare, record
from core.plan import Plan
from core.result import make_result
from test_price_paths import TWO_VENUES
from tiny_run import BRACKETS, FALL, MINUTE, START, Script, plan_of, run_of

D = Decimal
SECOND = MINUTE // 60


def fallen(more: str = "", **given: Any) -> Plan:
    return plan_of({"X": FALL}, leverage=20, instrument=BRACKETS + more, balances="{USDT: '10000'}", **given)


async def test_a_position_is_liquidated_inside_a_bar_and_everybody_hears_of_it() -> None:
    """2@60000, 20x: LP = (6000 - 120000) / (0.008 - 2) = 57228.9156626506, reached 38.6126323475 s into the third bar.

    The venue's order is heard at once; the resting order expires first. 10000 - 6000 = 4000 are left.
    """
    heard: list[Any] = []
    strategy = Script({"side": "buy", "qty": 2}, {"side": "buy", "qty": "0.1", "price": 50000}, on_event=heard.append)
    done = await run_of(fallen(), kinds=(*ORDER_EVENTS, *ACCOUNT_EVENTS), s=strategy)
    (event,) = done.of(PositionLiquidated)
    assert event.ts == START + 2 * MINUTE + 38_612_632_347
    assert (event.price, event.qty, event.realized_pnl, event.strategy) == (D(57000), D(2), D(-6000), "s")
    (expired,) = done.of(OrderExpired)
    assert (expired.reason, expired.ts) == ("liquidation", event.ts)
    assert done.events.index(expired) < done.events.index(event)
    assert event in heard
    assert done.run.portfolio.balances["binance-usdm", "USDT"] == D(4000)
    assert all(book.qty == 0 for book in done.run.portfolio.books.values())
    result = make_result(done.run)
    (trade,) = result.trades
    assert (trade["exit_reason"], D(trade["pnl"])) == ("liquidation", D(-6000))
    assert D(str(result.summary["final_equity"])) == D(4000)
    assert "s: X was liquidated by the venue once at 2025-01-01T00:02:38Z" in result.summary["warnings"]


async def test_the_strategy_sees_its_liquidation_price_and_it_goes_with_the_position() -> None:
    """None before, 57228.9156626506 while 2@60000 are held at 20x, None after."""
    seen: list[float | None] = []

    def look(_: Any, position: Any) -> None:
        seen.append(position.liquidation_price)

    first = Script(lambda m, p: (look(m, p), {"side": "buy", "qty": 2})[1], look, look, look)
    await run_of(fallen(), s=first)
    assert seen[0] is None
    assert seen[1] == pytest.approx(57228.9156626506)
    assert seen[2:] == [None, None]


async def test_without_brackets_a_position_is_never_liquidated_and_the_summary_says_so() -> None:
    """X is no symbol the venue's stored rules know."""
    plan = plan_of({"X": FALL}, leverage=20, balances="{USDT: '10000'}")
    done = await run_of(plan, kinds=ACCOUNT_EVENTS, s=Script({"side": "buy", "qty": 2}))
    assert done.of(PositionLiquidated) == []
    assert "X: its maintenance brackets are not known, it is never liquidated" in done.run.outside.assumptions
    assert "X: no funding rates given; positions pay and receive none" in done.run.outside.assumptions


async def test_the_summary_says_what_stands_in_for_marks() -> None:
    done = await run_of(fallen(), kinds=ACCOUNT_EVENTS, s=Script())
    expected = "X: no mark prices given; in their place stands the last price of its own market"
    assert expected in done.run.outside.assumptions


async def test_what_only_one_venue_assumes_names_it_and_what_all_do_is_said_once() -> None:
    """A perpetual has marks and funding, spot has neither; its fee is another one (0.1 % a side, the first tier)."""
    done = await run_of(read_plan("two.yaml", text=TWO_VENUES), s=Script())
    said = done.run.outside.assumptions
    assert "perp: BTCUSDT: no funding rates given; positions pay and receive none" in said
    assert "spot: fees: maker 0.001, taker 0.001 of notional" in said
    assert sum("latency: " in line for line in said) == sum("fidelity: " in line for line in said) == 1


@pytest.mark.parametrize("latency", ["{kind: none}", "{kind: constant, entry_ms: 200, response_ms: 300, feed_ms: 50}"])
async def test_paper_liquidates_at_the_same_nanosecond_as_the_backtest(latency: str) -> None:
    """Bars are revealed one at a time there: the crossing inside of one is found when it opens."""
    ideal = f"{{latency: {latency}, spread: {{kind: none}}, impact: {{kind: none}}}}"
    plan = fallen(simulation=ideal)
    answers = [{"side": "buy", "qty": "1.9"}, {"side": "buy", "qty": "0.1", "price": 50000}]
    backtest = await record(plan, "backtest", strategies={"s": Script(*answers)})
    paper = await record(plan, "paper", strategies={"s": Script(*answers)})
    assert sum(type(event) is PositionLiquidated for event in backtest.events) == 1
    result = compare(backtest, paper)
    assert result.equal, result.text()


async def test_a_run_in_cross_margin_lives_on_its_whole_wallet() -> None:
    """10000 behind 2@60000: LP = (10000 - 120000) / (0.008 - 2) = 55220.88, which the low of 57000 does not reach."""
    plan = fallen()
    account = msgspec.structs.replace(plan.config.account, margin_mode="cross")
    plan = msgspec.structs.replace(plan, config=msgspec.structs.replace(plan.config, account=account))
    async with compose(plan, strategies={"s": Script({"side": "buy", "qty": 2})}) as engine:
        heard: list[Any] = []
        engine.parts.bus.subscribe(ACCOUNT_EVENTS, heard.append)
        await engine.run()
        assert [event for event in heard if type(event) is PositionLiquidated] == []
        assert engine.parts.run.portfolio.held("binance-usdm", "X") == D(2)
