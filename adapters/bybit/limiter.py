"""Bybit's request limit: so many per address in five seconds, and what its headers say about the account's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from adapters.bybit.wire import REQUESTS_PER_WINDOW, WINDOW_S
from adapters.http import Sleep, WeightLimiter


class BybitLimiter(WeightLimiter):
    """Counts requests; waits for the reset that an answer names once it says that nothing is left."""

    def __init__(self, *, now: Callable[[], float] = time.time, sleep: Sleep = asyncio.sleep) -> None:
        super().__init__(REQUESTS_PER_WINDOW, window_s=WINDOW_S, now=now, sleep=sleep)
        self._reset_s = 0.0

    async def reserve(self, weight: int) -> None:
        """See `WeightLimiter.reserve`."""
        if (wait_s := min(self._reset_s - self._now(), WINDOW_S)) > 0:
            await self._sleep(wait_s)
        self._reset_s = 0.0
        await super().reserve(weight)

    def learn(self, headers: Mapping[str, str]) -> None:
        """`X-Bapi-Limit-Status` is what is left, `X-Bapi-Limit-Reset-Timestamp` (ms) when there will be more."""
        left, reset = headers.get("X-Bapi-Limit-Status", ""), headers.get("X-Bapi-Limit-Reset-Timestamp", "")
        if left == "0" and reset.isdigit():
            self._reset_s = float(reset) / 1000
