"""Tapes on the disk: what is written comes back, a window at a time, and what is damaged or something else is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.tapes import tape_file
from adapters.tapes.tape_file import open_tape, write_tape
from core.errors import DataError
from core.tape import COLUMNS, LAST, NARROW, SNAPSHOT, Column, Gap, Kind, Tape
from recorded import read

MINUTE = 60_000_000_000


def tape_of(kind: Kind, rows: int, *, seed: int = 1, interval_ns: int = 0) -> Tape:
    """Made up columns; only times have a meaning: receipts ascend, venue times fall behind by up to 9."""
    rng = np.random.default_rng(seed)
    columns = {
        name: rng.integers(-1, 2, rows).astype(np.int8) if name in NARROW else rng.integers(1, 10**12, rows)
        for name in COLUMNS[kind]
    }
    columns["ts"] = np.arange(rows, dtype=np.int64) * 10 + 10**18
    columns["ts_venue"] = columns["ts"] - rng.integers(0, 20, rows)
    return Tape(
        kind=kind, venue="test", symbol="X", columns=columns, price_scale=2, size_scale=3, interval_ns=interval_ns,
        source="made up", gaps=(Gap(since=1, until=2, rows=3),), notes=("a note with ünicode",),
    )  # fmt: skip


def with_columns(tape: Tape, columns: dict[str, Column]) -> Tape:
    """Other rows of the same kind and scales."""
    return Tape(kind=tape.kind, venue="v", symbol="X", columns=columns, price_scale=2, size_scale=3, source="here")


@pytest.mark.parametrize("kind", sorted(COLUMNS))
def test_a_tape_of_each_kind_comes_back_as_it_was(tmp_path: Path, kind: Kind) -> None:
    tape = tape_of(kind, 1_000, interval_ns=MINUTE if kind == "bars" else 0)
    write_tape(tape, tmp_path / "deep" / "t.parquet")
    back = open_tape(tmp_path / "deep" / "t.parquet").load()
    assert back.tape_id == tape.tape_id
    for name in ("kind", "venue", "symbol", "price_scale", "size_scale", "interval_ns", "source", "gaps", "notes"):
        assert getattr(back, name) == getattr(tape, name)
    for name, column in tape.columns.items():
        assert back.columns[name].dtype == column.dtype and np.array_equal(back.columns[name], column)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["t.parquet"]


@settings(max_examples=40)
@given(rows=st.integers(0, 60), groups=st.integers(1, 25), window=st.integers(1, 70))
def test_windows_of_any_length_over_row_groups_of_any_length_give_every_row_once(
    tmp_path_factory: pytest.TempPathFactory, rows: int, groups: int, window: int
) -> None:
    tape = tape_of("depth", rows)
    path = tmp_path_factory.mktemp("chunks") / "t.parquet"
    write_tape(tape, path, group_rows=groups)
    stored = open_tape(path)
    assert len(stored) == rows and stored.tape_id == tape.tape_id
    parts, expected = list(stored.chunks(window)), list(tape.chunks(window))
    assert [len(part["ts"]) for part in parts] == [len(part["ts"]) for part in expected]
    for mine, theirs in zip(parts, expected, strict=True):
        assert sorted(mine) == sorted(theirs)
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


def test_rows_received_as_they_happen_are_read_with_one_time_for_both(tmp_path: Path) -> None:
    """Whichever columns are asked for; one row received a nanosecond later makes two times of it."""
    made = tape_of("trades", 50)
    tape = with_columns(made, dict(made.columns, ts_venue=made.columns["ts"]))
    write_tape(tape, tmp_path / "one.parquet", group_rows=8)
    later = dict(tape.columns, ts=tape.columns["ts"] + (np.arange(50) == 49))
    write_tape(with_columns(tape, later), tmp_path / "two.parquet", group_rows=8)
    one, two = open_tape(tmp_path / "one.parquet"), open_tape(tmp_path / "two.parquet")
    assert one.head.one_time and not two.head.one_time
    for stored, expected in ((one, tape.columns), (two, later)):
        for names in (("ts",), ("ts_venue",), ("price", "ts"), ("ts", "ts_venue"), COLUMNS["trades"]):
            windows = list(stored.chunks(7, names))
            assert all(list(window) == list(names) for window in windows)
            assert all(np.array_equal(np.concatenate([w[name] for w in windows]), expected[name]) for name in names)
    one.verify()
    two.verify()


@pytest.mark.parametrize("names", [("flags",), ("side", "flags"), ("action", "ts"), COLUMNS["l3"]])
@pytest.mark.parametrize("proven", [True, False])
def test_a_column_of_one_number_is_that_number_in_every_row(tmp_path: Path, names: Sequence[str], proven: bool) -> None:
    """Row groups of 20: of the first all sides are -1 and all flags 0, of the second the flags, of the third none."""
    made = tape_of("l3", 60)
    columns = dict(made.columns, side=made.columns["side"].copy(), flags=made.columns["flags"].copy())
    columns["side"][:20], columns["flags"][:20], columns["flags"][20:40] = -1, 0, 2
    tape = with_columns(made, columns)
    write_tape(tape, tmp_path / "t.parquet", group_rows=20)
    windows = list(open_tape(tmp_path / "t.parquet", proven=proven).chunks(13, names))
    for name in names:
        column = np.concatenate([window[name] for window in windows])
        assert column.dtype == columns[name].dtype and np.array_equal(column, columns[name])


def test_the_largest_steps_and_numbers_come_back(tmp_path: Path) -> None:
    """Differences of numbers at both ends of an int64 do not fit one; they are stored wrapped."""
    ends = np.array([-(2**63), 2**63 - 1, 0, 2**63 - 1, -(2**63)])
    columns = {name: np.zeros(5, dtype=np.int8) if name in NARROW else ends for name in COLUMNS["l3"]}
    columns["ts"] = columns["ts_venue"] = np.arange(5)
    tape = with_columns(tape_of("l3", 5), columns)
    write_tape(tape, tmp_path / "t.parquet")
    back = open_tape(tmp_path / "t.parquet").load()
    assert all(np.array_equal(back.columns[name], columns[name]) for name in columns)


def test_disorder_is_the_most_a_venue_time_falls_behind_and_is_stored(tmp_path: Path) -> None:
    """ts_venue 5, 9, 3, 8, 12: running maximum 5, 9, 9, 9, 12; behind 0, 0, 6, 1, 0."""
    columns = {name: np.ones(5, dtype=np.int8 if name in NARROW else np.int64) for name in COLUMNS["trades"]}
    columns["ts_venue"] = np.array([5, 9, 3, 8, 12])
    columns["ts"] = np.array([9, 9, 9, 9, 12])
    tape = Tape(kind="trades", venue="v", symbol="X", columns=columns, price_scale=0, size_scale=0, source="here")
    assert tape.max_disorder_ns == 6
    write_tape(tape, tmp_path / "t.parquet")
    assert open_tape(tmp_path / "t.parquet").max_disorder_ns == 6
    assert tape_of("trades", 0).max_disorder_ns == 0


def test_the_file_source_reads_a_stored_tape_under_the_venue_name_of_the_run(tmp_path: Path) -> None:
    tape = tape_of("quotes", 10)
    path = tmp_path / "t.parquet"
    write_tape(tape, path)
    assert read(path, "quotes", "X").tape_id == tape.tape_id
    renamed = read(path, "quotes", "X", venue="perp", format="tape")
    assert renamed.venue == "perp" and renamed.tape_id != tape.tape_id
    assert np.array_equal(renamed.load().columns["bid_price"], tape.columns["bid_price"])
    with pytest.raises(DataError, match="is a tape of quotes of X; expected trades of X"):
        read(path, "trades", "X")
    with pytest.raises(DataError, match="expected quotes of Y"):
        read(path, "quotes", "Y")


def test_a_stored_tape_of_bars_must_have_the_interval_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_tape(tape_of("bars", 5, interval_ns=MINUTE), path)
    assert len(read(path, "bars", "X", interval_ns=MINUTE)) == 5
    with pytest.raises(DataError, match="holds bars of 1m; expected bars of 5m"):
        read(path, "bars", "X", interval_ns=5 * MINUTE)


def test_rows_that_are_not_those_of_the_head_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head says the id of its rows: here it is another tape's."""
    path, other = tmp_path / "t.parquet", tape_of("trades", 50, seed=2)
    tape = tape_of("trades", 50)
    tape.tape_id = other.tape_id
    write_tape(tape, path)
    with pytest.raises(DataError, match="its rows give the tape id"):
        open_tape(path).load()


