"""Filters from recorded answers of the venues, against the stored rules and against what ccxt makes of them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.binance.history import BinanceSource
from adapters.binance.instruments import ExchangeInfo, instruments_of
from adapters.bybit.history import BybitSource
from adapters.bybit.instruments import tiers_of
from adapters.bybit.rest import BybitRest
from adapters.ccxt_venue import CcxtSource
from adapters.http import JsonReader
from adapters.remote_source import Line
from adapters.sources import source_of
from adapters.venues import load_rules
from core.errors import Problem, UsageError
from core.settings.decode import decode
from core.settings.encode import to_plain, to_yaml
from core.settings.yaml_nodes import parse
from core.venue_rules import DatedInstrument
from loopback import Loopback, Naps, everywhere, listening
from recorded_answers import body_of, fixtures, json_gz
from sim.scenarios.market import InstrumentSpec

MS = 1_000_000
ANSWERS = {
    "binance-spot": "instruments/binance-spot/exchangeInfo.2021-10-12.json.gz",
    "binance-usdm": "instruments/binance-usdm/exchangeInfo.2022-02-21.json.gz",
    "bybit-spot": "instruments/bybit-v5/instruments-info_spot.2026-08-09.json.gz",
    "bybit-linear": "instruments/bybit-v5/instruments-info_linear.2026-08-09.json.gz",
}
DAY_MS = 86_400_000


async def fetched(venue_name: str) -> dict[str, DatedInstrument]:
    """What the fetcher of a venue makes of the recorded answer, dated as recorded."""
    body = json_gz(ANSWERS[venue_name])
    venue = Loopback(now_ms=body.get("time") or body["serverTime"])
    paths = {"spot": "/api/v3/exchangeInfo", "usdm": "/fapi/v1/exchangeInfo"}
    market = venue_name.rpartition("-")[2]
    venue.bodies[paths.get(market, "")] = body
    venue.bodies[f"/v5/market/instruments-info?{market}"] = body
    kind = BinanceSource if venue_name.startswith("binance") else BybitSource
    async with listening(venue) as url:
        source = kind(start=0, base_url=url)
        return await source.fetcher(venue=venue_name, symbol="", line=Line(sleep=Naps())).instruments()


@pytest.mark.parametrize("venue", ANSWERS)
async def test_every_fetched_instrument_is_a_section_of_a_config(venue: str) -> None:
    """Written out and read as `instruments`, each value comes back; so the verb's text may be pasted as it is."""
    found = await fetched(venue)
    text = to_yaml({symbol: {k: v for k, v in to_plain(row).items() if k != "since"} for symbol, row in found.items()})
    problems: list[Problem] = []
    written = decode(parse(text, "x"), dict[str, InstrumentSpec], problems)
    assert problems == [] and written is not None and len(written) == len(found) > 100
    for symbol, row in found.items():
        for name in row.__struct_fields__[1:]:
            assert getattr(written[symbol], name) == getattr(row, name), (symbol, name)


