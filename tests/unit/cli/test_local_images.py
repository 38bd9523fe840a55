"""A push to the local cloud says which image it lacks before anything is uploaded."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

import sdk_world
from sluice.domain import config
from sluice.domain.build.sdk import definitions
from sluice_cli import local_images
from sluice_cli.errors import CommandError
from sluice_cli.target import Target

FRAMEWORK = 'framework: {name: scikit-learn, version: "1.4-2"}'


def target(*, is_local: bool) -> Target:
    session = SimpleNamespace(region_name="eu-central-1")
    return cast(Target, cast(Any, SimpleNamespace(is_local=is_local, session=session)))


@pytest.mark.parametrize(
    "framework", ['{name: scikit-learn, version: "1.2-1"}', "{name: xgboost, version: 3.2-0}"]
)
def test_what_it_has_passes(config_text: str, framework: str) -> None:
    project = config.load(config_text.replace(FRAMEWORK, f"framework: {framework}"))
    local_images.require(target(is_local=True), project)


@pytest.mark.parametrize(
    ("framework", "said"),
    [
        (
            "framework: {name: pytorch, version: 2.6.0}",
            "pytorch-training:2.6.0-cpu-py312, which prepare needs",
        ),
        ("framework: {name: xgboost, version: 1.7-1}", "it has sagemaker-scikit-learn:1.2-1-cpu-py3, "),
        ("image: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/mine:1", "no image mine:1"),
    ],
)
def test_what_it_lacks_is_named_with_what_it_has_and_what_to_do(
    config_text: str, framework: str, said: str
) -> None:
    project = config.load(config_text.replace(FRAMEWORK, framework))
    with pytest.raises(CommandError, match=said) as refused:
        local_images.require(target(is_local=True), project)
    assert "push to AWS" in str(refused.value.hint)
    local_images.require(target(is_local=False), project)


def test_what_a_step_of_a_pipeline_of_sagemaker_lacks_is_named(config_text: str) -> None:
    project = config.load(config_text)
    image = "763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
    named = {**sdk_world.TRAIN["Arguments"], "AlgorithmSpecification": {"TrainingImage": image}}
    steps = [sdk_world.PREPARE, {**sdk_world.TRAIN, "Arguments": named}]
    made = definitions.read(json.dumps(sdk_world.definition(Steps=steps)).encode())
    with pytest.raises(CommandError, match=r"pytorch-training:2\.6\.0-cpu-py312, which Train needs"):
        local_images.require(target(is_local=True), project, made)
    # An image that the run gives is the project's own, which was looked at.
    local_images.require(
        target(is_local=True), project, definitions.read(json.dumps(sdk_world.definition()).encode())
    )
