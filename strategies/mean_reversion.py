"""A mean reverter: rests a bid below the average and, once filled, an offer at it. Only limit orders.

An opinion to start from, not a recommendation: it shows tags, amends, reduce-only and post-only.
"""

from __future__ import annotations

from typing import Any


class MeanReversion:
    """Bids `width` standard deviations below the mean of the last `window` closes; offers what it holds at the mean."""

    def __init__(self, window: int = 60, width: float = 2.0, qty: str = "0.01", move: float = 0.0002) -> None:
        if window < 2 or width <= 0 or move < 0:
            raise TypeError(f"expected window >= 2, width > 0, move >= 0, got {window}, {width}, {move}")
        self.warmup = window
        self._window = window
        self._width = width
        self._qty = qty
        self._move = move
        """Fraction of price an order's wish must change by before it is amended: each amend costs the place in line."""

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]]:
        closes = market_data.close[-self._window :]
        mean, deviation = float(closes.mean()), float(closes.std())
        working = {order.tag: order for order in position_state.open_orders}
        if position_state.qty > 0:
            signals = [{"cancel": "entry"}] if "entry" in working else []
            return signals + self._rest("exit", working, "sell", mean, str(position_state.qty))
        return self._rest("entry", working, "buy", mean - self._width * deviation, self._qty)

    def _rest(self, tag: str, working: dict[str, Any], side: str, price: float, qty: str) -> list[dict[str, Any]]:
        """Keep one order of this name near `price`: place it, amend it where its wish moved, else leave it."""
        order = working.get(tag)
        if order is None:
            leaving = {"reduce_only": True} if side == "sell" else {"post_only": True}
            return [{"id": tag, "side": side, "price": price, "qty": qty, **leaving}]
        if order.pending_cancel or order.pending_amend or abs(float(order.price) - price) < self._move * price:
            return []
        return [{"amend": tag, "price": price}]
