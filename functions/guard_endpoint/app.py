"""Restore a stage's alarms as its live release wants them: they are part of the release."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.domain.release import serving
from sluice.events import AlarmConfigurationChanged, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services.release import releasing
from sluice.services.timeline import note


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=AlarmConfigurationChanged)
def lambda_handler(event: AlarmConfigurationChanged, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(alarm_name=event.alarm_name)
    stage = releasing.find_guarded_stage(cloud, event.alarm_name, or_watched=True)
    if stage is None:
        return {"status": "not ours"}
    config = releasing.find_settled_config(cloud, stage)
    wanted, faults = releasing.find_guard_faults(cloud, stage, config)
    has_endpoint = config is None or config.serve.compute.batch is None
    if not faults or (has_endpoint and not _serves(cloud, stage.endpoint_name)):
        return {"status": "nothing to do"}
    for request in wanted:
        if request["AlarmName"] in faults:
            cloud.alarms.put(request)
    names = [request["AlarmName"] for request in wanted]
    cloud.alarms.delete([name for name in faults if name not in names])
    detail = "; ".join(f"{name} {fault}" for name, fault in faults.items())
    detail = f"{stage.name}: {detail}"
    note(cloud, stage.pipeline, cloud.now(), str(stage.live), "alarms put back", detail)
    return {"status": "put back", "alarms": sorted(faults)}


def _serves(cloud: Cloud, endpoint_name: str) -> bool:
    """Tell whether the endpoint exists: a deleted one needs no guard."""
    endpoint = cloud.endpoints.describe_endpoint(endpoint_name)
    return endpoint is not None and serving.status(endpoint["EndpointStatus"]) != "deleting"
