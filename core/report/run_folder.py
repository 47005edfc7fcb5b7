"""The folder of one run: `<results>/<name>-<utc>-<id>/`, whose manifest tells from the first moment how far it got.

The manifest is written when the folder is made, with status `running`. Whoever finds that status later and no such
process knows that the run crashed and that the other files are not all there. It keeps room for its last words, so
that a run ended by a full disk can still say so.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from core.atomic_file import overwrite, sync_folder, write_atomically
from core.errors import DataError, UsageError
from core.moments import SECOND_NS
from core.plain_text import iso

Status = Literal["complete", "incomplete", "failed", "interrupted"]
"""How a run ended. Before that it is `running`; only `complete` means that every file is there the data whole."""

MANIFEST = "manifest.json"
NAME_LENGTH_MAX = 80
LAST_WORDS_BYTES = 4096
"""Size of the first manifest, filled up with spaces: one block of the usual file systems, taken anyway."""
ERROR_LENGTH_MAX = 500
"""Of an error that has to fit into them."""
SAME_NAME_MAX = 1000
"""How many runs of one name, second and id get a number of their own before something must be wrong."""


class RunFolder:
    """Made by `create`; every write is whole or absent."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def create(cls, results: Path, name: str, started_ns: int, run_id: str) -> RunFolder:
        """Make a new folder under `results` and its manifest. `started_ns` is the wall time, int nanoseconds UTC.

        Names are reduced to letters, digits, `.`, `_` and `-`, so that none leads out of `results`. Raises UsageError
        where the folder cannot be made, DataError where it cannot be written to.
        """
        second = str(np.datetime64(started_ns // SECOND_NS, "s")).replace("-", "").replace(":", "")
        wanted = f"{_safe(name, 'run')}-{second}Z-{_safe(run_id, '0')}"
        path = _make(results, wanted)
        folder = cls(path, {"run": name, "id": run_id, "status": "running", "started": iso(started_ns),
                            "started_ns": started_ns})  # fmt: skip
        try:
            write_atomically(path / MANIFEST, [folder._encoded().ljust(LAST_WORDS_BYTES)])
        except DataError:
            with contextlib.suppress(OSError):  # an empty folder says nothing; the error below says all
                path.rmdir()
            raise
        return folder

    def write(self, name: str, content: bytes | Iterable[bytes]) -> Path:
        """Write one file of the run. Raises UsageError for a name that is a path, DataError where the disk says no."""
        if name != Path(name).name or name in ("", ".", ".."):
            raise UsageError(f"a run's file needs a plain name without folders, not `{name}`")
        path = self.path / name
        write_atomically(path, [content] if isinstance(content, bytes) else content)
        return path

    def finish(self, status: Status, manifest_fields: Mapping[str, Any]) -> None:
        """Write the final manifest, then let `latest` point here, however the run ended. The last thing to call.

        Raises DataError where the disk says no; even then the manifest tells, as long as its own bytes can be changed.
        """
        self.manifest.update(manifest_fields)
        self.manifest["status"] = status
        try:
            write_atomically(self.path / MANIFEST, [self._encoded()])
        except DataError as error:
            if status == "complete":  # not everything is there after all
                without_place = str(error).replace(f"{self.path.parent}{os.sep}", "")
                self.manifest |= {"status": "failed", "error": without_place}
            self._last_words()
            if status == "complete":
                raise
        _point_latest(self.path)

    def _encoded(self, *only: str) -> bytes:
        shown = {name: self.manifest[name] for name in only or self.manifest if name in self.manifest}
        return msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n"

    def _last_words(self) -> None:
        """Write the manifest into the bytes it has: all of it where it fits, else who it was and how it ended."""
        text = self._encoded()
        if len(text) > LAST_WORDS_BYTES:
            self.manifest["error"] = str(self.manifest.get("error", ""))[:ERROR_LENGTH_MAX]
            text = self._encoded("run", "id", "status", "started", "started_ns", "error")
        overwrite(self.path / MANIFEST, text)


def _safe(text: str, otherwise: str) -> str:
    """`text` as one part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:NAME_LENGTH_MAX] or otherwise


def _make(results: Path, wanted: str) -> Path:
    try:
        results.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, SAME_NAME_MAX + 1):
            path = results / (wanted if attempt == 1 else f"{wanted}-{attempt}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            sync_folder(results)
            return path
    except OSError as error:
        raise UsageError(
            f"cannot make a run folder in {results}: {error.strerror or error}; choose another one with --out"
        ) from error
    raise UsageError(f"{results} has {SAME_NAME_MAX} folders named {wanted} already; choose another --out")


def _point_latest(run: Path) -> None:
    """Replace `latest` beside the run by a link to it, or by a text file with its name where links are not allowed."""
    latest = run.parent / "latest"
    fresh = run.parent / f".latest-{run.name}"
    try:
        os.symlink(run.name, fresh, target_is_directory=True)
    except (OSError, NotImplementedError):
        write_atomically(latest, [run.name.encode(), b"\n"])
        return
    try:
        os.replace(fresh, latest)
    except OSError as error:
        fresh.unlink()
        raise DataError(f"cannot replace {latest}: {error.strerror or error}; move away what stands there") from error
