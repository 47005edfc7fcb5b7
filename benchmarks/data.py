"""What the cache costs: reading it, starting from it, and running a tape that is longer than memory.

    python benchmarks/data.py [FOLDER]

Everything is made from a seed in FOLDER (default: a temporary one) and measured in processes of its own:

- `read`: ten million trades in the cache, every row and column in windows, against pyarrow's `read_table` of the same
  files; also with every file compared with its checksum first, as a run does before it begins. The three read in turns,
  and what is told are the medians of the turns' ratios: a noisy moment of the machine is everybody's. pyarrow holds a
  file's columns at once and unpacks all six; ours hands out windows, and where both times are one unpacks it once.
- `start`: a year of minute bars in the cache, from the start of the program to the first event.
- `memory`: a run that is called on every trade, over half a million and over five million of them: peak memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adapters.cache import Shelf
from adapters.columns import Bars, Origin, bars_tape
from adapters.decimals import Decimals
from adapters.tapes.tape_file import GROUP_ROWS, open_tape, write_tape
from core.moments import DAY_NS
from core.tape import Tape

START = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z."""
MINUTE = 60_000_000_000
TRADES_A_DAY = 2_500_000
READ_DAYS = 4
TURNS = 31
STARTS = 7
CONFIG = """
run: {{name: bench, seed: 7}}
venue: {{name: binance-usdm}}
account: {{balances: {{USDT: "100000"}}, leverage: 5}}
instruments: {{BTCUSDT: {{tick: "0.1", step: "0.001", base: BTC}}}}
data: [{{symbol: BTCUSDT, kind: trades, source: {{kind: file, path: {path}}}}}]
strategies:
  - {{name: ticks, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT], hears: [trades]}}
"""
BARS = """
run: {{name: bench, seed: 7, cache: {root}}}
venue: {{name: binance-usdm}}
account: {{balances: {{USDT: "100000"}}, leverage: 5}}
instruments: {{BTCUSDT: {{tick: "0.1", step: "0.001", base: BTC}}}}
data:
  - symbol: BTCUSDT
    kind: bars
    interval: 1m
    source: {{kind: binance, start: 2024-01-01, end: 2024-12-31}}
strategies:
  - {{name: ema, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT]}}
"""


# --- what is measured -----------------------------------------------------------------------------------------------


def trades_of(first: int, count: int, span_ns: int) -> Tape:
    """A random walk of prints, as dense as they come."""
    rng = np.random.default_rng(first)
    at = first + np.sort(rng.integers(0, span_ns, count))
    columns = {
        "ts_venue": at,
        "ts": at.copy(),
        "price": 600_000 + np.cumsum(rng.integers(-2, 3, count)),
        "size": rng.integers(1, 5_000, count),
        "side": rng.choice(np.array([-1, 1], dtype=np.int8), count),
        "flags": np.zeros(count, dtype=np.int8),
    }
    return Tape(
        kind="trades",
        venue="binance-usdm",
        symbol="BTCUSDT",
        columns=columns,
        price_scale=1,
        size_scale=3,
        source="made up",
    )


def shelf_of(root: Path, kind: Any) -> Shelf:
    return Shelf(root, venue="binance-usdm", symbol="BTCUSDT", kind=kind, interval_ns=MINUTE if kind == "bars" else 0)


def made(folder: Path) -> None:
    """All files, once."""
    trades = shelf_of(folder, "trades")
    for day in range(READ_DAYS):
        since = START + day * DAY_NS
        if trades.missing(since, since + DAY_NS):
            trades.folder.mkdir(parents=True, exist_ok=True)
            trades.add([(trades_of(since, TRADES_A_DAY, DAY_NS), since, since + DAY_NS)])
    bars, end = shelf_of(folder, "bars"), START + 365 * DAY_NS
    if bars.missing(START, end):
        bars.folder.mkdir(parents=True, exist_ok=True)
        bars.add([(bars_of_a_year(), START, end)])
    for count in (500_000, 5_000_000):
        path = folder / f"trades.{count}.parquet"
        if not path.exists():
            write_tape(trades_of(START, count, count * 20_000_000), path)


def bars_of_a_year() -> Tape:
    rng = np.random.default_rng(1)
    times = START + np.arange(365 * 1440, dtype=np.int64) * MINUTE
    close = 600_000 + np.cumsum(rng.integers(-20, 21, len(times)))
    opened = np.concatenate((close[:1], close[:-1]))
    high, low = np.maximum(opened, close) + 5, np.minimum(opened, close) - 5
    bars = Bars(
        times=times,
        open=Decimals(opened, 1),
        high=Decimals(high, 1),
        low=Decimals(low, 1),
        close=Decimals(close, 1),
        volume=Decimals(rng.integers(1, 90_000, len(times)), 3),
    )
    return bars_tape(bars, venue="binance-usdm", symbol="BTCUSDT", interval_ns=MINUTE, origin=Origin("made up"))


# --- workers --------------------------------------------------------------------------------------------------------


