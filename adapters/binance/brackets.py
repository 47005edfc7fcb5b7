"""The maintenance brackets of Binance USD-M as it tells them now. It tells them to a key: the request is signed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from adapters.binance.rest import BinanceRest
from adapters.binance.signing import ApiKey
from adapters.binance.wire import ENDPOINTS
from adapters.http import WeightLimiter
from adapters.kept.kept_brackets import KeptBrackets, RemoteBrackets
from adapters.remote_source import Line, key_of
from core.errors import UsageError
from core.settings.yaml_nodes import SECRET_REFERENCE

VENUE = "binance-usdm"
NO_KEY = (
    f"{VENUE} tells its brackets to a key alone and none is given, so the stored ones stand for them; name one in "
    "`api_key` and `api_secret`"
)


class BinanceBrackets(RemoteBrackets, frozen=True, kw_only=True, tag_field="kind", tag="binance"):
    """`{kind: binance, api_key: env:BINANCE_KEY, api_secret: env:BINANCE_SECRET}`: those of the key's account."""

    api_key: str | None = None
    """`env:NAME` of a key that may read (HMAC). None: nothing is asked."""
    api_secret: str | None = None
    """`env:NAME` of its secret."""

    def check(self) -> Iterator[tuple[str, str]]:
        """See `RemoteHost.check`."""
        yield from RemoteBrackets.check(self)
        if (self.api_key is None) != (self.api_secret is None):
            yield "api_key" if self.api_key is None else "api_secret", "missing: a key and its secret go together"
        for name in ("api_key", "api_secret"):
            given = getattr(self, name)
            if given is not None and not SECRET_REFERENCE.fullmatch(given):
                yield name, f"expected the name of what the environment has, like env:BINANCE_{name[4:].upper()}"

    def kept(self, venue: str, folder: Path, line: Line) -> KeptBrackets:
        """See `RemoteBrackets.kept`."""
        if venue != VENUE:
            raise UsageError(f"Binance has brackets of {VENUE} alone, not of {venue}; leave `brackets` out")
        public = ENDPOINTS["usdm"].base_url
        base_url = (self.base_url or public).rstrip("/")
        asks = None if self.api_key is None else partial(self._desk, base_url, line)
        return KeptBrackets(key_of(VENUE, public, base_url), folder, asks, NO_KEY)

    @asynccontextmanager
    async def _desk(self, base_url: str, line: Line) -> AsyncIterator[BinanceRest]:
        assert self.api_key is not None and self.api_secret is not None, "`check` has looked"
        key = ApiKey(self.api_key, self.api_secret)
        limiter = WeightLimiter(ENDPOINTS["usdm"].weight_per_minute, sleep=line.sleep)
        async with self.talking(line, limiter=limiter, dumps=False) as (reader, _):
            yield BinanceRest(reader, "usdm", base_url, key=key)
