"""Numbers as they were written: no float is 0.805, and 805 of 1,000 is just that."""

from __future__ import annotations

from fractions import Fraction


def exact(number: float) -> Fraction:
    """The number that was written, of which the float is the nearest."""
    return Fraction(str(number))
