"""What is known to fail before the first call is told as the strategy is loaded, in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.compose import read_plan
from core.errors import ConfigError, UsageError
from core.hosting.loading import check_strategy, load_strategy
from tiny_run import Script, flat, plan_of, run_of

CONFIG = """
run: {{name: tiny, seed: 1}}
venue: {{name: binance-usdm}}
account: {{balances: {{USDT: "10000"}}}}
data:
  - {{symbol: BTCUSDT, kind: bars, interval: 1m, source: {{kind: synthetic, days: 1}}}}
strategies:
  - {{name: mine, class: "{path}", symbols: [BTCUSDT]}}
"""

GOOD = "    def generate_signals(self, market_data, position_state): ...\n"
# Rows: name, source, what is said.
SOURCES: list[tuple[str, str, str]] = [
    ("exits", "import sys\nsys.exit(3)\n", "cannot import .*: SystemExit: 3 .*exits.py:2"),
    ("cancels", "import asyncio\nraise asyncio.CancelledError\n", "cannot import .*: CancelledError .*cancels.py:2"),
    ("typo", "x = 1\nif x\n    y = 2\n", r"SyntaxError: expected ':' \(.*typo.py:2  if x\)"),
    ("lacks", "x = 1\nimport no_such_thing_here\n", "No module named 'no_such_thing_here' .*lacks.py:2"),
    ("leaves", f"class S:\n    def __init__(self): raise SystemExit('enough')\n{GOOD}",
     r"cannot be made .*SystemExit: enough \(.*leaves.py:2\)"),
    ("asks", f"class S:\n    def __init__(self, fast, slow): ...\n{GOOD}",
     "(?m)missing 2 required positional arguments: 'fast' and 'slow'$"),
    ("zeros", "\0", r"source code string cannot contain null bytes \(is it a text file in UTF-8\?\)"),
    ("short", "class S:\n    def generate_signals(self, market_data): ...\n",
     r"generate_signals\(market_data\) cannot be called as generate_signals\(market_data, position_state\): too many"),
    ("waits", f"class S:\n    async def on_event(self, event): ...\n{GOOD}",
     "on_event is async, expected a plain method"),
    ("begins", f"class S:\n    async def on_start(self): ...\n{GOOD}", "on_start is async"),
    ("ends", f"class S:\n    def on_stop(self, why): ...\n{GOOD}",
     r"on_stop\(why\) cannot be called as on_stop\(\): missing"),
    ("flag", f"class S:\n    on_event = True\n{GOOD}", "on_event is a bool, expected a method"),
    ("words", f"class S:\n    warmup = 'ten'\n{GOOD}", "warmup is 'ten', expected 0 to 1,000,000"),
    ("negative", f"class S:\n    warmup = -1\n{GOOD}", "warmup is -1, expected 0 to 1,000,000"),
    ("huge", f"class S:\n    warmup = 10**12\n{GOOD}", "warmup is 1000000000000, expected 0 to 1,000,000"),
    ("half", f"class S:\n    warmup = 1.5\n{GOOD}", "warmup is 1.5, expected 0 to 1,000,000"),
    ("raises", f"class S:\n    @property\n    def warmup(self): raise KeyError('later')\n{GOOD}",
     r"warmup cannot be read \(KeyError: 'later'\), expected 0 to 1,000,000"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "message"), SOURCES, ids=[row[0] for row in SOURCES])
def test_what_cannot_be_run_is_a_problem_of_the_config(
    name: str, source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"loaded_{name}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = f"{module}:S" if "class S" in source else module
    with pytest.raises(UsageError, match=message) as caught:
        load_strategy(path, {})
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=message) as told:
        read_plan("tiny.yaml", text=CONFIG.format(path=path))
    assert [problem.path for problem in told.value.problems] == ["$.strategies[0].class"]


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("named_{n}.py", "named without its ending: `class: named_{n}`"),
        ("named_{n}", "has no function generate_signals; name a class as named_{n}:Only"),
        ("named_{n}:generate_signals", "named_{n} has no generate_signals; it has Only"),
        ("plain_{n}:generate_signals", "name the module alone, `class: plain_{n}`"),
    ],
)
def test_a_name_that_nearly_fits_is_told_how_to_write_it(
    path: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "nearly"
    (tmp_path / f"named_{name}.py").write_text(f"class Only:\n{GOOD}")
    (tmp_path / f"plain_{name}.py").write_text(GOOD.replace("    def", "def").replace("self, ", ""))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError) as caught:
        load_strategy(path.format(n=name), {})
    assert advice.format(n=name) in str(caught.value)


async def test_an_object_that_is_handed_in_is_checked_too() -> None:
    with pytest.raises(UsageError, match="strategy s: warmup is 'ten', expected 0 to 1,000,000"):
        await run_of(plan_of({"X": flat("100")}), s=Script(warmup="ten"))


class Flexible:
    """Takes whatever it is called with."""

    warmup = np.int64(4)

    def generate_signals(self, *inputs: Any, **more: Any) -> None:
        return None

    def on_event(self, event: Any, log: Any = None) -> None:
        return None


def test_any_object_that_can_be_called_as_promised_passes() -> None:
    check_strategy(Flexible(), "s")
    check_strategy(Script(warmup=0), "s")
