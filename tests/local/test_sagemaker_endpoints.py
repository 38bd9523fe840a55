"""Endpoints as AWS hosts them: real servers, invocations that count, errors in AWS's words."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

from local.functions import wait_for
from local.hosting import IMAGE, ROLE, SCRIPT, Hosting, archive
from sluice_local.cloud import LocalCloud


@pytest.fixture
def hosting(cloud: LocalCloud, unique: Callable[[str], str]) -> Iterator[Hosting]:
    with closing(Hosting(cloud, unique)) as made:
        yield made


def details(error: ClientError) -> dict[str, Any]:
    """The error's answer, with the members that only this error has."""
    return dict(error.response)


def test_a_created_endpoint_serves_its_model(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    response = hosting.invoke(name)
    assert json.loads(response["Body"].read()) == {"model": "first", "directory": ["model.json", "code"]}
    assert response["InvokedProductionVariant"] == "AllTraffic"
    assert response["ContentType"] == "application/json"


def test_an_endpoint_describes_what_serves(hosting: Hosting) -> None:
    config = hosting.config(hosting.model("first"), instances=2)
    described = hosting.describe(hosting.endpoint(config))
    assert described["EndpointConfigName"] == config
    (variant,) = described["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (2, 2)
    (image,) = variant["DeployedImages"]
    assert image["SpecifiedImage"] == IMAGE
    repository, _, digest = image["ResolvedImage"].partition("@")
    assert repository == IMAGE.rpartition(":")[0]
    assert digest.startswith("sha256:")


def test_a_script_beside_the_model_is_taken_from_its_submit_directory(hosting: Hosting) -> None:
    model = hosting.unique("packed")
    container = {
        "Image": IMAGE,
        "ModelDataUrl": hosting.put("m.tar.gz", archive({"model.json": '{"name": "packed"}'})),
        "Environment": {
            "SAGEMAKER_SUBMIT_DIRECTORY": hosting.put("sourcedir.tar.gz", archive({"serve.py": SCRIPT})),
            "SAGEMAKER_PROGRAM": "serve.py",
        },
    }
    hosting.sagemaker.create_model(ModelName=model, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    assert hosting.answers(hosting.endpoint(hosting.config(model))) == "packed"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"broken": True}, "did not pass the ping health check"),
        ({"broken": True}, "RuntimeError: the weights are corrupt"),
        ({"script": "import json\n"}, "Please provide a model_fn implementation"),
        ({"image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/mine:1"}, "does not exist locally"),
    ],
)
def test_a_server_that_cannot_start_fails_its_endpoint_and_says_why(
    hosting: Hosting, options: dict[str, Any], reason: str
) -> None:
    described = hosting.settled(hosting.creating(hosting.config(hosting.model("bad", **options))))
    assert described["EndpointStatus"] == "Failed"
    assert reason in described["FailureReason"]


