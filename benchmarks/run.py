"""Speed and memory against the peers, in one run, as ratios: `make bench`.

    python benchmarks/run.py [--reps N] [--only bars|ticks|books] [--rows N]

Every run is a process of its own; ours and a peer's take turns, because the speed of a shared machine wanders. A rate
is rows per CPU second of the engine alone; a ratio is the median of the ratios of the turns, ours over theirs, with the
floor asked for beside it. Quote the ratios. Progress goes to stderr, Markdown tables to stdout. Without the peers'
scripts in ../shared/bench our own figures are measured on a synthetic market of the same size.

`--rows` takes the first N rows of each market, to try the program out; the figures of a short run mean little.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# As a script it sees its own folder alone; its neighbours are imported from the repository.
sys.path.insert(0, str(ROOT))

from benchmarks import peers  # noqa: E402  # after the path is set
from benchmarks.peers import PEERS, Peer  # noqa: E402

Result = dict[str, Any]
SHORT = 500_000
"""Rows where a peer cannot hold more, and of the shorter of two runs whose memory is compared."""
COLD_COMPILE_MAXIMUM_S = 60
NAUTILUS, LRVX = PEERS / "nautilus_peer.py", PEERS / "lrvx_peer.py"
BOOK_PEER = ROOT / "benchmarks" / "book_peer.py"
# What is asked for, and the goals, are those of the project's brief for each workload.
BARS = (
    ("trade", Peer("backtesting.py, trading", "backtesting", PEERS / "backtesting_peer.py", ("w1",), 2.0)),
    ("trade", Peer("nautilus_trader 1.221, trading", "nautilus311", NAUTILUS, ("w1",), 6.0)),
    ("quiet", Peer("nautilus_trader 1.221, no orders", "nautilus311", NAUTILUS, ("w1n",), 8.0)),
    ("trade", Peer("lrvx (C++ core), trading", "lrvx", LRVX, ("w1",), 1.0)),
)
TICKS = (
    Peer("nautilus_trader 1.221", "nautilus311", NAUTILUS, ("w2",), 3.0),
    Peer("lrvx (C++ core)", "lrvx", LRVX, ("w2",), 1.0, 2.0),
)
SELDOM = (
    Peer("hftbacktest, ROI depth", "hftbacktest", BOOK_PEER, ("seldom", "roi"), 0.5, 1.0),
    Peer("hftbacktest, HashMap depth", "hftbacktest", BOOK_PEER, ("seldom", "hashmap"), 0.5, 1.0),
)
MAKER = (
    Peer("hftbacktest, jitted maker, ROI depth", "hftbacktest", BOOK_PEER, ("maker", "roi"), 1 / 8),
    Peer("hftbacktest, jitted maker, HashMap depth", "hftbacktest", BOOK_PEER, ("maker", "hashmap"), 1 / 8),
)
MAKER_SHORT = (Peer("nautilus_trader 1.221, L2, no queue model", "nautilus311", NAUTILUS, ("w3",), 10.0),)

BARS_WORDS = """
## Bars

{rows:,} one-minute bars, EMA 10/20 cross; bars per CPU second of the engine. Our trades, equity rows and summary are
made after the engine's run: the second ratio has them in ours. The figure of backtesting.py holds its statistics,
nautilus_trader's analysis is off.
"""
TICKS_WORDS = """
## Ticks

{rows:,} prints, a strategy called on each, a market order each 5,000; prints per CPU second of the engine. lrvx and
ours read their tape inside the run, nautilus_trader holds every tick before it.
"""
BOOKS_WORDS = """
## Books

