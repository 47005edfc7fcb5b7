"""A strategy for tests that uses what resting orders can do: limits on both sides, moved, canceled, partly filled, and
stops that close what was filled.
"""

from __future__ import annotations

from typing import Any

BELOW, ABOVE = 0.9993, 1.0007
STOP_BELOW = 0.998


class RestingLadder:
    """Every bar: keep a bid and an offer near the last close; amend, cancel or replace them by the bar's number.

    `qty` decides how much of a bar the orders want: large ones are filled in parts. No opinion about the market.
    """

    def __init__(self, qty: str = "0.05", symbols: tuple[str, ...] = ()) -> None:
        self.warmup = 2
        self.qty = qty
        self.bars = 0
        self.symbols = symbols

    def generate_signals(self, market_data: Any, position_state: Any) -> list[dict[str, Any]]:
        self.bars += 1
        answers = []
        for symbol in market_data.symbols:
            view = market_data[symbol]
            if view.bar is not None:
                answers += self._quotes(symbol, float(view.bar.close), position_state[symbol].qty)
        return answers

    def _quotes(self, symbol: str, close: float, held: Any) -> list[dict[str, Any]]:
        turn = self.bars % 8
        bid, offer = close * BELOW, close * ABOVE
        if turn == 1:
            return [
                {"symbol": symbol, "side": "buy", "qty": self.qty, "price": bid, "tag": f"bid-{symbol}"},
                {"symbol": symbol, "side": "sell", "qty": self.qty, "price": offer, "tag": f"offer-{symbol}"},
            ]
        if turn == 3:
            return [{"symbol": symbol, "amend": f"bid-{symbol}", "price": bid}]
        if turn == 4 and held > 0:
            stop = {"type": "stop_market", "qty": str(held), "trigger_price": close * STOP_BELOW}
            return [{"symbol": symbol, "side": "sell", "tag": f"stop-{symbol}", "reduce_only": True, **stop}]
        if turn == 5:
            return [{"symbol": symbol, "cancel": f"offer-{symbol}"}]
        if turn == 7:
            return [{"symbol": symbol, "cancel": True}, {"symbol": symbol, "close": True}]
        return []
