"""Where history and brackets can come from: what `data[].source` and `venue.brackets` may say, told apart by `kind`."""

from __future__ import annotations

from adapters.binance.brackets import BinanceBrackets
from adapters.binance.history import BinanceSource
from adapters.bybit.brackets import BybitBrackets
from adapters.bybit.history import BybitSource
from adapters.ccxt_venue import CcxtSource
from adapters.files import FileSource
from adapters.remote_source import RemoteSource
from adapters.synthetic import SyntheticSource

Source = SyntheticSource | FileSource | BinanceSource | BybitSource | CcxtSource
Brackets = BinanceBrackets | BybitBrackets


def source_of(venue: str, start: int, end: int | None) -> RemoteSource:
    """The source of a venue under its default settings, by one word: `binance-usdm`, `bybit-spot`, or ccxt's id of an
    exchange, such as `kraken`. A name that nobody has is refused when the source is opened.
    """
    if venue.startswith("binance-"):
        return BinanceSource(start=start, end=end)
    if venue.startswith("bybit-"):
        return BybitSource(start=start, end=end)
    return CcxtSource(exchange=venue, start=start, end=end)


__all__ = [
    "BinanceBrackets",
    "BinanceSource",
    "Brackets",
    "BybitBrackets",
    "BybitSource",
    "CcxtSource",
    "FileSource",
    "Source",
    "SyntheticSource",
    "source_of",
]