@pytest.mark.parametrize("venue", ANSWERS)
async def test_fetched_filters_equal_the_stored_rules_of_that_day(venue: str) -> None:
    """rules.yaml was written by hand from these answers: every field it names agrees."""
    found = await fetched(venue)
    compared = 0
    for symbol, rows in load_rules(venue).instruments.items():
        row = next((row for row in rows if row.since // (DAY_MS * MS) == found[symbol].since // (DAY_MS * MS)), None)
        if row is None:
            continue
        for name in row.__struct_fields__:
            stored = getattr(row, name)
            if name == "since" or stored is None:
                continue
            assert getattr(found[symbol], name) == stored, (symbol, name)
            compared += 1
    assert compared > 15 and len(found) > 100


async def test_ccxt_reads_the_same_grid_from_the_same_answer(tmp_path: Path) -> None:
    """148 futures: tick, step, smallest quantity and notional of ours are those of an unmodified ccxt."""
    ours = await fetched("binance-usdm")
    venue = Loopback(now_ms=1645437630000)
    venue.bodies["/fapi/v1/exchangeInfo"] = json_gz(ANSWERS["binance-usdm"])
    async with everywhere(venue, tmp_path) as session:
        source = CcxtSource(start=0, exchange="binanceusdm")
        theirs = await source.fetcher(venue="x", symbol="", line=Line(session=session())).instruments()
    for symbol, mine in ours.items():
        other = theirs[f"{mine.base}/{mine.quote}:{mine.quote}"]
        for name in ("tick", "step", "min_qty", "min_notional"):
            assert getattr(mine, name) == getattr(other, name), (symbol, name)
    assert len(ours) > 130


def test_sided_multipliers_and_notional_of_today_are_read() -> None:
    """The filters that came after 2021, in the words of the spot documentation; 0 disables a part."""
    filters: list[dict[str, Any]] = [
        {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "0.00", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001000"},
        {"filterType": "NOTIONAL", "minNotional": "5", "applyMinToMarket": True, "maxNotional": "9000000"},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": "1.2", "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5", "askMultiplierDown": "0.8", "avgPriceMins": 1,
        },
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
        {"filterType": "MAX_POSITION", "maxPosition": "10.0"},
        {"filterType": "NEVER_SEEN", "some": "thing"},
    ]  # fmt: skip
    body = {
        "serverTime": 5,
        "symbols": [{"symbol": "A", "baseAsset": "B", "quoteAsset": "C", "filters": filters, "new": 1}],
    }
    found = instruments_of(body)["A"]
    assert (found.tick, found.step, found.min_price, found.max_price) == (
        Decimal("0.01"),
        Decimal("0.00001"),
        None,
        None,
    )
    assert (found.min_notional, found.max_notional, found.max_amends, found.max_position) == (5, 9_000_000, 10, 10)
    assert found.percent_price is not None and found.percent_price.multipliers("sell", one_sided=False) == (
        Decimal("0.8"),
        Decimal(5),
    )


@pytest.mark.parametrize(
    ("name", "symbol", "count"),
    [
        ("binance.net-endpoints/Spot/ExchangeData/GetExchangeInfo.txt", "ETHBTC", 0),
        ("binance.net-endpoints/UsdFutures/ExchangeData/GetExchangeInfo.txt", "BLZUSDT", 1),
        ("nautilus-crate/spot/http_json/exchange_info_response.json", "ETHBTC", 0),
    ],
)
def test_recorded_exchange_infos_decode(name: str, symbol: str, count: int) -> None:
    """Documented examples: two of them name no filters, and a symbol without a tick is none of ours."""
    folder, _, file = f"binance/{name}".rpartition("/")
    (path,) = fixtures(folder, file)
    body = body_of(path)
    assert msgspec.convert(body, ExchangeInfo).symbols[0].symbol == symbol
    assert len(instruments_of(body)) == count


@pytest.mark.parametrize(
    "name",
    [
        "bybit/bybit.net-endpoints/ExchangeData/GetLinearInverseSymbols.txt",
        "bybit/bybit.net-endpoints/ExchangeData/GetSpotSymbols.txt",
        "bybit/nautilus-crate/http_get_instruments_linear.json",
        "bybit/nautilus-crate/http_get_instruments_spot.json",
        "bybit/nautilus-crate/http_get_instruments_linear_symbol_type.json",
        "bybit/nautilus-crate/http_get_instruments_spot_xstocks.json",
    ],
)
def test_recorded_instruments_of_bybit_decode(name: str) -> None:
    """One tick of each, as it stands there."""
    from adapters.bybit.instruments import instruments_of as bybit_instruments_of

    folder, _, file = name.rpartition("/")
    (path,) = fixtures(folder, file)
    rows = body_of(path)["result"]["list"]
    found = bybit_instruments_of(rows, 1)
    assert found[rows[0]["symbol"]].tick == Decimal(rows[0]["priceFilter"]["tickSize"])


async def test_pages_of_instruments_are_followed_by_their_cursor() -> None:
    """Two pages, three rows; the second says that nothing follows."""
    rows = json_gz(ANSWERS["bybit-linear"])["result"]["list"][:3]

    def page(part: list[Any], cursor: str) -> dict[str, Any]:
        return {"retCode": 0, "result": {"list": part, "nextPageCursor": cursor}, "time": 5}

    venue = Loopback(now_ms=7)
    venue.bodies["/v5/market/instruments-info?linear"] = [page(rows[:2], "1"), page(rows[2:], "")]
    async with listening(venue) as url:
        source = BybitSource(start=0, base_url=url)
        found = await source.fetcher(venue="bybit-linear", symbol="", line=Line(sleep=Naps())).instruments()
    assert list(found) == [row["symbol"] for row in rows] and found[rows[0]["symbol"]].since == 7 * MS
    assert [query.get("cursor") for _, query in venue.asked] == [None, "1"]


async def test_risk_limits_become_tiers_whether_per_cent_or_fractions() -> None:
    """The recorded row says 0.5 per cent at 100x; the same as fractions is the same tier."""
    (path,) = fixtures("bybit/bybit.net-endpoints/ExchangeData", "GetRiskLimit.txt")
    rows = body_of(path)["result"]["list"]
    expected = [(Decimal(0), Decimal("0.005"), Decimal("100"))]
    tiers = tiers_of(rows, 3)
    assert [(tier.floor, tier.mmr, tier.max_leverage) for tier in tiers.tiers] == expected and tiers.since == 3
    fractions = [{**rows[0], "maintenanceMargin": "0.005", "initialMargin": "0.01"}]
    assert [(tier.floor, tier.mmr, tier.max_leverage) for tier in tiers_of(fractions, 3).tiers] == expected

    second = {
        **rows[0],
        "riskLimitValue": "300",
        "maintenanceMargin": "1",
        "initialMargin": "2",
        "maxLeverage": "50.00",
    }
    venue = Loopback(now_ms=9)
    venue.bodies["/v5/market/risk-limit?linear"] = {"retCode": 0, "result": {"list": [second, rows[0]]}, "time": 9}
    async with listening(venue) as url:
        import aiohttp

        async with aiohttp.ClientSession() as session:
            found = await BybitRest(JsonReader(session), "linear", url).tiers("BTCUSD")
    # The second tier begins where the first one ends: at 150.
    assert [(tier.floor, tier.mmr) for tier in found.tiers] == [(0, Decimal("0.005")), (150, Decimal("0.01"))]


def test_what_is_not_documented_is_refused() -> None:
    """A step that is no number."""
    body = {"serverTime": 5, "symbols": [{"symbol": "A", "baseAsset": "B", "quoteAsset": "C", "filters": [{"a": 1}]}]}
    with pytest.raises(msgspec.ValidationError, match="filterType"):
        instruments_of(body)


def test_a_fetcher_by_the_name_of_a_venue() -> None:
    """One word for the command line; the key of what is kept is the venue's own."""
    for name in ANSWERS:
        assert source_of(name, 0, None).fetcher(venue=name, symbol="BTCUSDT", line=Line()).name == name
    assert source_of("kraken", 0, None).fetcher(venue="kraken", symbol="BTC/USD", line=Line()).name == "ccxt-kraken"
    with pytest.raises(UsageError):
        source_of("binance-coinm", 0, None).fetcher(venue="binance-coinm", symbol="BTCUSDT", line=Line())
