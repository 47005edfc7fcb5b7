"""Bars built by the one aggregator, against bars that venues made of the same time: every bar, every difference.

| venue, built from | bars compared | different | why |
|---|---|---|---|
| Bybit linear BTC 15m -> 1h, 2023-11-29 to 2026-01-05 | 18,444 | 0 | |
| Bybit linear ETH 15m -> 1h, 2023-12-18 to 2026-01-05 | 17,988 | 0 | |
| Bybit linear BTC and ETH 5m -> 15m, 2025-06-22 to 2025-08-21 | 2 x 5,778 | 0 | |
| Binance USD-M BTC and ETH 5m -> 15m, 2024-10 to 2025-02 | 2 x 13,673 | 2 x 3 | stalls of the venue on 2024-10-28 and \
2025-01-29: its own 15m bar and its own 5m bars tell different opens, extremes and volumes |
| Bybit linear 1m bars under way, from trades | 4 symbols | opens | a bar of Bybit opens at the last price before it, \
which counts among its extremes; its first trade may be elsewhere |
| Binance USD-M 1m bars under way, from aggTrades | 4 symbols | none where all trades were told | an aggTrade comes \
when it is complete: the bar may know trades that are told later; one trade of AKRO (27931357) was never told |
| Binance spot 1m bars under way, from aggTrades | 2 symbols | none where all trades were told | 29 trades of NKN lie \
before the recording |
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest

from core.events import Bar, TradeTick
from core.market.bar_aggregator import BarAggregator
from core.market.tape_events import batches
from core.tape import Rows
from recorded import read, recorded

MINUTE = 60_000_000_000


def bars_of(name: str, interval_ns: int) -> Rows:
    return read(recorded(f"bars/{name}"), "bars", "X", interval_ns=interval_ns)


def events(tape: Rows) -> Iterator[Any]:
    return (event for batch in batches(tape, 0) for event in batch)


def differences(small: Rows, large: Rows) -> tuple[int, dict[int, set[str]]]:
    """How many bars were compared, and what is not the same by open time. Volumes as the whole steps they are."""
    aggregator = BarAggregator(large.interval_ns)
    built = {bar.open_time: bar for one in events(small) for bar in aggregator.add(one)}
    first, last = min(built), max(built)
    theirs = {bar.open_time: bar for bar in events(large) if first <= bar.open_time <= last}
    assert built.keys() == theirs.keys()
    step = 10.0 ** max(small.size_scale, large.size_scale)
    found: dict[int, set[str]] = {}
    for opened, bar in built.items():
        other = theirs[opened]
        wrong = {name for name in ("open", "high", "low", "close") if getattr(bar, name) != getattr(other, name)}
        if round(bar.volume * step) != round(other.volume * step):
            wrong.add("volume")
        if wrong:
            found[opened] = wrong
    return len(built), found


@pytest.mark.parametrize(
    ("symbol", "small", "large", "interval", "count"),
    [
        ("BTCUSDT", "15m.2023_2026-01", "1h.2023_2026-02", 60, 18_444),
        ("ETHUSDT", "15m.2023_2026-01", "1h.2023_2026-02", 60, 17_988),
        ("BTCUSDT", "5m.2025-06_2025-08", "15m.2023_2026-01", 15, 5_778),
        ("ETHUSDT", "5m.2025-06_2025-08", "15m.2023_2026-01", 15, 5_778),
    ],
)
def test_bars_of_bybit_are_the_sum_of_its_smaller_ones(
    symbol: str, small: str, large: str, interval: int, count: int
) -> None:
    """Two years of hours from quarters, every bar, every number."""
    parts = 4 if interval == 60 else 3
    shorter = bars_of(f"bybit-linear/{symbol}-{small}.feather", interval // parts * MINUTE)
    longer = bars_of(f"bybit-linear/{symbol}-{large}.feather", interval * MINUTE)
    assert differences(shorter, longer) == (count, {})


STALLS = {
    1730133000_000000000: {"open"},  # 2024-10-28T16:30Z
    1730149200_000000000: {"open", "low"},  # 2024-10-28T21:00Z
}


@pytest.mark.parametrize(("symbol", "last"), [("BTCUSDT", {"open", "high", "volume"}), ("ETHUSDT", {"open", "volume"})])
def test_bars_of_binance_are_the_sum_of_its_smaller_ones_but_in_two_stalls(symbol: str, last: set[str]) -> None:
    """The venue's own bars contradict each other there; ours follow the smaller ones. The last is 2025-01-29T01:30Z."""
    small = bars_of(f"binance-usdm/{symbol}-5m.2024-10_2025-02.feather", 5 * MINUTE)
    large = bars_of(f"binance-usdm/{symbol}-15m.2024-10_2025-02.feather", 15 * MINUTE)
    assert differences(small, large) == (13_673, STALLS | {1738114200_000000000: last})


# --- from trades ----------------------------------------------------------------------------------------------------


