"""Enforce the roles of state machines, rules and schedules, and tell what every role used.

With IAM on, ministack enforces the role of a caller that signs its request, but not the roles that AWS's
services take on by themselves; it calls http on loopback insecure, and a role by its session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, stepfunctions

from sluice_local.patches.iam import requests, services
from sluice_local.patches.iam.ledger import LEDGER
from sluice_local.settings import Settings
from sluice_local.states.tokens import machine_of

_enforced = False
_machine_role: ContextVar[str | None] = ContextVar("machine_role", default=None)


def install(settings: Settings) -> None:
    """With IAM on: check what AWS's services do with the roles they are given, and record it all."""
    global _enforced
    resolve_key = iam_evaluator._resolve_condition_key
    iam_evaluator._resolve_condition_key = lambda key, context: _OWN_KEYS.get(key.lower(), resolve_key)(
        key, context
    )
    _enforced = settings.auth
    if not settings.auth:
        return
    requests.install()
    iam_actions.extract_resource_arn = _naming_the_machine(iam_actions.extract_resource_arn)
    stepfunctions._run_execution = _as_machine(stepfunctions._run_execution)
    stepfunctions._invoke_resource = _checked_task(stepfunctions._invoke_resource)
    services.install(denial, trusts)


def _role_of(key: str, context: Any) -> str:
    """`aws:PrincipalArn`: the role itself, with its path, not the session that somebody took it on in."""
    if context.principal_type != "AssumedRole":
        return str(context.principal_arn)
    name = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
    role = iam._roles.get(name) or {}
    return str(role.get("Arn") or f"arn:aws:iam::{context.principal_account}:role/{name}")


_OWN_KEYS = {"aws:securetransport": lambda key, context: "true", "aws:principalarn": _role_of}


def allowed(role_arn: str, action: str, resource: str, context: Mapping[str, Any] | None = None) -> bool:
    """Whether a role may do something now; everything, while IAM is not enforced."""
    return denial(role_arn, action, resource, context) is None


def denial(
    role_arn: str,
    action: str,
    resource: str,
    context: Mapping[str, Any] | None = None,
    session: str = "sluice",
) -> str | None:
    """Why a role may not do something, in AWS's words, or None if it may; recorded either way."""
    if not _enforced:
        return None
    account, name = get_account_id(), role_arn.rsplit("/", 1)[-1]
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    request = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context={key.lower(): value for key, value in (context or {}).items()},
    )
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    result = iam_evaluator.evaluate(request, iam_evaluator._gather_role_policies(name, account), *limits)
    policy = iam_evaluator._resource_policy(action.split(":")[0], resource)
    if policy:
        result = iam_evaluator.combine_resource_policy(result, request, *policy, limits=tuple(limits))
    LEDGER.record(name, action, resource, allowed=result.decision == "Allow")
    if result.decision == "Allow":
        return None
    return str(iam_actions.identity_denial_message(action, principal, resource, result.decision == "Deny"))


def trusts(role_arn: str, service: str) -> bool:
    """Whether a service (`states.amazonaws.com`) may take a role on; any may, while IAM is not enforced."""
    if not _enforced:
        return True
    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None:
        return False
    trust = role["AssumeRolePolicyDocument"]
    trust = json.loads(trust) if isinstance(trust, str) else trust
    statements = [trust["Statement"]] if isinstance(trust["Statement"], dict) else trust["Statement"]
    request = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context={"aws:sourceaccount": get_account_id()},
    )
    policy = {"Statement": [{**statement, "Resource": role_arn} for statement in statements]}
    decision = iam_evaluator.evaluate_resource_policy(policy, request, service=service).decision
    return bool(decision == "Allow")


def _naming_the_machine(extract: Any) -> Any:
    """SendTaskSuccess and its kin are permitted on the state machine whose task they answer."""

    def extract_resource(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        if service == "states" and b'"taskToken"' in body:
            return machine_of(str(json.loads(body).get("taskToken"))) or "*"
        return str(extract(service, method, path, headers, body, *rest))

    return extract_resource


def _as_machine(run: Any) -> Any:
    def run_as_machine(execution_arn: str, *args: Any, **options: Any) -> Any:
        execution = stepfunctions._executions[execution_arn]
        machine = stepfunctions._state_machines[execution["stateMachineArn"]]
        _machine_role.set(machine["roleArn"])
        return run(execution_arn, *args, **options)

    return run_as_machine


def _checked_task(invoke: Any) -> Any:
    """A Task acts as the machine's role; a refusal is the task's error, as the service would word it."""

    def invoke_checked(resource: str, task_input: Any, *args: Any, **options: Any) -> Any:
        role = _machine_role.get()
        needed = services.task_permission(resource, task_input)
        if role and needed and (refusal := denial(role, needed.action, needed.resource)):
            raise stepfunctions._ExecutionError(needed.error, refusal)
        return invoke(resource, task_input, *args, **options)

    return invoke_checked
