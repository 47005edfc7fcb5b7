"""`explain RUN ORDER_ID`: an order's whole story for people, or as JSON.

Who wanted it, what risk said, what was sent, where in the queue it stood, why each fill happened and by which row of
which tape, how it ended in the venue's own words, how long each leg took, what it cost against the reference price.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import msgspec

from core.exact import EIGHT_DECIMALS, MATH
from core.notation import plain
from core.plain_text import iso, plain_float, printable
from core.story.fill_words import BARS, ending_words, rule_words
from core.story.order_story import Leg, Record, Step, Story, read_story

WIDTH = 110
BPS_DIGITS = Decimal("0.001")
IN = "    "
TITLES = {
    "SubmitOrder": "risk passed it",
    "OrderSubmitted": "submitted",
    "OrderDenied": "denied by our own checks",
    "OrderAccepted": "accepted by the venue",
    "OrderRejected": "rejected by the venue",
    "OrderTriggered": "triggered",
    "OrderFilled": "filled",
    "CancelOrder": "cancel requested",
    "CancelRejected": "cancel refused by the venue",
    "AmendOrder": "amend requested",
    "OrderAmended": "amended",
    "AmendRejected": "amend refused",
    "OrderCanceled": "canceled",
    "OrderExpired": "expired",
    "OrderUnknown": "no answer yet",
}
LAST_WORDS = ("OrderDenied", "OrderRejected", "OrderCanceled", "OrderExpired")
HEADED = frozenset({"id", "order_id", "venue", "symbol", "strategy", "session", "side", "type", "qty", "price", "tag",
                    "position_side"})  # fmt: skip
"""Terms that the first lines say; the others are listed after them."""
RESULTS = frozenset({"created_at", "created_at_ns", "closed_at", "closed_at_ns", "status", "working_qty",
                     "working_price", "filled", "average_price", "value", "leaves", "prevented", "reason"})  # fmt: skip
"""Columns of `orders.csv` that are no terms."""


def explain(folder: Path, wanted: str) -> str:
    """The story as text. Raises UsageError where no order, or more than one, is meant; DataError without a journal."""
    story = read_story(folder, wanted)
    lines = [_heading(story), f"run {story.run}, order {story.order_id}", *_listed(story), ""]
    for step in story.steps:
        lines += _told(step, story)
    lines += ["", *(text for part in _totals(story) for text in _wrapped(part, ""))]
    lines += [f"{IN}{text}" for text in _legs(story.legs)]
    if story.notes:
        lines += ["", *(text for note in story.notes for text in _wrapped(f"note: {note}", ""))]
    return "\n".join(printable(line) for line in lines)


def explain_json(folder: Path, wanted: str) -> str:
    """The same as one JSON object; decimals are text, times int nanoseconds with ISO-8601 beside them."""
    story = read_story(folder, wanted)
    shown = {
        "run": story.run,
        "order_id": story.order_id,
        "terms": _terms(story),
        "steps": [_plain_step(step, story) for step in story.steps],
        "legs": [_plain_leg(leg) for leg in story.legs],
        "outcome": {**_sums(story.fills), "ended": _ended(story)},
        "notes": story.notes,
    }
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()


# --- the order ------------------------------------------------------------------------------------------------------


def _heading(story: Story) -> str:
    t = story.terms
    if not t:
        return "an order that was never submitted"
    price = "" if t.get("price") is None else f" at {t['price']}"
    tag = "" if not t.get("tag") else f", tag {t['tag']}"
    side = "" if t.get("position_side", "net") == "net" else f" ({t['position_side']} side)"
    what = f"{t['side']} {t['qty']} {t['symbol']}{side} {t['type']}{price}"
    return f"{what}, by {t['strategy']} on {t['venue']}, session {t['session']}{tag}"


def _listed(story: Story) -> Iterator[str]:
    others = {name: value for name, value in _terms(story).items() if name not in HEADED}
    if others:
        yield from _wrapped(", ".join(f"{name} {_value(value)}" for name, value in others.items()), IN)


def _terms(story: Story) -> Record:
    """What was asked for: no results, no empty values."""
    return {k: v for k, v in story.terms.items() if k not in RESULTS and v not in (None, False, "false", "")}


# --- its life -------------------------------------------------------------------------------------------------------


def _told(step: Step, story: Story) -> Iterator[str]:
    """One record: when we learned of it, what it is, and what it says."""
    record = step.record
    if step.signal is not None:
        yield from _stamped(step.signal["ts"], f"wanted by {step.signal['strategy']}: {_wish(step.signal)}")
    elif record["event"] in ("SubmitOrder", "OrderDenied"):
        parent = story.terms.get("parent")
        because = f", for order {parent}" if parent else ""
        yield from _stamped(record["ts"], f"wanted by no signal of this moment: the execution engine made it{because}")
    title = TITLES.get(record["event"], record["event"])
    details = list(_details(record, story))
    first, rest = (details[0], details[1:]) if details else ("", [])
    yield from _stamped(record["ts"], f"{title}{': ' if first else ''}{first}")
    venue = record.get("ts_venue")
    if venue is not None and venue != record["ts"]:
        yield f"{IN}at the venue {iso(venue)} ({venue}), {_ms(record['ts'] - venue)} before we heard of it"
    for text in rest:
        yield from _wrapped(text, IN)


def _details(record: Record, story: Story) -> Iterator[str]:
    """What a record says beside its time; the first stands on its own line's end."""
    match record["event"]:
        case "OrderAccepted":
            waits = "it waits for its trigger" if record["pending_trigger"] else ""
            yield "; ".join(text for text in (waits, _queue(record["queue_ahead"], "when placed")) if text)
        case "OrderTriggered":
            yield f"its trigger {record['trigger_price']} was reached"
        case "OrderFilled":
            yield from _fill(record, story)
        case "AmendOrder" | "OrderAmended":
            price = "no price" if record["price"] is None else f"price {record['price']}"
            yield f"{price}, quantity {record['qty']} in all"
            yield _queue(record.get("queue_ahead"), "in its new place")
        case "OrderRejected" | "CancelRejected" | "AmendRejected":
            code = "" if record["code"] is None else f" (code {record['code']})"
            yield f"{record['message']}{code}"
        case "OrderDenied":
            yield record["reason"]
        case "OrderCanceled" | "OrderExpired":
            words = ending_words(record["event"], record["reason"])
            yield f"{record['reason']}{': ' if words else ''}{words}"
            if record["venue_reason"] is not None:
                yield f"the venue's word for it: {record['venue_reason']}"
            if record.get("prevented") not in (None, "0"):
                yield f"{record['prevented']} of it was kept from trading with our own order"
        case "OrderUnknown":
            yield record["detail"]


