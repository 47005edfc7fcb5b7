"""The exact ledger: positions, balances, profit. Decimal throughout, conserved to the last digit on every fill.

A position keeps its exact cost C = sum of signed price x qty. Closing q of Q moves C x q / Q, quantized to 8 decimals
half-even, into realized PnL; the last lot takes the rest. The entry price C / Q is shown, never stored. Books are kept
per (venue, symbol, position_side, strategy); the venue's position is their sum.

The conservation law asserted on each fill, per settle asset: wallet - sum of costs = deposits + signed cash flow of all
fills and fundings. Both sides are added up apart, so an error in the cost rule or in a fee cannot cancel out.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, getcontext, localcontext, setcontext
from typing import Any

import msgspec

from core.errors import InvariantBroken
from core.events import (
    BalanceChanged,
    Bar,
    Event,
    FundingPaid,
    OrderFilled,
    PositionChanged,
    PositionClosed,
    PositionSide,
)
from core.instruments import Instrument

ZERO = Decimal(0)
EIGHT = Decimal("1e-8")
BookKey = tuple[str, str, str, str]
"""(venue, symbol, position_side, strategy)"""


class Position(msgspec.Struct):
    """One book: signed quantity and its exact cost."""

    venue: str
    symbol: str
    position_side: PositionSide
    strategy: str
    qty: Decimal = ZERO
    cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    """Before fees, quote units, over the whole run."""
    realized_since_flat: Decimal = ZERO
    fees: Decimal = ZERO
    """In quote units; fees paid in other assets are valued at the fill's price where that asset is the base."""
    funding: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal | None:
        return self.cost / self.qty if self.qty else None

    def unrealized(self, mark: Decimal) -> Decimal:
        """qty x mark - cost, quote units."""
        return self.qty * mark - self.cost


