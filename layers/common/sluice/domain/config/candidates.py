"""The shape of `train.candidates` and `train.metrics`: what a run trains, and what it reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sluice.domain.config.base import Model, ParameterName, Scalar, ScalarValue

CANDIDATES_MAX = 50
SEED_MAX = 2**32 - 1
REDUCTION_FACTOR = 3


class Metric(Model):
    name: str = Field(
        description="a metric's name, such as validation:accuracy", min_length=1, max_length=255
    )
    regex: str | None = Field(
        None,
        description="a regular expression with one group, the number; without a regex, metrics.json has it",
        min_length=1,
        max_length=500,
    )


class Range(Model):
    """Numbers to draw from, both ends included."""

    min: float = Field(description="the least number")
    max: float = Field(description="the greatest number")
    log: bool = Field(False, description="whether to draw orders of magnitude alike; from numbers above 0")
    integer: bool = Field(False, description="whether to draw whole numbers")


class Budget(Model):
    """What successive halving spends more of on fewer candidates."""

    hyperparameter: ParameterName = Field(description="a hyperparameter's name, such as epochs")
    min: float = Field(description="its value for all candidates at first", gt=0)
    max: float = Field(description="its value for the last of them", gt=0)


def _dimension(value: Any) -> str | None:
    if isinstance(value, Mapping | Range):
        return "range"
    return "list" if isinstance(value, list | tuple) else None


Choices = Annotated[tuple[ScalarValue, ...], Field(min_length=1)]
Dimension = Annotated[
    Annotated[Choices, Tag("list")] | Annotated[Range, Tag("range")],
    Discriminator(
        _dimension,
        custom_error_type="kind",
        custom_error_message="neither a list nor a range",
        custom_error_context={"expected": "a list of values, or a range {min, max}"},
    ),
]


class Candidates(Model):
    """The training jobs of a run, and how the best of them is chosen."""

    strategy: Literal["grid", "random", "halving"] = Field("grid", description="grid, random or halving")
    space: dict[ParameterName, Dimension] = Field(
        {}, description="a list of values, or a range of numbers, by hyperparameter", max_length=10
    )
    objective: str = Field(
        description="the name of one of train.metrics, which a model must report to be chosen", min_length=1
    )
    direction: Literal["maximize", "minimize"] = Field("maximize", description="maximize or minimize")
    max_parallel: int = Field(2, description="the number of training jobs at a time", ge=1, le=20)
    max_candidates: int | None = Field(
        None,
        description="how many candidates to draw, or of a grid the most it may have",
        ge=1,
        le=CANDIDATES_MAX,
    )
    max_cost_usd: float | None = Field(
        None, description="start no more candidates once those of a run cost so much, at list prices", gt=0
    )
    seed: int = Field(0, description="other seeds draw other candidates", ge=0, le=SEED_MAX)
    budget: Budget | None = Field(None, description="of strategy halving: {hyperparameter, min, max}")
    reduction_factor: int = Field(
        REDUCTION_FACTOR,
        description="of strategy halving: one in so many goes on, with so much more budget",
        ge=2,
        le=10,
    )

    @property
    def choices(self) -> dict[str, tuple[Scalar, ...]]:
        """The dimensions of the space that are lists."""
        return {name: values for name, values in self.space.items() if not isinstance(values, Range)}

    @property
    def ranges(self) -> dict[str, Range]:
        return {name: values for name, values in self.space.items() if isinstance(values, Range)}

    @property
    def combinations(self) -> int | None:
        """The number of combinations that the space has; None if a range makes them countless."""
        if self.ranges:
            return None
        return math.prod(len(values) for values in self.choices.values())
