"""The one place that reads the environment and builds the adapters, each at its first use.

A handler calls `wiring.catalog()`, never an adapter; imports stay inside the functions because boto and each
adapter cost a cold start only where they are used.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from sluice import ports
from sluice.domain import times
from sluice.domain.roles import Account
from sluice.domain.safeguards import Safeguards, parse_tags


def now() -> str:
    """The time, as the catalog spells it."""
    return times.to_iso(datetime.now(UTC))


def region() -> str:
    return os.environ["AWS_REGION"]


def stack_name() -> str:
    return os.environ["STACK_NAME"]


def data_bucket() -> str:
    return os.environ["DATA_BUCKET"]


def artifact_bucket() -> str:
    return os.environ["ARTIFACT_BUCKET"]


def account() -> Account:
    """Where the buckets of user code are, and the roles that the stack makes for it."""
    return Account(os.environ["ROLES_ARN"], region(), data_bucket(), artifact_bucket())


def alarms_topic_arn() -> str:
    return os.environ["ALARMS_TOPIC_ARN"]


def allows_automatic_approval() -> bool:
    """Whether a project may have its models registered as approved."""
    return os.environ["AUTOMATIC_APPROVAL"] == "true"


@cache
def safeguards() -> Safeguards:
    """What the account demands of whatever is made at run time."""
    return Safeguards(
        kms_key_arn=_optional("KMS_KEY_ARN"),
        subnets=_listed(_optional("SUBNET_IDS")),
        security_groups=_listed(_optional("SECURITY_GROUP_IDS")),
        isolates_jobs=os.environ["JOB_NETWORK_ISOLATION"] == "true",
        encrypts_job_traffic=os.environ["JOB_TRAFFIC_ENCRYPTION"] == "true",
        tags=parse_tags(_optional("RESOURCE_TAGS")),
        log_retention_days=int(os.environ["SAGEMAKER_LOG_RETENTION_DAYS"]),
    )


def _optional(name: str) -> str:
    """A parameter that may be empty: such a variable may not be there at all."""
    return os.environ.get(name, "")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each for each in text.split(",") if each)


@cache
def catalog() -> ports.Catalog:
    from sluice.adapters.catalog import DynamoDBCatalog

    return DynamoDBCatalog(os.environ["CATALOG_TABLE"])


@cache
def objects() -> ports.Objects:
    from sluice.adapters.objects import S3Objects

    return S3Objects()


@cache
def jobs() -> ports.Jobs:
    from sluice.adapters.jobs import SageMakerJobs

    return SageMakerJobs(safeguards=safeguards())


@cache
def roles() -> ports.Roles:
    from sluice.adapters.roles import IamRoles

    return IamRoles(os.environ["JOB_BOUNDARY_ARN"], safeguards=safeguards())


@cache
def registry() -> ports.Registry:
    from sluice.adapters.registry import SageMakerRegistry

    return SageMakerRegistry(safeguards=safeguards())


@cache
def endpoints() -> ports.Endpoints:
    from sluice.adapters.endpoints import SageMakerEndpoints

    return SageMakerEndpoints(safeguards=safeguards())


@cache
def alarms() -> ports.Alarms:
    from sluice.adapters.alarms import CloudWatchAlarms

    return CloudWatchAlarms(safeguards=safeguards())


@cache
def workflows() -> ports.Workflows:
    from sluice.adapters.workflows import StepFunctionsWorkflows

    return StepFunctionsWorkflows(
        {"build": os.environ["BUILD_MACHINE_ARN"], "release": os.environ["RELEASE_MACHINE_ARN"]}
    )


@cache
def bus() -> ports.Bus:
    from sluice.adapters.bus import EventBridgeBus

    return EventBridgeBus()


@cache
def build_requests() -> ports.BuildRequests:
    from sluice.adapters.build_requests import SqsBuildRequests

    return SqsBuildRequests(os.environ["BUILD_REQUESTS_URL"])
