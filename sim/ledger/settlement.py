"""What a venue does to an account by itself, in engine time: funding, margin calls, liquidation, auto-deleveraging.

The order at one nanosecond is that of F0: `funding`, then market data (`marks` moves to the new prices and applies
auto-deleveraging), then `liquidations`; triggers and requests come after. `next_at` is when any of it could next
concern a position of ours. Marks are tracks (`sim.marks.mark_path`): where a symbol has neither a mark tape nor a
fallback it has no mark, is never liquidated, and its funding rows must say theirs.

Several strategies share one position of the venue: each event says whose share it is about, and the shares of an event
sum to the venue's own amount to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Literal, NamedTuple

from core.errors import DataError
from core.events import Event, FundingPaid, MarginCall, PositionLiquidated, PositionSide, Side
from core.exact import EIGHT_DECIMALS, MATH, ZERO
from core.instruments import Instrument
from core.moments import INF
from core.tape import Tape
from sim.account import NO_TERMS, VenueAccount
from sim.ledger.joint_margin import JointMargin
from sim.ledger.maintenance import Maintenance
from sim.ledger.shares import Owner, Shares, split
from sim.ledger.venue_position import PositionKey, VenuePosition
from sim.marks.mark_path import NEVER, PriceTrack, Reached

LONG_AGO = -(2**62)
ONE_WAY: tuple[PositionSide, ...] = ("net",)
SIDES: tuple[PositionSide, ...] = ("long", "short")
Cause = Literal["liquidation", "adl"]


class AdlRow(NamedTuple):
    """So much of our position is closed at `price` when the venue's queue reaches us."""

    at: int
    qty: Decimal
    price: Decimal


class SettledSymbol:
    """What a symbol brings along: its marks, its index, its funding and the deleveraging that is injected."""

    def __init__(
        self,
        instrument: Instrument,
        *,
        mark: PriceTrack | None = None,
        index: PriceTrack | None = None,
        settling: PriceTrack | None = None,
        funding: Tape | None = None,
        adl: Sequence[AdlRow] = (),
        grace_ns: int = 0,
    ) -> None:
        """`funding` is settled `grace_ns` after its time, on what is held then and at the mark of its time.

        `settling` are the marks funding is computed at, where `mark` only stands in for them between their rows.
        """
        self.instrument = instrument
        self.mark = mark
        self.settling = mark if settling is None else settling
        self.index = index
        self.adl = sorted(adl, key=lambda row: row.at)
        self.grace_ns = grace_ns
        self._funding = funding
        times = funding.columns["ts_venue"].tolist() if funding is not None else []
        self._order = sorted(range(len(times)), key=times.__getitem__)
        self._due = [times[row] + grace_ns for row in self._order]
        self._next_funding = self._next_adl = 0
        self.settles = bool(self._due or self.adl)
        """Whether anything but its mark ever concerns a position."""

    def next_at(self) -> int:
        """Engine time of the next funding or deleveraging."""
        due = self._due[self._next_funding] if self._next_funding < len(self._due) else INF
        return min(due, self.adl[self._next_adl].at) if self._next_adl < len(self.adl) else due

    def skip(self, until: int) -> None:
        """Nothing was held: rows up to `until` (inclusive) did not concern us."""
        while self._next_funding < len(self._due) and self._due[self._next_funding] <= until:
            self._next_funding += 1
        while self._next_adl < len(self.adl) and self.adl[self._next_adl].at <= until:
            self._next_adl += 1

    def funding_due(self, at: int) -> list[tuple[int, Decimal, Decimal | None]]:
        """(time, rate, mark if the row says it) of the rows due by `at`; each is handed out once."""
        found = []
        while self._next_funding < len(self._due) and self._due[self._next_funding] <= at:
            assert self._funding is not None
            row = self._order[self._next_funding]
            columns = self._funding.columns
            mark = int(columns["mark"][row])
            found.append(
                (
                    int(columns["ts_venue"][row]),
                    Decimal(int(columns["rate"][row])).scaleb(-self._funding.size_scale, MATH),
                    Decimal(mark).scaleb(-self._funding.price_scale, MATH) if mark else None,
                )
            )
            self._next_funding += 1
        return found

    def adl_due(self, at: int) -> list[AdlRow]:
        """The deleveraging due by `at`; each is handed out once."""
        first = self._next_adl
        while self._next_adl < len(self.adl) and self.adl[self._next_adl].at <= at:
            self._next_adl += 1
        return self.adl[first : self._next_adl]


