"""A config is read strictly: exact numbers, no guesses, every problem at once with its line, path and remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from config_text import load_config_text
from core.config import (
    Config,
    TapeKind,
    config_error,
    read_config,
    read_config_text,
    resolved_yaml,
)
from core.errors import ConfigError
from core.notation import Millis
from core.settings.overrides import override
from core.settings.yaml_nodes import Node, parse

GOOD = """\
run: {name: quickstart, seed: 7, results: runs}
venue: {name: binance-usdm}
account: {balances: {USDT: "10000"}, leverage: 5, margin_mode: isolated, position_mode: one_way}
instruments: {BTCUSDT: {tick: "0.1", step: "0.001", min_notional: "5"}}
data:
  - {symbol: BTCUSDT, kind: bars, interval: 1m, source: {kind: synthetic, days: 30}}
simulation:
  latency: {kind: constant, entry_ms: 125, response_ms: 125, feed_ms: 0}
strategies:
  - name: ema
    class: "strategies.ema_cross:EmaCross"
    symbols: [BTCUSDT]
    params: {fast: 10, slow: 20, qty: "0.01", factor: 0.5, debug: true}
risk: {max_order_notional: "5000", max_leverage: 5, max_drawdown: "0.5", max_orders_per_minute: 600}
"""
"""The example of the design, section 12."""

MOCK_UP = """\
run: {name: mock, seed: 7}

venue: {name: binance-usdm}
account:
  balances: {USDT: "10000"}
data:
  - symbol: BTCUSDT
    kind: bars
    interval: 1m
    source: {kind: synthetic}
  - {symbol: "NO", kind: bars, interval: 1m, source: {kind: synthetic}}

risk:
  max_levrage: 5
  max_leverage: 500











strategies:
  - name: ema
    class: strategies.ema_cross:EmaCross
    symbols:
      - BTCUSDT
      - NO
