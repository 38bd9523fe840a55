"""Checks of data and models run in place of AWS's analyzers, and write the files that AWS's do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from local.jobs import IMAGE, Jobs, archive, processing_input, processing_outputs
from local.pipelines import Pipelines, parameter
from sluice_local.cloud import LocalCloud

MONITOR = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
CLARIFY = "205585389593.dkr.ecr.us-east-1.amazonaws.com/sagemaker-clarify-processing:1.0"
INPUT, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"
CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 20}
SKIP, NEW = {"Get": "Parameters.Skip"}, {"Get": "Parameters.New"}
PARAMETERS = [parameter("Skip", "Boolean", False), parameter("New", "Boolean", False)]


def table(shift: float = 0.0, rows: int = 300, seed: int = 1) -> str:
    source = random.Random(seed)  # noqa: S311
    lines = [
        f"{source.gauss(shift, 1):.4f},{source.choice('abc')},{source.choice((0, 1))}" for _ in range(rows)
    ]
    return "\n".join(["x,c,y", *lines, ""])


def quality_check(
    pipelines: Pipelines, place: str, data: str, group: str | None, **more: Any
) -> dict[str, Any]:
    arguments = {
        "AppSpecification": {"ImageUri": MONITOR},
        "Environment": {
            "dataset_format": json.dumps({"csv": {"header": True, "output_columns_position": "START"}}),
            "dataset_source": f"{INPUT}/baseline_dataset_input",
            "output_path": OUTPUT,
            "publish_cloudwatch_metrics": "Disabled",
            **more.pop("Environment", {}),
        },
        "ProcessingInputs": [
            processing_input("baseline_dataset_input", data, f"{INPUT}/baseline_dataset_input")
        ],
        "ProcessingOutputConfig": processing_outputs(("monitoring_output", OUTPUT, place)),
        "ProcessingResources": {"ClusterConfig": CLUSTER},
        "RoleArn": pipelines.role,
    }
    return {
        "Name": "Check",
        "Type": "QualityCheck",
        "Arguments": arguments,
        "CheckType": "DATA_QUALITY",
        "ModelPackageGroupName": group,
        "SkipCheck": SKIP,
        "FailOnViolation": True,
        "RegisterNewBaseline": NEW,
        "SuppliedBaselineStatistics": None,
        "SuppliedBaselineConstraints": None,
        **more,
    }


def register(group: str, used: str = "Check") -> dict[str, Any]:
    """A version whose drift baselines are those that the check gives."""

    def at(name: str) -> dict[str, Any]:
        return {"ContentType": "application/json", "S3Uri": {"Get": f"Steps.{used}.{name}"}}

    return {
        "Name": "New-RegisterModel",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": group,
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            "DriftCheckBaselines": {
                "ModelDataQuality": {
                    "Constraints": at("BaselineUsedForDriftCheckConstraints"),
                    "Statistics": at("BaselineUsedForDriftCheckStatistics"),
                }
            },
            "ModelApprovalStatus": "Approved",
        },
    }


@pytest.fixture
def pipelines(cloud: LocalCloud, unique: Callable[[str], str]) -> Pipelines:
    return Pipelines(cloud, unique)


def document(jobs: Jobs, uri: str) -> Any:
    return json.loads(jobs.get(uri.partition(f"{jobs.bucket}/")[2]))


def test_a_baseline_is_registered_and_later_data_are_held_against_it(pipelines: Pipelines) -> None:
    group, jobs = pipelines.unique("group"), pipelines.jobs
    data = jobs.put("data/a.csv", table())
    place = {"Std:Join": {"On": "/", "Values": [jobs.uri("out"), {"Get": "Execution.PipelineExecutionId"}]}}
    check = quality_check(pipelines, place, data, group)  # type: ignore[arg-type]
    pipelines.create(check, register(group), Parameters=PARAMETERS)

    status, steps = pipelines.run()
    assert status == "Failed"
    assert "there is no baseline to check against" in steps["Check"]["FailureReason"]

    status, steps = pipelines.run(New="true", Skip="true")
    assert status == "Succeeded", steps
    first = steps["Check"]["Metadata"]["QualityCheck"]
    assert first["CheckType"] == "DATA_QUALITY"
    assert first["BaselineUsedForDriftCheckConstraints"] == first["CalculatedBaselineConstraints"]
    constraints = document(jobs, first["CalculatedBaselineConstraints"])
    assert [feature["inferred_type"] for feature in constraints["features"]] == [
        *("Fractional", "String", "Integral"),
    ]
    assert document(jobs, first["CalculatedBaselineStatistics"])["dataset"]["item_count"] == 300

    # The same kind of data passes, and carries the registered baseline on.
    jobs.put("data/a.csv", table(seed=2))
    status, steps = pipelines.run()
    assert status == "Succeeded", steps
    passed = steps["Check"]["Metadata"]["QualityCheck"]
    assert passed["BaselineUsedForDriftCheckConstraints"] == first["CalculatedBaselineConstraints"]
    assert "ViolationReport" not in passed
    found = passed["CalculatedBaselineConstraints"].replace("constraints.json", "constraint_violations.json")
    assert document(jobs, found) == {"violations": []}
    arn = steps["New-RegisterModel"]["Metadata"]["RegisterModel"]["Arn"]
    package = pipelines.sagemaker.describe_model_package(ModelPackageName=arn)
    kept = package["DriftCheckBaselines"]["ModelDataQuality"]
    assert kept["Statistics"]["S3Uri"] == first["CalculatedBaselineStatistics"]

    jobs.put("data/a.csv", table(shift=2))
    status, steps = pipelines.run()
    assert status == "Failed"
    assert "ClientError: Quality check failed. See violation report" in steps["Check"]["FailureReason"]
    violated = document(jobs, steps["Check"]["Metadata"]["QualityCheck"]["ViolationReport"])["violations"]
    assert [(each["feature_name"], each["constraint_check_type"]) for each in violated] == [
        ("x", "baseline_drift_check")
    ]


@pytest.mark.thorough
def test_a_cached_check_is_made_again_once_its_group_has_another_baseline(pipelines: Pipelines) -> None:
    group, jobs = pipelines.unique("group"), pipelines.jobs
    data = jobs.put("data/a.csv", table())
    place = {"Std:Join": {"On": "/", "Values": [jobs.uri("out"), {"Get": "Execution.PipelineExecutionId"}]}}
    check = quality_check(pipelines, place, data, group, CacheConfig={"Enabled": True})  # type: ignore[arg-type]
    pipelines.create(check, register(group), Parameters=PARAMETERS)
    pipelines.run(New="true", Skip="true")
    checked = [pipelines.run()[1]["Check"] for _ in range(2)]
    assert ["CacheHitResult" in step for step in checked] == [False, True]

    jobs.put("data/a.csv", table(seed=3))
    other = pipelines.run(New="true", Skip="true")[1]["Check"]["Metadata"]["QualityCheck"]
    jobs.put("data/a.csv", table())
    again = pipelines.run()[1]["Check"]
    assert "CacheHitResult" not in again
    used = again["Metadata"]["QualityCheck"]["BaselineUsedForDriftCheckConstraints"]
    assert used == other["CalculatedBaselineConstraints"]


@pytest.mark.thorough
def test_model_quality_is_held_against_a_supplied_baseline(pipelines: Pipelines) -> None:
    jobs = pipelines.jobs
    rows = [f"{n % 2},{n % 2 if n % 10 else 1 - n % 2},{(n % 2) * 0.8 + 0.1}" for n in range(200)]
    data = jobs.put("data/a.csv", "\n".join(["label,guess,chance", *rows, ""]))
    bound = {"threshold": 0.95, "comparison_operator": "LessThanThreshold"}
    supplied = jobs.put(
        "baseline.json",
        json.dumps({"version": 0.0, "binary_classification_constraints": {"accuracy": bound}}),
    )
    check = quality_check(
        pipelines,
        jobs.uri("out"),
        data,
        None,
        CheckType="MODEL_QUALITY",
        FailOnViolation=False,
        SuppliedBaselineConstraints=supplied,
        Environment={
            "analysis_type": "MODEL_QUALITY",
            "problem_type": "BinaryClassification",
            "inference_attribute": "guess",
            "probability_attribute": "chance",
            "ground_truth_attribute": "label",
        },
    )
    pipelines.create(check, Parameters=PARAMETERS)
    status, steps = pipelines.run()
    assert status == "Succeeded", steps
    told = steps["Check"]["Metadata"]["QualityCheck"]
    metrics = document(jobs, told["CalculatedBaselineStatistics"])["binary_classification_metrics"]
    assert metrics["accuracy"]["value"] == pytest.approx(0.9)
    (violation,) = document(jobs, told["ViolationReport"])["violations"]
    assert violation["metric_name"] == "accuracy"


SERVE = """
def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    text = data.decode() if isinstance(data, bytes) else data
    return [line.split(",") for line in text.splitlines() if line]

