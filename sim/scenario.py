"""Scenario files: read, run, compared, printed. `run_files` is the `scenario` verb without its command line.

What runs a scenario is handed in (`run_one`), so this file knows the format and the verdict and nothing of matching.
Exit codes: 0 all equal; 1 a difference or a broken invariant; 2 an unreadable file, an unknown key, wrong usage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from core.errors import ConfigError, DataError, InvariantBroken, Problem, UsageError
from sim.scenarios.compare import ActualEvent, ActualState, Difference, compare
from sim.scenarios.format import ModelsReader, Scenario, load_scenario
from sim.scenarios.print import line_of, result_json, result_lines


class Ran(msgspec.Struct, frozen=True):
    """What a scenario did, in the words of sections 7 and 8 of the scenario page."""

    events: Sequence[ActualEvent]
    """In the order in which we learn of them; times int nanoseconds after `start`."""
    checks: Sequence[ActualState]
    """The venue's state at each entry of the file's `checks`, in its order."""
    final: ActualState
    broken: Sequence[str] = ()
    """Invariants of the fill contract that do not hold, a sentence each."""


RunOne = Callable[[Scenario], Ran]
Verdict = Literal["ok", "failed", "unreadable"]


class Writer(Protocol):
    """Where lines go: stdout, stderr, a buffer of a test."""

    def write(self, text: str, /) -> object: ...


def run_files(
    paths: Sequence[str],
    *,
    json: bool,
    out: Writer,
    err: Writer,
    run_one: RunOne,
    read_models: ModelsReader | None = None,
) -> int:
    """Run files, and folders' `*.yaml` sorted by name; results to `out`, complaints to `err`. Returns the exit code.

    A file that cannot be read does not keep the others from running. Raises UsageError where there is nothing to run.
    """
    if not paths:
        raise UsageError("which scenario? expected files or folders: scenario FILE|FOLDER... [--json]")
    verdicts = [
        _run_file(file, json=json, out=out, err=err, run_one=run_one, read_models=read_models) for file in _files(paths)
    ]
    if not json:
        out.write(_totals(verdicts) + "\n")
    if "unreadable" in verdicts:
        return 2
    return 1 if "failed" in verdicts else 0


def _files(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if not Path(path).is_dir():
            yield path
            continue
        found = sorted(Path(path).glob("*.yaml"), key=lambda file: file.name)
        if not found:
            raise UsageError(f"{path}: no *.yaml in this folder; expected scenario files")
        yield from map(str, found)


def _run_file(
    file: str, *, json: bool, out: Writer, err: Writer, run_one: RunOne, read_models: ModelsReader | None
) -> Verdict:
    try:
        scenario = load_scenario(file, read_models)
        ran = run_one(scenario)
    except ConfigError as error:
        return _report_unreadable(error, json=json, out=out, err=err)
    except DataError as error:
        refusal = ConfigError(file, [Problem(None, "$.tape", str(error))])
        return _report_unreadable(refusal, json=json, out=out, err=err)
    except InvariantBroken as error:
        ran = Ran(events=(), checks=(), final={}, broken=(str(error),))
        return _report(scenario, ran, [_broken(str(error))], json=json, out=out)
    differences = compare(scenario.expectation, ran.events, ran.checks, ran.final)
    differences += [_broken(sentence) for sentence in ran.broken]
    return _report(scenario, ran, differences, json=json, out=out)


def _report(scenario: Scenario, ran: Ran, differences: list[Difference], *, json: bool, out: Writer) -> Verdict:
    if json:
        out.write(result_json(scenario.name, scenario.file, ran.events, ran.final, differences) + "\n")
    else:
        for line in result_lines(scenario.name, scenario.expectation, ran.events, differences):
            out.write(line + "\n")
    return "failed" if differences else "ok"


def _report_unreadable(error: ConfigError, *, json: bool, out: Writer, err: Writer) -> Verdict:
    err.write(f"{error}\n")
    if json:
        problems = [problem._asdict() for problem in error.problems]
        out.write(line_of({"name": None, "file": error.file, "ok": False, "problems": problems}) + "\n")
    return "unreadable"


def _broken(sentence: str) -> Difference:
    return Difference("invariant", "holds", sentence)


def _totals(verdicts: Sequence[Verdict]) -> str:
    """The last line. "files" also for one, so that programs can look for one form."""
    text = f"{len(verdicts)} files, {verdicts.count('failed')} failed"
    unreadable = verdicts.count("unreadable")
    return f"{text}, {unreadable} unreadable" if unreadable else text
