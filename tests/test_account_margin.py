"""What an order needs and what is free, before the venue is asked: by the numbers of venues.md section 8."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.venues import load_brackets
from core.account.margin_needs import AccountMargin, VenueTerms
from core.events import FundingPaid, OrderAccepted, OrderFilled, OrderSubmitted, PositionSide
from core.instruments import Instrument
from core.margin import ContractTerms, Tier, known_to, maintenance_margin, tiers_at
from core.orders import Order, OrderTerms
from core.portfolio import Portfolio
from core.venue_rules import ErrorAnswer
from core.working import WorkingOrders
from sim.account import VenueAccount

D = Decimal
TAKER = D("0.00055")
FUNDS = {"funds": ErrorAnswer(-2019, "Margin is insufficient."), "max_position": ErrorAnswer(-2027, "Too large.")}
TIERS = (Tier(D(0), D("0.004"), D(150), D(0)), Tier(D(300000), D("0.005"), D(100), D(300)))


def contract(symbol: str = "X", **more: Any) -> Instrument:
    return Instrument(
        venue="v", symbol=symbol, tick=D("0.01"), step=D("0.001"), base=f"{symbol}B", quote="USDT", **more
    )


class Account:
    """Our side of one venue: portfolio, orders under way, and the margin of both."""

    def __init__(self, wallet: str, *, instruments: tuple[Instrument, ...] = (), **terms: Any) -> None:
        known = {("v", i.symbol): i for i in instruments or (contract(), contract("Y"))}
        self.portfolio = Portfolio(known, {("v", "USDT"): D(wallet)}, lambda _: None)
        self.working = WorkingOrders()
        leverage = {"": D(10), **terms.pop("leverage", {})}
        venue = VenueTerms(name="venue", errors=FUNDS, leverage=leverage, **terms)
        self.margin = AccountMargin(self.portfolio, self.working, known, {"v": venue}, lambda *_: TAKER)
        self.count = 0

    def terms(self, side: Any, qty: str, price: str | None = None, **more: Any) -> OrderTerms:
        self.count += 1
        fields = {"symbol": "X", "position_side": "net", "strategy": "s", **more}
        return OrderTerms(id=f"o{self.count}", venue="v", session="main", side=side, qty=D(qty),
                          type="market" if price is None else "limit", price=None if price is None else D(price),
                          **fields)  # fmt: skip

    def why_not(self, side: Any, qty: str, price: str, **more: Any) -> str | None:
        return self.margin.refusal(self.terms(side, qty, price, **more), D(qty), D(price))

    def hold(self, side: Any, qty: str, price: str, symbol: str = "X", strategy: str = "s", **more: Any) -> None:
        """A fill, as if long ago."""
        keys = ("v", symbol, more.get("position_side", "net"), strategy, "main")
        what = (side, D(price), D(qty), "taker", "bar", D(0), "USDT", D(price), D(0), "t", 0, 0)
        self.portfolio.on_fill(OrderFilled(0, 0, *keys, "old", "f", *what))

    def rest(self, side: Any, qty: str, price: str, **more: Any) -> Order:
        """An order that the venue has accepted."""
        terms = self.terms(side, qty, price, **more)
        order = Order.of(terms, 0)
        self.working.add(order)
        keys = ("v", terms.symbol, terms.position_side, terms.strategy, "main", terms.id)
        self.working.on_event(OrderSubmitted(0, None, *keys))
        self.working.on_event(OrderAccepted(0, 0, *keys, "v1"))
        return order

    def free(self) -> Decimal:
        return self.margin.free("v", "USDT")


# Rows: order margin of the venue, wallet, what must be said; 1@1000 10x needs 100, with fees
# 100 + 1000 x 0.00055 + 900 x 0.00055 = 101.045 (a sale: 100 + 0.55 + 1100 x 0.00055 = 101.155).
SHORT: dict[str, tuple[Any, str, str, str | None]] = {
    "enough": ("notional", "buy", "100", None),
    "short by one cent": ("notional", "buy", "99.99", "needs 100 USDT free, 99.99 are: 0.01 short"),
    "fees, enough": ("notional_and_fees", "buy", "101.045", None),
    "fees, short": ("notional_and_fees", "buy", "100", "needs 101.045 USDT free, 100 are: 1.045 short"),
    "fees of a sale": ("notional_and_fees", "sell", "101.1", "needs 101.155 USDT free, 101.1 are: 0.055 short"),
}


@pytest.mark.parametrize(("order_margin", "side", "wallet", "said"), SHORT.values(), ids=SHORT)
def test_an_order_that_the_venue_would_refuse_is_refused_with_what_is_missing(
    order_margin: Any, side: str, wallet: str, said: str | None
) -> None:
    found = Account(wallet, order_margin=order_margin).why_not(side, "1", "1000")
    assert found == (said and f"{said}; venue would answer -2019 Margin is insufficient.")


def test_positions_and_orders_bind_margin_and_what_closes_binds_none() -> None:
    """1000: 2@1000 10x bind 200, a purchase of 1@900 90; a sale of 2 closes and needs none, of 3 it opens 1: 110."""
    account = Account("1000")
    account.hold("buy", "2", "1000")
    account.rest("buy", "1", "900")
    assert (account.free(), account.margin.used("v", "USDT")) == (D(710), D(290))
    account.rest("sell", "2", "1100")
    assert account.free() == D(710)
    account.rest("sell", "3", "1100")
    assert account.free() == D(600)


def test_closing_orders_beyond_twice_the_position_need_margin() -> None:
    """1@1000 10x takes all of 100. Two sales of 1 pass: one closes and frees margin for one, a third needs 110."""
    account = Account("100")
    account.hold("buy", "1", "1000")
    for _ in range(2):
        assert account.why_not("sell", "1", "1100") is None
        latest = account.rest("sell", "1", "1100")
    said = account.why_not("sell", "1", "1100")
    assert said is not None and said.startswith("needs 110 USDT free, 0 are")
    assert account.why_not("sell", "1", "1100", reduce_only=True) is None
    latest.pending_cancel = True
    assert account.why_not("sell", "1", "1100") is None


def test_an_order_whose_cancel_is_under_way_binds_nothing_for_what_is_sent_after_it() -> None:
    account = Account("1000")
    order = account.rest("buy", "9", "1000")
    assert account.free() == D(100)
    order.pending_cancel = True
    assert account.free() == D(1000)


def test_an_amend_is_measured_without_what_the_order_itself_holds() -> None:
    """900 of 1000 are held by the order; grown to 9.5 it needs 950, which are there; 11 need 1100."""
    account = Account("1000")
    order = account.rest("buy", "9", "1000")
    assert account.margin.refusal(order.terms, D("9.5"), D(1000)) is None
    assert "needs 1100 USDT free, 1000 are: 100 short" in str(account.margin.refusal(order.terms, D(11), D(1000)))


def test_what_funding_took_of_a_margin_is_missing_there_and_the_position_ends_earlier() -> None:
    """1@1000 10x in 105, MMR 1 %: of 12 paid 7 were not free. Margin 93, LP = (93 - 1000) / (0.01 - 1) = 916.16."""
    account = Account("105", tiers={"X": (Tier(D(0), D("0.01"), D(50), D(0)),)})
    account.hold("buy", "1", "1000")
    keys = ("v", "X", "net", "s", "main")
    account.portfolio.on_funding(FundingPaid(0, 0, *keys, D(-12), D("0.012"), D(1000), D(1), from_margin=D(7)))
    assert (account.free(), account.margin.used("v", "USDT")) == (D(0), D(93))
    assert account.margin.liquidation_price("v", "X") == pytest.approx(D("916.1616161616"), abs=D("1e-9"))


def test_in_cross_margin_an_open_loss_binds_money_and_an_open_gain_frees_it() -> None:
    """2@1000 10x at 950: 1000 - 100 lost - 190 = 710; at 1100: 1000 + 200 - 220 = 980. Isolated stays at 800."""
    cross, isolated = Account("1000", cross=True), Account("1000")
    for account in (cross, isolated):
        account.hold("buy", "2", "1000")
    found = []
    for price in (950.0, 1100.0):
        for account in (cross, isolated):
            account.portfolio.marks["v", "X"] = price
            found.append(account.free())
    assert found == [D(710), D(800), D(980), D(800)]


def test_a_position_may_not_grow_into_a_bracket_that_does_not_allow_its_leverage() -> None:
    """At 125x the first bracket ends at 300000: 6@60000 are 360000, 60000 too much; 4 more on 2 the same; 5 pass."""
    account = Account("1000000", leverage={"X": D(125)}, tiers={"X": TIERS})
    assert account.why_not("buy", "5", "60000") is None
    assert account.why_not("buy", "6", "60000") == (
        "position notional would be 360000, at 125x its bracket ends at 300000: 60000 too much; "
        "venue would answer -2027 Too large."
    )
    account.hold("buy", "2", "60000")
    assert "360000" in str(account.why_not("buy", "4", "60000"))
    assert account.why_not("sell", "3", "120000") is None  # less than is held, however high the price
    account.rest("buy", "1.5", "60000")  # what rests on its side counts: 2 + 1.5 + 1.5 are 300000
    assert account.why_not("buy", "1.5", "60000") is None
    assert "301200" in str(account.why_not("buy", "1.52", "60000"))
    assert account.why_not("sell", "6", "60000") is None


@pytest.mark.parametrize(("hedged", "side"), [(True, "net"), (False, "long"), (False, "short")])
def test_an_order_of_the_other_position_mode_is_refused(hedged: bool, side: str) -> None:
    found = Account("1000", hedged=hedged).why_not("buy", "0.001", "1000", position_side=side)
    assert found is not None and found.startswith(f"position_side is {side}, in ")


def test_what_only_reduces_is_never_refused() -> None:
    """Nothing is free, and yet: reduce-only, a sale of the long side, a purchase of the short side."""
    assert Account("0").why_not("sell", "1", "1000", reduce_only=True) is None
    hedged = Account("0", hedged=True)
    assert hedged.why_not("sell", "1", "1000", position_side="long") is None
    assert hedged.why_not("buy", "1", "1000", position_side="short") is None
    assert "100 short" in str(hedged.why_not("sell", "1", "1000", position_side="short"))


def test_an_order_that_waits_for_its_trigger_holds_only_where_the_venue_says_so() -> None:
    stop = {"trigger_price": D(1100)}
    assert Account("0").why_not("buy", "1", "1100", **stop) is None
    assert "110 short" in str(Account("0", trigger_holds=True).why_not("buy", "1", "1100", **stop))


def test_a_spot_order_needs_what_it_gives() -> None:
    account = Account("1000", instruments=(contract(kind="spot"),))
    assert account.why_not("buy", "1", "1000") is None
    assert "needs 1001 USDT free, 1000 are: 1 short" in str(account.why_not("buy", "1", "1001"))
    assert "needs 1 XB free, 0 are: 1 short" in str(account.why_not("sell", "1", "1000"))
    account.hold("buy", "1", "900")
    assert account.why_not("sell", "1", "1000") is None
    account.rest("sell", "0.4", "1000")
    assert "needs 1 XB free, 0.6 are: 0.4 short" in str(account.why_not("sell", "1", "1000"))


def test_liquidation_prices_of_isolated_and_of_cross_margin_are_those_of_the_venues_page() -> None:
    """Section 8: isolated long 2@60000 20x, tier 1 (0.4 %): 57228.91566; and two longs of one cross wallet.

    Cross: ETH 3683.979@1456.84 with 10 % less 135365 beside BTC 109.488@32481.98 at 31967.27: 1153.26 and 26316.89.
    """
    account = Account("10000", leverage={"X": D(20)}, tiers={"X": TIERS[:1]})
    assert account.margin.liquidation_price("v", "X") is None
    account.hold("buy", "2", "60000")
    found = account.margin.liquidation_price("v", "X")
    assert found is not None and found.quantize(D("0.00001")) == D("57228.91566")
    two = (contract("ETH"), contract("BTC"))
    tiers = {"ETH": (Tier(D(0), D("0.1"), D(5), D(135365)),), "BTC": (Tier(D(0), D("0.025"), D(20), D(16300)),)}
    cross = Account("1535443.01", instruments=two, tiers=tiers, cross=True)
    cross.hold("buy", "3683.979", "1456.84", "ETH")
    cross.hold("buy", "109.488", "32481.98", "BTC")
    cross.portfolio.marks["v", "ETH"], cross.portfolio.marks["v", "BTC"] = 1335.18, 31967.27
    prices = [cross.margin.liquidation_price("v", name) for name in ("ETH", "BTC")]
    assert [price and price.quantize(D("0.01")) for price in prices] == [D("1153.26"), D("26316.89")]


def test_both_sides_of_a_hedged_symbol_end_at_one_mark() -> None:
    """Long 2@100 and short 1@110 behind 50 at 0.4 %: 50 + (2P - 200) + (110 - P) = 0.004 x 3P, P = 40 / 0.988."""
    account = Account("50", tiers={"X": TIERS[:1]}, cross=True)
    account.hold("buy", "2", "100", position_side="long")
    account.hold("sell", "1", "110", position_side="short")
    sides: tuple[PositionSide, ...] = ("long", "short")
    for side in sides:
        found = account.margin.liquidation_price("v", "X", side)
        assert found is not None and found.quantize(D("0.0000001")) == D("40.4858300")


def test_where_maintenance_is_valued_at_entry_the_older_form_holds() -> None:
    """1@20000 50x MMR 0.5 %: 20000 - (400 - 100) = 19700."""
    tiers = {"X": (Tier(D(0), D("0.005"), D(100), D(0)),)}
    account = Account("1000", leverage={"X": D(50)}, tiers=tiers, at_entry=True)
    account.hold("buy", "1", "20000")
    assert account.margin.liquidation_price("v", "X") == D(19700)


TURNS = st.lists(
    st.tuples(
        st.sampled_from(["fill", "ask"]),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 6000),
        st.integers(9_000, 11_000),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["net", "long", "short"]),
    ),
    max_size=30,
)


@given(TURNS, st.sampled_from(["isolated", "cross"]), st.sampled_from(["notional", "notional_and_fees"]), st.booleans())
def test_whatever_happened_both_sides_agree_on_what_is_free_and_what_an_order_needs(
    turns: list[Any], mode: Any, order_margin: Any, hedged: bool
) -> None:
    """The venue's ledger, written apart, is the oracle: to 1e-8 for each margin that was rounded as it came in."""
    x = contract()
    venue = VenueAccount("linear", {"USDT": D(1_000_000)}, leverage={"": D(10)}, margin_mode=mode, hedged=hedged,
                         order_margin=order_margin, terms={"X": ContractTerms()})  # fmt: skip
    ours = Account("1000000", cross=mode == "cross", hedged=hedged, order_margin=order_margin)
    venue.mark_of = lambda _: ours.portfolio.mark("v", "X")
    venue.taker_of = lambda _: TAKER
    for number, (what, side, steps, cents, strategy, position_side) in enumerate(turns):
        if (position_side != "net") != hedged:
            continue
        qty, price = D(steps) / 1000, D(cents) / 10
        terms = msgspec.structs.replace(ours.terms(side, str(qty), str(price), strategy=strategy),
                                        position_side=position_side)  # fmt: skip
        if what == "ask":
            others = D(cents) / 5000  # 1.8 to 2.2, about as much as is held
            assert ours.margin.need(terms, qty, price, others) == venue.need(x, terms, qty, price, others)
            continue
        if hedged and (side == "buy") != (position_side == "long"):
            qty = min(qty, abs(ours.portfolio.held("v", "X", position_side)))
            book = ours.portfolio.position("v", "X", strategy, position_side)
            qty = min(qty, abs(book.qty)) if book is not None else D(0)
        if qty:
            ours.hold(side, str(qty), str(price), strategy=strategy, position_side=position_side)
            venue.fill(x, side, price, qty, D(0), "USDT", position_side)
            ours.portfolio.marks["v", "X"] = float(price)
        assert ours.portfolio.wallet("v", "USDT") == venue.balances["USDT"]
        assert abs(ours.free() - venue.free("USDT")) <= D("1e-8") * (number + 2)
        for held in venue.positions.values():
            whole = ours.portfolio.whole["v", "X", held.side]
            assert (whole.qty, whole.cost) == (held.qty, held.value)


