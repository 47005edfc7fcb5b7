"""Same config, same bytes: in two processes, under two hash seeds, whatever program is around it."""

from __future__ import annotations

from decimal import Decimal, getcontext, localcontext
from pathlib import Path

import pytest

from command_line import FILES, SHORT, Finished, program
from core.compose import compose
from tiny_run import Script, flat, plan_of

STAMPED = {"manifest.json", "run.log"}
"""They tell when and how long: everything else is the same to the byte."""

MAKER = '''"""Rests a limit order near every tenth average and cancels what is left of the one before."""


class Mine:
    warmup = 20

    def __init__(self):
        self.calls = 0

    def generate_signals(self, market_data, position_state):
        self.calls += 1
        if self.calls % 10:
            return None
        price = market_data.close[-20:].mean()
        side = "sell" if position_state.qty > 0 else "buy"
        away = 1.0002 if side == "sell" else 0.9998
        return [{"cancel": True}, {"side": side, "qty": 0.02, "price": price * away, "tif": "gtc"}]
'''


def run_with_hash_seed(seed: str, folder: Path) -> Finished:
    folder.mkdir()
    (folder / "maker.py").write_text(MAKER)
    second = "strategies[1]={name: maker, class: 'maker:Mine', symbols: [BTCUSDT]}"
    done = program(*SHORT, "--set", second, cwd=folder, PYTHONHASHSEED=seed)
    assert done.code == 0, done.err
    return done


def test_two_hash_seeds_give_the_same_events_and_the_same_bytes(tmp_path: Path) -> None:
    first, second = (run_with_hash_seed(seed, tmp_path / seed) for seed in ("0", "1"))
    assert first.summary["fill_count"] > 50, "the comparison is only worth something with fills of both strategies"
    assert set(first.summary["strategies"]) == {"ema", "maker"}
    assert first.manifest["events_sha256"] == second.manifest["events_sha256"]
    for name in sorted(FILES - STAMPED):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name


def test_another_seed_is_another_market(tmp_path: Path) -> None:
    one = program(*SHORT, cwd=tmp_path)
    two = program(*SHORT, "--set", "run.seed=8", "--out", "other", cwd=tmp_path)
    assert (one.code, two.code) == (0, 0)
    assert "final equity" in two.out and one.out.splitlines()[3] != two.out.splitlines()[3]


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "journal.msgpack"])
def test_no_file_but_manifest_and_log_knows_where_it_was_made(tmp_path: Path, name: str) -> None:
    done = program(*SHORT, cwd=tmp_path)
    assert str(tmp_path).encode() not in (done.folder / name).read_bytes()


@pytest.mark.parametrize("mode", ["backtest", "paper"])
async def test_the_hosts_decimal_context_neither_reaches_into_a_run_nor_is_changed_by_it(mode: str) -> None:
    """Bought at the open of the second bar: 1.234 x 101 = 124.634, which three digits would make 125."""
    with localcontext(prec=3) as own:
        script = Script({"side": "buy", "qty": "1.234"})
        async with compose(plan_of({"X": flat("100", "101", "102")}), strategies={"s": script}, mode=mode) as engine:
            await engine.run()
            (order,) = engine.parts.run.working.all.values()
        assert getcontext() is own and own.prec == 3
    assert (order.filled, order.value, order.leaves) == (Decimal("1.234"), Decimal("124.634"), Decimal(0))
