"""Keys of the catalog's items: only this module knows how they are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Key = dict[str, str]
# Values of `gsi1pk`, by which items are listed.
PIPELINES = "PIPELINES"
TASKS = "TASKS"
RUNNING_RELEASES = "RELEASES"
ALL_STAGES = "STAGES"
AWAITED_INPUTS = "AWAITED"
# Events of ours that a function has to hear, and has not; troubles that last.
UNHEARD = "UNHEARD"
TROUBLES = "TROUBLES"
# The partition of items that belong to no pipeline.
UNCLAIMED = "UNCLAIMED"
# The partition of what people were told, and the prefix of its items, which are in the order of time.
NOTICES = "NOTICES"
NOTICE = "NOTICE#"
# Prefixes of the sort keys of a pipeline's items.
PROJECTS = "PROJECT#"
ARRIVALS = "ARRIVAL#"
DATASETS = "DATASET#"
RUNS = "RUN#"
STAGES = "STAGE#"
DEPLOYMENTS = "DEPLOYMENT#"
RELEASES = "RELEASE#"
TIMELINE = "TIMELINE#"
# Promotions by time: which release served when.
PROMOTIONS = "PROMOTED#"
# Data set versions by time, and the runs that read a version: what lineage asks for.
VERSIONS = "VERSION#"
READERS = "READBY#"
# Contents that no data set may have.
RECALLS = "RECALLED#"
RECOVERIES = "RECOVERY#"
REQUESTS = "REQUEST#"
# How far the watching of stages is, windows of requests, windows of labels, and uploads of labels.
MONITORS = "MONITOR#"
WINDOWS = "WINDOW#"
LABEL_WINDOWS = "LABELS#"
TRUTHS = "TRUTH#"
CACHE = "CACHE#"
# What was uploaded to be scored in batches, what of it is to be scored, and the transforms that do.
INPUTS = "INPUT#"
AWAITED = "AWAITED#"
TRANSFORMS = "TRANSFORM#"
# What of the uploads no transform takes, as it is not what the model reads.
SET_ASIDE = "SETASIDE#"
ANNOUNCEMENTS = "ANNOUNCED#"
# Prefixes in the partitions of runs and packages.
STEPS = "STEP#"
APPROVALS = "APPROVAL#"
_PIPELINE, _TASK, _PACKAGE, _ENVIRONMENT = "PIPELINE#", "TASK#", "PACKAGE#", "ENVIRONMENT#"
_SWEEP, _BUILT = "SWEEP#", "BUILT#"
_ATTRIBUTES = {"pk", "sk", "gsi1pk", "gsi1sk"}
SORT_KEY_MAX_BYTES = 1024
# The table's own attributes.
_INTERNAL = {"pk", "sk", "gsi1pk", "gsi1sk", "expires_at", "is_control"}
# Where arrivals are, by state. Settled ones grow for ever: nobody reads them all.
WAITING = "WAITING#"
SETTLED = "SETTLED#"
QUARANTINED = "QUARANTINED#"
STATES = (WAITING, SETTLED, QUARANTINED)
# Keys whose object may differ from the last valid data set's, although nothing of it waits.
TOUCHED = "TOUCHED#"
# Keys that the last valid data set may hold although nothing of them is settled: a failed run took them up.
LOOSE = "LOOSE#"
# The longest key that leaves room for the longest of these prefixes and a version id.
_ROOMY_KEY_BYTES = 900


def partition(pipeline: str) -> str:
    """Return the partition of all of a pipeline's items but its steps."""
    return f"{_PIPELINE}{pipeline}"


def steps_partition(run_id: str) -> str:
    """Return the partition of a run's steps."""
    return f"{RUNS}{run_id}"


def package_partition(arn: str) -> str:
    """Return the partition of a package and its approvals."""
    return f"{_PACKAGE}{arn}"


def deployments_of(stage: str) -> str:
    """Return the prefix of the sort keys of a stage's deployments."""
    return f"{DEPLOYMENTS}{stage}#"


def unclaimed_of(pipeline: str) -> str:
    """Return the prefix of the sort keys of unclaimed objects that a pipeline of this name would claim."""
    return f"{ARRIVALS}{pipeline}/"


def listed(listing: str, name: str) -> Key:
    """Return the attributes by which an item is listed."""
    return {"gsi1pk": listing, "gsi1sk": name}


def key_of(item: Mapping[str, Any]) -> Key:
    return {"pk": item["pk"], "sk": item["sk"]}


