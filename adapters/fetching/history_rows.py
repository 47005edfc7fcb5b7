"""Rows of the past as pages bring them: columns that can be cut by time and joined.

`Bars` (of `adapters.columns`) are one kind of them; here are trades and funding rates, and what all have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from adapters.columns import Bars, Origin
from adapters.decimals import BadCell, Column, Decimals, joined


class TradeRows(msgspec.Struct, frozen=True):
    """Trades, oldest first."""

    times: Column
    """When they happened, int64 nanoseconds UTC."""
    price: Decimals
    size: Decimals
    """Base units."""
    side: Column
    """The aggressor's: 1 buy, -1 sell."""
    flags: Column
    """Bits of `core.tape`: BLOCK, RPI."""
    ids: Column
    """int64 where they count on, else texts of one width (numpy bytes)."""

    def __len__(self) -> int:
        return len(self.times)

    def taken(self, keep: Column | slice) -> TradeRows:
        """The rows that an index, a mask or a slice picks."""
        return TradeRows(
            self.times[keep],
            Decimals(self.price.mantissas[keep], self.price.scale),
            Decimals(self.size.mantissas[keep], self.size.scale),
            self.side[keep],
            self.flags[keep],
            self.ids[keep],
        )


class FundingRows(msgspec.Struct, frozen=True):
    """Funding rates, oldest first."""

    times: Column
    rate: Decimals
    """A fraction per interval."""
    mark: Decimals
    """0 where the venue does not say it."""

    def __len__(self) -> int:
        return len(self.times)

    def taken(self, keep: Column | slice) -> FundingRows:
        """The rows that an index, a mask or a slice picks."""
        return FundingRows(
            self.times[keep],
            Decimals(self.rate.mantissas[keep], self.rate.scale),
            Decimals(self.mark.mantissas[keep], self.mark.scale),
        )


Rows = Bars | TradeRows | FundingRows


def trades_joined(parts: Sequence[TradeRows], origin: Origin) -> TradeRows:
    """Trades one after the other. Raises DataError where no common scale fits an int64."""
    return TradeRows(
        np.concatenate([part.times for part in parts]),
        _joined([part.price for part in parts], "price", origin),
        _joined([part.size for part in parts], "size", origin),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("side", "flags", "ids")),
    )


def funding_joined(parts: Sequence[FundingRows], origin: Origin) -> FundingRows:
    """Rates one after the other. Raises DataError where no common scale fits an int64."""
    return FundingRows(
        np.concatenate([part.times for part in parts]),
        _joined([part.rate for part in parts], "rate", origin),
        _joined([part.mark for part in parts], "mark", origin),
    )


def _joined(parts: list[Decimals], name: str, origin: Origin) -> Decimals:
    try:
        return joined(parts)
    except BadCell as cell:
        raise origin.cell(name, cell) from None
