"""CloudWatch alarms of the local cloud against statements about AWS."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bus import Event, Listener
from sluice_local.cloud import LocalCloud

Unique = Callable[[str], str]


class Metric:
    """A metric of its own namespace, and the alarms on it."""

    def __init__(self, cloud: LocalCloud, name: str) -> None:
        self.cloudwatch = cloud.client("cloudwatch")
        self.name = name
        self.dimensions = [{"Name": "EndpointName", "Value": name}]

    def put(self, *values: float, **members: Any) -> None:
        datum = {"MetricName": "Errors", "Dimensions": self.dimensions, "Values": list(values), **members}
        self.cloudwatch.put_metric_data(Namespace=self.name, MetricData=[datum])

    def alarm(self, **members: Any) -> str:
        """An alarm on any error within ten seconds."""
        spec = {
            "AlarmName": self.name,
            "Namespace": self.name,
            "MetricName": "Errors",
            "Dimensions": self.dimensions,
            "Period": 10,
            "EvaluationPeriods": 1,
            "Threshold": 0.0,
            "ComparisonOperator": "GreaterThanThreshold",
            **members,
        }
        if not {"Statistic", "ExtendedStatistic", "Metrics"} & set(members):
            spec["Statistic"] = "Sum"
        self.cloudwatch.put_metric_alarm(**{key: value for key, value in spec.items() if value is not None})
        return str(spec["AlarmName"])

    def math_alarm(self, *steps: tuple[str, str], **members: Any) -> str:
        """An alarm on the last expression; m1 is the sum of Errors, m2 their sample count."""
        stats = [
            {
                "Id": name,
                "ReturnData": False,
                "MetricStat": {"Metric": self._metric(), "Period": 10, "Stat": stat},
            }
            for name, stat in (("m1", "Sum"), ("m2", "SampleCount"))
        ]
        maths = [{"Id": name, "Expression": text, "ReturnData": name == steps[-1][0]} for name, text in steps]
        none = dict.fromkeys(("Namespace", "MetricName", "Dimensions", "Period"))
        return self.alarm(Metrics=stats + maths, **none, **members)

    def _metric(self) -> dict[str, Any]:
        return {"Namespace": self.name, "MetricName": "Errors", "Dimensions": self.dimensions}

    def described(self, name: str | None = None) -> dict[str, Any]:
        answer = self.cloudwatch.describe_alarms(
            AlarmNames=[name or self.name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found: dict[str, Any] = (answer["MetricAlarms"] + answer["CompositeAlarms"])[0]
        return found

    def wait_until(self, state: str, name: str | None = None, timeout_s: float = 90) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while (alarm := self.described(name))["StateValue"] != state:
            assert time.monotonic() < deadline, f"{name or self.name} stayed {alarm['StateValue']}"
            time.sleep(0.05)
        return alarm

    def stays(self, state: str, seconds: float = 2.5) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.described()["StateValue"] == state
            time.sleep(0.1)


@pytest.fixture
def metric(cloud: LocalCloud, unique: Unique) -> Metric:
    return Metric(cloud, unique("alarm"))


@pytest.fixture
def changes(cloud: LocalCloud, metric: Metric) -> Listener:
    """The state change events of this test's alarms."""
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [{"prefix": metric.name}]}}
    return Listener(cloud, metric.name, pattern)


def to(state: str) -> Callable[[Event], bool]:
    return lambda event: bool(event["detail"]["state"]["value"] == state)


def ago(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() - seconds, UTC)


def begin_within_a_period(period_s: int, needed_s: float = 5) -> None:
    """Let no period end during the next `needed_s` seconds, so that what is put then is summed together."""
    left = period_s - time.time() % period_s
    if left < needed_s:
        time.sleep(left)


def test_a_new_alarm_begins_with_insufficient_data_and_moves_when_data_comes(metric: Metric) -> None:
    metric.alarm()
    assert metric.described()["StateValue"] == "INSUFFICIENT_DATA"
    assert metric.described()["StateReason"] == "Unchecked: Initial alarm creation"
    metric.put(0)
    metric.wait_until("OK")
    metric.put(1)
    metric.wait_until("ALARM")


