"""A breakout: buys a fresh high or sells a fresh low, with a stop and a take-profit around whatever is filled.

An opinion to start from, not a recommendation: it shows how to ask for a bracket.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

BPS = 10_000


class BracketBreakout:
    """Enters where the close leaves the range of the last `window` bars; leaves at `stop` or `target` from its fill.

    `stop` and `target` are fractions of the entry's average price. One takes the other back.
    """

    def __init__(self, window: int = 60, stop: str = "0.005", target: str = "0.01", qty: str = "0.05") -> None:
        away = Decimal(stop), Decimal(target)
        if window < 2 or not all(0 < one < 1 for one in away):
            raise TypeError(f"expected window >= 2 and fractions between 0 and 1, got {window}, {stop}, {target}")
        self.warmup = window + 1
        self._window = window
        self._entry = {"qty": qty, "stop_loss_bps": away[0] * BPS, "take_profit_bps": away[1] * BPS, "id": "entry"}

    def generate_signals(self, market_data: Any, position_state: Any) -> dict[str, Any] | None:
        if position_state.qty or position_state.open_orders:
            return None
        close = market_data.close[-1]
        if close > market_data.high[-self._window - 1 : -1].max():
            return {"side": "buy", **self._entry}
        if close < market_data.low[-self._window - 1 : -1].min():
            return {"side": "sell", **self._entry}
        return None
