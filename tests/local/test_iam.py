"""IAM, enforced: a role can do what its policies say, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local import stacks
from local.functions import create_function, create_queue, invoke, log_lines, receive, wait_for
from sluice_local import control
from sluice_local.cloud import LocalCloud

# Calls what the event names: {"service", "operation", "arguments"}; a refusal is the answer.
CALLER = """
import boto3, botocore
def handler(event, context):
    client = boto3.client(event["service"])
    try:
        answer = getattr(client, event["operation"])(**event["arguments"])
    except botocore.exceptions.ClientError as error:
        return error.response["Error"] | {"status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
    return {"Code": None, "status": answer["ResponseMetadata"]["HTTPStatusCode"]}
"""


class Account:
    """A cloud that enforces IAM, with a bucket, a table and a queue to be denied."""

    def __init__(self, cloud: LocalCloud, unique: Callable[[str], str]) -> None:
        self.cloud, self.unique = cloud, unique
        self.bucket, self.table = unique("bucket"), unique("table")
        cloud.client("s3").create_bucket(Bucket=self.bucket)
        cloud.client("s3").put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        put = cloud.client("s3").put_object(Bucket=self.bucket, Key="in/a", Body=b"a")
        self.version = put["VersionId"]
        cloud.client("dynamodb").create_table(
            TableName=self.table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.cloud.region}:{self.cloud.account}:{resource}"

    def role(self, service: str, *statements: dict[str, Any]) -> str:
        """A role that `service` may take on, with one inline policy; its ARN."""
        iam, name = self.cloud.client("iam"), self.unique("role")
        principal = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(principal))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=document(*statements))
        return str(arn)

    def function(self, source: str, *statements: dict[str, Any]) -> tuple[str, str]:
        """A function with a role of its own; its name and the role's ARN."""
        name, role = self.unique("function"), self.role("lambda.amazonaws.com", *statements)
        create_function(self.cloud, name, source, Role=role)
        return name, role


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(
    *actions: str, on: str | list[str] = "*", condition: dict[str, dict[str, str]] | None = None
) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    return statement | ({"Condition": condition} if condition else {})


@pytest.fixture
def account(auth_cloud: LocalCloud, unique: Callable[[str], str]) -> Account:
    return Account(auth_cloud, unique)


def test_a_function_may_do_what_its_role_allows_on_the_resource_it_names(account: Account) -> None:
    bucket = f"arn:aws:s3:::{account.bucket}"
    name, role = account.function(
        CALLER,
        allow("s3:GetObject", on=f"{bucket}/in/*"),
        allow("s3:GetObjectVersion", on=f"{bucket}/in/*"),
        allow("s3:ListBucket", on=bucket),
        allow("dynamodb:PutItem", on=account.arn("dynamodb", f"table/{account.table}")),
    )
    get = {"Bucket": account.bucket, "Key": "in/a"}
    item = {"TableName": account.table, "Item": {"pk": {"S": "x"}}}
    permitted = [
        ("s3", "get_object", get),
        ("s3", "head_object", get),
        ("s3", "get_object", get | {"VersionId": account.version}),
        ("s3", "list_objects_v2", {"Bucket": account.bucket}),
        ("dynamodb", "put_item", item),
    ]
    for service, operation, arguments in permitted:
        assert call(account.cloud, name, service, operation, **arguments)["Code"] is None
    put = {"Bucket": account.bucket, "Key": "in/a", "Body": "x"}
    refused: list[tuple[str, str, dict[str, Any], str, str, str]] = [
        ("s3", "put_object", put, "s3:PutObject", f'"{bucket}/in/a"', "AccessDenied"),
        ("s3", "get_object", get | {"Key": "out/a"}, "s3:GetObject", f'"{bucket}/out/a"', "AccessDenied"),
        (
            "s3",
            "list_object_versions",
            {"Bucket": account.bucket},
            "s3:ListBucketVersions",
            f'"{bucket}"',
            "AccessDenied",
        ),
        (
            "dynamodb",
            "get_item",
            {"TableName": account.table, "Key": {"pk": {"S": "x"}}},
            "dynamodb:GetItem",
            account.arn("dynamodb", f"table/{account.table}"),
            "AccessDeniedException",
        ),
    ]
    session = f"arn:aws:sts::{account.cloud.account}:assumed-role/{role.rsplit('/', 1)[-1]}/{name}"
    for service, operation, arguments, action, resource, code in refused:
        answer = call(account.cloud, name, service, operation, **arguments)
        assert answer["Code"] == code
        assert answer["Message"] == (
            f"User: {session} is not authorized to perform: {action} on resource: {resource} "
            f"because no identity-based policy allows the {action} action"
        )


def test_an_explicit_denial_wins(account: Account) -> None:
    bucket = f"arn:aws:s3:::{account.bucket}/*"
    denial = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": bucket}
    name, _role = account.function(CALLER, allow("s3:*", on=bucket), denial)
    answer = call(account.cloud, name, "s3", "get_object", Bucket=account.bucket, Key="in/a")
    assert answer["Code"] == "AccessDenied"
    assert answer["Message"].endswith("with an explicit deny in an identity-based policy")


@pytest.mark.parametrize(("namespace", "code"), [("Sluice", None), ("Other", "AccessDenied")])
def test_metrics_may_be_limited_to_a_namespace(account: Account, namespace: str, code: str | None) -> None:
    condition = {"StringEquals": {"cloudwatch:namespace": "Sluice"}}
    name, _role = account.function(CALLER, allow("cloudwatch:PutMetricData", condition=condition))
    data = [{"MetricName": "Rows", "Value": 1}]
    answer = call(account.cloud, name, "cloudwatch", "put_metric_data", Namespace=namespace, MetricData=data)
    assert (answer["Code"] or "").removesuffix("Exception") == (code or "")


@pytest.mark.parametrize("operator", ["StringEquals", "ForAllValues:StringEquals"])
def test_events_may_be_limited_to_a_source(account: Account, operator: str) -> None:
    condition = {operator: {"events:source": "sluice.reconcile"}}
    name, _role = account.function(CALLER, allow("events:PutEvents", condition=condition))
    mine = {"Source": "sluice.reconcile", "DetailType": "d", "Detail": "{}"}
    answer = call(account.cloud, name, "events", "put_events", Entries=[mine, mine])
    assert answer["Code"] is None
    answer = call(account.cloud, name, "events", "put_events", Entries=[mine, mine | {"Source": "other"}])
    assert answer["Code"] == "AccessDeniedException"


@pytest.mark.parametrize("status", ["Approved", "PendingManualApproval"])
def test_packages_may_be_limited_to_what_waits_for_approval(account: Account, status: str) -> None:
    condition = {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}}
    name, _role = account.function(CALLER, allow("sagemaker:CreateModelPackage", condition=condition))
    request = {"ModelPackageGroupName": "none", "ModelApprovalStatus": status}
    answer = call(account.cloud, name, "sagemaker", "create_model_package", **request)
    assert answer["Code"] == ("AccessDeniedException" if status == "Approved" else "ValidationException")


