"""Which market a symbol has at its simulated venue: the finest data of the run decide (venues.md section 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.instruments import Instrument
from core.tape import Rows
from sim.bars.bar_market import BarCursor, BarMarket
from sim.books.book_market import FINEST, BookMarket
from sim.books.books import Books
from sim.books.print_market import PrintMarket
from sim.matching import Matching
from sim.models import Models

COMPILED_FROM = 5_000
"""Rows of book tapes from which loading the compiled kernel (a second) is worth its while: a row of a deep book costs a
tenth of a millisecond uncompiled."""
PRESET_OF = {"l3": "l2", "depth": "l2", "quotes": "l1", "trades": "trades"}


def books_over(tapes: Sequence[Rows]) -> Books:
    """Empty books; compiled where there is enough to read. Either way the same bytes come out."""
    if sum(len(tape) for tape in tapes if tape.kind in FINEST) < COMPILED_FROM:
        return Books()
    from sim.books.compiled import kernel

    return Books(kernel())


def market_of(
    instrument: Instrument,
    models: Models,
    tapes: Sequence[Rows],
    cursor: BarCursor | None,
    books: Books,
    matching: Matching,
) -> BarMarket | BookMarket:
    """A book, quotes or prints where the run has them, else bars."""
    own: dict[str, Rows] = {tape.kind: tape for tape in tapes_of(instrument.venue, instrument.symbol, tapes)}
    if own.keys() & set(FINEST):
        return over_books(instrument, models, books, matching, own)
    assert cursor is not None, "a symbol without a book has bars"
    return BarMarket(instrument, models, cursor, matching)


def over_books(
    instrument: Instrument, models: Models, books: Books, matching: Matching, tapes: Mapping[str, Rows]
) -> BookMarket:
    """A market over tapes of a book, of quotes, or of prints alone."""
    kind = BookMarket if tapes.keys() & set(FINEST[:3]) else PrintMarket
    return kind(instrument, models, books, matching, tapes)


def preset_of(venue: str, tapes: Sequence[Rows]) -> str:
    """Name of the preset of a venue's finest data."""
    kinds = {tape.kind for tape in tapes if tape.venue == venue}
    return next((PRESET_OF[kind] for kind in FINEST if kind in kinds), "bars")


def tapes_of(venue: str, symbol: str, tapes: Sequence[Rows]) -> list[Rows]:
    return [tape for tape in tapes if (tape.venue, tape.symbol) == (venue, symbol)]
