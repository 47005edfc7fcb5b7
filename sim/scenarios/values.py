"""Expected values and how they meet actual ones; how a number is written in what a scenario prints.

Actual values are `Decimal`, `int`, `str`, `None` or `float` (queue positions; a float means its shortest decimal).
Times are int nanoseconds after `start`, written in milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

ValueKind = Literal["decimal", "whole", "text", "time"]
Actual = Decimal | int | float | str | None

RELATIVE = Decimal("1e-6")
"""How far a value may be from one written with `~`, relative to the latter."""
NS_PER_MS_DIGITS = 6


class Exact(msgspec.Struct, frozen=True):
    """The value itself: numbers by value ("1.50" is 1.5), text to the letter."""

    kind: ValueKind
    value: Decimal | int | str

    def accepts(self, actual: Actual) -> bool:
        if self.kind == "text":
            return isinstance(actual, str) and actual == self.value
        number = as_number(actual)
        return number is not None and number == self.value

    def __str__(self) -> str:
        return written(self.value, self.kind)


class Near(msgspec.Struct, frozen=True):
    """Within 1e-6 of the value, relative to it; of zero, only zero."""

    value: Decimal
    kind: ValueKind = "decimal"

    def accepts(self, actual: Actual) -> bool:
        number = as_number(actual)
        return number is not None and abs(number - self.value) <= RELATIVE * abs(self.value)

    def __str__(self) -> str:
        return f"{plain(self.value)}~"


class Prefix(msgspec.Struct, frozen=True):
    """Text that begins like this."""

    text: str
    kind: ValueKind = "text"

    def accepts(self, actual: Actual) -> bool:
        return isinstance(actual, str) and actual.startswith(self.text)

    def __str__(self) -> str:
        return f"{self.text}*"


class Absent(msgspec.Struct, frozen=True):
    """Nothing there."""

    kind: ValueKind = "text"

    def accepts(self, actual: Actual) -> bool:
        return actual is None

    def __str__(self) -> str:
        return "nothing"


Wanted = Exact | Near | Prefix | Absent


def as_number(actual: Actual) -> Decimal | None:
    """The exact number of an actual value; None for text and for nothing."""
    if isinstance(actual, Decimal):
        return actual
    if isinstance(actual, bool):
        return None
    if isinstance(actual, int):
        return Decimal(actual)
    if isinstance(actual, float):
        return Decimal(repr(actual))
    return None


def plain(number: Decimal) -> str:
    """Shortest exact plain notation: no exponent, no trailing zeros, no minus before zero."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def milliseconds(time_ns: int) -> str:
    """Nanoseconds written in milliseconds, exactly: 405400000 is 405.4."""
    return plain(Decimal(time_ns).scaleb(-NS_PER_MS_DIGITS))


def written(actual: Actual, kind: ValueKind | None = None) -> str:
    """An actual or exact value as text; `kind` "time" writes int nanoseconds in milliseconds."""
    if actual is None:
        return "nothing"
    if kind == "time" and isinstance(actual, int):
        return milliseconds(actual)
    number = as_number(actual)
    return plain(number) if number is not None else str(actual)
