"""What a config means before anything runs: keys nobody may pass over, money in the right asset, ids."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from core.compose import read_plan
from core.errors import ConfigError, Problem
from core.plan import Plan

CONFIG = """\
run: {{name: tiny, seed: 1}}
{venue}
{account}
instruments: {{X: {{tick: "0.1", step: "0.001", quote: {quote}}}}}
data:
  - {{symbol: X, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}
simulation: {simulation}
strategies:
  - {{name: s, class: "strategies.ema_cross:EmaCross", symbols: [X]{strategy}}}
"""
PARTS = {
    "venue": "venue: {name: binance-usdm}",
    "account": 'account: {wallet: "1000"}',
    "quote": "USDT",
    "simulation": "{}",
    "strategy": "",
}


def plan(*assignments: str, **parts: str) -> Plan:
    return read_plan("tiny.yaml", assignments, text=CONFIG.format(**PARTS | parts))


def problems(**parts: str) -> list[Problem]:
    with pytest.raises(ConfigError) as told:
        plan(**parts)
    return told.value.problems


def test_a_key_beside_the_name_of_a_venue_is_refused_with_the_nearest() -> None:
    (problem,) = problems(venue="venue: {name: binance-usdm, nam: 1}")
    assert (problem.line, problem.path) == (2, "$.venue.nam")
    assert "unknown key, did you mean `name`?" in problem.message


def test_what_may_differ_by_venue_one_day_is_refused_by_name_and_the_rest_as_unknown() -> None:
    """Design section 12: an entry of `venues` has name, account, instruments, simulation."""
    found = problems(
        venue="venues: {perp: {name: binance-usdm, account: {}, instruments: {}, simulation: {}, acount: {}}}"
    )
    assert [problem.path.removeprefix("$.venues.perp.") for problem in found] == [
        "account", "instruments", "simulation", "acount",
    ]  # fmt: skip
    assert all("not offered yet" in problem.message for problem in found[:3])
    assert "did you mean `account`?" in found[3].message


@pytest.mark.parametrize("quote", ["USDT", "USDC"])
def test_a_wallet_is_counted_in_the_quote_asset(quote: str) -> None:
    (venue,) = plan(quote=quote).venues.values()
    assert venue.balances == {quote: Decimal(1000)}


def test_models_that_have_no_effect_on_bars_are_told_one_line_each() -> None:
    sections = "{queue: {kind: power}, crossed: {kind: displayed}, stp: {default: none}}"
    assert plan(simulation=sections).warnings == [
        f"simulation.{name} has no effect on bars" for name in ("queue", "crossed", "stp")
    ]
    assert plan(simulation="{spread: {kind: none}}").warnings == []


@pytest.mark.parametrize(
    ("venue", "simulation", "path", "told"),
    [
        # venues.md: USD-M takes EXPIRE_TAKER, EXPIRE_MAKER and EXPIRE_BOTH; DECREMENT and TRANSFER are spot's
        (
            "binance-usdm",
            "{stp: {default: transfer}}",
            "stp.default",
            "has no mode `transfer`, expected one of: none, ",
        ),
        ("binance-usdm", "{symbols: {X: {stp: {default: decrement}}}}", "symbols.X.stp.default", "no mode `decrement`"),
        ("binance-usdm", "{margin: {bybit_liq: mark}}", "margin.bybit_liq", "leave it out"),
        ("binance-usdm", "{margin: {bybit_liq: entry}}", "margin.bybit_liq", "leave it out"),
        ("bybit-linear", "{queue: {kind: l3_fifo}}", "queue.kind", "X has bars"),
        ("bybit-linear", "{symbols: {X: {queue: {kind: l3_fifo}}}}", "symbols.X.queue.kind", "only `l3` data has"),
        ("bybit-linear", "{symbols: {XY: {spread: {kind: none}}}}", "symbols.XY", "did you mean `X`?"),
    ],
)
def test_a_model_that_the_venue_or_the_data_cannot_follow_is_refused(
    venue: str, simulation: str, path: str, told: str
) -> None:
    (problem,) = problems(venue=f"venue: {{name: {venue}}}", simulation=simulation)
    assert problem.path == f"$.simulation.{path}"
    assert told in problem.message


def test_a_self_trade_mode_of_spot_and_the_open_question_of_bybit_are_taken_where_they_have_a_meaning() -> None:
    assert plan(venue="venue: {name: binance-spot}", simulation="{stp: {default: transfer}}")
    assert plan(venue="venue: {name: bybit-linear}", simulation="{margin: {bybit_liq: entry}}")


def test_a_drawdown_of_one_strategy_is_refused() -> None:
    (problem,) = problems(strategy=', risk: {max_drawdown: "0.1"}')
    assert problem.path == "$.strategies[0].risk.max_drawdown"
    assert "for the account only: move it to `risk.max_drawdown`" in problem.message


@pytest.mark.parametrize("place", ["{%s}", "{symbols: {X: {%s}}}"])
def test_fees_in_an_asset_that_the_account_has_nothing_of_are_refused(place: str) -> None:
    (problem,) = problems(simulation=place % "fees: {pay_in: BNB, pay_price: '600'}")
    assert problem.path == "$.account.balances" and "fees are paid in BNB" in problem.message


@pytest.mark.parametrize(
    ("fees", "key"),
    [("{pay_in: BNB}", "pay_price"), ("{pay_price: '600'}", "pay_price"), ("{discount: '2'}", "discount")],
)
def test_half_a_fee_in_another_asset_is_refused(fees: str, key: str) -> None:
    assert [problem.path for problem in problems(simulation=f"{{fees: {fees}}}")] == [f"$.simulation.fees.{key}"]


def test_where_results_go_and_how_they_are_told_changes_no_id() -> None:
    """Ids are counted under the digest; the seed and the models are part of it."""
    digest = plan().digest
    for same in ("run.results=elsewhere", "run.cache=elsewhere", "report.equity_interval=1h", "log.level=debug"):
        assert plan(same).digest == digest
    for other in ("run.seed=2", "run.name=other", "simulation.spread.kind=none"):
        assert plan(other).digest != digest


# --- recorded latency -----------------------------------------------------------------------------------------------

RECORDED = "{latency: {kind: recorded, file: %s}}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "req,exch,resp\n0,3,8\n1000,1009,1021\n"),
        ("rows.csv", "0, 3, 8\n\n1000, 1009, 1021"),
        ("rows.json", "[[0, 3, 8], [1000, 1009, 1021]]"),
    ],
)
def test_recorded_rows_may_come_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """Relative to where the program is started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    (venue,) = plan(simulation=RECORDED % name).venues.values()
    assert venue.simulation.latency.rows == [(0, 3, 8), (1000, 1009, 1021)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.csv", None, ["cannot be read"]),
        ("rows.csv", "", ["at least one row"]),
        ("rows.csv", "req,exch,resp\n0,3\n", ["row 2", "three numbers"]),
        ("rows.csv", "0,3,nan\n", ["row 1", "finite"]),
        ("rows.csv", "5,6,7\n0,3,8\n", ["sorted by request time", "row 2 is at 0 after 5"]),
        ("rows.json", '{"req": 1}', ["a list of rows", "dict"]),
        ("rows.json", "[[1,2,3]", ["expected CSV, or JSON"]),
        ("rows.json", "[7]", ["row 1", "three numbers"]),
    ],
)
def test_a_file_that_holds_no_rows_is_a_problem_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    (problem,) = problems(simulation=RECORDED % name)
    assert problem.path == "$.simulation.latency.file"
    assert all(word in problem.message for word in [name, *words]), problem.message


def test_rows_and_file_exclude_each_other() -> None:
    for latency in ("{kind: recorded}", "{kind: recorded, file: a.csv, rows: [[0, 3, 8]]}"):
        (problem,) = problems(simulation=f"{{latency: {latency}}}")
        assert "exactly one of `rows` and `file`" in problem.message
