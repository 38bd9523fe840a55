"""Look whether an endpoint serves what was released to its stage, and tell once if it does not.

Only a shadow that a release of ours left is taken away.
"""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.events import EndpointStateChanged, event_parser
from sluice.observability import logger
from sluice.services.release import comparing, deviating, unshadowing


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=EndpointStateChanged)
def lambda_handler(event: EndpointStateChanged, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    logger.append_keys(endpoint_name=event.endpoint_name)
    stage = comparing.find_stage_of(cloud, event.endpoint_name)
    if stage is None:
        return {"status": "not ours"}
    if unshadowing.take_away(cloud, stage):
        return {"status": "shadow taken away"}
    found = comparing.find_faults(cloud, stage)
    if found is None:
        return {"status": "being changed"}
    return {"status": deviating.record(cloud, stage, found.faults)}
