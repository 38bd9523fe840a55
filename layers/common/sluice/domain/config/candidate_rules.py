"""Rules between the fields of `train`: candidates, hyperparameters and metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sluice.domain import prices
from sluice.domain.config.base import ScalarValue
from sluice.domain.config.candidates import CANDIDATES_MAX, REDUCTION_FACTOR, Candidates, Range
from sluice.domain.config.problems import Breach
from sluice.domain.nearest import nearest

if TYPE_CHECKING:
    from sluice.domain.config.models import PipelineConfig

HYPERPARAMETERS_MAX = 90
HYPERPARAMETER_MAX = 2500
_CANDIDATES = ("train", "candidates")
_SPACE = (*_CANDIDATES, "space")


def sound_metrics(config: PipelineConfig) -> Iterator[Breach]:
    metrics = [metric.name for metric in config.train.metrics]
    for index, metric in enumerate(config.train.metrics):
        if metric.name in metrics[:index]:
            yield Breach(("train", "metrics", index, "name"), f"is {metric.name!r} again", "each metric once")
        if metric.regex is not None and (problem := _no_single_group(metric.regex)):
            yield Breach(("train", "metrics", index, "regex"), problem, "a regular expression with one group")
    objective = config.train.candidates.objective
    if objective not in metrics:
        loc = (*_CANDIDATES, "objective")
        yield Breach(loc, f"is {objective!r}", f"one of {', '.join(metrics)}", nearest(objective, metrics))


def _no_single_group(regex: str) -> str | None:
    try:
        groups = re.compile(regex).groups
    except re.error as error:
        return f"cannot be read: {error}"
    return None if groups == 1 else f"has {groups} groups"


def bounded_candidates(config: PipelineConfig) -> Iterator[Breach]:
    """Yield what makes too many candidates, and what SageMaker would refuse of their hyperparameters."""
    train = config.train
    wanted = train.candidates
    yield from _number(wanted)
    if len({*train.hyperparameters, *wanted.space}) > HYPERPARAMETERS_MAX:
        yield Breach(
            ("train", "hyperparameters"),
            "are too many",
            f"at most {HYPERPARAMETERS_MAX} with those of the space",
        )
    for name, values in wanted.choices.items():
        loc = (*_SPACE, name)
        yield from unreserved(loc)
        for value in values:
            yield from short_hyperparameter(loc, value)
        if len({json.dumps(value) for value in values}) < len(values):
            yield Breach(loc, "has a value twice", "each value once, as each is trained")
    for name, numbers in wanted.ranges.items():
        yield from unreserved((*_SPACE, name))
        yield from _sound_range((*_SPACE, name), numbers)


def _number(wanted: Candidates) -> Iterator[Breach]:
    if wanted.strategy != "grid":
        if wanted.max_candidates is None:
            expected = f"max_candidates: 1 to {CANDIDATES_MAX}, the number to draw"
            yield Breach(_CANDIDATES, f"draws {wanted.strategy} candidates without a number", expected)
        if not wanted.space:
            yield Breach((*_CANDIDATES, "space"), "is empty", "what to draw candidates from")
        return
    for name in wanted.ranges:
        expected = "a list, as strategy is grid; random and halving draw from ranges"
        yield Breach((*_SPACE, name), "is a range", expected)
    most, count = wanted.max_candidates or CANDIDATES_MAX, wanted.combinations or 0
    if count > most:
        expected = f"at most {most}; strategy: random draws max_candidates of them"
        yield Breach(_SPACE, f"makes {count} candidates", expected)


def _sound_range(loc: tuple[str, ...], numbers: Range) -> Iterator[Breach]:
    if numbers.min >= numbers.max:
        yield Breach((*loc, "max"), f"is {numbers.max:g}", f"more than min, {numbers.min:g}")
    if numbers.log and numbers.min <= 0:
        yield Breach((*loc, "min"), f"is {numbers.min:g}", "more than 0, as log is true")
    for field, value in (("min", numbers.min), ("max", numbers.max)):
        if numbers.integer and not value.is_integer():
            yield Breach((*loc, field), f"is {value:g}", "a whole number, as integer is true")


def priced_candidates(config: PipelineConfig) -> Iterator[Breach]:
    """Yield an instance type without a list price, with which `max_cost_usd` could not be held."""
    compute = config.train.compute
    if config.train.candidates.max_cost_usd is None or compute.backend == "lambda":
        return
    if compute.instance_type not in prices.INSTANCE_HOUR:
        found = f"is {compute.instance_type!r} beside train.candidates.max_cost_usd"
        expected = f"one with a list price: {', '.join(prices.INSTANCE_HOUR)}"
        near = nearest(compute.instance_type, prices.INSTANCE_HOUR)
        yield Breach(("train", "compute", "instance_type"), found, expected, near)


def sound_halving(config: PipelineConfig) -> Iterator[Breach]:
    """Yield what successive halving lacks, and what only it can have."""
    wanted = config.train.candidates
    loc, budget = (*_CANDIDATES, "budget"), wanted.budget
    if wanted.strategy != "halving":
        # A stored config has its default values too.
        given = {"budget": budget, "reduction_factor": wanted.reduction_factor != REDUCTION_FACTOR}
        for field in (name for name, is_given in given.items() if is_given):
            found = f"is given with strategy {wanted.strategy}"
            yield Breach((*_CANDIDATES, field), found, "strategy: halving with it")
        return
    if budget is None:
        expected = "budget: {hyperparameter: epochs, min: 1, max: 27}, what more is spent of on fewer"
        yield Breach(_CANDIDATES, "has no budget to halve by", expected)
        return
    yield from unreserved((*loc, "hyperparameter"), budget.hyperparameter)
    if budget.hyperparameter in wanted.space:
        expected = "one outside of the space, as rungs give it its value"
        yield Breach((*loc, "hyperparameter"), f"is {budget.hyperparameter!r}", expected)
    if budget.max <= budget.min:
        yield Breach((*loc, "max"), f"is {budget.max:g}", f"more than min, {budget.min:g}")


def sound_hyperparameters(config: PipelineConfig) -> Iterator[Breach]:
    """Yield the hyperparameters that all candidates share and SageMaker would refuse."""
    for name, scalar in config.train.hyperparameters.items():
        loc = ("train", "hyperparameters", name)
        yield from unreserved(loc)
        yield from short_hyperparameter(loc, scalar)


def short_hyperparameter(loc: tuple[str, ...], value: ScalarValue) -> Iterator[Breach]:
    length = len(json.dumps(value))
    if length > HYPERPARAMETER_MAX:
        expected = f"at most {HYPERPARAMETER_MAX}, SageMaker's limit: put it into a file of the project"
        yield Breach(loc, f"has a value of {length} characters", expected)


def unreserved(loc: tuple[str, ...], name: str | None = None) -> Iterator[Breach]:
    if (name or loc[-1]).startswith("sagemaker_"):
        yield Breach(loc, "is reserved", "a name that does not start with sagemaker_")
