"""Of trained candidates the best is chosen, some go on to the next rung, and each problem is told."""

import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.catalog.records.builds import StepStatus
from sluice.domain.build import candidates, selection
from sluice.domain.build.selection import Trained
from sluice.domain.config.candidates import Budget, Candidates, Metric, Range
from sluice.domain.config.models import Train

Direction = Literal["maximize", "minimize"]
REGEX = "accuracy: ([0-9.]+)"


def train_of(direction: Direction = "maximize", regex: str | None = REGEX, **wanted: Any) -> Train:
    return Train(
        script="src/train.py",
        candidates=Candidates(objective="accuracy", direction=direction, **wanted),
        metrics=(Metric(name="accuracy", regex=regex),),
    )


def halving(count: int = 9, direction: Direction = "maximize") -> Train:
    return train_of(
        direction,
        strategy="halving",
        space={"alpha": Range(min=0.0, max=1.0)},
        max_candidates=count,
        budget=Budget(hyperparameter="epochs", min=1, max=9),
    )


def result(step: str, value: float | None, status: StepStatus = "Completed") -> Trained:
    return Trained(step, status, {} if value is None else {"accuracy": value})


def best_of(results: list[Trained], train: Train) -> str | None:
    best = selection.select(train, results).best
    return None if best is None else best.step


def test_the_best_is_the_greatest_or_the_least_as_asked() -> None:
    results = [result("train-0", 0.7), result("train-1", 0.9), result("train-2", 0.8)]
    assert best_of(results, train_of("maximize")) == "train-1"
    assert best_of(results, train_of("minimize")) == "train-0"


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_equals_the_one_with_the_least_number_is_chosen(direction: Direction) -> None:
    results = [result(f"train-{index}", 0.9) for index in (10, 9, 2)]
    assert best_of(results, train_of(direction)) == "train-2"


def test_those_that_failed_or_did_not_report_are_passed_over_with_reasons() -> None:
    failed = Trained("train-0", "Failed", failure_reason="MemoryError")
    results = [failed, result("train-1", None), result("train-2", math.nan), result("train-3", 0.1)]
    assert best_of(results, train_of()) == "train-3"
    assert selection.select(train_of(), results).reasons == (
        "train-0 Failed: MemoryError",
        f'train-1 did not report accuracy: no line of the log matches the regex "{REGEX}", and '
        "/opt/ml/output/data/metrics.json has no number of that name",
        "train-2 reported accuracy as nan, no finite number",
    )


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([], "no candidate was trained"),
        ([Trained("train-0")], "train-0 has no status: no reason"),
        (
            [Trained("train-0", "Completed")],
            "train-0 did not report accuracy: no line of the log matches",
        ),
        (
            [Trained("train-0", "Completed", {"accuracy": None})],
            "train-0 reported accuracy as no finite number",
        ),
        (
            [Trained("train-0", "Completed", {"loss": 1, "f1": 1})],
            "has no number of that name; it reported f1, loss",
        ),
    ],
)
def test_when_none_is_eligible_there_is_no_best_but_a_reason(results: list[Trained], reason: str) -> None:
    found = selection.select(train_of(), results)
    assert found.best is None
    assert reason in found.reasons[0]
    assert selection.why(train_of(), found) == found.reasons[0]


def test_the_same_reason_is_told_once_for_all() -> None:
    failed = [Trained(f"train-{index}", "Failed", failure_reason="no memory") for index in range(12)]
    (reason,) = selection.select(train_of(), failed).reasons
    assert reason.startswith("train-0, train-1, ")
    assert reason.endswith("train-7 and 4 more Failed: no memory")


def test_a_metric_without_a_regex_is_only_looked_for_in_its_file() -> None:
    (reason,) = selection.select(train_of(regex=None), [result("train-0", None)]).reasons
    assert reason == (
        "train-0 did not report accuracy: /opt/ml/output/data/metrics.json has no number of that name"
    )


@given(st.lists(st.floats() | st.none(), max_size=6))
def test_the_chosen_is_at_least_as_good_as_every_other(values: list[float | None]) -> None:
    results = [result(f"train-{i}", value) for i, value in enumerate(values)]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    best = selection.select(train_of(), results).best
    assert (best.value("accuracy") if best else None) == max(finite, default=None)


@given(
    st.lists(st.floats(0, 1) | st.none(), min_size=9, max_size=9),
    st.randoms(use_true_random=False),
    st.sampled_from(["maximize", "minimize"]),
)
def test_halving_keeps_the_best_whatever_the_order(
    values: list[float | None], shuffled: Any, direction: Direction
) -> None:
    train = halving(direction=direction)
    results = [
        result(f"train-{i}", value, "Failed" if value is None else "Completed")
        for i, value in enumerate(values)
    ]
    kept = selection.promoted(train, 0, results)
    shuffled.shuffle(results)
    assert selection.promoted(train, 0, results) == kept
    assert kept == sorted(set(kept))
    eligible = [value for value in values if value is not None]
    assert len(kept) == min(3, len(eligible))
    indexes = [candidates.place(f"train-{name}")[0] for name in kept]
    best = sorted(eligible, reverse=direction == "maximize")[:3]
    assert sorted(values[index] for index in indexes) == sorted(best)  # type: ignore[type-var]


def test_after_the_last_rung_and_without_rungs_none_goes_on() -> None:
    assert selection.promoted(halving(), 2, [result("train-0-r2", 1.0)]) == []
    assert selection.promoted(train_of(space={"a": (1, 2)}), 0, [result("train-0", 1.0)]) == []


def test_the_best_has_had_the_most_budget() -> None:
    """A score with less budget says less, even if it is higher."""
    results = [result("train-0", 0.95), result("train-0-r1", 0.8), result("train-1-r1", 0.7)]
    assert best_of(results, halving()) == "train-0-r1"
    results[1:] = [Trained("train-0-r1", "Failed")]
    assert best_of(results, halving()) == "train-0"


def test_why_a_candidate_was_chosen_is_a_sentence() -> None:
    results = [result("train-0", 0.9), result("train-1", 0.9), result("train-2", 0.8)]

    def said(train: Train, results: list[Trained]) -> str:
        return selection.why(train, selection.select(train, results))

    assert said(train_of(), results) == (
        "train-0 has the highest accuracy, 0.9, of 3 candidates; train-1 has the same, and a later number"
    )
    assert said(train_of("minimize"), results) == "train-2 has the lowest accuracy, 0.8, of 3 candidates"
    assert said(train_of(), results[2:]) == "train-2 has the highest accuracy, 0.8, as the only candidate"
    rung = [result("train-0-r1", 0.8), result("train-1-r1", 0.7), *results]
    assert said(halving(), rung) == "train-0-r1 has the highest accuracy, 0.8, of 2 candidates with epochs 3"


def test_those_that_were_passed_over_are_no_competition_and_are_named() -> None:
    results = [result("train-0", 0.9), Trained("train-1", "Failed"), result("train-2", None)]
    said = selection.why(train_of(), selection.select(train_of(), results))
    assert said == (
        "train-0 has the highest accuracy, 0.9, as the only candidate; train-1, train-2 could not be chosen"
    )
