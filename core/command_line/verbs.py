"""The verbs of the command line that are no run of a config."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from core.errors import DataError, UsageError

RESULTS = Path("runs")
"""Where `report NAME` looks, as in the config's default."""
BAND = "band.json"
"""As in `core.band`, which would import numpy here."""


def run_verb(verb: str, options: argparse.Namespace) -> int:
    """Run one verb; returns its exit code. Raises what an AnyclockError says."""
    return {
        "check": _check,
        "scenario": _scenario,
        "parity": _parity,
        "data": _data,
        "sweep": _sweep,
        "report": _report,
        "compare": _compare,
        "explain": _explain,
        "new-strategy": _new_strategy,
    }[verb](options)


def _check(options: argparse.Namespace) -> int:
    from core.compose import check

    print("\n".join(check(options.config, tuple(options.set))))
    return 0


def _scenario(options: argparse.Namespace) -> int:
    from core.compose import run_scenarios

    return run_scenarios(options.paths, json=options.json, out=sys.stdout, err=sys.stderr)


def _parity(options: argparse.Namespace) -> int:
    from core.parity import run_parity

    code, text = run_parity(options.config, tuple(options.set))
    print(text)
    return code


def _data(options: argparse.Namespace) -> int:
    from core.command_line.data import run_data

    return run_data(options)


def _sweep(options: argparse.Namespace) -> int:
    from core.command_line.sweep import run_sweep

    return run_sweep(options)


def _new_strategy(options: argparse.Namespace) -> int:
    from core.command_line.new_strategy import write_strategy

    for path in write_strategy(Path(), options.name):
        print(f"wrote {path}")
    print(f"run it: python -m core.run --config {options.name}.yaml")
    return 0


def _report(options: argparse.Namespace) -> int:
    from core.command_line.progress import wants_lines
    from core.report.readable import render_summary

    folder = _run_folder(options.run)
    if (folder / BAND).is_file():
        return _report_band(folder, options)
    status = _read_json(folder / "manifest.json").get("status", "unknown")
    text = _text(folder / "summary.json")
    if options.json:
        sys.stdout.write(text)
        return 0
    try:
        rendered = render_summary(_read_json(folder / "summary.json"), colour=wants_lines(sys.stdout))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / 'summary.json'}: not a summary of this program ({error!r})") from error
    print(f"{rendered}\n\n{'' if status == 'complete' else f'status: {status}{chr(10)}'}run folder: {folder}")
    return 0


def _report_band(folder: Path, options: argparse.Namespace) -> int:
    import msgspec

    from core.band import decode_band
    from core.report.band_text import render_band

    text = _text(folder / BAND)
    if options.json:
        sys.stdout.write(text)
        return 0
    try:
        rendered = render_band(decode_band(text.encode()))
    except (KeyError, TypeError, ValueError, StopIteration, msgspec.MsgspecError) as error:
        raise DataError(f"{folder / BAND}: no band of this program ({error!r})") from error
    print(f"{rendered}\n\nband folder: {folder}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    import yaml

    from core.report.comparison import ReadRun, render_comparison

    runs = []
    for folder in map(_run_folder, options.runs):
        if (folder / BAND).is_file():
            raise UsageError(f"{folder} is a band: name the folders of its runs, which are in it")
        manifest, summary = _read_json(folder / "manifest.json"), _read_json(folder / "summary.json")
        config = yaml.safe_load(_text(folder / "config.yaml"))
        runs.append(ReadRun(folder.name, summary, manifest, config))
    print(render_comparison(runs))
    return 0


def _explain(options: argparse.Namespace) -> int:
    from core.story.explain import explain, explain_json

    folder = _run_folder(options.run)
    runs = _read_json(folder / "manifest.json").get("runs")
    if isinstance(runs, dict):
        named = ", ".join(str(folder / name) for name in runs.values())
        raise UsageError(f"{folder} is a band, and each of its runs has orders of its own: name one of {named}")
    print((explain_json if options.json else explain)(folder, options.order))
    return 0


def _run_folder(name: str) -> Path:
    """The folder a user means: a path, a name in runs/, `latest`. Raises UsageError."""
    for candidate in (Path(name), RESULTS / name):
        if candidate.is_file() and candidate.name == "latest":  # where links are not allowed it is a text file
            candidate = candidate.parent / candidate.read_text(encoding="utf-8").strip()
        if candidate.is_dir():
            if not (candidate / "manifest.json").is_file():
                raise UsageError(f"{candidate} is no run folder: it has no manifest.json")
            return candidate.parent / os.readlink(candidate) if candidate.is_symlink() else candidate
    raise UsageError(f"there is no run {name!r}: give a run folder, its name in {RESULTS}/, or `latest`")


def _read_json(path: Path) -> dict[str, Any]:
    import json

    try:
        read = json.loads(_text(path))
    except ValueError as error:
        raise DataError(f"{path}: no JSON ({error})") from error
    if not isinstance(read, dict):
        raise DataError(f"{path}: expected an object, found {type(read).__name__}")
    return read


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path} is not there: the run ended before its results were written") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
