"""Every twin under every model, in both views, ours and the peer's: what `benchmarks/fidelity.py` runs."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.fidelity_scores import Fates
from benchmarks.fidelity_truth import Resting, Truth
from benchmarks.fidelity_twins import BTC, Desk, Exposure, batched, exposure
from benchmarks.peers import ROOT, installed, python_of
from sim.books import compiled
from sim.models import queue

HALF_MS = 15 * 60_000
WATCH_MS = 60_000
"""How long a twin may be filled after its real order, for the time to fill."""
LONG_MS = 1_000
"""Places in the queue are compared of orders that lived so long."""
PEER = "hftbacktest"
OURS: dict[str, queue.QueueModel] = {
    "risk_averse": queue.RiskAverseQueue(),
    "power, n 1": queue.PowerQueue(n=1.0),
    "power, n 2 (default)": queue.PowerQueue(n=2.0),
    "power, n 3": queue.PowerQueue(n=3.0),
    "power2, n 2": queue.Power2Queue(n=2.0),
    "power2, n 3": queue.Power2Queue(n=3.0),
    "power3, n 2": queue.Power3Queue(n=2.0),
    "power3, n 3": queue.Power3Queue(n=3.0),
    "log": queue.LogQueue(),
    "log2": queue.Log2Queue(),
    "matched": queue.MatchedQueue(),
    "none": queue.NoQueue(),
}
EXACT = "l3_fifo (needs ids)"


class Study(NamedTuple):
    """Orders of one view, and what every model says of them."""

    name: str
    orders: list[Resting]
    """Those that something could have filled before their end."""
    seen: list[Exposure]
    second: np.ndarray
    """Which of them came in the last 15 minutes."""
    fates: dict[str, Fates]
    places: dict[str, np.ndarray]
    """Error of the quantity ahead when the order ended, in BTC, of every order near the touch that lived long."""
    places_second: np.ndarray


def studied(truth: Truth, near: list[Resting], batch_ms: int) -> Study:
    """Every twin under every model of ours, in one view."""
    view = batched(truth.view, batch_ms) if batch_ms else truth.view
    start, end = int(truth.view.at_ms[0]), int(truth.view.at_ms[-1])
    halves = [start + HALF_MS if order.at_ms < start + HALF_MS else end for order in near]
    seen = [exposure(view, order, half, WATCH_MS) for order, half in zip(near, halves, strict=True)]
    chosen = [k for k, one in enumerate(seen) if one.touched]
    long = [k for k, order in enumerate(near) if order.at_ms + LONG_MS <= order.end_ms <= halves[k]]
    models = OURS if batch_ms else OURS | {EXACT: queue.L3Queue()}
    study = Study(
        f"depth every {batch_ms} ms" if batch_ms else "a row for every change",
        [near[k] for k in chosen],
        [seen[k] for k in chosen],
        np.array([halves[k] == end for k in chosen]),
        {},
        {},
        np.array([halves[k] == end for k in long]),
    )
    real = [real_fate(near[k], halves[k]) for k in chosen]
    functions = compiled.kernel()
    for label, model in models.items():
        desk = Desk(functions, model)
        got = [twin_fate(order, one, desk) for order, one in zip(study.orders, study.seen, strict=True)]
        study.fates[label] = fates(study.orders, real, got)
        study.places[label] = np.array([misplaced(near[k], seen[k], desk) for k in long])
    return study


def real_fate(order: Resting, until_ms: int) -> tuple[int, float]:
    """What it got until then, and after how many ms the first of it."""
    fills = [(at_ms, size) for _, at_ms, size in order.fills if at_ms <= until_ms]
    return sum(size for _, size in fills), float(fills[0][0] - order.at_ms) if fills else float("nan")


def twin_fate(order: Resting, seen: Exposure, desk: Desk) -> tuple[int, float]:
    fills = desk.rest(order, seen).fills
    after = float(fills[0][1] - order.at_ms) if fills else float("nan")
    return sum(size for row, _, size, _ in fills if row < seen.ends), after


def misplaced(order: Resting, seen: Exposure, desk: Desk) -> float:
    """Quantity ahead by the model minus that in reality when the order ended, BTC; NaN where the twin is filled."""
    return (desk.rest(order, seen).ahead - order.ahead[-1][1]) * BTC


def fates(orders: list[Resting], real: list[tuple[int, float]], got: list[tuple[int, float]]) -> Fates:
    columns = [np.array(column, dtype=float) for column in (*zip(*real, strict=True), *zip(*got, strict=True))]
    return Fates(
        np.array([order.size for order in orders], dtype=float), columns[0], columns[2], columns[1], columns[3]
    )


def add_peer(study: Study) -> None:
    """The same twins in hftbacktest, in a process of its own environment. Says so where it cannot be had."""
    if not installed(PEER):
        return
    rows = [one.rows for one in study.seen]
    given = {
        "first": np.concatenate([[0], np.cumsum([len(part.seq) for part in rows])]),
        "displayed": np.array([one.displayed for one in study.seen]),
        "kind": np.concatenate([part.kind for part in rows]),
        "rows_side": np.concatenate([part.side for part in rows]),
        "rows_price": np.concatenate([part.price for part in rows]),
        "rows_size": np.concatenate([part.size for part in rows]),
    }
    given |= {name: np.array([getattr(order, name) for order in study.orders]) for name in ("side", "price", "size")}
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "exposures.npz", Path(folder) / "outcomes.npz"
        np.savez(asked, allow_pickle=False, **given)
        worker = ROOT / "benchmarks/fidelity_peer.py"
        subprocess.run([str(python_of(PEER)), str(worker), str(asked), str(answered)], check=True)
        answers = dict(np.load(answered))
    ours = next(iter(study.fates.values()))
    for label, found in answers.items():
        if label == "version":
            continue
        predicted, after = np.zeros(len(study.orders)), np.full(len(study.orders), np.nan)
        for twin, row, size in found.tolist():
            one, order = study.seen[twin], study.orders[twin]
            if np.isnan(after[twin]):
                after[twin] = float(one.rows.at_ms[row] - order.at_ms)
            if row < one.ends:
                predicted[twin] += size
        study.fates[label] = ours._replace(predicted=predicted, predicted_after_ms=after)
