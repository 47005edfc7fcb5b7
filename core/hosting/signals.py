"""What a strategy answered, turned into signals or refused.

An answer is None, a `Signal`, a mapping, or a list of those. A mapping has the keys of `Signal`; it may also say
`action: buy|sell|hold` for `side` and `id` for `tag`. Numbers may be int, float, Decimal or text; NaN, infinities,
negative sizes, unknown keys and unknown symbols are refused with one sentence, and nothing of the answer is sent.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

import msgspec
import numpy as np

from core.events import Ends, OrderType, PositionSide, SelfTrade, Signal
from core.exact import ZERO
from core.hosting.contradictions import contradiction

POSITIVE = frozenset(
    {"qty", "notional", "fraction", "quote_qty", "price", "trigger_price", "activation_price", "trail_bps",
     "trail_distance", "iceberg", "stop_loss", "stop_loss_distance", "stop_loss_bps", "take_profit",
     "take_profit_distance", "take_profit_bps", "slippage_tolerance"}
)  # fmt: skip
ALIASES = {"action": "side", "id": "tag"}
ELSEWHERE = {
    "amount": "qty",
    "client_order_id": "tag",
    "order_type": "type",
    "quantity": "qty",
    "size": "qty",
    "stop_price": "trigger_price",
    "time_in_force": "tif",
    "volume": "qty",
}
"""Words that venues and other programs have for a key: not taken, but known to whoever explains what is wrong."""
PEG_LEVELS = tuple(f"_{level}" for level in (2, 3, 4, 5, 10, 20))
"""Of all venues; which of them a venue has, its rules say."""
CHOICES: dict[str, tuple[str, ...]] = {
    "side": ("buy", "sell"),
    "type": get_args(OrderType),
    "tif": get_args(Ends),
    "position_side": get_args(PositionSide),
    "trigger_by": ("last", "mark", "index"),
    "stp": get_args(SelfTrade),
    "take_profit_type": ("market", "limit"),
    "slippage_tolerance_type": ("ticks", "percent"),
    "price_match": tuple(f"{peg}{level}" for peg in ("opponent", "queue") for level in ("", *PEG_LEVELS)),
}
CLOSE = {"close": True}
STAY = {"close": False}
"""A condition that is not met: `{"close": price < average}` wants nothing then."""
WHOLE = frozenset(
    frozenset({"side", "qty", *price, *tag})
    for price in ((), ("price",), ("price", "post_only"))
    for tag in ((), ("tag",))
)
"""What most answers say: complete, and nothing of it could contradict the rest."""
FLAGS = frozenset({"post_only", "reduce_only", "close", "close_position"})
TEXTS = frozenset({"symbol", "oco", "amend", "tag"})
WISHES = (dict, Signal, Mapping)
LISTS = (list, tuple)
NUMBERS = (str, int, Decimal)
"""What is read as it is; whatever else can be a float is one."""
KEYS = frozenset(f.name for f in msgspec.structs.fields(Signal)) - {"ts", "strategy", "venue"}
MAGNITUDE = Decimal("1e15")
"""Above this a price or a size is a bug, not a wish."""
TEXT_MAX = 200
"""Characters of a tag: it stands in every file of a run, and no tag of a sane strategy is longer."""


class BadSignal(ValueError):
    """An answer that is no signal; the sentence says why."""


def read_answer(
    answer: Any, symbols: Mapping[str, tuple[str, str]], default: str | None, *, ts: int, strategy: str
) -> list[Signal]:
    """Signals of an answer, with `venue`, `symbol` and exact numbers filled in. Raises BadSignal.

    `symbols` maps the names a strategy may use to (venue, symbol); `default` is used where it names none.
    """
    if answer is None:
        return []
    if isinstance(answer, WISHES):
        signal = _read_one(answer, symbols, default, ts, strategy)
        return [] if signal is None else [signal]
    if isinstance(answer, LISTS):
        signals = [_read_one(one, symbols, default, ts, strategy) for one in answer if one is not None]
        return [signal for signal in signals if signal is not None]
    found = f"{type(answer).__name__}: {' '.join(repr(answer).split()):.80}"
    advice = "; it has a `yield`: return a list instead" if isinstance(answer, Iterator | AsyncIterator) else ""
    raise BadSignal(f"expected None, a Signal, a mapping or a list of those, got {found}{advice}")


def _number(name: str, value: Any) -> Decimal:
    """A number of the strategy's as a Decimal: a float becomes the shortest decimal it prints as."""
    if type(value) is float:
        number = Decimal(repr(value))
    elif isinstance(value, bool):
        raise BadSignal(f"`{name}` is {value}, expected a number")
    elif isinstance(value, NUMBERS):
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise BadSignal(f"`{name}` is {value!r:.60}, expected a number") from None
    else:
        try:
            number = Decimal(repr(float(value)))
        except (TypeError, ValueError):
            raise BadSignal(f"`{name}` is {value!r:.60} ({type(value).__name__}), expected a number") from None
    if number.is_finite() and ZERO < number <= MAGNITUDE:
        return number
    if not number.is_finite():
        raise BadSignal(f"`{name}` is {value!r}, expected a finite number")
    if abs(number) > MAGNITUDE:
        raise BadSignal(f"`{name}` is {value!r:.60}, beyond {MAGNITUDE:f}")
    if name in POSITIVE:
        raise BadSignal(f"`{name}` is {value!r}, expected more than 0")
    return number


