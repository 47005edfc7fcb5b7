"""The files of a run: exact text against text written by hand, harmless names, and folders that are whole or absent."""

from __future__ import annotations

import csv
import io
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.atomic_file import write_atomically
from core.errors import DataError, InvariantBroken, UsageError
from core.market.price_paths import PricePath
from core.metrics.catalogue import METRICS
from core.metrics.equity import EquityCurve
from core.metrics.monthly import monthly_returns
from core.notation import plain
from core.orders import OrderStatus
from core.plain_text import cell, iso, plain_float, printable
from core.report.export import equity_csv, fills_csv, orders_csv, trades_csv, trades_json
from core.report.page import report_html
from core.report.panel import TimeAxis, round_levels, thinned
from core.report.readable import render_summary
from core.report.recount import recount
from core.report.run_folder import RunFolder
from core.report.summary import build_summary, encode_summary
from test_metrics import DAY, HOUR, START, curve, order, record
from test_trade_log import fill, funding, log_of

D = Decimal
FORMULA = '=HYPERLINK("http://x")'
PATH = PricePath("v", "X", [START + HOUR, START + DAY], [50.0, 50.5], [104.0, 51.0])
DOCS = Path(__file__).parent.parent / "docs"


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


# --- tables -----------------------------------------------------------------------------------------------------------


def test_trades_csv_has_the_columns_of_the_design_and_exact_values() -> None:
    """1 bought at 100, sold at 99.5 after 1.5 s with fees of 0.00000001: pnl -0.50000001, i.e. -0.50000001 %."""
    log = log_of(fill("buy", "1", "100", START, fee="0.00000001"), fill("sell", "1", "99.5", START + 1_500_000_000))
    assert trades_csv(log.closed).decode() == (
        "trade_id,strategy,symbol,side,entry_ts,entry_ts_ns,entry_price,exit_ts,exit_ts_ns,exit_price,qty,gross_pnl,"
        "fees,funding,pnl,return_pct,entry_order_type,exit_order_type,duration_s,mae,mfe,exit_reason,venue\n"
        "t1,s,X,long,2025-05-04T00:00:00.000000000Z,1746316800000000000,100,2025-05-04T00:00:01.500000000Z,"
        "1746316801500000000,99.5,1,-0.5,0.00000001,0,-0.50000001,-0.50000001,,,1.5,-0.5,0,signal,v\n"
    )


def test_an_open_trade_has_empty_exit_cells_and_null_in_json() -> None:
    trades = log_of(fill("buy", "1", "100", START)).finish(START)
    (row,) = rows_of(trades_csv(trades))
    assert [row[name] for name in ("exit_ts", "exit_ts_ns", "exit_price", "exit_order_type")] == [""] * 4
    (read,) = msgspec.json.decode(trades_json(trades))
    assert (read["exit_ts"], read["exit_price"], read["entry_price"]) == (None, None, "100")
    assert list(read) == list(row)


def test_fills_csv_holds_every_field_of_a_fill() -> None:
    event = fill("buy", "0.010", "100.10", START, fee="1E-8")
    (row,) = rows_of(fills_csv([event]))
    assert set(row) - {"ts_ns", "ts_venue_ns", "cause_ts_ns"} == set(type(event).__struct_fields__)
    assert (row["qty"], row["price"], row["fee"], row["ts_ns"]) == ("0.010", "100.10", "0.00000001", str(START))


def test_orders_csv_says_how_each_order_ended() -> None:
    """2 wanted at 100, half filled at 99.5, then canceled."""
    made = order("limit", "2", price="100", filled="1", value="99.5", status=OrderStatus.CANCELED)
    (row,) = rows_of(orders_csv([made]))
    names = ("order_id", "type", "qty", "price", "status", "filled", "average_price", "leaves", "post_only", "tif")
    assert [row[name] for name in names] == ["o", "limit", "2", "100", "canceled", "1", "99.5", "1", "false", ""]
    assert orders_csv([]).decode().count("\n") == 1


