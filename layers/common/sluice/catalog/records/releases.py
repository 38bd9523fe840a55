"""Records of releases: packages, approvals, stages, deployments, and tasks of endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
ApprovalStatus = Literal["PendingManualApproval", "Approved", "Rejected"]
DeploymentStatus = Literal["deploying", "live", "superseded", "rolled_back", "retired", "failed"]
Cause = Literal["approval", "rollback", "alarm", "rejection", "command"]
# Why nothing is rolled back automatically: all attempts failed, nothing to go back to, or the stage is held.
Why = Literal["failed", "refused", "held", "pinned"]
ReleaseEnd = Literal["released", "failed", "refused"]
ReleaseStatus = Literal["running"] | ReleaseEnd
TaskStatus = Literal["open", "done"]
PENDING: Literal["PendingManualApproval"] = "PendingManualApproval"


@dataclass(frozen=True, slots=True)
class Package:
    """A version in the registry, and the last decision about it that the stack saw.

    A version from elsewhere has no pipeline. Before the first decision there is no status.
    """

    arn: str
    group: str = ""
    version: int = 0
    stack: str | None = None
    pipeline: str | None = None
    run_id: str | None = None
    manifest_uri: str | None = None
    manifest_sha256: str | None = None
    model_sha256: str | None = None
    # Missing in packages older than this attribute.
    created_at: str | None = None
    approval_status: ApprovalStatus | None = None
    approval_epoch: int | None = None
    # The decision whose consequence was started.
    acted_epoch: int | None = None
    # When it was found that the registry has it no more.
    deleted_at: str | None = None
    # The registry's life cycle (stage/status) as it was last written or heeded, and the one being written.
    life_cycle: str | None = None
    life_cycle_next: str | None = None
    # Why a person decides about it, although its project's approval is automatic.
    needs_person: str | None = None
    # How many decisions were about a former version with its ARN: a group that is made again reuses it.
    decided_before: int | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Package:
        return cls(**known(cls, item, arn=keys.package_arn_of(item)))

    def item(self) -> Item:
        return {**keys.package_key(self.arn), **attributes(self, "arn")}

    @property
    def status(self) -> ApprovalStatus:
        return self.approval_status or PENDING

    @property
    def epoch(self) -> int:
        """The number of the last decision, 0 before the first."""
        return self.approval_epoch or 0

    @property
    def waits_because(self) -> str | None:
        """Why it waits for a person, beyond that all versions do."""
        return self.needs_person if self.status == PENDING and self.deleted_at is None else None

    @property
    def rejection(self) -> str:
        """The name of the fault that it was rejected: each rejection has attempts of its own."""
        return f"rejection#{self.epoch}"

    @property
    def is_unfinished(self) -> bool:
        """Whether the consequence of the last decision is still to be started."""
        return self.epoch > (self.acted_epoch or 0)


@dataclass(frozen=True, slots=True)
class Approval:
    """A decision about a package, bound to the evidence of that time."""

    arn: str
    epoch: int
    status: ApprovalStatus
    approver: str
    reason: str
    decided_at: str
    # Not `expires_at`: the table's TTL must never take it.
    valid_until: str
    # The registry's at that time, whoever wrote it; missing in decisions older than this attribute.
    description: str | None = None
    # The IAM identity behind the approver, if the registry named it.
    identity: str | None = None
    manifest_sha256: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Approval:
        return cls(**known(cls, item, arn=keys.package_arn_of(item), epoch=keys.epoch_of(item)))

    def item(self) -> Item:
        return {**keys.approval_key(self.arn, self.epoch), **attributes(self, "arn", "epoch")}


@dataclass(frozen=True, slots=True)
class Scaled:
    """How a person wishes an endpoint to be scaled, in place of what its project says."""

    count: int | None = None
    min: int | None = None
    max: int | None = None
    concurrency: int | None = None
    actor: str = ""
    at: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Scaled:
        whole = {name: int(item[name]) for name in _COUNTS if item.get(name) is not None}
        return cls(**whole, actor=str(item.get("actor", "")), at=str(item.get("at", "")))

    def item(self) -> Item:
        return attributes(self)

    @property
    def is_empty(self) -> bool:
        """Whether it wishes what the project says."""
        return all(getattr(self, name) is None for name in _COUNTS)


_COUNTS = ("count", "min", "max", "concurrency")


@dataclass(frozen=True, slots=True)
class Stage:
    """What serves on a stage, and the release that holds it."""

    pipeline: str
    name: str
    endpoint_name: str
    position: int | None = None
    live: str | None = None
    # What was live when the stage was retired; None once something is live again.
    retired: str | None = None
    releasing: str | None = None
    # Whether all its promotions are linked; not if an older stack made it.
    is_linked: bool = False
    # How its endpoint differs from a release: `release_id`, `at`, `faults`, `is_told`. Without faults it no
    # longer does, which is still to be told.
    deviation: Mapping[str, Any] | None = None
    # When a release that failed let go of it: alarms may be about what it tried.
    tried_at: str | None = None
    # What a person said last about keeping what is live: `release_id`, `is_on`, `at`, `actor`, `reason`.
    pin: Mapping[str, Any] | None = None
    # A person's wish, which holds for all releases until it ends.
    wish: Mapping[str, Any] | None = None
    # The last request for one: `request_id`, and `fault` if it was refused.
    wish_answer: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Stage:
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item), name=keys.stage_of(item)))

    @property
    def scaled(self) -> Scaled | None:
        return Scaled.of(self.wish) if self.wish else None

    def item(self) -> Item:
        return {**keys.stage_key(self.pipeline, self.name), **attributes(self, "pipeline", "name")}

    @property
    def is_pinned(self) -> bool:
        """Whether a person pinned what is live; another live release ends that."""
        return bool(self.pin and self.pin["is_on"] and self.pin["release_id"] == self.live)

    @property
    def known_faults(self) -> list[str]:
        """How the endpoint differed when it was looked at last."""
        return list((self.deviation or {}).get("faults", ()))

    @property
    def has_untold(self) -> bool:
        return self.deviation is not None and not self.deviation["is_told"]

    @property
    def deviates(self) -> bool:
        """Whether the endpoint serves something else than what is live; a later release ends that."""
        return bool(self.known_faults) and (self.deviation or {}).get("release_id") == self.live


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a release did to a stage."""

    pipeline: str
    stage: str
    release_id: str
    package_arn: str
    package_version: int
    status: DeploymentStatus
    endpoint_config_name: str
    model_name: str = ""
    promoted_at: str | None = None
    bake_until: str | None = None
    ended_at: str | None = None
    # The release that was live before.
    replaces: str | None = None
    # The release promoted before; not live any more if the stage was retired since.
    follows: str | None = None
    # Whether there was none.
    is_first: bool = False
    run_id: str | None = None
    # Whether it has no endpoint: transform jobs use the model. Then `endpoint_config_name` names the one that
    # proved it.
    is_batch: bool = False
    # How it did as a shadow of what served: `status` (mirroring, passed, refused), `percent`, `since`,
    # `until`, `reasons` and, once it was looked at, `domain.release.shadows.Comparison`.
    shadow: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Deployment:
        stage, release_id = keys.deployment_of(item)
        key = {"pipeline": keys.pipeline_of(item), "stage": stage, "release_id": release_id}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        key = keys.deployment_key(self.pipeline, self.stage, self.release_id)
        return {**key, **attributes(self, "pipeline", "stage", "release_id")}

    @property
    def previous(self) -> str | None:
        """The release promoted before, if that was recorded."""
        return self.follows or self.replaces

    @property
    def model(self) -> tuple[str, str | None]:
        """The package and its run: a group that is made again reuses ARNs."""
        return self.package_arn, self.run_id

    @property
    def model_id(self) -> str:
        """What tells the model from all others."""
        return f"{self.package_arn}#{self.run_id or ''}"

    def is_of(self, package_arn: str, run_id: str | None) -> bool:
        """Tell whether it deployed this package of this run."""
        return self.package_arn == package_arn and (None in (self.run_id, run_id) or self.run_id == run_id)

    def outlived_its_bake(self, now: str) -> bool:
        """Tell whether it served until `bake_until` without being replaced."""
        return self.bake_until is not None and (self.ended_at or now) >= self.bake_until


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was tried to take back a live release, for an alarm or a rejection, and why no more is."""

    pipeline: str
    stage: str
    release_id: str
    # `alarm`, or `rejection#<epoch>`.
    fault: str
    # The number of the newest attempt, and the rollback that it is; none if none was possible.
    attempt: int | None = None
    attempt_id: str | None = None
    tried_at: str | None = None
    # Why a person must act, and since when.
    why: Why | None = None
    problem: str | None = None
    problem_at: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Recovery:
        stage, release_id, fault = keys.recovery_of(item)
        key = {"pipeline": keys.pipeline_of(item), "stage": stage, "release_id": release_id, "fault": fault}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        key = keys.recovery_key(self.pipeline, self.stage, self.release_id, self.fault)
        return {**key, **attributes(self, "pipeline", "stage", "release_id", "fault")}


@dataclass(frozen=True, slots=True)
class Release:
    """A release or a rollback, from its plan to its end."""

    pipeline: str
    release_id: str
    cause: Cause
    status: ReleaseStatus
    # From the stack's records, or marked unverified.
    actor: str
    execution_arn: str
    started_at: str
    ended_at: str | None = None
    package_arn: str | None = None
    package_version: int | None = None
    stages: Sequence[str] = ()
    # The stage after these, which asks for a person.
    held_back: str | None = None
    is_rollback: bool = False
    reasons: Sequence[str] = ()
    # When it was noted which life cycles follow from its end.
    followed_at: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Release:
        key = {"pipeline": keys.pipeline_of(item), "release_id": keys.release_id_of(item)}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        """Return the item; a running release is listed, for `reconcile` to look at."""
        key = keys.release_key(self.pipeline, self.release_id)
        listed = keys.listed(keys.RUNNING_RELEASES, self.release_id) if self.status == "running" else {}
        return {**key, **listed, **attributes(self, "pipeline", "release_id")}


@dataclass(frozen=True, slots=True)
class EndpointTask:
    """A task of a release that waits for an endpoint."""

    endpoint_name: str
    task_token: str
    pipeline: str
    release_id: str
    # The stage.
    step: str
    status: TaskStatus
    expires_at: int
    endpoint_config_name: str
    # Until the request, what the endpoint serves says nothing about the change.
    requested: bool
    kind: Literal["endpoint"] = "endpoint"

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> EndpointTask:
        return cls(**known(cls, item, endpoint_name=keys.resource_of(item)))

    def item(self) -> Item:
        """Return the item; an open task is listed, for `reconcile` to look at what it waits for."""
        listed = keys.listed(keys.TASKS, self.endpoint_name) if self.status == "open" else {}
        kept = {"kind": self.kind, **attributes(self, "endpoint_name")}
        return {**keys.task_key(self.endpoint_name), **listed, **kept}
