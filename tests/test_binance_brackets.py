"""Binance's brackets, which it tells to a key alone: what is signed, what is refused, what becomes of the answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.binance.instruments import tiers_of
from adapters.binance.rest import BinanceRest
from adapters.binance.signing import ApiKey, signature_of
from adapters.http import JsonReader, Retry
from adapters.venues import load_brackets
from core.errors import UsageError, VenueError
from core.margin import DatedTiers, tiers_at
from core.margin import tiers_of as complete
from loopback import Fault, Naps, answering, everywhere, listening, reset
from recorded_answers import body_of, fixtures, json_gz
from signed_loopback import BRACKETS, SignedLoopback, recorded_brackets, recorded_contracts

MS = 1_000_000
NOW_MS = 1_729_728_000_000
"""2024-10-24, the day of the recorded brackets."""
KEY, SECRET = "K3y" * 21 + "a", "s3cr3t" * 10 + "abcd"
OTHER = "0th3r" * 12 + "abcd"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("A_SECRET", SECRET)


def door(**brackets: Any) -> SignedLoopback:
    venue = SignedLoopback(now_ms=NOW_MS, secrets={KEY: SECRET})
    venue.brackets = brackets
    return venue


def told(symbol: str, *rows: tuple[float, float, float, float, float], **more: Any) -> list[dict[str, Any]]:
    """An answer of (floor, cap, rate, leverage, amount) rows."""
    names = ("notionalFloor", "notionalCap", "maintMarginRatio", "initialLeverage", "cum")
    return [{"symbol": symbol, "brackets": [{**dict(zip(names, row, strict=True)), **more} for row in rows]}]


ONE = told("X", (0, 10000, 0.0065, 75, 0))


async def tiers(venue: SignedLoopback, symbol: str = "X", naps: Naps | None = None, retries: int = 1) -> DatedTiers:
    async with listening(venue) as url, aiohttp.ClientSession() as session:
        reader = JsonReader(session, retry=Retry(retries=retries), sleep=naps or Naps())
        return await BinanceRest(reader, "usdm", url, key=ApiKey("env:A_KEY", "env:A_SECRET")).tiers(symbol)


def rows_of(dated: DatedTiers) -> list[tuple[Decimal, ...]]:
    return [(tier.floor, tier.mmr, tier.max_leverage, tier.cum or Decimal(0)) for tier in dated.tiers]


# --- what is signed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "query", "signature"),
    [
        (
            "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
            "&timestamp=1499827319559",
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
            "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
            "&timestamp=1591702613943",
            "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
        ),
    ],
)
def test_the_venues_own_examples_have_the_signatures_it_prints(secret: str, query: str, signature: str) -> None:
    """venues.md, last section: keys and signatures of the public documentation, spot and USD-M."""
    assert signature_of(query, secret) == signature


@pytest.mark.parametrize("symbol", ["BTCUSDT", "1000SHIBUSDT", "币安人生USDT"])
def test_ccxt_signs_the_same_request_with_the_same_bytes(symbol: str) -> None:
    """Unmodified; its window set to ours. Query, signature and header, also of a symbol that must be encoded."""
    import ccxt

    exchange = ccxt.binanceusdm({"apiKey": KEY, "secret": SECRET, "options": {"recvWindow": 5000}})
    exchange.nonce = lambda: 1_591_702_613_943
    theirs = exchange.sign("leverageBracket", ["fapiPrivate"], "GET", {"symbol": symbol})
    ours = ApiKey("env:A_KEY", "env:A_SECRET").signed({"symbol": symbol}, 1_591_702_613_943)
    assert theirs["url"] == f"https://fapi.binance.com{BRACKETS}?{ours.query}" and theirs["headers"] == ours.headers


async def test_a_request_is_signed_with_the_venues_clock_and_sent_as_it_was_signed() -> None:
    """The server recomputes the signature of the bytes that came. Its 2024 is not this machine's year."""
    venue = door(币X=told("币X", (0, 1, 0.5, 1, 0)))
    found = await tiers(venue, "币X")
    ((key, query),) = venue.signed
    assert key == KEY and query.startswith(f"timestamp={NOW_MS}&symbol=%E5%B8%81X&recvWindow=5000&signature=")
    assert found.since == NOW_MS * MS


