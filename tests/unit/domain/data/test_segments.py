"""A version in segments is the version of its objects, however it came about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import canonical
from sluice.domain.data import segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segment_files import SegmentFile
from sluice.domain.data.segments import Change, DatasetHead, Packed, Segment


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
        assert canonical.to_json(json.loads(head.to_json())) == head.to_json()


@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.dictionaries(st.integers(0, 60), st.booleans()),
    st.integers(1, 9),
)
def test_a_version_some_of_whose_objects_changed_or_left_is_the_version_of_what_it_has(
    had: set[int], changes: dict[int, bool], size: int
) -> None:
    """A change is True for another content, and False for a deletion."""
    packed, found = segmented([obj(number) for number in sorted(had)], size), dict[str, Change]()
    for each in packed:
        lost = [old for old in each.file.objects() if old in {obj(number) for number in changes}]
        if lost:
            put = [
                obj(number, 2) for number, stays in sorted(changes.items()) if stays and obj(number) in lost
            ]
            found[each.segment.digest] = Change.of(each.segment, each.file, lost, put)
    head = DatasetHead().grown(packed).changed(found)
    kept = [obj(number, 2 if changes.get(number) else 1) for number in had if changes.get(number, True)]
    whole = DatasetManifest.of(kept)
    assert (head.version, head.objects, head.size_bytes) == (
        whole.version,
        len(whole.objects),
        whole.size_bytes,
    )
    # What is left of a segment is described as if it had been packed anew.
    for change in found.values():
        if change.pieces:
            file = SegmentFile(b"".join(change.pieces))
            assert change.segment == Packed.of(file, sum(o.size_bytes for o in file.objects())).segment
    order = [each.first for each in head.segments]
    assert order == sorted(order)
    untouched = {each.segment for each in packed if each.segment.digest not in found}
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
        each.key for part in packed if part.segment.digest in read for each in part.file.near(wanted, folders)
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


def test_segments_tell_where_their_keys_are_unless_an_older_stack_wrote_one() -> None:
    a, b = Segment("a", 1, 1, "k", "k", 10), Segment("b", 2, 1, "l", "m", 25)
    assert DatasetHead((a, b)).listed_at(5) == {"a": slice(5, 15), "b": slice(15, 40)}
    assert DatasetHead((a, replace(b, listed_bytes=0))).listed_at(5) == {}
    assert DatasetHead((a, b, a)).listed_at(5) == {}
