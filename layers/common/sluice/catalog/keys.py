"""Keys of the catalog's items: the one place that knows how they are spelt."""

from __future__ import annotations

import hashlib
import json
from typing import Any

Key = dict[str, str]
PIPELINES = "PIPELINES"
TASKS = "TASKS"
UNCLAIMED = "UNCLAIMED"
SORT_KEY_MAX_BYTES = 1024


def partition(pipeline: str) -> str:
    """The partition that holds all of a pipeline's items but its steps."""
    return f"PIPELINE#{pipeline}"


def pipeline_key(pipeline: str) -> Key:
    return {"pk": partition(pipeline), "sk": "PIPELINE"}


def project_key(pipeline: str, version: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"PROJECT#{version}"}


def arrival_key(pipeline: str, key: str, version_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": _arrival(key, version_id)}


def unclaimed_key(key: str, version_id: str) -> Key:
    return {"pk": UNCLAIMED, "sk": _arrival(key, version_id)}


def hashing_key(key: str, version_id: str) -> Key:
    """How far the digest of a large object is."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {"pk": f"HASHING#{digest}#{version_id}", "sk": "HASHING"}


def _arrival(key: str, version_id: str) -> str:
    """S3's keys may be as long as DynamoDB's: one that leaves no room is named by its digest."""
    sk = f"ARRIVAL#{key}#{version_id}"
    if len(sk.encode()) <= SORT_KEY_MAX_BYTES:
        return sk
    return f"ARRIVAL#sha256:{hashlib.sha256(key.encode()).hexdigest()}#{version_id}"


def dataset_key(pipeline: str, version: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"DATASET#{version}"}


def run_key(pipeline: str, run_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"RUN#{run_id}"}


def step_key(run_id: str, step: str) -> Key:
    return {"pk": f"RUN#{run_id}", "sk": f"STEP#{step}"}


def task_key(resource: str) -> Key:
    """The waiting task of a job or an endpoint, by that resource's name."""
    return {"pk": f"TASK#{resource}", "sk": "TASK"}


def package_key(arn: str) -> Key:
    return {"pk": f"PACKAGE#{arn}", "sk": "PACKAGE"}


def approval_key(arn: str, epoch: int) -> Key:
    return {"pk": f"PACKAGE#{arn}", "sk": f"APPROVAL#{epoch:04d}"}


def stage_key(pipeline: str, stage: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"STAGE#{stage}"}


def deployment_key(pipeline: str, stage: str, release_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"DEPLOYMENT#{stage}#{release_id}"}


def release_key(pipeline: str, release_id: str) -> Key:
    return {"pk": partition(pipeline), "sk": f"RELEASE#{release_id}"}


def timeline_item(pipeline: str, at: str, subject: str, event: str, **detail: Any) -> dict[str, Any]:
    """One entry of the pipeline's timeline; the same entry twice has the same key."""
    body = {"subject": subject, "event": event, **detail}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()[:10]
    return {"pk": partition(pipeline), "sk": f"TIMELINE#{at}#{digest}", "at": at, **body}