def test_an_archive_that_reaches_out_of_its_folder_is_refused(hosting: Hosting) -> None:
    model = hosting.unique("evil")
    data = hosting.put("evil.tar.gz", archive({"../outside": "x"}))
    container = {"Image": IMAGE, "ModelDataUrl": data}
    hosting.sagemaker.create_model(ModelName=model, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    described = hosting.settled(hosting.creating(hosting.config(model)))
    assert "Failed to extract model data archive" in described["FailureReason"]


def test_what_the_server_prints_is_in_the_variants_log_stream(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    with pytest.raises(ClientError):
        hosting.invoke(name, "fail")
    logs = hosting.cloud.client("logs")
    group = f"/aws/sagemaker/Endpoints/{name}"

    def messages() -> str:
        events = logs.filter_log_events(logGroupName=group)["events"]
        return "\n".join(event["message"] for event in events)

    wait_for(lambda: "ValueError: this review cannot be scored" in messages())
    assert "in predict_fn" in messages()
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"].startswith("AllTraffic/i-")


def test_the_models_role_must_be_allowed_to_read_the_model(
    auth_cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    iam = auth_cloud.client("iam")
    role = unique("hosting")
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    with closing(Hosting(auth_cloud, unique)) as hosting:
        config = hosting.config(hosting.model("first", role=arn))
        refused = hosting.settled(hosting.creating(config))
        assert refused["EndpointStatus"] == "Failed"
        assert "has permissions to download the model" in refused["FailureReason"]
        reading = {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{hosting.bucket}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [reading]})
        iam.put_role_policy(RoleName=role, PolicyName="models", PolicyDocument=policy)
        assert hosting.answers(hosting.endpoint(config)) == "first"


# Requests


ARITHMETIC = """
class Doubling:
    def predict(self, rows):
        return rows * 2


def model_fn(model_dir):
    return Doubling()
"""


def test_a_script_needs_only_model_fn_for_csv_json_and_npy(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("arithmetic", script=ARITHMETIC)))
    given = {"text/csv": b"1,2\n3,4\n", "application/json": b"[[1, 2], [3, 4]]"}
    for content_type, body in given.items():
        answer = hosting.invoke(name, body, content_type, Accept="text/csv")
        assert (answer["Body"].read(), answer["ContentType"]) == (b"2,4\n6,8\n", "text/csv")
    binary = hosting.invoke(name, given["text/csv"], Accept="application/x-npy")["Body"].read()
    assert binary.startswith(b"\x93NUMPY")
    answer = hosting.invoke(name, binary, "application/x-npy", Accept="application/json")
    assert json.loads(answer["Body"].read()) == [[4, 8], [12, 16]]


def test_a_containers_error_is_a_model_error_with_its_status_and_message(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    with pytest.raises(ClientError) as raised:
        hosting.invoke(name, "fail")
    response = details(raised.value)
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    message = (
        'Received server error (500) from primary with message "ValueError: this review cannot be scored". '
    )
    assert response["Error"]["Message"].startswith(message)
    assert response["OriginalStatusCode"] == 500
    assert response["OriginalMessage"] == "ValueError: this review cannot be scored"
    assert response["LogStreamArn"].endswith(f"log-group:/aws/sagemaker/Endpoints/{name}")


def test_a_containers_refusal_is_a_client_error(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    with pytest.raises(ClientError) as raised:
        hosting.invoke(name, content_type="image/png")
    response = details(raised.value)
    assert "Received client error (415) from primary" in response["Error"]["Message"]
    assert response["OriginalStatusCode"] == 415


def test_a_container_that_ends_is_started_again(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    with pytest.raises(ClientError) as raised:
        hosting.invoke(name, "exit")
    assert details(raised.value)["OriginalStatusCode"] == 0

    def answered() -> str:
        try:
            return hosting.answers(name)
        except ClientError:
            return ""

    assert wait_for(answered) == "first"


def test_custom_attributes_reach_the_container_and_come_back(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    response = hosting.invoke(name, "attributes", CustomAttributes="trace=7")
    assert response["CustomAttributes"] == "trace=7;answered"


def test_an_endpoint_that_is_not_there_is_a_validation_error(hosting: Hosting) -> None:
    with pytest.raises(ClientError) as raised:
        hosting.invoke("nowhere")
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    assert raised.value.response["Error"]["Message"] == "Endpoint nowhere of account 000000000000 not found."


def test_a_payload_over_six_megabytes_is_refused(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    with pytest.raises(ClientError) as raised:
        hosting.invoke(name, "x" * (6 * 1024 * 1024 + 1))
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_requests_are_answered_in_parallel(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    threads = [threading.Thread(target=hosting.invoke, args=[name, "sleep 1"]) for _ in range(6)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 6


def test_traffic_follows_the_weights_and_a_target_variant_overrides_them(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("a"), hosting.model("b"), weights=(1.0, 0.0)))
    assert {hosting.answers(name) for _ in range(10)} == {"a"}
    assert hosting.answers(name, TargetVariant="variant-1") == "b"
    with pytest.raises(ClientError, match="variant-9"):
        hosting.answers(name, TargetVariant="variant-9")
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "variant-0", "DesiredWeight": 0.0},
            {"VariantName": "variant-1", "DesiredWeight": 3.0, "DesiredInstanceCount": 2},
        ],
    )
    _, second = hosting.settled(name)["ProductionVariants"]
    assert (second["CurrentWeight"], second["CurrentInstanceCount"]) == (3.0, 2)
    assert {hosting.answers(name) for _ in range(10)} == {"b"}


# Operations


def test_an_endpoint_config_needs_a_model_that_exists(hosting: Hosting) -> None:
    with pytest.raises(ClientError, match=r'Could not find model ".*:model/nowhere"'):
        hosting.config("nowhere")


@pytest.mark.parametrize(
    "options",
    [
        {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://bucket/out"}}},
        {"ExplainerConfig": {"ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": {}}}}},
    ],
)
def test_what_the_local_cloud_cannot_serve_is_refused_at_once(
    hosting: Hosting, options: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="The local SageMaker does not serve"):
        hosting.config(hosting.model("first"), **options)


def test_configs_and_endpoints_are_listed_and_deleted(hosting: Hosting) -> None:
    config = hosting.config(hosting.model("first"))
    name = hosting.endpoint(config)
    listed = hosting.sagemaker.list_endpoint_configs(NameContains=config)["EndpointConfigs"]
    assert [item["EndpointConfigName"] for item in listed] == [config]
    (item,) = hosting.sagemaker.list_endpoints(NameContains=name, StatusEquals="InService")["Endpoints"]
    assert item["EndpointName"] == name
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    with pytest.raises(ClientError, match="Could not find endpoint "):
        hosting.describe(name)
    with pytest.raises(ClientError, match="Could not find endpoint configuration "):
        hosting.sagemaker.describe_endpoint_config(EndpointConfigName=config)
    with pytest.raises(ClientError, match="not found"):
        hosting.invoke(name)


def test_a_name_that_is_taken_or_a_config_that_is_missing_creates_nothing(hosting: Hosting) -> None:
    config = hosting.config(hosting.model("first"))
    name = hosting.endpoint(config)
    # "The name is case-insensitive in CreateEndpoint, but the case is preserved and must be matched in
    # InvokeEndpoint", says the model.
    for taken in (name, name.upper()):
        with pytest.raises(ClientError, match="Cannot create already existing endpoint "):
            hosting.sagemaker.create_endpoint(EndpointName=taken, EndpointConfigName=config)
    with pytest.raises(ClientError, match="not found"):
        hosting.invoke(name.upper())
    with pytest.raises(ClientError, match="Could not find endpoint configuration "):
        hosting.creating("nowhere")


# Metrics, faults, data capture


def test_every_request_counts_in_cloudwatch(hosting: Hosting) -> None:
    config = hosting.config(hosting.model("first"))
    name = hosting.endpoint(config)
    for _ in range(3):
        hosting.invoke(name)
    for body, content_type in (("fail", "text/csv"), ("x", "image/png")):
        with pytest.raises(ClientError):
            hosting.invoke(name, body, content_type)
    variant = {"EndpointName": name, "VariantName": "AllTraffic"}
    wait_for(lambda: hosting.statistics("Invocations", variant).get("Sum") == 5)
    expected = {"Invocation4XXErrors": 1, "Invocation5XXErrors": 1, "InvocationModelErrors": 2}
    for dimensions in (variant, {**variant, "EndpointConfigName": config}):
        for metric, errors in expected.items():
            statistics = hosting.statistics(metric, dimensions)
            assert (statistics["Sum"], statistics["Average"]) == (errors, errors / 5)
        latency = hosting.statistics("ModelLatency", dimensions)
        assert latency["SampleCount"] == 5
        assert 100 < latency["Average"] < 1_000_000


def test_an_injected_fault_answers_for_the_container_and_counts_as_its_failure(hosting: Hosting) -> None:
    config = hosting.config(hosting.model("first"))
    name = hosting.endpoint(config)
    assert hosting.fault(endpoint=name, endpoint_config=config, status=503)[0]["share"] == 1.0
    with pytest.raises(ClientError) as raised:
        hosting.invoke(name)
    response = details(raised.value)
    assert response["OriginalStatusCode"] == 503
    variant = {"EndpointName": name, "VariantName": "AllTraffic"}
    wait_for(lambda: hosting.statistics("Invocation5XXErrors", variant).get("Sum") == 1)
    assert hosting.fault("DELETE") == []
    assert hosting.answers(name) == "first"


def test_a_fault_of_another_config_does_no_harm(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    hosting.fault(endpoint=name, endpoint_config="another", status=500)
    assert hosting.answers(name) == "first"


def test_injected_latency_is_the_models_latency(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    hosting.fault(endpoint=name, status=200, latency_ms=300)
    assert hosting.answers(name) == "first"
    variant = {"EndpointName": name, "VariantName": "AllTraffic"}
    latency = wait_for(lambda: hosting.statistics("ModelLatency", variant))
    assert latency["Average"] > 300_000


def test_a_fault_that_cannot_be_meant_is_refused(hosting: Hosting) -> None:
    with pytest.raises(HTTPError, match="400"):
        hosting.fault(endpoint="some", status=700)
    assert hosting.fault("DELETE") == []


def test_captured_traffic_is_in_s3_as_json_lines(hosting: Hosting) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{hosting.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    name = hosting.endpoint(hosting.config(hosting.model("first"), DataCaptureConfig=capture))
    assert hosting.describe(name)["DataCaptureConfig"]["CaptureStatus"] == "Started"
    hosting.invoke(name, "1,2", InferenceId="request-1")
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    (key,) = wait_for(lambda: hosting.keys(f"capture/{name}/AllTraffic/"))
    assert re.fullmatch(rf"capture/{name}/AllTraffic/\d{{4}}/\d\d/\d\d/\d\d/[\w-]+\.jsonl", key)
    (line,) = hosting.s3.get_object(Bucket=hosting.bucket, Key=key)["Body"].read().splitlines()
    record = json.loads(line)
    sides = record["captureData"]
    assert sides["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": "1,2",
        "encoding": "CSV",
    }
    assert (sides["endpointOutput"]["mode"], sides["endpointOutput"]["encoding"]) == ("OUTPUT", "BASE64")
    assert json.loads(base64.b64decode(sides["endpointOutput"]["data"]))["model"] == "first"
    assert record["eventMetadata"]["inferenceId"] == "request-1"
    assert record["eventVersion"] == "0"
