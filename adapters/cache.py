"""Bars already fetched, kept by UTC day: what is asked for again is not fetched again.

`<root>/<venue>/<symbol>/bars-<interval>/<day>.parquet`, written to a temporary name, synced and renamed, so that a
killed download leaves either the old file or the new one. Each file carries what it claims to be and a sha256 over its
rows; a file that does not match is set aside as `.quarantine`, reported, and its day counts as missing.

What the cache holds is read off the rows, never off what was asked for. Two writers of one day: the last one wins
whole, and rows the other had are fetched again.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from adapters.columns import DAY_NS, Bars, Origin, bars_joined, span, stamp
from adapters.decimals import Column, Decimals
from core.errors import DataError

SCHEMA = "anyclock-bars-1"
"""Changes with the columns or their meaning; files of another schema are set aside."""
NAME_MAX = 200
"""Characters of a folder name; file systems stop at 255 bytes."""
NUMBERS = ("open", "high", "low", "close", "volume")


class Damaged(Exception):
    """A cache file is not what it should be; the text completes `cache file X ...`."""


class BarCache:
    """The stored bars of one symbol of one venue at one interval."""

    def __init__(self, root: Path, *, venue: str, symbol: str, interval_ns: int) -> None:
        self.venue = venue
        self.symbol = symbol
        self.interval_ns = interval_ns
        self.folder = root / safe_name(venue) / safe_name(symbol) / f"bars-{span(interval_ns)}"
        self.notes: list[str] = []
        """What had to be set aside, one sentence each."""

    def read(self, start: int, end: int) -> Bars | None:
        """The rows with start <= open time < end, sorted; None where there are none."""
        parts = [bars for day in days(start, end) if (bars := self._day(day)) is not None]
        if not parts:
            return None
        bars = bars_joined(parts, Origin(str(self.folder)))
        bars = bars.taken((bars.times >= start) & (bars.times < end))
        return bars if len(bars) else None

    def write(self, bars: Bars) -> None:
        """Add rows to what their days hold; where both have a row, the new one counts. Raises DataError."""
        _, first = np.unique(bars.times // DAY_NS, return_index=True)
        for low, high in zip(first, [*first[1:], len(bars)], strict=True):
            part = bars.taken(slice(int(low), int(high)))
            day = int(part.times[0]) // DAY_NS * DAY_NS
            held = self._day(day)
            self._write_day(day, part if held is None else merged(held, part))

    # --- one day ----------------------------------------------------------------------------------------------------

    def _path(self, day: int) -> Path:
        return self.folder / f"{stamp(day)[:10]}.parquet"

    def _day(self, day: int) -> Bars | None:
        """The rows of a day, checked; None where there is no file or it had to be set aside."""
        path = self._path(day)
        if not path.exists():
            return None
        try:
            return self._checked(path, day)
        except Damaged as damage:
            self._set_aside(path, str(damage))
            return None

    def _checked(self, path: Path, day: int) -> Bars:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        try:
            table = parquet.ParquetFile(path, memory_map=False, page_checksum_verification=True).read()
            names, head = table.schema.names, {}
            for key, value in (table.schema.metadata or {}).items():
                head[key.decode()] = value.decode()
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise Damaged(f"cannot be read ({str(error).partition(chr(10))[0][:120]})") from error
        for key, value in self._claims(day).items():
            if head.get(key) != value:
                raise Damaged(f"says {key} {head.get(key)!r}, expected {value!r}")
        if names != ["open_time", *NUMBERS] or any(kind != pa.int64() for kind in table.schema.types):
            raise Damaged("has other columns than its schema says")
        columns = {name: table.column(name).to_numpy() for name in names}
        if head.get("sha256") != digest(columns, head):
            raise Damaged("does not match its checksum")
        scales = [int(head["price_scale"])] * 4 + [int(head["size_scale"])]
        return Bars(columns["open_time"], *(Decimals(columns[n], k) for n, k in zip(NUMBERS, scales, strict=True)))

    def _write_day(self, day: int, bars: Bars) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        scale = max(column.scale for column in bars.prices)
        numbers = [*(column.at_scale(scale) for column in bars.prices), bars.volume.mantissas]
        columns = {"open_time": bars.times, **dict(zip(NUMBERS, numbers, strict=True))}
        head = {**self._claims(day), "price_scale": str(scale), "size_scale": str(bars.volume.scale)}
        head["sha256"] = digest(columns, head)
        table = pa.table(columns).replace_schema_metadata(head)
        path = self._path(day)
        temporary = path.with_name(f".{path.name}.{threading.get_ident()}.{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            with temporary.open("wb") as stream:
                parquet.write_table(table, stream, compression="zstd", write_page_checksum=True)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_folder(self.folder)
        except OSError as error:
            if self.folder.is_dir():
                temporary.unlink(missing_ok=True)
            raise DataError(
                f"{path}: cannot be written ({error.strerror or error}); "
                "free space or permissions, or point the cache somewhere else"
            ) from error

    def _claims(self, day: int) -> dict[str, str]:
        """What a file must say it is."""
        return {
            "schema": SCHEMA,
            "venue": self.venue,
            "symbol": self.symbol,
            "interval_ns": str(self.interval_ns),
            "day": stamp(day)[:10],
        }

    def _set_aside(self, path: Path, reason: str) -> None:
        """Out of the way, not deleted: somebody may want to know what happened to it."""
        aside = path.with_name(path.name + ".quarantine")
        try:
            path.replace(aside)
        except OSError as error:
            raise DataError(
                f"{path}: {reason}, and cannot be set aside ({error.strerror}); remove it by hand"
            ) from error
        self.notes.append(f"cache file {path} {reason}: renamed to {aside.name}, its day is fetched again")

    def _sweep(self) -> None:
        """Remove what killed writers left; a live process keeps its own."""
        for path in self.folder.glob(".*.tmp"):
            found = re.search(r"\.(\d+)\.tmp$", path.name)
            if found and not _alive(int(found[1])):
                path.unlink(missing_ok=True)


def days(start: int, end: int) -> Iterator[int]:
    """First nanosecond of each UTC day that start <= t < end touches."""
    return iter(range(start // DAY_NS * DAY_NS, end, DAY_NS))


def missing(times: Column | None, start: int, end: int, interval_ns: int) -> list[tuple[int, int]]:
    """What is not there of the bars opening from `start` (on the grid) to before `end`: [since, until) each."""
    expected = np.arange(start, end, interval_ns, dtype=np.int64)
    absent = expected if times is None else expected[~np.isin(expected, times, assume_unique=True)]
    if len(absent) == 0:
        return []
    breaks = np.flatnonzero(np.diff(absent) > interval_ns)
    firsts, lasts = absent[np.concatenate(([0], breaks + 1))], absent[np.concatenate((breaks, [-1]))]
    return [(int(first), int(last) + interval_ns) for first, last in zip(firsts, lasts, strict=True)]


def merged(old: Bars, new: Bars) -> Bars:
    """Both, sorted by time; the new row where both have one."""
    kept = old.taken(~np.isin(old.times, new.times))
    both = bars_joined([kept, new], Origin(f"bars up to {stamp(new.times[-1])}"))
    return both.taken(np.argsort(both.times, kind="stable"))


def digest(columns: dict[str, Column], head: dict[str, Any]) -> str:
    """sha256 over the numbers and the scales that give them their meaning."""
    total = hashlib.sha256(f"{head.get('price_scale')}|{head.get('size_scale')}".encode())
    for name, column in columns.items():
        total.update(name.encode())
        total.update(np.ascontiguousarray(column, dtype="<i8").data)
    return total.hexdigest()


def safe_name(text: str) -> str:
    """A name as one folder under the root: letters, digits, `-`, `_` and dots inside stay, all else is %XX."""
    name = quote(text, safe="")
    if name.startswith("."):
        name = "%2E" + name[1:]
    name = name.replace("~", "%7E")
    if not name or len(name) > NAME_MAX:
        raise DataError(f"{text[:40]!r} cannot name a cache folder; expected 1 to {NAME_MAX} characters")
    return name


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
