"""The template keeps what no linter checks: nothing is lost, nothing may do more than it must."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import asl
from sluice.domain import roles
from sluice.domain.build import costs
from sluice.domain.safeguards import Safeguards
from sluice.services import metering
from sluice.services.build import environments

ROOT = Path(__file__).parents[2]
TEMPLATE = asl.load_template(ROOT / "template.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
# What these actions work on cannot be named: IAM knows no resources for them.
ONLY_WILDCARD = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "cloudwatch:GetMetricData",
    "cloudwatch:PutMetricData",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListModelPackages",
    "sagemaker:ListModels",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
MACHINES = of_type("AWS::Serverless::StateMachine")
BUCKETS = of_type("AWS::S3::Bucket")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def boundary_statements() -> list[dict[str, Any]]:
    """What user code may do at most."""
    found = RESOURCES["JobBoundary"]["Properties"]["PolicyDocument"]["Statement"]
    return [*allowing(found)]


def allowing(found: list[Any]) -> Iterator[dict[str, Any]]:
    """The statements that allow something: `tests/integration/test_who_may.py` evaluates those that deny.

    `!If [condition, statement, nothing]` is the statement.
    """
    for each in found:
        statement = next(part for part in each if isinstance(part, dict)) if isinstance(each, list) else each
        if statement["Effect"] == "Allow":
            yield statement


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of a role, with whose it is."""
    for name, properties in {**FUNCTIONS, **MACHINES}.items():
        for policy in properties.get("Policies", []):  # else it has a role that is declared
            yield from ((name, statement) for statement in allowing(policy["Statement"]))
    for name, properties in of_type("AWS::IAM::Role").items():
        for policy in properties["Policies"]:
            yield from ((name, each) for each in allowing(policy["PolicyDocument"]["Statement"]))
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for name, properties in of_type(kind).items():
            if name != "JobBoundary":
                found = allowing(properties["PolicyDocument"]["Statement"])
                yield from ((name, statement) for statement in found)


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, properties in FUNCTIONS.items():
        for event, declared in properties.get("Events", {}).items():
            if declared["Type"] in ("EventBridgeRule", "Schedule"):
                yield f"{name}.{event}", declared["Properties"]


def folder(properties: dict[str, Any]) -> str:
    return str(properties["CodeUri"]).removeprefix("functions/").rstrip("/")


# -------------------------------------------------------------------------------------------- completeness


def test_packages_are_looked_for_by_each_python_and_processor_that_functions_may_have() -> None:
    allowed = {
        name: TEMPLATE["Parameters"][name]["AllowedValues"] for name in ("PythonRuntime", "Architecture")
    }
    assert {f"python{version}" for version in environments.PYTHONS} == {*allowed["PythonRuntime"]}
    assert {*environments.ARCHITECTURES} == {*allowed["Architecture"]}


def test_every_function_has_its_folder_and_every_folder_its_function() -> None:
    declared = {folder(properties) for properties in FUNCTIONS.values()}
    assert declared == {path.parent.name for path in ROOT.glob("functions/*/app.py")}


def test_a_functions_logical_id_is_its_folder_in_camel_case() -> None:
    for name, properties in FUNCTIONS.items():
        camel = "".join(part.title() for part in folder(properties).split("_"))
        sizes = ("Small", "Medium", "Large") if camel == "RunJob" else ("",)
        assert name in [f"{camel}{size}Function" for size in sizes]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_sample_event(name: str) -> None:
    path = ROOT / "events" / f"{folder(FUNCTIONS[name])}.json"
    assert isinstance(json.loads(path.read_text()), dict)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_logs_to_a_group_of_its_own_that_forgets(name: str) -> None:
    group = RESOURCES[FUNCTIONS[name]["LoggingConfig"]["LogGroup"]]
    assert group["Properties"]["RetentionInDays"] == "LogRetentionDays"
    users = [each for each in FUNCTIONS.values() if each["LoggingConfig"] == FUNCTIONS[name]["LoggingConfig"]]
    assert len(users) == 1


