"""The gate: each limit by its number, whose limit speaks first, and what always passes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.commands import AmendOrder, CancelOrder, ProposeAmend, ProposeCancel, ProposeOrder, SubmitOrder
from core.events import (
    AmendRejected,
    Bar,
    OrderAccepted,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
    StrategyFailed,
    TradingHalted,
    TradingResumed,
)
from core.instruments import Instrument
from core.orders import Order, OrderTerms
from core.portfolio import Portfolio
from core.risk import Limits, RiskEngine
from core.working import WorkingOrders

D = Decimal
MINUTE = 60_000_000_000
INSTRUMENTS = {
    ("v", name): Instrument(venue="v", symbol=name, tick=D("0.1"), step=D("0.001"), base=f"{name}B", quote="USDT")
    for name in "XY"
}


class Desk:
    """A risk engine over a real portfolio and real working orders; last price of X and Y is 100, equity 1000."""

    def __init__(self, account: Limits | None = None, a: Limits | None = None, b: Limits | None = None) -> None:
        self.told: list[Any] = []
        self.portfolio = Portfolio(INSTRUMENTS, {("v", "USDT"): D(1000)}, lambda event: None)
        self.working = WorkingOrders()
        self.risk = RiskEngine(
            account=account or Limits(), strategies={"a": a or Limits(), "b": b or Limits()}, portfolio=self.portfolio,
            working=self.working, currency="USDT", publish=self.told.append,
        )  # fmt: skip
        self.count = 0
        for symbol in "XY":
            self.price(100.0, symbol=symbol)

    def price(self, price: float, ts: int = 0, symbol: str = "X", *, only_bars: bool = True) -> None:
        bar = Bar(ts, ts, "v", symbol, MINUTE, price, price, price, price, 1.0)
        self.portfolio.on_bar(bar)
        (self.risk.drawdown.on_bar if only_bars else self.risk.drawdown.on_price)(bar)

    def hold(self, qty: str, strategy: str = "a", symbol: str = "X", price: str = "100") -> None:
        """A position, as if filled before."""
        side: Any = "buy" if D(qty) > 0 else "sell"
        fill = OrderFilled(0, 0, "v", symbol, "net", strategy, "main", "old", "f", side, D(price), abs(D(qty)), "taker",
                           "bar", D(0), "USDT", D(price), D(0), "t", 0, 0)  # fmt: skip
        self.portfolio.on_fill(fill)
        self.risk.drawdown.on_change(fill)

    def propose(
        self, side: Any, qty: str, price: str | None = None, *, strategy: str = "a", ts: int = 0, symbol: str = "X"
    ) -> str | None:
        """None where a command was made of it, else why it was denied."""
        self.count += 1
        kind: Any = "market" if price is None else "limit"
        terms = OrderTerms(f"o{self.count}", "v", symbol, "net", strategy, "main", side, kind, D(qty),
                           None if price is None else D(price))  # fmt: skip
        self.working.add(Order.of(terms, ts))
        self.told.clear()
        self.risk.on_order(ProposeOrder(ts, terms))
        if type(self.told[0]) is SubmitOrder:
            assert [type(e) for e in self.told] == [SubmitOrder, OrderSubmitted]
            self.working.on_event(self.told[1])
            return None
        (denied,) = (e for e in self.told if type(e) is OrderDenied)
        self.working.on_event(denied)
        return str(denied.reason)

    def order(self, number: int) -> Order:
        return self.working.all[f"o{number}"]

    def accept(self, number: int) -> Order:
        order = self.order(number)
        t = order.terms
        self.working.on_event(OrderAccepted(0, 0, t.venue, t.symbol, "net", t.strategy, "main", t.id, "v1"))
        return order

    def fill(self, number: int, qty: str, price: str = "100") -> None:
        t = self.order(number).terms
        one = OrderFilled(0, 0, "v", t.symbol, "net", t.strategy, "main", t.id, "f", t.side, D(price), D(qty), "maker",
                          "bar", D(0), "USDT", D(price), D(0), "t", 0, 0)  # fmt: skip
        self.working.on_event(one)
        self.portfolio.on_fill(one)

    def amend(self, number: int, *, price: str | None = None, qty: str | None = None) -> str | None:
        """None where the amend passed."""
        order = self.order(number)
        new_price = order.price if price is None else D(price)
        new_qty = order.qty if qty is None else D(qty)
        self.told.clear()
        self.risk.on_amend(ProposeAmend(0, order.terms, new_price, new_qty, new_qty > order.qty))
        if type(self.told[0]) is AmendOrder:
            assert (self.told[0].price, self.told[0].qty) == (new_price, new_qty)
            return None
        assert type(self.told[0]) is AmendRejected
        return str(self.told[0].message)


# Rows: limits, what is held, the order, what the denial must say. Each by one unit over, and the order one unit less
# passes: 100 is the last price, 1000 the equity.
Wished = tuple[str, str, str | None]
"""side, qty, limit price"""
BY_HOW_MUCH: dict[str, tuple[dict[str, Any], str, Wished, list[str], Wished]] = {
    "order notional, market": (
        {"max_order_notional": D(500)}, "0", ("buy", "5.001", None), ["500.1", "max_order_notional 500", "0.1"],
        ("buy", "5", None),
    ),
    "order notional, limit": (
        {"max_order_notional": D(500)}, "0", ("sell", "4", "125.1"), ["500.4", "max_order_notional 500", "0.4"],
        ("sell", "4", "125"),
    ),
    "position notional": (
        {"max_position_notional": D(500)}, "3", ("buy", "2.001", None), ["500.1", "max_position_notional 500", "0.1"],
        ("buy", "2", None),
    ),
    "position notional through zero": (
        {"max_position_notional": D(500)}, "3", ("sell", "8.001", None), ["500.1", "max_position_notional 500", "0.1"],
        ("sell", "8", None),
    ),
    "leverage": (
        {"max_leverage": D(2)}, "0", ("buy", "20.001", None), ["2000.1", "1000", "max_leverage", "2"],
        ("buy", "20", None),
    ),
    "collar above": (
        {"price_collar": D("0.05")}, "0", ("buy", "1", "105.1"), ["105.1", "0.0510", "100", "price_collar", "0.05"],
        ("buy", "1", "105"),
    ),
    "collar below": (
        {"price_collar": D("0.05")}, "0", ("sell", "1", "94.9"), ["94.9", "0.0510", "price_collar", "0.05"],
        ("sell", "1", "95"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HOW_MUCH)
@pytest.mark.parametrize("whose", ["account", "a"])
def test_each_limit_lets_its_number_pass_and_says_by_how_much_more_is_too_much(name: str, whose: str) -> None:
    limits, held, over, words, exactly = BY_HOW_MUCH[name]
    for order, passes in ((over, False), (exactly, True)):
        desk = Desk(**{whose: Limits(**limits)})
        if D(held):
            desk.hold(held)
        reason = desk.propose(*order)
        if passes:
            assert reason is None
        else:
            assert reason is not None and ("account:" if whose == "account" else "strategy a:") in reason
            assert all(word in reason for word in words), reason
            assert desk.risk.denied == 1


def test_what_is_under_way_counts_towards_the_position() -> None:
    """3 working and 2 more are 500; the next 0.001 is too much. The other side's orders do not count."""
    desk = Desk(Limits(max_position_notional=D(500)))
    assert desk.propose("buy", "3", "100") is None
    assert desk.propose("sell", "4", "100") is None
    assert desk.propose("buy", "2", "100") is None
    assert desk.propose("buy", "0.001", "100") is not None


