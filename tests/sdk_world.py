"""A project whose builds run a pipeline of SageMaker, and what its executions do, over the fakes."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import fakes
from build_world import PIPELINE, RUN, World, created
from sluice.domain import names
from sluice.domain.build import projects

EXECUTION = names.pipeline_execution("sluice", RUN)
GROUP = "sluice--reviews--built"
PIPELINE_YAML = """\
name: reviews
framework: {name: scikit-learn, version: "1.4-2"}
data:
  format: csv
  label: y
  schema: {x: {type: number, min: 0, max: 100}, y: {type: integer, allowed: [0, 1]}}
build: {pipeline: pipeline.json, parameters: {MinAccuracyValue: 0.6}}
gates:
  - metrics.accuracy.value >= 0.7
  - metrics.accuracy.value not_worse_than champion by 0.01
serve: {script: src/inference.py, sample: sample.json}
"""


def get(name: str) -> dict[str, str]:
    return {"Get": name}


def joined(*parts: Any) -> dict[str, Any]:
    return {"Std:Join": {"On": "/", "Values": [*parts]}}


OUTPUT = get("Parameters.OutputUri")
PREPARE: dict[str, Any] = {
    "Name": "Prepare",
    "Type": "Processing",
    "Arguments": {
        "RoleArn": get("Parameters.RoleArn"),
        "AppSpecification": {"ImageUri": get("Parameters.ImageUri")},
        "ProcessingInputs": [
            {
                "InputName": "data",
                "S3Input": {
                    "S3Uri": get("Parameters.InputManifest"),
                    "LocalPath": "/opt/ml/processing/input/data",
                    "S3DataType": "ManifestFile",
                    "S3DataDistributionType": "ShardedByS3Key",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": joined(OUTPUT, "train")}}]
        },
    },
}
TRAIN: dict[str, Any] = {
    "Name": "Train",
    "Type": "Training",
    "Arguments": {
        "RoleArn": get("Parameters.RoleArn"),
        "OutputDataConfig": {"S3OutputPath": joined(OUTPUT, "model")},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": get("Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"),
                    }
                },
            }
        ],
    },
}
REGISTER: dict[str, Any] = {
    "Name": "Register-RegisterModel",
    "Type": "RegisterModel",
    "Arguments": {
        "ModelPackageGroupName": get("Parameters.ModelPackageGroupName"),
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": joined(OUTPUT, "evaluation.json")}
            }
        },
        "InferenceSpecification": {
            "Containers": [
                {
                    "Image": get("Parameters.ImageUri"),
                    "ModelDataUrl": get("Steps.Train.ModelArtifacts.S3ModelArtifacts"),
                }
            ]
        },
        "ModelApprovalStatus": "PendingManualApproval",
    },
}


def condition(*steps: dict[str, Any]) -> dict[str, Any]:
    """The condition, with these steps for an accurate model."""
    return {
        "Name": "IsAccurate",
        "Type": "Condition",
        "DependsOn": ["Train"],
        "Arguments": {
            "Conditions": [
                {
                    "Type": "GreaterThanOrEqualTo",
                    "LeftValue": 0.8,
                    "RightValue": get("Parameters.MinAccuracyValue"),
                }
            ],
            "IfSteps": [*steps],
            "ElseSteps": [
                {"Name": "TooBad", "Type": "Fail", "Arguments": {"ErrorMessage": "the accuracy is too low"}}
            ],
        },
    }


CONDITION = condition(REGISTER)
PARAMETERS: list[dict[str, Any]] = [
    *(
        {"Name": name, "Type": "String"}
        for name in ("InputManifest", "OutputUri", "RoleArn", "ImageUri", "ModelPackageGroupName")
    ),
    {"Name": "MinAccuracyValue", "Type": "Float", "DefaultValue": 0.5},
    {"Name": "Solver", "Type": "String", "DefaultValue": "saga", "EnumValues": ["saga", "liblinear"]},
]


def definition(**changed: Any) -> dict[str, Any]:
    """The pipeline, with other parts in place of its own."""
    whole = {"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": [PREPARE, TRAIN, CONDITION]}
    return {**whole, **changed}


def files(**changed: Any) -> dict[str, bytes]:
    """The project's files; `pipeline` is another definition, `yaml` another pipeline.yaml."""
    return {
        "pipeline.yaml": str(changed.get("yaml", PIPELINE_YAML)).encode(),
        "pipeline.json": json.dumps(changed.get("pipeline", definition())).encode(),
        "sample.json": b"[1]",
        "src/inference.py": b"def model_fn(folder): ...\n",
    }


def push(world: World, **changed: Any) -> str:
    """Push the project; returns its version."""
    given = files(**changed)
    version = projects.version(given)
    key = f"projects/{PIPELINE}/{version}.tar.gz"
    version_id = world.cloud.objects.put(fakes.ARTIFACT_BUCKET, key, projects.pack(given))
    world.invoke("register_project", created(fakes.ARTIFACT_BUCKET, key, version_id))
    return version


def step(name: str, status: str = "Succeeded", **said: Any) -> dict[str, Any]:
    return {"StepName": name, "StepStatus": status, **said}


def registers(world: World, accuracy: float, run_id: str = RUN) -> list[dict[str, Any]]:
    """Let an execution have registered a model; its steps."""
    output = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{run_id}/build"
    objects = world.cloud.objects
    objects.write(f"{output}/model/model.tar.gz", projects.pack({"model": run_id.encode()}))
    evaluation = {"metrics": {"accuracy": {"value": accuracy}}}
    objects.write(f"{output}/evaluation.json", json.dumps(evaluation).encode())
    arn = world.cloud.registry.create_package(
        {
            "ClientToken": f"built-{run_id}",
            "ModelPackageGroupName": GROUP,
            "ModelApprovalStatus": "PendingManualApproval",
            "InferenceSpecification": {"Containers": [{"ModelDataUrl": f"{output}/model/model.tar.gz"}]},
            "ModelMetrics": {"ModelQuality": {"Statistics": {"S3Uri": f"{output}/evaluation.json"}}},
        }
    )
    return [
        step(
            "Prepare",
            Metadata={"ProcessingJob": {"Arn": fakes.arn("sagemaker", "processing-job/pipelines-p")}},
        ),
        step("Train", Metadata={"TrainingJob": {"Arn": fakes.arn("sagemaker", "training-job/pipelines-t")}}),
        step("IsAccurate", Metadata={"Condition": {"Outcome": "True"}}),
        step("Register-RegisterModel", Metadata={"RegisterModel": {"Arn": arn}}),
    ]


def changed(name: str, status: str = "Succeeded") -> dict[str, Any]:
    """SageMaker "Model Building Pipeline Execution Status Change"."""
    return {"detail": {"pipelineExecutionDisplayName": name, "currentPipelineExecutionStatus": status}}


def end(world: World, steps: list[dict[str, Any]], run_id: str = RUN, status: str = "Succeeded") -> None:
    """End a run's execution, and deliver its event."""
    name = names.pipeline_execution("sluice", run_id)
    world.cloud.pipelines.end(name, status, steps)
    world.invoke("finish_job", changed(name, status))


def play(world: World, steps: list[dict[str, Any]], status: str = "Succeeded", run_id: str = RUN) -> str:
    """Play a run whose execution ends so; the run's status."""
    ended: list[str] = []

    def once(_: str) -> None:
        if not ended and world.sent[-1][0] == "start_job":
            ended.append(run_id)
            end(world, steps, run_id, status)

    with mock.patch.object(world, "_end_job", once):
        return world.play(run_id)
