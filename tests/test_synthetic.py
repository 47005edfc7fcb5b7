"""The synthetic market: the same bytes from the same seed, on the grid, and with the habits of a real one."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.synthetic import SyntheticSource, bridge_extremes, daily_rhythm, exp_nearly, garch
from core.errors import DataError
from core.tape import Tape

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
ROOT = Path(__file__).resolve().parent.parent


def made(*, symbol: str = "BTCUSDT", seed: int = 7, interval: int = MINUTE, **options: object) -> Tape:
    source = SyntheticSource(**options)
    return source.open(venue="test", symbol=symbol, interval_ns=interval, seed=seed).make()


@pytest.fixture(scope="module")
def month() -> Tape:
    return made()


def test_default_month_has_every_minute_from_2024(month: Tape) -> None:
    """30 x 1440 bars, no hole, first open 2024-01-01T00:00Z at the configured price."""
    assert len(month) == 30 * 1440 and month.gaps == () and month.notes == ()
    assert month.columns["ts_venue"][0] == 1_704_067_200_000_000_000 + MINUTE
    assert Decimal(int(month.columns["open"][0])).scaleb(-month.price_scale) == 60_000


def test_same_seed_same_bytes_also_in_another_process(month: Tape) -> None:
    """The tape id is a hash over all columns."""
    code = (
        "from adapters.synthetic import SyntheticSource as S;"
        f"print(S().open(venue='test', symbol='BTCUSDT', interval_ns={MINUTE}, seed=7).make().tape_id)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == month.tape_id == made().tape_id


def test_seed_and_symbol_make_the_market_unless_the_source_names_its_own(month: Tape) -> None:
    """Other run seed or symbol, other market; a seed of the source's own counts alone."""
    assert made(seed=8).tape_id != month.tape_id
    assert not np.array_equal(made(symbol="ETHUSDT").columns["close"], month.columns["close"])
    own = SyntheticSource(days=1, seed=3)
    closes = [
        own.open(venue="test", symbol=symbol, interval_ns=MINUTE, seed=run).make().columns["close"]
        for symbol, run in (("BTCUSDT", 1), ("ETHUSDT", 2))
    ]
    assert np.array_equal(*closes)


def test_a_longer_tape_begins_with_the_shorter_one(month: Tape) -> None:
    """More days append; they do not change the past."""
    week = made(days=7)
    for name, column in week.columns.items():
        assert np.array_equal(column, month.columns[name][: len(week)])


@given(
    seed=st.integers(0, 2**32),
    tick=st.sampled_from(["0.1", "0.05", "1", "0.0001"]),
    step=st.sampled_from(["0.001", "1", "0.25"]),
    volatility=st.sampled_from([0.05, 0.6, 10.0]),
    interval=st.sampled_from([MINUTE, 60 * MINUTE, DAY]),
)
def test_bars_are_consistent_positive_and_on_the_grid(
    seed: int, tick: str, step: str, volatility: float, interval: int
) -> None:
    """Whatever the settings: low <= open, close <= high, prices above zero, multiples of tick and step."""
    tape = made(
        seed=seed, days=5, interval=interval, price=Decimal(150), tick=Decimal(tick), step=Decimal(step),
        volatility=volatility,
    )  # fmt: skip
    opened, high, low, close = (tape.columns[name] for name in ("open", "high", "low", "close"))
    assert np.all(low > 0) and np.all(low <= np.minimum(opened, close)) and np.all(high >= np.maximum(opened, close))
    grid = Decimal(tick).scaleb(tape.price_scale)
    sizes = Decimal(step).scaleb(tape.size_scale)
    for column, unit in ((opened, grid), (high, grid), (low, grid), (close, grid), (tape.columns["volume"], sizes)):
        assert all(int(value) % unit == 0 for value in column[:50])
    assert np.all(tape.columns["volume"] > 0)


