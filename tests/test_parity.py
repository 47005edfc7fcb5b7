"""Parity: what a backtest says about orders and the account, paper says too, event by event and to the nanosecond."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.compose import read_plan
from core.events import OrderAccepted, OrderCanceled, OrderDenied, OrderFilled
from core.parity import Difference, ParityResult, Recorded, compare, parity, record, run_parity
from core.plan import Plan
from live.time_source import ScaledTime

REPOSITORY = Path(__file__).resolve().parent.parent
QUICKSTART = str(REPOSITORY / "configs" / "quickstart.yaml")

ROUND_TRIP_250 = "{kind: constant, entry_ms: 125, response_ms: 125, feed_ms: 0}"
NONE = "{kind: none}"
SECOND = 1_000_000_000

REAL = """
run: {{name: real, seed: 7, start: 2025-05-10, end: 2025-05-12}}
venue: {{name: binance-usdm}}
account: {{balances: {{USDT: "500000"}}, leverage: 5}}
data:
{data}
simulation: {{latency: {latency}}}
strategies:
{strategies}
"""
EMA = (
    '{name: ema, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT], params: {fast: 10, slow: 20, qty: "0.05"}}'
)
LADDER = '{{name: ladder, class: "resting_ladder:RestingLadder", symbols: [{symbols}], params: {{qty: "{qty}"}}}}'

SYNTHETIC = """
run: {{name: fuzz, seed: {seed}, end: "2024-01-01T01:59:00Z"}}
venues: {{perp: {{name: {perp}}}, spot: {{name: binance-spot}}}}
account: {{balances: {{USDT: "1000000"}}}}
instruments:
  BTCUSDT: {{tick: "0.1", step: "0.001", base: BTC, quote: USDT}}
  ETHUSDT: {{tick: "0.01", step: "0.001", base: ETH, quote: USDT}}
