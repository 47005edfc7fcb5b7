"""The cache: what it holds is what its files say, whole or not at all, and damage is set aside, never used."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import cache
from adapters.cache import QUARANTINE, Shelf, safe_name
from adapters.kept.cache_periods import period_of, periods, union, within, without
from adapters.tapes import tape_file, tape_head
from adapters.tapes.tape_file import StoredTape, open_tape
from core.errors import DataError, VenueError
from core.moments import DAY_NS
from core.tape import Kind, in_memory
from fake_fetcher import HOLE, MAY_4, MINUTE, FakeFetcher, history, loaded, rows_in, rows_of

HOUR = 60 * MINUTE


def shelf(root: Path, kind: Kind = "trades", symbol: str = "X") -> Shelf:
    return Shelf(root, venue="fake-linear", symbol=symbol, kind=kind, interval_ns=MINUTE if kind == "bars" else 0)


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*.parquet*"))


def flip(path: Path, at: int, bit: int = 0x10) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= bit
    path.write_bytes(raw)


# --- ranges and periods ---------------------------------------------------------------------------------------------

SPANS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda one: (one[0], one[0] + one[1])), max_size=6
)


@given(SPANS, st.integers(0, 45), st.integers(0, 45))
def test_what_is_left_and_what_is_there_are_the_whole_and_never_overlap(
    spans: list[tuple[int, int]], low: int, high: int
) -> None:
    """Against sets of single moments."""
    there = {at for since, until in spans for at in range(since, until)}
    left = without((low, high), spans)
    inside = within(union(spans), low, high)
    assert {at for since, until in left for at in range(since, until)} == set(range(low, high)) - there
    assert {at for since, until in inside for at in range(since, until)} == set(range(low, high)) & there
    assert all(since < until for since, until in [*left, *inside])
    assert left == union(left) and union(spans) == union(union(spans))


@pytest.mark.parametrize(
    ("kind", "interval", "name", "days"),
    [
        ("trades", 0, "2024-02-29", 1),
        ("depth", 0, "2024-02-29", 1),
        ("bars", MINUTE, "2024-02", 29),  # a leap year
        ("marks", HOUR, "2024-02", 29),
        ("bars", DAY_NS, "2024", 366),
        ("bars", 7 * DAY_NS, "2024", 366),
        ("funding", 0, "2024", 366),
    ],
)
def test_ticks_are_kept_by_day_bars_by_month_and_what_is_rare_by_year(
    kind: Kind, interval: int, name: str, days: int
) -> None:
    at = 1709208000_000000000  # 2024-02-29T12:00:00Z
    period = period_of(kind, interval, at)
    assert (period.name, (period.until - period.since) // DAY_NS) == (name, days)
    first, second = periods(kind, interval, at, period.until + 1)
    assert first == period and second.since == period.until


# --- what is kept ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["trades", "bars"])
def test_what_was_fetched_once_is_not_asked_for_again(tmp_path: Path, kind: Kind) -> None:
    """Three days; then the same, a part of it, and a longer range, of which the missing ends alone are asked for."""
    start, end = MAY_4 + DAY_NS, MAY_4 + 4 * DAY_NS
    venue = FakeFetcher()
    first = loaded(tmp_path, kind, start, end, venue)
    assert venue.asked == [(start, end)]
    again = loaded(tmp_path, kind, start, end, venue)
    part = loaded(tmp_path, kind, start + 5 * HOUR, end - 7 * HOUR, venue)
    assert venue.asked == [(start, end)] and again.tape_id == first.tape_id
    assert rows_in(part) == [row for row in rows_in(first) if start + 5 * HOUR <= opened(kind, row) < end - 7 * HOUR]
    longer = loaded(tmp_path, kind, start - HOUR, end + HOUR, venue)
    assert venue.asked[1:] == [(start - HOUR, start), (end, end + HOUR)]
    assert rows_in(longer) == rows_in(loaded(None, kind, start - HOUR, end + HOUR))


def opened(kind: Kind, row: tuple[int, ...]) -> int:
    return row[0] - (MINUTE if kind == "bars" else 0)


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(["trades", "bars"]),
    ranges=st.lists(st.tuples(st.integers(0, 95), st.integers(1, 60)), min_size=1, max_size=5),
)
def test_any_ranges_in_any_order_make_the_same_rows_and_the_same_id(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind, ranges: list[tuple[int, int]]
) -> None:
    """Hours of four days, overlapping as they may: then all of them, nothing twice and nothing missing."""
    root = tmp_path_factory.mktemp("cache")
    for hour, hours in ranges:
        loaded(root, kind, MAY_4 + hour * HOUR, MAY_4 + min(hour + hours, 96) * HOUR)
    venue = FakeFetcher()
    whole = loaded(root, kind, MAY_4, MAY_4 + 4 * DAY_NS, venue)
    assert rows_in(whole) == rows_in(loaded(None, kind, MAY_4, MAY_4 + 4 * DAY_NS))
    once = tmp_path_factory.mktemp("once")
    assert whole.tape_id == loaded(once, kind, MAY_4, MAY_4 + 4 * DAY_NS).tape_id
    had = union((hour * HOUR, min(hour + hours, 96) * HOUR) for hour, hours in ranges)
    assert union(venue.asked) == [(MAY_4 + low, MAY_4 + high) for low, high in without((0, 96 * HOUR), had)]


def test_a_hole_of_the_venue_is_kept_as_such_and_told(tmp_path: Path) -> None:
    """Seven minutes it does not have: asked for once, listed as a gap in every run, filled in none."""
    venue = FakeFetcher()
    for _ in range(2):
        tape = loaded(tmp_path, "bars", MAY_4, MAY_4 + DAY_NS, venue)
        assert len(tape) == 1440 - 7
        assert [(gap.since, gap.until, gap.rows) for gap in tape.gaps] == [(*HOLE, 7)]
        assert any("all holes are the venue's" in note for note in tape.notes)
    assert len(venue.asked) == 1


def test_a_range_without_a_row_is_kept_too(tmp_path: Path) -> None:
    """The venue has answered that there is nothing: it is not asked again, and the run says what it found."""
    venue = FakeFetcher()
    for _ in range(2):
        with pytest.raises(DataError, match="no bars from 2025-05-04 10:00:00Z to 2025-05-04 10:07:00Z"):
            loaded(tmp_path, "bars", *HOLE, venue)
    assert len(venue.asked) == 1


def test_what_is_younger_than_two_minutes_counts_now_and_is_asked_for_again(tmp_path: Path) -> None:
    """A venue may need a moment to publish the last trades."""
    now = MAY_4 + 10 * HOUR
    trades = rows_of("trades", "X", 0, MAY_4, now)
    kept = Shelf(tmp_path, venue="fake-linear", symbol="X", kind="trades", now=lambda: now)
    kept.folder.mkdir(parents=True)
    kept.add([(trades, MAY_4, now)])
    assert kept.missing(MAY_4, now) == [(now - 120_000_000_000, now)]
    assert sum(map(len, kept.parts(MAY_4, now))) == len(trades)


def test_rows_that_came_are_counted_also_where_the_venue_has_less_than_before(tmp_path: Path) -> None:
    """Ten hours, the last two too young to be believed and each print in them twice; then the venue has it once."""
    end, settled = MAY_4 + 10 * HOUR, MAY_4 + 8 * HOUR - 120_000_000_000
    trades = rows_of("trades", "X", 0, MAY_4, end)
    young = trades.columns["ts_venue"] >= settled
    twice = in_memory(trades, {name: np.repeat(col, 1 + young) for name, col in trades.columns.items()}, trades.gaps)
    kept = Shelf(tmp_path, venue="fake-linear", symbol="X", kind="trades", now=lambda: MAY_4 + 8 * HOUR)
    kept.folder.mkdir(parents=True)
    kept.add([(twice, MAY_4, end)])
    told = asyncio.run(history(tmp_path, "trades", MAY_4, end).download())
    assert (told.rows, told.new, told.asked) == (len(trades), int(young.sum()), True) and told.new > 20
    again = asyncio.run(history(tmp_path, "trades", MAY_4, end).download())
    assert (again.rows, again.new, again.asked) == (len(trades), 0, False)


def test_ticks_from_the_cache_stay_on_the_disk(tmp_path: Path) -> None:
    tape = loaded(tmp_path, "trades", MAY_4, MAY_4 + 3 * DAY_NS)
    parts = getattr(tape, "parts", ())
    assert len(parts) == 3 and all(isinstance(part, StoredTape) and part.is_whole for part in parts)


def test_progress_tells_rows_so_far_and_how_many_there_may_be(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        asyncio.run(history(tmp_path, "bars", MAY_4, MAY_4 + 2 * DAY_NS).load(lambda *seen: told.append(seen)))
    assert told == [(1433, 2866), (2873, 2873), (2873, 2873)]


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_what_was_answered_before_the_venue_went_away_is_kept(tmp_path: Path) -> None:
    venue = FakeFetcher(fails_after=2)
    with pytest.raises(VenueError, match="the fake venue is gone"):
        loaded(tmp_path, "trades", MAY_4, MAY_4 + 4 * DAY_NS, venue)
    assert shelf(tmp_path).missing(MAY_4, MAY_4 + 4 * DAY_NS) == [(MAY_4 + 2 * DAY_NS, MAY_4 + 4 * DAY_NS)]


def test_ctrl_c_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """Canceled in the middle of the third day of bars, which are written a month at a time."""

    async def canceled() -> None:
        venue = FakeFetcher()
        task = asyncio.create_task(history(tmp_path, "bars", MAY_4, MAY_4 + 5 * DAY_NS, venue).load())
        while venue.parts < 3:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(canceled())
    (left,) = shelf(tmp_path, "bars").missing(MAY_4, MAY_4 + 5 * DAY_NS)
    assert left[0] >= MAY_4 + 2 * DAY_NS and left[1] == MAY_4 + 5 * DAY_NS


@pytest.mark.parametrize("share", [i / 23 for i in range(24)])
def test_a_flipped_bit_anywhere_is_noticed_named_and_fetched_again(tmp_path: Path, share: float) -> None:
    """Whatever it is part of: rows, page headers, statistics, the footer, bytes that nobody reads."""
    first = loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS)
    (path,) = tmp_path.rglob("*.parquet")
    flip(path, int(share * (path.stat().st_size - 1)))
    venue = FakeFetcher()
    again = loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS, venue)
    assert again.tape_id == first.tape_id and venue.asked == [(MAY_4, MAY_4 + DAY_NS)]
    assert path.with_name(path.name + QUARANTINE).exists() and not path.exists()
    assert any(str(path) in note and "fetched again" in note for note in again.notes)


def test_there_is_no_byte_whose_change_goes_unnoticed(tmp_path: Path) -> None:
    """Every byte of a file, one after the other; and nothing is wrong with it once the last is put back."""
    loaded(tmp_path, "trades", MAY_4, MAY_4 + HOUR)
    store = shelf(tmp_path)
    (version,) = store.versions()
    good = version.path.read_bytes()
    with version.path.open("r+b", buffering=0) as stream:
        for at, byte in enumerate(good):
            stream.seek(at)
            stream.write(bytes([byte ^ 0x01]))
            told = store.examined(version)
            assert isinstance(told, str) and "has the checksum" in told, f"byte {at}"
            stream.seek(at)
            stream.write(bytes([byte]))
    assert isinstance(store.examined(version), StoredTape) and len(good) > 1_000


def test_nothing_cut_off_added_blanked_or_in_another_order_goes_unnoticed(tmp_path: Path) -> None:
    """Every 7th length, and stretches of 32 bytes, two after two: one as zeros, both in the other's place."""
    loaded(tmp_path, "bars", MAY_4, MAY_4 + HOUR)
    store = shelf(tmp_path, "bars")
    (version,) = store.versions()
    good = version.path.read_bytes()
    spoiled = [good[:length] for length in range(0, len(good), 7)] + [good + b"\x00", good + good]
    for at in range(0, len(good) - 64, 64):
        before, one, other, after = good[:at], good[at : at + 32], good[at + 32 : at + 64], good[at + 64 :]
        spoiled += [before + bytes(32) + other + after, before + other + one + after]
    for raw in spoiled:
        if raw != good:
            version.path.write_bytes(raw)
            told = store.examined(version)
            assert isinstance(told, str) and "has the checksum" in told
    version.path.write_bytes(good)
    assert isinstance(store.examined(version), StoredTape) and len(spoiled) > 500


