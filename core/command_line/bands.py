"""A band from the command line: one folder with a run folder of its own for each of the three runs.

The folder has `config.yaml` (what was asked for), `band.json` (the three side by side) and a `manifest.json` that tells
how far it got; the run folders in it are as any other, and their `config.yaml` runs alone to the same events.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from core.band import BAND, BandResult, Member, encode_band, member_of, plans_of_band, side_by_side
from core.config import resolved_yaml
from core.ending import Ending
from core.plain_text import printable
from core.plan import Plan
from core.report.band_text import render_band
from core.report.manifest import fields_before
from core.report.run_folder import MANIFEST, RunFolder, Status
from core.saved_run import SavedRun

RunOne = Callable[[Plan, argparse.Namespace, SavedRun], Ending]


class BandEnding(NamedTuple):
    """How a band ended: three results, or the run that did not come to its end."""

    result: BandResult | None
    stopped: tuple[Ending, SavedRun] | None
    code: int
    messages: list[str]
    """What runs that are complete have to say beside their results, like a halt."""
    shown: Path
    """The band's folder as the user would name it."""


def run_members(
    plan: Plan, options: argparse.Namespace, argv: list[str], started_in: Path, run_one: RunOne
) -> BandEnding:
    """Run the three into one folder. The first that does not come to its end ends the band.

    Raises what nothing could be started for; then no folder is left.
    """
    plans = plans_of_band(plan)
    given = Path(options.out) if options.out else Path(plan.config.run.results)
    folder = RunFolder.create(
        started_in / given,
        plan.config.run.name,
        time.time_ns(),  # tidy: names the folder and dates the manifest, no result depends on it
        plan.digest[:8],
    )
    folder.manifest.update({"fidelity": "band", **fields_before(plan, mode=options.mode, argv=argv), "runs": {}})
    shown = given / folder.path.name
    members: list[Member] = []
    codes: list[int] = []
    messages: list[str] = []
    for name, own in plans.items():
        saved = SavedRun(own, shown, mode=options.mode, argv=argv, started_in=started_in)
        try:
            ending = run_one(own, options, saved)
        except BaseException as error:
            _close(folder, saved, str(error) or type(error).__name__)
            raise
        if saved.folder is not None:
            folder.manifest["runs"][name] = saved.folder.path.name
        if ending.status != "complete" or ending.result is None or saved.folder is None:
            _close(folder, saved, f"the {name} run is {ending.status}", ending.status)
            return BandEnding(None, (ending, saved), ending.code, messages, shown)
        members.append(member_of(name, ending.result, saved.folder.path.name))
        codes.append(ending.code)
        messages += [f"{name}: {ending.message}"] if ending.message else []
    result = side_by_side(plan, members)
    folder.write("config.yaml", resolved_yaml(plan.config, {}).encode())
    folder.write(BAND, encode_band(result))
    folder.finish("complete", {"events_sha256": {member.name: member.events_sha256 for member in members}})
    return BandEnding(result, None, max(codes), messages, shown)


def tell_band(ending: BandEnding, options: argparse.Namespace) -> int:
    """The result to stdout, the rest to stderr; returns the exit code. Of a band that has a result."""
    assert ending.result is not None, "a band without a result is told by the run that stopped it"
    for message in ending.messages:
        print("\n".join(printable(line) for line in message.splitlines()), file=sys.stderr)
    if options.json:
        print(json.dumps(_machine(ending, ending.result), indent=2))
    else:
        print(f"{render_band(ending.result)}\n\nband folder: {ending.shown}")
    return ending.code


def _machine(ending: BandEnding, result: BandResult) -> dict[str, Any]:
    return {
        **json.loads(encode_band(result)),
        "status": "complete",
        "exit_code": ending.code,
        "message": "\n".join(ending.messages),
        "band_folder": str(ending.shown),
    }


def _close(folder: RunFolder, saved: SavedRun, error: str, status: Status = "failed") -> None:
    """The band is over early. Where no run has left a folder there is nothing to keep."""
    if saved.folder is None and not folder.manifest["runs"]:
        (folder.path / MANIFEST).unlink()
        folder.path.rmdir()
    else:
        folder.finish(status, {"error": error})
