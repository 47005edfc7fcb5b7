"""Bars from CSV text: Binance's dumps (with and without header) and any OHLCV file with a header; plain, gz or zip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from adapters.columns import FIELDS, PRICES, Bars, Origin, bars_joined
from adapters.csv_table import Layout, read_blocks, separator_of
from adapters.decimals import Decimals
from core.errors import DataError

BINANCE_FIELDS = 12
"""open_time, open, high, low, close, volume, close_time, quote_volume, count, taker_base, taker_quote, ignore."""
NAMES: dict[str, tuple[str, ...]] = {
    "time": ("open_time", "opentime", "timestamp", "time", "date", "datetime", "unix"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
}
"""Header names understood without `columns`, any case, the first that is there."""
Columns = Mapping[str, str]
"""Our field name to the file's column name, for files that use other words."""


def read_csv(
    path: Path, *, binance: bool | None, columns: Columns | None, fields: tuple[str, ...] = FIELDS
) -> tuple[Bars, Origin]:
    """All bars of a file, in its order, and where their first row stands.

    `binance`: the 12 columns of its dumps are required (None: look). `fields` without a volume reads bars of a price
    nobody trades; their volume is 0. Raises DataError.
    """
    origin = Origin(str(path), "line")
    blocks = read_blocks(path, lambda names, line, origin: _layout(names, line, binance, columns, fields, origin))
    parts: list[Bars] = []
    for block in blocks:
        if not parts:
            origin = block.origin
        volume = block.numbers("volume") if "volume" in fields else Decimals(np.zeros(len(block), dtype=np.int64), 0)
        numbers = [*(block.numbers(name) for name in PRICES), volume]
        parts.append(Bars(block.times("time"), *numbers))
    return bars_joined(parts, origin), origin


# --- the first line -------------------------------------------------------------------------------------------------


def _layout(
    names: list[str],
    line: bytes,
    binance: bool | None,
    columns: Columns | None,
    fields: tuple[str, ...],
    origin: Origin,
) -> Layout:
    """What the first line says about the others. Binance's dumps have a header in some years and none in others."""
    separator = separator_of(line)
    if names[0][:1] in ("[", "{"):
        raise origin.whole("is JSON", "CSV, Parquet or feather", "convert it, with pandas or another program")
    header = not names[0][:1].isdigit()
    if binance or (binance is None and not header and columns is None):
        if len(names) != BINANCE_FIELDS:
            raise _not_binance(len(names), header, binance, origin)
        return Layout(separator, header, {name: at for at, name in enumerate(FIELDS)}, BINANCE_FIELDS)
    if not header:
        raise origin.whole(
            "has no header row", "column names in the first line", "add `time,open,high,low,close,volume` on top"
        )
    return Layout(separator, True, named_positions(names, columns, origin, fields), len(names))


def _not_binance(count: int, header: bool, binance: bool | None, origin: Origin) -> DataError:
    if binance:
        return origin.whole(
            f"has {count} columns", "the 12 of a Binance kline file", "set `format: ohlcv`, or `format: auto`"
        )
    return origin.whole(
        f"has no header and {count} columns",
        "a header with time, open, high, low, close, volume, or the 12 columns of a Binance kline file",
        "put the names of its columns into a first line, like `time,open,high,low,close,volume,trades`",
    )


def named_positions(
    names: list[str], columns: Columns | None, origin: Origin, fields: tuple[str, ...] = FIELDS
) -> dict[str, int]:
    """Where each field stands, by the file's own column names. Raises DataError naming what is missing."""
    lower = [name.lower() for name in names]
    wanted = {**NAMES, **{field: (name.lower(),) for field, name in (columns or {}).items()}}
    found = {field: next((lower.index(name) for name in wanted[field] if name in lower), -1) for field in fields}
    missing = [field for field, at in found.items() if at < 0]
    if missing:
        raise origin.whole(
            f"has the columns {', '.join(names[:15])}; I find none for {', '.join(missing)}",
            f"{', '.join(fields[:-1])} and {fields[-1]} (any case, any order)",
            "name them in the source: `columns: {" + ", ".join(f"{field}: ..." for field in missing) + "}`",
        )
    return found
