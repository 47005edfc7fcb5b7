"""Metrics against empyrical as an oracle, and against tables worked out by hand."""

from __future__ import annotations

import math
import time
from decimal import Decimal
from typing import Any

import empyrical
import numpy as np
import pytest

from core.errors import InvariantBroken
from core.metrics.catalogue import METRICS
from core.metrics.equity import EquityCurve
from core.metrics.record import RunRecord, Undefined
from core.orders import Order, OrderStatus, OrderTerms
from core.trade import Trade
from test_trade_log import INSTRUMENTS, fill, funding, log_of

D = Decimal
HOUR = 3_600_000_000_000
DAY = 24 * HOUR
START = 1_746_316_800_000_000_000
"""2025-05-04T00:00:00Z, from the calendar: 20,212 days after 1970-01-01."""


def curve(rows: list[tuple[int, Any]], exposure: list[int] | None = None, scale: int = 2) -> EquityCurve:
    """Rows of (ns after START, equity); mantissas at `scale` decimals."""
    ts = np.array([START + at for at, _ in rows], dtype=np.int64)
    mantissas = [int(D(str(value)).scaleb(scale)) for _, value in rows]
    equity = np.array(mantissas, dtype=np.int64 if max(map(abs, mantissas), default=0) < 2**62 else object)
    flat = np.zeros(len(rows), dtype=np.int64)
    gross = flat if exposure is None else np.array(exposure, dtype=np.int64) * 10**scale
    return EquityCurve(ts=ts, scale=scale, equity=equity, cash=equity, unrealized=flat, exposure=gross)


def record(rows: list[tuple[int, Any]], *, initial: str = "100", end: int | None = None, **parts: Any) -> RunRecord:
    exposure = parts.pop("exposure", None)
    last = rows[-1][0] if rows else DAY
    return RunRecord(
        start=START, end=START + (last if end is None else end), initial_equity=D(initial), currency="USDT",
        curve=curve(rows, exposure), instruments=INSTRUMENTS, **parts,
    )  # fmt: skip


def metric(name: str, run: RunRecord) -> Any:
    return next(each for each in METRICS if each.name == name).of(run)


def order(
    kind: str, qty: str, *, price: str | None = None, filled: str = "0", value: str = "0",
    status: OrderStatus = OrderStatus.ACCEPTED, symbol: str = "X", trigger: str | None = None,
) -> Order:  # fmt: skip
    terms = OrderTerms(
        id="o", venue="v", symbol=symbol, position_side="net", strategy="s", session="main", side="buy", type=kind,
        qty=D(qty), price=None if price is None else D(price), trigger_price=None if trigger is None else D(trigger),
    )  # fmt: skip
    made = Order.of(terms, 0)
    made.status, made.filled, made.value = status, D(filled), D(value)
    return made


# --- oracle -----------------------------------------------------------------------------------------------------------


def _daily_curves() -> list[list[float]]:
    random = np.random.default_rng(20250504)
    made = [list(np.round(10_000 * np.exp(np.cumsum(random.normal(0.0005, 0.03, n))), 2)) for n in (2, 3, 30, 400)]
    made += [list(np.round(10_000 * np.exp(np.cumsum(random.standard_t(3, 90) * 0.02)), 2))]
    return [*made, [9_000.0, 8_000.0, 12_000.0], [10_100.0, 10_050.0, 10_050.0, 11_000.0]]


