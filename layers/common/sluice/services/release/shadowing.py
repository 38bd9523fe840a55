"""Compare a new version with what serves, by requests that both answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Release
from sluice.domain.monitor import windows
from sluice.domain.monitor.bodies import CaptureError
from sluice.domain.monitor.capture import Asked, Shape, asked
from sluice.domain.monitor.windows import Span
from sluice.domain.release import alarms, serving, shadows
from sluice.domain.release.errors import ReleaseRefusedError, ShadowRefusedError
from sluice.domain.release.shadows import Comparison, Measured
from sluice.domain.times import from_iso, to_iso
from sluice.services.building import locations
from sluice.services.release import deploying, model_packages, releasing
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Deployment
    from sluice.domain.config import PipelineConfig, models
    from sluice.ports import Cloud
    from sluice.release_events import ReleaseStageTask

MIRRORING, PASSED, REFUSED = "mirroring", "passed", "refused"


def look(cloud: Cloud, task: ReleaseStageTask) -> str:
    """Look how a stage's shadow does; returns `mirroring` until its time is over, then `passed`.

    The first look begins its time. Raises ShadowRefusedError.
    """
    package = model_packages.find_package(cloud, task.pipeline, task.package_arn)
    config = package.config
    limits = next(each.shadow for each in config.release.stages if each.name == task.stage.stage)
    deployment = deploying.find_deployment(cloud, task.pipeline, task.stage.stage, task.release_id)
    if deployment is None or limits is None:
        raise ReleaseRefusedError(f"{task.release_id} was never planned for a shadow on {task.stage.stage}")
    if deployment.shadow is None:
        _begin(cloud, task, deployment, limits)
        return MIRRORING
    if deployment.shadow["status"] != MIRRORING:
        return _answered(deployment.shadow)
    return _judge(cloud, task, deployment, config, limits)


def _begin(cloud: Cloud, task: ReleaseStageTask, deployment: Deployment, limits: models.Shadow) -> None:
    since = from_iso(cloud.now())
    until = to_iso(since + timedelta(seconds=limits.bake_s))
    begun = {"status": MIRRORING, "percent": limits.percent, "since": to_iso(since), "until": until}
    if cloud.catalog.apply(changes.begin_shadow(deployment, begun)):
        detail = f"{task.stage.stage}: v{deployment.package_version}, {shadows.said(begun)}"
        note(cloud, task.pipeline, to_iso(since), task.release_id, "shadow began", detail)


def _judge(
    cloud: Cloud,
    task: ReleaseStageTask,
    deployment: Deployment,
    config: PipelineConfig,
    limits: models.Shadow,
) -> str:
    begun, now = dict(deployment.shadow or {}), from_iso(cloud.now())
    since, is_over = from_iso(begun["since"]), to_iso(now) >= begun["until"]
    found = _measured(cloud, task, since, now, config)
    reasons = _disturbed(cloud, task, since)
    if is_over and not reasons:
        found = Comparison(found.live, found.shadow, _compared(cloud, task, since, now, config, limits))
        reasons = shadows.faults(found, limits, config.release)
    reasons = reasons or shadows.failing(found, limits, config.release)
    status = REFUSED if reasons else PASSED if is_over else MIRRORING
    known = {**begun, **found.item(), "status": status, **({"reasons": reasons} if reasons else {})}
    cloud.catalog.apply(changes.note_shadow(deployment, known))
    if status != MIRRORING:
        detail = "; ".join([f"{task.stage.stage}: {shadows.said(known)}", *reasons])
        note(cloud, task.pipeline, to_iso(now), task.release_id, f"shadow {status}", detail)
    return _answered(known)


def _answered(shadow: Any) -> str:
    if shadow["status"] == REFUSED:
        raise ShadowRefusedError(*(f"as a shadow {reason}" for reason in shadow["reasons"]))
    return str(shadow["status"])


def _disturbed(cloud: Cloud, task: ReleaseStageTask, since: datetime) -> list[str]:
    """Say why there is nothing to compare any more: what serves has another config, or must be taken back."""
    stage = task.stage
    endpoint = cloud.endpoints.describe_endpoint(stage.endpoint_name) or {}
    if endpoint.get("EndpointConfigName") != stage.require_shadow().config_name:
        return [f"it was lost: {stage.endpoint_name} was changed by somebody else meanwhile"]
    guarded = releasing.find_guarded(cloud, task.pipeline, stage.stage, stage.endpoint_name)
    firing = [
        name
        for name, alarm in cloud.alarms.describe(guarded.alarm_names).items()
        if alarm["StateValue"] == "ALARM" and alarms.fires_since(alarm) >= since
    ]
    if firing:
        return [f"it was ended, as what serves is in ALARM ({', '.join(firing)})"]
    waiting = [each.release_id for each in _rollbacks(cloud, task.pipeline)]
    return [f"it was ended, as a rollback waits ({', '.join(waiting)})"] if waiting else []


def _rollbacks(cloud: Cloud, pipeline: str) -> Iterator[Release]:
    """Yield the rollbacks of a pipeline that have begun, and so wait for a stage or have another."""
    for item in cloud.catalog.listing(keys.RUNNING_RELEASES):
        release = Release.of(item)
        if release.pipeline == pipeline and release.is_rollback:
            yield release


def _measured(
    cloud: Cloud, task: ReleaseStageTask, since: datetime, now: datetime, config: PipelineConfig
) -> Comparison:
    """Ask CloudWatch what it counted of both variants since a time."""

    def of(variant: str) -> Measured:
        asked_of = shadows.questions(config.serve.errors)
        values = {
            name: [
                value
                for _, value in cloud.alarms.values(
                    shadows.counted(task.stage.endpoint_name, variant, *about), since, now
                )
            ]
            for name, about in asked_of.items()
        }
        return shadows.measured(values)

    return Comparison(of(serving.VARIANT), of(serving.shadow_variant(task.release_id)))


def _compared(
    cloud: Cloud,
    task: ReleaseStageTask,
    since: datetime,
    now: datetime,
    config: PipelineConfig,
    limits: models.Shadow,
) -> shadows.Compared:
    """Compare what both variants captured since a time."""
    shape, window = Shape.of(config), Span(since, now)
    variants = (serving.VARIANT, serving.shadow_variant(task.release_id))
    live, shadow = (_captured(cloud, task, variant, window, shape) for variant in variants)
    return shadows.compare(live, shadow, limits.tolerance, is_number=shape.is_number)


def _captured(
    cloud: Cloud, task: ReleaseStageTask, variant: str, window: Span, shape: Shape
) -> Iterator[Asked]:
    """Yield what a variant captured that can be read; what SageMaker has yet to write is not waited for."""
    bucket = cloud.artifact_bucket
    prefix = locations(cloud, task.pipeline).capture.removeprefix(f"s3://{bucket}/")
    for hour in windows.hours(window):
        folder = f"{prefix}/{task.stage.endpoint_name}/{variant}/{hour}/"
        for head in cloud.objects.listing(bucket, folder):
            if from_iso(head.last_modified) < window.start.replace(microsecond=0):
                continue
            data = b"".join(cloud.objects.chunks(bucket, head.key))
            for line in filter(str.strip, data.decode("utf-8", "replace").splitlines()):
                try:
                    found = asked(line, shape, ignored=serving.SMOKE_TEST)
                except CaptureError:
                    continue
                if found is not None:
                    yield found
