"""What a strategy sees of itself: `position_state`. Read-only floats of its own book and of the account behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from core.account.margin_needs import AccountMargin
from core.events import PositionSide
from core.orders import Order
from core.portfolio import Portfolio, Position
from core.working import WorkingOrders

_write = object.__setattr__


class PositionState:
    """`position_state`: what the strategy holds in one symbol, and its account. Floats, at our last known price.

    Its own book: `qty` signed base units; `entry_price` None when flat; `unrealized_pnl`, `realized_pnl` (before fees),
    `fees`, `funding_paid` (negative was received), quote units; `open_orders` a list of `core.orders.Order`, copied as
    they are at this moment. The account's, in the run's currency: `equity`, `cash`; `leverage` gross exposure over
    equity. Of the symbol's quote asset: `margin_used` by positions and orders, `free_margin` for new ones. The venue's:
    `liquidation_price` of the position that the book is a part of, None where there is none.

    In hedge mode `position_state.long` and `.short` are the two books of the symbol with all of this for each, and
    `position_state` itself is their sum: `entry_price` and `liquidation_price` are None there while both are open.

    Reads like an object and like a mapping; `position_state["ETHUSDT"]` is another symbol's.
    """

    __slots__ = (
        "_books",
        "_currency",
        "_key",
        "_margin",
        "_others",
        "_parts",
        "_portfolio",
        "_sides",
        "_working",
        "qty",
    )

    NAMES = (
        "symbol",
        "qty",
        "entry_price",
        "unrealized_pnl",
        "realized_pnl",
        "fees",
        "funding_paid",
        "equity",
        "cash",
        "margin_used",
        "free_margin",
        "leverage",
        "liquidation_price",
        "open_orders",
    )

    qty: float
    """Signed position of this strategy's own book, base units. Kept current by the host on each change."""

    def __init__(
        self,
        key: tuple[str, str, str],
        currency: str,
        portfolio: Portfolio,
        working: WorkingOrders,
        margin: AccountMargin,
        side: PositionSide | None = None,
    ) -> None:
        """`key` is (venue, symbol, strategy). `side`: of one book alone; None: of all that the account's mode has."""
        self._key = key
        self._currency = currency
        self._portfolio = portfolio
        self._working = working
        self._margin = margin
        self._others: dict[str, PositionState] = {}
        self._sides: tuple[PositionSide, ...] = (side,) if side is not None else margin.sides(key[0])
        self._parts: dict[PositionSide, PositionState] = {}
        """Of the single sides, made when they are asked for."""
        self._books: list[Position] = []
        _write(self, "qty", 0.0)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuses what a strategy reads: it would be shown its own word until the next fill."""
        if name in self.NAMES:
            raise AttributeError(f"position_state is read-only: `{name}` cannot be set")
        _write(self, name, value)

    def refresh(self) -> None:
        """Take the book's new quantity. Dust below a step, which no order could trade, does not show."""
        books = self._books
        if len(books) < len(self._sides):
            venue, symbol, strategy = self._key
            found = (self._portfolio.books.get((venue, symbol, side, strategy)) for side in self._sides)
            books = self._books = [book for book in found if book is not None]
        held = list(map(self._portfolio.tradable, books))
        _write(self, "qty", float(held[0] if len(held) == 1 else sum(held)))
        if self._parts:
            for part in self._parts.values():
                part.refresh()

    def _part(self, side: PositionSide) -> PositionState:
        part = self._parts.get(side)
        if part is None:
            part = PositionState(self._key, self._currency, self._portfolio, self._working, self._margin, side)
            part.refresh()
            self._parts[side] = part
        return part

    @property
    def long(self) -> PositionState:
        """The long book of hedge mode; flat in one-way mode."""
        return self._part("long")

    @property
    def short(self) -> PositionState:
        """The short book of hedge mode; flat in one-way mode."""
        return self._part("short")

    @property
    def _held(self) -> list[Position]:
        return [book for book in self._books if book.qty]

    @property
    def symbol(self) -> str:
        return self._key[1]

    @property
    def entry_price(self) -> float | None:
        held = self._held
        return float(held[0].cost / held[0].qty) if self.qty and len(held) == 1 else None

    @property
    def unrealized_pnl(self) -> float:
        mark = self._portfolio.mark(self._key[0], self._key[1])
        return float(sum(book.unrealized(mark) for book in self._books)) if mark is not None else 0.0

    @property
    def realized_pnl(self) -> float:
        return float(sum(book.realized_pnl for book in self._books))

    @property
    def fees(self) -> float:
        return float(sum(book.fees for book in self._books))

    @property
    def funding_paid(self) -> float:
        return -float(sum(book.funding for book in self._books))

    @property
    def equity(self) -> float:
        return float(self._portfolio.equity(self._currency))

    @property
    def cash(self) -> float:
        return float(self._portfolio.cash(self._currency))

    @property
    def margin_used(self) -> float:
        return float(self._margin.used(self._key[0], self._margin.settle(*self._key[:2])))

    @property
    def free_margin(self) -> float:
        return float(self._margin.free(self._key[0], self._margin.settle(*self._key[:2])))

    @property
    def leverage(self) -> float:
        equity = self.equity
        return float(self._portfolio.exposure(self._currency)) / equity if equity > 0 else 0.0

    @property
    def liquidation_price(self) -> float | None:
        held = self._held
        if len(held) != 1:
            return None
        price = self._margin.liquidation_price(*self._key[:2], held[0].position_side)
        return None if price is None else float(price)

    @property
    def open_orders(self) -> list[Order]:
        venue, symbol, strategy = self._key
        found = self._working.open_orders(venue, symbol, strategy)
        return [replace(order) for order in found if order.terms.position_side in self._sides]

    def __getitem__(self, name: str) -> Any:
        if name in self.NAMES or name in ("long", "short"):
            return getattr(self, name)
        other = self._others.get(name)
        if other is None:
            raise KeyError(f"{name!r}: known are {', '.join(self.NAMES)}, long, short and the strategy's symbols")
        return other

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def keys(self) -> tuple[str, ...]:
        return self.NAMES

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __contains__(self, name: object) -> bool:
        return name in self.NAMES or name in ("long", "short") or name in self._others

    def plain(self) -> dict[str, Any]:
        """A dict of the same values, for `input: dict` and `input: pandas`."""
        return {name: getattr(self, name) for name in self.NAMES}

    @classmethod
    def of_symbols(
        cls,
        keys: dict[str, tuple[str, str, str]],
        currency: str,
        portfolio: Portfolio,
        working: WorkingOrders,
        margin: AccountMargin,
    ) -> dict[str, PositionState]:
        """States of several symbols that know each other by name."""
        states = {name: cls(key, currency, portfolio, working, margin) for name, key in keys.items()}
        for state in states.values():
            state._others = states
        return states
