"""What the contracts of a run bring to their venue's ledger: brackets, marks, funding; what stands in for a mark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from core.errors import UsageError
from core.margin import ContractTerms, Tiers, known_to, scaled
from core.plan import Plan, VenuePlan
from core.tape import Rows
from sim.account import VenueAccount
from sim.bars.push_cursor import PushCursor
from sim.exchange import ExecutionSimulator
from sim.ledger.collateral import SharedCollateral
from sim.ledger.settlement import SettledSymbol, Settlement
from sim.marks.mark_basis import shifted
from sim.marks.mark_path import PriceTrack, fallback_of, track_of
from sim.models import Models


def account_for(plan: Plan, venue: VenuePlan, models: Models, tapes: Sequence[Rows]) -> VenueAccount:
    """The venue's ledger of a run, with the brackets of the day on which its tapes begin."""
    begins = [tape.edges.first_ts_venue for tape in tapes if tape.venue == venue.name and len(tape)]
    start = plan.config.run.start if plan.config.run.start is not None else min(begins, default=None)
    terms = {symbol: _terms(plan, venue, symbol, start) for name, symbol in plan.instruments if name == venue.name}
    account = plan.config.account
    rules, shared = venue.rules, plan.collateral(venue.name, start)
    return VenueAccount(
        rules.kind,
        venue.balances,
        leverage=venue.leverage,
        order_margin=rules.order_margin,
        margin_mode=account.margin_mode,
        hedged=account.position_mode == "hedge",
        terms=terms,
        maintenance_at=models.margin.maintenance_at(rules.maintenance_at),
        collateral=SharedCollateral(shared, plan.prices_at(venue.name)) if shared else None,
    )


def settle(
    exchange: ExecutionSimulator,
    models: Callable[[str], Models],
    tapes: Sequence[Rows],
    cursors: Mapping[Any, Any],
    **doors: Any,
) -> None:
    """Give a venue of contracts its settlements. `doors` are the exchange's `local_at` and `emit`."""
    if exchange.rules.kind == "spot":
        return
    symbols = {}
    pushed: list[tuple[PushCursor, PriceTrack]] = []
    for symbol, market in exchange.markets.items():
        own: dict[str, Rows] = {t.kind: t for t in tapes if (t.venue, t.symbol) == (exchange.venue, symbol)}
        chosen = models(symbol)
        track, follows = _mark(exchange, symbol, chosen, own)
        cursor = cursors.get((exchange.venue, symbol))
        if track is not None and follows and isinstance(cursor, PushCursor):
            track.count = 0
            pushed.append((cursor, track))
        symbols[symbol] = SettledSymbol(
            market.instrument,
            mark=track,
            index=track_of(own["index"]) if "index" in own else None,
            settling=track_of(own["marks"]) if "marks" in own else None,
            funding=own["funding"].load() if "funding" in own else None,
            grace_ns=chosen.funding.grace_ms,
        )
    settlement = Settlement(
        exchange.venue,
        exchange.account,
        symbols,
        forced_ids=exchange.rules.forced_ids,
        expire_orders=exchange.matching.expire_orders,
        **doors,
    )
    for cursor, track in pushed:
        cursor.revealed = partial(_reveal, settlement, track)
    exchange.matching.settlement = settlement