def test_damage_from_before_the_checksum_is_no_tape_or_one_that_can_be_opened(tmp_path: Path) -> None:
    """A file that was spoiled before its checksum was made, any 16th byte of it: told, or opened, never an accident."""
    loaded(tmp_path, "bars", MAY_4, MAY_4 + HOUR)
    store = shelf(tmp_path, "bars")
    (version,) = store.versions()
    good, told = version.path.read_bytes(), 0
    for at in range(0, len(good), 16):
        raw = good[:at] + bytes([good[at] ^ 0x81]) + good[at + 1 :]
        version.path.write_bytes(raw)
        found = store.examined(version._replace(checksum=cache.checksum(version.path)))
        told += isinstance(found, str)
    assert told > 50


@pytest.mark.parametrize("kind", ["trades", "bars"])
def test_several_damaged_files_of_a_range_are_all_named_and_fetched_again(tmp_path: Path, kind: Kind) -> None:
    """The first, a middle and the last of five days (of five months of bars), looked at side by side."""
    length = DAY_NS if kind == "trades" else 31 * DAY_NS
    end = MAY_4 + 5 * length
    first = loaded(tmp_path, kind, MAY_4, end)
    paths = sorted(tmp_path.rglob("*.parquet"))
    damaged = [paths[0], paths[2], paths[-1]]
    for path in damaged:
        flip(path, path.stat().st_size // 2)
    venue = FakeFetcher()
    again = loaded(tmp_path, kind, MAY_4, end, venue)
    assert again.tape_id == first.tape_id and len(venue.asked) == 3
    assert all(any(str(path) in note for note in again.notes) for path in damaged)
    assert all(path.with_name(path.name + QUARANTINE).exists() for path in damaged)


def test_damage_that_cannot_be_fetched_again_ends_with_the_command_that_repairs(tmp_path: Path) -> None:
    """Exit code 3, the file's name, what failed and what to do."""
    loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS)
    (path,) = tmp_path.rglob("*.parquet")
    flip(path, 100)
    with pytest.raises(DataError, match=r"python -m core\.run data repair") as told:
        loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS, FakeFetcher(fails_after=0))
    assert str(path) in str(told.value) and "the fake venue is gone" in str(told.value) and told.value.exit_code == 3


