"""One cross wallet behind several positions: when it no longer covers the maintenance of all of them.

wallet + sum of unrealized PnL - sum of maintenance margins, every position at its own mark; with shared collateral what
all assets count for, each at its own price, less what all maintenance takes. On straight legs this is concave in time
(maintenance margin is convex in the price, what an asset counts for is concave in its equity and settle assets have
constant prices), so a stretch whose two ends are covered is covered, and one that ends short has exactly one moment at
which it became so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from core.exact import MATH, ZERO
from core.margin import maintenance_margin
from core.moments import INF
from sim.account import VenueAccount
from sim.bars.bar_path import Exact
from sim.ledger.maintenance import Maintenance
from sim.ledger.venue_position import VenuePosition
from sim.marks.mark_path import NEVER, PriceTrack, Reached

UNJUDGED = Decimal("Infinity")
"""What is spare while nobody knows the price of something that is held: the account is not judged yet."""
LOOK_STRETCHES = 64
"""Rows of marks a search looks ahead before it says "not before"."""
PriceOf = Callable[[PriceTrack, int], Exact | None]
"""(track, the direction in which its price hurts us: 1 up, -1 down) to a mantissa of it."""


class JointMargin:
    """The margin of a pool over time."""

    def __init__(
        self,
        account: VenueAccount,
        maintenance: Maintenance,
        tracks: Mapping[str, PriceTrack],
        values: Mapping[str, PriceTrack],
    ) -> None:
        """By symbol: the marks of positions, and what values an asset of ours."""
        self._account = account
        self._maintenance = maintenance
        self._tracks = tracks
        self._values = values

    def spare(self, asset: str, at: int, *, calls: bool = False) -> Decimal:
        """What is left above maintenance at the marks of `at`; liquidation begins where it is not above 0."""
        return self._spare(asset, lambda track, _: track.at(at), calls)

    def falls_short(self, asset: str, since: int, *, calls: bool = False) -> Reached:
        """When that is no longer above 0, from `since` on; `calls`: when the venue warns of that.

        Where all prices are single ones the venue looks when the next one comes, not when a fee moves the wallet.
        """
        account = self._account
        tracks = [self._tracks[p.instrument.symbol] for p in account.pool(asset) if self._follows(p)]
        if account.collateral is not None:
            tracks += [self._values[symbol] for symbol in account.collateral.symbols if symbol in self._values]
        begin, walks = since, any(track.interval_ns for track in tracks)
        for _ in range(LOOK_STRETCHES):
            end = min(track.next_row(begin) for track in tracks)
            if walks and self._least(asset, begin, calls) <= 0:
                found = self._within(asset, tracks, begin, end, calls)
                if found is not None:
                    return Reached(found, True)
            if end == INF:
                return NEVER
            begin = end
            if self.spare(asset, begin, calls=calls) <= 0:
                return Reached(begin, True)
        return Reached(begin, False)

    def _follows(self, position: VenuePosition) -> bool:
        return position.instrument.symbol in self._tracks

    def _within(self, asset: str, tracks: list[PriceTrack], begin: int, end: int, calls: bool) -> int | None:
        """When in (begin, end] the pool becomes short, just before what jumps at `end`; truncated to a nanosecond, as a
        crossing of one price is."""
        start = begin
        while start < end:
            stop = min(end, *(track.next_vertex(start) for track in tracks))
            if stop == INF:
                return None
            if self._left(asset, stop, calls) <= 0:
                low, high = start, stop
                while high - low > 1:
                    middle = (low + high) // 2
                    if self.spare(asset, middle, calls=calls) <= 0:
                        high = middle
                    else:
                        low = middle
                exact = self.spare(asset, high, calls=calls) == 0
                return high if exact or low == begin else low
            start = stop
        return None

    def _least(self, asset: str, at: int, calls: bool) -> Decimal:
        """A bound from below for the rows that hold `at`: each position alone at its worst price of them."""
        return self._spare(asset, lambda track, hurts: track.worst(at, hurts), calls)

    def _left(self, asset: str, at: int, calls: bool) -> Decimal:
        return self._spare(asset, lambda track, _: track.left(at), calls)

    def _spare(self, asset: str, price_of: PriceOf, calls: bool) -> Decimal:
        account = self._account
        equities = dict(account.balances)
        kept: dict[str, Decimal] = {}
        for position in account.pool(asset):
            symbol, settle = position.instrument.symbol, position.instrument.quote
            price = self._price(self._tracks.get(symbol), -1 if position.qty > 0 else 1, price_of)
            if price is None:
                notional = abs(position.value)
            else:
                equities[settle] = MATH.add(equities.get(settle, ZERO), position.unrealized(price))
                notional = MATH.multiply(abs(position.qty), price)
            margin = maintenance_margin(self._maintenance.tiers(symbol, calls=calls), notional)
            kept[settle] = MATH.add(kept.get(settle, ZERO), margin)
        shared = account.collateral
        if shared is None:
            return MATH.subtract(equities.get(asset, ZERO), kept.get(asset, ZERO))
        values = {symbol: self._value(symbol, held, price_of) for symbol, held in shared.valued(equities)}
        if None in values.values():
            return UNJUDGED
        spare = shared.counts(equities, lambda symbol, held: values[symbol])
        for settle, margin in kept.items():
            spare = MATH.subtract(spare, shared.takes(settle, margin))
        return spare

    def _value(self, symbol: str, held: Decimal, price_of: PriceOf) -> Decimal | None:
        return self._price(self._values.get(symbol), -1 if held > 0 else 1, price_of)

    @staticmethod
    def _price(track: PriceTrack | None, hurts: int, price_of: PriceOf) -> Decimal | None:
        mantissa = None if track is None else price_of(track, hurts)
        return None if track is None or mantissa is None else track.decimal(mantissa)
