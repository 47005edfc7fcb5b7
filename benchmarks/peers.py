"""The peers of the benchmark: their environments, the rows all engines read, one measured process of theirs or ours.

Their scripts and the data generator are read from ../shared/bench where that folder exists; their packages are
installed into environments of their own under $BENCH_DIR (default: a folder in the temp directory).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT.parent / "shared" / "bench"
BENCH = Path(os.environ.get("BENCH_DIR") or Path(tempfile.gettempdir()) / "peer-bench")
DATA = Path(os.environ.get("BENCH_DATA") or BENCH / "bench-data")
PACKAGES = {
    "backtesting": "backtesting==0.6.6",
    "nautilus311": "nautilus_trader==1.221.0",
    "lrvx": "lrvx==0.11.0",
    "hftbacktest": "hftbacktest==2.4.4",
}
"""What each environment holds."""
HOUR_S = 3600


class Peer(NamedTuple):
    """Somebody to be compared with, and what the comparison has to show."""

    label: str
    environment: str
    script: Path
    arguments: tuple[str, ...]
    floor: float
    """Our rate over theirs that was asked for."""
    goal: float | None = None


def available(peer: Peer) -> bool:
    """Whether its scripts are here and its environment can be made; says so (once an environment) where it cannot."""
    if not PEERS.is_dir():
        return False
    if installed(peer.environment):
        return True
    print(f"{peer.label} is left out", file=sys.stderr)
    return False


def installed(environment: str) -> bool:
    """Whether a peer's package is there in an environment of its own, made on the first call; says so if it cannot."""
    python = python_of(environment)
    if python.exists():
        return True
    package = PACKAGES[environment]
    print(f"installing {package}", file=sys.stderr)
    folder = python.parent.parent
    made = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False).returncode == 0
    if made and subprocess.run([str(python), "-m", "pip", "install", "-q", package], check=False).returncode == 0:
        return True
    print(f"{package} could not be installed", file=sys.stderr)
    return False


def market(kind: str) -> Path:
    """The rows every engine reads, made on the first call: by the peers' generator, else by one of our own."""
    theirs = PEERS.is_dir()
    path = DATA / (f"{kind}.npz" if theirs else f"own_{kind}.npz")
    if not path.exists():
        print(f"making {path.name}", file=sys.stderr)
        DATA.mkdir(parents=True, exist_ok=True)
        if theirs:
            subprocess.run([sys.executable, str(PEERS / "gen_data.py"), kind], check=True, cwd=PEERS,
                           env=environ(PYTHONPATH=str(PEERS)))  # fmt: skip
        else:
            market_rows("make", kind, str(path))
    return path


def market_rows(*arguments: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "benchmarks/market_rows.py"), *arguments], check=True, cwd=ROOT,
                   env=environ())  # fmt: skip


def ours_once(worker: str, *arguments: str, **more: str) -> dict[str, Any]:
    """A run of ours in a process of its own; `more` is added to its environment."""
    return _once([sys.executable, str(ROOT / "benchmarks" / worker), *arguments], environ(**more), ROOT)


def python_of(environment: str) -> Path:
    """The interpreter that a peer's package is installed for."""
    return BENCH / "venvs" / environment / "bin" / "python"


def theirs_once(peer: Peer, *more: str) -> dict[str, Any]:
    command = [str(python_of(peer.environment)), "-W", "ignore", str(peer.script), *peer.arguments, *more]
    return _once(command, environ(PYTHONPATH=str(PEERS)), PEERS)


def prepared(peer: Peer, *arguments: str) -> None:
    """Let a peer's script write what its measured runs read."""
    subprocess.run([str(python_of(peer.environment)), "-W", "ignore", str(peer.script), *arguments], check=True,
                   env=environ(PYTHONPATH=str(PEERS)), cwd=PEERS)  # fmt: skip


def environ(**more: str) -> dict[str, str]:
    return dict(os.environ, BENCH_DIR=str(BENCH), BENCH_DATA=str(DATA), **{"PYTHONPATH": str(ROOT), **more})


def children_cpu_s() -> float:
    """CPU seconds of every process of ours that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _once(command: list[str], env: dict[str, str], folder: Path) -> dict[str, Any]:
    """Run a process to its end: its RESULT line, and CPU and wall seconds of the whole process. Exits without one."""
    wall, cpu = time.monotonic(), children_cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, timeout=HOUR_S, check=False)
    wall, cpu = time.monotonic() - wall, children_cpu_s() - cpu
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line[7:])
            return result | {"process_s": wall, "process_cpu_s": cpu, "said": done.stdout}
    raise SystemExit(f"{' '.join(command)} gave no result:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")
