"""Files that are whole or absent: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from core.errors import DataError


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Replace `path` by the chunks, or leave it as it was.

    A process that is killed leaves at most `.<name>.tmp` beside it. Raises DataError where the disk says no.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        try:
            with open(temporary, "wb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise refused(path, error) from error


def overwrite(path: Path, content: bytes) -> None:
    """Replace what stands in `path` without asking the disk for room: in place, filled up with spaces.

    For the last words on a full disk. A power cut in between may leave half of either. Raises DataError where the
    content is longer than the file, or the disk still says no.
    """
    try:
        with open(path, "r+b") as file:
            room = file.seek(0, os.SEEK_END)
            if len(content) > room:
                raise DataError(f"cannot write {path}: {len(content)} bytes do not fit into the {room} that are there")
            file.seek(0)
            file.write(content.ljust(room))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise refused(path, error) from error


def refused(path: Path, error: OSError) -> DataError:
    """The one sentence about a file that cannot be written."""
    return DataError(
        f"cannot write {path}: {error.strerror or error}; make room there or choose another folder with --out"
    )


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable. Where folders cannot be opened (Windows) the file system does it alone."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