def test_what_is_under_way_in_another_symbol_counts_towards_leverage() -> None:
    """Gross notional of all positions and of what is under way: 1500 of Y leave 500 of 2000 for X."""
    desk = Desk(Limits(max_leverage=D(2)))
    assert desk.propose("buy", "15", "100", symbol="Y") is None
    assert desk.propose("buy", "5.001", "100", symbol="X") is not None
    assert desk.propose("buy", "5", "100", symbol="X") is None


def test_a_strategys_limit_looks_at_its_own_book_and_the_accounts_at_the_net() -> None:
    """a holds 4, b holds -4: a may have 1 more of its 500, whatever b does; the account's net is 0."""
    desk = Desk(Limits(max_position_notional=D(200)), a=Limits(max_position_notional=D(500)))
    desk.hold("4", "a")
    desk.hold("-4", "b")
    assert "strategy a" in str(desk.propose("buy", "1.001"))
    assert desk.propose("buy", "1") is None
    assert "account" in str(desk.propose("buy", "1.001", strategy="b"))


def test_the_strategys_own_limits_speak_before_the_accounts() -> None:
    """Both are broken: the strategy's is named."""
    desk = Desk(Limits(max_order_notional=D(100)), a=Limits(max_order_notional=D(50)))
    assert str(desk.propose("buy", "2")).startswith("strategy a:")
    assert str(desk.propose("buy", "2", strategy="b")).startswith("account:")


def test_the_order_rate_counts_a_sliding_minute_and_only_what_was_sent() -> None:
    """2 a minute: a third at 59.999 s is refused and does not count, one at 60 s passes."""
    desk = Desk(Limits(max_orders_per_minute=2))
    assert desk.propose("buy", "1", ts=0) is None
    assert desk.propose("buy", "1", ts=30_000_000_000) is None
    reason = desk.propose("buy", "1", ts=MINUTE - 1)
    assert reason is not None and "2 orders in the last minute" in reason and "max_orders_per_minute" in reason
    assert desk.propose("buy", "1", ts=MINUTE) is None
    assert desk.propose("buy", "1", ts=MINUTE) is not None


