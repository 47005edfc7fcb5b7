"""What a reader of a run's summary must know beside its numbers: holes in the data, refusals, halts, silences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from core.events import FundingPaid, PositionLiquidated
from core.orders import Order, OrderStatus
from core.plain_text import iso_second
from core.story.silence import why_silent

if TYPE_CHECKING:
    from core.metrics.equity import EquityCurve
    from core.run_parts import RunParts
    from core.tape import Rows

REASONS_MAX = 5
"""Different reasons told per kind of refusal; orders.csv has them all."""
NUMBER = re.compile(r"-?\d[\d.,]*")


def remarks(parts: RunParts, curve: EquityCurve) -> list[str]:
    """One sentence each, in the order in which a reader needs them. Same run, same sentences."""
    orders = list(parts.working.all.values())
    return [
        *parts.plan.warnings,
        *dict.fromkeys(line for tape in parts.tapes for line in _about_tape(tape)),
        *_ruin(curve, shared=bool(parts.plan.config.account.multi_asset)),
        *_forced_closes(parts.recording.account_events),
        *_beginnings(parts),
        *(f"trading was halted for {scope}: {reason}" for scope, reason in parts.risk.halted.items()),
        *_refusals(orders, OrderStatus.DENIED, "denied by our own checks"),
        *_refusals(orders, OrderStatus.REJECTED, "rejected by the venue"),
        *(
            f"{count:,} signal{'' if count == 1 else 's'} needed no request: {reason}"
            for reason, count in parts.execution.unsent.items()
        ),
        *_silence(parts, orders),
        *parts.working.illegal[:REASONS_MAX],
    ]


def _about_tape(tape: Rows) -> Iterator[str]:
    """What its reader had to say: holes, shifted clocks, rows dropped."""
    for note in tape.notes:
        yield f"{tape.symbol}: {note}"


def _ruin(curve: EquityCurve, *, shared: bool) -> Iterator[str]:
    """Where nothing is ever liquidated (no brackets, no marks), money that was lost and more is nobody's result; nor is
    a debt that is left standing beside assets that fall."""
    below = curve.equity < 0
    if below.any():
        at = iso_second(int(curve.ts[below.argmax()]))
        done = "exchanged the other assets for what is owed, or liquidated," if shared else "liquidated"
        yield f"equity fell below zero at {at}: a venue would have {done} before"


def _forced_closes(events: Iterable[FundingPaid | PositionLiquidated]) -> Iterator[str]:
    """Positions that the venue closed, by strategy and symbol: a run that goes on after it looks like any other."""
    closed: dict[tuple[str, str, str], list[PositionLiquidated]] = {}
    for event in events:
        if isinstance(event, PositionLiquidated):
            closed.setdefault((event.strategy, event.symbol, event.cause), []).append(event)
    for (strategy, symbol, cause), of in closed.items():
        done = "liquidated" if cause == "liquidation" else "deleveraged"
        times = "once" if len(of) == 1 else f"{len(of):,} times, first"
        yield f"{strategy}: {symbol} was {done} by the venue {times} at {iso_second(of[0].ts)}"


def _beginnings(parts: RunParts) -> Iterator[str]:
    """When each strategy could first act, where that is not the first bar."""
    for hosted in parts.host.strategies:
        if hosted.started_at is None:
            seen = min(hosted.seen.values(), default=0)
            if not hosted.failed and hosted.warmup > seen:
                yield f"{hosted.name} was never called: it waits for {hosted.warmup:,} bars, there were {seen:,}"
            elif not hosted.failed:
                yield f"{hosted.name} was never called: nothing that it waits for came within the run"
        elif hosted.warmup > 1:
            began = iso_second(hosted.started_at)
            yield f"{hosted.name}: first call at {began}, after {hosted.warmup:,} bars of warm-up"


def _refusals(orders: Iterable[Order], status: OrderStatus, what: str) -> Iterator[str]:
    """Orders that ended so, by reason; reasons that differ in their numbers only are one, shown by its first."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for order in orders:
        if order.status is status:
            kind = NUMBER.sub("#", order.reason)
            counts[kind] += 1
            first.setdefault(kind, order.reason)
    for kind, count in counts.most_common(REASONS_MAX):
        many = "1 order was" if count == 1 else f"{count:,} orders were"
        yield f"{many} {what}{', like' if count > 1 else ''}: {first[kind]}"
    rest = counts.total() - sum(count for _, count in counts.most_common(REASONS_MAX))
    if rest:
        yield f"{rest:,} more orders were {what}, for other reasons: see orders.csv"


def _silence(parts: RunParts, orders: list[Order]) -> Iterator[str]:
    """Orders without a single fill, or no order at all."""
    if parts.recording.fills:
        return
    if orders:
        yield from why_silent(parts, orders)
    elif parts.host.signals == 0 and any(hosted.calls for hosted in parts.host.strategies):
        calls = sum(hosted.calls for hosted in parts.host.strategies)
        yield f"the strategies wanted nothing in {calls:,} call{'' if calls == 1 else 's'}"