def test_returns_have_the_habits_of_a_market(month: Tape) -> None:
    """Fat tails, volatility in clusters, no memory in the returns themselves, volume where the moves are."""
    closes = month.floats("close")
    returns = np.diff(closes) / closes[:-1]
    size = np.abs(returns)
    centred = returns - returns.mean()
    kurtosis = np.mean(centred**4) / np.mean(centred**2) ** 2
    assert 4 < kurtosis < 12
    for lag in (1, 10, 60):
        assert np.corrcoef(size[:-lag], size[lag:])[0, 1] > 0.1
    # Two standard errors of an autocorrelation over n independent rows are 2 / sqrt(n); clustering widens them.
    assert abs(np.corrcoef(returns[:-1], returns[1:])[0, 1]) < 6 / np.sqrt(len(returns))
    assert np.corrcoef(size, month.floats("volume")[1:])[0, 1] > 0.3
    wicks = month.columns["high"] - month.columns["low"] - np.abs(month.columns["close"] - month.columns["open"])
    assert np.mean(wicks > 0) > 0.9


def test_most_bars_open_where_the_last_one_closed(month: Tape) -> None:
    """Else one tick off."""
    jump = np.abs(month.columns["open"][1:] - month.columns["close"][:-1])
    tick = int(Decimal("0.1").scaleb(month.price_scale))
    assert set(jump.tolist()) == {0, tick}
    assert 0.65 < np.mean(jump == 0) < 0.75


def test_volatility_and_volume_come_out_about_as_asked() -> None:
    """A year of hours: 60 % a year within a fifth, the volume within a third."""
    tape = made(days=365, interval=60 * MINUTE)
    closes = tape.floats("close")
    assert np.std(np.diff(closes) / closes[:-1]) * np.sqrt(8760) == pytest.approx(0.6, rel=0.2)
    assert tape.floats("volume").sum() / 365 == pytest.approx(20_000, rel=0.35)


def test_formulas_against_numbers_by_hand() -> None:
    """GARCH: h1 = 0.005 H + (0.05 z^2 + 0.945) h0; rhythm 1.4 at 14:00 and 0.6 at 02:00; bridge and exp."""
    assert garch(np.array([2.0, 0.0, 0.0]), 1.0).tolist() == pytest.approx([1.0, 1.15, 0.005 + 0.945 * 1.15])
    hours = np.array([14, 2, 8, 20]) * 60 * MINUTE
    assert daily_rhythm(hours).tolist() == pytest.approx([1.4, 0.6, 1.0, 1.0])
    # r = 3, v = 2, E = 4: sqrt(9 + 16) = 5, so 4 up and 1 down.
    up, down = bridge_extremes(np.array([3.0]), np.array([2.0]), np.array([[4.0, 4.0]]))
    assert (up[0], down[0]) == (4.0, 1.0)
    assert exp_nearly(np.array([-2.0, 0.0, 2.0])).tolist() == pytest.approx([0.1353, 1.0, 7.389], rel=0.01)


def test_settings_that_give_no_market_are_refused() -> None:
    """A bar longer than the tape; grids coarser than the price; numbers beyond 64 bits."""
    with pytest.raises(DataError, match="1 days are 0 bars"):
        made(days=1, interval=7 * DAY)
    assert dict(SyntheticSource(price=Decimal(10)).check()) == {}  # exactly 100 ticks
    assert "price" in dict(SyntheticSource(price=Decimal(99), tick=Decimal(1)).check())
    assert "price" in dict(SyntheticSource(price=Decimal(10**9), tick=Decimal("0.00000001")).check())
    assert dict(SyntheticSource(step=Decimal(0)).check()) == {"step": "expected a number above zero"}


def test_nothing_heavy_is_imported_for_a_synthetic_run() -> None:
    """Sources may be decoded and a market made without aiohttp, pyarrow, pandas, ccxt or numba."""
    code = (
        "import sys; from adapters.sources import SyntheticSource as S;"
        f"S(days=1).open(venue='t', symbol='X', interval_ns={MINUTE}).make();"
        "print(sorted({'aiohttp', 'pyarrow', 'pandas', 'ccxt', 'numba'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
