"""Files of the user's: bars, trades, quotes, depth, orders, marks, funding. The first bytes tell what a file is.

Several files are read as one: the days of a recording, the months of a dump. They follow one another in time.
"""

from __future__ import annotations

import asyncio
import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from adapters.bars_arrow import read_arrow
from adapters.bars_csv import read_csv
from adapters.columns import FIELDS, Bars, Origin, bars_tape, check_no_longer, oldest_first, span
from adapters.formats import FORMATS, arrow_kind, read_rows
from adapters.recorded.receipt_clock import FEED_NS
from adapters.tapes.file_sequence import FileRows, together
from adapters.tapes.tape_file import open_tape
from adapters.tapes.tape_head import is_tape
from adapters.trades_csv import FIELDS as TRADE_FIELDS
from core.checksum import sha256_of
from core.errors import DataError, UsageError
from core.notation import Interval
from core.ports import HistorySource
from core.tape import Kind, Rows, Tape, is_streamed

Format = Literal[
    "auto", "tape",
    "binance", "ohlcv", "parquet", "feather",
    "binance-recording", "bybit-recording", "okx-recording", "hyperliquid-recording",
    "binance-dump", "bybit-dump", "tardis", "bitstamp", "ccxt", "csv",
]  # fmt: skip
BAR_FORMATS = ("binance", "ohlcv", "parquet", "feather")
CHECKSUM = ".CHECKSUM"
"""A file beside a file, with its sha256."""
ROWS_HELD = 2_000_000
"""Ticks in memory beyond which a run says how to do without: some hundred MB while they are read. Guess."""


class FileSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="file"):
    """`{kind: file, path: x.csv}`: one kind of rows of one symbol from a file, or from files that follow one another.
    Times are in UTC, of bars open times."""

    path: str | list[str]
    """Relative to the working directory; `*` and `?` stand for any letters, as in a shell."""
    format: Format = "auto"
    """`auto` looks at the file. `binance`: bars in the 12 columns of its dumps; `ohlcv`: bars with a header; `tape`:
    Parquet written by this program; the others are formats of `adapters.formats`."""
    market: Literal["spot", "linear", "inverse"] | None = None
    """Which of a recorded session's connections is meant; None takes it from the venue's name."""
    timezone: Literal["UTC"] = "UTC"
    """Of times without an offset. Nothing else is understood: convert the file instead."""
    columns: dict[str, str] | None = None
    """Our field to the file's column name, where it uses other words. Bars: time, open, high, low, close, volume;
    trades with `format: csv`: time, price, qty, side."""
    max_gap: Interval | None = None
    """Bars: refuse the file when a hole is longer than this, nanoseconds; None accepts and lists every hole."""

    def check(self) -> Iterator[tuple[str, str]]:
        """What the config's decoder reports about fields that are each valid."""
        if not self.path:
            yield "path", "expected the name of at least one file"
        fields = TRADE_FIELDS if self.format == "csv" else FIELDS
        for name in sorted(set(self.columns or {}) - set(fields)):
            yield f"columns.{name}", f"unknown field, expected one of: {', '.join(fields)}"

    def open(
        self,
        *,
        venue: str,
        symbol: str,
        interval_ns: int = 0,
        kind: Kind = "bars",
        seed: int = 0,
        cache: Path | None = None,
        feed_ns: int = FEED_NS,
    ) -> HistorySource:
        """The reader of this file for one symbol. `seed` and `cache` have no meaning here: files are read in place.

        `interval_ns` is of bars; `feed_ns` is the smallest feed leg where a recorder's clock has to be moved. Raises
        UsageError where the settings do not go with the kind.
        """
        known = formats_of(kind)
        if self.format not in known:
            raise UsageError(f"`format: {self.format}` cannot hold {kind}; known for {kind}: {', '.join(known)}")
        if kind != "bars" and self.max_gap is not None:
            raise UsageError(f"`max_gap` is for bars, not for {kind}: leave it out")
        if self.columns is not None and kind != "bars" and self.format != "csv":
            raise UsageError("`columns` are for bars, and for trades with `format: csv`")
        return FileHistory(self, venue=venue, symbol=symbol, interval_ns=interval_ns, rows_kind=kind, feed_ns=feed_ns)


def formats_of(kind: Kind) -> tuple[str, ...]:
    """What `format` may say for a kind of rows."""
    if kind == "bars":
        return ("auto", *BAR_FORMATS, "tape")
    return ("auto", *(name for name, entry in FORMATS.items() if kind in entry.kinds), "tape")