def said_of_contracts(plan: Plan, venue: VenuePlan, tapes: Sequence[Rows]) -> list[str]:
    """One line per assumption about a venue's account, for the summary."""
    if venue.rules.kind == "spot":
        return []
    account = plan.config.account
    lines = [f"account: {account.margin_mode} margin, {account.position_mode.replace('_', '-')} positions"]
    lines += said_of_assets(plan, venue)
    for name, symbol in plan.instruments:
        if name != venue.name:
            continue
        own: dict[str, Rows] = {t.kind: t for t in tapes if (t.venue, t.symbol) == (venue.name, symbol)}
        tiers = _terms(plan, venue, symbol, None).tiers
        end = known_to(tiers)
        if end is not None:
            lines.append(
                f"{symbol}: its brackets are known up to a notional of {end:,f}; no position may grow beyond, and one "
                "that does so by its price keeps the last known rate, which may be too low"
            )
        if not tiers:
            lines.append(f"{symbol}: its maintenance brackets are not known, it is never liquidated")
        elif "marks" not in own:
            stand_in = (
                "the last price of its own market" if _has_last_price(own) else "nothing, so it is not liquidated"
            )
            lines.append(f"{symbol}: no mark prices given; in their place stands {stand_in}")
        elif _too_long(own):
            lines.append(
                f"{symbol}: its mark bars are longer than its trade bars; marks follow the trades at the last basis"
            )
        if "funding" not in own:
            lines.append(f"{symbol}: no funding rates given; positions pay and receive none")
    return lines


def said_of_assets(plan: Plan, venue: VenuePlan) -> list[str]:
    """What the run takes its other assets to be worth, and what is left out where all stand together."""
    account, lines = plan.config.account, []
    dollars = () if venue.rules.collateral is None else venue.rules.collateral.dollars
    for asset, price in plan.prices_at(venue.name).items():
        if asset == plan.currency:
            continue
        if price.symbol is not None:
            lines.append(f"{asset} is worth what {price.symbol} says, its index for the venue where it is known")
        else:
            pegged = asset in dollars and asset not in (account.prices or {})
            why = "a dollar as the other" if pegged else "as configured"
            lines.append(f"1 {asset} is worth {price.times:f} {plan.currency} all along, {why}")
    if account.multi_asset:
        lines.append(
            "all assets stand behind all positions; a wallet below 0 is carried without interest, nothing is exchanged"
        )
    return lines


def _terms(plan: Plan, venue: VenuePlan, symbol: str, start: int | None) -> ContractTerms:
    spec, tiers = plan.specs.get(symbol), plan.tiers((venue.name, symbol), start)
    margin = venue.simulation.margin
    warns = venue.rules.margin_call_at if margin is None or margin.call_at is None else margin.call_at
    calls = () if warns is None else _call_tiers(tiers, warns, symbol)
    if spec is None:
        return ContractTerms(tiers, call_tiers=calls)
    return ContractTerms(tiers, spec.liquidation_fee, calls)


def _call_tiers(tiers: Tiers, warns: Decimal, symbol: str) -> Tiers:
    """The brackets that a margin call is found with: those with a rate below `warns`. In others what is gained would
    bring the call nearer."""
    below = tuple(tier for tier in tiers if tier.mmr < warns)
    if tiers and not below:
        raise UsageError(
            f"simulation.margin.call_at: {warns:f} is not above {tiers[0].mmr:f}, the maintenance rate of the first "
            f"bracket of {symbol}: every position would be warned of as it opens; expected more, or leave it out"
        )
    return scaled(below, warns)


def _mark(
    exchange: ExecutionSimulator, symbol: str, models: Models, own: Mapping[str, Rows]
) -> tuple[PriceTrack | None, bool]:
    """The mark of a symbol, and whether it follows the symbol's own bars."""
    path, held = models.bars.path, partial(exchange.matching.held_sign, symbol)
    if "marks" in own:
        if _too_long(own):
            return fallback_of(shifted(own["bars"].load(), own["marks"].load()), path, held), True
        return track_of(own["marks"]), False
    for kind in ("trades", "bars"):
        if kind in own:
            return fallback_of(own[kind], path, held), kind == "bars"
    return None, False


def _too_long(own: Mapping[str, Rows]) -> bool:
    return "bars" in own and "marks" in own and own["marks"].interval_ns > own["bars"].interval_ns


def _has_last_price(own: Mapping[str, Rows]) -> bool:
    return "trades" in own or "bars" in own


def _reveal(settlement: Settlement, track: PriceTrack) -> None:
    track.reveal()
    settlement.revealed()