@pytest.mark.parametrize("length", [0, 1, 8, 500])
def test_a_truncated_file_is_set_aside(tmp_path: Path, length: int) -> None:
    loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS)
    (path,) = tmp_path.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:length])
    store = shelf(tmp_path)
    assert store.missing(MAY_4, MAY_4 + DAY_NS) == [(MAY_4, MAY_4 + DAY_NS)]
    assert not path.exists() and len(store.damaged) == 1


def test_a_good_file_in_the_wrong_place_is_set_aside(tmp_path: Path) -> None:
    """Another symbol's, or another day's: what the file says counts, its place and name do not."""
    loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS)
    (path,) = tmp_path.rglob("*.parquet")
    other = shelf(tmp_path, symbol="Y")
    other.folder.mkdir(parents=True)
    shutil.copy(path, other.folder / path.name)
    assert other.missing(MAY_4, MAY_4 + DAY_NS) == [(MAY_4, MAY_4 + DAY_NS)]
    assert (
        "says it is ('fake-linear', 'X', 'trades', 0), expected ('fake-linear', 'Y', 'trades', 0)" in other.damaged[0]
    )
    shutil.copy(path, path.with_name(path.name.replace("05-04", "05-05")))
    store = shelf(tmp_path)
    assert store.missing(MAY_4, MAY_4 + 2 * DAY_NS) == [(MAY_4 + DAY_NS, MAY_4 + 2 * DAY_NS)]
    assert "holds another period than 2025-05-05" in store.damaged[0]


