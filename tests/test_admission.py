"""Who may enter, and how far a taker may go: bounds, caps and dates, with numbers from venues.md section 2."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.venues import VENUES, load_rules
from core.instruments import Instrument
from core.market.price_filters import PercentPrice, PriceLimit, PriceRange
from core.orders import OrderStatus, OrderTerms
from sim.account import VenueAccount
from sim.open_orders import OpenOrders
from sim.order_entry.admission import Admission
from sim.order_entry.price_bounds import highest_buy, lowest_sell, tolerated
from sim.reference_prices import ReferencePrices
from sim.venue_order import VenueOrder

D = Decimal
LIMIT = PriceLimit(x=D("0.01"), y=D("0.02"))
TICK = D("0.1")


class Touch:
    """A market whose last price and touch are what they are told to be."""

    scale = 1

    def __init__(self, instrument: Instrument, bid: str = "99", ask: str = "101", last: str = "100") -> None:
        self.instrument = instrument
        self._bid, self._ask, self._last = D(bid), D(ask), D(last)

    def price(self, at: int) -> Decimal:
        return self._last.scaleb(self.scale)

    def known_before(self, at: int) -> Decimal:
        return self.price(at)

    def decimal(self, mantissa: Any) -> Decimal:
        return D(mantissa).scaleb(-self.scale)

    def nth_price(self, side: str, n: int) -> Decimal | None:
        return (self._bid if side == "buy" else self._ask) if n == 1 else None

    def crosses(self, order: VenueOrder, at: int) -> bool:
        assert order.limit is not None
        return order.limit >= self._ask if order.sign > 0 else order.limit <= self._bid

    def can_fill_whole(self, order: VenueOrder, at: int) -> bool:
        return True


def door(venue: str, wallet: str = "1000", **filters: Any) -> tuple[Admission, Touch]:
    """An admission of a venue and a market at 100 with these filters."""
    rules = load_rules(venue)
    instrument = Instrument(venue, "X", TICK, D("0.001"), "X", "USDT", rules.kind, 1, 3, **filters)
    account = VenueAccount(rules.kind, {"USDT": D(wallet)}, leverage={"": D(10)}, order_margin=rules.order_margin)
    return Admission(rules, account), Touch(instrument)


def order(number: int = 1, **more: Any) -> VenueOrder:
    terms: dict[str, Any] = {"side": "buy", "type": "limit", "qty": D(1), "tif": None, **more}
    if terms["type"] == "limit":
        terms.setdefault("price", D(90))
        terms["tif"] = terms["tif"] or "gtc"
    head = {"venue": "v", "symbol": "X", "position_side": "net", "strategy": "s", "session": "main"}
    return VenueOrder(OrderTerms(id=f"o{number}", **head, **terms), 0)


# --- formulas -------------------------------------------------------------------------------------------------------


def test_the_price_limit_of_the_page_s_example() -> None:
    """M 100, I 100.2, X 1%, Y 2%, premium +0.3: maxBuy 101.3, minSell 99.0."""
    assert highest_buy(LIMIT, D(100), D("100.2"), D("0.3"), TICK) == D("101.3")
    assert lowest_sell(LIMIT, D(100), D("100.2"), D("0.3"), TICK) == D("99.0")


@pytest.mark.parametrize(
    ("index", "premium", "buy", "sell"),
    [
        # min(102, max(I, 101 + max(0, p))) and max(98, min(I, 99 + min(0, p)))
        ("100", "0", "101", "99"),
        ("101.7", "0", "101.7", "99"),
        ("105", "0", "102", "99"),
        ("100", "5", "102", "99"),
        ("100", "-0.6", "101", "98.4"),
        ("98.2", "0", "101", "98.2"),
        ("90", "-5", "101", "98"),
        ("100", "0.25", "101.2", "99"),  # 101.25 down onto the tick: never beyond the limit
        ("100", "-0.25", "101", "98.8"),  # 98.75 up onto it
    ],
)
def test_each_part_of_the_price_limit_binds_once(index: str, premium: str, buy: str, sell: str) -> None:
    assert highest_buy(LIMIT, D(100), D(index), D(premium), TICK) == D(buy)
    assert lowest_sell(LIMIT, D(100), D(index), D(premium), TICK) == D(sell)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(-(10**4), 10**4))
def test_a_price_limit_lets_a_buyer_reach_the_index_or_the_outer_bound(mark: int, index: int, premium: int) -> None:
    """On the tick, at most M(1+Y), and at least the smaller of M(1+Y) and M(1+X), to the tick below."""
    m, i, p = D(mark) / 10, D(index) / 10, D(premium) / 100
    high, low = highest_buy(LIMIT, m, i, p, TICK), lowest_sell(LIMIT, m, i, p, TICK)
    assert high % TICK == 0
    assert low % TICK == 0
    assert m * D("1.01") - TICK < high <= m * D("1.02")
    assert m * D("0.98") <= low < m * D("0.99") + TICK
    assert high > low - TICK


@pytest.mark.parametrize(
    ("side", "kind", "tolerance", "worst"),
    [("buy", "ticks", "10", "102"), ("sell", "ticks", "10", "100"), ("buy", "percent", "2", "103.02")],
)
def test_a_tolerance_is_counted_from_the_best_price(side: Any, kind: str, tolerance: str, worst: str) -> None:
    """101 + 10 x 0.1; 101 - 1; 101 x 1.02."""
    assert tolerated(D(101), side, kind, D(tolerance), TICK) == D(worst)


# --- how far a taker may go -----------------------------------------------------------------------------------------


def test_nothing_binds_a_taker_without_a_rule() -> None:
    admission, market = door("binance-usdm")
    assert admission.taker_bound(order(type="market"), market, 0) is None


def test_the_mark_binds_a_market_order_and_no_limit_order() -> None:
    """5% of the mark 200: a buyer goes to 210, a seller to 190. Without a mark the last price 100 stands for it."""
    admission, market = door("binance-usdm", market_take_bound=D("0.05"))
    assert admission.taker_bound(order(type="market"), market, 0) == (D(105), "slippage")
    admission.price_of = lambda kind, symbol, at: D(200) if kind == "mark" else None
    assert admission.taker_bound(order(type="market"), market, 0) == (D(210), "slippage")
    assert admission.taker_bound(order(type="market", side="sell"), market, 0) == (D(190), "slippage")
    assert admission.taker_bound(order(), market, 0) is None


def test_the_price_range_needs_a_reference_price_and_binds_limit_orders_too() -> None:
    """Without a reference it is not enforced; 50 x [0.9, 1.1] is 45 to 55, and asks at 101 leave a buyer nothing."""
    admission, market = door("binance-spot", price_range=PriceRange(up=D("1.1"), down=D("0.9")))
    assert admission.taker_bound(order(), market, 0) is None
    admission.price_of = ReferencePrices(None, [(5, "reference", "X", D(50)), (0, "reference", "X", D(100))])
    assert admission.taker_bound(order(), market, 0) == (D(110), "price_range")
    assert admission.taker_bound(order(), market, 5) == (D(55), "price_range")
    sell = order(side="sell", price=D(1))
    assert admission.taker_bound(sell, market, 0) == (D(90), "price_range")
    # bids at 99 are above 55: a seller may not even sell so well
    bound = admission.taker_bound(sell, market, 5)
    assert bound is not None
    assert bound[0] > D(99)


def test_asks_below_the_range_leave_a_buyer_nothing() -> None:
    """200 x [0.9, 1.1]: a buyer may not pay less than 180, and the ask is 101."""
    admission, market = door("binance-spot", price_range=PriceRange(up=D("1.1"), down=D("0.9")))
    admission.price_of = ReferencePrices(None, [(0, "reference", "X", D(200))])
    assert admission.taker_bound(order(), market, 0) == (D(0), "price_range")


def test_the_nearest_of_two_bounds_holds() -> None:
    """Tolerance 101 + 1 tick = 101.1 is nearer than 5% of 100."""
    admission, market = door("bybit-linear", market_take_bound=D("0.05"))
    taker = order(type="market", slippage_tolerance_type="ticks", slippage_tolerance=D(1))
    assert admission.taker_bound(taker, market, 0) == (D("101.1"), "slippage")


# --- entering -------------------------------------------------------------------------------------------------------


def test_a_refused_order_holds_nothing_and_keeps_no_client_id() -> None:
    """Post-only fails last, after the margin was set aside; the exchange gives it back, and the id stays free."""
    admission, market = door("binance-usdm")
    crossing = order(price=D(101), post_only=True)
    refusal = admission.refusal(crossing, market, 0)
    assert refusal is not None
    assert refusal.code == -5022
    admission._account.holds.give_back(crossing.terms.id)
    assert admission._account.holds.of("USDT") == 0
    assert admission.refusal(order(), market, 0) is None


def test_a_cap_counts_what_is_open() -> None:
    """200 open orders of a symbol on USD-M; one that ends makes room. Market orders are never open."""
    admission, market = door("binance-usdm", wallet="1000000")
    orders = [order(number) for number in range(201)]
    for at, entering in enumerate(orders[:200]):
        assert admission.refusal(entering, market, at) is None
        admission.open.add(entering)
    refusal = admission.refusal(orders[200], market, 300)
    assert refusal is not None
    assert refusal.code == -2025
    assert admission.refusal(order(999, type="market"), market, 300) is None
    orders[0].status = OrderStatus.CANCELED
    admission.open.remove(orders[0])
    assert admission.refusal(orders[200], market, 300) is None


def test_bybit_spot_counts_the_orders_of_the_whole_account() -> None:
    """500 in total (section 5), whatever the symbols."""
    rules = load_rules("bybit-spot")
    book, instrument = OpenOrders(rules), door("bybit-spot")[1].instrument
    for number in range(500):
        book.add(VenueOrder(_of_symbol(f"Y{number % 2}", number), 0))
    assert book.too_many(order(), instrument) == ("max_orders", 500)
    assert book.leaves("Y0", "buy", "net") == 250


def _of_symbol(symbol: str, number: int) -> OrderTerms:
    head = {"venue": "v", "position_side": "net", "strategy": "s", "session": "main", "side": "buy", "type": "limit"}
    return OrderTerms(id=f"{symbol}-{number}", symbol=symbol, qty=D(1), price=D(1), **head)


@pytest.mark.parametrize(
    ("venue", "ends", "taken"),
    [
        ("binance-usdm", OrderStatus.CANCELED, False),
        ("binance-usdm", OrderStatus.FILLED, False),
        ("binance-spot", OrderStatus.CANCELED, True),
        ("binance-spot", OrderStatus.FILLED, False),
        ("bybit-linear", OrderStatus.FILLED, True),
        ("bybit-spot", OrderStatus.CANCELED, True),
    ],
)
def test_when_a_client_id_is_free_again(venue: str, ends: OrderStatus, taken: bool) -> None:
    """Section 3: USD-M once it is over, spot only after a fill, Bybit never."""
    book, first = OpenOrders(load_rules(venue)), order()
    book.add(first)
    assert "o1" in book.clients
    first.status = ends
    book.remove(first)
    assert ("o1" in book.clients) == taken


@pytest.mark.parametrize(("venue", "taken"), [("binance-usdm", False), ("binance-spot", False), ("bybit-linear", True)])
def test_a_client_id_is_remembered_though_its_order_was_filled_as_it_entered(venue: str, taken: bool) -> None:
    """Such an order is never open, and counts to no cap; whether its id is free is the venue's rule (section 3)."""
    book, first = OpenOrders(load_rules(venue)), order(type="market")
    first.status = OrderStatus.FILLED
    book.remove(first)
    assert ("o1" in book.clients) == taken
    assert book.leaves("X", "buy", "net") == 0


