"""Implement InvokeEndpoint: pass a request to a variant's model server, and return its answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sluice_local.sagemaker.api.core import ApiError, Scope
from sluice_local.sagemaker.hosting import faults
from sluice_local.sagemaker.hosting.capture import Message
from sluice_local.sagemaker.hosting.fleets import Fleet, Server, Variant
from sluice_local.sagemaker.hosting.launcher import NotServingError, Reply
from sluice_local.sagemaker.hosting.live_endpoints import LiveEndpoint
from sluice_local.sagemaker.hosting.on_demand import ThrottledError
from sluice_local.sagemaker.hosting.serving_metrics import ServingMetrics, Target

MAX_BODY_BYTES = 6 * 1024 * 1024
SERVERLESS_MAX_BODY_BYTES = 4 * 1024 * 1024
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"

Response = tuple[int, dict[str, str], bytes]

_DEFAULT_TYPE = "application/octet-stream"
# Requests that shadows are answering: the loop itself keeps no task.
_mirroring: set[asyncio.Task[None]] = set()
# The headers of a request that the container sees.
_FORWARDED = ("Content-Type", "Accept", CUSTOM_ATTRIBUTES, "X-Amzn-SageMaker-Inference-Id")


@dataclass(frozen=True, slots=True)
class Invocation:
    """A request for a container."""

    headers: Mapping[str, str]
    body: bytes
    target_variant: str | None
    inference_id: str | None

    @classmethod
    def parse(cls, headers: Mapping[str, str], body: bytes) -> Invocation:
        given = {name.lower(): value for name, value in headers.items()}
        if "x-amzn-sagemaker-target-model" in given:
            raise ApiError("ValidationError", "The local SageMaker does not serve multi-model endpoints.")
        forwarded = {name: given[name.lower()] for name in _FORWARDED if name.lower() in given}
        return cls(
            headers={"Content-Type": _DEFAULT_TYPE, **forwarded},
            body=body,
            target_variant=given.get("x-amzn-sagemaker-target-variant"),
            inference_id=given.get("x-amzn-sagemaker-inference-id"),
        )


async def invoke(
    live: LiveEndpoint, metrics: ServingMetrics, headers: Mapping[str, str], body: bytes
) -> Response:
    """Invoke an endpoint; raises ApiError (ValidationError) for a request that no container can get."""
    started = time.perf_counter()
    if len(body) > (limit := _body_limit(live)):
        return _too_large(len(body), limit)
    invocation = Invocation.parse(headers, body)
    try:
        fleet, variant, reply = await _answered(live, invocation)
    except ThrottledError:
        return _error(429, "ThrottlingException", {"Message": "Rate exceeded"})
    overhead_s = time.perf_counter() - started - reply.seconds
    metrics.record(_target(live, fleet, variant), reply.status, reply.seconds, overhead_s, reply.setup_s)
    is_sampled = fleet.capture is not None and fleet.capture.config.samples()
    if mirrored := fleet.mirror(variant):
        mirroring = asyncio.create_task(_mirror(live, metrics, fleet, mirrored, invocation, is_sampled))
        _mirroring.add(mirroring)
        mirroring.add_done_callback(_mirroring.discard)
    if not 200 <= reply.status < 300:
        return _model_error(live.scope, live.name, reply)
    if is_sampled:
        _capture(fleet, variant, invocation, reply)
    return _succeeded(variant, reply)


async def _mirror(
    live: LiveEndpoint,
    metrics: ServingMetrics,
    fleet: Fleet,
    mirrored: tuple[Variant, Server],
    invocation: Invocation,
    is_sampled: bool,
) -> None:
    """Have the shadow answer what its variant has answered: nobody waits for it, or sees what it says."""
    shadow, server = mirrored
    started = time.perf_counter()
    try:
        reply = await asyncio.wrap_future(server.submit(invocation.body, invocation.headers))
    except NotServingError:
        return
    overhead_s = time.perf_counter() - started - reply.seconds
    metrics.record(_target(live, fleet, shadow), reply.status, reply.seconds, overhead_s, reply.setup_s)
    if is_sampled and 200 <= reply.status < 300:
        _capture(fleet, shadow, invocation, reply)


def _target(live: LiveEndpoint, fleet: Fleet, variant: Variant) -> Target:
    return Target(live.scope, live.name, variant.name, fleet.config_name, max(variant.instances, 1))


async def _answered(live: LiveEndpoint, invocation: Invocation) -> tuple[Fleet, Variant, Reply]:
    """Return a container's answer; choose again if the fleet was replaced meanwhile."""
    while True:
        try:
            fleet = live.router.fleet()
            variant, server = fleet.choose(invocation.target_variant)
        except LookupError as error:
            raise ApiError("ValidationError", _not_chosen(live, invocation)) from error
        try:
            return fleet, variant, await _asked(live.name, fleet, server, invocation)
        except NotServingError:
            continue