@pytest.mark.parametrize("schema", [1, 3])
def test_a_file_of_an_older_or_newer_schema_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tape_file, "SCHEMA_VERSION", schema)
        patch.setattr(tape_head, "SCHEMA_VERSION", schema)
        loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS)
    venue = FakeFetcher()
    tape = loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS, venue)
    assert len(tape) == 400 and venue.asked == [(MAY_4, MAY_4 + DAY_NS)]
    assert any(f"schema version {schema}; expected version 2" in note for note in tape.notes)


def test_a_file_that_was_named_by_its_sha256_is_read_and_compared_too(tmp_path: Path) -> None:
    """As names were before they had a CRC-32: 16 digits. Nothing is fetched; one flipped bit, and all of it is."""
    first = loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS)
    (path,) = tmp_path.rglob("*.parquet")
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    path = path.rename(path.with_name(f"2025-05-04.v1.{digits}.parquet"))
    venue = FakeFetcher()
    assert loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS, venue).tape_id == first.tape_id and venue.asked == []
    flip(path, 100)
    again = loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS, venue)
    assert again.tape_id == first.tape_id and venue.asked == [(MAY_4, MAY_4 + DAY_NS)]
    assert any(f"its name says {digits}: renamed to" in note for note in again.notes)


def test_a_damaged_version_leaves_the_one_before_it(tmp_path: Path) -> None:
    """Half a day, then the whole: when the second file breaks the first still counts."""
    loaded(tmp_path, "trades", MAY_4, MAY_4 + 12 * HOUR)
    loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS)
    (path,) = tmp_path.rglob("2025-05-04.v2.*.parquet")
    flip(path, 50)
    venue = FakeFetcher()
    tape = loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS, venue)
    assert len(tape) == 400 and venue.asked == [(MAY_4 + 12 * HOUR, MAY_4 + DAY_NS)]
    assert [name.split(".")[1] for name in files(tmp_path)] == ["v1", "v2", "v3"]


