"""What a venue has of an order by itself, what is kept here instead, and what is refused because nobody can keep it.

The same in every mode: the venue's rules decide, not who plays the venue. What is kept here says so in the order:
`emulated` names it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

import msgspec

from core.events import Signal
from core.moments import DAY_NS, MINUTE_NS, MS_NS
from core.orders import OrderTerms
from core.venue_rules import VenueRules

GTD_MARGIN_NS = MINUTE_NS
"""Beyond the venue's own minimum, so that a slow request is not refused for it. A guess: no request takes a minute."""


def says_more(signal: Signal) -> bool:
    """Whether an order's wish has anything beyond side, size, price, trigger, time in force and flags."""
    return (
        signal.stp is not None
        or signal.oco is not None
        or signal.iceberg is not None
        or signal.trigger_by != "last"
        or signal.price_match is not None
        or signal.quote_qty is not None
        or signal.close_position
        or signal.slippage_tolerance is not None
        or signal.trail_bps is not None
        or signal.trail_distance is not None
        or opens_bracket(signal)
    )


def opens_bracket(signal: Signal) -> bool:
    """Whether what an order fills is to be protected."""
    return (
        signal.stop_loss is not None
        or signal.take_profit is not None
        or signal.stop_loss_bps is not None
        or signal.take_profit_bps is not None
        or signal.stop_loss_distance is not None
        or signal.take_profit_distance is not None
    )


class Emulation:
    """Decides, by the rules of each venue."""

    def __init__(self, rules: Mapping[str, VenueRules], shared: Collection[tuple[str, str]]) -> None:
        """`shared`: markets in which more than one strategy trades: what closes the venue's position closes theirs."""
        self._rules = rules
        self._shared = shared

    # --- time -------------------------------------------------------------------------------------------------------

    def end_of(self, signal: Signal, *, rests: bool) -> tuple[int | None, int | None, str | None]:
        """(date for the venue, date that we keep, what is emulated) of a wish that names its end.

        `rests`: it is an order with a limit; venues give others no date.
        """
        if signal.tif == "day":
            return None, signal.ts // DAY_NS * DAY_NS + DAY_NS, "day"
        rules, date = self._rules[signal.venue], signal.good_till
        assert date is not None, "checked where the signal was read"
        if rules.gtd and rests and date > signal.ts + rules.gtd_ahead_ms * MS_NS + GTD_MARGIN_NS:
            return date, None, None
        return None, date, "gtd"

    # --- what the venue has ------------------------------------------------------------------------------------------

    def refusal(self, signal: Signal) -> str | None:
        """What of a wish the venue does not have and nobody can keep for it; None where there is nothing."""
        rules = self._rules[signal.venue]
        if signal.trigger_by not in rules.trigger_prices:
            return _lacks(rules, f"triggers by the {signal.trigger_by} price", rules.trigger_prices)
        if signal.stp is not None and signal.stp not in rules.stp_modes:
            return _lacks(rules, f"self-trade prevention `{signal.stp}`", rules.stp_modes)
        if signal.quote_qty is not None and not rules.quote_sizes:
            return f"{rules.name} takes no size in quote units: say `notional`, which is worked out at our last price"
        if signal.slippage_tolerance is not None and not rules.slippage_tolerance:
            return f"{rules.name} has no slippage tolerance: bound the order by a `price` with `tif: ioc`"
        if signal.price_match is not None:
            level = int(signal.price_match.partition("_")[2] or 1)
            if level not in rules.peg_levels:
                return _lacks(rules, f"`price_match` to level {level}", tuple(map(str, rules.peg_levels)))
        return None

    def fitted(self, signal: Signal, terms: OrderTerms) -> OrderTerms:
        """The terms with what the venue itself takes."""
        return msgspec.structs.replace(
            terms,
            quote_qty=signal.quote_qty,
            price_match=signal.price_match,
            slippage_tolerance_type=signal.slippage_tolerance_type,
            slippage_tolerance=signal.slippage_tolerance,
            activation_price=signal.activation_price,
            trail_bps=signal.trail_bps,
            trail_distance=signal.trail_distance,
        )

    def keeps_groups(self, venue: str) -> bool:
        """Whether the venue cancels one order for another by itself."""
        return "oco" in self._rules[venue].native

    def trails(self, terms: OrderTerms) -> bool:
        """Whether the venue has trailing stops that are told their distance like this."""
        native = self._rules[terms.venue].native
        return ("trailing_bps" if terms.trail_bps is not None else "trailing_distance") in native

    def closes_position(self, terms: OrderTerms, book: Decimal, net: Decimal) -> bool:
        """Whether the venue's own close-position order closes this strategy's book and nothing else."""
        rules, market = self._rules[terms.venue], (terms.venue, terms.symbol)
        return rules.close_position != "none" and market not in self._shared and book == net

    def amends(self, terms: OrderTerms, *, waits: bool, dearer: bool) -> bool:
        """Whether the venue changes such an order; `waits` for its trigger, `dearer`: in its price, or to more."""
        rules = self._rules[terms.venue]
        return (rules.amend_triggers if waits else terms.price is not None) and not (
            dearer and rules.amend == "qty_down"
        )


def emulated(terms: OrderTerms, what: str) -> str:
    """What is kept of an order, with one thing more."""
    return what if terms.emulated is None else f"{terms.emulated} {what}"


def _lacks(rules: VenueRules, what: str, has: tuple[str, ...]) -> str:
    return f"{rules.name} has no {what}; it has {', '.join(has) or 'none'}"