def built(trades: list[TradeTick], opened: int) -> Bar:
    """The minute of these trades, ended by one that comes after it; ours begin with the minute."""
    aggregator = BarAggregator(MINUTE)
    before = TradeTick(opened - 1, opened - 1, "v", "X", 1.0, 1.0, "buy")
    after = TradeTick(opened + MINUTE, opened + MINUTE, "v", "X", 1.0, 1.0, "buy")
    made = [bar for trade in (before, *trades, after) for bar in aggregator.add_trade(trade)]
    (bar,) = [bar for bar in made if bar.open_time == opened]
    return bar


def lines_of(path: Path) -> list[str]:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode().splitlines()
    with path.open("rb") as raw, arrow.CompressedInputStream(raw, "zstd") as stream:
        return str(stream.read().decode()).splitlines()


def bybit_bars(path: Path, symbol: str) -> list[dict[str, Any]]:
    """What the linear connection said of the symbol's minute, message by message."""
    found = []
    for line in lines_of(path):
        record = json.loads(line)
        if record["t"] == "recv" and record["conn"] == "BYBIT.ws.2" and f'"kline.1.{symbol}"' in record["data"]:
            found += json.loads(record["data"])["data"]
    return found


@pytest.mark.parametrize(("symbol", "count"), [("BTCUSDT", 20), ("ETHUSDT", 11), ("SOLUSDT", 23), ("DOGEUSDT", 11)])
def test_a_bar_of_bybit_under_way_is_that_of_the_trades_so_far(symbol: str, count: int) -> None:
    """21:27, told about once a second: each time the trades up to some moment sum up to its volume to the last digit,
    and give its close; with the last close before the minute, where Bybit opens a bar, they give its extremes."""
    path = recorded("raw_sessions/bybit-v5/2026-08-09.BYBIT.jsonl.zst")
    told = bybit_bars(path, symbol)
    tape = read(path, "trades", symbol, market="linear")
    opened = told[-1]["start"] * 1_000_000
    trades = [trade for trade in events(tape) if trade.ts_venue >= opened]
    step = 10.0**tape.size_scale
    volumes = [0, *accumulate(round(trade.qty * step) for trade in trades)]
    (before,) = [bar for bar in told if bar["confirm"]]
    under_way = [bar for bar in told if bar["start"] == told[-1]["start"]]
    assert len(under_way) == count
    for bar in under_way:
        so_far = trades[: volumes.index(round(float(bar["volume"]) * step))]
        assert bar["open"] == before["close"]
        if so_far:
            ours, start = built(so_far, opened), float(bar["open"])
            assert (max(ours.high, start), min(ours.low, start)) == (float(bar["high"]), float(bar["low"]))
            assert (ours.close, round(ours.volume * step)) == (float(bar["close"]), round(float(bar["volume"]) * step))


def binance_messages(path: Path, symbol: str, event: str) -> list[dict[str, Any]]:
    found = []
    for line in lines_of(path):
        _, brace, text = line.partition(": {")
        data = json.loads(brace[2:] + text).get("data", {}) if brace else {}
        if data.get("e") == event and data.get("s") == symbol:
            found.append(data)
    return found


FUTURES, SPOT = "binance-usdm/2021-07-22.BINANCE_FUTURES.ws.1.0.gz", "binance-spot/2021-10-12.BINANCE.ws.1.0.gz"


@pytest.mark.parametrize(
    ("session", "symbol", "equal", "untold"),
    [
        (FUTURES, "CTKUSDT", 9, {23961363: 1, 23961376: 1}),  # told with their aggTrade, a moment later
        (FUTURES, "SUSHIUSDT", 5, {126902994: 1}),
        (FUTURES, "KEEPUSDT", 1, {2398360: 1}),
        (FUTURES, "AKROUSDT", 0, {27931357: 1, 27931361: 1}),  # trade 27931357 was never told
        (SPOT, "LRCBTC", 1, {}),
        (SPOT, "NKNUSDT", 0, {19862790: 29}),  # made before the recording began
    ],
)
def test_a_bar_of_binance_under_way_is_that_of_its_trades(
    session: str, symbol: str, equal: int, untold: dict[int, int]
) -> None:
    """A bar names its first and last trade, so the aggTrades in it are known; where all of them were told, every
    number is the same. `untold`: by last trade, how many of its trades had not been told."""
    path = recorded(f"raw_sessions/{session}")
    bars = [message["k"] for message in binance_messages(path, symbol, "kline")]
    under_way = [bar for bar in bars if bar["t"] == bars[-1]["t"]]
    named = binance_messages(path, symbol, "aggTrade")
    tape = read(path, "trades", symbol)
    trades = list(events(tape))
    assert [trade.price for trade in trades] == [float(message["p"]) for message in named]
    same, missing = 0, {}
    for bar in under_way:
        inside = [at for at, one in enumerate(named) if one["f"] >= bar["f"] and one["l"] <= bar["L"]]
        lost = bar["n"] - sum(named[at]["l"] - named[at]["f"] + 1 for at in inside)
        if lost:
            missing[bar["L"]] = lost
            continue
        ours = built([trades[at] for at in inside], bar["t"] * 1_000_000)
        numbers = (ours.open, ours.high, ours.low, ours.close, ours.volume)
        assert numbers == pytest.approx(tuple(float(bar[key]) for key in "ohlcv"), rel=1e-12)
        same += 1
    assert (same, missing) == (equal, untold)
