"""What pipeline.yaml says of instances, time, variables and tags is what SageMaker is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import botocore.validate
import pytest

from sluice.domain.build import backends, jobs
from sluice.domain.config.candidates import Budget
from sluice.domain.config.models import TrainCompute
from sluice.domain.safeguards import Safeguards
from sluice_local.sagemaker.api import validation

RUN = "s3://artifacts/runs/reviews-sentiment/reviews-sentiment-00001"


def with_compute(build: jobs.Build, step: str, **changes: Any) -> jobs.Build:
    described = getattr(build.config, step)
    compute = described.compute.model_copy(update=changes)
    config = build.config.model_copy(update={f"{step}_": described.model_copy(update={"compute": compute})})
    return replace(build, config=config)


def training(build: jobs.Build, **changes: Any) -> jobs.Request:
    request = jobs.training_request(with_compute(build, "train", **changes), "train-0", {})
    assert accepted("CreateTrainingJob", request)
    return request


def preparing(build: jobs.Build, **changes: Any) -> jobs.Request:
    request = jobs.prepare_request(with_compute(build, "prepare", **changes), "s3://b/files.manifest")
    assert accepted("CreateProcessingJob", request)
    return request


def accepted(operation: str, request: jobs.Request) -> bool:
    """Whether botocore and the API's own constraints (patterns and ranges) take the request."""
    shape = validation.operation_model(operation).input_shape
    assert shape is not None
    validation.validated(shape, request)
    return not botocore.validate.ParamValidator().validate(request, shape).has_errors()


def test_several_instances_each_prepare_a_part_of_the_data(build: jobs.Build) -> None:
    request = preparing(build, instance_count=3, data_distribution="sharded_by_s3_key")
    assert request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 3
    code, data = (each["S3Input"]["S3DataDistributionType"] for each in request["ProcessingInputs"])
    assert (code, data) == ("FullyReplicated", "ShardedByS3Key")


def test_several_instances_each_train_on_a_part_but_validate_on_all(build: jobs.Build) -> None:
    request = training(build, instance_count=2, data_distribution="sharded_by_s3_key")
    kinds = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3DataDistributionType"]
        for each in request["InputDataConfig"]
    }
    assert kinds == {"train": "ShardedByS3Key", "validation": "FullyReplicated"}
    assert request["ResourceConfig"]["InstanceCount"] == 2


def test_rungs_of_a_candidate_hand_on_its_checkpoints_and_a_grid_keeps_none(build: jobs.Build) -> None:
    assert "CheckpointConfig" not in jobs.training_request(build, "train-0", {})
    space = {"alpha": [1, 2, 3]}
    budget = Budget(hyperparameter="epochs", min=1, max=9)
    halving = build.config.train.candidates.model_copy(update={"budget": budget, "space": space})
    train = build.config.train.model_copy(update={"candidates": halving})
    halved = replace(build, config=build.config.model_copy(update={"train_": train}))
    kept = [jobs.training_request(halved, step, {})["CheckpointConfig"] for step in ("train-2", "train-2-r1")]
    assert kept == [{"S3Uri": f"{RUN}/train/checkpoints/train-2/"}] * 2
    _, folders = jobs.role_of(halved, "train-2-r1")
    assert "train/checkpoints/train-2" in folders


def test_spot_instances_keep_checkpoints_of_each_candidate_in_the_runs_folder(build: jobs.Build) -> None:
    spot = TrainCompute.model_validate({"spot": {"max_wait_s": 7200}}).spot
    request = training(build, spot=spot)
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 7200}
    assert request["CheckpointConfig"] == {"S3Uri": f"{RUN}/train/checkpoints/train-0/"}


def test_instances_that_are_not_spot_are_asked_for_as_before(build: jobs.Build) -> None:
    request = training(build)
    assert not {"EnableManagedSpotTraining", "CheckpointConfig"} & {*request}
    assert "KeepAlivePeriodInSeconds" not in request["ResourceConfig"]


def test_a_warm_pool_is_kept_for_the_next_candidate(build: jobs.Build) -> None:
    assert training(build, keep_alive_s=600)["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600


def test_prepare_and_evaluate_have_the_instance_the_disk_and_the_time_of_their_own_step(
    build: jobs.Build,
) -> None:
    own = {"instance_type": "ml.m5.xlarge", "volume_gb": 77, "max_runtime_s": 1234}
    evaluating = jobs.evaluate_request(with_compute(build, "evaluate", **own), "candidate", "s3://b/m.tar.gz")
    assert accepted("CreateProcessingJob", evaluating)
    for request in (preparing(build, **own), evaluating):
        assert request["ProcessingResources"]["ClusterConfig"] == {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.xlarge",
            "VolumeSizeInGB": 77,
        }
        assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 1234}


def test_a_script_gets_its_variables(build: jobs.Build) -> None:
    assert training(build, environment={"DEPTH": "3"})["Environment"] == {
        "PYTHONUNBUFFERED": "1",
        "DEPTH": "3",
    }
    assert preparing(build, environment={"DEPTH": "3"})["Environment"]["DEPTH"] == "3"


def test_a_job_gets_the_tags_of_its_step_the_stack_and_the_account(build: jobs.Build) -> None:
    request = training(build, tags={"cost-center": "42"})
    secured = Safeguards(tags={"team": "ml", "cost-center": "1"}).job("training_job", request)
    assert {tag["Key"]: tag["Value"] for tag in secured["Tags"]} == {
        "cost-center": "42",
        "team": "ml",
        "sluice:stack": "sluice",
        "sluice:pipeline": "reviews-sentiment",
        "sluice:run": "reviews-sentiment-00001",
    }


@pytest.mark.parametrize(("own", "stacks"), [(True, False), (False, True), (True, True), (False, False)])
def test_a_job_is_isolated_if_either_the_pipeline_or_the_stack_wants_it(
    build: jobs.Build, own: bool, stacks: bool
) -> None:
    safeguards = Safeguards(isolates_jobs=stacks)
    trains = safeguards.job("training_job", training(build, isolation=own))
    prepares = safeguards.job("processing_job", preparing(build, isolation=own))
    assert trains["EnableNetworkIsolation"] is (own or stacks)
    assert prepares["NetworkConfig"]["EnableNetworkIsolation"] is (own or stacks)
    channels = [each["ChannelName"] for each in trains["InputDataConfig"]]
    # Without a network the container cannot fetch its scripts itself.
    assert ("code" in channels) is (own or stacks)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"instance_count": 2}, "2 instances"),
        ({"spot": {"max_wait_s": 7200}}, "spot instances"),
        ({"keep_alive_s": 60}, "a warm pool"),
        ({"isolation": True}, "network isolation"),
    ],
)
def test_what_only_sagemaker_has_is_chosen_there(given: dict[str, Any], why: str) -> None:
    choice = backends.choose(TrainCompute.model_validate(given), backends.Facts())
    assert (choice.backend, choice.reason) == ("sagemaker", f"sagemaker: {why}")
