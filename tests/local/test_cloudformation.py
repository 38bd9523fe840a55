"""CloudFormation, through the real SAM CLI: everything a template declares is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import stacks
from local.functions import create_queue, invoke, wait_for
from sluice_local.cloud import LocalCloud


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the SAM application, to build in."""
    return Path(shutil.copytree(Path(__file__).parent / "sam", tmp_path_factory.mktemp("sam") / "app"))


@pytest.fixture(scope="module")
def stack(cloud: LocalCloud, folder: Path) -> dict[str, str]:
    """The outputs of the deployed application."""
    stacks.sam_deploy(cloud, folder, "declared")
    return stacks.outputs(cloud, "declared")


def test_a_function_runs_with_the_layer_that_its_makefile_built(
    cloud: LocalCloud, stack: dict[str, str]
) -> None:
    assert invoke(cloud, stack["Function"], 1) == ({"layer": "shared", "event": 1}, None)


def test_a_function_has_its_configuration(cloud: LocalCloud, stack: dict[str, str]) -> None:
    functions = cloud.client("lambda")
    configuration = functions.get_function_configuration(FunctionName=stack["Function"])
    assert configuration["DeadLetterConfig"] == {"TargetArn": stack["DeadQueueArn"]}
    assert configuration["Environment"]["Variables"] == {"TABLE": stack["Table"]}
    assert (configuration["Timeout"], configuration["MemorySize"]) == (20, 256)
    assert configuration["LoggingConfig"]["LogFormat"] == "JSON"
    assert configuration["Role"] == stack["FunctionRole"]
    concurrency = functions.get_function_concurrency(FunctionName=stack["Function"])
    assert concurrency["ReservedConcurrentExecutions"] == 2
    invocation = functions.get_function_event_invoke_config(FunctionName=stack["Function"])
    assert (invocation["MaximumRetryAttempts"], invocation["MaximumEventAgeInSeconds"]) == (1, 3600)
    assert invocation["DestinationConfig"]["OnFailure"] == {"Destination": stack["DeadQueueArn"]}


