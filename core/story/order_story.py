"""Everything a run's folder tells about one order, gathered from its journal.

Two passes: the first finds out which order is meant (an id, its end, a tag, a fill), the second keeps what concerns it.
A journal that is cut off or damaged gives what can be read, and a note that says so.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from core import journal
from core.errors import DataError, UsageError
from core.plain_text import iso
from core.saved_run import JOURNAL

Record = dict[str, Any]
"""A journal record as it was written: `event`, `ts` and the event's own fields; decimals are text."""

COMMANDS = {"SubmitOrder": "submit", "CancelOrder": "cancel", "AmendOrder": "amend"}
ANSWERS = {
    "submit": ("OrderAccepted", "OrderRejected"),
    "cancel": ("OrderCanceled", "CancelRejected"),
    "amend": ("OrderAmended", "AmendRejected"),
}
"""What the venue says to a request."""
COMPARED = ("type", "qty", "price", "trigger_price", "tif")
"""By what signals of one side and tag are told apart."""
NEAREST_MAX = 5_000
"""Names compared with an unknown one: more would take seconds."""
SHOWN_MAX = 5


class Step(NamedTuple):
    """One record of the order's life and the signal that was behind it, where one was."""

    record: Record
    signal: Record | None


class Leg(NamedTuple):
    """One request and its answer: how long it took to the venue and back."""

    request: str
    """submit, cancel or amend."""
    sent: int
    at_venue: int | None
    """Int nanoseconds UTC; None where no venue was reached."""
    heard: int


class Story(NamedTuple):
    """What a run's folder knows of one order."""

    run: str
    order_id: str
    terms: Record
    """As submitted; of an order that was denied, what `orders.csv` has of it."""
    steps: list[Step]
    legs: list[Leg]
    tapes: dict[str, str]
    """Tape id to `venue/symbol/kind`."""
    notes: list[str]
    """What must be known beside it: a damaged journal, a tag that names several orders."""

    @property
    def fills(self) -> list[Record]:
        return [step.record for step in self.steps if step.record["event"] == "OrderFilled"]

    def tape_of(self, cause: str) -> tuple[str | None, str | None]:
        """(`venue/symbol/kind`, kind) of the tape a fill names; None, None where it is none of the run's."""
        for tape_id, name in self.tapes.items():
            if cause and tape_id.startswith(cause):
                return name, name.rpartition("/")[2]
        return None, None


def read_story(folder: Path, wanted: str) -> Story:
    """The story of the order that `wanted` means: an id, its unique beginning or last number, a tag, a fill id.

    Raises UsageError where no order or more than one is meant, DataError where there is no journal to read.
    """
    names = _Names()
    reading = _Reading(folder)
    for record in reading:
        names.hear(record)
    written = _orders_csv(folder) if names.denied else {}
    for denied in names.denied:  # it was never submitted: the table alone knows its tag
        names.tags[denied] = written.get(denied, {}).get("tag")
    order_id, remark = names.meant(wanted)
    life = _Life(order_id)
    for record in _Reading(folder):
        life.hear(record)
    notes = [*reading.notes, *([remark] if remark else [])]
    terms = life.terms
    if terms is None:
        terms = written.get(order_id, {})
        if not terms:
            notes.append("its terms are not known: it was never submitted, and there is no orders.csv that has it")
        life.find_signal(terms)
    return Story(reading.run or folder.name, order_id, terms, life.steps, life.legs, reading.tapes, notes)


class _Reading:
    """The records of a folder's journal, as far as they can be read; what is wrong with it stands in `notes`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.notes: list[str] = []
        self.run = ""
        self.tapes: dict[str, str] = {}

    def __iter__(self) -> Iterator[Record]:
        path, last, ended = self._folder / JOURNAL, None, False
        if not path.is_file():
            raise DataError(f"{path} is not there: the run ended before it could tell anything")
        try:
            for record in journal.read(path):
                if record["event"] == "head":
                    self.run, self.tapes = record["run"], {t: name for name, t in record["tapes"].items()}
                elif "ts" in record:
                    last = record["ts"]
                    ended = record["event"] == "RunEnded"
                yield record
        except DataError as error:
            if last is None:
                raise
            self.notes.append(f"the journal is damaged ({error}) after {iso(last)}: what follows is missing here")
            return
        if not ended:
            until = "its beginning" if last is None else iso(last)
            status = _status(self._folder)
            self.notes.append(f"the journal has no end: its last record is of {until} (the run is {status})")


class _Names:
    """Every order of a run and what it may be called."""

    def __init__(self) -> None:
        self.tags: dict[str, str | None] = {}
        """Order id to tag, in order of placement."""
        self.denied: list[str] = []
        self._fills: dict[str, str] = {}

    def hear(self, record: Record) -> None:
        order_id = record.get("order_id")
        if order_id is None:
            return
        if record["event"] == "SubmitOrder":
            self.tags[order_id] = record["order"].get("tag")
        elif record["event"] == "OrderFilled":
            self._fills[record["fill_id"]] = order_id
        elif record["event"] == "OrderDenied":
            self.denied.append(order_id)
        self.tags.setdefault(order_id, None)

    def meant(self, wanted: str) -> tuple[str, str]:
        """The order's id, and a remark where more could have been meant. Raises UsageError."""
        if wanted in self.tags:
            return wanted, ""
        if wanted in self._fills:
            return self._fills[wanted], ""
        tagged = [order_id for order_id, tag in self.tags.items() if tag == wanted]
        if len(tagged) == 1:
            return tagged[0], ""
        if tagged:
            return tagged[-1], f"tag {wanted} named {len(tagged):,} orders, {tagged[0]} first; this is the last of them"
        found = [order_id for order_id in self.tags if order_id.startswith(wanted)] if wanted else []
        numbered = [order_id for order_id in self.tags if order_id.rpartition("-")[2] == wanted]
        if len(found) != 1 and len(numbered) == 1:
            found = numbered
        if len(found) == 1:
            return found[0], ""
        if found:
            some = ", ".join(found[:SHOWN_MAX])
            raise UsageError(f"{wanted!r} is the beginning of {len(found):,} orders ({some}, …): give more of the id")
        raise UsageError(self._unknown(wanted))

    def _unknown(self, wanted: str) -> str:
        if not self.tags:
            return f"there is no order {wanted!r}: this run has no order at all"
        tags = dict.fromkeys(tag for tag in self.tags.values() if tag is not None)
        names = [*tags, *list(self.tags)[-NEAREST_MAX:], *list(self._fills)[-NEAREST_MAX:]]
        near = difflib.get_close_matches(wanted, names, 3, 0.5)
        ids = list(self.tags)
        known = f"this run has {len(ids):,} order{'s' if len(ids) > 1 else ''}, {ids[0]} to {ids[-1]}"
        hint = f"did you mean {' or '.join(f'`{name}`' for name in near)}? " if near else ""
        return f"there is no order, tag or fill {wanted!r}: {hint}{known}; orders.csv lists them"


