"""How long the local SageMaker takes to list and describe, and to start and end executions, after many.

python benchmarks/executions.py [--executions 10000]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

# Each execution has the six steps of the lecture's pipeline: three jobs, a condition, a model, its version.
KINDS = ("Processing", "Training", "Processing", "Condition", "RegisterModel", "Model")
TIMES = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=10_000)
    parser.add_argument("--small", type=int, default=100)
    options = parser.parse_args()
    from sluice_local.sagemaker.api.core import OPERATIONS
    from sluice_local.sagemaker.jobs import operations
    from sluice_local.sagemaker.jobs.training import TRAINING

    # A cloud registers it when it starts.
    OPERATIONS["ListTrainingJobs"] = operations._list(TRAINING)
    measured = {}
    made = 0
    for count in (options.small, options.executions):
        fill(made, count)
        made = count
        measured[count] = {name: milliseconds(ask) for name, ask in questions(count).items()}
    few, many = measured.values()
    print(f"| request | {options.small:,} executions | {options.executions:,} executions |")
    print("|---|---|---|")
    for name, took in few.items():
        print(f"| {name} | {took:.2f} ms | {many[name]:.2f} ms |")


def fill(begun: int, count: int) -> None:
    """Put executions with their steps, jobs and versions into the tables, as those that ran leave them."""
    from sluice_local.sagemaker.jobs.processing import PROCESSING
    from sluice_local.sagemaker.jobs.training import TRAINING
    from sluice_local.sagemaker.pipelines.stored import EXECUTIONS, PIPELINES, STEPS, VERSIONS
    from sluice_local.sagemaker.registry.groups import GROUPS, PACKAGES

    scope, definition = where(), json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": PASSING})
    if not begun:
        PIPELINES.create(scope, "reviews", {"PipelineName": "reviews", "_LatestVersion": 1, "RoleArn": "r"})
        VERSIONS.create(scope, "reviews/version/1", {"PipelineVersionId": 1, "_Definition": definition})
        GROUPS.create(scope, "reviews", {})
    arn = scope.arn("pipeline", "reviews")
    for number in range(begun, count):
        name = f"reviews/execution/{number:012d}"
        EXECUTIONS.create(
            scope,
            name,
            {
                "PipelineArn": arn,
                "PipelineExecutionDisplayName": f"execution-{number}",
                "PipelineExecutionStatus": "Succeeded",
                "PipelineVersionId": 1,
                "_StepNames": [f"Step{at}" for at in range(len(KINDS))],
                "_Parameters": {},
            },
        )
        for at, kind in enumerate(KINDS):
            step = {
                "StepName": f"Step{at}",
                "StepType": kind,
                "StepStatus": "Succeeded",
                "StartTime": 1.0,
                "Metadata": {},
                "_Properties": {},
            }
            STEPS.create(scope, f"{name}/Step{at}", step)
        config = {"ExperimentConfig": {"ExperimentName": "reviews", "TrialName": f"{number:012d}"}}
        uri = f"s3://b/{number}"
        TRAINING.table.create(
            scope,
            f"train-{number}",
            {
                **config,
                "TrainingJobStatus": "Completed",
                "AlgorithmSpecification": {"TrainingImage": "image:1"},
                "ModelArtifacts": {"S3ModelArtifacts": f"{uri}/model.tar.gz"},
                "InputDataConfig": [
                    {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": f"{uri}/train"}}}
                ],
            },
        )
        for noun, read, written in (("prepare", "raw", "train"), ("evaluate", "model.tar.gz", "metrics")):
            PROCESSING.table.create(
                scope,
                f"{noun}-{number}",
                {
                    **config,
                    "ProcessingJobStatus": "Completed",
                    "AppSpecification": {"ImageUri": "image:1"},
                    "ProcessingInputs": [{"InputName": "in", "S3Input": {"S3Uri": f"{uri}/{read}"}}],
                    "ProcessingOutputConfig": {
                        "Outputs": [{"OutputName": "out", "S3Output": {"S3Uri": f"{uri}/{written}"}}]
                    },
                },
            )
        PACKAGES.create(
            scope,
            f"reviews/{number + 1}",
            {
                "ModelPackageGroupName": "reviews",
                "ModelPackageVersion": number + 1,
                "ModelApprovalStatus": "Approved",
                "InferenceSpecification": {
                    "Containers": [{"Image": "image:1", "ModelDataUrl": f"{uri}/model.tar.gz"}]
                },
            },
        )


PASSING = [
    {
        "Name": "Pass",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}],
            "IfSteps": [],
            "ElseSteps": [],
        },
    }
]


def where() -> Any:
    from sluice_local.sagemaker.api.core import Scope

    return Scope("000000000000", "us-east-1")


def questions(count: int) -> dict[str, Callable[[], Any]]:
    """Return what is asked of the newest execution, and of a listing in the middle."""
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:pipeline/reviews/execution/{count - 1:012d}"
    model = asked("ListArtifacts", SourceUri=f"s3://b/{count - 1}/model.tar.gz")()
    artifact = model["ArtifactSummaries"][0]["ArtifactArn"]
    train = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/train-{count - 1}"
    up = {"StartArns": [artifact], "Direction": "Ascendants", "Filters": {"Types": ["DataSet"]}}
    return {
        "ListPipelineExecutions": asked("ListPipelineExecutions", PipelineName="reviews"),
        "DescribePipelineExecution": asked("DescribePipelineExecution", PipelineExecutionArn=arn),
        "ListPipelineExecutionSteps": asked("ListPipelineExecutionSteps", PipelineExecutionArn=arn),
        "ListPipelines": asked("ListPipelines"),
        "ListTrainingJobs": asked("ListTrainingJobs"),
        "ListModelPackages": asked(
            "ListModelPackages", ModelPackageGroupName="reviews", SortOrder="Descending"
        ),
        "ListTrialComponents of a job": asked("ListTrialComponents", SourceArn=train),
        "ListAssociations of a model": asked("ListAssociations", DestinationArn=artifact),
        "QueryLineage upstream of a model": asked("QueryLineage", **up),
    }


def asked(operation: str, **params: Any) -> Callable[[], Any]:
    """Return the call of an operation, as a request makes it, but for HTTP."""
    from sluice_local.sagemaker import service

    return lambda: service._operate(where(), operation, {}, {}, json.dumps(params).encode())


def milliseconds(ask: Callable[[], Any]) -> float:
    """Return the median of some calls."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


if __name__ == "__main__":
    main()
