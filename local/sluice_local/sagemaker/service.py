"""Serve the SageMaker API in ministack: AWS JSON 1.1 for the control plane, REST for invocations."""

from __future__ import annotations

import asyncio
import contextvars
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ministack.app
from ministack.core import router
from ministack.core.responses import get_account_id, get_region

from sluice_local.sagemaker import tags  # noqa: F401
from sluice_local.sagemaker.api import iam
from sluice_local.sagemaker.api.core import OPERATIONS, ApiError, Scope
from sluice_local.sagemaker.api.validation import operation_model, projected, validated

# Import experiments, lineage, models, pipelines, packages, search and tags for the operations they register.
from sluice_local.sagemaker.experiments import component_operations, experiment_operations, metrics  # noqa: F401
from sluice_local.sagemaker.hosting import endpoints, models  # noqa: F401
from sluice_local.sagemaker.lineage import association_operations, entity_operations  # noqa: F401
from sluice_local.sagemaker.pipelines import execution_operations, pipeline_operations  # noqa: F401
from sluice_local.sagemaker.registry import packages  # noqa: F401
from sluice_local.sagemaker.search import operations as search  # noqa: F401

Response = tuple[int, dict[str, str], bytes]

_INVOCATIONS = re.compile(r"/endpoints/([^/]+)/invocations")
_STATUS = {"NotImplementedException": 501, "InternalFailure": 500}
# Operations may wait shortly for files and for each other: they must not block the event loop or take the
# threads of functions.
_THREADS = ThreadPoolExecutor(16, "sagemaker")


def install() -> None:
    """Have ministack route SageMaker requests here."""
    router.SERVICE_PATTERNS["sagemaker"] = {"target_prefixes": ["SageMaker."], "host_patterns": []}
    ministack.app.SERVICE_HANDLERS["sagemaker"] = handle


async def handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
) -> Response:
    """Answer one request; ministack has set its account and region, and checked its signature."""
    scope = Scope(get_account_id(), get_region())
    iam.CALLER.set(iam.caller_of(scope, headers, query_params))
    if invocation := _INVOCATIONS.fullmatch(path):
        return await _invoke(scope, invocation[1], headers, query_params, body)
    if (name := path.strip("/")) in metrics.OPERATIONS:
        return await _measure(scope, name, headers, query_params, body)
    name = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        return _json(200, await _in_thread(_operate, scope, name, headers, query_params, body))
    except ApiError as fault:
        return _json(_STATUS.get(fault.code, 400), {"__type": fault.code, "message": fault.message})


def _operate(
    scope: Scope, name: str, headers: Mapping[str, str], query_params: Mapping[str, Any], body: bytes
) -> dict[str, Any]:
    model = operation_model(name)
    if (implementation := OPERATIONS.get(name)) is None:
        raise ApiError("NotImplementedException", f"The local SageMaker does not implement {name}.")
    params = validated(model.input_shape, _parsed(body))
    iam.authorize(headers, query_params, scope, iam.checks(name, scope, params))
    iam.require_trust(params)
    answer: dict[str, Any] = projected(model.output_shape, implementation(scope, params) or {})
    return answer


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError("SerializationException", "The request body is not valid JSON.") from error


async def _invoke(
    scope: Scope, endpoint: str, headers: dict[str, str], query_params: Mapping[str, Any], body: bytes
) -> Response:
    try:
        question = iam.checks("InvokeEndpoint", scope, {"EndpointName": endpoint})
        iam.authorize(headers, query_params, scope, question)
        return await endpoints.invoke(scope, endpoint, headers, body)
    except ApiError as fault:
        status = 403 if fault.code == "AccessDeniedException" else 400
        return status, _rest_error_headers(fault.code), json.dumps({"message": fault.message}).encode()


async def _measure(
    scope: Scope, name: str, headers: dict[str, str], query_params: dict[str, Any], body: bytes
) -> Response:
    """Answer a request to the service SageMaker Metrics, which shares the signing name with SageMaker."""

    def measure() -> dict[str, Any]:
        model = operation_model(name, metrics.SERVICE)
        params = validated(model.input_shape, _parsed(body))
        iam.authorize(headers, query_params, scope, iam.checks(name, scope, params))
        answer: dict[str, Any] = projected(model.output_shape, metrics.OPERATIONS[name](scope, params))
        return answer

    try:
        return 200, {"Content-Type": "application/json"}, json.dumps(await _in_thread(measure)).encode()
    except ApiError as fault:
        status = 403 if fault.code == "AccessDeniedException" else 400
        return status, _rest_error_headers(fault.code), json.dumps({"message": fault.message}).encode()


def _rest_error_headers(code: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "x-amzn-errortype": code}


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in one of our threads, with the request's account, region and caller."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(_THREADS, context.run, function, *arguments)


def _json(status: int, content: dict[str, Any]) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(content).encode()
