"""What `manifest.json` says of a run: with what it was made, from what, how it ended and how long it took."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.checksum import sha256_of
from core.journal import segment_path
from core.orders import OrderStatus
from core.plain_text import iso

if TYPE_CHECKING:
    from core.plan import Plan
    from core.run_parts import RunParts
    from core.tape import Rows

PACKAGES = ("anyclock", "msgspec", "numpy", "pyyaml")
"""Whose versions may change a result or how it is written."""


def versions() -> dict[str, str]:
    """Of Python, the system and the packages a result depends on."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def fields_before(plan: Plan, *, mode: str, argv: list[str]) -> dict[str, Any]:
    """What is known before the first event."""
    return {
        "mode": mode,
        "argv": argv,
        "config": plan.config.file,
        "config_sha256": plan.digest,
        "seed": plan.config.run.seed,
        "versions": versions(),
    }


def fields_after(parts: RunParts, journal: Path) -> dict[str, Any]:
    """What the parts of a run that is over can tell; the journal is closed."""
    delivered = parts.outside.inbox.statistics().delivered
    return {
        "tapes": [_tape(tape) for tape in parts.tapes],
        "events_sha256": parts.journal.events_sha256,
        "journal_sha256": {path.name: sha256_of(path) for path in _segments(journal)},
        "counts": {
            "rows": sum(len(tape) for tape in parts.tapes),
            "delivered": delivered,
            "dispatched": delivered + parts.bus.statistics().dispatched,
            "order_and_account_events": parts.journal.events,
            "journal_records": parts.journal.records,
            "signals": parts.host.signals,
            "orders": len(parts.working.all),
            "denied": sum(order.status is OrderStatus.DENIED for order in parts.working.all.values()),
            "fills": len(parts.recording.fills),
        },
        "strategies": {
            hosted.name: {
                "first_call": None if hosted.started_at is None else iso(hosted.started_at),
                "warmup": hosted.warmup,
                "calls": hosted.calls,
                "failed": hosted.failed,
            }
            for hosted in parts.host.strategies
        },
        "halted": dict(parts.risk.halted),
        "reached": iso(parts.clock.now()),
    }


def _tape(tape: Rows) -> dict[str, Any]:
    return {
        "venue": tape.venue,
        "symbol": tape.symbol,
        "kind": tape.kind,
        "tape_id": tape.tape_id,
        "source": tape.source,
        "rows": len(tape),
        "first": iso(tape.edges.first_ts_venue),
        "last": iso(tape.edges.last_ts_venue),
        "gaps": [{"since": iso(gap.since), "until": iso(gap.until), "rows": gap.rows} for gap in tape.gaps],
    }


def _segments(journal: Path) -> Iterator[Path]:
    number = 1
    while segment_path(journal, number).exists():
        yield segment_path(journal, number)
        number += 1
