"""In-memory stand-ins for every port, with the same conditional semantics as the real adapters."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import NoneType
from typing import Any

import pytest

from sluice.adapters.signatures import EllipticKeys
from sluice.catalog.changes import Change, Delete, Put, Update, refuse_impossible
from sluice.catalog.records.notices import Channel, Notice
from sluice.domain.build.environments import NoEnvironmentError, Wanted
from sluice.domain.build.function_ends import FunctionEnd
from sluice.domain.digests import Part
from sluice.domain.notices.webhooks import WebhookError
from sluice.domain.roles import Account, Role, RolesForbiddenError
from sluice.domain.safeguards import Safeguards
from sluice.ports import (
    Content,
    EndpointBusyError,
    Item,
    JobKind,
    ObjectHead,
    PackageArchive,
    Piece,
    RequestRefusedError,
    Room,
    SageMakerJobKind,
)

DATA_BUCKET = "sluice-data"
ARTIFACT_BUCKET = "sluice-artifacts"
ROLES_ARN = "arn:aws:iam::123456789012:role/sluice/sluice/eu-central-1/"
ACCOUNT_ARN = "arn:aws:{service}:eu-central-1:123456789012:{resource}"


def arn(service: str, resource: str) -> str:
    return ACCOUNT_ARN.format(service=service, resource=resource)


class FakeCatalog:
    """Flat items in a dictionary; tuples become lists and absent attributes stay absent, as in DynamoDB."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}

    def get(self, key: Mapping[str, str]) -> Item | None:
        item = self.items.get(_pair(key))
        return _copy(item) if item is not None else None

    def get_all(self, keys: Sequence[Mapping[str, str]]) -> list[Item | None]:
        return [self.get(key) for key in keys]

    def create(self, item: Item) -> bool:
        return self.apply(Put(item))

    def update(
        self, key: Mapping[str, str], changes: Mapping[str, Any], when: Mapping[str, Any] | None = None
    ) -> bool:
        return self.apply(Update(key, changes, when))

    def apply(self, *changes: Change) -> bool:
        refuse_impossible(changes)
        written = [(_pair(change.key), self._written(change)) for change in changes]
        if not all(self._holds(change) for change in changes):
            return False
        for pair, item in written:
            if item is None:
                self.items.pop(pair, None)
            else:
                self.items[pair] = item
        return True

    def _holds(self, change: Change) -> bool:
        item = self.items.get(_pair(change.key))
        if isinstance(change, Put):
            return item is None
        if change.when is None:
            return True
        return item is not None and all(item.get(name) == value for name, value in change.when.items())

    def _written(self, change: Change) -> Item | None:
        """What becomes of the item; raises for what DynamoDB could not hold."""
        if isinstance(change, Delete):
            return None
        if isinstance(change, Put):
            return _copy(_present(change.item))
        if {"pk", "sk"} & change.set.keys():
            raise ValueError("an item's key cannot be changed")
        item = self.items.get(_pair(change.key), change.key)
        return _copy(_present({**item, **change.set}))

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
        def is_asked_for(sk: str) -> bool:
            return between[0] <= sk <= between[1] if between else sk.startswith(prefix)

        if after is not None and not is_asked_for(after):
            raise ValueError(f"{after} lies outside of what is asked for")
        found = sorted(sk for held, sk in self.items if held == pk and is_asked_for(sk))
        if after is not None:
            found = [sk for sk in found if (sk < after if newest_first else sk > after)]
        if newest_first:
            found.reverse()
        return [_copy(self.items[pk, sk]) for sk in found[:limit]]

    def listing(self, gsi1pk: str) -> list[Item]:
        found = [item for item in self.items.values() if item.get("gsi1pk") == gsi1pk and "gsi1sk" in item]
        return [_copy(item) for item in sorted(found, key=lambda item: str(item["gsi1sk"]))]


