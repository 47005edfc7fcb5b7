"""The house checks itself. The rules are in `house_rules.py`; here each is held against every file, and against a
made-up text that breaks it, because a check that cannot fail is a defect.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

import house_rules as rules
from house_rules import Finding, Rule, Source

REPOSITORY = Path(__file__).resolve().parent.parent
FILES = rules.files_of(REPOSITORY)
SOURCES = [Source(name, (REPOSITORY / name).read_text()) for name in FILES if name.endswith(".py")]
RECORDED = ("tests/golden/",)
"""Folders with other people's words, kept as they came."""

ENTRANCES = {
    "core/run.py": "the command line: started by name, imported by nobody",
    "sim/backtester.py": "the door for notebooks and scripts: imported by the user",
}
"""Modules that are alive although nothing imports them, each with its reason. May only shrink."""

LONG_FUNCTIONS: dict[tuple[str, str], str] = {}
"""(path, function name) to reason, for functions above the limit. May only shrink; none is the right number."""


def held(findings: Iterable[Finding]) -> None:
    """Fail with every finding as `file:line: what to do`."""
    lines = [f"{finding.path}:{finding.line}: {finding.message}" for finding in findings]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def everywhere(rule: Rule) -> Iterable[Finding]:
    return (finding for source in SOURCES for finding in rule(source))


def texts() -> Iterable[tuple[str, str]]:
    for name in FILES:
        text = None if name.startswith(RECORDED) else rules.text_of(REPOSITORY / name)
        if text is not None:
            yield name, text


# --- the house ------------------------------------------------------------------------------------------------------


def test_the_check_sees_the_house() -> None:
    """A check of no files passes always; these must be among them."""
    paths = {source.path for source in SOURCES}
    assert {"core/events.py", "core/ports.py", "tests/test_tidy.py"} <= paths


def test_every_room_imports_core_and_itself_only() -> None:
    held(everywhere(rules.foreign_rooms))


def test_nobody_imports_the_command_line() -> None:
    held(everywhere(rules.entry_point_imported))


def test_nobody_imports_a_star() -> None:
    held(everywhere(rules.star_imports))


def test_slow_libraries_are_imported_inside_functions() -> None:
    held(everywhere(rules.heavy_imports))


@pytest.mark.parametrize("entry", ["core.run", "core.config", "core.errors"])
def test_the_command_line_starts_without_numpy(entry: str) -> None:
    held(rules.slow_start(SOURCES, entry, (*rules.HEAVY, "numpy")))


def test_no_error_is_swallowed() -> None:
    held(everywhere(rules.swallowed_errors))


def test_time_comes_through_the_clock_and_chance_is_seeded() -> None:
    held(finding for source in SOURCES for finding in rules.unexcused(rules.clocks_and_dice, source))


def test_only_the_risk_engine_makes_commands() -> None:
    held(everywhere(rules.unapproved_commands))


def test_functions_fit_a_screen() -> None:
    found = [finding for source in SOURCES for finding in rules.unexcused(rules.long_functions, source)]
    keys = {(finding.path, finding.message.split()[0]) for finding in found}
    held(finding for finding in found if (finding.path, finding.message.split()[0]) not in LONG_FUNCTIONS)
    held(
        Finding(path, 1, f"{name} is short now: strike it from LONG_FUNCTIONS")
        for path, name in LONG_FUNCTIONS.keys() - keys
    )


def test_files_can_be_read_at_a_sitting() -> None:
    held(everywhere(rules.long_files))


def test_every_module_says_what_it_is_for() -> None:
    held(everywhere(rules.missing_docstrings))


def test_no_file_is_named_for_nothing() -> None:
    held(finding for name in FILES for finding in rules.banned_names(name))


def test_no_notes_to_self() -> None:
    held(finding for name, text in texts() for finding in rules.unfinished(name, text))


def test_no_path_of_one_machine() -> None:
    held(finding for name, text in texts() for finding in rules.machine_paths(name, text))


def test_every_module_is_used() -> None:
    held(rules.dead_modules(SOURCES, ENTRANCES))


def test_every_entrance_exists() -> None:
    held(Finding(path, 1, "there is no such file: strike it from ENTRANCES") for path in ENTRANCES if path not in FILES)


def test_every_excuse_excuses_something_and_says_why() -> None:
    held(everywhere(rules.poor_excuses))


# --- the checks themselves ------------------------------------------------------------------------------------------


