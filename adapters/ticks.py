"""From rows of trades, quotes, depth or orders as somebody recorded them to a tape that can be believed.

Every check a reader of such rows owes is here: numbers above zero, receipts in order and none before its venue time,
the smallest scales. Nothing is repaired in silence; what is odd and can be lived with becomes a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path

import msgspec
import numpy as np

from adapters.columns import stamp
from adapters.csv_table import Gathered
from adapters.decimals import BadCell, Column, Decimals, from_strings, reduced
from adapters.recorded.receipt_clock import FEED_NS, Astray, OutOfOrder, received
from core.errors import DataError
from core.tape import COLUMNS, LAST, NARROW, Gap, Kind, Tape, disorder_ns

CELLS_HELD = 1_000_000
"""Texts kept before they become numbers: bounds the memory of a long recording."""


class NumberColumn:
    """A column that grows by texts and keeps integers."""

    def __init__(self) -> None:
        self._cells: list[str] = []
        self._parts: list[Decimals] = []
        self._done = 0

    def extend(self, cells: Iterable[str]) -> None:
        """Add texts. Raises BadCell, counted from the column's first cell, once many have gathered."""
        self._cells.extend(cells)
        if len(self._cells) >= CELLS_HELD:
            self._convert()

    def append(self, cell: str) -> None:
        """Add one text."""
        self._cells.append(cell)
        if len(self._cells) >= CELLS_HELD:
            self._convert()

    def finish(self) -> Decimals:
        """All cells. Raises BadCell."""
        if self._cells or not self._parts:
            self._convert()
        scale = max(part.scale for part in self._parts)
        done, columns = 0, []
        for part in self._parts:
            try:
                columns.append(part.at_scale(scale))
            except BadCell as cell:
                raise BadCell(done + cell.index, cell.text, cell.why) from None
            done += len(part.mantissas)
        return Decimals(np.concatenate(columns), scale)

    def _convert(self) -> None:
        try:
            self._parts.append(from_strings(self._cells))
        except BadCell as cell:
            raise BadCell(self._done + cell.index, cell.text, cell.why) from None
        self._done += len(self._cells)
        self._cells.clear()


class Ticks(msgspec.Struct):
    """Rows as read, in receipt order: columns of equal length, nothing believed yet."""

    name: str
    """The file, for people."""
    lines: Column
    """Where each row stands: int64, counted in `unit`s from 1."""
    ts_venue: Column
    receipts: Column | None
    """int64 nanoseconds; None where the format has no such time."""
    prices: dict[str, Decimals]
    sizes: dict[str, Decimals]
    codes: dict[str, Column] = {}
    """side, action, flags, order_id."""
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    least_leg_ns: int | None = None
    """Of the whole recording."""
    unit: str = "line"

    def __len__(self) -> int:
        return len(self.lines)

    def error(self, index: int, column: str, found: str, expected: str, remedy: str) -> DataError:
        """One sentence: file, line, column, what stands there, what was expected, what to do."""
        return bad_row(self.name, int(self.lines[index]), column, found, expected, remedy, unit=self.unit)

    def taken(self, keep: Column) -> Ticks:
        """The rows that a mask or an index picks."""
        return msgspec.structs.replace(
            self,
            lines=self.lines[keep],
            ts_venue=self.ts_venue[keep],
            receipts=None if self.receipts is None else self.receipts[keep],
            prices={name: Decimals(column.mantissas[keep], column.scale) for name, column in self.prices.items()},
            sizes={name: Decimals(column.mantissas[keep], column.scale) for name, column in self.sizes.items()},
            codes={name: column[keep] for name, column in self.codes.items()},
        )

    def once(self, keep: Column) -> Ticks:
        """Without the trades that a check of ids found to be there already, and with a note that says so."""
        if keep.all():
            return self
        twice = int(np.count_nonzero(~keep))
        return self.taken(keep).noted(f"{twice} trades came twice (same id): the first of each is kept")

    def noted(self, *notes: str) -> Ticks:
        """The same with more notes."""
        return msgspec.structs.replace(self, notes=(*self.notes, *notes))


def trade_ticks(path: Path, rows: Gathered, **codes: Column) -> Ticks:
    """Trades as a table has them: columns `line`, `time`, `price`, `size`, `side`, and `receipt` where somebody noted
    it; `codes` are more of their kind."""
    others = rows.others
    return Ticks(
        str(path),
        others["line"],
        others["time"],
        others.get("receipt"),
        {"price": rows.numbers["price"]},
        {"size": rows.numbers["size"]},
        {"side": others["side"], **codes},
    )


def bad_row(
    name: str, line: int, column: str, found: str, expected: str, remedy: str, *, unit: str = "line"
) -> DataError:
    """The sentence about one row that is wrong."""
    return DataError(f"{name}: {unit} {line}, column `{column}`: {found}; expected {expected}; {remedy}")


def bad_cell(name: str, lines: Sequence[int] | Column, column: str, cell: BadCell, *, unit: str = "line") -> DataError:
    """The sentence about a cell that is no number; `lines` says where each cell of the column stands."""
    found = f"{cell.text!r} {cell.why}"
    return bad_row(
        name, int(lines[cell.index]), column, found, "a decimal number such as 60123.4", "correct the row", unit=unit
    )


