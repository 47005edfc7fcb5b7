"""Two years of real contracts at 10x: recorded bars, marks and funding, and both ledgers after every single event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, localcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas
import pytest

from core.compose import compose, read_plan
from core.events import FundingPaid, MarginCall, OrderFilled, PositionLiquidated
from core.metrics.pnl_split import PARTS
from core.report.readable import render_summary
from core.result import make_result

D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT")
FILES = {
    "bars": "bars/bybit-linear/{symbol}-1h.2023_2026-02.feather",
    "marks": "mark_price/bybit-linear/{symbol}-mark-1h.2023_2026-02.feather",
    "funding": "funding/bybit-linear/{symbol}-funding.2023_2026-02.feather",
}
CONFIG = """
run: {{name: year, seed: 3, start: 2023-12-18T08:00:00Z}}
venue: {{name: bybit-linear}}
account: {{balances: {{USDT: "1000000"}}, leverage: {leverage}, margin_mode: {mode}}}
data:
{data}
simulation:
  latency: {{kind: none}}
  spread: {{kind: none}}
  impact: {{kind: none}}
  bars: {{market_participation: "0"}}
strategies:
{strategies}
"""


class Holder:
    """Buys and sells by the clock: long for a week, flat for a day, short for a week, flat for a day, and again."""

    warmup = 0
    HOURS = (168, 24)

    def __init__(self, qty: str) -> None:
        self.qty = D(qty)
        self.calls = 0

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        self.calls += 1
        turn, hour = divmod(self.calls - 1, sum(self.HOURS))
        if hour == 0:
            return {"target": self.qty if turn % 2 == 0 else -self.qty}
        return {"close": True} if hour == self.HOURS[0] else None


def plan_over(shared: Path, *, leverage: int, mode: str, symbols: tuple[str, ...]) -> Any:
    data, strategies = [], []
    for symbol in symbols:
        for kind, path in FILES.items():
            interval = "" if kind == "funding" else "interval: 1h, "
            source = f"{{kind: file, path: '{shared / 'data' / path.format(symbol=symbol)}'}}"
            data.append(f"  - {{symbol: {symbol}, kind: {kind}, {interval}source: {source}}}")
        strategies.append(
            f"  - {{name: {symbol.lower()}, class: 'strategies.ema_cross:EmaCross', symbols: [{symbol}]}}"
        )
    text = CONFIG.format(leverage=leverage, mode=mode, data="\n".join(data), strategies="\n".join(strategies))
    return read_plan("year.yaml", text=text)


def recorded(path: Path, column: str) -> Iterator[tuple[int, float]]:
    """(time ns, value) of a recorded file, read apart from our readers."""
    table = pandas.read_feather(path)
    times = table["date"].astype("datetime64[ns, UTC]").astype("int64")
    return zip(times.tolist(), table[column].tolist(), strict=True)


def config_over(shared: Path) -> Any:
    """The config that comes with the program, its sources replaced by the recorded files of the same data."""
    text = (Path(__file__).parent.parent / "configs" / "bybit_perp.yaml").read_text()

    def recorded_source(line: re.Match[str]) -> str:
        symbol, kind, more = line.groups()
        path = FILES[kind].format(symbol=symbol)
        return f"{{symbol: {symbol}, kind: {kind}{more}, source: {{kind: file, path: '{shared / 'data' / path}'}}}}"

    text, count = re.subn(r"\{symbol: (\w+), kind: (\w+)(.*?), source: \{kind: bybit.*?\}\}", recorded_source, text)
    assert count == 6
    return read_plan("bybit_perp.yaml", text=text)


def split_of(heard: list[Any], last: dict[str, Decimal]) -> dict[str, Decimal]:
    """The profit by its causes, from the events alone; `last` are the prices that open positions end at."""
    found = dict.fromkeys(PARTS, D(0))
    held: dict[str, Decimal] = dict.fromkeys(last, D(0))
    for event in heard:
        if type(event) is FundingPaid:
            found["funding"] += event.amount
            continue
        qty = event.qty if event.side == "buy" else -event.qty
        held[event.symbol] += qty
        if type(event) is OrderFilled:
            found["price"] -= qty * event.reference
            found["slippage"] -= qty * (event.price - event.reference)
            found["fees"] -= event.fee
        else:
            found["price"] -= (event.price * qty).quantize(D("1e-16")) + event.realized_pnl
            found["liquidation"] += event.realized_pnl - event.fee + event.insured
    found["price"] += sum(qty * last[symbol] for symbol, qty in held.items())
    return found


def check_split(parts: Any, heard: list[Any]) -> dict[str, Any]:
    """The summary's table against those events, and its sum against the equity; returns the summary."""
    summary: dict[str, Any] = make_result(parts).summary
    events = [event for event in heard if type(event) is not MarginCall]
    last = {symbol: D(str(parts.portfolio.marks[venue, symbol])) for venue, symbol in parts.plan.instruments}
    whole = {name: D(value) for name, value in summary["pnl_split"]["whole"].items()}
    with localcontext(prec=60):
        assert whole == {**(expected := split_of(events, last)), "total": sum(expected.values())}
    assert whole["total"] == D(summary["final_equity"]) - D(summary["initial_equity"])
    row = render_summary(summary).split("whole run")[1].splitlines()[0].split()
    assert row == [f"{whole[name]:,.2f}" for name in (*PARTS, "total")]
    return summary


