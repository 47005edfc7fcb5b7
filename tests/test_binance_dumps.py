"""Binance's public dumps over HTTP: chosen where they are faster, checked, resumed, and named in the tape."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.binance.dumps import read_days
from adapters.binance.history import BinanceSource
from adapters.fetching.downloads import Downloads, folder_of_mine
from adapters.fetching.routes import dump_spans, month_start, next_dump, next_month
from adapters.http import Retry
from adapters.remote_source import Line
from core.errors import DataError, VenueError
from core.tape import Kind, Tape
from loopback import Loopback, Naps, answering, cut_after, listening, reset, silent_after
from recorded import read, recorded
from recorded_answers import agg_trades, agg_trades_csv, binance_klines, csv_of, loaded, zipped

MS = 1_000_000
MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
OCT_11 = 1570752000_000 * MS
FOLDER = "/data/spot/daily/aggTrades/XRPETH"


async def load(
    venue: Loopback,
    kind: Kind,
    symbol: str,
    start: int,
    end: int,
    *,
    interval_ns: int = 0,
    cache: Path | None = None,
    naps: Naps | None = None,
    **settings: Any,
) -> Tape:
    market = settings.get("market", "usdm")
    async with listening(venue) as url:
        source = BinanceSource(start=start, end=end, base_url=url, dump_url=url, retries=2, **settings)
        history = source.open(
            venue=f"binance-{market}",
            symbol=symbol,
            kind=kind,
            interval_ns=interval_ns,
            cache=cache,
            sleep=naps or Naps(),
        )
        return await loaded(history)


def october() -> tuple[Loopback, list[dict[str, Any]]]:
    """Two whole days of real spot trades as dumps, the third over REST."""
    rows = agg_trades()
    venue = Loopback(now_ms=1571000000_000)
    venue.rows["/api/v3/aggTrades"] = rows
    for day, date in ((OCT_11, "2019-10-11"), (OCT_11 + DAY, "2019-10-12")):
        mine = [row for row in rows if day <= row["T"] * MS < day + DAY]
        name = f"XRPETH-aggTrades-{date}"
        venue.files[f"{FOLDER}/{name}.zip"] = zipped(f"{name}.csv", agg_trades_csv(mine))
    return venue, rows


# --- the fastest way ------------------------------------------------------------------------------------------------


async def test_dumps_for_whole_past_days_and_rest_for_the_others_give_the_recorded_trades() -> None:
    """Two dumps with their checksums, then REST from the third midnight on; the same tape as the recorded file."""
    venue, _ = october()
    tape = await load(venue, "trades", "XRPETH", OCT_11, OCT_11 + 60 * 60 * MINUTE, market="spot")
    path = recorded("trades/binance-spot/XRPETH-aggtrades.2019-10.ccxt.json.gz")
    assert tape.tape_id == read(path, "trades", "XRPETH", venue="binance-spot").tape_id
    dumped = venue.paths("zip") + venue.paths("CHECKSUM")
    assert sorted(path.rsplit("-", 1)[-1] for path in dumped) == [
        "11.zip",
        "11.zip.CHECKSUM",
        "12.zip",
        "12.zip.CHECKSUM",
    ]
    rest = [query for path, query in venue.asked if path == "/api/v3/aggTrades"]
    assert int(rest[0]["startTime"]) * MS == OCT_11 + 2 * DAY
    assert "sha256 of the dump equals its .CHECKSUM" in tape.notes
    assert tape.source.endswith("XRPETH-aggTrades-2019-10-11.zip and 2 more")


async def test_a_dump_that_is_not_there_comes_over_rest() -> None:
    """404 for the checksum: the day is paged, the result is the same."""
    venue, _ = october()
    del venue.files[f"{FOLDER}/XRPETH-aggTrades-2019-10-12.zip"]
    tape = await load(venue, "trades", "XRPETH", OCT_11, OCT_11 + 60 * 60 * MINUTE, market="spot")
    whole, _ = october()
    assert (
        tape.tape_id
        == (await load(whole, "trades", "XRPETH", OCT_11, OCT_11 + 60 * 60 * MINUTE, market="spot")).tape_id
    )
    rest = [query for path, query in venue.asked if path == "/api/v3/aggTrades" and "startTime" in query]
    assert int(rest[0]["startTime"]) * MS == OCT_11 + DAY


async def test_no_dumps_of_the_public_host_for_rows_of_another_one() -> None:
    """A `base_url` without a `dump_url` is read over REST alone, as is `dumps: false`."""
    venue, _ = october()
    async with listening(venue) as url:
        for more in ({}, {"dump_url": url, "dumps": False}):
            source = BinanceSource(start=OCT_11, end=OCT_11 + DAY, base_url=url, market="spot", **more)
            history = source.open(venue="binance-spot", symbol="XRPETH", kind="trades", sleep=Naps())
            assert len(await loaded(history)) > 1000
    assert venue.paths("zip") == [] and venue.paths("CHECKSUM") == []


async def test_a_month_of_minutes_is_one_dump_and_its_edges_are_pages() -> None:
    """May 2025 whole, from 28 real days of it; what lies around it over REST. Days become parts of one tape."""
    path = recorded("bars/binance-usdm/BTCUSDT-1m.2025-05.feather")
    bars = read(path, "bars", "BTCUSDT", venue="binance-usdm", interval_ns=MINUTE)
    rows = binance_klines(bars)
    may, june = 1746057600_000, 1748736000_000
    venue = Loopback(now_ms=rows[-1][6] + 1)
    venue.rows["/fapi/v1/klines"] = rows
    inside = [row for row in rows if may <= row[0] < june]
    header = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote,ignore"
    )
    name = "BTCUSDT-1m-2025-05"
    file = f"/data/futures/um/monthly/klines/BTCUSDT/1m/{name}.zip"
    venue.files[file] = zipped(f"{name}.csv", csv_of(inside, header))
    end = (rows[-1][0] + 60_000) * MS
    tape = await load(venue, "bars", "BTCUSDT", may * MS - 10 * MINUTE, end, interval_ns=MINUTE)
    assert tape.tape_id == bars.tape_id
    assert venue.paths("zip") == [file]
    asked = [(int(q["startTime"]), int(q["endTime"])) for p, q in venue.asked if p == "/fapi/v1/klines"]
    assert asked[0] == (may - 600_000, may - 60_000) and asked[1][0] == june
    assert any("asked for from 2025-04-30 23:50:00Z" in note for note in tape.notes)


async def test_micros_in_a_spot_dump_are_micros() -> None:
    """2025-01-01T00:00:00.010866Z, the example of venues.md section 1."""
    day = 1735689600_000 * MS
    venue = Loopback(now_ms=day // MS + 2 * 86_400_000)
    row = [1, "93576.00", "0.5", 1, 1, 1735689600010866, True, True]
    file = "/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2025-01-01.zip"
    venue.files[file] = zipped("BTCUSDT-aggTrades-2025-01-01.csv", csv_of([row]))
    tape = await load(venue, "trades", "BTCUSDT", day, day + DAY, market="spot")
    assert tape.columns["ts_venue"].tolist() == [1735689600_010_866_000] and tape.columns["side"].tolist() == [-1]


async def test_single_trades_and_quotes_come_from_dumps_of_their_own() -> None:
    """`trades: single` reads the trades dump; book tickers exist as dumps of futures only."""
    day = 1703980800_000 * MS
    venue = Loopback(now_ms=day // MS + 2 * 86_400_000)
    daily = "/data/futures/um/daily"
    venue.files[f"{daily}/trades/BTCUSDT/BTCUSDT-trades-2023-12-31.zip"] = zipped(
        "t.csv",
        csv_of([[5, "42000.1", "0.2", "8400.02", day // MS + 7, False]], "id,price,qty,quote_qty,time,is_buyer_maker"),
    )
    venue.files[f"{daily}/bookTicker/BTCUSDT/BTCUSDT-bookTicker-2023-12-31.zip"] = zipped(
        "q.csv", csv_of([[9, "42000.0", "3", "42000.1", "2", day // MS + 5, day // MS + 6]])
    )
    trades = await load(venue, "trades", "BTCUSDT", day, day + DAY, trades="single")
    assert trades.columns["price"].tolist() == [420001] and trades.columns["side"].tolist() == [1]
    quotes = await load(venue, "quotes", "BTCUSDT", day, day + DAY)
    assert [quotes.columns[name].tolist() for name in ("bid_price", "ask_price", "ask_size")] == [
        [420000],
        [420001],
        [2],
    ]
    with pytest.raises(VenueError, match="no past quotes of BTCUSDT over REST, and has no dump"):
        await load(venue, "quotes", "BTCUSDT", day + DAY, day + 2 * DAY - 1)


async def test_rows_of_another_day_in_a_dump_are_left_out_and_told() -> None:
    """A trade of the next midnight stands in the file: it belongs to the next day's."""
    day = 1735689600_000 * MS
    venue = Loopback(now_ms=day // MS + 2 * 86_400_000)
    rows = [[i, "1.0", "1", 1, 1, day // MS + at, True, True] for i, at in ((1, 5), (2, 86_400_000))]
    file = "/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2025-01-01.zip"
    venue.files[file] = zipped("x.csv", csv_of(rows))
    tape = await load(venue, "trades", "BTCUSDT", day, day + DAY, market="spot")
    assert len(tape) == 1 and "1 rows of other days in the dump are left out" in tape.notes


async def test_a_part_of_a_past_day_comes_from_its_dump_too() -> None:
    """Futures show 48 hours over REST: 30 hours from the middle of the 11th on, a month later, are two dumps."""
    venue, rows = october()
    venue.now_ms += 30 * 86_400_000
    venue.files = {path.replace("spot", "futures/um"): body for path, body in venue.files.items()}
    start, end = OCT_11 + 6 * 60 * MINUTE, OCT_11 + 36 * 60 * MINUTE
    tape = await load(venue, "trades", "XRPETH", start, end)
    expected = [row["T"] * MS for row in rows if start <= row["T"] * MS < end]
    assert tape.columns["ts_venue"].tolist() == expected and 1000 < len(tape) < len(rows)
    assert [path.rsplit("-", 1)[-1] for path in venue.paths("zip")] == ["11.zip", "12.zip"]
    assert venue.paths("/aggTrades") == [] and not any("other days" in note for note in tape.notes)


MONTH = "/data/futures/um/monthly/aggTrades/XRPETH/XRPETH-aggTrades-2019-10.zip"


def whole_october() -> tuple[Loopback, list[dict[str, Any]]]:
    """All there is of the month in one dump, and no dump of a day."""
    venue, rows = october()
    venue.now_ms += 30 * 86_400_000
    venue.files = {MONTH: zipped("x.csv", agg_trades_csv(rows))}
    return venue, rows


async def test_a_day_whose_dump_is_missing_comes_from_that_of_its_month() -> None:
    """The same tape as the recorded file; the month is fetched once for all days that follow."""
    venue, _ = whole_october()
    tape = await load(venue, "trades", "XRPETH", OCT_11, OCT_11 + 3 * DAY)
    path = recorded("trades/binance-spot/XRPETH-aggtrades.2019-10.ccxt.json.gz")
    assert tape.tape_id == read(path, "trades", "XRPETH", venue="binance-usdm").tape_id
    assert venue.paths() == [
        "/data/futures/um/daily/aggTrades/XRPETH/XRPETH-aggTrades-2019-10-11.zip.CHECKSUM",
        f"{MONTH}.CHECKSUM",
        MONTH,
    ]
    assert tape.source.endswith("2019-10.zip") and "sha256 of the dump equals its .CHECKSUM" in tape.notes


async def test_parts_of_a_month_are_its_days_those_without_rows_too(tmp_path: Path) -> None:
    """From noon of the 9th to 06:00 of the 15th: 11, 12 and 13 have rows. Nothing is left of the file, twice."""
    venue, rows = whole_october()
    start, end = OCT_11 - 3 * DAY // 2, OCT_11 + 4 * DAY + 6 * 60 * MINUTE
    async with listening(venue) as url:
        source = BinanceSource(start=start, base_url=url, dump_url=url)
        fetcher = source.fetcher(venue="binance-usdm", symbol="XRPETH", line=Line(downloads=tmp_path, sleep=Naps()))
        async with aclosing(fetcher.fetch("trades", "XRPETH", 0, start, end)) as fetching:
            parts = [part async for part in fetching]
        async with aclosing(fetcher.fetch("trades", "XRPETH", 0, start, end)) as fetching:
            assert (await anext(fetching)).since == start
            del fetching  # who leaves early leaves nothing either
    edges = [start, *(OCT_11 + day * DAY for day in (-1, 0, 1, 2, 3, 4)), end]
    assert [(part.since, part.until) for part in parts] == list(pairwise(edges))
    counts = [sum(low <= row["T"] * MS < high for row in rows) for low, high in pairwise(edges)]
    assert [len(part.tape) for part in parts] == counts and counts[:2] == [0, 0] and counts[5:] == [0, 0]
    assert list(tmp_path.rglob("*.zip")) == []


NEW_YEAR_MS = 1672531200_000
HOUR_MS = 3_600_000


def aggregated(*rows: tuple[int, str]) -> str:
    """A dump of futures' aggTrades of (ms from new year 2023 on, price), numbered from 1."""
    return csv_of([[i, price, "1", i, i, NEW_YEAR_MS + at, True] for i, (at, price) in enumerate(rows, start=1)])


def test_a_month_is_read_a_day_at_a_time(tmp_path: Path) -> None:
    """The third day is spoiled: the two before it are there before anybody looks at it."""
    path = tmp_path / "x.csv"
    path.write_text(aggregated(*((at * HOUR_MS, "1.5") for at in (0, 12, 24, 36)), (48 * HOUR_MS, "x")))
    days = read_days(path, "trades", venue="v", symbol="X", feed_ns=0)
    hours = [(next(days).columns["ts_venue"] // MS - NEW_YEAR_MS) // HOUR_MS for _ in range(2)]
    assert [day.tolist() for day in hours] == [[0, 12], [24, 36]]
    with pytest.raises(DataError, match="line 5, column `price`"):
        next(days)


async def test_a_trade_of_a_day_that_was_over_in_a_month_is_left_out_and_told() -> None:
    """As in a dump of a day: made before midnight, it stands behind the first trade after it."""
    midnight = 24 * HOUR_MS
    venue = Loopback(now_ms=NEW_YEAR_MS + 40 * midnight)
    file = "/data/futures/um/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2023-01.zip"
    text = aggregated((midnight - 1, "1"), (midnight, "2"), (midnight - 2, "3"), (midnight + 1, "4"))
    venue.files[file] = zipped("x.csv", text)
    tape = await load(venue, "trades", "BTCUSDT", NEW_YEAR_MS * MS, NEW_YEAR_MS * MS + 2 * DAY)
    assert tape.columns["price"].tolist() == [1, 2, 4]
    assert "1 rows of other days in the dump are left out" in tape.notes


async def test_a_dump_of_a_month_without_a_column_says_which() -> None:
    """A header that names no time."""
    venue = Loopback(now_ms=NEW_YEAR_MS + 40 * 24 * HOUR_MS)
    file = "/data/futures/um/monthly/bookTicker/BTCUSDT/BTCUSDT-bookTicker-2023-01.zip"
    rows = [[9, "42000.0", "3", "42000.1", "2", NEW_YEAR_MS + 6]]
    head = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty"
    venue.files[file] = zipped("q.csv", csv_of(rows, f"{head},event_time"))
    with pytest.raises(DataError, match="I find none for transaction_time"):
        await load(venue, "quotes", "BTCUSDT", NEW_YEAR_MS * MS, NEW_YEAR_MS * MS + DAY)
    venue.files[file] = zipped("q.csv", csv_of(rows, f"{head},transaction_time"))
    quotes = await load(venue, "quotes", "BTCUSDT", NEW_YEAR_MS * MS, NEW_YEAR_MS * MS + DAY)
    assert quotes.columns["ts_venue"].tolist() == [(NEW_YEAR_MS + 6) * MS] and quotes.columns["ask_size"].tolist() == [
        2
    ]


def test_which_dumps_fit_a_range() -> None:
    """Whole months and days that are over; 2024-02 has 29 days."""
    feb, now = 1706745600_000 * MS, 1709251200_000 * MS  # 2024-02-01, 2024-03-01
    assert next_month(feb) == now and month_start(now - 1) == feb
    both = ("month", "day")
    assert [span.size for span in dump_spans(both, feb, now, now)] == ["month", "day"]
    assert [span.size for span in dump_spans(both, feb, now, now - 1)] == ["day"]
    assert [span.size for span in dump_spans(both, feb + DAY, now, now)] == ["day"]
    assert dump_spans(both, feb + 1, now, now) == [] and dump_spans(both, now - DAY, now - 1, now) == []
    part = dump_spans(("day", "month"), feb + 5, feb + DAY + 7, now, in_part=True)
    assert part == [("day", feb + 5, feb + DAY), ("month", feb + 5, feb + DAY + 7)]
    assert dump_spans(("day", "month"), now - DAY + 5, now, now - 1, in_part=True) == []
    assert next_dump(("day",), feb + 5, now, now) == feb + DAY
    assert next_dump(("day",), now - DAY + 5, now + 5, now + 5) == now + 5
    assert next_dump(("month",), feb - 5, now, now) == feb and next_dump((), feb, now, now) == now


# --- one download ---------------------------------------------------------------------------------------------------


BODY = bytes(range(256)) * 2000


@asynccontextmanager
async def downloads(
    venue: Loopback, folder: Path, *, retries: int = 2, **more: Any
) -> AsyncIterator[tuple[Downloads, Callable[[str], str], Naps]]:
    naps = Naps()
    async with listening(venue) as url, aiohttp.ClientSession() as session:
        yield Downloads(session, folder, retry=Retry(retries=retries), sleep=naps, **more), lambda p: url + p, naps


def with_file() -> Loopback:
    venue = Loopback(now_ms=0)
    venue.files["/d/x.zip"] = BODY
    return venue


def ranges(venue: Loopback, seen: list[str]) -> Loopback:
    """Remembers the ranges asked for."""
    real = venue._file

    def file(request: Any, path: str) -> Any:
        if path == "/d/x.zip":
            seen.append(request.headers.get("Range", ""))
        return real(request, path)

    venue._file = file
    return venue


async def test_a_broken_download_goes_on_where_it_broke(tmp_path: Path) -> None:
    """Cut twice: the third request asks for the rest only; progress costs no waiting and no try.

    What lay in the HTTP client's buffer at the cut is lost, so the rest begins at or before byte 300,000.
    """
    seen: list[str] = []
    venue = ranges(with_file(), seen)
    first, second = cut_after(BODY, 200_000), cut_after(BODY, 100_000)
    async with downloads(venue, tmp_path, retries=0) as (files, at, naps):
        venue.faults = [answering(200, f"{hashlib.sha256(BODY).hexdigest()}  x.zip"), first, second]
        found = await files.checked(at("/d/x.zip"), at("/d/x.zip.CHECKSUM"))
    assert found is not None and found.path.read_bytes() == BODY and found.path.name == "x.zip"
    (asked,) = seen
    assert 100_000 < int(asked.removeprefix("bytes=").removesuffix("-")) <= 300_000 and naps.seconds == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.zip"]


async def test_a_later_run_resumes_what_an_earlier_one_left(tmp_path: Path) -> None:
    """With a checksum the part survives the process, and only the rest is asked for."""
    venue, seen = with_file(), []
    (tmp_path / "x.zip.part").write_bytes(BODY[:123_456])
    async with downloads(ranges(venue, seen), tmp_path) as (files, at, _):
        found = await files.checked(at("/d/x.zip"), at("/d/x.zip.CHECKSUM"))
        assert found is not None and found.path.read_bytes() == BODY
        assert seen == ["bytes=123456-"]


@pytest.mark.parametrize("left", [b"another issue of the file", BODY + b"and more", BODY])
async def test_a_part_of_another_issue_shows_in_the_sum_and_is_fetched_whole(tmp_path: Path, left: bytes) -> None:
    """Shorter, longer, and (a run that ended before the rename) exactly the file."""
    venue = with_file()
    (tmp_path / "x.zip.part").write_bytes(left)
    async with downloads(venue, tmp_path) as (files, at, _):
        found = await files.checked(at("/d/x.zip"), at("/d/x.zip.CHECKSUM"))
    assert found is not None and found.path.read_bytes() == BODY


async def test_without_a_checksum_only_the_same_issue_is_resumed(tmp_path: Path) -> None:
    """The file changes between the cut and the next request: it is read from its beginning."""
    venue = with_file()
    other = BODY[::-1]
    async with downloads(venue, tmp_path) as (files, at, _):
        venue.faults = [cut_after(BODY, 200_000, etag='"old"')]
        venue.files["/d/x.zip"] = other
        found = await files.unchecked(at("/d/x.zip"))
        assert found is not None and found.path.read_bytes() == other and found.sha256 is None
        (tmp_path / "x.zip.part").write_bytes(b"left by another run")
        found = await files.unchecked(at("/d/x.zip"))
        assert found is not None and found.path.read_bytes() == other


async def test_a_file_that_never_matches_is_given_up_with_both_sums(tmp_path: Path) -> None:
    """Fetched twice, nothing is left behind."""
    venue = with_file()
    venue.files["/d/x.zip.CHECKSUM"] = b"0" * 64 + b"  x.zip"
    async with downloads(venue, tmp_path) as (files, at, _):
        with pytest.raises(VenueError, match=r"twice its sha256 was not .*expected 0000000000000000.*`dumps: false`"):
            await files.checked(at("/d/x.zip"), at("/d/x.zip.CHECKSUM"))
    assert list(tmp_path.iterdir()) == [] and len(venue.paths("x.zip")) == 2


async def test_faults_that_pass_are_mended_and_waits_respected(tmp_path: Path) -> None:
    """500, a reset, 429 with Retry-After, then the file."""
    venue = with_file()
    async with downloads(venue, tmp_path, retries=3) as (files, at, naps):
        venue.faults = [answering(500), answering(429, Retry_After="17"), answering(503)]
        assert await files.unchecked(at("/d/x.zip")) is not None
        assert naps.seconds[1] == 17.0 and len(naps.seconds) == 3
        venue.faults = [reset()]
        assert await files.unchecked(at("/d/x.zip")) is not None


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (answering(403, "denied"), "refuses this address .HTTP 403"),
        (answering(418, Retry_After="120"), "HTTP 418, Retry-After 120 s"),
        (answering(429, Retry_After="7200"), "Retry-After 7200 s"),
        (answering(451), "HTTP 451"),
        (answering(302, Location="https://elsewhere.example"), "HTTP 302"),
    ],
)
async def test_what_asking_again_cannot_mend_stops_a_download(tmp_path: Path, fault: Any, told: str) -> None:
    """One request, no wait."""
    venue = with_file()
    async with downloads(venue, tmp_path) as (files, at, naps):
        venue.faults = [fault]
        with pytest.raises(VenueError, match=told):
            await files.unchecked(at("/d/x.zip"))
        assert naps.seconds == [] and len(venue.asked) == 1


async def test_a_silent_and_a_dripping_server_are_left(tmp_path: Path) -> None:
    """Silence ends a try after `timeout_s`, dripping after `attempt_s`; what came is resumed."""
    venue = with_file()
    for settings in ({"timeout_s": 0.05}, {"attempt_s": 0.05}):
        release = asyncio.Event()
        async with downloads(venue, tmp_path, **settings) as (files, at, naps):
            venue.faults = [silent_after(BODY[:70_000], release)]
            found = await files.unchecked(at("/d/x.zip"))
            release.set()
            assert found is not None and found.path.read_bytes() == BODY and naps.seconds == []


async def test_a_fault_that_stays_names_url_and_tries(tmp_path: Path) -> None:
    """And says that what arrived is kept."""
    venue = with_file()
    async with downloads(venue, tmp_path, retries=1) as (files, at, _):
        venue.faults = [answering(500, "oops")] * 9
        with pytest.raises(VenueError, match=r"/d/x.zip: no whole file in 2 tries, the last one: HTTP 500 oops"):
            await files.unchecked(at("/d/x.zip"))


async def test_plain_http_to_another_machine_is_refused(tmp_path: Path) -> None:
    """As everywhere."""
    async with downloads(with_file(), tmp_path) as (files, _, _):
        with pytest.raises(VenueError, match="expected https"):
            await files.unchecked("http://data.example/x.zip")


async def test_a_disk_that_says_no_is_a_data_error(tmp_path: Path) -> None:
    """The folder is a file."""
    (tmp_path / "f").write_text("")
    async with downloads(with_file(), tmp_path / "f") as (files, at, _):
        with pytest.raises(DataError, match="cannot be written"):
            await files.unchecked(at("/d/x.zip"))


def test_two_processes_never_share_a_folder(tmp_path: Path) -> None:
    """The second gets one of its own, which is gone afterwards."""
    with folder_of_mine(tmp_path) as first:
        with folder_of_mine(tmp_path) as second:
            assert first == tmp_path and second != tmp_path and second.is_dir()
        assert not second.exists()
    with folder_of_mine(tmp_path) as again:
        assert again == tmp_path
    with folder_of_mine(None) as temporary:
        assert temporary.is_dir()
