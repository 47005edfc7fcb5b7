"""The benchmark's own arithmetic, the market it makes without the peers, and that its runs do the work asked."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import book_worker, markouts, peers, run, ticks_worker
from benchmarks.market_rows import LEVELS, book_tapes, l2, stored, ticks

WAKE_NS = 100_000_000
PROGRAMS = sorted(path.stem for path in Path(run.__file__).parent.glob("*.py"))
OF_PEERS = {"book_peer", "fidelity_peer"}
"""Those that run in a peer's environment, with its package."""
BID, ASK = 1, -1


def written(folder: Path, what: str, columns: dict[str, np.ndarray]) -> str:
    path = folder / f"{what}.npz"
    np.savez(path, **columns)
    return str(path)


def result(rows: int, cpu_s: float, results_cpu_s: float = 0.0) -> run.Result:
    return {"rows": rows, "cpu_s": cpu_s, "results_cpu_s": results_cpu_s}


def line(ours: list[run.Result], theirs: list[run.Result]) -> run.Compared:
    return run.Compared("work", run.MAKER[0], ours, theirs)


# --- our own market -------------------------------------------------------------------------------------------------


def test_the_synthetic_book_never_crosses_keeps_its_depth_and_prints_at_the_touch() -> None:
    made = l2(np.random.default_rng(5), 20_000)
    book: dict[int, dict[float, float]] = {BID: {}, ASK: {}}
    rows = zip(*(made[name].tolist() for name in ("kind", "side", "px", "qty")), strict=True)
    for number, (printed, side, price, size) in enumerate(rows):
        if printed:
            assert price == (min(book[ASK]) if side > 0 else max(book[BID])), number
        elif size == 0:
            del book[side][price]
        else:
            book[side][price] = size
        if number >= 2 * LEVELS:
            assert max(book[BID]) < min(book[ASK]), number
            assert LEVELS - 1 <= min(len(book[BID]), len(book[ASK])) <= LEVELS + 1, number
    assert (np.diff(made["ts_ns"]) >= 0).all()


def test_a_market_made_twice_is_the_same_market() -> None:
    first, second = (l2(np.random.default_rng(1), 1_000) for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)


def test_every_row_of_the_market_is_in_one_of_the_tapes_with_its_price_in_ticks(tmp_path: Path) -> None:
    columns = {
        "ts_ns": np.array([5, 6, 7]), "kind": np.array([0, 1, 0], np.int8), "side": np.array([1, -1, -1], np.int8),
        "px": np.array([50_000.0, 50_000.0, 50_000.1]), "qty": np.array([1.25, 0.003, 0.0]),
    }  # fmt: skip
    depth, prints = book_tapes(written(tmp_path, "l2", columns), None)
    assert (depth.columns["price"].tolist(), depth.columns["size"].tolist()) == ([500_000, 500_001], [1250, 0])
    assert (prints.columns["price"].tolist(), prints.columns["size"].tolist()) == ([500_000], [3])
    assert (depth.columns["ts"].tolist(), prints.columns["ts"].tolist()) == ([5, 7], [6])


def test_markouts_read_the_middle_of_the_book_at_each_moment(tmp_path: Path) -> None:
    """Bid 100 and ask 102 from 5 on; the bid is 101 from 8 on: middles 101 and 101.5. Before the ask there is none."""
    columns = {
        "ts_ns": np.array([4, 5, 8]), "kind": np.zeros(3, np.int8), "side": np.array([1, -1, 1], np.int8),
        "px": np.array([100.0, 102.0, 101.0]), "qty": np.ones(3),
    }  # fmt: skip
    depth, _ = book_tapes(written(tmp_path, "l2", columns), None)
    found = markouts.middles(depth, [9, 4, 7, 5])
    assert {at: found[at] for at in (5, 7, 9)} == {5: 101.0, 7: 101.0, 9: 101.5}
    assert np.isnan(found[4])


def test_tapes_are_written_once(tmp_path: Path) -> None:
    path = written(tmp_path, "ticks", ticks(np.random.default_rng(1), 50))
    first = {kind: file.stat().st_mtime_ns for kind, file in stored(path, "ticks", 20).items()}
    assert {kind: file.stat().st_mtime_ns for kind, file in stored(path, "ticks", 20).items()} == first
    assert stored(path, "ticks", 20) != stored(path, "ticks", 30)


# --- ours, run ------------------------------------------------------------------------------------------------------


