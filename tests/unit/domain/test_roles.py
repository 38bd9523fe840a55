"""What user code may do: read what is its pipeline's, write below its own run's step folders, and no more."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest

from sluice.domain import roles
from sluice.domain.roles import Account, Role

ROLES = "arn:aws:iam::123456789012:role/sluice/my-stack/eu-central-1/"
STARTER = "arn:aws:iam::123456789012:role/start-job"
ACCOUNT = Account(ROLES, "eu-central-1", "data", "artifacts", starter_arn=STARTER)
RUN = roles.run_role(ACCOUNT, "reviews", "reviews-00007")
SERVING = roles.serving_role(ACCOUNT, "reviews")
CANDIDATE = roles.step_role(ACCOUNT, "reviews", "reviews-00007", "train-0", ["train/job-0"])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def may(role: Role, action: str, resource: str) -> bool:
    """Whether a statement without a condition allows it."""
    return any(
        action in listed(statement["Action"])
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        for statement in role.policy["Statement"]
        if "Condition" not in statement
    )


def prefixes(role: Role, bucket: str) -> list[str]:
    """What the role may list of a bucket."""
    return [
        prefix
        for statement in role.policy["Statement"]
        if statement["Action"] == "s3:ListBucket" and statement["Resource"] == f"arn:aws:s3:::{bucket}"
        for prefix in statement["Condition"]["StringLike"]["s3:prefix"]
    ]


@pytest.mark.parametrize(
    "key",
    [
        "runs/reviews/reviews-00007/prepare/train/data.csv",
        "runs/reviews/reviews-00007/train/reviews-00007-train-0/output/model.tar.gz",
        "runs/reviews/reviews-00007/evaluate/candidate/evaluation.json",
    ],
)
def test_a_job_writes_below_its_runs_step_folders(key: str) -> None:
    assert may(RUN, "s3:PutObject", f"arn:aws:s3:::artifacts/{key}")


@pytest.mark.parametrize(
    "key",
    [
        "runs/reviews/reviews-00007/manifest.json",
        "runs/reviews/reviews-00006/train/model.tar.gz",
        "runs/reviews/reviews-000071/train/model.tar.gz",
        "runs/other/other-00001/train/model.tar.gz",
        "evidence/reviews/reviews-00007/manifest.json",
        "models/reviews/abc/model.tar.gz",
        "projects/reviews/v/sourcedir.tar.gz",
        "datasets/reviews/v/manifest.json",
    ],
)
def test_a_job_writes_nothing_else(key: str) -> None:
    assert not may(RUN, "s3:PutObject", f"arn:aws:s3:::artifacts/{key}")
    assert not may(RUN, "s3:PutObject", "arn:aws:s3:::data/reviews/part.csv")


@pytest.mark.parametrize(
    "folder", ["prepare/train", "train/job-00", "train/job-1/output", "evaluate/candidate", "train"]
)
def test_a_step_on_sagemaker_writes_its_own_folder_and_no_other_steps(folder: str) -> None:
    runs = "arn:aws:s3:::artifacts/runs/reviews/reviews-00007"
    assert may(CANDIDATE, "s3:PutObject", f"{runs}/train/job-0/output/model.tar.gz")
    assert not may(CANDIDATE, "s3:PutObject", f"{runs}/{folder}/data.csv")
    assert may(CANDIDATE, "s3:GetObject", f"{runs}/{folder}/data.csv")


def test_a_job_reads_what_is_its_pipelines_and_nothing_of_others() -> None:
    for key in ("projects/reviews/v/code/a.py", "datasets/reviews/v/files.manifest", "models/reviews/a/b"):
        assert may(RUN, "s3:GetObject", f"arn:aws:s3:::artifacts/{key}")
        assert not may(RUN, "s3:GetObject", f"arn:aws:s3:::artifacts/{key.replace('reviews', 'reviews-2')}")
    assert may(RUN, "s3:GetObject", "arn:aws:s3:::data/reviews/part.csv")
    assert not may(RUN, "s3:GetObject", "arn:aws:s3:::data/reviews-2/part.csv")
    assert prefixes(RUN, "data") == ["reviews/*"]
    assert all("/reviews/" in prefix for prefix in prefixes(RUN, "artifacts"))


def test_an_endpoint_reads_its_pipelines_models_and_no_others() -> None:
    assert may(SERVING, "s3:GetObject", "arn:aws:s3:::artifacts/models/reviews/a/model.tar.gz")
    for other in ("models/other/a/model.tar.gz", "runs/reviews/r/train/m", "projects/reviews/v.tar.gz"):
        assert not may(SERVING, "s3:GetObject", f"arn:aws:s3:::artifacts/{other}")
    granted = {action for each in SERVING.policy["Statement"] for action in listed(each["Action"])}
    reading = {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject"}
    assert {action for action in granted if action.startswith("s3:")} == reading
    assert prefixes(SERVING, "artifacts") == ["models/reviews/*"]


def test_sagemaker_alone_takes_a_role_on_and_for_this_account() -> None:
    for role in (CANDIDATE, SERVING):
        (statement,) = role.trust["Statement"]
        assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_the_role_of_a_runs_jobs_on_lambda_is_only_narrowed_by_who_starts_them() -> None:
    (statement,) = RUN.trust["Statement"]
    assert statement["Principal"] == {"AWS": STARTER}


def test_a_roles_name_is_the_stacks_own_and_fits() -> None:
    """IAM knows one role of a name in an account, in whatever region and path: 64 characters."""
    other = Account(ROLES.replace("my-stack", "other"), "eu-central-1", "data", "artifacts")
    longest = "p" * 32
    names = {roles.run_role(account, longest, f"{longest}-00001").name for account in (ACCOUNT, other)} | {
        roles.serving_role(account, longest).name for account in (ACCOUNT, other)
    }
    steps = ("prepare", "train", "train-999-r9", "evaluate-candidate", "evaluate-champion-own")
    names |= {roles.step_role(ACCOUNT, longest, f"{longest}-00001", step).name for step in steps}
    assert len(names) == 9
    assert all(len(name) <= 64 for name in names)
    assert (RUN.arn, RUN.path) == (f"{ROLES}{RUN.name}", "/sluice/my-stack/eu-central-1/")


def test_a_policy_fits_a_role() -> None:
    """IAM takes 10,240 characters of inline policies."""
    role = roles.run_role(ACCOUNT, "p" * 32, f"{'p' * 32}-00001")
    assert len(str(role.policy)) < 8000


@pytest.mark.parametrize(("now", "settling"), [("10:00:30", True), ("10:02:00", False)])
def test_a_role_may_be_unknown_for_a_moment(now: str, settling: bool) -> None:
    at, refusal = "2026-11-24T10:00:00.000Z", "Could not assume role arn:aws:iam::1:role/r."
    assert roles.is_settling(at, f"2026-11-24T{now}.000Z", refusal) is settling


def test_a_request_of_a_wrong_form_is_not_the_roles_fault() -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html: ValidationError."""
    at = "2026-11-24T10:00:00.000Z"
    refusal = (
        "(ValidationException) ...: 1 validation error detected: Value 'ml.m5.larg' at 'instanceType' failed"
    )
    assert not roles.is_settling(at, at, refusal)


def test_an_endpoint_writes_what_is_captured_of_its_pipeline_and_nothing_else() -> None:
    assert may(SERVING, "s3:PutObject", "arn:aws:s3:::artifacts/capture/reviews/endpoint/AllTraffic/a.jsonl")
    for key in (
        "capture/reviews-2/endpoint/a.jsonl",
        "models/reviews/abc/model.tar.gz",
        "monitoring/reviews/a",
    ):
        assert not may(SERVING, "s3:PutObject", f"arn:aws:s3:::artifacts/{key}")
    assert not may(SERVING, "s3:PutObject", "arn:aws:s3:::data/reviews/part.csv")
