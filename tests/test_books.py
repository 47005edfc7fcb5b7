"""Books at their edges: many levels, many orders, long numbers, rows that say odd things, and the order of all rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

import numpy as np
import pytest

from core.errors import DataError
from core.tape import COLUMNS, Kind, Tape
from random_books import Row, run, scenario
from sim.books.book_rows import Source, merged
from sim.books.books import LEVELS, SLOTS
from sim.books.chunk_shelf import KEPT, ChunkShelf
from sim.books.kernel_state import TRADE

D = Decimal


def limit(name: str, price: str, qty: str = "1", side: str = "buy", **more: Any) -> Row:
    return {"id": name, "symbol": "X", "side": side, "type": "limit", "price": price, "qty": qty, **more}


def depth(at: float, **row: Any) -> Row:
    return {"at": at, "symbol": "X", "depth": {"bids": [], "asks": [], **row}}


def trade(at: float, side: str, price: str, qty: str, **flags: bool) -> Row:
    return {"at": at, "symbol": "X", "trade": {"side": side, "price": price, "qty": qty, **flags}}


def fills(whole: Row) -> list[tuple[Any, ...]]:
    ran = run(whole)
    assert ran.broken == []
    return [(e["order"], e["price"], e["qty"], e["rule"]) for e in ran.events if e["event"] == "filled"]


# --- size -----------------------------------------------------------------------------------------------------------


def test_a_book_grows_in_the_middle_of_a_snapshot() -> None:
    """One level more than there is room for; the last, at the worst price, is the first to come."""
    many = LEVELS + 500
    asks = [[f"{200 - n * 0.1:.1f}", "0.1"] for n in range(many)]
    buy = {"id": "a", "symbol": "X", "side": "buy", "type": "market", "qty": f"{many * 0.1:.1f}"}
    got = fills(scenario([depth(0, snapshot=True, asks=asks)], [{"at": 1, "submit": buy}]))
    assert len(got) == many
    assert [price for _, price, _, _ in got] == sorted(D(price) for price, _ in asks)


def test_more_own_orders_than_slots_keep_their_places() -> None:
    """Three times as many as there is room for at first, all at one price: one print eats them in order of arrival."""
    many = 3 * SLOTS + 1
    rows = [
        depth(0, snapshot=True, bids=[["100.0", "1"]], asks=[["100.1", "1"]]),
        trade(500, "sell", "100.0", f"{many}"),
    ]
    wanted = [{"at": 1 + n, "submit": limit(f"o{n}", "100.0")} for n in range(many)]
    whole = scenario(rows, wanted, models={"rate_limits": {"kind": "none"}})
    # 1 is ahead of all, so of `many` printed the last own order gets nothing.
    assert fills(whole) == [(f"o{n}", D("100.0"), D(1), "queue") for n in range(many - 1)]


def test_a_tape_of_one_row_is_a_market() -> None:
    for row in (
        depth(0, snapshot=True, asks=[["100.0", "1"]]),
        {"at": 0, "symbol": "X", "quote": {"ask": ["100.0", "1"]}},
    ):
        buy = {"id": "a", "symbol": "X", "side": "buy", "type": "market", "qty": "2"}
        assert fills(scenario([row], [{"at": 1, "submit": buy}])) == [("a", D("100.0"), D(1), "walk")]


def test_before_the_first_row_there_is_no_market() -> None:
    buy = {"id": "a", "symbol": "X", "side": "buy", "type": "market", "qty": "2"}
    rows = [depth(10, snapshot=True, bids=[], asks=[["100.0", "1"]])]
    ran = run(scenario(rows, [{"at": 1, "submit": buy}, {"at": 2, "submit": limit("b", "99.0")}]))
    assert [(e["order"], e["event"]) for e in ran.events] == [("a", "accepted"), ("a", "expired"), ("b", "accepted")]


# --- long numbers ---------------------------------------------------------------------------------------------------


def long_numbers(tick: str, price: str) -> Row:
    rows = [depth(0, snapshot=True, bids=[["1", "1"]], asks=[[price, "1"]])]
    whole = scenario(
        rows, [{"at": 1, "submit": {"id": "a", "symbol": "X", "side": "buy", "type": "market", "qty": "1"}}]
    )
    whole["instruments"]["X"]["tick"] = tick
    whole["account"]["wallet"] = "1000000000000000"
    return whole


def test_eighteen_digits_of_a_price_are_exact() -> None:
    assert fills(long_numbers("0.00000001", "1234567890.12345678")) == [("a", D("1234567890.12345678"), D(1), "walk")]


def test_a_price_that_does_not_fit_with_the_ticks_decimals_is_refused() -> None:
    with pytest.raises(DataError, match="does not fit the market's unit, 100000000 times finer"):
        run(long_numbers("0.00000001", "1000000000000"))


def test_an_order_beyond_every_price_rests_behind_every_price() -> None:
    """A SELL at 10^12 on a tick of 10^-8 is no int64; it waits and nothing reaches it."""
    rows = [depth(0, snapshot=True, bids=[["99", "1"]], asks=[["101", "1"]]), trade(10, "buy", "101", "1")]
    whole = scenario(rows, [{"at": 1, "submit": limit("a", "1000000000000", "0.1", "sell")}])
    whole["instruments"]["X"]["tick"] = "0.00000001"
    whole["account"]["wallet"] = "1000000000000"
    assert fills(whole) == []


# --- odd rows -------------------------------------------------------------------------------------------------------


def test_an_empty_snapshot_empties_the_book() -> None:
    rows = [
        depth(0, snapshot=True, bids=[["100.0", "4"]], asks=[["100.1", "4"]]),
        depth(10, snapshot=True),
        trade(20, "sell", "100.0", "0.5"),
    ]
    ran = run(scenario(rows, [{"at": 1, "submit": limit("a", "100.0")}]))
    assert ran.final["books"]["X"]["displayed"] == {"bids": [], "asks": []}
    # Nobody is ahead where nothing is displayed.
    assert [(e["qty"], e["engine_at"]) for e in ran.events if e["event"] == "filled"] == [(D("0.5"), 20_000_000)]


def test_of_a_level_named_twice_in_one_message_the_last_counts() -> None:
    rows = [depth(0, snapshot=True, asks=[["100.0", "4"], ["100.0", "1"], ["100.1", "9"]])]
    buy = {"id": "a", "symbol": "X", "side": "buy", "type": "market", "qty": "2"}
    assert fills(scenario(rows, [{"at": 1, "submit": buy}])) == [
        ("a", D("100.0"), D(1), "walk"),
        ("a", D("100.1"), D(1), "walk"),
    ]


def test_own_orders_at_one_price_on_both_sides_never_rest_together() -> None:
    rows = [depth(0, snapshot=True, bids=[["99.0", "1"]], asks=[["101.0", "1"]])]
    wanted = [
        {"at": 1, "submit": limit("s", "100.0", side="sell")},
        {"at": 2, "submit": limit("b", "100.0", stp="expire_taker")},
        {"at": 3, "submit": limit("c", "100.0", stp="expire_maker")},
    ]
    ran = run(scenario(rows, wanted))
    assert [(e["order"], e["event"]) for e in ran.events] == [
        ("s", "accepted"),
        ("b", "accepted"),
        ("b", "expired"),
        ("c", "accepted"),
        ("s", "expired"),
    ]
    assert ran.final["orders"]["c"]["status"] == "accepted"


def test_a_quote_without_a_side_leaves_nobody_ahead() -> None:
    rows = [
        {"at": 0, "symbol": "X", "quote": {"bid": ["100.0", "4"], "ask": ["100.2", "1"]}},
        {"at": 10, "symbol": "X", "quote": {"bid": ["100.0", "0"]}},
    ]
    wanted = [{"at": 1, "submit": limit("at", "100.0")}, {"at": 2, "submit": limit("behind", "99.9")}]
    ran = run(scenario(rows, wanted))
    assert ran.final["books"]["X"]["queue_ahead"] == {"at": D(0), "behind": D(0)}


def l3(at: float, action: str, name: str, **more: Any) -> Row:
    return {"at": at, "symbol": "X", "l3": {"action": action, "id": name, **more}}


def test_an_unknown_order_that_does_not_say_where_it_stands_is_left_out() -> None:
    rows = [
        l3(0, "add", "1", side="sell", price="100.0", qty="2"),
        l3(1, "modify", "7", qty="3"),
        l3(2, "delete", "8"),
        l3(3, "modify", "9", side="sell", price="100.1", qty="1"),
    ]
    displayed = run(scenario(rows, [])).final["books"]["X"]["displayed"]
    assert displayed == {"bids": [], "asks": [(D("100.0"), D(2)), (D("100.1"), D(1))]}


# --- the order of all rows ------------------------------------------------------------------------------------------


def tape_of(kind: Kind, symbol: str, times: list[tuple[int, int]], draw: random.Random) -> Tape:
    """Rows at (venue time, receipt), in order of receipt."""
    times = sorted(times, key=lambda pair: pair[1])
    columns = {name: np.array([draw.randint(1, 9) for _ in times], dtype=np.int64) for name in COLUMNS[kind]}
    columns |= {"ts_venue": np.array([v for v, _ in times]), "ts": np.array([r for _, r in times])}
    columns |= {"side": np.array([draw.choice([1, -1]) for _ in times]), "flags": np.zeros(len(times), dtype=np.int64)}
    names = COLUMNS[kind]
    return Tape(
        kind=kind,
        venue="v",
        symbol=symbol,
        columns={name: columns[name] for name in names},
        price_scale=0,
        size_scale=0,
        source="drawn",
    )


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
def test_rows_of_all_tapes_come_by_engine_time_prints_first_in_any_chunks(chunk: int) -> None:
    """Against a plain sort by (venue time, prints before depth, market, receipt), for rows up to 50 ns out of order."""
    for seed in range(30):
        draw = random.Random(seed)
        sources, wanted = [], []
        for market in range(draw.randint(1, 3)):
            for kind in ("depth", "trades"):
                times = [(t := draw.randint(0, 60), t + draw.randint(0, 50)) for _ in range(draw.randint(1, 25))]
                tape = tape_of(kind, f"S{market}", times, draw)
                sources.append(Source(tape, market, 1, 1))
                venue_times = tape.columns["ts_venue"].tolist()
                wanted += [(at, kind == "depth", market, row) for row, at in enumerate(venue_times)]
        got = [
            (at, (what >> 2) & 3 != TRADE, what >> 8, row)
            for rows in merged(sources, ChunkShelf(), chunk)
            for at, what, row in zip(rows.at.tolist(), rows.what.tolist(), rows.row.tolist(), strict=True)
        ]
        assert got == sorted(wanted), f"seed {seed}"


class Counting:
    """A tape that notes how many of its chunks were read."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.read = tape, 0

    def chunks(self, rows: int) -> Iterator[dict[str, np.ndarray]]:
        for chunk in self.tape.chunks(rows):
            self.read += 1
            yield chunk


