"""The past of Bybit: newest first, in windows, refusals under HTTP 200, dumps without checksums."""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

import msgspec
import pytest

from adapters.bybit import translate, wire
from adapters.bybit.history import BybitSource
from adapters.bybit.limiter import BybitLimiter
from adapters.columns import Origin
from core.errors import DataError, UsageError, VenueError
from core.tape import BLOCK, RPI, Gap, Kind, Tape
from loopback import Fault, Loopback, Naps, answering, cut_after, listening
from recorded import read, recorded, texts
from recorded_answers import body_of, bybit_klines, csv_of, fixtures, loaded

MS = 1_000_000
HOUR = 3_600_000_000_000
DAY = 24 * HOUR
MAY_4 = 1746316800_000
"""2025-05-04T00:00:00Z, milliseconds."""


async def load(
    venue: Loopback,
    kind: Kind,
    start: int,
    end: int | None,
    *,
    interval_ns: int = 0,
    symbol: str = "BTCUSDT",
    naps: Naps | None = None,
    dumps: bool = False,
    market: wire.Market = "linear",
) -> Tape:
    async with listening(venue) as url:
        source = BybitSource(start=start, end=end, base_url=url, dump_url=url if dumps else None, retries=2)
        history = source.open(
            venue=f"bybit-{market}", symbol=symbol, kind=kind, interval_ns=interval_ns, sleep=naps or Naps()
        )
        return await loaded(history)


def hours(count: int, first: int = MAY_4) -> list[list[str]]:
    return [[str(first + i * 3_600_000), "100", "101.5", "99", f"100.{i % 9 + 1}", "2", "200"] for i in range(count)]


def with_hours(count: int) -> Loopback:
    venue = Loopback(now_ms=MAY_4 + count * 3_600_000)
    venue.rows["/v5/market/kline"] = hours(count)
    return venue


def opened(tape: Tape) -> list[int]:
    return ((tape.columns["ts_venue"] - tape.interval_ns) // MS).tolist()


# --- bars -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "file"),
    [
        ("bars", "/v5/market/kline", "bars/bybit-linear/BTCUSDT-1h.2023_2026-02.feather"),
        ("marks", "/v5/market/mark-price-kline", "mark_price/bybit-linear/BTCUSDT-mark-1h.2023_2026-02.feather"),
        ("index", "/v5/market/index-price-kline", "mark_price/bybit-linear/BTCUSDT-mark-1h.2023_2026-02.feather"),
    ],
)
async def test_two_years_of_recorded_hours_come_back_from_pages(kind: Kind, path: str, file: str) -> None:
    """More than 18,000 real hours in pages of 1,000, newest first: the same tape as the recorded file."""
    whole = read(recorded(file), kind, "BTCUSDT", venue="bybit-linear", interval_ns=HOUR)
    rows = bybit_klines(whole)
    venue = Loopback(now_ms=int(rows[-1][0]) + 3_600_000)
    venue.rows[path] = rows
    start, end = int(rows[0][0]) * MS, (int(rows[-1][0]) + 3_600_000) * MS
    tape = await load(venue, kind, start, end, interval_ns=HOUR)
    assert tape.tape_id == whole.tape_id
    full, rest = divmod(len(rows), 1000)
    assert venue.served == [1000] * full + [rest]


@pytest.mark.parametrize("count", [999, 1000, 1001])
async def test_paging_at_exactly_the_limit(count: int) -> None:
    """Every bar once, no request more than windows."""
    venue = with_hours(count)
    tape = await load(venue, "bars", MAY_4 * MS, (MAY_4 + count * 3_600_000) * MS, interval_ns=HOUR)
    assert opened(tape) == [MAY_4 + i * 3_600_000 for i in range(count)]
    assert venue.served == ([count] if count <= 1000 else [1000, 1])


async def test_smaller_pages_than_asked_for_are_read_back_to_the_start_of_the_window() -> None:
    """The newest 40 come first; what is older is asked for again, until nothing is missing."""
    venue = with_hours(100)
    venue.page_max = 40
    tape = await load(venue, "bars", MAY_4 * MS, (MAY_4 + 100 * 3_600_000) * MS, interval_ns=HOUR)
    assert len(tape) == 100 and tape.gaps == () and venue.served == [40, 40, 20]


