"""What a strategy may answer, what becomes of it, and what each mistake is told."""

from __future__ import annotations

import re
from collections import UserDict
from contextlib import suppress
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import Signal
from core.hosting.signals import BadSignal, read_answer

D = Decimal
SYMBOLS = {"BTCUSDT": ("v", "BTCUSDT"), "v:BTCUSDT": ("v", "BTCUSDT"), "ETHUSDT": ("v", "ETHUSDT")}


def read(answer: Any, default: str | None = "BTCUSDT") -> list[Signal]:
    return read_answer(answer, SYMBOLS, default, ts=7, strategy="s")


def wish(**fields: Any) -> Signal:
    return Signal(**{"ts": 7, "strategy": "s", "venue": "v", "symbol": "BTCUSDT", **fields})


GOOD: list[tuple[Any, list[Signal]]] = [
    (None, []),
    ([], []),
    ([None], []),
    ({"action": "hold"}, []),
    ({"side": "buy", "qty": 1}, [wish(side="buy", qty=D(1))]),
    ({"action": "sell", "qty": "0.10"}, [wish(side="sell", qty=D("0.10"))]),
    # A float becomes the shortest decimal it prints as, not its binary tail.
    ({"side": "buy", "qty": 0.1}, [wish(side="buy", qty=D("0.1"))]),
    ({"side": "buy", "qty": np.float64(0.1)}, [wish(side="buy", qty=D("0.1"))]),
    ({"side": "buy", "qty": np.float32(0.5)}, [wish(side="buy", qty=D("0.5"))]),
    ({"side": "buy", "qty": np.int64(3)}, [wish(side="buy", qty=D(3))]),
    ({"side": "buy", "notional": D(100), "price": 99.5}, [wish(side="buy", notional=D(100), price=D("99.5"))]),
    ({"side": "buy", "fraction": 0.5, "symbol": "ETHUSDT"}, [wish(side="buy", fraction=D("0.5"), symbol="ETHUSDT")]),
    ({"side": "buy", "qty": 1, "symbol": "v:BTCUSDT"}, [wish(side="buy", qty=D(1))]),
    ({"target": 0}, [wish(target=D(0))]),
    ({"target": -2.5}, [wish(target=D("-2.5"))]),
    ({"close": True}, [wish(close=True)]),
    ({"cancel": True}, [wish(cancel=True)]),
    # A condition of numpy's or pandas' is an np.bool_; one that is not met wants nothing.
    ({"close": np.float64(1) < 2}, [wish(close=True)]),
    ({"close": np.float64(2) < 1}, []),
    ({"close": False, "symbol": "ETHUSDT"}, []),
    ({"cancel": np.True_}, [wish(cancel=True)]),
    ({"side": "buy", "qty": 1, "price": 9, "post_only": np.True_, "reduce_only": np.False_},
     [wish(side="buy", qty=D(1), price=D(9), post_only=True)]),
    ({"side": "buy", "action": "buy", "qty": 1}, [wish(side="buy", qty=D(1))]),
    ({"cancel": "entry"}, [wish(cancel="entry")]),
    ({"amend": "entry", "price": 5}, [wish(amend="entry", price=D(5))]),
    ({"id": "entry", "side": "buy", "qty": 1}, [wish(tag="entry", side="buy", qty=D(1))]),
    ({"side": "buy", "qty": 1, "price": None, "tag": None}, [wish(side="buy", qty=D(1))]),
    (
        {"side": "sell", "qty": 1, "type": "stop_market", "trigger_price": 90, "reduce_only": True},
        [wish(side="sell", qty=D(1), type="stop_market", trigger_price=D(90), reduce_only=True)],
    ),
    (
        {"side": "buy", "qty": 1, "price": 9, "tif": "gtd", "good_till": 99, "post_only": True},
        [wish(side="buy", qty=D(1), price=D(9), tif="gtd", good_till=99, post_only=True)],
    ),
    ({"side": "buy", "qty": 1, "stop_loss": 9, "take_profit_bps": 50, "trigger_by": "mark"},
     [wish(side="buy", qty=D(1), stop_loss=D(9), take_profit_bps=D(50), trigger_by="mark")]),
    ({"side": "sell", "type": "stop_market", "trigger_price": 9, "close_position": True},
     [wish(side="sell", type="stop_market", trigger_price=D(9), close_position=True)]),
    (Signal(side="buy", qty=D(1), price_match="queue_5", iceberg=D("0.1"), tif="day"),
     [wish(side="buy", qty=D(1), price_match="queue_5", iceberg=D("0.1"), tif="day")]),
    ({"amend": "entry", "stop_loss": 5}, [wish(amend="entry", stop_loss=D(5))]),
    (MappingProxyType({"side": "buy", "qty": 1}), [wish(side="buy", qty=D(1))]),
    (UserDict({"side": "buy", "qty": 1}), [wish(side="buy", qty=D(1))]),
    (Signal(side="buy", qty=D(1)), [wish(side="buy", qty=D(1))]),
    (Signal(side="buy", qty=2.5), [wish(side="buy", qty=D("2.5"))]),
    (Signal(symbol="ETHUSDT", close=True), [wish(symbol="ETHUSDT", close=True)]),
    (Signal(target=D(0)), [wish(target=D(0))]),
    # What a strategy says of time, name and venue is not its to say.
    (Signal(ts=1, strategy="other", venue="w", cancel=True), [wish(cancel=True)]),
    (
        [{"cancel": True}, None, Signal(side="sell", qty=D(1)), {"action": "hold"}, {"target": 1}],
        [wish(cancel=True), wish(side="sell", qty=D(1)), wish(target=D(1))],
    ),
    (({"close": True}, {"symbol": "ETHUSDT", "close": True}), [wish(close=True), wish(symbol="ETHUSDT", close=True)]),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "expected"), GOOD, ids=[repr(a)[:60] for a, _ in GOOD])
