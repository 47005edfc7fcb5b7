"""Each model's formula with the contract's own numbers (venues.md section 10)."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.compose import compose
from core.errors import Problem
from core.events import OrderFilled, OrderRejected
from core.settings.decode import decode
from core.settings.yaml_nodes import read
from core.tape import Tape
from sim.bars.bar_cursor import TapeCursor
from sim.bars.push_cursor import PushCursor
from sim.feed_legs import FeedLegs
from sim.gateway import Line
from sim.models import BARS_PRESET, NOTHING, OPTIMISTIC_PRESET, SimulationConfig, assumptions, choose
from sim.models.feed_latency import FeedDerivedLatency
from sim.models.impact import NoImpact, SquareRootImpact
from sim.models.latency import ConstantLatency, LognormalLatency, NoLatency
from sim.models.recorded_latency import RecordedLatency
from sim.models.spread import FixedSpread, NoSpread
from tiny_run import IDEAL, MINUTE, START, Row, Script, Shelf, flat, plan_of, run_of, tape_of

D = Decimal
MS = 1_000_000
F11 = SquareRootImpact(coefficient=D(1), sigma_daily=D("0.03"), volume_daily=D(20_000))


def no_past() -> None:
    return None


# --- F1 latency -----------------------------------------------------------------------------------------------------


def test_recorded_latency_is_the_contracts_example() -> None:
    """Rows (0,3,8),(1000,1009,1021) ms; request at 400 -> Le 5.4 -> engine 405.4; Lr 7.8 -> local 413.2."""
    line = Line(RecordedLatency(rows=[(0, 3, 8), (1000, 1009, 1021)]), 0)
    engine = line.arrival("main", 400 * MS, "entry")
    assert engine == 405_400_000
    assert line.local_at("main", engine) == 413_200_000


def test_an_answer_is_not_heard_before_a_slower_one_of_its_moment() -> None:
    """Legs of 2 ms; of three answers of one moment the second takes 50 ms of its own, and holds the third."""
    line = Line(ConstantLatency(response_ms=2 * MS), 0)
    heard = [line.local_at("main", 0), line.hear("main", 50 * MS), line.local_at("main", 0)]
    assert heard == [2 * MS, 50 * MS, 50 * MS]


@pytest.mark.parametrize(
    ("send", "entry"),
    [(-50, 3.0), (0, 3.0), (500, 6.0), (1000, 9.0), (5000, 9.0)],
)
def test_recorded_latency_is_linear_between_rows_and_flat_beyond_the_ends(send: int, entry: float) -> None:
    legs = RecordedLatency(rows=[(0, 3, 8), (1000, 1009, 1021)]).legs(random.Random(0))
    assert legs.request_ns("entry", send * MS) == int(entry * MS)


def test_recorded_requests_that_overtook_each_other_are_answered_by_when_they_arrived() -> None:
    """Sent at 0 and 1, there at 9 and 5: at 7, half-way, an answer takes 4 + (1 - 4) / 2 = 2.5 ms."""
    legs = RecordedLatency(rows=[(0, 9, 10), (1, 5, 9), (20, 22, 24)]).legs(random.Random(0))
    assert [legs.response_ns(at * MS) for at in (5, 7, 9)] == [4 * MS, 2_500_000, MS]


def test_a_recorded_row_without_an_answer_loses_requests_up_to_its_neighbours() -> None:
    """exch <= 0 at 1000: from 0 to 2000 (both excluded) a request is lost, and we learn after resp - req."""
    legs: Any = RecordedLatency(rows=[(0, 3, 8), (1000, -1, 1500), (2000, 2003, 2008)]).legs(random.Random(0))
    lost = [at for at in (0, 1, 500, 1000, 1999, 2000, 3000) if legs.request_ns("entry", at * MS) is None]
    assert lost == [1, 500, 1000, 1999]
    assert legs.lost_ns(500 * MS) == 254 * MS  # half way between 8 and 500
    assert legs.lost_ns(1000 * MS) == 500 * MS


def test_constant_legs_and_their_defaults() -> None:
    """cancel and amend are as entry where they are left out."""
    legs = ConstantLatency(entry_ms=4 * MS, amend_ms=9 * MS, response_ms=3 * MS).legs(random.Random(0))
    assert [legs.request_ns(op, 0) for op in ("entry", "cancel", "amend")] == [4 * MS, 4 * MS, 9 * MS]
    assert legs.response_ns(0) == 3 * MS
    assert NoLatency().legs(random.Random(0)).request_ns("entry", 5) == 0


def test_requests_of_a_session_arrive_in_order_and_so_do_answers() -> None:
    """arrive = max(send + Le, previous arrival on the same session); another session does not wait."""
    line = Line(ConstantLatency(entry_ms=10 * MS, cancel_ms=2 * MS, response_ms=5 * MS), 0)
    assert line.arrival("a", 0, "entry") == 10 * MS
    assert line.arrival("a", 1 * MS, "cancel") == 10 * MS
    assert line.arrival("b", 1 * MS, "cancel") == 3 * MS
    assert line.local_at("a", 100 * MS) == 105 * MS
    assert line.local_at("a", 90 * MS) == 105 * MS, "an earlier engine time cannot be heard before"


def test_lognormal_latency_repeats_with_its_seed_and_has_the_median_and_sigma_it_says() -> None:
    """ln(x / median) is N(0, sigma): over 20000 draws mean 0 and deviation 0.3, within four standard errors."""
    model = LognormalLatency(entry_ms=100 * MS, response_ms=7 * MS, sigma=0.3)

    def draws(seed: int) -> list[int]:
        legs = model.legs(random.Random(seed))
        return [int(legs.request_ns("entry", 0) or 0) for _ in range(20_000)]

    first = draws(3)
    assert first == draws(3) != draws(4)
    logs = [math.log(x / (100 * MS)) for x in first]
    mean = sum(logs) / len(logs)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs))
    assert abs(mean) < 4 * 0.3 / math.sqrt(20_000)
    assert abs(deviation - 0.3) < 4 * 0.3 / math.sqrt(2 * 20_000)


def test_latency_derived_from_market_data_reads_the_newest_row_that_was_received() -> None:
    """Rows received at 10 (7 late) and 20 (11 late): entry 2 Lf + 1, response 0.1 Lf + 3, nothing before the first."""
    model = FeedDerivedLatency(
        entry_multiplier=D(2), response_multiplier=D("0.1"), entry_offset_ms=1 * MS, response_offset_ms=3 * MS
    )
    late = FeedLegs.of_rows(np.array([20 * MS, 10 * MS]), np.array([11 * MS, 7 * MS]))
    line = Line(model, 0, late.at)
    assert [line.arrival(str(at), at * MS, "entry") for at in (9, 10, 19, 20)] == [
        (9 + 1) * MS, (10 + 15) * MS, (19 + 15) * MS, (20 + 23) * MS,
    ]  # fmt: skip
    assert line.local_at("main", 25 * MS) == 25 * MS + 1_100_000 + 3 * MS


def test_a_leg_is_cut_to_a_nanosecond_and_never_negative() -> None:
    """0.29 x 100 ms is 29 ms exactly; an offset of -5 ms takes no more than there is."""
    model = FeedDerivedLatency(entry_multiplier=D("0.29"), response_offset_ms=-5 * MS, response_multiplier=D(0))
    line = Line(model, 0, lambda at: 100 * MS)
    assert line.arrival("main", 0, "entry") == 29 * MS
    assert line.local_at("main", 7 * MS) == 7 * MS


async def test_in_a_run_the_receipts_of_the_tape_decide() -> None:
    """Bars received 40 ms after their close: a wish takes 40 + 5 to the venue, and its answer 40."""
    rows = flat("100", "101", "102")
    columns = tape_of(rows).columns
    tape = Tape(
        kind="bars", venue="binance-usdm", symbol="X", columns={**columns, "ts": columns["ts_venue"] + 40 * MS},
        price_scale=2, size_scale=3, interval_ns=MINUTE, source="test",
    )  # fmt: skip
    plan = plan_of({"X": rows}, simulation=IDEAL.replace("kind: none", "kind: feed_derived, entry_offset_ms: 5", 1))
    plan = msgspec.structs.replace(plan, streams=[msgspec.structs.replace(plan.streams[0], source=Shelf(tape))])
    done = await run_of(plan, s=Script({"side": "buy", "qty": 1}))
    (fill,) = done.of(OrderFilled)
    sent = START + MINUTE + 40 * MS
    assert (fill.ts_venue, fill.ts) == (sent + 45 * MS, sent + 85 * MS)


class BareLegs:
    """A user's own: loses every other request and says nothing of when one learns of it."""

    def __init__(self) -> None:
        self.count = 0

    def request_ns(self, operation: str, send: int) -> int | None:
        self.count += 1
        return 2 * MS if self.count % 2 else None

    def response_ns(self, engine: int) -> int:
        return 3 * MS


