"""Models of the events that functions receive, with only the fields they rely on.

Functions describe resources to learn the rest, so a hint that `reconcile` sends needs only these fields.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sluice.catalog.records.builds import RunEnd

_Model = TypeVar("_Model", bound=BaseModel)
_Context = TypeVar("_Context")
_Answer = TypeVar("_Answer")


def event_parser(
    *, model: type[_Model]
) -> Callable[[Callable[[_Model, _Context], _Answer]], Callable[[Any, _Context], _Answer]]:
    """Parse each event as a model; what is none raises pydantic's ValidationError.

    Powertools' decorator of this name does so too, but loads pydantic's types of networks and the standard
    library's e-mail with it: an eighth of what a function imports before its first event.
    """

    def decorate(handler: Callable[[_Model, _Context], _Answer]) -> Callable[[Any, _Context], _Answer]:
        @wraps(handler)
        def parsing(event: Any, context: _Context) -> _Answer:
            return handler(model.model_validate(event), context)

        return parsing

    return decorate


class Event(BaseModel):
    # Build validators at first use: a function receives one or two of these events.
    # An event that cannot be read is named in a log, which shows no event, nor a token in it.
    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, defer_build=True, hide_input_in_errors=True
    )


class _Bucket(Event):
    name: str


class _Object(Event):
    key: str
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str | None = None


def _in_detail(*path: str, **more: Any) -> Any:
    """Declare a field by where it is in an event's detail."""
    return Field(validation_alias=AliasPath("detail", *path), **more)


class ObjectCreated(Event):
    """S3 "Object Created"."""

    bucket: str = _in_detail("bucket", "name")
    key: str = _in_detail("object", "key")
    version_id: str | None = _in_detail("object", "version-id", default=None)
    # The order of uploads of one key; a hint from `reconcile` has none.
    sequencer: str | None = _in_detail("object", "sequencer", default=None)


class ObjectDeleted(ObjectCreated):
    """S3 "Object Deleted"; its version is the deleted one or the new delete marker."""

    time: str
    # "DeleteObject" or "Lifecycle Expiration"; a hint from `reconcile` has none.
    reason: str = _in_detail("reason", default="")


class _Act(Event):
    """What a person did; `actor` is what the sender claims."""

    time: str
    actor: str = _in_detail("actor", default="unknown")
    reason: str = _in_detail("reason", default="")


class DataReleaseRequested(_Act):
    """The event of `sluice data release`."""

    bucket: str = _in_detail("bucket", "name")
    key: str = _in_detail("object", "key")
    version_id: Annotated[str, BeforeValidator(lambda given: given or "null")] = _in_detail(
        "object", "version-id", default="null"
    )
    request_id: str = _in_detail("request_id")


class _StageAct(_Act):
    """What a person did about a stage."""

    pipeline: str = _in_detail("pipeline")
    stage: str = _in_detail("stage")


class StageRetired(_StageAct):
    """The event of `sluice retire` after it deleted an endpoint."""


class StagePinned(_StageAct):
    """The event of `sluice pin`: a stage keeps what is live, or lets go of it."""

    # The live release that the person saw.
    live: str = _in_detail("live")
    is_on: bool = _in_detail("is_on")


class Wish(Event):
    """What `sluice scale` asks for: nothing but who and which request to end a former wish."""

    request_id: str
    actor: str = "unknown"
    count: Annotated[int, Field(ge=1, le=100)] | None = None
    min: Annotated[int, Field(ge=1, le=100)] | None = None
    max: Annotated[int, Field(ge=1, le=100)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=200)] | None = None


class _ScalingDueDetail(Event):
    pipeline: str
    stage: str
    wish: Wish | None = None


class ScalingDue(Event):
    """A stage is to be scaled as it should be; the event of `sluice scale` has a wish."""

    time: str
    detail: _ScalingDueDetail


class _DataRecallDetail(Event):
    pipeline: str
    key: str
    contents: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    request_id: str
    actor: str = "unknown"
    reason: str = ""


class DataRecallRequested(Event):
    """The event of `sluice recall`; `actor` is what the sender claims."""

    time: str
    detail: _DataRecallDetail


class _RunRequestedDetail(Event):
    pipeline: str
    request_id: str
    actor: str = "unknown"
    overrides: dict[str, Any] = {}
    dataset_version: str | None = None
    retry_of: str | None = None
    is_uncached: bool = False
    reproduces: str | None = None
    tolerance: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class RunRequested(Event):
    """The event of `sluice start` and `sluice retry`; `actor` is what the sender claims."""

    time: str
    detail: _RunRequestedDetail


class _JobDetail(Event):
    job_name: str = Field(
        validation_alias=AliasChoices(
            "TrainingJobName", "ProcessingJobName", "JobName", "pipelineExecutionDisplayName"
        )
    )


class _FailedOrder(Event):
    name: str
    secret: str


