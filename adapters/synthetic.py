"""A synthetic market: bars from a seed, realistic enough to try things on, offline and always the same.

Returns follow a GARCH(1,1), so calm and storm come in clusters and tails are fat (Bollerslev 1986; a = 0.05, b = 0.945
give a kurtosis of about 6, the order seen in minute bars); a daily rhythm scales them. Wicks are the exact extremes of
a Brownian bridge between open and close. Volume is log-normal, larger where prices move, with the same rhythm.

Assumes: no drift, no jumps, no trend, one market at a time. Fails when: a strategy's edge is judged on it (there is
none to find), symbols should move together, or the far tails matter.

Only + - x / sqrt touch the numbers (no exp, no log), in sequence, so the bytes do not depend on the processor. Each
kind of chance has its own stream: a longer tape begins with the shorter one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from adapters.columns import Bars, Origin, bars_tape, grid_origin
from adapters.decimals import Column, Decimals
from core.errors import DataError, UsageError
from core.instruments import decimals_of
from core.moments import DAY_NS
from core.notation import Timestamp
from core.ports import HistorySource
from core.tape import Kind, Tape

YEAR_NS = 365 * DAY_NS
START_NS = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z."""
BARS_MAX = 50_000_000
GARCH_A = 0.05
"""Weight of the last squared return."""
GARCH_B = 0.945
"""Weight of the last variance: a + b = 0.995 halves a shock in about 140 bars."""
RETURN_MAX = 0.25
"""No bar moves further than this: keeps the price above zero whatever `volatility` says."""
GROWTH_MAX = 10_000.0
"""Times the first price, where it stops: keeps every number an exact integer."""
DIGITS_MAX = Decimal(10**14)
"""Of `price` in ticks' decimals and `volume_daily` in the step's: leaves room for growth and busy bars in an int64."""
VARIANCE_MAX = 100.0
"""Of the long-run variance: a cap on storms, so that GARCH's tail cannot run away."""
GAP_SHARE = 0.15
"""Share of bars that open a tick above the last close, and of those a tick below (the spread's bounce). Guess."""
VOLUME_SIGMA = 0.6
"""Standard deviation of log volume beyond what the move explains. Guess, the order seen in minute bars."""
RHYTHM_PEAK_H = 14
"""UTC hour of the most active time: the overlap of Europe and America."""


class SyntheticSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="synthetic"
):
    """`{kind: synthetic, days: 30}`: a seeded market without drift."""

    days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 30
    start: Timestamp = START_NS
    """Open time of the first bar."""
    price: Decimal = Decimal(60_000)
    """First open, quote units."""
    volatility: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.6
    """Standard deviation of a year's returns, fraction (365 days)."""
    volume_daily: Decimal = Decimal(20_000)
    """About so much trades in a day, base units."""
    tick: Decimal = Decimal("0.1")
    step: Decimal = Decimal("0.001")
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    """Default: the run's seed mixed with the symbol, so that symbols differ."""

    def check(self) -> Iterator[tuple[str, str]]:
        """What the config's decoder reports about fields that are each valid."""
        for name in ("price", "volume_daily", "tick", "step"):
            if getattr(self, name) <= 0:
                yield name, "expected a number above zero"
        if self.tick > 0 and self.price < 100 * self.tick:
            yield "price", f"expected at least 100 ticks of {self.tick}: below that prices would be all grid"
        for name, unit in (("price", self.tick), ("volume_daily", self.step)):
            if getattr(self, name).scaleb(decimals_of(unit)) > DIGITS_MAX:
                yield name, f"expected at most {DIGITS_MAX.scaleb(-decimals_of(unit)):f} on a grid of {unit}"

    def open(
        self,
        *,
        venue: str,
        symbol: str,
        kind: Kind = "bars",
        interval_ns: int = 0,
        seed: int = 0,
        cache: Path | None = None,
    ) -> HistorySource:
        """The market of one symbol. `cache` has no meaning here: making it again is as fast as reading it."""
        if kind != "bars":
            raise UsageError(f"source of {symbol}: the synthetic market has bars and no {kind}: read them from a file")
        words = [seed, *np.frombuffer(hashlib.sha256(symbol.encode()).digest(), dtype="<u4").tolist()]
        entropy = words if self.seed is None else [self.seed]
        return SyntheticHistory(self, venue=venue, symbol=symbol, interval_ns=interval_ns, entropy=tuple(entropy))


