"""Jobs on Lambda as records in S3: ordered until claimed, described without the function, lost for good."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

import fakes
from sluice.adapters import lambda_jobs
from sluice.adapters.lambda_jobs import FunctionJobs, Place
from sluice.containers import orders
from sluice.containers.orders import Order
from sluice.domain.build.function_ends import FunctionEnd
from sluice.domain.roles import Account
from sluice.ports import RequestRefusedError, Room

ACCOUNT = Account(fakes.ROLES_ARN, "eu-central-1", fakes.DATA_BUCKET, fakes.ARTIFACT_BUCKET)
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:small"
NAME = "sluice--reviews-00001-prepare"
ROOM = Room("reviews", 1769, {"uri": "s3://sluice-artifacts/environments/abc.tar.zst", "digest": "abc"})
REQUEST = {
    "ProcessingJobName": NAME,
    "RoleArn": f"{fakes.ROLES_ARN}reviews-00001-9f2c1a0b",
    "ProcessingInputs": [],
    "ProcessingOutputConfig": {"Outputs": []},
}


class Aws:
    """The services that an order needs, and what they were asked for."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.sessions: list[dict[str, Any]] = []
        self.refusal: str | None = None
        self.groups: list[str] = []

    def __call__(self, service: str) -> Aws:
        return self

    def invoke(self, FunctionName: str, InvocationType: str, Payload: bytes) -> None:
        assert (FunctionName, InvocationType) == (FUNCTION, "Event")
        self.orders.append(json.loads(Payload))

    def assume_role(self, **given: Any) -> dict[str, Any]:
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal, "Message": ""}}, "AssumeRole")
        self.sessions.append(given)
        keys = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        return {"Credentials": {key: f"{key} of {given['RoleArn']}" for key in keys}}

    def create_log_group(self, logGroupName: str) -> None:
        self.groups.append(logGroupName)

    def put_retention_policy(self, logGroupName: str, retentionInDays: int) -> None:
        assert retentionInDays == 30


@pytest.fixture
def aws() -> Aws:
    return Aws()


@pytest.fixture
def objects() -> fakes.FakeObjects:
    return fakes.FakeObjects()


@pytest.fixture
def jobs(aws: Aws, objects: fakes.FakeObjects) -> FunctionJobs:
    functions = {1769: FUNCTION, 3008: "another"}
    return FunctionJobs(Place("sluice", ACCOUNT, functions, "arn:runner", 30), objects, aws)


def write(objects: fakes.FakeObjects, name: str, **content: Any) -> None:
    objects.write(f"s3://{fakes.ARTIFACT_BUCKET}/jobs/{NAME}/{name}.json", json.dumps(content).encode())


def status(jobs: FunctionJobs) -> str:
    return str((jobs.describe("processing_job", NAME) or {})["ProcessingJobStatus"])


def at_once() -> None:
    """Let a job be ordered as soon as its order is made."""


def opened(order: dict[str, Any], objects: fakes.FakeObjects) -> Any:
    return Order.of(order).credentials(objects.read(order["key_uri"]))


def test_an_order_has_two_credentials_of_two_roles(
    jobs: FunctionJobs, aws: Aws, objects: fakes.FakeObjects
) -> None:
    assert jobs.start("processing_job", REQUEST, ROOM, at_once) is True
    (order,) = aws.orders
    script, own = opened(order, objects)
    assert script["AccessKeyId"].endswith(REQUEST["RoleArn"])
    assert own["AccessKeyId"] == "AccessKeyId of arn:runner"
    assert order["environment"] == ROOM.environment
    assert (order["request"], order["stack"], order["pipeline"]) == (REQUEST, "sluice", "reviews")
    assert aws.groups == [order["log_group"]] == ["/sluice/sluice/jobs/reviews"]
    assert {session["DurationSeconds"] for session in aws.sessions} == {3600}