def test_equity_csv_is_exact_and_plain() -> None:
    """40 / 80.05 = 0.49968769519050…, 80.05 / 100 - 1 = -0.1995; without equity there is no leverage."""
    rows = curve([(0, "100"), (1, "80.05"), (2, "-0.07")], exposure=[0, 0, 0])
    rows.exposure = np.array([0, 4000, 4000])
    rows.unrealized = np.array([0, -5, -1])
    assert b"".join(equity_csv(rows, D(100))).decode() == (
        "ts,ts_ns,equity,cash,unrealized_pnl,exposure,leverage,drawdown\n"
        "2025-05-04T00:00:00.000000000Z,1746316800000000000,100.00,100.00,0.00,0.00,0.000000000000,0.000000000000\n"
        "2025-05-04T00:00:00.000000001Z,1746316800000000001,80.05,80.05,-0.05,40.00,0.499687695191,-0.199500000000\n"
        "2025-05-04T00:00:00.000000002Z,1746316800000000002,-0.07,-0.07,-0.01,40.00,,-1.000700000000\n"
    )


@given(
    st.lists(st.integers(-(10**25), 10**25) | st.integers(-(10**6), 10**6), min_size=1, max_size=20),
    st.integers(0, 10),
    st.booleans(),
)
def test_equity_csv_writes_every_mantissa_as_decimal_does(values: list[int], scale: int, narrow: bool) -> None:
    """Python's Decimal is the oracle, for int64 columns and for wider ones."""
    values = [value % 10**18 - 10**17 for value in values] if narrow else values
    column = np.array(values, dtype=np.int64 if narrow else object)
    ts = np.arange(len(values), dtype=np.int64)
    rows = EquityCurve(ts=ts, scale=scale, equity=column, cash=column, unrealized=column, exposure=abs(column))
    read = rows_of(b"".join(equity_csv(rows, D(1))))
    assert [row["cash"] for row in read] == [f"{D(value).scaleb(-scale):f}" for value in values]


