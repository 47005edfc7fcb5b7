"""The journal: what is written comes back, a torn end is tolerated, damage is not, and what the digest covers."""

from __future__ import annotations

import hashlib
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core import journal as journal_module
from core.commands import SubmitOrder
from core.compose import compose
from core.errors import DataError, StrategyError
from core.events import (
    ACCOUNT_EVENTS,
    ORDER_EVENTS,
    BalanceChanged,
    Event,
    OrderAccepted,
    OrderFilled,
    OrderSubmitted,
    PositionChanged,
    Signal,
    TimerFired,
)
from core.journal import Journal, read, segment_path
from core.orders import OrderTerms
from tiny_run import Script, flat, plan_of, run_of

D = Decimal
COUNTED = (*ORDER_EVENTS, *ACCOUNT_EVENTS)
KEYS = (5, 5, "v", "X", "net", "s", "main")
ORDER = [
    OrderSubmitted(*KEYS, "o-1"),
    OrderAccepted(*KEYS, "o-1", "v1"),
    OrderFilled(*KEYS, "o-1", "f1", "buy", D("100.10"), D("0.5"), "maker", "bar", D("-0.00000001"), "USDT", D("100.1"),
                D(0), "tape", 3, 4),
    PositionChanged(*KEYS, D("0.5"), D("50.05"), D(0)),
    BalanceChanged(*KEYS, "USDT", D("0.00000001"), D("1000.00000001"), "fill"),
]  # fmt: skip
OTHER: list[Event] = [
    Signal(ts=5, strategy="s", venue="v", symbol="X", side="buy", qty=D("0.5")),
    TimerFired(6, "together", "s"),
    SubmitOrder(5, "v", "X", "net", "s", "main", "o-1",
                OrderTerms("o-1", "v", "X", "net", "s", "main", "buy", "market", D("0.5"))),
]  # fmt: skip


def written(path: Path, events: list[Any], **more: Any) -> Journal:
    journal = Journal(path, counted=COUNTED, **more)
    for event in events:
        journal.on_batch(event)
    journal.close()
    return journal


def test_records_come_back_as_they_were_head_first(tmp_path: Path) -> None:
    """Decimals to the digit: 100.10 is not 100.1."""
    path = tmp_path / "journal.msgpack"
    written(path, [*OTHER, *ORDER], head={"run": "x", "tapes": {"a": "b"}})
    records = list(read(path))
    assert records[0] == {"event": "head", "run": "x", "tapes": {"a": "b"}}
    assert [record["event"] for record in records[1:]] == [type(e).__name__ for e in (*OTHER, *ORDER)]
    back = [msgspec.convert(record, type(e)) for record, e in zip(records[1:], (*OTHER, *ORDER), strict=True)]
    assert back == [*OTHER, *ORDER]
    fill = back[5]
    assert isinstance(fill, OrderFilled) and str(fill.price) == "100.10"


def test_what_was_handed_over_is_in_the_file_while_the_run_goes_on(tmp_path: Path) -> None:
    """So a run that is killed leaves a journal: its head from the beginning on."""
    journal = Journal(tmp_path / "j", counted=COUNTED, head={"run": "x"})
    patience = time.monotonic() + 10
    while not (tmp_path / "j").stat().st_size and time.monotonic() < patience:
        pass  # the writer is a thread of its own
    assert [record["event"] for record in read(tmp_path / "j")] == ["head"]
    journal.close()


def test_the_digest_covers_exactly_the_order_and_account_events_in_order(tmp_path: Path) -> None:
    """sha256 over their msgpack, one after the other; signals, commands and timers do not count."""
    encoded = b"".join(msgspec.msgpack.encode(event) for event in ORDER)
    expected = hashlib.sha256(encoded).hexdigest()
    for events in (ORDER, [*OTHER, *ORDER], [ORDER[0], *OTHER, *ORDER[1:]]):
        journal = written(tmp_path / "j", events)
        assert (journal.events_sha256, journal.events) == (expected, len(ORDER))
    assert written(tmp_path / "j", [*ORDER[1:], ORDER[0]]).events_sha256 != expected
    assert written(tmp_path / "j", ORDER[:-1]).events_sha256 != expected
    one_digit = msgspec.structs.replace(ORDER[2], price=D("100.11"))
    assert written(tmp_path / "j", [*ORDER[:2], one_digit, *ORDER[3:]]).events_sha256 != expected


async def test_a_runs_digest_covers_its_account_events_too() -> None:
    """sha256 over what was heard, order and account events in order; one balance a digit off gives another."""
    done = await run_of(plan_of({"X": flat("100", "100")}), kinds=COUNTED, s=Script({"side": "buy", "qty": 1}))
    (balance,) = done.of(BalanceChanged)
    altered = [msgspec.structs.replace(e, total=e.total + D("1e-8")) if e is balance else e for e in done.events]
    heard, other = (
        hashlib.sha256(b"".join(map(msgspec.msgpack.encode, events))).hexdigest() for events in (done.events, altered)
    )
    assert done.run.journal.events_sha256 == heard != other


