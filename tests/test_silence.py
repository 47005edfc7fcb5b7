"""A run with orders and no fills says why, in numbers that can be read off its few rows."""

from __future__ import annotations

from typing import Any

from core.tape import LAST, SNAPSHOT, Gap
from sim.backtester import Backtester
from tick_run import depth, tick_plan, ticks
from tiny_run import START, Script, flat, plan_of

MS = 1_000_000
QUICK = "{latency: {kind: none}, impact: {kind: none}, queue: {kind: risk_averse}, rate_limits: {kind: none}}"
BAR = ("100", "104", "99", "103", "900")


def warnings_of(plan: Any, *answers: Any) -> list[str]:
    result = Backtester(plan, strategies={"s": Script(*answers)}).run()
    assert result.summary["fill_count"] == 0
    return [str(line) for line in result.summary["warnings"]]


def on_bars(*answers: Any, rows: Any = (BAR,)) -> list[str]:
    return warnings_of(plan_of({"X": [*flat("100"), *rows]}), *answers)


def on_a_book(*answers: Any, prints: Any = (), gaps: tuple[Gap, ...] = (), asks: str = "5") -> list[str]:
    """Bid 5 at 99.90, ask at 100.00; prints at 10 ms and at 90 ms and those given between."""
    book = depth((0, "bid", "99.90", "5", SNAPSHOT), (0, "ask", "100.00", asks, SNAPSHOT | LAST))
    rows = [(10, "100.00", "1", "buy"), *prints, (90, "100.00", "0.1", "buy")]
    made = [{"at": a, "price": p, "size": q, "side": s, "flags": 0} for a, p, q, s in rows]
    plan = tick_plan(book, ticks("trades", made, gaps=gaps), strategy="s, hears: [trades]", simulation=QUICK)
    return warnings_of(plan, *answers)


def told(warnings: list[str], beginning: str) -> str:
    found = [line for line in warnings if line.startswith(beginning)]
    assert len(found) == 1, warnings
    return found[0]


def test_a_limit_the_market_never_came_to_is_told_with_the_nearest_distance() -> None:
    """The low is 99: it stayed 4 above 95 (4 / 95 = 421.05 bp) and 14 above 85."""
    warnings = on_bars([{"side": "buy", "qty": 1, "price": "95"}, {"side": "buy", "qty": 1, "price": "85"}])
    assert told(warnings, "no order was filled") == "no order was filled; they ended accepted (2)"
    line = told(warnings, "the market never came to 2 limits")
    assert "the nearest it was 4 away (421.1 bp) (buy at 95, order " in line
    assert line.endswith("-1)")


def test_a_limit_is_judged_at_the_price_it_was_last_amended_to() -> None:
    """At 98 only the second bar after the amend counts, whose low is 99.5: 1.5 away."""
    wish = {"side": "buy", "qty": 1, "price": "95", "tag": "a"}
    rows = [BAR, ("103", "104", "99.5", "103", "900")]
    warnings = on_bars(wish, {"amend": "a", "price": "98", "qty": 1}, rows=rows)
    assert "the nearest it was 1.5 away" in told(warnings, "the market never came to 1 limit")


def test_a_limit_the_market_only_touched_is_told() -> None:
    warnings = on_bars({"side": "buy", "qty": 1, "price": "99"})
    assert "it did not go through" in told(warnings, "the market came to 1 limit and gave nothing")


def test_a_queue_that_was_not_used_up_is_told_with_both_quantities() -> None:
    """5 stood ahead, 2 and 1.5 were sold at the price; what buyers took there met nobody of ours."""
    prints = [(20, "99.90", "2", "sell"), (30, "99.90", "1.5", "sell"), (40, "99.90", "1", "buy")]
    warnings = on_a_book({"side": "buy", "qty": 1, "price": "99.90"}, prints=prints)
    line = told(warnings, "the market came to 1 limit with others ahead in the queue")
    assert "5 when it was placed, 3.5 traded at that price while it worked (buy at 99.9, order " in line


def test_a_trigger_that_never_fired_is_told_with_the_nearest_distance() -> None:
    """The high is 104: a buy stop at 105 is 1 away, and a sell stop at 90 is 9 below the low of 99."""
    stops = [
        {"side": "buy", "qty": 1, "type": "stop_market", "trigger_price": "105"},
        {"side": "sell", "qty": 1, "type": "stop_market", "trigger_price": "90"},
    ]
    warnings = on_bars(stops)
    assert "the nearest the market was 1 away (95.2 bp)" in told(warnings, "2 triggers never fired")


def test_an_order_that_arrives_with_the_end_of_the_data_is_told() -> None:
    warnings = on_bars(None, {"side": "buy", "qty": 1})
    assert told(warnings, "1 order reached the venue after the last row of data")


def test_a_market_order_that_found_nothing_is_told_with_the_reason() -> None:
    warnings = on_a_book({"side": "buy", "qty": 1}, asks="0")
    assert told(warnings, "1 market order expired without a trade (no_liquidity)")


def test_a_hole_in_the_data_while_an_order_worked_is_told_and_one_before_it_is_not() -> None:
    after, before = Gap(START + 40 * MS, START + 60 * MS, 3), Gap(START + 1 * MS, START + 3 * MS, 3)
    wish = {"side": "buy", "qty": 1, "price": "99.00"}
    assert told(on_a_book(wish, gaps=(after,)), "X trades: the data has 1 hole")
    assert not [line for line in on_a_book(wish, gaps=(before,)) if "while orders worked" in line]


def test_orders_that_were_refused_do_not_keep_others_from_being_looked_at() -> None:
    """301 are below one step (0.001) and denied; the one after them waits at 95, 4 below the low of 99."""
    refused = [{"side": "buy", "qty": "0.0001"}] * 301
    warnings = on_bars([*refused, {"side": "buy", "qty": 1, "price": "95"}])
    assert told(warnings, "no order was filled") == "no order was filled; they ended denied (301), accepted (1)"
    assert "the nearest it was 4 away" in told(warnings, "the market never came to 1 limit")
    assert not [line for line in warnings if "looked at" in line]


def test_a_run_with_a_fill_says_nothing_of_this() -> None:
    plan = plan_of({"X": [*flat("100"), BAR]})
    answer = [{"side": "buy", "qty": 1}, {"side": "buy", "qty": 1, "price": "85"}]
    result = Backtester(plan, strategies={"s": Script(answer)}).run()
    assert result.summary["fill_count"] == 1
    assert not [line for line in result.summary["warnings"] if "never came" in line or "no order" in line]
