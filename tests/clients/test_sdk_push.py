"""`sluice push` makes the example's definition with the SDK that people have, and it is sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml

from sluice.domain.build import projects
from sluice.domain.build.sdk import placing
from sluice.domain.build.sdk.placing import Place
from sluice_cli import project, sdk_definition
from sluice_cli.target import Target
from sluice_local.cloud import LocalCloud
from sluice_local.settings import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "sdk-pipeline"
PYTHONS = {version: REPOSITORY / f".venv/envs/sdk{version}/bin/python" for version in "23"}
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


def named(pipeline: str) -> str:
    """The example's pipeline.yaml, with another of its pipelines."""
    text = (EXAMPLE / "pipeline.yaml").read_text()
    if pipeline != "pipeline_pytorch.py":
        return text.replace("pipeline: pipeline.py", f"pipeline: {pipeline}")
    # What the README says to put there.
    block = (EXAMPLE / "README.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    said = yaml.safe_load(text) | yaml.safe_load(block)
    return yaml.safe_dump(said, sort_keys=False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("pipeline", "sdk"),
    [
        ("pipeline.py", "2"),
        ("pipeline_v3.py", "3"),
        pytest.param("pipeline_pytorch.py", "2", marks=pytest.mark.thorough),
    ],
)
def test_the_examples_pipelines_are_such_that_a_stack_runs(target: Target, pipeline: str, sdk: str) -> None:
    python = PYTHONS[sdk]
    assert python.exists(), "there is no environment with the SDK: run `make clients`"
    read = {**project.read_folder(EXAMPLE).files, "pipeline.yaml": named(pipeline).encode()}
    files = sdk_definition.completed(target, EXAMPLE, read, str(python))
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