@pytest.mark.parametrize("permitted", [True, False])
@pytest.mark.parametrize("style", ["arn", "invoke", "waitForTaskToken", "in a map"])
def test_a_state_machine_invokes_only_functions_its_role_allows(
    account: Account, style: str, permitted: bool
) -> None:
    source = """
import boto3
def handler(event, context):
    if event.get("token"):
        boto3.client("stepfunctions").send_task_success(taskToken=event["token"], output='"answered"')
    return "done"
"""
    name, _role = account.function(source, allow("states:SendTaskSuccess"))
    function = account.arn("lambda", f"function:{name}")
    role = account.role("states.amazonaws.com", *([allow("lambda:InvokeFunction", on=function)] * permitted))
    outcome = run_machine(account, role, machine(function, style))
    if permitted:
        assert outcome["status"] == "SUCCEEDED"
    else:
        assert (outcome["status"], outcome["error"]) == ("FAILED", "Lambda.AWSLambdaException")
        assert (
            f"is not authorized to perform: lambda:InvokeFunction on resource: {function}" in outcome["cause"]
        )


@pytest.mark.parametrize("permitted", [True, False])
def test_a_state_machine_uses_other_services_only_as_its_role_allows(
    account: Account, permitted: bool
) -> None:
    table = account.arn("dynamodb", f"table/{account.table}")
    role = account.role("states.amazonaws.com", *([allow("dynamodb:PutItem", on=table)] * permitted))
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Parameters": {"TableName": account.table, "Item": {"pk": {"S": "machine"}}},
        "End": True,
    }
    outcome = run_machine(account, role, {"StartAt": "Put", "States": {"Put": task}})
    assert outcome["status"] == ("SUCCEEDED" if permitted else "FAILED")
    assert permitted or outcome["error"] == "DynamoDB.AmazonDynamoDBException"


