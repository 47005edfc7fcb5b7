"""A run's configuration: one strict file for every mode, read whole before anything starts.

`read_config` returns the config with all problems that core can see: `core.compose` decodes `simulation`, `venue`,
`instruments` and the sources, which belong to other rooms, into the same list.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from core.account.collateral import CollateralRatios
from core.errors import ConfigError, Problem
from core.notation import Interval, Millis, Timestamp
from core.settings.agreement import LEVERAGE_MAX, Mode, cross_checks
from core.settings.decode import decode
from core.settings.encode import to_plain, to_yaml
from core.settings.overrides import override
from core.settings.scalars import INT_MAX
from core.settings.yaml_nodes import REFUSED, SIZE_MAX, Node, read

MONEY_MAX = 10**15
"""More than all money there is in any currency a venue quotes: above it a zero too many was typed."""
Money = Annotated[Decimal, Meta(gt=0, le=MONEY_MAX)]
Balance = Annotated[Decimal, Meta(ge=0, le=MONEY_MAX)]
Fraction = Annotated[Decimal, Meta(gt=0, le=1)]
Leverage = Annotated[Decimal, Meta(ge=1, le=LEVERAGE_MAX)]
"""The bound catches typing errors; what a mode allows is in `core.settings.agreement`."""
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="a name of letters, digits, dots, dashes and underscores",
    ),
]
"""Part of a folder's name or of an order's key: nothing that could leave the folder."""
OWNED_NAMES = {"account": "the account's own limits", "host": "the wishes of an embedding program"}
"""What no strategy may be called. `host` is `core.engine.HOST`, which would import numpy here."""
Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
TapeKind = Literal["bars", "trades", "quotes", "depth", "l3", "marks", "index", "funding"]
"""The same words as `core.tape.Kind`, which would import numpy here."""
HeardKind = Literal["bars", "trades", "quotes", "depth"]
"""What a strategy may hear; marks, index and funding are the venue's and the account's."""


class RunSection(msgspec.Struct, frozen=True):
    """`run:` what this run is called and where it leaves its results."""

    name: Name
    seed: Annotated[int, Meta(ge=0, le=INT_MAX)] = 0
    results: Annotated[str, Meta(min_length=1)] = "runs"
    """Folder, relative to where the program is started."""
    cache: Annotated[str, Meta(min_length=1)] | None = None
    """Folder of market data that was fetched; none given: that of the environment's ANYCLOCK_CACHE, else `.cache`."""
    start: Timestamp | None = None
    end: Timestamp | None = None


class ReportSection(msgspec.Struct, frozen=True):
    """`report:` how results are written."""

    equity_interval: Interval | None = None
    """A row of the equity file per such interval; none given: 1m, or the bar interval if longer."""


class AccountSection(msgspec.Struct, frozen=True):
    """`account:` what the simulated account begins with."""

    wallet: Balance | None = None
    """Short for `balances` in the run's currency."""
    balances: dict[str, Balance] = {}
    leverage: Leverage | dict[str, Leverage] = Decimal(1)
    margin_mode: Literal["isolated", "cross"] = "isolated"
    position_mode: Literal["one_way", "hedge"] = "one_way"
    currency: Annotated[str, Meta(min_length=1, max_length=20)] | None = None
    """What the run counts its money in: one of its settle assets; None: the quote asset of the first entry of `data`.
    """
    prices: dict[str, Money] | None = None
    """Constant prices of assets, units of `currency`; None: what the data and the pegs of stablecoins say."""
    multi_asset: bool | None = None
    """True: all assets stand behind all positions, in cross margin. None: each settle asset for its own."""
    collateral: dict[str, CollateralRatios] | None = None
    """What assets count for then, in place of the venue's stored ratios."""

    def check(self) -> Iterable[tuple[str, str]]:
        if self.wallet is not None and self.balances:
            yield "wallet", "`wallet` is short for `balances`: give one of them"
        if self.collateral is not None and not self.multi_asset:
            yield "collateral", "belongs to `multi_asset: true`, which is not set"


