"""Keys of the catalog's items: the one place that knows how they are spelt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Key = dict[str, str]
# What is listed, by `gsi1pk`.
PIPELINES = "PIPELINES"
TASKS = "TASKS"
RUNNING_RELEASES = "RELEASES"
# The partition of what belongs to no pipeline.
UNCLAIMED = "UNCLAIMED"
# The sort keys of a pipeline's items, by what they begin with.
PROJECTS = "PROJECT#"
ARRIVALS = "ARRIVAL#"
DATASETS = "DATASET#"
RUNS = "RUN#"
STAGES = "STAGE#"
DEPLOYMENTS = "DEPLOYMENT#"
RELEASES = "RELEASE#"
TIMELINE = "TIMELINE#"
# Of a run's and a package's partition.
STEPS = "STEP#"
APPROVALS = "APPROVAL#"
_PIPELINE, _TASK, _PACKAGE = "PIPELINE#", "TASK#", "PACKAGE#"
_ATTRIBUTES = {"pk", "sk", "gsi1pk", "gsi1sk"}
SORT_KEY_MAX_BYTES = 1024
# Attributes that are the table's own.
_INTERNAL = {"pk", "sk", "gsi1pk", "gsi1sk", "expires_at", "is_control"}
# Where an arrival lies, by what has become of it. What is settled grows for ever: nobody reads it whole.
WAITING = "WAITING#"
SETTLED = "SETTLED#"
QUARANTINED = "QUARANTINED#"
STATES = (WAITING, SETTLED, QUARANTINED)
# Keys whose object may be another than the last valid data set's, though nothing of it waits.
TOUCHED = "TOUCHED#"
# A key beside which the longest of these prefixes and a version id have room.
_ROOMY_KEY_BYTES = 900


def partition(pipeline: str) -> str:
    """The partition that holds all of a pipeline's items but its steps."""
    return f"{_PIPELINE}{pipeline}"


def steps_partition(run_id: str) -> str:
    """The partition that holds a run's steps."""
    return f"{RUNS}{run_id}"


def package_partition(arn: str) -> str:
    """The partition that holds a package and its approvals."""
    return f"{_PACKAGE}{arn}"


def deployments_of(stage: str) -> str:
    """What the sort keys of a stage's deployments begin with."""
    return f"{DEPLOYMENTS}{stage}#"


def unclaimed_of(pipeline: str) -> str:
    """What the sort keys of unclaimed objects begin with that a pipeline of this name would claim."""
    return f"{ARRIVALS}{pipeline}/"


def listed(listing: str, name: str) -> Key:
    """The attributes by which an item is listed."""
    return {"gsi1pk": listing, "gsi1sk": name}


def key_of(item: Mapping[str, Any]) -> Key:
    return {"pk": item["pk"], "sk": item["sk"]}


