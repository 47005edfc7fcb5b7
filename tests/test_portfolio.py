"""The ledger against hand tables, against conservation, and against the venue's own ledger, which shares no code."""

from __future__ import annotations

from decimal import ROUND_DOWN, Context, Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.account.equity_mirror import EquityMirror
from core.errors import InvariantBroken
from core.events import (
    BalanceChanged,
    Bar,
    Event,
    FundingPaid,
    OrderFilled,
    PositionChanged,
    PositionClosed,
    PositionLiquidated,
    TradeTick,
)
from core.instruments import Instrument
from core.portfolio import Portfolio
from core.trade import fee_in_quote
from sim.account import VenueAccount

D = Decimal
EXACT = Context(prec=60)
LINEAR = Instrument(venue="v", symbol="X", tick=D("0.1"), step=D("0.001"), base="XB", quote="USDT")
SPOT = Instrument(venue="v", symbol="X", tick=D("0.1"), step=D("0.001"), base="XB", quote="USDT", kind="spot")


def fill(
    side: str,
    qty: str,
    price: str,
    *,
    fee: str = "0",
    fee_asset: str = "USDT",
    strategy: str = "s",
    ts: int = 7,
    symbol: str = "X",
    order: str = "o",
) -> OrderFilled:
    return OrderFilled(ts, ts, "v", symbol, "net", strategy, "main", order, "f", side, D(price), D(qty), "taker", "bar",
                       D(fee), fee_asset, D(price), D(0), "t", 0, ts)  # fmt: skip


class Ledger:
    """A portfolio and what it published."""

    def __init__(self, instrument: Instrument = LINEAR, balances: dict[str, str] | None = None) -> None:
        self.told: list[Event] = []
        given = {"USDT": "1000"} if balances is None else balances
        held = {("v", asset): D(balance) for asset, balance in given.items()}
        self.portfolio = Portfolio({("v", "X"): instrument}, held, self.told.append)

    def take(self, *fills: OrderFilled) -> Ledger:
        for one in fills:
            self.portfolio.on_fill(one)
        return self

    def state(self, strategy: str = "s") -> tuple[Decimal, Decimal, Decimal]:
        """qty, cost, realized."""
        book = self.portfolio.position("v", "X", strategy)
        assert book is not None
        return book.qty, book.cost, book.realized_pnl

    def balance(self, asset: str = "USDT") -> Decimal:
        return self.portfolio.balances["v", asset]


def test_two_orders_that_meet_each_other_pay_for_one_trade_twice() -> None:
    """Both fills have the venue's one number: 0.01 and 0.02 BNB at 600 are worth 6 and 12, and are remembered apart."""
    held = {("v", "USDT"): D(1000), ("v", "BNB"): D(1)}
    portfolio = Portfolio({("v", "X"): LINEAR}, held, lambda event: None, {"USDT": D(1), "BNB": D(600)})
    taken = fill("buy", "1", "100", fee="0.02", fee_asset="BNB", order="taker")
    rested = fill("sell", "1", "100", fee="0.01", fee_asset="BNB", order="maker")
    for one in (taken, rested):
        portfolio.on_fill(one)
    assert [fee_in_quote(one, "XB", "USDT", portfolio.fee_worth) for one in (taken, rested)] == [D(12), D(6)]
    snapshot = portfolio.snapshot()
    assert snapshot["fee_worth"] == [["taker", "f", D(12)], ["maker", "f", D(6)]]
    assert snapshot["paid_in_kind"] == [["v", "BNB", D("0.03"), D(18)]]


@pytest.mark.parametrize("held", [(), ("0.999",)])
def test_a_liquidation_of_more_than_a_book_holds_is_an_error(held: tuple[str, ...]) -> None:
    ledger = Ledger().take(*(fill("buy", qty, "100") for qty in held))
    event = PositionLiquidated(side="sell", ts=5, ts_venue=5, venue="v", symbol="X", position_side="net", strategy="s",
                               session="main", price=D(90), qty=D(1), cause="liquidation", realized_pnl=D(-10),
                               fee=D(0))  # fmt: skip
    with pytest.raises(InvariantBroken, match="liquidation of more than `s` holds of X"):
        ledger.portfolio.on_liquidation(event)


