"""Tuning jobs search hyperparameters as SageMaker's do: training jobs, the best of them, an early end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local.jobs import Jobs, archive, until
from local.pipelines import Pipelines
from local.registry import refused
from sluice_local.cloud import LocalCloud

TRAIN = """
import argparse, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--wait", type=float, default=0)
given = parser.parse_args()
for epoch in range(given.epochs):
    print(f"loss={(given.rate - 0.5) ** 2 + 1 / (epoch + 1)};", flush=True)
    time.sleep(given.wait)
pathlib.Path("/opt/ml/model/x.txt").write_text(str(given.rate))
"""
OBJECTIVE = {"Type": "Minimize", "MetricName": "loss"}
METRICS = [{"Name": "loss", "Regex": "loss=(.*?);"}]
CHOICES = {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.1", "0.4", "0.8"]}]}


class Tuning:
    """Tuning jobs of one test."""

    def __init__(self, cloud: LocalCloud, unique: Callable[[str], str]) -> None:
        bucket = unique("tune")
        cloud.client("s3").create_bucket(Bucket=bucket)
        self.jobs, self.unique = Jobs(cloud, bucket, unique), unique
        self.sagemaker = cloud.client("sagemaker")

    def request(self, strategy: str = "Grid", ranges: Any = CHOICES, **config: Any) -> dict[str, Any]:
        code = self.jobs.put("sourcedir.tar.gz", archive({"train.py": TRAIN}))
        definition = self.jobs.training_request(
            AlgorithmSpecification={"MetricDefinitions": METRICS},
            StaticHyperParameters={
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": f'"{code}"',
                **config.pop("static", {}),
            },
        )
        return {
            "HyperParameterTuningJobConfig": {
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": OBJECTIVE,
                "ResourceLimits": {"MaxParallelTrainingJobs": 2, **config.pop("limits", {})},
                "ParameterRanges": ranges,
                **config,
            },
            "TrainingJobDefinition": definition,
        }

    def start(self, *arguments: Any, **config: Any) -> str:
        name = self.unique("t")
        request = self.request(*arguments, **config)
        self.sagemaker.create_hyper_parameter_tuning_job(HyperParameterTuningJobName=name, **request)
        return name

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name))

    def ended(self, name: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            job = self.describe(name)
            return job if job["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping") else None

        return until(found)

    def trials(self, name: str, **order: Any) -> list[dict[str, Any]]:
        listed = self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, **order
        )
        return list(listed["TrainingJobSummaries"])


@pytest.fixture
def tuning(cloud: LocalCloud, unique: Callable[[str], str]) -> Tuning:
    return Tuning(cloud, unique)


def test_a_grid_trains_every_combination_and_names_the_best(tuning: Tuning) -> None:
    queue = tuning.jobs.subscribe({"detail-type": ["SageMaker HyperParameter Tuning Job State Change"]})
    name = tuning.start()
    job = tuning.ended(name)
    assert job["HyperParameterTuningJobStatus"] == "Completed", tuning.trials(name)
    assert job["TrainingJobStatusCounters"]["Completed"] == 3
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    best = job["BestTrainingJob"]
    assert best["TunedHyperParameters"] == {"rate": "0.4"}
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx(1.01)
    found = tuning.trials(name, SortBy="FinalObjectiveMetricValue", SortOrder="Ascending")
    assert [trial["TunedHyperParameters"]["rate"] for trial in found] == ["0.4", "0.8", "0.1"]
    trained = tuning.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert trained["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert trained["HyperParameters"]["_tuning_objective_metric"] == "loss"
    listed = tuning.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)
    (summary,) = listed["HyperParameterTuningJobSummaries"]
    assert (summary["Strategy"], summary["TrainingJobStatusCounters"]["Completed"]) == ("Grid", 3)
    events = tuning.jobs.events(
        queue,
        job["HyperParameterTuningJobArn"],
        lambda event: event["detail"]["HyperParameterTuningJobStatus"] == "Completed",
    )
    assert events[-1]["detail"]["TrainingJobStatusCounters"]["Completed"] == 3


def test_a_warm_start_goes_on_from_what_its_parents_found(tuning: Tuning) -> None:
    first = tuning.ended(tuning.start())
    name = tuning.unique("t")
    wider = {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.1", "0.4", "0.8", "1.0"]}]}
    parents = [{"HyperParameterTuningJobName": first["HyperParameterTuningJobName"]}]
    tuning.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        WarmStartConfig={
            "ParentHyperParameterTuningJobs": parents,
            "WarmStartType": "IdenticalDataAndAlgorithm",
        },
        **tuning.request("Grid", wider),
    )
    job = tuning.ended(name)
    assert [trial["TunedHyperParameters"] for trial in tuning.trials(name)] == [{"rate": "1.0"}]
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"rate": "1.0"}
    assert job["OverallBestTrainingJob"] == first["BestTrainingJob"]


LINE = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1"}]}


def test_a_bayesian_search_is_drawn_at_random_and_says_so(tuning: Tuning) -> None:
    name = tuning.start("Bayesian", LINE, limits={"MaxNumberOfTrainingJobs": 2}, RandomSeed=3)
    assert tuning.ended(name)["TrainingJobStatusCounters"]["Completed"] == 2
    events = tuning.jobs.cloud.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/HyperParameterTuningJobs", logStreamNamePrefix=name
    )["events"]
    assert "drawn at random" in events[0]["message"]


def test_hyperband_stops_what_is_behind(tuning: Tuning) -> None:
    name = tuning.start(
        *("Hyperband", LINE),
        limits={"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 1},
        StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 3}},
        static={"epochs": "500", "wait": "0.1"},
    )
    job = tuning.ended(name)
    # None trains for 500 epochs.
    assert job["TrainingJobStatusCounters"]["Stopped"] == 4
    assert job["ObjectiveStatusCounters"]["Succeeded"] == 4


@pytest.mark.parametrize(
    ("criteria", "trained"),
    [
        ({"TargetObjectiveMetricValue": 1.05}, 2),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}, 5),
    ],
)
def test_a_search_ends_by_its_criteria(tuning: Tuning, criteria: dict[str, Any], trained: int) -> None:
    values = {"Name": "rate", "Values": ["0.1", "0.4", "0.7", "0.8", "0.9", "1.0"]}
    name = tuning.start(
        *("Grid", {"CategoricalParameterRanges": [values]}),
        limits={"MaxParallelTrainingJobs": 1},
        TuningJobCompletionCriteria=criteria,
    )
    job = tuning.ended(name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == trained


@pytest.mark.parametrize(
    ("static", "said", "trained"),
    [
        ({"epochs": "0"}, "No objective metrics found after running 5 training jobs", 5),
        ({"epochs": "none"}, "All training jobs failed", 2),
    ],
)
def test_a_search_that_finds_nothing_fails(
    tuning: Tuning, static: dict[str, str], said: str, trained: int
) -> None:
    limits = {"MaxNumberOfTrainingJobs": 8 if trained == 5 else trained, "MaxParallelTrainingJobs": 1}
    job = tuning.ended(tuning.start("Random", LINE, limits=limits, static=static))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert said in job["FailureReason"]
    assert sum(job["TrainingJobStatusCounters"].values()) == trained
    assert "BestTrainingJob" not in job


def test_a_tuning_job_is_stopped_with_its_training_jobs(tuning: Tuning) -> None:
    name = tuning.start(static={"epochs": "500", "wait": "0.2"})
    until(lambda: tuning.trials(name))
    tuning.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert tuning.ended(name)["HyperParameterTuningJobStatus"] == "Stopped"
    assert {trial["TrainingJobStatus"] for trial in tuning.trials(name)} == {"Stopped"}
    with refused("ValidationException", "is in status Stopped"):
        tuning.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    tuning.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with refused("ResourceNotFound"):
        tuning.describe(name)


def test_a_step_gives_its_best_training_jobs_to_others(
    tuning: Tuning, cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    pipelines = Pipelines(cloud, unique)
    search = tuning.request("Bayesian", LINE, limits={"MaxNumberOfTrainingJobs": 3})
    best = {"Get": "Steps.Tune.BestTrainingJob.TrainingJobName"}
    second = {"Get": "Steps.Tune.TrainingJobSummaries[1].TrainingJobName"}
    pipelines.create(
        {"Name": "Tune", "Type": "Tuning", "Arguments": search},
        {
            "Name": "Tell",
            "Type": "Fail",
            "Arguments": {"ErrorMessage": {"Std:Join": {"On": " ", "Values": [best, second]}}},
        },
    )
    status, steps = pipelines.run()
    assert (status, steps["Tune"]["StepStatus"]) == ("Failed", "Succeeded"), steps
    assert "drawn at random" in steps["Tune"]["StepDescription"]
    name = steps["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    ranked = tuning.trials(name, SortBy="FinalObjectiveMetricValue", SortOrder="Ascending")
    assert steps["Tell"]["FailureReason"] == f"{ranked[0]['TrainingJobName']} {ranked[1]['TrainingJobName']}"
