"""Names that SageMaker and Step Functions accept, derived from what they name: a retry repeats them.

What an account holds for all its stacks carries the stack's name, and no two things have one name.
"""

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
ALARM_NAME_MAX = 255
_SEPARATOR = "--"
_DIGEST_HEX = 10
# The longest stack whose buckets have names.
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
    """The run's id, also its build execution's name."""
    if seq < 1:
        raise InvalidNameError(f"runs are numbered from 1, not {seq}")
    return f"{pipeline_name(pipeline)}-{seq:05d}"


def evaluate_step(role: str) -> str:
    """The step that evaluates a model in its role: candidate or champion."""
    return f"evaluate-{role}"


def job_name(stack: str, run_id: str, step: str) -> str:
    """The training or processing job of a run's step."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", step):
        raise InvalidNameError(f"{step!r} is no step that a job could be named for")
    return _of_stack(stack, f"{run_id}-{step}")


def release_id(pipeline: str, package_version: int, cause_key: str) -> str:
    """The release's id, also its execution's name: one cause makes one release."""
    digest = hashlib.sha256(cause_key.encode()).hexdigest()[:8]
    return f"{pipeline_name(pipeline)}-v{package_version}-{digest}"


def endpoint_name(stack: str, pipeline: str, stage: str) -> str:
    return _of_stack(stack, pipeline_name(pipeline), stage_name(stage))


def model_name(stack: str, release_id: str) -> str:
    return _of_stack(stack, release_id)


def endpoint_config_name(stack: str, release_id: str, stage: str) -> str:
    return _of_stack(stack, release_id, stage_name(stage))


def package_group(stack: str, pipeline: str) -> str:
    """The model package group of a pipeline whose project names none."""
    return _of_stack(stack, pipeline_name(pipeline))


def alarm_name(stack: str, pipeline: str, stage: str, what: str) -> str:
    """An alarm of a stage's endpoint; `what` it watches."""
    return _of_stack(stack, pipeline_name(pipeline), stage_name(stage), what, limit=ALARM_NAME_MAX)


def _of_stack(stack: str, *parts: str, limit: int = SAGEMAKER_NAME_MAX) -> str:
    """`<stack>--<part>--<part>`, which can be read in one way only, as no part holds a double hyphen.

    Where one does, or where that is too long, `<stack>---<digest>-<the end of it>`: three hyphens are in no
    other name.
    """
    name = _SEPARATOR.join((stack, *parts))
    is_plain = not any(_SEPARATOR in part or part.endswith("-") for part in (stack, *parts))
    if is_plain and len(name) <= limit:
        return name
    digest = hashlib.sha256("\0".join((stack, *parts)).encode()).hexdigest()[:_DIGEST_HEX]
    head = f"{stack[:_STACK_MAX] if limit < ALARM_NAME_MAX else stack}---{digest}-"
    return head + "-".join(parts)[len(head) - limit :].lstrip("-")
