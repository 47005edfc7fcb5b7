"""Comparing a scenario's expectation with what happened, and printing the verdict."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError, InvariantBroken, UsageError
from sim.scenario import Ran, run_files
from sim.scenarios.compare import compare_events, compare_tree
from sim.scenarios.format import Scenario, read_scenario
from sim.scenarios.values import Absent, Exact, Near, Prefix, Wanted, milliseconds, plain

D = Decimal
HEAD = 'name: two fills\nvenue: binance-usdm\ninstruments: {X: {tick: "0.1", step: "0.001"}}\n'
REQUESTS = (
    "requests: [{at: 2, submit: {id: a, symbol: X, side: buy, type: market, qty: 3}}, {at: 3, cancel: {id: b}}]\n"
)

ACCEPTED: dict[str, Any] = {"event": "accepted", "order": "a", "engine_at": 6_000_000, "local_at": 9_500_000}
FIRST: dict[str, Any] = {
    "event": "filled",
    "order": "a",
    "symbol": "X",
    "price": D("100.0"),
    "qty": D("1"),
    "liquidity": "taker",
    "fee": D("0.0500"),
    "engine_at": 6_000_000,
    "local_at": 9_500_000,
    "wallet": D("999.95"),
    "counters": {"orders_10s": 1},
}
SECOND: dict[str, Any] = {**FIRST, "price": D("100.5"), "qty": D("2"), "fee": D("1E-7")}
UNKNOWN: dict[str, Any] = {
    "event": "cancel_rejected",
    "order": "b",
    "code": -2011,
    "message": "Unknown order sent.",
    "engine_at": None,
    "local_at": 12_000_000,
}
HAPPENED = [ACCEPTED, FIRST, SECOND, UNKNOWN]


def scenario(rest: str) -> Scenario:
    return read_scenario(HEAD + REQUESTS + rest, "s.yaml")


def differences(expect: str, actual: list[dict[str, Any]], *, partial: bool = False) -> list[tuple[Any, ...]]:
    """(where, expected, got) of the differences between `expect` lines and events."""
    lines = "".join(f"  - {{{line}}}\n" for line in expect.splitlines())
    events = scenario(f"expect:\n{lines}").expectation.events
    assert events is not None
    return [(d.where, d.expected, d.got) for d in compare_events(events, actual, partial=partial)]


def state_differences(final: str, actual: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = compare_tree(scenario(f"final: {final}\n").expectation.final, actual, "final")
    return [(d.where, d.expected, d.got) for d in found]


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "actual", "is_equal"),
    [
        (Exact("decimal", D("1.50")), D("1.5"), True),
        (Exact("decimal", D("1.5")), D("1.5000000000000000000000001"), False),
        (Exact("decimal", D("14")), 14.0, True),
        (Exact("decimal", D("0.1")), 0.1, True),
        (Exact("decimal", D("0")), D("-0.0"), True),
        (Exact("decimal", D("1")), "1", False),
        (Exact("decimal", D("1")), True, False),
        (Exact("decimal", D("1")), None, False),
        (Exact("whole", -2011), -2011, True),
        (Exact("time", 405_400_000), 405_400_000, True),
        (Exact("time", 405_400_000), 405_400_001, False),
        (Exact("text", "5"), "5", True),
        (Exact("text", "5"), 5, False),
        (Near(D("100")), D("100.0001"), True),  # 1e-6 of 100 is 0.0001
        (Near(D("100")), D("100.00010001"), False),
        (Near(D("-100")), D("-99.9999"), True),
        (Near(D("0")), D("0"), True),
        (Near(D("0")), D("1e-30"), False),
        (Near(D("3.9230769231")), 3.923076923076923, True),
        (Prefix("autoclose-"), "autoclose-17", True),
        (Prefix("autoclose-"), "adl_autoclose", False),
        (Prefix(""), None, False),
        (Absent(), None, True),
        (Absent(), D("0"), False),
    ],
)
def test_a_value_is_compared_by_the_rule_it_is_written_with(wanted: Wanted, actual: Any, is_equal: bool) -> None:
    """Numbers by value, ~ within 1e-6 relative, text to the letter or as a prefix, null as absent."""
    assert wanted.accepts(actual) is is_equal


@pytest.mark.parametrize(
    ("number", "text"),
    [("60000.0", "60000"), ("6E+4", "60000"), ("1E-7", "0.0000001"), ("-0.00", "0"), ("-0.50", "-0.5"), ("0", "0")],
)
def test_decimals_are_written_plain_and_shortest(number: str, text: str) -> None:
    """No exponent, no trailing zeros, no minus before zero."""
    assert plain(D(number)) == text


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_times_are_written_in_milliseconds_without_loss(time_ns: int) -> None:
    """The text times a million is the nanoseconds again."""
    assert D(milliseconds(time_ns)).scaleb(6) == time_ns


# --- events ---------------------------------------------------------------------------------------------------------


def test_equal_events_have_no_difference() -> None:
    """Only the keys given are compared."""
    expect = 'order: a, event: accepted, engine_at: 6\nevent: filled, price: "100.00"\nevent: filled'
    assert differences(f"{expect}\nevent: cancel_rejected, code: -2011", HAPPENED) == []


def test_an_unequal_key_is_one_difference_with_its_place() -> None:
    """expect[2].price, in plain numbers."""
    expect = (
        'event: accepted\nevent: filled, price: "100.0"\nevent: filled, price: "100.6", qty: 2\nevent: cancel_rejected'
    )
    assert differences(expect, HAPPENED) == [("expect[2].price", "100.6", "100.5")]


def test_times_differ_in_milliseconds() -> None:
    """Times are shown as they are written in the file."""
    assert differences("event: accepted, local_at: 9.4", [ACCEPTED]) == [("expect[0].local_at", "9.4", "9.5")]


def test_nested_counters_are_compared() -> None:
    """`counters` on an event is a mapping of its own."""
    expect = "event: filled, counters: {orders_10s: 2, weight_1m: 1}"
    assert differences(expect, [FIRST]) == [
        ("expect[0].counters.orders_10s", "2", "1"),
        ("expect[0].counters.weight_1m", "1", None),
    ]


def test_a_missing_event_is_one_difference_and_not_a_cascade() -> None:
    """The events after the hole pair with their own lines."""
    expect = "event: accepted\nevent: filled, qty: 1\nevent: filled, qty: 2\nevent: cancel_rejected"
    assert differences(expect, [ACCEPTED, SECOND, UNKNOWN]) == [
        ("expect[1]", "filled qty=1", "nothing (missing event)"),
    ]


def test_a_surplus_event_is_named() -> None:
    """What was not listed is a difference, with its place among the events that happened."""
    expect = "event: accepted\nevent: filled, qty: 2\nevent: cancel_rejected"
    surplus = "filled order=a price=100 qty=1 liquidity=taker fee=0.05 engine_at=6"
    assert differences(expect, HAPPENED) == [("events[1]", "nothing (surplus event)", surplus)]


def test_another_outcome_of_the_same_order_is_one_pair() -> None:
    """Accepted instead of rejected is told as such, not as one missing and one surplus."""
    assert differences("event: rejected, order: a, code: -2019", [ACCEPTED]) == [
        ("expect[0].event", "rejected", "accepted"),
        ("expect[0].code", "-2019", None),
    ]


def test_events_in_another_order_are_a_difference() -> None:
    """The list is ordered: two swapped events are not equal."""
    expect = "event: cancel_rejected, order: b\nevent: accepted, order: a"
    found = differences(expect, [ACCEPTED, UNKNOWN])
    assert [(where, expected) for where, expected, _ in found] == [
        ("expect[0]", "cancel_rejected order=b"),
        ("events[1]", "nothing (surplus event)"),
    ]


def test_no_event_may_happen_where_the_list_is_empty() -> None:
    """`expect: []` makes every event a surplus."""
    found = compare_events((), [ACCEPTED], partial=False)
    assert [(d.where, d.got) for d in found] == [("events[0]", "accepted order=a engine_at=6")]


def test_a_partial_list_lets_anything_stand_between() -> None:
    """In order, with surplus events free of charge."""
    assert differences("event: accepted\nevent: cancel_rejected", HAPPENED, partial=True) == []
    assert differences("event: filled, qty: 2", HAPPENED, partial=True) == []


def test_a_partial_list_must_appear_in_order() -> None:
    """The second line has no partner after the first one's."""
    found = differences("event: cancel_rejected\nevent: accepted", HAPPENED, partial=True)
    assert len(found) == 1
    assert found[0][2] == "nothing (missing event)"