def count_reads(catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that what is read from now on is added to, one entry for each item or vain look-up."""
    read: list[Any] = []

    def noted(look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(*given: Any, **how: Any) -> Any:
            found = look(*given, **how)
            read.extend(found if isinstance(found, list) else [found])
            return found

        return looked

    for name in ("get", "query", "listing"):
        monkeypatch.setattr(catalog, name, noted(getattr(catalog, name)))
    return read


def _pair(key: Mapping[str, Any]) -> tuple[str, str]:
    return str(key["pk"]), str(key["sk"])


def _present(item: Mapping[str, Any]) -> Item:
    return {name: value for name, value in item.items() if value is not None}


def _copy(item: Mapping[str, Any]) -> Item:
    return {str(name): _copied(value) for name, value in item.items()}


def _copied(value: Any) -> Any:
    """What JSON makes of a value: a test's items are copied a hundred times as often as they are written."""
    kind = type(value)
    if kind in (str, int, bool, NoneType):
        return value
    if kind is dict:
        return _copy(value)
    if kind in (list, tuple):
        return [_copied(each) for each in value]
    return json.loads(json.dumps(value, allow_nan=False))


@dataclass
class _Version:
    version_id: str
    data: bytes
    content_type: str
    at: str
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


class FakeObjects:
    """Versioned buckets; the newest version of a key is its last.

    What was deleted is found by its version id alone, and no id comes again.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, list[_Version]]] = {}
        self._ids: Counter[tuple[str, str]] = Counter()
        self._deleted: dict[tuple[str, str], list[_Version]] = {}
        self.writes: list[str] = []
        self.uploaded_parts: dict[tuple[str, str], list[Part]] = {}
        self.read_bytes = 0
        self.at = "2026-11-24T08:00:00.000Z"

    def put(self, bucket: str, key: str, data: bytes, metadata: Mapping[str, str] | None = None) -> str:
        """What an upload from outside does; returns the version id."""
        versions = self.buckets.setdefault(bucket, {}).setdefault(key, [])
        self._ids[bucket, key] += 1
        version = _Version(f"v{self._ids[bucket, key]}", data, "application/octet-stream", self.at)
        version.metadata.update(metadata or {})
        versions.append(version)
        return versions[-1].version_id

    def delete(self, uri: str) -> None:
        bucket, key = _split(uri)
        self._deleted.setdefault((bucket, key), []).extend(self.buckets[bucket].pop(key))

    def purge(self, uri: str) -> None:
        """Delete all versions of an object for ever, as a life cycle does."""
        bucket, key = _split(uri)
        self.buckets[bucket].pop(key, None)
        self._deleted.pop((bucket, key), None)

    def tags(self, bucket: str, key: str) -> dict[str, str]:
        return self.buckets[bucket][key][-1].tags

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectHead | None:
        version = self._version(bucket, key, version_id)
        return _head(bucket, key, version) if version else None

    def parts(self, bucket: str, key: str, version_id: str) -> list[Part]:
        return self.uploaded_parts.get((key, version_id), [])

    def chunks(
        self, bucket: str, key: str, version_id: str | None = None, span: tuple[int, int] | None = None
    ) -> Iterator[bytes]:
        data = self._existing(bucket, key, version_id).data
        self.read_bytes += len(data[span[0] : span[1] + 1] if span else data)
        yield data[span[0] : span[1] + 1] if span else data

    def open(self, bucket: str, key: str) -> tuple[ObjectHead, Iterator[bytes]] | None:
        version = self._version(bucket, key, None)
        if version is None:
            return None
        return _head(bucket, key, version), self.chunks(bucket, key, version.version_id)

    def folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        below = (key.removeprefix(prefix) for key in self.buckets.get(bucket, {}) if key.startswith(prefix))
        yield from sorted({f"{prefix}{key.partition('/')[0]}/" for key in below if "/" in key})

    def listing(
        self, bucket: str, prefix: str, *, shallow: bool = False, after: str = ""
    ) -> Iterator[ObjectHead]:
        for key, versions in sorted(self.buckets.get(bucket, {}).items()):
            if key > after and key.startswith(prefix) and not (shallow and "/" in key.removeprefix(prefix)):
                yield _head(bucket, key, versions[-1])

    def read(self, uri: str) -> bytes:
        return self._existing(*_split(uri), None).data

    def write(self, uri: str, data: Content, content_type: str = "application/octet-stream") -> None:
        bucket, key = _split(uri)
        self.put(bucket, key, data if isinstance(data, bytes) else b"".join(data))
        self.buckets[bucket][key][-1].content_type = content_type
        self.writes.append(uri)

    def create(self, uri: str, data: Content, content_type: str = "application/octet-stream") -> bool:
        if self.head(*_split(uri)):
            return False
        self.write(uri, data, content_type)
        return True

    def splice(self, source_uri: str, pieces: Sequence[slice | Piece], uri: str) -> None:
        found = self._existing(*_split(source_uri), None).data
        self.write(uri, b"".join(found[each] if isinstance(each, slice) else each for each in pieces))

    def copy(self, source: ObjectHead, uri: str) -> None:
        self.write(uri, self._existing(source.bucket, source.key, source.version_id).data)

    def download(self, bucket: str, key: str, version_id: str | None, path: Path) -> None:
        path.write_bytes(self._existing(bucket, key, version_id).data)

    def upload(self, path: Path, uri: str, content_type: str = "application/octet-stream") -> None:
        self.write(uri, path.read_bytes(), content_type)

    def tag(self, bucket: str, key: str, version_id: str, tags: Mapping[str, str]) -> None:
        if version := self._version(bucket, key, version_id):
            version.tags |= tags

    def _version(self, bucket: str, key: str, version_id: str | None) -> _Version | None:
        versions = self.buckets.get(bucket, {}).get(key, [])
        if version_id is None:
            return versions[-1] if versions else None
        known = (*self._deleted.get((bucket, key), ()), *versions)
        return next((version for version in known if version.version_id == version_id), None)

    def _existing(self, bucket: str, key: str, version_id: str | None) -> _Version:
        version = self._version(bucket, key, version_id)
        if version is None:
            raise FileNotFoundError(f"s3://{bucket}/{key}")
        return version


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _head(bucket: str, key: str, version: _Version) -> ObjectHead:
    return ObjectHead(
        bucket=bucket,
        key=key,
        version_id=version.version_id,
        size_bytes=len(version.data),
        etag=hashlib.md5(version.data, usedforsecurity=False).hexdigest(),
        last_modified=version.at,
        metadata=version.metadata,
    )


class FakePackages:
    """An index that has all packages, or lacks some: `problem` says what it lacks."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.problem: str | None = None

    def build(self, wanted: Wanted, folder: Path, remaining_s: Callable[[], float]) -> PackageArchive:
        self.built.append(wanted.spec)
        if self.problem is not None:
            raise NoEnvironmentError(self.problem)
        (archive := folder / "environment.tar.zst").write_text(wanted.spec)
        digest = hashlib.sha256(wanted.spec.encode()).hexdigest()
        listed = [{"name": "scikit-learn", "version": "1.4.2"}]
        return PackageArchive(archive, digest, wanted.describe(digest, 64, 640, packages=listed, lock=""))


_PREFIXES = ("Training", "Processing", "Transform")


class FakeJobs:
    """Jobs that stay InProgress until a test ends them."""

    def __init__(self) -> None:
        self.requests: dict[str, dict[str, Any]] = {}
        self.descriptions: dict[str, dict[str, Any]] = {}
        self.created_at = datetime(2026, 11, 24, 10, tzinfo=UTC)
        self.stopped: list[str] = []

    def start(self, kind: SageMakerJobKind, request: Mapping[str, Any]) -> bool:
        prefix = _prefix(kind)
        name = request[f"{prefix}JobName"]
        if name in self.requests:
            return False
        self.requests[name] = dict(request)
        resource = f"{kind.replace('_', '-')}/{name}"
        self.descriptions[name] = {
            **request,
            f"{prefix}JobArn": arn("sagemaker", resource),
            f"{prefix}JobStatus": "InProgress",
            "CreationTime": self.created_at,
        }
        return True

    def describe(self, kind: SageMakerJobKind, name: str) -> dict[str, Any] | None:
        description = self.descriptions.get(name)
        return dict(description) if description and f"{_prefix(kind)}JobName" in description else None

    def stop(self, kind: JobKind, name: str) -> None:
        description = self.descriptions.get(name, {})
        if description.get(f"{_prefix(kind)}JobStatus") in ("InProgress", "Stopping"):
            description[f"{_prefix(kind)}JobStatus"] = "Stopping"
            self.stopped.append(name)

    def end(self, name: str, status: str = "Completed", **described: Any) -> None:
        """Bring a job to its end, as SageMaker would describe it."""
        description = self.descriptions[name]
        prefix = next(each for each in _PREFIXES if f"{each}JobName" in description)
        ended_at = self.created_at + timedelta(minutes=5)
        description |= {f"{prefix}StartTime": self.created_at, f"{prefix}EndTime": ended_at}
        if prefix == "Training" and status == "Completed":
            output = description["OutputDataConfig"]["S3OutputPath"].rstrip("/")
            description["ModelArtifacts"] = {"S3ModelArtifacts": f"{output}/{name}/output/model.tar.gz"}
        description.update({f"{prefix}JobStatus": status, **described})


class FakeLambdaJobs(FakeJobs):
    """Jobs of functions: an order each, and ends that Lambda tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: dict[str, Room] = {}
        self.ordered: list[str] = []
        # As if the stack had no functions for jobs: where the choice is free, they run on SageMaker.
        self.largest_mb = 0
        self.ends: dict[str, FunctionEnd] = {}
        self.too_long: str | None = None

    def problem(self, kind: JobKind, request: Mapping[str, Any], room: Room) -> str | None:
        return self.too_long

    def start(
        self,
        kind: SageMakerJobKind,
        request: Mapping[str, Any],
        room: Room | None = None,
        before_order: Callable[[], object] = lambda: None,
    ) -> bool:
        assert room is not None
        name = request[f"{_prefix(kind)}JobName"]
        self.rooms[name] = room
        is_new = super().start(kind, request)
        self.descriptions[name].setdefault("Usage", {"memory_mb": room.memory_mb})
        before_order()
        self.ordered.append(name)
        return is_new

    def end(self, name: str, status: str = "Completed", **described: Any) -> None:
        """Such a job measures itself."""
        used = {"billed_s": 12.5, "memory_mb": self.rooms[name].memory_mb, "peak_memory_mb": 700}
        super().end(name, status, **{"Usage": used, **described})

    def record_end(self, name: str, secret: str, end: FunctionEnd) -> bool:
        if secret != "the order's" or name not in self.descriptions:
            return False
        if name not in self.ends:
            self.ends[name] = end
            self.end(name, "Failed", FailureReason=end.reason, LimitReached=end.limit)
        return True


class FakePipelines:
    """Pipelines of SageMaker whose executions stay Executing until a test ends them."""

    def __init__(self) -> None:
        self.by_name: dict[str, dict[str, Any]] = {}
        self.requests: dict[str, dict[str, Any]] = {}
        self.descriptions: dict[str, dict[str, Any]] = {}
        self.created_at = datetime(2026, 11, 24, 10, tzinfo=UTC)
        self.stopped: list[str] = []
        self.refusal: str | None = None

    def put(self, request: Mapping[str, Any]) -> None:
        if self.refusal:
            raise RequestRefusedError(self.refusal)
        self.by_name[request["PipelineName"]] = dict(request)

    def start(self, kind: JobKind, request: Mapping[str, Any]) -> bool:
        self.put(request["Pipeline"])
        name = request["PipelineExecutionDisplayName"]
        if name in self.requests:
            return False
        self.requests[name] = dict(request)
        pipeline = request["PipelineName"]
        self.descriptions[name] = {
            "PipelineExecutionArn": arn("sagemaker", f"pipeline/{pipeline}/execution/{len(self.requests)}"),
            "PipelineExecutionDisplayName": name,
            "PipelineExecutionStatus": "Executing",
            "CreationTime": self.created_at,
            "LastModifiedTime": self.created_at,
            "Steps": [],
        }
        return True

    def describe(self, kind: JobKind, name: str) -> dict[str, Any] | None:
        return dict(self.descriptions[name]) if name in self.descriptions else None

    def look(self, name: str) -> list[dict[str, Any]]:
        return list(self.descriptions[name]["Steps"]) if name in self.descriptions else []

    def stop(self, kind: JobKind, name: str) -> None:
        if name in self.descriptions:
            self.descriptions[name]["PipelineExecutionStatus"] = "Stopping"
            self.stopped.append(name)

    def end(self, name: str, status: str = "Succeeded", steps: Sequence[Mapping[str, Any]] = ()) -> None:
        """Bring an execution to its end, as SageMaker would describe it."""
        ended_at = self.created_at + timedelta(minutes=9)
        ended = {"PipelineExecutionStatus": status, "LastModifiedTime": ended_at}
        self.descriptions[name] |= {**ended, "Steps": [dict(step) for step in steps]}


def _prefix(kind: SageMakerJobKind) -> str:
    return kind.removesuffix("_job").title()


class FakeJobLogs:
    """Logs of jobs, by job's name."""

    def __init__(self) -> None:
        self.by_job: dict[str, list[str]] = {}

    def tail(self, group: str, name: str, lines: int) -> list[str]:
        return self.by_job.get(name, [])[-lines:]


class FakeLogStreams:
    """Log groups with their streams, and when each was made."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, str]] = {}

    def streams(self, group: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        yield from [each for each in self.groups.get(group, {}).items() if each[0].startswith(prefix)]

    def delete(self, group: str, stream: str) -> bool:
        return self.groups.get(group, {}).pop(stream, None) is not None

    def delete_group(self, group: str) -> bool:
        return self.groups.pop(group, None) is not None


class FakeRoles:
    """Roles by name; `forbidden`: nobody may make any; `denied`: what was to go and was not there."""

    def __init__(self) -> None:
        self.by_name: dict[str, Role] = {}
        self.denied: list[str] = []
        self.made_at = "2026-11-24T09:00:00.000Z"
        self.forbidden = False

    def ensure(self, role: Role) -> str:
        if self.forbidden:
            raise RolesForbiddenError(role, "AccessDenied")
        self.by_name[role.name] = role
        return self.made_at

    def delete(self, role: Role) -> None:
        if self.forbidden:
            raise RolesForbiddenError(role, "AccessDenied")
        if role.name not in self.by_name:
            # IAM does not know its path, by which our permission is limited.
            self.denied.append(role.name)
            raise RolesForbiddenError(role, "AccessDenied")
        del self.by_name[role.name]


class FakeRegistry:
    """Model package groups and versions; idempotent by ClientToken."""

    def __init__(self) -> None:
        self.groups: dict[str, str] = {}
        self.by_arn: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self.created_at = datetime(2026, 11, 24, 12, tzinfo=UTC)
        self._by_token: dict[str, str] = {}

    def delete_group(self, name: str) -> None:
        """With its versions, as somebody does who cleans up: one that is made anew counts from 1 again."""
        self.deleted.add(name)
        self.groups.pop(name, None)
        held = [arn for arn, each in self.by_arn.items() if each["ModelPackageGroupName"] == name]
        for arn in held:
            del self.by_arn[arn]

    def ensure_group(self, name: str, description: str, tags: Sequence[Mapping[str, str]]) -> None:
        self.groups.setdefault(name, description)
        self.deleted.discard(name)

    def create_package(self, request: Mapping[str, Any]) -> str:
        token = request["ClientToken"]
        if token in self._by_token:
            return self._by_token[token]
        group = request["ModelPackageGroupName"]
        if group in self.deleted:
            raise RuntimeError(f"there is no group {group}")
        version = sum(package["ModelPackageGroupName"] == group for package in self.by_arn.values()) + 1
        package_arn = arn("sagemaker", f"model-package/{group}/{version}")
        self.by_arn[package_arn] = {
            **{name: value for name, value in request.items() if name != "ClientToken"},
            "ModelPackageArn": package_arn,
            "ModelPackageVersion": version,
            "ModelPackageStatus": "Completed",
            "CreationTime": self.created_at,
        }
        self._by_token[token] = package_arn
        return package_arn

    def describe_package(self, arn: str) -> dict[str, Any] | None:
        package = self.by_arn.get(arn)
        return dict(package) if package else None

    def write_life_cycle(self, arn: str, life_cycle: Mapping[str, str]) -> None:
        self.by_arn[arn]["ModelLifeCycle"] = dict(life_cycle)

    def packages(
        self, group: str, before: datetime | None = None, status: str | None = None
    ) -> Iterator[dict[str, Any]]:
        for package in reversed(self.by_arn.values()):
            is_before = before is None or package["CreationTime"] < before
            is_wanted = status in (None, package["ModelApprovalStatus"])
            if package["ModelPackageGroupName"] == group and is_before and is_wanted:
                yield dict(package)


class FakeEndpoints:
    """Models, endpoint configs, and endpoints that change only when a test settles them."""

    def __init__(self) -> None:
        # When what is made from now on was made.
        self.made_at = datetime(2026, 11, 24, 9, tzinfo=UTC)
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.by_name: dict[str, dict[str, Any]] = {}
        self.updates: list[dict[str, Any]] = []
        self.responses: list[Mapping[str, Any]] = []

    def create_model(self, request: Mapping[str, Any]) -> bool:
        name = request["ModelName"]
        described = {
            **request,
            "ModelArn": arn("sagemaker", f"model/{name}"),
            "CreationTime": self.made_at,
        }
        return self.models.setdefault(name, described) is described

    def create_config(self, request: Mapping[str, Any]) -> bool:
        name = request["EndpointConfigName"]
        described = {
            **request,
            "EndpointConfigArn": arn("sagemaker", f"endpoint-config/{name}"),
            "CreationTime": self.made_at,
        }
        return self.configs.setdefault(name, described) is described

    def create_endpoint(self, request: Mapping[str, Any]) -> None:
        name = request["EndpointName"]
        if name in self.by_name:
            raise EndpointBusyError(name)
        self.updates.append(dict(request))
        self.by_name[name] = {
            "EndpointName": name,
            "EndpointArn": arn("sagemaker", f"endpoint/{name}"),
            "EndpointStatus": "Creating",
            "EndpointConfigName": request["EndpointConfigName"],
            "ProductionVariants": self._variants(request["EndpointConfigName"]),
            "Tags": request.get("Tags", []),
        }

    def _variants(self, config: str, member: str = "ProductionVariants") -> list[dict[str, Any]]:
        described = []
        for variant in self.configs.get(config, {}).get(member, []):
            count = variant.get("InitialInstanceCount")
            limits = (
                {"CurrentServerlessConfig": variant["ServerlessConfig"]}
                if "ServerlessConfig" in variant
                else {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
            )
            described.append({"VariantName": variant["VariantName"], **limits})
        return described

    def update_endpoint(self, request: Mapping[str, Any]) -> None:
        endpoint = self.by_name[request["EndpointName"]]
        if endpoint["EndpointStatus"] != "InService":
            raise EndpointBusyError(request["EndpointName"])
        self.updates.append(dict(request))
        endpoint["EndpointStatus"] = "Updating"
        endpoint["PendingDeploymentSummary"] = {"EndpointConfigName": request["EndpointConfigName"]}
        endpoint["Retains"] = request.get("RetainAllVariantProperties", False)

    def set_capacity(self, name: str, capacity: Mapping[str, Any]) -> None:
        endpoint = self.by_name[name]
        if endpoint["EndpointStatus"] != "InService":
            raise EndpointBusyError(name)
        (variant,) = endpoint["ProductionVariants"]
        if (count := capacity.get("DesiredInstanceCount")) is not None:
            variant.update(CurrentInstanceCount=count, DesiredInstanceCount=count)
        else:
            variant["CurrentServerlessConfig"] = {
                **variant["CurrentServerlessConfig"],
                **capacity["ServerlessUpdateConfig"],
            }

    def delete_endpoint(self, name: str) -> None:
        self.by_name.pop(name, None)

    def settle(self, name: str, *, config: str | None = None, status: str = "InService") -> None:
        """End the change under way: on the requested config, or on the one a rollback went back to."""
        endpoint = self.by_name[name]
        requested = endpoint.pop("PendingDeploymentSummary", endpoint)["EndpointConfigName"]
        serves = config or requested
        former, variants = endpoint["ProductionVariants"], self._variants(serves)
        if endpoint.pop("Retains", False) and serves == requested:
            for variant, kept in zip(variants, former, strict=True):
                variant |= {key: kept[key] for key in ("CurrentInstanceCount", "DesiredInstanceCount")}
        endpoint.update(EndpointStatus=status, EndpointConfigName=serves, ProductionVariants=variants)
        endpoint["ShadowProductionVariants"] = self._variants(serves, "ShadowProductionVariants")

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        endpoint = self.by_name.get(name)
        return dict(endpoint) if endpoint else None

    def tags(self, arn: str) -> dict[str, str]:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        owner = {"model": self.models, "endpoint-config": self.configs, "endpoint": self.by_name}[kind]
        return {tag["Key"]: tag["Value"] for tag in owner[name].get("Tags", [])}

    def describe_config(self, name: str) -> dict[str, Any] | None:
        return self.configs.get(name)

    def describe_model(self, name: str) -> dict[str, Any] | None:
        return self.models.get(name)

    def list_configs(self, prefix: str) -> Iterator[dict[str, Any]]:
        yield from self._listed(self.configs, "EndpointConfigArn", prefix)

    def list_models(self, prefix: str) -> Iterator[dict[str, Any]]:
        yield from self._listed(self.models, "ModelArn", prefix)

    def _listed(self, found: Mapping[str, Any], arn: str, prefix: str) -> Iterator[dict[str, Any]]:
        for name, each in list(found.items()):
            if name.startswith(prefix):
                yield {"Name": name, "Arn": each[arn], "CreationTime": each["CreationTime"]}

    def delete_config(self, name: str) -> None:
        self.configs.pop(name, None)

    def delete_model(self, name: str) -> None:
        self.models.pop(name, None)

    def invoke(
        self, name: str, body: bytes, content_type: str, accept: str, inference_id: str = ""
    ) -> Mapping[str, Any]:
        return self.responses.pop(0)


class FakeScaling:
    """Scalable targets with their policies."""

    def __init__(self) -> None:
        self.targets: dict[str, dict[str, Any]] = {}

    def describe(self, target: Mapping[str, str]) -> dict[str, Any] | None:
        found = self.targets.get(target["ResourceId"])
        return {**found, "Policies": list(found["Policies"].values())} if found else None

    def register(self, request: Mapping[str, Any]) -> None:
        self.targets.setdefault(request["ResourceId"], {"Policies": {}}).update(request)

    def track(self, request: Mapping[str, Any]) -> None:
        self.targets[request["ResourceId"]]["Policies"][request["PolicyName"]] = dict(request)

    def deregister(self, target: Mapping[str, str]) -> None:
        self.targets.pop(target["ResourceId"], None)


class FakeAlarms:
    def __init__(self) -> None:
        self.by_name: dict[str, dict[str, Any]] = {}
        # What CloudWatch measured for each alarm, by time.
        self.measured: dict[str, list[tuple[datetime, float]]] = {}

    def values(
        self, alarm: Mapping[str, Any], since: datetime, until: datetime
    ) -> list[tuple[datetime, float]]:
        found = self.measured.get(alarm["AlarmName"], ())
        return [(at, value) for at, value in found if since <= at < until]

    def put(self, request: Mapping[str, Any]) -> None:
        state = self.by_name.get(request["AlarmName"], {"StateValue": "INSUFFICIENT_DATA"})
        self.by_name[request["AlarmName"]] = {**state, **request}

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            self.by_name.pop(name, None)

    def firing(self, prefix: str) -> Iterator[dict[str, Any]]:
        for name, alarm in self.by_name.items():
            if name.startswith(prefix) and alarm["StateValue"] == "ALARM":
                yield alarm

    def set_state(self, name: str, state: str, at: datetime) -> None:
        """What CloudWatch does when an alarm's metrics change."""
        self.by_name[name].update(StateValue=state, StateUpdatedTimestamp=at)

    def describe(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {name: self.by_name[name] for name in names if name in self.by_name}


class FakeWorkflows:
    """Executions by name, and the answers that waiting tasks received."""

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[tuple[str, str, str]] = []
        self.expired_tokens: set[str] = set()

    def start(self, machine: str, name: str, payload: Mapping[str, Any]) -> str:
        execution_arn = arn("states", f"execution:sluice-{machine}:{name}")
        execution = {"name": name, "machine": machine, "input": dict(payload), "status": "RUNNING"}
        self.executions.setdefault(execution_arn, execution)
        return execution_arn

    def describe(self, execution_arn: str) -> dict[str, Any] | None:
        execution = self.executions.get(execution_arn)
        return {**execution, "input": json.dumps(execution["input"])} if execution else None

    def stop(self, execution_arn: str, error: str, cause: str) -> None:
        execution = self.executions[execution_arn]
        if execution["status"] == "RUNNING":
            execution |= {"status": "ABORTED", "error": error, "cause": cause}

    def succeed(self, task_token: str, output: Mapping[str, Any]) -> bool:
        if not self._take(task_token):
            return False
        self.answers.append((task_token, dict(output)))
        return True

    def fail(self, task_token: str, error: str, cause: str) -> bool:
        if not self._take(task_token):
            return False
        self.failures.append((task_token, error, cause))
        return True

    def _take(self, task_token: str) -> bool:
        """A token is worth one answer."""
        if task_token in self.expired_tokens:
            return False
        self.expired_tokens.add(task_token)
        return True


class FakeBus:
    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any], tuple[str, ...]]] = []
        self.announced: list[tuple[str, dict[str, Any]]] = []

    def put(self, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str] = ()) -> None:
        self.entries.append((detail_type, dict(detail), tuple(resources)))

    def announce(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        self.announced.append((detail_type, dict(detail)))


class FakeBuildRequests:
    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.awaited: list[str | None] = []

    def send(self, pipeline: str, delay_s: int = 0, at: str | None = None) -> None:
        self.sent.append((pipeline, delay_s))
        self.awaited.append(at)


class FakeMetrics:
    def __init__(self) -> None:
        self.values: list[tuple[str, dict[str, str], dict[str, float], str]] = []

    def put(
        self, namespace: str, dimensions: Mapping[str, str], values: Mapping[str, float], at: str
    ) -> None:
        self.values.append((namespace, dict(dimensions), dict(values), at))


class FakeNotices:
    def __init__(self, webhooks: Collection[Channel] = ()) -> None:
        self.webhooks: Collection[Channel] = webhooks
        self.published: list[Notice] = []
        self.queued: list[tuple[str, Channel]] = []

    def publish(self, notice: Notice) -> None:
        self.published.append(notice)

    def has(self, channel: Channel) -> bool:
        return channel in self.webhooks

    def queue(self, key: str, channel: Channel) -> None:
        self.queued.append((key, channel))


class FakeWebhooks:
    """Webhooks that take everything, unless a refusal is set."""

    def __init__(self) -> None:
        self.posted: list[tuple[Channel, Any]] = []
        self.refusal: str | None = None

    def post(self, channel: Channel, body: str) -> None:
        if self.refusal is not None:
            raise WebhookError(self.refusal)
        self.posted.append((channel, json.loads(body)))


class Clock:
    """A time that moves only when a test says so."""

    def __init__(self, at: str = "2026-11-24T09:00:00.000Z") -> None:
        self.at = at

    def __call__(self) -> str:
        return self.at


@dataclass
class Cloud:
    """All ports of one imaginary account."""

    catalog: FakeCatalog = field(default_factory=FakeCatalog)
    objects: FakeObjects = field(default_factory=FakeObjects)
    jobs: FakeJobs = field(default_factory=FakeJobs)
    job_logs: FakeJobLogs = field(default_factory=FakeJobLogs)
    log_streams: FakeLogStreams = field(default_factory=FakeLogStreams)
    lambda_jobs: FakeLambdaJobs = field(default_factory=FakeLambdaJobs)
    pipelines: FakePipelines = field(default_factory=FakePipelines)
    packages: FakePackages = field(default_factory=FakePackages)
    roles: FakeRoles = field(default_factory=FakeRoles)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    endpoints: FakeEndpoints = field(default_factory=FakeEndpoints)
    scaling: FakeScaling = field(default_factory=FakeScaling)
    signatures: EllipticKeys = field(default_factory=lambda: EllipticKeys(()))
    alarms: FakeAlarms = field(default_factory=FakeAlarms)
    workflows: FakeWorkflows = field(default_factory=FakeWorkflows)
    bus: FakeBus = field(default_factory=FakeBus)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    notices: FakeNotices = field(default_factory=FakeNotices)
    webhooks: FakeWebhooks = field(default_factory=FakeWebhooks)
    build_requests: FakeBuildRequests = field(default_factory=FakeBuildRequests)
    now: Clock = field(default_factory=Clock)
    stack_name: str = "sluice"
    region: str = "eu-central-1"
    data_bucket: str = DATA_BUCKET
    artifact_bucket: str = ARTIFACT_BUCKET
    account: Account = field(
        default_factory=lambda: Account(ROLES_ARN, "eu-central-1", DATA_BUCKET, ARTIFACT_BUCKET)
    )
    allows_automatic_approval: bool = False
    safeguards: Safeguards = field(default_factory=Safeguards)
