"""Whole runs over tapes that stay on the disk: never loaded, and to the byte what a run over tapes in memory is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.tapes.joined_tape import JoinedTape
from adapters.tapes.tape_file import StoredTape, open_tape, write_tape
from core.compose import compose
from core.result import make_result
from core.tape import LAST, SNAPSHOT, Rows, Tape
from tick_run import tick_plan
from tiny_run import START, VENUE

MS = 1_000_000
MODELS = (
    "{latency: {kind: constant, entry_ms: 3, response_ms: 2, feed_ms: 1}, fees: {maker: '0.0002', taker: '0.0004'}}"
)
DERIVED = "{latency: {kind: feed_derived, response_multiplier: '0.5'}}"


def market(rows: int) -> tuple[Tape, Tape, Tape]:
    """(depth, trades, marks) of one symbol: a book of six levels a side, received 2 to 5 ms late, prints near the
    touch, a mark a second."""
    rng = np.random.default_rng(5)
    at = START + np.cumsum(rng.integers(1, 40, rows)) * MS
    side = rng.choice(np.array([-1, 1], dtype=np.int8), rows)
    price = 10_000 - side * rng.integers(1, 7, rows)
    late = np.maximum.accumulate(at + rng.integers(2, 6, rows) * MS)
    flags = np.full(rows, LAST, dtype=np.int8)
    flags[0] |= SNAPSHOT
    depth = made("depth", at, late, price=price, size=rng.integers(0, 900, rows), side=side, flags=flags)
    some = np.sort(rng.choice(rows, rows // 3, replace=False))
    taker = rng.choice(np.array([-1, 1], dtype=np.int8), len(some))
    near, sizes = 10_000 + taker * rng.integers(1, 3, len(some)), rng.integers(1, 400, len(some))
    none = np.zeros(len(some), dtype=np.int8)
    prints = made("trades", at[some], late[some], price=near, size=sizes, side=taker, flags=none)
    times = np.arange(START, int(at[-1]), 1_000 * MS)
    mark = 10_000 + np.cumsum(rng.integers(-2, 3, len(times)))
    return depth, prints, made("marks", times, times.copy(), open=mark, high=mark, low=mark, close=mark)


def made(kind: Any, at: np.ndarray, received: np.ndarray, **columns: np.ndarray) -> Tape:
    columns = {"ts_venue": at, "ts": received, **columns}
    return Tape(kind=kind, venue=VENUE, symbol="X", columns=columns, price_scale=2, size_scale=3, source="made up")


class Quoter:
    """Both sides at the touch, and now and then at the market."""

    warmup = 0

    def __init__(self) -> None:
        self.orders = self.calls = 0

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]]:
        book = market_data.book
        if book.best_bid is None or book.best_ask is None or book.best_bid >= book.best_ask:
            return []
        signals: list[dict[str, Any]] = [{"cancel": order.terms.tag} for order in position_state.open_orders]
        self.calls += 1
        if self.calls % 5 == 0:
            return [{"side": "buy" if self.calls % 2 else "sell", "qty": "0.05"}]
        held = float(position_state.qty)
        for side, price, full in (("buy", book.best_bid, held > 1), ("sell", book.best_ask, held < -1)):
            if not full:
                self.orders += 1
                signals.append({"id": f"o{self.orders}", "side": side, "price": round(price, 2), "qty": "0.05"})
        return signals


def on_disk(folder: Path, tape: Tape) -> StoredTape:
    path = folder / f"{tape.kind}.parquet"
    write_tape(tape, path, group_rows=500)
    return open_tape(path)


async def result_of(*tapes: Rows, simulation: str, run: str = "", strategy: str = "s, timer: 250ms") -> Any:
    plan = tick_plan(*tapes, simulation=simulation, strategy=strategy, run=run)
    async with compose(plan, strategies={"s": Quoter()}) as engine:
        await engine.run()
        run_parts = engine.parts.run
    result = make_result(run_parts)
    rows = {name: column.tolist() for name, column in vars(result).items() if isinstance(column, np.ndarray)}
    summary = {key: value for key, value in result.summary.items() if key != "warnings"}
    return run_parts.journal.events_sha256, summary, rows, len(run_parts.recording.fills)


@pytest.mark.parametrize("simulation", [MODELS, DERIVED], ids=["constant", "feed"])
@pytest.mark.parametrize("run", ["", ", start: 2025-01-01T00:00:20Z"], ids=["whole", "cut"])
async def test_a_run_over_stored_ticks_is_the_run_over_ticks_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulation: str, run: str
) -> None:
    """Book, prints and single marks, from the first row on or from 20 s behind it, in windows of 512 rows."""
    monkeypatch.setattr("sim.row_window.CHUNK", 512)
    monkeypatch.setattr("sim.row_window.KEPT", 64)
    monkeypatch.setattr("core.market.price_series.CHUNK", 512)
    tapes = market(3_000)
    expected = await result_of(*tapes, simulation=simulation, run=run)

    def never(tape: StoredTape) -> Tape:
        raise AssertionError(f"{tape.kind} was loaded whole")

    monkeypatch.setattr(StoredTape, "load", never)
    found = await result_of(*(on_disk(tmp_path, tape) for tape in tapes), simulation=simulation, run=run)
    assert found == expected and expected[3] > 20


async def test_days_joined_are_the_run_over_one_tape(tmp_path: Path) -> None:
    """But for the name of the tape in the causes of its fills: three files of prints and one of the book."""
    depth, prints, _ = market(3_000)
    pieces = []
    for number, (low, high) in enumerate(((0, 400), (400, 900), (900, len(prints)))):
        columns = {name: column[low:high].copy() for name, column in prints.columns.items()}
        piece = made("trades", columns.pop("ts_venue"), columns.pop("ts"), **columns)
        (tmp_path / str(number)).mkdir()
        pieces.append(on_disk(tmp_path / str(number), piece))
    joined = JoinedTape(pieces, venue=VENUE, source="three files")
    (_, one, rows, fills), (_, other, others, count) = [
        await result_of(depth, trades, simulation=MODELS) for trades in (prints, joined)
    ]
    assert fills == count > 20 and one == other and rows == others
