"""Tapes that stay on the disk while they are read: the same rows, ids and runs as with everything in memory."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.tapes.joined_tape import JoinedTape
from adapters.tapes.tape_file import open_tape, write_tape
from core.errors import DataError
from core.market.price_series import PriceReader
from core.market.tape_events import batches
from core.tape import COLUMNS, LAST, NARROW, SNAPSHOT, Column, Gap, Kind, Rows, Tape
from sim.feed_legs import FeedLegs
from sim.marks.mark_path import StreamedTrack

START = 10**18


def made(
    kind: Kind, rows: int, *, seed: int = 1, disorder: int = 0, first: int = START, scales: tuple[int, int] = (2, 3)
) -> Tape:
    """Made-up columns. Several rows share a receipt; venue times fall behind theirs by up to `disorder` more."""
    rng = np.random.default_rng(seed)
    columns = {
        name: rng.integers(-1, 2, rows).astype(np.int8) if name in NARROW else rng.integers(1, 10**6, rows)
        for name in COLUMNS[kind]
    }
    columns["ts"] = first + np.cumsum(rng.integers(0, 3, rows)) * 10
    columns["ts_venue"] = columns["ts"] - rng.integers(0, disorder + 1, rows)
    if "side" in columns:
        columns["side"] = rng.choice(np.array([-1, 1], dtype=np.int8), rows)
    if kind in ("depth", "l3"):
        columns["flags"] = rng.choice(np.array([0, LAST, LAST, SNAPSHOT, SNAPSHOT | LAST], dtype=np.int8), rows)
    gaps = (Gap(since=first + 5, until=first + 50, rows=1), Gap(since=first + 10**9, until=first + 2 * 10**9, rows=2))
    return Tape(
        kind=kind,
        venue="v",
        symbol="X",
        columns=columns,
        price_scale=scales[0],
        size_scale=scales[1],
        source="made up",
        gaps=gaps,
    )


def same(one: Rows, other: Rows) -> bool:
    """Every row and all that is said of them."""
    said = ("kind", "venue", "symbol", "price_scale", "size_scale", "interval_ns", "gaps", "edges", "lowest")
    columns, others = one.load().columns, other.load().columns
    return all(getattr(one, name) == getattr(other, name) for name in said) and all(
        np.array_equal(columns[name], others[name]) for name in COLUMNS[one.kind]
    )


def ranges(tape: Tape) -> st.SearchStrategy[tuple[int | None, int | None]]:
    """(start, end) with start <= end: on rows, between them, outside, open."""
    first, last = tape.edges.first_ts, tape.edges.last_ts
    times = st.one_of(st.integers(first - 30, last + 30), st.sampled_from(tape.columns["ts"].tolist()))
    both = st.tuples(times, times).map(sorted).map(tuple)
    return st.one_of(both, times.map(lambda at: (at, None)), times.map(lambda at: (None, at)), st.just((None, None)))


# --- one file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["trades", "quotes", "depth", "l3", "marks"])
def test_a_part_of_a_stored_tape_is_the_part_of_the_tape_in_memory(tmp_path: Path, kind: Kind) -> None:
    """Rows, id, edges, lowest price and gaps of 60 random ranges, over row groups of 7."""
    tape = made(kind, 200)
    write_tape(tape, tmp_path / "t.parquet", group_rows=7)
    stored = open_tape(tmp_path / "t.parquet")
    assert same(stored, tape) and stored.tape_id == tape.tape_id

    @settings(max_examples=15, deadline=None)
    @given(ranges(tape))
    def check(cut: tuple[int | None, int | None]) -> None:
        start, end = cut
        part, expected = stored.between(start, end), tape.between(start, end)
        assert same(part, expected) and part.tape_id == expected.tape_id
        assert [len(window["ts"]) for window in part.chunks(9)] == [len(window["ts"]) for window in expected.chunks(9)]

    check()


def test_a_part_of_a_part_is_cut_within_it(tmp_path: Path) -> None:
    tape = made("trades", 100)
    write_tape(tape, tmp_path / "t.parquet", group_rows=8)
    times = tape.columns["ts"].tolist()
    part = open_tape(tmp_path / "t.parquet").between(times[20], times[80])
    for start, end in ((times[0], times[40]), (times[60], times[99]), (times[30], times[50])):
        assert same(part.between(start, end), tape.between(times[20], times[80]).between(start, end))


def test_the_same_rows_at_another_venue_have_the_id_that_a_tape_of_there_has(tmp_path: Path) -> None:
    tape = made("quotes", 50)
    write_tape(tape, tmp_path / "t.parquet", group_rows=8)
    moved = open_tape(tmp_path / "t.parquet").at_venue("perp")
    assert moved.tape_id == tape.at_venue("perp").tape_id != tape.tape_id and moved.venue == "perp"


def test_chosen_columns_are_read_alone(tmp_path: Path) -> None:
    tape = made("trades", 50)
    write_tape(tape, tmp_path / "t.parquet", group_rows=8)
    windows = list(open_tape(tmp_path / "t.parquet").chunks(20, ("price", "ts")))
    assert [list(window) for window in windows] == [["price", "ts"]] * 3
    assert np.concatenate([window["price"] for window in windows]).tolist() == tape.columns["price"].tolist()


def test_a_file_that_is_written_anew_under_a_run_is_told(tmp_path: Path) -> None:
    """Rows of two versions never meet in one run."""
    path = tmp_path / "t.parquet"
    write_tape(made("trades", 50), path, group_rows=8)
    stored = open_tape(path)
    write_tape(made("trades", 50, seed=2), path, group_rows=8)
    with pytest.raises(DataError, match="was written anew while it was read"):
        list(stored.chunks(10))


def test_rows_that_were_changed_without_their_checksums_are_found_by_verify(tmp_path: Path) -> None:
    """A tape that lies about its own id: nothing but reading all rows can tell."""
    tape = made("trades", 50)
    tape.tape_id = made("trades", 50, seed=2).tape_id
    write_tape(tape, tmp_path / "t.parquet", group_rows=8)
    with pytest.raises(DataError, match="its rows give the tape id"):
        open_tape(tmp_path / "t.parquet").verify()


# --- several files --------------------------------------------------------------------------------------------------


def with_columns(tape: Tape, columns: dict[str, Column]) -> Tape:
    """Other rows of the same kind and scales."""
    return Tape(
        kind=tape.kind,
        venue=tape.venue,
        symbol=tape.symbol,
        columns=columns,
        price_scale=tape.price_scale,
        size_scale=tape.size_scale,
        source="piece",
    )


def split(tape: Tape, at: list[int]) -> list[Tape]:
    """The tape in pieces, cut before these rows."""
    pieces = []
    for low, high in pairwise([0, *at, len(tape)]):
        if low < high:
            pieces.append(with_columns(tape, {n: column[low:high].copy() for n, column in tape.columns.items()}))
    return pieces


@pytest.mark.parametrize(("start", "first"), [(15, 10), (20, 10), (25, 10), (30, 10), (31, 30)])
def test_a_book_at_the_start_is_that_of_the_day_before_until_the_new_days_snapshot(start: int, first: int) -> None:
    """Two days of one snapshot each, received at 10 and at 30, and a change at 20: from 31 on the second tells all."""
    whole = made("depth", 3)
    columns = {name: column.copy() for name, column in whole.columns.items()}
    columns["ts"] = columns["ts_venue"] = START + np.array([10, 20, 30])
    columns["flags"] = np.array([SNAPSHOT | LAST, LAST, SNAPSHOT | LAST], dtype=np.int8)
    days = split(with_columns(whole, columns), [2])
    part = JoinedTape(days, venue="v", source="joined").between(START + start, None)
    assert part.edges.first_ts == START + first


def test_what_was_received_before_1970_is_before_any_end() -> None:
    tape = made("trades", 90, first=-10_000)
    joined = JoinedTape(split(tape, [30, 60]), venue="v", source="joined")
    assert joined.between(None, None) is joined
    assert same(joined.between(None, -9_700), JoinedTape(split(tape.between(None, -9_700), []), venue="v", source="x"))


@pytest.mark.parametrize("kind", ["trades", "depth"])
def test_joined_pieces_are_the_whole_in_every_range_and_window(kind: Kind) -> None:
    """Of depth also what builds the book at the start, in whichever piece its last snapshot stands."""
    tape = made(kind, 90)
    borders = [0, *(np.flatnonzero(tape.columns["flags"] & LAST) + 1).tolist()] if kind == "depth" else range(91)

    @settings(max_examples=60, deadline=None)
    @given(at=st.lists(st.sampled_from(borders), max_size=5).map(sorted), cut=ranges(tape), rows=st.integers(1, 99))
    def check(at: list[int], cut: tuple[int | None, int | None], rows: int) -> None:
        start, end = cut
        joined = JoinedTape(split(tape, at), venue="v", source="joined", gaps=tape.gaps)
        assert same(joined, tape)
        part, expected = joined.between(start, end), tape.between(start, end)
        assert same(part, expected)
        windows, other = list(part.chunks(rows)), list(expected.chunks(rows))
        assert [len(window["ts"]) for window in windows] == [len(window["ts"]) for window in other]

    check()


def test_pieces_of_different_scales_are_joined_at_the_finest() -> None:
    """1.5 and 1.25 are 150 and 125 hundredths; sizes 3 and 0.5 are 30 and 5 tenths."""
    pieces = []
    for price, size, scales in (([15], [3], (1, 0)), ([125], [5], (2, 1))):
        tape = made("trades", 1, scales=scales)
        pieces.append(with_columns(tape, tape.columns | {"price": np.array(price), "size": np.array(size)}))
    joined = JoinedTape(pieces, venue="v", source="joined")
    (window,) = joined.chunks(10)
    assert (joined.price_scale, window["price"].tolist()) == (2, [150, 125])
    assert (joined.size_scale, window["size"].tolist()) == (1, [30, 5])
    assert joined.lowest == 125


def test_a_number_too_long_for_the_finest_scale_is_refused() -> None:
    """10^17 at 10^-1 beside a scale of 4 would be 10^20, above 2^63."""
    coarse, fine = made("trades", 1, scales=(1, 0)), made("trades", 1, scales=(4, 0))
    columns = coarse.columns | {"price": np.array([10**17])}
    big = Tape(kind="trades", venue="v", symbol="X", columns=columns, price_scale=1, size_scale=0, source="big.parquet")
    with pytest.raises(DataError, match=r"big.parquet: its price 100000000000000000"):
        list(JoinedTape([big, fine], venue="v", source="joined").chunks(10))


def test_a_receipt_before_the_end_of_the_piece_before_counts_from_then_on() -> None:
    """The clock of the second piece is 25 ns behind: receipts 0, 10, 20 | -5, 5, 15, 25 become ..., 20, 20, 20, 25."""
    one, two = made("trades", 3), made("trades", 4)
    pieces = []
    for tape, received in ((one, [0, 10, 20]), (two, [-5, 5, 15, 25])):
        times = np.array(received) + START
        pieces.append(with_columns(tape, tape.columns | {"ts": times, "ts_venue": times.copy()}))
    joined = JoinedTape(pieces, venue="v", source="joined")
    assert (joined.load().columns["ts"] - START).tolist() == [0, 10, 20, 20, 20, 20, 25]
    assert joined.edges.last_ts == START + 25
    # 20 was the latest venue time, the next row happened at -5: 25 behind.
    assert joined.max_disorder_ns == 25 == joined.load().max_disorder_ns


def test_the_id_of_joined_files_does_not_depend_on_what_else_the_files_hold(tmp_path: Path) -> None:
    """Day one from its middle on: cut from a file of the whole day at a finer scale, or fetched and kept alone."""
    coarse, fine = made("trades", 40, scales=(1, 3)), made("trades", 20, scales=(2, 3))
    columns = {name: np.concatenate((fine.columns[name], coarse.columns[name])) for name in coarse.columns}
    columns["price"] = np.concatenate((fine.columns["price"] * 10 + 1, coarse.columns["price"] * 10))
    columns["ts"] = START + np.arange(60) * 10
    columns["ts_venue"] = columns["ts"].copy()
    late = {name: column[20:].copy() for name, column in columns.items()} | {"price": coarse.columns["price"].copy()}
    sizes = {"size": columns["size"] * 10 + 1}
    whole = Tape(kind="trades", venue="v", symbol="X", columns=columns | sizes, price_scale=2, size_scale=3, source="a")
    alone = Tape(kind="trades", venue="v", symbol="X", columns=late | {"size": sizes["size"][20:]}, price_scale=1,
                 size_scale=3, source="b")  # fmt: skip
    after = made("trades", 10, first=START + 10_000)
    for tape, name in ((whole, "whole"), (alone, "alone"), (after, "after")):
        write_tape(tape, tmp_path / f"{name}.parquet", group_rows=8)
    start = int(columns["ts"][20])
    cut, kept, second = (open_tape(tmp_path / f"{name}.parquet") for name in ("whole", "alone", "after"))
    ids = {JoinedTape([part, second], venue="v", source="s").tape_id for part in (cut.between(start, None), kept)}
    assert len(ids) == 1
    assert JoinedTape([kept, second], venue="w", source="s").tape_id not in ids
    assert JoinedTape([cut, second], venue="v", source="s").tape_id not in ids


# --- what reads them ------------------------------------------------------------------------------------------------


def test_events_of_a_stored_tape_are_those_of_the_tape_in_memory(tmp_path: Path) -> None:
    for kind in ("trades", "quotes", "depth"):
        tape = made(kind, 500)
        write_tape(tape, tmp_path / f"{kind}.parquet", group_rows=64)
        stored = open_tape(tmp_path / f"{kind}.parquet")
        assert [*batches(stored, 7, START + 90)] == [*batches(tape, 7, START + 90)]


@pytest.mark.parametrize("disorder", [0, 400])
def test_a_track_of_single_prices_answers_as_one_over_all_rows_would(
    disorder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The price at any moment, by looking through all rows sorted by venue time; windows of 40 rows that keep 20."""
    monkeypatch.setattr("sim.row_window.CHUNK", 40)
    monkeypatch.setattr("sim.row_window.KEPT", 20)
    monkeypatch.setattr("sim.marks.mark_path.LOOK_ROWS", 5)
    tape = made("trades", 700, disorder=disorder)
    order = np.argsort(tape.columns["ts_venue"], kind="stable")
    times, prices = tape.columns["ts_venue"][order], tape.columns["price"][order]
    track = StreamedTrack(tape, "price")
    for at in range(int(times[0]) - 5, int(times[-1]) + 30, 3):
        row = int(np.searchsorted(times, at, side="right")) - 1
        assert track.at(at) == (int(prices[row]) if row >= 0 else None)
        assert track.next_row(at) == (int(times[row + 1]) if row + 1 < len(times) else 2**63 - 1)
        back = at - 60
        row = int(np.searchsorted(times, back, side="right")) - 1
        assert track.at(back) == (int(prices[row]) if row >= 0 else None)


