"""Where history can come from: what `data[].source` may say, told apart by `kind`."""

from __future__ import annotations

from adapters.binance.history import VENUES as BINANCE_VENUES
from adapters.binance.history import BinanceSource
from adapters.bybit.history import VENUES as BYBIT_VENUES
from adapters.bybit.history import BybitSource
from adapters.ccxt_venue import CcxtSource
from adapters.files import FileSource
from adapters.remote_source import Line
from adapters.synthetic import SyntheticSource
from adapters.venue_fetcher import VenueFetcher

Source = SyntheticSource | FileSource | BinanceSource | BybitSource | CcxtSource


def fetcher_of(venue: str, symbol: str, *, line: Line) -> VenueFetcher:
    """The fetcher of a venue under its default settings, by one word: `binance-usdm`, `bybit-spot`, or ccxt's id of an
    exchange, such as `kraken`.

    Raises UsageError for any other.
    """
    source: BinanceSource | BybitSource | CcxtSource
    if venue in BINANCE_VENUES:
        source = BinanceSource(start=0)
    elif venue in BYBIT_VENUES:
        source = BybitSource(start=0)
    else:
        source = CcxtSource(start=0, exchange=venue)
    return source.fetcher(venue=venue, symbol=symbol, line=line)


__all__ = ["BinanceSource", "BybitSource", "CcxtSource", "FileSource", "Source", "SyntheticSource", "fetcher_of"]
