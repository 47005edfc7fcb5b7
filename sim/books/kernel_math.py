"""Logarithm and powers of the kernel.

Sums and products alone, so that compiled and interpreted agree to the last bit.
"""

from __future__ import annotations

import math

LN2 = 0.6931471805599453
LEAST = -1074.0
"""Exponent below which a power of two is no float any more."""


def natural_log(x: float) -> float:
    """ln x for x > 0: 2 artanh((m - 1) / (m + 1)) of the mantissa, plus exponent x ln 2; below 1e-15 off."""
    mantissa, exponent = math.frexp(x)
    if mantissa < 0.7071067811865476:
        mantissa *= 2.0
        exponent -= 1
    z = (mantissa - 1.0) / (mantissa + 1.0)
    square = z * z
    total, term = 0.0, z
    for k in range(1, 25, 2):
        total += term / k
        term *= square
    return exponent * LN2 + 2.0 * total


def two_to(x: float) -> float:
    """2^x: a power series of the fraction, then the whole part as an exponent."""
    if x < LEAST:
        return 0.0
    whole = math.floor(x)
    y = (x - whole) * LN2
    total, term = 1.0, 1.0
    for k in range(1, 20):
        term *= y / k
        total += term
    return math.ldexp(total, int(whole))


def power(x: float, n: float) -> float:
    """x^n for x >= 0: a product where n is a small whole number."""
    if x <= 0.0:
        return 0.0
    if n == math.floor(n) and 1.0 <= n <= 16.0:
        product = x
        for _ in range(int(n) - 1):
            product *= x
        return product
    return two_to(n * natural_log(x) / LN2)
