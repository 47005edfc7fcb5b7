"""How numbers, times and foreign names are written: exact, the same everywhere, and harmless."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from core.notation import plain

FORMULA_STARTS = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection", full-width forms included)."""


def iso(ts: int) -> str:
    """`2025-05-04T00:00:00.000000000Z`: UTC, always nine digits, so that text sorts as time."""
    return f"{np.datetime64(ts, 'ns')}Z"


def iso_second(ts: int) -> str:
    """`2025-05-04T00:00:00Z`: cut to the second, for people."""
    return f"{iso(ts)[:19]}Z"


def iso_minute(ts: int) -> str:
    """`2025-05-04T00:00Z`: to the minute, or to the second where it is between two."""
    return f"{iso(ts)[:19].removesuffix(':00')}Z"


def iso_column(values: Sequence[int | None]) -> list[str | None]:
    """The same for many, at a fifth of the cost; None stays None."""
    known = np.array([value for value in values if value is not None], dtype="datetime64[ns]")
    texts = iter(np.datetime_as_string(known, unit="ns", timezone="UTC").tolist())
    return [None if value is None else next(texts) for value in values]


def plain_float(value: float) -> str:
    """The shortest digits that read back as the same float, never an exponent."""
    text = repr(value)
    return plain(Decimal(text)) if "e" in text else text


def cell(text: str) -> str:
    """A name as a CSV cell that no spreadsheet computes: what looks like a formula gets a leading apostrophe."""
    return f"'{text}" if text.lstrip(" ")[:1] in FORMULA_STARTS else text


def printable(text: str) -> str:
    """A name for a terminal or a log: control characters and line breaks are shown, not obeyed."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
