"""What a config's account must agree on with its venues: assets, leverage, position mode. Before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from core.config import AccountSection
from core.plan import Plan
from core.settings.account_assets import Problem, asset_problems, said
from core.settings.scalars import advice, nearest


def account_problems(plan: Plan) -> Iterator[Problem]:
    """Every contradiction of the account with its venues."""
    account = plan.config.account
    yield from asset_problems(plan)
    yield from _symbols(plan, account)
    if account.position_mode == "hedge":
        for venue in plan.venues.values():
            if venue.rules.kind == "spot":
                yield "account.position_mode", f"{venue.rules.name} is a spot venue: there are no positions to hedge"
    yield from leverage_problems(plan, [name for name, venue in plan.venues.items() if venue.brackets is None])


def _symbols(plan: Plan, account: AccountSection) -> Iterator[Problem]:
    known = [symbol for _, symbol in plan.instruments]
    for symbol in account.leverage if isinstance(account.leverage, dict) else ():
        if symbol not in known:
            yield (
                f"account.leverage.{symbol}",
                f"no entry of `data` has this symbol, {advice(nearest(symbol, known), known)}",
            )


def leverage_problems(plan: Plan, venues: Collection[str]) -> Iterator[Problem]:
    """More than the lowest bracket of the day allows, these venues would not set."""
    account = plan.config.account
    for (name, symbol), instrument in plan.instruments.items():
        if name not in venues:
            continue
        venue = plan.venues[name]
        tiers = plan.tiers((name, symbol), plan.config.run.start) if instrument.kind == "linear" else ()
        leverage = venue.leverage.get(symbol, venue.leverage.get("", None))
        if not tiers or leverage is None:
            continue
        most = max(tier.max_leverage for tier in tiers)
        if leverage > most:
            own = isinstance(account.leverage, dict) and symbol in account.leverage
            yield (
                f"account.leverage.{symbol}" if own else "account.leverage",
                f"{leverage:f}x is more than the brackets of {venue.rules.name} allow for {symbol}: {most:f}x"
                f"{said(venue.rules, 'leverage')}",
            )
