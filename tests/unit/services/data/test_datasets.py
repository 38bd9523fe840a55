"""Any history of a data set leaves what a dictionary holds: its objects, its version, its list of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import chain, pairwise
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakes
from sluice.domain import canonical
from sluice.domain.data import segment_files, segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.datasets import listed as in_list
from sluice.domain.data.segment_files import SegmentFile
from sluice.domain.data.segments import DatasetHead, Segment
from sluice.domain.locations import Locations
from sluice.services.data import datasets
from trying import examples

PIPELINE = "p"
PLACES = Locations(fakes.ARTIFACT_BUCKET, PIPELINE)
NAMES = st.sampled_from([f'p/{name}"{number}' for name in ("a", "b/c", "é") for number in range(5)])
# Of a build: the version of what is uploaded under a name, None for a deletion.
BUILDS = st.lists(st.dictionaries(NAMES, st.none() | st.integers(1, 3), max_size=6), max_size=9)


def obj(key: str, version: int = 1) -> ObjectVersion:
    return ObjectVersion(
        key, f"v{version}", 10 + version, hashlib.sha256(f"{key}{version}".encode()).hexdigest()
    )


def manifest(held: Mapping[str, int]) -> DatasetManifest:
    return DatasetManifest.of(obj(key, version) for key, version in held.items())


def listed(cloud: fakes.Cloud, version: str) -> list[str]:
    found: list[str]
    prefix, *found = json.loads(cloud.objects.read(PLACES.dataset_files(version)))
    assert prefix == {"prefix": f"s3://{fakes.DATA_BUCKET}/"}
    return found


def stored(cloud: fakes.Cloud, version: str) -> DatasetHead:
    head = datasets.find_head(cloud, PIPELINE, version)
    assert head is not None
    return head


def as_of_a_former_stack(cloud: fakes.Cloud, head: DatasetHead) -> DatasetHead:
    """Write a version as stacks did: with a hash in each segment, without keys in its head, listed anyhow."""
    former: list[Segment] = []
    for each in head.segments:
        file = SegmentFile(cloud.objects.read(PLACES.segment(each.digest)))
        found = {"objects": [*map(asdict, file.objects())], "state": f"{manifest({}).state:x}"}
        data = canonical.to_json(found)
        cloud.objects.write(PLACES.segment(segments.digest(data)), data)
        former.append(Segment(segments.digest(data), each.objects, each.size_bytes))
    files = [{"prefix": f"s3://{fakes.DATA_BUCKET}/"}, *reversed(listed(cloud, head.version))]
    cloud.objects.write(PLACES.dataset_files(head.version), json.dumps(files).encode())
    made = replace(head, segments=tuple(former), parent=None, added=())
    whole = {**json.loads(made.to_json())}
    whole["segments"] = [
        {name: value for name, value in each.items() if name in ("digest", "objects", "size_bytes")}
        for each in whole["segments"]
    ]
    cloud.objects.write(PLACES.dataset_manifest(head.version), json.dumps(whole).encode())
    return stored(cloud, head.version)


@given(builds=BUILDS, former_at=st.none() | st.integers(0, 8), size=st.integers(1, 4))
@settings(max_examples=examples(150))
def test_any_history_leaves_what_is_there(
    builds: list[dict[str, int | None]], former_at: int | None, size: int
) -> None:
    """Also in a pipeline that was at some time one of a former stack."""
    with mock.patch.object(segments, "OBJECTS_MAX", size), mock.patch.object(segments, "SMALL_MAX", 2):
        cloud, held = fakes.Cloud(), {"p/z": 1, "p/first": 1}
        head = datasets.make(cloud, PIPELINE, manifest(held), None)
        for number, changes in enumerate(builds):
            if number == former_at:
                head = as_of_a_former_stack(cloud, head)
            held = {key: version for key, version in {**held, **changes}.items() if version}
            found = datasets.find_near(cloud, PIPELINE, head, changes.keys())
            near = {
                key: held[key]
                for key in {obj.key for obj in found.objects.objects} | changes.keys()
                if key in held
            }
            head = datasets.change(cloud, PIPELINE, head, found, manifest(near))
            is_held(cloud, head, held)


def is_held(cloud: fakes.Cloud, head: DatasetHead, held: Mapping[str, int]) -> None:
    whole = manifest(held)
    assert (head.version, head.objects, head.size_bytes) == (whole.version, len(held), whole.size_bytes)
    assert stored(cloud, head.version) == head
    assert datasets.find_all(cloud, PIPELINE, head).objects == whole
    files = listed(cloud, head.version)
    assert sorted(files) == sorted(held)
    if head.listed_at(0):
        read = datasets.read_segments(cloud, PIPELINE, [each.digest for each in head.segments])
        assert [len(in_list(file.keys())) for file in read.values()] == [
            each.listed_bytes for each in head.segments
        ]


def pipeline_of(cloud: fakes.Cloud, size: int) -> DatasetHead:
    return datasets.make(cloud, PIPELINE, manifest({f"p/{number:06d}": 1 for number in range(size)}), None)


def without(cloud: fakes.Cloud, head: DatasetHead, *keys: str) -> DatasetHead:
    found = datasets.find_near(cloud, PIPELINE, head, {*keys})
    return datasets.change(cloud, PIPELINE, head, found, manifest({}))


@pytest.mark.parametrize("lost", [["p/5"], ["p/4", "p/5", "p/66", "p/777"], ["p/0", "p/11111"]])
@pytest.mark.parametrize("order", ["turned", "rotated", "spoilt"])
def test_of_a_list_in_another_order_than_its_head_tells_the_right_keys_are_cut(
    order: str, lost: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same version may have been made again in another way, and its list and head not both written."""
    monkeypatch.setattr(segments, "OBJECTS_MAX", 4)
    monkeypatch.setattr(segments, "SMALL_MAX", 1)
    cloud, keys = fakes.Cloud(), [f"p/{str(number % 10) * (1 + number % 5)}" for number in range(18)]
    head = datasets.make(cloud, PIPELINE, manifest(dict.fromkeys(keys, 1)), None)
    files = [{"prefix": f"s3://{fakes.DATA_BUCKET}/"}, *listed(cloud, head.version)]
    turned = [files[0], *reversed(files[1:])]
    rotated = [files[0], *files[4:], *files[1:4]]
    written = {"turned": turned, "rotated": rotated, "spoilt": [1]}[order]
    cloud.objects.write(PLACES.dataset_files(head.version), json.dumps(written).encode())
    after = without(cloud, head, *lost)
    assert sorted(listed(cloud, after.version)) == sorted({*keys} - {*lost})


