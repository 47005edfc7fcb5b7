"""Equity over time against hand tables: a row per fill and per full interval, at our last known price."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

import numpy as np

from core.equity_recorder import EquityRecorder
from core.events import Event, OrderFilled
from core.instruments import Instrument
from core.portfolio import Portfolio
from core.tape import Tape
from tiny_run import IDEAL, MINUTE, START, Finished, Row, Script, flat, plan_of, run_of

D = Decimal
EXACT = Context(prec=80)
ROWS = flat("100", "110", "120", "105")
BUY_TWO = {"side": "buy", "qty": 2}
COLUMNS = ("equity", "cash", "unrealized", "exposure")


def rows_of(done: Finished, end_ns: int = 4 * MINUTE) -> list[tuple[Any, ...]]:
    """(minutes since the start, equity, exposure) per row."""
    curve = done.run.recorder.finish(START + end_ns)
    unit = D(10) ** -curve.scale
    return [
        ((ts - START) / MINUTE, int(equity) * unit, int(exposure) * unit)
        for ts, equity, exposure in zip(curve.ts.tolist(), curve.equity, curve.exposure, strict=True)
    ]


def table(*rows: tuple[float, str, str]) -> list[tuple[Any, ...]]:
    return [(at, D(equity), D(exposure)) for at, equity, exposure in rows]


BY_MINUTE = table(
    # 2 bought at 110 at 1:00, when the last price we know is bar 0's close: 10000 + 2 x (100 - 110).
    (0, "10000", "0"), (1, "9980", "200"), (1, "9980", "200"), (2, "10000", "220"), (3, "10020", "240"),
    (4, "9990", "210"),
)  # fmt: skip


async def test_a_row_per_fill_and_per_minute_at_the_last_known_price() -> None:
    assert rows_of(await run_of(plan_of({"X": ROWS}), s=Script(BUY_TWO))) == BY_MINUTE


async def test_without_a_position_every_interval_has_a_row_and_equity_stands_still() -> None:
    done = await run_of(plan_of({"X": ROWS}), s=Script())
    assert rows_of(done) == table(*((n, "10000", "0") for n in range(5)))


async def test_a_longer_interval_has_fewer_rows() -> None:
    done = await run_of(plan_of({"X": ROWS}, more="report: {equity_interval: 2m}\n"), s=Script(BUY_TWO))
    assert rows_of(done) == [BY_MINUTE[0], BY_MINUTE[1], BY_MINUTE[3], BY_MINUTE[5]]


async def test_the_last_row_is_at_the_end_even_inside_an_interval() -> None:
    done = await run_of(plan_of({"X": ROWS}, more="report: {equity_interval: 3m}\n"), s=Script(BUY_TWO))
    assert [at for at, _, _ in rows_of(done)] == [0, 1, 3, 4]


async def test_a_gap_keeps_the_last_known_price_and_its_rows() -> None:
    """Bar 2 is missing: at 3:00 we still know 110."""
    rows: list[Row] = [*ROWS[:2], None, ROWS[3]]
    done = await run_of(plan_of({"X": rows}), s=Script(BUY_TWO))
    assert rows_of(done) == [*BY_MINUTE[:4], (3, D(10000), D(220)), BY_MINUTE[5]]


async def test_a_price_counts_from_when_we_learn_it() -> None:
    """Market data takes 15 s: at 2:00 the last close we know is bar 0's, 100."""
    slow = IDEAL.replace("latency: {kind: none}", "latency: {kind: constant, feed_ms: 15000}")
    done = await run_of(plan_of({"X": ROWS}, simulation=slow), s=Script(BUY_TWO))
    assert rows_of(done, 4 * MINUTE + MINUTE // 4) == table(
        (0, "10000", "0"), (1, "10000", "0"), (1.25, "9980", "200"), (2, "9980", "200"), (3, "10000", "220"),
        (4, "10020", "240"), (4.25, "9990", "210"),
    )  # fmt: skip


async def test_several_symbols_add_up() -> None:
    """Long 2 X as above, short 1 Y at 50 (its next open), which goes to 40, 45, 60."""
    y = flat("55", "50", "40", "60")
    answer = [{"symbol": "X", **BUY_TWO}, {"symbol": "Y", "side": "sell", "qty": 1}]
    done = await run_of(plan_of({"X": ROWS, "Y": y}), s=Script(answer))
    # At 1:00 Y's last known price is 55: 50 - 55 = -5. Then 0, +10, -10.
    assert rows_of(done) == table(
        (0, "10000", "0"), (1, "9980", "200"), (1, "9975", "255"), (1, "9975", "255"), (2, "10000", "270"),
        (3, "10030", "280"), (4, "9980", "270"),
    )  # fmt: skip


