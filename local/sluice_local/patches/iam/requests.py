"""Complete the permission checks of signed requests and the messages of refusals.

Ministack does not name the resource in most refusals. It lacks the alarms of a request, the paths of roles,
and some condition keys: `cloudwatch:namespace`, which alone limits PutMetricData, those of PutEvents,
`sagemaker:ModelApprovalStatus`, and `iam:PermissionsBoundary`, which limits the roles that can be made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam, sts

from sluice_local.patches.iam.ledger import LEDGER
from sluice_local.states.tokens import machine_of

# In one request: the resources still to check, and the one that was refused.
_further: ContextVar[tuple[str, ...]] = ContextVar("further_resources", default=())
_refused: ContextVar[str] = ContextVar("refused_resource", default="*")


def install() -> None:
    """Complete the checks of requests, record them, and word their refusals as AWS does."""
    extract = _with_streams(_with_paths(_with_alarms(iam_actions.extract_resource_arn)))
    iam_actions.extract_resource_arn = _naming_the_machine(extract)
    iam_actions.request_tag_context = _with_condition_keys(iam_actions.request_tag_context)
    iam_actions.access_denied_response = _naming_the_resource(iam_actions.access_denied_response)
    iam_evaluator.enforce = _on_each_resource(iam_evaluator.enforce)


def _on_each_resource(enforce: Any) -> Any:
    def enforce_and_record(
        access_key: str, action: str, service: str, region: str, resource_arn: str = "*", **options: Any
    ) -> Any:
        further = _further.get()
        _further.set(())
        for resource in (resource_arn, *further):
            refusal = enforce(access_key, action, service, region, resource_arn=resource, **options)
            if session := sts._sessions.get(access_key):
                LEDGER.record(session["Arn"].split("/")[1], action, resource, allowed=refusal is None)
            if refusal:
                _refused.set(resource)
                return refusal
        if action == "cloudwatch:PutMetricAlarm" and _sets_tags(options.get("service_context") or {}):
            return enforce_and_record(
                access_key, "cloudwatch:TagResource", service, region, resource_arn, **options
            )
        return None

    return enforce_and_record


def _sets_tags(context: Mapping[str, Any]) -> bool:
    return any(key.lower().startswith("aws:requesttag/") for key in context)


def _naming_the_machine(extract: Any) -> Any:
    """Check SendTaskSuccess and the like on the state machine whose task they answer."""

    def extract_resource(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        if service == "states" and b'"taskToken"' in body:
            return machine_of(str(json.loads(body).get("taskToken"))) or "*"
        return str(extract(service, method, path, headers, body, *rest))

    return extract_resource


def _with_alarms(extract: Any) -> Any:
    """Add the alarms that a CloudWatch request names; describing any requires the right to describe all."""

    def with_alarms(
        service: str,
        method: str,
        path: str,
        headers: Any,
        body: bytes,
        params: Any,
        region: str,
        account: str,
    ) -> str:
        found = str(extract(service, method, path, headers, body, params, region, account))
        operation = iam_actions.extract_iam_action(service, method, path, headers, body, params)
        if service != "monitoring" or operation not in (
            "cloudwatch:DescribeAlarms",
            "cloudwatch:DeleteAlarms",
        ):
            return found
        prefix = f"arn:aws:cloudwatch:{region}:{account}:alarm:"
        if operation == "cloudwatch:DescribeAlarms":
            return f"{prefix}*"
        first, *others = (prefix + name for name in _members(body, params, "AlarmNames"))
        _further.set(tuple(others))
        return first

    return with_alarms


def _with_streams(extract: Any) -> Any:
    """Check PutLogEvents on the stream that it writes to."""

    def with_streams(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        found = str(extract(service, method, path, headers, body, *rest))
        if service == "logs" and b'"logEvents"' in body:
            return f"{found}:log-stream:{json.loads(body).get('logStreamName')}"
        return found

    return with_streams


def _with_paths(extract: Any) -> Any:
    """Add the path to a role's ARN, since policies limit roles by path."""

    def with_paths(
        service: str, method: str, path: str, headers: Any, body: bytes, params: Any, *rest: Any
    ) -> str:
        found = str(extract(service, method, path, headers, body, params, *rest))
        name = _first(params, "RoleName")
        if service != "iam" or not name:
            return found
        if role := iam._roles.get(name):
            return str(role["Arn"])
        return found.replace(":role/", f":role{_first(params, 'Path') or '/'}")

    return with_paths


def _first(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name) or ""
    return str(value[0] if isinstance(value, list) else value)


def _boundary(params: Mapping[str, Any]) -> str | None:
    """Return the boundary that a request gives a role, or that its role has."""
    role = iam._roles.get(_first(params, "RoleName")) or {}
    return _first(params, "PermissionsBoundary") or role.get("PermissionsBoundary")


def _members(body: bytes, params: Mapping[str, Any], name: str) -> list[str]:
    """Return a list in a request, from JSON or the Query protocol."""
    with suppress(ValueError, KeyError, TypeError):
        return list(json.loads(body)[name])
    return [
        str(value[0] if isinstance(value, list) else value)
        for key, value in params.items()
        if key.startswith(f"{name}.member.")
    ]


def _with_condition_keys(context: Any) -> Any:
    def with_condition_keys(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = dict(context(service, action, body, params))
        if action == "cloudwatch:PutMetricData":
            found["cloudwatch:namespace"] = _namespace(body, params)
        elif action == "events:PutEvents":
            found["events:source"] = _each(body, "Source")
            found["events:detail-type"] = _each(body, "DetailType")
        elif action in ("sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"):
            found["sagemaker:modelapprovalstatus"] = json.loads(body).get("ModelApprovalStatus")
        elif service == "iam" and (boundary := _boundary(params)):
            found["iam:PermissionsBoundary"] = boundary
        return found

    return with_condition_keys


def _namespace(body: bytes, params: Mapping[str, Any]) -> str | None:
    if named := _first(params, "Namespace"):
        return named
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["Namespace"])
    return None


def _each(body: bytes, member: str) -> str | list[str]:
    """Return the entries' values, or one value if they agree, for operators on single values."""
    values = sorted({str(entry.get(member, "")) for entry in json.loads(body).get("Entries", [])})
    return values[0] if len(values) == 1 else values


def _naming_the_resource(respond: Any) -> Any:
    def respond_naming(
        service: str, action: str, principal: str, request_id: str, *, message: str = "", **options: Any
    ) -> Any:
        if not message and not options.get("error_code") and not options.get("resource_policy_arn"):
            resource = f'"{_refused.get()}"' if service == "s3" else _refused.get()
            denied = options.get("explicit_deny", False)
            message = iam_actions.identity_denial_message(action, principal, resource, denied)
        return respond(service, action, principal, request_id, message=message, **options)

    return respond_naming
