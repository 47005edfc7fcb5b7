"""Several runs beside each other: several configs, several values of one, or both.

Each is a process of its own, started as one would start it alone: same folder, same events, and a strategy that ends
its process ends one run. What they print is collected; the table comes in the order in which the runs were named.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.command_line.progress import wants_lines
from core.compose import read_plan
from core.errors import UsageError
from core.plain_text import printable
from core.report.run_table import Line, render_runs

RUNS_MAXIMUM = 1_000
"""Guess: who tries more looks for the luckiest, and a process for each is the wrong tool for it."""
OPENING, CLOSING = "[{(", ")}]"


class Variant(NamedTuple):
    """One run of a sweep."""

    config: str
    sets: tuple[str, ...]
    label: str


class Outcome(NamedTuple):
    """How it ended."""

    variant: Variant
    code: int
    told: dict[str, Any]
    """The object it printed; empty where nothing could be started."""
    error: str
    """What it said on stderr."""


def run_sweep(options: argparse.Namespace) -> int:
    """Run all, print a table or JSON; the exit code is 0 or that of the first run that has another one.

    Raises ConfigError, UsageError before anything is started.
    """
    variants = variants_of(options.configs, options.set, options.vary)
    for variant in variants:
        with contextlib.redirect_stdout(sys.stderr):  # what a strategy prints when it is imported
            plan = read_plan(variant.config, variant.sets, mode="backtest")
        if plan.config.fidelity == "band":
            raise UsageError(f"{variant.config} asks for a band, which is three runs: run it by itself")
    outcomes = asyncio.run(_run_all(variants, options))
    if options.json:
        print(json.dumps([_machine(outcome) for outcome in outcomes], indent=2))
    else:
        print(_table(outcomes))
    return next((outcome.code for outcome in outcomes if outcome.code), 0)


def variants_of(configs: Sequence[str], sets: Sequence[str], vary: Sequence[str]) -> list[Variant]:
    """Every config with every combination of the values, the last `--vary` changing fastest. Raises UsageError."""
    choices = [_choice(text) for text in vary]
    words = [_word(path, [other for other, _ in choices]) for path, _ in choices]
    variants = []
    for config, values in itertools.product(configs, itertools.product(*(values for _, values in choices))):
        named = [f"{word}={value}" for word, value in zip(words, values, strict=True)]
        whole = [f"{path}={value}" for (path, _), value in zip(choices, values, strict=True)]
        label = " ".join([Path(config).stem] * (len(configs) > 1 or not named) + named)
        variants.append(Variant(config, (*sets, *whole), label))
        if len(variants) > RUNS_MAXIMUM:
            raise UsageError(f"more than {RUNS_MAXIMUM:,} runs: name fewer values")
    return variants


def _choice(text: str) -> tuple[str, list[str]]:
    """`a.b=1,2` as the path and its values."""
    path, equals, values = text.partition("=")
    found = _split(values)
    if not equals or not path.strip() or "" in found:
        raise UsageError(f"--vary {text}: expected path=value,value like strategies[0].params.fast=5,10,20")
    return path.strip(), found


def _split(text: str) -> list[str]:
    """At commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if letter == "," and not depth and not quote:
            parts.append("")
            continue
        parts[-1] += letter
        if letter in "'\"":
            quote = "" if letter == quote else quote or letter
        elif not quote:
            depth += (letter in OPENING) - (letter in CLOSING)
    return [part.strip() for part in parts]


def _word(path: str, paths: Sequence[str]) -> str:
    """The last step of a path, where that says which one is meant."""
    last = path.rpartition(".")[2]
    return last if [other.rpartition(".")[2] for other in paths].count(last) == 1 else path


# --- running --------------------------------------------------------------------------------------------------------


async def _run_all(variants: Sequence[Variant], options: argparse.Namespace) -> list[Outcome]:
    """All of them, `--jobs` at a time. An interrupt is handed on to those that run, once."""
    free = asyncio.Semaphore(options.jobs or _processors())
    shown = wants_lines(sys.stderr) and not options.quiet
    done = itertools.count(1)

    async def run(variant: Variant) -> Outcome:
        async with free:
            outcome = await _run_one(variant, options)
        if shown:
            print(f"{next(done)} of {len(variants)} done: {variant.label}", file=sys.stderr)
        return outcome

    async with asyncio.TaskGroup() as group:  # it waits for all of them, also where it is canceled
        tasks = [group.create_task(run(variant)) for variant in variants]
    return [task.result() for task in tasks]


async def _run_one(variant: Variant, options: argparse.Namespace) -> Outcome:
    """One run in a process of its own, out of reach of the terminal's Ctrl-C, which it would hear twice."""
    sets = [part for assignment in variant.sets for part in ("--set", assignment)]
    out = ["--out", options.out] if options.out else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "core.run", "--config", variant.config, *sets, *out, "--json", "--quiet"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    reading = asyncio.ensure_future(process.communicate())
    try:
        printed, said = await asyncio.shield(reading)
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            process.send_signal(signal.SIGINT)
        await reading
        raise
    code = process.returncode
    assert code is not None, "communicate waits for the end"
    if code < 0:  # by the system, for want of memory, or by somebody's hand
        return Outcome(variant, 1, {}, f"the process was ended by signal {-code}")
    return Outcome(variant, code, json.loads(printed) if printed.strip() else {}, said.decode("utf-8", "replace"))


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- telling --------------------------------------------------------------------------------------------------------


def _table(outcomes: Sequence[Outcome]) -> str:
    """The runs, where their folders are, and what a choice among them is worth."""
    lines = [
        Line(one.variant.label, one.told if one.told.get("status") == "complete" else None, _why(one))
        for one in outcomes
    ]
    folders = [f"  {one.told['run_folder']}  {one.variant.label}" for one in outcomes if one.told.get("run_folder")]
    parts = [render_runs(lines), "", "run folders", *folders]
    failed = [f"  {one.variant.label}: {printable(_why(one))}" for one in outcomes if one.code]
    if failed:
        parts += ["", "ended with another exit code than 0", *failed]
    if len(outcomes) > 1:
        parts += ["", "the best of several is partly the luckiest: judge it on data that it was not chosen on"]
    return "\n".join(parts)


def _why(outcome: Outcome) -> str:
    """Why a run has another exit code than 0, in its first line."""
    if not outcome.code:
        return ""
    said = outcome.told.get("error") or outcome.told.get("message") or outcome.error.strip() or "it said nothing"
    return f"exit code {outcome.code}, {said.splitlines()[0]}"


def _machine(outcome: Outcome) -> dict[str, Any]:
    """What the run told, and which run it is."""
    named = {"config": outcome.variant.config, "set": list(outcome.variant.sets)}
    return named | (outcome.told or {"exit_code": outcome.code, "error": outcome.error.strip()})