def test_the_functions_get_every_variable_that_they_read_and_no_other() -> None:
    cloud = (ROOT / "layers/common/sluice/adapters/cloud.py").read_text()
    read = set(re.findall(r'(?:_settings\[|_optional\()"([A-Z_]+)"', cloud)) - {"AWS_REGION"}
    given = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
    for properties in FUNCTIONS.values():
        given |= set(properties.get("Environment", {}).get("Variables", {}))
    # uv and powertools read their own.
    assert {name for name in given if not name.startswith("UV_")} == read | {"POWERTOOLS_LOG_LEVEL"}


# ---------------------------------------------------------------------------------------- nothing is lost


def test_an_event_that_cannot_be_delivered_goes_to_the_dead_letter_queue() -> None:
    assert [
        rule for rule, given in rules() if given["DeadLetterConfig"] != {"Arn": "DeadLetterQueue.Arn"}
    ] == []


def test_an_event_that_a_function_fails_on_goes_to_the_dead_letter_queue() -> None:
    for rule, _ in rules():
        config = FUNCTIONS[rule.partition(".")[0]]["EventInvokeConfig"]
        assert config["DestinationConfig"]["OnFailure"]["Destination"] == "DeadLetterQueue.Arn"


ALARMS = of_type("AWS::CloudWatch::Alarm")
# What tells people cannot tell that it fails itself.
OF_TELLING = {"SendNoticeAlarm", "PostNoticeAlarm", "WebhookDeadLetterAlarm", "WebhookAgeAlarm"}


def watched(metric: str) -> dict[str, str]:
    """What the alarms on a metric watch, by the alarm's logical id."""
    return {
        name: alarm["Dimensions"][0]["Value"].partition(".")[0]
        for name, alarm in ALARMS.items()
        if alarm.get("MetricName") == metric and "Dimensions" in alarm
    }


def test_every_function_that_fails_raises_an_alarm_which_names_it() -> None:
    of_errors = watched("Errors")
    assert sorted(of_errors.values()) == sorted(FUNCTIONS)
    for name, function in of_errors.items():
        size = re.search(r"RunJob(Small|Medium|Large)", function)
        called = folder(FUNCTIONS[function]) + (f"_{size[1].lower()}" if size else "")
        assert ALARMS[name]["AlarmName"].endswith(f"errors-of-{called}")
        assert RESOURCES[name].get("Condition") == RESOURCES[function].get("Condition")


def test_every_queue_raises_an_alarm_by_its_depth_if_it_is_of_dead_letters_else_by_its_age() -> None:
    dead = {name for name in of_type("AWS::SQS::Queue") if name.endswith("DeadLetterQueue")}
    assert set(watched("ApproximateNumberOfMessagesVisible").values()) == dead
    assert set(watched("ApproximateAgeOfOldestMessage").values()) == set(of_type("AWS::SQS::Queue")) - dead


