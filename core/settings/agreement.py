"""What the sections of a config must agree on.

Checked on the tree itself, so that it is told beside every other problem. Each check looks only at values that are
right by themselves; what is wrong there has been told by `core.settings.decode` already.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

from core.errors import Problem
from core.notation import Interval, Timestamp
from core.settings.decode import value_of
from core.settings.scalars import nearest
from core.settings.yaml_nodes import Node

Mode = Literal["backtest", "paper", "live", "replay"]

LEVERAGE_MAX = 1_000
"""Above it a number is a typing error that `core.settings.decode` refuses; the ceilings below are told up to here."""
CEILING = Decimal(150)
"""Leverage no venue we know offers more of (guess, from the 125 of Binance USD-M and the 100 of Bybit)."""
LIVE_CEILING = Decimal(20)
"""Leverage above which live refuses to start, whatever the file says."""


def cross_checks(node: Node, mode: Mode | None = None) -> Iterator[Problem]:
    """Every contradiction between sections that core can see."""
    yield from _venues(node)
    yield from _period(node)
    yield from _streams(node)
    yield from _strategies(node)
    yield from _ceilings(node, mode)


def _venues(node: Node) -> Iterator[Problem]:
    one, several = node.child("venue"), node.child("venues")
    if one is not None and several is not None:
        yield Problem(*node.place("venues"), "`venue` is given too: keep one of them")
    elif not isinstance(node.value, dict) or not {"venue", "venues"} & set(node.value):
        yield Problem(node.line, f"{node.path}.venue", "missing: expected venue: {name: …}, or venues: {…} for several")
    elif one is None and several is None and not _is_refused(node, "venue", "venues"):
        yield Problem(*node.place("venue"), "is empty: expected {name: …}")
    names = _venue_names(node) or [name for name in [_name_of_one(one)] if name is not None]
    for entry in _items(node, "data"):
        venue = entry.child("venue")
        name = _text_of(entry, "venue")
        if venue is not None and name is not None and names and name not in names:
            listed = ", ".join(names)
            yield Problem(venue.line, venue.path, f"{name} is no venue of this file, expected one of: {listed}")


def _period(node: Node) -> Iterator[Problem]:
    run = node.child("run")
    if run is None:
        return
    start, end = _quiet(run.child("start"), Timestamp), _quiet(run.child("end"), Timestamp)
    if start is not None and end is not None and start >= end:
        yield Problem(*run.place("end"), "must be after `start`")


def _streams(node: Node) -> Iterator[Problem]:
    """One entry per kind of a symbol: the second one would silently win."""
    seen: dict[tuple[Any, ...], Node] = {}
    for entry in _items(node, "data"):
        key = (_full_symbol(node, entry), _text_of(entry, "kind"))
        if None in key:
            continue
        first = seen.setdefault(key, entry)
        if first is entry:
            continue
        what = f"{key[1]} of {key[0]}"
        if _quiet(first.child("interval"), Interval) == _quiet(entry.child("interval"), Interval):
            yield Problem(entry.line, entry.path, f"{first.path} is the same stream ({what}): keep one")
        else:
            advice = "keep the shorter one; a strategy's `signal_interval` makes larger bars of it"
            yield Problem(entry.line, entry.path, f"{first.path} has {what} already, of another interval: {advice}")


def _strategies(node: Node) -> Iterator[Problem]:
    symbols = [_full_symbol(node, entry) for entry in _items(node, "data")]
    known = {symbol for symbol in symbols if symbol is not None}
    is_known_whole = bool(symbols) and None not in symbols
    names: set[str] = set()
    for entry in _items(node, "strategies"):
        name = _text_of(entry, "name")
        if name is not None and name in names:
            yield Problem(*entry.place("name"), f"another strategy is called {name} too: give each its own name")
        names.update([name] if name is not None else [])
        for symbol_node in _items(entry, "symbols"):
            symbol = _quiet(symbol_node, str)
            if symbol is not None and is_known_whole and symbol not in known:
                near = nearest(symbol, known)
                advice = f"did you mean `{near}`?" if near else f"data has: {', '.join(sorted(known))}"
                yield Problem(symbol_node.line, symbol_node.path, f"{symbol} is in no entry of `data`, {advice}")
        yield from _signal_interval(node, entry)
        risk = entry.child("risk")
        drawdown = risk.child("max_drawdown") if risk is not None else None
        if drawdown is not None and drawdown.value is not None:
            advice = "the drawdown is followed for the account only: move it to `risk.max_drawdown`"
            yield Problem(drawdown.line, drawdown.path, advice)


def _signal_interval(node: Node, entry: Node) -> Iterator[Problem]:
    """A signal interval is made of whole bars."""
    wanted = _quiet(entry.child("signal_interval"), Interval)
    symbols = {_quiet(item, str) for item in _items(entry, "symbols")}
    bars = [
        length
        for data in _items(node, "data")
        if _full_symbol(node, data) in symbols and (length := _quiet(data.child("interval"), Interval)) is not None
    ]
    if wanted is not None and bars and any(wanted % length for length in bars):
        yield Problem(*entry.place("signal_interval"), "must be a whole multiple of the interval of its symbols' bars")


def _ceilings(node: Node, mode: Mode | None) -> Iterator[Problem]:
    """Hard limits in code: a config cannot raise them."""
    ceiling, words = (LIVE_CEILING, " for live mode") if mode == "live" else (CEILING, "")
    places = [(node.child("risk"), "max_leverage"), (node.child("account"), "leverage")]
    places += [(entry.child("risk"), "max_leverage") for entry in _items(node, "strategies")]
    for section, key in places:
        found = None if section is None else section.child(key)
        if found is None:
            continue
        for leaf in found.value.values() if isinstance(found.value, dict) else [found]:
            leverage = _quiet(leaf, Decimal)
            if leverage is not None and ceiling < leverage <= LEVERAGE_MAX:
                yield Problem(leaf.line, leaf.path, f"{leverage:f} is above the hard ceiling {ceiling}{words}")


# --- reading what is right ------------------------------------------------------------------------------------------


def _quiet(node: Node | None, kind: Any) -> Any:
    """The value where it is right by itself, else None: its problem is the decoder's to tell."""
    trial: list[Problem] = []
    value = None if node is None else value_of(node, kind, trial)
    return None if trial or node is None or node.value is None else value


def _text_of(node: Node, key: str) -> str | None:
    text: str | None = _quiet(node.child(key), str)
    return text


def _items(node: Node, key: str) -> list[Node]:
    found = node.child(key)
    return found.value if found is not None and isinstance(found.value, list) else []


def _full_symbol(node: Node, entry: Node) -> str | None:
    """A data entry's symbol as strategies write it: `perp:BTCUSDT` where there are several venues."""
    symbol, venue = _text_of(entry, "symbol"), _text_of(entry, "venue")
    if symbol is None or venue not in _venue_names(node) or symbol.startswith(f"{venue}:"):
        return symbol
    return f"{venue}:{symbol}"


def _venue_names(node: Node) -> list[str]:
    """Of several venues; empty where there is one, whose symbols have no prefix."""
    several = node.child("venues")
    return list(several.value) if several is not None and isinstance(several.value, dict) else []


def _name_of_one(venue: Node | None) -> str | None:
    return None if venue is None else _text_of(venue, "name")


def _is_refused(node: Node, *keys: str) -> bool:
    values = node.value if isinstance(node.value, dict) else {}
    return any(key in values and values[key].tag == "refused" for key in keys)
