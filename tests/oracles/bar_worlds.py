"""Small random markets of bars, as scenario files, for which `bar_venue` has a rule for everything.

Prices are whole numbers and arrivals lie on twelfths of a bar, so that touches, vertices and opens are met exactly.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from oracles.bar_venue import BarVenue, Models
from oracles.desk import Legs
from oracles.impact import Impact

Row = dict[str, Any]
VENUES = ("binance-spot", "binance-usdm", "bybit-linear")
BAR_MS = 60_000
TWELFTH = BAR_MS // 12
TICK = "0.1"


class BarWorld:
    """Some bars and our requests; `scenario` is what the program is given, `played()` what the oracle says."""

    def __init__(self, seed: int) -> None:
        draw = self.draw = random.Random(seed)
        self.venue = draw.choice(VENUES)
        self.models: Row = {
            "bars": {
                "path": draw.choice(["adaptive", "adaptive", "fixed_ohlc", "fixed_olhc", "worst"]),
                "participation": draw.choice(["0.1", "0.5", "1"]),
                "market_participation": draw.choice(["0.25", "0.5", "0"]),
                "remainder": draw.choice(["carry", "expire"]),
            }
        }
        if draw.random() < 0.5:
            self.models["spread"] = {"half_bps": draw.choice(["1", "40", "100"])}
        if draw.random() < 0.5:
            given = {"sigma_daily": "0.5", "volume_daily": draw.choice(["100", "2000"])}
            self.models["impact"] = {"kind": "square_root", "coefficient": draw.choice(["1", "0.5"])}
            self.models["impact"] |= {"half_life_ms": draw.choice([BAR_MS, 600_000])}
            self.models["impact"] |= draw.choice([given, {}])
        if draw.random() < 0.5 and self.models["bars"]["path"] != "worst":
            legs = {leg: TWELFTH * draw.choice([0, 0, 1]) for leg in ("entry_ms", "cancel_ms", "amend_ms")}
            self.models["latency"] = {"kind": "constant", **legs, "response_ms": draw.choice([0, 3])}
        self.held = draw.choice(["0", "3", "-3"]) if self.venue != "binance-spot" else "0"
        if self.venue == "binance-spot" and self.models["bars"]["path"] == "worst":  # there are no positions
            self.models["bars"]["path"] = "adaptive"
        self.fine = draw.random() < 0.5
        """Whether limits, triggers and volumes lie between whole numbers too."""
        self.tape = self.bars(draw.randint(3, 12))
        self.requests = self.wishes(draw.randint(1, 8))

    def bars(self, count: int) -> list[Row]:
        """Prices in tenths: whole numbers, or a third of them between."""
        draw, rows, at, close = self.draw, [], 0, 1000
        for number in range(count):
            if number > 1 and draw.random() < 0.08:
                at += BAR_MS  # a hole in the data
            open_ = close + self.tenths(0, 0, 0, -1, 1, -2, 2)
            close = open_ + self.tenths(-2, -1, 0, 1, 2)
            high, low = max(open_, close) + self.tenths(0, 1, 2), min(open_, close) - self.tenths(0, 1, 2)
            if draw.random() < 0.1:
                high = low = close = open_
            prices = {"open": open_, "high": high, "low": low, "close": close}
            bar = {key: f"{value // 10}.{value % 10}" for key, value in prices.items()}
            bar["volume"] = draw.choice(["0", "2", "10", "30", "60", "33.3" if self.fine else "20"])
            rows.append({"at": at, "symbol": "X", "bar": bar | {"interval_ms": BAR_MS}})
            at += BAR_MS
        return rows

    def tenths(self, *wholes: int) -> int:
        whole = 10 * self.draw.choice(wholes)
        return whole + self.draw.choice([0, 0, 3]) if self.fine and whole else whole

    def wishes(self, count: int) -> list[Row]:
        """From the second bar on: the contract does not say what the last price is before the first open."""
        draw, bars = self.draw, self.tape[-1]["at"] // BAR_MS
        last = 12 * bars + 9
        wishes: list[Row] = []
        for number in range(count):
            time = draw.choice([12 * draw.randint(1, bars), draw.randint(12, last)])
            if self.models["bars"]["path"] == "worst":  # nothing says whether what comes at the open is held already
                time += time % 12 == 0
            order = self.order(f"o{number}")
            wishes.append({"at": time * TWELFTH, "submit": order})
            while draw.random() < 0.3:
                later = draw.randint(time, last) * TWELFTH
                if order["type"] == "limit" and draw.random() < 0.7:
                    wishes.append({"at": later, "amend": self.amendment(order["id"])})
                else:
                    wishes.append({"at": later, "cancel": {"id": order["id"]}})
        return sorted(wishes, key=lambda wish: int(wish["at"]))

    def order(self, name: str) -> Row:
        draw = self.draw
        side = draw.choice(["buy", "sell"])
        kinds = (
            ["limit"] * 5 + ["market"] * 2 + ["stop_limit", "take_profit_limit", "stop_market", "take_profit_market"]
        )
        order: Row = {"id": name, "symbol": "X", "side": side, "type": draw.choice(kinds)}
        order["qty"] = draw.choice(["1", "2.5", "4", "9"])
        if "limit" in order["type"]:
            away = draw.choice([-1, 0, 1, 1, 2, 3])
            order["price"] = self.price(100 - away if side == "buy" else 100 + away)
            order["tif"] = draw.choice(["gtc"] * 6 + ["ioc", "fok"])
        if order["type"] == "limit" and order["tif"] == "gtc" and draw.random() < 0.2:
            order["post_only"] = True
        if order["type"] not in ("limit", "market"):
            order["trigger_price"] = self.price(draw.randint(97, 103))
            if "price" in order and draw.random() < 0.3:
                order["price"] = order["trigger_price"]
            if self.venue == "bybit-linear" and order.get("tif") == "gtc" and draw.random() < 0.3:
                order["post_only"] = True
        elif order["type"] == "market" and draw.random() < 0.2:
            order["tif"] = "ioc"
        return order

    def price(self, whole: int) -> str:
        return f"{whole}.{self.draw.choice([0, 3, 5, 7])}" if self.fine else str(whole)

    def amendment(self, name: str) -> Row:
        change: Row = {"id": name}
        if self.draw.random() < 0.6:
            change["price"] = self.price(self.draw.randint(97, 103))
        if "price" not in change or self.draw.random() < 0.6:
            change["qty"] = self.draw.choice(["1", "2.5", "4", "9"])
        return change

    @property
    def scenario(self) -> Row:
        money: Row = {"wallet": "1000000", "leverage": 10}
        if self.held != "0":
            money["positions"] = {"X": {"qty": self.held, "entry_price": "100"}}
        if self.venue == "binance-spot":
            money = {"balances": {"USDT": "1000000", "X": "1000000"}}
        return {
            "name": "drawn",
            "venue": self.venue,
            "instruments": {"X": {"tick": TICK, "step": "0.1"}},
            "account": money,
            "models": self.models | {"rate_limits": {"kind": "none"}},
            "tape": self.tape,
            "requests": self.requests,
        }

    def played(self) -> BarVenue:
        """The market by the second writing."""
        bars, law = self.models["bars"], self.models.get("impact")
        legs = {key: Fraction(value) for key, value in self.models.get("latency", {}).items() if key != "kind"}
        models = Models(
            tick=Fraction(TICK),
            path=bars["path"],
            participation=Fraction(bars["participation"]),
            market_participation=Fraction(bars["market_participation"]),
            remainder=bars["remainder"],
            half_spread=float(self.models["spread"]["half_bps"]) / 10_000 if "spread" in self.models else None,
            impact=None if law is None else impact_of(law),
        )
        venue = BarVenue(self.venue, Fraction("0.1"), Legs(**legs), models, Fraction(self.held))
        venue.play(self.tape, self.requests)
        return venue


def impact_of(law: Row) -> Impact:
    sigma, volume = (float(law[key]) if key in law else None for key in ("sigma_daily", "volume_daily"))
    return Impact(float(law["coefficient"]), sigma, volume, Fraction(law["half_life_ms"]))
