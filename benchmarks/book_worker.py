"""One measured run of ours on book rows.

    python benchmarks/book_worker.py L2.npz maker|seldom[-stages|-held] [ROWS]

`maker`: every 100 ms one bid and one ask around the middle, skewed by the position, post-only, 10 ms each way, 2 ms of
market data, as an ordinary Python object. `seldom`: two resting orders far from the touch and a call a minute: what the
kernel does on its own. With `-stages` it also prints where the engine's time goes; with `-held` the rows are in memory
before the run, as hftbacktest's are, else the tape is read from disk inside it. Prints `RESULT {json}`: engine seconds
(wall and CPU, around `engine.run()`), CPU seconds of the results made from it, peak memory, wakes, orders, fills. A
short first run loads the compiled kernel, as hftbacktest's first run compiles its strategy; the whole process holds
both. Journal, ledger, risk and the causes of fills are on, as in every run; the venue's rate limits are off, since the
peers have none.

What makes our counts differ from the jitted maker's, on the first 500,000 rows with the same queue model: 9,119 wakes,
9,116 orders and 3,711 filled ones in 3,806 fills, 274 refused as post-only; hftbacktest 9,119, 9,388, 4,057, 347.

- Its venue fills an order whole or not at all. Ours fills what the print leaves behind the queue, floored to the step,
  so the inventory comes to lie between two multiples of a quote. The skew then never is zero, one of the two quotes
  stands off the touch, and fewer are filled, replaced or refused. That is the whole of it: with the inventory the maker
  sees rounded to a multiple of its quote, ours are 9,376 orders, 4,078 filled, 345 refused (under the risk-averse queue
  9,260, 3,935, 342 against 9,270, 3,917, 337); with a step of 0.01, which knows no part of a quote, 9,353, 4,023, 338.
- What is left is within what the phase of the timer does: started 37 or 71 ms later hftbacktest itself fills 4,053 and
  3,974 orders.
- Fills on a crossed book (whole there, what is displayed here) and prints beyond our price (whole there, a shared
  budget here) differ in rule and, on this market, not in one fill.

nautilus_trader has no queue and no leg back: 8,451 orders and 2,853 fills on the same rows.
"""

from __future__ import annotations

import asyncio
import json
import math
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from adapters.tapes.tape_file import open_tape
from benchmarks.bars_worker import GivenTape
from benchmarks.market_rows import FIRST_ROWS, stored
from core.command_line.rare_collection import collected_seldom
from core.compose import compose, read_plan
from core.result import make_result

CONFIG = """
run: {name: bench, seed: 7}
venue: {name: binance-usdm}
account: {balances: {USDT: "100000"}, leverage: 20}
instruments: {BTCUSDT: {tick: "0.1", step: "0.001", base: BTC}}
data: %s
simulation:
  latency: {kind: constant, entry_ms: 10, response_ms: 10, feed_ms: 2}
  queue: {kind: power, n: 3}
  spread: {kind: none}
  impact: {kind: none}
  fees: {maker: "0", taker: "0.0004"}
  rate_limits: {kind: none}
strategies:
  - {name: bench, class: "strategies.quote_ladder:QuoteLadder", symbols: [BTCUSDT], timer: %s}
report: {equity_interval: 1h}
"""
ENTRY = "\n  - {symbol: BTCUSDT, kind: %s, source: {kind: file, path: %s}}"
TICK, SIZE = 0.1, "0.01"
ROOT = str(Path(__file__).resolve().parent.parent)
STAGES = (
    ("books and compiled kernel", ("sim/books/", "sim/row_window")),
    ("world, feed, gateway, clock", ("sim/world", "sim/feed", "sim/gateway", "sim/clock", "sim/outside")),
    ("simulated venue", ("sim/",)),
    ("tapes", ("adapters/", "core/tape")),
    ("bus and loop", ("core/bus", "core/engine")),
    ("execution engine", ("core/execution", "core/working", "core/order", "core/proposals", "core/ids")),
    ("risk engine", ("core/risk", "core/market/price_filters", "core/instruments", "core/commands", "core/account/")),
    ("portfolio and margin", ("core/portfolio", "core/margin")),
    ("journal", ("core/journal", "core/events")),
    ("recording", ("core/recording", "core/equity_recorder", "core/trade", "core/run_parts")),
    ("the maker", ("benchmarks/",)),
    ("strategy host and its views", ("core/",)),
)  # fmt: skip
"""Stages by the file at work; the first that fits."""


