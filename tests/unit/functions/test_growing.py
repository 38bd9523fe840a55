"""A data set grows by what is new, read alone, and is what it would be if all of it were read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fakes
from build_world import PIPELINE, PIPELINE_YAML, Invoke, World
from sluice.catalog import keys
from sluice.domain.data import segments
from sluice.services.data import datasets, presence
from sluice.services.data.presence import related
from trying import examples

SMALL, LARGE = 1_000, -1
NAMES = ("a.csv", "b.csv", "c/d.csv", "c/e.csv", "c")


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    """A pipeline that is too large for its bucket to be listed."""
    monkeypatch.setattr(presence, "LISTED_MAX", LARGE)
    world = World(cloud, invoke)
    world.push()
    return world


@contextmanager
def reads(cloud: fakes.Cloud) -> Iterator[list[str]]:
    """The objects of the artifact bucket that are read within it."""
    seen: list[str] = []
    read: Callable[[str], bytes] = cloud.objects.read

    def noted(uri: str) -> bytes:
        seen.append(uri.partition(f"datasets/{PIPELINE}/")[2])
        return read(uri)

    with mock.patch.object(cloud.objects, "read", noted):
        yield seen


def rows(number: int) -> bytes:
    return f"x,y\n{number % 100},1\n{number % 7},0\n".encode()


def test_a_build_reads_of_former_objects_nothing(world: World) -> None:
    for number in range(3):
        assert world.build(f"{number}.csv", rows(number)) == "registered"
    before = datasets.find_head(world.cloud, PIPELINE, world.pipeline["dataset_version"])
    assert before is not None
    with reads(world.cloud) as seen:
        assert world.build("3.csv", rows(3)) == "registered"
    former = {f"segments/{each.digest}.json" for each in before.segments}
    assert len(former) == 3
    assert not former & set(seen)
    after = datasets.find_head(world.cloud, PIPELINE, world.pipeline["dataset_version"])
    assert after is not None
    assert after.parent == before.version
    assert after.segments[:3] == before.segments
    assert [obj.partition("/")[2] for obj in world.objects_of("reviews-00004")] == [
        f"{number}.csv#v1" for number in range(4)
    ]


def test_rows_of_objects_are_known_from_the_build_that_brought_each(world: World) -> None:
    with mock.patch.object(segments, "SMALL_MAX", 2):
        for number in range(5):
            assert world.build(f"{number}.csv", rows(number) + b"1,1\n" * number) == "registered"
    head = datasets.find_head(world.cloud, PIPELINE, world.pipeline["dataset_version"])
    assert head is not None
    assert len(head.segments) <= 3
    known = datasets.read_rows(world.cloud, PIPELINE, [each.digest for each in head.segments])
    assert known == {f"{PIPELINE}/{number}.csv": 2 + number for number in range(5)}


@pytest.mark.parametrize(
    ("name", "is_related"),
    [("a.csv", True), ("c", True), ("a.csv/x", True), ("c/d", False), ("b.csv", False), ("c/d.csvx", False)],
)
def test_what_is_settled_concerns_the_same_key_those_below_and_those_above(
    world: World, name: str, is_related: bool
) -> None:
    world.upload("c/d.csv", rows(1))
    assert world.build("a.csv") == "registered"
    key = f"{PIPELINE}/{name}"
    assert related(world.cloud, PIPELINE, {key, f"{PIPELINE}/z.csv"}) == ({key} if is_related else set())


def test_an_object_that_two_manifest_files_list_is_taken_once(world: World) -> None:
    assert world.build("0.csv", rows(0)) == "registered"
    listed = PIPELINE_YAML.replace("{quiet_period_s: 60}", "{manifest: manifest.json}")
    world.later(minutes=1)
    world.push(pipeline=listed.encode())
    world.upload("day/1.csv", rows(1))
    world.upload("day/manifest.json", b'["1.csv"]')
    world.later(seconds=2)
    assert world.build("manifest.json", b'["day/1.csv"]') == "registered"
    made = world.objects_of(f"{PIPELINE}-{world.pipeline['build_seq']:05}")
    assert [obj.partition("/")[2] for obj in made] == ["0.csv#v1", "day/1.csv#v1"]


def test_an_object_that_a_failed_run_built_is_not_added_twice(world: World) -> None:
    """Its data were valid, so the next data set grows from them; and it waits for the next run."""
    assert world.build("0.csv", rows(0)) == "registered"
    world.failing = {"evaluate-candidate"}
    assert world.build("1.csv", rows(1)) == "failed"
    world.failing = set()
    # A run that is rejected meanwhile takes it up, and puts it back.
    assert world.build("bad.csv", b"x\n1\n") == "data_rejected"
    world.later(minutes=10)
    assert world.build("2.csv", rows(2)) == "registered"
    made = world.objects_of(f"{PIPELINE}-{world.pipeline['build_seq']:05}")
    assert [obj.partition("/")[2] for obj in made] == ["0.csv#v1", "1.csv#v1", "2.csv#v1"]
    head = datasets.find_head(world.cloud, PIPELINE, world.pipeline["dataset_version"])
    assert head is not None
    assert head.objects == 3


@pytest.mark.parametrize("act", ["delete", "upload"])
def test_an_object_that_a_former_release_added_twice_is_there_once_again(world: World, act: str) -> None:
    assert world.build("0.csv", rows(0)) == "registered"
    assert world.build("1.csv", rows(1)) == "registered"
    head = datasets.find_head(world.cloud, PIPELINE, world.pipeline["dataset_version"])
    assert head is not None
    (held,) = (
        obj for obj in datasets.find_all(world.cloud, PIPELINE, head).objects.objects if "0" in obj.key
    )
    twice = datasets.grow(world.cloud, PIPELINE, head, [held])
    world.cloud.catalog.update(keys.pipeline_key(PIPELINE), {"dataset_version": twice.version})
    step(world, act, "0.csv", 5)
    assert world.build("2.csv", rows(2)) == "registered"
    made = world.objects_of(f"{PIPELINE}-{world.pipeline['build_seq']:05}")
    expected = ["0.csv#v2", "1.csv#v1", "2.csv#v1"]
    assert [obj.partition("/")[2] for obj in made] == expected[act == "delete" :]


@pytest.mark.parametrize("act", ["overwrite", "delete", "again", "quarantine"])
def test_a_build_reads_of_what_changed_its_segment_alone(world: World, act: str) -> None:
    for number in range(4):
        assert world.build(f"{number}.csv", rows(number)) == "registered"
    before = datasets.find_head(world.cloud, PIPELINE, world.pipeline["dataset_version"])
    assert before is not None
    if act == "delete":
        step(world, "delete", "2.csv", 0)
    elif act != "quarantine":
        world.upload("2.csv", rows(2) if act == "again" else rows(99))
    else:
        world.upload("2.csv", b"")
    world.upload("new.csv", rows(7))
    world.later(minutes=2)
    world.ask()
    run_id = world.pipeline["in_flight"]
    with reads(world.cloud) as seen:
        made = world.invoke("snapshot_dataset", world.common(run_id))
    former = {f"segments/{each.digest}.json": each.first for each in before.segments}
    assert [former[uri] for uri in seen if uri in former] == [f"{PIPELINE}/2.csv"]
    head = datasets.find_head(world.cloud, PIPELINE, made["dataset_version"])
    assert head is not None
    kept = [each for each in before.segments if each.first != f"{PIPELINE}/2.csv" or act == "again"]
    # With another content an object stays where it was.
    there = [each for each in head.segments if act != "overwrite" or each.first != f"{PIPELINE}/2.csv"]
    assert there[: len(kept)] == kept
    assert head.parent == (before.version if act == "again" else None)


# One candidate and no champion: what is trained of a version does not matter to what is in it.
LEAN = PIPELINE_YAML.replace("[0.1, 0.2]", "[0.1]").replace(
    "  - metrics.accuracy.value not_worse_than champion by 0.01\n", ""
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("upload", "upload", "again", "delete", "bad", "fail")), st.sampled_from(NAMES)
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.long
@given(builds=st.lists(STEPS, min_size=2, max_size=5))
@example(
    builds=[
        [("upload", "a.csv")],
        [("upload", "c/d.csv")],
        [("upload", "c/d.csv"), ("delete", "c/d.csv")],
        [("upload", "a.csv")],
    ]
)
@example(
    builds=[
        [("upload", "a.csv")],
        [("upload", "b.csv"), ("fail", "a.csv")],
        [("bad", "c/e.csv")],
        [("upload", "b.csv")],
        [("upload", "c/d.csv")],
    ]
)
@settings(
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_large_pipeline_makes_the_versions_that_a_small_one_makes(
    builds: list[list[tuple[str, str]]], invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads, also of what was there before or is bad, deletions, and builds between, which may fail."""
    small, large = (played(builds, invoke, monkeypatch, listed_max) for listed_max in (SMALL, LARGE))
    assert small == large


