"""Approve and reject in the registry, as Studio or the AWS CLI would, and follow what comes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.releases import PENDING, Package, Recovery, Release
from sluice.domain import actors
from sluice.domain.release import packages, recoveries, releases
from sluice.domain.times import from_iso
from sluice.services.release import approving, releasing
from sluice.services.views import stages
from sluice_cli import versions, waiting
from sluice_cli.errors import CommandError
from sluice_cli.target import Target
from sluice_cli.versions import APPROVED, REJECTED
from sluice_cli.waiting import Say

HEARD_S = 900
ROLLED_BACK_S = 3600


def approve(target: Target, arn: str, reason: str, say: Say) -> dict[str, Any]:
    """Approve a version; if it is approved already but not live, approve it anew to have it released.

    The result holds `release_id` of a release under way, or `after_epoch`, the epoch after which a decision
    leads to a release, or neither, and then the reason in `note`.
    """
    seen, result = versions.own_package(target, arn), {"model_package_arn": arn, "status": APPROVED}
    if note := _own_approval_stands(target, arn, seen):
        return {**result, "note": note}
    awaited = {**result, "after_epoch": seen.epoch}
    pinned = _pinned_before(target, seen)
    if versions.status(target, arn) != APPROVED:
        _decide(target, arn, APPROVED, reason)
        return {**awaited, "note": f"it is not released: {pinned}"} if pinned else awaited
    if seen.status != APPROVED:
        return {**awaited, "note": "it was approved before, but the stack has not heard of it yet"}
    before = _decided_before(target, seen)
    if release_id := _under_way(target, seen):
        return {**result, "release_id": release_id, "note": f"{before}; {release_id} is under way"}
    if live_on := _served_by(target, seen):
        return {**result, "note": f"{before}, and is live on {live_on}: nothing to release"}
    if pinned:
        return {**result, "note": f"{before}, and is not released: {pinned}"}
    is_back = any(versions.is_held(row) for row in versions.serving(target, seen))
    why = "serves only by an automatic rollback" if is_back else "is not live"
    say(f"{before}, and {why}: the approval is withdrawn and given anew")
    _decide(target, arn, PENDING, "")
    heard = _after_withdrawal(target, arn, seen.epoch)
    if heard.status == REJECTED:
        raise _otherwise(heard)
    note = f"{before}, and {why}, so the approval was withdrawn and given anew"
    if heard.status == APPROVED:
        # Somebody else gave it, maybe before the stack heard that it was withdrawn.
        return {**awaited, "after_epoch": heard.epoch - 1, "note": note}
    _decide(target, arn, APPROVED, reason)
    return {**awaited, "after_epoch": heard.epoch, "note": note}


def _decided_before(target: Target, seen: Package) -> str:
    """Say when a version was approved or rejected, and by whom."""
    name, done = packages.name_of(target.stack, seen), seen.status.lower()
    found = releasing.find_approval(target.cloud, seen.arn)
    return f"{name} was {done} before" + (f", at {found.decided_at} by {found.approver}" if found else "")


def _own_approval_stands(target: Target, arn: str, seen: Package) -> str | None:
    """Say so if the caller approved a version that awaits other people: nobody counts twice."""
    quorum = approving.find_quorum(target.cloud, seen)
    if quorum is None or quorum.is_reached or versions.status(target, arn) != APPROVED:
        return None
    caller = actors.person(target.call("sts", "get_caller_identity")["Arn"])
    if caller not in {actors.person(each) for each in quorum.by}:
        return None
    return f"you approved it before; {quorum.awaited}"


def reject(target: Target, arn: str, reason: str) -> dict[str, Any]:
    """Reject a version; if it is rejected already but still live, tell where.

    The result holds the release of each stage that it is taken from (`serving`), and `after_epoch` as that of
    `approve` does.
    """
    result = {"model_package_arn": arn, "status": REJECTED}
    package = versions.find_package(target, arn)
    serving = {row["stage"]: row["live"] for row in versions.serving(target, package)} if package else {}
    coming = versions.coming(target, package) if package else {}
    awaited = {"serving": {**serving, **coming}} if package and package.pipeline else {}
    if versions.status(target, arn) != REJECTED:
        _decide(target, arn, REJECTED, reason)
        return {**result, **awaited, "after_epoch": package.epoch if package else 0}
    is_heard = package is not None and package.status == REJECTED
    before = _decided_before(target, package) if package and is_heard else "it was rejected before"
    note = f"{before}, so nothing changes"
    if package and serving:
        stage = next(iter(serving))
        note += f"; it is still live on {stage}: `sluice rollback {package.pipeline} --stage {stage}`"
    epoch = package.epoch if package else 0
    return {**result, **awaited, "after_epoch": epoch - is_heard, "note": note}


def follow(target: Target, result: dict[str, Any], say: Say) -> dict[str, Any] | None:
    """Wait for the end of the release that a result of `approve` leads to; None if it leads to none."""
    pipeline = str(versions.own_package(target, result["model_package_arn"]).pipeline)
    if "after_epoch" in result:
        decided = _decision_after(target, result["model_package_arn"], result["after_epoch"])
        quorum = approving.find_quorum(target.cloud, decided)
        if quorum is not None and not quorum.is_reached:
            result["note"] = quorum.awaited
            return None
        release_id = releases.id_of_approval(decided)
    elif "release_id" in result:
        release_id = result["release_id"]
    else:
        return None
    say(release_id)
    return waiting.this_release_end(target, pipeline, release_id)


def follow_rejection(target: Target, result: dict[str, Any], say: Say) -> list[dict[str, Any]]:
    """Wait for the rollbacks that a result of `reject` leads to, one for each stage where it serves."""
    if not result.get("serving"):
        return []
    decided = _decision_after(target, result["model_package_arn"], result["after_epoch"], REJECTED)
    return [_rolled_back(target, decided, stage, live, say) for stage, live in result["serving"].items()]


def takes_away(pipeline: str, stage: str) -> str:
    """Say what a person may do about a version that nothing replaces."""
    return (
        f"`sluice retire {pipeline} --stage {stage}` takes it away, `sluice models {pipeline}` shows others"
    )


def _rolled_back(target: Target, rejected: Package, stage: str, live: str, say: Say) -> dict[str, Any]:
    """Wait until another release serves on a stage, or none will by itself; returns the one that decided."""
    pipeline = str(rejected.pipeline)
    key = keys.recovery_key(pipeline, stage, live, rejected.rejection)

    def look() -> str | None:
        found = releasing.find_stage(target.cloud, pipeline, stage)
        if found is None or live not in (found.live, found.releasing):
            # A person may have been quicker than the rollback.
            return found.live or live if found and found.releasing is None else None
        item = target.catalog.get(key)
        known = Recovery.of(item) if item else None
        if known is None or known.attempt_id is None:
            return None
        say(f"{known.attempt_id} rolls {stage} back, attempt {known.attempt} of {max(recoveries.ATTEMPTS)}")
        last = releasing.find_release(target.cloud, pipeline, known.attempt_id)
        is_last = last is not None and (
            last.status == "refused"
            or (last.status == "failed" and known.attempt == max(recoveries.ATTEMPTS))
        )
        return known.attempt_id if is_last else None

    what = f"{stage} to serve another version; a rollback that failed is tried again"
    return waiting.this_release_end(target, pipeline, waiting.until(look, timeout_s=ROLLED_BACK_S, what=what))


def _decide(target: Target, arn: str, status: str, reason: str) -> None:
    description = {"ApprovalDescription": reason} if reason else {}
    target.call(
        "sagemaker", "update_model_package", ModelPackageArn=arn, ModelApprovalStatus=status, **description
    )


def _under_way(target: Target, seen: Package) -> str | None:
    """Return the version's release under way, if any."""
    decided = releases.id_of_approval(seen)
    running = [Release.of(item) for item in target.catalog.listing(keys.RUNNING_RELEASES)]
    for release in running:
        is_its = release.release_id == decided or release.package_arn == seen.arn
        if is_its and release.pipeline == seen.pipeline:
            return release.release_id
    return decided if seen.is_unfinished or _is_starting(target, seen, decided) else None


