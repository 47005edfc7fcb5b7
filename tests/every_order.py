"""A strategy for tests that asks for every kind of order there is, at random but from a seed; on bars of any venue."""

from __future__ import annotations

import random
from typing import Any

KINDS = (
    "bracket",
    "bracket",
    "straddle",
    "iceberg",
    "trailing",
    "close position",
    "day",
    "move",
    "amend",
    "target",
    "all",
)


class EveryOrder:
    """Brackets, groups, icebergs, trailing and close-position stops, day orders, and changes of all of them."""

    def __init__(self, seed: int = 0, share: float = 0.4, short: bool = True) -> None:
        self.warmup = 1
        self._chance = random.Random(seed)
        self._share = share
        """Of the bars that it answers."""
        self._short = short
        """Whether it may be short: on spot nobody is."""
        self._count = 0

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        if self._chance.random() > self._share:
            return None
        self._count += 1
        close, kind = float(market_data.bar.close), self._chance.choice(KINDS)
        side = self._chance.choice(("buy", "sell") if self._short else ("buy",))
        order = {"side": side, "qty": self._chance.uniform(0.5, 3), "tag": f"n{self._count}"}
        return getattr(self, "_" + kind.replace(" ", "_"))(order, close, position_state)

    def _near(self, close: float) -> float:
        return close * self._chance.uniform(0.998, 1.002)

    def _bracket(self, order: dict[str, Any], close: float, state: Any) -> Any:
        legs = {"stop_loss_bps": self._chance.uniform(5, 30), "take_profit_bps": self._chance.uniform(5, 30)}
        legs["take_profit_type"] = self._chance.choice(["market", "limit"])
        return order | legs | ({"price": self._near(close)} if self._chance.random() < 0.5 else {})

    def _straddle(self, order: dict[str, Any], close: float, state: Any) -> Any:
        group = {"oco": f"g{self._count % 5}", "type": "stop_market"}
        up = order | group | {"side": "buy", "trigger_price": close * 1.001}
        down = order | group | {"side": "sell", "trigger_price": close * 0.999, "tag": f"m{self._count}"}
        return [up, down] if self._short else [up]

    def _iceberg(self, order: dict[str, Any], close: float, state: Any) -> Any:
        return order | {"price": self._near(close), "iceberg": 0.4}

    def _trailing(self, order: dict[str, Any], close: float, state: Any) -> Any:
        leaving = {"side": "sell" if state.qty > 0 else "buy", "type": "trailing_stop_market", "reduce_only": True}
        return order | leaving | self._chance.choice([{"trail_bps": 15}, {"trail_distance": close * 0.002}])

    def _close_position(self, order: dict[str, Any], close: float, state: Any) -> Any:
        up = state.qty < 0
        leaving = {"side": "buy" if up else "sell", "type": "stop_market", "close_position": True}
        return {"tag": order["tag"], **leaving, "trigger_price": close * (1.0015 if up else 0.9985)}

    def _day(self, order: dict[str, Any], close: float, state: Any) -> Any:
        return order | {"price": self._near(close), "tif": "day"}

    def _move(self, order: dict[str, Any], close: float, state: Any) -> Any:
        return {"amend": self._some(), "stop_loss": close * 0.998}

    def _amend(self, order: dict[str, Any], close: float, state: Any) -> Any:
        what = self._chance.choice(["price", "trigger_price", "qty"])
        return {"amend": self._some(), what: 1.5 if what == "qty" else self._near(close)}

    def _target(self, order: dict[str, Any], close: float, state: Any) -> Any:
        return {"target": self._chance.uniform(-2 if self._short else 0, 2)}

    def _all(self, order: dict[str, Any], close: float, state: Any) -> Any:
        return self._chance.choice([{"cancel": True}, {"close": True}, {"cancel": self._some()}])

    def _some(self) -> str:
        leg = self._chance.choice(["", "", ".stop", ".target"])
        return f"n{self._chance.randint(max(1, self._count - 6), self._count)}{leg}"