async def test_a_repeated_read_is_signed_anew_with_the_time_of_then() -> None:
    """429 with 20 s to wait: a signature of before would be too old by 15 s."""
    venue, naps = door(X=ONE), Naps()

    async def busy(request: web.Request) -> web.StreamResponse:
        venue.now_ms += 20_000
        return await answering(429, '{"code": -1003, "msg": "Too many requests."}', Retry_After="20")(request)

    venue.faults = [busy]
    assert (await tiers(venue, naps=naps)).since == (NOW_MS + 20_000) * MS
    assert [query.partition("&")[0] for _, query in venue.signed] == [
        f"timestamp={NOW_MS}",
        f"timestamp={NOW_MS + 20_000}",
    ]
    assert naps.seconds == [20.0] and venue.signed[0][1][-64:] != venue.signed[1][1][-64:]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "code", "advice"),
    [
        ({"A_SECRET": OTHER}, -1022, "check that the secret belongs to the key"),
        ({"A_KEY": OTHER}, -2015, "check that the key is of this host"),
        ({"A_KEY": "short"}, -2014, "not of the form that Binance gives out"),
    ],
)
async def test_a_key_that_is_refused_is_told_with_the_venues_code_and_what_to_check(
    given: Mapping[str, str], code: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request, no retry; the environment's names stand in the message, what they hold does not."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    venue = door(X=ONE)
    with pytest.raises(VenueError) as caught:
        await tiers(venue)
    message = str(caught.value)
    assert f"signed with env:A_KEY, env:A_SECRET (code {code}: " in message and advice in message
    assert len(venue.signed) == 1
    assert not any(value in message for value in (KEY, SECRET, OTHER, "short", venue.signed[0][1][-64:]))


@pytest.mark.parametrize("late", [5001, -1000])
async def test_a_time_that_was_refused_is_taken_anew_once(late: int) -> None:
    """5,000 ms is the window, 1,000 ms ahead is too far (venues.md section 1): the second request is on time."""
    venue = door(X=ONE)
    venue.delays_ms = [late]
    assert len((await tiers(venue)).tiers) == 1 and len(venue.signed) == 2


async def test_a_time_within_the_window_is_let_in() -> None:
    """The two edges."""
    for delay in (5000, -999):
        venue = door(X=ONE)
        venue.delays_ms = [delay]
        assert len((await tiers(venue)).tiers) == 1 and len(venue.signed) == 1


async def test_a_time_that_is_refused_twice_ends_the_read() -> None:
    venue = door(X=ONE)
    venue.delays_ms = [6000, 6000, 0]
    with pytest.raises(VenueError, match=r"code -1021: .*it took longer than 5000 ms twice"):
        await tiers(venue)
    assert len(venue.signed) == 2


async def test_a_symbol_the_venue_does_not_know_is_told_as_everywhere() -> None:
    with pytest.raises(VenueError, match="Binance usdm knows no symbol `Y`"):
        await tiers(door(X=ONE), "Y")


def _echoing(status: int) -> Fault:
    """Says back all it was sent."""

    async def answer(request: web.Request) -> web.StreamResponse:
        words = f"{request.headers['X-MBX-APIKEY']} {SECRET} {request.query['signature']}"
        return web.json_response({"code": -4000, "msg": words, "more": words}, status=status)

    return answer


@pytest.mark.parametrize(
    "fault",
    [
        _echoing(400),
        _echoing(403),
        _echoing(500),
        answering(200, f"<html>{KEY} {SECRET}</html>"),
        answering(302, Location="/elsewhere"),
        answering(200, f'{{"{KEY}": 1}}'),
        reset(),
    ],
)
async def test_no_fault_makes_a_message_repeat_the_key_the_secret_or_a_signature(fault: Fault) -> None:
    """Also not in another spelling; and a redirect is not followed with a signature that is for this address."""
    venue = door(X=ONE)
    venue.faults = [fault] * 4  # aiohttp itself repeats what was cut off
    with pytest.raises(VenueError) as caught:
        await tiers(venue)
    error: BaseException | None = caught.value
    signatures = [query[-64:] for _, query in venue.signed]
    while error is not None:
        for secret in (KEY, SECRET, *signatures):
            assert secret not in str(error) and base64.b64encode(secret.encode()).decode() not in str(error)
        error = error.__cause__ if error.__cause__ is not error else None
    assert venue.paths() == [BRACKETS] * len(venue.signed) and signatures


@pytest.mark.parametrize("target", ["/elsewhere", "https://other.example/", f"https://{KEY}.example/"])
async def test_a_signed_read_that_is_redirected_ends_at_once(target: str) -> None:
    """Its signature is for this address, and asking again would only be redirected again."""
    venue = door(X=ONE)
    venue.faults = [answering(302, Location=target)] * 4
    with pytest.raises(VenueError, match=r"127\.0\.0\.1:\d+ redirects a signed read; check `base_url`") as caught:
        await tiers(venue, retries=3)
    assert venue.paths() == [BRACKETS] and KEY.lower() not in str(caught.value).lower()


def test_a_key_shows_its_names_alone() -> None:
    key = ApiKey("env:A_KEY", "env:A_SECRET")
    assert repr(key) == "ApiKey(env:A_KEY, env:A_SECRET)" and SECRET not in f"{key} {key!r}"


@pytest.mark.parametrize("value", [None, "", f"{KEY}\n", f" {KEY}", "schlüssel"])
def test_a_key_that_the_environment_does_not_have_is_told_by_its_name(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line break would end a header; what stands there is not repeated."""
    monkeypatch.delenv("A_KEY") if value is None else monkeypatch.setenv("A_KEY", value)
    with pytest.raises(UsageError, match=r"`api_key: env:A_KEY`: .*set it to the key alone") as caught:
        ApiKey("env:A_KEY", "env:A_SECRET")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [(KEY, "env:A_SECRET"), ("env:A_KEY", SECRET), ("env:A_KEY", f"env:{SECRET} "), (f"env:{KEY}", "env:A_SECRET")],
)
def test_a_program_that_hands_in_the_secret_itself_is_told_without_it(given: tuple[str, str]) -> None:
    """Who skips the config's own check gets no further."""
    with pytest.raises(UsageError, match="expected the name of what the environment has") as caught:
        ApiKey(*given)
    assert KEY not in str(caught.value) and SECRET not in str(caught.value)


# --- what becomes of the answer -------------------------------------------------------------------------------------


async def test_recorded_brackets_over_the_wire_are_those_that_are_stored() -> None:
    """Four symbols of 2024-10-24, each number; the last cap is where the venue's list ends."""
    stored = load_brackets("binance-usdm")
    venue = door(**{symbol: recorded_brackets(symbol) for symbol in stored})
    for symbol, dated in stored.items():
        found = await tiers(venue, symbol)
        of_then = tiers_at(dated, NOW_MS * MS)
        assert complete(found.tiers) == of_then and found.known_to == {
            "BTCUSDT": 1_800_000_000, "ETHUSDT": 1_200_000_000, "BNBUSDT": 150_000_000, "SOLUSDT": 400_000_000,
        }[symbol]  # fmt: skip


def test_every_contract_of_that_day_decodes_and_goes_on_without_a_jump() -> None:
    """Hundreds of contracts: floor x (rate - rate below) is what each amount grows by, to the venue's own rounding."""
    for symbol in recorded_contracts():
        rows = tiers_of(recorded_brackets(symbol), symbol, 1).tiers
        for below, row in pairwise(rows):
            assert row.cum is not None and below.cum is not None
            grown = row.floor * (row.mmr - below.mmr)
            assert abs(row.cum - below.cum - grown) <= Decimal("0.01"), (symbol, row)
    assert len(recorded_contracts()) > 250


async def test_an_unmodified_ccxt_client_reads_the_same_tiers_from_the_same_door(tmp_path: Path) -> None:
    """It signs, the server checks, and both make the same of floors, rates, leverages and the last cap."""
    import ccxt.async_support as ccxt

    venue = door(BTCUSDT=recorded_brackets("BTCUSDT"))
    venue.bodies["/fapi/v1/exchangeInfo"] = json_gz("instruments/binance-usdm/exchangeInfo.2022-02-21.json.gz")
    async with everywhere(venue, tmp_path) as session:
        given = {"apiKey": KEY, "secret": SECRET, "session": session(), "enableRateLimit": False}
        exchange = ccxt.binanceusdm({**given, "options": {"fetchCurrencies": False}})
        exchange.nonce = lambda: NOW_MS
        try:
            theirs = (await exchange.fetch_leverage_tiers(["BTC/USDT:USDT"]))["BTC/USDT:USDT"]
        finally:
            await exchange.close()
    ours = await tiers(venue, "BTCUSDT")
    names = ("minNotional", "maintenanceMarginRate", "maxLeverage")
    assert [row[:3] for row in rows_of(ours)] == [tuple(Decimal(repr(row[n])) for n in names) for row in theirs]
    assert ours.known_to == Decimal(repr(theirs[-1]["maxNotional"])) and len(theirs) == 12


async def test_the_documented_answer_to_one_symbol_and_new_fields_are_read() -> None:
    """An object in place of a list of one, rows in another order, keys nobody named."""
    ((answer,)) = told("X", (10000, 50000, 0.01, 50, 35), (0, 10000, 0.0065, 75, 0), bracket=1, since="never seen")
    found = await tiers(door(X={**answer, "notionalCoef": 1.5, "newKey": {"a": [1]}}))
    assert rows_of(found) == [
        (Decimal(0), Decimal("0.0065"), Decimal(75), Decimal(0)),
        (Decimal(10000), Decimal("0.01"), Decimal(50), Decimal(35)),
    ]


def test_the_recorded_example_decodes() -> None:
    (path,) = fixtures("binance/binance.net-endpoints/UsdFutures/Account", "GetBrackets.txt")
    found = tiers_of(body_of(path), "ETHUSDT", 5)
    assert rows_of(found) == [(Decimal(0), Decimal("0.0065"), Decimal(75), Decimal(0))]
    assert (found.since, found.known_to) == (5, Decimal(10000))


@pytest.mark.parametrize(
    "answer",
    [
        [],
        told("Y", (0, 1, 0.1, 1, 0)),
        told("X"),
        [{"symbol": "X", "brackets": [{"notionalFloor": 0, "notionalCap": 1, "initialLeverage": 1, "cum": 0}]}],
        [{"symbol": "X", "brackets": [{**told("X", (0, 1, 0.1, 1, 0))[0]["brackets"][0], "cum": "much"}]}],
        {"code": 200, "msg": "success"},
    ],
)
async def test_an_answer_that_is_not_as_documented_is_refused(answer: Any) -> None:
    """None at all, another symbol's, none of the symbol, a missing field, a word for a number, something else."""
    with pytest.raises(VenueError, match=r"leverageBracket: the answer is not what Binance documents"):
        await tiers(door(X=answer))