def test_beyond_the_last_bracket_that_is_known_nothing_may_grow_at_any_leverage() -> None:
    """Bybit's stored tier of ETHUSDT ends at 900,000: 300@3000 are that, 300.001 are 3 too much."""
    tiers = tiers_at(load_brackets("bybit-linear")["ETHUSDT"], None)
    ours = Account("10000000", tiers={"X": tiers}, leverage={"X": D(1)})
    venue = VenueAccount("linear", {"USDT": D(10_000_000)}, leverage={"X": D(1)}, terms={"X": ContractTerms(tiers)})
    assert ours.why_not("buy", "300", "3000") is None
    assert not venue.beyond_leverage(contract(), ours.terms("buy", "300", "3000"), D(300), D(3000))
    assert ours.why_not("buy", "300.001", "3000") == (
        "position notional would be 900003.000, the brackets of venue for X are known up to 900000 only: where "
        "there are more, give them in `instruments.X.brackets`"
    )
    assert venue.beyond_leverage(contract(), ours.terms("buy", "300.001", "3000"), D("300.001"), D(3000))
    ours.hold("buy", "300", "3000")
    assert ours.why_not("sell", "1", "4000") is None


@pytest.mark.parametrize(("symbol", "end"), [("BTCUSDT", "6000000"), ("ETHUSDT", "900000")])
def test_what_grows_beyond_by_its_price_keeps_the_last_known_rate(symbol: str, end: str) -> None:
    """0.015 and 0.005 of each further USDT; Binance's stored brackets have no end."""
    tiers = tiers_at(load_brackets("bybit-linear")[symbol], None)
    assert known_to(tiers) == D(end)
    further = maintenance_margin(tiers, D(end) + 1000) - maintenance_margin(tiers, D(end))
    assert further == {"BTCUSDT": D(15), "ETHUSDT": D(5)}[symbol]
    assert known_to(tiers_at(load_brackets("binance-usdm")[symbol], None)) is None