def test_the_digest_is_the_same_without_a_file_and_in_batches_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [*ORDER, *OTHER] * 7
    digests = set()
    for batch in (1, 3, 10_000):
        monkeypatch.setattr(journal_module, "BATCH", batch)
        digests.add(written(tmp_path / "j", events).events_sha256)
        quiet = Journal(counted=COUNTED)
        for event in events:
            quiet.collect(event)
        digests.add(quiet.events_sha256)
    assert len(digests) == 1


def test_cut_at_every_byte_the_whole_records_before_the_cut_come_back(tmp_path: Path) -> None:
    """A crash while writing leaves a torn tail: no error, no half record, and nothing before it is lost."""
    path, cut = tmp_path / "j", tmp_path / "cut"
    written(path, ORDER)
    data = path.read_bytes()
    whole = list(read(path))
    sizes = [8 + len(msgspec.msgpack.encode(event)) for event in ORDER]
    head = len(data) - sum(sizes)
    for length in range(head, len(data) + 1):
        cut.write_bytes(data[:length])
        complete = 0
        while complete < len(sizes) and head + sum(sizes[: complete + 1]) <= length:
            complete += 1
        assert list(read(cut)) == whole[:complete], length
    for length in range(head):
        cut.write_bytes(data[:length])
        with pytest.raises(DataError, match="not a journal of this program"):
            list(read(cut))


def test_a_changed_byte_anywhere_never_gives_a_record_that_was_not_written(tmp_path: Path) -> None:
    """What comes back is a beginning of what was written; damage to a record's own bytes before the end is an error."""
    path, bad = tmp_path / "j", tmp_path / "bad"
    written(path, ORDER)
    data = path.read_bytes()
    whole = list(read(path))
    last = len(data) - len(msgspec.msgpack.encode(ORDER[-1])) - 8
    starts, at = [], len(data) - sum(8 + len(msgspec.msgpack.encode(e)) for e in ORDER)
    for event in ORDER:
        starts.append(at)
        at += 8 + len(msgspec.msgpack.encode(event))
    lengths = {start + i for start in starts for i in range(4)}
    for place in range(starts[0], len(data)):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :])
        records = []
        raised = False
        try:
            for record in read(bad):
                records.append(record)
        except DataError as error:
            raised = True
            assert f"damaged at byte {max(s for s in starts if s <= place)}" in str(error)
        assert records == whole[: len(records)] and len(records) < len(whole), place
        assert raised or place >= last or place in lengths, place


def test_a_length_that_points_past_the_end_is_damage_when_whole_records_follow_it(tmp_path: Path) -> None:
    """A flipped bit in the first record's length must not look like a torn tail: nothing would be read, in silence."""
    path = tmp_path / "j"
    written(path, ORDER)
    data = bytearray(path.read_bytes())
    first = len(data) - sum(8 + len(msgspec.msgpack.encode(e)) for e in ORDER)
    data[first + 2] ^= 0x01  # 65536 bytes longer than it is
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=f"damaged at byte {first}"):
        list(read(path))


def test_a_missing_file_and_one_of_another_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: cannot read the journal"):
        list(read(tmp_path / "nowhere"))
    (tmp_path / "other").write_text("hello")
    with pytest.raises(DataError, match="not a journal of this program"):
        list(read(tmp_path / "other"))


def test_a_segment_that_is_full_is_followed_by_one_that_opens_with_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_MAXIMUM", 600)
    monkeypatch.setattr(journal_module, "BATCH", 1)
    path = tmp_path / "journal.msgpack"
    written(path, ORDER * 4, snapshot=lambda: {"count": 1})
    assert segment_path(path, 2) == tmp_path / "journal-002.msgpack"
    assert segment_path(path, 2).exists()
    records = list(read(path))
    assert [r["event"] for r in records if r["event"] != "snapshot"] == [type(e).__name__ for e in ORDER * 4]
    assert next(iter(read(segment_path(path, 2))))["event"] == "snapshot"


def test_closing_leaves_no_thread_behind_and_twice_is_once(tmp_path: Path) -> None:
    before = threading.active_count()
    journal = Journal(tmp_path / "j", counted=COUNTED)
    journal.on_batch(ORDER[0])
    journal.close()
    journal.close()
    assert threading.active_count() == before


def test_a_folder_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write .*gone.*No such file or directory"):
        Journal(tmp_path / "gone" / "j", counted=COUNTED)


