"""Record that a stage serves nothing, once its endpoint is gone."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import releases as changes
from sluice.domain.actors import unverified
from sluice.domain.release import serving
from sluice.domain.times import from_iso, to_iso
from sluice.events import StageRetired, event_parser
from sluice.observability import logger
from sluice.services.release import releasing
from sluice.services.timeline import note


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=StageRetired)
def lambda_handler(event: StageRetired, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    logger.append_keys(pipeline=event.pipeline, stage=event.stage)
    stage = releasing.find_stage(cloud, event.pipeline, event.stage)
    if stage is None or stage.releasing:
        return {"status": "release under way" if stage else "no stage"}
    endpoint = cloud.endpoints.describe_endpoint(stage.endpoint_name)
    if endpoint is not None and serving.status(endpoint["EndpointStatus"]) != "deleting":
        return {"status": "still serves"}
    at = to_iso(from_iso(event.time))
    if live := stage.live:
        # Write the deployment first: the stage names it until all is written.
        cloud.catalog.apply(changes.retire_deployment(stage.pipeline, stage.name, live, at))
        cloud.catalog.apply(changes.retire_stage(stage.pipeline, stage.name, live))
    detail = event.reason or f"{stage.endpoint_name} and its alarms were deleted"
    note(
        cloud,
        event.pipeline,
        at,
        f"{event.pipeline}-{event.stage}",
        "retired",
        detail,
        unverified(event.actor),
    )
    return {"status": "retired"}
