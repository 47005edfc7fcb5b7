"""Where ids come from: handed in, so that a run repeats to the byte."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count


class CountedIds:
    """`<prefix>-1`, `<prefix>-2`, … For simulated runs; the prefix comes from the config's hash and the seed."""

    __slots__ = ("next",)

    def __init__(self, prefix: str) -> None:
        self.next: Callable[[], str] = map(f"{prefix}-".__add__, map(str, count(1))).__next__
