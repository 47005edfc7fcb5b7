"""Strategies on ticks, on the book and on a timer: when they are called, what they see, which prices the run knows.

The market of these runs is a handful of rows; every moment below is in ms after START, a full minute.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from core.errors import StrategyError, UsageError
from core.events import (
    Bar,
    BookUpdate,
    OrderAccepted,
    OrderEvent,
    OrderFilled,
    OrderSubmitted,
    QuoteTick,
    TradeTick,
    TradingHalted,
)
from core.parity import compare, record
from core.plan import Plan
from core.tape import LAST, SNAPSHOT, Tape
from sim.clock import SimClock
from tick_run import MS, depth, quotes, tick_plan, trades
from tiny_run import START, VENUE, Script, flat, run_of, tape_of

MODES: tuple[Literal["backtest", "paper"], ...] = ("backtest", "paper")
PRINTS = trades((10, "100"), (20, "101"), (250, "102.5"))
BOOK = depth(
    (0, "bid", "99", "5", SNAPSHOT), (0, "ask", "101", "5", SNAPSHOT | LAST), (150, "bid", "100", "2", LAST),
    (250, "bid", "100", "0", 0), (250, "bid", "99", "0", 0), (250, "bid", "90", "5", LAST),
    (430, "ask", "101", "4", LAST),
)  # fmt: skip


def ms(ts: int) -> float:
    return (ts - START) / MS


class Watcher(Script):
    """Remembers, at each call, when it was and what `look` saw."""

    def __init__(self, look: Any, *answers: Any) -> None:
        super().__init__(*answers)
        self.look = look

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        self.seen.append((ms(market_data.now), self.look(market_data)))
        return super().generate_signals(market_data, position_state)


class AsyncWatcher(Watcher):
    async def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        return Watcher.generate_signals(self, market_data, position_state)


async def seen(plan: Plan, look: Any, kind: type[Watcher] = Watcher) -> list[Any]:
    watcher = kind(look)
    await run_of(plan, s=watcher)
    return watcher.seen


# --- what calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Watcher, AsyncWatcher])
async def test_a_strategy_on_trades_is_called_on_every_one_with_that_one(kind: type[Watcher]) -> None:
    def look(market: Any) -> Any:
        assert market.event is market.last_trade is market.trades[-1] is market["last_trade"]
        return market.event.price, market.event.side, len(market.trades)

    assert await seen(tick_plan(PRINTS), look, kind) == [
        (10, (100.0, "buy", 1)), (20, (101.0, "buy", 2)), (250, (102.5, "buy", 3)),
    ]  # fmt: skip


async def test_quotes_and_book_updates_call_where_there_is_nothing_before_them() -> None:
    tape = quotes((10, "99", "101"), (20, "99.5", "101"))
    assert await seen(tick_plan(tape), lambda m: (m.quote.bid, m.quote.ask_qty, type(m.event))) == [
        (10, (99.0, 1.0, QuoteTick)), (20, (99.5, 1.0, QuoteTick)),
    ]  # fmt: skip
    assert await seen(tick_plan(BOOK), lambda m: (type(m.event), m.event.snapshot, m.book.mid)) == [
        (0, (BookUpdate, True, 100.0)), (150, (BookUpdate, False, 100.5)), (250, (BookUpdate, False, 95.5)),
        (430, (BookUpdate, False, 95.5)),
    ]  # fmt: skip


async def test_everything_it_hears_calls_it_in_the_order_of_receipt() -> None:
    """At the full minute the print comes before the bar that it is part of."""
    tapes = trades((10, "100"), (60_000, "101")), tape_of(flat("100"))
    plan = tick_plan(*tapes, strategy="s, hears: [bars, trades], warmup: 0")
    assert await seen(plan, lambda m: type(m.event)) == [(10, TradeTick), (60_000, TradeTick), (60_000, Bar)]


async def test_with_call_together_bars_call_and_the_rest_is_shown() -> None:
    tapes = trades((10, "100"), (60_000, "101")), tape_of(flat("100"))
    plan = tick_plan(*tapes, strategy="s, hears: [bars, trades], call: together, warmup: 0")
    assert await seen(plan, lambda m: (type(m.event), m.last_trade.price)) == [(60_000, (Bar, 101.0))]


async def test_ticks_do_not_call_before_the_bars_of_the_warm_up_are_in() -> None:
    tapes = trades((10, "100"), (60_001, "101")), tape_of(flat("100"))
    plan = tick_plan(*tapes, strategy="s, hears: [bars, trades], warmup: 1")
    assert await seen(plan, lambda m: len(m.trades)) == [(60_000, 1), (60_001, 2)]


async def test_each_strategy_hears_its_own_streams_only() -> None:
    plan = tick_plan(PRINTS, quotes((15, "99", "101")), strategy=("a, hears: [trades]", "b, hears: [quotes]"))
    a, b = Watcher(lambda m: m.quote), Watcher(lambda m: m.last_trade)
    await run_of(plan, a=a, b=b)
    assert [at for at, _ in a.seen] == [10, 20, 250] and {quote for _, quote in a.seen} == {None}
    assert b.seen == [(15, None)]


async def test_several_symbols_call_with_the_one_whose_event_came() -> None:
    plan = tick_plan(trades((10, "100"), symbol="X"), trades((20, "7"), symbol="Y"))
    looks = await seen(plan, lambda m: (m.symbol, m.last_trade.price, m["X"].last_trade.price))
    assert looks == [(10, ("X", 100.0, 100.0)), (20, ("Y", 7.0, 100.0))]


# --- timers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Watcher, AsyncWatcher])
async def test_a_timer_calls_at_full_intervals_and_ticks_do_not(kind: type[Watcher]) -> None:
    """The run begins with the first print at 10: full hundreds after it are 100 and 200; it ends at 250."""

    def look(market: Any) -> Any:
        return market.last_trade.price, market.event

    assert await seen(tick_plan(PRINTS, strategy="s, timer: 100ms"), look, kind) == [
        (100, (101.0, None)), (200, (101.0, None)),
    ]  # fmt: skip


async def test_a_timer_looks_at_a_book_whose_rows_nobody_hears_until_the_tape_is_over() -> None:
    """From 0 to 430: calls at 100, 200, 300 and 400 see what was received by then; no event was made of a row."""
    plan = tick_plan(BOOK, strategy="s, timer: 100ms")
    watcher = Watcher(lambda m: (m.book.best_bid, m.book.best_ask, m.book.bids[:9].tolist()))
    done = await run_of(plan, kinds=(BookUpdate,), s=watcher)
    assert watcher.seen == [
        (100, (99.0, 101.0, [[99.0, 5.0]])), (200, (100.0, 101.0, [[100.0, 2.0], [99.0, 5.0]])),
        (300, (90.0, 101.0, [[90.0, 5.0]])), (400, (90.0, 101.0, [[90.0, 5.0]])),
    ]  # fmt: skip
    assert done.events == []


def reachable(thing: Any, path: str, seen: dict[int, str]) -> None:
    """Every object that attributes, bound methods and containers lead to, by id, with the way there."""
    if id(thing) in seen or isinstance(thing, str | int | float | type | np.ndarray | None):
        return
    seen[id(thing)] = path
    if isinstance(thing, dict):
        children = list(thing.items())
    elif isinstance(thing, list | tuple | deque):
        children = list(enumerate(thing))
    else:
        names = [name for name in dir(thing) if not name.startswith("__") or name == "__self__"]
        children = [(name, getattr(thing, name, None)) for name in names]
    FOUND.setdefault(type(thing).__module__.split(".")[0], []).append(path)
    for step, child in children:
        if not callable(child) or hasattr(child, "__self__"):
            reachable(child, f"{path}.{step}", seen)


FOUND: dict[str, list[str]] = {}
"""Room of an object's type to the ways that lead to one."""


