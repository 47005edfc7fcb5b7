"""One random world in both readings of the contract: what the program did, against what the oracle says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from itertools import zip_longest
from typing import Any, Protocol

from random_books import rules_of
from sim.scenario import Ran
from sim.scenarios.format import read_scenario
from sim.scenarios.run import run_one
from sim.scenarios.venue import read_models

Event = dict[str, Any]
SHOWN = ("engine_at", "order", "event", "price", "qty", "rule", "leaves", "reason", "code")


class World(Protocol):
    """A market and our requests, to be played by both."""

    tape: list[Event]
    requests: list[Event]

    @property
    def scenario(self) -> dict[str, Any]: ...

    def played(self) -> Oracle: ...


class Oracle(Protocol):
    """What any of the oracles has to say in the end."""

    told: list[Event]

    seen: dict[Fraction, dict[str, Fraction]]
    """Moment (ms) to what stands ahead of each order that rests then, and what each price has left."""


def play(scenario: dict[str, Any]) -> Ran:
    """The world as the program plays it."""
    return run_one(read_scenario(json.dumps(scenario), "drawn.yaml", read_models), rules_of)


def first_difference(scenario: dict[str, Any], oracle: Oracle) -> str | None:
    """The first event, or place in a queue, in which the two are not the same; None where there is none."""
    looks = [{"at": float(at), "books": {"X": {"queue_ahead": {}}}} for at in oracle.seen]
    ran = play(scenario | {"checks": looks})
    if ran.broken:
        return f"the run's own witness: {ran.broken}"
    for number, (event, expected) in enumerate(zip_longest(map(in_ms, ran.events), oracle.told)):
        if event is None or expected is None or any(not same(event.get(key), expected[key]) for key in expected):
            return f"event {number}: the program says {shown(event)}; the oracle {shown(expected)}"
    for (at, seen), state in zip(oracle.seen.items(), ran.checks, strict=True):
        book = state["books"]["X"]
        actual = dict(book["queue_ahead"])
        for side, levels in book["available"].items():
            actual |= {f"{side} {price}": qty for price, qty in levels}
        for name, expected in seen.items():
            if abs(Fraction(actual.get(name, -1)) - expected) > Fraction(1, 10**6) * max(1, expected):
                return f"at {float(at):g} the program has {actual.get(name)} of {name}; the oracle {float(expected)}"
    return None


def shrink(world: World) -> None:
    """Drop what a difference does not need: an order with its amends and cancels, a row; the first two rows stay."""
    tried = 0
    while tried < len(world.requests) + len(world.tape) - 2:
        tape, requests = world.tape, world.requests
        if tried < len(requests):
            gone = requests[tried]
            world.requests = [
                one for one in requests if one is not gone and handle(one) != gone.get("submit", {}).get("id")
            ]
        else:
            row = tried - len(requests) + 2
            world.tape = tape[:row] + tape[row + 1 :]
        if first_difference(world.scenario, world.played()) is None:
            world.tape, world.requests = tape, requests
            tried += 1


def handle(request: Event) -> str:
    """Whose request it is."""
    (about,) = (request[kind] for kind in ("submit", "amend", "cancel") if kind in request)
    return str(about["id"])


def in_ms(event: Event) -> Event:
    """The program's event with its times in ms."""
    times = {key: Fraction(event[key], 10**6) for key in ("engine_at", "local_at") if event.get(key) is not None}
    return event | times


def same(value: Any, expected: Any) -> bool:
    """By value: a Decimal and a fraction are the same number or not."""
    if value is None or expected is None or isinstance(expected, str):
        return bool(value == expected)
    return Fraction(value) == expected


def shown(event: Event | None) -> str:
    if event is None:
        return "nothing"
    return " ".join(f"{key}={event[key]}" for key in SHOWN if event.get(key) is not None)


def kinds(told: Iterable[Event]) -> set[object]:
    """What a world made happen, as words: to know that the worlds meet every rule."""
    words = {event["event"] for event in told}
    return words | {
        event[key] for event in told for key in ("rule", "reason", "liquidity") if event.get(key) is not None
    }
