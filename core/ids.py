"""Where ids come from: handed in, so that a run repeats to the byte."""

from __future__ import annotations


class CountedIds:
    """`<prefix>-1`, `<prefix>-2`, … For simulated runs; the prefix comes from the config's hash and the seed."""

    __slots__ = ("_count", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count}"
