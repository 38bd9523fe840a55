"""A version in segments is the version of its objects, however it came about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.data import segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segments import DatasetHead, Packed


def obj(number: int, version: int = 1) -> ObjectVersion:
    digest = hashlib.sha256(f"{number} {version}".encode()).hexdigest()
    return ObjectVersion(f"p/{number:04d}.csv", f"v{version}", 10 + number, digest)


def segmented(objects: Sequence[ObjectVersion], size: int) -> list[Packed]:
    with mock.patch.object(segments, "OBJECTS_MAX", size):
        return [*segments.parts(objects)]


@given(st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=8), st.integers(1, 5))
def test_a_version_that_grew_is_the_version_of_its_objects(builds: list[list[int]], size: int) -> None:
    head, have = DatasetHead(), set[int]()
    for build in builds:
        new = sorted(set(build) - have)
        if not new:
            continue
        parent, have = head.version, have | set(new)
        head = head.grown(segmented([obj(number) for number in new], size))
        assert head.parent == parent
        whole = DatasetManifest.of(map(obj, have))
        assert (head.version, head.objects) == (whole.version, len(whole.objects))
        assert head.size_bytes == whole.size_bytes
        assert DatasetHead.from_json(head.to_json()) == head


@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60)), st.integers(1, 9))
def test_a_version_without_some_objects_is_the_version_of_the_rest(
    had: set[int], lost: set[int], size: int
) -> None:
    packed = segmented([obj(number) for number in sorted(had)], size)
    gone = DatasetManifest.of(map(obj, had & lost))
    changed = [each for each in packed if not set(each.objects.objects).isdisjoint(gone.objects)]
    split = {each.segment.digest: segments.split(each.objects, set(gone.objects)) for each in changed}
    rest = [Packed.of(left) for left, _ in split.values() if left.objects]
    head = DatasetHead().grown(packed).reduced({each: less for each, (_, less) in split.items()}, rest)
    whole = DatasetManifest.of(map(obj, had - lost))
    found = (head.version, head.objects, head.size_bytes)
    assert found == (whole.version, len(whole.objects), whole.size_bytes)
    parts = [part for both in split.values() for part in both]
    assert all(part.state == DatasetManifest(part.objects).state for part in parts)
    untouched = {each.segment for each in packed if each not in changed}
    assert untouched <= set(head.segments)


KEYS = st.lists(st.sampled_from("ab/.0"), min_size=1, max_size=5).map("".join)


@given(st.sets(KEYS, min_size=1, max_size=12), st.sets(KEYS, max_size=3), st.integers(1, 4))
def test_what_is_near_a_key_is_in_the_segments_that_may_hold_it(
    had: set[str], wanted: set[str], size: int
) -> None:
    """At the key, below it as a folder, or above it as one."""
    packed = segmented([ObjectVersion(key, "1", 1, "0") for key in sorted(had)], size)
    read = DatasetHead().grown(packed).near(wanted)
    folders = {folder for key in wanted for folder in segments.above(key)}
    found = {
        each.key
        for part in packed
        if part.segment.digest in read
        for each in part.objects.objects
        if segments.is_near(each.key, wanted, folders)
    }
    assert found == {
        key
        for key in had
        for other in wanted
        if key == other or key.startswith(f"{other}/") or other.startswith(f"{key}/")
    }


def test_of_many_segments_only_those_whose_keys_lie_around_are_near() -> None:
    head = DatasetHead().grown(segmented([obj(number) for number in range(100)], 10))
    assert head.near({"p/0034.csv"}) == [head.segments[3].digest]
    assert head.near({"p/0039.csv/x", "p/0070.csv"}) == [head.segments[3].digest, head.segments[7].digest]
    assert head.near({"p/0039.csv.new", "q/1.csv"}) == []
    assert len(head.near({"p"})) == 10
    older = replace(head.segments[0], first="", last="")
    assert replace(head, segments=(older, *head.segments[1:])).near({"q"}) == [older.digest]


def test_many_small_segments_are_merged_and_the_version_stays() -> None:
    head = DatasetHead()
    for number in range(segments.SMALL_MAX + 1):
        assert head.small == ()
        head = head.grown(segmented([obj(number)], 10))
    assert len(head.small) == segments.SMALL_MAX + 1
    merged = segmented([obj(number) for number in range(segments.SMALL_MAX + 1)], 10)
    after = head.merged(head.small, merged)
    assert (after.version, after.parent, after.added) == (head.version, head.parent, head.added)
    assert (len(after.segments), after.objects) == (11, head.objects)


def test_a_version_of_an_older_stack_has_no_head() -> None:
    assert DatasetHead.from_json(DatasetManifest.of([obj(1)]).to_json()) is None


@given(st.sets(st.integers(0, 60), min_size=1))
def test_a_segment_is_read_back_with_its_state(numbers: set[int]) -> None:
    part = DatasetManifest.of(map(obj, numbers))
    found = segments.from_file(segments.to_file(part))
    assert (found, found.state) == (part, DatasetManifest(part.objects).state)
