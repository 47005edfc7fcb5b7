"""The loopback venue with a door for keys: checks signed reads as Binance documents it (venues.md sections 1 and 4)."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from functools import cache
from typing import Any

from aiohttp import web

from loopback import Loopback
from recorded import recorded

BRACKETS = "/fapi/v1/leverageBracket"
AHEAD_MS = 1000
WINDOW_MS = 5000
WINDOW_MAX_MS = 60_000


class SignedLoopback(Loopback):
    """Tells brackets to whoever signs with a secret of its key."""

    def __init__(self, *, now_ms: int, secrets: dict[str, str]) -> None:
        super().__init__(now_ms=now_ms)
        self.secrets = secrets
        """By key; all of them 64 letters and digits, as Binance's are."""
        self.brackets: dict[str, Any] = {}
        """By symbol: the answer to a request with it."""
        self.delays_ms: list[int] = []
        """How much later than its time says the next signed requests arrive."""
        self.signed: list[tuple[str, str]] = []
        """Key and query of every signed request, as they came."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path != BRACKETS:
            return await super().answer(request)
        self.asked.append((request.path, dict(request.query)))
        self.signed.append((request.headers.get("X-MBX-APIKEY", ""), request.raw_path.partition("?")[2]))
        if self.faults:
            return await self.faults.pop(0)(request)
        refusal = self.refusal(*self.signed[-1])
        if refusal is not None:
            status, code, message = refusal
            return web.json_response({"code": code, "msg": message}, status=status)
        symbol = request.query.get("symbol")
        if symbol is None:
            return web.json_response([row for rows in self.brackets.values() for row in rows])
        if symbol not in self.brackets:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        return web.json_response(self.brackets[symbol], headers={"X-MBX-USED-WEIGHT-1M": "1"})

    def refusal(self, key: str, query: str) -> tuple[int, int, str] | None:
        """HTTP status, code and words against a signed request; None where it is let in."""
        if len(key) != 64 or not key.isalnum():
            return 401, -2014, "API-key format invalid."
        if key not in self.secrets:
            return 401, -2015, "Invalid API-key, IP, or permissions for action"
        payload, mark, signature = query.rpartition("&signature=")
        expected = hmac.new(self.secrets[key].encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not mark or signature != expected:
            return 400, -1022, "Signature for this request is not valid."
        given = dict(part.split("=") for part in payload.split("&"))
        at, window = int(given["timestamp"]), int(given.get("recvWindow", WINDOW_MS))
        now = self.now_ms + (self.delays_ms.pop(0) if self.delays_ms else 0)
        if window > WINDOW_MAX_MS or not (at < now + AHEAD_MS and now - at <= window):
            return 400, -1021, "Timestamp for this request is outside of the recvWindow."
        return None


def recorded_brackets(symbol: str) -> list[dict[str, Any]]:
    """What leverageBracket said of a symbol on 2024-10-24, in its words: the recording has texts of numbers."""
    rows = _recorded()[f"{symbol.removesuffix('USDT')}/USDT:USDT"]
    return [{"symbol": symbol, "brackets": [{k: json.loads(v) for k, v in row["info"].items()} for row in rows]}]


def recorded_contracts() -> list[str]:
    """The symbols settled in USDT that were recorded that day."""
    return [name.partition("/")[0] + "USDT" for name in _recorded() if name.endswith("/USDT:USDT")]


@cache
def _recorded() -> Any:
    return json.loads(gzip.decompress(recorded("leverage/binance-usdm/leverage_tiers.2024-10-24.json.gz").read_bytes()))
