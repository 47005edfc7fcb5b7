"""Text inside plain files, gz, zip and zst: told by the first bytes, not by the name; read in blocks of whole lines."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from adapters.columns import Origin
from core.errors import DataError

BLOCK_BYTES = 4_000_000
"""Read at a time: large enough for numpy, small enough that a year of minutes never stands in memory as text."""
HEAD_BYTES = 65_536
CSV_ENDINGS = (".csv", ".txt")
TEXT_ENDINGS = (*CSV_ENDINGS, ".json", ".jsonl", ".data", ".log", ".dat")
UNREAD = {
    b"BZh": ("is packed as bz2", "unpack it, or pack it as gz or zip"),
    b"\xfd7zX": ("is packed as xz", "unpack it, or pack it as gz or zip"),
    b"7z\xbc\xaf": ("is packed as 7z", "unpack it, or pack it as gz or zip"),
    b"Rar!": ("is packed as rar", "unpack it, or pack it as gz or zip"),
    b"\xff\xfe": ("is UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("is UTF-16", "save it as UTF-8"),
}
"""What a text cannot begin with, and what to do about it."""
DAMAGED = (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError)
"""What unpacking raises where an archive is cut short or spoiled."""


@contextmanager
def opened(path: Path, origin: Origin, *, endings: tuple[str, ...] = CSV_ENDINGS) -> Iterator[IO[bytes]]:
    """The text inside, whatever it is wrapped in. `endings`: the names that count in a zip.

    Raises DataError where a zip holds not exactly one such file or the wrapping is damaged, also while it is read.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if magic[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=raw) as text:
                    yield text  # type: ignore[misc]  # GzipFile reads like any binary file
            elif magic in (b"PK\x03\x04", b"PK\x05\x06"):
                with _zip_member(raw, origin, endings) as text:
                    yield text
            elif magic == b"\x28\xb5\x2f\xfd":
                with _zstandard(path) as text:
                    yield text
            else:
                for beginning, (found, remedy) in UNREAD.items():
                    if magic.startswith(beginning):
                        raise origin.whole(found, "text in UTF-8, plain or in gz, zip or zst", remedy)
                yield raw
    except DAMAGED as error:
        raise _damaged(origin, error) from error


def _damaged(origin: Origin, error: Exception) -> DataError:
    return origin.whole(f"is damaged or cut short ({error})", "a complete archive", "fetch the file again")


def head(path: Path, origin: Origin) -> bytes:
    """The first bytes of the text inside (of a zip: of its first text), for telling what it is. Raises DataError."""
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                inside = [item for item in archive.infolist() if item.filename.lower().endswith(TEXT_ENDINGS)]
                if len(inside) > 1 and not inside[0].flag_bits & 1:
                    with archive.open(inside[0]) as text:
                        return text.read(HEAD_BYTES)
        except DAMAGED as error:
            raise _damaged(origin, error) from error
    with opened(path, origin, endings=TEXT_ENDINGS) as stream:
        return stream.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")


def blocks(stream: IO[bytes], size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Whole lines, about `size` bytes at a time, each block ending in a newline; CRLF becomes LF."""
    rest = b""
    while piece := stream.read(size):
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


def without_tail(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks that hold rows; blank lines at the very end of the file are no rows."""
    held = b""
    for block in parts:
        if held:
            yield held
        held = block
    held = held.rstrip()
    if held:
        yield held + b"\n"


@contextmanager
def _zip_member(raw: IO[bytes], origin: Origin, endings: tuple[str, ...]) -> Iterator[IO[bytes]]:
    """The one text in a zip."""
    what = "CSV" if endings == CSV_ENDINGS else "text"
    with zipfile.ZipFile(raw) as archive:
        inside = [item for item in archive.infolist() if item.filename.lower().endswith(endings)]
        inside = [item for item in inside if not item.filename.startswith("__MACOSX")]
        if len(inside) != 1:
            names = ", ".join(item.filename for item in archive.infolist()[:5]) or "nothing"
            raise origin.whole(
                f"is a zip with {len(inside)} {what} files (it holds {names})",
                f"exactly one {what} inside",
                "unpack it and point `path` to the file you mean",
            )
        if inside[0].flag_bits & 1:
            raise origin.whole("is a zip with a password", "an open zip", f"unpack it and point `path` to the {what}")
        with archive.open(inside[0]) as text:
            yield text


@contextmanager
def _zstandard(path: Path) -> Iterator[IO[bytes]]:
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression="zstd") as stream, io.BufferedReader(stream) as text:
            yield text
    except (pa.ArrowException, OSError) as error:
        raise EOFError(str(error).partition("\n")[0]) from error
