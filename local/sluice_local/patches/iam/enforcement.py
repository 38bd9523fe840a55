"""With IAM on, enforce the permissions of callers, and record what every role used.

Ministack enforces the role of a caller that signs its request, but treats http on loopback as insecure, and
names a role by its session. `services` checks what AWS's services do with the roles they are given.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam

from sluice_local.patches.iam import decisions, requests
from sluice_local.settings import Settings


def install(settings: Settings) -> None:
    """With IAM on, check requests as AWS does, and record them."""
    resolve_key = iam_evaluator._resolve_condition_key
    iam_evaluator._resolve_condition_key = lambda key, context: _OWN_KEYS.get(key.lower(), resolve_key)(
        key, context
    )
    decisions.enforce(settings.auth)
    if settings.auth:
        requests.install()


def _role_of(key: str, context: Any) -> str:
    """Return `aws:PrincipalArn`: the role with its path, not the session."""
    if context.principal_type != "AssumedRole":
        return str(context.principal_arn)
    name = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
    role = iam._roles.get(name) or {}
    return str(role.get("Arn") or f"arn:aws:iam::{context.principal_account}:role/{name}")


_OWN_KEYS = {"aws:securetransport": lambda key, context: "true", "aws:principalarn": _role_of}
