"""Expected against actual: which events and which state differ, and where.

Events are aligned first, so that one missing event is one difference and not a cascade: the alignment with the fewest
missing, surplus and unequal events is chosen. Whatever it leaves unequal is a difference; equal means every event
pairs. With `partial` surplus events cost nothing, which makes it "in order, with anything in between".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from sim.scenarios.expected import Check, Expectation, ExpectedEvent, Tree, WantedLevels
from sim.scenarios.values import Absent, Wanted, as_number, plain, written
from sim.scenarios.words import OWN_KEYS, Value, keys_of

ActualEvent = Mapping[str, Any]
"""`event` and the keys of section 7: Decimal, int, float, str, None; times int ns after `start`; nested `counters`."""
ActualState = Mapping[str, Any]
"""The keys of section 8, nested. Books' sides are iterables of (price, quantity), or mappings."""

MISSING_COST = 100
"""Of an expected event that did not happen, and of one that happened unexpected."""
ALIKE_COST = 10
"""Of pairing events of the same name and order that differ in other keys, plus one for each key."""
OTHER_NAME_COST = 150
"""Of pairing different events of one order: better than one missing and one surplus, worse than either alone."""
UNLIKE_COST = 3 * MISSING_COST
"""Of pairing events that have nothing in common: never chosen."""


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as expected. None is nothing: absent, or expected to be."""

    where: str
    expected: str | None
    got: str | None


def compare(
    expectation: Expectation,
    events: Sequence[ActualEvent],
    checks: Sequence[ActualState],
    final: ActualState,
) -> list[Difference]:
    """All differences: events, then checks, then the end. `checks` are the states at the checks' times, in order."""
    differences: list[Difference] = []
    if expectation.events is not None:
        differences += compare_events(expectation.events, events, partial=expectation.partial)
    for index, (check, state) in enumerate(zip(expectation.checks, checks, strict=True)):
        differences += compare_check(check, state, index)
    return differences + compare_tree(expectation.final, final, "final")


def compare_events(
    expected: Sequence[ExpectedEvent], actual: Sequence[ActualEvent], *, partial: bool = False
) -> list[Difference]:
    """Differences between the list expected and the list that happened, in the order of the lists."""
    differences: list[Difference] = []
    for want, got in _alignment(expected, actual, 0 if partial else MISSING_COST):
        if want is None:
            assert got is not None, "an alignment has no empty pair"
            if not partial:
                named = summary(actual[got])
                differences.append(Difference(f"events[{got}]", "nothing (surplus event)", named))
        elif got is None:
            named = _named(expected[want].event, expected[want].keys)
            differences.append(Difference(f"expect[{want}]", named, "nothing (missing event)"))
        else:
            differences += _event_differences(expected[want], actual[got], f"expect[{want}]")
    return differences


def compare_check(check: Check, state: ActualState, index: int) -> list[Difference]:
    """Differences of one check's state."""
    return compare_tree(check.state, state, f"checks[{index}]")


def compare_tree(tree: Mapping[str, Tree], actual: Any, where: str) -> list[Difference]:
    """Differences of what is given in `tree`; what it leaves out is not looked at."""
    found: Mapping[str, Any] = actual if isinstance(actual, Mapping) else {}
    differences: list[Difference] = []
    for key, wanted in tree.items():
        differences += _difference(wanted, found.get(key), f"{where}.{key}")
    return differences


def summary(event: ActualEvent) -> str:
    """An event that happened in one short line: its name, whose it is, its own keys and its time."""
    name = str(event["event"])
    return _named(name, {key: event.get(key) for key in ("order", *OWN_KEYS[name], "engine_at")})


def shown(value: Any, shape: Any) -> str:
    """One value of an event, actual or expected, as it is printed; text with spaces is quoted."""
    kind = shape.kind if isinstance(shape, Value) else None
    text = str(value) if isinstance(value, Wanted) else written(value, kind)
    return f'"{text}"' if " " in text else text