@pytest.mark.parametrize("closes", _daily_curves(), ids=lambda closes: f"{len(closes)} days")
def test_ratios_of_daily_rows_equal_empyrical(closes: list[float]) -> None:
    """One row per day: returns, volatility, Sharpe, Sortino, drawdown, CAGR and Calmar to 1e-9."""
    run = record([(n * DAY + 1, close) for n, close in enumerate(closes)], initial="10000")
    returns = np.diff([10_000.0, *closes]) / np.array([10_000.0, *closes[:-1]])
    np.testing.assert_allclose(run.daily.values, returns, rtol=0, atol=1e-12)
    expected = {
        "total_return": empyrical.cum_returns_final(returns),
        "cagr": empyrical.annual_return(returns, annualization=365),
        "volatility": empyrical.annual_volatility(returns, annualization=365),
        "sharpe": empyrical.sharpe_ratio(returns, annualization=365),
        "sortino": empyrical.sortino_ratio(returns, annualization=365),
        "max_drawdown": empyrical.max_drawdown(returns),
        "calmar": empyrical.calmar_ratio(returns, annualization=365),
    }
    found = {name: metric(name, run) for name in expected}
    if not (returns < 0).any():
        assert isinstance(found.pop("sortino"), Undefined)
    if expected["max_drawdown"] == 0:
        assert isinstance(found.pop("calmar"), Undefined)
    assert found == {name: pytest.approx(expected[name], rel=1e-9, abs=1e-9) for name in found}


def test_the_drawdown_of_many_rows_a_day_equals_empyrical_on_those_rows() -> None:
    random = np.random.default_rng(7)
    equity = np.round(10_000 * np.exp(np.cumsum(random.normal(0, 0.002, 5_000))), 2)
    run = record([(n * 60_000_000_000, value) for n, value in enumerate(equity)], initial="10000")
    returns = np.diff([10_000.0, *equity]) / np.array([10_000.0, *equity[:-1]])
    assert metric("max_drawdown", run) == pytest.approx(empyrical.max_drawdown(returns), abs=1e-9)


# --- returns by hand --------------------------------------------------------------------------------------------------


def test_two_days_by_hand() -> None:
    """100 -> 110 -> 99: returns 0.1 and -0.1, mean 0, std sqrt(0.02), downside sqrt(0.005), growth 0.99^182.5."""
    run = record([(HOUR, 110), (DAY + HOUR, 99)])
    assert run.daily.values.tolist() == pytest.approx([0.1, -0.1])
    assert metric("volatility", run) == pytest.approx(math.sqrt(0.02) * math.sqrt(365))
    assert metric("sharpe", run) == pytest.approx(0, abs=1e-12)
    assert metric("cagr", run) == pytest.approx(0.99**182.5 - 1)
    assert metric("calmar", run) == pytest.approx((0.99**182.5 - 1) / 0.1)


def test_a_day_takes_its_last_row_and_a_day_without_rows_carries_the_equity() -> None:
    """Rows of day 0 (ending at 120) and day 3 (at 60), among them two of one nanosecond: 0.2, 0, 0, -0.5."""
    run = record([(0, 90), (5, 110), (5, 120), (3 * DAY, 60)])
    assert run.daily.values.tolist() == pytest.approx([0.2, 0.0, 0.0, -0.5])


def test_a_row_at_midnight_belongs_to_the_day_that_begins() -> None:
    run = record([(DAY - 1, 110), (DAY, 121)])
    assert run.daily.values.tolist() == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("name", ["cagr", "volatility", "sharpe", "sortino", "calmar"])
@pytest.mark.parametrize("rows", [[], [(HOUR, 110)], [(HOUR, 110), (2 * HOUR, 90)]], ids=["none", "one", "one day"])
def test_a_ratio_of_fewer_than_two_daily_returns_is_undefined(name: str, rows: list[tuple[int, int]]) -> None:
    value = metric(name, record(rows))
    assert isinstance(value, Undefined) and "two are needed" in value.reason


def test_constant_returns_have_volatility_zero_and_no_sharpe() -> None:
    run = record([(n * DAY, 100 * 2**n) for n in range(1, 6)], initial="100")
    assert run.daily.values.tolist() == [1.0] * 5
    assert metric("volatility", run) == 0.0
    assert metric("sharpe", run) == Undefined("the daily returns do not vary")


def test_nothing_is_a_return_after_the_equity_was_gone() -> None:
    """-5 at the end of the first day, 2025-05-04: ratios stop, the total return of 50 / 100 does not."""
    run = record([(HOUR, -5), (DAY, 20), (2 * DAY, 50)])
    assert metric("sharpe", run) == Undefined("equity was zero or negative on 2025-05-04 (UTC)")
    assert metric("calmar", run) == metric("cagr", run) == metric("sharpe", run)
    assert metric("total_return", run) == -0.5
    assert metric("max_drawdown", run) == pytest.approx(-1.05)


