"""The arrays of the kernel and what their fields mean: everything the books know, as records of int64 and float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

DEPTH, TRADE, QUOTE, L3 = 0, 1, 2, 3
"""Kinds of rows, and the finest data of a market."""
RISK_AVERSE, PROB_POWER, PROB_POWER2, PROB_POWER3, PROB_LOG, PROB_LOG2, L3_FIFO, NO_QUEUE = 0, 1, 2, 3, 4, 5, 6, 7
MATCHED = 8
DISPLAYED, FULL, NEVER = 0, 1, 2
"""Values of `crossed` (F6); `through` is DISPLAYED (one print is one budget) or FULL."""
RULE_QUEUE, RULE_THROUGH, RULE_CROSSED, RULE_PARTICIPATION = 0, 1, 2, 3
RULES = ("queue", "through", "crossed", "participation")
BLOCK, RPI, INSURANCE = 1, 2, 4
SNAPSHOT, LAST = 1, 2
"""Flags of prints and of book rows, as in `core.tape`."""
REQUEUED = 4
"""Flag of an l3 row that no tape has: an order goes to the end of its queue, its level stays as it is."""
FILLS, FIRES, FULL_BOOK = 0, 1, 2
"""Counts in `State.out`: fills, triggers that fired, and whether a book needs more room."""
NOBODY = -1
"""The end of a list of our orders."""
UNKNOWN = -1.0
"""A queue position nobody can know: behind the touch of a market that shows only the touch (F7)."""
RING = 255
"""Print sizes remembered per market, for the median of F9."""
GROWTHS = 32
"""Growths of its level remembered per order of ours, for queues of kind `matched`."""


def _record(whole: str, real: str = "", growths: str = "") -> np.dtype:
    fields: list[tuple[Any, ...]] = [(name, np.int64) for name in whole.split()]
    fields += [(name, np.float64) for name in real.split()]
    return np.dtype(fields + [(name, np.int64, (GROWTHS,)) for name in growths.split()])


LEVEL = _record("key qty used_at credit credit_at named", "used")
"""`used`: what we and the prints took of what is displayed (F3), last changed at `used_at`. `credit`: T of F4, printed
volume that the depth has not shown yet. `named`: whether the snapshot under way has named the level."""
BOOK = _record("count first")
"""`count`: levels in use. `first`: slot of our best resting order; `next` of each leads on, by price, then time."""
OWN = _record(
    "market buys key leaves reduces room placed credit next trigger rises trail trail_ppm best active fired grown "
    "group",
    "ahead",
    "growths",
)
"""An order of ours. `buys`: 1 or -1. `room`: whose position limits it where it only reduces (0 net, 1 long, 2 short).
`placed`: the l3 row before which whoever joined stands ahead; `credit`: T of F4 by exact places. `ahead`: A of F4.
`rises`: 1 where it waits for the price to rise. `trail`: distance, `trail_ppm`: in millionths of `best`.
`group`: of those with one number, above 0, only the first that trades does.
`growths`: sizes by which its level grew behind it, not canceled yet, 0 where free; `grown`: how many came."""
MARKET = _record(
    "step queue crossed through finest last_price last_row credit_ns in_snapshot prints first_stop net long short",
    "unit power participation half_life_ns",
)
"""`first_stop`: slot of the first order that waits for the last price. `net`, `long`, `short`: positions, signed.
`unit`: base units per size unit. `power`: n of the queue model."""
FILL = _record("slot size rule row", "ahead")
"""`row`: the row of the tape that caused it; `ahead`: the queue position just before."""


class State(NamedTuple):
    """Everything the kernel knows; M markets, L levels a side, S orders."""

    levels: np.ndarray
    """LEVEL [2M, L]"""
    books: np.ndarray
    """BOOK [2M]"""
    own: np.ndarray
    """OWN [S]"""
    markets: np.ndarray
    """MARKET [M]"""
    prints: np.ndarray
    """int64 [M, RING]"""
    fills: np.ndarray
    """FILL [S]"""
    fired: np.ndarray
    """int64 [S]"""
    out: np.ndarray
    """int64 [3]"""


def new_state(markets: int, levels: int, slots: int, old: State | None = None) -> State:
    """Empty arrays of these sizes, with what the old ones held."""
    state = State(
        levels=np.zeros((2 * markets, levels), dtype=LEVEL),
        books=np.zeros(2 * markets, dtype=BOOK),
        own=np.zeros(slots, dtype=OWN),
        markets=np.zeros(markets, dtype=MARKET),
        prints=np.zeros((markets, RING), dtype=np.int64),
        fills=np.zeros(slots, dtype=FILL),
        fired=np.zeros(slots, dtype=np.int64),
        out=np.zeros(3, dtype=np.int64),
    )
    state.books["first"] = NOBODY
    state.markets["first_stop"] = NOBODY
    if old is not None:
        for new, before in zip(state, old, strict=True):
            new[tuple(slice(0, length) for length in before.shape)] = before
    return state


class Rows(NamedTuple):
    """Merged rows. `what` packs market, flags, kind and side + 1; `joined` is read for l3 rows alone.

    Each is contiguous and can be written, so that all rows there are have one layout for the compiler.
    """

    at: np.ndarray
    """int64: engine time, nanoseconds; never falls"""
    what: np.ndarray
    """int64: ((market x 16 + flags) x 4 + kind) x 4 + side + 1"""
    price: np.ndarray
    size: np.ndarray
    """int64; an l3 row's is the signed change of its level"""
    row: np.ndarray
    """int64: the row's number in its tape"""
    joined: np.ndarray
    """int64: number of the l3 row with which that order joined its queue"""
