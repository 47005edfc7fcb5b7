"""Scenario files: read, run, compared, printed. `run_files` is the `scenario` verb without its command line.

What runs a scenario is handed in (`run_one`), so this file knows the format and the verdict and nothing of matching.
Exit codes: 0 all equal; 1 a difference, a broken invariant, or a file named by itself that is not covered yet; 2 an
unreadable file, an unknown key, wrong usage. Files that a folder brings along and that are not covered yet are named
and counted, and fail nothing: asking for one of them by name does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from core.errors import ConfigError, DataError, InvariantBroken, Problem, UsageError
from sim.scenario_compare import ActualEvent, ActualState, Difference, compare
from sim.scenario_coverage import what_is_needed
from sim.scenario_format import ModelsReader, Scenario, load_scenario
from sim.scenario_print import line_of, result_json, result_lines

__all__ = ["NotCovered", "Outcome", "Ran", "Scenario", "Writer", "run_files", "what_is_needed"]


class Ran(msgspec.Struct, frozen=True):
    """What a scenario did, in the words of sections 7 and 8 of the scenario page."""

    events: Sequence[ActualEvent]
    """In the order in which we learn of them; times int nanoseconds after `start`."""
    checks: Sequence[ActualState]
    """The venue's state at each entry of the file's `checks`, in its order."""
    final: ActualState
    broken: Sequence[str] = ()
    """Invariants of the fill contract that do not hold, a sentence each."""


class NotCovered(msgspec.Struct, frozen=True):
    """The simulator cannot do what the scenario needs yet; `reason` as in `needs books (depth)`."""

    reason: str


Outcome = Ran | NotCovered
RunOne = Callable[[Scenario], Outcome]
Verdict = Literal["ok", "failed", "not covered", "unreadable"]


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
    verdicts: list[Verdict] = []
    asked_in_vain = False
    for file, by_name in _files(paths):
        verdict = _run_file(file, json=json, out=out, err=err, run_one=run_one, read_models=read_models)
        verdicts.append(verdict)
        asked_in_vain |= by_name and verdict == "not covered"
    if not json:
        out.write(_totals(verdicts) + "\n")
    if "unreadable" in verdicts:
        return 2
    return 1 if "failed" in verdicts or asked_in_vain else 0


def _files(paths: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """(file, whether it was named by itself)."""
    for path in paths:
        if not Path(path).is_dir():
            yield path, True
            continue
        found = sorted(Path(path).glob("*.yaml"), key=lambda file: file.name)
        if not found:
            raise UsageError(f"{path}: no *.yaml in this folder; expected scenario files")
        yield from ((str(file), False) for file in found)


def _run_file(
    file: str, *, json: bool, out: Writer, err: Writer, run_one: RunOne, read_models: ModelsReader | None
) -> Verdict:
    try:
        scenario = load_scenario(file, read_models)
        needed = what_is_needed(scenario)
        outcome = run_one(scenario) if needed is None else NotCovered(needed)
    except ConfigError as error:
        return _report_unreadable(error, json=json, out=out, err=err)
    except DataError as error:
        refusal = ConfigError(file, [Problem(None, "$.tape", str(error))])
        return _report_unreadable(refusal, json=json, out=out, err=err)
    except InvariantBroken as error:
        outcome = Ran(events=(), checks=(), final={}, broken=(str(error),))
        return _report(scenario, outcome, [_broken(str(error))], json=json, out=out)
    if isinstance(outcome, NotCovered):
        return _report_not_covered(scenario, outcome, json=json, out=out)
    differences = compare(scenario.expectation, outcome.events, outcome.checks, outcome.final)
    differences += [_broken(sentence) for sentence in outcome.broken]
    return _report(scenario, outcome, differences, json=json, out=out)


def _report(scenario: Scenario, ran: Ran, differences: list[Difference], *, json: bool, out: Writer) -> Verdict:
    if json:
        out.write(result_json(scenario.name, scenario.file, ran.events, ran.final, differences) + "\n")
    else:
        for line in result_lines(scenario.name, scenario.expectation, ran.events, differences):
            out.write(line + "\n")
    return "failed" if differences else "ok"


def _report_not_covered(scenario: Scenario, outcome: NotCovered, *, json: bool, out: Writer) -> Verdict:
    if json:
        content = {"name": scenario.name, "file": scenario.file, "ok": False, "not_covered": outcome.reason}
        out.write(line_of({**content, "events": [], "final": {}, "differences": []}) + "\n")
    else:
        out.write(f"{scenario.name}\nnot covered yet: {outcome.reason}\n")
    return "not covered"


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
    for verdict, words in (("not covered", "not covered yet"), ("unreadable", "unreadable")):
        count = verdicts.count(verdict)
        text += f", {count} {words}" if count else ""
    return text
