"""A venue's rules as values: fees, filters, error codes, behaviours. No venue is named outside `adapters/`.

The values live in `adapters/<venue>/rules.yaml`, each with the date it was true; here is only their shape.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from core.account.collateral import DatedCollateral
from core.account.fee_tables import VenueFees
from core.dated_rows import row_at
from core.events import TimeInForce
from core.margin import DatedTiers
from core.market.price_filters import PercentPrice, PriceLimit, PriceRange
from core.notation import Timestamp

Native = Literal["oco", "trailing_bps", "trailing_distance"]
"""What some venues do by themselves and the execution engine does for the others. Nobody's iceberg is used."""
Request = Literal["submit", "cancel", "cancel_all", "amend"]


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What the venue answers in one case; `{limit}` and `{interval}` in the text are filled in."""

    code: int
    message: str


class DatedInstrument(msgspec.Struct, frozen=True):
    """A symbol's filters as they were from `since` on."""

    since: Timestamp
    tick: Decimal
    step: Decimal
    base: str
    quote: str = "USDT"
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    price_precision: int | None = None
    """Decimals a price may have; those of the tick when left out."""
    quantity_precision: int | None = None
    market_min_qty: Decimal | None = None
    market_max_qty: Decimal | None = None
    market_step: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    percent_price: PercentPrice | None = None
    price_range: PriceRange | None = None
    price_limit: PriceLimit | None = None
    market_take_bound: Decimal | None = None
    max_orders: int | None = None
    max_trigger_orders: int | None = None
    max_amends: int | None = None
    max_position: Decimal | None = None


class DatedWeight(msgspec.Struct, frozen=True):
    """What a request weighs from `since` on."""

    since: Timestamp
    weight: int


class RequestCost(msgspec.Struct, frozen=True):
    """What one request counts for."""

    weight: int = 0
    """Against the limits of the address, whether it succeeds or not."""
    orders: int = 0
    """Against the order limits, only where it succeeds."""
    on_success: tuple[DatedWeight, ...] = ()
    """Its weight instead, once it has succeeded, from a date on."""


class DatedLimits(msgspec.Struct, frozen=True):
    """How many from `since` on; interval (`10s`) to count."""

    since: Timestamp
    orders: dict[str, int] = {}
    weight: dict[str, int] = {}


class RateLimitRules(msgspec.Struct, frozen=True):
    """What a venue counts, and how many it allows (venues.md section 5)."""

    limits: list[DatedLimits]
    orders_counted: Literal["fixed", "rolling"] = "fixed"
    """`fixed`: accepted orders, in windows aligned to their length. `rolling`: requests of each kind apart, in the
    time just past."""
    costs: dict[Request, RequestCost] = {}
    taker_fill_credit: int = 0
    """What an order's first fill gives back of the order counters."""
    maker_fill_credit: int = 0

    def limits_at(self, at: int) -> DatedLimits:
        """Those valid at `at`; the oldest known ones before that."""
        return row_at(self.limits, at)


class SharedCollateralRules(msgspec.Struct, frozen=True):
    """What the assets of an account count for where they are margin together."""

    dollars: tuple[str, ...]
    """Assets that are worth one US dollar where nobody says otherwise."""
    assets: dict[str, list[DatedCollateral]]
    """By asset, oldest first; what is missing is no collateral there."""


