"""Derive names that SageMaker and Step Functions accept from what they name, so that a retry repeats them.

Names of resources that all stacks of an account share contain the stack's name. No two things share a name.
"""

from __future__ import annotations

import hashlib
import re

PIPELINE_PATTERN = r"^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])$"
STAGE_PATTERN = r"^[a-z](?:[a-z0-9-]{0,14}[a-z0-9])?$"
PREPARE = "prepare"
# The step that runs a pipeline of SageMaker in place of scripts; its own steps begin with its name.
PIPELINE = "pipeline"
OF_PIPELINE = f"{PIPELINE}-"
# Candidates' steps have this name and their index.
TRAIN = "train-"
SELECT = "select"
GATES = "gates"
SAGEMAKER_NAME_MAX = 63
ALARM_NAME_MAX = 255
# What ends the name of an endpoint config with a shadow.
SHADOW = "shadow"
# What stands behind the version in the name of a release that takes it back.
_BACK = "back"
_SEPARATOR = "--"
_DIGEST_HEX = 10
# With longer stack names, bucket names would be too long.
_STACK_MAX = 25


class InvalidNameError(ValueError):
    """A name does not follow the pattern of what it names."""


def pipeline_name(name: str) -> str:
    """Return the name, or raise InvalidNameError."""
    if not re.fullmatch(PIPELINE_PATTERN, name):
        raise InvalidNameError(
            f"{name!r} is no pipeline name: 2 to 32 lower-case letters, digits, inner hyphens, a letter first"
        )
    return name


def stage_name(name: str) -> str:
    """Return the name, or raise InvalidNameError."""
    if not re.fullmatch(STAGE_PATTERN, name):
        raise InvalidNameError(
            f"{name!r} is no stage name: 1 to 16 lower-case letters, digits, inner hyphens, a letter first"
        )
    return name


def run_id(pipeline: str, seq: int) -> str:
    """Return the run's id, which is also its execution's name."""
    if seq < 1:
        raise InvalidNameError(f"runs are numbered from 1, not {seq}")
    return f"{pipeline_name(pipeline)}-{seq:05d}"


def previous_run_id(run_id: str) -> str | None:
    """Return the id of the pipeline's run before; None of the first one."""
    pipeline, _, number = run_id.rpartition("-")
    return f"{pipeline}-{int(number) - 1:05d}" if number.isdigit() and int(number) > 1 else None


def evaluate_step(role: str) -> str:
    """Name the step that evaluates a model in its role: candidate or champion."""
    return f"evaluate-{role}"


def job_name(stack: str, run_id: str, step: str) -> str:
    """Name the training or processing job of a run's step."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", step):
        raise InvalidNameError(f"{step!r} is no step that a job could be named for")
    return _of_stack(stack, f"{run_id}-{step}")


def run_and_step(stack: str, job: str) -> tuple[str, str] | None:
    """Return the run and the step that a job's name says; None of one that says none, as long ones do.

    It is a guess: what waits for the job knows.
    """
    said = re.fullmatch(rf"{re.escape(stack)}{_SEPARATOR}([a-z].*-\d{{5,}})-([a-z][a-z0-9-]*)", job)
    return (said[1], said[2]) if said else None


def sagemaker_pipeline(stack: str, pipeline: str) -> str:
    """Name the pipeline of SageMaker that a pipeline's builds run."""
    return _of_stack(stack, pipeline_name(pipeline))


def pipeline_execution(stack: str, run_id: str) -> str:
    """Name the execution of it that a run starts: `pipeline_of_execution` finds the one in the other."""
    pipeline, _, number = run_id.rpartition("-")
    return f"{sagemaker_pipeline(stack, pipeline)}-{number}"


def pipeline_of_execution(name: str) -> str:
    """Return the pipeline of SageMaker whose execution has this name."""
    return name.rpartition("-")[0]


def built_group(stack: str, pipeline: str) -> str:
    """Name the model package group that a pipeline of SageMaker fills, and nothing releases."""
    return _of_stack(stack, pipeline_name(pipeline), "built")


def release_id(pipeline: str, package_version: int, cause_key: str) -> str:
    """Return the release's id, which is also its execution's name: one cause makes one release."""
    digest = hashlib.sha256(cause_key.encode()).hexdigest()[:8]
    return f"{releases_of(pipeline, package_version)}{digest}"


