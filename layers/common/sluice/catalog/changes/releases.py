"""Changes of releases: decisions about packages, locks of stages, and ends of deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.changes.base import Put, Update, overwrite
from sluice.catalog.records.base import with_absent
from sluice.catalog.records.releases import (
    Approval,
    ApprovalStatus,
    Deployment,
    EndpointTask,
    Package,
    Recovery,
    Release,
    ReleaseEnd,
    Scaled,
    Stage,
    Why,
)

# ------------------------------------------------------------------------------------ packages, approvals


def see_package(package: Package) -> Put:
    """Record a package that nobody decided about so far."""
    return Put(package.item())


def need_person(arn: str, run_id: str, why: str) -> Update:
    """Note why a person decides about a version, whether or not its registration was heard of before."""
    return Update(keys.package_key(arn), {"needs_person": why}, {"run_id": run_id})


def decide(seen: Package, status: ApprovalStatus) -> Update:
    """Record the next decision about a package, if the package is unchanged since it was read."""
    when = {"approval_status": seen.approval_status, "approval_epoch": seen.approval_epoch}
    return Update(
        keys.package_key(seen.arn), {"approval_status": status, "approval_epoch": seen.epoch + 1}, when
    )


def note_deleted(seen: Package, at: str) -> Update:
    """Note that the registry has a version no more, once; a version that is registered again is another."""
    return Update(keys.package_key(seen.arn), {"deleted_at": at}, {"deleted_at": None, "run_id": seen.run_id})


def record_approval(approval: Approval) -> Put:
    """Record a decision; the first record stays."""
    return Put(approval.item())


def finish_decision(arn: str, epoch: int) -> Update:
    """Note that the consequence of a decision was started; a later decision has its own."""
    return Update(keys.package_key(arn), {"acted_epoch": epoch}, {"approval_epoch": epoch})


def see_life_cycle(seen: Package, text: str, following: str | None) -> Update:
    """Note that a person's life cycle was heeded, once, and the one that is to be written in its place."""
    return Update(
        keys.package_key(seen.arn), {"life_cycle": text, "life_cycle_next": following}, _as_seen(seen)
    )


def plan_life_cycle(seen: Package, text: str) -> Update:
    """Note which life cycle is about to be written, so that it is not taken for a person's."""
    return Update(keys.package_key(seen.arn), {"life_cycle_next": text}, _as_seen(seen))


def confirm_life_cycle(arn: str, text: str) -> Update:
    """Note that the registry has the life cycle."""
    return Update(keys.package_key(arn), {"life_cycle": text, "life_cycle_next": None}, {})


def _as_seen(seen: Package) -> Mapping[str, str | None]:
    return {"life_cycle": seen.life_cycle, "life_cycle_next": seen.life_cycle_next}


def register_again(former: Package, package: Package) -> Update:
    """Replace a former package with the same ARN, once; nothing was decided about the new one.

    A group that was deleted and made again numbers its versions from 1 again.
    """
    before = former.approval_epoch
    undecided = {"approval_status": None, "acted_epoch": before, "decided_before": before}
    changes = {**with_absent(package, "arn", "approval_epoch"), **undecided}
    return Update(keys.package_key(former.arn), changes, {"run_id": former.run_id})


# -------------------------------------------------------------------------------------------------- stages


def make_stage(stage: Stage) -> Put:
    """Make a stage at its first release, so that all promotions on it are linked, and list it."""
    listed = keys.listed(keys.ALL_STAGES, f"{stage.pipeline}#{stage.name}")
    return Put({**stage.item(), **listed, "is_linked": True})


def lock_stage(pipeline: str, stage: str, release_id: str) -> Update:
    """Lock a stage that no release holds."""
    return Update(keys.stage_key(pipeline, stage), {"releasing": release_id}, {"releasing": None})


def unlock_stage(pipeline: str, stage: str, release_id: str, tried_at: str | None = None) -> Update:
    """Unlock a stage, if this release holds it; `tried_at` is when, if it failed there."""
    tried = {"tried_at": tried_at} if tried_at else {}
    return Update(keys.stage_key(pipeline, stage), {"releasing": None, **tried}, {"releasing": release_id})


def point_stage(pipeline: str, stage: str, release_id: str) -> Update:
    """Point a stage to what serves now, if this release holds it."""
    live = {"live": release_id, "retired": None}
    return Update(keys.stage_key(pipeline, stage), live, {"releasing": release_id})


