"""`python -m core.run data …` and runs whose config names a venue: fetched once, listed, checked, mended, taken out.

The venue is a fake one behind the doors of Binance's source; everything between the command line and it is real.
"""

from __future__ import annotations

import json
import os
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.binance.history import BinanceSource
from adapters.cache import QUARANTINE
from adapters.files import FileSource
from adapters.tapes.tape_file import open_tape
from command_line import CommandLine
from core.market.price_filters import PercentPrice
from core.moments import DAY_NS
from core.venue_rules import DatedInstrument
from fake_fetcher import MAY_4, MINUTE, TRADES_A_DAY, FakeFetcher, loaded, rows_in, rows_of

TRADES = ("binance-usdm", "X", "trades")
BARS = ("binance-usdm", "X", "bars", "1m")
DAYS = ("--from", "2025-05-04", "--to", "2025-05-07")
CONFIG = """
run: {name: cached, seed: 7}
venue: {name: binance-usdm}
account: {balances: {USDT: "10000"}}
instruments: {X: {tick: "0.1", step: "0.01", base: X}}
data:
  - {symbol: X, kind: bars, interval: 1m, source: {kind: binance, start: 2025-05-04, end: 2025-05-06}}
  - {symbol: X, kind: trades, source: {kind: binance, start: 2025-05-04, end: 2025-05-06}}
strategies:
  - {name: ema, class: "strategies.ema_cross:EmaCross", symbols: [X], hears: [bars], params: {qty: "0.1"}}
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.delenv("ANYCLOCK_CACHE", raising=False)
    return CommandLine(tmp_path, monkeypatch, capsys)


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> FakeFetcher:
    """What Binance's source asks from now on."""
    return answering(monkeypatch)


def answering(monkeypatch: pytest.MonkeyPatch, **how: Any) -> FakeFetcher:
    fetcher = FakeFetcher(name="binance-usdm", **how)

    def opened(source: BinanceSource, *, venue: str, **_: Any) -> FakeFetcher:
        fetcher.venue = venue
        return fetcher

    monkeypatch.setattr(BinanceSource, "fetcher", opened)
    return fetcher


def damaged(root: Path, pattern: str) -> Path:
    (path,) = root.rglob(pattern)
    raw = bytearray(path.read_bytes())
    raw[200] ^= 1
    path.write_bytes(raw)
    return path


# --- download -------------------------------------------------------------------------------------------------------


def test_a_named_range_is_downloaded_once(cli: CommandLine, venue: FakeFetcher) -> None:
    first = cli("data", "download", *TRADES, *DAYS)
    assert (first.code, first.err) == (0, "")
    assert first.out == ("binance-usdm X trades: 1,200 rows from 2025-05-04T00:00Z to 2025-05-07T00:00Z, downloaded\n")
    again = cli("data", "download", *TRADES, *DAYS)
    assert again.out.endswith("was kept already\n")
    assert venue.asked == [(MAY_4, MAY_4 + 3 * DAY_NS)]
    more = cli("data", "download", *TRADES, "--from", "2025-05-04", "--to", "2025-05-08")
    assert more.out.endswith("1,600 rows from 2025-05-04T00:00Z to 2025-05-08T00:00Z, 400 of them new\n")


