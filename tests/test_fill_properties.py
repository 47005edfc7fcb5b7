"""The invariants of F16 on random small markets. The contract's second writing is in `test_fill_oracles.py`."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import random_books
from oracles.book_venue import BookVenue, Models
from oracles.desk import Legs
from random_books import QUEUES, Row, market_rows, run, scenario
from sim.scenario import Ran

D = Decimal
SEEDS = st.integers(0, 2**32)
MS = 1_000_000


def drawn_twice(examples: int) -> Callable[[Any], Any]:
    """The same examples every time; `make soak` draws new ones."""

    def wrap(test: Any) -> Any:
        return settings(max_examples=examples, derandomize=True, deadline=None)(given(seed=SEEDS)(test))

    return wrap


def fills_of(ran: Ran) -> list[dict[str, Any]]:
    return [event for event in ran.events if event["event"] == "filled"]


def filled(ran: Ran) -> Decimal:
    """All that was filled."""
    return sum((event["qty"] for event in fills_of(ran)), D(0))


def only(whole: Row, **changes: Any) -> Row:
    """The same scenario with some models changed."""
    return whole | {"models": whole["models"] | changes}


# --- what holds in every run ----------------------------------------------------------------------------------------


def check_run(seed: int) -> None:
    """Sums, limits, prices of makers, ends, arrivals and local times are watched by the run's own witness."""
    whole = random_books.drawn(seed)
    ran = run(whole)
    assert ran.broken == []
    assert run(whole).events == ran.events, "the same inputs gave other events"
    prints = {row["at"] * MS: D(row["trade"]["qty"]) for row in whole["tape"] if "trade" in row}
    given_by_print: dict[int, Decimal] = defaultdict(Decimal)
    for event in fills_of(ran):
        if event["liquidity"] == "maker" and event["rule"] in ("through", "queue", "participation"):
            given_by_print[event["engine_at"]] += event["qty"]
    for at, qty in given_by_print.items():
        assert qty <= prints[at], f"a print of {prints[at]} at {at} filled {qty}"


@drawn_twice(50)
def test_no_run_breaks_an_invariant_and_no_print_gives_more_than_its_size(seed: int) -> None:
    check_run(seed)


def check_levels(seed: int) -> None:
    draw = random.Random(seed)
    rows = market_rows(draw, "depth", 20)
    wanted = random_books.requests(draw, 12, 200)
    whole = scenario(rows, wanted, models={"crossed": {"kind": "displayed"}})
    shown: dict[tuple[str, Decimal], Decimal] = {}
    had: dict[tuple[str, Decimal], Decimal] = defaultdict(Decimal)
    happened = [(float(row["at"]), 0, row) for row in rows if "depth" in row]
    happened += [(event["engine_at"] / MS, 1, event) for event in fills_of(run(whole)) if event["rule"] == "walk"]
    for _, kind, what in sorted(happened, key=lambda entry: entry[:2]):
        if kind == 0:
            for side in ("bids", "asks"):
                named = {D(price): D(qty) for price, qty in what["depth"][side]}
                gone = [key for key in shown if key[0] == side and key[1] not in named and what["depth"]["snapshot"]]
                for key in [*gone, *((side, price) for price in named)]:
                    shown[key] = named.get(key[1], D(0))
                    had[key] = D(0)
        else:
            key = ("asks" if what["side"] == "buy" else "bids", what["price"])
            had[key] += what["qty"]
            assert had[key] <= shown.get(key, D(0)), f"{key} shows {shown.get(key)} and gave {had[key]}"


@drawn_twice(40)
def test_a_level_never_gives_takers_more_than_it_displays(seed: int) -> None:
    check_levels(seed)


# --- one change at a time -------------------------------------------------------------------------------------------


def check_order_of_queues(seed: int) -> None:
    draw = random.Random(seed)
    rows = market_rows(draw, "depth", 30)
    price = random_books.price(draw.randint(997, 999))
    submit = {"id": "a", "symbol": "X", "side": "buy", "type": "limit", "price": price, "qty": "9"}
    whole = scenario(rows, [{"at": draw.randint(0, 100) + 0.5, "submit": submit}])
    cautious = filled(run(only(whole, queue={"kind": "risk_averse"})))
    most = filled(run(only(whole, queue={"kind": "none"}, crossed={"kind": "full", "through": "full"})))
    for kind in QUEUES[1:-1]:
        assert cautious <= filled(run(only(whole, queue={"kind": kind}))) <= most, kind


@drawn_twice(12)
def test_risk_averse_fills_no_more_than_any_power_and_full_no_less(seed: int) -> None:
    check_order_of_queues(seed)


def cost_of(ran: Ran) -> Decimal:
    return sum((event["price"] * event["qty"] for event in fills_of(ran)), D(0))


