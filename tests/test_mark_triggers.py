"""Orders that wait for a mark or an index, looked for ahead of time along its track (F12)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.venues import load_rules
from sim.bars.trailing import Trail
from sim.marks import mark_path
from sim.marks.mark_path import NEVER, PriceTrack, track_of
from sim.scenarios.format import read_scenario
from sim.scenarios.run import run_one
from sim.scenarios.venue import read_models
from test_settlement import marks

D = Decimal
PRICES = st.lists(st.integers(950, 1050), min_size=1, max_size=40)


def found_at(track: PriceTrack, price: str, sign: int) -> int | None:
    """When a plain trigger fires, looking again as often as the track says so."""
    plan = track.reaches(D(price), sign, 0)
    while not plan.found and plan != NEVER:
        plan = track.reaches(D(price), sign, plan.at)
    return plan.at if plan.found else None


def trailed_to(track: PriceTrack, trail: Trail) -> int | None:
    """When a trailing stop fires that has seen the price at 0."""
    now = track.at(0)
    assert now is not None
    trail, plan, since, _ = track.trails(trail.see(now), 0)
    while not plan.found and plan != NEVER:
        trail, plan, since, _ = track.trails(trail, since)
    return plan.at if plan.found else None


def test_the_row_at_which_a_look_ahead_ends_is_not_passed_over() -> None:
    """A look covers 512 rows: the 513th after it, at 513 ns, is the only one that is low enough."""
    rows = [(at, 1000) for at in range(600)]
    rows[513] = (513, 900)
    assert found_at(track_of(marks(*rows)), "95", -1) == 513
    assert trailed_to(track_of(marks(*rows)), Trail(-1, 0, 50, 0)) == 513


@given(PRICES, st.integers(1, 40), st.sampled_from([1, -1]), st.integers(1, 4))
def test_however_short_the_looks_are_the_same_moment_is_found(rows: list[int], away: int, sign: int, look: int) -> None:
    """Against a walk over all the prices, written here: best so far, and the first that is `away` from it."""
    best, expected = rows[0], None
    for at, price in enumerate(rows[1:], 1):
        if sign * (price - best) >= away:
            expected = at
            break
        best = min(best, price) if sign > 0 else max(best, price)
    first = next((at for at, price in enumerate(rows[1:], 1) if sign * (price - 1000) >= 0), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mark_path, "LOOK_ROWS", look)
        track = track_of(marks(*enumerate(rows)))
        assert trailed_to(track, Trail(sign, 0, away, 0)) == expected
        assert found_at(track, "100", sign) == first


@given(PRICES, st.integers(1, 20_000))
def test_a_distance_in_parts_of_the_best_price_is_exact(rows: list[int], ppm: int) -> None:
    best, expected = rows[0], None
    for at, price in enumerate(rows[1:], 1):
        if best - price >= Fraction(best * ppm, 1_000_000):
            expected = at
            break
        best = max(best, price)
    assert trailed_to(track_of(marks(*enumerate(rows))), Trail(-1, 0, 0, ppm)) == expected


INDEX = """
name: a trailing stop by the index
venue: bybit-linear
instruments: {X: {tick: "0.1", step: "0.001"}}
account: {wallet: "10000", leverage: 10}
tape:
  - {at: 0, symbol: X, depth: {snapshot: true, bids: [["98.9", "5"]], asks: [["100.0", "10"]]}}
  - {at: 0, symbol: X, index: {price: "100"}}
  - {at: 10, symbol: X, index: {price: "103.5"}}
  - {at: 20, symbol: X, mark: {price: "90"}}
  - {at: 30, symbol: X, index: {price: "102.5"}}
  - {at: 40, symbol: X, index: {price: "102.4"}}
requests:
  - {at: 1, submit: {id: a, symbol: X, side: sell, type: trailing_stop_market, trail_bps: "100",
      activation_price: "103", trigger_by: index, qty: "1"}}
"""


def test_a_trailing_stop_by_the_index_hears_nothing_else() -> None:
    """Active at 103.5, 1% back is 102.465: 102.5 is not there, 102.4 is. The mark's fall to 90 is nothing to it."""
    scenario = read_scenario(INDEX, "s.yaml", read_models)
    ran = run_one(scenario, load_rules)
    assert ran.broken == []
    happened = [(e["event"], e.get("trigger_price"), e.get("price"), e["engine_at"]) for e in ran.events]
    assert happened == [
        ("accepted", None, None, 1_000_000),
        ("triggered", D("102.4"), None, 40_000_000),
        ("filled", None, D("98.9"), 40_000_000),
    ]
