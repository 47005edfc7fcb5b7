"""Recorded sessions: raw messages of a venue with the time at which each was received, one a line.

Four ways of writing them down are told apart line by line: `<receipt> <message>` (receipt a whole number of ns, us or
ms), `<receipt in seconds>: <message>` with `<url> -> <receipt>: <answer>` for REST, JSON objects with `t`, `ts` and
`data`, and bare messages without a receipt (a venue's own dump). What a message means is the venue's affair.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from adapters import wrapped
from adapters.columns import Origin
from core.errors import DataError
from core.moments import SECOND_NS

NUMBERED_SESSION = re.compile(r"^(?P<session>.+)\.ws\.\d+\.\d+(\.gz)?$")
"""Sessions whose REST answers stand in a file of their own beside the stream's."""
_MS, _US, _NS = 10**12, 10**15, 10**18
"""The smallest milliseconds (2001), microseconds and nanoseconds."""
_LAST_NS = 2**62
"""In the year 2116: later is a spoiled digit, and sums of times stay within an int64."""


class BadTime(ValueError):
    """A number is no time of this world; the reader knows the line."""


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, BadTime)
"""What decoding a message raises where the message is spoiled."""


class Line(NamedTuple):
    """One message."""

    file: str
    number: int
    receipt: int | None
    """int64 nanoseconds; None where none was recorded."""
    payload: bytes
    """The venue's JSON."""
    address: str
    """URL of the connection or request; empty where it was not recorded."""

    def wrong(self, why: object) -> DataError:
        """The sentence about a message that cannot be read."""
        return DataError(
            f"{self.file}: line {self.number}: {self.payload[:60]!r} cannot be read as a message ({why}); expected "
            "complete JSON as the venue sends it; remove the line (was the recording cut short?)"
        )


def lines(path: Path) -> Iterator[Line]:
    """All messages of a session in the order of receipt, REST answers of its sibling files among them.

    Raises DataError where a line or the file is damaged.
    """
    found = NUMBERED_SESSION.match(path.name)
    if found is None:
        yield from _of_file(path)
        return
    answers = sorted(path.parent.glob(f"{found['session']}.http.*"))
    yield from heapq.merge(*map(_of_file, [*answers, path]), key=lambda line: line.receipt or 0)


def looks_recorded(first: bytes) -> bool:
    """Whether a text beginning with these bytes is a recorded session."""
    return first[:1] == b"{" or re.match(rb"\d{13,19} \{|\d+\.\d+: |(https?|wss?)://\S+ <?-> ", first) is not None


def nanoseconds(time: int) -> int:
    """A whole number of ms, us or ns since 1970 as ns; the size tells the unit. 0 stays 0: not said. Raises BadTime."""
    ns = time if time >= _NS else time * 1_000 if time >= _US else time * 1_000_000
    if ns > _LAST_NS or (time < _MS and time != 0):
        raise BadTime(f"{time} is no time in ms, us or ns between 2001 and 2116")
    return ns


# --- ways of writing it down ----------------------------------------------------------------------------------------


class _Recorded(msgspec.Struct):
    """One line of a session kept as JSON objects."""

    t: str
    ts: msgspec.Raw = msgspec.Raw(b"")
    conn: str = ""
    addr: str = ""
    url: str = ""
    data: str = ""


_RECORDED = msgspec.json.Decoder(_Recorded)


def _of_file(path: Path) -> Iterator[Line]:
    origin = Origin(str(path), "line")
    number = 0
    addresses: dict[str, str] = {}
    address = ""
    with wrapped.opened(path, origin, endings=wrapped.TEXT_ENDINGS) as stream:
        try:
            for number, raw in enumerate(stream, start=1):
                text = raw.strip()
                if not text:
                    continue
                if text.startswith((b"wss://", b"ws://")):
                    address = text.partition(b" ")[0].decode("utf-8", "replace")
                    continue
                try:
                    line = _line(origin.name, number, text, address, addresses)
                except UNREADABLE as error:
                    raise Line(origin.name, number, None, text, address).wrong(error) from error
                if line is not None:
                    yield line
        except wrapped.DAMAGED as error:
            raise origin.whole(
                f"is damaged or cut short after line {number} ({error})", "a complete archive", "fetch the file again"
            ) from error


def _line(file: str, number: int, text: bytes, address: str, addresses: dict[str, str]) -> Line | None:
    """One line as a message; None for the recorder's own remarks."""
    if text[:1].isdigit():
        time, colon, payload = text.partition(b": ")
        if colon and time.replace(b".", b"", 1).isdigit():
            return Line(file, number, _seconds(time), payload, address)
        time, _, payload = text.partition(b" ")
        if time.isdigit() and payload:
            return Line(file, number, nanoseconds(int(time)), payload, address)
    elif text.startswith(b'{"t":"'):
        return _object(file, number, text, addresses)
    elif text[:1] == b"{":
        return Line(file, number, None, text, address)
    elif text.startswith(b"http"):
        url, arrow, rest = text.partition(b" -> ")
        time, colon, payload = rest.partition(b": ")
        if arrow and colon:
            return Line(file, number, _seconds(time), payload, url.decode("utf-8", "replace"))
    elif text.startswith(b"configuration: "):
        return None
    raise Line(file, number, None, text, address).wrong("it begins with no receipt time and is no JSON object")


def _object(file: str, number: int, text: bytes, addresses: dict[str, str]) -> Line | None:
    row = _RECORDED.decode(text)
    if row.addr:
        addresses[row.conn] = row.addr
    if row.t not in ("recv", "http"):
        return None
    receipt = _seconds(bytes(row.ts)) if row.ts else None
    return Line(file, number, receipt, row.data.encode(), row.url or addresses.get(row.conn, ""))


def _seconds(text: bytes) -> int:
    """Seconds with a fraction, exactly: floats would lose the last hundreds of nanoseconds."""
    whole, _, fraction = text.partition(b".")
    if not (whole.isdigit() and (fraction.isdigit() or not fraction) and len(whole) <= 10):
        raise BadTime(f"{text[:30]!r} is no number of seconds since 1970")
    ns = int(whole) * SECOND_NS + int(fraction.ljust(9, b"0")[:9])
    if ns > _LAST_NS:
        raise BadTime(f"{text[:30]!r} lies beyond the year 2116")
    return ns
