"""Keep the registry's life cycle of versions true, and heed what a person writes there."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.events import LifeCycleAsked
from sluice.observability import logger
from sluice.services import hearing
from sluice.services.release import life_cycles


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    cloud, detail = wiring.cloud(), LifeCycleAsked.model_validate(event).detail
    if detail.arn is not None:
        logger.append_keys(model_package_arn=detail.arn)
        written = [life_cycles.heed(cloud, detail.arn)]
    else:
        logger.append_keys(release_id=detail.release_id)
        written = [*life_cycles.follow_release(cloud, str(detail.pipeline), str(detail.release_id))]
        hearing.hear(cloud, "follow_life_cycle", "ReleaseEnded", event["detail"])
    return {"written": [each for each in written if each]}
