"""The configs a user with internet runs first, run against recorded rows on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from core.compose import compose, read_plan
from core.events import FundingPaid
from core.tape import Tape
from loopback import Loopback, listening
from recorded import read, recorded, texts
from recorded_answers import binance_klines, bybit_klines

MS = 1_000_000
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def binance() -> Loopback:
    """Real minutes and bookings of May 2025; no recording has marks of that length, so the bars' prices stand in."""
    path = "bars/binance-usdm/BTCUSDT-1m.2025-05.feather"
    bars = read(recorded(path), "bars", "BTCUSDT", venue="binance-usdm", interval_ns=MINUTE)
    funding = read(recorded("funding/binance-usdm/BTCUSDT-funding.2025-03_2025-06.feather"), "funding", "BTCUSDT")
    rows = binance_klines(bars)
    venue = Loopback(now_ms=rows[-1][6] + 1)
    venue.rows = {
        "/fapi/v1/klines": rows,
        "/fapi/v1/markPriceKlines": rows,
        "/fapi/v1/fundingRate": [
            {"symbol": "BTCUSDT", "fundingTime": at // MS, "fundingRate": rate, "markPrice": ""}
            for at, rate in zip(funding.columns["ts_venue"].tolist(), texts(funding, "rate"), strict=True)
        ],
    }
    return venue


def bybit() -> Loopback:
    """Real hours, marks and bookings of 2024."""

    def rows(path: str, kind: Any) -> Tape:
        return read(recorded(path), kind, "BTCUSDT", venue="bybit-linear", interval_ns=HOUR)

    funding = rows("funding/bybit-linear/BTCUSDT-funding.2023_2026-02.feather", "funding")
    venue = Loopback(now_ms=1_735_700_000_000)
    venue.rows = {
        "/v5/market/kline": bybit_klines(rows("bars/bybit-linear/BTCUSDT-1h.2023_2026-02.feather", "bars")),
        "/v5/market/mark-price-kline": bybit_klines(
            rows("mark_price/bybit-linear/BTCUSDT-mark-1h.2023_2026-02.feather", "marks")
        ),
        "/v5/market/funding/history": [
            {"symbol": "BTCUSDT", "fundingRate": rate, "fundingRateTimestamp": str(at // MS)}
            for at, rate in zip(funding.columns["ts_venue"].tolist(), texts(funding, "rate"), strict=True)
        ],
    }
    return venue


@pytest.mark.parametrize(
    ("name", "venue", "end"),
    [("binance_ema.yaml", binance, "2025-05-08"), ("bybit_ema.yaml", bybit, "2024-02-01")],
)
async def test_the_first_configs_run_from_fetch_to_fills_and_ask_nothing_the_second_time(
    name: str, venue: Any, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shorter range than the file's; bars, marks and funding come from the server, then from the cache."""
    monkeypatch.chdir(tmp_path)
    held = venue()
    told: list[list[Any]] = []
    async with listening(held) as url:
        text = re.sub(r", end: [-0-9]+}", f", end: {end}, base_url: '{url}'}}", (CONFIGS / name).read_text())
        for asks in (True, False):
            held.asked.clear()
            plan = read_plan(name, text=text)
            async with compose(plan) as engine:
                await engine.run()
                recording = engine.parts.run.recording
            assert bool(held.asked) is asks
            told.append([(fill.ts, fill.price, fill.qty) for fill in recording.fills])
            bookings = [event for event in recording.account_events if isinstance(event, FundingPaid)]
    assert told[0] == told[1] and len(told[0]) > 10 and len(bookings) > 3


def test_the_first_configs_name_bars_marks_and_funding() -> None:
    """What the account of a perpetual needs."""
    for name in ("binance_ema.yaml", "bybit_ema.yaml"):
        assert [stream.kind for stream in read_plan(CONFIGS / name).streams] == ["bars", "marks", "funding"]
