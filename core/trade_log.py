"""Round trips: from flat to flat, per (venue, symbol, position side, strategy), with exact money.

- A fill that turns a position around closes one trade and opens the next. Its fee is split by quantity: the closing
  part is quantized to 8 decimals half-even, the opening part takes the rest, so that the two sum to the fee.
- Partial exits stay in one trade: its exit price is the exit fills' value over their quantity.
- `gross_pnl` follows the cost rule of the ledger: closing q of Q moves C x q / Q, quantized to 8 decimals half-even,
  and the last lot takes the rest. So the gross PnL of all trades (open ones too) sums to the portfolio's realized PnL
  to the last digit.
- Fees count in quote units: a fee in the quote asset as it is, one in the base asset at the fill's price, one in a
  third asset at what it was worth. Where nobody knows, it is kept in `other_fees` and is in no trade's `fees`.
- `mae` and `mfe` are the worst (<= 0) and best (>= 0) unrealised PnL of the quantity held, quote units, before fees
  and funding, seen at: the prices of the trade's own fills; high and low of each bar that opened at or after the last
  fill; the close (alone) of the bar in which that fill fell, because its high and low may be older than the fill. A bar
  during which the trade ended adds nothing beyond the exit price. Where the data have more than bars, what tells
  instead of them is in `core/market/extremes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, getcontext, localcontext, setcontext
from typing import Literal

import msgspec

from core.errors import InvariantBroken
from core.events import Bar, FillKey, FundingPaid, OrderFilled, PositionLiquidated, PositionSide, Side
from core.exact import EIGHT_DECIMALS, MATH, ONE, ZERO
from core.instruments import Instrument
from core.market.extremes import TapeExtremes
from core.orders import Order
from core.trade import Book, Trade, fee_in_quote, percent

BookKey = tuple[str, str, PositionSide, str]
"""venue, symbol, position side, strategy."""

FORCED = frozenset({"liquidation", "adl"})
"""Rules of fills that the venue made, not an order of ours."""


class TradeLogState(msgspec.Struct, frozen=True):
    """All a TradeLog knows; encodable with msgspec."""

    books: list[Book]
    closed: list[Trade]
    entries: int
    other_fees: dict[str, Decimal]
    unassigned_funding: Decimal


class TradeLog:
    """Turns fills into trades. Its methods are plain bus handlers."""

    def __init__(
        self,
        instruments: Mapping[tuple[str, str], Instrument],
        order_of: Callable[[str], Order] | None = None,
        extremes: TapeExtremes | None = None,
        rates: Mapping[str, Decimal] | None = None,
        fee_worth: Mapping[FillKey, Decimal] | None = None,
    ) -> None:
        """`instruments` by (venue, symbol). `order_of` names the order types of trades; without it they are empty.

        `rates` by settle asset: what one is worth in the run's currency, which a trade's money is in; 1 without.
        `fee_worth` by fill: what a fee that no book paid was worth, quote units.
        """
        self._fee_worth = fee_worth or {}
        self._instruments = instruments
        self._order_of = order_of
        self._rates = {asset: rate for asset, rate in (rates or {}).items() if rate != ONE}
        self._extremes = extremes
        """Where low and high of a stretch can be looked up: then nobody needs to call `on_bar`."""
        self._books: dict[BookKey, Book] = {}
        self._by_symbol: dict[str, list[Book]] = {}
        self._entries = 0
        self.closed: list[Trade] = []
        """Trades that are over, in the order in which they ended."""
        self.other_fees: dict[str, Decimal] = {}
        """Fees in assets that are neither base nor quote, per asset: no trade counts them."""
        self.unassigned_funding = ZERO
        """Funding of books that never traded here; run's currency, no trade counts it."""

    # --- handlers ---------------------------------------------------------------------------------------------------

    def on_bar(self, event: Bar) -> None:
        for book in self._by_symbol.get(event.symbol, ()):
            if book.venue == event.venue and book.is_open:
                book.see(event)

    def on_fill(self, event: OrderFilled) -> None:
        """Raises InvariantBroken where the symbol has no instrument."""
        self.on_fills((event,))

    def on_fills(self, events: Iterable[OrderFilled]) -> None:
        """Many at once, as if they were heard one by one."""
        # Swapping the context once and using operators costs a third of calling the context's own methods.
        caller = getcontext()
        setcontext(MATH)
        try:
            for event in events:
                self._take(event)
        finally:
            setcontext(caller)

    def on_funding(self, event: FundingPaid) -> None:
        """Book funding on the open trade; when it is learned after the exit, on the trade it was paid for."""
        book = self._books.get((event.venue, event.symbol, event.position_side, event.strategy))
        rate = self._rates.get(self._instruments[event.venue, event.symbol].quote, ONE)
        with localcontext(MATH):
            if book is None:
                self.unassigned_funding += event.amount * rate
            elif book.is_open:
                book.funding += event.amount
            else:
                trade = self.closed[book.last_closed]
                pnl = trade.pnl + event.amount * rate
                self.closed[book.last_closed] = msgspec.structs.replace(
                    trade,
                    funding=trade.funding + event.amount * rate,
                    pnl=pnl,
                    return_pct=percent(pnl, trade.entry_price * trade.qty * rate),
                )

    def on_liquidation(self, event: PositionLiquidated) -> None:
        """Close at the venue's price. For venues that report a liquidation without a fill; never both."""
        book = self._books.get((event.venue, event.symbol, event.position_side, event.strategy))
        if book is None or not book.is_open:
            raise InvariantBroken(
                f"{event.cause} of {event.qty} {event.symbol} on {event.venue} for strategy `{event.strategy}`, "
                "which holds no position there: the fills before it are missing"
            )
        self.on_fill(_forced_fill(event, book))

    # --- what a run asks for ----------------------------------------------------------------------------------------

    def finish(self, ts: int) -> list[Trade]:
        """Trades still open at `ts` (int ns UTC), in the order of their entries: no exit, reason `end_of_run`.

        Less than a step is one where fees were paid for it, or something was earned, that no trade has.
        """
        held = [book for book in self._books.values() if book.is_open or book.fees or book.gross]
        held.sort(key=lambda book: book.number)
        with localcontext(MATH):
            return [self._trade(book, None, ts, "long" if book.qty > 0 else "short") for book in held]

    def snapshot(self) -> TradeLogState:
        """A copy of all state, sharing nothing that changes."""
        books = [msgspec.structs.replace(book) for book in self._books.values()]
        return TradeLogState(books, list(self.closed), self._entries, dict(self.other_fees), self.unassigned_funding)

    def restore(self, state: TradeLogState) -> None:
        """Become what `state` says; what was here is forgotten."""
        self._books = {}
        self._by_symbol = {}
        for book in state.books:
            mine = msgspec.structs.replace(book)
            self._books[mine.venue, mine.symbol, mine.position_side, mine.strategy] = mine
            self._by_symbol.setdefault(mine.symbol, []).append(mine)
        self.closed = list(state.closed)
        self._entries = state.entries
        self.other_fees = dict(state.other_fees)
        self.unassigned_funding = state.unassigned_funding

    # --- the position's life ----------------------------------------------------------------------------------------

    def _take(self, event: OrderFilled) -> None:
        key = (event.venue, event.symbol, event.position_side, event.strategy)
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = self._new_book(key)
            self._by_symbol.setdefault(event.symbol, []).append(book)
        fee = event.fee if event.fee_asset == book.quote else self._foreign_fee(book, event)
        qty, buys = event.qty, event.side == "buy"
        if buys and event.fee_asset == book.base and event.key not in self._fee_worth:
            qty -= event.fee  # what a spot venue keeps of the bought asset never becomes part of the position
        size = abs(book.qty)
        if size < book.step:
            self._enter(book, event, qty, fee)
        elif (book.qty > 0) == buys:
            self._add(book, event, qty, fee)
        elif qty <= size:
            self._reduce(book, event, qty, fee)
        else:
            part = (fee * size / qty).quantize(EIGHT_DECIMALS)
            self._reduce(book, event, size, part)
            self._enter(book, event, qty - size, fee - part)

    def _enter(self, book: Book, event: OrderFilled, qty: Decimal, fee: Decimal) -> None:
        self._entries += 1
        value = event.price * qty
        book.number = self._entries
        book.entry_ts = event.ts
        book.entry_qty = qty
        book.entry_value = value
        book.entry_order_type = self._order_type(event)
        book.exit_qty = book.exit_value = book.mae = book.mfe = ZERO
        book.fees += fee
        if book.qty and (book.qty < 0) == (event.side == "buy"):
            qty -= self._sweep(book, event.price, qty)
            value = event.price * qty
        if event.side == "buy":
            book.qty += qty
            book.cost += value
        else:
            book.qty -= qty
            book.cost -= value
        book.start_stretch(event)

    def _sweep(self, book: Book, price: Decimal, most: Decimal) -> Decimal:
        """Close dust of the other side with the first of what comes in; what that earns is the new trade's.

        Where that leaves less than a step again, earnings and fees are those of the trade after it.
        """
        dust = abs(book.qty)
        closing = min(dust, most)
        moved = book.cost if closing == dust else (book.cost * closing / dust).quantize(EIGHT_DECIMALS)
        part = closing if book.qty > 0 else -closing
        book.gross += price * part - moved
        book.qty -= part
        book.cost -= moved
        return closing

    def _look(self, book: Book, until: int) -> None:
        """Take low and high since the book's last fill from the tapes, where there are any."""
        if self._extremes is not None:
            seen = self._extremes.between(book.venue, book.symbol, book.filled_at, until)
            if seen is not None:
                book.low, book.high = seen

    def _add(self, book: Book, event: OrderFilled, qty: Decimal, fee: Decimal) -> None:
        self._look(book, event.ts if event.ts_venue is None else event.ts_venue)
        book.mae, book.mfe = book.excursions(event.price)
        value = event.price * qty
        book.entry_qty += qty
        book.entry_value += value
        book.fees += fee
        if book.qty > 0:
            book.qty += qty
            book.cost += value
        else:
            book.qty -= qty
            book.cost -= value
        book.start_stretch(event)

    def _reduce(self, book: Book, event: OrderFilled, qty: Decimal, fee: Decimal) -> None:
        self._look(book, event.ts if event.ts_venue is None else event.ts_venue)
        book.mae, book.mfe = book.excursions(event.price)
        value, held, cost = event.price * qty, book.qty, book.cost
        size = abs(held)
        moved = cost if qty == size else (cost * qty / size).quantize(EIGHT_DECIMALS)
        side: Literal["long", "short"] = "long" if held > 0 else "short"
        if side == "long":
            book.gross += value - moved
            book.qty = left = held - qty
        else:
            book.gross += -value - moved
            book.qty = left = held + qty
        book.cost = cost - moved
        book.fees += fee
        book.exit_qty += qty
        book.exit_value += value
        if abs(left) < book.step:
            # The position is over, but for dust below a step, which stays in the book at its cost.
            book.last_closed = len(self.closed)
            self.closed.append(self._trade(book, event, event.ts, side))
            book.gross = book.fees = book.funding = ZERO
        else:
            book.start_stretch(event)

    def _trade(self, book: Book, exit_fill: OrderFilled | None, until: int, side: Literal["long", "short"]) -> Trade:
        pnl = book.gross - book.fees + book.funding
        if exit_fill is None:
            exit_ts = exit_price = exit_type = None
            reason = "end_of_run"
            self._look(book, until)
            mae, mfe = book.excursions(None)
        else:
            exit_ts = exit_fill.ts
            exit_price = book.exit_value / book.exit_qty
            exit_type = self._order_type(exit_fill)
            reason = _exit_reason(exit_fill.rule, exit_type)
            mae, mfe = book.mae, book.mfe
        money = (book.gross, book.fees, book.funding, pnl, mae, mfe)
        if book.quote in self._rates:
            rate = self._rates[book.quote]
            money = (book.gross * rate, book.fees * rate, book.funding * rate, pnl * rate, mae * rate, mfe * rate)
        gross, fees, funding, net, worst, best = money
        return Trade(
            f"t{book.number}",
            book.strategy,
            book.symbol,
            side,
            book.entry_ts,
            book.entry_value / book.entry_qty,
            exit_ts,
            exit_price,
            book.entry_qty,
            gross,
            fees,
            funding,
            net,
            percent(pnl, book.entry_value),
            book.entry_order_type,
            exit_type,
            (until - book.entry_ts) / 1e9,
            worst,
            best,
            reason,
            book.venue,
        )

    # --- details ----------------------------------------------------------------------------------------------------

    def _new_book(self, key: BookKey) -> Book:
        instrument = self._instruments.get(key[:2])
        if instrument is None:
            raise InvariantBroken(f"a fill of {key[1]} on {key[0]}, but the trade log was given no such instrument")
        return Book(*key, base=instrument.base, quote=instrument.quote, step=instrument.step)

    def _foreign_fee(self, book: Book, event: OrderFilled) -> Decimal:
        fee = fee_in_quote(event, book.base, book.quote, self._fee_worth)
        if fee is None:
            asset = event.fee_asset
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) + event.fee
            return ZERO
        return fee

    def _order_type(self, event: OrderFilled) -> str:
        if event.rule in FORCED:
            return event.rule
        return self._order_of(event.order_id).terms.type if self._order_of is not None else ""


def _exit_reason(rule: str, order_type: str) -> str:
    if rule in FORCED:
        return rule
    if order_type.startswith("take_profit"):
        return "target"
    return "stop" if "stop" in order_type else "signal"


def _forced_fill(event: PositionLiquidated, book: Book) -> OrderFilled:
    """A liquidation as the fill that it is to a position: no order, the venue's price, the cause as its rule."""
    side: Side = "sell" if book.qty > 0 else "buy"
    return OrderFilled(
        ts=event.ts, ts_venue=event.ts_venue, venue=event.venue, symbol=event.symbol,
        position_side=event.position_side, strategy=event.strategy, session=event.session, order_id="", fill_id="",
        side=side, price=event.price, qty=abs(event.qty), liquidity="taker", rule=event.cause, fee=event.fee,
        fee_asset=book.quote, reference=event.price, leaves=ZERO, cause_tape=event.cause, cause_row=0,
        cause_ts=event.ts,
    )  # fmt: skip
