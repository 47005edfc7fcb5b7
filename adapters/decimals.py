"""Decimal numbers as columns: text or floats in, int64 mantissas and one scale out, exactly.

value = mantissa x 10^-scale. The scale is always the smallest that holds every row, so the same numbers give the same
mantissas whether they came as `36304.20000000`, as `3.63042e4` or as the float 36304.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

Column = np.ndarray

MANTISSA_MAX = 2**63 - 1
"""What an int64 holds: a little over 18 digits."""
FLOAT_SCALE_MAX = 12
"""No venue quotes more than 12 decimals; a float that needs more is no decimal number somebody meant."""
FLOAT_MANTISSA_MAX = 2.0**53
"""Above this not every integer is a float, so a mantissa could not be told from its neighbour."""
FLOAT_NOISE = 1e-12
"""Relative: what sums of floats leave behind (0.1 + 0.2). Far below any tick, far above the rounding of float64."""

_PLAIN_DIGITS = 18
_DOT = (ord(".") - ord("0")) % 256
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_POWERS = 10 ** np.arange(19, dtype=np.int64)


class BadCell(ValueError):
    """One cell is no number. Carries the row's index and the text; the reader knows the file and the line."""

    def __init__(self, index: int, text: str, why: str) -> None:
        self.index = index
        self.text = text
        self.why = why
        super().__init__(f"row {index}: {text!r} {why}")


class Decimals(NamedTuple):
    """A column of decimal numbers: value = mantissa x 10^-scale."""

    mantissas: Column
    scale: int

    def at_scale(self, scale: int) -> Column:
        """Mantissas at a finer scale. Raises BadCell where a value then needs more than an int64."""
        if scale == self.scale:
            return self.mantissas
        factor = 10 ** (scale - self.scale)
        limit = MANTISSA_MAX // factor
        over = np.flatnonzero((self.mantissas > limit) | (self.mantissas < -limit))
        if len(over):
            row = int(over[0])
            raise BadCell(row, self.text(row), f"needs more than 18 digits beside values with {scale} decimals")
        finer: Column = self.mantissas * factor
        return finer

    def text(self, index: int) -> str:
        """One value as people write it."""
        return f"{Decimal(int(self.mantissas[index])).scaleb(-self.scale):f}"


def joined(parts: Sequence[Decimals]) -> Decimals:
    """Columns one after the other, at the finest of their scales."""
    scale = max(part.scale for part in parts)
    return Decimals(np.concatenate([part.at_scale(scale) for part in parts]), scale)


def reduced(column: Decimals) -> Decimals:
    """The same numbers at the smallest scale that holds them all."""
    mantissas, scale = column
    while scale > 0 and not np.any(mantissas % 10):
        mantissas, scale = mantissas // 10, scale - 1
    return Decimals(mantissas, scale)


# --- from text ------------------------------------------------------------------------------------------------------


def from_strings(cells: Sequence[str]) -> Decimals:
    """A list of numbers as text. Raises BadCell."""
    lengths = np.fromiter((len(cell) for cell in cells), dtype=np.int64, count=len(cells))
    ends = np.cumsum(lengths + 1) - 1
    text = "\n".join(cells)
    if not text.isascii():
        index = next(i for i, cell in enumerate(cells) if not cell.isascii())
        raise BadCell(index, cells[index], "is not a number")
    return from_text(np.frombuffer((text + "\n").encode(), dtype=np.uint8), ends - lengths, ends)


def from_text(buffer: Column, starts: Column, ends: Column) -> Decimals:
    """Numbers standing in a byte buffer from `starts` to `ends` (exclusive). Raises BadCell for the first bad one.

    Plain numbers (digits and at most one dot, 18 digits) are decoded column-wise, one character position at a time;
    what is left (signs, exponents, blanks, long numbers) goes through `Decimal` one by one.
    """
    lengths = ends - starts
    mantissas = np.zeros(len(starts), dtype=np.int64)
    places = np.zeros(len(starts), dtype=np.int64)
    dotted = np.zeros(len(starts), dtype=bool)
    plain = lengths > 0
    highest = len(buffer) - 1
    for position in range(min(int(lengths.max(initial=0)), _PLAIN_DIGITS + 1)):
        inside = position < lengths
        value = buffer[np.minimum(starts + position, highest)] - np.uint8(ord("0"))  # wraps: no digit is above 9
        digit = inside & (value <= 9)
        dot = inside & (value == _DOT)
        plain &= ~inside | digit | (dot & ~dotted)
        np.copyto(mantissas, mantissas * 10 + value, where=digit)
        places += digit & dotted
        dotted |= dot
    plain &= (lengths > dotted) & (lengths - dotted <= _PLAIN_DIGITS)
    _strip_zeros(mantissas, places)
    for index in np.flatnonzero(~plain):
        text = bytes(buffer[starts[index] : ends[index]]).decode("utf-8", "replace")
        mantissas[index], places[index] = _one(int(index), text)
    return _aligned(mantissas, places)