"""


def problems_of(text: str, **options: Any) -> list[tuple[int | None, str, str]]:
    """(line, path, message) of everything wrong, as a user sees it sorted."""
    _, problems, _ = read_config_text(text, "run.yaml", **options)
    return [(p.line, p.path, p.message) for p in config_error("run.yaml", problems).problems]


class SquareRoot(msgspec.Struct, tag_field="kind", tag="square_root"):
    coefficient: Decimal = Decimal(1)
    half_life_ms: Millis = 600_000_000_000


class Models(msgspec.Struct):
    """What another room would make of `simulation:`."""

    impact: SquareRoot = msgspec.field(default_factory=SquareRoot)


# --- the whole file -------------------------------------------------------------------------------------------------


def test_the_example_of_the_design_is_read_with_exact_numbers_and_defaults() -> None:
    config = load_config_text(GOOD, "run.yaml")
    assert config.file == "run.yaml"
    assert config.run.seed == 7
    assert config.account.balances == {"USDT": Decimal("10000")}
    assert config.account.leverage == Decimal(5)
    assert config.data[0].interval == 60 * 10**9
    assert config.strategies[0].class_path == "strategies.ema_cross:EmaCross"
    params = config.strategies[0].params
    assert params == {"fast": 10, "slow": 20, "qty": "0.01", "factor": 0.5, "debug": True}
    assert [type(value) for value in params.values()] == [int, int, str, float, bool]
    assert (config.strategies[0].window, config.strategies[0].session) == (500, "main")
    assert config.risk.max_drawdown == Decimal("0.5")
    assert config.paper.hold_ms == 500 * 10**6


def test_sections_of_other_rooms_stay_nodes_with_their_lines() -> None:
    config = load_config_text(GOOD)
    assert config.simulation is not None
    entry = config.simulation.child("latency").child("entry_ms")
    assert isinstance(entry, Node)
    assert (entry.value, entry.line, entry.path) == ("125", 8, "$.simulation.latency.entry_ms")
    assert config.data[0].source.line == 6


def test_the_mock_up_of_the_promises_is_spoken_word_for_word() -> None:
    _, problems, _ = read_config_text(MOCK_UP, "run.yaml", mode="live")
    assert str(config_error("run.yaml", problems)) == (
        "run.yaml: 3 problems, nothing was started\n"
        "  line 14  $.risk.max_levrage          unknown key, did you mean `max_leverage`?\n"
        "  line 15  $.risk.max_leverage         500 is above the hard ceiling 20 for live mode\n"
        '  line 32  $.strategies[0].symbols[1]  expected text, YAML read NO as false: write "NO"\n'
        "check again with: python -m core.run check run.yaml"
    )


def test_an_unknown_a_mistyped_a_missing_and_a_duplicate_key_are_told_at_once() -> None:
    text = GOOD.replace("seed: 7", "seed: soon, sed: 8").replace("{symbol: BTCUSDT, kind", "{kind")
    text += "risk: {kill_switch: maybe}\n"
    assert problems_of(text) == [
        (1, "$.run.seed", "expected a whole number, found soon"),
        (1, "$.run.sed", "unknown key, did you mean `seed`?"),
        (6, "$.data[0].symbol", "missing: expected text"),
        (15, "$.risk", "duplicate key, first on line 14: keep one"),
    ]


def test_an_unknown_key_like_no_other_lists_the_valid_ones() -> None:
    assert problems_of(GOOD.replace("seed: 7", "xylophone: 7")) == [
        (1, "$.run.xylophone", "unknown key, valid here: name, seed, results, cache, start, end")
    ]


def test_a_misspelled_required_key_is_one_problem_not_two() -> None:
    assert problems_of(GOOD.replace("name: quickstart", "nmae: quickstart")) == [
        (1, "$.run.nmae", "unknown key, did you mean `name`?")
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("symbols: [BTCUSDT]", "symbols: [BTCUSD]", ("BTCUSD is in no entry of `data`", "did you mean `BTCUSDT`?")),
        ("symbols: [BTCUSDT]", "symbols: [BTCUSDT, BTCUSDT]", ("named twice",)),
        ("symbols: [BTCUSDT]", "symbols: []", ("must not be empty",)),
        ("name: ema", "name: ../../x", ("a name of letters, digits", "found ../../x")),
        ("name: ema", "name: account", ("`account` is what the account's own limits", "choose another name")),
        ("name: ema", "name: host", ("`host` is what the wishes of an embedding program", "choose another name")),
        ("name: quickstart", "name: ../up", ("found ../up",)),
        ('"strategies.ema_cross:EmaCross"', '"../evil.py:X"', ("an import path like strategies.ema_cross:EmaCross",)),
        ('"strategies.ema_cross:EmaCross"', "my_bot", ("my_bot is a module and takes none", "my_bot:Class")),
        ('"strategies.ema_cross:EmaCross"', '"my_bot:"', ("an import path like", 'found "my_bot:"')),
        ("results: runs", "start: 2025-05-04, end: 2025-05-04", ("must be after `start`",)),
        ("interval: 1m, ", "", ("bars need their interval",)),
        ("kind: bars, interval: 1m", "kind: trades, interval: 1m", ("only bars have an interval",)),
        ("kind: bars, interval: 1m", "kind: bar, interval: 1m", ("unknown name bar, did you mean `bars`?",)),
        ("venue: {name: binance-usdm}", "", ("expected venue: {name: …}",)),
        ("venue: {name: binance-usdm}", "venue:", ("is empty",)),
        ("venue: {name: binance-usdm}", "{venue: {name: a}, venues: {b: {name: b}}", ("not readable as YAML",)),
        ("venue: {name: binance-usdm}", "venue: {name: a}\nvenues: {b: {name: b}}", ("keep one of them",)),
        ("balances: {USDT:", 'wallet: "1", balances: {USDT:', ("`wallet` is short for `balances`",)),
        ("leverage: 5, margin", "leverage: 0.5, margin", ("0.5 is below the minimum 1",)),
        ("leverage: 5, margin", "leverage: {BTCUSDT: 500}, margin", ("500 is above the hard ceiling 150",)),
        ("leverage: 5, margin", "leverage: [5], margin", ("expected a decimal number or a mapping, found a list",)),
        ('max_order_notional: "5000"', "max_order_notional: 1e12", ("write 1000000000000",)),
        ('max_order_notional: "5000"', 'max_order_notional: "9000000000000000"', ("above the maximum",)),
        ('max_order_notional: "5000"', 'max_order_notional: "0"', ("0 must be above 0",)),
        ('max_drawdown: "0.5"', 'max_drawdown: "50"', ("50 is above the maximum 1",)),
        ("max_orders_per_minute: 600", "max_orders_per_minute: 0", ("0 is below the minimum 1",)),
        ("    params:", "    signal_interval: 90s\n    params:", ("whole multiple",)),
        ("    params:", "    on_error: ignore\n    params:", ("expected one of: stop, halt",)),
        ("margin_mode: isolated", "margin_mode: isolatd", ("did you mean `isolated`?",)),
    ],
)
def test_a_wrong_setting_is_one_problem_that_says_what_to_do(old: str, new: str, expected: tuple[str, ...]) -> None:
    problems = problems_of(GOOD.replace(old, new, 1))
    assert len(problems) == 1, problems
    assert all(words in problems[0][2] for words in expected), problems


def test_a_module_may_be_named_as_the_strategy_where_it_is_given_no_parameters() -> None:
    text = GOOD.split("strategies:")[0] + "strategies:\n  - {name: mine, class: bots.my_bot, symbols: [BTCUSDT]}\n"
    assert load_config_text(text).strategies[0].class_path == "bots.my_bot"


def test_a_stream_given_twice_is_refused() -> None:
    entry = "  - {symbol: BTCUSDT, kind: bars, interval: 1m, source: {kind: file, path: x.csv}}\n"
    assert problems_of(GOOD.replace("simulation:", entry + "simulation:")) == [
        (7, "$.data[1]", "$.data[0] is the same stream (bars of BTCUSDT): keep one")
    ]


def test_two_strategies_of_one_name_are_refused() -> None:
    second = "  - {name: ema, class: a.b:C, symbols: [BTCUSDT]}\nrisk:"
    assert problems_of(GOOD.replace("risk:", second)) == [
        (14, "$.strategies[1].name", "another strategy is called ema too: give each its own name")
    ]


def test_several_venues_prefix_their_symbols() -> None:
    text = GOOD.replace("venue: {name: binance-usdm}", "venues: {perp: {name: binance-usdm}, spot: {name: bybit-spot}}")
    text = text.replace("{symbol: BTCUSDT,", "{symbol: BTCUSDT, venue: perp,").replace("[BTCUSDT]", '["perp:BTCUSDT"]')
    assert problems_of(text) == []
    assert problems_of(text.replace("venue: perp,", "venue: prep,"))[0][2] == (
        "prep is no venue of this file, expected one of: perp, spot"
    )


def test_a_wrong_data_entry_does_not_raise_false_alarms_about_strategies() -> None:
    assert [line for line, _, _ in problems_of(GOOD.replace("symbol: BTCUSDT", "symbol: NO"))] == [6]


def test_the_kinds_of_data_are_those_of_tapes() -> None:
    from core import tape

    assert get_args(TapeKind) == get_args(tape.Kind)


# --- text that is no config -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "the file is empty"),
        ("# only a comment\n", None, "the file is empty"),
        ("- a\n- b\n", 1, "expected a mapping (key: value), found a list"),
        ("just words\n", 1, "found just words"),
        ("a:\n\tb: 1\n", 2, "there is a tab: indent with spaces"),
        ("a: [1,\nb: 2\n", 2, "not readable as YAML"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("\ufeffa: 1\n", 1, "byte order mark"),
        ("a: 1\na: 2\n", 2, "duplicate key, first on line 1"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a: !!python/object/apply:os.system [x]\n", 1, "tags are refused"),
        ("a: !!int 5\n", 1, "tags are refused"),
        ("a: ! x\n", 1, "tags are refused"),
        ("a: &x 1\n", 1, "anchor &x"),
        ("<<: {a: 1}\n", 1, "merge key"),
        ("NO: 1\n", 1, 'YAML read NO as false: write "NO"'),
        ("8: 1\n", 1, 'YAML read 8 as a number: write "8"'),
        ("? [a]\n: 1\n", 1, "a key must be text"),
        ("a: \x01\n", 1, "not readable as YAML"),
        ("a: " + "[" * 60 + "]" * 60, 1, "nested deeper than 50 levels"),
        ("a: " + "x" * 1_000_001, None, "larger than 1000000 bytes"),
        ("é" * 500_001, None, "larger than 1000000 bytes"),
    ],
)
def test_text_that_is_no_config_is_refused_with_its_line(text: str, line: int | None, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "x.yaml")
    assert len(caught.value.problems) == 1
    problem = caught.value.problems[0]
    assert words in problem.message
    assert problem.line == line


def test_an_alias_bomb_is_refused_without_being_expanded() -> None:
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 10))
    with pytest.raises(ConfigError) as caught:
        parse(text, "bomb.yaml")
    assert len(caught.value.problems) == 10 + 9 * 2


def test_problems_of_the_text_and_of_the_meaning_stand_in_one_list() -> None:
    text = GOOD.replace("seed: 7", "seed: &s soon").replace("name: ema\n", "name: ema\n    name: ema\n")
    assert [(line, message.split(":")[0]) for line, _, message in problems_of(text)] == [
        (1, "anchor &s"),
        (1, "expected a whole number, found soon"),
        (11, "duplicate key, first on line 10"),
    ]


def test_a_json_file_means_the_same_as_yaml() -> None:
    compact = json.dumps(yaml.safe_load(GOOD), separators=(",", ":"))
    indented = json.dumps(yaml.safe_load(GOOD), indent="\t")
    config = load_config_text(GOOD, "x")
    assert load_config_text(compact, "x").strategies == config.strategies
    assert load_config_text(indented, "x").risk == config.risk


def test_a_path_in_a_message_cannot_write_to_the_terminal() -> None:
    [(_, path, message)] = problems_of(GOOD.replace("seed: 7", '"\\e[31m": "\\e[0m"'))
    assert path == '$.run["\\x1b[31m"]'
    assert "\x1b" not in message


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_file_is_read_and_names_itself_in_the_advice(tmp_path: Path) -> None:
    file = tmp_path / "my run.yaml"
    file.write_text(GOOD.replace("seed: 7", "sed: 7"))
    _, problems, _ = read_config(file)
    error = config_error(str(file), problems)
    assert "did you mean `seed`" in str(error)
    assert str(error).endswith(f"check again with: python -m core.run check '{file}'")
    assert error.exit_code == 2


def test_what_was_set_on_the_command_line_belongs_to_checking_again() -> None:
    given = ("risk.max_levrage=3", "run.name=my run")
    _, problems, _ = read_config_text(GOOD, "run.yaml", given)
    assert str(config_error("run.yaml", problems, given)).endswith(
        "check again with: python -m core.run check run.yaml --set risk.max_levrage=3 --set 'run.name=my run'"
    )


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "latin").write_bytes(b"run:\n  name: caf\xe9\n")
    (tmp_path / "large").write_bytes(b"# " + "é".encode() * 600_000)
    rows = {"": "is a folder", "no.yaml": "is not there", "fifo": "is no regular file", "large": "larger than"}
    for name, words in rows.items():
        with pytest.raises(ConfigError, match=words):
            read_config(tmp_path / name)
    with pytest.raises(ConfigError, match="byte 0xe9 is no UTF-8") as caught:
        read_config(tmp_path / "latin")
    assert caught.value.problems[0].line == 2
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config("nul\0.yaml")


def test_reading_a_config_imports_nothing_heavy() -> None:
    code = "import core.config, sys; print([m for m in ('numpy', 'pandas', 'pyarrow', 'aiohttp') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- --set ----------------------------------------------------------------------------------------------------------


def test_set_replaces_makes_and_appends() -> None:
    config = load_config_text(
        GOOD,
        assignments=[
            "run.seed=11",
            "report.equity_interval=5m",
            "strategies[0].params.qty=\"0.02\"",
            "data[1]={symbol: ETHUSDT, kind: bars, interval: 1m, source: {kind: synthetic}}",
            "strategies[0].symbols=[BTCUSDT, ETHUSDT]",
            'instruments["A.B"].tick=0.5',
            "risk.max_leverage=",
        ],
    )  # fmt: skip
    assert config.run.seed == 11
    assert config.report.equity_interval == 300 * 10**9
    assert config.strategies[0].params["qty"] == "0.02"
    assert config.strategies[0].symbols == ["BTCUSDT", "ETHUSDT"]
    assert config.instruments["A.B"].value["tick"].value == "0.5"
    assert config.risk.max_leverage is None


def test_set_leaves_the_tree_it_is_laid_over_as_it_was() -> None:
    node = parse(GOOD, "x")
    assert override(node, ["run.seed=11"]) != node
    assert node == parse(GOOD, "x")


def test_a_wrong_set_is_told_beside_the_problems_of_the_file() -> None:
    text = GOOD.replace("symbols: [BTCUSDT]", "symbols: NO")
    wrong = ["run.seed=soon", "run.sed=1", "data[7].symbol=X", "run.name.x=1", "nonsense", "a..b=1", "run.seed=[1"]
    problems = problems_of(text, assignments=wrong)
    assert problems[0] == (12, "$.strategies[0].symbols", "expected a list, found NO")
    assert sorted((path, message.partition(":")[0]) for line, path, message in problems[1:]) == [
        ("--set a..b", "expected a path like data[1].symbol, found a..b"),
        ("--set data[7]", "$.data is a list of 1 and has no item [7]"),
        ("--set nonsense", "expected path=value, like risk.max_leverage=3"),
        ("--set run.name.x", "$.run.name is no mapping and has no key x"),
        ("--set run.sed", "unknown key, did you mean `seed`?"),
        ("--set run.seed", "expected a whole number, found soon"),
        ("--set run.seed", "not readable as YAML"),
    ]
    assert all(line is None for line, _, _ in problems[1:])


# --- secrets --------------------------------------------------------------------------------------------------------

CANARY = "c4n4ry-do-not-print"


@pytest.mark.parametrize("key", ["api_key", "apiKey", "secret", "api_secret", "password", "passphrase", "private_key"])
def test_a_secret_written_out_is_refused_and_never_repeated(key: str) -> None:
    text = GOOD.replace("{name: binance-usdm}", f"{{name: binance-usdm, {key}: {CANARY}}}")
    [(line, path, message)] = problems_of(text)
    assert (line, path) == (2, f"$.venue.{key}")
    assert f"write env:{key.upper()}" in message
    for told in (message, repr(read_config_text(text, "x")), str(read_config_text(text, "x")[2].value)):
        assert CANARY not in told
    [(_, path, message)] = problems_of(GOOD, assignments=[f"venue.{key}={CANARY}"])
    assert path == f"--set venue.{key}"
    assert CANARY not in message


def test_a_secret_behind_env_is_taken_for_what_it_is() -> None:
    """Keys of venues have 64 letters and digits, which a variable's name may have too; nobody names one so."""
    key = "Ab1" * 21 + "c"
    [(_, path, message)] = problems_of(
        GOOD.replace("{name: binance-usdm}", f"{{name: binance-usdm, api_key: env:{key}}}")
    )
    assert path == "$.venue.api_key" and "write env:API_KEY" in message and key not in message