async def test_the_open_last_row_never_comes() -> None:
    """Half an hour into the 11th bar there are ten."""
    venue = with_hours(11)
    venue.now_ms -= 1_800_000
    for end in (None, (MAY_4 + 20 * 3_600_000) * MS):
        tape = await load(venue, "bars", MAY_4 * MS, end, interval_ns=HOUR)
        assert opened(tape)[-1] == MAY_4 + 9 * 3_600_000 and len(tape) == 10


async def test_empty_windows_are_passed_and_holes_stay() -> None:
    """Listed after 1,500 hours, a hole of two bars: windows without rows are no end, and nothing is filled."""
    rows = [row for i, row in enumerate(hours(2600)) if i >= 1500 and i not in (2000, 2001)]
    venue = Loopback(now_ms=MAY_4 + 2600 * 3_600_000)
    venue.rows["/v5/market/kline"] = rows
    tape = await load(venue, "bars", MAY_4 * MS, (MAY_4 + 2600 * 3_600_000) * MS, interval_ns=HOUR)
    missing = (MAY_4 + 2000 * 3_600_000) * MS
    assert tape.gaps == (Gap(since=missing, until=missing + 2 * HOUR, rows=2),)
    assert len(tape) == 1098 and any("the venue has bars from 2025-07-05 12:00:00Z" in note for note in tape.notes)


