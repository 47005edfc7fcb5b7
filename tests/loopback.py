"""A venue on this machine: Binance's and Bybit's public endpoints and dumps over rows that a test gives it.

It pages, sorts and refuses as the venues document it (venues.md sections 1 and 5), written apart from the adapters: a
second reading of the same pages. `faults` answer the next requests for data in its place. Over TLS it stands in for
every host at once, so that an unmodified client finds it where it always looks.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]
Rows = list[Any]
KLINE_LIMITS = {
    "/api/v3/klines": 1000,
    "/fapi/v1/klines": 1500,
    "/fapi/v1/markPriceKlines": 1500,
    "/fapi/v1/indexPriceKlines": 1500,
}
BYBIT_LIMITS = {"/v5/market/kline": 1000, "/v5/market/mark-price-kline": 1000, "/v5/market/index-price-kline": 1000}
HOUR_MS = 3_600_000


class Loopback:
    """What the venue holds, and what it was asked."""

    def __init__(self, *, now_ms: int) -> None:
        self.now_ms = now_ms
        self.rows: dict[str, Rows] = {}
        """By path: rows as the endpoint sends them, oldest first."""
        self.bodies: dict[str, Any] = {}
        """By path, or path?category: whole answers."""
        self.files: dict[str, bytes] = {}
        """By path: dumps; a checksum stands beside each whose name ends in zip."""
        self.etags = True
        self.symbols = {"BTCUSDT", "XRPETH", "ETHUSDT"}
        self.page_max = 10_000
        self.newest_of_window: int | None = None
        """Minutes: so many of the newest rows in the window that a request's limit spans; None: the venue's way."""
        self.faults: list[Fault] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.served: list[int] = []
        self.app = web.Application()
        self.app.router.add_get("/{path:.*}", self.answer)

    def paths(self, ending: str = "") -> list[str]:
        """The paths asked for, in order."""
        return [path for path, _ in self.asked if path.endswith(ending)]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path, query = request.path, dict(request.query)
        if path in ("/api/v3/time", "/fapi/v1/time"):
            return web.json_response({"serverTime": self.now_ms})
        if path == "/v5/market/time":
            return web.json_response(self._enveloped({"timeSecond": str(self.now_ms // 1000)}))
        self.asked.append((path, query))
        if self.faults:
            return await self.faults.pop(0)(request)
        replied = self.reply(path, query)
        return self._file(request, path) if replied is None else replied

    def reply(self, path: str, query: dict[str, str]) -> web.Response | None:
        """What the venue says to a request for rows; None where the path is none of its endpoints."""
        if path in KLINE_LIMITS:
            return self._binance_klines(path, query)
        if path.endswith("/aggTrades") and path.startswith(("/api", "/fapi")):
            return self._agg_trades(path, query)
        if path in ("/api/v3/trades", "/fapi/v1/trades"):
            return self._binance(self.rows.get(path, [])[-int(query.get("limit", 500)) :], query)
        if path == "/fapi/v1/fundingRate":
            rows = [
                row
                for row in self.rows.get(path, [])
                if int(query["startTime"]) <= row["fundingTime"] <= int(query["endTime"])
            ]
            return self._binance(rows[: min(int(query.get("limit", 100)), 1000)], query)
        if path.startswith("/v5/market/"):
            return self._bybit(path, query)
        return web.json_response(self.bodies[path]) if path in self.bodies else None

    # --- Binance ----------------------------------------------------------------------------------------------------

    def _binance(self, rows: Rows, query: dict[str, str]) -> web.Response:
        if query.get("symbol", query.get("pair")) not in self.symbols:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        rows = rows[: self.page_max]
        self.served.append(len(rows))
        return web.json_response(rows, headers={"X-MBX-USED-WEIGHT-1M": "10"})

    def _binance_klines(self, path: str, query: dict[str, str]) -> web.Response:
        limit = min(int(query.get("limit", 500)), KLINE_LIMITS[path])
        first, last = int(query.get("startTime", 0)), int(query.get("endTime", self.now_ms))
        if self.newest_of_window is not None:
            window = [row for row in self.rows[path] if first <= row[0] < first + limit * 60_000]
            return self._binance(window[-self.newest_of_window :], query)
        return self._binance([row for row in self.rows.get(path, []) if first <= row[0] <= last][:limit], query)

    def _agg_trades(self, path: str, query: dict[str, str]) -> web.Response:
        rows, limit = self.rows.get(path, []), min(int(query.get("limit", 500)), 1000)
        if "fromId" in query:
            return self._binance([row for row in rows if row["a"] >= int(query["fromId"])][:limit], query)
        if "startTime" not in query:
            return self._binance(rows[-limit:], query)
        first = int(query["startTime"])
        last = int(query.get("endTime", first + HOUR_MS))
        if last - first > HOUR_MS:
            return web.json_response(
                {"code": -1127, "msg": "More than 1 hours between startTime and endTime."}, status=400
            )
        return self._binance([row for row in rows if first <= row["T"] <= last][:limit], query)

    # --- Bybit ------------------------------------------------------------------------------------------------------

    def _enveloped(self, result: Any, code: int = 0, message: str = "OK") -> dict[str, Any]:
        return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": self.now_ms}

    def _bybit(self, path: str, query: dict[str, str]) -> web.Response:
        category = query["category"]
        whole = self.bodies.get(f"{path}?{category}")
        if whole is not None:
            pages = whole if isinstance(whole, list) else [whole]
            return web.json_response(pages[int(query.get("cursor") or 0)])
        if query.get("symbol") not in self.symbols:
            return web.json_response(self._enveloped({}, 10001, "params error: Symbol Is Invalid"))
        rows, limit = self.rows.get(path, []), int(query.get("limit", 200))
        if path in BYBIT_LIMITS:
            first, last = int(query.get("start", 0)), int(query.get("end", self.now_ms))
            rows = [row for row in rows if first <= int(row[0]) <= last][-min(limit, BYBIT_LIMITS[path]) :]
        elif path == "/v5/market/funding/history":
            first, last = int(query.get("startTime", 0)), int(query.get("endTime", self.now_ms))
            rows = [row for row in rows if first <= int(row["fundingRateTimestamp"]) <= last][-min(limit, 200) :]
        else:
            rows = rows[-min(limit, 60 if category == "spot" else 1000) :]
        rows = rows[-self.page_max :]
        self.served.append(len(rows))
        return web.json_response(self._enveloped({"category": category, "list": rows[::-1]}))

    # --- dumps ------------------------------------------------------------------------------------------------------

    def _file(self, request: web.Request, path: str) -> web.StreamResponse:
        if path not in self.files and path.removesuffix(".CHECKSUM") in self.files:
            name = path.removesuffix(".CHECKSUM")
            return web.Response(text=f"{hashlib.sha256(self.files[name]).hexdigest()}  {name.rsplit('/', 1)[-1]}\n")
        if path not in self.files:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        body = self.files[path]
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        headers = {"ETag": etag} if self.etags else {}
        begin = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if request.headers.get("If-Range", etag) != etag:
            begin = 0
        if begin and begin >= len(body):
            return web.Response(status=416)
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        return web.Response(status=206 if begin else 200, body=body[begin:], headers=headers)


# --- faults ---------------------------------------------------------------------------------------------------------


def answering(status: int, body: str = "", **headers: str) -> Fault:
    """One answer, whatever is asked."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


