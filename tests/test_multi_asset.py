"""Runs on several settle assets: wallets apart or all together, two ledgers equal after every event, one currency in
the report. Random strategies trade a USDT and a USDC contract of markets that move by some percent a minute.
"""

from __future__ import annotations

import random
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.compose import read_plan, run_scenarios
from core.errors import ConfigError, DataError
from core.events import (
    ACCOUNT_EVENTS,
    ORDER_EVENTS,
    Bar,
    FundingPaid,
    MarginCall,
    OrderDenied,
    OrderFilled,
    PositionLiquidated,
)
from core.parity import compare, record
from core.plan import Plan
from core.report.readable import render_summary
from core.result import make_result
from test_shared_account import Gambler, funding_of, wild
from tick_run import depth
from tiny_run import MINUTE, VENUE, Row, Script, Shelf, engine_of, flat, run_of, tape_of

D = Decimal
TOGETHER = (
    "margin_mode: cross, multi_asset: true, collateral: {XB: {steps: [{floor: '0', ratio: '0.9'}]}, "
    "USDT: {steps: [{floor: '0', ratio: '0.99'}], debt: '1.01'}}"
)
IDEAL = "{latency: {kind: none}, spread: {kind: none}, impact: {kind: none}, fees: {maker: '0', taker: '0'}}"
COSTS = (
    "{latency: {kind: none}, spread: {half_bps: '2'}, impact: {kind: none}, fees: {maker: '0.0002', taker: '0.0005'}}"
)
CONFIG = """\
run: {{name: tiny, seed: 1}}
venue: {{name: {venue}}}
account: {{balances: {balances}, leverage: 20, {account}}}
simulation: {simulation}
risk: {risk}
instruments:
  X: {{tick: '0.01', step: '0.001', base: XB, quote: USDT, {more}}}
  Y: {{tick: '0.01', step: '0.001', base: YB, quote: USDC, {more}}}
data:
  - {{symbol: X, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}
  - {{symbol: Y, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}
strategies:
"""
BRACKETS = "brackets: [{floor: '0', mmr: '0.02', max_leverage: 50}], liquidation_fee: '0.01'"
BALANCES = "{USDT: '1000', USDC: '1000'}"


def text_of(account: str, *, balances: str = BALANCES, venue: str = VENUE, simulation: str = IDEAL, risk: str = "{}",
            strategies: tuple[str, ...] = ("s",)) -> str:  # fmt: skip
    lines = [
        f"  - {{name: {name}, symbols: [X, Y], class: 'strategies.ema_cross:EmaCross', warmup: 0}}\n"
        for name in strategies
    ]
    head = CONFIG.format(venue=venue, balances=balances, account=account, simulation=simulation, risk=risk,
                         more=BRACKETS)  # fmt: skip
    return head + "".join(lines)


def plan_of(tapes: dict[str, list[Row]], account: str, **more: Any) -> Plan:
    plan = read_plan("tiny.yaml", text=text_of(account, **more))
    venue = next(iter(plan.venues))
    streams = [
        msgspec.structs.replace(s, source=Shelf(tape_of(tapes[s.key[1]], s.key[1], venue))) for s in plan.streams
    ]
    return msgspec.structs.replace(plan, streams=streams)


def refused(account: str, **more: Any) -> tuple[str, str]:
    """(path, sentence) of the one thing that is wrong."""
    with pytest.raises(ConfigError) as told:
        read_plan("tiny.yaml", text=text_of(account, **more))
    (problem,) = told.value.problems
    return problem.path, problem.message


# --- by hand --------------------------------------------------------------------------------------------------------