@pytest.mark.parametrize(("entry", "exit_"), [("buy", "sell"), ("sell", "buy")])
def test_one_step_held_is_a_position_and_nothing_held_is_its_end(entry: str, exit_: str) -> None:
    """0.001 is the step of X: an order could trade it."""
    ledger = Ledger().take(fill(entry, "0.001", "100"))
    assert PositionClosed not in map(type, ledger.told)
    ledger.take(fill(exit_, "0.001", "100"))
    assert [type(event) for event in ledger.told].count(PositionClosed) == 1


# Rows: fills (side, qty, price, fee), then qty, cost, realized PnL, USDT balance from 1000. By hand, design section 7:
# closing q of Q moves C x q / Q, quantized to 8 decimals half-even; the last lot takes the rest.
TABLE = {
    "open": ([("buy", "2", "100", "0.1")], "2", "200", "0", "999.9"),
    "open short": ([("sell", "2", "100", "0.1")], "-2", "-200", "0", "999.9"),
    "add": ([("buy", "2", "100", "0"), ("buy", "1", "103", "0")], "3", "303", "0", "1000"),
    # 100 x 1/3 = 33.33333333 moves; realized 50 - 33.33333333.
    "close a third": (
        [("buy", "1", "40", "0"), ("buy", "2", "30", "0"), ("sell", "1", "50", "0")],
        "2", "66.66666667", "16.66666667", "1016.66666667",
    ),
    # then 66.66666667 / 2 = 33.333333335, half-even to 33.33333334.
    "close two thirds": (
        [("buy", "1", "40", "0"), ("buy", "2", "30", "0"), ("sell", "1", "50", "0"), ("sell", "1", "50", "0")],
        "1", "33.33333333", "33.33333333", "1033.33333333",
    ),
    "the last lot takes the rest": (
        [("buy", "1", "40", "0"), ("buy", "2", "30", "0"), *[("sell", "1", "50", "0")] * 3], "0", "0", "50", "1050",
    ),
    "close a short at a loss": ([("sell", "2", "100", "0"), ("buy", "2", "110", "0.2")], "0", "0", "-20", "979.8"),
    # F15: a flip is a close and an open. 1 closes at +10, 2 open short at 110.
    "flip to short": ([("buy", "1", "100", "0"), ("sell", "3", "110", "0")], "-2", "-220", "10", "1010"),
    "flip to long": ([("sell", "1", "100", "0"), ("buy", "1.5", "90", "0")], "0.5", "45", "10", "1010"),
    "average entry is unchanged by a reduction": (
        [("buy", "1", "100", "0"), ("buy", "1", "102", "0"), ("sell", "1", "110", "0")], "1", "101", "9", "1009",
    ),
    "a rebate is paid to us": ([("buy", "2", "100", "-0.04")], "2", "200", "0", "1000.04"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_a_linear_book_has_the_numbers_of_the_hand_table(name: str) -> None:
    fills, qty, cost, realized, balance = TABLE[name]
    ledger = Ledger().take(*(fill(s, q, p, fee=f) for s, q, p, f in fills))
    assert (*ledger.state(), ledger.balance()) == (D(qty), D(cost), D(realized), D(balance))
    assert ledger.portfolio.held("v", "X") == D(qty)


def test_the_entry_price_is_cost_over_quantity() -> None:
    """1 @ 40 and 2 @ 30: 100 / 3, shown and never stored; None when flat."""
    ledger = Ledger().take(fill("buy", "1", "40"), fill("buy", "2", "30"))
    book = ledger.portfolio.position("v", "X", "s")
    assert book is not None and book.entry_price == D(100) / 3
    ledger.take(fill("sell", "3", "50"))
    assert book.entry_price is None


def test_spot_with_a_fee_in_base_is_the_contracts_example() -> None:
    """venues.md section 7: BUY 0.5 @ 60000 -> fee 0.0005 base, net +0.4995; SELL 0.5 -> 30 USDT."""
    ledger = Ledger(SPOT, {"USDT": "100000"}).take(fill("buy", "0.5", "60000", fee="0.0005", fee_asset="XB"))
    assert (ledger.balance("XB"), ledger.balance()) == (D("0.4995"), D(70000))
    # What the fee took leaves the book at the price it was bought for: 0.4995 x 60000.
    assert ledger.state()[:2] == (D("0.4995"), D("29970"))
    ledger.take(fill("sell", "0.499", "61000", fee="30.439"))
    assert (ledger.balance("XB"), ledger.balance()) == (D("0.0005"), D("70000") + D("30439") - D("30.439"))
    # 0.499 of 0.4995 x 60000 moves: 29940; realized 499. What is left is dust below a step: the book is flat.
    assert ledger.state() == (D("0.0005"), D("30"), D("499"))
    assert type(ledger.told[-1]) is PositionClosed
    book = ledger.portfolio.position("v", "X", "s")
    assert book is not None and ledger.portfolio.tradable(book) == 0


@pytest.mark.parametrize("instrument", [LINEAR, SPOT])
def test_a_fee_in_a_third_asset_leaves_its_own_balance_and_no_other(instrument: Instrument) -> None:
    """venues.md section 7: 30 USDT with BNB at 600 and 25% off is 0.0375 BNB."""
    ledger = Ledger(instrument, {"USDT": "100000", "BNB": "1"})
    ledger.take(fill("buy", "0.5", "60000", fee="0.0375", fee_asset="BNB"))
    assert ledger.balance("BNB") == D("0.9625")
    assert ledger.balance() == D("100000" if instrument is LINEAR else "70000")
    assert ledger.state()[:2] == (D("0.5"), D("30000"))


def test_books_are_apart_per_strategy_and_their_sum_is_the_accounts_net() -> None:
    """a long 2, b short 3: net -1, and neither closes the other."""
    ledger = Ledger().take(fill("buy", "2", "100", strategy="a"), fill("sell", "3", "101", strategy="b"))
    assert (ledger.state("a")[0], ledger.state("b")[0]) == (D(2), D(-3))
    assert ledger.portfolio.held("v", "X") == D(-1)
    assert ledger.balance() == D(1000), "nothing was realized"


def test_a_fill_tells_position_balance_and_the_end_of_a_position_in_that_order() -> None:
    """Bought 1 @ 100, sold 1 @ 103: realized 3 of the whole time since it was last flat."""
    ledger = Ledger().take(fill("buy", "1", "100", fee="0.1"), fill("sell", "1", "103", fee="0.1"))
    assert [type(e) for e in ledger.told] == [PositionChanged, BalanceChanged] * 2 + [PositionClosed]
    opened, paid, closed, earned, over = ledger.told
    assert (opened.qty, opened.cost, opened.realized_pnl) == (D(1), D(100), D(0))
    assert (paid.delta, paid.total) == (D("-0.1"), D("999.9"))
    assert (closed.qty, closed.cost, closed.realized_pnl) == (D(0), D(0), D(3))
    assert (earned.delta, earned.total) == (D("2.9"), D("1002.8"))
    assert over.realized_pnl == D(3)


def test_funding_moves_the_wallet_and_the_book_it_belongs_to() -> None:
    """venues.md section 8: long 2 at mark 60000 and +0.01% pays 12."""
    ledger = Ledger(balances={"USDT": "100000"}).take(fill("buy", "2", "60000"))
    ledger.portfolio.on_funding(
        FundingPaid(9, 9, "v", "X", "net", "s", "main", D(-12), D("0.0001"), D(60000), D(2))
    )  # fmt: skip
    book = ledger.portfolio.position("v", "X", "s")
    assert book is not None
    assert (ledger.balance(), book.funding, book.cost) == (D(99988), D(-12), D(120000))
    ledger.take(fill("sell", "2", "60000"))  # conservation still holds with the funding in it
    assert ledger.balance() == D(99988)


def test_funding_for_a_book_that_holds_nothing_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="holds nothing"):
        Ledger().portfolio.on_funding(
            FundingPaid(9, 9, "v", "X", "net", "s", "main", D(-12), D("0.0001"), D(60000), D(2))
        )  # fmt: skip


def test_money_that_appears_from_nowhere_ends_the_run() -> None:
    """One digit more in the wallet than was paid in: the next fill says so."""
    ledger = Ledger().take(fill("buy", "1", "100"))
    ledger.portfolio.balances["v", "USDT"] += D("1e-8")
    with pytest.raises(InvariantBroken, match="USDT is not conserved"):
        ledger.take(fill("sell", "1", "100"))


@pytest.mark.parametrize("asset", ["USDT", "XB"])
def test_assets_that_appear_from_nowhere_on_spot_end_the_run(asset: str) -> None:
    ledger = Ledger(SPOT).take(fill("buy", "1", "100"))
    ledger.portfolio.balances["v", asset] += D("1e-8")
    with pytest.raises(InvariantBroken, match=f"^{asset} is not conserved"):
        ledger.take(fill("sell", "1", "100"))


def test_equity_is_cash_plus_open_profit_at_the_last_known_price() -> None:
    """2 long at 100, last 101.5: 1000 + 3; exposure 203."""
    ledger = Ledger().take(fill("buy", "2", "100"))
    ledger.portfolio.on_bar(Bar(8, 8, "v", "X", 1, 100.0, 102.0, 99.0, 101.5, 1.0))
    portfolio = ledger.portfolio
    assert (portfolio.equity("USDT"), portfolio.unrealized("USDT")) == (D(1003), D(3))
    assert portfolio.exposure("USDT") == D(203)
    assert EquityMirror(portfolio, "USDT").equity() == 1003.0


def test_what_is_only_kept_is_the_price_for_everybody_who_asks() -> None:
    """The newest of those kept: 2 x 110 - 200 are 20, whoever asks first; of a trade its price."""
    portfolio = Ledger().take(fill("buy", "2", "100")).portfolio
    mirror = EquityMirror(portfolio, "USDT")
    for price in (90.0, 110.0):
        portfolio.keep_newest(Bar(1, 1, "v", "X", 60, price, price, price, price, 1.0))
    assert mirror.equity() == 1020.0
    assert portfolio.mark("v", "X") == D(110)
    portfolio.keep_newest(Bar(2, 2, "v", "X", 60, 120.0, 120.0, 120.0, 120.0, 1.0))
    assert (portfolio.equity("USDT"), dict(portfolio.marks)) == (D(1040), {("v", "X"): 120.0})
    portfolio.keep_newest(TradeTick(3, 3, "v", "X", 95.0, 1.0, "sell"))
    assert portfolio.mark("v", "X") == D(95)


def test_equity_on_spot_counts_the_base_held_at_its_price() -> None:
    """70000 left and 0.4995 held at 60100."""
    ledger = Ledger(SPOT, {"USDT": "100000"}).take(fill("buy", "0.5", "60000", fee="0.0005", fee_asset="XB"))
    ledger.portfolio.on_bar(Bar(8, 8, "v", "X", 1, 60100.0, 60100.0, 60100.0, 60100.0, 1.0))
    assert ledger.portfolio.equity("USDT") == D("70000") + D("0.4995") * D("60100")


def test_cash_is_exact_beyond_the_default_precision_of_decimal() -> None:
    """Every ledger has its own context of 34 digits (design section 7): 31 digits here."""
    held = D("999999999999999.9999999999999999")
    assert Ledger(balances={"USDT": str(held)}).portfolio.cash("USDT") == held


def test_what_a_fee_took_on_the_way_back_to_flat_is_still_to_be_bought() -> None:
    """Sold 1 of a deposit, bought 1 back less the fee: -0.001 is still held, then nothing."""
    ledger = Ledger(SPOT, {"USDT": "1000", "XB": "5"})
    ledger.take(fill("sell", "1", "100"))
    ledger.take(fill("buy", "1", "100", fee="0.001", fee_asset="XB"))
    assert ledger.state()[0] == D("-0.001")
    ledger.take(fill("buy", "0.001", "100"))
    assert ledger.state()[0] == D(0)


# --- properties -----------------------------------------------------------------------------------------------------

STEPS = st.integers(1, 5_000)
TICKS = st.integers(1, 2_000_000)
FILLS = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), STEPS, TICKS, st.integers(-20, 100)), min_size=1, max_size=40
)


