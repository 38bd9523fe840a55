"""Evaluate the template's policies as IAM does: what a role of the stack, or a person, may and may not do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core import iam_evaluator

Policy = dict[str, Any]
ACCOUNT, REGION, STACK = "123456789012", "eu-central-1", "sluice"
_ARNS = {
    "DataBucket.Arn": "arn:aws:s3:::data",
    "ArtifactBucket.Arn": "arn:aws:s3:::artifacts",
    "CatalogTable.Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/catalog",
}
_NAMES = {
    "AWS::StackName": STACK,
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "BuildModelStateMachine.Name": f"{STACK}-build-model",
    "ReleaseModelStateMachine.Name": f"{STACK}-release-model",
}
_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")


def policy(document: Policy, conditions: Mapping[str, bool]) -> Policy:
    """A policy of a template read by `asl.load_template`, as CloudFormation makes it."""
    return {"Statement": [made for each in document["Statement"] if (made := _made(each, conditions))]}


def _made(value: Any, conditions: Mapping[str, bool]) -> Any:
    if isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str) and value[0] in conditions:
            return _made(value[1 if conditions[value[0]] else 2], conditions)
        return [_made(each, conditions) for each in value]
    if isinstance(value, dict):
        return {name: _made(each, conditions) for name, each in value.items()}
    if value == "AWS::NoValue":
        return None
    return _filled(str(value))


def _filled(text: str) -> str:
    known = {**_NAMES, **_ARNS}
    if text in known:
        return known[text]
    return _PLACEHOLDER.sub(lambda found: _one(found[1], known), text)


def _one(name: str, known: Mapping[str, str]) -> str:
    """What stands for a placeholder: `${!name}` is a variable of IAM's own."""
    if name.startswith("!"):
        return f"${{{name[1:]}}}"
    return known.get(name) or (f"arn:aws:made:::{name}" if ":" not in name else f"${{{name}}}")


def allows(
    policies: list[Policy],
    action: str,
    resource: str,
    context: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> bool:
    """Whether a principal with these tags and policies may do something."""
    said = {f"aws:PrincipalTag/{name}": value for name, value in (tags or {}).items()}
    request = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/somebody/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        service_context={name.lower(): value for name, value in (context or {}).items()},
    )
    parsed = [
        iam_evaluator.parse_policy_document({"Statement": [*_statements(each, said)]}) for each in policies
    ]
    return bool(iam_evaluator.evaluate(request, parsed).decision == "Allow")


def _statements(document: Policy, said: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Put values for IAM's variables; where the request has none, the text matches nothing."""
    for statement in document["Statement"]:
        yield _with_values(statement, said)


def _with_values(value: Any, said: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _with_values(each, said) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_values(each, said) for each in value]
    return (
        _PLACEHOLDER.sub(lambda found: said.get(found[1], "\0"), value) if isinstance(value, str) else value
    )
