"""Numbers as they were written: no float is 0.805, and 805 of 1,000 is just that."""

from __future__ import annotations

from fractions import Fraction


def exact(number: float) -> Fraction:
    """Return the number as it was written: the float is only the nearest to it."""
    return Fraction(str(number))
