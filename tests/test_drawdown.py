"""The drawdown limit against the equity worked out anew at every price."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.account.drawdown import Drawdown
from core.account.equity_mirror import EquityMirror
from core.bus import Bus
from core.events import Bar, OrderFilled, TradeTick
from core.portfolio import Portfolio
from tests.test_portfolio import LINEAR, fill

D = Decimal
START, MOST = D(1000), D("0.1")
MOVES = st.lists(st.one_of(st.integers(60, 140), st.tuples(st.integers(-8, 8).filter(bool), st.integers(60, 140))))
"""A price of X, or a fill of so many X at a price; each fill costs a fee of 1."""


class Desk:
    """A portfolio and the limit on one bus, in the order of the house; prices are bars or trades."""

    def __init__(self, kind: type[Bar] | type[TradeTick] = Bar) -> None:
        self.kind = kind
        self.bus = Bus()
        self.portfolio = Portfolio({("v", "X"): LINEAR}, {("v", "USDT"): START}, self.bus.publish)
        self.told: list[int] = []
        drawdown = Drawdown(
            EquityMirror(self.portfolio, "USDT"), self.portfolio, MOST, lambda ts, _: self.told.append(ts)
        )
        self.bus.subscribe(kind, self.portfolio.keep_newest)
        self.bus.subscribe(OrderFilled, self.portfolio.on_fill)
        self.prices = self.bus.subscribe(kind, drawdown.on_bar if kind is Bar else drawdown.on_trade)
        drawdown.hear(self.prices)
        self.bus.subscribe(OrderFilled, drawdown.on_change)

    async def price(self, ts: int, price: float) -> None:
        bar, trade = (
            Bar(ts, ts, "v", "X", 60, price, price, price, price, 1.0),
            TradeTick(ts, ts, "v", "X", price, 1.0, "buy"),
        )
        await self.bus.drain([bar if self.kind is Bar else trade])

    async def trade(self, ts: int, qty: int, price: int) -> None:
        side = "buy" if qty > 0 else "sell"
        await self.bus.drain([fill(side, str(abs(qty)), str(price), fee="1", ts=ts)])


@given(MOVES, st.sampled_from([Bar, TradeTick]))
@settings(max_examples=300, deadline=None)
async def test_it_is_told_at_the_first_price_at_which_a_tenth_of_the_peak_is_lost(moves: list, kind: type) -> None:
    """Equity = 1000 - sum of signed price x qty - fees + held x price; the peak counts from the start, at prices."""
    desk, cash, held, peak, lost = Desk(kind), START, 0, START, []
    for ts, move in enumerate(moves):
        if isinstance(move, tuple):
            qty, price = move
            cash, held = cash - qty * price - 1, held + qty
            await desk.trade(ts, qty, price)
            continue
        equity = cash + held * move
        peak = max(peak, equity)
        assume(abs(equity - peak * (1 - MOST)) > D("1e-6"))
        if equity < peak * (1 - MOST):
            lost.append(ts)
        await desk.price(ts, float(move))
    assert desk.told[:1] == lost[:1]


async def test_prices_are_not_heard_while_nothing_is_held_and_nothing_is_lost() -> None:
    """Bought at 100 and sold at 100 for a fee of 1 each: 998, between the floor of 900 and the peak of 1000."""
    desk = Desk()
    await desk.price(1, 100.0)
    await desk.trade(2, 1, 100)
    assert desk.prices.awake
    await desk.trade(3, -1, 100)
    assert not desk.prices.awake


async def test_a_loss_that_is_realized_between_two_prices_is_told_at_the_next() -> None:
    """5 bought at 120 and sold at 98: 1000 - 110 - 2 = 888, below 900 without a price that showed it."""
    desk = Desk()
    await desk.price(1, 120.0)
    await desk.trade(2, 5, 120)
    await desk.trade(3, -5, 98)
    assert desk.told == []
    await desk.price(4, 98.0)
    assert desk.told == [4]
    assert not desk.prices.awake


async def test_the_peak_is_the_highest_equity_at_any_price() -> None:
    """5 bought at 100 for a fee of 1: 1019 at 104, of which nine tenths are 917.1; 914 at 83 is less."""
    desk = Desk()
    await desk.price(1, 100.0)
    await desk.trade(2, 5, 100)
    for ts, price in enumerate((104.0, 84.0, 83.0), 3):
        await desk.price(ts, price)
    assert desk.told == [5]
