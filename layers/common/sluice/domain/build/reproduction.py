"""Repeat a run by its manifest, and compare both outcomes.

A reproduction trains only the candidate that was chosen, with exactly its hyperparameters. Models are
compared by the files in their archives, as an archive holds the time of its making. Where files differ, the
evaluation decides.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sluice.domain import wording
from sluice.lazy import dataclass

# The absolute difference of a metric that counts as none.
TOLERANCE = 0.01
# The name of the step that holds the comparison.
STEP = "comparison"
Verdict = Literal["reproduced", "differed"]
_FILES_SHOWN = 5


def overrides(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run overrides to train exactly the chosen candidate of a run manifest.

    A pipeline of SageMaker has no candidates: it gets what it was given.
    """
    given = dict(document.get("overrides") or {})
    if "pipeline" in document["parameters"]:
        return given
    chosen = document["parameters"].get("train") or {}
    return {
        **given,
        # Hyperparameters are text in script mode: JSON, which says the value they had.
        "train.hyperparameters": {name: json.loads(value) for name, value in chosen.items()},
        "train.candidates.strategy": "grid",
        "train.candidates.space": {},
        "train.candidates.budget": None,
        "train.candidates.max_candidates": None,
    }


@dataclass(frozen=True, slots=True)
class MetricPair:
    """A metric of both evaluations; None where there is none, or no finite one."""

    name: str
    original: float | None
    reproduced: float | None
    is_within: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether a reproduction is what it reproduces; `differing` are files of the models, by path."""

    verdict: Verdict
    is_same_model: bool
    differing: Sequence[str]
    metrics: Sequence[MetricPair]
    tolerance: float
    reasons: Sequence[str]


def compare(
    models: tuple[Mapping[str, str], Mapping[str, str]],
    metrics: tuple[Mapping[str, float | None], Mapping[str, float | None]],
    tolerance: float = TOLERANCE,
) -> Comparison:
    """Compare the original and the reproduction: sha256 by file of the models, and metrics by name.

    A model is reproduced if its files are equal. It is too if the original has metrics, and each of them was
    measured again within the tolerance.
    """
    original, reproduced = models
    differing = sorted(
        path for path in original.keys() | reproduced.keys() if original.get(path) != reproduced.get(path)
    )
    pairs = [_pair(name, metrics, tolerance) for name in sorted(metrics[0].keys() | metrics[1].keys())]
    is_same = not differing and bool(original)
    known = [pair for pair in pairs if pair.original is not None]
    is_close = bool(known) and all(pair.is_within for pair in known)
    verdict: Verdict = "reproduced" if is_same or is_close else "differed"
    reasons = [_told_of_model(differing, is_same=is_same), *_told_of_metrics(known, tolerance)]
    return Comparison(verdict, is_same, differing, pairs, tolerance, reasons)


def _pair(
    name: str, metrics: tuple[Mapping[str, float | None], Mapping[str, float | None]], tolerance: float
) -> MetricPair:
    before, after = (found.get(name) for found in metrics)
    is_within = before is not None and after is not None and _is_close(before, after, tolerance)
    return MetricPair(name, before, after, is_within)


def _is_close(before: float, after: float, tolerance: float) -> bool:
    # As floats, 0.1 - 0.01 is not quite 0.09.
    return abs(before - after) <= tolerance or math.isclose(abs(before - after), tolerance, rel_tol=1e-9)


def _told_of_model(differing: Sequence[str], *, is_same: bool) -> str:
    if is_same:
        return "the model is the same, file for file"
    if not differing:
        return "neither model has a file"
    shown = ", ".join(differing[:_FILES_SHOWN])
    more = f" and {len(differing) - _FILES_SHOWN} more" if len(differing) > _FILES_SHOWN else ""
    return f"the model differs in {shown}{more}"


def _told_of_metrics(known: Sequence[MetricPair], tolerance: float) -> list[str]:
    if not known:
        return ["the original has no metric to compare"]
    apart = [pair for pair in known if not pair.is_within]
    if not apart:
        return [f"every metric is within {tolerance:g}"]
    return [
        f"{pair.name} is {reproduced}, not {original} within {tolerance:g}"
        for pair in apart
        for original, reproduced in [shown(pair.original, pair.reproduced)]
    ]


def shown(original: float | None, reproduced: float | None) -> tuple[str, str]:
    """Write a metric of both evaluations, with digits that tell them apart."""
    if original is not None and reproduced is not None:
        before, after = wording.apart(original, reproduced)
        return before, after
    before, after = ("missing" if each is None else wording.number(each) for each in (original, reproduced))
    return before, after
