"""Take shadows away that releases left: what was stopped takes nothing back itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.domain import tags
from sluice.domain.release import scaling, serving
from sluice.services.release import deploying
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Stage
    from sluice.ports import Cloud


def take_away(cloud: Cloud, stage: Stage) -> bool:
    """Let an endpoint serve without the shadow that a release left; False if it has none.

    A shadow that somebody else gave it stays, and is told as any other deviation.
    """
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    endpoint = cloud.endpoints.describe_endpoint(stage.endpoint_name)
    if stage.releasing or live is None or endpoint is None or not serving.has_shadow(endpoint):
        return False
    if serving.status(endpoint["EndpointStatus"]) != "inservice":
        # The event of its end comes.
        return False
    config = cloud.endpoints.describe_config(str(endpoint["EndpointConfigName"])) or {}
    owner = tags.of_pipeline(cloud.stack_name, stage.pipeline)
    if not config or not tags.are_on(owner, cloud.endpoints.tags(config["EndpointConfigArn"])):
        return False
    cloud.endpoints.update_endpoint(
        {
            "EndpointName": stage.endpoint_name,
            "EndpointConfigName": live.endpoint_config_name,
            **scaling.retained(),
        }
    )
    detail = f"{stage.name}: the release that compared it has ended"
    note(cloud, stage.pipeline, cloud.now(), live.release_id, "shadow taken away", detail)
    return True
