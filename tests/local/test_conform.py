"""What any endpoint of AWS answers to requests that read, or are refused: nothing is made, nothing is billed.

`make conform ENDPOINT=aws` asks an account; without an endpoint these are asked of the local cloud, as the
other tests here are.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.config import Config

from local.registry import refused
from local.test_eventbridge import EVENT, PATTERNS
from sluice_local.cloud import LocalCloud

pytestmark = pytest.mark.conform

UNCHECKED = Config(parameter_validation=False)
NOWHERE = f"sluice-conform-{uuid.UUID(int=0)}"


@pytest.mark.parametrize(("pattern", "matches"), PATTERNS, ids=lambda value: json.dumps(value))
def test_a_pattern_matches_an_event_or_not(cloud: LocalCloud, pattern: dict[str, Any], matches: bool) -> None:
    event = {
        "id": "1",
        "account": "123456789012",
        "region": "us-east-1",
        "time": "2026-11-29T10:00:00Z",
        "resources": [],
        "source": "sluice.test",
        "detail-type": "Type",
        "detail": EVENT,
    }
    answer = cloud.client("events").test_event_pattern(
        EventPattern=json.dumps(pattern), Event=json.dumps(event)
    )
    assert answer["Result"] is matches


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"Detail": "nope"}, "MalformedDetail"),
        ({"Detail": "[]"}, "MalformedDetail"),
        ({"Source": ""}, "InvalidArgument"),
        ({"DetailType": ""}, "InvalidArgument"),
        ({"Source": "aws.s3"}, "NotAuthorizedForSourceException"),
    ],
)
def test_an_event_is_refused_by_its_code(cloud: LocalCloud, members: dict[str, str], code: str) -> None:
    entry = {"Source": "sluice.conform", "DetailType": "Type", "Detail": "{}", **members}
    answer = cloud.client("events").put_events(Entries=[entry])
    assert (answer["FailedEntryCount"], answer["Entries"][0]["ErrorCode"]) == (1, code)


@pytest.mark.parametrize(
    "datum",
    [
        {"Value": float("nan")},
        {"Value": 2.0**361},
        {"Value": 1, "Unit": "Parsecs"},
        {"Values": [1.0, 2.0], "Counts": [1.0]},
        {"Value": 1, "Dimensions": [{"Name": f"d{number}", "Value": "x"} for number in range(31)]},
    ],
    ids=lambda datum: ", ".join(datum),
)
def test_a_datapoint_is_refused(cloud: LocalCloud, datum: dict[str, Any]) -> None:
    with refused("InvalidParameterValue"):
        cloud.client("cloudwatch").put_metric_data(
            Namespace="Sluice/Conform", MetricData=[{"MetricName": "Size", **datum}]
        )


PASS = {"Type": "Pass", "End": True}


@pytest.mark.parametrize(
    ("states", "code", "location"),
    [
        ({"A": PASS}, None, None),
        ({"A": {"Type": "Pass", "Next": "B"}, "C": PASS}, "MISSING_TRANSITION_TARGET", "/States/A/Next"),
        ({"A": PASS, "B": PASS}, "MISSING_TRANSITION_TARGET", "/States/B"),
        (
            {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}},
            "MISSING_END_STATE",
            None,
        ),
        ({"A": {**PASS, "TimeoutSeconds": 3}}, "SCHEMA_VALIDATION_FAILED", "/States/A"),
    ],
)
def test_a_definition_is_validated(
    cloud: LocalCloud, states: dict[str, Any], code: str | None, location: str | None
) -> None:
    definition = json.dumps({"StartAt": "A", "States": states})
    answer = cloud.client("stepfunctions").validate_state_machine_definition(definition=definition)
    found = answer["diagnostics"][0] if answer["diagnostics"] else {}
    assert answer["result"] == ("FAIL" if code else "OK")
    assert (found.get("code"), found.get("location")) == (code, location)


@pytest.mark.parametrize(
    ("operation", "members", "code", "message"),
    [
        ("describe_model", {"ModelName": NOWHERE}, "ValidationException", "Could not find model"),
        ("describe_endpoint", {"EndpointName": NOWHERE}, "ValidationException", "Could not find endpoint"),
        (
            "describe_endpoint_config",
            {"EndpointConfigName": NOWHERE},
            "ValidationException",
            "Could not find endpoint configuration",
        ),
        (
            "describe_training_job",
            {"TrainingJobName": NOWHERE},
            "ValidationException",
            "Requested resource not found.",
        ),
        (
            "describe_processing_job",
            {"ProcessingJobName": NOWHERE},
            "ValidationException",
            "Could not find requested job with name",
        ),
        (
            "describe_model_package_group",
            {"ModelPackageGroupName": NOWHERE},
            "ValidationException",
            "does not exist",
        ),
        ("describe_pipeline", {"PipelineName": NOWHERE}, "ResourceNotFound", "does not exist"),
        (
            "create_model_package_group",
            {"ModelPackageGroupName": "a_b"},
            "ValidationException",
            "Value 'a_b' at 'modelPackageGroupName' failed to satisfy constraint",
        ),
    ],
)
def test_sagemaker_says_what_is_missing_or_wrong(
    cloud: LocalCloud, operation: str, members: dict[str, str], code: str, message: str
) -> None:
    sagemaker = cloud.client("sagemaker", config=UNCHECKED)
    with refused(code, message):
        getattr(sagemaker, operation)(**members)


@pytest.mark.parametrize(
    "operation",
    [
        "list_training_jobs",
        "list_processing_jobs",
        "list_models",
        "list_endpoints",
        "list_model_package_groups",
        "list_pipelines",
    ],
)
def test_a_listing_may_be_cut_and_goes_on(cloud: LocalCloud, operation: str) -> None:
    pages = (
        cloud.client("sagemaker")
        .get_paginator(operation)
        .paginate(PaginationConfig={"PageSize": 1, "MaxItems": 2})
    )
    assert list(pages)