async def run_year(plan: Any, quantities: dict[str, str], *, own: bool = False) -> tuple[Any, list[Any]]:
    """Run it; after each event of the account, and each fill, the two ledgers are compared. `own`: its strategies."""
    heard: list[Any] = []
    strategies = None if own else {symbol.lower(): Holder(qty) for symbol, qty in quantities.items()}
    async with compose(plan, strategies=strategies) as engine:
        parts = engine.parts.run
        world = parts.outside.world
        (exchange,) = world.exchanges
        portfolio, account = parts.portfolio, exchange.account
        compared = 0

        def compare(event: Any) -> None:
            nonlocal compared
            heard.append(event)
            if world.statistics().waiting:  # the venue is ahead by what is still on its way to us
                return
            compared += 1
            assert portfolio.balances["bybit-linear", "USDT"] == account.balances["USDT"]
            for symbol in quantities:
                position = account.position(symbol)
                whole = portfolio.whole.get(("bybit-linear", symbol, "net"))
                if position is not None and whole is not None:
                    assert (whole.qty, whole.cost) == (position.qty, position.value)

        engine.parts.bus.subscribe((OrderFilled, FundingPaid, PositionLiquidated, MarginCall), compare)
        await engine.run()
        # Funding of two symbols falls on the same nanosecond: the second event ends the wait.
        assert compared >= len(heard) // 2
        return parts, heard


