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


def _has_model(kind: str) -> Callable[[Scenario], bool]:
    """Whether `models` chooses this one; `none` and delays of 0 are what the simulator does."""

    def is_chosen(scenario: Scenario) -> bool:
        node = scenario.models.child(kind) if scenario.models is not None else None
        if node is None or not isinstance(node.value, dict):
            return node is not None and node.value is not None
        return any(inner.value not in ("none", "0") for inner in node.value.values())

    return is_chosen


def _has_filter(*names: str) -> Callable[[Scenario], bool]:
    return lambda scenario: any(
        getattr(spec, name) is not None for spec in scenario.instruments.values() for name in names
    )


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
    ("sizes in quote units", lambda scenario: any(submit.quote_qty is not None for submit in scenario.submits)),
    ("orders that close a position", lambda scenario: any(submit.close_position for submit in scenario.submits)),
    ("RPI orders", lambda scenario: any(submit.tif == "rpi" for submit in scenario.submits)),
    ("slippage bounds", lambda scenario: any(submit.slippage_tolerance is not None for submit in scenario.submits)),
    ("cross margin", lambda scenario: scenario.account.margin_mode == "cross"),
    (
        "isolated margins of their own",
        lambda scenario: any(held.isolated_margin is not None for held in scenario.account.positions.values()),
    ),
    ("filters by reference price", _has_filter("percent_price", "price_range", "price_limit", "market_take_bound")),
    ("order and position caps", _has_filter("max_orders", "max_trigger_orders", "max_amends", "max_position")),
    ("trigger delays", _has_model("triggers")),
    ("rate limits", _has_model("rate_limits")),
)
