"""Tapes on the disk: Parquet with everything a tape knows in its schema, written whole or not at all.

A file is one tape. Row groups hold `GROUP_ROWS` rows each, so that a long tape can be read through a window: its
columns as they are (int64, and int8 for side, action, flags), its head as one JSON value under the schema's metadata.

Columns that move in small steps are stored as differences: half the size and the time to read of the library's default
on recorded trades, quotes and bars. Levels of a book jump between its sides, but return: they are numbered instead.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from adapters.decimals import Column
from adapters.tapes.read_ahead import read_ahead
from adapters.tapes.tape_head import AGAIN, KEY, SCHEMA_VERSION, Head, head_of, origin_of, read_head, reading
from core.errors import DataError
from core.tape import (
    COLUMNS,
    LAST,
    LOWEST,
    NARROW,
    SNAPSHOT,
    Edges,
    Kind,
    Rows,
    Tape,
    gaps_within,
    in_memory,
    is_number,
    lowest_of,
    snapshot_before,
    tape_hash,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as parquet

GROUP_ROWS = 131_072
"""Rows of a row group: some MB in memory, enough for numpy to be quick."""
LAYOUT = {"compression": "lz4", "data_page_version": "2.0", "write_page_checksum": True}
"""Pages of the second version are left unpacked where packing gains nothing, as with differences of random steps."""
BOOKS = ("depth", "l3")
"""Kinds whose prices and sizes are numbered rather than stored as differences."""


def write_tape(
    tape: Rows, path: Path, *, group_rows: int = GROUP_ROWS, answered: Sequence[tuple[int, int]] = ()
) -> None:
    """Write a tape, atomically: a crash leaves the old file or the new one. Raises DataError where the disk says no."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    head = Head(
        SCHEMA_VERSION,
        tape.kind,
        tape.venue,
        tape.symbol,
        tape.price_scale,
        tape.size_scale,
        tape.interval_ns,
        tape.source,
        tape.gaps,
        tape.notes,
        _id_of_rows(tape),
        tape.max_disorder_ns,
        len(tape),
        tape.edges,
        tape.lowest,
        tuple(answered),
        _is_of_one_time(tape),
    )
    names = COLUMNS[tape.kind]
    schema = pa.schema(
        [pa.field(name, pa.int8() if name in NARROW else pa.int64(), nullable=False) for name in names],
        metadata={KEY: msgspec.json.encode(head)},
    )
    numbered = [name for name in names if name in NARROW or (tape.kind in BOOKS and is_number(name))]
    stepped = {name: "DELTA_BINARY_PACKED" for name in names if name not in numbered}
    layout: dict[str, Any] = {**LAYOUT, "use_dictionary": numbered, "column_encoding": stepped}
    temporary = path.with_name(f".{path.name}.{threading.get_ident()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                with parquet.ParquetWriter(stream, schema, **layout) as writer:
                    for chunk in tape.chunks(group_rows):
                        writer.write_table(_table(chunk, schema), row_group_size=group_rows)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); free space or permissions, or choose another place"
        ) from error


def _table(columns: dict[str, Column], schema: pa.Schema) -> pa.Table:
    """Columns as Arrow arrays over the same memory."""
    import pyarrow as pa

    arrays = []
    for field in schema:
        numbers = np.ascontiguousarray(columns[field.name], dtype=_dtype(field.name))
        arrays.append(pa.Array.from_buffers(field.type, len(numbers), [None, pa.py_buffer(numbers)]))
    return pa.Table.from_arrays(arrays, schema=schema)


def _id_of_rows(tape: Rows) -> str:
    """The id that these rows have as one tape; one of several files has another."""
    if isinstance(tape, Tape | StoredTape):
        return tape.tape_id
    return tape_hash(tape, lambda name: (columns[name] for columns in tape.chunks(GROUP_ROWS, (name,))))


def _is_of_one_time(tape: Rows) -> bool:
    windows = tape.chunks(GROUP_ROWS, ("ts_venue", "ts"))
    return all(np.array_equal(columns["ts_venue"], columns["ts"]) for columns in windows)


