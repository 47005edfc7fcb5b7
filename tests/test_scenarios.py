"""Scenario files against the simulated exchange: ours, the contract's examples, and markets drawn at random."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.venues import load_rules
from core.compose import run_scenarios
from core.errors import ConfigError, DataError
from core.events import OrderAccepted, OrderCanceled, OrderFilled
from core.instruments import Instrument
from core.orders import OrderTerms
from sim.account import VenueAccount
from sim.scenario import Ran
from sim.scenarios.compare import compare, compare_events
from sim.scenarios.expected import ExpectedEvent
from sim.scenarios.format import load_scenario, read_scenario
from sim.scenarios.invariants import Witness
from sim.scenarios.run import run_one
from sim.scenarios.values import Exact, Wanted
from sim.scenarios.venue import read_models
from sim.venue_order import VenueOrder

D = Decimal
OWN = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"), key=lambda file: file.name)
HEAD = """\
name: a market
venue: binance-usdm
instruments: {X: {tick: "0.1", step: "0.001"}}
account: {wallet: "1000", leverage: 10}
"""
BAR = (
    "tape: [{at: 0, symbol: X, bar: "
    '{interval_ms: 60000, open: "100", high: "104", low: "99", close: "103", volume: "900"}}]\n'
)


def ran(text: str) -> Ran:
    """What a scenario causes."""
    outcome = run_one(read_scenario(text, "s.yaml", read_models), load_rules)
    assert isinstance(outcome, Ran), outcome
    return outcome


def verb(*paths: Path, json: bool = False) -> tuple[int, str]:
    """Exit code and stdout of the `scenario` verb."""
    out, err = io.StringIO(), io.StringIO()
    code = run_scenarios([str(path) for path in paths], json=json, out=out, err=err)
    return code, out.getvalue() + err.getvalue()


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.stem)
def test_what_happens_is_what_was_computed_by_hand(file: Path) -> None:
    """Each file pins one rule of the fill contract with numbers worked out in its comment."""
    code, text = verb(file)
    assert code == 0, text


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.stem)
def test_every_key_of_every_file_is_looked_at(file: Path) -> None:
    """Another value for any one key of any expected event, or any missing event, is a difference."""
    scenario = load_scenario(str(file), read_models)
    outcome = run_one(scenario, load_rules)
    assert isinstance(outcome, Ran)
    expected = scenario.expectation.events
    assert expected is not None
    assert compare(scenario.expectation, outcome.events, outcome.checks, outcome.final) == []
    for wrong in _mutants(expected):
        assert compare_events(wrong, outcome.events)


def _mutants(expected: tuple[ExpectedEvent, ...]) -> Iterator[tuple[ExpectedEvent, ...]]:
    for index, event in enumerate(expected):
        before, after = expected[:index], expected[index + 1 :]
        yield (*before, *after)
        for key, wanted in event.keys.items():
            if isinstance(wanted, Exact):
                yield (*before, msgspec.structs.replace(event, keys={**event.keys, key: _another(wanted)}), *after)


def _another(wanted: Exact) -> Wanted:
    if isinstance(wanted.value, str):
        return Exact("text", wanted.value + "x")
    return Exact(wanted.kind, wanted.value + 1)


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("market-at-the-next-open", 'price: "101", qty', 'price: "103", qty'),
        ("two-segments-in-one-bar", 'qty: "50"', 'qty: "50.001"'),
        ("stop-market-gap", 'price: "97"', 'price: "98"'),
        ("impact-half-life", 'price: "60063"', 'price: "60042.5"'),
        ("session-fifo", "local_at: 235}      # 232", "local_at: 232}      # 232"),
        ("margin-bybit", 'locked: {USDT: "101.045"}', 'locked: {USDT: "100"}'),
        ("flip-and-average", 'realized_pnl: "10", fees', 'realized_pnl: "9.8", fees'),
    ],
)
def test_a_file_with_one_wrong_number_fails(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    """Exit code 1, the number expected and the number found."""
    text = next(path for path in OWN if path.stem == file).read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "s.yaml").write_text(text.replace(right, wrong, 1), encoding="utf-8")
    code, said = verb(tmp_path / "s.yaml")
    assert code == 1
    assert "  expected " in said


def test_every_example_of_the_contract_passes(shared: Path) -> None:
    """The numbers of F0 to F14 and of margin, funding and liquidation, as the contract gives them."""
    folder = shared / "scenarios"
    code, text = verb(folder)
    assert code == 0, text
    assert text.splitlines()[-1] == f"{len(list(folder.glob('*.yaml')))} files, 0 failed"


def test_two_runs_print_the_same_bytes() -> None:
    """Lines and JSON, all files of ours."""
    folder = OWN[0].parent
    assert verb(folder) == verb(folder)
    assert verb(folder, json=True) == verb(folder, json=True)


# --- the run --------------------------------------------------------------------------------------------------------

LOGNORMAL = (
    "models: {latency: {kind: lognormal, entry_ms: 20, response_ms: 20, sigma: 0.5}}\n"
    'requests: [{at: 0, submit: {id: a, symbol: X, side: buy, type: limit, price: "90", qty: "1"}}]\n'
)


def test_drawn_latency_depends_on_the_seed_alone() -> None:
    """The same seed draws the same times; another seed others; sigma 0 is the median."""

    def times(seed: int, text: str = LOGNORMAL) -> list[Any]:
        return [(e["engine_at"], e["local_at"]) for e in ran(f"{HEAD}{BAR}seed: {seed}\n{text}").events]

    assert times(1) == times(1)
    assert times(1) != times(2)
    assert times(1, LOGNORMAL.replace("0.5", "0")) == [(20_000_000, 40_000_000)]


def test_a_start_moves_nothing_but_the_calendar() -> None:
    """Times are relative to `start` in every event, and the same events happen."""
    text = (
        f"{HEAD}{BAR}models: {{latency: {{kind: recorded, rows: [[0, 3, 8], [1000, 1009, 1021]]}}}}\n"
        'requests: [{at: 400, submit: {id: a, symbol: X, side: buy, type: limit, price: "99.5", qty: "1"}}]\n'
    )
    events = [{**event, "counters": None} for event in ran(text).events]
    assert [{**e, "counters": None} for e in ran(f'{text}start: "2025-10-01T00:00:00Z"\n').events] == events


def test_a_look_at_the_state_changes_nothing() -> None:
    """A check before the position exists does not choose the path of `worst`."""
    text = (
        HEAD + BAR + "models: {bars: {path: worst}}\nrequests:\n"
        '  - {at: 2000, submit: {id: m, symbol: X, side: sell, type: market, qty: "1"}}\n'
        '  - {at: 3000, submit: {id: a, symbol: X, side: buy, type: limit, price: "99.5", qty: "1"}}\n'
    )
    looked = ran(f'{text}checks: [{{at: 0, account: {{equity: "1000"}}}}, {{at: 1000, account: {{free: "1"}}}}]\n')
    assert looked.events == ran(text).events
    assert [check["account"]["equity"] for check in looked.checks] == [D(1000), D(1000)]


def test_until_cuts_the_run_off() -> None:
    """Nothing happens after it: neither a fill of the tape nor a request."""
    text = (
        HEAD + BAR + "until: 9999\nrequests:\n"
        '  - {at: 0, submit: {id: a, symbol: X, side: buy, type: limit, price: "99.5", qty: "1"}}\n'
        "  - {at: 10000, cancel: {id: a}}\n"
    )
    assert [event["event"] for event in ran(text).events] == ["accepted"]


def test_a_request_under_way_at_the_end_reaches_the_venue() -> None:
    """Without `until` the run ends with the last answer, also where that is after the last row."""
    text = (
        f"{HEAD}{BAR}models: {{latency: {{kind: constant, entry_ms: 4000, response_ms: 1}}}}\n"
        'requests: [{at: 59000, submit: {id: a, symbol: X, side: buy, type: limit, price: "90", qty: "1"}}]\n'
    )
    assert [(e["event"], e["local_at"]) for e in ran(text).events] == [("accepted", 63_001_000_000)]


def test_a_lost_request_keeps_no_other_answer_waiting() -> None:
    """The notice of a lost request comes late; what the venue answers on that session comes when it comes."""
    text = (
        f"{HEAD}{BAR}models: {{latency: {{kind: recorded, rows: [[0, 0, 5000], [10, 11, 12]]}}}}\n"
        'requests:\n  - {at: 0, submit: {id: gone, symbol: X, side: buy, type: limit, price: "90", qty: "1"}}\n'
        '  - {at: 10, submit: {id: a, symbol: X, side: buy, type: limit, price: "90", qty: "1"}}\n'
    )
    assert [(e["order"], e["local_at"]) for e in ran(text).events] == [("a", 12_000_000), ("gone", 5_000_000_000)]


@pytest.mark.parametrize(
    ("tape", "sentence"),
    [
        ("{at: 30000, symbol: X, bar: {interval_ms: 60000,", "two bars of X overlap"),
        ("{at: 60000, symbol: X, bar: {interval_ms: 30000,", "several lengths (30000, 60000 ms)"),
        ("{at: 60000, symbol: X, bar: {interval_ms: 60000, open: 100000000000000000000,", "does not fit"),
    ],
)
def test_bars_that_contradict_each_other_are_refused(tape: str, sentence: str) -> None:
    """Overlaps, several lengths, and numbers a tape cannot hold."""
    rest = "" if "open" in tape else " open: 100,"
    row = f"{tape}{rest} high: 100000000000000000000, low: 1, close: 1.0001, volume: 1}}}}"
    with pytest.raises(DataError) as caught:
        ran(f"{HEAD}{BAR.rstrip()[:-1]}, {row}]\n")
    assert sentence in str(caught.value)


def test_wrong_models_are_a_problem_of_the_file() -> None:
    """With its line, like every other key; the reader of `simulation:` says what it knows."""
    text = f"{HEAD}models: {{spread: {{half_bp: 1}}}}\n"
    with pytest.raises(ConfigError) as caught:
        read_scenario(text, "s.yaml", read_models)
    assert [problem.path for problem in caught.value.problems] == ["$.models.spread.half_bp"]
    with pytest.raises(ConfigError):
        run_one(read_scenario(text, "s.yaml"), load_rules)


# --- invariants -----------------------------------------------------------------------------------------------------

KEYS = ("binance-usdm", "X", "net", "s", "main")


def _order(**changes: Any) -> VenueOrder:
    terms = OrderTerms("a", "v", "X", "net", "s", "main", "buy", "limit", D(2), D(100))
    order = VenueOrder(terms, 5)
    for name, value in changes.items():
        setattr(order, name, value)
    return order


def _fill(price: str = "100", qty: str = "1", at: int = 6, heard: int = 7, leaves: str = "1") -> OrderFilled:
    what = ("f", "buy", D(price), D(qty), "maker", "bar", D(0), "USDT", D(price), D(leaves), "t", 0, 0)
    return OrderFilled(heard, at, *KEYS, "a", *what)


def _canceled(at: int = 8) -> OrderCanceled:
    return OrderCanceled(at, at, *KEYS, "a", "request")


def _accepted(at: int) -> OrderAccepted:
    return OrderAccepted(at, at, *KEYS, "a", "a")


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([(_fill(), {"filled": D(2)})], "its fills add up to 1, the venue says 2"),
        ([(_fill(qty="3"), {"filled": D(3)})], "a fill of 3 brings it to 3 of 2"),
        ([(_fill(price="100.1"), {"filled": D(1)})], "filled at 100.1, beyond its limit 100"),
        ([(_fill(price="99"), {"filled": D(1)})], "a maker filled at 99 instead of its own price 100"),
        ([(_fill(at=4), {"filled": D(1)})], "OrderFilled at 4, before the order came at 5"),
        ([(_fill(heard=5), {"filled": D(1)})], "OrderFilled heard at 5, before it happened at 6"),
        ([(_canceled(), {}), (_canceled(), {})], "OrderCanceled after its end by OrderCanceled"),
        ([(_canceled(), {}), (_fill(heard=9, at=9), {"filled": D(1)})], "OrderFilled after its end by OrderCanceled"),
        ([(_accepted(9), {}), (_accepted(8), {})], "heard at 8 on session main, after something of 9"),
        ([(_fill(), {"filled": D(1)})], "the fills leave a position of 1 X, the venue holds 0"),
        ([(_fill(), {"filled": D(1), "realized": D(1)})], "the fills leave 1 USDT, the venue's ledger holds 0"),
    ],
)
def test_the_witness_says_which_invariant_is_broken(events: list[Any], sentence: str) -> None:
    """Each rule of F16 with an exchange that breaks it."""
    instrument = Instrument("v", "X", D("0.1"), D("0.001"), "X", "USDT")
    witness = Witness(VenueAccount("linear", {}, leverage={}), {"X": instrument})
    for event, changes in events:
        witness.see(event, _order(**changes))
    witness.close()
    assert any(sentence in said for said in witness.broken), witness.broken


PRICES = st.integers(min_value=980, max_value=1020)


@st.composite
def markets(draw: st.DrawFn) -> str:
    """A scenario with a few bars, holes among them, and requests of every kind that bars know."""
    venue = draw(st.sampled_from(["binance-usdm", "binance-spot", "bybit-linear", "bybit-spot"]))
    step = draw(st.sampled_from(["0.001", "0.1", "1"]))
    rows = []
    for index in sorted(draw(st.sets(st.integers(0, 5), min_size=1))):
        o, c, *rest = (draw(PRICES) for _ in range(4))
        high, low = max(o, c, *rest), min(o, c, *rest)
        o, high, low, c = (D(price) / 10 for price in (o, high, low, c))
        volume = draw(st.integers(0, 200))
        rows.append(
            f"  - {{at: {index * 60_000}, symbol: X, bar: "
            f"{{interval_ms: 60000, open: {o}, high: {high}, low: {low}, close: {c}, volume: {volume}}}}}\n"
        )
    requests = [draw(_requests(index, step)) for index in range(draw(st.integers(1, 8)))]
    path = draw(st.sampled_from(["adaptive", "fixed_ohlc", "fixed_olhc", "worst"]))
    remainder = draw(st.sampled_from(["carry", "expire"]))
    return (
        f"name: random\nvenue: {venue}\ninstruments: {{X: {{base: B, tick: 0.1, step: {step}}}}}\n"
        f"account: {{balances: {{USDT: {draw(st.sampled_from([100, 100_000]))}, B: 50}}}}\n"
        f"models: {{latency: {{kind: lognormal, entry_ms: 900, response_ms: 900, sigma: 1}}, spread: {{half_bps: 3}},"
        f" impact: {{kind: square_root, sigma_daily: 0.03, volume_daily: 2000}},"
        f" bars: {{path: {path}, remainder: {remainder}}}}}\n"
        f"tape:\n{''.join(rows)}requests:\n{''.join(requests)}"
    )


@st.composite
def _requests(draw: st.DrawFn, index: int, step: str) -> str:
    at = draw(st.integers(0, 360_000))
    session = draw(st.sampled_from(["one", "two"]))
    head = f"  - {{at: {at}, session: {session}, "
    price, qty = D(draw(PRICES)) / 10, D(step) * draw(st.integers(1, 60))
    other = f"o{draw(st.integers(0, 7))}"
    kind = draw(st.sampled_from(["submit"] * 5 + ["cancel", "amend", "cancel_all"]))
    if kind == "cancel_all":
        return f"{head}cancel_all: {{}}}}\n"
    if kind == "cancel":
        return f"{head}cancel: {{id: {other}}}}}\n"
    if kind == "amend":
        return f"{head}amend: {{id: {other}, price: {price}, qty: {qty}}}}}\n"
    kind = draw(st.sampled_from(["market", "limit", "limit", "stop_market", "stop_limit", "take_profit_limit"]))
    terms = f"id: o{index}, symbol: X, side: {draw(st.sampled_from(['buy', 'sell']))}, type: {kind}, qty: {qty}"
    terms += f", price: {price}" if "limit" in kind else ""
    terms += f", trigger_price: {D(draw(PRICES)) / 10}" if "_" in kind else ""
    terms += draw(st.sampled_from(["", "", ", tif: ioc", ", tif: fok", ", reduce_only: true", ", post_only: true"]))
    return f"{head}submit: {{{terms}}}}}\n"


@settings(max_examples=150)
@given(markets())
def test_no_market_breaks_an_invariant(text: str) -> None:
    """F16 holds for any bars and requests, nothing stays held at the end of an order, and a second run is equal."""
    outcome = ran(text)
    assert outcome.broken == []
    account, orders = outcome.final["account"], outcome.final["orders"]
    if not any(order["status"] in ("accepted", "partial", "pending_trigger") for order in orders.values()):
        assert set(account["locked"].values()) == {D(0)}
    assert all(balance >= 0 for balance in account["balances"].values() if "spot" in text)
    assert outcome == ran(text)