async def test_each_contract_settles_in_its_own_asset_and_the_report_counts_in_one() -> None:
    """2 X from 100 to 110: +20 USDT. 5 Y from 50 to 44: -30 USDC, which are worth 0.5 USDT each here: -15.

    Wallets 1020 USDT, 970 USDC = 485: equity 1505 of 1000 + 500; Y's trade is -15 of the currency, its prices are Y's.
    """
    tapes = {"X": flat("100", "100", "110", "110"), "Y": flat("50", "50", "44", "44")}
    buy = [{"symbol": "X", "side": "buy", "qty": 2}, {"symbol": "Y", "side": "buy", "qty": 5}]
    close = [{"symbol": "X", "close": True}, {"symbol": "Y", "close": True}]
    plan = plan_of(tapes, "margin_mode: cross, prices: {USDC: '0.5'}")
    done = await run_of(plan, s=Script(buy, close))
    balances = done.run.portfolio.balances
    assert (balances[VENUE, "USDT"], balances[VENUE, "USDC"]) == (D(1020), D(970))
    result = make_result(done.run)
    summary = result.summary
    assert [D(summary[key]) for key in ("initial_equity", "final_equity", "realized_pnl")] == [1500, 1505, 5]
    assert summary["currency"] == "USDT"
    # 2 x 100 + 2 x 110 + (5 x 50 + 5 x 44) x 0.5
    assert D(summary["turnover"]) == D(655)
    trades = {trade.symbol: trade for trade in result.record.trades}
    assert (trades["Y"].entry_price, trades["Y"].exit_price, trades["Y"].pnl) == (D(50), D(44), D(-15))
    assert D(summary["pnl_split"]["symbols"]["Y"]["price"]) == D(-15)
    assert "1 USDC is worth 0.5 USDT all along, as configured" in summary["assumptions"]


async def test_open_positions_count_in_the_reports_currency_too() -> None:
    """2 X at 110 gained 20; 5 Y at 44 lost 30 x 0.5. Exposure 2 x 110 + 5 x 44 x 0.5 = 330."""
    tapes = {"X": flat("100", "100", "110"), "Y": flat("50", "50", "44")}
    buy = [{"symbol": "X", "side": "buy", "qty": 2}, {"symbol": "Y", "side": "buy", "qty": 5}]
    done = await run_of(plan_of(tapes, "margin_mode: cross, prices: {USDC: '0.5'}"), s=Script(buy))
    result = make_result(done.run)
    assert (result.curve.last("equity"), result.curve.last("unrealized")) == (D(1505), D(5))
    assert result.curve.last("exposure") == done.run.portfolio.exposure("USDT") == D(330)
    assert done.run.portfolio.equity("USDC") == D(3010)


async def test_apart_a_wallet_does_not_pay_for_the_other_assets_order_and_together_it_does() -> None:
    """600 Y at 50 with 20x need 1500 USDC: of 1000 they are short by 500; with 1000 USDT beside them they are not."""
    tapes = {"X": flat("100", "100"), "Y": flat("50", "50", "50", volume="9999")}
    order = {"symbol": "Y", "side": "buy", "qty": 600}
    apart = await run_of(plan_of(tapes, "margin_mode: cross"), s=Script(order))
    (denied,) = apart.of(OrderDenied)
    assert "needs 1500 USDC free, 1000 are: 500 short; binance-usdm would answer -2019" in denied.reason
    together = await run_of(plan_of(tapes, TOGETHER), s=Script(order))
    assert [fill.qty for fill in together.of(OrderFilled)] == [D(600)]


async def test_an_asset_that_is_only_held_is_margin_and_part_of_the_equity() -> None:
    """10 XB at 100 count 900 as margin and 1000 in the report; at 90 the report has lost 100, by no strategy.

    1000 USDC count 999.9 (the venue's ratio), and an order of it takes 1.0001.
    """
    tapes = {"X": flat("100", "100", "90"), "Y": flat("50", "50", "50")}
    seen: list[float] = []

    def look(_: Any, position: Any) -> None:
        seen.append(position["Y"].free_margin)

    plan = plan_of(tapes, TOGETHER, balances="{USDC: '1000', XB: '10'}", strategies=("s",))
    done = await run_of(plan, s=Script(look, look, look))
    assert seen == pytest.approx([1899.9 / 1.0001, 1899.9 / 1.0001, 1809.9 / 1.0001])
    result = make_result(done.run)
    summary = result.summary
    assert (D(summary["initial_equity"]), D(summary["final_equity"])) == (D(2000), D(1900))
    assert result.curve.last("exposure") == 0
    assert D(summary["pnl_split"]["symbols"]["X"]["price"]) == D(-100)
    assert summary["pnl_split"]["strategies"] == {}


