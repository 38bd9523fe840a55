"""The credentials of a job allow its inputs and outputs, and those of who runs it the job's records."""

from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest

from sluice.domain.build import jobs, sessions
from sluice.domain.build.jobs import Build
from sluice.domain.build.sessions import SessionTooLongError
from sluice.domain.config import PipelineConfig
from sluice.domain.config.candidates import Budget
from sluice.domain.roles import Account

ACCOUNT = Account("arn:aws:iam::123456789012:role/sluice/s/eu-central-1/", "eu-central-1", "data", "art")
RUN = "reviews-sentiment-00007"
NAME = f"s--{RUN}-train-0"
RUNS = f"art/runs/reviews-sentiment/{RUN}"


@pytest.fixture
def build(pipeline_config: PipelineConfig) -> Build:
    return Build("s", pipeline_config, RUN, "v1", "art", "arn:role", "eu-central-1")


def allows(policy: str, action: str, resource: str, **conditions: str) -> bool:
    def holds(statement: dict[str, Any]) -> bool:
        actions, resources = (
            [each] if isinstance(each := statement[name], str) else each for name in ("Action", "Resource")
        )
        wanted = [
            any(fnmatchcase(conditions.get(key, ""), each) for each in listed)
            for kind in statement.get("Condition", {}).values()
            for key, listed in ((key, [v] if isinstance(v, str) else v) for key, v in kind.items())
        ]
        return action in actions and any(fnmatchcase(resource, each) for each in resources) and all(wanted)

    return any(holds(statement) for statement in json.loads(policy)["Statement"])


def reads(policy: str, path: str) -> bool:
    return allows(policy, "s3:GetObject", f"arn:aws:s3:::{path}")


def writes(policy: str, path: str) -> bool:
    return allows(policy, "s3:PutObject", f"arn:aws:s3:::{path}")


def test_where_prepare_was_reused_its_outputs_are_read_and_nothing_else_of_that_run(build: Build) -> None:
    former = "art/runs/reviews-sentiment/reviews-sentiment-00003"
    prepared = {split: f"s3://{former}/prepare/{split}" for split in jobs.SPLITS}
    request = jobs.training_request(replace(build, prepared=prepared), "train-0", {})
    policy = sessions.of_script("training_job", request, ACCOUNT, "reviews-sentiment")
    assert reads(policy, f"{former}/prepare/train/data.csv")
    assert reads(policy, f"{former}/prepare/validation/data.csv")
    for beyond in (f"{former}/prepare/test/data.csv", f"{former}/train/x", f"{RUNS}/prepare/train/data.csv"):
        assert not reads(policy, beyond), beyond
    assert not writes(policy, f"{former}/prepare/train/data.csv")


def test_a_candidate_reads_what_was_prepared_and_its_code_and_writes_its_output(build: Build) -> None:
    request = jobs.training_request(build, "train-0", {})
    policy = sessions.of_script("training_job", request, ACCOUNT, "reviews-sentiment")
    assert reads(policy, f"{RUNS}/prepare/train/data.csv")
    assert reads(policy, f"{RUNS}/prepare/validation/data.csv")
    assert reads(policy, "art/projects/reviews-sentiment/v1/sourcedir.tar.gz")
    assert writes(policy, f"{RUNS}/train/{NAME}/output/model.tar.gz")
    for beyond in (f"{RUNS}/prepare/test/data.csv", "data/reviews-sentiment/a.csv", "art/runs/other/x"):
        assert not reads(policy, beyond), beyond
    for beyond in (
        f"{RUNS}/train/s--{RUN}-train-1/output/model.tar.gz",
        f"{RUNS}/prepare/train/data.csv",
        f"{RUNS}/manifest.json",
        f"art/evidence/reviews-sentiment/{RUN}/manifest.json",
        f"art/jobs/{NAME}/result.json",
    ):
        assert not writes(policy, beyond), beyond


def test_the_prepare_job_reads_its_list_and_its_pipeline_s_data(build: Build) -> None:
    request = jobs.prepare_request(build, "s3://art/datasets/reviews-sentiment/d/files.manifest")
    policy = sessions.of_script("processing_job", request, ACCOUNT, "reviews-sentiment")
    assert reads(policy, "art/datasets/reviews-sentiment/d/files.manifest")
    assert reads(policy, "data/reviews-sentiment/a.csv")
    assert not reads(policy, "data/reviews-sentiment-2/a.csv")
    assert writes(policy, f"{RUNS}/prepare/test/data.csv")
    assert not writes(policy, f"{RUNS}/evaluate/candidate/evaluation.json")
    listing = "arn:aws:s3:::data"
    assert allows(policy, "s3:ListBucket", listing, **{"s3:prefix": "reviews-sentiment/"})
    assert not allows(policy, "s3:ListBucket", listing, **{"s3:prefix": "other/"})


