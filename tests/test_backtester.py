"""The Backtester: results that an independent recomputation confirms, and no look into the future."""

from __future__ import annotations

import asyncio
import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import empyrical
import numpy as np
import pandas
import pytest

import recomputation as again
from command_line import FILES, REPOSITORY
from core.errors import ConfigError, StrategyError, UsageError
from core.report.table import Table
from core.result import RunResult, write_result
from core.tape import Tape
from sim.backtester import Backtester

QUICKSTART = REPOSITORY / "configs/quickstart.yaml"
MINUTE_NS = 60_000_000_000
SHORT = ("data[0].source.days=3",)
RATIO = 1e-9


class Silent:
    """Wants nothing."""

    warmup = 0

    def generate_signals(self, market_data: Any, position_state: Any) -> None:
        return None


# --- the second witness -----------------------------------------------------------------------------------------------


def assert_recomputed(result: RunResult, folder: Path, prices: dict[str, again.Prices]) -> None:
    """Money to the last digit, counts exactly, ratios to 1e-9, every equity row, and empyrical where it is there."""
    from core.report.run_folder import RunFolder

    write_result(result, RunFolder(folder, {}))
    summary = json.loads((folder / "summary.json").read_text())
    fills = again.fills_of(folder / "fills.csv")
    initial, start, end = Decimal("10000"), summary["start_ns"], summary["end_ns"]
    assert Decimal(summary["initial_equity"]) == initial
    assert {name: Decimal(summary[name]) for name in again.money_of(fills, prices, initial, end)} == (
        again.money_of(fills, prices, initial, end)
    )
    rows = again.rows_of(fills, prices, initial, start, end, MINUTE_NS)
    expected = again.counts_of(fills) | again.ratios_of(rows, initial, start, end)
    assert {name: summary[name] for name in expected} == pytest.approx(expected, rel=RATIO, abs=1e-12)
    with (folder / "equity.csv").open(newline="") as stream:
        written = [(int(r["ts_ns"]), Decimal(r["equity"]), Decimal(r["exposure"])) for r in csv.DictReader(stream)]
    assert written == [tuple(row) for row in rows]
    assert_empyrical(summary, rows, initial)


def assert_empyrical(summary: dict[str, Any], rows: list[again.Row], initial: Decimal) -> None:
    """A second oracle, fed with daily returns (and row returns for the drawdown) that we did not compute."""
    returns = np.array(again.daily_returns(rows, initial))
    equity = np.array([float(initial), *(float(row.equity) for row in rows)])
    told = {
        "total_return": empyrical.cum_returns_final(returns),
        "cagr": empyrical.annual_return(returns, annualization=365),
        "volatility": empyrical.annual_volatility(returns, annualization=365),
        "sharpe": empyrical.sharpe_ratio(returns, annualization=365),
        "sortino": empyrical.sortino_ratio(returns, annualization=365),
        "max_drawdown": empyrical.max_drawdown(equity[1:] / equity[:-1] - 1),
    }
    assert {name: summary[name] for name in told} == pytest.approx(told, rel=RATIO)


def prices_of(tape: Tape) -> again.Prices:
    closes = [Decimal(mantissa).scaleb(-tape.price_scale) for mantissa in tape.columns["close"].tolist()]
    return again.Prices(tape.columns["ts_venue"].tolist(), closes)


def recorded(path: Path) -> again.Prices:
    """Closes of a recorded file: floats whose shortest digits are the venue's price; known when the bar is over."""
    frame = pandas.read_feather(path)
    opens = (frame["date"].astype("datetime64[ns, UTC]").astype("int64")).tolist()
    return again.Prices([ts + MINUTE_NS for ts in opens], [Decimal(repr(close)) for close in frame["close"].tolist()])


def test_the_quickstart_agrees_with_a_recomputation_from_its_fills_and_prices(tmp_path: Path) -> None:
    backtester = Backtester(QUICKSTART)
    (stream,) = backtester.plan.streams
    tape = asyncio.run(stream.source.load())
    result = backtester.run()
    assert result.summary["fill_count"] > 100
    assert_recomputed(result, tmp_path, {"BTCUSDT": prices_of(tape)})