class JobStateChanged(Event):
    """A job's end: SageMaker's "Training/Processing Job State Change", our "Job State Change", or Lambda's
    record of the failed invocation that ran it."""

    source: str = ""
    detail: _JobDetail | None = None
    order: _FailedOrder | None = Field(default=None, alias="requestPayload")
    context: dict[str, Any] = Field(default_factory=dict, alias="requestContext")
    answer: Any = Field(default=None, alias="responsePayload")

    @model_validator(mode="after")
    def _names_a_job(self) -> Self:
        if self.detail is None and self.order is None:
            raise ValueError("neither a detail nor an order names a job")
        return self

    @property
    def job_name(self) -> str:
        return self.order.name if self.order else self.detail.job_name if self.detail else ""

    @property
    def backend(self) -> Literal["lambda", "sagemaker"]:
        """What said so: a function of the stack, or SageMaker."""
        return "lambda" if self.order or self.source == "sluice" else "sagemaker"

    @property
    def record(self) -> dict[str, Any]:
        """The part of Lambda's record that says how the invocation ended."""
        return {"requestContext": self.context, "responsePayload": self.answer}


class EndpointStateChanged(Event):
    """SageMaker "Endpoint State Change"."""

    endpoint_name: str = _in_detail("EndpointName")


class AlarmStateChanged(Event):
    """CloudWatch "Alarm State Change"."""

    alarm_name: str = _in_detail("alarmName")


class AlarmConfigurationChanged(AlarmStateChanged):
    """CloudWatch "Alarm Configuration Change"."""


class ExecutionStatusChanged(Event):
    """Step Functions "Execution Status Change"."""

    execution_arn: str = _in_detail("executionArn")
    name: str = _in_detail("name")
    # JSON; AWS omits it if it is too large.
    input: str | None = _in_detail("input", default=None)


class BuildRequest(Event):
    """The body of a message in the BuildRequests queue; `at` is when an awaited request is due."""

    pipeline: str
    at: str | None = None


class _Message(Event):
    message_id: str = Field(alias="messageId")
    body: str


class BuildRequestBatch(Event):
    """A batch of messages from SQS to `start_build`."""

    records: list[_Message] = Field(alias="Records")


class Happening(Event):
    """An event that people are told of: ours, or of an alarm of the stack."""

    detail_type: str = Field(alias="detail-type")
    time: str
    detail: dict[str, Any]


class PostNotice(Event):
    """The body of a message in the queue of webhooks."""

    key: str
    channel: Literal["slack", "teams"]


class PostNoticeBatch(Event):
    """A batch of messages from SQS to `post_notice`."""

    records: list[_Message] = Field(alias="Records")


class BuildTask(Event):
    """The input that all Lambda tasks of `build_model` have in common."""

    pipeline: str
    run_id: str
    project_version: str


class BuildEnvironmentTask(Event):
    """A project whose jobs need packages: a run waits for them, or our "ProjectRegistered" tells of it."""

    pipeline: str = Field(validation_alias=AliasChoices("pipeline", AliasPath("detail", "pipeline")))
    project_version: str = Field(
        validation_alias=AliasChoices("project_version", AliasPath("detail", "project_version"))
    )
    run_id: str | None = None


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
    # Missing in a run that was in progress while the stack was updated.
    evaluations: list[dict[str, Any]] = []


class _Candidate(Event):
    """The part of the chosen job result that the state machine passes on; the catalog has the rest."""

    step: str
    model_uri: str
    # None in a run that was in progress while the stack was updated.
    model_version_id: str | None = None


class RegisterModelTask(BuildTask):
    dataset_version: str
    candidate: _Candidate
    champion: dict[str, Any] | None = None


class TaskFailure(Event):
    """The error that a Catch passes on."""

    error: str = Field(alias="Error")
    cause: str = Field(default="", alias="Cause")


class FinishRunTask(Event):
    """How a run ended; `error` has the reason of a failed one."""

    pipeline: str
    run_id: str
    status: RunEnd
    reasons: list[str] = []
    error: TaskFailure | None = None


class CleaningDue(Event):
    """The schedule of `clean_releases`, with how many releases of each stage it keeps."""

    keep: int = Field(ge=1)


class _LifeCycleDetail(Event):
    arn: str | None = Field(default=None, alias="ModelPackageArn")
    pipeline: str | None = None
    release_id: str | None = None


class LifeCycleAsked(Event):
    """A release that has ended, or a version whose life cycle somebody changed in the registry."""

    detail: _LifeCycleDetail


class _BatchDetail(Event):
    job_name: str | None = Field(default=None, alias="TransformJobName")
    bucket: _Bucket | None = None
    object: _Object | None = None
    pipeline: str | None = None
    # Of a person's request.
    key: str | None = None
    version_id: str | None = None
    request_id: str | None = None
    actor: str | None = None


class BatchAsked(Event):
    """An upload to be scored, the end of a transform job, a person's request, or a hint that one is due."""

    time: str = ""
    detail: _BatchDetail


class _MonitoringDetail(Event):
    pipeline: str | None = None
    stage: str | None = None
    # A person's request, which ends the window under way.
    request_id: str | None = None
    bucket: _Bucket | None = None
    object: _Object | None = None


class MonitoringAsked(Event):
    """The schedule, which names no pipeline; a pipeline that is due; or S3's event of uploaded labels."""

    detail: _MonitoringDetail = Field(default_factory=lambda: _MonitoringDetail())