def test_no_more_orders_are_remembered_than_a_minute_may_have() -> None:
    """Memory does not grow with the length of the run."""
    desk = Desk(Limits(max_orders_per_minute=3))
    for minute in range(50):
        assert desk.propose("buy", "0.001", ts=minute * MINUTE) is None
    (scope,) = desk.risk._account.scopes
    assert scope.sent is not None and list(scope.sent) == [47 * MINUTE, 48 * MINUTE, 49 * MINUTE]


HALTS: dict[str, Callable[[], Desk]] = {}


def halted_by(name: str) -> Callable[[Callable[[], Desk]], Callable[[], Desk]]:
    def remember(make: Callable[[], Desk]) -> Callable[[], Desk]:
        HALTS[name] = make
        return make

    return remember


@halted_by("a call")
def _halted() -> Desk:
    desk = Desk()
    desk.hold("5")
    desk.risk.halt(0, "account", "by hand")
    return desk


@halted_by("the kill switch of the account")
def _killed() -> Desk:
    desk = Desk(Limits(kill_switch=True))
    desk.hold("5")
    return desk


@halted_by("the kill switch of the strategy")
def _strategy_killed() -> Desk:
    desk = Desk(a=Limits(kill_switch=True))
    desk.hold("5")
    return desk


@halted_by("the drawdown")
def _drawn_down() -> Desk:
    desk = Desk(Limits(max_drawdown=D("0.2")))
    desk.hold("5")
    desk.price(60.0, 1)  # 5 x -40 = -200 of 1000: exactly 20%
    return desk


@halted_by("a failed strategy")
def _failed() -> Desk:
    desk = Desk()
    desk.hold("5")
    desk.risk.on_strategy_failed(StrategyFailed(1, "a", "generate_signals", "x.py:1", "ZeroDivisionError"))
    return desk


@halted_by("the order rate")
def _over_rate() -> Desk:
    desk = Desk(Limits(max_orders_per_minute=1))
    desk.hold("5")
    assert desk.propose("buy", "0.001") is None
    return desk


@pytest.mark.parametrize("name", HALTS)
def test_while_halted_only_what_cannot_add_exposure_passes(name: str) -> None:
    """5 held: more is denied, less passes, through zero is denied, a cancel passes, an amend that grows does not."""
    desk = HALTS[name]()
    start = desk.count
    assert desk.propose("buy", "0.001") is not None
    assert desk.propose("sell", "5.001") is not None
    assert desk.propose("sell", "3", "150") is None
    assert desk.propose("sell", "2.001") is not None, "3 of the 5 are under way already"
    desk.accept(start + 3)
    desk.told.clear()
    desk.risk.on_cancel(ProposeCancel(0, desk.order(start + 3).terms))
    assert [type(e) for e in desk.told] == [CancelOrder]
    assert desk.amend(start + 3, qty="2") is None, "an amend that shrinks passes"
    assert desk.amend(start + 3, qty="5") is None, "5 of 5 still only reduce"
    assert desk.amend(start + 3, qty="5.001") is not None


def test_a_partly_filled_exit_may_still_be_moved_while_halted() -> None:
    """5 held, a sell of 5 of which 3 are filled: the 2 that are left only reduce."""
    desk = Desk()
    desk.hold("5")
    assert desk.propose("sell", "5", "110") is None
    desk.accept(1)
    desk.fill(1, "3", "110")
    desk.risk.halt(0, "account", "by hand")
    assert desk.amend(1, price="101") is None
    assert desk.amend(1, qty="5.001") is not None


def test_an_amend_is_judged_by_what_is_left_of_the_order() -> None:
    """4 of 5 filled: moving the last one makes 5 x 100, not 4 + 5."""
    desk = Desk(Limits(max_position_notional=D(500)))
    assert desk.propose("buy", "5", "100") is None
    desk.accept(1)
    desk.fill(1, "4")
    assert desk.amend(1, price="99") is None


def test_an_amend_that_grows_or_moves_is_checked_like_the_order_it_would_become() -> None:
    desk = Desk(Limits(max_order_notional=D(500), price_collar=D("0.05")))
    assert desk.propose("buy", "4", "100") is None
    desk.accept(1)
    assert "max_order_notional 500" in str(desk.amend(1, qty="5.001"))
    assert "price_collar" in str(desk.amend(1, price="105.1"))
    assert desk.amend(1, qty="5") is None
    assert desk.amend(1, qty="3") is None


