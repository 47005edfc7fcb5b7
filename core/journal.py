"""The journal: what happened, in order, in a file that says itself whether it is whole.

A record is `length u32 | crc32 u32 | msgpack`, little endian, after a file header. Handlers encode and append; a writer
thread owns the file. `events_sha256` is the digest of all order and account events: equal for equal runs, in any
process. A backtest's journal holds signals, commands, order, account and timer events; market data is named by tape
hash in its head.
"""

from __future__ import annotations

import hashlib
import queue
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, compress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from core.atomic_file import refused
from core.errors import DataError
from core.events import Event

MAGIC = b"anyclock journal 1\n"
HEAD = struct.Struct("<II")
BATCH = 1024
"""Events encoded and handed to the writer at once: one queue hand-over per batch, not per event."""
SEGMENT_MAXIMUM = 64 * 1024 * 1024
"""Bytes of one file; the next opens with a snapshot."""
RECORD_MAXIMUM = 64 * 1024 * 1024
"""A length above this is damage, not a record."""
SEARCHED = 65_536
"""Bytes behind a bad record that are searched for a good one: an event's record has hundreds."""


class Journal:
    """Hears events, keeps the digest, and writes records where a path was given.

    Events are frozen, so they are only collected as they come and encoded many at a time: `collect` is a list's own
    append. What starts a chain of events (signals, cancels, amends, timers) comes to `on_batch`, which looks at the
    heap's size.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        counted: Iterable[type[Event]],
        head: dict[str, Any] | None = None,
        snapshot: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._counted = frozenset(counted)
        """Types that are part of `events_sha256`: order and account events."""
        self._events: list[Event] = []
        self.collect: Callable[[Event], None] = self._events.append
        """The handler of every event that is to be recorded."""
        self._digest = hashlib.sha256()
        self.events = 0
        """Order and account events heard so far."""
        self.records = 0
        self._snapshot = snapshot
        self._segment_bytes = 0
        self._writer = None if path is None else _Writer(path)
        if head is not None and self._writer is not None:
            self._writer.put(frame([self._encode({"event": "head", **head})]))

    def on_batch(self, event: Event) -> None:
        """As `collect`, and encode what has been collected when there is enough of it."""
        self._events.append(event)
        if len(self._events) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Encode what has been collected; hand it to the writer and to the digest."""
        events, encode, counted = self._events, self._encode, self._counted
        if not events:
            return
        records = list(map(encode, events))
        digested = list(compress(records, map(counted.__contains__, map(type, events))))
        events.clear()
        self.events += len(digested)
        self.records += len(records)
        self._digest.update(b"".join(digested))
        if self._writer is None:
            return
        chunk = frame(records)
        self._segment_bytes += len(chunk)
        self._writer.put(chunk)
        if self._segment_bytes > SEGMENT_MAXIMUM and self._snapshot is not None:
            self._segment_bytes = 0
            self._writer.next_segment()
            self._writer.put(frame([encode({"event": "snapshot", **self._snapshot()})]))

    @property
    def events_sha256(self) -> str:
        """Digest over the encoded order and account events so far."""
        self.flush()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Write what is left and wait for the file. Raises DataError where it could not all be written."""
        try:
            self.flush()
        finally:
            if self._writer is not None:
                writer, self._writer = self._writer, None
                writer.close()


def frame(records: list[bytes]) -> bytes:
    """Length and checksum before each record."""
    heads = map(HEAD.pack, map(len, records), map(zlib.crc32, records))
    return b"".join(chain.from_iterable(zip(heads, records, strict=True)))


def segment_path(path: Path, number: int) -> Path:
    """`journal.msgpack`, then `journal-002.msgpack` and so on."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number:03d}{path.suffix}")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a run's journal, all segments, as mappings.

    A torn last record (a crash while writing) ends the iteration; damage before the end raises DataError with the
    byte where it begins.
    """
    number = 1
    while segment_path(path, number).exists() or number == 1:
        yield from _read_segment(segment_path(path, number))
        number += 1


def _read_segment(path: Path) -> Iterator[dict[str, Any]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the journal: {error.strerror}") from error
    if data[: len(MAGIC)] != MAGIC:
        raise DataError(f"{path}: not a journal of this program (its first bytes are {data[:16]!r})")
    at, decode = len(MAGIC), msgspec.msgpack.Decoder().decode
    while at < len(data):
        if at + HEAD.size > len(data):
            return
        length, crc = HEAD.unpack_from(data, at)
        record = data[at + HEAD.size : at + HEAD.size + length]
        torn = length <= RECORD_MAXIMUM and at + HEAD.size + length >= len(data)
        if len(record) < length or zlib.crc32(record) != crc:
            if torn and not _is_record_after(data, at):
                return
            raise DataError(f"{path}: damaged at byte {at}: checksum differs. Records before it are whole.")
        yield decode(record)
        at += HEAD.size + length


def _is_record_after(data: bytes, at: int) -> bool:
    """Whether a whole record begins behind `at`: then what stands at `at` was damaged, not torn off."""
    for start in range(at + 1, min(len(data) - HEAD.size, at + SEARCHED)):
        length, crc = HEAD.unpack_from(data, start)
        end = start + HEAD.size + length
        if 0 < length <= SEARCHED and end <= len(data) and zlib.crc32(data[start + HEAD.size : end]) == crc:
            return True
    return False


class _Writer:
    """Owns the file. One thread, one bounded queue: a full queue makes the run wait, nothing is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._segment = 1
        self._queue: queue.Queue[bytes | int | None] = queue.Queue(maxsize=256)
        self._error: DataError | None = None
        self._file: BinaryIO = self._open(path)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @staticmethod
    def _open(path: Path) -> BinaryIO:
        try:
            file = path.open("wb")
            file.write(MAGIC)
        except OSError as error:
            raise refused(path, error) from error
        return file

    def put(self, chunk: bytes) -> None:
        """Hand bytes over. Raises DataError where earlier ones could not be written."""
        if self._error is not None:
            raise self._error
        self._queue.put(chunk)

    def next_segment(self) -> None:
        self._queue.put(1)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep emptying, so that the run is never stuck on a full queue; `put` raises the error
            try:
                if isinstance(item, int):
                    self._file.close()
                    self._segment += 1
                    self._file = self._open(segment_path(self._path, self._segment))
                else:
                    self._file.write(item)
                    if self._queue.empty():  # a run that is killed now has at least what it handed over
                        self._file.flush()
            except OSError as error:
                self._error = self._refused(error)
            except DataError as error:
                self._error = error
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or self._refused(error)

    def _refused(self, error: OSError) -> DataError:
        told = refused(segment_path(self._path, self._segment), error)
        told.__cause__ = error
        return told