def test_a_partial_list_shows_the_nearest_event() -> None:
    """An event of the same name and order that differs in a key is told by that key."""
    expect = 'event: accepted\nevent: filled, order: a, qty: 2, fee: "1"'
    assert differences(expect, HAPPENED, partial=True) == [("expect[1].fee", "1", "0.0000001")]


@given(st.lists(st.sampled_from(HAPPENED), max_size=6), st.lists(st.sampled_from(HAPPENED), max_size=6))
def test_lists_are_equal_exactly_when_their_events_are(expected: list[Any], actual: list[Any]) -> None:
    """No alignment hides a difference, and equal lists have none; partial is being a subsequence."""
    lines = {
        id(ACCEPTED): "event: accepted",
        id(FIRST): "event: filled, qty: 1",
        id(SECOND): "event: filled, qty: 2",
        id(UNKNOWN): "event: cancel_rejected",
    }
    expect = "\n".join(lines[id(event)] for event in expected)
    rest = iter(actual)
    is_subsequence = all(any(event is other for other in rest) for event in expected)
    if expected:
        assert (differences(expect, actual) == []) is (expected == actual)
        assert (differences(expect, actual, partial=True) == []) is is_subsequence


# --- state ----------------------------------------------------------------------------------------------------------


def test_of_a_book_only_the_prices_listed_are_compared() -> None:
    """A level that is not there has quantity "0"."""
    actual = {"books": {"X": {"available": {"asks": [(D("100.5"), D("0.5")), (D("101"), D("7"))], "bids": []}}}}
    final = '{books: {X: {available: {asks: [["100.0", "0"], ["100.50", "0.6"]], bids: [["99", "1"]]}}}}'
    assert state_differences(final, actual) == [
        ("final.books.X.available.asks[100.5]", "0.6", "0.5"),
        ("final.books.X.available.bids[99]", "1", "0"),
    ]


