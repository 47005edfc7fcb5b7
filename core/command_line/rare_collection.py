"""The collector of cycles, asked to come seldom: for a process that is ours, never for a host's.

What a run keeps of an order are plain values that nothing points back from, so there is next to nothing to find; each
look at them costs the same again. Counted in machine instructions: a fortieth of a market order's life.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG_MAXIMUM = 50_000
"""Objects made and not yet dropped before the young ones are looked at; the interpreter's own is 700. A few MB."""


@contextmanager
def collected_seldom() -> Iterator[None]:
    """While this lasts. Afterwards the collector is as it was."""
    before = gc.get_threshold()
    gc.set_threshold(YOUNG_MAXIMUM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
