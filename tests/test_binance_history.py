"""Klines over REST against a loopback venue that pages, fails and lies like a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.binance.history import BinanceSource
from adapters.binance.wire import ENDPOINTS, Market
from adapters.decimals import Decimals
from adapters.files import FileSource
from core.errors import DataError, UsageError, VenueError
from core.tape import Gap, Tape

MINUTE_MS = 60_000
MINUTE = MINUTE_MS * 1_000_000
T0_MS = 1746316800_000
"""2025-05-04T00:00:00Z."""
T0 = T0_MS * 1_000_000
DAY_MS = 1440 * MINUTE_MS
Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


def kline(at_ms: int, price: str = "100.10", volume: str = "1.500") -> list[Any]:
    return [at_ms, price, "101.00", "99.50", price, volume, at_ms + MINUTE_MS - 1, "150.0", 3, "0.7", "70.0", "0"]


def klines(count: int, start_ms: int = T0_MS) -> list[list[Any]]:
    return [kline(start_ms + i * MINUTE_MS, f"100.{i % 90 + 10}") for i in range(count)]


class Venue:
    """Binance's two kline endpoints and clocks over given rows; `faults` answer the next requests instead."""

    def __init__(self, rows: list[list[Any]]) -> None:
        self.rows = rows
        self.now_ms = rows[-1][6] + 1 if rows else T0_MS
        self.most = 1500
        self.faults: list[Fault] = []
        self.asked: list[tuple[int, int]] = []
        self.served: list[int] = []
        self.app = web.Application()
        for points in ENDPOINTS.values():
            self.app.router.add_get(points.time, self.time)
            self.app.router.add_get(points.klines.path, self.klines)

    async def time(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"serverTime": self.now_ms})

    async def klines(self, request: web.Request) -> web.StreamResponse:
        if self.faults:
            return await self.faults.pop(0)(request)
        query = request.query
        if query["symbol"] != "BTCUSDT":
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        most = 1500 if request.path.startswith("/fapi") else 1000
        assert query["interval"] == "1m" and int(query["limit"]) <= most
        first, last = int(query["startTime"]), int(query["endTime"])
        rows = [row for row in self.rows if first <= row[0] <= last][: min(int(query["limit"]), self.most)]
        self.asked.append((first, last))
        self.served.append(len(rows))
        return web.json_response(rows, headers={"X-MBX-USED-WEIGHT-1M": "10"})


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Venue], Awaitable[str]]]:
    """Starts a venue on loopback and gives its base URL."""
    servers: list[TestServer] = []

    async def start(venue: Venue) -> str:
        servers.append(TestServer(venue.app))
        await servers[-1].start_server()
        return str(servers[-1].make_url("")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


class Naps:
    """Sleeping that does not: remembers how long it was asked for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def load(
    url: str,
    *,
    start: int = T0,
    end: int | None = T0 + 60 * MINUTE,
    symbol: str = "BTCUSDT",
    market: Market | None = None,
    cache: Path | None = None,
    naps: Naps | None = None,
    retries: int = 3,
    timeout_s: float = 10.0,
    progress: Callable[[int, int], None] | None = None,
) -> Tape:
    source = BinanceSource(start=start, end=end, base_url=url, market=market, retries=retries, timeout_s=timeout_s)
    history = source.open(
        venue="binance-usdm", symbol=symbol, interval_ns=MINUTE, seed=1, cache=cache, sleep=naps or Naps()
    )
    return await history.load(progress)


def opened(tape: Tape) -> list[int]:
    return ((tape.columns["ts_venue"] - MINUTE) // 1_000_000).tolist()


# --- the good way ---------------------------------------------------------------------------------------------------


async def test_bars_from_start_to_end_with_exact_numbers(serve: Any) -> None:
    """start <= open time and close <= end; the venue's inclusive endTime is the last open time."""
    venue = Venue(klines(100))
    seen: list[tuple[int, int]] = []
    tape = await load(await serve(venue), progress=lambda done, total: seen.append((done, total)))
    assert opened(tape) == [T0_MS + i * MINUTE_MS for i in range(60)]
    assert venue.asked == [(T0_MS, T0_MS + 59 * MINUTE_MS)]
    assert Decimals(tape.columns["open"], tape.price_scale).text(7) == "100.17"
    assert (tape.price_scale, tape.size_scale) == (2, 1)
    assert (tape.venue, tape.symbol, tape.gaps, tape.notes) == ("binance-usdm", "BTCUSDT", (), ())
    assert seen == [(60, 60)]


@pytest.mark.parametrize(("market", "limit"), [("usdm", 1500), ("spot", 1000)])
@pytest.mark.parametrize("extra", [-1, 0, 1])
async def test_paging_at_exactly_the_limit(serve: Any, market: Market, limit: int, extra: int) -> None:
    """limit - 1, limit and limit + 1 rows: every bar once, no request more than pages."""
    count = limit + extra
    venue = Venue(klines(count + 5))
    tape = await load(await serve(venue), end=T0 + count * MINUTE, market=market)
    assert opened(tape) == [T0_MS + i * MINUTE_MS for i in range(count)]
    assert venue.served == ([count] if extra <= 0 else [limit, 1])


async def test_a_venue_with_smaller_pages_than_asked_for_is_read_to_the_end(serve: Any) -> None:
    """A short page alone does not mean the end: the next request goes on from its last row."""
    venue = Venue(klines(100))
    venue.most = 40
    assert len(await load(await serve(venue), end=T0 + 100 * MINUTE)) == 100
    assert venue.served == [40, 40, 20]


async def test_times_between_the_grid_lines_take_whole_bars_inside(serve: Any) -> None:
    """start is rounded up, end down."""
    tape = await load(await serve(Venue(klines(10))), start=T0 + 1, end=T0 + 5 * MINUTE - 1)
    assert opened(tape) == [T0_MS + i * MINUTE_MS for i in (1, 2, 3)]


async def test_the_candle_still_open_is_dropped(serve: Any) -> None:
    """closeTime >= server time: not over, not in the tape, whether or not an end was asked for."""
    venue = Venue(klines(10))
    venue.now_ms = T0_MS + 9 * MINUTE_MS + 30_000
    url = await serve(venue)
    assert opened(await load(url, end=None))[-1] == T0_MS + 8 * MINUTE_MS
    tape = await load(url, end=T0 + 20 * MINUTE)
    assert opened(tape)[-1] == T0_MS + 8 * MINUTE_MS
    assert any("bars end at 2025-05-04 00:09:00Z" in note for note in tape.notes)
    venue.now_ms = T0_MS + 10 * MINUTE_MS
    assert opened(await load(url, end=None))[-1] == T0_MS + 9 * MINUTE_MS


async def test_holes_of_the_venue_are_listed_also_across_pages(serve: Any) -> None:
    """Missing minutes stay missing; the edges are told in words."""
    rows = [row for i, row in enumerate(klines(1600)) if i not in (0, 700, 1500, 1501, 1599)]
    venue = Venue(rows)
    venue.now_ms = T0_MS + 1700 * MINUTE_MS
    tape = await load(await serve(venue), end=T0 + 1600 * MINUTE)
    assert tape.gaps == (
        Gap(since=T0 + 700 * MINUTE, until=T0 + 701 * MINUTE, rows=1),
        Gap(since=T0 + 1500 * MINUTE, until=T0 + 1502 * MINUTE, rows=2),
    )
    assert "asked for from 2025-05-04 00:00:00Z, the venue has bars from 2025-05-04 00:01:00Z" in tape.notes
    assert "asked for until 2025-05-05 02:40:00Z, the venue has bars until 2025-05-05 02:39:00Z" in tape.notes


async def test_recorded_bars_over_rest_equal_the_recorded_file(shared: Path, serve: Any) -> None:
    """3,100 real BTCUSDT minutes, three pages: the same tape as from the feather file, to the last digit."""
    path = shared / "data" / "bars" / "binance-usdm" / "BTCUSDT-1m.2025-05.feather"
    source = FileSource(path=str(path)).open(venue="binance-usdm", symbol="BTCUSDT", interval_ns=MINUTE)
    whole = await source.load()
    columns = [
        [Decimal(int(m)).scaleb(-(whole.size_scale if name == "volume" else whole.price_scale)) for m in column[:3100]]
        for name, column in whole.columns.items()
        if name not in ("ts", "ts_venue")
    ]
    times = ((whole.columns["ts_venue"][:3100] - MINUTE) // 1_000_000).tolist()
    rows = [
        [at, *(f"{value:.8f}" for value in values), at + MINUTE_MS - 1, "0", 1, "0", "0", "0"]
        for at, *values in zip(times, *columns, strict=True)
    ]
    venue = Venue(rows)
    start = times[0] * 1_000_000
    tape = await load(await serve(venue), start=start, end=start + 3100 * MINUTE)
    assert tape.tape_id == whole.between(None, start + 3100 * MINUTE).tape_id
    assert venue.served == [1500, 1500, 100]


# --- faults ---------------------------------------------------------------------------------------------------------


def answering(status: int, body: str = "", **headers: str) -> Fault:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=headers)

    return answer


async def cut_off(request: web.Request) -> web.StreamResponse:
    """Promises 10,000 bytes, sends a few and hangs up."""
    response = web.StreamResponse(headers={"Content-Length": "10000"})
    await response.prepare(request)
    await response.write(b"[[174631680")
    assert request.transport is not None
    request.transport.close()
    return response


async def reset(request: web.Request) -> web.StreamResponse:
    """Hangs up without a word."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


MENDED = {
    "500": answering(500, "oops"),
    "502 with html": answering(502, "<html>Bad Gateway</html>"),
    "truncated": cut_off,
    "reset": reset,
    "wrong json": answering(200, "[[1746316800000,"),
    "empty body": answering(200, ""),
    "not utf-8": answering(200, "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")),
}


@pytest.mark.parametrize("name", MENDED)
async def test_a_fault_that_passes_is_mended_by_asking_again(serve: Any, name: str) -> None:
    """Twice in a row; the waits may grow: anything from 0 to base x 2^n."""
    venue, naps = Venue(klines(60)), Naps()
    venue.faults = [MENDED[name], MENDED[name]]
    assert len(await load(await serve(venue), naps=naps)) == 60
    assert 0 <= naps.seconds[0] <= 0.5
    # After a reset the HTTP client itself asks once more on a new connection, so one wait may do.
    assert all(0 <= second <= 1.0 for second in naps.seconds[1:])
    assert len(naps.seconds) == 2 or name == "reset"


async def test_429_waits_as_long_as_the_venue_says(serve: Any) -> None:
    """Retry-After beats the back-off."""
    venue, naps = Venue(klines(60)), Naps()
    venue.faults = [answering(429, '{"code":-1003,"msg":"Too many requests."}', **{"Retry-After": "17"})]
    assert len(await load(await serve(venue), naps=naps)) == 60
    assert naps.seconds == [17.0]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (answering(418, "banned", **{"Retry-After": "120"}), r"refuses this address for 120 s \(HTTP 418"),
        (answering(403, "<html>WAF</html>"), r"for a time it does not state \(HTTP 403"),
        (answering(429, "{}", **{"Retry-After": "7200"}), "asks us to wait 7200 s"),
        (answering(400, '{"code":-1100,"msg":"Illegal characters."}'), "HTTP 400, code -1100: Illegal characters"),
        (answering(451, "not here"), "HTTP 451"),
        (answering(302, Location="https://elsewhere.example/x"), "redirects to https://elsewhere.example"),
        (answering(200, '{"code":0}'), "klines: the answer is not what Binance documents for it"),
        (answering(200, "[[1746316800000,100.1]]"), "klines: the answer is not what Binance documents for it"),
    ],
)
async def test_what_asking_again_cannot_mend_stops_at_once(serve: Any, fault: Fault, told: str) -> None:
    """One request, no wait, exit code 4."""
    venue, naps = Venue(klines(60)), Naps()
    venue.faults = [fault]
    with pytest.raises(VenueError, match=told) as caught:
        await load(await serve(venue), naps=naps)
    assert naps.seconds == [] and venue.served == [] and caught.value.exit_code == 4


async def test_a_fault_that_stays_names_url_tries_and_last_answer(serve: Any) -> None:
    """After the retries; the query stays out of the message."""
    venue, naps = Venue(klines(60)), Naps()
    venue.faults = [answering(503, "Service Unavailable.")] * 9
    with pytest.raises(VenueError, match=r"/fapi/v1/klines: no good answer in 4 tries.*HTTP 503.*Service Unavail"):
        await load(await serve(venue), naps=naps)
    assert len(venue.faults) == 5 and len(naps.seconds) == 3


async def test_an_answer_that_never_comes_is_given_up(serve: Any) -> None:
    """Time-outs count as faults of one try."""
    venue = Venue(klines(60))

    async def silent(request: web.Request) -> web.StreamResponse:
        await hold.wait()
        return web.Response()

    hold = asyncio.Event()
    venue.faults = [silent]
    try:
        with pytest.raises(VenueError, match=r"in 1 tries, the last one: nothing within 0.05 s"):
            await load(await serve(venue), retries=0, timeout_s=0.05)
    finally:
        hold.set()


async def test_nobody_listening_is_a_venue_error(serve: Any) -> None:
    """Connection refused: exit code 4, the host in the message."""
    with pytest.raises(VenueError, match=r"http://127.0.0.1:9/fapi/v1/time: no good answer in 2 tries"):
        await load("http://127.0.0.1:9", retries=1)


async def test_unknown_symbol_is_named_with_advice(serve: Any) -> None:
    """-1121."""
    with pytest.raises(VenueError, match=r"knows no symbol `BTC-USDT` .*-1121.*BTCUSDT.*`market: spot`"):
        await load(await serve(Venue(klines(5))), symbol="BTC-USDT")


async def test_a_page_without_progress_is_an_error_and_no_endless_loop(serve: Any) -> None:
    """A server that ignores startTime, and one that answers out of order."""
    stuck = Venue([])
    stuck.now_ms = T0_MS + 9999 * MINUTE_MS

    async def always(request: web.Request) -> web.StreamResponse:
        return web.json_response(klines(5))

    stuck.faults = [always] * 3
    with pytest.raises(
        VenueError, match="asked for bars from 2025-05-04 00:05:00Z, the venue answered with 2025-05-04"
    ):
        await load(await serve(stuck))

    async def backwards(request: web.Request) -> web.StreamResponse:
        return web.json_response(klines(5)[::-1])

    stuck.faults = [backwards]
    with pytest.raises(VenueError, match="not in ascending order"):
        await load(await serve(stuck))


async def test_no_bars_at_all_is_a_data_error(serve: Any) -> None:
    """Before the listing; also a start in the venue's future, and a range without a whole bar."""
    venue = Venue(klines(5))
    url = await serve(venue)
    with pytest.raises(DataError, match=r"no bars from 2025-05-03 00:00:00Z .*when the symbol was listed"):
        await load(url, start=T0 - DAY_MS * 1_000_000, end=T0)
    with pytest.raises(DataError, match="no bar fits between 2025-05-05"):
        await load(url, start=T0 + DAY_MS * 1_000_000, end=None)
    with pytest.raises(DataError, match="no bar fits"):
        await load(url, start=T0 + 1, end=T0 + MINUTE)


async def test_nonsense_numbers_from_the_venue_are_refused_with_the_field(serve: Any) -> None:
    """NaN as text never gets into a tape."""
    venue = Venue([kline(T0_MS), kline(T0_MS + MINUTE_MS, price="NaN")])
    with pytest.raises(DataError, match="row 2, column `open`: 'NaN' is not a finite number"):
        await load(await serve(venue), end=None)


async def test_a_host_programs_session_is_used_and_left_open(serve: Any) -> None:
    """Bring your own."""
    url = await serve(Venue(klines(5)))
    async with aiohttp.ClientSession() as session:
        source = BinanceSource(start=T0, end=T0 + 5 * MINUTE, base_url=url)
        history = source.open(venue="binance-usdm", symbol="BTCUSDT", interval_ns=MINUTE, session=session)
        assert len(await history.load()) == 5
        assert not session.closed


def test_market_and_interval_must_be_known_before_anything_is_asked() -> None:
    """Another venue's name needs `market`; a bar Binance has not is named with those it has."""
    source = BinanceSource(start=T0, end=T0 + MINUTE)
    with pytest.raises(UsageError, match="`market: usdm` or `market: spot`"):
        source.open(venue="bybit-linear", symbol="BTCUSDT", interval_ns=MINUTE)
    with pytest.raises(UsageError, match=r"has bars of fixed lengths \(1m, 3m, .*found 7m"):
        source.open(venue="binance-usdm", symbol="BTCUSDT", interval_ns=7 * MINUTE)
    with pytest.raises(UsageError, match="found 1s"):
        source.open(venue="binance-usdm", symbol="BTCUSDT", interval_ns=1_000_000_000)


# --- with the cache -------------------------------------------------------------------------------------------------


async def test_a_second_load_asks_nothing_and_gives_the_same_tape(serve: Any, tmp_path: Path) -> None:
    """What is held is not fetched again, not even the clock is asked."""
    venue = Venue(klines(2000))
    url = await serve(venue)
    first = await load(url, end=T0 + 2000 * MINUTE, cache=tmp_path)
    venue.asked.clear()
    venue.now_ms = 0
    again = await load(url, end=T0 + 2000 * MINUTE, cache=tmp_path)
    assert again.tape_id == first.tape_id and venue.asked == []


async def test_only_what_is_missing_is_asked_for(serve: Any, tmp_path: Path) -> None:
    """An unfinished day, a range on both sides of it, a damaged file (the one it replaced is still there)."""
    venue = Venue(klines(4 * 1440))
    venue.now_ms = T0_MS + 1440 * MINUTE_MS + 100 * MINUTE_MS + 1
    url = await serve(venue)
    await load(url, start=T0 + 600 * MINUTE, end=None, cache=tmp_path)
    venue.asked.clear()
    venue.now_ms = T0_MS + 5 * DAY_MS
    end = T0 + 2 * 1440 * MINUTE
    tape = await load(url, end=end, cache=tmp_path)
    assert opened(tape) == [T0_MS + i * MINUTE_MS for i in range(2880)] and tape.gaps == ()
    assert venue.asked == [(T0_MS, T0_MS + 599 * MINUTE_MS), (T0_MS + 1540 * MINUTE_MS, T0_MS + 2879 * MINUTE_MS)]
    asked = [*venue.asked]
    (damaged,) = tmp_path.rglob("2025-05.v2.*.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    venue.asked.clear()
    again = await load(url, end=end, cache=tmp_path)
    assert again.tape_id == tape.tape_id and venue.asked == asked
    assert any("2025-05.v2" in note and "fetched again" in note for note in again.notes)


async def test_pages_already_fetched_survive_a_venue_that_goes_away(serve: Any, tmp_path: Path) -> None:
    """The next run goes on where this one stopped."""
    venue = Venue(klines(3000))
    url = await serve(venue)

    async def first_page(request: web.Request) -> web.StreamResponse:
        return web.json_response(venue.rows[:1500])

    venue.faults = [first_page, answering(500), answering(500)]
    with pytest.raises(VenueError, match="HTTP 500"):
        await load(url, end=T0 + 3000 * MINUTE, cache=tmp_path, retries=1)
    tape = await load(url, end=T0 + 3000 * MINUTE, cache=tmp_path)
    assert len(tape) == 3000 and venue.asked == [(T0_MS + 1500 * MINUTE_MS, T0_MS + 2999 * MINUTE_MS)]


async def test_rows_of_another_host_never_pass_for_the_real_ones(serve: Any, tmp_path: Path) -> None:
    """The cache folder carries the host where it is not Binance's own."""
    await load(await serve(Venue(klines(60))), cache=tmp_path)
    (folder,) = (tmp_path / "tapes").iterdir()
    assert folder.name.startswith("binance-usdm%40127.0.0.1")
