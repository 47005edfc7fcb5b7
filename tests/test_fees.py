"""Fees by date, tier and volume: the stored tables, the rates of a moment, and runs that cross from one to the next.

What a single fill owes is pinned by `tests/scenarios/s7-*.yaml` and `fees-*.yaml`.
"""

from __future__ import annotations

import asyncio
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.venues import VENUES, load_rules
from core.account.fee_tables import BY_VOLUME, FeeTable, Promotion, VenueFees
from core.account.tariff import BEGINNING, FeeSchedule, FeeSpan, Tariff, TierRates
from core.band import run_band
from core.compose import read_plan
from core.config import resolved_yaml
from core.errors import ConfigError, UsageError
from core.events import OrderAccepted, OrderDenied, OrderFilled
from core.moments import DAY_NS, INF
from core.notation import timestamp_ns, timestamp_text
from core.parity import compare, record
from core.plan import Plan
from core.result import make_result
from flat_fees import flat
from random_trader import RandomTrader
from tiny_run import MINUTE, START, Script, plan_of, run_of
from tiny_run import flat as still

D = Decimal
DAY = timestamp_ns("2025-01-01")
IDEAL = "{{latency: {{kind: none}}, spread: {{kind: none}}, impact: {{kind: none}}, fees: {fees}}}"
HALVED = (
    "{schedule: [{since: 2025-01-01, maker: '0.0002', taker: '0.0005'}, "
    "{since: '2025-01-01T00:02:00Z', maker: '0.0001', taker: '0.00025'}]}"
)
"""Half as much from two minutes after `tiny_run.START` on."""


def at(text: str) -> int:
    return timestamp_ns(text)


def run_plan(fees: str, prices: int = 4, **given: Any) -> Plan:
    """Minutes that stand at 1000."""
    return plan_of({"X": still(*["1000"] * prices)}, simulation=IDEAL.format(fees=fees), **given)


def buys(count: int = 3) -> Script:
    """1 bought at each of the first closes: it trades at the open of the next minute."""
    return Script(*[{"side": "buy", "qty": 1}] * count)


# --- the stored tables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", VENUES)
def test_stored_tables_are_in_order_and_name_the_same_tiers(venue: str) -> None:
    """Later tables come later, higher tiers need more volume and never pay more, the lowest needs none."""
    fees = load_rules(venue).fees
    for before, after in pairwise(fees.tables):
        assert before.since < after.since
        assert list(before.tiers) == list(after.tiers)
    for table in fees.tables:
        rows = list(table.tiers.values())
        assert rows[0].volume == 0 and not rows[0].guess
        for low, high in pairwise(rows):
            assert low.volume < high.volume and low.maker >= high.maker and low.taker >= high.taker
    for one in fees.promotions:
        assert one.since < one.until and (one.symbols or one.quote)
        assert set(one.tiers) in ({"all"}, set(fees.names))


@pytest.mark.parametrize(
    ("venue", "maker", "taker"),
    [
        ("binance-spot", "0.001", "0.001"),
        ("binance-usdm", "0.0002", "0.0005"),
        ("bybit-spot", "0.001", "0.001"),
        ("bybit-linear", "0.0002", "0.00055"),
    ],
)
def test_the_lowest_tier_pays_the_base_rates_of_section_7_on_every_date(venue: str, maker: str, taker: str) -> None:
    fees = load_rules(venue).fees
    for span in fees.spans("ETHUSDT", "USDT", fees.lowest):
        (rates,) = span.tiers
        assert (rates.maker, rates.taker) == (D(maker), D(taker))


