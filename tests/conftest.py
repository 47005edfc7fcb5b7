"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: how long an example takes depends on who else uses the machine, and no test here is about that.
# CI draws the same examples every time, so that a change is judged by what it did and not by its luck.
settings.register_profile("desk", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded data and contract examples beside the repository; skips where it was not laid out."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the recorded data in ../shared, which is not beside this repository")
    return folder


@pytest.fixture(scope="session")
def soak_seconds() -> float:
    """How long a test marked `soak` may run, seconds: set by `make soak SOAK_SECONDS=...`, 60 where it is not."""
    return float(os.environ.get("ANYCLOCK_SOAK_SECONDS", "60"))
