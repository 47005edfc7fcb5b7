"""What assets count for together: the numbers of the venues' pages, by hand, and the formulas against plain loops."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.venues import load_collateral
from core.account.collateral import (
    AssetPrice,
    CollateralRatios,
    CollateralTerms,
    PricedSymbol,
    RatioStep,
    asset_prices,
    collateral_at,
    counted,
    shared_liquidation_price,
    terms_of,
)
from core.account.margin_needs import AccountMargin, VenueTerms
from core.events import OrderFilled
from core.instruments import Instrument
from core.margin import ContractTerms, Tier
from core.portfolio import Portfolio
from core.working import WorkingOrders
from sim.account import VenueAccount
from sim.ledger.collateral import SharedCollateral
from sim.ledger.maintenance import Maintenance

D = Decimal
BTC = Instrument(venue="v", symbol="BTCUSDT", tick=D("0.1"), step=D("0.001"), base="BTC", quote="USDT")
ETH = Instrument(venue="v", symbol="ETHUSDC", tick=D("0.1"), step=D("0.001"), base="ETH", quote="USDC")
TIERS = {"BTCUSDT": (Tier(D(0), D("0.008"), D(125), D(0)),), "ETHUSDC": (Tier(D(0), D("0.01"), D(75), D(0)),)}
LEVERAGE = {"BTCUSDT": D(100), "ETHUSDC": D(50)}
MARKS = {"BTCUSDT": D(20000), "ETHUSDC": D(600)}


def ratios(*steps: tuple[str, str], debt: str = "1") -> CollateralTerms:
    return terms_of(CollateralRatios([RatioStep(D(floor), D(ratio)) for floor, ratio in steps], D(debt)))


# Binance's page: USDT index 0.99 with buffers 0.01 and 0.005 (bid rate 0.9801, ask rate 0.99495), USDC 1 without.
TERMS = {"USDT": ratios(("0", "0.99"), debt="1.005"), "USDC": ratios(("0", "1"))}
PRICES = {"USDT": AssetPrice(D("0.99")), "USDC": AssetPrice(D(1))}


def venue_side(usdt: str = "200", usdc: str = "220", *, held: bool = True) -> VenueAccount:
    account = VenueAccount(
        "linear",
        {"USDT": D(usdt), "USDC": D(usdc)},
        leverage=LEVERAGE,
        margin_mode="cross",
        terms={symbol: ContractTerms(tiers) for symbol, tiers in TIERS.items()},
        collateral=SharedCollateral(TERMS, PRICES),
    )
    account.mark_of = MARKS.get
    if held:
        account.open_position(BTC, D("0.5"), D(20000))
        account.open_position(ETH, D(20), D(600))
    return account


class OurSide:
    """The same account as the inside sees it."""

    def __init__(self, usdt: str = "200", usdc: str = "220", *, held: bool = True) -> None:
        instruments = {("v", i.symbol): i for i in (BTC, ETH)}
        balances = {("v", "USDT"): D(usdt), ("v", "USDC"): D(usdc)}
        rates = {asset: price.times for asset, price in PRICES.items()}
        self.portfolio = Portfolio(instruments, balances, lambda _: None, rates)
        terms = VenueTerms(leverage=LEVERAGE, tiers=TIERS, cross=True, collateral=TERMS, prices=PRICES)
        self.margin = AccountMargin(self.portfolio, WorkingOrders(), instruments, {"v": terms})
        for symbol, qty in (("BTCUSDT", "0.5"), ("ETHUSDC", "20")):
            if held:
                self.fill(symbol, "buy", qty, MARKS[symbol])
            self.portfolio.marks["v", symbol] = float(MARKS[symbol])

    def fill(self, symbol: str, side: Any, qty: str, price: Decimal) -> None:
        what = (side, price, D(qty), "taker", "bar", D(0), "USDT", price, D(0), "t", 0, 0)
        self.portfolio.on_fill(OrderFilled(0, 0, "v", symbol, "net", "s", "main", "o", "f", *what))


def test_without_positions_the_account_is_worth_its_bid_rates_and_an_order_pays_the_ask_rate() -> None:
    """Binance's page, state 1: 200 x 0.9801 + 220 = 416.02; USDT available 416.02 / 0.99495 = 418.13, USDC 416.02."""
    venue, ours = venue_side(held=False), OurSide(held=False)
    for free in (venue.free, lambda asset: ours.margin.free("v", asset)):
        assert free("USDC") == D("416.02")
        assert free("USDT").quantize(D("0.01")) == D("418.13")


