"""Bars from CSV text: Binance's dumps (with and without header) and any OHLCV file with a header; plain, gz or zip.

The text is read in blocks and decoded column-wise: prices become exact integers straight from the digits, no float in
between. Fields are plain numbers or times; quotes around them are taken off, a separator inside quotes is refused as a
wrong number of fields.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from adapters import decimals, times
from adapters.columns import FIELDS, PRICES, Bars, Origin, bars_joined
from adapters.decimals import BadCell, Column
from core.errors import DataError

BLOCK_BYTES = 4_000_000
"""Read at a time: large enough for numpy, small enough that a year of minutes never stands in memory as text."""
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


class Layout(NamedTuple):
    """How a text file is arranged."""

    separator: str
    header: bool
    positions: dict[str, int]
    fields: int
    """How many fields each row has."""


def read_csv(path: Path, *, binance: bool | None, columns: Columns | None) -> tuple[Bars, Origin]:
    """All bars of a file, in its order. `binance`: the 12 columns of its dumps are required (None: look). DataError."""
    origin = Origin(str(path), "line")
    try:
        with _opened(path, origin) as stream:
            parts, origin = _parts(stream, binance, columns, origin)
    except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError) as error:
        raise origin.whole(
            f"is damaged or cut short ({error})", "a complete archive", "fetch the file again"
        ) from error
    if not parts:
        raise origin.whole("has a header and nothing below it", "at least one row", "fetch the file again")
    return bars_joined(parts, origin), origin


def _parts(
    stream: IO[bytes], binance: bool | None, columns: Columns | None, origin: Origin
) -> tuple[list[Bars], Origin]:
    """The bars of each block, and the origin with the number of the first row's line."""
    blocks = _blocks(stream)
    first = next(blocks, b"").removeprefix(b"\xef\xbb\xbf")
    if not first.strip():
        raise origin.whole("is empty", "bars as CSV", "check the path, or fetch the data again")
    layout = _layout(first, binance, columns, origin)
    line = 1
    if layout.header:
        first, line = first.partition(b"\n")[2], 2
    start, parts = line, []
    for block in _chained(first, blocks):
        parts.append(_parsed(block, layout, origin._replace(first=line)))
        line += len(parts[-1])
    return parts, origin._replace(first=start)


# --- bytes ----------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, origin: Origin) -> Iterator[IO[bytes]]:
    """The text inside, whatever it is wrapped in: told by the first bytes, not by the name."""
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as text:
                yield text  # type: ignore[misc]  # GzipFile reads like any binary file
        elif magic == b"PK\x03\x04" or magic == b"PK\x05\x06":
            with _zip_member(raw, origin) as text:
                yield text
        else:
            yield raw


@contextmanager
def _zip_member(raw: IO[bytes], origin: Origin) -> Iterator[IO[bytes]]:
    """The one CSV in a zip."""
    with zipfile.ZipFile(raw) as archive:
        inside = [item for item in archive.infolist() if item.filename.lower().endswith((".csv", ".txt"))]
        inside = [item for item in inside if not item.filename.startswith("__MACOSX")]
        if len(inside) != 1:
            names = ", ".join(item.filename for item in archive.infolist()[:5]) or "nothing"
            raise origin.whole(
                f"is a zip with {len(inside)} CSV files (it holds {names})",
                "exactly one CSV inside",
                "unpack it and point `path` to the file you mean",
            )
        if inside[0].flag_bits & 1:
            raise origin.whole("is a zip with a password", "an open zip", "unpack it and point `path` to the CSV")
        with archive.open(inside[0]) as text:
            yield text


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Whole lines, about BLOCK_BYTES at a time, each block ending in a newline."""
    rest = b""
    while piece := stream.read(BLOCK_BYTES):
        text = (rest + piece).replace(b"\r\n", b"\n")
        if text.endswith(b"\r"):
            rest = text  # its newline may stand in the next piece
            continue
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if cut:
            yield text[:cut]
    if rest.strip():
        yield rest.rstrip() + b"\n"


def _chained(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks that hold rows; blank lines at the very end of the file are no rows."""
    held = first
    for block in blocks:
        if held:
            yield held
        held = block
    held = held.rstrip()
    if held:
        yield held + b"\n"


# --- the first line -------------------------------------------------------------------------------------------------


