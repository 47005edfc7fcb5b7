"""A table of a run's results: columns by name, for notebooks and scripts. Same words as the CSV files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from core.notation import plain
from core.plain_text import printable

if TYPE_CHECKING:
    import pandas as pd

ROWS_SHOWN = 20
"""Rows a notebook shows: half from the beginning, half from the end."""
Columns = Mapping[str, Sequence[Any] | np.ndarray]


class Table:
    """Rows of equal columns. `table["pnl"]` is a column, `table[0]` a row, iterating gives rows as dicts.

    Money is exact Decimal and times are int nanoseconds UTC here; `to_pandas()` makes floats and timestamps of them.
    The columns of `equity` are float64 arrays; its exact integers are in `RunResult.curve`.
    """

    def __init__(self, make: Callable[[], Columns], length: int, times: frozenset[str] = frozenset()) -> None:
        """`make` is called when the columns are first asked for; `times` names the columns that are nanoseconds."""
        self._make = make
        self._columns: Columns | None = None
        self._length = length
        self._times = times

    @property
    def columns(self) -> Columns:
        """Name to values, in the order of the CSV file."""
        if self._columns is None:
            self._columns = self._make()
        return self._columns

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, what: str) -> Sequence[Any] | np.ndarray: ...

    @overload
    def __getitem__(self, what: int) -> dict[str, Any]: ...

    def __getitem__(self, what: str | int) -> Any:
        """A column by name or a row by number. Raises KeyError naming the columns there are, IndexError."""
        if isinstance(what, str):
            if what not in self.columns:
                raise KeyError(f"{what!r} is no column; there are {', '.join(self.columns)}")
            return self.columns[what]
        if not -self._length <= what < self._length:
            raise IndexError(f"row {what} of a table with {self._length} rows")
        return {name: values[what] for name, values in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = tuple(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))

    def to_pandas(self, *, exact: bool = False) -> pd.DataFrame:
        """The table as a DataFrame: times as UTC timestamps, money as float64 (`exact=True`: as Decimal)."""
        import pandas as pd

        frame: dict[str, Any] = {}
        for name, values in self.columns.items():
            if name in self._times:
                frame[name] = pd.to_datetime(pd.Series(list(values), dtype="Int64"), unit="ns", utc=True)
            elif not exact and any(isinstance(value, Decimal) for value in values[:1] if len(values)):
                frame[name] = pd.Series([None if value is None else float(value) for value in values], dtype="float64")
            else:
                frame[name] = pd.Series(values if isinstance(values, np.ndarray) else list(values))
        return pd.DataFrame(frame)

    def __repr__(self) -> str:
        rows = f"{self._length:,} row{'' if self._length == 1 else 's'}"
        return f"Table({rows}: {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        half = ROWS_SHOWN // 2
        shown = range(self._length)
        parts = [shown] if self._length <= ROWS_SHOWN else [shown[:half], shown[-half:]]
        body = f"<tr><td colspan={len(self.columns)}>…</td></tr>".join(
            "".join(self._html_row(row) for row in part) for part in parts
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{self._length:,} rows</p>"

    def _html_row(self, row: int) -> str:
        cells = (escape(printable(_shown(values[row], name in self._times))) for name, values in self.columns.items())
        return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _shown(value: Any, is_time: bool) -> str:
    if value is None:
        return ""
    if is_time:
        return datetime.fromtimestamp(int(value) / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Decimal):
        return plain(value)
    return f"{value:,.8g}" if isinstance(value, float) else str(value)
