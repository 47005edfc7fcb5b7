"""Joining snapshots and differences: the venues' rules message by message, and what a walk over a recording makes of
gaps, doubles and snapshots that come late or never. Numbers are the examples of the contract (section 6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance.book_sync import FuturesSync, SpotSync
from adapters.bybit.book_sync import BybitSync
from adapters.recorded.book_sync import BookSync, Ids, Message, Step, Stitched, stitched
from core.tape import Gap

APPLY, OLD, GAP = Step.APPLY, Step.OLD, Step.GAP


@pytest.mark.parametrize(
    ("rule", "snapshot", "steps"),
    [
        # contract, spot: snapshot 1000; 1006 > 1004 + 1 is a gap
        (SpotSync(), 1000, [((990, 999), OLD), ((1000, 1003), APPLY), ((1004, 1004), APPLY), ((1006, 1009), GAP)]),
        # `U` = id + 1 is the next one; `U` below it overlaps and is fine
        (SpotSync(), 1000, [((1001, 1001), APPLY), ((1000, 1002), APPLY), ((1002, 1002), OLD)]),
        # contract, USD-M: snapshot 500; 511 != 510
        (
            FuturesSync(),
            500,
            [((480, 499, 470), OLD), ((495, 505, 480), APPLY), ((506, 510, 505), APPLY), ((512, 520, 511), GAP)],
        ),
        # contract: it is `pu` that counts, not U = u + 1
        (FuturesSync(), 500, [((495, 505, 480), APPLY), ((508, 515, 505), APPLY)]),
        # the first one must enclose the snapshot's id: U <= id <= u
        (FuturesSync(), 500, [((501, 505, 498), GAP)]),
        (FuturesSync(), 500, [((500, 500, 498), APPLY), ((501, 502, 500), APPLY)]),
        # a difference that came twice brings nothing new
        (FuturesSync(), 500, [((495, 505, 480), APPLY), ((495, 505, 480), OLD), ((506, 510, 505), APPLY)]),
        # Bybit: `u` that is not previous + 1 on the same depth
        (BybitSync(), 10, [((11, 11), APPLY), ((12, 12), APPLY), ((12, 12), OLD), ((14, 14), GAP)]),
    ],
)  # fmt: skip
def test_each_venues_rule_says_of_each_difference_what_the_contract_says(
    rule: BookSync, snapshot: int, steps: list[tuple[tuple[int, ...], Step]]
) -> None:
    assert rule.snapshot(snapshot, []) == []
    assert [rule.update(Ids(*ids)) for ids, _ in steps] == [step for _, step in steps]


def test_a_spot_snapshot_older_than_the_first_waiting_difference_is_refused() -> None:
    """lastUpdateId < first.U: fetch again."""
    assert SpotSync().snapshot(999, [Ids(1000, 1003)]) is None
    assert SpotSync().snapshot(1000, [Ids(1000, 1003)]) == [0]
    assert SpotSync().snapshot(1003, [Ids(1000, 1003), Ids(1004, 1006)]) == [1]


def test_a_futures_snapshot_takes_the_waiting_difference_that_encloses_it_and_what_follows() -> None:
    waiting = [Ids(480, 499, 470), Ids(495, 505, 499), Ids(506, 510, 505)]
    assert FuturesSync().snapshot(500, waiting) == [1, 2]
    assert FuturesSync().snapshot(494, waiting[1:]) is None


def walk(rule: BookSync, *messages: tuple[str, int, int, int]) -> Stitched:
    """Messages as (s|d, first, last, previous), one a microsecond, two rows each."""
    return stitched(
        [
            Message(Ids(first, last, previous), kind == "s", 1_000 * at, 2)
            for at, (kind, first, last, previous) in enumerate(messages)
        ],
        rule,
    )


def test_differences_wait_for_the_snapshot_and_count_from_its_receipt_on() -> None:
    found = walk(
        FuturesSync(), ("d", 480, 499, 470), ("d", 495, 505, 499), ("s", 500, 500, -1), ("d", 506, 510, 505)
    )  # fmt: skip
    assert found.order == [2, 1, 3] and found.known_with == [2, 2, 3]
    assert found.gaps == ()
    assert found.notes == ("2 level changes before the first snapshot, older than it: left out",)


def test_a_gap_throws_the_book_away_until_the_next_snapshot_that_fits() -> None:
    """Between the gap (row 2) and the snapshot at 13 two differences of two rows each are lost; (12, 14) is not."""
    found = walk(
        SpotSync(),
        ("s", 5, 5, -1),
        ("d", 6, 7, -1),
        ("d", 9, 10, -1),  # 8 is missing
        ("d", 11, 11, -1),
        ("s", 8, 8, -1),  # older than what waits
        ("d", 12, 14, -1),
        ("s", 13, 13, -1),
        ("d", 15, 15, -1),
    )
    assert found.order == [0, 1, 6, 5, 7] and found.known_with == [0, 1, 6, 6, 7]
    assert found.gaps == (Gap(since=1_000, until=6_000, rows=4),)
    assert found.notes == (
        "1 gap in the update ids; 4 level changes between a gap and the snapshot after it left out",
        "1 snapshot that did not fit the differences waiting for one: left out",
    )


def test_without_a_snapshot_after_a_gap_the_differences_are_used_as_they_are() -> None:
    found = walk(SpotSync(), ("s", 5, 5, -1), ("d", 6, 7, -1), ("d", 9, 10, -1), ("d", 12, 12, -1))
    assert found.order == [0, 1, 2, 3] and found.known_with == [0, 1, 2, 3]
    assert found.gaps == (Gap(since=1_000, until=2_000, rows=0), Gap(since=2_000, until=3_000, rows=0))
    assert found.notes[0] == "no snapshot follows the last gap: from there 2 differences used as found"


def test_a_recording_without_any_snapshot_is_built_from_its_differences_and_says_so() -> None:
    found = walk(FuturesSync(), ("d", 1, 2, 0), ("d", 3, 4, 2), ("d", 5, 6, 4))
    assert found.order == [0, 1, 2] and found.gaps == ()
    assert found.notes[0].startswith("the recording has no snapshot that fits")


def test_bybits_snapshot_replaces_a_book_in_order_and_heals_a_gap() -> None:
    found = walk(
        BybitSync(),
        ("s", 7, 7, -1),
        ("d", 8, 8, -1),
        ("s", 1, 1, -1),  # the venue starts again
        ("d", 2, 2, -1),
        ("d", 4, 4, -1),
        ("d", 5, 5, -1),
        ("s", 6, 6, -1),
        ("d", 7, 7, -1),
    )
    assert found.order == [0, 1, 2, 3, 6, 7]
    assert found.gaps == (Gap(since=3_000, until=6_000, rows=4),)


def test_binances_snapshot_while_the_book_is_in_order_tells_nothing_new() -> None:
    found = walk(SpotSync(), ("s", 5, 5, -1), ("d", 6, 7, -1), ("s", 7, 7, -1), ("d", 8, 8, -1))
    assert found.order == [0, 1, 3]
    assert found.notes == ("1 snapshot while the book was in order: left out",)


@given(st.lists(st.integers(1, 3), min_size=4, max_size=12), st.data())
def test_deleting_one_difference_is_always_found_and_nothing_else_is_lost(
    spans: list[int], data: st.DataObject
) -> None:
    """Chained differences after a snapshot: one left out anywhere but at the end is one gap, right behind it."""
    messages, last = [("s", 100, 100, -1)], 100
    for length in spans:
        messages.append(("d", last + 1, last + length, last))
        last += length
    without = data.draw(st.integers(1, len(spans) - 1))
    del messages[without]
    # The first difference of futures must enclose the snapshot's id, so this chain is spot's.
    found = walk(SpotSync(), *messages)
    assert [gap.rows for gap in found.gaps] == [0]
    assert found.gaps[0].since == 1_000 * (without - 1) and found.gaps[0].until == 1_000 * without
    assert found.order == list(range(len(messages)))
