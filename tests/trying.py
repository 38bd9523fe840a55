"""How many examples a property is tried with."""

from hypothesis import settings


def examples(count: int) -> int:
    """So many with the profile "all", which has 100 by default, and with another in proportion."""
    return max(5, count * settings().max_examples // 100)
