"""The cache of bars: what it holds is what its rows say, and damage is set aside, never used."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.cache import BarCache, missing, safe_name
from adapters.columns import Bars
from adapters.decimals import Decimals
from core.errors import DataError

pytest.importorskip("pyarrow")

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
MAY_4 = 1746316800_000000000
"""2025-05-04T00:00:00Z."""


def bars(times: list[int], price: int = 1000, scale: int = 1) -> Bars:
    column = np.full(len(times), price, dtype=np.int64)
    volume = Decimals(np.arange(len(times), dtype=np.int64), 3)
    return Bars(np.array(times, dtype=np.int64), *[Decimals(column, scale)] * 4, volume)


def minutes(start: int, count: int) -> list[int]:
    return [start + i * MINUTE for i in range(count)]


def cache(root: Path, symbol: str = "BTCUSDT", interval: int = MINUTE) -> BarCache:
    return BarCache(root, venue="binance-usdm", symbol=symbol, interval_ns=interval)


def day_file(root: Path, day: str = "2025-05-04") -> Path:
    return root / "binance-usdm" / "BTCUSDT" / "bars-1m" / f"{day}.parquet"


def test_rows_come_back_as_they_went_in_one_file_a_day(tmp_path: Path) -> None:
    """Three days of rows make three files under venue, symbol and interval."""
    cache(tmp_path).write(bars(minutes(MAY_4 + DAY - MINUTE, 1442)))
    names = sorted(path.name for path in day_file(tmp_path).parent.iterdir())
    assert names == ["2025-05-04.parquet", "2025-05-05.parquet", "2025-05-06.parquet"]
    back = cache(tmp_path).read(MAY_4, MAY_4 + 3 * DAY)
    assert back is not None and back.times.tolist() == minutes(MAY_4 + DAY - MINUTE, 1442)
    assert back.open.at_scale(1).tolist() == [1000] * 1442
    assert back.volume.at_scale(3).tolist() == list(range(1442))
    part = cache(tmp_path).read(MAY_4 + DAY, MAY_4 + DAY + 3 * MINUTE)
    assert part is not None and len(part) == 3
    assert cache(tmp_path).read(MAY_4 - DAY, MAY_4) is None


def test_a_second_write_adds_to_the_day_and_wins_where_both_have_a_row(tmp_path: Path) -> None:
    """Scales may differ between writes: 100.0 and 100.05 stand side by side."""
    store = cache(tmp_path)
    store.write(bars(minutes(MAY_4, 3)))
    store.write(bars(minutes(MAY_4 + 2 * MINUTE, 2), price=10005, scale=2))
    back = store.read(MAY_4, MAY_4 + DAY)
    assert back is not None and back.times.tolist() == minutes(MAY_4, 4)
    assert back.close.at_scale(2).tolist() == [10000, 10000, 10005, 10005]


def test_missing_is_computed_from_the_rows() -> None:
    """An unfinished day, a hole and an empty range, to the minute."""
    held = np.array(minutes(MAY_4, 3) + minutes(MAY_4 + 5 * MINUTE, 2))
    assert missing(held, MAY_4, MAY_4 + 10 * MINUTE, MINUTE) == [
        (MAY_4 + 3 * MINUTE, MAY_4 + 5 * MINUTE),
        (MAY_4 + 7 * MINUTE, MAY_4 + 10 * MINUTE),
    ]
    assert missing(None, MAY_4, MAY_4 + 2 * MINUTE, MINUTE) == [(MAY_4, MAY_4 + 2 * MINUTE)]
    assert missing(held, MAY_4, MAY_4 + 3 * MINUTE, MINUTE) == []
    assert missing(None, MAY_4, MAY_4, MINUTE) == []


@given(st.sets(st.integers(0, 40)))
def test_held_and_missing_are_the_whole_range_and_never_overlap(held: set[int]) -> None:
    """For any set of rows."""
    times = np.array(sorted(MAY_4 + i * MINUTE for i in held), dtype=np.int64)
    told = missing(times, MAY_4, MAY_4 + 41 * MINUTE, MINUTE)
    absent = {(at - MAY_4) // MINUTE for since, until in told for at in range(since, until, MINUTE)}
    assert absent == set(range(41)) - held
    assert all(until < since for (_, until), (since, _) in pairwise(told))


@pytest.mark.parametrize("share", [i / 23 for i in range(24)])
def test_a_flipped_bit_anywhere_is_never_read_as_data(tmp_path: Path, share: float) -> None:
    """Either the rows are the very same (a byte nobody reads) or the file is set aside and reported."""
    cache(tmp_path).write(bars(minutes(MAY_4, 1440)))
    path = day_file(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[int(share * (len(raw) - 1))] ^= 0x10
    path.write_bytes(raw)
    store = cache(tmp_path)
    back = store.read(MAY_4, MAY_4 + DAY)
    if back is None:
        assert path.with_name("2025-05-04.parquet.quarantine").exists() and not path.exists()
        assert len(store.notes) == 1 and str(path) in store.notes[0] and "fetched again" in store.notes[0]
    else:
        assert back.times.tolist() == minutes(MAY_4, 1440) and back.volume.at_scale(3).tolist() == list(range(1440))
        assert back.high.at_scale(1).tolist() == [1000] * 1440


@pytest.mark.parametrize("length", [0, 1, 8, 500])
def test_a_truncated_file_is_set_aside(tmp_path: Path, length: int) -> None:
    """Also one of no bytes."""
    cache(tmp_path).write(bars(minutes(MAY_4, 1440)))
    path = day_file(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    assert cache(tmp_path).read(MAY_4, MAY_4 + DAY) is None
    assert not path.exists()


def test_a_good_file_in_the_wrong_place_is_set_aside(tmp_path: Path) -> None:
    """Other symbol, other day, other interval: its metadata says so, the name does not count."""
    cache(tmp_path, "ETHUSDT").write(bars(minutes(MAY_4, 5)))
    foreign = tmp_path / "binance-usdm" / "ETHUSDT" / "bars-1m" / "2025-05-04.parquet"
    day_file(tmp_path).parent.mkdir(parents=True)
    shutil.copy(foreign, day_file(tmp_path))
    store = cache(tmp_path)
    assert store.read(MAY_4, MAY_4 + DAY) is None
    assert "says symbol 'ETHUSDT', expected 'BTCUSDT'" in store.notes[0]
    store = cache(tmp_path, "ETHUSDT")
    shutil.copy(foreign, foreign.with_name("2025-05-05.parquet"))
    back = store.read(MAY_4, MAY_4 + 2 * DAY)
    assert back is not None and len(back) == 5 and "says day '2025-05-04'" in store.notes[0]


def test_a_killed_writer_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut off before the rename is invisible, and swept away by the next writer once its process is gone."""
    store = cache(tmp_path)
    store.write(bars(minutes(MAY_4, 3)))

    def killed(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.write(bars(minutes(MAY_4, 10)))
    back = store.read(MAY_4, MAY_4 + DAY)
    assert back is not None and len(back) == 3
    folder = day_file(tmp_path).parent
    (left,) = folder.glob(".*.tmp")
    left.rename(folder / ".2025-05-04.parquet.999999999.tmp")
    store.write(bars(minutes(MAY_4, 10)))
    assert [path.name for path in folder.iterdir()] == ["2025-05-04.parquet"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told_by_name(tmp_path: Path) -> None:
    """One DataError with the path, no leftovers."""
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"2025-05-04.parquet: cannot be written"):
        cache(tmp_path).write(bars(minutes(MAY_4, 1)))


def test_a_root_that_is_a_file_is_told_by_name(tmp_path: Path) -> None:
    """The path of the file that could not be written is in the message."""
    root = tmp_path / "cache"
    root.write_text("not a folder")
    with pytest.raises(DataError, match=r"2025-05-04.parquet: cannot be written"):
        cache(root).write(bars(minutes(MAY_4, 1)))


@pytest.mark.parametrize(
    "symbol", ["../../x", "..", ".", "/etc/passwd", "a\\b", "BTC/USDT:USDT", "a\x00b", "币安人生USDT", "~root"]
)
def test_no_symbol_leaves_the_cache(tmp_path: Path, symbol: str) -> None:
    """Every symbol is one folder below the venue's, and two symbols never share one."""
    store = cache(tmp_path, symbol)
    assert (tmp_path / "binance-usdm").resolve() == store.folder.resolve().parents[1]
    store.write(bars(minutes(MAY_4, 2)))
    back = cache(tmp_path, symbol).read(MAY_4, MAY_4 + DAY)
    assert back is not None and len(back) == 2


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
