"""Speed and memory against the peers, in one run, as ratios: `make bench`.

    python benchmarks/run.py [--reps N] [--only ours] [--rows N]

The peers' scripts and the data generator are read from ../shared/bench where that folder exists; their packages are
installed into environments of their own under $BENCH_DIR (default: a folder in the temp directory). Without the folder
our own figures are printed on a synthetic market of the same size. Every run is a process of its own; ours and a peer's
take turns, because the speed of a shared machine wanders. Quote the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT.parent / "shared" / "bench"
BENCH = Path(os.environ.get("BENCH_DIR") or Path(tempfile.gettempdir()) / "peer-bench")
DATA = Path(os.environ.get("BENCH_DATA") or BENCH / "bench-data")

# label, environment, packages, script, arguments, which of our runs it is compared with, what the issue asks for
JOBS = [
    ("backtesting.py, trading", "backtesting", ["backtesting==0.6.6"], "backtesting_peer.py", ["w1"], "trade", 2.0),
    ("nautilus_trader, trading", "nautilus311", ["nautilus_trader==1.221.0"], "nautilus_peer.py", ["w1"], "trade", 6.0),
    (
        "nautilus_trader, no orders",
        "nautilus311",
        ["nautilus_trader==1.221.0"],
        "nautilus_peer.py",
        ["w1n"],
        "quiet",
        8.0,
    ),
    ("lrvx (C++ core), trading", "lrvx", ["lrvx==0.11.0"], "lrvx_peer.py", ["w1"], "trade", 1.0),
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--reps", type=int, default=3)
    options.add_argument("--only", default="")
    options.add_argument("--rows", type=int, default=1_000_000)
    asked = options.parse_args()
    bars = data(asked.rows)
    start_up()
    jobs = [job for job in JOBS if PEERS.is_dir() and asked.only in job[0] and environment(job[1], job[2])]
    rows: list[tuple[str, Any, Any, float]] = []
    for label, name, _, script, arguments, ours, wanted in jobs:
        pairs = []
        for turn in range(asked.reps):
            mine = ours_once(bars, ours)
            theirs = peer_once(name, script, arguments)
            pairs.append((mine, theirs))
            print(f"  {label} #{turn + 1}: ours {rate(mine):,.0f}/s, theirs {rate(theirs):,.0f}/s", file=sys.stderr)
        rows.append((label, [m for m, _ in pairs], [t for _, t in pairs], wanted))
    if not rows:
        for what in ("trade", "quiet"):
            results = [ours_once(bars, what) for _ in range(asked.reps)]
            rows.append((f"ours alone, {what}", results, [], 0.0))
    table(rows)
    print()
    subprocess.run([sys.executable, str(ROOT / "benchmarks/bars_worker.py"), str(bars), "stages", "100000"],
                   check=True, env=environ(), cwd=ROOT)  # fmt: skip


def data(rows: int) -> Path:
    """The bars every engine reads: the peers' generator where it is there, else a synthetic market."""
    path = DATA / "bars.npz"
    if path.exists():
        return path
    DATA.mkdir(parents=True, exist_ok=True)
    if PEERS.is_dir():
        subprocess.run([sys.executable, str(PEERS / "gen_data.py"), "bars"], check=True,
                       env=environ(PYTHONPATH=str(PEERS)), cwd=PEERS)  # fmt: skip
        return path
    import numpy as np

    draw = np.random.default_rng(1)
    close = np.round(50_000 * np.exp(np.cumsum(draw.standard_normal(rows) * 8e-4)), 2)
    opens = np.concatenate(([50_000.0], close[:-1]))
    wicks = np.round(np.abs(draw.standard_normal((2, rows))) * 20, 2)
    np.savez(path, ts_ms=1_640_995_200_000 + np.arange(rows) * 60_000, open=opens, close=close,
             high=np.maximum(opens, close) + wicks[0], low=np.minimum(opens, close) - wicks[1],
             volume=np.round(np.exp(draw.normal(2.5, 0.8, rows)), 3))  # fmt: skip
    return path


