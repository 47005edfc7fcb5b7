"""F8's geometry: the path of a bar, what lies strictly through a price, and when it is crossed."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.bars.bar_path import BarPath, Segment
from sim.models.bars import PathKind, path_of

D = 60
"""A bar of 60 ns from time 0: legs of 20."""


@pytest.mark.parametrize(
    ("kind", "bar", "position", "path"),
    [
        # |H-O| < |O-L|: O,H,L,C; >: O,L,H,C; equal: O,L,H,C if C >= O, else O,H,L,C.
        ("adaptive", (100, 101, 98, 99), 0, "OHLC"),
        ("adaptive", (100, 104, 99, 103), 0, "OLHC"),
        ("adaptive", (100, 102, 98, 101), 0, "OLHC"),
        ("adaptive", (100, 102, 98, 100), 0, "OLHC"),
        ("adaptive", (100, 102, 98, 99), 0, "OHLC"),
        ("fixed_ohlc", (100, 104, 99, 103), 0, "OHLC"),
        ("fixed_olhc", (100, 101, 98, 99), 0, "OLHC"),
        # For a long the low hurts, for a short the high; flat is as adaptive.
        ("worst", (100, 101, 98, 99), 1, "OLHC"),
        ("worst", (100, 104, 99, 103), -1, "OHLC"),
        ("worst", (100, 104, 99, 103), 0, "OLHC"),
    ],
)
def test_the_path_of_a_bar(kind: PathKind, bar: tuple[int, int, int, int], position: int, path: str) -> None:
    names = dict(zip("OHLC", bar, strict=True))
    assert path_of(kind, *bar, position) == tuple(names[letter] for letter in path)


def test_vertices_stand_at_thirds_and_the_price_is_linear_between_them() -> None:
    """100, 99, 104, 103 over 60: at 5 a quarter of the first leg is walked, at 28 two fifths of the second."""
    path = BarPath((100, 99, 104, 103), 0, D)
    assert (path.times, path.walked, path.length) == ((0, 20, 40, 60), (0, 1, 6, 7), 7)
    prices = {0: 100, 5: Fraction(399, 4), 20: 99, 28: 101, 40: 104, 50: Fraction(207, 2), 60: 103}
    assert {at: path.price_at(at) for at in prices} == prices


def test_thirds_of_an_interval_that_is_no_multiple_of_three_are_truncated() -> None:
    assert BarPath((1, 2, 3, 4), 7, 100).times == (7, 40, 73, 107)


def test_a_leg_is_a_third_of_the_interval_even_where_that_is_no_whole_number() -> None:
    """Three quarters of the first leg are a quarter of the interval, a quarter of the second five twelfths of it."""
    path = BarPath((100, 96, 108, 104), 0, 1000)
    assert (path.first_touch(97, -1, 0), path.price_at(250)) == (250, 97)
    assert path.first_touch(99, 1, 334) == 416
    assert BarPath((100, 96, 108, 104), 0, 1200).first_touch(99, 1, 400) == 500


# The contract's example: O100 H104 L99 C103, path 100,99,104,103, P = 7. In half points, so that 99.5 is a whole one.
EXAMPLE = BarPath((200, 198, 208, 206), 0, D)


def test_the_contracts_example_has_a_length_of_one_through_99_5() -> None:
    """Below 99.5 from 10 (half of leg one) to 22: 0.5 down and 0.5 up of P = 7."""
    (segment,) = EXAMPLE.through(199, 1, 0)
    assert segment == Segment(10, 1, 3)
    assert Fraction(segment.end - segment.begin, EXAMPLE.length) == Fraction(1, 7)


@pytest.mark.parametrize(
    ("limit", "sign", "since", "segments"),
    [
        (198, 1, 0, []),  # touching the low exactly fills nothing
        (208, -1, 0, []),  # nor touching the high
        (199, 1, 22, []),  # arrived when it was over
        (199, 1, 20, [Segment(20, 2, 3)]),  # at the low
        (199, 1, 15, [Segment(15, Fraction(3, 2), 3)]),  # half way down from 199
        (207, -1, 0, [Segment(38, 11, 13)]),
        (200, 1, 0, [Segment(0, 0, 4)]),  # a buyer at the open: strictly below it at once
        (203, 1, 0, [Segment(0, 0, 7)]),
        (206, 1, 0, [Segment(0, 0, 10)]),  # the end at 206 exactly is not through
        (207, 1, 0, [Segment(0, 0, 11), Segment(50, 13, 14)]),  # twice: before the high and after it
        (500, 1, 0, [Segment(0, 0, 14)]),
        (1, -1, 33, [Segment(33, 2 + Fraction(13, 2), 14)]),
    ],
)
def test_stretches_strictly_through_a_price(limit: int, sign: int, since: int, segments: list[Segment]) -> None:
    assert EXAMPLE.through(limit, sign, since) == segments


def test_a_bar_without_a_path_has_its_volume_at_its_one_price() -> None:
    still = BarPath((100, 100, 100, 100), 0, D)
    assert still.through(101, 1, 7) == [Segment(7, 0, 1)]
    assert still.through(100, 1, 7) == still.through(100, -1, 7) == []


@pytest.mark.parametrize(
    ("trigger", "sign", "since", "at"),
    [
        (199, -1, 0, 10),  # falls to 199 half way through leg one
        (198, -1, 0, 20),  # a touch is enough for a trigger
        (197, -1, 0, None),
        (203, 1, 0, 30),
        (208, 1, 0, 40),
        (209, 1, 0, None),
        (200, 1, 0, 0),  # already there: at once (the gap rule)
        (199, -1, 21, 21),  # 198.5 at 21
        (199, -1, 23, None),
        (207, -1, 45, 50),
    ],
)
def test_when_a_trigger_is_met(trigger: int, sign: int, since: int, at: int | None) -> None:
    assert EXAMPLE.first_touch(trigger, sign, since) == at


# --- against brute force --------------------------------------------------------------------------------------------

FINE = 6
"""Points per unit of time in the brute force; legs are 20 units of time and prices whole, so 120 points a leg."""
PRICES = st.integers(90, 110)
BARS = st.tuples(PRICES, PRICES, PRICES, PRICES)


def exact_price(prices: tuple[int, int, int, int], at: Fraction) -> Fraction:
    """By definition: linear on each leg of 20."""
    leg = min(2, int(at // 20))
    return prices[leg] + Fraction(prices[leg + 1] - prices[leg]) * (at - 20 * leg) / 20


@settings(max_examples=150)
@given(BARS, PRICES, st.sampled_from([1, -1]), st.integers(0, 60))
def test_segments_agree_with_a_fine_grid(prices: tuple[int, int, int, int], limit: int, sign: int, since: int) -> None:
    """Inside: strictly through. In total: the length of the grid's cells that are through, up to one cell per end."""
    path = BarPath(prices, 0, D)
    segments = path.through(limit, sign, since)
    if path.flat:
        assert (segments == []) == (sign * prices[0] >= sign * limit)
        return
    points = [Fraction(n, FINE) for n in range(since * FINE, 60 * FINE + 1)]
    through, coarse = Fraction(0), Fraction(0)
    for a, b in pairwise(points):
        pa, pb = exact_price(prices, a), exact_price(prices, b)
        coarse = max(coarse, abs(pb - pa))
        if sign * (pa + pb) / 2 < sign * limit:
            through += abs(pb - pa)
    total = sum((s.end - s.begin for s in segments), Fraction(0))
    assert abs(total - through) <= 4 * coarse
    for one, after in pairwise(segments):
        assert one.end <= after.begin and one.at < after.at
    for segment in segments:
        assert 0 <= segment.begin < segment.end <= path.length and since <= segment.at <= 60
        for share in (Fraction(1, 7), Fraction(1, 2), Fraction(6, 7)):
            walked = segment.begin + (segment.end - segment.begin) * share
            assert sign * price_after(path, walked) < sign * limit


def price_after(path: BarPath, walked: Fraction) -> Fraction:
    """The price after so much of the path."""
    for leg in range(3):
        if walked <= path.walked[leg + 1] and path.walked[leg + 1] > path.walked[leg]:
            step = 1 if path.prices[leg + 1] > path.prices[leg] else -1
            return path.prices[leg] + step * (walked - path.walked[leg])
    return Fraction(path.prices[3])


@settings(max_examples=150)
@given(BARS, PRICES, st.sampled_from([1, -1]), st.integers(0, 60))
def test_a_trigger_is_met_at_the_first_moment_the_price_is_there(
    prices: tuple[int, int, int, int], trigger: int, sign: int, since: int
) -> None:
    """Not before (to the nanosecond, which is truncated), and not later."""
    at = BarPath(prices, 0, D).first_touch(trigger, sign, since)
    met = [n for n in range(since, 61) if sign * exact_price(prices, Fraction(n)) >= sign * trigger]
    if at is None:
        assert not met
        return
    assert since <= at <= 60
    assert all(n >= at for n in met)
    assert not met or met[0] in (at, at + 1)
