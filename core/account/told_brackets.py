"""Brackets that a config wants as the venue tells them: asked before the tapes are, and put in place of the stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from core.dated_rows import row_at
from core.errors import UsageError
from core.plain_text import iso, iso_second
from core.plan import Plan, VenuePlan
from core.ports import ToldBrackets
from core.settings.account_checks import leverage_problems


async def told_brackets(plan: Plan, *, anew: bool = False) -> dict[str, ToldBrackets]:
    """By venue, what those tell whose entry asks for it; `anew` also where an answer is kept. Raises as the source."""
    return {
        name: await venue.brackets.load(symbols_of(plan, name), anew=anew)
        for name, venue in plan.venues.items()
        if venue.brackets is not None
    }


def symbols_of(plan: Plan, venue: str) -> list[str]:
    """The contracts of a venue for which the config itself has no brackets."""
    return [
        instrument.symbol
        for (name, symbol), instrument in plan.instruments.items()
        if name == venue and getattr(plan.specs.get(symbol), "brackets", None) is None
    ]


def with_brackets(plan: Plan, told: Mapping[str, ToldBrackets], start: int) -> Plan:
    """The plan with these brackets; its warnings say of when they are. Raises UsageError for too much leverage."""
    venues: dict[str, VenuePlan] = dict(plan.venues)
    warnings = list(plan.warnings)
    for name, one in told.items():
        rules = venues[name].rules
        rules = msgspec.structs.replace(rules, brackets=rules.brackets | one.tiers)
        venues[name] = msgspec.structs.replace(venues[name], rules=rules)
        warnings += [*one.notes, *_dates(venues[name], symbols_of(plan, name), one, start)]
    plan = msgspec.structs.replace(plan, venues=venues, warnings=warnings)
    for place, message in leverage_problems(plan, told):
        raise UsageError(f"{plan.config.file}: {place}: {message}")
    return plan


def _dates(venue: VenuePlan, symbols: Sequence[str], told: ToldBrackets, start: int) -> Iterator[str]:
    """Of when each symbol's brackets are, as `core.margin.tiers_at` chooses them; without any, others say so."""
    for symbol in symbols:
        rows = venue.rules.brackets.get(symbol)
        if rows:
            since = row_at(rows, start).since
            source = f"as {venue.rules.name} told them at" if symbol in told.tiers else "as stored, of"
            guess = f"; that they were the same on {iso(start)[:10]} is a guess" if since > start else ""
            yield f"{symbol}: brackets {source} {iso_second(since)}{guess}"
