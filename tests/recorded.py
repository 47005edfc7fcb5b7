"""Recorded market data beside the repository: where it is, and parts of it small enough for a test."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from adapters.files import FileSource
from core.tape import LAST, SNAPSHOT, Kind, Tape

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def recorded(name: str) -> Path:
    """A file of the recorded data; the test is skipped where it is not there."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"recorded data is not here: ../shared/data/{name}")
    return path


def first_lines(path: Path, count: int) -> list[bytes]:
    """The first lines of a gz text."""
    with gzip.open(path) as stream:
        return list(islice(stream, count))


def read(path: Path, kind: Kind, symbol: str, *, venue: str = "test", interval_ns: int = 0, **options: object) -> Tape:
    """A tape through the door that a config uses."""
    source = FileSource(path=str(path), **options)
    return source.open(venue=venue, symbol=symbol, kind=kind, interval_ns=interval_ns).read()


def texts(tape: Tape, name: str) -> list[str]:
    """A column of numbers as decimal texts."""
    sizes = ("size", "volume", "bid_size", "ask_size", "rate")
    scale = tape.size_scale if name in sizes else tape.price_scale
    return [f"{value / 10**scale:.{scale}f}" for value in tape.columns[name].tolist()]


Best = tuple[int, int, int, int]
"""Bid, its size, ask, its size: mantissas; 0 where a side is empty."""


def books(tape: Tape) -> Iterator[tuple[int, Best]]:
    """(receipt, best of both sides) after each message of a depth tape."""
    receipts = tape.columns["ts"][tape.columns["flags"] & LAST != 0].tolist()
    for ts, sides in zip(receipts, sides_of(tape), strict=True):
        bid, ask = max(sides[1], default=0), min(sides[-1], default=0)
        yield ts, (bid, sides[1].get(bid, 0), ask, sides[-1].get(ask, 0))


def sides_of(tape: Tape) -> Iterator[dict[int, dict[int, int]]]:
    """Price to size of both sides (1 bid, -1 ask) after each message: two dicts, as plain as can be, used again."""
    sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
    columns = [tape.columns[name].tolist() for name in ("price", "size", "side", "flags")]
    inside = False
    for price, size, side, flags in zip(*columns, strict=True):
        if flags & SNAPSHOT and not inside:
            sides[1].clear()
            sides[-1].clear()
        inside = bool(flags & SNAPSHOT) and not flags & LAST
        if size:
            sides[side][price] = size
        else:
            sides[side].pop(price, None)
        if flags & LAST:
            yield sides


def increasing(column: np.ndarray) -> bool:
    """No value is below the one before."""
    return bool((np.diff(column) >= 0).all())
