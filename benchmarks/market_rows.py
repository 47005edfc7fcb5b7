"""The market every engine of a benchmark reads: the peers' generator where it is there, else one of our own.

    python benchmarks/market_rows.py make bars|ticks|l2 FILE.npz
    python benchmarks/market_rows.py store ticks|l2 FILE.npz [ROWS]

`make` writes our own synthetic market in the columns of the peers' generator. `store` writes the first ROWS of such a
file, and its first `FIRST_ROWS`, as Parquet tapes beside it, which is what a run of ours reads. Both run in processes
that nobody measures.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from adapters.tapes.tape_file import write_tape
from adapters.tapes.tape_head import SCHEMA_VERSION
from core.tape import LAST, Tape
from sim.markets import COMPILED_FROM

START_MS = 1_640_995_200_000
LEVELS = 20
"""Of each side of the synthetic book."""
BARS, ROWS = 1_000_000, 5_000_000
FIRST_ROWS = COMPILED_FROM
"""Of a first run that nobody measures: enough to load the compiled kernel, as a peer's first run compiles its own."""


def stored(path: str, what: str, rows: int | None) -> dict[str, Path]:
    """Files of the tapes of the first `rows` rows, by kind; written where they are not there yet."""
    kinds = ("trades",) if what == "ticks" else ("depth", "trades")
    stem = f".{rows or 'all'}.v{SCHEMA_VERSION}"
    files = {kind: Path(path).with_suffix(f"{stem}.{kind}.parquet") for kind in kinds}
    if not all(file.exists() for file in files.values()):
        for tape in [print_tape(path, rows)] if what == "ticks" else book_tapes(path, rows):
            write_tape(tape, files[tape.kind])
    return files


def book_tapes(path: str, rows: int | None) -> list[Tape]:
    """Depth and prints; every depth row is a message of its own, as the peers take it."""
    with np.load(path) as data:
        at = data["ts_ns"][:rows]
        columns = {
            "ts_venue": at, "ts": at, "price": np.rint(data["px"][:rows] * 10).astype(np.int64),
            "size": np.rint(data["qty"][:rows] * 1000).astype(np.int64), "side": data["side"][:rows],
        }  # fmt: skip
        printed = data["kind"][:rows] == 1
    made = []
    for kind, chosen, flag in (("depth", ~printed, LAST), ("trades", printed, 0)):
        part = {name: column[chosen] for name, column in columns.items()}
        part["flags"] = np.full(len(part["ts"]), flag, dtype=np.int8)
        made.append(_tape(kind, part, path))
    return made


def print_tape(path: str, rows: int | None) -> Tape:
    """Prints alone: ms, prices with one decimal, sizes with three."""
    with np.load(path) as data:
        at = data["ts_ms"][:rows] * 1_000_000
        columns = {
            "ts_venue": at, "ts": at, "price": np.rint(data["price"][:rows] * 10).astype(np.int64),
            "size": np.rint(data["size"][:rows] * 1000).astype(np.int64),
            "side": np.where(data["side"][:rows] > 0, 1, -1).astype(np.int8), "flags": np.zeros(len(at), dtype=np.int8),
        }  # fmt: skip
    return _tape("trades", columns, path)


def _tape(kind: Any, columns: dict[str, np.ndarray], source: str) -> Tape:
    return Tape(
        kind=kind, venue="binance-usdm", symbol="BTCUSDT", columns=columns, price_scale=1, size_scale=3, source=source
    )


# --- our own market -------------------------------------------------------------------------------------------------


