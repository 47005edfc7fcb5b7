"""Numbered trades: what the numbers say about rows that came twice and rows that are missing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from adapters.columns import stamp
from adapters.decimals import Column
from core.tape import Gap


class Numbered(NamedTuple):
    """Which rows to keep, and where numbers are missing between them."""

    keep: Column
    """Mask over the rows: False where the number came before."""
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]


def numbered(ids: Column, ts_venue: Column) -> Numbered:
    """Check consecutive trade numbers (int64) of one symbol and stream."""
    keep = np.ones(len(ids), dtype=bool)
    notes = []
    order = np.arange(len(ids))
    if (np.diff(ids) <= 0).any():
        order = np.argsort(ids, kind="stable")
        twice = np.flatnonzero(np.diff(ids[order]) == 0) + 1
        keep[order[twice]] = False
        order = order[keep[order]]
        if len(twice):
            notes.append(f"{len(twice)} trades came twice (same id): the first of each is kept")
    steps = np.diff(ids[order])
    gaps = tuple(
        Gap(since=int(ts_venue[order[i]]), until=int(ts_venue[order[i + 1]]), rows=int(steps[i]) - 1)
        for i in np.flatnonzero(steps > 1)
    )
    if gaps:
        missing, widest = sum(gap.rows for gap in gaps), max(gaps, key=lambda gap: gap.rows)
        notes.append(
            f"{missing} trade ids are missing in {len(gaps)} places; the most ({widest.rows}) between "
            f"{stamp(widest.since)} and {stamp(widest.until)}"
        )
    return Numbered(keep, gaps, tuple(notes))


def named_twice(ids: Column) -> Column:
    """Mask of rows to keep where ids are texts of one width (a numpy bytes column): the first of each."""
    _, first = np.unique(ids, return_index=True)
    keep = np.zeros(len(ids), dtype=bool)
    keep[first] = True
    return keep
