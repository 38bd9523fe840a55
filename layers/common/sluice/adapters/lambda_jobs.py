"""Adapter for training and processing jobs that a function runs.

A job's folder of the artifact bucket has what is known of it: `request.json`, from before it is ordered;
`claim.json`, by the one invocation that runs it, or by who gives it up; `stop.json`, the wish that it stops;
`result.json`, its end; `keys/`, each of which opens the credentials of an order.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from sluice.adapters.clients import error_code
from sluice.containers import orders
from sluice.containers.orders import Order
from sluice.domain.build import log_tails, sessions
from sluice.domain.build.function_ends import FunctionEnd
from sluice.domain.locations import job_records
from sluice.domain.roles import Account
from sluice.lazy import dataclass
from sluice.ports import JobKind, Objects, RequestRefusedError, Room

_FIELDS = {"training_job": "Training", "processing_job": "Processing"}
# AssumeRole gives a role that was assumed itself at most an hour: to wait in Lambda's queue and to run.
_SESSION_S = 3600
# An asynchronous invocation's longest payload.
_PAYLOAD_MAX_BYTES = 256 * 1024
# Lambda drops an order that waited so long: see RunJob...Function in the template.
_WAITS_S = 2400
_LATE_S = 120
# Of a session: none will be given.
_REFUSALS = ("AccessDenied", "AccessDeniedException", "PackedPolicyTooLarge")
_TIMES = {"TrainingStartTime", "TrainingEndTime", "ProcessingStartTime", "ProcessingEndTime"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack runs jobs: its functions by memory in MB, the role for their records, their logs."""

    stack: str
    account: Account
    functions: Mapping[int, str]
    runner_role_arn: str
    log_retention_days: int
    kms_key_arn: str = ""

    def log_group(self, pipeline: str) -> str:
        return log_tails.group(self.stack, pipeline, "", "lambda")


