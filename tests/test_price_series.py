"""Which of a symbol's data tell its price, what they say, and what is known of a price that somebody looks up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.events import QuoteTick, TradeTick
from core.market.price_series import PriceReader, Prices
from core.tape import LAST, SNAPSHOT, Tape
from tick_run import MS, depth, quotes, ticks, trades
from tiny_run import MINUTE, START, VENUE, flat, tape_of

KEY = (VENUE, "X")
PRINTS = trades((1, "100"), (2, "101.5"))
BARS = tape_of([("7", "9", "6", "8", "1")])
QUOTES = quotes((1, "99", "101"), (2, "99.01", "101.02"))
BOOK = depth((1, "bid", "99", "5", SNAPSHOT | LAST))


def prices(tapes: list[Tape], *heard: str, marks: Any = None, feed_ns: int = 0) -> Prices:
    return Prices(tapes, {(*KEY, kind) for kind in heard}, {} if marks is None else marks, {VENUE: feed_ns})


def told(made: Prices) -> dict[int, float]:
    """Each price of the series by the moment from which it is known, looked for around every row of the tapes."""
    reader = PriceReader(made.series[KEY])
    times = np.arange(START, START + 4 * MINUTE, MS)
    prices, known = reader.at(times)
    first = known & np.append(True, (prices[1:] != prices[:-1]) | ~known[:-1])
    return dict(zip(times[first].tolist(), (prices[first] / 10**reader.scale).tolist(), strict=True))


@pytest.mark.parametrize(
    ("tapes", "heard", "closes"),
    [
        ([PRINTS, BARS, QUOTES, BOOK], ["trades", "bars", "quotes"], [100.0, 101.5]),  # trades, where they are heard
        ([PRINTS, BARS, QUOTES, BOOK], ["bars", "quotes"], [8.0]),
        ([PRINTS, QUOTES, BOOK], ["quotes"], [100.0, 100.015]),  # (99.01 + 101.02) / 2, exact
        ([PRINTS, QUOTES, BOOK], [], []),  # looked up in the book
        ([QUOTES], [], []),
        ([PRINTS], [], [100.0, 101.5]),  # nobody hears them and there is nothing else
    ],
)  # fmt: skip
def test_one_kind_of_data_tells_a_symbols_price(tapes: list[Tape], heard: list[str], closes: list[float]) -> None:
    made = prices(tapes, *heard)
    assert list(told(made).values()) == closes
    assert (KEY in made.unheard) is (not closes)


def test_a_quote_without_a_side_says_nothing() -> None:
    row = {"at": 2, "bid_price": "99", "bid_size": "1", "ask_price": "0", "ask_size": "0"}
    tape = ticks("quotes", [{**row, "at": 1, "ask_price": "101", "ask_size": "1"}, row])
    marks: dict[Any, float] = {}
    made = prices([tape], "quotes", marks=marks)
    assert told(made) == {START + MS: 100.0}
    made.on_quote(QuoteTick(2, 2, VENUE, "X", 99.0, 1.0, 101.0, 1.0))
    made.on_quote(QuoteTick(3, 3, VENUE, "X", 99.0, 1.0, 0.0, 0.0))
    assert marks == {KEY: 100.0}


def test_quotes_do_not_mark_a_symbol_whose_price_trades_tell() -> None:
    marks: dict[Any, float] = {}
    made = prices([PRINTS, QUOTES], "trades", "quotes", marks=marks)
    made.on_trade(TradeTick(1, 1, VENUE, "X", 100.0, 1.0, "buy"))
    made.on_quote(QuoteTick(2, 2, VENUE, "X", 1.0, 1.0, 3.0, 1.0))
    assert marks == {KEY: 100.0}


def test_a_price_that_was_looked_up_is_a_mark_and_a_point_of_the_series() -> None:
    """Looked at 7 ns in our time; the series counts from the row's own receipt, the feed leg of 2 ns earlier."""
    marks: dict[Any, float] = {}
    made = prices([BOOK], marks=marks, feed_ns=2)
    made.on_top(QuoteTick(7, 7, VENUE, "X", 99.0, 1.0, 100.01, 1.0))
    assert marks == {KEY: pytest.approx(99.505)}
    reader = PriceReader(made.series[KEY])
    assert [column.tolist() for column in reader.at(np.array([4, 5, 6]))] == [[0, 99505, 99505], [False, True, True]]
    assert reader.scale == 3


def test_the_first_price_is_the_open_of_the_first_bar_or_the_first_tick() -> None:
    assert prices([BARS], "bars").first(KEY) == 7.0
    assert prices([PRINTS], "trades").first(KEY) == 100.0
    assert prices([BOOK]).first(KEY) is None
    assert prices([tape_of(flat("1"), "Y")]).first(KEY) is None