def test_state_is_compared_where_it_is_given() -> None:
    """Nested mappings, near values and absent ones; what is missing in the state is nothing."""
    actual = {
        "orders": {"a": {"status": "filled", "average_price": D("100.3333333333"), "price": None}},
        "account": {"wallet": D("999.90"), "positions": {"X": {"qty": D("3")}}},
    }
    final = (
        '{orders: {a: {status: filled, average_price: "100.33333333~", price: null, fees: "0.1"}},'
        ' account: {wallet: "999.9", balances: {BTC: "1"}, positions: {X: {qty: "2"}}}}'
    )
    assert state_differences(final, actual) == [
        ("final.orders.a.fees", "0.1", None),
        ("final.account.balances.BTC", "1", None),
        ("final.account.positions.X.qty", "2", "3"),
    ]


# --- running and printing -------------------------------------------------------------------------------------------

EXPECT = """\
expect:
  - {order: a, event: accepted, engine_at: 6}
  - {order: a, event: filled, price: "100.0", wallet: "999.95"}
  - {order: a, event: filled, price: "100.6", counters: {orders_10s: 1}}
  - {order: b, event: cancel_rejected, code: -2011}
"""
EQUAL = EXPECT.replace("100.6", "100.5")
LINES = """\
two fills
6 9.5 a accepted
6 9.5 a filled price=100 qty=1 liquidity=taker fee=0.05 wallet=999.95 counters.orders_10s=1
6 9.5 a filled price=100.5 qty=2 liquidity=taker fee=0.0000001 wallet=999.95 counters.orders_10s=1
- 12 b cancel_rejected code=-2011 message="Unknown order sent."
"""
RunFiles = Callable[..., tuple[int, str, str]]


def answer(scenario: Scenario) -> Ran:
    """A simulator that always does the same."""
    assert scenario.name
    state = {"at": D("1")}
    return Ran(
        events=HAPPENED, checks=[state] * len(scenario.expectation.checks), final={"account": {"wallet": D("5.0")}}
    )


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    """Writes files (name to text) and runs some of them: exit code, stdout, stderr."""

    def run_them(files: dict[str, str], *paths: str, run_one: Any = answer, json: bool = False) -> tuple[int, str, str]:
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        out, err = io.StringIO(), io.StringIO()
        where = [str(tmp_path / path) for path in paths or (".",)]
        code = run_files(where, json=json, out=out, err=err, run_one=run_one)
        return code, out.getvalue(), err.getvalue().replace(str(tmp_path), "")

    return run_them


def test_an_equal_scenario_prints_its_events_and_ok(run: RunFiles) -> None:
    """Times in milliseconds, decimals plain, own keys first, then what `expect` names."""
    assert run({"s.yaml": HEAD + REQUESTS + EQUAL}) == (0, f"{LINES}ok\n1 files, 0 failed\n", "")


def test_a_difference_prints_its_line_and_exits_with_1(run: RunFiles) -> None:
    """`expect[2].price  expected 100.6  got 100.5`."""
    code, out, _ = run({"s.yaml": HEAD + REQUESTS + EXPECT})
    assert (code, out) == (1, f"{LINES}expect[2].price  expected 100.6  got 100.5\n1 files, 1 failed\n")


