"""`path` with a pattern or a list: files that follow one another are one tape, whatever they are made of."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from adapters import files
from adapters.files import FileSource
from adapters.tapes import conversion
from adapters.tapes.tape_file import open_tape, write_tape
from command_line import CommandLine
from core.errors import DataError
from core.moments import DAY_NS
from core.tape import COLUMNS, Kind, Rows, Tape
from recorded import DATA, read, recorded

MINUTE = 60_000_000_000
MAY_4 = 1_746_316_800_000_000_000
"""2025-05-04T00:00:00Z."""
BARS = "time,open,high,low,close,volume\n"
TRADES = "binance-usdm/BTCUSDT-trades.2020-02-22.tardis.csv.gz"


def minutes(*which: int, close: str = "10.25") -> str:
    """A CSV of bars that open in these minutes of 2025-05-04."""
    rows = [f"2025-05-04T{minute // 60:02d}:{minute % 60:02d}:00Z,10,11,9.5,{close},3\n" for minute in which]
    return BARS + "".join(rows)


def read_all(path: str | list[str], kind: Kind = "bars", *, symbol: str = "X", **options: object) -> Rows:
    source = FileSource(path=path, **options)
    opened = source.open(venue="test", symbol=symbol, kind=kind, interval_ns=MINUTE if kind == "bars" else 0)
    return opened.read()


def opens(tape: Rows) -> list[int]:
    """Minutes of 2025-05-04 in which the bars open."""
    return [int(ts - MINUTE - MAY_4) // MINUTE for ts in tape.load().columns["ts_venue"]]


def day_files(folder: Path) -> list[Path]:
    """The recorded trades of 2020-02-22 in four CSV files, a quarter of the rows each."""
    head, *rows = gzip.decompress(recorded(f"trades/{TRADES}").read_bytes()).splitlines(keepends=True)
    quarter = len(rows) // 4
    for number in range(4):
        part = rows[number * quarter : (number + 1) * quarter] if number < 3 else rows[3 * quarter :]
        (folder / f"part{number}.csv").write_bytes(head + b"".join(part))
    return [folder / f"part{number}.csv" for number in range(4)]


# --- bars -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("coin", "last_open"), [("BTC", "2025-06-24T10:31"), ("ETH", "2025-06-24T10:32")])
def test_two_recorded_months_that_overlap_are_one_tape_without_a_hole(coin: str, last_open: str) -> None:
    """../shared/data/README.md: "join without a hole to 2025-05-04 15:33 .. 2025-06-24 10:31". Nine days of bars stand
    in both files; every minute from the first to the last is there once."""
    recorded(f"bars/binance-usdm/{coin}USDT-1m.2025-05.feather")
    tape = read_all(str(DATA / f"bars/binance-usdm/{coin}USDT-1m.2025-0*.feather"), symbol=f"{coin}USDT")
    first, last = np.datetime64("2025-05-04T15:33", "m"), np.datetime64(last_open, "m")
    assert len(tape) == (last - first).astype(int) + 1 and tape.gaps == ()
    assert tape.edges.first_ts_venue == first.astype("M8[ns]").astype(int) + MINUTE
    assert tape.notes == ()


def test_the_order_of_the_names_does_not_matter_and_a_file_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(minutes(3, 4, 5))
    (tmp_path / "b.csv").write_text(minutes(0, 1, 2))
    named = [str(tmp_path / name) for name in ("a.csv", "b.csv", "?.csv", "a.csv")]
    tape = read_all(named)
    assert opens(tape) == [0, 1, 2, 3, 4, 5]
    (tmp_path / "whole.csv").write_text(minutes(*range(6)))
    assert tape.tape_id == read_all(str(tmp_path / "whole.csv")).tape_id


def test_a_file_inside_another_adds_nothing_and_what_comes_later_goes_on(tmp_path: Path) -> None:
    for name, which in (("a", range(10)), ("b", range(2, 5)), ("c", range(8, 12))):
        (tmp_path / f"{name}.csv").write_text(minutes(*which))
    assert opens(read_all(str(tmp_path / "*.csv"))) == list(range(12))


@pytest.mark.parametrize(
    ("second", "first_difference"),
    [(minutes(2, 3, 4, close="10.26"), "00:02:00Z"), (minutes(2, 4, 5), "00:03:00Z")],
)
def test_two_files_that_tell_the_same_minutes_differently_are_refused(
    tmp_path: Path, second: str, first_difference: str
) -> None:
    """Another close from minute 2 on; a bar of minute 3 that one of them lacks."""
    (tmp_path / "a.csv").write_text(minutes(*range(5)))
    (tmp_path / "b.csv").write_text(second)
    with pytest.raises(DataError) as error:
        read_all(str(tmp_path / "*.csv"))
    assert str(error.value) == (
        f"{tmp_path / 'a.csv'} and {tmp_path / 'b.csv'} both have bars from 2025-05-04 00:02:00Z to "
        f"2025-05-04 00:05:00Z, and first differ at 2025-05-04 {first_difference}; expected the same bars; leave "
        "one of the files out, or cut it"
    )


@pytest.mark.parametrize("second", [(4, 5), (4, 5, 8), (3,)])
def test_a_file_of_what_another_lacks_in_the_middle_is_refused(tmp_path: Path, second: tuple[int, ...]) -> None:
    """The hole of one and the bars of the other cannot both be true."""
    (tmp_path / "a.csv").write_text(minutes(0, 1, 8, 9))
    (tmp_path / "b.csv").write_text(minutes(*second))
    with pytest.raises(DataError, match=f"first differ at 2025-05-04 00:0{second[0]}:00Z; expected the same bars"):
        read_all(str(tmp_path / "*.csv"))


def test_a_hole_between_two_files_is_listed_or_refused_as_one_within_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(minutes(0, 1))
    (tmp_path / "b.csv").write_text(minutes(5, 6))
    (gap,) = read_all(str(tmp_path / "*.csv")).gaps
    assert (gap.since, gap.until, gap.rows) == (MAY_4 + 2 * MINUTE, MAY_4 + 5 * MINUTE, 3)
    with pytest.raises(DataError, match="no hole longer than `max_gap: 2m`"):
        read_all(str(tmp_path / "*.csv"), max_gap=2 * MINUTE)


def test_what_a_reader_noted_of_each_file_is_told_once_and_what_rows_say_of_all(tmp_path: Path) -> None:
    """Both files have a checksum beside them (which is no file of bars) and one bar without volume."""
    for name, which in (("a.csv", (0, 1)), ("b.csv", (2, 3))):
        text = minutes(*which).replace(",3\n", ",0\n", 1).encode()
        (tmp_path / name).write_bytes(text)
        (tmp_path / f"{name}.CHECKSUM").write_text(f"{hashlib.sha256(text).hexdigest()}  {name}\n")
    assert read_all(str(tmp_path / "*")).notes == (
        "sha256 equals a.csv.CHECKSUM",
        "sha256 equals b.csv.CHECKSUM",
        "2 of 4 bars without volume: nothing can be filled in them",
    )


def test_a_name_that_fits_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\*\.csv: no file has such a name; expected at least one file"):
        read_all(str(tmp_path / "nothing*.csv"))


def test_a_file_whose_own_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text(minutes(0, 1))
    assert opens(read_all(str(tmp_path / "a[1].csv"))) == [0, 1]


# --- ticks ----------------------------------------------------------------------------------------------------------


def test_recorded_trades_in_four_files_are_the_tape_they_are_in_one(tmp_path: Path) -> None:
    parts = day_files(tmp_path)
    whole = read(recorded(f"trades/{TRADES}"), "trades", "BTCUSDT")
    tape = read_all(str(tmp_path / "part*.csv"), "trades", symbol="BTCUSDT")
    assert len(parts) == 4 and tape.tape_id == whole.tape_id and len(tape) == 137_988


def test_files_of_ticks_that_overlap_are_refused(tmp_path: Path) -> None:
    parts = day_files(tmp_path)
    (tmp_path / "copy.csv").write_bytes(parts[1].read_bytes())
    with pytest.raises(DataError, match=r"part1\.csv: begins at 2020-02-22 .*, before .*copy\.csv is over at"):
        read_all(str(tmp_path / "*.csv"), "trades", symbol="BTCUSDT")


def test_many_ticks_in_memory_are_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day_files(tmp_path)
    monkeypatch.setattr(files, "ROWS_HELD", 100_000)
    tape = read_all(str(tmp_path / "*.csv"), "trades", symbol="BTCUSDT")
    assert tape.notes[-1].startswith("137,988 rows are held in memory; `data convert` makes tapes of such files")
    monkeypatch.setattr(files, "ROWS_HELD", 137_988)
    assert not any(
        "held in memory" in note for note in read_all(str(tmp_path / "*.csv"), "trades", symbol="BTCUSDT").notes
    )


def test_a_file_without_rows_is_no_beginning(tmp_path: Path) -> None:
    """As of a day on which nothing was recorded; its times would be 0, which is 1970."""
    (part, *_) = day_files(tmp_path)
    tape = read_all(str(part), "trades", symbol="BTCUSDT").load()
    write_tape(tape, tmp_path / "some.parquet")
    write_tape(tape.between(tape.edges.last_ts + 1, None), tmp_path / "none.parquet")
    both = read_all(str(tmp_path / "*.parquet"), "trades", symbol="BTCUSDT")
    assert (len(both), both.edges) == (len(tape), tape.edges)


# --- data convert ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)


def test_files_become_tapes_that_a_run_reads_as_it_goes_on(cli: CommandLine) -> None:
    """Each file a tape of its name, and all of them the rows of the whole day, none of them in memory."""
    day_files(cli.folder)
    done = cli("data", "convert", "test", "BTCUSDT", "trades", "--files", "part*.csv", "--out", "tapes")
    lines = done.out.splitlines()
    assert done.code == 0 and len(lines) == 5
    assert lines[0] == (
        "part0.csv: 34,497 rows from 2020-02-22T00:00:02Z to 2020-02-22T06:05:46Z, written to "
        "tapes/BTCUSDT/trades/part0.parquet"
    )
    assert lines[4] == 'a run reads them with: source: {kind: file, path: "tapes/BTCUSDT/trades/*.parquet"}'
    tape = read_all("tapes/BTCUSDT/trades/*.parquet", "trades", symbol="BTCUSDT")
    assert not isinstance(tape, Tape)
    whole = read(recorded(f"trades/{TRADES}"), "trades", "BTCUSDT")
    loaded = tape.load()
    assert all(np.array_equal(loaded.columns[name], whole.columns[name]) for name in COLUMNS["trades"])
    assert len(open_tape(cli.folder / "tapes/BTCUSDT/trades/part3.parquet")) == 137_988 - 3 * (137_988 // 4)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--files", "a.csv", "a.csv.gz", "--out", "t"], "a.csv and a.csv.gz would both become t/X/bars-1m/a.parquet"),
        (["--files", "t/X/bars-1m/a.parquet", "--out", "t"], "t/X/bars-1m/a.parquet is a file to be read"),
        (["--files", "b*", "--out", "t"], "b*: no file has such a name"),
        (["--files", "a.csv"], "say what, of which files and where to"),
        (["--out", "t"], "say what, of which files and where to"),
    ],
)
def test_what_cannot_be_converted_is_told_in_one_line_before_anything_is_written(
    cli: CommandLine, wrong: list[str], told: str
) -> None:
    (cli.folder / "a.csv").write_text(minutes(0, 1))
    (cli.folder / "a.csv.gz").write_bytes(gzip.compress(minutes(0, 1).encode()))
    (cli.folder / "t/X/bars-1m").mkdir(parents=True)
    (cli.folder / "t/X/bars-1m/a.parquet").write_bytes(b"whatever")
    done = cli("data", "convert", "test", "X", "bars", "1m", *wrong)
    assert done.code in (2, 3) and told in done.err and len(done.err.splitlines()) == 1
    assert (cli.folder / "t/X/bars-1m/a.parquet").read_bytes() == b"whatever"


def test_of_a_large_file_it_is_told_that_it_is_read_whole(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`large` being, here, 100 bytes: of two files the one that has more is named."""
    monkeypatch.setattr(conversion, "LARGE_BYTES", 100)
    (cli.folder / "small.csv").write_text(minutes(0))
    (cli.folder / "large.csv").write_text(minutes(1, 2, 3, 4))
    sizes = [(cli.folder / name).stat().st_size for name in ("small.csv", "large.csv")]
    assert sizes[0] <= 100 < sizes[1]
    files = ["--files", "small.csv", "large.csv"]
    assert cli("data", "convert", "spot", "X", "bars", "1m", *files, "--out", "t").code == 0
    (told,) = caplog.messages
    assert told.startswith("large.csv is read whole") and "cut it by lines" in told