Depth and prints; rows per CPU second of the engine. Ours is an ordinary Python object, with journal, exact ledger, risk
limits and explained fills; why the counts differ is told in `benchmarks/book_worker.py`.
"""
PROCESS_WORDS = """
CPU seconds of whole processes. Ours: results made, compile cache warm, Parquet tapes. hftbacktest compiles its strategy
in each process, and reads its rows in its own format.
"""


class Compared(NamedTuple):
    """One line of a table: our runs and a peer's, turn by turn; without a peer, ours alone."""

    what: str
    peer: Peer | None
    ours: list[Result]
    theirs: list[Result]

    @property
    def label(self) -> str:
        return "ours alone" if self.peer is None else self.peer.label

    def ratio(self, of: Callable[[Result], float]) -> str:
        if self.peer is None:
            return "-"
        return f"{statistics.median(of(m) / of(t) for m, t in zip(self.ours, self.theirs, strict=True)):.2f}x"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--reps", type=int, default=3, help="turns of each pair")
    options.add_argument("--only", choices=("bars", "ticks", "books"), help="one section")
    options.add_argument("--rows", type=int, help="the first N rows of each market")
    asked = options.parse_args()
    if asked.reps < 1 or (asked.rows is not None and asked.rows < 1):
        options.error("--reps and --rows take 1 or more")
    day, version = time.strftime("%Y-%m-%d", time.gmtime()), sys.version.split()[0]
    print(f"{day}, Python {version}, turns of each pair: {asked.reps}")
    if not PEERS.is_dir():
        print("The peers' scripts (../shared/bench) are not here: ours alone, on a synthetic market.")
    for name, section in (("bars", bars), ("ticks", ticks), ("books", books)):
        if asked.only in (None, name):
            section(asked.reps, asked.rows)


# --- sections -------------------------------------------------------------------------------------------------------


def bars(reps: int, rows: int | None) -> None:
    """One-minute bars, an EMA cross: trading and quiet."""
    path = str(peers.market("bars"))
    few = [] if rows is None else [str(rows)]
    start_up()
    lines: list[Compared] = []
    for what in ("trade", "quiet"):
        chosen = tuple(peer for kind, peer in BARS if kind == what)
        run = partial(peers.ours_once, "bars_worker.py", path, what, *few)
        lines += compared(what, chosen, reps, few, run, fresh=True)
    print(BARS_WORDS.format(rows=count(lines)))
    head = ("against", "ours", "theirs", "ratio", "with results", "asked for", "our fills, equity", "our peak MiB")
    table(head, ([
        f"{line.label}{'' if line.peer else f', {line.what}'}", *rates(line), line.ratio(whole_rate), floor(line.peer),
        f"{line.ours[0]['fills']:,}, {float(line.ours[0]['equity']):,.2f}", peak(line.ours),
    ] for line in lines))  # fmt: skip
    few = [str(min(rows or 100_000, 100_000))]
    print("\n" + peers.ours_once("bars_worker.py", path, "stages", *few)["said"].split("RESULT")[0])


def ticks(reps: int, rows: int | None) -> None:
    """A strategy called on every print."""
    path = str(peers.market("ticks"))
    few = [] if rows is None else [str(rows)]
    ours = ("ticks_worker.py", path)
    peers.market_rows("store", "ticks", path, *few)
    for peer in TICKS:
        if peer.environment == "lrvx" and peers.available(peer):
            theirs = peers.DATA / f"lrvx-ticks-{rows or 'all'}" / "DONE"
            if not theirs.exists():
                peers.prepared(peer, "tape_ticks", *(few or ["0"]))
    lines = compared("ticks", TICKS, reps, few, partial(peers.ours_once, *ours, *few), fresh=True)
    print(TICKS_WORDS.format(rows=count(lines)))
    head = ("against", "ours", "theirs", "ratio", "asked for", "goal", "fills: ours, theirs", "peak MiB: ours, theirs")
    table(head, ([
        line.label, *rates(line), floor(line.peer), goal(line.peer), both(line, "fills"),
        f"{peak(line.ours)}, {peak(line.theirs)}",
    ] for line in lines))  # fmt: skip
    memory("ticks", path, [("ticks", lines[0].ours[0], partial(peers.ours_once, *ours))])