@pytest.mark.parametrize(
    ("venue", "symbol", "quote", "tier", "when", "maker", "taker"),
    [
        # The announcements' own tables, at the first and the last moment they hold.
        ("binance-spot", "ETHUSDT", "USDT", "vip4", "2022-06-01T07:59:59.999999999Z", "0.0007", "0.0009"),
        ("binance-spot", "ETHUSDT", "USDT", "vip4", "2022-06-01T08:00:00Z", "0.0002", "0.0004"),
        ("binance-spot", "BTCUSDT", "USDT", "vip4", "2023-03-21T23:59:59.999999999Z", "0", "0"),
        ("binance-spot", "BTCUSDT", "USDT", "vip4", "2023-03-22T00:00:00Z", "0.0002", "0.0004"),
        ("binance-usdm", "BTCUSDC", "USDC", "vip3", "2025-09-11T08:00:00Z", "0", "0.000176"),
        ("binance-usdm", "BTCUSDC", "USDC", "vip3", "2025-12-10T08:00:00Z", "0", "0.000256"),
        ("binance-usdm", "BTCUSDC", "USDC", "vip3", "2026-02-10T08:00:00Z", "0.00012", "0.00032"),
        ("binance-usdm", "BTCUSDT", "USDT", "vip3", "2025-09-11T08:00:00Z", "0.00012", "0.00032"),
    ],
)
def test_a_stored_rate_holds_from_its_date_to_the_next(
    venue: str, symbol: str, quote: str, tier: str, when: str, maker: str, taker: str
) -> None:
    schedule = FeeSchedule(load_rules(venue).fees.spans(symbol, quote, tier))
    rates = Tariff({symbol: schedule}).rates(symbol, at(when))
    assert (rates.full["buy"]["maker"], rates.full["sell"]["taker"]) == (D(maker), D(taker))


def test_what_was_before_the_first_table_is_its_rates_and_a_guess() -> None:
    fees = load_rules("binance-usdm").fees
    before, first = fees.spans("X", "USDT", "regular")[:2]
    assert (before.since, first.since) == (BEGINNING, fees.tables[0].since)
    assert before.tiers[0].guess and not first.tiers[0].guess
    assert before.tiers[0].taker == first.tiers[0].taker


def test_a_promotion_of_every_tier_leaves_the_volumes_of_the_tiers() -> None:
    tiers = {"a": TierRates(D("0.002"), D("0.003")), "b": TierRates(D("0.001"), D("0.002"), D(100))}
    free = Promotion(10, 20, {"all": TierRates(D(0), D(0))}, symbols=("X",))
    spans = VenueFees([FeeTable(0, tiers)], [free]).spans("X", "USDT", BY_VOLUME)
    assert [span.since for span in spans] == [BEGINNING, 0, 10, 20]
    assert [(rates.taker, rates.volume) for rates in spans[2].tiers] == [(D(0), D(0)), (D(0), D(100))]
    assert spans[3].tiers == tuple(tiers.values())


# --- the rates of a moment ------------------------------------------------------------------------------------------


def test_between_two_dates_nothing_is_computed_anew() -> None:
    tariff = Tariff(
        {"X": FeeSchedule((FeeSpan(BEGINNING, (TierRates(D(1), D(2)),)), FeeSpan(50, (TierRates(D(3), D(4)),))))}
    )
    first = tariff.rates("X", -7)
    assert tariff.rates("X", 49) is first
    assert tariff.rates("X", 50) is not first
    assert tariff.taker("X") == 4
    assert tariff.rates("X", 50) is tariff.rates("X", INF - 1)


LADDER = (
    TierRates(D("0.003"), D("0.003")),
    TierRates(D("0.002"), D("0.002"), D(100)),
    TierRates(D("0.001"), D("0.001"), D(250)),
)


HOURS = st.builds(
    lambda day, hour: 24 * day + hour, st.sampled_from([0, 1, 2, 29, 30, 31, 32, 61]), st.sampled_from([0, 6, 7, 23])
)
"""Hours at the edges of days and of windows, so that most of what is asked lies at one."""


