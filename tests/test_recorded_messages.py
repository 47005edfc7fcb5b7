"""Every recorded message of ../shared/data/messages is decoded by what reads its kind, or its kind is named as unread.

A message that appears there and is neither fails by name.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.binance import frames as binance_frames
from adapters.binance import translate as binance
from adapters.binance import wire as binance_wire
from adapters.binance.instruments import ExchangeInfo
from adapters.binance.instruments import tiers_of as binance_tiers_of
from adapters.bybit import frames as bybit_frames
from adapters.bybit import translate as bybit
from adapters.bybit import wire as bybit_wire
from adapters.bybit.instruments import instruments_of, tiers_of
from adapters.columns import Origin
from adapters.recorded import okx
from recorded import DATA
from recorded_answers import body_of

MESSAGES = DATA / "messages"
HERE = Origin("here")
ONE_ROW = 1


def _length(decode: Callable[[Any], Any]) -> Callable[[Any], int]:
    """How many rows an answer has for a decoder."""
    return lambda body: len(decode(body))


def _frame(kind: Any) -> Callable[[Any], int]:
    """A message that is one frame."""

    def decode(body: Any) -> int:
        msgspec.convert(body, kind)
        return ONE_ROW

    return decode


def _bybit(row: Any, to_rows: Any) -> Callable[[Any], int]:
    return lambda body: len(to_rows(bybit_wire.listing(body, row), HERE))


def _bybit_topic(kind: Any) -> Callable[[Any], int]:
    def decode(body: Any) -> int:
        envelope = msgspec.json.decode(msgspec.json.encode(body), type=bybit_frames.Envelope)
        assert envelope.topic
        found = msgspec.json.decode(envelope.data, type=kind)
        return len(found) if isinstance(found, list) else ONE_ROW

    return decode


def _okx(kind: Any) -> Callable[[Any], int]:
    def decode(body: Any) -> int:
        message = msgspec.json.decode(msgspec.json.encode(body), type=okx._Message)
        return len(msgspec.json.decode(message.data, type=list[kind]))

    return decode


klines = _length(lambda body: binance.bars_of(binance_wire.page(body, binance_wire.Kline), HERE))
agg_trades = _length(lambda body: binance.agg_trades_of(binance_wire.page(body, binance_wire.AggTrade), HERE))
trades = _length(lambda body: binance.trades_of(binance_wire.page(body, binance_wire.Trade), HERE))
funding = _length(lambda body: binance.funding_of(binance_wire.page(body, binance_wire.Funding), HERE))
bybit_instruments = _length(lambda body: instruments_of(bybit_wire.page(body).rows, 1))
bybit_tiers = _length(lambda body: tiers_of(bybit_wire.page(body).rows, 1).tiers)

REST, CRATE = "binance/binance.net-endpoints", "binance/nautilus-crate"
READ: dict[str, Callable[[Any], int]] = {
    f"{REST}/Spot/ExchangeData/GetKlines.txt": klines,
    f"{REST}/Spot/ExchangeData/GetUiKlines.txt": klines,
    f"{REST}/UsdFutures/ExchangeData/GetKlines.txt": klines,
    f"{REST}/UsdFutures/ExchangeData/GetMarkPriceKlines.txt": klines,
    f"{REST}/UsdFutures/ExchangeData/GetIndexPriceKlines.txt": klines,
    f"{REST}/*/ExchangeData/GetAggregatedTradeHistory.txt": agg_trades,
    f"{REST}/Spot/ExchangeData/Get*TradeHistory.txt": trades,
    f"{REST}/UsdFutures/ExchangeData/Get*TradeHistory.txt": trades,
    f"{REST}/Spot/ExchangeData/GetRecentTrades.txt": trades,
    f"{REST}/UsdFutures/ExchangeData/GetRecentTrades.txt": trades,
    f"{REST}/UsdFutures/ExchangeData/GetFundingRates.txt": funding,
    f"{REST}/*/ExchangeData/GetServerTime.txt": lambda body: int(binance_wire.server_time(body) > 0),
    f"{REST}/Spot/ExchangeData/GetExchangeInfo.txt": _frame(ExchangeInfo),
    f"{REST}/UsdFutures/ExchangeData/GetExchangeInfo.txt": _frame(ExchangeInfo),
    f"{REST}/*/ExchangeData/GetOrderBook.txt": _frame(binance_frames.DepthSnapshot),
    f"{REST}/UsdFutures/Account/GetBrackets.txt": _length(lambda body: binance_tiers_of(body, "ETHUSDT", 1).tiers),
    f"{CRATE}/spot/http_json/klines_response.json": klines,
    f"{CRATE}/spot/http_json/trades_response.json": trades,
    f"{CRATE}/spot/http_json/depth_response.json": _frame(binance_frames.DepthSnapshot),
    f"{CRATE}/spot/http_json/server_time_response.json": lambda body: int(binance_wire.server_time(body) > 0),
    f"{CRATE}/spot/http_json/exchange_info_response.json": _frame(ExchangeInfo),
    f"{CRATE}/futures/market_data_json/agg_trade_stream.json": _frame(binance_frames.AggTrade),
    f"{CRATE}/futures/market_data_json/trade_stream.json": _frame(binance_frames.Trade),
    f"{CRATE}/futures/market_data_json/book_ticker_stream.json": _frame(binance_frames.BookTicker),
    f"{CRATE}/futures/market_data_json/depth_update_stream.json": _frame(binance_frames.DepthUpdate),
    f"{CRATE}/futures/market_data_json/mark_price_stream.json": _frame(binance_frames.MarkPrice),
    "bybit/bybit.net-endpoints/ExchangeData/GetKlines.txt": _bybit(bybit_wire.Kline, bybit.bars_of),
    "bybit/bybit.net-endpoints/ExchangeData/Get*[kx]PriceKlines.txt": _bybit(
        bybit_wire.PriceKline, bybit.price_bars_of
    ),
    "bybit/bybit.net-endpoints/ExchangeData/GetTradeHistory.txt": _bybit(bybit_wire.Trade, bybit.trades_of),
    "bybit/bybit.net-endpoints/ExchangeData/GetFundingRateHistory.txt": _bybit(bybit_wire.Funding, bybit.funding_of),
    "bybit/bybit.net-endpoints/ExchangeData/GetRiskLimit.txt": bybit_tiers,
    "bybit/bybit.net-endpoints/ExchangeData/GetLinearInverseSymbols*.txt": bybit_instruments,
    "bybit/bybit.net-endpoints/ExchangeData/GetSpotSymbols.txt": bybit_instruments,
    "bybit/nautilus-crate/http_get_klines_linear.json": _bybit(bybit_wire.Kline, bybit.bars_of),
    "bybit/nautilus-crate/http_get_trades_recent.json": _bybit(bybit_wire.Trade, bybit.trades_of),
    "bybit/nautilus-crate/http_get_funding_history.json": _bybit(bybit_wire.Funding, bybit.funding_of),
    "bybit/nautilus-crate/http_get_instruments_linear*.json": bybit_instruments,
    "bybit/nautilus-crate/http_get_instruments_spot*.json": bybit_instruments,
    "bybit/nautilus-crate/ws_orderbook_*.json": _bybit_topic(bybit_frames.Book),
    "bybit/nautilus-crate/ws_public_trade.json": _bybit_topic(list[bybit_frames.Trade]),
    "bybit/nautilus-crate/ws_ticker_linear.json": _bybit_topic(bybit_frames.Ticker),
    "okx/nautilus-crate/ws_books_*.json": _okx(okx._Book),
    "okx/nautilus-crate/ws_trades.json": _okx(okx._Trade),
}
"""Kinds we read, and how."""
UNREAD = {
    f"{REST}/*/Trading/*": "orders and fills: live trading's",
    f"{REST}/*/Account/*": "signed requests",
    f"{REST}/CoinFutures/ExchangeData/*": "COIN-M: its recordings are read, it is not asked over REST",
    f"{REST}/*/ExchangeData/*": "not a kind of tape: tickers, indexes of others, interest, delistings, constituents",
    f"{CRATE}/*/user_data_*": "the account's stream: live trading's",
    f"{CRATE}/futures/http_json/*": "signed requests",
    f"{CRATE}/spot/http_json/*": "signed requests, tickers, pings",
    f"{CRATE}/futures/market_data_json/*": "klines in progress, tickers, liquidations of others",
    "bybit/bybit.net-endpoints/Trading/*": "orders and fills: live trading's",
    "bybit/bybit.net-endpoints/Account/*": "signed requests",
    "bybit/bybit.net-endpoints/ExchangeData/*": "not a kind of tape: tickers, options, spreads, leverage tokens",
    "bybit/nautilus-crate/http_get_*": "signed requests, inverse contracts, options, one-off books",
    "bybit/nautilus-crate/ws_*": "the account's stream, options, klines in progress, answers to requests",
    "okx/nautilus-crate/*": "asked through ccxt; of its own streams books and trades are read",
}
"""Kinds nobody reads, and why. What READ names counts first."""


def names() -> list[str]:
    """Every recorded message, by its path below `messages`."""
    return sorted(path.relative_to(MESSAGES).as_posix() for path in MESSAGES.rglob("*") if path.is_file())


def reader_of(name: str) -> Callable[[Any], int] | None:
    return next((decode for pattern, decode in READ.items() if fnmatch(name, pattern)), None)


READ_NAMES = [name for name in names() if reader_of(name) is not None]
MARKET_DATA = ("kline", "trade", "depth", "book", "funding", "instrument", "exchangeinfo", "exchange_info", "risklimit",
               "symbols", "mark_price")  # fmt: skip
"""What the name of a message has in it that may be of a kind we read."""
LOOK_ALIKE = {
    f"{REST}/UsdFutures/ExchangeData/GetContinuousContractKlines.txt": "of a pair and contract type, not of a symbol",
    f"{REST}/UsdFutures/ExchangeData/GetPremiumIndexKlines.txt": "a fraction, no price",
    f"{REST}/UsdFutures/ExchangeData/GetFundingInfo.txt": "bounds of rates, no rates",
    f"{REST}/Spot/ExchangeData/GetBookPrice.txt": "one moment's quote",
    f"{REST}/UsdFutures/ExchangeData/GetBookPrice.txt": "one moment's quote",
    f"{REST}/Spot/ExchangeData/GetTradingDayTicker.txt": "a ticker",
    f"{REST}/Spot/ExchangeData/GetIsolatedMarginSymbols.txt": "a signed request",
    f"{REST}/Spot/ExchangeData/GetMarginSymbols.txt": "a signed request",
    f"{CRATE}/spot/http_json/account_trades_response.json": "a signed request",
    f"{CRATE}/spot/http_json/book_ticker_response.json": "one moment's quote",
    f"{CRATE}/futures/market_data_json/kline_stream_closed.json": "bars of a stream are made of its trades",
    f"{CRATE}/futures/market_data_json/kline_stream_open.json": "bars of a stream are made of its trades",
}
"""Messages of market data that are of no kind we read, each by name."""


@pytest.fixture(autouse=True)
def _recorded_messages_are_here() -> None:
    if not MESSAGES.is_dir():
        pytest.skip("recorded data is not here: ../shared/data/messages")


@pytest.mark.parametrize("name", READ_NAMES)
def test_a_recorded_message_of_a_kind_we_read_decodes_to_rows(name: str) -> None:
    decode = reader_of(name)
    assert decode is not None and decode(body_of(MESSAGES / name)) >= 1


def test_every_recorded_message_is_read_or_named_as_unread() -> None:
    unknown = [name for name in names() if not reader_of(name) and not any(fnmatch(name, one) for one in UNREAD)]
    assert unknown == []


def test_nothing_is_named_that_is_not_there() -> None:
    """A renamed fixture would else leave its kind untested."""
    there = names()
    assert [one for one in [*READ, *UNREAD, *LOOK_ALIKE] if not any(fnmatch(name, one) for name in there)] == []


def test_public_market_data_of_binance_and_bybit_is_read_or_excused_by_its_own_name() -> None:
    """UNREAD excuses whole folders; what sounds like rows of a market must be in LOOK_ALIKE to be unread."""
    public = (f"{REST}/Spot/Ex", f"{REST}/UsdFutures/Ex", f"{CRATE}/spot/http", f"{CRATE}/futures/market")
    sounding = [
        name
        for name in names()
        if name.startswith(public) and any(word in Path(name).name.lower() for word in MARKET_DATA)
    ]
    assert [name for name in sounding if not reader_of(name) and name not in LOOK_ALIKE] == []
    assert len([name for name in sounding if reader_of(name)]) > 20
