"""Which formats of recorded rows there are, which kinds each can hold, and how a file is recognised."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from adapters import ccxt_trades, trades_csv, wrapped
from adapters.binance import dumps as binance_dumps
from adapters.binance import recording as binance_recording
from adapters.bybit import dumps as bybit_dumps
from adapters.bybit import recording as bybit_recording
from adapters.columns import Origin
from adapters.csv_table import fields_of
from adapters.marks import read_funding, read_price_bars
from adapters.recorded import bitstamp, hyperliquid, okx, recordings, tardis
from core.errors import DataError
from core.tape import Kind, Tape

Reader = Callable[..., Tape]
"""(path, kind, *, venue, symbol, feed_ns) to a tape."""


class Format(NamedTuple):
    """One way in which rows are stored."""

    kinds: tuple[str, ...]
    what: str
    """For people."""
    read: Reader


def read_rows(
    path: Path,
    kind: Kind,
    *,
    format: str,
    venue: str,
    symbol: str,
    feed_ns: int,
    market: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Tape:
    """The rows of one kind and symbol in a file that is no bars. `format` is a name of FORMATS or `auto`; `columns`
    belong to `csv`.

    Raises DataError where the file is none of the formats that can hold this kind, and for all that is wrong inside.
    """
    origin = Origin(str(path))
    arrow = arrow_kind(path)
    if kind in ("marks", "index") and format not in FORMATS and (arrow or not _is_recording(path, origin)):
        return read_price_bars(path, kind, venue=venue, symbol=symbol, arrow=arrow)
    if kind == "funding":
        return read_funding(path, venue=venue, symbol=symbol, arrow=arrow)
    if arrow is not None:
        if kind != "trades":
            raise _unknown(origin, kind, f"is a {arrow} file that is no tape")
        return ccxt_trades.read_feather(path, kind, venue=venue, symbol=symbol, feed_ns=feed_ns, arrow=arrow)
    name = format if format in FORMATS else _recognised(path, kind, origin)
    chosen = FORMATS[name]
    if kind not in chosen.kinds:
        raise _unknown(origin, kind, f"is {chosen.what}, which hold {', '.join(chosen.kinds)}")
    options: dict[str, Any] = {"venue": venue, "symbol": symbol, "feed_ns": feed_ns}
    if chosen.read is bybit_recording.read_recording:
        options["market"] = market
    elif chosen.read is trades_csv.read_trades:
        options["columns"] = columns
    return chosen.read(path, kind, **options)


def arrow_kind(path: Path) -> str | None:
    """`parquet` or `feather`; None for text and its wrappings."""
    with path.open("rb") as stream:
        magic = stream.read(6)
    if magic[:4] == b"PAR1":
        return "parquet"
    if magic == b"ARROW1" or magic[:4] == b"FEA1":
        return "feather"
    return None


def _is_recording(path: Path, origin: Origin) -> bool:
    return recordings.looks_recorded(wrapped.head(path, origin))


def _recognised(path: Path, kind: Kind, origin: Origin) -> str:
    """The format of a text, by its first line."""
    head = wrapped.head(path, origin)
    if not head.strip():
        raise origin.whole("is empty", kind, "check the path, or fetch the data again")
    if head.lstrip()[:1] == b"[":
        return "ccxt"
    if recordings.looks_recorded(head):
        name = next((name for name, words in _RECORDED if words.search(head)), None)
        if name is None:
            raise _unknown(origin, kind, "is a recorded session of a venue I have no words of")
        return name
    fields = fields_of(head.partition(b"\n")[0])
    for name, looks_like in _TABLES:
        if looks_like(fields):
            return name
    raise _unknown(origin, kind, f"begins with {head[:60]!r}, which is none of them")


_RECORDED = (
    ("bybit-recording", re.compile(rb'"topic\\?":|bybit\.com|"exchange":"BYBIT"')),
    ("okx-recording", re.compile(rb'"exchange":"OKX"|okx\.com|"instId\\?":')),
    ("hyperliquid-recording", re.compile(rb'"channel\\?":\\?"(l2Book|trades)\\?"')),
    ("binance-recording", re.compile(rb'"stream\\?":|"lastUpdateId\\?":|"e\\?":|binance\.com|"exchange":"BINANCE')),
)
"""What each venue's recordings say early on."""
_TABLES: tuple[tuple[str, Callable[[list[str]], bool]], ...] = (
    ("tardis", tardis.looks_like_tardis),
    ("bitstamp", bitstamp.looks_like_bitstamp),
    ("bybit-dump", bybit_dumps.looks_like_dump),
    ("binance-dump", binance_dumps.looks_like_dump),
    ("csv", trades_csv.looks_like_trades),
)
FORMATS: dict[str, Format] = {
    "binance-recording": Format(binance_recording.KINDS, "recorded Binance streams", binance_recording.read_recording),
    "bybit-recording": Format(
        bybit_recording.KINDS, "recorded Bybit streams or an ob500 dump", bybit_recording.read_recording
    ),
    "okx-recording": Format(okx.KINDS, "recorded OKX streams", okx.read_recording),
    "hyperliquid-recording": Format(hyperliquid.KINDS, "recorded Hyperliquid streams", hyperliquid.read_recording),
    "binance-dump": Format(binance_dumps.KINDS, "a public dump of Binance", binance_dumps.read_dump),
    "bybit-dump": Format(bybit_dumps.KINDS, "a public dump of Bybit", bybit_dumps.read_dump),
    "tardis": Format(tardis.KINDS, "a Tardis.dev CSV", tardis.read_tardis),
    "bitstamp": Format(bitstamp.KINDS, "recorded Bitstamp orders or trades", bitstamp.read_bitstamp),
    "csv": Format(trades_csv.KINDS, "a CSV with a header: time, price, qty, side", trades_csv.read_trades),
    "ccxt": Format(ccxt_trades.KINDS, "trades as ccxt stores them", ccxt_trades.read_json),
}


def _unknown(origin: Origin, kind: Kind, found: str) -> DataError:
    able = [f"{name} ({entry.what})" for name, entry in FORMATS.items() if kind in entry.kinds]
    return origin.whole(
        found,
        f"{kind} in one of these formats: {'; '.join([*able, 'a Parquet tape of ours'])}",
        "check `kind`, or set `format`",
    )