class VenueRules(msgspec.Struct, frozen=True):
    """Everything about a venue that a simulator or a check needs to know."""

    name: str
    kind: Literal["spot", "linear"]
    as_of: Timestamp
    """When these values were true."""
    fee_in: Literal["quote", "received"]
    """`received`: a buyer pays in base, a seller in quote."""
    post_only_cross: Literal["reject", "ack_then_cancel"]
    fok_unfillable: Literal["reject", "expire"]
    gtd: bool
    """Whether the venue has good-till-date orders of its own; where not, the execution engine cancels in time."""
    amend: Literal["qty_down", "price_and_qty"]
    """`qty_down`: only less quantity, and the place is kept."""
    amend_below_filled: Literal["cancel", "reject"]
    order_margin: Literal["notional", "notional_and_fees"]
    errors: dict[str, ErrorAnswer]
    """By case, the names of `sim.order_entry.validation`; one that is missing is answered by its wider one there."""
    expiry_words: dict[str, str] = {}
    """Our reason of an expiry or a cancel to the venue's word for it."""
    status_words: dict[str, str] = {}
    """Our order status to the venue's word; `canceled_partly`, `expired_partly` where that differs after a fill."""
    native: tuple[Native, ...] = ()
    """What the venue has of the orders that not every venue has."""
    gtd_ahead_ms: int = 0
    """A good-till date must lie further ahead than this; its seconds are kept, what is below is dropped."""
    trigger_holds: bool = False
    """Whether an order that waits for its trigger is checked against the funds and holds them while it waits."""
    exec_words: dict[str, str] = {}
    """Our event's name to the venue's word for what happened (Binance `x`); `expired_stp` where STP has its own."""
    ccxt_words: dict[str, str] = {}
    """Our order status to what ccxt makes of the venue's word, where that is not plain from the status."""
    client_ids: Literal["unique_open", "reusable_when_filled", "unique_always"] = "unique_open"
    """When a client id may be used again: once its order is over, once it was filled, never."""
    client_id_pattern: str = ".+"
    """Regular expression a whole client id must match."""
    tifs: tuple[TimeInForce, ...] = ("gtc", "ioc", "fok")
    """What a limit order may ask for."""
    post_only_triggers: bool = True
    """Whether an order with a trigger may be post-only."""
    reduce_only: Literal["none", "one_way", "always"] = "none"
    """Whether there is such a flag; `one_way`: not in hedge mode."""
    close_position: Literal["none", "triggers", "any"] = "none"
    """Which orders may close whatever is held: none, market orders behind a trigger, any."""
    trigger_prices: tuple[Literal["last", "mark", "index"], ...] = ("last",)
    peg_levels: tuple[int, ...] = ()
    """Levels of the book a price may be pegged to, 1 the best; none where the venue has no pegs."""
    quote_sizes: bool = False
    """Whether a market order's size may be given in quote units."""
    slippage_tolerance: bool = False
    """Whether a market order may say how far it goes: 1 to 10000 ticks, 0.01 to 10 percent."""
    grid: Literal["from_zero", "from_minimum"] = "from_zero"
    """Where ticks and steps are counted from."""
    percent_price: Literal["both_sides", "one_sided"] = "both_sides"
    """Whether a plain `{up, down}` binds every order on both sides, or a buyer above and a seller below."""
    filter_price: Literal["last", "mark", "reference"] = "last"
    """What market orders and multipliers are judged by; the last price where the tape does not have it."""
    price_limit: Literal["none", "clamp", "reject"] = "none"
    price_limit_base: Literal["mark", "index"] = "mark"
    price_limit_since: Timestamp = 0
    """From when the formula of the price limit holds; before, it is a guess."""
    stp_default: str = "none"
    """Self-trade prevention of an order that names none."""
    stp_modes: tuple[str, ...] = ("none", "expire_maker", "expire_taker", "expire_both")
    maintenance_at: Literal["mark", "model"] = "mark"
    """What an isolated position's maintenance margin is valued at; `model`: the venue's pages differ, models choose."""
    shares_in_cross: bool = False
    """Whether in cross margin all assets stand behind all positions unless one says otherwise."""
    margin_call_at: Decimal | None = None
    """Maintenance margin over what stands behind a position from which on it is told of; None: it never is."""
    forced_ids: dict[str, str] = {}
    """Client ids of the orders a venue makes itself, by cause (liquidation, adl); one that ends in "-" is numbered."""
    funding_clamp: Decimal = Decimal("0.0005")
    """How far interest pulls the premium: at most this fraction, either way."""
    funding_divided_since: Timestamp = 0
    """From when the funding rate is divided by the intervals of 8 hours."""
    max_orders: int | None = None
    max_orders_of: Literal["symbol", "account"] = "symbol"
    max_trigger_orders: int | None = None
    triggers_count: bool = True
    """Whether orders that wait for a trigger count among `max_orders`."""
    max_amends: int | None = None
    amend_place: Literal["keeps_on_less", "loses"] = "loses"
    """The place in the queue after an amend: kept where only quantity went down, or lost every time."""
    amend_triggers: bool = False
    """Whether an order that waits for its trigger can be amended."""
    rate_limits: RateLimitRules | None = None
    recv_window_ms: int = 5000
    """How old a request may be when it reaches the engine, unless it says so itself."""
    clock_ahead_ms: int = 1000
    """How far before a request's own time the engine's clock must not be: it refuses this much and more."""
    instruments: dict[str, list[DatedInstrument]] = {}
    rebate_in: Literal["same", "given"] = "same"
    """Asset of a maker's rebate where fees are taken in what is received: the same, or what was given for it."""
    fees: VenueFees = VenueFees([])
    """From `fees.yaml` beside the rules."""
    brackets: dict[str, list[DatedTiers]] = {}
    """Maintenance tiers by symbol, from `brackets.yaml` beside the rules."""
    collateral: SharedCollateralRules | None = None
    """From `collateral.yaml` beside the rules; None where assets never stand behind positions together."""

    def guesses(self, at: int | None) -> list[str]:
        """What was not recorded for `at`, one sentence each: later rules stand for it. None: nobody said when."""
        if at is None:
            return []
        said = []
        if self.rate_limits is not None and self.rate_limits.limits and at < self.rate_limits.limits[0].since:
            said.append(f"the rate limits of {self.name} before the first recorded ones are a guess")
        if self.price_limit != "none" and at < self.price_limit_since:
            said.append(f"the price limits of {self.name} follow a formula that came later: before it they are a guess")
        return said

    def expiry_word(self, reason: str, *, partly: bool = False, tif: TimeInForce | None = None) -> str | None:
        """The venue's word for why an order ended; some say another where it was partly filled, or was immediate."""
        words = self.expiry_words
        if partly and f"{reason}_partly" in words:
            return words[f"{reason}_partly"]
        return words.get(f"{reason}_{tif}") or words.get(reason)

    def instrument_at(self, symbol: str, at: int | None) -> tuple[DatedInstrument | None, bool]:
        """The filters valid at `at`, and whether that is a guess (only later ones are known)."""
        known = self.instruments.get(symbol)
        if not known:
            return None, False
        row = row_at(known, at)
        return row, at is not None and row.since > at
