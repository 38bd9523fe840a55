"""Decide by a role's policies, for all that acts as the role; without IAM everything is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

from sluice_local.patches.iam.ledger import LEDGER

_enforced = False


def enforce(on: bool) -> None:
    """Set whether policies count from now on."""
    global _enforced
    _enforced = on


def are_enforced() -> bool:
    """Tell whether policies count."""
    return _enforced


def allowed(role_arn: str, action: str, resource: str, context: Mapping[str, Any] | None = None) -> bool:
    """Tell whether a role may do something; it may do everything if IAM is not enforced."""
    return denial(role_arn, action, resource, context) is None


def denial(
    role_arn: str,
    action: str,
    resource: str,
    context: Mapping[str, Any] | None = None,
    session: str = "sluice",
) -> str | None:
    """Say in AWS's words why a role may not do something, None if it may; record it either way."""
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
    """Tell whether a service (`states.amazonaws.com`) may assume a role; any may without IAM."""
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
