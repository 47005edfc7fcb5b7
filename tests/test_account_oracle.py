"""Random accounts of contracts, played by the simulator and reckoned by `account_oracle`: the same events, digit by
digit."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from account_oracle import Account, Oracle
from adapters.venues import load_rules
from sim.scenarios.format import read_scenario
from sim.scenarios.run import run_one
from sim.scenarios.venue import read_models

D = Decimal
RATES = [D("0.005"), D("0.01"), D("0.025")]
HEAD = """name: random account
venue: {venue}
instruments: {{{instruments}}}
account: {{wallet: "{wallet}", leverage: {{{leverage}}}, margin_mode: {margin}, position_mode: {position}}}
models: {{rate_limits: {{kind: none}}}}
"""
KEYS = {
    "accepted": ("order",), "rejected": ("order",), "funding": ("symbol", "amount", "wallet"),
    "filled": ("order", "qty", "price", "realized_pnl", "fee", "wallet"),
    "liquidated": ("symbol", "qty", "price", "realized_pnl", "fee", "wallet"),
}  # fmt: skip


def random_account(chance: random.Random, venue: str, *, cross: bool, hedged: bool) -> Account:
    floors = [D(0), D(chance.choice([500, 2000])), D(chance.choice([5000, 9000]))]
    deductions = [D(0), floors[1] * D("0.005")]
    deductions.append(deductions[1] + floors[2] * D("0.015"))
    symbols = ["X", "Y", "Z"][: chance.choice([1, 1, 2, 3])]
    return Account(
        venue,
        wallet=D(chance.choice([150, 400, 1000])),
        leverage={symbol: D(chance.choice([3, 5, 10, 25])) for symbol in symbols},
        tiers=list(zip(floors, RATES, deductions, strict=True)),
        liquidation_fee=D(chance.choice(["0", "0.01"])),
        cross=cross,
        hedged=hedged,
    )


def head_of(account: Account) -> str:
    tiers = ", ".join(
        f'{{floor: "{floor}", mmr: "{rate}", max_leverage: 100, cum: "{cum}"}}' for floor, rate, cum in account.tiers
    )
    terms = f'{{tick: "0.1", step: "0.001", liquidation_fee: "{account.liquidation_fee}", brackets: [{tiers}]}}'
    return HEAD.format(
        venue=account.venue, wallet=account.wallet,
        instruments=", ".join(f"{symbol}: {terms}" for symbol in account.leverage),
        leverage=", ".join(f"{symbol}: {leverage}" for symbol, leverage in account.leverage.items()),
        margin="cross" if account.cross else "isolated", position="hedge" if account.hedged else "one_way",
    )  # fmt: skip


def random_life(chance: random.Random, account: Account, oracle: Oracle) -> str:
    """The scenario's text, with the oracle told of the same: marks, funding and market orders at times of their own."""
    tape, requests, prices = [], [], {symbol: D(100) for symbol in account.leverage}
    for at in range(chance.randint(20, 40)):
        symbol, what = chance.choice(list(prices)), chance.random()
        if at < len(prices):
            symbol, what = list(prices)[at], 0.0
        row = f"at: {at}, symbol: {symbol}"
        if what < 0.4:
            step = D(chance.randint(-300, 300)) / 10
            bid = prices[symbol] = max(D(20), prices[symbol] + step)
            book = f'bids: [["{bid}", "1000"]], asks: [["{bid + D("0.1")}", "1000"]]'
            tape.append(f"{row}, depth: {{snapshot: true, {book}}}")
            tape.append(f'{row}, mark: {{price: "{bid}"}}')
            oracle.mark(symbol, bid, at)
        elif what < 0.5:
            rate = D(chance.randint(-200000, 200000)) / 10**7
            tape.append(f'{row}, funding: {{rate: "{rate}"}}')
            oracle.fund(symbol, rate, at)
        elif set(prices) <= set(oracle.marks):
            side = chance.choice(["long", "short"]) if account.hedged else "net"
            qty = D(chance.choice([-1, 1]) * chance.randint(1, chance.choice([3000, 30000]))) / 1000
            held = oracle.positions[symbol, side].qty
            if side == ("long" if qty < 0 else "short"):  # in hedge mode such an order only closes
                qty = min(abs(qty), abs(held)).copy_sign(qty)
            if not qty:
                continue
            bid, word = prices[symbol], "buy" if qty > 0 else "sell"
            named = f", position_side: {side}" if account.hedged else ""
            order = f'id: o{at}, symbol: {symbol}, side: {word}, type: market, qty: "{abs(qty)}"{named}'
            requests.append(f"at: {at}, submit: {{{order}}}")
            oracle.order(f"o{at}", (symbol, side), qty, bid + D("0.1") if qty > 0 else bid, bid, at)
    sections = [("tape", tape), ("requests", requests)]
    return "".join(f"{name}:\n" + "".join(f"  - {{{row}}}\n" for row in rows) for name, rows in sections if rows)


def told(event: dict[str, Any]) -> tuple[object, ...]:
    return (event["event"], *(event[key] for key in KEYS[event["event"]]), event["engine_at"] // 1_000_000)


@pytest.mark.parametrize(
    ("venue", "margin", "position"),
    list(product(["binance-usdm", "bybit-linear"], ["isolated", "cross"], ["one_way", "hedge"])),
)
def test_random_accounts_live_as_the_contract_page_says(venue: str, margin: str, position: str) -> None:
    kinds: Counter[object] = Counter()
    for seed in range(12):
        chance = random.Random(seed)
        account = random_account(chance, venue, cross=margin == "cross", hedged=position == "hedge")
        oracle = Oracle(account)
        text = head_of(account) + random_life(chance, account, oracle)
        events = [told(event) for event in run_one(read_scenario(text, f"seed {seed}", read_models), load_rules).events]
        assert [rounded(event) for event in events] == [rounded(event) for event in oracle.told], text
        kinds.update(event[0] for event in events)
    assert set(kinds) == set(KEYS) and kinds["liquidated"] > 3


def rounded(event: tuple[object, ...]) -> tuple[object, ...]:
    """A bankruptcy price may have no end as a decimal; all else has 8 decimals or fewer of its own."""
    return tuple(round(value, 16) if isinstance(value, Decimal) else value for value in event)
