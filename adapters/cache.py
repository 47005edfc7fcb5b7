"""Rows already fetched: what is asked for again is not fetched again.

`<root>/tapes/<venue and market>/<symbol>/<kind>[-<interval>]/<period>.v<N>.<CRC-32>.parquet`: a tape (`tape_file`) of a
day, month or year (`cache_periods`), which also says for which ranges the venue has answered. A file is never changed:
more rows of a period make its next version, written under another name and renamed, so a killed download leaves either
the old version or both. The name carries the checksum of the whole file; what does not match, or claims to be something
else, is set aside as `.quarantine`, reported, and its period counts as missing.

What the cache holds is read off its files, never off what was asked for: a row is there or it is not, and what is
missing inside an answered range is the venue's hole, outside of it ours. Versions that were replaced are removed after
a day: a run may still be reading them.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from adapters.columns import span
from adapters.kept.cache_periods import Period, Span, period_named, periods, union, within, without
from adapters.kept.cache_rows import kept_at, taken, together, with_gaps
from adapters.tapes.read_ahead import read_ahead
from adapters.tapes.tape_file import StoredTape, open_tape, write_tape
from core.atomic_file import sync_folder
from core.errors import DataError
from core.moments import MINUTE_NS
from core.tape import Kind, Rows, Tape

TAPES = "tapes"
NAME_MAX = 200
"""Characters of a folder name; file systems stop at 255 bytes."""
FILE = re.compile(
    r"(?P<period>[12]\d{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?)\.v(?P<version>\d{1,9})"
    r"\.(?P<checksum>[0-9a-f]{8}|[0-9a-f]{16})\.parquet"
)
FORMER_DIGITS = 16
"""Of a name that an earlier version of this program gave: the beginning of the file's sha256. It is read as well."""
QUARANTINE = ".quarantine"
SETTLED_NS = 2 * MINUTE_NS
"""What is younger when it is fetched counts for this run, and is asked for again by the next: venues need a moment
until all they have is public. Guess."""
READ_AT_ONCE = 1 << 18
"""Bytes."""
CHECKED_AT_ONCE = 2
"""Files. More hardly help: then the disk or the memory is what is waited for. Guess."""
REPLACED_S = 86_400
"""So long a version that was replaced stays for whoever reads it."""


class Version(NamedTuple):
    """One file of the cache by its name."""

    path: Path
    period: str
    number: int
    checksum: str


