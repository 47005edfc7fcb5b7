"""When strategies are called, what they are shown, and how their errors end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.errors import StrategyError, UsageError
from core.events import (
    Bar,
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    StrategyFailed,
    TradingHalted,
)
from core.hosting.loading import load_strategy
from tiny_run import MINUTE, SECOND, START, Row, Script, flat, plan_of, run_of

RISING = flat(*[str(100 + n) for n in range(10)])
"""Bar n stands at 100 + n."""


class Watcher(Script):
    """Remembers what it was shown at each call."""

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        self.seen.append((market_data.now - START, market_data.symbol, market_data.close.tolist(), market_data.missing))
        return super().generate_signals(market_data, position_state)


# --- warm-up and window ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "own", "first"),
    [
        ("s, warmup: 3", 0, 3),  # the config's word counts
        ("s", 4, 4),  # else the object's own
        ("s, warmup: 0", 5, 1),
        ("s, window: 6", None, 6),  # else a whole window
    ],
)
async def test_the_first_call_comes_with_the_warmups_last_bar(config: str, own: int | None, first: int) -> None:
    watcher = Watcher(warmup=own)
    done = await run_of(plan_of({"X": RISING}, strategies=(config,)), s=watcher)
    at, _, closes, _ = watcher.seen[0]
    assert at == first * MINUTE and closes == [100.0 + n for n in range(first)]
    assert len(watcher.seen) == 10 - first + 1
    assert done.run.host.strategies[0].started_at == START + first * MINUTE


async def test_at_most_a_window_of_closed_bars_is_shown() -> None:
    watcher = Watcher()
    await run_of(plan_of({"X": RISING}, strategies=("s, window: 4",)), s=watcher)
    assert [closes for _, _, closes, _ in watcher.seen][:2] == [[100.0], [100.0, 101.0]]
    assert all(len(closes) == min(n + 1, 4) for n, (_, _, closes, _) in enumerate(watcher.seen))
    assert watcher.seen[-1][2] == [106.0, 107.0, 108.0, 109.0]


async def test_bars_from_before_the_start_are_the_warm_up_and_nothing_else() -> None:
    """Start at 10:06 of 10 bars from 10:00: the call at the first bar of the run sees 3 of the past and itself."""
    watcher = Watcher(warmup=3)
    plan = plan_of({"X": RISING}, run=', start: "2025-01-01T00:06:00Z"')
    done = await run_of(plan, kinds=(Bar,), s=watcher)
    assert watcher.seen[0][0] == 7 * MINUTE and watcher.seen[0][2] == [103.0, 104.0, 105.0, 106.0]
    assert [bar.close for bar in done.events] == [106.0, 107.0, 108.0, 109.0]


async def test_what_is_shown_of_the_position_cannot_be_set() -> None:
    """Whoever tries it fails there, and not at what it would have believed afterwards."""

    def forge(name: str) -> Any:
        return lambda market, state: setattr(state, name, 5.0)

    for name in ("qty", "equity", "open_orders"):
        with pytest.raises(StrategyError, match=f"position_state is read-only: `{name}` cannot be set"):
            await run_of(plan_of({"X": RISING}), s=Script(forge(name)))


# --- signal interval ------------------------------------------------------------------------------------------------

MINUTES: list[Row] = [
    ("100", "103", "99", "101", "1"), ("101", "105", "100", "104", "2"), ("104", "104", "97", "98", "4"),
    ("98", "99", "90", "91", "8"), ("91", "95", "91", "94", "16"), ("94", "96", "93", "95", "32"),
    ("95", "96", "94", "95", "64"),
]  # fmt: skip


async def large_bars(rows: list[Row]) -> list[tuple[Any, ...]]:
    shown: list[tuple[Any, ...]] = []

    def look(market: Any, state: Any) -> None:
        b = market.bar
        shown.append((market.now - START, b.open_time - START, b.open, b.high, b.low, b.close, b.volume))

    await run_of(plan_of({"X": rows}, strategies=("s, signal_interval: 3m",)), s=Script(*[look] * 9))
    return shown


async def test_a_signal_interval_makes_the_bars_one_would_make_by_hand() -> None:
    """3 minutes: first open, highest, lowest, last close, summed volume; the third is not over."""
    assert await large_bars(MINUTES) == [
        (3 * MINUTE, 0, 100.0, 105.0, 97.0, 98.0, 7.0),
        (6 * MINUTE, 3 * MINUTE, 98.0, 99.0, 90.0, 95.0, 56.0),
    ]


async def test_a_hole_leaves_a_large_bar_with_what_there_is_and_comes_out_with_the_next_small_bar() -> None:
    """The third minute is missing: its bar is known to be over when the fourth closes."""
    rows = [*MINUTES[:2], None, *MINUTES[3:]]
    assert await large_bars(rows) == [
        (4 * MINUTE, 0, 100.0, 105.0, 99.0, 104.0, 3.0),
        (6 * MINUTE, 3 * MINUTE, 98.0, 99.0, 90.0, 95.0, 56.0),
    ]


async def test_a_large_bar_that_was_cut_at_its_front_is_not_shown() -> None:
    """The data begin one minute into a bar: that bar is no bar."""
    rows = [None, *MINUTES[1:]]
    assert await large_bars(rows) == [(6 * MINUTE, 3 * MINUTE, 98.0, 99.0, 90.0, 95.0, 56.0)]


async def test_the_warm_up_of_large_bars_is_whole_wherever_the_run_starts() -> None:
    """Start at 0:05, in the middle of the second large bar: warmed up with the first and called when it closes."""
    seen: list[Any] = []
    plan = plan_of(
        {"X": [*MINUTES, *MINUTES]},
        strategies=("s, signal_interval: 3m, warmup: 1",),
        run=', start: "2025-01-01T00:05:00Z"',
    )
    await run_of(plan, s=Script(lambda market, state: seen.append((market.now - START, market.volume.tolist()))))
    assert seen == [(6 * MINUTE, [7.0, 56.0])]


# --- several symbols ------------------------------------------------------------------------------------------------

TWO: dict[str, list[Row]] = {"X": flat("100", "101", "102", "103"), "Y": flat("200", "201", "202", "203")}
HOLED: dict[str, list[Row]] = {"X": TWO["X"], "Y": [*flat("200"), None, *flat("202", "203")]}


async def test_several_symbols_are_called_together_once_per_interval() -> None:
    """The default with several symbols: every call sees both, and plain attributes speak of the first."""
    watcher = Watcher()
    await run_of(plan_of(TWO), s=watcher)
    assert [(at, symbol, missing) for at, symbol, _, missing in watcher.seen] == [
        (n * MINUTE, "X", ()) for n in (1, 2, 3, 4)
    ]  # fmt: skip


@pytest.mark.parametrize("warmup", [1, 2, 3])
async def test_the_first_call_together_has_everyone_too(warmup: int) -> None:
    """The first symbol's bar of the interval in which the warm-up ends is not forgotten."""
    watcher = Watcher(warmup=warmup)
    await run_of(plan_of(TWO), s=watcher)
    assert [(at, missing) for at, _, _, missing in watcher.seen] == [
        (n * MINUTE, ()) for n in range(warmup, 5)
    ]  # fmt: skip


