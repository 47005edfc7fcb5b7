"""The gate: every wish of the execution engine passes here, and only here commands are made.

A check that denies says by how much; a check that raises denies as well. What the venue would refuse for its margin is
refused here, before it is sent. Whatever happens, cancels pass, and so do orders that can only reduce the account's
position: also while halted, also over the order rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal

import msgspec

from core.account.drawdown import Drawdown
from core.account.equity_mirror import EquityMirror
from core.account.headroom import INFINITE, Headroom
from core.account.margin_needs import AccountMargin
from core.commands import AmendOrder, CancelOrder, ProposeAmend, ProposeCancel, ProposeOrder, SubmitOrder
from core.events import (
    AmendRejected,
    Event,
    OrderDenied,
    OrderSubmitted,
    StrategyFailed,
    TradingHalted,
    TradingResumed,
)
from core.exact import ZERO
from core.moments import MINUTE_NS
from core.orders import Order, OrderStatus, OrderTerms, closes_only
from core.portfolio import Portfolio
from core.working import WorkingOrders

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


class _Scope:
    """One set of limits, and the times of what was sent under it."""

    __slots__ = ("limits", "name", "sent", "strategy")

    def __init__(self, name: str, limits: Limits, strategy: str | None = None) -> None:
        self.name = name
        self.limits = limits
        self.strategy = strategy
        """Whose own position is meant; None: the account's."""
        self.sent: deque[int] | None = None
        """Of the newest orders, as many as a minute may have; None where their number is not limited."""
        if limits.max_orders_per_minute is not None:
            self.sent = deque(maxlen=limits.max_orders_per_minute)


