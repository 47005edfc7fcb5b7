"""Recorded rows in the words in which a venue's REST answers and dumps would send them."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.ports import HistorySource
from core.tape import Tape
from recorded import recorded

MS = 1_000_000


def json_gz(name: str) -> Any:
    """A recorded answer that was packed."""
    with gzip.open(recorded(name)) as stream:
        return json.load(stream)


def agg_trades() -> list[dict[str, Any]]:
    """12,477 real aggTrades of XRPETH (spot), 2019-10-11 to 13, as the endpoint sends them."""
    return [trade["info"] for trade in json_gz("trades/binance-spot/XRPETH-aggtrades.2019-10.ccxt.json.gz")]


def decimal_texts(tape: Tape, name: str, decimals: int | None = None) -> list[str]:
    """A column as venues write it; Binance pads to eight decimals, Bybit does not pad."""
    scale = tape.size_scale if name in ("volume", "size", "rate") else tape.price_scale
    values = [Decimal(int(mantissa)).scaleb(-scale) for mantissa in tape.columns[name]]
    return [f"{value:f}" if decimals is None else f"{value:.{decimals}f}" for value in values]


def binance_klines(tape: Tape) -> list[list[Any]]:
    """Bars or marks of a tape as rows of 12."""
    columns = [decimal_texts(tape, name, 8) for name in ("open", "high", "low", "close")]
    columns.append(decimal_texts(tape, "volume", 8) if "volume" in tape.columns else ["0"] * len(tape))
    opened = ((tape.columns["ts_venue"] - tape.interval_ns) // MS).tolist()
    length = tape.interval_ns // MS
    return [
        [at, *row, at + length - 1, "0", 1, "0", "0", "0"]
        for at, *row in zip(opened, *columns, strict=True)
    ]  # fmt: skip


def bybit_klines(tape: Tape) -> list[list[str]]:
    """Bars of a tape as rows of 7, marks as rows of 5; oldest first."""
    columns = [decimal_texts(tape, name) for name in ("open", "high", "low", "close")]
    if "volume" in tape.columns:
        columns += [decimal_texts(tape, "volume"), ["1"] * len(tape)]
    opened = ((tape.columns["ts_venue"] - tape.interval_ns) // MS).tolist()
    return [[str(at), *row] for at, *row in zip(opened, *columns, strict=True)]


def zipped(name: str, text: str) -> bytes:
    """A dump: one text in a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return stream.getvalue()


def csv_of(rows: list[list[Any]], header: str = "") -> str:
    """Rows as CSV, flags as Binance writes them."""
    lines = [",".join("true" if v is True else "false" if v is False else str(v) for v in row) for row in rows]
    return "\n".join(([header] if header else []) + lines) + "\n"


def agg_trades_csv(rows: list[dict[str, Any]]) -> str:
    """A daily dump of spot aggTrades, without a header."""
    return csv_of([[row[key] for key in ("a", "p", "q", "f", "l", "T", "m", "M")] for row in rows])


async def loaded(history: HistorySource) -> Tape:
    """The rows of a source in memory, whether it hands out a tape or one that is read as a run goes on."""
    rows = await history.load()
    return rows if isinstance(rows, Tape) else rows.load()


def fixtures(folder: str, *names: str) -> list[Path]:
    """Recorded messages by name; skips where they are not there."""
    return [recorded(f"messages/{folder}/{name}") for name in names]


def body_of(path: Path) -> Any:
    """The JSON of a fixture; text files carry method, path and signature above it."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text[min(at for at in (text.find("["), text.find("{")) if at >= 0) :])