def cut_after(body: bytes, count: int, *, etag: str = "") -> Fault:
    """The first `count` bytes of a body (behind what the request has already), then the line is cut."""

    async def answer(request: web.Request) -> web.StreamResponse:
        begin = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        headers = {"Content-Length": str(len(body) - begin)}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        if etag:
            headers["ETag"] = etag
        response = web.StreamResponse(status=206 if begin else 200, headers=headers)
        await response.prepare(request)
        await response.write(body[begin : begin + count])
        assert request.transport is not None
        request.transport.close()
        return response

    return answer


def reset() -> Fault:
    """Hangs up without a word."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return answer


def silent_after(body: bytes, release: asyncio.Event) -> Fault:
    """Sends something of a longer answer, then nothing until it is released."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(body) + 1000)})
        await response.prepare(request)
        await response.write(body)
        await release.wait()
        return response

    return answer


class Naps:
    """Sleeping that does not: remembers how long it was asked for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


# --- where it listens -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening(venue: Loopback) -> AsyncIterator[str]:
    """Plain HTTP on this machine: the base URL."""
    async with TestServer(venue.app) as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def everywhere(venue: Loopback, folder: Path) -> AsyncIterator[Callable[[], aiohttp.ClientSession]]:
    """TLS under every host name: gives a maker of sessions for which each name leads here. They are closed with it."""
    sessions: list[aiohttp.ClientSession] = []
    runner = web.AppRunner(venue.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self_signed(folder))
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]

    def session() -> aiohttp.ClientSession:
        sessions.append(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, resolver=_Here(port), use_dns_cache=False))
        )
        return sessions[-1]

    try:
        yield session
    finally:
        for one in sessions:
            await one.close()
        await runner.cleanup()


class _Here(AbstractResolver):
    """Every name is this machine, every port ours."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found: ResolveResult = {
            "hostname": host,
            "host": "127.0.0.1",
            "port": self.port,
            "family": socket.AF_INET,
            "proto": 0,
            "flags": socket.AI_NUMERICHOST,
        }
        return [found]

    async def close(self) -> None:
        """Nothing is held."""


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate made now; `cryptography` comes with ccxt."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    begins = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "loopback.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
