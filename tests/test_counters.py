"""What a venue counts, and when it has had enough: windows, weights, credits (venues.md section 5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.venues import load_rules
from core.notation import interval_ns
from core.settings.decode import decode
from core.settings.yaml_nodes import parse
from sim.models import SimulationConfig
from sim.models.rate_limits import NoRateLimits, VenueRateLimits
from sim.order_entry.counters import Counters

S = 10**9
APRIL_2026 = 1_775_088_000 * S
"""2026-04-02T00:00:00Z: from then on a successful spot order weighs nothing."""


def spot(**chosen: Any) -> Counters:
    return Counters(load_rules("binance-spot"), VenueRateLimits(**chosen))


def usdm(**chosen: Any) -> Counters:
    return Counters(load_rules("binance-usdm"), VenueRateLimits(**chosen))


def place(counters: Counters, at: int) -> str | None:
    """One order that is accepted if the limits allow it; the case of the refusal."""
    refusal = counters.request("submit", at)
    if refusal is None:
        counters.succeeded("submit", at)
        return None
    return refusal.case


def test_windows_are_fixed_and_aligned_to_their_length() -> None:
    """Three orders at 9.9 s, one at 10 s: the window of 10 s begins anew, the minute and the day go on."""
    counters = spot()
    for _ in range(3):
        place(counters, 9_900_000_000)
    place(counters, 10 * S)
    assert counters.at(10 * S) == {"orders_10s": 1, "orders_1m": 4, "orders_1d": 4, "weight_1m": 4}
    assert counters.at(60 * S) == {"orders_10s": 0, "orders_1m": 0, "orders_1d": 4, "weight_1m": 0}
    assert counters.at(86_400 * S)["orders_1d"] == 0


def test_one_order_too_many_is_refused_until_the_next_window() -> None:
    counters = spot(orders={"10s": 2})
    assert [place(counters, at * S) for at in (1, 2, 9, 10)] == [None, None, "order_rate", None]


def test_a_refused_order_is_counted_in_no_window() -> None:
    """Where the day is full, the ten seconds are not raised either."""
    counters = spot(orders={"10s": 50, "1d": 1})
    place(counters, 0)
    assert place(counters, 20 * S) == "order_rate"
    assert counters.at(20 * S)["orders_10s"] == 0
    assert counters.at(20 * S)["orders_1d"] == 1


def test_the_refusal_names_the_limit_and_its_interval() -> None:
    counters = spot(orders={"10s": 1})
    place(counters, 0)
    refusal = counters.request("submit", 0)
    assert refusal is not None
    assert (refusal.code, refusal.message) == (-1015, "Too many new orders; current limit is 1 orders per 10 SECOND.")


def test_taker_orders_count_until_they_trade() -> None:
    """The first worked example of the venue's page: A, B, B fills at once, C, D fills at once: 1 2 1 2 3 2."""
    counters, seen = spot(), []
    for fills in (False, True, False, True):
        place(counters, 0)
        seen.append(counters.at(0)["orders_10s"])
        if fills:
            counters.first_fill("taker", 0)
            seen.append(counters.at(0)["orders_10s"])
    assert seen == [1, 2, 1, 2, 3, 2]


def test_a_first_fill_as_maker_gives_five_back_and_never_below_zero() -> None:
    """The second worked example: five orders, A fills: 0; F and G: 2; B fills: 0, not -3; H: 1."""
    counters, seen = spot(), []
    for step in ("place",) * 5 + ("fill", "place", "place", "fill", "place"):
        if step == "place":
            place(counters, 0)
        else:
            counters.first_fill("maker", 0)
        seen.append(counters.at(0)["orders_10s"])
    assert seen == [1, 2, 3, 4, 5, 0, 1, 2, 0, 1]


def test_a_fill_gives_back_of_the_current_windows_whenever_its_order_was_placed() -> None:
    """Placed on day 0, filled on day 1: the counts of day 1 go down."""
    counters, day = spot(), 86_400 * S
    place(counters, 0)
    for _ in range(10):
        place(counters, day)
    counters.first_fill("maker", day)
    assert counters.at(day)["orders_1d"] == 5


