"""What a venue does to an account by itself: marks over time, funding, liquidation; both ledgers through all of it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.venues import load_rules
from core.errors import DataError
from core.events import Event, FundingPaid, OrderFilled, PositionLiquidated, PositionSide, Side
from core.instruments import Instrument
from core.margin import ContractTerms, WrittenTier, maintenance_margin, tiers_of
from core.moments import INF
from core.orders import OrderTerms
from core.portfolio import Portfolio
from core.tape import Tape
from flat_fees import flat
from sim.account import VenueAccount
from sim.bars.bar_cursor import TapeCursor
from sim.bars.bar_market import BarMarket
from sim.exchange import ExecutionSimulator
from sim.ledger.maintenance import Maintenance
from sim.ledger.settlement import AdlRow, SettledSymbol, Settlement
from sim.ledger.shares import NOBODY, Shares, split
from sim.marks.mark_basis import shifted
from sim.marks.mark_path import NEVER, Reached, fallback_of, track_of
from sim.models import NOTHING
from sim.venue_order import VenueOrder

D = Decimal
MINUTE = 60_000_000_000
RULES = msgspec.structs.replace(load_rules("binance-usdm"), rate_limits=None, max_orders=None)
TIERS = tiers_of(
    WrittenTier(D(floor), D(mmr), D(most)) for floor, mmr, most in (("0", "0.01", "50"), ("300", "0.05", "10"))
)
FEE = D("0.004")


def instrument(symbol: str) -> Instrument:
    return Instrument(
        venue="v", symbol=symbol, tick=D("0.1"), step=D("0.001"), base="B", quote="USDT",
        fees=flat(D("0.0002"), D("0.0005")), price_precision=1, quantity_precision=3,
    )  # fmt: skip


def tape(kind: Any, rows: list[tuple[int, ...]], *, interval: int = 0, scale: int = 1, symbol: str = "X") -> Tape:
    """Rows (time or open time, open, high, low, close[, volume]) or (time, rate, mark); prices x 10^scale."""
    names = {"funding": ("rate", "mark")}.get(kind, ("open", "high", "low", "close", "volume")[: len(rows[0]) - 1])
    times = np.array([row[0] + interval for row in rows], dtype=np.int64)
    columns = {"ts_venue": times, "ts": times.copy()}
    columns |= {name: np.array([row[i + 1] for row in rows], dtype=np.int64) for i, name in enumerate(names)}
    return Tape(
        kind=kind, venue="v", symbol=symbol, columns=columns, price_scale=scale, interval_ns=interval, source="test",
        size_scale=6 if kind == "funding" else 0,
    )  # fmt: skip


def marks(*rows: tuple[int, int]) -> Tape:
    """Single prices at times."""
    return tape("marks", [(at, price, price, price, price) for at, price in rows])


# --- marks over time ------------------------------------------------------------------------------------------------


def test_a_single_price_holds_until_the_next_one() -> None:
    """100.0 from 10 on, 99.0 from 20 on; before that there is none. Just before 20 it is still 100.0."""
    track = track_of(marks((10, 1000), (20, 990)))
    assert [track.at(at) for at in (9, 10, 19, 20, 99)] == [None, 1000, 1000, 990, 990]
    assert (track.left(20), track.settling(20)) == (1000, 990)


def test_a_single_price_is_reached_only_by_newer_rows() -> None:
    """A fall to 99.0: at 20. Seen from 20 on, the row at 20 is no news; 98.9 is never reached."""
    track = track_of(marks((10, 1000), (20, 990), (30, 995)))
    assert track.reaches(D("99.0"), -1, 0) == Reached(20, True)
    assert track.reaches(D("99.0"), -1, 20) == NEVER
    assert track.reaches(D("99.05"), -1, 10) == Reached(20, True)
    assert track.reaches(D("98.9"), -1, 0) == NEVER
    assert track.reaches(D("99.5"), 1, 20) == Reached(30, True)


def test_rows_out_of_order_are_put_in_the_venues_order() -> None:
    track = track_of(marks((20, 990), (10, 1000)))
    assert [track.at(10), track.at(20)] == [1000, 990]


def test_a_bar_is_walked_and_its_close_holds_until_the_next() -> None:
    """O 100 H 104 L 99 C 103: |H-O| > |O-L|, so 100, 99 at 20 s, 104 at 40 s, 103 at 60 s. 98.5 is never reached."""
    track = track_of(tape("marks", [(0, 1000, 1040, 990, 1030), (2 * MINUTE, 1200, 1200, 1200, 1200)], interval=MINUTE))
    second = MINUTE // 60
    assert [track.at(at * second) for at in (0, 10, 20, 30, 40, 60, 119, 120)] == [
        1000, 995, 990, 1015, 1040, 1030, 1030, 1200,
    ]  # fmt: skip
    assert track.left(120 * second) == track.settling(120 * second) == 1030
    assert track.reaches(D("101.5"), 1, 0) == Reached(30 * second, True)
    assert track.reaches(D("101.5"), 1, 35 * second) == Reached(35 * second, True)
    assert track.reaches(D("98.5"), -1, 0) == NEVER
    assert track.reaches(D(110), 1, 0) == Reached(120 * second, True)


def test_a_search_looks_ahead_so_far_and_says_from_where_to_go_on() -> None:
    """Row 4000 of 4400 falls: not within 2048 rows of the first, but in the second look."""
    rows = [(at * 10, 1000 if at < 4000 else 900) for at in range(4400)]
    track = track_of(marks(*rows))
    found, looks = track.reaches(D(90), -1, 0), 1
    while not found.found:
        assert found.at < INF
        found, looks = track.reaches(D(90), -1, found.at - 1), looks + 1
    assert (found.at, looks) == (40_000, 2)


def test_prints_and_bars_stand_in_for_marks_and_a_book_does_not() -> None:
    """The price of the last print; a bar of its market; depth alone is no price."""
    prints = Tape(
        kind="trades", venue="v", symbol="X", price_scale=1, size_scale=0, source="t",
        columns={name: np.array([value], dtype=np.int64) for name, value in
                 (("ts_venue", 5), ("ts", 5), ("price", 1003), ("size", 1), ("side", 1), ("flags", 0))},
    )  # fmt: skip
    track = fallback_of(prints)
    assert track is not None
    assert (track.at(5), track.decimal(1003)) == (1003, D("100.3"))
    funding = tape("funding", [(0, 100, 0)])
    assert fallback_of(funding) is None


def test_marks_of_long_bars_follow_the_trades_at_the_last_basis() -> None:
    """Trades 100, 101, 103, 104 by minute; a two-minute mark bar opens at 100.4 and closes at 102.5, where trades stood
    at 100 and 101: +0.4 while it lasts, +1.5 from then on."""
    trades = tape(
        "bars", [(i * MINUTE, p, p, p, p, 1) for i, p in enumerate((1000, 1010, 1030, 1040))], interval=MINUTE
    )
    long = tape("marks", [(0, 1004, 1100, 900, 1025)], interval=2 * MINUTE)
    found = shifted(trades, long)
    assert found.columns["close"].tolist() == [1004, 1014, 1045, 1055]
    assert (found.interval_ns, found.price_scale) == (MINUTE, 1)


# --- shares ---------------------------------------------------------------------------------------------------------


def test_what_is_split_sums_to_the_whole() -> None:
    """1 in thirds: two of 0.33333333, the last takes the rest. Of nothing to split by, the first has it all."""
    assert split(D(1), [D(1), D(1), D(1)], D(3)) == [D("0.33333333"), D("0.33333333"), D("0.33333334")]
    assert split(D(1), [D(2), D(-2)], D(0)) == [D(1), D(0)]
    assert split(D(1), [], D(0)) == []


def test_a_whole_close_ends_every_share_and_a_part_takes_the_first_on_its_side() -> None:
    """b -1, a +3, c +1: net +3. Closing 3 ends all; closing 2 takes 2 of a: a share against the net never grows."""
    key: tuple[str, PositionSide] = ("X", "net")

    def shares() -> Shares:
        made = Shares()
        for owner, qty in (("b", -1), ("a", 3), ("c", 1)):
            made.add(key, (owner, "main"), D(qty))
        return made

    whole = shares()
    assert [qty for _, qty in whole.take(key, D(3), D(-3))] == [D(1), D(-3), D(-1)]
    part = shares()
    assert part.take(key, D(3), D(-2)) == [(("a", "main"), D(-2))]
    assert part.of(key, D(1)) == [(("b", "main"), D(-1)), (("a", "main"), D(1)), (("c", "main"), D(1))]
    assert Shares().of(key, D(2)) == [(NOBODY, D(2))]


# --- a venue with both ledgers --------------------------------------------------------------------------------------


class Venue:
    """A simulated venue whose events go straight into a Portfolio; `told` keeps them."""

    def __init__(
        self,
        symbols: dict[str, dict[str, Any]],
        *,
        wallet: str = "1000",
        leverage: str = "10",
        cross: bool = False,
        hedged: bool = False,
    ) -> None:
        """`symbols`: name to bars, and what `SettledSymbol` takes."""
        self.told: list[Event] = []
        self.published: list[Event] = []
        terms = {name: ContractTerms(TIERS, FEE) for name in symbols}
        self.account = VenueAccount(
            "linear", {"USDT": D(wallet)}, leverage={"": D(leverage)}, hedged=hedged, terms=terms,
            margin_mode="cross" if cross else "isolated",
        )  # fmt: skip
        self.exchange = ExecutionSimulator("v", RULES, self.account, local_at=lambda _, at: at, emit=self._emit)
        instruments = {name: instrument(name) for name in symbols}
        settled = {}
        for name, own in symbols.items():
            parts = dict(own)
            market = BarMarket(instruments[name], NOTHING, TapeCursor(parts.pop("bars")), self.exchange.matching)
            self.exchange.add_market(market)
            settled[name] = SettledSymbol(instruments[name], **parts)
        self.settlement = self.exchange.matching.settlement = Settlement(
            "v", self.account, settled, forced_ids=RULES.forced_ids, expire_orders=self.exchange.matching.expire_orders,
            local_at=lambda _, at: at, emit=self._emit,
        )  # fmt: skip
        known = {("v", name): one for name, one in instruments.items()}
        self.portfolio = Portfolio(known, {("v", "USDT"): D(wallet)}, self.published.append)
        self._orders = 0

    def _emit(self, event: Event, _order: Any = None) -> None:
        self.told.append(event)
        if isinstance(event, OrderFilled):
            self.portfolio.on_fill(event)
        elif isinstance(event, FundingPaid):
            self.portfolio.on_funding(event)
        elif isinstance(event, PositionLiquidated):
            self.portfolio.on_liquidation(event)

    def order(self, at: int, symbol: str, side: Side, qty: str, **more: Any) -> None:
        """Arrives at `at`. `price` makes it a limit order."""
        self._orders += 1
        price = more.pop("price", None)
        terms = OrderTerms(
            f"o{self._orders}", "v", symbol, more.pop("position_side", "net"), more.pop("strategy", "s"), "main", side,
            "market" if price is None else "limit", D(qty), price=price, tif=None if price is None else "gtc", **more,
        )  # fmt: skip
        self.exchange.request(at, "submit", VenueOrder(terms, at))

    def run(self, until: int) -> None:
        """Let everything up to `until` (inclusive) happen."""
        while (at := self.exchange.next_moment()) <= until:
            self.exchange.step(at)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if type(event) is kind]

    def assert_ledgers_agree(self, *, netted: bool = False) -> None:
        """Wallet, positions, costs; with opposed strategies (netted) wallet less costs."""
        mine = self.portfolio.balances["v", "USDT"]
        books = self.portfolio.books.values()
        with localcontext(prec=60):
            for (symbol, side), position in self.account.positions.items():
                own = [book for book in books if (book.symbol, book.position_side) == (symbol, side)]
                assert sum((book.qty for book in own), D(0)) == position.qty
                if not netted:
                    assert sum((book.cost for book in own), D(0)) == position.value
                if not netted and position.qty and self.account.margin_mode == "isolated":  # roundings of 1e-8 a fill
                    margin = abs(position.value) / position.leverage - own[0].margin_taken
                    assert margin == pytest.approx(position.margin, abs=D("1e-6"))
            costs = sum((book.cost for book in books), D(0))
            values = sum((position.value for position in self.account.positions.values()), D(0))
            assert mine - costs == self.account.balances["USDT"] - values
        if not netted:
            assert mine == self.account.balances["USDT"]


def flat_bars(price: int, count: int = 10) -> Tape:
    return tape("bars", [(i * MINUTE, price, price, price, price, 10**9) for i in range(count)], interval=MINUTE)


def test_a_bankruptcy_price_without_an_end_still_costs_exactly_the_margin() -> None:
    """1@100 + 2@101 cost 302, 7x: BP = (302 - 43.14285715) / 3 = 86.285714283..., without an end."""
    venue = Venue(
        {"X": {"bars": tape("bars", [(0, 1000, 1000, 1000, 1000, 10**9), (MINUTE, 1010, 1010, 1010, 1010, 10**9)],
                            interval=MINUTE), "mark": track_of(marks((0, 1000), (2 * MINUTE, 500)))}},
        leverage="7",
    )  # fmt: skip
    venue.order(1, "X", "buy", "1")
    venue.order(MINUTE + 1, "X", "buy", "2")
    venue.run(2 * MINUTE)
    (event,) = venue.of(PositionLiquidated)
    # 100 / 7 = 14.28571429 and 202 / 7 = 28.85714286, each rounded up at 8 decimals
    assert event.realized_pnl == -(D("14.28571429") + D("28.85714286"))
    assert venue.account.balances["USDT"] == 1000 - D("43.14285715") - D("0.0005") * 302
    venue.assert_ledgers_agree()


def test_what_an_empty_wallet_cannot_pay_is_borne_by_the_venue() -> None:
    """Cross, 10 at 10x: 1@100, then mark 50: -50 and a fee of 0.2 leave 10 - 0.05 - 50.2 = -40.25, which comes back."""
    venue = Venue({"X": {"bars": flat_bars(1000), "mark": track_of(marks((0, 1000), (MINUTE, 500)))}}, wallet="10.05",
                  cross=True)  # fmt: skip
    venue.order(1, "X", "buy", "1")
    venue.run(MINUTE)
    (event,) = venue.of(PositionLiquidated)
    assert (event.price, event.fee, event.insured) == (D(50), D("0.2"), D("40.20"))
    assert venue.account.balances["USDT"] == 0
    venue.assert_ledgers_agree()


def test_two_strategies_share_funding_and_liquidation_to_the_last_digit() -> None:
    """a +2, b -1, c +0.333: funding on each share sums to the venue's amount; liquidation ends all books."""
    funding = tape("funding", [(MINUTE, 123, 0)])
    venue = Venue({"X": {"bars": flat_bars(1000), "mark": track_of(marks((0, 1000), (2 * MINUTE, 800))),
                         "funding": funding}})  # fmt: skip
    for name, side, qty in (("a", "buy", "2"), ("b", "sell", "1"), ("c", "buy", "0.333")):
        venue.order(1, "X", side, qty, strategy=name)
    venue.run(MINUTE)
    paid = venue.of(FundingPaid)
    # 1.333 x 100 x 0.000123 = 0.0163959
    assert sum(event.amount for event in paid) == D("-0.0163959")
    assert [(event.strategy, event.qty) for event in paid] == [("a", D(2)), ("b", D(-1)), ("c", D("0.333"))]
    venue.run(2 * MINUTE)
    ended = venue.of(PositionLiquidated)
    assert [(event.strategy, event.qty) for event in ended] == [("a", D(2)), ("b", D(1)), ("c", D("0.333"))]
    assert all(book.qty == 0 for book in venue.portfolio.books.values())
    assert sum(event.realized_pnl for event in ended) == -D("13.33")
    venue.assert_ledgers_agree(netted=True)


