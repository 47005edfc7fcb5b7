"""The account of a scenario as it stands when time begins, and what the venue will do to it: marks, funding, ADL.

The rows become tapes, so a scenario settles through the tracks of a backtest and nothing of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from core.account.collateral import PricedSymbol, asset_prices, collateral_at, terms_of
from core.errors import DataError
from core.exact import ZERO
from core.instruments import Instrument, decimals_of
from core.margin import ContractTerms, funding_rate, tiers_at, tiers_of
from core.tape import COLUMNS, Kind, Tape
from core.venue_rules import VenueRules
from sim.account import VenueAccount
from sim.exchange import ExecutionSimulator
from sim.ledger.collateral import SharedCollateral
from sim.ledger.settlement import AdlRow, SettledSymbol, Settlement
from sim.ledger.shares import Owner, Shares
from sim.ledger.venue_position import PositionKey
from sim.marks.mark_basis import shifted
from sim.marks.mark_path import PriceTrack, fallback_of, track_of
from sim.models import Models
from sim.scenarios.format import Scenario
from sim.scenarios.market import HeldSpec, InstrumentSpec, PositionSpec
from sim.scenarios.tape import FundingRow, TapeRow
from sim.scenarios.tape_columns import mantissa, tape_of_columns

INTEREST = Decimal("0.0001")
"""Of a funding row that gives a premium alone: 0.01 % per 8 h (venues.md section 8)."""
OWNER = ("scenario", "main")
"""Strategy and session of what was held before time began."""
PRICES = ("open", "high", "low", "close")


def account_of(
    scenario: Scenario, rules: VenueRules, instruments: Mapping[str, Instrument], models: Models
) -> VenueAccount:
    """Balances, leverage, and the positions opened before time begins."""
    spec = scenario.account
    balances = dict(spec.balances)
    if spec.wallet is not None:
        balances[settle_asset(instruments)] = spec.wallet
    leverage = {symbol: spec.leverage_of(symbol) for symbol in instruments}
    for symbol, held in spec.positions.items():
        for _, position in _held(held):
            if position.leverage is not None:
                leverage[symbol] = position.leverage
    account = VenueAccount(
        rules.kind,
        balances,
        leverage=leverage,
        order_margin=rules.order_margin,
        margin_mode=spec.margin_mode,
        hedged=spec.position_mode == "hedge",
        terms={symbol: _terms(scenario, symbol, given, rules) for symbol, given in scenario.instruments.items()},
        maintenance_at=models.margin.maintenance_at(rules.maintenance_at),
        collateral=_collateral(scenario, rules, instruments, balances) if spec.multi_asset else None,
    )
    for symbol, held in spec.positions.items():
        for side, position in _held(held):
            qty = -abs(position.qty) if side == "short" else position.qty
            account.open_position(
                instruments[symbol],
                qty,
                position.entry_price,
                position_side=side,
                isolated_margin=position.isolated_margin,
                leverage=position.leverage,
            )
    return account


def settle(
    exchange: ExecutionSimulator,
    scenario: Scenario,
    models: Mapping[str, Models],
    tapes: Mapping[str, list[Tape]],
    **doors: Any,
) -> Settlement | None:
    """Give a venue of contracts its settlements; `tapes` are a symbol's own, finest last, for want of marks.

    `doors` are the exchange's `local_at` and `emit`. None for a spot venue.
    """
    if exchange.rules.kind == "spot":
        return None
    symbols = {}
    for symbol, market in exchange.markets.items():
        rows = [row for row in scenario.tape if row.symbol == symbol]
        marks, index = _prices(scenario, symbol, "marks", rows), _prices(scenario, symbol, "index", rows)
        settling = None if marks is None else track_of(marks)
        spec = scenario.instruments[symbol]
        symbols[symbol] = SettledSymbol(
            market.instrument,
            mark=_fallback(exchange, symbol, models[symbol], marks, tapes[symbol]) or settling,
            settling=settling,
            index=None if index is None else track_of(index),
            funding=_funding(scenario, symbol, spec, exchange.rules, rows),
            adl=[AdlRow(scenario.start + row.at, row.adl.qty, row.adl.price) for row in rows if row.adl is not None],
            grace_ns=models[symbol].funding.grace_ms,
        )
    settlement = Settlement(
        exchange.venue,
        exchange.account,
        symbols,
        forced_ids=exchange.rules.forced_ids,
        expire_orders=exchange.matching.expire_orders,
        **doors,
    )
    settlement.shares = OneTrader()
    for key, position in exchange.account.positions.items():
        settlement.shares.add(key, OWNER, position.qty)
    exchange.matching.settlement = settlement
    return settlement


class OneTrader(Shares):
    """A scenario is one trader, whatever the sessions of its orders: the account's events come once, on `main`."""

    def add(self, key: PositionKey, owner: Owner, qty: Decimal) -> None:
        super().add(key, OWNER, qty)


def settle_asset(instruments: Mapping[str, Instrument]) -> str:
    """What `wallet` is counted in: the quote asset of the first instrument."""
    return next((instrument.quote for instrument in instruments.values()), "USDT")


def last_settlement(scenario: Scenario, models: Callable[[str], Models]) -> int:
    """When the last mark bar is over and the last funding settled, ns after `start`; 0 without any."""
    ends = [row.at + (row.mark.interval_ms or 0) for row in scenario.tape if row.mark is not None]
    ends += [row.at + models(row.symbol).funding.grace_ms for row in scenario.tape if row.funding is not None]
    return max(ends, default=0)


# --- terms ----------------------------------------------------------------------------------------------------------


