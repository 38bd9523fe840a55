"""A job's failure is told in words that say what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.containers.configuration import OUT_OF_MEMORY
from sluice.domain.build.job_failures import failure_reason
from sluice.domain.build.jobs import JobKind

INSTANCE = {"InstanceType": "ml.m5.large"}
TRAINING = {"TrainingJobStatus": "Failed", "ResourceConfig": INSTANCE}
PROCESSING = {"ProcessingJobStatus": "Failed", "ProcessingResources": {"ClusterConfig": INSTANCE}}
ADVICE = "ml.m5.large has 8 GB. Name one with more memory in compute.instance_type, or read less data at once"
AT = datetime(2026, 3, 1, tzinfo=UTC)
ALLOWED = {"StoppingCondition": {"MaxRuntimeInSeconds": 900}}
TOOLKIT = 'AlgorithmError: ExecuteUserScriptError:\nExitCode {}\nErrorMessage ""\nCommand "python train.py"'


def ran(seconds: int) -> dict[str, datetime]:
    return {"ProcessingStartTime": AT, "ProcessingEndTime": AT + timedelta(seconds=seconds)}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"FailureReason": "KeyError", "ExitMessage": "x"}, "KeyError"),
        ({"ExitMessage": "no rows"}, "no rows"),
        (
            {"FailureReason": "AlgorithmError: , exit code: 3"},
            "AlgorithmError: the script ended with exit code 3; its log says why",
        ),
        (
            {
                "FailureReason": "ClientError: Data download failed: No S3 objects found under S3 URL "
                '"s3://b/runs/p/p-00001/prepare/test/" given in input data source. Please ensure that …'
            },
            "s3://b/runs/p/p-00001/prepare/test/ is empty: what prepare wrote to "
            "/opt/ml/processing/test is gone; `sluice start --no-cache`",
        ),
        (
            {"ExitMessage": "AlgorithmError: , exit code: 139"},
            "AlgorithmError: the script ended with exit code 139 (SIGSEGV); its log says why",
        ),
        ({"SecondaryStatus": "MaxRuntimeExceeded"}, "it ran longer than max_runtime_s"),
        ({"SecondaryStatus": "MaxRuntimeExceeded", **ALLOWED}, "it ran longer than max_runtime_s, 900 s"),
        # A processing job has no such status, only times.
        ({**ALLOWED, **ran(900)}, "it ran longer than max_runtime_s, 900 s"),
        ({**ALLOWED, **ran(900), "FailureReason": "KeyError"}, "KeyError"),
        ({**ALLOWED, **ran(899)}, "it is Failed, without a reason given"),
        ({**ALLOWED, "ProcessingStartTime": AT}, "it is Failed, without a reason given"),
        ({}, "it is Failed, without a reason given"),
    ],
)
def test_a_failure_has_a_reason_whatever_the_job_left_of_it(said: dict[str, Any], reason: str) -> None:
    assert failure_reason("processing_job", {**PROCESSING, **said}) == reason


@pytest.mark.parametrize("described", [TRAINING, PROCESSING], ids=["training", "processing"])
def test_want_of_memory_names_the_instance_and_the_way_out(described: dict[str, Any]) -> None:
    kind: JobKind = "training_job" if described is TRAINING else "processing_job"
    assert failure_reason(kind, {**described, "FailureReason": OUT_OF_MEMORY}) == f"out of memory: {ADVICE}"


@pytest.mark.parametrize(
    "said",
    [
        "AlgorithmError: , exit code: 137",
        f"{TOOLKIT.format(137)}, exit code: 137",
        f"{TOOLKIT.format(-9)}, exit code: 1",
    ],
)
def test_a_script_that_was_killed_on_sagemaker_was_so_for_memory_most_likely(said: str) -> None:
    reason = failure_reason("training_job", {**TRAINING, "FailureReason": said})
    assert reason == f"out of memory, most likely: it was killed (exit code 137): {ADVICE}"


def test_an_instance_type_that_is_not_known_has_no_figure() -> None:
    described = {"TrainingJobStatus": "Failed", "ResourceConfig": {"InstanceType": "ml.new9.large"}}
    reason = failure_reason("training_job", {**described, "FailureReason": OUT_OF_MEMORY})
    assert reason.startswith("out of memory: it ran on ml.new9.large. Name one with more memory")


@pytest.mark.parametrize(
    "said",
    [
        "AlgorithmError: my own words, exit code: 137",
        "AlgorithmError: , exit code: 1",
        f"{TOOLKIT.format(1)}, exit code: 1",
        "AlgorithmError: the script was killed (SIGKILL), and not for want of memory: it held 50 MB of 1769",
    ],
)
def test_no_other_end_is_taken_for_want_of_memory(said: str) -> None:
    assert "out of memory" not in failure_reason("training_job", {**TRAINING, "FailureReason": said})


def test_a_reason_of_any_length_is_read_in_one_pass() -> None:
    said = "x" * 1_000_000
    assert failure_reason("training_job", {"TrainingJobStatus": "Failed", "FailureReason": said}) == said
