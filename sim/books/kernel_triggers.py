"""F12 in the kernel: which of our waiting orders the last price fires. Compiled with the kernel, by its rules."""

from __future__ import annotations

from typing import Any

from sim.books.kernel_state import FIRES, NOBODY

MILLION = 1_000_000
# To the type checker an array of records is `Any`: its fields are read by name.
Records = Any
Record = Any


def pull_triggers(own: Records, market: Record, fired: Any, out: Any, price: int) -> None:
    """F12: which of our waiting orders the last price fires; trailing ones follow it first."""
    slot = market["first_stop"]
    while slot != NOBODY:
        order = own[slot]
        if not order["fired"] and is_pulled(order, price):
            order["fired"] = 1
            fired[out[FIRES]] = slot
            out[FIRES] += 1
        slot = order["next"]


def is_pulled(order: Record, price: int) -> bool:
    """Whether this price fires a trigger. A trailing one becomes active at its `trigger`, then follows its best."""
    sign = 1 if order["rises"] > 0 else -1
    if order["trail"] == 0 and order["trail_ppm"] == 0:
        return bool(sign * price >= sign * order["trigger"])
    if not order["active"] and sign * price <= sign * order["trigger"]:
        order["active"] = 1
        order["best"] = price
    if not order["active"]:
        return False
    order["best"] = min(order["best"], price) if sign > 0 else max(order["best"], price)
    back = sign * (price - order["best"])
    return bool(back > 0 and back >= order["trail"] and back >= share_of(order["best"], order["trail_ppm"]))


def share_of(price: int, ppm: int) -> int:
    """Millionths of a price, up to the whole unit; in two parts, so that no product leaves int64."""
    whole, rest = price // MILLION, price % MILLION
    return int(whole * ppm + (rest * ppm + MILLION - 1) // MILLION)
