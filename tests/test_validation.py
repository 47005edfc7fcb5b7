"""What a venue checks in an order's own terms: every filter as a row, by hand, with the venue's code and words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapters.venues import VENUES, load_rules
from core.instruments import Instrument, decimals_of
from core.market.price_filters import PercentPrice
from core.orders import OrderTerms
from sim.order_entry.combinations import Combinations
from sim.order_entry.validation import WIDER, Known, answer_of, first_failure, refused

D = Decimal
SPOT, USDM, LINEAR, BYBIT_SPOT = "binance-spot", "binance-usdm", "bybit-linear", "bybit-spot"
RULES = {name: load_rules(name) for name in VENUES}
GRID: dict[str, Any] = {"tick": D("0.5"), "step": D("0.005")}


def instrument(venue: str, **filters: Any) -> Instrument:
    """Tick 0.5 and step 0.005, one and three decimals, and the filters given."""
    spec = {**GRID, **filters}
    return Instrument(
        venue=venue,
        symbol="X",
        base="X",
        quote="USDT",
        kind=RULES[venue].kind,
        price_precision=spec.pop("price_precision", decimals_of(spec["tick"])),
        quantity_precision=spec.pop("quantity_precision", decimals_of(spec["step"])),
        **spec,
    )


def answer(venue: str, filters: dict[str, Any], order: dict[str, Any], known: dict[str, Any] | None = None) -> Any:
    """(code, message) of the refusal; None where the order passes."""
    given: dict[str, Any] = {"side": "buy", "type": "limit", "qty": D(1), "position_side": "net", "tif": None, **order}
    if given["type"] in ("limit", "stop_limit", "take_profit_limit"):
        given["tif"] = given["tif"] or "gtc"
    terms = OrderTerms(id="a", venue=venue, symbol="X", strategy="s", session="main", **given)
    given = {"client_id": "a", "hedged": False, "duplicate": False, "reference": D(100), "best": None, **(known or {})}
    given.setdefault("price", terms.price)
    rules, case = RULES[venue], Combinations(RULES[venue], hedged=given["hedged"]).wrong(terms, given["client_id"], 0)
    if case is not None:
        found = refused(rules, case)
    else:
        judged = Known(given["duplicate"], given["price"], given["reference"], given["best"])
        failure = first_failure(terms, instrument(venue, **filters), rules, judged)
        if failure is None:
            return None
        found = failure
    return found.code, found.message


FILTER = "Filter failure: "
PRICES = {"min_price": D(10), "max_price": D(200)}
SIZES = {"min_qty": D("0.01"), "max_qty": D(50)}
MARKET = {"market_min_qty": D("0.05"), "market_max_qty": D(20), "market_step": D("0.05")}
BANDS = {"percent_price": PercentPrice(up=D("1.1"), down=D("0.8"))}
"""Around the reference 100: 80 to 110."""
SIDED = {"percent_price": PercentPrice(bid_up=D("1.2"), bid_down=D("0.2"), ask_up=D(5), ask_down=D("0.8"))}


@pytest.mark.parametrize(
    ("venue", "filters", "order", "code", "message"),
    [
        # precision comes before the tick: 90.55 has two decimals of one, 90.2 has one and is off the grid of 0.5
        (SPOT, {}, {"price": D("90.55")}, -1111, "Parameter 'price' has too much precision."),
        (SPOT, {}, {"price": D("90.2")}, -1013, FILTER + "PRICE_FILTER"),
        (SPOT, {}, {"price": D(90), "qty": D("0.0055")}, -1111, "Parameter 'quantity' has too much precision."),
        (USDM, {}, {"price": D("90.55")}, -1111, "Precision is over the maximum defined for this asset."),
        (USDM, {}, {"price": D("90.2")}, -4014, "Price not increased by tick size."),
        (USDM, {"price_precision": 2}, {"price": D("90.55")}, -4014, "Price not increased by tick size."),
        (LINEAR, {}, {"price": D("90.55")}, 10001, "*"),
        (LINEAR, {}, {"price": D("90.2")}, 10001, "*"),
        (BYBIT_SPOT, {}, {"price": D("90.55")}, 170134, "*"),
        (BYBIT_SPOT, {}, {"price": D(90), "qty": D("0.0055")}, 170137, "*"),
        # PRICE_FILTER, of the trigger too; a USD-M grid is counted from the minimum: 10.3 + n x 0.5
        (SPOT, PRICES, {"price": D("9.5")}, -1013, FILTER + "PRICE_FILTER"),
        (SPOT, PRICES, {"price": D("200.5")}, -1013, FILTER + "PRICE_FILTER"),
        (SPOT, {}, {"type": "stop_market", "trigger_price": D("90.2")}, -1013, FILTER + "PRICE_FILTER"),
        (USDM, PRICES, {"price": D("9.5")}, -4013, "Price less than min price."),
        (USDM, PRICES, {"price": D("200.5")}, -4002, "Price greater than max price."),
        (USDM, {}, {"price": D("-1")}, -4001, "Price less than 0."),
        (USDM, PRICES, {"type": "stop_market", "trigger_price": D("200.5")}, -4007, "*"),
        (USDM, {"min_price": D("10.3")}, {"price": D(90)}, -4014, "Price not increased by tick size."),
        (USDM, {"min_price": D("10.3")}, {"price": D("90.3")}, None, ""),
        (SPOT, {"min_price": D("10.3")}, {"price": D("90.3")}, -1013, FILTER + "PRICE_FILTER"),
        (LINEAR, PRICES, {"price": D("200.5")}, 110003, "*"),
        (BYBIT_SPOT, PRICES, {"price": D("200.5")}, 170132, "Order price too high."),
        (BYBIT_SPOT, PRICES, {"price": D("9.5")}, 170133, "*"),
        # PERCENT_PRICE of reference 100: both sides on spot, one-sided on USD-M
        (SPOT, BANDS, {"price": D("110.5")}, -1013, FILTER + "PERCENT_PRICE"),
        (SPOT, BANDS, {"price": D("79.5")}, -1013, FILTER + "PERCENT_PRICE"),
        (SPOT, BANDS, {"price": D(110)}, None, ""),
        (SPOT, BANDS, {"price": D(80)}, None, ""),
        (SPOT, SIDED, {"price": D("120.5")}, -1013, FILTER + "PERCENT_PRICE_BY_SIDE"),
        (SPOT, SIDED, {"price": D("20")}, None, ""),
        (SPOT, SIDED, {"side": "sell", "price": D("79.5")}, -1013, FILTER + "PERCENT_PRICE_BY_SIDE"),
        (SPOT, SIDED, {"side": "sell", "price": D(500)}, None, ""),
        (USDM, BANDS, {"price": D("110.5")}, -4016, "Limit price can't be higher than 110."),
        (USDM, BANDS, {"price": D("79.5")}, None, ""),
        (USDM, BANDS, {"side": "sell", "price": D("79.5")}, -4024, "Limit price can't be lower than 80."),
        (USDM, BANDS, {"side": "sell", "price": D("110.5")}, None, ""),
        # LOT_SIZE; a USD-M grid is counted from the minimum: 0.012 + n x 0.005
        (SPOT, SIZES, {"price": D(90), "qty": D("0.005")}, -1013, FILTER + "LOT_SIZE"),
        (SPOT, SIZES, {"price": D(90), "qty": D("50.005")}, -1013, FILTER + "LOT_SIZE"),
        (SPOT, SIZES, {"price": D(90), "qty": D("1.003")}, -1013, FILTER + "LOT_SIZE"),
        (USDM, SIZES, {"price": D(90), "qty": D("0.005")}, -4004, "Quantity less than min quantity."),
        (USDM, SIZES, {"price": D(90), "qty": D("50.005")}, -4005, "Quantity greater than max quantity."),
        (USDM, SIZES, {"price": D(90), "qty": D("1.003")}, -4023, "Qty not increased by step size."),
        (USDM, {"min_qty": D("0.012")}, {"price": D(90), "qty": D("0.017")}, None, ""),
        (USDM, {"min_qty": D("0.012")}, {"price": D(90), "qty": D("0.015")}, -4023, "*"),
        (SPOT, {"min_qty": D("0.01")}, {"price": D(90), "qty": D("0.015")}, None, ""),
        (LINEAR, SIZES, {"price": D(90), "qty": D("0.005")}, 10001, "*minimum*"),
        (BYBIT_SPOT, SIZES, {"price": D(90), "qty": D("0.005")}, 170136, "*"),
        (BYBIT_SPOT, SIZES, {"price": D(90), "qty": D("50.005")}, 170137, "*"),
        # MARKET_LOT_SIZE binds market orders alone; a step of 0 is off
        (SPOT, MARKET, {"type": "market", "qty": D("20.05")}, -1013, FILTER + "MARKET_LOT_SIZE"),
        (SPOT, MARKET, {"type": "market", "qty": D("0.045")}, -1013, FILTER + "MARKET_LOT_SIZE"),
        (SPOT, MARKET, {"type": "market", "qty": D("1.005")}, -1013, FILTER + "MARKET_LOT_SIZE"),
        (SPOT, MARKET, {"price": D(90), "qty": D("20.05")}, None, ""),
        (SPOT, {"market_step": D(0)}, {"type": "market", "qty": D("1.005")}, None, ""),
        (USDM, MARKET, {"type": "market", "qty": D("20.05")}, -4005, "*"),
        # NOTIONAL: at the order's price, a market order at the reference of 100
        (SPOT, {"min_notional": D(5)}, {"price": D(90), "qty": D("0.055")}, -1013, FILTER + "NOTIONAL"),  # 4.95
        (SPOT, {"min_notional": D(5)}, {"type": "market", "qty": D("0.045")}, -1013, FILTER + "NOTIONAL"),  # 4.5
        (SPOT, {"min_notional": D(5)}, {"type": "market", "qty": D("0.05")}, None, ""),
        (SPOT, {"max_notional": D(1000)}, {"price": D(90), "qty": D("11.115")}, -1013, FILTER + "NOTIONAL"),  # 1000.35
        (
            USDM,
            {"min_notional": D(5)},
            {"price": D(90), "qty": D("0.055")},
            -4164,
            "Order's notional must be no smaller than 5 (unless you choose reduce only).",
        ),
        (USDM, {"min_notional": D(5)}, {"price": D(90), "qty": D("0.055"), "reduce_only": True}, None, ""),
        (LINEAR, {"min_notional": D(5)}, {"price": D(90), "qty": D("0.055")}, 110094, "*"),
        (BYBIT_SPOT, {"min_notional": D(5)}, {"price": D(90), "qty": D("0.055")}, 170140, "*"),
        (BYBIT_SPOT, {"max_notional": D(80)}, {"price": D(90)}, 170124, "Order amount too large."),
        (SPOT, {"min_notional": D(5)}, {"type": "market", "qty": D(0), "quote_qty": D("4.99")}, -1013, "*"),
        (SPOT, {"min_notional": D(5)}, {"type": "market", "qty": D(0), "quote_qty": D(5)}, None, ""),
    ],
)
def test_a_filter_refuses_what_lies_outside_of_it(
    venue: str, filters: dict[str, Any], order: dict[str, Any], code: int | None, message: str
) -> None:
    """venues.md sections 2 and 4; `*` stands for words that no stored source gives."""
    found = answer(venue, filters, order)
    assert (None if found is None else found[0]) == code
    if found is not None and "*" not in message:
        assert found[1] == message


@pytest.mark.parametrize(
    ("venue", "order", "code"),
    [
        (SPOT, {"price": D(90), "tif": "gtd", "good_till": 10**12}, -1115),
        (SPOT, {"price": D(90), "tif": "rpi"}, -1115),
        (SPOT, {"type": "market", "tif": "gtc"}, -1115),
        (SPOT, {"type": "market", "tif": "ioc"}, None),
        (SPOT, {"price": D(90), "post_only": True}, None),
        (SPOT, {"price": D(90), "post_only": True, "tif": "ioc"}, -1106),
        (SPOT, {"type": "market", "post_only": True}, -1106),
        (SPOT, {"type": "stop_limit", "price": D(90), "trigger_price": D(91), "post_only": True}, -2010),
        (SPOT, {"price": D(90), "reduce_only": True}, -1106),
        (SPOT, {"type": "stop_market", "qty": D(0), "trigger_price": D(90), "close_position": True}, -1106),
        (SPOT, {"type": "stop_market", "trigger_price": D(90), "trigger_by": "mark"}, -1106),
        (SPOT, {"price": D(90), "position_side": "long"}, -1106),
        (SPOT, {"type": "market", "slippage_tolerance_type": "ticks", "slippage_tolerance": D(3)}, -1106),
        (USDM, {"price": D(90), "tif": "rpi"}, None),
        # a good-till date, its milliseconds dropped, must be more than 600 s ahead of the engine's clock, which is at 0
        (USDM, {"price": D(90), "tif": "gtd", "good_till": 601 * 10**9 - 1}, -5040),
        (USDM, {"price": D(90), "tif": "gtd", "good_till": 601 * 10**9}, None),
        (USDM, {"type": "stop_limit", "price": D(90), "trigger_price": D(91), "post_only": True}, None),
        (USDM, {"type": "stop_market", "trigger_price": D(90), "trigger_by": "index"}, -4031),
        (USDM, {"type": "stop_market", "trigger_price": D(90), "trigger_by": "mark"}, None),
        (USDM, {"type": "stop_market", "qty": D(0), "trigger_price": D(90), "close_position": True}, None),
        (USDM, {"type": "stop_market", "trigger_price": D(90), "close_position": True}, -4137),
        (USDM, {"type": "market", "qty": D(0), "close_position": True}, -4136),
        (
            USDM,
            {"type": "stop_market", "qty": D(0), "trigger_price": D(9), "close_position": True, "reduce_only": True},
            -1106,
        ),
        (USDM, {"price": D(90), "position_side": "long"}, -4061),
        (USDM, {"price": D(90), "stp": "decrement"}, -5039),
        (SPOT, {"price": D(90), "stp": "decrement"}, None),
        (USDM, {"type": "market", "qty": D(0), "quote_qty": D(5)}, -1106),
        (BYBIT_SPOT, {"price": D(90), "tif": "gtd", "good_till": 10**12}, 170115),
        (LINEAR, {"price": D(90), "tif": "gtd", "good_till": 10**12}, 10001),
        (LINEAR, {"type": "stop_market", "trigger_price": D(90), "trigger_by": "index"}, None),
        (LINEAR, {"price": D(90), "stp": "transfer"}, 10001),
        (LINEAR, {"price": D(90), "position_side": "short"}, 10001),
        (LINEAR, {"type": "market", "slippage_tolerance_type": "ticks", "slippage_tolerance": D(10_000)}, None),
        (LINEAR, {"type": "market", "slippage_tolerance_type": "ticks", "slippage_tolerance": D(10_001)}, 110108),
        (LINEAR, {"type": "market", "slippage_tolerance_type": "ticks", "slippage_tolerance": D("1.5")}, 110108),
        (LINEAR, {"type": "market", "slippage_tolerance_type": "percent", "slippage_tolerance": D(10)}, None),
        (LINEAR, {"type": "market", "slippage_tolerance_type": "percent", "slippage_tolerance": D("10.01")}, 110109),
        (LINEAR, {"type": "market", "slippage_tolerance_type": "percent", "slippage_tolerance": D("0.015")}, 110109),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(venue: str, order: dict[str, Any], code: int | None) -> None:
    """venues.md section 3: what each venue has, and what it has not."""
    found = answer(venue, {}, order)
    assert (None if found is None else found[0]) == code


@pytest.mark.parametrize(
    ("venue", "reduce_only", "side", "code"),
    [
        (USDM, False, "long", None),
        (USDM, False, "net", -4061),
        (USDM, True, "long", -1106),
        (LINEAR, True, "long", None),
    ],
)
def test_in_hedge_mode_an_order_names_its_position(venue: str, reduce_only: bool, side: str, code: int | None) -> None:
    """USD-M takes no reduce-only there: the side says it already (section 3)."""
    found = answer(venue, {}, {"price": D(90), "position_side": side, "reduce_only": reduce_only}, {"hedged": True})
    assert (None if found is None else found[0]) == code


@pytest.mark.parametrize(
    ("venue", "client_id", "code"),
    [
        (SPOT, "a-b_1", None),
        (SPOT, "a.b", -1100),
        (SPOT, "x" * 36, None),
        (SPOT, "x" * 37, -1100),
        (USDM, "a.b:/C_-1", None),
        (USDM, "a b", -4015),
        (USDM, "x" * 37, -4015),
        (LINEAR, "a-b_1", None),
        (LINEAR, "a.b", 10001),
        (BYBIT_SPOT, "x" * 37, 10001),
    ],
)
def test_a_client_id_is_made_of_the_venues_characters(venue: str, client_id: str, code: int | None) -> None:
    """Section 3, 36 characters everywhere."""
    found = answer(venue, {}, {"price": D(90)}, {"client_id": client_id})
    assert (None if found is None else found[0]) == code


@pytest.mark.parametrize(("venue", "level", "fits"), [(USDM, 5, True), (USDM, 4, False), (LINEAR, 4, True)])
def test_a_price_is_pegged_to_the_levels_the_venue_offers(venue: str, level: int, fits: bool) -> None:
    """USD-M: 1, 5, 10, 20. Bybit: 1 to 5."""
    found = answer(venue, {}, {"price_match": f"queue_{level}"}, {"price": D(90)})
    assert (found is None) == fits


def test_a_market_order_that_meets_a_price_outside_of_the_band_is_refused() -> None:
    """USD-M -4131: asks begin at 110.5, a buyer's ceiling is 100 x 1.1 = 110."""
    order = {"type": "market"}
    assert answer(USDM, BANDS, order, {"best": D("110.5")}) == (
        -4131,
        "The counterparty's best price does not meet the PERCENT_PRICE filter limit",
    )
    assert answer(USDM, BANDS, order, {"best": D(110)}) is None
    assert answer(SPOT, BANDS, order, {"best": D("110.5")}) is None