def lines_found(rule: Rule, text: str, path: str = "core/made_up.py") -> list[int]:
    return [finding.line for finding in rule(Source(path, text))]


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        ("core/made_up.py", "import sim.world", [1]),
        ("core/made_up.py", "from adapters import files", [1]),
        ("core/made_up.py", "def f():\n    from live.clock import LiveClock", [2]),
        ("core/made_up.py", "if TYPE_CHECKING:\n    from sim.world import World", [2]),
        ("core/made_up.py", "x = importlib.import_module('sim.world')", [1]),
        ("sim/models/made_up.py", "from ...live import clock", [1]),
        ("sim/made_up.py", "from tests import conftest", [1]),
        ("strategies/made_up.py", "import sim", [1]),
        ("core/compose.py", "import sim.world\ndef f():\n    import sim.world", [1]),
        ("core/compose.py", "if TYPE_CHECKING:\n    from sim.world import World", []),
        ("core/compose.py", "def f():\n    import tests.conftest", [2]),
        ("sim/models/made_up.py", "from core.events import Bar\nfrom . import fees\nimport sim.book\nimport math", []),
        ("tests/test_made_up.py", "import sim.world, live.clock", []),
        ("benchmarks/run.py", "import sim.world", []),
    ],
)  # fmt: skip
def test_a_foreign_room_is_caught(path: str, text: str, lines: list[int]) -> None:
    assert lines_found(rules.foreign_rooms, text, path) == lines


@pytest.mark.parametrize("text", ["import core.run", "from core import run", "from core.run import main"])
def test_an_import_of_the_command_line_is_caught(text: str) -> None:
    assert lines_found(rules.entry_point_imported, text, "sim/made_up.py") == [1]
    assert lines_found(rules.entry_point_imported, text, "tests/test_made_up.py") == []


def test_a_star_is_caught() -> None:
    assert lines_found(rules.star_imports, "import core\nfrom core.events import *") == [2]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import pandas as pd", [1]),
        ("import numpy\nfrom pyarrow import feather", [2]),
        ("try:\n    import numba\nexcept ImportError:\n    numba = None", [2]),
        ("class A:\n    import ccxt.async_support", [2]),
        ("def f():\n    import aiohttp", []),
        ("if typing.TYPE_CHECKING:\n    import pandas as pd", []),
    ],
)  # fmt: skip
def test_a_slow_library_at_the_top_is_caught(text: str, lines: list[int]) -> None:
    assert lines_found(rules.heavy_imports, text) == lines


def test_numpy_is_caught_at_the_end_of_a_chain_and_not_inside_a_function() -> None:
    sources = [
        Source("core/run.py", "from core import one\ndef f():\n    import core.three"),
        Source("core/one.py", "import core.two.leaf"),
        Source("core/two/__init__.py", "import numpy as np"),
        Source("core/three.py", "import numpy"),
    ]
    assert [finding.path for finding in rules.slow_start(sources, "core.run", ("numpy",))] == ["core/two/__init__.py"]
    assert [finding.path for finding in rules.slow_start([], "core.run", ("numpy",))] == ["core.run"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("try:\n    f()\nexcept:\n    raise", [3]),
        ("try:\n    f()\nexcept Exception:\n    pass", [3]),
        ("for x in y:\n    try:\n        f()\n    except (KeyError, BaseException):\n        continue", [4]),
        ("try:\n    f()\nexcept Exception:\n    ...", [3]),
        ("with contextlib.suppress(Exception):\n    f()", [1]),
        ("try:\n    f()\nexcept FileNotFoundError:\n    pass", []),
        ("try:\n    f()\nexcept Exception as error:\n    raise Wrong() from error", []),
    ],
)  # fmt: skip
def test_a_swallowed_error_is_caught(text: str, lines: list[int]) -> None:
    assert lines_found(rules.swallowed_errors, text) == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import time\nx = time.time()", [2]),
        ("import time as t\nclock = t.perf_counter_ns", [2]),
        ("from time import monotonic\nx = monotonic()", [2]),
        ("from datetime import datetime as dt\nx = dt.now(UTC)", [2]),
        ("import datetime\nx = datetime.date.today()", [2]),
        ("import random\nx = random.choice(y)", [2]),
        ("from random import shuffle\nshuffle(y)", [2]),
        ("import random\nx = random.Random()", [2]),
        ("import numpy as np\nx = np.random.randn(3)", [2]),
        ("import numpy as np\nx = np.random.default_rng()", [2]),
        ("import uuid\nx = uuid.uuid4()", [2]),
        ("import random\nx = random.Random(seed)", []),
        ("import numpy as np\ndef f(rng: np.random.Generator):\n    return np.random.default_rng(seed=7)", []),
        ("def f(time, clock):\n    return time.time() + clock.now()", []),
    ],
)  # fmt: skip
def test_a_wall_clock_and_unseeded_chance_are_caught(text: str, lines: list[int]) -> None:
    assert lines_found(rules.clocks_and_dice, text) == lines
    assert lines_found(rules.clocks_and_dice, text, "live/made_up.py") == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("from core.commands import SubmitOrder\nx = SubmitOrder(ts=1)", [2]),
        ("from core import commands\nx = commands.CancelOrder(ts=1)", [2]),
        ("from core.commands import AmendOrder as A\nx = A(ts=1)", [2]),
        ("def f(command: SubmitOrder):\n    match command:\n        case SubmitOrder():\n            return 1", []),
    ],
)  # fmt: skip
def test_a_command_made_outside_risk_is_caught(text: str, lines: list[int]) -> None:
    assert lines_found(rules.unapproved_commands, text, "sim/made_up.py") == lines
    assert lines_found(rules.unapproved_commands, text, "core/risk.py") == []