@pytest.mark.parametrize("permitted", [True, False])
def test_a_rule_starts_a_state_machine_only_with_a_role_that_may(account: Account, permitted: bool) -> None:
    states, kind = account.cloud.client("stepfunctions"), account.unique("Type")
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    arn = states.create_state_machine(
        name=account.unique("machine"),
        definition=json.dumps(definition),
        roleArn=account.role("states.amazonaws.com"),
    )["stateMachineArn"]
    role = account.role("events.amazonaws.com", *([allow("states:StartExecution", on=arn)] * permitted))
    dead = watch(account, kind, Arn=arn, RoleArn=role)
    if permitted:
        wait_for(lambda: states.list_executions(stateMachineArn=arn)["executions"])
    else:
        (message,) = receive(account.cloud, dead)
        assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
        assert states.list_executions(stateMachineArn=arn)["executions"] == []


@pytest.mark.parametrize("permitted", [True, False])
def test_a_rule_invokes_only_a_function_whose_policy_lets_it(account: Account, permitted: bool) -> None:
    name, _role = account.function("def handler(event, context): print('called')")
    if permitted:
        account.cloud.client("lambda").add_permission(
            FunctionName=name,
            StatementId="events",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=account.arn("events", "rule/*"),
        )
    dead = watch(account, account.unique("Type"), Arn=account.arn("lambda", f"function:{name}"))
    if permitted:
        wait_for(lambda: "called" in lines_of(account.cloud, name))
    else:
        (message,) = receive(account.cloud, dead)
        assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


@pytest.mark.parametrize("permitted", [True, False])
def test_a_rule_sends_only_to_a_queue_whose_policy_lets_it(account: Account, permitted: bool) -> None:
    name = account.unique("target")
    policy = queue_policy(account, name) if permitted else {}
    url, arn = create_queue(account.cloud, name, **policy)
    dead = watch(account, account.unique("Type"), Arn=arn)
    assert len(receive(account.cloud, url if permitted else dead)) == 1


@pytest.mark.parametrize("permitted", [True, False])
def test_a_failed_event_reaches_a_dead_letter_queue_only_if_the_functions_role_may_send(
    account: Account, permitted: bool
) -> None:
    url, arn = create_queue(account.cloud, account.unique("dead"))
    role = account.role("lambda.amazonaws.com", *([allow("sqs:SendMessage", on=arn)] * permitted))
    name = account.unique("fails")
    source = "def handler(event, context): raise ValueError('no')"
    create_function(account.cloud, name, source, Role=role, DeadLetterConfig={"TargetArn": arn})
    account.cloud.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload="1")
    assert len(receive(account.cloud, url, wait_s=20 if permitted else 2)) == permitted


FUNCTION = {
    "Runtime": "python3.11",
    "Handler": "index.handler",
    "Code": {"ZipFile": "def handler(event, context): pass"},
}
MACHINE = {"Definition": {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}}


@pytest.mark.parametrize(
    ("kind", "properties", "role_property", "service", "reason"),
    [
        ("AWS::Lambda::Function", FUNCTION, "Role", "lambda", "cannot be assumed by Lambda"),
        ("AWS::StepFunctions::StateMachine", MACHINE, "RoleArn", "states", "to assume the provided role"),
    ],
    ids=["function", "state machine"],
)
def test_a_role_must_trust_the_service_that_takes_it_on(
    account: Account, kind: str, properties: dict[str, Any], role_property: str, service: str, reason: str
) -> None:
    for principal, status in ((service, "CREATE_COMPLETE"), ("sagemaker", "ROLLBACK_COMPLETE")):
        role, name = account.role(f"{principal}.amazonaws.com"), account.unique("stack")
        resource = {"Type": kind, "Properties": {**properties, role_property: role}}
        assert stacks.create(account.cloud, name, Resource=resource)["StackStatus"] == status
    assert reason in stacks.reasons(account.cloud, name)["Resource"]


IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1"


