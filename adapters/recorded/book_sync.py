"""Joining book snapshots and differences: what every venue's rule has in common.

A venue's rule (`BookSync`) is a few comparisons of update ids and says of each message: apply, old, or gap. `stitched`
walks a recording with it. Until a book is known, differences wait; a snapshot that fits picks those that come after it.
A gap throws the book away until the next snapshot that fits; where none follows, the stream is used as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from core.tape import Gap


class Step(Enum):
    """What to do with a difference."""

    APPLY = "apply"
    OLD = "old"
    """The book has it already: leave it out."""
    GAP = "gap"
    """Something before it is missing: the book is worth nothing until a new snapshot."""


class Ids(NamedTuple):
    """The update ids of one difference."""

    first: int
    last: int
    previous: int = -1
    """Last id of the difference before, where the venue sends it."""


class BookSync(Protocol):
    """A venue's rule. Holds the id its book stands at."""

    def snapshot(self, last_id: int, waiting: Sequence[Ids]) -> list[int] | None:
        """Start from a snapshot: which of the waiting differences come after it. None where it does not fit them."""
        ...

    def update(self, ids: Ids) -> Step:
        """The next difference; on APPLY the book stands at it."""
        ...

    def adopt(self, ids: Ids) -> None:
        """Stand at this difference without having known the book before it."""
        ...

    replaces: bool
    """Whether a snapshot replaces a book that was in order (the venue restarts it) or tells nothing new."""


class InStream:
    """What a rule has where snapshots are messages of the same stream as the differences."""

    replaces = True

    def __init__(self) -> None:
        self.last_id = -1

    def snapshot(self, last_id: int, waiting: Sequence[Ids]) -> list[int] | None:
        """Always fits, and whatever waits came before it."""
        self.last_id = last_id
        return []

    def adopt(self, ids: Ids) -> None:
        self.last_id = ids.last


class Message(NamedTuple):
    """A snapshot (`ids.last` is its id) or a difference, in receipt order."""

    ids: Ids
    is_snapshot: bool
    ts_venue: int
    rows: int


class Stitched(NamedTuple):
    """Which messages make the book, in which order, and received with which."""

    order: list[int]
    """Indexes of messages to apply."""
    known_with: list[int]
    """Index of the message with whose receipt each of them counts: itself, or the snapshot it had to wait for."""
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]


def stitched(messages: Sequence[Message], rule: BookSync) -> Stitched:
    """The book a recording holds."""
    return _Walk(messages, rule).done()


class _Walk:
    def __init__(self, messages: Sequence[Message], rule: BookSync) -> None:
        self.messages = messages
        self.rule = rule
        self.order: list[int] = []
        self.known_with: list[int] = []
        self.waiting: list[int] = []
        self.in_step = False
        self.broken_at: int | None = None
        """Venue time of the last message before the gap; None before the first snapshot."""
        self.gaps: list[Gap] = []
        self.counts = {"early": 0, "dropped": 0, "old": 0, "unneeded": 0, "unfit": 0, "as_is": 0}

    def done(self) -> Stitched:
        for at, message in enumerate(self.messages):
            if message.is_snapshot:
                self._snapshot(at)
            elif not self.in_step:
                self.waiting.append(at)
            else:
                self._difference(at)
        if self.waiting and not self.in_step:
            self._as_it_is()
        return Stitched(self.order, self.known_with, tuple(self.gaps), tuple(self._notes()))

    def _snapshot(self, at: int) -> None:
        if self.in_step and not self.rule.replaces:
            self.counts["unneeded"] += 1
            return
        held = [self.messages[i].ids for i in self.waiting]
        after = self.rule.snapshot(self.messages[at].ids.last, held)
        if after is None:
            self.counts["unfit"] += 1
            return
        kept = [self.waiting[i] for i in after]
        lost = sum(self.messages[i].rows for i in self.waiting) - sum(self.messages[i].rows for i in kept)
        self.counts["dropped" if self.broken_at is not None else "early"] += lost
        if self.broken_at is not None:
            self.gaps.append(Gap(since=self.broken_at, until=self.messages[at].ts_venue, rows=lost))
            self.broken_at = None
        self.order += [at, *kept]
        self.known_with += [at] * (1 + len(kept))
        self.waiting, self.in_step = [], True

    def _difference(self, at: int) -> None:
        step = self.rule.update(self.messages[at].ids)
        if step is Step.OLD:
            self.counts["old"] += 1
        elif step is Step.APPLY:
            self.order.append(at)
            self.known_with.append(at)
        else:
            self.broken_at = self.messages[self.order[-1]].ts_venue
            self.in_step, self.waiting = False, [at]

    def _as_it_is(self) -> None:
        """No snapshot fits what is left: every difference counts, from the first on."""
        for position, at in enumerate(self.waiting):
            message = self.messages[at]
            step = Step.GAP if position == 0 else self.rule.update(message.ids)
            if step is Step.OLD:
                self.counts["old"] += 1
                continue
            if step is Step.GAP:
                if position or self.broken_at is not None:
                    before = self.broken_at if position == 0 else self.messages[self.order[-1]].ts_venue
                    assert before is not None, "a gap has a message before it"
                    self.gaps.append(Gap(since=before, until=message.ts_venue, rows=0))
                self.rule.adopt(message.ids)
            self.counts["as_is"] += 1
            self.order.append(at)
            self.known_with.append(at)

    def _notes(self) -> list[str]:
        counts = self.counts
        notes = []
        if counts["as_is"] and counts["as_is"] == len(self.order):
            notes.append(
                "the recording has no snapshot that fits: the book is built from its differences alone, and levels "
                "that did not change are missing from it"
            )
        elif counts["as_is"]:
            notes.append(
                f"no snapshot follows the last gap: from there {_some(counts['as_is'], 'difference')} used as found"
            )
        if counts["early"]:
            notes.append(f"{_some(counts['early'], 'level change')} before the first snapshot, older than it: left out")
        if self.gaps:
            notes.append(
                f"{_some(len(self.gaps), 'gap')} in the update ids; {_some(counts['dropped'], 'level change')} between "
                "a gap and the snapshot after it left out"
            )
        if counts["old"]:
            notes.append(f"{_some(counts['old'], 'difference')} that came twice or older than the book: left out")
        if counts["unneeded"]:
            notes.append(f"{_some(counts['unneeded'], 'snapshot')} while the book was in order: left out")
        if counts["unfit"]:
            notes.append(
                f"{_some(counts['unfit'], 'snapshot')} that did not fit the differences waiting for one: left out"
            )
        return notes


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