def test_a_log_group_keeps_its_retention(cloud: LocalCloud, stack: dict[str, str]) -> None:
    logs = cloud.client("logs")
    for name, days in ((f"/aws/lambda/{stack['Function']}", 14), (stack["MachineLogs"], 7)):
        (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        assert group["retentionInDays"] == days


def test_a_rule_has_its_pattern_and_its_target_a_dead_letter_queue_and_a_retry_policy(
    cloud: LocalCloud, stack: dict[str, str]
) -> None:
    events = cloud.client("events")
    targets = {}
    for name in events.list_rule_names_by_target(TargetArn=stack["FunctionArn"])["RuleNames"]:
        rule = events.describe_rule(Name=name)
        (target,) = events.list_targets_by_rule(Rule=name)["Targets"]
        targets[rule.get("ScheduleExpression") or json.loads(rule["EventPattern"])["source"][0]] = target
    assert set(targets) == {"aws.s3", "rate(5 minutes)"}
    assert targets["aws.s3"]["DeadLetterConfig"] == {"Arn": stack["DeadQueueArn"]}
    assert targets["aws.s3"]["RetryPolicy"] == {
        "MaximumRetryAttempts": 4,
        "MaximumEventAgeInSeconds": 600,
    }


def test_an_upload_reaches_the_function_that_its_rule_names(cloud: LocalCloud, stack: dict[str, str]) -> None:
    cloud.client("s3").put_object(Bucket=stack["Bucket"], Key="data/a.csv", Body=b"a")
    lines = wait_for(lambda: [line for line in report_lines(cloud, stack) if "REPORT" in line])
    assert lines


def test_a_schedule_of_the_scheduler_is_made(cloud: LocalCloud, stack: dict[str, str]) -> None:
    schedules = cloud.client("scheduler").list_schedules()["Schedules"]
    (schedule,) = [item for item in schedules if item["Target"]["Arn"] == stack["FunctionArn"]]
    full = cloud.client("scheduler").get_schedule(Name=schedule["Name"])
    assert full["ScheduleExpression"] == "rate(1 hour)"


def test_a_queue_is_mapped_to_its_function(cloud: LocalCloud, stack: dict[str, str]) -> None:
    (mapping,) = cloud.client("lambda").list_event_source_mappings(FunctionName=stack["Function"])[
        "EventSourceMappings"
    ]
    assert mapping["BatchSize"] == 5
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_queues_have_their_attributes(cloud: LocalCloud, stack: dict[str, str]) -> None:
    sqs = cloud.client("sqs")
    work = sqs.get_queue_attributes(QueueUrl=stack["WorkQueue"], AttributeNames=["All"])["Attributes"]
    assert json.loads(work["RedrivePolicy"])["deadLetterTargetArn"] == stack["DeadQueueArn"]
    assert int(json.loads(work["RedrivePolicy"])["maxReceiveCount"]) == 3
    assert (work["VisibilityTimeout"], work["DelaySeconds"]) == ("120", "1")
    dead = sqs.get_queue_attributes(QueueUrl=stack["DeadQueue"], AttributeNames=["All"])["Attributes"]
    assert dead["MessageRetentionPeriod"] == "1209600"
    assert json.loads(dead["Policy"])["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}


def test_a_topic_has_its_key_and_its_subscription(cloud: LocalCloud, stack: dict[str, str]) -> None:
    sns = cloud.client("sns")
    assert (
        sns.get_topic_attributes(TopicArn=stack["Topic"])["Attributes"]["KmsMasterKeyId"] == "alias/aws/sns"
    )
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=stack["Topic"])["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("sqs", stack["DeadQueueArn"])


def test_a_table_has_its_expiry_recovery_encryption_and_index(
    cloud: LocalCloud, stack: dict[str, str]
) -> None:
    dynamodb = cloud.client("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName=stack["Table"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    backups = dynamodb.describe_continuous_backups(TableName=stack["Table"])["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    table = dynamodb.describe_table(TableName=stack["Table"])["Table"]
    assert table["SSEDescription"]["Status"] == "ENABLED"
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    (index,) = table["GlobalSecondaryIndexes"]
    assert (index["IndexName"], index["IndexStatus"]) == ("gsi1", "ACTIVE")
    item = {"pk": {"S": "a"}, "sk": {"S": "b"}, "gsi1pk": {"S": "c"}}
    dynamodb.put_item(TableName=stack["Table"], Item=item)
    found = dynamodb.query(
        TableName=stack["Table"],
        IndexName="gsi1",
        KeyConditionExpression="gsi1pk = :c",
        ExpressionAttributeValues={":c": {"S": "c"}},
    )
    assert found["Items"] == [item]


def test_a_bucket_has_its_configuration(cloud: LocalCloud, stack: dict[str, str]) -> None:
    s3, bucket = cloud.client("s3"), {"Bucket": stack["Bucket"]}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert s3.get_bucket_notification_configuration(**bucket)["EventBridgeConfiguration"] == {}
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    (ownership,) = s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"]["Rules"]
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"
    (rule,) = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert (rule["ID"], rule["Status"], rule["Filter"]) == ("clean", "Enabled", {"Prefix": "tmp/"})
    assert rule["Expiration"] == {"Days": 7}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert {"Key": "part", "Value": "data"} in s3.get_bucket_tagging(**bucket)["TagSet"]
    (statement,) = json.loads(s3.get_bucket_policy(**bucket)["Policy"])["Statement"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_state_machine_has_its_substitutions_role_and_logging(
    cloud: LocalCloud, stack: dict[str, str]
) -> None:
    states = cloud.client("stepfunctions")
    machine = states.describe_state_machine(stateMachineArn=stack["Machine"])
    definition = json.loads(machine["definition"])
    assert definition["States"]["Work"]["Parameters"]["FunctionName"] == stack["FunctionArn"]
    assert machine["loggingConfiguration"]["level"] == "ALL"
    role = machine["roleArn"].rsplit("/", 1)[-1]
    names = cloud.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
    assert len(names) == 2
    execution = states.start_execution(stateMachineArn=stack["Machine"], input='{"n": 1}')["executionArn"]
    done = wait_for(
        lambda: (found := states.describe_execution(executionArn=execution))["status"] != "RUNNING" and found
    )
    assert json.loads(done["output"]) == {"layer": "shared", "event": {"n": 1}}


def test_an_archive_is_made(cloud: LocalCloud, stack: dict[str, str]) -> None:
    archive = cloud.client("events").describe_archive(ArchiveName=stack["Archive"])
    assert archive["RetentionDays"] == 3
    assert json.loads(archive["EventPattern"]) == {"source": ["sluice.test"]}


def test_alarms_are_as_declared(cloud: LocalCloud, stack: dict[str, str]) -> None:
    cloudwatch = cloud.client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[stack["Alarm"]])["MetricAlarms"]
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3, 2)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["QueueName"]
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[stack["RateAlarm"]])["MetricAlarms"]
    assert [metric["Id"] for metric in alarm["Metrics"]] == ["rate", "errors", "calls"]
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[stack["BothAlarm"]], AlarmTypes=["CompositeAlarm"])[
        "CompositeAlarms"
    ]
    assert alarm["AlarmRule"] == f'ALARM("{stack["Alarm"]}") OR ALARM("{stack["RateAlarm"]}")'
    assert alarm["AlarmActions"] == [stack["Topic"]]