def test_json_is_one_object_a_line_with_all_keys(run: RunFiles) -> None:
    """Decimals are strings, times numbers of milliseconds, differences have where, expected and got."""
    code, out, _ = run({"s.yaml": HEAD + REQUESTS + EXPECT}, "s.yaml", json=True)
    (line,) = out.splitlines()
    result = json.loads(line)
    assert code == 1
    assert list(result) == ["name", "file", "ok", "events", "final", "differences"]
    assert (result["name"], result["ok"], result["final"]) == ("two fills", False, {"account": {"wallet": "5"}})
    assert result["events"][0] == {"event": "accepted", "order": "a", "engine_at": 6, "local_at": 9.5}
    assert result["events"][1]["counters"] == {"orders_10s": 1}
    assert result["differences"] == [{"where": "expect[2].price", "expected": "100.6", "got": "100.5"}]


def test_checks_are_compared_in_their_order(run: RunFiles) -> None:
    """A check's place is named with its index."""
    text = HEAD + REQUESTS + 'checks: [{at: 1, account: {wallet: "4"}}, {at: 2, account: {wallet: "6"}}]\n'

    def run_one(scenario: Scenario) -> Ran:
        assert [check.at for check in scenario.expectation.checks] == [1_000_000, 2_000_000]
        return Ran(events=[], checks=[{"account": {"wallet": D(4)}}, {"account": {"wallet": D(5)}}], final={})

    code, out, _ = run({"s.yaml": text}, run_one=run_one)
    assert (code, out.splitlines()[1]) == (1, "checks[1].account.wallet  expected 6  got 5")


def test_a_broken_invariant_fails_an_otherwise_equal_file(run: RunFiles) -> None:
    """Whether the simulator reports it or raises it."""

    def reports(_: Scenario) -> Ran:
        return Ran(events=HAPPENED, checks=[], final={}, broken=["order a: filled 4 exceeds 3"])

    def raises(_: Scenario) -> Ran:
        raise InvariantBroken("order a: filled 4 exceeds 3")

    for run_one in (reports, raises):
        code, out, _ = run({"s.yaml": HEAD + REQUESTS + EQUAL}, run_one=run_one)
        assert code == 1
        assert "invariant  expected holds  got order a: filled 4 exceeds 3\n" in out


def test_a_folder_is_its_yaml_files_by_name_and_an_unreadable_one_stops_none(run: RunFiles) -> None:
    """The problem goes to stderr, the others run, the exit code is 2."""
    good = HEAD + REQUESTS + EQUAL
    code, out, err = run({"b.yaml": good, "a.yaml": f"{good}requets: []\n", "c.yaml": good, "d.txt": "no scenario"})
    assert (code, out) == (2, f"{LINES}ok\n{LINES}ok\n3 files, 0 failed, 1 unreadable\n")
    assert "/a.yaml: 1 problem" in err
    assert "line 10  $.requets  unknown key, did you mean `requests`?" in err


def test_a_market_the_simulator_refuses_is_unreadable(run: RunFiles) -> None:
    """What is wrong with the data of a scenario is wrong with its file."""

    def run_one(_: Scenario) -> Ran:
        raise DataError("two bars of X overlap")

    code, _, err = run({"s.yaml": HEAD}, run_one=run_one)
    assert code == 2
    assert "$.tape  two bars of X overlap" in err


def test_a_missing_file_is_unreadable(run: RunFiles) -> None:
    """It is named, and the exit code is 2."""
    code, out, err = run({}, "nowhere.yaml")
    assert (code, out) == (2, "1 files, 0 failed, 1 unreadable\n")
    assert "/nowhere.yaml: 1 problem" in err


def test_unreadable_files_are_objects_with_their_problems_in_json(run: RunFiles) -> None:
    """A program that reads the lines learns of every file."""
    code, out, _ = run({"s.yaml": f"{HEAD}sed: 1\n"}, "s.yaml", json=True)
    result = json.loads(out)
    assert (code, result["ok"]) == (2, False)
    assert result["problems"] == [{"line": 4, "path": "$.sed", "message": "unknown key, did you mean `seed`?"}]


def test_nothing_to_run_is_wrong_usage(run: RunFiles, tmp_path: Path) -> None:
    """No path, or a folder without scenarios."""
    with pytest.raises(UsageError, match="which scenario"):
        run_files([], json=False, out=io.StringIO(), err=io.StringIO(), run_one=answer)
    with pytest.raises(UsageError, match=r"no \*\.yaml in this folder"):
        run({})