def rollback_id(pipeline: str, taken_back: int, cause_key: str) -> str:
    """Return the id of a release that takes a version back, like `release_id`.

    It does not name the version that serves then: that is found later, and one cause makes one release.
    """
    digest = hashlib.sha256(cause_key.encode()).hexdigest()[:8]
    return f"{releases_of(pipeline, taken_back)}{_BACK}-{digest}"


def taken_back_by(release_id: str) -> int | None:
    """Return the version that a rollback is named for; None of others, and of those of older stacks."""
    found = re.search(rf"-v([0-9]+)-{_BACK}-[0-9a-f]{{8}}$", release_id)
    return int(found[1]) if found else None


def releases_of(pipeline: str, package_version: int) -> str:
    """Return the prefix of the ids of a version's releases, and of rollbacks that take it back."""
    return f"{pipeline_name(pipeline)}-v{package_version}-"


def transform_id(pipeline: str, seq: int) -> str:
    """Return the id of a pipeline's transform."""
    return f"{pipeline_name(pipeline)}-batch-{seq:05d}"


def transform_name(stack: str, transform_id: str) -> str:
    """Name the transform job of a transform; one that proves a release has its endpoint config's name."""
    return _of_stack(stack, transform_id)


def endpoint_name(stack: str, pipeline: str, stage: str) -> str:
    return _of_stack(stack, pipeline_name(pipeline), stage_name(stage))


def model_name(stack: str, release_id: str) -> str:
    return _of_stack(stack, release_id)


def endpoint_config_name(stack: str, release_id: str, stage: str) -> str:
    return _of_stack(stack, release_id, stage_name(stage))


def shadow_config_name(stack: str, release_id: str, stage: str) -> str:
    """Name the endpoint config with which what serves has a release's model as its shadow."""
    return _of_stack(stack, release_id, stage_name(stage), SHADOW)


def without_shadow(config: str) -> str:
    """Return the name of the config that a release makes of the same stage without a shadow."""
    return config.removesuffix(f"{_SEPARATOR}{SHADOW}")


def release_of_config(stack: str, stage: str, config: str) -> str | None:
    """Return the release that an endpoint config is named for; None if its name does not have it whole."""
    begin, end = f"{stack}{_SEPARATOR}", f"{_SEPARATOR}{stage}"
    release = config.removeprefix(begin).removesuffix(end)
    return release if config == f"{begin}{release}{end}" and not release.startswith("-") else None


def package_group(stack: str, pipeline: str) -> str:
    """Name the model package group of a pipeline whose project names none."""
    return _of_stack(stack, pipeline_name(pipeline))


def alarm_name(stack: str, pipeline: str, stage: str, what: str) -> str:
    """Name an alarm of a stage's endpoint; `what` is what it watches."""
    return _of_stack(stack, pipeline_name(pipeline), stage_name(stage), what, limit=ALARM_NAME_MAX)


def image_by_digest(image: str) -> str:
    """Return an image as SageMaker takes it: of one with a tag and a digest the digest, as a tag can move."""
    named, at, digest = image.partition("@")
    registry, slash, name = named.rpartition("/")
    return f"{registry}{slash}{name.partition(':')[0]}@{digest}" if at else image


def _of_stack(stack: str, *parts: str, limit: int = SAGEMAKER_NAME_MAX) -> str:
    """Return `<stack>--<part>--<part>`, which is unambiguous, as no part contains a double hyphen.

    If a part does, or if the name is too long, return `<stack>---<digest>-<the end of it>`: no other name has
    three hyphens.
    """
    name = _SEPARATOR.join((stack, *parts))
    is_plain = not any(_SEPARATOR in part or part.endswith("-") for part in (stack, *parts))
    if is_plain and len(name) <= limit:
        return name
    digest = hashlib.sha256("\0".join((stack, *parts)).encode()).hexdigest()[:_DIGEST_HEX]
    head = f"{stack[:_STACK_MAX] if limit < ALARM_NAME_MAX else stack}---{digest}-"
    return head + "-".join(parts)[len(head) - limit :].lstrip("-")
