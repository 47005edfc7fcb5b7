"""Mark prices, index prices and funding rates from files: bars of a price nobody trades, and rates with their times.

Marks and indexes come as OHLC rows (feather, Parquet, CSV with a header, Binance's markPriceKlines as CSV or as pages
of JSON in one zip); their volume, where there is one, means nothing and is not read. The interval is read off the rows.

Funding comes as rows of a time and a rate (a fraction per interval): under `rate`, `fundingRate` and the like, in the
column `open` of bars whose other columns are 0 (freqtrade's way), or as two columns without a header. Times are kept
to the nanosecond: venues are a few ms late, and so is what they book.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np

from adapters import wrapped
from adapters.bars_arrow import filled, numbers_of, read_arrow, reading, table_of, times_of
from adapters.bars_csv import read_csv
from adapters.binance.translate import bars_of
from adapters.binance.wire import Kline
from adapters.columns import PRICES, Bars, Origin, bars_joined, bars_tape, stamp
from adapters.csv_table import Block, Layout, fields_of, gathered, headed, read_blocks, separator_of
from adapters.decimals import BadCell, Column, Decimals, reduced
from adapters.times import from_iso
from core.tape import Kind, Tape

OHLC = ("time", *PRICES)
TIMES = ("date", "time", "timestamp", "fundingtime", "funding_time", "calc_time", "fundingratetimestamp")
RATES = ("rate", "fundingrate", "funding_rate", "last_funding_rate", "open")
"""Headers of a funding file, any case, the first that is there."""
MARKS = ("mark", "markprice", "mark_price")
_KLINES = msgspec.json.Decoder(list[Kline])
RATE_MAX = 1
"""A rate is a fraction: a whole position's value per interval is no rate. Sanity, far above any venue's cap."""


def read_price_bars(path: Path, kind: Kind, *, venue: str, symbol: str, arrow: str | None) -> Tape:
    """Marks or indexes. `arrow` is parquet or feather, None for text. Raises DataError."""
    notes: tuple[str, ...] = ()
    if arrow is not None:
        bars, origin, notes = read_arrow(path, kind=arrow, columns=None, fields=OHLC)
    elif wrapped.head(path, Origin(str(path))).lstrip()[:2] == b"[[":
        bars, origin = _json_pages(path)
    else:
        bars, origin = read_csv(path, binance=None, columns=None, fields=OHLC)
    if len(bars) < 2:
        raise origin.whole("holds one row", "at least two, to tell their interval", "fetch more of them")
    steps = Counter(np.diff(bars.times).tolist())
    interval = max(steps, key=lambda step: (steps[step], -step))
    if interval <= 0:
        interval = int(np.abs(np.diff(bars.times)).max(initial=1))
    return price_tape(kind, bars, venue=venue, symbol=symbol, interval_ns=interval, origin=origin, notes=notes)


def price_tape(
    kind: Kind,
    bars: Bars,
    *,
    venue: str,
    symbol: str,
    interval_ns: int,
    origin: Origin,
    notes: tuple[str, ...] = (),
) -> Tape:
    """Bars of a price nobody trades as a tape of marks or indexes, checked like any bars. Raises DataError."""
    volume = Decimals(np.ones(len(bars), dtype=np.int64), 0)
    tape = bars_tape(
        msgspec.structs.replace(bars, volume=volume),
        venue=venue, symbol=symbol, interval_ns=interval_ns, origin=origin, notes=notes,
    )  # fmt: skip
    return Tape(
        kind=kind,
        venue=venue,
        symbol=symbol,
        columns={name: column for name, column in tape.columns.items() if name != "volume"},
        price_scale=tape.price_scale,
        size_scale=0,
        interval_ns=interval_ns,
        source=tape.source,
        gaps=tape.gaps,
        notes=tape.notes,
    )


def _json_pages(path: Path) -> tuple[Bars, Origin]:
    """Pages of klines, one JSON file or several in a zip, put in order of time."""
    origin = Origin(str(path))
    texts: list[tuple[str, bytes]] = []
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [item.filename for item in archive.infolist() if item.filename.endswith(".json")]
            texts = [(name, archive.read(name)) for name in names]
    else:
        with wrapped.opened(path, origin, endings=wrapped.TEXT_ENDINGS) as stream:
            texts = [(path.name, stream.read())]
    pages = []
    for name, text in texts:
        # Some recorders write several answers one behind the other.
        for part in text.replace(b"]][[", b"]]\n[[").splitlines():
            try:
                rows = _KLINES.decode(part)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise origin.whole(
                    f"{name} inside cannot be read as klines ({error})", "rows of 12 fields", "fetch it again"
                ) from error
            if rows:
                pages.append(bars_of(rows, origin._replace(name=f"{path}: {name}")))
    if not pages:
        raise origin.whole("holds no rows", "pages of klines", "check the path")
    bars = bars_joined(sorted(pages, key=lambda page: int(page.times[0])), origin)
    return bars, origin


# --- funding --------------------------------------------------------------------------------------------------------


def read_funding(path: Path, *, venue: str, symbol: str, arrow: str | None) -> Tape:
    """Funding rates as they were booked. Raises DataError."""
    notes: list[str] = []
    if arrow is not None:
        times, rate, mark, origin = _arrow_rates(path, arrow, notes)
    else:
        times, rate, mark, origin = _text_rates(path)
    if len(times) == 0:
        raise origin.whole("holds no rates", "at least one row", "check the path, or fetch the data again")
    return funding_tape(times, rate, mark, venue=venue, symbol=symbol, origin=origin, notes=tuple(notes))


def funding_tape(
    times: Column,
    rate: Decimals,
    mark: Decimals,
    *,
    venue: str,
    symbol: str,
    origin: Origin,
    notes: tuple[str, ...] = (),
) -> Tape:
    """Checked rates as a tape; `mark` is 0 where a row does not say it. Raises DataError."""
    steps = np.diff(times)
    if (wrong := np.flatnonzero(steps <= 0)).size:
        row = int(wrong[0]) + 1
        raise origin.error(
            row,
            "time",
            f"{stamp(int(times[row]))} does not come after {stamp(int(times[row - 1]))}",
            "rows sorted by time, each time once",
            "sort the file, remove the duplicate",
        )
    large = np.flatnonzero(np.abs(rate.mantissas) >= RATE_MAX * 10**rate.scale)
    if len(large):
        row = int(large[0])
        raise origin.error(row, "rate", f"{rate.text(row)} is no rate", "a fraction below 1", "divide per cent by 100")
    rate, mark = reduced(rate), reduced(mark)
    return Tape(
        kind="funding",
        venue=venue,
        symbol=symbol,
        columns={"ts_venue": times, "ts": times.copy(), "rate": rate.mantissas, "mark": mark.mantissas},
        price_scale=mark.scale,
        size_scale=rate.scale,
        source=origin.name,
        notes=(*notes, *_hours_note(steps)),
    )


def _hours_note(steps: Column) -> tuple[str, ...]:
    """Lengths between bookings, rounded to the minute that jitter hides."""
    minutes = Counter(round(step / 6e10) for step in steps.tolist())
    if len(minutes) <= 1:
        return ()
    common, _ = minutes.most_common(1)[0]
    others = ", ".join(f"{m / 60:g} h ({count})" for m, count in sorted(minutes.items()) if m != common)
    return (f"bookings are {common / 60:g} h apart, but not always: {others}",)


def _arrow_rates(path: Path, arrow: str, notes: list[str]) -> tuple[Column, Decimals, Decimals, Origin]:
    origin = Origin(str(path))
    with reading(arrow, origin):
        table = table_of(path, arrow)
        names = {str(name).lower(): name for name in table.column_names}
        time, rate, mark = _found(set(names), origin)
        times = times_of(filled(table.column(names[time]), "time", origin), origin)
        rates = numbers_of(filled(table.column(names[rate]), "rate", origin), "rate", origin, notes)
        marks = _zeros(len(times))
        if mark:
            marks = numbers_of(filled(table.column(names[mark]), "mark", origin), "mark", origin, notes)
    return times, rates, marks, origin


def _text_rates(path: Path) -> tuple[Column, Decimals, Decimals, Origin]:
    header = fields_of(wrapped.head(path, Origin(str(path))).partition(b"\n")[0])
    origin = Origin(str(path), "line")
    if header == [""]:
        raise origin.whole("is empty", "funding rates", "check the path, or fetch the data again")
    layout = _layout(header, b"", origin)
    time, rate, mark = _found(set(layout.positions), origin)
    numbers = {"rate": rate} if mark is None else {"rate": rate, "mark": mark}
    rows = gathered(read_blocks(path, _layout), numbers=numbers, others={"time": lambda block: _times(block, time)})
    times = rows.others["time"]
    return (
        times,
        rows.numbers["rate"],
        rows.numbers.get("mark", _zeros(len(times))),
        origin._replace(first=int(rows.others["line"][0])),
    )


def _layout(fields: list[str], line: bytes, origin: Origin) -> Layout:
    """By header; two columns without one are a time and a rate."""
    if not fields[0][:1].isdigit():
        return headed(fields, line)
    if len(fields) != 2:
        raise origin.whole(
            f"has no header and {len(fields)} columns", "a header, or two columns: time, rate", "add the header row"
        )
    return Layout(separator_of(line), False, {"time": 0, "rate": 1}, 2)


def _times(block: Block, name: str) -> Column:
    """Epoch numbers or ISO text; a day may be written without dashes (20191114 08:00:00)."""
    words = block.words(name)
    if not (words.dtype.itemsize >= 17 and words[0][8:9] == b" "):
        return block.times(name)
    texts = [word.decode("ascii", "replace") for word in words]
    try:
        return times_from_days(texts)
    except BadCell as cell:
        raise block.origin.cell(name, cell) from None


def times_from_days(texts: list[str]) -> Column:
    """`YYYYMMDD HH:MM:SS` in UTC as int64 nanoseconds. Raises BadCell."""
    return from_iso([f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:]}" for text in texts])


def _found(names: set[str], origin: Origin) -> tuple[str, str, str | None]:
    time = next((name for name in TIMES if name in names), None)
    rate = next((name for name in RATES if name in names), None)
    if time is None or rate is None:
        raise origin.whole(
            f"has the columns {', '.join(sorted(names))}; I find no {'time' if time is None else 'rate'}",
            "a time and a funding rate",
            "name the columns time and rate",
        )
    return time, rate, next((name for name in MARKS if name in names), None)


def _zeros(count: int) -> Decimals:
    return Decimals(np.zeros(count, dtype=np.int64), 0)
