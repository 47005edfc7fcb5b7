"""Maintenance brackets as a venue told them: asked once, kept with the time of the answer, read again offline.

`<cache>/brackets/<venue>/<symbol>/<time told, ms>.<sha256, 16 digits>.json`, one answer a file. A file is never
changed: an answer that differs from the newest becomes the next one, so that whoever asks now and then has a history.
What does not match its name is set aside as `.quarantine`, told, and asked for again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import chain, pairwise
from pathlib import Path
from typing import Protocol

import msgspec

from adapters.cache import QUARANTINE, safe_name
from adapters.columns import stamp
from adapters.http import Sleep
from adapters.remote_source import Line, RemoteHost
from core.atomic_file import write_atomically
from core.errors import DataError, VenueError
from core.exact import ZERO
from core.margin import DatedTiers
from core.moments import MS_NS
from core.ports import BracketSource, ToldBrackets

FOLDER = "brackets"
"""Under the cache's root."""
ANSWERS = "[0-9]*.*.json"


class TellsTiers(Protocol):
    """The door of a venue that tells the maintenance tiers of its contracts."""

    async def tiers(self, symbol: str) -> DatedTiers:
        """Those of now, with the venue's time. Raises VenueError."""
        ...


Desk = Callable[[], AbstractAsyncContextManager[TellsTiers]]
"""Opens the door for as long as something is asked. Raises UsageError where a key is named that is not there."""


class RemoteBrackets(RemoteHost, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of brackets that are asked of a venue."""

    def open(self, *, venue: str, cache: Path, seed: int = 0, sleep: Sleep = asyncio.sleep) -> BracketSource:
        """The brackets of the contracts of `venue`, by the name of its rules. Raises UsageError where it has none."""
        return self.kept(venue, cache / FOLDER, Line(seed=seed, sleep=sleep))

    def kept(self, venue: str, folder: Path, line: Line) -> KeptBrackets:
        """As `open`; what is under `folder` is read, the rest asked through `line`."""
        raise NotImplementedError


class KeptBrackets:
    """A `BracketSource` of one venue."""

    def __init__(self, name: str, folder: Path, desk: Desk | None, why_not: str = "") -> None:
        """`name` is the key of what is kept. Without a `desk` nothing is asked, and `why_not` says why."""
        self.name = name
        self.folder = folder / safe_name(name)
        self._desk = desk
        self._why_not = why_not

    async def load(self, symbols: Sequence[str], *, anew: bool = False) -> ToldBrackets:
        """See `BracketSource.load`."""
        notes: list[str] = []
        tiers = {symbol: self._read(symbol, notes) for symbol in symbols}
        wanted = [symbol for symbol in symbols if anew or not tiers[symbol]]
        if wanted and self._desk is not None:
            async with self._desk() as venue:
                for symbol in wanted:
                    self._keep(symbol, tiers[symbol], _checked(self.name, symbol, await venue.tiers(symbol)))
        elif wanted:
            notes.append(f"{', '.join(wanted)}: {self._why_not}")
        return ToldBrackets({symbol: rows for symbol, rows in tiers.items() if rows}, notes)

    def _read(self, symbol: str, notes: list[str]) -> list[DatedTiers]:
        """What is kept of a symbol, oldest first."""
        found = []
        for path in sorted((self.folder / safe_name(symbol)).glob(ANSWERS)):
            answer = answer_of(path)
            if isinstance(answer, DatedTiers):
                found.append(answer)
            else:
                notes.append(set_aside(path, answer))
        return sorted(found, key=lambda told: told.since)

    def _keep(self, symbol: str, kept: list[DatedTiers], told: DatedTiers) -> None:
        """Add an answer to what is kept, unless it says what the newest says. Raises DataError where it cannot be."""
        if kept and msgspec.structs.replace(told, since=kept[-1].since) == kept[-1]:
            return
        raw = msgspec.json.encode(told)
        folder = self.folder / safe_name(symbol)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror or error}; choose another `run.cache`") from error
        write_atomically(folder / f"{told.since // MS_NS}.{hashlib.sha256(raw).hexdigest()[:16]}.json", [raw])
        kept.append(told)


def answers(cache: Path) -> list[Path]:
    """The files of every answer kept below a cache's root, in order of names."""
    return sorted((cache / FOLDER).glob(f"*/*/{ANSWERS}"))


def answer_of(path: Path) -> DatedTiers | str:
    """What a file says, or what is wrong with it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if hashlib.sha256(raw).hexdigest()[:16] != path.name.split(".")[1]:
        return "has another sha256 than its name says"
    try:
        return msgspec.json.decode(raw, type=DatedTiers)
    except msgspec.MsgspecError as error:
        return f"is not what this version writes ({error})"


def set_aside(path: Path, wrong: str) -> str:
    """Rename a file that cannot be believed; what happened, in one sentence. Raises DataError where it cannot be."""
    aside = path.with_name(path.name + QUARANTINE)
    try:
        path.replace(aside)
    except OSError as error:
        raise DataError(
            f"cache file {path} {wrong}, and cannot be set aside ({error.strerror}); remove it by hand"
        ) from error
    return f"cache file {path} {wrong}: renamed to {aside.name}, the venue is asked again when it is needed"


def _checked(name: str, symbol: str, told: DatedTiers) -> DatedTiers:
    """Tiers that can be: floors rise from 0, rates are fractions, everything is a number. Raises VenueError."""
    rates = [(tier.mmr, tier.max_leverage, tier.cum or ZERO) for tier in told.tiers]
    ends = [*(tier.floor for tier in told.tiers), *([] if told.known_to is None else [told.known_to])]
    if not rates:
        wrong = "there are none"
    elif not all(number.is_finite() for number in (*ends, *chain.from_iterable(rates))):
        wrong = "a number in them is none"
    elif ends[0] != 0 or any(upper <= lower for lower, upper in pairwise(ends)):
        wrong = "their floors do not rise from 0"
    elif not all(0 <= mmr <= 1 <= leverage and cum >= 0 for mmr, leverage, cum in rates):
        wrong = "a rate is no fraction, a leverage below 1 or an amount below 0"
    else:
        return told
    raise VenueError(f"{name}: the brackets of {symbol} told at {stamp(told.since)} cannot be: {wrong}; report it")
