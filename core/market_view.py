"""What a strategy sees: `market_data` and `position_state`. Read-only, and never more than has happened.

Windows are numpy arrays over a buffer that holds closed bars only: behind the newest bar the buffer holds nothing, so
there is no way from `market_data` to what comes next. Buffers are filled when they are asked for; a strategy that keeps
its own state pays nothing for them.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from core.events import Bar

if TYPE_CHECKING:
    import pandas as pd

    from core.portfolio import Portfolio, Position
    from core.working import WorkingOrders

FIELDS = ("time", "open", "high", "low", "close", "volume")


class SymbolView:
    """One symbol: the latest bar and rolling windows of closed bars, at most `window` of them.

    `open`, `high`, `low`, `close`, `volume` are read-only float64 arrays, oldest first; `time` holds the bars' open
    times as int64 nanoseconds UTC.
    """

    __slots__ = (
        "_buffer",
        "_end",
        "_length",
        "_pending",
        "_read",
        "_room",
        "_time",
        "_time_read",
        "bar",
        "push",
        "symbol",
        "window",
    )

    def __init__(self, symbol: str, window: int) -> None:
        self.symbol = symbol
        self.window = window
        self.bar: Bar | None = None
        """The latest closed bar."""
        self._pending: deque[Bar] = deque(maxlen=window)
        self.push = self._pending.append
        self._room = max(2 * window, 16)
        self._end = 0
        self._length = 0
        self._renew()

    def _renew(self) -> None:
        """Go on in fresh memory: arrays that a strategy keeps stay as they were."""
        self._buffer, self._read = _memory((5, self._room), np.float64)
        self._time, self._time_read = _memory((self._room,), np.int64)

    def _sync(self) -> None:
        """Move bars that came since the last look into the buffer."""
        pending = self._pending
        count = len(pending)
        if self._end + count > self._room:
            kept = min(self._length, self.window - count)
            start, end = self._end - kept, self._end
            columns, time = self._buffer[:, start:end], self._time[start:end]
            self._renew()
            self._buffer[:, :kept] = columns
            self._time[:kept] = time
            self._end = self._length = kept
        at = self._end
        buffer, time = self._buffer, self._time
        for bar in pending:
            time[at] = bar.ts_venue - bar.interval_ns
            buffer[0, at] = bar.open
            buffer[1, at] = bar.high
            buffer[2, at] = bar.low
            buffer[3, at] = bar.close
            buffer[4, at] = bar.volume
            at += 1
        self._end = at
        self._length = min(self.window, self._length + count)
        pending.clear()

    def _column(self, row: int) -> np.ndarray:
        if self._pending:
            self._sync()
        return self._read[row, self._end - self._length : self._end]

    @property
    def open(self) -> np.ndarray:
        return self._column(0)

    @property
    def high(self) -> np.ndarray:
        return self._column(1)

    @property
    def low(self) -> np.ndarray:
        return self._column(2)

    @property
    def close(self) -> np.ndarray:
        return self._column(3)

    @property
    def volume(self) -> np.ndarray:
        return self._column(4)

    @property
    def time(self) -> np.ndarray:
        if self._pending:
            self._sync()
        return self._time_read[self._end - self._length : self._end]

    def frame(self) -> pd.DataFrame:
        """The window as a pandas table, indexed by open time (UTC). A copy: changing it changes nothing here."""
        import pandas as pd

        index = pd.DatetimeIndex(self.time.copy(), tz="UTC", name="time")
        return pd.DataFrame({name: getattr(self, name).copy() for name in FIELDS[1:]}, index=index)

    def plain(self) -> dict[str, Any]:
        """The window as a dict of arrays, for `input: dict`."""
        return {"symbol": self.symbol, **{name: getattr(self, name).copy() for name in FIELDS}}


def _memory(shape: tuple[int, ...], kind: type[np.generic]) -> tuple[np.ndarray, np.ndarray]:
    """Zeroed memory as an array to write, and as one that cannot be made writable, nor any `.base` behind it."""
    memory = bytearray(math.prod(shape) * np.dtype(kind).itemsize)
    written = np.frombuffer(memory, dtype=kind).reshape(shape)
    return written, np.frombuffer(memoryview(memory).toreadonly(), dtype=kind).reshape(shape)


class MarketView(SymbolView):
    """`market_data`: the symbol of the call itself, and every symbol of the strategy by name.

    `market_data.bar`, `.close` and so on belong to the strategy's first symbol (with `call: each`, to the symbol whose
    bar came); `market_data["ETHUSDT"]` is that symbol's view. `missing` names symbols whose bar did not come in time.
    """

    __slots__ = ("_shown", "_views", "missing", "now", "symbols")

    def __init__(self, views: Mapping[str, SymbolView]) -> None:
        self._views = dict(views)
        self.symbols = tuple(views)
        self.missing: tuple[str, ...] = ()
        self.now = 0
        """`ts` of the event in hand, int nanoseconds UTC."""
        self.show(next(iter(views.values())))

    def show(self, view: SymbolView) -> None:
        """Make a symbol the one that plain attributes speak of."""
        self.symbol = view.symbol
        self.window = view.window
        self.bar = view.bar
        self._shown = view

    def _column(self, row: int) -> np.ndarray:
        return self._shown._column(row)

    @property
    def time(self) -> np.ndarray:
        return self._shown.time

    def __getitem__(self, symbol: str) -> Any:
        view = self._views.get(symbol)
        if view is not None:
            return view
        if symbol in FIELDS or symbol in ("bar", "symbol", "now", "missing"):
            return getattr(self, symbol)
        raise KeyError(f"{symbol!r}: this strategy sees {', '.join(self.symbols)} and {', '.join(FIELDS)}")

    def get(self, symbol: str, default: Any = None) -> Any:
        try:
            return self[symbol]
        except KeyError:
            return default

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._views

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def keys(self) -> tuple[str, ...]:
        return self.symbols


class PositionState:
    """`position_state`: what the strategy holds in one symbol, and its account. Floats, at our last known price.

    `qty` signed base units; `entry_price` None when flat; `equity`, `cash`, `free_margin` quote units of the account;
    `leverage` gross exposure over equity; `liquidation_price` None where it is not known; `open_orders` a list of
    `core.orders.Order`, copied as they are at this moment. Reads like an object and like a mapping;
    `position_state["ETHUSDT"]` is another symbol's.
    """

    __slots__ = ("_book", "_currency", "_key", "_others", "_portfolio", "_working", "qty")

    NAMES = (
        "symbol",
        "qty",
        "entry_price",
        "unrealized_pnl",
        "realized_pnl",
        "fees",
        "equity",
        "cash",
        "free_margin",
        "leverage",
        "liquidation_price",
        "open_orders",
    )

    def __init__(self, key: tuple[str, str, str], currency: str, portfolio: Portfolio, working: WorkingOrders) -> None:
        self._key = key  # (venue, symbol, strategy)
        self._currency = currency
        self._portfolio = portfolio
        self._working = working
        self._others: dict[str, PositionState] = {}
        self._book: Position | None = None
        self.qty = 0.0
        """Signed position of this strategy's own book, base units. Kept current by the host on each change."""

    def refresh(self) -> None:
        """Take the book's new quantity. Dust below a step, which no order could trade, does not show."""
        book = self._book
        if book is None:
            venue, symbol, strategy = self._key
            book = self._book = self._portfolio.books.get((venue, symbol, "net", strategy))
        self.qty = 0.0 if book is None else float(self._portfolio.tradable(book))

    @property
    def symbol(self) -> str:
        return self._key[1]

    @property
    def entry_price(self) -> float | None:
        return float(self._book.cost / self._book.qty) if self.qty and self._book is not None else None

    @property
    def unrealized_pnl(self) -> float:
        mark = self._portfolio.mark(self._key[0], self._key[1])
        return float(self._book.unrealized(mark)) if self._book is not None and mark is not None else 0.0

    @property
    def realized_pnl(self) -> float:
        return float(self._book.realized_pnl) if self._book is not None else 0.0

    @property
    def fees(self) -> float:
        return float(self._book.fees) if self._book is not None else 0.0

    @property
    def equity(self) -> float:
        return float(self._portfolio.equity(self._currency))

    @property
    def cash(self) -> float:
        return float(self._portfolio.cash(self._currency))

    @property
    def free_margin(self) -> float:
        """Equity less the initial margin of open positions; what working orders hold is the venue's to say."""
        portfolio = self._portfolio
        return float(portfolio.equity(self._currency) - portfolio.margin_used(self._currency))

    @property
    def leverage(self) -> float:
        equity = self.equity
        return float(self._portfolio.exposure(self._currency)) / equity if equity > 0 else 0.0

    @property
    def liquidation_price(self) -> float | None:
        return None

    @property
    def open_orders(self) -> list[Any]:
        venue, symbol, strategy = self._key
        return [copy.copy(order) for order in self._working.open_orders(venue, symbol, strategy)]

    def __getitem__(self, name: str) -> Any:
        if name in self.NAMES:
            return getattr(self, name)
        other = self._others.get(name)
        if other is None:
            raise KeyError(f"{name!r}: known are {', '.join(self.NAMES)}, and the strategy's symbols")
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
        return name in self.NAMES or name in self._others

    def plain(self) -> dict[str, Any]:
        """A dict of the same values, for `input: dict` and `input: pandas`."""
        return {name: getattr(self, name) for name in self.NAMES}

    @classmethod
    def of_symbols(
        cls, keys: dict[str, tuple[str, str, str]], currency: str, portfolio: Portfolio, working: WorkingOrders
    ) -> dict[str, PositionState]:
        """States of several symbols that know each other by name."""
        states = {name: cls(key, currency, portfolio, working) for name, key in keys.items()}
        for state in states.values():
            state._others = states
        return states
