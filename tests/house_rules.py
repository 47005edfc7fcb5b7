"""The rules `test_tidy.py` holds the house to, each as a function from source text to findings.

A rule takes one `Source` (or, where it is about how files hang together, all of them) and yields a `Finding` for each
line that breaks it. Two rules accept an excuse written on the line, as a comment `# tidy: why this one is right`.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

ROOMS = ("core", "sim", "live", "adapters", "strategies")
OUTSIDE = ("tests", "benchmarks")
"""Folders that may import the rooms and that no room may import."""
HEAVY = ("pandas", "pyarrow", "aiohttp", "ccxt", "numba")
BANNED_NAMES = ("utils", "util", "helpers", "helper", "common", "manager", "base", "misc")
COMMANDS = ("SubmitOrder", "CancelOrder", "AmendOrder")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500


class Finding(NamedTuple):
    """One line that breaks a rule, and what to do about it."""

    path: str
    line: int
    message: str


class Import(NamedTuple):
    """One name brought in: `module` is what stands after `from` or `import`, `name` what is taken out of it."""

    line: int
    module: str
    name: str | None
    place: Literal["module", "function", "typing"]
    """When it happens: as the file is loaded, when a function is called, or for the type checker alone."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Every module this may load: `from core import events` loads core and, it may be, core.events."""
        return (self.module,) if self.name is None else (self.module, f"{self.module}.{self.name}")


class Source:
    """One Python file: its path from the repository's root, with slashes, and its text."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports_under(self.tree.body, self, "module"))

    @cached_property
    def excuses(self) -> dict[int, str]:
        """Line number to the reason of the `# tidy:` comment on it; real comments only, not text in strings."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        matches = ((t.start[0], re.match(r"#\s*tidy:(.*)", t.string)) for t in tokens if t.type == tokenize.COMMENT)
        return {line: match[1].strip() for line, match in matches if match is not None}

    @property
    def room(self) -> str | None:
        first = self.path.split("/")[0]
        return first if first in ROOMS else None

    @property
    def module(self) -> str:
        """The dotted name it is imported by; a package's is its folder's."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


# --- reading the house ----------------------------------------------------------------------------------------------


def files_of(repository: Path) -> list[str]:
    """Every file that is, or could be, committed. Where git cannot say (a plain copy), what is not hidden or built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
        names = answer.stdout.split("\0")
    except (FileNotFoundError, subprocess.CalledProcessError):
        names = [path.relative_to(repository).as_posix() for path in repository.rglob("*")]
        names = [
            name for name in names if not re.search(r"(^|/)(\.(?!ci/)|__pycache__|runs/|build/|.*\.egg-info/)", name)
        ]
    return sorted(name for name in names if name and (repository / name).is_file())


def text_of(path: Path) -> str | None:
    """The file's text, or None where it holds something else."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


# --- imports --------------------------------------------------------------------------------------------------------


def foreign_rooms(source: Source) -> Iterator[Finding]:
    """Every room imports core and itself; core/compose.py may name the others inside its functions."""
    if source.room is None:
        return
    for item in source.imports:
        room = item.module.split(".")[0]
        if room in ("core", source.room) or room not in ROOMS + OUTSIDE:
            continue
        if source.path != "core/compose.py" or room in OUTSIDE:
            advice = "import core and the own room only; core/compose.py hands the part in"
            yield Finding(source.path, item.line, f"{source.room} imports {item.module}: {advice}")
        elif item.place == "module":
            advice = "move it into the function that needs it, so that --help and other modes do not load it"
            yield Finding(source.path, item.line, f"compose imports {item.module} as it is loaded: {advice}")


def entry_point_imported(source: Source) -> Iterator[Finding]:
    """core/run.py is the command line: nobody imports it."""
    for item in source.imports:
        if "core.run" in item.targets and source.path != "core/run.py" and not source.path.startswith("tests/"):
            yield Finding(source.path, item.line, "core.run is the command line: call core.compose instead")


def star_imports(source: Source) -> Iterator[Finding]:
    """Nobody imports a star."""
    for item in source.imports:
        if item.name == "*":
            yield Finding(source.path, item.line, f"name what is needed from {item.module} instead of *")


def heavy_imports(source: Source) -> Iterator[Finding]:
    """What is slow to load is loaded by the function that needs it."""
    if source.room is None:
        return
    for item in source.imports:
        if item.place == "module" and item.module.split(".")[0] in HEAVY:
            advice = "move the import into the function that needs it (under TYPE_CHECKING where only hints do)"
            yield Finding(source.path, item.line, f"{item.module} is slow to load: {advice}")


def slow_start(sources: Iterable[Source], entry: str, banned: tuple[str, ...]) -> Iterator[Finding]:
    """What loading module `entry` drags in, through any chain of the house's own modules, holds none of `banned`."""
    modules = {source.module: source for source in sources}
    if entry not in modules:
        yield Finding(entry, 1, "there is no such module: the check of what it loads sees nothing")
    chains = {entry: entry}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in modules:
            continue
        for item in modules[name].imports:
            if item.place != "module":
                continue
            if item.module.split(".")[0] in banned:
                advice = "import it inside the function that needs it, or import this module later"
                message = f"`import {entry}` loads {item.module} ({chains[name]}): {advice}"
                yield Finding(modules[name].path, item.line, message)
            for target in _with_parents(item.targets):
                if target in modules and target not in chains:
                    chains[target] = f"{chains[name]} > {target}"
                    waiting.append(target)