def test_a_run_that_reads_a_version_is_not_disturbed_by_the_next_one(tmp_path: Path) -> None:
    """Versions that were replaced stay for a day, then the next writer removes them."""
    half = loaded(tmp_path, "trades", MAY_4, MAY_4 + 12 * HOUR)
    before = rows_in(half)
    loaded(tmp_path, "trades", MAY_4, MAY_4 + 18 * HOUR)
    assert rows_in(half) == before
    for path in tmp_path.rglob("*.parquet"):
        os.utime(path, (0, 0))
    loaded(tmp_path, "trades", MAY_4, MAY_4 + DAY_NS)
    assert [name.split(".")[1] for name in files(tmp_path)] == ["v2", "v3"]


def test_a_writer_that_dies_before_the_rename_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it left is swept away by the next writer."""
    store = shelf(tmp_path)
    store.folder.mkdir(parents=True)
    day = (rows_of("trades", "X", 0, MAY_4, MAY_4 + DAY_NS), MAY_4, MAY_4 + DAY_NS)

    def killed(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    for module in (tape_file, cache):
        with monkeypatch.context() as patch:
            patch.setattr(module.Path, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                store.add([day])
    (store.folder / ".2025-05-04.v1.1.new").write_bytes(b"half")
    assert shelf(tmp_path).missing(MAY_4, MAY_4 + DAY_NS) == [(MAY_4, MAY_4 + DAY_NS)]
    store.add([day])
    assert [path.name.split(".")[:2] for path in store.folder.iterdir()] == [["2025-05-04", "v1"]]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told_by_name(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="trades: cannot be written"):
        loaded(tmp_path, "trades", MAY_4, MAY_4 + HOUR)


def test_a_root_that_is_a_file_is_told_by_name(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    root.write_text("not a folder")
    with pytest.raises(DataError, match="trades: cannot be written"):
        loaded(root, "trades", MAY_4, MAY_4 + HOUR)


def test_a_full_disk_ends_with_the_folder_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the operating system says it: no space left on device."""

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tape_file.os, "fsync", full)
    with pytest.raises(DataError, match=r"No space left on device.*free space"):
        loaded(tmp_path, "trades", MAY_4, MAY_4 + HOUR)


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "symbol", ["../../x", "..", ".", "/etc/passwd", "a\\b", "BTC/USDT:USDT", "a\x00b", "币安人生USDT", "~root"]
)
def test_no_symbol_leaves_the_cache(tmp_path: Path, symbol: str) -> None:
    """Every symbol is one folder below the venue's."""
    store = shelf(tmp_path, symbol=symbol)
    assert (tmp_path / "tapes" / "fake-linear").resolve() == store.folder.resolve().parents[1]


@given(st.text(max_size=30), st.text(max_size=30))
def test_safe_names_are_plain_and_tell_symbols_apart(one: str, other: str) -> None:
    """ASCII without separators or leading dot; different texts, different names."""
    names = []
    for text in (one, other):
        try:
            names.append(safe_name(text))
        except (DataError, UnicodeEncodeError):
            return
    assert all(name.isascii() and not set(name) & set("/\\:\x00~") and name[0] != "." for name in names)
    assert (names[0] == names[1]) == (one == other)


def test_a_files_name_carries_the_checksum_of_all_its_bytes(tmp_path: Path) -> None:
    """CRC-32 as gzip writes it behind what it packs: little-endian, before the length."""
    loaded(tmp_path, "trades", MAY_4, MAY_4 + HOUR)
    (path,) = tmp_path.rglob("*.parquet")
    assert path.name == f"2025-05-04.v1.{gzip.compress(path.read_bytes())[-5:-9:-1].hex()}.parquet"
    assert open_tape(path).head.answered == ((MAY_4, MAY_4 + HOUR),)
    assert np.all(np.diff(open_tape(path).load().columns["ts"]) >= 0)
