"""Where history can come from: what `data[].source` may say, told apart by `kind`."""

from __future__ import annotations

from adapters.binance.history import BinanceSource
from adapters.files import FileSource
from adapters.synthetic import SyntheticSource

Source = SyntheticSource | FileSource | BinanceSource

__all__ = ["BinanceSource", "FileSource", "Source", "SyntheticSource"]
