"""One measured run of ours on the bar workload: EMA 10/20 cross, 0.01 a cross, market at the next bar, 4 bp fee.

    python benchmarks/bars_worker.py BARS.npz trade|quiet|stages [ROWS]

Prints one line `RESULT {json}`: engine seconds (wall and CPU, around `engine.run()` alone), CPU seconds of the results
made from it (trades, equity rows, summary: they are computed after a run, so the engine's figure does not hold them),
peak memory, fills, equity. `quiet` computes the averages and never trades; `stages` prints where an order's life spends
its time. Journal (with its digest), Decimal ledger and risk limits are on, as in every run.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import pstats
import resource
import sys
import time
from collections import defaultdict
from typing import Any

import msgspec
import numpy as np

from core.command_line.rare_collection import collected_seldom
from core.compose import compose, read_plan
from core.result import make_result
from core.tape import Tape
from strategies.ema_cross import EmaCross

MINUTE_NS = 60_000_000_000
CONFIG = """
run: {name: bench, seed: 7}
venue: {name: binance-usdm}
account: {balances: {USDT: "100000"}, leverage: 5}
instruments: {BTCUSDT: {tick: "0.01", step: "0.001", base: BTC}}
data: [{symbol: BTCUSDT, kind: bars, interval: 1m, source: {kind: synthetic}}]
simulation:
  latency: {kind: none}
  spread: {kind: none}
  impact: {kind: none}
  fees: {maker: "0.0004", taker: "0.0004"}
strategies:
  - {name: ema, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT], params: {fast: 10, slow: 20, qty: "0.01"}}
risk: {max_order_notional: "50000", max_position_notional: "200000", max_leverage: 5, max_drawdown: "0.9",
       max_orders_per_minute: 600}
"""
STAGES = (
    (
        "simulated venue",
        (
            "sim/exchange",
            "sim/matching",
            "sim/account",
            "sim/open_",
            "sim/venue_order",
            "sim/bars",
            "sim/ledger",
            "sim/order_entry",
            "sim/models",
        ),
    ),
    ("world, feed, gateway", ("sim/world", "sim/feed", "sim/gateway", "sim/clock")),
    ("bus and loop", ("core/bus", "core/engine")),
    ("strategy and its host", ("core/strategy_host", "core/market_view", "core/hosting", "strategies/")),
    ("execution engine", ("core/execution", "core/working", "core/order")),
    ("risk engine", ("core/risk", "core/account/")),
    ("portfolio", ("core/portfolio",)),
    ("journal", ("core/journal", "msgpack", "sha256", "msgspec")),
    ("equity rows", ("core/equity_recorder",)),
    ("trade log", ("core/trade",)),
)


class Quiet(EmaCross):
    """The same averages and comparisons, and never an order."""

    def _decide(self, position_state: Any) -> None:
        held = position_state.qty
        if not held:
            self.above = self._fast > self._slow


class GivenTape:
    """A history source that has its tape already."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    async def load(self, progress: Any = None) -> Tape:
        return self._tape


def tape_of(path: str, rows: int | None) -> Tape:
    """The generator's float columns (two decimals of price, three of volume) as exact mantissas."""
    with np.load(path) as data:
        closes = (data["ts_ms"][:rows] * 1_000_000 + MINUTE_NS).astype(np.int64)
        columns = {"ts_venue": closes, "ts": closes}
        for name in ("open", "high", "low", "close"):
            columns[name] = np.rint(data[name][:rows] * 100).astype(np.int64)
        columns["volume"] = np.rint(data["volume"][:rows] * 1000).astype(np.int64)
    return Tape(
        kind="bars", venue="binance-usdm", symbol="BTCUSDT", columns=columns, price_scale=2, size_scale=3,
        interval_ns=MINUTE_NS, source=path,
    )  # fmt: skip


async def run(path: str, what: str, rows: int | None) -> None:
    plan = read_plan("bench", text=CONFIG)
    tape = tape_of(path, rows)
    plan = msgspec.structs.replace(plan, streams=[msgspec.structs.replace(plan.streams[0], source=GivenTape(tape))])
    strategies = {"ema": Quiet()} if what == "quiet" else None
    async with compose(plan, strategies=strategies) as engine:
        profile = cProfile.Profile() if what == "stages" else None
        wall, cpu = time.perf_counter(), time.process_time()
        if profile is not None:
            profile.enable()
        await engine.run()
        if profile is not None:
            profile.disable()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        parts = engine.parts.run
        after = time.process_time()
        summary = make_result(parts).summary
        after = time.process_time() - after
        result = {
            "what": what,
            "rows": len(tape),
            "run_s": wall,
            "cpu_s": cpu,
            "results_cpu_s": after,
            "trades": summary["trade_count"],
            "fills": len(parts.recording.fills),
            "equity": str(parts.portfolio.equity("USDT")),
            "events_sha256": parts.journal.events_sha256[:16],
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        if profile is not None:
            print_stages(profile, len(parts.working.all), len(tape))
    print("RESULT " + json.dumps(result), flush=True)


def print_stages(profile: cProfile.Profile, orders: int, bars: int) -> None:
    """Own time of each stage's functions, as shares: the profiler's overhead inflates all of them alike."""
    own: defaultdict[str, float] = defaultdict(float)
    functions: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = vars(pstats.Stats(profile))["stats"]
    for (file, _, name), (_, _, self_seconds, _, _) in functions.items():
        text = f"{file} {name}"
        stage = next((s for s, words in STAGES if any(word in text for word in words)), "interpreter built-ins, rest")
        own[stage] += self_seconds
    whole = sum(own.values())
    print(f"{bars} bars, {orders} orders; share of the engine's time by stage (profiled)")
    for stage, seconds in sorted(own.items(), key=lambda item: -item[1]):
        print(f"  {stage:<28} {seconds / whole:6.1%}")


if __name__ == "__main__":
    with collected_seldom():  # as the command line does it
        asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None))