class DataSection(msgspec.Struct, frozen=True):
    """One entry of `data:`: which stream of which symbol, and where its past comes from."""

    symbol: Symbol
    kind: TapeKind
    source: Node
    """Belongs to the adapters; decoded by compose."""
    interval: Interval | None = None
    venue: str | None = None

    def check(self) -> Iterable[tuple[str, str]]:
        if self.kind == "bars" and self.interval is None:
            yield "interval", "missing: bars need their interval, like 1m"
        if self.kind not in ("bars", "marks", "index") and self.interval is not None:
            yield "interval", f"only bars have an interval, {self.kind} have none: leave it out"


class RiskSection(msgspec.Struct, frozen=True):
    """`risk:` limits of the account, or of one strategy. What is left out is not limited."""

    max_order_notional: Money | None = None
    """Quote units."""
    max_position_notional: Money | None = None
    max_leverage: Annotated[Decimal, Meta(gt=0, le=LEVERAGE_MAX)] | None = None
    price_collar: Fraction | None = None
    """Farthest a limit price may be from the last price, as a fraction of it."""
    max_drawdown: Fraction | None = None
    """Of the equity's highest so far; reaching it halts trading."""
    max_orders_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    kill_switch: bool = False
    """True: trading is halted from the start."""


class StrategySection(msgspec.Struct, frozen=True):
    """One entry of `strategies:`."""

    name: Name
    class_path: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*)?$",
            description="an import path like strategies.ema_cross:EmaCross, or like my_bot for a module",
        ),
    ] = msgspec.field(name="class")
    """`module:Class`, or a module that has `generate_signals` itself."""
    symbols: Annotated[list[Symbol], Meta(min_length=1)]
    input: Literal["view", "pandas", "dict"] = "view"
    params: dict[str, Any] = {}
    """Handed to the class as keyword arguments."""
    window: Annotated[int, Meta(ge=1, le=1_000_000)] = 500
    """Closed bars shown at most."""
    warmup: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    """Closed bars before the first call; none given: what the strategy says, else `window`."""
    signal_interval: Interval | None = None
    hears: list[HeardKind] | None = None
    """Streams it is shown; none given: bars where there are any, see `core.hosting.hearing`."""
    timer: Interval | None = None
    """Called at each full interval of our clock, and by nothing else."""
    call: Literal["together", "each"] | None = None
    together_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 1000
    capital: Money | None = None
    """What its fractions refer to, quote units; none given: the account's equity."""
    risk: RiskSection | None = None
    """Its own limits, checked before the account's."""
    session: Name = "main"
    """Strategies with the same session share one request FIFO and its latency."""
    on_error: Literal["stop", "halt"] = "stop"

    def check(self) -> Iterable[tuple[str, str]]:
        for at, symbol in enumerate(self.symbols):
            if symbol in self.symbols[:at]:
                yield f"symbols[{at}]", f"{symbol} is named twice: keep one"
        for at, kind in enumerate(self.hears or ()):
            if kind in (self.hears or [])[:at]:
                yield f"hears[{at}]", f"{kind} is named twice: keep one"
        if self.timer is not None and self.call is not None:
            yield "call", "`timer` is what calls it then: leave one of them out"
        if self.hears == [] and self.timer is None:
            yield "hears", "it hears nothing and would never be called: name a stream, or give it a `timer`"
        if self.params and ":" not in self.class_path:
            yield "params", f"{self.class_path} is a module and takes none: name a class as {self.class_path}:Class"
        if self.name in OWNED_NAMES:
            yield "name", f"`{self.name}` is what {OWNED_NAMES[self.name]} are called: choose another name"


class PaperSection(msgspec.Struct, frozen=True):
    """`paper:` the simulator on live data."""

    hold_ms: Annotated[Millis, Meta(ge=0, le=60_000_000_000)] = 500_000_000
    """Nanoseconds of quiet after which a request is matched without a newer row."""


