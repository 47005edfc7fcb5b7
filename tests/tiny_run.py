"""Runs small enough to be worked out by hand: a few bars held in memory, strategies that answer from a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import numpy as np

from core.compose import compose, read_plan
from core.engine import Engine
from core.events import ORDER_EVENTS, Event
from core.plan import Plan
from core.tape import Tape

SECOND, MINUTE = 1_000_000_000, 60_000_000_000
START = 1_735_689_600 * SECOND
"""2025-01-01T00:00:00Z: a whole minute, hour and day."""
VENUE = "binance-usdm"
IDEAL = "{latency: {kind: none}, spread: {kind: none}, impact: {kind: none}, fees: {maker: '0', taker: '0'}}"
"""No latency, spread, impact or fee: fills are at the path's own price."""

Row = tuple[str, str, str, str, str] | None
"""open, high, low, close, volume; None is a bar that is missing."""
BRACKETS = ", brackets: [{floor: '0', mmr: '0.004', max_leverage: 150}]"
FALL: list[Row] = [
    ("60000", "60000", "60000", "60000", "1000"),
    ("60000", "60000", "60000", "60000", "1000"),
    ("60000", "60300", "57000", "58000", "1000"),
    ("58000", "58000", "58000", "58000", "1000"),
]
"""The third bar goes O H L C (|H-O| 300 < |O-L| 3000): vertices at 0, 20, 40 and 60 s of it."""


def flat(*prices: str, volume: str = "1000") -> list[Row]:
    """Bars that stand still at these prices: the market jumps between them."""
    return [(price, price, price, price, volume) for price in prices]


def tape_of(rows: Sequence[Row], symbol: str = "X", venue: str = VENUE, start: int = START) -> Tape:
    """Bars of one minute from `start` on; prices with up to 2 decimals, volume with up to 3."""
    present = [(i, row) for i, row in enumerate(rows) if row is not None]
    closes = start + MINUTE * np.array([i + 1 for i, _ in present], dtype=np.int64)
    columns = {"ts_venue": closes, "ts": closes.copy()}
    for at, (name, scale) in enumerate((("open", 2), ("high", 2), ("low", 2), ("close", 2), ("volume", 3))):
        mantissas = [int(Decimal(row[at]).scaleb(scale)) for _, row in present]
        columns[name] = np.array(mantissas, dtype=np.int64)
    return Tape(
        kind="bars", venue=venue, symbol=symbol, columns=columns, price_scale=2, size_scale=3, interval_ns=MINUTE,
        source="test",
    )  # fmt: skip


class Shelf:
    """A `HistorySource` that holds its tape already."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    async def load(self, progress: Callable[[int, int], None] | None = None) -> Tape:
        return self._tape


def plan_of(
    tapes: Mapping[str, Sequence[Row]],
    *,
    simulation: str = IDEAL,
    strategies: Sequence[str] = ("s",),
    risk: str = "{}",
    venue: str = VENUE,
    balances: str = "{USDT: '10000'}",
    leverage: int | None = 5,
    more: str = "",
    instrument: str = "",
    run: str = "",
    start: int = START,
    tick: str = "0.1",
) -> Plan:
    """A plan over these bars. A strategy is its name, or `name, key: value, …`; it sees every symbol."""
    symbols = ", ".join(tapes)
    account = f"balances: {balances}" + (f", leverage: {leverage}" if leverage is not None else "")
    text = f"run: {{name: tiny, seed: 1{run}}}\nvenue: {{name: {venue}}}\naccount: {{{account}}}\n"
    text += f"simulation: {simulation}\nrisk: {risk}\ninstruments:\n"
    for symbol in tapes:
        text += f"  {symbol}: {{tick: '{tick}', step: '0.001', base: {symbol}B, quote: USDT{instrument}}}\n"
    text += "data:\n"
    for symbol in tapes:
        text += f"  - {{symbol: {symbol}, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}\n"
    text += "strategies:\n"
    for one in strategies:
        given = "" if "symbols:" in one else f", symbols: [{symbols}]"
        text += f"  - {{name: {one}{given}, class: 'strategies.ema_cross:EmaCross'}}\n"
    plan = read_plan("tiny.yaml", text=text + more)
    streams = [
        msgspec.structs.replace(stream, source=Shelf(tape_of(tapes[stream.key[1]], stream.key[1], venue, start)))
        for stream in plan.streams
    ]
    return msgspec.structs.replace(plan, streams=streams)


class Script:
    """Answers its n-th call with `answers[n]` (None where there is none); remembers what it saw."""

    def __init__(self, *answers: Any, warmup: int = 0, on_event: Callable[[Any], Any] | None = None) -> None:
        self.warmup = warmup
        self.answers = answers
        self.calls: list[int] = []
        self.seen: list[Any] = []
        if on_event is not None:
            self.on_event = on_event

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        at = len(self.calls)
        self.calls.append(getattr(market_data, "now", 0))
        answer = self.answers[at] if at < len(self.answers) else None
        return answer(market_data, position_state) if callable(answer) else answer


class Finished(NamedTuple):
    """A run that is over: its parts, and the events that were asked for."""

    run: Any
    events: list[Any]

    def of(self, kind: type[Event], **fields: Any) -> list[Any]:
        """Events of exactly this type whose fields have these values."""
        return [e for e in self.events if type(e) is kind and all(getattr(e, k) == v for k, v in fields.items())]


def engine_of(plan: Plan, **strategies: Any) -> Engine:
    engine: Engine = compose(plan, strategies=strategies)
    return engine


async def run_of(plan: Plan, *, kinds: Sequence[type[Event]] = ORDER_EVENTS, **strategies: Any) -> Finished:
    """Run the plan with these strategy objects, by name; a spy hears `kinds` last of all."""
    heard: list[Event] = []
    async with engine_of(plan, **strategies) as engine:
        engine.parts.bus.subscribe(kinds, heard.append)
        await engine.run()
        return Finished(engine.parts.run, heard)
