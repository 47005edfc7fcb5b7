"""Work done ahead in threads: results in order, never more than asked for under way, nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from adapters.tapes.read_ahead import read_ahead


def doubled(number: int) -> int:
    return 2 * number


def test_results_come_in_the_order_of_their_jobs_whichever_is_done_first() -> None:
    """The first job waits for the second to be over."""
    second_is_over = threading.Event()

    def first() -> str:
        assert second_is_over.wait(10)
        return "first"

    def second() -> str:
        second_is_over.set()
        return "second"

    assert list(read_ahead([first, second], 2)) == ["first", "second"]


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_a_job_begins_when_the_one_that_many_lanes_before_it_is_over(lanes: int) -> None:
    """Seven jobs: when the result of job n is handed out, jobs up to n + lanes - 1 have been begun and no more."""
    begun: list[int] = []

    def jobs() -> Iterator[Callable[[], int]]:
        for number in range(7):
            begun.append(number)
            yield partial(doubled, number)

    for number, result in enumerate(read_ahead(jobs(), lanes)):
        assert result == 2 * number and begun == list(range(min(7, number + lanes)))


def test_no_more_threads_than_lanes_do_all_the_jobs() -> None:
    """A thread that ends gives its memory back to the system; one that stays uses it again."""
    threads = set(read_ahead([threading.current_thread] * 50, 2))
    assert 1 <= len(threads) <= 2 and threading.current_thread() not in threads


def test_an_error_is_raised_where_its_result_would_stand() -> None:
    def fails() -> int:
        raise OSError("the disk is gone")

    results = read_ahead([partial(doubled, 1), fails, partial(doubled, 3)], 2)
    assert next(results) == 2
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_who_leaves_half_way_waits_for_what_is_under_way_and_leaves_no_thread() -> None:
    over: list[int] = []

    def job(number: int) -> None:
        over.append(number)

    before = threading.active_count()
    with closing(read_ahead((partial(job, number) for number in range(100)), 3)) as results:
        next(results)
    assert sorted(over) == [0, 1, 2] and threading.active_count() == before