def test_a_secret_named_by_its_environment_variable_is_kept_as_a_name() -> None:
    config = load_config_text(GOOD.replace("{name: binance-usdm}", "{name: binance-usdm, api_key: env:BINANCE_KEY}"))
    assert "api_key: env:BINANCE_KEY" in resolved_yaml(config)


# --- the resolved config --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("leverage: 5, margin", 'leverage: {BTCUSDT: "2.50"}, margin').replace(
            "days: 30", 'days: 30, a: 0.10, b: "NO"'
        ),
        GOOD.replace("results: runs", "start: 2025-05-04, end: 2025-06-03T10:00:00.000000001Z")
        + "paper: {hold_ms: 0.5}\nlog: {level: debug}\nreport: {equity_interval: 15m}\n",
    ],
)
def test_the_resolved_config_decodes_to_an_equal_config(text: str) -> None:
    config = load_config_text(text, "x")
    resolved = resolved_yaml(config)
    assert load_config_text(resolved, "x") == config
    assert resolved_yaml(load_config_text(resolved, "x")) == resolved


def test_the_resolved_config_shows_defaults_and_what_other_rooms_made_of_their_sections() -> None:
    config = load_config_text(GOOD)
    plain = yaml.safe_load(resolved_yaml(config, {"simulation": Models()}))
    assert plain["strategies"][0]["window"] == 500
    assert plain["paper"] == {"hold_ms": 500}
    assert plain["simulation"] == {"impact": {"kind": "square_root", "coefficient": "1", "half_life_ms": 600_000}}
    assert "file" not in plain


def test_a_config_cannot_be_changed() -> None:
    config = load_config_text(GOOD)
    assert isinstance(config, Config)
    with pytest.raises(AttributeError):
        config.file = "other"
