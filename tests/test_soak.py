"""The long tests of `make soak`: as many seeds as the time allows. A seed that fails becomes a row in a quick test."""

from __future__ import annotations

import random
import time

import pytest

from core.compose import compose, read_plan
from core.parity import parity
from core.plan import Plan
from core.result import make_result
from test_parity import SYNTHETIC

MILLIS = [0, 1, 125, 30_000, 60_000, 90_000]


def plan_of_seed(seed: int) -> Plan:
    """Two venues, two intervals, two sessions, every order type, answers to own events, a latency from the seed."""
    draw = random.Random(seed)
    text = SYNTHETIC.format(
        seed=seed,
        perp=draw.choice(["binance-usdm", "bybit-linear"]),
        kind=draw.choice(["constant", "lognormal"]),
        entry=draw.choice(MILLIS),
        response=draw.choice(MILLIS),
        feed=draw.choice(MILLIS),
        call=draw.choice(["each", "together"]),
        together_ms=draw.choice([0, 1000, 60_000]),
    )
    return read_plan("soak.yaml", text=text)


@pytest.mark.soak
async def test_backtest_and_paper_agree_for_every_seed(soak_seconds: float) -> None:
    until, seed, events = time.monotonic() + soak_seconds, 0, 0
    while time.monotonic() < until:
        seed += 1
        result = await parity(plan_of_seed(seed))
        assert result.equal, f"seed {seed}: {result.text()}"
        events += result.backtest_events
    print(f"\nparity: seeds 1 to {seed}, {events:,} order and account events, all equal")


@pytest.mark.soak
async def test_both_ledgers_and_the_report_agree_for_every_seed(soak_seconds: float) -> None:
    """The venue's ledger and ours after each run, and the report's own count of every fill."""
    until, seed, fills = time.monotonic() + soak_seconds, 0, 0
    while time.monotonic() < until:
        seed += 1
        async with compose(plan_of_seed(seed)) as engine:
            await engine.run()
            parts = engine.parts.run
            for exchange in parts.outside.world.exchanges:
                # Books of two strategies realize at other moments than their one net position at the venue; what is
                # in the wallet less what the positions cost is the same on both sides.
                costs = sum(p.value for p in exchange.account.positions.values())
                books = [b for b in parts.portfolio.books.values() if b.venue == exchange.venue]
                own_costs = sum(b.cost for b in books) if exchange.account.kind == "linear" else 0
                for asset, total in exchange.account.balances.items():
                    ours = parts.portfolio.balances[exchange.venue, asset]
                    there, here = (
                        total - (costs if asset == "USDT" else 0),
                        ours - (own_costs if asset == "USDT" else 0),
                    )
                    assert there == here, f"seed {seed}: {exchange.venue} {asset} is {there} there and {here} here"
            result = make_result(parts)
            fills += len(result.fills)
    print(f"\nledgers: seeds 1 to {seed}, {fills:,} fills, venue, portfolio and report equal to the last digit")
