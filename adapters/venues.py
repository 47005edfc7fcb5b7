"""Which venues this program knows rules for, and where they are."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from core.decode import decode
from core.errors import ConfigError, Problem
from core.fee_tables import VenueFees
from core.margin import DatedTiers
from core.venue_rules import SharedCollateralRules, VenueRules
from core.yaml_nodes import parse

HERE = Path(__file__).parent
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
    folder, part = VENUES[name]
    path = HERE / folder / "rules.yaml"
    node = parse(path.read_text(encoding="utf-8"), str(path.relative_to(HERE.parent)))
    problems: list[Problem] = []
    written = node.child(part)
    if written is None:
        missing = Problem(node.line, part, f"expected the rules of {name}, found nothing: restore the file")
        raise ConfigError(f"adapters/{folder}/rules.yaml", [missing])
    rules = decode(written, VenueRules, problems)
    if rules is None or problems:
        raise ConfigError(f"adapters/{folder}/rules.yaml", problems)
    rules = msgspec.structs.replace(rules, fees=load_fees(name))
    if rules.kind == "spot":
        return rules
    return msgspec.structs.replace(rules, brackets=load_brackets(name), collateral=load_collateral(name))


def load_fees(name: str) -> VenueFees:
    """The stored fees of a venue, by date and tier. Raises as `load_rules` does."""
    folder, part = VENUES[name]
    file = f"adapters/{folder}/fees.yaml"
    node = parse((HERE / folder / "fees.yaml").read_text(encoding="utf-8"), file)
    problems: list[Problem] = []
    written = node.child(part)
    fees = None if written is None else decode(written, VenueFees, problems)
    if fees is None or problems:
        raise ConfigError(file, problems or [Problem(node.line, part, f"no fees of {name}: restore the file")])
    return fees


def load_brackets(name: str) -> dict[str, list[DatedTiers]]:
    """The stored maintenance tiers of a venue's symbols, oldest first. Raises as `load_rules` does."""
    folder, part = VENUES[name]
    file = f"adapters/{folder}/brackets.yaml"
    node = parse((HERE / folder / "brackets.yaml").read_text(encoding="utf-8"), file)
    problems: list[Problem] = []
    written = node.child(part)
    brackets: dict[str, list[DatedTiers]] = {}
    for symbol, child in (written.value if written is not None and isinstance(written.value, dict) else {}).items():
        rows = [decode(row, DatedTiers, problems) for row in (child.value if isinstance(child.value, list) else ())]
        brackets[symbol] = [row for row in rows if row is not None]
    if problems or not brackets:
        raise ConfigError(file, problems or [Problem(node.line, part, f"no tiers of {name}: restore the file")])
    return brackets


def load_collateral(name: str) -> SharedCollateralRules:
    """What a venue's assets count for as margin together. Raises as `load_rules` does."""
    folder, part = VENUES[name]
    file = f"adapters/{folder}/collateral.yaml"
    node = parse((HERE / folder / "collateral.yaml").read_text(encoding="utf-8"), file)
    problems: list[Problem] = []
    written = node.child(part)
    rules = None if written is None else decode(written, SharedCollateralRules, problems)
    if rules is None or problems:
        raise ConfigError(file, problems or [Problem(node.line, part, f"no assets of {name}: restore the file")])
    return rules
