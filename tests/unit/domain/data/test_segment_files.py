"""A segment's file is searched and changed as bytes, as if all its objects were parsed."""

from __future__ import annotations

from dataclasses import asdict
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import canonical
from sluice.domain.data import segment_files, segments, set_hash
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segment_files import Changed, SegmentFile

# What could be taken for the file's own syntax, and what JSON writes otherwise than it sorts.
ODD = (
    '{"key":"',
    '"',
    "\\",
    "]}",
    "],",
    "/",
    "a",
    "b",
    ".",
    "\n",
    "\x01",
    "é",
    "日",
    "\U0001f600",
    "{",
    "},{",
)
KEYS = st.lists(st.sampled_from(ODD), min_size=1, max_size=4).map("".join)
VERSIONS = st.integers(1, 3)


def obj(key: str, version: int = 1) -> ObjectVersion:
    return ObjectVersion(key, f"v{version}", 10 * version, f"{version:064x}")


def written(had: dict[str, int]) -> SegmentFile:
    return SegmentFile.of(obj(key, had[key]) for key in sorted(had))


def file_of(changed: Changed) -> SegmentFile:
    return SegmentFile(b"".join(changed.pieces))


def former(objects: DatasetManifest) -> SegmentFile:
    """What a former stack wrote, with the state of the objects' hash."""
    listed = {"objects": [asdict(each) for each in objects.objects], "state": f"{objects.state:x}"}
    return SegmentFile(canonical.to_json(listed))


@given(st.dictionaries(KEYS, VERSIONS, min_size=1, max_size=30), st.booleans())
def test_what_is_written_is_read(had: dict[str, int], is_former: bool) -> None:
    expected = DatasetManifest.of(obj(key, version) for key, version in had.items())
    file = former(expected) if is_former else written(had)
    assert file.objects() == list(expected.objects)
    assert file.keys() == [each.key for each in expected.objects]
    assert file.ends() == (file.keys()[0], file.keys()[-1])
    assert set_hash.state(file.each()) == expected.state
    assert list(map(file.at, file.keys())) == list(expected.objects)
    assert DatasetManifest.from_json(file.data) == expected


@given(
    st.dictionaries(KEYS, VERSIONS, min_size=1, max_size=30),
    st.dictionaries(KEYS, st.none() | VERSIONS, max_size=10),
    st.sets(st.integers(0, 29)),
    st.booleans(),
)
def test_a_change_of_bytes_is_a_change_of_objects(
    had: dict[str, int], changes: dict[str, int | None], lost: set[int], is_former: bool
) -> None:
    changes |= {key: None for number, key in enumerate(sorted(had)) if number in lost}
    whole = DatasetManifest.of(obj(key, version) for key, version in had.items())
    changed = (former(whole) if is_former else written(had)).changed(
        {key: obj(key, version) if version else None for key, version in changes.items()}
    )
    left = {key: version for key, version in {**had, **changes}.items() if version}
    if changed is None:
        assert not left
    else:
        assert file_of(changed) == written(left)
        assert (changed.first, changed.last) == (min(left), max(left))


@given(st.sets(KEYS, min_size=1, max_size=30), st.sets(KEYS, max_size=5), st.sets(KEYS, max_size=3))
def test_a_search_finds_what_a_look_at_each_object_finds(
    had: set[str], wanted: set[str], folders: set[str]
) -> None:
    """Of keys, what lies below these, and of folders above them."""
    file = written(dict.fromkeys(had, 1))
    expected = [key for key in sorted(had) if segments.is_near(key, wanted, folders)]
    assert [each.key for each in file.near(wanted, folders)] == expected
    assert {key for key in wanted if file.at(key)} == wanted & had


@pytest.mark.parametrize("count", [1, 10, 1_000])
def test_many_keys_are_found_one_after_the_other(count: int) -> None:
    file = written({f"p/{number:05d}.csv": 1 for number in range(2_000)})
    keys = [f"p/{number:05d}.csv" for number in range(500, 500 + count)]
    assert [each.key for each in file.near(keys, ())] == keys
    changed = file.changed(dict.fromkeys(keys))
    assert changed is not None
    assert len(file_of(changed).keys()) == 2_000 - count


def work(size: int) -> tuple[int, int]:
    """The objects that are parsed and the keys that are looked at to change one of so many."""
    file = written({f"p/{number:06d}.csv": 1 for number in range(size)})
    with (
        mock.patch.object(segment_files, "ObjectVersion", wraps=ObjectVersion) as parsed,
        mock.patch.object(SegmentFile, "_key", autospec=True, side_effect=SegmentFile._key) as seen,
    ):
        key = f"p/{size // 3:06d}.csv"
        found = [*file.near({key}, ())]
        file.changed({key: found[0]})
        return parsed.call_count, seen.call_count


def test_a_change_parses_what_it_changes_and_looks_at_few_other_keys() -> None:
    (few, seen), (many, more) = work(100), work(10_000)
    assert few == many == 1
    assert more <= seen + 2 * 3 * 7, "a hundred times as many objects are seven steps more of each search"