async def test_the_account_ends_when_its_collateral_falls_though_its_position_does_not() -> None:
    """100 Y at 50 keep 0.02 x 5000 x 1.0001 = 100.01 of 3 XB x 0.9 = 2.7 p: reached where p = 37.0407.., inside of the
    bar of X that falls from 100 to 30, while Y has no rows any more. Closed at 50 with 1 % of 5000: 50 USDC are owed.
    """
    fall: Row = ("100", "100", "30", "30", "1000")
    tapes = {"X": [*flat("100", "100"), fall, *flat("30")], "Y": flat("50", "50")}
    plan = plan_of(tapes, TOGETHER, balances="{XB: '3'}")
    done = await run_of(plan, kinds=(*ORDER_EVENTS, *ACCOUNT_EVENTS),
                        s=Script({"symbol": "Y", "side": "buy", "qty": 100}))  # fmt: skip
    (event,), (call,) = done.of(PositionLiquidated), done.of(MarginCall)
    # Told at 0.8 of it: 2.7 p = 125.0125.
    assert (call.symbol, float(call.mark), float(call.maintenance)) == ("Y", 50.0, pytest.approx(100.01))
    assert float(call.balance) == pytest.approx(125.0125, rel=1e-6)
    assert (event.symbol, event.price, event.realized_pnl, event.fee) == ("Y", D(50), D(0), D(50))
    # The path of that bar is O H L C with the high at once: 100 -> 30 from 20 to 40 s of the third minute.
    share = (100 - 100.01 / 2.7) / 70
    into = (event.ts_venue or 0) - done.run.start - 2 * MINUTE
    assert into / 1e9 == pytest.approx(20 + 20 * share, abs=1e-6)
    assert done.run.portfolio.balances[VENUE, "USDC"] == D(-50)
    result = make_result(done.run)
    assert D(result.summary["final_equity"]) == D(3 * 30 - 50)


# --- whatever happens -----------------------------------------------------------------------------------------------


class Watch:
    """Both ledgers after every event of the account, and after every bar whether the venue should have acted."""

    def __init__(self, run: Any, *, together: bool) -> None:
        self.world = run.outside.world
        (exchange,) = self.world.exchanges
        self.account, self.portfolio, self.together = exchange.account, run.portfolio, together
        self.kinds: set[type] = set()
        self.looked = self.tight = 0

    def on_event(self, event: Any) -> None:
        self.kinds.add(type(event))
        if type(event) in (OrderFilled, FundingPaid, PositionLiquidated) and not self.world.statistics().waiting:
            self.looked += 1
            self.compare()

    def compare(self) -> None:
        account, portfolio = self.account, self.portfolio
        for asset, total in account.balances.items():
            assert portfolio.wallet(VENUE, asset) == total
        for (symbol, side), position in account.positions.items():
            whole = portfolio.whole[VENUE, symbol, side]
            assert (whole.qty, whole.cost) == (position.qty, position.value)

    def on_bar(self, bar: Bar) -> None:
        """By the formula of the page, from scratch: what is open is covered, or is closed at this moment."""
        account, marks = self.account, self.portfolio.marks
        if len(marks) < 2 or bar.symbol != "Y" or self.world.statistics().waiting:
            return
        own = {asset: float(total) for asset, total in account.balances.items()}
        kept = dict.fromkeys(own, 0.0)
        for (symbol, _), position in account.positions.items():
            mark, settle = marks[VENUE, symbol], position.instrument.quote
            own[settle] += float(position.qty) * mark - float(position.value)
            kept[settle] += abs(float(position.qty)) * mark * 0.02
        if not self.together:
            assert all(own[asset] >= kept[asset] * (1 - 1e-9) for asset in kept if kept[asset])
            return
        equity = min(own["USDT"] * 0.99, own["USDT"] * 1.01) + own["XB"] * marks[VENUE, "X"] * 0.9
        equity += min(own["USDC"] * 0.9999, own["USDC"] * 1.0001) * 1.25
        needed = kept["USDT"] * 1.01 + kept["USDC"] * 1.0001 * 1.25
        if needed:
            self.tight += equity < 4 * needed
            assert equity >= needed * (1 - 1e-9)


def random_plan(seed: int, account: str, balances: str) -> Plan:
    chance = random.Random(seed)
    plan = plan_of({"X": wild(chance), "Y": wild(chance)}, account, balances=balances, simulation=COSTS,
                   strategies=("a", "b"))  # fmt: skip
    streams = list(plan.streams)
    for stream in plan.streams:
        tape = funding_of(stream.key[1], chance)
        streams.append(msgspec.structs.replace(stream, kind="funding", interval_ns=0, source=Shelf(tape)))
    return msgspec.structs.replace(plan, streams=streams)