class OwnLatency(msgspec.Struct, frozen=True):
    """A model by import path."""

    feed_ns: int = 0

    def legs(self, rng: random.Random) -> BareLegs:
        return BareLegs()

    def sentence(self) -> str:
        return "latency: own"


async def test_a_users_own_model_that_does_not_say_when_a_loss_is_known_takes_a_response_leg() -> None:
    plan = plan_of(
        {"X": flat("100", "101", "102")}, simulation=IDEAL.replace("kind: none", "kind: 'test_models:OwnLatency'", 1)
    )
    wish = {"side": "buy", "qty": 1}
    done = await run_of(plan, s=Script([wish, wish]))
    (lost,) = done.of(OrderRejected)
    assert (lost.reason, lost.ts) == ("lost", START + MINUTE + 3 * MS)
    assert len(done.of(OrderFilled)) == 1


# --- F10 spread -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bps", "price", "tick", "half"),
    [("1", 60_000.0, 0.1, 1e-4), ("0.5", 60_000.0, 0.1, 5e-5), ("0", 100.0, 0.1, 5e-4), ("1", 2.0, 0.01, 2.5e-3)],
)
def test_half_the_spread_is_at_least_half_a_tick(bps: str, price: float, tick: float, half: float) -> None:
    """h = max(tick / (2 price), half_bps)."""
    assert FixedSpread(half_bps=D(bps)).half(price, tick) == pytest.approx(half, rel=1e-12)
    assert NoSpread().half(price, tick) == 0.0


