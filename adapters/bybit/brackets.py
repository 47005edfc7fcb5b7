"""The maintenance brackets of Bybit's linear contracts as it tells them now, to everybody (risk-limit)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from adapters.bybit import wire
from adapters.bybit.limiter import BybitLimiter
from adapters.bybit.rest import BybitRest
from adapters.kept.kept_brackets import KeptBrackets, RemoteBrackets
from adapters.remote_source import Line, key_of
from core.errors import UsageError

VENUE = "bybit-linear"


class BybitBrackets(RemoteBrackets, frozen=True, kw_only=True, tag_field="kind", tag="bybit"):
    """`{kind: bybit}`: no key needed."""

    def kept(self, venue: str, folder: Path, line: Line) -> KeptBrackets:
        """See `RemoteBrackets.kept`."""
        if venue != VENUE:
            raise UsageError(f"Bybit has brackets of {VENUE} alone, not of {venue}; leave `brackets` out")
        base_url = (self.base_url or wire.BASE_URL).rstrip("/")
        return KeptBrackets(key_of(VENUE, wire.BASE_URL, base_url), folder, partial(self._desk, base_url, line))

    @asynccontextmanager
    async def _desk(self, base_url: str, line: Line) -> AsyncIterator[BybitRest]:
        limiter = BybitLimiter(sleep=line.sleep)
        async with self.talking(line, limiter=limiter, dumps=False, judge=wire.complaint) as (reader, _):
            yield BybitRest(reader, "linear", base_url)
