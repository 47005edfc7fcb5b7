"""A scenario file as structs: every key of the scenario page, its values and its defaults.

`load_scenario` reads a file and refuses all that is wrong at once, with path, line and the nearest valid name. Times
are int nanoseconds after `start` (the runner adds `start`), decimals exact. `models` is checked by the reader of
`simulation:` that the caller hands in, so that its problems are reported together with the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from core.config import file_text
from core.errors import ConfigError, Problem
from core.events import OrderType, Side, TimeInForce
from core.market.price_filters import Positive
from core.notation import Millis, Timestamp
from core.settings.decode import decode
from core.settings.yaml_nodes import Node, read
from sim.scenarios.crossings import crossings
from sim.scenarios.expected import Expectation, read_expectation
from sim.scenarios.market import AccountSpec, Complaints, InstrumentSpec, Spec, exactly_one
from sim.scenarios.tape import TapeRow

Venue = Literal["binance-spot", "binance-usdm", "bybit-linear", "bybit-spot"]
Peg = Literal["opponent", "opponent_5", "opponent_10", "opponent_20", "queue", "queue_5", "queue_10", "queue_20"]
Prevention = Literal["none", "expire_maker", "expire_taker", "expire_both", "decrement", "transfer"]
ModelsReader = Callable[[Node, list[Problem]], object]

LIMIT_TYPES = frozenset({"limit", "stop_limit", "take_profit_limit"})
TRIGGER_TYPES = frozenset({"stop_market", "stop_limit", "take_profit_market", "take_profit_limit"})
REQUEST_KINDS = ("submit", "amend", "cancel", "cancel_all")


class Submit(Spec, frozen=True, kw_only=True):
    """A new order. What the venue itself refuses with a code (a quantity of zero, say) is legal here."""

    id: str
    """Our handle, unique in the file."""
    symbol: str
    side: Side
    type: OrderType
    client_id: str | None = None
    """What the venue sees; the handle when left out."""
    qty: Decimal | None = None
    quote_qty: Decimal | None = None
    """Quote units to spend or to receive."""
    price: Decimal | None = None
    price_match: Peg | None = None
    tif: TimeInForce | None = None
    """None: `gtc` on limit types; on market types the rest expires or follows `bars.remainder`."""
    good_till: Millis | None = None
    post_only: bool = False
    reduce_only: bool = False
    close_position: bool = False
    position_side: Literal["long", "short"] | None = None
    trigger_price: Decimal | None = None
    trigger_by: Literal["last", "mark", "index"] = "last"
    trigger_direction: Literal["rise", "fall"] | None = None
    """From type and side when left out."""
    activation_price: Decimal | None = None
    trail_bps: Positive | None = None
    trail_distance: Positive | None = None
    """Quote units."""
    stp: Prevention | None = None
    slippage_tolerance_type: Literal["ticks", "percent"] | None = None
    slippage_tolerance: Positive | None = None
    oco: str | None = None
    """Group: when one of it fills or triggers, the others expire."""

    def check(self) -> Complaints:
        yield from self._size()
        yield from self._price()
        yield from self._trigger()
        if self.tif == "gtd" and self.good_till is None:
            yield "good_till", "missing: `tif: gtd` needs it, milliseconds after `start`"
        if self.good_till is not None and self.tif != "gtd":
            yield "good_till", "belongs to `tif: gtd`"
        if (self.slippage_tolerance is None) != (self.slippage_tolerance_type is None):
            given = "slippage_tolerance_type" if self.slippage_tolerance is None else "slippage_tolerance"
            yield given, "`slippage_tolerance_type` and `slippage_tolerance` go together"
        elif self.slippage_tolerance is not None and self.type != "market":
            yield "slippage_tolerance", f"belongs to market orders, not to `{self.type}`"

    def _size(self) -> Complaints:
        if self.qty is not None and self.quote_qty is not None:
            yield "quote_qty", "stands beside `qty`; expected one of them"
        if self.qty is None and self.quote_qty is None and not self.close_position:
            yield "qty", "missing: expected a decimal number (or `quote_qty` on a spot market order)"
        if self.quote_qty is not None and self.type != "market":
            yield "quote_qty", f"belongs to market orders, not to `{self.type}`"

    def _price(self) -> Complaints:
        if self.type in LIMIT_TYPES:
            if self.price is None and self.price_match is None:
                yield "price", f"missing: a `{self.type}` order needs it (or `price_match`)"
            if self.price is not None and self.price_match is not None:
                yield "price_match", "stands beside `price`; expected one of them"
            return
        for key in ("price", "price_match"):
            if getattr(self, key) is not None:
                yield key, f"belongs to limit types, not to `{self.type}`"

    def _trigger(self) -> Complaints:
        trailing = self.type == "trailing_stop_market"
        if self.type in TRIGGER_TYPES and self.trigger_price is None:
            yield "trigger_price", f"missing: a `{self.type}` order needs it"
        if self.type not in TRIGGER_TYPES and self.trigger_price is not None:
            remedy = "; a trailing stop has `activation_price`" if trailing else ""
            yield "trigger_price", f"belongs to stop and take-profit types, not to `{self.type}`{remedy}"
        if trailing and (self.trail_bps is None) == (self.trail_distance is None):
            yield "", "a `trailing_stop_market` order needs exactly one of `trail_bps` and `trail_distance`"
        if not trailing:
            for key in ("activation_price", "trail_bps", "trail_distance"):
                if getattr(self, key) is not None:
                    yield key, f"belongs to `trailing_stop_market`, not to `{self.type}`"
        if self.type in ("limit", "market"):
            if self.trigger_by != "last":
                yield "trigger_by", f"a `{self.type}` order has no trigger"
            if self.trigger_direction is not None:
                yield "trigger_direction", f"a `{self.type}` order has no trigger"


class Amend(Spec, frozen=True, kw_only=True):
    """New price and/or total quantity; what is left out is repeated as it is."""

    id: str
    qty: Decimal | None = None
    price: Decimal | None = None

    def check(self) -> Complaints:
        if self.qty is None and self.price is None:
            yield "", "expected `qty`, `price` or both"


class Cancel(Spec, frozen=True, kw_only=True):
    """Cancel one order; a handle never submitted is an unknown order to the venue."""

    id: str


class CancelAll(Spec, frozen=True, kw_only=True):
    """Cancel all orders, oldest first; of one symbol where it is given."""

    symbol: str | None = None


class Request(Spec, frozen=True, kw_only=True):
    """One request at the client's time `at`; exactly one kind is set. Times are nanoseconds after `start`."""

    at: Millis
    session: str = "main"
    timestamp: Millis | None = None
    """What the request claims as its time; `at` when left out."""
    recv_window_ms: Millis | None = None
    """Nanoseconds once read, like the legs below; the venue's default when left out."""
    entry_ms: Millis | None = None
    """This request's own entry leg instead of the model's."""
    response_ms: Millis | None = None
    submit: Submit | None = None
    amend: Amend | None = None
    cancel: Cancel | None = None
    cancel_all: CancelAll | None = None

    @property
    def kind(self) -> str:
        """The one key of `REQUEST_KINDS` that is set."""
        return next(kind for kind in REQUEST_KINDS if getattr(self, kind) is not None)

    def check(self) -> Complaints:
        yield from exactly_one(self, REQUEST_KINDS)
        for key in ("recv_window_ms", "entry_ms", "response_ms"):
            value = getattr(self, key)
            if value is not None and value < 0:
                yield key, "expected 0 ms or more"


