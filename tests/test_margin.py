"""Margin formulas against the numbers printed in venues.md section 8, and against the condition they solve."""

from __future__ import annotations

from decimal import Decimal, localcontext
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.venues import load_rules
from core.margin import (
    Tier,
    Tiers,
    WrittenTier,
    bankruptcy_price,
    funding_rate,
    largest_notional,
    liquidation_price,
    liquidation_price_at_entry,
    maintenance_margin,
    order_margin,
    order_margin_with_fees,
    tiers_at,
    tiers_of,
)

D = Decimal
BTC = [("0", "0.004", "150"), ("300000", "0.005", "100"), ("800000", "0.0065", "75"), ("3000000", "0.01", "50"),
       ("12000000", "0.02", "25"), ("70000000", "0.025", "20")]  # fmt: skip
"""BTCUSDT of venues.md section 8, its maintenance amounts left out."""
CLAMP = D("0.0005")


def tiers(*rows: tuple[str, str, str]) -> Tiers:
    return tiers_of(WrittenTier(D(floor), D(mmr), D(leverage)) for floor, mmr, leverage in rows)


def flat(mmr: str, cum: str = "0") -> Tiers:
    """One tier for every notional."""
    return (Tier(D(0), D(mmr), D(100), D(cum)),)


def test_maintenance_amounts_that_are_left_out_follow_from_the_tiers() -> None:
    """cum 0, 300, 1500, 12000, 132000, 482000 as printed; by hand 300 = 300000 x (0.005 - 0.004)."""
    assert [tier.cum for tier in tiers(*BTC)] == [D(0), D(300), D(1500), D(12000), D(132000), D(482000)]


def test_the_stored_brackets_of_btcusdt_are_those_of_the_contract_and_go_on_without_a_jump() -> None:
    """Where a tier begins, both tiers give the same maintenance margin: that is what cum is for."""
    rules = load_rules("binance-usdm")
    newest = tiers_at(rules.brackets["BTCUSDT"], None)
    assert newest[:6] == tiers(*BTC)
    for dated in rules.brackets.values():
        for one in dated:
            stored = tiers_of(one.tiers)
            for below, tier in pairwise(stored):
                assert tier.floor * below.mmr - below.cum == tier.floor * tier.mmr - tier.cum


def test_the_recorded_brackets_of_2024_are_stored_as_they_were(shared: Path) -> None:
    """Every floor, rate, leverage and amount of the four symbols, read apart from our file."""
    import gzip
    import json

    path = shared / "data" / "leverage" / "binance-usdm" / "leverage_tiers.2024-10-24.json.gz"
    recorded = json.loads(gzip.decompress(path.read_bytes()))
    rules = load_rules("binance-usdm")
    for symbol, dated in rules.brackets.items():
        rows = recorded[f"{symbol.removesuffix('USDT')}/USDT:USDT"]
        expected = [
            (row["minNotional"], row["maintenanceMarginRate"], row["maxLeverage"], float(row["info"]["cum"]))
            for row in rows
        ]
        found = tiers_at(dated, 1_735_689_600_000_000_000)  # 2025-01-01
        assert [(float(t.floor), float(t.mmr), float(t.max_leverage), float(t.cum)) for t in found] == expected


@pytest.mark.parametrize(
    ("notional", "margin"),
    [("299999", "1199.996"), ("300000", "1200"), ("300001", "1200.005"), ("1000000", "5000"), ("12000000", "108000")],
)
def test_maintenance_margin_is_notional_times_rate_less_the_amount(notional: str, margin: str) -> None:
    """300001 x 0.005 - 300 = 1200.005; 1000000 x 0.0065 - 1500 = 5000; 12000000 x 0.02 - 132000 = 108000."""
    assert maintenance_margin(tiers(*BTC), D(notional)) == D(margin)


@pytest.mark.parametrize(
    ("known", "qty", "entry", "balance", "price"),
    [
        # WB - TMM + UPNL of the other position; digits as the venue prints them
        (flat("0.1", "135365"), "3683.979", "1456.84", D("1535443.01") - D("71200.81144") - D("56354.57"), "1153.26"),
        (flat("0.025", "16300"), "109.488", "32481.98", D("1535443.01") - D("356512.508") - D("448192.89"), "26316.89"),
        (tiers(*BTC), "2", "60000", D(6000), "57228.91566"),
        (tiers(*BTC), "-2", "60000", D(6000), "62749.00398"),
        (flat("0.005"), "1", "20000", D(400), "19698.49246"),
        (flat("0.005"), "-1", "20000", D(400), "20298.50746"),  # (20000 x 1.02) / 1.005
    ],
)
def test_liquidation_prices_are_those_printed(known: Tiers, qty: str, entry: str, balance: Decimal, price: str) -> None:
    found = liquidation_price(known, D(qty), D(qty) * D(entry), balance)
    assert found is not None
    assert found.quantize(D(price)) == D(price)


