"""A strategy for tests that asks for everything it may ask for, at random but from a seed."""

from __future__ import annotations

import random
from typing import Any

SECOND_NS = 1_000_000_000
TRIGGERS = ("stop_market", "stop_limit", "take_profit_market", "take_profit_limit")


class RandomTrader:
    """Orders of every type and size, amends, cancels and targets, on bars and in answer to its own order events."""

    def __init__(self, seed: int = 0, answers: int = 40) -> None:
        self.warmup = 1
        self._chance = random.Random(seed)
        self._answers = answers
        """How often it may answer an order event: without an end two of its orders could answer each other for ever."""
        self._tags: list[str] = []
        self._last: dict[str, tuple[float, int]] = {}
        self._symbol = ""

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]]:
        for symbol in market_data.symbols:
            bar = market_data[symbol].bar
            if bar is not None:
                self._last[symbol] = float(bar.close), market_data.now
        return [self._wish(symbol) for symbol in self._last if self._chance.random() < 0.5]

    def on_event(self, event: Any) -> dict[str, Any] | None:
        symbols = [name for name in self._last if name.split(":")[-1] == event.symbol]
        if not self._answers or not symbols or self._chance.random() < 0.7:
            return None
        self._answers -= 1
        return self._wish(self._chance.choice(symbols))

    def _wish(self, symbol: str) -> dict[str, Any]:
        chance = self._chance
        kind = chance.choice(["market", "limit", "limit", "trigger", "amend", "cancel", "cancel all", "target"])
        close, now = self._last[symbol]
        price = close * chance.uniform(0.998, 1.002)
        if kind == "cancel all":
            return {"symbol": symbol, "cancel": True}
        if kind == "target":
            return {"symbol": symbol, "target": chance.uniform(-3, 3) if ":" not in symbol else chance.uniform(0, 3)}
        if kind in ("amend", "cancel") and self._tags:
            tag = chance.choice(self._tags)
            owner = tag.split("/")[0]
            return (
                {"symbol": owner, "amend": tag, "price": price} if kind == "amend" else {"symbol": owner, "cancel": tag}
            )
        tag = f"{symbol}/{len(self._tags)}"
        self._tags.append(tag)
        order = {"symbol": symbol, "side": chance.choice(["buy", "sell"]), "qty": chance.uniform(0.01, 3), "tag": tag}
        if kind == "limit":
            tif = chance.choice(["gtc", "gtc", "gtc", "ioc", "fok", "gtd"])
            order |= {"price": price, "tif": tif, "post_only": tif in ("gtc", "gtd") and chance.random() < 0.3}
            if tif == "gtd":
                order["good_till"] = now + int(chance.uniform(-100, 600)) * SECOND_NS
        elif kind == "trigger":
            order |= {"type": chance.choice(TRIGGERS), "trigger_price": price, "reduce_only": chance.random() < 0.3}
            if str(order["type"]).endswith("limit"):
                order["price"] = close * chance.uniform(0.998, 1.002)
        return order