def _layout(block: bytes, binance: bool | None, columns: Columns | None, origin: Origin) -> Layout:
    """What the first line says about the others. Binance's dumps have a header in some years and none in others."""
    line = block.partition(b"\n")[0]
    if b"\x00" in block[:4096]:
        raise origin.whole("is not text", "CSV", "name its kind with `format: parquet` or `format: feather`")
    text = line.decode("utf-8", "replace").strip()
    separator = max(",;\t", key=text.count)
    names = [name.strip().strip('"').strip() for name in text.split(separator)]
    header = not names[0][:1].isdigit()
    if binance or (binance is None and not header and columns is None):
        if len(names) != BINANCE_FIELDS:
            raise _not_binance(len(names), header, binance, origin)
        return Layout(separator, header, {name: at for at, name in enumerate(FIELDS)}, BINANCE_FIELDS)
    if not header:
        raise origin.whole(
            "has no header row", "column names in the first line", "add `time,open,high,low,close,volume` on top"
        )
    return Layout(separator, True, named_positions(names, columns, origin), len(names))


def _not_binance(count: int, header: bool, binance: bool | None, origin: Origin) -> DataError:
    if binance:
        return origin.whole(
            f"has {count} columns", "the 12 of a Binance kline file", "set `format: ohlcv`, or `format: auto`"
        )
    return origin.whole(
        f"has no header and {count} columns",
        "a header with time, open, high, low, close, volume, or the 12 columns of a Binance kline file",
        "add a header row",
    )


def named_positions(names: list[str], columns: Columns | None, origin: Origin) -> dict[str, int]:
    """Where each field stands, by the file's own column names. Raises DataError naming what is missing."""
    lower = [name.lower() for name in names]
    wanted = {**NAMES, **{field: (name.lower(),) for field, name in (columns or {}).items()}}
    found = {field: next((lower.index(name) for name in wanted[field] if name in lower), -1) for field in FIELDS}
    missing = [field for field, at in found.items() if at < 0]
    if missing:
        raise origin.whole(
            f"has the columns {', '.join(names[:15])}; I find none for {', '.join(missing)}",
            "time, open, high, low, close and volume (any case, any order)",
            "name them in the source: `columns: {" + ", ".join(f"{field}: ..." for field in missing) + "}`",
        )
    return found


# --- rows -----------------------------------------------------------------------------------------------------------


def _parsed(block: bytes, layout: Layout, origin: Origin) -> Bars:
    """One block of whole lines as columns."""
    if b'"' in block:
        block = block.replace(b'"', b"")
    buffer = np.frombuffer(block, dtype=np.uint8)
    marks = np.flatnonzero((buffer == ord(layout.separator)) | (buffer == ord("\n")))
    if (
        len(marks) % layout.fields
        or np.any(buffer[marks[layout.fields - 1 :: layout.fields]] != ord("\n"))
        or (np.count_nonzero(buffer[marks] == ord("\n")) * layout.fields != len(marks))
    ):
        raise _ragged(block, layout, origin)
    table: Column = marks.reshape(-1, layout.fields)

    def cells(name: str) -> tuple[Column, Column]:
        at = layout.positions[name]
        if at:
            return table[:, at - 1] + 1, table[:, at]
        return np.concatenate(([0], table[:-1, -1] + 1)), table[:, 0]

    opened = _times(buffer, *cells("time"), origin)
    numbers = []
    for name in (*PRICES, "volume"):
        try:
            numbers.append(decimals.from_text(buffer, *cells(name)))
        except BadCell as cell:
            raise origin.cell(name, cell) from None
    return Bars(opened, *numbers)


def _times(buffer: Column, starts: Column, ends: Column, origin: Origin) -> Column:
    """Epoch numbers or ISO text: the first cell decides for the block."""
    first = bytes(buffer[starts[0] : ends[0]])
    try:
        if b"-" in first[1:] or b":" in first:
            text = buffer.tobytes()
            return times.from_iso(
                [text[a:b].decode("utf-8", "replace") for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
            )
        return times.from_numbers(decimals.from_text(buffer, starts, ends))
    except BadCell as cell:
        raise origin.error(
            cell.index,
            "time",
            f"{cell.text!r} {cell.why}",
            "an ISO-8601 time or a number of s, ms, us or ns since 1970",
            "correct the row",
        ) from None


def _ragged(block: bytes, layout: Layout, origin: Origin) -> DataError:
    """The first line whose number of fields is not that of the first row."""
    separator = layout.separator.encode()
    for index, line in enumerate(block.split(b"\n")):
        if (count := line.count(separator) + 1) != layout.fields:
            found = f"{count} fields" if line.strip() else "a blank line"
            return origin.whole(
                f"line {origin.first + index} has {found}",
                f"{layout.fields} fields, as in the first line",
                "correct the row (was the file cut short?)",
            )
    raise AssertionError("a block is ragged only where a line is")
