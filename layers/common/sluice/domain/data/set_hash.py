"""Hash a set incrementally: equal sets have equal hashes, whatever their history.

MuHash: each element becomes a number below a prime, and the state of a set is their product modulo that
prime. The product of states is the state of the union. Finding two sets with equal states is as hard as
discrete logarithms in that group. Source: Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing:
Incrementality at Reduced Cost", EUROCRYPT 1997; the prime of 3,072 bits is that of Bitcoin Core's MuHash3072.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

EMPTY = 1
_BYTES = 384
_OFFSET = 1103717
PRIME = (1 << (8 * _BYTES)) - _OFFSET
_LOW = (1 << (8 * _BYTES)) - 1


def state(elements: Iterable[bytes]) -> int:
    """Return the state of a set, given by its elements, each once."""
    product = EMPTY
    for element in elements:
        product = _reduced(product * int.from_bytes(hashlib.shake_256(element).digest(_BYTES), "little"))
    return product % PRIME


def union(states: Iterable[int]) -> int:
    """Return the state of the union of sets that have no element in common."""
    product = EMPTY
    for each in states:
        product = _reduced(product * each)
    return product % PRIME


def difference(whole: int, part: int) -> int:
    """Return the state of a set without some of its elements."""
    return whole * pow(part, -1, PRIME) % PRIME


def digest(of_state: int) -> str:
    """Return 64 hex digits that stand for the set."""
    return hashlib.sha256(of_state.to_bytes(_BYTES, "little")).hexdigest()


def _reduced(number: int) -> int:
    """Return a congruent number of little more than 3,072 bits: 2^3072 is congruent to the prime's offset."""
    return (number & _LOW) + (number >> (8 * _BYTES)) * _OFFSET
