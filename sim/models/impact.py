"""What our own size costs where the data shows no depth: the square-root law with memory (F11)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

import msgspec

from core.notation import NonNegativeMillis

PositiveNumber = Annotated[Decimal, msgspec.Meta(gt=0, le=10**18)]
Day = tuple[float, float]
"""(sigma: fraction per day, volume: base units per day), strictly past."""


class NoImpact(msgspec.Struct, frozen=True, tag_field="kind", tag="none"):
    """Any size trades at the same price. Fails when: your size is visible in the volume."""

    def memory(self) -> None:
        return None

    def sentence(self) -> str:
        return "impact: none, size does not move the price"


class SquareRootImpact(msgspec.Struct, frozen=True, tag_field="kind", tag="square_root"):
    """Cost of q after Qe: [G(Qe + q) - G(Qe)] / q with G(x) = 2/3 Y sigma_D V_D^-0.5 x^1.5, fraction of price.

    Peak impact of a quantity Q is I = Y sigma_D (Q / V_D)^0.5, a one-shot order pays 2/3 of it. Qe is the sum of our
    same-side fills, each halved every `half_life_ms`: splitting without waiting gains nothing. sigma_D and V_D are the
    trailing day's realised volatility and volume, strictly past, where they are left out.
    Assumes: no book is known; Y near 1 (published fits lie between 0.5 and 1.5, report both). Fails when: Q nears V_D.
    Source: F11; Toth et al. 2011, "Anomalous price impact and the critical nature of liquidity".
    """

    coefficient: PositiveNumber = Decimal(1)
    sigma_daily: PositiveNumber | None = None
    volume_daily: PositiveNumber | None = None
    half_life_ms: NonNegativeMillis = 600_000_000_000

    def memory(self) -> ImpactMemory:
        return ImpactMemory(self)

    def sentence(self) -> str:
        known = [] if self.sigma_daily is None else [f"sigma {self.sigma_daily:f} a day"]
        known += [] if self.volume_daily is None else [f"volume {self.volume_daily:f} a day"]
        source = " and ".join(known) or "volatility and volume of the trailing day"
        return f"impact: square root, Y = {self.coefficient:f}, {source}, half-life {self.half_life_ms / 1e9:g} s"


class ImpactMemory:
    """Our own recent fills of one symbol, per side, and what the next one costs."""

    __slots__ = ("_coefficient", "_fills", "_half_life", "_sigma", "_volume")

    def __init__(self, model: SquareRootImpact) -> None:
        self._coefficient = float(model.coefficient)
        self._sigma = None if model.sigma_daily is None else float(model.sigma_daily)
        self._volume = None if model.volume_daily is None else float(model.volume_daily)
        self._half_life = float(model.half_life_ms)
        self._fills: dict[str, tuple[int, float]] = {}

    def cost(self, side: str, qty: float, at: int, day: Callable[[], Day | None]) -> float:
        """Fraction of price a taker fill of `qty` would pay at engine time `at`. 0 without a past."""
        sigma, volume = self._sigma, self._volume
        if sigma is None or volume is None:
            past = day()
            if past is None:
                return 0.0
            sigma = past[0] if sigma is None else sigma
            volume = past[1] if volume is None else volume
        if volume <= 0.0 or qty <= 0.0:
            return 0.0
        before = self._decayed(side, at)
        scale = 2.0 / 3.0 * self._coefficient * sigma / volume**0.5
        cost: float = scale * ((before + qty) ** 1.5 - before**1.5) / qty
        return cost

    def remember(self, side: str, qty: float, at: int) -> None:
        """A taker fill of ours happened: what comes soon after on the same side pays for it too."""
        self._fills[side] = (at, self._decayed(side, at) + qty)

    def _decayed(self, side: str, at: int) -> float:
        known = self._fills.get(side)
        if known is None:
            return 0.0
        since, qty = known
        if self._half_life <= 0.0:
            return 0.0
        left: float = qty * 2.0 ** (-(at - since) / self._half_life)
        return left

    def snapshot(self) -> dict[str, tuple[int, float]]:
        return dict(self._fills)

    def restore(self, state: dict[str, tuple[int, float]]) -> None:
        self._fills = dict(state)


ImpactModel = NoImpact | SquareRootImpact