@pytest.mark.parametrize(
    ("operation", "role_member", "members"),
    [
        ("create_model", "ExecutionRoleArn", {"PrimaryContainer": {"Image": IMAGE}}),
        (
            "create_training_job",
            "RoleArn",
            {
                "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
                "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            },
        ),
    ],
)
def test_sagemaker_takes_on_no_role_that_is_missing_or_anothers(
    account: Account, operation: str, role_member: str, members: dict[str, Any]
) -> None:
    client = account.cloud.client("sagemaker")
    name = {f"{operation.removeprefix('create_').title().replace('_', '')}Name": account.unique("role")}
    for role in (f"arn:aws:iam::{account.cloud.account}:role/missing", account.role("lambda.amazonaws.com")):
        with pytest.raises(client.exceptions.ClientError) as refused:
            getattr(client, operation)(**name, **members, **{role_member: role})
        error = refused.value.response["Error"]
        assert error["Code"] == "ValidationException"
        assert error["Message"].startswith(
            f"Could not assume role {role}. Please ensure that the role exists"
        )


@pytest.mark.parametrize("permitted", [True, False])
def test_a_queue_is_mapped_only_to_a_function_whose_role_may_poll_it(
    account: Account, permitted: bool
) -> None:
    _url, arn = create_queue(account.cloud, account.unique("queue"))
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    statement = allow(*(actions if permitted else actions[:2]), on=arn)
    name, _role = account.function("def handler(event, context): pass", statement)
    mapping = {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {"FunctionName": name, "EventSourceArn": arn},
    }
    stack = account.unique("mapping")
    status = stacks.create(account.cloud, stack, Mapping=mapping)["StackStatus"]
    assert status == ("CREATE_COMPLETE" if permitted else "ROLLBACK_COMPLETE")


def test_an_action_is_checked_on_the_resource_that_aws_names(account: Account) -> None:
    states = account.cloud.client("stepfunctions")
    machine = states.create_state_machine(
        name=account.unique("machine"),
        definition=json.dumps(MACHINE["Definition"]),
        roleArn=account.role("states.amazonaws.com"),
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    url, queue = create_queue(account.cloud, account.unique("queue"))
    name, role = account.function(CALLER, allow("*"))
    table, bucket = account.arn("dynamodb", f"table/{account.table}"), f"arn:aws:s3:::{account.bucket}"
    key = {"TableName": account.table, "Key": {"pk": {"S": "x"}}}
    alarm = {
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 1,
        "Period": 60,
    }
    metric = {"MetricName": "m", "Namespace": "n", "Statistic": "Sum"}
    condition = {
        "KeyConditionExpression": "pk = :x",
        "ExpressionAttributeValues": {":x": {"S": "x"}},
    }
    transaction = {"TransactItems": [{"Delete": key}]}
    event = {"Source": "s", "DetailType": "d", "Detail": "{}"}
    copy = {"Bucket": account.bucket, "Key": "b", "CopySource": f"{account.bucket}/in/a"}
    calls: list[tuple[str, str, dict[str, Any], str, str]] = [
        ("s3", "list_objects_v2", {"Bucket": account.bucket}, "s3:ListBucket", bucket),
        ("s3", "list_object_versions", {"Bucket": account.bucket}, "s3:ListBucketVersions", bucket),
        ("s3", "copy_object", copy, "s3:PutObject", f"{bucket}/b"),
        ("s3", "copy_object", copy, "s3:GetObject", f"{bucket}/in/a"),
        ("s3", "head_object", {"Bucket": account.bucket, "Key": "in/a"}, "s3:GetObject", f"{bucket}/in/a"),
        ("dynamodb", "update_item", key, "dynamodb:UpdateItem", table),
        ("dynamodb", "query", {"TableName": account.table, **condition}, "dynamodb:Query", table),
        ("dynamodb", "transact_write_items", transaction, "dynamodb:DeleteItem", table),
        ("sqs", "send_message", {"QueueUrl": url, "MessageBody": "m"}, "sqs:SendMessage", queue),
        ("stepfunctions", "start_execution", {"stateMachineArn": machine}, "states:StartExecution", machine),
        (
            "stepfunctions",
            "describe_execution",
            {"executionArn": execution},
            "states:DescribeExecution",
            execution,
        ),
        ("stepfunctions", "list_executions", {"stateMachineArn": machine}, "states:ListExecutions", machine),
        (
            "events",
            "put_events",
            {"Entries": [event]},
            "events:PutEvents",
            account.arn("events", "event-bus/default"),
        ),
        (
            "cloudwatch",
            "put_metric_alarm",
            {"AlarmName": "one", **alarm, **metric},
            "cloudwatch:PutMetricAlarm",
            account.arn("cloudwatch", "alarm:one"),
        ),
        (
            "cloudwatch",
            "describe_alarms",
            {"AlarmNames": ["one"]},
            "cloudwatch:DescribeAlarms",
            account.arn("cloudwatch", "alarm:*"),
        ),
        (
            "cloudwatch",
            "delete_alarms",
            {"AlarmNames": ["one"]},
            "cloudwatch:DeleteAlarms",
            account.arn("cloudwatch", "alarm:one"),
        ),
    ]
    for service, operation, arguments, _action, _resource in calls:
        assert call(account.cloud, name, service, operation, **arguments)["Code"] is None, operation
    role = role.rsplit("/", 1)[-1]
    expected = {(action, resource) for *_call, action, resource in calls}
    used = ledger(account.cloud)["used"][role]
    assert {(item["action"], item["resource"]) for item in used} == expected


def test_deleting_alarms_is_checked_on_each(account: Account) -> None:
    mine = account.arn("cloudwatch", "alarm:mine-*")
    name, _role = account.function(CALLER, allow("cloudwatch:DeleteAlarms", on=mine))
    answer = call(account.cloud, name, "cloudwatch", "delete_alarms", AlarmNames=["mine-1", "mine-2"])
    assert answer["Code"] != "AccessDenied"
    answer = call(account.cloud, name, "cloudwatch", "delete_alarms", AlarmNames=["mine-1", "other"])
    assert answer["Code"].startswith("AccessDenied")
    assert account.arn("cloudwatch", "alarm:other") in answer["Message"]


def test_used_and_denied_permissions_are_told_by_role(account: Account) -> None:
    bucket = f"arn:aws:s3:::{account.bucket}"
    name, role = account.function(CALLER, allow("s3:GetObject", on=f"{bucket}/*"), allow("s3:PutObject"))
    call(account.cloud, name, "s3", "get_object", Bucket=account.bucket, Key="in/a")
    call(account.cloud, name, "s3", "delete_object", Bucket=account.bucket, Key="in/a")
    told, role = ledger(account.cloud), role.rsplit("/", 1)[-1]
    resource = f"{bucket}/in/a"
    assert told["used"][role] == [{"action": "s3:GetObject", "resource": resource}]
    assert told["denied"][role] == [{"action": "s3:DeleteObject", "resource": resource}]


def test_without_enforcement_a_role_may_do_everything(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("free")
    create_function(cloud, name, CALLER)
    assert call(cloud, name, "sqs", "list_queues")["Code"] is None


def ledger(cloud: LocalCloud) -> dict[str, Any]:
    return dict(control.ask(cloud.endpoint_url, "iam/used"))


def call(cloud: LocalCloud, name: str, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
    answer, error = invoke(cloud, name, {"service": service, "operation": operation, "arguments": arguments})
    assert error is None, answer
    return dict(answer)


def machine(function: str, style: str) -> dict[str, Any]:
    """A machine that invokes the function in one of the ways there are."""
    task: dict[str, Any] = {"Type": "Task", "Resource": function, "End": True}
    if style != "arn":
        suffix = ".waitForTaskToken" if style == "waitForTaskToken" else ""
        payload = {"token.$": "$$.Task.Token"} if suffix else {}
        task |= {
            "Resource": f"arn:aws:states:::lambda:invoke{suffix}",
            "Parameters": {"FunctionName": function, "Payload": payload},
            "TimeoutSeconds": 20,
        }
    work = {"StartAt": "Work", "States": {"Work": task}}
    if style != "in a map":
        return work
    each = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": work, "End": True}
    return {"StartAt": "Each", "States": {"Each": each}}


def run_machine(account: Account, role: str, definition: dict[str, Any]) -> dict[str, Any]:
    states = account.cloud.client("stepfunctions")
    arn = states.create_state_machine(
        name=account.unique("machine"), definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=arn, input='{"items": [{}, {}]}')["executionArn"]

    def finished() -> dict[str, Any] | None:
        description: dict[str, Any] = states.describe_execution(executionArn=execution)
        return None if description["status"] == "RUNNING" else description

    outcome = wait_for(finished)
    assert outcome is not None
    return outcome


def watch(account: Account, kind: str, **target: Any) -> str:
    """Send one event to a target that has a dead-letter queue; the queue's URL."""
    name = account.unique("dead")
    url, arn = create_queue(account.cloud, name, **queue_policy(account, name))
    events, rule = account.cloud.client("events"), account.unique("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps({"detail-type": [kind]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "only", "DeadLetterConfig": {"Arn": arn}, **target}])
    events.put_events(Entries=[{"Source": "sluice.test", "DetailType": kind, "Detail": "{}"}])
    return url


def queue_policy(account: Account, name: str) -> dict[str, str]:
    """The attribute that lets EventBridge send to a queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": account.arn("sqs", name),
    }
    return {"Policy": document(statement)}


def lines_of(cloud: LocalCloud, name: str) -> list[str]:
    groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    return log_lines(cloud, name) if groups else []


BELOW = "/made/"


def maker(account: Account, boundary: str) -> tuple[str, Callable[..., Any]]:
    """A function that may make roles below a path, within a boundary; how to let it."""
    name, _ = account.function(
        CALLER,
        allow(
            *("iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
            on=f"arn:aws:iam::{account.cloud.account}:role{BELOW}*",
            condition={"StringEquals": {"iam:PermissionsBoundary": boundary}},
        ),
    )
    trust = document(
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    )

    def make(**given: Any) -> Any:
        arguments = {
            "AssumeRolePolicyDocument": trust,
            "Path": BELOW,
            "PermissionsBoundary": boundary,
            **given,
        }
        return call(account.cloud, name, "iam", "create_role", **{k: v for k, v in arguments.items() if v})

    return name, make


def test_a_role_is_made_below_the_path_and_within_the_boundary_that_a_policy_names(account: Account) -> None:
    iam = account.cloud.client("iam")
    boundary, other = (
        iam.create_policy(PolicyName=account.unique("b"), PolicyDocument=document(allow("s3:GetObject")))[
            "Policy"
        ]["Arn"]
        for _ in range(2)
    )
    name, make = maker(account, boundary)
    made, plain = account.unique("made"), account.unique("plain")
    assert make(RoleName=made)["Code"] is None
    for refused in ({"Path": None}, {"PermissionsBoundary": None}, {"PermissionsBoundary": other}):
        assert make(RoleName=account.unique("refused"), **refused)["Code"] == "AccessDenied"
    policy = {"PolicyName": "all", "PolicyDocument": document(allow("s3:*"))}
    assert call(account.cloud, name, "iam", "put_role_policy", RoleName=made, **policy)["Code"] is None
    trust = iam.get_role(RoleName=made)["Role"]["AssumeRolePolicyDocument"]
    iam.create_role(RoleName=plain, Path=BELOW, AssumeRolePolicyDocument=json.dumps(trust))
    unbounded = call(account.cloud, name, "iam", "put_role_policy", RoleName=plain, **policy)
    assert unbounded["Code"] == "AccessDenied"
    for given, answer in ((other, "AccessDenied"), (boundary, None)):
        bounded = call(
            account.cloud,
            name,
            "iam",
            "put_role_permissions_boundary",
            RoleName=plain,
            PermissionsBoundary=given,
        )
        assert bounded["Code"] == answer
    assert call(account.cloud, name, "iam", "put_role_policy", RoleName=plain, **policy)["Code"] is None


def test_a_bucket_knows_a_caller_by_its_role_whatever_the_session(account: Account) -> None:
    """`aws:PrincipalArn` is the role's ARN, with its path."""
    bucket = f"arn:aws:s3:::{account.bucket}"
    writer, role = account.function(CALLER, allow("s3:PutObject", on=f"{bucket}/*"))
    other, _ = account.function(CALLER, allow("s3:PutObject", on=f"{bucket}/*"))
    kept = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{bucket}/kept/*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": role}},
    }
    account.cloud.client("s3").put_bucket_policy(Bucket=account.bucket, Policy=document(kept))
    put = {"Bucket": account.bucket, "Body": "x"}
    assert call(account.cloud, writer, "s3", "put_object", Key="kept/a", **put)["Code"] is None
    assert call(account.cloud, other, "s3", "put_object", Key="kept/a", **put)["Code"] == "AccessDenied"
    assert call(account.cloud, other, "s3", "put_object", Key="free/a", **put)["Code"] is None
