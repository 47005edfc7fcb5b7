"""Spot: what the account had from the start is sold and bought back, and both ledgers and the report agree on it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.result import make_result
from tiny_run import Script, flat, plan_of, run_of

D = Decimal
FEES = "{latency: {kind: none}, spread: {kind: none}, impact: {kind: none}, fees: {maker: '0.001', taker: '0.001'}}"


@pytest.mark.parametrize("more", [(), ({"side": "sell", "qty": 1},), ({"side": "buy", "qty": 1},)])
async def test_a_deposit_sold_and_bought_back_leaves_books_that_agree(more: tuple[dict[str, object], ...]) -> None:
    """3 of 20 are sold at 98 and bought back at 107; of those the venue keeps 0.1 %, 0.003, which stays sold.

    294 - 0.294 - 321 = -27.294 USDT, and 19.997 of the asset.
    """
    script = Script({"side": "sell", "qty": 3}, {"side": "buy", "qty": 3}, *more)
    plan = plan_of(
        {"X": flat("98", "98", "107", "107", "107")}, venue="binance-spot", leverage=None, simulation=FEES,
        balances="{USDT: '1000', XB: '20'}",
    )  # fmt: skip
    done = await run_of(plan, s=script)
    result = make_result(done.run)  # raises where portfolio and fills disagree
    (venue,) = done.run.outside.world.exchanges
    for asset in ("USDT", "XB"):
        assert venue.account.balances[asset] == done.run.portfolio.balances["binance-spot", asset]
    if not more:
        assert done.run.portfolio.balances["binance-spot", "USDT"] == D("972.706")
        assert done.run.portfolio.balances["binance-spot", "XB"] == D("19.997")
        assert D(result.summary["final_equity"]) == D("972.706") + D("19.997") * 107
        assert [D(str(trade.qty)) for trade in result.record.trades] == [3]
