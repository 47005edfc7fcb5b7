"""Files of the user's into tapes, file by file: what a run then reads as it goes on, whatever its length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from adapters.files import FileHistory, files_named
from adapters.tape_file import write_tape
from core.errors import UsageError
from core.tape import Rows

ENDINGS = (".gz", ".zip", ".zst", ".csv", ".json", ".data", ".dat", ".txt", ".feather", ".parquet")
"""What is left off a file's name, repeatedly, to name its tape."""


class Converted(NamedTuple):
    """A tape that was written, and what of."""

    source: Path
    target: Path
    tape: Rows


def converted(history: FileHistory, folder: Path) -> Iterator[Converted]:
    """Write each of the files as a tape of its name into the folder. One file at a time is in memory.

    Raises UsageError before anything is written, DataError where a file cannot be read or written.
    """
    for source, target in _targets(files_named(history.settings.path), folder):
        tape = history.read_file(source)
        write_tape(tape, target)
        yield Converted(source, target, tape)


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
