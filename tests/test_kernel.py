"""The kernel: one source for each rule, the same bytes whether it is interpreted or compiled, and its arithmetic."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import random_books
from adapters.venues import load_rules
from sim.books import kernel, kernel_state
from sim.books.kernel_math import natural_log, power, two_to
from sim.books.kernel_triggers import share_of
from sim.models.queue import Log2Queue, LogQueue, Power2Queue, Power3Queue, PowerQueue, RiskAverseQueue
from sim.scenario import Ran
from sim.scenarios.format import load_scenario
from sim.scenarios.print import result_json
from sim.scenarios.run import run_one
from sim.scenarios.venue import read_models

SCENARIOS = Path(__file__).parent / "scenarios"
rules_of = cache(load_rules)


@pytest.fixture(scope="session")
def compiled() -> Any:
    """The compiled kernel; compiling it takes half a minute once, later it comes from its cache."""
    from sim.books.compiled import kernel as build

    return build()


def printed(outcome: Ran) -> str:
    """All that a run tells: events with every key, checks and the final state."""
    parts = [outcome.events, outcome.final, *outcome.checks]
    return "\n".join([result_json("", "", outcome.events, outcome.final, []), repr(parts), repr(outcome.broken)])


def assert_same(files: list[Path], compiled: Any) -> None:
    assert files, "no scenario files"
    for file in files:
        scenario = load_scenario(str(file), read_models)
        assert printed(run_one(scenario, rules_of)) == printed(run_one(scenario, rules_of, compiled)), file.name


def test_our_scenarios_print_the_same_compiled(compiled: Any) -> None:
    assert_same(sorted(SCENARIOS.glob("*.yaml")), compiled)


def test_the_contracts_examples_print_the_same_compiled(compiled: Any, shared: Path) -> None:
    assert_same(sorted((shared / "scenarios").glob("*.yaml")), compiled)


def test_random_markets_and_orders_print_the_same_compiled(compiled: Any) -> None:
    for seed in range(120):
        whole = random_books.drawn(seed)
        one, other = random_books.run(whole), random_books.run(whole, compiled)
        assert printed(one) == printed(other), f"seed {seed}"


# --- arithmetic -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queue", "share"),
    [
        # B = 4, A = 6, the shares of venues.md F4: B^n/(B^n+A^n), B^n/(A+B)^n, 1-(A/(A+B))^n and the logarithms.
        (PowerQueue(n=1), 4 / 10),
        (PowerQueue(n=2), 16 / 52),
        (PowerQueue(n=3), 64 / 280),
        (PowerQueue(n=1.5), 8 / (8 + 6**1.5)),
        (Power2Queue(n=2), 16 / 100),
        (Power3Queue(n=2), 1 - 0.36),
        (LogQueue(), math.log(5) / (math.log(5) + math.log(7))),
        (Log2Queue(), math.log(5) / math.log(11)),
        (RiskAverseQueue(), 1.0),
    ],
    ids=lambda value: repr(value) if not isinstance(value, float) else None,
)
def test_each_queue_shares_cancels_by_its_formula(queue: Any, share: float) -> None:
    assert queue.share_behind(4.0, 6.0) == pytest.approx(share, rel=1e-12)


@pytest.mark.parametrize("queue", [PowerQueue(n=16), PowerQueue(n=7.3), Power2Queue(n=16), Power3Queue(n=16)], ids=repr)
def test_a_share_stays_between_0_and_1_for_any_sizes(queue: Any) -> None:
    for behind in (0.0, 1e-12, 1.0, 1e18):
        for ahead in (0.0, 1e-12, 1.0, 1e18):
            assert 0.0 <= queue.share_behind(behind, ahead) <= 1.0, (behind, ahead)


def test_logarithm_and_powers_are_those_of_the_library_to_a_part_in_10_14() -> None:
    for x in (1e-9, 0.1, 0.5, 0.7071067811865476, 1.0, 1.5, 2.0, 3.7, 1e3, 12345.678, 1e15):
        assert natural_log(x) == pytest.approx(math.log(x), rel=1e-14, abs=1e-15)
        for n in (1.0, 2.0, 3.0, 0.5, 2.5, 7.3):
            assert power(x, n) == pytest.approx(x**n, rel=1e-13)
    for x in (-1073.5, -20.25, -1.0, -0.3, 0.0, 0.5, 1.0, 3.75, 500.0):
        assert two_to(x) == pytest.approx(2.0**x, rel=1e-14)
    assert two_to(-1e12) == 0.0


def test_a_half_life_of_a_millisecond_over_a_year_is_the_same_compiled(compiled: Any) -> None:
    """2^-x with x beyond what a C int holds: nothing is left, in both."""
    year = 365 * 86_400_000
    rows = [
        {"at": 0, "symbol": "X", "depth": {"snapshot": True, "bids": [], "asks": [["100.0", "5"]]}},
        {"at": year, "symbol": "X", "depth": {"asks": [["100.1", "1"]]}},
    ]
    buy = {"symbol": "X", "side": "buy", "type": "market", "qty": "5"}
    wanted = [
        {"at": 1, "submit": {"id": "a", **buy}},
        {"at": year + 1, "submit": {"id": "b", **buy}},
    ]
    whole = random_books.scenario(rows, wanted, models={"overlay": {"refill_half_life_ms": 1}})
    for functions in (kernel, compiled):
        ran = random_books.run(whole, functions)
        assert [event["qty"] for event in ran.events if event["event"] == "filled"] == [5, 5]


@pytest.mark.parametrize(
    ("price", "ppm", "share"),
    [
        (1000, 10_000, 10),
        (1001, 10_000, 11),  # 10.01, up
        (999_999, 1, 1),
        (4 * 10**18, 1_000_000, 4 * 10**18),  # as one product 4e24: beyond int64
        (4 * 10**18 + 7, 333_333, (4 * 10**18 + 7) * 333_333 // 10**6 + 1),
    ],
)
def test_a_trailing_distance_is_exact_for_any_price(price: int, ppm: int, share: int) -> None:
    assert share_of(price, ppm) == share


# --- arrays ---------------------------------------------------------------------------------------------------------


def test_what_the_arrays_hold_survives_their_growth() -> None:
    state = kernel_state.new_state(2, 4, 3)
    for array in (state.prints, state.fired, state.out):
        array[...] = np.arange(array.size).reshape(array.shape)
    state.levels["key"] = np.arange(16).reshape(4, 4)
    state.own["ahead"] = [1.5, 2.5, 3.5]
    grown = kernel_state.new_state(3, 8, 6, state)
    assert (grown.levels["key"][:4, :4] == state.levels["key"]).all()
    assert grown.own["ahead"].tolist() == [1.5, 2.5, 3.5, 0.0, 0.0, 0.0]
    assert (grown.prints[:2] == state.prints).all()
    assert (grown.out == state.out).all()
    assert grown.books["first"].tolist() == [*state.books["first"].tolist(), -1, -1], "nobody rests in a new book"
