"""A large data set is judged by its segments: by what is known of them, as if all were read."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fakes
import inline
from build_world import PIPELINE, PIPELINE_YAML, Invoke, World
from sluice.domain import times
from sluice.domain.build.errors import BuildError
from sluice.domain.data import leaves, segments
from sluice.domain.data.leaves import Leaf
from sluice.quality import judging, part_results, run
from sluice.quality.engine import EngineLimitError
from sluice.quality.judging import Baseline, Terms
from sluice.quality.part_results import PART, NeedsWholeError
from sluice.quality.processes import ProcessEndedError
from sluice.quality.run import Limits, Outcome
from sluice.services import building
from sluice.services.data import datasets, presence, segment_leaves, segment_parts, segment_readings
from sluice.services.data.segment_readings import Readings
from trying import examples

# One candidate and no champion: what is trained of a version does not matter to what is in it.
LEAN = PIPELINE_YAML.replace("[0.1, 0.2]", "[0.1]").replace(
    "  - metrics.accuracy.value not_worse_than champion by 0.01\n", ""
)
SCHEMA = next(line for line in LEAN.splitlines() if "schema:" in line)
RICH = LEAN.replace(
    SCHEMA,
    """\
  extra: warn
  schema:
    x: {type: number, min: 0, max: 100, tolerance: 0.2}
    s: {type: string, max_length: 3, tolerance: 0.3}
    y: {type: integer, allowed: [0, 1]}
  quality:
    - {check: mean, column: x, max: 60, severity: warn}
    - {check: distinct_count, column: s, min: 2, severity: warn}
    - {check: completeness, column: s, min: 0.9, severity: warn}
  bias: {facets: [s], favorable_labels: [1], limits: {DPL: 0.2}, severity: warn}""",
)
STRICTER = RICH.replace("max: 60", "max: 20").replace("tolerance: 0.3", "tolerance: 0.2")


@contextmanager
def sizes(
    *, segment: int, at_once: int, small_max: int = 100, leaf: int = 256, run: int = 1
) -> Iterator[None]:
    """Within it a segment has at most so many objects, and so many are read at once.

    One key of so many ends a leaf; there is none in a small segment, which is one, if that is not given. One
    segment of so many ends a run.
    """
    with (
        mock.patch.object(leaves, "OBJECTS", leaf),
        mock.patch.object(leaves, "SEGMENTS", run),
        mock.patch.object(segment_parts, "_SMALL_LEAVES", 0),
        mock.patch.object(segments, "OBJECTS_MAX", segment),
        mock.patch.object(segments, "SMALL_MAX", small_max),
        mock.patch.object(part_results, "OBJECTS_MAX", at_once),
        mock.patch.object(presence, "LISTED_MAX", -1),
    ):
        yield


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> Iterator[World]:
    """A pipeline whose segments have one object each, of which three are read at once."""
    with sizes(segment=1, at_once=3):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        yield world


@contextmanager
def reads(cloud: fakes.Cloud) -> Iterator[list[str]]:
    """The objects of the data bucket that are fetched within it."""
    seen: list[str] = []
    download: Callable[..., None] = cloud.objects.download

    def noted(bucket: str, key: str, version_id: str | None, path: Path) -> None:
        seen.append(key.rpartition("/")[2])
        download(bucket, key, version_id, path)

    with mock.patch.object(cloud.objects, "download", noted):
        yield seen


def one_at_a_time(reading: Readings, objects: int) -> bool:
    return not reading.objects


def rows(number: int, count: int = 2) -> bytes:
    return b"x,y\n" + b"".join(b"%d,%d\n" % ((number * 7 + n) % 100, n % 2) for n in range(count))


def upload(world: World, names: range) -> None:
    for number in names:
        world.upload(f"{number:02}.csv", rows(number))


def build(world: World) -> str:
    world.later(minutes=2)
    world.ask()
    return world.play(world.pipeline["in_flight"])


def grown(world: World, count: int) -> None:
    """Build a version of so many objects."""
    upload(world, range(count))
    assert build(world) == "registered"
    world.later(minutes=1)


def version(world: World) -> str:
    return str(world.pipeline["dataset_version"])


def parts(world: World, of: str = ".part-") -> list[str]:
    """The URIs of what is kept of segments, or of leaves."""
    keys = world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET]
    return [f"s3://{fakes.ARTIFACT_BUCKET}/{key}" for key in keys if of in key]


# ----------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(("act", "count"), [("delete", 20), ("delete", 40), ("overwrite", 20)])
def test_of_what_lost_or_changed_an_object_its_segment_alone_is_read(
    cloud: fakes.Cloud, invoke: Invoke, count: int, act: str
) -> None:
    with sizes(segment=count // 20, at_once=3):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        grown(world, count)
        if act == "delete":
            world.delete("03.csv")
            world.upload("new.csv", rows(1))
        else:
            world.upload("03.csv", rows(99))
        with reads(world.cloud) as seen:
            assert build(world) == "registered"
    beside = {20: [], 40: ["02.csv"]}[count]
    assert sorted(seen) == [*beside, *(["new.csv"] if act == "delete" else ["03.csv"])]
    assert world.dataset(version(world))["rows"] == 2 * count


@pytest.mark.parametrize("harm", ["", "lost", "of other edges"])
def test_of_segments_that_did_not_change_sums_of_several_are_read(
    cloud: fakes.Cloud, invoke: Invoke, harm: str
) -> None:
    with sizes(segment=2, at_once=100, run=4):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        grown(world, 40)
        # The first change finds no sums, and makes them.
        world.delete("01.csv")
        world.upload("other.csv", rows(2))
        assert build(world) == "registered"
        world.later(minutes=1)
        head = datasets.find_head(world.cloud, PIPELINE, version(world))
        assert head is not None
        runs = leaves.runs([each.digest for each in head.segments])
        assert 3 < len(runs) < 10
        (changed,) = (its for its in runs.values() if head.segments[7].digest in its)
        sums = {f"{name}.part-": its for name, its in runs.items() if len(its) > 1 and its != changed}
        for uri in parts(world):
            if any(name in uri for name in sums) and harm:
                harmed(world, uri, harm)
        world.delete("14.csv")
        world.upload("new.csv", rows(1))
        with reads(world.cloud) as seen, parts_read(world) as asked:
            assert build(world) == "registered"
    assert sorted(seen) == ["15.csv", "new.csv"]
    within = {digest for its in sums.values() for digest in its}
    assert len(within) > 5
    apart = {digest for digest in within if any(digest in uri for uri in asked)}
    assert apart == (within if harm else set())
    same_as_read_at_once(world, "reviews-00003")


def harmed(world: World, uri: str, harm: str) -> None:
    stored = world.cloud.objects.read(uri)
    if harm == "lost":
        world.cloud.objects.delete(uri)
    else:
        found = json.loads(stored)
        for column in found["columns"].values():
            column |= {"values": None, "counts": []}
        world.cloud.objects.write(uri, json.dumps(found).encode())


@contextmanager
def parts_read(world: World) -> Iterator[list[str]]:
    """The results of segments and of runs of these that are asked for within it."""
    seen: list[str] = []
    read: Callable[[str], bytes] = world.cloud.objects.read

    def noted(uri: str) -> bytes:
        seen.extend([uri] if ".part-" in uri else [])
        return read(uri)

    with mock.patch.object(world.cloud.objects, "read", noted):
        yield seen


def test_a_version_that_only_grew_is_judged_by_what_is_new_and_that_is_kept(world: World) -> None:
    grown(world, 5)
    world.upload("new.csv", rows(1))
    with reads(world.cloud) as seen:
        assert build(world) == "registered"
    assert seen == ["new.csv"]
    world.delete("new.csv")
    world.upload("newer.csv", rows(1))
    with reads(world.cloud) as seen:
        assert build(world) == "registered"
    assert seen == ["newer.csv"]


def test_more_objects_than_are_read_at_once_are_read_by_several_invocations(world: World) -> None:
    upload(world, range(6))
    with mock.patch.object(Readings, "has_time", one_at_a_time), reads(world.cloud) as seen:
        assert build(world) == "registered"
    # The first one also reads a sample, for quantiles.
    assert sorted(seen) == sorted([*(f"{n:02}.csv" for n in range(6))] * 2)
    states = inline.entered(world.execution)
    assert states.count("ValidateData") == states.count("IsDataValid") == 6
    notes = [each["detail"] for each in world.timeline() if each["event"] == "data read in part"]
    assert sorted(notes) == [f"{n} of 6 objects" for n in range(1, 6)]
    assert world.dataset(version(world))["rows"] == 12
    used = world.catalog_run()["reading_usage"]
    assert (used["requests"], used["memory_mb"]) == (5, 256)
    assert used["billed_s"] >= 0


def test_data_that_are_judged_anew_by_another_contract_are_read_by_several_invocations(world: World) -> None:
    grown(world, 6)
    world.push(pipeline=LEAN.replace("max: 100", "max: 99.5").encode())
    world.upload("new.csv", rows(1))
    with mock.patch.object(Readings, "has_time", one_at_a_time):
        assert build(world) == "registered"
    assert inline.entered(world.execution).count("ValidateData") == 7
    assert world.dataset(version(world))["rows"] == 14


def test_several_segments_of_new_objects_are_added_to_what_was_found(world: World) -> None:
    grown(world, 6)
    upload(world, range(10, 13))
    with mock.patch.object(Readings, "has_time", one_at_a_time), reads(world.cloud) as seen:
        assert build(world) == "registered"
    assert sorted(seen) == ["10.csv", "11.csv", "12.csv"]
    assert inline.entered(world.execution).count("ValidateData") == 3
    assert world.dataset(version(world))["rows"] == 18


def test_what_was_read_whole_is_kept_by_segments(cloud: fakes.Cloud, invoke: Invoke) -> None:
    with sizes(segment=2, at_once=100):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        grown(world, 6)
        world.delete("03.csv")
        world.upload("new.csv", rows(1))
        with reads(world.cloud) as seen:
            assert build(world) == "registered"
    assert sorted(seen) == ["02.csv", "new.csv"]


def test_what_was_read_whole_is_kept_of_its_only_segment(cloud: fakes.Cloud, invoke: Invoke) -> None:
    with sizes(segment=10, at_once=100):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        grown(world, 3)
    assert len(parts(world)) == 1
    stored = document(world, version(world), PART)
    assert world.cloud.objects.read(parts(world)[0]) == stored


def test_rows_that_doubled_are_read_at_once_as_long_as_they_can_be(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    read = []
    with sizes(segment=1, at_once=100):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        grown(world, 2)
        for number in range(10, 13):
            world.later(days=1)
            world.upload(f"{number}.csv", rows(number))
            with reads(world.cloud) as seen:
                assert build(world) == "registered"
            read.append(len(seen))
    # What is new is fetched first.
    assert read == [1, 1, 1 + 5]
    assert json.loads(document(world, version(world), PART))["edged_rows"] == 10


@pytest.mark.parametrize("lack", ["time", "memory", "sense"])
def test_what_could_not_be_kept_of_what_was_read_whole_is_read_when_it_is_needed(
    cloud: fakes.Cloud, invoke: Invoke, lack: str
) -> None:
    lacking: dict[str, Any] = {
        "time": mock.patch.object(run, "_LEAVES_SHARE", 0.0),
        "memory": mock.patch.object(judging, "leaf_parts", side_effect=EngineLimitError("it has too little")),
        "sense": mock.patch.object(judging, "leaf_parts", side_effect=NeedsWholeError),
    }
    with sizes(segment=2, at_once=100):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        with lacking[lack]:
            grown(world, 6)
        assert parts(world) == []
        world.delete("03.csv")
        world.upload("new.csv", rows(1))
        with reads(world.cloud) as seen:
            assert build(world) == "registered"
    assert len(seen) == 6
    assert world.dataset(version(world))["rows"] == 12


@pytest.mark.parametrize("act", ["delete", "overwrite"])
@pytest.mark.parametrize("at_once", [3, 100])
def test_of_a_segment_that_lost_or_changed_an_object_its_leaf_alone_is_read(
    cloud: fakes.Cloud, invoke: Invoke, act: str, at_once: int
) -> None:
    """Whether all were read at once before, or by segments."""
    with sizes(segment=30, at_once=at_once, leaf=4):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        grown(world, 30)
        (beside,) = (
            {obj.key.rpartition("/")[2] for obj in leaf.file.objects()} - {"13.csv"}
            for leaf in leaves_of(world, 0)
            if leaf.file.at(f"{PIPELINE}/13.csv")
        )
        assert 2 < len(beside) < 10
        if act == "delete":
            world.delete("13.csv")
            world.upload("new.csv", rows(13))
        else:
            world.upload("13.csv", rows(99))
        with reads(world.cloud) as seen:
            assert build(world) == "registered"
        assert {*seen} == beside | {"new.csv" if act == "delete" else "13.csv"}
        assert len(seen) == len({*seen})
        same_as_read_at_once(world, "reviews-00002")


def leaves_of(world: World, number: int) -> list[Leaf]:
    """The leaves of a segment of the last version."""
    head = datasets.find_head(world.cloud, PIPELINE, version(world))
    assert head is not None
    digest = head.segments[number].digest
    return leaves.of(datasets.read_segments(world.cloud, PIPELINE, [digest])[digest])


def test_an_invocation_goes_on_in_a_segment_where_the_last_one_stopped(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    with sizes(segment=20, at_once=3, leaf=5):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        upload(world, range(20))
        with mock.patch.object(Readings, "has_time", one_at_a_time), reads(world.cloud) as seen:
            assert build(world) == "registered"
        invocations = [leaf.objects for leaf in leaves_of(world, 0)]
        assert len(invocations) > 2
        assert inline.entered(world.execution).count("ValidateData") == len(invocations)
        # The first one also reads a sample, for quantiles.
        assert len(seen) == 20 + 20
        known = [each["detail"] for each in world.timeline() if each["event"] == "data read in part"]
        assert sorted(known) == sorted(f"{n} of 20 objects" for n in [*accumulate(invocations)][:-1])
        same_as_read_at_once(world, "reviews-00001")


@pytest.mark.parametrize("lack", ["memory", "time"])
def test_leaves_that_are_too_much_together_are_read_one_by_one(
    cloud: fakes.Cloud, invoke: Invoke, lack: str
) -> None:
    """Where they took all time, the next invocation goes on with the first of them."""
    read, counts = run.read, list[int]()

    def narrow(work: run.Work, **how: Any) -> Any:
        counts.append(len(work.leaf_files))
        beyond = run.Reading(beyond=run.beyond_limits(f"it needs more {lack}", []))
        return beyond if counts[-1] > 1 else read(work, **how)

    def has_time(reading: Readings, objects: int) -> bool:
        return lack == "memory" or max(counts, default=0) < 2 or not reading.objects

    with sizes(segment=20, at_once=3, leaf=5):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        upload(world, range(20))
        with mock.patch.object(run, "read", narrow), mock.patch.object(Readings, "has_time", has_time):
            assert build(world) == "registered"
        others = len(leaves_of(world, 0)) - 1
        assert others > 1
        assert counts == [0, 1, others, *[1] * others]
        invocations = 1 if lack == "memory" else 1 + others
        assert inline.entered(world.execution).count("ValidateData") == invocations


def test_leaves_that_were_chosen_are_read_though_others_use_some_of_the_room_by_then(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage, portion, free = shutil.disk_usage("/"), Readings._portion, [10**9]

    def chosen(reading: Readings, left: Any) -> Any:
        free[0] = 10**9
        found = portion(reading, left)
        free[0] = 10
        return found

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    monkeypatch.setattr(Readings, "_portion", chosen)
    with sizes(segment=20, at_once=3, leaf=5):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        upload(world, range(20))
        assert build(world) == "registered"
        assert len(leaves_of(world, 0)) > 2
        same_as_read_at_once(world, "reviews-00001")


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_is_merged_takes_along_what_was_found_in_leaves_that_became_one(
    cloud: fakes.Cloud, invoke: Invoke, is_lost: bool
) -> None:
    """Each build adds two objects; what they are merged into ends leaves where their segments did not.

    A leaf of which a piece is lost is read when it is needed.
    """
    with sizes(segment=40, at_once=3, small_max=8, leaf=4):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        for number in range(0, 18, 2):
            upload(world, range(number, number + 2))
            assert build(world) == "registered"
            world.later(days=1)
            for uri in parts(world, ".leaf-") if is_lost and not number else ():
                world.cloud.objects.delete(uri)
        merged = leaves_of(world, 0)
        assert (sum(leaf.objects for leaf in merged), len(merged)) == (18, 5)
        unknown, changed = (
            {obj.key.rpartition("/")[2] for obj in leaf.file.objects()} for leaf in merged[:2]
        )
        gone = min(changed)
        world.delete(gone)
        world.upload("new.csv", rows(10))
        with reads(world.cloud) as seen:
            assert build(world) == "registered"
        assert sorted(seen) == sorted({*changed, "new.csv", *(unknown if is_lost else ())} - {gone})
        same_as_read_at_once(world, "reviews-00010")


def test_small_segments_take_what_was_found_in_them_into_what_they_are_merged_to(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    with sizes(segment=4, at_once=3, small_max=5):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        grown(world, 5)
        for number in range(5, 10):
            assert world.build(f"{number:02}.csv", rows(number)) == "registered"
            world.later(days=1)
        head = datasets.find_head(world.cloud, PIPELINE, version(world))
        world.delete("00.csv")
        world.upload("10.csv", rows(10))
        with reads(world.cloud) as seen:
            assert build(world) == "registered"
    assert head is not None
    assert [each.objects for each in head.segments] == [4, 4, 2]
    assert sorted(seen) == ["01.csv", "02.csv", "03.csv", "10.csv"]


# --------------------------------------------------------------------------------------- what is bad, or lost


def test_a_bad_object_among_more_than_are_read_at_once_is_set_aside_alone(world: World) -> None:
    upload(world, range(5))
    world.upload("03.csv", b"x,y\n1000,0\n")
    world.upload("bad.csv", b"x,y\n1,7\n")
    with mock.patch.object(Readings, "has_time", one_at_a_time):
        assert build(world) == "data_rejected"
        arrivals = world.arrivals()
        aside = sorted(key for key, status in arrivals.items() if status == "quarantined")
        assert aside == [f"{PIPELINE}/03.csv#v2", f"{PIPELINE}/bad.csv#v1"]
        assert build(world) == "registered"
    assert [obj.partition("/")[2] for obj in world.objects_of("reviews-00002")] == [
        f"{number:02}.csv#v1" for number in (0, 1, 2, 4)
    ]


@pytest.mark.parametrize("harm", ["lost", "torn", "empty"])
@pytest.mark.parametrize("of", ["a segment", "its leaf too"])
def test_what_was_kept_and_is_lost_is_found_anew(world: World, harm: str, of: str) -> None:
    grown(world, 5)
    part = parts(world)[2]
    # The segment is of one leaf, so that both are called the same.
    harmed = [part, *([part.replace(".part-", ".leaf-") + ".gz"] if of == "its leaf too" else [])]
    before = {uri: world.cloud.objects.read(uri) for uri in harmed}
    for uri, stored in before.items():
        if harm == "lost":
            world.cloud.objects.delete(uri)
        else:
            world.cloud.objects.write(uri, stored[: len(stored) // 2] if harm == "torn" else b"")
    world.delete("04.csv")
    world.upload("new.csv", rows(1))
    with reads(world.cloud) as seen:
        assert build(world) == "registered"
    assert len(seen) == len(harmed)
    assert {uri: world.cloud.objects.read(uri) for uri in harmed} == before
    assert world.dataset(version(world))["rows"] == 10


@pytest.mark.parametrize(
    ("at", "crash_at"), [*((segment_leaves, n) for n in range(5)), (segment_parts, 0), (segment_parts, 4)]
)
def test_an_invocation_that_died_is_repeated_and_does_not_read_again(
    world: World, at: Any, crash_at: int
) -> None:
    upload(world, range(5))
    write, left = at.write, [crash_at]

    def dying(*given: Any) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise RuntimeError("it died")
        write(*given)

    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    task = {**world.common(), "dataset_version": world.catalog_run()["dataset_version"]}
    with (
        mock.patch.object(at, "write", dying),
        pytest.raises(RuntimeError, match="it died"),
    ):
        world.invoke("validate_data", task)
    with reads(world.cloud) as seen:
        verdict = world.invoke("validate_data", task)
    kept = crash_at + (at is segment_parts)
    # Where nothing is known, a sample is read again for quantiles.
    assert len(seen) == (5 - kept if kept else 10)
    assert (verdict["is_valid"], verdict["rows"]) == (True, 10)
    assert world.invoke("validate_data", task) == verdict
    assert json.loads(document(world, version(world), PART))["rows"] == 10


@pytest.mark.parametrize("how", ["whole", "what is new"])
def test_the_rows_of_objects_are_stored_before_what_spares_to_read_them(
    cloud: fakes.Cloud, invoke: Invoke, how: str
) -> None:
    """An invocation may die between any two writes, and the next one reads nothing of what is known."""
    with sizes(segment=20, at_once=100, leaf=5):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        upload(world, range(12))
        if how == "what is new":
            assert build(world) == "registered"
            world.later(minutes=1)
            upload(world, range(20, 23))
        seen = []
        write: Callable[..., None] = cloud.objects.write

        def noted(uri: str, *given: Any) -> None:
            seen.append(next((kind for kind in ("rows", "part", "leaf") if f".{kind}" in uri), "other"))
            write(uri, *given)

        with mock.patch.object(cloud.objects, "write", noted):
            assert build(world) == "registered"
        kept = [kind for kind in seen if kind != "other"]
        assert kept[0] == "rows"
        assert {"part", "leaf"} <= {*kept}
        assert kept.count("rows") == 1


def test_what_a_stopped_run_read_is_the_next_run_s_and_a_late_invocation_decides_nothing(
    world: World,
) -> None:
    upload(world, range(4))
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    task = {**world.common(), "dataset_version": world.catalog_run()["dataset_version"]}
    with mock.patch.object(Readings, "has_time", one_at_a_time):
        assert world.invoke("validate_data", task)["known_objects"] == 1
        world.finish("stopped")
        # One was under way, and reads on: all are known after it.
        assert world.invoke("validate_data", task)["known_objects"] == 2
    with pytest.raises(BuildError, match="reviews-00001 has ended, its data are the next run's"):
        world.invoke("validate_data", task)
    assert "dataset_version" not in world.pipeline
    world.upload("more.csv", rows(9))
    with reads(world.cloud) as seen:
        assert build(world) == "registered"
    assert seen == ["more.csv"]


def test_an_invocation_that_gets_no_further_than_the_one_before_it_fails(world: World) -> None:
    upload(world, range(5))
    with (
        mock.patch.object(Readings, "has_time", one_at_a_time),
        mock.patch.object(segment_parts, "write"),
        mock.patch.object(segment_leaves, "write"),
    ):
        assert build(world) == "failed"
    assert world.catalog_run()["reasons"] == ["NoProgressError: no more than 1 of 5 objects could be read"]


def test_a_segment_that_takes_all_time_is_refused_by_the_invocation_that_begins_with_it(world: World) -> None:
    grown(world, 5)
    read = run.read
    beyond = run.Reading(beyond=run.beyond_limits("it takes too long", [f"{PIPELINE}/slow.csv"]))

    def slow(work: run.Work, **how: Any) -> Any:
        return beyond if "slow" in work.files[0].key else read(work, **how)

    world.upload("new.csv", rows(1))
    world.upload("slow.csv", rows(1))
    with mock.patch.object(run, "read", slow):
        assert build(world) == "data_rejected"
    assert inline.entered(world.execution).count("ValidateData") == 2
    arrivals = world.arrivals()
    assert arrivals[f"{PIPELINE}/slow.csv#v1"] == "quarantined"
    assert arrivals[f"{PIPELINE}/new.csv#v1"] == "pending"


def test_an_object_that_does_not_fit_into_the_storage_is_set_aside_before_it_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(world, 5)
    world.upload("new.csv", rows(1))
    world.upload("large.csv", rows(1, 50))
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=200))
    with reads(world.cloud) as seen:
        assert build(world) == "data_rejected"
    assert seen == []
    assert world.catalog_run("reviews-00002")["reasons"][0].startswith(
        f"{PIPELINE}/large.csv: it has {len(rows(1, 50))} bytes, at most 120 fit here: "
    )
    assert world.arrivals()[f"{PIPELINE}/new.csv#v1"] == "pending"


@pytest.mark.parametrize("nth", [0, 1])
def test_an_object_that_ends_the_engine_is_set_aside(world: World, nth: int) -> None:
    """Whether it is read in a sample, for quantiles, or in its segment."""
    in_a_process: Any = vars(run)["processes"]
    for number in range(5):
        # None of which was judged before: that is remembered.
        world.upload(f"{nth}-{number}.csv", rows(number))
    ended = ProcessEndedError("memory", (f"{PIPELINE}/{nth}-0.csv",), 1.0)
    work, calls = in_a_process.run, itertools.count()

    def ending(*given: Any, **how: Any) -> Any:
        if next(calls) == nth:
            raise ended
        return work(*given, **how)

    with mock.patch.object(in_a_process, "run", ending):
        assert build(world) == "data_rejected"
    aside = [key for key, status in world.arrivals().items() if status == "quarantined"]
    assert aside == [f"{PIPELINE}/{nth}-0.csv#v1"]
    assert build(world) == "registered"


def test_a_check_of_the_whole_says_that_it_is_why_so_many_objects_are_too_many(world: World) -> None:
    world.later(minutes=1)
    world.push(pipeline=LEAN.replace("x: {type: number,", "x: {type: number, unique: true,").encode())
    upload(world, range(5))
    assert build(world) == "data_rejected"
    assert world.catalog_run()["reasons"] == [
        f"{PIPELINE}/03.csv, {PIPELINE}/04.csv: the data set has 5 objects, at most 3 are read at once,"
        " and all must be for unique of x: put more rows into each"
    ]


def test_values_that_must_be_counted_together_say_so_where_they_are_too_many(world: World) -> None:
    world.later(minutes=1)
    check = "  quality: [{check: distinct_count, column: x, min: 1}]\n  schema:"
    world.push(pipeline=LEAN.replace("  schema:", check).replace("max: 100", "max: 10000").encode())
    for number in range(4):
        body = b"x,y\n" + b"".join(b"%d,0\n" % (number * 2000 + n) for n in range(1100))
        world.upload(f"{number}.csv", body)
    assert build(world) == "data_rejected"
    (reason,) = world.catalog_run()["reasons"]
    assert (
        "at most 3 are read at once, and all must be as a column has more than 1024 different values"
        in reason
    )


def test_a_column_that_had_no_value_before_is_counted_between_quantiles_of_what_is_new(world: World) -> None:
    world.later(minutes=1)
    world.push(pipeline=LEAN.replace("y: {", "z: {type: number}, y: {").encode())
    grown(world, 5)

    for number in (6, 7):
        world.upload(f"{number}.csv", numbers(0, 150 * number))
        assert build(world) == "registered"
        world.later(minutes=1)
    world.delete("6.csv")
    world.upload("8.csv", numbers(0, 300))
    assert build(world) == "registered"
    assert sum(distribution(world, "z")["counts"]) == 1350


def numbers(first: int, count: int) -> bytes:
    """Rows with so many different numbers of a column that other data lack."""
    return b"x,z,y\n" + b"".join(b"1,%d,%d\n" % (first + n, n % 2) for n in range(count))


def distribution(world: World, column: str) -> dict[str, Any]:
    """What a column's distribution counts, which is all of its values."""
    found = json.loads(document(world, version(world), "profile.json"))["columns"][column]
    assert sum(found["distribution"]["counts"]) == found["present"]
    return dict(found["distribution"])


