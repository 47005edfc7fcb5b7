"""ccxt beside our adapters: an unmodified client and ours, at one server, see the same candles and trades."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.binance.history import BinanceSource
from adapters.bybit.history import BybitSource
from adapters.ccxt_venue import CcxtSource, Patience
from adapters.http import Retry
from adapters.remote_source import Line
from core.errors import DataError, UsageError, VenueError
from core.tape import Kind, Tape
from loopback import Loopback, Naps, answering, everywhere, listening
from recorded import read, recorded, texts
from recorded_answers import agg_trades, binance_klines, bybit_klines, json_gz, loaded

MS = 1_000_000
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
OCT_11 = 1570752000_000
"""2019-10-11T00:00:00Z, milliseconds."""


def spot() -> Loopback:
    """Two days of real spot trades and the recorded exchangeInfo."""
    venue = Loopback(now_ms=OCT_11 + 70 * 3_600_000)
    venue.bodies["/api/v3/exchangeInfo"] = json_gz("instruments/binance-spot/exchangeInfo.2021-10-12.json.gz")
    venue.bodies["/fapi/v1/exchangeInfo"] = venue.bodies["/dapi/v1/exchangeInfo"] = {"symbols": []}
    venue.rows["/api/v3/aggTrades"] = agg_trades()
    return venue


def usdm(count: int) -> tuple[Loopback, Tape]:
    """Real minutes of BTCUSDT and the recorded exchangeInfo."""
    path = recorded("bars/binance-usdm/BTCUSDT-1m.2025-05.feather")
    bars = read(path, "bars", "BTCUSDT", venue="binance-usdm", interval_ns=MINUTE)
    rows = binance_klines(bars)[:count]
    venue = Loopback(now_ms=rows[-1][6] + 1)
    venue.bodies["/fapi/v1/exchangeInfo"] = json_gz("instruments/binance-usdm/exchangeInfo.2022-02-21.json.gz")
    venue.rows["/fapi/v1/klines"] = rows
    return venue, bars


def bybit(count: int) -> Loopback:
    """Real hours, marks and bookings of BTCUSDT and the recorded instruments."""
    bars = read(
        recorded("bars/bybit-linear/BTCUSDT-1h.2023_2026-02.feather"),
        "bars", "BTCUSDT", venue="bybit-linear", interval_ns=HOUR,
    )  # fmt: skip
    funding = read(
        recorded("funding/bybit-linear/BTCUSDT-funding.2023_2026-02.feather"),
        "funding",
        "BTCUSDT",
        venue="bybit-linear",
    )
    rows = bybit_klines(bars)[:count]
    venue = Loopback(now_ms=int(rows[-1][0]) + 3_600_000)
    path = "/v5/market/instruments-info"
    venue.bodies[f"{path}?linear"] = json_gz("instruments/bybit-v5/instruments-info_linear.2026-08-09.json.gz")
    venue.bodies[f"{path}?spot"] = json_gz("instruments/bybit-v5/instruments-info_spot.2026-08-09.json.gz")
    for category in ("inverse", "option"):
        venue.bodies[f"{path}?{category}"] = {"retCode": 0, "result": {"category": category, "list": []}, "time": 1}
    venue.rows["/v5/market/kline"] = rows
    venue.rows["/v5/market/funding/history"] = [
        {"symbol": "BTCUSDT", "fundingRate": rate, "fundingRateTimestamp": str(at // MS)}
        for at, rate in zip(funding.columns["ts_venue"].tolist(), texts(funding, "rate"), strict=True)
    ]
    venue.rows["/v5/market/recent-trade"] = [
        {
            "execId": f"{i:036d}", "symbol": "BTCUSDT", "price": f"37820.{i % 10}", "size": "0.001", "seq": "1",
            "side": "Buy" if i % 3 else "Sell", "time": str(venue.now_ms - 50_000 + 100 * i), "isBlockTrade": False,
        }
        for i in range(400)
    ]  # fmt: skip
    return venue


@asynccontextmanager
async def client(name: str, session: aiohttp.ClientSession, **options: Any) -> AsyncIterator[Any]:
    """ccxt as it comes, over a session for which every host is the loopback server."""
    import ccxt.async_support as ccxt

    exchange = getattr(ccxt, name)({"session": session, "enableRateLimit": False, "options": options})
    try:
        yield exchange
    finally:
        await exchange.close()


def exact(value: float) -> Decimal:
    """The decimal that a float stands for."""
    return Decimal(repr(value))


def column(tape: Tape, name: str) -> list[Decimal]:
    return [Decimal(text) for text in texts(tape, name)]


# --- an unmodified client and ours ----------------------------------------------------------------------------------


async def test_unmodified_ccxt_and_we_see_the_same_candles_of_binance(tmp_path: Path) -> None:
    """1,400 real minutes; nobody is told where the server is: each name of a host leads there."""
    venue, _ = usdm(1400)
    first = venue.rows["/fapi/v1/klines"][0][0]
    async with everywhere(venue, tmp_path) as session:
        async with client("binanceusdm", session(), fetchCurrencies=False) as exchange:
            theirs = await exchange.fetch_ohlcv("BTC/USDT:USDT", "1m", first, 1000)
            theirs += await exchange.fetch_ohlcv("BTC/USDT:USDT", "1m", theirs[-1][0] + 60_000, 1000)
        source = BinanceSource(start=first * MS, end=(first + 1400 * 60_000) * MS)
        history = source.open(
            venue="binance-usdm", symbol="BTCUSDT", interval_ns=MINUTE, session=session(), sleep=Naps()
        )
        ours = await loaded(history)
    assert [row[0] for row in theirs] == ((ours.columns["ts_venue"] - MINUTE) // MS).tolist() and len(theirs) == 1400
    for at, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert [exact(row[at]) for row in theirs] == column(ours, name)


async def test_unmodified_ccxt_and_we_see_the_same_trades_of_binance(tmp_path: Path) -> None:
    """Six hours of real spot trades, id by id; our dump host answers 404, so both read REST."""
    venue = spot()
    async with everywhere(venue, tmp_path) as session:
        async with client("binance", session(), fetchCurrencies=False, fetchMarkets={"types": ["spot"]}) as exchange:
            theirs: dict[str, Any] = {}
            for hour in range(6):
                for trade in await exchange.fetch_trades("XRP/ETH", OCT_11 + hour * 3_600_000, 1000):
                    theirs[trade["id"]] = trade
        source = BinanceSource(start=OCT_11 * MS, end=OCT_11 * MS + 6 * HOUR)
        history = source.open(venue="binance-spot", symbol="XRPETH", kind="trades", session=session(), sleep=Naps())
        ours = await loaded(history)
    kept = [trade for trade in theirs.values() if trade["timestamp"] < OCT_11 + 6 * 3_600_000]
    assert [trade["timestamp"] * MS for trade in kept] == ours.columns["ts_venue"].tolist() and len(kept) > 500
    assert [exact(trade["price"]) for trade in kept] == column(ours, "price")
    assert [exact(trade["amount"]) for trade in kept] == column(ours, "size")
    assert [1 if trade["side"] == "buy" else -1 for trade in kept] == ours.columns["side"].tolist()


async def test_unmodified_ccxt_and_we_see_the_same_of_bybit(tmp_path: Path) -> None:
    """Real hours and bookings, and recent trades: candles, rates and prints agree."""
    venue = bybit(800)
    first = int(venue.rows["/v5/market/kline"][0][0])
    async with everywhere(venue, tmp_path) as session:
        async with client("bybit", session(), fetchCurrencies=False) as exchange:
            candles = await exchange.fetch_ohlcv("BTC/USDT:USDT", "1h", first, 800)
            prints = await exchange.fetch_trades("BTC/USDT:USDT", None, 1000)
            rates = await exchange.fetch_funding_rate_history("BTC/USDT:USDT", first, 100, {"until": venue.now_ms})

        async def ours(kind: Kind, start: int) -> Tape:
            source = BybitSource(start=start * MS, end=venue.now_ms * MS)
            history = source.open(
                venue="bybit-linear", symbol="BTCUSDT", kind=kind, interval_ns=HOUR, session=session(), sleep=Naps()
            )
            return await loaded(history)

        bars, trades, funding = [
            await ours("bars", first),
            await ours("trades", int(prints[0]["timestamp"]) + 1),
            await ours("funding", first),
        ]
    assert [row[0] for row in candles] == ((bars.columns["ts_venue"] - HOUR) // MS).tolist() and len(bars) == 800
    for at, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert [exact(row[at]) for row in candles] == column(bars, name)
    # Ours leaves the very first and the last moment: nobody knows whether they are whole.
    assert [exact(trade["price"]) for trade in prints[1:-1]] == column(trades, "price")
    assert [1 if trade["side"] == "buy" else -1 for trade in prints[1:-1]] == trades.columns["side"].tolist()
    mine = dict(zip((funding.columns["ts_venue"] // MS).tolist(), column(funding, "rate"), strict=True))
    theirs = {row["timestamp"]: exact(row["fundingRate"]) for row in rates if row["timestamp"] < venue.now_ms}
    assert theirs == dict(list(mine.items())[-len(theirs) :]) and len(theirs) > 20


# --- any exchange through ccxt --------------------------------------------------------------------------------------


async def load(
    venue: Loopback,
    folder: Path,
    kind: Kind,
    start_ms: int,
    end_ms: int | None,
    *,
    symbol: str,
    naps: Naps | None = None,
    interval_ns: int = 0,
    **settings: Any,
) -> Tape:
    async with everywhere(venue, folder) as session:
        end = None if end_ms is None else end_ms * MS
        source = CcxtSource(start=start_ms * MS, end=end, retries=2, **settings)
        history = source.open(
            venue="somewhere",
            symbol=symbol,
            kind=kind,
            interval_ns=interval_ns,
            session=session(),
            sleep=naps or Naps(),
        )
        return await loaded(history)


async def test_candles_through_ccxt_equal_the_recorded_file(tmp_path: Path) -> None:
    """1,100 real minutes in pages of 500: floats and back lose no digit."""
    venue, bars = usdm(1100)
    first = venue.rows["/fapi/v1/klines"][0][0]
    tape = await load(
        venue, tmp_path, "bars", first, None, symbol="BTC/USDT:USDT", interval_ns=MINUTE, exchange="binanceusdm"
    )
    whole = bars.between(None, (first + 1100 * 60_000) * MS)
    for name in ("ts_venue", "open", "high", "low", "close", "volume"):
        assert tape.columns[name].tolist() == whole.columns[name].tolist()
    assert [count for count in venue.served if count] == [500, 500, 100]


async def test_trades_through_ccxt_come_once_and_in_order(tmp_path: Path) -> None:
    """A day of real trades in pages of 400, each page asking its last millisecond again: every id once."""
    venue = spot()
    rows = [row for row in agg_trades() if row["T"] < OCT_11 + 12 * 3_600_000]
    tape = await load(
        venue, tmp_path, "trades", OCT_11, OCT_11 + 12 * 3_600_000,
        symbol="XRPETH", exchange="binance", instrument="XRP/ETH", page=400,
    )  # fmt: skip
    assert tape.columns["ts_venue"].tolist() == [row["T"] * MS for row in rows]
    assert column(tape, "price") == [Decimal(row["p"]) for row in rows]
    assert not any("twice" in note for note in tape.notes)


async def test_bookings_through_ccxt_equal_the_recorded_ones(tmp_path: Path) -> None:
    """A month of real rates of Bybit."""
    venue = bybit(1500)
    rows = venue.rows["/v5/market/funding/history"]
    first, last = int(rows[0]["fundingRateTimestamp"]), int(rows[89]["fundingRateTimestamp"])
    tape = await load(venue, tmp_path, "funding", first, last, symbol="BTC/USDT:USDT", exchange="bybit")
    assert (tape.columns["ts_venue"] // MS).tolist() == [int(row["fundingRateTimestamp"]) for row in rows[:89]]
    assert column(tape, "rate") == [Decimal(row["fundingRate"]) for row in rows[:89]]


async def test_bars_missing_at_the_front_of_a_page_are_asked_for_again(tmp_path: Path) -> None:
    """An exchange that gives the newest 50 of a window of 200: every bar comes; a real hole stays one."""
    venue, _ = usdm(400)
    rows = venue.rows["/fapi/v1/klines"]
    del rows[270:280]
    venue.newest_of_window = 50
    first = rows[0][0]
    tape = await load(
        venue,
        tmp_path,
        "bars",
        first,
        None,
        symbol="BTC/USDT:USDT",
        interval_ns=MINUTE,
        exchange="binanceusdm",
        page=200,
    )
    assert [(gap.rows, gap.since) for gap in tape.gaps] == [(10, (first + 270 * 60_000) * MS)]
    assert len(tape) == 390


async def test_nothing_is_claimed_about_the_time_before_the_first_row(tmp_path: Path) -> None:
    """An exchange that answers with its newest rows only: the parts begin with the first of them."""
    venue, _ = usdm(300)
    first = venue.rows["/fapi/v1/klines"][0][0]
    source = CcxtSource(start=0, exchange="binanceusdm")
    async with everywhere(venue, tmp_path) as session:
        fetcher = source.fetcher(venue="x", symbol="BTC/USDT:USDT", line=Line(session=session()))
        parts = [
            part
            async for part in fetcher.fetch(
                "bars", "BTC/USDT:USDT", MINUTE, (first - 600 * 60_000) * MS, venue.now_ms * MS
            )
        ]
    assert parts[0].since == first * MS and sum(len(part.tape) for part in parts) == 300
    assert not parts[0].complete and fetcher.name == "ccxt-binanceusdm"


@pytest.mark.parametrize("fault", [answering(429, "slow"), answering(500, "oops"), answering(504, "")])
async def test_a_fault_that_passes_is_mended_by_asking_again(tmp_path: Path, fault: Any) -> None:
    """ccxt has one class for many faults; those that pass are asked again, with our back-off."""
    venue, _ = usdm(50)
    naps = Naps()
    venue.faults = [fault]
    tape = await load(
        venue, tmp_path, "bars", venue.rows["/fapi/v1/klines"][0][0], None,
        symbol="BTC/USDT:USDT", interval_ns=MINUTE, exchange="binanceusdm", naps=naps,
    )  # fmt: skip
    assert len(tape) == 50 and len(naps.seconds) == 1


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        (answering(418, '{"code":-1003,"msg":"banned"}'), VenueError, "refuses this address"),
        (answering(400, '{"code":-1100,"msg":"Illegal characters"}'), VenueError, "Illegal characters"),
    ],
)
async def test_what_asking_again_cannot_mend_stops_at_once(
    tmp_path: Path, fault: Any, error: type[Exception], told: str
) -> None:
    """One request."""
    venue, _ = usdm(50)
    naps = Naps()
    venue.faults = [fault]
    with pytest.raises(error, match=told):
        await load(
            venue, tmp_path, "bars", venue.rows["/fapi/v1/klines"][0][0], None,
            symbol="BTC/USDT:USDT", interval_ns=MINUTE, exchange="binanceusdm", naps=naps,
        )  # fmt: skip
    assert naps.seconds == [] and len(venue.asked) == 1


async def test_a_market_the_exchange_has_not_is_named_with_advice(tmp_path: Path) -> None:
    """ccxt's names differ from the venue's: the message says which key sets them."""
    venue, _ = usdm(5)
    with pytest.raises(VenueError, match="set `instrument` to ccxt's name of the market"):
        await load(venue, tmp_path, "bars", 1, None, symbol="BTCEUR", interval_ns=MINUTE, exchange="binanceusdm")


async def test_base_url_moves_every_address_of_the_exchange() -> None:
    """Plain HTTP on this machine, path kept; and the rows are kept apart from the real ones."""
    venue, _ = usdm(20)
    async with listening(venue) as url:
        source = CcxtSource(start=venue.rows["/fapi/v1/klines"][0][0] * MS, exchange="binanceusdm", base_url=url)
        history = source.open(venue="x", symbol="BTC/USDT:USDT", interval_ns=MINUTE)
        assert len(await loaded(history)) == 20
        assert source.fetcher(venue="x", symbol="B", line=Line()).name == f"ccxt-binanceusdm@{url.split('//')[1]}"


def test_what_ccxt_or_an_exchange_has_not_is_refused_before_anything_is_asked() -> None:
    """Unknown ids, kinds and lengths."""
    with pytest.raises(UsageError, match="knows no exchange `krakenn`"):
        CcxtSource(start=0, exchange="krakenn").open(venue="x", symbol="BTC/USD", interval_ns=MINUTE)
    kraken = CcxtSource(start=0, exchange="kraken")
    with pytest.raises(UsageError, match="ccxt-kraken has no public history of depth"):
        kraken.open(venue="x", symbol="BTC/USD", kind="depth")
    with pytest.raises(UsageError, match="found 7m"):
        kraken.open(venue="x", symbol="BTC/USD", interval_ns=7 * MINUTE)


async def test_trades_without_side_or_id_are_refused() -> None:
    """A tape needs both."""
    from adapters.ccxt_venue import trades_of
    from adapters.columns import Origin

    good = {"timestamp": OCT_11, "price": 1.5, "amount": 2.0, "side": "buy", "id": "7"}
    assert len(trades_of([good], Origin("x"))) == 1
    for bad, told in (({"side": None}, "side"), ({"id": None}, "id"), ({"price": float("nan")}, "price")):
        with pytest.raises(DataError, match=f"column `{told}`"):
            trades_of([{**good, **bad}], Origin("x"))


async def test_patience_ends_with_the_last_fault() -> None:
    """Three tries, two waits, the words of the last."""
    import random

    from ccxt.base.errors import RequestTimeout

    async def fails() -> None:
        raise RequestTimeout("nobody home")

    naps = Naps()
    call: Callable[[], Awaitable[Any]] = fails
    with pytest.raises(VenueError, match="no good answer in 3 tries, the last one: RequestTimeout: nobody home"):
        await Patience(Retry(retries=2), random.Random(1), naps).read("x", call)
    assert len(naps.seconds) == 2