def test_a_good_answer_becomes_signals_with_exact_numbers(answer: Any, expected: list[Signal]) -> None:
    assert read(answer) == expected


NAN, INF = float("nan"), float("inf")
ORDER = {"side": "buy", "qty": 1}
BAD: list[tuple[Any, str]] = [
    ({"action": "buy", "side": "sell", "qty": 1}, "`side` is said twice, as 'buy' and .`side`. as 'sell'"),
    ({**ORDER, "tag": "a", "id": "b"}, "`tag` is said twice, as 'a' and .`id`. as 'b': say it once"),
    ({**ORDER, "close": False, "target": 1}, "found side and target"),
    ((one for one in [ORDER]), "got generator: .*; it has a `yield`: return a list instead"),
    # numbers
    ({"side": "buy", "qty": NAN}, "`qty` is nan, expected a finite number"),
    ({"side": "buy", "qty": np.float64("nan")}, "expected a finite number"),
    ({"side": "buy", "qty": INF}, "`qty` is inf, expected a finite number"),
    ({"side": "buy", "qty": "NaN"}, "expected a finite number"),
    ({"side": "buy", "qty": D("sNaN")}, "expected a finite number"),
    ({"side": "buy", "qty": D("-Infinity")}, "expected a finite number"),
    ({"target": NAN}, "`target` is nan, expected a finite number"),
    ({"side": "buy", "qty": 0}, "`qty` is 0, expected more than 0"),
    ({"side": "buy", "qty": -1}, "`qty` is -1, expected more than 0"),
    ({**ORDER, "price": 0.0}, "`price` is 0.0, expected more than 0"),
    ({"side": "buy", "notional": -5}, "`notional` is -5, expected more than 0"),
    ({"side": "buy", "qty": 1e308}, "beyond 1000000000000000"),
    ({"target": -1e16}, "beyond 1000000000000000"),
    ({"side": "buy", "qty": True}, "`qty` is True, expected a number"),
    ({"side": "buy", "qty": "many"}, "`qty` is 'many', expected a number"),
    ({"side": "buy", "qty": [1]}, "`qty` is .1. .list., expected a number"),
    ({"side": "buy", "qty": np.array([1.0, 2.0])}, "ndarray., expected a number"),
    (Signal(side="buy", qty=D(0)), "`qty` is Decimal..0.., expected more than 0"),
    (Signal(side="buy", qty=D("NaN")), "expected a finite number"),
    # words
    ({"side": "long", "qty": 1}, "`side` is 'long', expected one of buy, sell"),
    ({"action": "BUY", "qty": 1}, "`side` is 'BUY', expected one of buy, sell"),
    ({**ORDER, "type": "iceberg"}, "`type` is 'iceberg', expected one of limit, market"),
    ({**ORDER, "price": 1, "tif": "week"}, "`tif` is 'week', expected one of gtc, ioc, fok, gtd"),
    ({**ORDER, "reduce_only": 1}, "`reduce_only` is 1, expected True or False"),
    ({**ORDER, "tag": 5}, "`tag` is 5, expected text"),
    ({"amend": 5, "price": 1}, "`amend` is 5, expected text"),
    ({"cancel": 5}, "`cancel` is 5, expected"),
    # text that no file could hold, or that would say something else on a terminal
    ({**ORDER, "tag": "a\ud800"}, "`tag` is .*, expected at most 200 characters, all of them printable"),
    ({**ORDER, "tag": "a\nb"}, "all of them printable"),
    ({**ORDER, "price": 1, "oco": "\x1b[2J"}, "`oco` is .* printable"),
    ({"cancel": "\ud800"}, "`cancel` is .* printable"),
    ({**ORDER, "tag": "a" * 201}, "`tag` is 'a{59}, expected at most 200 characters"),
    ({**ORDER, "qty": 10**400}, "`qty` is 10{59}, beyond 1000000000000000$"),
    ({**ORDER, "price": 1, "tif": "gtd", "good_till": "tomorrow"}, "`good_till` is 'tomorrow', expected"),
    ({**ORDER, "price": 1, "tif": "gtd", "good_till": 1.5}, "`good_till` is 1.5, expected"),
    # keys and symbols, with the nearest name
    ({"side": "buy", "quantity": 1}, "unknown key `quantity`"),
    ({"side": "buy", "qty": 1, "reduceonly": True}, "unknown key `reduceonly`, did you mean `reduce_only`?"),
    ({"side": "buy", "quantity": 1}, "unknown key `quantity`, did you mean `qty`?"),
    ({"side": "buy", "qty": 1, "prise": 3}, "unknown key `prise`, did you mean `price`?"),
    ({"side": "buy", "qty": 1, "ts": 3}, "unknown key `ts`"),
    ({7: 1}, "unknown key `7`"),
    ({**ORDER, "symbol": "BTCUSD"}, "unknown symbol 'BTCUSD', did you mean BTCUSDT?"),
    ({**ORDER, "symbol": "zzz"}, "unknown symbol 'zzz'.* trades BTCUSDT"),
    # wishes
    ({}, "expected exactly one of side .* found none"),
    ({"qty": 1}, "expected exactly one of side .* found none"),
    ({"side": "buy", "qty": 1, "close": True}, "found side and close"),
    ({"target": 1, "cancel": True}, "found target and cancel"),
    ({"cancel": False}, "found none"),
    ({"side": "buy"}, "exactly one of qty, notional, fraction, quote_qty; found none"),
    ({"side": "buy", "qty": 1, "notional": 5}, "found qty and notional"),
    ({"amend": "x"}, "`amend` needs a new `price`, `qty`, `trigger_price`, `stop_loss` or `take_profit`"),
    # what an order type needs and what contradicts it
    ({**ORDER, "type": "limit"}, "a limit order needs a `price`"),
    ({**ORDER, "type": "stop_market"}, "a stop_market order needs a `trigger_price`"),
    ({**ORDER, "type": "take_profit_limit", "trigger_price": 5}, "take_profit_limit order needs a `price`"),
    ({**ORDER, "type": "market", "price": 5}, "a market order has no `price`"),
    ({**ORDER, "post_only": True}, "cannot be `post_only`"),
    ({**ORDER, "price": 5, "post_only": True, "tif": "ioc"}, "`post_only` contradicts `tif: ioc`"),
    ({**ORDER, "price": 5, "tif": "gtd"}, "`tif: gtd` needs `good_till`"),
    # A trigger price without a type that waits for it would be an order that trades at once.
    ({"side": "sell", "qty": 1, "trigger_price": 90}, "`trigger_price` needs a `type`"),
    ({"side": "sell", "qty": 1, "price": 91, "trigger_price": 90}, "`trigger_price` needs a `type`"),
    ({**ORDER, "price": 5, "trigger_by": "mark"}, "`trigger_by: mark` says nothing of an order without a trigger"),
    ({**ORDER, "stp": "cancel"}, "`stp` is 'cancel', expected one of none, expire_maker"),
    # sizes that are no quantity
    ({"side": "buy", "quote_qty": 5, "price": 1}, "`quote_qty` is the size of a market order"),
    ({"side": "buy", "quote_qty": 5, "qty": 1}, "one of qty, notional, fraction, quote_qty; found qty and quote"),
    ({**ORDER, "close_position": True}, "`close_position` closes all that is held: `qty` has no place"),
    ({"side": "sell", "close_position": True}, "`close_position` needs a `type` that waits"),
    ({**ORDER, "price": 1, "price_match": "queue"}, "`price` and `price_match` are two prices"),
    ({**ORDER, "price_match": "queue_7"}, "`price_match` is 'queue_7', expected one of opponent, opponent_2"),
    ({**ORDER, "type": "market", "price_match": "queue"}, "a market order has no `price`"),
    ({**ORDER, "slippage_tolerance": 5}, "`slippage_tolerance` and `slippage_tolerance_type` .* go together"),
    ({**ORDER, "iceberg": 0.1}, "`iceberg` is what a limit order shows"),
    ({**ORDER, "price": 5, "iceberg": 0.1, "tif": "ioc"}, "`iceberg` contradicts `tif: ioc`"),
    ({**ORDER, "iceberg": 0, "price": 5}, "`iceberg` is 0, expected more than 0"),
    ({**ORDER, "oco": "exit"}, "`oco` needs orders that wait"),
    ({"target": 1, "oco": "exit"}, "`oco` needs a `side`"),
    ({**ORDER, "tif": "day"}, "`tif: day` says when an order that waits ends"),
    # trailing stops
    ({**ORDER, "trail_bps": 5}, "`trail_bps` needs `type: trailing_stop_market`"),
    ({**ORDER, "activation_price": 5}, "`activation_price` needs `type: trailing_stop_market`"),
    ({**ORDER, "type": "trailing_stop_market"}, "exactly one of trail_bps, trail_distance; found none"),
    ({**ORDER, "type": "trailing_stop_market", "trail_bps": 1, "trail_distance": 1}, "found trail_bps and trail_dist"),
    ({**ORDER, "type": "trailing_stop_market", "trail_bps": 10000}, "10000 basis points are the whole price"),
    # brackets
    ({**ORDER, "stop_loss": 5, "stop_loss_bps": 5}, "`stop_loss` and `stop_loss_bps` say the same thing twice"),
    ({**ORDER, "stop_loss": 5, "reduce_only": True}, "`stop_loss` brackets an order that opens"),
    ({**ORDER, "take_profit_type": "limit"}, "`take_profit_type` needs a take-profit"),
    ({**ORDER, "stop_loss": 6, "take_profit": 5}, "of a buy, `stop_loss` lies below `take_profit`: found 6 and 5"),
    ({**ORDER, "side": "sell", "stop_loss": 5, "price": 5}, "of a sell, `stop_loss` lies above `price`: found 5 and 5"),
    ({**ORDER, "stop_loss_bps": 10000}, "`stop_loss_bps` is 10000: 10000 basis points are the whole price"),
    ({"close": True, "stop_loss": 5}, "`stop_loss` needs a `side`"),
    ({"amend": "x", "stop_loss_bps": 5}, "`amend` needs a new"),
    ({"amend": "x", "price": 1, "take_profit_bps": 5}, "`take_profit_bps` needs a `side`"),
    ({"target": -1, "position_side": "long"}, "a long position has no target of -1: it is never negative"),
    ({"target": 1, "position_side": "short"}, "a short position has no target of 1: it is never positive"),
    ({**ORDER, "position_side": "both"}, "`position_side` is 'both', expected one of net, long, short"),
    # no answer at all
    (5, "expected None, a Signal, a mapping or a list of those, got int: 5"),
    ("buy", "got str: 'buy'"),
    (True, "got bool"),
    ([{"close": True}, "buy"], "expected a Signal or a mapping, got str"),
    ([[{"close": True}]], "expected a Signal or a mapping, got list"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "message"), BAD, ids=[re.sub(" at 0x[0-9a-f]*", "", repr(a)[:60]) for a, _ in BAD])
