"""Round trips against numbers worked out by hand, and against the ledger's identity."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvariantBroken
from core.events import Bar, FundingPaid, OrderFilled, PositionLiquidated
from core.instruments import Instrument
from core.orders import Order, OrderTerms
from core.trade import Trade
from core.trade_log import TradeLog, TradeLogState

D = Decimal
MINUTE = 60_000_000_000
X = Instrument(venue="v", symbol="X", tick=D("0.1"), step=D("0.001"), base="XB", quote="USDT")
Y = Instrument(venue="v", symbol="Y", tick=D("0.1"), step=D("0.001"), base="YB", quote="USDT")
INSTRUMENTS = {("v", "X"): X, ("v", "Y"): Y, ("w", "X"): X}


def fill(
    side: str, qty: str, price: str, ts: int = 0, *, fee: str = "0", fee_asset: str = "USDT", rule: str = "walk",
    symbol: str = "X", strategy: str = "s", order_id: str = "o", venue: str = "v",
) -> OrderFilled:  # fmt: skip
    return OrderFilled(
        ts=ts, ts_venue=ts, venue=venue, symbol=symbol, position_side="net", strategy=strategy, session="main",
        order_id=order_id, fill_id="f", side=side, price=D(price), qty=D(qty), liquidity="taker", rule=rule,
        fee=D(fee), fee_asset=fee_asset, reference=D(price), leaves=D(0), cause_tape="", cause_row=0, cause_ts=ts,
    )  # fmt: skip


def bar(close_at: int, low: float, high: float, close: float, *, venue: str = "v", symbol: str = "X") -> Bar:
    return Bar(ts=close_at, ts_venue=close_at, venue=venue, symbol=symbol, interval_ns=MINUTE, open=close, high=high,
               low=low, close=close, volume=1.0)  # fmt: skip


def funding(amount: str, ts: int = 0, strategy: str = "s") -> FundingPaid:
    return FundingPaid(ts=ts, ts_venue=ts, venue="v", symbol="X", position_side="net", strategy=strategy,
                       session="main", amount=D(amount), rate=D("0.0001"), mark=D(100), qty=D(1))  # fmt: skip


def order(order_id: str, kind: str) -> Order:
    terms = OrderTerms(id=order_id, venue="v", symbol="X", position_side="net", strategy="s", session="main",
                       side="buy", type=kind, qty=D(1))  # fmt: skip
    return Order.of(terms, 0)


def log_of(*fills: OrderFilled) -> TradeLog:
    log = TradeLog(INSTRUMENTS)
    for one in fills:
        log.on_fill(one)
    return log


def test_a_long_round_trip_has_the_numbers_of_the_hand_calculation() -> None:
    """2 bought at 100 and sold at 110: gross 20, fees 0.1 + 0.11, pnl 19.79 on 200 spent, held 90 s."""
    log = log_of(fill("buy", "2", "100", 0, fee="0.1"), fill("sell", "2", "110", 90_000_000_000, fee="0.11"))
    expected = Trade(
        trade_id="t1",
        strategy="s",
        symbol="X",
        side="long",
        entry_ts=0,
        entry_price=D(100),
        exit_ts=90_000_000_000,
        exit_price=D(110),
        qty=D(2),
        gross_pnl=D(20),
        fees=D("0.21"),
        funding=D(0),
        pnl=D("19.79"),
        return_pct=pytest.approx(9.895),
        entry_order_type="",
        exit_order_type="",
        duration_s=90.0,
        mae=D(0),
        mfe=D(20),
        exit_reason="signal",
        venue="v",
    )
    assert log.closed == [expected]


def test_a_short_earns_when_the_price_falls() -> None:
    log = log_of(fill("sell", "2", "100"), fill("buy", "2", "97.5"))
    assert (log.closed[0].side, log.closed[0].gross_pnl) == ("short", D("5.0"))


def test_partial_exits_stay_in_one_trade_with_average_prices() -> None:
    """In 1@100 and 3@104 (average 103), out 1@105 and 3@101 (average 102): gross 408 - 412 = -4."""
    log = log_of(fill("buy", "1", "100"), fill("buy", "3", "104"), fill("sell", "1", "105"), fill("sell", "3", "101"))
    (trade,) = log.closed
    assert (trade.entry_price, trade.exit_price, trade.qty, trade.gross_pnl) == (D(103), D(102), D(4), D(-4))


def test_closing_a_third_moves_cost_quantized_half_even_and_the_last_lot_takes_the_rest() -> None:
    """Cost 100 over 3: 33.33333333, then 33.33333334 (66.66666667 / 2 half-even), then the rest 33.33333333."""
    log = log_of(fill("buy", "1", "40"), fill("buy", "2", "30"))
    gross = []
    for _ in range(3):
        log.on_fill(fill("sell", "1", "50"))
        gross.append(log.closed[0].gross_pnl if log.closed else log.finish(0)[0].gross_pnl)
    assert gross == [D("16.66666667"), D("33.33333333"), D(50)]


def test_a_flip_closes_one_trade_and_opens_the_next_with_the_fee_split_by_quantity() -> None:
    """Fee 0.1 on 3, one of which closes: 0.03333333 and 0.06666667."""
    log = log_of(fill("buy", "1", "100"), fill("sell", "3", "101", 7, fee="0.1"))
    (closed,), (opened,) = log.closed, log.finish(7)
    assert (closed.gross_pnl, closed.fees, closed.trade_id) == (D(1), D("0.03333333"), "t1")
    assert (opened.side, opened.qty, opened.fees, opened.trade_id) == ("short", D(2), D("0.06666667"), "t2")
    assert opened.entry_ts == 7


def test_an_open_trade_has_no_exit_and_says_end_of_run() -> None:
    """2 of 3 sold: what they realized counts, the rest is open; 60 s until the end."""
    log = log_of(fill("buy", "3", "100"), fill("sell", "2", "101"))
    (trade,) = log.finish(60_000_000_000)
    assert (trade.exit_ts, trade.exit_price, trade.exit_order_type) == (None, None, None)
    assert (trade.exit_reason, trade.gross_pnl, trade.duration_s, trade.is_open) == ("end_of_run", D(2), 60.0, True)
    assert log.closed == []


def test_books_are_apart_per_strategy_and_venue() -> None:
    """Strategy b and venue w do not close what strategy a holds on v."""
    log = log_of(
        fill("buy", "1", "100", strategy="a"), fill("sell", "1", "101", strategy="b"),
        fill("sell", "1", "101", strategy="a", venue="w"),
    )  # fmt: skip
    assert log.closed == []
    assert [trade.side for trade in log.finish(0)] == ["long", "short", "short"]


def test_a_fee_in_the_base_asset_is_valued_at_the_fill_price() -> None:
    log = log_of(fill("buy", "1", "250", fee="0.001", fee_asset="XB"))
    assert log.finish(0)[0].fees == D("0.25")


def test_a_fee_in_a_third_asset_is_kept_apart_by_name() -> None:
    log = log_of(*(fill(side, "1", "250", fee="0.002", fee_asset="BNB") for side in ("buy", "sell")))
    assert (log.closed[0].fees, log.other_fees) == (D(0), {"BNB": D("0.004")})


def test_funding_counts_in_the_trade_that_was_open() -> None:
    """gross 10, funding -0.25 + 0.05, no fees."""
    log = log_of(fill("buy", "1", "100"))
    log.on_funding(funding("-0.25"))
    log.on_funding(funding("0.05"))
    log.on_fill(fill("sell", "1", "110"))
    assert (log.closed[0].funding, log.closed[0].pnl) == (D("-0.20"), D("9.80"))


def test_funding_learned_after_the_exit_still_reaches_its_trade() -> None:
    log = log_of(fill("buy", "1", "100"), fill("sell", "1", "110"))
    log.on_funding(funding("-0.5"))
    assert (log.closed[0].funding, log.closed[0].pnl, log.closed[0].return_pct) == (D("-0.5"), D("9.5"), 9.5)


def test_funding_of_a_stranger_is_not_lost() -> None:
    log = log_of()
    log.on_funding(funding("-0.5", strategy="nobody"))
    assert log.unassigned_funding == D("-0.5")


def test_excursions_of_a_long_come_from_bars_that_opened_after_entry() -> None:
    """2 bought at 100 on a bar's open; low 97 and high 106 later: mae -6, mfe 12."""
    log = log_of(fill("buy", "2", "100", MINUTE))
    log.on_bar(bar(2 * MINUTE, 97.0, 101.0, 99.0))
    log.on_bar(bar(3 * MINUTE, 99.0, 106.0, 104.0))
    log.on_fill(fill("sell", "2", "103", 3 * MINUTE))
    assert (log.closed[0].mae, log.closed[0].mfe) == (D(-6), D(12))


