"""Answer the release that waits for an endpoint, by what the endpoint serves."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes.tasks import close_task
from sluice.catalog.records.releases import EndpointTask
from sluice.domain.release import serving
from sluice.events import EndpointStateChanged, event_parser
from sluice.observability import logger
from sluice.ports import Cloud


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=EndpointStateChanged)
def lambda_handler(event: EndpointStateChanged, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    name = event.endpoint_name
    logger.append_keys(endpoint_name=name)
    item = cloud.catalog.get(keys.task_key(name))
    task = EndpointTask.of(item) if item else None
    if task is None or task.status != "open":
        return {"status": "nobody waits"}
    endpoint = cloud.endpoints.describe_endpoint(name)
    outcome = serving.outcome(endpoint, name, task.endpoint_config_name)
    if not task.requested and not isinstance(outcome, serving.Deployed):
        return {"status": "not requested yet"}
    if isinstance(outcome, serving.Pending):
        return {"status": "still changing"}
    _answer(cloud, task, outcome)
    cloud.catalog.apply(close_task(name, task.task_token))
    return {"status": type(outcome).__name__}


def _answer(cloud: Cloud, task: EndpointTask, outcome: serving.Deployed | serving.NotDeployed) -> None:
    workflows, token = cloud.workflows, task.task_token
    if isinstance(outcome, serving.NotDeployed):
        logger.warning("not deployed", extra={"error": outcome.error, "cause": outcome.cause})
        heard = workflows.fail(token, outcome.error, outcome.cause)
    else:
        output = {
            "stage": task.step,
            "endpoint_name": task.endpoint_name,
            "endpoint_config_name": task.endpoint_config_name,
        }
        heard = workflows.succeed(token, output)
    if not heard:
        logger.info("the release did not wait any more")