def test_what_an_order_needs_is_asked_for_at_once_and_all_of_it_is_there_before_the_order(
    jobs: FunctionJobs, aws: Aws, objects: fakes.FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The record, the key and two sessions: each waits until all four were asked for.
    together, done = threading.Barrier(4, timeout=30), list[str]()

    def beside(name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*given: Any, **how: Any) -> Any:
            together.wait()
            answer = ask(*given, **how)
            done.append(name)
            return answer

        return asked

    monkeypatch.setattr(objects, "write", beside("record or key", objects.write))
    monkeypatch.setattr(aws, "assume_role", beside("session", aws.assume_role))
    monkeypatch.setattr(aws, "invoke", lambda **_: done.append("order"))
    assert jobs.start("processing_job", REQUEST, ROOM, lambda: done.append("recorded")) is True
    assert sorted(done[:4]) == ["record or key", "record or key", "session", "session"]
    assert done[4:] == ["recorded", "order"]


def test_what_must_not_be_ordered_is_not(jobs: FunctionJobs, aws: Aws) -> None:
    def refuse() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        jobs.start("processing_job", REQUEST, ROOM, refuse)
    assert not aws.orders


def test_a_description_reads_its_records_at_once(
    jobs: FunctionJobs, objects: fakes.FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    write(objects, "result", status="Completed", secondary_status="", limit=None, changes={}, usage={})
    together, read = threading.Barrier(2, timeout=30), objects.read

    def beside(uri: str) -> bytes:
        together.wait()
        return read(uri)

    monkeypatch.setattr(objects, "read", beside)
    assert status(jobs) == "Completed"


def test_an_order_that_rests_in_a_queue_tells_no_credentials(
    jobs: FunctionJobs, aws: Aws, objects: fakes.FakeObjects
) -> None:
    for _ in range(2):
        jobs.start("processing_job", REQUEST, ROOM, at_once)
    first, second = aws.orders
    for order in (first, second):
        assert "SessionToken" not in json.dumps(order)
        assert "SessionToken" not in str(base64.b64decode(order["sealed_credentials"]))
        assert opened(order, objects)[0]["SessionToken"]
    # A key that sealed two texts would tell their difference.
    assert objects.read(first["key_uri"]) != objects.read(second["key_uri"])


def test_an_order_that_nobody_claimed_is_given_again_and_one_that_is_claimed_is_not(
    jobs: FunctionJobs, aws: Aws, objects: fakes.FakeObjects
) -> None:
    assert [jobs.start("processing_job", REQUEST, ROOM, at_once) for _ in range(2)] == [True, False]
    assert [order["secret"] for order in aws.orders] == [aws.orders[0]["secret"]] * 2
    write(objects, "claim", claimed_at=1.0, timeout_s=900)
    assert jobs.start("processing_job", REQUEST, ROOM, at_once) is False
    assert len(aws.orders) == 2


def test_a_role_that_is_not_there_yet_refuses_the_request(jobs: FunctionJobs, aws: Aws) -> None:
    aws.refusal = "AccessDenied"
    with pytest.raises(RequestRefusedError):
        jobs.start("processing_job", REQUEST, ROOM, at_once)


def test_a_request_beyond_a_payload_is_refused(jobs: FunctionJobs) -> None:
    large = {**REQUEST, "Environment": {"X": "x" * 300_000}}
    with pytest.raises(RequestRefusedError, match="sagemaker"):
        jobs.start("processing_job", large, ROOM, at_once)


def test_a_job_is_described_from_its_records(jobs: FunctionJobs, objects: fakes.FakeObjects) -> None:
    assert jobs.describe("processing_job", NAME) is None
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    assert status(jobs) == "InProgress"
    under_way = jobs.describe("processing_job", NAME) or {}
    assert under_way["Usage"] == {"memory_mb": 1769, "architecture": orders.architecture()}
    jobs.stop("processing_job", NAME)
    assert status(jobs) == "Stopping"
    assert jobs.describe("training_job", NAME) is None
    write(
        objects,
        "result",
        status="Completed",
        secondary_status="Completed",
        reason="",
        limit=None,
        changes={"ProcessingStartTime": 10.0, "ProcessingEndTime": 12.5},
        usage={"billed_s": 3.5, "memory_mb": 1769},
        log_tail=["done"],
        written={"s3://b/k": ["v1", "0123"]},
        left_behind="ended 1 process",
    )
    described = jobs.describe("processing_job", NAME) or {}
    assert described["ProcessingJobStatus"] == "Completed"
    assert (described["ProcessingEndTime"] - described["ProcessingStartTime"]).total_seconds() == 2.5
    assert (described["Usage"]["billed_s"], described["LogTail"]) == (3.5, ["done"])
    assert described["Written"] == {"s3://b/k": ["v1", "0123"]}
    assert described["LeftBehind"] == "ended 1 process"
    assert "FailureReason" not in described


def test_the_first_word_about_an_end_counts(jobs: FunctionJobs, aws: Aws) -> None:
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    secret = aws.orders[0]["secret"]
    assert jobs.record_end(NAME, "a guess", FunctionEnd("x")) is False
    assert jobs.record_end(NAME, secret, FunctionEnd("no memory", "memory")) is True
    assert jobs.record_end(NAME, secret, FunctionEnd("another")) is True
    described = jobs.describe("processing_job", NAME) or {}
    assert (described["FailureReason"], described["LimitReached"]) == (
        "no memory: its function has 1769 MB",
        "memory",
    )
    assert described["Usage"]["peak_memory_mb"] == 1769


def test_a_job_of_which_nobody_tells_is_lost_once_its_function_must_have_ended(
    jobs: FunctionJobs, objects: fakes.FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    monkeypatch.setattr(lambda_jobs, "_WAITS_S", -1000)
    described = jobs.describe("processing_job", NAME) or {}
    assert (described["ProcessingJobStatus"], described["LimitReached"]) == ("Failed", "concurrency")
    # Whatever runs it after all finds it claimed, and does nothing.
    assert objects.create(f"s3://{fakes.ARTIFACT_BUCKET}/jobs/{NAME}/claim.json", b"{}") is False
    assert jobs.describe("processing_job", NAME) == described
    held = json.loads(objects.read(f"s3://{fakes.ARTIFACT_BUCKET}/jobs/{NAME}/result.json"))
    assert held["limit"] == "concurrency"


def test_a_job_that_was_claimed_at_the_last_moment_is_not_given_up(
    jobs: FunctionJobs, objects: fakes.FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    monkeypatch.setattr(lambda_jobs, "_WAITS_S", -1000)
    create = objects.create

    def late(uri: str, data: bytes, content_type: str = "") -> bool:
        write(objects, "claim", claimed_at=2e9, timeout_s=900)
        return create(uri, data, content_type)

    monkeypatch.setattr(objects, "create", late)
    assert status(jobs) == "InProgress"
    assert objects.head(fakes.ARTIFACT_BUCKET, f"jobs/{NAME}/result.json") is None


def test_who_gave_a_job_up_and_ended_before_that_was_recorded_has_said_why(
    jobs: FunctionJobs, objects: fakes.FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    monkeypatch.setattr(lambda_jobs, "_WAITS_S", -1000)
    monkeypatch.setattr(FunctionJobs, "_record", lambda *_: None)
    assert status(jobs) == "InProgress"
    monkeypatch.undo()
    described = jobs.describe("processing_job", NAME) or {}
    assert (described["FailureReason"], described["LimitReached"]) == ("Lambda never ran it", "concurrency")


def test_an_end_of_a_job_that_nobody_claimed_claims_it(
    jobs: FunctionJobs, aws: Aws, objects: fakes.FakeObjects
) -> None:
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    assert jobs.record_end(NAME, aws.orders[0]["secret"], FunctionEnd("dropped", "concurrency")) is True
    assert objects.create(f"s3://{fakes.ARTIFACT_BUCKET}/jobs/{NAME}/claim.json", b"{}") is False


def test_an_order_that_was_dropped_says_nothing_of_a_job_that_another_one_just_claimed(
    jobs: FunctionJobs, aws: Aws, objects: fakes.FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    monkeypatch.setattr(objects, "create", lambda *_: False)
    assert jobs.record_end(NAME, aws.orders[0]["secret"], FunctionEnd("dropped", "concurrency")) is True
    assert status(jobs) == "InProgress"


def test_a_job_whose_function_ended_without_a_word_is_told_so(
    jobs: FunctionJobs, objects: fakes.FakeObjects
) -> None:
    jobs.start("processing_job", REQUEST, ROOM, at_once)
    write(objects, "claim", claimed_at=1.0, timeout_s=900)
    described = jobs.describe("processing_job", NAME) or {}
    assert described["FailureReason"] == "its function ended without a word"
    assert described["LimitReached"] is None
    # It cannot have run for longer than it may, however late that is noticed.
    ran = described["ProcessingEndTime"] - described["ProcessingStartTime"]
    assert ran.total_seconds() == described["Usage"]["billed_s"] == 900