@pytest.mark.parametrize(("closed", "left"), [("0", "18.1"), ("1", "9.05"), ("2", "0")])
def test_funding_beyond_what_is_free_comes_out_of_the_margin_on_both_sides(closed: str, left: str) -> None:
    """2@100 10x, 1.5 of them a's: margin 20 of 20.6, fee 0.1, free 0.5. Funding 200 x 0.012 = 2.4: 1.9 of it out of the
    margin, 1.425 and 0.475 by shares. 18.1 are left, half of that after a sale of 1.
    """
    funding = tape("funding", [(MINUTE, 12_000, 0)])
    venue = Venue({"X": {"bars": flat_bars(1000), "mark": track_of(marks((0, 1000))), "funding": funding}},
                  wallet="20.6")  # fmt: skip
    venue.order(1, "X", "buy", "1.5", strategy="a")
    venue.order(1, "X", "buy", "0.5", strategy="b")
    venue.run(MINUTE)
    assert [event.from_margin for event in venue.of(FundingPaid)] == [D("1.425"), D("0.475")]
    if D(closed):
        venue.order(MINUTE + 1, "X", "sell", closed, strategy="a")
        venue.run(2 * MINUTE)
    position, whole = venue.account.position("X"), venue.portfolio.whole["v", "X", "net"]
    assert position is not None and position.margin == D(left)
    assert abs(whole.cost) / 10 - whole.margin_taken == D(left)