@given(
    st.lists(st.tuples(HOURS, st.sampled_from([1, 99, 100, 150])), min_size=1, max_size=12),
    st.lists(HOURS, min_size=1, max_size=8),
    st.sampled_from([0, 7]),
)
def test_a_tier_by_volume_is_that_of_the_30_whole_days_before(
    fills: list[tuple[int, int]], asked: list[int], hour: int
) -> None:
    """The definition, counted anew from all fills: those of the 30 UTC days before the day whose rates hold."""
    hour_ns = DAY_NS // 24
    tariff = Tariff({"X": FeeSchedule((FeeSpan(BEGINNING, LADDER),), retiers_at=hour * hour_ns)})
    moments = sorted([(when, 0, size) for when, size in fills] + [(when, 1, 0) for when in asked])
    for when, asks, size in moments:
        now = DAY + when * hour_ns
        if not asks:
            tariff.rates("X", now)
            tariff.traded(D(size), now)
            continue
        day = (when - hour) // 24
        volume = sum(s for w, s in fills if day - 30 <= w // 24 < day and w <= when)
        expected = "0.003" if volume < 100 else "0.002" if volume < 250 else "0.001"
        assert tariff.rates("X", now).taker == D(expected)


def test_a_fill_that_is_heard_after_midnight_counts_for_the_new_day_at_once() -> None:
    tariff = Tariff({"X": FeeSchedule((FeeSpan(BEGINNING, LADDER),), retiers_at=0)})
    assert tariff.rates("X", DAY + 1).taker == D("0.003")
    tariff.traded(D(100), DAY - 1)
    assert tariff.rates("X", DAY + 2).taker == D("0.002")
    tariff.traded(D(500), DAY + 2)
    assert tariff.rates("X", DAY + DAY_NS - 1).taker == D("0.002")


@pytest.mark.parametrize("hour", [0, 7])
def test_what_was_traded_before_the_run_counts_and_is_forgotten_day_by_day(hour: int) -> None:
    """250 in 30 days: 250 now, 241.67 a day later, 100 after 18 days, 91.67 after 19, with nothing traded since."""
    schedule = FeeSchedule((FeeSpan(BEGINNING, LADDER),), retiers_at=hour * DAY_NS // 24, traded_before=D(250))
    tariff = Tariff({"X": schedule, "Y": flat(D(0), D(0))})
    first = DAY + hour * DAY_NS // 24
    found = [tariff.rates("X", first + days * DAY_NS).taker for days in (0, 1, 18, 19)]
    assert found == [D("0.001"), D("0.002"), D("0.002"), D("0.003")]


# --- configs --------------------------------------------------------------------------------------------------------


def problems(fees: str, **given: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as told:
        run_plan(fees, **given)
    return [(problem.path, problem.message) for problem in told.value.problems]


def test_an_unknown_tier_is_refused_with_the_nearest() -> None:
    ((path, message),) = problems("{tier: vip33}")
    assert path == "$.simulation.fees.tier"
    assert "binance-usdm has no tier 'vip33', did you mean `vip3`?" in message


def test_an_unknown_tier_of_one_symbol_is_told_where_it_stands() -> None:
    with pytest.raises(ConfigError) as told:
        plan_of({"X": still("1")}, simulation="{symbols: {X: {fees: {tier: gold}}}}")
    (problem,) = told.value.problems
    assert problem.path == "$.simulation.symbols.X.fees.tier" and "valid here: regular, vip1" in problem.message


def test_a_run_that_begins_before_its_first_rate_is_refused() -> None:
    ((path, message),) = problems(HALVED, run=", start: 2024-12-31T23:59:59.999999999Z")
    assert path == "$.simulation.fees.schedule[0].since"
    assert "begins 2024-12-31T23:59:59.999999999Z, and no rate is given before 2025-01-01T00:00:00Z" in message


async def test_data_that_begin_before_the_first_rate_are_refused_once_they_are_loaded() -> None:
    with pytest.raises(
        UsageError, match=r"simulation\.fees\.schedule\[0\]\.since: the run begins 2024-12-31T23:59:00Z"
    ):
        await run_of(run_plan(HALVED, start=START - MINUTE), s=buys())


@pytest.mark.parametrize(
    ("fees", "key"),
    [
        ("{schedule: [{since: 2025-01-01, maker: '0', taker: '0'}], taker: '0'}", "taker"),
        ("{tier: vip1, volume_before: '100'}", "volume_before"),
        ("{schedule: [{since: 2025-01-01, maker: '0', taker: '0'}], tier: vip1}", "tier"),
        ("{schedule: [{since: 2025-01-02, maker: '0', taker: '0'}, {since: 2025-01-02, maker: '0', taker: '0'}]}",
         "schedule[1].since"),
        ("{schedule: []}", "schedule"),
        ("{tier: vip1, maker: '0', taker: '0'}", "tier"),
        ("{schedule: [{since: 2025-01-01, maker: '0', taker: '0.2'}]}", "schedule[0].taker"),
        ("{tax: {maker: '0.2'}}", "tax.maker"),
    ],
)  # fmt: skip
def test_fees_that_contradict_themselves_are_refused(fees: str, key: str) -> None:
    assert [path for path, _ in problems(fees)] == [f"$.simulation.fees.{key}"]


def test_a_discount_that_is_not_given_is_the_venues_own() -> None:
    """USD-M takes 10 % off with BNB, spot 25 %; of an asset that the venue knows nothing of, as in a scenario, 25 %."""
    for venue, asset, fraction in (
        ("binance-usdm", "BNB", "0.1"), ("binance-spot", "BNB", "0.25"), ("bybit-linear", "MNT", None),
    ):  # fmt: skip
        assert load_rules(venue).fees.discount_on(asset) == (None if fraction is None else D(fraction))


# --- runs -----------------------------------------------------------------------------------------------------------


async def test_a_run_pays_the_rate_of_the_moment_of_each_fill() -> None:
    """1000 x 0.0005 at 00:01, half of it at 00:02, where the rate changes, and after."""
    done = await run_of(run_plan(HALVED), s=buys())
    assert [(fill.ts_venue - START, fill.fee) for fill in done.of(OrderFilled)] == [
        (MINUTE, D("0.5")), (2 * MINUTE, D("0.25")), (3 * MINUTE, D("0.25")),
    ]  # fmt: skip
    result = make_result(done.run)
    assert D(result.summary["fees"]) == D("1")
    assert D(result.summary["pnl_split"]["whole"]["fees"]) == D("-1")
    venue = done.run.outside.world.exchanges[0].account
    assert venue.balances["USDT"] == done.run.portfolio.balances["binance-usdm", "USDT"] == D(9999)
    assert venue.fees == {"USDT": D(1)}


async def test_the_summary_names_every_rate_of_the_runs_time() -> None:
    done = await run_of(run_plan(HALVED), s=buys())
    assert [line for line in done.run.outside.assumptions if line.startswith("fees")] == [
        "fees: maker 0.0002, taker 0.0005 of notional",
        "fees from 2025-01-01T00:02:00Z: maker 0.0001, taker 0.00025 of notional",
    ]


@pytest.mark.parametrize(
    ("venue", "start", "fees", "expected"),
    [
        ("binance-spot", "2025-01-01", "{tier: vip5}",
         ["fees: tier vip5, maker 0.00025, taker 0.00031 of notional; a guess, no stored source names them"]),
        ("binance-spot", "2025-01-01", "{tier: vip1}", ["fees: tier vip1, maker 0.0009, taker 0.001 of notional"]),
        ("binance-usdm", "2020-01-01", "{}",
         ["fees: maker 0.0002, taker 0.0005 of notional; a guess, no stored source names them"]),
        ("bybit-linear", "2025-01-01", "{tier: by_volume}",
         ["fees: tier by the volume of the last 30 days, at first maker 0.0002, taker 0.00055 of notional",
          "fees: the volumes from which bybit-linear gives a tier are a guess"]),
        ("bybit-linear", "2025-01-01", "{tier: by_volume, volume_before: '10000000'}",
         ["fees: tier by the volume of the last 30 days, at first maker 0.00018, taker 0.0004 of notional",
          "fees: the volumes from which bybit-linear gives a tier are a guess"]),
    ],
)  # fmt: skip
async def test_a_run_says_where_a_rate_is_a_guess(venue: str, start: str, fees: str, expected: list[str]) -> None:
    coins = ", XB: '1'" if venue.endswith("spot") else ""
    leverage = None if venue.endswith("spot") else 5
    plan = run_plan(fees, venue=venue, start=at(start), leverage=leverage, balances=f"{{USDT: '10000'{coins}}}")
    done = await run_of(plan, s=buys())
    assert [line for line in done.run.outside.assumptions if line.startswith("fees")] == expected


@pytest.mark.parametrize(
    "latency", ["{kind: none}", "{kind: constant, entry_ms: 60000, response_ms: 300, feed_ms: 50}"]
)
async def test_paper_pays_what_the_backtest_pays(latency: str) -> None:
    simulation = f"{{latency: {latency}, spread: {{kind: none}}, impact: {{kind: none}}, fees: {HALVED}}}"
    plan = plan_of({"X": still(*["1000"] * 5)}, simulation=simulation)
    backtest = await record(plan, "backtest", strategies={"s": buys(4)})
    paper = await record(plan, "paper", strategies={"s": buys(4)})
    fees = {event.fee for event in backtest.events if type(event) is OrderFilled}
    assert {D("0.5"), D("0.25")} >= fees and fees
    result = compare(backtest, paper)
    assert result.equal, result.text()


async def test_symbols_that_pay_differently_are_named() -> None:
    plan = plan_of(
        {"X": still("1000", "1000"), "Y": still("10", "10")},
        simulation="{fees: {tier: vip1}, symbols: {Y: {fees: {maker: '0', taker: '0'}}}}",
    )
    done = await run_of(plan, s=Script())
    assert [line for line in done.run.outside.assumptions if line.startswith("fees")] == [
        "fees of X: tier vip1, maker 0.00016, taker 0.0004 of notional",
        "fees of Y: maker 0, taker 0 of notional",
    ]


async def test_a_date_at_which_nothing_changes_is_not_told() -> None:
    """Binance spot had a new table on 2022-06-01 08:00, with the old rates for its lowest tier."""
    for fees in ("{}", "{schedule: [{since: 2022-01-01, maker: '0.001', taker: '0.001'}]}"):
        plan = run_plan(fees, venue="binance-spot", start=at("2022-06-01T07:58:00Z"), leverage=None)
        done = await run_of(plan, s=buys())
        told = [line for line in done.run.outside.assumptions if line.startswith("fees")]
        assert told == ["fees: maker 0.001, taker 0.001 of notional"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6 * MINUTE), st.integers(-20, 100)), max_size=4, unique_by=lambda row: row[0]),
    st.integers(0, 10_000),
)
def test_whatever_is_traded_a_fill_pays_the_row_of_its_own_nanosecond(rows: list[tuple[int, int]], seed: int) -> None:
    """fee = price x qty x rate / 100000 of the last row at or before the fill, and every witness counts the same."""
    dated = [(START - MINUTE, 50), *sorted((START + when, rate) for when, rate in rows)]
    schedule = ", ".join(
        f"{{since: '{timestamp_text(since)}', maker: '{D(rate).scaleb(-5):f}', taker: '{D(2 * rate).scaleb(-5):f}'}}"
        for since, rate in dated
    )
    bars = [("1000", "1002", "998", "1001", "1000"), ("1001", "1003", "999", "1000", "1000")] * 3
    plan = plan_of({"X": bars}, simulation=IDEAL.format(fees=f"{{schedule: [{schedule}]}}"), leverage=5)
    done = asyncio.run(run_of(plan, s=RandomTrader(seed)))
    for fill in done.of(OrderFilled):
        rate = [rate for since, rate in dated if since <= fill.ts_venue][-1] * (2 if fill.liquidity == "taker" else 1)
        assert fill.fee == (fill.price * fill.qty * rate / 100_000).quantize(D("1e-8"), ROUND_DOWN)
    theirs = done.run.outside.world.exchanges[0].account
    assert theirs.balances["USDT"] == done.run.portfolio.balances["binance-usdm", "USDT"]
    assert theirs.fees.get("USDT", 0) == D(make_result(done.run).summary["fees"])