def test_chunks_do_not_show_in_the_file() -> None:
    """40,000 rows need three chunks: as many lines, each with its own time."""
    n = 40_000
    column = np.arange(n, dtype=np.int64)
    rows = EquityCurve(ts=column, scale=0, equity=column, cash=column, unrealized=column, exposure=column)
    lines = b"".join(equity_csv(rows, D(1))).decode().splitlines()
    assert [line.split(",")[1:3] for line in lines[1:]] == [[str(k), str(k)] for k in range(n)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FORMULA, "'" + FORMULA),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("\uff1d1", "'\uff1d1"),
        ("BTC/USDT:USDT", "BTC/USDT:USDT"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_name_that_looks_like_a_formula_is_quoted(text: str, expected: str) -> None:
    assert cell(text) == expected


def test_hostile_names_stay_one_harmless_cell() -> None:
    """Comma, quote, line break and formula in the strategy's name; numbers keep their sign."""
    trades = log_of(
        fill("buy", "1", "10", START, strategy='=1,"2"\n3'), fill("sell", "1", "9", START, strategy='=1,"2"\n3')
    ).closed
    (row,) = rows_of(trades_csv(trades))
    assert (row["strategy"], row["pnl"]) == ('\'=1,"2"\n3', "-1")


def test_numbers_never_have_an_exponent() -> None:
    assert (plain(D("0E-8")), plain(D("1E+3")), plain_float(1e-7), plain_float(1e22), plain_float(0.1)) == (
        "0.00000000", "1000", "0.0000001", "10000000000000000000000", "0.1",
    )  # fmt: skip
    assert iso(START + 1) == "2025-05-04T00:00:00.000000001Z"


# --- summary ----------------------------------------------------------------------------------------------------------


def _run(**parts: Any) -> Any:
    """Two days: strategy s earns 8 and pays 0.5, strategy u has an open X that sold half of it for +1."""
    log = log_of(
        fill("buy", "2", "100", START, fee="0.25"), fill("sell", "2", "104", START + HOUR, fee="0.25"),
        fill("buy", "2", "50", START + HOUR, strategy="u"), fill("sell", "1", "51", START + DAY, strategy="u"),
    )  # fmt: skip
    fills = [fill("buy", "2", "100", fee="0.25"), fill("sell", "2", "104", fee="0.25"),
             fill("buy", "2", "50", strategy="u"), fill("sell", "1", "51", strategy="u")]  # fmt: skip
    rows = [(0, "99.75"), (HOUR, "107.5"), (DAY, "108.25")]
    parts = {"fills": fills, "orders": [order("market", "2", filled="2", value="200")], **parts}
    parts["final_prices"] = {("v", "X"): D(50)}
    run = record(rows, trades=[*log.closed, *log.finish(START + DAY)], account_events=[funding("-0.25")], **parts)
    return run


def test_the_summary_has_every_field_of_the_design() -> None:
    """The list of design section 9, and every metric of the catalogue."""
    summary = build_summary(_run(), name="x")
    wanted = """
        start end initial_equity final_equity total_return cagr volatility sharpe sortino calmar max_drawdown
        max_drawdown_duration_s win_rate profit_factor expectancy trade_count exposure turnover fees funding slippage
        fill_ratio maker_ratio currency convention assumptions warnings
    """
    assert [name for name in wanted.split() if name not in summary] == []
    assert [metric.name for metric in METRICS if metric.name not in summary] == []


def test_money_in_the_summary_is_exact_text_and_per_strategy() -> None:
    """s: 8 - 0.5 = 7.5 closed; u: +1 so far, nothing closed. Together 9 realized."""
    summary = build_summary(_run(), name="x", assumptions=["a"], warnings=["w"])
    found = (summary["initial_equity"], summary["final_equity"], summary["realized_pnl"])
    assert found == ("100", "108.25", "9.00000000")  # a partial close is quantized to 8 decimals
    assert (summary["fees"], summary["funding"], summary["expectancy"]) == ("0.50", "-0.25", "7.50000000")
    assert summary["strategies"] == {
        "s": {"trade_count": 1, "pnl": "7.50", "fees": "0.50", "win_rate": 1.0},
        "u": {"trade_count": 0, "pnl": "1.00000000", "fees": "0", "win_rate": None},
    }
    assert summary["symbols"] == {"v:X": {"trade_count": 1, "pnl": "8.50000000", "fees": "0.50", "win_rate": 1.0}}
    assert (summary["assumptions"], summary["warnings"][-1]) == (["a"], "w")


def test_trades_of_one_symbol_at_two_venues_have_a_line_each_that_names_the_venue() -> None:
    """1 bought for 100 and sold for 101 at v, for 98 at w: +1 and -2."""
    made = [("buy", "100", "v"), ("sell", "101", "v"), ("buy", "100", "w"), ("sell", "98", "w")]
    log = log_of(*(fill(side, "1", price, at, venue=venue) for at, (side, price, venue) in enumerate(made)))
    assert [row["venue"] for row in rows_of(trades_csv(log.closed))] == ["v", "w"]
    summary = build_summary(record([(0, "99")], trades=log.closed), name="x")
    assert {name: block["pnl"] for name, block in summary["symbols"].items()} == {"v:X": "1", "w:X": "-2"}


def test_what_has_no_value_is_null_and_says_why() -> None:
    """No NaN, no infinity: strict JSON reads it back."""
    text = encode_summary(build_summary(record([]), name="x")).decode()
    assert not re.search(r"NaN|Infinity|inf\b", text)
    read = msgspec.json.decode(text)
    assert read["sharpe"] is None and "two are needed" in read["undefined"]["sharpe"]
    assert read["undefined"]["win_rate"] == "no trade was closed"


def test_ratios_of_a_few_days_come_with_a_warning_and_no_absurd_digits() -> None:
    """0.9975 and 1.0852 in two days: 8 % multiplied up to a year is beyond reading."""
    summary = build_summary(_run(), name="x")
    assert any("come from 2 daily returns" in warning for warning in summary["warnings"])
    assert "> 1,000,000 %" in render_summary(summary)


def test_fees_without_a_price_are_a_warning() -> None:
    bought = fill("buy", "1", "100", fee="0.002", fee_asset="BNB")
    run = record([], fills=[bought], final_prices={("v", "X"): D(100)})
    summary = build_summary(run, name="x")
    assert summary["other_fees"] == {"BNB": "0.002"}
    assert any("0.002 BNB" in warning for warning in summary["warnings"])


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({}, "No trades: the strategies placed no order."),
        ({"orders": [order("limit", "1", price="1")]}, "No trades: 1 order but no fill."),
    ],
)
def test_a_run_without_fills_says_so(parts: dict[str, Any], sentence: str) -> None:
    assert sentence in render_summary(build_summary(record([], **parts), name="x"))