def test_an_order_like_one_that_passed_is_still_looked_at_where_it_differs() -> None:
    """Passed shapes are remembered: another client id, tolerance or date is another question."""
    checks = Combinations(RULES[USDM], hedged=False)

    def terms(**more: Any) -> OrderTerms:
        head: dict[str, Any] = {"id": "a", "venue": USDM, "symbol": "X", "strategy": "s", "session": "main"}
        return OrderTerms(**{**head, "side": "buy", "type": "limit", "qty": D(1), "position_side": "net", **more})

    good = terms(price=D(90), tif="gtc")
    assert checks.wrong(good, "a", 0) is None
    assert checks.wrong(good, "a b", 0) == "client_id"
    assert checks.wrong(terms(price=D(90), tif="gtc", post_only=True), "a", 0) is None
    assert checks.wrong(terms(price=D(90), tif="ioc", post_only=True), "a", 0) == "parameter"
    dated = {"price": D(90), "tif": "gtd"}
    assert checks.wrong(terms(**dated, good_till=700 * 10**9), "a", 0) is None
    assert checks.wrong(terms(**dated, good_till=700 * 10**9), "a", 200 * 10**9) == "good_till"


ALL_WRONG: dict[str, Any] = {"price": D("200.3"), "qty": D("0.003"), "tif": "gtd", "good_till": 0}


