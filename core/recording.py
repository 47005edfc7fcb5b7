"""What a report needs to remember of a run and nobody else does: fills, account events, how long answers took."""

from __future__ import annotations

from core.events import KeyedEvent, OrderAccepted, OrderFilled
from core.working import WorkingOrders


class Recording:
    """Plain bus handlers that append."""

    def __init__(self, working: WorkingOrders) -> None:
        self._orders = working.all
        self.fills: list[OrderFilled] = []
        self.on_fill = self.fills.append
        self.account_events: list[KeyedEvent] = []
        self.on_account_event = self.account_events.append
        self.latencies_ns: list[int] = []
        """From our decision to hearing that the venue has the order, one per accepted order."""

    def on_accepted(self, event: OrderAccepted) -> None:
        self.latencies_ns.append(event.ts - self._orders[event.order_id].created_at)