def test_excursions_of_a_short_are_mirrored() -> None:
    log = log_of(fill("sell", "2", "100", MINUTE))
    log.on_bar(bar(2 * MINUTE, 97.0, 101.5, 99.0))
    (trade,) = log.finish(2 * MINUTE)
    assert (trade.mae, trade.mfe) == (D(-3), D(6))


def test_of_the_bar_in_which_the_entry_fell_only_the_close_counts() -> None:
    """The high 150 and low 50 may be older than the fill; the close of 99 is not."""
    log = log_of(fill("buy", "1", "100", MINUTE + 1))
    log.on_bar(bar(2 * MINUTE, 50.0, 150.0, 99.0))
    (trade,) = log.finish(2 * MINUTE)
    assert (trade.mae, trade.mfe) == (D(-1), D(0))


def test_excursions_are_of_the_quantity_held_at_the_time() -> None:
    """10 below entry with 1 is -10; after adding 1 at 90 (average 95) a price of 80 is 2 x -15 = -30."""
    log = log_of(fill("buy", "1", "100", 0))
    log.on_bar(bar(MINUTE, 90.0, 100.0, 90.0))
    assert log.finish(MINUTE)[0].mae == D(-10)
    log.on_fill(fill("buy", "1", "90", MINUTE))
    log.on_bar(bar(2 * MINUTE, 80.0, 90.0, 85.0))
    assert log.finish(MINUTE)[0].mae == D(-30)


