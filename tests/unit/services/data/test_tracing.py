"""What came from an object is what reading every version would say, without reading every version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakes
from build_world import PIPELINE, ROWS, RUN, Invoke, World
from sluice.catalog import keys
from sluice.catalog.changes.data import add_dataset, index_dataset
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.builds import Pipeline
from sluice.catalog.records.data import Dataset
from sluice.domain.data import segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segments import DatasetHead
from sluice.domain.times import from_iso, to_iso
from sluice.services.data import datasets, tracing
from trying import examples

KEYS = [f"{PIPELINE}/{name}" for name in ("a", "b", "c")]


class History:
    """A pipeline whose versions are made of what arrives, is overwritten or is deleted."""

    def __init__(self, *, is_indexed: bool) -> None:
        self.cloud = fakes.Cloud()
        self.at = from_iso("2026-11-28T09:00:00.000Z")
        self.objects: dict[str, ObjectVersion] = {}
        self.fresh: list[ObjectVersion] = []
        self.only_grew = True
        self.head: DatasetHead | None = None
        self.made: list[str] = []
        self.cloud.catalog.create(Pipeline(PIPELINE, "ab" * 32, is_indexed=is_indexed).item())

    def now(self) -> str:
        self.at += timedelta(seconds=1)
        return to_iso(self.at)

    def arrive(self, key: str) -> None:
        at = self.now()
        version = f"v{at}"
        obj = ObjectVersion(key, version, 1, f"{len(at)}{version}")
        arrival = Arrival(PIPELINE, key, version, 1, at, "included", recorded_at=at, state=keys.SETTLED)
        self.cloud.catalog.create(arrival.item())
        self.only_grew = self.only_grew and key not in self.objects
        self.objects[key] = obj
        self.fresh = [*(each for each in self.fresh if each.key != key), obj]

    def delete(self, key: str) -> None:
        if self.objects.pop(key, None):
            self.fresh = [each for each in self.fresh if each.key != key]
            self.only_grew = False

    def build(self) -> None:
        if not self.objects:
            return
        if self.head and self.only_grew and self.fresh:
            head = datasets.grow(self.cloud, PIPELINE, self.head, self.fresh)
        else:
            manifest = DatasetManifest.of(self.objects.values())
            head = datasets.make(self.cloud, PIPELINE, manifest, self.head)
        at = self.now()
        dataset = Dataset(PIPELINE, head.version, "valid", "s3://b/m", head.objects, head.size_bytes, at)
        if self.cloud.catalog.apply(add_dataset(dataset), index_dataset(dataset)):
            self.made.append(head.version)
        self.head, self.fresh, self.only_grew = head, [], True

    def holding(self, key: str, limit: int = tracing.PAGE) -> Iterator[tuple[str, str]]:
        after = None
        while True:
            page = tracing.holding(self.cloud, PIPELINE, key, after=after, limit=limit)
            assert not page.missing
            yield from ((each.dataset_version, each.held.version_id) for each in page.found)
            if (after := page.after) is None:
                return

    def really_holding(self, key: str) -> list[tuple[str, str]]:
        return [
            (version, obj.version_id)
            for version in self.made
            for obj in datasets.find_manifest(self.cloud, PIPELINE, version).objects
            if obj.key == key
        ]


ACTS = st.lists(st.tuples(st.sampled_from(["arrive", "delete", "build", "build"]), st.sampled_from(KEYS)))


@given(acts=ACTS, is_indexed=st.booleans(), limit=st.sampled_from([1, 2, 500]), merged=st.booleans())
@settings(max_examples=examples(40))
def test_an_object_is_found_in_exactly_the_versions_that_hold_it(
    acts: list[tuple[str, str]], is_indexed: bool, limit: int, merged: bool
) -> None:
    history = History(is_indexed=is_indexed)
    with mock.patch.object(segments, "SMALL_MAX", 1 if merged else 100):
        for act, key in [*acts, ("build", "")]:
            getattr(history, act)(*([key] if act != "build" else []))
    for key in KEYS:
        assert [*history.holding(key, limit)] == history.really_holding(key)


def test_a_version_that_only_grew_is_not_read_for_what_its_parent_holds() -> None:
    history = History(is_indexed=True)
    for number in range(30):
        history.arrive(f"{PIPELINE}/{number}")
        history.build()
    read: list[str] = []
    reading = history.cloud.objects.read

    def noted(uri: str) -> bytes:
        read.append(uri)
        return reading(uri)

    with mock.patch.object(history.cloud.objects, "read", noted):
        assert len([*history.holding(f"{PIPELINE}/20")]) == 10
    heads = [uri for uri in read if uri.endswith("/manifest.json")]
    assert len(heads) == 10
    assert len(read) - len(heads) == 1


def test_a_version_whose_files_are_gone_is_named_and_the_others_are_found() -> None:
    history = History(is_indexed=True)
    for name in "abc":
        history.arrive(f"{PIPELINE}/{name}")
        history.build()
    gone = f"datasets/{PIPELINE}/{history.made[0]}/manifest.json"
    del history.cloud.objects.buckets[fakes.ARTIFACT_BUCKET][gone]
    page = tracing.holding(history.cloud, PIPELINE, KEYS[0])
    assert [*page.missing] == history.made[:1]
    assert [each.dataset_version for each in page.found] == history.made[1:]


def test_what_never_arrived_is_in_no_version() -> None:
    history = History(is_indexed=True)
    history.arrive(KEYS[0])
    history.build()
    assert tracing.holding(history.cloud, PIPELINE, KEYS[1]).found == ()


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    return world


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_versions_readers_are_its_runs(world: World, is_indexed: bool) -> None:
    assert world.build("a.csv") == "registered"
    world.push(train=b"print(2)\n")
    world.later(minutes=2)
    world.ask()
    world.play("reviews-00002")
    assert world.build("b.csv", ROWS + b"3,1\n") == "registered"
    if not is_indexed:
        world.cloud.catalog.update(keys.pipeline_key(PIPELINE), {"is_indexed": None})
        for run in (1, 2, 3):
            version = world.catalog_run(f"reviews-{run:05d}")["dataset_version"]
            key = keys.reader_key(PIPELINE, version, f"reviews-{run:05d}")
            del world.cloud.catalog.items[key["pk"], key["sk"]]
    first, last = (world.catalog_run(run)["dataset_version"] for run in (RUN, "reviews-00003"))
    found = tracing.readers(world.cloud, PIPELINE, [first, last])
    assert [run.run_id for run in found[first]] == [RUN, "reviews-00002"]
    assert [run.run_id for run in found[last]] == ["reviews-00003"]


def test_a_version_of_an_older_stack_which_lists_its_objects_is_looked_through() -> None:
    history = History(is_indexed=False)
    history.arrive(KEYS[0])
    manifest = DatasetManifest.of(history.objects.values())
    uri = f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/{manifest.version}/manifest.json"
    history.cloud.objects.write(uri, manifest.to_json())
    history.cloud.catalog.apply(
        add_dataset(Dataset(PIPELINE, manifest.version, "valid", uri, 1, 1, history.now()))
    )
    assert [each.dataset_version for each in tracing.holding(history.cloud, PIPELINE, KEYS[0]).found] == [
        manifest.version
    ]