def _choice(name: str, value: Any) -> Any:
    if value not in CHOICES[name]:
        raise BadSignal(f"`{name}` is {value!r}, expected one of {', '.join(CHOICES[name])}")
    return value


def _flag(name: str, value: Any) -> Any:
    if not isinstance(value, bool | np.bool_):
        raise BadSignal(f"`{name}` is {value!r}, expected True or False")
    return bool(value)


def _text(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        raise BadSignal(f"`{name}` is {value!r:.60}, expected text")
    if len(value) > TEXT_MAX or not value.isprintable():
        raise BadSignal(f"`{name}` is {value!r:.60}, expected at most {TEXT_MAX} characters, all of them printable")
    return value


def _cancel(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return _text(name, value)
    if not isinstance(value, bool | np.bool_):
        raise BadSignal(f"`{name}` is {value!r:.60}, expected True, or the text of a tag or an order id")
    return bool(value)


def _time(name: str, value: Any) -> Any:
    if type(value) is not int:
        raise BadSignal(f"`{name}` is {value!r:.60}, expected int nanoseconds UTC")
    return value


Reader = Callable[[str, Any], Any]
READERS: dict[str, tuple[str, Reader]] = {
    **{name: (name, _number) for name in (*sorted(POSITIVE), "target")},
    **{name: (name, _choice) for name in CHOICES},
    **{name: (name, _flag) for name in FLAGS},
    **{name: (name, _text) for name in TEXTS},
    "cancel": ("cancel", _cancel),
    "good_till": ("good_till", _time),
}
READERS |= {alias: READERS[name] for alias, name in ALIASES.items()}
"""By the key of an answer: the field of the signal that it fills, and who checks its value."""


def _read_one(
    answer: Any, symbols: Mapping[str, tuple[str, str]], default: str | None, ts: int, strategy: str
) -> Signal | None:
    fields: dict[str, Any] = {}
    for key, value in (answer if type(answer) is dict else _given(answer)).items():
        reader = READERS.get(key)
        if reader is None:
            raise BadSignal(_unknown_key(key))
        if value is None:
            continue
        if key == "action" and value == "hold":
            return None
        name, read = reader
        given = read(name, value)
        first = fields.setdefault(name, given)
        if first is not given and first != given:
            raise BadSignal(f"`{name}` is said twice, as {first!r} and (`{key}`) as {given!r}: say it once")
    named = fields.pop("symbol", default)
    if named is None:
        raise BadSignal(f"`symbol` is missing; this strategy trades {', '.join(symbols)}")
    market = symbols.get(named)
    if market is None:
        near = difflib.get_close_matches(str(named), symbols, 1)
        hint = f", did you mean {near[0]}?" if near else "."
        raise BadSignal(f"unknown symbol {named!r}{hint} This strategy trades {', '.join(symbols)}")
    signal = Signal(ts=ts, strategy=strategy, venue=market[0], symbol=market[1], **fields)
    if fields != CLOSE and frozenset(fields) not in WHOLE:
        if fields == STAY:
            return None
        wrong = contradiction(signal)
        if wrong is not None:
            raise BadSignal(wrong)
    return signal


def _given(answer: Any) -> Mapping[Any, Any]:
    """What an answer says that is no dict."""
    if isinstance(answer, Signal):
        # By identity where it is False: a target of zero equals it, and is a wish.
        fields = ((name, getattr(answer, name)) for name in KEYS)
        return {name: value for name, value in fields if value is not False and value not in (None, "")}
    if isinstance(answer, Mapping):
        return answer
    raise BadSignal(f"expected a Signal or a mapping, got {type(answer).__name__}: {answer!r:.80}")


def _unknown_key(key: Any) -> str:
    word = str(key)
    near = [ELSEWHERE[word]] if word in ELSEWHERE else difflib.get_close_matches(word, sorted(READERS), 1)
    hint = f", did you mean `{near[0]}`?" if near else f"; known: {', '.join(sorted(KEYS))}"
    return f"unknown key `{key}`{hint}"
