"""Runs over a few ticks held in memory, small enough to be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from core.compose import read_plan
from core.plan import Plan
from core.tape import NARROW, Kind, Tape
from tiny_run import IDEAL, START, VENUE, Shelf

MS = 1_000_000
PRICE, SIZE = 2, 3
"""Decimals of every price and size here."""
SIDES = {"buy": 1, "sell": -1, "bid": 1, "ask": -1}


def _mantissa(text: str, scale: int) -> int:
    return int(Decimal(text).scaleb(scale))


def ticks(kind: Kind, rows: Sequence[dict[str, Any]], symbol: str = "X", venue: str = VENUE, **head: Any) -> Tape:
    """A tape of rows as dicts of columns. `at` is `ts_venue` in ms after START, `ts` (ms) the receipt, else `at`."""
    made: list[dict[str, int]] = []
    for row in rows:
        at = row["at"]
        values = {"ts_venue": START + round(at * MS), "ts": START + round(row.get("ts", at) * MS)}
        for name, value in row.items():
            if name in ("at", "ts"):
                continue
            scale = SIZE if name in ("size", "bid_size", "ask_size", "rate", "volume") else PRICE
            values[name] = SIDES.get(value, 0) or _mantissa(value, scale) if isinstance(value, str) else value
        made.append(values)
    names = made[0]
    columns = {n: np.array([row[n] for row in made], dtype=np.int8 if n in NARROW else np.int64) for n in names}
    return Tape(
        kind=kind,
        venue=venue,
        symbol=symbol,
        columns=columns,
        price_scale=PRICE,
        size_scale=SIZE,
        source="test",
        **head,
    )


def trades(*rows: tuple[float, str], symbol: str = "X", size: str = "1", side: str = "buy") -> Tape:
    """Prints as (ms after START, price)."""
    same = {"size": size, "side": side, "flags": 0}
    return ticks("trades", [{"at": at, "price": price, **same} for at, price in rows], symbol)


def quotes(*rows: tuple[float, str, str], symbol: str = "X", size: str = "1") -> Tape:
    """Quotes as (ms after START, bid, ask)."""
    made = [{"at": at, "bid_price": bid, "bid_size": size, "ask_price": ask, "ask_size": size} for at, bid, ask in rows]
    return ticks("quotes", made, symbol)


def depth(*rows: tuple[float, str, str, str, int], symbol: str = "X") -> Tape:
    """Level changes as (ms after START, bid or ask, price, size, flags)."""
    names = ("at", "side", "price", "size", "flags")
    return ticks("depth", [dict(zip(names, row, strict=True)) for row in rows], symbol)


def tick_plan(
    *tapes: Tape, strategy: str | tuple[str, ...] = "s", simulation: str = IDEAL, more: str = "", run: str = ""
) -> Plan:
    """A plan over these tapes. A strategy is its name, or `name, key: value, …`; it sees every symbol."""
    symbols = list(dict.fromkeys(tape.symbol for tape in tapes))
    text = f"run: {{name: tiny, seed: 1{run}}}\nvenue: {{name: {VENUE}}}\naccount: {{balances: {{USDT: '10000'}}}}\n"
    text += f"simulation: {simulation}\ninstruments:\n"
    text += "".join(f"  {symbol}: {{tick: '0.01', step: '0.001'}}\n" for symbol in symbols) + "data:\n"
    for tape in tapes:
        interval = ", interval: 1m" if tape.kind == "bars" else ""
        text += (
            f"  - {{symbol: {tape.symbol}, kind: {tape.kind}{interval}, source: {{kind: file, path: none.parquet}}}}\n"
        )
    text += "strategies:\n"
    for one in (strategy,) if isinstance(strategy, str) else strategy:
        given = "" if "symbols:" in one else f", symbols: [{', '.join(symbols)}]"
        text += f"  - {{name: {one}{given}, class: 'strategies.ema_cross:EmaCross'}}\n"
    plan = read_plan("tiny.yaml", text=text + more)
    streams = [msgspec.structs.replace(s, source=Shelf(t)) for s, t in zip(plan.streams, tapes, strict=True)]
    return msgspec.structs.replace(plan, streams=streams)
