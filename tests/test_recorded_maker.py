"""The market maker on recorded books, from the file to the digest: whole real messages, a few minutes of them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from core.compose import compose, read_plan
from core.parity import run_parity
from core.run_parts import RunParts
from recorded import books, first_lines, read, recorded
from sim.books.books import Books
from sim.books.compiled import kernel
from sim.books.own_books import OwnBook

LINES = 3_000
CONFIG = """
run: {name: maker, seed: 7}
venue: {name: %s}
account: {balances: {USDT: "100000"%s}}
data:
  - {symbol: BTCUSDT, kind: depth, source: {kind: file, path: "%s"}}
  - {symbol: BTCUSDT, kind: trades, source: {kind: file, path: "%s"}}
simulation:
  latency: {kind: constant, entry_ms: 10, response_ms: 10}
  rate_limits: {kind: none}
strategies:
  - name: maker
    class: "strategies.quote_ladder:QuoteLadder"
    symbols: [BTCUSDT]
    timer: 100ms
    params: {tick: %s, qty: "0.001", half_spread: 1.0, move: 1.0}
"""
RECORDINGS = {
    "usdm-2024": ("l2/binance-usdm/btcusdt_20240808.gz", "binance-usdm", "", "0.1"),
    "usdm-2023": ("l2/binance-usdm/btcusdt_20230404.dat.gz", "binance-usdm", "", "0.1"),
    "spot-2024": ("l2/binance-spot/btcusdt_20240808.gz", "binance-spot", ', BTC: "1"', "0.01"),
}


@pytest.fixture(scope="module", params=RECORDINGS)
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The first lines of a recording, and the config of a maker on them."""
    name, venue, coins, tick = RECORDINGS[request.param]
    path = tmp_path_factory.mktemp("maker") / f"{request.param}.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.writelines(first_lines(recorded(name), LINES))
    return path, CONFIG % (venue, coins, path, path, tick)


async def played(config: str, **parts: Any) -> RunParts:
    async with compose(read_plan("maker", text=config), **parts) as engine:
        await engine.run()
        return engine.parts.run


async def test_a_maker_on_recorded_books_trades_and_repeats_to_the_byte(recording: tuple[Path, str]) -> None:
    """Every fill names its row and its rule, none comes before its order can have arrived, and two runs are one."""
    parts = await played(recording[1])
    fills = parts.recording.fills
    assert len(fills) > 0
    for fill in fills:
        placed = parts.working.all[fill.order_id].created_at
        assert fill.ts_venue is not None and placed + 10_000_000 <= fill.ts_venue <= fill.ts - 10_000_000
        assert fill.rule in ("queue", "through", "crossed", "walk") and len(fill.cause_tape) == 16
    again = await played(recording[1])
    assert again.journal.events_sha256 == parts.journal.events_sha256


def test_the_same_recording_through_the_live_door_gives_the_same_events(
    recording: tuple[Path, str], tmp_path: Path
) -> None:
    """Paper on the tape: tasks, inbox and a clock that jumps instead of a world that asks everybody in turn."""
    path = tmp_path / "maker.yaml"
    path.write_text(recording[1])
    code, text = run_parity(path, ())
    assert code == 0 and text.startswith("parity: equal, "), text


def test_our_own_book_is_the_recorded_one_at_each_message(recording: tuple[Path, str]) -> None:
    """Against sides kept in plain dicts, after each of the first messages and then each hundredth."""
    tape = read(recording[0], "depth", "BTCUSDT")
    book, checked = OwnBook(tape, 0, Books(kernel())), 0
    units = 10.0**tape.price_scale, 10.0**tape.size_scale
    shown: dict[int, tuple[int, int, int, int]] = dict(books(tape))  # of one nanosecond the last counts
    for number, (ts, (bid, bid_size, ask, ask_size)) in enumerate(shown.items()):
        if number > 50 and number % 100:
            continue
        expected = (bid / units[0], bid_size / units[1], ask / units[0], ask_size / units[1])
        if bid and ask:
            assert bid < ask
            assert book.advance(ts).best() == expected
            checked += 1
    assert checked > 50