def test_a_function_one_line_too_long_is_caught() -> None:
    just_fits = "@cached\ndef f():\n" + "    x = 1\n" * (rules.FUNCTION_LINES_MAX - 1)
    assert lines_found(rules.long_functions, just_fits) == []
    assert lines_found(rules.long_functions, just_fits + "    x = 1\n") == [2]


def test_a_file_one_line_too_long_is_caught() -> None:
    assert lines_found(rules.long_files, "x = 1\n" * rules.FILE_LINES_MAX) == []
    assert lines_found(rules.long_files, "x = 1\n" * (rules.FILE_LINES_MAX + 1)) == [rules.FILE_LINES_MAX + 1]


def test_a_module_without_docstring_is_caught() -> None:
    assert lines_found(rules.missing_docstrings, "import math\n") == [1]
    assert lines_found(rules.missing_docstrings, '"""What it is for."""\n') == []
    assert lines_found(rules.missing_docstrings, "") == []


@pytest.mark.parametrize("path", ["core/utils.py", "sim/order_helpers.py", "adapters/common/wire.py", "live/misc.toml"])
def test_a_name_for_nothing_is_caught(path: str) -> None:
    assert len(list(rules.banned_names(path))) == 1
    assert list(rules.banned_names("core/base_asset.py")) == []


def test_a_note_to_self_is_caught() -> None:
    text = "fine\n# TO" + "DO later\nx = 1  # FIX" + "ME: now\nmastodon, xxx and fixmeup are fine\n"
    assert [finding.line for finding in rules.unfinished("docs/made_up.md", text)] == [2, 3]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("open('/ho" + "me/ann/x.csv')", 1),
        ("see /wo" + "rk/main and /t" + "mp/x", 2),
        ("C:\\Us" + "ers\\ann", 1),
        ("https://example.com/ho" + "me/page, ../work/x, $HOME/tmp/x, /usr/bin/env, tmp_path / 'x'", 0),
    ],
)  # fmt: skip
def test_a_path_of_one_machine_is_caught(text: str, count: int) -> None:
    assert len(list(rules.machine_paths("docs/made_up.md", text))) == count


def test_a_dead_module_is_caught_even_where_a_test_imports_it() -> None:
    sources = [
        Source("core/run.py", "def f():\n    from sim import used\n    import_module('live.named')"),
        Source("sim/used.py", ""),
        Source("live/named.py", ""),
        Source("sim/dead.py", "import sim.dead"),
        Source("strategies/ema.py", ""),
        Source("tests/test_dead.py", "import sim.dead"),
    ]
    found = list(rules.dead_modules(sources, {"core/run.py": "the command line"}))
    assert [finding.path for finding in found] == ["sim/dead.py"]


def test_an_excuse_counts_once_with_a_reason_and_where_it_is_needed() -> None:
    text = (
        "import time\n"
        "a = time.time()  # tidy: wall seconds of the manifest, no result depends on it\n"
        "b = time.time()  # tidy: because\n"
        "c = 1  # tidy: this line has never needed any excuse\n"
        "d = '# tidy: text in a string is no excuse', time.time()\n"
    )
    source = Source("core/made_up.py", text)
    assert [finding.line for finding in rules.unexcused(rules.clocks_and_dice, source)] == [5]
    assert [finding.line for finding in rules.poor_excuses(source)] == [3, 4]