def test_bars_of_another_venue_or_symbol_or_of_a_flat_time_change_nothing() -> None:
    log = log_of(fill("buy", "1", "100", 0))
    log.on_bar(bar(MINUTE, 1.0, 999.0, 2.0, venue="w"))
    log.on_bar(bar(MINUTE, 1.0, 999.0, 2.0, symbol="Y"))
    log.on_fill(fill("sell", "1", "100", MINUTE))
    log.on_bar(bar(2 * MINUTE, 1.0, 999.0, 2.0))
    assert (log.closed[0].mae, log.closed[0].mfe) == (D(0), D(0))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("limit", "signal"),
        ("market", "signal"),
        ("stop_market", "stop"),
        ("stop_limit", "stop"),
        ("trailing_stop_market", "stop"),
        ("take_profit_market", "target"),
        ("take_profit_limit", "target"),
    ],
)
def test_the_exit_reason_follows_the_exit_order_type(kind: str, reason: str) -> None:
    orders = {"in": order("in", "limit"), "out": order("out", kind)}
    log = TradeLog(INSTRUMENTS, orders.__getitem__)
    log.on_fill(fill("buy", "1", "100", order_id="in"))
    log.on_fill(fill("sell", "1", "100", order_id="out"))
    (trade,) = log.closed
    assert (trade.entry_order_type, trade.exit_order_type, trade.exit_reason) == ("limit", kind, reason)


def test_a_fill_by_the_liquidation_rule_says_so() -> None:
    log = log_of(fill("buy", "1", "100"), fill("sell", "1", "50", rule="liquidation"))
    assert (log.closed[0].exit_reason, log.closed[0].exit_order_type) == ("liquidation", "liquidation")


def test_a_liquidation_without_a_fill_closes_the_position_at_the_venues_price() -> None:
    """1 short from 100 closed at 130 with a fee of 2: gross -30, pnl -32."""
    log = log_of(fill("sell", "1", "100"))
    event = PositionLiquidated(side="sell", ts=5, ts_venue=5, venue="v", symbol="X", position_side="net", strategy="s",
                               session="main", price=D(130), qty=D(1), cause="adl", realized_pnl=D(-30),
                               fee=D(2))  # fmt: skip
    log.on_liquidation(event)
    assert (log.closed[0].gross_pnl, log.closed[0].pnl, log.closed[0].exit_reason) == (D(-30), D(-32), "adl")
    with pytest.raises(InvariantBroken, match="holds no position"):
        log.on_liquidation(event)


def test_a_fill_without_instrument_is_refused_by_name() -> None:
    with pytest.raises(InvariantBroken, match="fill of Z on v"):
        log_of(fill("buy", "1", "100", symbol="Z"))