class FunctionJobs:
    """Jobs by their names; their functions are told what to run, and what they may, by an order."""

    def __init__(self, place: Place, objects: Objects, client: Callable[[str], Any]) -> None:
        self._place = place
        self._objects = objects
        self._client = client
        self._groups: set[str] = set()

    @property
    def largest_mb(self) -> int:
        return max(self._place.functions)

    def problem(self, kind: JobKind, request: Mapping[str, Any], room: Room) -> str | None:
        try:
            sessions.of_script(
                _of_script(kind), request, self._place.account, room.pipeline, self._place.kms_key_arn
            )
        except sessions.SessionTooLongError as error:
            return str(error)
        return None

    def start(
        self, kind: JobKind, request: Mapping[str, Any], room: Room, before_order: Callable[[], object]
    ) -> bool:
        name = request[f"{_FIELDS[kind]}JobName"]
        sizes = sorted(self._place.functions)
        memory_mb = next((size for size in sizes if size >= room.memory_mb), sizes[-1])
        function = self._place.functions[memory_mb]
        held = {
            "kind": kind,
            "request": dict(request),
            "arn": f"{function}:job/{name}",
            "created_at": datetime.now(UTC).timestamp(),
            "secret": secrets.token_urlsafe(24),
            "memory_mb": memory_mb,
            # All functions of a stack have the same.
            "architecture": orders.architecture(),
        }
        uri = self._uri(name, orders.REQUEST)
        with ThreadPoolExecutor(1) as pool:
            creating = pool.submit(self._objects.create, uri, json.dumps(held).encode(), "application/json")
            # Credentials that nobody will use do no harm.
            order = self._ordered(kind, name, held, room)
            created = creating.result()
        if not created:
            held = json.loads(self._objects.read(uri))
            if any(self._read_all(name, orders.CLAIM, orders.RESULT)):
                return False
            # Order again what nobody claimed: who recorded it may have ended before the order.
            order = self._ordered(kind, name, held, room)
        before_order()
        self._send(order, function)
        return created

    def describe(self, kind: JobKind, name: str) -> dict[str, Any] | None:
        held, result = self._read_all(name, orders.REQUEST, orders.RESULT)
        if held is None or held["kind"] != kind:
            return None
        field = _FIELDS[kind]
        description = {
            **held["request"],
            f"{field}JobArn": held["arn"],
            "CreationTime": _moment(held["created_at"]),
        }
        result = result or self._given_up(name, held)
        if result is None:
            is_told = self._read(name, orders.STOP) is not None
            status = "Stopping" if is_told else "InProgress"
            return {**description, f"{field}JobStatus": status, "Usage": _room(held)}
        changes: dict[str, Any] = {
            key: _moment(value) if key in _TIMES else value for key, value in result["changes"].items()
        }
        for metric in changes.get("FinalMetricDataList", ()):
            metric["Timestamp"] = _moment(metric["Timestamp"])
        reason = {"FailureReason": result["reason"]} if result["status"] == "Failed" else {}
        return {
            **description,
            **changes,
            **reason,
            f"{field}JobStatus": result["status"],
            "SecondaryStatus": result["secondary_status"],
            "Usage": result["usage"],
            "LimitReached": result["limit"],
            "Written": result.get("written", {}),
            # None if the job could not say: then its log has them.
            "LogTail": result.get("log_tail"),
            "LeftBehind": result.get("left_behind") or None,
        }

    def stop(self, kind: JobKind, name: str) -> None:
        if self._read(name, orders.RESULT) is None:
            self._objects.create(self._uri(name, orders.STOP), b"{}", "application/json")

    def record_end(self, name: str, secret: str, end: FunctionEnd) -> bool:
        held, claim = self._read_all(name, orders.REQUEST, orders.CLAIM)
        if held is None or not secrets.compare_digest(secret, held["secret"]):
            return False
        if claim is not None or self._give_up(name, end):
            self._record(name, _failed(held, claim, end))
        return True

    def _given_up(self, name: str, held: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the end of a job that must have ended, though no event said so.

        The end is recorded, so that every reader sees the same one. What nobody claimed is claimed first: an
        order that comes later runs nothing.
        """
        claim = self._read(name, orders.CLAIM)
        end = _loss(held, claim)
        if end is None or (claim is None and not self._give_up(name, end)):
            return None
        self._record(name, _failed(held, claim, end))
        return self._read(name, orders.RESULT)

    def _give_up(self, name: str, end: FunctionEnd) -> bool:
        """Claim a job that nobody runs, and say why: whoever records its end may have ended before that.

        False if it was claimed meanwhile, by another order's invocation: then its end is that one's.
        """
        said = {"reason": end.reason, "limit": end.limit}
        claim = {"claimed_at": datetime.now(UTC).timestamp(), "timeout_s": 0.0, "given_up": said}
        return self._objects.create(
            self._uri(name, orders.CLAIM), json.dumps(claim).encode(), "application/json"
        )

    def _record(self, name: str, result: Mapping[str, Any]) -> None:
        self._objects.create(self._uri(name, orders.RESULT), json.dumps(result).encode(), "application/json")

    def _ordered(self, kind: JobKind, name: str, held: Mapping[str, Any], room: Room) -> Order:
        """Make the order of a recorded job, with credentials of its own."""
        place, pipeline = self._place, room.pipeline
        group, stream = place.log_group(pipeline), f"{name}/algo-1-{int(held['created_at'])}"
        records = job_records(place.account.artifact_bucket, name)
        environment = dict(room.environment) if room.environment else None
        try:
            script = sessions.of_script(
                _of_script(kind), held["request"], place.account, pipeline, place.kms_key_arn
            )
        except sessions.SessionTooLongError as error:
            raise RequestRefusedError(f"{error}: set compute.backend to auto or sagemaker") from error
        runner = sessions.of_runner(
            place.account,
            records=records,
            environment=environment["uri"] if environment else None,
            log_group=group,
            log_stream=stream,
            kms_key_arn=place.kms_key_arn,
        )
        key_uri = f"{records}/{orders.KEYS}/{uuid.uuid4().hex}"
        wanted = (held["request"]["RoleArn"], script), (place.runner_role_arn, runner)
        return Order(
            kind=_of_script(kind),
            name=name,
            arn=held["arn"],
            stack=place.stack,
            pipeline=pipeline,
            request=held["request"],
            records_uri=records,
            log_group=group,
            log_stream=stream,
            sealed_credentials=self._sealed(name, key_uri, wanted),
            key_uri=key_uri,
            secret=held["secret"],
            environment=environment,
        )

    def _send(self, order: Order, function: str) -> None:
        self._ensure_group(order.log_group)
        payload = json.dumps(order.event()).encode()
        if len(payload) > _PAYLOAD_MAX_BYTES:
            raise RequestRefusedError(
                f"the request of {order.name} has {len(payload)} bytes, and Lambda takes "
                f"{_PAYLOAD_MAX_BYTES}: set compute.backend to sagemaker"
            )
        self._client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=payload)

    def _sealed(self, name: str, key_uri: str, wanted: tuple[tuple[str, str], tuple[str, str]]) -> str:
        """Assume the two roles, each with its policy, and store the key to them, all at once."""
        # Make it before the threads, which must not make clients at once.
        sts, key = self._client("sts"), secrets.token_bytes(orders.KEY_BYTES)
        with ThreadPoolExecutor(3) as pool:
            stored = pool.submit(self._objects.write, key_uri, key)
            script, own = pool.map(lambda each: _session(sts, name, *each), wanted)
            stored.result()
        return orders.seal(script, own, key)

    def _ensure_group(self, group: str) -> None:
        if group in self._groups:
            return
        logs, key = self._client("logs"), self._place.kms_key_arn
        try:
            logs.create_log_group(logGroupName=group, **({"kmsKeyId": key} if key else {}))
            logs.put_retention_policy(logGroupName=group, retentionInDays=self._place.log_retention_days)
        except ClientError as error:
            if error_code(error) != "ResourceAlreadyExistsException":
                raise
        self._groups.add(group)

    def _uri(self, name: str, document: str) -> str:
        return f"{job_records(self._place.account.artifact_bucket, name)}/{document}"

    def _read_all(self, name: str, *documents: str) -> list[dict[str, Any] | None]:
        """Read documents of a job, all at once."""
        with ThreadPoolExecutor(len(documents)) as pool:
            return [*pool.map(lambda document: self._read(name, document), documents)]

    def _read(self, name: str, document: str) -> dict[str, Any] | None:
        try:
            read: dict[str, Any] = json.loads(self._objects.read(self._uri(name, document)))
        except FileNotFoundError:
            return None
        return read


def _session(sts: Any, name: str, role_arn: str, policy: str) -> dict[str, str]:
    try:
        answer = sts.assume_role(
            RoleArn=role_arn,
            RoleSessionName=f"job-{name}"[:64],
            Policy=policy,
            DurationSeconds=_SESSION_S,
        )
    except ClientError as error:
        if error_code(error) in _REFUSALS:
            raise RequestRefusedError(str(error)) from error
        raise
    given = answer["Credentials"]
    return {key: given[key] for key in ("AccessKeyId", "SecretAccessKey", "SessionToken")}


def _loss(held: Mapping[str, Any], claim: Mapping[str, Any] | None) -> FunctionEnd | None:
    """Say how a job without a result must have ended; None if it may still run."""
    now = datetime.now(UTC).timestamp()
    if claim and "given_up" in claim:
        return FunctionEnd(**claim["given_up"])
    if claim and now > claim["claimed_at"] + claim["timeout_s"] + _LATE_S:
        return FunctionEnd("its function ended without a word")
    if claim is None and now > held["created_at"] + _WAITS_S + _LATE_S:
        return FunctionEnd("Lambda never ran it", "concurrency")
    return None


def _failed(held: Mapping[str, Any], claim: Mapping[str, Any] | None, end: FunctionEnd) -> dict[str, Any]:
    now = datetime.now(UTC).timestamp()
    started = claim["claimed_at"] if claim else now
    # However late anybody looks, Lambda ended it when its time was over.
    ended = min(now, started + claim["timeout_s"]) if claim else now
    field = _FIELDS[held["kind"]]
    has = f": its function has {held['memory_mb']} MB" if end.limit == "memory" else ""
    return {
        "status": "Failed",
        "secondary_status": "Failed",
        "reason": f"{end.reason}{has}",
        "limit": end.limit,
        "changes": {f"{field}StartTime": started, f"{field}EndTime": ended},
        "usage": {
            "billed_s": round(ended - started, 3),
            **_room(held),
            # What ended for want of memory held all there was.
            **({"peak_memory_mb": held["memory_mb"]} if end.limit == "memory" else {}),
        },
    }


def _room(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job is billed by, besides its time."""
    return {name: held[name] for name in ("memory_mb", "architecture") if name in held}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _of_script(kind: JobKind) -> Literal["training_job", "processing_job"]:
    """Return the kind of a job that runs a script: a function runs nothing else."""
    if kind == "pipeline_execution":
        raise ValueError("a function runs no pipeline of SageMaker")
    return kind
