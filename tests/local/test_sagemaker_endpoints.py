"""Endpoints as AWS hosts them: real servers, deployments that move traffic or go back, invocations that count.

The served script is one file whose behaviour the model's `model.json` chooses: its `name` is what it answers,
`broken` keeps it from loading, and the word in a request makes it fail.
"""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice_local.cloud import LocalCloud

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
ROLE = "arn:aws:iam::000000000000:role/hosting"
SCRIPT = '''
import json
import os
import time


def model_fn(model_dir):
    with open(os.path.join(model_dir, "model.json")) as file:
        model = json.load(file)
    if model.get("broken"):
        raise RuntimeError("the weights are corrupt")
    return model


def input_fn(data, content_type):
    if content_type not in ("text/csv", "application/json"):
        error = ValueError("only text is understood")
        error.status_code = 415
        raise error
    return data


def predict_fn(data, model, context):
    if data == "fail":
        raise ValueError("this review cannot be scored")
    if data.startswith("sleep "):
        time.sleep(float(data.split()[1]))
    if data == "attributes":
        value = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", value + ";answered")
    return {"model": model["name"], "directory": os.listdir("/opt/ml/model")}


def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
'''


def archive(**files: str) -> bytes:
    """A .tar.gz of files by path, `__` standing for a slash and the rest for a dot."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def eventually(check: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """The first true value of `check`."""
    deadline = time.monotonic() + timeout_s
    while not (value := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


@dataclass
class Hosting:
    """Clients, and short ways to make what an endpoint needs."""

    cloud: LocalCloud
    unique: Callable[[str], str]
    bucket: str = ""

    def __post_init__(self) -> None:
        self.sagemaker = self.cloud.client("sagemaker")
        self.runtime = self.cloud.client("sagemaker-runtime")
        self.s3 = self.cloud.client("s3")
        self.bucket = self.unique("models")
        self.s3.create_bucket(Bucket=self.bucket)

    def put(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def model(self, name: str, script: str = SCRIPT, image: str = IMAGE, **content: Any) -> str:
        """A model that answers with `name`."""
        model_name = self.unique(name)
        data = archive(model_json=json.dumps({"name": name, **content}), code__inference_py=script)
        container = {"Image": image, "ModelDataUrl": self.put(f"{model_name}.tar.gz", data)}
        self.sagemaker.create_model(ModelName=model_name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        return model_name

    def config(self, *models: str, instances: int = 1, weights: tuple[float, ...] = (), **options: Any) -> str:
        """A config with a variant for each model: AllTraffic, or variant-0, variant-1, ..."""
        name = self.unique("config")
        variants = [
            {
                "VariantName": "AllTraffic" if len(models) == 1 else f"variant-{number}",
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": instances,
                "InitialVariantWeight": weights[number] if weights else 1.0,
            }
            for number, model in enumerate(models)
        ]
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=variants, **options
        )
        return name

    def endpoint(self, config: str) -> str:
        """An endpoint in service."""
        name = self.unique("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        assert self.settled(name)["EndpointStatus"] == "InService"
        return name

    def describe(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
        return described

    def settled(self, name: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Its description once nothing is under way any more."""

        def look() -> dict[str, Any] | None:
            described = self.describe(name)
            return described if described["EndpointStatus"] in ("InService", "Failed") else None

        described: dict[str, Any] = eventually(look, timeout_s)
        return described

    def invoke(self, name: str, body: str = "good", content_type: str = "text/csv", **options: Any) -> Any:
        return self.runtime.invoke_endpoint(
            EndpointName=name, Body=body, ContentType=content_type, **options
        )

    def answers(self, name: str, **options: Any) -> str:
        """The name of the model that answers."""
        model: str = json.loads(self.invoke(name, **options)["Body"].read())["model"]
        return model


@pytest.fixture
def hosting(cloud: LocalCloud, unique: Callable[[str], str]) -> Iterator[Hosting]:
    made = Hosting(cloud, unique)
    yield made
    for endpoint in made.sagemaker.list_endpoints(MaxResults=100)["Endpoints"]:
        made.sagemaker.delete_endpoint(EndpointName=endpoint["EndpointName"])


def test_a_created_endpoint_serves_its_model(hosting: Hosting) -> None:
    name = hosting.endpoint(hosting.config(hosting.model("first")))
    response = hosting.invoke(name)
    assert json.loads(response["Body"].read()) == {"model": "first", "directory": ["model.json", "code"]}
    assert response["InvokedProductionVariant"] == "AllTraffic"
    assert response["ContentType"] == "application/json"