def test_a_full_disk_is_one_error_that_names_the_file_and_the_digest_is_whole_all_the_same(tmp_path: Path) -> None:
    """`/dev/full` answers every write as a full disk does. No thread stays behind."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    before = threading.active_count()
    (tmp_path / "j").symlink_to("/dev/full")
    journal = Journal(tmp_path / "j", counted=COUNTED)
    for event in ORDER:
        journal.on_batch(event)
    with pytest.raises(DataError, match=r"cannot write .*/j: No space left on device"):
        journal.close()
    encoded = b"".join(msgspec.msgpack.encode(event) for event in ORDER)
    assert journal.events_sha256 == hashlib.sha256(encoded).hexdigest()
    assert threading.active_count() == before


async def test_a_run_that_fails_leaves_a_whole_journal(tmp_path: Path) -> None:
    """Everything heard before the error is there, commands before the order events they caused."""

    def fail(market: Any, state: Any) -> None:
        raise ValueError("mine")

    path = tmp_path / "j"
    script = Script({"side": "buy", "qty": 1}, None, fail)
    with pytest.raises(StrategyError, match="mine"):
        async with compose(
            plan_of({"X": flat("100", "100", "100")}), strategies={"s": script}, journal_path=path
        ) as one:
            await one.run()
    kinds = [record["event"] for record in read(path)]
    assert kinds[:2] == ["head", "RunStarted"] and "StrategyFailed" in kinds
    own = [k for k in kinds if k in ("Signal", "SubmitOrder", "OrderSubmitted", "OrderAccepted", "OrderFilled")]
    assert own == ["Signal", "SubmitOrder", "OrderSubmitted", "OrderAccepted", "OrderFilled"]


async def test_a_snapshot_of_a_run_holds_its_books_and_open_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments of nothing: a snapshot opens each one, and says what the ledger said then."""
    monkeypatch.setattr("core.journal.SEGMENT_MAXIMUM", 0)
    monkeypatch.setattr("core.journal.BATCH", 1)
    path = tmp_path / "j"
    script = Script({"side": "buy", "qty": 1}, {"side": "buy", "qty": 2, "price": "50"})
    plan = plan_of({"X": flat("100", "100", "100", "100")})
    async with compose(plan, strategies={"s": script}, journal_path=path) as one:
        await one.run()
    last = [record for record in read(path) if record["event"] == "snapshot"][-1]
    assert [(b["symbol"], float(b["qty"]), float(b["cost"])) for b in last["books"]] == [("X", 1.0, 100.0)]
    orders = [(float(o["terms"]["price"]), float(o["qty"]), float(o["filled"])) for o in last["orders"]]
    assert orders == [(50.0, 2.0, 0.0)]
    assert [asset for _, asset, _ in last["balances"]] == ["USDT"]


async def test_a_snapshot_of_a_run_holds_what_is_kept_for_the_venue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bracket around 1 bought at 100, an iceberg of 2 of which 0.5 shows, a group of two, a trailing stop 5 away."""
    monkeypatch.setattr("core.journal.SEGMENT_MAXIMUM", 0)
    monkeypatch.setattr("core.journal.BATCH", 1)
    script = Script(
        {"side": "buy", "qty": 1, "stop_loss": 90, "take_profit": 120, "tag": "entry"},
        [
            {"side": "buy", "qty": 2, "price": 50, "iceberg": 0.5, "tag": "ice"},
            {"side": "buy", "qty": 1, "price": 40, "oco": "pair", "tag": "left"},
            {"side": "buy", "qty": 1, "price": 30, "oco": "pair", "tag": "right"},
            {"side": "sell", "qty": 1, "type": "trailing_stop_market", "trail_distance": 5, "reduce_only": True},
        ],
        None,
        None,
        {"side": "buy", "qty": 1, "price": 20},
    )
    path = tmp_path / "j"
    plan = plan_of({"X": flat("100", "100", "102", "102", "102", "102")}, venue="bybit-linear")
    async with compose(plan, strategies={"s": script}, journal_path=path) as one:
        await one.run()
    last = [record for record in read(path) if record["event"] == "snapshot"][-1]
    by_id = {order["terms"]["id"]: order["terms"] for order in last["orders"]}
    (bracket,) = last["brackets"]
    assert [float(bracket[name]) for name in ("entered", "value", "closed")] == [1.0, 100.0, 0.0]
    assert [(by_id[leg["order"]]["tag"], float(leg["price"])) for leg in bracket["legs"]] == [
        ("entry.stop", 90.0), ("entry.target", 120.0),
    ]  # fmt: skip
    ((shown, iceberg),) = last["icebergs"].items()
    assert (by_id[shown]["tag"], float(by_id[shown]["qty"]), float(iceberg["hidden"])) == ("ice", 0.5, 1.5)
    (group,) = last["groups"]
    assert [by_id[order_id]["tag"] for order_id in group["orders"]] == ["left", "right"]
    assert (group["key"][3], group["first"]) == ("pair", "")
    ((stop, trailing),) = last["trailing"].items()
    assert (float(by_id[stop]["trigger_price"]), float(trailing["best"])) == (97.0, 102.0)
    assert (last["closing"], last["amendments"]) == ([], {})