def _collateral(
    scenario: Scenario, rules: VenueRules, instruments: Mapping[str, Instrument], balances: Mapping[str, Decimal]
) -> SharedCollateral:
    """What all assets count for together. Raises DataError for one that is no collateral, or has no price."""
    spec, stored = scenario.account, rules.collateral
    if stored is None:
        raise DataError(f"`account.multi_asset`: {rules.name} is a spot venue, assets are no margin there")
    rows = {asset: collateral_at(dated, scenario.start or None) for asset, dated in stored.assets.items()}
    terms = {asset: one for asset, one in rows.items() if one is not None}
    terms |= {asset: terms_of(ratios) for asset, ratios in spec.collateral.items()}
    symbols = [PricedSymbol(name, one.base, one.quote) for name, one in instruments.items()]
    assets = list(dict.fromkeys([*balances, *(symbol.quote for symbol in symbols)]))
    currency = settle_asset(instruments) if spec.currency is None else spec.currency
    prices = asset_prices(assets, currency, symbols, spec.prices, stored.dollars)
    for asset in assets:
        if asset not in terms or asset not in prices:
            lacks, key = ("no price", "prices") if asset in terms else ("no collateral ratio", "collateral")
            raise DataError(f"{asset} has {lacks} in this scenario: give `account.{key}: {{{asset}: …}}`")
    return SharedCollateral(terms, prices)


def _held(held: HeldSpec) -> list[tuple[Any, PositionSpec]]:
    sides = (("net", held.net), ("long", held.long), ("short", held.short))
    return [(side, position) for side, position in sides if position is not None]


def _terms(scenario: Scenario, symbol: str, spec: InstrumentSpec, rules: VenueRules) -> ContractTerms:
    """A file without a date (`start` left out) is judged by the newest stored brackets."""
    if spec.brackets is not None:
        tiers = tiers_of(spec.brackets)
    else:
        tiers = tiers_at(rules.brackets.get(symbol, []), scenario.start or None)
    return ContractTerms(tiers, spec.liquidation_fee)


def _fallback(
    exchange: ExecutionSimulator, symbol: str, models: Models, marks: Tape | None, tapes: list[Tape]
) -> PriceTrack | None:
    """What stands in for marks that are not there, or whose bars are longer than those of the trades; else None."""
    given = [tape for tape in tapes if len(tape)]
    if marks is not None:
        given = [shifted(t, marks) for t in given if t.kind == "bars" and t.interval_ns < marks.interval_ns]
    found = None
    for tape in given:
        found = fallback_of(tape, models.bars.path, lambda: exchange.matching.held_sign(symbol)) or found
    return found


# --- tapes ----------------------------------------------------------------------------------------------------------


def _prices(scenario: Scenario, symbol: str, kind: Kind, rows: list[TapeRow]) -> Tape | None:
    """Marks or index prices as a tape; None without rows. Raises DataError where single prices and bars mix."""
    key = "mark" if kind == "marks" else kind
    found = [row for row in rows if getattr(row, key) is not None]
    if not found:
        return None
    intervals = {getattr(getattr(row, key), "interval_ms", None) or 0 for row in found}
    if len(intervals) > 1:
        raise DataError(f"the {kind} of {symbol} mix single prices and bars, or bars of several lengths: choose one")
    interval = intervals.pop()
    values = [_four(getattr(row, key)) for row in found]
    scale = max(decimals_of(price) for four in values for price in four)
    columns: dict[str, list[int]] = {name: [] for name in COLUMNS[kind]}
    for row, four in zip(found, values, strict=True):
        columns["ts_venue"].append(scenario.start + row.at + interval)
        columns["ts"].append(scenario.start + max(row.at + interval, row.received_at or row.at))
        for name, price in zip(PRICES, four, strict=True):
            columns[name].append(mantissa(symbol, row, price, scale))
    return tape_of_columns(scenario, symbol, kind, columns, price_scale=scale, size_scale=0, interval_ns=interval)


def _funding(
    scenario: Scenario, symbol: str, spec: InstrumentSpec, rules: VenueRules, rows: list[TapeRow]
) -> Tape | None:
    found = [(row, row.funding) for row in rows if row.funding is not None]
    if not found:
        return None
    rates = [_rate(row, scenario.start + at.at, spec, rules) for at, row in found]
    marks = [ZERO if row.mark is None else row.mark for _, row in found]
    price_scale, size_scale = max(map(decimals_of, marks)), max(map(_decimals, rates))
    columns: dict[str, list[int]] = {
        "ts_venue": [scenario.start + row.at for row, _ in found],
        "ts": [scenario.start + (row.at if row.received_at is None else row.received_at) for row, _ in found],
        "rate": [mantissa(symbol, row, rate, size_scale) for (row, _), rate in zip(found, rates, strict=True)],
        "mark": [mantissa(symbol, row, mark, price_scale) for (row, _), mark in zip(found, marks, strict=True)],
    }
    return tape_of_columns(scenario, symbol, "funding", columns, price_scale=price_scale, size_scale=size_scale)


def _rate(row: FundingRow, at: int, spec: InstrumentSpec, rules: VenueRules) -> Decimal:
    if row.rate is not None:
        return row.rate
    assert row.premium is not None, "a row has one of the two"
    return funding_rate(
        row.premium,
        INTEREST if row.interest is None else row.interest,
        spec.funding_interval_h if row.interval_h is None else row.interval_h,
        clamp=rules.funding_clamp,
        divides=at >= rules.funding_divided_since,
        cap=spec.funding_cap,
        floor=spec.funding_floor,
    )


def _four(row: Any) -> tuple[Decimal, ...]:
    return (row.price,) * 4 if row.price is not None else tuple(getattr(row, name) for name in PRICES)


def _decimals(rate: Decimal) -> int:
    return decimals_of(abs(rate)) if rate else 0
