"""CSV text as columns, block by block: numbers straight from the digits, no float in between.

Fields are plain numbers, times or words; quotes around them are taken off, a separator inside quotes is refused as a
wrong number of fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adapters import decimals, times, wrapped
from adapters.columns import Origin
from adapters.decimals import BadCell, Column, Decimals
from core.errors import DataError

WORD_MAX = 200
"""Characters of a word: ids have 36; words are held as wide as the widest, so one spoiled cell must not fill memory."""

ADDRESS = (b"http://", b"https://")
"""How a line begins in which a site names itself above the header; it is no row."""


class Layout(NamedTuple):
    """How a text file is arranged."""

    separator: str
    header: bool
    positions: dict[str, int]
    fields: int
    """How many fields each row has."""


class Gathered(NamedTuple):
    """Columns of a whole file."""

    numbers: dict[str, Decimals]
    others: dict[str, Column]
    """`line` among them: where each row stands."""


class Block:
    """Some whole rows. Raises DataError naming the line where rows have not the layout's number of fields."""

    def __init__(self, text: bytes, layout: Layout, origin: Origin) -> None:
        if b'"' in text:
            text = text.replace(b'"', b"")
        self.origin = origin
        """Its `first` is the line of the first row."""
        self.layout = layout
        self._buffer = np.frombuffer(text, dtype=np.uint8)
        ends = self._buffer == ord("\n")
        marks = np.flatnonzero((self._buffer == ord(layout.separator)) | ends)
        if (
            len(marks) % layout.fields
            or not ends[marks[layout.fields - 1 :: layout.fields]].all()
            or np.count_nonzero(ends) * layout.fields != len(marks)
        ):
            raise _ragged(text, layout, origin)
        self._table: Column = marks.reshape(-1, layout.fields)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, name: str) -> bool:
        return name in self.layout.positions

    @property
    def lines(self) -> Column:
        """The line of each row, int64."""
        return np.arange(self.origin.first, self.origin.first + len(self), dtype=np.int64)

    def split(self, rows: list[int]) -> list[Block]:
        """Blocks of their own, each but the first beginning with one of these rows (rising, 0 not among them)."""
        edges = [0, *rows, len(self)]
        ends = [0, *(int(self._table[row - 1, -1]) + 1 for row in edges[1:])]
        return [
            Block(self._buffer[ends[at] : ends[at + 1]].tobytes(), self.layout, self._origin_of(edges[at]))
            for at in range(len(edges) - 1)
        ]

    def _origin_of(self, row: int) -> Origin:
        return self.origin._replace(first=self.origin.first + row)

    def numbers(self, name: str) -> Decimals:
        """A column of decimals. Raises DataError."""
        try:
            return decimals.from_text(self._buffer, *self._cells(name))
        except BadCell as cell:
            raise self.origin.cell(name, cell) from None

    def whole(self, name: str) -> Column:
        """A column of integers, int64. Raises DataError."""
        numbers = self.numbers(name)
        if numbers.scale:
            row = int(np.flatnonzero(numbers.mantissas % 10**numbers.scale)[0])
            raise self.origin.error(
                row, name, f"{numbers.text(row)} has a fraction", "a whole number", "correct the row"
            )
        return numbers.mantissas

    def times(self, name: str) -> Column:
        """Epoch numbers or ISO text as int64 nanoseconds: the first cell decides for the block. Raises DataError."""
        starts, ends = self._cells(name)
        first = bytes(self._buffer[starts[0] : ends[0]])
        try:
            if b"-" in first[1:] or b":" in first:
                text = self._buffer.tobytes()
                return times.from_iso(
                    [text[a:b].decode("utf-8", "replace") for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
                )
            return times.from_numbers(decimals.from_text(self._buffer, starts, ends))
        except BadCell as cell:
            raise self.origin.error(
                cell.index,
                name,
                f"{cell.text!r} {cell.why}",
                "an ISO-8601 time or a number of s, ms, us or ns since 1970",
                "correct the row",
            ) from None

    def words(self, name: str) -> Column:
        """A column of texts as fixed-width bytes."""
        starts, ends = self._cells(name)
        width = max(1, int((ends - starts).max(initial=1)))
        if width > WORD_MAX:
            row = int(np.argmax(ends - starts))
            raise self.origin.error(
                row, name, f"a word of {width} characters", f"at most {WORD_MAX}", "correct the row (is this CSV?)"
            )
        padded = np.concatenate((self._buffer, np.zeros(width, dtype=np.uint8)))
        at = np.arange(width)
        letters = np.where(at < (ends - starts)[:, None], padded[starts[:, None] + at], 0).astype(np.uint8)
        return np.ascontiguousarray(letters).view(f"S{width}").ravel()

    def one_of(self, name: str, meanings: dict[bytes, int]) -> Column:
        """A column of words as the int8 each stands for; case does not count. Raises DataError for any other word."""
        words = np.char.lower(self.words(name))
        out = np.zeros(len(self), dtype=np.int8)
        known = np.zeros(len(self), dtype=bool)
        for word, meaning in meanings.items():
            mine = words == word
            out[mine], known = meaning, known | mine
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            expected = " or ".join(word.decode() for word in meanings)
            raise self.origin.error(
                row, name, f"{words[row].decode('utf-8', 'replace')!r} is unknown", expected, "correct the row"
            )
        return out

    def _cells(self, name: str) -> tuple[Column, Column]:
        at = self.layout.positions[name]
        if at:
            return self._table[:, at - 1] + 1, self._table[:, at]
        return np.concatenate(([0], self._table[:-1, -1] + 1)), self._table[:, 0]


def read_blocks(path: Path, layout_of: Callable[[list[str], bytes, Origin], Layout]) -> Iterator[Block]:
    """The rows of a file. `layout_of` gets the first line's fields and text. Raises DataError."""
    origin = Origin(str(path), "line")
    with wrapped.opened(path, origin) as stream:
        blocks = wrapped.blocks(stream, wrapped.BLOCK_BYTES)
        first = next(blocks, b"").removeprefix(b"\xef\xbb\xbf")
        if not first.strip():
            raise origin.whole("is empty", "rows as CSV", "check the path, or fetch the data again")
        if b"\x00" in first[:4096]:
            raise origin.whole("is not text", "CSV", "name its kind with `format: parquet` or `format: feather`")
        number = 1
        if first.startswith(ADDRESS):
            first, number = first.partition(b"\n")[2], 2
        line = first.partition(b"\n")[0]
        layout = layout_of(fields_of(line), line, origin)
        if layout.header:
            first, number = first.partition(b"\n")[2], number + 1
        start = number
        for text in wrapped.without_tail(chain([first], blocks)):
            block = Block(text, layout, origin._replace(first=number))
            number += len(block)
            yield block
    if number == start:
        raise origin.whole("has a header and nothing below it", "at least one row", "fetch the file again")


def gathered(
    blocks: Iterator[Block],
    *,
    numbers: dict[str, str],
    others: dict[str, Callable[[Block], Column]],
    need: tuple[str, ...] = (),
) -> Gathered:
    """Columns of all blocks joined: `numbers` by our name and the file's, `others` by a function of a block.

    Raises DataError where a column of `need` or `numbers` is not there, or a cell is not what it should be.
    """
    decimals_parts: dict[str, list[Decimals]] = {name: [] for name in numbers}
    parts: dict[str, list[Column]] = {name: [] for name in ("line", *others)}
    origins: list[Origin] = []
    for block in blocks:
        absent = [name for name in (*need, *numbers.values()) if name not in block]
        if absent:
            raise block.origin.whole(
                f"has the columns {', '.join(block.layout.positions)}; I find none for {', '.join(absent)}",
                "a file of this kind",
                "check `kind`, `format` and `path`",
            )
        for name, column in numbers.items():
            decimals_parts[name].append(block.numbers(column))
        for name, read in others.items():
            parts[name].append(read(block))
        parts["line"].append(block.lines)
        origins.append(block.origin)
    return Gathered(
        {name: _joined(name, column, origins) for name, column in decimals_parts.items()},
        {name: np.concatenate(column) for name, column in parts.items()},
    )


def _joined(name: str, columns: list[Decimals], origins: list[Origin]) -> Decimals:
    """The blocks of one column at one scale. Raises DataError where a number does not fit beside finer ones."""
    scale = max(column.scale for column in columns)
    out = []
    for column, origin in zip(columns, origins, strict=True):
        try:
            out.append(column.at_scale(scale))
        except BadCell as cell:
            raise origin.cell(name, cell) from None
    return Decimals(np.concatenate(out), scale)


def separator_of(line: bytes) -> str:
    """Comma, semicolon or tab: whichever stands there most."""
    text = line.decode("utf-8", "replace")
    return max(",;\t", key=text.count)


def fields_of(line: bytes) -> list[str]:
    """The fields of one line, quotes taken off."""
    text = line.decode("utf-8", "replace").strip()
    return [field.strip().strip('"').strip() for field in text.split(separator_of(line))]


def headed(fields: list[str], line: bytes) -> Layout:
    """The layout of a file whose first line names its columns (lower case)."""
    return Layout(separator_of(line), True, {name.lower(): at for at, name in enumerate(fields)}, len(fields))


def _ragged(text: bytes, layout: Layout, origin: Origin) -> DataError:
    """The first line whose number of fields is not that of the first row."""
    separator = layout.separator.encode()
    for index, line in enumerate(text.split(b"\n")):
        if (count := line.count(separator) + 1) != layout.fields:
            found = f"{count} fields" if line.strip() else "a blank line"
            return origin.whole(
                f"line {origin.first + index} has {found}",
                f"{layout.fields} fields, as in the first line",
                "correct the row (was the file cut short?)",
            )
    raise AssertionError("a block is ragged only where a line is")
