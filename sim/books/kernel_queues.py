"""How our place in a queue moves in the kernel when a level changes: F4. Compiled with the kernel, by its rules."""

from __future__ import annotations

from typing import Any

from sim.books.kernel_math import natural_log, power
from sim.books.kernel_state import (
    GROWTHS,
    MATCHED,
    NOBODY,
    PROB_LOG,
    PROB_LOG2,
    PROB_POWER,
    PROB_POWER2,
    PROB_POWER3,
    RISK_AVERSE,
)

# To the type checker an array of records is `Any`: its fields are read by name.
Records = Any
Record = Any


def requeue(
    books: Records, own: Records, market: Record, b: int, key: int, before: int, size: int, explained: int
) -> None:
    """F4: a level went from `before` to `size`; what prints do not explain was canceled, partly ahead of us."""
    slot = books[b]["first"]
    while slot != NOBODY and own[slot]["key"] >= key:
        order = own[slot]
        if order["key"] == key and order["ahead"] >= 0.0:
            ahead = order["ahead"]
            canceled = float(before - size - explained)
            if market["queue"] == MATCHED and canceled < 0.0:
                remember_growth(order, size - before)
            if market["queue"] == RISK_AVERSE or canceled <= 0.0:
                order["ahead"] = min(ahead, float(size))
            else:
                behind = max(0.0, before - explained - ahead)
                if market["queue"] == MATCHED:
                    share = forget_growth(order, before - size - explained)
                else:
                    share = share_behind(market["queue"], market["power"], behind, ahead, market["unit"])
                left = ahead - (1.0 - share) * canceled + min(behind - share * canceled, 0.0)
                order["ahead"] = min(max(left, 0.0), float(size))
        slot = order["next"]


def share_behind(kind: int, n: float, behind: float, ahead: float, unit: float) -> float:
    """P of F4: the share of cancels that happen behind us; `behind` and `ahead` in size units, `unit` base per unit."""
    b, a = behind * unit, ahead * unit
    if a <= 0.0:
        return 1.0
    if kind == PROB_POWER:  # of the smaller over the larger: no power of a ratio below 1 overflows
        if b > a:
            return 1.0 / (1.0 + power(a / b, n))
        ratio = power(b / a, n)
        return ratio / (1.0 + ratio)
    if kind == PROB_POWER2:
        return power(b / (a + b), n)
    if kind == PROB_POWER3:
        return 1.0 - power(a / (a + b), n)
    if kind == PROB_LOG:
        return natural_log(1.0 + b) / (natural_log(1.0 + b) + natural_log(1.0 + a))
    if kind == PROB_LOG2:
        return natural_log(1.0 + b) / natural_log(1.0 + a + b)
    return 1.0


def remember_growth(order: Record, size: int) -> None:
    """Somebody joined the queue behind us with this size. Where there is no room, the oldest is forgotten."""
    growths = order["growths"]
    place = order["grown"] % GROWTHS
    for k in range(GROWTHS):
        if growths[k] == 0:
            place = k
            break
    growths[place] = size
    order["grown"] += 1


def forget_growth(order: Record, size: int) -> float:
    """The share of a cancel of this size that happens behind us: 1 where somebody came with it after us, else 0."""
    growths = order["growths"]
    for k in range(GROWTHS):
        if growths[k] == size:
            growths[k] = 0
            return 1.0
    return 0.0