def test_the_readable_summary_fits_100_columns_and_obeys_no_name() -> None:
    """A terminal code in a name is shown, long lines are wrapped, colour comes only when asked for."""
    hostile = "\x1b[31mred\nline" + "x" * 200
    summary = build_summary(_run(), name=hostile, assumptions=["word " * 50, hostile], warnings=["w"])
    text = render_summary(summary)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text and "\\x1b[31mred\\nline" in text
    assert "8.25 %" in text and "108.25 USDT" in text
    assert "\x1b[1m" in render_summary(summary, colour=True)
    assert printable("é→") == "é→"


def test_the_recount_agrees_with_books_that_agree() -> None:
    """100 + 9 - 0.5 - 0.25 = 108.25, the curve's last row."""
    recount(_run())


def test_the_recount_names_both_sides_where_the_books_disagree() -> None:
    run = _run()
    run.initial_equity = D("100.01")
    with pytest.raises(InvariantBroken, match=r"ends with 108\.25 USDT .* = 108\.26"):
        recount(run)


def test_the_recount_names_a_split_that_does_not_sum_up_to_the_change_of_the_equity() -> None:
    """At 51 the open X is worth 1 more than the curve's last row says: 9.25 instead of 8.25."""
    run = _run()
    run.final_prices = {("v", "X"): D(51)}
    with pytest.raises(InvariantBroken, match=r"changed by 8\.25 USDT, but price, .* sum up to 9\.25"):
        recount(run)


def test_every_field_of_the_summary_is_documented() -> None:
    """docs/metrics.md names each field in backticks."""
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert [name for name in build_summary(_run(), name="x") if f"`{name}`" not in text] == []


# --- run folder -------------------------------------------------------------------------------------------------------


def manifest(folder: Path) -> dict[str, Any]:
    read = msgspec.json.decode((folder / "manifest.json").read_bytes())
    assert isinstance(read, dict)
    return read


def test_a_folder_says_running_until_it_is_finished(tmp_path: Path) -> None:
    """A crash in between leaves `running`; finishing adds the fields and moves `latest`."""
    folder = RunFolder.create(tmp_path / "runs", "quick", START, "ab12")
    assert folder.path == tmp_path / "runs" / "quick-20250504T000000Z-ab12"
    assert (manifest(folder.path)["status"], (tmp_path / "runs" / "latest").exists()) == ("running", False)
    folder.write("summary.json", b"{}")
    folder.finish("complete", {"seed": 7, "versions": {"python": "3.11"}})
    assert (manifest(folder.path)["status"], manifest(folder.path)["seed"]) == ("complete", 7)
    assert (tmp_path / "runs" / "latest").resolve() == folder.path
    assert sorted(path.name for path in folder.path.iterdir()) == ["manifest.json", "summary.json"]


