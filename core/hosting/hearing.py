"""What a strategy hears of a symbol, and what of it calls it: the config's `hears`, `timer` and `call`, completed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import msgspec

from core.config import StrategySection

Key = tuple[str, str]
Kinds = Mapping[Key, Collection[str]]
"""(venue, symbol) of a strategy to the kinds its data have, in the order of its symbols."""
TICKS = ("trades", "quotes", "depth")
"""The finer streams, in the order in which one of them is taken where there are no bars."""


class Hearing(msgspec.Struct, frozen=True):
    """What one strategy hears of one symbol."""

    shown: tuple[str, ...] = ("bars",)
    """Streams it is shown; `bars` among them may be built from trades."""
    calls: tuple[str, ...] = ("bars",)
    """Those that call it. Empty: a timer does."""
    builds_bars: bool = False
    """Bars of its `signal_interval` are built from trades: the data have none."""

    @property
    def streams(self) -> tuple[str, ...]:
        """What has to be subscribed for it."""
        wanted = tuple(kind for kind in self.shown if kind != "bars" or not self.builds_bars)
        return (*wanted, "trades") if self.builds_bars and "trades" not in wanted else wanted


class Hearings(NamedTuple):
    """What one strategy hears of all its symbols."""

    by_symbol: dict[Key, Hearing]
    together: bool
    """It is called once per interval, when the bars of all its symbols are in."""


def hearings(entry: StrategySection, kinds: Kinds) -> Hearings:
    """Everything the strategy hears, with what the config leaves out filled in."""
    shown = {key: _shown(entry, found) for key, found in kinds.items()}
    only_bars = all(one == ("bars",) for one in shown.values())
    together = entry.timer is None and (
        entry.call == "together" or (entry.call is None and len(kinds) > 1 and only_bars)
    )
    heard = {}
    for key, one in shown.items():
        calls = () if entry.timer is not None else ("bars",) if together else one
        heard[key] = Hearing(one, calls, "bars" in one and "bars" not in kinds[key])
    return Hearings(heard, together)


def _shown(entry: StrategySection, kinds: Collection[str]) -> tuple[str, ...]:
    """Without `hears`: bars where there are any, or where its `signal_interval` can be built from trades.

    Else with a timer and depth nothing: it looks at the book when called. Else the first of trades, quotes, depth.
    """
    bars = "bars" in kinds or (entry.signal_interval is not None and "trades" in kinds)
    if entry.hears is not None:
        return tuple(kind for kind in entry.hears if (bars if kind == "bars" else kind in kinds))
    if bars:
        return ("bars",)
    if entry.timer is not None and "depth" in kinds:
        return ()
    return tuple(kind for kind in TICKS if kind in kinds)[:1]


def problems(entry: StrategySection, kinds: Kinds) -> Iterator[tuple[str, str]]:
    """(key, sentence) for each wish of the strategy that the data cannot meet."""
    heard = hearings(entry, kinds).by_symbol
    symbols = ", ".join(key[1] for key in heard)
    for at, kind in enumerate(entry.hears or ()):
        if not any(kind in one.shown for one in heard.values()):
            more = "; bars can be built from trades where there is a `signal_interval`" if kind == "bars" else ""
            yield f"hears[{at}]", f"no entry of `data` has {kind} of {symbols}: add one, or leave it out{more}"
    without = [key[1] for key, one in heard.items() if "bars" not in one.shown]
    if entry.call == "together" and without:
        yield "call", f"`together` waits for the bars of every symbol, it hears none of {', '.join(without)}: use each"
    if len(without) == len(heard):
        if entry.signal_interval is not None:
            yield "signal_interval", "it hears no bars: give `data` bars or trades, and `hears` its bars"
        if entry.warmup:
            yield "warmup", f"{entry.warmup} closed bars would never come, it hears none: leave it out"
    if entry.input == "pandas" and not any({"bars", "trades", "quotes"} & set(one.shown) for one in heard.values()):
        yield "input", "a table is made of bars, trades or quotes and it hears none: use view or dict"
    mute = [key[1] for key, one in heard.items() if not one.shown and not {"depth", "quotes"} & set(kinds[key])]
    if mute and entry.hears is None:
        yield "symbols", f"nothing can be heard of {', '.join(mute)}: add bars, trades, quotes or depth to `data`"