def test_the_credits_can_be_chosen() -> None:
    counters = spot(taker_fill_credit=0, maker_fill_credit=2)
    for _ in range(3):
        place(counters, 0)
    counters.first_fill("taker", 0)
    assert counters.at(0)["orders_10s"] == 3
    counters.first_fill("maker", 0)
    assert counters.at(0)["orders_10s"] == 1


def test_usdm_gives_nothing_back() -> None:
    counters = usdm()
    place(counters, 0)
    counters.first_fill("maker", 0)
    assert counters.at(0)["orders_10s"] == 1


def test_a_successful_spot_order_weighs_nothing_since_april_2026() -> None:
    """Before that 1; a refused one still weighs 1, and so does a cancel of nothing."""
    for since, placed in ((APRIL_2026 - 1, 1), (APRIL_2026, 0)):
        counters = spot()
        place(counters, since)
        assert counters.at(since)["weight_1m"] == placed
        counters.request("cancel", since)
        assert counters.at(since)["weight_1m"] == placed + 1


@pytest.mark.parametrize(("kind", "weight", "orders"), [("submit", 0, 1), ("cancel", 1, 0), ("amend", 0, 1)])
def test_usdm_orders_weigh_nothing_and_cancels_one(kind: Any, weight: int, orders: int) -> None:
    counters = usdm()
    assert counters.request(kind, 0) is None
    counters.succeeded(kind, 0)
    assert counters.at(0) == {"orders_10s": orders, "orders_1m": orders, "orders_1d": orders, "weight_1m": weight}


def test_too_much_weight_is_refused_and_still_weighs() -> None:
    """An amend of spot weighs 4: two of them fit below 10, the third makes 12."""
    counters = spot(weight={"1m": 10})
    assert [counters.request("amend", 0) is None for _ in range(3)] == [True, True, False]
    refusal = counters.request("amend", 0)
    assert refusal is not None
    assert refusal.code == -1003
    assert refusal.message.startswith("Too much request weight used; current limit is 10 request weight per 1 MINUTE.")
    assert counters.at(0)["weight_1m"] == 16
    assert counters.request("amend", 60 * S) is None


def test_bybit_counts_each_kind_of_request_in_the_second_just_past() -> None:
    """Linear: 10 creates a second. The eleventh waits until the first is a second old; cancels have their own ten."""
    counters = Counters(load_rules("bybit-linear"), VenueRateLimits())
    ms = 10**6
    assert [counters.request("submit", at * ms) is None for at in range(500, 510)] == [True] * 10
    refusal = counters.request("submit", 1_499 * ms)
    assert refusal is not None
    assert (refusal.code, refusal.message) == (10006, "Too many visits. Exceeded the API Rate Limit.")
    assert counters.request("cancel", 1_499 * ms) is None
    assert counters.request("submit", 1_500 * ms) is None
    assert counters.request("submit", 1_500 * ms) is not None


def test_bybit_spot_takes_twenty_creates_a_second() -> None:
    counters = Counters(load_rules("bybit-spot"), VenueRateLimits())
    assert [counters.request("submit", 0) is None for _ in range(21)] == [True] * 20 + [False]


def test_bybit_turns_an_address_away_after_600_requests_in_five_seconds() -> None:
    counters = Counters(load_rules("bybit-spot"), VenueRateLimits(orders={"1s": 10_000}))
    refusals = [counters.request("submit", 0) for _ in range(601)]
    assert refusals[:600] == [None] * 600
    assert refusals[600] is not None
    assert refusals[600].code == 403


@pytest.mark.parametrize(
    ("venue", "limits"),
    [
        ("binance-spot", {"10s": 50, "1d": 160_000}),
        ("binance-usdm", {"10s": 300, "1m": 1200}),
        ("bybit-linear", {"1s": 10}),
        ("bybit-spot", {"1s": 20}),
    ],
)
def test_the_venues_own_limits_hold_by_default(venue: str, limits: dict[str, int]) -> None:
    """The shortest window of each is used up at once, and one more is refused."""
    interval, limit = next(iter(limits.items()))
    counters = Counters(load_rules(venue), VenueRateLimits())
    taken = sum(place(counters, 0) is None for _ in range(limit + 5))
    assert taken == limit
    assert place(counters, interval_ns(interval)) is None
    rules = load_rules(venue).rate_limits
    assert rules is not None
    assert rules.limits_at(APRIL_2026).orders == limits