@pytest.mark.parametrize(("config", "late"), [("s", SECOND), ("s, together_ms: 250", SECOND // 4)])
async def test_who_does_not_come_is_named_after_together_ms(config: str, late: int) -> None:
    """Y has no second bar: the call comes 1000 ms (or 250) after X's, with Y missing and shown as it was."""
    seen: list[Any] = []

    def look(market: Any, state: Any) -> None:
        seen.append((market.now - START, market.missing, market["X"].close[-1], market["Y"].close[-1]))

    await run_of(plan_of(HOLED, strategies=(config,)), s=Script(*[look] * 9))
    assert seen == [
        (MINUTE, (), 100.0, 200.0),
        (2 * MINUTE + late, ("Y",), 101.0, 200.0),
        (3 * MINUTE, (), 102.0, 202.0),
        (4 * MINUTE, (), 103.0, 203.0),
    ]


async def test_an_interval_that_waits_longer_than_the_next_one_takes_is_called_before_it() -> None:
    """together_ms of two minutes: Y's second bar never comes, X's third ends the waiting and is not seen by it."""
    seen: list[Any] = []

    def look(market: Any, state: Any) -> None:
        seen.append((market.now - START, market.missing, market["X"].close[-1], market["Y"].close[-1]))

    await run_of(plan_of(HOLED, strategies=("s, together_ms: 120000",)), s=Script(*[look] * 9))
    assert seen == [
        (MINUTE, (), 100.0, 200.0),
        (3 * MINUTE, ("Y",), 101.0, 200.0),
        (3 * MINUTE, (), 102.0, 202.0),
        (4 * MINUTE, (), 103.0, 203.0),
    ]


@pytest.mark.parametrize("together_ms", [0, 1000, 60_000, 3_600_000])
async def test_there_is_one_call_per_interval_however_long_it_may_wait(together_ms: int) -> None:
    """Y misses every second minute of eight, and comes in the last."""
    rows = flat(*[str(200 + n) for n in range(8)])
    plan = plan_of(
        {"X": flat(*[str(100 + n) for n in range(8)]), "Y": [row if n % 2 else None for n, row in enumerate(rows)]},
        strategies=(f"s, together_ms: {together_ms}",),
    )
    seen: list[Any] = []
    await run_of(plan, s=Script(*[lambda market, state: seen.append((market["X"].close[-1], market.missing))] * 9))
    assert seen == [(100.0 + n, () if n % 2 else ("Y",)) for n in range(8)]


async def test_call_each_calls_for_every_bar_with_its_own_symbol_in_front() -> None:
    watcher = Watcher()
    await run_of(plan_of(HOLED, strategies=("s, call: each, warmup: 0",)), s=watcher)
    assert [(at // MINUTE, symbol, closes[-1]) for at, symbol, closes, _ in watcher.seen if closes] == [
        (1, "X", 100.0), (1, "Y", 200.0), (2, "X", 101.0), (3, "X", 102.0), (3, "Y", 202.0), (4, "X", 103.0),
        (4, "Y", 203.0),
    ]  # fmt: skip


@pytest.mark.parametrize("given", ["view", "pandas"])
async def test_a_strategy_of_one_symbol_neither_sees_nor_is_called_by_another_symbol_of_the_run(given: str) -> None:
    seen = []

    def look(market_data: Any, position_state: Any) -> None:
        closes = market_data.close
        seen.append((len(closes), float(closes[-1] if given == "view" else closes.iloc[-1])))

    rows = {"X": flat("100", "101", "102"), "Y": flat("7", "8", "9")}
    plan = plan_of(rows, strategies=[f"s, symbols: [X], input: {given}"])
    await run_of(plan, s=Script(look, look, look, look, look, look))
    assert seen == [(1, 100.0), (2, 101.0), (3, 102.0)]


@pytest.mark.parametrize("given", ["view", "pandas", "dict"])
async def test_an_answer_to_a_call_each_means_the_symbol_of_the_call(given: str) -> None:
    """Warm with both symbols' first bar, so the first call is Y's: its answer without a symbol buys Y."""
    plan = plan_of(TWO, strategies=(f"s, call: each, input: {given}",))
    done = await run_of(plan, s=Script({"side": "buy", "qty": 1}, warmup=1))
    assert [fill.symbol for fill in done.of(OrderFilled)] == ["Y"]


# --- forms of input -------------------------------------------------------------------------------------------------


class Keeper(Script):
    """Keeps whatever it is given."""

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        self.seen.append((market_data, position_state))
        return super().generate_signals(market_data, position_state)


async def test_input_pandas_gives_a_table_by_open_time_and_a_plain_dict() -> None:
    keeper = Keeper({"side": "buy", "qty": 1})
    await run_of(plan_of({"X": RISING}, strategies=("s, input: pandas",)), s=keeper)
    table, state = keeper.seen[2]
    assert isinstance(table, pd.DataFrame) and isinstance(state, dict)
    assert table["close"].tolist() == [100.0, 101.0, 102.0]
    assert table.index[-1] == pd.Timestamp("2025-01-01T00:02:00Z")
    assert (state["qty"], state["entry_price"]) == (1.0, 101.0)


async def test_input_dict_gives_arrays_and_a_plain_dict() -> None:
    keeper = Keeper()
    await run_of(plan_of({"X": RISING}, strategies=("s, input: dict, window: 2",)), s=keeper)
    market, state = keeper.seen[-1]
    assert type(market) is dict and type(state) is dict and state["equity"] == 10000.0
    assert market["symbol"] == "X" and market["close"].tolist() == [108.0, 109.0]
    assert market["time"].tolist() == [START + n * MINUTE for n in (8, 9)]


async def test_several_symbols_as_tables_come_by_name() -> None:
    keeper = Keeper()
    await run_of(plan_of(TWO, strategies=("s, input: pandas",)), s=keeper)
    tables, states = keeper.seen[-1]
    assert {name: table["close"].iloc[-1] for name, table in tables.items()} == {"X": 103.0, "Y": 203.0}
    assert set(states) == {"X", "Y"}


class AsyncBuyer(Script):
    async def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        self.calls.append(market_data.now)
        await asyncio.sleep(0)
        return {"side": "buy", "qty": 1} if len(self.calls) == 2 else None


async def test_an_async_strategy_is_awaited_and_time_stands_still_meanwhile() -> None:
    """Called at the second close, 0:02; filled there at 102, the third bar's open."""
    buyer = AsyncBuyer()
    done = await run_of(plan_of({"X": RISING}), s=buyer)
    (fill,) = done.of(OrderFilled)
    assert (fill.ts, float(fill.price)) == (START + 2 * MINUTE, 102.0) and len(buyer.calls) == 10


# --- events of its own ----------------------------------------------------------------------------------------------


async def test_on_event_hears_its_own_order_and_account_events_and_may_answer() -> None:
    """When the entry fills, the exit is placed at once: 1 sold for 105, heard by s and not by t."""
    heard: list[str] = []

    def on_event(event: Any) -> Any:
        heard.append(type(event).__name__)
        bought = type(event) is OrderFilled and event.side == "buy"
        return {"side": "sell", "qty": event.qty, "price": 105} if bought else None

    plan = plan_of({"X": RISING}, strategies=("s", "t"))
    done = await run_of(
        plan, s=Script({"side": "buy", "qty": 1}, on_event=on_event), t=Script({"side": "sell", "qty": 2})
    )
    (exit_,) = done.of(OrderFilled, strategy="s", side="sell")
    # Bars stand still and jump: 105 is strictly passed when the market opens at 106, and fills at its own price.
    assert (float(exit_.price), exit_.liquidity, exit_.ts) == (105.0, "maker", START + 6 * MINUTE)
    assert heard == [
        "OrderSubmitted", "OrderAccepted", "OrderFilled", "PositionChanged", "BalanceChanged",
        "OrderSubmitted", "OrderAccepted", "OrderFilled", "PositionChanged", "BalanceChanged", "PositionClosed",
    ]  # fmt: skip


async def test_an_answer_to_an_event_means_the_symbol_of_the_event() -> None:
    """With `call: each` Y's bar came last when X's fill is heard: the answer sells X."""

    def on_event(event: Any) -> Any:
        return {"side": "sell", "qty": 1} if type(event) is OrderFilled and event.side == "buy" else None

    script = Script(None, {"symbol": "X", "side": "buy", "qty": 1}, on_event=on_event)
    done = await run_of(plan_of(TWO, strategies=("s, call: each, warmup: 0",)), s=script)
    assert [(fill.symbol, fill.side) for fill in done.of(OrderFilled)] == [("X", "buy"), ("X", "sell")]


async def test_on_start_may_answer_and_on_stop_is_called_once_at_the_end() -> None:
    class Framed(Script):
        def on_start(self) -> Any:
            self.seen.append("start")
            return {"side": "buy", "qty": 1, "price": 50}

        def on_stop(self) -> Any:
            self.seen.append("stop")
            return {"side": "buy", "qty": 1}

    framed = Framed()
    done = await run_of(plan_of({"X": RISING}), s=framed)
    assert framed.seen == ["start", "stop"]
    (order,) = done.run.working.all.values()
    assert order.terms.price == 50, "what on_stop answers is not sent: the run is over"


# --- errors ---------------------------------------------------------------------------------------------------------


class Breaks(Script):
    """Rests an order, then divides by zero at its third call."""

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        super().generate_signals(market_data, position_state)
        if len(self.calls) == 3:
            return 1 / 0
        return {"side": "buy", "qty": 1, "price": 50} if len(self.calls) == 1 else None


async def test_an_error_ends_the_run_naming_strategy_moment_file_and_line() -> None:
    with pytest.raises(StrategyError) as caught:
        await run_of(plan_of({"X": RISING}), s=Breaks())
    error = caught.value
    assert (error.strategy, error.method, error.exit_code) == ("s", "generate_signals", 1)
    assert "2025-01-01 00:03:00Z" in error.moment and "X" in error.moment
    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "return 1 / 0" in text)
    assert f"test_strategy_host.py:{line}" in error.where and "return 1 / 0" in error.where
    assert "ZeroDivisionError: division by zero" in error.what
    assert isinstance(error.__cause__, ZeroDivisionError)


async def test_with_on_error_halt_its_orders_are_canceled_and_the_others_go_on() -> None:
    """s fails at 0:03; its bid is canceled then, it is never called again, it may not add risk; t trades on."""
    breaks, other = Breaks(), Script(None, None, None, None, {"side": "buy", "qty": 1})
    plan = plan_of({"X": RISING}, strategies=("s, on_error: halt", "t"))
    kinds = (StrategyFailed, TradingHalted, OrderCanceled, OrderFilled, OrderAccepted)
    done = await run_of(plan, kinds=kinds, s=breaks, t=other)
    at = START + 3 * MINUTE
    assert [(type(e), e.ts) for e in done.events if e.ts == at] == [
        (StrategyFailed, at), (TradingHalted, at), (OrderCanceled, at),
    ]  # fmt: skip
    assert len(breaks.calls) == 3 and len(other.calls) == 10
    assert [fill.strategy for fill in done.of(OrderFilled)] == ["t"]
    assert "s" in done.run.risk.halted and done.run.working.open_of("s") == []


async def test_nothing_of_a_bad_answer_is_sent() -> None:
    plan = plan_of({"X": RISING}, strategies=("s, on_error: halt",))
    answer = [{"side": "buy", "qty": 1}, {"side": "buy", "qty": float("nan")}]
    done = await run_of(plan, s=Script(answer), kinds=(StrategyFailed, OrderDenied, OrderAccepted))
    (failed,) = done.events
    assert isinstance(failed, StrategyFailed) and "`qty` is nan, expected a finite number" in failed.what


@pytest.mark.parametrize("method", ["on_event", "on_start", "on_stop"])
async def test_an_error_in_an_optional_method_meets_the_same_policy(method: str) -> None:
    def bad(*given: Any) -> None:
        raise KeyError("mine")

    script = Script({"side": "buy", "qty": 1})
    setattr(script, method, bad)
    with pytest.raises(StrategyError, match=f"failed in {method}") as caught:
        await run_of(plan_of({"X": RISING}), s=script)
    assert isinstance(caught.value.__cause__, KeyError)


# --- several strategies ---------------------------------------------------------------------------------------------


async def test_several_strategies_are_called_in_the_order_of_the_config_and_keep_their_own_books() -> None:
    order: list[str] = []

    def told(name: str) -> Any:
        return lambda market, state: order.append(name)

    plan = plan_of({"X": RISING}, strategies=("b", "a"))
    a = Script({"side": "buy", "qty": 2}, told("a"))
    done = await run_of(plan, a=a, b=Script({"side": "sell", "qty": 1}, told("b")))
    assert order == ["b", "a"]
    assert {book.strategy: float(book.qty) for book in done.run.portfolio.books.values()} == {"b": -1.0, "a": 2.0}


async def test_cancel_true_leaves_the_orders_of_others_alone() -> None:
    """And an order canceled twice is refused by the venue the second time, which changes nothing."""
    rest = {"side": "buy", "qty": 1, "price": 50, "tag": "x"}
    done = await run_of(
        plan_of({"X": RISING}, strategies=("a", "b")), a=Script(rest, {"cancel": True}), b=Script(rest, None)
    )
    assert [e.strategy for e in done.of(OrderCanceled)] == ["a"]
    assert done.of(CancelRejected) == [] and len(done.run.working.open_of("b")) == 1


# --- loading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("strategies.nothing:X", {}, "nothing.; modules are looked for in the folder the program is started in"),
        ("strategies.ema_cross:EmaCros", {}, "has no EmaCros; it has EmaCross"),
        ("strategies.ema_cross:EmaCross", {"fats": 3}, "unexpected keyword argument 'fats'"),
        ("strategies.ema_cross:EmaCross", {"fast": 20, "slow": 10}, "expected 0 < fast < slow"),
        ("core.ids:CountedIds", {"prefix": "x"}, "has no method generate_signals"),
        ("core.ids", {}, "the module has no function generate_signals"),
    ],
)
def test_a_strategy_that_cannot_be_loaded_is_explained_in_one_sentence(
    path: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_strategy(path, params)
    assert "\n" not in str(caught.value)
