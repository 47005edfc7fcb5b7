"""What a strategy sees of the market: `market_data`. Read-only, and never more than has happened.

Windows are numpy arrays over a buffer that holds closed bars only: behind the newest bar the buffer holds nothing, so
there is no way from `market_data` to what comes next. Buffers are filled when they are asked for; a strategy that keeps
its own state pays nothing for them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from core.events import Bar, MarketEvent, QuoteTick, TradeTick
from core.hosting.book_window import BookWindow

if TYPE_CHECKING:
    import pandas as pd

FIELDS = ("time", "open", "high", "low", "close", "volume")
TICKS = ("last_trade", "trades", "quote", "quotes", "book")


class SymbolView:
    """One symbol: the latest bar and rolling windows of closed bars, at most `window` of them; ticks and the book.

    `open`, `high`, `low`, `close`, `volume` are read-only float64 arrays, oldest first; `time` holds the bars' open
    times as int64 nanoseconds UTC.
    """

    __slots__ = (
        "_buffer",
        "_end",
        "_length",
        "_open_book",
        "_pending",
        "_quotes",
        "_read",
        "_room",
        "_time",
        "_time_read",
        "_trades",
        "bar",
        "kinds",
        "push",
        "push_quote",
        "push_trade",
        "symbol",
        "window",
    )

    def __init__(self, symbol: str, window: int, kinds: tuple[str, ...] = ("bars",)) -> None:
        self.symbol = symbol
        self.window = window
        self.kinds = kinds
        """Streams that are shown."""
        self.bar: Bar | None = None
        """The latest closed bar."""
        self._pending: deque[Bar] = deque(maxlen=window)
        self.push = self._pending.append
        self._trades: deque[TradeTick] = deque(maxlen=window)
        self.push_trade = self._trades.append
        self._quotes: deque[QuoteTick] = deque(maxlen=window)
        self.push_quote = self._quotes.append
        self._open_book: Callable[[], BookWindow | None] = _no_book
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

    # --- ticks and the book -----------------------------------------------------------------------------------------

    def look_into(self, open_book: Callable[[], BookWindow | None]) -> None:
        """How `book` is to be opened."""
        self._open_book = open_book

    @property
    def last_trade(self) -> TradeTick | None:
        """The newest trade that was heard."""
        return self._trades[-1] if self._trades else None

    @property
    def trades(self) -> tuple[TradeTick, ...]:
        """The newest trades, at most `window`, oldest first."""
        return tuple(self._trades)

    @property
    def quote(self) -> QuoteTick | None:
        """The newest best bid and ask that was heard: `bid`, `bid_qty`, `ask`, `ask_qty`."""
        return self._quotes[-1] if self._quotes else None

    @property
    def quotes(self) -> tuple[QuoteTick, ...]:
        """The newest quotes, at most `window`, oldest first."""
        return tuple(self._quotes)

    @property
    def book(self) -> BookWindow:
        """Our book at this moment. Raises AttributeError where the run has no book of the symbol."""
        book = self._open_book()
        if book is None:
            raise AttributeError(f"this run has no book of {self.symbol}: give `data` its depth or its quotes")
        return book

    def top(self) -> tuple[float, float, float, float] | None:
        """Bid, bid quantity, ask, ask quantity of our book; None where there is no book or a side is empty."""
        book = self._open_book()
        return book.best if book is not None and book.best[1] > 0 and book.best[3] > 0 else None

    # --- other forms ------------------------------------------------------------------------------------------------

    def frame(self) -> pd.DataFrame:
        """The window as a pandas table, a copy: bars by open time, else trades or quotes by venue time (UTC)."""
        import pandas as pd

        if "bars" in self.kinds or not {"trades", "quotes"} & set(self.kinds):
            index = pd.DatetimeIndex(self.time.copy(), tz="UTC", name="time")
            return pd.DataFrame({name: getattr(self, name).copy() for name in FIELDS[1:]}, index=index)
        ticks: Any = self._trades if "trades" in self.kinds else self._quotes
        names = ("price", "qty", "side") if "trades" in self.kinds else ("bid", "bid_qty", "ask", "ask_qty")
        index = pd.DatetimeIndex([tick.ts_venue for tick in ticks], tz="UTC", name="time")
        return pd.DataFrame({name: [getattr(tick, name) for tick in ticks] for name in names}, index=index)

    def plain(self) -> dict[str, Any]:
        """What is shown as a dict, for `input: dict`: arrays of bars; ticks and the book as plain values."""
        shown: dict[str, Any] = {"symbol": self.symbol}
        if "bars" in self.kinds:
            shown |= {name: getattr(self, name).copy() for name in FIELDS}
        if "trades" in self.kinds:
            shown["last_trade"] = _plain_tick(self.last_trade)
        if "quotes" in self.kinds:
            shown["quote"] = _plain_tick(self.quote)
        book = self._open_book()
        if book is not None:
            shown["book"] = book.plain()
        return shown


def _plain_tick(tick: MarketEvent | None) -> dict[str, Any] | None:
    """A tick as a dict of its fields, times in int nanoseconds UTC."""
    return None if tick is None else {name: getattr(tick, name) for name in tick.__struct_fields__}


def _no_book() -> None:
    """There is none before `look_into`."""


def _memory(shape: tuple[int, ...], kind: type[np.generic]) -> tuple[np.ndarray, np.ndarray]:
    """Zeroed memory as an array to write, and as one that cannot be made writable, nor any `.base` behind it."""
    memory = bytearray(math.prod(shape) * np.dtype(kind).itemsize)
    written = np.frombuffer(memory, dtype=kind).reshape(shape)
    return written, np.frombuffer(memoryview(memory).toreadonly(), dtype=kind).reshape(shape)


class MarketView(SymbolView):
    """`market_data`: the symbol of the call itself, and every symbol of the strategy by name.

    `market_data.bar`, `.close`, `.book` and so on belong to the strategy's first symbol (with `call: each`, to the
    symbol whose event came); `market_data["ETHUSDT"]` is that symbol's view. `missing` names symbols whose bar did not
    come in time.
    """

    __slots__ = ("_shown", "_views", "called_at", "event", "missing", "symbols")

    def __init__(self, views: Mapping[str, SymbolView]) -> None:
        self._views = dict(views)
        self.symbols = tuple(views)
        self.missing: tuple[str, ...] = ()
        self.called_at = 0
        """When a timer is the reason for this call: its moment."""
        self.event: MarketEvent | None = None
        """The bar, trade, quote or book update that is the reason for this call; None where a timer is."""
        self.show(next(iter(views.values())))

    @property
    def now(self) -> int:
        """`ts` of the event in hand, int nanoseconds UTC."""
        return self.called_at if self.event is None else self.event.ts

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

    @property
    def last_trade(self) -> TradeTick | None:
        return self._shown.last_trade

    @property
    def trades(self) -> tuple[TradeTick, ...]:
        return self._shown.trades

    @property
    def quote(self) -> QuoteTick | None:
        return self._shown.quote

    @property
    def quotes(self) -> tuple[QuoteTick, ...]:
        return self._shown.quotes

    @property
    def book(self) -> BookWindow:
        return self._shown.book

    def frame(self) -> pd.DataFrame:
        return self._shown.frame()

    def plain(self) -> dict[str, Any]:
        return self._shown.plain()

    def __getitem__(self, symbol: str) -> Any:
        view = self._views.get(symbol)
        if view is not None:
            return view
        if symbol in FIELDS or symbol in TICKS or symbol in ("bar", "symbol", "now", "missing", "event"):
            return getattr(self, symbol)
        known = ", ".join((*self.symbols, "bar", *FIELDS, *TICKS))
        raise KeyError(f"{symbol!r}: this strategy sees {known}")

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
