"""Decide what a release does: what it puts where, what a stage may go back to, and what an alarm means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from sluice.domain import failures, names
from sluice.domain.failures import TransientError
from sluice.domain.quotas import QuotaTooLowError
from sluice.domain.times import from_iso, to_iso

if TYPE_CHECKING:
    from sluice.domain.config import models

Cause = Literal["approval", "rollback", "alarm", "rejection", "command"]
Status = Literal["running", "released", "failed", "refused"]


class ReleaseError(Exception):
    """A release cannot go on."""


class ReleaseRefusedError(ReleaseError):
    """The release must not happen; `reasons` says why and what to do, a line each."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


class AlarmFiringError(ReleaseRefusedError, TransientError):
    """An alarm that is to watch the release is in ALARM already."""


class StageBusyError(ReleaseError, TransientError):
    """Another release is under way on the stage; try again later."""


class NotRegisteredYetError(ReleaseError, TransientError):
    """The run that is to have registered the package has not said so yet; try again soon."""


class Request(BaseModel):
    """The input of `release_model`: a package to release, or, without one, a stage to roll back."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pipeline: str
    release_id: str
    cause: Cause
    package_arn: str | None = None
    stages: list[str] | None = None
    stage: str | None = None
    # The release to take back; whatever is live, when a person did not say.
    rolls_back: str | None = None
    actor: str = "unknown"
    reason: str = ""

    @property
    def is_rollback(self) -> bool:
        return self.package_arn is None


class StagePlan(BaseModel):
    """What a release does to one stage."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    endpoint_name: str
    model_name: str
    endpoint_config_name: str
    # What served before, to go back to when the new version fails its test.
    previous_config_name: str | None = None
    bake_s: int = 0


def approval_request(
    pipeline: str, package_arn: str, package_version: int, epoch: int, actor: str, reason: str
) -> Request:
    """The one release that an approval asks for."""
    cause_key = f"approval#{package_arn}#{epoch}"
    return Request(
        pipeline=pipeline,
        release_id=names.release_id(pipeline, package_version, cause_key),
        cause="approval",
        package_arn=package_arn,
        actor=actor,
        reason=reason,
    )


def rejection_request(
    pipeline: str, stage: str, rejected: Mapping[str, Any], release_id: str, actor: str, reason: str
) -> Request:
    """The one rollback that rejecting a package (a catalog item) asks for on a stage where it serves."""
    cause_key = f"rejection#{rejected['package_arn']}#{rejected['approval_epoch']}#{stage}"
    return Request(
        pipeline=pipeline,
        release_id=names.release_id(pipeline, rejected["version"], cause_key),
        cause="rejection",
        stage=stage,
        rolls_back=release_id,
        actor=actor,
        reason=reason,
    )


def alarm_request(pipeline: str, stage: str, live: Deployment, alarm: str, reason: str) -> Request:
    """The one rollback that alarms can ask for while a release is live."""
    cause_key = f"alarm#{live.release_id}#{stage}"
    return Request(
        pipeline=pipeline,
        release_id=names.release_id(pipeline, live.package_version, cause_key),
        cause="alarm",
        stage=stage,
        rolls_back=live.release_id,
        actor=alarm,
        reason=reason,
    )