def predict_fn(records, model):
    return [int(float(record[0]) > 40) for record in records]

def output_fn(prediction, accept):
    return "\\n".join(map(str, prediction)), "text/csv"
"""


def clarify_check(pipelines: Pipelines, kind: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    jobs = pipelines.jobs
    name = kind.lower()
    analysis = jobs.put(f"{name}/analysis_config.json", json.dumps(config))
    data = jobs.put(f"{name}/data/a.csv", people())
    arguments = {
        "AppSpecification": {"ImageUri": CLARIFY},
        "ProcessingInputs": [
            processing_input("analysis_config", analysis, f"{INPUT}/config"),
            processing_input("dataset", data, f"{INPUT}/data"),
        ],
        "ProcessingOutputConfig": processing_outputs(("analysis_result", OUTPUT, jobs.uri(f"{name}/out"))),
        "ProcessingResources": {"ClusterConfig": CLUSTER},
        "RoleArn": pipelines.role,
    }
    return {
        "Name": "Bias",
        "Type": "ClarifyCheck",
        "Arguments": arguments,
        "CheckType": kind,
        "ModelPackageGroupName": None,
        "SkipCheck": False,
        "FailOnViolation": True,
        "RegisterNewBaseline": False,
        "SuppliedBaselineConstraints": None,
        **more,
    }


def people() -> str:
    """Rows without a header: age, group, outcome; of group b every third has the favorable one, of a half."""
    rows = [f"{20 + n % 60},{'ab'[n % 2]},{int(n % 4 == 0 or n % 6 == 1)}" for n in range(240)]
    return "\n".join([*rows, ""])


CONFIG = {
    "dataset_type": "text/csv",
    "headers": ["age", "group", "outcome"],
    "label": "outcome",
    "label_values_or_threshold": [1],
    "facet": [{"name_or_index": "group", "value_or_threshold": ["b"]}],
    "methods": {"pre_training_bias": {"methods": "all"}, "report": {"name": "report"}},
}


def baseline(value: float) -> str:
    metric = {"name": "DPL", "value": value}
    facets = {"group": [{"value_or_threshold": "b", "metrics": [metric]}]}
    return json.dumps({"version": "1.0", "pre_training_bias_metrics": {"facets": facets}})


def test_bias_of_data_is_measured_and_held_against_a_baseline(pipelines: Pipelines) -> None:
    near = pipelines.jobs.put("near.json", baseline(0.01))
    pipelines.create(clarify_check(pipelines, "DATA_BIAS", CONFIG, SuppliedBaselineConstraints=near))
    status, steps = pipelines.run()
    assert status == "Failed"
    told = steps["Bias"]["Metadata"]["ClarifyCheck"]
    analysis = document(pipelines.jobs, told["CalculatedBaselineConstraints"])["pre_training_bias_metrics"]
    (facet,) = analysis["facets"]["group"]
    known = {metric["name"]: metric["value"] for metric in facet["metrics"]}
    assert known["DPL"] == pytest.approx(1 / 2 - 1 / 3)
    assert known["CI"] == 0
    assert facet["value_or_threshold"] == "b"
    (violation,) = document(pipelines.jobs, told["ViolationReport"])["violations"]
    assert (violation["facet"], violation["metric_name"]) == ("group", "DPL")

    far = pipelines.jobs.put("far.json", baseline(0.3))
    pipelines.create(clarify_check(pipelines, "DATA_BIAS", CONFIG, SuppliedBaselineConstraints=far))
    assert pipelines.run()[0] == "Succeeded"


def serving_model(pipelines: Pipelines) -> str:
    """A model that says whether an age is above 40."""
    model = pipelines.unique("model")
    pipelines.sagemaker.create_model(
        ModelName=model,
        ExecutionRoleArn=pipelines.role,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": pipelines.jobs.put("model.tar.gz", archive({"code/inference.py": SERVE})),
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        },
    )
    return model


PREDICTOR = {"instance_type": "ml.m5.large", "initial_instance_count": 1, "accept_type": "text/csv"}


@pytest.mark.thorough
def test_bias_of_a_model_is_measured_by_its_predictions(pipelines: Pipelines) -> None:
    model, jobs = serving_model(pipelines), pipelines.jobs
    config = {
        **CONFIG,
        "methods": {"post_training_bias": {"methods": ["DPPL", "DI", "AD"]}},
        "predictor": PREDICTOR,
    }
    check = clarify_check(
        pipelines, "MODEL_BIAS", config, ModelName=model, SkipCheck=True, RegisterNewBaseline=True
    )
    pipelines.create(check)
    status, steps = pipelines.run()
    assert status == "Succeeded", steps
    told = steps["Bias"]["Metadata"]["ClarifyCheck"]
    analysis = document(jobs, told["CalculatedBaselineConstraints"])["post_training_bias_metrics"]
    (facet,) = analysis["facets"]["group"]
    known = {metric["name"]: metric["value"] for metric in facet["metrics"]}
    # Ages of group a are even, of b odd: of both two thirds are above 40, but for the edge.
    assert known["DPPL"] == pytest.approx(19 / 30 + 0 - 39 / 60 + 1 / 60, abs=0.05)
    assert pipelines.sagemaker.list_endpoints(NameContains="sm-clarify")["Endpoints"] == []


@pytest.mark.thorough
def test_a_model_is_explained_by_what_it_looks_at(pipelines: Pipelines) -> None:
    config = {
        **CONFIG,
        "methods": {"shap": {"agg_method": "mean_abs", "baseline": [[20, "a"]], "num_samples": 8}},
        "predictor": PREDICTOR,
    }
    before = {"label0": {"global_shap_values": {"age": 0.1, "group": 0.9}, "expected_value": 0.0}}
    other = pipelines.jobs.put("other.json", json.dumps({"explanations": {"kernel_shap": before}}))
    model = serving_model(pipelines)
    check = clarify_check(
        pipelines, "MODEL_EXPLAINABILITY", config, ModelName=model, SuppliedBaselineConstraints=other
    )
    pipelines.create(check)
    status, steps = pipelines.run()
    told = steps["Bias"]["Metadata"]["ClarifyCheck"]
    explained = document(pipelines.jobs, told["CalculatedBaselineConstraints"])["explanations"]["kernel_shap"]
    # Of ages from 20 to 79 there are 39 above 40, and the baseline is below.
    assert explained["label0"]["global_shap_values"] == {"age": pytest.approx(39 / 60), "group": 0}
    assert explained["label0"]["expected_value"] == 0
    assert status == "Failed"
    (violation,) = document(pipelines.jobs, told["ViolationReport"])["violations"]
    assert violation["constraint_check_type"] == "feature_attribution_drift_check"
