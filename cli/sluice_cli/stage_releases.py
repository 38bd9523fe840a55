"""Release a version to a stage by command, roll a stage back, and tell who was quicker."""

from __future__ import annotations

import json
import uuid
from typing import Any

from sluice.domain import names
from sluice.domain.release import packages
from sluice.services.release import approving, deploying, releasing
from sluice.services.views import stages
from sluice_cli import versions
from sluice_cli.errors import EXIT_REJECTED, CommandError
from sluice_cli.target import Target
from sluice_cli.versions import APPROVED


def release_to(target: Target, arn: str, stage: str, reason: str) -> dict[str, Any]:
    """Release an approved version to a stage, unless it serves there, or is on its way.

    The result holds `release_id` of a release under way, or, if there is nothing to release, only a `note`.
    Raises CommandError if the version is not approved, has no such stage, or if another is pinned there.
    """
    package, result = versions.own_package(target, arn), {"model_package_arn": arn, "status": APPROVED}
    versions.check_stage(target, package, stage)
    name, pipeline = packages.name_of(target.stack, package), str(package.pipeline)
    quorum = approving.find_quorum(target.cloud, package)
    if (status := versions.status(target, arn)) != APPROVED or (quorum and not quorum.is_reached):
        said = f"has {quorum.missing}" if quorum and status == APPROVED else f"is {status}"
        raise CommandError(
            f"{name} {said}, and a stage is for what was approved",
            hint=f"`sluice approve {name}` approves it.",
            exit_code=EXIT_REJECTED,
        )
    if release_id := versions.coming(target, package).get(stage):
        return {**result, "release_id": release_id, "note": f"{release_id} is under way to {stage} already"}
    for row in versions.settled(target, package):
        if row["stage"] == stage:
            since = f"since {row['promoted_at']}{_released_by(target, pipeline, row)}"
            return {**result, "note": f"{name} is live on {stage} {since}: nothing to release"}
    refuse_pinned(target, pipeline, stage)
    command = {"package_arn": arn, "stages": [stage], "reason": reason}
    return {**result, "release_id": start_release(target, pipeline, package.version, command)}


def _released_by(target: Target, pipeline: str, row: dict[str, Any]) -> str:
    found = releasing.find_release(target.cloud, pipeline, row["live"])
    return f", released by {found.actor}" if found else ""


def already_released(target: Target, arn: str, stage: str | None, release: dict[str, Any]) -> str | None:
    """Name the release that was quicker than one that was refused, if the version serves by it."""
    if release["status"] != "refused":
        return None
    package = versions.own_package(target, arn)
    wanted = {stage} if stage else set(versions.wanted(target, package))
    live = {row["stage"]: str(row["live"]) for row in versions.settled(target, package)}
    return live[min(wanted)] if wanted and wanted <= set(live) else None


def roll_back(target: Target, pipeline: str, row: dict[str, Any], reason: str) -> dict[str, Any]:
    """Take back the release that a stage's `row` calls live, unless that is under way.

    Naming it keeps a command that is repeated from rolling back further.
    """
    if row["takes_back"] is not None and row["takes_back"] == row["live_version"]:
        found = releasing.find_release(target.cloud, pipeline, row["releasing"])
        by = f" since {found.started_at}, by {found.actor}" if found else ""
        note = f"{row['releasing']} takes it back already{by}"
        return {"release_id": row["releasing"], "note": note}
    command = {"stage": row["stage"], "rolls_back": row["live"], "reason": reason}
    return {"release_id": start_release(target, pipeline, row["live_version"] or 0, command)}


def already_rolled_back(
    target: Target, pipeline: str, row: dict[str, Any], release: dict[str, Any]
) -> str | None:
    """Name the rollback that was quicker than one that was refused; `row` is the stage's before both."""
    if release["status"] != "refused" or row["live"] is None:
        return None
    taken = deploying.find_deployment(target.cloud, pipeline, row["stage"], row["live"])
    found = releasing.find_stage(target.cloud, pipeline, row["stage"])
    return found.live if found and taken and taken.status == "rolled_back" else None


def start_release(target: Target, pipeline: str, version: int, command: dict[str, Any]) -> str:
    """Start a release by command, with an id of its own; returns the id."""
    named = names.release_id if "package_arn" in command else names.rollback_id
    release_id = named(pipeline, version, f"command#{uuid.uuid4()}")
    actor = target.call("sts", "get_caller_identity")["Arn"]
    request = {"pipeline": pipeline, "release_id": release_id, "cause": "command", "actor": actor, **command}
    target.call(
        "stepfunctions",
        "start_execution",
        stateMachineArn=target.outputs["ReleaseModelStateMachineArn"],
        name=release_id,
        input=json.dumps(request),
    )
    return release_id


def refuse_pinned(target: Target, pipeline: str, stage: str) -> None:
    """Raise CommandError if what serves on a stage is pinned: a release there would be refused."""
    for row in stages.stages(target.cloud, pipeline):
        if row["stage"] == stage and (why := versions.refusal(row)):
            raise CommandError(why, exit_code=EXIT_REJECTED)
