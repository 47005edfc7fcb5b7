"""How we read from a venue: weight, back-off, redirects. What faults do to a download is in test_binance_history."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.http import (
    Complaint,
    JsonReader,
    Refused,
    Retry,
    WeightLimiter,
    backoff_s,
    is_loopback,
    refuse_plain_http,
    refuse_redirect,
    session_of,
)
from core.errors import VenueError


async def no_sleep(seconds: float) -> None:
    """Returns at once."""


async def test_weight_is_spent_per_minute_and_the_venues_count_wins() -> None:
    """Limit 100, share 0.8: the fifth request of weight 20 waits for the next full minute."""
    clock = [120.0]
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        clock[0] += seconds

    limiter = WeightLimiter(100, now=lambda: clock[0], sleep=sleep)
    for _ in range(4):
        clock[0] += 5
        await limiter.reserve(20)
    assert naps == []
    await limiter.reserve(20)
    assert naps == [40.0] and limiter.used == 20
    limiter.learn({"X-MBX-USED-WEIGHT-1M": "75"})
    await limiter.reserve(20)
    assert naps == [40.0, 60.0]
    limiter.learn({"X-MBX-USED-WEIGHT-1M": "many"})
    assert limiter.used == 20


async def test_one_request_above_the_whole_budget_still_goes_out() -> None:
    """Else it would wait for ever."""
    limiter = WeightLimiter(10, now=lambda: 0.0, sleep=no_sleep)
    await limiter.reserve(50)
    assert limiter.used == 50


async def test_back_off_is_capped_and_the_same_for_the_same_seed() -> None:
    """Full jitter of injected chance: from 0 to 1, 2, 4, 8, 8 ... s, and the whole of it is used."""
    retry = Retry(base_s=1, cap_s=8)
    waits = []
    for _ in range(2):
        chance = random.Random(5)
        waits.append([backoff_s(retry, attempt, chance) for attempt in range(200)])
    assert waits[0] == waits[1]
    assert all(0 <= wait <= min(8.0, 2.0**n) for n, wait in enumerate(waits[0]))
    assert min(waits[0][3:]) < 0.5 and max(waits[0][3:]) > 7.5


async def test_redirects_are_followed_on_the_same_host_only() -> None:
    """A path may move; a loop ends."""
    app = web.Application()

    async def moved(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/new")

    async def new(request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True})

    async def loop(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/loop")

    app.router.add_get("/old", moved)
    app.router.add_get("/new", new)
    app.router.add_get("/loop", loop)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("")).rstrip("/")
        reader = JsonReader(session, sleep=no_sleep)
        assert await reader.get_json(url + "/old") == {"ok": True}
        with pytest.raises(VenueError, match="more than 3 redirects"):
            await reader.get_json(url + "/loop")
        with pytest.raises(Refused, match="HTTP 404"):
            await reader.get_json(url + "/nowhere")


async def test_a_body_that_drips_is_given_up_as_a_whole() -> None:
    """Bytes that keep coming do not help: the whole answer has `timeout_s`."""
    release = asyncio.Event()

    async def drips(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"[")
        while not release.is_set():
            await response.write(b" ")
            await asyncio.sleep(0)
        return response

    app = web.Application()
    app.router.add_get("/x", drips)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        reader = JsonReader(session, retry=Retry(retries=0), timeout_s=0.05, sleep=no_sleep)
        with pytest.raises(VenueError, match=r"in 1 tries, the last one: nothing within 0.05 s"):
            await reader.get_json(str(server.make_url("/x")))
        release.set()


async def test_what_a_venue_says_against_an_answer_decides_whether_to_ask_again() -> None:
    """HTTP 200 both times: a passing complaint is asked again, a lasting one is the end."""
    bodies = [{"bad": 1}, {"ok": 1}, {"bad": 2}]

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(bodies.pop(0))

    def judge(body: dict[str, int]) -> Complaint | None:
        return Complaint(body["bad"], "no", passing=body["bad"] == 1) if "bad" in body else None

    app = web.Application()
    app.router.add_get("/x", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        reader = JsonReader(session, judge=judge, sleep=no_sleep)
        assert await reader.get_json(str(server.make_url("/x"))) == {"ok": 1}
        with pytest.raises(Refused, match="HTTP 200, code 2: no"):
            await reader.get_json(str(server.make_url("/x")))


async def test_a_session_of_the_host_stays_open_and_one_of_ours_does_not() -> None:
    """Whoever opened it closes it."""
    async with aiohttp.ClientSession() as host:
        async with session_of(host) as given:
            assert given is host
        assert not host.closed
    async with session_of(None) as ours:
        assert not ours.closed
    assert ours.closed


class Waiting:
    """A session with one answer, `{}`, that comes when it is told to."""

    status, headers = 200, {}

    def __init__(self) -> None:
        self.answered = asyncio.get_running_loop().create_future()
        self.content = self

    def get(self, url: str, **more: object) -> Waiting:
        return self

    async def __aenter__(self) -> Waiting:
        await self.answered
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing to close."""

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        yield b"{}"


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancel_that_comes_with_the_answer_is_not_swallowed(turns: int) -> None:
    """However many turns of the loop lie between the two, a reader that was not through yet is canceled."""
    session = Waiting()
    task = asyncio.create_task(JsonReader(session).get_json("https://a.example/x"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    session.answered.set_result(None)
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        assert task.result() == {}
        return
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("here", "there", "allowed"),
    [
        ("https://a.example/x", "https://a.example/y", True),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://a.example:444/x", False),
        ("http://127.0.0.1:8080/x", "https://127.0.0.1/x", True),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:9090/x", False),
        ("https://a.example/x", "https://a.example.evil/x", False),
        ("https://a.example/x", "https://a.example@evil.example/x", False),
    ],
)
def test_a_redirect_stays_on_its_host_and_port_and_never_goes_down_to_plain_http(
    here: str, there: str, allowed: bool
) -> None:
    if allowed:
        refuse_redirect(here, there)
    else:
        with pytest.raises(VenueError, match="refused"):
            refuse_redirect(here, there)


def test_plain_http_only_to_this_machine() -> None:
    """Names that merely look like loopback are not."""
    for url in ("https://api.binance.com/x", "http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:5/x"):
        refuse_plain_http(url)
    for url in (
        "http://api.binance.com/x",
        "http://127.0.0.1.evil.example/x",
        "ftp://127.0.0.1/x",
        "file:///etc/x",
        "",
    ):
        with pytest.raises(VenueError, match="expected https"):
            refuse_plain_http(url)
    assert is_loopback("127.9.9.9") and not is_loopback("10.0.0.1")