class ScenarioFile(Spec, frozen=True, kw_only=True):
    """The mapping of a scenario file; what a scenario expects is read apart, see `Scenario.expectation`."""

    name: str
    venue: Venue
    instruments: dict[str, InstrumentSpec]
    start: Timestamp = 0
    """What time 0 is, int nanoseconds UTC."""
    until: Millis | None = None
    """Run on to this time, inclusive; else the run ends with the last row, request or answer."""
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    account: AccountSpec = AccountSpec()
    models: Node | None = None
    """Raw: the keys of `simulation:` in a run config."""
    tape: list[TapeRow] = msgspec.field(default_factory=list)
    requests: list[Request] = msgspec.field(default_factory=list)
    expect: Node | None = None
    partial: bool = False
    checks: Node | None = None
    final: Node | None = None


class Scenario(ScenarioFile, frozen=True, kw_only=True):
    """A legal scenario: a tiny market, a few requests, and what they must cause."""

    file: str
    expectation: Expectation

    @property
    def submits(self) -> list[Submit]:
        """The orders of the file, in its order."""
        return [request.submit for request in self.requests if request.submit is not None]


def load_scenario(file: str, read_models: ModelsReader | None = None) -> Scenario:
    """The scenario in a file.

    Raises ConfigError with all problems at once: an unreadable file, YAML that is refused, unknown keys, wrong types,
    contradictions. `read_models` decodes the node of `models` and appends its problems to the list it is given.
    """
    return read_scenario(file_text(file), file, read_models)


def read_scenario(text: str, file: str, read_models: ModelsReader | None = None) -> Scenario:
    """The scenario in `text`; `file` is its name in messages. Raises ConfigError like `load_scenario`."""
    problems: list[Problem] = []
    root = read(text, file, problems)
    if root is None:
        raise ConfigError(file, problems)
    mapping = decode(root, ScenarioFile, problems)
    expectation = read_expectation(root, problems)
    problems.extend(crossings(root))
    models = root.child("models")
    if read_models is not None and models is not None:
        read_models(models, problems)
    if problems or mapping is None:
        problems.sort(key=lambda problem: problem.line or 0)
        raise ConfigError(file, problems)
    fields: dict[str, Any] = {name: getattr(mapping, name) for name in ScenarioFile.__struct_fields__}
    return Scenario(**fields, file=file, expectation=expectation)
