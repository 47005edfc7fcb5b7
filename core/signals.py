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

from core.events import OrderType, PositionSide, Signal, TimeInForce

LIMIT_TYPES = ("limit", "stop_limit", "take_profit_limit")
TRIGGER_TYPES = ("stop_market", "stop_limit", "take_profit_market", "take_profit_limit")
NUMBERS = frozenset({"qty", "notional", "fraction", "price", "trigger_price", "target"})
POSITIVE = NUMBERS - {"target"}
ALIASES = {"action": "side", "id": "tag"}
NO_MARKET_PRICE = "a market order has no `price` and cannot be `post_only`"
CHOICES: dict[str, tuple[str, ...]] = {
    "side": ("buy", "sell"),
    "type": get_args(OrderType),
    "tif": get_args(TimeInForce),
    "position_side": get_args(PositionSide),
    "trigger_by": ("last", "mark", "index"),
}
MARKET_ORDER = {"side", "qty"}
CLOSE = {"close": True}
"""The two most frequent answers: complete, and without anything that could contradict."""
FLAGS = frozenset({"post_only", "reduce_only", "close"})
TEXTS = frozenset({"symbol", "stp", "cancel", "amend", "tag"})
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
        _check(signal)
    return signal


def _unknown_key(key: Any) -> str:
    near = difflib.get_close_matches(str(key), [*KEYS, *ALIASES], 1)
    hint = f", did you mean `{near[0]}`?" if near else f"; known: {', '.join(sorted(KEYS))}"
    return f"unknown key `{key}`{hint}"


def _check(signal: Signal) -> None:
    """Exactly one wish, and what it needs."""
    sided, targeted, amends = signal.side is not None, signal.target is not None, signal.amend is not None
    if sided + targeted + amends + signal.close + bool(signal.cancel) != 1:
        wishes = {"side": sided, "target": targeted, "close": signal.close, "cancel": signal.cancel, "amend": amends}
        found = " and ".join(name for name, given in wishes.items() if given) or "none"
        raise BadSignal(f"expected exactly one of side (or action), target, close, cancel, amend; found {found}")
    if sided:
        sizes = [n for n in ("qty", "notional", "fraction") if getattr(signal, n) is not None]
        if len(sizes) != 1:
            found = " and ".join(sizes) if sizes else "none"
            raise BadSignal(f"an order needs exactly one of qty, notional, fraction; found {found}")
    if amends and signal.price is None and signal.qty is None:
        raise BadSignal("`amend` needs a new `price` or `qty`")
    kind = signal.type
    if kind in LIMIT_TYPES and signal.price is None:
        raise BadSignal(f"a {kind} order needs a `price`")
    if kind in TRIGGER_TYPES and signal.trigger_price is None:
        raise BadSignal(f"a {kind} order needs a `trigger_price`")
    if kind == "trailing_stop_market":
        raise BadSignal("trailing_stop_market orders are not offered yet")
    if signal.trigger_price is not None and kind not in TRIGGER_TYPES:
        raise BadSignal(f"`trigger_price` needs a `type` that waits for it: one of {', '.join(TRIGGER_TYPES)}")
    if (kind == "market" and signal.price is not None) or (signal.post_only and signal.price is None):
        raise BadSignal(NO_MARKET_PRICE)
    if signal.trigger_by != "last":
        raise BadSignal(f"`trigger_by: {signal.trigger_by}` is not offered yet: bars know the last price only")
    if signal.position_side != "net":
        raise BadSignal(
            f"`position_side` is {signal.position_side!r}: long/short belong to hedge mode, which is not offered yet"
        )
    if signal.stp is not None:
        raise BadSignal("`stp` is not offered yet: on bars orders of one account never meet each other")
    if signal.tif == "gtd" and signal.good_till is None:
        raise BadSignal("`tif: gtd` needs `good_till`, int nanoseconds UTC")
    if signal.post_only and signal.tif in ("ioc", "fok"):
        raise BadSignal(f"`post_only` contradicts `tif: {signal.tif}`")
