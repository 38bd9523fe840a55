"""What an endpoint is made of, and whether it serves what it should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice.domain.config import PipelineConfig
from sluice.domain.config.models import Traffic
from sluice.domain.config.monitor import Monitor
from sluice.domain.release import serving
from sluice.domain.release.serving import Deployed, Identity, NotDeployed, Pending, Serving

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/own:1"
OWNER = {"sluice:stack": "sluice", "sluice:pipeline": "reviews"}
CONTAINER = {
    "Image": IMAGE,
    "ModelDataUrl": "s3://artifacts/model.tar.gz",
    "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
}


def test_a_model_is_the_manifests_container_and_knows_its_version() -> None:
    request = serving.model_request(CONTAINER, 7, "reviews-v7-0a", "arn:role", OWNER)
    assert request["PrimaryContainer"] == {
        "Image": IMAGE,
        "ModelDataUrl": "s3://artifacts/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SLUICE_MODEL_VERSION": "7"},
    }


def test_a_resource_is_ours_by_its_tags_alone_and_a_refusal_says_what_to_type() -> None:
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/x"
    assert serving.foreign("endpoint", "x", arn, OWNER, {**OWNER, "cost": "42"}) is None
    untagged = serving.foreign("endpoint", "x", arn, OWNER, {"cost": "42"})
    assert "it carries no tags of ours" in str(untagged)
    assert f"--resource-arn {arn} --tags Key=sluice:stack,Value=sluice" in str(untagged)
    theirs = serving.foreign("endpoint", "x", arn, OWNER, {**OWNER, "sluice:pipeline": "others"})
    assert "it carries sluice:stack=sluice, sluice:pipeline=others" in str(theirs)


def test_an_endpoint_config_has_one_variant_on_the_projects_compute(pipeline_config: PipelineConfig) -> None:
    compute = pipeline_config.serve.compute
    (variant,) = serving.endpoint_config_request("config", "model", compute, OWNER)["ProductionVariants"]
    assert (variant["VariantName"], variant["ModelName"]) == ("AllTraffic", "model")
    assert variant["InitialInstanceCount"] == 2


@pytest.mark.parametrize(
    ("traffic", "routing"),
    [
        (Traffic(bake_s=60), {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}),
        (
            Traffic(type="canary", percent=10, bake_s=60),
            {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 60,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            },
        ),
        (
            Traffic(type="linear", percent=20, bake_s=60),
            {
                "Type": "LINEAR",
                "WaitIntervalInSeconds": 60,
                "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 20},
            },
        ),
    ],
)
def test_traffic_moves_as_the_stage_says_and_bakes_before_the_old_fleet_ends(
    traffic: Traffic, routing: dict[str, Any]
) -> None:
    policy = serving.deployment_config(traffic, [])["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == routing
    assert policy["TerminationWaitInSeconds"] == 60


@pytest.mark.parametrize(
    ("traffic", "waits"),
    [
        (Traffic(bake_s=0), 0),
        (Traffic(bake_s=3600), 1),
        (Traffic(type="canary", percent=50, bake_s=3600), 2),
        (Traffic(type="linear", percent=30, bake_s=900), 4),
    ],
)
def test_a_deployment_may_last_longer_than_all_its_waits(traffic: Traffic, waits: int) -> None:
    policy = serving.deployment_config(traffic, [])["BlueGreenUpdatePolicy"]
    limit = policy["MaximumExecutionTimeoutInSeconds"]
    assert max(600, waits * traffic.bake_s) < limit <= 28800


def test_alarms_guard_a_release_and_never_a_rollback() -> None:
    guarded = serving.deployment_config(Traffic(), ["error-rate"])
    assert guarded["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "error-rate"}]}
    assert "AutoRollbackConfiguration" not in serving.deployment_config(Traffic(), [])
    assert "AutoRollbackConfiguration" not in serving.immediate_deployment_config()


def endpoint(status: str, config: str = "new", **more: Any) -> dict[str, Any]:
    return {"EndpointStatus": status, "EndpointConfigName": config, **more}


def judge(described: dict[str, Any] | None) -> serving.Outcome:
    return serving.outcome(described, "sluice--reviews--production", "new")


def test_in_service_on_the_wanted_config_is_success() -> None:
    assert judge(endpoint("InService")) == Deployed()


def test_in_service_on_another_config_is_a_silent_rollback_and_says_what_serves() -> None:
    judged = judge(endpoint("InService", "old"))
    assert isinstance(judged, NotDeployed)
    assert judged.error == "DeploymentRolledBackError"
    assert "rolled back to old from new: SageMaker gives no reason" in judged.cause


def test_a_rollback_with_a_reason_repeats_it() -> None:
    judged = judge(endpoint("InService", "old", FailureReason="alarm error-rate"))
    assert isinstance(judged, NotDeployed)
    assert judged.cause.endswith("alarm error-rate")


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_a_change_under_way_is_no_outcome(status: str) -> None:
    assert judge(endpoint(status, "old")) == Pending()


def test_in_service_while_a_deployment_is_pending_is_no_outcome() -> None:
    assert judge(endpoint("InService", PendingDeploymentSummary={"EndpointConfigName": "new"})) == Pending()


@pytest.mark.parametrize("status", ["Failed", "OutOfService", "UpdateRollbackFailed"])
def test_a_failed_endpoint_is_a_failure_with_its_reason(status: str) -> None:
    judged = judge(endpoint(status, FailureReason="no capacity"))
    assert judged == NotDeployed(
        "EndpointFailedError", f"sluice--reviews--production is {status}: no capacity"
    )


@pytest.mark.parametrize("described", [None, endpoint("Deleting")])
def test_an_endpoint_deleted_by_hand_is_a_failure(described: dict[str, Any] | None) -> None:
    judged = judge(described)
    assert isinstance(judged, NotDeployed)
    assert judged.error == "EndpointDeletedError"


@pytest.mark.parametrize(
    "spellings", [("InService", "IN_SERVICE"), ("UpdateRollbackFailed", "UPDATE_ROLLBACK_FAILED")]
)
def test_events_and_descriptions_spell_a_status_apart_and_mean_the_same(spellings: tuple[str, str]) -> None:
    assert len({serving.status(spelling) for spelling in spellings}) == 1


def test_an_endpoint_heads_for_its_pending_config() -> None:
    assert serving.target_config(endpoint("InService", "old")) == "old"
    updating = endpoint("Updating", "old", PendingDeploymentSummary={"EndpointConfigName": "new"})
    assert serving.target_config(updating) == "new"


MODEL = serving.model_request(CONTAINER, 7, "reviews-v7-0a", "arn:role", OWNER)
EXPECTED = Identity("new", MODEL, None)
FOUND = Serving(
    endpoint=endpoint("InService"),
    config={"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "reviews-v7-0a"}]},
    model=MODEL,
)


def test_an_endpoint_that_serves_what_was_released_has_no_faults() -> None:
    assert serving.identity_faults(FOUND, EXPECTED) == []


def test_another_config_is_a_fault() -> None:
    expected = replace(EXPECTED, endpoint_config_name="other")
    assert serving.identity_faults(FOUND, expected) == ["the endpoint's config is new, not other"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ModelName": "other"}, "the config's model is reviews-v7-0a, not other"),
        ({"ExecutionRoleArn": "arn:other"}, "the model's role is arn:role, not arn:other"),
        ({"Image": "other"}, f"the model's image is {IMAGE}, not other"),
        ({"ModelDataUrl": "s3://other"}, "the model's data is s3://artifacts/model.tar.gz, not s3://other"),
        ({"Environment": {}}, "the model's environment is {'SAGEMAKER_PROGRAM': 'inference.py', "),
    ],
)
def test_each_broken_link_of_the_chain_is_a_fault(changes: dict[str, Any], said: str) -> None:
    of_model = {name: value for name, value in changes.items() if name in MODEL}
    of_container = {name: value for name, value in changes.items() if name not in MODEL}
    wanted = {**MODEL, **of_model, "PrimaryContainer": {**MODEL["PrimaryContainer"], **of_container}}
    (fault,) = serving.identity_faults(FOUND, replace(EXPECTED, model=wanted))
    assert fault.startswith(said)


def test_the_digest_that_runs_must_be_the_manifests() -> None:
    images = [{"SpecifiedImage": IMAGE, "ResolvedImage": f"{IMAGE}@sha256:{'1' * 64}"}]
    running = endpoint("InService", ProductionVariants=[{"DeployedImages": images}])
    found = replace(FOUND, endpoint=running)
    assert serving.identity_faults(found, replace(EXPECTED, image_digest=f"sha256:{'1' * 64}")) == []
    (fault,) = serving.identity_faults(found, replace(EXPECTED, image_digest=f"sha256:{'2' * 64}"))
    assert fault.startswith(f"the image's digest is sha256:{'1' * 64}")


def test_a_model_alone_is_held_against_the_manifests() -> None:
    assert serving.model_faults(MODEL, MODEL) == []
    assert serving.model_faults(None, MODEL) == ["the model reviews-v7-0a does not exist"]


def test_what_is_missing_is_named() -> None:
    assert serving.identity_faults(Serving(None, None, None), EXPECTED) == [
        "the endpoint does not exist",
        "the config does not exist",
        "the model does not exist",
    ]


CAPTURED = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 40,
    "DestinationS3Uri": "s3://artifacts/capture/reviews",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/jsonlines", "application/json"],
    },
}


def test_a_watched_endpoint_captures_both_sides_as_text(pipeline_config: PipelineConfig) -> None:
    serve = pipeline_config.serve.model_copy(update={"content_type": "application/jsonlines"})
    capture = serving.data_capture(Monitor(capture_percent=40), serve, "s3://artifacts/capture/reviews")
    assert capture == CAPTURED
    request = serving.endpoint_config_request("config", "model", serve.compute, OWNER, capture)
    assert request["DataCaptureConfig"] == CAPTURED
    assert "DataCaptureConfig" not in serving.endpoint_config_request("c", "m", serve.compute, OWNER)


@pytest.mark.parametrize(
    ("found", "wanted", "fault"),
    [
        (CAPTURED, CAPTURED, None),
        ({**CAPTURED, "KmsKeyId": "a key"}, CAPTURED, None),
        (None, None, None),
        (None, CAPTURED, "whether the config captures data is False, not True"),
        (CAPTURED, None, "whether the config captures data is True, not False"),
        ({**CAPTURED, "InitialSamplingPercentage": 1}, CAPTURED, "the captured share is 1, not 40"),
        (
            {**CAPTURED, "DestinationS3Uri": "s3://elsewhere"},
            CAPTURED,
            "where captured data go is s3://elsewhere, not s3://artifacts/capture/reviews",
        ),
    ],
)
def test_what_an_endpoint_captures_is_part_of_what_it_is(found: Any, wanted: Any, fault: str | None) -> None:
    config = {**(FOUND.config or {}), **({"DataCaptureConfig": found} if found else {})}
    faults = serving.identity_faults(replace(FOUND, config=config), replace(EXPECTED, capture=wanted))
    assert fault is None or fault in faults
    assert bool(faults) == bool(fault)
