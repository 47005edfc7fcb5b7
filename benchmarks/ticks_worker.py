"""One measured run of ours on the tick workload: a strategy called on every trade, a market order each 5,000.

    python benchmarks/ticks_worker.py TICKS.npz [ROWS]

Prints one line `RESULT {json}`: engine seconds (wall and CPU, around `engine.run()` alone; the tape is read inside it),
CPU seconds of the results, peak memory, calls, fills, equity. A short first run loads the compiled kernel, which peers
that were compiled by their makers have as they are imported. Journal, Decimal ledger and the venue's counters are on,
as in every run. Without a book a market order fills at the prints (F9), so the equity is near the peers', not equal.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import Any

from benchmarks.market_rows import FIRST_ROWS, stored
from core.command_line.rare_collection import collected_seldom
from core.compose import compose, read_plan
from core.result import make_result

EVERY = 5000
CONFIG = """
run: {name: bench, seed: 7}
venue: {name: binance-usdm}
account: {balances: {USDT: "100000"}, leverage: 5}
instruments: {BTCUSDT: {tick: "0.1", step: "0.001", base: BTC}}
data: [{symbol: BTCUSDT, kind: trades, source: {kind: file, path: %s}}]
simulation:
  latency: {kind: none}
  impact: {kind: none}
  fees: {maker: "0.0004", taker: "0.0004"}
strategies:
  - {name: ticks, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT], hears: [trades]}
"""


class OnEveryTick:
    """An average kept by hand; against it each `EVERY` ticks, as the peers' strategies do."""

    warmup = 0

    def __init__(self) -> None:
        self.calls = 0
        self.average = 0.0

    def generate_signals(self, market_data: Any, position_state: Any) -> dict[str, Any] | None:
        price = market_data.event.price
        calls = self.calls
        self.average = price if calls == 0 else self.average + 0.001 * (price - self.average)
        self.calls = calls + 1
        if self.calls % EVERY:
            return None
        return {"side": "buy" if price < self.average else "sell", "qty": "0.01"}


async def measure(path: str, rows: int | None) -> dict[str, Any]:
    """One run over the first `rows` ticks (None: all)."""
    plan = read_plan("bench.yaml", text=CONFIG % stored(path, "ticks", rows)["trades"])
    strategy = OnEveryTick()
    async with compose(plan, strategies={"ticks": strategy}) as engine:
        wall, cpu = time.perf_counter(), time.process_time()
        await engine.run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        run = engine.parts.run
        results = time.process_time()
        summary = make_result(run).summary
        results = time.process_time() - results
    return {
        "rows": len(run.tapes[0]),
        "run_s": wall,
        "cpu_s": cpu,
        "results_cpu_s": results,
        "rss_mib": peak,
        "wakes": strategy.calls,
        "fills": len(run.recording.fills),
        "equity": summary["final_equity"],
    }


def main() -> None:
    path, *rest = sys.argv[1:]
    asyncio.run(measure(path, FIRST_ROWS))
    result = asyncio.run(measure(path, int(rest[0]) if rest else None))
    print("RESULT " + json.dumps(result, default=str))


if __name__ == "__main__":
    with collected_seldom():  # as the command line does it
        main()