def test_a_config_downloads_all_it_needs_and_then_runs_without_the_network(
    cli: CommandLine, venue: FakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of what was downloaded before: not one question, the same tapes, the same events."""
    (cli.folder / "run.yaml").write_text(CONFIG)
    done = cli("data", "download", "--config", "run.yaml")
    assert done.code == 0 and [line.split(":")[0] for line in done.out.splitlines()] == [
        "binance-usdm X bars 1m",
        "binance-usdm X trades",
    ]
    gone = answering(monkeypatch, fails_after=0)
    manifests = []
    for folder in ("one", "two"):
        assert cli("--config", "run.yaml", "--out", folder, "--quiet").code == 0
        (manifest,) = (cli.folder / folder).glob("*cached*/manifest.json")
        manifests.append(json.loads(manifest.read_text()))
    assert gone.asked == [] and manifests[0]["counts"]["orders"] > 0
    assert manifests[0]["events_sha256"] == manifests[1]["events_sha256"]
    bars, trades = manifests[0]["tapes"]
    assert (bars["rows"], trades["rows"]) == (2 * 1440 - 7, 2 * TRADES_A_DAY)
    assert trades["tape_id"] == manifests[1]["tapes"][1]["tape_id"]
    assert bars["gaps"] == [{"since": "2025-05-04T10:00:00.000000000Z", "until": "2025-05-04T10:07:00.000000000Z",
                             "rows": 7}]  # fmt: skip


def test_a_backtest_whose_config_names_a_venue_just_does_it(cli: CommandLine, venue: FakeFetcher) -> None:
    (cli.folder / "run.yaml").write_text(CONFIG)
    assert cli("--config", "run.yaml", "--quiet").code == 0
    assert venue.asked == [(MAY_4, MAY_4 + 2 * DAY_NS)] * 2
    assert (cli.folder / ".cache" / "tapes" / "binance-usdm" / "X" / "trades").is_dir()


def test_ctrl_c_loses_nothing_and_the_same_command_goes_on(cli: CommandLine, venue: FakeFetcher) -> None:
    """The signal comes with the third day; the next download asks for what was not answered."""

    def interrupt(number: int) -> None:
        if number == 2:
            venue.before_part = lambda _: None
            os.kill(os.getpid(), signal.SIGINT)

    venue.before_part = interrupt
    done = cli("data", "download", *TRADES, *DAYS)
    assert (done.code, done.err) == (
        130,
        "interrupted; what was answered is kept: the same command goes on from there\n",
    )
    assert cli("data", "download", *TRADES, *DAYS).code == 0
    assert venue.asked[1][0] >= MAY_4 + 2 * DAY_NS and venue.asked[1][1] == MAY_4 + 3 * DAY_NS
    assert cli("data", "export", *TRADES, "--out", "t.parquet").code == 0
    assert rows_in(open_tape(cli.folder / "t.parquet")) == rows_in(loaded(None, "trades", MAY_4, MAY_4 + 3 * DAY_NS))


def test_a_venue_whose_now_lies_before_the_end_is_told(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, now=MAY_4 + DAY_NS)
    done = cli("data", "download", *TRADES, *DAYS)
    assert done.code == 0 and "the venue's clock stands before the end asked for: trades end at 2025-05-05" in done.out
    again = cli("data", "download", *TRADES, *DAYS)
    assert again.out.splitlines()[0].endswith("400 rows from 2025-05-04T00:00Z to 2025-05-07T00:00Z, 0 of them new")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["download"], "say what to download"),
        (["download", *TRADES], "say from when: --from 2025-05-04"),
        (["download", *TRADES, "--from", "yesterday"], "`yesterday`: expected a UTC time like 2025-05-04"),
        (["download", *TRADES, "--from", "2025-05-07", "--to", "2025-05-04"], "no moment fits between"),
        (["download", "binance-usdm", "X", "--from", "2025-05-04"], "expected VENUE SYMBOL KIND [INTERVAL]"),
        (["download", "binance-usdm", "X", "candles", "--from", "2025-05-04"], "unknown kind `candles`, known: bars"),
        (["download", "binance-usdm", "X", "bars", "--from", "2025-05-04"], "bars need an interval"),
        (["download", *TRADES, "1m", "--from", "2025-05-04"], "trades have no interval, leave `1m` out"),
        (["download", *BARS[:3], "soon", "--from", "2025-05-04"], "`soon`: expected an interval like 1s"),
        (["download", "--config", "run.yaml", "--cache", "x"], "--set run.cache=DIR"),
        (["list", *TRADES], "`data list` is about the whole cache: leave `binance-usdm X trades` out"),
        (["verify", "--config", "run.yaml"], "--config belongs to `data download` and `data repair`"),
        (["export", *TRADES], "say what and where to"),
        (["instruments", "binance-usdm"], "say whose and which, like: data instruments binance-usdm LINKUSDT ADAUSDT"),
        (["instruments", "nobody", "X"], "knows no exchange `nobody`"),
    ],
)
def test_a_command_that_says_too_little_or_too_much_is_told_what_to_write(
    cli: CommandLine, venue: FakeFetcher, wrong: list[str], told: str
) -> None:
    done = cli("data", *wrong)
    assert done.code in (2, 3) and told in done.err and len(done.err.splitlines()) == 1
    assert venue.asked == []


# --- filters --------------------------------------------------------------------------------------------------------


def test_the_filters_of_a_symbol_come_as_a_section_of_a_config(cli: CommandLine, venue: FakeFetcher) -> None:
    """What nobody says is left out; a run with the printed text is free of problems."""
    venue.known = {
        "LINKUSDT": DatedInstrument(
            since=MAY_4,
            tick=Decimal("0.001"),
            step=Decimal("0.01"),
            base="LINK",
            max_orders=200,
            percent_price=PercentPrice(up=Decimal("1.05"), down=Decimal("0.95")),
        )
    }
    done = cli("data", "instruments", "binance-usdm", "LINKUSDT")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "# as binance-usdm said at 2025-05-04T00:00:00Z",
        "instruments:",
        "  LINKUSDT:",
        '    tick: "0.001"',
        '    step: "0.01"',
        "    base: LINK",
        "    quote: USDT",
        "    percent_price:",
        '      up: "1.05"',
        '      down: "0.95"',
        "    max_orders: 200",
    ]
    text = CONFIG.replace('instruments: {X: {tick: "0.1", step: "0.01", base: X}}\n', done.out)
    (cli.folder / "run.yaml").write_text(text.replace("symbol: X", "symbol: LINKUSDT").replace("[X]", "[LINKUSDT]"))
    assert cli("check", "run.yaml").code == 0
    wrong = cli("data", "instruments", "binance-usdm", "LINKUSD")
    assert wrong.code == 2 and wrong.err == "binance-usdm has no symbol `LINKUSD`, did you mean `LINKUSDT`?\n"


# --- list, verify, repair -------------------------------------------------------------------------------------------


def test_the_list_tells_rows_ranges_and_whose_the_holes_are(cli: CommandLine, venue: FakeFetcher) -> None:
    assert cli("data", "list").out == "nothing is kept in .cache\n"
    cli("data", "download", *BARS, "--from", "2025-05-04", "--to", "2025-05-05")
    cli("data", "download", *BARS, "--from", "2025-05-06", "--to", "2025-05-07")
    done = cli("data", "list")
    (size,) = (str(round(path.stat().st_size / 1e6, 1)) for path in cli.folder.rglob("2025-05.v2.*"))
    assert done.out.splitlines() == [
        f"binance-usdm X bars 1m: 2,873 rows, {size} MB in 1 file",
        "  2025-05-04T00:00Z to 2025-05-05T00:00Z",
        "  2025-05-06T00:00Z to 2025-05-07T00:00Z",
        "  never fetched: 2025-05-05T00:00Z to 2025-05-06T00:00Z",
        "  the venue has no rows: 2025-05-04T10:00Z to 2025-05-04T10:07Z",
    ]
    (told,) = json.loads(cli("data", "list", "--json").out)
    assert told["answered"] == [[MAY_4, MAY_4 + DAY_NS], [MAY_4 + 2 * DAY_NS, MAY_4 + 3 * DAY_NS]]


def test_a_flipped_byte_is_found_by_verify_and_mended_by_repair(cli: CommandLine, venue: FakeFetcher) -> None:
    """Exit code 3 with the file and the command; the command fetches that day alone; then all is whole."""
    cli("data", "download", *TRADES, *DAYS)
    assert cli("data", "verify", "--rows").out == "3 files in .cache, all as they were written\n"
    path = damaged(cli.folder, "2025-05-05.*.parquet")
    found = cli("data", "verify")
    assert found.code == 3 and f"{path.relative_to(cli.folder)}: has the checksum" in found.out
    assert found.err == "1 of 3 files damaged; repair with: python -m core.run data repair\n"
    venue.asked.clear()
    mended = cli("data", "repair")
    assert mended.code == 0 and venue.asked == [(MAY_4 + DAY_NS, MAY_4 + 2 * DAY_NS)]
    assert "fetched 2025-05-05 00:00:00Z to 2025-05-06 00:00:00Z again" in mended.out
    assert path.with_name(path.name + QUARANTINE).exists()
    assert cli("data", "verify").code == 0
    assert cli("data", "repair").out == "nothing to repair in .cache\n"


@pytest.mark.parametrize("name", ["bars-soon", "bars-", "trades-60s", "notes", "bars-1m.bak"])
def test_other_folders_below_the_cache_are_left_alone(cli: CommandLine, venue: FakeFetcher, name: str) -> None:
    cli("data", "download", *TRADES, *DAYS)
    other = cli.folder / ".cache/tapes/binance-usdm/X" / name
    other.mkdir()
    (other / "2025-05-04.v1.00000000.parquet").write_bytes(b"mine")
    assert cli("data", "verify").out == "3 files in .cache, all as they were written\n"
    assert cli("data", "repair").out == "nothing to repair in .cache\n"
    assert cli("data", "list").code == 0 and (other / "2025-05-04.v1.00000000.parquet").read_bytes() == b"mine"


def test_files_named_after_days_that_are_none_are_set_aside_once(cli: CommandLine, venue: FakeFetcher) -> None:
    """Nothing is fetched for them, whether they came as a file of the cache or as one that was set aside."""
    cli("data", "download", *TRADES, *DAYS)
    (folder,) = (cli.folder / ".cache/tapes/binance-usdm/X").iterdir()
    (folder / "2025-02-31.v1.00000000.parquet").touch()
    (folder / f"mine{QUARANTINE}").touch()
    venue.asked.clear()
    done = cli("data", "repair")
    assert done.code == 0 and "2025-02-31.v1.00000000.parquet is no tape of this program" in done.out
    assert cli("data", "repair").out == "nothing to repair in .cache\n" and not venue.asked


def test_what_came_from_a_host_without_a_name_is_repaired_with_its_config(cli: CommandLine, venue: FakeFetcher) -> None:
    """A loopback's rows are kept under its host; its name leads nowhere, the config that fetched them does."""
    venue.name = "binance-usdm@127.0.0.1:8080"
    (cli.folder / "run.yaml").write_text(CONFIG)
    cli("data", "download", "--config", "run.yaml")
    damaged(cli.folder, "2025-05-05.*.parquet")
    venue.name = "binance-usdm"
    venue.asked.clear()
    alone = cli("data", "repair")
    assert alone.code == 3 and "run this again with --config" in alone.err and venue.asked == []
    venue.name = "binance-usdm@127.0.0.1:8080"
    assert cli("data", "repair", "--config", "run.yaml").code == 0
    assert venue.asked == [(MAY_4 + DAY_NS, MAY_4 + 2 * DAY_NS)]


def test_damage_is_mended_by_the_run_that_meets_it(cli: CommandLine, venue: FakeFetcher) -> None:
    """And told in its summary."""
    (cli.folder / "run.yaml").write_text(CONFIG)
    cli("data", "download", "--config", "run.yaml")
    path = damaged(cli.folder, "2025-05-05.*.parquet")
    venue.asked.clear()
    done = cli("--config", "run.yaml", "--json", "--quiet")
    assert done.code == 0 and venue.asked == [(MAY_4 + DAY_NS, MAY_4 + 2 * DAY_NS)]
    assert any(path.name in warning for warning in json.loads(done.out)["warnings"])


# --- where and what for ---------------------------------------------------------------------------------------------


def test_the_cache_is_where_the_option_the_config_or_the_environment_says(
    cli: CommandLine, venue: FakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("data", "download", *TRADES, *DAYS, "--cache", "by-option")
    (cli.folder / "run.yaml").write_text(CONFIG)
    cli("data", "download", "--config", "run.yaml", "--set", "run.cache=by-config")
    monkeypatch.setenv("ANYCLOCK_CACHE", "by-environment")
    cli("data", "download", *TRADES, *DAYS)
    cli("data", "download", "--config", "run.yaml", "--set", "run.cache=by-config")
    kept = sorted(path.name for path in cli.folder.iterdir() if path.is_dir())
    assert kept == ["by-config", "by-environment", "by-option"]


def test_exported_bars_are_read_again_as_the_same_bars(cli: CommandLine, venue: FakeFetcher) -> None:
    """CSV and Parquet, of a part of what is kept: both give the rows that the venue has."""
    cli("data", "download", *BARS, *DAYS)
    part = ("--from", "2025-05-04T09:00:00Z", "--to", "2025-05-04T11:00:00Z")
    expected = rows_of("bars", "X", MINUTE, MAY_4 + 540 * MINUTE, MAY_4 + 660 * MINUTE)
    for name in ("bars.csv", "bars.parquet"):
        done = cli("data", "export", *BARS, *part, "--out", name)
        assert done.out == f"wrote {name}: 113 rows from 2025-05-04T09:00Z\n"
        source = FileSource(path=name).open(venue="fake", symbol="X", kind="bars", interval_ns=MINUTE)
        tape = source.read()
        assert rows_in(tape) == rows_in(expected) and tape.gaps == expected.gaps


def test_exported_ticks_have_exact_decimals_and_say_what_is_not_there(cli: CommandLine, venue: FakeFetcher) -> None:
    """609.5 is the mantissa 6095 at one decimal; the range asked for begins a day before what is kept."""
    cli("data", "download", *TRADES, "--from", "2025-05-04", "--to", "2025-05-05")
    done = cli("data", "export", *TRADES, "--from", "2025-05-03", "--out", "t.csv")
    assert "not in the cache: 2025-05-03T00:00Z to 2025-05-04T00:00Z" in done.err
    head, *lines = (cli.folder / "t.csv").read_text().splitlines()
    assert head == "time,ts_venue,ts,price,size,side,flags" and len(lines) == TRADES_A_DAY
    tape = rows_of("trades", "X", 0, MAY_4, MAY_4 + DAY_NS)
    first = {name: int(column[0]) for name, column in tape.columns.items()}
    time, at, received, price, size, side, flags = lines[0].split(",")
    assert (int(at), int(received), int(side), int(flags)) == (first["ts_venue"], first["ts"], first["side"], 0)
    assert price == f"{first['price'] // 10}.{first['price'] % 10}"
    assert size == f"{first['size'] // 100}.{first['size'] % 100:02d}"
    assert time.startswith("2025-05-04T") and time.endswith("Z")


def test_an_export_of_what_is_not_kept_says_what_is(cli: CommandLine, venue: FakeFetcher) -> None:
    cli("data", "download", *TRADES, *DAYS)
    done = cli("data", "export", *BARS, "--out", "b.csv")
    assert done.code == 3
    assert done.err == ".cache: nothing is kept of binance-usdm X bars-1m; there is binance-usdm X trades\n"
    assert cli("data", "export", *TRADES, "--out", "t.xlsx").err == (
        "t.xlsx: expected a file that ends in .csv or .parquet\n"
    )
