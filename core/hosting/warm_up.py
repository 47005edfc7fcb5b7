"""What strategies are shown of the time before the run: as much of a tape's past as their warm-up needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from core.events import MarketEvent
from core.hosting.hosted_strategy import HostedStrategy
from core.market.tape_events import BATCH, DECODERS
from core.tape import Column, Rows


def past_events(tape: Rows, strategies: Sequence[HostedStrategy]) -> Iterable[MarketEvent]:
    """The last bars of a tape, or the trades from which a strategy builds its last bars, oldest first."""
    if tape.kind == "bars":
        # One large bar more than asked for: the first may be cut by where the history begins.
        large = {h: max(1, (h.spec.interval_ns or 0) // tape.interval_ns) for h in strategies}
        needed = max(h.warmup * size + size - 1 for h, size in large.items())
        first = max(0, len(tape) - needed)
        return _events(tape, {name: column[first:] for name, column in tape.load().columns.items()})
    key = (tape.venue, tape.symbol)
    builders = [h for h in strategies if key in h.hearing and h.hearing[key].builds_bars]
    if tape.kind != "trades" or not builders or not len(tape):
        return ()
    # Two bars more: the one that the past ends in is not over, the one that it begins in is cut.
    past = max((h.warmup + 2) * (h.spec.interval_ns or 0) for h in builders)
    part = tape.between(tape.edges.last_ts - past, None)
    return chain.from_iterable(_events(part, columns) for columns in part.chunks(BATCH))


def _events(tape: Rows, columns: Mapping[str, Column]) -> list[MarketEvent]:
    """Rows with the receipt time of the tape."""
    return DECODERS[tape.kind](tape, columns, columns["ts"])
