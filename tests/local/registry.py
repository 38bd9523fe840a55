"""Make model packages in the local cloud, for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.functions import create_queue, receive
from sluice_local.cloud import LocalCloud

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"


class Registry:
    """A model package group of its own for a test, and short ways to fill it."""

    def __init__(self, cloud: LocalCloud, unique: Callable[[str], str]) -> None:
        self.cloud, self.unique = cloud, unique
        self.sagemaker = cloud.client("sagemaker")
        self.bucket, self.group = unique("artifacts"), unique("churn")
        cloud.client("s3").create_bucket(Bucket=self.bucket)
        self.sagemaker.create_model_package_group(ModelPackageGroupName=self.group)

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self.cloud.region}:{self.cloud.account}:{kind}/{name}"

    def put(self, key: str, body: bytes = b"model") -> str:
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def specification(self, model_data: str | None = None, **container: Any) -> dict[str, Any]:
        """An inference specification with one container."""
        url = model_data or f"s3://{self.bucket}/model.tar.gz"
        return {
            "Containers": [{"Image": IMAGE, "ModelDataUrl": url, **container}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["application/json"],
        }

    def package(self, **request: Any) -> str:
        """A new version in the group; its ARN."""
        content = {"InferenceSpecification": self.specification(), **request}
        answer = self.sagemaker.create_model_package(ModelPackageGroupName=self.group, **content)
        return str(answer["ModelPackageArn"])

    def describe(self, arn: str) -> dict[str, Any]:
        described: dict[str, Any] = self.sagemaker.describe_model_package(ModelPackageName=arn)
        return described

    def update(self, arn: str, **changes: Any) -> None:
        self.sagemaker.update_model_package(ModelPackageArn=arn, **changes)

    def versions(self, **filters: Any) -> list[int]:
        """The versions that a listing of the group gives, in its order."""
        listed = self.sagemaker.list_model_packages(ModelPackageGroupName=self.group, **filters)
        return [summary["ModelPackageVersion"] for summary in listed["ModelPackageSummaryList"]]

    def watch(self, **pattern: Any) -> str:
        """A queue that gets SageMaker's events which match the pattern; its URL."""
        url, arn = create_queue(self.cloud, self.unique("events"))
        events, rule = self.cloud.client("events"), self.unique("rule")
        events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.sagemaker"], **pattern}))
        events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def events(self, queue: str, count: int) -> list[dict[str, Any]]:
        """As many events as are expected, in the order of their arrival."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            messages = receive(self.cloud, queue)
            assert messages, f"{len(found)} of {count} events came"
            found += [json.loads(message["Body"]) for message in messages]
        return found


@contextmanager
def refused(code: str, message: str = "", status: int = 400) -> Iterator[None]:
    """The block ends in this error of the API."""
    with pytest.raises(ClientError) as caught:
        yield
    error, metadata = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert error["Code"] == code
    assert message in error["Message"]
    assert metadata["HTTPStatusCode"] == status
    assert metadata["RequestId"]