def check_splitting(seed: int) -> None:
    draw = random.Random(seed)
    rows = market_rows(draw, "depth", 12)
    qty = draw.randint(2, 30)
    first = draw.randint(1, qty - 1)
    at = draw.randint(0, 110) + 0.5
    market = {"symbol": "X", "side": "buy", "type": "market"}
    rest = {"symbol": "X", "side": "buy", "type": "limit", "price": random_books.price(draw.randint(997, 999))}
    for terms in (market, rest):
        whole = [{"at": at, "submit": {"id": "a", **terms, "qty": str(qty)}}]
        parts = [
            {"at": at, "submit": {"id": f"p{q}{n}", **terms, "qty": str(q)}} for n, q in enumerate((first, qty - first))
        ]
        one, two = run(scenario(rows, whole)), run(scenario(rows, parts))
        assert filled(two) <= filled(one)
        if filled(two) == filled(one):
            assert cost_of(two) >= cost_of(one)


@drawn_twice(25)
def test_splitting_an_order_never_beats_the_book(seed: int) -> None:
    check_splitting(seed)


def check_removing(seed: int) -> None:
    draw = random.Random(seed)
    asks = [[random_books.price(tick), random_books.size(draw)] for tick in draw.sample(range(1001, 1012), 6)]
    submit = {"id": "a", "symbol": "X", "side": "buy", "type": "market", "qty": str(draw.randint(1, 30))}
    if draw.random() < 0.5:
        submit |= {"type": "limit", "price": random_books.price(draw.randint(1001, 1012)), "tif": "ioc"}

    def bought(levels: list[list[str]]) -> Ran:
        rows = [{"at": 0, "symbol": "X", "depth": {"snapshot": True, "bids": [["99.0", "1"]], "asks": levels}}]
        return run(scenario(rows, [{"at": 1, "submit": submit}]))

    whole, less = bought(asks), bought(asks[:-1])
    assert filled(less) <= filled(whole)
    if filled(less) == filled(whole):
        assert cost_of(less) >= cost_of(whole)


@drawn_twice(40)
def test_removing_a_level_never_helps(seed: int) -> None:
    check_removing(seed)


def check_permuting(seed: int) -> None:
    draw = random.Random(seed)
    kinds = draw.choice(random_books.KINDS), draw.choice(random_books.KINDS)
    x, y = market_rows(draw, kinds[0], 15, "X"), market_rows(draw, kinds[1], 15, "Y")
    a, b = random_books.requests(draw, 5, 150, "X", "x"), random_books.requests(draw, 5, 150, "Y", "y")
    models = {"trades": {"participation": "0.5", "ahead_qty": "1"}}

    def seen(symbols: tuple[str, str], rows: list[Row], wanted: list[Row]) -> dict[str, list[dict[str, Any]]]:
        ran = run(scenario(rows, wanted, models=models, symbols=symbols))
        told: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in ran.events:  # the wallet is shared, and the venue counts the orders of both
            told[event["symbol"]].append({k: v for k, v in event.items() if k not in ("wallet", "counters")})
        return told

    mixed = sorted([*x, *y], key=lambda row: row["at"])
    swapped = sorted([*y, *x], key=lambda row: row["at"])
    both = sorted([*a, *b], key=lambda row: row["at"]), sorted([*b, *a], key=lambda row: row["at"])
    assert seen(("X", "Y"), mixed, both[0]) == seen(("Y", "X"), swapped, both[1])


@drawn_twice(25)
def test_permuting_simultaneous_unrelated_symbols_changes_nothing(seed: int) -> None:
    check_permuting(seed)


def check_latency(seed: int) -> None:
    draw = random.Random(seed)
    rows = [row for row in market_rows(draw, "depth", 20) if "depth" in row]
    submit = {"id": "a", "symbol": "X", "side": "buy", "type": "limit", "price": "100.6", "qty": "9", "tif": "ioc"}
    fast, slow = sorted(draw.sample(range(150), 2))
    arrivals = []
    for entry in (fast, slow):
        ran = run(
            scenario(rows, [{"at": 3.5, "submit": submit}], models={"latency": {"kind": "constant", "entry_ms": entry}})
        )
        arrivals.append(ran.events[0]["engine_at"])
        venue = BookVenue("binance-usdm", Fraction(1, 10), Legs(), Models())
        venue.play(rows, [{"at": Fraction(arrivals[-1], MS), "submit": submit}], until=1000)
        walked = [(event["price"], event["qty"]) for event in venue.told if event["event"] == "filled"]
        assert [(Fraction(event["price"]), Fraction(event["qty"])) for event in fills_of(ran)] == walked
    assert arrivals[0] < arrivals[1]


@drawn_twice(30)
def test_a_slower_immediate_order_meets_the_book_of_its_later_arrival(seed: int) -> None:
    check_latency(seed)


# --- as long as there is time ---------------------------------------------------------------------------------------

CHECKS = (
    check_run,
    check_levels,
    check_order_of_queues,
    check_splitting,
    check_removing,
    check_permuting,
    check_latency,
)


@pytest.mark.soak
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_property_holds_for_every_seed(check: Callable[[int], None], soak_seconds: float) -> None:
    until, seed = time.monotonic() + soak_seconds / len(CHECKS), 0
    while time.monotonic() < until:
        seed += 1
        try:
            check(seed)
        except AssertionError as error:
            raise AssertionError(f"{check.__name__}, seed {seed}: {error}") from error
    print(f"\n{check.__name__}: seeds 1 to {seed}")