STEP = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 4000).map(lambda n: str(D(n).scaleb(-3))),
    st.integers(1, 2_000_000).map(lambda n: str(D(n).scaleb(-2))),
    st.integers(-1_000_000, 1_000_000).map(lambda n: str(D(n).scaleb(-8))),
)


@given(st.lists(STEP, max_size=30))
def test_trades_conserve_cash_flow_and_fees_exactly(steps: list[tuple[str, str, str, str]]) -> None:
    """Sum of gross PnL = -(signed value of all fills) + cost still held; at flat that cost is 0. Fees sum exactly."""
    log = TradeLog(INSTRUMENTS)
    position = flow = fees = D(0)
    for side, qty, price, fee in steps:
        log.on_fill(fill(side, qty, price, fee=fee))
        position += D(qty) if side == "buy" else -D(qty)
        flow += D(qty) * D(price) * (-1 if side == "buy" else 1)
        fees += D(fee)
    if position:
        log.on_fill(fill("sell" if position > 0 else "buy", str(abs(position)), "123.45"))
        flow += position * D("123.45")
    assert sum((trade.gross_pnl for trade in log.closed), D(0)) == flow
    assert sum((trade.fees for trade in log.closed), D(0)) == fees
    assert log.finish(0) == []


SMALL = st.tuples(
    st.sampled_from(["buy", "sell"]), st.integers(1, 4), st.integers(50, 150), st.sampled_from([0, 1, 40, 900])
)
"""Side, steps, price, and millionths of a unit that a purchase pays as its fee: dust on either side of nothing."""


@given(st.lists(SMALL, max_size=30))
def test_dust_of_either_side_takes_no_profit_and_no_fee_with_it(steps: list[tuple[str, int, int, int]]) -> None:
    """Sum of gross PnL = -(signed value of what was held) + cost still held; fees are units kept x price."""
    log = TradeLog(INSTRUMENTS)
    flow = fees = D(0)
    for side, count, price, kept in steps:
        fee = D(kept).scaleb(-6) if side == "buy" else D(0)
        qty = D(count).scaleb(-3)
        log.on_fill(fill(side, str(qty), str(price), fee=str(fee), fee_asset="XB"))
        flow += (qty * price) if side == "sell" else -(qty - fee) * price
        fees += fee * price
    trades = [*log.closed, *log.finish(0)]
    assert sum((trade.gross_pnl for trade in trades), D(0)) == flow + sum(book.cost for book in log.snapshot().books)
    assert sum((trade.fees for trade in trades), D(0)) == fees


def test_what_less_than_a_step_cost_is_the_next_trades() -> None:
    """0.001 bought, 0.0009 of it a fee: 0.0001 held. 0.003 sold at 110 close that (gain 0.001) and open 0.0029."""
    log = log_of(fill("buy", "0.001", "100", fee="0.0009", fee_asset="XB"))
    (dust,) = log.finish(1)
    assert (dust.fees, dust.exit_ts) == (D("0.09"), None)
    log.on_fill(fill("sell", "0.003", "110", fee="0.001"))
    log.on_fill(fill("buy", "0.0029", "105", fee="0.001"))
    (trade,) = log.closed
    assert (trade.gross_pnl, trade.fees) == (D("0.001") + D("0.0029") * 5, D("0.092"))
    assert log.finish(1) == []


@given(st.lists(STEP, min_size=1, max_size=12), st.integers(0, 12))
def test_a_restored_log_goes_on_as_if_nothing_happened(steps: list[tuple[str, str, str, str]], cut: int) -> None:
    """Half the fills, a trip through msgpack, the other half: the same trades as without the trip."""
    fills = [fill(side, qty, price, n * MINUTE, fee=fee) for n, (side, qty, price, fee) in enumerate(steps)]
    straight = log_of(*fills)
    first = log_of(*fills[:cut])
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot()), type=TradeLogState)
    second = TradeLog(INSTRUMENTS)
    second.restore(state)
    for one in fills[cut:]:
        second.on_fill(one)
    assert second.closed == straight.closed
    assert second.finish(0) == straight.finish(0)


def test_a_snapshot_does_not_change_with_the_log() -> None:
    log = log_of(fill("buy", "1", "100"))
    before = msgspec.msgpack.encode(state := log.snapshot())
    log.on_fill(fill("buy", "1", "100"))
    assert msgspec.msgpack.encode(state) == before
