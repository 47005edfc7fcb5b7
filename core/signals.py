"""What a strategy answered, turned into signals or refused.

An answer is None, a `Signal`, a mapping, or a list of those. A mapping has the keys of `Signal`; it may also say
`action: buy|sell|hold` for `side` and `id` for `tag`. Numbers may be int, float, Decimal or text; NaN, infinities,
negative sizes, unknown keys and unknown symbols are refused with one sentence, and nothing of the answer is sent.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

import msgspec

from core.contradictions import contradiction
from core.events import Ends, OrderType, PositionSide, SelfTrade, Signal

NUMBERS = frozenset(
    {"qty", "notional", "fraction", "quote_qty", "price", "trigger_price", "activation_price", "trail_bps",
     "trail_distance", "iceberg", "stop_loss", "stop_loss_distance", "stop_loss_bps", "take_profit",
     "take_profit_distance", "take_profit_bps", "slippage_tolerance", "target"}
)  # fmt: skip
POSITIVE = NUMBERS - {"target"}
PEG_LEVELS = tuple(f"_{level}" for level in (2, 3, 4, 5, 10, 20))
"""Of all venues; which of them a venue has, its rules say."""
ALIASES = {"action": "side", "id": "tag"}
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
MARKET_ORDER = {"side", "qty"}
CLOSE = {"close": True}
"""The two most frequent answers: complete, and without anything that could contradict."""
FLAGS = frozenset({"post_only", "reduce_only", "close", "close_position"})
TEXTS = frozenset({"symbol", "oco", "cancel", "amend", "tag"})
KEYS = frozenset(f.name for f in msgspec.structs.fields(Signal)) - {"ts", "strategy", "venue"}
MAGNITUDE = Decimal("1e15")
"""Above this a price or a size is a bug, not a wish."""


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
    if isinstance(answer, dict | Signal | Mapping):
        signal = _read_one(answer, symbols, default, ts, strategy)
        return [] if signal is None else [signal]
    if isinstance(answer, list | tuple):
        signals = [_read_one(one, symbols, default, ts, strategy) for one in answer if one is not None]
        return [signal for signal in signals if signal is not None]
    raise BadSignal(
        f"expected None, a Signal, a mapping or a list of those, got {type(answer).__name__}: {answer!r:.80}"
    )


def exact(name: str, value: Any) -> Decimal:
    """A number of the strategy's as a Decimal: a float becomes the shortest decimal it prints as."""
    if type(value) is Decimal:
        number = value
    elif type(value) is float:
        number = Decimal(repr(value))
    elif isinstance(value, bool):
        raise BadSignal(f"`{name}` is {value}, expected a number")
    elif isinstance(value, int | str):
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise BadSignal(f"`{name}` is {value!r}, expected a number") from None
    else:
        try:
            number = Decimal(repr(float(value)))
        except (TypeError, ValueError):
            raise BadSignal(f"`{name}` is {value!r:.60} ({type(value).__name__}), expected a number") from None
    if not number.is_finite():
        raise BadSignal(f"`{name}` is {value!r}, expected a finite number")
    if not -MAGNITUDE <= number <= MAGNITUDE:
        raise BadSignal(f"`{name}` is {value!r}, beyond {MAGNITUDE:f}")
    if name in POSITIVE and number <= 0:
        raise BadSignal(f"`{name}` is {value!r}, expected more than 0")
    return number


def _read_one(
    answer: Any, symbols: Mapping[str, tuple[str, str]], default: str | None, ts: int, strategy: str
) -> Signal | None:
    if isinstance(answer, Signal):
        # By identity where it is False: a target of zero equals it, and is a wish.
        fields_given = ((name, getattr(answer, name)) for name in KEYS)
        given: Any = {name: value for name, value in fields_given if value is not False and value not in (None, "")}
    elif isinstance(answer, dict | Mapping):
        given = answer
    else:
        raise BadSignal(f"expected a Signal or a mapping, got {type(answer).__name__}: {answer!r:.80}")
    fields: dict[str, Any] = {}
    for key, value in given.items():
        name = key
        if key not in KEYS:
            name = ALIASES.get(key)
            if name is None:
                raise BadSignal(_unknown_key(key))
        if value is None:
            continue
        if name in NUMBERS:
            value = exact(name, value)
        elif name in CHOICES:
            if key == "action" and value == "hold":
                return None
            if value not in CHOICES[name]:
                raise BadSignal(f"`{name}` is {value!r}, expected one of {', '.join(CHOICES[name])}")
        elif name in FLAGS and not isinstance(value, bool):
            raise BadSignal(f"`{name}` is {value!r}, expected True or False")
        elif name in TEXTS and not isinstance(value, str):
            if name != "cancel" or not isinstance(value, bool):
                expected = "True, or the text of a tag or an order id" if name == "cancel" else "text"
                raise BadSignal(f"`{name}` is {value!r:.60}, expected {expected}")
        elif name == "good_till" and type(value) is not int:
            raise BadSignal(f"`good_till` is {value!r:.60}, expected int nanoseconds UTC")
        fields[name] = value
    named = fields.pop("symbol", default)
    if named is None:
        raise BadSignal(f"`symbol` is missing; this strategy trades {', '.join(symbols)}")
    key = symbols.get(named)
    if key is None:
        near = difflib.get_close_matches(str(named), symbols, 1)
        hint = f", did you mean {near[0]}?" if near else "."
        raise BadSignal(f"unknown symbol {named!r}{hint} This strategy trades {', '.join(symbols)}")
    signal = Signal(ts=ts, strategy=strategy, venue=key[0], symbol=key[1], **fields)
    if fields.keys() != MARKET_ORDER and fields != CLOSE:
        wrong = contradiction(signal)
        if wrong is not None:
            raise BadSignal(wrong)
    return signal


def _unknown_key(key: Any) -> str:
    near = difflib.get_close_matches(str(key), [*KEYS, *ALIASES], 1)
    hint = f", did you mean `{near[0]}`?" if near else f"; known: {', '.join(sorted(KEYS))}"
    return f"unknown key `{key}`{hint}"