def test_the_first_failure_wins() -> None:
    """One order that fails every check, mended one check after the other (the RULE order of section 2)."""
    filters = {**PRICES, **SIZES, **BANDS, "min_notional": D(5)}
    steps: list[tuple[dict[str, Any], int]] = [
        ({}, -5040),
        ({"tif": "gtc", "good_till": None}, -4116),
        ({"price": D("200.35")}, -1111),
        ({"price": D("200.3")}, -4002),
        ({"price": D("150.3")}, -4014),
        ({"price": D("150.5")}, -4016),
        ({"price": D("100")}, -4004),
        ({"qty": D("0.013")}, -4023),
        ({"qty": D("0.015")}, -4164),  # 1.5
    ]
    order, known = dict(ALL_WRONG), {"duplicate": True}
    for change, code in steps:
        order |= change
        found = answer(USDM, filters, order, known)
        assert found is not None
        assert found[0] == code, change
        if code == -4116:
            known = {}
    assert answer(USDM, filters, order | {"qty": D("0.05")}) is None


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_every_case_has_an_answer_at_every_venue(venue: str) -> None:
    """A case a venue has no words for is answered by its wider one, and no chain of those has an end without words."""
    for case in [*WIDER, *WIDER.values()]:
        assert answer_of(RULES[venue], case).message


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_a_venues_texts_have_places_only_for_what_is_filled_in(venue: str) -> None:
    for case, written in RULES[venue].errors.items():
        assert "{" not in written.message.format(limit=5, interval="1 MINUTE").replace("{1,36}", ""), case
