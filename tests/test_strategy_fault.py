"""Whatever a strategy raises is its own failure: told by name, file and line, and never a silent end of the program."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import core.strategy_host as host_module
from core.errors import StrategyError
from core.events import OrderDenied
from tiny_run import MINUTE, START, Row, Script, engine_of, flat, plan_of, run_of

BARS: dict[str, Sequence[Row]] = {"X": flat(*["100"] * 6)}
BUY = {"side": "buy", "qty": 1}


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def exits(*given: Any) -> None:
    sys.exit(0)


def cancels(*given: Any) -> None:
    raise asyncio.CancelledError


def wordless(*given: Any) -> None:
    raise Wordless


RAISERS = [
    (exits, "SystemExit: 0"),
    (cancels, "CancelledError"),
    (wordless, "Wordless: .its __str__ raised RuntimeError"),
]


class Coroutine(Script):
    async def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        return super().generate_signals(market_data, position_state)


class Several(Script):
    """Breaks where it is told to."""

    def __init__(self, method: str, raiser: Any) -> None:
        super().__init__(BUY)
        setattr(self, method, raiser)


@pytest.mark.parametrize("method", ["generate_signals", "on_event", "on_start", "on_stop"])
@pytest.mark.parametrize(("raiser", "message"), RAISERS)
async def test_an_exit_a_stray_cancel_and_an_error_without_words_are_the_strategys(
    method: str, raiser: Any, message: str
) -> None:
    with pytest.raises(StrategyError, match=message) as caught:
        await run_of(plan_of(BARS), s=Several(method, raiser))
    assert (caught.value.strategy, caught.value.method, caught.value.exit_code) == ("s", method, 1)
    assert f"{Path(__file__).name}:{raiser.__code__.co_firstlineno + 1}" in caught.value.where


@pytest.mark.parametrize(("raiser", "message"), RAISERS)
async def test_the_same_in_an_async_strategy_and_beside_one(raiser: Any, message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        await run_of(plan_of(BARS), s=Coroutine(raiser))
    with pytest.raises(StrategyError, match=message):
        await run_of(plan_of(BARS, strategies=("s", "t")), s=Coroutine(), t=Script(raiser))


async def test_ctrl_c_stays_ctrl_c() -> None:
    def interrupts(*given: Any) -> None:
        raise KeyboardInterrupt

    caught: list[str] = []
    try:
        await run_of(plan_of(BARS), s=Script(interrupts))
    except KeyboardInterrupt:
        caught.append("interrupt")
    assert caught == ["interrupt"]


async def test_a_run_that_is_canceled_is_no_failure_of_the_async_strategy_it_awaits() -> None:
    class Waits(Script):
        async def generate_signals(self, market_data: Any, position_state: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

    asked = asyncio.Event()

    async def run() -> None:
        async with engine_of(plan_of(BARS), s=Waits()) as engine:
            await engine.run()

    task = asyncio.create_task(run())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_async_strategy_that_never_answers_is_named_with_the_line_it_waits_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Waits(Script):
        async def generate_signals(self, market_data: Any, position_state: Any) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(host_module, "ANSWER_SECONDS", 0.001)
    with pytest.raises(StrategyError, match=r"no answer for 0\.001 s") as caught:
        await run_of(plan_of(BARS), s=Waits())
    assert caught.value.strategy == "s" and "await asyncio.Event().wait()" in caught.value.where


async def test_a_timeout_of_the_strategys_own_is_told_in_its_own_words() -> None:
    def late(*given: Any) -> None:
        raise TimeoutError("my exchange is slow")

    with pytest.raises(StrategyError, match="TimeoutError: my exchange is slow"):
        await run_of(plan_of(BARS), s=Coroutine(late))


@pytest.mark.parametrize("method", ["on_event", "on_start"])
async def test_a_bad_answer_is_told_with_the_method_that_gave_it(method: str) -> None:
    with pytest.raises(StrategyError, match=f"in what {method} of test_strategy_fault.Several returned\n.*`qyt`"):
        await run_of(plan_of(BARS), s=Several(method, lambda *given: {"side": "buy", "qyt": 1}))


@pytest.mark.parametrize("policy", ["stop", "halt"])
async def test_who_answers_its_own_denials_without_end_is_named(policy: str) -> None:
    """Each denial makes the next order and no time passes: 10,000 wishes are the most it may have at one moment."""

    def again(event: Any) -> Any:
        return {"side": "buy", "qty": "0.0001"} if type(event) is OrderDenied else None

    script = Script({"side": "buy", "qty": "0.0001"}, on_event=again)
    plan = plan_of(BARS, strategies=(f"s, on_error: {policy}",))
    if policy == "halt":
        done = await run_of(plan, s=script)
        assert done.run.host.strategies[0].failed and len(script.calls) == 1
        assert {event.ts for event in done.of(OrderDenied)} == {START + MINUTE} and len(done.events) == 10_000
        return
    with pytest.raises(StrategyError, match="10,001 wishes at one moment, at most 10,000") as caught:
        await run_of(plan, s=script)
    assert (caught.value.strategy, caught.value.method) == ("s", "on_event")


async def test_an_error_in_a_class_it_inherits_from_is_found_there() -> None:
    class Child(Script):
        pass

    Child.__module__ = "tiny_run"
    with pytest.raises(StrategyError) as caught:
        await run_of(plan_of(BARS), s=Child(lambda market, state: market.close[99]))
    assert "tiny_run.py" in caught.value.where and "IndexError" in caught.value.what
