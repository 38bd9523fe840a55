"""Adapter for the IAM roles of jobs and endpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_code
from sluice.domain import times
from sluice.domain.roles import Role, RoleNotReadyError, RolesForbiddenError
from sluice.domain.safeguards import Safeguards

_POLICY = "sluice"
_DENIED = {"AccessDenied", "AccessDeniedException"}
_ABSENT = "NoSuchEntity"


class IamRoles:
    """Roles with one inline policy, and a boundary that caps it."""

    def __init__(self, boundary_arn: str, iam: Any = None, safeguards: Safeguards | None = None) -> None:
        self._boundary_arn = boundary_arn
        self._iam: Any = iam or client("iam")
        self._safeguards = safeguards or Safeguards()

    def ensure(self, role: Role) -> str:
        try:
            made_at = self._create(role)
            statements = [*role.policy["Statement"], *self._safeguards.statements()]
            self._iam.put_role_policy(
                RoleName=role.name,
                PolicyName=_POLICY,
                PolicyDocument=json.dumps({**role.policy, "Statement": statements}),
            )
        except ClientError as error:
            if error_code(error) in _DENIED:
                raise RolesForbiddenError(role, error) from error
            if error_code(error) == _ABSENT:
                raise RoleNotReadyError(f"IAM does not know {role.name} everywhere yet: {error}") from error
            raise
        return made_at

    def _create(self, role: Role) -> str:
        try:
            answer = self._iam.create_role(
                Path=role.path,
                RoleName=role.name,
                AssumeRolePolicyDocument=json.dumps(role.trust),
                PermissionsBoundary=self._boundary_arn,
                Tags=[
                    {"Key": key, "Value": value}
                    for key, value in {**self._safeguards.tags, **role.tags}.items()
                ],
            )["Role"]
        except ClientError as error:
            if error_code(error) != "EntityAlreadyExists":
                raise
            answer = self._iam.get_role(RoleName=role.name)["Role"]
            self._bound(role, answer)
        return times.to_iso(answer["CreateDate"])

    def _bound(self, role: Role, found: Mapping[str, Any]) -> None:
        """Give a role the current boundary: an earlier stack or other parameters may have set another."""
        boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        if boundary != self._boundary_arn:
            self._iam.put_role_permissions_boundary(
                RoleName=role.name, PermissionsBoundary=self._boundary_arn
            )

    def delete(self, role: Role) -> None:
        try:
            self._deleted(lambda: self._iam.delete_role_policy(RoleName=role.name, PolicyName=_POLICY))
            self._deleted(lambda: self._iam.delete_role(RoleName=role.name))
        except ClientError as error:
            if error_code(error) in _DENIED:
                raise RolesForbiddenError(role, error) from error
            raise

    @staticmethod
    def _deleted(delete: Callable[[], object]) -> None:
        try:
            delete()
        except ClientError as error:
            if error_code(error) != _ABSENT:
                raise
