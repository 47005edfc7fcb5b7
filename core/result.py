"""What a finished run left: numbers, tables and files, made from its parts alone.

result = make_result(engine.parts.run)
result.summary["sharpe"], result.trades["pnl"], result.equity.to_pandas()
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from core.config import resolved_yaml
from core.errors import InvariantBroken
from core.events import OrderFilled
from core.market.extremes import TapeExtremes
from core.market.price_paths import PricePath
from core.metrics.equity import EquityCurve
from core.metrics.record import RunRecord
from core.metrics.underwater import drawdown_of
from core.report.export import (
    FILL_TIMES,
    ORDER_TIMES,
    TRADE_TIMES,
    equity_csv,
    fills_csv,
    order_columns,
    orders_csv,
    trades_csv,
    trades_json,
)
from core.report.readable import render_summary
from core.report.recount import recount
from core.report.run_folder import RunFolder
from core.report.summary import build_summary, encode_summary
from core.report.table import Table
from core.run_parts import RunParts
from core.run_remarks import remarks
from core.trade import Trade


class RunResult:
    """Results of one run. Tables are made when they are looked at."""

    def __init__(
        self, record: RunRecord, summary: dict[str, Any], *, config_yaml: str, events_sha256: str, status: str
    ) -> None:
        self.record = record
        """What every number below was computed from."""
        self.summary = summary
        """All of `summary.json`. Money is text with exact decimals, ratios are floats, None is undefined."""
        self.config_yaml = config_yaml
        """The config with its defaults filled in."""
        self.events_sha256 = events_sha256
        """Digest of all order and account events: equal for equal runs."""
        self.status = status
        """`complete`, or how the run ended before its end."""
        self.run_folder: Path | None = None
        """Where the files are; None where nothing was saved."""
        self.trades = _records(record.trades, Trade, TRADE_TIMES)
        self.fills = _records(record.fills, OrderFilled, FILL_TIMES)
        self.orders = Table(lambda: order_columns(record.orders), len(record.orders), ORDER_TIMES)
        self.equity = Table(lambda: _equity_columns(record), len(record.curve), frozenset({"ts"}))

    @property
    def curve(self) -> EquityCurve:
        """The equity rows as exact integers."""
        return self.record.curve

    def __repr__(self) -> str:
        s = self.summary
        change = s["total_return"]
        percent = "" if change is None else f" ({change * 100:+.2f} %)"
        place = "" if self.run_folder is None else f", {self.run_folder}"
        return (
            f"<RunResult {s['run']}, {self.status}: {Decimal(s['initial_equity']):,.2f} to "
            f"{Decimal(s['final_equity']):,.2f} {s['currency']}{percent}, {s['trade_count']:,} trades, "
            f"{s['fill_count']:,} fills{place}>"
        )

    def __str__(self) -> str:
        return render_summary(self.summary)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(render_summary(self.summary))}</pre>"


def make_result(parts: RunParts, *, complete: bool = True, status: str | None = None) -> RunResult:
    """Measure a run that is over. Call it once per run.

    Raises InvariantBroken where a complete run's ledger and its fills disagree; of a run that ended early (`complete`
    false) the disagreement becomes a warning, because the end may have come between a fill and its booking.
    """
    now = parts.clock.now()
    end = max(parts.end, now) if complete else max(parts.start, now)
    extremes = TapeExtremes(parts.tapes, parts.prices.series)
    rates, fee_worth = parts.plan.rates, parts.portfolio.fee_worth
    log = parts.recording.trades(parts.plan.instruments, extremes, end, rates, fee_worth)
    record = RunRecord(
        start=parts.start,
        end=end,
        initial_equity=parts.initial_equity,
        currency=parts.plan.currency,
        curve=parts.recorder.finish(end),
        instruments=parts.plan.instruments,
        fills=parts.recording.fills,
        orders=list(parts.working.all.values()),
        trades=[*log.closed, *log.finish(end)],
        account_events=parts.recording.account_events,
        latencies_ns=parts.recording.latencies_ns,
        unassigned_funding=log.unassigned_funding,
        final_prices=parts.recorder.final_prices,
        deposit_gains=parts.recorder.deposit_gains,
        rates=rates,
        fee_worth=fee_worth,
        market_changes=_market_changes(parts),
    )
    warnings = remarks(parts, record.curve)
    if complete:
        recount(record)
    else:
        warnings.insert(0, f"this run is {status or 'incomplete'}: everything here ends before the data does")
        warnings += _recount_softly(record)
    summary = build_summary(
        record, name=parts.plan.config.run.name, assumptions=parts.outside.assumptions, warnings=warnings
    )
    return RunResult(
        record,
        summary,
        config_yaml=resolved_yaml(parts.plan.config, {}),
        events_sha256=parts.journal.events_sha256,
        status=status or ("complete" if complete else "incomplete"),
    )


def _market_changes(parts: RunParts) -> dict[tuple[str, str], float]:
    """What each symbol's price did from its first price to the last that was heard, as a fraction."""
    firsts = {key: parts.prices.first(key) for key in parts.prices.series}
    marks = parts.portfolio.marks
    return {key: marks[key] / first - 1 for key, first in firsts.items() if first is not None and key in marks}


def write_result(result: RunResult, folder: RunFolder, paths: Sequence[PricePath] = ()) -> None:
    """Write every file of the run but its journal, manifest and log. Same run, same bytes.

    `paths` are the prices that the report draws.
    """
    from core.report.page import report_html

    record = result.record
    folder.write("config.yaml", result.config_yaml.encode())
    folder.write("trades.csv", trades_csv(record.trades))
    folder.write("trades.json", trades_json(record.trades))
    folder.write("orders.csv", orders_csv(record.orders))
    folder.write("fills.csv", fills_csv(record.fills))
    folder.write("equity.csv", equity_csv(record.curve, record.initial_equity))
    folder.write("summary.json", encode_summary(result.summary))
    folder.write("report.html", report_html(record, result.summary, paths).encode())
    result.run_folder = folder.path


def _recount_softly(record: RunRecord) -> list[str]:
    try:
        recount(record)
    except InvariantBroken as error:
        return [str(error)]
    return []


def _records(things: Any, kind: type[Trade | OrderFilled], times: frozenset[str]) -> Table:
    names = kind.__struct_fields__
    return Table(lambda: {name: [getattr(thing, name) for thing in things] for name in names}, len(things), times)


def _equity_columns(record: RunRecord) -> dict[str, np.ndarray]:
    curve = record.curve
    equity, exposure = curve.floats("equity"), curve.floats("exposure")
    return {
        "ts": curve.ts,
        "equity": equity,
        "cash": curve.floats("cash"),
        "unrealized_pnl": curve.floats("unrealized"),
        "exposure": exposure,
        "leverage": np.divide(exposure, equity, out=np.full(len(equity), np.nan), where=equity > 0),
        "drawdown": drawdown_of(curve, float(record.initial_equity)),
    }
