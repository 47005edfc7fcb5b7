"""Bad input, as the user meets it: one clear message, the right exit code, nothing half-written."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pytest

from command_line import SHORT, CommandLine, strategy_set

HEADER = "time,open,high,low,close,volume\n"
START_MS = 1_746_316_800_000
"""2025-05-04T00:00:00Z."""
MINUTES = [f"{START_MS + 60_000 * minute},100,101,99,100,5\n" for minute in range(12)]


@pytest.fixture
def anyclock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch, capsys)


def bars(*minutes: int, **changed: str) -> str:
    """A file of these minutes; `changed` replaces cells of the second row."""
    rows = [MINUTES[minute] for minute in minutes]
    if changed:
        cells = dict(zip(HEADER.strip().split(","), rows[1].strip().split(","), strict=True)) | changed
        rows[1] = ",".join(cells.values()) + "\n"
    return HEADER + "".join(rows)


def file_set(path: str, more: str = "") -> list[str]:
    """`--set` arguments for a run over this file with a strategy that is called from the first bar."""
    source = f"data[0].source={{kind: file, path: {path}{more}}}"
    return ["--set", source, "--set", "strategies[0].warmup=1"]


# --- data -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "bars.csv: is empty"),
        (HEADER, "bars.csv: has a header and nothing below it"),
        (bars(0, 1, 2, close="nan"), "bars.csv: line 3, column `close`: 'nan' is not a finite number"),
        (bars(0, 1, 2, close="inf"), "bars.csv: line 3, column `close`: 'inf' is not a finite number"),
        (bars(0, 1, 2, low="0"), "bars.csv: line 3, column `low`: 0 is not above zero"),
        (bars(0, 1, 2, low="-5"), "bars.csv: line 3, column `low`: -5 is not above zero"),
        (bars(0, 1, 2, high="98"), "bars.csv: line 3, column `high`: 98 is below the low 99"),
        (bars(0, 1, 1, 2), "bars.csv: line 4, column `time`: 2025-05-04 00:01:00Z stands there twice"),
        (bars(0, 2, 1, 3), "bars.csv: line 4, column `time`: 2025-05-04 00:01:00Z comes after 2025-05-04 00:02:00Z"),
        (bars(0, 5, 10), "bars.csv: holds bars of 5m (the most frequent step between rows); expected bars of 1m"),
    ],
)
def test_wrong_bars_are_told_by_file_line_and_column_with_exit_code_3(
    anyclock: CommandLine, content: str, said: str
) -> None:
    (anyclock.folder / "bars.csv").write_text(content)
    done = anyclock(*file_set("bars.csv"))
    assert done.code == 3
    assert done.err.startswith(said)
    assert done.err.count("\n") == 1 and done.out == ""
    assert done.wrote_nothing


def test_a_missing_file_is_told_with_exit_code_3(anyclock: CommandLine) -> None:
    done = anyclock(*file_set("nowhere.csv"))
    assert (done.code, done.wrote_nothing) == (3, True)
    assert done.err.startswith("nowhere.csv: there is no such file")


def test_a_truncated_zip_is_told_with_exit_code_3(anyclock: CommandLine) -> None:
    with zipfile.ZipFile(anyclock.folder / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bars.csv", bars(*range(12)))
    whole = (anyclock.folder / "whole.zip").read_bytes()
    (anyclock.folder / "cut.zip").write_bytes(whole[: len(whole) // 2])
    done = anyclock(*file_set("cut.zip"))
    assert (done.code, done.wrote_nothing) == (3, True)
    assert done.err.startswith("cut.zip: is damaged or cut short")


def test_a_gap_is_listed_and_never_filled(anyclock: CommandLine) -> None:
    """Minutes 0 to 2 and 6 to 11 are there: three are missing."""
    (anyclock.folder / "bars.csv").write_text(bars(0, 1, 2, 6, 7, 8, 9, 10, 11))
    done = anyclock(*file_set("bars.csv"))
    assert done.code == 0
    (tape,) = done.manifest["tapes"]
    assert tape["rows"] == 9
    assert tape["gaps"] == [
        {"since": "2025-05-04T00:03:00.000000000Z", "until": "2025-05-04T00:06:00.000000000Z", "rows": 3}
    ]
    assert any("3 bars missing" in warning for warning in done.summary["warnings"])


def test_a_gap_longer_than_allowed_ends_with_exit_code_3(anyclock: CommandLine) -> None:
    (anyclock.folder / "bars.csv").write_text(bars(0, 1, 2, 6, 7, 8))
    done = anyclock(*file_set("bars.csv", ", max_gap: 2m"))
    assert (done.code, done.wrote_nothing) == (3, True)
    assert "bars.csv" in done.err


def test_one_bar_is_a_run_with_a_summary_whose_ratios_are_undefined(anyclock: CommandLine) -> None:
    (anyclock.folder / "bars.csv").write_text(bars(0))
    done = anyclock(*file_set("bars.csv"))
    assert done.code == 0
    summary = done.summary
    assert (summary["initial_equity"], summary["final_equity"], summary["total_return"]) == (
        "10000",
        "10000.00000000",
        0,
    )
    assert summary["sharpe"] is None and summary["undefined"]["sharpe"]
    assert "BTCUSDT: the data holds 1 bar: a decision on it has no next bar to meet" in summary["warnings"]


def test_a_tick_coarser_than_the_prices_is_told_with_exit_code_3(anyclock: CommandLine) -> None:
    """Prices of 99 to 101 have no place on a grid of 1000."""
    (anyclock.folder / "bars.csv").write_text(bars(0, 1, 2))
    done = anyclock(*file_set("bars.csv"), "--set", "instruments.BTCUSDT={tick: '1000', step: '0.001'}")
    assert (done.code, done.wrote_nothing) == (3, True)
    assert done.err.startswith("BTCUSDT: the tick 1000 is coarser than the prices of")
    assert "which go down to 99; give `instruments.BTCUSDT.tick`" in done.err


def test_a_period_without_data_is_told_with_exit_code_3(anyclock: CommandLine) -> None:
    done = anyclock(*SHORT, "--set", "run.start=2030-01-01")
    assert (done.code, done.wrote_nothing) == (3, True)
    assert done.err.startswith("BTCUSDT: no bar of synthetic BTCUSDT lies between run.start and run.end")


def test_a_symbol_nobody_knows_is_a_config_problem(anyclock: CommandLine) -> None:
    done = anyclock("--set", "data[0].symbol=NOSUCH", "--set", "strategies[0].symbols=[NOSUCH]")
    assert (done.code, done.wrote_nothing) == (2, True)
    assert "the stored rules of binance-usdm do not know NOSUCH (known: BTCUSDT" in done.err


@pytest.mark.parametrize("written", ["BTC/USDT", "BTC/USDT:USDT", "btc-usdt"])
def test_a_symbol_as_other_programs_write_it_is_told_as_the_venue_does(written: str, anyclock: CommandLine) -> None:
    done = anyclock("--set", f"data[0].symbol={written}", "--set", f"strategies[0].symbols=[{written}]")
    assert done.code == 2 and "did you mean BTCUSDT? Else add `instruments: " in done.err


# --- strategies -------------------------------------------------------------------------------------------------------

BODY = """class Mine:
    warmup = 3
    calls = 0

    def generate_signals(self, market_data, position_state):
        self.calls += 1
        if self.calls == 2:
            {line}
        return {{"side": "buy", "qty": "0.01"}} if self.calls == 1 else None
