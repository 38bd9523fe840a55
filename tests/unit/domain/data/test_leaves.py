"""A segment's leaves are runs of its objects whose ends depend on keys alone."""

from __future__ import annotations

from collections.abc import Iterable
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.data import leaves, segments
from sluice.domain.data.datasets import ObjectVersion
from sluice.domain.data.leaves import Leaf
from sluice.domain.data.segment_files import SegmentFile

OBJECTS = leaves.OBJECTS
KEYS = st.text('ab/"\\{}é日', min_size=1, max_size=4)
SETS = st.sets(KEYS, min_size=1, max_size=40)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One key of four ends a leaf."""
    monkeypatch.setattr(leaves, "OBJECTS", 4)


def of(keys: Iterable[str], version: int = 1) -> list[Leaf]:
    return leaves.of(file(keys, version))


def file(keys: Iterable[str], version: int = 1) -> SegmentFile:
    return SegmentFile.of(ObjectVersion(key, f"v{version}", 10, f"{version:064x}") for key in sorted(keys))


@given(SETS)
def test_leaves_hold_all_objects_in_order_and_each_is_a_file_of_its_own(keys: set[str]) -> None:
    found = of(keys)
    assert [obj for leaf in found for obj in leaf.file.objects()] == file(keys).objects()
    for leaf in found:
        assert leaf.file == file(leaf.file.keys())
        assert (leaf.digest, leaf.objects) == (segments.digest(leaf.file.data), len(leaf.file.keys()))


@given(SETS, KEYS)
def test_a_key_that_comes_or_goes_changes_two_leaves_at_most(keys: set[str], key: str) -> None:
    without, with_it = (
        {leaf.digest for leaf in (of(some) if some else ())} for some in (keys - {key}, keys | {key})
    )
    assert len(without - with_it) <= 2
    assert len(with_it - without) <= 2


@given(SETS)
def test_an_object_with_another_content_changes_one_leaf(keys: set[str]) -> None:
    before, objects = {leaf.digest for leaf in of(keys)}, file(keys)
    key = min(keys)
    changed = objects.changed({key: ObjectVersion(key, "v2", 20, f"{2:064x}")})
    assert changed is not None
    after = leaves.of(SegmentFile(b"".join(changed.pieces)))
    assert len({leaf.digest for leaf in after} - before) == 1
    assert len(after) == len(before)


@given(SETS, st.integers(0, 40))
def test_leaves_of_segments_that_follow_each_other_are_those_of_the_union_but_for_one(
    keys: set[str], at: int
) -> None:
    listed = sorted(keys)
    parts = [leaf for part in (listed[:at], listed[at:]) if part for leaf in of(part)]
    whole = {leaf.digest for leaf in of(keys)}
    apart = [leaf for leaf in parts if leaf.digest not in whole]
    assert len(apart) in (0, 2)
    if apart:
        (joined,) = whole - {leaf.digest for leaf in parts}
        assert joined == of(obj.key for leaf in apart for obj in leaf.file.objects())[0].digest


@given(st.lists(st.integers(), unique=True, max_size=40), st.integers(0, 40))
def test_runs_hold_all_segments_in_order_and_one_that_changes_changes_two_at_most(
    numbers: list[int], at: int
) -> None:
    digests = [f"{number:x}" for number in numbers]
    before = leaves.runs(digests)
    assert [digest for run in before.values() for digest in run] == digests
    assert all(name == run[0] for name, run in before.items() if len(run) == 1)
    after = leaves.runs([*digests[:at], "other", *digests[at + 1 :]])
    assert len(before.keys() - after.keys()) <= 2


def test_a_leaf_has_some_hundreds_of_objects() -> None:
    keys = [f"reviews/day-{number // 1000:05}/part-{number:07}.csv" for number in range(10_000)]
    with mock.patch.object(leaves, "OBJECTS", OBJECTS):
        sizes = [leaf.objects for leaf in of(keys)]
    assert sum(sizes) == 10_000
    assert 25 < len(sizes) < 55