def test_the_same_name_and_second_make_two_folders_and_latest_is_the_last(tmp_path: Path) -> None:
    folders = [RunFolder.create(tmp_path, "a", START, "1") for _ in range(2)]
    assert [folder.path.name for folder in folders] == ["a-20250504T000000Z-1", "a-20250504T000000Z-1-2"]
    for folder in folders:
        folder.finish("failed", {})
    assert os.readlink(tmp_path / "latest") == "a-20250504T000000Z-1-2"


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a\0b", "BTC/USDT:USDT", "..", "", "é" * 300, "C:\\x", "-rf"])
def test_no_name_leads_out_of_the_results(tmp_path: Path, name: str) -> None:
    folder = RunFolder.create(tmp_path, name, START, "../id")
    assert folder.path.parent == tmp_path and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", folder.path.name)
    assert manifest(folder.path)["run"] == name


@pytest.mark.parametrize("name", ["../x", "a/b", "", "..", "/x"])
def test_a_file_with_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="plain name"):
        RunFolder.create(tmp_path, "a", START, "1").write(name, b"")


def test_results_that_are_a_file_are_refused_with_their_path(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match=r"cannot make a run folder in .*runs"):
        RunFolder.create(tmp_path / "runs", "a", START, "1")


def test_where_links_are_not_allowed_latest_is_a_text_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "symlink", refuse)
    folder = RunFolder.create(tmp_path, "a", START, "1")
    folder.finish("complete", {})
    assert (tmp_path / "latest").read_text() == f"{folder.path.name}\n"


def test_a_write_that_fails_leaves_the_old_file_and_no_leftover(tmp_path: Path) -> None:
    """The second chunk raises, as a full disk would."""

    def breaking() -> Any:
        yield b"new"
        raise OSError(28, "No space left on device")

    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(DataError, match=r"cannot write .*x: No space left on device; make room"):
        write_atomically(path, breaking())
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (b"old", ["x"])


def full(path: Path, _: object) -> None:
    raise DataError(f"cannot write {path}: No space left on device")


@pytest.mark.parametrize("status", ["failed", "incomplete", "interrupted"])
def test_a_full_disk_leaves_a_manifest_that_says_how_the_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Literal["failed", "incomplete", "interrupted"]
) -> None:
    """Changed in place, in as many bytes as it had before."""
    folder = RunFolder.create(tmp_path, "a", START, "1")
    size = (folder.path / "manifest.json").stat().st_size
    monkeypatch.setattr("core.report.run_folder.write_atomically", full)
    folder.finish(status, {"error": "mine", "seed": 7})
    read = manifest(folder.path)
    assert (read["status"], read["error"], read["seed"], read["run"]) == (status, "mine", 7, "a")
    assert (folder.path / "manifest.json").stat().st_size == size


