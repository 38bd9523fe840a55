"""Tags that name a resource's owner: a stack changes only resources with its tag."""

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
    """Return tags as requests to AWS have them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def are_on(wanted: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Tell whether the tags found include the wanted ones."""
    return wanted.items() <= found.items()