@pytest.mark.parametrize("position_mode", ["one_way", "hedge"])
@pytest.mark.parametrize("together", [True, False])
async def test_two_settle_assets_leave_two_equal_ledgers_and_no_position_uncovered(
    together: bool, position_mode: str
) -> None:
    account = f"position_mode: {position_mode}, prices: {{USDC: '1.25'}}, "
    account += TOGETHER if together else "margin_mode: cross"
    balances = "{USDT: '300', USDC: '300', XB: '3'}" if together else "{USDT: '500', USDC: '500'}"
    sides = ("long", "short") if position_mode == "hedge" else ("net",)
    kinds: set[type] = set()
    looked = tight = 0
    for seed in range(5):
        gamblers = {name: Gambler(seed * 10 + at, sides) for at, name in enumerate("ab")}
        async with engine_of(random_plan(seed, account, balances), **gamblers) as engine:
            watch = Watch(engine.parts.run, together=together)
            engine.parts.bus.subscribe((*ORDER_EVENTS, *ACCOUNT_EVENTS), watch.on_event)
            engine.parts.bus.subscribe(Bar, watch.on_bar)
            await engine.run()
            watch.compare()
            result = make_result(engine.parts.run)  # recounts the run from its events, and raises where it differs
        for trade in result.record.trades:
            assert abs(trade.gross_pnl - trade.fees + trade.funding - trade.pnl) < D("1e-20")
        looked, tight, kinds = looked + watch.looked, tight + watch.tight, kinds | watch.kinds
        split = result.summary["pnl_split"]["whole"]
        gained = D(result.summary["final_equity"]) - D(result.summary["initial_equity"])
        assert abs(D(split["total"]) - gained) < D("1e-9")
    assert looked > 80
    assert kinds >= {OrderFilled, FundingPaid, PositionLiquidated}
    assert tight or not together


@pytest.mark.parametrize("latency", ["{kind: none}", "{kind: constant, entry_ms: 200, response_ms: 300, feed_ms: 50}"])
async def test_paper_keeps_the_same_accounts_as_the_backtest(latency: str) -> None:
    """Liquidations by the price of collateral included: bars are revealed one at a time there."""
    simulation = f"{{latency: {latency}, spread: {{kind: none}}, impact: {{kind: none}}}}"
    chance = random.Random(4)
    tapes = {"X": wild(chance), "Y": wild(chance)}
    plan = plan_of(tapes, TOGETHER, balances="{USDC: '100', XB: '2'}", simulation=simulation, strategies=("a", "b"))
    runs = []
    for mode in ("backtest", "paper"):
        gamblers = {name: Gambler(at, ("net",)) for at, name in enumerate("ab")}
        runs.append(await record(plan, mode, strategies=gamblers))
    assert sum(type(event) is PositionLiquidated for event in runs[0].events) > 0
    result = compare(*runs)
    assert result.equal, result.text()


async def test_equal_runs_are_equal_to_the_byte_and_the_summary_can_be_read() -> None:
    digests = set()
    for _ in range(2):
        plan = random_plan(3, TOGETHER, "{USDT: '300', USDC: '300', XB: '3'}")
        done = await run_of(plan, a=Gambler(1, ("net",)), b=Gambler(2, ("net",)))
        result = make_result(done.run)
        digests.add((result.events_sha256, render_summary(result.summary)))
    assert len(digests) == 1


async def test_the_drawdown_limit_follows_all_assets_in_one_currency() -> None:
    """10 XB of 3000 USDT in all: from 100 to 90 while 100 Y (50 USDC, worth 2 USDT each) lose 2: 100 + 400 of 4000."""
    tapes = {"X": flat("100", "100", "90", "90"), "Y": flat("50", "50", "48", "48")}
    halted = {}
    for limit in ("0.12", "0.13"):
        plan = plan_of(tapes, TOGETHER + ", prices: {USDC: '2'}", balances="{USDC: '1500', XB: '10'}",
                       risk=f"{{max_drawdown: '{limit}'}}")  # fmt: skip
        done = await run_of(plan, s=Script({"symbol": "Y", "side": "buy", "qty": 100}))
        halted[limit] = done.run.risk.halted
    assert "equity 3500.00 is 12.50% below its peak 4000.00" in halted["0.12"]["account"]
    assert halted["0.13"] == {}


