"""hftbacktest on the same book rows, one strategy and one kind of depth in a process.

    python benchmarks/book_peer.py store [ROWS]
    python benchmarks/book_peer.py maker|seldom roi|hashmap [ROWS]

Runs in an environment of its own (`benchmarks/run.py` makes it) with the peers' scripts on its path: rows, assets and
the jitted market maker are theirs. Ours is `seldom`: two orders far from the touch and a wake a minute, what the
compiled loop does on its own. `store` writes the rows once in hftbacktest's own format, so that a measured process
only reads them. Its run is measured behind a first one over 2,000 rows that compiles the strategy; the whole process
holds both, as every process of hftbacktest does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import hft_peer
import numpy as np
from common import DATA_DIR, c, emit, t
from numba import njit

MINUTE_NS = 60_000_000_000
JIT_ROWS = 2_000


@njit
def seldom(hbt: Any) -> tuple[int, int]:
    wakes = 0
    orders = 0
    while hbt.elapse(MINUTE_NS) == 0:
        wakes += 1
        depth = hbt.depth(0)
        if orders == 0 and depth.best_bid_tick > 0 and depth.best_ask_tick > depth.best_bid_tick:
            hbt.submit_buy_order(0, 1, 45_000.0, 0.01, hft_peer.GTX, hft_peer.LIMIT, False)
            hbt.submit_sell_order(0, 2, 55_000.0, 0.01, hft_peer.GTX, hft_peer.LIMIT, False)
            orders = 2
    return wakes, orders


def measure(what: str, depth: str, rows: int | None) -> None:
    events = np.load(array_file(rows))
    strategy = {"maker": hft_peer.maker, "seldom": seldom}[what]
    few = events[:JIT_ROWS].copy()  # kept in a name: the engine reads this memory and does not hold the array
    compile_s = t()
    started = hft_peer.build(few, depth, "prob")
    strategy(started)
    started.close()
    compile_s = t() - compile_s
    backtest = hft_peer.build(events, depth, "prob")
    wall, cpu = t(), c()
    wakes, orders = strategy(backtest)
    wall, cpu = t() - wall, c() - cpu
    state = backtest.state_values(0)
    emit("hftbacktest", what, variant=depth, n=len(events), run_s=wall, cpu_s=cpu, compile_s=compile_s, wakes=wakes,
         orders=orders, fills=int(state.num_trades))  # fmt: skip
    backtest.close()


def array_file(rows: int | None) -> Path:
    return Path(DATA_DIR) / f"l2.{rows or 'all'}.hftbacktest.npy"


def main() -> None:
    what, *rest = sys.argv[1:]
    if what != "store":
        measure(what, rest[0], int(rest[1]) if len(rest) > 1 else None)
    elif not array_file(rows := int(rest[0]) if rest else None).exists():
        np.save(array_file(rows), hft_peer.rows(rows))


if __name__ == "__main__":
    main()