def bars(draw: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """A geometric random walk, each open the close before it."""
    close = np.round(50_000 * np.exp(np.cumsum(draw.standard_normal(rows) * 8e-4)), 2)
    opens = np.concatenate(([50_000.0], close[:-1]))
    wicks = np.round(np.abs(draw.standard_normal((2, rows))) * 20, 2)
    return {
        "ts_ms": START_MS + np.arange(rows) * 60_000, "open": opens, "close": close,
        "high": np.maximum(opens, close) + wicks[0], "low": np.minimum(opens, close) - wicks[1],
        "volume": np.round(np.exp(draw.normal(2.5, 0.8, rows)), 3),
    }  # fmt: skip


def ticks(draw: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Prints of a random walk of one tick (0.1) a step, 20 ms apart on average."""
    side = draw.choice(np.array([-1, 1], dtype=np.int8), rows)
    return {
        "ts_ms": START_MS + np.cumsum(draw.exponential(20, rows)).astype(np.int64),
        "price": np.round(np.maximum(10_000, 500_000 + np.cumsum(draw.integers(-1, 2, rows))) * 0.1, 1),
        "size": np.round(0.001 + draw.exponential(0.2, rows), 3), "side": side,
    }  # fmt: skip


def l2(draw: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """A book one tick wide, 550 rows a second: sizes change, a tenth of the events print, the touch moves by a tick.

    Each event is one, two or four rows. Sizes have no memory, so a level's size after a print is a new one.
    """
    first = np.arange(LEVELS)
    events = rows  # every event is a row at least
    kind = draw.choice(3, events, p=[0.885, 0.1, 0.015])
    count = np.array([1, 2, 4])[kind]
    up = draw.random(events) < 0.5
    bid = 500_000 + np.cumsum(np.where(kind == 2, np.where(up, 1, -1), 0))
    step = np.where(up, 1, -1).astype(np.int64)
    at = np.repeat(1_000_000_000 + np.cumsum(draw.exponential(1.8e6 * count.mean(), events)).astype(np.int64), count)
    event = np.repeat(np.arange(events), count)
    part = np.arange(len(event)) - np.repeat(np.cumsum(count) - count, count)
    what, side, near = kind[event], step[event].astype(np.int8), bid[event]
    depth = np.minimum(draw.exponential(0.35, len(event)).astype(np.int64), LEVELS - 1)
    price = np.where(side > 0, near - depth, near + 1 + depth)  # a size changes: `side` is the book's
    price = np.where(what == 1, np.where(side > 0, near + 1, near), price)  # a print: the side of who took
    side = np.where((what == 1) & (part == 1), -side, side).astype(np.int8)
    size = np.round(0.05 + draw.exponential(1.2, len(event)), 3)
    # The touch moves up: the ask goes, a bid takes its place, one level is added and one goes at the far ends; or down.
    gone, added = np.where(step[event] > 0, near, near + 1), np.where(step[event] > 0, near + LEVELS, near + 1 - LEVELS)
    old = np.where(step[event] > 0, near - LEVELS, near + 1 + LEVELS)
    moved = np.select([part <= 1, part == 2], [gone, added], old)
    price = np.where(what == 2, moved, price)
    turned = np.where((part == 0) | (part == 2), -step[event], step[event]).astype(np.int8)
    side = np.where(what == 2, turned, side)
    size = np.where((what == 2) & ((part == 0) | (part == 3)), 0.0, size)
    start = np.concatenate((500_000 - first, 500_001 + first))
    full = {
        "ts_ns": (np.full(2 * LEVELS, 1_000_000_000), at),
        "kind": (np.zeros(2 * LEVELS, np.int8), ((what == 1) & (part == 0)).astype(np.int8)),
        "side": (np.repeat(np.array([1, -1], np.int8), LEVELS), side), "px": (start, price),
        "qty": (np.full(2 * LEVELS, 1.0), size),
    }  # fmt: skip
    made = {name: np.concatenate(columns)[:rows] for name, columns in full.items()}
    return made | {"px": np.round(made["px"] * 0.1, 1), "ts_ns": made["ts_ns"] + START_MS * 1_000_000}


def main() -> None:
    verb, what, path, *rest = sys.argv[1:]
    if verb == "store":
        for rows in (FIRST_ROWS, int(rest[0]) if rest else None):
            stored(path, what, rows)
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    make, rows = {"bars": (bars, BARS), "ticks": (ticks, ROWS), "l2": (l2, ROWS)}[what]
    np.savez(path, allow_pickle=False, **make(np.random.default_rng(1), rows))


if __name__ == "__main__":
    main()