@pytest.mark.parametrize(("qty", "passes"), [("6", True), ("7", False)])
async def test_the_leverage_limit_weighs_every_position_in_one_currency(qty: str, passes: bool) -> None:
    """A tenth of 1500: 150. 6 Y at 50 are 300 USDC, worth 0.5 each: 150; 7 are 175."""
    tapes = {"X": flat("100", "100", "100"), "Y": flat("50", "50", "50")}
    plan = plan_of(tapes, "margin_mode: cross, prices: {USDC: '0.5'}", risk="{max_leverage: '0.1'}")
    done = await run_of(plan, s=Script({"symbol": "Y", "side": "buy", "qty": qty}))
    denied = [event.reason for event in done.of(OrderDenied)]
    assert [fill.qty for fill in done.of(OrderFilled)] == [D(qty)] * passes
    assert passes or "gross exposure would be 175" in denied[0].replace("175.00", "175")


# --- what is refused ------------------------------------------------------------------------------------------------


def test_isolated_margin_with_shared_assets_is_refused_with_the_venues_code() -> None:
    path, sentence = refused("multi_asset: true")
    assert path == "$.account.margin_mode"
    assert sentence == (
        "with `multi_asset` margin is shared: expected cross (-4168 Unable to adjust to isolated-margin mode under the "
        "Multi-Assets mode.)"
    )


def test_an_asset_the_venue_takes_no_collateral_in_is_refused_with_the_nearest() -> None:
    path, sentence = refused("margin_mode: cross, multi_asset: true", balances="{USDT: '1', ETHW: '1'}")
    assert path == "$.account.balances.ETHW"
    assert "binance-usdm takes no ETHW as collateral, did you mean `ETH`?" in sentence


def test_an_asset_without_a_price_is_refused_with_what_to_write() -> None:
    path, sentence = refused("margin_mode: cross, multi_asset: true", balances="{USDT: '1', BTC: '1'}")
    assert path == "$.account.balances.BTC"
    assert 'nobody says what one BTC is worth in USDT: give `account.prices: {BTC: "…"}`' in sentence


def test_what_is_settled_in_an_asset_without_a_price_is_refused() -> None:
    text = text_of("margin_mode: cross").replace("quote: USDC", "quote: EUR").replace("USDC: '1000'", "EUR: '1000'")
    with pytest.raises(ConfigError) as told:
        read_plan("tiny.yaml", text=text)
    (problem,) = told.value.problems
    assert (problem.path, problem.message) == (
        "$.account.prices",
        'nobody says what one EUR is worth in USDT: give `account.prices: {EUR: "…"}`: what is settled in it counts in '
        "USDT",
    )


