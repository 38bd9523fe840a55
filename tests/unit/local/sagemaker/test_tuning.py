"""The points of a search, and which training jobs are stopped early."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from sluice_local.sagemaker.api.core import ApiError
from sluice_local.sagemaker.jobs.tuning import requests, space, views, warm
from sluice_local.sagemaker.jobs.tuning.space import Numbers
from sluice_local.sagemaker.jobs.tuning.stopping import Hyperband, MedianRule

RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "alpha", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"}
    ],
    "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "3"}],
    "CategoricalParameterRanges": [{"Name": "solver", "Values": ["saga", "lbfgs"]}],
}
DEFINITION: dict[str, Any] = {
    "AlgorithmSpecification": {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
    },
    "RoleArn": "arn:aws:iam::000000000000:role/r",
    "OutputDataConfig": {"S3OutputPath": "s3://b"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "StaticHyperParameters": {"epochs": "3"},
}


def request(strategy: str = "Random", ranges: Any = RANGES, **config: Any) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": ranges,
            **config,
        },
        "TrainingJobDefinition": DEFINITION,
    }


def test_the_same_seed_draws_the_same_points_within_the_ranges() -> None:
    ranges = space.read(RANGES)
    drawn = list(islice(space.drawn(ranges, 7), 50))
    assert drawn == list(islice(space.drawn(ranges, 7), 50))
    assert drawn != list(islice(space.drawn(ranges, 8), 50))
    assert all(0.0001 <= float(point["alpha"]) <= 1 for point in drawn)
    assert {point["depth"] for point in drawn} == {"1", "2", "3"}
    assert {point["solver"] for point in drawn} == {"saga", "lbfgs"}
    # Of a logarithmic range half of the points lie below its geometric mean.
    assert 10 < sum(float(point["alpha"]) < 0.01 for point in drawn) < 40


def test_points_repeat_only_once_the_space_is_exhausted() -> None:
    ranges = space.read({"IntegerParameterRanges": [{"Name": "n", "MinValue": "1", "MaxValue": "3"}]})
    drawn = [point["n"] for point in islice(space.drawn(ranges, 1), 5)]
    assert set(drawn[:3]) == {"1", "2", "3"}


@pytest.mark.parametrize(
    ("scaling", "share", "value"),
    [("Linear", 0.5, 0.5), ("Logarithmic", 0.5, 0.1), ("ReverseLogarithmic", 0.5, 0.9)],
)
def test_a_scaling_says_where_the_middle_is(scaling: str, share: float, value: float) -> None:
    bounds = {"Linear": (0.0, 1.0), "Logarithmic": (0.01, 1.0), "ReverseLogarithmic": (0.0, 0.99)}[scaling]
    assert float(Numbers("x", *bounds, scaling).draw(share)) == pytest.approx(value)


def test_a_grid_is_every_combination() -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "a", "Values": ["1", "2"]},
            {"Name": "b", "Values": ["x", "y"]},
        ]
    }
    found = [point for _, point in requests.points(request("Grid", ranges))]
    assert found == [{"a": a, "b": b} for a in ("1", "2") for b in ("x", "y")]


def test_definitions_take_turns() -> None:
    asked = request()
    del asked["TrainingJobDefinition"]
    asked["TrainingJobDefinitions"] = [{**DEFINITION, "DefinitionName": name} for name in ("one", "two")]
    found = [definition["DefinitionName"] for definition, _ in islice(requests.points(asked), 4)]
    assert found == ["one", "two", "one", "two"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ranges": {}}, "ParameterRanges: there is no range to search"),
        ({"ranges": {"AutoParameters": [{"Name": "a", "ValueHint": "1"}]}}, "Autotune"),
        (
            {"ranges": {"IntegerParameterRanges": [{"Name": "n", "MinValue": "3", "MaxValue": "1"}]}},
            "n: MinValue 3 must not exceed MaxValue 1",
        ),
        (
            {"ranges": {"IntegerParameterRanges": [{"Name": "n", "MinValue": "a", "MaxValue": "1"}]}},
            "n: MinValue and MaxValue must be integers",
        ),
        (
            {
                "ranges": {
                    "ContinuousParameterRanges": [
                        {"Name": "x", "MinValue": "0", "MaxValue": "1", "ScalingType": "Logarithmic"}
                    ]
                }
            },
            "x: the scaling Logarithmic needs a MinValue above 0",
        ),
        ({"strategy": "Grid"}, "the strategy Grid takes categorical hyperparameters, and alpha is none"),
        ({"strategy": "Hyperband"}, "HyperbandStrategyConfig with a MaxResource"),
        (
            {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "other"}},
            "must be one of the MetricDefinitions of AlgorithmSpecification, which are loss",
        ),
        (
            {"ranges": {"CategoricalParameterRanges": [{"Name": "epochs", "Values": ["1"]}]}},
            "epochs has a range and is in StaticHyperParameters",
        ),
        (
            {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}},
            "detects no convergence",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError) as refused:
        requests.check(request(**changed))
    assert said in refused.value.message


def test_a_search_that_is_not_run_as_asked_says_so() -> None:
    assert "drawn at random" in str(requests.note(request("Bayesian")))
    assert requests.note(request("Random")) is None


@pytest.mark.parametrize(("kind", "best"), [("Minimize", "a"), ("Maximize", "c")])
def test_the_best_training_job_is_the_one_that_the_objective_wants(kind: str, best: str) -> None:
    found = [
        {
            "TrainingJobName": name,
            "FinalHyperParameterTuningJobObjectiveMetric": {"Type": kind, "Value": value},
        }
        for name, value in (("b", 2.0), ("c", 3.0), ("a", 1.0))
    ]
    ranked = views.ranked([*found, {"TrainingJobName": "none"}])
    assert (ranked[0]["TrainingJobName"], len(ranked)) == (best, 3)
    job = {
        "_Objective": {"Type": kind, "MetricName": "m"},
        "FinalMetricDataList": [{"MetricName": "m", "Value": 2.0}],
    }
    assert views.loss_of(job) == (2.0 if kind == "Minimize" else -2.0)


def warm_start(
    ranges: Any = RANGES, kind: str = "IdenticalDataAndAlgorithm", **config: Any
) -> dict[str, Any]:
    parents = [{"HyperParameterTuningJobName": "before"}]
    started = {"WarmStartConfig": {"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}}
    return {**request(ranges=ranges, **config), **started}


def parent(status: str = "Completed", **config: Any) -> dict[str, Any]:
    return {
        **request(**config),
        "HyperParameterTuningJobName": "before",
        "HyperParameterTuningJobStatus": status,
    }


@pytest.mark.parametrize(
    ("asked", "before", "said"),
    [
        (warm_start(kind="TransferLearning"), parent(), "has no WarmStartType TransferLearning"),
        (warm_start(), parent("InProgress"), "The parent before of WarmStartConfig has not ended"),
        (
            warm_start(HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "loss"}),
            parent(),
            "The objective metric must be the one of the parent before",
        ),
        (
            warm_start({"IntegerParameterRanges": RANGES["IntegerParameterRanges"]}),
            parent(),
            "The number of static and tunable hyperparameters must be the one of the parent before",
        ),
    ],
)
def test_a_warm_start_that_cannot_be_made_is_refused_by_name(
    asked: dict[str, Any], before: dict[str, Any], said: str
) -> None:
    with pytest.raises(ApiError) as refused:
        warm.check(asked, [before])
    assert said in refused.value.message
    warm.check(warm_start(), [parent()])
    warm.check(request(), [])


def test_what_parents_were_evaluated_at_is_not_tried_again() -> None:
    choices = {"CategoricalParameterRanges": [{"Name": "n", "Values": ["1", "2", "3"]}]}
    asked = request("Grid", choices)
    other = {"HyperParameters": {"n": "1", "epochs": "9"}, "_Tuned": {"n": "1", "epochs": "9"}}
    tried = [{"HyperParameters": {"n": "2", "epochs": "3", "code": "s3://b/1"}, "_Tuned": {"n": "2"}}, other]
    # n was tried with 1, but with another number of epochs, which is static now.
    assert [point for _, point in warm.untried(requests.points(asked), tried)] == [{"n": "1"}, {"n": "3"}]
    whole = [{"HyperParameters": {"n": n}, "_Tuned": {"n": n}} for n in "123"]
    assert [*warm.untried(requests.points(request("Random", choices)), whole)] == []


def test_training_jobs_get_the_point_and_what_is_static() -> None:
    (definition,) = requests.definitions(request())
    asked = requests.training_request(definition, {"alpha": "0.1"})
    assert asked["HyperParameters"] == {
        "epochs": "3",
        "_tuning_objective_metric": "loss",
        "alpha": "0.1",
    }
    several = {key: value for key, value in definition.items() if key != "ResourceConfig"} | {
        "HyperParameterTuningResourceConfig": {
            "InstanceConfigs": [
                {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
                {"InstanceType": "ml.c5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            ]
        }
    }
    assert requests.training_request(several, {})["ResourceConfig"]["InstanceType"] == "ml.m5.large"


def test_a_value_worse_than_the_median_of_running_averages_is_hopeless() -> None:
    rule = MedianRule()
    assert not rule.is_hopeless(0, [9.0])
    rule.ended(0, [4.0, 2.0])
    rule.ended(1, [6.0, 4.0])
    # The averages up to epoch 2 are 3 and 5: their median is 4.
    assert not rule.is_hopeless(2, [8.0, 4.0])
    assert rule.is_hopeless(2, [8.0, 4.5])
    # No other came as far as epoch 3.
    assert not rule.is_hopeless(2, [8.0, 4.0, 9.0])


def test_hyperband_lets_the_best_third_go_on_at_each_rung_and_none_beyond_the_last() -> None:
    band = Hyperband(1, 9)  # the brackets begin at 1 and at 3 epochs
    assert not band.is_hopeless(0, [5.0])
    assert not band.is_hopeless(2, [4.0])
    assert band.is_hopeless(4, [6.0])
    assert not band.is_hopeless(6, [3.0])
    # Bracket 1 has no rung at 1 epoch.
    assert not band.is_hopeless(1, [99.0])
    assert band.is_hopeless(0, [1.0] * 9)