def test_a_second_deployment_updates_in_place(cloud: LocalCloud, folder: Path, stack: dict[str, str]) -> None:
    app = folder / "function/app.py"
    app.write_text(app.read_text().replace("shared.NAME", "'changed'"))
    stacks.sam_deploy(cloud, folder, "declared", "Retries=0")
    assert stacks.outputs(cloud, "declared") == stack
    assert invoke(cloud, stack["Function"], 2) == ({"layer": "changed", "event": 2}, None)
    invocation = cloud.client("lambda").get_function_event_invoke_config(FunctionName=stack["Function"])
    assert invocation["MaximumRetryAttempts"] == 0
    concurrency = cloud.client("lambda").get_function_concurrency(FunctionName=stack["Function"])
    assert concurrency["ReservedConcurrentExecutions"] == 2


def test_deleting_a_stack_takes_everything_but_a_bucket_with_objects(
    cloud: LocalCloud, folder: Path, unique: Callable[[str], str]
) -> None:
    name = unique("gone")
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
    stacks.create(cloud, name, Bucket=bucket, Queue={"Type": "AWS::SQS::Queue"})
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    ids = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}
    s3 = cloud.client("s3")
    s3.put_object(Bucket=ids["Bucket"], Key="a")
    s3.delete_object(Bucket=ids["Bucket"], Key="a")
    cloud.client("cloudformation").delete_stack(StackName=name)
    assert stacks.settled(cloud, name)["StackStatus"] == "DELETE_FAILED"
    assert "not empty" in stacks.reasons(cloud, name)["Bucket"]
    for version in versions(s3, ids["Bucket"]):
        s3.delete_object(Bucket=ids["Bucket"], **version)
    cloud.client("cloudformation").delete_stack(StackName=name)
    cloud.client("cloudformation").get_waiter("stack_delete_complete").wait(
        StackName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100}
    )
    with pytest.raises(s3.exceptions.ClientError, match="404"):
        s3.head_bucket(Bucket=ids["Bucket"])
    with pytest.raises(cloud.client("sqs").exceptions.QueueDoesNotExist):
        cloud.client("sqs").get_queue_attributes(QueueUrl=ids["Queue"])


def test_a_failing_resource_rolls_the_stack_back_and_says_why(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name, queue = unique("fails"), unique("queue")
    _url, arn = create_queue(cloud, unique("short"), VisibilityTimeout="5")
    good = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": queue}}
    function = lambda_resource("def handler(event, context): pass", Timeout=60)
    mapping = {
        "Type": "AWS::Lambda::EventSourceMapping",
        "DependsOn": "Good",
        "Properties": {"FunctionName": {"Ref": "Function"}, "EventSourceArn": arn},
    }
    description = stacks.create(cloud, name, Good=good, Function=function, Mapping=mapping)
    assert description["StackStatus"] == "ROLLBACK_COMPLETE"
    assert (
        "visibility timeout: 5 seconds is less than Function timeout: 60"
        in (stacks.reasons(cloud, name)["Mapping"])
    )
    with pytest.raises(cloud.client("sqs").exceptions.QueueDoesNotExist):
        cloud.client("sqs").get_queue_url(QueueName=queue)


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (
            {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": "not a list"}}},
            "Event pattern is not valid",
        ),
        (
            {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.11",
                    "Handler": "app.handler",
                    "Role": "arn:aws:iam::000000000000:role/any",
                    "Code": {"S3Bucket": "absent", "S3Key": "absent"},
                },
            },
            "NoSuchKey",
        ),
        ({"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/existing"}}, "already exists"),
    ],
    ids=["pattern", "code", "log group"],
)
def test_a_declaration_that_cannot_be_fulfilled_fails(
    cloud: LocalCloud, unique: Callable[[str], str], resource: dict[str, Any], reason: str
) -> None:
    logs = cloud.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix="/existing")["logGroups"]:
        logs.create_log_group(logGroupName="/existing")
    name = unique("refused")
    assert stacks.create(cloud, name, Refused=resource)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in stacks.reasons(cloud, name)["Refused"]
    assert logs.describe_log_groups(logGroupNamePrefix="/existing")["logGroups"]


