"""Small random markets and random requests, as scenario files: what the property tests of the books draw.

Everything is drawn from a `random.Random`, so that a failing case is its seed. Rows stand at distinct times, prices lie
on ten ticks around 100, and the two sides may overlap: crossed books happen.
"""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

from adapters.venues import load_rules
from sim.books import kernel
from sim.scenario import Ran
from sim.scenarios.format import read_scenario
from sim.scenarios.run import run_one
from sim.scenarios.venue import read_models

Row = dict[str, Any]
KINDS = ("depth", "quotes", "trades", "l3")
VENUES = ("binance-usdm", "bybit-linear")
QUEUES = ("risk_averse", "power", "power2", "power3", "log", "log2", "none")


rules_of = cache(load_rules)


def price(ticks: int) -> str:
    """990 is 99.0."""
    return f"{ticks / 10:.1f}"


def size(draw: random.Random, least: int = 1) -> str:
    """Halves of a unit, 0.5 to 6."""
    return f"{draw.randint(least, 12) / 2:.1f}"


def market_rows(draw: random.Random, kind: str, count: int, symbol: str = "X") -> list[Row]:
    """`count` rows of a market of this kind, at 0, 10, 20 … ms."""
    rows: list[Row] = []
    orders: dict[int, str] = {}
    for number in range(count):
        at = 10 * number
        if kind == "trades" or (number and draw.random() < 0.4):
            rows.append({"at": at, "symbol": symbol, "trade": print_row(draw)})
        elif kind == "depth":
            rows.append(
                {"at": at, "symbol": symbol, "depth": depth_row(draw, snapshot=number == 0 or draw.random() < 0.1)}
            )
        elif kind == "quotes":
            bid = draw.randint(996, 1001)
            ask = bid + draw.randint(1, 4)
            rows.append(
                {
                    "at": at,
                    "symbol": symbol,
                    "quote": {"bid": [price(bid), size(draw)], "ask": [price(ask), size(draw)]},
                }
            )
        else:
            rows.append({"at": at, "symbol": symbol, "l3": order_row(draw, orders)})
    return rows


def print_row(draw: random.Random) -> Row:
    side = draw.choice(["buy", "sell"])
    ticks = draw.randint(1000, 1004) if side == "buy" else draw.randint(997, 1001)
    row: Row = {"side": side, "price": price(ticks), "qty": size(draw)}
    flag = draw.random()
    if flag < 0.05:
        row["block"] = True
    elif flag < 0.1:
        row["rpi"] = True
    return row


def depth_row(draw: random.Random, *, snapshot: bool) -> Row:
    def levels(low: int, high: int, least: int) -> list[list[str]]:
        ticks = draw.sample(range(low, high + 1), draw.randint(1, 4))
        return [[price(tick), size(draw, least)] for tick in ticks]

    least = 1 if snapshot else 0
    return {"snapshot": snapshot, "bids": levels(995, 1001, least), "asks": levels(1000, 1006, least)}


def order_row(draw: random.Random, orders: dict[int, str]) -> Row:
    known = sorted(orders)
    if not known or draw.random() < 0.5:
        number = len(orders) + draw.randint(1, 3) * 100 + draw.randint(0, 99)
        while number in orders:
            number += 1
        side = draw.choice(["buy", "sell"])
        orders[number] = side
        ticks = draw.randint(995, 1000) if side == "buy" else draw.randint(1001, 1006)
        return {"action": "add", "id": str(number), "side": side, "price": price(ticks), "qty": size(draw)}
    number = draw.choice(known)
    if draw.random() < 0.5:
        del orders[number]
        return {"action": "delete", "id": str(number)}
    return {"action": "modify", "id": str(number), "qty": size(draw)}


def requests(draw: random.Random, count: int, until: int, symbol: str = "X", prefix: str = "o") -> list[Row]:
    """Orders of every kind, amendments and cancels, at times between the rows."""
    made: list[Row] = []
    for number in range(count):
        at = draw.randint(0, until) + 0.5
        what = draw.random()
        earlier = f"{prefix}{draw.randint(0, number)}"
        if number and what < 0.12:
            made.append({"at": at, "cancel": {"id": earlier}})
        elif number and what < 0.25:
            amended = {"id": earlier, "qty": size(draw), "price": price(draw.randint(995, 1006))}
            made.append({"at": at, "amend": amended})
        else:
            made.append({"at": at, "submit": order(draw, f"{prefix}{number}", symbol)})
    submits = [row["submit"] for row in made if "submit" in row]
    ids = {submit["id"] for submit in submits}
    for submit in submits:  # a group of one is no group
        if [other.get("oco") for other in submits].count(submit.get("oco")) == 1:
            submit.pop("oco", None)
    known = [row for row in made if "submit" in row or (row.get("cancel") or row["amend"])["id"] in ids]
    return sorted(known, key=lambda row: float(row["at"]))


