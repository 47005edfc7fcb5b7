"""F2 to F6 written a second time, plainly: dictionaries and fractions, one market, our orders all buying.

No line is shared with `sim`, and no array, key or unit: where both agree on random markets, both read the contract
alike.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

STEP = Fraction(1, 10)
CREDIT_MS = 1000


def share(kind: str, ahead: float, behind: float, n: int = 2) -> float:
    """P of F4, straight from its page."""
    if ahead <= 0:
        return 1.0
    formulas = {
        "power": lambda: behind**n / (behind**n + ahead**n),
        "power2": lambda: behind**n / (ahead + behind) ** n,
        "power3": lambda: 1 - (ahead / (ahead + behind)) ** n,
        "log": lambda: math.log(1 + behind) / (math.log(1 + behind) + math.log(1 + ahead)),
        "log2": lambda: math.log(1 + behind) / math.log(1 + ahead + behind),
    }
    return float(formulas[kind]())


class Resting:
    """A BUY of ours."""

    def __init__(self, name: str, price: Fraction, leaves: Fraction, ahead: Fraction) -> None:
        self.name, self.price, self.leaves, self.ahead = name, price, leaves, ahead


class Oracle:
    """Feeds rows and requests in time order; `fills` are (order, price, qty, rule, at)."""

    def __init__(self, kind: str, crossed: str) -> None:
        self.kind, self.crossed = kind, crossed
        self.book: dict[str, dict[Fraction, Fraction]] = {"bids": {}, "asks": {}}
        self.used: dict[tuple[str, Fraction], Fraction] = {}
        self.credit: dict[tuple[str, Fraction], tuple[Fraction, float]] = {}
        self.resting: list[Resting] = []
        self.fills: list[tuple[str, Fraction, Fraction, str, float]] = []

    # --- requests ---------------------------------------------------------------------------------------------------

    def submit(self, at: float, submit: dict[str, Any]) -> None:
        limit = Fraction(submit["price"]) if "price" in submit else None
        left = Fraction(submit["qty"])
        for price in sorted(self.book["asks"]):
            if limit is not None and price > limit:
                break
            part = min(left, self.free("asks", price))
            if part > 0:
                self.use("asks", price, part)
                self.fills.append((submit["id"], price, part, "walk", at))
                left -= part
        if limit is not None and submit.get("tif") != "ioc" and left > 0:
            ahead = Fraction(0) if self.kind == "none" else self.book["bids"].get(limit, Fraction(0))
            self.resting.append(Resting(submit["id"], limit, left, ahead))

    # --- rows -------------------------------------------------------------------------------------------------------

    def trade(self, at: float, row: dict[str, Any]) -> None:
        if row.get("block") or row.get("insurance"):
            return
        price, rest = Fraction(row["price"]), Fraction(row["qty"])
        side = "asks" if row["side"] == "buy" else "bids"
        if side == "bids":
            for order in self.by_priority():
                if order.price > price:
                    order.ahead = Fraction(0)
                    rest -= self.fill(order, rest, "through", at)
            if not row.get("rpi"):
                self.eat([order for order in self.by_priority() if order.price == price], rest, at)
        if not row.get("rpi") and price in self.book[side]:
            self.use(side, price, Fraction(row["qty"]))
            known, since = self.credit.get((side, price), (Fraction(0), at))
            known = Fraction(0) if at - since > CREDIT_MS else known
            self.credit[side, price] = (known + Fraction(row["qty"]), at)

    def eat(self, queue: list[Resting], rest: Fraction, at: float) -> None:
        """[external][own][external between][own] … from the front."""
        external = Fraction(0)
        for order in queue:
            between = min(rest, max(Fraction(0), order.ahead - external))
            external += between
            rest -= between
            rest -= self.fill(order, rest, "queue", at)
        for order in queue:
            order.ahead = max(Fraction(0), order.ahead - external)

    def depth(self, at: float, row: dict[str, Any]) -> None:
        for side in ("bids", "asks"):
            for price, qty in row[side]:
                self.level(at, side, Fraction(price), Fraction(qty))
        if row["snapshot"]:
            for side in ("bids", "asks"):
                named = {Fraction(price) for price, _ in row[side]}
                for price in [price for price in self.book[side] if price not in named]:
                    self.level(at, side, price, Fraction(0))
        self.cross(at)

    def level(self, at: float, side: str, price: Fraction, qty: Fraction) -> None:
        before = self.book[side].get(price, Fraction(0))
        fall = max(Fraction(0), before - qty)
        credit, since = self.credit.get((side, price), (Fraction(0), at))
        credit = Fraction(0) if at - since > CREDIT_MS else credit
        explained = min(credit, fall)
        if (side, price) in self.credit:
            self.credit[side, price] = (credit - explained, since)
        if side == "bids":
            for order in self.resting:
                if order.price == price:
                    self.move_up(order, before, qty, explained)
        used = self.used.get((side, price), Fraction(0))
        self.used[side, price] = min(qty, max(Fraction(0), used - fall))
        self.book[side][price] = qty
        if qty == 0:
            del self.book[side][price]
            self.used.pop((side, price), None)
            self.credit.pop((side, price), None)

    def move_up(self, order: Resting, before: Fraction, qty: Fraction, explained: Fraction) -> None:
        canceled, ahead = before - qty - explained, order.ahead
        if canceled <= 0 or self.kind in ("risk_averse", "none"):
            order.ahead = min(ahead, qty)
            return
        behind = max(Fraction(0), before - explained - ahead)
        p = Fraction(share(self.kind, float(ahead), float(behind)))
        moved = ahead - (1 - p) * canceled + min(behind - p * canceled, Fraction(0))
        order.ahead = min(max(moved, Fraction(0)), qty)

    def cross(self, at: float) -> None:
        if self.crossed == "none":
            return
        for order in self.by_priority():
            found = Fraction(0)
            reached = [price for price in sorted(self.book["asks"]) if price <= order.price]
            for price in reached:
                part = min(order.leaves - found, self.free("asks", price))
                self.use("asks", price, part)
                found += part
            if reached:
                self.fill(order, order.leaves if self.crossed == "full" else found, "crossed", at)

    # --- small things -----------------------------------------------------------------------------------------------

    def by_priority(self) -> list[Resting]:
        return sorted((order for order in self.resting if order.leaves), key=lambda order: -order.price)

    def fill(self, order: Resting, most: Fraction, rule: str, at: float) -> Fraction:
        qty = math.floor(min(order.leaves, most) / STEP) * STEP
        if qty > 0:
            order.leaves -= qty
            self.fills.append((order.name, order.price, qty, rule, at))
        return max(qty, Fraction(0))

    def free(self, side: str, price: Fraction) -> Fraction:
        return math.floor((self.book[side][price] - self.used.get((side, price), Fraction(0))) / STEP) * STEP

    def use(self, side: str, price: Fraction, qty: Fraction) -> None:
        self.used[side, price] = min(self.book[side][price], self.used.get((side, price), Fraction(0)) + qty)