async def test_our_own_check_of_an_order_knows_the_rate_of_the_day() -> None:
    """Bybit, 1@1000 10x: 101.045 with 0.00055 (venues.md section 8), 100 + 0.25 + 0.225 with 0.00025; there are 101."""
    halved = HALVED.replace("'0.0005'", "'0.00055'")
    plan = run_plan(halved, venue="bybit-linear", leverage=10, balances="{USDT: '101'}")
    done = await run_of(plan, s=buys(2))
    (denied,) = done.of(OrderDenied)
    assert denied.reason.startswith("needs 101.045 USDT free, 101 are: 0.045 short")
    assert [event.ts for event in done.of(OrderAccepted)] == [START + 2 * MINUTE]


async def test_both_sides_count_the_same_volume() -> None:
    """10 x 250@4000 in the last hour of 2024 make vip1 of Bybit linear from 07:00 of the next day on (0.04 %)."""
    minutes = 9 * 60
    plan = plan_of(
        {"X": still(*["4000"] * minutes)}, venue="bybit-linear", simulation=IDEAL.format(fees="{tier: by_volume}"),
        balances="{USDT: '50000000'}", leverage=1, start=at("2024-12-31T23:00:00Z"),
    )  # fmt: skip
    trades = [{"side": side, "qty": 250} for side in ("buy", "sell") * 5]
    one = {"side": "buy", "qty": 1}
    done = await run_of(plan, s=Script(*trades, *[None] * (minutes - 72), one, *[None] * 55, one))
    fills = done.of(OrderFilled)
    assert [fill.fee for fill in fills] == [D(550)] * 10 + [D("2.2"), D("1.6")]
    assert fills[10].ts_venue < START + 7 * 60 * MINUTE <= fills[11].ts_venue
    assert done.run.fees.taker("bybit-linear", "X") == D("0.0004")


