"""CompareShadow task: look how a new version answers the requests that are mirrored to it."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

import sluice.domain.config  # noqa: F401 - each event needs it, and it loads faster before the first one
from sluice import wiring
from sluice.events import event_parser
from sluice.observability import logger
from sluice.release_events import ReleaseStageTask
from sluice.services.release import shadowing
from sluice.tasks import machine_task


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=ReleaseStageTask)
def lambda_handler(task: ReleaseStageTask, context: LambdaContext) -> dict[str, str]:
    logger.append_keys(release_id=task.release_id, endpoint_name=task.stage.endpoint_name)
    return {"status": shadowing.look(wiring.cloud(), task)}
