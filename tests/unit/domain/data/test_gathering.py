"""Whatever happens to uploads and their events, each object is gathered once, and in as few builds as can be.

Arrivals, batches, data sets and the governor together, as the functions put them together, over a clock and a
bucket in which uploads, duplicated, lost and late events, verdicts and crashes come in any order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.builds import Pipeline
from sluice.domain.build import governor
from sluice.domain.build.governor import Decision, Policy, StartBuild, WaitUntil
from sluice.domain.config.models import CompleteWhen, Window
from sluice.domain.data import batches, datasets, windows
from sluice.domain.data.batches import Batch
from sluice.domain.data.datasets import DatasetManifest, Mode, ObjectVersion
from sluice.domain.times import from_iso, to_iso
from sluice.quality.validation import Report, Violation
from trying import examples

QUIET_S = 60
FOLDERS = ("p/a/", "p/b/")
KEYS = [f"{folder}{name}" for folder in FOLDERS for name in ("1", "2")]
POLICY = Policy(quiet_period_s=QUIET_S, cooldown_s=100, daily_budget=4)
COMPLETE_WHEN = {
    "quiet period": CompleteWhen(quiet_period_s=QUIET_S),
    "marker": CompleteWhen(marker="_SUCCESS"),
    "manifest": CompleteWhen(manifest="manifest.json"),
}
Event = tuple[str, str]


class World:
    """One pipeline: a bucket, the events of it that are under way, what the catalog says, and a clock."""

    def __init__(self, complete_when: CompleteWhen, mode: Mode) -> None:
        self.complete_when, self.mode = complete_when, mode
        self.policy = replace(POLICY, quiet_period_s=complete_when.wait_s)
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.bucket: dict[str, list[tuple[bytes, str]]] = {}
        self.events: list[Event] = []
        self.items: dict[Event, dict[str, Any]] = {}
        self.sets: dict[str, str] = {}
        self.state = Pipeline("p", "p1")
        self.manifest: DatasetManifest | None = None
        self.built: DatasetManifest | None = None
        self.builds: list[datetime] = []
        self.concluded: list[str] = []
        self.versions: dict[Event, str] = {}
        self.reports: dict[str, Report] = {}

    # -------------------------------------------------------------------------------- what happens outside

    def upload(self, choice: int) -> None:
        self.put(KEYS[choice % len(KEYS)], f"content {choice % 3}".encode())

    def complete(self, choice: int) -> None:
        """Upload what completes a folder, if anything but time does."""
        folder, name = FOLDERS[choice % len(FOLDERS)], self.complete_when.control_name
        if name is None:
            return
        present = [key for key in self.bucket if key.startswith(folder) and not key.endswith(name)]
        listed = [key.removeprefix(folder) for key in present if not self.is_set_aside(key)]
        self.put(f"{folder}{name}", json.dumps(listed).encode() if self.complete_when.manifest else b"")

    def is_set_aside(self, key: str) -> bool:
        item = self.items.get((key, str(len(self.bucket[key]))), {})
        return item.get("status") == "quarantined"

    def put(self, key: str, body: bytes) -> None:
        self.pass_time(0)
        versions = self.bucket.setdefault(key, [])
        versions.append((body, to_iso(self.now)))
        self.events.append((key, str(len(versions))))

    def hear(self, choice: int) -> None:
        if self.events:
            self.record(self.events.pop(choice % len(self.events)))

    def hear_again(self, choice: int) -> None:
        if self.events:
            self.record(self.events[choice % len(self.events)])

    def lose(self, choice: int) -> None:
        if self.events:
            self.events.pop(choice % len(self.events))

    def pass_time(self, choice: int) -> None:
        self.now += timedelta(seconds=1 + 17 * choice)

    # --------------------------------------------------------------------------------- what the functions do

    def record(self, event: Event) -> None:
        key, version_id = event
        body, at = self.bucket[key][int(version_id) - 1]
        is_control = key.rpartition("/")[2] == self.complete_when.control_name
        item = {
            "key": key,
            "version_id": version_id,
            "size_bytes": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "arrived_at": at,
            "recorded_at": to_iso(self.now),
            "status": "control" if is_control else "pending",
            "is_control": is_control,
        }
        self.items.setdefault(event, item)

    def reconcile(self, _: int = 0) -> None:
        for key, versions in self.bucket.items():
            self.record((key, str(len(versions))))

    def arrivals(self) -> list[Arrival]:
        return [Arrival(pipeline="p", **item) for item in self.items.values()]

    def find(self, unsettled: set[str]) -> list[Batch]:
        arrivals = [
            arrival.as_untaken() if arrival.dataset_version in unsettled and arrival.is_included else arrival
            for arrival in self.arrivals()
        ]
        return batches.assemble(
            self.complete_when, arrivals, lambda a: self.bucket[a.key][int(a.version_id) - 1][0]
        )

    def ask(self, _: int = 0) -> Decision:
        pending = governor.pending(batches.ready(self.find(set())))
        decision = governor.decide(self.state, pending, self.policy, self.now)
        if isinstance(decision, StartBuild):
            self.check_start({(arrival.key, arrival.version_id) for arrival in pending})
            self.builds.append(self.now)
            self.state = replace(
                self.state,
                in_flight=f"p-{len(self.builds):05d}",
                built_project_version="p1",
                last_build_at=to_iso(self.now),
                budget_day=decision.budget_day,
                budget_used=decision.budget_used,
            )
        return decision

    def check_start(self, pending: set[Event]) -> None:
        """A build has something new, all of which was heard of long enough ago, and is within the limits."""
        assert pending, "a build without anything new"
        assert self.state.in_flight is None, "two builds at a time"
        heard = (from_iso(self.items[event]["recorded_at"]) for event in pending)
        assert self.now - max(heard) >= timedelta(seconds=self.policy.quiet_period_s), "an upload went on"
        if self.builds:
            assert self.now - self.builds[-1] >= timedelta(seconds=self.policy.cooldown_s)
        today = [build for build in self.builds if build.date() == self.now.date()]
        assert len(today) < self.policy.daily_budget

    def snapshot(self, _: int = 0) -> None:
        if self.state.in_flight is None or self.built is not None:
            return
        unsettled = {version for version, status in self.sets.items() if status != "valid"}
        complete = batches.ready(self.find(unsettled))
        taken = complete[-1:] if self.mode == "replace" else complete
        fresh = [
            ObjectVersion.of(obj)
            for batch in taken
            for obj in batch.objects
            if len(self.bucket[obj.key]) == int(obj.version_id)
        ]
        self.built = datasets.combine(self.mode, self.previous(), fresh)
        version = self.built.version
        self.sets.setdefault(version, "new")
        for batch in complete:
            self.take_up(batch, version)
        if self.mode == "window":
            self.built = windows.within(
                self.built, Window(last="3 batches"), windows.newest({}, self.arrivals())
            )
            self.sets.setdefault(self.built.version, "new")
            for event, item in self.items.items():
                if item.get("dataset_version") == version:
                    item["dataset_version"] = self.versions[event] = self.built.version
        assert batches.ready(self.find(set())) == [], "what was ready was left for another build"

    def previous(self) -> DatasetManifest | None:
        if self.manifest is None:
            return None
        current = {key: str(len(versions)) for key, versions in self.bucket.items()}
        changed = datasets.changed_since(self.manifest, current, map(ObjectVersion.of, self.arrivals()))
        return DatasetManifest.of(obj for obj in self.manifest.objects if obj.key not in changed)

    def check_complete(self, batch: Batch) -> None:
        """What completes the batch is in the bucket, whatever the catalog says of it."""
        name = self.complete_when.control_name
        if self.complete_when.marker:
            for obj in batch.waiting:
                marked = self.bucket[f"{batch.folder}{name}"]
                assert max(at for _, at in marked) >= obj.arrived_at, "no marker came since"
        elif self.complete_when.manifest:
            assert batch.manifest is not None
            body, _ = self.bucket[batch.manifest.key][int(batch.manifest.version_id) - 1]
            there = {obj.key for obj in batch.objects}
            assert {f"{batch.folder}{listed}" for listed in json.loads(body)} == there, "not all is there"

    def take_up(self, batch: Batch, version: str) -> None:
        self.check_complete(batch)
        for arrival in (*batch.waiting, *([batch.manifest] if batch.manifest else [])):
            event = (arrival.key, arrival.version_id)
            item = self.items[event]
            if item["status"] == "pending":
                former = self.sets.get(self.versions.get(event, ""), "rejected")
                assert former == "rejected", "an object in a second data set of its own"
            self.versions[event] = version
            item.update(status="included", dataset_version=version, batch=batch.name)

    def accept(self, _: int = 0) -> None:
        self.end("valid")

    def reject(self, choice: int = 0) -> None:
        """Reject every third object of the data set; or, where that is none, the data set as such."""
        self.snapshot()
        keys = [obj.key for obj in self.built.objects] if self.built else []
        named = tuple(key for index, key in enumerate(keys) if index % 3 == choice % 4)
        self.end("rejected", Report(1, (Violation(None, "type", "a row is bad", 1, objects=named),)))

    def crash(self, _: int = 0) -> None:
        self.state = replace(self.state, in_flight=None)
        self.built = None

    def end(self, verdict: str, report: Report | None = None) -> None:
        """Judge the data set that is being built, unless it was built before, and end the build."""
        self.snapshot()
        if self.built is None:
            return
        version = self.built.version
        if self.built.objects and version not in self.concluded:
            former = self.manifest.objects if self.manifest else ()
            assert contents(self.built.objects) != contents(former), "identical data are built again"
            self.concluded.append(version)
            if self.sets[version] != "valid":
                self.sets[version] = verdict
            if verdict == "valid":
                self.manifest = self.built
            if report is not None:
                self.reports[version] = report
        if self.sets[version] == "rejected":
            self.set_aside(self.built)
        valid = self.manifest.version if self.manifest else None
        self.state = replace(self.state, in_flight=None, dataset_version=valid)
        self.built = None

    def set_aside(self, manifest: DatasetManifest) -> None:
        """Set aside what the report of a rejected data set names; what else was new in it waits again."""
        versions = {(obj.key, obj.version_id) for obj in manifest.objects}
        held = {
            event: item
            for event, item in self.items.items()
            if item["status"] == "included" and item["dataset_version"] == manifest.version
        }
        new = [event for event in held if event in versions]
        offenders = self.reports[manifest.version].offenders([key for key, _ in new])
        assert offenders or not new, "a rejection that sets nothing aside"
        for event, item in held.items():
            if item["is_control"]:
                item["status"] = "control"
            elif event in new:
                is_offender = event[0] in offenders
                item["status"] = "quarantined" if is_offender else "pending"
                item["set_aside_at"] = to_iso(self.now) if is_offender else ""

    # ---------------------------------------------------------------------------------- how it comes to rest

    def settle(self) -> None:
        """Let time pass, and what is asked for happen, until there is nothing more to do."""
        for _ in range(100):
            decision = self.ask()
            if isinstance(decision, WaitUntil):
                self.now = decision.time
            elif self.state.in_flight is not None:
                self.accept()
            else:
                return
        raise AssertionError("never settles")

    def come_to_rest(self) -> None:
        self.settle()
        for number, folder in enumerate(FOLDERS):
            self.put(f"{folder}last", b"last")
            self.complete(number)
        self.reconcile()
        self.settle()

    def current(self, *, set_aside: bool = False) -> dict[str, str]:
        """The content of each object of the bucket that is data, with or without what is set aside."""
        newest = {key: self.items[key, str(len(versions))] for key, versions in self.bucket.items()}
        usable = (item for item in newest.values() if not item["is_control"])
        return {i["key"]: i["sha256"] for i in usable if set_aside or i["status"] != "quarantined"}


def contents(objects: Iterable[ObjectVersion]) -> set[tuple[str, str]]:
    return {(obj.key, obj.sha256) for obj in objects}


# What happens often is here often: else few builds get far enough to go wrong.
STEPS = (
    *("upload", "upload", "complete", "hear", "hear", "hear_again", "lose", "pass_time", "pass_time"),
    *("reconcile", "ask", "ask", "snapshot", "accept", "reject", "crash"),
)
HAPPENINGS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 11)), min_size=30, max_size=90)


def play(world: World, happenings: list[tuple[str, int]]) -> None:
    for step, choice in happenings:
        act: Callable[[int], object] = getattr(world, step)
        act(choice)
    world.come_to_rest()


@pytest.mark.parametrize("by", COMPLETE_WHEN)
@settings(max_examples=examples(60))
@given(happenings=HAPPENINGS)
def test_whatever_happens_every_object_is_gathered_once_and_no_data_are_built_twice(
    by: str, happenings: list[tuple[str, int]]
) -> None:
    world = World(COMPLETE_WHEN[by], "append")
    play(world, happenings)
    assert world.manifest is not None
    kept = {obj.key: obj.sha256 for obj in world.manifest.objects}
    # What is set aside may have the content that was valid before.
    assert world.current().items() <= kept.items() <= world.current(set_aside=True).items()
    assert len(world.concluded) == len(set(world.concluded))
    for (key, _), item in world.items.items():
        # What was heard of after its successor was set aside waits for another.
        is_obsolete = world.items[key, str(len(world.bucket[key]))]["status"] == "quarantined"
        assert item["is_control"] or is_obsolete or item["status"] in {"included", "quarantined"}


@pytest.mark.parametrize("by", COMPLETE_WHEN)
@pytest.mark.parametrize("mode", ["replace", "window"])
@settings(max_examples=examples(30))
@given(happenings=HAPPENINGS)
def test_in_every_mode_what_is_built_is_current_and_within_the_limits(
    mode: Mode, by: str, happenings: list[tuple[str, int]]
) -> None:
    world = World(COMPLETE_WHEN[by], mode)
    play(world, happenings)
    assert world.manifest is not None
    kept = {obj.key: obj.sha256 for obj in world.manifest.objects}
    assert kept.items() <= world.current(set_aside=True).items()


@given(order=st.permutations(range(12)), copies=st.integers(1, 3))
def test_a_burst_is_one_build_in_whatever_order_and_number_its_events_come(
    order: list[int], copies: int
) -> None:
    world = World(COMPLETE_WHEN["quiet period"], "append")
    for number in range(len(order)):
        world.put(f"p/{number}", b"content")
    events = list(world.events)
    for number in order:
        for _ in range(copies):
            world.record(events[number])
            world.ask()
    world.settle()
    assert len(world.builds) == 1
    assert len(world.manifest.objects if world.manifest else ()) == len(order)
