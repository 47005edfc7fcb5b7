"""Which venues this program knows rules for, and where they are."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TypeVar

import msgspec

from core.account.fee_tables import VenueFees
from core.errors import ConfigError, Problem
from core.margin import DatedTiers
from core.settings.decode import decode
from core.settings.yaml_nodes import Node, parse
from core.venue_rules import SharedCollateralRules, VenueRules

HERE = Path(__file__).parent
Stored = TypeVar("Stored", bound=msgspec.Struct)
VENUES: dict[str, tuple[str, str]] = {
    "binance-spot": ("binance", "spot"),
    "binance-usdm": ("binance", "usdm"),
    "bybit-spot": ("bybit", "spot"),
    "bybit-linear": ("bybit", "linear"),
}
"""Config name to (folder, part of its rules.yaml)."""


def unknown_venue(name: str) -> str:
    """One sentence about a venue nobody knows."""
    near = difflib.get_close_matches(name, VENUES, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(VENUES)}"
    return f"unknown venue {name!r}, {hint}"


def load_rules(name: str) -> VenueRules:
    """The stored rules of a venue. Raises KeyError for a name not in VENUES, ConfigError for a damaged file."""
    rules = msgspec.structs.replace(_stored(name, "rules", VenueRules), fees=_stored(name, "fees", VenueFees))
    if rules.kind == "spot":
        return rules
    return msgspec.structs.replace(rules, brackets=load_brackets(name), collateral=load_collateral(name))


def load_brackets(name: str) -> dict[str, list[DatedTiers]]:
    """The stored maintenance tiers of a venue's symbols, oldest first. Raises as `load_rules` does."""
    file, written = _part_of(name, "brackets")
    problems: list[Problem] = []
    brackets: dict[str, list[DatedTiers]] = {}
    for symbol, child in (written.value if isinstance(written.value, dict) else {}).items():
        rows = [decode(row, DatedTiers, problems) for row in (child.value if isinstance(child.value, list) else ())]
        brackets[symbol] = [row for row in rows if row is not None]
    if problems or not brackets:
        raise ConfigError(file, problems or [Problem(written.line, written.path, "expected tiers: restore the file")])
    return brackets


def load_collateral(name: str) -> SharedCollateralRules:
    """What a venue's assets count for as margin together. Raises as `load_rules` does."""
    return _stored(name, "collateral", SharedCollateralRules)


def _stored(name: str, what: str, kind: type[Stored]) -> Stored:
    file, written = _part_of(name, what)
    problems: list[Problem] = []
    found = decode(written, kind, problems)
    if found is None or problems:
        raise ConfigError(file, problems)
    return found


def _part_of(name: str, what: str) -> tuple[str, Node]:
    """One of the files about a venue, and its part of that file."""
    folder, part = VENUES[name]
    file = f"adapters/{folder}/{what}.yaml"
    node = parse((HERE / folder / f"{what}.yaml").read_text(encoding="utf-8"), file)
    written = node.child(part)
    if written is None:
        missing = Problem(node.line, part, f"expected the {what} of {name}, found nothing: restore the file")
        raise ConfigError(file, [missing])
    return file, written
