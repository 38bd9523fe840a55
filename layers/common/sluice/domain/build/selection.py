"""Choose among trained candidates: which go on to the next rung, which is the best, and why.

A candidate is eligible if its job completed and reported the objective as a finite number. A later rung
goes before an earlier one, as its candidates had more budget; then the objective decides, and of equal ones
the least index. So the same results always choose the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from sluice.domain import failures, wording
from sluice.domain.build import candidates, metrics_file
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Step, StepStatus
    from sluice.domain.config.models import Train

UNREPORTED = "did not report "
NOT_FINITE = "no finite number"
_SHOWN = 8
_SUPERLATIVES = {"maximize": "highest", "minimize": "lowest"}


@dataclass(frozen=True, slots=True)
class Trained:
    """What is known of a candidate's training job."""

    step: str
    # None if its rung was not begun.
    status: StepStatus | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    failure_reason: str | None = None
    model_uri: str | None = None
    # Where a metric that is missing was looked for.
    metrics_problem: str | None = None

    @classmethod
    def of(cls, step: Step) -> Trained:
        return cls(step.step, step.status, step.metrics or {}, step.failure_reason, step.model_uri)

    def value(self, objective: str) -> float:
        """Return its objective; NaN, which no candidate is eligible with, if it has none."""
        value = self.metrics.get(objective)
        return math.nan if value is None else value


@dataclass(frozen=True, slots=True)
class Selection:
    """The eligible candidates, best first, and by step why each other one is not."""

    ranked: tuple[Trained, ...]
    problems: Mapping[str, str]

    @property
    def best(self) -> Trained | None:
        return self.ranked[0] if self.ranked else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why none is eligible, or why some are not: steps with the same reason together."""
        if not self.ranked and not self.problems:
            return ("no candidate was trained",)
        steps: dict[str, list[str]] = {}
        for step, problem in self.problems.items():
            steps.setdefault(problem, []).append(step)
        return tuple(f"{_listed(same)} {problem}" for problem, same in steps.items())


def select(train: Train, trained: Sequence[Trained]) -> Selection:
    """Rank candidates."""
    objective = train.candidates.objective
    problems = {each.step: _problem(train, each) for each in trained}
    eligible = [each for each in trained if problems[each.step] is None]
    sign = -1 if train.candidates.direction == "maximize" else 1

    def place(candidate: Trained) -> tuple[float, float, int]:
        index, rung = candidates.place(candidate.step)
        return (-rung, sign * candidate.value(objective), index)

    found = {step: problem for step, problem in problems.items() if problem is not None}
    return Selection(tuple(sorted(eligible, key=place)), found)


def promoted(train: Train, rung: int, trained: Sequence[Trained]) -> list[str]:
    """Return the names of a rung's candidates that go on to the next one, by index; none after the last."""
    planned = candidates.rungs(train)
    if rung + 1 >= len(planned):
        return []
    best = select(train, trained).ranked[: planned[rung + 1].size]
    indexes = sorted(candidates.place(each.step)[0] for each in best)
    return [candidates.name(index, rung + 1) for index in indexes]


def why(train: Train, selection: Selection) -> str:
    """Say in a sentence why the best was chosen."""
    wanted, best = train.candidates, selection.best
    if best is None:
        return "; ".join(selection.reasons)
    value = best.value(wanted.objective)
    told = f"{wanted.objective}, {wording.number(value)}"
    rung = candidates.place(best.step)[1]
    same = [each for each in selection.ranked if candidates.place(each.step)[1] == rung]
    of = f"of {len(same)} candidates" if len(same) > 1 else "as the only candidate"
    said = f"{best.step} has the {_SUPERLATIVES[wanted.direction]} {told}, {of}"
    if rung:
        said += f" with {_budget(train, rung)}"
    equal = [each.step for each in same[1:] if each.value(wanted.objective) == value]
    if equal:
        said += f"; {_listed(equal)} {'has' if len(equal) == 1 else 'have'} the same, and a later number"
    passed_over = [step for step in selection.problems if candidates.place(step)[1] == rung]
    return f"{said}; {_listed(passed_over)} could not be chosen" if passed_over else said


def _budget(train: Train, rung: int) -> str:
    budget = train.candidates.budget
    return f"{budget.hyperparameter if budget else ''} {candidates.rungs(train)[rung].budget:g}"


def _problem(train: Train, candidate: Trained) -> str | None:
    """Return why a candidate is not eligible, as a predicate of its step; None if it is."""
    if candidate.status != "Completed":
        reason = failures.brief(candidate.failure_reason or "no reason")
        return f"{candidate.status or 'has no status'}: {reason}"
    objective, metrics = train.candidates.objective, candidate.metrics
    if objective not in metrics:
        where = candidate.metrics_problem or unreported(train, objective)
        return f"{UNREPORTED}{objective}: {where}{_reported(metrics)}"
    value = metrics[objective]
    if value is None:
        return f"reported {objective} as {NOT_FINITE}"
    return None if math.isfinite(value) else f"reported {objective} as {value}, {NOT_FINITE}"


def unreported(train: Train, metric: str, problem: str | None = None) -> str:
    """Say where a metric would have been found; `problem` is what is wrong with metrics.json, if known."""
    regex = next((each.regex for each in train.metrics if each.name == metric), None)
    in_file = problem or f"{metrics_file.PATH} has no number of that name"
    return f'no line of the log matches the regex "{regex}", and {in_file}' if regex else in_file


def _reported(metrics: Mapping[str, float | None]) -> str:
    if not metrics:
        return ""
    more = f" and {len(metrics) - _SHOWN} more" if len(metrics) > _SHOWN else ""
    return f"; it reported {', '.join(sorted(metrics)[:_SHOWN])}{more}"


def _listed(steps: Sequence[str]) -> str:
    more = f" and {len(steps) - _SHOWN} more" if len(steps) > _SHOWN else ""
    return f"{', '.join(steps[:_SHOWN])}{more}"
