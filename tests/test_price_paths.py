"""What the report draws as a price: the lowest and highest of each stretch of a run, read off its tapes."""

from __future__ import annotations

from core.compose import read_plan
from core.market.price_paths import STRETCHES_MAX, edges_of, price_paths
from core.report.page import report_html
from core.result import make_result
from core.tape import LAST, SNAPSHOT
from tick_run import depth, tick_plan
from tiny_run import MINUTE, START, Row, Script, plan_of, run_of

BARS: list[Row] = [
    ("100", "101", "99", "100", "1000"),
    ("100", "105", "98", "104", "1000"),
    ("104", "104", "103", "103", "1000"),
]


async def test_a_short_run_is_drawn_bar_by_bar_from_the_close_before() -> None:
    """The second bar begins at 100 and ranges from 98 to 105; the third from 103 to 104, where it began."""
    done = await run_of(plan_of({"X": BARS}), s=Script({"side": "buy", "qty": 1}))
    result = make_result(done.run)
    (path,) = price_paths(done.run, result.record.trades, result.record.end)
    assert (path.symbol, path.ends) == ("X", [START + n * MINUTE for n in (1, 2, 3)])
    assert list(zip(path.lows, path.highs, strict=True)) == [(99, 101), (98, 105), (103, 104)]


TWO_VENUES = """
run: {name: two, seed: 1, end: "2024-01-01T00:10:00Z"}
venues: {perp: {name: binance-usdm}, spot: {name: binance-spot}}
account: {balances: {USDT: "1000000"}}
data:
  - {symbol: BTCUSDT, venue: perp, kind: bars, interval: 1m, source: {kind: synthetic, days: 1}}
  - {symbol: ETHUSDT, venue: perp, kind: bars, interval: 1m, source: {kind: synthetic, days: 1}}
  - {symbol: BTCUSDT, venue: spot, kind: bars, interval: 1m, source: {kind: synthetic, days: 1}}
strategies:
  - {name: s, symbols: ["perp:BTCUSDT", "perp:ETHUSDT", "spot:BTCUSDT"], warmup: 1,
     class: "strategies.ema_cross:EmaCross"}
"""


async def test_a_symbol_of_several_venues_is_drawn_once_for_each_with_the_trades_made_there() -> None:
    """Bought once at each of three markets; the panels are named as the config names them."""
    orders = [{"symbol": name, "side": "buy", "qty": 1} for name in ("perp:BTCUSDT", "spot:BTCUSDT", "perp:ETHUSDT")]
    done = await run_of(read_plan("two.yaml", text=TWO_VENUES), s=Script(orders))
    result = make_result(done.run)
    assert [trade.symbol for trade in result.record.trades] == ["BTCUSDT", "ETHUSDT", "BTCUSDT"]
    drawn = list(price_paths(done.run, result.record.trades, result.record.end))
    assert [(path.venue, path.symbol) for path in drawn] == [
        ("perp", "BTCUSDT"), ("perp", "ETHUSDT"), ("spot", "BTCUSDT"),
    ]  # fmt: skip
    page = report_html(result.record, result.summary, drawn)
    for name in ("perp:BTCUSDT", "ETHUSDT", "spot:BTCUSDT"):
        assert f">{name} with 1 trades" in page


async def test_what_was_never_traded_is_not_drawn() -> None:
    done = await run_of(plan_of({"X": BARS}), s=Script())
    assert list(price_paths(done.run, make_result(done.run).record.trades, done.run.end)) == []


async def test_a_trade_of_a_symbol_that_never_had_a_price_is_drawn_alone() -> None:
    """A book of asks has no middle; a market order takes from it all the same, at 101."""
    rows = (0, "ask", "101", "5", SNAPSHOT | LAST), (150, "ask", "101", "2", LAST), (250, "ask", "102", "1", LAST)
    plan = tick_plan(depth(*rows), strategy="s, warmup: 0, timer: 50ms")
    done = await run_of(plan, s=Script({"side": "buy", "qty": 1}))
    result = make_result(done.run)
    paths = list(price_paths(done.run, result.record.trades, result.record.end))
    assert [(path.symbol, path.ends) for path in paths] == [("X", [])]
    assert "long 1.000 at 101, " in report_html(result.record, result.summary, paths)


def test_stretches_are_whole_bars_and_never_more_than_a_drawing_shows() -> None:
    """1500 bars do not fit into 1000 stretches: two bars each make 750."""
    edges = edges_of(START, START + 1500 * MINUTE, MINUTE)
    assert len(edges) == 751 and edges[1] - edges[0] == 2 * MINUTE
    assert edges_of(START, START + 5, 0) == [START + n for n in range(6)]
    assert len(edges_of(START, START + 10**15 + 1, 0)) <= STRETCHES_MAX + 1