@pytest.mark.parametrize("mode", ["isolated", "cross"])
async def test_two_years_of_funding_and_marks_keep_both_ledgers_equal(shared: Path, mode: str) -> None:
    """10x on BTC and ETH: funding at every recorded time that a position was open, on its rate and the mark of then."""
    plan = plan_over(shared, leverage=10, mode=mode, symbols=SYMBOLS)
    parts, heard = await run_year(plan, {"BTCUSDT": "2", "ETHUSDT": "30"})
    rates = {
        symbol: dict(recorded(shared / "data" / f"funding/bybit-linear/{symbol}-funding.2023_2026-02.feather", "open"))
        for symbol in SYMBOLS
    }
    held = dict.fromkeys(SYMBOLS, D(0))
    since: dict[str, int] = {}
    expected: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
    for event in heard:
        if type(event) is FundingPaid:
            assert float(event.rate) == rates[event.symbol][event.ts]
            assert event.qty == held[event.symbol]
            assert event.amount == -(event.qty * event.mark * event.rate).quantize(D("1e-8"), "ROUND_CEILING")
            expected[event.symbol].remove(event.ts)
        elif type(event) in (OrderFilled, PositionLiquidated):
            symbol, before = event.symbol, held[event.symbol]
            if type(event) is OrderFilled:
                held[symbol] += event.qty if event.side == "buy" else -event.qty
            else:
                held[symbol] -= event.qty.copy_sign(before)
            if not before:
                since[symbol] = event.ts
                expected[symbol] += [at for at in rates[symbol] if at > event.ts]
            elif not held[symbol]:
                expected[symbol] = [at for at in expected[symbol] if at <= event.ts]
                assert expected[symbol] == []  # all that fell due while it was open has been settled
    paid = [event for event in heard if type(event) is FundingPaid]
    assert len(paid) > 3000
    assert any(held.values()) or all(book.qty == 0 for book in parts.portfolio.books.values())
    check_split(parts, heard)


async def test_positions_at_high_leverage_go_where_the_recorded_mark_crosses(shared: Path) -> None:
    """50x on BTC: each position goes in the first hour whose recorded mark reaches its liquidation price, or never."""
    plan = plan_over(shared, leverage=50, mode="isolated", symbols=("BTCUSDT",))
    parts, heard = await run_year(plan, {"BTCUSDT": "1"})
    path = shared / "data" / "mark_price/bybit-linear/BTCUSDT-mark-1h.2023_2026-02.feather"
    lows, highs = dict(recorded(path, "low")), dict(recorded(path, "high"))
    hour = 3_600_000_000_000
    fills = [event for event in heard if type(event) in (OrderFilled, PositionLiquidated)]
    liquidated = 0
    for entry, end in pairwise(fills):
        if type(entry) is not OrderFilled or entry.ts % hour or (type(end) is OrderFilled and end.side == entry.side):
            continue
        sign = 1 if entry.side == "buy" else -1
        # Maintenance at mark, MMR 0.5 %: LP = EP x (1 -/+ 1/50) / (1 -/+ 0.005)
        price = entry.price * (1 - sign * D("0.02")) / (1 - sign * D("0.005"))
        opened = range(entry.ts, end.ts // hour * hour + 1, hour)
        reached = [at for at in opened if (lows[at] <= price if sign > 0 else highs[at] >= price)]
        if type(end) is PositionLiquidated:
            liquidated += 1
            assert reached == [end.ts // hour * hour]
            assert end.price.quantize(D("1e-6")) == (entry.price * (1 - sign * D("0.02"))).quantize(D("1e-6"))
        elif end.side != entry.side and entry.qty == end.qty:
            assert [at for at in reached if at < end.ts // hour * hour] == []
    assert liquidated > 20
    summary = check_split(parts, heard)
    assert D(summary["pnl_split"]["whole"]["liquidation"]) < 0
    # Each of them was called before it went, and some recovered.
    calls = [event for event in heard if type(event) is MarginCall]
    assert len(calls) >= liquidated
    assert all(D("0.799") < call.ratio for call in calls if call.ratio is not None)


async def test_the_leveraged_config_runs_on_the_recorded_years_and_tells_where_its_profit_came_from(
    shared: Path,
) -> None:
    """Two trend followers on one cross wallet at 10x, with latency and spread, funded at every recorded time held."""
    plan = config_over(shared)
    parts, heard = await run_year(plan, dict.fromkeys(SYMBOLS, ""), own=True)
    summary = check_split(parts, heard)
    whole = {name: D(value) for name, value in summary["pnl_split"]["whole"].items()}
    assert whole["fees"] < 0 and whole["slippage"] < 0 and whole["funding"] < 0
    assert set(summary["pnl_split"]["symbols"]) == set(SYMBOLS)
    assert sum(type(event) is FundingPaid for event in heard) > 1000
