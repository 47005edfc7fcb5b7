"""From rows of pages to a checked tape, whatever kind they are; and the tape that says there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters.columns import Bars, Origin, bars_joined, bars_tape
from adapters.fetching.history_rows import FundingRows, Rows, TradeRows, funding_joined, trades_joined
from adapters.marks import funding_tape, price_tape
from adapters.recorded.trade_ids import named_twice, numbered
from adapters.ticks import Ticks, tick_tape
from core.tape import COLUMNS, NARROW, Kind, Tape


def rows_tape(
    kind: Kind,
    parts: Sequence[Rows],
    *,
    venue: str,
    symbol: str,
    interval_ns: int,
    source: str,
    notes: tuple[str, ...] = (),
) -> Tape:
    """Pages one after the other as a checked tape; an empty one where they hold no rows. Raises DataError."""
    filled = [part for part in parts if len(part)]
    names: dict[str, Any] = {"venue": venue, "symbol": symbol}
    if not filled:
        return empty_tape(kind, interval_ns=interval_ns, source=source, notes=notes, **names)
    origin = Origin(source)
    if kind in ("bars", "marks", "index"):
        bars = bars_joined([part for part in filled if isinstance(part, Bars)], origin)
        names |= {"interval_ns": interval_ns, "origin": origin, "notes": notes}
        return bars_tape(bars, **names) if kind == "bars" else price_tape(kind, bars, **names)
    if kind == "trades":
        trades = trades_joined([part for part in filled if isinstance(part, TradeRows)], origin)
        return _trades_tape(trades, names, origin, notes)
    rates = funding_joined([part for part in filled if isinstance(part, FundingRows)], origin)
    return funding_tape(rates.times, rates.rate, rates.mark, origin=origin, notes=notes, **names)


def _trades_tape(rows: TradeRows, names: dict[str, Any], origin: Origin, notes: tuple[str, ...]) -> Tape:
    ticks = Ticks(
        origin.name,
        np.arange(1, len(rows) + 1, dtype=np.int64),
        rows.times,
        None,
        {"price": rows.price},
        {"size": rows.size},
        {"side": rows.side, "flags": rows.flags},
        notes=notes,
        unit="row",
    )
    if rows.ids.dtype.kind == "S":
        return tick_tape("trades", ticks.once(named_twice(rows.ids)), **names)
    seen = numbered(rows.ids, rows.times)
    ticks.gaps = seen.gaps
    return tick_tape("trades", ticks.noted(*seen.notes).taken(seen.keep), **names)


def empty_tape(
    kind: Kind, *, venue: str, symbol: str, interval_ns: int, source: str, notes: tuple[str, ...] = ()
) -> Tape:
    """What says that a venue has no rows there."""
    columns = {name: np.zeros(0, dtype=np.int8 if name in NARROW else np.int64) for name in COLUMNS[kind]}
    return Tape(
        kind=kind,
        venue=venue,
        symbol=symbol,
        columns=columns,
        price_scale=0,
        size_scale=0,
        interval_ns=interval_ns,
        source=source,
        notes=notes,
    )