def test_positions_bind_their_margin_at_the_ask_rate() -> None:
    """State 2: 416.02 - 0.5 x 20000 x 1 % x 0.99495 - 20 x 600 x 2 % = 76.525; in USDT / 0.99495 = 76.91.

    Maintenance 0.5 x 20000 x 0.8 % x 0.99495 + 20 x 600 x 1 % = 199.596: a margin ratio of 47.98 %.
    """
    venue, ours = venue_side(), OurSide()
    for free in (venue.free, lambda asset: ours.margin.free("v", asset)):
        assert free("USDC") == D("76.525")
        assert free("USDT").quantize(D("0.01")) == D("76.91")
    position = venue.position("BTCUSDT")
    assert position is not None
    kept, equity = Maintenance(venue).covered(position)
    assert (kept, equity) == (D("199.596"), D("416.02"))
    assert (kept / equity * 100).quantize(D("0.01")) == D("47.98")


def test_what_is_owed_counts_at_the_ask_rate() -> None:
    """BTCUSDT at 19200: 200 - 400 = -200 USDT count min(-200 x 0.9801, -200 x 0.99495) = -198.99; 220 USDC are left."""
    venue = venue_side()
    venue.mark_of = {**MARKS, "BTCUSDT": D(19200)}.get
    position = venue.position("BTCUSDT")
    assert position is not None
    assert Maintenance(venue).covered(position)[1] == D("21.01")


def test_what_an_order_holds_of_one_asset_is_missing_in_every_other() -> None:
    """76.525 less an order that holds 10 USDT: 10 x 0.99495."""
    venue = venue_side()
    venue.holds.set_aside("o", "USDT", D(10))
    assert venue.free("USDC") == D("76.525") - D("9.9495")


def test_of_a_large_holding_each_step_counts_less() -> None:
    """Bybit's page: BTC 0-10 0.98, -20 0.95, -30 0.9, -40 0.85, -50 0.8, beyond 0. 25 count 9.8 + 9.5 + 4.5 = 23.8."""
    terms = collateral_at(load_collateral("bybit-linear").assets["BTC"], None)
    assert terms is not None
    found = {qty: counted(terms, D(qty)) for qty in ("1", "10", "25", "50", "60", "-3")}
    expected = {"1": "0.98", "10": "9.8", "25": "23.8", "50": "44.8", "60": "44.8", "-3": "-3"}
    assert found == {qty: D(worth) for qty, worth in expected.items()}


@pytest.mark.parametrize(
    ("day", "expected"), [((2020, 1, 1), "0.95"), ((2025, 9, 17), "0.95"), ((2025, 9, 18), "0.98")]
)
def test_ratios_are_those_of_the_day_and_the_oldest_before(day: tuple[int, int, int], expected: str) -> None:
    at = int(datetime(*day, tzinfo=UTC).timestamp()) * 1_000_000_000
    terms = collateral_at(load_collateral("bybit-linear").assets["BTC"], at)
    assert terms is not None and counted(terms, D(1)) == D(expected)


STEPS = st.lists(st.integers(0, 100), min_size=1, max_size=4).map(lambda found: sorted(found, reverse=True))


