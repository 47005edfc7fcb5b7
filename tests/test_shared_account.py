"""Several strategies on one account: each has its own book, and the parts are the whole to the last digit.

Random strategies trade one or two symbols in whole runs, with fees, spread, funding and liquidations, in every margin
and position mode; after every event the two ledgers are compared.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from core.events import ACCOUNT_EVENTS, ORDER_EVENTS, FundingPaid, MarginCall, OrderFilled, PositionLiquidated
from core.plan import Plan
from core.result import make_result
from core.tape import Tape
from tiny_run import MINUTE, START, VENUE, Row, Shelf, engine_of, plan_of

D = Decimal
BRACKETS = ", brackets: [{floor: '0', mmr: '0.02', max_leverage: 50}], liquidation_fee: '0.01'"
COSTS = (
    "{latency: {kind: none}, spread: {half_bps: '2'}, impact: {kind: none}, fees: {maker: '0.0002', taker: '0.0005'}}"
)
BARS = 60


class Gambler:
    """Buys, sells and closes at random, from a seed, now and then through zero."""

    warmup = 0

    def __init__(self, seed: int, sides: tuple[str, ...]) -> None:
        self._chance = random.Random(seed)
        self._sides = sides

    def generate_signals(self, market_data: Any, position_state: Any) -> Any:
        chance, side = self._chance, self._chance.choice(self._sides)
        symbol = chance.choice(market_data.symbols)
        if chance.random() < 0.3:
            return {"symbol": symbol, "close": True, "position_side": side}
        buys = chance.random() < 0.5
        qty = round(chance.uniform(0.001, 30), 3)
        return {"symbol": symbol, "side": "buy" if buys else "sell", "qty": qty, "position_side": side}


def funding_of(symbol: str, chance: random.Random) -> Tape:
    """A rate every seven minutes, and no mark of its own: the market's last price stands in."""
    times = np.array([START + minute * MINUTE for minute in range(7, BARS, 7)], dtype=np.int64)
    rates = np.array([chance.randint(-3000, 3000) for _ in times], dtype=np.int64)
    columns = {"ts_venue": times, "ts": times, "rate": rates, "mark": np.zeros(len(times), dtype=np.int64)}
    return Tape(kind="funding", venue=VENUE, symbol=symbol, columns=columns, price_scale=2, size_scale=6,
                interval_ns=0, source="test")  # fmt: skip


def wild(chance: random.Random) -> list[Row]:
    """Bars that move by some percent and jump between them."""
    rows: list[Row] = []
    price = 100.0
    for _ in range(BARS):
        prices = [price, *(price * chance.uniform(0.93, 1.07) for _ in range(3))]
        opened, closed = prices[1], prices[2]
        edges = (opened, max(prices[1:]), min(prices[1:]), closed)
        rows.append((*(f"{value:.2f}" for value in edges), "1000"))
        price = closed
    return rows


def plan_for(seed: int, mode: str, position_mode: str) -> Plan:
    chance = random.Random(seed)
    symbols = ("X", "Y")[: chance.randint(1, 2)]
    wallet, leverage = (1500, 10) if mode == "isolated" else (700, 25)
    balances = f"{{USDT: '{wallet}'}}, margin_mode: {mode}, position_mode: {position_mode}"
    plan = plan_of({s: wild(chance) for s in symbols}, strategies=("a", "b", "c"), balances=balances, leverage=leverage,
                   instrument=BRACKETS, simulation=COSTS)  # fmt: skip
    streams = list(plan.streams)
    for stream in plan.streams:
        tape = funding_of(stream.key[1], chance)
        streams.append(msgspec.structs.replace(stream, kind="funding", interval_ns=0, source=Shelf(tape)))
    return msgspec.structs.replace(plan, streams=streams)


class Comparison:
    """The two ledgers, looked at after every event of the account that leaves the venue with nothing more to tell."""

    def __init__(self, run: Any) -> None:
        self.world = run.outside.world
        (exchange,) = self.world.exchanges
        self.account, self.portfolio = exchange.account, run.portfolio
        self.events: list[Any] = []
        self.looked = 0

    def on_event(self, event: Any) -> None:
        self.events.append(event)
        if type(event) in (OrderFilled, FundingPaid, PositionLiquidated) and not self.world.statistics().waiting:
            self.looked += 1
            self.compare()

    def compare(self) -> None:
        account, portfolio = self.account, self.portfolio
        assert portfolio.wallet(VENUE, "USDT") == account.balances["USDT"]
        for (symbol, side), position in account.positions.items():
            whole = portfolio.whole[VENUE, symbol, side]
            assert (whole.qty, whole.cost) == (position.qty, position.value)
            books = [b for b in portfolio.books_of((VENUE, symbol)) if b.position_side == side]
            assert sum(b.qty for b in books) == position.qty
            if account.margin_mode == "isolated":  # each opening and closing rounds by up to 1e-8
                margin = abs(whole.cost) / position.leverage - whole.margin_taken
                assert margin == pytest.approx(position.margin, abs=D("1e-5"))
        books = list(portfolio.books.values())
        assert sum(b.fees for b in books) == account.fees["USDT"]
        assert sum(b.funding for b in books) == account.funding.get("USDT", 0)
        # What the books have realized and still carry open is what the venue says it is.
        carried = portfolio.balances[VENUE, "USDT"] - sum(b.cost for b in books)
        assert carried == account.balances["USDT"] - sum(p.value for p in account.positions.values())


@pytest.mark.parametrize("position_mode", ["one_way", "hedge"])
@pytest.mark.parametrize("mode", ["isolated", "cross"])
async def test_the_parts_of_three_strategies_are_the_venues_whole_after_every_event(
    mode: str, position_mode: str
) -> None:
    sides = ("long", "short") if position_mode == "hedge" else ("net",)
    kinds: set[type] = set()
    looked = 0
    for seed in range(6):
        gamblers = {name: Gambler(seed * 10 + at, sides) for at, name in enumerate("abc")}
        async with engine_of(plan_for(seed, mode, position_mode), **gamblers) as engine:
            seen = Comparison(engine.parts.run)
            engine.parts.bus.subscribe((*ORDER_EVENTS, *ACCOUNT_EVENTS), seen.on_event)
            await engine.run()
            seen.compare()
            looked += seen.looked
            kinds |= {type(event) for event in seen.events}
            result = make_result(engine.parts.run)  # recounts the run from its events, and raises where it differs
        split = result.summary["pnl_split"]
        whole = D(split["whole"]["total"])
        assert whole == D(result.summary["final_equity"]) - D(result.summary["initial_equity"])
        for group in ("symbols", "strategies"):
            parts = sum((D(one["total"]) for one in split[group].values()), D(0))
            assert abs(parts - whole) < D("1e-8")  # forced closes of several shares end at 1e-16, rows at 1e-8
    assert looked > 100
    assert kinds >= {OrderFilled, FundingPaid, PositionLiquidated, MarginCall}