class Portfolio:
    """Books fills, marks positions, publishes what changed."""

    def __init__(
        self,
        instruments: dict[tuple[str, str], Instrument],
        balances: dict[tuple[str, str], Decimal],
        publish: Callable[[Event], None],
        *,
        leverage: dict[tuple[str, str], Decimal] | None = None,
    ) -> None:
        """`balances` by (venue, asset). `leverage` by (venue, symbol): 1 where it is not given."""
        self._context = Context(prec=34)
        self._leverage = leverage or {}
        self._instruments = instruments
        self._publish = publish
        self.books: dict[BookKey, Position] = {}
        self._by_symbol: dict[tuple[str, str], list[Position]] = {}
        self.net: dict[tuple[str, str], Decimal] = {}
        """Account's net position per (venue, symbol): the checked sum of the books."""
        self.balances: dict[tuple[str, str], Decimal] = dict(balances)
        """Total per (venue, asset)."""
        self.marks: dict[tuple[str, str], float] = {}
        """Our last known price per (venue, symbol)."""
        self._exact: dict[tuple[str, str], tuple[float, Decimal]] = {}
        self.deposits: dict[tuple[str, str], Decimal] = dict(balances)
        self.holding = 0
        """How many books are not flat."""
        self.version = 0
        """Grows with every change of a position or a balance."""
        self._cash_floats = {asset: float(total) for asset, total in balances.items()}
        self._open_floats: dict[BookKey, tuple[float, float]] = {}
        """(qty, cost) of linear books that are not flat."""
        self._spot = {(i.venue, i.base): i for i in reversed(instruments.values()) if i.kind == "spot"}
        self._flow: dict[tuple[str, str], Decimal] = dict.fromkeys(balances, ZERO)
        self._cost: dict[tuple[str, str], Decimal] = dict.fromkeys(balances, ZERO)

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_bar(self, bar: Bar) -> None:
        """Remember the close as our last known price."""
        self.marks[bar.venue, bar.symbol] = bar.close

    def on_fill(self, fill: OrderFilled) -> None:
        """Book a fill: position, balances, conservation, and the account events that say so."""
        instrument = self._instruments[fill.venue, fill.symbol]
        if (fill.venue, fill.symbol) not in self.marks:
            self.marks[fill.venue, fill.symbol] = float(fill.price)
        key = (fill.venue, fill.symbol, fill.position_side, fill.strategy)
        book = self.books.get(key)
        if book is None:
            book = self.books[key] = Position(*key)
            self._by_symbol.setdefault((fill.venue, fill.symbol), []).append(book)
        # One swap of the context and operators cost a third of calling the context's own methods.
        caller = getcontext()
        setcontext(self._context)
        try:
            if instrument.kind == "spot":
                self._book_spot(fill, book, instrument)
            else:
                self._book_linear(fill, book, instrument)
        finally:
            setcontext(caller)
        if -instrument.step < book.qty < instrument.step:  # flat, but for dust that no order could trade
            closed = PositionClosed(
                fill.ts,
                fill.ts_venue,
                fill.venue,
                fill.symbol,
                fill.position_side,
                fill.strategy,
                fill.session,
                book.realized_since_flat,
            )
            book.realized_since_flat = ZERO
            self._publish(closed)

    def on_funding(self, event: FundingPaid) -> None:
        """Move funding into the wallet and the book it belongs to."""
        instrument = self._instruments[event.venue, event.symbol]
        key = (event.venue, event.symbol, event.position_side, event.strategy)
        book = self.books.get(key)
        if book is None:
            raise InvariantBroken(f"funding for {event.symbol} of {event.strategy}, which holds nothing: {event!r}")
        book.funding += event.amount
        asset = (event.venue, instrument.quote)
        self._flow[asset] += event.amount
        self._move(event, asset, event.amount, "funding")

    # --- booking, in the ledger's own context ------------------------------------------------------------------------

    def _book_linear(self, fill: OrderFilled, book: Position, instrument: Instrument) -> None:
        signed_qty = fill.qty if fill.side == "buy" else -fill.qty
        signed_value = fill.price * signed_qty
        realized = self._change(book, instrument, fill.price, signed_qty, signed_value)
        own = (fill.venue, fill.symbol, fill.position_side, fill.strategy)
        if book.qty:
            self._open_floats[own] = (float(book.qty), float(book.cost))
        else:
            self._open_floats.pop(own, None)
        asset = (fill.venue, instrument.quote)
        if fill.fee_asset == instrument.quote:
            book.fees += fill.fee
            delta = realized - fill.fee
            self._flow[asset] -= signed_value + fill.fee
        else:
            delta = realized
            self._flow[asset] -= signed_value
            other = (fill.venue, fill.fee_asset)
            self._flow[other] = self._flow.get(other, ZERO) - fill.fee
            self._move(fill, other, -fill.fee, "fee")
        key = (fill.venue, fill.symbol)
        self.net[key] = self.net.get(key, ZERO) + signed_qty
        self._tell(fill, book, realized)
        self._move(fill, asset, delta, "fill")
        if self.balances[asset] - self._cost[asset] != self.deposits.get(asset, ZERO) + self._flow[asset]:
            raise InvariantBroken(
                f"{asset[1]} is not conserved: wallet {self.balances[asset]} - cost {self._cost[asset]} is not "
                f"deposits {self.deposits.get(asset, ZERO)} + flow {self._flow[asset]} after {fill!r}"
            )

    def _book_spot(self, fill: OrderFilled, book: Position, instrument: Instrument) -> None:
        """Assets change hands at once: the wallet holds base and quote, the book remembers what the base cost."""
        signed_qty = fill.qty if fill.side == "buy" else -fill.qty
        signed_value = fill.price * signed_qty
        base_fee = fill.fee if fill.fee_asset == instrument.base else ZERO
        realized = self._change(book, instrument, fill.price, signed_qty, signed_value)
        if base_fee:
            # What the fee took of the base is not held: it leaves at the price it was just bought for.
            held = bool(book.qty)
            book.qty -= base_fee
            book.cost -= base_fee * fill.price
            self.holding += bool(book.qty) - held
            book.fees += base_fee * fill.price
        elif fill.fee_asset == instrument.quote:
            book.fees += fill.fee
        key = (fill.venue, fill.symbol)
        self.net[key] = self.net.get(key, ZERO) + signed_qty - base_fee
        self._tell(fill, book, realized)
        deltas = {instrument.base: signed_qty, instrument.quote: -signed_value}
        deltas[fill.fee_asset] = deltas.get(fill.fee_asset, ZERO) - fill.fee
        for name, delta in deltas.items():
            asset = (fill.venue, name)
            self._flow[asset] = self._flow.get(asset, ZERO) + delta
            self._move(fill, asset, delta, "fill")
            if self.balances[asset] != self.deposits.get(asset, ZERO) + self._flow[asset]:
                raise InvariantBroken(f"{name} is not conserved after {fill!r}")

    def _change(self, book: Position, instrument: Instrument, price: Decimal, qty: Decimal, value: Decimal) -> Decimal:
        """Apply a signed fill to a book; returns what it realized. A flip is a close and an open."""
        held = book.qty
        before = book.cost
        realized = ZERO
        if not held or (held > 0) == (qty > 0):
            book.cost = before + value
        elif qty == -held:
            realized = -value - before
            book.cost = ZERO
        elif abs(qty) < abs(held):
            moved = (before * -qty / held).quantize(EIGHT, ROUND_HALF_EVEN)
            realized = -value - moved
            book.cost = before - moved
        else:
            closing_value = price * -held
            realized = -closing_value - before
            book.cost = value - closing_value
        book.qty = held + qty
        self.holding += bool(book.qty) - bool(held)
        if realized:
            book.realized_pnl += realized
            book.realized_since_flat += realized
        self._cost[book.venue, instrument.quote] += book.cost - before
        return realized

    def _tell(self, fill: OrderFilled, book: Position, realized: Decimal) -> None:
        self._publish(
            PositionChanged(
                fill.ts,
                fill.ts_venue,
                fill.venue,
                fill.symbol,
                fill.position_side,
                fill.strategy,
                fill.session,
                book.qty,
                book.cost,
                realized,
            )
        )

    def _move(self, cause: OrderFilled | FundingPaid, asset: tuple[str, str], delta: Decimal, reason: str) -> None:
        total = self.balances.get(asset, ZERO) + delta
        self.balances[asset] = total
        self._cash_floats[asset] = float(total)
        self.version += 1
        self._publish(
            BalanceChanged(
                cause.ts,
                cause.ts_venue,
                cause.venue,
                cause.symbol,
                cause.position_side,
                cause.strategy,
                cause.session,
                asset[1],
                delta,
                total,
                reason,
            )
        )

    def snapshot(self) -> dict[str, Any]:
        """All state that cannot be derived, encodable: what a restart begins from."""
        return {
            "balances": [[venue, asset, total] for (venue, asset), total in self.balances.items()],
            "deposits": [[venue, asset, total] for (venue, asset), total in self.deposits.items()],
            "books": list(self.books.values()),
        }

    # --- queries ----------------------------------------------------------------------------------------------------

    def position(self, venue: str, symbol: str, strategy: str, position_side: PositionSide = "net") -> Position | None:
        """A strategy's own book; None where it never traded the symbol."""
        return self.books.get((venue, symbol, position_side, strategy))

    def books_of(self, key: tuple[str, str]) -> list[Position]:
        """Every book of a (venue, symbol)."""
        return self._by_symbol.get(key, [])

    def tradable(self, book: Position) -> Decimal:
        """A book's quantity without dust: rounded towards zero onto the step."""
        step = self._instruments[book.venue, book.symbol].step
        return book.qty if not book.qty % step else book.qty // step * step

    def mark(self, venue: str, symbol: str) -> Decimal | None:
        """Our last known price, exact: the decimal that the float of the tape stands for."""
        price = self.marks.get((venue, symbol))
        if price is None:
            return None
        known = self._exact.get((venue, symbol))
        if known is None or known[0] != price:
            known = self._exact[venue, symbol] = (price, Decimal(repr(price)))
        return known[1]

    def cash(self, currency: str) -> Decimal:
        """Total of one asset over all venues."""
        total = ZERO
        for asset, held in self.balances.items():
            if asset[1] == currency:
                total = self._context.add(total, held)
        return total

    def unrealized(self, currency: str) -> Decimal:
        """Open profit of linear positions settled in `currency`; for spot, every base asset held at its mark."""
        total = ZERO
        with localcontext(self._context):
            for book in self.books.values():
                if book.qty:
                    instrument = self._instruments[book.venue, book.symbol]
                    mark = self.mark(book.venue, book.symbol)
                    if mark is not None and instrument.quote == currency and instrument.kind == "linear":
                        total += book.unrealized(mark)
            for asset, instrument in self._spot.items():
                held = self.balances.get(asset)
                if held and instrument.quote == currency and asset[1] != currency:
                    mark = self.mark(instrument.venue, instrument.symbol)
                    total += held * mark if mark is not None else ZERO
        return total

    def equity(self, currency: str) -> Decimal:
        """Cash plus open positions at our last known prices, exact."""
        return self._context.add(self.cash(currency), self.unrealized(currency))

    def equity_float(self, currency: str) -> float:
        """`equity` in floats, for limits that are followed with every price; never booked, never reported."""
        total = 0.0
        for asset, held in self._cash_floats.items():
            if asset[1] == currency:
                total += held
        marks = self.marks
        for key, (qty, cost) in self._open_floats.items():
            mark = marks.get(key[:2])
            if mark is not None:
                total += qty * mark - cost
        for asset, instrument in self._spot.items():
            mark = marks.get((instrument.venue, instrument.symbol))
            if mark is not None and asset in self._cash_floats:
                total += self._cash_floats[asset] * mark
        return total

    def only_position(self) -> tuple[str, str, float] | None:
        """(venue, symbol, qty) where exactly one linear position moves the equity; else None."""
        if len(self._open_floats) != 1 or self._spot:
            return None
        key, (qty, _) = next(iter(self._open_floats.items()))
        return key[0], key[1], qty

    def margin_used(self, currency: str) -> Decimal:
        """Initial margin of open linear positions: entry value over the symbol's leverage."""
        total = ZERO
        for book in self.books.values():
            instrument = self._instruments[book.venue, book.symbol]
            if book.qty and instrument.kind == "linear" and instrument.quote == currency:
                total += abs(book.cost) / self._leverage.get((book.venue, book.symbol), Decimal(1))
        return total

    def exposure(self, currency: str) -> Decimal:
        """Gross notional of the account's net positions at our last known prices."""
        total = ZERO
        for (venue, symbol), qty in self.net.items():
            if qty and self._instruments[venue, symbol].quote == currency:
                mark = self.mark(venue, symbol)
                total += abs(qty) * mark if mark is not None else ZERO
        return total
