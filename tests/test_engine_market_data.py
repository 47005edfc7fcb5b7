"""Market data out of an engine: a program around it hears what it asks for, whether or not a strategy does."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from core.compose import compose
from core.engine import Engine
from core.errors import UsageError
from core.events import Bar, BookUpdate, OrderFilled, QuoteTick, TradeTick
from core.plan import Plan
from tick_run import MS, quotes, tick_plan, trades
from tiny_run import START, Script, flat, tape_of

MODES: tuple[Literal["backtest", "paper"], ...] = ("backtest", "paper")
PRINTS = trades((10, "100"), (20, "101"), (70_000, "102"))


def plan() -> Plan:
    """Two minutes of bars, which the strategy hears, three prints and two quotes, which nobody inside does."""
    return tick_plan(tape_of(flat("100", "101")), PRINTS, quotes((5, "99", "100"), (50_000, "101", "102")))


def engine_of(mode: Literal["backtest", "paper"]) -> Engine:
    return compose(plan(), mode=mode, strategies={"s": Script({"side": "buy", "qty": "0.01"}, None, {"close": True})})


@pytest.mark.parametrize("mode", MODES)
async def test_prints_that_no_strategy_hears_come_out_when_they_are_asked_for(mode: Any) -> None:
    async with engine_of(mode) as engine:
        stream = engine.events(TradeTick)
        await engine.run()
        heard = [event async for event in stream]
    assert all(isinstance(event, TradeTick) for event in heard)
    assert [(event.ts - START) / MS for event in heard] == [10, 20, 70_000]


@pytest.mark.parametrize("mode", MODES)
async def test_a_task_that_reads_prints_meets_each_at_its_own_moment(mode: Any) -> None:
    seen: list[tuple[int, float]] = []

    async def reader(engine: Engine, stream: Any) -> None:
        async for event in stream:
            seen.append(((engine.clock.now() - START) // MS, event.price))

    async with engine_of(mode) as engine:
        mine = asyncio.create_task(reader(engine, engine.events(TradeTick)))
        await asyncio.sleep(0)
        await engine.run()
        await mine
    assert seen == [(10, 100.0), (20, 101.0), (70_000, 102.0)]


@pytest.mark.parametrize("mode", MODES)
async def test_listening_changes_nothing_of_what_happens(mode: Any) -> None:
    digests = []
    for kinds in ((OrderFilled,), (OrderFilled, TradeTick, QuoteTick, Bar)):
        async with engine_of(mode) as engine:
            stream = engine.events(*kinds)
            await engine.run()
            assert any([isinstance(event, OrderFilled) async for event in stream]), "there is nothing to compare"
            digests.append(engine.parts.run.journal.events_sha256)
    assert digests[0] == digests[1]


async def test_market_data_that_the_run_does_not_have_is_refused() -> None:
    async with engine_of("backtest") as engine:
        with pytest.raises(UsageError, match="no entry of `data` has depth: there will be no BookUpdate"):
            engine.events(BookUpdate)
        await engine.run()


@pytest.mark.parametrize("mode", MODES)
async def test_market_data_is_asked_for_before_time_starts(mode: Any) -> None:
    async def late(engine: Engine) -> None:
        await engine.clock.sleep_until(START + 15 * MS)
        engine.events(Bar)  # the strategy hears them anyway
        with pytest.raises(UsageError, match="trades of X can be asked for before time starts only"):
            engine.events(TradeTick)

    async with engine_of(mode) as engine:
        mine = asyncio.create_task(late(engine))
        await asyncio.sleep(0)
        await engine.run()
        await mine
