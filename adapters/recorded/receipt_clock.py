"""When we learned of a row: the recorder's clock, put right where it runs behind the venue's.

A message cannot arrive before it was sent. Where a recording says so, its clock was behind; it is moved by one constant
for the whole recording, such that the quickest message takes `feed_ns`. All streams of one recording share the move,
so what was received first stays first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from adapters.columns import span
from adapters.decimals import Column
from core.moments import DAY_NS, MINUTE_NS, MS_NS

FEED_NS = MS_NS
"""Smallest feed leg after a move, where the run's latency model says nothing: 1 ms. Guess."""
STEP_BACK_MAX_NS = MINUTE_NS
"""Receipts may fall behind an earlier row's by so much (a start-up snapshot is written before what came while it was
fetched; clocks are set back); beyond that the file is not in receipt order. Guess."""


SHIFT_MAX_NS = DAY_NS
"""Clocks are wrong by seconds, time zones by hours; a day is a spoiled digit. Guess."""


class Astray(ValueError):
    """Row `index` (None: of another stream) was received `behind_ns` before it happened: more than a clock is off."""

    def __init__(self, index: int | None, behind_ns: int) -> None:
        self.index = index
        self.behind_ns = behind_ns
        super().__init__(f"row {index}: received {behind_ns} ns before it happened")


class OutOfOrder(ValueError):
    """Row `index` was received long before an earlier row: `behind_ns` nanoseconds."""

    def __init__(self, index: int, behind_ns: int) -> None:
        self.index = index
        self.behind_ns = behind_ns
        super().__init__(f"row {index}: {behind_ns} ns behind an earlier one")


class Received(NamedTuple):
    """Receipt times that can be believed, and what had to be done to them."""

    ts: Column
    notes: tuple[str, ...]


def least_leg(ts_venue: Column, receipts: Column) -> int:
    """The quickest of some messages, nanoseconds; negative where the recorder's clock was behind."""
    return int((receipts - ts_venue).min())


def shift_ns(least_leg_ns: int, feed_ns: int = FEED_NS) -> int:
    """By how much the recorder's clock is moved: 0 where no message arrives before it was sent."""
    return feed_ns - least_leg_ns if least_leg_ns < 0 else 0


def received(
    ts_venue: Column, receipts: Column | None, *, least_leg_ns: int | None = None, feed_ns: int = FEED_NS
) -> Received:
    """Receipt times of rows in receipt order: never falling, none before its venue time.

    `least_leg_ns` is that of the whole recording, where these rows are but a part of it. Without `receipts` a row is
    received when it happens, or with the one before it; the run adds its feed latency. Raises OutOfOrder, Astray.
    """
    if receipts is None:
        ts = _never_falling(ts_venue)
        return Received(ts, ("no receipt times recorded: rows are received as they happen, plus the run's feed leg",))
    leg = least_leg(ts_venue, receipts)
    if -leg > SHIFT_MAX_NS:
        raise Astray(int(np.argmin(receipts - ts_venue)), -leg)
    if least_leg_ns is not None:
        leg = min(leg, least_leg_ns)
        if -leg > SHIFT_MAX_NS:
            raise Astray(None, -leg)
    shift = shift_ns(leg, feed_ns)
    ts = _never_falling(receipts + shift)
    notes = []
    if shift:
        notes.append(
            f"the recorder's clock was behind the venue's (by {-leg / 1e6:.3f} ms or more): receipt times are moved by "
            f"+{shift / 1e6:.3f} ms, so that the quickest message of the recording takes {span(feed_ns)}"
        )
    late = int(np.count_nonzero(ts != receipts + shift))
    if late:
        notes.append(f"{late} rows were recorded with a receipt before an earlier row's: they count from that row's on")
    return Received(ts, tuple(notes))


def _never_falling(times: Column) -> Column:
    latest: Column = np.maximum.accumulate(times)
    behind = latest - times
    if len(behind) and (most := int(behind.max())) > STEP_BACK_MAX_NS:
        raise OutOfOrder(int(np.argmax(behind > STEP_BACK_MAX_NS)), most)
    return latest