class SyntheticHistory(msgspec.Struct, frozen=True):
    """A market to be made for one symbol."""

    settings: SyntheticSource
    venue: str
    symbol: str
    interval_ns: int
    entropy: tuple[int, ...]

    async def load(self, progress: Callable[[int, int], None] | None = None) -> Tape:
        """The tape. Raises DataError where the settings cannot give one."""
        tape = self.make()
        if progress is not None:
            progress(len(tape), len(tape))
        return tape

    def make(self) -> Tape:
        """The same without a loop."""
        settings = self.settings
        count = settings.days * DAY_NS // self.interval_ns
        origin = Origin(f"synthetic {self.symbol}")
        if not 0 < count <= BARS_MAX:
            raise origin.whole(f"{settings.days} days are {count} bars", f"1 to {BARS_MAX} bars", "change `days`")
        start = -(-(settings.start - grid_origin(self.interval_ns)) // self.interval_ns) * self.interval_ns
        start += grid_origin(self.interval_ns)
        if start + (count + 1) * self.interval_ns >= 2**63:
            raise DataError(f"{origin.name}: {settings.days} days end after the year 2262; change `start` or `days`")
        opened = start + np.arange(count, dtype=np.int64) * self.interval_ns
        return bars_tape(
            market(settings, self.entropy, opened, self.interval_ns),
            venue=self.venue,
            symbol=self.symbol,
            interval_ns=self.interval_ns,
            origin=origin,
        )


def market(settings: SyntheticSource, entropy: tuple[int, ...], opened: Column, interval_ns: int) -> Bars:
    """Bars at the open times given, on the grid of tick and step."""
    chance = [np.random.Generator(np.random.PCG64(seed)) for seed in np.random.SeedSequence(entropy).spawn(4)]
    count = len(opened)
    mean_variance = settings.volatility**2 * interval_ns / YEAR_NS
    rhythm = daily_rhythm(opened) if interval_ns < DAY_NS else np.ones(count)
    shocks = chance[0].standard_normal(count)
    variances = garch(shocks, mean_variance) * rhythm
    returns = np.clip(shocks * np.sqrt(variances), -RETURN_MAX, RETURN_MAX)
    ticks = float(settings.price) / float(settings.tick)
    closes = np.rint(np.clip(np.cumprod(1.0 + returns), 0.0, GROWTH_MAX) * ticks)
    closes = np.maximum(closes, 1.0)
    bounce = chance[1].random(count)
    opens = np.concatenate(([np.rint(ticks)], closes[:-1]))
    opens[1:] += (bounce < GAP_SHARE).astype(float)[1:] - (bounce > 1 - GAP_SHARE)[1:]
    opens = np.maximum(opens, 1.0)
    up, down = bridge_extremes(returns, variances, chance[2].standard_exponential((count, 2)))
    highs = np.maximum(np.maximum(opens, closes), np.rint(opens * (1.0 + up)))
    lows = np.maximum(np.minimum(np.minimum(opens, closes), np.rint(opens * (1.0 - down))), 1.0)
    per_bar = float(settings.volume_daily) * interval_ns / DAY_NS / float(settings.step)
    noise = chance[3].standard_normal(count) * VOLUME_SIGMA - VOLUME_SIGMA**2 / 2
    moved = 0.4 + 0.6 * np.abs(returns) / np.sqrt(mean_variance)
    steps = np.maximum(np.floor(per_bar * rhythm * moved * exp_nearly(noise)), 1.0)
    return Bars(
        times=opened,
        open=_on_grid(opens, settings.tick),
        high=_on_grid(highs, settings.tick),
        low=_on_grid(lows, settings.tick),
        close=_on_grid(closes, settings.tick),
        volume=_on_grid(steps, settings.step),
    )


def garch(shocks: Column, mean_variance: float) -> Column:
    """Variances of a GARCH(1,1) with long-run mean `mean_variance`, started there; `shocks` are standard normal."""
    base, cap = (1.0 - GARCH_A - GARCH_B) * mean_variance, VARIANCE_MAX * mean_variance

    def following(variance: float, squared: float) -> float:
        return min(base + (GARCH_A * squared + GARCH_B) * variance, cap)

    squares = (shocks[:-1] * shocks[:-1]).tolist()
    return np.fromiter(accumulate(squares, following, initial=mean_variance), dtype=np.float64, count=len(shocks))


def daily_rhythm(opened: Column) -> Column:
    """1.4 at the peak hour, 0.6 twelve hours from it, a straight line between; mean 1."""
    hours = (opened % DAY_NS) / (DAY_NS / 24)
    distance = np.abs((hours - RHYTHM_PEAK_H + 12) % 24 - 12)
    return 1.4 - 0.8 * distance / 12


def bridge_extremes(returns: Column, variances: Column, exponentials: Column) -> tuple[Column, Column]:
    """How far above and below its start a Brownian bridge to `returns` went, both >= 0.

    max = (r + sqrt(r^2 + 2 v E)) / 2 with E exponential(1); the minimum likewise with its own E (Karatzas and Shreve
    1991, 2.8). Drawing both independently overstates the joint range a little.
    """
    up = (returns + np.sqrt(returns * returns + 2.0 * variances * exponentials[:, 0])) / 2.0
    down = (-returns + np.sqrt(returns * returns + 2.0 * variances * exponentials[:, 1])) / 2.0
    return up, down


def exp_nearly(values: Column) -> Column:
    """(1 + x/1024)^1024: exp within 1 % for |x| < 4, by multiplications alone."""
    result = 1.0 + values / 1024.0
    for _ in range(10):
        result = result * result
    return result


def _on_grid(units: Column, unit: Decimal) -> Decimals:
    """Counts of ticks or steps as decimal numbers."""
    scale = decimals_of(unit)
    return Decimals(units.astype(np.int64) * int(unit.scaleb(scale)), scale)