def dead_modules(sources: Iterable[Source], allowed: dict[str, str]) -> Iterator[Finding]:
    """Each module of a room (strategies are named by configs) is imported by something that is no test."""
    sources = list(sources)
    alive = {
        target
        for source in sources
        if not source.path.startswith("tests/")
        for item in source.imports
        for target in item.targets
        if target != source.module
    }
    for source in sources:
        if source.room in (None, "strategies") or source.path.endswith("__init__.py") or source.path in allowed:
            continue
        if source.module not in alive:
            advice = "use it, delete it, or give it a row with a reason in ENTRANCES of tests/test_tidy.py"
            yield Finding(source.path, 1, f"nothing but tests imports this module: {advice}")


# --- conduct --------------------------------------------------------------------------------------------------------


def swallowed_errors(source: Source) -> Iterator[Finding]:
    """No bare except, and no catching of everything only to do nothing."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield Finding(source.path, node.lineno, "a bare except also catches cancellation: name the error")
        elif isinstance(node, ast.ExceptHandler) and _is_everything(node.type) and all(map(_is_idle, node.body)):
            yield Finding(source.path, node.lineno, "this swallows every error: name the expected one, or tell it")
        elif isinstance(node, ast.Call) and _tail(node.func) == "suppress" and any(map(_is_everything, node.args)):
            yield Finding(source.path, node.lineno, "this suppresses every error: name the expected one")


def clocks_and_dice(source: Source) -> Iterator[Finding]:
    """Inside, time comes through Clock and chance through a seeded generator. May be excused on the line."""
    if source.room not in ("core", "sim", "strategies"):
        return
    names = _names_of(source)
    calls = {id(node.func): node for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        dotted = _dotted(node, names)
        if dotted in SEEDED:
            call = calls.get(id(node))
            if call is not None and not call.args and not call.keywords:
                yield Finding(source.path, node.lineno, f"{dotted} without a seed: hand it the run's")
        elif dotted in WALL_CLOCKS:
            advice = "ask the Clock, or where it cannot change a result, excuse the line with `# tidy: reason`"
            yield Finding(source.path, node.lineno, f"{dotted} reads the wall clock: {advice}")
        elif dotted is not None and dotted.startswith(DICE) and dotted not in GENERATOR_TYPES:
            yield Finding(source.path, node.lineno, f"{dotted} is unseeded chance: use a generator seeded from the run")


def unapproved_commands(source: Source) -> Iterator[Finding]:
    """Only core/risk.py makes commands."""
    if source.room is None or source.path == "core/risk.py":
        return
    names = _names_of(source)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            made = (_dotted(node.func, names) or _tail(node.func) or "").split(".")[-1]
            if made in COMMANDS:
                advice = "publish its Propose… wish and let the RiskEngine answer"
                yield Finding(source.path, node.lineno, f"{made} is made outside core/risk.py: {advice}")


WALL_CLOCKS = frozenset(
    f"time.{name}{unit}" for name in ("time", "monotonic", "perf_counter", "process_time") for unit in ("", "_ns")
) | {
    "time.sleep",
    "time.localtime",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
DICE = ("random.", "numpy.random.", "secrets.", "os.urandom", "uuid.uuid1", "uuid.uuid4")
BIT_GENERATORS = ("SeedSequence", "PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937", "default_rng")
SEEDED = frozenset({"random.Random"} | {f"numpy.random.{name}" for name in BIT_GENERATORS})
"""Good where they are given a seed."""
GENERATOR_TYPES = frozenset({"numpy.random.Generator", "numpy.random.BitGenerator"})


# --- shape ----------------------------------------------------------------------------------------------------------


def long_functions(source: Source) -> Iterator[Finding]:
    """A function fits a screen. May be excused on its def line."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                advice = "keep the branches here and move the arithmetic into leaves"
                message = f"{node.name} has {lines} lines, {FUNCTION_LINES_MAX} fit a screen: {advice}"
                yield Finding(source.path, node.lineno, message)