def test_an_update_that_fails_goes_back_to_what_was(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    name, queue = unique("goes-back"), unique("queue")
    before = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": queue, "DelaySeconds": 1}}
    stacks.create(cloud, name, Queue=before)
    bad = {
        "Type": "AWS::Events::Rule",
        "DependsOn": "Queue",
        "Properties": {"EventPattern": {"source": "not a list"}},
    }
    after = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": queue, "DelaySeconds": 9}}
    assert stacks.update(cloud, name, Queue=after, Rule=bad)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    url = cloud.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    assert attributes["Attributes"] == {"DelaySeconds": "1"}


def test_a_property_taken_out_of_the_template_is_taken_away(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("less")
    _url, arn = create_queue(cloud, unique("dead"))
    source = "def handler(event, context): pass"
    full = lambda_resource(source, DeadLetterConfig={"TargetArn": arn}, ReservedConcurrentExecutions=1)
    stacks.create(cloud, name, Function=full)
    stacks.update(cloud, name, Function=lambda_resource(source))
    (resource,) = cloud.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    function = cloud.client("lambda").get_function(FunctionName=resource["PhysicalResourceId"])
    assert "DeadLetterConfig" not in function["Configuration"]
    assert "Concurrency" not in function


def test_an_unknown_type_is_refused_by_name(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    with pytest.raises(
        cloud.client("cloudformation").exceptions.ClientError, match="AWS::SageMaker::Unheard"
    ):
        stacks.create(cloud, unique("unknown"), Unknown={"Type": "AWS::SageMaker::Unheard"})


def lambda_resource(source: str, **options: Any) -> dict[str, Any]:
    properties = {
        "Runtime": "python3.11",
        "Handler": "index.handler",
        "Role": "arn:aws:iam::000000000000:role/any",
        "Code": {"ZipFile": source},
        **options,
    }
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def report_lines(cloud: LocalCloud, stack: dict[str, str]) -> list[str]:
    events = cloud.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{stack['Function']}")["events"]
    return [event["message"] for event in events]


def versions(s3: Any, bucket: str) -> list[dict[str, str]]:
    """Every version and delete marker of a bucket."""
    listing = s3.list_object_versions(Bucket=bucket)
    return [
        {"Key": item["Key"], "VersionId": item["VersionId"]}
        for item in listing.get("Versions", []) + listing.get("DeleteMarkers", [])
    ]


def test_a_state_machine_with_a_broken_definition_fails_its_stack(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    broken = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": json.dumps(broken), "RoleArn": "arn:aws:iam::000000000000:role/x"},
    }
    name = unique("broken")
    assert stacks.create(cloud, name, Machine=machine)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Missing 'Next' target: B at /States/A/Next" in stacks.reasons(cloud, name)["Machine"]


ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": []}}}
NAMED = {"Type": "AWS::IAM::Role", "Properties": {**ROLE["Properties"], "RoleName": "named"}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("role", "given", "required"),
    [
        (ROLE, [], "CAPABILITY_IAM"),
        (NAMED, [], "CAPABILITY_NAMED_IAM"),
        (NAMED, ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
    ],
)
def test_roles_need_a_capability(
    cloud: LocalCloud, unique: Callable[[str], str], role: dict[str, Any], given: list[str], required: str
) -> None:
    client, body = cloud.client("cloudformation"), json.dumps({"Resources": {"Role": role}})
    with pytest.raises(client.exceptions.InsufficientCapabilitiesException) as refused:
        client.create_stack(StackName=unique("roles"), TemplateBody=body, Capabilities=given)
    assert f"Requires capabilities : [{required}]" in str(refused.value)
    changes = {"ChangeSetName": "first", "ChangeSetType": "CREATE", "TemplateBody": body}
    with pytest.raises(client.exceptions.InsufficientCapabilitiesException):
        client.create_change_set(StackName=unique("roles"), Capabilities=given, **changes)