@pytest.mark.parametrize("how", ["in portions", "by several invocations", "by leaves"])
def test_a_column_that_comes_with_much_is_counted_alike_in_all_of_it(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Each portion of a segment, and each of several segments, has other quantiles of its own."""
    of = {"in portions": (4, 3, 256), "by several invocations": (1, 3, 256), "by leaves": (4, 2, 1)}
    segment, at_once, leaf = of[how]
    with sizes(segment=segment, at_once=at_once, leaf=leaf):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.replace("y: {", "z: {type: number}, y: {").encode())
        grown(world, 5)
        for number in range(3):
            world.upload(f"more-{number}.csv", numbers(1000 * number, 300))
        if how == "in portions":
            usage = shutil.disk_usage("/")
            room = int(2 * len(numbers(2000, 300)))
            monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=room))
        else:
            monkeypatch.setattr(Readings, "has_time", one_at_a_time)
        assert build(world) == "registered"
        found = distribution(world, "z")
        assert (found["min"], found["max"]) == (0, 2299)


def test_a_sample_is_of_segments_that_are_spread_over_all(world: World) -> None:
    upload(world, range(12))
    with reads(world.cloud) as seen:
        assert build(world) == "registered"
    sampled = [int(name[:2]) for name in seen[:10]]
    assert sorted(sampled) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("objects", [1, 4])
def test_a_sample_of_few_bytes_has_some_of_each_segment_and_at_least_one_object(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, objects: int
) -> None:
    """So that the first invocation has time for more than the sample, whatever the objects' sizes."""
    most = {1: 1, 4: 4 * len(rows(2))}[objects]
    monkeypatch.setattr("sluice.services.data.segment_readings._SAMPLED_BYTES", most)
    with sizes(segment=2, at_once=3):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.encode())
        upload(world, range(2, 10))
        with reads(world.cloud) as seen:
            assert build(world) == "registered"
    assert sorted(seen[:objects]) == ["02.csv", "04.csv", "06.csv", "08.csv"][:objects]
    assert len(seen) == 8 + objects


