"""Bars from a file of the user's: CSV (plain, gz, zip), Parquet, feather. What it is, is told by its first bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from adapters.bars_arrow import read_arrow
from adapters.bars_csv import read_csv
from adapters.columns import FIELDS, Bars, Origin, bars_tape
from core.errors import DataError
from core.notation import Interval
from core.ports import HistorySource
from core.tape import Tape

Format = Literal["auto", "binance", "ohlcv", "parquet", "feather"]


class FileSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="file"):
    """`{kind: file, path: x.csv}`: bars from a file. Times are open times in UTC."""

    path: str
    """Relative to the working directory."""
    format: Format = "auto"
    """`binance`: the 12 columns of its dumps; `ohlcv`: CSV with a header; `auto` looks at the file."""
    timezone: Literal["UTC"] = "UTC"
    """Of times without an offset. Nothing else is understood: convert the file instead."""
    columns: dict[str, str] | None = None
    """Our field (time, open, high, low, close, volume) to the file's column name, where it uses other words."""
    max_gap: Interval | None = None
    """Refuse the file when a hole is longer than this, nanoseconds; None accepts and lists every hole."""

    def check(self) -> Iterator[tuple[str, str]]:
        """What the config's decoder reports about fields that are each valid."""
        for name in sorted(set(self.columns or {}) - set(FIELDS)):
            yield f"columns.{name}", f"unknown field, expected one of: {', '.join(FIELDS)}"

    def open(
        self, *, venue: str, symbol: str, interval_ns: int, seed: int = 0, cache: Path | None = None
    ) -> HistorySource:
        """The reader of this file for one symbol. `seed` and `cache` have no meaning here: files are read in place."""
        return FileHistory(self, venue=venue, symbol=symbol, interval_ns=interval_ns)


class FileHistory(msgspec.Struct, frozen=True):
    """A file to be read as the bars of one symbol."""

    settings: FileSource
    venue: str
    symbol: str
    interval_ns: int

    async def load(self, progress: Callable[[int, int], None] | None = None) -> Tape:
        """The whole file as a tape, read in a worker thread. Raises DataError."""
        tape = await asyncio.to_thread(self.read)
        if progress is not None:
            progress(len(tape), len(tape))
        return tape

    def read(self) -> Tape:
        """The same without a loop."""
        path = Path(self.settings.path)
        origin = Origin(str(path))
        try:
            notes = _verified(path, origin)
            bars, origin, found = self._bars(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error
        return bars_tape(
            bars,
            venue=self.venue,
            symbol=self.symbol,
            interval_ns=self.interval_ns,
            origin=origin,
            max_gap_ns=self.settings.max_gap,
            notes=(*notes, *found),
        )

    def _bars(self, path: Path) -> tuple[Bars, Origin, tuple[str, ...]]:
        kind = self.settings.format if self.settings.format != "auto" else _kind(path)
        columns = self.settings.columns
        if kind in ("parquet", "feather"):
            return read_arrow(path, kind=kind, columns=columns)
        bars, origin = read_csv(path, binance={"binance": True, "ohlcv": False}.get(kind), columns=columns)
        return bars, origin, ()


def _verified(path: Path, origin: Origin) -> tuple[str, ...]:
    """The path is a non-empty file, and has the sha256 of the `.CHECKSUM` beside it where there is one."""
    if not path.exists():
        raise origin.whole("there is no such file", "a file", "check `path` (it counts from the working directory)")
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is no regular file"
        raise origin.whole(what, "a file", "point `path` to one file")
    if path.stat().st_size == 0:
        raise origin.whole("is empty", "bars", "check the path, or fetch the file again")
    beside = path.with_name(path.name + ".CHECKSUM")
    if not beside.is_file():
        return ()
    words = beside.read_text(encoding="ascii", errors="replace").split()
    with path.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if not words or words[0].lower() != actual:
        raise origin.whole(
            f"its sha256 is {actual[:16]}..., {beside.name} says {words[0][:16] if words else 'nothing'}...",
            "the file the checksum was made for",
            "fetch both again",
        )
    return (f"sha256 equals {beside.name}",)


def _kind(path: Path) -> str:
    """`parquet`, `feather`, or `auto` for text and its wrappings."""
    with path.open("rb") as stream:
        magic = stream.read(6)
    if magic[:4] == b"PAR1":
        return "parquet"
    if magic == b"ARROW1" or magic[:4] == b"FEA1":
        return "feather"
    return "auto"