def _fill(record: Record, story: Story) -> Iterator[str]:
    name, kind = story.tape_of(record["cause_tape"])
    what = f"{record['qty']} at {record['price']} as {record['liquidity']}"
    yield f"{what}, {record['leaves']} left (fill {record['fill_id']})"
    yield f"rule {record['rule']}: {rule_words(record['rule'], record['liquidity'], kind)}"
    yield _cause(record, name, kind)
    if record["queue_ahead"] is not None:
        yield _queue(record["queue_ahead"], "just before")
    with localcontext(MATH):
        cost, bps = _slippage(record)
    fee = f"fee {record['fee']} {record['fee_asset']}"
    yield f"reference price {record['reference']}, slippage {plain(cost)} ({bps} bp), {fee}"


def _cause(record: Record, name: str | None, kind: str | None) -> str:
    """Which market event made the fill: row, tape, and the moment it happened at the venue."""
    when = f"{iso(record['cause_ts'])} ({record['cause_ts']})"
    if name is None:
        return f"caused by {record['cause_tape'] or 'nothing on a tape'} at {when}"
    where = f"row {record['cause_row']} of {name} (tape {record['cause_tape']})"
    if kind == BARS:
        return f"inside the bar that opened at {when}: {where}"
    return f"{'the market as it stood after' if record['rule'] == 'walk' else 'caused by'} {where}, {when}"


def _wish(signal: Record) -> str:
    """A signal in its own words."""
    said = {k: v for k, v in signal.items() if k not in ("event", "ts", "strategy", "venue", "symbol")}
    side = said.pop("side", None)
    words = ", ".join(k if v is True else f"{k} {_value(v)}" for k, v in said.items())
    return " ".join(part for part in (side, words) if part)


def _queue(ahead: float | None, when: str) -> str:
    if ahead is None:
        return ""
    return f"{plain_float(ahead).removesuffix('.0') if ahead else 'nothing'} ahead of it in the queue {when}"


# --- what came of it ------------------------------------------------------------------------------------------------


def _totals(story: Story) -> Iterator[str]:
    sums = _sums(story.fills)
    yield f"in the end: {_ended(story)}"
    if story.fills:
        fees = ", ".join(f"{fee} {asset}" for asset, fee in sums["fees"].items())
        many = "1 fill" if len(story.fills) == 1 else f"{len(story.fills):,} fills"
        yield (
            f"{sums['filled']} filled in {many} at {sums['average_price']} on average; fees {fees}; slippage "
            f"{sums['slippage']} against the reference prices"
        )


def _ended(story: Story) -> str:
    """How the order's life ended, as far as the journal tells."""
    fills, events = story.fills, [step.record["event"] for step in story.steps]
    over = next((step.record for step in reversed(story.steps) if step.record["event"] in LAST_WORDS), None)
    so_far = ", nothing of it filled" if not fills else f", {_sums(fills)['filled']} of it filled"
    if over is not None:
        word = TITLES[over["event"]]
        return f"{word} at {iso(over['ts'])}{so_far}" if over["event"] in ("OrderCanceled", "OrderExpired") else word
    if fills and not Decimal(fills[-1]["leaves"]):
        return f"filled whole at {iso(fills[-1]['ts'])}"
    if "OrderAccepted" not in events and not fills:
        return "under way: the run ended before the venue's answer was heard"
    return f"still open when the run ended{so_far}"


