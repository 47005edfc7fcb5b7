"""How a run ended, for people and for the shell."""

from __future__ import annotations

from typing import NamedTuple

from core.report.run_folder import Status
from core.result import RunResult


class Ending(NamedTuple):
    """What the command line tells of one run."""

    status: Status
    code: int
    """The exit code."""
    result: RunResult | None
    message: str
    """What stderr says; empty where there is nothing to add."""
    error: BaseException | None = None
