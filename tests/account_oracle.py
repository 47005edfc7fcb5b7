"""Sections 7 and 8 of venues.md written a second time, plainly: one wallet of contracts, market orders, single marks.

No line is shared with `sim` or `core`. Where both agree on random accounts, both read the contract alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_UP, Context, Decimal, localcontext

CENT = Decimal("1e-8")
ZERO = Decimal(0)
EXACT = Context(prec=60)
TAKER = {"binance-usdm": Decimal("0.0005"), "bybit-linear": Decimal("0.00055")}
Key = tuple[str, str]
"""Symbol and side: net, long, short."""


@dataclass
class Position:
    """Signed quantity and entry value, and the margin that came in with its openings."""

    qty: Decimal = ZERO
    cost: Decimal = ZERO
    margin: Decimal = ZERO


@dataclass
class Account:
    """What a scenario says of it."""

    venue: str
    wallet: Decimal
    leverage: Mapping[str, Decimal]
    tiers: list[tuple[Decimal, Decimal, Decimal]]
    """(floor, rate, deduction), the same of every symbol."""
    liquidation_fee: Decimal
    cross: bool
    hedged: bool


class Oracle:
    """Takes what happens in the order of time; `told` are the events, each a tuple that ends with wallet and time."""

    def __init__(self, account: Account) -> None:
        self.account, self.wallet = account, account.wallet
        self.marks: dict[str, Decimal] = {}
        sides = ("long", "short") if account.hedged else ("net",)
        self.positions = {(symbol, side): Position() for symbol in account.leverage for side in sides}
        self.told: list[tuple[object, ...]] = []

    def order(self, name: str, key: Key, qty: Decimal, price: Decimal, known: Decimal, at: int) -> None:
        """A market order for `qty` (signed) that fills at `price`; `known` is the last price the venue has."""
        with localcontext(EXACT):
            needed = self._needed(key, qty, known)
            if needed and self.free() < needed:
                self.told.append(("rejected", name, at))
                return
            self.told.append(("accepted", name, at))
            position = self.positions[key]
            closing = min(abs(qty), abs(position.qty)) if position.qty * qty < 0 else ZERO
            realized = self._close(position, closing, price) if closing else ZERO
            opening = qty - closing.copy_sign(qty)
            position.qty += opening
            position.cost += opening * price
            position.margin += self._margin(key, opening, price)
            fee = (abs(qty) * price * TAKER[self.account.venue]).quantize(CENT, ROUND_DOWN)
            self.wallet += realized - fee
            self.told.append(("filled", name, abs(qty), price, realized, fee, self.wallet, at))

    def fund(self, symbol: str, rate: Decimal, at: int) -> None:
        """Both sides of a symbol pay or receive, rounded against us; an isolated margin pays what is not free."""
        with localcontext(EXACT):
            for key, position in self._open():
                if key[0] == symbol:
                    amount = (-position.qty * self.marks[symbol] * rate).quantize(CENT, ROUND_FLOOR)
                    self.wallet += amount
                    if not self.account.cross:
                        position.margin -= min(max(-amount, ZERO), max(-self.free(), ZERO), position.margin)
                    self.told.append(("funding", symbol, amount, self.wallet, at))

    def mark(self, symbol: str, price: Decimal, at: int) -> None:
        """A new mark, and what the venue closes at it."""
        with localcontext(EXACT):
            self.marks[symbol] = price
            moved = [(key, position) for key, position in self._open() if key[0] == symbol]
            if self.account.cross:
                self._liquidate_pool(moved, at)
                return
            for key, position in moved:
                if position.margin + self._gain(key) <= self._maintenance(key):
                    bankrupt, lost = (position.cost - position.margin) / position.qty, position.margin
                    self.wallet -= lost
                    self.positions[key] = Position()
                    self.told.append(("liquidated", symbol, abs(position.qty), bankrupt, -lost, ZERO, self.wallet, at))

    def free(self) -> Decimal:
        """Isolated: wallet - margins. Cross: wallet + what is not realized - margins at mark."""
        free = self.wallet
        for key, position in self._open():
            if self.account.cross:
                free += self._gain(key) - self._margin(key, position.qty, self.marks[key[0]])
            else:
                free -= position.margin
        return free

    def _liquidate_pool(self, moved: list[tuple[Key, Position]], at: int) -> None:
        """The position whose mark it was, the side that loses more first; then in order, while the pool is short."""
        while moved and self._is_short():
            first = min(key[0] for key, _ in moved)
            key, position = min((one for one in moved if one[0][0] == first), key=lambda one: self._gain(one[0]))
            qty, price = abs(position.qty), self.marks[key[0]]
            fee = (qty * price * self.account.liquidation_fee).quantize(CENT, ROUND_DOWN)
            realized = self._close(position, qty, price)
            self.wallet = max(ZERO, self.wallet + realized - fee)
            self.told.append(("liquidated", key[0], qty, price, realized, fee, self.wallet, at))
            moved = list(self._open())

    def _is_short(self) -> bool:
        return self.wallet + sum(self._gain(key) - self._maintenance(key) for key, _ in self._open()) <= 0

    def _needed(self, key: Key, qty: Decimal, known: Decimal) -> Decimal:
        """For what goes beyond the position it closes: Binance at the mark, Bybit with the fees of both ends."""
        held, leverage = self.positions[key].qty, self.account.leverage[key[0]]
        opening = max(ZERO, abs(qty) - abs(held)) if held * qty < 0 else abs(qty)
        if self.account.venue == "binance-usdm":
            return self.marks[key[0]] * opening / leverage
        bankrupt = known * (1 - 1 / leverage if qty > 0 else 1 + 1 / leverage)
        return opening * (known / leverage + (known + bankrupt) * TAKER["bybit-linear"])

    def _close(self, position: Position, closing: Decimal, price: Decimal) -> Decimal:
        """Moves C x q / Q, 8 decimals half-even, into what is realized; the last lot takes the rest."""
        whole = closing == abs(position.qty)
        share = closing / abs(position.qty)
        gone = position.cost if whole else (position.cost * share).quantize(CENT, ROUND_HALF_EVEN)
        position.margin -= position.margin if whole else (position.margin * share).quantize(CENT, ROUND_DOWN)
        value = closing.copy_sign(position.qty) * price
        position.cost -= gone
        position.qty -= closing.copy_sign(position.qty)
        return value - gone

    def _margin(self, key: Key, qty: Decimal, price: Decimal) -> Decimal:
        return (abs(qty) * price / self.account.leverage[key[0]]).quantize(CENT, ROUND_UP)

    def _gain(self, key: Key) -> Decimal:
        return self.positions[key].qty * self.marks[key[0]] - self.positions[key].cost

    def _maintenance(self, key: Key) -> Decimal:
        notional = abs(self.positions[key].qty) * self.marks[key[0]]
        _, rate, deduction = [tier for tier in self.account.tiers if tier[0] <= notional][-1]
        return notional * rate - deduction

    def _open(self) -> Iterator[tuple[Key, Position]]:
        return ((key, position) for key, position in list(self.positions.items()) if position.qty)
