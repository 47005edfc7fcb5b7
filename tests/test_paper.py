"""Paper runs on a tape: they end by themselves, can be stopped, fail aloud, and leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest

from core.compose import compose, read_plan
from core.errors import StrategyError
from core.events import OrderAccepted, OrderFilled, OrderRejected
from core.plan import Plan
from live.time_source import JumpTime, ScaledTime, TimeSource

CONFIG = """
run: {{name: tiny, seed: 1, end: "2024-01-01T02:00:00Z"}}
venue: {{name: binance-usdm}}
account: {{balances: {{USDT: "10000"}}}}
data:
  - {{symbol: BTCUSDT, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}
simulation: {{latency: {latency}}}
strategies:
  - {{name: mine, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT], params: {{fast: 2, slow: 4}}}}
"""
ANSWERS = (OrderAccepted, OrderRejected)
"""What a strategy that answers every answer answers: the venue's caps and rate limits refuse before it stops."""
NORMAL = "{kind: constant, entry_ms: 125, response_ms: 125}"


def tiny(latency: str = NORMAL) -> Plan:
    """Two hours of a synthetic market."""
    return read_plan("tiny.yaml", text=CONFIG.format(latency=latency))


class Idle:
    warmup = 1

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        return None


@pytest.mark.parametrize("time_source", [None, JumpTime, lambda: ScaledTime(1e12)])
async def test_a_paper_run_ends_with_its_tape_and_leaves_nothing_behind(
    time_source: Callable[[], TimeSource] | None,
) -> None:
    before = asyncio.all_tasks()
    async with compose(tiny(), mode="paper", time_source=time_source and time_source()) as engine:
        await engine.run()
    assert asyncio.all_tasks() == before
    assert engine.reason == ""
    assert engine.parts.inbox.statistics().conflated == 0
    # 120 bars and every order event of the run came through the inbox; what we decide ourselves did not.
    orders = engine.parts.run.working.all.values()
    assert engine.parts.inbox.statistics().delivered == 120 + sum(1 + bool(order.filled) for order in orders)
    assert len(orders) > 10


async def test_a_paper_run_that_is_never_started_stops_when_left() -> None:
    before = asyncio.all_tasks()
    async with compose(tiny(), mode="paper") as engine:
        for _ in range(50):
            await asyncio.sleep(0)
        assert engine.clock.now() == engine.parts.run.start
    assert asyncio.all_tasks() == before


async def test_a_wish_of_the_host_is_answered_by_the_same_venue() -> None:
    async with compose(tiny(), mode="paper", strategies={"mine": Idle()}) as engine:
        events = engine.events(OrderAccepted, OrderFilled)
        await engine.signal({"side": "buy", "qty": "0.01", "price": "62000"})  # the market is near 60000
        await engine.run()
        told = [event async for event in events]
    assert [type(event) for event in told] == [OrderAccepted, OrderFilled]
    start = engine.parts.run.start
    assert [(event.ts_venue - start, event.ts - start) for event in told] == [(125_000_000, 250_000_000)] * 2


async def test_a_paper_run_can_be_stopped_halfway() -> None:
    class StopAtTen(Idle):
        def generate_signals(self, market_data: Any, position_state: Any) -> None:
            if len(market_data.close) == 10:
                engine.parts.inbox.close()

    async with compose(tiny(), mode="paper", strategies={"mine": StopAtTen()}) as engine:
        await engine.run()
    assert engine.parts.inbox.statistics().delivered == 10


async def test_a_strategy_that_fails_ends_the_paper_run() -> None:
    class Fails(Idle):
        def generate_signals(self, market_data: Any, position_state: Any) -> None:
            raise ZeroDivisionError("planted")

    with pytest.raises(StrategyError, match="ZeroDivisionError: planted"):
        async with compose(tiny(), mode="paper", strategies={"mine": Fails()}) as engine:
            await engine.run()


@pytest.mark.parametrize("mode", ["backtest", "paper"])
async def test_orders_that_answer_each_other_at_one_nanosecond_end_the_run(mode: Literal["backtest", "paper"]) -> None:
    class Echo(Idle):
        def generate_signals(self, market_data: Any, position_state: Any) -> Any:
            return {"side": "buy", "qty": "0.01", "price": "1000"}

        def on_event(self, event: Any) -> Any:
            return {"side": "buy", "qty": "0.01", "price": "1000"} if type(event) in ANSWERS else None

    with pytest.raises(StrategyError, match=r"strategy `mine` failed in on_event[^$]*1000 rounds of requests"):
        async with compose(tiny("{kind: none}"), mode=mode, strategies={"mine": Echo()}) as engine:
            await engine.run()


async def test_two_paper_runs_share_an_event_loop() -> None:
    async def digest() -> str:
        async with compose(tiny(), mode="paper") as engine:
            await engine.run()
        return str(engine.parts.run.journal.events_sha256)

    one, other = await asyncio.gather(digest(), digest())
    assert one == other
