"""Names that SageMaker and Step Functions accept, derived from what they name: a retry repeats them."""

from __future__ import annotations

import hashlib
import re

PIPELINE_PATTERN = r"^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])$"
STAGE_PATTERN = r"^[a-z](?:[a-z0-9-]{0,14}[a-z0-9])?$"
PREPARE = "prepare"
# What the steps of candidates are called, before their index.
TRAIN = "train-"
GATES = "gates"
SAGEMAKER_NAME_MAX = 63
# An endpoint config is `<pipeline>-v<package version>-<8 hex>-<stage>`: five digits of version fit.
PIPELINE_AND_STAGE_MAX = SAGEMAKER_NAME_MAX - len("-v99999-") - len("9f2c1a0b-")


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
    """The run's id, also its build execution's name."""
    if seq < 1:
        raise InvalidNameError(f"runs are numbered from 1, not {seq}")
    return f"{pipeline_name(pipeline)}-{seq:05d}"


def evaluate_step(role: str) -> str:
    """The step that evaluates a model in its role: candidate or champion."""
    return f"evaluate-{role}"


def job_name(run_id: str, step: str) -> str:
    """The training or processing job of a run's step."""
    name = f"{run_id}-{step}"
    if not re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", name) or len(name) > SAGEMAKER_NAME_MAX:
        raise InvalidNameError(
            f"{name!r} is no job name: SageMaker takes at most {SAGEMAKER_NAME_MAX} characters"
        )
    return name


def release_id(pipeline: str, package_version: int, cause_key: str) -> str:
    """The release's id, also its execution's name: one cause makes one release."""
    digest = hashlib.sha256(cause_key.encode()).hexdigest()[:8]
    return f"{pipeline_name(pipeline)}-v{package_version}-{digest}"


def endpoint_name(pipeline: str, stage: str) -> str:
    return f"{pipeline_name(pipeline)}-{stage_name(stage)}"


def endpoint_config_name(release_id: str, stage: str) -> str:
    return f"{release_id}-{stage_name(stage)}"
