"""What a report needs to remember of a run and nobody else does: fills, account events, how long answers took.

Trades are not followed while a run goes on: they are read off the fills when it is over.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.events import (
    FundingPaid,
    OrderAccepted,
    OrderAmended,
    OrderFilled,
    OrderTriggered,
    PositionLiquidated,
)
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
        self.account_events: list[FundingPaid | PositionLiquidated] = []
        self._fills_before: list[int] = []
        """How many fills had been heard at each of them."""
        self.latencies_ns: list[int] = []
        """From our decision to hearing that the venue has the order, one per accepted order."""

        self.placed: dict[str, OrderAccepted | OrderAmended | OrderTriggered] = {}
        """By order id, what put it where it is; followed until the first fill, to say why there is none."""

    def trades(self, instruments: Mapping[tuple[str, str], Instrument], extremes: TapeExtremes) -> TradeLog:
        """Round trips of everything recorded so far, in the order in which we learned of it."""
        log = TradeLog(instruments, self._orders.__getitem__, extremes)
        self._look_up(extremes)
        done = 0
        for event, before in zip(self.account_events, self._fills_before, strict=True):
            log.on_fills(self.fills[done:before])
            done = before
            if isinstance(event, FundingPaid):
                log.on_funding(event)
            else:
                log.on_liquidation(event)
        log.on_fills(self.fills[done:])
        return log

    def _look_up(self, extremes: TapeExtremes) -> None:
        """The stretches from one fill of a book to its next: what a trade log is going to ask for."""
        moments: dict[tuple[str, str, str, str], list[int]] = {}
        for fill in self.fills:
            at = fill.ts if fill.ts_venue is None else fill.ts_venue
            moments.setdefault((fill.venue, fill.symbol, fill.position_side, fill.strategy), []).append(at)
        for (venue, symbol, _, _), times in moments.items():
            extremes.look_up(venue, symbol, sorted(times))

    def on_account_event(self, event: FundingPaid | PositionLiquidated) -> None:
        self.account_events.append(event)
        self._fills_before.append(len(self.fills))

    def on_accepted(self, event: OrderAccepted) -> None:
        self.latencies_ns.append(event.ts - self._orders[event.order_id].created_at)
        if not self.fills:
            self.placed[event.order_id] = event

    def on_moved(self, event: OrderAmended | OrderTriggered) -> None:
        """A new price, or the end of waiting for a trigger, which no amend takes back."""
        if not self.fills and not isinstance(self.placed.get(event.order_id), OrderTriggered):
            self.placed[event.order_id] = event
