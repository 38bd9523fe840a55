"""Define the roles of user code: of jobs on SageMaker, of a run's jobs on Lambda, of a pipeline's endpoints.

SageMaker gives the code in a container all that its role allows. So a role allows to write only what is the
job's own, or a pipeline's captured requests. The boundary in the template caps what any role can allow.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sluice.domain.failures import TransientError
from sluice.domain.locations import BATCH
from sluice.domain.times import from_iso
from sluice.lazy import dataclass

Policy = dict[str, Any]
_VERSION = "2012-10-17"
_MALFORMED = r"\b\d+ validation errors? detected\b"
# IAM answers "not found" for some seconds after it made a role.
_SETTLES, _FRESH = timedelta(seconds=90), timedelta(seconds=10)


class RoleError(Exception):
    """The stack cannot get a role of its own."""


class RoleNotReadyError(RoleError, TransientError):
    """SageMaker cannot assume the role yet, as it is new."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where the stack's roles and buckets are; `roles_arn` is the prefix of the roles' ARNs."""

    roles_arn: str
    region: str
    data_bucket: str
    artifact_bucket: str
    # Who gives jobs on Lambda their credentials; known where roles of runs are made.
    starter_arn: str = ""

    @property
    def partition(self) -> str:
        return self.roles_arn.split(":")[1]

    @property
    def number(self) -> str:
        return self.roles_arn.split(":")[4]

    @property
    def path(self) -> str:
        """The IAM path by which policies name the stack's roles."""
        return self.roles_arn.split(":role", 1)[1]


@dataclass(frozen=True, slots=True)
class Role:
    """The role that is wanted; `tags` name its owner."""

    name: str
    arn: str
    path: str
    trust: Policy
    policy: Policy
    tags: Mapping[str, str]


class RolesForbiddenError(RoleError):
    """The account does not let the stack make or delete a role."""

    def __init__(self, role: Role, why: object) -> None:
        super().__init__(
            f"the account does not let the stack manage the role {role.arn}: {why}. Jobs and endpoints get "
            "roles of their own, so that they reach nothing of others: ask for iam:CreateRole, "
            "PutRolePolicy, PutRolePermissionsBoundary, TagRole, GetRole, DeleteRolePolicy and DeleteRole "
            f"on roles below {role.path}"
        )


def run_role(account: Account, pipeline: str, run_id: str) -> Role:
    """Let the starter of jobs give a run's jobs on Lambda their sessions, each of which allows less."""
    role = _of_jobs(account, pipeline, run_id, run_id, ("prepare", "train", "evaluate"))
    trusted = {"Effect": "Allow", "Principal": {"AWS": account.starter_arn}, "Action": "sts:AssumeRole"}
    return replace(role, trust={"Version": _VERSION, "Statement": [trusted]})


def step_role(account: Account, pipeline: str, run_id: str, step: str, folders: Sequence[str] = ()) -> Role:
    """Let a step's job on SageMaker write these folders of its run, and none that another step wrote."""
    return _of_jobs(account, pipeline, run_id, f"{run_id}-{step.removeprefix('evaluate-')}", folders)


def pipeline_role(account: Account, pipeline: str) -> Role:
    """Let the jobs of a pipeline of SageMaker write below `build/` of runs, and where the SDK's defaults lie.

    Its definition names the role, so all executions share it. What the SDK uploaded as code stays as it is.
    """
    own = [f"{kind}/{pipeline}/" for kind in ("projects", "datasets", "runs", "pipelines")]
    bucket = account.artifact_bucket
    statements = [
        *_reading(account, account.data_bucket, [f"{pipeline}/"]),
        *_reading(account, bucket, own),
        {
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": [
                _object(account, bucket, f"runs/{pipeline}/*/build/*"),
                _object(account, bucket, f"pipelines/{pipeline}/*"),
            ],
        },
        {
            "Effect": "Deny",
            "Action": "s3:PutObject",
            "Resource": [
                _object(account, bucket, f"pipelines/{pipeline}/*/{each}/*") for each in ("code", "source")
            ],
        },
        *_container(account),
    ]
    return _role(account, f"{pipeline}-pipeline", statements, {"sluice:pipeline": pipeline})


