"""`explain`: an order's whole story from the journal of its run, on bars and on books. Numbers are done by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command_line import CommandLine
from core.errors import UsageError
from core.journal import HEAD, MAGIC
from core.story.explain import explain, explain_json
from core.story.fill_words import CANCELED, EXPIRED, RULES, WALK, rule_words
from core.tape import LAST, SNAPSHOT
from sim.backtester import Backtester
from sim.scenarios.words import CANCEL_REASONS, EXPIRE_REASONS
from sim.scenarios.words import RULES as FILL_RULES
from tick_run import depth, tick_plan, ticks
from tiny_run import START, Script, flat, plan_of

SLOW = (
    "{latency: {kind: constant, entry_ms: 1000, response_ms: 500}, spread: {kind: none}, impact: {kind: none}, "
    "fees: {maker: '0.0002', taker: '0.0005'}}"
)
QUEUED = (
    "{latency: {kind: constant, entry_ms: 4, response_ms: 3}, impact: {kind: none}, queue: {kind: risk_averse}, "
    "fees: {maker: '0.0002', taker: '0.0005'}, rate_limits: {kind: none}}"
)
BAR = ("100", "104", "99", "103", "900")
"""Path 100, 99, 104, 103 in legs of 20 s: below 99.5 from 10 s to 22 s, for 1.0 of its length of 7."""


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def folder_of(plan: Any, **strategies: Any) -> Path:
    result = Backtester(plan, strategies=strategies, save=True).run()
    assert result.run_folder is not None
    return result.run_folder


def on_bars(*answers: Any, rows: Any = None, **more: Any) -> Path:
    """A run whose first call comes with the close of the first bar; the second bar is BAR."""
    plan = plan_of({"X": [*flat("100"), *(rows or [BAR])]}, simulation=SLOW, **more)
    return folder_of(plan, s=Script(*answers))


def on_a_book(answer: Any, *prints: tuple[float, str, str, str]) -> Path:
    """Bid 5 at 99.90, ask 5 at 100.00; the first print (at 10 ms) calls the strategy, the last is at 90 ms."""
    book = depth((0, "bid", "99.90", "5", SNAPSHOT), (0, "ask", "100.00", "5", SNAPSHOT | LAST))
    rows = [(10, "100.00", "1", "buy"), *prints, (90, "100.00", "0.1", "buy")]
    tape = ticks("trades", [{"at": a, "price": p, "size": q, "side": s, "flags": 0} for a, p, q, s in rows])
    plan = tick_plan(book, tape, strategy="s, hears: [trades]", simulation=QUEUED)
    return folder_of(plan, s=Script(answer))


def story(folder: Path, wanted: str) -> dict[str, Any]:
    return dict(json.loads(explain_json(folder, wanted)))


def squeezed(text: str) -> str:
    """Without the line breaks of the layout."""
    return " ".join(text.split())


# --- bars -----------------------------------------------------------------------------------------------------------


def test_a_fill_on_bars_tells_its_rule_its_row_and_its_moment_at_the_venue() -> None:
    """0.1 x 900 x 1.0 / 7 = 12.857 at 10 s into the second bar, heard 0.5 s later; fee 12.857 x 99.5 x 0.0002."""
    folder = on_bars({"side": "buy", "qty": 20, "price": "99.5", "tag": "dip"})
    text = squeezed(explain(folder, "dip"))
    assert "buy 20.000 X limit at 99.5, by s on binance-usdm, session main, tag dip" in text
    assert "wanted by s: buy qty 20, price 99.5, tag dip" in text
    assert "filled: 12.857 at 99.5 as maker, 7.143 left" in text
    assert f"at the venue 2025-01-01T00:01:10.000000000Z ({START + 70_000_000_000}), 500 ms before we heard" in text
    assert f"rule bar: {RULES['bar']}" in text
    assert f"inside the bar that opened at 2025-01-01T00:01:00.000000000Z ({START + 60_000_000_000}): row 1" in text
    assert "binance-usdm/X/bars" in text
    assert "reference price 99.5, slippage 0" in text
    assert "fee 0.25585430 USDT" in text
    assert "still open when the run ended, 12.857 of it filled" in text
    assert "submit: 1000 ms to the venue, 500 ms back" in text


def test_a_taker_on_bars_tells_what_it_paid_against_the_reference() -> None:
    """Half a spread of 10 bp on the open 100: 100.1 paid; 0.1 x 2 = 0.2 slippage, 10 bp."""
    simulation = "{latency: {kind: none}, spread: {half_bps: '10'}, impact: {kind: none}, fees: {taker: '0'}}"
    plan = plan_of({"X": [*flat("100"), BAR]}, simulation=simulation)
    told = story(folder_of(plan, s=Script({"side": "buy", "qty": 2})), "1")
    (fill,) = [step for step in told["steps"] if step["event"] == "OrderFilled"]
    assert (fill["price"], fill["reference"], fill["slippage"]) == ("100.1", "100.0", "0.2000")
    assert fill["slippage_bps"] == 10.0
    assert "bar's path when it arrived" in fill["rule_words"]
    assert told["outcome"]["slippage"] == "0.2000"
    assert told["outcome"]["ended"].startswith("filled whole at 2025-01-01T00:01:00")


def test_amends_and_a_cancel_are_told_with_the_signals_that_wanted_them_and_their_legs() -> None:
    """Each request takes 1 s to the venue and 0.5 s back."""
    rows = flat("100", "100", "100", "100")
    wish = {"side": "buy", "qty": 1, "price": "90", "tag": "low"}
    folder = on_bars(wish, {"amend": "low", "price": "91", "qty": 2}, {"cancel": "low"}, rows=rows)
    told, text = story(folder, "low"), squeezed(explain(folder, "low"))
    assert [step["event"] for step in told["steps"]] == [
        "SubmitOrder", "OrderSubmitted", "OrderAccepted", "AmendOrder", "OrderAmended", "CancelOrder", "OrderCanceled",
    ]  # fmt: skip
    wanted = {step["event"]: step["signal"] for step in told["steps"] if "signal" in step}
    assert wanted["SubmitOrder"]["side"] == "buy"
    assert wanted["AmendOrder"]["amend"] == wanted["CancelOrder"]["cancel"] == "low"
    assert [(leg["request"], leg["to_venue_ns"], leg["back_ns"]) for leg in told["legs"]] == [
        (request, 1_000_000_000, 500_000_000) for request in ("submit", "amend", "cancel")
    ]
    assert "amended: price 91.0, quantity 2.000 in all" in text
    assert f"canceled: request: {CANCELED['request']}" in text
    assert "nothing of it filled" in text


def test_an_order_made_of_a_target_names_the_target() -> None:
    told = story(on_bars({"target": 1}), "1")
    assert told["steps"][0]["signal"]["target"] == "1"


def test_of_two_wishes_at_one_moment_each_order_names_its_own() -> None:
    wishes = [{"side": "buy", "qty": 1, "price": "95"}, {"side": "buy", "qty": 1, "price": "96"}]
    folder = on_bars(wishes)
    assert [story(folder, n)["steps"][0]["signal"]["price"] for n in ("1", "2")] == ["95", "96"]


def test_a_denied_order_tells_the_reason_of_our_own_checks_and_what_was_wanted() -> None:
    folder = on_bars({"side": "buy", "qty": 20, "tag": "big"}, risk="{max_order_notional: '1000'}")
    text = squeezed(explain(folder, "big"))
    assert "buy 20.000 X market, by s" in text
    assert "wanted by s: buy qty 20, tag big" in text
    assert "denied by our own checks: " in text
    assert "1000" in text
    assert story(folder, "big")["legs"] == []


# --- books ----------------------------------------------------------------------------------------------------------


def test_fills_of_a_queue_tell_what_stood_ahead_and_which_print_reached_them() -> None:
    """F4: 5 ahead at arrival (14 ms); 4 print: 1 ahead; 1.5 print: 0.5 are ours. F5: a print below fills the rest."""
    prints = [(20, "99.90", "4", "sell"), (30, "99.90", "1.5", "sell"), (40, "99.80", "2", "sell")]
    folder = on_a_book({"side": "buy", "qty": 1, "price": "99.90"}, *prints)
    told, text = story(folder, "1"), squeezed(explain(folder, "1"))
    accepted = next(step for step in told["steps"] if step["event"] == "OrderAccepted")
    assert (accepted["queue_ahead"], accepted["ts_venue"]) == (5.0, START + 14_000_000)
    queue, through = [step for step in told["steps"] if step["event"] == "OrderFilled"]
    assert (queue["rule"], queue["qty"], queue["queue_ahead"], queue["cause_row"]) == ("queue", "0.500", 1.0, 2)
    assert (through["rule"], through["qty"], through["cause_row"]) == ("through", "0.500", 3)
    assert queue["cause"] == through["cause"] == "binance-usdm/X/trades"
    assert queue["cause_ts"] == START + 30_000_000
    assert "accepted by the venue: 5 ahead of it in the queue when placed" in text
    assert "1 ahead of it in the queue just before" in text
    assert f"caused by row 2 of binance-usdm/X/trades (tape {queue['cause_tape']})" in text
    assert f"rule through: {RULES['through']}" in text
    assert "submit: 4 ms to the venue, 3 ms back" in text


def test_a_taker_on_a_book_names_the_book_as_it_stood() -> None:
    folder = on_a_book({"side": "buy", "qty": 2})
    text = squeezed(explain(folder, "1"))
    assert "filled: 2.000 at 100.00 as taker, 0.000 left" in text
    assert "the market as it stood after row 1 of binance-usdm/X/depth" in text


def test_a_rejection_is_told_in_the_venues_own_words() -> None:
    """venues.md section 4: a post-only order that would take, on USD-M."""
    folder = on_a_book({"side": "buy", "qty": 1, "price": "100.00", "post_only": True})
    text = squeezed(explain(folder, "1"))
    assert "rejected by the venue: Due to the order could not be executed as maker" in text
    assert "(code -5022)" in text
    assert "in the end: rejected by the venue" in text


def test_an_expired_order_tells_what_the_reason_means() -> None:
    folder = on_a_book({"side": "buy", "qty": 1, "price": "99.95", "tif": "ioc"})
    assert f"expired: ioc: {EXPIRED['ioc']}" in squeezed(explain(folder, "1"))


# --- which order ----------------------------------------------------------------------------------------------------


def three_orders() -> Path:
    wishes = [{"side": "buy", "qty": 1, "price": price, "tag": tag} for price, tag in (("95", "a"), ("96", "b"))]
    return on_bars([*wishes, {"side": "buy", "qty": 20, "price": "99.5", "tag": "b"}])


def test_an_order_may_be_named_by_id_by_its_number_by_tag_or_by_fill() -> None:
    folder = three_orders()
    first = story(folder, "a")["order_id"]
    assert first.endswith("-1")
    assert [story(folder, name)["order_id"] for name in (first, "1", "a")] == [first] * 3
    third = story(folder, "3")["order_id"]
    assert story(folder, "binance-usdm-1")["order_id"] == third  # the only fill of the run


def test_a_tag_of_several_orders_means_the_last_and_says_so() -> None:
    told = story(three_orders(), "b")
    assert told["order_id"].endswith("-3")
    assert "tag b named 2 orders" in told["notes"][0]


def test_an_unknown_order_is_answered_with_the_nearest_and_with_what_there_is() -> None:
    folder = three_orders()
    first = story(folder, "1")["order_id"]
    with pytest.raises(UsageError, match="did you mean") as error:
        explain(folder, f"x{first}")
    assert first in str(error.value)
    assert "this run has 3 orders" in str(error.value)


def test_the_beginning_of_several_orders_is_refused_with_their_ids() -> None:
    folder = three_orders()
    common = story(folder, "1")["order_id"].rpartition("-")[0]
    with pytest.raises(UsageError, match="beginning of 3 orders"):
        explain(folder, common)


# --- journals that are not whole ------------------------------------------------------------------------------------


def record_starts(data: bytes) -> list[int]:
    """Where each record of a journal begins: length u32, checksum u32, bytes."""
    at, starts = len(MAGIC), []
    while at < len(data):
        starts.append(at)
        at += HEAD.size + HEAD.unpack_from(data, at)[0]
    return starts


@pytest.mark.parametrize(
    ("harm", "note"),
    [
        (lambda data, at: data[: at + 12], "the journal has no end"),
        (lambda data, at: data[: at + 12] + b"\xff" + data[at + 13 :], "the journal is damaged"),
    ],
    ids=["cut off", "damaged"],
)
def test_a_journal_that_is_not_whole_says_so_and_tells_what_there_is(
    harm: Callable[[bytes, int], bytes], note: str
) -> None:
    """The last record but three is harmed: the order was accepted by then."""
    folder = on_bars({"side": "buy", "qty": 20, "price": "99.5", "tag": "dip"})
    path = folder / "journal.msgpack"
    data = path.read_bytes()
    path.write_bytes(harm(data, record_starts(data)[-4]))
    told = story(folder, "dip")
    assert "OrderAccepted" in [step["event"] for step in told["steps"]]
    assert any(note in line for line in told["notes"])
    assert f"note: {note}" in explain(folder, "dip")


def test_a_whole_journal_has_no_note() -> None:
    assert story(on_bars({"side": "buy", "qty": 1}), "1")["notes"] == []


# --- the verb -------------------------------------------------------------------------------------------------------


def test_the_verb_prints_the_story_and_its_json_and_refuses_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = on_bars({"side": "buy", "qty": 20, "price": "99.5", "tag": "dip"})
    anyclock = CommandLine(tmp_path, monkeypatch, capsys)
    done = anyclock("explain", "latest", "dip")
    assert (done.code, done.out) == (0, explain(folder, "dip") + "\n")
    assert json.loads(anyclock("explain", "latest", "dip", "--json").out)["order_id"].endswith("-1")
    unknown = anyclock("explain", "latest", "dap")
    assert unknown.code == 2
    assert "did you mean `dip`?" in unknown.err
    (folder / "journal.msgpack").unlink()
    assert anyclock("explain", "latest", "dip").code == 3


def test_every_word_of_the_simulator_has_a_sentence() -> None:
    assert {rule for rule in FILL_RULES if "no words" in rule_words(rule, "maker", "depth")} == {"walk"}
    assert rule_words("walk", "taker", "depth") == WALK
    assert set(CANCELED) == set(CANCEL_REASONS)
    assert set(EXPIRED) == set(EXPIRE_REASONS)