"""


@pytest.mark.parametrize(
    ("line", "where", "what"),
    [
        ("return 1 / 0", "failing.py:8  return 1 / 0", "ZeroDivisionError: division by zero"),
        ("return 42", "in what generate_signals of failing.Mine returned", "expected None, a Signal, a mapping"),
        ("return {'side': 'buy', 'qty': float('nan')}", "returned", "`qty` is nan, expected a finite number"),
        ("return {'side': 'buy', 'qty': -1}", "returned", "`qty` is -1, expected more than 0"),
        ("return {'side': 'buy', 'qyt': 1}", "returned", "unknown key `qyt`, did you mean `qty`?"),
        ("return {'side': 'buy', 'qty': 1, 'symbol': 'BTCUSD'}", "returned", "unknown symbol 'BTCUSD'"),
        (
            "return {'side': 'buy'}",
            "returned",
            "an order needs exactly one of qty, notional, fraction, quote_qty; found none",
        ),
        ("return {'side': 'buy', 'qty': 1, 'type': 'limit'}", "returned", "a limit order needs a `price`"),
        ("import no_such_module", "failing.py:8  import no_such_module", "ModuleNotFoundError: No module named"),
    ],
)
def test_a_failing_strategy_is_named_with_its_line_and_bar_and_leaves_a_folder_marked_incomplete(
    anyclock: CommandLine, line: str, where: str, what: str
) -> None:
    """The second call sees the fourth minute, which closes at 00:04; the order of the first call stays booked."""
    done = anyclock(*SHORT, *strategy_set(anyclock.module("failing", BODY.format(line=line))))
    assert done.code == 1
    said = done.err.splitlines()
    assert said[0] == ("strategy `mine` failed in generate_signals at 2024-01-01 00:04:00Z (call 2, BTCUSDT Bar)")
    assert where in said[1]
    assert what in said[2]
    assert said[3] == f"partial results: runs/{done.folder.name}  (marked incomplete)"
    assert len(said) == 4 and done.out == ""
    assert done.manifest["status"] == "incomplete"
    assert what in done.manifest["error"]
    assert done.summary["fill_count"] == 1


def test_debug_shows_the_whole_traceback_of_a_failing_strategy(anyclock: CommandLine) -> None:
    done = anyclock(*SHORT, "--debug", *strategy_set(anyclock.module("failing_too", BODY.format(line="return 1 / 0"))))
    assert "Traceback (most recent call last)" in done.err
    assert 'failing_too.py", line 8, in generate_signals' in done.err


def test_json_tells_a_failure_to_machines(anyclock: CommandLine) -> None:
    module = anyclock.module("failing_as_json", BODY.format(line="return 1 / 0"))
    printed = json.loads(anyclock(*SHORT, "--json", *strategy_set(module)).out)
    assert (printed["status"], printed["exit_code"]) == ("incomplete", 1)
    assert "division by zero" in printed["error"]
    assert printed["run_folder"].startswith("runs/quickstart-")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def Mine(:\n", "cannot import"),
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("class Other:\n    pass\n", "has no Mine; it has Other"),
        ("class Mine:\n    pass\n", "Mine has no method generate_signals"),
        ("class Mine:\n    def __init__(self, fast):\n        pass\n", "cannot be made with params {}"),
        ("class Mine:\n    def __init__(self):\n        raise ValueError('no')\n", "ValueError: no"),
    ],
)
def test_a_strategy_that_cannot_be_made_is_a_config_problem(anyclock: CommandLine, text: str, said: str) -> None:
    name = f"unmade_{len(text)}"
    done = anyclock(*SHORT, *strategy_set(anyclock.module(name, text)))
    assert (done.code, done.wrote_nothing) == (2, True)
    assert said in done.err and "--set strategies[0].class" in done.err
    assert "Traceback" not in done.err


def test_an_order_below_the_minimum_notional_is_denied_with_its_reason_in_orders_csv(anyclock: CommandLine) -> None:
    """0.001 BTC at some 60,000 is 60 USDT, and the minimum is set to 1,000."""
    module = anyclock.module("small_orders", BODY.format(line="pass").replace("0.01", "0.001"))
    instrument = 'instruments={BTCUSDT: {tick: "0.1", step: "0.001", min_notional: "1000"}}'
    done = anyclock(*SHORT, "--set", instrument, *strategy_set(module))
    assert done.code == 0
    (order,) = csv.DictReader((done.folder / "orders.csv").read_text().splitlines())
    assert order["status"] == "denied"
    assert "is below the minimum 1000 of BTCUSDT" in order["reason"]
    assert any("1 order was denied by our own checks: notional" in warning for warning in done.summary["warnings"])
    assert (done.folder / "fills.csv").read_text().count("\n") == 1
