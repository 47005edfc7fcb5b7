"""What a run says about its fees: the rates of its time, and which of them stand on no source."""

from __future__ import annotations

from collections.abc import Sequence

from core.account.tariff import BEGINNING, FeeSchedule, TierRates
from core.notation import timestamp_text
from core.plan import Plan, VenuePlan
from core.tape import Rows
from sim.models import NOTHING, choose
from sim.models.fees import FeeModel

GUESS = "; a guess, no stored source names them"


def said_of_fees(plan: Plan, venue: VenuePlan, tapes: Sequence[Rows]) -> list[str]:
    """One line per rate that holds within the tapes of a venue, oldest first; by symbol where they differ."""
    own = [tape for tape in tapes if tape.venue == venue.name and len(tape)]
    begins = min((tape.edges.first_ts_venue for tape in own), default=BEGINNING)
    ends = max((tape.edges.last_ts_venue for tape in own), default=BEGINNING)
    rates = {
        symbol: _of_schedule(instrument.fees, begins, ends, choose(venue.simulation, symbol, NOTHING).fees)
        for (name, symbol), instrument in plan.instruments.items()
        if name == venue.name
    }
    if len(set(rates.values())) == 1:
        lines = [f"fees{line}" for line in next(iter(rates.values()))]
    else:
        lines = [f"fees of {symbol}{line}" for symbol, told in rates.items() for line in told]
    followed = any(i.fees.retiers_at is not None for i in plan.instruments.values() if i.venue == venue.name)
    if followed and venue.rules.fees.guesses_volumes:
        lines += [f"fees: the volumes from which {venue.rules.name} gives a tier are a guess"]
    return lines


def _of_schedule(schedule: FeeSchedule, begins: int, ends: int, model: FeeModel) -> tuple[str, ...]:
    """What is said behind the word fees."""
    lines = []
    first = schedule.index_at(begins)
    for at in range(first, schedule.index_at(ends) + 1):
        span = schedule.spans[at]
        since = "" if at == first else f" from {timestamp_text(span.since)}"
        if schedule.retiers_at is not None:
            first_rates = _rates(span.tier(schedule.traded_before))
            lines.append(f"{since}: tier by the volume of the last 30 days, at first {first_rates}")
        else:
            named = "" if model.tier is None else f"tier {model.tier}, "
            lines.append(f"{since}: {named}{_rates(span.tiers[0])}")
    if model.pay_in is not None:
        lines.append(f": paid in {model.pay_in}, at {model.pay_price} where the run has no price of it")
    return tuple(lines)


def _rates(rates: TierRates) -> str:
    return f"maker {rates.maker:f}, taker {rates.taker:f} of notional{GUESS if rates.guess else ''}"