async def test_no_attribute_of_market_data_leads_to_the_tape_behind_the_book() -> None:
    FOUND.clear()
    plan = tick_plan(BOOK, strategy="s, timer: 200ms")
    await run_of(plan, s=Script(lambda market, state: reachable((market, market.book, market.book.bids), "market", {})))
    assert "core" in FOUND and "sim" not in FOUND, FOUND.get("sim")
    reachable([SimClock().now], "planted", {})  # a check that cannot fail is a defect
    assert FOUND["sim"] == ["planted.0.__self__"]


async def test_a_row_is_in_our_book_once_it_is_received_and_not_when_it_happened() -> None:
    """150 happened before 200 and was received at 250 with a feed leg of 100."""
    slow = "{latency: {kind: constant, feed_ms: 100}, fees: {maker: '0', taker: '0'}}"
    plan = tick_plan(BOOK, strategy="s, timer: 200ms", simulation=slow)
    assert await seen(plan, lambda m: m.book.best_bid) == [(200, 99.0), (400, 90.0)]


async def test_a_timer_waits_for_the_bars_of_the_warm_up() -> None:
    plan = tick_plan(tape_of(flat("1", "2")), strategy="s, timer: 30s, warmup: 1")
    assert await seen(plan, lambda m: m.close.tolist()) == [
        (60_000, [1.0]), (90_000, [1.0]), (120_000, [1.0, 2.0]),
    ]  # fmt: skip


