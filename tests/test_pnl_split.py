"""Where the profit came from: split by hand, and the sum as a witness of the change of the equity."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from core.events import ACCOUNT_EVENTS, ORDER_EVENTS, FundingPaid, OrderFilled, PositionLiquidated
from core.metrics.pnl_split import PARTS, split_pnl
from core.report.readable import render_summary
from core.result import make_result
from test_metrics import record
from test_trade_log import fill, funding
from tiny_run import BRACKETS, FALL, IDEAL, Script, flat, plan_of, run_of

D = Decimal


def parts_of(split: Any) -> dict[str, Decimal]:
    return {name: getattr(split, name) for name in (*PARTS, "total")}


def test_a_round_trip_is_split_at_the_references_of_its_fills() -> None:
    """2 bought at 100.1 (reference 100), sold at 104.9 (105), fees 0.2 and 0.21, funding -0.3.

    price 2 x (105 - 100) = 10, slippage -2 x 0.1 - 2 x 0.1 = -0.4, total 10 - 0.41 - 0.3 - 0.4 = 8.89.
    """
    fills = [msgspec.structs.replace(fill("buy", "2", "100.1", fee="0.2"), reference=D(100)),
             msgspec.structs.replace(fill("sell", "2", "104.9", fee="0.21"), reference=D(105))]  # fmt: skip
    run = record([(0, "108.89")], fills=fills, account_events=[funding("-0.3")])
    found = split_pnl(run)
    expected = {"price": D(10), "fees": D("-0.41"), "funding": D("-0.3"), "slippage": D("-0.4"),
                "liquidation": D(0), "total": D("8.89")}  # fmt: skip
    assert parts_of(found.whole) == parts_of(found.symbols["v:X"]) == parts_of(found.strategies["s"]) == expected


def test_a_symbol_of_two_venues_has_a_part_at_each() -> None:
    """1 bought at v for 100 and sold at w for 103 with nothing else: +2 at v, last price 102, and +1 at w."""
    fills = [fill("buy", "1", "100"), fill("sell", "1", "103", venue="w")]
    prices = {("v", "X"): D(102), ("w", "X"): D(102)}
    found = split_pnl(record([(0, "103")], fills=fills, final_prices=prices))
    assert {name: part.total for name, part in found.symbols.items()} == {"v:X": D(2), "w:X": D(1)}


def test_an_open_position_counts_at_its_last_price_and_a_short_gains_from_a_fall() -> None:
    """3 sold at 100, last price 99: +3, all of it price."""
    run = record([(0, "103")], fills=[fill("sell", "3", "100")], final_prices={("v", "X"): D(99)})
    assert parts_of(split_pnl(run).whole)["price"] == D(3)


async def test_a_liquidated_position_lost_its_margin_to_liquidation_and_nothing_to_the_price() -> None:
    """2@60000 20x lose 6000; 0.1 bought at 58000 before the end gains 0; the rows say the same."""
    plan = plan_of({"X": FALL}, leverage=20, instrument=BRACKETS, balances="{USDT: '10000'}")
    done = await run_of(plan, s=Script({"side": "buy", "qty": 2}))
    split = make_result(done.run).summary["pnl_split"]
    assert {name: D(value) for name, value in split["whole"].items()} == {
        "price": 0, "fees": 0, "funding": 0, "slippage": 0, "liquidation": -6000, "total": -6000,
    }  # fmt: skip
    assert split["symbols"] == {"X": split["whole"]} and split["strategies"] == {"s": split["whole"]}


async def test_a_strategy_that_comes_back_at_the_nanosecond_of_its_liquidation_is_still_counted_right() -> None:
    """No latency: the new order fills at the very moment of the liquidation, and is not mixed up with what ended.

    LP 57228.9156…: 0.1 bought there onto the tick, 58000 at the end.
    """

    def again(event: Any) -> Any:
        return {"side": "buy", "qty": "0.1"} if isinstance(event, PositionLiquidated) else None

    plan = plan_of({"X": FALL}, leverage=20, instrument=BRACKETS, balances="{USDT: '10000'}")
    strategy = Script({"side": "buy", "qty": 2}, on_event=again)
    done = await run_of(plan, kinds=(*ORDER_EVENTS, *ACCOUNT_EVENTS), s=strategy)
    (forced,), second = done.of(PositionLiquidated), done.of(OrderFilled)[1]
    assert second.ts == forced.ts
    whole = make_result(done.run).summary["pnl_split"]["whole"]
    assert D(whole["liquidation"]) == D(-6000)
    assert D(whole["price"]) + D(whole["slippage"]) == (58000 - second.price) * D("0.1")


async def test_the_split_recomputed_from_the_events_of_a_run_sums_up_to_the_change_of_its_equity() -> None:
    """Fills with fees, spread and impact, of two strategies on two symbols: recomputed here with plain sums."""
    rows = flat("100", "101", "99", "103", "97", "102")
    plan = plan_of(
        {"X": rows, "Y": rows},
        strategies=("a", "b, symbols: [X]"),
        simulation="{latency: {kind: none}, spread: {half_bps: '3'}, fees: {maker: '0.0002', taker: '0.0005'}}",
    )
    first = Script({"symbol": "X", "side": "buy", "qty": 2}, {"symbol": "Y", "side": "sell", "qty": 3},
                   {"symbol": "X", "target": -1}, {"symbol": "Y", "close": True})  # fmt: skip
    second = Script({"side": "sell", "qty": 1}, None, {"side": "sell", "qty": 1})
    done = await run_of(plan, kinds=(*ORDER_EVENTS, *ACCOUNT_EVENTS), a=first, b=second)
    summary = make_result(done.run).summary
    split, fills = summary["pnl_split"], done.of(OrderFilled)
    assert len({(f.strategy, f.symbol) for f in fills}) == 3
    for group, key in (("symbols", "symbol"), ("strategies", "strategy")):
        for name, parts in split[group].items():
            own = [f for f in fills if getattr(f, key) == name]
            signed = [f.qty if f.side == "buy" else -f.qty for f in own]
            assert D(parts["fees"]) == -sum(f.fee for f in own) != 0
            costs = (q * (f.price - f.reference) for q, f in zip(signed, own, strict=True))
            assert D(parts["slippage"]) == -sum(costs) < 0
            moved = (q * (102 - f.reference) for q, f in zip(signed, own, strict=True))
            assert D(parts["price"]) == sum(moved)  # every bar stands still: what is open ends at 102
    change = D(summary["final_equity"]) - D(summary["initial_equity"])
    assert D(split["whole"]["total"]) == change == sum(D(split["whole"][name]) for name in PARTS)
    for group in ("symbols", "strategies"):
        assert sum((D(parts["total"]) for parts in split[group].values()), D(0)) == change


async def test_what_a_spot_account_held_from_the_start_gains_under_price_and_for_no_strategy() -> None:
    """5 XB held, worth 100 each at the first open and 110 at the end: +50; 1 bought at 100 less its fee in XB."""
    plan = plan_of(
        {"X": flat("100", "100", "110")}, venue="binance-spot", leverage=None, balances="{USDT: '1000', XB: '5'}",
        simulation=IDEAL.replace("'0'", "'0.001'"),
    )  # fmt: skip
    done = await run_of(plan, s=Script({"side": "buy", "qty": 1}))
    split = make_result(done.run).summary["pnl_split"]
    # The fee of 0.001 XB is worth 0.1; the 0.999 that came in gain 9.99.
    assert {name: D(value) for name, value in split["strategies"]["s"].items() if D(value)} == {
        "price": D("9.99"), "fees": D("-0.1"), "total": D("9.89"),
    }  # fmt: skip
    assert D(split["whole"]["total"]) == D("59.89")


async def test_the_printed_summary_shows_the_split_per_symbol_and_whole() -> None:
    plan = plan_of({"X": FALL}, leverage=20, instrument=BRACKETS, balances="{USDT: '10000'}")
    done = await run_of(plan, s=Script({"side": "buy", "qty": 2}))
    lines = render_summary(make_result(done.run).summary).splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("  pnl by cause"))
    assert lines[head].split() == ["pnl", "by", "cause", *PARTS, "total"]
    assert lines[head + 1].split() == ["X", "0.00", "0.00", "0.00", "0.00", "-6,000.00", "-6,000.00"]
    assert lines[head + 2].split() == ["whole", "run", *lines[head + 1].split()[1:]]


def test_funding_alone_is_funding_alone() -> None:
    run = record([(0, "99.75")], account_events=[funding("-0.25")])
    assert [type(event) for event in run.account_events] == [FundingPaid]
    assert parts_of(split_pnl(run).whole) == {**dict.fromkeys(PARTS, D(0)), "funding": D("-0.25"), "total": D("-0.25")}
