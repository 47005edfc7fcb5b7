"""What one may do with market data apart from running on it: look, check, mend, download, take out, bring in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import msgspec
import numpy as np

from adapters.binance.history import BinanceSource
from adapters.cache import CHECKED_AT_ONCE, QUARANTINE, TAPES, Shelf, Version, folder_name, safe_name
from adapters.columns import Origin, span, stamp
from adapters.files import FileHistory
from adapters.kept.cache_periods import Span, period_named, union, within, without
from adapters.kept.cache_rows import played
from adapters.kept.fetched_history import FetchedHistory
from adapters.kept.kept_brackets import answer_of, answers, set_aside
from adapters.remote_source import Line
from adapters.sources import FileSource, source_of
from adapters.tapes.conversion import Converted, converted
from adapters.tapes.read_ahead import read_ahead
from adapters.tapes.tape_file import write_tape
from adapters.tapes.tape_head import Head, read_head
from core.errors import DataError, UsageError
from core.margin import DatedTiers
from core.notation import interval_ns
from core.tape import COLUMNS, SIZES, Gap, Kind, Rows, is_number
from core.venue_rules import DatedInstrument

EXPORT_ROWS = 50_000
"""Rows of a CSV file written at once."""
Told = Callable[[str, int, int], None]
"""(what, done, total)"""


class Listed(msgspec.Struct, frozen=True):
    """What is kept of one kind of rows of one symbol."""

    venue: str
    symbol: str
    kind: Kind
    interval: str
    """`1m`; empty where there is none."""
    rows: int
    files: int
    bytes: int
    answered: list[Span]
    """Ranges for which the venue has answered, int nanoseconds UTC: what lies between them was never fetched."""
    gaps: list[Gap]
    """Holes inside of them: the venue's."""


class ListedBrackets(msgspec.Struct, frozen=True):
    """What is kept of the maintenance brackets that a venue told of one contract."""

    venue: str
    symbol: str
    kind: Literal["brackets"]
    told: list[int]
    """When each answer was given, int nanoseconds UTC of the venue, oldest first."""
    tiers: int
    """Of the newest."""


class Damaged(NamedTuple):
    """A file of the cache that is not what it should be."""

    path: Path
    reason: str