def test_an_amend_back_to_the_first_price_is_a_move_like_any_other() -> None:
    """Placed at 100, moved to 52 as the market fell to 50: back to 100 is twice the last price."""
    desk = Desk(Limits(price_collar=D("0.05")))
    assert desk.propose("buy", "1", "100") is None
    order = desk.accept(1)
    order.price = D(52)
    desk.price(50.0, 1)
    assert "price_collar" in str(desk.amend(1, price="100"))


@pytest.mark.parametrize("error", [ValueError("x"), ZeroDivisionError("x"), KeyError("x"), RuntimeError("x")])
def test_a_check_that_raises_denies_and_says_so(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """P6: it must not fail open; what only reduces still passes."""
    desk = Desk(Limits(max_leverage=D(3)))
    desk.hold("5")

    def broken(currency: str) -> Decimal:
        raise error

    monkeypatch.setattr(desk.portfolio, "equity", broken)
    reason = desk.propose("buy", "25")  # 30 x 100 is exactly three times the equity: only the exact check can tell
    assert reason is not None and type(error).__name__ in reason and "denied" in reason
    assert desk.propose("sell", "1") is None


def test_without_a_price_a_size_cannot_be_judged() -> None:
    desk = Desk(Limits(max_order_notional=D(500)))
    desk.portfolio.marks.clear()
    assert "no price of X is known yet" in str(desk.propose("buy", "1"))
    assert desk.propose("buy", "1", "100") is None, "a limit order has its own price"


def test_the_drawdown_is_measured_from_the_peak_and_halts_once() -> None:
    """10 held from 100: peak 1100 at 110, floor 990 at 10%: 99.1 is above it, 99.0 is on it."""
    desk = Desk(Limits(max_drawdown=D("0.1")))
    desk.hold("10")
    told: list[str | None] = []
    for ts, price in enumerate((110.0, 99.1, 99.0, 90.0), start=1):
        desk.told.clear()
        desk.price(price, ts)
        told.append(desk.told[0].reason if desk.told else None)
    assert told[:2] == [None, None] and told[3] is None
    assert told[2] is not None and "990.00" in told[2] and "1100.00" in told[2] and "10.00%" in told[2]
    desk.price(200.0, 9)
    assert desk.propose("buy", "0.001") is not None, "latched: a new peak does not lift it"


def test_a_halt_is_lifted_by_an_explicit_call_only() -> None:
    desk = Desk()
    desk.risk.halt(1, "a", "by hand")
    desk.risk.halt(2, "a", "again")
    desk.risk.resume(3, "a", "looked at")
    desk.risk.resume(4, "a", "twice")
    assert desk.told == [TradingHalted(1, "a", "by hand"), TradingResumed(3, "a", "looked at")]
    assert desk.propose("buy", "1") is None


def test_a_halted_strategy_does_not_halt_the_others() -> None:
    desk = Desk()
    desk.risk.halt(1, "a", "by hand")
    assert "halted for a: by hand" in str(desk.propose("buy", "1"))
    assert desk.propose("buy", "1", strategy="b") is None


def test_a_command_repeats_the_keys_of_the_order_it_was_made_of() -> None:
    desk = Desk()
    assert desk.propose("buy", "1", "100", strategy="b") is None
    command = desk.told[0]
    terms = desk.order(1).terms
    assert isinstance(command, SubmitOrder) and command.order is terms
    for key in ("venue", "symbol", "position_side", "strategy", "session"):
        assert getattr(command, key) == getattr(terms, key)
    assert command.order_id == terms.id
    assert msgspec.msgpack.encode(command)


@settings(max_examples=150)
@given(
    st.sampled_from(["2", "-2", "0.001", "-9"]),
    st.lists(st.integers(-30, 30), min_size=1, max_size=60),
    st.sampled_from(["0.0100003", "0.1000003", "0.5000003", "0.0000000013"]),
    st.booleans(),
)
def test_prices_that_are_passed_over_never_hide_a_halt(qty: str, moves: list[int], limit: str, only_bars: bool) -> None:
    """Against equity = 1000 + qty x (price - 100) and its highest value so far, looked at on every price of X.

    Those of Y, which nobody holds, come between and go all over the place.
    No limit is one that the equity could meet exactly: there the floats followed here and the decimals may differ.
    """
    desk = Desk(Limits(max_drawdown=D(limit)))
    desk.hold(qty)
    peak, price, halted = D(1000), D(100), None
    for ts, move in enumerate(moves, 1):
        price = max(D("0.1"), price + move * D("0.1"))
        equity = 1000 + D(qty) * (price - 100)
        peak = max(peak, equity)
        if halted is None and equity <= peak * (1 - D(limit)):
            halted = ts
        desk.price(float(price), ts=ts, only_bars=only_bars)
        desk.price(100.0 + (-1) ** ts * abs(move), ts=ts, symbol="Y", only_bars=only_bars)
    found = [event.ts for event in desk.told if isinstance(event, TradingHalted)]
    assert found == ([] if halted is None else [halted])