def without_key(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item's attributes without those by which DynamoDB finds it."""
    return {name: value for name, value in item.items() if name not in _ATTRIBUTES}


def pipeline_of(item: Mapping[str, Any]) -> str:
    return _after(_PIPELINE, item["pk"])


def project_version_of(item: Mapping[str, Any]) -> str:
    return _after(PROJECTS, item["sk"])


def dataset_version_of(item: Mapping[str, Any]) -> str:
    return _after(DATASETS, item["sk"])


def run_id_of(item: Mapping[str, Any]) -> str:
    return _after(RUNS, item["sk"])


def cache_of(item: Mapping[str, Any]) -> str:
    """Return the key of what a step depends on."""
    return _after(CACHE, item["sk"])


def request_id_of(item: Mapping[str, Any]) -> str:
    return _after(REQUESTS, item["sk"])


def steps_run_id_of(item: Mapping[str, Any]) -> str:
    return _after(RUNS, item["pk"])


def step_of(item: Mapping[str, Any]) -> str:
    return _after(STEPS, item["sk"])


def resource_of(item: Mapping[str, Any]) -> str:
    """Return the job or the endpoint that a task waits for."""
    return _after(_TASK, item["pk"])


def environment_spec_of(item: Mapping[str, Any]) -> str:
    """Return the digest of what an environment was asked for."""
    return _after(_ENVIRONMENT, item["pk"])


def package_arn_of(item: Mapping[str, Any]) -> str:
    return _after(_PACKAGE, item["pk"])


def epoch_of(item: Mapping[str, Any]) -> int:
    """Return the number of an approval."""
    return int(_after(APPROVALS, item["sk"]))


def arrival_state_of(item: Mapping[str, Any]) -> str:
    """Return the state of an arrival, as `arrival_key` takes it."""
    return f"{item['sk'].partition('#')[0]}#"


def sweep_of(item: Mapping[str, Any]) -> str:
    return _after(_SWEEP, item["sk"])


def stage_of(item: Mapping[str, Any]) -> str:
    return _after(STAGES, item["sk"])


def deployment_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the stage and the release of a deployment."""
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
    """Return the key of an arrived object version in one of `STATES`, or of an older stack's."""
    if state == ARRIVALS:
        return {"pk": partition(pipeline), "sk": _named(key, version_id)}
    return {"pk": partition(pipeline), "sk": f"{versions_prefix(state, key)}{version_id}"}


def versions_prefix(state: str, key: str) -> str:
    """Return the prefix of the sort keys of all versions of an object; a long key is named by its digest."""
    if not is_long(key):
        return f"{state}{key}#"
    return f"{state}sha256:{hashlib.sha256(key.encode()).hexdigest()}#"


def is_long(key: str) -> bool:
    """Whether an object's key is too long for a sort key, which names it by its digest."""
    return len(key.encode()) > _ROOMY_KEY_BYTES


def touched_key(pipeline: str, key: str) -> Key:
    """Return the key of the note that an object was deleted or quarantined since the last valid data set."""
    return {"pk": partition(pipeline), "sk": versions_prefix(TOUCHED, key)}


def loose_key(pipeline: str, key: str) -> Key:
    """Return the key of the note that a data set may hold an object of which nothing is settled."""
    return {"pk": partition(pipeline), "sk": versions_prefix(LOOSE, key)}


def unclaimed_key(key: str, version_id: str) -> Key:
    return {"pk": UNCLAIMED, "sk": _named(key, version_id)}


def hashing_key(key: str, version_id: str) -> Key:
    """Return the key of a large object's digest in progress."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {"pk": f"HASHING#{digest}#{version_id}", "sk": "HASHING"}


def _named(key: str, version_id: str) -> str:
    """Name an object by its key, or by its digest if the key leaves no room."""
    sk = f"{ARRIVALS}{key}#{version_id}"
    if len(sk.encode()) <= SORT_KEY_MAX_BYTES:
        return sk
    return f"{ARRIVALS}sha256:{hashlib.sha256(key.encode()).hexdigest()}#{version_id}"


def dataset_key(pipeline: str, version: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{DATASETS}{version}"}


def built_key(pipeline: str, dataset_version: str, project_version: str) -> Key:
    """Return the key of the note that a run of the project came to a conclusion on the data set version."""
    return {"pk": partition(pipeline), "sk": f"{_BUILT}{dataset_version}#{project_version}"}


def built_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the data set version and the project version of such a note."""
    dataset_version, _, project_version = _after(_BUILT, item["sk"]).partition("#")
    return dataset_version, project_version


def recall_key(pipeline: str, sha256: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{RECALLS}{sha256}"}


def recalled_of(item: Mapping[str, Any]) -> str:
    """Return the sha256 of a recalled content."""
    return _after(RECALLS, item["sk"])


def version_index_key(pipeline: str, created_at: str, version: str) -> Key:
    """Return the key by which data set versions are found in the order of their making."""
    return {"pk": partition(pipeline), "sk": f"{VERSIONS}{created_at}#{version}"}


def readers_of(dataset_version: str) -> str:
    """Return the prefix of the sort keys of the notes of which runs read a data set version."""
    return f"{READERS}{dataset_version}#"


def reader_key(pipeline: str, dataset_version: str, run_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{readers_of(dataset_version)}{run_id}"}


def counts_key(pipeline: str) -> Key:
    """Return the key of the counts, which spare reading everything."""
    return {"pk": partition(pipeline), "sk": "COUNTS"}


def sweep_key(what: str) -> Key:
    """Return the key of the progress of `reconcile` through something."""
    return {"pk": "SWEEP", "sk": f"{_SWEEP}{what}"}


def aside_key(pipeline: str) -> Key:
    """Return the key of the note that objects of a pipeline were set aside at some time."""
    return {"pk": partition(pipeline), "sk": "ASIDE"}


def run_key(pipeline: str, run_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{RUNS}{run_id}"}


def cache_key(pipeline: str, key: str) -> Key:
    """Return the key of a step that completed, by the key of what it depends on."""
    return {"pk": partition(pipeline), "sk": f"{CACHE}{key}"}


def request_key(pipeline: str, request_id: str) -> Key:
    """Return the key of a person's wish for a run."""
    return {"pk": partition(pipeline), "sk": f"{REQUESTS}{request_id}"}


def monitor_key(pipeline: str, stage: str) -> Key:
    """Return the key of how far the watching of a stage is."""
    return {"pk": partition(pipeline), "sk": f"{MONITORS}{stage}"}


def monitored_stage_of(item: Mapping[str, Any]) -> str:
    return _after(MONITORS, item["sk"])


def recalls_and_recoveries() -> tuple[str, str]:
    """Return the range of sort keys of all recalls and recoveries, which lie beside each other."""
    return RECALLS, f"{RECOVERIES}~"


def windows_of(stage: str) -> str:
    """Return the prefix of the sort keys of a stage's windows of requests."""
    return f"{WINDOWS}{stage}#"


def label_windows_of(stage: str) -> str:
    """Return the prefix of the sort keys of a stage's windows of labels."""
    return f"{LABEL_WINDOWS}{stage}#"


def window_key(pipeline: str, stage: str, start: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{windows_of(stage)}{start}"}


def label_window_key(pipeline: str, stage: str, start: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{label_windows_of(stage)}{start}"}


def window_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the stage and the start of a window of requests or of labels."""
    _, stage, start = item["sk"].split("#")
    return stage, start


def truths_between(since: str, until: str) -> tuple[str, str]:
    """Return the range of sort keys of labels that came in a time."""
    return f"{TRUTHS}{since}", f"{TRUTHS}{until}~"


def truth_key(pipeline: str, received_at: str, key: str, version_id: str) -> Key:
    """Return the key of an upload of labels; its name may be long."""
    digest = hashlib.sha256(f"{key}#{version_id}".encode()).hexdigest()[:20]
    return {"pk": partition(pipeline), "sk": f"{TRUTHS}{received_at}#{digest}"}


def received_at_of(item: Mapping[str, Any]) -> str:
    """Return when an upload of labels came."""
    return _after(TRUTHS, item["sk"]).partition("#")[0]


def batches_key(pipeline: str) -> Key:
    """Return the key of how far a pipeline's transforms are."""
    return {"pk": partition(pipeline), "sk": "BATCHES"}


def input_key(pipeline: str, key: str, version_id: str) -> Key:
    """Return the key of an upload that is scored in a batch; `uploads` takes none that is too long."""
    return {"pk": partition(pipeline), "sk": f"{INPUTS}{key}#{version_id}"}


def awaited_key(pipeline: str, key: str, version_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{AWAITED}{key}#{version_id}"}


def set_aside_key(pipeline: str, key: str, version_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{SET_ASIDE}{key}#{version_id}"}


def transform_key(pipeline: str, transform_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{TRANSFORMS}{transform_id}"}


def transform_of(item: Mapping[str, Any]) -> str:
    return _after(TRANSFORMS, item["sk"])


def step_key(run_id: str, step: str) -> Key:
    return {"pk": steps_partition(run_id), "sk": f"{STEPS}{step}"}


def task_key(resource: str) -> Key:
    """Return the key of the task that waits for a job or an endpoint, by its name."""
    return {"pk": f"{_TASK}{resource}", "sk": "TASK"}


def environment_key(spec: str) -> Key:
    """Return the key of the packages for jobs on Lambda, by a digest of what they were asked for."""
    return {"pk": f"{_ENVIRONMENT}{spec}", "sk": "ENVIRONMENT"}


def package_key(arn: str) -> Key:
    return {"pk": package_partition(arn), "sk": "PACKAGE"}


def package_release_key(arn: str, release_id: str) -> Key:
    """Return the key of the note that a release puts a package somewhere."""
    return {"pk": package_partition(arn), "sk": f"{RELEASES}{release_id}"}


def approval_key(arn: str, epoch: int) -> Key:
    return {"pk": package_partition(arn), "sk": f"{APPROVALS}{epoch:04d}"}


def stage_key(pipeline: str, stage: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{STAGES}{stage}"}


def deployment_key(pipeline: str, stage: str, release_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{deployments_of(stage)}{release_id}"}


def promotion_key(pipeline: str, stage: str, at: str) -> Key:
    """Return the key by which the promotions on a stage are found in the order of time."""
    return {"pk": partition(pipeline), "sk": f"{PROMOTIONS}{stage}#{at}"}


def promotions_until(stage: str, at: str) -> tuple[str, str]:
    """Return the range of sort keys of a stage's promotions up to a time, which is included."""
    return f"{PROMOTIONS}{stage}#", f"{PROMOTIONS}{stage}#{at}"


def promotions_since(stage: str, at: str) -> tuple[str, str]:
    """Return the range of sort keys of a stage's promotions after a time."""
    return f"{PROMOTIONS}{stage}#{at}", f"{PROMOTIONS}{stage}#~"


def taken_back_key(pipeline: str, stage: str, arn: str) -> Key:
    """Return the key of the note that a package was rolled back on a stage."""
    return {"pk": partition(pipeline), "sk": f"TAKENBACK#{stage}#{arn}"}


def recoveries_of(stage: str, release_id: str) -> str:
    """Return the prefix of the sort keys of what was tried to take back a live release."""
    return f"{RECOVERIES}{stage}#{release_id}#"


def recovery_key(pipeline: str, stage: str, release_id: str, fault: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{recoveries_of(stage, release_id)}{fault}"}


def recovery_of(item: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the stage, the release and the fault of a recovery."""
    stage, release_id, fault = _after(RECOVERIES, item["sk"]).split("#", 2)
    return stage, release_id, fault


def release_key(pipeline: str, release_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"{RELEASES}{release_id}"}


def announcement_key(pipeline: str, receiver: str, digest: str) -> Key:
    """Return the key of the note that a function has to hear an event of ours."""
    return {"pk": partition(pipeline), "sk": f"{ANNOUNCEMENTS}{receiver}#{digest}"}


def announcement_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the function that has to hear it, and the event's digest."""
    receiver, _, digest = _after(ANNOUNCEMENTS, item["sk"]).partition("#")
    return receiver, digest


def notice_key(key: str) -> Key:
    """Return the key of what people are told of something that happened."""
    return {"pk": NOTICES, "sk": f"{NOTICE}{key}"}


def notice_of(item: Mapping[str, Any]) -> str:
    return _after(NOTICE, item["sk"])


def trouble_key(name: str) -> Key:
    """Return the key of something that lasts until it is over."""
    return {"pk": f"TROUBLE#{name}", "sk": "TROUBLE"}


def timeline_key(pipeline: str | None, at: str, said: Mapping[str, str]) -> Key:
    """Return the key of a timeline's entry, by what it says; without a pipeline it is among the unclaimed."""
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:10]
    return {"pk": partition(pipeline) if pipeline else UNCLAIMED, "sk": f"{TIMELINE}{at}#{digest}"}


def timeline_id_of(item: Mapping[str, Any]) -> str:
    """Return an entry's time and digest, by which a list goes on behind it."""
    return _after(TIMELINE, item["sk"])


def timeline_since(at: str) -> tuple[str, str]:
    """Return the range of sort keys of a timeline's entries from a time on."""
    return f"{TIMELINE}{at}", f"{TIMELINE}~"


def shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item for people, without the table's own attributes."""
    return {name: value for name, value in item.items() if name not in _INTERNAL}
