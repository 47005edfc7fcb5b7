"""Floats onto an instrument's tick, against exact fractions: a price that is on the grid stays there."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from hypothesis import example, given
from hypothesis import strategies as st

from core.instruments import Instrument
from flat_fees import flat

D = Decimal
DECIMALS = st.integers(0, 8)
TICKS = st.integers(1, 10**12)


def on_tick(decimals: int) -> Instrument:
    return Instrument("venue", "X", D(1).scaleb(-decimals), D(1), "X", "USDT", fees=flat(D(0), D(0)))


@given(TICKS, DECIMALS)
@example(60_000_001, 3)  # 60000.001: the quotient of floats lies 7e-9 tick below 60000001
@example(100_000_003, 5)
def test_a_price_on_the_tick_is_not_rounded_away_from_us(ticks: int, decimals: int) -> None:
    instrument, price = on_tick(decimals), ticks / 10.0**decimals
    exact = D(ticks).scaleb(-decimals)
    assert instrument.price_away(price, "buy") == exact
    assert instrument.price_away(price, "sell") == exact


@given(st.integers(10**4, 10**12), DECIMALS)
def test_a_basis_point_on_a_price_is_rounded_as_exact_arithmetic_rounds_it(ticks: int, decimals: int) -> None:
    """One basis point of n ticks is n / 10,000 ticks: it is on the grid, or a ten-thousandth of a tick off."""
    instrument, price = on_tick(decimals), ticks / 10.0**decimals
    more, less = Fraction(ticks) * Fraction(10001, 10000), Fraction(ticks) * Fraction(9999, 10000)
    bought, sold = instrument.price_away(price * 1.0001, "buy"), instrument.price_away(price * 0.9999, "sell")
    if ticks < 10**10:  # beyond, a float cannot tell a ten-thousandth of a tick
        assert (bought, sold) == (D(ceil(more)).scaleb(-decimals), D(floor(less)).scaleb(-decimals))
    assert abs(Fraction(bought) * 10**decimals - more) <= 1 and abs(Fraction(sold) * 10**decimals - less) <= 1
