"""Runs that nobody would write: whatever is drawn, nothing breaks, all ledgers agree, paper says what a backtest says.

A seed that ever failed is a row of the quick test.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from core.compose import compose
from core.orders import OrderStatus
from core.parity import compare, record
from core.result import make_result
from wild_worlds import World, world


async def check(seed: int) -> int:
    """Raises AssertionError, or what the run raises; returns how many fills there were."""
    drawn = world(seed)
    try:
        fills = await check_backtest(drawn)
        backtest = await record(drawn.plan, "backtest", strategies=drawn.strategies())
        paper = await record(drawn.plan, "paper", strategies=drawn.strategies())
        result = compare(backtest, paper)
        assert result.equal, result.text()
    except Exception as error:
        error.add_note(f"seed {seed}:\n{drawn.text}")
        raise
    return fills


async def check_backtest(drawn: World) -> int:
    async with compose(drawn.plan, strategies=drawn.strategies()) as engine:
        await engine.run()
        run = engine.parts.run
    assert run.working.illegal == []
    assert [hosted.name for hosted in run.host.strategies if hosted.failed] == []
    for exchange in run.outside.world.exchanges:
        check_ledgers(run, exchange)
        check_open_orders(run, exchange)
    for part in (run.execution, run.working, run.portfolio):
        msgspec.msgpack.encode(part.snapshot())
    return len(make_result(run).fills)  # which counts the books anew from the fills


def check_ledgers(run: Any, exchange: Any) -> None:
    """Books of two strategies realize at other moments than their one net position; wallet less cost is the same."""
    account = exchange.account
    there = sum(position.value for position in account.positions.values())
    here = sum(book.cost for book in run.portfolio.books.values()) if account.kind == "linear" else 0
    for asset, total in account.balances.items():
        ours = run.portfolio.balances.get((exchange.venue, asset), 0)
        assert total - (there if asset == "USDT" else 0) == ours - (here if asset == "USDT" else 0), asset


def check_open_orders(run: Any, exchange: Any) -> None:
    """What the venue has open we have open; what we have besides was sent when the data were over, and never left."""
    there = {order.terms.id for order in exchange.orders.values() if order.is_open}
    here = {order.terms.id for order in run.working.all.values() if order.is_open}
    assert there <= here
    sent_late = [run.working.all[order_id] for order_id in here - there]
    assert all(order.status is OrderStatus.SUBMITTED for order in sent_late)
    assert len(sent_late) <= sum(gateway.unsent for gateway in run.outside.world.gateways)


@pytest.mark.parametrize("seed", [1, 84, 208])
async def test_a_wild_world_breaks_nothing(seed: int) -> None:
    assert await check(seed)


@pytest.mark.soak
async def test_no_wild_world_breaks_anything(soak_seconds: float) -> None:
    until, seed, fills = time.monotonic() + soak_seconds, 0, 0
    while time.monotonic() < until:
        seed += 1
        fills += await check(seed)
    print(f"\nwild worlds: seeds 1 to {seed}, {fills:,} fills")