def _is_starting(target: Target, seen: Package, release_id: str) -> bool:
    """Tell whether the release of a fresh approval is not on record yet, as it is only when it is planned."""
    if releasing.find_release(target.cloud, str(seen.pipeline), release_id):
        return False
    found, quorum = releasing.find_approval(target.cloud, seen.arn), approving.find_quorum(target.cloud, seen)
    if found is None or (quorum is not None and not quorum.is_reached):
        return False
    return from_iso(target.cloud.now()) - from_iso(found.decided_at) < timedelta(seconds=HEARD_S)


def _served_by(target: Target, package: Package) -> str | None:
    """Name the stages that an approval releases to, if the version is live on all of them."""
    # Where an automatic rollback put it back, a person releases it once more.
    live = [row["stage"] for row in versions.serving(target, package) if not versions.is_held(row)]
    wanted = versions.wanted(target, package) or live
    return ", ".join(wanted) if live and set(wanted) <= set(live) else None


def _pinned_before(target: Target, package: Package) -> str | None:
    """Say so if the first stage that an approval would release to is pinned to another version."""
    live = {row["stage"] for row in versions.serving(target, package)}
    rows = {row["stage"]: row for row in stages.stages(target.cloud, str(package.pipeline))}
    pending = [name for name in versions.wanted(target, package) if name not in live]
    row = rows.get(pending[0]) if pending else None
    return versions.refusal(row) if row else None


def _after_withdrawal(target: Target, arn: str, epoch: int) -> Package:
    """Wait until the stack hears that an approval was withdrawn, or of what was decided since."""

    def look() -> Package | None:
        seen = versions.own_package(target, arn)
        return seen if seen.epoch > epoch else None

    return waiting.until(look, timeout_s=HEARD_S, what="the stack to hear that the approval was withdrawn")


def _decision_after(target: Target, arn: str, epoch: int, status: str = APPROVED) -> Package:
    """Wait for the decision after an epoch; raises CommandError if somebody decided otherwise."""

    def look() -> Package | None:
        seen = versions.own_package(target, arn)
        if seen.epoch <= epoch or seen.is_unfinished:
            return None
        # A decision before it may be heard after it was given: only the registry knows the last one.
        return seen if seen.status == status or versions.status(target, arn) != status else None

    noun = "approval" if status == APPROVED else "rejection"
    what = f"the stack to hear of the {noun}, which `reconcile` tells it of again if the event was lost"
    seen = waiting.until(look, timeout_s=HEARD_S, what=what)
    if seen.status != status:
        raise _otherwise(seen)
    return seen


def _otherwise(seen: Package) -> CommandError:
    return CommandError(f"the version is {seen.status} by now: somebody decided otherwise")