def test_a_last_day_below_zero_still_has_a_return() -> None:
    """100 -> 90 -> -9: -0.1 and -1.1; only growth has no root."""
    run = record([(HOUR, 90), (DAY, -9)])
    assert run.daily.values.tolist() == pytest.approx([-0.1, -1.1])
    assert metric("cagr", run) == Undefined("the final equity is not positive")
    assert metric("sharpe", run) == pytest.approx(-0.6 / math.sqrt(0.5) * math.sqrt(365))


def test_growth_beyond_floats_is_undefined_and_not_infinite() -> None:
    run = record([(HOUR, 10_000), (DAY, 100_000_000)])
    assert metric("cagr", run) == Undefined("growth is too large to be annualised")


def test_integers_beyond_64_bits_are_as_good() -> None:
    """1e17 at 2 decimals does not fit int64; doubling it is a return of 1."""
    run = record([(HOUR, 10**17), (DAY, 2 * 10**17)], initial=str(10**17))
    assert run.curve.equity.dtype == object
    assert metric("total_return", run) == 1.0
    assert run.final_equity == D(2 * 10**17)


# --- drawdown and exposure by hand ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "end_h", "depth", "hours"),
    [
        ([], 5, 0.0, 0),
        ([(1, 100), (2, 100), (3, 110)], 4, 0.0, 0),  # a plateau is no drawdown
        ([(1, 90), (2, 100)], 4, -0.1, 2),  # from the initial equity at hour 0
        ([(1, 90), (2, 95)], 7, -0.1, 7),  # never back: until the end of the run
        ([(1, 120), (2, 60), (3, 120), (4, 119), (9, 120)], 9, -0.5, 6),  # the deepest is not the longest
        ([(1, 120), (1, 90), (1, 121)], 2, -0.25, 0),  # within one nanosecond
    ],
)
def test_the_deepest_and_the_longest_drawdown_are_those_of_the_rows(
    rows: list[tuple[int, int]], end_h: int, depth: float, hours: int
) -> None:
    run = record([(at * HOUR, value) for at, value in rows], end=end_h * HOUR)
    assert metric("max_drawdown", run) == pytest.approx(depth)
    assert metric("max_drawdown_duration_s", run) == hours * 3600


def test_exposure_is_the_share_of_time_and_its_mean_is_weighted_by_time() -> None:
    """10 h: 200 for 1 h, 50 for 4 h, flat otherwise: 0.5 of the time, mean (200 + 200) / 10 = 40, at most 200."""
    rows = [(HOUR, 100), (2 * HOUR, 100), (2 * HOUR, 100), (6 * HOUR, 100)]
    run = record(rows, end=10 * HOUR, exposure=[200, 999, 50, 0])
    assert metric("exposure", run) == 0.5
    assert metric("average_gross_exposure", run) == D("40.00000000")
    assert metric("max_gross_exposure", run) == D(999)


def test_rows_of_many_chunks_are_measured_as_one_curve() -> None:
    """Two whole chunks of a random walk, against the definitions read aloud row by row."""
    random = np.random.default_rng(11)
    steps = random.normal(0, 3, 2 * 65_536)
    steps[50_000:90_000] -= 0.05  # a long way down, over the border of the two, and back
    steps[90_000:] += 0.1
    equity = np.round(10_000 + np.cumsum(steps)).astype(int).tolist()
    times = np.cumsum(random.integers(1, 5, len(equity))).tolist()
    exposure = random.integers(0, 3, len(equity)).tolist()
    end = times[-1] + 7
    run = record(list(zip(times, equity, strict=True)), initial="10000", exposure=exposure, end=end)
    peak, left_at, below, deepest, longest, held, gross = 10_000, 0, False, 0.0, 0, 0, 0
    for at, following, value, notional in zip(times, [*times[1:], end], equity, exposure, strict=True):
        if value >= peak:
            # Until it is back at the peak; a row right behind a peak is no way back from anywhere.
            longest = max(longest, at - left_at) if below else longest
            peak, left_at, below = value, at, False
        else:
            deepest, below = min(deepest, value / peak - 1), True
        held += (following - at) * (notional != 0)
        gross += (following - at) * notional
    longest = max(longest, end - left_at) if below else longest
    assert metric("max_drawdown", run) == pytest.approx(deepest, rel=1e-12)
    assert metric("max_drawdown_duration_s", run) == longest / 1e9
    assert metric("exposure", run) == held / end
    assert metric("average_gross_exposure", run) == D(f"{gross / end:.8f}")