def test_percent_price_uses_the_mark_where_there_is_one() -> None:
    """One-sided: BUY at most 1.05 x 200 = 210; by the last price 100 it would be 105."""
    admission, market = door("binance-usdm", percent_price=PercentPrice(up=D("1.05"), down=D("0.95")))
    refusal = admission.refusal(order(price=D("105.1")), market, 0)
    assert refusal is not None
    assert refusal.code == -4016
    admission.price_of = lambda kind, symbol, at: D(200) if kind == "mark" else None
    assert admission.refusal(order(price=D("105.1"), post_only=False), market, 0) is None


# --- the stored rules -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_a_venue_has_a_word_for_every_state_of_an_order(venue: str) -> None:
    """Section 3, the state machine."""
    states = {"rejected", "accepted", "pending_trigger", "partial", "filled", "canceled", "expired", "expired_in_match"}
    assert states <= set(load_rules(venue).status_words)


@pytest.mark.parametrize(
    ("venue", "reason", "tif", "partly", "word"),
    [
        ("binance-spot", "ioc", "ioc", True, "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("binance-spot", "fok", "fok", False, "UNFILLED_FOK_ORDER_EXPIRED"),
        ("binance-spot", "no_liquidity", None, True, "INSUFFICIENT_LIQUIDITY"),
        ("binance-spot", "price_range", None, False, "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"),
        ("binance-spot", "oco", None, False, "OCO_TRIGGER"),
        ("binance-spot", "stp", "gtc", False, None),
        ("binance-usdm", "gtd", "gtd", True, "0"),
        ("binance-usdm", "stp", "gtc", False, "1"),
        ("binance-usdm", "ioc", "ioc", True, "2"),
        ("binance-usdm", "stp", "ioc", True, "3"),
        ("binance-usdm", "reduce_only", None, False, "4"),
        ("binance-usdm", "liquidation", None, False, "5"),
        ("bybit-linear", "ioc", "ioc", False, "EC_NoImmediateQtyToFill"),
        ("bybit-linear", "ioc", "ioc", True, "EC_CancelForNoFullFill"),
        ("bybit-linear", "fok", "fok", False, "EC_NoImmediateQtyToFill"),
        ("bybit-linear", "fok", "fok", True, "EC_CancelForNoFullFill"),
        ("bybit-linear", "post_only", "gtc", False, "EC_PostOnlyWillTakeLiquidity"),
        ("bybit-linear", "stp", "gtc", False, "CancelBySmp"),
        ("bybit-spot", "request", "gtc", False, "CancelByUser"),
    ],
)
def test_a_venue_says_in_its_own_words_why_an_order_ended(
    venue: str, reason: str, tif: Any, partly: bool, word: str | None
) -> None:
    """Section 3: spot's expiryReason, USD-M's er, Bybit's rejectReason and cancelType."""
    assert load_rules(venue).expiry_word(reason, partly=partly, tif=tif) == word


def test_rules_carry_their_dates() -> None:
    """Int ns: 2025-09-18T08:01 for the funding division, 2026-05-26 for Bybit's price limit (section 2 and 8)."""
    assert load_rules("binance-usdm").funding_divided_since == 1_758_182_460 * 10**9
    assert load_rules("bybit-linear").price_limit_since == 1_779_753_600 * 10**9


@pytest.mark.parametrize(
    ("venue", "at", "guesses"),
    [
        ("bybit-linear", 1_700_000_000 * 10**9, 2),
        ("bybit-linear", 1_779_753_600 * 10**9, 1),
        ("bybit-linear", 1_790_000_000 * 10**9, 0),
        ("binance-usdm", 1_600_000_000 * 10**9, 1),
        ("binance-usdm", 1_700_000_000 * 10**9, 0),
        ("binance-usdm", None, 0),
    ],
)
def test_a_run_is_told_what_was_not_recorded_for_its_time(venue: str, at: int | None, guesses: int) -> None:
    """Bybit: limits recorded 2026-07-24, the price limit's formula is of 2026-05-26. USD-M: recorded 2022-02-21."""
    said = load_rules(venue).guesses(at)
    assert len(said) == guesses
    assert all(venue in sentence and "guess" in sentence for sentence in said)