# ---------------------------------------------------------------------------------------- as if all were read


@pytest.mark.parametrize("at_once", [3, 100])
@pytest.mark.parametrize(("segment", "leaf"), [(1, 256), (5, 1)])
def test_drift_of_segments_or_leaves_added_up_is_that_of_all_data(
    cloud: fakes.Cloud, invoke: Invoke, at_once: int, segment: int, leaf: int
) -> None:
    drift = "  drift: {method: psi, max: 0.2, severity: warn}\n  schema:"
    with sizes(segment=segment, at_once=at_once, leaf=leaf):
        world = World(cloud, invoke)
        world.push(pipeline=LEAN.replace("  schema:", drift).replace("max: 100", "max: 10000").encode())
        for number in range(5):
            values = range(number, 400, 5)
            world.upload(f"{number}.csv", b"x,y\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in values))
        assert build(world) == "registered"
        first = version(world)
        world.later(minutes=1)
        world.delete("1.csv")
        values = range(2000, 2300)
        world.upload("new.csv", b"x,y\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in values))
        with reads(world.cloud) as seen:
            assert build(world) == "registered"
        profile = building.find_profile(world.cloud, PIPELINE, first)
        whole = read_at_once(world, "reviews-00002", Baseline(400, first, profile))
    assert seen == ["new.csv"]
    found, expected = (
        json.loads(each)["drift"]
        for each in (document(world, version(world), run.REPORT), whole.documents[run.REPORT])
    )
    assert found["has_drifted"]
    for column in expected["columns"]:
        # An area between quantiles that are not the data's own says nothing.
        if column["column"] == "x":
            del column["distances"]["wasserstein"]
    assert found == expected


def test_beyond_one_reading_a_column_that_outgrew_its_baseline_s_categories_is_not_compared(
    world: World,
) -> None:
    world.later(minutes=1)
    drift = "  drift: {method: psi, max: 0.2}\n  schema:"
    schema = LEAN.replace("  schema:", drift).replace(
        "x: {type: number, min: 0, max: 100}", "x: {type: string}"
    )
    world.push(pipeline=schema.encode())

    def texts(first: int) -> bytes:
        return b"x,y\n" + b"".join(b"t%d,%d\n" % (first + n // 2, n % 2) for n in range(800))

    for number in range(2):
        world.upload(f"{number}.csv", texts(number * 400))
    upload(world, range(10, 13))
    assert build(world) == "registered"
    world.later(minutes=1)
    world.upload("more.csv", texts(800))
    assert build(world) == "registered"
    (column, _) = json.loads(document(world, version(world), run.REPORT))["drift"]["columns"]
    assert (column["column"], column["note"]) == ("x", "was not counted in the baseline's edges")


def body(number: int, kind: str) -> bytes:
    """Rows of a few kinds: good, bad in a few rows or in most, without a column, with another."""
    header = {"lacks": "x,y", "more": "x,s,y,also"}.get(kind, "x,s,y")
    values: dict[str, Callable[[int], str]] = {
        "x": lambda n: str((number * 7 + n) % 90 + (200 if kind == "bad" and n else 0)),
        "s": lambda n: "long text" if kind == "odd" and n == 1 else ["a", "bb", "", "d"][(number + n) % 4],
        "y": lambda n: str(n % 2),
        "also": lambda n: "1",
    }
    lines = [",".join(values[name](n) for name in header.split(",")) for n in range(number % 3 + 1)]
    return "\n".join([header, *lines, ""]).encode()


ACTS = st.one_of(
    st.tuples(
        st.sampled_from(("good", "good", "good", "bad", "odd", "lacks", "more", "delete")),
        st.sampled_from([f"{letter}.csv" for letter in "abcdefg"]),
    ),
    st.tuples(st.just("push"), st.sampled_from((RICH, STRICTER))),
)


@pytest.mark.long
@given(
    builds=st.lists(st.lists(ACTS, min_size=1, max_size=4), min_size=2, max_size=4),
    segment=st.sampled_from((1, 2, 6)),
    at_once=st.integers(2, 5),
    small_max=st.sampled_from((2, 100)),
    leaf=st.sampled_from((1, 2, 256)),
    run_of=st.sampled_from((1, 2, 8)),
    is_interrupted=st.booleans(),
)
@example(
    builds=[
        [("good", f"{letter}.csv") for letter in "abcdef"],
        [("delete", "b.csv"), ("odd", "g.csv")],
        [("push", STRICTER), ("lacks", "c.csv")],
        [("bad", "a.csv"), ("more", "d.csv")],
    ],
    segment=1,
    at_once=2,
    small_max=2,
    leaf=256,
    run_of=3,
    is_interrupted=True,
)
@example(
    builds=[
        [("good", f"{letter}.csv") for letter in "abcdef"],
        [("delete", "b.csv"), ("odd", "g.csv")],
        [("more", "c.csv"), ("lacks", "d.csv")],
        [("push", STRICTER), ("bad", "a.csv"), ("good", "b.csv")],
    ],
    segment=6,
    at_once=2,
    small_max=2,
    leaf=2,
    run_of=1,
    is_interrupted=True,
)
@settings(
    max_examples=examples(12),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_happened_the_verdict_is_that_of_reading_all_at_once(
    builds: list[list[tuple[str, str]]],
    segment: int,
    at_once: int,
    small_max: int,
    leaf: int,
    run_of: int,
    is_interrupted: bool,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Uploads, of good data and bad, overwriting, deletions, other contracts, and builds between."""
    cloud = fakes.Cloud()
    monkeypatch.setattr("sluice.wiring.cloud", lambda: cloud)
    has_time = one_at_a_time if is_interrupted else Readings.has_time
    numbers = itertools.count()
    with (
        sizes(segment=segment, at_once=at_once, small_max=small_max, leaf=leaf, run=run_of),
        mock.patch.object(Readings, "has_time", has_time),
    ):
        world = World(cloud, invoke)
        world.push(pipeline=RICH.encode())
        for acts in builds:
            for act, what in acts:
                world.later(seconds=2)
                if act == "push":
                    world.push(pipeline=what.encode())
                elif act == "delete":
                    world.delete(what)
                else:
                    world.upload(what, body(next(numbers), act))
            world.later(minutes=2)
            world.ask()
            run_id = world.pipeline.get("in_flight")
            if run_id and world.play(run_id) not in ("skipped", "failed"):
                same_as_read_at_once(world, run_id)


def document(world: World, version: str, name: str) -> bytes:
    return world.cloud.objects.read(f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/{version}/{name}")


def read_at_once(world: World, run_id: str, baseline: Baseline) -> Outcome:
    """What reading all objects of a run's data finds."""
    ended = world.catalog_run(run_id)
    project = building.find_project(world.cloud, PIPELINE, ended["project_version"])
    objects = datasets.find_manifest(world.cloud, PIPELINE, ended["dataset_version"]).objects
    with TemporaryDirectory() as folder:
        files = segment_readings.download(world.cloud, objects, Path(folder))
        data, now = building.overridden(project, None).data, times.from_iso(world.cloud.now())
        work = run.Work(files, Terms(data, baseline, now), Limits(256, None, Path(folder)))
        return run.validate(work, title="")


def same_as_read_at_once(world: World, run_id: str) -> None:
    """What is on record about a run's data is what reading all of them at once finds."""
    made, whole = world.catalog_run(run_id)["dataset_version"], read_at_once(world, run_id, Baseline())
    judged = plain_report(document(world, made, run.REPORT))
    assert judged == plain_report(whole.documents[run.REPORT])
    if not whole.report.rows:
        return
    profiles = [
        json.loads(each) for each in (document(world, made, "profile.json"), whole.documents["profile.json"])
    ]
    for found, expected in zip(*(each["columns"].values() for each in profiles), strict=True):
        for moment in ("mean", "std"):
            both = [each["distribution"].pop(moment) for each in (found, expected) if each["distribution"]]
            assert not both or both[0] == pytest.approx(both[1], rel=1e-9)
    assert profiles[0] == profiles[1]
    if whole.report.is_valid:
        head = datasets.find_head(world.cloud, PIPELINE, made)
        assert head is not None
        digests = [each.digest for each in head.segments]
        assert datasets.read_rows(world.cloud, PIPELINE, digests) == whole.object_rows


def plain_report(report: bytes) -> Any:
    """A report without its examples, of which any will do if there are more than are shown."""
    found = json.loads(report)
    for violation in found["violations"]:
        del violation["examples"]
    found["violations"].sort(key=lambda each: (each["check"], each["column"] or "", each["message"]))
    return found
