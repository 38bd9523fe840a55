"""Expand the grid of hyperparameters into candidates, and choose the best one that was trained."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sluice.domain import names

if TYPE_CHECKING:
    from sluice.domain.config.models import Train


@dataclass(frozen=True, slots=True)
class Candidate:
    """One training job to run; its hyperparameters are JSON-encoded, as script mode requires."""

    index: int
    hyperparameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """The best job result, None if none is eligible, and why each ineligible one is not."""

    best: Mapping[str, Any] | None
    reasons: tuple[str, ...]


def expand(train: Train) -> tuple[Candidate, ...]:
    """Return all combinations of the space, with the common hyperparameters; the last name varies fastest."""
    space = train.candidates.space
    combinations = itertools.product(*space.values())
    return tuple(
        Candidate(index, _encode({**train.hyperparameters, **dict(zip(space, values, strict=True))}))
        for index, values in enumerate(combinations)
    )


def of_step(train: Train, step: str) -> dict[str, str]:
    """Return the hyperparameters of a candidate's step; other steps have none."""
    if not step.startswith(names.TRAIN):
        return {}
    return expand(train)[int(step.removeprefix(names.TRAIN))].hyperparameters


def _encode(hyperparameters: Mapping[str, Any]) -> dict[str, str]:
    """Write values as text, as script mode requires."""
    return {name: json.dumps(value) for name, value in hyperparameters.items()}


def select(
    results: Sequence[Mapping[str, Any]],
    objective: str,
    direction: Literal["maximize", "minimize"],
    regex: str,
) -> Selection:
    """Choose the completed result with the best objective, which `regex` reads; of equal ones the first."""
    problems = [_ineligible(result, objective, regex) for result in results]
    eligible = [result for result, problem in zip(results, problems, strict=True) if problem is None]
    reasons = tuple(problem for problem in problems if problem is not None)
    if not eligible:
        return Selection(None, reasons or ("no candidate was trained",))
    sign = 1 if direction == "maximize" else -1
    return Selection(max(eligible, key=lambda result: sign * result["metrics"][objective]), reasons)


def _ineligible(result: Mapping[str, Any], objective: str, regex: str) -> str | None:
    step = result["step"]
    if result.get("status") != "Completed":
        return f"{step} {result.get('status', 'has no status')}: {result.get('failure_reason', 'no reason')}"
    metrics = result.get("metrics") or {}
    if objective not in metrics:
        return f"{step} did not report {objective}: no line of its log matches the regex {regex}"
    value = metrics[objective]
    if value is None:
        return f"{step} reported {objective} as no finite number"
    return None if math.isfinite(value) else f"{step} reported {objective} as {value}"
