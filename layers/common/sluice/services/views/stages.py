"""Show stages: what serves, its endpoint, its alarms, and releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.releases import Deployment, Recovery, Stage
from sluice.domain import names
from sluice.domain.release import packages, shadows
from sluice.domain.release import recoveries as decided
from sluice.ports import Cloud
from sluice.services.release import deploying, deviating, holding, releasing
from sluice.services.release import scaling as scales


def stages(cloud: Cloud, pipeline: str) -> list[dict[str, Any]]:
    """List what serves on each stage, by the catalog."""
    return of_stages(cloud, releasing.find_stages(cloud, pipeline))


def of_stages(cloud: Cloud, found: Sequence[Stage]) -> list[dict[str, Any]]:
    return [_stage(cloud, stage) for stage in found]


def _stage(cloud: Cloud, stage: Stage) -> dict[str, Any]:
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    return {
        "stage": stage.name,
        "endpoint_name": stage.endpoint_name,
        "live": stage.live,
        "releasing": stage.releasing,
        "takes_back": names.taken_back_by(stage.releasing) if stage.releasing else None,
        "shadow": _shadow(cloud, stage),
        "live_version": live.package_version if live else None,
        "live_package_arn": live.package_arn if live else None,
        "promoted_at": live.promoted_at if live else None,
        "live_group": (packages.group_of(live.package_arn) or None) if live else None,
        "run_id": live.run_id if live else None,
        "is_batch": live.is_batch if live else False,
        "deviation": _deviation(cloud, stage, live),
        "hold": _hold(cloud, stage, live),
    }


def _shadow(cloud: Cloud, stage: Stage) -> dict[str, Any] | None:
    """Tell how the version that is being released does beside what serves, while that is looked at."""
    trying = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.releasing)
    if trying is None or trying.shadow is None or trying.shadow["status"] != "mirroring":
        return None
    return {"version": trying.package_version, **trying.shadow, "said": shadows.said(trying.shadow)}


def _hold(cloud: Cloud, stage: Stage, live: Deployment | None) -> dict[str, Any] | None:
    """Say why alarms only call a person there, since when, and which command ends that."""
    hold = holding.find_hold(cloud, stage, live)
    return asdict(hold) if hold else None


def _deviation(cloud: Cloud, stage: Stage, live: Deployment | None) -> dict[str, Any] | None:
    """Say how the endpoint differs from what is live, since when, and which commands end that."""
    if not stage.deviates or stage.releasing or live is None:
        return None
    return {
        "since": (stage.deviation or {})["at"],
        "faults": stage.known_faults,
        "commands": [
            deviating.way_back(cloud, live),
            f"rollback {stage.pipeline} --stage {stage.name}",
            f"retire {stage.pipeline} --stage {stage.name}",
        ],
    }


def releases(cloud: Cloud, pipeline: str) -> list[dict[str, Any]]:
    """List a pipeline's releases with their ids."""
    items = cloud.catalog.query(keys.partition(pipeline), keys.RELEASES)
    return [{"release_id": keys.release_id_of(item), **keys.shown(item)} for item in items]


def last_release(cloud: Cloud, pipeline: str, noted: str | None) -> dict[str, Any] | None:
    """Return the release that began last, with the `command` that tries a failed one again.

    The pipeline notes which that is; in an older stack look at all.
    """
    item = cloud.catalog.get(keys.release_key(pipeline, noted)) if noted else None
    if item is not None:
        found: dict[str, Any] | None = {"release_id": noted, **keys.shown(item)}
    else:
        listed = releases(cloud, pipeline)
        found = max(listed, key=lambda each: str(each.get("started_at") or ""), default=None)
    return found and {**found, "command": _again(cloud, pipeline, found)}


def _again(cloud: Cloud, pipeline: str, release: Mapping[str, Any]) -> str | None:
    """Return the command that tries a failed release again; an automatic rollback is tried anyway."""
    reached, arn = release.get("stages"), release.get("package_arn")
    by_command = release["cause"] == "command"
    if release.get("status") != "failed" or not reached or arn is None:
        return None
    if release.get("is_rollback"):
        return f"rollback {pipeline} --stage {reached[0]}" if by_command else None
    version = int(release["package_version"])
    name = packages.version_name(cloud.stack_name, pipeline, packages.group_of(arn), version)
    return f"approve {name} --stage {reached[0]}" if by_command else f"approve {name}"


def endpoint_status(cloud: Cloud, endpoint_name: str) -> str:
    """Return the endpoint's status, or `missing`."""
    found = cloud.endpoints.describe_endpoint(endpoint_name)
    return str(found["EndpointStatus"]) if found else "missing"


def alarms(cloud: Cloud, pipeline: str, stage: str, endpoint_name: str) -> list[dict[str, Any]]:
    """List the stage's alarms and their states."""
    guarded = releasing.find_guarded(cloud, pipeline, stage, endpoint_name)
    names = (*guarded.alarm_names, *releasing.watch_alarm_names(guarded))
    found = cloud.alarms.describe(names)
    return [{"alarm": name, "state": found[name]["StateValue"]} for name in names if name in found]


def recoveries(cloud: Cloud, pipeline: str, stage: str, live: str | None) -> list[dict[str, Any]]:
    """List what was tried to take back what is live, and why a person must act."""
    prefix = keys.recoveries_of(stage, live) if live else None
    found = cloud.catalog.query(keys.partition(pipeline), prefix) if prefix else []
    return [
        {
            "fault": each.fault.partition("#")[0],
            "attempt": each.attempt or 0,
            "attempts": len(decided.ATTEMPTS),
            "release_id": each.attempt_id,
            "problem": each.problem,
            "problem_at": each.problem_at,
            "command": decided.command(each),
        }
        for each in map(Recovery.of, found)
    ]


def scaling(cloud: Cloud, pipeline: str, stage: str, *, with_faults: bool = True) -> dict[str, Any] | None:
    """Tell how much a stage's endpoint can serve, and who says so; None if nothing serves.

    Its faults ask Application Auto Scaling, which not everybody may.
    """
    found = releasing.find_stage(cloud, pipeline, stage)
    wanted = scales.find_wanted(cloud, found) if found else None
    endpoint = cloud.endpoints.describe_endpoint(found.endpoint_name) if found else None
    if found is None or wanted is None or endpoint is None:
        return None
    variant: dict[str, Any] = next(iter(endpoint.get("ProductionVariants") or ()), {})
    limits = variant.get("CurrentServerlessConfig", {})
    scaled = wanted.autoscaling
    return {
        "instances": variant.get("DesiredInstanceCount"),
        "concurrency": limits.get("MaxConcurrency"),
        "min": scaled.min if scaled else None,
        "max": scaled.max if scaled else None,
        "invocations_per_instance": scaled.invocations_per_instance if scaled else None,
        "by": found.scaled.actor if found.scaled else None,
        "faults": scales.find_faults(cloud, found, releasing.find_settled_config(cloud, found))
        if with_faults
        else [],
    }


def guard_faults(cloud: Cloud, pipeline: str, stage: str) -> list[str]:
    """List what is wrong with the alarms of the stage's live release, until `reconcile` restores them."""
    found = releasing.find_stage(cloud, pipeline, stage)
    config = releasing.find_settled_config(cloud, found) if found else None
    _, faults = releasing.find_guard_faults(cloud, found, config) if found else ([], {})
    return [f"{name} {fault}" for name, fault in faults.items()]