@pytest.mark.parametrize("name", ["exposure", "average_gross_exposure"])
def test_a_run_without_duration_has_no_share_of_time(name: str) -> None:
    assert metric(name, record([], end=0)) == Undefined("the run has no duration")


def test_buy_and_hold_is_the_mean_change_of_the_symbols_prices() -> None:
    """+50 % and -10 % held in equal parts make +20 %; without a first price there is nothing to compare with."""
    run = record([(DAY, 100)], market_changes={("v", "X"): 0.5, ("v", "Y"): -0.1})
    assert metric("buy_and_hold", run) == pytest.approx(0.2, rel=1e-12)
    assert isinstance(metric("buy_and_hold", record([(DAY, 100)])), Undefined)


@pytest.mark.parametrize("name", ["total_return", "max_drawdown"])
def test_nothing_is_a_share_of_an_account_that_began_with_nothing(name: str) -> None:
    assert metric(name, record([(HOUR, 5)], initial="0")) == Undefined("the initial equity is not positive")


def test_a_run_that_only_rose_has_no_calmar() -> None:
    run = record([(DAY, 101), (2 * DAY, 103), (3 * DAY, 106)])
    assert metric("calmar", run) == Undefined("the equity never fell below its peak")


def test_an_account_that_ends_with_nothing_grows_at_no_rate() -> None:
    rows = [(DAY, 50), (2 * DAY, 50), (3 * DAY, 0)]
    assert metric("cagr", record(rows)) == Undefined("the final equity is not positive")
    assert metric("total_return", record(rows)) == -1.0


# --- trades by hand ---------------------------------------------------------------------------------------------------


def _trades(*pnls: str) -> list[Trade]:
    """Round trips of 1 X bought at 1000 that earn exactly these."""
    fills = [f for pnl in pnls for f in (fill("buy", "1", "1000"), fill("sell", "1", str(1000 + D(pnl))))]
    return log_of(*fills).closed


def test_trade_statistics_by_hand() -> None:
    """+30, -10, 0, -5: one winner of four, 30 / 15 = 2, mean 15 / 4 = 3.75."""
    run = record([], trades=_trades("30", "-10", "0", "-5"))
    assert (metric("trade_count", run), metric("win_rate", run)) == (4, 0.25)
    assert (metric("profit_factor", run), metric("expectancy", run)) == (2.0, D("3.75"))


def test_open_trades_are_counted_apart() -> None:
    log = log_of(fill("buy", "1", "100"), fill("sell", "1", "101"), fill("buy", "1", "100"))
    run = record([], trades=[*log.closed, *log.finish(0)])
    assert (metric("trade_count", run), metric("open_trade_count", run), metric("win_rate", run)) == (1, 1, 1.0)


def test_without_losses_or_trades_there_is_a_reason_and_no_infinity() -> None:
    assert metric("profit_factor", record([], trades=_trades("1"))) == Undefined("no closed trade lost")
    for name in ("win_rate", "profit_factor", "expectancy"):
        assert metric(name, record([])) == Undefined("no trade was closed")


# --- execution by hand ------------------------------------------------------------------------------------------------


def test_fills_and_funding_sum_up_to_the_costs_told() -> None:
    """Bought 2 at 100.5 for a reference of 100 (cost 1), sold 1 at 99 (cost 1): 2; turnover 201 + 99; fees 0.3."""
    fills = [fill("buy", "2", "100.5", fee="0.4"), fill("sell", "1", "99", fee="-0.1")]
    fills = [_referred(each, "100") for each in fills]
    events = [funding("-1.5"), funding("0.25")]
    run = record([], fills=fills, account_events=events)
    assert (metric("turnover", run), metric("slippage", run)) == (D("300.0"), D("2.0"))
    assert (metric("fees", run), metric("funding", run)) == (D("0.3"), D("-1.25"))


