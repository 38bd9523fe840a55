"""The key of a step changes with all that it depends on, and with nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.build import candidates, jobs, step_cache
from sluice.domain.build.jobs import Build
from sluice.domain.build.step_cache import UnknownContentError
from sluice.domain.config import PipelineConfig, overrides

CODE = {"train.py": "a" * 64, "requirements.txt": "b" * 64}
FILES = "s3://artifacts/datasets/reviews-sentiment/d1/files.manifest"
MODEL = "s3://artifacts/models/reviews-sentiment/m1/model.tar.gz"


def build(config: PipelineConfig, run_id: str = "reviews-sentiment-00001", **given: Any) -> Build:
    return Build(
        stack="sluice",
        config=config,
        run_id=run_id,
        project_version="v1",
        artifact_bucket="artifacts",
        role_arn=f"arn:aws:iam::123456789012:role/{run_id}",
        region="eu-central-1",
        **given,
    )


def request(of: Build, step: str) -> dict[str, Any]:
    if step == "prepare":
        return jobs.prepare_request(of, FILES)
    if step.startswith("train"):
        return jobs.training_request(of, step, candidates.of_step(of.config.train, step))
    return jobs.evaluate_request(of, "candidate", MODEL)


def contents(of: Build) -> dict[str, str]:
    folders = {f"{of.locations.prepared(of.run_id, split)}/": f"digest of {split}" for split in jobs.SPLITS}
    return {FILES: "data set d1", MODEL: "model m1", **folders}


def key(of: Build, step: str, code: Mapping[str, str] = CODE, environment: str | None = None) -> str:
    return step_cache.key(step_cache.parts(request(of, step), contents(of), code, environment))


STEPS = ["prepare", "train-0", "evaluate-candidate"]


@pytest.mark.parametrize("step", STEPS)
def test_another_run_of_the_same_has_the_same_key(pipeline_config: PipelineConfig, step: str) -> None:
    first = build(pipeline_config)
    again = replace(first, run_id="reviews-sentiment-00002", role_arn="arn:other", project_version="v2")
    assert key(first, step) == key(again, step)


def test_what_only_says_how_a_job_runs_is_no_part_of_the_key(pipeline_config: PipelineConfig) -> None:
    changed = overrides.applied(
        pipeline_config,
        {"train.compute.max_runtime_s": 60, "train.compute.volume_gb": 5, "train.candidates.max_parallel": 1},
    )
    assert key(build(pipeline_config), "train-0") == key(build(changed), "train-0")


@pytest.mark.parametrize(
    ("step", "changed"),
    [
        ("prepare", {"prepare.parameters.seed": 43}),
        ("prepare", {"prepare.compute.instance_count": 2}),
        ("prepare", {"prepare.compute.environment": {"A": "1"}}),
        ("train-0", {"train.hyperparameters.epochs": 11}),
        ("train-0", {"train.hyperparameters.alpha": 0.5}),
        ("train-0", {"train.compute.instance_count": 2}),
        ("train-0", {"train.compute.instance_type": "ml.m5.xlarge"}),
        ("evaluate-candidate", {"evaluate.compute.environment": {"A": "1"}}),
    ],
)
def test_each_parameter_changes_the_key_of_its_step_alone(
    pipeline_config: PipelineConfig, step: str, changed: dict[str, Any]
) -> None:
    other = overrides.applied(pipeline_config, changed)
    for each in STEPS:
        assert (key(build(pipeline_config), each) != key(build(other), each)) == (each == step)


@pytest.mark.parametrize("step", STEPS)
def test_code_image_and_packages_change_the_key(pipeline_config: PipelineConfig, step: str) -> None:
    first = build(pipeline_config)
    keys = [
        key(first, step),
        key(first, step, {**CODE, "train.py": "c" * 64}),
        key(first, step, {**CODE, "more.py": "a" * 64}),
        key(first, step, {"other.py": "a" * 64, "requirements.txt": "b" * 64}),
        key(first, step, environment="e" * 64),
        key(replace(first, image="123.dkr.ecr.eu-central-1.amazonaws.com/mine:2"), step),
        key(replace(first, has_requirements=True), step) if step != "train-0" else "none",
    ]
    assert len(set(keys)) == len(keys)


def test_each_input_by_content_changes_the_key(pipeline_config: PipelineConfig) -> None:
    of = build(pipeline_config)
    for step, inputs in {"prepare": 1, "train-0": 2, "evaluate-candidate": 2}.items():
        known, wanted = contents(of), request(of, step)
        keys = {step_cache.key(step_cache.parts(wanted, known, CODE))}
        for uri in known:
            keys.add(step_cache.key(step_cache.parts(wanted, {**known, uri: "another"}, CODE)))
        assert len(keys) == 1 + inputs


def test_an_input_of_unknown_content_has_no_key(pipeline_config: PipelineConfig) -> None:
    with pytest.raises(UnknownContentError, match=r"files\.manifest is not known"):
        step_cache.parts(request(build(pipeline_config), "prepare"), {}, CODE)


def _shuffled(value: Any) -> Any:
    """The same mapping, written in the other order."""
    if isinstance(value, dict):
        return {name: _shuffled(value[name]) for name in reversed(value)}
    return value


@pytest.mark.parametrize("step", STEPS)
def test_the_order_of_writing_is_no_part_of_the_key(pipeline_config: PipelineConfig, step: str) -> None:
    of = build(pipeline_config)
    document = json.loads(pipeline_config.model_dump_json())
    other = PipelineConfig.model_validate_json(json.dumps(_shuffled(document)))
    wanted = request(of, step)
    for name in ("ProcessingInputs", "InputDataConfig"):
        if name in wanted:
            wanted[name] = wanted[name][::-1]
    again = step_cache.key(step_cache.parts(_shuffled(wanted), contents(of), _shuffled(CODE)))
    assert key(of, step) == key(build(other), step) == again


_LEAVES = st.one_of(st.text(max_size=4), st.integers(-3, 3), st.booleans(), st.none())
_NAMES = st.text("abc", min_size=1, max_size=2)
_PLAIN = st.recursive(_LEAVES, lambda inner: st.dictionaries(_NAMES, inner, max_size=3), max_leaves=6)


@given(first=_PLAIN, second=_PLAIN)
def test_whatever_a_request_says_is_part_of_the_key(first: Any, second: Any) -> None:
    """Also fields that nobody thought of."""

    def keyed(value: Any) -> str:
        return step_cache.key(step_cache.parts({"New": value}, {}, CODE))

    if json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True):
        assert keyed(first) == keyed(second)
    elif _flat(first) != _flat(second):
        assert keyed(first) != keyed(second)


def _flat(value: Any, path: str = "New") -> dict[str, Any]:
    """What tells two values apart: an empty mapping says nothing, and a text may spell another value."""
    if isinstance(value, dict):
        return {k: v for name in value for k, v in _flat(value[name], f"{path}.{name}").items()}
    return {path: value if isinstance(value, str) else json.dumps(value)}


def test_what_changed_is_told_by_name(pipeline_config: PipelineConfig) -> None:
    of = build(pipeline_config)
    other = build(overrides.applied(pipeline_config, {"train.hyperparameters.epochs": 11}))
    before = step_cache.parts(request(of, "train-0"), contents(of), CODE)
    known = contents(of) | {f"{of.locations.prepared(of.run_id, 'train')}/": "new"}
    now = step_cache.parts(request(other, "train-0"), known, {**CODE, "train.py": "c" * 64})
    told = {each.part: (each.before, each.now) for each in step_cache.differences(now, before)}
    assert told == {
        "code.train.py": ("a" * 64, "c" * 64),
        "hyperparameter.epochs": ("10", "11"),
        "input.train": ("digest of train", "new"),
    }
    assert step_cache.differences(now, copy.deepcopy(now)) == []


def test_parts_are_called_as_in_pipeline_yaml(pipeline_config: PipelineConfig) -> None:
    of = build(pipeline_config)
    named = step_cache.parts(request(of, "prepare"), contents(of), CODE)
    assert {"image", "input.data", "parameter.seed", "code.train.py"} <= named.keys()
    assert named["parameter.seed"] == "42"


def test_an_output_is_known_by_what_it_holds() -> None:
    first = [("a.csv", 3, "d1"), ("b.csv", 4, "d2")]
    assert step_cache.content(first) == step_cache.content(first[::-1])
    assert step_cache.content([]) is None
    others = [[("a.csv", 3, "d1")], [("c.csv", 3, "d1"), first[1]], [("a.csv", 3, "d3"), first[1]]]
    assert len({step_cache.content(each) for each in [first, *others]}) == 4


def test_an_image_with_a_tag_and_a_digest_counts_by_its_tag() -> None:
    tagged = {"AppSpecification": {"ImageUri": "host/scikit-learn:1.4", "ContainerEntrypoint": ["python3"]}}
    pinned = {"AppSpecification": {**tagged["AppSpecification"], "ImageUri": "host/scikit-learn@sha256:ab"}}
    assert step_cache.image_of(pinned, "host/scikit-learn:1.4@sha256:ab") == tagged
    assert pinned["AppSpecification"]["ImageUri"] == "host/scikit-learn@sha256:ab"


@pytest.mark.parametrize("image", ["host:5000/mine@sha256:ab", "host/scikit-learn:1.4", "host/mine"])
def test_any_other_image_counts_as_it_is_named(image: str) -> None:
    named = {"AppSpecification": {"ImageUri": image}}
    assert step_cache.image_of(named, image) == named
