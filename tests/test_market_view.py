"""What a strategy sees: windows equal to slices of a plain list, read-only, and never anything newer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import Bar
from core.market_view import FIELDS, MarketView, SymbolView
from core.orders import OrderStatus
from tiny_run import MINUTE, START, Script, flat, plan_of, run_of


def bar(number: int, symbol: str = "X") -> Bar:
    """Bar `number`: every field tells which one it is."""
    close_at = START + (number + 1) * MINUTE
    return Bar(close_at, close_at, "v", symbol, MINUTE, number + 0.1, number + 0.4, number - 0.2, number + 0.3,
               float(number))  # fmt: skip


def expected(bars: list[Bar], window: int) -> dict[str, list[float]]:
    shown = bars[-window:]
    rows = {name: [getattr(one, name) for one in shown] for name in FIELDS[1:]}
    return {"time": [one.ts_venue - one.interval_ns for one in shown], **rows}


def memory_behind(array: Any) -> Any:
    """The whole array that a window is a part of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


@settings(max_examples=60)
@given(st.integers(1, 40), st.lists(st.integers(0, 90), min_size=1, max_size=60))
def test_windows_are_the_last_bars_of_a_plain_list_however_they_are_pushed(window: int, pushes: list[int]) -> None:
    """Some bars, a look, some more bars, a look: up to thousands of bars and every way round the buffer."""
    view, bars = SymbolView("X", window), list[Bar]()
    for count in pushes:
        for _ in range(count):
            one = bar(len(bars))
            view.push(one)
            bars.append(one)
        for name, values in expected(bars, window).items():
            assert getattr(view, name).tolist() == values, name


@pytest.mark.parametrize("name", FIELDS)
def test_windows_are_read_only(name: str) -> None:
    view = SymbolView("X", 5)
    for number in range(7):
        view.push(bar(number))
    column = getattr(view, name)
    with pytest.raises(ValueError, match="read-only"):
        column[-1] = 1
    with pytest.raises(AttributeError):
        setattr(view, name, np.zeros(5))


def test_nothing_newer_than_the_last_bar_is_in_the_memory_behind_a_window() -> None:
    """After each push, whatever the array is a view of holds no number of a bar that has not come yet."""
    view = SymbolView("X", 10)
    for number in range(200):
        view.push(bar(number))
        assert memory_behind(view.close).max() <= number + 0.4


@pytest.mark.parametrize("name", FIELDS)
def test_what_lies_behind_a_window_cannot_be_made_writable(name: str) -> None:
    view = SymbolView("X", 5)
    view.push(bar(0))
    for array in (getattr(view, name), memory_behind(getattr(view, name))):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


@pytest.mark.parametrize("looks_every", [1, 3, 10, 25])
def test_a_window_that_is_kept_stays_as_it_was(looks_every: int) -> None:
    """Over 200 bars, many times round the memory of a window of 10; looked at with each bar, or late."""
    view, kept = SymbolView("X", 10), []
    for number in range(200):
        view.push(bar(number))
        if number % looks_every == 0:
            kept.append((number, view.close, view.time))
    for number, close, time in kept:
        shown = range(max(0, number - 9), number + 1)
        assert close.tolist() == [n + 0.3 for n in shown]
        assert time.tolist() == [START + n * MINUTE for n in shown]


def test_a_frame_is_indexed_by_open_time_and_is_a_copy() -> None:
    """Design section 6: bar 0 of START opens at START."""
    view = SymbolView("X", 3)
    for number in range(5):
        view.push(bar(number))
    frame = view.frame()
    assert [stamp.value for stamp in frame.index] == [START + n * MINUTE for n in (2, 3, 4)]
    assert str(frame.index.tz) == "UTC" and list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert frame["close"].tolist() == [2.3, 3.3, 4.3]
    frame.loc[:, "close"] = 0.0
    assert view.close.tolist() == [2.3, 3.3, 4.3]


def test_a_plain_dict_holds_copies() -> None:
    view = SymbolView("X", 2)
    for number in range(3):
        view.push(bar(number))
    plain = view.plain()
    plain["close"][:] = 0.0
    assert plain["symbol"] == "X" and view.close.tolist() == [1.3, 2.3]


def test_an_empty_window_has_length_zero() -> None:
    assert len(SymbolView("X", 5).close) == 0 and len(SymbolView("X", 5).frame()) == 0


