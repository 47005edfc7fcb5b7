"""The pieces of the fidelity study: the exact book of a recording, the public view of it, and twins that rest in it."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity_scores import Fates, closer, interval, score
from benchmarks.fidelity_truth import ASK, BID, DEPTH, PRINT, Hit, Raw, Resting, Truth, hits_of, replayed, rows_of
from benchmarks.fidelity_twins import Desk, batched, exposure, own_left
from sim.books import kernel
from sim.models.queue import L3Queue, MatchedQueue, NoQueue, PowerQueue, QueueModel, RiskAverseQueue

FOREVER_MS = 10**15
RECORDER_STOPS = Raw(0, 10_000, 0, 0, "created", BID)
"""The replay takes ends in a recording's last millisecond for the recorder's own; so a recording needs a last row."""


def row(at_ms: int, order: int, action: str, size: int, price: int = 100, side: int = BID) -> Raw:
    return Raw(order, at_ms, price, size, action, side)


START = (row(0, 1, "created", 50), row(0, 2, "created", 70, 102, ASK))
"""The book as it was found: 50 bid at 100, 70 offered at 102."""


def replay(*rows: Raw, hits: dict[int, list[Hit]] | None = None, takers: tuple[int, ...] = ()) -> Truth:
    return replayed([*START, *rows, RECORDER_STOPS], hits or {}, set(takers))


def sold_into(order: int, at_ms: int, size: int, price: int = 100) -> dict[int, list[Hit]]:
    return {order: [Hit(at_ms, price, size, -1)]}


def order_of(truth: Truth, number: int) -> Resting:
    return next(order for order in truth.orders if order.order == number)


def events(truth: Truth) -> list[tuple[int, int, int, int]]:
    """(kind, side, price, size) of the public view behind the start-up book."""
    view = truth.view
    found = zip(view.kind.tolist(), view.side.tolist(), view.price.tolist(), view.size.tolist(), strict=True)
    return list(found)[len(START) :]


# --- what really happened -------------------------------------------------------------------------------------------


def test_an_order_waits_behind_what_came_before_it_and_moves_up_when_that_goes() -> None:
    truth = replay(row(1, 3, "created", 20), row(2, 4, "created", 30), row(3, 3, "deleted", 20))
    # On arrival 50 + 20 stand before order 4; order 3 takes its 20 away.
    assert [ahead for _, ahead in order_of(truth, 4).ahead] == [70, 50]


def test_what_leaves_behind_an_order_moves_nobody() -> None:
    truth = replay(row(1, 3, "created", 20), row(2, 4, "created", 30), row(3, 4, "deleted", 30))
    assert [ahead for _, ahead in order_of(truth, 3).ahead] == [50]


def test_prints_belong_to_the_order_that_shrank_with_them_and_come_before_the_depth_they_leave() -> None:
    truth = replay(row(1, 3, "created", 20), row(5, 3, "changed", 15), hits=sold_into(3, 5, 5))
    assert order_of(truth, 3).fills == [(3, 5, 5)]
    assert events(truth)[1:] == [(PRINT, -1, 100, 5), (DEPTH, BID, 100, 65)]


def test_a_whole_fill_is_told_from_a_cancel_by_its_prints() -> None:
    filled = replay(row(1, 3, "created", 20), row(5, 3, "deleted", 0), hits=sold_into(3, 5, 20))
    canceled = replay(row(1, 3, "created", 20), row(5, 3, "deleted", 20))
    assert (order_of(filled, 3).fate, order_of(canceled, 3).fate) == ("filled", "canceled")


def test_an_order_open_when_the_recorder_stops_is_neither_filled_nor_canceled() -> None:
    truth = replay(row(1, 3, "created", 20), row(10_000, 3, "deleted", 20))
    assert order_of(truth, 3).fate == "open"


def test_an_order_that_meets_the_other_side_and_goes_is_in_no_public_book() -> None:
    truth = replay(row(1, 3, "created", 20, 102), row(1, 3, "deleted", 20, 102))
    assert events(truth) == []
    assert (truth.refused, truth.orders) == (1, [])


def test_what_is_left_of_a_taker_comes_to_rest_when_it_has_met_all_it_could() -> None:
    hits = {2: [Hit(1, 102, 70, 1)]}
    rows = (
        row(1, 3, "created", 90, 103),
        row(1, 3, "changed", 20, 102),
        row(1, 2, "deleted", 0, 102, ASK),
        row(2, 4, "created", 1, 99),
    )
    truth = replay(*rows, hits=hits, takers=(3,))
    assert events(truth)[:3] == [(PRINT, 1, 102, 70), (DEPTH, ASK, 102, 0), (DEPTH, BID, 103, 20)]


def test_an_order_whose_end_the_recorder_missed_is_left_out_from_its_beginning() -> None:
    # A bid at 102 that rests for a second proves that nothing was offered there.
    truth = replay(row(1, 3, "created", 20, 102), row(1_000, 4, "created", 5, 99))
    assert truth.ghosts == 1
    assert [order.order for order in truth.orders] == [3, 4]


# --- its own size taken out -----------------------------------------------------------------------------------------


def test_the_public_level_is_seen_without_the_order_itself_while_it_rests() -> None:
    truth = replay(
        row(1, 3, "created", 20), row(2, 4, "created", 30), row(3, 1, "deleted", 50), row(4, 3, "deleted", 20)
    )
    seen = exposure(truth.view, order_of(truth, 3), FOREVER_MS)
    # The public sees 70, 100, 50; without the 20 of order 3: 50, 80, 30.
    assert seen.displayed == 50
    assert seen.rows.size.tolist() == [50, 80, 30]


def test_after_a_partial_fill_only_what_is_left_of_the_order_is_taken_out() -> None:
    rows = (row(1, 3, "created", 20), row(2, 3, "changed", 15), row(3, 4, "created", 30), row(4, 3, "deleted", 15))
    truth = replay(*rows, hits=sold_into(3, 2, 5))
    order = order_of(truth, 3)
    # Two rows of the start-up book, its arrival, the print and the 15 it leaves, order 4, its end, the last row.
    assert own_left(order, truth.view.seq).tolist()[:7] == [0, 0, 20, 15, 15, 15, 0]
    seen = exposure(truth.view, order, FOREVER_MS)
    # Public: 70, print of 5, 65, 95. Without what is left of the order (20, then 15): 50, 50, 80.
    assert seen.rows.size[seen.rows.kind == DEPTH].tolist() == [50, 50, 80]


def test_nothing_after_the_end_of_a_canceled_order_is_shown_to_its_twin() -> None:
    truth = replay(row(1, 3, "created", 20), row(2, 3, "deleted", 20), row(3, 4, "created", 5))
    seen = exposure(truth.view, order_of(truth, 3), FOREVER_MS, watch_ms=5_000)
    assert (len(seen.rows.seq), seen.ends, seen.touched) == (1, 1, False)


def test_only_its_level_the_prints_at_it_and_the_other_side_beyond_it_can_touch_an_order() -> None:
    rows = (
        row(1, 3, "created", 20),
        row(2, 4, "created", 7, 99),
        row(3, 5, "created", 8, 103, ASK),
        row(4, 2, "changed", 60, 102, ASK),
        row(5, 1, "changed", 45),
        row(6, 3, "deleted", 20),
    )
    truth = replay(*rows, hits={2: [Hit(4, 102, 10, 1)], 1: [Hit(5, 100, 5, -1)]})
    seen = exposure(truth.view, order_of(truth, 3), FOREVER_MS)
    assert list(zip(seen.rows.kind.tolist(), seen.rows.price.tolist(), seen.rows.size.tolist(), strict=True)) == [
        (DEPTH, 100, 50),
        (PRINT, 100, 5),
        (DEPTH, 100, 45),
    ]
    assert seen.touched


def test_batches_show_the_last_state_of_each_level_and_leave_prints_where_they_were() -> None:
    rows = (
        row(110, 3, "created", 20),
        row(120, 1, "changed", 45),
        row(130, 4, "created", 30),
        row(250, 3, "deleted", 20),
    )
    view = batched(replay(*rows, hits=sold_into(1, 120, 5)).view, 100)
    found = zip(view.at_ms.tolist(), view.kind.tolist(), view.price.tolist(), view.size.tolist(), strict=True)
    # Within (100, 200]: 50 + 20 - 5 + 30 = 95; within (200, 300]: 75. The print stays at 120.
    assert list(found)[2:] == [(120, PRINT, 100, 5), (200, DEPTH, 100, 95), (300, DEPTH, 100, 75)]


# --- twins ----------------------------------------------------------------------------------------------------------


def twin(truth: Truth, number: int, model: QueueModel) -> tuple[int, float]:
    """What the twin of an order got until the order ended, and what the model has ahead of it then."""
    order = order_of(truth, number)
    seen = exposure(truth.view, order, FOREVER_MS)
    got = Desk(kernel, model).rest(order, seen)
    return sum(size for at, _, size, _ in got.fills if at < seen.ends), got.ahead


def test_a_twin_rests_on_its_side_behind_what_is_displayed_there() -> None:
    bid = replay(row(1, 3, "created", 20), row(2, 3, "deleted", 20))
    ask = replay(row(1, 3, "created", 20, 102, ASK), row(2, 3, "deleted", 20, 102, ASK))
    alone = replay(row(1, 3, "created", 20, 101), row(2, 3, "deleted", 20, 101))
    assert [twin(truth, 3, PowerQueue()) for truth in (bid, ask, alone)] == [(0, 50.0), (0, 70.0), (0, 0.0)]


def test_a_twin_that_was_first_gets_what_the_order_got() -> None:
    truth = replay(row(1, 3, "created", 20, 101), row(2, 3, "deleted", 0, 101), hits=sold_into(3, 2, 20, 101))
    assert twin(truth, 3, RiskAverseQueue())[0] == 20


A_BEHIND, A_AHEAD = (row(2, 4, "created", 30), row(3, 4, "deleted", 30)), (row(3, 1, "deleted", 50),)
STORIES: list[tuple[str, tuple[Raw, ...], dict[int, list[Hit]], int, dict[str, int]]] = [
    # what happens after order 3 (bid, 20 at 100) came behind the 50 of order 1; prints; really filled; predicted
    ("nothing", (), {}, 0, {"l3": 0, "matched": 0, "averse": 0, "power": 0, "none": 0}),
    # 10 printed: order 1 gets them. Who is always first takes them.
    (
        "a print ahead",
        (row(3, 1, "changed", 40),),
        sold_into(1, 3, 10),
        0,
        {"l3": 0, "matched": 0, "averse": 0, "power": 0, "none": 10},
    ),
    # Order 1 goes: nothing is left at the level, whoever you ask.
    (
        "all ahead canceled",
        (*A_AHEAD, row(4, 3, "changed", 12)),
        sold_into(3, 4, 8),
        8,
        {"l3": 8, "matched": 8, "averse": 8, "power": 8, "none": 8},
    ),
    # The 30 that came after us go again.
    ("one behind canceled", A_BEHIND, {}, 0, {"l3": 0, "matched": 0, "averse": 0, "power": 0, "none": 0}),
    # 30 behind us, then the 50 ahead go. The fall of 50 equals no growth: matched puts it ahead. Averse: min(50, 30).
    # Power n 2: B 30, A 50, P = 900 / 3400; 50 - 50 x 2500/3400 = 13.2 left ahead: 8 printed never reach us.
    (
        "ahead canceled before those behind",
        (A_BEHIND[0], *A_AHEAD, row(4, 3, "changed", 12)),
        sold_into(3, 4, 8),
        8,
        {"l3": 8, "matched": 8, "averse": 0, "power": 0, "none": 8},
    ),
    # The same, and a print of 20 fills us: averse has 30 ahead, power 13.2 and gets 6 whole units.
    (
        "ahead canceled, filled",
        (A_BEHIND[0], *A_AHEAD, row(4, 3, "deleted", 0)),
        sold_into(3, 4, 20),
        20,
        {"l3": 20, "matched": 20, "averse": 0, "power": 6, "none": 20},
    ),
    # 30 behind us go, then 50 printed eat order 1: power had moved up by 30 x 2500/3400 = 22.06 and takes 20.
    (
        "behind canceled, print ahead",
        (*A_BEHIND, row(4, 1, "deleted", 0)),
        sold_into(1, 4, 50),
        0,
        {"l3": 0, "matched": 0, "averse": 0, "power": 20, "none": 20},
    ),
    # Two of 30 behind us, one goes, then order 1, then the other: each fall of 30 is one growth.
    (
        "two alike behind",
        (A_BEHIND[0], row(2, 5, "created", 30), row(3, 5, "deleted", 30), row(3, 4, "deleted", 30)),
        {},
        0,
        {"l3": 0, "matched": 0, "averse": 0, "power": 0, "none": 0},
    ),
    # A print at 99 went through our price: at most its own 5.
    (
        "through",
        (row(2, 6, "created", 9, 99), row(3, 6, "changed", 4, 99)),
        {6: [Hit(3, 99, 5, -1)]},
        0,
        {"l3": 5, "matched": 5, "averse": 5, "power": 5, "none": 5},
    ),
    # A buyer's print at the ask says nothing about a bid.
    (
        "a buyer",
        (row(3, 2, "changed", 60, 102, ASK),),
        {2: [Hit(3, 102, 10, 1)]},
        0,
        {"l3": 0, "matched": 0, "averse": 0, "power": 0, "none": 0},
    ),
]
MODELS = {
    "l3": L3Queue(),
    "matched": MatchedQueue(),
    "averse": RiskAverseQueue(),
    "power": PowerQueue(),
    "none": NoQueue(),
}


@pytest.mark.parametrize(
    ("happens", "hits", "really", "predicted"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES]
)
def test_ten_hand_made_fates(
    happens: tuple[Raw, ...], hits: dict[int, list[Hit]], really: int, predicted: dict[str, int]
) -> None:
    over = happens and happens[-1].order == 3 and happens[-1].action == "deleted"
    truth = replay(row(1, 3, "created", 20), *happens, *(() if over else (row(9, 3, "deleted", 0),)), hits=hits)
    assert order_of(truth, 3).filled == really
    assert {name: twin(truth, 3, model)[0] for name, model in MODELS.items()} == predicted


def test_a_matched_queue_forgets_the_oldest_growth_when_it_cannot_remember_more() -> None:
    # 33 orders of sizes 1 to 33 come behind us; there is room for 32, so the growth by 1 is forgotten.
    joined = [row(2, 10 + size, "created", size) for size in range(1, 34)]
    ahead = []
    for size in (1, 2, 33):
        truth = replay(row(1, 3, "created", 20), *joined, row(3, 10 + size, "deleted", size), row(4, 3, "deleted", 20))
        ahead.append(twin(truth, 3, MatchedQueue())[1])
    assert ahead == [49.0, 50.0, 50.0]


def test_matched_queues_are_the_same_compiled() -> None:
    from sim.books import compiled

    for _, happens, hits, _, _ in STORIES:
        truth = replay(row(1, 3, "created", 20), *happens, row(9, 3, "deleted", 0), hits=hits)
        order = order_of(truth, 3)
        seen = exposure(truth.view, order, FOREVER_MS)
        plain, machine = (
            Desk(functions, MatchedQueue()).rest(order, seen) for functions in (kernel, compiled.kernel())
        )
        assert plain.fills == machine.fills
        assert plain.ahead == machine.ahead or (math.isnan(plain.ahead) and math.isnan(machine.ahead))


def test_exact_places_give_the_orders_of_a_real_recording_what_they_really_got(shared: Path) -> None:
    folder = shared / "data" / "l3" / "bitstamp"
    hits, takers = hits_of(folder)
    rows = list(islice(rows_of(folder), 30_000))
    truth = replayed(rows, hits, takers)
    filled = [order for order in truth.orders if order.fills]
    # The trades file names 12 resting orders that came after the recorder began and were hit within these rows.
    assert len(filled) == 12
    for order in filled:
        assert twin(truth, order.order, L3Queue())[0] == order.filled, order.order


# --- scores ---------------------------------------------------------------------------------------------------------


def fates(real: list[float], predicted: list[float]) -> Fates:
    """Orders of size 10; what was filled was so after 5 ms, by the twin after 7."""
    after = [np.where(np.array(filled) > 0, ms, np.nan) for filled, ms in ((real, 5.0), (predicted, 7.0))]
    return Fates(np.full(len(real), 10.0), np.array(real), np.array(predicted), *after)


def test_scores_count_missed_and_invented_fills_and_average_the_filled_fraction() -> None:
    found = score(fates([10, 10, 0, 0], [10, 0, 4, 0]))
    # Errors 0, -1, +0.4, 0: mean size 0.35, mean -0.15. Only the first order was filled in both worlds, 2 ms apart.
    assert (found.missed, found.invented, found.right.value) == (1, 1, 0.5)
    assert found.error.value == pytest.approx(0.35)
    assert found.bias.value == pytest.approx(-0.15)
    assert (found.late_s.value, found.same_print) == (0.002, 0.0)


def test_an_interval_holds_the_value_and_is_the_same_each_time() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    found = interval(values, np.mean)
    assert found == interval(values, np.mean)
    # Means of five draws from three ones and two zeros: below 0.2 in 1 of 98, so the 2.5 % bound is 0.2.
    assert (found.low, found.value, found.high) == (0.2, 0.6, 1.0)


def test_closer_is_positive_where_ours_errs_less() -> None:
    right, error = closer(fates([10, 0], [10, 0]), fates([10, 0], [5, 10]))
    assert (right.value, error.value) == (0.5, 0.75)