class Maker:
    """The quotes of the peer's jitted strategy, order by order."""

    warmup = 0

    def __init__(self) -> None:
        self.calls = 0

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]] | None:
        self.calls += 1
        book = market_data.book
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None or ask <= bid:
            return None
        held = float(position_state.qty)
        bid_tick, ask_tick = round(bid / TICK), round(ask / TICK)
        middle, skew = (bid_tick + ask_tick) / 2, 0.5 * held / 0.01
        ours = {
            "buy": (min(bid_tick, math.floor(middle - 0.5 - skew)), held > 0.0999),
            "sell": (max(ask_tick, math.ceil(middle + 0.5 - skew)), held < -0.0999),
        }
        signals: list[dict[str, Any]] = []
        for order in position_state.open_orders:
            side = order.terms.side
            price, full = ours.pop(side, (0, True))
            if not order.pending_cancel and (full or round(float(order.price) / TICK) != price):
                signals.append({"cancel": order.terms.tag})
        for side, (price, full) in ours.items():
            if not full:
                signals.append(
                    {"side": side, "id": side, "price": round(price * TICK, 1), "qty": SIZE, "post_only": True}
                )
        return signals


class Seldom:
    """Two orders that rest where nothing trades."""

    warmup = 0

    def __init__(self) -> None:
        self.calls = 0

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]] | None:
        self.calls += 1
        if position_state.open_orders or market_data.book.best_bid is None:
            return None
        return [{"side": "buy", "price": 45_000, "qty": SIZE}, {"side": "sell", "price": 55_000, "qty": SIZE}]


async def measure(path: str, what: str, rows: int | None) -> dict[str, Any]:
    """One run over the first `rows` rows (None: all)."""
    strategy_name, _, manner = what.partition("-")
    files = stored(path, "l2", rows)
    data = "".join(ENTRY % (kind, file) for kind, file in files.items())
    plan = read_plan("bench", text=CONFIG % (data, {"maker": "100ms", "seldom": "1m"}[strategy_name]))
    if manner == "held":
        held = [replace(stream, source=GivenTape(open_tape(files[stream.kind]).load())) for stream in plan.streams]
        plan = replace(plan, streams=held)
    strategy: Maker | Seldom = Maker() if strategy_name == "maker" else Seldom()
    async with compose(plan, strategies={"bench": strategy}) as engine:
        samples = Samples() if manner == "stages" else None
        wall, cpu = time.perf_counter(), time.process_time()
        if samples is not None:
            samples.start()
        await engine.run()
        if samples is not None:
            samples.stop()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        parts = engine.parts.run
        after = time.process_time()
        summary = make_result(parts).summary
        after = time.process_time() - after
        rows = sum(len(tape) for tape in parts.tapes)
    if samples is not None:
        print_stages(samples.spent, rows, strategy.calls, len(parts.working.all))
    return {
        "what": what,
        "rows": rows,
        "run_s": wall,
        "cpu_s": cpu,
        "results_cpu_s": after,
        "wakes": strategy.calls,
        "orders": len(parts.working.all),
        "fills": len(parts.recording.fills),
        "equity": summary["final_equity"],
        "events_sha256": parts.journal.events_sha256[:16],
        "rss_mib": peak,
    }


class Samples:
    """CPU seconds by file of ours, looked at each millisecond of CPU time: the run keeps its speed, as no call is
    wrapped. A sample taken late, behind a long piece of machine code, weighs what passed since the one before it.
    """

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._last = 0.0

    def start(self) -> None:
        self._last = time.process_time()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)

    def _sample(self, _number: int, frame: Any) -> None:
        now = time.process_time()
        while frame is not None and not frame.f_code.co_filename.startswith(ROOT):
            frame = frame.f_back  # a library counts for who called it
        self.spent["" if frame is None else frame.f_code.co_filename[len(ROOT) + 1 :]] += now - self._last
        self._last = now


def print_stages(spent: Mapping[str, float], rows: int, wakes: int, orders: int) -> None:
    """Where the engine's time goes: shares, per row and per wake."""
    stages: defaultdict[str, float] = defaultdict(float)
    for file, seconds in spent.items():
        stages[next((stage for stage, names in STAGES if file.startswith(names)), "event loop, rest")] += seconds
    whole = sum(stages.values())
    print(f"{whole:.2f} CPU seconds, {rows:,} rows, {wakes:,} wakes, {orders:,} orders, by stage (sampled):")
    print()
    print("| stage | share | ns a row | µs a wake |")
    print("|---|---|---|---|")
    for stage, seconds in sorted(stages.items(), key=lambda item: -item[1]):
        print(f"| {stage} | {seconds / whole:.1%} | {seconds / rows * 1e9:.0f} | {seconds / max(wakes, 1) * 1e6:.1f} |")


def main() -> None:
    path, what, *rest = sys.argv[1:]
    asyncio.run(measure(path, "seldom", FIRST_ROWS))
    result = asyncio.run(measure(path, what, int(rest[0]) if rest else None))
    print("RESULT " + json.dumps(result, default=str), flush=True)


if __name__ == "__main__":
    with collected_seldom():  # as the command line does it
        main()
