"""Give use cases the parts of an AWS account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from sluice import ports
from sluice.domain import times
from sluice.domain.roles import Account
from sluice.domain.safeguards import Safeguards, parse_tags

if TYPE_CHECKING:
    from sluice.catalog.records.notices import Channel


class AwsCloud:
    """One stack in its account. Settings have the names of the environment variables in the template.

    Makes each part and reads each setting at first use, so that a cold start pays only for what is used.
    `client` makes the client of a service.

    Threads share a cloud, and `cached_property` takes no lock from Python 3.12 on, so two threads may make a
    part each. Either of the two does: parts hold nothing but their client and caches.
    """

    def __init__(self, settings: Mapping[str, str], client: Callable[[str], Any] | None = None) -> None:
        self._settings = settings
        self._given = client
        self._clients: dict[str, Any] = {}
        self._making = Lock()

    def now(self) -> str:
        return times.to_iso(datetime.now(UTC))

    # ----------------------------------------------------------------------------------------- settings

    @property
    def stack_name(self) -> str:
        return self._settings["STACK_NAME"]

    @property
    def region(self) -> str:
        return self._settings["AWS_REGION"]

    @property
    def data_bucket(self) -> str:
        return self._settings["DATA_BUCKET"]

    @property
    def artifact_bucket(self) -> str:
        return self._settings["ARTIFACT_BUCKET"]

    @property
    def account(self) -> Account:
        return Account(
            self._settings["ROLES_ARN"],
            self.region,
            self.data_bucket,
            self.artifact_bucket,
            starter_arn=self._optional("JOB_STARTER_ARN"),
        )

    @property
    def allows_automatic_approval(self) -> bool:
        return self._settings["AUTOMATIC_APPROVAL"] == "true"

    @cached_property
    def safeguards(self) -> Safeguards:
        return Safeguards(
            kms_key_arn=self._optional("KMS_KEY_ARN"),
            subnets=_listed(self._optional("SUBNET_IDS")),
            security_groups=_listed(self._optional("SECURITY_GROUP_IDS")),
            isolates_jobs=self._settings["JOB_NETWORK_ISOLATION"] == "true",
            encrypts_job_traffic=self._settings["JOB_TRAFFIC_ENCRYPTION"] == "true",
            tags=parse_tags(self._optional("RESOURCE_TAGS")),
            log_retention_days=int(self._settings["SAGEMAKER_LOG_RETENTION_DAYS"]),
        )

    def _optional(self, name: str) -> str:
        """Return a parameter that may be empty: then the variable may not exist."""
        return self._settings.get(name, "")

    # -------------------------------------------------------------------------------------------- ports

    def _client(self, service: str) -> Any:
        """Return the service's one client, which keeps its connections while the function is warm."""
        # What is asked side by side may be the first to ask, and a session makes one client at a time.
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._made(service)
            return self._clients[service]

    def _made(self, service: str) -> Any:
        if self._given is not None:
            return self._given(service)
        from sluice.adapters.clients import client

        return client(service)

    @cached_property
    def catalog(self) -> ports.Catalog:
        from sluice.adapters.catalog import DynamoDBCatalog

        return DynamoDBCatalog(self._settings["CATALOG_TABLE"], self._client("dynamodb"))

    @cached_property
    def objects(self) -> ports.Objects:
        from sluice.adapters.objects import S3Objects

        return S3Objects(self._client("s3"))

    @cached_property
    def jobs(self) -> ports.Jobs:
        from sluice.adapters.jobs import SageMakerJobs

        return SageMakerJobs(self._client("sagemaker"), safeguards=self.safeguards)

    @cached_property
    def job_logs(self) -> ports.JobLogs:
        from sluice.adapters.logs import CloudWatchJobLogs

        return CloudWatchJobLogs(self._client("logs"))

    @cached_property
    def log_streams(self) -> ports.LogStreams:
        from sluice.adapters.logs import CloudWatchLogStreams

        return CloudWatchLogStreams(self._client("logs"))

    @cached_property
    def lambda_jobs(self) -> ports.LambdaJobs:
        from sluice.adapters.lambda_jobs import FunctionJobs, Place

        sizes = (each.split("=") for each in _listed(self._optional("RUN_JOB_FUNCTIONS")))
        place = Place(
            stack=self.stack_name,
            account=self.account,
            functions={int(size): arn for size, arn in sizes},
            runner_role_arn=self._optional("JOB_RUNNER_ROLE_ARN"),
            log_retention_days=int(self._optional("JOB_LOG_RETENTION_DAYS") or 30),
            kms_key_arn=self.safeguards.kms_key_arn,
        )
        return FunctionJobs(place, self.objects, self._client)

    @cached_property
    def pipelines(self) -> ports.Pipelines:
        from sluice.adapters.pipelines import SageMakerPipelines

        return SageMakerPipelines(self._optional("PIPELINE_ROLE_ARN"), self._client("sagemaker"))

    @cached_property
    def packages(self) -> ports.Packages:
        from sluice.adapters.packages import UvPackages

        return UvPackages(self._settings)

    @cached_property
    def roles(self) -> ports.Roles:
        from sluice.adapters.roles import IamRoles

        return IamRoles(self._settings["JOB_BOUNDARY_ARN"], self._client("iam"), safeguards=self.safeguards)

    @cached_property
    def registry(self) -> ports.Registry:
        from sluice.adapters.registry import SageMakerRegistry

        return SageMakerRegistry(self._client("sagemaker"), safeguards=self.safeguards)

    @cached_property
    def endpoints(self) -> ports.Endpoints:
        from sluice.adapters.endpoints import SageMakerEndpoints

        return SageMakerEndpoints(self._client("sagemaker"), safeguards=self.safeguards)

    @cached_property
    def scaling(self) -> ports.Scaling:
        from sluice.adapters.scaling import ApplicationAutoScaling

        return ApplicationAutoScaling(self._client("application-autoscaling"))

    @cached_property
    def signatures(self) -> ports.Signatures:
        from sluice.adapters.signatures import EllipticKeys

        return EllipticKeys(_listed(self._optional("SIGNING_PUBLIC_KEYS")))

    @cached_property
    def alarms(self) -> ports.Alarms:
        from sluice.adapters.alarms import CloudWatchAlarms

        return CloudWatchAlarms(self._client("cloudwatch"), safeguards=self.safeguards)

    @cached_property
    def workflows(self) -> ports.Workflows:
        from sluice.adapters.workflows import StepFunctionsWorkflows

        machines = {
            "build": self._settings["BUILD_MACHINE_ARN"],
            "release": self._settings["RELEASE_MACHINE_ARN"],
        }
        return StepFunctionsWorkflows(machines, self._client("stepfunctions"))

    @cached_property
    def bus(self) -> ports.Bus:
        from sluice.adapters.bus import EventBridgeBus

        return EventBridgeBus(self._client("events"))

    @cached_property
    def metrics(self) -> ports.Metrics:
        from sluice.adapters.metrics import EmbeddedMetrics

        return EmbeddedMetrics()

    @cached_property
    def notices(self) -> ports.Notices:
        from sluice.adapters.notices import SnsNotices

        return SnsNotices(
            self.stack_name,
            self._settings["NOTICES_TOPIC_ARN"],
            self._settings["WEBHOOK_QUEUE_URL"],
            self._webhook_secrets.keys(),
            self._client("sns"),
            self._client("sqs"),
        )

    @cached_property
    def webhooks(self) -> ports.Webhooks:
        from sluice.adapters.webhooks import SecretWebhooks

        hosts = _listed(self._optional("WEBHOOK_HOSTS"))
        return SecretWebhooks(self._webhook_secrets, hosts, self._client("secretsmanager"))

    @property
    def _webhook_secrets(self) -> Mapping[Channel, str]:
        """The ARNs of the secrets of those webhooks that are configured."""
        slack, teams = self._optional("SLACK_SECRET_ARN"), self._optional("TEAMS_SECRET_ARN")
        given: dict[Channel, str] = {"slack": slack, "teams": teams}
        return {channel: arn for channel, arn in given.items() if arn}

    @cached_property
    def build_requests(self) -> ports.BuildRequests:
        from sluice.adapters.build_requests import SqsBuildRequests

        return SqsBuildRequests(self._settings["BUILD_REQUESTS_URL"], self._client("sqs"))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each for each in text.split(",") if each)