def order(draw: random.Random, name: str, symbol: str) -> Row:
    side = draw.choice(["buy", "sell"])
    ticks = draw.randint(996, 1005)
    if draw.random() < 0.6:  # where it rests
        ticks = draw.randint(996, 1000) if side == "buy" else draw.randint(1001, 1005)
    submit: Row = {"id": name, "symbol": symbol, "side": side, "qty": size(draw)}
    kind = draw.choice([*["limit"] * 6, "market", "stop_market", "stop_limit", "take_profit_market", "trailing"])
    if kind == "trailing":
        submit |= {"type": "trailing_stop_market", "trail_distance": price(draw.randint(1, 5))}
    else:
        submit["type"] = kind
    if kind in ("limit", "stop_limit"):
        submit["price"] = price(ticks)
        submit["tif"] = draw.choice(["gtc", "gtc", "gtc", "ioc", "fok"])
        if submit["tif"] == "gtc" and draw.random() < 0.2:
            submit["post_only"] = True
    if kind in ("stop_market", "stop_limit", "take_profit_market"):
        submit["trigger_price"] = price(draw.randint(996, 1005))
    if draw.random() < 0.15:
        submit["reduce_only"] = True
    if draw.random() < 0.1:
        submit["oco"] = draw.choice(["g", "h"])
    if draw.random() < 0.5:
        submit["stp"] = draw.choice(["none", "expire_maker", "expire_taker", "expire_both"])
    return submit


def scenario(
    rows: list[Row],
    wanted: list[Row],
    *,
    models: dict[str, Any] | None = None,
    venue: str = "binance-usdm",
    symbols: tuple[str, ...] = ("X",),
    positions: dict[str, Any] | None = None,
) -> Row:
    """A scenario over these rows and requests; margin is never short."""
    instruments = {symbol: {"tick": "0.1", "step": "0.1"} for symbol in symbols}
    return {
        "name": "drawn",
        "venue": venue,
        "instruments": instruments,
        "account": {"wallet": "1000000", "leverage": 10, "positions": positions or {}},
        "models": models or {},
        "tape": rows,
        "requests": wanted,
    }


def drawn(seed: int) -> Row:
    """One of everything: kind of data, venue, queue, latency, crossing, requests."""
    draw = random.Random(seed)
    kind = draw.choice(KINDS)
    count = draw.randint(1, 25)
    rows = market_rows(draw, kind, count)
    models: dict[str, Any] = {
        "queue": {"kind": draw.choice(QUEUES)},
        "crossed": {"kind": draw.choice(["displayed", "full", "none"])},
    }
    if kind == "l3" and draw.random() < 0.6:
        models["queue"] = {"kind": "l3_fifo"}
    if draw.random() < 0.5:
        models["latency"] = {"kind": "lognormal", "entry_ms": 7, "response_ms": 3, "sigma": 0.5}
    if draw.random() < 0.3:
        models["overlay"] = {"refill_half_life_ms": 40}
    if draw.random() < 0.3:
        models["triggers"] = {"delay_ms": 3}
    if draw.random() < 0.3:
        models["impact"] = {"kind": "square_root", "sigma_daily": "0.03", "volume_daily": "2000"}
    if kind == "trades":
        models["trades"] = {"participation": "0.5", "ahead_qty": "1"}
    wanted = requests(draw, draw.randint(1, 12), 10 * count)
    held = {"X": {"qty": draw.choice(["2", "-2", "5"]), "entry_price": "100"}} if draw.random() < 0.6 else {}
    whole = scenario(rows, wanted, models=models, venue=draw.choice(VENUES), positions=held)
    return whole | {"seed": seed}


def run(whole: Row, functions: Any = kernel) -> Ran:
    """What it causes."""
    return run_one(read_scenario(json.dumps(whole), "drawn.yaml", read_models), rules_of, functions)
