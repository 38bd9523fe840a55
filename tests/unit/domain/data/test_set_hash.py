"""A set's hash depends on the set alone, and grows with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.data import set_hash

SETS = st.sets(st.binary(max_size=20), max_size=30)


def test_the_digest_of_a_set_stays_what_it_is() -> None:
    assert set_hash.digest(set_hash.state([b"a", b"b"])) == (
        "afdd3fd72b64cb242b6189c92e431264f13ff6c95f887b8325acb9a5843787ed"
    )


@given(SETS, st.randoms())
def test_the_order_of_the_elements_does_not_matter(elements: set[bytes], random: object) -> None:
    assert set_hash.state(sorted(elements)) == set_hash.state(sorted(elements, reverse=True))


@given(SETS, st.lists(st.integers(0, 3)))
def test_parts_united_are_the_whole_however_it_was_divided(elements: set[bytes], cuts: list[int]) -> None:
    parts: list[list[bytes]] = [[], [], [], []]
    for number, element in enumerate(elements):
        parts[cuts[number % len(cuts)] if cuts else 0].append(element)
    assert set_hash.union(map(set_hash.state, parts)) == set_hash.state(elements)


@given(SETS, SETS)
def test_other_sets_have_other_digests(some: set[bytes], others: set[bytes]) -> None:
    equal = set_hash.digest(set_hash.state(some)) == set_hash.digest(set_hash.state(others))
    assert equal == (some == others)


@given(st.integers(0, 2**6144))
def test_reducing_keeps_the_remainder(number: int) -> None:
    assert set_hash._reduced(number) % set_hash.PRIME == number % set_hash.PRIME
