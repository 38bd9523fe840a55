"""Models of the events that functions receive, with only the fields they rely on.

Functions describe resources to learn the rest, so a hint that `reconcile` sends needs only these fields.
"""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from sluice.catalog.records.builds import RunEnd
from sluice.domain.release.approvals import Told
from sluice.domain.release.releases import Request, StagePlan
from sluice.domain.times import from_event


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _Bucket(_Event):
    name: str


class _Object(_Event):
    key: str
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str | None = None


class _ObjectDetail(_Event):
    bucket: _Bucket
    object: _Object


class ObjectCreated(_Event):
    """S3 "Object Created"."""

    detail: _ObjectDetail

    @property
    def bucket(self) -> str:
        return self.detail.bucket.name

    @property
    def key(self) -> str:
        return self.detail.object.key

    @property
    def version_id(self) -> str | None:
        return self.detail.object.version_id

    @property
    def sequencer(self) -> str | None:
        """The order of uploads of one key; a hint from `reconcile` has none."""
        return self.detail.object.sequencer


class ObjectDeleted(ObjectCreated):
    """S3 "Object Deleted"; its version is the deleted one or the new delete marker."""


class _DataReleaseDetail(_ObjectDetail):
    request_id: str
    actor: str = "unknown"
    reason: str = ""


class DataReleaseRequested(_Event):
    """The event of `sluice data release`; `actor` is what the sender claims."""

    time: str
    detail: _DataReleaseDetail

    @property
    def bucket(self) -> str:
        return self.detail.bucket.name

    @property
    def key(self) -> str:
        return self.detail.object.key

    @property
    def version_id(self) -> str:
        return self.detail.object.version_id or "null"

    @property
    def request_id(self) -> str:
        return self.detail.request_id

    @property
    def actor(self) -> str:
        return self.detail.actor

    @property
    def reason(self) -> str:
        return self.detail.reason


class _StageRetiredDetail(_Event):
    pipeline: str
    stage: str
    actor: str = "unknown"
    reason: str = ""


class StageRetired(_Event):
    """The event of `sluice retire` after it deleted an endpoint; `actor` is what the sender claims."""

    time: str
    detail: _StageRetiredDetail

    @property
    def pipeline(self) -> str:
        return self.detail.pipeline

    @property
    def stage(self) -> str:
        return self.detail.stage

    @property
    def actor(self) -> str:
        return self.detail.actor

    @property
    def reason(self) -> str:
        return self.detail.reason


class _JobDetail(_Event):
    job_name: str = Field(validation_alias=AliasChoices("TrainingJobName", "ProcessingJobName"))


class JobStateChanged(_Event):
    """SageMaker "Training Job State Change" or "Processing Job State Change"."""

    detail: _JobDetail

    @property
    def job_name(self) -> str:
        return self.detail.job_name


class _EndpointDetail(_Event):
    endpoint_name: str = Field(alias="EndpointName")


class EndpointStateChanged(_Event):
    """SageMaker "Endpoint State Change"."""

    detail: _EndpointDetail

    @property
    def endpoint_name(self) -> str:
        return self.detail.endpoint_name


class _ModelPackageDetail(_Event):
    arn: str = Field(alias="ModelPackageArn")
    # Missing in older events and in our own hints.
    updated_fields: tuple[str, ...] | None = Field(default=None, alias="UpdatedModelPackageFields")
    status: str | None = Field(default=None, alias="ModelApprovalStatus")
    modified_at: str | float | None = Field(default=None, alias="LastModifiedTime")


class ModelPackageStateChanged(_Event):
    """SageMaker "Model Package State Change"."""

    detail: _ModelPackageDetail

    @property
    def model_package_arn(self) -> str:
        return self.detail.arn

    @property
    def told(self) -> Told:
        detail = self.detail
        return Told(detail.status, detail.updated_fields, from_event(detail.modified_at))


class _AlarmDetail(_Event):
    alarm_name: str = Field(alias="alarmName")


class AlarmStateChanged(_Event):
    """CloudWatch "Alarm State Change"."""

    detail: _AlarmDetail

    @property
    def alarm_name(self) -> str:
        return self.detail.alarm_name


class AlarmConfigurationChanged(AlarmStateChanged):
    """CloudWatch "Alarm Configuration Change"."""


class _ExecutionDetail(_Event):
    execution_arn: str = Field(alias="executionArn")
    name: str
    state_machine_arn: str = Field(alias="stateMachineArn")
    # JSON; AWS omits it if it is too large.
    input: str | None = None


class ExecutionStatusChanged(_Event):
    """Step Functions "Execution Status Change"."""

    detail: _ExecutionDetail

    @property
    def execution_arn(self) -> str:
        return self.detail.execution_arn

    @property
    def name(self) -> str:
        return self.detail.name

    @property
    def input(self) -> str | None:
        return self.detail.input


class BuildRequest(_Event):
    """The body of a message in the BuildRequests queue; `at` is when an awaited request is due."""

    pipeline: str
    at: str | None = None


class _Message(_Event):
    message_id: str = Field(alias="messageId")
    body: str


class BuildRequestBatch(_Event):
    """A batch of messages from SQS to `start_build`."""

    records: list[_Message] = Field(alias="Records")


class BuildTask(_Event):
    """The input that all Lambda tasks of `build_model` have in common."""

    pipeline: str
    run_id: str
    project_version: str


class ValidateDataTask(BuildTask):
    dataset_version: str


class StartJobTask(BuildTask):
    """One job to start; `finish_job` answers `task_token`."""

    task_token: str
    step: str
    dataset_version: str
    model_uri: str | None = None
    # The project version and the image that evaluate; only for the champion, else the run's own.
    script_version: str | None = None
    image: str | None = None


class SelectCandidateTask(BuildTask):
    dataset_version: str


class CheckGatesTask(BuildTask):
    champion: dict[str, Any] | None = None


class _Candidate(_Event):
    """The part of the chosen job result that the state machine passes on; the catalog has the rest."""

    step: str
    model_uri: str
    # None in a run that was in progress while the stack was updated.
    model_version_id: str | None = None


class RegisterModelTask(BuildTask):
    dataset_version: str
    candidate: _Candidate
    champion: dict[str, Any] | None = None


class PlanReleaseTask(_Event):
    execution_arn: str
    release: Request


class ReleaseStageTask(_Event):
    """The input that all tasks of a release's stage have in common."""

    pipeline: str
    release_id: str
    package_arn: str
    is_rollback: bool
    stage: StagePlan


class DeployModelTask(ReleaseStageTask):
    """A deployment; `finish_deployment` answers `task_token`, `restore` goes back to what served before."""

    task_token: str
    restore: bool = False


class TaskFailure(_Event):
    """The error that a Catch passes on."""

    error: str = Field(alias="Error")
    cause: str = Field(default="", alias="Cause")


class FinishRunTask(_Event):
    """How a run ended; `error` has the reason of a failed one."""

    pipeline: str
    run_id: str
    status: RunEnd
    reasons: list[str] = []
    error: TaskFailure | None = None


class FinishReleaseTask(_Event):
    release: Request
    execution_arn: str
    failure: TaskFailure | None = None