def _strip_zeros(mantissas: Column, places: Column) -> None:
    """Zeros at the end of a fraction carry nothing; venues pad to eight decimals."""
    rows = np.flatnonzero(places > 0)
    while len(rows):
        rows = rows[mantissas[rows] % 10 == 0]
        mantissas[rows] //= 10
        places[rows] -= 1
        rows = rows[places[rows] > 0]


def _one(index: int, text: str) -> tuple[int, int]:
    """Mantissa and decimals of a number that is not plain."""
    stripped = text.strip()
    if not stripped:
        raise BadCell(index, text, "is empty")
    if stripped.lower().lstrip("+-") in ("nan", "inf", "infinity", "null", "none"):
        raise BadCell(index, text, "is not a finite number")
    if not _NUMBER.fullmatch(stripped):
        raise BadCell(index, text, "is not a number")
    sign, digits, exponent = Decimal(stripped).as_tuple()
    assert isinstance(exponent, int), "the pattern admits finite numbers only"
    mantissa = int("".join(map(str, digits)))
    while mantissa and exponent < 0 and mantissa % 10 == 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    if mantissa == 0:
        return 0, 0
    if exponent > 0:
        mantissa, exponent = mantissa * 10 ** min(exponent, 40), 0
    if mantissa > MANTISSA_MAX or -exponent > _PLAIN_DIGITS:
        raise BadCell(index, text, "has more than 18 digits")
    return (-mantissa if sign else mantissa), -exponent


def _aligned(mantissas: Column, places: Column) -> Decimals:
    """Cells with their own number of decimals, brought to the finest of them."""
    scale = int(places.max(initial=0))
    factors = _POWERS[scale - places]
    over = np.flatnonzero(np.abs(mantissas) > MANTISSA_MAX // factors)
    if len(over):
        row = int(over[0])
        text = f"{Decimal(int(mantissas[row])).scaleb(-int(places[row])):f}"
        raise BadCell(row, text, f"needs more than 18 digits beside values with {scale} decimals")
    return Decimals(mantissas * factors, scale)


# --- from floats ----------------------------------------------------------------------------------------------------


def from_floats(values: Column) -> tuple[Decimals, int]:
    """The decimals a float column stands for, and how many rows carried float noise that was rounded away.

    The scale is the smallest k <= 12 at which mantissa / 10^k is the float itself for every row (compared in the
    column's own width, so float32 works); failing that, the smallest at which it is within 1e-12 relative. Raises
    BadCell for NaN, infinities and values that no such scale holds.
    """
    infinite = np.flatnonzero(~np.isfinite(values))
    if len(infinite):
        row = int(infinite[0])
        raise BadCell(row, str(values[row]), "is not a finite number")
    wide = values.astype(np.float64)
    if len(wide) == 0:
        return Decimals(np.zeros(0, dtype=np.int64), 0), 0
    largest = float(np.abs(wide).max())
    scales = [k for k in range(FLOAT_SCALE_MAX + 1) if largest * 10.0**k < FLOAT_MANTISSA_MAX]
    for scale in scales:
        mantissas = np.rint(wide * 10.0**scale)
        if np.array_equal((mantissas / 10.0**scale).astype(values.dtype), values):
            return Decimals(mantissas.astype(np.int64), scale), 0
    for scale in scales:
        mantissas = np.rint(wide * 10.0**scale)
        back = mantissas / 10.0**scale
        if np.all(np.abs(back - wide) <= FLOAT_NOISE * np.abs(wide)):
            return Decimals(mantissas.astype(np.int64), scale), int(np.count_nonzero(back != wide))
    if not scales:
        row = int(np.argmax(np.abs(wide)))
        raise BadCell(row, repr(float(wide[row])), "is too large to be exact")
    row = int(np.argmax(np.abs(back - wide) / np.maximum(np.abs(wide), 1e-300)))
    raise BadCell(row, repr(float(wide[row])), f"is no decimal number of at most {scales[-1]} places")
