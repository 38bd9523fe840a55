"""Names are derived, legal for SageMaker, and refused when they cannot be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import names

SAGEMAKER_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
STACKS = st.from_regex(r"[a-z][a-z0-9-]{0,24}", fullmatch=True)
STEPS = ["prepare", "evaluate-champion", "train-49"]
PIPELINES = st.from_regex(names.PIPELINE_PATTERN, fullmatch=True).map(str.strip)
STAGES = st.from_regex(names.STAGE_PATTERN, fullmatch=True).map(str.strip)


@pytest.mark.parametrize("name", ["", "a", "A1", "1a", "-ab", "ab-", "a_b", "a b", "a" * 33, "ab\n", "é" * 3])
def test_a_pipeline_name_that_aws_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(names.InvalidNameError, match="no pipeline name"):
        names.pipeline_name(name)


@given(STACKS, PIPELINES, st.integers(0, 99999))
def test_an_execution_of_a_pipeline_names_it(stack: str, pipeline: str, number: int) -> None:
    name = names.pipeline_execution(stack, f"{pipeline}-{number:05}")
    assert names.pipeline_of_execution(name) == names.sagemaker_pipeline(stack, pipeline)


@pytest.mark.parametrize("name", ["", "A", "1", "-a", "a-", "a" * 17, "a\n"])
def test_a_stage_name_that_aws_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(names.InvalidNameError, match="no stage name"):
        names.stage_name(name)


def taken_by_sagemaker(name: str) -> bool:
    return len(name) <= 63 and bool(re.fullmatch(SAGEMAKER_NAME, name))


@given(STACKS, PIPELINES, st.integers(1, 999_999), st.sampled_from(STEPS))
def test_every_job_name_is_one_that_sagemaker_takes(stack: str, pipeline: str, seq: int, step: str) -> None:
    assert taken_by_sagemaker(names.job_name(stack, names.run_id(pipeline, seq), step))


@given(STACKS, PIPELINES, STAGES, st.integers(1, 99_999), st.text())
def test_every_name_of_a_release_is_one_that_sagemaker_takes(
    stack: str, pipeline: str, stage: str, version: int, cause: str
) -> None:
    release_id = names.release_id(pipeline, version, cause)
    assert taken_by_sagemaker(names.endpoint_name(stack, pipeline, stage))
    assert taken_by_sagemaker(names.endpoint_config_name(stack, release_id, stage))
    assert taken_by_sagemaker(names.model_name(stack, release_id))
    assert taken_by_sagemaker(names.package_group(stack, pipeline))
    alarm = names.alarm_name(stack, pipeline, stage, "error-rate")
    assert len(alarm) <= 255
    assert alarm.startswith(f"{stack}--")


# Few characters, and all names that they make: what could be read in two ways is among them.
PARTS = ["", *(hyphens + letter for hyphens in ("", "-", "--", "---") for letter in "ab")]
SHORT = ["a" + part for part in PARTS]
LONG = sorted({name + part for name in SHORT for part in PARTS})


def test_no_two_stages_share_an_endpoint() -> None:
    stacks = [*SHORT, *(name + "-" for name in SHORT)]
    # Pipelines of a single letter are none.
    triples = [(stack, "p" + pipeline, stage) for stack in stacks for pipeline in LONG for stage in SHORT]
    triples += [(stack, "p" + pipeline, stage) for stack in stacks for pipeline in SHORT for stage in LONG]
    assert len({names.endpoint_name(*triple) for triple in triples}) == len(set(triples))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("sluice", "aa", "bb-cc"), ("sluice", "aa-bb", "cc")),
        (("sluice", "production-xy", "a"), ("sluice-production", "xy", "a")),
        (("sluice", "a" * 32, "b" * 15 + "c"), ("sluice", "a" * 31 + "b", "b" * 15 + "c")),
    ],
)
def test_what_hyphens_and_lengths_could_confuse_has_names_of_its_own(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert names.endpoint_name(*one) != names.endpoint_name(*other)
    assert names.alarm_name(*one, "error-rate") != names.alarm_name(*other, "error-rate")


def test_a_name_that_is_too_long_ends_as_it_would() -> None:
    name = names.job_name("sluice-production", names.run_id("a" * 32, 7), "evaluate-candidate")
    assert re.fullmatch(r"sluice-production---[0-9a-f]{10}-a+-00007-evaluate-candidate", name)


def test_names_are_as_documented() -> None:
    run_id = names.run_id("reviews-sentiment", 1)
    assert run_id == "reviews-sentiment-00001"
    assert names.job_name("sluice", run_id, "train-0") == "sluice--reviews-sentiment-00001-train-0"
    champion = names.evaluate_step("champion")
    assert names.job_name("sluice", run_id, champion) == f"sluice--{run_id}-evaluate-champion"
    assert re.fullmatch(
        r"reviews-sentiment-v3-[0-9a-f]{8}", names.release_id("reviews-sentiment", 3, "command#1")
    )
    assert names.endpoint_name("sluice", "reviews", "production") == "sluice--reviews--production"
    assert names.package_group("sluice", "reviews") == "sluice--reviews"
    config = names.endpoint_config_name("sluice", "reviews-v3-9f2c1a0b", "production")
    assert config == "sluice--reviews-v3-9f2c1a0b--production"
    assert names.release_of_config("sluice", "production", config) == "reviews-v3-9f2c1a0b"


@pytest.mark.parametrize(
    "config",
    [
        "sluice--reviews-v3-9f2c1a0b--staging",
        "other--reviews-v3-9f2c1a0b--production",
        names.endpoint_config_name("sluice", f"{'r' * 32}-v3-9f2c1a0b", "production-stage"),
        "",
    ],
)
def test_of_another_stages_or_stacks_config_and_of_a_cut_name_no_release_is_known(config: str) -> None:
    assert names.release_of_config("sluice", "production", config) is None
    assert names.release_of_config("sluice", "production-stage", config) is None


def test_one_cause_makes_one_release_id_and_another_cause_another() -> None:
    assert names.release_id("ab", 1, "approval#x#1") == names.release_id("ab", 1, "approval#x#1")
    assert names.release_id("ab", 1, "approval#x#1") != names.release_id("ab", 1, "approval#x#2")


def test_a_rollback_is_named_for_the_version_that_it_takes_back() -> None:
    rollback = names.rollback_id("reviews-sentiment", 12, "alarm#x")
    assert re.fullmatch(r"reviews-sentiment-v12-back-[0-9a-f]{8}", rollback)
    assert rollback.startswith(names.releases_of("reviews-sentiment", 12))
    assert names.taken_back_by(rollback) == 12
    # A pipeline may have a name that looks like one.
    assert names.taken_back_by(names.release_id("reviews-v1-back", 3, "alarm#x")) is None


def test_runs_are_numbered_from_one() -> None:
    with pytest.raises(names.InvalidNameError, match="from 1"):
        names.run_id("ab", 0)


@pytest.mark.parametrize("step", ["", "Prepare", "-a", "x/y"])
def test_a_job_name_that_sagemaker_would_refuse_is_refused(step: str) -> None:
    with pytest.raises(names.InvalidNameError, match="no step"):
        names.job_name("sluice", "ab-00001", step)


@pytest.mark.parametrize("step", ["prepare", "train-0", "train-12", "evaluate-champion-own"])
@pytest.mark.parametrize("run_id", ["reviews-00001", "a-00002-123456", "a-00002-00003"])
def test_a_jobs_name_says_its_run_and_its_step(run_id: str, step: str) -> None:
    assert names.run_and_step("sluice", names.job_name("sluice", run_id, step)) == (run_id, step)


@pytest.mark.parametrize(
    "job",
    [
        names.job_name("another", "reviews-00001", "prepare"),
        names.job_name("sluice", f"{'long-' * 6}name-00001", "evaluate-champion-own"),
        names.pipeline_execution("sluice", "reviews-00001"),
        "somebody-elses",
    ],
)
def test_a_name_that_says_less_says_nothing(job: str) -> None:
    assert names.run_and_step("sluice", job) is None