async def test_a_strategy_that_failed_sets_no_timer_any_more() -> None:
    plan = tick_plan(PRINTS, strategy="s, timer: 100ms, on_error: halt")
    script = Script(lambda market, state: 1 / 0)
    done = await run_of(plan, s=script)
    assert len(script.calls) == 1 and done.run.host.strategies[0].failed


# --- bars of trades -------------------------------------------------------------------------------------------------

MINUTES = trades((0, "5"), (20_000, "9"), (59_999, "4"), (60_001, "6"), (150_000, "7"), (180_000, "8"))


async def test_bars_are_built_from_trades_and_come_with_the_first_trade_after_them() -> None:
    """Minute 1: 5 9 4 4 with 3; minute 2: only 6; minute 3: only 7, known to be over with the print at 180 s."""
    plan = tick_plan(MINUTES, strategy="s, signal_interval: 1m, warmup: 0")
    looks = await seen(plan, lambda m: (m.bar.open, m.bar.high, m.bar.low, m.bar.close, m.bar.volume, m.trades))
    assert looks == [
        (60_001, (5.0, 9.0, 4.0, 4.0, 3.0, ())), (150_000, (6.0, 6.0, 6.0, 6.0, 1.0, ())),
        (180_000, (7.0, 7.0, 7.0, 7.0, 1.0, ())),
    ]  # fmt: skip


async def test_trades_from_before_the_start_are_the_warm_up_of_built_bars() -> None:
    """Start at 60 s, warm with one bar: minute 1 is built of the past, so minute 2 is the second bar shown."""
    plan = tick_plan(MINUTES, strategy="s, signal_interval: 1m, warmup: 1", run=', start: "2025-01-01T00:01:00Z"')
    looks = await seen(plan, lambda m: m.close.tolist())
    assert looks[:2] == [(60_001, [4.0]), (150_000, [4.0, 6.0])]


# --- other forms of input -------------------------------------------------------------------------------------------


async def test_input_pandas_is_a_table_of_ticks() -> None:
    frames: list[pd.DataFrame] = []
    plan = tick_plan(PRINTS, strategy="s, input: pandas, window: 2")
    await run_of(plan, s=Script(*[lambda market, state: frames.append(market)] * 3))
    frame = frames[-1]
    assert frame.to_dict("list") == {"price": [101.0, 102.5], "qty": [1.0, 1.0], "side": ["buy", "buy"]}
    assert [int(at.value) for at in frame.index] == [START + 20 * MS, START + 250 * MS]


async def test_input_dict_is_plain_values_of_what_it_hears() -> None:
    shown: list[Any] = []
    tapes = PRINTS, quotes((5, "99", "101"))
    plan = tick_plan(*tapes, strategy="s, input: dict, hears: [trades, quotes]")
    await run_of(plan, s=Script(*[lambda market, state: shown.append(market)] * 2))
    at = [{"ts": START + n * MS, "ts_venue": START + n * MS, "venue": VENUE, "symbol": "X"} for n in (5, 10)]
    quote = {**at[0], "bid": 99.0, "bid_qty": 1.0, "ask": 101.0, "ask_qty": 1.0}
    trade = {**at[1], "price": 100.0, "qty": 1.0, "side": "buy"}
    assert shown[0]["quote"] == quote and shown[0]["last_trade"] is None
    assert shown[1]["quote"] == quote and shown[1]["last_trade"] == trade
    assert shown[1]["book"]["mid"] == 100.0


# --- prices ---------------------------------------------------------------------------------------------------------


async def test_positions_are_marked_at_the_last_trade_that_was_heard() -> None:
    """Bought with the first print, at whatever price p; with the last its profit is 102.5 - p on each unit."""
    states: list[Any] = []
    look = [lambda market, state: states.append((state.qty, state.entry_price, state.unrealized_pnl))] * 2
    await run_of(tick_plan(PRINTS), s=Script({"side": "buy", "qty": 1}, *look))
    qty, entry, profit = states[-1]
    assert qty > 0 and profit == pytest.approx(qty * (102.5 - entry))


