"""Make the candidates of a run: their hyperparameters follow from the project alone, by name.

A grid is all combinations, in the order written. Random candidates are drawn by hashing: a value depends
on the seed, the hyperparameter's name and the number of the draw, and on nothing else. So the same seed
draws the same on every machine and version of Python, more candidates keep the former, and another
hyperparameter does not change those there are.

Successive halving (Jamieson and Talwalkar 2016, algorithm 1; budgets as in Hyperband, Li et al. 2018) trains
all with a small budget, and of each rung the best, one in `reduction_factor`, once more with so much more.
A candidate's name is its index, and from the second rung on `-r` and its rung: `3`, `3-r1`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sluice.domain import names
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config.candidates import Budget, Candidates, Range
    from sluice.domain.config.models import Train

# Random draws that only repeat what was drawn end: a small space has no more.
_DRAWS_FOR_EACH = 200
_DIGITS = 6
_NAME = re.compile(r"(?P<index>\d+)(-r(?P<rung>[1-9]\d*))?")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point of the space."""

    index: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rung:
    """How many candidates are trained together; `budget` is the value of the budget's hyperparameter."""

    size: int
    budget: float | int | None = None


def expand(train: Train) -> tuple[Candidate, ...]:
    """Return the candidates of the first rung; of a grid the last name of the space varies fastest."""
    wanted = train.candidates
    points = _grid(wanted) if wanted.strategy == "grid" else _drawn(wanted)
    return tuple(Candidate(index, point) for index, point in enumerate(points))


def rungs(train: Train) -> tuple[Rung, ...]:
    """Return how many candidates are trained with which budget; only halving has more than one rung."""
    wanted, size = train.candidates, len(expand(train))
    if wanted.budget is None:
        return (Rung(size),)
    found = list[Rung]()
    budgets = _budgets(wanted.budget, wanted.reduction_factor)
    for step, budget in enumerate(budgets):
        left = size // wanted.reduction_factor**step
        if left <= 1:
            # One that is alone needs no comparison: it gets all at once.
            return (*found, Rung(1, budgets[-1]))
        found.append(Rung(left, budget))
    return tuple(found)


def first(train: Train) -> list[str]:
    """Return the names of the candidates to train first."""
    return [name(candidate.index, 0) for candidate in expand(train)]


def name(index: int, rung: int) -> str:
    return f"{index}-r{rung}" if rung else str(index)


def place(step: str) -> tuple[int, int]:
    """Return the index and the rung of a candidate's step."""
    found = _NAME.fullmatch(step.removeprefix(names.TRAIN))
    if found is None:
        raise names.InvalidNameError(f"{step!r} is no candidate's step")
    return int(found["index"]), int(found["rung"] or 0)


def is_candidate(step: str) -> bool:
    return step.startswith(names.TRAIN)


def in_order(steps: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return a run's steps as they began; what began beside each other in any order, by number or name.

    Those are the candidates of a rung, and the evaluations.
    """
    listed, began = [*steps], dict[str, str]()
    for step in listed:
        group, at = _beside(step)[0], str(step.get("started_at") or "")
        began[group] = min(began.get(group, at), at)
    return sorted(listed, key=lambda step: (began[_beside(step)[0]], *_beside(step)))


def _beside(step: Mapping[str, Any]) -> tuple[str, int, str]:
    """Return what a step runs beside, and its place there."""
    name = str(step["step"])
    if is_candidate(name):
        index, rung = place(name)
        return f"{names.TRAIN}{rung}", index, name
    evaluation = names.evaluate_step("")
    return (evaluation if name.startswith(evaluation) else name), 0, name


def values_of(train: Train, step: str) -> dict[str, Any]:
    """Return the hyperparameters by which a candidate differs from the others, as they were written."""
    index, rung = place(step)
    budget = train.candidates.budget
    spent = {} if budget is None else {budget.hyperparameter: rungs(train)[rung].budget}
    return {**expand(train)[index].values, **spent}


def of_step(train: Train, step: str) -> dict[str, str]:
    """Return the hyperparameters of a candidate's step, JSON-encoded; other steps have none."""
    if not is_candidate(step):
        return {}
    return _encode({**train.hyperparameters, **values_of(train, step)})


def _encode(hyperparameters: Mapping[str, Any]) -> dict[str, str]:
    """Write values as text, as script mode requires."""
    return {name: json.dumps(value) for name, value in hyperparameters.items()}


def _grid(wanted: Candidates) -> Iterator[dict[str, Any]]:
    space = wanted.choices
    for values in itertools.product(*space.values()):
        yield dict(zip(space, values, strict=True))


def _drawn(wanted: Candidates) -> list[dict[str, Any]]:
    """Draw different points; of a space that has no more than wanted, return all."""
    number = wanted.max_candidates or 1
    if wanted.combinations is not None and wanted.combinations <= number:
        return list(_grid(wanted))
    found: dict[str, dict[str, Any]] = {}
    for draw in range(number * _DRAWS_FOR_EACH):
        point = {name: _value(wanted, name, draw) for name in wanted.space}
        found.setdefault(json.dumps(point, sort_keys=True), point)
        if len(found) == number:
            break
    return list(found.values())


def _value(wanted: Candidates, name: str, draw: int) -> Any:
    at = _uniform(wanted.seed, name, draw)
    if name in wanted.ranges:
        return _within(wanted.ranges[name], at)
    choices = wanted.choices[name]
    return choices[int(at * len(choices))]


def _uniform(seed: int, name: str, draw: int) -> float:
    """Return a number from 0 to below 1: the first 53 bits of a digest."""
    digest = hashlib.sha256(f"{seed}/{name}/{draw}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def _within(numbers: Range, at: float) -> float | int:
    """Return the number of a range at a share of it, in six digits; whole numbers are equally likely."""
    least, most = numbers.min, numbers.max + (1 if numbers.integer else 0)
    value = least * (most / least) ** at if numbers.log else least + (most - least) * at
    if numbers.integer:
        return min(max(math.floor(value), int(numbers.min)), int(numbers.max))
    return min(max(_rounded(value), numbers.min), numbers.max)


def _budgets(budget: Budget, factor: int) -> list[float | int]:
    """Return the greatest budget, and those by `factor` less down to the least; in ascending order."""
    is_whole = budget.min.is_integer() and budget.max.is_integer()
    found = list[float | int]()
    spent = budget.max
    # Dividing step by step loses digits: the least budget still counts.
    while spent >= budget.min * (1 - 1e-9):
        found.append(round(spent) if is_whole else _rounded(spent))
        spent /= factor
    return found[::-1]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
