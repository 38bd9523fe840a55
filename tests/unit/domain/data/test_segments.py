"""A version in segments is the version of its objects, however it came about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.data import segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segments import DatasetHead, Segment


def obj(number: int, version: int = 1) -> ObjectVersion:
    digest = hashlib.sha256(f"{number} {version}".encode()).hexdigest()
    return ObjectVersion(f"p/{number:04d}.csv", f"v{version}", 10 + number, digest)


def segmented(objects: Sequence[ObjectVersion], size: int) -> list[DatasetManifest]:
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


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_only_segments_of_which_something_is_gone_or_replaced_are_written_anew(
    had: set[int], gone: set[int], replaced: set[int]
) -> None:
    with mock.patch.object(segments, "OBJECTS_MAX", 5):
        known = {Segment.of(part).digest: part for part in segments.parts([obj(n) for n in sorted(had)])}
        wanted = DatasetManifest.of(obj(n, 2 if n in replaced else 1) for n in had - gone)
        divided = segments.divide(wanted, known)
    assert sorted(o for part in divided for o in part.objects) == list(wanted.objects)
    assert all(len(part.objects) <= 5 for part in divided)
    untouched = [part for part in known.values() if set(part.objects) <= set(wanted.objects)]
    assert all(part in divided for part in untouched)


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


@given(st.sets(st.integers(0, 60)))
def test_a_segment_is_read_back_with_its_state(numbers: set[int]) -> None:
    part = DatasetManifest.of(map(obj, numbers))
    found = segments.from_file(segments.to_file(part))
    assert (found, found.state) == (part, DatasetManifest(part.objects).state)