class _Gate:
    """What the orders of one strategy must pass: its own limits, then the account's; who has none is not asked."""

    __slots__ = ("collared", "leverage", "most", "scopes")

    def __init__(self, *scopes: _Scope) -> None:
        self.scopes = [scope for scope in scopes if scope.limits != Limits()]
        limits = [scope.limits for scope in self.scopes]
        notionals = [n for one in limits for n in (one.max_order_notional, one.max_position_notional)]
        self.most = min((float(n) for n in notionals if n is not None), default=INFINITE)
        """The smallest notional that is limited, and the smallest leverage."""
        self.leverage = min((float(x.max_leverage) for x in limits if x.max_leverage is not None), default=INFINITE)
        self.collared = any(one.price_collar is not None for one in limits)


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
        margin: AccountMargin | None = None,
    ) -> None:
        """`margin` None: what the venue asks for is not known here, and it is left to refuse by itself."""
        whole = _Scope(ACCOUNT, account)
        self._account = _Gate(whole)
        self._gates = {
            name: _Gate(_Scope(f"strategy {name}", limits, name), whole) for name, limits in strategies.items()
        }
        self._portfolio = portfolio
        self._working = working
        self._currency = currency
        self._publish = publish
        self._margin = margin
        self.halted: dict[str, str] = {}
        """Scope (`account` or a strategy's name) to reason. Latched until `resume`."""
        if account.kill_switch:
            self.halted[ACCOUNT] = "kill switch in the config"
        for name, limits in strategies.items():
            if limits.kill_switch:
                self.halted[name] = "kill switch in the config"
        mirror = EquityMirror(portfolio, currency)
        self._headroom = Headroom(portfolio, working, mirror, currency, margin)
        self.drawdown = Drawdown(mirror, portfolio, account.max_drawdown, self._halt_account)
        self.denied = 0
        self._refused: set[str] = set()
        """Ids of orders denied here: `OrderDenied` may still be on the bus when a change of one comes by."""

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_order(self, wish: ProposeOrder) -> None:
        """Approve with SubmitOrder, or refuse with OrderDenied."""
        order = wish.order
        # An order whose size the venue works out is as large as we expect it to be.
        qty = order.qty or self._working.all[order.id].qty
        if not self._only_reduces(order, qty):
            reason = self._why_not(wish.ts, order, qty, order.price)
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
        publish, ts = self._publish, wish.ts
        keys = (order.venue, order.symbol, order.position_side, order.strategy, order.session, order.id)
        publish(SubmitOrder(ts, *keys, order))
        publish(OrderSubmitted(ts, None, *keys))

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

    def on_strategy_failed(self, event: StrategyFailed) -> None:
        """A strategy that failed may not add risk any more."""
        self.halt(event.ts, event.strategy, f"it failed in {event.method}: {event.what}")

    def halt(self, ts: int, scope: str, reason: str) -> None:
        """Stop everything that could increase exposure, for the account or one strategy. Latched."""
        if scope not in self.halted:
            self.halted[scope] = reason
            self._publish(TradingHalted(ts, scope, reason))

    def _halt_account(self, ts: int, reason: str) -> None:
        self.halt(ts, ACCOUNT, reason)

    def resume(self, ts: int, scope: str, reason: str) -> None:
        """Lift a halt: only ever by an explicit call."""
        if self.halted.pop(scope, None) is not None:
            self._publish(TradingResumed(ts, scope, reason))

    # --- checks -----------------------------------------------------------------------------------------------------

    def _is_denied(self, order: OrderTerms) -> bool:
        """Whether the order never left the house: a change that was asked for in the same breath is for nobody."""
        return order.id in self._refused or self._working.all[order.id].status is OrderStatus.DENIED

    def _only_reduces(self, order: OrderTerms, qty: Decimal) -> bool:
        """Whether the order, with every reducing order already under way, can only shrink the account's position.

        In hedge mode an order against its side never does anything else.
        """
        if order.position_side != "net":
            held = self._portfolio.held(order.venue, order.symbol, order.position_side)
            return bool(held) and closes_only(order)
        whole = self._portfolio.whole.get((order.venue, order.symbol, "net"))
        if whole is None or not whole.qty or (whole.qty > ZERO) is (order.side == "buy"):
            return False
        if order.reduce_only or order.close_position:
            return True  # the venue sees to that, whatever else is under way
        under_way = self._working.under_way(order.venue, order.symbol, order.side, without=order.id)
        return qty + under_way <= abs(whole.qty)

    def _why_not(
        self, ts: int, order: OrderTerms, qty: Decimal, price: Decimal | None, *, amends: bool = False
    ) -> str | None:
        try:
            for halted in (ACCOUNT, order.strategy) if self.halted else ():
                if halted in self.halted:
                    return f"trading is halted for {halted}: {self.halted[halted]}"
            gate = self._gates.get(order.strategy, self._account)
            at = price if price is not None else order.trigger_price
            is_small = (at is None or not gate.collared) and self._headroom.is_ample(
                order, qty, at, gate.most, gate.leverage
            )
            for scope in gate.scopes:
                reason = None if is_small else self._check(scope, order, qty, at)
                if reason is None and scope.sent is not None:
                    reason = self._too_often(scope, scope.sent, ts)
                if reason is None and not is_small:
                    reason = self._check_exposure(scope, order, qty, at)
                if reason is not None:
                    return reason
            reason = None if is_small or self._margin is None else self._refused_by_venue(self._margin, order, qty, at)
            if reason is not None:
                return reason
            for scope in gate.scopes:
                if scope.sent is not None and not amends:
                    scope.sent.append(ts)
        except Exception as error:
            # A check that cannot be made is a refusal: it must not fail open.
            return f"a risk check failed ({type(error).__name__}: {error}); denied because it could increase exposure"
        return None

    def _refused_by_venue(
        self, margin: AccountMargin, order: OrderTerms, qty: Decimal, at: Decimal | None
    ) -> str | None:
        if at is None:
            at = self._portfolio.mark(order.venue, order.symbol)
        return None if at is None else margin.refusal(order, qty, at)

    def _check(self, scope: _Scope, order: OrderTerms, qty: Decimal, at: Decimal | None) -> str | None:
        """Its size and its price by themselves. `at`: its limit or trigger, if it has one."""
        limits, last = scope.limits, self._portfolio.mark(order.venue, order.symbol)
        if at is None:
            at = last
        if at is None:
            return f"no price of {order.symbol} is known yet, so its size cannot be judged"
        notional = at * qty
        if limits.max_order_notional is not None and notional > limits.max_order_notional:
            return (
                f"{scope.name}: order notional {notional:f} is above max_order_notional {limits.max_order_notional:f} "
                f"by {notional - limits.max_order_notional:f}"
            )
        if limits.price_collar is not None and last is not None and abs(at - last) > limits.price_collar * last:
            return (
                f"{scope.name}: price {at:f} is {abs(at - last) / last:.4f} away from the last price {last:f}, "
                f"price_collar allows {limits.price_collar:f}"
            )
        return None

    @staticmethod
    def _too_often(scope: _Scope, sent: deque[int], ts: int) -> str | None:
        most = scope.limits.max_orders_per_minute
        if len(sent) == most and (not sent or sent[0] > ts - MINUTE_NS):
            return f"{scope.name}: {most} orders in the last minute, max_orders_per_minute is the limit"
        return None

    def _check_exposure(self, scope: _Scope, order: OrderTerms, qty: Decimal, at: Decimal | None) -> str | None:
        """Together with what is held and under way."""
        limits, own = scope.limits, scope.strategy
        if limits.max_position_notional is None and limits.max_leverage is None:
            return None
        if at is None:
            at = self._portfolio.mark(order.venue, order.symbol)
        assert at is not None, "without a price its size was not judged"
        held = self._held(order, own)
        sign = 1 if order.side == "buy" else -1
        under_way = self._under_way(order, own)
        after = abs(held + sign * (under_way + qty)) * at
        if limits.max_position_notional is not None and after > limits.max_position_notional:
            return (
                f"{scope.name}: position notional would be {after:f}, above max_position_notional "
                f"{limits.max_position_notional:f} by {after - limits.max_position_notional:f}"
            )
        if limits.max_leverage is not None:
            equity = self._portfolio.equity(self._currency)
            mark = self._portfolio.mark(order.venue, order.symbol) or at
            rate = self._portfolio.quote_rate(order.venue, order.symbol, self._currency)
            changed = (after - abs(held) * mark) * rate
            gross = self._portfolio.exposure(self._currency) + changed + self._elsewhere(order)
            if equity <= 0 or gross > limits.max_leverage * equity:
                return (
                    f"{scope.name}: gross exposure would be {gross:f} on equity {equity:f}, "
                    f"max_leverage is {limits.max_leverage:f}"
                )
        return None

    def _elsewhere(self, order: OrderTerms) -> Decimal:
        """What orders under way in other positions could still add to the gross notional, the run's currency."""
        total = ZERO
        for key in self._working.symbols():
            rate = self._portfolio.quote_rate(*key, self._currency)
            if order.position_side != "net":
                total += self._opening(key, order) * rate
            elif key != (order.venue, order.symbol):
                net = self._portfolio.held(*key)
                after = max(
                    abs(net + self._working.under_way(*key, "buy")), abs(net - self._working.under_way(*key, "sell"))
                )
                total += max(ZERO, after - abs(net)) * self._price_of(self._working.open_orders(*key)[0]) * rate
        return total

    def _opening(self, key: tuple[str, str], order: OrderTerms) -> Decimal:
        """In hedge mode: what the orders of a market still open in positions that are not the order's own."""
        own = (order.venue, order.symbol, order.position_side)
        others = [o for o in self._working.open_orders(*key) if (*key, o.terms.position_side) != own]
        return sum((o.leaves * self._price_of(o) for o in others if not closes_only(o.terms)), ZERO)

    def _price_of(self, order: Order) -> Decimal:
        """What an order under way is valued at. Raises ValueError where nobody can say."""
        at = self._portfolio.mark(order.terms.venue, order.terms.symbol) or order.price or order.terms.trigger_price
        if at is None:
            raise ValueError(f"no price of {order.terms.symbol} is known yet, but an order of it is under way")
        return at

    def _under_way(self, order: OrderTerms, strategy: str | None) -> Decimal:
        """What open orders of the same side and position can still fill, but for this one."""
        if order.position_side == "net":
            return self._working.under_way(order.venue, order.symbol, order.side, without=order.id, strategy=strategy)
        found = self._working.open_orders(order.venue, order.symbol, strategy)
        alike = (order.side, order.position_side)
        return sum(
            (o.leaves for o in found if (o.terms.side, o.terms.position_side) == alike and o.terms.id != order.id), ZERO
        )

    def _held(self, order: OrderTerms, strategy: str | None) -> Decimal:
        if strategy is None:
            return self._portfolio.held(order.venue, order.symbol, order.position_side)
        book = self._portfolio.position(order.venue, order.symbol, strategy, order.position_side)
        return book.qty if book is not None else ZERO
