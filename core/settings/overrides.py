"""Settings from the command line: `--set a.b[0].c=value` laid over the tree of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.errors import ConfigError, Problem
from core.settings.yaml_nodes import REFUSED, Node, escaped, read_value, secret_problem, step_text, steps


def override(node: Node, assignments: Sequence[str], problems: list[Problem] | None = None) -> Node:
    """A tree with each `path=value` put in; `node` stays as it is.

    The value is read as YAML (`5`, `"10000"`, `[BTCUSDT, ETHUSDT]`, nothing = null). Keys that do not exist are made,
    `[n]` may be one past the end of a list. What is wrong is appended to `problems`, its place is `--set path`;
    without `problems` it raises ConfigError.
    """
    found: list[Problem] = [] if problems is None else problems
    for assignment in assignments:
        node = _assigned(node, assignment, found)
    if problems is None and found:
        raise ConfigError(node.file, found)
    return node


def _assigned(node: Node, assignment: str, problems: list[Problem]) -> Node:
    path, equals, text = assignment.partition("=")
    path = path.strip().removeprefix("$.")
    place = f"--set {escaped(path)}"
    if not equals or not path:
        problems.append(Problem(None, place, "expected path=value, like risk.max_leverage=3"))
        return node
    try:
        route = steps(path)
    except ValueError as error:
        problems.append(Problem(None, place, str(error)))
        return node
    value = read_value(text, place, problems)
    if value is None:
        return node
    for key in (step for step in route if isinstance(step, str)):
        if problem := secret_problem(key, value):
            problems.append(Problem(None, place, problem))
            value = Node(None, REFUSED, place)
    return _placed(node, route, value, "--set ", problems)


def _placed(node: Node, route: list[str | int], value: Node, place: str, problems: list[Problem]) -> Node:
    """`node` with `value` at the end of `route`; nodes on the way keep their lines, new ones are named `--set …`."""
    if not route:
        return value
    step, rest = route[0], route[1:]
    text = step_text(step)
    here = place + (text.removeprefix(".") if place == "--set " else text)
    new = Node({}, "map", here) if rest and isinstance(rest[0], str) else Node([], "seq", here)
    if isinstance(step, str):
        held = node.value if isinstance(node.value, dict) else {}
        if not isinstance(node.value, dict | None):
            problems.append(Problem(None, here, f"{node.path} is no mapping and has no key {text.removeprefix('.')}"))
            return node
        inner = _placed(held.get(step, new), rest, value, here, problems)
        return replace(node, value={**held, step: inner}, tag="map", key_lines={**node.key_lines, step: inner.line})
    items = node.value if isinstance(node.value, list) else []
    if not isinstance(node.value, list | None) or step > len(items):
        count = f"a list of {len(items)}" if isinstance(node.value, list) else "no list"
        problems.append(Problem(None, here, f"{node.path} is {count} and has no item [{step}]"))
        return node
    inner = _placed(items[step] if step < len(items) else new, rest, value, here, problems)
    return replace(node, value=[*items[:step], inner, *items[step + 1 :]], tag="seq")
