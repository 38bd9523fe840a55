"""Record that a release runs, and tell who asked for it by the stack's own records: inputs may lie."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Approval, Package, Release
from sluice.domain import actors
from sluice.domain.release import recoveries, releases
from sluice.services import timeline
from sluice.services.release import deploying

if TYPE_CHECKING:
    from sluice.domain.release.releases import Request
    from sluice.ports import Cloud

# Search so many entries of a timeline: an alarm is noted just before its rollback starts.
_NEWEST = 200


def begin(cloud: Cloud, request: Request, execution_arn: str) -> tuple[Release, bool]:
    """Record that a release runs; returns it, and whether it was not known before."""
    release = Release(
        pipeline=request.pipeline,
        release_id=request.release_id,
        cause=request.cause,
        status="running",
        actor=actor(cloud, request),
        execution_arn=execution_arn,
        started_at=cloud.now(),
        is_rollback=request.is_rollback,
    )
    is_new = cloud.catalog.apply(changes.start_release(release))
    if is_new:
        cloud.catalog.apply(changes.note_release(request.pipeline, request.release_id))
    return release, is_new


def actor(cloud: Cloud, request: Request) -> str:
    """Return the approver or the alarm on record; mark any other actor of the request as unverified."""
    recorded = {"approval": _approver, "rejection": _rejecter, "alarm": _alarm}.get(request.cause)
    return (recorded(cloud, request) if recorded else None) or actors.unverified(request.actor)


def _approver(cloud: Cloud, request: Request) -> str | None:
    return _decider(cloud, request, str(request.package_arn), None)


def _rejecter(cloud: Cloud, request: Request) -> str | None:
    stage = str(request.stage)
    live = deploying.find_deployment(cloud, request.pipeline, stage, request.rolls_back)
    return _decider(cloud, request, live.package_arn, stage) if live else None


def _decider(cloud: Cloud, request: Request, arn: str, stage: str | None) -> str | None:
    """Return who took the decision about a package that leads to exactly this request."""
    item = cloud.catalog.get(keys.package_key(arn))
    package = Package.of(item) if item else Package(arn)
    for item in cloud.catalog.query(keys.package_partition(arn), keys.APPROVALS):
        approval = Approval.of(item)
        if stage is None:
            args = (request.pipeline, arn, package.version, approval.epoch, "", "")
            follows = [releases.approval_request(*args)]
        else:
            decided = replace(package, approval_epoch=approval.epoch)
            ask = partial(releases.rejection_request, request.pipeline, stage, decided, "", "", "")
            follows = [ask(attempt) for attempt in recoveries.ATTEMPTS]
        if request.release_id in {each.release_id for each in follows}:
            return approval.approver
    return None


def _alarm(cloud: Cloud, request: Request) -> str | None:
    stage = str(request.stage)
    live = deploying.find_deployment(cloud, request.pipeline, stage, request.rolls_back)
    if live is None:
        return None
    ask = partial(releases.alarm_request, request.pipeline, stage, live, request.actor, "")
    follows = {ask(attempt).release_id for attempt in recoveries.ATTEMPTS}
    was_told = any(
        (entry.subject, entry.event, entry.actor) == (live.release_id, "alarm", request.actor)
        for entry in timeline.newest(cloud, request.pipeline, _NEWEST)
    )
    return request.actor if was_told and request.release_id in follows else None
