"""Tags that say whose a resource is: a stack changes what carries its tag, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

STACK = "sluice:stack"
PIPELINE = "sluice:pipeline"
STAGE = "sluice:stage"
RUN = "sluice:run"
RELEASE = "sluice:release"

Tags = dict[str, str]


def of_pipeline(stack: str, pipeline: str) -> Tags:
    return {STACK: stack, PIPELINE: pipeline}


def of_stage(stack: str, pipeline: str, stage: str) -> Tags:
    return {**of_pipeline(stack, pipeline), STAGE: stage}


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """As a request of AWS's has them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def are_on(wanted: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Whether a resource with these tags is what the wanted ones say."""
    return wanted.items() <= found.items()