def test_an_alarm_watches_its_own_dimensions_only(metric: Metric) -> None:
    metric.alarm()
    metric.put(0)
    metric.put(5, Dimensions=[{"Name": "EndpointName", "Value": "another"}])
    metric.put(5, Dimensions=[])
    metric.wait_until("OK")
    metric.stays("OK")


def test_a_percentile_alarm_sees_the_tail_and_not_the_average(metric: Metric) -> None:
    metric.alarm(ExtendedStatistic="p99", Threshold=100)
    metric.alarm(AlarmName=f"{metric.name}-average", Statistic="Average", Threshold=100)
    metric.put(*[10.0] * 90, *[500.0] * 10)
    metric.wait_until("ALARM")
    metric.wait_until("OK", f"{metric.name}-average")


def test_two_of_three_datapoints_must_breach(metric: Metric) -> None:
    begin_within_a_period(60, needed_s=10)
    metric.alarm(EvaluationPeriods=3, DatapointsToAlarm=2, Period=60)
    metric.put(1, Timestamp=ago(120))
    metric.put(0, Timestamp=ago(60))
    metric.put(0)
    metric.wait_until("OK")
    metric.put(1)
    metric.wait_until("ALARM")


@pytest.mark.parametrize(
    ("treatment", "state"),
    [
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "INSUFFICIENT_DATA"),
        ("breaching", "ALARM"),
        ("notBreaching", "OK"),
    ],
)
def test_missing_data_is_treated_as_the_alarm_says(metric: Metric, treatment: str, state: str) -> None:
    metric.alarm(TreatMissingData=treatment)
    metric.wait_until(state)
    metric.stays(state, 1.5)


def test_metric_math_compares_metrics(metric: Metric) -> None:
    begin_within_a_period(10)
    metric.math_alarm(("rate", "m1 / m2"), ("shown", "IF(m2 >= 10, rate, 0)"), Threshold=0.1)
    metric.put(1, 1, 1)
    metric.wait_until("OK")
    metric.put(*[0.0] * 7)
    alarm = metric.wait_until("ALARM")
    assert [query["Id"] for query in alarm["Metrics"]] == ["m1", "m2", "rate", "shown"]
    assert "MetricName" not in alarm


def test_metric_math_fills_a_metric_that_has_no_data(metric: Metric) -> None:
    metric.math_alarm(("shown", "FILL(m1, 0)"))
    metric.wait_until("OK")


@pytest.mark.parametrize(
    "members",
    [
        {"DatapointsToAlarm": 2},
        {"ComparisonOperator": "GreaterThanUpperThreshold"},
        {"TreatMissingData": "sometimes"},
        {"ExtendedStatistic": "p101"},
        {"Statistic": None},
        {"Period": 7},
        {"EvaluationPeriods": 10_000},
        {"Threshold": None},
    ],
)
def test_an_impossible_alarm_is_refused(metric: Metric, members: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        metric.alarm(**members)
    assert refused.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize("text", ["m1 +", "m1 + m9", "EXEC(m1)"])
def test_an_expression_that_is_not_metric_math_is_refused(metric: Metric, text: str) -> None:
    with pytest.raises(ClientError) as refused:
        metric.math_alarm(("shown", text))
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_describe_alarms_answers_with_everything_that_was_put(metric: Metric) -> None:
    members = {
        "AlarmDescription": "too many errors",
        "ActionsEnabled": False,
        "OKActions": ["arn:aws:sns:us-east-1:000000000000:ok"],
        "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:alarm"],
        "InsufficientDataActions": ["arn:aws:sns:us-east-1:000000000000:unknown"],
        "DatapointsToAlarm": 1,
        "TreatMissingData": "notBreaching",
        "Statistic": "Maximum",
        "Unit": "Count",
    }
    metric.alarm(**members)
    alarm = metric.wait_until("OK")
    assert {key: alarm[key] for key in members} == members
    assert alarm["Dimensions"] == metric.dimensions
    assert json.loads(alarm["StateReasonData"])["threshold"] == 0.0
    assert alarm["AlarmArn"].endswith(f":alarm:{metric.name}")
    assert isinstance(alarm["StateUpdatedTimestamp"], datetime)