class Settlement:
    """One venue's settlements."""

    def __init__(
        self,
        venue: str,
        account: VenueAccount,
        symbols: Mapping[str, SettledSymbol],
        *,
        forced_ids: Mapping[str, str],
        expire_orders: Callable[[str | None, int], None],
        local_at: Callable[[str, int], int],
        emit: Callable[[Event, None], None],
    ) -> None:
        """`symbols` in the order of the run. `expire_orders(symbol, at)`: None is every symbol.

        `forced_ids`: cause to the client id of the order a venue makes; one that ends in "-" is numbered.
        """
        self._venue = venue
        self._account = account
        self._symbols = symbols
        self._forced_ids = forced_ids
        self._expire_orders = expire_orders
        self._local_at = local_at
        self._emit = emit
        values = {name: s.mark if s.index is None else s.index for name, s in symbols.items()}
        self._maintenance = Maintenance(account)
        self._joint = JointMargin(
            account, self._maintenance, _known({name: s.mark for name, s in symbols.items()}), _known(values)
        )
        self._in_run_order = [(name, side) for name in symbols for side in (*ONE_WAY, *SIDES)]
        self.shares = Shares()
        self.time = LONG_AGO
        """Engine time of the prices in force."""
        self._since = LONG_AGO
        """Marks up to here were looked at; those of the moment in hand not before `liquidations` has."""
        self._plans: dict[PositionKey, Reached] = {}
        self._next: int | None = None
        self._warned: set[PositionKey] = set()
        """Positions whose owners have been told: they are planned to their liquidation, the others to the call."""
        self._forced = 0
        self._closed = False
        """Whether a position was closed by force since `liquidations` last said so."""
        account.mark_of = self._mark_now
        account.value_of = self._value_now

    # --- what the exchange asks -------------------------------------------------------------------------------------

    def next_at(self) -> int:
        """Engine time of the next settlement that could concern a position of ours; INF without one."""
        if self._next is None:
            self._next = self._planned()
        return self._next

    def mark(self, symbol: str, at: int) -> Decimal | None:
        """Mark price at `at`; None where none is known yet."""
        track = self._symbols[symbol].mark
        return None if track is None else track.price(at)

    def index(self, symbol: str, at: int) -> Decimal | None:
        """Index price at `at`; None where none is known yet."""
        track = self._symbols[symbol].index
        return None if track is None else track.price(at)

    def track(self, symbol: str, by: str) -> PriceTrack | None:
        """What pulls a trigger by `mark` or by `index`; None where the data does not have it."""
        return self._symbols[symbol].mark if by == "mark" else self._symbols[symbol].index

    # --- what the exchange tells ------------------------------------------------------------------------------------

    def filled(self, key: PositionKey, owner: Owner, qty: Decimal, at: int) -> None:
        """A fill of `qty` (signed) was booked."""
        settled = self._symbols[key[0]]
        if settled.settles:
            settled.skip(at)
        self.shares.add(key, owner, qty)
        # Another venue may have settled the books of this one, whose prices then still stand where it acted last.
        if at > self.time:
            self.time = at
        if at - 1 > self._since:
            self._since = at - 1
        self._next = None
        if self._account.margin_mode == "isolated":  # nothing else depends on it
            self._plans.pop(key, None)
            self._warned.discard(key)
        else:
            self._plans.clear()
            self._warned.clear()

    def moves_to(self, at: int) -> bool:
        """The prices in force are those of `at` from here on. Whether anything of ours may be settled at it."""
        if self.next_at() <= at:
            return True
        self.time = at
        self._since = max(self._since, at - 1)
        return False

    def requests(self, at: int) -> None:
        """Requests are answered at `at`: everything before them in the order of F0 has happened."""
        self.time = self._since = at

    def revealed(self) -> None:
        """More rows of a track are known: what was planned without them is planned anew."""
        self._plans.clear()
        self._next = None

    # --- the order of F0 --------------------------------------------------------------------------------------------

    def funding(self, at: int) -> None:
        """Settle the funding due by `at`, before anything else of that moment."""
        self._since = max(self._since, at - 1)
        for name, symbol in self._symbols.items():
            held = self._positions(name)
            if not held:
                continue
            for time, rate, mark in symbol.funding_due(at):
                if mark is None:
                    mark = self._settling_mark(symbol, time)
                for position in held:
                    self._fund(position, rate, mark, at)
                self._forget(name)

    def marks(self, at: int) -> None:
        """Market data of `at`: the prices in force are those of now; deleveraging takes its part."""
        self._since = max(self._since, at - 1)
        self.time = at
        for name, symbol in self._symbols.items():
            if self._positions(name):
                for row in symbol.adl_due(at):
                    self._deleverage(name, row, at)
                    self._next = None

    def liquidations(self, at: int) -> bool:
        """Close what the marks of `at` leave without maintenance margin. Whether the venue closed anything at `at`."""
        if not self._closed and self._next is not None and self._next > at:
            self._since = at
            return False
        while self.next_at() <= at:
            due = [key for key in self._in_run_order if key in self._plans and self._plans[key].at <= at]
            found = [key for key in due if self._plans[key].found]
            for key in due:
                del self._plans[key]
            self._next = None
            calls = [key for key in found if self._warns(key)]
            if calls:
                self._warned.update(calls)
                for key in calls:
                    self._call(self._account.positions[key], at)
            elif found:
                self._liquidate(self._first(found, at), at)
            elif not due:
                break  # funding or deleveraging of this moment, with nothing held any more
        self._since = at
        closed, self._closed = self._closed, False
        return closed

    # --- planning ---------------------------------------------------------------------------------------------------

    def _planned(self) -> int:
        earliest = INF
        for key, position in self._account.positions.items():
            if not position.qty:
                continue
            symbol = self._symbols[key[0]]
            if symbol.settles:
                earliest = min(earliest, symbol.next_at())
            plan = self._plans.get(key)
            if plan is None:
                plan = self._plans[key] = self._plan(position, symbol.mark)
            if plan.at < earliest:
                earliest = plan.at
        return earliest

    def _plan(self, position: VenuePosition, track: PriceTrack | None) -> Reached:
        """When the venue would close this position, or warn of that; a pool of several is followed price by price."""
        account, symbol = self._account, position.instrument.symbol
        if track is None or not self._maintenance.tiers(symbol):
            return NEVER
        asset, calls = position.instrument.quote, self._warns((symbol, position.side))
        if account.margin_mode == "cross" and (account.collateral is not None or len(account.pool(asset)) > 1):
            for other in account.pool(asset):
                name = other.instrument.symbol
                known = self._plans.get((name, other.side))
                if known is not None and self._maintenance.tiers(name) and self._symbols[name].mark is not None:
                    return known
            return self._joint.falls_short(asset, self._since, calls=calls)
        sign = -1 if position.qty > 0 else 1
        ahead = track.worst_ahead(sign, self._since)
        if ahead is not None and self._maintenance.bears(position, ahead[0], calls=calls):
            return ahead[1]
        exact = self._maintenance.liquidation_price(position, calls=calls)
        return NEVER if exact is None else track.reaches(exact, sign, self._since)

    def _warns(self, key: PositionKey) -> bool:
        """Whether the next thing that happens to a position that loses is a margin call."""
        return key not in self._warned and bool(self._maintenance.tiers(key[0], calls=True))

    def _positions(self, symbol: str) -> list[VenuePosition]:
        if not self._account.hedged:
            position = self._account.positions.get((symbol, "net"))
            return [position] if position is not None and position.qty else []
        found = [self._account.positions.get((symbol, side)) for side in SIDES]
        return [position for position in found if position is not None and position.qty]

    def _forget(self, symbol: str) -> None:
        """A position or the wallet behind it changed: what was planned on it no longer holds."""
        self._next = None
        if self._account.margin_mode == "cross":
            self._plans.clear()
        elif self._plans:
            for side in SIDES if self._account.hedged else ONE_WAY:
                self._plans.pop((symbol, side), None)

    # --- prices -----------------------------------------------------------------------------------------------------

    def _mark_now(self, symbol: str) -> Decimal | None:
        return self.mark(symbol, self.time) if symbol in self._symbols else None

    def _value_now(self, symbol: str, held: Decimal) -> Decimal | None:
        """What the base of a symbol is worth as collateral, however much is held: its index, else its mark."""
        if symbol not in self._symbols or self._symbols[symbol].index is None:
            return self._mark_now(symbol)
        return self.index(symbol, self.time)

    def _settling_mark(self, symbol: SettledSymbol, time: int) -> Decimal:
        track = symbol.settling
        mantissa = track.settling(time) if track is not None else None
        if track is None or mantissa is None:
            raise DataError(
                f"funding of {symbol.instrument.symbol} at {time} ns: no mark price is known by then; give a mark "
                "before it, or the funding row its own `mark`"
            )
        return track.decimal(mantissa)

    def _moves(self, symbol: str, at: int) -> bool:
        """Whether its mark changes at `at`: of a pool, the position whose mark did it is closed first."""
        track = self._symbols[symbol].mark
        return track is not None and (track.interval_ns > 0 or track.at(at) != track.left(at))

    def _closing_price(self, position: VenuePosition, at: int) -> Decimal:
        """The mark at `at`; inside of a leg onto the tick, away from us."""
        track = self._symbols[position.instrument.symbol].mark
        mantissa = track.at(at) if track is not None else None
        assert track is not None and mantissa is not None, "a position without a mark is never liquidated"
        price = track.decimal(mantissa)
        if isinstance(mantissa, int):
            return price
        tick = position.instrument.tick
        ticks = MATH.divide_int(price, tick)
        return MATH.multiply(tick, ticks if position.qty > 0 else ticks + 1)

    # --- what happens -----------------------------------------------------------------------------------------------

    def _fund(self, position: VenuePosition, rate: Decimal, mark: Decimal, at: int) -> None:
        """-qty x mark x rate, 8 decimals, rounded away from us."""
        exact = -MATH.multiply(MATH.multiply(position.qty, mark), rate)
        amount = exact.quantize(EIGHT_DECIMALS, ROUND_FLOOR, MATH)
        instrument = position.instrument
        taken = self._account.fund(position, amount)
        shares = self.shares.of((instrument.symbol, position.side), position.qty)
        weights = [qty for _, qty in shares]
        amounts, margins = (split(whole, weights, position.qty) for whole in (amount, taken))
        for (owner, qty), part, from_margin in zip(shares, amounts, margins, strict=True):
            self._emit(FundingPaid(*self._keys(position, owner, at), part, rate, mark, qty, from_margin), None)

    def _call(self, position: VenuePosition, at: int) -> None:
        """Tell each strategy that has a share."""
        mark = self.mark(position.instrument.symbol, at)
        assert mark is not None, "a position without a mark is never planned"
        maintenance, balance = self._maintenance.covered(position)
        ends = self._maintenance.liquidation_price(position)
        for owner, qty in self.shares.of((position.instrument.symbol, position.side), position.qty):
            self._emit(MarginCall(*self._keys(position, owner, at), qty, mark, maintenance, balance, ends), None)

    def _deleverage(self, symbol: str, row: AdlRow, at: int) -> None:
        """Whoever gains at that price is the one to be deleveraged; a one-way position always is."""
        held = self._positions(symbol)
        held.sort(key=lambda position: -position.unrealized(row.price))
        left = row.qty
        for position in held:
            qty = min(left, abs(position.qty))
            if qty > 0:
                self._close(position, "adl", row.price, qty, ZERO, at)
                left -= qty

    def _liquidate(self, key: PositionKey, at: int) -> None:
        """Isolated: at the bankruptcy price. Cross: at mark with a fee, and on, while the pool is still short."""
        account = self._account
        position = account.positions[key]
        if account.margin_mode == "isolated":
            self._expire_orders(key[0], at)
            price = self._maintenance.bankruptcy_price(position)
            self._close(position, "liquidation", price, abs(position.qty), ZERO, at)
            return
        self._expire_orders(None, at)
        asset = position.instrument.quote
        while True:
            price = self._closing_price(position, at)
            rate = account.terms.get(position.instrument.symbol, NO_TERMS).liquidation_fee
            notional = MATH.multiply(MATH.multiply(abs(position.qty), price), rate)
            fee = notional.quantize(EIGHT_DECIMALS, ROUND_DOWN, MATH)
            self._close(position, "liquidation", price, abs(position.qty), fee, at)
            others = [p for p in self._in_order(asset) if account.terms.get(p.instrument.symbol, NO_TERMS).tiers]
            others = [p for p in others if account.mark_of(p.instrument.symbol) is not None]
            if not others or self._joint.spare(asset, at) > 0:
                return
            position = others[0]

    def _first(self, found: list[PositionKey], at: int) -> PositionKey:
        """The position whose mark moved at `at`; of both sides of a symbol the one that loses more."""
        moved = next((key for key in found if self._moves(key[0], at)), found[0])
        sides = [key for key in found if key[0] == moved[0]]
        positions, mark = self._account.positions, self.mark(moved[0], at) or ZERO
        return min(sides, key=lambda key: positions[key].unrealized(mark))

    def _in_order(self, asset: str) -> list[VenuePosition]:
        """The pool in the run's order of symbols, of two sides the one that loses more first."""
        order = {name: number for number, name in enumerate(self._symbols)}

        def place(position: VenuePosition) -> tuple[int, Decimal, str]:
            symbol = position.instrument.symbol
            return order[symbol], position.unrealized(self.mark(symbol, self.time) or ZERO), position.side

        return sorted(self._account.pool(asset), key=place)

    def _close(
        self, position: VenuePosition, cause: Cause, price: Decimal, qty: Decimal, fee: Decimal, at: int
    ) -> None:
        """The venue closes `qty` of a position: the ledger, then one event per strategy that has a share."""
        account, symbol, asset = self._account, position.instrument.symbol, position.instrument.quote
        held = position.qty
        closing = qty.copy_sign(-held)
        shares = self.shares.take((symbol, position.side), held, closing)
        weights = [part for _, part in shares]
        realized = account.force_close(position, price, weights, fee)
        insured = account.floor_wallet(asset) if cause == "liquidation" else ZERO
        self._forced += 1
        self._closed = True
        word = self._forced_ids.get(cause, "")
        name = f"{word}{symbol}-{self._forced}" if word.endswith("-") else word
        sizes = [abs(part) for part in weights]
        parts = zip(
            shares,
            split(realized, weights, closing),
            split(fee, sizes, sum(sizes, ZERO)),
            split(insured, sizes, sum(sizes, ZERO)),
            strict=True,
        )
        self._forget(symbol)
        for (owner, part), gained, paid, borne in parts:
            keys = self._keys(position, owner, at)
            side: Side = "buy" if part > 0 else "sell"
            self._emit(PositionLiquidated(*keys, price, abs(part), side, cause, gained, paid, name, borne), None)

    def _keys(
        self, position: VenuePosition, owner: Owner, at: int
    ) -> tuple[int, int, str, str, PositionSide, str, str]:
        strategy, session = owner
        symbol = position.instrument.symbol
        return self._local_at(session, at), at, self._venue, symbol, position.side, strategy, session


def _known(tracks: Mapping[str, PriceTrack | None]) -> dict[str, PriceTrack]:
    return {name: track for name, track in tracks.items() if track is not None}
