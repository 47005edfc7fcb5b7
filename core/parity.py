"""Parity: the same plan as a backtest and as paper, and the first event in which they differ.

The backtest's world asks everybody in turn; paper runs the live door's clock, inbox and tasks on a time source that
jumps. Both play the same tapes to the same simulator, so every order and account event must be the same, `ts` included.
"""

from __future__ import annotations

import asyncio
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.compose import compose, read_plan
from core.events import ACCOUNT_EVENTS, ORDER_EVENTS, KeyedEvent
from core.plain_text import iso
from core.plan import Plan


class Recorded(msgspec.Struct, frozen=True):
    """What one run said about orders and the account, in order."""

    mode: str
    events: list[KeyedEvent]
    events_sha256: str


class Difference(msgspec.Struct, frozen=True):
    """The first event in which two runs differ; None on the side of a run that had no more."""

    index: int
    """Counted from 0 over order and account events."""
    backtest: KeyedEvent | None
    paper: KeyedEvent | None

    @property
    def fields(self) -> list[str]:
        """Names of the fields that differ; none where the events are of two types or one is missing."""
        if type(self.backtest) is not type(self.paper) or self.backtest is None:
            return []
        return [
            name
            for name in self.backtest.__struct_fields__
            if getattr(self.backtest, name) != getattr(self.paper, name)
        ]


class ParityResult(msgspec.Struct, frozen=True):
    """Two runs of one plan, compared."""

    backtest_events: int
    paper_events: int
    backtest_sha256: str
    paper_sha256: str
    difference: Difference | None

    @property
    def equal(self) -> bool:
        """Every event the same, and the digests too: what is compared one by one is what the journals hold."""
        return self.difference is None and self.backtest_sha256 == self.paper_sha256

    def text(self) -> str:
        """The result for people, several lines."""
        if self.equal:
            return (
                f"parity: equal, {self.backtest_events} order and account events\n"
                f"  events_sha256 {self.backtest_sha256}"
            )
        counts = f"({self.backtest_events} events in the backtest, {self.paper_events} in paper)"
        lines = [f"parity: different {counts}"]
        if self.difference is not None:
            lines += _told(self.difference)
        else:
            lines.append("  every event compares equal, but the digests differ: two numbers are written differently")
        lines += [
            f"  events_sha256 backtest {self.backtest_sha256}",
            f"  events_sha256 paper    {self.paper_sha256}",
        ]
        return "\n".join(lines)


async def parity(plan: Plan) -> ParityResult:
    """Run the plan both ways and compare. Raises what a run raises; keeps all order and account events in memory.

    Both runs make their strategies anew. A strategy that is a module, or keeps state in one, carries it from the first
    run into the second: that is a difference worth finding.
    """
    return compare(await record(plan, "backtest"), await record(plan, "paper"))


def run_parity(config: str | Path, assignments: tuple[str, ...] = ()) -> tuple[int, str]:
    """The command line's verb: (exit code, text). 0 equal, 1 different. Raises ConfigError and what a run raises."""
    result = asyncio.run(parity(read_plan(config, assignments)))
    return (0 if result.equal else 1), result.text()


async def record(plan: Plan, mode: Literal["backtest", "paper"], **parts: Any) -> Recorded:
    """Run a plan to its end and keep what it said. `parts` go to `core.compose.assemble`."""
    events: list[KeyedEvent] = []
    async with compose(plan, mode=mode, **parts) as engine:
        engine.parts.bus.subscribe((*ORDER_EVENTS, *ACCOUNT_EVENTS), events.append)
        await engine.run()
    return Recorded(mode, events, engine.parts.run.journal.events_sha256)


def compare(backtest: Recorded, paper: Recorded) -> ParityResult:
    """The first difference of two recorded runs, if any."""
    difference = None
    for index, (one, other) in enumerate(zip_longest(backtest.events, paper.events)):
        if one != other:
            difference = Difference(index, one, other)
            break
    return ParityResult(
        len(backtest.events), len(paper.events), backtest.events_sha256, paper.events_sha256, difference
    )


def _told(difference: Difference) -> list[str]:
    lines = [f"  first difference: event {difference.index}, counted from 0"]
    for mode, event in (("backtest", difference.backtest), ("paper", difference.paper)):
        said = "nothing: its events end here" if event is None else f"{iso(event.ts)}  {event!r}"
        lines.append(f"  {mode:<8}  {said}")
    for name in difference.fields:
        one, other = getattr(difference.backtest, name), getattr(difference.paper, name)
        lines.append(f"  differs in {name}: {one} in the backtest, {other} in paper")
    return lines