async def test_closing_realizes_what_was_open_and_fees_leave_the_cash() -> None:
    """2 bought at 110 (fee 0.22) at 1:00, sold at 120 (fee 0.24) at 2:00: cash 10019.54 and no exposure from there."""
    simulation = IDEAL.replace("taker: '0'", "taker: '0.001'")
    done = await run_of(plan_of({"X": ROWS}, simulation=simulation), s=Script(BUY_TWO, {"close": True}))
    rows = rows_of(done)
    assert rows[:2] == table((0, "10000", "0"), (1, "9979.78", "200"))
    assert rows[3:] == table(*((n, "10019.54", "0") for n in (2, 2, 3, 4)))


async def test_a_spot_position_is_worth_its_quantity_at_the_price() -> None:
    """2 bought at 110 with 0.1% in base: 1.998 held; at 2:00 worth 219.78."""
    simulation = IDEAL.replace("taker: '0'", "taker: '0.001'")
    plan = plan_of({"X": ROWS}, venue="binance-spot", leverage=None, simulation=simulation)
    done = await run_of(plan, s=Script(BUY_TWO))
    assert rows_of(done)[3] == (2, D("9780") + D("219.78"), D("219.78"))


async def test_the_curve_can_be_asked_for_twice() -> None:
    done = await run_of(plan_of({"X": ROWS}), s=Script(BUY_TWO))
    assert rows_of(done) == rows_of(done) == BY_MINUTE


# --- numbers beyond int64 -------------------------------------------------------------------------------------------

FINE = Instrument(venue="v", symbol="X", tick=D("1e-8"), step=D("1e-8"), base="XB", quote="USDT")


def curve_of(balance: str, fills: Sequence[tuple[Any, str, str]], last: float) -> Any:
    """The curve of a portfolio on the finest grid after these fills, and one bar that tells the price."""
    told: list[Event] = []
    portfolio = Portfolio({("v", "X"): FINE}, {("v", "USDT"): D(balance)}, told.append)
    closes = np.array([START + MINUTE])
    price = np.array([round(last * 10**8)])
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), price) | {"ts_venue": closes, "ts": closes}
    tape = Tape(kind="bars", venue="v", symbol="X", columns=columns, price_scale=8, size_scale=8, interval_ns=MINUTE,
                source="hand")  # fmt: skip
    recorder = EquityRecorder(
        portfolio, {("v", "X"): FINE}, {("v", "X"): tape}, {}, currency="USDT", interval_ns=MINUTE, start=START
    )
    for side, qty, price in fills:
        one = OrderFilled(START, START, "v", "X", "net", "s", "main", "o", "f", side, D(price), D(qty), "taker", "bar",
                          D(0), "USDT", D(price), D(0), "t", 0, START)  # fmt: skip
        portfolio.on_fill(one)
        recorder.on_change(one)
    return recorder.finish(START + MINUTE)


def test_huge_values_are_python_ints_and_exact() -> None:
    """A million at ten million is 1e13, at 16 decimals 1e29: beyond int64, to the last digit."""
    balance, qty, price = "999999999999.00000001", "1000000.00000001", "10000000.00000001"
    curve = curve_of(balance, [("buy", qty, price)], 10000001.5)
    value = EXACT.multiply(D(qty), D("10000001.5"))
    cost = EXACT.multiply(D(qty), D(price))
    equity = EXACT.add(D(balance), EXACT.subtract(value, cost))
    assert curve.equity.dtype == object
    assert D(int(curve.equity[-1])) == EXACT.scaleb(equity, D(curve.scale))
    assert D(int(curve.exposure[-1])) == EXACT.scaleb(value, D(curve.scale))


def test_cash_is_exact_beyond_the_default_precision_of_decimal() -> None:
    """15 digits before and 16 after the point: one lot of the finest grid sold with 1e-16 of profit."""
    fills = [("buy", "0.00000001", "0.00000001"), ("sell", "0.00000001", "0.00000002")]
    curve = curve_of("999999999999999", fills, 1.0)
    assert int(curve.cash[-1]) == 999999999999999 * 10**16 + 1


def test_small_values_stay_int64() -> None:
    curve = curve_of("100", [("buy", "1", "5")], 6.0)
    assert curve.equity.dtype == np.int64 and int(curve.equity[-1]) == 101 * 10**curve.scale