class CacheDesk:
    """The cache below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- looking ----------------------------------------------------------------------------------------------------

    def listing(self) -> list[Listed]:
        """What there is, by what the files say; nothing is checked. Raises DataError for a file that says nothing."""
        found = []
        for shelf in self.shelves():
            versions = shelf.versions()
            heads = [read_head(version.path) for version in versions]
            if not heads:
                continue
            found.append(
                Listed(
                    shelf.venue,
                    shelf.symbol,
                    shelf.kind,
                    span(shelf.interval_ns) if shelf.interval_ns else "",
                    sum(head.rows for head in heads),
                    len(heads),
                    sum(version.path.stat().st_size for version in versions),
                    union(one for head in heads for one in head.answered),
                    [gap for head in heads for gap in _of_the_venue(head)],
                )
            )
        return found

    def brackets(self) -> list[ListedBrackets]:
        """The brackets there are; a damaged answer is left out, `verify` tells of it."""
        found: dict[tuple[str, str], list[DatedTiers]] = {}
        for path in answers(self.root):
            answer = answer_of(path)
            if isinstance(answer, DatedTiers):
                found.setdefault((unquote(path.parts[-3]), unquote(path.parts[-2])), []).append(answer)
        return [
            ListedBrackets(*key, "brackets", [row.since for row in rows], len(rows[-1].tiers))
            for key, rows in found.items()
        ]

    def shelves(self) -> Iterator[Shelf]:
        """Every kind of rows of every symbol that has a folder, in order of names. Other names are none of ours."""
        for folder in sorted((self.root / TAPES).glob("*/*/*")):
            rows = _rows_in(folder.name)
            if rows is not None and folder.is_dir():
                yield Shelf(
                    self.root,
                    venue=unquote(folder.parent.parent.name),
                    symbol=unquote(folder.parent.name),
                    kind=rows[0],
                    interval_ns=rows[1],
                )

    def verify(self, told: Told | None = None, *, rows: bool = False) -> tuple[int, list[Damaged]]:
        """How many files there are and which of them are damaged. `rows`: read every row too, not the bytes alone."""
        files = [(shelf, version) for shelf in self.shelves() for version in shelf.versions()]
        damaged = []
        jobs = (partial(_wrong_with, shelf, version, rows=rows) for shelf, version in files)
        with closing(read_ahead(jobs, CHECKED_AT_ONCE)) as reasons:
            for done, ((_, version), reason) in enumerate(zip(files, reasons, strict=True), start=1):
                if reason:
                    damaged.append(Damaged(version.path, reason))
                if told is not None:
                    told("checking files", done, len(files))
        kept = {path: answer_of(path) for path in answers(self.root)}
        damaged += [Damaged(path, wrong) for path, wrong in kept.items() if isinstance(wrong, str)]
        return len(files) + len(kept), damaged

    # --- fetching ---------------------------------------------------------------------------------------------------

    def history(
        self, venue: str, symbol: str, kind: Kind, length_ns: int, start: int, end: int | None
    ) -> FetchedHistory:
        """What fetches a range of a venue: `binance-usdm`, `bybit-linear`, or an exchange that ccxt knows.

        Raises UsageError where the venue has no such rows.
        """
        source = source_of(venue, start, end)
        opened = source.open(venue=venue, symbol=symbol, kind=kind, interval_ns=length_ns, cache=self.root)
        assert isinstance(opened, FetchedHistory), "whatever comes over the network is kept"
        return opened

    async def instruments(self, venue: str, symbol: str) -> dict[str, DatedInstrument]:
        """The filters of every symbol of a venue as it says them now; `symbol` is named in errors.

        Raises UsageError where nobody has that name, VenueError.
        """
        return await source_of(venue, 0, None).fetcher(venue=venue, symbol=symbol, line=Line()).instruments()

    async def repair(
        self, known: Mapping[Path, FetchedHistory], told: Told | None = None
    ) -> tuple[list[str], list[str]]:
        """Set damaged files aside and fetch what is missing without them: (what was done, what could not be).

        `known` are histories by the folder they keep, for rows of hosts that no name leads to. Raises VenueError.
        """
        kept = {path: answer_of(path) for path in answers(self.root)}
        done = [set_aside(path, wrong) for path, wrong in kept.items() if isinstance(wrong, str)]
        left: list[str] = []
        for shelf in list(self.shelves()):
            await asyncio.to_thread(shelf.check)
            done += shelf.damaged
            for since, until in await asyncio.to_thread(_lost, shelf):
                what = f"{shelf.venue} {shelf.symbol} {folder_name(shelf.kind, shelf.interval_ns)}"
                history = known.get(shelf.folder) or self._history_of(shelf, since, until)
                if history is None:
                    left.append(
                        f"{what}: {stamp(since)} to {stamp(until)} is missing, and no source has that name; "
                        "run this again with --config and the config that fetched it"
                    )
                    continue
                answered = await history.complete(since, until, _about(told, what))
                done.append(f"{what}: fetched {stamp(since)} to {stamp(min(answered, until))} again")
        return done, left

    def _history_of(self, shelf: Shelf, since: int, until: int) -> FetchedHistory | None:
        """What fetched the rows of a shelf; None where its name does not tell."""
        name = shelf.venue.removesuffix("-single").removeprefix("ccxt-")
        source = source_of(name, since, until)
        if shelf.venue.endswith("-single") and isinstance(source, BinanceSource):
            source = msgspec.structs.replace(source, trades="single")
        try:
            opened = source.open(
                venue=name, symbol=shelf.symbol, kind=shelf.kind, interval_ns=shelf.interval_ns, cache=self.root
            )
        except UsageError:
            return None  # no venue or exchange of that name: whoever asks is told by name
        return opened if isinstance(opened, FetchedHistory) and opened.fetcher.name == shelf.venue else None

    # --- taking out -------------------------------------------------------------------------------------------------

    def tape(
        self, venue: str, symbol: str, kind: Kind, length_ns: int, start: int | None, end: int | None
    ) -> tuple[Rows, list[Span]]:
        """What is kept of a range as one tape, and what is not there of it. Raises DataError where nothing is."""
        shelf = Shelf(self.root, venue=venue, symbol=symbol, kind=kind, interval_ns=length_ns)
        spans = [one for version in shelf.versions() for one in read_head(version.path).answered]
        name = f"{venue} {symbol} {folder_name(kind, length_ns)}"
        if not spans:
            kept = ", ".join(f"{one.venue} {one.symbol} {one.kind} {one.interval}".strip() for one in self.listing())
            raise DataError(f"{self.root}: nothing is kept of {name}; there is {kept or 'nothing at all'}")
        low = min(since for since, _ in spans) if start is None else start
        high = max(until for _, until in spans) if end is None else end
        parts = shelf.parts(low, high)
        if not parts:
            raise DataError(f"{self.root}: no row of {name} is kept from {stamp(low)} to {stamp(high)}; download it")
        tape = played(kind, parts, venue=venue, interval_ns=length_ns, origin=Origin(name), notes=shelf.damaged)
        return tape, shelf.missing(low, high)

    def export(self, tape: Rows, path: Path, told: Told | None = None) -> None:
        """Write a tape as CSV, or as Parquet that is a tape again, by the ending. Raises UsageError, DataError."""
        if path.suffix == ".parquet":
            write_tape(tape, path)
        elif path.suffix == ".csv":
            from core.atomic_file import write_atomically

            write_atomically(path, _csv(tape, told))
        else:
            raise UsageError(f"{path}: expected a file that ends in .csv or .parquet")

    # --- bringing in ------------------------------------------------------------------------------------------------

    def convert(
        self, venue: str, symbol: str, kind: Kind, length_ns: int, files: Sequence[str], folder: Path
    ) -> Iterator[Converted]:
        """Files of the user's into tapes below a folder, one after the other. Raises UsageError, DataError."""
        source = FileSource(path=list(files))
        history = source.open(venue=venue, symbol=symbol, kind=kind, interval_ns=length_ns)
        assert isinstance(history, FileHistory), "files are read in place"
        return converted(history, folder / safe_name(symbol) / folder_name(kind, length_ns))


