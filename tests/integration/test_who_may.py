"""By evaluation of the policies: no role of the stack decides about a model, each person does their part."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import asl
import iam
from sluice.domain import roles

ROOT = Path(__file__).parents[2]
RESOURCES: dict[str, dict[str, Any]] = asl.load_template(ROOT / "template.yaml")["Resources"]
OUTPUTS: dict[str, Any] = asl.load_template(ROOT / "template.yaml")["Outputs"]
CONDITIONS = {
    "AllowsAutomaticApproval": False,
    "HasKey": True,
    "HasSubnets": True,
    "HasPackageIndex": False,
    "HasPermissionsBoundary": False,
    "LimitsSageMakerLogs": True,
}
SAGEMAKER = f"arn:aws:sagemaker:{iam.REGION}:{iam.ACCOUNT}"
PACKAGE, OTHERS = f"{SAGEMAKER}:model-package/sluice--reviews/3", f"{SAGEMAKER}:model-package/other/1"
STATUS = "sagemaker:ModelApprovalStatus"
STATUSES = ("Approved", "Rejected", "PendingManualApproval")
# What an administrator may attach to a role in a hurry.
EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == kind}


def roles_of_the_stack() -> dict[str, list[dict[str, Any]]]:
    """The documents of each role that the template makes, those that are attached to it too."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in ("AWS::Serverless::Function", "AWS::Serverless::StateMachine"):
        for name, properties in of_type(kind).items():
            if "Role" not in properties:
                found[f"{name}Role"] = [*properties.get("Policies", [])]
    for name, properties in of_type("AWS::IAM::Role").items():
        found[name] = [each["PolicyDocument"] for each in properties["Policies"]]
    for properties in of_type("AWS::IAM::Policy").values():
        for role in properties["Roles"]:
            found[role[1] if isinstance(role, list) else role].append(properties["PolicyDocument"])
    return found


ROLES = roles_of_the_stack()


def documents(role: str, **conditions: bool) -> list[dict[str, Any]]:
    return [iam.policy(each, {**CONDITIONS, **conditions}) for each in ROLES[role]]


# ------------------------------------------------------------------------------------- roles of the stack


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("package", [PACKAGE, OTHERS])
def test_no_role_of_the_stack_decides_about_a_version(role: str, package: str) -> None:
    """Not even one that an administrator has given every right."""
    for own in (documents(role), [*documents(role), EVERYTHING]):
        for status in STATUSES:
            assert not iam.allows(own, "sagemaker:UpdateModelPackage", package, {STATUS: status})
        assert not iam.allows(own, "sagemaker:CreateModelPackage", package, {STATUS: "Approved"})


def test_the_denial_is_of_decisions_alone_and_of_no_more() -> None:
    """Else a later part of the stack could not write a version's life cycle."""
    for role in ROLES:
        own = [*documents(role), EVERYTHING]
        assert iam.allows(own, "sagemaker:UpdateModelPackage", PACKAGE), role
        assert iam.allows(own, "sagemaker:CreateModelPackage", PACKAGE, {STATUS: "PendingManualApproval"}), (
            role
        )


def test_only_the_registrar_registers_and_approves_only_where_the_stack_says_so() -> None:
    action, pending = "sagemaker:CreateModelPackage", "PendingManualApproval"
    may = {role for role in ROLES if iam.allows(documents(role), action, PACKAGE, {STATUS: pending})}
    assert may == {"RegisterModelFunctionRole"}
    automatic = documents("RegisterModelFunctionRole", AllowsAutomaticApproval=True)
    assert iam.allows(automatic, action, PACKAGE, {STATUS: "Approved"})
    assert not iam.allows(automatic, "sagemaker:UpdateModelPackage", PACKAGE, {STATUS: "Approved"})


