"""A pipeline of SageMaker from the shell: both versions of the AWS CLI, as people have them."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.pipelines import ENDED, Pipelines, definition, parameter
from sluice_local.cloud import LocalCloud
from sluice_local.settings import REPOSITORY

TIMEOUT_S = 300.0
SAYS = 'import pathlib; pathlib.Path("/opt/ml/processing/out/said.txt").write_text("so it is")'


class Cli:
    """One version of the AWS CLI, in a home of its own."""

    def __init__(self, version: str, cloud: LocalCloud, home: Path) -> None:
        folder = REPOSITORY / f".venv/envs/cli{version}"
        assert (folder / ".ready").exists(), "there is no environment with the AWS CLI: run `make clients`"
        if (missing := folder / "missing").exists():
            pytest.skip(missing.read_text())
        self.command = [str(folder / "bin/aws"), "--endpoint-url", cloud.endpoint_url, "--output", "json"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        self.environment = kept | {
            "HOME": str(home),
            "AWS_DEFAULT_REGION": cloud.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def __call__(self, *arguments: str) -> Any:
        """What a command answers."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(params=["1", "2"])
def cli(request: pytest.FixtureRequest, cloud: LocalCloud, tmp_path: Path) -> Cli:
    return Cli(request.param, cloud, tmp_path)


@pytest.mark.timeout(2 * TIMEOUT_S)
def test_a_pipeline_is_made_started_listed_described_and_awaited(
    cli: Cli, cloud: LocalCloud, tmp_path: Path
) -> None:
    pipelines = Pipelines(cloud, lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}")
    name = pipelines.name
    said = parameter("Word", "String", "yes")
    file = tmp_path / "definition.json"
    file.write_text(definition(pipelines.processing("Say", SAYS), Parameters=[said]))
    created = cli(
        *("sagemaker", "create-pipeline", "--pipeline-name", name, "--role-arn", pipelines.role),
        *("--pipeline-definition", f"file://{file}", "--tags", "Key=team,Value=reviews"),
    )
    arn = created["PipelineArn"]
    assert cli("sagemaker", "list-tags", "--resource-arn", arn)["Tags"] == [
        {"Key": "team", "Value": "reviews"}
    ]
    listed = cli("sagemaker", "list-pipelines", "--pipeline-name-prefix", name)["PipelineSummaries"]
    assert [summary["PipelineArn"] for summary in listed] == [arn]

    execution = cli(
        *("sagemaker", "start-pipeline-execution", "--pipeline-name", name),
        *("--pipeline-parameters", "Name=Word,Value=no", "--pipeline-execution-display-name", "by-hand"),
    )["PipelineExecutionArn"]
    (job,) = _jobs(cli, execution)
    # There is no waiter for executions: people wait for the job of a step.
    cli("sagemaker", "wait", "processing-job-completed-or-stopped", "--processing-job-name", job)
    described = _ended(cli, execution)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert described["PipelineExecutionDisplayName"] == "by-hand"
    (step,) = _steps(cli, execution)
    assert (step["StepName"], step["StepStatus"]) == ("Say", "Succeeded")
    bound = cli("sagemaker", "list-pipeline-parameters-for-execution", "--pipeline-execution-arn", execution)
    assert bound["PipelineParameters"] == [{"Name": "Word", "Value": "no"}]
    listed = cli("sagemaker", "list-pipeline-executions", "--pipeline-name", name, "--page-size", "1")
    assert [each["PipelineExecutionArn"] for each in listed["PipelineExecutionSummaries"]] == [execution]

    refused = cli.run("sagemaker", "describe-pipeline", "--pipeline-name", f"{name}-other")
    assert refused.returncode != 0
    assert "(ResourceNotFound) when calling the DescribePipeline operation" in refused.stderr
    cli("sagemaker", "delete-pipeline", "--pipeline-name", name)
    assert cli("sagemaker", "list-pipelines", "--pipeline-name-prefix", name)["PipelineSummaries"] == []


def _steps(cli: Cli, execution: str) -> list[dict[str, Any]]:
    listed = cli("sagemaker", "list-pipeline-execution-steps", "--pipeline-execution-arn", execution)
    steps: list[dict[str, Any]] = listed["PipelineExecutionSteps"]
    return steps


def _jobs(cli: Cli, execution: str) -> list[str]:
    """The names of the jobs of an execution, once there are any."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        arns = [
            step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn") for step in _steps(cli, execution)
        ]
        if found := [arn.rpartition("/")[2] for arn in arns if arn]:
            return found
        time.sleep(0.5)
    raise AssertionError("the execution began no job")


def _ended(cli: Cli, execution: str) -> dict[str, Any]:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        described: dict[str, Any] = cli(
            "sagemaker", "describe-pipeline-execution", "--pipeline-execution-arn", execution
        )
        if described["PipelineExecutionStatus"] in ENDED:
            return described
        time.sleep(0.5)
    raise AssertionError("the execution has not ended")