@pytest.mark.parametrize(
    ("account", "path", "sentence"),
    [
        ("currency: USDX", "$.account.currency", "nothing in this run is settled in USDX, did you mean `USDT`?"),
        ("prices: {USDX: '1'}", "$.account.prices.USDX", "nothing here is held in USDX, did you mean `USDT`?"),
        ("prices: {USDT: '0.99'}", "$.account.prices.USDT", "its price is 1, leave it out"),
        ("collateral: {USDT: {steps: []}}", "$.account.collateral", "belongs to `multi_asset: true`"),
    ],
)
def test_words_about_assets_that_cannot_be_are_refused(account: str, path: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as told:
        read_plan("tiny.yaml", text=text_of(account))
    found = {problem.path: problem.message for problem in told.value.problems}
    assert sentence in found[path]


def test_the_run_counts_in_the_currency_that_was_asked_for() -> None:
    plan = read_plan("tiny.yaml", text=text_of("currency: USDC, prices: {USDT: '0.98'}"))
    assert (plan.currency, plan.rates) == ("USDC", {"USDC": D(1), "USDT": D("0.98")})


def test_spot_is_paid_in_the_currency_of_the_run_alone() -> None:
    with pytest.raises(ConfigError) as told:
        read_plan("tiny.yaml", text=text_of("prices: {USDC: '1'}", venue="binance-spot").replace("leverage: 20, ", ""))
    messages = [problem.message for problem in told.value.problems]
    assert any("Y is spot and paid in USDC, this run counts in USDT" in message for message in messages)


def test_a_bybit_account_in_cross_margin_is_told_that_the_venue_shares_all_coins() -> None:
    plan = read_plan("tiny.yaml", text=text_of("margin_mode: cross", venue="bybit-linear"))
    assert any("lets all coins stand behind all positions" in line for line in plan.warnings)
    shared = read_plan("tiny.yaml", text=text_of("margin_mode: cross, multi_asset: true", venue="bybit-linear"))
    assert not any("lets all coins" in line for line in shared.warnings)
    assert "USDC: what bybit-linear counts of it as collateral is a guess" in shared.warnings


SCENARIO = """\
name: shared
venue: {venue}
instruments: {{X: {{tick: "0.1", step: "0.001"}}}}
account: {{balances: {{USDT: "10", {more}}}, {account}}}
"""


@pytest.mark.parametrize(
    ("venue", "more", "account", "expected"),
    [
        (VENUE, "USDC: '1'", "multi_asset: true", "$.account.multi_asset  needs `margin_mode: cross`"),
        (VENUE, "USDC: '1'", "prices: {USDC: '1'}", "$.account.prices  belongs to `multi_asset: true`"),
        (VENUE, "ZZZ: '1'", "margin_mode: cross, multi_asset: true", "ZZZ has no collateral ratio in this scenario"),
        (VENUE, "ETH: '1'", "margin_mode: cross, multi_asset: true", "ETH has no price in this scenario"),
        ("binance-spot", "ETH: '1'", "margin_mode: cross, multi_asset: true", "binance-spot is a spot venue"),
    ],
)
def test_a_scenario_shares_what_has_a_ratio_and_a_price_in_cross_margin(
    venue: str, more: str, account: str, expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "shared.yaml"
    file.write_text(SCENARIO.format(venue=venue, more=more, account=account))
    out, err = StringIO(), StringIO()
    assert run_scenarios([str(file)], json=False, out=out, err=err) == 2
    assert expected in out.getvalue() + err.getvalue()


def with_x_as(kind: str, account: str, **more: Any) -> str:
    """The config with another kind of data for X."""
    bars = "symbol: X, kind: bars, interval: 1m, source: {kind: synthetic, days: 1}"
    return text_of(account, **more).replace(bars, f"symbol: X, kind: {kind}, source: {{kind: file, path: x.parquet}}")


async def test_collateral_whose_price_the_data_do_not_tell_is_refused() -> None:
    """Of X there is a book alone: no price of it is known when the run begins."""
    plan = read_plan("tiny.yaml", text=with_x_as("depth", TOGETHER, balances="{USDC: '1', XB: '1'}"))
    tapes = {"X": depth((0, "bid", "99", "1", 0), (0, "ask", "101", "1", 0)), "Y": tape_of(flat("50", "50"), "Y")}
    streams = [msgspec.structs.replace(s, source=Shelf(tapes[s.key[1]])) for s in plan.streams]
    with pytest.raises(DataError, match="what XB is worth is said by X, of which the run has no bars"):
        await run_of(msgspec.structs.replace(plan, streams=streams), s=Script())


def test_a_symbol_that_has_no_market_is_refused() -> None:
    with pytest.raises(ConfigError) as told:
        read_plan("tiny.yaml", text=with_x_as("marks", "margin_mode: cross"))
    messages = [problem.message for problem in told.value.problems]
    assert any("X has marks alone, which nothing can be traded at: give it bars" in message for message in messages)


def test_a_price_that_a_market_of_the_run_says_is_not_given_twice() -> None:
    with pytest.raises(ConfigError) as told:
        read_plan(
            "tiny.yaml",
            text=text_of("prices: {XB: '1', USDC: '1'}", venue="binance-spot").replace("leverage: 20, ", ""),
        )
    found = {problem.path: problem.message for problem in told.value.problems}
    assert found["$.account.prices.XB"] == "X says it: its price is that of the market, leave it out"


async def test_a_debt_beside_assets_that_fall_is_warned_of() -> None:
    """100 Y bought at 50 and closed at 10 leave 4000 USDC owed beside 50 XB: at 100 worth 5000, at 70 only 3500."""
    tapes = {"X": flat("100", "100", "100", "70"), "Y": flat("50", "50", "10", "10", volume="9999")}
    orders = [{"symbol": "Y", "side": "buy", "qty": 100}, {"symbol": "Y", "close": True}]
    done = await run_of(plan_of(tapes, TOGETHER, balances="{XB: '50'}"), s=Script(*orders))
    summary = make_result(done.run).summary
    assert D(summary["final_equity"]) == D(-500)
    assert any("a venue would have exchanged the other assets for what is owed" in line for line in summary["warnings"])
