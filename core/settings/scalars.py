"""Single values: what a scalar's text means for the type expected of it, and whether it is within its bounds.

Each reader takes a node and raises ValueError with a sentence for the user; where it stands is the caller's to add.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from core.notation import Notation, plain, plain_number
from core.settings.yaml_nodes import Node, escaped, meaning, misreading, shown

T = TypeVar("T")

INT_MAX = 2**63 - 1


def text_of(node: Node) -> str:
    if not isinstance(node.value, str | None):
        raise ValueError(f"expected text, found {shown(node)}")
    if wrong := misreading(node):
        raise ValueError(f"expected text, {wrong}")
    assert isinstance(node.value, str), "null is a misreading"
    return node.value


def bool_of(node: Node) -> bool:
    if node.value in ("true", "false") and not node.quoted:
        return node.value == "true"
    hint = f": write {meaning(node)}" if node.tag == "bool" else ": remove the quotes" if node.quoted else ""
    raise ValueError(f"expected true or false, found {shown(node)}{hint}")


def int_of(node: Node) -> int:
    text = node.value if isinstance(node.value, str) else ""
    if node.quoted and re.fullmatch(r"-?\d+", text):
        raise ValueError(f"expected a whole number, found text {shown(node)}: remove the quotes")
    number = _number(node, "a whole number")
    if "." in text:
        raise ValueError(f"expected a whole number, found {shown(node)}")
    if abs(number) > INT_MAX:
        raise ValueError(f"expected a whole number of at most 64 bits, found {shown(node)}")
    return int(number)


def float_of(node: Node) -> float:
    value = float(_number(node, "a number"))
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {shown(node)}")
    return value


def decimal_of(node: Node) -> Decimal:
    return _number(node, "a decimal number")


def _number(node: Node, expected: str) -> Decimal:
    if not isinstance(node.value, str):
        raise ValueError(f"expected {expected}, found {shown(node)}")
    try:
        return plain_number(node.value)
    except ValueError as error:
        told = str(error).replace("expected a decimal number", f"expected {expected}")
        reading = meaning(node) if node.tag in ("bool", "int", "float") and "finite" not in told else ""
        # Said only where it surprises: `0123` is 83, `1:30` is 90; that `1_000` is 1000 is in the advice already.
        is_surprise = reading not in ("", "a number") and reading.removeprefix("the number ") not in told.split()
        read = f" (YAML read it as {reading})" if is_surprise else ""
        raise ValueError(f"{told}, found {shown(node)}{read}") from None


READERS = {str: text_of, bool: bool_of, int: int_of, float: float_of, Decimal: decimal_of}


def choice_of(node: Node, words: dict[str, Any]) -> Any:
    """The value behind one of a few words."""
    only_text = all(isinstance(value, str) for value in words.values())
    is_scalar = isinstance(node.value, str)
    if is_scalar and not only_text and not node.quoted and node.value in words:
        return words[str(node.value)]
    return named(text_of(node), words)


def named(name: str, words: Mapping[str, T]) -> T:
    if name in words:
        return words[name]
    near = nearest(name, words)
    listed = ", ".join(words)
    if near:
        raise ValueError(f"unknown name {escaped(name)}, did you mean `{near}`? expected one of: {listed}")
    raise ValueError(f"unknown name {escaped(name)}, expected one of: {listed}")


# --- names ------------------------------------------------------------------------------------------------------------


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name a misspelled one is closest to; None where nothing is near."""
    from difflib import get_close_matches  # only a wrong file pays for it

    lowered = {word.lower(): word for word in valid}
    found = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def advice(near: str | None, valid: Iterable[str]) -> str:
    return f"did you mean `{near}`?" if near else f"valid here: {', '.join(valid) or 'nothing'}"


# --- bounds -----------------------------------------------------------------------------------------------------------


def out_of_bounds(value: Any, meta: msgspec.Meta, notation: Notation | None = None, found: str = "") -> str | None:
    """What a value violates of its annotation, as a sentence; None where it is inside."""
    size = len(value) if isinstance(value, str | list | tuple | dict) else 0
    if meta.min_length is not None and size < meta.min_length:
        if not size:
            return "must not be empty"
        return f"expected at least {meta.min_length} items or characters, found {size}"
    if meta.max_length is not None and size > meta.max_length:
        return f"expected at most {meta.max_length} items or characters, found {size}"
    if meta.pattern is not None and not re.search(meta.pattern, value):
        return f"expected {meta.description or f'text that matches {meta.pattern}'}, found {found or value}"
    rows = (
        (meta.ge, operator.ge, "is below the minimum"),
        (meta.gt, operator.gt, "must be above"),
        (meta.le, operator.le, "is above the maximum"),
        (meta.lt, operator.lt, "must be below"),
    )
    for bound, holds, words in rows:
        if bound is not None and not holds(value, _exact(bound)):
            return f"{_shown_number(value, notation)} {words} {_shown_number(_exact(bound), notation)}"
    return None


def _exact(bound: float) -> int | Decimal:
    """A bound as written: 0.1 is a tenth, not the float next to it."""
    return bound if isinstance(bound, int) else Decimal(repr(bound))


def _shown_number(value: int | float | Decimal, notation: Notation | None) -> str:
    if notation is not None:
        return notation.write(int(value)) + notation.unit
    return plain(value if isinstance(value, Decimal) else Decimal(repr(value)))