EMA = "class: 'strategies.ema_cross:EmaCross', params: {fast: 60, slow: 240, qty: "
REVERT = "class: 'strategies.mean_reversion:MeanReversion', params: {qty: "


@pytest.mark.parametrize("strategy", [EMA, REVERT], ids=["market orders", "resting limit orders"])
def test_a_month_of_real_bars_agrees_with_a_recomputation(shared: Path, tmp_path: Path, strategy: str) -> None:
    """43,199 recorded minutes of BTCUSDT."""
    path = shared / "data/bars/binance-usdm/BTCUSDT-1m.2025-05.feather"
    source = f"data[0].source={{kind: file, path: {path}}}"
    entry = f"strategies[0]={{name: one, {strategy}'0.02'}}, symbols: [BTCUSDT]}}"
    result = Backtester(QUICKSTART, set=(source, entry)).run()
    assert result.summary["fill_count"] > 100
    assert_recomputed(result, tmp_path, {"BTCUSDT": recorded(path)})


def test_three_real_markets_and_two_kinds_of_strategy_agree_with_a_recomputation(shared: Path, tmp_path: Path) -> None:
    """Market orders on BTC and ETH, resting limit orders on BTC and SOL; one account, one netted BTC position."""
    bars = shared / "data/bars/binance-usdm"
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    files = {symbol: bars / f"{symbol}-1m.2025-05.feather" for symbol in symbols}
    sets = [
        f"data[{at}]={{symbol: {symbol}, kind: bars, interval: 1m, source: {{kind: file, path: {files[symbol]}}}}}"
        for at, symbol in enumerate(symbols)
    ]
    sets += [
        f"strategies[0]={{name: ema_btc, {EMA}'0.02'}}, symbols: [BTCUSDT]}}",
        f"strategies[1]={{name: ema_eth, {EMA}'0.5'}}, symbols: [ETHUSDT]}}",
        f"strategies[2]={{name: revert_btc, {REVERT}'0.03'}}, symbols: [BTCUSDT]}}",
        f"strategies[3]={{name: revert_sol, {REVERT}'5'}}, symbols: [SOLUSDT]}}",
    ]
    result = Backtester(QUICKSTART, set=[*sets, "run.end=2025-05-15"]).run()
    assert set(result.summary["strategies"]) == {"ema_btc", "ema_eth", "revert_btc", "revert_sol"}
    assert 0 < result.summary["maker_ratio"] < 1
    assert_recomputed(result, tmp_path, {symbol: recorded(path) for symbol, path in files.items()})


