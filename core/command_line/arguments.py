"""What one may write on the command line. No numpy, no asyncio: `--help` must answer at once."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any

from core.errors import UsageError

QUICKSTART = "configs/quickstart.yaml"
VERBS = {
    "check": "read a config whole, start nothing, tell every problem",
    "scenario": "run scenario files and compare with what they expect",
    "parity": "run a config as a backtest and as paper, compare event by event",
    "data": "download market data, list what is kept, verify, repair, export it; make tapes of files; ask for filters",
    "sweep": "run several configs, or a config with several values, some at a time; one table of all",
    "report": "print the summary of a run again",
    "compare": "print several runs side by side, and what differs in their configs and data",
    "explain": "tell an order's whole story: who wanted it, its queue, why each fill happened, how it ended",
    "new-strategy": "write a strategy and its config to start from",
}
EPILOG = """\
verbs (python -m core.run VERB --help):
{verbs}

exit codes: 0 ok, 1 strategy error or failed check, 2 config or usage, 3 data, 4 venue or network,
            5 risk halt, 6 unresolved orders at stop, 130 interrupted
stdout is the result; progress and log go to stderr, and only to a terminal.
"""
SET_HELP = "change one value of the config, like risk.max_leverage=3 or data[0].source.days=5; may be repeated"


def parse_run(arguments: list[str]) -> argparse.Namespace:
    """Options of a run. Leaves with SystemExit 2 on a wrong flag, 0 after --help."""
    verbs = "\n".join(f"  {name:<14}{what}" for name, what in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="python -m core.run",
        description="Run a trading strategy over market data: a backtest unless --mode says otherwise.\n"
        "Without --config it runs the offline quickstart.",
        epilog=EPILOG.format(verbs=verbs),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--mode", choices=("backtest", "paper", "live", "replay"), default="backtest", help="default: backtest"
    )
    _add_config(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for run folders (default: run.results of the config)")
    parser.add_argument("--tape", action="store_true", help="paper: play the config's data through the live door")
    parser.add_argument(
        "--speed", type=_speed, metavar="N", help="with --tape: N times real time (default: as fast as it goes)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress and no log on stderr")
    parser.add_argument("--debug", action="store_true", help="log at level debug, tracebacks of every error")
    return parser.parse_args(arguments)


def check_run(options: argparse.Namespace) -> None:
    """Refuse what this program cannot do, in one sentence. Raises UsageError."""
    if options.mode in ("live", "replay"):
        what = {"live": "live trading", "replay": "replay of a journal"}[options.mode]
        raise UsageError(f"{what} is not offered yet: --mode backtest and --mode paper --tape are")
    if options.mode == "paper" and not options.tape:
        raise UsageError(
            "paper on a venue's own streams is not offered yet: add --tape to play the config's data through the live "
            "door (and --speed N to watch it)"
        )
    if options.tape and options.mode != "paper":
        raise UsageError("--tape belongs to --mode paper: a backtest plays its data anyway")
    if options.speed is not None and not options.tape:
        raise UsageError("--speed belongs to --mode paper --tape: a backtest runs as fast as it goes")


def parse_verb(verb: str, arguments: list[str]) -> argparse.Namespace:
    """Options of a verb. Leaves with SystemExit 2 on a wrong flag, 0 after --help."""
    what = VERBS[verb]
    parser = argparse.ArgumentParser(
        prog=f"python -m core.run {verb}", description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    if verb == "check":
        parser.add_argument("config", metavar="CONFIG", help="a config file, YAML or JSON")
        parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help=SET_HELP)
    elif verb == "scenario":
        parser.add_argument("paths", nargs="+", metavar="FILE|FOLDER", help="scenario files, or folders of them")
        parser.add_argument("--json", action="store_true", help="print the events as JSON")
    elif verb == "parity":
        _add_config(parser)
    elif verb == "sweep":
        _add_sweep(parser)
    elif verb == "compare":
        parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, their names in runs/, or `latest`")
    elif verb == "report":
        parser.add_argument("run", metavar="RUN", help="a run folder, its name in runs/, or `latest`")
        parser.add_argument("--json", action="store_true", help="print summary.json as it is")
    elif verb == "explain":
        parser.add_argument("run", metavar="RUN", help="a run folder, its name in runs/, or `latest`")
        parser.add_argument(
            "order", metavar="ORDER_ID", help="an order's id, its beginning or last number, its tag, or a fill's id"
        )
        parser.add_argument("--json", action="store_true", help="print the story as JSON")
    elif verb == "data":
        _add_data(parser)
    elif verb == "new-strategy":
        parser.add_argument("name", metavar="NAME", help="a Python name: writes NAME.py and NAME.yaml here")
    parser.add_argument("--debug", action="store_true", help="tracebacks of every error")
    return parser.parse_args(arguments)


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="config files, YAML or JSON")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="a.b=c,d",
        help="values to be tried, like strategies[0].params.fast=5,10,20; of several, every combination is run",
    )
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help=f"in every run: {SET_HELP}")
    parser.add_argument("--jobs", type=_jobs, metavar="N", help="runs at a time (default: as many as there are CPUs)")
    parser.add_argument("--out", metavar="DIR", help="folder for run folders (default: run.results of the config)")
    parser.add_argument("--json", action="store_true", help="print every run's summary as JSON, one list")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("download", "list", "verify", "repair", "export", "convert", "instruments"),
        help="what to do: with the cache, (convert) with files of yours, or (instruments) ask for a config's filters",
    )
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="VENUE SYMBOL KIND [INTERVAL]",
        help="like: binance-usdm BTCUSDT bars 1m; instruments: VENUE SYMBOL, or several symbols",
    )
    parser.add_argument("--config", metavar="FILE", help="download, repair: all that this config needs")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help=SET_HELP)
    parser.add_argument("--from", dest="since", metavar="TIME", help="like 2025-05-04 or 2025-05-04T10:00:00Z, UTC")
    parser.add_argument("--to", dest="until", metavar="TIME", help="up to there (default: the venue's now)")
    parser.add_argument("--files", nargs="+", metavar="FILE", help="convert: files to make tapes of, or patterns")
    parser.add_argument("--out", metavar="FILE", help="export: where to, .csv or .parquet; convert: into which folder")
    parser.add_argument("--rows", dest="deep", action="store_true", help="verify: read every row, not the bytes alone")
    parser.add_argument("--cache", metavar="DIR", help="the cache's folder (default: $ANYCLOCK_CACHE, else .cache)")
    parser.add_argument("--json", action="store_true", help="list: as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def unknown_verb(word: str) -> str:
    """One sentence about a verb nobody knows."""
    if word.endswith((".yaml", ".yml", ".json")):
        return f"a config is named with --config: python -m core.run --config {word}"
    near = difflib.get_close_matches(word, VERBS, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(VERBS)}"
    return f"unknown verb `{word}`, {hint}"


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", action=_Once, metavar="FILE", default=_quickstart(), help=f"default: {QUICKSTART}")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help=SET_HELP)


class _Once(argparse.Action):
    """Refuses a second config, which would silently be the only one."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *given: Any) -> None:
        if getattr(namespace, self.dest) != self.default:
            parser.error("--config is given twice; several configs at once: python -m core.run sweep CONFIG CONFIG")
        setattr(namespace, self.dest, given[0])


def _quickstart() -> str:
    """The quickstart beside the working directory, else the one that came with the program."""
    if Path(QUICKSTART).is_file():
        return QUICKSTART
    return str(Path(__file__).resolve().parents[2] / QUICKSTART)


def _jobs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1000, got {text!r}")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
    if not 0 < speed <= 1e9:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and at most 1e9, got {text}")
    return speed
