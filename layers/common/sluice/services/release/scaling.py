"""Scale endpoints as their live releases, and people, want it; stand still while an endpoint changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluice.domain.release import scaling, serving
from sluice.services.release import deploying, releasing

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Stage
    from sluice.domain.config import PipelineConfig, models
    from sluice.ports import Cloud, Item


def plan(cloud: Cloud, stage: Stage, endpoint: Item, wanted: models.ServeCompute) -> dict[str, bool]:
    """Plan how a release treats the instances of the endpoint that it changes.

    `is_scaled` if somebody scales it before or after, `keeps_instances` if there are to be as many as now.
    """
    compute = scaling.effective(wanted, stage.scaled)
    variant: dict[str, Any] = next(iter(endpoint.get("ProductionVariants") or ()), {})
    has_instances = compute.serverless is None and "DesiredInstanceCount" in variant
    is_target = has_instances and cloud.scaling.describe(scaling.target(stage.endpoint_name)) is not None
    is_by_others = is_target or stage.scaled is not None
    suits = has_instances and scaling.suits(compute, variant["DesiredInstanceCount"])
    return {
        "is_scaled": is_by_others or compute.autoscaling is not None,
        "keeps_instances": is_by_others and suits,
    }


def pause(cloud: Cloud, endpoint_name: str, served: str, wanted: str) -> None:
    """Stop scaling an endpoint before it changes from one config to another.

    SageMaker gives a scaled variant no other instance type: then its target is registered anew afterwards.
    """
    target = scaling.target(endpoint_name)
    if cloud.scaling.describe(target) is None:
        return
    if _instance_type(cloud, served) == _instance_type(cloud, wanted):
        cloud.scaling.register(scaling.suspend_request(endpoint_name))
    else:
        cloud.scaling.deregister(target)


def _instance_type(cloud: Cloud, config_name: str) -> str | None:
    config = cloud.endpoints.describe_config(config_name) or {}
    return next((variant.get("InstanceType") for variant in config.get("ProductionVariants", ())), None)


def announce(cloud: Cloud, pipeline: str, stage: str) -> None:
    """Ask for a stage to be scaled as it should be, once its release is over or was promoted."""
    from sluice.services import announcing  # what looks for faults announces nothing

    announcing.announce(cloud, "ScalingDue", pipeline, {"stage": stage})


def find_wanted(cloud: Cloud, stage: Stage) -> models.ServeCompute | None:
    """Return the compute that a stage's live release, and a person, want; None if nothing serves."""
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    config = releasing.live_config(cloud, live) if live else None
    return scaling.effective(config.serve.compute, stage.scaled) if config else None


def find_faults(cloud: Cloud, stage: Stage, config: PipelineConfig | None) -> list[str]:
    """Say what is wrong with how a stage scales, by its settled config; without one nothing is."""
    wanted = scaling.effective(config.serve.compute, stage.scaled) if config else None
    if wanted is None or wanted.autoscaling is None:
        return []
    found = cloud.scaling.describe(scaling.target(stage.endpoint_name))
    return scaling.faults(stage.endpoint_name, wanted.autoscaling, found)


def settle(cloud: Cloud, stage: Stage) -> list[str]:
    """Scale a stage's endpoint as it should be; returns what was changed.

    While it changes nothing is done: the end of its release asks for this again.
    """
    wanted = find_wanted(cloud, stage)
    endpoint = cloud.endpoints.describe_endpoint(stage.endpoint_name)
    if wanted is None or endpoint is None or not _is_at_rest(endpoint):
        return []
    changed = _track(cloud, stage.endpoint_name, wanted)
    if capacity := scaling.capacity(endpoint, wanted):
        cloud.endpoints.set_capacity(stage.endpoint_name, {"VariantName": serving.VARIANT, **capacity})
        changed.append(scaling.told(capacity))
    return changed


def _is_at_rest(endpoint: dict[str, object]) -> bool:
    is_in_service = serving.status(str(endpoint["EndpointStatus"])) == "inservice"
    return is_in_service and not endpoint.get("PendingDeploymentSummary")


def _track(cloud: Cloud, endpoint_name: str, wanted: models.ServeCompute) -> list[str]:
    found = cloud.scaling.describe(scaling.target(endpoint_name))
    if wanted.autoscaling is None:
        if found is not None:
            cloud.scaling.deregister(scaling.target(endpoint_name))
        return ["its instances follow its requests no more"] if found else []
    changed = scaling.faults(endpoint_name, wanted.autoscaling, found)
    if changed:
        cloud.scaling.register(scaling.register_request(endpoint_name, wanted.autoscaling))
        cloud.scaling.track(scaling.policy_request(endpoint_name, wanted.autoscaling))
    return changed