def index_promotion(deployment: Deployment) -> Update:
    """Let the promotion be found by its time; a retry writes the same."""
    key = keys.promotion_key(deployment.pipeline, deployment.stage, str(deployment.promoted_at))
    return Update(key, {"release_id": deployment.release_id})


def retire_stage(pipeline: str, stage: str, live: str) -> Update:
    """Point a stage to nothing, if this is still live and no release is under way."""
    retired = {"live": None, "retired": live}
    return Update(keys.stage_key(pipeline, stage), retired, {"live": live, "releasing": None})


def pin_stage(stage: Stage, pin: Mapping[str, Any]) -> Update:
    """Pin what is live, or let go of it, if nobody did since it was read and no release is under way."""
    since = {"live": stage.live, "releasing": None, "pin": stage.pin}
    return Update(keys.stage_key(stage.pipeline, stage.name), {"pin": pin}, since)


def note_deviation(stage: Stage, faults: Sequence[str], at: str) -> Update:
    """Note how a stage's endpoint differs from what is live, or that it no longer does.

    It counts if all is as it was read, so that of many who look one tells.
    """
    deviation = {"release_id": stage.live or "", "at": at, "faults": list(faults), "is_told": False}
    since = {"live": stage.live, "releasing": None, "deviation": stage.deviation}
    return Update(keys.stage_key(stage.pipeline, stage.name), {"deviation": deviation}, since)


def tell_deviation(stage: Stage) -> Update:
    """Note that a deviation was told; of one that is over nothing is left."""
    told = {**stage.deviation, "is_told": True} if stage.deviation and stage.known_faults else None
    key = keys.stage_key(stage.pipeline, stage.name)
    return Update(key, {"deviation": told}, {"deviation": stage.deviation})


def scale_stage(stage: Stage, wish: Scaled | None, answer: Mapping[str, Any]) -> Update:
    """Record a person's wish and its answer; a request that was answered changes nothing again."""
    changed = {"wish": wish.item() if wish else None, "wish_answer": dict(answer)}
    when = {"wish_answer": dict(stage.wish_answer) if stage.wish_answer else None}
    return Update(keys.stage_key(stage.pipeline, stage.name), changed, when)


# --------------------------------------------------------------------------------------------- deployments


def plan_deployment(deployment: Deployment) -> Put:
    return Put(deployment.item())


def begin_shadow(deployment: Deployment, shadow: Mapping[str, Any]) -> Update:
    """Record once since when a version is compared with what serves."""
    return Update(_deployment_key(deployment), {"shadow": dict(shadow)}, {"shadow": None})


def note_shadow(deployment: Deployment, shadow: Mapping[str, Any]) -> Update:
    """Record how the comparison stands, unless it has ended."""
    return Update(_deployment_key(deployment), {"shadow": dict(shadow)}, {"shadow": deployment.shadow})


def _deployment_key(deployment: Deployment) -> Mapping[str, str]:
    return keys.deployment_key(deployment.pipeline, deployment.stage, deployment.release_id)


def promote(stage: Stage, release_id: str, at: str, bake_until: str) -> Update:
    """Record once when the promotion was and what it replaces: a retry must not find other answers.

    Links it to the previous promotion, so that a stage's history is found without reading all of it.
    """
    follows = stage.live or stage.retired
    live = {
        "status": "live",
        "promoted_at": at,
        "bake_until": bake_until,
        "replaces": stage.live,
        "follows": follows,
        "is_first": True if stage.is_linked and follows is None else None,
    }
    return Update(keys.deployment_key(stage.pipeline, stage.name, release_id), live, {"promoted_at": None})


def supersede(deployment: Deployment, at: str) -> tuple[Update, ...]:
    """End the deployment that a promotion replaced; an end already recorded stays."""
    return (_replaced(deployment, "superseded", at),)


def take_back(deployment: Deployment, at: str) -> tuple[Update, ...]:
    """End the deployment that a rollback replaced, and note that its package was taken back there."""
    key = keys.taken_back_key(deployment.pipeline, deployment.stage, deployment.package_arn)
    return _replaced(deployment, "rolled_back", at), Update(key, {"release_id": deployment.release_id})


