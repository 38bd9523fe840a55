"""Rules between the fields of a pipeline.yaml."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator

from sluice.domain.config import images
from sluice.domain.config.base import ScalarValue
from sluice.domain.config.models import HYPERPARAMETERS_MAX, PipelineConfig, Traffic
from sluice.domain.config.problems import Breach
from sluice.domain.config.quality_rules import (
    distinct_columns,
    known_columns,
    sound_columns,
    sound_csv,
    sound_quality,
)
from sluice.domain.config.statistics_rules import sound_bias, sound_drift
from sluice.domain.nearest import nearest

CANDIDATES_MAX = 50
ARGUMENT_MAX = 256
LINEAR_PERCENT_MIN = 10
HYPERPARAMETER_MAX = 2500


def breaches(config: PipelineConfig) -> Iterator[Breach]:
    """Yield every rule that fields break together, though each is valid alone."""
    for rule in _RULES:
        yield from rule(config)


def _one_image(config: PipelineConfig) -> Iterator[Breach]:
    if config.framework is None and config.image is None:
        yield Breach((), "names no image", "framework (name and version) or image (a URI)")
    if config.framework is not None and config.image is not None:
        yield Breach(("image",), "is given beside framework", "one of the two")
    if config.framework is not None and config.framework.version not in images.SCIKIT_LEARN_VERSIONS:
        known, version = images.SCIKIT_LEARN_VERSIONS, config.framework.version
        yield Breach(
            ("framework", "version"), f"is {version!r}", f"one of {', '.join(known)}", nearest(version, known)
        )


def _one_source_dir(config: PipelineConfig) -> Iterator[Breach]:
    folders = Counter(script.rpartition("/")[0] for script in config.scripts.values())
    folder = folders.most_common(1)[0][0]
    for field, script in config.scripts.items():
        if any(part in {".", ".."} for part in script.split("/")):
            yield Breach((field, "script"), f"is {script!r}", "a path inside the project")
        elif script.rpartition("/")[0] != folder:
            folder = folder or "the project's root"
            yield Breach(
                (field, "script"), f"is {script!r}", f"a file in {folder}, as all scripts share a folder"
            )


def _one_completion(config: PipelineConfig) -> Iterator[Breach]:
    complete_when = config.data.complete_when
    given = sorted(complete_when.model_fields_set)
    if len(given) > 1:
        yield Breach(("data", "complete_when"), f"has {' and '.join(given)}", "one of them")
    if complete_when.control_name in {".", ".."}:
        yield Breach(("data", "complete_when", given[0]), "names a folder", "the name of an object")


def _window_of_its_mode(config: PipelineConfig) -> Iterator[Breach]:
    if config.data.mode == "window" and config.data.window is None:
        yield Breach(
            ("data",), "has no window", "window: {last: 30d} or {last: 12 batches} with mode: window"
        )
    if config.data.mode != "window" and config.data.window is not None:
        yield Breach(("data", "window"), f"is given with mode {config.data.mode}", "mode: window with it")


def _sound_metrics(config: PipelineConfig) -> Iterator[Breach]:
    metrics = [metric.name for metric in config.train.metrics]
    for index, metric in enumerate(config.train.metrics):
        if metric.name in metrics[:index]:
            yield Breach(("train", "metrics", index, "name"), f"is {metric.name!r} again", "each metric once")
        if problem := _no_single_group(metric.regex):
            yield Breach(("train", "metrics", index, "regex"), problem, "a regular expression with one group")
    objective = config.train.candidates.objective
    if objective not in metrics:
        loc = ("train", "candidates", "objective")
        yield Breach(loc, f"is {objective!r}", f"one of {', '.join(metrics)}", nearest(objective, metrics))


def _no_single_group(regex: str) -> str | None:
    try:
        groups = re.compile(regex).groups
    except re.error as error:
        return f"cannot be read: {error}"
    return None if groups == 1 else f"has {groups} groups"


def _bounded_candidates(config: PipelineConfig) -> Iterator[Breach]:
    train = config.train
    space = train.candidates.space
    count = train.candidates.count
    if count > CANDIDATES_MAX:
        yield Breach(
            ("train", "candidates", "space"), f"makes {count} candidates", f"at most {CANDIDATES_MAX}"
        )
    if len({*train.hyperparameters, *space}) > HYPERPARAMETERS_MAX:
        yield Breach(
            ("train", "hyperparameters"),
            "are too many",
            f"at most {HYPERPARAMETERS_MAX} with those of the space",
        )
    for name, values in space.items():
        loc = ("train", "candidates", "space", name)
        yield from _unreserved(loc)
        for value in values:
            yield from _short_hyperparameter(loc, value)
        if len({json.dumps(value) for value in values}) < len(values):
            loc = ("train", "candidates", "space", name)
            yield Breach(loc, "has a value twice", "each value once, as each is trained")


def _short_arguments(config: PipelineConfig) -> Iterator[Breach]:
    for name, value in config.prepare.parameters.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if len(text) > ARGUMENT_MAX:
            expected = f"at most {ARGUMENT_MAX}, SageMaker's limit: put it into a file of the project"
            yield Breach(("prepare", "parameters", name), f"has {len(text)} characters", expected)
    for name, scalar in config.train.hyperparameters.items():
        loc = ("train", "hyperparameters", name)
        yield from _unreserved(loc)
        yield from _short_hyperparameter(loc, scalar)


def _short_hyperparameter(loc: tuple[str, ...], value: ScalarValue) -> Iterator[Breach]:
    length = len(json.dumps(value))
    if length > HYPERPARAMETER_MAX:
        expected = f"at most {HYPERPARAMETER_MAX}, SageMaker's limit: put it into a file of the project"
        yield Breach(loc, f"has a value of {length} characters", expected)


def _unreserved(loc: tuple[str, ...]) -> Iterator[Breach]:
    if loc[-1].startswith("sagemaker_"):
        yield Breach(loc, "is reserved", "a name that does not start with sagemaker_")


def _sound_stages(config: PipelineConfig) -> Iterator[Breach]:
    stages = [stage.name for stage in config.release.stages]
    for index, stage in enumerate(config.release.stages):
        loc = ("release", "stages", index)
        if stage.name in stages[:index]:
            yield Breach((*loc, "name"), f"is {stage.name!r} again", "each stage once")
        gradual = stage.traffic.type != "all_at_once"
        if gradual != (stage.traffic.percent is not None):
            expected = "a percent" if gradual else "none, as all traffic moves"
            yield Breach((*loc, "traffic", "percent"), f"does not suit {stage.traffic.type}", expected)
        if gradual and config.serve.compute.instance_count < 2:
            expected = "serve.compute.instance_count of at least 2, as a share of one instance is the whole"
            yield Breach((*loc, "traffic", "type"), f"is {stage.traffic.type} over one instance", expected)
        yield from _deployable(stage.traffic, (*loc, "traffic"))


def _deployable(traffic: Traffic, loc: tuple[str | int, ...]) -> Iterator[Breach]:
    """Refuse now what SageMaker would refuse at the release, long after the approval."""
    if traffic.type == "linear" and traffic.percent is not None and traffic.percent < LINEAR_PERCENT_MIN:
        expected = f"{LINEAR_PERCENT_MIN} to 50, SageMaker's limits of a linear step"
        yield Breach((*loc, "percent"), f"is {traffic.percent} of a linear step", expected)
    elif traffic.bake_s > (longest := traffic.longest_bake_s):
        times = traffic.bakes
        expected = (
            f"at most {longest}: SageMaker ends a deployment after 8 hours, of which instances may take one"
        )
        yield Breach((*loc, "bake_s"), f"is {traffic.bake_s} s, {times} times", expected)


_RULES: tuple[Callable[[PipelineConfig], Iterator[Breach]], ...] = (
    _one_image,
    _one_source_dir,
    known_columns,
    distinct_columns,
    sound_columns,
    sound_csv,
    sound_quality,
    sound_bias,
    sound_drift,
    _one_completion,
    _window_of_its_mode,
    _sound_metrics,
    _bounded_candidates,
    _short_arguments,
    _sound_stages,
)
