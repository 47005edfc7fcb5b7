"""Running a config from the command line: load, run, write, tell. How a run ended decides the exit code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any, Literal

from core.command_line.bands import run_members, tell_band
from core.command_line.interruption import Interruption
from core.command_line.progress import Progress, wants_lines
from core.command_line.rare_collection import collected_seldom
from core.compose import compose, read_plan, tape_time
from core.ending import Ending
from core.engine import Engine
from core.errors import INTERRUPTED, AnyclockError, DataError, InvariantBroken, RiskHalt, StrategyError
from core.log import RUN, RunLog
from core.plain_text import iso_second, printable
from core.plan import Plan
from core.report.readable import render_summary
from core.report.run_folder import Status
from core.result import RunResult
from core.risk import ACCOUNT
from core.run_parts import RunParts
from core.saved_run import SavedRun

LOG = logging.getLogger(RUN)


def run_config(options: argparse.Namespace, argv: list[str]) -> int:
    """Run the config the options name. Raises ConfigError, DataError and so on where nothing could be started."""
    started_in = Path.cwd()  # before a strategy is imported: it may go elsewhere
    # With --json stdout is one object: what a strategy prints, from its import on, goes where progress goes.
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        plan = read_plan(options.config, tuple(options.set), mode=options.mode)
        if plan.config.fidelity == "band":
            band = run_members(plan, options, argv, started_in, _run_one)
            tell = partial(tell_band, band, options) if band.stopped is None else partial(_tell, *band.stopped, options)
        else:
            results = Path(options.out) if options.out else None
            saved = SavedRun(plan, results, mode=options.mode, argv=argv, started_in=started_in)
            tell = partial(_tell, _run_one(plan, options, saved), saved, options)
    return tell()


def _run_one(plan: Plan, options: argparse.Namespace, saved: SavedRun) -> Ending:
    """One engine with its progress and its log."""
    terminal = wants_lines(sys.stderr) and not options.quiet
    progress = Progress(sys.stderr, shown=terminal)
    level = "debug" if options.debug else plan.config.log.level
    with RunLog(sys.stderr, progress, level=level, console=terminal) as log, collected_seldom():
        ending = asyncio.run(_run(plan, options, saved, progress, log))
        LOG.info("ended %s with exit code %d", ending.status, ending.code)
    return ending


async def _run(plan: Plan, options: argparse.Namespace, saved: SavedRun, progress: Progress, log: RunLog) -> Ending:
    """Run the engine and finish the folder, whatever happens. Raises only what happened before there was a folder."""

    def opened() -> Path:
        path = saved.open()
        log.open(path.with_name("run.log"))
        LOG.info("%s: %s", options.mode, plan.config.file)
        return path

    mode: Literal["backtest", "paper"] = "paper" if options.mode == "paper" else "backtest"
    time_source = tape_time(options.speed) if mode == "paper" else None
    engine = compose(plan, mode=mode, journal_path=opened, progress=progress.loading, time_source=time_source)
    failure: BaseException | None = None
    with Interruption(engine, saved.cut_off, simulated=mode == "backtest") as interruption:
        try:
            async with engine:
                progress.clear()
                log.follow(engine)
                async with progress.following(engine):
                    await engine.run()
        except BaseException as error:  # told below, by kind; nothing is lost
            if saved.folder is None and not interruption.ended:
                raise
            failure = error
        progress.clear()
        if saved.folder is None:
            return Ending("interrupted", INTERRUPTED, None, "interrupted while loading: nothing was started or written")
        return _ended(engine, saved, failure, interruption.ended)


def _ended(engine: Engine, saved: SavedRun, failure: BaseException | None, interrupted: bool) -> Ending:
    """Write what there is and say how it ended."""
    place = saved.shown
    status: Status = "complete" if failure is None else "incomplete" if isinstance(failure, StrategyError) else "failed"
    if interrupted and (failure is None or isinstance(failure, asyncio.CancelledError | KeyboardInterrupt)):
        status = "interrupted"
    text = None if failure is None else str(failure) or type(failure).__name__
    if failure is not None:
        LOG.error("%s", text, exc_info=failure)
    try:
        if not engine.is_entered:
            saved.abandon(text or status)
            return Ending("failed", _code(failure), None, f"nothing was run; {place} says why", failure)
        run = engine.parts.run
        result = saved.finish(status, run, error=text if status != "interrupted" else None)
    except DataError as problem:
        return _unwritten(place, failure, problem)
    except Exception as problem:
        raise problem from failure  # the first error is the one to read
    for warning in result.summary["warnings"]:
        LOG.info("%s", warning)
    if status == "interrupted":
        message = f"interrupted at {iso_second(run.clock.now())}\npartial results: {place}  (marked interrupted)"
        return Ending(status, INTERRUPTED, result, message)
    if failure is not None:
        return Ending(status, _code(failure), result, f"partial results: {place}  (marked {status})", failure)
    return _completed(run, result)


def _unwritten(place: Path | None, failure: BaseException | None, problem: DataError) -> Ending:
    """The disk took no results. A run that had failed before is told by its own error."""
    left = f"what there is: {place}"
    if failure is None or isinstance(failure, asyncio.CancelledError | KeyboardInterrupt):
        return Ending("failed", problem.exit_code, None, left, problem)
    also = "" if isinstance(failure, DataError) else f"{problem}\n"
    return Ending("failed", _code(failure), None, f"{also}{left}", failure)


def _completed(run: RunParts, result: RunResult) -> Ending:
    """A run that reached the end of its data, maybe with trading halted on the way."""
    if ACCOUNT in run.risk.halted:
        message = (
            f"trading was halted: {run.risk.halted[ACCOUNT]}. Nothing that could increase exposure passed after it"
        )
        return Ending("complete", RiskHalt.exit_code, result, message)
    failed = [hosted.name for hosted in run.host.strategies if hosted.failed]
    if failed:
        whys = "; ".join(f"{name}: {run.risk.halted.get(name, 'it failed')}" for name in failed)
        return Ending("complete", StrategyError.exit_code, result, f"halted on the way: {whys}")
    return Ending("complete", 0, result, "")


def _code(failure: BaseException | None) -> int:
    return failure.exit_code if isinstance(failure, AnyclockError) else 1


def _tell(ending: Ending, saved: SavedRun, options: argparse.Namespace) -> int:
    """Errors to stderr, the result to stdout; returns the exit code."""
    if ending.error is not None:
        known = isinstance(ending.error, AnyclockError) and not isinstance(ending.error, InvariantBroken)
        if options.debug or not known:
            traceback.print_exception(ending.error)
        if known:
            _say(str(ending.error))
        else:
            _say("this is a bug of ours, not of your config: please report it with the lines above")
    if ending.message:
        _say(ending.message)
    if options.json:
        print(json.dumps(_machine(ending, saved), indent=2))
    elif ending.result is not None and ending.error is None:
        colour = wants_lines(sys.stdout)
        print(f"{render_summary(ending.result.summary, colour=colour)}\n\nrun folder: {saved.shown}")
    return ending.code


def _machine(ending: Ending, saved: SavedRun) -> dict[str, Any]:
    """The summary and how the run ended, as one JSON object; its last key is the folder's path."""
    summary = {} if ending.result is None else ending.result.summary
    return {
        **summary,
        "status": ending.status,
        "exit_code": ending.code,
        "error": None if ending.error is None else str(ending.error) or type(ending.error).__name__,
        "message": ending.message,
        "events_sha256": None if ending.result is None else ending.result.events_sha256,
        "run_folder": None if saved.shown is None else os.fspath(saved.shown),
    }


def _say(text: str) -> None:
    print("\n".join(printable(line) for line in text.splitlines()), file=sys.stderr)
