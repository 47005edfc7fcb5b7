"""Which parameters a venue takes together: time in force, post-only, reduce-only, triggers, pegs, sizes (section 3).

Every difference between venues is a field of `VenueRules`; a combination that no venue can express is refused by all.
"""

from __future__ import annotations

import re
from decimal import Decimal

from core.moments import MS_NS, SECOND_NS
from core.orders import OrderTerms
from core.venue_rules import VenueRules

LIMIT_TYPES = frozenset({"limit", "stop_limit", "take_profit_limit"})
TRIGGER_MARKET = frozenset({"stop_market", "take_profit_market"})
TICKS = (Decimal(1), Decimal(10_000))
PERCENT = (Decimal("0.01"), Decimal(10))
"""What a slippage tolerance may be, in ticks and in percent: Bybit, venues.md section 3."""


class Combinations:
    """The checks of one venue. An order like one that has passed is not looked at twice: most orders of a run are."""

    def __init__(self, rules: VenueRules, *, hedged: bool) -> None:
        self._rules = rules
        self._hedged = hedged
        self._client_id = re.compile(rules.client_id_pattern).fullmatch
        self._passed: set[tuple[object, ...]] = set()

    def wrong(self, terms: OrderTerms, client_id: str, at: int) -> str | None:
        """The case of the first parameter that the venue does not take; None where they fit. `at` is engine time."""
        if not self._client_id(client_id):
            return "client_id"
        sized = terms.quote_qty is not None or terms.slippage_tolerance is not None
        shape = (
            terms.type,
            terms.tif,
            terms.post_only,
            terms.reduce_only,
            terms.position_side,
            terms.trigger_by,
            terms.stp,
            terms.trigger_price is None,
            terms.close_position,
            terms.price_match,
            sized,
        )
        if shape in self._passed:
            return None
        case = wrong_combination(terms, self._rules, at, hedged=self._hedged)
        if case is None and not (sized or terms.close_position or terms.tif == "gtd"):  # there, numbers decide too
            self._passed.add(shape)
        return case


def wrong_combination(terms: OrderTerms, rules: VenueRules, at: int, *, hedged: bool) -> str | None:
    """The case of the first parameter that the venue does not take here; None where they fit."""
    return (
        _time_in_force(terms, rules, at)
        or _post_only(terms, rules)
        or _position(terms, rules, hedged=hedged)
        or _closing(terms, rules)
        or _trigger(terms, rules)
        or _size(terms, rules)
        or _peg(terms, rules)
        or _slippage(terms, rules)
        or ("stp" if terms.stp is not None and terms.stp not in rules.stp_modes else None)
    )


def _time_in_force(terms: OrderTerms, rules: VenueRules, at: int) -> str | None:
    """A market order takes none, or the ioc that it is anyway; a fok stands for what it says on both kinds."""
    tif = terms.tif
    if terms.type not in LIMIT_TYPES:
        if tif not in (None, "ioc", "fok"):
            return "tif"
    elif tif is not None and tif not in rules.tifs:
        return "tif"
    if tif == "gtd":
        if terms.good_till is None:
            return "parameter"
        kept = terms.good_till // SECOND_NS * SECOND_NS
        if kept <= at + rules.gtd_ahead_ms * MS_NS:
            return "good_till"
    return None


def _post_only(terms: OrderTerms, rules: VenueRules) -> str | None:
    if not terms.post_only:
        return None
    if terms.type not in LIMIT_TYPES or terms.tif in ("ioc", "fok"):
        return "parameter"
    return "combination" if terms.trigger_price is not None and not rules.post_only_triggers else None


def _position(terms: OrderTerms, rules: VenueRules, *, hedged: bool) -> str | None:
    """Which position the order is for, and whether it may say that it only reduces."""
    if (terms.position_side != "net") != hedged:
        return "position_side"
    if terms.reduce_only and (rules.reduce_only == "none" or (hedged and rules.reduce_only == "one_way")):
        return "parameter"
    return None


def _closing(terms: OrderTerms, rules: VenueRules) -> str | None:
    """`close_position` closes all that is held, so it has no size and needs no reduce-only."""
    if not terms.close_position:
        return None
    if rules.close_position == "none":
        return "parameter"
    if rules.close_position == "triggers":
        if terms.type not in TRIGGER_MARKET:
            return "close_position"
        if terms.reduce_only:
            return "parameter"
    return "close_position_qty" if terms.qty else None


def _trigger(terms: OrderTerms, rules: VenueRules) -> str | None:
    return None if terms.trigger_by in rules.trigger_prices else "trigger_price_kind"


def _size(terms: OrderTerms, rules: VenueRules) -> str | None:
    if terms.quote_qty is None:
        return None
    return None if rules.quote_sizes and terms.type == "market" and terms.quote_qty > 0 else "quote_qty"


def _peg(terms: OrderTerms, rules: VenueRules) -> str | None:
    if terms.price_match is None:
        return None
    level = terms.price_match.partition("_")[2]
    return None if terms.type in LIMIT_TYPES and int(level or 1) in rules.peg_levels else "parameter"


def _slippage(terms: OrderTerms, rules: VenueRules) -> str | None:
    tolerance = terms.slippage_tolerance
    if tolerance is None:
        return None
    if not rules.slippage_tolerance or terms.type != "market":
        return "slippage"
    if terms.slippage_tolerance_type == "ticks":
        low, high = TICKS
        whole = tolerance == tolerance.to_integral_value()
        return None if whole and low <= tolerance <= high else "slippage_ticks"
    low, high = PERCENT
    two_decimals = not tolerance % Decimal("0.01")
    return None if two_decimals and low <= tolerance <= high else "slippage_percent"