def environment(name: str, packages: list[str]) -> bool:
    """Make a peer's environment once; False (and a line) where it cannot be installed."""
    folder = BENCH / "venvs" / name
    python = folder / "bin" / "python"
    if python.exists():
        return True
    print(f"installing {' '.join(packages)}", file=sys.stderr)
    made = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False).returncode == 0
    if made and subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=False).returncode == 0:
        return True
    print(f"{name} could not be installed: its rows are left out", file=sys.stderr)
    return False


def ours_once(bars: Path, what: str) -> dict[str, Any]:
    return once([sys.executable, str(ROOT / "benchmarks/bars_worker.py"), str(bars), what], environ(), ROOT)


def peer_once(name: str, script: str, arguments: list[str]) -> dict[str, Any]:
    command = [str(BENCH / "venvs" / name / "bin" / "python"), "-W", "ignore", str(PEERS / script), *arguments]
    return once(command, environ(PYTHONPATH=str(PEERS)), PEERS)


def once(command: list[str], env: dict[str, str], folder: Path) -> dict[str, Any]:
    """Run a process to its end; its RESULT line."""
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, timeout=1800, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line[7:])
            return result
    raise SystemExit(f"{' '.join(command)} gave no result:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")


def rate(result: dict[str, Any], *, results: bool = False) -> float:
    """Bars per CPU second of the engine, or of the engine and the results it makes afterwards (ours)."""
    spent = float(result["cpu_s"]) + (float(result.get("results_cpu_s", 0.0)) if results else 0.0)
    return float(result.get("rows") or result["n"]) / spent


def environ(**more: str) -> dict[str, str]:
    return dict(os.environ, BENCH_DIR=str(BENCH), **{"PYTHONPATH": str(ROOT), **more})


def start_up() -> None:
    """CPU seconds of `--help` and of a one-day run up to its end."""
    print("start-up, CPU seconds of the whole process (median of 5)")
    day = ["--set", "data[0].source.days=1", "--quiet", "--out", tempfile.mkdtemp(prefix="bench-runs-")]
    for label, arguments in (("--help", ["--help"]), ("quickstart, one day of bars, results written", day)):
        spent = []
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-m", "core.run", *arguments], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, env=environ(), cwd=ROOT)  # fmt: skip
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        print(f"  {label:<48} {statistics.median(spent):.2f}")


def table(rows: list[tuple[str, Any, Any, float]]) -> None:
    """Medians; the ratio is the median of the pairs' ratios."""
    print()
    print(
        f"1,000,000 one-minute bars, EMA 10/20 cross; bars per CPU second of the engine ({time.strftime('%Y-%m-%d')})"
    )
    print("Our trades, equity rows and summary are made after the engine's run: the second ratio has them in ours.")
    print("backtesting.py's figure holds its statistics, nautilus_trader's analysis is off.")
    print("| against | ours | theirs | ratio | with results | asked for | our fills, equity | our peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for label, mine, theirs, wanted in rows:
        ours = statistics.median(map(rate, mine))
        other = f"{statistics.median(map(rate, theirs)):,.0f}" if theirs else "-"
        ratio = statistics.median(rate(m) / rate(t) for m, t in zip(mine, theirs, strict=True)) if theirs else 0.0
        pairs = list(zip(mine, theirs, strict=True)) if theirs else []
        whole = statistics.median(rate(m, results=True) / rate(t) for m, t in pairs) if pairs else 0.0
        asked = f"{wanted:g}x" if wanted else "-"
        print(f"| {label} | {ours:,.0f} | {other} | {ratio:.2f}x | {whole:.2f}x | {asked} | {mine[0]['fills']:,}, "
              f"{float(mine[0]['equity']):,.2f} | {max(m['rss_mib'] for m in mine):.0f} |")  # fmt: skip


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"took {time.monotonic() - started:.0f} s", file=sys.stderr)