def test_damage_is_told_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_tape(tape_of("depth", 5_000), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"t.parquet: cannot be read as a tape"):
        open_tape(path).load()
    spoiled = bytearray(whole)
    spoiled[len(whole) // 3] ^= 0xFF
    path.write_bytes(bytes(spoiled))
    with pytest.raises(DataError, match=r"t.parquet: (cannot be read as a tape|its rows give)"):
        open_tape(path).load()
    with pytest.raises(DataError, match="there is no such file"):
        open_tape(tmp_path / "none.parquet")


@pytest.mark.parametrize("column", COLUMNS["depth"])
def test_a_flipped_bit_in_a_page_of_any_column_ends_the_reading(tmp_path: Path, column: str) -> None:
    """The last byte of its second row group is one of its numbers; rows of the first group were handed out before."""
    path = tmp_path / "t.parquet"
    write_tape(tape_of("depth", 300), path, group_rows=200)
    chunk = parquet.read_metadata(path).row_group(1).column(COLUMNS["depth"].index(column))
    raw = bytearray(path.read_bytes())
    raw[(chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size - 1] ^= 0x01
    path.write_bytes(raw)
    windows = open_tape(path).chunks(100)
    assert len(next(windows)["ts"]) == 100
    with pytest.raises(DataError, match=r"t.parquet: cannot be read as a tape"):
        list(windows)


@pytest.mark.parametrize("word", [b"trades", b"made up"])
def test_a_head_with_a_byte_that_is_no_text_is_told_as_damage(tmp_path: Path, word: bytes) -> None:
    """In a word of ours, in a sentence of a reader."""
    path = tmp_path / "t.parquet"
    write_tape(tape_of("trades", 3), path)
    table = parquet.read_table(path)
    head = table.schema.metadata[b"anyclock_tape"].replace(word, b"\x82" + word[1:])
    parquet.write_table(table.replace_schema_metadata({"anyclock_tape": head}), path)
    with pytest.raises(DataError, match=r"t.parquet: its head is not that of a tape"):
        open_tape(path)


def test_files_with_empty_cells_allowed_and_other_pages_are_read_as_well(tmp_path: Path) -> None:
    """As this program wrote them once: packed by zstd, pages of the first version, each cell with a mark of its own."""
    tape, path, old = tape_of("l3", 500), tmp_path / "t.parquet", tmp_path / "old.parquet"
    write_tape(tape, path)
    table = parquet.read_table(path)
    schema = pa.schema([field.with_nullable(True) for field in table.schema], metadata=table.schema.metadata)
    parquet.write_table(table.cast(schema), old, compression="zstd", data_page_version="1.0", row_group_size=99)
    assert old.read_bytes() != path.read_bytes() and open_tape(old).load().tape_id == tape.tape_id


def test_parquet_of_others_and_of_other_versions_is_no_tape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DataError, match="is Parquet but no tape"):
        open_tape(path)
    monkeypatch.setattr(tape_file, "SCHEMA_VERSION", 1)
    write_tape(tape_of("trades", 3), path)
    monkeypatch.undo()
    with pytest.raises(DataError, match="schema version 1; expected version 2"):
        open_tape(path)
    table = parquet.read_table(path).replace_schema_metadata({"anyclock_tape": "{"})
    parquet.write_table(table, path)
    with pytest.raises(DataError, match="its head is not that of a tape"):
        open_tape(path)


def test_a_write_that_fails_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    tape = tape_of("trades", 10)
    write_tape(tape, path)

    def refused(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapters.tapes.tape_file.os.fsync", refused)
    with pytest.raises(DataError, match="No space left on device"):
        write_tape(tape_of("trades", 20), path)
    assert open_tape(path).load().tape_id == tape.tape_id
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.parquet"]


def test_a_part_of_a_book_begins_at_the_snapshot_it_is_built_on() -> None:
    """Rows at 0..9 ns; snapshots are rows 0-1 and 5-6. From 7 on the book needs 5 and 6; from 4 on it needs all."""
    columns = {name: np.ones(10, dtype=np.int8 if name in NARROW else np.int64) for name in COLUMNS["depth"]}
    columns["ts_venue"] = columns["ts"] = np.arange(10, dtype=np.int64)
    flags = [SNAPSHOT, SNAPSHOT | LAST, LAST, LAST, LAST, SNAPSHOT, SNAPSHOT | LAST, LAST, LAST, LAST]
    columns["flags"] = np.array(flags, dtype=np.int8)
    tape = Tape(kind="depth", venue="v", symbol="X", columns=columns, price_scale=0, size_scale=0, source="here")
    assert tape.between(7, 8).columns["ts"].tolist() == [5, 6, 7, 8]
    assert tape.between(4, None).columns["ts"].tolist() == list(range(10))
    assert tape.between(None, 3).columns["ts"].tolist() == [0, 1, 2, 3]


def test_each_number_has_the_scale_of_its_column() -> None:
    tape = tape_of("quotes", 3)
    assert tape.floats("bid_price").tolist() == [value / 100 for value in tape.columns["bid_price"].tolist()]
    assert tape.floats("bid_size").tolist() == [value / 1_000 for value in tape.columns["bid_size"].tolist()]
    funding = tape_of("funding", 3)
    assert funding.floats("rate").tolist() == [value / 1_000 for value in funding.columns["rate"].tolist()]
    assert funding.floats("mark").tolist() == [value / 100 for value in funding.columns["mark"].tolist()]
