"""Protocols for what functions need from AWS. Each has a real adapter, and a fake in the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sluice.domain.failures import TransientError
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.catalog.changes import Change
    from sluice.catalog.records.notices import Channel, Notice
    from sluice.domain.build.environments import Wanted
    from sluice.domain.build.function_ends import FunctionEnd
    from sluice.domain.digests import Part
    from sluice.domain.roles import Account, Role
    from sluice.domain.safeguards import Safeguards

Item = dict[str, Any]
Piece = bytes | memoryview
Content = bytes | Sequence[Piece]
JobKind = Literal["training_job", "processing_job", "pipeline_execution"]
# Jobs on Lambda are those of builds; only SageMaker transforms.
SageMakerJobKind = JobKind | Literal["transform_job"]


class Catalog(Protocol):
    """One table of flat items, which only `sluice.catalog.changes` alter: what decides has a condition."""

    def get(self, key: Mapping[str, str]) -> Item | None:
        """Return the item at `{"pk", "sk"}` (strongly consistent), or None."""

    def get_all(self, keys: Sequence[Mapping[str, str]]) -> list[Item | None]:
        """Return the items at some keys, as `get` does, but with one request for a hundred."""

    def apply(self, *changes: Change) -> bool:
        """Write all changes (of up to 100 items) or none; False if any condition did not hold.

        Raises ValueError for two changes of one item.
        """

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        between: tuple[str, str] | None = None,
        after: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Item]:
        """Return the items of a partition whose `sk` starts with `prefix`, in `sk` order.

        `between` gives a first and a last `sk` instead, both included. `after` continues behind an `sk` of
        that range, in the requested order; no item need have it.
        """

    def listing(self, gsi1pk: str) -> list[Item]:
        """Return the items listed under `gsi1pk`, in `gsi1sk` order (eventually consistent)."""


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What S3 says of one object version."""

    bucket: str
    key: str
    version_id: str
    size_bytes: int
    etag: str
    last_modified: str
    sha256: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Objects(Protocol):
    """S3, addressed by `s3://bucket/key` URIs.

    What is written may be in pieces, which are sent one after the other and not put together before.
    """

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectHead | None:
        """Return the object's head, or None if it does not exist."""

    def parts(self, bucket: str, key: str, version_id: str) -> list[Part]:
        """Return the parts that the object was uploaded in, if S3 has a sha256 of each."""

    def chunks(
        self, bucket: str, key: str, version_id: str | None = None, span: tuple[int, int] | None = None
    ) -> Iterator[bytes]:
        """Stream the object's bytes."""

    def open(self, bucket: str, key: str) -> tuple[ObjectHead, Iterator[bytes]] | None:
        """Return the object's head and a stream of the same version's bytes; None if it does not exist.

        It is one request, even if nothing is read.
        """

    def folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """List the folders directly under a prefix, each with its final slash."""

    def listing(
        self, bucket: str, prefix: str, *, shallow: bool = False, after: str = ""
    ) -> Iterator[ObjectHead]:
        """List the current version of every object under a prefix, ordered by key.

        `shallow` omits folders; `after` continues behind a key.
        """

    def read(self, uri: str) -> bytes:
        """Return the object's bytes; raises FileNotFoundError if it does not exist."""

    def write(self, uri: str, data: Content, content_type: str = "application/octet-stream") -> None:
        """Write one object."""

    def create(self, uri: str, data: Content, content_type: str = "application/octet-stream") -> bool:
        """Write one object if there is none yet; False if there is one."""

    def splice(self, source_uri: str, pieces: Sequence[slice | Piece], uri: str) -> None:
        """Write an object of pieces: bytes, and slices of another object in any order.

        S3 copies large slices, without reading them here. Raises FileNotFoundError if there is no source.
        """

    def copy(self, source: ObjectHead, uri: str) -> None:
        """Copy exactly this version of an object, even if its key has a newer one."""

    def download(self, bucket: str, key: str, version_id: str | None, path: Path) -> None:
        """Write the object version to a local file."""

    def upload(self, path: Path, uri: str, content_type: str = "application/octet-stream") -> None:
        """Write one object from a local file."""

    def tag(self, bucket: str, key: str, version_id: str, tags: Mapping[str, str]) -> None:
        """Tag an object version, if it still exists."""


