"""Names are derived, legal for SageMaker, and refused when they cannot be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import names

SAGEMAKER_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
PIPELINES = st.from_regex(names.PIPELINE_PATTERN, fullmatch=True).map(str.strip)
STAGES = st.from_regex(names.STAGE_PATTERN, fullmatch=True).map(str.strip)


@pytest.mark.parametrize("name", ["", "a", "A1", "1a", "-ab", "ab-", "a_b", "a b", "a" * 33, "ab\n", "é" * 3])
def test_a_pipeline_name_that_aws_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(names.InvalidNameError, match="no pipeline name"):
        names.pipeline_name(name)


@pytest.mark.parametrize("name", ["", "A", "1", "-a", "a-", "a" * 17, "a\n"])
def test_a_stage_name_that_aws_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(names.InvalidNameError, match="no stage name"):
        names.stage_name(name)


@given(PIPELINES, st.integers(1, 999_999), st.sampled_from(["prepare", "evaluate-champion", "train-49"]))
def test_every_job_name_is_one_that_sagemaker_takes(pipeline: str, seq: int, step: str) -> None:
    assert re.fullmatch(SAGEMAKER_NAME, names.job_name(names.run_id(pipeline, seq), step))


@given(PIPELINES, STAGES, st.integers(1, 99_999), st.text())
def test_every_endpoint_and_config_name_is_one_that_sagemaker_takes(
    pipeline: str, stage: str, version: int, cause: str
) -> None:
    assert re.fullmatch(SAGEMAKER_NAME, names.endpoint_name(pipeline, stage))
    config = names.endpoint_config_name(names.release_id(pipeline, version, cause), stage)
    fits = len(pipeline) + len(stage) <= names.PIPELINE_AND_STAGE_MAX
    assert bool(re.fullmatch(SAGEMAKER_NAME, config)) or not fits


def test_names_are_as_documented() -> None:
    run_id = names.run_id("reviews-sentiment", 1)
    assert run_id == "reviews-sentiment-00001"
    assert names.job_name(run_id, "train-0") == "reviews-sentiment-00001-train-0"
    assert names.job_name(run_id, names.evaluate_step("champion")) == f"{run_id}-evaluate-champion"
    assert re.fullmatch(
        r"reviews-sentiment-v3-[0-9a-f]{8}", names.release_id("reviews-sentiment", 3, "command#1")
    )


def test_one_cause_makes_one_release_id_and_another_cause_another() -> None:
    assert names.release_id("ab", 1, "approval#x#1") == names.release_id("ab", 1, "approval#x#1")
    assert names.release_id("ab", 1, "approval#x#1") != names.release_id("ab", 1, "approval#x#2")


def test_runs_are_numbered_from_one() -> None:
    with pytest.raises(names.InvalidNameError, match="from 1"):
        names.run_id("ab", 0)


@pytest.mark.parametrize("step", ["", "Prepare", "a" * 60, "x/y"])
def test_a_job_name_that_sagemaker_would_refuse_is_refused(step: str) -> None:
    with pytest.raises(names.InvalidNameError, match="no job name"):
        names.job_name("ab-00001", step)
