"""Trades, funding, marks and indexes of Binance over REST: paging, edges, and what recorded rows become."""

from __future__ import annotations

import json
import zipfile
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from adapters.binance import translate, wire
from adapters.binance.history import BinanceSource
from adapters.columns import Origin
from adapters.fetching.fetch import Fetched
from adapters.remote_source import Line
from core.errors import DataError, UsageError, VenueError
from core.tape import Kind, Tape
from loopback import Loopback, Naps, answering, listening
from recorded import read, recorded, texts
from recorded_answers import agg_trades, binance_klines, body_of, fixtures, loaded

MS = 1_000_000
HOUR = 3_600_000_000_000
DAY = 24 * HOUR
OCT_11 = 1570752000_000 * MS
"""2019-10-11T00:00:00Z: the recorded trades begin there and end on the 13th at 11:19:28.844."""
MAY_4 = 1746316800_000 * MS


async def load(
    venue: Loopback, kind: Kind, symbol: str, start: int, end: int | None, *, interval_ns: int = 0, **settings: Any
) -> Tape:
    async with listening(venue) as url:
        source = BinanceSource(start=start, end=end, base_url=url, retries=2, **settings)
        market = settings.get("market", "usdm")
        history = source.open(
            venue=f"binance-{market}", symbol=symbol, kind=kind, interval_ns=interval_ns, sleep=Naps()
        )
        return await loaded(history)


async def parts(venue: Loopback, kind: Kind, symbol: str, start: int, end: int, **more: Any) -> list[Fetched]:
    async with listening(venue) as url:
        source = BinanceSource(start=start, base_url=url, retries=0)
        fetcher = source.fetcher(venue="binance-usdm", symbol=symbol, line=Line(sleep=Naps()))
        found = []
        async with aclosing(fetcher.fetch(kind, symbol, more.get("interval_ns", 0), start, end)) as fetching:
            async for part in fetching:
                found.append(part)
        return found


def spot_trades(rows: list[dict[str, Any]]) -> Loopback:
    venue = Loopback(now_ms=1571000000_000)
    venue.rows["/api/v3/aggTrades"] = rows
    return venue


# --- trades ---------------------------------------------------------------------------------------------------------


