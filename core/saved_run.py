"""A run that leaves a folder: made once its data is loaded, finished however the run ended.

saved = SavedRun(plan, results, mode="backtest")
engine = compose(plan, journal_path=saved.open)
…
saved.finish("complete", engine.parts.run)
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from core.plan import Plan
from core.report.manifest import fields_after, fields_before
from core.report.run_folder import RunFolder, Status
from core.result import RunResult, make_result, write_result
from core.run_parts import RunParts

JOURNAL = "journal.msgpack"


class SavedRun:
    """The folder of one run, from before its first event to its manifest."""

    def __init__(self, plan: Plan, results: Path | None = None, *, mode: str, argv: list[str] | None = None) -> None:
        """`results` is the folder of all runs; None: the config's `run.results`."""
        self._plan = plan
        self._results = results if results is not None else Path(plan.config.run.results)
        self._mode = mode
        self._argv = argv or []
        self._began = time.perf_counter()  # tidy: wall seconds of the manifest, no result depends on it
        self._loaded = self._began
        self.folder: RunFolder | None = None
        """None until the data is loaded: what cannot start leaves nothing behind."""

    def open(self) -> Path:
        """Make the folder; returns where its journal goes. Called when the data is loaded. Raises UsageError."""
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
        fields: dict[str, Any] = {} if error is None else {"error": error}
        try:
            result = make_result(parts, complete=status == "complete", status=status)
            write_result(result, self.folder)
        except Exception as problem:
            self.folder.finish("failed", {**fields, "error": error or str(problem) or type(problem).__name__})
            raise
        fields |= fields_after(parts, self.folder.path / JOURNAL)
        done = time.perf_counter()  # tidy: wall seconds of the manifest, no result depends on it
        fields["wall_seconds"] = {
            "load": round(self._loaded - self._began, 3),
            "run": round(ran - self._loaded, 3),
            "report": round(done - ran, 3),
        }
        self.folder.finish(status, fields)
        return result

    def abandon(self, error: str) -> None:
        """The folder was made and then nothing could be run: the manifest says why."""
        assert self.folder is not None, "abandon comes after open"
        self.folder.finish("failed", {"error": error})
