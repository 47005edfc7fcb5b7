"""Reading JSON over HTTP as a good guest: retries with back-off, a weight budget, no surprising redirects.

Reads only: whatever changes something at a venue is never sent twice by itself and does not go through here.
Time and chance are handed in, so that tests neither wait nor vary.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import msgspec

from core.errors import VenueError

if TYPE_CHECKING:
    import aiohttp

BODY_BYTES_MAX = 64_000_000
"""No answer we ask for is larger (exchangeInfo, the largest, has about 15 MB); more is a fault or an attack."""
REDIRECTS_MAX = 3
ANSWER_SHOWN = 200
"""Characters of an answer that an error message quotes."""
HIDDEN = "***"
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
BANNED_STATUS = frozenset({403, 418})
"""418 is Binance's ban (2 minutes to 3 days), 403 its firewall and Bybit's IP limit: asking on makes it longer."""
Sleep = Callable[[float], Awaitable[None]]


class Retry(msgspec.Struct, frozen=True):
    """How often and how patiently a read is repeated. Wait before try n+1: anything from 0 to base x 2^n, capped.

    Full jitter: many programs that failed in one moment come back spread over the whole wait.
    """

    retries: int = 5
    """Tries after the first one."""
    base_s: float = 0.5
    cap_s: float = 30.0
    wait_max_s: float = 180.0
    """A venue that asks us to wait longer than this (Retry-After) ends the read instead."""


class Refused(VenueError):
    """The venue answered and said no: an HTTP status and, where it sends one, its own code and words."""

    def __init__(self, path: str, status: int, code: int | None, message: str) -> None:
        self.path = path
        self.status = status
        self.code = code
        self.message = message
        told = f"code {code}: {message}" if code is not None else message
        super().__init__(f"{path}: the venue answered HTTP {status}, {told}; correct the request")


class WeightLimiter:
    """Spends at most `limit` of request weight per window, in fixed windows (aligned to their length)."""

    def __init__(
        self,
        limit: int,
        *,
        window_s: float = 60.0,
        share: float = 0.8,
        now: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.limit = limit * share
        """A share only: the budget belongs to the IP address, and other programs live there too."""
        self.window_s = window_s
        self.used = 0.0
        self._now = now
        self._sleep = sleep
        self._window = -1.0

    async def reserve(self, weight: int) -> None:
        """Wait until `weight` fits into the current window, then count it."""
        self._turn()
        while self.used and self.used + weight > self.limit:
            await self._sleep(self.window_s - self._now() % self.window_s)
            self._turn()
        self.used += weight

    def learn(self, headers: Mapping[str, str]) -> None:
        """The venue's own count (`X-MBX-USED-WEIGHT-1M`) replaces ours where it is higher."""
        told = headers.get("X-MBX-USED-WEIGHT-1M", "")
        if told.isdigit():
            self._turn()
            self.used = max(self.used, float(told))

    def _turn(self) -> None:
        window = self._now() // self.window_s
        if window > self._window:
            self._window, self.used = window, 0.0


class Complaint(NamedTuple):
    """What a venue says inside an answer that HTTP calls good (Bybit: `retCode`)."""

    code: int
    message: str
    passing: bool
    """Whether asking again can help: too many requests, a fault inside the venue."""


Judge = Callable[[Any], Complaint | None]
"""What is wrong with a parsed body; None where nothing is."""


class Signed(NamedTuple):
    """A request as somebody with a key sends it."""

    query: str
    """Percent-encoded, and sent to the letter: the signature in it is one of these very bytes."""
    headers: Mapping[str, str]
    hidden: tuple[str, ...]
    """What no message repeats, whatever an answer says."""


Sign = Callable[[Mapping[str, str | int]], Awaitable[Signed]]
"""Signs parameters for one try: the next one has another time in it."""


class Answer(NamedTuple):
    """What came back once: a parsed body, or why there is none."""

    status: int
    body: Any
    fault: str
    """Empty where the body is good; else what was wrong, for the message."""
    wait_s: float
    """Retry-After of the venue, seconds; 0 where it gave none."""


