"""What the venue wants free before it takes an order, by hand: contracts, one-way, isolated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.events import OrderFilled, OrderRejected, Side
from core.instruments import Instrument
from core.orders import OrderTerms
from sim.account import VenueAccount
from tiny_run import Script, flat, plan_of, run_of

D = Decimal
LINEAR = Instrument(venue="v", symbol="X", tick=D("0.1"), step=D("0.001"), base="XB", quote="USDT")


def order(side: Side, qty: str) -> OrderTerms:
    return OrderTerms("o", "v", "X", "net", "s", "main", side, "market", D(qty))


@pytest.mark.parametrize(
    ("held", "side", "qty", "needed"),
    [
        ("2", "sell", "2", "0"),
        ("2", "sell", "1.5", "0"),
        ("2", "sell", "3", "20"),  # 1 opens: 100 / 5
        ("-2", "buy", "2", "0"),
        ("-2", "buy", "2.5", "10"),
        ("2", "buy", "2", "40"),
        ("0", "sell", "2", "40"),
    ],
)
def test_only_what_goes_beyond_the_opposite_position_needs_margin(held: str, side: Side, qty: str, needed: str) -> None:
    account = VenueAccount("linear", {"USDT": D(1000)}, leverage={"": D(5)})
    account.open_position(LINEAR, D(held), D(100))
    assert account.need(LINEAR, order(side, qty), D(qty), D(100)) == ("USDT", D(needed))


@pytest.mark.parametrize(
    ("qty", "others", "needed"),
    [
        ("2", "2", "0"),  # the others close, this one reopens with the margin they free
        ("2", "3", "20"),  # 3 + 2 of the 4 that a position of 2 lets through: 1 too much
        ("2", "9", "40"),  # nothing is left for it
        ("3", "2", "20"),  # 1 beyond the position, as alone
    ],
)
def test_a_position_lets_through_what_closes_it_and_as_much_again(qty: str, others: str, needed: str) -> None:
    """Position 2@100, 5x: of an order at 100 what is not let through needs 100 / 5 a unit."""
    account = VenueAccount("linear", {"USDT": D(1000)}, leverage={"": D(5)})
    account.open_position(LINEAR, D(2), D(100))
    assert account.need(LINEAR, order("sell", qty), D(qty), D(100), D(others)) == ("USDT", D(needed))


def test_a_part_that_closes_releases_its_part_of_the_margin_rounded_against_us() -> None:
    """A margin of 10 behind 3: closing 1 gives 3.33333333 back and keeps 6.66666667; the last lot gives the rest."""
    account = VenueAccount("linear", {"USDT": D(1000)}, leverage={"": D(5)})
    account.open_position(LINEAR, D(3), D(100), isolated_margin=D(10))
    position = account.position("X")
    assert position is not None
    account.fill(LINEAR, "sell", D(100), D(1), D(0), "USDT")
    assert (position.margin, account.free("USDT")) == (D("6.66666667"), D("993.33333333"))
    account.fill(LINEAR, "sell", D(100), D(2), D(0), "USDT")
    assert (position.margin, account.free("USDT")) == (D(0), D(1000))


def test_an_opening_locks_its_margin_rounded_against_us() -> None:
    """1@100 at 7x: 14.285714285... locks 14.28571429."""
    account = VenueAccount("linear", {"USDT": D(1000)}, leverage={"": D(7)})
    account.fill(LINEAR, "buy", D(100), D(1), D(0), "USDT")
    assert account.free("USDT") == D("985.71428571")


def test_in_hedge_mode_the_two_sides_are_held_apart_and_their_net_is_their_sum() -> None:
    """Long 2, short 3: each has its margin; an order against its side can only close and needs none."""
    account = VenueAccount("linear", {"USDT": D(1000)}, leverage={"": D(5)}, hedged=True)
    account.fill(LINEAR, "buy", D(100), D(2), D(0), "USDT", "long")
    account.fill(LINEAR, "sell", D(100), D(3), D(0), "USDT", "short")
    quantities = [account.position_qty("X", side) for side in ("long", "short", "net")]
    assert (quantities, account.free("USDT")) == ([D(2), D(-3), D(-1)], D(900))
    closing = OrderTerms("o", "v", "X", "long", "s", "main", "sell", "market", D(2))
    opening = OrderTerms("o", "v", "X", "short", "s", "main", "sell", "market", D(2))
    assert account.need(LINEAR, closing, D(2), D(100)) == ("USDT", D(0))
    assert account.need(LINEAR, opening, D(2), D(100)) == ("USDT", D(40))
    assert account.fill(LINEAR, "sell", D(110), D(1), D(0), "USDT", "long") == D(10)
    assert account.position_qty("X", "short") == D(-3)


def test_in_cross_margin_what_is_not_realized_counts_at_mark() -> None:
    """Long 2@100 at 5x, wallet 1000. Mark unknown: 40 are bound. At 90: -20 and 36 bound; at 120: +40 and 48 bound."""
    account = VenueAccount("linear", {"USDT": D(1000)}, leverage={"": D(5)}, margin_mode="cross")
    account.open_position(LINEAR, D(2), D(100))
    free = [account.free("USDT")]
    for mark in ("90", "120"):
        account.mark_of = lambda symbol, mark=mark: D(mark)
        free.append(account.free("USDT"))
    assert free == [D(960), D(944), D(992)]


def test_wallets_of_two_settle_assets_do_not_know_each_other() -> None:
    """A loss in USDC leaves USDT as it is, and each binds its own margin."""
    other = Instrument(venue="v", symbol="Y", tick=D("0.1"), step=D("0.001"), base="YB", quote="USDC")
    account = VenueAccount("linear", {"USDT": D(100), "USDC": D(50)}, leverage={"": D(10)}, margin_mode="cross")
    account.fill(LINEAR, "buy", D(100), D(1), D("0.05"), "USDT")
    account.fill(other, "sell", D(10), D(5), D("0.01"), "USDC")
    account.fill(other, "buy", D(12), D(5), D("0.01"), "USDC")
    assert account.balances == {"USDT": D("99.95"), "USDC": D("39.98")}
    assert (account.free("USDT"), account.free("USDC")) == (D("89.95"), D("39.98"))
    assert [position.instrument.quote for position in account.pool("USDT")] == ["USDT"]


def test_a_market_order_needs_its_margin_at_mark_where_the_venue_says_so() -> None:
    """2 at the last price 100 but the mark 110, 5x: 44. A limit order needs it at its own price."""
    account = VenueAccount("linear", {"USDT": D(1000)}, leverage={"": D(5)})
    account.mark_of = lambda symbol: D(110)
    assert account.need(LINEAR, order("buy", "2"), D(2), D(100)) == ("USDT", D(44))
    limit = OrderTerms("o", "v", "X", "net", "s", "main", "buy", "limit", D(2), price=D(100))
    assert account.need(LINEAR, limit, D(2), D(100)) == ("USDT", D(40))


async def test_a_position_can_be_closed_with_no_free_margin() -> None:
    """100 USDT at leverage 1 hold 1 @ 100: nothing is free, and a sale of 1 needs nothing."""
    answers: list[Any] = [{"side": "buy", "qty": 1}, {"side": "sell", "qty": 1}]
    plan = plan_of({"X": flat("100", "100", "100", "100")}, balances="{USDT: '100'}", leverage=1)
    done = await run_of(plan, s=Script(*answers))
    assert [(fill.side, fill.qty) for fill in done.of(OrderFilled)] == [("buy", D(1)), ("sell", D(1))]
    assert done.of(OrderRejected) == []
