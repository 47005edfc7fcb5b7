"""Looking ahead on a mark: the worst price to come, and whether a position bears it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.instruments import Instrument
from core.margin import ContractTerms, tiers_of
from core.margin import WrittenTier as Row
from core.moments import INF
from sim.account import VenueAccount
from sim.ledger.maintenance import Maintenance
from sim.marks.mark_path import LOOK_ROWS, PriceTrack

D = Decimal
MINUTE = 60_000_000_000
BTC = tiers_of([Row(D(0), D("0.004"), D(125)), Row(D(50_000), D("0.005"), D(100)), Row(D(600_000), D("0.01"), D(50))])


def track(rows: int, interval_ns: int, seed: int = 1) -> tuple[PriceTrack, list[tuple[int, int, int]]]:
    """A random walk and its (begin, low, high); single prices come in bursts of one moment."""
    rng = np.random.default_rng(seed)
    closes = 1_000_000 + np.cumsum(rng.integers(-50, 51, rows))
    opens = np.concatenate(([1_000_000], closes[:-1]))
    lows, highs = np.minimum(opens, closes) - 5, np.maximum(opens, closes) + 5
    if not interval_ns:
        opens = lows = highs = closes
    times = np.arange(rows) * MINUTE if interval_ns else np.sort(rng.integers(0, rows // 3 + 1, rows))
    columns = (opens, highs, lows, closes)
    known = list(zip(times.tolist(), lows.tolist(), highs.tolist(), strict=True))
    return PriceTrack(times, columns, interval_ns=interval_ns, scale=2), known


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3 * LOOK_ROWS), st.sampled_from([0, MINUTE]), st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_worst_price_ahead_is_that_of_every_row_until_the_next_look(
    count: int, interval_ns: int, moments: list[float]
) -> None:
    """Each row that is in force between the question and the next look lies within what was said."""
    prices, rows = track(count, interval_ns)
    first, last = rows[0][0], rows[-1][0]
    for moment in moments:
        since = first + int(moment * (last - first))
        low, high = prices.worst_ahead(-1, since), prices.worst_ahead(1, since)
        assert low is not None
        assert high is not None
        assert low[1] == high[1]
        until = low[1].at
        in_force = [row for row in rows if row[0] <= since][-1:] + [row for row in rows if since < row[0] <= until]
        assert low[0] <= D(min(row[1] for row in in_force)).scaleb(-2)
        assert high[0] >= D(max(row[2] for row in in_force)).scaleb(-2)
        assert until > since
        assert until == INF or sum(since < row[0] <= until for row in rows) >= LOOK_ROWS // 2 - 1


def test_before_the_first_row_nothing_is_ahead() -> None:
    """The venue has no mark yet, and none is made up from what is to come."""
    prices, _ = track(10, MINUTE)
    assert prices.worst_ahead(1, -1) is None


def test_a_row_that_is_not_known_yet_is_not_ahead() -> None:
    """Paper mode reveals rows one at a time: the extremes are those of the known ones."""
    columns = tuple(np.array(column) for column in ([100, 100], [110, 900], [90, 20], [100, 100]))
    prices = PriceTrack(np.array([0, MINUTE]), columns, interval_ns=MINUTE, scale=0)
    prices.count = 1
    found = prices.worst_ahead(1, 0)
    assert found is not None
    assert (found[0], found[1].at) == (D(110), INF)
    prices.reveal()
    found = prices.worst_ahead(1, 0)
    assert found is not None
    assert found[0] == D(900)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(-40_000, 40_000).filter(bool),
    st.integers(1_000, 90_000),
    st.sampled_from([1, 5, 20, 50]),
    st.integers(1, 180_000),
    st.sampled_from(["isolated", "cross"]),
)
def test_a_position_bears_the_marks_on_this_side_of_its_liquidation_price(
    steps: int, entry: int, leverage: int, mark: int, mode: str
) -> None:
    """Two ways to say the same (venues.md section 8): balance + unrealized > maintenance, and mark above (below) LP."""
    terms = {"X": ContractTerms(BTC)}
    account = VenueAccount(
        "linear", {"USDT": D(100_000)}, leverage={"": D(leverage)}, margin_mode=mode, terms=terms
    )  # fmt: skip
    symbol = Instrument("v", "X", D("0.1"), D("0.001"), "X", "USDT")
    account.open_position(symbol, D(steps) / 1000, D(entry))
    position = account.positions["X", "net"]
    price = Maintenance(account).liquidation_price(position)
    sign = 1 if steps > 0 else -1
    assert Maintenance(account).bears(position, D(mark)) == (price is None or sign * (D(mark) - price) > 0)


def test_on_the_worst_path_the_price_is_that_of_what_is_held_now_whoever_looked_before() -> None:
    """100, 130, 70, 100: a short meets the high after a third of the bar, a long the low, whichever was asked first."""
    held = [-1]
    columns = tuple(np.array([price]) for price in (100, 130, 70, 100))
    prices = PriceTrack(np.array([0]), columns, interval_ns=MINUTE, scale=0, path="worst", held=lambda: held[0])
    assert prices.at(MINUTE // 3) == 130
    held[0] = 1
    assert prices.at(MINUTE // 3) == 70
