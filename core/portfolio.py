"""The exact ledger: positions, balances, profit. Decimal throughout, conserved to the last digit on every fill.

A position keeps its exact cost C = sum of signed price x qty. Closing q of Q moves C x q / Q, quantized to 8 decimals
half-even, into realized PnL; the last lot takes the rest. The entry price C / Q is shown, never stored.

Books are kept per (venue, symbol, position_side, strategy): what each strategy bought and sold by itself. The venue
nets them into one position per (venue, symbol, position_side), whose cost is not the sum of theirs: where one strategy
buys what another sells, the venue has realized what the two books still carry open. `whole` keeps that position too;
wallet - cost is the same on both sides, to the last digit.

The conservation law asserted on each fill, per settle asset: wallet - sum of costs = deposits + signed cash flow of all
fills and fundings. Both sides are added up apart, so an error in the cost rule or in a fee cannot cancel out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, getcontext, setcontext
from operator import attrgetter
from typing import Any

import msgspec

from core.errors import InvariantBroken
from core.events import (
    BalanceChanged,
    Bar,
    Event,
    FillKey,
    FundingPaid,
    OrderFilled,
    PositionChanged,
    PositionClosed,
    PositionLiquidated,
    PositionSide,
    TradeTick,
)
from core.exact import EIGHT_DECIMALS, FORCED_CASH, MATH, ONE, ZERO
from core.instruments import Instrument

BookKey = tuple[str, str, str, str]
"""(venue, symbol, position_side, strategy)"""
PositionKey = tuple[str, str, str]
"""(venue, symbol, position_side)"""


Keys = tuple[int, int | None, str, str, PositionSide, str, str]
KEYS: Callable[[Any], Keys] = attrgetter("ts", "ts_venue", "venue", "symbol", "position_side", "strategy", "session")
"""What an event of ours begins with, of the event that is its cause; from the third to the sixth it is a BookKey."""


class Position(msgspec.Struct):
    """One book, or the venue's position of several: signed quantity and its exact cost."""

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
    margin_taken: Decimal = ZERO
    """Of the venue's position: what funding took of its isolated margin, quote units."""

    @property
    def entry_price(self) -> Decimal | None:
        return self.cost / self.qty if self.qty else None

    def unrealized(self, mark: Decimal) -> Decimal:
        """qty x mark - cost, quote units."""
        return self.qty * mark - self.cost


class _Page:
    """Where the fills of one book are written down: the book, and the keys of everything else that they move."""

    __slots__ = ("asset", "book", "instrument", "market", "step", "whole")

    def __init__(self, fill: OrderFilled, instrument: Instrument) -> None:
        self.book = Position(fill.venue, fill.symbol, fill.position_side, fill.strategy)
        self.whole = self.book
        """The venue's position that the book is a part of; the book itself while there is no other."""
        self.instrument = instrument
        self.step = instrument.step
        self.market = (fill.venue, fill.symbol)
        self.asset = (fill.venue, instrument.quote)


