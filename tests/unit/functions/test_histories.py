"""Whatever happens to objects and their events, the data set is what lies in the bucket, and counts agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

import fakes
from build_world import PIPELINE, World, created
from handlers import invoked
from sluice import wiring
from sluice.catalog import keys
from sluice.services.data import arrivals, datasets, presence
from sluice.services.views import uploads
from trying import examples

Step = tuple[Any, ...]
"""The name of a method of Bucket, and its arguments."""

GOOD = [f"x,y\n{number},1\n".encode() for number in range(4)]
BAD = b"x,y\n1,0\n200,1\n"
names = st.sampled_from(["a.csv", "b.csv", "c.csv"])
bodies = st.sampled_from([*GOOD, BAD])
deliveries = st.sampled_from(["once", "once", "twice", "late", "never"])
happenings = st.one_of(
    st.tuples(st.just("put"), names, bodies, deliveries),
    st.tuples(st.just("delete"), names, deliveries),
)
# The step that fails, and what happens between the data set and its use.
failing = st.sampled_from(["", "", "prepare", "evaluate-candidate"])
builds = st.one_of(st.tuples(st.just("build"), failing), st.tuples(st.just("build"), failing, happenings))
others = st.sampled_from([("catch_up",), ("reconcile",)])
histories = st.lists(st.one_of(happenings, happenings, builds, others), max_size=8)


# Who receives the events that `reconcile` sends again.
RECEIVERS = {"Object Created": "record_arrival", "Object Deleted": "record_deletion"}


# Every history goes on from a valid data set.
BEGINNING = [("put", "a.csv", GOOD[0], "once"), ("put", "b.csv", GOOD[1], "once"), ("build",)]


@dataclass
class Bucket:
    """The pipeline's folder, and the events about it."""

    world: World
    late: list[tuple[str, object]] = field(default_factory=list)

    def put(self, name: str, body: bytes, delivery: str) -> None:
        version_id = self.world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/{name}", body)
        self._deliver(
            "record_arrival", created(fakes.DATA_BUCKET, f"{PIPELINE}/{name}", version_id), delivery
        )

    def delete(self, name: str, delivery: str) -> None:
        key = f"{PIPELINE}/{name}"
        if self.world.cloud.objects.head(fakes.DATA_BUCKET, key):
            self.world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{key}")
            detail = {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": "d"}}
            self._deliver("record_deletion", {"time": self.world.cloud.now(), "detail": detail}, delivery)

    def _deliver(self, function: str, event: object, delivery: str) -> None:
        if delivery == "late":
            self.late.append((function, event))
        for _ in range({"once": 1, "twice": 2}.get(delivery, 0)):
            self.world.invoke(function, event)

    def catch_up(self) -> None:
        """Deliver what is late, the last first."""
        while self.late:
            self.world.invoke(*self.late.pop())

    def reconcile(self) -> None:
        """Have what is missing found, and its events sent again."""
        self.world.invoke("reconcile", {})
        for kind, detail, _ in self.world.cloud.bus.entries:
            if kind in RECEIVERS:
                self.world.invoke(RECEIVERS[kind], {"time": self.world.cloud.now(), "detail": detail})
        self.world.cloud.bus.entries.clear()

    def build(self, failing: str = "", *meanwhile: Step) -> bool:
        """Let a build run if one is due; tell whether it was."""
        self.world.later(hours=2)
        self.world.ask()
        if (run_id := self.world.pipeline.get("in_flight")) is None:
            return False
        self.world.prepare_run(run_id)
        for happening in meanwhile:
            self.play(happening)
        self.world.failing = {failing}
        self.world.play(run_id)
        return True

    def play(self, step: Step) -> None:
        name, *how = step
        getattr(self, name)(*how)

    def settle(self) -> None:
        """Let all be heard, and build as long as that is due; a new object has even deletions built."""
        self.catch_up()
        for name, body in (("y.csv", GOOD[0]), ("z.csv", GOOD[1])):
            self.world.later(hours=2)
            self.reconcile()
            self.put(name, body, "once")
            while self.build():
                pass

    def contents(self) -> dict[str, bytes]:
        """What lies in the folder now."""
        held = self.world.cloud.objects.listing(fakes.DATA_BUCKET, f"{PIPELINE}/")
        return {
            each.key: self.world.cloud.objects.read(f"s3://{fakes.DATA_BUCKET}/{each.key}") for each in held
        }

    def data_set(self) -> dict[str, bytes]:
        """What the last valid data set holds."""
        version = self.world.pipeline.get("dataset_version")
        objects = datasets.find_manifest(self.world.cloud, PIPELINE, version).objects if version else ()
        read = self.world.cloud.objects.chunks
        return {each.key: b"".join(read(fakes.DATA_BUCKET, each.key, each.version_id)) for each in objects}

    def hold_counts(self) -> None:
        """Hold what is counted against what is there."""
        settled = self.world.cloud.catalog.query(keys.partition(PIPELINE), keys.SETTLED)
        assert (arrivals.counted(self.world.cloud, PIPELINE) or 0) == len(settled)
        assert uploads.counts(self.world.cloud, PIPELINE, 0).get("included", 0) == len(self.data_set())


@settings(max_examples=examples(50))
@given(history=histories, listed_max=st.sampled_from([-1, 10_000]))
def test_the_data_set_becomes_what_lies_in_the_bucket(history: list[Step], listed_max: int) -> None:
    account = fakes.Cloud()
    with (
        mock.patch.object(wiring, "cloud", return_value=account),
        # A bucket that is listed, or one that is too large for that.
        mock.patch.object(presence, "LISTED_MAX", listed_max),
    ):
        bucket = Bucket(World(account, invoked))
        bucket.world.push()
        for step in BEGINNING:
            bucket.play(step)
        for step in history:
            bucket.play(step)
            bucket.hold_counts()
        bucket.settle()
        bucket.hold_counts()
        good = {key: body for key, body in bucket.contents().items() if body != BAD}
        held = bucket.data_set()
        assert {key: held[key] for key in held if key in good} == good
        assert set(held) <= set(bucket.contents())
