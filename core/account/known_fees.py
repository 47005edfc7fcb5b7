"""What trading costs us now, by what we know: the venue may have counted fills that we have not heard of yet."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.account.tariff import Tariff
from core.events import OrderFilled
from core.exact import MATH
from core.instruments import Instrument
from core.ports import Clock

Key = tuple[str, str]


class KnownFees:
    """The tariff of each venue of the run, at our own time."""

    def __init__(self, instruments: Mapping[Key, Instrument], clock: Clock) -> None:
        self._clock = clock
        self._tariffs = {
            venue: Tariff({symbol: one.fees for (of, symbol), one in instruments.items() if of == venue})
            for venue in {key[0]: None for key in instruments}
        }

    @property
    def by_volume(self) -> bool:
        """Whether fills change what later ones cost."""
        return any(tariff.by_volume for tariff in self._tariffs.values())

    def taker(self, venue: str, symbol: str) -> Decimal:
        """Standard taker rate now, fraction of notional."""
        return self._tariffs[venue].rates(symbol, self._clock.now()).taker

    def on_fill(self, fill: OrderFilled) -> None:
        """A bus handler: it counts for the tiers of later days."""
        at = fill.ts if fill.ts_venue is None else fill.ts_venue
        self._tariffs[fill.venue].traded(MATH.multiply(fill.price, fill.qty), at)