def without_key(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item's own attributes, without those that DynamoDB finds it by."""
    return {name: value for name, value in item.items() if name not in _ATTRIBUTES}


def pipeline_of(item: Mapping[str, Any]) -> str:
    return _after(_PIPELINE, item["pk"])


def project_version_of(item: Mapping[str, Any]) -> str:
    return _after(PROJECTS, item["sk"])


def dataset_version_of(item: Mapping[str, Any]) -> str:
    return _after(DATASETS, item["sk"])


def run_id_of(item: Mapping[str, Any]) -> str:
    return _after(RUNS, item["sk"])


def steps_run_id_of(item: Mapping[str, Any]) -> str:
    return _after(RUNS, item["pk"])


def step_of(item: Mapping[str, Any]) -> str:
    return _after(STEPS, item["sk"])


def resource_of(item: Mapping[str, Any]) -> str:
    """The job or the endpoint that a task waits for."""
    return _after(_TASK, item["pk"])


def package_arn_of(item: Mapping[str, Any]) -> str:
    return _after(_PACKAGE, item["pk"])


def epoch_of(item: Mapping[str, Any]) -> int:
    """The number of an approval."""
    return int(_after(APPROVALS, item["sk"]))


def stage_of(item: Mapping[str, Any]) -> str:
    return _after(STAGES, item["sk"])


def deployment_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """The stage and the release of a deployment."""
    stage, _, release_id = _after(DEPLOYMENTS, item["sk"]).partition("#")
    return stage, release_id


def release_id_of(item: Mapping[str, Any]) -> str:
    return _after(RELEASES, item["sk"])


def _after(prefix: str, key: str) -> str:
    if not key.startswith(prefix):
        raise ValueError(f"{key} is no key that begins with {prefix}")
    return key.removeprefix(prefix)


def pipeline_key(pipeline: str) -> Key:
    return {"pk": partition(pipeline), "sk": "PIPELINE"}


def project_key(pipeline: str, version: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{PROJECTS}{version}"}


def arrival_key(state: str, pipeline: str, key: str, version_id: str) -> Key:
    """Of an object version that arrived: one of `STATES` says where it lies."""
    return {"pk": partition(pipeline), "sk": f"{versions_prefix(state, key)}{version_id}"}


def versions_prefix(state: str, key: str) -> str:
    """What the sort keys of all versions of an object begin with. A longer key is named by its digest."""
    if len(key.encode()) <= _ROOMY_KEY_BYTES:
        return f"{state}{key}#"
    return f"{state}sha256:{hashlib.sha256(key.encode()).hexdigest()}#"


def touched_key(pipeline: str, key: str) -> Key:
    """That an object was deleted, or quarantined, since the last valid data set."""
    return {"pk": partition(pipeline), "sk": versions_prefix(TOUCHED, key)}


def unclaimed_key(key: str, version_id: str) -> Key:
    return {"pk": UNCLAIMED, "sk": _unclaimed(key, version_id)}


def hashing_key(key: str, version_id: str) -> Key:
    """How far the digest of a large object is."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {"pk": f"HASHING#{digest}#{version_id}", "sk": "HASHING"}


def _unclaimed(key: str, version_id: str) -> str:
    """S3's keys may be as long as DynamoDB's: one that leaves no room is named by its digest."""
    sk = f"{ARRIVALS}{key}#{version_id}"
    if len(sk.encode()) <= SORT_KEY_MAX_BYTES:
        return sk
    return f"{ARRIVALS}sha256:{hashlib.sha256(key.encode()).hexdigest()}#{version_id}"


def dataset_key(pipeline: str, version: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{DATASETS}{version}"}


def built_key(pipeline: str, dataset_version: str, project_version: str) -> Key:
    """That a run of the project came to a conclusion on the data set version."""
    return {"pk": partition(pipeline), "sk": f"BUILT#{dataset_version}#{project_version}"}


def counts_key(pipeline: str) -> Key:
    """What would have to be read whole to be counted."""
    return {"pk": partition(pipeline), "sk": "COUNTS"}


def sweep_key(what: str) -> Key:
    """How far `reconcile` is with going through something."""
    return {"pk": "SWEEP", "sk": f"SWEEP#{what}"}


def run_key(pipeline: str, run_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{RUNS}{run_id}"}


def step_key(run_id: str, step: str) -> Key:
    return {"pk": steps_partition(run_id), "sk": f"{STEPS}{step}"}


def task_key(resource: str) -> Key:
    """The waiting task of a job or an endpoint, by that resource's name."""
    return {"pk": f"{_TASK}{resource}", "sk": "TASK"}


def package_key(arn: str) -> Key:
    return {"pk": package_partition(arn), "sk": "PACKAGE"}


def approval_key(arn: str, epoch: int) -> Key:
    return {"pk": package_partition(arn), "sk": f"{APPROVALS}{epoch:04d}"}


def stage_key(pipeline: str, stage: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{STAGES}{stage}"}


def deployment_key(pipeline: str, stage: str, release_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{deployments_of(stage)}{release_id}"}


def release_key(pipeline: str, release_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{RELEASES}{release_id}"}


def timeline_item(pipeline: str, at: str, subject: str, event: str, **detail: Any) -> dict[str, Any]:
    """One entry of the pipeline's timeline; the same entry twice has the same key."""
    body = {"subject": subject, "event": event, **detail}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()[:10]
    return {"pk": partition(pipeline), "sk": f"{TIMELINE}{at}#{digest}", "at": at, **body}


def shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as people see it, without what is the table's own."""
    return {name: value for name, value in item.items() if name not in _INTERNAL}
