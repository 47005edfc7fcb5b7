"""The bus's five rules, each as the order in which things were heard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from core import bus as bus_module
from core.bus import Bus
from core.errors import InvariantBroken
from core.events import LinkLost, LinkRestored, TimerFired


def timer(name: str, ts: int = 0) -> TimerFired:
    return TimerFired(ts, name, "test")


async def test_publish_runs_no_handler() -> None:
    bus, heard = Bus(), list[str]()
    bus.subscribe(TimerFired, lambda event: heard.append(event.name))
    bus.publish(timer("a"))
    assert heard == []
    await bus.drain()
    assert heard == ["a"]


async def test_every_subscriber_has_an_event_before_the_next_one_starts() -> None:
    """Two events, the first of which makes a third: nothing overtakes."""
    bus, log = Bus(), list[str]()

    def first(event: TimerFired) -> None:
        log.append(f"first {event.name}")
        if event.name == "a":
            bus.publish(timer("c"))

    bus.subscribe(TimerFired, first)
    bus.subscribe(TimerFired, lambda event: log.append(f"second {event.name}"))
    bus.publish(timer("a"))
    bus.publish(timer("b"))
    await bus.drain()
    assert log == ["first a", "second a", "first b", "second b", "first c", "second c"]


async def test_a_coroutine_handler_is_awaited_before_the_next_handler() -> None:
    """The slow handler suspends three times; the plain ones around it keep their places."""
    bus, log = Bus(), list[str]()

    async def slow(event: TimerFired) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        log.append("slow")

    bus.subscribe(TimerFired, lambda event: log.append("before"))
    bus.subscribe(TimerFired, slow)
    bus.subscribe(TimerFired, lambda event: log.append("after"))
    bus.publish(timer("a"))
    bus.publish(timer("b"))
    await bus.drain()
    assert log == ["before", "slow", "after"] * 2


async def test_a_handler_hears_exactly_the_types_it_asked_for() -> None:
    bus, heard = Bus(), list[str]()
    bus.subscribe((TimerFired, LinkLost), lambda event: heard.append(type(event).__name__))
    for event in (timer("a"), LinkRestored(0, "v", "c"), LinkLost(0, "v", "c", "r")):
        bus.publish(event)
    await bus.drain()
    assert heard == ["TimerFired", "LinkLost"]
    assert (bus.hears(LinkLost), bus.hears(LinkRestored)) == (True, False)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_handler_that_raises_ends_the_run_and_names_the_event(is_async: bool) -> None:
    """The error comes out itself, with a note that shows the event; later handlers and events are not run."""
    bus, heard = Bus(), list[str]()

    def bad(event: TimerFired) -> None:
        raise ZeroDivisionError("mine")

    async def bad_later(event: TimerFired) -> None:
        bad(event)

    bus.subscribe(TimerFired, bad_later if is_async else bad)
    bus.subscribe(TimerFired, lambda event: heard.append(event.name))
    bus.publish(timer("the one", 77))
    bus.publish(timer("next"))
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        await bus.drain()
    (note,) = caught.value.__notes__
    assert "TimerFired" in note and "the one" in note and "77" in note
    assert heard == []


async def test_handlers_that_answer_each_other_without_end_are_stopped_at_the_named_maximum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each event makes two, so the queue never empties: past 50 the run is declared a loop."""
    monkeypatch.setattr(bus_module, "QUEUE_MAXIMUM", 50)
    bus = Bus()

    def twice(event: TimerFired) -> None:
        bus.publish(event)
        bus.publish(event)

    bus.subscribe(TimerFired, twice)
    bus.publish(timer("a"))
    with pytest.raises(InvariantBroken, match=r"maximum 50.* handlers answer each other without end"):
        await bus.drain()


async def test_statistics_count_what_was_dispatched_and_what_waits() -> None:
    bus = Bus()
    bus.subscribe(TimerFired, lambda event: None)
    for name in "abc":
        bus.publish(timer(name))
    assert (bus.statistics().dispatched, bus.statistics().waiting) == (0, 3)
    await bus.drain()
    assert (bus.statistics().dispatched, bus.statistics().waiting) == (3, 0)
    assert bus.statistics().maximum == bus_module.QUEUE_MAXIMUM


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_arrives_is_asked_for_when_all_that_followed_from_the_one_before_was_heard(is_async: bool) -> None:
    """`a` is followed by `a1`, which is followed by `a2`: only then is `b` taken. What waited comes first of all."""
    bus, log = Bus(), list[str]()
    follows = {"a": "a1", "a1": "a2"}

    def plain(event: TimerFired) -> None:
        log.append(event.name)
        if event.name in follows:
            bus.publish(timer(follows[event.name]))

    async def slow(event: TimerFired) -> None:
        await asyncio.sleep(0)
        plain(event)

    def arriving() -> Iterator[TimerFired]:
        for name in "ab":
            log.append(f"asked for {name}")
            yield timer(name)

    bus.subscribe(TimerFired, slow if is_async else plain)
    bus.publish(timer("waited"))
    await bus.drain(arriving())
    assert log == ["waited", "asked for a", "a", "a1", "a2", "asked for b", "b"]
    # `a` and `b` are counted where they come from.
    assert (bus.statistics().dispatched, bus.statistics().waiting) == (3, 0)


async def test_a_place_that_rests_hears_nothing_and_keeps_its_order() -> None:
    """The middle one rests for `b`; for `c` it is in the middle again."""
    bus, log = Bus(), list[str]()
    for name in ("first", "middle", "last"):
        place = bus.subscribe((TimerFired, LinkLost), lambda event, name=name: log.append(f"{name} {event.ts}"))
        if name == "middle":
            middle = place
    bus.publish(timer("a", 1))
    await bus.drain()
    middle.listen(False)
    bus.publish(timer("b", 2))
    await bus.drain()
    middle.listen(True)
    bus.publish(LinkLost(3, "v", "c", "r"))
    await bus.drain()
    assert log == ["first 1", "middle 1", "last 1", "first 2", "last 2", "first 3", "middle 3", "last 3"]


async def test_an_event_is_frozen() -> None:
    """No handler can change what the next one sees."""
    with pytest.raises(AttributeError):
        timer("a").name = "b"
