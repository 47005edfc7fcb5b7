"""A run that leaves a folder: made once its data is loaded, finished however the run ended.

saved = SavedRun(plan, results, mode="backtest")
engine = compose(plan, journal_path=saved.open)
…
saved.finish("complete", engine.parts.run)
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from core.errors import DataError
from core.market.price_paths import price_paths
from core.plan import Plan
from core.report.manifest import fields_after, fields_before
from core.report.run_folder import RunFolder, Status
from core.result import RunResult, make_result, write_result
from core.run_parts import RunParts

JOURNAL = "journal.msgpack"
CUT_OFF = "stopped at once by a second signal: no results were written, and the journal may lack its end"


class SavedRun:
    """The folder of one run, from before its first event to its manifest."""

    def __init__(
        self,
        plan: Plan,
        results: Path | None = None,
        *,
        mode: str,
        argv: list[str] | None = None,
        started_in: Path | None = None,
    ) -> None:
        """`results` is the folder of all runs; None: the config's `run.results`.

        A relative one lies in `started_in` (None: the working directory of now), wherever a strategy goes later.
        """
        self._plan = plan
        self._given = results if results is not None else Path(plan.config.run.results)
        self._results = (started_in or Path.cwd()) / self._given
        self._mode = mode
        self._argv = argv or []
        self._began = time.perf_counter()  # tidy: wall seconds of the manifest, no result depends on it
        self._loaded = self._began
        self.folder: RunFolder | None = None
        """None until the data is loaded: what cannot start leaves nothing behind."""

    @property
    def shown(self) -> Path | None:
        """The folder as the user would name it: below the results as they were given."""
        return None if self.folder is None else self._given / self.folder.path.name

    def open(self) -> Path:
        """Make the folder; returns where its journal goes. Called when the data is loaded.

        Raises UsageError where the folder cannot be made, DataError where it cannot be written to.
        """
        now = time.time_ns()  # tidy: names the folder and dates the manifest, no result depends on it
        self._loaded = time.perf_counter()  # tidy: wall seconds of the manifest, no result depends on it
        folder = RunFolder.create(self._results, self._plan.config.run.name, now, self._plan.digest[:8])
        folder.manifest.update(fields_before(self._plan, mode=self._mode, argv=self._argv))
        self.folder = folder
        return folder.path / JOURNAL

    def finish(self, status: Status, parts: RunParts, *, error: str | None = None) -> RunResult:
        """Measure the run and write its files, manifest last.

        Of a run that is not complete the results so far are written. Raises InvariantBroken or DataError where that
        cannot be done; whatever went wrong, the manifest then says `failed` and why.
        """
        assert self.folder is not None, "finish comes after open"
        ran = time.perf_counter()  # tidy: wall seconds of the manifest, no result depends on it
        fields: dict[str, Any] = {} if error is None else {"error": self._as_given(error)}
        try:
            result = make_result(parts, complete=status == "complete", status=status)
            paths = list(price_paths(parts, result.record.trades, result.record.end))
            write_result(result, self.folder, paths)
            fields |= self._fields_after(parts)
        except Exception as problem:
            try:
                self.abandon(error or str(problem) or type(problem).__name__)
            except DataError as another:
                problem.add_note(str(another))  # the first one is the one to read
            raise
        done = time.perf_counter()  # tidy: wall seconds of the manifest, no result depends on it
        fields["wall_seconds"] = {
            "load": round(self._loaded - self._began, 3),
            "run": round(ran - self._loaded, 3),
            "report": round(done - ran, 3),
        }
        self.folder.finish(status, fields)
        return result

    def abandon(self, error: str) -> None:
        """The folder was made and then nothing could be run or written: the manifest says why. Raises DataError."""
        assert self.folder is not None, "abandon comes after open"
        self.folder.finish("failed", {"error": self._as_given(error)})

    def cut_off(self) -> str:
        """The process is about to end, wherever the run is: say so in the manifest, and return a sentence about it.

        A manifest that tells already how the run ended keeps that word: then everything else was written before.
        """
        if self.folder is None:
            return "interrupted at once: nothing was written"
        manifest = self.folder.manifest
        status: Status = "interrupted" if manifest["status"] == "running" else manifest["status"]
        fields = {} if status != "interrupted" else {"error": CUT_OFF}
        try:
            self.folder.finish(status, fields)
        except DataError as error:
            return f"interrupted at once: {self.shown}  (still marked running: {error})"
        return f"interrupted at once: {self.shown}  (marked {status})"

    def _fields_after(self, parts: RunParts) -> dict[str, Any]:
        assert self.folder is not None
        journal = self.folder.path / JOURNAL
        try:
            return fields_after(parts, journal)
        except OSError as error:
            raise DataError(f"{journal}: cannot be read again ({error.strerror or error})") from error

    def _as_given(self, text: str) -> str:
        """Without the place the program was started in, which is nobody's concern but this machine's."""
        return text.replace(f"{self._results}{os.sep}", f"{self._given}{os.sep}")
