"""What the middle of the book did after each maker fill of a market maker that quotes at the touch, on recorded tapes.

    python benchmarks/markouts.py FILE... [--seconds 1 10] [--symbol ETHUSDT --qty 0.05] [--venue binance-spot]

Each FILE is a recording with depth and trades of one symbol; `--tick` and `--step` are asked for where the stored rules
of the venue do not know it. The maker joins the best bid and the best ask every 100 ms, post-only, 10 ms each way, and
never chases; everything else is the default of a run on books. A markout is side x (middle after the horizon - fill
price) / fill price in basis points: negative means that the fills came when the price was about to move against us
(adverse selection). The half spread earned at the moment of the fill is printed beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.compose import compose, read_plan
from core.errors import AnyclockError
from core.events import OrderFilled
from core.tape import Rows
from sim.books import kernel
from sim.books.books import Books
from sim.books.own_books import OwnBook

SECOND_NS = 1_000_000_000
CONFIG = """
run: {{name: markouts, seed: 7}}
venue: {{name: {venue}}}
account: {{balances: {{USDT: "100000"}}{leverage}}}
{instruments}
data:
  - {{symbol: {symbol}, kind: depth, source: {{kind: file, path: {path}}}}}
  - {{symbol: {symbol}, kind: trades, source: {{kind: file, path: {path}}}}}
simulation:
  latency: {{kind: constant, entry_ms: 10, response_ms: 10}}
  rate_limits: {{kind: none}}
strategies:
  - {{name: touch, class: "strategies.quote_ladder:QuoteLadder", symbols: [{symbol}], timer: 100ms}}
"""


class Touch:
    """Joins the touch on both sides while flat of orders there; cancels what is no longer at the touch."""

    warmup = 0

    def __init__(self, qty: str) -> None:
        self._qty = qty

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]]:
        book = market_data.book
        wanted = {"buy": book.best_bid, "sell": book.best_ask}
        signals: list[dict[str, Any]] = []
        for order in position_state.open_orders:
            price = wanted.pop(order.terms.side, None)
            if not order.pending_cancel and price is not None and float(order.price) != price:
                signals.append({"cancel": order.terms.tag})
        signals += [
            {"side": side, "id": side, "price": price, "qty": self._qty, "post_only": True}
            for side, price in wanted.items()
            if price is not None
        ]
        return signals


def config_of(path: Path, asked: argparse.Namespace) -> str:
    """The run's config as text; on spot nothing is borrowed."""
    spec = f'tick: "{asked.tick}", step: "{asked.step}"'
    return CONFIG.format(
        venue=asked.venue,
        symbol=asked.symbol,
        path=path,
        leverage="" if asked.venue.endswith("spot") else ", leverage: 20",
        instruments=f"instruments: {{{asked.symbol}: {{{spec}}}}}" if asked.tick is not None else "",
    )


async def fills_of(path: Path, asked: argparse.Namespace) -> tuple[list[OrderFilled], Rows]:
    plan = read_plan("markouts", text=config_of(path, asked))
    async with compose(plan, strategies={"touch": Touch(asked.qty)}) as engine:
        await engine.run()
        parts = engine.parts.run
        depth = next(tape for tape in parts.tapes if tape.kind == "depth")
        return list(parts.recording.fills), depth


def middles(depth: Rows, times: Sequence[int]) -> dict[int, float]:
    """Middle of the book by venue time, NaN where a side is empty; times in any order."""
    book = OwnBook(depth, 0, Books(kernel_of(len(depth))))
    found = {}
    for at in sorted(set(times)):
        bid, _, ask, _ = book.advance(at).best()
        found[at] = (bid + ask) / 2
    return found


def kernel_of(rows: int) -> Any:
    from sim.books.compiled import kernel as compiled

    return compiled() if rows > 20_000 else kernel


def report(path: Path, fills: list[OrderFilled], depth: Rows, horizons: list[int]) -> None:
    makers = [fill for fill in fills if fill.liquidity == "maker"]
    last = max(int(chunk["ts"][-1]) for chunk in depth.chunks(1 << 16))
    at = [int(fill.ts_venue or fill.ts) for fill in makers]
    mids = middles(depth, [t + h for t in at for h in (0, *horizons) if t + h <= last])
    print(f"{path.name}: {len(makers)} maker fills of {len(fills)}")
    for horizon in (0, *horizons):
        moves = [
            (1 if fill.side == "buy" else -1) * (mids[t + horizon] - float(fill.price)) / float(fill.price) * 1e4
            for fill, t in zip(makers, at, strict=True)
            if t + horizon <= last
        ]
        values = np.array([move for move in moves if not np.isnan(move)])
        if not len(values):
            continue
        picks = np.random.default_rng(7).integers(0, len(values), size=(2000, len(values)))
        low, high = np.percentile(values[picks].mean(axis=1), (2.5, 97.5))
        name = "at the fill" if horizon == 0 else f"after {horizon / SECOND_NS:g} s"
        print(f"  {name:<12} {values.mean():+.4f} bp  [{low:+.4f}, {high:+.4f}]  n = {len(values)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Markouts of touch orders on recorded books.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seconds", nargs="+", type=float, default=[1.0, 10.0])
    parser.add_argument("--venue", default="binance-usdm")
    parser.add_argument("--symbol", default="BTCUSDT")
    parser.add_argument("--qty", default="0.002", help="of each order, base units")
    parser.add_argument("--tick", help="of a symbol that the venue's stored rules do not know")
    parser.add_argument("--step", default="0.001", help="of the same")
    asked = parser.parse_args()
    horizons = [int(seconds * SECOND_NS) for seconds in asked.seconds]
    for path in asked.files:
        try:
            fills, depth = asyncio.run(fills_of(path, asked))
        except AnyclockError as error:
            sys.exit(str(error))
        report(path, fills, depth, horizons)


if __name__ == "__main__":
    main()
