"""A band: the same config run three times, with what the data cannot tell once against us, as configured, once for us.

Three whole engines, each with its own strategies, portfolio and venue, one after the other over one reading of the
tapes. Fills that some other model would have made of the same decisions are never shown as profit: a strategy that is
filled differently decides differently, so each run goes its own way. `sim.band` says what each assumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Any

import msgspec

from core.compose import band_plans, compose
from core.errors import UsageError
from core.exact import MATH
from core.notation import plain
from core.plan import Plan
from core.ports import HistorySource
from core.result import RunResult, make_result
from core.tape import Rows

BAND = "band.json"
Summary = dict[str, Any]


class Member(msgspec.Struct, frozen=True):
    """What is kept of one run of the band."""

    name: str
    """pessimistic, default or optimistic."""
    summary: Summary
    events_sha256: str
    run_folder: str | None = None
    """Its name within the band's folder."""


class BandResult(msgspec.Struct, frozen=True):
    """Three runs side by side."""

    run: str
    currency: str
    members: list[Member]
    pnl: dict[str, str]
    """By member: final minus initial equity, quote units, exact; what is still open is marked, nothing else is."""
    strategies: dict[str, dict[str, str]]
    """By strategy and member: what its trades realized after fees and funding, quote units."""
    warnings: list[str]

    def __getitem__(self, name: str) -> Member:
        """A member by its name."""
        return next(member for member in self.members if member.name == name)


class ReadOnce:
    """A source whose tape is read when it is first asked for, and handed to everybody after that."""

    def __init__(self, source: HistorySource) -> None:
        self._source = source
        self._tape: Rows | None = None

    async def load(self, progress: Callable[[int, int], None] | None = None) -> Rows:
        """The tape; `progress` hears of the first reading alone."""
        if self._tape is None:
            self._tape = await self._source.load(progress)
        return self._tape


def plans_of_band(plan: Plan) -> dict[str, Plan]:
    """The three plans, in the order of running, which share what their sources read. Raises UsageError, ConfigError."""
    if plan.config.fidelity != "band":
        raise UsageError(f"{plan.config.file} asks for no band: say `fidelity: band` at the top of the file")
    shared = [msgspec.structs.replace(stream, source=ReadOnce(stream.source)) for stream in plan.streams]
    return band_plans(msgspec.structs.replace(plan, streams=shared))


async def run_band(plan: Plan, *, strategies: Callable[[], Mapping[str, Any]] | None = None) -> BandResult:
    """Run all three without writing files; raises what a run raises.

    `strategies` is asked once per run for finished objects by name, in place of their `class`: each run needs its own.
    """
    members = []
    for name, own in plans_of_band(plan).items():
        handed = {} if strategies is None else dict(strategies())
        async with compose(own, strategies=handed) as engine:
            await engine.run()
        members.append(member_of(name, make_result(engine.parts.run)))
    return side_by_side(plan, members)


def member_of(name: str, result: RunResult, run_folder: str | None = None) -> Member:
    """What is kept of a finished run: its orders and fills are in its folder, or gone."""
    return Member(name, result.summary, result.events_sha256, run_folder)


def side_by_side(plan: Plan, members: list[Member]) -> BandResult:
    """The three compared. Same runs, same words."""
    with localcontext(MATH):
        pnl = {m.name: Decimal(m.summary["final_equity"]) - Decimal(m.summary["initial_equity"]) for m in members}
        strategies = {
            entry.name: {m.name: Decimal(m.summary["strategies"].get(entry.name, {}).get("pnl", "0")) for m in members}
            for entry in plan.config.strategies
        }
        warnings = list(_warnings(pnl, strategies, plan.currency))
    return BandResult(
        plan.config.run.name,
        plan.currency,
        members,
        {name: plain(value) for name, value in pnl.items()},
        {name: {m: plain(value) for m, value in each.items()} for name, each in strategies.items()},
        warnings,
    )


def encode_band(result: BandResult) -> bytes:
    """The bytes of `band.json`."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"


def decode_band(text: bytes) -> BandResult:
    """Raises msgspec.ValidationError or msgspec.DecodeError where it is none."""
    return msgspec.json.decode(text, type=BandResult)


def _warnings(pnl: dict[str, Decimal], strategies: dict[str, dict[str, Decimal]], currency: str) -> Iterator[str]:
    """What a reader must not overlook: a result that the guess decides."""
    if _changes_sign(pnl):
        yield (
            f"the sign of the result hangs on what the data cannot tell: {_spread(pnl, currency)}. Do not trust either"
        )
    for name, each in strategies.items() if len(strategies) > 1 else ():
        if _changes_sign(each):
            yield f"strategy {name} changes sign inside the band: realized {_spread(each, currency)}"
    low, high = sorted((pnl["pessimistic"], pnl["optimistic"]))
    if pnl["pessimistic"] > pnl["optimistic"]:
        yield "the pessimistic run earned more than the optimistic one: more fills were worse fills here"
    if not low <= pnl["default"] <= high:
        yield "the default run lies outside of the other two: the band is the range of all three"


def _changes_sign(values: Mapping[str, Decimal]) -> bool:
    return min(values.values()) < 0 < max(values.values())


def _spread(values: Mapping[str, Decimal], currency: str) -> str:
    return ", ".join(f"{value:,.2f} {currency} {name}" for name, value in values.items())