class _Life:
    """One order's records, in the order in which they came."""

    def __init__(self, order_id: str) -> None:
        self._id = order_id
        self.steps: list[Step] = []
        self.legs: list[Leg] = []
        self.terms: Record | None = None
        self._now = -1
        self._signals: list[Record] = []
        """Of the moment in hand."""
        self._at_birth: list[Record] = []
        """Of the moment in which the order was made."""
        self._open: dict[str, int] = {}
        """Requests under way: what was asked, and when it was sent."""

    def hear(self, record: Record) -> None:
        if record.get("ts", self._now) != self._now:
            self._now = record["ts"]
            self._signals = []
        if record["event"] == "Signal":
            self._signals.append(record)
        if record.get("order_id") != self._id:
            return
        event = record["event"]
        if not self.steps:
            self._at_birth = list(self._signals)
        signal = None
        if event == "SubmitOrder":
            self.terms = record["order"]
            signal = _behind(self._signals, record, self.terms)
        elif event in ("CancelOrder", "AmendOrder"):
            signal = _behind(self._signals, record, self.terms or {}, changes=True)
        self.steps.append(Step(record, signal))
        self._time(event, record)

    def find_signal(self, terms: Record) -> None:
        """Of an order that was denied: its terms are known only now."""
        if self.steps:
            first = self.steps[0].record
            self.steps[0] = Step(first, _behind(self._at_birth, first, terms))

    def _time(self, event: str, record: Record) -> None:
        if event in COMMANDS:
            self._open[COMMANDS[event]] = record["ts"]
            return
        for request, answers in ANSWERS.items():
            if event in answers and request in self._open:
                self.legs.append(Leg(request, self._open.pop(request), record["ts_venue"], record["ts"]))


def _behind(signals: list[Record], record: Record, terms: Record, *, changes: bool = False) -> Record | None:
    """The signal of this moment that asked for it: the one that says most of the same; None where none can be.

    A signal carries no order id, as it may become several orders or none; side, tag, type, size and price tell.
    """
    own = [s for s in signals if (s["strategy"], s.get("venue"), s.get("symbol")) == _owner(record)]
    if changes:
        named = [s for s in own if (s.get("cancel") or s.get("amend")) in (terms.get("tag"), terms.get("id"), True)]
        return next(iter(named or [s for s in own if "target" in s or s.get("close")]), None)
    same = [s for s in own if s.get("side") == terms.get("side") and s.get("tag") == (terms.get("tag") or None)]
    if same:
        return max(same, key=lambda s: sum(_equal(s.get(name), terms.get(name)) for name in COMPARED))
    return next((s for s in own if "target" in s or s.get("close")), None)


def _equal(one: str | None, other: str | None) -> bool:
    """Whether two texts are the same word or the same number; `0.01` is `0.010`."""
    try:
        return one == other or (one is not None and other is not None and Decimal(one) == Decimal(other))
    except InvalidOperation:
        return False


def _owner(record: Record) -> tuple[str, str, str]:
    return record["strategy"], record["venue"], record["symbol"]


def _orders_csv(folder: Path) -> dict[str, Record]:
    """Rows of `orders.csv` by id, without their empty cells; nothing where the run did not come to write it."""
    path = folder / "orders.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["order_id"]: {k: v for k, v in row.items() if v} for row in csv.DictReader(stream)}


def _status(folder: Path) -> str:
    """What the manifest says of the run's end."""
    try:
        return str(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["status"])
    except (OSError, ValueError, KeyError) as error:
        return f"of unknown status: its manifest cannot be read ({error})"
