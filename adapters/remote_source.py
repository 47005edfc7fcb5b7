"""What every source over the network has in common: where it is, how patiently it is asked, its range."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from adapters.columns import stamp
from adapters.environment import from_environment
from adapters.fetching.downloads import Downloads, folder_of_mine
from adapters.fetching.venue_fetcher import VenueFetcher
from adapters.http import JsonReader, Judge, Retry, Sleep, WeightLimiter, session_of
from adapters.kept.fetched_history import FetchedHistory
from core.notation import Timestamp
from core.ports import HistorySource
from core.settings.yaml_nodes import SECRET_REFERENCE
from core.tape import Kind

if TYPE_CHECKING:
    import aiohttp


DOWNLOADS = ".downloads"
"""Folder under the cache's root for dumps under way."""


class RemoteHost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of whatever is asked over the network."""

    base_url: str | None = None
    """None: the public host. Plain http only to this machine."""
    proxy: str | None = None
    """Or `env:NAME`: what the environment says, for a URL with a password in it."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
    """Of one request, seconds; of a dump the longest silence."""
    retries: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5
    """Of one request, after the first try."""

    def check(self) -> Iterator[tuple[str, str]]:
        """What the config's decoder reports about fields that are each valid."""
        for name in ("base_url", "dump_url", "book_url", "proxy"):
            url = getattr(self, name, None)
            if url is None or (name == "proxy" and SECRET_REFERENCE.fullmatch(url)):
                continue
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https"):
                yield name, "expected a URL such as https://host.example"
            elif parts.username is not None or parts.password is not None:
                hint = ": put it into the environment and write env:PROXY" if name == "proxy" else ""
                yield name, f"a URL in a config names no user and no password{hint}"

    @property
    def proxy_url(self) -> str | None:
        """The proxy to go through. Raises UsageError where the environment does not have what it is to say."""
        if self.proxy is None or not SECRET_REFERENCE.fullmatch(self.proxy):
            return self.proxy
        return from_environment("proxy", self.proxy, "the URL of the proxy")

    @asynccontextmanager
    async def talking(
        self, line: Line, *, limiter: WeightLimiter, dumps: bool, judge: Judge | None = None
    ) -> AsyncIterator[tuple[JsonReader, Downloads | None]]:
        """A reader, and where `dumps` are wanted a downloader, over one session, as these settings say."""
        asked: dict[str, Any] = {
            "retry": Retry(retries=self.retries),
            "timeout_s": self.timeout_s,
            "proxy": self.proxy_url,
            "rng": random.Random(line.seed),
            "sleep": line.sleep,
        }
        async with session_of(line.session) as session:
            reader = JsonReader(session, limiter=limiter, judge=judge, **asked)
            if not dumps:
                yield reader, None
                return
            with folder_of_mine(line.downloads) as folder:
                yield reader, Downloads(session, folder, **asked)


class RemoteSource(RemoteHost, frozen=True, forbid_unknown_fields=True):
    """Keys of a source of rows."""

    start: Timestamp
    """Open time of the first bar, at the earliest; of other rows the venue's time."""
    end: Timestamp | None = None
    """Close time of the last bar, at the latest; None is the venue's now (then two runs see different data)."""

    def check(self) -> Iterator[tuple[str, str]]:
        """See `RemoteHost.check`."""
        if self.end is not None and self.end <= self.start:
            yield "end", f"expected a time after start ({stamp(self.start)})"
        yield from RemoteHost.check(self)

    def open(
        self,
        *,
        venue: str,
        symbol: str,
        kind: Kind = "bars",
        interval_ns: int = 0,
        seed: int = 0,
        cache: Path | None = None,
        session: Any = None,
        sleep: Sleep = asyncio.sleep,
    ) -> HistorySource:
        """The history of one symbol; `cache` is the cache's root folder, None keeps nothing.

        `session` is an aiohttp.ClientSession of the host program (then it is not closed here); `seed` drives the
        jitter of the back-off. Raises UsageError where the venue cannot have such rows.
        """
        line = Line(seed=seed, downloads=None if cache is None else cache / DOWNLOADS, session=session, sleep=sleep)
        fetcher = self.fetcher(venue=venue, symbol=symbol, line=line)
        fetcher.check(kind, symbol, interval_ns)
        return FetchedHistory(
            fetcher, kind=kind, symbol=symbol, interval_ns=interval_ns, start=self.start, end=self.end, cache=cache
        )

    def fetcher(self, *, venue: str, symbol: str, line: Line) -> VenueFetcher:
        """The venue's fetcher under these settings. `symbol` is named in errors. Raises UsageError."""
        raise NotImplementedError


class Line(NamedTuple):
    """What a program hands to a fetcher: chance, time, a session, a place for files under way."""

    seed: int = 0
    downloads: Path | None = None
    """None: a temporary folder, so nothing is resumed by a later run."""
    session: aiohttp.ClientSession | None = None
    """None: one of its own per fetch."""
    sleep: Sleep = asyncio.sleep


def key_of(name: str, public_url: str, used_url: str) -> str:
    """The name under which rows of a host are kept: the venue's own, or with the host behind an @."""
    return name if used_url == public_url else f"{name}@{urlsplit(used_url).netloc}"