def planned_stages(release: models.Release, wanted: Sequence[str] | None) -> list[models.Stage]:
    """The stages to release to, in the project's order; raises ReleaseRefusedError for unknown ones.

    Unless stages were named, a release goes up to the next stage that asks for a person: the approval in the
    registry is the one for the first stage.
    """
    if wanted is None:
        gated = (i for i, stage in enumerate(release.stages) if i > 0 and stage.requires_approval)
        return list(release.stages[: next(gated, len(release.stages))])
    known = [stage.name for stage in release.stages]
    if unknown := [name for name in wanted if name not in known]:
        raise ReleaseRefusedError(
            f"the project has no stage {', '.join(unknown)}: name one of {', '.join(known)}"
        )
    return [stage for stage in release.stages if stage.name in wanted]


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a release did to a stage."""

    release_id: str
    package_arn: str
    package_version: int
    status: str
    endpoint_config_name: str
    promoted_at: str | None = None
    bake_until: str | None = None
    ended_at: str | None = None
    replaces: str | None = None
    run_id: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Deployment:
        """Read the catalog's deployment item."""
        return cls(
            release_id=item["sk"].rpartition("#")[2],
            package_arn=item["package_arn"],
            package_version=item["package_version"],
            status=item["status"],
            endpoint_config_name=item["endpoint_config_name"],
            promoted_at=item.get("promoted_at"),
            bake_until=item.get("bake_until"),
            ended_at=item.get("ended_at"),
            replaces=item.get("replaces"),
            run_id=item.get("run_id"),
        )

    @property
    def model(self) -> tuple[str, str | None]:
        """What it put there, by its run too: a group that is made anew uses its versions' ARNs again."""
        return self.package_arn, self.run_id

    def is_of(self, package_arn: str, run_id: str | None) -> bool:
        """Whether it put this package there, as this run registered it."""
        return self.package_arn == package_arn and (None in (self.run_id, run_id) or self.run_id == run_id)

    def outlived_its_bake(self, now: str) -> bool:
        """Whether it served until `bake_until`, unreplaced."""
        return self.bake_until is not None and (self.ended_at or now) >= self.bake_until


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """The deployments a stage may go back to, best first, and why others are none."""

    known_good: tuple[Deployment, ...]
    reasons: tuple[str, ...]


def rollback_options(history: Sequence[Deployment], replaced: Deployment, now: str) -> RollbackOptions:
    """Find the known good: promoted, outlived its bake, neither what is replaced nor ever rolled back since.

    A package is judged by its last promotion, so that a stage never goes back to a version it was taken back
    from, and never forth and back between two.
    """
    known_good: list[Deployment] = []
    reasons: list[str] = []
    for promotions in _by_package(history):
        newest = promotions[0]
        proven = next((each for each in promotions if each.outlived_its_bake(now)), None)
        if newest.is_of(replaced.package_arn, replaced.run_id):
            continue
        if newest.status == "rolled_back":
            reasons.append(f"v{newest.package_version} was itself rolled back ({newest.release_id})")
        elif proven is None:
            reasons.append(
                f"v{newest.package_version} was replaced before it outlived its bake ({newest.release_id})"
            )
        else:
            known_good.append(proven)
    known_good.sort(key=_promotion, reverse=True)
    return RollbackOptions(tuple(known_good), tuple(reasons))


def _by_package(history: Sequence[Deployment]) -> Iterator[list[Deployment]]:
    """The promotions of each package, newest first."""
    promotions: dict[tuple[str, str | None], list[Deployment]] = {}
    for deployment in sorted(history, key=_promotion, reverse=True):
        if deployment.promoted_at is not None:
            promotions.setdefault(deployment.model, []).append(deployment)
    yield from promotions.values()


def _promotion(deployment: Deployment) -> str:
    return deployment.promoted_at or ""


def no_known_good(replaced: Deployment, reasons: Sequence[str]) -> str:
    """Say that nothing can be put back, and what a person can do."""
    why = "; ".join(reasons) or "no other version has served there"
    return (
        f"nothing to roll v{replaced.package_version} back to: {why}. "
        "Approve a version that works, or `sluice retire` the stage to stop serving"
    )


def failure(error: str, cause: str) -> tuple[Status, str]:
    """What a task's error means for its release, and why, for people."""
    if error in (ReleaseRefusedError.__name__, AlarmFiringError.__name__, QuotaTooLowError.__name__):
        return "refused", failures.message(cause)
    return "failed", failures.named(error, cause)


def replaced_status(*, is_rollback: bool) -> Literal["rolled_back", "superseded"]:
    """What becomes of the deployment that a promotion replaces."""
    return "rolled_back" if is_rollback else "superseded"


def bake_until(promoted_at: str, bake_s: int) -> str:
    return to_iso(from_iso(promoted_at) + timedelta(seconds=bake_s))
