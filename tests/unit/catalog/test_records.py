"""A record says what its item does, both ways, and what the docs say."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from sluice.catalog import keys
from sluice.catalog.records import (
    arrivals,
    builds,
    data,
    monitoring,
    progress,
    recalls,
    releases,
    transforms,
)

ARN = fakes.arn("sagemaker", "model-package/group/1")
RECORDS: dict[str, Any] = {
    "pipeline": builds.Pipeline("reviews", "v1"),
    "project": builds.Project("reviews", "v1", "refused", reasons=["no script"]),
    "run": builds.Run("reviews", "reviews-00001", "running", "v1", "2026-11-28T09:00:00.000Z"),
    "recall": recalls.Recall("reviews", "0" * 64, "reviews/a", "open", "2026", "me", "", "r1"),
    "request": builds.RunRequest("reviews", "r1", "refused", "2026", "me", reasons=["no data"]),
    "cache": builds.CachedStep("reviews", "k" * 64, "reviews-00001", "train-0", "2026", 1),
    "step": builds.Step("reviews-00001", "train-0", "Starting", "training_job", job_name="job"),
    "job task": builds.JobTask(
        "job", "token", "training_job", "reviews", "reviews-00001", "train-0", "open", 1, "2026"
    ),
    "environment": builds.Environment("spec", "ready", "2026", "digest", 10, 20, 3),
    "endpoint task": releases.EndpointTask(
        "endpoint", "token", "reviews", "reviews-v1-1", "production", "open", 1, "config", requested=False
    ),
    "package": releases.Package(ARN, "group", 1, pipeline="reviews"),
    "approval": releases.Approval(ARN, 3, "Approved", "me", "good", "2026", "2027"),
    "stage": releases.Stage("reviews", "production", "endpoint", position=0),
    "deployment": releases.Deployment(
        "reviews", "production", "reviews-v1-1", ARN, 1, "deploying", "config", "model"
    ),
    "release": releases.Release("reviews", "reviews-v1-1", "approval", "running", "me", "arn", "2026"),
    "dataset": data.Dataset("reviews", "d1", "new", "s3://b/m", 3, 10, "2026"),
    "built": builds.Built("reviews", "d1", "v1", "reviews-00001", "2026"),
    "arrival": arrivals.Arrival("reviews", "reviews/a.csv", "1", 3, "2026", "included", state=keys.SETTLED),
    "unclaimed arrival": arrivals.UnclaimedArrival("fraud/a.csv", "1", 3, "2026", "no pipeline"),
    "touched": arrivals.Touched("reviews", "reviews/a.csv", "2026"),
    "watch": monitoring.Watch("reviews", "production", "reviews-v1-1", "2026", asked=["drift"]),
    "window": monitoring.Window(
        "reviews",
        "production",
        "2026",
        "2027",
        "reviews-v1-1",
        1,
        "ok",
        "2027",
        "2026",
        figures={"drift": 0.5},
    ),
    "labels": monitoring.LabelWindow(
        "reviews", "production", "2026", "2027", "2028", "reviews-v1-1", 1, measured=[{"slice": ""}]
    ),
    "truth": monitoring.TruthUpload("reviews", "2026", "ground-truth/reviews/a.csv", "1", 3, ["line 2"]),
    "batches": transforms.Batches("reviews", 3, "reviews-batch-00003", "2026"),
    "input": transforms.Input("reviews", "batch/reviews/a.csv", "1", 3, "2026"),
    "awaited": transforms.Awaited("reviews", "batch/reviews/a.csv", "1", is_alone=True),
    "transform": transforms.Transform(
        "reviews",
        "reviews-batch-00001",
        "running",
        "production",
        "reviews-v1-1",
        ARN,
        1,
        "job",
        "s3://b/o",
        "2026",
        inputs=[{"key": "batch/reviews/a.csv", "version_id": "1", "size_bytes": 3}],
    ),
    "transform task": transforms.TransformTask("job", "reviews", "2026", 1, "reviews-batch-00001"),
    "sweep": progress.Sweep("uploads", "reviews/a.csv", "2026-11-28", is_full=True),
}
# Of attributes that older items have, and that records still read.
FORMER_NAMES = {"asks_at"}
# Fields that a record reads from its item's key, or that the table spells otherwise.
OF_KEY = {
    "pipeline": {"name"},
    "project": {"pipeline", "version"},
    "run": {"pipeline", "run_id"},
    "request": {"pipeline", "request_id"},
    "recall": {"pipeline", "sha256"},
    "cache": {"pipeline", "key"},
    "step": {"run_id", "step"},
    "job task": {"job_name"},
    "environment": {"spec"},
    "endpoint task": {"endpoint_name"},
    "package": {"arn"},
    "approval": {"arn", "epoch"},
    "stage": {"pipeline", "name"},
    "deployment": {"pipeline", "stage", "release_id"},
    "release": {"pipeline", "release_id"},
    "dataset": {"pipeline", "version"},
    "built": {"pipeline", "dataset_version", "project_version"},
    "arrival": {"pipeline", "state"},
    "unclaimed arrival": set(),
    "touched": {"pipeline"},
    "watch": {"pipeline", "stage"},
    "window": {"pipeline", "stage", "start"},
    "labels": {"pipeline", "stage", "start"},
    "truth": {"pipeline", "received_at"},
    "batches": {"pipeline"},
    "input": {"pipeline"},
    "awaited": {"pipeline"},
    "transform": {"pipeline", "transform_id"},
    "transform task": {"job_name"},
    "sweep": {"what"},
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_read_as_it_was_written(name: str) -> None:
    record = RECORDS[name]
    catalog = fakes.FakeCatalog()
    assert catalog.create(record.item())
    assert type(record).of(catalog.get(record.item())) == record


@given(extra=st.dictionaries(st.text(min_size=1), st.integers()))
def test_what_a_record_does_not_know_is_left_alone(extra: dict[str, Any]) -> None:
    for record in RECORDS.values():
        names = {field.name for field in fields(record)} | record.item().keys() | FORMER_NAMES
        unknown = {key: value for key, value in extra.items() if key not in names}
        assert type(record).of({**unknown, **record.item()}) == record


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_absent_is_not_written(name: str) -> None:
    written = RECORDS[name].item()
    assert all(value is not None for value in written.values())
    assert json.loads(json.dumps(written)) == written


@pytest.mark.parametrize("name", RECORDS)
def test_every_attribute_of_a_record_is_in_the_docs(name: str) -> None:
    text = (Path(__file__).parents[3] / "docs/architecture.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith(f"| {name.split()[-1]} |"))
    # A step has what a job's result has, which is told of elsewhere.
    told = text if name == "step" else row
    words = set(re.findall(r"[a-z0-9_]+", told))
    missing = {field.name for field in fields(RECORDS[name])} - OF_KEY[name] - words
    assert not missing


def test_a_build_request_that_an_older_stack_awaits_is_known() -> None:
    asked = {**RECORDS["pipeline"].item(), "asks_at": "2026"}
    assert builds.Pipeline.of(asked).build_requested_for == "2026"
    assert builds.Pipeline.of({**asked, "build_requested_for": "2027"}).build_requested_for == "2027"


@pytest.mark.parametrize("key", ["reviews/a.csv", f"reviews/{'a' * 910}", f"reviews/{'a' * 1016}"])
def test_an_arrival_of_an_older_stack_knows_where_its_item_is(key: str) -> None:
    """Older stacks named a key by its digest only where it had no room."""
    old = arrivals.Arrival("reviews", key, "1", 3, "2026", "pending", state=keys.ARRIVALS)
    assert ("sha256:" in old.place["sk"]) is (len(key) > 1000)
    assert arrivals.Arrival.of(old.item()) == old


def test_an_open_task_is_listed_and_a_closed_one_is_not() -> None:
    listed = {"gsi1pk": keys.TASKS, "gsi1sk": "job"}
    assert listed.items() <= RECORDS["job task"].item().items()
    assert "gsi1pk" not in builds.JobTask.of({**RECORDS["job task"].item(), "status": "done"}).item()


def test_an_item_of_another_kind_is_no_record() -> None:
    with pytest.raises(ValueError, match="RUN#"):
        builds.Run.of(RECORDS["stage"].item())


@pytest.mark.parametrize(
    ("epoch", "acted", "expected"), [(None, None, False), (1, None, True), (2, 1, True), (2, 2, False)]
)
def test_a_decision_is_unfinished_until_it_was_acted_on(
    epoch: int | None, acted: int | None, expected: bool
) -> None:
    package = releases.Package(ARN, approval_epoch=epoch, acted_epoch=acted)
    assert package.is_unfinished is expected
    assert package.status == "PendingManualApproval"