class JsonReader:
    """Reads of one venue through one session, all under the same limits."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        retry: Retry | None = None,
        timeout_s: float = 10.0,
        proxy: str | None = None,
        limiter: WeightLimiter | None = None,
        judge: Judge | None = None,
        rng: random.Random | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.session = session
        self.retry = retry or Retry()
        self.timeout_s = timeout_s
        self.proxy = proxy
        self.limiter = limiter
        self._judge = judge
        self._rng = rng or random.Random(0)
        self._sleep = sleep

    async def get_json(
        self, url: str, params: Mapping[str, str | int] | None = None, *, weight: int = 1, sign: Sign | None = None
    ) -> Any:
        """The parsed body of a 2xx answer. Raises Refused for a 4xx, VenueError when retrying did not help."""
        refuse_plain_http(url)
        path = urlsplit(url).path
        tries = self.retry.retries + 1
        last = ""
        for attempt in range(tries):
            if self.limiter is not None:
                await self.limiter.reserve(weight)
            answer = await self._once(url, params or {}, None if sign is None else await sign(params or {}))
            complaint = None
            if not answer.fault and 200 <= answer.status < 300:
                complaint = self._judge(answer.body) if self._judge is not None else None
                if complaint is None:
                    return answer.body
                if not complaint.passing:
                    raise Refused(path, answer.status, complaint.code, complaint.message)
            last = f"code {complaint.code}: {complaint.message}" if complaint else answer.fault
            self._stop_where_asking_on_is_wrong(path, answer)
            if attempt + 1 < tries:
                await self._sleep(max(answer.wait_s, backoff_s(self.retry, attempt, self._rng)))
        raise VenueError(
            f"{url.partition('?')[0]}: no good answer in {tries} tries, the last one: {last}; "
            "check the connection and the venue's status page, or raise `retries`"
        )

    def _stop_where_asking_on_is_wrong(self, path: str, answer: Answer) -> None:
        if answer.status in BANNED_STATUS:
            length = f"for {answer.wait_s:.0f} s" if answer.wait_s else "for a time it does not state"
            raise VenueError(
                f"{path}: the venue refuses this address {length} (HTTP {answer.status}: {answer.fault}); "
                "wait that long before the next run: asking again makes it longer"
            )
        if answer.wait_s > self.retry.wait_max_s:
            raise VenueError(
                f"{path}: the venue asks us to wait {answer.wait_s:.0f} s (HTTP {answer.status}), more than the "
                f"{self.retry.wait_max_s:.0f} s we would; run again later"
            )
        if 400 <= answer.status < 500 and answer.status not in RETRIED_STATUS:
            code, message = venue_words(answer.body)
            raise Refused(path, answer.status, code, message or answer.fault)

    async def _once(self, url: str, params: Mapping[str, str | int], signed: Signed | None) -> Answer:
        import aiohttp

        try:
            # Not `wait_for`: up to Python 3.11 it swallows a cancel that comes as the answer does.
            async with asyncio.timeout(self.timeout_s):
                return await self._followed(url, params, signed)
        except aiohttp.ClientSSLError as error:
            raise VenueError(f"{urlsplit(url).netloc}: its certificate is not valid ({error})") from error
        except TimeoutError:
            return Answer(0, None, f"nothing within {self.timeout_s:g} s", 0.0)
        except (aiohttp.ClientError, ConnectionError) as error:
            return Answer(0, None, without_hidden(f"{type(error).__name__}: {error}", signed)[:ANSWER_SHOWN], 0.0)

    async def _followed(self, url: str, params: Mapping[str, str | int], signed: Signed | None) -> Answer:
        """One request, and the redirects it leads through as long as they stay on the same host. One that is signed is
        followed nowhere: its signature is for this address."""
        from yarl import URL

        asked = URL(url).extend_query(params) if signed is None else URL(f"{url}?{signed.query}", encoded=True)
        headers = None if signed is None else signed.headers
        for _ in range(REDIRECTS_MAX + 1):
            async with self.session.get(asked, headers=headers, proxy=self.proxy, allow_redirects=False) as response:
                if self.limiter is not None:
                    self.limiter.learn(response.headers)
                if not (300 <= response.status < 400 and "Location" in response.headers):
                    return _answer(response.status, response.headers, await _body(response), signed)
                target = urljoin(str(response.url), response.headers["Location"])
            if signed is not None:  # where to is not repeated: it may be made of what was sent
                raise VenueError(f"{urlsplit(url).path}: {asked.authority} redirects a signed read; check `base_url`")
            refuse_redirect(url, target)
            url, asked = target, URL(target)
        raise VenueError(f"{urlsplit(url).path}: more than {REDIRECTS_MAX} redirects; check `base_url`")


def backoff_s(retry: Retry, attempt: int, rng: random.Random) -> float:
    """Seconds to wait after failed try number `attempt` (from 0)."""
    return min(retry.cap_s, retry.base_s * 2.0**attempt) * rng.random()


async def _body(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_chunked(1 << 16):
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise VenueError(f"{response.url.path}: the answer is larger than {BODY_BYTES_MAX} bytes; check `base_url`")
        parts.append(part)
    return b"".join(parts)


def _answer(status: int, headers: Mapping[str, str], raw: bytes, signed: Signed | None) -> Answer:
    wait_s = retry_after_s(headers)
    if signed is not None:
        raw = without_hidden(raw.decode("utf-8", "replace"), signed).encode()
    shown = raw[:ANSWER_SHOWN].decode("utf-8", "replace").replace("\n", " ")
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Answer(status, None, f"HTTP {status} with a body that is no JSON: {shown!r}", wait_s)
    return Answer(status, body, "" if 200 <= status < 300 else f"HTTP {status} {shown}", wait_s)


def without_hidden(text: str, signed: Signed | None) -> str:
    """A text without what `signed` hides."""
    for secret in () if signed is None else signed.hidden:
        text = text.replace(secret, HIDDEN)
    return text


def retry_after_s(headers: Mapping[str, str]) -> float:
    """`Retry-After` in seconds; 0 where there is none, or a date."""
    told = headers.get("Retry-After", "").strip()
    return float(told) if told.isdigit() and len(told) < 10 else 0.0


def venue_words(body: Any) -> tuple[int | None, str]:
    """`code` and `msg` of a Binance error body; (None, "") for anything else."""
    if isinstance(body, dict) and isinstance(body.get("code"), int):
        return body["code"], str(body.get("msg", ""))[:ANSWER_SHOWN]
    return None, ""


@asynccontextmanager
async def session_of(given: aiohttp.ClientSession | None) -> AsyncIterator[aiohttp.ClientSession]:
    """The host program's session, left open; or one of our own for the length of the block."""
    import aiohttp

    if given is not None:
        yield given
        return
    async with aiohttp.ClientSession(headers={"User-Agent": "anyclock"}) as session:
        yield session


# --- where we may go ------------------------------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    """`localhost` or an address of this machine's own loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_plain_http(url: str) -> None:
    """Raises VenueError for anything but https, and http to this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and is_loopback(host):
        return
    raise VenueError(f"{url.partition('?')[0]}: expected https (http only to 127.0.0.1); correct `base_url`")


def refuse_redirect(url: str, target: str) -> None:
    """A redirect may change the path, or http to https; another host or a step down to http is refused (VenueError)."""
    here, there = urlsplit(url), urlsplit(target)
    upgrade = here.scheme == "http" and there.scheme == "https"
    same = here.hostname == there.hostname and (upgrade or (here.scheme, here.port) == (there.scheme, there.port))
    if not same:
        raise VenueError(
            f"{here.path}: {here.netloc} redirects to {there.scheme}://{there.netloc}, which is refused; "
            "set `base_url` to the host you mean"
        )