def test_an_alarm_on_a_unit_ignores_data_of_another(metric: Metric) -> None:
    metric.alarm(Unit="Count", TreatMissingData="notBreaching")
    metric.put(5, Unit="Seconds")
    metric.wait_until("OK")
    metric.stays("OK", 1.5)
    metric.put(5, Unit="Count")
    metric.wait_until("ALARM")


def test_an_alarm_that_is_put_again_keeps_its_state_and_takes_the_new_settings(
    metric: Metric, changes: Listener
) -> None:
    metric.alarm()
    metric.put(1)
    metric.wait_until("ALARM")
    metric.alarm(Threshold=100)
    assert metric.described()["Threshold"] == 100
    metric.wait_until("OK")
    assert [event["detail"]["previousState"]["value"] for event in changes.poll()] == [
        "INSUFFICIENT_DATA",
        "ALARM",
    ]


def test_a_transition_is_an_event_that_says_why(metric: Metric, changes: Listener, cloud: LocalCloud) -> None:
    metric.alarm(AlarmDescription="drift", EvaluationPeriods=1)
    metric.put(0)
    changes.wait_for(to("OK"))
    metric.put(1)
    event = changes.wait_for(to("ALARM"))
    detail = event["detail"]
    assert (event["source"], event["detail-type"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert event["resources"] == [f"arn:aws:cloudwatch:{cloud.region}:{cloud.account}:alarm:{metric.name}"]
    assert (event["account"], event["region"], event["version"]) == (cloud.account, cloud.region, "0")
    assert set(detail) == {"alarmName", "state", "previousState", "configuration"}
    assert (
        set(detail["state"]) == set(detail["previousState"]) == {"value", "reason", "reasonData", "timestamp"}
    )
    assert detail["state"]["reason"].startswith("Threshold Crossed: 1 out of the last 1 datapoint [")
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == [1.0]
    assert datetime.strptime(detail["state"]["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").tzinfo
    assert detail["previousState"]["value"] == "OK"
    assert detail["configuration"] == {
        "description": "drift",
        "metrics": [
            {
                "id": "m1",
                "metricStat": {
                    "metric": {
                        "namespace": metric.name,
                        "name": "Errors",
                        "dimensions": {"EndpointName": metric.name},
                    },
                    "period": 10,
                    "stat": "Sum",
                },
                "returnData": True,
            }
        ],
    }


def test_only_transitions_fire(metric: Metric, changes: Listener) -> None:
    metric.alarm(Period=60)
    for _ in range(3):
        metric.put(1)
        metric.wait_until("ALARM")
        time.sleep(1.1)
    assert [event["detail"]["state"]["value"] for event in changes.poll()] == ["ALARM"]


def test_a_metric_math_event_holds_the_expressions(metric: Metric, changes: Listener) -> None:
    metric.math_alarm(("shown", "m1 / m2"))
    metric.put(1)
    metrics = changes.wait_for(to("ALARM"))["detail"]["configuration"]["metrics"]
    assert metrics[-1] == {"id": "shown", "expression": "m1 / m2", "returnData": True}
    assert metrics[0]["returnData"] is False


def test_set_alarm_state_fires_at_once_and_the_next_evaluation_takes_it_back(
    metric: Metric, changes: Listener
) -> None:
    metric.alarm(TreatMissingData="notBreaching")
    metric.wait_until("OK")
    metric.cloudwatch.set_alarm_state(
        AlarmName=metric.name, StateValue="ALARM", StateReason="a drill", StateReasonData='{"by": "a person"}'
    )
    event = changes.wait_for(to("ALARM"))
    assert event["detail"]["state"]["reason"] == "a drill"
    assert json.loads(event["detail"]["state"]["reasonData"]) == {"by": "a person"}
    metric.wait_until("OK")
    assert [event["detail"]["state"]["value"] for event in changes.poll()] == ["OK", "ALARM", "OK"]


def test_set_alarm_state_refuses_what_is_not_there(metric: Metric) -> None:
    with pytest.raises(metric.cloudwatch.exceptions.ResourceNotFound):
        metric.cloudwatch.set_alarm_state(AlarmName=metric.name, StateValue="OK", StateReason="r")


def test_a_deleted_alarm_is_gone_and_silent(metric: Metric, changes: Listener) -> None:
    metric.alarm()
    metric.cloudwatch.delete_alarms(AlarmNames=[metric.name])
    metric.put(1)
    time.sleep(1.5)
    assert metric.cloudwatch.describe_alarms(AlarmNames=[metric.name])["MetricAlarms"] == []
    assert changes.poll() == []


def test_a_composite_alarm_follows_its_children(metric: Metric, changes: Listener) -> None:
    high = metric.alarm(AlarmName=f"{metric.name}-high", Threshold=10)
    rule = f'ALARM("{metric.alarm()}") AND NOT ALARM("{high}")'
    composite = f"{metric.name}-composite"
    metric.cloudwatch.put_composite_alarm(AlarmName=composite, AlarmRule=rule)
    metric.put(1)
    metric.wait_until("ALARM", composite)
    event = changes.wait_for(lambda event: event["detail"]["alarmName"] == composite and to("ALARM")(event))
    assert event["detail"]["configuration"]["alarmRule"] == rule
    assert event["detail"]["previousState"]["value"] == "OK"
    metric.put(50)
    metric.wait_until("OK", composite)


def test_an_alarm_notifies_its_topic(metric: Metric, cloud: LocalCloud) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name=metric.name)["TopicArn"]
    url = sqs.create_queue(QueueName=f"{metric.name}-mail")["QueueUrl"]
    queue = f"arn:aws:sqs:{cloud.region}:{cloud.account}:{metric.name}-mail"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    metric.alarm(AlarmActions=[topic])
    metric.put(1)
    metric.wait_until("ALARM")
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    notice = json.loads(json.loads(message["Body"])["Message"])
    assert (notice["AlarmName"], notice["NewStateValue"]) == (metric.name, "ALARM")


RECORDER = """
import boto3, json, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["URL"], MessageBody=json.dumps(event))
"""


def test_an_alarm_invokes_its_function(metric: Metric, cloud: LocalCloud) -> None:
    url = cloud.client("sqs").create_queue(QueueName=f"{metric.name}-calls")["QueueUrl"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("app.py", RECORDER)
    function = cloud.client("lambda").create_function(
        FunctionName=metric.name,
        Runtime="python3.11",
        Handler="app.handler",
        Role=f"arn:aws:iam::{cloud.account}:role/any",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": {"URL": url}},
    )["FunctionArn"]
    metric.alarm(AlarmActions=[function])
    metric.put(1)
    metric.wait_until("ALARM")
    (message,) = cloud.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    event = json.loads(message["Body"])
    assert event["source"] == "aws.cloudwatch"
    assert event["alarmArn"].endswith(metric.name)
    assert event["alarmData"]["state"]["value"] == "ALARM"


def test_disabled_actions_are_not_taken_but_the_event_is_sent(
    metric: Metric, changes: Listener, cloud: LocalCloud
) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name=metric.name)["TopicArn"]
    url = sqs.create_queue(QueueName=f"{metric.name}-mail")["QueueUrl"]
    queue = f"arn:aws:sqs:{cloud.region}:{cloud.account}:{metric.name}-mail"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    metric.alarm(AlarmActions=[topic], ActionsEnabled=False)
    metric.put(1)
    changes.wait_for(to("ALARM"))
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)


def test_metrics_that_services_record_are_seen(metric: Metric, cloud: LocalCloud) -> None:
    """A function that fails counts in AWS/Lambda, with no PutMetricData."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("app.py", "def handler(event, context):\n    return 1 / 0\n")
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName=metric.name,
        Runtime="python3.11",
        Handler="app.handler",
        Role=f"arn:aws:iam::{cloud.account}:role/any",
        Code={"ZipFile": archive.getvalue()},
    )
    metric.alarm(Namespace="AWS/Lambda", Dimensions=[{"Name": "FunctionName", "Value": metric.name}])
    functions.invoke(FunctionName=metric.name)
    metric.wait_until("ALARM")


def test_an_alarm_of_a_template_may_use_metric_math(metric: Metric, cloud: LocalCloud) -> None:
    stat = {"Metric": {"Namespace": metric.name, "MetricName": "Errors"}, "Period": "10", "Stat": "Sum"}
    alarm = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": metric.name,
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": "1",
            "DatapointsToAlarm": "1",
            "Threshold": "1.5",
            "TreatMissingData": "notBreaching",
            "Metrics": [
                {"Id": "m1", "MetricStat": stat, "ReturnData": "false"},
                {"Id": "twice", "Expression": "m1 * 2"},
            ],
        },
    }
    formation = cloud.client("cloudformation")
    formation.create_stack(StackName=metric.name, TemplateBody=json.dumps({"Resources": {"Alarm": alarm}}))
    formation.get_waiter("stack_create_complete").wait(
        StackName=metric.name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 50}
    )
    metric.wait_until("OK")
    metric.put(1, Dimensions=[])
    assert metric.wait_until("ALARM")["Metrics"][0]["MetricStat"]["Period"] == 10


def test_data_put_out_of_order_counts_in_its_own_period(metric: Metric) -> None:
    metric.alarm(EvaluationPeriods=2, Period=60)
    metric.put(1)
    metric.put(1, Timestamp=ago(60))
    metric.wait_until("ALARM")
    metric.put(-5, Timestamp=ago(60))
    metric.wait_until("OK")


@pytest.mark.thorough
def test_tens_of_thousands_of_datapoints_do_not_slow_an_alarm(metric: Metric) -> None:
    metric.alarm(ExtendedStatistic="p99", Period=60, EvaluationPeriods=5, DatapointsToAlarm=1)
    for age in range(300):
        data = [
            {
                "MetricName": "Errors",
                "Dimensions": metric.dimensions,
                "Values": [0.0] * 100,
                "Timestamp": ago(age),
            }
        ]
        metric.cloudwatch.put_metric_data(Namespace=metric.name, MetricData=data)
    metric.wait_until("OK")
    started = time.monotonic()
    metric.put(*[9.0] * 100)
    metric.wait_until("ALARM")
    assert time.monotonic() - started < 3


def test_metric_data_is_what_an_alarm_on_it_compares_with_its_limit(metric: Metric) -> None:
    asked = metric.described(metric.math_alarm(("judged", "IF(m2 >= 2, m1 / m2, 0)")))["Metrics"]
    metric.put(4, 2, Timestamp=ago(60))
    metric.put(7, Timestamp=ago(30))
    span = {"StartTime": ago(120), "EndTime": ago(-10)}
    (found,) = metric.cloudwatch.get_metric_data(MetricDataQueries=asked, **span)["MetricDataResults"]
    assert (found["Id"], found["StatusCode"], found["Values"]) == ("judged", "Complete", [0.0, 3.0])
    newest, oldest = found["Timestamps"]
    assert newest > oldest
    unknown = [{"Id": "e", "Expression": "nothing + 1"}]
    (problem,) = metric.cloudwatch.get_metric_data(MetricDataQueries=unknown, **span)["MetricDataResults"]
    assert problem["StatusCode"] == "InternalError"
    assert "no metric or expression nothing" in problem["Messages"][0]["Value"]
