"""Bars from trades: what one would make by hand, when they come out, and what no bar is made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.events import Bar, TradeTick
from core.market.bar_aggregator import BarAggregator

N = 100
"""Length of a bar in these tests, ns."""


def tick(at: int, price: float, qty: float = 1.0, ts: int | None = None) -> TradeTick:
    return TradeTick(at + 7 if ts is None else ts, at, "v", "X", price, qty, "buy")


def bars_of(*prints: TradeTick) -> list[Bar]:
    maker = BarAggregator(N)
    return [bar for one in prints for bar in maker.add_trade(one)]


def test_a_bar_has_the_first_highest_lowest_and_last_price_and_the_volume_of_its_trades() -> None:
    """[100, 200): 5, 9, 2, 4 with 1 + 2 + 3 + 4 = 10; it comes out with the print at 200, received at 207."""
    prints = [tick(100, 5, 1), tick(120, 9, 2), tick(150, 2, 3), tick(199, 4, 4), tick(200, 100, 5)]
    assert bars_of(*prints) == [Bar(207, 200, "v", "X", N, 5, 9, 2, 4, 10.0)]


def test_the_interval_the_trades_begin_in_is_cut_and_no_bar() -> None:
    assert [bar.ts_venue for bar in bars_of(tick(101, 1), tick(230, 2), tick(330, 3))] == [300]
    assert [bar.ts_venue for bar in bars_of(tick(100, 1), tick(230, 2), tick(330, 3))] == [200, 300]


def test_an_interval_without_trades_has_no_bar() -> None:
    """Nothing in [200, 500): one bar comes out with the print at 512, and it is the one before the silence."""
    assert bars_of(tick(100, 1), tick(512, 2)) == [Bar(519, 200, "v", "X", N, 1, 1, 1, 1, 1.0)]


def test_a_trade_that_is_received_after_its_bar_is_in_no_bar() -> None:
    late = tick(199, 99, 50, ts=300)
    first, second = bars_of(tick(100, 1), tick(210, 2), late, tick(300, 3))
    assert (first.high, second.high, second.volume) == (1, 2, 1.0)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=60))
def test_bars_of_trades_are_the_groups_of_a_plain_list(steps: list[tuple[int, int]]) -> None:
    """Group by interval; the last group is not over, and the first is whole only where it begins on its open."""
    at, prints = N, []
    for step, price in steps:
        at += step
        prints.append(tick(at, float(price), float(price)))
    groups: dict[int, list[TradeTick]] = {}
    for one in prints:
        groups.setdefault(one.ts_venue // N, []).append(one)
    numbers = sorted(groups)[:-1]
    if numbers and groups[numbers[0]][0].ts_venue % N:
        numbers = numbers[1:]
    expected = []
    for number in numbers:
        prices = [one.price for one in groups[number]]
        expected.append(((number + 1) * N, prices[0], max(prices), min(prices), prices[-1], sum(prices)))
    made = [(bar.ts_venue, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars_of(*prints)]
    assert made == expected
