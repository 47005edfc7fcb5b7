"""The same twins in hftbacktest: one of its backtests for each twin, each of its queue models and exchanges.

    python benchmarks/fidelity_peer.py EXPOSURES.npz OUTCOMES.npz

Runs in an environment of its own (`benchmarks/fidelity.py` makes it), where nothing of ours is installed. Rows get
times 1 µs apart, so that their order is kept; its queue models do not look at time. Latencies and fees are zero.
"""

from __future__ import annotations

import sys
from typing import Any

import hftbacktest
import numpy as np
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest
from numba import njit

QUEUES: dict[str, tuple[str, tuple[float, ...]]] = {
    "risk averse": ("risk_adverse_queue_model", ()),
    "log": ("log_prob_queue_model", ()),
    "log2": ("log_prob_queue_model2", ()),
    "power, n 1": ("power_prob_queue_model", (1.0,)),
    "power, n 2": ("power_prob_queue_model", (2.0,)),
    "power, n 3": ("power_prob_queue_model", (3.0,)),
    "power2, n 1": ("power_prob_queue_model2", (1.0,)),
    "power2, n 2": ("power_prob_queue_model2", (2.0,)),
    "power2, n 3": ("power_prob_queue_model2", (3.0,)),
    "power3, n 1": ("power_prob_queue_model3", (1.0,)),
    "power3, n 2": ("power_prob_queue_model3", (2.0,)),
    "power3, n 3": ("power_prob_queue_model3", (3.0,)),
}
EXCHANGES = {"hft": "partial_fill_exchange", "hft whole": "no_partial_fill_exchange"}
"""`hft whole`: the first print that reaches an order fills all of it."""
STEP_NS = 1_000
BTC = 1e-8
ORDER = 1


def main() -> None:
    given = np.load(sys.argv[1])
    results: dict[str, np.ndarray] = {"version": np.array(hftbacktest.__version__)}
    for exchange, choose_exchange in EXCHANGES.items():
        for queue, (choose_queue, arguments) in QUEUES.items():
            found: list[tuple[int, int, int]] = []
            for twin in range(len(given["side"])):
                asset = BacktestAsset().linear_asset(1.0).constant_order_latency(0, 0)
                asset = getattr(getattr(asset, choose_queue)(*arguments), choose_exchange)()
                asset = asset.trading_value_fee_model(0.0, 0.0).tick_size(1.0).lot_size(BTC)
                found += outcome(asset, given, twin)
            results[f"{exchange} {queue}"] = np.array(found, dtype=np.int64).reshape(-1, 3)
    np.savez_compressed(sys.argv[2], **results)


def outcome(asset: Any, given: Any, twin: int) -> list[tuple[int, int, int]]:
    """Fills of one twin: (twin, row of its exposure, size in 1e-8 BTC)."""
    first, last = int(given["first"][twin]), int(given["first"][twin + 1])
    side, price, size = int(given["side"][twin]), int(given["price"][twin]), int(given["size"][twin])
    data = events(given, twin, first, last, side)
    backtest = HashMapMarketDepthBacktest([asset.data(data)])
    left = np.zeros(last - first + 1, dtype=np.float64)
    try:
        walk(backtest, side, float(price), size * BTC, last - first, left)
    finally:
        backtest.close()
    sizes = np.round(-np.diff(left) / BTC).astype(np.int64)
    return [(twin, int(row), int(sizes[row])) for row in np.flatnonzero(sizes)]


def events(given: Any, twin: int, first: int, last: int, side: int) -> np.ndarray:
    """One row that shows the level as it was, then the exposure's rows, then one that keeps the clock going."""
    n = last - first
    data = np.zeros(n + 2, dtype=hftbacktest.types.event_dtype)
    kinds = np.where(given["kind"][first:last] == 1, hftbacktest.TRADE_EVENT, hftbacktest.DEPTH_EVENT)
    sides = np.concatenate([[side], given["rows_side"][first:last], [side]])
    whose = np.where(sides > 0, hftbacktest.BUY_EVENT, hftbacktest.SELL_EVENT)
    depth = [hftbacktest.DEPTH_EVENT]
    both = np.uint64(hftbacktest.EXCH_EVENT | hftbacktest.LOCAL_EVENT)
    data["ev"] = np.concatenate([depth, kinds, depth]).astype(np.uint64) | whose.astype(np.uint64) | both
    data["exch_ts"] = data["local_ts"] = (np.arange(n + 2) + 1) * STEP_NS
    price, far = given["price"][twin], given["price"][twin] - side * 50_000
    data["px"] = np.concatenate([[price], given["rows_price"][first:last], [far]])
    data["qty"] = np.concatenate([[given["displayed"][twin]], given["rows_size"][first:last], [1]]) * BTC
    return data


@njit
def walk(backtest: Any, side: int, price: float, size: float, rows: int, left: Any) -> None:
    """Rest one order behind what the first row shows; `left[k]` is what is left of it after k rows of the exposure."""
    backtest.elapse(STEP_NS // 2)
    if side > 0:
        backtest.submit_buy_order(0, ORDER, price, size, 0, 0, True)
    else:
        backtest.submit_sell_order(0, ORDER, price, size, 0, 0, True)
    for row in range(rows + 1):
        if row:
            backtest.elapse(STEP_NS)
        order = backtest.orders(0).get(ORDER)
        left[row] = order.leaves_qty if order.status != 3 else 0.0
        if order.status == 3:
            left[row:] = 0.0
            return


if __name__ == "__main__":
    main()