def test_a_tape_of_other_rows_is_not_written_over(cli: CommandLine) -> None:
    """Files of one name in two folders, or one file under two venues; the same rows once more change nothing."""
    words, tape = ["bars", "1m", "--out", "t"], cli.folder / "t/X/bars-1m/a.parquet"
    for folder, day in (("may", 4), ("june", 5)):
        (cli.folder / folder).mkdir()
        (cli.folder / folder / "a.csv").write_text(minutes(0, 1).replace("2025-05-04", f"2025-05-{day:02d}"))
    assert cli("data", "convert", "spot", "X", *words, "--files", "may/a.csv").code == 0
    written = tape.read_bytes()
    again = cli("data", "convert", "spot", "X", *words, "--files", "may/a.csv")
    assert again.code == 0 and again.out.splitlines()[0].endswith("in t/X/bars-1m/a.parquet already")
    for venue, file in (("spot", "june/a.csv"), ("perp", "may/a.csv")):
        done = cli("data", "convert", venue, "X", *words, "--files", file)
        assert done.code == 2 and done.out == "" and "choose another folder with --out, or remove it" in done.err
        assert (
            f"t/X/bars-1m/a.parquet is there already, made of may/a.csv (spot), with other rows than {file}" in done.err
        )
        assert tape.read_bytes() == written
    tape.write_bytes(written[:-1])
    done = cli("data", "convert", "spot", "X", *words, "--files", "may/a.csv")
    assert done.code == 2 and "cannot be read as a tape" in done.err and tape.read_bytes() == written[:-1]