def priced(side: str, steps: int, ticks: int, rate: int, received: bool) -> OrderFilled:
    """A fill on the grid with a fee of rate x 1e-5, quantized to 8 decimals towards zero (venues.md section 7)."""
    qty, price = steps * D("0.001"), ticks * D("0.1")
    in_base = received and side == "buy"
    with localcontext(EXACT):
        fee = ((qty if in_base else qty * price) * rate * D("1e-5")).quantize(D("1e-8"), ROUND_DOWN)
    return fill(side, str(qty), str(price), fee=str(fee), fee_asset="XB" if in_base else "USDT")


@settings(max_examples=60)
@given(FILLS)
def test_random_fills_on_a_contract_conserve_to_the_last_digit_and_agree_with_the_venues_ledger(rows: list) -> None:
    """After every fill: wallet = start - sum(price x signed qty + fee) + cost, and the venue says the same three."""
    ledger = Ledger(balances={"USDT": "1000000"})
    venue = VenueAccount("linear", {"USDT": D(1000000)}, leverage={})
    flow = D(0)
    for row in rows:
        one = priced(*row, received=False)
        ledger.take(one)
        realized = venue.fill(LINEAR, one.side, one.price, one.qty, one.fee, one.fee_asset)
        qty, cost, total = ledger.state()
        with localcontext(EXACT):
            flow += one.price * (one.qty if one.side == "buy" else -one.qty) + one.fee
            assert ledger.balance() == D(1000000) - flow + cost
        position = venue.positions["X", "net"]
        assert (venue.balances["USDT"], position.qty, position.value) == (ledger.balance(), qty, cost)
        assert (cost == 0) == (qty == 0)
        changed = [e for e in ledger.told if type(e) is PositionChanged][-1]
        assert changed.realized_pnl == realized
        assert venue.realized_pnl == total


