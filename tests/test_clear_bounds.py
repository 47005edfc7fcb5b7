"""One look instead of seven: what is within the clear bounds of a symbol passes all filters asked one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from adapters.venues import VENUES, load_rules
from core.instruments import Instrument
from core.market.price_filters import PercentPrice
from core.orders import OrderTerms
from sim.order_entry.clear_bounds import ClearBounds
from sim.order_entry.validation import Known, first_failure

D = Decimal
RULES = {name: load_rules(name) for name in VENUES}
STEPS = ["0.001", "0.005", "0.01", "0.03"]
FILTERS: dict[str, list[str]] = {
    "min_price": ["0.5", "10", "12.3"],
    "max_price": ["90", "200"],
    "min_qty": ["0.002", "0.01"],
    "max_qty": ["0.5", "50"],
    "market_min_qty": ["0.02", "0.07"],
    "market_max_qty": ["0.1", "20"],
    "market_step": ["0.002", "0.02"],
    "min_notional": ["1", "5"],
    "max_notional": ["20", "1000"],
}


def instrument(venue: str, **filters: Any) -> Instrument:
    """Tick 0.5, step 0.001, one and three decimals, and the filters given."""
    spec = {"tick": D("0.5"), "step": D("0.001"), **filters}
    kind = RULES[venue].kind
    return Instrument(
        venue=venue, symbol="X", base="X", quote="USDT", kind=kind, price_precision=1, quantity_precision=3, **spec
    )


def terms(**more: Any) -> OrderTerms:
    given: dict[str, Any] = {"side": "buy", "type": "limit", "qty": D(1), "position_side": "net", **more}
    return OrderTerms(id="a", venue="v", symbol="X", strategy="s", session="main", **given)


def optional(values: list[str]) -> st.SearchStrategy[Decimal | None]:
    return st.none() | st.sampled_from([D(value) for value in values])


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    venue = draw(st.sampled_from(sorted(VENUES)))
    filters: dict[str, Any] = {name: draw(optional(values)) for name, values in FILTERS.items()}
    filters["tick"] = draw(st.sampled_from([D("0.1"), D("0.3"), D("0.5")]))
    filters["step"] = D(draw(st.sampled_from(STEPS)))
    if draw(st.booleans()):
        filters["percent_price"] = PercentPrice(up=D("1.1"), down=D("0.8"))
    return instrument(venue, **filters)


@st.composite
def orders(draw: st.DrawFn) -> tuple[OrderTerms, Decimal | None, Decimal | None]:
    """An order, the venue's reference price, the best price of the other side."""
    kind = draw(st.sampled_from(["limit", "market", "stop_market"]))
    grid = draw(st.sampled_from([D("0.5"), D("1.5"), D("0.05")]))
    price = draw(st.integers(0, 130)) * grid if kind == "limit" else None
    order = terms(
        side=draw(st.sampled_from(["buy", "sell"])),
        type=kind,
        qty=draw(st.integers(0, 500)) * draw(st.sampled_from([D("0.01"), D("0.03"), D("0.0005")])),
        price=price,
        reduce_only=draw(st.booleans()),
        trigger_price=D(50) if kind == "stop_market" else None,
    )
    return order, draw(optional(["40", "100"])), draw(optional(["75", "105", "111"]))


@settings(max_examples=300, deadline=None)
@given(instruments(), orders())
def test_what_is_within_the_clear_bounds_passes_every_filter(
    instrument: Instrument, given: tuple[OrderTerms, Decimal | None, Decimal | None]
) -> None:
    order, reference, best = given
    rules = RULES[instrument.venue]
    is_clear = ClearBounds(instrument, rules).hold(order, order.price, reference, best)
    event(f"clear: {is_clear}")
    if is_clear:
        assert first_failure(order, instrument, rules, Known(False, order.price, reference, best)) is None


@pytest.mark.parametrize("venue", sorted(VENUES))
@pytest.mark.parametrize(
    ("order", "is_clear"),
    [
        # limits: 10 to 90 on ticks of 0.5; lots: 0.01 to 5 on steps of 0.001; worth 5 to 400; 80 to 110 % of 60
        ({"price": D("60.5")}, True),
        ({"price": D("60.2")}, False),
        ({"price": D("47.5")}, False),  # below 48
        ({"price": D(48)}, True),
        ({"price": D(60), "qty": D("0.083")}, False),  # worth 4.98
        ({"price": D(60), "qty": D("0.084")}, True),  # 5.04
        ({"price": D(60), "qty": D("0.0845")}, False),
        ({"price": D(60), "qty": D(7)}, False),
        ({"type": "market", "qty": D("0.1")}, True),
        ({"type": "market", "qty": D("0.101")}, False),  # a market order's step is 0.002
        ({"type": "market", "qty": D("3.002")}, False),  # and it has at most 3
        ({"type": "stop_market", "trigger_price": D(60)}, False),  # is looked at filter by filter
    ],
)
def test_each_bound_of_an_ordinary_order(venue: str, order: dict[str, Any], is_clear: bool) -> None:
    symbol = instrument(
        venue, min_price=D(10), max_price=D(90), min_qty=D("0.01"), max_qty=D(5), market_min_qty=D("0.02"),
        market_max_qty=D(3), market_step=D("0.002"), min_notional=D(5), max_notional=D(400),
        percent_price=PercentPrice(bid_up=D("1.1"), bid_down=D("0.8"), ask_up=D("1.1"), ask_down=D("0.8")),
    )  # fmt: skip
    one = terms(**order)
    assert ClearBounds(symbol, RULES[venue]).hold(one, one.price, D(60), D(60)) is is_clear


def test_what_only_reduces_may_be_worth_less_than_the_least_notional() -> None:
    """NOTIONAL exempts it on USD-M (venues.md section 2): 0.01 x 60 = 0.6."""
    bounds = ClearBounds(instrument("binance-usdm", min_notional=D(5)), RULES["binance-usdm"])
    small = {"price": D(60), "qty": D("0.01")}
    assert not bounds.hold(terms(**small), D(60), None, None)
    assert bounds.hold(terms(**small, reduce_only=True), D(60), None, None)


def test_steps_that_do_not_fit_into_each_other_leave_nothing_clear() -> None:
    """0.003 and 0.002: 0.006 is on both, and the filters say so one by one."""
    symbol = instrument("binance-spot", step=D("0.003"), market_step=D("0.002"))
    order = terms(type="market", qty=D("0.006"))
    assert not ClearBounds(symbol, RULES["binance-spot"]).hold(order, None, None, None)
    assert first_failure(order, symbol, RULES["binance-spot"], Known(False, None, None, None)) is None