def test_a_reproduction_reads_its_copies_and_not_the_pipelines_data(build: Build) -> None:
    uri = f"{build.locations.restored(RUN)}files.manifest"
    policy = sessions.of_script(
        "processing_job", jobs.prepare_request(build, uri), ACCOUNT, "reviews-sentiment"
    )
    assert reads(policy, f"{RUNS}/data/files.manifest")
    assert reads(policy, f"{RUNS}/data/reviews-sentiment/a.csv")
    assert not reads(policy, "data/reviews-sentiment/a.csv")
    assert not writes(policy, f"{RUNS}/data/reviews-sentiment/a.csv")


def test_checkpoints_are_read_and_written_and_those_of_no_other_candidate(build: Build) -> None:
    train = build.config.train
    budget = Budget(hyperparameter="epochs", min=1, max=4)
    halving = train.candidates.model_copy(update={"budget": budget})
    config = build.config.model_copy(update={"train_": train.model_copy(update={"candidates": halving})})
    request = jobs.training_request(replace(build, config=config), "train-1", {})
    policy = sessions.of_script("training_job", request, ACCOUNT, "reviews-sentiment")
    for allowed in (reads, writes):
        assert allowed(policy, f"{RUNS}/train/checkpoints/train-1/1.bin")
        assert not allowed(policy, f"{RUNS}/train/checkpoints/train-10/1.bin")


def test_an_evaluation_writes_beside_none_whose_name_begins_alike(build: Build) -> None:
    request = jobs.evaluate_request(build, "champion", "s3://art/models/m/model.tar.gz")
    policy = sessions.of_script("processing_job", request, ACCOUNT, "reviews-sentiment")
    assert writes(policy, f"{RUNS}/evaluate/champion/evaluation.json")
    assert not writes(policy, f"{RUNS}/evaluate/champion-own/evaluation.json")


@pytest.mark.parametrize(
    ("submitted", "is_read"),
    [('"s3://code/x.tar.gz"', True), ("s3://code/x.tar.gz", True), ("/opt/ml/x", False)],
)
def test_the_scripts_archive_is_read_however_its_place_is_written(
    build: Build, submitted: str, is_read: bool
) -> None:
    request = jobs.training_request(build, "train-0", {})
    request["HyperParameters"]["sagemaker_submit_directory"] = submitted
    policy = sessions.of_script("training_job", request, ACCOUNT, "reviews-sentiment")
    assert reads(policy, "code/x.tar.gz") is is_read
    assert not reads(policy, "code/y.tar.gz")


def test_a_job_without_packages_reads_none() -> None:
    policy = sessions.of_runner(
        ACCOUNT, records=f"s3://art/jobs/{NAME}", environment=None, log_group="g", log_stream="s"
    )
    assert reads(policy, f"art/jobs/{NAME}/stop.json")
    assert not reads(policy, "art/environments/abc.tar.zst")


def test_who_runs_a_job_writes_its_records_and_reads_no_data() -> None:
    policy = sessions.of_runner(
        ACCOUNT,
        records=f"s3://art/jobs/{NAME}",
        environment="s3://art/environments/abc.tar.zst",
        log_group="/sluice/s/jobs/p",
        log_stream=f"{NAME}/algo-1-1",
        kms_key_arn="arn:aws:kms:eu-central-1:123456789012:key/k",
    )
    assert writes(policy, f"art/jobs/{NAME}/claim.json")
    assert writes(policy, f"art/jobs/{NAME}/result.json")
    assert reads(policy, f"art/jobs/{NAME}/stop.json")
    assert reads(policy, "art/environments/abc.tar.zst")
    assert not reads(policy, f"art/jobs/{NAME}/request.json")  # it holds the order's secret
    assert not writes(policy, f"art/jobs/{NAME}/request.json")
    assert not writes(policy, f"art/jobs/{NAME}-2/result.json")
    assert not reads(policy, f"{RUNS}/prepare/train/data.csv")
    group = "arn:aws:logs:eu-central-1:123456789012:log-group:/sluice/s/jobs/p"
    assert allows(policy, "logs:PutLogEvents", f"{group}:log-stream:{NAME}/algo-1-1")
    assert not allows(policy, "logs:PutLogEvents", f"{group}:log-stream:another")
    bus = "arn:aws:events:eu-central-1:123456789012:event-bus/default"
    assert allows(policy, "events:PutEvents", bus, **{"events:source": "sluice"})
    assert not allows(policy, "events:PutEvents", bus, **{"events:source": "sluice.reconcile"})
    assert allows(policy, "kms:Decrypt", "arn:aws:kms:eu-central-1:123456789012:key/k")


def test_more_inputs_than_a_policy_names_are_refused_with_a_way_out(build: Build) -> None:
    request = jobs.training_request(build, "train-0", {})
    (channel, *_) = request["InputDataConfig"]
    uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
    request["InputDataConfig"] = [
        {**channel, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{uri}{index}/"}}}
        for index in range(20)
    ]
    with pytest.raises(SessionTooLongError, match="session policy of"):
        sessions.of_script("training_job", request, ACCOUNT, "reviews-sentiment")