@settings(max_examples=60)
@given(FILLS)
def test_random_fills_on_spot_conserve_to_the_last_digit_and_agree_with_the_venues_ledger(rows: list) -> None:
    """Each asset's balance is what was put in plus what every fill moved; base in the wallet is base in the book."""
    start = {"USDT": "100000000000", "XB": "1000000"}
    ledger = Ledger(SPOT, start)
    venue = VenueAccount("spot", {a: D(b) for a, b in start.items()}, leverage={})
    expected = {a: D(b) for a, b in start.items()}
    for row in rows:
        one = priced(*row, received=True)
        ledger.take(one)
        venue.fill(SPOT, one.side, one.price, one.qty, one.fee, one.fee_asset)
        sign = 1 if one.side == "buy" else -1
        with localcontext(EXACT):
            expected["XB"] += sign * one.qty
            expected["USDT"] -= sign * one.qty * one.price
            expected[one.fee_asset] -= one.fee
            held = ledger.state()[0]
            assert held == expected["XB"] - D(start["XB"]) == ledger.portfolio.held("v", "X")
        for asset, total in expected.items():
            assert ledger.balance(asset) == venue.balances[asset] == total


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["buy", "sell"]), STEPS, TICKS), max_size=30))
def test_two_strategies_books_always_sum_to_the_net_and_to_the_money(rows: list) -> None:
    """Flat at the end by one fill each, the wallet holds exactly what the fills moved."""
    ledger = Ledger(balances={"USDT": "0"})
    flow = D(0)

    def take(one: OrderFilled) -> None:
        nonlocal flow
        ledger.take(one)
        with localcontext(EXACT):
            flow -= one.price * (one.qty if one.side == "buy" else -one.qty)

    for strategy, side, steps, ticks in rows:
        take(fill(side, str(steps * D("0.001")), str(ticks * D("0.1")), strategy=strategy))
        net = sum((book.qty for book in ledger.portfolio.books.values()), D(0))
        assert ledger.portfolio.held("v", "X") == net
    for book in list(ledger.portfolio.books.values()):
        if book.qty:
            side = "sell" if book.qty > 0 else "buy"
            take(fill(side, str(abs(book.qty)), "77.7", strategy=book.strategy))
    assert ledger.portfolio.balances["v", "USDT"] == flow
    assert all(book.qty == 0 for book in ledger.portfolio.books.values())
