"""Random worlds, played by the program and by the second writings of the fill contract in `tests/oracles`: the same
events, number for number.

A world that differs is its seed. Shrink it, decide by the contract's page who is wrong, and leave a scenario file.
"""

from __future__ import annotations

import json
import time

import pytest

from oracles.book_worlds import BookWorld
from oracles.comparison import first_difference, kinds

BOOK_KINDS = {
    "accepted", "amended", "amend_rejected", "cancel_rejected", "canceled", "expired", "filled", "rejected",
    "triggered", "walk", "queue", "through", "crossed", "self", "ioc", "fok", "gtd", "no_liquidity", "stp", "request",
    "post_only",
}  # fmt: skip


def check_books(seed: int) -> set[object]:
    world = BookWorld(seed)
    oracle = world.played()
    difference = first_difference(world.scenario, oracle)
    assert difference is None, f"books, seed {seed}: {difference}\n{json.dumps(world.scenario)}"
    return kinds(oracle.told)


def test_random_books_are_traded_as_the_contract_page_says() -> None:
    met = set[object]().union(*(check_books(seed) for seed in range(60)))
    assert met >= BOOK_KINDS, f"the worlds no longer meet {BOOK_KINDS - met}"


@pytest.mark.soak
def test_every_random_book_is_traded_as_the_contract_page_says(soak_seconds: float) -> None:
    until, seed = time.monotonic() + soak_seconds, 1000
    while time.monotonic() < until:
        check_books(seed)
        seed += 1
    print(f"\nbooks: seeds 1000 to {seed - 1}")
