"""What a scenario prints: lines for people, or one JSON object per file. The same run prints the same bytes.

An event's line is `engine_at local_at order event key=value…`: times in milliseconds after `start`, decimals exact and
plain, `-` for what is absent. It shows the event's own keys, then those that the file's `expect` names anywhere; the
JSON form has them all. Decimals are JSON strings, times JSON numbers (of milliseconds, exact).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from sim.scenarios.compare import ActualEvent, ActualState, Difference, shown
from sim.scenarios.expected import Expectation
from sim.scenarios.values import milliseconds, plain
from sim.scenarios.words import OWN_KEYS, keys_of

HEAD = ("engine_at", "local_at", "order")
"""The columns before the event's name."""
TIMES = frozenset({"engine_at", "local_at"})


def result_lines(
    name: str, expectation: Expectation, events: Sequence[ActualEvent], differences: Sequence[Difference]
) -> Iterator[str]:
    """A file's name, its events, and `ok` or its differences."""
    yield name
    asked = {key for event in expectation.events or () for key in event.keys}
    for event in events:
        yield event_line(event, asked)
    if not differences:
        yield "ok"
    yield from (difference_line(difference) for difference in differences)


def event_line(event: ActualEvent, asked: set[str] | frozenset[str] = frozenset()) -> str:
    """One event; `asked` are the keys to show beside its own."""
    name = str(event["event"])
    shapes = keys_of(name)
    words = [shown(event[key], shapes.get(key)) if event.get(key) is not None else "-" for key in HEAD]
    words.append(name)
    for key, shape in shapes.items():
        if key in HEAD or event.get(key) is None or not (key in OWN_KEYS[name] or key in asked):
            continue
        if isinstance(event[key], Mapping):
            words += [f"{key}.{inner}={shown(value, None)}" for inner, value in event[key].items()]
        else:
            words.append(f"{key}={shown(event[key], shape)}")
    return " ".join(words)


def difference_line(difference: Difference) -> str:
    """`expect[2].price  expected 100.5  got 100.6`."""
    expected = "nothing" if difference.expected is None else difference.expected
    got = "nothing" if difference.got is None else difference.got
    return f"{difference.where}  expected {expected}  got {got}"


def result_json(
    name: str,
    file: str,
    events: Sequence[ActualEvent],
    final: ActualState,
    differences: Sequence[Difference],
    **more: Any,
) -> str:
    """One file's result as one line of JSON; `more` are further keys of the object."""
    return line_of(
        {
            "name": name,
            "file": file,
            "ok": not differences,
            "events": [_event_plain(event) for event in events],
            "final": _plain(final),
            "differences": [msgspec.to_builtins(difference) for difference in differences],
            **more,
        }
    )


def line_of(content: dict[str, Any]) -> str:
    """A mapping of plain values as one line of JSON."""
    return msgspec.json.encode(content).decode()


def _event_plain(event: ActualEvent) -> dict[str, Any]:
    found: dict[str, Any] = {"event": event["event"]}
    for key in ("order", *keys_of(str(event["event"]))):
        if event.get(key) is not None:
            is_time = key in TIMES
            found[key] = msgspec.Raw(milliseconds(event[key]).encode()) if is_time else _plain(event[key])
    return found


def _plain(value: Any) -> Any:
    """Decimals (and floats, which stand for their shortest decimal) as text, everything else as it is."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        return plain(Decimal(repr(value)))
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
