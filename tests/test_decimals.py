"""Numbers and times as files write them, against Python's own Decimal and the examples of the contract."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import decimals, times
from adapters.decimals import BadCell, Decimals

NUMBER = st.decimals(min_value=-(10**9), max_value=10**9, places=8, allow_nan=False, allow_infinity=False)
WRITTEN = ("{:f}", "{:+f}", "{:e}", " {:f} ", "{:.8f}")


@given(st.lists(st.tuples(NUMBER, st.sampled_from(WRITTEN)), min_size=1, max_size=20))
def test_text_becomes_the_decimal_it_says(cells: list[tuple[Decimal, str]]) -> None:
    """Whatever way a number is written, mantissa x 10^-scale is that number, at the smallest common scale."""
    texts = [how.format(number) for number, how in cells]
    column = decimals.from_strings(texts)
    exact = [Decimal(text.strip()) for text in texts]
    assert [Decimal(int(m)).scaleb(-column.scale) for m in column.mantissas] == exact
    finest = max(max(0, -int(number.normalize().as_tuple().exponent)) for number in exact)
    assert column.scale == finest


@given(st.lists(st.integers(1, 10**14), min_size=1, max_size=20), st.integers(0, 8))
def test_floats_become_the_decimals_they_stand_for(mantissas: list[int], scale: int) -> None:
    """A float made from k decimals gives back those decimals, and each mantissa gives back the float."""
    floats = np.array([float(Decimal(m).scaleb(-scale)) for m in mantissas])
    column, noisy = decimals.from_floats(floats)
    assert noisy == 0 and column.scale <= scale
    assert [Decimal(int(m)).scaleb(-column.scale) for m in column.mantissas] == [
        Decimal(m).scaleb(-scale) for m in mantissas
    ]
    assert (column.mantissas / 10.0**column.scale).tolist() == floats.tolist()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 1e-300])
def test_floats_that_are_no_decimals_are_refused(value: float) -> None:
    """NaN, infinity, and what twelve decimals and 53 bits cannot hold."""
    with pytest.raises(BadCell):
        decimals.from_floats(np.array([1.0, value]))


@pytest.mark.parametrize(
    ("written_as", "expected"),
    [
        ("1735689600010866", 1735689600_010866_000),  # venues.md section 1: spot, us
        ("1498793709153", 1498793709_153_000_000),  # the same place: ms
        ("1498793709", 1498793709_000_000_000),
        ("1498793709153000001", 1498793709_153000001),
        ("1498793709.153", 1498793709_153_000_000),
        ("1498793709153.0", 1498793709_153_000_000),
    ],
)
def test_unit_of_an_epoch_number_is_told_by_its_size(written_as: str, expected: int) -> None:
    """>= 1e18 ns, >= 1e15 us, >= 1e12 ms, >= 1e9 s; fractions count."""
    assert times.from_numbers(decimals.from_strings([written_as])).tolist() == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-01", 1735689600_000000000),
        ("2025-01-01 00:00:00.010866", 1735689600_010866000),
        ("2025-01-01T00:00:00.010866123Z", 1735689600_010866123),
        ("2025-01-01T02:00:00+02:00", 1735689600_000000000),
        ("2025-01-01 00:00:00 UTC", 1735689600_000000000),
    ],
)
def test_iso_times_are_utc_unless_they_say_otherwise(text: str, expected: int) -> None:
    """To the nanosecond."""
    assert times.from_iso([text]).tolist() == [expected]


def test_numbers_that_share_no_scale_are_refused() -> None:
    """10^17 beside eight decimals would need 25 digits; each alone is fine."""
    with pytest.raises(BadCell, match="needs more than 18 digits beside values with 8 decimals"):
        decimals.from_strings(["0.00000001", "100000000000000000"])
    with pytest.raises(BadCell, match="beside"):
        decimals.joined([decimals.from_strings(["0.00000001"]), decimals.from_strings(["100000000000000000"])])
    padded = decimals.from_strings(["999999999999.00000000", "12.50000000"])
    assert padded.scale == 1 and padded.mantissas.tolist() == [9_999_999_999_990, 125]


def test_reduced_drops_the_zeros_all_rows_share() -> None:
    """And not one more."""
    assert decimals.reduced(Decimals(np.array([1000, 2500]), 3)).scale == 1
    assert decimals.reduced(Decimals(np.array([0, 0]), 3)).scale == 0
    assert decimals.reduced(Decimals(np.array([1000, 2001]), 3)).scale == 3