@given(STEPS, st.integers(-500, 500), st.integers(100, 120))
def test_the_lowest_line_is_the_sum_over_the_steps(percents: list[int], equity: int, debt: int) -> None:
    """Counted unit by unit, steps of 50 units each; what is owed by `debt`."""
    terms = ratios(*((str(50 * at), str(D(p) / 100)) for at, p in enumerate(percents)), debt=str(D(debt) / 100))
    by_unit = sum((D(percents[min(unit // 50, len(percents) - 1)]) / 100 for unit in range(equity)), D(0))
    assert counted(terms, D(equity)) == (by_unit if equity >= 0 else equity * D(debt) / 100)


def test_a_position_ends_where_the_debt_eats_the_other_assets() -> None:
    """Long 1@60000, MMR 0.4 %, wallet 1000, 5700 of others: 1000 + p - 60000 + 5700 = 0.004 p: p = 53300 / 0.996.

    There the wallet and its PnL are 1000 - 6485.94 < 0, so that the ratio of 0.9 counts for nothing.
    """
    tiers = (Tier(D(0), D("0.004"), D(125), D(0)),)
    found = shared_liquidation_price(tiers, [(D(1), D(60000))], D(1000), D(5700), ratios(("0", "0.9")))
    assert found is not None and found.quantize(D("0.00001")) == (D(53300) / D("0.996")).quantize(D("0.00001"))


def test_a_position_with_nothing_beside_it_ends_where_its_own_asset_counts_too_little() -> None:
    """0.9 x (10000 + p - 60000) = 0.004 p: p = 45000 / 0.896 = 50223.21, where 223.21 are left of the wallet."""
    tiers = (Tier(D(0), D("0.004"), D(125), D(0)),)
    found = shared_liquidation_price(tiers, [(D(1), D(60000))], D(10000), D(0), ratios(("0", "0.9")))
    assert found is not None and found.quantize(D("0.01")) == D("50223.21")
    short = shared_liquidation_price(tiers, [(D(-1), D(-60000))], D(10000), D(0), ratios(("0", "0.9")))
    # 0.9 x (10000 - p + 60000) = 0.004 p: p = 63000 / 0.904
    assert short is not None and short.quantize(D("0.01")) == D("69690.27")


def test_one_mark_moves_both_sides_of_a_hedge() -> None:
    """Long 3@100 and short 1@100, MMR 1 %, wallet 50: 50 + 2 (p - 100) = 0.04 p: p = 150 / 1.96. With 10 of others
    that count in full, once the wallet is owed: p = 140 / 1.96."""
    tiers, legs = (Tier(D(0), D("0.01"), D(50), D(0)),), [(D(3), D(300)), (D(-1), D(-100))]
    alone = shared_liquidation_price(tiers, legs, D(50), D(0), ratios(("0", "1")))
    beside = shared_liquidation_price(tiers, legs, D(50), D(10), ratios(("0", "1")))
    assert alone is not None and alone.quantize(D("1e-9")) == (D(150) / D("1.96")).quantize(D("1e-9"))
    assert beside is not None and beside.quantize(D("1e-9")) == (D(140) / D("1.96")).quantize(D("1e-9"))


def test_a_hedge_that_is_nearly_even_ends_where_its_maintenance_has_risen() -> None:
    """Long 10@100 and short 9.99@100, MMR 1 %, wallet 101, which counts nine tenths:
    0.9 (101 + 0.01 (p - 100)) = 0.1999 p: p = 90 / 0.1909. In full it would be 100 / 0.1899, later."""
    tiers, legs = (Tier(D(0), D("0.01"), D(50), D(0)),), [(D(10), D(1000)), (D("-9.99"), D(-999))]
    found = shared_liquidation_price(tiers, legs, D(101), D(0), ratios(("0", "0.9")))
    assert found is not None and found.quantize(D("1e-9")) == (D(90) / D("0.1909")).quantize(D("1e-9"))


@given(
    st.integers(-50, 50).filter(bool), st.integers(0, 3000), st.integers(0, 3000), st.integers(70, 130), st.booleans()
)
def test_at_the_price_that_both_sides_name_the_account_covers_its_maintenance_exactly(
    lots: int, usdt: int, usdc: int, percent: int, both: bool
) -> None:
    """Both ledgers, random positions: they name one price, and there equity = maintenance, by the page's formula."""
    venue, ours = venue_side(str(usdt), str(usdc), held=False), OurSide(str(usdt), str(usdc), held=False)
    price, qty = MARKS["BTCUSDT"] * percent / 100, D(lots) / 100
    venue.open_position(BTC, qty, price)
    ours.fill("BTCUSDT", "buy" if lots > 0 else "sell", str(abs(qty)), price)
    if both:
        venue.open_position(ETH, D(2), D(550))
        ours.fill("ETHUSDC", "buy", "2", D(550))
    ours.portfolio.marks["v", "BTCUSDT"], ours.portfolio.marks["v", "ETHUSDC"] = 20000.0, 600.0
    position = venue.position("BTCUSDT")
    assert position is not None
    found = Maintenance(venue).liquidation_price(position)
    assert found == ours.margin.liquidation_price("v", "BTCUSDT")
    assert abs(venue.free("USDT") - ours.margin.free("v", "USDT")) < D("1e-20")
    if found is not None:
        gain = D(100 if both else 0)  # 2 x (600 - 550)
        own = D(usdt) + qty * (found - price)
        equity = min(own * D("0.9801"), own * D("0.99495")) + usdc + gain
        kept = abs(qty) * found * D("0.008") * D("0.99495") + (12 if both else 0)
        assert abs(equity - kept) < D("1e-20")


def test_after_a_liquidation_what_all_assets_are_worth_is_never_below_zero() -> None:
    """-300 USDT x 0.99 + 220 USDC = -77: the venue bears 77 / 0.99 = 77.78 USDT, and the account is worth nothing."""
    account = venue_side("-300", held=False)
    borne = account.floor_wallet("USDT")
    assert borne.quantize(D("0.01")) == D("77.78")
    assert abs(account.balances["USDT"] * D("0.99") + account.balances["USDC"]) < D("1e-15")
    assert venue_side("-100", held=False).floor_wallet("USDT") == 0  # 220 - 99 are left


@pytest.mark.parametrize(
    ("mode", "usdt", "holds", "case"),
    [
        ("isolated", "200", False, "shared_isolated"),
        ("cross", "-1", False, "shared_negative"),
        ("cross", "200", True, "shared_in_use"),
        ("cross", "200", False, None),
    ],
)
def test_sharing_is_refused_where_the_venue_does(mode: Any, usdt: str, holds: bool, case: str | None) -> None:
    account = VenueAccount("linear", {"USDT": D(usdt)}, leverage={}, margin_mode=mode)
    if holds:
        account.holds.set_aside("o", "USDT", D(1))
    assert account.set_collateral(SharedCollateral(TERMS, PRICES)) == case


def test_a_shared_account_does_not_become_isolated_nor_shared_twice() -> None:
    account = venue_side(held=False)
    assert account.set_margin_mode("isolated") == "isolated_shared"
    assert account.set_collateral(SharedCollateral(TERMS, PRICES)) == "shared_same"
    assert account.set_collateral(None) is None


def test_an_asset_is_worth_what_was_said_else_its_peg_else_its_symbols_price() -> None:
    """The currency is 1; USDC as said; FDUSD a dollar as USDT is; ETH by its symbol in USDC; nobody prices XYZ."""
    symbols = [PricedSymbol("ETHBTC", "ETH", "BTC"), PricedSymbol("ETHUSDC", "ETH", "USDC")]
    found = asset_prices(["USDT", "USDC", "FDUSD", "ETH", "XYZ"], "USDT", symbols, {"USDC": D("1.01")},
                         ["USDT", "FDUSD"])  # fmt: skip
    assert found == {
        "USDT": AssetPrice(D(1)),
        "USDC": AssetPrice(D("1.01")),
        "FDUSD": AssetPrice(D(1)),
        "ETH": AssetPrice(D("1.01"), "ETHUSDC"),
    }
