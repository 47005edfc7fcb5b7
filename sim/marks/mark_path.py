"""A mark or index price over time, by engine time: single prices, or bars that walk their own path (F8, adaptive).

Where a symbol has no mark tape, its own trades or bars stand in for one (`fallback_of`): the venue's margin is then
computed at the last price of its market, and the run says so. Prices are int mantissas, fractions inside of a leg.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np

from core.exact import MATH
from core.moments import INF
from core.tape import Column, Rows, Tape
from sim.bars.bar_path import BarPath, Exact
from sim.bars.trailing import Trail, follow
from sim.models.bars import PathKind, path_of
from sim.row_window import RowWindow, by_venue_time

LOOK_ROWS = 2048
"""Rows a search looks ahead before it says "not before": a few microseconds of work, a day of minute bars."""


class Reached(NamedTuple):
    """When a price is reached. `found` False: not before `at`, look again then; at INF: never."""

    at: int
    found: bool


class Ahead(NamedTuple):
    """The extremes of some rows, for who looks at them from `begin` on and before `end`."""

    begin: int
    end: int
    low: Decimal
    high: Decimal
    again: Reached
    """When the next row begins."""


NEVER = Reached(INF, False)
NOTHING_AHEAD = Ahead(INF, INF, Decimal(0), Decimal(0), NEVER)
NOWHERE = (INF, INF, -1)


class PriceTrack:
    """One price of one symbol. Rows behind `count` are not known yet (paper mode reveals them one at a time)."""

    def __init__(
        self,
        times: Column,
        prices: tuple[Column, Column, Column, Column],
        *,
        interval_ns: int,
        scale: int,
        path: PathKind = "adaptive",
        held: Callable[[], int] | None = None,
    ) -> None:
        """`times` are opens of bars, or moments of single prices (interval 0). `held` is for the path `worst`."""
        order = np.argsort(times, kind="stable")
        sorted_already = bool((order[:-1] < order[1:]).all())
        self._times = times if sorted_already else times[order]
        self._prices = prices if sorted_already else tuple(column[order] for column in prices)
        self.interval_ns = interval_ns
        self.scale = scale
        self._unit = Decimal(1).scaleb(-scale)
        self.count = len(times)
        self._path = path
        self._held = held or _flat
        self._walked: tuple[int, int, BarPath] | None = None
        """A row, the sign of what was held, and the path that both make."""
        self._ahead = NOTHING_AHEAD
        """What was seen when somebody last looked ahead."""
        self._answered: tuple[int, Decimal | None] = (INF, None)
        """The last moment for which somebody asked for the price, and that price."""
        self._span = NOWHERE
        """From when until when the row holds that was asked for last, and which it is: the next question is about it or
        one not far behind, as a rule."""

    def reveal(self) -> None:
        """One more row is known."""
        self.count += 1
        self._answered = (INF, None)
        self._ahead = NOTHING_AHEAD

    # --- prices -----------------------------------------------------------------------------------------------------

    def price(self, at: int) -> Decimal | None:
        """The price at `at`, quote units, rows of that moment included; None before the first."""
        if self._answered[0] != at:  # one order asks for it several times
            mantissa = self._price(self._row(at), at)
            self._answered = (at, None if mantissa is None else self.decimal(mantissa))
        return self._answered[1]

    def at(self, at: int) -> Exact | None:
        """The same as a mantissa."""
        return self._price(self._row(at), at)

    def left(self, at: int) -> Exact | None:
        """The price just before whatever changes at `at`."""
        return self._price(self._row(at - 1), at)

    def settling(self, at: int) -> Exact | None:
        """What funding at `at` is computed at: the last price at or before it, before a bar that opens then."""
        return self.left(at) if self.interval_ns else self.at(at)

    def worst(self, at: int, sign: int) -> int | None:
        """The highest (sign 1) or lowest (sign -1) price of the row that holds `at`."""
        row = self._row(at)
        if row < 0:
            return None
        over = self.interval_ns and at >= self._times.item(row) + self.interval_ns
        prices: int = self._prices[3 if over else 1 if sign > 0 else 2].item(row)
        return prices

    def decimal(self, mantissa: Exact) -> Decimal:
        """A mantissa as a price: exact on a row, 34 digits inside of a leg."""
        if isinstance(mantissa, int):
            return MATH.multiply(self._unit, mantissa)
        return MATH.divide(Decimal(mantissa.numerator), Decimal(mantissa.denominator)).scaleb(-self.scale, MATH)

    # --- searching --------------------------------------------------------------------------------------------------

    def reaches(self, price: Decimal, sign: int, since: int) -> Reached:
        """When the price first is at or above `price` (sign 1), at or below it (sign -1).

        Of bars from `since` on; single prices count where they are newer than `since`. Inside of a leg it is the linear
        crossing, truncated to a nanosecond.
        """
        # The first whole mantissa beyond the price: what rows are compared with.
        whole = int(price.scaleb(self.scale, MATH).to_integral_value(ROUND_CEILING if sign > 0 else ROUND_FLOOR))
        row = self._row(since)
        extremes = self._prices[1 if sign > 0 else 2]
        if self.interval_ns and row >= 0 and since < self._times.item(row) + self.interval_ns:
            found = self._touch(row, price, sign, since) if sign * (extremes.item(row) - whole) >= 0 else None
            if found is not None:
                return Reached(found, True)
        first, stop = row + 1, self._looked_to(row)
        if first >= stop:
            return NEVER
        beyond = extremes[first:stop] >= whole if sign > 0 else extremes[first:stop] <= whole
        hit = int(beyond.argmax())
        if beyond[hit]:
            opened = self._times.item(first + hit)
            found = self._touch(first + hit, price, sign, opened) if self.interval_ns else opened
            if found is not None:
                return Reached(found, True)
        return self._again_at(stop)

    def worst_ahead(self, sign: int, since: int) -> tuple[Decimal, Reached] | None:
        """The highest (sign 1) or lowest price from `since` until some rows later, and when to look again; None where
        nothing is known yet."""
        begin, end, low, high, again = self._ahead
        if not begin <= since < end:
            row = self._row(since)
            if row < 0:
                return None
            begin, end, low, high, again = self._ahead = self._look_ahead(row)
        return (high if sign > 0 else low), again

    def trails(self, trail: Trail, since: int) -> tuple[Trail, Reached, int, Exact | None]:
        """A trailing stop along the track from `since` on, which it has seen: the stop after the look, when it fires,
        how far was looked, and the price that fires it.

        Prices are mantissas of the track. Not found: look again then, with the stop and the moment that come back.
        """
        row = self._row(since)
        stop = self._looked_to(row)
        for each in range(max(row, 0) if self.interval_ns else row + 1, stop):
            opened = self._times.item(each)
            if self.interval_ns:
                if since >= opened + self.interval_ns:
                    continue
                trail, pulled = follow(trail, self._walk(each), max(since, opened))
                if pulled is not None:
                    return trail, Reached(pulled.at, True), pulled.at, pulled.price
                since = opened + self.interval_ns
            else:
                price: int = self._prices[3].item(each)
                if trail.level is not None and trail.sign * price >= trail.sign * trail.level:
                    return trail, Reached(opened, True), opened, price
                trail, since = trail.see(price), opened
        return trail, self._again_at(stop), since, None

    def _look_ahead(self, row: int) -> Ahead:
        """Good for questions from the first half of the rows looked at: the other half is then still ahead of them."""
        stop, times = self._looked_to(row), self._times
        low, high = self._prices[2][row:stop].min().item(), self._prices[1][row:stop].max().item()
        end = times.item(min(row + LOOK_ROWS // 2, stop - 1))
        return Ahead(times.item(row), end, self.decimal(low), self.decimal(high), self._again_at(stop))

    def _looked_to(self, row: int) -> int:
        """The row where a look ahead from `row` ends; rows of one moment are looked at together."""
        stop = min(row + 1 + LOOK_ROWS, self.count)
        if 0 < stop < self.count:
            stop = int(self._times.searchsorted(self._times.item(stop - 1), "right"))
        return min(stop, self.count)

    def _again_at(self, stop: int) -> Reached:
        """Nothing before row `stop`: a look from just before it meets it as a new one."""
        return Reached(self._times.item(stop) - 1, False) if stop < self.count else NEVER

    def next_vertex(self, after: int) -> int:
        """The next moment after `after` at which the price jumps or turns; INF where there is none."""
        row = self._row(after)
        if self.interval_ns and row >= 0 and after < self._times.item(row) + self.interval_ns:
            return next(time for time in self._walk(row).times if time > after)
        return self.next_row(after)

    def next_row(self, after: int) -> int:
        """When the next row begins, or the current bar ends; INF where nothing more is known."""
        row = self._row(after)
        if self.interval_ns and row >= 0 and after < self._times.item(row) + self.interval_ns:
            return int(self._times.item(row)) + self.interval_ns
        return int(self._times.item(row + 1)) if row + 1 < self.count else INF

    # --- rows -------------------------------------------------------------------------------------------------------

    def _row(self, at: int) -> int:
        """The last known row that begins at or before `at`; -1 before the first."""
        since, until, row = self._span
        if since <= at < until:
            return row
        times, last = self._times, self.count - 1
        row += (at - since) // self.interval_ns if self.interval_ns else 1
        if 0 <= row < last:
            since, until = times.item(row), times.item(row + 1)
        if not (0 <= row < last and since <= at < until):
            row = min(int(times.searchsorted(at, "right")) - 1, last)
            if not 0 <= row < last:
                return row
            since, until = times.item(row), times.item(row + 1)
        self._span = (since, until, row)
        return row

    def _price(self, row: int, at: int) -> Exact | None:
        if row < 0:
            return None
        into = at - self._times.item(row)
        if 0 < into < self.interval_ns:
            return self._walk(row).price_at(at)
        price: int = self._prices[3 if into or not self.interval_ns else 0].item(row)
        return price

    def _touch(self, row: int, price: Decimal, sign: int, since: int) -> int | None:
        return self._walk(row).first_touch(Fraction(price) * 10**self.scale, sign, since)

    def _walk(self, row: int) -> BarPath:
        held = self._held()
        if self._walked is None or self._walked[:2] != (row, held):
            opened, high, low, close = (column.item(row) for column in self._prices)
            vertices = path_of(self._path, opened, high, low, close, held)
            self._walked = (row, held, BarPath(vertices, self._times.item(row), self.interval_ns))
        return self._walked[2]


class StreamedTrack(PriceTrack):
    """A track of single prices that are read as time goes on: there may be more of them than fit in memory."""

    def __init__(self, tape: Rows, name: str) -> None:
        """`name` is the column of the price."""
        nothing = np.zeros(0, dtype=np.int64)
        super().__init__(nothing, (nothing,) * 4, interval_ns=0, scale=tape.price_scale)
        self._window = RowWindow(partial(by_venue_time, tape, name), 2, ahead=LOOK_ROWS)

    def _row(self, at: int) -> int:
        """Counted among the rows at hand, which reach as far as any search looks."""
        if self._window.around(at):
            self._times, price = self._window.part
            self._prices = (price,) * 4
            self.count = len(price)
            self._span = NOWHERE
        return super()._row(at)


def track_of(tape: Rows) -> PriceTrack:
    """The track of a tape of marks or of an index."""
    return _of_bars(tape.load(), "adaptive", None) if tape.interval_ns else StreamedTrack(tape, "close")


def fallback_of(tape: Rows, path: PathKind = "adaptive", held: Callable[[], int] | None = None) -> PriceTrack | None:
    """A market's own last price in the place of a mark: of bars (as its orders walk them) or trades; else None."""
    if tape.kind in ("bars", "marks"):
        return _of_bars(tape.load(), path, held)
    return StreamedTrack(tape, "price") if tape.kind == "trades" else None


def _of_bars(tape: Tape, path: PathKind, held: Callable[[], int] | None) -> PriceTrack:
    columns = tape.columns
    prices = (columns["open"], columns["high"], columns["low"], columns["close"])
    opens = columns["ts_venue"] - tape.interval_ns
    return PriceTrack(opens, prices, interval_ns=tape.interval_ns, scale=tape.price_scale, path=path, held=held)


def _flat() -> int:
    return 0