PRICED = "{{latency: {{kind: none}}, spread: {{half_bps: '1'}}, impact: {impact}, bars: {{market_participation: '0'}}}}"
NO_IMPACT = "{kind: none}"
ROOT = "{kind: square_root, sigma_daily: '0.03', volume_daily: '20000'}"


@pytest.mark.parametrize(
    ("impact", "side", "qty", "price"),
    [
        (NO_IMPACT, "buy", 1, "60006.0"),  # F10's example
        (NO_IMPACT, "sell", 1, "59994.0"),
        (ROOT, "buy", 50, "60066.0"),  # F11's example: 10 bp of cost and 1 bp of spread
        (ROOT, "sell", 50, "59934.0"),
    ],
)
async def test_a_taker_pays_the_contracts_price(impact: str, side: str, qty: int, price: str) -> None:
    plan = plan_of(
        {"X": flat("60000", "60000", "60000")}, simulation=PRICED.format(impact=impact),
        balances="{USDT: '10000000'}",
    )  # fmt: skip
    (fill,) = (await run_of(plan, s=Script({"side": side, "qty": qty}))).of(OrderFilled)
    assert (fill.price, fill.reference) == (D(price), D(60000))


async def test_slices_without_waiting_pay_the_contracts_memory() -> None:
    """Two of 25 at once: 7.0711 bp and 12.9289 bp over the 1 bp spread, up to the tick: 60048.5, then 60083.6."""
    plan = plan_of(
        {"X": flat("60000", "60000", "60000")}, simulation=PRICED.format(impact=ROOT), balances="{USDT: '10000000'}"
    )
    half = {"side": "buy", "qty": 25}
    fills = (await run_of(plan, s=Script([half, half]))).of(OrderFilled)
    assert [fill.price for fill in fills] == [D("60048.5"), D("60083.6")]


# --- F11 impact -----------------------------------------------------------------------------------------------------


def bp(cost: float) -> float:
    return cost * 1e4


def test_a_one_shot_order_pays_two_thirds_of_the_peak() -> None:
    """Q = 50: I = 15 bp, cost 10 bp."""
    assert bp(F11.memory().cost("buy", 50.0, 0, no_past)) == pytest.approx(10.0, rel=1e-12)


@pytest.mark.parametrize(("age_ms", "second"), [(0, 12.9289), (600_000, 10.4904)])
def test_the_second_slice_pays_for_the_first_by_how_long_ago_it_was(age_ms: int, second: float) -> None:
    """Two of 25: 7.0711 bp, then 12.9289 at once (mean 10: nothing gained) or 10.4904 after a half-life."""
    memory = F11.memory()
    first = bp(memory.cost("buy", 25.0, 0, no_past))
    memory.remember("buy", 25.0, 0)
    then = bp(memory.cost("buy", 25.0, age_ms * MS, no_past))
    assert (first, then) == (pytest.approx(7.0711, abs=5e-5), pytest.approx(second, abs=5e-5))
    if not age_ms:
        assert (first + then) / 2 == pytest.approx(10.0, rel=1e-12)