def books(reps: int, rows: int | None) -> None:
    """Depth and prints: the kernel alone, the market maker, the whole process, memory, the maker by stage."""
    path = str(peers.market("l2"))
    few = [] if rows is None else [str(rows)]
    short = [str(min(rows or SHORT, SHORT))]
    for size in {*few, *short} if few else {None, *short}:
        peers.market_rows("store", "l2", path, *([] if size is None else [size]))
    if peers.available(SELDOM[0]):
        peers.prepared(SELDOM[0], "store", *few)
    peers.ours_once("book_worker.py", path, "seldom", *short)  # whatever was changed is compiled and cached now
    seldom, maker = (partial(peers.ours_once, "book_worker.py", path, what) for what in ("seldom", "maker"))
    held = partial(peers.ours_once, "book_worker.py", path, "seldom-held", *few)
    kernel = compared("two resting orders, rows in memory", SELDOM, reps, few, held, fresh=True)
    quiet = compared(
        "two resting orders, our rows read from disk", SELDOM, reps, few, partial(seldom, *few), fresh=True
    )
    making = compared("market maker each 100 ms", MAKER, reps, few, partial(maker, *few), fresh=False)
    slow = compared("market maker each 100 ms", MAKER_SHORT, reps, short, partial(maker, *short), fresh=True)
    print(BOOKS_WORDS)
    head = ("what", "against", "rows", "ours", "theirs", "ratio", "asked for", "goal",
            "ours: wakes, orders, fills", "theirs", "peak MiB: ours, theirs")  # fmt: skip
    table(head, ([
        line.what, line.label, f"{count([line]):,}", *rates(line), floor(line.peer), goal(line.peer),
        acts(line.ours), acts(line.theirs), f"{peak(line.ours)}, {peak(line.theirs)}",
    ] for line in kernel + quiet + making + slow))  # fmt: skip
    whole_process(quiet + making)
    cold_compile(path, short[0])
    kept = "market maker (its orders and fills are kept)"
    memory("l2", path, [("two resting orders", quiet[0].ours[0], seldom), (kept, making[0].ours[0], maker)])
    for label, what in (("The market maker", "maker-stages"), ("Two resting orders", "seldom-stages")):
        said = peers.ours_once("book_worker.py", path, what, *short)["said"].split("RESULT")[0]
        print(f"\n{label}, {said}")


def whole_process(lines: list[Compared]) -> None:
    """From the start of the interpreter to its end, with our compile cache warm."""
    print(PROCESS_WORDS)
    head = ("what", "against", "ours", "of it results", "theirs", "ratio of speed", "asked for", "wall: ours, theirs")
    table(head, ([
        line.what, line.label, median(line.ours, "process_cpu_s"), median(line.ours, "results_cpu_s"),
        median(line.theirs, "process_cpu_s"), line.ratio(lambda result: 1 / float(result["process_cpu_s"])),
        "1x" if line.peer else "-", f"{median(line.ours, 'process_s')}, {median(line.theirs, 'process_s')}",
    ] for line in lines))  # fmt: skip


def cold_compile(path: str, few: str) -> None:
    """What an empty compile cache adds to a whole process, once."""
    with tempfile.TemporaryDirectory() as empty:
        cold = peers.ours_once("book_worker.py", path, "seldom", few, NUMBA_CACHE_DIR=empty)["process_cpu_s"]
    added = cold - peers.ours_once("book_worker.py", path, "seldom", few)["process_cpu_s"]
    print(f"\nCompiling our kernel into an empty cache adds {added:.1f} CPU seconds, once for each version of it;")
    print(f"asked for: at most {COLD_COMPILE_MAXIMUM_S}.")


