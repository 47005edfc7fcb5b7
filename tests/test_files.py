"""Files of bars: what is read, exactly, and how each kind of bad input is told."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import times
from adapters.decimals import Decimals
from adapters.files import FileSource
from adapters.sources import Source
from core.errors import DataError, Problem
from core.settings.decode import decode
from core.settings.yaml_nodes import parse
from core.tape import Gap, Tape

MINUTE = 60_000_000_000
T0_MS = 1_735_689_480_000
"""2024-12-31T23:58:00Z: two minutes before Binance spot's dumps changed from ms to us."""
GOOD = """\
time,open,high,low,close,volume
2025-05-04T00:00:00Z,10.0,11,9.50,10.25,3
2025-05-04T00:01:00Z,10.25,10.5,10,10.3,0
"""


def load(path: Path, *, interval: int = MINUTE, **options: object) -> Tape:
    source = FileSource(path=str(path), **options)
    return source.open(venue="test", symbol="X", interval_ns=interval).read()


def written(folder: Path, text: str | bytes, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def values(tape: Tape, name: str) -> list[str]:
    scale = tape.size_scale if name == "volume" else tape.price_scale
    return [Decimals(tape.columns[name], scale).text(i) for i in range(len(tape))]


def kline(at: int, length: int, price: str = "100.10") -> str:
    return f"{at},{price},101.00,99.50,{price},12.500,{at + length - 1},1250.0,7,6.1,610.0,0"


# --- what is read ---------------------------------------------------------------------------------------------------


def test_ohlcv_text_becomes_exact_numbers_and_closing_times(tmp_path: Path) -> None:
    """Mantissas come from the digits; the close time is the open time plus the interval."""
    tape = load(written(tmp_path, GOOD))
    assert tape.price_scale == 2
    assert tape.columns["open"].tolist() == [1000, 1025]
    assert tape.columns["low"].tolist() == [950, 1000]
    assert (tape.size_scale, tape.columns["volume"].tolist()) == (0, [3, 0])
    assert tape.columns["ts_venue"].tolist() == [1746316800_000000000 + MINUTE, 1746316800_000000000 + 2 * MINUTE]
    assert tape.columns["ts"].tolist() == tape.columns["ts_venue"].tolist()
    assert tape.notes == ("1 of 2 bars without volume: nothing can be filled in them",)


async def test_load_reads_off_the_loop_and_tells_progress_in_rows(tmp_path: Path) -> None:
    """`load` is the same tape as a plain read."""
    seen: list[tuple[int, int]] = []
    source = FileSource(path=str(written(tmp_path, GOOD))).open(venue="test", symbol="X", interval_ns=MINUTE)
    tape = await source.load(lambda done, total: seen.append((done, total)))
    assert seen == [(2, 2)]
    assert tape.tape_id == load(tmp_path / "x.csv").tape_id


@pytest.mark.parametrize("header", ["", "open_time,open,high,low,close,volume,close_time,quote,count,tb,tq,ignore\n"])
def test_binance_dumps_read_the_same_with_and_without_header_in_ms_and_us(tmp_path: Path, header: str) -> None:
    """The unit is told by the size of the number, row by row, across the switch of 2025-01-01."""
    rows = [kline(T0_MS, 60_000), kline(T0_MS + 60_000, 60_000)]
    rows += [kline((T0_MS + 120_000) * 1000, 60_000_000), kline((T0_MS + 180_000) * 1000, 60_000_000)]
    tape = load(written(tmp_path, header + "\n".join(rows)))
    opened = tape.columns["ts_venue"] - MINUTE
    assert opened.tolist() == [(T0_MS + i * 60_000) * 1_000_000 for i in range(4)]
    assert values(tape, "open") == ["100.1"] * 4 and values(tape, "low") == ["99.5"] * 4
    assert tape.gaps == ()


@pytest.mark.parametrize("wrap", ["plain", "crlf", "bom", "gz", "zip", "semicolon", "quoted"])
def test_wrapping_does_not_change_the_tape(tmp_path: Path, wrap: str) -> None:
    """Same rows, same tape id, whatever they are wrapped in; the file's name plays no part."""
    plain = GOOD.encode()
    made = {
        "plain": plain.rstrip(b"\n") + b"\n\n",
        "crlf": plain.replace(b"\n", b"\r\n"),
        "bom": b"\xef\xbb\xbf" + plain,
        "gz": gzip.compress(plain),
        "semicolon": plain.replace(b",", b";"),
        "quoted": plain.replace(b"10.25", b'"10.25"').replace(b"time", b'"time"'),
    }
    path = tmp_path / "other.dat"
    if wrap == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside.csv", plain)
    else:
        path.write_bytes(made[wrap])
    assert load(path).tape_id == load(written(tmp_path, GOOD)).tape_id


def test_header_names_count_in_any_case_and_order_and_others_can_be_named(tmp_path: Path) -> None:
    """`columns` maps our field to the file's word."""
    expected = load(written(tmp_path, GOOD)).tape_id
    mixed = (
        "Volume,CLOSE,low,High,Open,symbol,Date\n3,10.25,9.5,11,10,X,2025-05-04\n0,10.3,10,10.5,10.25,X,1746316860\n"
    )
    own = mixed.replace("Date", "Zeit").replace("2025-05-04", "1746316800").replace("Volume", "Menge")
    assert load(written(tmp_path, own, "own.csv"), columns={"time": "Zeit", "volume": "menge"}).tape_id == expected
    with pytest.raises(DataError, match="find none for time, volume"):
        load(tmp_path / "own.csv")


def test_numbers_cross_the_block_boundary_unharmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are an affair of the reader: any size gives the same tape and the right line in errors."""
    rows = [kline(T0_MS + i * 60_000, 60_000, f"100.{i:02d}") for i in range(60)]
    path = written(tmp_path, "\r\n".join(rows))
    whole = load(path).tape_id
    rows[41] = rows[41].replace("12.500", "oops")
    bad = written(tmp_path, "\n".join(rows), "bad.csv")
    for size in (1, 7, 97, 1000):
        monkeypatch.setattr("adapters.wrapped.BLOCK_BYTES", size)
        assert load(path).tape_id == whole
        with pytest.raises(DataError, match="line 42, column `volume`: 'oops' is not a number"):
            load(bad)


def test_checksum_beside_the_file_is_believed_over_the_file(tmp_path: Path) -> None:
    """Binance publishes `<name>.CHECKSUM`; archives get re-issued."""
    path = written(tmp_path, GOOD)
    digest = hashlib.sha256(GOOD.encode()).hexdigest()
    written(tmp_path, f"{digest}  x.csv\n", "x.csv.CHECKSUM")
    assert "sha256 equals x.csv.CHECKSUM" in load(path).notes
    written(tmp_path, f"{'0' * 64}  x.csv\n", "x.csv.CHECKSUM")
    with pytest.raises(DataError, match="sha256"):
        load(path)


def test_one_bar_is_enough(tmp_path: Path) -> None:
    """A file of a single row is a tape."""
    assert len(load(written(tmp_path, "".join(GOOD.splitlines(keepends=True)[:2])))) == 1


def test_holes_are_listed_and_never_filled(tmp_path: Path) -> None:
    """A gap runs from the first missing bar to the next that is there; `max_gap` refuses longer ones."""
    rows = [kline(T0_MS + i * 60_000, 60_000) for i in (0, 1, 4, 5)]
    path = written(tmp_path, "\n".join(rows))
    tape = load(path, max_gap=2 * MINUTE)
    since = (T0_MS + 120_000) * 1_000_000
    assert tape.gaps == (Gap(since=since, until=since + 2 * MINUTE, rows=2),)
    assert len(tape) == 4
    assert tape.notes == ("1 hole, left as found: 2 bars missing from 2025-01-01 00:00:00Z to 2025-01-01 00:02:00Z",)
    with pytest.raises(DataError, match=r"2 bars missing from 2025-01-01 00:00:00Z .*`max_gap: 1m`"):
        load(path, max_gap=MINUTE)


@pytest.mark.parametrize("kind", ["parquet", "feather"])
@pytest.mark.parametrize("time_as", ["timestamp", "ms", "iso", "naive_us"])
def test_arrow_files_give_the_tape_of_the_text(tmp_path: Path, kind: str, time_as: str) -> None:
    """Floats become the decimals they stand for, so the tape id equals that of the CSV."""
    ms = [1746316800_000, 1746316860_000]
    stamps = {
        "timestamp": pa.array(ms, pa.timestamp("ms", tz="UTC")),
        "ms": pa.array(ms, pa.int64()),
        "iso": pa.array(["2025-05-04 00:00:00", "2025-05-04T02:01:00+02:00"]),
        "naive_us": pa.array([at * 1000 for at in ms], pa.timestamp("us")),
    }
    columns = {"open": [10.0, 10.25], "high": [11.0, 10.5], "low": [9.5, 10.0], "close": [10.25, 10.3]}
    table = pa.table({"date": stamps[time_as], **columns, "volume": pa.array([3.0, 0.0], pa.float32())})
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, path)
    else:
        import pyarrow.feather

        pyarrow.feather.write_feather(table, path)
    assert load(path).tape_id == load(written(tmp_path, GOOD)).tape_id


def test_float_noise_is_rounded_away_and_told(tmp_path: Path) -> None:
    """0.1 + 0.2 is 0.3 in a volume column; the note says how many rows."""
    import pyarrow.parquet

    ones = [1.0, 1.0]
    table = pa.table(
        {"time": [1746316800, 1746316860], "open": ones, "high": ones, "low": ones, "close": ones,
         "volume": [0.1 + 0.2, 0.7]}
    )  # fmt: skip
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    tape = load(tmp_path / "x.parquet")
    assert values(tape, "volume") == ["0.3", "0.7"]
    assert "float noise in 1 rows" in tape.notes[0]


def test_bars_written_newest_first_are_read_from_the_end_and_errors_keep_their_line(tmp_path: Path) -> None:
    """Above the header the site may name itself, as CryptoDataDownload's files do."""
    rows = [f"2025-05-04T00:0{minute}:00Z,1,1,1,1,{minute}\n" for minute in (3, 2, 1, 0)]
    head = "https://www.example.com\nDate,Open,High,Low,Close,Volume\n"
    tape = load(written(tmp_path, head + "".join(rows)))
    assert tape.columns["volume"].tolist() == [0, 1, 2, 3]
    assert tape.columns["ts_venue"].tolist() == sorted(tape.columns["ts_venue"].tolist())
    assert "newest first, read from the end" in tape.notes
    rows[1] = rows[1].replace(",1,1,1,1,", ",1,1,1,-1,")
    with pytest.raises(DataError, match="line 4, column `close`: -1 is not above zero"):
        load(written(tmp_path, head + "".join(rows)))


# --- what is refused ------------------------------------------------------------------------------------------------

HEAD = "time,open,high,low,close,volume\n"
FIRST = "2025-05-04T00:00:00Z,10,11,9,10,1\n"
BAD_TEXTS = {
    "empty": ("", "is empty"),
    "blank": ("\n\n  \n", "is empty"),
    "header only": (HEAD, "has a header and nothing below it"),
    "no header": ("2025-05-04,1,1,1,1,1\n", "has no header and 6 columns"),
    "wrong columns": ("time,price\n2025-05-04,1\n", "I find none for open, high, low, close, volume"),
    "binary": (b"\x00\x01\x02PAR", "is not text"),
    "bz2": (
        bz2.compress(HEAD.encode()),
        "is packed as bz2; expected text in UTF-8, plain or in gz, zip or zst; unpack",
    ),
    "utf-16": (
        HEAD.encode("utf-16"),
        "is UTF-16; expected text in UTF-8, plain or in gz, zip or zst; save it as UTF-8",
    ),
    "json": ('[[1746316800000,"10","11","9","10","1"]]', "is JSON; expected CSV"),
    "non-numeric": (HEAD + FIRST + "2025-05-04T00:01:00Z,10,abc,9,10,1\n", "line 3, column `high`: 'abc' is not a num"),
    "empty cell": (HEAD + FIRST.replace(",11,", ",,"), "line 2, column `high`: '' is empty"),
    "nan": (HEAD + FIRST.replace(",11,", ",NaN,"), "line 2, column `high`: 'NaN' is not a finite number"),
    "inf": (HEAD + FIRST.replace(",11,", ",-inf,"), "'-inf' is not a finite number"),
    "underscore": (HEAD + FIRST.replace(",11,", ",1_1,"), "'1_1' is not a number"),
    "huge": (HEAD + FIRST.replace(",11,", ",1e308,"), "'1e308' has more than 18 digits"),
    "tiny": (HEAD + FIRST.replace(",9,", ",1e-308,"), "'1e-308' has more than 18 digits"),
    "zero price": (HEAD + FIRST.replace(",9,", ",0.00,"), "line 2, column `low`: 0 is not above zero"),
    "negative price": (HEAD + FIRST.replace(",9,", ",-9,"), "column `low`: -9 is not above zero"),
    "negative volume": (HEAD + FIRST.replace(",1\n", ",-0.5\n"), "column `volume`: -0.5 is negative"),
    "high below low": (HEAD + FIRST.replace(",11,9,", ",9,11,"), "column `high`: 9 is below the low 11"),
    "open outside": (HEAD + FIRST.replace("Z,10,", "Z,12,"), "column `open`: 12 is outside low..high"),
    "close outside": (HEAD + FIRST.replace(",10,1\n", ",8.5,1\n"), "column `close`: 8.5 is outside low..high"),
    "duplicate": (HEAD + FIRST + FIRST, "line 3, column `time`: 2025-05-04 00:00:00Z stands there twice"),
    "unsorted": (
        HEAD + FIRST.replace("00:00Z", "05:00Z") + FIRST,
        "line 3, column `time`: 2025-05-04 00:00:00Z comes after 2025-05-04 00:05:00Z",
    ),
    "off the grid": (HEAD + FIRST.replace("00:00Z", "00:30Z"), "2025-05-04 00:00:30Z is not on the grid of 1m bars"),
    "not a time": (HEAD + FIRST.replace("2025-05-04T00:00:00Z", "yesterday"), "column `time`: 'yesterday'"),
    "impossible date": (HEAD + FIRST.replace("05-04", "02-30"), "is no ISO-8601 time"),
    "far future": (HEAD + FIRST.replace("2025-05-04T00:00:00Z", "9300000000000"), "lies beyond the year 2262"),
    "far future text": (HEAD + FIRST.replace("2025", "2999"), "lies outside 1970 to 2262"),
    "small number": (HEAD + FIRST.replace("2025-05-04T00:00:00Z", "20250504"), "is no time in s, ms, us or ns"),
    "short row": (HEAD + FIRST + "2025-05-04T00:01:00Z,10,11\n", "line 3 has 3 fields; expected 6 fields"),
    "cut short": ((HEAD + FIRST * 3)[:-8], "line 4 has 3 fields"),
    "blank line inside": (HEAD + FIRST + "\n" + FIRST, "line 3 has a blank line"),
    "not ascii": (HEAD + FIRST.replace(",11,", ",١١,"), "is not a number"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_bad_text_is_refused_with_file_row_column_and_remedy(tmp_path: Path, name: str) -> None:
    """One sentence that names the file and shows the place; exit code 3."""
    text, told = BAD_TEXTS[name]
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and told in message and "; expected " in message
    assert "\n" not in message and caught.value.exit_code == 3


def test_wrong_interval_names_the_one_the_file_has(tmp_path: Path) -> None:
    """A file of 5m bars under `interval: 1m`, and the other way round."""
    five = written(tmp_path, "\n".join(kline(T0_MS + 120_000 + i * 300_000, 300_000) for i in range(4)))
    with pytest.raises(DataError, match=r"holds bars of 5m .*expected bars of 1m.*set `interval: 5m`"):
        load(five)
    one = written(tmp_path, "\n".join(kline(T0_MS + 120_000 + i * 60_000, 60_000) for i in range(9)), "one.csv")
    with pytest.raises(DataError, match=r"holds bars of 1m .*expected bars of 5m"):
        load(one, interval=5 * MINUTE)
    stray = [kline(T0_MS + i * 60_000, 60_000) for i in range(5)] + [kline(T0_MS + 270_000, 60_000)]
    with pytest.raises(DataError, match=r"line 6, column `time`.*after 30s"):
        load(written(tmp_path, "\n".join(stray), "stray.csv"))


def test_weeks_start_on_monday(tmp_path: Path) -> None:
    """The grid of weekly bars is Monday 00:00 UTC, not the epoch's Thursday."""
    text = HEAD + FIRST.replace("2025-05-04", "2025-05-05") + FIRST.replace("2025-05-04", "2025-05-12")
    assert len(load(written(tmp_path, text), interval=7 * 86_400_000_000_000)) == 2


def test_paths_that_are_no_files_are_told_apart(tmp_path: Path) -> None:
    """Missing, directory, not what the format says."""
    with pytest.raises(DataError, match="there is no such file"):
        load(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="is a directory"):
        load(tmp_path)
    with pytest.raises(DataError, match="has 6 columns; expected the 12 of a Binance kline file"):
        load(written(tmp_path, GOOD), format="binance")


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["zip", "gz", "parquet", "feather"])
def test_truncated_archives_are_told_as_such(tmp_path: Path, kind: str, cut: float) -> None:
    """A download that stopped half-way never becomes a shorter tape."""
    rows = "\n".join(kline(T0_MS + i * 60_000, 60_000, f"100.{i:03d}") for i in range(900))
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.csv", rows)
    elif kind == "gz":
        path.write_bytes(gzip.compress(rows.encode()))
    else:
        import pyarrow.feather
        import pyarrow.parquet

        table = pa.table({"time": list(range(900)), "open": [1.5] * 900})
        (pyarrow.parquet.write_table if kind == "parquet" else pyarrow.feather.write_feather)(table, str(path))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    with pytest.raises(DataError, match=f"x.{kind}: .*(damaged or cut short|cannot be read)"):
        load(path)


@pytest.mark.parametrize("kind", ["zip", "parquet", "feather"])
def test_flipped_bytes_in_an_archive_raise_nothing_but_data_errors(tmp_path: Path, kind: str) -> None:
    """Names that are no UTF-8, versions from the future, lengths of a hundred terabytes: told, not thrown."""
    import pyarrow.feather
    import pyarrow.parquet

    path = tmp_path / f"x.{kind}"
    ones = [1.0, 1.0]
    table = pa.table(
        {"time": [1746316800, 1746316860], **dict.fromkeys(("open", "high", "low", "close", "volume"), ones)}
    )
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.csv", GOOD)
    elif kind == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        pyarrow.feather.write_feather(table, path)
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xA5]) + whole[at + 1 :])
        try:
            load(path)
        except DataError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize(
    ("names", "told"), [([], "0 CSV files"), (["a.csv", "b.csv"], "a.csv, b.csv"), (["a.png"], "0 CSV")]
)
def test_a_zip_holds_exactly_one_csv(tmp_path: Path, names: list[str], told: str) -> None:
    """None or several: the message lists what is inside."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in names:
            archive.writestr(name, GOOD)
    with pytest.raises(DataError, match=told):
        load(tmp_path / "x.zip")


def test_nan_and_null_in_arrow_files_name_the_row(tmp_path: Path) -> None:
    """Rows count from one."""
    import pyarrow.parquet

    good = [10.0, 10.0]
    for bad, told in (
        (float("nan"), "row 2, column `close`: 'nan' is not a finite"),
        (None, "row 2, column `close`: th"),
    ):
        table = pa.table(
            {"time": [1746316800, 1746316860], "open": good, "high": good, "low": good, "close": [10.0, bad],
             "volume": good}
        )  # fmt: skip
        pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
        with pytest.raises(DataError, match=told):
            load(tmp_path / "x.parquet")


@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.sampled_from(b'0123456789.,-+eE:TZ" \n\r\x00\xffn;')), max_size=4
    ),
    st.integers(0, len(GOOD)),
)
def test_no_damage_to_a_text_file_gets_past_as_anything_but_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]], cut: int
) -> None:
    """Bytes changed, the end cut off: a tape that holds together, or one DataError; never another exception."""
    raw = bytearray(GOOD.encode())
    for at, byte in damage:
        raw[at] = byte
    path = written(tmp_path_factory.getbasetemp(), bytes(raw[:cut]), "damaged.csv")
    try:
        tape = load(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        columns = tape.columns
        assert np.all(columns["low"] > 0) and np.all(columns["low"] <= columns["high"])
        assert np.all(columns["volume"] >= 0) and np.all(columns["ts_venue"] % MINUTE == 0)


# --- config ---------------------------------------------------------------------------------------------------------


def decoded(text: str) -> tuple[object, list[Problem]]:
    problems: list[Problem] = []
    value = decode(parse(text, "x.yaml"), Source, problems)
    return value, problems


def test_sources_decode_from_config_with_all_problems_at_once() -> None:
    """`kind` picks the struct; a wrong field is told with its path."""
    source, problems = decoded("kind: file\npath: x.csv\nmax_gap: 1h\ncolumns: {time: Zeit}\n")
    assert problems == [] and source == FileSource(path="x.csv", max_gap=60 * MINUTE, columns={"time": "Zeit"})
    _, problems = decoded("kind: file\npath: x.csv\ntimezone: CET\nmaxgap: 1h\n")
    assert [problem.line for problem in problems] == [3, 4]
    _, problems = decoded("kind: file\npath: x.csv\ncolumns: {zeit: a}\n")
    assert "unknown field" in problems[0].message
    _, problems = decoded("kind: synthetic\ntick: '0'\n")
    assert problems[0].path.endswith("tick")
    _, problems = decoded("kind: binance\nstart: 2025-05-04\nend: 2025-05-03\n")
    assert "after start" in problems[0].message


# --- recorded data --------------------------------------------------------------------------------------------------

SECONDS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600}
RECORDED = {
    # file: rows (the README beside the data), first open price (of the recorded file)
    "binance-usdm/BTCUSDT-1m.2025-05.feather": 43199,
    "binance-usdm/ETHUSDT-1m.2025-05.feather": 60191,
    "binance-usdm/SOLUSDT-1m.2025-06.feather": 43199,
    "binance-usdm/BTCUSDT-5m.2024-10_2025-02.feather": 41021,
    "binance-spot/ADABTC-1m-2021-11-27.csv": 1440,
    "bybit-linear/BTCUSDT-1h.2023_2026-02.feather": 19261,
    "bybit-linear/ETHUSDT-15m.2023_2026-01.feather": 71953,
    "bybit-spot/BTCUSDT-15m.2025-06_2025-11.gappy.feather": 14385,
    "suspect/BTCUSDT-1h.binance-mixed-spot-and-perp.feather": 2418,
}


def recorded(shared: Path, name: str) -> Tape:
    path = shared / "data" / "bars" / name
    return load(path, interval=SECONDS[path.name.split(".")[0].split("-")[1]] * 1_000_000_000)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_files_load_with_the_rows_the_readme_counts(shared: Path, name: str) -> None:
    """Every number of the tape is the float (or the text) of the file."""
    tape = recorded(shared, name)
    assert len(tape) == RECORDED[name]
    if name.endswith(".feather"):
        import pyarrow.feather

        table = pyarrow.feather.read_table(shared / "data" / "bars" / name)
        for column in ("open", "high", "low", "close", "volume"):
            assert np.array_equal(tape.floats(column), table.column(column).to_numpy())


def test_recorded_quirks_are_noticed(shared: Path) -> None:
    """README: 14 single missing bars; two holes of 500 h; 18 silent bars; one silent bar in the dump."""
    gappy = recorded(shared, "bybit-spot/BTCUSDT-15m.2025-06_2025-11.gappy.feather")
    assert [gap.rows for gap in gappy.gaps] == [1] * 14
    suspect = recorded(shared, "suspect/BTCUSDT-1h.binance-mixed-spot-and-perp.feather")
    assert [gap.rows for gap in suspect.gaps] == [500, 500]
    assert [gap.until for gap in suspect.gaps] == [
        times.from_iso([text])[0] for text in ("2024-12-02T12:00:00Z", "2025-02-03T00:00:00Z")
    ]
    stalled = recorded(shared, "binance-usdm/BTCUSDT-5m.2024-10_2025-02.feather")
    assert any(note.startswith("18 of 41021 bars without volume") for note in stalled.notes)
    dump = recorded(shared, "binance-spot/ADABTC-1m-2021-11-27.csv")
    assert dump.notes == ("1 of 1440 bars without volume: nothing can be filled in them",)


def test_a_tail_from_another_market_is_noticed_by_its_grid(shared: Path) -> None:
    """The last 48 h of the recorded 5m file (from 2025-02-18 10:30) carry spot's 0.01 grid and spot's volumes."""
    notes = recorded(shared, "binance-usdm/BTCUSDT-5m.2024-10_2025-02.feather").notes
    assert any("first 40446 rows need fewer than the 2 price decimals" in note for note in notes)


def test_first_and_last_bar_of_a_recorded_file_are_where_the_readme_says(shared: Path) -> None:
    """2025-05-04 15:33 to 2025-06-03 15:31, open times."""
    tape = recorded(shared, "binance-usdm/BTCUSDT-1m.2025-05.feather")
    edges = tape.columns["ts_venue"][[0, -1]] - MINUTE
    assert edges.tolist() == times.from_iso(["2025-05-04T15:33:00Z", "2025-06-03T15:31:00Z"]).tolist()
    assert tape.price_scale == 1 and tape.size_scale == 3 and tape.gaps == () and tape.notes == ()