class Shelf:
    """What is kept of one kind of rows of one symbol at one venue and market."""

    def __init__(
        self,
        root: Path,
        *,
        venue: str,
        symbol: str,
        kind: Kind,
        interval_ns: int = 0,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """`venue` is the fetcher's name; `now` the wall clock, which tells what is too young to be believed whole."""
        self.venue = venue
        self.symbol = symbol
        self.kind: Kind = kind
        self.interval_ns = interval_ns
        self.folder = root / TAPES / safe_name(venue) / safe_name(symbol) / folder_name(kind, interval_ns)
        self.damaged: list[str] = []
        """What had to be set aside, one sentence each."""
        self._now = now
        self._examined: dict[Path, StoredTape | str] = {}
        self._listed: dict[str, list[Version]] | None = None

    # --- what there is ----------------------------------------------------------------------------------------------

    def missing(self, start: int, end: int) -> list[Span]:
        """The ranges of [start, end) for which no answer is kept."""
        return without((start, end), self.answered(start, end))

    def answered(self, start: int, end: int) -> list[Span]:
        """The ranges of [start, end) for which an answer is kept, be it that there is nothing."""
        found: list[Span] = []
        for period in self._examined_periods(start, end):
            stored = self.stored(period)
            if stored is not None:
                found += within(stored.head.answered, start, end)
        return union(found)

    def parts(self, start: int, end: int) -> list[Rows]:
        """The rows kept under [start, end), part by part, oldest first; of ticks views that read nothing yet."""
        found: list[Rows] = []
        for period in self._examined_periods(start, end):
            stored = self.stored(period)
            if stored is None or not len(stored):
                continue
            part: Rows = stored
            if start > period.since or end < period.until:
                if self.interval_ns or self.kind == "funding":
                    part = taken(stored.load(), start, end)
                else:
                    part = stored.between(max(start, period.since), min(end, period.until) - 1)
            if len(part):
                found.append(part)
        return found

    def stored(self, period: Period) -> StoredTape | None:
        """The newest version of a period that is what it should be; others are set aside. Raises DataError."""
        return self._newest(period.name)

    def _newest(self, period: str) -> StoredTape | None:
        found = self._files().get(period, [])
        while found:
            version = found[-1]
            if version.path not in self._examined:
                self._examined[version.path] = self.examined(version)
            tape = self._examined[version.path]
            if isinstance(tape, StoredTape):
                return tape
            found.pop()
            if tape:
                self._set_aside(version.path, tape)
        return None

    def _examined_periods(self, start: int, end: int) -> list[Period]:
        """The periods of [start, end), when the newest file of each has been examined."""
        found = list(periods(self.kind, self.interval_ns, start, end))
        self._examine([self._files()[period.name][-1] for period in found if self._files().get(period.name)])
        return found

    def _examine(self, versions: Sequence[Version]) -> None:
        """Examine files that have not been yet, several at once: their checksums leave the interpreter alone."""
        unknown = [version for version in versions if version.path not in self._examined]
        jobs = (partial(self.examined, version) for version in unknown)
        with closing(read_ahead(jobs, CHECKED_AT_ONCE)) as tapes:
            self._examined |= {version.path: tape for version, tape in zip(unknown, tapes, strict=True)}

    def refresh(self) -> None:
        """Look at the folder anew: another program may have written."""
        self._listed = None

    def check(self) -> None:
        """Look at every period; what is not what it should be is set aside and told in `damaged`."""
        self._examine(self.versions())
        for version in self.versions():
            self._newest(version.period)

    def versions(self) -> list[Version]:
        """The newest file of every period, oldest period first; nothing is checked."""
        return [found[-1] for _, found in sorted(self._files().items()) if found]

    def examined(self, version: Version) -> StoredTape | str:
        """The tape in a file, or what is wrong with it: empty where it is gone (another program replaced it)."""
        path = version.path
        try:
            former = len(version.checksum) == FORMER_DIGITS
            actual = former_checksum(path) if former else checksum(path)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"cannot be read ({error.strerror or error})"
        if actual != version.checksum:
            return f"has the checksum {actual}, its name says {version.checksum}"
        try:
            tape = open_tape(path, proven=True)
        except DataError as error:
            return f"is no tape of this program ({error})"
        head = tape.head
        claims = (head.venue, head.symbol, head.kind, head.interval_ns)
        wanted = (self.venue, self.symbol, self.kind, self.interval_ns)
        if claims != wanted:
            return f"says it is {claims}, expected {wanted}"
        try:
            period = period_named(version.period, self.kind, self.interval_ns)
        except ValueError:
            return "is named after a day that is none"
        if period.name != version.period or any(not within([one], *period[1:]) for one in head.answered):
            return f"holds another period than {version.period}"
        return tape

    # --- adding -----------------------------------------------------------------------------------------------------

    def add(self, parts: Sequence[tuple[Tape, int, int]]) -> None:
        """Keep answers: (tape, since, until) each. Rows kept before under an answered range are replaced by it.

        The caller holds the folder's lock. Raises DataError.
        """
        by_period: dict[Period, list[tuple[Tape, int, int]]] = {}
        for tape, since, until in parts:
            for period in periods(self.kind, self.interval_ns, since, until):
                low, high = max(since, period.since), min(until, period.until)
                by_period.setdefault(period, []).append((taken(tape, low, high), low, high))
        for period, answers in by_period.items():
            self._extend(period, answers)

    def _extend(self, period: Period, answers: Sequence[tuple[Tape, int, int]]) -> None:
        """The next version of a period: what is kept of it, with these answers in it."""
        stored = self.stored(period)
        spans: list[Span] = [] if stored is None else list(stored.head.answered)
        pieces: list[Tape] = [] if stored is None else [stored.load()]
        for tape, since, until in answers:
            outside = [*without((period.since, since), ()), *without((until, period.until), ())]
            pieces = [piece for old in pieces for low, high in outside if len(piece := taken(old, low, high))]
            pieces.append(tape)
            spans = [*(part for low, high in outside for part in within(spans, low, high)), (since, until)]
        filled = sorted((piece for piece in pieces if len(piece)), key=lambda one: int(kept_at(one)[0]))
        tape = together(filled or pieces[-1:], venue=self.venue)
        settled = self._now() - SETTLED_NS
        self._write(period, with_gaps(tape), [(since, min(until, settled)) for since, until in spans])

    def _write(self, period: Period, tape: Tape, answered: Sequence[Span]) -> None:
        self.refresh()
        self._sweep(period.name)
        there = [*self._named(""), *self._named(QUARANTINE)]
        number = 1 + max((version.number for version in there if version.period == period.name), default=0)
        fresh = self.folder / f".{period.name}.v{number}.{os.getpid()}.new"
        try:
            write_tape(tape, fresh, answered=union(answered))
            fresh.replace(self.folder / f"{period.name}.v{number}.{checksum(fresh)}.parquet")
            sync_folder(self.folder)
            self.refresh()
        except OSError as error:
            raise DataError(
                f"{self.folder}: cannot be written ({error.strerror or error}); "
                "free space or permissions, or point the cache somewhere else"
            ) from error

    def _sweep(self, period: str) -> None:
        """Remove what killed writers left (a live one holds the lock) and what was replaced a day ago."""
        for path in self.folder.glob(".*"):
            if path.name.endswith((".tmp", ".new")):
                path.unlink(missing_ok=True)
        for version in self._files().get(period, [])[:-1]:
            if version.path.stat().st_mtime < time.time() - REPLACED_S:
                version.path.unlink(missing_ok=True)

    # --- files ------------------------------------------------------------------------------------------------------

    def _files(self) -> dict[str, list[Version]]:
        """The files of every period, oldest version first. Other names are none of ours."""
        if self._listed is None:
            self._listed = {}
            for version in self._named(""):
                self._listed.setdefault(version.period, []).append(version)
            for found in self._listed.values():
                found.sort(key=lambda one: one.number)
        return self._listed

    def _named(self, ending: str) -> Iterator[Version]:
        """Files of the folder by their names, with this behind them."""
        for name in os.listdir(self.folder) if self.folder.is_dir() else ():
            found = FILE.fullmatch(name.removesuffix(ending)) if name.endswith(ending) else None
            if found is not None:
                yield Version(self.folder / name, found["period"], int(found["version"]), found["checksum"])

    def _set_aside(self, path: Path, reason: str) -> None:
        """Out of the way, not deleted: somebody may want to know what happened to it."""
        aside = path.with_name(path.name + QUARANTINE)
        try:
            path.replace(aside)
        except FileNotFoundError:
            return  # another program was faster
        except OSError as error:
            raise DataError(
                f"cache file {path} {reason}, and cannot be set aside ({error.strerror}); remove it by hand"
            ) from error
        self.damaged.append(f"cache file {path} {reason}: renamed to {aside.name}, its period is fetched again")


def folder_name(kind: Kind, interval_ns: int) -> str:
    """`trades`, `bars-1m`."""
    return f"{kind}-{span(interval_ns)}" if interval_ns else kind


def checksum(path: Path) -> str:
    """The CRC-32 of a file as gzip and zip have it, 8 digits. Raises OSError.

    It tells every change within four bytes for certain, any other but one in four billion.
    """
    found = 0
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(READ_AT_ONCE):
            found = zlib.crc32(chunk, found)
    return f"{found:08x}"


def former_checksum(path: Path) -> str:
    """What names had in its place. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:FORMER_DIGITS]


def safe_name(text: str) -> str:
    """A name as one folder under the root: letters, digits, `-`, `_` and dots inside stay, all else is %XX."""
    name = quote(text, safe="")
    if name.startswith("."):
        name = "%2E" + name[1:]
    name = name.replace("~", "%7E")
    if not name or len(name) > NAME_MAX:
        raise DataError(f"{text[:40]!r} cannot name a cache folder; expected 1 to {NAME_MAX} characters")
    return name