def test_roles_of_user_code_decide_about_nothing_whatever_their_policy_says() -> None:
    account = roles.Account("arn:aws:iam::123456789012:role/sluice/s/r/", "r", "data", "artifacts")
    boundary = iam.policy(RESOURCES["JobBoundary"]["Properties"]["PolicyDocument"], CONDITIONS)
    for role in (roles.run_role(account, "p", "p-00001"), roles.serving_role(account, "p")):
        for held in (role.policy, boundary):
            for status in STATUSES:
                assert not iam.allows([held], "sagemaker:UpdateModelPackage", PACKAGE, {STATUS: status})
    denied = {each["Action"] for each in boundary["Statement"] if each["Effect"] == "Deny"}
    assert denied == {"sagemaker:UpdateModelPackage", "sagemaker:CreateModelPackage"}


# ------------------------------------------------------------------------------------------------- people

PEOPLE = ("Uploader", "Developer", "Approver", "Operator")
ADA = {"sluice-pipeline": "reviews"}
S3_DATA, S3_ARTIFACTS = "arn:aws:s3:::data", "arn:aws:s3:::artifacts"
TABLE = f"arn:aws:dynamodb:{iam.REGION}:{iam.ACCOUNT}:table/catalog"
BUS = f"arn:aws:events:{iam.REGION}:{iam.ACCOUNT}:event-bus/default"
STATES = f"arn:aws:states:{iam.REGION}:{iam.ACCOUNT}"
RELEASES = f"{STATES}:stateMachine:sluice-release-model"
BUILDS = f"{STATES}:stateMachine:sluice-build-model"
LOGS = f"arn:aws:logs:{iam.REGION}:{iam.ACCOUNT}:log-group"
ENDPOINT = f"{SAGEMAKER}:endpoint/sluice--reviews--production"
ALARM = f"arn:aws:cloudwatch:{iam.REGION}:{iam.ACCOUNT}:alarm"
OURS = {"aws:ResourceTag/sluice:stack": "sluice"}


def announces(detail_type: str, source: str = "sluice.cli") -> dict[str, str]:
    return {"events:source": source, "events:detail-type": detail_type}


def reads(*partitions: str) -> dict[str, list[str]]:
    return {"dynamodb:LeadingKeys": [*partitions]}