def _about(told: Told | None, what: str) -> Callable[[int, int], None] | None:
    return None if told is None else lambda done, total: told(what, done, total)


def _rows_in(folder: str) -> tuple[Kind, int] | None:
    """The kind and the interval that a folder is named after; None where it is another name."""
    name, _, interval = folder.partition("-")
    kind: Any = name
    try:
        length_ns = interval_ns(interval) if interval else 0
    except ValueError:
        return None
    return (kind, length_ns) if name in COLUMNS and folder_name(kind, length_ns) == folder else None


def _of_the_venue(head: Head) -> Iterator[Gap]:
    """The holes, as far as they lie where the venue has answered."""
    for gap in head.gaps:
        for since, until in within(head.answered, gap.since, gap.until):
            yield Gap(since, until, (until - since) // head.interval_ns if head.interval_ns else gap.rows)


def _wrong_with(shelf: Shelf, version: Version, *, rows: bool) -> str:
    """What is wrong with a file, or with its rows where its bytes are right; empty where nothing is."""
    tape = shelf.examined(version)
    if isinstance(tape, str):
        return tape
    try:
        if rows:
            tape.verify()
    except DataError as error:
        return str(error)
    return ""


def _lost(shelf: Shelf) -> list[Span]:
    """What is missing since files were set aside: the ranges they say themselves, else their whole periods."""
    lost: list[Span] = []
    for path in sorted(shelf.folder.glob(f"*{QUARANTINE}")):
        try:
            period = period_named(path.name.partition(".")[0], shelf.kind, shelf.interval_ns)
        except ValueError:
            continue  # named after no day that there is: it held nothing of ours
        try:
            answered = within(read_head(path).answered, period.since, period.until)
        except DataError:
            answered = []
        lost += answered or [(period.since, period.until)]
    return union(left for one in union(lost) for left in without(one, shelf.answered(*one)))


def _csv(tape: Rows, told: Told | None) -> Iterator[bytes]:
    """A line of names, then a line per row: times as ISO-8601 with the nanoseconds beside them, exact decimals."""
    names = COLUMNS[tape.kind]
    of_bars = tape.interval_ns > 0
    yield ",".join(["time", *(name for name in names if not (of_bars and name in ("ts_venue", "ts")))]).encode() + b"\n"
    done = 0
    for columns in tape.chunks(EXPORT_ROWS):
        times = columns["ts_venue"] - tape.interval_ns
        cells = [np.datetime_as_string(times.view("M8[ns]"), unit="ns", timezone="UTC").tolist()]
        for name in names:
            if is_number(name):
                scale = tape.size_scale if name in SIZES else tape.price_scale
                cells.append(_decimals(columns[name].tolist(), scale))
            elif not (of_bars and name in ("ts_venue", "ts")):
                cells.append(list(map(str, columns[name].tolist())))
        yield "".join(f"{','.join(row)}\n" for row in zip(*cells, strict=True)).encode()
        done += len(times)
        if told is not None:
            told("writing", done, len(tape))


def _decimals(mantissas: list[int], scale: int) -> list[str]:
    """Exact decimals without an exponent."""
    if not scale:
        return list(map(str, mantissas))
    out = []
    for mantissa in mantissas:
        digits = str(abs(mantissa)).rjust(scale + 1, "0")
        out.append(f"{'-' if mantissa < 0 else ''}{digits[:-scale]}.{digits[-scale:]}")
    return out