def test_a_run_whose_manifest_finds_no_room_is_not_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one with more to tell than there is room for: then the manifest says who it was and what went wrong."""
    folder = RunFolder.create(tmp_path, "a", START, "1")
    monkeypatch.setattr("core.report.run_folder.write_atomically", full)
    with pytest.raises(DataError, match="No space left"):
        folder.finish("complete", {"argv": ["x" * 5000]})
    read = manifest(folder.path)
    assert (read["status"], read["run"], read["id"]) == ("failed", "a", "1")
    assert read["error"] == f"cannot write {folder.path.name}/manifest.json: No space left on device"
    assert not (tmp_path / "latest").exists()


# --- page -------------------------------------------------------------------------------------------------------------


def test_thinning_keeps_the_extremes_and_the_order() -> None:
    values = np.sin(np.arange(100_000) / 50)
    values[51_234], values[77_777] = 9, -9
    ts, thin = thinned(np.arange(100_000), values)
    assert len(ts) <= 2000 and (thin.max(), thin.min()) == (9, -9)
    assert bool((np.diff(ts) >= 0).all())


def test_the_page_stands_alone_and_escapes_names() -> None:
    run = _run()
    page = report_html(run, build_summary(run, name="<script>alert(1)</script>"), [])
    assert "<script" not in page and "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|@import|https?:", page)
    assert (page.count("<polyline"), page.count("<polygon")) == (1, 2)  # equity; drawdown and exposure
    assert "prefers-color-scheme:dark" in page


def test_a_trade_is_marked_at_its_entry_and_its_exit_on_the_price() -> None:
    """One day wide, from x = 90 to 1090: the first trade goes in at 0 h and out after 1 h, 90 + 1000 / 24 = 131.7.

    Prices from 50 to 104 are 240 high: the entry at 100 lies 240 x 4 / 54 = 17.8 below the top of its panel.
    """
    run = _run()
    page = report_html(run, build_summary(run, name="x"), [PATH])
    (won,) = re.findall(r'<g class="win">.*?</g>', page)
    (left,) = re.findall(r'<g class="open">.*?</g>', page)
    assert "t1, s: long 2 at 100, 2025-05-04T00:00:00Z, out at 104 (signal), profit 7.5" in won
    (x, y), (to_x, top) = re.findall(r"[ML]([\d.]+),([\d.]+)", won)[-2:]
    assert (x, to_x, float(y) - float(top)) == ("90.0", "131.7", pytest.approx(17.8, abs=0.1))
    assert "open at the end" in left and "<circle" not in left
    assert "Not drawn" not in page and "Not drawn, with fewer trades: v:X." in report_html(
        run, build_summary(run, name="x"), []
    )


@pytest.mark.parametrize(
    ("low", "high", "levels"),
    [(9650, 10035, [9700, 9800, 9900, 10000]), (-3.8, 0, [-3, -2, -1, 0]), (0, 0.45, [0, 0.2, 0.4]), (7, 7, [7])],
)
def test_levels_are_round_numbers_within_their_panel(low: float, high: float, levels: list[float]) -> None:
    assert round_levels(low, high) == pytest.approx(levels)


@pytest.mark.parametrize(
    ("days", "first", "labels"),
    [
        (0.25, "2025-05-04 00:00", 7),  # every hour
        (3, "2025-05-04 00:00", 7),  # every 12 hours
        (30, "2025-05-07", 6),  # every 5 days since 1970: day 20,215 is 4,043 x 5, three after the start
        (365, "2025-06", 6),  # every second month
    ],
)
def test_the_time_axis_has_a_few_round_moments(days: float, first: str, labels: int) -> None:
    ticks = TimeAxis(START, START + int(days * DAY)).ticks()
    assert (ticks[0][1], len(ticks)) == (first, labels)
    assert all(START <= at <= START + days * DAY for at, _ in ticks)


def test_a_month_is_measured_from_the_end_of_the_month_before() -> None:
    """100 at first, 110 on May 31, 99 on June 30 and 108.9 on July 1: +10 %, -10 %, +10 %; the year 108.9 / 100 - 1."""
    run = record([(27 * DAY, "110"), (57 * DAY, "99"), (58 * DAY, "108.9")])
    assert monthly_returns(run) == [
        (2025, 5, pytest.approx(0.1)), (2025, 6, pytest.approx(-0.1)), (2025, 7, pytest.approx(0.1))
    ]  # fmt: skip
    page = report_html(run, build_summary(run, name="x"), [])
    assert re.findall(r'<td class="(\w+)">([-\d.]+)</td>', page) == [
        ("win", "10.00"), ("loss", "-10.00"), ("win", "10.00"), ("win", "8.90")
    ]  # fmt: skip
    assert "Returns by month" not in report_html(_run(), build_summary(_run(), name="x"), [])


def test_a_run_without_rows_has_a_page_that_says_so() -> None:
    run = record([])
    assert "nothing to draw" in report_html(run, build_summary(run, name="x"), [])


def test_the_same_run_gives_the_same_bytes() -> None:
    def files() -> list[bytes]:
        run = _run()
        summary = build_summary(run, name="x")
        tables = [trades_csv(run.trades), trades_json(run.trades), fills_csv(run.fills), orders_csv(run.orders)]
        return [*tables, encode_summary(summary), report_html(run, summary, [PATH]).encode()]

    assert files() == files()