def test_the_maker_ratio_is_by_notional() -> None:
    fills = [_referred(fill("buy", "3", "100"), "100", liquidity="maker"), fill("sell", "1", "100")]
    assert metric("maker_ratio", record([], fills=fills)) == 0.75
    assert metric("maker_ratio", record([])) == Undefined("nothing was filled")


def _referred(event: Any, reference: str, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(event, reference=D(reference), **changes)


@pytest.mark.parametrize(
    ("orders", "ratio"),
    [
        ([order("limit", "2", price="100")], 0.0),
        ([order("market", "2")], 0.0),
        ([order("limit", "2", price="100", filled="1", value="100"), order("limit", "2", price="50")], 1 / 3),
        ([order("limit", "1", price="9", status=OrderStatus.DENIED), order("market", "1", filled="1", value="8")], 1.0),
        ([order("market", "1", filled="1", value="8"), order("market", "3")], 0.25),  # priced at the mean fill of 8
        ([order("market", "1", filled="1", value="8"), order("stop_market", "1", trigger="24")], 0.25),
        ([order("market", "1", filled="1", value="8"), order("limit", "1", price="8", status=OrderStatus.REJECTED)],
         0.5),
    ],
)  # fmt: skip
def test_the_fill_ratio_by_hand(orders: list[Order], ratio: float) -> None:
    assert metric("fill_ratio", record([], orders=orders)) == pytest.approx(ratio)


def test_the_fill_ratio_names_an_order_that_has_no_price() -> None:
    orders = [order("market", "1", filled="1", value="8"), order("market", "1", symbol="Y")]
    assert metric("fill_ratio", record([], orders=orders)) == Undefined("order o has no price, and Y was never filled")
    assert metric("fill_ratio", record([])) == Undefined("no order was submitted")


def test_a_fill_ratio_of_orders_at_price_zero_is_undefined() -> None:
    orders = [order("limit", "1", price="0", filled="1", value="0")]
    assert metric("fill_ratio", record([], orders=orders)) == Undefined("every order was priced at 0")


def test_latency_percentiles_are_nearest_rank() -> None:
    """1 to 10 ms: the median by nearest rank is the 5th, p90 the 9th, p99 the 10th."""
    run = record([], latencies_ns=[n * 1_000_000 for n in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)])
    found = [metric(f"latency_{which}_ms", run) for which in ("p50", "p90", "p99", "max")]
    assert found == [5.0, 9.0, 10.0, 10.0]
    assert metric("latency_p50_ms", record([])) == Undefined("no order was accepted")


# --- the whole --------------------------------------------------------------------------------------------------------


def test_a_curve_with_time_running_backwards_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="row 1 at"):
        curve([(5, 100), (4, 100)])


def test_every_metric_says_its_unit() -> None:
    """The docstring is the documentation."""
    assert [each.name for each in METRICS if "Unit:" not in (type(each).__doc__ or "")] == []


def test_a_million_rows_take_less_than_a_second_of_cpu() -> None:
    """Measured at 0.15 s; the bound leaves room for a busy machine and still catches a loop over rows."""
    n = 1_000_000
    equity = np.random.default_rng(1).integers(900_000, 1_100_000, n)
    ts = START + np.arange(n, dtype=np.int64) * 60_000_000_000
    rows = EquityCurve(ts=ts, scale=2, equity=equity, cash=equity, unrealized=equity, exposure=equity)
    run = RunRecord(start=START, end=int(ts[-1]), initial_equity=D(10_000), currency="USDT", curve=rows,
                    instruments=INSTRUMENTS)  # fmt: skip
    began = time.process_time()
    values = [each.of(run) for each in METRICS]
    assert time.process_time() - began < 1.0
    assert len(values) == len(METRICS)
