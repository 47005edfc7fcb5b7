"""What a report needs to remember of a run and nobody else does: fills, account events, how long answers took.

Trades are not followed while a run goes on: they are read off the fills when it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.bus import Subscription
from core.events import (
    FillKey,
    FundingPaid,
    OrderAccepted,
    OrderAmended,
    OrderFilled,
    OrderTriggered,
    PositionLiquidated,
)
from core.instruments import Instrument
from core.market.extremes import TapeExtremes
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
        self._places: Subscription | None = None
        self.placed: dict[str, OrderAccepted | OrderAmended | OrderTriggered] = {}
        """By order id, what put it where it is; followed until the first fill, to say why there is none."""

    @property
    def latencies_ns(self) -> list[int]:
        """From our decision to hearing that the venue has the order, one per accepted order."""
        return [o.accepted_at - o.created_at for o in self._orders.values() if o.accepted_at is not None]

    def trades(
        self,
        instruments: Mapping[tuple[str, str], Instrument],
        extremes: TapeExtremes,
        until: int,
        rates: Mapping[str, Decimal],
        fee_worth: Mapping[FillKey, Decimal],
    ) -> TradeLog:
        """Round trips of everything recorded up to `until`, in the order in which we learned of it. `rates` by settle
        asset and `fee_worth` by fill, as the trade log wants them."""
        log = TradeLog(instruments, self._orders.__getitem__, extremes, rates, fee_worth)
        self._look_up(extremes, until)
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

    def _look_up(self, extremes: TapeExtremes, until: int) -> None:
        """The stretches from one fill of a book to its next, and to the end: what a trade log is going to ask for."""
        moments: dict[tuple[str, str, str, str], list[int]] = {}
        closed = (event for event in self.account_events if isinstance(event, PositionLiquidated))
        for one in (*self.fills, *closed):
            at = one.ts if one.ts_venue is None else one.ts_venue
            moments.setdefault((one.venue, one.symbol, one.position_side, one.strategy), []).append(at)
        for (venue, symbol, _, _), times in moments.items():
            extremes.look_up(venue, symbol, sorted((*times, until)))

    def on_account_event(self, event: FundingPaid | PositionLiquidated) -> None:
        self.account_events.append(event)
        self._fills_before.append(len(self.fills))

    def hear(self, places: Subscription) -> None:
        """Our place on the bus for `on_placed`: it rests once there is a fill."""
        self._places = places

    def on_placed(self, event: OrderAccepted | OrderAmended | OrderTriggered) -> None:
        """In the venue's hands, at a new price, or at the end of waiting for a trigger, which no amend takes back."""
        if self.fills:
            if self._places is not None:
                self._places.listen(False)
        elif not isinstance(self.placed.get(event.order_id), OrderTriggered):
            self.placed[event.order_id] = event
