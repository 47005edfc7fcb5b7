"""What a report needs to remember of a run and nobody else does: fills, account events, how long answers took.

Trades are not followed while a run goes on: they are read off the fills when it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.events import FundingPaid, KeyedEvent, OrderAccepted, OrderFilled, PositionLiquidated
from core.extremes import TapeExtremes
from core.instruments import Instrument
from core.trade_log import TradeLog
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

    def trades(self, instruments: Mapping[tuple[str, str], Instrument], extremes: TapeExtremes) -> TradeLog:
        """Round trips of everything recorded so far, in the order in which we learned of it."""
        log = TradeLog(instruments, self._orders.__getitem__, extremes)
        told: list[KeyedEvent] = [*self.fills, *self.account_events]
        hear: dict[type[KeyedEvent], Callable[..., None]] = {
            OrderFilled: log.on_fill,
            FundingPaid: log.on_funding,
            PositionLiquidated: log.on_liquidation,
        }
        for event in sorted(told, key=_learned) if self.account_events else told:
            hear[type(event)](event)
        return log

    def on_accepted(self, event: OrderAccepted) -> None:
        self.latencies_ns.append(event.ts - self._orders[event.order_id].created_at)


def _learned(event: KeyedEvent) -> int:
    return event.ts
