"""A key of Binance's and what it signs: HMAC-SHA256 over the encoded query, which the signature then ends.

Keys are named in a config and stand in the environment; neither is in any message, and the key's `repr` is its name.
The order of the parameters is free (venues.md section 1, `auth`); ours is ccxt's, so that the two can be compared.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from adapters.environment import from_environment
from adapters.http import Refused, Signed
from core.errors import UsageError, VenueError
from core.settings.yaml_nodes import SECRET_REFERENCE

KEY_HEADER = "X-MBX-APIKEY"
RECV_WINDOW_MS = 5000
"""How old a request may be when it arrives; the venue's own default, and at most 60,000."""
STALE = -1021
"""The request's time is not within the window: proof that nothing was done with it."""
REMEDIES: Final[Mapping[int, str]] = {
    STALE: f"it took longer than {RECV_WINDOW_MS} ms twice to arrive: check the connection and the proxy",
    -1022: "check that the secret belongs to the key, and that it is one for HMAC and not for RSA or Ed25519",
    -2014: "check the key: it is not of the form that Binance gives out",
    -2015: "check that the key is of this host (a testnet has its own), may read, and is not bound to another address",
}
"""By the venue's code (section 4): what a reader of the message can do."""


class ApiKey:
    """A key and its secret, as the environment has them when the key is made."""

    def __init__(self, key: str, secret: str) -> None:
        """`key` and `secret` as configs name them: `env:NAME`. Raises UsageError where the environment has them not."""
        self._key = _given("api_key", key)
        self._secret = _given("api_secret", secret)
        self.names = f"{key}, {secret}"

    def __repr__(self) -> str:
        return f"ApiKey({self.names})"

    def signed(self, params: Mapping[str, str | int], at_ms: int) -> Signed:
        """A request that says it was made at `at_ms` of the venue's clock."""
        query = urlencode({"timestamp": at_ms, **params, "recvWindow": RECV_WINDOW_MS})
        signature = signature_of(query, self._secret)
        hidden = (self._key, self._secret, signature)
        return Signed(f"{query}&signature={signature}", {KEY_HEADER: self._key}, hidden)

    def refused(self, refusal: Refused) -> VenueError:
        """What a refusal means to whoever gave the key; one that is not about the key stays as it is."""
        remedy = REMEDIES.get(refusal.code or 0)
        if remedy is None:
            return refusal
        return VenueError(
            f"{refusal.path}: Binance refuses the request signed with {self.names} (code {refusal.code}: "
            f"{refusal.message}); {remedy}"
        )


def signature_of(query: str, secret: str) -> str:
    """Hexadecimal."""
    return hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()


def _given(field: str, reference: str) -> str:
    if not SECRET_REFERENCE.fullmatch(reference):  # it may be the secret itself: not repeated
        raise UsageError(f"`{field}`: expected the name of what the environment has, like env:BINANCE_KEY")
    value = from_environment(field, reference, "the key alone, or leave the key out")
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError(
            f"`{field}: {reference}`: what the environment has there is empty or has blanks or line breaks in it; set "
            "it to the key alone"
        )
    return value