def tick_tape(kind: Kind, ticks: Ticks, *, venue: str, symbol: str, feed_ns: int = FEED_NS) -> Tape:
    """Check everything and make the tape. Raises DataError for the first thing that is wrong."""
    if len(ticks) == 0:
        raise DataError(
            f"{ticks.name}: holds no {kind} of {symbol}; expected at least one row; check `path`, `symbol` and `kind`"
        )
    _check_values(kind, ticks)
    try:
        seen = received(ticks.ts_venue, ticks.receipts, least_leg_ns=ticks.least_leg_ns, feed_ns=feed_ns)
    except OutOfOrder as error:
        raise ticks.error(
            error.index,
            "time",
            f"{stamp(int(ticks.ts_venue[error.index]))} comes {error.behind_ns / 1e9:.3f} s after it should",
            "rows in the order in which they were received",
            "sort the file",
        ) from None
    except Astray as error:
        raise _astray(ticks, error) from None
    prices, price_scale = _at_one_scale(ticks.prices, ticks)
    sizes, size_scale = _at_one_scale(ticks.sizes, ticks)
    columns: dict[str, Column] = {"ts_venue": ticks.ts_venue, "ts": seen.ts, **prices, **sizes}
    columns |= {
        name: ticks.codes.get(name, np.zeros(len(ticks), dtype=np.int8)).astype(np.int8)
        for name in NARROW
        if name in COLUMNS[kind]
    }
    if "order_id" in COLUMNS[kind]:
        columns["order_id"] = ticks.codes["order_id"]
    return Tape(
        kind=kind,
        venue=venue,
        symbol=symbol,
        columns={name: np.ascontiguousarray(columns[name]) for name in COLUMNS[kind]},
        price_scale=price_scale,
        size_scale=size_scale,
        source=ticks.name,
        gaps=ticks.gaps,
        notes=(*ticks.notes, *seen.notes, *_disorder_note(ticks.ts_venue), *_crossed_note(kind, prices, sizes)),
    )


def _astray(ticks: Ticks, error: Astray) -> DataError:
    found = f"received {error.behind_ns / 3.6e12:.1f} hours before it happened"
    if error.index is None:
        return DataError(
            f"{ticks.name}: a message of another stream says it was {found}; expected clocks that agree within a day; "
            "correct or remove the message"
        )
    return ticks.error(error.index, "time", found, "clocks that agree within a day", "correct or remove the row")


def last_of_message(counts: Column) -> Column:
    """The flag LAST on the last row of each message, for messages of `counts` rows."""
    flags = np.zeros(int(counts.sum()), dtype=np.int8)
    flags[np.cumsum(counts)[counts > 0] - 1] = LAST
    return flags


def aggressor(buyer_is_maker: Column) -> Column:
    """Side of trades from the flag "buyer is maker": the seller hit him, so -1; else 1."""
    side: Column = np.where(buyer_is_maker, -1, 1).astype(np.int8)
    return side


# --- checks ---------------------------------------------------------------------------------------------------------


def _check_values(kind: Kind, ticks: Ticks) -> None:
    if kind == "quotes":
        for side in ("bid", "ask"):
            size, price = ticks.sizes[f"{side}_size"], ticks.prices[f"{side}_price"]
            _refuse(size.mantissas < 0, size, f"{side}_size", "is negative", "zero or more", ticks)
            wrong = (price.mantissas < 0) | ((price.mantissas == 0) & (size.mantissas > 0))
            _refuse(wrong, price, f"{side}_price", "is not above zero", "a price above zero", ticks)
        return
    if kind in ("marks", "index"):
        price = ticks.prices["close"]
        _refuse(price.mantissas <= 0, price, "close", "is not above zero", "a price above zero", ticks)
        return
    price, size = ticks.prices["price"], ticks.sizes["size"]
    _refuse(price.mantissas <= 0, price, "price", "is not above zero", "a price above zero", ticks)
    if kind == "trades":
        _refuse(size.mantissas <= 0, size, "size", "is not above zero", "a quantity above zero", ticks)
    else:
        _refuse(size.mantissas < 0, size, "size", "is negative", "zero or more", ticks)


def _refuse(wrong: Column, column: Decimals, name: str, found: str, expected: str, ticks: Ticks) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        row = int(rows[0])
        raise ticks.error(row, name, f"{column.text(row)} {found}", expected, "correct or remove the row")


def _at_one_scale(columns: dict[str, Decimals], ticks: Ticks) -> tuple[dict[str, Column], int]:
    """Columns at the smallest scale that holds them all."""
    small = {name: reduced(column) for name, column in columns.items()}
    scale = reduce(max, (column.scale for column in small.values()), 0)
    out = {}
    for name, column in small.items():
        try:
            out[name] = column.at_scale(scale)
        except BadCell as cell:
            raise bad_cell(ticks.name, ticks.lines, name, cell, unit=ticks.unit) from None
    return out, scale


def _disorder_note(ts_venue: Column) -> tuple[str, ...]:
    most = disorder_ns(ts_venue)
    if most == 0:
        return ()
    behind = int(np.count_nonzero(np.maximum.accumulate(ts_venue) > ts_venue))
    return (
        f"{behind} of {len(ts_venue)} rows were received after a row that happened later (by {most / 1e6:.3f} ms at "
        "most): receipt order is kept, both times are kept",
    )


def _crossed_note(kind: Kind, prices: dict[str, Column], sizes: dict[str, Column]) -> tuple[str, ...]:
    if kind != "quotes":
        return ()
    both = (sizes["bid_size"] > 0) & (sizes["ask_size"] > 0)
    crossed = int(np.count_nonzero(both & (prices["bid_price"] >= prices["ask_price"])))
    return (f"{crossed} of {len(both)} quotes are crossed (bid at or above ask), as recorded",) if crossed else ()