def test_a_market_view_reads_like_a_mapping_and_like_an_object() -> None:
    views = {name: SymbolView(name, 4) for name in ("X", "Y")}
    market = MarketView(views)
    for number in range(6):
        for name, view in views.items():
            view.bar = bar(number, name)
            view.push(view.bar)
    market.show(views["Y"])
    assert (list(market), len(market), "X" in market, "Z" in market) == (["X", "Y"], 2, True, False)
    assert market["X"] is views["X"] and market.get("Z") is None
    assert market["close"].tolist() == market.close.tolist() == [2.3, 3.3, 4.3, 5.3]
    assert market.symbol == market["symbol"] == "Y"
    assert market.bar is views["Y"].bar
    with pytest.raises(KeyError, match="'Z': this strategy sees X, Y"):
        market["Z"]


class Peeker:
    """Looks everywhere it can for something later than now."""

    warmup = 0

    def __init__(self) -> None:
        self.newest: list[tuple[int, int]] = []

    def generate_signals(self, market_data: Any, position_state: Any) -> None:
        times = [int(market_data.time[-1]) + MINUTE, market_data.bar.ts, market_data.bar.ts_venue]
        times.append(int(memory_behind(market_data.time).max()) + MINUTE)
        self.newest.append((max(times), market_data.now))
        for name in ("_feed", "feed", "tape", "_tape", "_rows"):
            assert not hasattr(market_data, name)
        with pytest.raises(IndexError):
            market_data.close[len(market_data.close)]


async def test_a_strategy_that_looks_for_the_future_finds_nothing_later_than_now() -> None:
    """Promise 5 of the issue, over 700 bars: past the window of 500 and the end of the buffer."""
    peeker = Peeker()
    await run_of(plan_of({"X": flat(*[str(100 + n % 7) for n in range(700)])}), s=peeker)
    assert len(peeker.newest) == 700
    assert all(newest == now == START + (n + 1) * MINUTE for n, (newest, now) in enumerate(peeker.newest))


async def test_position_state_shows_the_book_at_the_last_known_price() -> None:
    """2 bought at 100, last price 101.5, 5x: 3 unrealized, exposure 203 over 10003; isolated, 10000 - 40 are free."""
    seen: list[Any] = []

    def look(market: Any, state: Any) -> Any:
        seen.append({name: state[name] for name in state})
        return [{"side": "sell", "qty": 1, "price": 200, "tag": "exit"}]

    rows = [*flat("100", "100"), ("100", "101.5", "100", "101.5", "1000"), *flat("101.5", "101.5")]
    await run_of(plan_of({"X": rows}), s=Script({"side": "buy", "qty": 2}, None, look, look))
    first, second = seen
    assert (first["qty"], first["entry_price"], first["unrealized_pnl"], first["realized_pnl"]) == (
        2.0,
        100.0,
        3.0,
        0.0,
    )
    assert (first["equity"], first["cash"], first["free_margin"]) == (10003.0, 10000.0, 9960.0)
    assert first["leverage"] == 203 / 10003 and first["fees"] == first["funding_paid"] == 0.0
    # The sale waits at 200; it closes what is held, so it binds nothing.
    assert first["margin_used"] == second["margin_used"] == 40.0
    assert first["open_orders"] == [] and [o.terms.tag for o in second["open_orders"]] == ["exit"]


async def test_position_state_of_another_symbol_is_found_by_name_and_a_wrong_one_is_named() -> None:
    def look(market: Any, state: Any) -> None:
        assert state["Y"].symbol == "Y" and state.symbol == "X" and "Y" in state and state.get("Z") is None
        assert state.entry_price is None and state.qty == 0.0
        with pytest.raises(KeyError, match="'Z': known are symbol, qty"):
            state["Z"]

    script = Script(look, look)
    await run_of(plan_of({"X": flat("1", "1"), "Y": flat("2", "2")}), s=script)
    assert len(script.calls) == 2


async def test_open_orders_are_copies_with_what_an_order_knows() -> None:
    """A strategy that writes into one changes nothing: the order is canceled by its tag all the same."""
    seen: list[Any] = []

    def spoil(market: Any, state: Any) -> Any:
        (order,) = state.open_orders
        seen.append((order.tag, order.side, order.type, order.price, order.qty, order.filled, order.leaves,
                     order.status, order.is_open, order.pending_cancel, order.pending_amend,
                     order.average_price))  # fmt: skip
        order.qty, order.pending_cancel, order.status = Decimal(0), True, OrderStatus.FILLED
        return {"cancel": "exit"}

    wish = {"side": "buy", "qty": 2, "price": 90, "tag": "exit"}
    done = await run_of(plan_of({"X": flat(*["100"] * 5)}), s=Script(wish, spoil))
    assert seen == [("exit", "buy", "limit", 90, 2, 0, 2, "accepted", True, False, False, None)]
    assert [order.status for order in done.run.working.all.values()] == [OrderStatus.CANCELED]
