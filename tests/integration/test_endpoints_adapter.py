"""The endpoints adapter against moto, and against answers that moto does not give."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto import mock_aws

from sluice.adapters.endpoints import SageMakerEndpoints
from sluice.domain.failures import TransientError
from sluice.domain.quotas import QuotaError
from sluice.ports import EndpointBusyError, RequestRefusedError

MODEL = {
    "ModelName": "reviews-v1-0a",
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/jobs",
    "PrimaryContainer": {"Image": "own:1", "ModelDataUrl": "s3://b/m.tar.gz"},
}
CONFIG = {
    "EndpointConfigName": "reviews-v1-0a-production",
    "ProductionVariants": [
        {
            "VariantName": "AllTraffic",
            "ModelName": "reviews-v1-0a",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
    ],
}
ENDPOINT = {"EndpointName": "sluice--reviews--production", "EndpointConfigName": "reviews-v1-0a-production"}
UPDATE = {**ENDPOINT, "EndpointConfigName": "reviews-v2-0b-production"}


@pytest.fixture
def sagemaker() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sagemaker")


@pytest.fixture
def stub(sagemaker: Any) -> Iterator[Stubber]:
    with Stubber(sagemaker) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def described(status: str) -> dict[str, Any]:
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/sluice--reviews--production"
    return {
        **ENDPOINT,
        "EndpointArn": arn,
        "EndpointStatus": status,
        "CreationTime": 0,
        "LastModifiedTime": 0,
    }


def test_what_is_made_twice_exists_once_and_is_described(sagemaker: Any) -> None:
    endpoints = SageMakerEndpoints(sagemaker)
    for _ in range(2):
        endpoints.create_model(MODEL)
        endpoints.create_config(CONFIG)
    model = endpoints.describe_model("reviews-v1-0a")
    config = endpoints.describe_config("reviews-v1-0a-production")
    assert model is not None
    assert config is not None
    assert model["PrimaryContainer"]["ModelDataUrl"] == "s3://b/m.tar.gz"
    assert config["ProductionVariants"][0]["ModelName"] == "reviews-v1-0a"


def test_an_endpoint_is_created_described_and_deleted(sagemaker: Any) -> None:
    endpoints = SageMakerEndpoints(sagemaker)
    endpoints.create_model(MODEL)
    endpoints.create_config(CONFIG)
    endpoints.create_endpoint(ENDPOINT)
    endpoint = endpoints.describe_endpoint("sluice--reviews--production")
    assert endpoint is not None
    assert endpoint["EndpointConfigName"] == "reviews-v1-0a-production"
    for _ in range(2):
        endpoints.delete_endpoint("sluice--reviews--production")
    assert endpoints.describe_endpoint("sluice--reviews--production") is None


def test_what_is_not_there_is_none(sagemaker: Any) -> None:
    endpoints = SageMakerEndpoints(sagemaker)
    assert endpoints.describe_endpoint("none") is None
    assert endpoints.describe_config("none") is None
    assert endpoints.describe_model("none") is None


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_that_is_being_changed_is_busy(sagemaker: Any, stub: Stubber, status: str) -> None:
    stub.add_response("describe_endpoint", described(status))
    stub.add_client_error("update_endpoint", "ValidationException", "Cannot update in-progress endpoint")
    stub.add_response("describe_endpoint", described(status))
    with pytest.raises(EndpointBusyError, match="sluice--reviews--production is being changed"):
        SageMakerEndpoints(sagemaker).update_endpoint(UPDATE)


def test_an_endpoint_that_someone_began_to_change_meanwhile_is_busy(sagemaker: Any, stub: Stubber) -> None:
    stub.add_response("describe_endpoint", described("InService"))
    stub.add_client_error("update_endpoint", "ValidationException", "Cannot update in-progress endpoint")
    stub.add_response("describe_endpoint", described("Updating"))
    with pytest.raises(EndpointBusyError):
        SageMakerEndpoints(sagemaker).update_endpoint(UPDATE)


def test_an_endpoint_that_someone_created_meanwhile_is_busy(sagemaker: Any, stub: Stubber) -> None:
    stub.add_client_error("describe_endpoint", "ValidationException", "Could not find endpoint")
    stub.add_client_error("create_endpoint", "ValidationException", "Cannot create already existing endpoint")
    stub.add_response("describe_endpoint", described("Creating"))
    with pytest.raises(EndpointBusyError):
        SageMakerEndpoints(sagemaker).create_endpoint(ENDPOINT)


def refuse_update(stub: Stubber, config: dict[str, Any] | None) -> None:
    """Have SageMaker find no config, which DescribeEndpointConfig does or does not."""
    stub.add_response("describe_endpoint", described("InService"))
    stub.add_client_error("update_endpoint", "ValidationException", "Could not find endpoint configuration")
    stub.add_response("describe_endpoint", described("InService"))
    if config is None:
        stub.add_client_error("describe_endpoint_config", "ValidationException", "Could not find it")
    else:
        stub.add_response("describe_endpoint_config", config)


def described_config(made_at: datetime) -> dict[str, Any]:
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint-config/reviews-v1-0a-production"
    return {**CONFIG, "EndpointConfigArn": arn, "CreationTime": made_at}


@pytest.mark.parametrize("config", [None, described_config(datetime.now(UTC) - timedelta(minutes=5))])
def test_a_wrong_request_is_no_busy_endpoint(
    sagemaker: Any, stub: Stubber, config: dict[str, Any] | None
) -> None:
    refuse_update(stub, config)
    with pytest.raises(RequestRefusedError, match="Could not find endpoint configuration"):
        SageMakerEndpoints(sagemaker).update_endpoint(UPDATE)


def test_a_config_that_was_made_a_moment_ago_may_be_found_later(sagemaker: Any, stub: Stubber) -> None:
    refuse_update(stub, described_config(datetime.now(UTC)))
    with pytest.raises(TransientError, match=r"^ClientError: .*Could not find endpoint configuration"):
        SageMakerEndpoints(sagemaker).update_endpoint(UPDATE)


@pytest.mark.parametrize(
    ("age", "error"), [(timedelta(), TransientError), (timedelta(minutes=5), RequestRefusedError)]
)
def test_a_model_that_was_made_a_moment_ago_may_be_found_later(
    sagemaker: Any, stub: Stubber, age: timedelta, error: type[Exception]
) -> None:
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:model/reviews-v1-0a"
    model = {"ModelName": "reviews-v1-0a", "ModelArn": arn, "CreationTime": datetime.now(UTC) - age}
    stub.add_client_error("describe_endpoint_config", "ValidationException", "Could not find it")
    stub.add_client_error("create_endpoint_config", "ValidationException", "Could not find model")
    stub.add_response("describe_model", model)
    with pytest.raises(error, match="Could not find model"):
        SageMakerEndpoints(sagemaker).create_config(CONFIG)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_what_is_not_about_the_endpoint_does_not_make_it_busy(
    sagemaker: Any, stub: Stubber, code: str
) -> None:
    """A busy endpoint is waited for for hours, and a missing permission stays missing."""
    stub.add_response("describe_endpoint", described("Updating"))
    stub.add_client_error("update_endpoint", code)
    with pytest.raises(ClientError, match=code):
        SageMakerEndpoints(sagemaker).update_endpoint(UPDATE)


def test_an_endpoint_that_may_not_be_read_is_not_taken_for_absent(sagemaker: Any, stub: Stubber) -> None:
    stub.add_client_error("describe_endpoint", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        SageMakerEndpoints(sagemaker).describe_endpoint("sluice--reviews--production")


@pytest.fixture
def runtime() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("sagemaker-runtime")
    with Stubber(client) as stubber:
        yield client, stubber


def test_an_answer_tells_its_variant(sagemaker: Any, runtime: tuple[Any, Stubber]) -> None:
    client, stubber = runtime
    body = StreamingBody(io.BytesIO(b"[1]"), 3)
    answer = {"Body": body, "ContentType": "application/json", "InvokedProductionVariant": "AllTraffic"}
    request = {
        "EndpointName": "sluice--reviews--production",
        "Body": b"{}",
        "ContentType": "application/json",
        "Accept": "application/json",
    }
    stubber.add_response("invoke_endpoint", answer, request)
    endpoints = SageMakerEndpoints(sagemaker, client)
    assert endpoints.invoke("sluice--reviews--production", b"{}", "application/json", "application/json") == {
        "status_code": 200,
        "body": b"[1]",
        "content_type": "application/json",
        "variant": "AllTraffic",
    }


def test_a_models_error_is_an_answer_with_the_models_own_status(
    sagemaker: Any, runtime: tuple[Any, Stubber]
) -> None:
    client, stubber = runtime
    modeled = {"OriginalStatusCode": 415, "OriginalMessage": "no such content type"}
    stubber.add_client_error("invoke_endpoint", "ModelError", http_status_code=424, modeled_fields=modeled)
    answer = SageMakerEndpoints(sagemaker, client).invoke("sluice--reviews--production", b"", "a/b", "a/b")
    assert (answer["status_code"], answer["body"]) == (415, b"no such content type")


def test_a_model_that_does_not_answer_in_time_is_a_gateways_timeout(sagemaker: Any) -> None:
    def never(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://runtime")

    runtime: Any = SimpleNamespace(invoke_endpoint=never)
    answer = SageMakerEndpoints(sagemaker, runtime).invoke("sluice--reviews--production", b"", "a/b", "a/b")
    assert answer["status_code"] == 504
    assert b"Read timeout" in answer["body"]


def test_an_endpoint_that_is_not_there_is_an_answer_too(sagemaker: Any, runtime: tuple[Any, Stubber]) -> None:
    client, stubber = runtime
    stubber.add_client_error("invoke_endpoint", "ValidationError", "Endpoint not found", http_status_code=400)
    answer = SageMakerEndpoints(sagemaker, client).invoke("none", b"", "a/b", "a/b")
    assert answer["status_code"] == 400
    assert b"Endpoint not found" in answer["body"]


def test_a_quota_is_told_in_sagemakers_words(sagemaker: Any, stub: Stubber) -> None:
    said = "The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances"
    stub.add_response("describe_endpoint", described("InService"))
    stub.add_client_error("update_endpoint", "ResourceLimitExceeded", said)
    with pytest.raises(QuotaError) as refused:
        SageMakerEndpoints(sagemaker).update_endpoint(UPDATE)
    assert str(refused.value) == said


def test_configs_and_models_are_listed_by_how_their_names_begin_and_deleted_once(sagemaker: Any) -> None:
    endpoints = SageMakerEndpoints(sagemaker)
    for name in ("s--reviews-v1-0a", "their-s--reviews-v1-0a"):
        endpoints.create_model({**MODEL, "ModelName": name})
        variants = [{"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}]
        endpoints.create_config({"EndpointConfigName": name, "ProductionVariants": variants})
    for found in (endpoints.list_configs("s--"), endpoints.list_models("s--")):
        (each,) = found
        assert each["Name"] == "s--reviews-v1-0a"
        assert each["Arn"].endswith("/s--reviews-v1-0a")
        assert each["CreationTime"].tzinfo is not None
    for _ in range(2):
        endpoints.delete_config("s--reviews-v1-0a")
        endpoints.delete_model("s--reviews-v1-0a")
    assert [*endpoints.list_configs("s--"), *endpoints.list_models("s--")] == []