# (action, resource, context) and who may, by their initials.
MATRIX: list[tuple[str, str, Mapping[str, Any], str]] = [
    ("s3:PutObject", f"{S3_DATA}/reviews/a.csv", {}, "U"),
    ("s3:PutObject", f"{S3_DATA}/ground-truth/reviews/a.jsonl", {}, "U"),
    # Its upload is scored by S3's event; to have files scored again, of any pipeline, is another's part.
    ("s3:PutObject", f"{S3_DATA}/batch/reviews/a.csv", {}, "U"),
    ("s3:PutObject", f"{S3_DATA}/batch/other/a.csv", {}, ""),
    ("s3:GetObject", f"{S3_DATA}/batch/reviews/a.csv", {}, "UDAO"),
    ("s3:GetObject", f"{S3_ARTIFACTS}/transforms/reviews/reviews-batch-00001/output/a.csv.out", {}, "DAO"),
    ("s3:GetObject", f"{S3_DATA}/reviews/a.csv", {}, "UDAO"),
    ("s3:PutObject", f"{S3_DATA}/other/a.csv", {}, ""),
    ("s3:GetObject", f"{S3_DATA}/other/a.csv", {}, "DAO"),
    ("s3:GetObjectVersion", f"{S3_DATA}/other/a.csv", {}, "DAO"),
    ("s3:GetObject", f"{S3_DATA}/reviews-2/a.csv", {}, "DAO"),
    ("s3:ListBucket", S3_DATA, {"s3:prefix": "reviews/"}, "UDAO"),
    ("s3:ListBucket", S3_DATA, {"s3:prefix": "other/"}, "DAO"),
    ("s3:ListBucket", S3_DATA, {}, "DAO"),
    ("s3:DeleteObject", f"{S3_DATA}/reviews/a.csv", {}, ""),
    ("dynamodb:Query", TABLE, reads("PIPELINE#reviews"), "UDAO"),
    ("dynamodb:GetItem", TABLE, reads("RUN#reviews-00001"), "UDAO"),
    ("dynamodb:BatchGetItem", TABLE, reads("PIPELINE#reviews", "RUN#reviews-00001"), "UDAO"),
    ("dynamodb:BatchGetItem", TABLE, reads("PIPELINE#reviews", "PIPELINE#other"), "DAO"),
    ("dynamodb:Query", f"{TABLE}/index/gsi1", reads("PIPELINES"), "UDAO"),
    ("dynamodb:Query", TABLE, reads("PIPELINE#other"), "DAO"),
    ("dynamodb:Query", TABLE, reads("PIPELINE#reviews", "PIPELINE#other"), "DAO"),
    ("dynamodb:Query", TABLE, {}, "DAO"),
    ("dynamodb:UpdateItem", TABLE, reads("PIPELINE#reviews"), ""),
    ("dynamodb:PutItem", TABLE, reads("PIPELINE#reviews"), ""),
    ("dynamodb:DeleteItem", TABLE, reads("PIPELINE#reviews"), ""),
    ("dynamodb:Scan", TABLE, {}, ""),
    ("s3:PutObject", f"{S3_ARTIFACTS}/projects/reviews/v.tar.gz", {}, "D"),
    ("s3:PutObject", f"{S3_ARTIFACTS}/pipelines/reviews/code/0/prepare.py", {}, "D"),
    ("s3:GetObject", f"{S3_ARTIFACTS}/evidence/reviews/r/manifest.json", {}, "DAO"),
    ("s3:PutObject", f"{S3_ARTIFACTS}/evidence/reviews/r/manifest.json", {}, ""),
    ("s3:PutObject", f"{S3_ARTIFACTS}/models/reviews/0/model.tar.gz", {}, ""),
    ("s3:PutObject", f"{S3_ARTIFACTS}/runs/reviews/r/gates/gates.json", {}, ""),
    ("s3:PutObject", f"{S3_ARTIFACTS}/signatures/reviews/r/model.sig", {}, "A"),
    ("s3:DeleteObject", f"{S3_ARTIFACTS}/evidence/reviews/r/manifest.json", {}, ""),
    ("s3:DeleteObjectVersion", f"{S3_ARTIFACTS}/evidence/reviews/r/manifest.json", {}, ""),
    *(("sagemaker:UpdateModelPackage", PACKAGE, {STATUS: status}, "A") for status in STATUSES),
    ("sagemaker:UpdateModelPackage", PACKAGE, {}, ""),
    ("sagemaker:UpdateModelPackage", OTHERS, {STATUS: "Approved"}, ""),
    ("sagemaker:CreateModelPackage", PACKAGE, {STATUS: "Approved"}, ""),
    ("sagemaker:DeleteModelPackage", PACKAGE, {}, ""),
    ("sagemaker:DescribeModelPackage", PACKAGE, {}, "DAO"),
    ("events:PutEvents", BUS, announces("RunRequested"), "DO"),
    ("events:PutEvents", BUS, announces("BatchRequested"), "DO"),
    ("events:PutEvents", BUS, announces("StageRetired"), "O"),
    ("events:PutEvents", BUS, announces("StagePinned"), "O"),
    ("events:PutEvents", BUS, announces("ScalingDue"), "O"),
    ("events:PutEvents", BUS, announces("DataRecallRequested"), "O"),
    # A hint of `reconcile` tells the stack what happened: nobody may send one.
    ("events:PutEvents", BUS, announces("SageMaker Model Package State Change", "sluice.reconcile"), ""),
    ("states:StartExecution", RELEASES, {}, "O"),
    ("states:StartExecution", BUILDS, {}, ""),
    ("states:SendTaskSuccess", RELEASES, {}, ""),
    ("states:StopExecution", f"{STATES}:execution:sluice-build-model:reviews-00001", {}, "DO"),
    ("states:StopExecution", f"{STATES}:execution:sluice-release-model:reviews-v1-0", {}, ""),
    ("sagemaker:DeleteEndpoint", ENDPOINT, OURS, "O"),
    ("sagemaker:DeleteEndpoint", ENDPOINT, {"aws:ResourceTag/sluice:stack": "another"}, ""),
    ("sagemaker:UpdateEndpoint", ENDPOINT, OURS, ""),
    ("sagemaker:InvokeEndpoint", ENDPOINT, OURS, "DO"),
    ("application-autoscaling:DescribeScalableTargets", "*", {}, "DAO"),
    ("application-autoscaling:DescribeScalingPolicies", "*", {}, "DAO"),
    ("sagemaker:InvokeEndpoint", ENDPOINT, {"aws:ResourceTag/sluice:stack": "another"}, ""),
    ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/x", {}, ""),
    ("cloudwatch:DeleteAlarms", f"{ALARM}:sluice--reviews--production--error-rate", {}, "O"),
    ("cloudwatch:DeleteAlarms", f"{ALARM}:mine", {}, ""),
    ("logs:GetLogEvents", f"{LOGS}:/aws/lambda/sluice-start-job:log-stream:s", {}, "DO"),
    ("logs:GetLogEvents", f"{LOGS}:/aws/lambda/other-job:log-stream:s", {}, ""),
    ("iam:PassRole", f"arn:aws:iam::{iam.ACCOUNT}:role/sluice/r", {}, ""),
]  # fmt: skip


