"""SmokeTest task: prove that the endpoint serves the approved model and answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.domain.release import answers, serving
from sluice.domain.release.errors import SmokeTestFailedError
from sluice.events import event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.release_events import ReleaseStageTask
from sluice.services.release import model_packages
from sluice.services.release.model_packages import Package
from sluice.tasks import machine_task

# A model server may refuse its first requests though it just passed its health check.
_ATTEMPTS = 4
_PAUSE_S = 1.0
_EXCERPT = 300


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=ReleaseStageTask)
def lambda_handler(task: ReleaseStageTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(release_id=task.release_id, endpoint_name=task.stage.endpoint_name)
    package = model_packages.find_package(cloud, task.pipeline, task.package_arn)
    if task.stage.is_batch:
        from sluice.services.build import proving  # most stages have an endpoint

        if faults := proving.faults(cloud, task, package):
            raise SmokeTestFailedError("; ".join(faults))
        return {"transform_job": task.stage.endpoint_config_name}
    if faults := serving.identity_faults(_found(cloud, task), _expected(cloud, task, package)):
        raise SmokeTestFailedError("; ".join(faults))
    body = model_packages.sample(cloud, package)
    faults = []
    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE_S if attempt else 0)
        started = time.perf_counter()
        answer = _invoke(cloud, task, package, body)
        latency_ms = round((time.perf_counter() - started) * 1000)
        faults = _answer_faults(answer, package.config.serve.accept)
        if not faults:
            return {
                "status_code": answer["status_code"],
                "latency_ms": latency_ms,
                "variant": answer["variant"],
            }
    raise SmokeTestFailedError("; ".join(faults))


def _found(cloud: Cloud, task: ReleaseStageTask) -> serving.Serving:
    endpoints = cloud.endpoints
    endpoint = endpoints.describe_endpoint(task.stage.endpoint_name)
    config = endpoints.describe_config(endpoint["EndpointConfigName"]) if endpoint else None
    model = endpoints.describe_model(config["ProductionVariants"][0]["ModelName"]) if config else None
    return serving.Serving(endpoint, config, model)


def _expected(cloud: Cloud, task: ReleaseStageTask, package: Package) -> serving.Identity:
    evidence = model_packages.find_evidence(cloud, package)
    return serving.Identity(
        endpoint_config_name=task.stage.endpoint_config_name,
        model=model_packages.model_request(cloud, task, package, evidence),
        image_digest=evidence.image_digest,
        capture=model_packages.capture(cloud, package),
    )


def _invoke(cloud: Cloud, task: ReleaseStageTask, package: Package, body: bytes) -> Mapping[str, Any]:
    serve = package.config.serve
    return cloud.endpoints.invoke(
        task.stage.endpoint_name, body, serve.content_type, serve.accept, inference_id=serving.SMOKE_TEST
    )


def _answer_faults(answer: Mapping[str, Any], accept: str) -> list[str]:
    excerpt = answer["body"][:_EXCERPT].decode(errors="replace")
    if not 200 <= answer["status_code"] < 300:
        return [f"the endpoint answered the sample request with {answer['status_code']}: {excerpt}"]
    if answer["variant"] != serving.VARIANT:
        return [f"the variant {answer['variant']} answered, not {serving.VARIANT}"]
    return answers.faults(answer["body"], answer["content_type"], accept)