def test_a_config_may_name_its_files_in_a_list(cli: CommandLine) -> None:
    """Read, run, and written into the run's own config as they stood there."""
    for name, day in (("a", 4), ("b", 5)):
        rows = minutes(*range(1440)).replace("2025-05-04", f"2025-05-{day:02d}")
        (cli.folder / f"{name}.csv").write_text(rows)
    (cli.folder / "run.yaml").write_text("""
run: {name: listed, seed: 7}
venue: {name: binance-usdm}
account: {balances: {USDT: "10000"}}
instruments: {X: {tick: "0.01", step: "0.01", base: X}}
data: [{symbol: X, kind: bars, interval: 1m, source: {kind: file, path: [b.csv, a.csv]}}]
strategies: [{name: ema, class: "strategies.ema_cross:EmaCross", symbols: [X], params: {qty: "0.1"}}]
""")
    assert cli("--config", "run.yaml", "--out", "runs", "--quiet").code == 0
    (config,) = (cli.folder / "runs").glob("*listed*/config.yaml")
    assert "b.csv" in config.read_text() and "a.csv" in config.read_text()
    tape = read_all(["b.csv", "a.csv"])
    assert len(tape) == 2880 and tape.edges.last_ts - tape.edges.first_ts == 2 * DAY_NS - MINUTE