def test_the_other_side_pays_nothing_for_it() -> None:
    memory = F11.memory()
    memory.remember("buy", 25.0, 0)
    assert bp(memory.cost("sell", 25.0, 0, no_past)) == pytest.approx(7.0711, abs=5e-5)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
def test_splitting_without_waiting_gains_nothing(slices: list[float]) -> None:
    """Sum of slice x its cost = whole x the whole's cost."""
    memory = F11.memory()
    paid = 0.0
    for qty in slices:
        paid += qty * memory.cost("buy", qty, 0, no_past)
        memory.remember("buy", qty, 0)
    whole = sum(slices)
    assert paid == pytest.approx(whole * F11.memory().cost("buy", whole, 0, no_past), rel=1e-9)


def test_left_out_sigma_and_volume_are_the_trailing_days_and_nothing_without_a_past() -> None:
    memory = SquareRootImpact().memory()
    assert bp(memory.cost("buy", 50.0, 0, lambda: (0.03, 20_000.0))) == pytest.approx(10.0, rel=1e-12)
    assert memory.cost("buy", 50.0, 0, no_past) == 0.0
    assert memory.cost("buy", 50.0, 0, lambda: (0.03, 0.0)) == 0.0


def closing(*rows: tuple[str, str]) -> list[Row]:
    """Bars that stand still, of (price, volume)."""
    return [(price, price, price, price, volume) for price, volume in rows]


DAY = [("100", "10"), ("110", "20"), ("99", "30"), ("120", "40"), ("60", "50")]


def test_the_trailing_day_of_a_bar_ends_with_the_bar_before_it() -> None:
    """Row 3 by hand: returns ln 1.1 and ln 0.9, volume 60, three of 1,440 minutes are known: times 480."""
    past = TapeCursor(tape_of(closing(*DAY))).day_before(3)
    sigma = math.sqrt((math.log(1.1) ** 2 + math.log(0.9) ** 2) * 480)
    assert past == pytest.approx((sigma, 60 * 480))
    for row, is_seen in ((2, True), (3, False), (4, False)):
        changed = [*DAY[:row], ("77", "7"), *DAY[row + 1 :]]
        assert (TapeCursor(tape_of(closing(*changed))).day_before(3) != past) is is_seen


@pytest.mark.parametrize("cursor", [TapeCursor, PushCursor])
@pytest.mark.parametrize("cut", [1, 2, 3, 1500])
def test_rows_before_the_run_belong_to_the_trailing_day(cursor: type[TapeCursor], cut: int) -> None:
    """A tape cut in two tells of the past what the whole one does, however long the first part is."""
    whole = tape_of(closing(*((str(100 + 7 * n % 13), str(1 + n % 5)) for n in range(3100))))
    history, played = whole.between(None, START + cut * MINUTE), whole.between(START + cut * MINUTE, None)
    begun = cursor(played, history)
    for row in (0, 1, 2, 1439, 1440, 1441, 1599):
        expected = TapeCursor(whole).day_before(cut + row)
        assert begun.day_before(row) == (None if expected is None else pytest.approx(expected, rel=1e-9))


@pytest.mark.parametrize("mode", ["backtest", "paper"])
async def test_the_first_order_of_a_run_pays_for_what_the_market_did_before_it(
    mode: Literal["backtest", "paper"],
) -> None:
    """F11 with Y = 1 on bars 0 to 2 (100, 110, 100; 3000 base units), of which run.start leaves one to see.

    sigma = ln 1.1 sqrt(2 x 480), V = 1,440,000: 1 unit costs 2/3 sigma V^-1/2, up to the tick.
    """
    plan = plan_of(
        {"X": flat("100", "110", "100", "100")}, run=', start: "2025-01-01T00:02:00Z"', tick="0.01",
        simulation=IDEAL.replace("impact: {kind: none}", "impact: {kind: square_root}"),
    )  # fmt: skip
    async with compose(plan, mode=mode, strategies={"s": Script({"side": "buy", "qty": 1}, warmup=1)}) as engine:
        await engine.run()
    (fill,) = engine.parts.run.recording.fills
    cost = 2 / 3 * math.log(1.1) * math.sqrt(2 * 480) / math.sqrt(1_440_000)
    assert fill.price == D(math.ceil(100 * (1 + cost) * 100)) / 100 == D("100.17")
    assert (fill.reference, fill.cause_row, fill.cause_ts) == (D(100), 1, START + 3 * MINUTE)