def long_files(source: Source) -> Iterator[Finding]:
    """A file is short enough to be read at a sitting."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield Finding(source.path, lines, f"{lines} lines, at most {FILE_LINES_MAX}: a second noun wants its own file")


def missing_docstrings(source: Source) -> Iterator[Finding]:
    """Every module says first what it is for; an empty one has nothing to say."""
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield Finding(source.path, 1, "open with a docstring: what is this module for?")


def banned_names(path: str) -> Iterator[Finding]:
    """Files and folders are named by a noun of the trade."""
    for part in PurePosixPath(path).parts:
        stem = part.split(".")[0]
        if stem in BANNED_NAMES or stem.split("_")[-1] in BANNED_NAMES:
            yield Finding(path, 1, f"`{part}` names no thing of the trade: what is in it?")


def unfinished(path: str, text: str) -> Iterator[Finding]:
    """No notes to self in committed text."""
    for line, match in _matches(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", text):
        yield Finding(path, line, f"{match}: do it now, or write it where open work is kept")


def machine_paths(path: str, text: str) -> Iterator[Finding]:
    """No path that exists on one machine only."""
    pattern = r"(?<![\w.$~<>*{}/-])/(?:home|root|work|Users|tmp)/[\w.-]+|\b[A-Z]:\\Users\\\w+"
    for line, match in _matches(pattern, text):
        yield Finding(path, line, f"{match} exists on one machine: say it relative to the repository, or use tmp_path")


# --- excuses --------------------------------------------------------------------------------------------------------

Rule = Callable[[Source], Iterator[Finding]]

EXCUSABLE: tuple[Rule, ...] = (clocks_and_dice, long_functions)
REASON_WORDS_MIN = 3


def unexcused(rule: Rule, source: Source) -> Iterator[Finding]:
    """What a rule finds, less the lines that carry an excuse."""
    return (finding for finding in rule(source) if finding.line not in source.excuses)


def poor_excuses(source: Source) -> Iterator[Finding]:
    """An excuse gives a reason, and stands on a line that needs one."""
    if not source.excuses:
        return
    needed = {finding.line for rule in EXCUSABLE for finding in rule(source)}
    for line, reason in source.excuses.items():
        if line not in needed:
            yield Finding(source.path, line, "this excuse excuses nothing (any more): remove it")
        elif len(reason.split()) < REASON_WORDS_MIN:
            yield Finding(source.path, line, f"`{reason}` is no reason: say why this line is right")


# --- leaves ---------------------------------------------------------------------------------------------------------


def _imports_under(
    nodes: Iterable[ast.AST], source: Source, place: Literal["module", "function", "typing"]
) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, None, place) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, source)
            yield from (Import(node.lineno, module, alias.name, place) for alias in node.names)
        elif isinstance(node, ast.If) and _tail(node.test) == "TYPE_CHECKING":
            yield from _imports_under(node.body, source, "typing")
            yield from _imports_under(node.orelse, source, place)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports_under(ast.iter_child_nodes(node), source, "function")
        else:
            if isinstance(node, ast.Call) and _tail(node.func) in ("import_module", "__import__") and node.args:
                name = node.args[0]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield Import(node.lineno, name.value, None, place)
            yield from _imports_under(ast.iter_child_nodes(node), source, place)


def _absolute(node: ast.ImportFrom, source: Source) -> str:
    if not node.level:
        return node.module or ""
    package = list(PurePosixPath(source.path).parent.parts)
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def _with_parents(targets: Iterable[str]) -> Iterator[str]:
    """Loading a.b.c loads a and a.b first."""
    for target in targets:
        parts = target.split(".")
        yield from (".".join(parts[: length + 1]) for length in range(len(parts)))


def _names_of(source: Source) -> dict[str, str]:
    """What each imported name of a file stands for: {"np": "numpy", "dt": "datetime.datetime"}."""
    names: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, source)
            names.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names})
    return names


def _dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    """`np.random.rand` as numpy.random.rand; None where it does not begin at an imported name."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        front = _dotted(node.value, names)
        return None if front is None else f"{front}.{node.attr}"
    return None


def _tail(node: ast.AST | None) -> str | None:
    """The last name of `a.b.c`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _is_everything(node: ast.AST | None) -> bool:
    if isinstance(node, ast.Tuple):
        return any(map(_is_everything, node.elts))
    return _tail(node) in ("Exception", "BaseException")


def _is_idle(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass | ast.Continue) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _matches(pattern: str, text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        yield from ((number, match[0]) for match in re.finditer(pattern, line))
