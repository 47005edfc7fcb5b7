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
    """One market, its feed and our requests; `scenario` is for the program, `played()` what the oracle says."""

    def __init__(self, seed: int) -> None:
        draw = self.draw = random.Random(seed)
        self.venue = draw.choice(VENUES)
        self.quotes = draw.random() < 0.25
        self.unit = draw.choice([10, 10, 100_000])
        """ms between moments; the longer one lets good-till dates pass, which lie 600 s ahead at least."""
        self.fine = draw.random() < 0.15
        """Whether the feed has sizes between our steps."""
        self.shown: dict[str, dict[int, int]] = {"bids": {}, "asks": {}}
        """What the feed displays, so that its next row is about the same levels."""
        self.printed: tuple[str, int, int] | None = None
        self.sessions = draw.random() < 0.3
        self.models: Row = {
            "queue": {"kind": draw.choice(QUEUES), "credit_ms": self.unit * draw.choice([1, 3, 100])},
            "crossed": {"kind": draw.choice(["displayed", "displayed", "full", "none"])},
        }
        if draw.random() < 0.2:
            self.models["overlay"] = {"refill_half_life_ms": self.unit * draw.choice([1, 2, 6])}
        if draw.random() < 0.2:  # between two moments: nothing says what comes first within one
            self.models["triggers"] = {"delay_ms": 3}
        if self.models["queue"]["kind"].startswith("power"):
            self.models["queue"]["n"] = draw.choice([1, 2, 3])
        if draw.random() < 0.5:
            step = min(self.unit, 1000)  # a recvWindow is 5 s
            legs = {leg: step * draw.choice([0, 1, 2]) for leg in ("entry_ms", "cancel_ms", "amend_ms")}
            self.models["latency"] = {"kind": "constant", **legs, "response_ms": draw.choice([0, 3])}
        self.tape = self.rows(draw.randint(10, 40))
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
        if number == 1 or (number and self.draw.random() < 0.45):
            return "trade", self.print(flags=number > 1)
        if self.quotes:
            return "quote", self.quote(whole=number == 0)
        snapshot = number == 0 or self.draw.random() < 0.08
        return "depth", self.snapshot() if snapshot else self.change()

    def print(self, *, flags: bool) -> Row:
        """Mostly at the best price that is shown, now and then beyond it or inside the spread."""
        draw = self.draw
        side = draw.choice(["buy", "sell"])
        hit = "asks" if side == "buy" else "bids"
        prices = sorted(self.shown[hit], reverse=hit == "bids")[:2] or [draw.randint(98, 102)]
        if draw.random() < 0.2:
            prices = [draw.randint(98, 102)]
        row = {
            "side": side,
            "price": str(prices[0] if draw.random() < 0.7 else prices[-1]),
            "qty": self.size(most=draw.choice([3, 3, 9])),
        }
        self.printed = (hit, int(row["price"]), int(float(row["qty"])))
        flag = draw.choice([None] * 12 + ["block", "rpi", "insurance"])
        return row | ({flag: True} if flag and flags else {})

    def quote(self, *, whole: bool) -> Row:
        bid = self.draw.randint(98, 100)
        ask = bid + self.draw.randint(1, 3)
        quote = {"bid": [str(bid), self.size()], "ask": [str(ask), self.size()]}
        if not whole and self.draw.random() < 0.4:
            del quote[self.draw.choice(["bid", "ask"])]
        for side, word in (("bids", "bid"), ("asks", "ask")):
            self.shown[side] = {int(quote[word][0]): 0} if word in quote else self.shown[side]
        return quote

    def snapshot(self) -> Row:
        """Up to three levels a side; once in a while the sides overlap."""
        ranges = {"bids": range(98, 101), "asks": range(self.draw.choice([101, 101, 101, 100]), 104)}
        sizes = {side: self.draw.sample(prices, self.draw.choice([0, 2, 2, 3])) for side, prices in ranges.items()}
        return self.depth({side: {price: self.size() for price in prices} for side, prices in sizes.items()}, True)

    def change(self) -> Row:
        """A few levels grow or shrink, or come and go; often one of them shows the print before it."""
        draw = self.draw
        levels: dict[str, dict[int, str]] = {"bids": {}, "asks": {}}
        for side, prices in (("bids", range(97, 101)), ("asks", range(101, 104))):
            for price in draw.sample([*self.shown[side], *self.shown[side], *prices], draw.choice([0, 0, 1, 2])):
                known = self.shown[side].get(price, 0)
                levels[side][price] = str(max(0, known + draw.randint(-4, 6))) if known else self.size()
        if draw.random() < 0.05:
            levels[draw.choice(["bids", "asks"])][draw.randint(99, 102)] = self.size()  # the sides may overlap
        if self.printed and draw.random() < 0.7:
            side, price, qty = self.printed
            if price in self.shown[side]:
                levels[side][price] = str(max(0, self.shown[side][price] - qty - draw.choice([0, 0, 1, 3])))
        return self.depth(levels, False)

    def depth(self, levels: dict[str, dict[int, str]], snapshot: bool) -> Row:
        for side, changed in levels.items():
            known = {} if snapshot else self.shown[side]
            known = known | {price: int(float(size)) for price, size in changed.items()}
            self.shown[side] = {price: size for price, size in known.items() if size}
        self.printed = None
        rows = {side: [[str(price), size] for price, size in changed.items()] for side, changed in levels.items()}
        return {"snapshot": snapshot, **rows}

    def size(self, most: int = 9) -> str:
        size = self.draw.randint(1, most)
        return f"{size}.4" if self.fine and self.draw.random() < 0.5 else str(size)

    # --- our requests -----------------------------------------------------------------------------------------------

    def wishes(self, count: int) -> list[Row]:
        """Orders, then amendments and cancels of some of them, now and then before they come."""
        draw, last = self.draw, self.tape[-1]["at"] // self.unit
        wishes: list[Row] = []
        for number in range(count):
            time = draw.randint(0, draw.choice([last // 3, last]))
            order = self.order(f"o{number}", time)
            if number < 2 and draw.random() < 0.6:  # early, and there for long
                time = draw.randint(0, 3)
                price = {"buy": "100", "sell": "101"}[order["side"]]
                order = {key: order[key] for key in ("id", "symbol", "side")}
                order |= {"type": "limit", "price": price, "qty": "9"}
            wishes.append({"at": time * self.unit, "submit": order})
            while draw.random() < 0.25:
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
        kinds = ["limit"] * 8 + ["market", "stop_limit", "take_profit_limit", "stop_market", "take_profit_market"]
        order: Row = {
            "id": name,
            "symbol": "X",
            "side": side,
            "qty": str(draw.randint(1, 9)),
            "type": draw.choice(kinds),
        }
        if "limit" in order["type"]:
            away = draw.choice([-2, -1, 0, 0, 0, 0, 1, 1, 2])
            order["price"] = str(100 - away if side == "buy" else 101 + away)
            order["tif"] = draw.choice(["gtc"] * 6 + ["ioc", "fok"])
        if order["type"] == "limit" and order["tif"] == "gtc":
            if self.venue == "binance-usdm" and self.unit == 100_000 and draw.random() < 0.5:
                order |= {"tif": "gtd", "good_till": self.unit * (time + draw.randint(7, 20))}
            elif draw.random() < 0.25:
                order["post_only"] = True
        if order["type"] not in ("limit", "market"):
            order["trigger_price"] = str(draw.randint(98, 102))
            if self.venue == "bybit-linear" and order.get("tif") == "gtc" and draw.random() < 0.3:
                order["post_only"] = True
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
        queue, refill = self.models["queue"], self.models.get("overlay")
        models = Models(
            queue=queue["kind"],
            n=queue.get("n", 2),
            credit_ms=Fraction(queue["credit_ms"]),
            crossed=self.models["crossed"]["kind"],
            half_life_ms=None if refill is None else Fraction(refill["refill_half_life_ms"]),
        )
        venue = BookVenue(self.venue, Fraction(1), Legs(**legs), models, quotes=self.quotes)
        venue.delay_ms = Fraction(self.models.get("triggers", {}).get("delay_ms", 0))
        venue.play(self.tape, self.requests, self.until)
        return venue
