"""Run jobs of any kind: create, queue, run, stop and end them, and announce each step."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.containers.data import DataError
from sluice_local.sagemaker.api import credentials
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, now
from sluice_local.sagemaker.api.events import publish
from sluice_local.sagemaker.containers.channels import JobStorage
from sluice_local.sagemaker.containers.images import ImageCache, ImageError
from sluice_local.settings import Settings

_REASON_LENGTH = 1024
_OUTPUTS = ("OutputDataConfig", "ProcessingOutputConfig", "TransformOutput")
# A message to a job's inbox: AWS takes the spot instances back.
INTERRUPTION = (-1, 0)
_INTERNAL_ERROR = "InternalServerError: We encountered an internal error.  Please try again."


class JobFailedError(Exception):
    """The job fails for this reason; `changes` are further changes of its description."""

    def __init__(self, reason: str, changes: Item | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.changes = changes or {}


class JobStoppedError(Exception):
    """The job was stopped while it had no container."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended, and the changes of its description."""

    status: str = "Completed"
    secondary_status: str = ""
    changes: Item = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the jobs of one local cloud share."""

    images: ImageCache
    directory: Path
    endpoint_url: str
    stop_grace_s: float
    workers: ThreadPoolExecutor

    @classmethod
    def of(cls, settings: Settings) -> Runtime:
        # Remove what a killed cloud left; no job outlives its cloud.
        shutil.rmtree(settings.directory("jobs"), ignore_errors=True)
        return cls(
            images=ImageCache(settings.image_cache),
            directory=settings.directory("jobs"),
            endpoint_url=settings.endpoint_url,
            stop_grace_s=settings.job_stop_grace_s,
            workers=ThreadPoolExecutor(settings.max_jobs, "job"),
        )


def status_only(kind: JobKind, item: Item, status: str, secondary_status: str, message: str) -> Item:
    """Return the changes of status for a job without secondary status."""
    return {kind.status_key: status}


@dataclass(frozen=True)
class JobKind:
    """A kind of job: its names, its work, and how its state is described."""

    noun: str
    table: Table
    run: Callable[[Job], Ending]
    event_detail: Callable[[Item], Item]
    status_changes: Callable[[JobKind, Item, str, str, str], Item] = status_only
    title: str = ""
    """The noun as events and messages write it, if that differs."""
    waits_for_jobs: bool = False
    """Whether its jobs run others: they take no slot, or they might wait for slots that they hold."""
    running: dict[tuple[Scope, str], Job] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return self.title or self.noun

    @property
    def name_key(self) -> str:
        return f"{self.noun}JobName"

    @property
    def arn_key(self) -> str:
        return f"{self.noun}JobArn"

    @property
    def status_key(self) -> str:
        return f"{self.noun}JobStatus"

    @property
    def start_key(self) -> str:
        return f"{self.noun}StartTime"

    @property
    def end_key(self) -> str:
        return f"{self.noun}EndTime"

    @property
    def log_group(self) -> str:
        return f"/aws/sagemaker/{self.noun}Jobs"


OnMetric = Callable[[str, float], None]


class Job:
    """A job from its creation to its end. Its changes and their announcements are serialized."""

    def __init__(
        self, kind: JobKind, scope: Scope, request: Item, runtime: Runtime, on_metric: OnMetric | None = None
    ) -> None:
        """Create the job; raises ApiError if its name is taken."""
        self.kind = kind
        self.scope = scope
        self.name: str = request[kind.name_key]
        self.runtime = runtime
        self.directory = runtime.directory / f"{self.name}-{uuid.uuid4().hex[:8]}"
        self.on_metric = on_metric
        """Told the name and the value of each metric that the job emits."""
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        """(index, exit code) of each container that ends, None for the wish to stop, and INTERRUPTION.

        A tuning job hears here of its training jobs.
        """
        self.stopping = threading.Event()
        self.ended = threading.Event()
        self._has_begun = self._has_ended = False
        self._lock = threading.RLock()
        with self._lock:
            begun = kind.status_changes(kind, {}, "InProgress", "Starting", "Preparing the instances")
            self.request = kind.table.create(scope, self.name, {**request, **begun})
            kind.running[scope, self.name] = self
            self._announce(self.request)

    @property
    def arn(self) -> str:
        return str(self.request[self.kind.arn_key])

    @property
    def storage(self) -> JobStorage:
        """S3 with the rights of the job's role."""
        outputs = [self.request[name] for name in _OUTPUTS if name in self.request]
        kms_key_id = outputs[0].get("KmsKeyId", "") if outputs else ""
        return JobStorage(self.scope, self.request["RoleArn"], self.runtime.endpoint_url, kms_key_id)

    def aws_variables(self) -> dict[str, str]:
        """Return the variables that lead the user's AWS clients to the local cloud with the job's role."""
        return credentials.variables(self.scope, self.request["RoleArn"], self.runtime.endpoint_url)

    def advance(self, secondary_status: str, message: str, **changes: Any) -> None:
        """Advance a job in progress to its next step; raises JobStoppedError if it must stop instead."""
        with self._lock:
            if self.stopping.is_set():
                raise JobStoppedError
            self._move("InProgress", secondary_status, message, changes)

    def advance_unless_stopping(self, secondary_status: str, message: str) -> None:
        """Like `advance`, for a step that a stopping job takes too, but silently."""
        with suppress(JobStoppedError):
            self.advance(secondary_status, message)

    def stop(self) -> None:
        """Begin to stop; raises ApiError if the job is not in progress."""
        with self._lock:
            status = self.kind.table.get(self.scope, self.name)[self.kind.status_key]
            if status != "InProgress":
                raise rejected(self.kind, status)
            self.stopping.set()
            self._move("Stopping", "Stopping", f"Stopping the {self.kind.words.lower()} job", {})
            if not self._has_begun:
                self._end(Ending("Stopped"))
        self.inbox.put(None)

    def interrupt(self) -> None:
        """Take the instances back, as AWS does with spot instances; raises ApiError if it has none."""
        if not self.request.get("EnableManagedSpotTraining") or not self._has_begun or self._has_ended:
            raise ApiError("ValidationException", f"{self.name} has no spot instances now.")
        self.inbox.put(INTERRUPTION)

    def forget_ends(self) -> None:
        """Forget the ends of containers that were stopped, but not the wish to stop the job."""
        while not self.inbox.empty():
            if self.inbox.get() is None:
                self.inbox.put(None)
                return

    def execute(self) -> None:
        """Do the job's work, unless it was stopped before."""
        with self._lock:
            if self._has_ended:
                return
            self._has_begun = True
        self._end(self._ending())

    def _ending(self) -> Ending:
        try:
            self.directory.mkdir(parents=True)
            return self.kind.run(self)
        except JobStoppedError:
            return Ending("Stopped")
        except JobFailedError as failure:
            return _failed(failure.reason, failure.changes)
        except (DataError, ImageError) as error:
            if self.stopping.is_set():
                return Ending("Stopped")
            return _failed(f"ClientError: {error}")
        except Exception:
            logging.getLogger(__name__).exception("job %s", self.arn)
            return _failed(_INTERNAL_ERROR)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _end(self, ending: Ending) -> None:
        with self._lock:
            self._has_ended = True
            message = ending.changes.get("FailureReason") or f"{self.kind.words} job {ending.status.lower()}"
            changes = {self.kind.end_key: now(), **ending.changes}
            self._move(ending.status, ending.secondary_status or ending.status, message, changes)
            del self.kind.running[self.scope, self.name]
        self.ended.set()

    def _move(self, status: str, secondary_status: str, message: str, changes: Item) -> None:
        def moved(item: Item) -> Item:
            return {**self.kind.status_changes(self.kind, item, status, secondary_status, message), **changes}

        self._announce(self.kind.table.edit(self.scope, self.name, moved))

    def _announce(self, item: Item) -> None:
        announce(self.kind, self.scope, item)