def test_funding_without_any_mark_is_refused_with_what_to_do() -> None:
    venue = Venue({"X": {"bars": flat_bars(1000), "funding": tape("funding", [(MINUTE, 100, 0)])}})
    venue.order(1, "X", "buy", "1")
    with pytest.raises(DataError, match=r"funding of X at 60000000000 ns: no mark price is known by then; give a mark"):
        venue.run(MINUTE)


def test_a_position_opened_at_the_nanosecond_of_funding_is_not_charged_and_one_before_is() -> None:
    """F0: funding, then requests."""
    funding = tape("funding", [(MINUTE, 1000, 1000), (2 * MINUTE, 1000, 1000)])
    venue = Venue({"X": {"bars": flat_bars(1000), "mark": track_of(marks((0, 1000))), "funding": funding}})
    venue.order(MINUTE, "X", "buy", "1")
    venue.run(3 * MINUTE)
    assert [event.ts for event in venue.of(FundingPaid)] == [2 * MINUTE]
    assert venue.settlement.next_at() == INF


def test_nothing_is_due_while_nothing_is_held() -> None:
    """INF before the first fill and after the last, whatever the tapes hold."""
    own = {"funding": tape("funding", [(5 * MINUTE, 1, 0)]), "adl": [AdlRow(5 * MINUTE, D(1), D(1))]}
    mark = track_of(marks((0, 1000), (5 * MINUTE, 1)))
    venue = Venue({"X": {"bars": flat_bars(1000), "mark": mark, **own}})
    assert venue.settlement.next_at() == INF
    venue.order(1, "X", "buy", "1")
    venue.run(1)
    assert venue.settlement.next_at() == 5 * MINUTE
    venue.order(2, "X", "sell", "1")
    venue.run(9 * MINUTE)
    assert venue.settlement.next_at() == INF
    assert venue.of(PositionLiquidated) == venue.of(FundingPaid) == []