def open_tape(path: Path, *, proven: bool = False) -> StoredTape:
    """The tape without its rows: they are read as `chunks` asks for them. Raises DataError.

    `proven`: every byte of the file was just compared with a checksum: its pages are not checked once more.
    """
    return StoredTape(path, read_head(path), proven=proven)


class _Groups(NamedTuple):
    """Where the row groups of a file begin."""

    starts: list[int]
    """Row numbers, and at the end how many rows there are."""
    received: list[int]
    """`ts` of each group's first row."""


class StoredTape:
    """A tape on the disk, or a part of one: all that `Tape` says of itself, and its rows a window at a time."""

    def __init__(self, path: Path, head: Head, *, low: int = 0, high: int | None = None, proven: bool = False) -> None:
        """The rows [low, high) of the file; `proven` as for `open_tape`."""
        self.path = path
        self.head = head
        self.kind: Kind = head.kind
        self.venue = head.venue
        self.symbol = head.symbol
        self.price_scale = head.price_scale
        self.size_scale = head.size_scale
        self.interval_ns = head.interval_ns
        self.source = head.source
        self.gaps = head.gaps
        self.notes = head.notes
        self._low = low
        self._high = head.rows if high is None else high
        self._proven = proven

    def __len__(self) -> int:
        return self._high - self._low

    # --- what it says of itself -------------------------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        """Whether it is all that the file holds."""
        return (self._low, self._high) == (0, self.head.rows)

    @property
    def max_disorder_ns(self) -> int:
        """The most that `ts_venue` falls behind its running maximum in receipt order, anywhere in the file."""
        return self.head.max_disorder_ns

    @cached_property
    def tape_id(self) -> str:
        """As its head says; of a part, or under another venue's name, computed from the rows (they are read once)."""
        if self.is_whole and self.venue == self.head.venue:
            return self.head.tape_id
        return self._hash()

    @cached_property
    def edges(self) -> Edges:
        """Both times of the first and the last row."""
        if self.is_whole or not len(self):
            return self.head.edges if len(self) else Edges()
        first, last = self._row(self._low), self._row(self._high - 1)
        return Edges(first["ts_venue"], first["ts"], last["ts_venue"], last["ts"])

    @cached_property
    def lowest(self) -> int | None:
        """The lowest price at which something stands or traded, mantissa; None where there is none."""
        if self.is_whole or self.kind not in LOWEST:
            return self.head.lowest
        names = [name for name in LOWEST[self.kind] if name is not None]
        found = (lowest_of(self.kind, columns) for columns in self.chunks(GROUP_ROWS, names))
        return min((price for price in found if price is not None), default=None)

    # --- rows -------------------------------------------------------------------------------------------------------

    def chunks(self, rows: int, names: Sequence[str] | None = None) -> Iterator[dict[str, Column]]:
        """The tape from its first row on, `rows` at a time (fewer in the last); no more than that and two row
        groups are in memory. Pages are checked against their checksums, unless the file is proven. Raises DataError."""
        held: list[dict[str, Column]] = []
        count = 0
        for group in self._read_groups(names):
            held.append(group)
            count += len(next(iter(group.values())))
            while count >= rows:
                whole = _joined(held)
                yield {name: column[:rows] for name, column in whole.items()}
                count -= rows
                held = [{name: column[rows:] for name, column in whole.items()}] if count else []
        if count:
            yield _joined(held)

    def load(self) -> Tape:
        """All of it in memory. Raises DataError where the rows are not those the file was written with."""
        groups = list(self._read_groups(None))
        empty = {name: np.zeros(0, dtype=_dtype(name)) for name in COLUMNS[self.kind]}
        tape = in_memory(self, _joined(groups) if groups else empty, self.gaps)
        if self.is_whole and self.venue == self.head.venue:
            self._check(tape.tape_id, len(tape))
        return tape

    def verify(self) -> None:
        """Read every row of the file once. Raises DataError where they are not those it was written with."""
        whole = StoredTape(self.path, self.head)
        whole._check(whole._hash(), sum(len(part["ts"]) for part in whole.chunks(GROUP_ROWS, ("ts",))))

    # --- parts ------------------------------------------------------------------------------------------------------

    def between(self, start: int | None, end: int | None) -> Rows:
        """A part of the tape, see `Tape.between`; of ticks it is a view, nothing but its edges is read."""
        if self.interval_ns:
            return self.load().between(start, end)
        low = self._low if start is None else max(self._low, self._received_before(start))
        high = self._high if end is None else min(self._high, self._received_before(end + 1))
        if start is not None and self.kind in ("depth", "l3"):
            low = self._snapshot_before(low)
        part = self._part(low, max(low, high))
        if len(part) != len(self):
            part.gaps = gaps_within(self.gaps, start, end)
        return part

    def at_venue(self, venue: str) -> StoredTape:
        """The same rows under another venue name."""
        part = self._part(self._low, self._high)
        part.venue = venue
        return part

    def _part(self, low: int, high: int) -> StoredTape:
        part = StoredTape(self.path, self.head, low=low, high=high, proven=self._proven)
        part.venue, part.gaps = self.venue, self.gaps
        return part

    def _received_before(self, ts: int) -> int:
        """How many rows of the file were received before `ts`."""
        starts, received = self._index
        group = bisect_left(received, ts) - 1
        if group < 0:
            return 0
        times = self._read_rows(starts[group], starts[group + 1], ("ts",))["ts"]
        return starts[group] + int(np.searchsorted(times, ts, side="left"))

    def _snapshot_before(self, low: int) -> int:
        """The first row of the last snapshot before row `low`; this tape's first row where there is none."""
        starts, _ = self._index
        group, stop = bisect_right(starts, max(low - 1, 0)) - 1, low
        while stop > self._low:
            first = max(starts[group], self._low)
            flags = self._read_rows(max(first - 1, self._low), stop, ("flags",))["flags"]
            before = 0 if first == self._low else int(flags[0]) & (SNAPSHOT | LAST)
            found = snapshot_before(flags[-(stop - first) :], before)
            if found is not None:
                return first + found
            group, stop = group - 1, first
        return self._low

    # --- the file ---------------------------------------------------------------------------------------------------

    @cached_property
    def _index(self) -> _Groups:
        import pyarrow.parquet as parquet

        with reading(self.path):
            metadata = parquet.read_metadata(self.path)
            starts, received = [0], []
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                starts.append(starts[-1] + group.num_rows)
                received.append(int(group.column(COLUMNS[self.kind].index("ts")).statistics.min))
        return _Groups(starts, received)

    def _row(self, row: int) -> dict[str, int]:
        """Both times of one row of the file."""
        columns = self._read_rows(row, row + 1, ("ts_venue", "ts"))
        return {name: int(column[0]) for name, column in columns.items()}

    def _read_rows(self, low: int, high: int, names: Sequence[str]) -> dict[str, Column]:
        """The rows [low, high) of the file."""
        part = StoredTape(self.path, self.head, low=low, high=high, proven=self._proven)
        return _joined(list(part._read_groups(names)))

    def _read_groups(self, names: Sequence[str] | None) -> Iterator[dict[str, Column]]:
        """Window after window of the row groups that this part touches, without the rows that are not of it."""
        import pyarrow.parquet as parquet

        wanted = COLUMNS[self.kind] if names is None else names
        stands_in = {"ts": "ts_venue"} if self.head.one_time else {}
        needed = {stands_in.get(name, name) for name in wanted}
        stored = [name for name in COLUMNS[self.kind] if name in needed]
        opened = partial(parquet.ParquetFile, self.path, page_checksum_verification=not self._proven, pre_buffer=False)
        with reading(self.path), ExitStack() as stack:
            files = [stack.enter_context(opened())]
            if head_of(files[0].schema_arrow.metadata or {}, self.path) != self.head:
                raise origin_of(self.path).whole(
                    "was written anew while it was read", "the file of the beginning", "start again"
                )
            touched = list(self._touched(files[0].metadata))
            if len(touched) > 1:
                files.append(stack.enter_context(opened(metadata=files[0].metadata)))
            jobs = (
                partial(self._windows, files[turn % len(files)], group, stored)
                for turn, (group, _) in enumerate(touched)
            )
            groups = stack.enter_context(closing(read_ahead(jobs, len(files))))
            for windows, (_, at) in zip(groups, touched, strict=True):
                for columns in windows:
                    rows = len(columns[stored[0]])
                    low, high = max(self._low - at, 0), min(self._high - at, rows)
                    if low < high:
                        yield {name: columns[stands_in.get(name, name)][low:high] for name in wanted}
                    at += rows

    def _windows(self, file: parquet.ParquetFile, group: int, names: Sequence[str]) -> list[dict[str, Column]]:
        """One row group; over all of them at once the library keeps what it has read."""
        same = _same_in_all_rows(file.metadata.row_group(group), names[1:]) if self._proven else {}
        unpacked = [name for name in names if name not in same]
        windows = []
        for batch in file.iter_batches(GROUP_ROWS, row_groups=[group], columns=unpacked, use_threads=False):
            columns = _columns(batch, unpacked, self.path)
            windows.append(columns | {name: np.full(batch.num_rows, same[name], np.int8) for name in same})
        return windows

    def _touched(self, metadata: parquet.FileMetaData) -> Iterator[tuple[int, int]]:
        """The row groups that hold rows of this part: (number, its first row)."""
        first = 0
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if first < self._high and first + rows > self._low:
                yield group, first
            first += rows

    def _hash(self) -> str:
        def parts_of(name: str) -> Iterator[Column]:
            return (columns[name] for columns in self.chunks(GROUP_ROWS, (name,)))

        return tape_hash(self, parts_of)

    def _check(self, tape_id: str, rows: int) -> None:
        if tape_id != self.head.tape_id or rows != self.head.rows:
            raise origin_of(self.path).whole(
                f"its rows give the tape id {tape_id[:12]}..., its head says {self.head.tape_id[:12]}...",
                "the rows it was written with",
                AGAIN,
            )


