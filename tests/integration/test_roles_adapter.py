"""Roles for user code in IAM: made once, bounded, and gone without a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from sluice.adapters.roles import IamRoles
from sluice.domain import roles
from sluice.domain.roles import Account, RoleNotReadyError, RolesForbiddenError
from sluice.domain.safeguards import Safeguards
from sluice.domain.times import from_iso

BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
ACCOUNT = Account(
    "arn:aws:iam::123456789012:role/sluice/s/eu-central-1/", "eu-central-1", "data", "artifacts"
)
ROLE = roles.run_role(ACCOUNT, "reviews", "reviews-00001")


@pytest.fixture
def iam() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("iam", region_name="us-east-1")


def test_a_role_is_made_with_its_policy_and_its_boundary(iam: Any) -> None:
    made_at = IamRoles(BOUNDARY, iam).ensure(ROLE)
    assert abs((datetime.now(UTC) - from_iso(made_at)).total_seconds()) < 60
    role = iam.get_role(RoleName=ROLE.name)["Role"]
    assert (role["Arn"], role["AssumeRolePolicyDocument"]) == (ROLE.arn, ROLE.trust)
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
    policy = iam.get_role_policy(RoleName=ROLE.name, PolicyName="sluice")["PolicyDocument"]
    assert json.loads(policy) if isinstance(policy, str) else policy == ROLE.policy
    assert {tag["Key"] for tag in iam.list_role_tags(RoleName=ROLE.name)["Tags"]} == ROLE.tags.keys()


def test_making_and_deleting_again_changes_nothing(iam: Any) -> None:
    adapter = IamRoles(BOUNDARY, iam)
    assert adapter.ensure(ROLE) == adapter.ensure(ROLE)
    adapter.delete(ROLE)
    adapter.delete(ROLE)
    assert iam.list_roles(PathPrefix=ROLE.path)["Roles"] == []


def test_a_role_of_a_stack_that_came_back_gets_the_boundary_of_now(iam: Any) -> None:
    """Only a role with that boundary can be given its policy."""
    IamRoles("arn:aws:iam::123456789012:policy/former", iam).ensure(ROLE)
    IamRoles(BOUNDARY, iam).ensure(ROLE)
    role = iam.get_role(RoleName=ROLE.name)["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY


@pytest.mark.parametrize("operation", ["create_role", "delete_role_policy"])
def test_an_account_that_forbids_it_is_told_what_to_allow(operation: str) -> None:
    client = boto3.client("iam", region_name="us-east-1")
    adapter = IamRoles(BOUNDARY, client)
    with Stubber(client) as stub:
        stub.add_client_error(operation, "AccessDenied", "an explicit deny in a service control policy")
        with pytest.raises(RolesForbiddenError, match=r"service control policy.*ask for iam:CreateRole"):
            adapter.ensure(ROLE) if operation == "create_role" else adapter.delete(ROLE)


def test_a_role_that_iam_does_not_know_everywhere_yet_is_not_ready() -> None:
    client = boto3.client("iam", region_name="us-east-1")
    with Stubber(client) as stub:
        stub.add_client_error("create_role", "EntityAlreadyExists")
        stub.add_client_error("get_role", "NoSuchEntity", "cannot be found", http_status_code=404)
        with pytest.raises(RoleNotReadyError, match="cannot be found"):
            IamRoles(BOUNDARY, client).ensure(ROLE)


def test_a_role_has_what_the_accounts_key_and_network_need(iam: Any) -> None:
    safeguards = Safeguards(
        kms_key_arn="arn:aws:kms:eu-central-1:123456789012:key/k", subnets=("subnet-1",), tags={"team": "ml"}
    )
    IamRoles(BOUNDARY, iam, safeguards).ensure(ROLE)
    policy = iam.get_role_policy(RoleName=ROLE.name, PolicyName="sluice")["PolicyDocument"]
    assert policy["Statement"] == [*ROLE.policy["Statement"], *safeguards.statements()]
    tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=ROLE.name)["Tags"]}
    assert tags == {"team": "ml", **ROLE.tags}
