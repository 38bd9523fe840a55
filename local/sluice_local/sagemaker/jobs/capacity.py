"""Give training jobs instances as SageMaker does: on spot, which AWS takes back, and from warm pools.

POST /_local/interruptions {"job": name} takes a job's spot instances back. AWS has no such interface; it is
for tests and demonstrations. Here instances are processes of this machine, so a warm pool saves no time.
"""

from __future__ import annotations

import json
import math
import shutil
import threading
import time
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, now
from sluice_local.sagemaker.jobs.lifecycle import Job, JobKind

PATH = "/_local/interruptions"
# AWS says that spot saves up to 90 % of the price on demand; what it saves here is made up.
_SPOT_SHARE = 0.3
# What two jobs must have alike to use the same warm pool, by the developer guide.
_SAME = ("RoleArn", "VpcConfig", "EnableInterContainerTrafficEncryption", "EnableNetworkIsolation")
_SAME_RESOURCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
_lock = threading.Lock()


def check(params: Item) -> None:
    """Raise ApiError for times that do not suit the instances that a request wants."""
    stopping, is_spot = params.get("StoppingCondition", {}), bool(params.get("EnableManagedSpotTraining"))
    wait_s, run_s = stopping.get("MaxWaitTimeInSeconds"), stopping.get("MaxRuntimeInSeconds", 86400)
    if is_spot and (wait_s is None or wait_s < run_s):
        raise _invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
    if not is_spot and wait_s is not None:
        raise _invalid("MaxWaitTimeInSeconds is only for managed spot training (EnableManagedSpotTraining)")
    if is_spot and params["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
        raise _invalid("KeepAlivePeriodInSeconds is not supported with managed spot training")


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


class Clock:
    """The seconds that a job trains, without those in between in which it waited for spot instances."""

    def __init__(self, max_runtime_s: float) -> None:
        self._max_runtime_s = max_runtime_s
        self._trained_s = 0.0
        self._since = time.monotonic()

    @property
    def left_s(self) -> float:
        return max(0.0, self._max_runtime_s - self._trained_s - (time.monotonic() - self._since))

    def pause(self) -> None:
        self._trained_s += time.monotonic() - self._since

    def go_on(self) -> None:
        self._since = time.monotonic()

    def seconds(self, *, is_spot: bool) -> Item:
        """Return how long the job trained, and for how many seconds it is billed; call once at the end."""
        self.pause()
        trained_s = max(1, math.ceil(self._trained_s))
        billed_s = max(1, math.ceil(trained_s * _SPOT_SHARE)) if is_spot else trained_s
        return {"TrainingTimeInSeconds": trained_s, "BillableTimeInSeconds": billed_s}


def after_interruption(job: Job) -> None:
    """Announce that AWS took the instances back and gives others; nothing is left on those."""
    job.advance("Interrupted", "Interrupted: the spot instances were taken back")
    job.forget_ends()
    shutil.rmtree(job.directory, ignore_errors=True)
    job.directory.mkdir(parents=True)
    job.advance("Starting", "Launching requested ML instances")


def take_from_pool(kind: JobKind, scope: Scope, name: str, request: Item) -> Item:
    """Let a new job use the matching warm pool that an ended one left; returns the status of its own."""
    with _lock:
        former = next(
            (
                item
                for item in reversed(kind.table.values(scope))
                if item[kind.name_key] != name and _is_available(item) and _matches(item, request)
            ),
            None,
        )
        if former is not None:
            reused = {
                "Status": "Reused",
                "ResourceRetainedBillableTimeInSeconds": math.ceil(now() - former[kind.end_key]),
                "ReusedByJob": name,
            }
            kind.table.edit(scope, former[kind.name_key], lambda _: {"WarmPoolStatus": reused})
    return {"WarmPoolStatus": {"Status": "InUse"}} if _keep_alive_s(request) else {}


def left_pool(request: Item) -> Item:
    """Return what an ended job's description says of its instances, if they are kept."""
    return {"WarmPoolStatus": {"Status": "Available"}} if _keep_alive_s(request) else {}


def described(item: Item) -> Item:
    """Return a job as it is described now: a warm pool that nobody used in time is terminated."""
    pool = item.get("WarmPoolStatus", {})
    if pool.get("Status") != "Available" or _is_available(item):
        return item
    retained_s = _keep_alive_s(item)
    ended = {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": retained_s}
    return {**item, "WarmPoolStatus": ended}


def _keep_alive_s(request: Item) -> int:
    return int(request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds", 0))


def _is_available(item: Item) -> bool:
    is_kept = item.get("WarmPoolStatus", {}).get("Status") == "Available"
    return is_kept and bool(now() < item["TrainingEndTime"] + _keep_alive_s(item))


def _matches(former: Item, request: Item) -> bool:
    resources = (former["ResourceConfig"], request["ResourceConfig"])
    return all(former.get(name) == request.get(name) for name in _SAME) and all(
        resources[0].get(name) == resources[1].get(name) for name in _SAME_RESOURCES
    )


def answer(kind: JobKind, method: str, body: bytes) -> tuple[int, Any]:
    """Answer a request to `PATH` with a status and JSON."""
    if method != "POST":
        return 405, {"message": "POST"}
    try:
        name = json.loads(body)["job"]
    except (TypeError, ValueError, KeyError):
        return 400, {"message": 'the body must be {"job": name}'}
    job = next((job for (_, running), job in list(kind.running.items()) if running == name), None)
    if job is None:
        return 400, {"message": f"no training job {name} is running"}
    try:
        job.interrupt()
    except ApiError as error:
        return 400, {"message": str(error)}
    return 200, {"interrupted": name}