def _of_jobs(account: Account, pipeline: str, run_id: str, name: str, folders: Sequence[str]) -> Role:
    """Let jobs read their pipeline's data, code and models, and write folders of their run."""
    mine = [f"projects/{pipeline}/", f"datasets/{pipeline}/", f"models/{pipeline}/", f"runs/{pipeline}/"]
    run = f"runs/{pipeline}/{run_id}"
    statements = [
        *_reading(account, account.data_bucket, [f"{pipeline}/"]),
        *_reading(account, account.artifact_bucket, mine),
        {
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": [_object(account, account.artifact_bucket, f"{run}/{each}/*") for each in folders],
        },
        *_container(account),
    ]
    return _role(account, name, statements, {"sluice:pipeline": pipeline, "sluice:run": run_id})


def serving_role(account: Account, pipeline: str, *, is_batch: bool = False) -> Role:
    """Let a pipeline's endpoints read what serves, capture requests, and see alarms that guard updates.

    Its transform jobs, if it has them in place of endpoints, read what is to be scored and write results.
    """
    alarms = f"arn:{account.partition}:cloudwatch:{account.region}:{account.number}:alarm:*"
    statements = [
        *_reading(account, account.artifact_bucket, [f"models/{pipeline}/"]),
        {
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": _object(account, account.artifact_bucket, f"capture/{pipeline}/*"),
        },
        {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": alarms},
        *(_transforming(account, pipeline) if is_batch else []),
        *_container(account),
    ]
    return _role(account, f"{pipeline}-serving", statements, {"sluice:pipeline": pipeline})


def _transforming(account: Account, pipeline: str) -> list[Policy]:
    results = _object(account, account.artifact_bucket, f"transforms/{pipeline}/*/output/*")
    return [
        *_reading(account, account.data_bucket, [f"{BATCH}/{pipeline}/"]),
        *_reading(account, account.artifact_bucket, [f"transforms/{pipeline}/"]),
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": results},
    ]


def is_settling(made_at: str, now: str, refusal: str) -> bool:
    """Tell whether a request may have been refused as its role is so new that SageMaker does not know it yet.

    What SageMaker says of the form of a field ("1 validation error detected: ...") it says again.
    """
    is_new = from_iso(now) - from_iso(made_at) < _SETTLES
    return is_new and not re.search(_MALFORMED, refusal)


def is_fresh(made_at: str, now: str) -> bool:
    """Tell whether a role is so new that what SageMaker starts with it by itself would likely be refused."""
    return from_iso(now) - from_iso(made_at) < _FRESH


def _role(account: Account, name: str, statements: list[Policy], tags: Mapping[str, str]) -> Role:
    # A role's name is unique in its account, whatever its path, and another stack may have the same pipeline.
    name = f"{name}-{hashlib.sha256(account.path.encode()).hexdigest()[:8]}"
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account.number}},
    }
    return Role(
        name=name,
        arn=f"{account.roles_arn}{name}",
        path=account.path,
        trust={"Version": _VERSION, "Statement": [trust]},
        policy={"Version": _VERSION, "Statement": statements},
        tags=tags,
    )


def _object(account: Account, bucket: str, key: str) -> str:
    return f"arn:{account.partition}:s3:::{bucket}/{key}"


def _reading(account: Account, bucket: str, prefixes: Sequence[str]) -> list[Policy]:
    return [
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:{account.partition}:s3:::{bucket}",
            "Condition": {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": [_object(account, bucket, f"{prefix}*") for prefix in prefixes],
        },
    ]


def _container(account: Account) -> list[Policy]:
    """Allow what SageMaker does for any container: pull its image, write logs and metrics."""
    logs = f"arn:{account.partition}:logs:{account.region}:{account.number}:log-group:/aws/sagemaker/*"
    return [
        {
            "Effect": "Allow",
            "Action": [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            "Resource": logs,
        },
        {
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
        },
        {
            "Effect": "Allow",
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": f"arn:{account.partition}:ecr:{account.region}:*:repository/*",
        },
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
    ]