async def test_the_maker_is_woken_each_100_ms_of_the_tape_and_quotes(tmp_path: Path) -> None:
    made = l2(np.random.default_rng(5), 3_000)
    measured = await book_worker.measure(written(tmp_path, "l2", made), "maker", None)
    span_ns = int(made["ts_ns"][-1] - made["ts_ns"][0])
    assert measured["rows"] == 3_000
    assert abs(measured["wakes"] - span_ns / WAKE_NS) <= 1
    # Two quotes a wake at most, and far fewer: one that is replaced is canceled at one wake and placed at the next.
    assert 2 < measured["orders"] <= measured["wakes"] * 2


async def test_two_orders_that_seldom_act_rest_to_the_end(tmp_path: Path) -> None:
    measured = await book_worker.measure(
        written(tmp_path, "l2", l2(np.random.default_rng(5), 40_000)), "seldom", 40_000
    )
    assert (measured["orders"], measured["fills"]) == (2, 0)


async def test_the_tick_strategy_is_called_on_every_print(tmp_path: Path) -> None:
    path = written(tmp_path, "ticks", ticks(np.random.default_rng(1), 5_500))
    measured = await ticks_worker.measure(path, 5_100)
    # 5,100 prints hold one multiple of 5,000: one market order, filled by the prints behind it (F9).
    assert (measured["rows"], measured["wakes"]) == (5_100, 5_100)
    assert measured["fills"] >= 1


# --- turns and tables -----------------------------------------------------------------------------------------------


def test_a_ratio_is_the_median_of_the_turns_ratios_not_the_ratio_of_medians() -> None:
    # Turn by turn: 100/50 = 2, 300/100 = 3, 200/20 = 10; medians 200 and 50 would give 4.
    pairs = line([result(100, 1), result(300, 1), result(200, 1)], [result(50, 1), result(100, 1), result(20, 1)])
    assert pairs.ratio(run.rate) == "3.00x"


def test_the_ratio_with_results_has_their_time_in_ours() -> None:
    # 900 rows in 1 + 2 CPU seconds against 100 rows in one: 300 / 100.
    pairs = line([result(900, 1, results_cpu_s=2)], [result(100, 1)])
    assert (pairs.ratio(run.rate), pairs.ratio(run.whole_rate)) == ("9.00x", "3.00x")


def test_without_the_peers_scripts_ours_is_measured_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "PEERS", tmp_path / "absent")
    monkeypatch.setattr(peers, "DATA", tmp_path)
    (tmp_path / "own_l2.npz").touch()
    (alone,) = run.compared("work", run.MAKER, 2, [], lambda: result(10, 1), fresh=True)
    assert (alone.label, len(alone.ours), alone.theirs, alone.ratio(run.rate)) == ("ours alone", 2, [], "-")
    assert peers.market("l2") == tmp_path / "own_l2.npz"
    run.table(("against", "ours", "theirs", "ratio"), [[alone.label, *run.rates(alone)]])
    assert capsys.readouterr().out.splitlines()[-1] == "| ours alone | 10 | - | - |"


@pytest.mark.parametrize(("fresh", "runs"), [(True, 6), (False, 3)])
def test_ours_runs_next_to_each_peer_or_once_a_turn(monkeypatch: pytest.MonkeyPatch, fresh: bool, runs: int) -> None:
    order: list[str] = []

    def theirs(peer: peers.Peer, *_: str) -> run.Result:
        order.append(peer.label)
        return result(10, 1)

    def ours() -> run.Result:
        order.append("ours")
        return result(10, 1)

    monkeypatch.setattr(peers, "available", lambda _peer: True)
    monkeypatch.setattr(peers, "theirs_once", theirs)
    lines = run.compared("work", run.MAKER, 3, [], ours, fresh=fresh)
    assert (order.count("ours"), order[0]) == (runs, "ours")
    assert [len(line.ours) for line in lines] == [len(line.theirs) for line in lines] == [3, 3]


def test_a_process_without_a_result_stops_the_benchmark_with_what_it_said() -> None:
    with pytest.raises(SystemExit, match="out of luck"):
        peers._once([sys.executable, "-c", "raise OSError('out of luck')"], {}, Path.cwd())


def test_a_stage_is_found_by_the_file_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    # 3 + 1 CPU seconds over 4 wakes and a million rows: 75 %, 3,000 ns a row, 750,000 µs a wake; a third of each.
    spent = {"sim/exchange.py": 2.0, "sim/models/queue.py": 1.0, "sim/books/kernel.py": 1.0}
    book_worker.print_stages(spent, 1_000_000, 4, 2)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "| simulated venue | 75.0% | 3000 | 750000.0 |",
        "| books and compiled kernel | 25.0% | 1000 | 250000.0 |",
    ]


# --- every program ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in OF_PEERS])
def test_every_program_of_ours_finds_all_that_it_imports(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").__doc__
