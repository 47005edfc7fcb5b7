"""Runs side by side: their numbers, and what differs in the configs and the data they were made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from core.plain_text import printable
from core.report.run_table import WIDTH, Line, render_runs

LINES_MAX = 40
"""Of differences; runs that differ in more have little in common."""


class ReadRun(NamedTuple):
    """What a run folder says."""

    name: str
    summary: dict[str, Any]
    manifest: dict[str, Any]
    config: dict[str, Any]
    """As in `config.yaml`: every key, with its default where the user said nothing."""


def render_comparison(runs: Sequence[ReadRun]) -> str:
    """Text for a terminal, without a line break at the end."""
    lines = [render_runs(Line(run.name, run.summary) for run in runs)]
    for heading, found in (("configs", list(_config_differences(runs))), ("data", list(_data_differences(runs)))):
        if found:
            more = [f"  and {len(found) - LINES_MAX} more"] if len(found) > LINES_MAX else []
            lines += [
                "",
                f"{heading} differ in",
                *(f"  {printable(line)}"[:WIDTH] for line in found[:LINES_MAX]),
                *more,
            ]
        else:
            lines += ["", f"{heading}: the same"]
    same = len({run.manifest.get("events_sha256") for run in runs}) == 1
    lines.append(f"order and account events: {'the same' if same else 'not the same'}")
    return "\n".join(lines)


def _config_differences(runs: Sequence[ReadRun]) -> Iterator[str]:
    """`path  value | value`, a value for each run in their order."""
    flat = [dict(_flattened(run.config)) for run in runs]
    for path in dict.fromkeys(path for each in flat for path in each):
        values = [each.get(path, "-") for each in flat]
        if any(value != values[0] for value in values):
            yield f"{path}  {' | '.join(map(str, values))}"


def _data_differences(runs: Sequence[ReadRun]) -> Iterator[str]:
    """Tapes that not all runs have with the same rows."""
    tapes = [{(t["venue"], t["symbol"], t["kind"]): t for t in run.manifest.get("tapes", [])} for run in runs]
    for key in dict.fromkeys(key for each in tapes for key in each):
        found = [each.get(key) for each in tapes]
        if len({tape and tape["tape_id"] for tape in found}) > 1:
            rows = " | ".join("none" if tape is None else f"{tape['rows']:,} rows" for tape in found)
            yield f"{' '.join(key)}  {rows}"


def _flattened(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a tree with its path: `data[0].source.days`."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flattened(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from _flattened(inner, f"{path}[{at}]")
    else:
        yield path, value
