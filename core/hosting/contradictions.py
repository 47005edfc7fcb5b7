"""What a wish says twice, half, or against itself: found before anything becomes an order.

Each check answers with one sentence, or None. What a venue cannot do is not known here: `core.order_kinds.emulation`
knows.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from core.events import Signal
from core.orders import TRIGGERED

LIMIT_TYPES = ("limit", "stop_limit", "take_profit_limit")
WAITS_FOR_MARKET = ("stop_market", "take_profit_market")
STOPS = ("stop_loss", "stop_loss_distance", "stop_loss_bps")
TARGETS = ("take_profit", "take_profit_distance", "take_profit_bps")
TRAILS = ("trail_bps", "trail_distance")
SIZES = ("qty", "notional", "fraction", "quote_qty")
TRIGGER_TYPES = tuple(sorted(TRIGGERED - {"trailing_stop_market"}))
ALL = Decimal(10_000)
"""Basis points of the whole price."""


def contradiction(signal: Signal) -> str | None:
    """The first thing that is wrong with a wish; None where it is one."""
    return (
        _wish(signal)
        or (_amendment(signal) if signal.amend is not None else None)
        or (_size(signal) if signal.side is not None else _no_order(signal))
        or _price(signal)
        or _trigger(signal)
        or _trail(signal)
        or _time_in_force(signal)
        or _bracket(signal)
    )


def _wish(signal: Signal) -> str | None:
    """Exactly one of them."""
    sided, targeted, amends = signal.side is not None, signal.target is not None, signal.amend is not None
    if sided + targeted + amends + signal.close + bool(signal.cancel) == 1:
        return None
    wishes = {"side": sided, "target": targeted, "close": signal.close, "cancel": signal.cancel, "amend": amends}
    found = " and ".join(name for name, given in wishes.items() if given) or "none"
    return f"expected exactly one of side (or action), target, close, cancel, amend; found {found}"


def _amendment(signal: Signal) -> str | None:
    news = ("price", "qty", "trigger_price", "stop_loss", "take_profit")
    if _given(signal, news):
        return None
    return f"`amend` needs a new {', '.join(f'`{name}`' for name in news[:-1])} or `{news[-1]}`"


def _no_order(signal: Signal) -> str | None:
    """A target, a close or a change is no order of its own kind."""
    names = [*STOPS, *TARGETS] if signal.amend is None else [*STOPS[1:], *TARGETS[1:]]
    said = _given(signal, ("quote_qty", "price_match", "iceberg", "oco", *names))
    if signal.close_position:
        said.append("close_position")
    return f"`{said[0]}` needs a `side`: it belongs to a new order" if said else None


def _size(signal: Signal) -> str | None:
    sizes = _given(signal, SIZES)
    if signal.close_position:
        if sizes:
            return f"`close_position` closes all that is held: `{sizes[0]}` has no place beside it"
        if signal.type not in WAITS_FOR_MARKET:
            return (
                f"`close_position` needs a `type` that waits: {' or '.join(WAITS_FOR_MARKET)}; to be out now, `close`"
            )
    elif len(sizes) != 1:
        found = " and ".join(sizes) if sizes else "none"
        return f"an order needs exactly one of qty, notional, fraction, quote_qty; found {found}"
    if signal.quote_qty is not None and (signal.type not in (None, "market") or _is_priced(signal)):
        return "`quote_qty` is the size of a market order; of others, `notional`"
    if signal.iceberg is not None:
        if kind_of(signal) != "limit":
            return "`iceberg` is what a limit order shows: it needs a `price`"
        if signal.tif in ("ioc", "fok"):
            return f"`iceberg` contradicts `tif: {signal.tif}`: nothing of it would rest"
    return None


def _price(signal: Signal) -> str | None:
    kind, priced = signal.type, _is_priced(signal)
    if signal.price is not None and signal.price_match is not None:
        return "`price` and `price_match` are two prices: say one"
    if kind in LIMIT_TYPES and not priced:
        return f"a {kind} order needs a `price`"
    if (kind == "market" and priced) or (signal.post_only and not priced):
        return "a market order has no `price` and cannot be `post_only`"
    if (signal.slippage_tolerance is None) != (signal.slippage_tolerance_type is None):
        return "`slippage_tolerance` and `slippage_tolerance_type` (ticks or percent) go together"
    if signal.slippage_tolerance is not None and kind_of(signal) != "market":
        return "`slippage_tolerance` bounds a market order: this one has a price"
    if signal.oco is not None and kind_of(signal) == "market":
        return "`oco` needs orders that wait: a market order trades at once"
    return None


def _trigger(signal: Signal) -> str | None:
    kind = signal.type
    if kind in TRIGGER_TYPES and signal.trigger_price is None:
        return f"a {kind} order needs a `trigger_price`"
    if signal.trigger_price is not None and kind not in TRIGGER_TYPES and signal.amend is None:
        return f"`trigger_price` needs a `type` that waits for it: one of {', '.join(TRIGGER_TYPES)}"
    if signal.trigger_by != "last" and kind not in TRIGGERED and not _given(signal, (*STOPS, *TARGETS)):
        return f"`trigger_by: {signal.trigger_by}` says nothing of an order without a trigger"
    side, target = signal.position_side, signal.target
    if side != "net" and target and (target > 0) != (side == "long"):
        sign = "negative" if side == "long" else "positive"
        return f"a {side} position has no target of {target:f}: it is never {sign}"
    return None


def _trail(signal: Signal) -> str | None:
    trails = _given(signal, TRAILS)
    if signal.type == "trailing_stop_market":
        if len(trails) != 1:
            return f"a trailing stop needs exactly one of {', '.join(TRAILS)}; found {' and '.join(trails) or 'none'}"
        if signal.trail_bps is not None and signal.trail_bps >= ALL:
            return f"`trail_bps` is {signal.trail_bps:f}: {ALL} basis points are the whole price"
        return None
    said = trails or _given(signal, ("activation_price",))
    return f"`{said[0]}` needs `type: trailing_stop_market`" if said else None


def _time_in_force(signal: Signal) -> str | None:
    if signal.tif == "gtd" and signal.good_till is None:
        return "`tif: gtd` needs `good_till`, int nanoseconds UTC"
    if signal.post_only and signal.tif in ("ioc", "fok"):
        return f"`post_only` contradicts `tif: {signal.tif}`"
    if signal.tif in ("day", "gtd") and signal.side is not None and kind_of(signal) == "market":
        return f"`tif: {signal.tif}` says when an order that waits ends: a market order trades at once"
    return None


def _bracket(signal: Signal) -> str | None:
    if signal.side is None:
        return None
    stops, targets = _given(signal, STOPS), _given(signal, TARGETS)
    for said in (stops, targets):
        if len(said) > 1:
            return f"`{said[0]}` and `{said[1]}` say the same thing twice"
    if signal.take_profit_type != "market" and not targets:
        return "`take_profit_type` needs a take-profit"
    if not stops and not targets:
        return None
    if signal.reduce_only or signal.close_position:
        return f"`{(stops + targets)[0]}` brackets an order that opens: this one only reduces"
    for name in ("stop_loss_bps", "take_profit_bps"):
        away = getattr(signal, name)
        if away is not None and away >= ALL:
            return f"`{name}` is {away:f}: {ALL} basis points are the whole price"
    up = signal.side == "buy"
    line = [("stop_loss", signal.stop_loss), ("price", signal.price), ("take_profit", signal.take_profit)]
    known = [(name, value) for name, value in line if value is not None]
    for (lower, low), (upper, high) in pairwise(known):
        if (low >= high) if up else (low <= high):
            return (
                f"of a {signal.side}, `{lower}` lies {'below' if up else 'above'} `{upper}`: found {low:f} and {high:f}"
            )
    return None


def kind_of(signal: Signal) -> str:
    """The type of the order that is meant."""
    return signal.type or ("limit" if _is_priced(signal) else "market")


def _is_priced(signal: Signal) -> bool:
    return signal.price is not None or signal.price_match is not None


def _given(signal: Signal, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(signal, name) is not None]
