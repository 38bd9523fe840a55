"""Shadow variants: requests are mirrored to them, and nobody waits for what they answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.functions import wait_for
from local.hosting import SCRIPT, Hosting
from sluice_local.cloud import LocalCloud

# Longer than a caller takes who waits for nobody.
SLOW_S = 2.0
_SLOW = SCRIPT.replace(
    "def predict_fn(data, model, context):",
    f"def predict_fn(data, model, context):\n    time.sleep({SLOW_S})",
)


@pytest.fixture
def hosting(cloud: LocalCloud, unique: Callable[[str], str]) -> Iterator[Hosting]:
    with closing(Hosting(cloud, unique)) as made:
        yield made


def shadow(model: str, weight: float = 1.0, **options: Any) -> dict[str, Any]:
    size = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    return {"VariantName": "Shadow", "ModelName": model, "InitialVariantWeight": weight, **size, **options}


def captured(hosting: Hosting, endpoint: str, variant: str) -> list[dict[str, Any]]:
    listed = hosting.s3.list_objects_v2(Bucket=hosting.bucket, Prefix=f"captured/{endpoint}/{variant}/")
    bodies = (
        hosting.s3.get_object(Bucket=hosting.bucket, Key=each["Key"])["Body"].read()
        for each in listed.get("Contents", ())
    )
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def capture(hosting: Hosting) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{hosting.bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "JsonContentTypes": ["application/json"],
            "CsvContentTypes": ["text/csv"],
        },
    }


def invocations(hosting: Hosting, endpoint: str, variant: str) -> float:
    found = hosting.statistics("Invocations", {"EndpointName": endpoint, "VariantName": variant})
    return float(found.get("Sum", 0))


def test_a_shadow_answers_what_production_answers_and_nobody_waits_for_it(hosting: Hosting) -> None:
    config = hosting.config(
        hosting.model("old"),
        ShadowProductionVariants=[shadow(hosting.model("new", script=_SLOW))],
        DataCaptureConfig=capture(hosting),
    )
    name = hosting.endpoint(config)
    (described,) = hosting.describe(name)["ShadowProductionVariants"]
    assert (described["VariantName"], described["CurrentInstanceCount"]) == ("Shadow", 1)
    started = time.perf_counter()
    response = hosting.invoke(name)
    assert time.perf_counter() - started < SLOW_S
    assert json.loads(response["Body"].read())["model"] == "old"
    assert response["InvokedProductionVariant"] == "AllTraffic"
    (mirrored,) = wait_for(lambda: captured(hosting, name, "Shadow"))
    assert json.loads(mirrored["captureData"]["endpointOutput"]["data"])["model"] == "new"
    (answered,) = wait_for(lambda: captured(hosting, name, "AllTraffic"))
    asked = [each["captureData"]["endpointInput"]["data"] for each in (mirrored, answered)]
    assert asked[0] == asked[1]
    assert wait_for(lambda: invocations(hosting, name, "Shadow")) == 1
    assert invocations(hosting, name, "AllTraffic") == 1


def test_a_shadow_gets_the_share_that_its_weight_is_of_productions(hosting: Hosting) -> None:
    config = hosting.config(
        hosting.model("old"), ShadowProductionVariants=[shadow(hosting.model("new"), 0.5)]
    )
    name = hosting.endpoint(config)
    for _ in range(100):
        hosting.invoke(name)
    wait_for(lambda: invocations(hosting, name, "AllTraffic") == 100)
    # Nobody waits for a shadow: its last requests may come later than the answers.
    wait_for(lambda: invocations(hosting, name, "Shadow") >= 25)
    time.sleep(0.5)
    # Fewer than 25 or more than 75 of 100 fair draws: once in a million runs.
    assert invocations(hosting, name, "Shadow") <= 75


def test_a_shadow_that_fails_harms_no_caller_and_an_update_ends_it(hosting: Hosting) -> None:
    old = hosting.model("old")
    failing = hosting.model("new", script=SCRIPT.replace('if data == "fail":', "if True:"))
    name = hosting.endpoint(hosting.config(old, ShadowProductionVariants=[shadow(failing)]))
    assert json.loads(hosting.invoke(name)["Body"].read())["model"] == "old"
    wait_for(lambda: invocations(hosting, name, "Shadow") == 1)
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=hosting.config(old))
    assert "ShadowProductionVariants" not in hosting.settled(name)
    hosting.invoke(name)
    time.sleep(1)
    assert invocations(hosting, name, "Shadow") == 1


@pytest.mark.parametrize(
    ("production", "shadows", "error"),
    [
        (1, [{}, {"VariantName": "Shadow-2"}], "there is one production variant"),
        (2, [{}], "there is one production variant"),
        (1, [{"VariantName": "AllTraffic"}], "must be unique"),
        (1, [{"ModelName": "nowhere"}], "Could not find model"),
    ],
)
def test_one_shadow_stands_beside_one_variant(
    hosting: Hosting, production: int, shadows: list[dict[str, Any]], error: str
) -> None:
    model = hosting.model("old")
    with pytest.raises(ClientError, match=error):
        hosting.config(
            *[model] * production, ShadowProductionVariants=[shadow(model) | each for each in shadows]
        )


def test_a_shadow_is_not_serverless(hosting: Hosting) -> None:
    model = hosting.model("old")
    serverless = {
        "VariantName": "Shadow",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    with pytest.raises(ClientError, match="cannot be serverless"):
        hosting.config(model, ShadowProductionVariants=[serverless])
