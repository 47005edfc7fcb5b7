"""A trend follower: long while the fast average is above the slow one, with market orders.

An opinion to start from, not a recommendation.
"""

from __future__ import annotations

from typing import Any


class EmaCross:
    """Exponential averages of closes, kept here; buys `qty` when fast crosses above slow, sells it when below."""

    def __init__(self, fast: int = 10, slow: int = 20, qty: str = "0.01") -> None:
        if not 0 < fast < slow:
            raise TypeError(f"expected 0 < fast < slow, got fast={fast}, slow={slow}")
        self.warmup = slow + 1
        self._fast_weight = 2.0 / (fast + 1)
        self._slow_weight = 2.0 / (slow + 1)
        self._fast = self._slow = 0.0
        self._started = False
        self._qty = qty

    def generate_signals(self, market_data: Any, position_state: Any) -> dict[str, Any] | None:
        if self._started:
            close = market_data.bar.close
            self._fast += self._fast_weight * (close - self._fast)
            self._slow += self._slow_weight * (close - self._slow)
        else:
            self._start(market_data.close)
        return self._decide(position_state)

    def _start(self, closes: Any) -> None:
        """Run the averages over the warm-up, oldest close first."""
        fast = slow = float(closes[0])
        for close in closes[1:].tolist():
            fast += self._fast_weight * (close - fast)
            slow += self._slow_weight * (close - slow)
        self._fast, self._slow, self._started = fast, slow, True

    def _decide(self, position_state: Any) -> dict[str, Any] | None:
        if not position_state.qty:
            return {"side": "buy", "qty": self._qty} if self._fast > self._slow else None
        return {"close": True} if self._fast < self._slow else None
