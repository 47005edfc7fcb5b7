"""The tables of docs/fidelity.md, as text: what was compared, who was right, and where the wrong calls lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.fidelity_scores import Fates, closer, interval, score
from benchmarks.fidelity_study import Study, add_peer, studied
from benchmarks.fidelity_truth import Resting, Truth, recorded
from benchmarks.fidelity_twins import cancels, exposure

NEAR_USD = 10
"""Orders that came to rest at most this far from their side's best price are asked about."""

BEST_OURS, DEFAULT = "matched", "power, n 2 (default)"
AHEAD_BTC = (0.0, 0.1, 0.3, 1.0, float("inf"))
"""Bounds of the groups by quantity ahead on arrival; the first group is nothing ahead."""
LIVES_S = (0.0, 0.1, 1.0, 10.0, float("inf"))


def printed(folder: Path, batches_ms: list[int], with_peer: bool) -> None:
    """Read the recording and print every table. `batches_ms`: how often depth is published, 0 for every change."""
    truth = recorded(folder)
    near = [order for order in truth.orders if order.away <= NEAR_USD]
    recording(truth, near)
    ends = int(truth.view.at_ms[-1])
    found = [cancels(truth.view, order, exposure(truth.view, order, ends)) for order in near]
    places_of_cancels(*(np.concatenate(column) for column in zip(*found, strict=True)))
    for batch_ms in batches_ms:
        study = studied(truth, near, batch_ms)
        if with_peer:
            add_peer(study)
        tables(study, near)


def recording(truth: Truth, near: list[Resting]) -> None:
    """What the recording holds, and which orders are asked about."""
    filled = [order for order in near if order.fills]
    behind = sum(order.ahead[0][1] > 0 for order in filled)
    lines = [
        f"{len(truth.orders):,} orders came to rest while it was recorded; {truth.refused:,} more came at or through",
        f"the other side without trading or resting, and are in no public book. {truth.ghosts} orders whose end the",
        f"recorder missed are left out. Prints without a maker: {truth.unmatched}.",
        f"Near the touch on arrival: {len(near):,}, of which {len(filled)} were filled at least in part,",
        f"{behind} of them after waiting behind others.",
    ]
    print("\n".join(lines))


def places_of_cancels(behind_share: np.ndarray, behind: np.ndarray) -> None:
    """Where real cancels happen, and what each formula says of the same places."""
    print()
    formulas: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "power, n 2": lambda x: x**2 / (x**2 + (1 - x) ** 2),
        "power2, n 2": lambda x: x**2,
        "power3, n 2": lambda x: 1 - (1 - x) ** 2,
    }
    header("quantity behind / (ahead + behind)", "cancels", "really behind", *(f"P of {name}" for name in formulas))
    for low, high in pairwise((0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)):
        inside = (behind_share > low) & (behind_share <= high)
        said = (f"{np.mean(formula(behind_share[inside])):.2f}" for formula in formulas.values())
        row(f"{low:g} to {high:g}", f"{int(inside.sum()):,}", f"{np.mean(behind[inside]):.2f}", *said)


def tables(study: Study, near: list[Resting]) -> None:
    """Everything about one view."""
    first, second = np.flatnonzero(~study.second), np.flatnonzero(study.second)
    print(f"\n## {study.name}: {len(first)} orders that could be filled in the first half, {len(second)} in the last\n")
    scores(study, first, second)
    print()
    differences(study, first, second)
    print()
    shown = [BEST_OURS, DEFAULT, *best_of_peer(study, first)]
    calibration(study, near, second, shown)
    print()
    lives(study, second, shown)
    print()
    places(study)


def scores(study: Study, first: np.ndarray, second: np.ndarray) -> None:
    """Every model, the closest of the first half first."""
    before = {label: score(fates.taken(first)) for label, fates in study.fates.items()}
    after = {label: score(fates.taken(second)) for label, fates in study.fates.items()}
    closest = sorted(before, key=lambda label: before[label].error.value)
    header("model", "first half: wrong, error", "missed", "invented", "called rightly", "error", "bias")
    for label in closest:
        then, now = before[label], after[label]
        row(
            label,
            f"{then.missed + then.invented}, {then.error.value:.4f}",
            now.missed,
            now.invented,
            now.right.text(".3f"),
            now.error.text(".3f"),
            now.bias.text("+.3f"),
        )
    print()
    header("time to the first fill, last half", "same print", "mean time off, s")
    for label in closest:
        row(label, f"{after[label].same_print:.3f}", after[label].late_s.text(".2f"))


