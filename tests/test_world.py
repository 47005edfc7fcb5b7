"""Who moves time: ties at one nanosecond, when a decision acts, how a run ends, and what must not matter."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.compose import read_plan
from core.errors import StrategyError
from core.events import (
    ORDER_EVENTS,
    Bar,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    PositionLiquidated,
    TimerFired,
)
from core.plan import Plan
from core.tape import Tape
from tick_run import ticks
from tiny_run import IDEAL, MINUTE, SECOND, START, Row, Script, Shelf, engine_of, flat, plan_of, run_of

D = Decimal
MS = 1_000_000
BUY = {"side": "buy", "qty": 1}


def ideal_but(latency: str) -> str:
    return IDEAL.replace("latency: {kind: none}", f"latency: {latency}")


# Opens and closes differ everywhere, so a fill's price tells when it happened.
WAVES: list[Row] = [
    ("100", "104", "99", "103", "900"),
    ("110", "114", "109", "113", "900"),
    ("120", "124", "119", "123", "900"),
    ("130", "134", "129", "133", "900"),
]


async def test_a_decision_on_a_close_fills_at_the_next_open() -> None:
    """F8, Le = 0: never the close just seen (103), never the next close (113), but the open of the next bar, 110."""
    done = await run_of(plan_of({"X": WAVES}), s=Script(BUY))
    (fill,) = done.of(OrderFilled)
    assert (fill.price, fill.ts_venue, fill.ts) == (D(110), START + MINUTE, START + MINUTE)
    assert fill.rule == "bar" and (fill.cause_row, fill.cause_ts) == (1, START + MINUTE)


async def test_a_decision_on_the_last_close_trades_nothing() -> None:
    """Requests under way reach the venue and nothing more trades: accepted, and left open."""
    done = await run_of(plan_of({"X": WAVES}), s=Script(None, None, None, BUY))
    assert [type(e) for e in done.events] == [OrderSubmitted, OrderAccepted]
    (order,) = done.run.working.all.values()
    assert order.is_open


async def test_a_request_under_way_at_the_end_reaches_the_venue_and_its_answer_reaches_us() -> None:
    """Sent at the last close, 30 s there and 20 s back."""
    latency = ideal_but("{kind: constant, entry_ms: 30000, response_ms: 20000}")
    done = await run_of(plan_of({"X": WAVES}, simulation=latency), s=Script(None, None, None, BUY))
    accepted = done.events[1]
    end = START + 4 * MINUTE
    assert type(accepted) is OrderAccepted
    assert (accepted.ts_venue, accepted.ts) == (end + 30 * SECOND, end + 50 * SECOND)


async def test_what_a_venue_does_just_before_the_end_is_heard_after_it() -> None:
    """The last bar goes 130, 129, 134, 133 in legs of 20 s: the stop at 134 fires at 40 s, 20 s before the end."""
    latency = ideal_but("{kind: constant, entry_ms: 0, response_ms: 30000}")
    stop = {"side": "buy", "qty": 1, "type": "stop_market", "trigger_price": 134}
    done = await run_of(plan_of({"X": WAVES}, simulation=latency), s=Script(None, None, stop))
    (fill,) = done.of(OrderFilled)
    fires = START + 3 * MINUTE + 40 * SECOND
    assert (fill.price, fill.ts_venue, fill.ts) == (D(134), fires, fires + 30 * SECOND)


@pytest.mark.parametrize(
    ("entry_ms", "price"),
    [
        # Bar 1 goes 110, 109, 114, 113 (|H-O| = 4 > |O-L| = 1) in legs of 20 s: -0.05, +0.25, -0.05 a second.
        (0, "110"),
        (125, "110.0"),  # 109.99375, away from a buyer: up to the tick
        (10_000, "109.5"),
        (20_000, "109"),
        (24_000, "110"),
        (40_000, "114"),
        (50_000, "113.5"),
        (60_000, "120"),  # the next open
    ],
)
async def test_a_taker_that_arrives_inside_a_bar_pays_the_paths_price_there(entry_ms: int, price: str) -> None:
    plan = plan_of({"X": WAVES}, simulation=ideal_but(f"{{kind: constant, entry_ms: {entry_ms}, response_ms: 50}}"))
    (fill,) = (await run_of(plan, s=Script(BUY))).of(OrderFilled)
    arrival = START + MINUTE + entry_ms * MS
    assert (fill.price, fill.ts_venue, fill.ts) == (D(price), arrival, arrival + 50 * MS)


async def test_a_seller_gets_the_tick_below() -> None:
    """109.99375 at 125 ms: 109.9."""
    plan = plan_of({"X": WAVES}, simulation=ideal_but("{kind: constant, entry_ms: 125}"))
    (fill,) = (await run_of(plan, s=Script({"side": "sell", "qty": 1}))).of(OrderFilled)
    assert fill.price == D("109.9")


async def test_at_one_nanosecond_reports_come_before_market_data_before_timers() -> None:
    """Sent at 1:00 with 60 s to the venue and 0 back: at 2:00 the fill is heard, bar 1 closes, a timer is due."""
    latency = ideal_but("{kind: constant, entry_ms: 60000, response_ms: 0}")
    told: list[Any] = []
    async with engine_of(plan_of({"X": WAVES}, simulation=latency), s=Script(BUY)) as engine:
        engine.parts.bus.subscribe((OrderAccepted, OrderFilled, Bar, TimerFired), told.append)
        engine.clock.call_at(START + 2 * MINUTE, TimerFired(START + 2 * MINUTE, "mine", "test"))
        await engine.run()
    at = [type(e) for e in told if e.ts == START + 2 * MINUTE]
    assert at == [OrderAccepted, OrderFilled, Bar, TimerFired]


async def test_at_the_venue_market_data_comes_before_requests_and_requests_in_order_of_arrival() -> None:
    """The open of bar 3 and two requests at once: a resting bid gapped through is filled, then both market orders."""
    rows = flat("100", "100", "100", "90", "90")
    latency = ideal_but("{kind: constant, entry_ms: 60000}")
    resting = {"side": "buy", "qty": 1, "price": 95}
    plan = plan_of({"X": rows}, simulation=latency)
    done = await run_of(plan, s=Script(resting, [BUY, {"side": "sell", "qty": 2}]))
    assert [(e.liquidity, e.side, e.price, e.qty) for e in done.of(OrderFilled)] == [
        ("maker", "buy", D(95), D(1)), ("taker", "buy", D(90), D(1)), ("taker", "sell", D(90), D(2)),
    ]  # fmt: skip
    assert {e.ts_venue for e in done.of(OrderFilled)} == {START + 3 * MINUTE}


async def test_timers_of_one_moment_fire_in_the_order_in_which_they_were_asked_for() -> None:
    told: list[str] = []
    async with engine_of(plan_of({"X": WAVES}), s=Script()) as engine:
        engine.parts.bus.subscribe(TimerFired, lambda event: told.append(event.name))
        for name in ("b", "a", "gone", "c"):
            handle = engine.clock.call_at(START + 90 * SECOND, TimerFired(START + 90 * SECOND, name, "test"))
            if name == "gone":
                engine.clock.cancel(handle)
        await engine.run()
    assert told == ["b", "a", "c"]


async def test_time_never_goes_back_whatever_the_legs() -> None:
    """Latencies drawn at random, orders on every bar: what the bus carries has growing times."""
    latency = ideal_but("{kind: lognormal, entry_ms: 900, response_ms: 700, feed_ms: 40, sigma: 2}")
    rows = flat(*[str(100 + i % 3) for i in range(60)])
    times: list[int] = []
    wishes = [[BUY, {"side": "sell", "qty": 1, "price": 101}, {"cancel": True}]] * 60
    async with engine_of(plan_of({"X": rows}, simulation=latency), s=Script(*wishes)) as engine:
        engine.parts.bus.subscribe((*ORDER_EVENTS, Bar), lambda event: times.append(event.ts))
        await engine.run()
    assert len(times) > 200 and times == sorted(times)


async def test_a_lost_request_is_told_when_the_client_learns_of_it_and_not_later() -> None:
    """F1: exch <= 0 loses the request; resp - req = 500 ms later we know, which is between two bars."""
    latency = ideal_but("{kind: recorded, rows: [[0, -1, 500]]}")
    told: list[Any] = []
    async with engine_of(plan_of({"X": WAVES}, simulation=latency), s=Script(None, BUY)) as engine:
        engine.parts.bus.subscribe((OrderRejected, Bar), told.append)
        await engine.run()
    assert [(type(e), e.ts - START) for e in told[:4]] == [
        (Bar, MINUTE), (Bar, 2 * MINUTE), (OrderRejected, 2 * MINUTE + 500 * MS), (Bar, 3 * MINUTE),
    ]  # fmt: skip
    assert told[2].reason == "lost"


async def test_a_strategy_that_answers_itself_without_latency_is_a_loop_and_is_named() -> None:
    """Each rejection makes the next order, at one nanosecond: 1000 rounds end the run."""

    takes = {"side": "buy", "type": "limit", "price": 200, "qty": 1, "post_only": True}

    def again(event: Any) -> Any:
        return takes if type(event) is OrderRejected else None

    plan = plan_of({"X": WAVES}, balances="{USDT: '10000'}")
    with pytest.raises(StrategyError, match=r"`s` failed in on_event at 2025-01-01 00:01:00Z\n.*1000 rounds") as caught:
        await run_of(plan, s=Script(takes, on_event=again))
    assert caught.value.exit_code == 1 and "with zero latency it answers its own order events" in caught.value.what


@pytest.mark.parametrize("order", [("X", "Y"), ("Y", "X")])
async def test_bars_of_several_symbols_merge_by_receipt_and_at_one_moment_in_the_order_of_the_run(
    order: tuple[str, str],
) -> None:
    """Y has a hole at bar 1."""
    rows = {"X": flat("1", "2", "3"), "Y": [*flat("10"), None, *flat("30")]}
    done = await run_of(plan_of({name: rows[name] for name in order}, tick="0.01"), kinds=(Bar,), s=Script())
    told = [(int((e.ts - START) // MINUTE), e.symbol, e.close) for e in done.events]
    first = [(1, name, {"X": 1.0, "Y": 10.0}[name]) for name in order]
    last = [(3, name, {"X": 3.0, "Y": 30.0}[name]) for name in order]
    assert told == [*first, (2, "X", 2.0), *last]


async def test_feed_latency_delays_what_we_learn_and_nothing_at_the_venue() -> None:
    """With 250 ms the close of bar 0 is known 250 ms into bar 1, at 109.9875: up to 110."""
    plan = plan_of({"X": WAVES}, simulation=ideal_but("{kind: constant, feed_ms: 250}"))
    done = await run_of(plan, kinds=(Bar, OrderFilled), s=Script(BUY))
    bar, fill = done.events[0], done.of(OrderFilled)[0]
    assert (bar.ts, bar.ts_venue) == (START + MINUTE + 250 * MS, START + MINUTE)
    assert (fill.ts_venue, fill.price) == (START + MINUTE + 250 * MS, D("110.0"))


async def test_an_order_in_a_hole_of_the_data_waits_for_the_next_open() -> None:
    """Bar 1 is missing: nothing fills before bar 2 opens."""
    rows: list[Row] = [WAVES[0], None, WAVES[2], WAVES[3]]
    (fill,) = (await run_of(plan_of({"X": rows}), s=Script(BUY))).of(OrderFilled)
    assert (fill.price, fill.ts_venue) == (D(120), START + 2 * MINUTE)


# --- a venue that may lag -------------------------------------------------------------------------------------------

MOVES = st.lists(st.integers(-8, 8), min_size=8, max_size=24)
WISHES = st.lists(
    st.sampled_from(
        [
            None, None, None, {"side": "buy", "qty": "0.5"}, {"side": "sell", "qty": "2"},
            {"side": "buy", "qty": 1, "price": 99}, {"side": "sell", "qty": 1, "price": 101}, {"cancel": True},
            {"close": True}, {"side": "sell", "qty": 1, "type": "stop_market", "trigger_price": 98},
        ]
    ),
    max_size=24,
)  # fmt: skip
LATENCIES = st.sampled_from(["{kind: none}", "{kind: constant, entry_ms: 125, response_ms: 125}",
                             "{kind: constant, entry_ms: 70000, response_ms: 3, feed_ms: 11}"])  # fmt: skip


def walk(moves: list[int]) -> list[Row]:
    rows: list[Row] = []
    price = D(100)
    for at, move in enumerate(moves):
        close = max(price + move * D("0.1") * (1 + at % 3), D(90))
        low, high = min(price, close) - D("0.3"), max(price, close) + D("0.2") * (at % 2)
        rows.append((str(price), str(high), str(low), str(close), str(5 + at)))
        price = close
    return rows


@settings(max_examples=25)
@given(MOVES, WISHES, LATENCIES)
async def test_an_unrelated_order_far_away_changes_no_fill(moves: list[int], wishes: list[Any], latency: str) -> None:
    """With a resting order the venue is followed bar by bar, without it may lag: the same fills, to the digit."""
    rows = walk(moves)
    impact = "{kind: square_root, sigma_daily: '0.03', volume_daily: '2000'}"
    simulation = ideal_but(latency).replace("impact: {kind: none}", f"impact: {impact}")
    fills = []
    for far in (None, {"side": "buy", "qty": 1, "price": 1}):
        plan = plan_of({"X": rows}, simulation=simulation, strategies=("s", "far"), balances="{USDT: '1000000'}")
        done = await run_of(plan, s=Script(*wishes), far=Script(far))
        fills.append([(e.ts, e.ts_venue, e.side, e.price, e.qty, e.liquidity, e.leaves, e.cause_row)
                      for e in done.of(OrderFilled, strategy="s")])  # fmt: skip
        assert done.of(OrderFilled, strategy="far") == []
    assert fills[0] == fills[1]


@settings(max_examples=15)
@given(MOVES, WISHES, LATENCIES)
async def test_the_same_run_twice_gives_the_same_events(moves: list[int], wishes: list[Any], latency: str) -> None:
    """And no order event is an illegal move, no order has two endings, nothing happens before it arrives (F16)."""
    plan = plan_of({"X": walk(moves)}, simulation=ideal_but(latency))
    first = await run_of(plan, s=Script(*wishes))
    second = await run_of(plan, s=Script(*wishes))
    assert first.events == second.events
    assert first.run.journal.events_sha256 == second.run.journal.events_sha256
    assert first.run.working.illegal == []
    endings = [e.order_id for e in first.events if type(e) in (OrderCanceled, OrderExpired, OrderRejected)]
    endings += [e.order_id for e in first.of(OrderFilled) if not e.leaves]
    assert len(endings) == len(set(endings))
    sent = {e.order_id: e.ts for e in first.of(OrderSubmitted)}
    assert all(e.ts_venue >= sent[e.order_id] and e.ts >= e.ts_venue for e in first.of(OrderFilled))


# --- one cursor over the books of several venues --------------------------------------------------------------------

TWO_VENUES = """\
run: {name: tiny, seed: 1}
venues: {first: {name: binance-usdm}, second: {name: bybit-linear}}
account: {balances: {USDT: '10000'}, leverage: 5}
instruments: {X: {tick: '0.01', step: '0.001', brackets: [{floor: '0', mmr: '0.02', max_leverage: 50}]}}
data:
"""


def two_venues(symbols: str, *tapes: Tape, simulation: str = IDEAL) -> Plan:
    """A strategy that trades X at one or both of two venues, whose tapes these are."""
    source = "source: {kind: file, path: none.parquet}"
    text = TWO_VENUES + "".join(f"  - {{symbol: X, venue: {t.venue}, kind: {t.kind}, {source}}}\n" for t in tapes)
    text += f"simulation: {simulation}\nstrategies:\n"
    text += f"  - {{name: s, symbols: [{symbols}], class: 'strategies.ema_cross:EmaCross', warmup: 0}}\n"
    plan = read_plan("two.yaml", text=text)
    streams = [msgspec.structs.replace(s, source=Shelf(t)) for s, t in zip(plan.streams, tapes, strict=True)]
    return msgspec.structs.replace(plan, streams=streams)


def prints(venue: str, *rows: tuple[int, str]) -> Tape:
    """Sales of 10 as (ms after START, price)."""
    same = {"size": "10", "side": "sell", "flags": 0}
    return ticks("trades", [{"at": at, "price": price, **same} for at, price in rows], venue=venue)


@pytest.mark.parametrize("venue", ["first", "second"])
async def test_a_stop_fires_at_whichever_venue_it_waits(venue: str) -> None:
    """The first venue's step reads the books of both; the print of 101 after 5 ms pulls the stop of either."""
    other = "second" if venue == "first" else "first"
    tapes = prints(venue, (1, "100"), (5, "101"), (9000, "101")), prints(other, (0, "100"), (9000, "100"))
    stop = {"symbol": f"{venue}:X", "side": "buy", "type": "stop_market", "trigger_price": "101", "qty": 1}
    done = await run_of(two_venues(f"'{venue}:X'", *sorted(tapes, key=lambda tape: tape.venue)), s=Script(stop))
    assert [event.ts_venue - START for event in done.of(OrderTriggered)] == [5 * MS]


