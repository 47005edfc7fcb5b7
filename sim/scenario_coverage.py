"""What the simulator cannot do yet: one table. A row is deleted when its rule arrives."""

from __future__ import annotations

from collections.abc import Callable

from sim.scenario_format import Scenario

COVERED_TYPES = frozenset({"limit", "market", "stop_market", "stop_limit", "take_profit_market", "take_profit_limit"})


def what_is_needed(scenario: Scenario) -> str | None:
    """What a scenario needs that does not exist yet, as in `needs books (depth), hedge mode`; None: it can run."""
    needs = [name for name, is_needed in NEEDS if is_needed(scenario)]
    return f"needs {', '.join(needs)}" if needs else None


def _has_row(*kinds: str) -> Callable[[Scenario], bool]:
    return lambda scenario: any(row.kind in kinds for row in scenario.tape)


NEEDS: tuple[tuple[str, Callable[[Scenario], bool]], ...] = (
    ("books (depth)", _has_row("depth")),
    ("quotes", _has_row("quote")),
    ("trades", _has_row("trade")),
    ("exact books (l3)", _has_row("l3")),
    ("marks", _has_row("mark")),
    ("index prices", _has_row("index")),
    ("reference prices", _has_row("reference")),
    ("funding", _has_row("funding")),
    ("auto-deleveraging (adl)", _has_row("adl")),
    ("hedge mode", lambda scenario: scenario.account.position_mode == "hedge"),
    ("trailing stops", lambda scenario: any(submit.type not in COVERED_TYPES for submit in scenario.submits)),
    (
        "triggers by mark or index",
        lambda scenario: any(submit.trigger_by != "last" for submit in scenario.submits),
    ),
    ("price pegs", lambda scenario: any(submit.price_match is not None for submit in scenario.submits)),
    ("order groups (oco)", lambda scenario: any(submit.oco is not None for submit in scenario.submits)),
)
