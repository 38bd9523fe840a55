"""A run may have other values than the project, of the same kind, and nothing that the project is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import config
from sluice.domain.build import candidates
from sluice.domain.config import PipelineConfig, overrides
from sluice.domain.config.overrides import OverrideError


def read(config: PipelineConfig, *assignments: str) -> PipelineConfig:
    return overrides.applied(config, overrides.read_all(config, assignments))


def problems(config: PipelineConfig, *assignments: str) -> str:
    with pytest.raises(OverrideError) as caught:
        overrides.read_all(config, assignments)
    return str(caught.value)


def test_values_are_typed_as_in_yaml(pipeline_config: PipelineConfig) -> None:
    changed = read(
        pipeline_config,
        "prepare.parameters.split=[0.7, 0.2, 0.1]",
        "prepare.parameters.deep=false",
        "train.hyperparameters.epochs=20",
        "train.hyperparameters.penalty=l1",
        "train.compute.max_runtime_s=60",
        "train.candidates.max_parallel=1",
    )
    assert changed.prepare.parameters["split"] == [0.7, 0.2, 0.1]
    assert changed.prepare.parameters["deep"] is False
    assert changed.train.hyperparameters == {"epochs": 20, "penalty": "l1"}
    assert changed.train.compute.max_runtime_s == 60
    assert changed.train.candidates.max_parallel == 1
    assert changed.data == pipeline_config.data


def test_a_hyperparameter_that_is_given_is_searched_no_longer(pipeline_config: PipelineConfig) -> None:
    changed = read(pipeline_config, "train.hyperparameters.alpha=0.1")
    (name,) = candidates.first(changed.train)
    assert candidates.of_step(changed.train, f"train-{name}")["alpha"] == "0.1"


@pytest.mark.parametrize("strategy", ["random", "halving"])
def test_the_only_hyperparameter_of_a_space_can_be_given_whatever_draws_from_it(
    config_text: str, strategy: str
) -> None:
    """Random and halving need something to draw from: it is then that one value."""
    drawn = f"{{alpha: [1e-5, 1e-4]}}, strategy: {strategy}, max_candidates: 2"
    if strategy == "halving":
        drawn += ", budget: {hyperparameter: rounds, min: 1, max: 9}"
    project = config.load(config_text.replace("{alpha: [1e-5, 1e-4]}", drawn))
    changed = read(project, "train.hyperparameters.alpha=0.1", "train.hyperparameters.epochs=20")
    (name,) = candidates.first(changed.train)
    values = candidates.of_step(changed.train, f"train-{name}")
    assert (values["alpha"], values["epochs"]) == ("0.1", "20")


def test_another_space_can_be_searched(pipeline_config: PipelineConfig) -> None:
    changed = read(pipeline_config, "train.candidates.space.alpha=[0.1, 0.2, 0.3]")
    assert len(candidates.first(changed.train)) == 3


def test_a_range_says_the_kind_of_its_hyperparameter(config_text: str) -> None:
    space = "{depth: {min: 2, max: 9, integer: true}, alpha: {min: 0.001, max: 1, log: true}}"
    drawn = config_text.replace("{alpha: [1e-5, 1e-4]}", f"{space}, strategy: random, max_candidates: 3")
    project = config.load(drawn)
    assert "is 2.5: expected an integer" in problems(project, "train.hyperparameters.depth=2.5")
    fixed = read(project, "train.hyperparameters.depth=3", "train.candidates.space.alpha.max=0.5")
    assert {"depth": "3"}.items() <= candidates.of_step(fixed.train, "train-0").items()
    assert fixed.train.candidates.ranges["alpha"].max == 0.5


@pytest.mark.parametrize("text", ["1", "true", "1e5", "a: b", "null", "x # y", "'quoted'"])
def test_where_the_project_has_text_any_value_is_text(pipeline_config: PipelineConfig, text: str) -> None:
    changed = read(pipeline_config, f"train.hyperparameters.penalty={text}")
    assert changed.train.hyperparameters["penalty"] == text


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("train.hyperparameters.alhpa=1", "did you mean 'alpha'?"),
        ("train.hyperparametres.alpha=1", "did you mean 'hyperparameters'?"),
        ("trian.hyperparameters.alpha=1", "did you mean 'train'?"),
        ("train.hyperparameters.epochs=1.5", "is 1.5: expected an integer, as pipeline.yaml has 10"),
        ("train.hyperparameters.epochs=ten", 'is "ten": expected an integer'),
        ("train.hyperparameters.epochs=true", "is true: expected an integer"),
        ("train.hyperparameters.alpha=x", 'is "x": expected a number'),
        ("train.hyperparameters.alpha=", "is empty"),
        ("prepare.parameters.split=0.5", "is 0.5: expected a list"),
        ("train.candidates.space.alpha=[a]", 'is "a": expected a number'),
        ("train.candidates.space.alpha=[]", "train.candidates.space.alpha"),
        ("train.compute.max_runtime_s=0", "train.compute.max_runtime_s is 0: expected"),
        ("train.compute.instance_type=big", 'train.compute.instance_type is "big": expected'),
        ("train.candidates.objective=accuracy", "expected one of validation:accuracy"),
        ("name=other", "cannot be overridden, as it is part of what was pushed"),
        ("data.schema.id.max=5", "cannot be overridden"),
        ("train.script=src/other.py", "cannot be overridden"),
        ("register.group=mine", "cannot be overridden"),
        ("release.stages=[]", "cannot be overridden"),
        ("gates=[]", "cannot be overridden"),
        ("retrain.cooldown_s=0", "cannot be overridden"),
        ("train.hyperparameters={}", "is a mapping: expected one of its fields"),
        ("train=1", "is a mapping"),
        (
            "train.hyperparameters.epochs.more=1",
            "is 10 in pipeline.yaml, and can be given as a whole, 'train.hyperparameters.epochs=VALUE'",
        ),
        (
            "train.compute.spot.max_wait_s=7200",
            "train.compute.spot is not given in pipeline.yaml, and can be",
        ),
        (
            "train.cache.max_age_s=3",
            "is true in pipeline.yaml, and can be given as a whole, 'train.cache={max_age_s: VALUE}'",
        ),
        ("name.first=x", "name cannot be overridden"),
        ("epochs=1", "expected one of prepare, train, evaluate; did you mean train.hyperparameters.epochs?"),
        (
            "train.epochs=1",
            "one of hyperparameters, candidates, compute, cache; did you mean train.hyperparamet",
        ),
        (
            "max_runtime_s=9",
            "mean prepare.compute.max_runtime_s or train.compute.max_runtime_s or evaluate.com",
        ),
        (
            "prepare.parameters.split=[0.5, a]",
            'split has "a": expected a number each, as pipeline.yaml has [0.',
        ),
        ("prepare.parameters.split=[true]", "split has true: expected a number each"),
        ("train.compute.environment.A=1", "can be given as a whole, 'train.compute.environment={A: VALUE}'"),
        ("train.compute.memory_mb.a=1", "can be given as a whole, 'train.compute.memory_mb=VALUE'"),
        ("train.compute.spot.a=1", "can be given as a whole, 'train.compute.spot={a: VALUE}'"),
        ("train.space=1", "did you mean train.candidates.space?"),
        (".alpha=1", "expected PATH=VALUE"),
        ("alpha", "expected PATH=VALUE"),
        ("=1", "expected PATH=VALUE"),
    ],
)
def test_what_cannot_be_is_said_with_what_is_expected(
    pipeline_config: PipelineConfig, assignment: str, said: str
) -> None:
    assert said in problems(pipeline_config, assignment)


def test_all_problems_are_told_at_once(pipeline_config: PipelineConfig) -> None:
    told = problems(
        pipeline_config,
        "name=x",
        "train.hyperparameters.epochs=x",
        "train.hyperparameters.alpha=1.0",
        "train.candidates.space.alpha=[1.0]",
        "train.hyperparameters.penalty=a",
        "train.hyperparameters.penalty=b",
    )
    assert len(told.splitlines()) == 4
    assert "train.hyperparameters.penalty is given twice" in told
    assert "train.hyperparameters.alpha is given beside train.candidates.space.alpha" in told


def test_without_overrides_it_is_the_same_config(pipeline_config: PipelineConfig) -> None:
    assert overrides.applied(pipeline_config, None) is pipeline_config
    assert read(pipeline_config) == pipeline_config


_NUMBERS = st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False))
_SCALARS = st.one_of(st.booleans(), _NUMBERS, st.text(max_size=5))


@given(value=st.one_of(_SCALARS, st.lists(_SCALARS, max_size=3), st.none()))
def test_what_is_accepted_is_what_the_run_gets(pipeline_config: PipelineConfig, value: Any) -> None:
    given_ = {"train.hyperparameters.epochs": value}
    try:
        checked = overrides.check(pipeline_config, given_)
    except OverrideError:
        assert type(value) is not int
        return
    assert overrides.applied(pipeline_config, json.loads(json.dumps(given_))) == checked
    assert checked.train.hyperparameters["epochs"] == value
