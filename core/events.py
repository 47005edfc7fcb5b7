"""What can happen. Facts are in the past tense or are nouns; all of them are frozen and cheap.

`ts` is when *we* learn of it, `ts_venue` when it happened at the venue; both int nanoseconds UTC. Every order and
account event carries its identity keys: `venue` (config name), `symbol`, `position_side`, `strategy`, `session`.
Market data is float (the strategy's face); money, prices and sizes of orders are exact `Decimal`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from core.exact import MATH

Side = Literal["buy", "sell"]
PositionSide = Literal["net", "long", "short"]
OrderType = Literal[
    "limit",
    "market",
    "stop_market",
    "stop_limit",
    "take_profit_market",
    "take_profit_limit",
    "trailing_stop_market",
]
TimeInForce = Literal["gtc", "ioc", "fok", "gtd", "rpi"]
Liquidity = Literal["maker", "taker"]
Ends = Literal["gtc", "ioc", "fok", "gtd", "rpi", "day"]
"""Time in force as a wish may say it: no venue has `day`, the execution engine keeps it."""
SelfTrade = Literal["none", "expire_maker", "expire_taker", "expire_both", "decrement", "transfer"]
"""What a venue does where two orders of one account would trade with each other."""


class Event(msgspec.Struct, frozen=True, tag_field="event", tag=True, gc=False):
    """Anything the bus can carry."""

    ts: int
    """When we learn of it: int nanoseconds UTC."""


# --- market ---------------------------------------------------------------------------------------------------------


class MarketEvent(Event, frozen=True, tag=True, gc=False):
    """Something a venue published about a symbol."""

    ts_venue: int
    """When it happened at the venue, int nanoseconds UTC. Never after `ts`."""
    venue: str
    symbol: str


class Bar(MarketEvent, frozen=True, tag=True, gc=False):
    """A closed OHLCV bar. `ts_venue` is its close: open time + interval."""

    interval_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    """Base units."""

    @property
    def open_time(self) -> int:
        """When the bar opened, int nanoseconds UTC."""
        return self.ts_venue - self.interval_ns


class TradeTick(MarketEvent, frozen=True, tag=True, gc=False):
    """One print of the market (a round trip of ours is called a trade)."""

    price: float
    qty: float
    side: Side
    """The aggressor's side."""


class QuoteTick(MarketEvent, frozen=True, tag=True, gc=False):
    """Best bid and ask."""

    bid: float
    bid_qty: float
    ask: float
    ask_qty: float


class BookUpdate(MarketEvent, frozen=True, tag=True, gc=False):
    """Levels of a book that changed; quantity 0 deletes a level, `snapshot` resets what it omits."""

    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    snapshot: bool = False


class MarkPrice(MarketEvent, frozen=True, tag=True, gc=False):
    """The venue's mark price, which margin and funding are computed at."""

    price: float


class FundingRate(MarketEvent, frozen=True, tag=True, gc=False):
    """A funding rate that was applied, as a fraction of notional."""

    rate: float


# --- decision -------------------------------------------------------------------------------------------------------


class Signal(Event, frozen=True, tag=True, kw_only=True, omit_defaults=True, gc=False):
    """What a strategy wants. Exactly one wish: `side` (an order), `target`, `close`, `cancel` or `amend`.

    A strategy fills in what it means; `StrategyHost` adds `ts`, `strategy` and `venue`, and turns numbers into exact
    decimals. Size of an order is one of `qty` (base units), `notional` (quote units) or `fraction` (of the strategy's
    capital), or of a market order `quote_qty`. `target` is the signed position wanted, `close` means target zero.
    """

    ts: int = 0
    strategy: str = ""
    venue: str = ""
    symbol: str = ""
    side: Side | None = None
    type: OrderType | None = None
    """Default: `limit` where a price is given, else `market`."""
    qty: Decimal | None = None
    notional: Decimal | None = None
    fraction: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_by: Literal["last", "mark", "index"] = "last"
    tif: Ends | None = None
    """`day` ends at the next UTC midnight."""
    good_till: int | None = None
    """With `tif: gtd`: int nanoseconds UTC."""
    post_only: bool = False
    reduce_only: bool = False
    position_side: PositionSide = "net"
    stp: SelfTrade | None = None
    quote_qty: Decimal | None = None
    """Size of a market order in quote units, which the venue itself turns into a quantity."""
    close_position: bool = False
    """Of a stop or take-profit market order: it closes all that the strategy holds when it acts; it has no size."""
    price_match: str | None = None
    """Instead of a price: `opponent` or `queue`, that side's best price, or `queue_5` its fifth level."""
    slippage_tolerance_type: Literal["ticks", "percent"] | None = None
    slippage_tolerance: Decimal | None = None
    """How far a market order may go from the best price, where the venue has such a bound."""
    trail_bps: Decimal | None = None
    """How far a trailing stop lets the price come back from its best: basis points, or `trail_distance` quote units."""
    trail_distance: Decimal | None = None
    activation_price: Decimal | None = None
    """A trailing stop follows from here on; None: at once."""
    iceberg: Decimal | None = None
    """How much of a limit order is shown at a time, base units."""
    oco: str | None = None
    """Name of a group: when one of its orders trades or is triggered, the others are canceled."""
    stop_loss: Decimal | None = None
    """Of an order that opens: where its stop is triggered; with either of the following it is a bracket."""
    stop_loss_distance: Decimal | None = None
    """The same as a distance from the average price of what was filled, quote units."""
    stop_loss_bps: Decimal | None = None
    """The same in basis points of that price."""
    take_profit: Decimal | None = None
    take_profit_distance: Decimal | None = None
    take_profit_bps: Decimal | None = None
    take_profit_type: Literal["market", "limit"] = "market"
    """`market`: triggered there; `limit`: rests there."""
    target: Decimal | None = None
    close: bool = False
    cancel: str | bool | None = None
    """A tag, an order id, or True for every open order of this strategy on the symbol."""
    amend: str | None = None
    """A tag or an order id; `price` and/or `qty` say what it becomes."""
    tag: str | None = None
    """The strategy's own name for the order, for `cancel`, `amend` and its `on_event`."""


