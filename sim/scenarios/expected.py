"""What a scenario expects: `expect`, `checks` and `final`, read strictly into comparable values.

Only what is given is compared. A decimal ending in `~` is meant within 1e-6 of itself, relative; a text ending in `*`
is a prefix; `null` means absent. Everything else is compared exactly, decimals and times by value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from core.errors import Problem
from core.notation import Millis, plain_number
from core.settings.decode import decode
from core.settings.yaml_nodes import REFUSED, Node, escaped, shown
from sim.scenarios.crossings import child, handles_of, hint, items, symbols_of
from sim.scenarios.values import Absent, Exact, Near, Prefix, ValueKind, Wanted
from sim.scenarios.words import DECIMAL, OWN_KEYS, STATE, Keys, Levels, Shape, Value, keys_of

# --- what was read --------------------------------------------------------------------------------------------------


class WantedLevels(msgspec.Struct, frozen=True):
    """Prices and the quantities expected there; a level that is missing has "0"."""

    levels: tuple[tuple[Decimal, Wanted], ...]


Tree = Wanted | WantedLevels | dict[str, "Tree"]


class ExpectedEvent(msgspec.Struct, frozen=True):
    """One entry of `expect`: the event's name, and the keys to compare."""

    event: str
    keys: dict[str, Tree]


class Check(msgspec.Struct, frozen=True):
    """The venue's state after everything with engine time <= `at` (nanoseconds after `start`)."""

    at: int
    state: dict[str, Tree]


class Expectation(msgspec.Struct, frozen=True):
    """All that a scenario expects."""

    events: tuple[ExpectedEvent, ...] | None
    """None: events are not compared. Empty: none may happen."""
    partial: bool
    checks: tuple[Check, ...]
    final: dict[str, Tree]


# --- reading --------------------------------------------------------------------------------------------------------


def read_expectation(root: Node, problems: list[Problem]) -> Expectation:
    """What the file expects; every problem is appended, and what has one is left out."""
    reader = _Reader(problems, orders=handles_of(root), symbols=symbols_of(root))
    expect, final, partial = child(root, "expect"), child(root, "final"), child(root, "partial")
    events = [reader.event(node) for node in reader.list_of(root, "expect")]
    checks = [reader.check(node) for node in reader.list_of(root, "checks")]
    return Expectation(
        events=None if expect is None else tuple(event for event in events if event is not None),
        partial=partial is not None and partial.value == "true",
        checks=tuple(check for check in checks if check is not None),
        final={} if final is None else reader.mapping(final, STATE),
    )