data:
  - {{symbol: BTCUSDT, venue: perp, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}
  - {{symbol: ETHUSDT, venue: perp, kind: bars, interval: 5m, source: {{kind: synthetic, days: 1}}}}
  - {{symbol: BTCUSDT, venue: spot, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}
simulation:
  latency: {{kind: {kind}, entry_ms: {entry}, response_ms: {response}, feed_ms: {feed}}}
strategies:
  - name: all
    class: "random_trader:RandomTrader"
    symbols: ["perp:BTCUSDT", "perp:ETHUSDT", "spot:BTCUSDT"]
    call: {call}
    together_ms: {together_ms}
    params: {{seed: {seed}}}
  - name: one
    class: "random_trader:RandomTrader"
    symbols: ["perp:BTCUSDT"]
    session: other
    params: {{seed: {seed}}}
"""


def real(
    shared: Path, *strategies: str, latency: str = ROUND_TRIP_250, symbols: tuple[str, ...] = ("BTCUSDT",)
) -> Plan:
    """Two days of recorded one-minute bars."""
    folder = shared / "data" / "bars" / "binance-usdm"
    data = "\n".join(
        f"  - {{symbol: {symbol}, kind: bars, interval: 1m, "
        f"source: {{kind: file, path: {folder / f'{symbol}-1m.2025-05.feather'}}}}}"
        for symbol in symbols
    )
    text = REAL.format(data=data, latency=latency, strategies="\n".join(f"  - {line}" for line in strategies))
    return read_plan("real.yaml", text=text)


def quickstart(*assignments: str) -> Plan:
    return read_plan(QUICKSTART, ("data[0].source.days=2", *assignments))


async def both(plan: Plan) -> tuple[ParityResult, Counter[str]]:
    """The comparison, and how many events of each type there were: equal silence proves nothing."""
    backtest = await record(plan, "backtest")
    return compare(backtest, await record(plan, "paper")), Counter(type(event).__name__ for event in backtest.events)


class Silent:
    """Sees everything, says nothing."""

    warmup = 1

    def generate_signals(self, market_data: Any, position_state: Any) -> None:
        return None


def denied(ts: int, reason: str = "x") -> OrderDenied:
    return OrderDenied(ts, None, "v", "X", "net", "s", "main", "o-1", reason)


# --- equal ----------------------------------------------------------------------------------------------------------


async def test_the_quickstart_is_equal() -> None:
    result = await parity(quickstart())
    assert result.equal, result.text()
    assert result.backtest_events == result.paper_events > 20
    assert result.backtest_sha256 in result.text()


async def test_market_orders_on_recorded_bars_are_equal(shared: Path) -> None:
    result, kinds = await both(real(shared, EMA))
    assert result.equal, result.text()
    assert kinds["OrderFilled"] > 100


@pytest.mark.parametrize(
    "latency",
    [
        ROUND_TRIP_250,
        NONE,
        "{kind: constant, entry_ms: 125, response_ms: 125, feed_ms: 40}",
        # Longer than a bar: requests and answers overtake what the strategy sees.
        "{kind: constant, entry_ms: 70000, response_ms: 60000, feed_ms: 0}",
        "{kind: lognormal, entry_ms: 125, response_ms: 125, feed_ms: 40, sigma: 0.5}",
    ],
)
async def test_resting_orders_on_recorded_bars_are_equal(shared: Path, latency: str) -> None:
    """Limits that are amended, canceled and filled in parts, and stops that fire."""
    ladder = LADDER.format(symbols="BTCUSDT", qty="3")
    plan = real(shared, ladder, EMA, latency=latency)
    backtest, paper = await record(plan, "backtest"), await record(plan, "paper")
    result = compare(backtest, paper)
    assert result.equal, result.text()
    kinds = Counter(type(event).__name__ for event in backtest.events)
    assert min(kinds["OrderAmended"], kinds["OrderCanceled"]) > 100
    assert kinds["OrderTriggered"] > 3
    fills = [event for event in backtest.events if isinstance(event, OrderFilled)]
    assert sum(fill.leaves > 0 for fill in fills) > 20
    assert {fill.liquidity for fill in fills} == {"maker", "taker"}


@pytest.mark.parametrize("latency", [ROUND_TRIP_250, NONE])
async def test_two_symbols_that_share_an_account_are_equal(shared: Path, latency: str) -> None:
    symbols = ("BTCUSDT", "ETHUSDT")
    plan = real(shared, LADDER.format(symbols=", ".join(symbols), qty="2"), EMA, latency=latency, symbols=symbols)
    result, kinds = await both(plan)
    assert result.equal, result.text()
    assert kinds["OrderFilled"] > 300


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_whatever_is_asked_for_is_equal(data: st.DataObject) -> None:
    """Two venues, two intervals, two sessions, every order type, answers to own events, and any latency."""
    millis = st.sampled_from([0, 1, 125, 30_000, 60_000, 90_000])
    choices = {
        "seed": st.integers(0, 10_000),
        "perp": st.sampled_from(["binance-usdm", "bybit-linear"]),
        "kind": st.sampled_from(["constant", "lognormal"]),
        "entry": millis,
        "response": millis,
        "feed": millis,
        "call": st.sampled_from(["each", "together"]),
        "together_ms": st.sampled_from([0, 1000, 60_000]),
    }
    text = SYNTHETIC.format(**{name: data.draw(choice, label=name) for name, choice in choices.items()})
    result = await parity(read_plan("fuzz.yaml", text=text))
    assert result.equal, result.text()
    assert result.backtest_events > 100


EVERY_ORDER = """
run: {{name: every, seed: {seed}, start: "2024-01-01T23:20:00Z", end: "2024-01-02T00:40:00Z"}}
venues: {{usdm: {{name: binance-usdm}}, bybit: {{name: bybit-linear}}, spot: {{name: binance-spot}}}}
account: {{balances: {{USDT: "1000000"}}}}
instruments: {{BTCUSDT: {{tick: "0.1", step: "0.001", base: BTC, quote: USDT}}}}
data:
  - {{symbol: BTCUSDT, venue: usdm, kind: bars, interval: 1m, source: {{kind: synthetic, days: 2}}}}
  - {{symbol: BTCUSDT, venue: bybit, kind: bars, interval: 1m, source: {{kind: synthetic, days: 2}}}}
  - {{symbol: BTCUSDT, venue: spot, kind: bars, interval: 1m, source: {{kind: synthetic, days: 2}}}}
simulation:
  latency: {{kind: {kind}, entry_ms: {entry}, response_ms: {response}, feed_ms: {feed}}}
  bars: {{participation: "0.01"}}
strategies:
  - {{name: a, class: "every_order:EveryOrder", symbols: ["usdm:BTCUSDT"], params: {{seed: {seed}, share: 0.7}}}}
  - {{name: b, class: "every_order:EveryOrder", symbols: ["usdm:BTCUSDT"], params: {{seed: {seed}, share: 0.1}}}}
  - {{name: c, class: "every_order:EveryOrder", symbols: ["bybit:BTCUSDT"], params: {{seed: {seed}, share: 0.7}}}}
  - {{name: d, class: "every_order:EveryOrder", symbols: ["spot:BTCUSDT"], params: {{seed: {seed}, share: 0.7,
     short: false}}}}
"""


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_what_is_kept_here_for_a_venue_is_kept_alike(data: st.DataObject) -> None:
    """Three venues with orders of every kind, over midnight: whatever the latencies."""
    millis = st.sampled_from([0, 1, 125, 30_000, 90_000])
    choices = {"entry": millis, "response": millis, "feed": st.sampled_from([0, 40, 60_000])}
    choices |= {"seed": st.integers(0, 10_000), "kind": st.sampled_from(["constant", "lognormal"])}
    text = EVERY_ORDER.format(**{name: data.draw(choice, label=name) for name, choice in choices.items()})
    plan = read_plan("every.yaml", text=text)
    runs = [await record(plan, mode) for mode in ("backtest", "paper")]
    assert compare(*runs).equal, compare(*runs).text()
    assert sum(isinstance(event, OrderFilled) for event in runs[0].events) > 20


async def test_requests_under_way_at_the_end_of_the_tape_are_answered_alike() -> None:
    """The last bar's order arrives after the last bar: accepted, not filled, in both."""

    class AtTheEnd:
        warmup = 1

        def generate_signals(self, market_data: Any, position_state: Any) -> Any:
            return {"side": "buy", "qty": "0.01"} if market_data.bar.ts_venue == end else None

    plan = quickstart()
    end = 1_704_240_000_000_000_000  # 2024-01-03, two days after the synthetic market begins
    runs = [await record(plan, mode, strategies={"ema": AtTheEnd()}) for mode in ("backtest", "paper")]
    assert compare(*runs).equal, compare(*runs).text()
    assert [type(event).__name__ for event in runs[1].events] == ["OrderSubmitted", "OrderAccepted"]
    assert runs[1].events[-1].ts == end + 250_000_000


SLOW_ANSWERS = {"kind": "constant", "entry": 0, "response": 90_000, "feed": 0}
"""Answers are under way when the tape ends, so that time goes on after it."""


async def test_after_the_end_of_the_tape_no_order_expires() -> None:
    """Good till a minute after the last bar: the venue does nothing any more, the order stays open."""

    class GoodTillAfterTheEnd:
        warmup = 1

        def generate_signals(self, market_data: Any, position_state: Any) -> Any:
            at = market_data.bar.ts_venue
            if at not in (end - 1200 * SECOND, end):
                return None
            wish = {"symbol": "perp:BTCUSDT", "side": "buy", "qty": "0.01", "price": "50000"}
            return wish | ({} if at == end else {"tif": "gtd", "good_till": end + 60 * SECOND})

    end = 1_704_067_200 * SECOND + 119 * 60 * SECOND  # 2024-01-01T01:59
    plan = read_plan(
        "gtd.yaml",
        text=SYNTHETIC.format(seed=1, perp="binance-usdm", call="each", together_ms=0, **SLOW_ANSWERS),
    )
    given = {"all": Silent(), "one": GoodTillAfterTheEnd()}
    runs = [await record(plan, mode, strategies=given) for mode in ("backtest", "paper")]
    assert compare(*runs).equal, compare(*runs).text()
    assert [type(event).__name__ for event in runs[0].events] == ["OrderSubmitted", "OrderAccepted"] * 2


async def test_after_the_end_of_the_tape_no_strategy_is_called() -> None:
    """100 ms after the last bar a strategy that waits for another symbol's bar would be called without it."""

    class BuyOnEveryCall:
        warmup = 1

        def generate_signals(self, market_data: Any, position_state: Any) -> Any:
            return {"symbol": "perp:BTCUSDT", "side": "buy", "qty": "0.01", "price": "50000"}

    plan = read_plan(
        "together.yaml",
        text=SYNTHETIC.format(seed=1, perp="binance-usdm", call="together", together_ms=100, **SLOW_ANSWERS),
    )
    given = {"all": BuyOnEveryCall(), "one": Silent()}
    runs = [await record(plan, mode, strategies=given) for mode in ("backtest", "paper")]
    assert compare(*runs).equal, compare(*runs).text()
    assert runs[0].events[-1].ts > 1_704_067_200 * SECOND + 119 * 60 * SECOND


async def test_a_watched_tape_gives_the_same_events() -> None:
    plan = quickstart()
    backtest = await record(plan, "backtest")
    watched = await record(plan, "paper", time_source=ScaledTime(1e12))
    assert compare(backtest, watched).equal, compare(backtest, watched).text()


# --- different ------------------------------------------------------------------------------------------------------


async def test_another_latency_is_found_and_named() -> None:
    """Paper waits one millisecond more for an answer: the first event that shows it is the first acceptance."""
    plan = quickstart()
    # The ids are counted under the config's digest: kept, so that the latency alone differs.
    slower = msgspec.structs.replace(quickstart("simulation.latency.response_ms=126"), digest=plan.digest)
    backtest = await record(plan, "backtest")
    result = compare(backtest, await record(slower, "paper"))
    first = next(at for at, event in enumerate(backtest.events) if type(event) is OrderAccepted)
    assert not result.equal
    assert result.difference is not None
    assert (result.difference.index, result.difference.fields) == (first, ["ts"])
    one, other = result.difference.backtest, result.difference.paper
    assert one is not None and other is not None
    assert other.ts - one.ts == 1_000_000
    text = result.text()
    assert f"first difference: event {first}" in text
    assert f"differs in ts: {one.ts} in the backtest, {other.ts} in paper" in text
    assert result.backtest_sha256 != result.paper_sha256


def recorded(mode: str, *events: Any, sha: str = "a") -> Recorded:
    return Recorded(mode, list(events), sha)


@pytest.mark.parametrize(
    ("backtest", "paper", "difference", "fields"),
    [
        # events of the backtest, of paper; the first difference and its fields
        ([], [], None, []),
        ([denied(1)], [denied(1)], None, []),
        ([denied(1), denied(2)], [denied(1), denied(3)], Difference(1, denied(2), denied(3)), ["ts"]),
        ([denied(1)], [denied(1, "y")], Difference(0, denied(1), denied(1, "y")), ["reason"]),
        ([denied(1), denied(2)], [denied(1)], Difference(1, denied(2), None), []),
        ([], [denied(1)], Difference(0, None, denied(1)), []),
    ],
)
def test_the_first_difference_is_named(
    backtest: list[Any], paper: list[Any], difference: Difference | None, fields: list[str]
) -> None:
    result = compare(recorded("backtest", *backtest), recorded("paper", *paper))
    assert result.difference == difference
    assert result.equal is (difference is None)
    assert difference is None or difference.fields == fields


def test_an_event_of_another_type_is_a_difference_told_by_both_events() -> None:
    canceled = OrderCanceled(1_000_000_000, None, "v", "X", "net", "s", "main", "o-1", "x")
    text = compare(recorded("backtest", canceled), recorded("paper")).text()
    assert "1970-01-01T00:00:01.000000000Z  OrderCanceled(" in text
    assert "nothing: its events end here" in text


def test_numbers_written_differently_are_different_although_they_compare_equal() -> None:
    """Decimal('1.0') equals Decimal('1.00'), their bytes in the journal do not."""
    assert Decimal("1.0") == Decimal("1.00")
    result = compare(recorded("backtest", denied(1), sha="a"), recorded("paper", denied(1), sha="b"))
    assert (result.difference, result.equal) == (None, False)
    assert "digests differ" in result.text()


# --- the verb -------------------------------------------------------------------------------------------------------


def test_the_verb_says_equal_with_exit_code_0() -> None:
    code, text = run_parity(QUICKSTART, ("data[0].source.days=1",))
    assert (code, text.split(",")[0]) == (0, "parity: equal")


def test_the_verb_says_different_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    async def planted(plan: Plan) -> ParityResult:
        return compare(recorded("backtest", denied(1)), recorded("paper", denied(2), sha="b"))

    monkeypatch.setattr("core.parity.parity", planted)
    code, text = run_parity(QUICKSTART)
    assert (code, text.splitlines()[0]) == (1, "parity: different (1 events in the backtest, 1 in paper)")
