"""Whatever JSON stands at any place of a definition, it is taken or refused with its place."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from json_faults import ANYTHING, Json, Place, changed, put_anywhere
from sluice_local.sagemaker.pipelines.definition import conditions, parameters, reading
from sluice_local.sagemaker.pipelines.definition.errors import (
    DefinitionError,
    ParameterError,
    ResolutionError,
)
from sluice_local.sagemaker.pipelines.definition.resolving import Values, resolved
from sluice_local.sagemaker.pipelines.requests import REQUESTS
from trying import examples

ROLE = "arn:aws:iam::000000000000:role/sagemaker"
CLUSTER = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
S3 = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": {"Get": "Parameters.Input"}}}
OUTPUT = {
    "OutputName": "out",
    "S3Output": {"S3Uri": "s3://b/out", "LocalPath": "/x", "S3UploadMode": "EndOfJob"},
}
PROCESSING: Json = {
    "ProcessingResources": {"ClusterConfig": CLUSTER},
    "AppSpecification": {"ImageUri": "image", "ContainerArguments": ["--share", "0.8"]},
    "RoleArn": ROLE,
    "ProcessingInputs": [
        {"InputName": "in", "S3Input": {"S3Uri": {"Get": "Parameters.Input"}, "S3DataType": "S3Prefix"}}
    ],
    "ProcessingOutputConfig": {"Outputs": [OUTPUT]},
    "Environment": {"a": "b"},
}
ALGORITHM: Json = {
    "TrainingImage": "image",
    "TrainingInputMode": "File",
    "MetricDefinitions": [{"Name": "accuracy", "Regex": "acc (.*)"}],
}
SHARED: Json = {
    "RoleArn": ROLE,
    "InputDataConfig": [{"ChannelName": "train", "DataSource": S3}],
    "OutputDataConfig": {"S3OutputPath": {"Std:Join": {"On": "/", "Values": ["s3://b", 1]}}},
    "ResourceConfig": CLUSTER,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
TRAINING: Json = {
    **SHARED,
    "AlgorithmSpecification": {
        **ALGORITHM,
        "ContainerEntrypoint": ["/bin/python"],
        "ContainerArguments": ["--client_python_version", "3.11"],
    },
    "HyperParameters": {"alpha": "0.5"},
}
TUNING: Json = {
    "HyperParameterTuningJobConfig": {
        "Strategy": "Random",
        "ResourceLimits": {"MaxParallelTrainingJobs": 2, "MaxNumberOfTrainingJobs": 2},
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "alpha", "MinValue": "0.1", "MaxValue": "1", "ScalingType": "Linear"}
            ],
            "CategoricalParameterRanges": [{"Name": "solver", "Values": ["saga"]}],
        },
    },
    "TrainingJobDefinition": {**SHARED, "AlgorithmSpecification": ALGORITHM},
}
CONDITIONS: Json = [
    {
        "Type": "Not",
        "Condition": {"Type": "LessThan", "LeftValue": 1, "RightValue": {"Get": "Parameters.Least"}},
    },
    {
        "Type": "Or",
        "Conditions": [
            {"Type": "In", "QueryValue": "a", "Values": ["a", "b"]},
            {
                "Type": "GreaterThan",
                "LeftValue": {
                    "Std:JsonGet": {
                        "PropertyFile": {"Get": "Steps.Prepare.PropertyFiles.Report"},
                        "Path": "a['b'].c",
                    }
                },
                "RightValue": 0.5,
            },
        ],
    },
]


def step(name: str, kind: str, arguments: Json, **more: Json) -> dict[str, Json]:
    return {"Name": name, "Type": kind, "Arguments": arguments, **more}


OUTPUTS = [{"OutputName": "count", "OutputType": "Integer"}]
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
CHECK = {"CheckType": "DATA_QUALITY", "ModelPackageGroupName": "g", "SkipCheck": {"Get": "Parameters.Skip"}}
CONTAINER = {"Image": "image", "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}}
WHOLE: dict[str, Json] = {
    "Version": "2020-12-01",
    "Metadata": {},
    "Parameters": [
        {"Name": "Input", "Type": "String", "DefaultValue": "s3://b/in", "EnumValues": ["s3://b/in"]},
        {"Name": "Least", "Type": "Float", "DefaultValue": 0.7},
        {"Name": "Skip", "Type": "Boolean", "DefaultValue": True},
    ],
    "PipelineExperimentConfig": {
        "ExperimentName": {"Get": "Execution.PipelineName"},
        "TrialName": {"Get": "Execution.PipelineExecutionId"},
    },
    "Steps": [
        step(
            "Prepare",
            "Processing",
            PROCESSING,
            DisplayName="prepare",
            Description="it prepares",
            CacheConfig={"Enabled": True, "ExpireAfter": "P30D"},
            RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 1, "MaxAttempts": 2}],
            PropertyFiles=[{"PropertyFileName": "Report", "OutputName": "out", "FilePath": "a.json"}],
        ),
        step("Train", "Training", TRAINING, DependsOn=["Prepare"]),
        step("Tune", "Tuning", TUNING),
        step("Quality", "QualityCheck", PROCESSING, **CHECK, FailOnViolation=False),
        step("Model", "Model", {"ExecutionRoleArn": ROLE, "PrimaryContainer": CONTAINER}),
        step("Count", "Lambda", {"a": [1, {"b": None}]}, FunctionArn=ARN, OutputParameters=OUTPUTS),
        step("Ask", "Callback", {"a": 1}, SqsQueueUrl="https://sqs/q", OutputParameters=OUTPUTS),
        step(
            "IsGood",
            "Condition",
            {
                "Conditions": CONDITIONS,
                "IfSteps": [
                    step(
                        "Register",
                        "RegisterModel",
                        {
                            "ModelPackageGroupName": "g",
                            "InferenceSpecification": {
                                "Containers": [CONTAINER],
                                "SupportedContentTypes": ["text/csv"],
                                "SupportedResponseMIMETypes": ["text/csv"],
                            },
                        },
                    )
                ],
                "ElseSteps": [
                    step(
                        "Refuse", "Fail", {"ErrorMessage": {"Std:Join": {"On": " ", "Values": ["below", 1]}}}
                    )
                ],
            },
        ),
    ],
}


def reason_of(text: str) -> str | None:
    """Why a definition is refused; None if it is taken."""
    try:
        execute(reading.read(text, REQUESTS))
    except DefinitionError as refused:
        return str(refused)
    return None


def test_the_whole_definition_is_taken() -> None:
    assert len(reading.read(json.dumps(WHOLE), REQUESTS).steps) == 10


# How a reason begins: with the step or the parameter, or the part of the definition, that is wrong.
BEGINNINGS = ("Step ", "A step ", "Steps ", "Parameter ", "A parameter ", "PipelineExperimentConfig")
OF_THE_WHOLE = ("Version ", "The definition's ", "The steps wait ", "A pipeline needs ")


@settings(max_examples=examples(1500))
@given(put_anywhere(WHOLE))
def test_any_json_at_any_place_is_taken_or_refused_with_its_place(made: tuple[Place, Json]) -> None:
    place, document = made
    reason = reason_of(json.dumps(document))
    if reason is not None:
        # "Train can not depends on Refuse", says AWS.
        assert reason.startswith((*BEGINNINGS, *OF_THE_WHOLE)) or " can not depends on " in reason
        is_within_a_step = place[0] == "Steps" and len(place) > 3
        assert not is_within_a_step or "tep" in reason or "circle" in reason


def execute(definition: reading.Definition) -> None:
    """Resolve all that a definition says, as an execution does, by values that may be anything."""
    try:
        bound = parameters.bound(definition.parameters, {})
    except ParameterError:
        return
    known = dict.fromkeys(reading.EXECUTION_VARIABLES, "x")
    results = {name: {"PropertyFiles": {"Report": "s3://b/a.json"}} for name in definition.steps}
    values = Values(bound, known, results, lambda uri: {"a": {"b": {"c": uri}}})
    if definition.experiment is not None:
        resolved(dict(definition.experiment), values)
    for one in definition.steps.values():
        try:
            arguments = resolved(dict(one.told()), values)
            if one.type == "Condition":
                conditions.all_hold(arguments["Arguments"]["Conditions"], values)
        except ResolutionError:
            continue
        for policy in one.retry_policies:
            assert (policy.delay_s(400, 0.0) or 0) <= 43200


def outcome(action: Callable[[], object], *expected: type[Exception]) -> str:
    """What an action gives or by which of these errors it ends, as text."""
    try:
        return str(action())
    except expected as error:
        return str(error)


PATHS = st.text(max_size=12) | st.sampled_from(["a.b", "a['b'][0]", "[" + "9" * 5000 + "]", "a..b"])


@settings(max_examples=examples(300))
@given(ANYTHING, PATHS)
def test_any_document_and_path_of_a_property_file_give_a_value_or_a_reason(document: Json, path: str) -> None:
    values = Values({}, {}, {"P": {"PropertyFiles": {"R": "s3://b/a"}}}, lambda _: document)
    asked = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.P.PropertyFiles.R"}, "Path": path}}
    compared = {"Type": "LessThan", "LeftValue": asked, "RightValue": 1}
    outcome(lambda: resolved(asked, values), ResolutionError)
    outcome(lambda: conditions.holds(compared, values), ResolutionError)


@settings(max_examples=examples(300))
@given(
    st.sampled_from(["String", "Integer", "Float", "Boolean"]),
    st.text() | st.sampled_from(["1" * 5000, "nan", "[]"]),
)
def test_any_text_is_a_parameters_value_or_is_refused_by_its_name(kind: str, text: str) -> None:
    declared = parameters.read([{"Name": "P", "Type": kind}])
    told = outcome(lambda: parameters.bound(declared, {"P": text}), ParameterError)
    assert told.startswith(("{'P': ", "Parameter P must be of type "))


@pytest.mark.parametrize(
    ("place", "put", "reason"),
    [
        (
            ("Steps", 1, "DependsOn"),
            [{"Get": "Steps.Prepare.x"}],
            "Step Train: DependsOn[0] must be text, not {",
        ),
        (("Steps", 1, "DependsOn"), "Prepare", "Step Train: DependsOn must be a list, not 'Prepare'"),
        (
            ("Steps", 0, "RetryPolicies", 0, "MaxAttempts"),
            1e300,
            "[0].MaxAttempts must be a number",
        ),
        (
            ("Steps", 1, "Arguments", "HyperParameters", "alpha"),
            None,
            "alpha must not be null",
        ),
        (("Parameters", 0, "Type"), ["String"], "Parameter Input: Type must be text, not ['String']"),
        (("PipelineExperimentConfig", "TrialName"), None, "PipelineExperimentConfig needs TrialName."),
        (("Metadata",), float("nan"), "The definition is no valid JSON: NaN is no number."),
    ],
)
def test_what_has_another_form_is_told_with_its_place(place: Place, put: Json, reason: str) -> None:
    assert reason in str(reason_of(json.dumps(changed(WHOLE, place, put))))


@pytest.mark.parametrize("depth", [150, 900, 5000])
def test_a_definition_that_is_nested_too_deep_is_refused(depth: int) -> None:
    text = json.dumps(WHOLE).replace('"b": null', f'"b": {"[" * depth}{"]" * depth}')
    with pytest.raises(DefinitionError, match="nested too deep"):
        reading.read(text, REQUESTS)