def _same_in_all_rows(group: parquet.RowGroupMetaData, names: Sequence[str]) -> dict[str, int]:
    """Of these columns the narrow ones that hold one number in a whole row group, as flags often do: which one."""
    same = {}
    for at in range(group.num_columns):
        column = group.column(at)
        if column.path_in_schema in NARROW and column.path_in_schema in names:
            told = column.statistics
            if told is not None and told.has_min_max and told.null_count == 0 and told.min == told.max:
                same[column.path_in_schema] = told.min
    return same


def _columns(batch: pa.RecordBatch, names: Sequence[str], path: Path) -> dict[str, Column]:
    if batch.schema.names != names:
        raise origin_of(path).whole(
            f"has the columns {', '.join(batch.schema.names)}", f"those of a tape: {', '.join(names)}", "write it again"
        )
    return {name: _numbers(batch.column(at), name, path) for at, name in enumerate(names)}


def _numbers(array: pa.Array, name: str, path: Path) -> Column:
    """The numbers of a column, from its memory as it is: the library's own way to numpy loads pandas."""
    expected, size = ("int8", 1) if name in NARROW else ("int64", 8)
    if array.null_count or str(array.type) != expected:
        found = f"its column {name} is {array.type} with {array.null_count} empty cells"
        raise origin_of(path).whole(found, f"{expected} in each", "write it again")
    numbers: Column = np.frombuffer(array.buffers()[1], dtype=expected, count=len(array), offset=array.offset * size)
    return numbers


def _dtype(name: str) -> type[np.integer[Any]]:
    return np.int8 if name in NARROW else np.int64


def _joined(parts: list[dict[str, Column]]) -> dict[str, Column]:
    """Windows one after the other; at least one."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