class Portfolio:
    """Books fills, marks positions, publishes what changed."""

    def __init__(
        self,
        instruments: dict[tuple[str, str], Instrument],
        balances: dict[tuple[str, str], Decimal],
        publish: Callable[[Event], None],
        rates: Mapping[str, Decimal] | None = None,
        valued: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        """`balances` by (venue, asset). `rates`: constant prices by asset, in the run's currency. `valued`: by (venue,
        asset), the symbol of the venue whose price an asset that is only held has.
        """
        self._instruments = instruments
        self._publish = publish
        self.books: dict[BookKey, Position] = {}
        self._pages: dict[BookKey, _Page] = {}
        self._by_symbol: dict[tuple[str, str], list[Position]] = {market: [] for market in instruments}
        self.whole: dict[PositionKey, Position] = {}
        """The venue's positions; where one strategy alone holds one, that is its book itself."""
        self._shared: dict[PositionKey, list[Position]] = {}
        """The books of those that several strategies hold."""
        self.balances: dict[tuple[str, str], Decimal] = dict(balances)
        """Total per (venue, asset)."""
        self._marks: dict[tuple[str, str], float] = {}
        self._newest: deque[Bar | TradeTick] = deque(maxlen=1)
        self.keep_newest = self._newest.append
        """Hears bars or trades where those of one market are all that tells a price: the newest is kept, and read when
        somebody asks for `marks`."""
        self._exact: dict[tuple[str, str], tuple[float, Decimal]] = {}
        self.deposits: dict[tuple[str, str], Decimal] = dict(balances)
        self.version = 0
        """Grows with every change of a position or a balance."""
        self._rates = rates or {}
        self.valued = {(i.venue, i.base): i for i in reversed(instruments.values()) if i.kind == "spot"}
        """Assets that have a symbol's price: those that spot trades, and those that are only held."""
        self.valued |= {key: instruments[key[0], symbol] for key, symbol in (valued or {}).items()}
        self.fee_worth: dict[FillKey, Decimal] = {}
        """By fill, what a fee was worth that neither the quote nor what was bought paid, quote units of its symbol."""
        self.paid_in_kind: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        """Of such fees, by (venue, asset): how much of the asset, and what it was worth when it was paid."""
        self._flowed: dict[tuple[str, str], Decimal] = dict(balances)
        """Deposits and the signed cash flow of every fill and funding: what conservation is checked against."""
        self._cost: dict[tuple[str, str], Decimal] = dict.fromkeys(balances, ZERO)

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_bar(self, bar: Bar) -> None:
        """Remember the close as our last known price."""
        self._marks[bar.venue, bar.symbol] = bar.close

    def on_fill(self, fill: OrderFilled) -> None:
        """Book a fill: position, balances, conservation, and the account events that say so."""
        keys = KEYS(fill)
        page = self._pages.get(keys[2:6]) or self._open_page(fill)
        # One swap of the context and operators cost a third of calling the context's own methods.
        caller = getcontext()
        setcontext(MATH)
        try:
            if page.instrument.kind == "spot":
                self._book_spot(fill, keys, page)
            else:
                self._book_linear(fill, keys, page)
        finally:
            setcontext(caller)
        if not page.book.qty or abs(page.book.qty) < page.step:  # flat, but for dust that no order could trade
            self._tell_closed(keys, page.book)

    def _open_page(self, fill: OrderFilled) -> _Page:
        """The first fill of a book."""
        key = (fill.venue, fill.symbol, fill.position_side, fill.strategy)
        page = self._pages[key] = _Page(fill, self._instruments[fill.venue, fill.symbol])
        self.books[key] = page.book
        self._by_symbol[page.market].append(page.book)
        self._share(key[:3], page)
        self.marks.setdefault(page.market, float(fill.price))
        return page

    def _share(self, key: PositionKey, page: _Page) -> None:
        """Make a new book part of the venue's position: from the second one on that is a ledger of its own."""
        if key not in self.whole:
            self.whole[key] = page.book
            return
        if key not in self._shared:
            first = self.whole[key]
            self.whole[key] = msgspec.structs.replace(first, strategy="")
            self._shared[key] = [first]
        self._shared[key].append(page.book)
        for other in self._pages.values():
            if (*other.market, other.book.position_side) == key:
                other.whole = self.whole[key]

    def on_funding(self, event: FundingPaid) -> None:
        """Move funding into the wallet and the book it belongs to."""
        instrument = self._instruments[event.venue, event.symbol]
        key = (event.venue, event.symbol, event.position_side, event.strategy)
        book = self.books.get(key)
        if book is None:
            raise InvariantBroken(f"funding for {event.symbol} of {event.strategy}, which holds nothing: {event!r}")
        book.funding += event.amount
        self.whole[key[:3]].margin_taken += event.from_margin
        asset = (event.venue, instrument.quote)
        self._flowed[asset] += event.amount
        self._move(KEYS(event), asset, event.amount, "funding")

    def on_liquidation(self, event: PositionLiquidated) -> None:
        """Close what the venue closed of a book, at its price; what it bears of the loss comes back in."""
        keys = KEYS(event)
        page = self._pages.get(keys[2:6])
        if page is None or abs(page.book.qty) < event.qty:
            raise InvariantBroken(f"{event.cause} of more than `{event.strategy}` holds of {event.symbol}: {event!r}")
        book, asset = page.book, page.asset
        caller = getcontext()
        setcontext(MATH)
        try:
            qty = -event.qty if book.qty > 0 else event.qty
            value = (event.price * qty).quantize(FORCED_CASH, ROUND_HALF_EVEN)
            cost = book.cost
            realized = _change(book, event.price, qty, value)
            book.fees += event.fee
            if page.whole is not book:
                _change(page.whole, event.price, qty, value)
            self._publish(PositionChanged(*keys, book.qty, book.cost, realized))
            total = self._move(keys, asset, realized - event.fee + event.insured, event.cause)
            self._cost[asset] += book.cost - cost
            self._flowed[asset] += event.insured - value - event.fee
            if total - self._cost[asset] != self._flowed[asset]:
                raise InvariantBroken(f"{asset[1]} is not conserved after {event!r}")
        finally:
            setcontext(caller)
        if not book.qty:
            self._tell_closed(keys, book)

    # --- booking, in the ledger's own context ------------------------------------------------------------------------

    def _book_linear(self, fill: OrderFilled, keys: Keys, page: _Page) -> None:
        book, asset = page.book, page.asset
        qty = fill.qty if fill.side == "buy" else -fill.qty
        value = fill.price * qty
        cost = book.cost
        realized = _change(book, fill.price, qty, value)
        fee = fill.fee
        if fill.fee_asset == asset[1]:
            book.fees += fee
            delta, paid = realized - fee, value + fee
        else:
            delta, paid = realized, value
            other = (fill.venue, fill.fee_asset)
            self._flowed[other] = self._flowed.get(other, ZERO) - fee
            self._move(keys, other, -fee, "fee")
            self._value_fee(fill, page)
        if page.whole is not book:
            _change(page.whole, fill.price, qty, value)
        self._publish(PositionChanged(*keys, book.qty, book.cost, realized))
        total = self._move(keys, asset, delta, "fill")
        self._cost[asset] = cost = self._cost[asset] + (book.cost - cost)
        self._flowed[asset] = flowed = self._flowed[asset] - paid
        if total - cost != flowed:
            deposited = self.deposits[asset]
            raise InvariantBroken(
                f"{asset[1]} is not conserved: wallet {total} - cost {cost} is not deposits {deposited} + flow "
                f"{flowed - deposited} after {fill!r}"
            )

    def _book_spot(self, fill: OrderFilled, keys: Keys, page: _Page) -> None:
        """Assets change hands at once: the wallet holds base and quote, the book remembers what the base cost."""
        book, instrument = page.book, page.instrument
        qty = fill.qty if fill.side == "buy" else -fill.qty
        value = fill.price * qty
        base_fee = fill.fee if qty > 0 and fill.fee_asset == instrument.base else ZERO
        # What the fee took of the base never becomes part of the position, nor does it close any of it.
        held = qty - base_fee
        realized = _change(book, fill.price, held, fill.price * held)
        if page.whole is not book:
            _change(page.whole, fill.price, held, fill.price * held)
        if base_fee:
            book.fees += base_fee * fill.price
        elif fill.fee_asset == instrument.quote:
            book.fees += fill.fee
        else:
            self._value_fee(fill, page)
        self._publish(PositionChanged(*keys, book.qty, book.cost, realized))
        deltas = {instrument.base: qty, instrument.quote: -value}
        deltas[fill.fee_asset] = deltas.get(fill.fee_asset, ZERO) - fill.fee
        for name, delta in deltas.items():
            asset = (fill.venue, name)
            self._flowed[asset] = flowed = self._flowed.get(asset, ZERO) + delta
            if self._move(keys, asset, delta, "fill") != flowed:
                raise InvariantBroken(f"{name} is not conserved after {fill!r}")

    def _value_fee(self, fill: OrderFilled, page: _Page) -> None:
        """A fee that is paid from what the account has is worth what its asset is worth now, if anybody knows."""
        asset, instrument = (fill.venue, fill.fee_asset), page.instrument
        own = self.valued.get(asset) is instrument
        price = fill.price if own else self._price_in(asset, instrument.quote)
        if price is not None:
            worth = self.fee_worth[fill.key] = fill.fee * price
            page.book.fees += worth
            paid, before = self.paid_in_kind.get(asset, (ZERO, ZERO))
            self.paid_in_kind[asset] = (paid + fill.fee, before + worth)

    def _price_in(self, asset: tuple[str, str], quote: str) -> Decimal | None:
        """Our last known price of a (venue, asset), units of `quote`; None where it has none."""
        valued = self.valued.get(asset)
        if valued is None:
            return self.rate(asset[1], quote)
        mark, rate = self.mark(asset[0], valued.symbol), self.rate(valued.quote, quote)
        return None if mark is None or rate is None else mark * rate

    def _tell_closed(self, keys: Keys, book: Position) -> None:
        realized, book.realized_since_flat = book.realized_since_flat, ZERO
        self._publish(PositionClosed(*keys, realized))

    def _move(self, keys: Keys, asset: tuple[str, str], delta: Decimal, reason: str) -> Decimal:
        """Change a balance and say so; returns the new total."""
        total = self.balances.get(asset, ZERO) + delta
        self.balances[asset] = total
        self.version += 1
        self._publish(BalanceChanged(*keys, asset[1], delta, total, reason))
        return total

    def snapshot(self) -> dict[str, Any]:
        """All state that cannot be derived, encodable: what a restart begins from."""
        return {
            "balances": [[venue, asset, total] for (venue, asset), total in self.balances.items()],
            "deposits": [[venue, asset, total] for (venue, asset), total in self.deposits.items()],
            "books": list(self.books.values()),
            "shared": [self.whole[key] for key in self._shared],
            "fee_worth": [[*key, worth] for key, worth in self.fee_worth.items()],
            "paid_in_kind": [[*asset, paid, worth] for asset, (paid, worth) in self.paid_in_kind.items()],
        }

    # --- queries ----------------------------------------------------------------------------------------------------

    @property
    def marks(self) -> dict[tuple[str, str], float]:
        """Our last known price per (venue, symbol). Asked for anew each time: see `keep_newest`."""
        if self._newest:
            newest = self._newest.pop()
            self._marks[newest.venue, newest.symbol] = newest.close if isinstance(newest, Bar) else newest.price
        return self._marks

    @property
    def quotes(self) -> set[str]:
        """The assets that this run's symbols are priced in."""
        return {instrument.quote for instrument in self._instruments.values()}

    def position(self, venue: str, symbol: str, strategy: str, position_side: PositionSide = "net") -> Position | None:
        """A strategy's own book; None where it never traded the symbol."""
        return self.books.get((venue, symbol, position_side, strategy))

    def held(self, venue: str, symbol: str, position_side: PositionSide = "net") -> Decimal:
        """Signed quantity of the venue's position, base units."""
        whole = self.whole.get((venue, symbol, position_side))
        return ZERO if whole is None else whole.qty

    def wallet(self, venue: str, asset: str) -> Decimal:
        """What the venue says our wallet is: what it netted between strategies it has realized, and we have not yet."""
        total = self.balances.get((venue, asset), ZERO)
        for key, books in self._shared.items():
            instrument = self._instruments[key[:2]]
            if key[0] == venue and instrument.quote == asset and instrument.kind == "linear":
                costs = ZERO
                for book in books:
                    costs = MATH.add(costs, book.cost)
                total = MATH.add(total, MATH.subtract(self.whole[key].cost, costs))
        return total

    def books_of(self, key: tuple[str, str]) -> list[Position]:
        """Every book of a (venue, symbol): the list itself, which grows with the books."""
        return self._by_symbol[key]

    def tradable(self, book: Position) -> Decimal:
        """A book's quantity without dust: rounded towards zero onto the step."""
        if not book.qty:
            return ZERO
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

    def rate(self, asset: str, currency: str) -> Decimal | None:
        """What one unit of an asset is worth in another, both with constant prices; None where one has none."""
        if asset == currency:
            return ONE
        price, unit = self._rates.get(asset), self._rates.get(currency)
        return None if price is None or unit is None else MATH.divide(price, unit)

    def quote_rate(self, venue: str, symbol: str, currency: str) -> Decimal:
        """What one quote unit of a symbol is worth. Raises ValueError where nobody says."""
        quote = self._instruments[venue, symbol].quote
        rate = self.rate(quote, currency)
        if rate is None:
            raise ValueError(f"{symbol} is settled in {quote}, which has no price in {currency}")
        return rate

    def cash(self, currency: str) -> Decimal:
        """Total of one asset over all venues, with what others of a constant price are worth in it."""
        return self._sum(self.balances, currency)

    def unmoved(self, currency: str) -> Decimal:
        """Of the equity, what no price moves: cash less the cost of open linear books."""
        return self._sum(self._flowed, currency)

    def _sum(self, totals: Mapping[tuple[str, str], Decimal], currency: str) -> Decimal:
        total: Decimal | None = None
        for asset, held in totals.items():
            if asset[1] != currency:
                rate = None if asset in self.valued else self.rate(asset[1], currency)
                if rate is None or not held:
                    continue
                held = MATH.multiply(held, rate)
            total = held if total is None else MATH.add(total, held)
        return ZERO if total is None else total

    def moved(self, currency: str) -> Iterator[tuple[tuple[str, str], Decimal, Decimal]]:
        """(venue, symbol), quantity and cost of all that the symbol's price moves the equity by: open linear books, and
        assets that have the price of a symbol. In `currency`: quantity x price - cost is what it is worth."""
        multiply = MATH.multiply
        for page in self._pages.values():
            book = page.book
            if book.qty and page.instrument.kind == "linear":
                rate = self.rate(page.instrument.quote, currency)
                if rate is ONE:
                    yield page.market, book.qty, book.cost
                elif rate is not None:
                    yield page.market, multiply(book.qty, rate), multiply(book.cost, rate)
        for asset, instrument in self.valued.items():
            held, rate = self.balances.get(asset), self.rate(instrument.quote, currency)
            if held and rate is not None and asset[1] != currency:
                yield (asset[0], instrument.symbol), held if rate is ONE else multiply(held, rate), ZERO

    def unrealized(self, currency: str) -> Decimal:
        """Open profit of linear positions; every asset held that has a symbol's price, at its mark."""
        total = ZERO
        for market, qty, cost in self.moved(currency):
            mark = self.mark(*market)
            if mark is not None:
                worth = MATH.subtract(MATH.multiply(qty, mark), cost)
                total = MATH.add(total, worth)
        return total

    def equity(self, currency: str) -> Decimal:
        """Cash plus open positions at our last known prices, exact."""
        return MATH.add(self.cash(currency), self.unrealized(currency))

    def exposure(self, currency: str) -> Decimal:
        """Gross notional of the venue's positions at our last known prices."""
        total = ZERO
        for (venue, symbol, _), whole in self.whole.items():
            if whole.qty:
                mark, rate = self.mark(venue, symbol), self.rate(self._instruments[venue, symbol].quote, currency)
                if mark is not None and rate is not None:
                    total += abs(whole.qty) * mark * rate
        return total


def _change(book: Position, price: Decimal, qty: Decimal, value: Decimal) -> Decimal:
    """Apply a signed fill to a book; returns what it realized. A flip is a close and an open."""
    held, cost = book.qty, book.cost
    book.qty = left = held + qty
    if not held or (held > ZERO) is (qty > ZERO):
        book.cost = cost + value
        return ZERO
    if not left:
        realized = -value - cost
        book.cost = book.margin_taken = ZERO
    elif abs(qty) < abs(held):
        moved = (cost * -qty / held).quantize(EIGHT_DECIMALS, ROUND_HALF_EVEN)
        realized = -value - moved
        book.cost = cost - moved
        if book.margin_taken:
            book.margin_taken = book.margin_taken * left / held
    else:
        closing_value = price * -held
        realized = -closing_value - cost
        book.cost = value - closing_value
        book.margin_taken = ZERO
    if realized:
        book.realized_pnl += realized
        book.realized_since_flat += realized
    return realized