def test_base_assets_held_at_the_start_count_in_the_equity_from_the_first_open_on(tmp_path: Path) -> None:
    """1,000 USDT and 2 BTC; the first bar opens at 100 and the last closes at 130: from 1,200 to 1,260, up 5 %."""
    rows = [f"{1_746_316_800_000 + 60_000 * at},{100 + at},131,99,{101 + at},5" for at in range(30)]
    path = tmp_path / "rising.csv"
    path.write_text("time,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    sets = [f"data[0].source={{kind: file, path: {path}}}", "venue.name=binance-spot", "risk={}"]
    sets += ["account={balances: {USDT: 1000, BTC: 2}}"]
    summary = Backtester(QUICKSTART, set=sets, strategies={"ema": Silent()}).run().summary
    assert [Decimal(summary[name]) for name in ("initial_equity", "final_equity", "unrealized_pnl")] == [1200, 1260, 60]
    assert summary["total_return"] == pytest.approx(0.05, rel=1e-12)
    assert summary["buy_and_hold"] == pytest.approx(0.3, rel=1e-12)


def test_selling_what_was_held_at_the_start_keeps_the_books_equal(tmp_path: Path) -> None:
    """Sold at 110 less the fee, 2 BTC are 220 USDT in cash: what the market does afterwards changes nothing."""

    class SellsOnce:
        warmup = 0
        done = False

        def generate_signals(self, market_data: Any, position_state: Any) -> dict[str, Any] | None:
            if self.done or len(market_data.close) < 10:
                return None
            self.done = True
            return {"side": "sell", "qty": 2}

    rows = [f"{1_746_316_800_000 + 60_000 * at},{100 + at},131,99,{101 + at},5000" for at in range(30)]
    path = tmp_path / "rising.csv"
    path.write_text("time,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    sets = [f"data[0].source={{kind: file, path: {path}}}", "venue.name=binance-spot", "risk={}"]
    sets += ["account={balances: {USDT: 1000, BTC: 2}}", "simulation={preset: optimistic}"]
    result = Backtester(QUICKSTART, set=sets, strategies={"ema": SellsOnce()}).run()
    (fill,) = result.fills
    assert (fill["price"], fill["qty"]) == (110, 2)
    assert Decimal(result.summary["final_equity"]) == 1000 + 220 - Decimal(result.summary["fees"])


# --- the door for people ----------------------------------------------------------------------------------------------


def test_run_gives_the_same_result_as_run_async_and_refuses_inside_a_running_loop() -> None:
    backtester = Backtester(QUICKSTART, set=SHORT)
    first = backtester.run()

    async def notebook() -> RunResult:
        with pytest.raises(UsageError, match=r"await Backtester\(...\)\.run_async\(\)"):
            backtester.run()
        return await backtester.run_async()

    assert asyncio.run(notebook()).events_sha256 == first.events_sha256


def test_two_backtests_may_run_in_one_loop_and_do_not_meet() -> None:
    async def both() -> list[RunResult]:
        one, two = Backtester(QUICKSTART, set=SHORT), Backtester(QUICKSTART, set=(*SHORT, "run.seed=8"))
        return await asyncio.gather(one.run_async(), two.run_async())

    one, two = asyncio.run(both())
    assert one.events_sha256 == Backtester(QUICKSTART, set=SHORT).run().events_sha256
    assert one.events_sha256 != two.events_sha256


def test_nothing_is_written_unless_asked_and_then_the_files_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Backtester(QUICKSTART, set=SHORT).run().run_folder is None
    assert list(tmp_path.iterdir()) == []
    saved = Backtester(QUICKSTART, set=SHORT, save=True).run()
    assert saved.run_folder is not None
    assert {path.name for path in saved.run_folder.iterdir()} == FILES - {"run.log"}
    assert json.loads((saved.run_folder / "summary.json").read_text()) == saved.summary


def test_a_saved_run_that_fails_is_marked_incomplete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails:
        warmup = 0

        def generate_signals(self, market_data: Any, position_state: Any) -> None:
            raise ValueError("no idea")

    monkeypatch.chdir(tmp_path)
    with pytest.raises(StrategyError, match="ValueError: no idea"):
        Backtester(QUICKSTART, set=SHORT, strategies={"ema": Fails()}, save=True).run()
    manifest = json.loads((tmp_path / "runs/latest/manifest.json").read_text())
    assert manifest["status"] == "incomplete"


def test_strategies_are_handed_in_by_name_and_a_wrong_name_is_refused() -> None:
    result = Backtester(QUICKSTART, set=SHORT, strategies={"ema": Silent()}).run()
    assert (result.summary["order_count"], len(result.trades)) == (0, 0)
    assert any("wanted nothing" in warning for warning in result.summary["warnings"])
    with pytest.raises(UsageError, match="no strategy called 'emma'; it has ema"):
        Backtester(QUICKSTART, strategies={"emma": Silent()})


def test_config_problems_are_raised_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="did you mean `seed`"):
        Backtester(QUICKSTART, set="run.sed=1")


def test_results_are_tables_by_column_row_iteration_and_length() -> None:
    result = Backtester(QUICKSTART, set=SHORT).run()
    trades = result.trades
    assert len(trades) == result.summary["trade_count"] + result.summary["open_trade_count"] > 0
    closed = [trade["pnl"] for trade in trades if trade["exit_ts"] is not None]
    assert sum(closed, Decimal(0)) == sum(
        (Decimal(block["pnl"]) for block in result.summary["strategies"].values()), Decimal(0)
    ) - sum((trade["pnl"] for trade in trades if trade["exit_ts"] is None), Decimal(0))
    assert trades[0]["trade_id"] == trades["trade_id"][0] == "t1"
    with pytest.raises(KeyError, match="'pln' is no column; there are trade_id"):
        trades["pln"]
    with pytest.raises(IndexError):
        trades[len(trades)]
    assert [len(table) for table in (result.fills, result.orders)] == [
        result.summary["fill_count"],
        result.summary["order_count"],
    ]


def test_tables_become_pandas_with_utc_times_and_floats_or_exact_decimals() -> None:
    result = Backtester(QUICKSTART, set=SHORT).run()
    frame = result.equity.to_pandas()
    assert str(frame["ts"].dt.tz) == "UTC"
    assert frame["equity"].iloc[-1] == float(result.summary["final_equity"])
    trades = result.trades.to_pandas()
    assert trades["pnl"].dtype == np.float64
    assert trades["entry_ts"].iloc[0] == pandas.Timestamp(result.trades[0]["entry_ts"], tz="UTC")
    assert isinstance(result.trades.to_pandas(exact=True)["pnl"].iloc[0], Decimal)
    assert result.fills.to_pandas().shape == (len(result.fills), len(result.fills.columns))
    assert len(result.orders.to_pandas()) == len(result.orders)


def test_a_table_shows_itself_in_a_notebook_short_and_harmless() -> None:
    table = Table(lambda: {"name": ["<b>"] * 50, "ts": [0] * 50}, 50, frozenset({"ts"}))
    html = table._repr_html_()
    assert html.count("<tr>") == 1 + 20 + 1
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert "1970-01-01 00:00:00" in html and "50 rows" in html
    assert repr(table) == "Table(50 rows: name, ts)"


def test_a_result_reads_as_one_line_and_prints_as_the_summary() -> None:
    result = Backtester(QUICKSTART, set=SHORT, strategies={"ema": Silent()}).run()
    assert repr(result) == (
        "<RunResult quickstart, complete: 10,000.00 to 10,000.00 USDT (+0.00 %), 0 trades, 0 fills>"
    )
    assert str(result).startswith("quickstart  2024-01-01 00:00:00")
    assert result._repr_html_().startswith("<pre>quickstart")


# --- no look-ahead ----------------------------------------------------------------------------------------------------


class Decider:
    """Trades at every third close and remembers when it decided and on which close."""

    warmup = 3

    def __init__(self) -> None:
        self.decided: list[tuple[int, float]] = []
        self.calls = 0

    def generate_signals(self, market_data: Any, position_state: Any) -> dict[str, Any] | None:
        self.calls += 1
        if self.calls % 3:
            return None
        self.decided.append((market_data.bar.ts_venue, market_data.bar.close))
        return {"close": True} if position_state.qty else {"side": "buy", "qty": "0.01"}


@pytest.mark.parametrize("preset", ["", "simulation={preset: optimistic}"])
def test_who_acts_on_a_close_gets_the_next_bars_path_and_never_that_close(shared: Path, preset: str) -> None:
    """Each market order is filled in the bar that opens at its decision, at a reference within that bar's range.

    A recorded market rarely opens where it closed, so "that close" and "the next open" can be told apart.
    """
    path = shared / "data/bars/binance-usdm/ETHUSDT-1m.2025-05.feather"
    sets = [
        f"data[0]={{symbol: ETHUSDT, kind: bars, interval: 1m, source: {{kind: file, path: {path}}}}}",
        "strategies[0].symbols=[ETHUSDT]", "run.end=2025-05-06",
    ]  # fmt: skip
    backtester = Backtester(QUICKSTART, set=[*sets, *([preset] if preset else [])], strategies={"ema": Decider()})
    tape = asyncio.run(backtester.plan.streams[0].source.load())
    open_times = (tape.columns["ts_venue"] - MINUTE_NS).tolist()
    low, high = tape.floats("low").tolist(), tape.floats("high").tolist()
    opens = tape.floats("open").tolist()
    result = backtester.run()
    decider: Decider = backtester._strategies["ema"]
    by_order = {order["order_id"]: order["created_at"] for order in result.orders}
    assert len(result.fills) > 500
    for fill in result.fills:
        decision = by_order[fill["order_id"]]
        assert fill["ts_venue"] >= decision
        row = fill["cause_row"]
        assert open_times[row] >= decision, "filled by a bar that was known when the decision was made"
        assert low[row] <= float(fill["reference"]) <= high[row]
        if preset:
            assert float(fill["reference"]) == opens[open_times.index(decision)]
    assert {ts for ts, _ in decider.decided} >= set(by_order.values())


class Spy:
    """Looks everywhere that `market_data` leads to, for any number above the highest price that has happened."""

    warmup = 0

    def __init__(self) -> None:
        self.found: list[str] = []
        self.looked = 0

    def generate_signals(self, market_data: Any, position_state: Any) -> None:
        now = market_data.bar.high
        for way in ("close", "high", "open", "low", "volume", "time"):
            array = getattr(market_data, way)
            assert len(array) == 0 or array[-1] == (
                market_data.bar.open_time if way == "time" else getattr(market_data.bar, way)
            )
            with pytest.raises(IndexError):
                array[len(array)]
            with pytest.raises(ValueError, match="read-only"):
                array[-1] = 0
        self._search(market_data, now, "market_data", set(), 0)
        for name in position_state:
            self._search(position_state[name], now, f"position_state.{name}", set(), 0)

    def _search(self, thing: Any, limit: float, path: str, seen: set[int], depth: int) -> None:
        if id(thing) in seen or depth > 8 or isinstance(thing, str | type | None):
            return
        seen.add(id(thing))
        self.looked += 1
        if isinstance(thing, float | int | np.number | Decimal):
            # Times are larger than any price: those are looked at as times, against the newest known one.
            if limit < float(thing) < 1e15 and "window" not in path and "interval" not in path:
                self.found.append(f"{path} = {thing}")
            return
        if isinstance(thing, np.ndarray):
            whole = thing
            while isinstance(whole.base, np.ndarray):
                whole = whole.base
            for array in (thing, whole):
                numbers = array[array < 1e15] if array.dtype == np.float64 else array[:0]
                if len(numbers) and float(numbers.max()) > limit:
                    self.found.append(f"{path} holds {float(numbers.max())}")
            return
        if isinstance(thing, dict):
            children = [(f"[{key!r}]", value) for key, value in thing.items()]
        elif isinstance(thing, list | tuple) or type(thing).__name__ == "deque":
            children = [(f"[{at}]", value) for at, value in enumerate(thing)]
        else:
            names = [name for name in dir(thing) if not name.startswith("__") or name == "__self__"]
            children = [(f".{name}", getattr(thing, name, None)) for name in names]
        for step, child in children:
            if not callable(child) or hasattr(child, "__self__"):
                self._search(child, limit, path + step, seen, depth + 1)


def test_nothing_that_market_data_leads_to_knows_the_future(tmp_path: Path) -> None:
    """Prices only rise and volume stays tiny, so that any number above the newest high must come from the future."""
    rows = [
        f"{1_746_316_800_000 + 60_000 * at},{100 + at},{100.9 + at},{99.9 + at},{100.5 + at},0.5" for at in range(200)
    ]
    path = tmp_path / "rising.csv"
    path.write_text("time,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    spy = Spy()
    sets = [f"data[0].source={{kind: file, path: {path}}}", "strategies[0].window=32", "account.balances={USDT: 50}"]
    Backtester(QUICKSTART, set=sets, strategies={"ema": spy}).run()
    assert spy.looked > 200 * 20
    assert spy.found == []


def test_the_search_for_the_future_finds_one_that_is_planted() -> None:
    """A check that cannot fail is a defect: a number behind a view's base, an attribute and a bound method."""

    class Leaky:
        def __init__(self) -> None:
            self.column = np.array([1.0, 2.0, 99.0])[:2]
            self._waiting = [{"close": 98.0}]
            self.later = [97.0].append

    spy = Spy()
    spy._search(Leaky(), 50.0, "leaky", set(), 0)
    assert sorted(found.rsplit(" ", 1)[1] for found in spy.found) == ["97.0", "98.0", "99.0"]
