"""EventBridge: patterns, targets, retries, dead letters, schedules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.functions import create_function, create_queue, log_lines, receive, wait_for
from sluice_local.cloud import LocalCloud

EVENT = {"kind": "training", "name": "reviews-00001-train-0", "score": 0.8, "nested": {"key": "a/b c.csv"}}

PATTERNS = [
    ({"source": ["aws.other", "sluice.test"]}, True),
    ({"source": ["aws.other"]}, False),
    ({"detail": {"name": [{"prefix": "reviews-"}]}}, True),
    ({"detail": {"name": [{"prefix": "other-"}]}}, False),
    ({"detail": {"nested": {"key": [{"suffix": ".csv"}]}}}, True),
    ({"detail": {"nested": {"key": [{"suffix": ".tar.gz"}]}}}, False),
    ({"detail": {"name": [{"wildcard": "*-train-*"}]}}, True),
    ({"detail": {"name": [{"wildcard": "*-evaluate-*"}]}}, False),
    ({"detail": {"kind": [{"anything-but": ["processing"]}]}}, True),
    ({"detail": {"kind": [{"anything-but": ["training"]}]}}, False),
    ({"detail": {"name": [{"anything-but": {"prefix": "reviews-"}}]}}, False),
    ({"detail": {"absent": [{"exists": False}], "kind": [{"exists": True}]}}, True),
    ({"detail": {"kind": [{"exists": False}]}}, False),
    ({"detail": {"score": [{"numeric": [">=", 0.8, "<", 1]}]}}, True),
    ({"detail": {"score": [{"numeric": ["<", 0.8]}]}}, False),
    ({"detail": {"$or": [{"kind": ["other"]}, {"score": [{"numeric": ["=", 0.8]}]}]}}, True),
    ({"detail": {"kind": ["training"], "score": [0.7]}}, False),
]


@pytest.mark.parametrize(("pattern", "matches"), PATTERNS, ids=lambda value: json.dumps(value))
def test_a_rule_gets_the_events_its_pattern_matches_and_no_others(
    cloud: LocalCloud, unique: Callable[[str], str], pattern: dict[str, Any], matches: bool
) -> None:
    url, arn = open_queue(cloud, unique("target"))
    narrowed = {"source": ["sluice.test"], **pattern, "detail-type": [unique("Type")]}
    put_rule(cloud, unique("rule"), narrowed, Arn=arn)
    put_event(cloud, narrowed["detail-type"][0], EVENT)
    bodies = [json.loads(message["Body"]) for message in receive(cloud, url, wait_s=20 if matches else 0)]
    assert [body["detail"] for body in bodies] == ([EVENT] if matches else [])


def test_an_event_whose_function_fails_is_retried_twice_then_lands_in_its_dead_letter_queue(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name, kind = unique("fails"), unique("Type")
    url, arn = create_queue(cloud, unique("dead"))
    source = "def handler(event, context):\n    print('attempt')\n    raise ValueError('broken')"
    function = create_function(cloud, name, source, DeadLetterConfig={"TargetArn": arn})
    put_rule(cloud, unique("rule"), {"detail-type": [kind]}, Arn=function)
    put_event(cloud, kind, EVENT)
    (message,) = receive(cloud, url)
    assert json.loads(message["Body"])["detail"] == EVENT
    assert log_lines(cloud, name).count("attempt") == 3


def test_an_event_that_cannot_be_delivered_lands_in_the_dead_letter_queue_of_its_target(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    kind = unique("Type")
    url, arn = open_queue(cloud, unique("dead"))
    absent = f"arn:aws:lambda:{cloud.region}:{cloud.account}:function:{unique('absent')}"
    rule = put_rule(cloud, unique("rule"), {"detail-type": [kind]}, Arn=absent, DeadLetterConfig={"Arn": arn})
    put_event(cloud, kind, EVENT)
    (message,) = receive(cloud, url)
    assert json.loads(message["Body"])["detail"] == EVENT
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert attributes["RULE_ARN"] == rule
    assert attributes["TARGET_ARN"] == absent
    assert attributes["ERROR_CODE"] == "RESOURCE_NOT_FOUND"


def test_a_target_gets_the_event_as_its_input_transformer_words_it(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    kind = unique("Type")
    url, arn = open_queue(cloud, unique("target"))
    transformer = {
        "InputPathsMap": {"name": "$.detail.name", "score": "$.detail.score"},
        "InputTemplate": '{"job": <name>, "text": "scored <score>"}',
    }
    put_rule(cloud, unique("rule"), {"detail-type": [kind]}, Arn=arn, InputTransformer=transformer)
    put_event(cloud, kind, EVENT)
    (message,) = receive(cloud, url)
    assert json.loads(message["Body"]) == {"job": EVENT["name"], "text": "scored 0.8"}


def test_a_disabled_rule_delivers_nothing(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    kind, rule = unique("Type"), unique("rule")
    url, arn = open_queue(cloud, unique("target"))
    put_rule(cloud, rule, {"detail-type": [kind]}, Arn=arn)
    cloud.client("events").disable_rule(Name=rule)
    put_event(cloud, kind, EVENT)
    assert receive(cloud, url, wait_s=1) == []


def test_a_source_of_aws_is_refused(cloud: LocalCloud) -> None:
    entry = {"Source": "aws.sagemaker", "DetailType": "any", "Detail": "{}"}
    answer = cloud.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


@pytest.mark.long
def test_a_rate_rule_fires_every_minute(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    name, rule = unique("scheduled"), unique("rule")
    function = create_function(cloud, name, "def handler(event, context): print(event['detail-type'])")
    events = cloud.client("events")
    events.put_rule(Name=rule, ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule=rule, Targets=[{"Id": "only", "Arn": function}])
    wait_for(lambda: "Scheduled Event" in lines_or_none(cloud, name), timeout_s=150)


def lines_or_none(cloud: LocalCloud, name: str) -> list[str]:
    groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    return log_lines(cloud, name) if groups else []


def open_queue(cloud: LocalCloud, name: str) -> tuple[str, str]:
    """A queue that EventBridge may send to."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": f"arn:aws:sqs:{cloud.region}:{cloud.account}:{name}",
    }
    return create_queue(cloud, name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def put_rule(cloud: LocalCloud, name: str, pattern: dict[str, Any], **target: Any) -> str:
    events = cloud.client("events")
    arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    answer = events.put_targets(Rule=name, Targets=[{"Id": "only", **target}])
    assert answer["FailedEntryCount"] == 0
    return str(arn)


def put_event(cloud: LocalCloud, kind: str, detail: dict[str, Any]) -> None:
    entry = {"Source": "sluice.test", "DetailType": kind, "Detail": json.dumps(detail)}
    answer = cloud.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"Detail": "nope"}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": "[]"}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": None}, "InvalidArgument", "Detail is a required argument."),
        ({"Source": None}, "InvalidArgument", "Source is a required argument."),
        ({"DetailType": None}, "InvalidArgument", "DetailType is a required argument."),
        ({"DetailType": "d" * 129}, "InvalidArgument", "at most 128 characters"),
    ],
)
def test_a_malformed_entry_is_refused_and_the_others_are_put(
    cloud: LocalCloud, unique: Callable[[str], str], members: dict[str, Any], code: str, message: str
) -> None:
    url, arn = open_queue(cloud, unique("target"))
    kind = unique("Type")
    put_rule(cloud, unique("rule"), {"detail-type": [kind]}, Arn=arn)
    good = {"Source": "sluice.test", "DetailType": kind, "Detail": "{}"}
    bad = {key: value for key, value in (good | members).items() if value is not None}
    answer = cloud.client("events").put_events(Entries=[bad, good])
    refused, put = answer["Entries"]
    assert (answer["FailedEntryCount"], refused["ErrorCode"]) == (1, code)
    assert message in refused["ErrorMessage"]
    assert put.get("EventId")
    assert len(receive(cloud, url)) == 1


def test_a_request_of_more_than_a_mebibyte_is_refused(cloud: LocalCloud) -> None:
    client, detail = cloud.client("events"), json.dumps({"a": "x" * (1024 * 1024)})
    entry = {"Source": "sluice.test", "DetailType": "d", "Detail": detail}
    with pytest.raises(client.exceptions.ClientError, match="Total size of the entries"):
        client.put_events(Entries=[entry])
