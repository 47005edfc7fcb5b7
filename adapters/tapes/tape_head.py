"""What a tape's file says of its tape: one JSON value under the metadata of its schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from adapters.columns import Origin
from core.errors import DataError
from core.tape import Edges, Gap, Kind

SCHEMA_VERSION = 2
"""Changes with the columns, the head or their meaning; files of another version are refused."""
KEY = b"anyclock_tape"
"""Where the head stands in the schema's metadata."""
AGAIN = "write it again from its source (a file of the cache: python -m core.run data repair)"


class Head(msgspec.Struct, frozen=True):
    """What a tape is, apart from its rows."""

    schema_version: int
    kind: Kind
    venue: str
    symbol: str
    price_scale: int
    size_scale: int
    interval_ns: int
    source: str
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]
    tape_id: str
    max_disorder_ns: int
    rows: int
    edges: Edges
    lowest: int | None
    answered: tuple[tuple[int, int], ...] = ()
    """Of a file of the cache: the ranges [since, until) for which a venue has answered. What is missing inside of them
    it does not have."""
    one_time: bool = False
    """Whether `ts` is `ts_venue` in every row, as it is where no receipts were recorded: then one of them is read."""


def read_head(path: Path) -> Head:
    """What a file says of its tape. Raises DataError."""
    import pyarrow.parquet as parquet

    if not path.is_file():
        raise origin_of(path).whole("there is no such file", "a tape", "check `path`")
    with reading(path):
        metadata: dict[bytes, bytes] = parquet.read_schema(path).metadata or {}
    return head_of(metadata, path)


def is_tape(path: Path) -> bool:
    """Whether a Parquet file was written by `write_tape`. Raises DataError where it is no whole Parquet file."""
    import pyarrow.parquet as parquet

    with reading(path):
        return KEY in (parquet.read_schema(path).metadata or {})


def head_of(metadata: dict[bytes, bytes], path: Path) -> Head:
    """The head in the metadata of a schema. Raises DataError where there is none of this version."""
    if KEY not in metadata:
        raise origin_of(path).whole("is Parquet but no tape", "a file written by `write_tape`", "set `format`")
    try:
        version = _VERSION.decode(metadata[KEY]).schema_version
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_head(path, error) from error
    if version != SCHEMA_VERSION:
        raise origin_of(path).whole(f"is a tape of schema version {version}", f"version {SCHEMA_VERSION}", AGAIN)
    try:
        return _HEAD.decode(metadata[KEY])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_head(path, error) from error


class _Versioned(msgspec.Struct):
    schema_version: int = 0


# Made once: msgspec looks at a type's fields when it first meets it, and two threads must not do that at once.
_VERSION = msgspec.json.Decoder(_Versioned)
_HEAD = msgspec.json.Decoder(Head)


def _no_head(path: Path, error: Exception) -> DataError:
    return origin_of(path).whole(f"its head is not that of a tape ({error})", "a file written by `write_tape`", AGAIN)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What the Parquet library raises inside, as a DataError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise origin_of(path).whole(f"cannot be read as a tape ({first})", "a complete Parquet file", AGAIN) from error


def origin_of(path: Path) -> Origin:
    """The file, for errors about the whole of it."""
    return Origin(str(path))
