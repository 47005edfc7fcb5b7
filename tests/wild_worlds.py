"""Whole runs drawn from a seed: any venue, data, models and account, and strategies that ask for anything.

Prices and sizes are coarse and times coincide, so that ties, exact equality and empty books are common.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from core.compose import read_plan
from core.plan import Plan
from core.tape import LAST, NARROW, SNAPSHOT, Kind, Tape
from tiny_run import MINUTE, SECOND, START, Shelf
from wild_trader import WildTrader

MS = 1_000_000
TICK = 10
"""Mantissa of a tick of 0.1; a price of 100 is 10,000."""
VENUES = ("binance-usdm", "bybit-linear", "binance-spot", "bybit-spot")
FLAGS = (0,) * 20 + (1, 2, 4)
"""Of prints: now and then a block trade, a retail price improvement, an insurance print."""
BRACKETS = (
    ", brackets: [{floor: '0', mmr: '0.005', max_leverage: 50}, {floor: '300', mmr: '0.01', max_leverage: 20},"
    " {floor: '2000', mmr: '0.05', max_leverage: 5}], liquidation_fee: '0.01'"
)
LIMITS = (
    "{max_order_notional: '400', max_position_notional: '900', max_leverage: 20, max_drawdown: '0.5',"
    " max_orders_per_minute: 60}"
)


class World(NamedTuple):
    plan: Plan
    strategies: Callable[[], dict[str, Any]]
    """Makes them anew, for one run."""
    text: str
    """The config, to be shown with a failure."""


def world(seed: int) -> World:
    """The world of a seed."""
    chance = random.Random(seed)
    venue, data = chance.choice(VENUES), chance.choice(["books"] * 3 + ["bars"] * 2 + ["quotes", "trades"])
    spot, symbols = venue.endswith("spot"), ("X", "Y")[: chance.choice([1, 1, 2])]
    tapes = [tape for symbol in symbols for tape in _tapes(chance, data, venue, symbol)]
    if not spot:
        tapes += _rates(chance, venue, symbols, max(int(tape.columns["ts"][-1]) for tape in tapes))
    hedged = not spot and chance.random() < 0.3
    names = [f"s{number}" for number in range(chance.choice([1, 1, 2]))]
    account = _account(chance, symbols if spot else (), hedged)
    text = f"run: {{name: wild, seed: {seed}}}\nvenue: {{name: {venue}}}\naccount: {account}\n"
    text += f"simulation: {_models(chance, data)}\n"
    text += f"risk: {chance.choice(['{}', LIMITS])}\ninstruments:\n"
    least, tiers = chance.choice(["0.1", "5"]), "" if spot else chance.choice(["", BRACKETS, BRACKETS])
    for symbol in symbols:
        spec = f"tick: '0.1', step: '0.001', base: {symbol}B, quote: USDT, min_notional: '{least}'{tiers}"
        text += f"  {symbol}: {{{spec}}}\n"
    text += "data:\n"
    for tape in tapes:
        interval = ", interval: 1m" if tape.kind == "bars" else ""
        text += f"  - {{symbol: {tape.symbol}, kind: {tape.kind}{interval}, source: {{kind: file, path: none.csv}}}}\n"
    text += "strategies:\n"
    for name in names:
        text += f"  - {{name: {name}, symbols: [{', '.join(symbols)}], class: 'strategies.ema_cross:EmaCross'"
        text += f"{_calls(chance, data)}}}\n"
    plan = read_plan("wild.yaml", text=text)
    streams = [msgspec.structs.replace(s, source=Shelf(t)) for s, t in zip(plan.streams, tapes, strict=True)]

    def strategies() -> dict[str, Any]:
        return {
            name: WildTrader(seed * 10 + number, data=data, spot=spot, hedged=hedged)
            for number, name in enumerate(names)
        }

    return World(msgspec.structs.replace(plan, streams=streams), strategies, text)


def _account(chance: random.Random, bases: Sequence[str], hedged: bool) -> str:
    """On spot with some of the base of each symbol, else with a mode of everything."""
    balances = f"USDT: '{chance.choice([300, 2000, 100_000])}'"
    if bases:
        held = "".join(f", {base}B: '{chance.choice([0, 3, 50])}'" for base in bases)
        return f"{{balances: {{{balances}{held}}}}}"
    mode = chance.choice(["isolated", "cross"])
    more = ", multi_asset: true" if mode == "cross" and chance.random() < 0.2 else ""
    side = "hedge" if hedged else "one_way"
    leverage = chance.choice([1, 5, 20, 50])
    return f"{{balances: {{{balances}}}, margin_mode: {mode}, position_mode: {side}, leverage: {leverage}{more}}}"


def _models(chance: random.Random, data: str) -> str:
    legs = ", ".join(
        f"{leg}_ms: {chance.choice([0, 1, 10, 125, 700, 61_000])}" for leg in ("entry", "response", "feed")
    )
    latency = chance.choice(["kind: none", f"kind: constant, {legs}", f"kind: lognormal, {legs}, sigma: 0.5"])
    queues = ["power", "risk_averse", "log", "power2", "none", *(["matched"] if data == "books" else [])]
    parts = [
        f"latency: {{{latency}}}",
        f"queue: {{kind: {chance.choice(queues)}}}",
        f"crossed: {{kind: {chance.choice(['displayed', 'full', 'none'])}}}",
        f"impact: {{kind: {chance.choice(['none', 'square_root'])}}}",
        f"rate_limits: {{kind: {chance.choice(['none', 'venue'])}}}",
        f"triggers: {{delay_ms: {chance.choice([0, 0, 30])}}}",
    ]
    if data in ("bars", "trades"):
        parts.append(f"spread: {{kind: {chance.choice(['none', 'fixed, half_bps: 2'])}}}")
    if data == "bars":
        path = chance.choice(["adaptive", "fixed_ohlc", "fixed_olhc", "worst"])
        parts.append(f"bars: {{path: {path}, remainder: {chance.choice(['carry', 'expire'])}}}")
    return f"{{{', '.join(parts)}}}"


def _calls(chance: random.Random, data: str) -> str:
    """What a strategy is called on: its data, or a timer, or both."""
    timer = f", timer: {chance.choice(['1s', '10s', '60s'])}"
    if data == "bars":
        return chance.choice(["", timer])
    kinds = ["trades", "depth"] if data == "books" else [data]
    heard = f", hears: [{chance.choice(kinds)}]"
    return chance.choice([heard, heard, heard + timer, *([timer] if data == "books" else [])])


# --- tapes ----------------------------------------------------------------------------------------------------------


def _tapes(chance: random.Random, data: str, venue: str, symbol: str) -> list[Tape]:
    match data:
        case "books":
            return _books(chance, venue, symbol, chance.choice([60, 300]))
        case "bars":
            return [_bars(chance, venue, symbol, chance.choice([20, 90]))]
        case "trades":
            return [_trades(chance, venue, symbol, chance.choice([60, 300]))]
    quotes = _quotes(chance, venue, symbol, chance.choice([60, 200]))
    return [quotes, _trades(chance, venue, symbol, 150)] if chance.random() < 0.6 else [quotes]


def _tape(kind: Kind, venue: str, symbol: str, names: str, rows: Sequence[Sequence[int]], **head: Any) -> Tape:
    columns = {
        name: np.array([row[at] for row in rows], dtype=np.int8 if name in NARROW else np.int64)
        for at, name in enumerate(("ts_venue", "ts", *names.split()))
    }
    scales = {"price_scale": 2, "size_scale": 3} | head
    return Tape(kind=kind, venue=venue, symbol=symbol, columns=columns, source="drawn", **scales)


def _books(chance: random.Random, venue: str, symbol: str, count: int) -> list[Tape]:
    """A ladder of seven levels a side, then level changes and prints; the book is crossed for a moment now and then."""
    sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
    changes: list[tuple[int, ...]] = []
    prints: list[tuple[int, ...]] = []
    at, middle = START, 10_000

    def change(side: int, price: int, size: int, flags: int) -> None:
        changes.append((at, at, side, price, size, flags))
        sides[side][price] = size
        if not size:
            del sides[side][price]

    ladder = [(side, middle - side * TICK * level) for side in (1, -1) for level in range(1, 8)]
    for number, (side, price) in enumerate(ladder):
        change(side, price, chance.randint(1, 4000), SNAPSHOT | (LAST if number == len(ladder) - 1 else 0))
    for _ in range(count):
        at += chance.choice([0, MS, 50 * MS, 300 * MS, 2 * SECOND])
        if chance.random() < 0.3:
            side = chance.choice([1, -1])
            touch = (min(sides[-1], default=middle) if side > 0 else max(sides[1], default=middle)) + TICK * (
                chance.choice([0, 0, 0, 1, -1])
            )
            prints.append((at, at, touch, chance.randint(1, 2500), side, chance.choice(FLAGS)))
            continue
        for left in range(chance.randint(1, 3), 0, -1):
            side = chance.choice([1, -1])
            price, size = middle - side * TICK * chance.randint(1, 6), chance.randint(1, 4000)
            middle += chance.choice([-TICK, 0, TICK])
            if sides[side] and chance.random() < 0.7:
                price, size = chance.choice(sorted(sides[side])), chance.choice([0, size])
            elif chance.random() < 0.97:  # what it would meet has gone
                for other in [p for p in sides[-side] if side * (price - p) >= 0]:
                    change(-side, other, 0, 0)
            change(side, price, size, LAST if left == 1 else 0)
    prints = prints or [(at, at, middle, 100, 1, 0)]
    return [
        _tape("depth", venue, symbol, "side price size flags", changes),
        _tape("trades", venue, symbol, "price size side flags", prints),
    ]


def _trades(chance: random.Random, venue: str, symbol: str, count: int) -> Tape:
    at, price, rows = START, 10_000, []
    for _ in range(count):
        at += chance.choice([0, MS, 200 * MS, 3 * SECOND, 20 * SECOND])
        price = max(500, price + TICK * chance.randint(-4, 4))
        rows.append((at, at, price, chance.randint(1, 9000), chance.choice([1, -1]), chance.choice(FLAGS)))
    return _tape("trades", venue, symbol, "price size side flags", rows)


def _quotes(chance: random.Random, venue: str, symbol: str, count: int) -> Tape:
    at, price, rows = START, 10_000, []
    for _ in range(count):
        at += chance.choice([0, MS, 200 * MS, 3 * SECOND, 20 * SECOND])
        price = max(500, price + TICK * chance.randint(-4, 4))
        bid, ask = (chance.choice([0, chance.randint(1, 5000), chance.randint(1, 5000)]) for _ in range(2))
        rows.append((at, at, price, bid, price + TICK * chance.randint(1, 3), ask))
    return _tape("quotes", venue, symbol, "bid_price bid_size ask_price ask_size", rows)


def _bars(chance: random.Random, venue: str, symbol: str, count: int) -> Tape:
    """Bars with gaps between them; some are missing, some have no volume."""
    price, rows = 10_000.0, []
    for number in range(count):
        opened = price * chance.uniform(0.997, 1.003)
        closed = opened * chance.uniform(0.99, 1.01)
        high, low = max(opened, closed) * chance.uniform(1, 1.004), min(opened, closed) * chance.uniform(0.996, 1)
        opened, high, low, closed = (int(value // TICK * TICK) for value in (opened, high + TICK, low, closed))
        price, close_at, volume = closed, START + MINUTE * (number + 1), chance.choice([0, chance.randint(1, 200_000)])
        if number == 0 or chance.random() > 0.03:
            rows.append((close_at, close_at, opened, high, low, closed, volume))
    return _tape("bars", venue, symbol, "open high low close volume", rows, interval_ns=MINUTE)


def _rates(chance: random.Random, venue: str, symbols: Sequence[str], end: int) -> list[Tape]:
    """Marks and funding of contracts, where they are drawn; funding only beside marks."""
    tapes = []
    for symbol in symbols:
        if chance.random() < 0.5:
            price, rows = 10_000, []
            for at in range(START, end + 1, 37 * SECOND):
                price = max(500, int(price * chance.uniform(0.99, 1.01)))
                rows.append((at, at, price, price, price, price))
            tapes.append(_tape("marks", venue, symbol, "open high low close", rows))
            rates = [(at, at, chance.randint(-3000, 3000), 0) for at in range(START + 97 * SECOND, end, 411 * SECOND)]
            if rates and chance.random() < 0.7:
                tapes.append(_tape("funding", venue, symbol, "rate mark", rates, size_scale=6))
    return tapes
