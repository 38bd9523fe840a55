"""Give containers credentials: their role's if IAM is enforced, else the account's root user's."""

from __future__ import annotations

import secrets
import time

import ministack.app
from ministack.core.responses import request_scope
from ministack.services import sts

from sluice_local.sagemaker.api.core import Scope
from sluice_local.settings import ROOT_KEY, ROOT_SECRET

_VALID_S = 7 * 24 * 3600.0


def variables(scope: Scope, role_arn: str, endpoint_url: str) -> dict[str, str]:
    """Return the variables by which an AWS SDK in a container finds the local cloud and credentials."""
    return {
        "AWS_REGION": scope.region,
        "AWS_DEFAULT_REGION": scope.region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        **(_session(scope, role_arn) if ministack.app.AUTH else _root(scope)),
    }


def root_keys(scope: Scope) -> tuple[str, str]:
    """Return the root user's keys: the account's number; with IAM the one key of the one account."""
    return (ROOT_KEY, ROOT_SECRET) if ministack.app.AUTH else (scope.account, scope.account)


def _root(scope: Scope) -> dict[str, str]:
    key, secret = root_keys(scope)
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}


def _session(scope: Scope, role_arn: str) -> dict[str, str]:
    access_key, secret_key, token = sts._gen_session_access_key(), sts._gen_secret(), sts._gen_session_token()
    session_name = f"SageMaker-{secrets.token_hex(8)}"
    with request_scope(scope.account, scope.region):
        arn, _ = sts._assumed_role_arn(role_arn, session_name)
        sts.register_session(
            access_key,
            {
                "Arn": arn,
                "UserId": f"{sts._role_id(role_arn)}:{session_name}",
                "SecretAccessKey": secret_key,
                "SessionToken": token,
                "Expiration": time.time() + _VALID_S,
                "AccountId": scope.account,
                "PrincipalType": "AssumedRole",
                "SessionTags": [],
                "SessionPolicies": None,
            },
        )
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_SESSION_TOKEN": token,
    }
