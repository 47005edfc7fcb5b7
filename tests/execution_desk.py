"""An execution engine without a bus or a venue: wishes in, proposals out, fills by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from adapters.venues import load_rules
from core.commands import ProposeOrder
from core.events import (
    OrderAccepted,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
)
from core.execution import ExecutionEngine
from core.hosting.signals import read_answer
from core.ids import CountedIds
from core.instruments import Instrument
from core.orders import OrderTerms
from core.portfolio import Portfolio
from core.working import WorkingOrders
from sim.clock import SimClock

D = Decimal
X = Instrument(
    venue="v", symbol="X", tick=D("0.1"), step=D("0.001"), base="XB", quote="USDT", min_qty=D("0.002"), max_qty=D(50),
    market_max_qty=D(20), min_notional=D(5),
)  # fmt: skip


class Desk:
    """An execution engine over a real ledger; every proposal is taken as submitted and accepted. Last price 100."""

    def __init__(
        self, instrument: Instrument = X, *, capital: str | None = None, venue: str = "binance-usdm", **rules: Any
    ) -> None:
        """The rules are those of `venue`, but for `rules`."""
        self.told: list[Any] = []
        self.portfolio = Portfolio({("v", "X"): instrument}, {("v", "USDT"): D(1000)}, lambda event: None)
        self.portfolio.marks["v", "X"] = 100.0
        self.working = WorkingOrders()
        self.clock = SimClock(0)
        self.engine = ExecutionEngine(
            instruments={("v", "X"): instrument}, portfolio=self.portfolio, working=self.working,
            ids=CountedIds("t"), publish=self.told.append, sessions={"a": "fast"},
            capital={} if capital is None else {"a": D(capital)}, clock=self.clock,
            rules={"v": msgspec.structs.replace(load_rules(venue), **({"gtd_ahead_ms": 0} | rules))},
        )  # fmt: skip

    def say(self, *wishes: Any, strategy: str = "a", ts: int = 0) -> list[Any]:
        """Proposals and denials of one answer, in order."""
        self.told.clear()
        for signal in read_answer(list(wishes), {"X": ("v", "X")}, "X", ts=ts, strategy=strategy):
            self.engine.on_signal(signal)
        return self._take(ts)

    def _take(self, ts: int = 0) -> list[Any]:
        """Every proposal is submitted and accepted."""
        for event in self.told:
            if type(event) is ProposeOrder:
                t = event.order
                keys = (ts, ts, "v", "X", "net", t.strategy, t.session, t.id)
                self.working.on_event(OrderSubmitted(*keys))
                self.working.on_event(OrderAccepted(*keys, "v1", t.trigger_price is not None))
            elif type(event) is OrderDenied:
                self.working.on_event(event)
        return list(self.told)

    def order(self, wish: dict[str, Any], **more: Any) -> OrderTerms:
        """The one order a wish became."""
        (proposed,) = self.say(wish, **more)
        assert type(proposed) is ProposeOrder, proposed
        return proposed.order

    def denied(self, wish: dict[str, Any]) -> str:
        (event,) = self.say(wish)
        assert type(event) is OrderDenied, event
        return event.reason

    def fill(self, order_id: str, qty: str | None = None, price: str = "100") -> None:
        order = self.working.all[order_id]
        t = order.terms
        one = OrderFilled(0, 0, "v", "X", "net", t.strategy, t.session, t.id, "f", t.side, D(price),
                          order.leaves if qty is None else D(qty), "taker", "bar", D(0), "USDT", D(price), D(0), "t", 0,
                          0)  # fmt: skip
        self.working.on_event(one)
        self.portfolio.on_fill(one)

    def fill_and_hear(self, order_id: str, qty: str | None = None) -> list[Any]:
        """What the engine asks for when it hears of a fill."""
        order = self.working.all[order_id]
        one = OrderFilled(0, 0, "v", "X", "net", order.terms.strategy, order.terms.session, order_id, "f",
                          order.terms.side, D(100), order.leaves, "taker", "bar", D(0), "USDT", D(100), D(0), "t", 0,
                          0)  # fmt: skip
        self.fill(order_id, qty)
        self.told.clear()
        self.engine.on_fill(one)
        return self._take()

    def hold(self, qty: str, strategy: str = "a") -> None:
        side = "buy" if D(qty) > 0 else "sell"
        self.fill(self.order({"side": side, "qty": abs(D(qty))}, strategy=strategy).id)


def stop(price: int, **more: Any) -> dict[str, Any]:
    """A protective stop of the whole position of 2."""
    return {"side": "sell", "type": "stop_market", "trigger_price": price, "qty": 2, "reduce_only": True, **more}
