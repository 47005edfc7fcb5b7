"""The second and third witness of the ledger: what the account must be worth, from fills, funding, forced closes."""

from __future__ import annotations

from decimal import Decimal

from core.errors import InvariantBroken
from core.exact import MATH, ZERO
from core.metrics.pnl_split import split_pnl
from core.metrics.record import RunRecord


def recount(record: RunRecord) -> None:
    """Raise InvariantBroken unless final equity - unrealized PnL = initial + realized - fees + funding + insured.

    Insured is what a venue bore of losses beyond the wallet.

    The right side is computed from the trade log and the events, which never saw the portfolio. They must agree to the
    last digit of the curve; so must final - initial equity and the split of the profit, which is made from the fills'
    cash and the last prices without any cost. With fees in an asset that has no price here the sides cannot be compared
    and nothing is checked; the summary lists such fees.
    """
    unrealized = record.curve.last("unrealized")
    if record.totals.other_fees:
        return
    found = MATH.subtract(record.final_equity, ZERO if unrealized is None else unrealized)
    expected = MATH.add(record.initial_equity, record.realized)
    expected = MATH.subtract(expected, record.totals.fees)
    expected = MATH.add(expected, record.funding)
    for event in record.liquidations:
        insured = MATH.multiply(event.insured, record.rate_of(event.venue, event.symbol))
        expected = MATH.add(expected, insured)
    if abs(MATH.subtract(found, expected)) >= Decimal(1).scaleb(-record.curve.scale):
        raise InvariantBroken(
            f"the books disagree: the portfolio ends with {found} {record.currency} before unrealized PnL, but "
            f"{record.initial_equity} initially + {record.realized} realized - {record.totals.fees} fees + "
            f"{record.funding} funding = {expected}"
        )
    gained = MATH.subtract(record.final_equity, record.initial_equity)
    split = split_pnl(record).whole.total
    if split != gained:
        raise InvariantBroken(
            f"the books disagree: the equity changed by {gained} {record.currency}, but price, fees, funding, slippage "
            f"and liquidation of all fills sum up to {split}"
        )
