"""The bars of a scenario as the tape a venue walks, and the last price of a symbol at any time.

The rows become a `Tape`, so a scenario runs through the cursor and the market of a backtest and nothing of its own.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import numpy as np

from core.errors import DataError
from core.instruments import decimals_of
from core.tape import Tape
from sim.bars.bar_path import BarPath
from sim.feed_legs import FeedLegs
from sim.models.bars import PathKind, path_of
from sim.scenarios.format import Scenario
from sim.scenarios.tape import TapeRow
from sim.scenarios.tape_columns import mantissa, tape_of_columns

EMPTY_INTERVAL_NS = 60_000_000_000
"""Of a symbol without bars; nothing depends on it."""
PRICES = ("open", "high", "low", "close")


def tape_of(scenario: Scenario, symbol: str) -> Tape:
    """The bars of one symbol, times absolute. Raises DataError where they overlap or have different lengths."""
    rows = sorted((row for row in scenario.tape if row.symbol == symbol and row.bar is not None), key=_opened)
    interval = _interval(symbol, rows)
    price_scale = max((decimals_of(value) for row in rows for value in _prices(row)), default=0)
    size_scale = max((decimals_of(row.bar.volume) for row in rows if row.bar is not None), default=0)
    columns: dict[str, list[int]] = {name: [] for name in ("ts_venue", "ts", *PRICES, "volume")}
    for row in rows:
        assert row.bar is not None, "only bars were taken"
        columns["ts_venue"].append(scenario.start + row.at + interval)
        columns["ts"].append(scenario.start + (row.at + interval if row.received_at is None else row.received_at))
        for name in PRICES:
            columns[name].append(mantissa(symbol, row, getattr(row.bar, name), price_scale))
        columns["volume"].append(mantissa(symbol, row, row.bar.volume, size_scale))
    return tape_of_columns(
        scenario, symbol, "bars", columns, price_scale=price_scale, size_scale=size_scale, interval_ns=interval
    )


def feed_legs_of(scenario: Scenario, feed_ns: int) -> FeedLegs:
    """`received_at - at` of every row, times after `start` as the line of a scenario counts them."""
    received = [row.at + feed_ns if row.received_at is None else row.received_at for row in scenario.tape]
    took = [at - row.at for at, row in zip(received, scenario.tape, strict=True)]
    return FeedLegs.of_rows(np.array(received, dtype=np.int64), np.array(took, dtype=np.int64))


def last_price(tape: Tape, path: PathKind, held: int, at: int) -> Decimal | None:
    """The price last traded at `at`: the path's, or the close of the bar before; None before the first bar.

    Computed apart from the market that matches, so that looking at a state changes nothing. `held` is the sign of the
    position, for the path `worst`.
    """
    opens = tape.columns["ts_venue"] - tape.interval_ns
    row = int(np.searchsorted(opens, at, side="right")) - 1
    if row < 0:
        return None
    o, high, low, close = (int(tape.columns[name][row]) for name in PRICES)
    opened = int(opens[row])
    if at >= opened + tape.interval_ns:
        return Decimal(close).scaleb(-tape.price_scale)
    price = BarPath(path_of(path, o, high, low, close, held), opened, tape.interval_ns).price_at(at)
    return (Decimal(price.numerator) / Decimal(price.denominator)).scaleb(-tape.price_scale)


def _interval(symbol: str, rows: list[TapeRow]) -> int:
    intervals = {row.bar.interval_ms for row in rows if row.bar is not None}
    if len(intervals) > 1:
        lengths = ", ".join(f"{length / 1e6:g}" for length in sorted(intervals))
        raise DataError(
            f"the bars of {symbol} have several lengths ({lengths} ms); expected one interval_ms per symbol"
        )
    interval = next(iter(intervals), EMPTY_INTERVAL_NS)
    for before, after in pairwise(rows):
        if after.at < before.at + interval:
            raise DataError(
                f"two bars of {symbol} overlap: one opens at {before.at / 1e6:g} ms and lasts {interval / 1e6:g} ms, "
                f"the next opens at {after.at / 1e6:g} ms"
            )
    return interval


def _opened(row: TapeRow) -> int:
    return row.at


def _prices(row: TapeRow) -> list[Decimal]:
    return [getattr(row.bar, name) for name in PRICES]