def held(who: str, **conditions: bool) -> dict[str, Any]:
    return iam.policy(RESOURCES[f"{who}Policy"]["Properties"]["PolicyDocument"], {**CONDITIONS, **conditions})


@pytest.mark.parametrize(
    ("action", "resource", "context", "who"),
    MATRIX,
    ids=[
        f"{action} {resource.rpartition(':')[2]} {[*context.values()]}"
        for action, resource, context, _ in MATRIX
    ],
)
def test_each_may_do_their_part_and_nothing_else(
    action: str, resource: str, context: Mapping[str, Any], who: str
) -> None:
    may = {each[0] for each in PEOPLE if iam.allows([held(each)], action, resource, context, ADA)}
    assert may == set(who)


def test_whatever_the_command_announces_is_somebodys_part() -> None:
    sources = [path.read_text() for path in (ROOT / "cli/sluice_cli").glob("*.py")]
    announced = {name for text in sources for name in re.findall(r'announce\(.*?, "([A-Z]\w+)"', text)}
    assert len(announced) > 5
    for name in announced:
        may = [w for w in PEOPLE if iam.allows([held(w)], "events:PutEvents", BUS, announces(name))]
        assert may, f"nobody may announce {name}"


@pytest.mark.parametrize("who", ["Uploader", "Developer", "Operator"])
def test_who_has_another_part_cannot_approve_even_with_every_other_right(who: str) -> None:
    for status in STATUSES:
        for more in (EVERYTHING, held("Approver")):
            assert not iam.allows(
                [held(who), more], "sagemaker:UpdateModelPackage", PACKAGE, {STATUS: status}
            )


def test_who_has_no_pipeline_or_names_all_uploads_nowhere() -> None:
    own = [held("Uploader")]
    for tags in ({}, {"another": "reviews"}):
        assert not iam.allows(own, "s3:PutObject", f"{S3_DATA}/reviews/a.csv", {}, tags)
        assert not iam.allows(own, "s3:PutObject", f"{S3_DATA}//a.csv", {}, tags)
        assert not iam.allows(own, "dynamodb:Query", TABLE, reads("PIPELINE#reviews"), tags)


@pytest.mark.parametrize("who", PEOPLE)
def test_a_part_is_an_output_that_the_docs_name_and_fits_iams_limit(who: str) -> None:
    assert OUTPUTS[f"{who}PolicyArn"]["Value"] == f"{who}Policy"
    assert f"`{who}PolicyArn`" in (ROOT / "docs/deploy.md").read_text()
    assert len(json.dumps(held(who), separators=(",", ":"))) < 6144


@pytest.mark.parametrize("who", PEOPLE)
def test_the_key_is_used_only_where_there_is_one(who: str) -> None:
    assert iam.allows([held(who)], "kms:Decrypt", "KmsKeyArn")
    assert not iam.allows([held(who, HasKey=False)], "kms:Decrypt", "KmsKeyArn")