def test_mark_and_index_can_be_asked_for_and_waited_for() -> None:
    venue = Venue({"X": {"bars": flat_bars(1000), "mark": track_of(marks((0, 1000), (7, 990))),
                         "index": track_of(marks((3, 1001)))}})  # fmt: skip
    settlement = venue.settlement
    assert [settlement.mark("X", 6), settlement.mark("X", 7), settlement.index("X", 2)] == [D(100), D(99), None]
    assert settlement.index("X", 3) == D("100.1")
    mark, index = settlement.track("X", "mark"), settlement.track("X", "index")
    assert mark is not None and mark.reaches(D("99.5"), -1, 0) == Reached(7, True)
    assert index is not None and index.reaches(D("99.5"), -1, 0) == NEVER


# --- anything may happen --------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["X", "Y"]),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 9000),
        st.sampled_from(["market", "limit", "reduce"]),
        st.integers(-300, 300),
    ),
    min_size=4,
    max_size=12,
)
PRICES = st.lists(st.integers(-40, 40), min_size=12, max_size=12)
WALLETS = st.sampled_from(["60", "150", "2000"])
RATES = st.lists(st.integers(-3000, 3000), min_size=3, max_size=3)


def walk(moves: list[int]) -> list[int]:
    """Prices x 10 from 1000 on, 0 to 40 percent of it a step, never below 100."""
    prices = [1000]
    for move in moves:
        prices.append(max(100, prices[-1] + move * prices[-1] // 150))
    return prices


def bars_of(prices: list[int]) -> Tape:
    rows = []
    for i, (begin, end) in enumerate(pairwise(prices)):
        rows.append((i * MINUTE, begin, max(begin, end) + 3, min(begin, end) - 3, end, 10**6))
    return tape("bars", rows, interval=MINUTE)


def uncovered(venue: Venue) -> list[str]:
    """Positions that the venue's rule liquidates at the marks in force, counted apart from its own plans."""
    account = venue.account
    wallet, spares = account.balances["USDT"], {}
    with localcontext(prec=60):
        for (symbol, side), position in account.positions.items():
            mark = venue.settlement.mark(symbol, venue.settlement.time)
            if position.qty and mark is not None:
                profit = position.qty * mark - position.value
                spare = profit - maintenance_margin(TIERS, abs(position.qty) * mark)
                spares[symbol, side] = (spare, position.margin)
        if account.margin_mode == "cross":
            left = wallet + sum(spare for spare, _ in spares.values())
            return [f"the pool: {left}"] if spares and left <= 0 else []
        return [f"{key}: {spare + margin}" for key, (spare, margin) in spares.items() if spare + margin <= 0]


@settings(max_examples=60, deadline=None)
@given(STEPS, PRICES, PRICES, RATES, st.booleans(), st.booleans(), st.sampled_from(["2", "20", "50"]), WALLETS)
def test_both_ledgers_agree_after_everything_and_nobody_stays_who_should_have_gone(
    steps: list[Any],
    first: list[int],
    second: list[int],
    rates: list[int],
    cross: bool,
    hedged: bool,
    leverage: str,
    wallet: str,
) -> None:
    """Random fills, flips, funding, liquidations and deleveraging on two symbols: equal to the last digit, conserved.

    At each mark update no position is left that the rule of venues.md section 8 would have closed; equity is wallet +
    unrealized, and a wallet only falls below 0 by losses that were realized or paid, never by a liquidation.
    """
    symbols = {}
    for name, moves in (("X", first), ("Y", second)):
        prices = walk(moves)
        rows = [(i * MINUTE + 7, price) for i, price in enumerate(prices)]
        funding = tape("funding", [(i * 3 * MINUTE + 7, rate, 0) for i, rate in enumerate(rates)], symbol=name)
        adl = [AdlRow(8 * MINUTE + 9, D("1.5"), D(prices[8]) / 10)]
        symbols[name] = {"bars": bars_of(prices), "mark": track_of(marks(*rows)), "funding": funding, "adl": adl}
    venue = Venue(symbols, wallet=wallet, leverage=leverage, cross=cross, hedged=hedged)
    sides: tuple[PositionSide, ...] = ("long", "short") if hedged else ("net",)
    for number, (symbol, side, qty, kind, off) in enumerate(steps):
        more: dict[str, Any] = {"position_side": sides[number % len(sides)]}
        if kind == "limit":
            more["price"] = D(1000 + off) / 10
        elif kind == "reduce" and not hedged:
            more["reduce_only"] = True
        venue.order(number * MINUTE + 1 + (5 if off > 200 else 0), symbol, side, str(D(qty) / 1000), **more)
    for i in range(13):
        venue.run(i * MINUTE + 7)
        venue.settlement.time = max(venue.settlement.time, i * MINUTE + 7)
        assert uncovered(venue) == []
        venue.assert_ledgers_agree()
    venue.run(13 * MINUTE)
    venue.assert_ledgers_agree()
    with localcontext(prec=60):
        flow = sum((e.amount for e in venue.of(FundingPaid)), D(0)) + sum(
            (e.realized_pnl - e.fee + e.insured for e in venue.of(PositionLiquidated)), D(0)
        )
        fees = sum((e.fee for e in venue.of(OrderFilled)), D(0))
        traded = venue.account.realized_pnl - sum((e.realized_pnl for e in venue.of(PositionLiquidated)), D(0))
        assert venue.account.balances["USDT"] == D(wallet) + flow - fees + traded
        assert venue.account.funding.get("USDT", D(0)) == sum((e.amount for e in venue.of(FundingPaid)), D(0))


@settings(max_examples=25, deadline=None)
@given(PRICES, st.integers(1, 9000), st.sampled_from(["buy", "sell"]), st.sampled_from(["5", "10"]))
def test_a_mark_bar_never_passes_a_liquidation_price_unseen(
    moves: list[int], qty: int, side: Side, leverage: str
) -> None:
    """One isolated position, marks as bars: it goes in the first bar whose extreme reaches its LP, or never."""
    prices = walk(moves)
    bars = bars_of(prices)
    rows = [tuple(int(bars.columns[name][i]) for name in ("open", "high", "low", "close")) for i in range(len(bars))]
    mark_tape = tape("marks", [(i * MINUTE, *row) for i, row in enumerate(rows)], interval=MINUTE)
    venue = Venue({"X": {"bars": bars, "mark": track_of(mark_tape)}}, leverage=leverage, wallet="100000")
    venue.order(0, "X", side, str(D(qty) / 1000))
    venue.run(0)
    position = venue.account.position("X")
    assert position is not None
    price = Maintenance(venue.account).liquidation_price(position)
    assert price is not None
    hit = [
        i for i, (_, high, low, _) in enumerate(rows)
        if (D(low) / 10 <= price if side == "buy" else D(high) / 10 >= price)
    ]  # fmt: skip
    venue.run(13 * MINUTE)
    ended = venue.of(PositionLiquidated)
    assert [event.ts // MINUTE for event in ended] == hit[:1]
    venue.assert_ledgers_agree()
