"""What run_job asks of S3: each failure is the job's own, and its claim is known again."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from sluice.adapters import clients, job_platform
from sluice.adapters.job_platform import Account, JobLog, JobRecords, JobStorage
from sluice.containers.data import DataError, S3Location

WHERE = S3Location("artifacts", "runs/x")


class Broken:
    """S3 that cannot be reached, or is lost while it answers."""

    def __init__(self, answers: bool = False) -> None:
        self.answers = answers

    def get_object(self, **_: str) -> dict[str, Any]:
        if self.answers:
            return {"Body": self}
        raise EndpointConnectionError(endpoint_url="https://s3")

    def read(self, *_: int) -> bytes:
        raise ReadTimeoutError(endpoint_url="https://s3")

    def close(self) -> None:
        pass

    def __enter__(self) -> Broken:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def put_object(self, **_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://s3")


@pytest.mark.parametrize("answers", [False, True])
def test_a_lost_connection_is_a_failure_of_the_job_s_data(tmp_path: Path, answers: bool) -> None:
    storage = JobStorage(Broken(answers), "role", "eu-central-1")
    with pytest.raises(DataError, match="Data download failed"):
        storage.read(WHERE)
    with pytest.raises(DataError, match="Data download failed"):
        storage.fetch(WHERE, tmp_path / "x")
    (tmp_path / "y").touch()
    with pytest.raises(DataError, match="Data upload failed"):
        storage.write(WHERE, tmp_path / "y")


class Versioned:
    """S3 that takes whatever it gets, in a bucket with versions or without."""

    def __init__(self, version: str | None) -> None:
        self.version = version
        self.bodies: list[bytes] = []

    def put_object(self, Body: bytes | io.BufferedReader, **_: str) -> dict[str, str]:
        self.bodies.append(Body if isinstance(Body, bytes) else Body.read())
        return {"VersionId": self.version} if self.version else {}


@pytest.mark.parametrize(
    ("version", "size", "known"), [("v1", 8 << 20, True), ("v1", (8 << 20) + 1, False), (None, 1, False)]
)
def test_of_a_small_object_its_version_and_its_digest_are_known(
    tmp_path: Path, version: str | None, size: int, known: bool
) -> None:
    s3, content = Versioned(version), b"x" * size
    (tmp_path / "x").write_bytes(content)
    storage = JobStorage(s3, "role", "eu-central-1")
    storage.write(WHERE, tmp_path / "x")
    assert s3.bodies == [content]
    assert storage.written == ({str(WHERE): ("v1", sha256(content).hexdigest())} if known else {})


def test_of_very_many_objects_only_the_first_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_platform, "_DIGESTED_MAX", 2)
    (tmp_path / "x").touch()
    storage = JobStorage(Versioned("v1"), "role", "eu-central-1")
    for name in "abc":
        storage.write(WHERE.within(name), tmp_path / "x")
    assert [*storage.written] == [f"{WHERE}/a", f"{WHERE}/b"]


class Logs:
    """CloudWatch Logs, which says when it got lines."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.has_lines = threading.Event()

    def create_log_stream(self, **_: str) -> None:
        pass

    def put_log_events(self, logEvents: list[dict[str, Any]], **_: str) -> None:
        self.batches.append([event["message"] for event in logEvents])
        self.has_lines.set()


def test_lines_are_written_when_the_script_has_ended_and_none_is_left_to_write_at_the_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_platform, "_FLUSH_EVERY_S", 3600)
    logs = Logs()
    log = JobLog(logs, "group", "stream")
    log.write(["one", "two"])
    log.flush()
    assert logs.has_lines.wait(30)
    log.close()
    assert logs.batches == [["one", "two"]]
    assert log.problem == ""


def test_lines_after_the_last_flush_are_written_at_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_platform, "_FLUSH_EVERY_S", 3600)
    logs = Logs()
    log = JobLog(logs, "group", "stream")
    log.flush()
    log.write(["one"])
    log.close()
    assert [line for batch in logs.batches for line in batch] == ["one"]


@pytest.mark.parametrize(("size_bytes", "asks"), [(0, False), (16 << 10, False), (17 << 10, True)])
def test_only_a_large_body_is_asked_for_before_it_is_sent(
    monkeypatch: pytest.MonkeyPatch, size_bytes: int, asks: bool
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    account = Account()
    account.act_as({"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"})
    for s3 in (account.client("s3"), clients.client("s3")):
        asked = list[bool]()

        def answer(request: Any, asked: list[bool] = asked, **_: Any) -> AWSResponse:
            asked.append("Expect" in request.headers)
            return AWSResponse(request.url, 200, HTTPHeaders(), Nothing())

        s3.meta.events.register_first("before-send", answer)
        s3.put_object(Bucket="artifacts", Key="x", Body=b"x" * size_bytes)
        assert asked == [asks]


class Nothing(io.BytesIO):
    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        return iter(())


class Records:
    """S3 whose answer to the first write is lost, so that the write is sent again."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put_object(self, Key: str, Body: bytes, **_: str) -> None:
        if Key in self.held:
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": ""}}, "PutObject")
        self.held[Key] = Body
        self.put_object(Key, Body)

    def get_object(self, Key: str, **_: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.held[Key])}


def test_a_claim_whose_answer_was_lost_is_still_one_s_own() -> None:
    records = JobRecords(Records(), "s3://artifacts/jobs/job")
    assert records.create("claim.json", {"by": "me"}) is True
    assert records.create("claim.json", {"by": "another"}) is False