def memory(kind: str, path: str, runs: list[tuple[str, Result, Callable[[str], Result]]]) -> None:
    """Peak memory of a long run against a tenth of it: (what, the long run, how to run fewer rows)."""
    lines = []
    for what, long, run in runs:
        few = max(long["rows"] // 10, 1)
        peers.market_rows("store", kind, path, str(few))
        short = run(str(few))
        grown = (long["rss_mib"] - short["rss_mib"]) * 2**20 / max(long["rows"] - short["rows"], 1)
        sizes = (f"{short['rows']:,}", f"{short['rss_mib']:.0f}", f"{long['rows']:,}", f"{long['rss_mib']:.0f}")
        lines.append((what, *sizes, f"{grown:.1f}"))
    print("\nOur peak memory, MiB; asked for: flat in the length of the tape.\n")
    table(("what", "rows", "peak", "rows", "peak", "bytes for each further row"), lines)


def start_up() -> None:
    """CPU seconds of `--help` and of a one-day run up to its end."""
    print("\nStart-up, CPU seconds of the whole process (median of 5):\n")
    lines = []
    with tempfile.TemporaryDirectory() as runs:
        day = ["--set", "data[0].source.days=1", "--quiet", "--out", runs]
        for label, arguments in (("`--help`", ["--help"]), ("quickstart, one day of bars, results written", day)):
            spent = []
            for _ in range(5):
                before = peers.children_cpu_s()
                subprocess.run([sys.executable, "-m", "core.run", *arguments], check=True, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=peers.environ(), cwd=ROOT)  # fmt: skip
                spent.append(peers.children_cpu_s() - before)
            lines.append([label, f"{statistics.median(spent):.2f}"])
    table(("what", "CPU seconds"), lines)


# --- turns and tables -----------------------------------------------------------------------------------------------


def compared(
    what: str, against: tuple[Peer, ...], reps: int, few: list[str], run: Callable[[], Result], *, fresh: bool
) -> list[Compared]:
    """Ours and the peers' in turn, `reps` times over; ours alone where no peer is to be had.

    `fresh`: ours runs again for each peer, next to it in time; else one run of ours a turn is compared with all.
    """
    there = [peer for peer in against if peers.available(peer)]
    lines = [Compared(what, peer, [], []) for peer in there] or [Compared(what, None, [], [])]
    for turn in range(reps):
        mine: Result = {}
        for line in lines:
            if fresh or not mine:
                mine = run()
            line.ours.append(mine)
            said = f"  {what}, {line.label} #{turn + 1}: ours {rate(mine):,.0f}/s"
            if line.peer is not None:
                line.theirs.append(peers.theirs_once(line.peer, *few))
                said += f", theirs {rate(line.theirs[-1]):,.0f}/s"
            print(said, file=sys.stderr)
    return lines


def rate(result: Result) -> float:
    """Rows per CPU second of the engine."""
    return float(result.get("rows") or result["n"]) / float(result["cpu_s"])


def whole_rate(result: Result) -> float:
    """Rows per CPU second of the engine and of the results made after it (ours)."""
    return float(result.get("rows") or result["n"]) / (float(result["cpu_s"]) + float(result.get("results_cpu_s", 0.0)))


def rates(line: Compared) -> Iterator[str]:
    yield f"{statistics.median(map(rate, line.ours)):,.0f}"
    yield f"{statistics.median(map(rate, line.theirs)):,.0f}" if line.theirs else "-"
    yield line.ratio(rate)


def floor(peer: Peer | None) -> str:
    return "-" if peer is None else f"{peer.floor:g}x"


def goal(peer: Peer | None) -> str:
    return "-" if peer is None or peer.goal is None else f"{peer.goal:g}x"


def peak(results: list[Result]) -> str:
    return f"{max(result['rss_mib'] for result in results):.0f}" if results else "-"


def median(results: list[Result], key: str) -> str:
    return f"{statistics.median(float(result[key]) for result in results):.2f}" if results else "-"


def both(line: Compared, key: str) -> str:
    return f"{line.ours[0][key]:,}" + (f", {line.theirs[0][key]:,}" if line.theirs else "")


def acts(results: list[Result]) -> str:
    return ", ".join(f"{results[0][key]:,}" for key in ("wakes", "orders", "fills")) if results else "-"


def count(lines: list[Compared]) -> int:
    return int(lines[0].ours[0]["rows"])


def table(head: tuple[str, ...], lines: Iterable[Iterable[str]]) -> None:
    print(f"| {' | '.join(head)} |")
    print("|" + "---|" * len(head))
    for line in lines:
        print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"took {time.monotonic() - started:.0f} s", file=sys.stderr)