class FileHistory(msgspec.Struct, frozen=True):
    """Files to be read as one kind of rows of one symbol."""

    settings: FileSource
    venue: str
    symbol: str
    interval_ns: int
    rows_kind: Kind = "bars"
    feed_ns: int = FEED_NS

    def absent(self) -> list[str]:
        """Which of the names lead to no file."""
        path = self.settings.path
        words = [path] if isinstance(path, str) else path
        return [word for word in words if not Path(word).exists() and not glob.glob(word)]

    async def load(self, progress: Callable[[int, int], None] | None = None) -> Rows:
        """The files as a tape, read in a worker thread; ticks of a `tape` stay on the disk. Raises DataError."""
        return await asyncio.to_thread(self.read, progress)

    def read(self, progress: Callable[[int, int], None] | None = None) -> Rows:
        """The same without a loop."""
        paths = files_named(self.settings.path)
        files: list[FileRows] = []
        for path in paths:
            files.append(FileRows(str(path), self.read_file(path)))
            if progress is not None:
                done = sum(len(file.rows) for file in files)
                progress(done, done * len(paths) // len(files))
        tape = files[0].rows if len(files) == 1 else together(files, max_gap_ns=self.settings.max_gap)
        if isinstance(tape, Tape) and is_streamed(tape) and len(tape) > ROWS_HELD:
            note = "are held in memory; `data convert` makes tapes of such files, which are read as the run goes on"
            tape.notes = (*tape.notes, f"{len(tape):,} rows {note}")
        return tape

    def read_file(self, path: Path) -> Rows:
        """One of the files. Raises DataError."""
        origin = Origin(str(path))
        try:
            notes = _verified(path, origin)
            if self.settings.format == "tape" or (
                self.settings.format == "auto" and arrow_kind(path) == "parquet" and is_tape(path)
            ):
                return self._stored(path, origin)
            if self.rows_kind == "bars":
                return self._bars_tape(path, notes)
            tape = read_rows(
                path,
                self.rows_kind,
                format=self.settings.format,
                venue=self.venue,
                symbol=self.symbol,
                feed_ns=self.feed_ns,
                market=self.settings.market,
                columns=self.settings.columns,
            )
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error
        tape.notes = (*notes, *tape.notes)
        return tape

    def _stored(self, path: Path, origin: Origin) -> Rows:
        """A tape written by this program, under the venue name of this run; what is streamed stays on the disk."""
        tape = open_tape(path)
        if (tape.kind, tape.symbol) != (self.rows_kind, self.symbol):
            raise origin.whole(
                f"is a tape of {tape.kind} of {tape.symbol}",
                f"{self.rows_kind} of {self.symbol}",
                "change `kind`, `symbol` or `path`",
            )
        if self.rows_kind == "bars" and tape.interval_ns != self.interval_ns:
            raise origin.whole(
                f"holds bars of {span(tape.interval_ns)}",
                f"bars of {span(self.interval_ns)}, as the config's `interval` says",
                "change `interval` or `path`",
            )
        rows: Rows = tape if is_streamed(tape) else tape.load()
        return rows if rows.venue == self.venue else rows.at_venue(self.venue)

    def _bars_tape(self, path: Path, notes: tuple[str, ...]) -> Tape:
        bars, origin, found = self._bars(path)
        bars, origin, turned = oldest_first(bars, origin)
        check_no_longer(bars.times, self.interval_ns, origin)
        return bars_tape(
            bars,
            venue=self.venue,
            symbol=self.symbol,
            interval_ns=self.interval_ns,
            origin=origin,
            max_gap_ns=self.settings.max_gap,
            notes=(*notes, *found, *turned),
        )

    def _bars(self, path: Path) -> tuple[Bars, Origin, tuple[str, ...]]:
        kind = self.settings.format if self.settings.format != "auto" else arrow_kind(path)
        columns = self.settings.columns
        if kind in ("parquet", "feather"):
            return read_arrow(path, kind=kind, columns=columns)
        bars, origin = read_csv(path, binance={"binance": True, "ohlcv": False}.get(kind or ""), columns=columns)
        return bars, origin, ()


def files_named(path: str | Sequence[str]) -> list[Path]:
    """The files meant by one name or several, each once. Raises DataError where a pattern fits none."""
    found: dict[Path, None] = {}
    for word in [path] if isinstance(path, str) else path:
        is_pattern = glob.has_magic(word) and not Path(word).exists()
        names = [one for one in sorted(glob.glob(word)) if not one.endswith(CHECKSUM)] if is_pattern else [word]
        if not names:
            raise Origin(word).whole(
                "no file has such a name", "at least one file", "check `path` (it counts from the working directory)"
            )
        found |= dict.fromkeys(map(Path, names))
    return list(found)


def _verified(path: Path, origin: Origin) -> tuple[str, ...]:
    """The path is a non-empty file, and has the sha256 of the `.CHECKSUM` beside it where there is one."""
    if not path.exists():
        raise origin.whole("there is no such file", "a file", "check `path` (it counts from the working directory)")
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is no regular file"
        raise origin.whole(what, "a file", "name files: `path: folder/*.csv`")
    if path.stat().st_size == 0:
        raise origin.whole("is empty", "rows", "check the path, or fetch the file again")
    beside = path.with_name(path.name + CHECKSUM)
    if not beside.is_file():
        return ()
    words = beside.read_text(encoding="ascii", errors="replace").split()
    actual = sha256_of(path)
    if not words or words[0].lower() != actual:
        raise origin.whole(
            f"its sha256 is {actual[:16]}..., {beside.name} says {words[0][:16] if words else 'nothing'}...",
            "the file the checksum was made for",
            "fetch both again",
        )
    return (f"sha256 equals {beside.name}",)
