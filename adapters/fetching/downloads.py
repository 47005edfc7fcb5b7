"""Whole files over HTTP: resumed where the connection broke, checked against their sha256, complete or not there.

A file that is under way is called `<name>.part`. Where its checksum is known it is resumed also by a later run: a part
of another issue of the file shows in the end. Without one it is resumed only while the server says that it is still the
same file (`If-Range`), and begun anew by the next run.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from adapters.http import (
    ANSWER_SHOWN,
    BANNED_STATUS,
    RETRIED_STATUS,
    Refused,
    Retry,
    Sleep,
    backoff_s,
    refuse_plain_http,
    retry_after_s,
)
from core.checksum import sha256_of
from core.errors import DataError, VenueError

if TYPE_CHECKING:
    import aiohttp

FILE_BYTES_MAX = 20_000_000_000
"""The largest daily dumps have some GB; more is a fault."""
CHECKSUM_BYTES_MAX = 4096
CHUNK_BYTES = 1 << 20
PROGRESS_BYTES = 1 << 16
"""A try that brought so much was no failure: the next one goes on from there and does not count."""


@contextmanager
def folder_of_mine(root: Path | None) -> Iterator[Path]:
    """A folder that no other process downloads into: `root` where it is free, else a temporary one.

    Parts in `root` outlive the process and are resumed by the next; a second process at the same time gets a folder of
    its own, as does a system without such locks.
    """
    with ExitStack() as stack:
        yield _locked(root, stack) if root is not None else _temporary(stack)


def _locked(root: Path, stack: ExitStack) -> Path:
    try:
        import fcntl
    except ModuleNotFoundError:
        return _temporary(stack)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = stack.enter_context((root / ".lock").open("wb"))
    except OSError as error:
        raise DataError(f"{root}: cannot be written ({error.strerror or error}); choose another folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _temporary(stack)
    return root


def _temporary(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anyclock-")))


class Download(NamedTuple):
    """A file that is complete."""

    path: Path
    sha256: str | None
    """What it was checked against; None where the venue publishes no checksum."""


class _Try(NamedTuple):
    """How one request for a file ended."""

    done: bool
    absent: bool
    fault: str
    wait_s: float
    validator: str
    """ETag or date by which the server recognises this issue of the file."""


class Downloads:
    """Files of one host into one folder."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        folder: Path,
        *,
        retry: Retry | None = None,
        timeout_s: float = 10.0,
        attempt_s: float = 300.0,
        proxy: str | None = None,
        rng: random.Random | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.session = session
        self.folder = folder
        self.retry = retry or Retry()
        self.timeout_s = timeout_s
        """Longest silence."""
        self.attempt_s = attempt_s
        """Longest single request: one that drips is cut here and resumed."""
        self.proxy = proxy
        self._rng = rng or random.Random(0)
        self._sleep = sleep

    async def checked(self, url: str, checksum_url: str) -> Download | None:
        """The file whose sha256 stands in `checksum_url`; None where there is no such file. Raises VenueError.

        Archives are issued again: a file that does not match is fetched a second time from its beginning, with the
        checksum of then.
        """
        actual = expected = ""
        for _ in range(2):
            written = await self._text(checksum_url)
            if written is None:
                return None
            expected = (written.split() or [""])[0].lower()
            path = await self._file(url, keep_part=True)
            if path is None:
                return None
            actual = await asyncio.to_thread(sha256_of, path)
            if actual == expected:
                return Download(path, expected)
            path.unlink()
        raise VenueError(
            f"{url}: twice its sha256 was not that of its checksum file (last: {actual[:16]}..., expected "
            f"{expected[:16] or 'nothing'}...); fetch it later, or read the range over REST with `dumps: false`"
        )

    async def unchecked(self, url: str) -> Download | None:
        """A file without a published checksum; None where there is none. Raises VenueError."""
        path = await self._file(url, keep_part=False)
        return None if path is None else Download(path, None)

    # --- one file ---------------------------------------------------------------------------------------------------

    async def _text(self, url: str) -> str | None:
        path = await self._file(url, keep_part=False, bytes_max=CHECKSUM_BYTES_MAX)
        if path is None:
            return None
        text = path.read_text(encoding="ascii", errors="replace")
        path.unlink()
        return text

    async def _file(self, url: str, *, keep_part: bool, bytes_max: int = FILE_BYTES_MAX) -> Path | None:
        refuse_plain_http(url)
        whole = self.folder / urlsplit(url).path.rsplit("/", 1)[-1]
        part = whole.with_name(whole.name + ".part")
        validator, last, failures = "", "", 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not keep_part:
                part.unlink(missing_ok=True)
            while failures <= self.retry.retries:
                before = _size(part)
                tried = await self._once(url, part, validator, keep_part, bytes_max)
                if tried.absent:
                    return None
                if tried.done:
                    part.replace(whole)
                    return whole
                validator, last = tried.validator or validator, tried.fault
                if _size(part) - before >= PROGRESS_BYTES:
                    failures = 0
                    continue
                failures += 1
                if failures <= self.retry.retries:
                    await self._sleep(max(tried.wait_s, backoff_s(self.retry, failures - 1, self._rng)))
        except OSError as error:
            raise DataError(
                f"{part}: cannot be written ({error.strerror or error}); free space or permissions, or choose another "
                "folder"
            ) from error
        raise VenueError(
            f"{url}: no whole file in {self.retry.retries + 1} tries, the last one: {last}; check the connection; what "
            "arrived is kept and resumed by the next run"
        )

    async def _once(self, url: str, part: Path, validator: str, keep_part: bool, bytes_max: int) -> _Try:
        """One request from where the part ends. OSError of the disk passes through."""
        import aiohttp

        have = _size(part)
        if have and not (validator or keep_part):
            part.unlink()
            have = 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if validator:
                headers["If-Range"] = validator
        silence = aiohttp.ClientTimeout(total=None, sock_connect=self.timeout_s, sock_read=self.timeout_s)
        seen = validator
        try:
            async with (
                asyncio.timeout(self.attempt_s),
                self.session.get(
                    url, headers=headers, proxy=self.proxy, timeout=silence, allow_redirects=False
                ) as response,
            ):
                seen = response.headers.get("ETag", response.headers.get("Last-Modified", ""))
                if response.status not in (200, 206):
                    return await self._refused(url, response, part)
                await _written(response, part, have, bytes_max)
                return _Try(True, False, "", 0.0, seen)
        except TimeoutError:
            return _Try(
                False, False, f"nothing for {self.timeout_s:g} s, or not all in {self.attempt_s:g} s", 0.0, seen
            )
        except aiohttp.ClientSSLError as error:
            raise VenueError(f"{urlsplit(url).netloc}: its certificate is not valid ({error})") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            return _Try(False, False, f"{type(error).__name__}: {error}"[:ANSWER_SHOWN], 0.0, seen)

    async def _refused(self, url: str, response: aiohttp.ClientResponse, part: Path) -> _Try:
        status, wait_s = response.status, retry_after_s(response.headers)
        if status == 404:
            return _Try(False, True, "", 0.0, "")
        if status == 416:
            # The part is as long as the file or longer: it belongs to another issue.
            part.unlink()
            return _Try(False, False, "HTTP 416: the part did not fit the file", 0.0, "")
        shown = (await response.content.read(ANSWER_SHOWN)).decode("utf-8", "replace").replace("\n", " ")
        if status in BANNED_STATUS or wait_s > self.retry.wait_max_s:
            raise VenueError(
                f"{url}: the host refuses this address (HTTP {status}, Retry-After {wait_s:.0f} s: {shown}); "
                "wait that long before the next run"
            )
        if status not in RETRIED_STATUS:
            raise Refused(urlsplit(url).path, status, None, shown)
        return _Try(False, False, f"HTTP {status} {shown}", wait_s, "")


async def _written(response: aiohttp.ClientResponse, part: Path, have: int, bytes_max: int) -> None:
    """The body behind the part, or in its place where the server sends the whole file. Raises as the session does."""
    goes_on = response.status == 206 and _first_byte(response.headers) == have
    size = have if goes_on else 0
    with part.open("ab" if goes_on else "wb") as stream:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            size += len(chunk)
            if size > bytes_max:
                raise VenueError(f"{response.url}: is larger than {bytes_max} bytes; check the URL")
            await asyncio.to_thread(stream.write, chunk)


def _first_byte(headers: Mapping[str, str]) -> int:
    """Of `Content-Range: bytes 100-199/200`; -1 where it says nothing."""
    told = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(told) if told.isdigit() else -1


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
