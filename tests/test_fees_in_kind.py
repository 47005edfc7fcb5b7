"""Runs that pay their fees in an asset of their own: the discount, what it is worth, and that the books agree."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import ConfigError
from core.events import OrderFilled
from core.parity import compare, record
from core.plan import Plan
from core.result import RunResult, make_result
from random_trader import RandomTrader
from tiny_run import Script, flat, plan_of, run_of

D = Decimal
PAYING = "{latency: {kind: none}, spread: {kind: none}, impact: {kind: none}, fees: {pay_in: BNB, pay_price: '600'}}"
RISING = ["600", "600", "610", "620", "630"]
"""What a BNB is worth, minute by minute."""


def contracts(balances: str = "{USDT: '100000', BNB: '1'}", **given: Any) -> Plan:
    return plan_of({"X": flat(*["60000"] * 5)}, simulation=PAYING, balances=balances, **given)


def spot(balances: str) -> Plan:
    """X, and BN, whose base asset is BNB."""
    tapes = {"X": flat(*["60000"] * 5), "BN": flat(*RISING)}
    return plan_of(tapes, simulation=PAYING, balances=balances, venue="binance-spot", leverage=None)


def trip() -> Script:
    return Script({"symbol": "X", "side": "buy", "qty": "0.5"}, None, {"symbol": "X", "side": "sell", "qty": "0.5"})


def both_ledgers(done: Any, venue: str) -> dict[str, Decimal]:
    """Balances as both sides have them, which must be equal."""
    theirs = done.run.outside.world.exchanges[0].account.balances
    ours = {asset: total for (of, asset), total in done.run.portfolio.balances.items() if of == venue}
    assert {asset: total for asset, total in theirs.items() if total} == {a: t for a, t in ours.items() if t}
    return ours


async def test_a_contract_pays_in_bnb_with_the_venues_own_discount() -> None:
    """0.5@60000: 15 * 0.9 / 600 = 0.0225 BNB, bought and sold: 0.045 BNB, worth 27 of the 100600 at the beginning."""
    done = await run_of(contracts(), s=trip())
    assert [(fill.fee, fill.fee_asset) for fill in done.of(OrderFilled)] == [(D("0.0225"), "BNB")] * 2
    assert both_ledgers(done, "binance-usdm") == {"USDT": D(100000), "BNB": D("0.955")}
    result = make_result(done.run)
    assert money(result, "initial_equity", "final_equity", "fees") == [D(100600), D(100573), D(27)]
    assert split(result) == {"price": 0, "fees": -27, "funding": 0, "slippage": 0, "liquidation": 0, "total": -27}
    (trade,) = result.trades
    assert (D(trade["fees"]), D(trade["pnl"])) == (D(27), D(-27))
    assert result.summary["other_fees"] == {}


async def test_spot_pays_at_the_price_of_the_assets_own_market() -> None:
    """30 * 0.75 = 22.5 USDT: at 600 (the fill at the second open) 0.0375 BNB, at 620 (the fourth) 0.03629032.

    The fee is worth what BNB was at the last close heard: 600 and 610. 2 BNB from 600 to 630 gain 60, less what the two
    fees would have gained: 0.0375 * 30 + 0.03629032 * 20.
    """
    done = await run_of(spot("{USDT: '100000', XB: '1', BNB: '2'}"), s=trip())
    paid = [fill.fee for fill in done.of(OrderFilled)]
    assert paid == [D("0.0375"), D("0.03629032")]
    assert both_ledgers(done, "binance-spot")["BNB"] == 2 - sum(paid)
    result = make_result(done.run)
    fees = D("0.0375") * 600 + D("0.03629032") * 610
    price = 60 - D("0.0375") * 30 - D("0.03629032") * 20
    assert D(result.summary["fees"]) == fees
    assert split(result) == {
        "price": price, "fees": -fees, "funding": 0, "slippage": 0, "liquidation": 0, "total": price - fees,
    }  # fmt: skip
    assert D(result.summary["final_equity"]) - D(result.summary["initial_equity"]) == price - fees


async def test_paper_pays_the_same() -> None:
    plan = spot("{USDT: '100000', XB: '1', BNB: '2'}")
    backtest = await record(plan, "backtest", strategies={"s": trip()})
    result = compare(backtest, await record(plan, "paper", strategies={"s": trip()}))
    assert result.equal, result.text()
    assert sum(type(event) is OrderFilled for event in backtest.events) == 2


async def test_with_too_little_of_it_the_whole_fee_is_taken_as_usual() -> None:
    """0.03 BNB pay for the first of two fills at 0.0225; the second costs 15 USDT."""
    done = await run_of(contracts("{USDT: '100000', BNB: '0.03'}"), s=trip())
    assert [(fill.fee, fill.fee_asset) for fill in done.of(OrderFilled)] == [(D("0.0225"), "BNB"), (D(15), "USDT")]
    assert D(make_result(done.run).summary["fees"]) == D("28.5")


async def test_the_summary_says_which_price_was_taken() -> None:
    done = await run_of(contracts(), s=trip())
    assert "fees: paid in BNB, at 600 where the run has no price of it" in done.run.outside.assumptions
    assert "1 BNB is worth 600 USDT all along, as configured" in done.run.outside.assumptions


def test_without_any_of_the_asset_a_run_is_refused() -> None:
    with pytest.raises(ConfigError) as told:
        contracts("{USDT: '100000'}")
    (problem,) = told.value.problems
    assert problem.path == "$.account.balances"
    assert "fees are paid in BNB (`simulation.fees.pay_in`): say how much of it the account holds" in problem.message


def money(result: RunResult, *names: str) -> list[Decimal]:
    return [D(result.summary[name]) for name in names]


def split(result: RunResult) -> dict[str, Decimal]:
    return {name: D(value) for name, value in result.summary["pnl_split"]["whole"].items()}


WAYS = {
    "in what is received": ("binance-spot", "{maker: '0.001'}", "{USDT: '100000', XB: '50', BNB: '20'}"),
    "in an asset that is traded too": (
        "binance-spot", "{pay_in: BNB, pay_price: '600'}", "{USDT: '100000', XB: '50', BNB: '20'}",
    ),
    "in an asset that runs out": (
        "binance-spot", "{pay_in: BNB, pay_price: '600'}", "{USDT: '100000', XB: '50', BNB: '0.01'}",
    ),
    "rebates in the other coin": ("bybit-spot", "{maker: '-0.0001'}", "{USDT: '100000', XB: '50', BNB: '20'}"),
    "rebates, nothing held before": ("bybit-spot", "{maker: '-0.0001'}", "{USDT: '100000'}"),
    "of contracts": ("binance-usdm", "{pay_in: BNB, pay_price: '600'}", "{USDT: '100000', BNB: '0.05'}"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=6, deadline=None)
@example(4).via("what a fee takes of a purchase that closes a sale of what was held before closes nothing")
@example(31).via("dust of a sale is closed by the next purchase")
@given(st.integers(0, 10_000))
def test_whatever_is_traded_every_witness_agrees(way: str, seed: int) -> None:
    """Both ledgers per asset; and the portfolio, the trades and the split of the profit, or `make_result` raises."""
    venue, fees, balances = WAYS[way]
    bars = {
        "X": [("1000", "1002", "998", "1001", "1000"), ("1001", "1003", "999", "1000", "1000")] * 4,
        "BN": [("600", "601", "598", "600.5", "1000"), ("600.5", "602", "599", "601", "1000")] * 4,
    }
    simulation = f"{{latency: {{kind: none}}, spread: {{kind: none}}, impact: {{kind: none}}, fees: {fees}}}"
    leverage = 5 if venue == "binance-usdm" else None
    plan = plan_of(bars, simulation=simulation, venue=venue, balances=balances, leverage=leverage)
    done = asyncio.run(run_of(plan, s=RandomTrader(seed)))
    both_ledgers(done, venue)
    assert make_result(done.run).summary["other_fees"] == {}
