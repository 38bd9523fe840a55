"""`sluice retire`: delete endpoints and what guards and scales them, with the caller's own rights."""

from __future__ import annotations

from typing import Any

from sluice.domain import tags
from sluice.domain.release import scaling, serving
from sluice.domain.release.alarms import Guarded
from sluice.services.release import deploying, releasing
from sluice.services.views import stages
from sluice_cli import bus, lookup, waiting
from sluice_cli.errors import CommandError
from sluice_cli.target import Target

RECORDED_S = 60


def plan(target: Target, pipeline: str, wanted: str | None) -> list[dict[str, Any]]:
    """List what to delete, by stage; raises CommandError if it must not be deleted."""
    found = stages.stages(target.cloud, pipeline)
    chosen = found if wanted is None else [lookup.stage_among(found, pipeline, wanted)]
    return [_planned(target, pipeline, stage) for stage in chosen]


def _planned(target: Target, pipeline: str, stage: dict[str, Any]) -> dict[str, Any]:
    name, endpoint_name = stage["stage"], stage["endpoint_name"]
    if stage["releasing"]:
        raise CommandError(
            f"{stage['releasing']} is under way on {name}",
            hint=f"Wait for its end (`sluice status {pipeline}`), then retire the stage.",
        )
    endpoint = target.cloud.endpoints.describe_endpoint(endpoint_name)
    config = serving.target_config(endpoint) if endpoint else None
    is_released = deploying.is_deployed(target.cloud, pipeline, name, stage["live"], config)
    if endpoint and not is_released and not _is_own(target, pipeline, name, endpoint):
        raise CommandError(
            f"{endpoint_name} serves {config}, which this stack did not deploy, and has not the stage's tags",
            hint="It is not the stack's to delete: delete it yourself if nobody needs it.",
        )
    found = stages.alarms(target.cloud, pipeline, name, endpoint_name)
    ours = _alarm_names(Guarded(target.stack, pipeline, name, endpoint_name))
    watching = [alarm["alarm"] for alarm in found if alarm["alarm"] in ours]
    return {
        "stage": name,
        "endpoint_name": endpoint_name,
        "live_version": stage["live_version"],
        # What somebody made it serve by hand.
        "foreign_config": config if endpoint and not is_released else None,
        "is_there": endpoint is not None,
        "is_batch": stage["is_batch"],
        "is_going": endpoint is not None and serving.status(endpoint["EndpointStatus"]) == "deleting",
        "alarms": watching,
        "is_scaled": target.cloud.scaling.describe(scaling.target(endpoint_name)) is not None,
    }


def _is_own(target: Target, pipeline: str, stage: str, endpoint: dict[str, Any]) -> bool:
    """Tell by its tags whether the stage's releases made the endpoint, whatever it serves by now."""
    found = target.cloud.endpoints.tags(endpoint["EndpointArn"])
    return tags.are_on(tags.of_stage(target.stack, pipeline, stage), found)


def retire(target: Target, pipeline: str, planned: list[dict[str, Any]], reason: str) -> None:
    """Delete the alarms and the endpoints, and wait until the catalog says so."""
    actor = target.call("sts", "get_caller_identity")["Arn"]
    for stage in planned:
        if stage["alarms"]:
            target.call("cloudwatch", "delete_alarms", AlarmNames=stage["alarms"])
        if stage["is_scaled"]:
            target.call(
                "application-autoscaling",
                "deregister_scalable_target",
                **scaling.target(stage["endpoint_name"]),
            )
        if stage["is_there"] and not stage["is_going"]:
            target.call("sagemaker", "delete_endpoint", EndpointName=stage["endpoint_name"])
        detail = {"stack": target.stack, "pipeline": pipeline, "stage": stage["stage"]}
        bus.announce(target.client("events"), "StageRetired", {**detail, "actor": actor, "reason": reason})
    _until_recorded(target, pipeline, [stage["stage"] for stage in planned])


def _until_recorded(target: Target, pipeline: str, stages: list[str]) -> None:
    def look() -> bool | None:
        found = [releasing.find_stage(target.cloud, pipeline, stage) for stage in stages]
        return None if any(stage and stage.live for stage in found) else True

    waiting.until(
        look,
        timeout_s=RECORDED_S,
        what="the catalog to say that the stages serve nothing",
        otherwise=waiting.ASK_AGAIN,
    )


def _alarm_names(guarded: Guarded) -> tuple[str, ...]:
    return (*guarded.alarm_names, *releasing.watch_alarm_names(guarded))
