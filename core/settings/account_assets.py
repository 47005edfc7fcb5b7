"""The assets of a config's account: what each is worth, and whether its venues agree. Before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from core.account.collateral import AssetPrice, PricedSymbol, asset_prices
from core.config import AccountSection
from core.instruments import Instrument
from core.plan import Key, Plan, VenuePlan
from core.settings.scalars import advice, nearest
from core.venue_rules import VenueRules

Problem = tuple[str, str]
"""(place in the file, sentence)"""


def prices_of(
    account: AccountSection, venues: Mapping[str, VenuePlan], instruments: Mapping[Key, Instrument], currency: str
) -> dict[Key, AssetPrice]:
    """What each asset of each venue is worth in the run's currency; one that nobody prices is left out."""
    found: dict[Key, AssetPrice] = {}
    for name, venue in venues.items():
        symbols = [PricedSymbol(i.symbol, i.base, i.quote) for i in instruments.values() if i.venue == name]
        shared = venue.rules.collateral
        dollars = () if shared is None else shared.dollars
        priced = {symbol.base for symbol in symbols}
        fixed = {asset: price for asset, price in paid_in(venue).items() if asset not in priced}
        prices = asset_prices(venue.balances, currency, symbols, fixed | (account.prices or {}), dollars)
        found |= {(name, asset): price for asset, price in prices.items()}
    return found


def paid_in(venue: VenuePlan) -> dict[str, Decimal]:
    """Assets that fees are paid in where neither base nor quote is, with the constant price that the config has."""
    models = [venue.simulation.fees, *(own.fees for own in venue.simulation.symbols.values())]
    return {one.pay_in: one.pay_price for one in models if one is not None and one.pay_in is not None}


def asset_problems(plan: Plan) -> Iterator[Problem]:
    """Assets that are typing errors, have no use or no price, or that a venue does not take."""
    account = plan.config.account
    quotes = list(dict.fromkeys(i.quote for i in plan.instruments.values()))
    if plan.currency not in quotes:
        yield (
            "account.currency",
            f"nothing in this run is settled in {plan.currency}, {advice(nearest(plan.currency, quotes), quotes)}",
        )
        return
    yield from _prices(plan)
    yield from _fees(plan, quotes)
    for quote in quotes:
        if quote not in plan.rates:
            yield (
                "account.prices",
                f"{_no_price(quote, plan.currency)}: what is settled in it counts in {plan.currency}",
            )
    for instrument in plan.instruments.values():
        if instrument.kind == "spot" and instrument.quote != plan.currency:
            yield (
                "data",
                f"{instrument.symbol} is spot and paid in {instrument.quote}, this run counts in {plan.currency}: one "
                "run has one quote currency on spot, split the run",
            )
    if account.multi_asset:
        yield from _shared(plan)
    else:
        yield from _useless(plan)


def _prices(plan: Plan) -> Iterator[Problem]:
    known = sorted({asset for venue in plan.venues.values() for asset in venue.balances})
    traded = {i.base: i.symbol for i in plan.instruments.values() if i.kind == "spot"}
    for asset, price in (plan.config.account.prices or {}).items():
        if asset in traded:
            yield f"account.prices.{asset}", f"{traded[asset]} says it: its price is that of the market, leave it out"
            continue
        if asset not in known:
            yield f"account.prices.{asset}", f"nothing here is held in {asset}, {advice(nearest(asset, known), known)}"
        elif asset == plan.currency and price != 1:
            yield f"account.prices.{asset}", f"the run counts its money in {asset}: its price is 1, leave it out"


def _fees(plan: Plan, quotes: list[str]) -> Iterator[Problem]:
    """Fees in an asset of their own want some of it, and one currency that their price is in."""
    for asset in {asset: None for venue in plan.venues.values() for asset in paid_in(venue)}:
        if len(quotes) > 1:
            yield "simulation.fees.pay_in", f"not offered with several settle assets: the price of {asset} is in one"
        if asset not in plan.config.account.balances:
            yield (
                "account.balances",
                f"fees are paid in {asset} (`simulation.fees.pay_in`): say how much of it the account holds",
            )


def _useless(plan: Plan) -> Iterator[Problem]:
    """An asset that nothing here is paid in or settled in is a typing error, or money that would lie idle."""
    useful = sorted({i.quote for i in plan.instruments.values()})
    useful += sorted({i.base for i in plan.instruments.values() if i.kind == "spot"})
    useful += sorted({asset for venue in plan.venues.values() for asset in paid_in(venue)})
    for asset in plan.config.account.balances:
        if asset not in useful:
            yield (
                f"account.balances.{asset}",
                f"nothing in this run is traded or settled in {asset}, {advice(nearest(asset, useful), useful)}",
            )


def _shared(plan: Plan) -> Iterator[Problem]:
    """Several assets behind all positions: in cross margin, of assets that the venue takes and that have prices."""
    account = plan.config.account
    sharing = {name: venue for name, venue in plan.venues.items() if venue.rules.collateral is not None}
    if not sharing:
        spot = next(iter(plan.venues.values())).rules.name
        yield "account.multi_asset", f"{spot} is a spot venue: assets are no margin there, leave it out"
    for name, venue in sharing.items():
        rules = venue.rules
        if account.margin_mode == "isolated":
            yield (
                "account.margin_mode",
                f"with `multi_asset` margin is shared: expected cross{said(rules, 'isolated_shared')}",
            )
        terms = plan.collateral(name, plan.config.run.start)
        for asset in venue.balances:
            place = f"account.balances.{asset}" if asset in account.balances else "account.multi_asset"
            if asset not in terms:
                yield (
                    place,
                    f"{rules.name} takes no {asset} as collateral, {advice(nearest(asset, terms), terms)}; its ratio "
                    "may be given in `account.collateral`",
                )
            elif (name, asset) not in plan.prices:
                yield place, f"{_no_price(asset, plan.currency)}, or `data` a symbol of {rules.name} whose base it is"


def asset_remarks(plan: Plan) -> Iterator[str]:
    """What a run assumes of its assets and nobody asked for, one sentence each."""
    account = plan.config.account
    for name, venue in plan.venues.items():
        shared, rules = venue.rules.collateral, venue.rules
        if shared is None:
            continue
        for asset in venue.balances:
            rows = shared.assets.get(asset, [])
            if not account.multi_asset or asset in (account.collateral or {}) or not rows:
                continue
            start = plan.config.run.start
            before = start is not None and start < rows[0].since
            if before or any(row.guess for row in rows):
                yield f"{asset}: what {rules.name} counts of it as collateral{' at that time' * before} is a guess"
        alone = account.margin_mode == "cross" and not account.multi_asset
        if alone and rules.shares_in_cross and sum(total > 0 for total in venue.balances.values()) > 1:
            yield (
                f"{name}: in cross margin {rules.name} lets all coins stand behind all positions; here each settle "
                "asset stands for its own, say `account.multi_asset: true` for the venue's way"
            )


def said(rules: VenueRules, case: str) -> str:
    """What the venue answers in a case, to be put behind a sentence; nothing where its answer is not known."""
    answer = rules.errors.get(case)
    return "" if answer is None else f" ({answer.code} {answer.message})"


def _no_price(asset: str, currency: str) -> str:
    return f'nobody says what one {asset} is worth in {currency}: give `account.prices: {{{asset}: "…"}}`'
