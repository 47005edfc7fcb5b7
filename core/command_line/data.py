"""The verb `data`: download market data, list what is kept, check it, mend it, take it out, bring files in; and ask a
venue for the filters that a config needs.

stdout is the result; progress goes to stderr, on a terminal only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

from core.account.told_brackets import told_brackets
from core.command_line.progress import Progress, wants_lines
from core.compose import cache_folder, market_data, read_plan
from core.config import TapeKind
from core.errors import INTERRUPTED, DataError, UsageError
from core.notation import interval_ns, timestamp_ns
from core.plain_text import iso_minute, iso_second, printable
from core.ports import Downloaded, KeptHistory, ToldBrackets
from core.settings.encode import to_plain, to_yaml
from core.settings.scalars import advice, nearest

KINDS: tuple[str, ...] = get_args(TapeKind)
BARS = ("bars", "marks", "index")
REPAIR = "python -m core.run data repair"
HOLES_SHOWN = 3
Result = TypeVar("Result")


def run_data(options: argparse.Namespace) -> int:
    """Do what the options say; returns the exit code. Raises UsageError, ConfigError, DataError, VenueError."""
    _check(options)
    plan = read_plan(options.config, tuple(options.set)) if options.config else None
    root = Path(options.cache) if options.cache else cache_folder(None if plan is None else plan.config)
    progress = Progress(sys.stderr, shown=wants_lines(sys.stderr) and not options.quiet)
    act: Callable[..., int] = {
        "download": _download,
        "list": _list,
        "verify": _verify,
        "repair": _repair,
        "export": _export,
        "convert": _convert,
        "instruments": _instruments,
    }[options.action]
    try:
        return act(market_data(root), plan, options, progress)
    finally:
        progress.clear()


def _check(options: argparse.Namespace) -> None:
    """Refuse options that say nothing here, in one sentence. Raises UsageError."""
    action = options.action
    named = action in ("download", "export", "convert", "instruments")
    if options.rows and not named:
        raise UsageError(f"`data {action}` is about the whole cache: leave `{' '.join(options.rows)}` out")
    if options.config and action not in ("download", "repair"):
        raise UsageError(f"--config belongs to `data download` and `data repair`, not to `data {action}`")
    if action == "download" and bool(options.rows) == bool(options.config):
        raise UsageError(
            "say what to download: --config FILE, or VENUE SYMBOL KIND [INTERVAL] --from TIME, like: "
            "data download binance-usdm BTCUSDT bars 1m --from 2025-05-04 --to 2025-06-03"
        )
    if options.cache and options.config:
        raise UsageError("with --config the cache is that of the config: --set run.cache=DIR")
    if action == "download" and options.rows and options.since is None:
        raise UsageError("say from when: --from 2025-05-04")
    if options.files and action != "convert":
        raise UsageError(f"--files belongs to `data convert`, not to `data {action}`")
    if action == "convert" and not (options.rows and options.files and options.out):
        raise UsageError(
            "say what, of which files and where to, like: data convert binance-usdm BTCUSDT trades "
            "--files 'dumps/BTCUSDT-trades-*.zip' --out tapes"
        )
    if action == "instruments" and len(options.rows) < 2:
        raise UsageError("say whose and which, like: data instruments binance-usdm LINKUSDT ADAUSDT")
    if action == "export" and (not options.rows or options.out is None):
        raise UsageError(
            "say what and where to: data export VENUE SYMBOL KIND [INTERVAL] --out FILE.csv or FILE.parquet"
        )


# --- download -------------------------------------------------------------------------------------------------------


def _download(desk: Any, plan: Any, options: argparse.Namespace, progress: Progress) -> int:
    if plan is not None:
        wanted = [(f"{s.key[0]} {s.key[1]} {s.kind}", s.source) for s in plan.streams]
    else:
        venue, symbol, kind, length = _rows(options.rows)
        history = desk.history(venue, symbol, kind, length, _time(options.since), _time(options.until))
        wanted = [(" ".join(options.rows), history)]

    async def all_of_it() -> None:
        for venue, brackets in ({} if plan is None else await told_brackets(plan, anew=True)).items():
            print("\n".join(_about_brackets(venue, brackets)))
        for name, source in wanted:
            if not isinstance(source, KeptHistory):
                print(f"{name}: nothing to download, its source is here")
                continue
            told = await source.download(partial(progress.loading, name))
            progress.clear()
            print("\n".join(_about(told)))

    return _until_interrupted(all_of_it(), "what was answered is kept: the same command goes on from there")


def _about(told: Downloaded) -> list[str]:
    downloaded = "downloaded" if told.new == told.rows else f"{told.new:,} of them new"
    how = downloaded if told.asked else "was kept already"
    lines = [f"{told.what}: {told.rows:,} rows from {iso_minute(told.since)} to {iso_minute(told.until)}, {how}"]
    return [*lines, *(f"  {note}" for note in told.notes)]


def _about_brackets(venue: str, told: ToldBrackets) -> list[str]:
    lines = [
        f"{venue} {symbol} brackets: {len(rows[-1].tiers)} tiers as told at {iso_minute(rows[-1].since)}"
        for symbol, rows in told.tiers.items()
    ]
    return [*lines, *(f"  {note}" for note in told.notes)]


def _until_interrupted(work: Coroutine[Any, Any, None], left: str) -> int:
    """Run to the end, or to Ctrl-C or SIGTERM, which let what is in hand be written first."""

    async def stoppable() -> None:
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(NotImplementedError):  # no such handlers on Windows: there it ends at once
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await work

    try:
        asyncio.run(stoppable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        print(f"interrupted; {left}", file=sys.stderr)
        return INTERRUPTED
    return 0


# --- looking --------------------------------------------------------------------------------------------------------


def _list(desk: Any, plan: Any, options: argparse.Namespace, progress: Progress) -> int:
    listing, brackets = desk.listing(), desk.brackets()
    if options.json:
        import msgspec

        print(msgspec.json.encode([*listing, *brackets]).decode())
        return 0
    if not listing and not brackets:
        print(f"nothing is kept in {desk.root}")
    for one in listing:
        name = " ".join(filter(None, (one.venue, one.symbol, one.kind, one.interval)))
        print(f"{printable(name)}: {one.rows:,} rows, {one.bytes / 1e6:,.1f} MB in {_many(one.files, 'file')}")
        for since, until in one.answered:
            print(f"  {iso_minute(since)} to {iso_minute(until)}")
        if len(one.answered) > 1:
            between = zip(one.answered[:-1], one.answered[1:], strict=True)
            unasked = [f"{iso_minute(before[1])} to {iso_minute(after[0])}" for before, after in between]
            print(f"  never fetched: {_some(unasked)}")
        if one.gaps:
            holes = [f"{iso_minute(gap.since)} to {iso_minute(gap.until)}" for gap in one.gaps]
            print(f"  the venue has no rows: {_some(holes)}")
    for one in brackets:
        told = [iso_minute(at) for at in reversed(one.told)]
        print(f"{printable(f'{one.venue} {one.symbol}')} brackets: {one.tiers} tiers, told at {_some(told)}")
    return 0


def _verify(desk: Any, plan: Any, options: argparse.Namespace, progress: Progress) -> int:
    count, damaged = desk.verify(partial(progress.loading, unit="files"), rows=options.deep)
    progress.clear()
    for one in damaged:
        print(f"{one.path}: {one.reason}")
    if damaged:
        raise DataError(f"{len(damaged)} of {_many(count, 'file')} damaged; repair with: {REPAIR}")
    print(f"{_many(count, 'file')} in {desk.root}, all as they were written")
    return 0


def _repair(desk: Any, plan: Any, options: argparse.Namespace, progress: Progress) -> int:
    known = {}
    for stream in plan.streams if plan is not None else ():
        shelf = getattr(stream.source, "shelf", None)
        if shelf is not None:
            known[shelf.folder] = stream.source
    left: list[str] = []

    async def all_of_it() -> None:
        done, rest = await desk.repair(known, progress.loading)
        progress.clear()
        left.extend(rest)
        print("\n".join(done) if done else f"nothing to repair in {desk.root}")

    code = _until_interrupted(all_of_it(), "what was answered is kept: the same command goes on from there")
    if left:
        raise DataError("\n".join(left))
    return code


# --- taking out -----------------------------------------------------------------------------------------------------


def _export(desk: Any, plan: Any, options: argparse.Namespace, progress: Progress) -> int:
    venue, symbol, kind, length = _rows(options.rows)
    tape, missing = desk.tape(venue, symbol, kind, length, _time(options.since), _time(options.until))
    desk.export(tape, Path(options.out), progress.loading)
    progress.clear()
    print(f"wrote {options.out}: {len(tape):,} rows from {iso_minute(tape.edges.first_ts_venue - tape.interval_ns)}")
    for note in tape.notes:
        print(f"  {note}", file=sys.stderr)
    for since, until in missing:
        print(f"  not in the cache: {iso_minute(since)} to {iso_minute(until)}", file=sys.stderr)
    return 0


def _convert(desk: Any, plan: Any, options: argparse.Namespace, progress: Progress) -> int:
    venue, symbol, kind, length = _rows(options.rows)
    for source, target, tape, is_new in desk.convert(venue, symbol, kind, length, options.files, Path(options.out)):
        first, over = tape.edges.first_ts_venue - tape.interval_ns, tape.edges.last_ts_venue
        where = f"written to {target}" if is_new else f"in {target} already"
        print(f"{source}: {len(tape):,} rows from {iso_minute(first)} to {iso_minute(over)}, {where}", flush=True)
        for note in tape.notes:
            print(f"  {note}", file=sys.stderr)
    print(f'a run reads them with: source: {{kind: file, path: "{target.parent}/*.parquet"}}')
    return 0


# --- filters ---------------------------------------------------------------------------------------------------------


def _instruments(desk: Any, plan: Any, options: argparse.Namespace, progress: Progress) -> int:
    """A section of a config: what the venue says of these symbols now."""
    venue, *symbols = options.rows
    known = asyncio.run(desk.instruments(venue, symbols[0]))
    sections = {}
    for symbol in symbols:
        if symbol not in known:
            raise UsageError(f"{venue} has no symbol `{symbol}`, {advice(nearest(symbol, known), list(known)[:5])}")
        sections[symbol] = to_plain(known[symbol])
        asked = iso_second(known[symbol].since)
        del sections[symbol]["since"]
    print(f"# as {venue} said at {asked}\n{to_yaml({'instruments': sections})}", end="")
    return 0


# --- words ----------------------------------------------------------------------------------------------------------


def _rows(words: list[str]) -> tuple[str, str, str, int]:
    """(venue, symbol, kind, interval in ns). Raises UsageError."""
    example = "like: binance-usdm BTCUSDT bars 1m"
    if len(words) not in (3, 4):
        raise UsageError(f"expected VENUE SYMBOL KIND [INTERVAL], found `{' '.join(words)}`; {example}")
    venue, symbol, kind = words[:3]
    if kind not in KINDS:
        raise UsageError(f"unknown kind `{kind}`, known: {', '.join(KINDS)}; {example}")
    if (kind in BARS) != (len(words) == 4):
        need = f"{kind} need an interval" if kind in BARS else f"{kind} have no interval, leave `{words[3]}` out"
        raise UsageError(f"{need}; {example}")
    return venue, symbol, kind, _spelled(interval_ns, words[3]) if len(words) == 4 else 0


def _time(text: str | None) -> int | None:
    return None if text is None else _spelled(timestamp_ns, text)


def _spelled(read: Callable[[str], Result], text: str) -> Result:
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"`{text}`: {error}") from None


def _some(texts: list[str]) -> str:
    more = len(texts) - HOLES_SHOWN
    return ", ".join(texts[:HOLES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _many(count: int, thing: str) -> str:
    return f"1 {thing}" if count == 1 else f"{count:,} {thing}s"