def test_a_search_of_a_track_finds_what_a_search_over_all_rows_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first newer row at or above a price, looked for 5 rows at a time."""
    monkeypatch.setattr("sim.row_window.CHUNK", 40)
    monkeypatch.setattr("sim.row_window.KEPT", 20)
    monkeypatch.setattr("sim.marks.mark_path.LOOK_ROWS", 5)
    tape = made("trades", 300)
    times, prices = tape.columns["ts_venue"], tape.columns["price"]
    for level in (10_000, 900_000, 999_000):
        track = StreamedTrack(tape, "price")
        for since in times[::17].tolist():
            rows = np.flatnonzero((times > since) & (prices >= level))
            expected = int(times[rows[0]]) if len(rows) else None
            found = track.reaches(Decimal(level).scaleb(-2), 1, since)
            while not found.found and found.at < 2**63 - 1:
                beyond = track.at(found.at)
                if beyond is not None and beyond >= level:
                    found = found._replace(found=True)
                    break
                found = track.reaches(Decimal(level).scaleb(-2), 1, found.at)
            assert (found.at if found.found else None) == expected


def test_feed_legs_over_windows_are_those_over_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest row by receipt of two tapes; at one nanosecond the later tape's, then the later row."""
    monkeypatch.setattr("sim.row_window.CHUNK", 16)
    monkeypatch.setattr("sim.row_window.KEPT", 8)
    tapes = [made("trades", 200, disorder=50), made("quotes", 150, seed=3, disorder=90)]
    received = np.concatenate([tape.columns["ts"] for tape in tapes])
    took = received - np.concatenate([tape.columns["ts_venue"] for tape in tapes])
    order = np.argsort(received, kind="stable")
    legs = FeedLegs.of_tapes(tapes)
    for at in range(START - 20, START + 2_500, 7):
        row = int(np.searchsorted(received[order], at, side="right")) - 1
        assert legs.at(at) == (int(took[order][row]) if row >= 0 else 0)


@settings(max_examples=60)
@given(times=st.lists(st.integers(-20, 260), min_size=1, max_size=40).map(sorted), parts=st.integers(1, 6))
def test_prices_at_ascending_times_are_those_of_the_last_row_received(times: list[int], parts: int) -> None:
    """Whatever the parts they are asked for in."""
    tape = made("trades", 20)
    received, price = tape.columns["ts"], tape.columns["price"]
    asked: Column = np.array(times, dtype=np.int64) + START
    reader = PriceReader(tape)
    answers = [reader.at(part) for part in np.array_split(asked, parts)]
    found = np.concatenate([prices for prices, _ in answers])
    known = np.concatenate([known for _, known in answers])
    row = np.searchsorted(received, asked, side="right") - 1
    assert known.tolist() == (row >= 0).tolist()
    assert found.tolist() == np.where(row >= 0, price[row], 0).tolist()