async def test_recorded_trades_over_rest_equal_the_recorded_file() -> None:
    """12,477 real trades: found by time once, then by id; the same columns as the file read directly."""
    path = recorded("trades/binance-spot/XRPETH-aggtrades.2019-10.ccxt.json.gz")
    venue = spot_trades(agg_trades())
    tape = await load(venue, "trades", "XRPETH", OCT_11, OCT_11 + 60 * HOUR, market="spot")
    whole = read(path, "trades", "XRPETH", venue="binance-spot")
    assert tape.tape_id == whole.tape_id and len(tape) == 12_477 and tape.gaps == ()
    keys = [sorted(set(query) - {"symbol", "limit"}) for _, query in venue.asked]
    first_hour = sum(row["T"] < OCT_11 // MS + 3_600_000 for row in agg_trades())
    full, rest = divmod(12_477 - first_hour, 1000)
    assert venue.served == [first_hour, *[1000] * full, rest, 0] and 0 < first_hour < 1000
    assert keys == [["endTime", "startTime"], *[["fromId"]] * (full + 2)]


async def test_parts_of_trades_are_days_that_follow_one_another() -> None:
    """Midnights cut, the last part ends where it was asked to; together they hold every row once."""
    rows = agg_trades()
    venue = Loopback(now_ms=1571000000_000)
    venue.rows["/fapi/v1/aggTrades"] = rows
    venue.now_ms = rows[0]["T"] + 47 * 3_600_000  # within the 48 hours that futures show
    found = await parts(venue, "trades", "XRPETH", OCT_11 + HOUR, OCT_11 + 3 * DAY)
    assert [(part.since, part.until) for part in found] == [
        (OCT_11 + HOUR, OCT_11 + DAY),
        (OCT_11 + DAY, venue.now_ms * MS),
    ]
    assert [part.complete for part in found] == [False, False]
    times = [row["T"] * MS for row in rows if row["T"] * MS >= OCT_11 + HOUR and row["T"] < venue.now_ms]
    assert np.concatenate([part.tape.columns["ts_venue"] for part in found]).tolist() == times
    assert all((p.since <= p.tape.columns["ts_venue"]).all() for p in found)
    assert all((p.tape.columns["ts_venue"] < p.until).all() for p in found)


@pytest.mark.parametrize("count", [999, 1000, 1001, 2000])
async def test_trades_at_the_edges_of_pages_come_once(count: int) -> None:
    """Ten trades share each millisecond, so page edges fall between trades of one moment."""
    first = 1746316800_000
    rows = [{"a": 7 + i, "p": "1.5", "q": "2", "T": first + i // 10, "m": i % 2 == 0} for i in range(count)]
    venue = Loopback(now_ms=first + 3_600_000)
    venue.rows["/fapi/v1/aggTrades"] = rows
    tape = await load(venue, "trades", "BTCUSDT", MAY_4, MAY_4 + HOUR)
    assert tape.columns["ts_venue"].tolist() == [row["T"] * MS for row in rows]
    assert tape.columns["side"].tolist() == [-1 if row["m"] else 1 for row in rows]
    assert tape.gaps == () and not any("twice" in note for note in tape.notes)


async def test_a_quiet_night_before_the_first_trade_is_walked_by_hours() -> None:
    """By time the venue answers for one hour; five empty ones, then the trade, then by id to the end."""
    at = 1746316800_000 + 5 * 3_600_000 + 5
    venue = Loopback(now_ms=at + 20 * 3_600_000)
    venue.rows["/fapi/v1/aggTrades"] = [{"a": 1, "p": "9", "q": "1", "T": at, "m": False, "nq": "9"}]
    tape = await load(venue, "trades", "BTCUSDT", MAY_4, MAY_4 + 20 * HOUR)
    assert tape.columns["ts_venue"].tolist() == [at * MS]
    assert venue.served == [0] * 5 + [1, 0]


async def test_missing_ids_are_told_with_their_place() -> None:
    """A hole between ids 8 and 11: two trades, by the times around them."""
    rows = [{"a": i, "p": "1", "q": "1", "T": 1746316800_000 + i, "m": False} for i in (7, 8, 11)]
    venue = Loopback(now_ms=1746316800_000 + 60_000)
    venue.rows["/fapi/v1/aggTrades"] = rows
    tape = await load(venue, "trades", "BTCUSDT", MAY_4, MAY_4 + 60_000 * MS)
    assert [(gap.since, gap.until, gap.rows) for gap in tape.gaps] == [(MAY_4 + 8 * MS, MAY_4 + 11 * MS, 2)]


async def test_futures_trades_older_than_48_hours_are_not_asked_for() -> None:
    """The venue would answer with nothing, which is not the same as no trades."""
    venue = Loopback(now_ms=1746316800_000 + 100 * 3_600_000)
    with pytest.raises(VenueError, match="48 hours over REST, asked for from 2025-05-04 00:00:00Z"):
        await load(venue, "trades", "BTCUSDT", MAY_4, MAY_4 + HOUR)
    assert venue.asked == []


async def test_single_trades_reach_back_1000_and_no_further() -> None:
    """Inside that they are exact, beyond it nothing is claimed."""
    first = 1746316800_000
    venue = Loopback(now_ms=first + 60_000)
    venue.rows["/fapi/v1/trades"] = [
        {"id": i, "price": "2.50", "qty": "1", "quoteQty": "2.5", "time": first + 10 * i, "isBuyerMaker": True}
        for i in range(1500)
    ]
    start = MAY_4 + 6_000 * MS  # trade 600; the last 1,000 begin with 500
    tape = await load(venue, "trades", "BTCUSDT", start, None, trades="single")
    # The last moment may hold more trades than were shown, so it is left for later.
    assert tape.columns["ts_venue"].tolist() == [(first + 10 * i) * MS for i in range(600, 1499)]
    assert set(tape.columns["side"].tolist()) == {-1} and texts(tape, "price")[0] == "2.5"
    with pytest.raises(VenueError, match=r"only for the last 1,000 \(from 2025-05-04 00:00:05Z\)"):
        await load(venue, "trades", "BTCUSDT", MAY_4, None, trades="single")


# --- funding, marks, index ------------------------------------------------------------------------------------------


async def test_recorded_funding_over_rest_equals_the_recorded_file() -> None:
    """266 bookings with their milliseconds of jitter; parts are days, the tape is one."""
    path = recorded("funding/binance-usdm/BTCUSDT-funding.2025-03_2025-06.feather")
    whole = read(path, "funding", "BTCUSDT", venue="binance-usdm")
    rows = [
        {"symbol": "BTCUSDT", "fundingTime": int(at) // MS, "fundingRate": rate, "markPrice": ""}
        for at, rate in zip(whole.columns["ts_venue"], texts(whole, "rate"), strict=True)
    ]
    venue = Loopback(now_ms=rows[-1]["fundingTime"] + 1)
    venue.rows["/fapi/v1/fundingRate"], venue.page_max = rows, 100
    start = int(whole.columns["ts_venue"][0])
    tape = await load(venue, "funding", "BTCUSDT", start, None)
    assert tape.tape_id == whole.tape_id
    assert venue.served == [100, 100, 66]


async def test_mark_prices_over_rest_are_the_recorded_answers() -> None:
    """Three original pages of 1h mark klines, 2020: every price as sent; no volume in the tape."""
    path = recorded("mark_price/binance-usdm/BTCUSDT-markPriceKlines-1h.zip")
    with zipfile.ZipFile(path) as archive:
        rows = sorted(row for name in archive.namelist()[:3] for row in json.loads(archive.read(name)))
    rows = [row for at, row in enumerate(rows) if at == 0 or row[0] > rows[at - 1][0]]
    venue = Loopback(now_ms=rows[-1][6] + 1)
    venue.rows["/fapi/v1/markPriceKlines"] = venue.rows["/fapi/v1/indexPriceKlines"] = rows
    start, end = rows[0][0] * MS, (rows[-1][6] + 1) * MS
    for kind, key in (("marks", "symbol"), ("index", "pair")):
        tape = await load(venue, kind, "BTCUSDT", start, end, interval_ns=HOUR)
        assert "volume" not in tape.columns and tape.kind == kind
        assert [float(text) for text in texts(tape, "close")] == [float(row[4]) for row in rows]
        assert ((tape.columns["ts_venue"] - HOUR) // MS).tolist() == [row[0] for row in rows]
        assert venue.asked[-1][1][key] == "BTCUSDT"


async def test_bars_of_a_day_come_a_page_at_a_time() -> None:
    """2,000 daily bars are two parts, not two thousand."""
    first = 1_577_836_800_000
    rows = [
        [first + i * 86_400_000, "1", "2", "0.5", "1.5", "3", first + (i + 1) * 86_400_000 - 1, "0", 1, "0", "0", "0"]
        for i in range(2000)
    ]
    venue = Loopback(now_ms=rows[-1][6] + 1)
    venue.rows["/fapi/v1/klines"] = rows
    found = await parts(venue, "bars", "BTCUSDT", first * MS, (rows[-1][6] + 1) * MS, interval_ns=DAY)
    assert [len(part.tape) for part in found] == [1500, 500] and all(part.complete for part in found)


async def test_days_without_rows_are_parts_too() -> None:
    """Asked for three days, the venue has the second one only: three complete parts, two of them empty."""
    rows = [[1746403200_000 + i * HOUR // MS, "1", "2", "1", "2", "3", 0, "0", 1, "0", "0", "0"] for i in range(24)]
    venue = Loopback(now_ms=1746316800_000 + 4 * DAY // MS)
    venue.rows["/fapi/v1/klines"] = rows
    found = await parts(venue, "bars", "BTCUSDT", MAY_4, MAY_4 + 3 * DAY, interval_ns=HOUR)
    assert [(part.day, len(part.tape), part.complete) for part in found] == [
        (MAY_4, 0, True),
        (MAY_4 + DAY, 24, True),
        (MAY_4 + 2 * DAY, 0, True),
    ]


async def test_what_was_answered_before_a_fault_comes_before_the_error() -> None:
    """A page of 1,500 minutes, then the venue is gone: the whole first day and an hour of the second are kept."""
    rows = [[1746316800_000 + i * 60_000, "1", "2", "1", "2", "3", 0, "0", 1, "0", "0", "0"] for i in range(3000)]
    venue = Loopback(now_ms=1746316800_000 + 3 * DAY // MS)
    venue.rows["/fapi/v1/klines"] = rows
    found: list[Fetched] = []
    async with listening(venue) as url:
        source = BinanceSource(start=MAY_4, base_url=url, retries=0)
        fetcher = source.fetcher(venue="binance-usdm", symbol="BTCUSDT", line=Line(sleep=Naps()))
        with pytest.raises(VenueError, match="HTTP 500"):
            async with aclosing(fetcher.fetch("bars", "BTCUSDT", 60_000 * MS, MAY_4, MAY_4 + 3 * DAY)) as fetching:
                async for part in fetching:
                    found.append(part)
                    venue.faults = [answering(500)]
                    venue.rows = {}
        assert fetcher.name.startswith("binance-usdm@127.0.0.1:")
    assert [(len(part.tape), part.complete) for part in found][:1] == [(1440, True)]


async def test_a_proxy_carries_every_request() -> None:
    """Nobody listens at `base_url`; the proxy does, and answers in its place."""
    venue = Loopback(now_ms=1746316800_000 + 60_000)
    venue.rows["/fapi/v1/aggTrades"] = [{"a": 1, "p": "9", "q": "1", "T": 1746316800_005, "m": False}]
    async with listening(venue) as url:
        source = BinanceSource(start=MAY_4, base_url="http://127.0.0.1:9", proxy=url, retries=0)
        tape = await loaded(source.open(venue="binance-usdm", symbol="BTCUSDT", kind="trades", sleep=Naps()))
    assert len(tape) == 1 and venue.served == [1, 0]


async def test_a_proxy_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its password stands in no file; a name that is not there is told."""
    venue = Loopback(now_ms=1746316800_000 + 60_000)
    venue.rows["/fapi/v1/aggTrades"] = [{"a": 1, "p": "9", "q": "1", "T": 1746316800_005, "m": False}]
    source = BinanceSource(start=MAY_4, base_url="http://127.0.0.1:9", proxy="env:MY_PROXY", retries=0)
    assert list(source.check()) == []
    async with listening(venue) as url:
        monkeypatch.setenv("MY_PROXY", url)
        tape = await loaded(source.open(venue="binance-usdm", symbol="BTCUSDT", kind="trades", sleep=Naps()))
    assert len(tape) == 1
    monkeypatch.delenv("MY_PROXY")
    with pytest.raises(UsageError, match="the environment has no MY_PROXY"):
        await loaded(source.open(venue="binance-usdm", symbol="BTCUSDT", kind="trades", sleep=Naps()))


@pytest.mark.parametrize("key", ["base_url", "dump_url", "proxy"])
def test_a_url_with_a_password_is_refused_without_repeating_it(key: str) -> None:
    source = BinanceSource(start=MAY_4, **{key: "https://me:S3CRET@host.example"})
    ((name, message),) = source.check()
    assert name == key and message.startswith("a URL in a config names no user and no password")
    assert "S3CRET" not in message


# --- words ----------------------------------------------------------------------------------------------------------


SPOT, USDM = "binance.net-endpoints/Spot/ExchangeData", "binance.net-endpoints/UsdFutures/ExchangeData"


@pytest.mark.parametrize(
    ("folder", "name", "row", "to_rows", "price"),
    [
        (SPOT, "GetKlines.txt", wire.Kline, translate.bars_of, "0.0163479"),
        (USDM, "GetKlines.txt", wire.Kline, translate.bars_of, "0.0163479"),
        (USDM, "GetMarkPriceKlines.txt", wire.Kline, translate.bars_of, "9653.29201333"),
        (USDM, "GetIndexPriceKlines.txt", wire.Kline, translate.bars_of, "9653.6944"),
        ("nautilus-crate/spot/http_json", "klines_response.json", wire.Kline, translate.bars_of, "0.0163479"),
        (SPOT, "GetAggregatedTradeHistory.txt", wire.AggTrade, translate.agg_trades_of, "0.01633102"),
        (USDM, "GetAggregatedTradeHistory.txt", wire.AggTrade, translate.agg_trades_of, "0.01633102"),
        (SPOT, "GetRecentTrades.txt", wire.Trade, translate.trades_of, "4.000001"),
        (USDM, "GetRecentTrades.txt", wire.Trade, translate.trades_of, "4.000001"),
        (SPOT, "GetTradeHistory.txt", wire.Trade, translate.trades_of, "4.000001"),
        (USDM, "GetTradeHistory.txt", wire.Trade, translate.trades_of, "4.000001"),
        ("nautilus-crate/spot/http_json", "trades_response.json", wire.Trade, translate.trades_of, "4.000001"),
    ],
)
def test_every_recorded_answer_of_a_kind_we_read_decodes(
    folder: str, name: str, row: Any, to_rows: Any, price: str
) -> None:
    """The first price of each, as it stands in the fixture."""
    (path,) = fixtures(f"binance/{folder}", name)
    rows = to_rows(wire.page(body_of(path), row), Origin(name))
    column = rows.open if hasattr(rows, "open") else rows.price
    assert column.text(0) == price and len(rows) >= 1


def test_recorded_rates_and_clocks_decode() -> None:
    """Two bookings of 2023-10-31 and 11-01 with their marks; the clock of the documentation."""
    (path,) = fixtures(f"binance/{USDM}", "GetFundingRates.txt")
    rows = translate.funding_of(wire.page(body_of(path), wire.Funding), Origin(path.name))
    assert rows.rate.at_scale(4).tolist() == [1, 1] and rows.mark.text(0) == "34287.54619963"
    assert rows.times.tolist() == [1698768000_000 * MS, 1698796800_000 * MS]
    for path in (
        *fixtures(f"binance/{SPOT}", "GetServerTime.txt"),
        *fixtures(f"binance/{USDM}", "GetServerTime.txt"),
        *fixtures("binance/nautilus-crate/spot/http_json", "server_time_response.json"),
    ):
        assert wire.server_time(body_of(path)) == 1499827319559


@pytest.mark.parametrize(("unit", "length"), [(1, 10**9), (10**3, 10**6), (10**6, 10**3)])
def test_times_in_seconds_millis_and_micros_are_told_apart(unit: int, length: int) -> None:
    """1,746,316,800 s in each unit is the same moment."""
    row = {"a": 1, "p": "1", "q": "1", "T": 1746316800 * unit, "m": False}
    rows = translate.agg_trades_of(wire.page([row], wire.AggTrade), Origin("x"))
    assert rows.times.tolist() == [1746316800 * unit * length] == [MAY_4]


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0},
        [{"a": 1, "p": "1", "q": "1", "T": 1746316800_000}],
        [{"a": 1, "p": 1.5, "q": "1", "T": 1746316800_000, "m": True}],
        [{"a": -1, "p": "1", "q": "1", "T": 1746316800_000, "m": True}],
        [{"a": 2**63, "p": "1", "q": "1", "T": 1746316800_000, "m": True}],
    ],
)
def test_what_is_not_documented_is_refused(body: Any) -> None:
    """No list, a missing flag, a float for a price, ids no column can hold."""
    with pytest.raises(msgspec.ValidationError):
        wire.page(body, wire.AggTrade)


@pytest.mark.parametrize("price", ["", "nan", "1e400", "abc"])
def test_a_price_that_is_none_names_row_and_field(price: str) -> None:
    """Counted from the page's first row."""
    rows = [{"a": i, "p": p, "q": "1", "T": 1746316800_000, "m": True} for i, p in enumerate(["1", price])]
    with pytest.raises(DataError, match="row 2, column `p`"):
        translate.agg_trades_of(wire.page(rows, wire.AggTrade), Origin("x"))


def test_kinds_a_market_has_not_are_refused_before_anything_is_asked() -> None:
    """Spot has no marks; nobody has past depth; marks need a length."""
    spot = BinanceSource(start=MAY_4, market="spot")
    with pytest.raises(UsageError, match="no public history of marks; it has bars, trades"):
        spot.open(venue="binance-spot", symbol="BTCUSDT", kind="marks", interval_ns=HOUR)
    usdm = BinanceSource(start=MAY_4)
    with pytest.raises(UsageError, match="no public history of depth"):
        usdm.open(venue="binance-usdm", symbol="BTCUSDT", kind="depth")
    with pytest.raises(UsageError, match="found no interval; set `interval`"):
        usdm.open(venue="binance-usdm", symbol="BTCUSDT", kind="marks")
    assert usdm.open(venue="binance-usdm", symbol="BTCUSDT", kind="trades") is not None


def test_a_tape_of_recorded_bars_is_what_the_rows_say(shared: Path) -> None:
    """The maker of answers used here loses no digit: 2025-05-04 15:33 opened at 95,574.6 (file), padded to eight."""
    path = recorded("bars/binance-usdm/BTCUSDT-1m.2025-05.feather")
    tape = read(path, "bars", "BTCUSDT", interval_ns=60_000 * MS)
    row = binance_klines(tape)[0]
    import pyarrow.feather

    first = pyarrow.feather.read_table(path).slice(0, 1).to_pylist()[0]
    assert float(row[1]) == first["open"] and float(row[5]) == first["volume"] and len(row) == 12
