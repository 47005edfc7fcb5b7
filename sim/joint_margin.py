"""One cross wallet behind several positions: when it no longer covers the maintenance of all of them.

wallet + sum of unrealized PnL - sum of maintenance margins, every position at its own mark. On straight legs this is
concave in time (maintenance margin is convex in the price), so a stretch whose two ends are covered is covered, and one
that ends short has exactly one moment at which it became so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal

from core.margin import maintenance_margin
from sim.account import VenueAccount, VenuePosition
from sim.bar_path import Exact
from sim.mark_path import INF, NEVER, PriceTrack, Reached

ZERO = Decimal(0)
MATH = Context(prec=34)
LOOK_STRETCHES = 64
"""Rows of marks a search looks ahead before it says "not before"."""
PriceOf = Callable[[PriceTrack, VenuePosition], Exact | None]


class JointMargin:
    """The margin of a pool over time."""

    def __init__(self, account: VenueAccount, tracks: Mapping[str, PriceTrack]) -> None:
        self._account = account
        self._tracks = tracks

    def spare(self, asset: str, at: int, *, calls: bool = False) -> Decimal:
        """What is left above maintenance at the marks of `at`; liquidation begins where it is not above 0."""
        return self._spare(asset, lambda track, _: track.at(at), calls)

    def falls_short(self, asset: str, since: int, *, calls: bool = False) -> Reached:
        """When that is no longer above 0, from `since` on; `calls`: when the venue warns of that."""
        tracks = [self._tracks[p.instrument.symbol] for p in self._account.pool(asset) if self._follows(p)]
        begin = since
        for _ in range(LOOK_STRETCHES):
            end = min(track.next_row(begin) for track in tracks)
            if self._least(asset, begin, calls) <= 0:
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
        """The first nanosecond in (begin, end] at which the pool is short, just before what jumps at `end`."""
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
                return high
            start = stop
        return None

    def _least(self, asset: str, at: int, calls: bool) -> Decimal:
        """A bound from below for the rows that hold `at`: each position alone at its worst price of them."""
        return self._spare(asset, lambda track, position: track.worst(at, -1 if position.qty > 0 else 1), calls)

    def _left(self, asset: str, at: int, calls: bool) -> Decimal:
        return self._spare(asset, lambda track, _: track.left(at), calls)

    def _spare(self, asset: str, price_of: PriceOf, calls: bool) -> Decimal:
        account = self._account
        spare = account.balances.get(asset, ZERO)
        for position in account.pool(asset):
            symbol = position.instrument.symbol
            tiers = account.tiers(symbol, calls=calls)
            track = self._tracks.get(symbol)
            mantissa = price_of(track, position) if track is not None else None
            if track is None or mantissa is None:
                notional = abs(position.value)
            else:
                price = track.decimal(mantissa)
                spare = MATH.add(spare, position.unrealized(price))
                notional = MATH.multiply(abs(position.qty), price)
            spare = MATH.subtract(spare, maintenance_margin(tiers, notional))
        return spare