@pytest.mark.parametrize("response_ms", [0, 1, 30])
async def test_without_an_entry_latency_two_venues_answer_in_the_order_in_which_they_were_asked(
    response_ms: int,
) -> None:
    """Both print at 5 ms. The first print is answered with an order at the second venue, the other one at the first."""
    tapes = prints("first", (5, "100"), (9000, "100")), prints("second", (5, "100"), (9000, "100"))
    latency = ideal_but(f"{{kind: constant, response_ms: {response_ms}}}")
    plan = two_venues("'first:X', 'second:X'", *tapes, simulation=latency)
    orders = [{"symbol": f"{venue}:X", "side": "buy", "price": 90, "qty": 1} for venue in ("second", "first")]
    done = await run_of(plan, s=Script(*orders))
    assert [event.venue for event in done.of(OrderSubmitted)] == ["second", "first"]
    assert [event.venue for event in done.of(OrderAccepted)] == ["second", "first"]
    assert {event.ts - START for event in done.of(OrderAccepted)} == {(5 + response_ms) * MS}


@pytest.mark.parametrize("venue", ["first", "second"])
async def test_marks_from_before_a_fill_liquidate_nothing(venue: str) -> None:
    """Bought at 99 after 20 ms; the mark fell to 10 after 5 ms and was back at 100 after 8."""
    other = "second" if venue == "first" else "first"
    four = ("open", "high", "low", "close")
    path = ((0, "100"), (5, "10"), (8, "100"), (9000, "100"))
    marks = ticks("marks", [{"at": at, **dict.fromkeys(four, price)} for at, price in path], venue=venue)
    tapes = prints(venue, (1, "100"), (20, "98"), (9000, "100")), prints(other, (0, "100"), (9000, "100"))
    bid = {"symbol": f"{venue}:X", "side": "buy", "price": 99, "qty": 1}
    kinds = (*ORDER_EVENTS, PositionLiquidated)
    plan = two_venues(f"'{venue}:X'", *sorted(tapes, key=lambda tape: tape.venue), marks)
    done = await run_of(plan, kinds=kinds, s=Script(bid))
    assert [event.ts_venue - START for event in done.of(OrderFilled)] == [20 * MS]
    assert done.of(PositionLiquidated) == []
