"""One writer at a time: a folder of the cache is locked while its missing rows are fetched.

The operating system gives the lock up when its holder ends, however it ends: there is no stale lock to be found.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import DataError

LOCK = ".lock"
LOOK_S = 0.2
"""How often a held lock is looked at again."""
LOG = logging.getLogger("anyclock")


@asynccontextmanager
async def locked(folder: Path, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> AsyncIterator[None]:
    """Hold the folder's lock; waits while another program has it. Raises DataError where it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}); free space or permissions, or point the cache "
            "somewhere else"
        ) from error
    try:
        told = False
        while not _take(handle):
            if not told:
                LOG.info("another program fetches into %s: waiting for it", folder)
                told = True
            await sleep(LOOK_S)
        yield
    finally:
        os.close(handle)


if sys.platform == "win32":

    def _take(handle: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _take(handle: int) -> bool:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