async def test_recorded_funding_comes_back_from_pages_of_200() -> None:
    """2,349 real bookings, newest first: the same tape as the recorded file."""
    path = recorded("funding/bybit-linear/BTCUSDT-funding.2023_2026-02.feather")
    whole = read(path, "funding", "BTCUSDT", venue="bybit-linear")
    rows = [
        {"symbol": "BTCUSDT", "fundingRate": rate, "fundingRateTimestamp": str(at // MS)}
        for at, rate in zip(whole.columns["ts_venue"].tolist(), texts(whole, "rate"), strict=True)
    ]
    venue = Loopback(now_ms=int(rows[-1]["fundingRateTimestamp"]) + 1)
    venue.rows["/v5/market/funding/history"] = rows
    tape = await load(venue, "funding", int(whole.columns["ts_venue"][0]), None)
    assert tape.tape_id == whole.tape_id and max(venue.served) == 200


async def test_hourly_funding_does_not_fit_a_window_of_one_page_and_is_read_back() -> None:
    """1,600 hours hold 1,600 hourly rates: eight pages in one window."""
    rows = [{"fundingRate": "0.0001", "fundingRateTimestamp": str(MAY_4 + i * 3_600_000)} for i in range(1600)]
    venue = Loopback(now_ms=MAY_4 + 1600 * 3_600_000)
    venue.rows["/v5/market/funding/history"] = rows
    tape = await load(venue, "funding", MAY_4 * MS, None)
    assert len(tape) == 1600 and venue.served == [200] * 8


# --- trades and books -----------------------------------------------------------------------------------------------


def trades(count: int, first: int) -> list[dict[str, Any]]:
    return [
        {
            "execId": f"{i:036d}", "symbol": "BTCUSDT", "price": f"100.{i % 9 + 1}", "size": "0.5",
            "side": "Buy" if i % 2 else "Sell", "time": str(first + 10 * i), "isBlockTrade": i == 3, "seq": str(i),
        }
        for i in range(count)
    ]  # fmt: skip


async def test_yesterday_from_the_dump_and_the_last_trades_over_rest() -> None:
    """The dump of the 3rd (newest columns, seconds with a fraction), then the last 1,000 of the 4th."""
    day = MAY_4 - 86_400_000
    header = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional,RPI"
    dump = [
        ["1746230400.1234", "BTCUSDT", "Sell", "0.25", "99.5", "PlusTick", "a" * 36, "1", "1", "1", "false"],
        ["1746316799.9999", "BTCUSDT", "Buy", "0.5", "99.6", "PlusTick", "b" * 36, "1", "1", "1", "true"],
    ]
    venue = Loopback(now_ms=MAY_4 + 20_000)
    venue.files["/trading/BTCUSDT/BTCUSDT2025-05-03.csv.gz"] = gzip.compress(csv_of(dump, header).encode())
    venue.rows["/v5/market/recent-trade"] = [
        {**trades(1, MAY_4 - 60_000)[0], "execId": "c" * 36},
        *trades(900, MAY_4 + 100),
    ]
    tape = await load(venue, "trades", day * MS, None, dumps=True)
    assert tape.columns["ts_venue"][:2].tolist() == [1746230400_123_400_000, 1746316799_999_900_000]
    # The very last moment is left for later: it may hold more trades than were shown.
    assert tape.columns["ts_venue"][2:].tolist() == [(MAY_4 + 100 + 10 * i) * MS for i in range(899)]
    assert tape.columns["flags"][:6].tolist() == [0, RPI, 0, 0, 0, BLOCK]
    assert tape.columns["side"][:4].tolist() == [-1, 1, -1, 1]
    assert "the dump has no published checksum" in tape.notes


async def test_an_hour_of_a_past_day_comes_from_its_dump() -> None:
    """The last 1,000 trades are of today; the dump of the 3rd has what was made from 10:00 to 11:00, and more."""
    day_s = (MAY_4 - 86_400_000) // 1000
    header = "timestamp,symbol,side,size,price,tickDirection,trdMatchID"
    at = [36_000 - 1, 36_000, 39_599, 39_600]
    dump = [[f"{day_s + s}.0", "BTCUSDT", "Buy", "1", "99", "x", f"{s:036d}"] for s in at]
    venue = Loopback(now_ms=MAY_4 + 20_000)
    venue.files["/trading/BTCUSDT/BTCUSDT2025-05-03.csv.gz"] = gzip.compress(csv_of(dump, header).encode())
    start = (day_s + 36_000) * 1000 * MS
    tape = await load(venue, "trades", start, start + 3_600_000 * MS, dumps=True)
    assert (tape.columns["ts_venue"] // 10**9 - day_s).tolist() == [36_000, 39_599]
    assert venue.paths("recent-trade") == []


async def test_trades_that_nobody_publishes_are_an_error_and_no_hole() -> None:
    """No dump of yesterday yet, and the last 1,000 begin today."""
    venue = Loopback(now_ms=MAY_4 + 20_000)
    venue.rows["/v5/market/recent-trade"] = trades(1500, MAY_4)
    with pytest.raises(
        VenueError, match=r"only for the last 1000 \(from 2025-05-04 00:00:05Z\), asked for from 2025-05-03"
    ):
        await load(venue, "trades", (MAY_4 - 86_400_000) * MS, None, dumps=True)


async def test_a_recorded_book_dump_is_read_as_it_is() -> None:
    """ob500 of XRPUSDT, five seconds: the same rows as the file read directly, and its address in the tape."""
    path = recorded("l2/bybit-linear/2024-12-01_XRPUSDT_ob500.data.zip")
    whole = read(path, "depth", "XRPUSDT", venue="bybit-linear")
    day = 1733011200_000
    venue = Loopback(now_ms=day + 2 * 86_400_000)
    file = "/orderbook/linear/XRPUSDT/2024-12-01_XRPUSDT_ob500.data.zip"
    venue.files[file] = path.read_bytes()
    tape = await load(venue, "depth", day * MS, day * MS + DAY, symbol="XRPUSDT", dumps=True)
    assert tape.tape_id == whole.tape_id and tape.source.endswith(file)
    venue.files["/orderbook/linear/XRPUSDT/2024-12-01_XRPUSDT_ob200.data.zip"] = venue.files.pop(file)
    again = await load(venue, "depth", day * MS, day * MS + DAY, symbol="XRPUSDT", dumps=True)
    assert again.tape_id == whole.tape_id and again.source.endswith("ob200.data.zip")
    with pytest.raises(VenueError, match="has no dump of the book of XRPUSDT from 2024-11-30"):
        await load(venue, "depth", day * MS - DAY, day * MS, symbol="XRPUSDT", dumps=True)


async def test_a_snapshot_made_just_before_midnight_stays_in_its_days_book() -> None:
    """The recorded dump one day later in name: every row is of the day before, none is lost, times stay in order."""
    path = recorded("l2/bybit-linear/2024-12-01_XRPUSDT_ob500.data.zip")
    whole = read(path, "depth", "XRPUSDT", venue="bybit-linear")
    day = 1733097600_000
    venue = Loopback(now_ms=day + 2 * 86_400_000)
    venue.files["/orderbook/linear/XRPUSDT/2024-12-02_XRPUSDT_ob500.data.zip"] = path.read_bytes()
    tape = await load(venue, "depth", day * MS, day * MS + DAY, symbol="XRPUSDT", dumps=True)
    for name in ("price", "size", "side", "flags"):
        assert tape.columns[name].tolist() == whole.columns[name].tolist()
    assert set(tape.columns["ts_venue"].tolist()) == {day * MS} == set(tape.columns["ts"].tolist())
    assert any(note.startswith(f"{len(whole)} rows of the dump were made beyond its day") for note in tape.notes)


async def test_a_dump_cut_short_on_the_way_is_resumed_and_a_spoiled_one_refused() -> None:
    """The gz's own check sum stands in for the missing one."""
    header = "timestamp,symbol,side,size,price,tickDirection,trdMatchID"
    rows = [[f"{1746230400 + i}.5", "BTCUSDT", "Buy", "1", f"{i % 97 + 1}", "x", f"{i:036d}"] for i in range(20_000)]
    body = gzip.compress(csv_of(rows, header).encode())
    venue = Loopback(now_ms=MAY_4)
    file = "/trading/BTCUSDT/BTCUSDT2025-05-03.csv.gz"
    venue.files[file] = body
    start = (MAY_4 - 86_400_000) * MS
    venue.faults = [cut_after(body, 70_000, etag=f'"{hashlib.md5(body).hexdigest()}"')]
    assert len(await load(venue, "trades", start, MAY_4 * MS, dumps=True)) == 20_000
    venue.files[file] = body[:-2000]
    with pytest.raises(DataError, match="is damaged or cut short"):
        await load(venue, "trades", start, MAY_4 * MS, dumps=True)


# --- refusals -------------------------------------------------------------------------------------------------------


def refusing(code: int, message: str) -> Fault:
    return answering(200, f'{{"retCode": {code}, "retMsg": "{message}", "result": {{}}, "time": 1}}')


@pytest.mark.parametrize(
    "fault",
    [
        refusing(10006, "Too many visits!"),
        refusing(10016, "Server error."),
        refusing(10000, "Server Timeout"),
        answering(500, "oops"),
        answering(502, "<html>Bad Gateway</html>"),
        answering(200, '{"retCode": 0, "result"'),
        answering(200, ""),
        answering(429, "{}", Retry_After="3"),
    ],
)
async def test_a_fault_that_passes_is_mended_by_asking_again(fault: Fault) -> None:
    """Also where HTTP says 200 and `retCode` does not."""
    venue, naps = with_hours(5), Naps()
    venue.faults = [fault, fault]
    assert len(await load(venue, "bars", MAY_4 * MS, None, interval_ns=HOUR, naps=naps)) == 5
    assert len(naps.seconds) == 2


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (refusing(10003, "API key is invalid."), "HTTP 200, code 10003: API key is invalid"),
        (
            refusing(10001, "params error"),
            "linear refuses `BTCUSDT` .code 10001: params error.; expected a name such as",
        ),
        (answering(403, "access too frequent"), "refuses this address .* HTTP 403"),
        (answering(200, '{"retCode":0,"retMsg":"OK","result":{"list":[["1","2"]]}}'), "not what Bybit documents"),
        (answering(200, '{"retCode":0,"retMsg":"OK","result":{}}'), "not what Bybit documents"),
        (answering(200, "[]"), "not what Bybit documents"),
    ],
)
async def test_what_asking_again_cannot_mend_stops_at_once(fault: Fault, told: str) -> None:
    """One request, no wait, exit code 4."""
    venue, naps = with_hours(5), Naps()
    venue.faults = [fault]
    with pytest.raises(VenueError, match=told) as caught:
        await load(venue, "bars", MAY_4 * MS, None, interval_ns=HOUR, naps=naps)
    assert naps.seconds == [] and venue.served == [] and caught.value.exit_code == 4


async def test_too_many_requests_for_ever_says_so() -> None:
    """After the retries, with the venue's words."""
    venue = with_hours(5)
    venue.faults = [refusing(10006, "Too many visits!")] * 9
    with pytest.raises(VenueError, match="no good answer in 3 tries, the last one: code 10006: Too many visits!"):
        await load(venue, "bars", MAY_4 * MS, None, interval_ns=HOUR)


async def test_a_server_that_does_not_listen_is_an_error_and_no_endless_loop() -> None:
    """Rows outside the window, and rows oldest first."""
    venue = with_hours(5)

    def rows(rows: list[list[str]]) -> Fault:
        return answering(200, msgspec.json.encode({"retCode": 0, "result": {"list": rows}}).decode())

    venue.faults = [rows(hours(5, MAY_4 - 86_400_000)[::-1])]
    with pytest.raises(
        VenueError, match=r"asked for rows from 2025-05-04 00:00:00Z .* answered with 2025-05-03 00:00:00Z"
    ):
        await load(venue, "bars", MAY_4 * MS, None, interval_ns=HOUR)
    venue.faults = [rows(hours(5))]
    with pytest.raises(VenueError, match="are not newest first"):
        await load(venue, "bars", MAY_4 * MS, None, interval_ns=HOUR)


async def test_the_limit_waits_for_the_reset_that_the_headers_name() -> None:
    """Nothing left until 1.5 s from now; a nonsensical reset is not waited for longer than a window."""
    clock, naps = [1000.0], Naps()
    limiter = BybitLimiter(now=lambda: clock[0], sleep=naps)
    limiter.learn({"X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": "1001500"})
    await limiter.reserve(1)
    await limiter.reserve(1)
    assert naps.seconds == [1.5]
    limiter.learn({"X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": "99999999999"})
    await limiter.reserve(1)
    assert naps.seconds == [1.5, 5.0]
    limiter.learn({"X-Bapi-Limit-Status": "7", "X-Bapi-Limit-Reset-Timestamp": "99999999999"})
    await limiter.reserve(1)
    assert len(naps.seconds) == 2 and limiter.limit == 480


def test_kinds_and_lengths_bybit_has_not_are_refused_before_anything_is_asked() -> None:
    """Spot has no funding; nobody has past quotes; 2h is there, 8h is not."""
    spot = BybitSource(start=MAY_4 * MS)
    with pytest.raises(UsageError, match="no public history of funding; it has bars, trades, depth"):
        spot.open(venue="bybit-spot", symbol="BTCUSDT", kind="funding")
    with pytest.raises(UsageError, match="no public history of quotes"):
        spot.open(venue="bybit-linear", symbol="BTCUSDT", kind="quotes")
    assert spot.open(venue="bybit-spot", symbol="BTCUSDT", interval_ns=2 * HOUR) is not None
    with pytest.raises(UsageError, match="found 8h"):
        spot.open(venue="bybit-spot", symbol="BTCUSDT", interval_ns=8 * HOUR)
    with pytest.raises(UsageError, match="`market: linear` or `market: spot`"):
        spot.open(venue="binance-usdm", symbol="BTCUSDT", interval_ns=HOUR)


# --- words ----------------------------------------------------------------------------------------------------------


NET, CRATE = "bybit/bybit.net-endpoints/ExchangeData", "bybit/nautilus-crate"


@pytest.mark.parametrize(
    ("folder", "name", "row", "to_rows", "price", "count"),
    [
        (NET, "GetKlines.txt", wire.Kline, translate.bars_of, "17086.5", 3),
        (CRATE, "http_get_klines_linear.json", wire.Kline, translate.bars_of, "27450", 1),
        (NET, "GetMarkPriceKlines.txt", wire.PriceKline, translate.price_bars_of, "17164.16", 1),
        (NET, "GetIndexPriceKlines.txt", wire.PriceKline, translate.price_bars_of, "17166.54", 2),
        (NET, "GetTradeHistory.txt", wire.Trade, translate.trades_of, "16618.49", 1),
        (CRATE, "http_get_trades_recent.json", wire.Trade, translate.trades_of, "27450.5", 1),
        (NET, "GetFundingRateHistory.txt", wire.Funding, translate.funding_of, "0.0001", 1),
        (CRATE, "http_get_funding_history.json", wire.Funding, translate.funding_of, "0.00015", 2),
    ],
)
def test_every_recorded_answer_of_a_kind_we_read_decodes(
    folder: str, name: str, row: Any, to_rows: Any, price: str, count: int
) -> None:
    """Oldest first: the last row of the fixture comes first."""
    (path,) = fixtures(folder, name)
    body = body_of(path)
    assert wire.complaint(body) is None
    rows = to_rows(wire.listing(body, row), Origin(name))
    column = next(getattr(rows, word) for word in ("open", "price", "rate") if hasattr(rows, word))
    assert column.text(0) == price and len(rows) == count
    assert rows.times.tolist() == sorted(rows.times.tolist())


def test_new_fields_and_columns_do_no_harm() -> None:
    """An eighth column, a new key in rows and envelope."""
    body = {"retCode": 0, "new": 1, "result": {"more": [], "list": [[str(MAY_4), "1", "2", "1", "2", "3", "4", "5"]]}}
    assert translate.bars_of(wire.listing(body, wire.Kline), Origin("x")).volume.text(0) == "3"


@pytest.mark.parametrize("side", ["buy", "", "Long"])
def test_a_side_that_is_none_is_refused(side: str) -> None:
    """Buy or Sell, as documented."""
    row = {**trades(1, MAY_4)[0], "side": side}
    with pytest.raises(msgspec.ValidationError):
        wire.listing({"retCode": 0, "result": {"list": [row]}}, wire.Trade)


def test_a_number_that_is_none_names_row_and_field() -> None:
    """Counted as the venue sent them."""
    rows = [[str(MAY_4), "1", "2", "1", "x", "3", "4"]]
    with pytest.raises(DataError, match="row 1, column `close`: 'x' is not a number"):
        translate.bars_of(wire.listing({"retCode": 0, "result": {"list": rows}}, wire.Kline), Origin("x"))


async def test_recorded_trades_of_a_session_pass_the_same_door() -> None:
    """Real prints of the 2026 recording, in the words of recent-trade: prices, sides and sizes as in the session."""
    path = recorded("raw_sessions/bybit-v5/2026-08-09.BYBIT.jsonl.zst")
    whole = read(path, "trades", "BTCUSDT", venue="bybit-linear", market="linear")
    prices, sizes = texts(whole, "price"), texts(whole, "size")
    times, sides = whole.columns["ts_venue"].tolist(), whole.columns["side"].tolist()
    order = sorted(range(len(whole)), key=lambda i: times[i])
    venue = Loopback(now_ms=max(times) // MS + 1)
    venue.rows["/v5/market/recent-trade"] = [
        {
            "execId": f"{i:036d}", "price": prices[i], "size": sizes[i], "time": str(times[i] // MS),
            "side": "Buy" if sides[i] > 0 else "Sell",
        }
        for i in order
    ]  # fmt: skip
    start = min(times) + MS
    tape = await load(venue, "trades", start, None)
    kept = [i for i in order if start <= times[i] < max(times)]
    assert texts(tape, "price") == [f"{float(prices[i]):.{tape.price_scale}f}" for i in kept] and len(kept) > 10
    assert tape.columns["side"].tolist() == [sides[i] for i in kept]
