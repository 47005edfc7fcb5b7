"""A download that is killed at any line, and several at once: nothing twice, nothing missing, nothing half."""

from __future__ import annotations

import ast
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.kept.cache_periods import union
from core.moments import DAY_NS
from core.tape import Kind
from fake_fetcher import MAY_4, MINUTE, FakeFetcher, loaded, rows_in

REPOSITORY = Path(__file__).resolve().parent.parent
START, DAYS = MAY_4 + 300 * MINUTE, 4
SECONDS = 60
"""A download takes one; more is a hang."""


def download(root: Path, kind: Kind, line: int = 0) -> subprocess.Popen[str]:
    program = [sys.executable, str(REPOSITORY / "tests" / "fake_fetcher.py"), str(root), kind, str(DAYS), str(line)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> tuple[str, int, list[tuple[int, int]]]:
    """(tape id, lines it took, what the venue was asked for)."""
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    tape_id, lines, asked = out.split(maxsplit=2)
    return tape_id, int(lines), ast.literal_eval(asked)


def killed(places: dict[Path, int], kind: Kind) -> None:
    """Start a download into each place and let it die at its line."""
    program = [sys.executable, str(REPOSITORY / "tests" / "fake_fetcher.py")]
    words = "".join(f"{place} {kind} {DAYS} {line}\n" for place, line in places.items())
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        program, input=words, env=environment, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(places), done.stderr


def check_kills(root: Path, kind: Kind, points: int, seed: int) -> None:
    """Kill downloads, go on in this process, compare with one that nobody disturbed."""
    whole, lines, _ = finished(download(root / "whole", kind))
    expected = rows_in(loaded(None, kind, START, MAY_4 + DAYS * DAY_NS))
    rng = random.Random(seed)
    places = {root / f"{point}": rng.randint(1, lines) for point in range(points)}
    killed(places, kind)
    for place, line in places.items():
        venue = FakeFetcher()
        tape = loaded(place, kind, START, MAY_4 + DAYS * DAY_NS, venue)
        assert rows_in(tape) == expected, f"killed at line {line} of {lines}"
        assert tape.tape_id == whole, f"killed at line {line} of {lines}"
        assert not any("set aside" in note or "renamed" in note for note in tape.notes), f"line {line}: a half file"
        again = loaded(place, kind, START, MAY_4 + DAYS * DAY_NS, FakeFetcher(fails_after=0))
        assert again.tape_id == whole


@pytest.mark.parametrize("kind", ["trades", "bars"])
def test_downloads_killed_at_25_random_lines_are_completed_by_the_next(tmp_path: Path, kind: Kind) -> None:
    """Fifty points in all, the same each time; the soak has others."""
    check_kills(tmp_path, kind, 25, seed=20250504 + len(kind))


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["trades", "bars"])
def test_a_download_killed_at_fifty_random_lines_is_completed_by_the_next(tmp_path: Path, kind: Kind) -> None:
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")
    check_kills(tmp_path, kind, 50, seed)


def test_two_downloads_at_once_ask_for_each_row_once_and_end_with_the_same_tape(tmp_path: Path) -> None:
    """Started together on one folder: the lock makes one wait, and it finds what the other has kept."""
    kind: Kind = "trades"
    both = [download(tmp_path / "both", kind) for _ in range(2)]
    (one, _, first), (other, _, second) = (finished(process) for process in both)
    alone = loaded(tmp_path / "alone", kind, START, MAY_4 + DAYS * DAY_NS)
    assert one == other == alone.tape_id
    asked = [*first, *second]
    assert union(asked) == [(START, MAY_4 + DAYS * DAY_NS)]
    assert sum(until - since for since, until in asked) == MAY_4 + DAYS * DAY_NS - START


def test_a_download_beside_two_that_are_killed_has_every_row_once(tmp_path: Path) -> None:
    """Three at once on one folder; two die, at a third and at two thirds of the lines that one alone takes."""
    kind: Kind = "trades"
    whole, lines, _ = finished(download(tmp_path / "whole", kind))
    doomed = [download(tmp_path / "three", kind, lines * part // 3) for part in (1, 2)]
    tape_id, _, _ = finished(download(tmp_path / "three", kind))
    for process in doomed:
        process.communicate(timeout=SECONDS)
        assert process.returncode in (0, -signal.SIGKILL)  # 0: there was nothing left to do and to die of
    assert tape_id == whole
    again = loaded(tmp_path / "three", kind, START, MAY_4 + DAYS * DAY_NS, FakeFetcher(fails_after=0))
    assert again.tape_id == whole and not list(tmp_path.rglob("*.quarantine"))