@dataclass(frozen=True, slots=True)
class PackageArchive:
    """An archive of Python packages in a local file, its sha256, and the document that lies beside it."""

    path: Path
    digest: str
    document: dict[str, Any]


class Packages(Protocol):
    """A package index, and what installs from it."""

    def build(self, wanted: Wanted, folder: Path, remaining_s: Callable[[], float]) -> PackageArchive:
        """Build an archive in an empty folder; raises NoEnvironmentError for packages that cannot be had."""


class RunningJobs(Protocol):
    """Training and processing jobs, wherever they run."""

    def describe(self, kind: JobKind, name: str) -> dict[str, Any] | None:
        """Return the job's description, or None if there is no such job."""

    def stop(self, kind: JobKind, name: str) -> None:
        """Ask the job to stop; does nothing if it has ended or does not exist."""


class JobLogs(Protocol):
    """What jobs printed, in log groups of streams that are named after the jobs."""

    def tail(self, group: str, name: str, lines: int) -> list[str]:
        """Return the last lines of a job's log; empty if there is none, or none that we may read."""


class LogStreams(Protocol):
    """The streams of log groups, which outlive what wrote them."""

    def streams(self, group: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Yield the name of each stream and when it was made; none if there is no such group."""

    def delete(self, group: str, stream: str) -> bool:
        """Delete a stream; False if it is gone already."""

    def delete_group(self, group: str) -> bool:
        """Delete a group with its streams; False if it is gone already."""


class Jobs(RunningJobs, Protocol):
    """Jobs of SageMaker."""

    def describe(self, kind: SageMakerJobKind, name: str) -> dict[str, Any] | None:
        """Return SageMaker's description, if it has such a job."""

    def start(self, kind: SageMakerJobKind, request: Mapping[str, Any]) -> bool:
        """Create the job; False if one of this name already exists. Raises RequestRefusedError."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a job on Lambda gets: memory, and packages (`uri` and `digest` of an archive)."""

    pipeline: str
    memory_mb: int
    environment: Mapping[str, str] | None = None


class LambdaJobs(RunningJobs, Protocol):
    """Jobs that a function runs, of the same requests and descriptions as SageMaker's.

    A description has `Usage` too, of a job under way its memory and its processor, `LimitReached` if a limit
    of Lambda ended the job, and `Written`: by URI the version and the sha256 of objects that the job wrote.
    """

    @property
    def largest_mb(self) -> int:
        """The memory of the largest function."""

    def problem(self, kind: JobKind, request: Mapping[str, Any], room: Room) -> str | None:
        """Say why no function can be given such a job; None if one can."""

    def start(
        self, kind: JobKind, request: Mapping[str, Any], room: Room, before_order: Callable[[], object]
    ) -> bool:
        """Order the job; False if it was ordered before. Raises RequestRefusedError.

        Nothing is ordered before `before_order` has returned; what it raises is raised.
        """

    def record_end(self, name: str, secret: str, end: FunctionEnd) -> bool:
        """Record how a job ended that could not say so; False if its order had another secret."""


# In a request for a pipeline: the text of its definition, also where it names a place in S3 that holds it.
PUSHED = "Pushed"


class Pipelines(RunningJobs, Protocol):
    """Pipelines of SageMaker; the "job" is an execution, by its display name.

    A description is that of the execution, with its steps as `Steps`.
    """

    def put(self, request: Mapping[str, Any]) -> None:
        """Create a pipeline, or update the one of this name, unless it has this version and definition.

        Raises RequestRefusedError.
        """

    def look(self, name: str) -> list[dict[str, Any]]:
        """Return the steps of an execution under way, for people; none for who may not read them."""

    def start(self, kind: JobKind, request: Mapping[str, Any]) -> bool:
        """Start an execution; False if one of this name exists. Raises RequestRefusedError.

        `Pipeline` of the request is what `put` takes, for a pipeline of another project version.
        """


class RequestRefusedError(Exception):
    """SageMaker refuses a request for what it says, or for a role that it cannot assume."""


class Roles(Protocol):
    """The IAM roles that the stack makes for user code."""

    def ensure(self, role: Role) -> str:
        """Make the role with its policy unless it exists; returns when it was made.

        Raises RolesForbiddenError.
        """

    def delete(self, role: Role) -> None:
        """Delete the role, if it exists; raises RolesForbiddenError."""


class Registry(Protocol):
    """The SageMaker Model Registry."""

    def ensure_group(self, name: str, description: str, tags: Sequence[Mapping[str, str]]) -> None:
        """Create the model package group with its tags, unless it exists."""

    def create_package(self, request: Mapping[str, Any]) -> str:
        """Create a versioned model package (idempotent by ClientToken); returns its ARN."""

    def describe_package(self, arn: str) -> dict[str, Any] | None:
        """Return the package's description, or None if there is none."""

    def write_life_cycle(self, arn: str, life_cycle: Mapping[str, str]) -> None:
        """Set the package's ModelLifeCycle, whatever it was."""

    def packages(
        self, group: str, before: datetime | None = None, status: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """List package summaries of a group, newest first; empty if there is no such group.

        `before` omits those that were created then or later, `status` those of another ModelApprovalStatus.
        """


class Endpoints(Protocol):
    """SageMaker models, endpoint configs and endpoints."""

    def create_model(self, request: Mapping[str, Any]) -> bool:
        """Create the model; False if one of this name exists. Raises RequestRefusedError."""

    def create_config(self, request: Mapping[str, Any]) -> bool:
        """Create the endpoint config; False if one of this name exists. Raises RequestRefusedError."""

    def create_endpoint(self, request: Mapping[str, Any]) -> None:
        """Create the endpoint; raises EndpointBusyError if it exists by now, or RequestRefusedError."""

    def update_endpoint(self, request: Mapping[str, Any]) -> None:
        """Update the endpoint; raises EndpointBusyError while it is changing, or RequestRefusedError."""

    def set_capacity(self, name: str, capacity: Mapping[str, Any]) -> None:
        """Change a variant's instances, or concurrency, without a new config; raises EndpointBusyError."""

    def delete_endpoint(self, name: str) -> None:
        """Delete the endpoint, if it exists."""

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        """Return the endpoint's description, or None."""

    def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of an existing model, endpoint config or endpoint."""

    def describe_config(self, name: str) -> dict[str, Any] | None:
        """Return the endpoint config, or None."""

    def describe_model(self, name: str) -> dict[str, Any] | None:
        """Return the model, or None."""

    def list_configs(self, prefix: str) -> Iterator[dict[str, Any]]:
        """List the endpoint configs whose names begin so: `{"Name", "Arn", "CreationTime"}`."""

    def list_models(self, prefix: str) -> Iterator[dict[str, Any]]:
        """List the models whose names begin so, in the same form."""

    def delete_config(self, name: str) -> None:
        """Delete the endpoint config, if it exists: nothing may serve by it."""

    def delete_model(self, name: str) -> None:
        """Delete the model, if it exists."""

    def invoke(
        self, name: str, body: bytes, content_type: str, accept: str, inference_id: str = ""
    ) -> Mapping[str, Any]:
        """Invoke; returns `{"status_code", "body", "content_type", "variant"}`, even for 4XX and 5XX."""


class EndpointBusyError(TransientError):
    """The endpoint is being created, updated or deleted; try again later."""


class Scaling(Protocol):
    """Application Auto Scaling; a target is what `domain.release.scaling.target` names."""

    def describe(self, target: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the scalable target, with its `Policies`, or None."""

    def register(self, request: Mapping[str, Any]) -> None:
        """Register a scalable target, or change what the request gives of one."""

    def track(self, request: Mapping[str, Any]) -> None:
        """Put a scaling policy on a target."""

    def deregister(self, target: Mapping[str, str]) -> None:
        """Deregister a target with its policies, if it exists."""


class Alarms(Protocol):
    """CloudWatch alarms."""

    def put(self, request: Mapping[str, Any]) -> None:
        """Create or replace a metric alarm."""

    def delete(self, names: Sequence[str]) -> None:
        """Delete the alarms that exist."""

    def firing(self, prefix: str) -> Iterator[dict[str, Any]]:
        """List the alarms in ALARM whose names start with the prefix."""

    def describe(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return `{name: alarm}` for the alarms that exist."""

    def values(
        self, alarm: Mapping[str, Any], since: datetime, until: datetime
    ) -> list[tuple[datetime, float]]:
        """Return what an alarm, as described, compares with its limit, by period, the oldest first."""


class StartRefusedError(Exception):
    """Step Functions refuses an execution for what it is given: no retry cures that."""


class Workflows(Protocol):
    """Step Functions."""

    def start(self, machine: Literal["build", "release"], name: str, payload: Mapping[str, Any]) -> str:
        """Start an execution of this name, or find the one that already has it; returns its ARN.

        Raises StartRefusedError.
        """

    def describe(self, execution_arn: str) -> dict[str, Any] | None:
        """Return the execution's description, or None."""

    def stop(self, execution_arn: str, error: str, cause: str) -> None:
        """End an execution that is running; does nothing if it has ended."""

    def succeed(self, task_token: str, output: Mapping[str, Any]) -> bool:
        """Complete a waiting task; False if nobody waits for the token any more."""

    def fail(self, task_token: str, error: str, cause: str) -> bool:
        """Fail a waiting task; False if nobody waits for the token any more."""


class Metrics(Protocol):
    """Metrics of CloudWatch."""

    def put(
        self, namespace: str, dimensions: Mapping[str, str], values: Mapping[str, float], at: str
    ) -> None:
        """Record values, by metric, of a time."""


class EventRefusedError(Exception):
    """EventBridge does not take an event, for what it says or for who sends it."""


class Bus(Protocol):
    """The default event bus."""

    def put(self, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str] = ()) -> None:
        """Put a hint for a lost event on the bus; raises EventRefusedError."""

    def announce(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Put an event of ours on the bus; raises EventRefusedError."""


class Notices(Protocol):
    """How notices leave: a topic, and a queue of what is posted to webhooks."""

    def publish(self, notice: Notice) -> None:
        """Send a notice to the topic."""

    def has(self, channel: Channel) -> bool:
        """Tell whether a webhook is configured."""

    def queue(self, key: str, channel: Channel) -> None:
        """Ask for a notice to be posted."""


class Webhooks(Protocol):
    """Addresses that take a notice and show it to people."""

    def post(self, channel: Channel, body: str) -> None:
        """Post a body once; raises WebhookError."""


# SQS's longest delay of a message.
BUILD_REQUEST_DELAY_MAX_S = 900


class BuildRequests(Protocol):
    """The queue that asks start_build whether a build is due."""

    def send(self, pipeline: str, delay_s: int = 0, at: str | None = None) -> None:
        """Ask about the pipeline after at most 900 s; `at` is that time, set if the pipeline awaits it."""


class Signatures(Protocol):
    """Signatures of models, by keys that the stack trusts."""

    @property
    def are_demanded(self) -> bool:
        """Whether the stack has keys, and so releases nothing that is not signed by one."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether one of the keys signed the message; raises SigningKeyError."""


class Cloud(Protocol):
    """One stack in its account: all that a use case receives. It uses nothing else."""

    def now(self) -> str:
        """Return the time as the catalog writes it."""

    @property
    def stack_name(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def data_bucket(self) -> str: ...
    @property
    def artifact_bucket(self) -> str: ...
    @property
    def account(self) -> Account:
        """The buckets that user code uses, and where the roles that the stack makes for it are."""

    @property
    def allows_automatic_approval(self) -> bool:
        """Whether a project may have its models registered as approved."""

    @property
    def safeguards(self) -> Safeguards:
        """What the account demands of resources made at run time."""

    @property
    def catalog(self) -> Catalog: ...
    @property
    def objects(self) -> Objects: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def job_logs(self) -> JobLogs: ...
    @property
    def log_streams(self) -> LogStreams: ...
    @property
    def lambda_jobs(self) -> LambdaJobs: ...
    @property
    def pipelines(self) -> Pipelines: ...
    @property
    def packages(self) -> Packages: ...
    @property
    def roles(self) -> Roles: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def endpoints(self) -> Endpoints: ...
    @property
    def scaling(self) -> Scaling: ...
    @property
    def signatures(self) -> Signatures: ...
    @property
    def alarms(self) -> Alarms: ...
    @property
    def workflows(self) -> Workflows: ...
    @property
    def bus(self) -> Bus: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def notices(self) -> Notices: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def build_requests(self) -> BuildRequests: ...