def test_every_state_machine_raises_an_alarm_if_its_executions_keep_failing() -> None:
    ends = {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"}
    found: dict[str, set[str]] = {}
    for alarm in ALARMS.values():
        for query in alarm.get("Metrics", []):
            if metric := query.get("MetricStat", {}).get("Metric"):
                found.setdefault(metric["Dimensions"][0]["Value"], set()).add(metric["MetricName"])
    assert found == dict.fromkeys(MACHINES, ends)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_goes_back_by_itself_when_nothing_happens_any_more(name: str) -> None:
    assert ALARMS[name]["TreatMissingData"] == "notBreaching"
    assert ALARMS[name]["EvaluationPeriods"] >= ALARMS[name].get("DatapointsToAlarm", 1) > 0


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_told_in_one_way(name: str) -> None:
    """By the rule, which hears its beginning and its end; those of telling by themselves."""
    alarm, topic = ALARMS[name], ["NoticesTopic"]
    (rule,) = [given for rule, given in rules() if rule == "SendNoticeFunction.AlarmChanged"]
    assert rule["Pattern"]["detail"]["alarmName"] == [{"prefix": "${AWS::StackName}_"}]
    assert rule["Pattern"]["detail"]["state"] == {"value": ["ALARM", "OK"]}
    is_heard = alarm["AlarmName"].startswith("${AWS::StackName}_")
    acts = (alarm.get("AlarmActions"), alarm.get("OKActions"))
    assert (is_heard, acts) == ((False, (topic, topic)) if name in OF_TELLING else (True, (None, None)))


def test_an_alarm_that_is_heard_says_what_comes_next() -> None:
    for name, alarm in ALARMS.items():
        if name not in OF_TELLING and "_errors-of-" not in alarm["AlarmName"]:
            assert re.search(r"\. Next: (sluice|aws) ", " ".join(alarm["AlarmDescription"].split())), name


def test_an_alarms_command_names_the_stack() -> None:
    """A notice leaves out the usual one's name."""
    for name, alarm in ALARMS.items():
        commands = re.findall("sluice .*", alarm["AlarmDescription"])
        assert all(each.startswith("sluice --stack ${AWS::StackName} ") for each in commands), name


DASHBOARDS = of_type("AWS::CloudWatch::Dashboard")
# What AWS's services measure, as their documentation spells it.
OF_AWS = {
    "AWS/Lambda": {"Errors", "Throttles", "Duration"},
    "AWS/States": {f"Executions{end}" for end in ("Started", "Succeeded", "Failed", "TimedOut", "Aborted")},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
    "AWS/SageMaker": {"Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "ModelLatency"},
}


def test_the_page_about_costs_says_what_alarms_and_dashboards_cost_at_rest() -> None:
    alarms = [each for name, each in ALARMS.items() if "Condition" not in RESOURCES[name]]
    metrics = sum(
        "MetricStat" in query for each in alarms for query in each.get("Metrics", [{"MetricStat": {}}])
    )
    boards = len(of_type("AWS::CloudWatch::Dashboard"))
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert f"{len(alarms)} alarms of it, which watch {metrics} metrics at $0.10 a month each" in page
    assert f"{boards}\ndashboards at $3: ${metrics * 0.10 + boards * 3:.2f} at list prices" in page


def test_the_pages_say_what_runs_while_nothing_happens() -> None:
    """What is scheduled, and which queues Lambda asks all the time."""
    events = [(name, each) for name, given in FUNCTIONS.items() for each in given.get("Events", {}).values()]
    (said,) = re.findall(
        r"The schedules of ([^,]+(?:,\n?[^,]+)?), and Lambda's polling of a queue \(two with a webhook\)",
        (ROOT / "docs" / "deploy.md").read_text(),
    )
    scheduled = {folder(FUNCTIONS[name]) for name, each in events if each["Type"] == "Schedule"}
    assert set(re.findall(r"`(\w+)`", said)) == scheduled
    assert len(scheduled) == 3
    assert "three scheduled\nfunctions are all that runs" in (ROOT / "README.md").read_text()
    polled = [each["Properties"].get("Enabled", True) for _, each in events if each["Type"] == "SQS"]
    assert polled == [True, ["HasWebhook", True, False]]


def searches(name: str) -> Iterator[tuple[str, set[str]]]:
    """The namespace and dimensions, and the metrics, of each graph of a dashboard."""
    for widget in json.loads(DASHBOARDS[name]["DashboardBody"])["widgets"]:
        for ((given,),) in [widget["properties"]["metrics"]]:
            found = re.fullmatch(
                r"SEARCH\('\{(.+?)\} .+ MetricName=(.+)', '[\w]+', \d+\)", given["expression"]
            )
            assert found, given
            yield found[1], set(re.findall(r'"(\w+)"', found[2]))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_shows_what_is_measured_and_nothing_else(name: str) -> None:
    of_stages = (ROOT / "layers/common/sluice/domain/monitor/metrics.py").read_text()
    for schema, metrics in searches(name):
        namespace, _, dimensions = schema.partition(",")
        if namespace != "Sluice":
            assert metrics <= OF_AWS[namespace]
        elif dimensions == "Stack,Pipeline":
            assert metrics <= metering.METRICS
        else:
            assert dimensions == "Stack,Pipeline,Stage"
            assert [metric for metric in metrics if f'"{metric}"' not in of_stages] == []


def test_all_that_is_measured_of_builds_and_releases_is_on_a_dashboard() -> None:
    shown = {metric for name in DASHBOARDS for schema, found in searches(name) for metric in found}
    assert metering.METRICS - shown == set()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboards_graphs_are_of_its_stack_and_do_not_cover_each_other(name: str) -> None:
    widgets = json.loads(DASHBOARDS[name]["DashboardBody"])["widgets"]
    places = [(each["x"], each["y"]) for each in widgets]
    assert len(set(places)) == len(places)
    for each in widgets:
        assert each["x"] + each["width"] <= 24
        assert each["properties"]["region"] == "${AWS::Region}"
        assert "${AWS::StackName}" in each["properties"]["metrics"][0][0]["expression"]


def test_all_that_runs_is_traced_but_user_code() -> None:
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == "Active"
    others = {name: each["Tracing"] for name, each in FUNCTIONS.items() if "Tracing" in each}
    assert others == {f"RunJob{size}Function": "PassThrough" for size in ("Small", "Medium", "Large")}
    for name, machine in MACHINES.items():
        assert machine["Tracing"] == {"Enabled": True}
        assert "xray:PutTraceSegments" in {
            action for whose, each in statements() if whose == name for action in listed(each["Action"])
        }


def test_rules_may_send_to_the_dead_letter_queue_and_nobody_else() -> None:
    (policy,) = of_type("AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert "rule/${AWS::StackName}-*" in statement["Condition"]["ArnLike"]["aws:SourceArn"]


def test_a_build_request_is_hidden_for_six_attempts_at_it() -> None:
    timeout = FUNCTIONS["StartBuildFunction"].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
    assert RESOURCES["BuildRequestsQueue"]["Properties"]["VisibilityTimeout"] >= 6 * timeout


def test_a_build_may_be_asked_for_again_and_again() -> None:
    """A cooldown of a week is some 700 messages, each sent by the function that the one before invoked."""
    assert FUNCTIONS["StartBuildFunction"]["RecursiveLoop"] == "Allow"


def test_a_state_waits_longer_than_its_function_may_take() -> None:
    for properties in MACHINES.values():
        definition = asl.load(ROOT / properties["DefinitionUri"])
        arns = properties["DefinitionSubstitutions"]
        for state in tasks(definition):
            called = state["Parameters"].get("FunctionName", state["Resource"])
            name = arns[called.strip("${}")].partition(".")[0]
            limit = FUNCTIONS[name].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
            assert state["TimeoutSeconds"] > limit, called


def tasks(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in definition["States"].values():
        if state["Type"] == "Task":
            yield state
        if state["Type"] == "Map":
            yield from tasks(state["ItemProcessor"])


# --------------------------------------------------------------------------------------- no more than must


def known_actions() -> dict[str, Any]:
    data = files("cfnlint") / "data/AdditionalSpecs/Policies.json"
    known: dict[str, Any] = json.loads(data.read_text())
    return known


@pytest.mark.parametrize("whose", sorted({name for name, _ in statements()}))
def test_every_permission_exists_and_names_what_it_is_for(whose: str) -> None:
    known = known_actions()
    for _, statement in (pair for pair in statements() if pair[0] == whose):
        for action in listed(statement["Action"]):
            service, _, operation = action.partition(":")
            assert operation.lower() in known[service]["Actions"], f"there is no action {action}"
            if "*" in listed(statement["Resource"]):
                assert action in ONLY_WILDCARD, f"{action} can be limited to a resource"


def test_a_permission_limited_to_a_resource_is_one_that_can_be() -> None:
    """IAM grants nothing where the resource is of a kind that the action does not know."""
    known = known_actions()
    for whose, statement in statements():
        kinds = {kind(resource) for resource in listed(statement["Resource"])} - {None}
        for action in listed(statement["Action"]):
            service, _, operation = action.partition(":")
            possible = known[service]["Actions"][operation.lower()].get("Resources", [])
            # The task's state machine is what AWS checks for an answer, though its list does not say so.
            if kinds and service == "sagemaker":
                assert kinds & set(possible), f"{whose}: {action} is not about {kinds}"


def kind(resource: str) -> str | None:
    """The resource type of a SageMaker ARN."""
    found = re.search(r":sagemaker:.*:([a-z-]+)/(?:\$\{AWS::StackName\}--)?\*$", resource)
    return found[1] if found else None


STACK_ROLES = "role/sluice/${AWS::StackName}/${AWS::Region}/*"


PUTTING_PIPELINES = {"RegisterProjectFunction", "StartJobFunction"}


def test_nothing_may_use_a_role_but_sagemaker() -> None:
    for whose, statement in statements():
        if "iam:PassRole" in listed(statement["Action"]):
            # SageMaker runs pipelines in a role of the stack, and starts their jobs in those of user code.
            to_pipelines = statement["Resource"] == "PipelineRole.Arn" and whose in PUTTING_PIPELINES
            assert to_pipelines or statement["Resource"].endswith(STACK_ROLES), whose
            passed_to = statement["Condition"]["StringEquals"]["iam:PassedToService"]
            assert passed_to == "sagemaker.amazonaws.com", whose


def test_a_role_is_made_below_the_stacks_path_and_within_its_boundary_or_not_at_all() -> None:
    makers = set()
    for whose, statement in statements():
        actions = [action for action in listed(statement["Action"]) if action.startswith("iam:")]
        if actions == ["iam:CreateServiceLinkedRole"]:
            # AWS's own, whose policy nobody chooses.
            named = statement["Condition"]["StringEquals"]["iam:AWSServiceName"]
            assert named == "sagemaker.application-autoscaling.amazonaws.com", whose
            assert f"role/aws-service-role/{named}/AWSServiceRoleFor" in statement["Resource"], whose
            continue
        if actions and actions != ["iam:PassRole"]:
            assert statement["Resource"].endswith(STACK_ROLES), whose
        if {"iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"} & set(actions):
            boundary = ["HasPermissionsBoundary", "PermissionsBoundaryArn", "JobBoundary"]
            assert statement["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": boundary}}, whose
            makers.add(whose)
    assert makers == {"StartJobFunction", "DeployModelFunction"}


def test_the_boundary_of_user_code_lets_it_write_nothing_but_the_outputs_of_steps_and_capture() -> None:
    written = [
        resource
        for statement in boundary_statements()
        if "s3:PutObject" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    outputs = [f"runs/*/*/{folder}/*" for folder in ("prepare", "train", "evaluate", "build")]
    others = ("pipelines/*", "capture/*", "transforms/*/*/output/*")
    assert written == [f"${{ArtifactBucket.Arn}}/{each}" for each in (*outputs, *others)]


def test_a_role_of_user_code_allows_nothing_beyond_its_boundary() -> None:
    """Else IAM would refuse in silence what the role says."""
    bounded = {a for each in boundary_statements() for a in listed(each["Action"])}
    account = roles.Account("arn:aws:iam::123456789012:role/sluice/s/r/", "r", "data", "artifacts")
    step = roles.step_role(account, "p", "p-00001", "prepare", ["prepare"])
    of_pipelines = roles.serving_role(account, "p", is_batch=True), roles.pipeline_role(account, "p")
    for role in (roles.run_role(account, "p", "p-00001"), step, *of_pipelines):
        assert {a for each in role.policy["Statement"] for a in listed(each["Action"])} <= bounded
    (grant,) = (each for each in boundary_statements() if "kms:CreateGrant" in listed(each["Action"]))
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    safeguards = Safeguards(kms_key_arn="a key", subnets=("subnet-1",))
    assert {a for each in safeguards.statements() for a in each["Action"]} <= bounded


# A version of a group has no tags; a config that served before configs were tagged can be gone back to.
UNTAGGED = {
    ("sagemaker:CreateModelPackage", "model-package"),
    ("sagemaker:UpdateModelPackage", "model-package"),
    ("sagemaker:UpdateEndpoint", "endpoint-config"),
    # Nor has an execution of a pipeline; its ARN begins with its pipeline's name.
    ("sagemaker:StopPipelineExecution", None),
}


def test_what_sagemaker_makes_carries_the_stacks_tag_and_nothing_else_is_changed() -> None:
    changing = re.compile(r"sagemaker:(Create|Update|Delete|Stop|Invoke)")
    for whose, statement in statements():
        kinds = {kind(resource) for resource in listed(statement["Resource"])}
        for action in listed(statement["Action"]):
            if whose == "PipelineRole":
                # SageMaker makes these itself, of a pipeline that carries the tag, and names them.
                continue
            if not changing.match(action) or {(action, each) for each in kinds} & UNTAGGED:
                continue
            key = "aws:RequestTag" if ":Create" in action else "aws:ResourceTag"
            condition = statement["Condition"]["StringEquals"]
            assert condition[f"{key}/sluice:stack"] == "AWS::StackName", f"{whose}: {action}"


def test_nothing_is_tagged_but_while_it_is_made() -> None:
    for whose, statement in statements():
        if "sagemaker:AddTags" in listed(statement["Action"]) and whose != "PipelineRole":
            condition = statement["Condition"]["StringEquals"]
            assert condition["aws:RequestTag/sluice:stack"] == "AWS::StackName", whose
            made = listed(condition["sagemaker:TaggingAction"])
            assert all(action.startswith("Create") for action in made), whose


def test_sagemaker_makes_for_pipelines_only_what_it_names_itself() -> None:
    making = re.compile(r"sagemaker:(Create|Stop|AddTags)")
    for whose, statement in statements():
        made = [action for action in listed(statement["Action"]) if making.match(action)]
        if whose != "PipelineRole" or not made or made == ["sagemaker:CreateModelPackage"]:
            continue
        resources = listed(statement["Resource"])
        # It shortens the names of tuning jobs to what that takes.
        assert all("/pipelines-*" in each or ":hyper-parameter-tuning-job/*" in each for each in resources)


def test_only_what_moves_arrivals_can_delete_from_the_catalog() -> None:
    """A transaction asks for the permissions of its writes; nothing else of the catalog is ever deleted."""
    may = {name for name, each in statements() if "dynamodb:DeleteItem" in listed(each["Action"])}
    assert may == {
        "RecallDataFunction",
        "ReleaseDataFunction",
        "SnapshotDatasetFunction",
        "ValidateDataFunction",
        "FinishRunFunction",
        "ReconcileFunction",
        "TransformBatchFunction",
    }


def test_a_model_is_registered_as_approved_only_where_the_stack_says_so() -> None:
    assert TEMPLATE["Parameters"]["AutomaticApproval"]["Default"] == "false"
    registering = {
        whose: each["Condition"]
        for whose, each in statements()
        if "sagemaker:CreateModelPackage" in listed(each["Action"])
    }
    pending, approved = "PendingManualApproval", "Approved"
    assert registering.keys() == {"RegisterModelFunction", "PipelineRole"}
    assert registering["PipelineRole"] == {"StringEquals": {"sagemaker:ModelApprovalStatus": pending}}
    assert registering["RegisterModelFunction"] == {
        "StringEquals": {
            "sagemaker:ModelApprovalStatus": ["AllowsAutomaticApproval", [pending, approved], [pending]]
        }
    }


def test_every_role_is_bounded_where_a_boundary_is_given() -> None:
    boundary = ["HasPermissionsBoundary", "PermissionsBoundaryArn", "AWS::NoValue"]
    assert TEMPLATE["Globals"]["Function"]["PermissionsBoundary"] == boundary
    for properties in (*MACHINES.values(), *of_type("AWS::IAM::Role").values()):
        assert properties["PermissionsBoundary"] == boundary


# -------------------------------------------------------------------------------------------------- storage


def is_kept(resource: dict[str, Any]) -> bool:
    """Whether it outlives its stack, but not a failure of the stack's making, to be repeated then."""
    return (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_all_that_is_kept_can_be_given_to_a_stack() -> None:
    """But the boundary, which stays for the roles that it bounds: the next stack makes one of its own."""
    kept = {name for name, each in RESOURCES.items() if "DeletionPolicy" in each} - {"JobBoundary"}
    assert kept == {
        "DataBucket",
        "DataBucketPolicy",
        "ArtifactBucket",
        "ArtifactBucketPolicy",
        "CatalogTable",
    }
    for name in kept:
        made = name.removesuffix("Policy")
        assert RESOURCES[name]["Condition"] == f"Makes{made}"
        assert TEMPLATE["Conditions"][f"Makes{made}"] == [f"Existing{made}", ""]


def test_nothing_names_what_the_stack_may_not_have_made_but_through_its_condition() -> None:
    text = (ROOT / "template.yaml").read_text()
    for name in ("DataBucket", "ArtifactBucket", "CatalogTable"):
        # A bucket's policy has its condition, and names it in a reference and in each statement's resources.
        policy = RESOURCES.get(f"{name}Policy", {}).get("Properties", {}).get("PolicyDocument", {})
        statements = len(policy.get("Statement", []))
        assert len(re.findall(rf"!Ref {name}\b|\${{{name}}}", text)) == 1 + (statements > 0), name
        assert len(re.findall(rf"\b{name}\.Arn\b", text)) == 1 + 2 * statements, name


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_private_encrypted_versioned_kept_and_tells_of_its_objects(name: str) -> None:
    bucket = BUCKETS[name]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"]["EventBridgeEnabled"] is True
    assert is_kept(RESOURCES[name])


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_reached_by_tls_alone(name: str) -> None:
    (policy,) = [
        each
        for each in RESOURCES.values()
        if each["Type"] == "AWS::S3::BucketPolicy" and each["Properties"]["Bucket"] == name
    ]
    assert is_kept(policy), "a bucket that outlives its stack would be reached without TLS"
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    (statement,) = [each for each in statements if each["Sid"] == "TlsOnly"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"{name}.Arn", f"${{{name}.Arn}}/*"]


def test_what_is_registered_is_written_by_register_model_alone() -> None:
    policy = RESOURCES["ArtifactBucketPolicy"]["Properties"]["PolicyDocument"]
    (statement,) = [each for each in policy["Statement"] if each["Sid"] == "EvidenceIsOfRegisterModelAlone"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Resource"] == ["${ArtifactBucket.Arn}/evidence/*", "${ArtifactBucket.Arn}/models/*"]
    path = "/sluice-registrar/"
    assert statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"].endswith(f":role{path}*")
    assert [name for name, each in FUNCTIONS.items() if each.get("RolePath") == path] == [
        "RegisterModelFunction"
    ]


def test_no_old_version_of_an_object_is_ever_deleted_as_data_sets_consist_of_them() -> None:
    """But of runs' outputs and captured requests, where the account says so: no data set is there."""
    for bucket in BUCKETS.values():
        for rule in bucket["LifecycleConfiguration"]["Rules"]:
            if isinstance(rule, list):
                condition, rule, _ = rule
                expiring = {"ExpiresRunOutput": "runs/", "ExpiresCapture": "capture/"}
                assert rule["Prefix"] == expiring[condition]
                continue
            assert not {key for key in rule if "Expiration" in key or "Transition" in key}


def test_the_catalog_can_be_restored_and_is_paid_by_use() -> None:
    table = RESOURCES["CatalogTable"]
    assert is_kept(table)
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_template_is_of_no_region_account_or_partition() -> None:
    text = (ROOT / "template.yaml").read_text()
    assert not re.search(r"arn:aws[:-]|\b[a-z]{2}-[a-z]+-\d\b|\b\d{12}\b", text)


# ------------------------------------------------------------------------------------ what an account demands


def test_with_a_key_everything_that_holds_anything_is_encrypted_by_it() -> None:
    with_key = ["HasKey", "KmsKeyArn", "AWS::NoValue"]
    for group in of_type("AWS::Logs::LogGroup").values():
        assert group["KmsKeyId"] == with_key
    for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic"):
        assert {name: each.get("KmsMasterKeyId") for name, each in of_type(kind).items()} == dict.fromkeys(
            of_type(kind), with_key
        )
    for bucket in BUCKETS.values():
        ((condition, keyed, plain),) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert (condition, keyed["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == (
            "HasKey",
            "KmsKeyArn",
        )
        assert plain == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    table = RESOURCES["CatalogTable"]["Properties"]["SSESpecification"]
    assert table[1] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": "KmsKeyArn"}


def test_with_a_key_every_function_may_use_it_and_only_then() -> None:
    for name in ("KeyPolicy", "GrantKeyPolicy"):
        assert RESOURCES[name]["Condition"] == "HasKey"
    # The functions that run jobs share a role, which reads keys; else they have the job's credentials.
    users = {f"{name}Role" for name, properties in FUNCTIONS.items() if "Role" not in properties}
    # `!If [condition, role, nothing]` is the role.
    named = {
        each[1] if isinstance(each, list) else each for each in RESOURCES["KeyPolicy"]["Properties"]["Roles"]
    }
    assert named == users | {"JobRunnerRole", "RunJobRole"}


def test_every_parameter_is_in_the_docs() -> None:
    text = (ROOT / "docs/deploy.md").read_text()
    listed_there = set(
        re.findall(r"`([A-Za-z]+)`", text[text.index("## Parameters") : text.index("## Who may")])
    )
    assert set(TEMPLATE["Parameters"]) <= listed_there


def test_a_rule_for_our_own_events_hears_those_of_its_stack_alone() -> None:
    """All stacks of an account and region share the default bus."""
    ours = [rule["EventPattern"] for rule in of_type("AWS::Events::Rule").values()]
    ours += [given["Pattern"] for _, given in rules() if "Pattern" in given]
    heard = [pattern for pattern in ours if _is_own(pattern)]
    assert len(heard) > 10
    for pattern in heard:
        told = pattern["detail"]
        of_its_stack = (
            {"stack": ["AWS::StackName"]},
            {"bucket": {"name": ["DataBucket"]}},
            {"alarmName": [{"prefix": "${AWS::StackName}--"}]},
        )
        assert any(each.items() <= told.items() for each in of_its_stack), pattern["detail-type"]


def _is_own(pattern: dict[str, Any]) -> bool:
    return all(source.startswith("sluice") for source in pattern["source"])


def test_an_event_of_our_own_that_is_heard_is_one_that_something_sends() -> None:
    heard = {
        kind
        for pattern in [given["Pattern"] for _, given in rules() if "Pattern" in given]
        if _is_own(pattern)
        for kind in pattern["detail-type"]
    }
    # What makes notices of events names them too, and sends none.
    code = "".join(
        path.read_text()
        for folder in ("layers/common/sluice", "functions", "cli")
        for path in (ROOT / folder).rglob("*.py")
        if path.parent.name != "notices"
    )
    assert sorted(kind for kind in heard if f'"{kind}"' not in code) == []


def test_jobs_on_lambda_are_priced_with_the_storage_that_their_functions_have() -> None:
    sizes = {
        properties["EphemeralStorage"]["Size"]
        for name, properties in FUNCTIONS.items()
        if name.startswith("RunJob") and "EphemeralStorage" in properties
    }
    assert sizes == {costs.JOB_STORAGE_MB}
