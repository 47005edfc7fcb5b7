"""A strategy for tests that asks for anything it may ask for, at random but from a seed; on any data and venue."""

from __future__ import annotations

import random
from typing import Any

SECOND_NS = 1_000_000_000
KINDS = (
    "market", "limit", "limit", "limit", "trigger", "trigger", "trailing", "bracket", "group", "iceberg",
    "close_position", "quote",
)  # fmt: skip


class WildTrader:
    """Several wishes a call for every symbol, and answers to its own events; most make no sense beside each other."""

    warmup = 0

    def __init__(self, seed: int, *, data: str, spot: bool, hedged: bool, answers: int = 30) -> None:
        """`data`: where it looks for a price, `books`, `bars`, `trades` or `quotes`."""
        self._chance = random.Random(seed)
        self._data = data
        self._spot, self._hedged = spot, hedged
        self._answers = answers
        """How often it may answer an event: without an end two of its orders could answer each other for ever."""
        self._tags: list[tuple[str, str]] = []
        """(symbol, tag) of every order it asked for."""
        self._seen: dict[str, tuple[float, int]] = {}
        """By symbol: the last price, and when it was seen."""

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]]:
        for symbol in market_data.symbols:
            price = self._price(market_data[symbol] if len(market_data.symbols) > 1 else market_data)
            if price:
                self._seen[symbol] = price, market_data.now
        return [self._wish(symbol) for symbol in self._seen for _ in range(self._chance.choice([0, 0, 0, 1, 1, 2, 4]))]

    def on_event(self, event: Any) -> dict[str, Any] | None:
        if not self._answers or not self._seen or self._chance.random() < 0.7:
            return None
        self._answers -= 1
        return self._wish(self._chance.choice(list(self._seen)))

    def _price(self, view: Any) -> float | None:
        match self._data:
            case "books":
                return view.book.mid
            case "bars":
                return None if view.bar is None else view.bar.close
            case "trades":
                return None if view.last_trade is None else view.last_trade.price
            case _:
                return None if view.quote is None else (view.quote.bid + view.quote.ask) / 2

    def _near(self, symbol: str, width: float = 0.004) -> float:
        return self._seen[symbol][0] * self._chance.uniform(1 - width, 1 + width)

    def _wish(self, symbol: str) -> dict[str, Any]:
        chance, roll = self._chance, self._chance.random()
        if roll < 0.06:
            return {"symbol": symbol, "cancel": True}
        if roll < 0.12:
            side = {"position_side": chance.choice(["long", "short"])} if self._hedged else {}
            return {"symbol": symbol, "close": True, **side}
        if roll < 0.18 and not self._hedged:
            return {"symbol": symbol, "target": chance.uniform(0 if self._spot else -3, 3)}
        if roll < 0.36 and self._tags:
            return self._change(*chance.choice(self._tags[-8:]))
        return self._order(symbol)

    def _change(self, symbol: str, tag: str) -> dict[str, Any]:
        chance = self._chance
        if chance.random() < 0.5:
            return {"symbol": symbol, "cancel": tag}
        wish = {"symbol": symbol, "amend": tag, "price": self._near(symbol), "qty": chance.uniform(0.01, 3)}
        left_out = chance.choice(["price", "qty", ""])
        wish.pop(left_out, None)
        return wish

    def _order(self, symbol: str) -> dict[str, Any]:
        chance, tag = self._chance, f"t{len(self._tags)}"
        self._tags.append((symbol, tag))
        order: dict[str, Any] = {"symbol": symbol, "side": chance.choice(["buy", "sell"]), "tag": tag}
        size = chance.choice(["qty"] * 5 + ["notional", "fraction"])
        order[size] = chance.uniform(*{"qty": (0.005, 2), "notional": (3, 200), "fraction": (0.001, 0.05)}[size])
        if self._hedged:
            order["position_side"] = chance.choice(["long", "short"])
        getattr(self, "_" + chance.choice(KINDS))(order)
        return order

    def _market(self, order: dict[str, Any]) -> None:
        order |= self._chance.choice([{}, {}, {"tif": "ioc"}, {"reduce_only": True}])

    def _limit(self, order: dict[str, Any]) -> None:
        chance = self._chance
        order["price"] = self._near(order["symbol"])
        order["tif"] = tif = chance.choice(["gtc", "gtc", "gtc", "ioc", "fok", "gtd", "day"])
        if tif == "gtd":
            order["good_till"] = self._seen[order["symbol"]][1] + int(chance.uniform(-5, 900)) * SECOND_NS
        order |= chance.choice([{}, {}, {"reduce_only": True}, {"stp": "expire_maker"}, {"stp": "expire_both"}])
        if tif not in ("ioc", "fok") and chance.random() < 0.3:
            order["post_only"] = True

    def _iceberg(self, order: dict[str, Any]) -> None:
        self._limit(order)
        if order["tif"] not in ("ioc", "fok") and "qty" in order:
            order["iceberg"] = order["qty"] * self._chance.choice([0.2, 0.34, 0.5])

    def _trigger(self, order: dict[str, Any]) -> None:
        kind = self._chance.choice(["stop_market", "stop_limit", "take_profit_market", "take_profit_limit"])
        order |= {"type": kind, "trigger_price": self._near(order["symbol"], 0.006)}
        if kind.endswith("limit"):
            order["price"] = self._near(order["symbol"])
        elif self._chance.random() < 0.3:
            order["reduce_only"] = True

    def _trailing(self, order: dict[str, Any]) -> None:
        chance, price = self._chance, self._seen[order["symbol"]][0]
        order["type"] = "trailing_stop_market"
        order |= chance.choice([{"trail_bps": 10}, {"trail_bps": 50}, {"trail_distance": price * 0.002}])
        order |= chance.choice([{}, {"activation_price": self._near(order["symbol"])}, {"reduce_only": True}])

    def _bracket(self, order: dict[str, Any]) -> None:
        chance = self._chance
        if self._hedged:
            order["position_side"] = "long" if order["side"] == "buy" else "short"
        if chance.random() < 0.5:
            order["price"] = self._near(order["symbol"], 0.002)
        order["stop_loss_bps"] = chance.choice([10, 30, 60])
        if chance.random() < 0.7:
            order["take_profit_bps"] = chance.choice([10, 30, 60])
            order["take_profit_type"] = chance.choice(["market", "limit"])

    def _group(self, order: dict[str, Any]) -> None:
        order["oco"] = f"g{len(self._tags) // 2}"
        price = self._near(order["symbol"])
        order |= self._chance.choice([{"price": price}, {"type": "stop_market", "trigger_price": price}])

    def _close_position(self, order: dict[str, Any]) -> None:
        _sizeless(order)
        kind = self._chance.choice(["stop_market", "take_profit_market"])
        order |= {"type": kind, "trigger_price": self._near(order["symbol"], 0.006), "close_position": True}

    def _quote(self, order: dict[str, Any]) -> None:
        if self._spot:
            _sizeless(order)
            order["quote_qty"] = self._chance.uniform(5, 300)


def _sizeless(order: dict[str, Any]) -> None:
    for size in ("qty", "notional", "fraction"):
        order.pop(size, None)