def _replaced(deployment: Deployment, status: Literal["superseded", "rolled_back"], at: str) -> Update:
    end = {"status": status, "ended_at": at}
    return _end(deployment.pipeline, deployment.stage, deployment.release_id, end, "live")


def retire_deployment(pipeline: str, stage: str, release_id: str, at: str) -> Update:
    """End the deployment of a stage that no longer serves; an end already recorded stays."""
    return _end(pipeline, stage, release_id, {"status": "retired", "ended_at": at}, "live")


def fail_deployment(pipeline: str, stage: str, release_id: str, at: str) -> Update:
    """End a deployment that was never promoted."""
    return _end(pipeline, stage, release_id, {"status": "failed", "ended_at": at}, "deploying")


def undo_promotion(pipeline: str, stage: str, release_id: str, at: str) -> Update:
    """End a deployment whose promotion was recorded although the stage never pointed to it."""
    undone = {"status": "failed", "ended_at": at, "promoted_at": None, "is_first": None}
    return _end(pipeline, stage, release_id, undone, "live")


def _end(pipeline: str, stage: str, release_id: str, end: Mapping[str, Any], status: str) -> Update:
    return Update(keys.deployment_key(pipeline, stage, release_id), end, {"status": status})


# ---------------------------------------------------------------------------------------------- recoveries


def find_fault(recovery: Recovery) -> Put:
    """Record that a live release must not serve on, before anything is tried."""
    return Put(recovery.item())


def try_recovery(recovery: Recovery, attempt: int, release_id: str, at: str) -> Update:
    """Claim the next attempt at a rollback: of all who find it due only one may make it."""
    tried = {"attempt": attempt, "attempt_id": release_id, "tried_at": at}
    cleared = dict.fromkeys(("why", "problem", "problem_at"))
    return Update(_recovery_key(recovery), {**tried, **cleared}, {"attempt": recovery.attempt})


def give_up(recovery: Recovery, why: Why, problem: str, at: str) -> Update:
    """Record why a person must act now, as long as no further attempt was made meanwhile."""
    told = {"why": why, "problem": problem, "problem_at": at}
    return Update(_recovery_key(recovery), told, {"attempt": recovery.attempt})


def _recovery_key(recovery: Recovery) -> Mapping[str, str]:
    return keys.recovery_key(recovery.pipeline, recovery.stage, recovery.release_id, recovery.fault)


# ------------------------------------------------------------------------------------------------ releases


def start_release(release: Release) -> Put:
    return Put(release.item())


def note_release(pipeline: str, release_id: str) -> Update:
    """Let the pipeline name the release that began last."""
    return Update(keys.pipeline_key(pipeline), {"last_release": release_id}, when={})


def plan_release(
    pipeline: str, release_id: str, package_arn: str, package_version: int, stages: Sequence[str]
) -> tuple[Update, Update]:
    """Note what a release puts where, beside the package too; a retry may find fewer stages to release to."""
    plan = {"package_arn": package_arn, "package_version": package_version, "stages": list(stages)}
    note = Update(keys.package_release_key(package_arn, release_id), {"pipeline": pipeline})
    return Update(keys.release_key(pipeline, release_id), plan), note


def hold_back(pipeline: str, release_id: str, stage: str) -> Update:
    """Note which stage waits for a person, once the release has ended."""
    return Update(keys.release_key(pipeline, release_id), {"held_back": stage})


def end_release(
    pipeline: str, release_id: str, status: ReleaseEnd, reasons: Sequence[str], at: str
) -> Update:
    """End a release. The first end counts: later ones change nothing."""
    ended = {"status": status, "reasons": list(reasons), "ended_at": at, "gsi1pk": None, "gsi1sk": None}
    return Update(keys.release_key(pipeline, release_id), ended, {"status": "running"})


def follow_release(pipeline: str, release_id: str, at: str) -> Update:
    """Note that a release's end took effect on life cycles, once, together with what they become."""
    return Update(keys.release_key(pipeline, release_id), {"followed_at": at}, {"followed_at": None})


# ------------------------------------------------------------------------------------- tasks of endpoints


def await_endpoint(task: EndpointTask) -> Update:
    """Store the token of the newest attempt: only that one still waits."""
    return overwrite(task.item())


def confirm_request(endpoint_name: str, task_token: str) -> Update:
    """Note that the change was requested: from then on the endpoint tells how it went."""
    return Update(keys.task_key(endpoint_name), {"requested": True}, {"task_token": task_token})
