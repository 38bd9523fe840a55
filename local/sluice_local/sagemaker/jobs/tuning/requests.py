"""The requests of a tuning job: checked, and the training jobs that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from sluice_local.sagemaker.api.core import ApiError, Item
from sluice_local.sagemaker.jobs import training
from sluice_local.sagemaker.jobs.tuning import objectives, space
from sluice_local.sagemaker.jobs.tuning.space import Point, SpaceError
from sluice_local.sagemaker.jobs.tuning.stopping import Hyperband, MedianRule, Never, Rule

# What a training job gets of its definition as it is.
_SHARED = (
    *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig"),
    *("StoppingCondition", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"),
    *("EnableManagedSpotTraining", "CheckpointConfig", "RetryStrategy", "Environment"),
)


def definitions(request: Item) -> list[Item]:
    """Return the definitions of training jobs, each with its objective and its ranges."""
    config = request["HyperParameterTuningJobConfig"]
    given = request.get("TrainingJobDefinitions") or [request["TrainingJobDefinition"]]
    return [
        {
            **each,
            "TuningObjective": each.get("TuningObjective") or config.get("HyperParameterTuningJobObjective"),
            "HyperParameterRanges": each.get("HyperParameterRanges") or config.get("ParameterRanges") or {},
        }
        for each in given
    ]


def check(request: Item) -> None:
    """Raise ApiError for what the API's model allows but SageMaker or the local one refuses."""
    config = request["HyperParameterTuningJobConfig"]
    if ("TrainingJobDefinition" in request) == ("TrainingJobDefinitions" in request):
        raise _invalid("Give either TrainingJobDefinition or TrainingJobDefinitions.")
    if "Autotune" in request:
        raise _invalid("The local SageMaker has no Autotune: give ranges and a strategy.")
    criteria = config.get("TuningJobCompletionCriteria", {})
    if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
        raise _invalid(
            "The local SageMaker detects no convergence: use TargetObjectiveMetricValue or "
            "BestObjectiveNotImproving in TuningJobCompletionCriteria."
        )
    _check_strategy(config, definitions(request))
    for definition in definitions(request):
        _check_definition(definition, config["Strategy"])
        training.check(training_request(definition, {}))


def _check_strategy(config: Item, found: list[Item]) -> None:
    strategy, limits = config["Strategy"], config["ResourceLimits"]
    if strategy == "Grid" and len(found) > 1:
        raise _invalid("The strategy Grid takes one TrainingJobDefinition.")
    if strategy != "Grid" and "MaxNumberOfTrainingJobs" not in limits:
        raise _invalid(f"ResourceLimits.MaxNumberOfTrainingJobs is needed for the strategy {strategy}.")
    if strategy != "Hyperband":
        return
    resources = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    least, most = resources.get("MinResource", 1), resources.get("MaxResource")
    if most is None or least >= most:
        raise _invalid(
            "The strategy Hyperband needs StrategyConfig.HyperbandStrategyConfig with a MaxResource above "
            "MinResource."
        )
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        raise _invalid("TrainingJobEarlyStoppingType must be Off for Hyperband, which stops jobs itself.")


def _check_definition(definition: Item, strategy: str) -> None:
    if fault := objectives.fault(definition["TuningObjective"], definition["AlgorithmSpecification"]):
        raise _invalid(f"{fault}.")
    static = definition.get("StaticHyperParameters", {})
    try:
        ranges = space.read(definition["HyperParameterRanges"])
        if strategy == "Grid":
            space.grid(ranges)
    except SpaceError as error:
        raise _invalid(f"ParameterRanges: {error}.") from error
    if both := [one.name for one in ranges if one.name in static]:
        raise _invalid(f"The hyperparameter {both[0]} has a range and is in StaticHyperParameters.")


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def training_request(definition: Item, point: Point) -> Item:
    """Return the request of the training job at a point, but for its name."""
    shared = {name: definition[name] for name in _SHARED if name in definition}
    return {
        **shared,
        "ResourceConfig": _resources(definition),
        "HyperParameters": {
            **definition.get("StaticHyperParameters", {}),
            "_tuning_objective_metric": definition["TuningObjective"]["MetricName"],
            **point,
        },
    }


def _resources(definition: Item) -> Item:
    """Return the instances; of several that would do the first, as this machine has them all."""
    if "ResourceConfig" in definition:
        return dict(definition["ResourceConfig"])
    wanted = definition.get("HyperParameterTuningResourceConfig", {})
    first: Item = next(iter(wanted.get("InstanceConfigs", [])), {})
    names = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
    return {name: value for source in (wanted, first) for name, value in source.items() if name in names}


def points(request: Item) -> Iterator[tuple[Item, Point]]:
    """Yield the definition and the point of each training job, in a grid all, else for ever.

    The seed is the request's; without one the name decides.
    """
    config, found = request["HyperParameterTuningJobConfig"], definitions(request)
    ranges = [space.read(definition["HyperParameterRanges"]) for definition in found]
    if config["Strategy"] == "Grid":
        yield from ((found[0], point) for point in space.grid(ranges[0]))
        return
    seed = config.get("RandomSeed", request["HyperParameterTuningJobName"])
    drawn = [space.drawn(each, f"{seed}/{number}") for number, each in enumerate(ranges)]
    for number in count():
        source = number % len(found)
        yield found[source], next(drawn[source])


def rule(config: Item) -> Rule:
    """Return what decides which training jobs are stopped early."""
    if config["Strategy"] == "Hyperband":
        resources = config["StrategyConfig"]["HyperbandStrategyConfig"]
        return Hyperband(resources.get("MinResource", 1), resources["MaxResource"])
    return MedianRule() if config.get("TrainingJobEarlyStoppingType") == "Auto" else Never()


def note(request: Item) -> str | None:
    """Say what is done otherwise than the request asks."""
    if request["HyperParameterTuningJobConfig"]["Strategy"] == "Bayesian":
        return "The local SageMaker has no Bayesian search: hyperparameters are drawn at random."
    return None


def loss(definition: Item, value: float) -> float:
    """Return an objective's value so that less is better."""
    return -value if definition["TuningObjective"]["Type"] == "Maximize" else value
