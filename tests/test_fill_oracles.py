"""Random worlds, played by the program and by the second writings of the fill contract in `tests/oracles`: the same
events, number for number.

A world that differs is shown shrunk. Decide by the contract's page who is wrong, and leave a scenario file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from oracles.bar_worlds import BarWorld
from oracles.book_worlds import BookWorld
from oracles.comparison import first_difference, kinds, shrink

COMMON = {
    "accepted", "amended", "amend_rejected", "cancel_rejected", "canceled", "expired", "filled", "rejected",
    "triggered", "maker", "taker", "ioc", "fok", "no_liquidity", "request", "post_only",
}  # fmt: skip
BOOKS = COMMON | {"walk", "queue", "through", "crossed", "self", "gtd", "stp"}
Draw = Callable[[int], BookWorld | BarWorld]


def check(draw: Draw, seed: int) -> set[object]:
    """The world of a seed in both readings; what happened in it, as words."""
    world = draw(seed)
    oracle = world.played()
    if first_difference(world.scenario, oracle) is not None:
        shrink(world)
        difference = first_difference(world.scenario, world.played())
        pytest.fail(f"{draw.__name__}({seed}): {difference}\n{json.dumps(world.scenario)}")
    return kinds(oracle.told)


@pytest.mark.parametrize(("draw", "words"), [(BookWorld, BOOKS), (BarWorld, COMMON)])
def test_random_worlds_are_traded_as_the_contract_page_says(draw: Draw, words: set[object]) -> None:
    met = set[object]().union(*(check(draw, seed) for seed in range(90)))
    assert met >= words, f"the worlds no longer meet {words - met}"


@pytest.mark.soak
@pytest.mark.parametrize("draw", [BookWorld, BarWorld])
def test_every_random_world_is_traded_as_the_contract_page_says(draw: Draw, soak_seconds: float) -> None:
    until, seed = time.monotonic() + soak_seconds / 2, 1000
    while time.monotonic() < until:
        check(draw, seed)
        seed += 1
    print(f"\n{draw.__name__}: seeds 1000 to {seed - 1}, all events equal")
