"""Bars from Parquet and feather (Arrow IPC) files, through pyarrow.

Floats become the decimals they stand for (`adapters.decimals.from_floats`); integers, decimal and text columns are
taken exactly. Times are Arrow timestamps of any unit (without a zone: UTC), dates, integers or ISO text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adapters import decimals, times
from adapters.bars_csv import Columns, named_positions
from adapters.columns import FIELDS, Bars, Origin
from adapters.decimals import BadCell, Column, Decimals

if TYPE_CHECKING:
    import pyarrow as pa

PANDAS_INDEX = "__index_level_0__"
"""What pandas calls an index without a name: usually the times."""


def read_arrow(
    path: Path, *, kind: str, columns: Columns | None, fields: tuple[str, ...] = FIELDS
) -> tuple[Bars, Origin, tuple[str, ...]]:
    """All bars of a file (`kind` is parquet or feather), where they come from, and notes.

    `fields` without a volume reads bars of a price nobody trades; their volume is 0. Raises DataError.
    """
    origin = Origin(str(path))
    with reading(kind, origin):
        return _read(table_of(path, kind), columns, fields, origin)


@contextmanager
def reading(kind: str, origin: Origin) -> Iterator[None]:
    """What the file's own library raises inside, as a DataError: names and texts are decoded when first looked at."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise origin.whole(
            f"cannot be read as {kind} ({first})", f"a complete {kind} file", "fetch it again, or set `format`"
        ) from error


def table_of(path: Path, kind: str) -> pa.Table:
    """The whole file, `kind` parquet or feather; to be called within `reading`."""
    if kind == "parquet":
        import pyarrow.parquet as parquet

        return parquet.read_table(path, partitioning=None, memory_map=False, page_checksum_verification=True)
    import pyarrow.feather as feather

    return feather.read_table(path, memory_map=False)


def _read(
    table: pa.Table, columns: Columns | None, fields: tuple[str, ...], origin: Origin
) -> tuple[Bars, Origin, tuple[str, ...]]:
    names = ["time" if name == PANDAS_INDEX else str(name) for name in table.column_names]
    positions = named_positions(names, columns, origin, fields)
    found = {field: filled(table.column(positions[field]), field, origin) for field in fields}
    opened = times_of(found["time"], origin)
    notes: list[str] = []
    numbers = [numbers_of(found[name], name, origin, notes) for name in fields if name != "time"]
    if "volume" not in fields:
        numbers.append(Decimals(np.zeros(len(opened), dtype=np.int64), 0))
    return Bars(opened, *numbers), origin, tuple(notes)


def filled(column: pa.ChunkedArray, name: str, origin: Origin) -> pa.ChunkedArray:
    """The column itself. Raises DataError where a value is missing in it."""
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise origin.error(row, name, "there is no value", "a value in every row", "correct or remove the row")
    return column


def times_of(column: pa.ChunkedArray, origin: Origin) -> Column:
    """A column of times as int64 nanoseconds. Raises DataError."""
    import pyarrow as pa

    kind = column.type
    try:
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            # As integers of its own unit first: the cast to nanoseconds must not overflow in silence.
            unit = "D" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit
            wide = column.cast(pa.int32() if unit == "D" else pa.int64()).to_numpy()
            return times.from_datetime64(wide.astype(np.int64).view(f"datetime64[{unit}]"))
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return times.from_iso(column.to_pylist())
        if pa.types.is_integer(kind):
            return times.from_numbers(Decimals(column.to_numpy().astype(np.int64), 0))
        if pa.types.is_floating(kind):
            return times.from_numbers(decimals.from_floats(column.to_numpy())[0])
    except BadCell as cell:
        raise origin.error(
            cell.index, "time", f"{cell.text!r} {cell.why}", "a time from 1970 to 2262", "correct the row"
        ) from None
    raise origin.whole(f"has times of type {kind}", "timestamps, integers or ISO text", "convert the time column")


def numbers_of(column: pa.ChunkedArray, name: str, origin: Origin, notes: list[str]) -> Decimals:
    """A column of numbers, exactly; what had to be rounded away is added to `notes`. Raises DataError."""
    import pyarrow as pa

    kind: Any = column.type
    try:
        if pa.types.is_floating(kind):
            numbers, noisy = decimals.from_floats(column.to_numpy())
            if noisy:
                notes.append(
                    f"column `{name}`: float noise in {noisy} rows rounded away at {numbers.scale} decimals "
                    "(at most 1e-12 of the value)"
                )
            return numbers
        if pa.types.is_integer(kind):
            return Decimals(column.to_numpy().astype(np.int64), 0)
        if pa.types.is_decimal(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return decimals.from_strings([str(cell) for cell in column.to_pylist()])
    except BadCell as cell:
        raise origin.cell(name, cell) from None
    raise origin.whole(f"column `{name}` is of type {kind}", "numbers", "convert the column")
