"""`sluice push` makes the example's definition with the SDK that people have, and it is sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from sluice.domain.build import projects
from sluice.domain.build.sdk import placing
from sluice.domain.build.sdk.placing import Place
from sluice_cli import project, sdk_definition
from sluice_cli.target import Target
from sluice_local.cloud import LocalCloud
from sluice_local.settings import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "sdk-pipeline"
PYTHON = REPOSITORY / ".venv/envs/sdk2/bin/python"
BUCKET = "sluice-artifacts"


class Stack(Target):
    """A stack, as far as a definition needs it."""

    @property
    def outputs(self) -> dict[str, str]:
        machines = "arn:aws:states:us-east-1:000000000000:stateMachine"
        unused = ("CatalogTableName", "BuildRequestsQueueUrl", "ReleaseModelStateMachineArn")
        return {
            "BuildModelStateMachineArn": f"{machines}:sluice-build-model",
            "DataBucketName": "sluice-data",
            "ArtifactBucketName": BUCKET,
            **dict.fromkeys(unused, "-"),
        }


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        session = boto3.Session("test", "test", region_name=cloud.region)
        yield Stack("sluice", session, cloud.endpoint_url)


@pytest.mark.timeout(300)
def test_the_examples_pipeline_is_one_that_a_stack_runs(target: Target) -> None:
    assert PYTHON.exists(), "there is no environment with the SDK: run `make clients`"
    read = project.read_folder(EXAMPLE).files
    files = sdk_definition.completed(target, EXAMPLE, read, str(PYTHON))
    loaded = projects.load_project(files)
    build, given = loaded.config.build, sdk_definition.given(target, "reviews-sdk")
    assert build is not None
    assert loaded.definition is not None
    assert build.bind == {"input_manifest": "InputManifest"}
    assert build.parameters["MinAccuracyValue"] == 0.6
    own = f"s3://{BUCKET}/pipelines/reviews-sdk/"
    place = Place(given["role"], (f"s3://{BUCKET}/runs/reviews-sdk/", own), given["model_package_group_name"])
    assert [*placing.problems(loaded.definition, build, place)] == []
    # What the SDK uploaded lies where the jobs' role may read it.
    uploaded = target.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert all(each["Key"].startswith("pipelines/reviews-sdk/") for each in uploaded)
