"""Candidates are every combination, and the best of those that completed is chosen."""

import json
import math
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.build import candidates
from sluice.domain.config import load
from sluice.domain.config.models import Train

Direction = Literal["maximize", "minimize"]
TrainOf = Callable[[dict[str, Any], dict[str, Any]], Train]


REGEX = "accuracy: ([0-9.]+)"


@pytest.fixture
def train_of(config_text: str) -> TrainOf:
    def of(hyperparameters: dict[str, Any], space: dict[str, Any]) -> Train:
        text = config_text.replace("{epochs: 10, penalty: l2}", json.dumps(hyperparameters))
        return load(text.replace("{alpha: [1e-5, 1e-4]}", json.dumps(space))).train

    return of


def result(step: str, value: float | None, status: str = "Completed") -> dict[str, Any]:
    return {"step": step, "status": status, "metrics": {} if value is None else {"accuracy": value}}


def best_of(results: list[dict[str, Any]], direction: Direction) -> str:
    best = candidates.select(results, "accuracy", direction, REGEX).best
    assert best is not None
    return str(best["step"])


def test_a_grid_is_every_combination_in_the_order_written(train_of: TrainOf) -> None:
    expanded = candidates.expand(train_of({"epochs": 3}, {"b": [1, 2], "a": ["x", "y"]}))
    assert [c.index for c in expanded] == [0, 1, 2, 3]
    assert [(c.hyperparameters["b"], c.hyperparameters["a"]) for c in expanded] == [
        ("1", '"x"'),
        ("1", '"y"'),
        ("2", '"x"'),
        ("2", '"y"'),
    ]
    assert {c.hyperparameters["epochs"] for c in expanded} == {"3"}


def test_the_space_wins_over_the_common_hyperparameters(train_of: TrainOf) -> None:
    (only,) = candidates.expand(train_of({"a": 1}, {"a": [2]}))
    assert only.hyperparameters == {"a": "2"}


def test_without_a_space_there_is_one_candidate(train_of: TrainOf) -> None:
    assert [c.hyperparameters for c in candidates.expand(train_of({"a": True}, {}))] == [{"a": "true"}]


def test_the_best_is_the_greatest_or_the_least_as_asked() -> None:
    results = [result("train-0", 0.7), result("train-1", 0.9), result("train-2", 0.8)]
    assert best_of(results, "maximize") == "train-1"
    assert best_of(results, "minimize") == "train-0"


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_equals_the_first_is_chosen(direction: Direction) -> None:
    results = [result("train-0", 0.9), result("train-1", 0.9)]
    assert best_of(results, direction) == "train-0"


def test_those_that_failed_or_did_not_report_are_passed_over_with_reasons() -> None:
    failed = {"step": "train-0", "status": "Failed", "failure_reason": "MemoryError"}
    results = [failed, result("train-1", None), result("train-2", math.nan), result("train-3", 0.1)]
    assert best_of(results, "maximize") == "train-3"
    assert candidates.select(results, "accuracy", "maximize", REGEX).reasons == (
        "train-0 Failed: MemoryError",
        f"train-1 did not report accuracy: no line of its log matches the regex {REGEX}",
        "train-2 reported accuracy as nan",
    )


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([], "no candidate was trained"),
        ([{"step": "train-0"}], "train-0 has no status: no reason"),
        (
            [{"step": "train-0", "status": "Completed", "metrics": None}],
            f"train-0 did not report accuracy: no line of its log matches the regex {REGEX}",
        ),
        (
            [{"step": "train-0", "status": "Completed", "metrics": {"accuracy": None}}],
            "train-0 reported accuracy as no finite number",
        ),
    ],
)
def test_when_none_is_eligible_there_is_no_best_but_a_reason(
    results: list[dict[str, Any]], reason: str
) -> None:
    assert candidates.select(results, "accuracy", "maximize", REGEX) == candidates.Selection(None, (reason,))


@given(st.lists(st.floats() | st.none(), max_size=6))
def test_the_chosen_is_at_least_as_good_as_every_other(values: list[float | None]) -> None:
    results = [result(f"train-{i}", value) for i, value in enumerate(values)]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    best = candidates.select(results, "accuracy", "maximize", REGEX).best
    assert (best["metrics"]["accuracy"] if best else None) == max(finite, default=None)
