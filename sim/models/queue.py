"""Where a resting order stands among the others at its price, when only the level's total is known (F4).

Every kind answers one question: which share P of the cancels at our level happens behind us. A is the quantity ahead,
B the quantity behind, base units. Prints at the level eat the queue from its front in every kind.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from core.notation import NonNegativeMillis
from sim.books import kernel_queues, kernel_state

Exponent = Annotated[float, msgspec.Meta(gt=0, le=16)]
CREDIT_NS = 1_000_000_000


class QueueModel(msgspec.Struct, frozen=True, tag_field="kind", kw_only=True):
    """What every kind has. `credit_ms`: how long a print may explain a fall of the depth that comes after it."""

    credit_ms: NonNegativeMillis = CREDIT_NS

    code = kernel_state.NO_QUEUE
    words = ""

    @property
    def exponent(self) -> float:
        """n of the formula; 0 where it has none."""
        return 0.0

    def share_behind(self, behind: float, ahead: float) -> float:
        """P, 0 to 1."""
        return kernel_queues.share_behind(self.code, self.exponent, behind, ahead, 1.0)

    def sentence(self) -> str:
        return f"queue: {self.words}"


class ExponentQueue(QueueModel, frozen=True, kw_only=True):
    """A law with an exponent."""

    n: Exponent = 2.0

    @property
    def exponent(self) -> float:
        return self.n

    def sentence(self) -> str:
        return f"queue: {self.words}, n = {self.n:g}"


class PowerQueue(ExponentQueue, frozen=True, tag="power", kw_only=True):
    """P = B^n / (B^n + A^n). Assumes: the farther back, the more is canceled. Source: F4; hftbacktest's PowerProb.

    Fails when: whole queues are pulled at once, as before news.
    """

    code = kernel_state.PROB_POWER
    words = "power, share of cancels behind us B^n / (B^n + A^n)"


class Power2Queue(ExponentQueue, frozen=True, tag="power2", kw_only=True):
    """P = B^n / (A + B)^n: fewer cancels behind us than `power` says, so we move up faster."""

    code = kernel_state.PROB_POWER2
    words = "power2, share of cancels behind us B^n / (A + B)^n"


class Power3Queue(ExponentQueue, frozen=True, tag="power3", kw_only=True):
    """P = 1 - (A / (A + B))^n: more cancels behind us than `power2`."""

    code = kernel_state.PROB_POWER3
    words = "power3, share of cancels behind us 1 - (A / (A + B))^n"


class LogQueue(QueueModel, frozen=True, tag="log", kw_only=True):
    """P = ln(1 + B) / (ln(1 + B) + ln(1 + A)), A and B in base units: depends on the unit, unlike the powers."""

    code = kernel_state.PROB_LOG
    words = "log, share of cancels behind us ln(1+B) / (ln(1+B) + ln(1+A))"


class Log2Queue(QueueModel, frozen=True, tag="log2", kw_only=True):
    """P = ln(1 + B) / ln(1 + A + B), A and B in base units."""

    code = kernel_state.PROB_LOG2
    words = "log2, share of cancels behind us ln(1+B) / ln(1+A+B)"


class MatchedQueue(QueueModel, frozen=True, tag="matched", kw_only=True):
    """P = 1 where the fall is as large as a growth of the level after us that was not canceled yet, else 0.

    Assumes: whole orders are canceled, and few have the same size; with a row for every change of a level this tells
    nearly all cancels apart. Fails when: depth comes in batches, whose sums match less (then cancels count as ahead of
    us, so fills come too often), or a level has more than 32 live orders behind us. Measured against real orders in
    `docs/fidelity.md`.
    """

    code = kernel_state.MATCHED
    words = "matched, a fall of the level is behind us where it equals a growth after us, else ahead"


class RiskAverseQueue(QueueModel, frozen=True, tag="risk_averse", kw_only=True):
    """P = 1: every cancel is behind us, only prints move us up. A lower bound of what a resting order gets."""

    code = kernel_state.RISK_AVERSE
    words = "risk averse, every cancel is behind us"


class L3Queue(QueueModel, frozen=True, tag="l3_fifo", kw_only=True):
    """Exact places from the ids of an order-by-order tape. Needs `l3` rows; no estimate is left."""

    code = kernel_state.L3_FIFO
    words = "exact places from order ids"


class NoQueue(QueueModel, frozen=True, tag="none", kw_only=True):
    """A = 0 always: first in every queue. An upper bound, never the default."""

    code = kernel_state.NO_QUEUE
    words = "none, always first (an upper bound)"


AnyQueue = (
    PowerQueue | Power2Queue | Power3Queue | LogQueue | Log2Queue | MatchedQueue | RiskAverseQueue | L3Queue | NoQueue
)
