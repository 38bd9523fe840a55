"""Apply the resource properties that ministack's provisioners drop, through its service calls."""

from __future__ import annotations

import json
from typing import Any

import yaml
from ministack.services import dynamodb, eventbridge, sns, sqs, stepfunctions
from ministack.services import lambda_svc as service
from ministack.services.cloudformation import provisioners

from sluice_local.patches.iam.decisions import trusts
from sluice_local.patches.iam.services import polling_denial
from sluice_local.states import definitions

Properties = dict[str, Any]


def apply_function(name: str, props: Properties, old: Properties) -> None:
    """Apply reserved concurrency and the dead-letter queue; require the role and the code to exist."""
    function = service._functions[name]
    if props.get("PackageType") != "Image" and not function["code_zip"]:
        raise ValueError("Error occurred while GetObject. S3 Error Code: NoSuchKey.")
    if not trusts(props["Role"], "lambda.amazonaws.com"):
        raise ValueError("The role defined for the function cannot be assumed by Lambda.")
    reserved = props.get("ReservedConcurrentExecutions")
    function["concurrency"] = None if reserved is None else int(reserved)
    dead_letter = props.get("DeadLetterConfig")
    check(service._validate_dead_letter_config(dead_letter))
    function["config"].pop("DeadLetterConfig", None)
    if dead_letter:
        function["config"]["DeadLetterConfig"] = dead_letter


def apply_event_source_mapping(mapping_id: str, props: Properties, old: Properties) -> None:
    """Refuse a queue that hides messages for less than the function's timeout, as Lambda does."""
    mapping = service._esms[mapping_id]
    function = service._functions.get(mapping["FunctionName"])
    if function is None:
        raise ValueError(f"Function does not exist: {mapping['FunctionArn']}")
    queue = sqs._queue_by_arn(mapping["EventSourceArn"]) if ":sqs:" in mapping["EventSourceArn"] else None
    if queue is None:
        return
    if polling_denial(function["config"]["Role"], mapping["EventSourceArn"]):
        raise ValueError(
            "The provided execution role does not have permissions to call ReceiveMessage on SQS"
        )
    visible_s, timeout_s = int(queue["attributes"]["VisibilityTimeout"]), function["config"]["Timeout"]
    if visible_s < timeout_s:
        raise ValueError(
            f"Invalid request provided: Queue visibility timeout: {visible_s} seconds "
            f"is less than Function timeout: {timeout_s} seconds"
        )


def apply_table(name: str, props: Properties, old: Properties) -> None:
    """Apply time to live, point-in-time recovery and encryption, and mark indexes as ready."""
    expiry = props.get("TimeToLiveSpecification")
    if expiry is None and (before := old.get("TimeToLiveSpecification")):
        expiry = {**before, "Enabled": False}
    if expiry:
        specification = {**expiry, "Enabled": is_true(expiry.get("Enabled"))}
        check(dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": specification}))
    recovery = props.get("PointInTimeRecoverySpecification") or {}
    enabled = is_true(recovery.get("PointInTimeRecoveryEnabled"))
    check(
        dynamodb._update_continuous_backups(
            {"TableName": name, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": enabled}}
        )
    )
    table = dynamodb._tables[name]
    table[
        "GlobalSecondaryIndexes"
    ] = [  # copy these: they belong to the template, and a comparison would find a change
        {"IndexStatus": "ACTIVE", "IndexArn": f"{table['TableArn']}/index/{index['IndexName']}", **index}
        for index in table["GlobalSecondaryIndexes"]
    ]
    encryption = props.get("SSESpecification") or {}
    specification = {**encryption, "Enabled": is_true(encryption.get("SSEEnabled"))}
    table["SSEDescription"] = dynamodb._sse_description_from_spec(specification)


def apply_topic(arn: str, props: Properties, old: Properties) -> None:
    """Apply the key that encrypts a topic."""
    attributes = sns._topics[arn]["attributes"]
    attributes.pop("KmsMasterKeyId", None)
    if key := props.get("KmsMasterKeyId"):
        attributes["KmsMasterKeyId"] = key


def apply_state_machine(arn: str, props: Properties, old: Properties) -> None:
    """Apply logging; require a role that Step Functions can assume, and a definition that can be stored."""
    if refusal := definitions.refusal(stepfunctions._state_machines[arn]["definition"]):
        raise ValueError(refusal)
    if not trusts(props["RoleArn"], "states.amazonaws.com"):
        raise ValueError(
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized "
            "to assume the provided role."
        )
    logging = props.get("LoggingConfiguration")
    if logging:
        stepfunctions._state_machines[arn]["loggingConfiguration"] = provisioners._pascal_to_camel(logging)


def json_definition(definition: str) -> str:
    """Convert a state machine's definition, which CloudFormation also accepts as YAML."""
    try:
        json.loads(definition)
    except ValueError:
        return json.dumps(yaml.safe_load(definition))
    return definition


def apply_rule(name: str, props: Properties, old: Properties) -> None:
    """Fail the stack for a pattern that EventBridge would refuse."""
    pattern = props.get("EventPattern")
    if pattern and (problem := eventbridge._event_pattern_error(json.dumps(pattern))):
        raise ValueError(f"Event pattern is not valid. Reason: {problem}")


def is_true(value: Any) -> bool:
    """Read a template's boolean, which YAML may have as text."""
    return str(value).lower() == "true"


def check(response: Any) -> None:
    """Raise the error of a service call that was refused."""
    if response and response[0] >= 400:
        body = response[2]
        raise ValueError(body.decode() if isinstance(body, bytes) else str(body))