def test_a_former_stacks_list_is_written_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "OBJECTS_MAX", 4)
    cloud = fakes.Cloud()
    head = as_of_a_former_stack(cloud, pipeline_of(cloud, 40))
    reads: list[int] = []
    for key in ("p/000005", "p/000013"):
        with mock.patch.object(cloud.objects, "read", side_effect=cloud.objects.read) as read:
            head = without(cloud, head, key)
        reads.append(read.call_count)
    assert reads[0] > 10, "each segment was read"
    assert reads[1] == 1
    assert all(each.first and each.listed_bytes for each in head.segments)
    expected = [f"p/{number:06d}" for number in range(40) if number not in (5, 13)]
    assert listed(cloud, head.version) == expected


def test_what_is_overwritten_leaves_the_list_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "OBJECTS_MAX", 4)
    cloud = fakes.Cloud()
    head = pipeline_of(cloud, 12)
    found = datasets.find_near(cloud, PIPELINE, head, {"p/000005"})
    with mock.patch.object(cloud.objects, "splice", side_effect=cloud.objects.splice) as splice:
        after = datasets.change(cloud, PIPELINE, head, found, manifest({"p/000005": 2, "p/new": 1}))
    ((_, pieces, _), _) = splice.call_args
    assert pieces == [slice(0, -1), b', "p/new"', b"]"]
    assert [each.first for each in after.segments] == ["p/000000", "p/000004", "p/000008", "p/new"]


def work(size: int) -> tuple[int, int, int, int]:
    """What a build does in a pipeline of so many objects, one of which is overwritten and another deleted.

    Returns objects parsed, and written as JSON, segments read, and bytes read of the list of files.
    """
    cloud = fakes.Cloud()
    with mock.patch.object(segments, "OBJECTS_MAX", 50):
        head = pipeline_of(cloud, size)
        cloud.objects.read_bytes = 0
        with (
            mock.patch.object(segment_files, "ObjectVersion", wraps=ObjectVersion) as parsed,
            mock.patch.object(
                ObjectVersion, "to_json", autospec=True, side_effect=ObjectVersion.to_json
            ) as put,
            mock.patch.object(cloud.objects, "read", side_effect=cloud.objects.read) as read,
        ):
            found = datasets.find_near(cloud, PIPELINE, head, {"p/000007", "p/000009"})
            datasets.change(cloud, PIPELINE, head, found, manifest({"p/000007": 2}))
        return parsed.call_count, put.call_count, read.call_count, cloud.objects.read_bytes


def test_the_work_of_a_change_does_not_depend_on_how_much_there_is() -> None:
    few, many = work(100), work(2_000)
    assert few == many
    parsed, put, read, read_bytes = many
    assert (parsed, read) == (2, 1)
    # The new object: into the file, and into the hash; what left: out of the hash.
    assert put == 4
    assert read_bytes == len(in_list([f"p/{number:06d}" for number in range(50)]))


def test_heads_grow_by_their_segments_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head has a line for each full segment, and for at most a hundred small ones."""
    monkeypatch.setattr(segments, "OBJECTS_MAX", 20)
    monkeypatch.setattr(segments, "SMALL_MAX", 10)
    cloud = fakes.Cloud()
    head, lengths = datasets.make(cloud, PIPELINE, manifest({}), None), [0]
    for build in range(100):
        new = [obj(f"p/{build:04d}-{number}") for number in range(5)]
        head = datasets.grow(cloud, PIPELINE, head, new)
        lengths.append(len(head.segments))
        assert len(head.segments) <= head.objects // 20 + 10 + 1
    assert max(after - before for before, after in pairwise(lengths)) == 1
    read = datasets.read_segments(cloud, PIPELINE, [each.digest for each in head.segments])
    keys = [file.keys() for file in read.values()]
    assert listed(cloud, head.version) == [*chain.from_iterable(keys)]
