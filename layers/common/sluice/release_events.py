"""Models of the events about releases, with what they are made of: other functions need not load it."""

from __future__ import annotations

from pydantic import Field

from sluice.domain.release.approvals import Told
from sluice.domain.release.releases import Request, StagePlan
from sluice.domain.times import from_event
from sluice.events import Event, TaskFailure

AWS = "aws.sagemaker"


class _ModelPackageDetail(Event):
    arn: str = Field(alias="ModelPackageArn")
    # Missing in older events and in our own hints.
    updated_fields: tuple[str, ...] | None = Field(default=None, alias="UpdatedModelPackageFields")
    status: str | None = Field(default=None, alias="ModelApprovalStatus")
    modified_at: str | float | None = Field(default=None, alias="LastModifiedTime")


class ModelPackageStateChanged(Event):
    """SageMaker "Model Package State Change", or a hint that it was lost.

    Nobody but AWS can send events of a source `aws.*`. Whoever may send events can send a hint.
    """

    source: str = AWS
    detail: _ModelPackageDetail

    @property
    def model_package_arn(self) -> str:
        return self.detail.arn

    @property
    def told(self) -> Told:
        if self.source != AWS:
            return Told(is_hint=True)
        detail = self.detail
        return Told(detail.status, detail.updated_fields, from_event(detail.modified_at))


class PlanReleaseTask(Event):
    execution_arn: str
    release: Request


class ReleaseStageTask(Event):
    """The input that all tasks of a release's stage have in common."""

    pipeline: str
    release_id: str
    package_arn: str
    is_rollback: bool
    stage: StagePlan


class DeployModelTask(ReleaseStageTask):
    """A deployment; `finish_deployment` answers `task_token`.

    `restore` goes back to what served before; `mirror` keeps that, with the new version as its shadow.
    """

    task_token: str
    restore: bool = False
    mirror: bool = False


class FinishReleaseTask(Event):
    release: Request
    execution_arn: str
    failure: TaskFailure | None = None
