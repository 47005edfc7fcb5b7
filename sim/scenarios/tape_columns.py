"""Rows of a scenario as the columns of a tape: its numbers as mantissas, and the tape they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from core.errors import DataError
from core.tape import Kind, Tape
from sim.scenarios.format import Scenario
from sim.scenarios.tape import TapeRow

MANTISSA_MAX = 2**62
"""Sums of two still fit an int64."""


def mantissa(symbol: str, row: TapeRow, value: Decimal, scale: int) -> int:
    """A number of a row at a scale. Raises DataError where it has too many digits for a tape."""
    found = int(value.scaleb(scale))
    if abs(found) > MANTISSA_MAX:
        raise DataError(
            f"the {row.kind} of {symbol} at {row.at / 1e6:g} ms holds {value:f}, which with {scale} decimals does not "
            "fit the tape; expected fewer digits"
        )
    return found


def tape_of_columns(
    scenario: Scenario,
    symbol: str,
    kind: Kind,
    columns: Mapping[str, Sequence[int]],
    *,
    price_scale: int,
    size_scale: int,
    interval_ns: int = 0,
) -> Tape:
    """The tape of a scenario's venue that these columns are."""
    return Tape(
        kind=kind,
        venue=scenario.venue,
        symbol=symbol,
        columns={name: np.array(values, dtype=np.int64) for name, values in columns.items()},
        price_scale=price_scale,
        size_scale=size_scale,
        interval_ns=interval_ns,
        source=scenario.file,
    )
