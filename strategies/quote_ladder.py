"""A market maker: rests a ladder of post-only bids and asks around the middle of the book, against what it holds.

An opinion to start from, not a recommendation. Give it a `timer`: it looks at the book each time it is called.
"""

from __future__ import annotations

from typing import Any


class QuoteLadder:
    """Quotes `levels` prices a side, the first `half_spread` ticks from the middle, the others `gap` ticks apart.

    The middle is shifted by up to `skew` ticks against the position: a full one (`max_position`, base units) stops
    quoting the side that would add to it. A quote moves when its price is `move` ticks off.
    """

    def __init__(
        self,
        tick: float = 0.1,
        qty: str = "0.01",
        max_position: float = 0.05,
        levels: int = 1,
        half_spread: float = 5.0,
        gap: float = 5.0,
        skew: float = 5.0,
        move: float = 2.0,
    ) -> None:
        if tick <= 0 or levels < 1 or max_position <= 0 or half_spread <= 0:
            raise TypeError("expected tick, max_position and half_spread above 0 and at least one level")
        self._tick = tick
        self._qty = qty
        self._max_position = max_position
        self._distances = [(half_spread + gap * level) * tick for level in range(levels)]
        self._skew = skew * tick
        self._move = move * tick

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]]:
        book = market_data.book
        mid = book.mid
        if mid is None:
            return [{"cancel": True}]
        held = position_state.qty / self._max_position
        wanted = self._quotes(mid - self._skew * held, held, book.best_bid, book.best_ask)
        signals: list[dict[str, Any]] = []
        for order in position_state.open_orders:
            if order.pending_cancel:
                continue  # its place is taken by the one that was sent with the cancel
            tag = order.tag
            side, price = wanted.pop(tag, (None, 0.0))
            if side is None or abs(float(order.price) - price) >= self._move:
                signals.append({"cancel": tag})
                if side is not None:
                    wanted[tag] = (side, price)
        signals += [
            {"id": tag, "side": side, "price": price, "qty": self._qty, "post_only": True}
            for tag, (side, price) in wanted.items()
        ]
        return signals

    def _quotes(self, center: float, held: float, best_bid: float, best_ask: float) -> dict[str, tuple[str, float]]:
        """Tag to (side, price); never a price that would take."""
        quotes = {}
        for level, distance in enumerate(self._distances):
            if held < 1:
                quotes[f"bid-{level}"] = ("buy", min(center - distance, best_ask - self._tick))
            if held > -1:
                quotes[f"ask-{level}"] = ("sell", max(center + distance, best_bid + self._tick))
        return quotes
