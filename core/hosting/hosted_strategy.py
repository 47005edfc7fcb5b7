"""One strategy with everything it sees: how it is to be run, its views, what it waits for."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import msgspec

from core.account.margin_needs import AccountMargin
from core.errors import UsageError
from core.hosting.hearing import Hearing
from core.hosting.loading import check_strategy, warmup_of
from core.hosting.position_state import PositionState
from core.market.bar_aggregator import BarAggregator
from core.market_view import MarketView, SymbolView
from core.moments import SECOND_NS
from core.portfolio import Portfolio
from core.ports import TimerHandle
from core.working import WorkingOrders

Input = Literal["view", "pandas", "dict"]


class StrategySpec(msgspec.Struct, frozen=True):
    """How one strategy is to be run."""

    name: str
    symbols: dict[str, tuple[str, str]]
    """The names the strategy uses to (venue, symbol)."""
    input: Input = "view"
    window: int = 500
    """Closed bars shown at most."""
    warmup: int | None = None
    """Bars before the first call; None: the object's own `warmup`, else `window`."""
    interval_ns: int | None = None
    """`signal_interval`: bars the strategy sees; None: the data's own."""
    hearing: dict[str, Hearing] = {}
    """What it hears, by the names of its symbols; a name that is not here hears bars and is called by them."""
    timer_ns: int | None = None
    """It is called at each full interval of our clock, and by nothing else."""
    together: bool = False
    together_ns: int = SECOND_NS
    session: str = "main"
    on_error: Literal["stop", "halt"] = "stop"
    currency: str = "USDT"


class HostedStrategy:
    """One strategy with everything it sees. Raises UsageError for an object that cannot be called as promised."""

    def __init__(
        self,
        strategy: Any,
        spec: StrategySpec,
        portfolio: Portfolio,
        working: WorkingOrders,
        margin: AccountMargin | None = None,
    ) -> None:
        """`margin` None: nothing is known of the venue's margin, and the position's state does not tell of it."""
        check_strategy(strategy, spec.name)
        self.spec = spec
        self.object = strategy
        self.name = spec.name
        self.call = strategy.generate_signals
        self.is_async = inspect.iscoroutinefunction(self.call)
        self.on_event = getattr(strategy, "on_event", None)
        self.hearing = {key: spec.hearing.get(name, Hearing()) for name, key in spec.symbols.items()}
        self.warmup = self._warmup()
        window = max(spec.window, self.warmup, 1)
        self.views = {name: SymbolView(name, window, self.hearing[key].shown) for name, key in spec.symbols.items()}
        self.names = {key: name for name, key in spec.symbols.items()}
        self.market = MarketView(self.views)
        self.states = PositionState.of_symbols(
            {name: (*key, spec.name) for name, key in spec.symbols.items()},
            spec.currency,
            portfolio,
            working,
            margin or AccountMargin(portfolio, working, {}, {}),
        )
        self.first = next(iter(spec.symbols))
        self.state = self.states[self.first]
        self.aggregators = (
            {key: BarAggregator(spec.interval_ns) for key in self.names} if spec.interval_ns is not None else {}
        )
        self.seen = {name: 0 for name, key in spec.symbols.items() if "bars" in self.hearing[key].shown}
        """Closed bars shown so far, of the symbols whose bars it hears."""
        self.started_at: int | None = None
        """When the warm-up was over and the first call was made."""
        self.calls = 0
        self.failed = self.running = False
        """`running`: the warm-up is over, and it has not failed."""
        self.wished_at = self.wished = 0
        """The moment of its newest wishes, and how many it had then."""
        self.waiting: set[str] = set()
        self.waits_for: int | None = None
        """Close of the interval whose bars are coming in (`call: together`)."""
        self.begun = 0
        """Close of the newest interval of which a bar has come."""
        self.timer: TimerHandle | None = None
        self.single = len(self.names) == 1
        self.speaks_of_all = not self.single and (spec.together or spec.timer_ns is not None)
        """Its answers mean no symbol by themselves: each must name its own."""

    @property
    def is_simple(self) -> bool:
        """Whether a call needs no questions: plain, of one symbol, by what it hears of it itself, as a view."""
        return self.single and not self.is_async and not self.aggregators and self.spec.input == "view"

    def _warmup(self) -> int:
        """Closed bars before the first call: the config's, the object's own, else a window; 0 where it hears none."""
        spec = self.spec
        warmup = spec.warmup if spec.warmup is not None else warmup_of(self.object, spec.name)
        if any("bars" in hearing.shown for hearing in self.hearing.values()):
            return spec.window if warmup is None else warmup
        if warmup:
            raise UsageError(
                f"strategy {spec.name}: it wants {warmup} closed bars before its first call and hears none: give it "
                "bars (`data`, `hears`, or a `signal_interval` over trades), or set its warmup to 0"
            )
        return 0

    def inputs(self, name: str) -> tuple[Any, Any]:
        """`market_data` and `position_state` in the form the strategy asked for."""
        if self.spec.input == "view":
            return self.market, self.states[name]
        form = SymbolView.frame if self.spec.input == "pandas" else SymbolView.plain
        if self.single:
            return form(self.views[name]), self.states[name].plain()
        return {n: form(v) for n, v in self.views.items()}, {n: s.plain() for n, s in self.states.items()}