def _named(name: str, keys: Mapping[str, Any]) -> str:
    shapes = keys_of(name)
    # A mapping (`counters`) does not fit a line; when its event is missing, it is not what matters.
    given = {key: value for key, value in keys.items() if value is not None and not isinstance(value, Mapping)}
    return " ".join([name, *(f"{key}={shown(value, shapes[key])}" for key, value in given.items())])


# --- one value ------------------------------------------------------------------------------------------------------


def _difference(wanted: Tree, actual: Any, where: str) -> list[Difference]:
    if isinstance(wanted, dict):
        return compare_tree(wanted, actual, where)
    if isinstance(wanted, WantedLevels):
        quantities = _quantities(actual)
        return [
            Difference(f"{where}[{plain(price)}]", _or_none(want), written(quantities.get(price, Decimal(0))))
            for price, want in wanted.levels
            if not want.accepts(quantities.get(price, Decimal(0)))
        ]
    if wanted.accepts(actual):
        return []
    return [Difference(where, _or_none(wanted), None if actual is None else written(actual, wanted.kind))]


def _quantities(levels: Any) -> dict[Decimal, Any]:
    pairs: Iterable[tuple[Any, Any]] = levels.items() if isinstance(levels, Mapping) else levels or ()
    found: dict[Decimal, Any] = {}
    for price, quantity in pairs:
        number = as_number(price)
        assert number is not None, "prices of a book are numbers"
        found[number] = quantity
    return found


def _or_none(wanted: Wanted) -> str | None:
    return None if isinstance(wanted, Absent) else str(wanted)


# --- events ---------------------------------------------------------------------------------------------------------


def _event_differences(expected: ExpectedEvent, actual: ActualEvent, where: str) -> list[Difference]:
    name = [] if expected.event == actual["event"] else [Difference(f"{where}.event", expected.event, actual["event"])]
    return name + compare_tree(expected.keys, actual, where)


def _pair_cost(expected: ExpectedEvent, actual: ActualEvent) -> int:
    unequal = len(_event_differences(expected, actual, ""))
    if not unequal:
        return 0
    same_order = not any(
        _difference(expected.keys[key], actual.get(key), "") for key in ("order", "symbol") if key in expected.keys
    )
    if not same_order:
        return UNLIKE_COST
    return (ALIKE_COST if expected.event == actual["event"] else OTHER_NAME_COST) + unequal


def _alignment(
    expected: Sequence[ExpectedEvent], actual: Sequence[ActualEvent], surplus_cost: int
) -> list[tuple[int | None, int | None]]:
    """Pairs (index expected, index actual) in order, None for a partner that is not there; the cheapest such list."""
    start = 0
    # Equal beginnings pair in some cheapest alignment, so they need no table; most lists are equal to their end.
    while start < min(len(expected), len(actual)) and not _pair_cost(expected[start], actual[start]):
        start += 1
    rows, columns = len(expected) - start, len(actual) - start
    pairs = [[_pair_cost(want, got) for got in actual[start:]] for want in expected[start:]]
    # rest[i][j]: cost of aligning what follows expected i and actual j.
    rest = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            choices = []
            if i < rows and j < columns:
                choices.append(pairs[i][j] + rest[i + 1][j + 1])
            if i < rows:
                choices.append(MISSING_COST + rest[i + 1][j])
            if j < columns:
                choices.append(surplus_cost + rest[i][j + 1])
            rest[i][j] = min(choices, default=0)
    aligned: list[tuple[int | None, int | None]] = [(index, index) for index in range(start)]
    i = j = 0
    while i < rows or j < columns:
        if i < rows and j < columns and rest[i][j] == pairs[i][j] + rest[i + 1][j + 1]:
            aligned.append((start + i, start + j))
            i, j = i + 1, j + 1
        elif i < rows and rest[i][j] == MISSING_COST + rest[i + 1][j]:
            aligned.append((start + i, None))
            i += 1
        else:
            aligned.append((None, start + j))
            j += 1
    return aligned
