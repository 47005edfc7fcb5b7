"""An engine inside somebody else's program: in and out, time that is held, ends of every kind, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.compose import compose
from core.engine import HOST, Engine
from core.errors import RunOver, StrategyError, UsageError
from core.events import Bar, OrderAccepted, OrderCanceled, OrderFilled, RunEnded, RunStarted, Signal
from core.hosting.signals import BadSignal
from sim import clock as clock_module
from tiny_run import MINUTE, SECOND, START, Script, engine_of, flat, plan_of

D = Decimal
REPOSITORY = Path(__file__).resolve().parent.parent
QUICKSTART = REPOSITORY / "configs" / "quickstart.yaml"
TEN = {"X": flat(*[str(100 + n) for n in range(10)])}
"""Ten minutes; bar n stands at 100 + n."""


def traces() -> dict[str, Any]:
    """What an embedding program would notice."""
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": sorted(t.name for t in threading.enumerate()),
        "files": len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else None,
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "handlers": list(logging.getLogger().handlers),
        "level": logging.getLogger().level,
        "loggers": {
            n: (list(lg.handlers), lg.level) for n in ("core", "sim", "asyncio") for lg in [logging.getLogger(n)]
        },
        "filters": list(warnings.filters),
        "policy": type(asyncio.get_event_loop_policy()).__name__,
        "folder": os.getcwd(),
    }


# --- in and out -----------------------------------------------------------------------------------------------------


async def test_a_wish_goes_in_at_the_time_of_its_sender_and_its_fill_comes_out() -> None:
    """At 2:30 a bot asks for 1.5: filled there, inside bar 2, at 102; it hears the fill at 2:30 and sells at 5:00."""
    told: list[tuple[int, str, Decimal, str]] = []

    async def bot(engine: Engine) -> None:
        fills = engine.events(OrderFilled)
        await engine.clock.sleep_until(START + 150 * SECOND)
        await engine.signal({"action": "buy", "qty": "1.5"})
        async for fill in fills:
            assert isinstance(fill, OrderFilled)
            told.append((engine.clock.now() - START, fill.side, fill.price, fill.strategy))
            if fill.side == "buy":
                await engine.clock.sleep_until(START + 5 * MINUTE)
                await engine.signal(Signal(close=True))

    async with engine_of(plan_of(TEN), s=Script()) as engine:
        mine = asyncio.create_task(bot(engine))
        await asyncio.sleep(0)
        await engine.start()
        await engine.wait()
        await mine
        assert engine.status().state == "ended" and engine.status().now == START + 10 * MINUTE
    assert told == [(150 * SECOND, "buy", D(102), HOST), (5 * MINUTE, "sell", D(105), HOST)]


async def test_the_wishes_of_the_host_are_a_book_of_their_own() -> None:
    async def bot(engine: Engine) -> None:
        await engine.clock.sleep_until(START + MINUTE)
        await engine.signal({"side": "buy", "qty": 1, "tag": "x", "price": 50})
        await engine.clock.sleep_until(START + 2 * MINUTE)
        await engine.signal({"cancel": "x"})

    async with engine_of(plan_of(TEN), s=Script({"side": "sell", "qty": 1, "tag": "x", "price": 500})) as engine:
        canceled: list[Any] = []
        engine.parts.bus.subscribe(OrderCanceled, canceled.append)
        mine = asyncio.create_task(bot(engine))
        await asyncio.sleep(0)
        await engine.run()
        await mine
        assert [event.strategy for event in canceled] == [HOST]
        assert len(engine.parts.run.working.open_of("s")) == 1


@pytest.mark.parametrize("wish", [{"side": "buy", "qty": float("nan")}, {"symbol": "Z", "close": True}, None, 5])
async def test_a_wish_that_is_none_is_refused_to_its_sender_and_the_run_goes_on(wish: Any) -> None:
    async with engine_of(plan_of(TEN), s=Script()) as engine:
        with pytest.raises(BadSignal):
            await engine.signal(wish)
        await engine.run()
        with pytest.raises(UsageError, match="the run has ended"):
            await engine.signal({"close": True})


async def test_a_run_says_when_it_starts_and_why_it_ends() -> None:
    async with engine_of(plan_of(TEN), s=Script()) as engine:
        stream = engine.events(RunStarted, RunEnded)
        await engine.run()
        started, ended = [event async for event in stream]
    assert (started.ts, started.run) == (START, "tiny")
    assert (ended.ts, ended.reason) == (START + 10 * MINUTE, "end of data")


async def test_a_stop_ends_the_run_after_the_event_in_hand() -> None:
    async def bot(engine: Engine) -> None:
        await engine.clock.sleep_until(START + 150 * SECOND)
        await engine.stop("seen enough")

    script = Script()
    async with engine_of(plan_of(TEN), s=script) as engine:
        ends = engine.events(RunEnded)
        mine = asyncio.create_task(bot(engine))
        await asyncio.sleep(0)
        await engine.run()
        await mine
        (ended,) = [event async for event in ends]
    assert len(script.calls) == 2 and (ended.reason, ended.ts) == ("seen enough", START + 150 * SECOND)


async def test_stopping_an_engine_that_never_ran_returns() -> None:
    async with engine_of(plan_of(TEN), s=Script()) as engine:
        await asyncio.wait_for(engine.stop(), 5)


# --- time that is held ----------------------------------------------------------------------------------------------


async def test_sleep_until_holds_time_until_the_task_comes_back() -> None:
    """Woken at 2:30 the task yields a hundred times to the loop: time stands still, whatever the loop does."""
    seen: list[int] = []

    async def bot(engine: Engine) -> None:
        for minute in (2, 4):
            await engine.clock.sleep_until(START + minute * MINUTE + 30 * SECOND)
            for _ in range(100):
                seen.append(engine.clock.now())
                await asyncio.sleep(0)

    async with engine_of(plan_of(TEN), s=Script()) as engine:
        mine = asyncio.create_task(bot(engine))
        await asyncio.sleep(0)
        await engine.run()
        await mine
    assert seen == [START + 150 * SECOND] * 100 + [START + 270 * SECOND] * 100


async def test_sleep_until_the_past_returns_at_once() -> None:
    async with engine_of(plan_of(TEN), s=Script()) as engine:
        await engine.clock.sleep_until(START - 1)
        await engine.clock.sleep_until(START)


@pytest.mark.parametrize("mode", ["backtest", "paper"])
async def test_who_sleeps_beyond_the_end_of_the_run_is_told_so(mode: str) -> None:
    """Ten bars of a minute end at 10:00; a task that waits for 10:01 raises instead of waiting for ever."""
    async with compose(plan_of(TEN), strategies={"s": Script()}, mode=mode) as engine:
        late = START + 11 * MINUTE
        bot = asyncio.create_task(engine.clock.sleep_until(late))
        await asyncio.sleep(0)
        await engine.run()
        with pytest.raises(RunOver, match="60 s after the end of the run") as told:
            await bot
        assert told.value.until == late
        with pytest.raises(RunOver):
            await engine.clock.sleep_until(late)
        await engine.clock.sleep_until(START)


async def test_a_stopped_run_wakes_its_sleepers_too() -> None:
    async with engine_of(plan_of(TEN), s=Script()) as engine:

        async def stopper() -> None:
            await engine.clock.sleep_until(START + 150 * SECOND)
            await engine.stop("enough")

        tasks = [asyncio.create_task(stopper()), asyncio.create_task(engine.clock.sleep_until(START + 5 * MINUTE))]
        await asyncio.sleep(0)
        await engine.run()
        with pytest.raises(RunOver, match="150 s after the end of the run"):
            await tasks[1]
        await tasks[0]


async def test_two_tasks_are_woken_in_the_order_of_their_moments_each_at_its_own() -> None:
    log: list[tuple[str, int]] = []

    async def bot(engine: Engine, name: str, *moments: int) -> None:
        for at in moments:
            await engine.clock.sleep_until(START + at * SECOND)
            log.append((name, (engine.clock.now() - START) // SECOND))

    async with engine_of(plan_of(TEN), s=Script()) as engine:
        tasks = [asyncio.create_task(bot(engine, "a", 30, 90)), asyncio.create_task(bot(engine, "b", 60, 90, 91))]
        await asyncio.sleep(0)
        await engine.run()
        await asyncio.gather(*tasks)
    assert log == [("a", 30), ("b", 60), ("a", 90), ("b", 90), ("b", 91)]


async def test_a_hold_that_never_comes_back_ends_the_run_and_names_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "HOLD_SECONDS", 0.001)
    forever = asyncio.Event()

    async def bot(engine: Engine) -> None:
        await engine.clock.sleep_until(START + 150 * SECOND)
        await forever.wait()

    async with engine_of(plan_of(TEN), s=Script()) as engine:
        mine = asyncio.create_task(bot(engine), name="the sleeper")
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match=r"task the sleeper has held simulated time for 0\.001 s"):
            await engine.run()
        mine.cancel()


@pytest.mark.parametrize("end", ["returns", "raises", "is canceled"])
async def test_a_task_that_ends_in_any_way_holds_time_no_longer(end: str) -> None:
    async def bot(engine: Engine) -> None:
        await engine.clock.sleep_until(START + 150 * SECOND)
        if end == "raises":
            raise ValueError("mine")
        if end == "is canceled":
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    async with engine_of(plan_of(TEN), s=Script()) as engine:
        mine = asyncio.create_task(bot(engine))
        await asyncio.sleep(0)
        await asyncio.wait_for(engine.run(), 10)
        await asyncio.wait([mine])
        assert mine.done() and (end != "raises" or isinstance(mine.exception(), ValueError))


# --- ends and errors ------------------------------------------------------------------------------------------------


async def test_an_engine_runs_once() -> None:
    async with engine_of(plan_of(TEN), s=Script()) as engine:
        await engine.run()
        with pytest.raises(UsageError, match="this engine is ended: an engine runs once, make another one"):
            await engine.run()


async def test_an_engine_that_was_not_entered_says_so() -> None:
    engine = engine_of(plan_of(TEN), s=Script())
    with pytest.raises(UsageError, match="enter the engine first"):
        await engine.start()
    with pytest.raises(UsageError, match="enter the engine first"):
        _ = engine.clock


@pytest.mark.parametrize("background", [False, True])
async def test_an_error_in_a_handler_comes_out_unwrapped_with_the_event_it_was_holding(background: bool) -> None:
    """E12: no ExceptionGroup of one, also where the run was started in the background."""

    def bad(bar: Bar) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        async with engine_of(plan_of(TEN), s=Script()) as engine:
            engine.parts.bus.subscribe(Bar, bad)
            if background:
                await engine.start()
                await engine.wait()
            else:
                await engine.run()
    assert any("Bar" in note for note in caught.value.__notes__)
    assert engine.status().state == "failed"


async def test_an_error_of_a_strategy_in_the_background_keeps_its_cause() -> None:
    def bad(market: Any, state: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(StrategyError) as caught:
        async with engine_of(plan_of(TEN), s=Script(bad)) as engine:
            await engine.start()
            await engine.wait()
    assert isinstance(caught.value.__cause__, LookupError)


async def test_a_reader_that_comes_too_late_finds_the_end() -> None:
    async with engine_of(plan_of(TEN), s=Script({"side": "buy", "qty": 1})) as engine:
        early = engine.events(OrderAccepted)
        await engine.run()
        assert len([event async for event in early]) == 1
        assert [event async for event in engine.events(OrderAccepted)] == []


# --- nothing left behind --------------------------------------------------------------------------------------------


def broken(market: Any, state: Any) -> None:
    raise LookupError("mine")


async def _to_the_end(make: Callable[..., Engine]) -> None:
    async with make(Script({"side": "buy", "qty": 1})) as engine:
        await engine.run()


async def _left_while_running(make: Callable[..., Engine]) -> None:
    async with make(Script()) as engine:
        stopped = asyncio.Event()

        async def hold() -> None:
            await engine.clock.sleep_until(START + 150 * SECOND)
            stopped.set()
            await engine.clock.sleep_until(START + 10**18)

        mine = asyncio.create_task(hold())
        await asyncio.sleep(0)
        await engine.start()
        await stopped.wait()
        mine.cancel()
        await asyncio.wait([mine])


async def _canceled(make: Callable[..., Engine]) -> None:
    entered = asyncio.Event()

    async def program() -> None:
        async with make(Script()) as engine:

            async def hold() -> None:
                await engine.clock.sleep_until(START + 150 * SECOND)
                entered.set()
                await asyncio.Event().wait()

            mine = asyncio.create_task(hold())
            await asyncio.sleep(0)
            try:
                await engine.run()
            finally:
                mine.cancel()

    task = asyncio.create_task(program())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)


async def _failing(make: Callable[..., Engine]) -> None:
    with pytest.raises(StrategyError):
        async with make(Script(broken)) as engine:
            await engine.run()


async def _never_run(make: Callable[..., Engine]) -> None:
    async with make(Script()):
        pass


@pytest.mark.parametrize("way", [_to_the_end, _left_while_running, _canceled, _failing, _never_run])
async def test_nothing_is_left_behind(way: Callable[..., Any], tmp_path: Path) -> None:
    """Tasks, threads, files, signal handlers, logging, warnings, loop policy: as before, however the engine is left."""
    plan = plan_of(TEN)

    def make(script: Script) -> Engine:
        engine: Engine = compose(plan, strategies={"s": script}, journal_path=tmp_path / "j")
        return engine

    await _to_the_end(make)  # whatever is imported or opened once is there now
    before = traces()
    await way(make)
    await asyncio.sleep(0)
    assert traces() == before


def canceled_after(steps: int, journal: Path) -> bool:
    """Cancel a program that embeds an engine after so many turns of the loop; True where it had ended by itself."""

    async def program() -> None:
        async with compose(
            plan_of(TEN), strategies={"s": Script({"side": "buy", "qty": 1})}, journal_path=journal
        ) as one:

            async def bot() -> None:
                for minute in range(1, 9):
                    await one.clock.sleep_until(START + minute * MINUTE)

            async with asyncio.TaskGroup() as group:
                group.create_task(bot())
                await asyncio.sleep(0)
                await one.run()

    async def main() -> bool:
        task = asyncio.create_task(program())
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.done():
            return True
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1
        return False

    return asyncio.run(main())


def test_canceled_at_any_await_it_cleans_up_and_the_cancel_comes_out(tmp_path: Path) -> None:
    """K1: after 1, 2, 3 … turns of the loop, until the program ends before the cancel comes."""
    threads = threading.active_count()
    for steps in range(1, 200):
        if canceled_after(steps, tmp_path / "j"):
            break
        assert threading.active_count() == threads
    assert 5 < steps < 199


async def test_importing_and_running_sets_up_no_logging_and_takes_no_signal() -> None:
    before = traces()
    await _never_run(lambda script: engine_of(plan_of(TEN), s=script))
    after = traces()
    assert all(after[key] == before[key] for key in ("signals", "handlers", "level", "loggers", "policy"))


# --- several engines ------------------------------------------------------------------------------------------------


def quickstart(seed: int) -> Engine:
    engine: Engine = compose(QUICKSTART, assignments=("data[0].source.days=1", f"run.seed={seed}"))
    return engine


async def digest(seed: int) -> str:
    async with quickstart(seed) as engine:
        await engine.run()
        return str(engine.parts.run.journal.events_sha256)


async def test_two_engines_in_one_loop_give_the_events_they_give_alone() -> None:
    alone = [await digest(seed) for seed in (1, 2)]
    together = await asyncio.gather(digest(1), digest(2), digest(1))
    assert together == [*alone, alone[0]] and alone[0] != alone[1]


async def test_when_one_of_two_engines_fails_the_other_does_not_notice() -> None:
    """K3."""

    async def fails() -> None:
        async with engine_of(plan_of(TEN), s=Script(broken)) as engine:
            await engine.run()

    results = await asyncio.gather(digest(1), fails(), return_exceptions=True)
    assert results[0] == await digest(1)
    assert isinstance(results[1], StrategyError)


def test_an_asyncio_program_of_its_own_as_in_the_readme() -> None:
    """From a config file, in a loop made by `asyncio.run`: a wish in after an hour, its fill out, then stopped."""

    async def bot(engine: Engine, told: list[Any]) -> None:
        fills = engine.events(OrderFilled)
        await engine.clock.sleep_until(engine.clock.now() + 60 * MINUTE)
        await engine.signal({"action": "buy", "qty": "0.01"})
        async for fill in fills:
            told.append(fill)
            break
        await engine.stop("seen enough")

    async def main() -> list[Any]:
        told: list[Any] = []
        async with Engine.from_config(QUICKSTART, assignments=("data[0].source.days=1",)) as engine:
            start = engine.clock.now()
            mine = asyncio.create_task(bot(engine, told))
            await asyncio.sleep(0)
            await engine.run()
            await mine
            # 125 ms to the venue and 125 ms back (the quickstart's own latency).
            assert told[0].ts_venue - start == 60 * MINUTE + 125_000_000
            assert told[0].ts - told[0].ts_venue == 125_000_000
        return told

    (fill,) = asyncio.run(main())
    assert (fill.side, fill.qty, fill.strategy) == ("buy", D("0.01"), HOST)