def _body_limit(live: LiveEndpoint) -> int:
    is_serverless = any(route.fleet.is_serverless for route in live.router.routes)
    return SERVERLESS_MAX_BODY_BYTES if is_serverless else MAX_BODY_BYTES


async def _asked(endpoint: str, fleet: Fleet, server: Server, invocation: Invocation) -> Reply:
    fault = faults.drawn(endpoint, fleet.config_name)
    delay_s = fault.latency_ms / 1000 if fault else 0.0
    await asyncio.sleep(delay_s)
    if fault and fault.status >= 400:
        return Reply(fault.status, {}, b"Injected fault.", delay_s)
    reply = await asyncio.wrap_future(server.submit(invocation.body, invocation.headers))
    return replace(reply, seconds=reply.seconds + delay_s)


def _not_chosen(live: LiveEndpoint, invocation: Invocation) -> str:
    if not live.router.routes:
        return missing(live.scope, live.name)
    if invocation.target_variant:
        return f"Variant {invocation.target_variant} of endpoint {live.name} not found."
    return f"No production variant of endpoint {live.name} has a weight above 0."


def missing(scope: Scope, name: str) -> str:
    """Return the message about an endpoint that does not serve."""
    return f"Endpoint {name} of account {scope.account} not found."


def _capture(fleet: Fleet, variant: Variant, invocation: Invocation, reply: Reply) -> None:
    if fleet.capture:
        fleet.capture.add(
            variant.name,
            Message(invocation.headers["Content-Type"], invocation.body),
            Message(reply.headers.get("content-type", _DEFAULT_TYPE), reply.body),
            inferenceId=invocation.inference_id,
            customAttributes=invocation.headers.get(CUSTOM_ATTRIBUTES),
        )


def _succeeded(variant: Variant, reply: Reply) -> Response:
    headers = {
        # Use lower case: ministack overwrites a `Content-Type` of JSON or XML with the service's own.
        "content-type": reply.headers.get("content-type", _DEFAULT_TYPE),
        "x-Amzn-Invoked-Production-Variant": variant.name,
    }
    if (attributes := reply.headers.get(CUSTOM_ATTRIBUTES.lower())) is not None:
        headers[CUSTOM_ATTRIBUTES] = attributes
    return 200, headers, reply.body


def _model_error(scope: Scope, endpoint: str, reply: Reply) -> Response:
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    side = "client" if 400 <= reply.status < 500 else "server"
    message = reply.body.decode("utf-8", "replace")
    content = {
        "Message": f'Received {side} error ({reply.status}) from primary with message "{message}". See '
        f"the log group {group} (`sluice logs --endpoint {endpoint}`) for more information.",
        "OriginalStatusCode": reply.status,
        "OriginalMessage": message,
        "LogStreamArn": f"arn:aws:logs:{scope.region}:{scope.account}:log-group:{group}",
    }
    return _error(424, "ModelError", content)


def _too_large(size: int, limit: int) -> Response:
    message = f"Request {size} bytes has exceeded the maximum payload of {limit} bytes."
    return _error(413, "ValidationError", {"Message": message})


def _error(status: int, code: str, content: Mapping[str, object]) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
    return status, headers, json.dumps(content).encode()
