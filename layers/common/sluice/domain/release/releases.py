"""Decide what a release puts where, what a stage may go back to, and which rollback an event asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from sluice.catalog.records.releases import Cause, Deployment, Package, ReleaseEnd
from sluice.domain import failures, names
from sluice.domain.release.errors import AlarmFiringError, ReleaseRefusedError, ShadowRefusedError
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config import models


# An execution's history holds so many looks at a shadow, for each of its stages.
LOOKS_MAX, LOOK_EVERY_S = 20, 60


@dataclass(frozen=True, slots=True)
class Request:
    """The input of `release_model`: a package to release, or without one a stage to roll back."""

    pipeline: str
    release_id: str
    cause: Cause
    package_arn: str | None = None
    stages: list[str] | None = None
    stage: str | None = None
    # The release to take back; None for whatever is live.
    rolls_back: str | None = None
    actor: str = "unknown"
    reason: str = ""

    @property
    def is_rollback(self) -> bool:
        return self.package_arn is None


@dataclass(frozen=True, slots=True)
class ShadowPlan:
    """How a new version is compared with what serves before it does itself."""

    config_name: str
    percent: int
    bake_s: int
    # How often it is looked at.
    every_s: int

    @classmethod
    def of(cls, shadow: models.Shadow, config_name: str) -> ShadowPlan:
        """Plan the shadow that a stage wants: it is looked at each minute, or `LOOKS_MAX` times in all."""
        every_s = max(min(LOOK_EVERY_S, shadow.bake_s // 4), -(-shadow.bake_s // LOOKS_MAX))
        return cls(config_name=config_name, percent=shadow.percent, bake_s=shadow.bake_s, every_s=every_s)


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What a release does to one stage."""

    stage: str
    endpoint_name: str
    model_name: str
    endpoint_config_name: str
    # What served before, to go back to if the new version fails its test.
    previous_config_name: str | None = None
    bake_s: int = 0
    # Whether its instances follow requests, or a person's wish, before or after; and whether as many stay.
    is_scaled: bool = False
    keeps_instances: bool = False
    shadow: ShadowPlan | None = None
    # Whether it has no endpoint: transform jobs use the model, and a first one proves it, which has the name
    # that an endpoint's config would have.
    is_batch: bool = False

    def require_shadow(self) -> ShadowPlan:
        """Return the stage's shadow; raises ReleaseRefusedError if it has none."""
        if self.shadow is None:
            raise ReleaseRefusedError(f"the release has no shadow on {self.stage}")
        return self.shadow


def approval_request(
    pipeline: str, package_arn: str, package_version: int, epoch: int, actor: str, reason: str
) -> Request:
    """Make the one request for a release that follows from an approval."""
    return Request(
        pipeline=pipeline,
        release_id=_id_of_approval(pipeline, package_arn, package_version, epoch),
        cause="approval",
        package_arn=package_arn,
        actor=actor,
        reason=reason,
    )


def id_of_approval(package: Package) -> str:
    """Return the id of the release that follows from the last decision about a package, if it approves."""
    return _id_of_approval(str(package.pipeline), package.arn, package.version, package.epoch)


def _id_of_approval(pipeline: str, arn: str, version: int, epoch: int) -> str:
    return names.release_id(pipeline, version, f"approval#{arn}#{epoch}")


def rejection_request(
    pipeline: str, stage: str, rejected: Package, release_id: str, actor: str, reason: str, attempt: int = 1
) -> Request:
    """Make the one request, of each attempt, for a rollback of a rejected package that serves on a stage."""
    cause_key = _numbered(f"rejection#{rejected.arn}#{rejected.epoch}#{stage}", attempt)
    return Request(
        pipeline=pipeline,
        release_id=names.rollback_id(pipeline, rejected.version, cause_key),
        cause="rejection",
        stage=stage,
        rolls_back=release_id,
        actor=actor,
        reason=reason,
    )


