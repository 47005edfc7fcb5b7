"""What really happened to every order of an order-by-order recording, and what the public could see of it.

The recording says of each order when it came, shrank and went. Replayed in file order it gives the exact book: who
stood where in which queue, who was filled by which print. The public view is made from the same replay: every level's
total after each row, and the prints. Prices are whole USD, sizes whole 1e-8 BTC, times ms, as in the files.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator
from decimal import Decimal
from heapq import heappop, heappush
from pathlib import Path
from typing import NamedTuple

import numpy as np

BID, ASK = 1, -1
DEPTH, PRINT = 0, 1
SIDES = {"bid": BID, "ask": ASK}
ORDERS, TRADES = "btcusd-orders.csv.gz", "btcusd-trades.csv"


class Raw(NamedTuple):
    """A row of the orders file."""

    order: int
    at_ms: int
    price: int
    size: int
    action: str
    side: int


class Hit(NamedTuple):
    """A row of the trades file, seen from the order that rested."""

    at_ms: int
    price: int
    size: int
    aggressor: int
    """1: a buyer came."""


class View(NamedTuple):
    """Public events in the order in which they happened, as columns."""

    seq: np.ndarray
    """Position in the replay; a batch of depth carries that of the last event it shows."""
    at_ms: np.ndarray
    kind: np.ndarray
    side: np.ndarray
    """Depth: of the book, 1 bids; print: of the aggressor, 1 a buyer."""
    price: np.ndarray
    size: np.ndarray
    """Depth: the level's total from now on; print: what traded."""
    joined: np.ndarray
    """Depth: `Resting.seq` of the order whose row this is, -1 for one found in the book. Not public."""


class Resting:
    """An order that came to rest: where, behind what, and how it ended."""

    __slots__ = (
        "ahead",
        "at_ms",
        "away",
        "end_ms",
        "end_seq",
        "fate",
        "fills",
        "order",
        "price",
        "seq",
        "side",
        "size",
    )

    def __init__(self, order: int, side: int, price: int, size: int, seq: int, at_ms: int, away: int) -> None:
        self.order, self.side, self.price, self.size, self.seq, self.at_ms = order, side, price, size, seq, at_ms
        self.away = away
        """USD behind the best price of its own side when it came; negative: it improved it."""
        self.ahead: list[tuple[int, int]] = []
        """(seq, quantity of earlier orders at its price), a row for each change."""
        self.fills: list[tuple[int, int, int]] = []
        """(seq, ms, size)."""
        self.fate = "open"
        """open (when the recording ends), filled or canceled."""
        self.end_seq = self.end_ms = -1

    @property
    def filled(self) -> int:
        return sum(size for _, _, size in self.fills)


class Truth(NamedTuple):
    view: View
    orders: list[Resting]
    """In order of arrival; without those that were in the book when the recording began."""
    unmatched: int
    """Prints that belong to no row of the orders file."""
    refused: int
    """Orders that came at or through the other side and neither traded nor rested."""
    ghosts: int
    """Orders whose end the recorder missed: the other side stood at or through them later. Left out altogether."""