def test_all_members_of_a_band_pay_the_fees_of_the_day() -> None:
    """0.5 + 0.25 + 0.25 of flat bars, whatever is assumed of queues; the pessimist buys a tick higher."""
    plan = run_plan(HALVED, more="fidelity: band\n")
    result = asyncio.run(run_band(plan, strategies=lambda: {"s": buys()}))
    for member in result.members:
        assert D(member.summary["fees"]) == D("1.0001" if member.name == "pessimistic" else "1")


def test_a_resolved_config_keeps_its_schedule() -> None:
    """What a run folder holds is read again as it was: dates, rates and all."""
    plan = run_plan(HALVED)
    again = read_plan("again.yaml", text=resolved_yaml(plan.config, {}))
    assert again.instruments["binance-usdm", "X"].fees == plan.instruments["binance-usdm", "X"].fees


def test_a_flat_schedule_is_one_rate_for_ever() -> None:
    tariff = Tariff({"X": flat(D("-0.0001"), D("0.0005"))})
    for when in (BEGINNING, 0, INF - 1):
        assert tariff.rates("X", when).full["sell"] == {"maker": D("-0.0001"), "taker": D("0.0005")}


async def test_a_rebate_in_the_other_coin_is_booked_alike_by_every_witness() -> None:
    """Bybit spot, makers get 0.01 %: BUY 1@99 -> 0.0099 USDT, SELL 1@101 -> 0.0001 XB, worth 0.0101 at that price."""
    bars = [
        ("100", "100", "100", "100", "1000"),
        ("100", "100", "98", "100", "1000"),
        ("100", "102", "100", "100", "1000"),
        ("100", "100", "100", "100", "1000"),
    ]
    plan = plan_of(
        {"X": bars}, venue="bybit-spot", leverage=None, simulation=IDEAL.format(fees="{maker: '-0.0001'}"),
        balances="{USDT: '1000', XB: '1'}",
    )  # fmt: skip
    done = await run_of(
        plan, s=Script({"side": "buy", "qty": 1, "price": 99}, {"side": "sell", "qty": 1, "price": 101})
    )
    fills = done.of(OrderFilled)
    assert [(fill.fee, fill.fee_asset) for fill in fills] == [(D("-0.0099"), "USDT"), (D("-0.0001"), "XB")]
    ours = {asset: total for (_, asset), total in done.run.portfolio.balances.items()}
    assert ours == done.run.outside.world.exchanges[0].account.balances == {"USDT": D("1002.0099"), "XB": D("1.0001")}
    result = make_result(done.run)  # raises where the portfolio, the trades and the split disagree
    assert D(result.summary["fees"]) == D("-0.02")
    assert D(result.summary["final_equity"]) - D(result.summary["initial_equity"]) == D("2.0199")
