"""The sum that spares an order the exact checks: it never changes what they would have said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.account.headroom import Headroom
from core.account.margin_needs import AccountMargin, VenueTerms
from core.commands import ProposeOrder, SubmitOrder
from core.events import Event, OrderAccepted, OrderDenied, OrderFilled, OrderSubmitted
from core.instruments import Instrument
from core.margin import Tier
from core.orders import Order, OrderTerms
from core.portfolio import Portfolio
from core.risk import Limits, RiskEngine
from core.working import WorkingOrders
from flat_fees import flat

D = Decimal
TIERS = (Tier(D(0), D("0.004"), D(50), D(0)), Tier(D(900), D("0.01"), D(5), D("5.4")))


def contract(symbol: str, kind: Any, taker: Decimal) -> Instrument:
    return Instrument(
        venue="v", symbol=symbol, tick=D("0.1"), step=D("0.001"), base=f"{symbol}B", quote="USDT", kind=kind,
        fees=flat(taker, taker),
    )  # fmt: skip


class Desk:
    """A gate over two contracts, each at 100, with 1000 in the wallet."""

    def __init__(
        self, limits: Limits, own: Limits, terms: dict[str, Any], kind: Any = "linear", taker: str = "0.001"
    ) -> None:
        instruments = {("v", name): contract(name, kind, D(taker)) for name in "XY"}
        self.told: list[Event] = []
        self.portfolio = Portfolio(instruments, {("v", "USDT"): D(1000)}, lambda _: None)
        self.portfolio.marks.update({("v", "X"): 100.0, ("v", "Y"): 100.0})
        self.working = WorkingOrders()
        venue = VenueTerms(name="venue", **terms)
        margin = AccountMargin(self.portfolio, self.working, instruments, {"v": venue}, lambda *_: D(taker))
        self.risk = RiskEngine(
            account=limits, strategies={"a": own, "b": Limits()}, portfolio=self.portfolio, working=self.working,
            currency="USDT", publish=self.told.append, margin=margin,
        )  # fmt: skip
        self.count = 0

    def order(self, strategy: str, symbol: str, side: Any, qty: str, price: str | None) -> str | None:
        """Why it was denied; None where it was sent, and then the venue has accepted it."""
        self.count += 1
        kind: Any = "market" if price is None else "limit"
        keys = ("v", symbol, "net", strategy, "main", f"o{self.count}")
        terms = OrderTerms(keys[5], *keys[:5], side, kind, D(qty), None if price is None else D(price))
        self.working.add(Order.of(terms, 0))
        self.told.clear()
        self.risk.on_order(ProposeOrder(0, terms))
        first = self.told[0]
        if type(first) is OrderDenied:
            self.working.on_event(first)
            return first.reason
        assert type(first) is SubmitOrder
        self.working.on_event(OrderSubmitted(0, None, *keys))
        self.working.on_event(OrderAccepted(0, 0, *keys, "v1"))
        return None

    def hold(self, strategy: str, symbol: str, side: Any, qty: str, price: str | None) -> None:
        """A position, as if filled before."""
        at = D(price or "100")
        self.portfolio.on_fill(
            OrderFilled(0, 0, "v", symbol, "net", strategy, "main", "old", "f", side, at, D(qty), "taker", "bar", D(0),
                        "USDT", at, D(0), "t", 0, 0)
        )  # fmt: skip


STEPS = st.tuples(
    st.sampled_from(["order", "order", "order", "hold", "price"]),
    st.sampled_from("ab"),
    st.sampled_from("XY"),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(["0.001", "0.5", "1", "2.5", "4.999", "5", "9.9", "10", "20", "25.001"]),
    st.sampled_from([None, "40", "99.9", "100", "100.1", "160"]),
)
LIMITS = st.just(Limits()) | st.builds(
    Limits,
    max_order_notional=st.sampled_from([None, D(250), D(500), D("990.01")]),
    max_position_notional=st.sampled_from([None, D(500), D(1000)]),
    max_leverage=st.sampled_from([None, D(1), D("2.5")]),
    price_collar=st.sampled_from([None, D("0.001")]),
    max_orders_per_minute=st.sampled_from([None, 3]),
)
TERMS = st.fixed_dictionaries(
    {
        "leverage": st.sampled_from([{}, {"": D(3)}, {"": D(20)}]),
        "order_margin": st.sampled_from(["notional", "notional_and_fees"]),
        "tiers": st.sampled_from([{}, {"X": TIERS}]),
        "cross": st.booleans(),
        "hedged": st.sampled_from([False, False, False, True]),
    }
)


@settings(max_examples=250, deadline=None)
@given(
    LIMITS,
    LIMITS,
    TERMS,
    st.sampled_from(["linear", "linear", "spot"]),
    st.sampled_from(["0.001", "-0.001", "0.02"]),
    st.lists(STEPS, min_size=2, max_size=14),
)
def test_with_it_and_without_it_every_order_has_the_same_answer(
    limits: Limits, own: Limits, terms: dict[str, Any], kind: str, taker: str, steps: list[Any]
) -> None:
    """The same story twice: as it is, and with every order judged by the exact checks."""
    with_sum, exact = (Desk(limits, own, terms, kind, taker) for _ in range(2))
    exact.risk._headroom.is_ample = lambda *_: False
    for what, strategy, symbol, side, qty, price in steps:
        if what == "price":
            for desk in (with_sum, exact):
                desk.portfolio.marks["v", symbol] = float(price or "100")
        elif what == "hold":
            for desk in (with_sum, exact):
                desk.hold(strategy, symbol, side, qty, price)
        else:
            answers = [desk.order(strategy, symbol, side, qty, price) for desk in (with_sum, exact)]
            assert answers[0] == answers[1]


# Rows: what is held and under way first, the order, and whether 1000 of equity and these limits are far from it:
# 100 is the price of X and Y, and everything counts, whatever its side.
SUMS: dict[str, tuple[list[tuple[str, str, str]], str, float, bool]] = {
    "alone, below": ([], "4.999", 500.0, True),
    "alone, at the limit": ([], "5", 500.0, False),
    "with what is under way": ([("order", "buy", "2")], "2.999", 500.0, True),
    "with what is under way, at the limit": ([("order", "buy", "2")], "3", 500.0, False),
    "what is held the other way counts as well": ([("hold", "sell", "2")], "3", 500.0, False),
    "far from the limit, and leverage 2 of 1000": ([], "19.99", 1e9, True),
    "far from the limit, and more than leverage 2 of 1000": ([], "20", 1e9, False),
}


@pytest.mark.parametrize("name", SUMS)
def test_the_sum_is_of_all_that_is_held_and_under_way_and_of_the_order(name: str) -> None:
    before, qty, most, ample = SUMS[name]
    desk = Desk(Limits(), Limits(), {"leverage": {"": D(50)}})
    for what, side, size in before:
        if what == "hold":
            desk.hold("b", "Y", side, size, "100")
        else:
            assert desk.order("b", "Y", side, size, "100") is None
    desk.risk._margin = None
    headroom: Headroom = desk.risk._headroom
    headroom._margin = None
    terms = OrderTerms("new", "v", "X", "net", "a", "main", "buy", "market", D(qty))
    assert headroom.is_ample(terms, D(qty), None, most, 2.0) is ample


def test_the_usual_order_is_spared_the_exact_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 x 100 where 5000 are allowed: nothing exact is asked."""
    desk = Desk(Limits(max_order_notional=D(5000), max_leverage=D(5)), Limits(), {"leverage": {"": D(5)}})
    asked: list[str] = []
    monkeypatch.setattr(desk.portfolio, "equity", lambda _: asked.append("equity"))
    assert desk.order("a", "X", "buy", "1", None) is None
    assert asked == []


def test_fees_that_are_held_beside_the_margin_are_never_below_the_sum() -> None:
    """9.9 x 100 at 1x with 2 % of fees need 990 + 19.80 to open and 0 to close at 0: 1009.80 of 1000."""
    desk = Desk(Limits(), Limits(), {"order_margin": "notional_and_fees"}, taker="0.02")
    assert "needs 1009.8 USDT free, 1000 are" in str(desk.order("a", "X", "buy", "9.9", "100"))


def test_at_the_end_of_a_bracket_the_exact_check_decides() -> None:
    """20x is allowed up to 900: 9 @ 100 are held, and the next 0.001 is too much, as small as it is."""
    desk = Desk(Limits(), Limits(), {"leverage": {"": D(20)}, "tiers": {"X": TIERS}})
    desk.hold("a", "X", "buy", "9", "100")
    assert "bracket ends at 900" in str(desk.order("a", "X", "buy", "0.001", None))