@pytest.mark.parametrize(("behind", "reads"), [(0, 20), (1, 20), (KEPT, 20), (KEPT + 1, 40)])
def test_a_tape_walked_twice_is_read_once_while_the_second_cursor_is_not_too_far_behind(
    behind: int, reads: int
) -> None:
    """20 chunks of one row. Who falls further behind than what is kept reads all of them for himself."""
    tape = Counting(tape_of("depth", "S", [(at, at) for at in range(20)], random.Random(1)))
    shelf = ChunkShelf()
    first, second = shelf.chunks(tape, 1), shelf.chunks(tape, 1)
    ahead = [int(next(first)["ts"][0]) for _ in range(behind)]
    followed = []
    for chunk in second:
        followed.append(int(chunk["ts"][0]))
        ahead += [int(chunk["ts"][0]) for chunk in islice(first, 1)]
    assert ahead == followed == list(range(20))
    assert tape.read == reads


@pytest.mark.parametrize("kinds", [["depth"], ["quotes"], ["trades"], ["depth", "trades"]])
@pytest.mark.parametrize("chunk", [3, 1000])
def test_all_rows_have_the_one_layout_that_the_compiled_kernel_is_called_with(kinds: list[str], chunk: int) -> None:
    draw = random.Random(1)
    tapes = [tape_of(kind, "S", [(at, at) for at in range(10)], draw) for kind in kinds]
    for rows in merged([Source(tape, 0, 1, 1) for tape in tapes], ChunkShelf(), chunk):
        for column in rows:
            assert column.dtype == np.int64 and column.flags.c_contiguous and column.flags.writeable


def test_rows_of_all_kinds_at_one_nanosecond() -> None:
    """Depth, two prints and an order in one moment: the prints come first, then the book, then the order."""
    rows = [
        depth(0, snapshot=True, bids=[["100.0", "3"]], asks=[["100.2", "3"]]),
        depth(10, bids=[["100.0", "2"]]),
        trade(10, "sell", "100.0", "1"),
        trade(10, "sell", "100.0", "2.5"),
    ]
    wanted = [{"at": 5, "submit": limit("a", "100.0", "2")}, {"at": 10, "submit": limit("b", "100.0", "1")}]
    ran = run(scenario(rows, wanted))
    assert [(e["order"], e["event"], e.get("qty")) for e in ran.events] == [
        ("a", "accepted", None),
        ("a", "filled", D("0.5")),  # 3 were ahead: 1 + 2.5 - 3
        ("b", "accepted", None),
    ]
    assert ran.final["books"]["X"]["queue_ahead"] == {"a": D(0), "b": D(2)}
