"""Pieces of work done in threads, a few ahead of whoever takes their results, in order.

For work that leaves the interpreter alone, such as reading, unpacking and hashing files. The threads live as long as
the iteration: one that ends takes the memory it worked in with it, and the next must ask the system for its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def read_ahead(jobs: Iterable[Callable[[], Result]], lanes: int) -> Generator[Result]:
    """What the jobs return, in their order, with up to `lanes` of them under way; a job's error is raised in its place.

    A job begins when the one `lanes` before it is over. Leave the iteration through `contextlib.closing`: that waits
    for what is under way, so that its files can be closed.
    """
    under_way: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(lanes, thread_name_prefix="read ahead") as threads:
        for job in jobs:
            under_way.append(threads.submit(job))
            if len(under_way) == lanes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
