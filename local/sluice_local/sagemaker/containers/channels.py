"""Read and write S3 for jobs, with the rights of their roles.

Objects are read from ministack's store in this process, a hundred times faster than over loopback. They are
written through the API, so that versions, encryption and notifications are S3's.
"""

from __future__ import annotations

import functools
import gzip
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core.responses import request_scope
from ministack.services import s3

from sluice_local.patches.iam import decisions
from sluice_local.sagemaker.api import credentials
from sluice_local.sagemaker.api.core import Scope

_SYNCHRONIZE_EVERY_S = 0.5


class DataError(Exception):
    """Data cannot be read or written; the message says why in AWS's words, for the job's FailureReason."""


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket with a key or a prefix."""

    bucket: str
    key: str

    @classmethod
    def of(cls, uri: str) -> S3Location:
        """Parse an `s3://` URI; raises DataError for anything else."""
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise DataError(f'"{uri}" is not an S3 URI')
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def within(self, relative: str) -> S3Location:
        """Return the location of a relative path below this prefix."""
        return S3Location(self.bucket, f"{self.key.rstrip('/')}/{relative}".lstrip("/"))


@dataclass(frozen=True, slots=True)
class DataObject:
    """An object of a data source, and the path it gets below the channel's folder."""

    location: S3Location
    path: str


@dataclass(frozen=True, slots=True)
class JobStorage:
    """S3 with the rights of a job's role."""

    scope: Scope
    role_arn: str
    endpoint_url: str
    kms_key_id: str = ""

    def read(self, location: S3Location) -> bytes:
        """Read an object; raises DataError if the role may not, or there is none."""
        self._require("s3:GetObject", f"{location.bucket}/{location.key}")
        with request_scope(self.scope.account, self.scope.region):
            data: bytes | None = s3._get_object_data(location.bucket, location.key)
        if data is None:
            raise DataError(f"Data download failed: NoSuchKey (404): {location} does not exist.")
        return data

    def keys(self, prefix: S3Location) -> list[str]:
        """Return the keys with a prefix, sorted, without folder markers; raises DataError."""
        self._require("s3:ListBucket", prefix.bucket, **{"s3:prefix": prefix.key})
        with request_scope(self.scope.account, self.scope.region):
            bucket = s3._buckets.get(prefix.bucket)
        if bucket is None:
            raise DataError(
                f"Data download failed: NoSuchBucket (404): The bucket {prefix.bucket} does not exist."
            )
        # Copy in one step: other threads change it.
        keys = list(bucket["objects"])
        return sorted(key for key in keys if key.startswith(prefix.key) and not key.endswith("/"))

    def write(self, location: S3Location, source: Path) -> None:
        """Upload a file; raises DataError if the role may not, or S3 refuses."""
        self._require("s3:PutObject", f"{location.bucket}/{location.key}")
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key_id} if self.kms_key_id else {}
        )
        client = _client(self.endpoint_url, self.scope)
        try:
            with source.open("rb") as body:
                client.put_object(Bucket=location.bucket, Key=location.key, Body=body, **encryption)
        except ClientError as error:
            detail = error.response["Error"]
            raise DataError(
                f"Data upload failed: {detail['Code']}: {detail['Message']} ({location})"
            ) from error

    def _require(self, action: str, resource: str, **conditions: str) -> None:
        with request_scope(self.scope.account, self.scope.region):
            denial = decisions.denial(
                self.role_arn, action, f"arn:aws:s3:::{resource}", conditions, "SageMaker"
            )
        if denial:
            raise DataError(f"AccessDenied (403): {denial}")


@functools.cache
def _client(endpoint_url: str, scope: Scope) -> Any:
    """Make an S3 client of the account's root user; the role's rights were checked before."""
    key, secret = credentials.root_keys(scope)
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=scope.region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(max_pool_connections=32),
    )


def data_objects(storage: JobStorage, source: Mapping[str, Any]) -> list[DataObject]:
    """Return the objects of an `S3DataSource`, sorted by key; raises DataError if it names none."""
    location = S3Location.of(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        return list(_of_manifest(json.loads(storage.read(location)), location))
    if objects := objects_below(storage, location):
        return objects
    raise DataError(
        f'Data download failed: No S3 objects found under S3 URL "{location}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({storage.scope.region}), that "
        f'objects exist under that S3 prefix, and that the role "{storage.role_arn}" has "s3:ListBucket" '
        f'permissions on bucket "{location.bucket}".'
    )


def objects_below(storage: JobStorage, prefix: S3Location) -> list[DataObject]:
    """Return the objects whose keys have a prefix, if any."""
    return [
        DataObject(S3Location(prefix.bucket, key), _path_below(prefix.key, key))
        for key in storage.keys(prefix)
    ]


def _of_manifest(manifest: Any, location: S3Location) -> Iterator[DataObject]:
    """Yield the objects of `[{"prefix": "s3://bucket/some/"}, "relative/path", ...]`."""
    match manifest:
        case [{"prefix": str(prefix)}, *paths] if paths and all(isinstance(path, str) for path in paths):
            for path in paths:
                yield DataObject(S3Location.of(prefix + path), path)
        case _:
            raise DataError(
                f"Data download failed: The manifest {location} is not a list of a prefix and relative paths."
            )


def _path_below(prefix: str, key: str) -> str:
    """Return an object's path below its prefix if that is a folder, else below the prefix's folder."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        return key.removeprefix(folder)
    return key.removeprefix(prefix[: prefix.rfind("/") + 1])


def shard(
    objects: Sequence[DataObject], source: Mapping[str, Any], host: int, hosts: int
) -> list[DataObject]:
    """Return the part of a data source's objects for one of `hosts` instances."""
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        return list(objects[host::hosts])
    return list(objects)


def download(storage: JobStorage, objects: Sequence[DataObject], folder: Path, gunzip: bool = False) -> None:
    """Write objects below a folder, decompressed if asked; raises DataError, also for a path outside."""
    for item in objects:
        path = PurePosixPath(item.path)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"Data download failed: {item.location} would leave its folder.")
        data = storage.read(item.location)
        if gunzip:
            path = path.with_suffix("") if path.suffix == ".gz" else path
            data = gzip.decompress(data)
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise DataError(
                f"Data download failed: {item.location} is a file where others need a folder."
            ) from error


def files_below(folder: Path) -> Iterator[Path]:
    """Yield a folder's regular files in a fixed order, without following or including symbolic links."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def upload(storage: JobStorage, folder: Path, target: S3Location) -> None:
    """Write every file of a folder below a prefix."""
    for path in files_below(folder):
        storage.write(target.within(path.relative_to(folder).as_posix()), path)


class Synchronizer:
    """Uploads a folder's new and changed files while a container writes them, and the rest at the end."""

    def __init__(self, storage: JobStorage, folder: Path, target: S3Location) -> None:
        self._storage = storage
        self._folder = folder
        self._target = target
        self._seen = {path: _version(path) for path in files_below(folder)}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"synchronize-{folder.name}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Upload what is left; raises DataError."""
        self._stopping.set()
        self._thread.join()
        self._upload_changes()

    def _run(self) -> None:
        while not self._stopping.wait(_SYNCHRONIZE_EVERY_S):
            try:
                self._upload_changes()
            except (DataError, OSError):  # removed meanwhile, or refused by S3: `finish` retries
                continue

    def _upload_changes(self) -> None:
        for path in files_below(self._folder):
            version = _version(path)
            if self._seen.get(path) != version:
                self._storage.write(self._target.within(path.relative_to(self._folder).as_posix()), path)
                self._seen[path] = version


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
