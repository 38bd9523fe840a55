"""Check the permissions that services need for tasks, targets, dead letters and mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc as service
from ministack.services import sns, sqs

from sluice_local.patches.iam.decisions import are_enforced, denial, trusts

# Members of a task's input that name an integration's resource, and the ARNs they stand for.
_NAMED = {
    "TableName": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "StateMachineArn": "{name}",
    "TopicArn": "{name}",
    "EndpointName": "arn:aws:sagemaker:{region}:{account}:endpoint/{name}",
    "TrainingJobName": "arn:aws:sagemaker:{region}:{account}:training-job/{name}",
    "ProcessingJobName": "arn:aws:sagemaker:{region}:{account}:processing-job/{name}",
    "TransformJobName": "arn:aws:sagemaker:{region}:{account}:transform-job/{name}",
}
# An integration's service: the prefixes of its actions and of its errors.
_SERVICES = {
    "dynamodb": ("dynamodb", "DynamoDB.AmazonDynamoDBException"),
    "events": ("events", "EventBridge.EventBridgeException"),
    "sqs": ("sqs", "SQS.AmazonSQSException"),
    "sns": ("sns", "SNS.AmazonSNSException"),
    "states": ("states", "StepFunctions.AWSStepFunctionsException"),
    "sfn": ("states", "Sfn.SfnException"),
    "sagemaker": ("sagemaker", "SageMaker.AmazonSageMakerException"),
    "s3": ("s3", "S3.S3Exception"),
}


@dataclass(frozen=True, slots=True)
class Permission:
    """The permission that a task needs, and its error without."""

    action: str
    resource: str
    error: str


_POLLED = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def task_denial(role: str, resource: str, task_input: Any) -> tuple[str, str] | None:
    """Return the service's error and cause if a machine's role may not do what a Task does."""
    needed = task_permission(resource, task_input)
    refusal = denial(role, needed.action, needed.resource) if needed else None
    return (needed.error, refusal) if needed and refusal else None


def target_denial(target: Mapping[str, Any], rule: Mapping[str, Any]) -> str | None:
    """Say why a rule or a schedule may not use its target."""
    if not are_enforced():
        return None
    return _trust_denial(target, rule) or _permission_denial(target, rule)


def burial_denial(arn: str, rule_arn: str) -> str | None:
    """Say why a rule may not send to its target's dead-letter queue."""
    return _service_denial(arn, "events.amazonaws.com", rule_arn) if are_enforced() else None


def outcome_denial(role: str, arn: str) -> str | None:
    """Say why a function's role may not send to its destination or its dead-letter queue."""
    kind = arn.split(":")[2]
    return denial(role, _TARGET_ACTIONS[kind], arn) if kind in _TARGET_ACTIONS else None


def polling_denial(role: str, queue_arn: str) -> str | None:
    """Say why a function's role may not poll a queue."""
    return next(filter(None, (denial(role, f"sqs:{verb}", queue_arn) for verb in _POLLED)), None)


def task_permission(resource: str, task_input: Any) -> Permission | None:
    """Return what a Task state's resource needs; None if it is not an AWS call (activities)."""
    if ":function:" in resource:
        return _invocation(resource)
    kind = resource.removeprefix("arn:aws:states:::").removesuffix(".waitForTaskToken").split(".sync")[0]
    kind = kind.removeprefix("aws-sdk:")
    name, _, verb = kind.partition(":")
    if name == "lambda":
        return _invocation(str(task_input.get("FunctionName", "")))
    if name not in _SERVICES:
        return None
    prefix, error = _SERVICES[name]
    verb = verb[:1].upper() + verb[1:]
    return Permission(f"{prefix}:{verb}", _named_resource(prefix, task_input), error)


def _invocation(function: str) -> Permission:
    arn = function if function.startswith("arn:") else _arn("lambda", f"function:{function}")
    return Permission("lambda:InvokeFunction", arn, "Lambda.AWSLambdaException")


def _named_resource(prefix: str, task_input: Mapping[str, Any]) -> str:
    for member, pattern in _NAMED.items():
        if name := task_input.get(member):
            return pattern.format(region=get_region(), account=get_account_id(), name=name)
    if prefix == "sqs":
        return _arn("sqs", str(task_input.get("QueueUrl", "")).rsplit("/", 1)[-1])
    if prefix == "events":
        entries = task_input.get("Entries") or [{}]
        bus = entries[0].get("EventBusName", "default")
        return bus if bus.startswith("arn:") else _arn("events", f"event-bus/{bus}")
    if prefix == "s3":
        return "arn:aws:s3:::" + "/".join(
            task_input[part] for part in ("Bucket", "Key") if part in task_input
        )
    return "*"


def _arn(name: str, resource: str) -> str:
    return f"arn:aws:{name}:{get_region()}:{get_account_id()}:{resource}"


_TARGET_ACTIONS = {
    "lambda": "lambda:InvokeFunction",
    "states": "states:StartExecution",
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "events": "events:PutEvents",
}


def _trust_denial(target: Mapping[str, Any], rule: Mapping[str, Any]) -> str | None:
    principal = "scheduler.amazonaws.com" if "GroupName" in rule else "events.amazonaws.com"
    role = target.get("RoleArn")
    return f"{role} cannot be assumed by {principal}" if role and not trusts(role, principal) else None


def _permission_denial(target: Mapping[str, Any], rule: Mapping[str, Any]) -> str | None:
    """Check a target by its role or, without one, by its own resource policy."""
    arn, role = target["Arn"], target.get("RoleArn")
    kind = arn.split(":")[2]
    if role and kind in _TARGET_ACTIONS:
        return denial(role, _TARGET_ACTIONS[kind], arn)
    if kind == "states":
        return f"the target {arn} has no role to start it with"
    return _service_denial(arn, "events.amazonaws.com", rule.get("Arn", ""))


def _service_denial(arn: str, principal: str, source_arn: str) -> str | None:
    """Say why a resource's own policy does not allow a service to act on it, or None."""
    kind, account = arn.split(":")[2], get_account_id()
    if kind == "sqs":
        permitted = sqs.queue_policy_allows(arn, principal, source_arn, account)
    elif kind == "sns":
        permitted = sns.topic_policy_allows(arn, principal, source_arn, account)
    elif kind == "lambda":
        permitted = _function_policy_allows(arn, principal, source_arn, account)
    else:
        permitted = True
    return None if permitted else f"the policy of {arn} does not let {principal} use it"


def _function_policy_allows(arn: str, principal: str, source_arn: str, account: str) -> bool:
    found = service.function_policy_for_arn(arn)
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=arn,
        region=get_region(),
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account},
    )
    return bool(
        found
        and iam_evaluator.evaluate_resource_policy(found[0], context, service=principal).decision == "Allow"
    )
