"""The gate: every wish of the execution engine passes here, and only here commands are made.

A check that denies says by how much; a check that raises denies as well. Whatever happens, cancels pass, and so do
orders that can only reduce the account's position: also while halted, also over the order rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

import msgspec

from core.bus import Subscription
from core.commands import AmendOrder, CancelOrder, ProposeAmend, ProposeCancel, ProposeOrder, SubmitOrder
from core.events import (
    AmendRejected,
    Bar,
    Event,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
    StrategyFailed,
    TradingHalted,
    TradingResumed,
)
from core.orders import OrderStatus, OrderTerms
from core.portfolio import Portfolio
from core.working import WorkingOrders

ZERO = Decimal(0)
INFINITE = float("inf")
MINUTE_NS = 60_000_000_000
ACCOUNT = "account"


class Limits(msgspec.Struct, frozen=True):
    """What a strategy or the account may do. None is not checked."""

    max_order_notional: Decimal | None = None
    """Quote units, of one order."""
    max_position_notional: Decimal | None = None
    """Quote units, of one symbol: position plus everything under way in the same direction."""
    max_leverage: Decimal | None = None
    """Gross notional of all positions and of what is under way, over equity."""
    price_collar: Decimal | None = None
    """Fraction a limit or trigger price may lie away from our last known price."""
    max_drawdown: Decimal | None = None
    """Fraction of peak equity; reaching it halts trading. Account only."""
    max_orders_per_minute: int | None = None
    kill_switch: bool = False
    """Start halted: nothing that could increase exposure passes."""


class RiskEngine:
    """Answers `ProposeOrder`, `ProposeCancel` and `ProposeAmend` with a command or a denial."""

    def __init__(
        self,
        *,
        account: Limits,
        strategies: dict[str, Limits],
        portfolio: Portfolio,
        working: WorkingOrders,
        currency: str,
        publish: Callable[[Event], None],
    ) -> None:
        self._scopes: dict[str, list[tuple[str, Limits]]] = {
            # A strategy's own limits first, then the account's; who has none is not asked.
            name: [(scope, own) for scope, own in ((f"strategy {name}", limits), (ACCOUNT, account)) if own != Limits()]
            for name, limits in strategies.items()
        }
        self._account = account
        self._portfolio = portfolio
        self._working = working
        self._currency = currency
        self._publish = publish
        self.halted: dict[str, str] = {}
        """Scope (`account` or a strategy's name) to reason. Latched until `resume`."""
        if account.kill_switch:
            self.halted[ACCOUNT] = "kill switch in the config"
        for name, limits in strategies.items():
            if limits.kill_switch:
                self.halted[name] = "kill switch in the config"
        self._sent: dict[str, deque[int]] = {}
        self._peak = portfolio.equity_float(currency)
        self._floor = 1.0 - float(account.max_drawdown) if account.max_drawdown is not None else -INFINITE
        self._seen = -1
        self._bars: Subscription | None = None
        self._only: tuple[str, str, float, float] | None = None
        self.denied = 0
        self._refused: set[str] = set()
        """Ids of orders denied here: `OrderDenied` may still be on the bus when a change of one comes by."""

    def hear(self, bars: Subscription) -> None:
        """Our place on the bus for bars: it rests while nothing is held."""
        self._bars = bars

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_order(self, wish: ProposeOrder) -> None:
        """Approve with SubmitOrder, or refuse with OrderDenied."""
        order = wish.order
        if not self._only_reduces(order, order.qty):
            reason = self._why_not(wish.ts, order, order.qty, order.price)
            if reason is not None:
                self.denied += 1
                self._refused.add(order.id)
                self._publish(
                    OrderDenied(
                        wish.ts,
                        None,
                        order.venue,
                        order.symbol,
                        order.position_side,
                        order.strategy,
                        order.session,
                        order.id,
                        reason,
                    )
                )
                return
        keys = (order.venue, order.symbol, order.position_side, order.strategy, order.session, order.id)
        self._publish(SubmitOrder(wish.ts, *keys, order))
        self._publish(OrderSubmitted(wish.ts, None, *keys))

    def on_cancel(self, wish: ProposeCancel) -> None:
        """A cancel only ever takes risk away."""
        o = wish.order
        if self._is_denied(o):
            return
        self._publish(CancelOrder(wish.ts, o.venue, o.symbol, o.position_side, o.strategy, o.session, o.id))

    def on_amend(self, wish: ProposeAmend) -> None:
        """An amend is checked like the order it would become; one that shrinks an order at its price passes."""
        o = wish.order
        if self._is_denied(o):
            return
        known = self._working.all[o.id]
        left = wish.qty - known.filled  # what was filled is part of the position already
        grows = wish.increases or (wish.price is not None and wish.price != known.price)
        if grows and not self._only_reduces(o, left):
            reason = self._why_not(wish.ts, o, left, wish.price, amends=True)
            if reason is not None:
                self.denied += 1
                self._publish(
                    AmendRejected(
                        wish.ts,
                        None,
                        o.venue,
                        o.symbol,
                        o.position_side,
                        o.strategy,
                        o.session,
                        o.id,
                        None,
                        reason,
                    )
                )
                return
        self._publish(
            AmendOrder(wish.ts, o.venue, o.symbol, o.position_side, o.strategy, o.session, o.id, wish.price, wish.qty)
        )

    def on_bar(self, bar: Bar) -> None:
        """Follow the drawdown with each new price. Subscribed only where a limit asks for it."""
        portfolio = self._portfolio
        if portfolio.version == self._seen:
            if not portfolio.holding:
                if self._bars is not None:
                    self._bars.listen(False)
                return
            if self._only is None:
                equity = portfolio.equity_float(self._currency)
            else:
                # One position: its price is all that can have changed.
                venue, symbol, qty, rest = self._only
                if bar.symbol != symbol or bar.venue != venue:
                    return
                equity = rest + qty * bar.close
        else:
            self._seen = portfolio.version
            equity = portfolio.equity_float(self._currency)
            only = portfolio.only_position()
            self._only = None if only is None else (*only, equity - only[2] * portfolio.marks[only[:2]])
        if equity >= self._peak:
            self._peak = equity
        elif equity <= self._peak * self._floor and ACCOUNT not in self.halted:
            peak = self._peak
            self.halt(bar.ts, ACCOUNT, f"equity {equity:.2f} is {1 - equity / peak:.2%} below its peak {peak:.2f}")

    def on_fill(self, event: OrderFilled) -> None:
        """From here on prices matter again."""
        if self._bars is not None:
            self._bars.listen(True)

    def on_strategy_failed(self, event: StrategyFailed) -> None:
        """A strategy that failed may not add risk any more."""
        self.halt(event.ts, event.strategy, f"it failed in {event.method}: {event.what}")

    def halt(self, ts: int, scope: str, reason: str) -> None:
        """Stop everything that could increase exposure, for the account or one strategy. Latched."""
        if scope not in self.halted:
            self.halted[scope] = reason
            self._publish(TradingHalted(ts, scope, reason))

    def resume(self, ts: int, scope: str, reason: str) -> None:
        """Lift a halt: only ever by an explicit call."""
        if self.halted.pop(scope, None) is not None:
            self._publish(TradingResumed(ts, scope, reason))

    # --- checks -----------------------------------------------------------------------------------------------------

    def _is_denied(self, order: OrderTerms) -> bool:
        """Whether the order never left the house: a change that was asked for in the same breath is for nobody."""
        return order.id in self._refused or self._working.all[order.id].status is OrderStatus.DENIED

    def _only_reduces(self, order: OrderTerms, qty: Decimal) -> bool:
        """Whether the order, with every reducing order already under way, can only shrink the account's position."""
        net = self._portfolio.net.get((order.venue, order.symbol), ZERO)
        if not net or (net > 0) == (order.side == "buy"):
            return False
        under_way = self._working.under_way(order.venue, order.symbol, order.side, without=order.id)
        return qty + under_way <= abs(net)

    def _why_not(
        self, ts: int, order: OrderTerms, qty: Decimal, price: Decimal | None, *, amends: bool = False
    ) -> str | None:
        try:
            for scope in (ACCOUNT, order.strategy):
                if scope in self.halted:
                    return f"trading is halted for {scope}: {self.halted[scope]}"
            for scope, limits in self._scopes.get(order.strategy, [(ACCOUNT, self._account)]):
                reason = self._check(ts, scope, limits, order, qty, price)
                if reason is not None:
                    return reason
            if not amends:
                for scope, limits in self._scopes.get(order.strategy, [(ACCOUNT, self._account)]):
                    if limits.max_orders_per_minute is not None:
                        self._sent.setdefault(scope, deque()).append(ts)
        except Exception as error:
            # A check that cannot be made is a refusal: it must not fail open.
            return f"a risk check failed ({type(error).__name__}: {error}); denied because it could increase exposure"
        return None

    def _check(
        self, ts: int, scope: str, limits: Limits, order: OrderTerms, qty: Decimal, price: Decimal | None
    ) -> str | None:
        last = self._portfolio.mark(order.venue, order.symbol)
        at = price if price is not None else order.trigger_price if order.trigger_price is not None else last
        if at is None:
            return f"no price of {order.symbol} is known yet, so its size cannot be judged"
        notional = at * qty
        if limits.max_order_notional is not None and notional > limits.max_order_notional:
            return (
                f"{scope}: order notional {notional:f} is above max_order_notional {limits.max_order_notional:f} "
                f"by {notional - limits.max_order_notional:f}"
            )
        if limits.price_collar is not None and last is not None and abs(at - last) > limits.price_collar * last:
            return (
                f"{scope}: price {at:f} is {abs(at - last) / last:.4f} away from the last price {last:f}, "
                f"price_collar allows {limits.price_collar:f}"
            )
        if limits.max_orders_per_minute is not None:
            sent = self._sent.setdefault(scope, deque())
            while sent and sent[0] <= ts - MINUTE_NS:
                sent.popleft()
            if len(sent) >= limits.max_orders_per_minute:
                return f"{scope}: {len(sent)} orders in the last minute, max_orders_per_minute is the limit"
        if limits.max_position_notional is not None or limits.max_leverage is not None:
            return self._check_exposure(scope, limits, order, qty, at)
        return None

    def _check_exposure(self, scope: str, limits: Limits, order: OrderTerms, qty: Decimal, at: Decimal) -> str | None:
        own = None if scope == ACCOUNT else order.strategy
        held = self._held(order.venue, order.symbol, own)
        sign = 1 if order.side == "buy" else -1
        under_way = self._working.under_way(order.venue, order.symbol, order.side, without=order.id, strategy=own)
        after = abs(held + sign * (under_way + qty)) * at
        if limits.max_position_notional is not None and after > limits.max_position_notional:
            return (
                f"{scope}: position notional would be {after:f}, above max_position_notional "
                f"{limits.max_position_notional:f} by {after - limits.max_position_notional:f}"
            )
        if limits.max_leverage is not None:
            equity = self._portfolio.equity(self._currency)
            mark = self._portfolio.mark(order.venue, order.symbol) or at
            gross = self._portfolio.exposure(self._currency) - abs(held) * mark + after + self._elsewhere(order)
            if equity <= 0 or gross > limits.max_leverage * equity:
                return (
                    f"{scope}: gross exposure would be {gross:f} on equity {equity:f}, "
                    f"max_leverage is {limits.max_leverage:f}"
                )
        return None

    def _elsewhere(self, order: OrderTerms) -> Decimal:
        """What orders under way in other symbols could still add to the gross notional, quote units."""
        total = ZERO
        for key in self._working.symbols():
            if key == (order.venue, order.symbol):
                continue
            net = self._portfolio.net.get(key, ZERO)
            after = max(
                abs(net + self._working.under_way(*key, "buy")), abs(net - self._working.under_way(*key, "sell"))
            )
            oldest = self._working.open_orders(*key)[0]
            at = self._portfolio.mark(*key) or oldest.price or oldest.terms.trigger_price
            if at is None:
                raise ValueError(f"no price of {key[1]} is known yet, but an order of it is under way")
            total += max(ZERO, after - abs(net)) * at
        return total

    def _held(self, venue: str, symbol: str, strategy: str | None) -> Decimal:
        if strategy is None:
            return self._portfolio.net.get((venue, symbol), ZERO)
        book = self._portfolio.position(venue, symbol, strategy)
        return book.qty if book is not None else ZERO
