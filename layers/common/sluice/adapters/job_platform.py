"""What run_job does in AWS, with the credentials of one job and never with its own.

Clients are made once and live as long as the process; the credentials in them change with the job.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sluice.containers.data import DataError, S3Location

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=3,
    read_timeout=60,
    max_pool_connections=16,
)
_WORKERS = 8
_CHUNK_BYTES = 1 << 20
# S3 takes more only in parts.
_WHOLE_BYTES = 64 << 20
_PART_BYTES = 64 << 20
# What is digested is held in memory, so that it is what is sent.
_DIGESTED_BYTES = 8 << 20
_DIGESTED_MAX = 1000
# CloudWatch's limits of one request: events, and bytes with 26 for each event.
_BATCH_EVENTS = 10_000
_BATCH_BYTES = 1_000_000
_EVENT_BYTES = 26
_FLUSH_EVERY_S = 1.0
_ERRORS = (ClientError, BotoCoreError)
_NOBODY = ("none", "none", "none")


class Account:
    """A session whose credentials are replaced for each job."""

    def __init__(self) -> None:
        from sluice.adapters.sessions import new_session  # not before the first order

        self._session = new_session()
        self._session.set_credentials(*_NOBODY)
        self._clients: dict[str, Any] = {}

    def act_as(self, credentials: Mapping[str, str]) -> None:
        """Use these credentials from now on, in clients that exist too."""
        self._set(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])

    def forget(self) -> None:
        """Be nobody."""
        self._set(*_NOBODY)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.create_client(service, config=_CONFIG)
        return self._clients[service]

    def _set(self, key: str, secret: str, token: str) -> None:
        held: Any = self._session.get_credentials()
        held.access_key, held.secret_key, held.token = key, secret, token


class JobStorage:
    """S3 as one job may use it; every method raises DataError."""

    workers = _WORKERS

    def __init__(self, s3: Any, role_arn: str, region: str, kms_key_id: str = "") -> None:
        self._s3 = s3
        self.role_arn = role_arn
        self.region = region
        self._encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
        )
        self.written: dict[str, tuple[str, str]] = {}
        """By URI the version that was written and the sha256 of its bytes, of the first small objects."""

    def read(self, location: S3Location) -> bytes:
        try:
            return bytes(self.open(location).read())
        except BotoCoreError as error:
            raise _failure("download", error, location) from error

    def open(self, location: S3Location) -> IO[bytes]:
        """Return a stream of an object."""
        try:
            body: IO[bytes] = self._s3.get_object(Bucket=location.bucket, Key=location.key)["Body"]
        except _ERRORS as error:
            raise _failure("download", error, location) from error
        return body

    def fetch(self, location: S3Location, target: Path) -> None:
        with self.open(location) as body, target.open("wb") as file:
            try:
                while data := body.read(_CHUNK_BYTES):
                    file.write(data)
            except BotoCoreError as error:
                raise _failure("download", error, location) from error

    def keys(self, prefix: S3Location) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
        try:
            found = [each["Key"] for page in pages for each in page.get("Contents", [])]
        except _ERRORS as error:
            raise _failure("download", error, prefix) from error
        return sorted(key for key in found if not key.endswith("/"))

    def write(self, location: S3Location, source: Path) -> None:
        where = {"Bucket": location.bucket, "Key": location.key}
        try:
            size_bytes = source.stat().st_size
            if size_bytes > _WHOLE_BYTES:
                self._write_parts(where, source)
            elif size_bytes > _DIGESTED_BYTES:
                with source.open("rb") as body:
                    self._s3.put_object(**where, Body=body, **self._encryption)
            else:
                data = source.read_bytes()
                version = self._s3.put_object(**where, Body=data, **self._encryption).get("VersionId")
                if version is not None and len(self.written) < _DIGESTED_MAX:
                    self.written[str(location)] = version, hashlib.sha256(data).hexdigest()
        except _ERRORS as error:
            raise _failure("upload", error, location) from error

    def _write_parts(self, where: dict[str, str], source: Path) -> None:
        upload = {
            **where,
            "UploadId": self._s3.create_multipart_upload(**where, **self._encryption)["UploadId"],
        }
        parts: list[dict[str, Any]] = []
        with source.open("rb") as file:
            while data := file.read(_PART_BYTES):
                number = len(parts) + 1
                done = self._s3.upload_part(**upload, PartNumber=number, Body=data)
                parts.append({"PartNumber": number, "ETag": done["ETag"]})
        self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def _failure(what: str, error: Exception, location: S3Location) -> DataError:
    said = str(error)
    if isinstance(error, ClientError):
        detail = error.response["Error"]
        said = f"{detail['Code']}: {detail['Message']}"
    return DataError(f"Data {what} failed: {said} ({location})")


class JobRecords:
    """What is written about a job in its folder of the artifact bucket, each once."""

    def __init__(self, s3: Any, uri: str) -> None:
        self._s3 = s3
        self._place = S3Location.of(uri)

    def create(self, name: str, content: Mapping[str, Any]) -> bool:
        """Write a document, if there is none of its name yet; False if there is another.

        A write whose answer is lost is sent again, and then refused for what the first one wrote.
        """
        where = self._place.within(name)
        body = json.dumps(content).encode()
        try:
            self._s3.put_object(Bucket=where.bucket, Key=where.key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"):
                return self._is(where, body)
            raise
        return True

    def _is(self, where: S3Location, body: bytes) -> bool:
        """Tell whether a document is this one; of what cannot be read it is not."""
        with suppress(ClientError, BotoCoreError):
            held: bytes = self._s3.get_object(Bucket=where.bucket, Key=where.key)["Body"].read()
            return held == body
        return False

    def has(self, name: str) -> bool:
        """Tell whether there is a document; without news from S3 there is none."""
        where = self._place.within(name)
        with suppress(ClientError, BotoCoreError):
            self._s3.head_object(Bucket=where.bucket, Key=where.key)
            return True
        return False


class JobLog:
    """A log stream of a job, written while its lines come; a log that cannot be written fails no job."""

    def __init__(self, logs: Any, group: str, stream: str) -> None:
        self._logs = logs
        self._names = {"logGroupName": group, "logStreamName": stream}
        self._waiting: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._closed = self._is_hurried = False
        self.problem = ""
        """Why lines were lost, if they were."""
        self._thread = threading.Thread(target=self._run, name="job-log", daemon=True)
        self._thread.start()

    def write(self, lines: Sequence[str]) -> None:
        """Append lines with the current time; callable from any thread."""
        moment = int(time.time() * 1000)
        with self._changed:
            self._waiting += [{"timestamp": moment, "message": line or " "} for line in lines]

    def flush(self) -> None:
        """Write what there is from now on, beside whatever the caller does."""
        with self._changed:
            self._is_hurried = True
            self._changed.notify()

    def close(self) -> None:
        """Write what is left."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._logs.create_log_stream(**self._names)
        except (ClientError, BotoCoreError) as error:
            self.problem = str(error)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._is_hurried, _FLUSH_EVERY_S)
                is_last, self._is_hurried = self._closed, False
                events, self._waiting = self._waiting, []
            self._put(events)
            if is_last:
                return

    def _put(self, events: list[dict[str, Any]]) -> None:
        batch: list[dict[str, Any]] = []
        size = 0
        for event in events:
            added = len(event["message"].encode()) + _EVENT_BYTES
            if batch and (len(batch) == _BATCH_EVENTS or size + added > _BATCH_BYTES):
                self._send(batch)
                batch, size = [], 0
            batch.append(event)
            size += added
        if batch:
            self._send(batch)

    def _send(self, batch: list[dict[str, Any]]) -> None:
        try:
            self._logs.put_log_events(**self._names, logEvents=batch)
        except (ClientError, BotoCoreError) as error:
            self.problem = str(error)


def announce(events: Any, detail: Mapping[str, Any]) -> str:
    """Put the event that a job has ended on the bus, a hint; returns why it could not, if it could not."""
    entry = {"Source": "sluice", "DetailType": "Job State Change", "Detail": json.dumps(detail)}
    try:
        answer = events.put_events(Entries=[entry])
    except (ClientError, BotoCoreError) as error:
        return str(error)
    return str(answer["Entries"][0].get("ErrorMessage", "")) if answer["FailedEntryCount"] else ""
