"""What a job used is read from its description, and from nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.domain.build import costs, usage

BEGAN = datetime(2026, 3, 1, 10, tzinfo=UTC)
ENDED = datetime(2026, 3, 1, 10, 2, tzinfo=UTC)
INSTANCES = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
USED = {"instance_type": "ml.m5.large", "instance_count": 2, "volume_gb": 30}
TRAINED = {"TrainingStartTime": BEGAN, "TrainingEndTime": ENDED, "ResourceConfig": INSTANCES}
PROCESSED = {
    "ProcessingStartTime": BEGAN,
    "ProcessingEndTime": ENDED,
    "ProcessingResources": {"ClusterConfig": INSTANCES},
}


def test_a_processing_job_is_billed_from_its_start_to_its_end() -> None:
    assert usage.of_job("processing_job", PROCESSED) == {"billed_s": 120.0, **USED}


def test_a_training_job_is_billed_for_its_billable_seconds() -> None:
    said = {**TRAINED, "TrainingTimeInSeconds": 110, "BillableTimeInSeconds": 110}
    assert usage.of_job("training_job", said) == {"billed_s": 110, **USED}


def test_spot_instances_are_billed_for_less_than_they_ran() -> None:
    said = {**TRAINED, "EnableManagedSpotTraining": True}
    said |= {"TrainingTimeInSeconds": 100, "BillableTimeInSeconds": 30}
    spot = usage.of_job("training_job", said)
    assert (spot["billed_s"], spot["ran_s"], spot["is_spot"]) == (30, 100, True)
    assert costs.of_step("train-0", "sagemaker", spot).instance_s == 60


@pytest.mark.parametrize(
    ("described", "billed_s"),
    [
        ({"TrainingEndTime": ENDED}, 0),
        ({"TrainingEndTime": ENDED, "TrainingStartTime": BEGAN}, 120),
        ({"TrainingTimeInSeconds": 7}, 7),
        ({}, None),
    ],
)
def test_a_job_that_did_not_get_far_is_billed_for_what_is_known(
    described: dict[str, Any], billed_s: float | None
) -> None:
    assert usage.of_job("training_job", described).get("billed_s") == billed_s


def test_a_job_that_measures_itself_has_the_last_word() -> None:
    measured = {"billed_s": 3.2, "memory_mb": 2048, "peak_memory_mb": 900}
    assert usage.of_job("training_job", {**TRAINED, "Usage": measured}) == measured


AT = {"started_at": "2026-03-01T10:00:03.000Z", "ended_at": "2026-03-01T10:00:04.500Z"}


@pytest.mark.parametrize(
    ("step", "took_s"),
    [
        # It was started 2 s before its script.
        ({**AT, "backend": "lambda", "usage": {"billed_s": 3.5}}, 3.5),
        ({**AT, "backend": "lambda"}, 1.5),
        ({**AT, "backend": "lambda", "usage": {"billed_s": 3.5}, "cached": {"run_id": "r"}}, 1.5),
        # On spot instances less is billed than it ran.
        ({**AT, "backend": "sagemaker", "usage": {"billed_s": 0.45, "ran_s": 1.5}}, 1.5),
        ({"started_at": AT["started_at"], "backend": "lambda"}, None),
    ],
)
def test_a_step_took_what_is_billed_on_lambda_and_elsewhere_from_start_to_end(
    step: dict[str, Any], took_s: float | None
) -> None:
    assert usage.took_s(step) == took_s


@pytest.mark.parametrize(
    ("step", "began_at"),
    [
        ({**AT, "backend": "lambda", "usage": {"billed_s": 3.5}}, "2026-03-01T10:00:01.000Z"),
        ({**AT, "backend": "sagemaker"}, AT["started_at"]),
        ({"started_at": AT["started_at"], "backend": "lambda"}, AT["started_at"]),
        ({}, None),
    ],
)
def test_a_step_began_before_what_it_took(step: dict[str, Any], began_at: str | None) -> None:
    assert usage.began_at(step) == began_at