def alarm_request(
    pipeline: str, stage: str, live: Deployment, alarm: str, reason: str, attempt: int = 1
) -> Request:
    """Make the one request, of each attempt, for a rollback that alarms can cause while a release is live."""
    cause_key = _numbered(f"alarm#{live.release_id}#{stage}", attempt)
    return Request(
        pipeline=pipeline,
        release_id=names.rollback_id(pipeline, live.package_version, cause_key),
        cause="alarm",
        stage=stage,
        rolls_back=live.release_id,
        actor=alarm,
        reason=reason,
    )


def _numbered(cause_key: str, attempt: int) -> str:
    """Name a further attempt apart: Step Functions takes the name of an execution once."""
    return cause_key if attempt == 1 else f"{cause_key}#{attempt}"


def planned_stages(release: models.Release, wanted: Sequence[str] | None) -> list[models.Stage]:
    """Return the stages to release to, in the project's order; raises ReleaseRefusedError for unknown ones.

    Unless stages are named, a release goes up to the next stage that requires a person: the registry's
    approval counts for the first stage.
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


class RollbackOptions:
    """The deployments that a stage may go back to, and, once all were examined, why others are excluded.

    A package is judged by its last promotion, so that a stage never goes back to a version that was rolled
    back, and never alternates between two.
    """

    def __init__(self, history: Iterable[Deployment], replaced: Deployment, now: str) -> None:
        """Take `history`, a stage's promotions, newest first, which is read only as far as needed."""
        self._history, self._replaced, self._now = iter(history), replaced, now
        self._newest: dict[tuple[str, str | None], Deployment] = {}
        self._proven: set[tuple[str, str | None]] = set()

    def known_good(self) -> Iterator[Deployment]:
        """Yield what outlived its bake and was neither replaced now nor rolled back since, newest first."""
        for deployment in self._history:
            if deployment.promoted_at is None:
                continue
            newest = self._newest.setdefault(deployment.model, deployment)
            is_settled = self._is_out(newest) or deployment.model in self._proven
            if not is_settled and deployment.outlived_its_bake(self._now):
                self._proven.add(deployment.model)
                yield deployment

    def reasons(self) -> list[str]:
        """Say why all others are not options; reads the rest of the history."""
        for _ in self.known_good():
            pass
        unfit = [each for model, each in self._newest.items() if model not in self._proven]
        return [self._reason(each) for each in unfit if not self._is_replaced(each)]

    def _is_replaced(self, newest: Deployment) -> bool:
        return newest.is_of(self._replaced.package_arn, self._replaced.run_id)

    def _is_out(self, newest: Deployment) -> bool:
        return self._is_replaced(newest) or newest.status == "rolled_back"

    def _reason(self, newest: Deployment) -> str:
        version = f"v{newest.package_version}"
        if newest.status == "rolled_back":
            return f"{version} was itself rolled back ({newest.release_id})"
        return f"{version} was replaced before it outlived its bake ({newest.release_id})"


def no_known_good(replaced: Deployment, reasons: Sequence[str]) -> str:
    """Say that there is nothing to go back to, and what a person can do."""
    why = "; ".join(reasons) or "no other version has served there"
    return (
        f"nothing to roll v{replaced.package_version} back to: {why}. "
        "Approve a version that works, or `sluice retire` the stage to stop serving"
    )


def failure(error: str, cause: str) -> tuple[ReleaseEnd, str]:
    """Return the release's status after a task's error, and the reason for people."""
    from sluice.domain.quotas import QuotaTooLowError

    refusals = (ReleaseRefusedError, ShadowRefusedError, AlarmFiringError, QuotaTooLowError)
    if error in [each.__name__ for each in refusals]:
        return "refused", failures.message(cause)
    return "failed", failures.named(error, cause)


def replaced_status(*, is_rollback: bool) -> Literal["rolled_back", "superseded"]:
    """Return the new status of the deployment that a promotion replaces."""
    return "rolled_back" if is_rollback else "superseded"
