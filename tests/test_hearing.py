"""What a strategy hears and what calls it, by its keys in the config and the data there are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from config_text import load_config_text
from core.config import StrategySection
from core.errors import ConfigError
from core.hosting.hearing import Hearing, hearings, problems
from tick_run import tick_plan, trades
from tiny_run import flat, tape_of

SECOND = 1_000_000_000
HEAD = "run: {name: tiny}\nvenue: {name: binance-usdm}\naccount: {wallet: '1'}\n"


def entry(**keys: Any) -> StrategySection:
    section = StrategySection(name="s", class_path="a:B", symbols=["X"])
    return msgspec.structs.replace(section, **keys)


def hearing(kinds: str, **keys: Any) -> Hearing:
    return hearings(entry(**keys), {("v", "X"): kinds.split()}).by_symbol["v", "X"]


@pytest.mark.parametrize(
    ("kinds", "keys", "shown", "calls"),
    [
        # Without `hears`: bars if there are any, else trades, quotes, depth, the first there is.
        ("bars", {}, "bars", "bars"),
        ("depth trades bars quotes", {}, "bars", "bars"),
        ("depth quotes trades marks", {}, "trades", "trades"),
        ("depth quotes", {}, "quotes", "quotes"),
        ("depth", {}, "depth", "depth"),
        # A timer calls alone; with depth the strategy looks at the book.
        ("depth trades", {"timer": SECOND}, "", ""),
        ("trades quotes", {"timer": SECOND}, "trades", ""),
        ("bars depth", {"timer": SECOND}, "bars", ""),
        # With `hears`: that, and all of it calls; together waits for bars.
        ("bars trades", {"hears": ["trades"]}, "trades", "trades"),
        ("bars trades", {"hears": ["bars", "trades"]}, "bars trades", "bars trades"),
        ("bars trades", {"hears": ["bars", "trades"], "call": "together"}, "bars trades", "bars"),
        ("depth trades", {"hears": ["trades"], "timer": SECOND}, "trades", ""),
    ],
)  # fmt: skip
def test_what_is_shown_and_what_calls(kinds: str, keys: dict[str, Any], shown: str, calls: str) -> None:
    found = hearing(kinds, **keys)
    assert (found.shown, found.calls) == (tuple(shown.split()), tuple(calls.split()))
    assert found.streams == found.shown and not found.builds_bars


def test_bars_of_a_signal_interval_are_built_from_trades_where_there_are_none() -> None:
    found = hearing("trades depth", signal_interval=60 * SECOND)
    assert found == Hearing(("bars",), ("bars",), True)
    assert found.streams == ("trades",)
    both = hearing("trades", signal_interval=60 * SECOND, hears=["bars", "trades"])
    assert (both.builds_bars, both.streams) == (True, ("trades",))
    assert not hearing("bars trades", signal_interval=60 * SECOND).builds_bars


@pytest.mark.parametrize(
    ("kinds", "keys", "together"),
    [
        (["bars", "bars"], {}, True),
        (["bars"], {}, False),
        (["bars"], {"call": "together"}, True),
        (["bars", "bars"], {"call": "each"}, False),
        (["bars", "trades"], {}, False),
        (["bars trades", "bars trades"], {"hears": ["bars", "trades"]}, False),
        (["bars trades", "bars trades"], {"hears": ["bars", "trades"], "call": "together"}, True),
        (["bars", "bars"], {"timer": SECOND}, False),
    ],
)  # fmt: skip
def test_several_symbols_are_called_together_where_bars_are_all_they_hear(
    kinds: list[str], keys: dict[str, Any], together: bool
) -> None:
    found = hearings(entry(**keys), {("v", str(at)): words.split() for at, words in enumerate(kinds)})
    assert found.together is together


@pytest.mark.parametrize(
    ("kinds", "keys", "place", "words"),
    [
        ("bars", {"hears": ["trades"]}, "hears[0]", "no entry of `data` has trades of X"),
        ("quotes", {"hears": ["quotes", "bars"]}, "hears[1]", "bars can be built from trades"),
        ("trades", {"call": "together"}, "call", "it hears none of X: use each"),
        ("trades", {"warmup": 5}, "warmup", "5 closed bars would never come"),
        ("quotes", {"signal_interval": SECOND}, "signal_interval", "give `data` bars or trades"),
        ("marks funding", {}, "symbols", "nothing can be heard of X"),
        ("depth", {"input": "pandas", "timer": SECOND}, "input", "use view or dict"),
    ],
)
def test_a_wish_that_the_data_cannot_meet_is_told_with_its_key(
    kinds: str, keys: dict[str, Any], place: str, words: str
) -> None:
    ((found, message),) = problems(entry(**keys), {("v", "X"): kinds.split()})
    assert found == place and words in message


@pytest.mark.parametrize("keys", [{}, {"hears": ["trades"]}, {"timer": SECOND}, {"signal_interval": SECOND}])
def test_a_wish_that_the_data_meet_has_no_problem(keys: dict[str, Any]) -> None:
    assert list(problems(entry(**keys), {("v", "X"): ["trades", "depth"]})) == []


@pytest.mark.parametrize(
    ("strategy", "path", "words"),
    [
        ("s, hears: [quotes]", "strategies[0].hears[0]", "no entry of `data` has quotes of X"),
        ("s, hears: []", "strategies[0].hears", "it hears nothing and would never be called"),
        ("s, hears: [trades, trades]", "strategies[0].hears[1]", "named twice"),
        ("s, timer: 1s, call: each", "strategies[0].call", "`timer` is what calls it"),
        ("s, hears: [trade]", "strategies[0].hears[0]", "did you mean `trades`"),
        ("s, timer: 0ms", "strategies[0].timer", "expected an interval"),
    ],
)
def test_a_config_that_asks_for_what_cannot_be_is_refused_with_its_path(strategy: str, path: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        tick_plan(trades((1, "1")), tape_of(flat("1")), strategy=strategy)
    (problem,) = told.value.problems
    assert problem.path == f"$.{path}" and words in problem.message


def test_a_timer_may_be_shorter_than_a_second() -> None:
    plan = tick_plan(trades((1, "1")), strategy="s, timer: 100ms")
    assert plan.config.strategies[0].timer == 100_000_000


def test_one_symbol_has_bars_of_one_interval() -> None:
    text = """data:
  - {symbol: X, kind: bars, interval: 1m, source: {kind: synthetic}}
  - {symbol: X, kind: bars, interval: 1h, source: {kind: synthetic}}
"""
    with pytest.raises(ConfigError) as told:
        load_config_text(HEAD + text + "strategies: [{name: s, class: 'a:B', symbols: [X]}]")
    (problem,) = told.value.problems
    assert problem.path == "$.data[1]" and "$.data[0] has bars of X already, of another interval" in problem.message
