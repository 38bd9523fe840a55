"""`sluice push` makes the definition of a pipeline.py, in another Python, with what the stack knows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import boto3
import pytest

import sdk_world
from sluice_cli import sdk_definition
from sluice_cli.errors import CommandError
from sluice_cli.target import Target

YAML = sdk_world.PIPELINE_YAML.replace("pipeline: pipeline.json", "pipeline: pipeline.py")
# What the SDK's pipeline has that a push uses.
PIPELINE = """\
import json

class Pipeline:
    def __init__(self, **given):
        self.given = given

    def definition(self):
        return json.dumps(self.given)

def get_pipeline(region, role, default_bucket, model_package_group_name="x", processing_instance_count=1):
    print("a line that is no definition")
    return Pipeline(region=region, role=role, bucket=default_bucket, group=model_package_group_name)
"""


class Stack(Target):
    """A stack of the local cloud, as far as a definition needs it."""

    @property
    def outputs(self) -> dict[str, str]:
        machines = "arn:aws:states:eu-central-1:123456789012:stateMachine"
        named = {"BuildModelStateMachineArn": f"{machines}:sluice-build-model"}
        buckets = {"DataBucketName": "data", "ArtifactBucketName": "artifacts"}
        unused = ("CatalogTableName", "BuildRequestsQueueUrl", "ReleaseModelStateMachineArn")
        return {**named, **buckets, **dict.fromkeys(unused, "-")}


@pytest.fixture
def target() -> Target:
    session = boto3.Session("key", "secret", region_name="eu-central-1")
    return Stack("sluice", session, "http://127.0.0.1:1")


def made(target: Target, folder: Path, source: str, yaml: str = YAML) -> dict[str, bytes]:
    (folder / "pipeline.py").write_text(source)
    files = {"pipeline.yaml": yaml.encode(), "pipeline.py": source.encode()}
    return sdk_definition.completed(target, folder, files, sys.executable)


def test_the_function_is_given_what_it_names_of_what_the_stack_knows(target: Target, tmp_path: Path) -> None:
    definition = json.loads(made(target, tmp_path, PIPELINE)["pipeline.py.json"])
    assert definition["region"] == "eu-central-1"
    assert "123456789012:role/sluice/sluice/eu-central-1/reviews-pipeline-" in definition["role"]
    assert (definition["bucket"], definition["group"]) == ("artifacts", sdk_world.GROUP)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n", "has no function get_pipeline: name the one"),
        ("def get_pipeline(region, project_arn): ...\n", "wants project_arn, which a push does not know"),
        ("import no_such_sdk\n", "No module named 'no_such_sdk'"),
    ],
)
def test_a_file_that_gives_no_pipeline_says_why_and_which_python_ran_it(
    target: Target, tmp_path: Path, source: str, said: str
) -> None:
    with pytest.raises(CommandError) as refusal:
        made(target, tmp_path, source)
    assert said in str(refusal.value)
    assert sys.executable in refusal.value.hint


def test_what_the_sdk_leaves_in_the_folder_for_temporary_files_is_gone(
    target: Target, tmp_path: Path
) -> None:
    leaves = "import tempfile\nleft = tempfile.mkstemp()[1]\n"
    found = made(target, tmp_path, leaves + PIPELINE.replace("role=role", "role=left"))
    assert not Path(json.loads(found["pipeline.py.json"])["role"]).exists()


def test_a_project_of_scripts_or_of_json_runs_nothing(target: Target, tmp_path: Path) -> None:
    files = sdk_world.files()
    assert sdk_definition.completed(target, tmp_path, files, "/no/python") == files
