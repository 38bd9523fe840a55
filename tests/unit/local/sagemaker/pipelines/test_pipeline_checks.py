"""Checks, tuning and functions in a definition are read, or refused by name with what to do."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from sluice_local.sagemaker.pipelines.definition import reading
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.requests import REQUESTS
from sluice_local.sagemaker.pipelines.work.task import display_name

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/sagemaker"
Step = dict[str, Any]


def check(kind: str = "QualityCheck", wanted: str = "DATA_QUALITY", **more: Any) -> Step:
    output = {"S3Uri": "s3://b/out", "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}
    arguments = {
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
        },
        "AppSpecification": {"ImageUri": "sagemaker-model-monitor-analyzer"},
        "RoleArn": ROLE,
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "monitoring_output", "S3Output": output}]},
        **more.pop("Arguments", {}),
    }
    flags = {"SkipCheck": False, "FailOnViolation": True, "RegisterNewBaseline": False}
    return {"Name": "Check", "Type": kind, "CheckType": wanted, "Arguments": arguments, **flags, **more}


def tuning(metric: Any = "accuracy", **config: Any) -> Step:
    algorithm = {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": metric, "Regex": "accuracy: (.*)"}],
    }
    definition = {
        "AlgorithmSpecification": algorithm,
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://b"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    asked = {
        "Strategy": "Random",
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"},
        **config,
    }
    arguments = {"HyperParameterTuningJobConfig": asked, "TrainingJobDefinition": definition}
    return {"Name": "Tune", "Type": "Tuning", "Arguments": arguments}


def several(step: Step, **more: Any) -> Step:
    """The same step with two definitions of training jobs, the second with more."""
    definition = {
        **step["Arguments"].pop("TrainingJobDefinition"),
        "TuningObjective": {"Type": "Maximize", "MetricName": "accuracy"},
    }
    step["Arguments"]["TrainingJobDefinitions"] = [definition, {**definition, **more}]
    return step


def ranges(least: Any, greatest: Any) -> dict[str, Any]:
    return {"IntegerParameterRanges": [{"Name": "n", "MinValue": least, "MaxValue": greatest}]}


def function(python: str = HERE, image: str = "sagemaker-scikit-learn:1.4-2-cpu-py3") -> Step:
    bootstrap = "/opt/ml/input/data/sagemaker_remote_function_bootstrap/job_driver.sh"
    arguments = {
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/bash", bootstrap],
            "ContainerArguments": ["--s3_base_uri", "s3://b", "--client_python_version", python],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://b"},
    }
    return {"Name": "Count", "Type": "Training", "Arguments": arguments}


def using(text: str) -> Step:
    return {"Name": "Tell", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": text}}}


def read(*steps: Step) -> reading.Definition:
    return reading.read(json.dumps({"Version": "2020-12-01", "Steps": steps}), REQUESTS)


@pytest.mark.parametrize(
    "step",
    [
        check(),
        check(wanted="MODEL_QUALITY", SkipCheck={"Std:Join": {"On": "", "Values": ["x"]}}),
        check("ClarifyCheck", "DATA_BIAS", SuppliedBaselineConstraints=None, FailOnViolation=None),
        check("ClarifyCheck", "MODEL_BIAS", ModelName="model"),
        check("ClarifyCheck", "MODEL_EXPLAINABILITY", ModelName={"Std:Join": {"On": "", "Values": ["m"]}}),
        tuning(),
        tuning(ParameterRanges=ranges("1", "3")),
        tuning(ParameterRanges=ranges("9", {"Std:Join": {"On": "", "Values": ["3"]}})),
        tuning({"Get": "Execution.PipelineName"}),
        several(tuning(HyperParameterTuningJobObjective=None)),
        function(),
    ],
)
def test_what_the_sdk_writes_is_read(step: Step) -> None:
    assert step["Name"] in read(step).steps


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (check("ClarifyCheck", "DATA_QUALITY"), "CheckType of a ClarifyCheck step must be one of DATA_BIAS"),
        (
            check(wanted="DATA_BIAS"),
            "Step Check: CheckType of a QualityCheck step must be one of DATA_QUALITY",
        ),
        (check("ClarifyCheck", "MODEL_BIAS"), "a check of the type MODEL_BIAS needs ModelName"),
        (check("ClarifyCheck", "MODEL_EXPLAINABILITY"), "MODEL_EXPLAINABILITY needs ModelName"),
        (check(SkipCheck="no"), "Step Check: SkipCheck must be true or false, not 'no'"),
        (
            check(Arguments={"Environment": {"record_preprocessor_script": "/x.py"}}),
            "the local SageMaker runs no record_preprocessor_script",
        ),
        (check(Arguments={"ProcessingOutputConfig": {"Outputs": []}}), "must be the one output"),
        (
            tuning(Strategy="Best"),
            "Step Tune: Arguments.HyperParameterTuningJobConfig.Strategy must be one of",
        ),
        (
            tuning(ParameterRanges=ranges("3", "1")),
            "Step Tune: Arguments.HyperParameterTuningJobConfig.ParameterRanges: n: MinValue 3 must",
        ),
        (
            tuning(ParameterRanges=ranges("1", "3"), Strategy="Grid"),
            "takes categorical hyperparameters, and n",
        ),
        (
            tuning("loss"),
            "Step Tune: Arguments.TrainingJobDefinition: The objective accuracy must be one of the "
            "MetricDefinitions of AlgorithmSpecification, which are loss.",
        ),
        (tuning(HyperParameterTuningJobObjective=None), "An objective is needed"),
        (
            several(tuning(), TuningObjective={"Type": "Minimize", "MetricName": "loss"}),
            "Step Tune: Arguments.TrainingJobDefinitions[1]: The objective loss must be one of",
        ),
        (
            several(tuning(), HyperParameterRanges=ranges("3", "1")),
            "Arguments.TrainingJobDefinitions[1].HyperParameterRanges: n: MinValue 3 must",
        ),
        (
            {**tuning(), "Arguments": {**tuning()["Arguments"], "TrainingJobDefinition": None}},
            "Arguments must have either TrainingJobDefinition or TrainingJobDefinitions",
        ),
        (
            tuning(ResourceLimits={}),
            "Arguments.HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs is missing",
        ),
        (
            function("3.8"),
            "Step Count: its function was pickled by Python 3.8, and the jobs of this cloud run",
        ),
        (
            function(image="1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-310:1.0"),
            "name another by @step(image_uri=...)",
        ),
    ],
)
def test_what_is_not_run_is_refused_with_step_argument_and_way_out(step: Step, said: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(step)
    assert said in str(refused.value)


@pytest.mark.parametrize("step", ["sum_of", "_private-", "Train", "a__b"])
def test_a_steps_name_is_one_of_a_trial_component_too(step: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}", display_name(step))
    assert display_name(step).replace("-", "") == step.replace("_", "").replace("-", "")


@pytest.mark.parametrize(
    "text",
    [
        "Steps.Check.CalculatedBaselineConstraints",
        "Steps.Check.BaselineUsedForDriftCheckStatistics",
        "Steps.Tune.BestTrainingJob.TrainingJobName",
        "Steps.Tune.TrainingJobSummaries[0].TrainingJobName",
    ],
)
def test_others_may_refer_to_what_checks_and_tuning_give(text: str) -> None:
    read(check(), tuning(), using(text))


def test_a_clarify_check_has_no_statistics() -> None:
    with pytest.raises(DefinitionError, match="names no property of a ClarifyCheck step; it has Base"):
        read(check("ClarifyCheck", "DATA_BIAS"), using("Steps.Check.CalculatedBaselineStatistics"))