def played(
    builds: list[list[tuple[str, str]]], invoke: Invoke, monkeypatch: pytest.MonkeyPatch, listed_max: int
) -> list[tuple[str | None, list[str]]]:
    cloud = fakes.Cloud()
    monkeypatch.setattr("sluice.wiring.cloud", lambda: cloud)
    monkeypatch.setattr(presence, "LISTED_MAX", listed_max)
    monkeypatch.setattr(segments, "SMALL_MAX", 2)
    world, made = World(cloud, invoke), []
    world.push(pipeline=LEAN.encode())
    numbers = itertools.count()
    for steps in builds:
        world.failing = {"evaluate-candidate"} if any(act == "fail" for act, _ in steps) else set()
        for act, name in steps:
            step(world, act, name, next(numbers))
            world.later(seconds=2)
        world.later(minutes=2)
        world.ask()
        run_id = world.pipeline.get("in_flight")
        if run_id:
            world.play(run_id)
            version = world.catalog_run(run_id).get("dataset_version")
            made.append((version, world.objects_of(run_id) if version else []))
    return made


def step(world: World, act: str, name: str, number: int) -> None:
    if act == "delete":
        world.delete(name)
    elif act != "fail":
        content = {"again": rows(1), "bad": b"x\n1\n"}
        world.upload(name, content.get(act, rows(number)))
