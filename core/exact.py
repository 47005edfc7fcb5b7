"""Exact arithmetic of money, prices and sizes: the decimal context of every ledger and formula, and its constants."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

MATH = Context(prec=34, rounding=ROUND_HALF_EVEN)
"""Significant digits as in IEEE 754 decimal128. Handed to operations by name, or set for a whole handler: what the
caller's own context says never matters."""
ZERO, ONE = Decimal(0), Decimal(1)
EIGHT_DECIMALS = Decimal("1e-8")
"""Grid of what a partial close moves, of a split fee, and of margins."""
FORCED_CASH = Decimal("1e-16")
"""Grid of the cash that a close by the venue moves: price x qty, at a bankruptcy price of up to 34 digits."""
