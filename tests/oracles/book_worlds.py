"""Small random markets with books or quotes, as scenario files, for which `book_venue` has a rule for everything.

Prices, sizes and times are coarse on purpose: ties, exact touches and empty levels are the rule. A world is its seed.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from oracles.book_venue import BookVenue, Models
from oracles.desk import Legs

Row = dict[str, Any]
VENUES = ("binance-spot", "binance-usdm", "bybit-linear")
QUEUES = ("risk_averse", "power", "power2", "power3", "log", "log2", "none")
MODES = {
    "binance-spot": ("none", "expire_maker", "expire_taker", "expire_both", "decrement"),
    "binance-usdm": ("expire_maker", "expire_taker", "expire_both"),
    "bybit-linear": ("none", "expire_maker", "expire_taker", "expire_both"),
}


class BookWorld:
    """One market, its feed and our requests; `scenario` is what the program is given, `venue()` plays the oracle."""

    def __init__(self, seed: int) -> None:
        draw = self.draw = random.Random(seed)
        self.venue = draw.choice(VENUES)
        self.quotes = draw.random() < 0.25
        self.unit = draw.choice([10, 10, 100_000])
        """ms between moments; the longer one lets good-till dates pass, which lie 600 s ahead at least."""
        self.fine = draw.random() < 0.15
        """Whether the feed has sizes between our steps."""
        self.sessions = draw.random() < 0.3
        self.models: Row = {
            "queue": {"kind": draw.choice(QUEUES), "credit_ms": self.unit * draw.choice([1, 3, 100])},
            "crossed": {"kind": draw.choice(["displayed", "displayed", "full", "none"])},
        }
        if self.models["queue"]["kind"].startswith("power"):
            self.models["queue"]["n"] = draw.choice([1, 2, 3])
        if draw.random() < 0.5:
            step = min(self.unit, 1000)  # a recvWindow is 5 s
            legs = {leg: step * draw.choice([0, 1, 2]) for leg in ("entry_ms", "cancel_ms", "amend_ms")}
            self.models["latency"] = {"kind": "constant", **legs, "response_ms": draw.choice([0, 3])}
        self.tape = self.rows(draw.randint(5, 40))
        self.until = max(row["at"] for row in self.tape) + 20 * self.unit
        self.requests = self.wishes(draw.randint(1, 8))

    # --- the feed ---------------------------------------------------------------------------------------------------

    def rows(self, count: int) -> list[Row]:
        at, rows = 0, []
        for number in range(count):
            at += self.unit * self.draw.choice([0, 1, 1, 1, 2]) if number > 1 else 0
            kind, row = self.row(number)
            rows.append({"at": at, "symbol": "X", kind: row})
        if self.draw.random() < 0.3:
            rows = self.received_late(rows)
        return rows

    def received_late(self, rows: list[Row]) -> list[Row]:
        """The same rows in another order of receipt: some come after their neighbour, which happened later."""
        at = 0
        for first in range(2, len(rows) - 1):
            if self.draw.random() < 0.2:
                rows[first], rows[first + 1] = rows[first + 1], rows[first]
        for row in rows:
            at = row["received_at"] = max(at, row["at"])
        return rows

    def row(self, number: int) -> tuple[str, Row]:
        """A book first, then a print: the contract does not say what the last price is before any."""
        draw, first = self.draw, number == 0
        if number == 1 or (number and draw.random() < 0.45):
            side = draw.choice(["buy", "sell"])
            price = draw.randint(99, 103) if side == "buy" else draw.randint(97, 101)
            flag = draw.choice([None] * 12 + ["block", "rpi", "insurance"]) if number > 1 else None
            return "trade", {"side": side, "price": str(price), "qty": self.size()} | ({flag: True} if flag else {})
        if self.quotes:
            bid = draw.randint(97, 100)
            quote = {"bid": [str(bid), self.size()], "ask": [str(bid + draw.randint(1, 3)), self.size()]}
            if not first and draw.random() < 0.3:
                del quote[draw.choice(["bid", "ask"])]
            return "quote", quote
        snapshot = first or draw.random() < 0.15
        least = 1 if snapshot else 0
        return "depth", {
            "snapshot": snapshot,
            "bids": [[str(price), self.size(least)] for price in draw.sample(range(96, 102), draw.randint(0, 4))],
            "asks": [[str(price), self.size(least)] for price in draw.sample(range(99, 105), draw.randint(0, 4))],
        }

    def size(self, least: int = 1) -> str:
        size = self.draw.randint(least, 8)
        return f"{size}.4" if size and self.fine and self.draw.random() < 0.5 else str(size)

    # --- our requests -----------------------------------------------------------------------------------------------

    def wishes(self, count: int) -> list[Row]:
        """Orders, then amendments and cancels of some of them, now and then before they come."""
        draw, last = self.draw, self.tape[-1]["at"] // self.unit
        wishes: list[Row] = []
        for number in range(count):
            time = draw.randint(0, last)
            order = self.order(f"o{number}", time)
            wishes.append({"at": time * self.unit, "submit": order})
            while draw.random() < 0.35:
                later = draw.randint(max(0, time - 1), last) * self.unit
                if order["type"] == "limit" and draw.random() < 0.7:
                    wishes.append({"at": later, "amend": self.amendment(order["id"])})
                else:
                    wishes.append({"at": later, "cancel": {"id": order["id"]}})
        for wish in wishes:
            if self.sessions and draw.random() < 0.5 and "submit" in wish:
                wish["session"] = "second"
        return sorted(wishes, key=lambda wish: int(wish["at"]))

    def order(self, name: str, time: int) -> Row:
        draw = self.draw
        side = draw.choice(["buy", "sell"])
        kinds = ["limit"] * 6 + ["market", "stop_limit", "take_profit_limit", "stop_market", "take_profit_market"]
        order: Row = {
            "id": name,
            "symbol": "X",
            "side": side,
            "qty": str(draw.randint(1, 9)),
            "type": draw.choice(kinds),
        }
        if "limit" in order["type"]:
            away = draw.choice([-1, 0, 1, 1, 2, 2, 3])
            order["price"] = str(100 - away if side == "buy" else 100 + away)
            order["tif"] = draw.choice(["gtc"] * 6 + ["ioc", "fok"])
        if order["type"] == "limit" and order["tif"] == "gtc":
            if self.venue == "binance-usdm" and self.unit == 100_000 and draw.random() < 0.5:
                order |= {"tif": "gtd", "good_till": self.unit * (time + draw.randint(7, 20))}
            elif draw.random() < 0.25:
                order["post_only"] = True
        if order["type"] not in ("limit", "market"):
            order["trigger_price"] = str(draw.randint(98, 102))
        if order.get("tif") != "fok" and draw.random() < 0.5:
            order["stp"] = draw.choice(MODES[self.venue])
        return order

    def amendment(self, name: str) -> Row:
        change: Row = {"id": name}
        if self.draw.random() < 0.6:
            change["price"] = str(self.draw.randint(97, 103))
        if "price" not in change or self.draw.random() < 0.6:
            change["qty"] = str(self.draw.randint(1, 9))
        return change

    # --- the two readings -------------------------------------------------------------------------------------------

    @property
    def scenario(self) -> Row:
        money: Row = {"wallet": "1000000", "leverage": 10}
        if self.venue == "binance-spot":
            money = {"balances": {"USDT": "1000000", "X": "1000000"}}
        return {
            "name": "drawn",
            "venue": self.venue,
            "until": self.until,
            "instruments": {"X": {"tick": "1", "step": "1"}},
            "account": money,
            "models": self.models | {"rate_limits": {"kind": "none"}},
            "tape": self.tape,
            "requests": self.requests,
        }

    def played(self) -> BookVenue:
        """The market by the second writing."""
        legs = {key: Fraction(value) for key, value in self.models.get("latency", {}).items() if key != "kind"}
        queue = self.models["queue"]
        models = Models(
            queue=queue["kind"],
            n=queue.get("n", 2),
            credit_ms=Fraction(queue["credit_ms"]),
            crossed=self.models["crossed"]["kind"],
        )
        venue = BookVenue(self.venue, Fraction(1), Legs(**legs), models, quotes=self.quotes)
        venue.play(self.tape, self.requests, self.until)
        return venue