# --- orders ---------------------------------------------------------------------------------------------------------


class KeyedEvent(Event, frozen=True, tag=True, gc=False):
    """An event of ours, with the keys that say whose it is."""

    ts_venue: int | None
    """When it happened at the venue; None where no venue was involved."""
    venue: str
    symbol: str
    position_side: PositionSide
    strategy: str
    session: str


class OrderEvent(KeyedEvent, frozen=True, tag=True, gc=False):
    """Something that happened to one order of ours."""

    order_id: str


class OrderDenied(OrderEvent, frozen=True, tag=True, gc=False):
    """Refused by our own risk checks or rules; it never left the house."""

    reason: str


class OrderSubmitted(OrderEvent, frozen=True, tag=True, gc=False):
    """Handed to the gateway."""


class OrderAccepted(OrderEvent, frozen=True, tag=True, gc=False):
    """In the venue's engine: resting, about to match, or waiting for its trigger."""

    venue_order_id: str
    pending_trigger: bool = False
    queue_ahead: float | None = None


class OrderRejected(OrderEvent, frozen=True, tag=True, gc=False):
    """Refused by the venue; nothing is in its book."""

    code: int | None
    message: str
    reason: str


class OrderTriggered(OrderEvent, frozen=True, tag=True, gc=False):
    """Its trigger condition was met; the order it carries acts at the same moment."""

    trigger_price: Decimal


FillKey = tuple[str, str]
"""Order id and fill id: a venue counts trades by symbol, and gives both orders of a trade its one number."""


class OrderFilled(OrderEvent, frozen=True, tag=True, gc=False):
    """One fill, and why it happened."""

    fill_id: str
    side: Side
    price: Decimal
    qty: Decimal
    liquidity: Liquidity
    rule: str
    """Which fill rule made it: walk, queue, through, crossed, bar, participation, self, liquidation."""
    fee: Decimal
    """Positive is paid, negative is a rebate, in `fee_asset`."""
    fee_asset: str
    reference: Decimal
    """The market's price at that moment before spread and impact; a maker's own price."""
    leaves: Decimal
    """What of the order is still open after this fill."""
    cause_tape: str
    """Id of the tape whose row caused the fill, or the request's own kind."""
    cause_row: int
    cause_ts: int
    """`ts_venue` of that row, int nanoseconds UTC."""
    queue_ahead: float | None = None
    """What stood ahead of a resting order just before, base units; None for takers and where nobody can know."""

    @property
    def key(self) -> FillKey:
        return self.order_id, self.fill_id


class OrderAmended(OrderEvent, frozen=True, tag=True, gc=False):
    """Changed at the venue. `qty` is the new total."""

    price: Decimal | None
    qty: Decimal
    queue_ahead: float | None = None


class OrderCanceled(OrderEvent, frozen=True, tag=True, gc=False):
    """Ended because somebody asked, or because a post-only order would have taken (Bybit)."""

    reason: str
    venue_reason: str | None = None


class OrderExpired(OrderEvent, frozen=True, tag=True, gc=False):
    """Ended by the venue: ioc, fok, no_liquidity, gtd, reduce_only, stp, liquidation and so on."""

    reason: str
    venue_reason: str | None = None
    prevented: Decimal = Decimal(0)


class CancelRejected(OrderEvent, frozen=True, tag=True, gc=False):
    """The venue did not cancel; the order is unchanged."""

    code: int | None
    message: str


class AmendRejected(OrderEvent, frozen=True, tag=True, gc=False):
    """The venue did not amend; the order is unchanged."""

    code: int | None
    message: str


class OrderUnknown(OrderEvent, frozen=True, tag=True, gc=False):
    """Live only: sent, and no answer yet. Only an authoritative answer ends this."""

    detail: str


# --- account --------------------------------------------------------------------------------------------------------


