"""A definition is read as the SDK writes it, or refused with the step, the argument and what was expected."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from sluice_local.sagemaker.pipelines.definition import graph, reading
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.requests import REQUESTS

Content = dict[str, Any]


def processing(name: str, *inputs: Any, **more: Any) -> Content:
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
            },
            "AppSpecification": {"ImageUri": "image"},
            "RoleArn": "arn:aws:iam::000000000000:role/sagemaker",
            "ProcessingInputs": [
                {"InputName": f"i{n}", "S3Input": {"S3Uri": uri, "S3DataType": "S3Prefix"}}
                for n, uri in enumerate(inputs)
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {"S3Uri": "s3://b/out", "LocalPath": "/x", "S3UploadMode": "EndOfJob"},
                    }
                ]
            },
        },
        **more,
    }


OUT = "ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"
REPORT = [{"PropertyFileName": "Report", "OutputName": "out", "FilePath": "evaluation.json"}]
ACCURACY = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"}, "Path": "a"}}
FAIL = {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "below"}}


def content() -> Content:
    inner = {
        "Name": "IsTuesday",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}],
            "IfSteps": [processing("Celebrate")],
            "ElseSteps": [],
        },
    }
    check = {
        "Name": "Check",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [
                {"Type": "GreaterThan", "LeftValue": ACCURACY, "RightValue": {"Get": "Parameters.Threshold"}}
            ],
            "IfSteps": [inner],
            "ElseSteps": [FAIL],
        },
    }
    return {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Threshold", "Type": "Float", "DefaultValue": 0.7}],
        "Steps": [
            processing("Evaluate", {"Get": f"Steps.Prepare.{OUT}"}, PropertyFiles=REPORT),
            processing("Prepare"),
            processing("Report", DependsOn=["Check"]),
            check,
        ],
    }


def read(written: Content) -> reading.Definition:
    return reading.read(json.dumps(written), REQUESTS)


def test_steps_wait_for_what_they_refer_to_for_their_branch_and_for_what_they_name() -> None:
    assert read(content()).graph == {
        "Prepare": set(),
        "Evaluate": {"Prepare"},
        "Check": {"Evaluate"},
        "Refuse": {"Check"},
        "IsTuesday": {"Check"},
        "Celebrate": {"IsTuesday"},
        "Report": {"Check"},
    }


@pytest.mark.parametrize(
    ("succeeded", "outcomes", "expected"),
    [
        (set(), {}, ["Prepare"]),
        ({"Prepare", "Evaluate"}, {}, ["Check"]),
        ({"Prepare", "Evaluate", "Check"}, {"Check": False}, ["Report", "Refuse"]),
        ({"Prepare", "Evaluate", "Check"}, {"Check": True}, ["Report", "IsTuesday"]),
        ({"Prepare", "Evaluate", "Check", "Report", "IsTuesday"}, {"Check": True, "IsTuesday": False}, []),
    ],
)
def test_a_branch_that_was_not_taken_never_begins(
    succeeded: set[str], outcomes: dict[str, bool], expected: list[str]
) -> None:
    definition = read(content())
    assert graph.ready(definition.steps, definition.graph, succeeded, succeeded, outcomes) == expected


def test_a_fail_step_needs_no_message() -> None:
    written = content()
    written["Steps"][3]["Arguments"]["ElseSteps"][0]["Arguments"]["ErrorMessage"] = ""
    assert read(written).steps["Refuse"].arguments == {"ErrorMessage": ""}


def steps_of(change: Callable[[list[Content]], Any]) -> Callable[[Content], None]:
    def changed(written: Content) -> None:
        change(written["Steps"])

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.update(Version="2019"), "Version must be 2020-12-01, not '2019'."),
        (lambda it: it.update(Steps=[]), "at least one step"),
        (steps_of(lambda it: it.append(processing("Prepare"))), "Step Prepare: two steps have this name"),
        (steps_of(lambda it: it[0].update(Name="a b")), "A step needs a Name of 1 to 64 letters"),
        (
            steps_of(lambda it: it[0].update(Type="EMR")),
            "Step Evaluate: the local SageMaker does not run EMR steps",
        ),
        (steps_of(lambda it: it[0].update(Type="AutoML")), "does not run AutoML steps"),
        (
            steps_of(
                lambda it: it.append(
                    {
                        "Name": "N",
                        "Type": "Training",
                        "Arguments": {"Environment": {"SM_INPUT_NOTEBOOK_NAME": "x"}},
                    }
                )
            ),
            "Step N: the local SageMaker does not run NotebookJob steps",
        ),
        (
            steps_of(lambda it: it[1]["Arguments"].pop("RoleArn")),
            "Step Prepare: Arguments.RoleArn is missing.",
        ),
        (
            steps_of(
                lambda it: it[1]["Arguments"]["ProcessingResources"]["ClusterConfig"].update(
                    InstanceCount="two"
                )
            ),
            "Step Prepare: Arguments.ProcessingResources.ClusterConfig.InstanceCount must be an integer, "
            "not 'two'.",
        ),
        (
            steps_of(
                lambda it: it[1]["Arguments"]["ProcessingOutputConfig"]["Outputs"][0]["S3Output"].update(
                    S3UploadMode="Never"
                )
            ),
            "Outputs[0].S3Output.S3UploadMode must be one of Continuous, EndOfJob, not 'Never'.",
        ),
        (steps_of(lambda it: it[2].update(DependsOn=["Nothing"])), "Step Report: DependsOn names Nothing"),
        (steps_of(lambda it: it[2].update(DependsOn=["Refuse"])), "can not depends on Refuse: a Fail step"),
        (steps_of(lambda it: it[1].update(DependsOn=["Evaluate"])), "in a circle: "),
        (
            steps_of(lambda it: it.append(processing("Late", {"Get": "Steps.Nobody.X"}))),
            "Step Late: Arguments.ProcessingInputs[0].S3Input.S3Uri: Get 'Steps.Nobody.X' names what there",
        ),
        (
            steps_of(lambda it: it.append(processing("Late", {"Get": "Steps.Prepare.Outputs"}))),
            "Get 'Steps.Prepare.Outputs' names no property of a Processing step; it has AppSpecification",
        ),
        (
            steps_of(lambda it: it.append(processing("Late", {"Get": "Parameters.Rate"}))),
            "Parameters has Threshold",
        ),
        (
            steps_of(
                lambda it: it.append(processing("Late", {"Get": "Steps.Evaluate.PropertyFiles.Reports"}))
            ),
            "names no property file of the step; it has Report",
        ),
        (
            steps_of(lambda it: it.append(processing("Late", {"Std:Join": {"On": "/"}}))),
            "Std:Join needs On and a list of Values",
        ),
        (
            steps_of(lambda it: it[0]["PropertyFiles"][0].update(OutputName="report")),
            "Step Evaluate: PropertyFiles[0].OutputName must be one of out.",
        ),
        (
            steps_of(lambda it: it[3]["Arguments"].update(Conditions=[])),
            "Step Check: Arguments.Conditions must be a list of at least one condition.",
        ),
        (
            steps_of(lambda it: it.append({"Name": "Call", "Type": "Lambda", "Arguments": {}})),
            "Step Call: a Lambda step needs FunctionArn.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: Callable[[Content], Any], message: str) -> None:
    written = copy.deepcopy(content())
    change(written)
    with pytest.raises(DefinitionError) as caught:
        read(written)
    assert message in str(caught.value)


def test_a_definition_that_is_no_json_is_refused() -> None:
    with pytest.raises(DefinitionError, match="no valid JSON"):
        reading.read("{", REQUESTS)
