"""How numbers and times are written in files, and what they are inside: exact decimals and int nanoseconds.

`Timestamp`, `Millis` and `Interval` are plain `int` (nanoseconds) to the type checker; their `Notation` in the
annotation tells `core.settings.decode` how to read them and `core.settings.encode` how to write them back.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Annotated, Protocol

import msgspec

from core.moments import DAY_NS, HOUR_NS, INF, MINUTE_NS, MS_NS, SECOND_NS

DIGITS_MAX = 34
"""Significant digits of a decimal: the precision of the ledgers (`Context(prec=34)`)."""
LENGTH_MAX = 400
"""Characters of a number, zeros included: as long as the longest float, 1.8e308, written out with its decimals."""
INTERVAL_NS = {
    "w": 7 * DAY_NS,
    "d": DAY_NS,
    "h": HOUR_NS,
    "m": MINUTE_NS,
    "s": SECOND_NS,
    "ms": MS_NS,
}
"""Units of an interval, longest first. A month has no fixed length and is not among them."""

_PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_WITH_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]{1,2}")
_INTERVAL = re.compile(r"([1-9][0-9]{0,8})(ms|[smhdw])")
_TIMESTAMP = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"([Tt ](?P<clock>\d{2}:\d{2}(:\d{2})?)(\.(?P<fraction>\d{1,9}))?"
    r"\s?(?P<zone>[Zz]|[-+]\d{2}:?\d{2})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1970, 2262)
"""What int64 nanoseconds can say, and no year before markets had computers."""


class Notation(Protocol):
    """A way to write an int. `expected` names it in messages, `unit` follows a number in them."""

    expected: str
    unit: str

    def read(self, text: str) -> int:
        """Raises ValueError with a sentence for the user."""
        ...

    def write(self, value: int) -> str: ...


def plain_number(text: str) -> Decimal:
    """A decimal exactly as written: digits, at most one point, a minus sign. Raises ValueError saying what to write."""
    if not _PLAIN.fullmatch(text):
        raise ValueError(_not_plain(text))
    if len(text) > LENGTH_MAX or len(text.lstrip("-").replace(".", "").strip("0")) > DIGITS_MAX:
        raise ValueError(f"more than {DIGITS_MAX} significant digits cannot be kept exactly")
    return Decimal(text)


def plain(value: Decimal) -> str:
    """A decimal without exponent, every digit kept: what `plain_number` reads."""
    text = str(value)  # twice as fast as format, and the same wherever it needs no exponent
    return format(value, "f") if "E" in text else text


def _not_plain(text: str) -> str:
    """Why `text` is no plain decimal number, and what to write instead where that is clear."""
    bare = text.replace("_", "").lower()
    if bare.lstrip("+-.") in ("inf", "infinity", "nan"):
        return "expected a finite number"
    if _WITH_EXPONENT.fullmatch(bare):
        return f"expected a plain decimal number: write {plain(Decimal(bare))}"
    if re.fullmatch(r"0[xob][0-9a-f]{1,16}", bare):
        try:
            return f"expected a plain decimal number: write {int(bare, 0)}"
        except ValueError:
            return "expected a plain decimal number"
    if re.fullmatch(r"[-+]?0+[0-9]+(\.[0-9]*)?", bare):
        return f"expected a plain decimal number without leading zeros: write {_tidied(bare)}"
    if re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)", bare):
        return f"expected a plain decimal number: write {_tidied(bare)}"
    return "expected a decimal number"


def _tidied(text: str) -> str:
    sign = "-" if text.startswith("-") else ""
    whole, _, fraction = text.lstrip("+-").partition(".")
    return f"{sign}{whole.lstrip('0') or '0'}" + (f".{fraction}" if fraction else "")


class _TimestampNotation:
    """ISO-8601; without an offset it is UTC."""

    expected = "a UTC time like 2025-05-04 or 2025-05-04T10:00:00Z"
    unit = ""

    def read(self, text: str) -> int:
        match = _TIMESTAMP.fullmatch(text)
        if match is None:
            raise ValueError(f"expected {self.expected}")
        clock = match["clock"] or "00:00"
        try:
            moment = datetime.fromisoformat(f"{match['date']}T{clock}+00:00")
        except ValueError as error:
            raise ValueError(f"expected {self.expected}: {error}") from None
        if moment.year not in _YEARS:
            raise ValueError(f"expected a year from {_YEARS.start} to {_YEARS.stop - 1}")
        seconds = (moment - _EPOCH) // timedelta(seconds=1) - self._offset(match["zone"])
        return seconds * SECOND_NS + int((match["fraction"] or "").ljust(9, "0"))

    def write(self, value: int) -> str:
        seconds, fraction = divmod(value, SECOND_NS)
        text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
        return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"

    def _offset(self, zone: str | None) -> int:
        """Seconds east of Greenwich."""
        if zone is None or zone in "Zz":
            return 0
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if hours > 14 or minutes > 59:
            raise ValueError(f"expected {self.expected}: there is no offset {zone}")
        return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


class _MillisNotation:
    """Milliseconds with at most 6 decimals: 405.4 is 405400000 ns."""

    expected = "milliseconds with at most 6 decimals"
    unit = " ms"

    def read(self, text: str) -> int:
        scaled = plain_number(text).scaleb(6, Context(prec=LENGTH_MAX + 6))
        if scaled != scaled.to_integral_value():
            raise ValueError("milliseconds have at most 6 decimals (1 ns = 0.000001 ms)")
        if abs(scaled) > INF:
            raise ValueError("so many milliseconds do not fit into 64-bit nanoseconds")
        return int(scaled)

    def write(self, value: int) -> str:
        whole, fraction = divmod(abs(value), MS_NS)
        text = f"{whole}.{fraction:06d}".rstrip("0").rstrip(".") if fraction else str(whole)
        return f"-{text}" if value < 0 else text


class _IntervalNotation:
    """A count and a unit: 100ms, 1s, 15m, 4h, 1d, 1w."""

    expected = "an interval like 1s, 1m, 15m, 1h, 4h, 1d or 1w"
    unit = ""

    def read(self, text: str) -> int:
        match = _INTERVAL.fullmatch(text)
        if match is None:
            raise ValueError(f"expected {self.expected}")
        length = int(match[1]) * INTERVAL_NS[match[2]]
        if length > INF:
            raise ValueError("so long an interval does not fit into 64-bit nanoseconds")
        return length

    def write(self, value: int) -> str:
        for unit, length in INTERVAL_NS.items():
            if value > 0 and value % length == 0:
                return f"{value // length}{unit}"
        raise ValueError(f"{value} ns is no whole positive number of milliseconds and cannot be written as an interval")


_INTERVALS = _IntervalNotation()


def interval_ns(text: str) -> int:
    """The length of an interval like `10s`, int nanoseconds. Raises ValueError with a sentence for the user."""
    return _INTERVALS.read(text)


def timestamp_ns(text: str) -> int:
    """A moment like `2025-05-04`, int nanoseconds UTC. Raises ValueError with a sentence for the user."""
    return _TimestampNotation().read(text)


def timestamp_text(at: int) -> str:
    """A moment in int nanoseconds UTC as `timestamp_ns` reads it."""
    return _TimestampNotation().write(at)


Timestamp = Annotated[int, _TimestampNotation()]
"""A moment, int nanoseconds UTC; written as ISO-8601 date or time."""
Millis = Annotated[int, _MillisNotation()]
"""A time or a duration, int nanoseconds; written in milliseconds."""
NonNegativeMillis = Annotated[Millis, msgspec.Meta(ge=0)]
Interval = Annotated[int, _INTERVALS]
"""A length of time, int nanoseconds, positive; written as count and unit."""

NOTATIONS = (_TimestampNotation, _MillisNotation, _IntervalNotation)
