"""Files of the user's into tapes, file by file: what a run then reads as it goes on, whatever its length."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from adapters.files import FileHistory, files_named
from adapters.tapes.tape_file import open_tape, write_tape
from core.errors import DataError, UsageError
from core.tape import Rows

ENDINGS = (".gz", ".zip", ".zst", ".csv", ".json", ".data", ".dat", ".txt", ".feather", ".parquet")
"""What is left off a file's name, repeatedly, to name its tape."""
LARGE_BYTES = 1_000_000_000
"""Of such a file it is told what reading it takes: a CSV of prints needs twice its size (measured: 75 bytes a row)."""
LOG = logging.getLogger("anyclock")


class Converted(NamedTuple):
    """A tape, and what of."""

    source: Path
    target: Path
    tape: Rows
    is_new: bool
    """False where an earlier command wrote the same rows."""


def converted(history: FileHistory, folder: Path) -> Iterator[Converted]:
    """Write each of the files as a tape of its name into the folder. One file at a time is in memory.

    Raises UsageError before anything is written, or where a tape of other rows has that name already; DataError where a
    file cannot be read or written.
    """
    for source, target in _targets(files_named(history.settings.path), folder):
        if source.is_file() and source.stat().st_size > LARGE_BYTES:
            LOG.warning(
                "%s is read whole before it is written, in about twice as much memory as it has as text; where that is "
                "too much cut it by lines, each part with the header, and name the parts with --files",
                source,
            )
        tape = history.read_file(source)
        is_new = not target.exists()
        if is_new:
            write_tape(tape, target)
        else:
            _check_same(tape, source, target)
        yield Converted(source, target, tape, is_new)


def _check_same(tape: Rows, source: Path, target: Path) -> None:
    """Raises UsageError where the tape that an earlier command wrote has other rows."""
    try:
        kept = open_tape(target)
        kept.verify()
    except DataError as error:
        raise UsageError(f"{error}, or remove it: {source} would become {target}") from error
    if kept.tape_id != tape.tape_id:
        raise UsageError(
            f"{target} is there already, made of {kept.source} ({kept.venue}), with other rows than {source} "
            f"({tape.venue}); choose another folder with --out, or remove it"
        )


def _targets(sources: Sequence[Path], folder: Path) -> list[tuple[Path, Path]]:
    """Where the tape of each file goes. Raises UsageError where that is one of the files, or the place of two tapes."""
    originals = {path.resolve() for path in sources}
    taken: dict[Path, Path] = {}
    for source in sources:
        target = folder / f"{_stem(source.name)}.parquet"
        if target.resolve() in originals:
            raise UsageError(f"{target} is a file to be read: choose another folder with --out")
        if target in taken:
            raise UsageError(
                f"{taken[target]} and {source} would both become {target}: read them in two commands with two folders"
            )
        taken[target] = source
    return [(source, target) for target, source in taken.items()]


def _stem(name: str) -> str:
    while name.endswith(ENDINGS) and "." in name.strip("."):
        name = name.rpartition(".")[0]
    return name
