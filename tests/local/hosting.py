"""Make endpoints of the local cloud, for tests.

The served script is one file whose behaviour the model's `model.json` chooses: its `name` is what it answers,
`broken` keeps it from loading. The word that a request begins with makes it fail, or take its time.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.functions import wait_for
from sluice_local import control
from sluice_local.cloud import LocalCloud

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
ROLE = "arn:aws:iam::000000000000:role/hosting"
SCRIPT = """
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
    if data == "exit":
        os._exit(3)
    if data == "attributes":
        value = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", value + ";answered")
    return {"model": model["name"], "directory": os.listdir("/opt/ml/model")}


def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


def archive(files: dict[str, str]) -> bytes:
    """A .tar.gz of texts by path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class Hosting:
    """Clients, and short ways to make what an endpoint needs."""

    cloud: LocalCloud
    unique: Callable[[str], str]

    def __post_init__(self) -> None:
        self._endpoints: list[str] = []
        self.sagemaker = self.cloud.client("sagemaker")
        self.runtime = self.cloud.client("sagemaker-runtime")
        self.s3 = self.cloud.client("s3")
        self.bucket = self.unique("models")
        self.s3.create_bucket(Bucket=self.bucket)

    def put(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def model(
        self, name: str, script: str = SCRIPT, image: str = IMAGE, role: str = ROLE, **content: Any
    ) -> str:
        """A model that answers with `name`."""
        model_name = self.unique(name)
        data = archive({"model.json": json.dumps({"name": name, **content}), "code/inference.py": script})
        container = {"Image": image, "ModelDataUrl": self.put(f"{model_name}.tar.gz", data)}
        self.sagemaker.create_model(ModelName=model_name, PrimaryContainer=container, ExecutionRoleArn=role)
        return model_name

    def config(
        self, *models: str, instances: int = 1, weights: tuple[float, ...] = (), **options: Any
    ) -> str:
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
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants, **options)
        return name

    def endpoint(self, config: str) -> str:
        """An endpoint in service."""
        name = self.creating(config)
        assert self.settled(name)["EndpointStatus"] == "InService"
        return name

    def creating(self, config: str, **options: Any) -> str:
        """An endpoint that is on its way."""
        name = self.unique("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, **options)
        self._endpoints.append(name)
        return name

    def describe(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
        return described

    def settled(self, name: str) -> dict[str, Any]:
        """Its description once nothing is under way any more."""

        def look() -> dict[str, Any]:
            described = self.describe(name)
            return described if described["EndpointStatus"] in ("InService", "Failed") else {}

        return wait_for(look)

    def invoke(
        self, name: str, body: str | bytes = "good", content_type: str = "text/csv", **options: Any
    ) -> Any:
        return self.runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType=content_type, **options)

    def answers(self, name: str, **options: Any) -> str:
        """The name of the model that answers."""
        model: str = json.loads(self.invoke(name, **options)["Body"].read())["model"]
        return model

    def update(self, name: str, config: str, **options: Any) -> None:
        self.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, **options)

    def fault(self, method: str = "POST", **fault: Any) -> list[dict[str, Any]]:
        """Use the local cloud's own interface for faults; all that are injected now."""
        faults: list[dict[str, Any]] = control.ask(self.cloud.endpoint_url, "faults", method, fault)["faults"]
        return faults

    def statistics(self, metric: str, dimensions: dict[str, str]) -> dict[str, Any]:
        """All that CloudWatch has of a metric; nothing if there is nothing."""
        now = datetime.now(UTC)
        points = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=86400,
            Statistics=["Sum", "Average", "SampleCount"],
        )["Datapoints"]
        return dict(points[0]) if points else {}

    def processes(self, name: str) -> list[int]:
        """The processes of an endpoint, known by the folder in their environment."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and f"/endpoints/{name}-" in _read(entry / "environ")
        ]

    def servers(self, name: str) -> list[int]:
        """Those that serve: beside each is the init of its container."""
        return [
            pid for pid in self.processes(name) if "namespace.py" not in _read(Path(f"/proc/{pid}/cmdline"))
        ]

    def keys(self, prefix: str) -> list[str]:
        """The objects of the bucket below a prefix."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in listed]

    def close(self) -> None:
        """End what a test made and did not delete itself."""
        self.fault("DELETE")
        for name in self._endpoints:
            with suppress(ClientError):
                self.sagemaker.delete_endpoint(EndpointName=name)


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