async def test_a_price_that_nobody_hears_is_looked_up_in_the_book_before_a_timers_call() -> None:
    """Middles: 100 at 100, 100.5 at 200, 95.5 at 300. Bought 1 at the ask, 101, on the first call."""
    states: list[Any] = []
    look = [lambda market, state: states.append((state.entry_price, state.unrealized_pnl, state.equity))] * 3
    plan = tick_plan(BOOK, strategy="s, timer: 100ms")
    done = await run_of(plan, s=Script({"side": "buy", "qty": 1}, *look))
    assert states == [(101.0, -0.5, 9999.5), (101.0, -5.5, 9994.5), (101.0, -5.5, 9994.5)]
    curve = done.run.recorder.finish(START + 430 * MS)
    assert curve.floats("equity").tolist()[-1] == 9994.5


FALLING = trades((10, "100"), (240, "95"), (300, "94"))


@pytest.mark.parametrize(
    ("tapes", "strategy", "at"),
    [
        # 5 bought at the ask, 101: 20 of 10,000 are lost at 97. The book's middle is 95.5 from 250 on.
        ((BOOK,), "s, timer: 100ms", 300),
        ((BOOK, FALLING), "s, hears: [trades]", 240),
    ],
)
async def test_a_drawdown_is_followed_on_prices_that_are_looked_up_and_on_those_of_ticks(
    tapes: tuple[Tape, ...], strategy: str, at: float
) -> None:
    plan = tick_plan(*tapes, strategy=strategy, more="risk: {max_drawdown: '0.002'}\n")
    done = await run_of(plan, kinds=(TradingHalted,), s=Script({"side": "buy", "qty": 5}))
    assert [ms(event.ts) for event in done.events] == [at]


async def test_paper_plays_the_same_ticks_and_books() -> None:
    """A market maker's day of half a second: every order event is the same through the live door."""
    lines = "{latency: {kind: constant, entry_ms: 20, response_ms: 10, feed_ms: 5}}"
    plan = tick_plan(BOOK, PRINTS, strategy="s, timer: 100ms", simulation=lines)
    bid = {"side": "buy", "qty": 1, "price": 99.5, "post_only": True, "id": "a"}
    answers = [bid, {"side": "sell", "qty": 2}, {"cancel": True}]
    backtest, paper = [await record(plan, mode, strategies={"s": Script(*answers)}) for mode in MODES]
    result = compare(backtest, paper)
    assert result.equal, result.text()
    assert len(backtest.events) >= 6


@pytest.mark.parametrize("mode", MODES)
async def test_the_last_nanosecond_has_the_order_of_every_other_though_nobody_hears_its_rows(mode: Any) -> None:
    """Two prints at 600 ms fill a bid each: both fills are heard before anything is sent because of the first, the stop
    of its bracket. The strategy hears the book alone, which said its last at 430 ms."""
    prints = trades((600, "97.5"), (600, "96.5"), side="sell")
    bids = [
        {"side": "buy", "qty": 1, "price": 98, "stop_loss": 90},
        {"side": "buy", "qty": 1, "price": 97},
    ]
    events = (
        await record(tick_plan(BOOK, prints, strategy="s, hears: [depth]"), mode, strategies={"s": Script(bids)})
    ).events
    last = [type(event) for event in events if ms(event.ts) == 600 and isinstance(event, OrderEvent)]
    assert last == [OrderFilled, OrderFilled, OrderSubmitted, OrderAccepted]


# --- failing --------------------------------------------------------------------------------------------------------


async def test_an_error_on_a_tick_names_the_tick() -> None:
    with pytest.raises(StrategyError, match=r"00:00:00Z \(call 2, X TradeTick\)"):
        await run_of(tick_plan(PRINTS), s=Script(None, lambda market, state: 1 / 0))


async def test_a_warm_up_of_bars_that_never_come_is_refused_before_the_run() -> None:
    with pytest.raises(UsageError, match="it wants 3 closed bars before its first call and hears none"):
        await run_of(tick_plan(PRINTS), s=Script(warmup=3))


async def test_a_look_at_a_book_that_the_run_does_not_have_says_what_is_missing() -> None:
    with pytest.raises(StrategyError, match="this run has no book of X: give `data` its depth or its quotes"):
        await run_of(tick_plan(PRINTS), s=Script(lambda market, state: market.book))