def differences(study: Study, first: np.ndarray, second: np.ndarray) -> None:
    """What our choice is better by than each model of the peer, on the last half."""
    header(f"`{BEST_OURS}` is better by, last half", "share called rightly", "error of the filled fraction")
    ours = study.fates[BEST_OURS].taken(second)
    for label in [DEFAULT, *peers_of(study)]:
        right, error = closer(ours, study.fates[label].taken(second))
        row(f"than {label}", right.text("+.4f"), error.text("+.4f"))


def calibration(study: Study, near: list[Resting], second: np.ndarray, shown: list[str]) -> None:
    """Share of orders filled by what stood before them on arrival: real, and by some models."""
    asked = {id(study.orders[k]): k for k in second}
    since = min(study.orders[k].at_ms for k in second)
    header("ahead on arrival, BTC", "orders", "filled", *(f"by {label}" for label in shown))
    for label, inside in groups(AHEAD_BTC, "nothing"):
        orders = [order for order in near if order.at_ms >= since and inside(order.ahead[0][1] * 1e-8)]
        rows = np.array([asked[id(order)] for order in orders if id(order) in asked], dtype=int)
        counts = [(study.fates[name].taken(rows).predicted > 0).sum() for name in shown]
        row(label, len(orders), int((study.fates[shown[0]].taken(rows).real > 0).sum()), *counts)


def lives(study: Study, second: np.ndarray, shown: list[str]) -> None:
    """Missed and invented fills by how long the real order lived."""
    first, *others = (f"by {label}" for label in shown)
    header("order lived, s", "fillable", "filled", f"missed, invented {first}", *others)
    lived = np.array([(order.end_ms - order.at_ms) / 1000 if order.end_seq >= 0 else np.inf for order in study.orders])
    for label, inside in groups(LIVES_S, "0"):
        rows = np.array([k for k in second if inside(lived[k])], dtype=int)
        if not len(rows):
            continue
        found = [score(study.fates[name].taken(rows)) for name in shown]
        real = int((study.fates[shown[0]].taken(rows).real > 0).sum())
        row(label, len(rows), real, *(f"{one.missed}, {one.invented}" for one in found))


def places(study: Study) -> None:
    """How far the quantity ahead was off when the order ended."""
    header("quantity ahead at the end, last half", "orders", "exact", "mean error, BTC", "too far back by, mean BTC")
    for label, errors in sorted(study.places.items(), key=lambda pair: np.nanmean(np.abs(pair[1]))):
        off = errors[study.places_second]
        off = off[~np.isnan(off)]
        exact = np.mean(np.abs(off) < 1e-8)
        row(label, len(off), f"{exact:.3f}", interval(np.abs(off), np.mean).text(".4f"), f"{np.mean(off):+.4f}")


def peers_of(study: Study) -> list[str]:
    return [label for label in study.fates if label.startswith("hft ")]


def best_of_peer(study: Study, first: np.ndarray) -> list[str]:
    """The peer's model that was closest in the first half, if it was asked."""

    def error(label: str) -> float:
        fates: Fates = study.fates[label].taken(first)
        return float(np.mean(np.abs(fates.predicted - fates.real) / fates.size))

    return sorted(peers_of(study), key=error)[:1]


def groups(bounds: tuple[float, ...], least: str) -> Iterable[tuple[str, Callable[[float], bool]]]:
    """The least value alone, then everything above each bound up to the next."""
    yield least, partial(_between, -float("inf"), bounds[0])
    for low, high in pairwise(bounds):
        name = f"{low:g} to {high:g}" if high < float("inf") else f"above {low:g}"
        yield name, partial(_between, low, high)


def _between(low: float, high: float, value: float) -> bool:
    return low < value <= high


def header(*cells: object) -> None:
    row(*cells)
    row(*("---" for _ in cells))


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |")
