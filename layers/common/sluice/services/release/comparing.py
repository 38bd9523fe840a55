"""Compare what a stage serves with its live release, and with what people decided about that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.builds import Run
from sluice.catalog.records.releases import Package, Recovery
from sluice.domain import names
from sluice.domain.release import deviations, serving
from sluice.lazy import dataclass
from sluice.services.release import deploying, releasing

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Deployment, Stage
    from sluice.ports import Cloud, Item


@dataclass(frozen=True, slots=True)
class Found:
    """How an endpoint differs from its stage's live release, and what SageMaker says of it."""

    faults: list[str]
    endpoint: Item | None = None


def find_faults(cloud: Cloud, stage: Stage) -> Found | None:
    """Compare a stage's endpoint with its live release; None while that is no question.

    While a release is under way, and while the endpoint is being changed, what it serves is no answer.
    """
    if stage.releasing:
        return None
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    if live is None:
        return Found([]) if stage.live is None else None
    if live.is_batch:
        return Found(_model_faults(cloud, live))
    endpoint = cloud.endpoints.describe_endpoint(stage.endpoint_name)
    if fault := deviations.state_fault(endpoint, stage.endpoint_name):
        return Found([fault], endpoint)
    if endpoint is None or deviations.is_changing(endpoint):
        return None
    config = str(endpoint["EndpointConfigName"])
    if config != live.endpoint_config_name:
        return Found([deviations.config_fault(config, live, _released(cloud, stage, config))], endpoint)
    return Found(_content_faults(cloud, live, endpoint), endpoint)


def find_rejected(cloud: Cloud, stage: Stage) -> Package | None:
    """Return the rejected version that still serves on a stage, unless a person was called for that.

    While a release is under way, the version may be replaced.
    """
    if stage.releasing:
        return None
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    item = cloud.catalog.get(keys.package_key(live.package_arn)) if live else None
    package = Package.of(item) if item else None
    if live is None or package is None or package.status != "Rejected":
        return None
    if not live.is_of(package.arn, package.run_id):
        return None
    known = cloud.catalog.get(
        keys.recovery_key(stage.pipeline, stage.name, live.release_id, package.rejection)
    )
    return None if known and Recovery.of(known).problem else package


def _content_faults(cloud: Cloud, live: Deployment, endpoint: Item) -> list[str]:
    config = cloud.endpoints.describe_config(live.endpoint_config_name)
    model = cloud.endpoints.describe_model(live.model_name)
    run = cloud.catalog.get(keys.run_key(live.pipeline, live.run_id)) if live.run_id else None
    return deviations.content_faults(
        serving.Serving(endpoint, config, model),
        live,
        Run.of(run).image_digest if run else None,
        _approved_model(cloud, live),
    )


def _model_faults(cloud: Cloud, live: Deployment) -> list[str]:
    """Look at what transforms use: their stage has no endpoint."""
    model = cloud.endpoints.describe_model(live.model_name)
    return deviations.model_faults(model, live, _approved_model(cloud, live))


def _approved_model(cloud: Cloud, live: Deployment) -> str | None:
    """Return the digest of the live model's archive, if it is known."""
    item = cloud.catalog.get(keys.package_key(live.package_arn))
    package = Package.of(item) if item else None
    # A group that was made again gives another run's package the same ARN.
    is_its = package is not None and live.is_of(package.arn, package.run_id)
    return package.model_sha256 if package and is_its else None


def _released(cloud: Cloud, stage: Stage, config: str) -> Deployment | None:
    """Return the deployment of this stage that made a config, by the config's name."""
    release = names.release_of_config(cloud.stack_name, stage.name, config)
    return deploying.find_deployment(cloud, stage.pipeline, stage.name, release)


def find_stage_of(cloud: Cloud, endpoint_name: str) -> Stage | None:
    """Return the stage that an endpoint belongs to, if any."""
    for item in cloud.catalog.listing(keys.PIPELINES):
        for stage in releasing.find_stages(cloud, keys.pipeline_of(item)):
            if stage.endpoint_name == endpoint_name:
                return stage
    return None