class LogSection(msgspec.Struct, frozen=True):
    """`log:` what the program tells on stderr and in run.log."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class ConfigKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a config file. Sections of other rooms stay nodes, with their lines, until compose decodes them."""

    run: RunSection
    venue: Node | None = None
    venues: dict[str, Node] | None = None
    account: AccountSection = AccountSection()
    instruments: dict[str, Node] = {}
    data: Annotated[list[DataSection], Meta(min_length=1)]
    simulation: Node | None = None
    fidelity: Literal["band"] | None = None
    """`band`: three whole engines, pessimistic, as configured and optimistic (`core.band`). None: as configured."""
    strategies: Annotated[list[StrategySection], Meta(min_length=1)]
    risk: RiskSection = RiskSection()
    report: ReportSection = ReportSection()
    paper: PaperSection = PaperSection()
    log: LogSection = LogSection()


class Config(ConfigKeys, frozen=True, kw_only=True):
    """A whole config and the file it came from."""

    file: str


def read_config(
    path: str | os.PathLike[str], assignments: Sequence[str] = (), *, mode: Mode | None = None
) -> tuple[Config | None, list[Problem], Node]:
    """(config, problems, tree) of a file; the config counts only where there are no problems.

    Raises ConfigError only where the file itself cannot be read.
    """
    return read_config_text(file_text(path), os.fspath(path), assignments, mode=mode)


def read_config_text(
    text: str, file: str, assignments: Sequence[str] = (), *, mode: Mode | None = None
) -> tuple[Config | None, list[Problem], Node]:
    """As `read_config`, from text in hand."""
    problems: list[Problem] = []
    node = read(text, file, problems)
    if node is None:
        return None, problems, Node(None, REFUSED, file=file)
    node = override(node, assignments, problems)
    keys = decode(node, ConfigKeys, problems)
    problems.extend(cross_checks(node, mode))
    config = None
    if keys is not None:
        config = Config(file=file, **{name: getattr(keys, name) for name in ConfigKeys.__struct_fields__})
    return config, problems, node


def config_error(file: str, problems: Iterable[Problem], assignments: Sequence[str] = ()) -> ConfigError:
    """All problems of a config file as one error: by line, what has no line (`--set`, missing files) last."""
    ordered = sorted(problems, key=lambda problem: (problem.line is None, problem.line or 0))
    given = [word for assignment in assignments for word in ("--set", assignment)]
    return ConfigError(file, ordered, again=shlex.join(["python", "-m", "core.run", "check", file, *given]))


def resolved_yaml(config: Config, sections: Mapping[str, Any] | None = None) -> str:
    """The config with its defaults filled in, as YAML that decodes to an equal Config.

    `sections` replaces raw sections by what compose made of them (`{"simulation": Simulation(...)}`). Secrets are not
    in it: the reader accepts only `env:NAME` for them.
    """
    plain: dict[str, Any] = to_plain(config)
    del plain["file"]
    plain.update({key: to_plain(value) for key, value in (sections or {}).items()})
    return to_yaml(plain)


def file_text(path: str | os.PathLike[str]) -> str:
    """The text of a config or scenario file. Raises ConfigError saying why it cannot be read and what to do."""
    file = os.fspath(path)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ConfigError(file, [Problem(None, "$", "is a folder: name a file in it")])
        if not stat.S_ISREG(mode):  # opening a FIFO would wait for ever
            raise ConfigError(file, [Problem(None, "$", "is no regular file: copy it into one")])
        with open(path, "rb") as stream:
            raw = stream.read(SIZE_MAX + 1)
        return raw.decode("utf-8")
    except FileNotFoundError:
        here = "is not there: check the path; it is relative to the folder the program was started in"
        raise ConfigError(file, [Problem(None, "$", here)]) from None
    except UnicodeDecodeError as error:
        if len(raw) > SIZE_MAX:  # cut in the middle of a character
            raise ConfigError(file, [Problem(None, "$", f"larger than {SIZE_MAX} bytes")]) from None
        line = raw.count(b"\n", 0, error.start) + 1
        wrong = f"byte {raw[error.start]:#04x} is no UTF-8: save the file as UTF-8"
        raise ConfigError(file, [Problem(line, "$", wrong)]) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(file, [Problem(None, "$", f"cannot be read: {why}")]) from None
