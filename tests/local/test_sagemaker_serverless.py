"""Serverless endpoints: nothing runs while nobody asks, and what AWS refuses is refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.functions import wait_for
from local.hosting import Hosting
from sluice_local.cloud import LocalCloud

_NO_RETRIES = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def hosting(cloud: LocalCloud, unique: Callable[[str], str]) -> Iterator[Hosting]:
    with closing(Hosting(cloud, unique)) as made:
        yield made


def serverless(hosting: Hosting, model: str, concurrency: int = 2, **options: Any) -> str:
    """A config with one serverless variant."""
    name = hosting.unique("config")
    limits = {"MemorySizeInMB": 2048, "MaxConcurrency": concurrency}
    variant = {"VariantName": "AllTraffic", "ModelName": model, "ServerlessConfig": limits}
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**variant, **options.pop("variant", {})}], **options
    )
    return name


def test_a_serverless_endpoint_runs_nothing_until_it_is_asked(hosting: Hosting) -> None:
    name = hosting.endpoint(serverless(hosting, hosting.model("sleeper")))
    assert hosting.servers(name) == []

    assert hosting.answers(name) == "sleeper"
    (pid,) = hosting.servers(name)
    assert hosting.answers(name) == "sleeper"
    assert hosting.servers(name) == [pid]

    dimensions = {"EndpointName": name, "VariantName": "AllTraffic"}
    wait_for(lambda: hosting.statistics("Invocations", dimensions).get("Sum") == 2)
    setup = hosting.statistics("ModelSetupTime", dimensions)
    assert setup["SampleCount"] == 1
    # The container's start is no part of what the model took.
    assert setup["Sum"] > hosting.statistics("ModelLatency", dimensions)["Sum"]


def test_a_serverless_variant_is_described_by_its_limits(hosting: Hosting) -> None:
    described = hosting.describe(hosting.endpoint(serverless(hosting, hosting.model("small"))))
    (variant,) = described["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    assert "CurrentInstanceCount" not in variant
    assert variant["DeployedImages"]


def test_a_model_that_does_not_load_fails_the_endpoint(hosting: Hosting) -> None:
    name = hosting.creating(serverless(hosting, hosting.model("broken", broken=True)))
    described = hosting.settled(name)
    assert described["EndpointStatus"] == "Failed"
    assert "the weights are corrupt" in described["FailureReason"]


def test_more_requests_than_the_concurrency_are_throttled(hosting: Hosting) -> None:
    name = hosting.endpoint(serverless(hosting, hosting.model("single"), concurrency=1))
    hosting.answers(name)
    slow = threading.Thread(target=hosting.invoke, args=(name, "sleep 2"))
    slow.start()
    once = hosting.cloud.client("sagemaker-runtime", config=_NO_RETRIES)

    def refusal() -> Any:
        try:
            once.invoke_endpoint(EndpointName=name, Body="good", ContentType="text/csv")
        except ClientError as error:
            return error.response
        return None

    refused = wait_for(refusal)
    assert refused["Error"]["Code"] == "ThrottlingException"
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 429
    slow.join()
    assert hosting.answers(name) == "single"


def test_its_concurrency_changes_without_a_new_config(hosting: Hosting) -> None:
    name = hosting.endpoint(serverless(hosting, hosting.model("single"), concurrency=1))
    desired = {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 2}}
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[desired]
    )
    (variant,) = hosting.settled(name)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    slow = threading.Thread(target=hosting.invoke, args=(name, "sleep 1"))
    slow.start()
    time.sleep(0.2)
    once = hosting.cloud.client("sagemaker-runtime", config=_NO_RETRIES)
    assert once.invoke_endpoint(EndpointName=name, Body="good", ContentType="text/csv")["Body"].read()
    slow.join()


def test_an_update_replaces_the_model_at_once(hosting: Hosting) -> None:
    name = hosting.endpoint(serverless(hosting, hosting.model("first")))
    hosting.update(name, serverless(hosting, hosting.model("second")))
    hosting.settled(name)
    assert hosting.answers(name) == "second"


def test_instances_become_serverless_and_never_the_other_way(hosting: Hosting) -> None:
    on_instances = hosting.config(hosting.model("first"))
    name = hosting.endpoint(on_instances)
    hosting.update(name, serverless(hosting, hosting.model("second")))
    hosting.settled(name)
    assert hosting.answers(name) == "second"
    with pytest.raises(ClientError, match="cannot be updated to an instance-based endpoint"):
        hosting.update(name, on_instances)
    assert hosting.describe(name)["EndpointStatus"] == "InService"


def test_there_are_no_guardrails_and_no_instances_to_change(hosting: Hosting) -> None:
    name = hosting.endpoint(serverless(hosting, hosting.model("only")))
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    with pytest.raises(ClientError, match="do not support a DeploymentConfig"):
        hosting.update(name, serverless(hosting, hosting.model("next")), DeploymentConfig=policy)
    with pytest.raises(ClientError, match="it has no instances"):
        hosting.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}],
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}}, "cannot have InitialInst"),
        (
            {"variant": {"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}},
            "one of 1024, 2048",
        ),
        ({"variant": {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 201}}}, "200"),
        (
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 100,
                    "DestinationS3Uri": "s3://captured/data",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "cannot have data capture",
        ),
    ],
)
def test_what_a_serverless_variant_excludes_is_refused(
    hosting: Hosting, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        serverless(hosting, hosting.model("never"), **json.loads(json.dumps(options)))