class Replay:
    """The exact book while the rows go by. Earlier orders at a price stand before later ones."""

    def __init__(self, hits: dict[int, list[Hit]], takers: set[int]) -> None:
        self._hits, self._takers = hits, takers
        self._queues: dict[tuple[int, int], dict[int, int]] = {}
        """(side, price) to the sizes of its orders in order of arrival."""
        self._known: dict[int, tuple[int, int]] = {}
        self._joined: dict[int, int] = {}
        self._hidden: dict[int, list[int]] = {}
        """Orders that met the other side on arrival: [side, price, size left, arrival ms]."""
        self._prices: dict[int, list[int]] = {BID: [], ASK: []}
        """Heaps of prices, the best first; some are of levels that are empty by now."""
        self._events: list[tuple[int, int, int, int, int, int]] = []
        self.resting: dict[int, Resting] = {}
        self.refused = 0
        self.ghosts: set[int] = set()

    def feed(self, row: Raw, from_the_start: bool = False) -> None:
        """`from_the_start`: a row of the book as the recorder found it."""
        if self._hidden and row.order not in self._hidden:
            self._settle(row.at_ms)
        if row.action == "created":
            if row.price and not from_the_start and self._meets(row.side, row.price):
                self._hidden[row.order] = [row.side, row.price, row.size, row.at_ms]
            elif row.price:
                self._rest(row.order, row.side, row.price, row.size, row.at_ms, from_the_start)
        elif row.order in self._hidden:
            self._hidden[row.order][2] = row.size
            if row.action == "deleted":
                del self._hidden[row.order]
                self.refused += row.order not in self._takers
        elif row.order in self._known:
            self._change(row)

    def _meets(self, side: int, price: int) -> bool:
        other = self._best(-side)
        return other is not None and side * (price - other) >= 0

    def _best(self, side: int) -> int | None:
        heap = self._prices[side]
        while heap and (side, -side * heap[0]) not in self._queues:
            heappop(heap)
        return -side * heap[0] if heap else None

    def _settle(self, at_ms: int) -> None:
        """What is left of orders that met the other side comes to rest.

        At once where nothing is left to meet; and where an order that did not trade is still there a moment later,
        what it seemed to meet cannot exist: the recorder missed its end.
        """
        for order, (side, price, size, since_ms) in list(self._hidden.items()):
            if since_ms < at_ms and order not in self._takers:
                self._forget_ghosts(side, price, at_ms)
            if size and (since_ms < at_ms or order in self._takers) and not self._meets(side, price):
                del self._hidden[order]
                self._rest(order, side, price, size, at_ms, False)

    def _forget_ghosts(self, side: int, price: int, at_ms: int) -> None:
        while self._meets(side, price):
            best = self._best(-side)
            assert best is not None
            for ghost in list(self._queues[-side, best]):
                self._change(Raw(ghost, at_ms, best, self._queues[-side, best][ghost], "deleted", -side))
                self.ghosts.add(ghost)

    def _rest(self, order: int, side: int, price: int, size: int, at_ms: int, from_the_start: bool) -> None:
        best = self._best(side)
        if (side, price) not in self._queues:
            self._queues[side, price] = {}
            heappush(self._prices[side], -side * price)
        queue = self._queues[side, price]
        if not from_the_start:
            away = 0 if best is None else side * (best - price)
            placed = Resting(order, side, price, size, len(self._events), at_ms, away)
            placed.ahead.append((placed.seq, sum(queue.values())))
            self.resting[order] = placed
        queue[order] = size
        self._known[order] = (side, price)
        self._joined[order] = -1 if from_the_start else len(self._events)
        self._show(side, price, at_ms, self._joined[order])

    def _change(self, row: Raw) -> None:
        """A resting order shrank or went, by prints of this very moment or by its owner's wish."""
        side, price = self._known[row.order]
        queue = self._queues[side, price]
        left = queue[row.order]
        mine = self.resting.get(row.order)
        waiting = self._hits.get(row.order, [])
        while waiting and waiting[0].at_ms == row.at_ms and left - waiting[0].size >= row.size:
            hit = waiting.pop(0)
            if mine is not None:
                mine.fills.append((len(self._events), row.at_ms, hit.size))
            self._events.append((row.at_ms, PRINT, hit.aggressor, hit.price, hit.size, -1))
            left -= hit.size
            if row.action == "changed":
                break
        left = row.size if row.action == "changed" else 0
        self._move_up(queue, row.order, queue[row.order] - left)
        if left:
            queue[row.order] = left
        else:
            del queue[row.order], self._known[row.order]
            if mine is not None:
                mine.fate = "filled" if mine.filled >= mine.size else "canceled"
                mine.end_seq, mine.end_ms = len(self._events), row.at_ms
            if not queue:
                del self._queues[side, price]
        self._show(side, price, row.at_ms, self._joined[row.order])

    def _move_up(self, queue: dict[int, int], order: int, gone: int) -> None:
        """So much of an order is gone: those behind it have less ahead."""
        behind = False
        for other in queue:
            if behind and other in self.resting:
                path = self.resting[other].ahead
                path.append((len(self._events), path[-1][1] - gone))
            behind = behind or other == order

    def _show(self, side: int, price: int, at_ms: int, joined: int) -> None:
        total = sum(self._queues.get((side, price), {}).values())
        self._events.append((at_ms, DEPTH, side, price, total, joined))

    def truth(self, ghosts: int) -> Truth:
        columns = np.array(self._events, dtype=np.int64).reshape(-1, 6).T
        view = View(np.arange(columns.shape[1]), *columns)
        return Truth(view, list(self.resting.values()), sum(map(len, self._hits.values())), self.refused, ghosts)


def recorded(folder: Path) -> Truth:
    """The recording in a folder, replayed. Raises OSError where a file is missing, ValueError where a row is odd."""
    hits, takers = hits_of(folder)
    return replayed(rows_of(folder), hits, takers)


def replayed(rows: Iterable[Raw], hits: dict[int, list[Hit]], takers: set[int]) -> Truth:
    """Rows of the orders file; `hits` by the order that rested, in order of time.

    Orders whose end the recorder missed are found in a first pass and left out of the second from their beginning:
    when they went nobody knows.
    """
    every = list(rows)
    first_ms, last_ms = every[0].at_ms, every[-1].at_ms
    # With its last breath the recorder writes an end for every order still open: nothing happened to those.
    every = [row for row in every if row.at_ms < last_ms or row.action != "deleted"]
    ghosts: set[int] = set()
    while True:
        replay = Replay({order: list(waiting) for order, waiting in hits.items()}, takers)
        for row in every:
            if row.order not in ghosts:
                replay.feed(row, from_the_start=row.at_ms == first_ms and row.action == "created")
        if not replay.ghosts:
            return replay.truth(len(ghosts))
        ghosts |= replay.ghosts


def rows_of(folder: Path) -> Iterator[Raw]:
    """Rows of the orders file, in file order."""
    with gzip.open(folder / ORDERS, "rt", newline="") as stream:
        for line in csv.DictReader(stream):
            at_ms, price, size = int(line["exchange_timestamp"]), usd(line["price"]), units(line["volume"])
            yield Raw(int(line["id"]), at_ms, price, size, line["action"], SIDES[line["direction"]])


def hits_of(folder: Path) -> tuple[dict[int, list[Hit]], set[int]]:
    """The trades file: prints by the order that rested, and who took."""
    hits: dict[int, list[Hit]] = {}
    takers = set()
    with open(folder / TRADES, newline="") as stream:
        for row in csv.DictReader(stream):
            bought = row["side"] == "buy"
            maker, taker = ("sell", "buy") if bought else ("buy", "sell")
            hit = Hit(int(row["exchange_timestamp"]), usd(row["price"]), units(row["amount"]), 1 if bought else -1)
            hits.setdefault(int(row[f"{maker}_order_id"]), []).append(hit)
            takers.add(int(row[f"{taker}_order_id"]))
    return hits, takers


def usd(text: str) -> int:
    """A price of this market: whole USD. Raises ValueError for any other."""
    price = Decimal(text)
    if price != int(price):
        raise ValueError(f"price {text}: this market trades in whole USD; another recording needs another scale")
    return int(price)


def units(text: str) -> int:
    """A size in whole 1e-8 BTC."""
    return int(Decimal(text).scaleb(8))