class PositionChanged(KeyedEvent, frozen=True, tag=True, gc=False):
    """A book's position after a fill, funding or transfer of ours."""

    qty: Decimal
    """Signed, base units."""
    cost: Decimal
    """Exact signed cost, quote units; entry price is cost / qty."""
    realized_pnl: Decimal
    """What this change realized, before fees, quote units."""


class PositionClosed(KeyedEvent, frozen=True, tag=True, gc=False):
    """The book is flat again."""

    realized_pnl: Decimal
    """Of the whole time since it was last flat, before fees, quote units."""


class BalanceChanged(KeyedEvent, frozen=True, tag=True, gc=False):
    """An asset's balance moved."""

    asset: str
    delta: Decimal
    total: Decimal
    reason: str
    """fee, realized_pnl, trade, funding, liquidation, deposit."""


class FundingPaid(KeyedEvent, frozen=True, tag=True, gc=False, omit_defaults=True):
    """Funding was settled on an open position; negative `amount` was paid by us."""

    amount: Decimal
    """Signed change of the wallet, 8 decimals."""
    rate: Decimal
    """Fraction of notional."""
    mark: Decimal
    qty: Decimal
    """Signed position that it was computed on."""
    from_margin: Decimal = Decimal(0)
    """How much of it came out of an isolated position's margin, because so much was not free; 0 or more."""


class PositionLiquidated(KeyedEvent, frozen=True, tag=True, gc=False):
    """The venue closed a position of ours, or a part of it. No fill event tells the same."""

    price: Decimal
    """Isolated: the bankruptcy price, with up to 34 digits. The cash moved is price x qty on a grid of 1e-16."""
    qty: Decimal
    """Unsigned, of this strategy's book."""
    side: Side
    """Of the venue's own order: `sell` where it closes a long."""
    cause: Literal["liquidation", "adl"]
    realized_pnl: Decimal
    fee: Decimal
    client_id: str = ""
    """What the venue calls the order that it made; empty where it has no such word."""
    insured: Decimal = Decimal(0)
    """What of the loss was beyond the wallet and is borne by the venue, quote units."""


class MarginCall(KeyedEvent, frozen=True, tag=True, gc=False):
    """A position came near its liquidation: its maintenance margin passed the venue's share of what stands behind it.

    Told once, and again after a fill of the symbol leaves it there (cross margin: any fill). In cross margin the whole
    pool is meant, and each of its positions is told.
    """

    qty: Decimal
    """Signed, of this strategy's book."""
    mark: Decimal
    maintenance: Decimal
    """Maintenance margin, quote units; cross: of the pool; shared: of the account, in the run's currency."""
    balance: Decimal
    """Margin and unrealized PnL of the position, quote units; cross: wallet and unrealized PnL of the pool; shared:
    what all assets count for."""
    liquidation_price: Decimal | None

    @property
    def ratio(self) -> Decimal | None:
        """maintenance / balance: at 1 the venue liquidates. None where nothing is left."""
        return MATH.divide(self.maintenance, self.balance) if self.balance > 0 else None


# --- system ---------------------------------------------------------------------------------------------------------


class TimerFired(Event, frozen=True, tag=True, gc=False):
    """A moment somebody asked for has come."""

    name: str
    owner: str
    """Which component or strategy asked."""


class FeedGap(Event, frozen=True, tag=True, gc=False):
    """Rows are missing from a stream; `until` is the first row after the hole."""

    venue: str
    symbol: str
    since: int
    until: int


class LinkLost(Event, frozen=True, tag=True, gc=False):
    venue: str
    channel: str
    reason: str


class LinkRestored(Event, frozen=True, tag=True, gc=False):
    venue: str
    channel: str


class StrategyFailed(Event, frozen=True, tag=True, gc=False):
    """A strategy raised or answered with something that is no signal."""

    strategy: str
    method: str
    where: str
    what: str


class TradingHalted(Event, frozen=True, tag=True, gc=False):
    """Nothing that could increase exposure passes any more; cancels and reducing orders do."""

    scope: str
    """`account`, or a strategy's name."""
    reason: str


class TradingResumed(Event, frozen=True, tag=True, gc=False):
    scope: str
    reason: str


class RunStarted(Event, frozen=True, tag=True, gc=False):
    run: str


class RunEnded(Event, frozen=True, tag=True, gc=False):
    run: str
    reason: str


ORDER_EVENTS: tuple[type[OrderEvent], ...] = (
    OrderDenied,
    OrderSubmitted,
    OrderAccepted,
    OrderRejected,
    OrderTriggered,
    OrderFilled,
    OrderAmended,
    OrderCanceled,
    OrderExpired,
    CancelRejected,
    AmendRejected,
    OrderUnknown,
)
ACCOUNT_EVENTS: tuple[type[KeyedEvent], ...] = (
    PositionChanged,
    PositionClosed,
    BalanceChanged,
    FundingPaid,
    MarginCall,
    PositionLiquidated,
)