def fail_unfinished(kind: JobKind, reason: str) -> list[str]:
    """Fail the jobs that were under way in the previous process; returns their names."""
    unfinished = kind.table.unfinished(lambda item: item[kind.status_key] in ("InProgress", "Stopping"))
    for scope, name in unfinished:
        changes = {kind.end_key: now(), "FailureReason": reason}

        def failed(item: Item, changes: Item = changes) -> Item:
            return {**kind.status_changes(kind, item, "Failed", "Failed", reason), **changes}

        announce(kind, scope, kind.table.edit(scope, name, failed))
    return [name for _, name in unfinished]


def announce(kind: JobKind, scope: Scope, item: Item) -> None:
    """Put a job's state on the bus."""
    detail_type = f"SageMaker {kind.words} Job State Change"
    publish(scope, detail_type, kind.event_detail(item), [item[kind.arn_key]])


def rejected(kind: JobKind, status: str) -> ApiError:
    """Make the error for a request that the job's status does not allow."""
    return ApiError(
        "ValidationException",
        f"The request was rejected because the {kind.words.lower()} job is in status {status}.",
    )


def _failed(reason: str, changes: Item | None = None) -> Ending:
    return Ending("Failed", changes={"FailureReason": reason[:_REASON_LENGTH], **(changes or {})})


_runtime: Runtime | None = None


def start(settings: Settings) -> None:
    """Get ready to run jobs."""
    global _runtime
    _runtime = Runtime.of(settings)


def submit(kind: JobKind, scope: Scope, request: Item, on_metric: OnMetric | None = None) -> Job:
    """Create a job and have it run as soon as a slot is free. Raises ApiError if its name is taken."""
    assert _runtime is not None, "the local cloud is not started"  # noqa: S101
    job = Job(kind, scope, request, _runtime, on_metric)
    if kind.waits_for_jobs:
        threading.Thread(target=job.execute, name=f"{kind.noun} {job.name}", daemon=True).start()
    else:
        _runtime.workers.submit(job.execute)
    return job


def wait(kind: JobKind, scope: Scope, name: str) -> None:
    """Return once a job is described as ended."""
    if job := kind.running.get((scope, name)):
        job.ended.wait()


def epoch_ms(moment_s: float) -> int:
    """Write a time as most events do."""
    return round(moment_s * 1000)


def tag_map(item: Item) -> dict[str, str]:
    """Return a resource's tags as events have them."""
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}