def test_the_weight_of_2021_holds_in_2021() -> None:
    """Recorded 2021-10-12: 1200 a minute; today 6000."""
    rules = load_rules("binance-spot").rate_limits
    assert rules is not None
    assert rules.limits_at(1_640_000_000 * S).weight == {"1m": 1200}
    assert rules.limits_at(APRIL_2026).weight == {"1m": 6000}


def test_limits_change_while_a_run_goes_on() -> None:
    """The limits of the simulated time hold, also after the first request."""
    counters, before = spot(), 1_640_000_000 * S // (60 * S) * 60 * S
    assert sum(counters.request("amend", before) is None for _ in range(400)) == 300  # 1200 / 4
    now = APRIL_2026
    assert sum(counters.request("amend", now) is None for _ in range(2000)) == 1500  # 6000 / 4


def test_without_limits_everything_is_taken_and_counted() -> None:
    counters = Counters(load_rules("binance-spot"), NoRateLimits())
    assert all(place(counters, 0) is None for _ in range(100))
    assert counters.at(0)["orders_10s"] == 100


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rate_limits: {orders: {10x: 5}}", "interval"),
        ("rate_limits: {orders: {10s: 0}}", "1"),
        ("rate_limits: {kind: none, orders: {10s: 5}}", "unknown key"),
    ],
)
def test_a_wrong_limit_is_named_before_anything_runs(text: str, problem: str) -> None:
    problems: list[Any] = []
    decode(parse(text, "x.yaml"), SimulationConfig, problems)
    assert len(problems) == 1
    assert problem in problems[0].message


class CountedAtOnce:
    """Fixed windows as section 5 describes them, every one brought up to date with each order: accepted orders count,
    and a first fill gives one back, never below 0."""

    def __init__(self, limits: dict[str, int]) -> None:
        self._limits = {interval_ns(interval): limit for interval, limit in limits.items()}
        self._counts: dict[int, tuple[int, int]] = dict.fromkeys(map(interval_ns, ("10s", "1m", "1d")), (0, 0))

    def at(self, length: int, at: int) -> int:
        number, count = self._counts[length]
        return count if number == at // length else 0

    def add(self, change: int, at: int) -> None:
        for length in self._counts:
            self._counts[length] = (at // length, max(0, self.at(length, at) + change))

    def place(self, at: int) -> str | None:
        if any(self.at(length, at) + 1 > limit for length, limit in self._limits.items()):
            return "order_rate"
        self.add(1, at)
        return None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4_000), st.booleans(), st.booleans()), max_size=120))
def test_counting_late_counts_the_same(steps: list[tuple[int, bool, bool]]) -> None:
    """Random orders up to 4 s apart, some of which trade at once; looked at now and then."""
    limits = {"10s": 4, "1m": 12}
    counters, expected, at = spot(orders=limits, maker_fill_credit=1, taker_fill_credit=1), CountedAtOnce(limits), 0
    for wait_ms, trades, looks in steps:
        at += wait_ms * 1_000_000
        answer = place(counters, at)
        assert answer == expected.place(at)
        if trades and answer is None:
            counters.first_fill("taker", at)
            expected.add(-1, at)
        if looks:
            shown = counters.at(at)
            assert [shown[f"orders_{interval}"] for interval in ("10s", "1m", "1d")] == [
                expected.at(interval_ns(interval), at) for interval in ("10s", "1m", "1d")
            ]


def test_many_orders_below_every_limit_are_still_counted() -> None:
    """2,500 orders within one day, one a second: more than may wait to be counted."""
    counters = spot(orders={"1d": 2_400})
    answers = [place(counters, second * S) for second in range(2_500)]
    assert answers == [None] * 2_400 + ["order_rate"] * 100
    assert counters.at(2_499 * S)["orders_1d"] == 2_400