def _sums(fills: list[Record]) -> Record:
    """Of all its fills: exact decimals as text."""
    with localcontext(MATH):
        filled = sum((Decimal(f["qty"]) for f in fills), Decimal(0))
        value = sum((Decimal(f["price"]) * Decimal(f["qty"]) for f in fills), Decimal(0))
        fees: dict[str, Decimal] = {}
        for f in fills:
            fees[f["fee_asset"]] = fees.get(f["fee_asset"], Decimal(0)) + Decimal(f["fee"])
        slippage = sum((_slippage(f)[0] for f in fills), Decimal(0))
        average = None if not filled else plain((value / filled).quantize(EIGHT_DECIMALS).normalize())
    return {
        "filled": plain(filled),
        "average_price": average,
        "fees": {asset: plain(fee) for asset, fee in fees.items()},
        "slippage": plain(slippage),
    }


def _slippage(fill: Record) -> tuple[Decimal, str]:
    """side x (price - reference) x qty in quote units, and in basis points of the reference. Positive is a cost."""
    reference, sign = Decimal(fill["reference"]), 1 if fill["side"] == "buy" else -1
    worse = sign * (Decimal(fill["price"]) - reference) + 0  # a maker pays 0, and not -0
    bps = plain((worse / reference * 10_000).quantize(BPS_DIGITS)) if reference else "-"
    return worse * Decimal(fill["qty"]), bps


def _legs(legs: list[Leg]) -> Iterator[str]:
    """One line per kind of request: from the quickest to the slowest where they differ."""
    for request in dict.fromkeys(leg.request for leg in legs):
        reached = [leg for leg in legs if leg.request == request and leg.at_venue is not None]
        to = [leg.at_venue - leg.sent for leg in reached if leg.at_venue is not None]
        back = [leg.heard - leg.at_venue for leg in reached if leg.at_venue is not None]
        times = f", {len(reached):,} times" if len(reached) > 1 else ""
        if reached:
            yield f"{request}{times}: {_span(to)} to the venue, {_span(back)} back"
        for leg in legs:
            if leg.request == request and leg.at_venue is None:
                yield f"{request}: answered after {_ms(leg.heard - leg.sent)}, without the venue"


def _span(lengths: list[int]) -> str:
    low, high = min(lengths), max(lengths)
    return _ms(low) if low == high else f"{_ms(low)} to {_ms(high)}"


# --- as JSON --------------------------------------------------------------------------------------------------------


def _plain_step(step: Step, story: Story) -> dict[str, Any]:
    record = step.record
    shown: dict[str, Any] = {"event": record["event"], "at": iso(record["ts"])}
    if record.get("ts_venue") is not None:
        shown["at_venue"] = iso(record["ts_venue"])
    shown |= {name: value for name, value in record.items() if name not in ("event", "order", "order_id")}
    if step.signal is not None:
        shown["signal"] = {name: value for name, value in step.signal.items() if name != "event"}
    if record["event"] == "OrderFilled":
        name, kind = story.tape_of(record["cause_tape"])
        with localcontext(MATH):
            cost, bps = _slippage(record)
        words = rule_words(record["rule"], record["liquidity"], kind)
        shown |= {"rule_words": words, "cause": name, "slippage": plain(cost)}
        shown["slippage_bps"] = None if bps == "-" else float(bps)
    elif record["event"] in ("OrderCanceled", "OrderExpired"):
        shown["reason_words"] = ending_words(record["event"], record["reason"])
    return shown


def _plain_leg(leg: Leg) -> dict[str, Any]:
    known = leg.at_venue is not None
    return {
        "request": leg.request,
        "sent": leg.sent,
        "to_venue_ns": leg.at_venue - leg.sent if leg.at_venue is not None else None,
        "back_ns": leg.heard - leg.at_venue if leg.at_venue is not None else None,
        "both_ns": leg.heard - leg.sent,
        "reached_venue": known,
    }


# --- words ----------------------------------------------------------------------------------------------------------


def _stamped(ts: int, text: str) -> Iterator[str]:
    """A line that begins with its moment, readable and in nanoseconds."""
    yield from _wrapped(f"{iso(ts)} ({ts})  {text}", "")


def _wrapped(text: str, indent: str) -> list[str]:
    """Lines of at most WIDTH columns; ids and numbers stay whole."""
    wrapper = textwrap.TextWrapper(
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}{IN}",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.wrap(text)


def _value(value: Any) -> str:
    return "yes" if value in (True, "true") else str(value)


def _ms(ns: int) -> str:
    return f"{plain_float(ns / 1e6).removesuffix('.0')} ms"
