"""Pieces of work done in threads, a few ahead of whoever takes their results, in order.

For work that leaves the interpreter alone, such as reading, unpacking and hashing files. A thread lives as long as its
piece of work: a reader that is left standing half-way has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")


def read_ahead(jobs: Iterable[Callable[[], Result]], lanes: int) -> Generator[Result]:
    """What the jobs return, in their order, with up to `lanes` of them under way; a job's error is raised in its place.

    A job begins when the one `lanes` before it is over. Leave the iteration through `contextlib.closing`: that waits
    for what is under way, so that its files can be closed.
    """
    under_way: deque[_Errand[Result]] = deque()
    try:
        for job in jobs:
            under_way.append(_Errand(job))
            if len(under_way) == lanes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for errand in under_way:
            errand.join()


class _Errand(Thread, Generic[Result]):
    """A job under way in a thread of its own."""

    def __init__(self, job: Callable[[], Result]) -> None:
        super().__init__(name="read ahead", daemon=True)
        self._job = job
        self._results: list[Result] = []
        self._errors: list[BaseException] = []
        self.start()

    def run(self) -> None:
        try:
            self._results.append(self._job())
        except BaseException as error:  # whoever asks for the result gets it
            self._errors.append(error)

    def result(self) -> Result:
        """What came of it, when it is over. Raises what the job raised."""
        self.join()
        if self._errors:
            raise self._errors[0]
        return self._results[0]