def test_a_bad_answer_is_refused_in_one_sentence_that_names_what_is_wrong(answer: Any, message: str) -> None:
    with pytest.raises(BadSignal, match=message) as caught:
        read(answer)
    assert "\n" not in str(caught.value)


def test_nothing_of_an_answer_counts_when_one_part_of_it_is_bad() -> None:
    """The first two wishes are fine; the third is not, and none comes back."""
    with pytest.raises(BadSignal, match="unknown key `qyt`"):
        read([{"cancel": True}, {"side": "buy", "qty": 1}, {"side": "buy", "qyt": 1}])


def test_with_several_symbols_an_answer_must_say_which() -> None:
    with pytest.raises(BadSignal, match="`symbol` is missing; this strategy trades BTCUSDT, "):
        read({"close": True}, default=None)


@given(st.one_of(st.floats(), st.decimals(), st.integers(), st.text(max_size=12)))
def test_any_number_either_becomes_an_exact_positive_one_or_is_refused(value: Any) -> None:
    try:
        (signal,) = read({"side": "buy", "qty": value})
    except BadSignal:
        return
    assert signal.qty is not None and signal.qty.is_finite() and 0 < signal.qty <= D("1e15")
    if isinstance(value, float):
        assert float(signal.qty) == value


WORDS = st.sampled_from(
    ["side", "qty", "target", "close", "cancel", "price", "tag", "amend", "good_till", "symbol", "stp"]
)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)


@given(st.dictionaries(st.text(max_size=8) | WORDS, VALUES, max_size=5))
def test_garbage_is_a_bad_signal_and_never_another_error(answer: dict[str, Any]) -> None:
    """H5: whatever a strategy makes up, the one error it can cause is its own."""
    with suppress(BadSignal):
        read(answer)
