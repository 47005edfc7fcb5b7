"""Accounts that cannot be: refused before anything starts, with the line, what was expected, and the venue's code."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.compose import read_plan
from core.errors import ConfigError, Problem
from core.margin import ContractTerms
from sim.account import VenueAccount
from test_account_margin import TIERS, contract

D = Decimal
CONFIG = """\
run: {{name: tiny, seed: 1, start: 2024-01-01}}
venue: {{name: {venue}}}
account: {account}
data:
  - {{symbol: BTCUSDT, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}
strategies:
  - {{name: s, class: "strategies.ema_cross:EmaCross", symbols: [BTCUSDT]}}
"""


def problem_of(account: str, venue: str = "bybit-linear") -> Problem:
    """The one thing that is wrong with it."""
    with pytest.raises(ConfigError) as told:
        read_plan("tiny.yaml", text=CONFIG.format(venue=venue, account=account))
    (problem,) = told.value.problems
    assert problem.line == 3
    return problem


def test_leverage_above_the_lowest_bracket_is_refused_with_the_venues_code() -> None:
    """Bybit's stored brackets of BTCUSDT begin with 100x."""
    problem = problem_of('{balances: {USDT: "1000"}, leverage: 125}')
    assert problem.path == "$.account.leverage"
    assert problem.message == (
        "125x is more than the brackets of bybit-linear allow for BTCUSDT: 100x "
        "(110013 Due to risk limit, cannot set leverage)"
    )
    own = problem_of('{balances: {USDT: "1000"}, leverage: {BTCUSDT: 101}}')
    assert own.path == "$.account.leverage.BTCUSDT"
    read_plan("tiny.yaml", text=CONFIG.format(venue="bybit-linear", account='{wallet: "1000", leverage: 100}'))


def test_leverage_of_a_symbol_that_is_not_there_is_refused_with_the_nearest() -> None:
    problem = problem_of('{wallet: "1000", leverage: {BTCUSD: 5}}')
    assert "no entry of `data` has this symbol, did you mean `BTCUSDT`?" in problem.message


@pytest.mark.parametrize(
    ("venue", "asset", "expected"),
    [
        ("bybit-linear", "USDC", "did you mean `USDT`?"),
        ("bybit-linear", "BTC", "valid here: USDT"),
        ("binance-spot", "ETH", "valid here: USDT, BTC"),
    ],
)
def test_an_asset_that_nothing_is_settled_in_is_refused(venue: str, asset: str, expected: str) -> None:
    problem = problem_of(f'{{balances: {{USDT: "10", {asset}: "1000"}}}}', venue)
    assert problem.path == f"$.account.balances.{asset}"
    assert problem.message == f"nothing in this run is traded or settled in {asset}, {expected}"


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "x"])
def test_a_balance_that_is_no_amount_is_refused(amount: str) -> None:
    assert problem_of(f'{{balances: {{USDT: "{amount}"}}}}').path == "$.account.balances.USDT"


def test_an_account_without_the_settle_asset_is_refused_with_what_to_write() -> None:
    assert 'give it `balances: {USDT: "10000"}`' in problem_of('{balances: {USDT: "0"}}').message


def test_hedge_mode_on_spot_is_refused_and_on_contracts_is_not() -> None:
    problem = problem_of('{wallet: "1000", position_mode: hedge}', "binance-spot")
    assert (problem.path, problem.message) == (
        "$.account.position_mode",
        "binance-spot is a spot venue: there are no positions to hedge",
    )
    text = CONFIG.format(venue="binance-usdm", account='{wallet: "1000", position_mode: hedge}')
    assert read_plan("tiny.yaml", text=text).config.account.position_mode == "hedge"


# --- the venue's settings while something is held -------------------------------------------------------------------


def venue_account(**more: object) -> VenueAccount:
    given = {"leverage": {"": D(10)}, "terms": {"X": ContractTerms(TIERS)}, **more}
    return VenueAccount("linear", {"USDT": D(100000)}, **given)


def test_modes_are_switched_while_nothing_is_held_and_refused_while_something_is() -> None:
    account = venue_account()
    assert (account.set_margin_mode("cross"), account.set_position_mode(hedged=True)) == (None, None)
    assert (account.margin_mode, account.hedged) == ("cross", True)
    account.open_position(contract(), D(1), D(100), position_side="long")
    assert (account.set_margin_mode("isolated"), account.set_position_mode(hedged=False)) == (
        "margin_mode",
        "position_mode",
    )
    assert (account.margin_mode, account.hedged) == ("cross", True)
    assert account.set_margin_mode("cross") is None  # what it is already


def test_a_switch_is_refused_while_an_order_holds_margin() -> None:
    account = venue_account()
    account.holds.set_aside("o1", "USDT", D(1))
    assert account.set_margin_mode("cross") == "margin_mode"


def test_leverage_is_set_up_to_what_the_brackets_of_the_position_allow() -> None:
    """150x up to 300000, 100x from there: 6@60000 are 360000, so 101x is refused while they are held."""
    account, x = venue_account(), contract()
    assert [account.set_leverage("X", D(most)) for most in (150, 151, 0)] == [None, "leverage", "leverage"]
    assert account.set_leverage("X", D(20)) is None
    account.fill(x, "buy", D(60000), D(6), D(0), "USDT")
    assert [account.set_leverage("X", D(most)) for most in (101, 100)] == ["leverage", None]
    # The margin that came in with the opening stays: 360000 / 20; the next opening takes 1 / 100.
    account.fill(x, "buy", D(60000), D("0.5"), D(0), "USDT")
    position = account.position("X")
    assert position is not None and position.margin == D(18000) + D(300)


def test_leverage_of_an_isolated_position_is_not_lowered_while_it_is_open() -> None:
    account = venue_account()
    account.fill(contract(), "buy", D(100), D(1), D(0), "USDT")
    assert (account.set_leverage("X", D(5)), account.leverage("X")) == ("leverage_down", D(10))
    cross = venue_account(margin_mode="cross")
    cross.fill(contract(), "buy", D(100), D(1), D(0), "USDT")
    assert (cross.set_leverage("X", D(5)), cross.leverage("X")) == (None, D(5))
