"""An order of ours as the second writing of the fill contract sees it, and what it tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

ZERO = Fraction(0)
OVER = ("filled", "canceled", "expired", "rejected")


def fraction(text: str | int | None) -> Fraction | None:
    return None if text is None else Fraction(text)


@dataclass(eq=False)
class Order:
    """What was asked for, how much of it is left, and who stands ahead of it."""

    name: str
    side: int
    """+1 buys, -1 sells."""
    type: str
    qty: Fraction
    price: Fraction | None
    trigger: Fraction | None
    tif: str
    post_only: bool
    stp: str
    good_till: int | None
    filled: Fraction = ZERO
    prevented: Fraction = ZERO
    state: str = "new"
    """new, waiting (for its trigger), resting, or how it ended."""
    ahead: Fraction | None = ZERO
    """A of F4; None while nobody knows it (F7)."""

    @property
    def leaves(self) -> Fraction:
        return self.qty - self.filled - self.prevented

    @property
    def over(self) -> bool:
        return self.state in OVER

    def reaches(self, price: Fraction) -> bool:
        """Whether it may trade at this price: a market order anywhere, a limit order at its limit or better."""
        return self.price is None or self.side * price <= self.side * self.price

    @property
    def called_by_rise(self) -> bool:
        """Section 3: STOP* BUY p >= trigger, SELL p <= trigger; TAKE_PROFIT* the reverse."""
        return (self.side > 0) == self.type.startswith("stop")

    def is_called_by(self, price: Fraction) -> bool:
        assert self.trigger is not None
        return price >= self.trigger if self.called_by_rise else price <= self.trigger


def order_of(submit: dict[str, Any], default_stp: str) -> Order:
    """The `submit` of a scenario."""
    return Order(
        name=submit["id"],
        side=1 if submit["side"] == "buy" else -1,
        type=submit["type"],
        qty=Fraction(submit["qty"]),
        price=fraction(submit.get("price")),
        trigger=fraction(submit.get("trigger_price")),
        tif=submit.get("tif", "gtc" if "price" in submit else "market"),
        post_only=submit.get("post_only", False),
        stp=submit.get("stp", default_stp),
        good_till=submit.get("good_till"),
    )