@pytest.mark.parametrize(
    ("qty", "price"),
    [("1", "19700"), ("-1", "20300")],
)
def test_the_older_form_takes_maintenance_at_entry_value(qty: str, price: str) -> None:
    """20000 -/+ (400 - 100) = 19700 and 20300: venues.md section 8 prints the first."""
    assert liquidation_price_at_entry(flat("0.005"), D(qty), D(qty) * 20000, D(400)) == D(price)


def test_a_long_that_is_paid_in_full_has_no_liquidation_price() -> None:
    """Leverage 1: LP = (60000 - 60000) / ... = 0, and a price of 0 is none. So is one of unknown brackets."""
    assert liquidation_price(tiers(*BTC), D(1), D(60000), D(60000)) is None
    assert liquidation_price((), D(1), D(60000), D(600)) is None
    assert liquidation_price_at_entry(flat("0.005"), D(1), D(100), D(200)) is None


def test_the_tier_is_the_one_of_the_notional_at_the_liquidation_price() -> None:
    """Short 4.9 @ 60000 (294000, tier 1) 20x: at the LP its notional is 307177, tier 2.

    (14700 + 300 + 294000) / (4.9 x 1.005) = 62747.487...; tier 1 would give 308700 / (4.9 x 1.004) = 62749.004.
    """
    found = liquidation_price(tiers(*BTC), D("-4.9"), D(-294000), D(14700))
    assert found is not None
    assert found.quantize(D("0.001")) == D("62747.487")


def test_closing_at_the_bankruptcy_price_costs_all_that_stands_behind_the_position() -> None:
    """60000 -/+ 6000 / 2."""
    assert bankruptcy_price(D(2), D(120000), D(6000)) == D(57000)
    assert bankruptcy_price(D(-2), D(-120000), D(6000)) == D(63000)


def test_order_margins_of_both_families_are_those_printed() -> None:
    """1 @ 1000, 10x: 100; with fees 100 + 0.55 + 900 x 0.00055 = 101.045; a seller's bankruptcy price is 1100."""
    assert order_margin(D(1000), D(1), D(10)) == D(100)
    taker = D("0.00055")
    assert order_margin_with_fees(D(1000), D(1), D(10), taker, buys=True) == D("101.045")
    assert order_margin_with_fees(D(1000), D(1), D(10), taker, buys=False) == D("101.155")  # 100 + 0.55 + 0.605


@pytest.mark.parametrize(
    ("premium", "hours", "divides", "rate"),
    [
        ("0.0004", 8, True, "0.0001"),
        ("0.0004", 4, True, "0.00005"),
        ("0.0012", 8, True, "0.0007"),
        ("0.0012", 4, True, "0.00035"),
        ("0.0012", 4, False, "0.0007"),  # before 2025-09-18 08:01 UTC
        ("-0.0012", 8, True, "-0.0007"),  # interest pulls up by 0.05 % at most
        ("0.0001", 8, True, "0.0001"),
    ],
)
def test_funding_rates_are_those_printed(premium: str, hours: int, divides: bool, rate: str) -> None:
    found = funding_rate(D(premium), D("0.0001"), hours, clamp=CLAMP, divides=divides)
    assert found == D(rate)


def test_a_funding_rate_ends_at_its_cap_and_at_its_floor() -> None:
    """Capped after the division: 3 % / 2 is above 1 %, and -3 % below -0.75 %."""
    bounds = {"clamp": CLAMP, "divides": True, "cap": D("0.01"), "floor": D("-0.0075")}
    assert funding_rate(D("0.03"), D("0.0001"), 4, **bounds) == D("0.01")
    assert funding_rate(D("-0.03"), D("0.0001"), 4, **bounds) == D("-0.0075")


@pytest.mark.parametrize(("leverage", "most"), [("150", "300000"), ("100", "800000"), ("20", None), ("151", "0")])
def test_a_position_may_grow_until_a_tier_allows_less_leverage(leverage: str, most: str | None) -> None:
    """100x is allowed in the first two tiers, 151x in none."""
    assert largest_notional(tiers(*BTC), D(leverage)) == (None if most is None else D(most))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(-4_000_000, 4_000_000).filter(bool),
    st.integers(1, 20_000_000),
    st.integers(1, 125),
)
def test_at_the_liquidation_price_what_is_left_is_the_maintenance_margin(steps: int, ticks: int, leverage: int) -> None:
    """margin + q x (LP - EP) = maintenance(|q| x LP) for random positions over all tiers, and it is short beyond."""
    qty, entry = steps * D("0.001"), ticks * D("0.01")
    known = tiers(*BTC)
    with localcontext(prec=60):
        value = qty * entry
        margin = abs(value) / leverage
        price = liquidation_price(known, qty, value, margin)
        if price is None:
            assert qty > 0
            assert margin >= value
            return

        def spare(mark: Decimal) -> Decimal:
            return margin + qty * mark - value - maintenance_margin(known, abs(qty) * mark)

        tiny = price * D("1e-20")
        assert abs(spare(price)) <= abs(qty) * tiny
        away = tiny if qty > 0 else -tiny
        assert spare(price - away) < 0 < spare(price + away)