def read(folder: Path) -> dict[str, Any]:
    """CPU and wall seconds of every reading, by reader; the files are in the system's cache for all of them."""
    import pyarrow.parquet as parquet

    end = START + READ_DAYS * DAY_NS
    files = [version.path for version in shelf_of(folder, "trades").versions()]

    def by_pyarrow() -> int:
        return sum(parquet.read_table(path).num_rows for path in files)

    def by_us(checked: bool) -> int:
        shelf = shelf_of(folder, "trades")
        if not checked:
            shelf.examined = lambda version: open_tape(version.path, proven=True)  # type: ignore[method-assign]
        return sum(len(window["ts"]) for part in shelf.parts(START, end) for window in part.chunks(GROUP_ROWS))

    readers: dict[str, Callable[[], int]] = {
        "pyarrow": by_pyarrow,
        "as it is": lambda: by_us(checked=False),
        "checked first": lambda: by_us(checked=True),
    }
    times: dict[str, Any] = {name: {"cpu_s": [], "wall_s": []} for name in readers}
    for turn in range(-1, TURNS):  # the first one warms up
        for name, reader in readers.items():
            wall, cpu = time.perf_counter(), time.process_time()
            rows = reader()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if turn >= 0:
                times[name]["wall_s"].append(wall)
                times[name]["cpu_s"].append(cpu)
    return {"rows": rows, "times": times}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The median of the ratios of each turn, and between what half of them lie."""
    low, median, high = statistics.quantiles([one / other for one, other in zip(ours, theirs, strict=True)], n=4)
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


async def start(folder: Path, began: float) -> dict[str, Any]:
    """Seconds at the first event: of the processor, and since `began`, when the process was asked for."""
    from core.compose import compose, read_plan

    seen: dict[str, float] = {}

    class Once:
        warmup = 0

        def generate_signals(self, market_data: Any, position_state: Any) -> None:
            if not seen:
                seen["cpu_s"] = time.process_time()
                seen["wall_s"] = time.monotonic() - began

    plan = read_plan("bench", text=BARS.format(root=folder))
    async with compose(plan, strategies={"ema": Once()}) as engine:
        await engine.run()
        rows = len(engine.parts.run.tapes[0])
    return {"rows": rows, **seen}


async def memory(path: Path) -> dict[str, Any]:
    """Peak memory of a run that is called on every trade and counts them."""
    from core.compose import compose, read_plan
    from core.result import make_result

    class Counting:
        warmup = 0
        calls = 0

        def generate_signals(self, market_data: Any, position_state: Any) -> dict[str, Any] | None:
            self.calls += 1
            return None if self.calls % 50_000 else {"target": "0.01" if self.calls % 100_000 else "0"}

    strategy = Counting()
    plan = read_plan("bench", text=CONFIG.format(path=path))
    async with compose(plan, strategies={"ticks": strategy}) as engine:
        before, cpu = _peak_mib(), time.process_time()
        await engine.run()
        cpu = time.process_time() - cpu
        running = _peak_mib()
        make_result(engine.parts.run)
    return {
        "calls": strategy.calls,
        "loaded_mib": before,
        "run_mib": running,
        "results_mib": _peak_mib(),
        "per_cpu_s": strategy.calls / cpu,
    }


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- together -------------------------------------------------------------------------------------------------------


def worker(*arguments: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, __file__, "worker", *arguments], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(folder: Path) -> None:
    worker("make", str(folder))
    found = worker("read", str(folder))
    theirs = found["times"].pop("pyarrow")
    print(f"reading {found['rows']:,} cached trades, relative to pyarrow reading the same files: "
          f"medians of {TURNS} turns (and half of them)")  # fmt: skip
    for reader, ours in found["times"].items():
        cpu, wall = (ratios(ours[what], theirs[what]) for what in ("cpu_s", "wall_s"))
        row_ns = statistics.median(ours["cpu_s"]) / found["rows"] * 1e9
        print(f"  {reader:<15}{cpu} CPU   {wall} wall   {row_ns:.0f} ns of CPU a row")
    starts = [worker("start", str(folder), str(time.monotonic())) for _ in range(STARTS)]
    first = min(starts, key=lambda one: one["wall_s"])
    print(f"{first['rows']:,} minute bars from the cache to the first event: {first['wall_s']:.2f} s wall, "
          f"{first['cpu_s']:.2f} s CPU, program start included")  # fmt: skip
    short, long = (worker("memory", str(folder / f"trades.{count}.parquet")) for count in (500_000, 5_000_000))
    print("a run called on every trade of a stored tape, peak memory in MiB")
    for told in (short, long):
        print(f"  {told['calls']:>9,} trades: {told['run_mib']:.0f} running, {told['results_mib']:.0f} with results, "
              f"{told['per_cpu_s']:,.0f} trades a CPU second")  # fmt: skip
    print(f"  ten times the tape: {long['run_mib'] / short['run_mib']:.2f} times the memory")


def work(name: str, place: str, began: str = "") -> Any:
    path = Path(place)
    match name:
        case "make":
            path.mkdir(parents=True, exist_ok=True)
            made(path)
            return {}
        case "read":
            return read(path)
        case "start":
            return asyncio.run(start(path, float(began)))
    return asyncio.run(memory(path))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        print(json.dumps(work(*sys.argv[2:])))
    elif len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