def test_a_memory_comes_back_from_its_snapshot() -> None:
    memory, other = F11.memory(), F11.memory()
    memory.remember("buy", 25.0, 7)
    other.restore(memory.snapshot())
    assert other.cost("buy", 25.0, 9 * MS, no_past) == memory.cost("buy", 25.0, 9 * MS, no_past)
    assert NoImpact().memory() is None


# --- fees -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("venue", "side", "fee", "asset"),
    [
        # venues.md section 7. USD-M taker 0.5@60000 -> 15 USDT; spot BUY -> 0.0005 base, SELL -> 30 USDT;
        # Bybit linear 0.055% of 30000 = 16.5.
        ("binance-usdm", "buy", "15", "USDT"),
        ("binance-spot", "buy", "0.0005", "XB"),
        ("binance-spot", "sell", "30", "USDT"),
        ("bybit-linear", "sell", "16.5", "USDT"),
        ("bybit-spot", "buy", "0.0005", "XB"),
    ],
)
async def test_a_fee_is_the_venues_rate_in_the_venues_asset(venue: str, side: str, fee: str, asset: str) -> None:
    coins = ", XB: '1'" if venue.endswith("spot") else ""
    plan = plan_of(
        {"X": flat("60000", "60000", "60000")}, venue=venue, balances=f"{{USDT: '100000'{coins}}}",
        leverage=None if venue.endswith("spot") else 5,
        simulation="{latency: {kind: none}, spread: {kind: none}, impact: {kind: none}}",
    )  # fmt: skip
    (fill,) = (await run_of(plan, s=Script({"side": side, "qty": "0.5"}))).of(OrderFilled)
    assert (fill.fee, fill.fee_asset) == (D(fee), asset)


@pytest.mark.parametrize(
    ("rate", "fee"), [("0.00033333", "0.33333"), ("-0.0001", "-0.1"), ("0.000000000019", "0.00000001")]
)
async def test_a_fee_is_quantized_to_eight_decimals_towards_zero(rate: str, fee: str) -> None:
    """Of 1000 notional: 0.000000019 becomes 0.00000001, a negative rate is a rebate."""
    ideal = f"{{latency: {{kind: none}}, spread: {{kind: none}}, impact: {{kind: none}}, fees: {{taker: '{rate}'}}}}"
    done = await run_of(plan_of({"X": flat("100", "100")}, simulation=ideal), s=Script({"side": "buy", "qty": 10}))
    assert done.of(OrderFilled)[0].fee == D(fee)


# --- choosing -------------------------------------------------------------------------------------------------------


def config_of(text: str) -> SimulationConfig:
    problems: list[Problem] = []
    node = read(text, "x.yaml", problems)
    assert node is not None
    config = decode(node, SimulationConfig, problems)
    assert problems == []
    assert isinstance(config, SimulationConfig)
    return config


def test_a_symbols_own_model_wins_over_the_runs_and_that_over_the_preset() -> None:
    config = config_of("{spread: {half_bps: '2'}, symbols: {X: {spread: {kind: none}, impact: {kind: none}}}}")
    x, y = (choose(config, name, BARS_PRESET) for name in "XY")
    assert isinstance(x.spread, NoSpread) and isinstance(x.impact, NoImpact)
    assert y.spread == FixedSpread(half_bps=D(2)) and y.impact == SquareRootImpact()
    assert x.latency == y.latency == BARS_PRESET.latency


def test_defaults_are_honest_and_a_scenario_has_none() -> None:
    """Design section 8: bars 125/125/0 ms, half_bps 0.5, participation 0.1, trailing square-root impact."""
    latency = BARS_PRESET.latency
    assert isinstance(latency, ConstantLatency)
    assert (latency.entry_ms, latency.response_ms, latency.feed_ns) == (125 * MS, 125 * MS, 0)
    assert BARS_PRESET.spread == FixedSpread(half_bps=D("0.5"))
    assert BARS_PRESET.bars.participation == D("0.1")
    impact = BARS_PRESET.impact
    assert isinstance(impact, SquareRootImpact) and impact.sigma_daily is None and impact.volume_daily is None
    assert isinstance(NOTHING.latency, NoLatency) and isinstance(NOTHING.spread, NoSpread)
    assert OPTIMISTIC_PRESET.bars.participation == 1


def test_every_assumption_is_one_line_that_says_whether_it_was_chosen() -> None:
    lines = assumptions(BARS_PRESET, config_of("{spread: {half_bps: '0.5'}}"), "bars")
    assert [line.split(":")[0] for line in lines] == ["latency", "bars", "spread", "impact", "rate limits"]
    assert ["(default)" in line for line in lines] == [True, True, False, True, True]
    assert all("\n" not in line for line in lines)