class _Reader:
    """Turns nodes into trees along the shapes; collects problems."""

    def __init__(self, problems: list[Problem], *, orders: Iterable[str], symbols: Iterable[str]) -> None:
        self._problems = problems
        self._names = {"orders": tuple(orders), "symbols": tuple(symbols)}

    def list_of(self, root: Node, key: str) -> list[Node]:
        """The entries under a key of the file; none, and a problem, where something else stands there."""
        node = child(root, key)
        if node is not None and not isinstance(node.value, list):
            self._report(node, f"expected a list ([] for an empty one), found {shown(node)}")
        return items(root, key)

    def event(self, node: Node) -> ExpectedEvent | None:
        """One entry of `expect`."""
        if not isinstance(node.value, dict):
            self._report(node, f"expected a mapping like {{order: a, event: accepted}}, found {shown(node)}")
            return None
        name = child(node, "event")
        if name is None:
            self._problems.append(Problem(node.line, f"{node.path}.event", f"missing: expected {_listed(OWN_KEYS)}"))
            return None
        event = decode(name, str, self._problems)
        if event is None:
            return None
        if event not in OWN_KEYS:
            self._report(name, f"unknown event `{escaped(event)}`{hint(event, OWN_KEYS, else_all=True)}")
            return None
        keys = self._keys(node, keys_of(event), read_apart="event", event=event)
        for key, names in (("order", "orders"), ("symbol", "symbols")):
            wanted = keys.get(key)
            if isinstance(wanted, Exact):
                self._known(node.value[key], str(wanted.value), names)
        return ExpectedEvent(event, keys)

    def check(self, node: Node) -> Check | None:
        """One entry of `checks`."""
        if not isinstance(node.value, dict):
            self._report(node, f"expected a mapping like {{at: 10, account: {{…}}}}, found {shown(node)}")
            return None
        state = self._keys(node, STATE, read_apart="at")
        at = child(node, "at")
        if at is None:
            self._problems.append(Problem(node.line, f"{node.path}.at", "missing: expected milliseconds after `start`"))
            return None
        time = decode(at, Millis, self._problems)
        return None if time is None else Check(time, state)

    def mapping(self, node: Node, shapes: Mapping[str, Shape]) -> dict[str, Tree]:
        """A mapping with known keys."""
        if not isinstance(node.value, dict):
            self._report(node, f"expected a mapping with {_listed(shapes)}, found {shown(node)}")
            return {}
        return self._keys(node, shapes)

    def _keys(
        self, node: Node, shapes: Mapping[str, Shape], *, read_apart: str | None = None, event: str | None = None
    ) -> dict[str, Tree]:
        assert isinstance(node.value, dict), "the caller has looked"
        tree: dict[str, Tree] = {}
        known = [*([read_apart] if read_apart else []), *shapes]
        for key, inner in node.value.items():
            if key == read_apart:
                continue
            if key not in shapes:
                elsewhere = event is not None and any(key in keys_of(other) for other in OWN_KEYS)
                if elsewhere and inner.tag == "null":
                    continue  # absent, as expected: such events never have it
                message = f"unknown key{hint(key, known) or f', valid here: {_listed(known)}'}"
                if elsewhere:
                    message = f"`{event}` events do not have this key; they have {_listed(shapes)}"
                self._problems.append(Problem(node.key_lines.get(key, inner.line), inner.path, message))
                continue
            value = self._tree(inner, shapes[key])
            if value is not None:
                tree[key] = value
        return tree

    def _tree(self, node: Node, shape: Shape) -> Tree | None:
        if isinstance(shape, Value):
            return self._leaf(node, shape)
        if isinstance(shape, Levels):
            return self._levels(node)
        if isinstance(shape, Keys):
            return self.mapping(node, shape.keys)
        if not isinstance(node.value, dict):
            self._report(node, f"expected a mapping whose keys are {shape.of}, found {shown(node)}")
            return None
        tree: dict[str, Tree] = {}
        for name, value in node.value.items():
            if shape.of != "assets":
                self._known(value, name, shape.of)
            found = self._tree(value, shape.shape)
            if found is not None:
                tree[name] = found
        return tree

    def _levels(self, node: Node) -> WantedLevels | None:
        if not isinstance(node.value, list):
            self._report(node, f"expected a list of [price, qty], found {shown(node)}")
            return None
        levels: list[tuple[Decimal, Wanted]] = []
        for entry in node.value:
            if not isinstance(entry.value, list) or len(entry.value) != 2:
                self._report(entry, f"expected [price, qty], found {shown(entry)}")
                continue
            price, wanted = decode(entry.value[0], Decimal, self._problems), self._leaf(entry.value[1], DECIMAL)
            if price is not None and wanted is not None:
                levels.append((price, wanted))
        return WantedLevels(tuple(levels))

    def _leaf(self, node: Node, shape: Value) -> Wanted | None:
        if node.tag == "null":
            return Absent()
        if not isinstance(node.value, str):
            self._report(node, f"expected {_WORDS[shape.kind]}, found {shown(node)}")
            return None
        if shape.kind == "text":
            return self._text(node, shape.choices)
        if shape.kind == "time":
            time = decode(node, Millis, self._problems)
            return None if time is None else Exact("time", time)
        is_near = shape.kind == "decimal" and node.value.endswith("~")
        try:
            number = plain_number(node.value[:-1] if is_near else node.value)
        except ValueError as error:
            self._report(node, f"{error}, found {shown(node)}")
            return None
        if shape.kind == "whole" and number != number.to_integral_value():
            self._report(node, f"expected {_WORDS[shape.kind]}, found {shown(node)}")
            return None
        return Near(number) if is_near else Exact(shape.kind, number)

    def _text(self, node: Node, choices: tuple[str, ...]) -> Wanted | None:
        text = decode(node, str, self._problems)
        if text is None:
            return None
        if text.endswith("*"):
            return Prefix(text[:-1])
        if choices and text not in choices:
            self._report(node, f"unknown name `{escaped(text)}`{hint(text, choices, else_all=True)}")
            return None
        return Exact("text", text)

    def _known(self, node: Node, name: str, of: str) -> None:
        known = self._names[of]
        if name not in known:
            place = "no request has the handle" if of == "orders" else "`instruments` does not have"
            self._report(node, f"{place} `{escaped(name)}`{hint(name, known)}")

    def _report(self, node: Node, message: str) -> None:
        if node.tag == REFUSED:  # the reader has told why
            return
        self._problems.append(Problem(node.line, node.path, message))


_WORDS: dict[ValueKind, str] = {
    "decimal": 'a decimal like "100.5", or "100.5~" for within 1e-6',
    "whole": "a whole number",
    "text": "text",
    "time": "milliseconds after `start`",
}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
